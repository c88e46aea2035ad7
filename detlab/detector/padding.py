"""Padding is not picture: nothing that stands in it is reported.

`images.batch_images` fills pictures up with zeros on the right and below, and the network has
anchors there, too.
"""

from collections.abc import Callable

import torchvision
from jaxtyping import Float, Int64
from torch import Tensor

from detlab.types import Predictions

Candidates = Callable[
    [Predictions, int, tuple[int, int], float, int], tuple[Tensor, Tensor, Tensor]
]
"""predictions, row of an image, its size, score threshold, how many: boxes, labels, scores."""
MIN_SIDE = 0.01
"""Pixels of what the network sees: what clipping leaves thinner is no box. RoI heads do so, too."""


def leave_out_thin(
    predictions: Predictions,
    row: int,
    image_size: tuple[int, int],
    score_threshold: float,
    max_candidates: int,
    candidates: Candidates,
) -> tuple[Float[Tensor, "N 4"], Int64[Tensor, " N"], Float[Tensor, " N"]]:
    """The raw boxes of one image that clipping leaves MIN_SIDE or more of.

    Args are those of `postprocess.select_candidates`, which is what `candidates` is as a rule.
    What is left out takes no place among the best `max_candidates`: as long as too few are left,
    twice as many are asked for.
    """
    asked = max_candidates
    while True:
        boxes, labels, scores = candidates(predictions, row, image_size, score_threshold, asked)
        kept = torchvision.ops.remove_small_boxes(boxes, MIN_SIDE)
        if len(boxes) < asked or len(kept) >= max_candidates:
            kept = kept[:max_candidates]
            return boxes[kept], labels[kept], scores[kept]
        asked *= 2


def without_padding(predictions: Predictions, image_size: tuple[int, int]) -> Predictions:
    """What was said of images of one size by the anchors that stand in them.

    `batch_images` fills pictures up with zeros; an anchor whose centre lies there looks at nothing.

    >>> import torch
    >>> anchors = torch.tensor([[0.0, 0.0, 8.0, 8.0], [16.0, 0.0, 24.0, 8.0]])
    >>> said = Predictions(torch.zeros(1, 2, 3), torch.zeros(1, 2, 4), anchors)
    >>> without_padding(said, image_size=(8, 18)).anchors
    tensor([[0., 0., 8., 8.]])
    """
    height, width = image_size
    centres = (predictions.anchors[:, :2] + predictions.anchors[:, 2:]) / 2
    inside = ((centres >= 0) & (centres < centres.new_tensor([width, height]))).all(dim=1)
    if inside.all():  # no padding, so nothing to copy
        return predictions
    return predictions._replace(
        logits=predictions.logits[:, inside],
        deltas=predictions.deltas[:, inside],
        anchors=predictions.anchors[inside],
    )
