"""A score that also says how well its box fits, so that the best of many boxes comes first.

Uses anchors.py. losses.py adds it to the class loss.

The overlap as what a score is to reach is from Li et al., "Generalized Focal Loss", NeurIPS 2020.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from detlab.boxes import paired_iou
from detlab.checks import check_fraction
from detlab.detector.anchors import decode_deltas
from detlab.types import Predictions


def quality_loss(
    predictions: Predictions,
    labels: Int64[Tensor, "B A"],
    gt_boxes: Float[Tensor, "B A 4"],
    quality: float,
) -> Float[Tensor, ""]:
    """What the summed class loss is more by, where a score is to reach less for a loose box.

    A positive anchor's class is to reach 1 - quality · (1 − IoU) instead of 1; background, or the
    no of a sigmoid, gets the rest. Cross-entropy is linear in what is to be reached, so the rest
    costs itself times the difference of the two logits. No gradient goes through the IoU.

    Args:
        predictions: what the detector said of the batch.
        labels: what each anchor is to learn, 0 for background, see `losses.match_batch`.
        gt_boxes: the box of each anchor, in pixels of the batch's images.
        quality: 0 asks every positive for a score of 1, 1 for its IoU.

    Raises:
        ValueError: quality is not from 0 to 1.

    >>> anchors = torch.tensor([[0.0, 0.0, 8.0, 8.0]])
    >>> said = Predictions(torch.tensor([[[1.0, 3.0]]]), torch.zeros(1, 1, 4), anchors, "softmax")
    >>> box = torch.tensor([[[0.0, 0.0, 8.0, 4.0]]])  # half the anchor
    >>> quality_loss(said, torch.tensor([[1]]), box, quality=1.0)  # 1/2 · (3 - 1)
    tensor(1.)
    """
    check_fraction("quality", quality)
    positive = labels > 0
    anchors = predictions.anchors.expand_as(gt_boxes)[positive]
    deltas = predictions.deltas[positive].detach().float()
    boxes = decode_deltas(deltas, anchors, predictions.delta_weights)
    rest = quality * (1 - paired_iou(boxes, gt_boxes[positive]))
    logits = predictions.logits[positive].float()
    ahead = torch.take_along_dim(logits, labels[positive][:, None], dim=1)[:, 0]
    if predictions.activation == "softmax":
        ahead = ahead - logits[:, 0]
    return (rest * ahead).sum()
