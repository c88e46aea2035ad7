"""From logits to one label: softmax, cross-entropy, accuracy.

The last step of a classifier, and what it learns from. losses.py and postprocess.py use it, too:
a detector classifies each of its boxes.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def softmax(logits: Float[Tensor, "N K"]) -> Float[Tensor, "N K"]:
    """Logits to probabilities: each row is positive and sums to 1.

    The largest logit of a row is subtracted first. That changes no probability, and e to the
    power of 1000 never has to be computed.

    >>> softmax(torch.tensor([[2.0, 2.0, 2.0, 2.0]]))
    tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """
    powers = (logits - logits.amax(dim=1, keepdim=True)).exp()
    return powers / powers.sum(dim=1, keepdim=True)


def cross_entropy(logits: Float[Tensor, "N K"], labels: Int64[Tensor, " N"]) -> Float[Tensor, " N"]:
    """−log of the probability that softmax gives to the right class, a number per row.

    That is log(sum of e^logits) − the right logit, which never takes the log of a 0.

    >>> cross_entropy(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))  # −log ½
    tensor([0.6931])
    """
    shifted = logits - logits.amax(dim=1, keepdim=True)
    right = torch.gather(shifted, 1, labels[:, None])[:, 0]
    return shifted.exp().sum(dim=1).log() - right


def accuracy(logits: Float[Tensor, "N K"], labels: Int64[Tensor, " N"]) -> Float[Tensor, ""]:
    """The fraction of rows whose largest logit is the right class's, 0 to 1; NaN without rows.

    >>> accuracy(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.tensor([1, 1]))
    tensor(0.5000)
    """
    return (logits.argmax(dim=1) == labels).float().mean()
