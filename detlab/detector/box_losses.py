"""How far boxes are off: number by number, or as overlap.

Uses anchors.py. A loss of this file ends in `_box_loss` where it reads deltas of anchors.

Smooth L1 is from Girshick, "Fast R-CNN", ICCV 2015; GIoU as a loss from Rezatofighi et al.,
"Generalized Intersection over Union", CVPR 2019; the overlap as what a score is to reach from Li et
al., "Generalized Focal Loss", NeurIPS 2020.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from detlab.boxes import paired_giou, paired_iou
from detlab.checks import check_fraction, check_positive, check_rows
from detlab.detector.anchors import Decode, Encode, decode_deltas, encode_boxes
from detlab.types import Predictions

BoxLoss = Callable[[Tensor, Tensor, Tensor, Sequence[float]], Tensor]
"""deltas [P 4], anchors [P 4], gt_boxes [P 4], delta weights to the summed loss, a scalar."""


def l1_loss(predicted: Float[Tensor, "*n"], wanted: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """The distance: every error pulls equally hard.

    >>> l1_loss(torch.tensor([3.0]), torch.tensor([1.0]))
    tensor([2.])
    """
    return (predicted - wanted).abs()


def squared_loss(
    predicted: Float[Tensor, "*n"], wanted: Float[Tensor, "*n"]
) -> Float[Tensor, "*n"]:
    """The distance squared (L2): an error twice as large pulls twice as hard.

    >>> squared_loss(torch.tensor([3.0]), torch.tensor([1.0]))
    tensor([4.])
    """
    return (predicted - wanted) ** 2


def smooth_l1_loss(
    predicted: Float[Tensor, "*n"], wanted: Float[Tensor, "*n"], beta: float = 1.0
) -> Float[Tensor, "*n"]:
    """Square below an error of beta, straight above: gentle at the goal, calm about outliers.

    Raises:
        ValueError: beta is not above 0. At 0 it would be `l1_loss`.

    >>> smooth_l1_loss(torch.tensor([1.5, 4.0]), torch.tensor([1.0, 1.0]))
    tensor([0.1250, 2.5000])
    """
    check_positive("beta", beta)
    distance = (predicted - wanted).abs()
    return torch.where(distance < beta, distance**2 / (2 * beta), distance - beta / 2)


def iou_loss(boxes: Float[Tensor, "P 4"], gt_boxes: Float[Tensor, "P 4"]) -> Float[Tensor, " P"]:
    """1 − IoU of each pair: 0 the same, 1 apart, and there without a gradient.

    >>> iou_loss(torch.tensor([[0.0, 0.0, 4.0, 2.0]]), torch.tensor([[2.0, 0.0, 4.0, 2.0]]))
    tensor([0.5000])
    """
    return 1 - paired_iou(boxes, gt_boxes)


def giou_loss(
    boxes: Float[Tensor, "P 4"],
    gt_boxes: Float[Tensor, "P 4"],
    giou: Callable[[Tensor, Tensor], Tensor] = paired_giou,
) -> Float[Tensor, " P"]:
    """1 − GIoU of each pair: 0 the same, 2 far apart.

    >>> giou_loss(torch.tensor([[0.0, 0.0, 4.0, 2.0]]), torch.tensor([[6.0, 0.0, 8.0, 2.0]]))
    tensor([1.2500])
    """
    return 1 - giou(boxes, gt_boxes)


def l1_box_loss(
    deltas: Float[Tensor, "P 4"],
    anchors: Float[Tensor, "P 4"],
    gt_boxes: Float[Tensor, "P 4"],
    weights: Sequence[float],
) -> Float[Tensor, ""]:
    """L1 on deltas, summed.

    Raises:
        ValueError: not equally many deltas, anchors and boxes; so do all box losses.

    >>> anchor, box = torch.tensor([[0.0, 0.0, 8.0, 8.0]]), torch.tensor([[4.0, 0.0, 12.0, 8.0]])
    >>> l1_box_loss(torch.zeros(1, 4), anchor, box, (1.0, 1.0, 1.0, 1.0))  # half a width off
    tensor(0.5000)
    """
    check_rows(deltas=deltas, anchors=anchors, gt_boxes=gt_boxes)
    return l1_loss(deltas, encode_boxes(gt_boxes, anchors, weights)).sum()


def smooth_l1_box_loss(
    deltas: Float[Tensor, "P 4"],
    anchors: Float[Tensor, "P 4"],
    gt_boxes: Float[Tensor, "P 4"],
    weights: Sequence[float],
    encode: Encode = encode_boxes,
    smooth_l1: Callable[[Tensor, Tensor, float], Tensor] = smooth_l1_loss,
) -> Float[Tensor, ""]:
    """Smooth L1 on deltas, summed; beta 1/9 because deltas are mostly below 1.

    >>> anchor, box = torch.tensor([[0.0, 0.0, 8.0, 8.0]]), torch.tensor([[4.0, 0.0, 12.0, 8.0]])
    >>> smooth_l1_box_loss(torch.zeros(1, 4), anchor, box, (1.0, 1.0, 1.0, 1.0))  # 1/2 - 1/18
    tensor(0.4444)
    """
    check_rows(deltas=deltas, anchors=anchors, gt_boxes=gt_boxes)
    return smooth_l1(deltas, encode(gt_boxes, anchors, weights), 1 / 9).sum()


def giou_box_loss(
    deltas: Float[Tensor, "P 4"],
    anchors: Float[Tensor, "P 4"],
    gt_boxes: Float[Tensor, "P 4"],
    weights: Sequence[float],
    decode: Decode = decode_deltas,
    giou: Callable[[Tensor, Tensor], Tensor] = paired_giou,
) -> Float[Tensor, ""]:
    """GIoU loss of the decoded boxes, summed.

    >>> anchor, box = torch.tensor([[0.0, 0.0, 8.0, 8.0]]), torch.tensor([[4.0, 0.0, 12.0, 8.0]])
    >>> giou_box_loss(torch.zeros(1, 4), anchor, box, (1.0, 1.0, 1.0, 1.0))  # IoU 32 / 96
    tensor(0.6667)
    """
    check_rows(deltas=deltas, anchors=anchors, gt_boxes=gt_boxes)
    return giou_loss(decode(deltas, anchors, weights), gt_boxes, giou).sum()


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
