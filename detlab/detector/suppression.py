"""One box per object: of boxes that overlap too much only the best stays.

Uses boxes.py. Non-maximum suppression (NMS) in the form used here is
from Dalal and Triggs, CVPR 2005; Soft-NMS from Bodla et al., "Soft-NMS", ICCV 2017.
"""

from collections.abc import Callable, Iterator

import torch
import torchvision
from jaxtyping import Float, Int64
from torch import Tensor

from detlab.boxes import box_iou
from detlab.checks import check_count, check_each, check_fraction, check_positive
from detlab.types import Detection

Nms = Callable[[Tensor, Tensor, float], Tensor]
"""boxes [N 4], scores [N], IoU threshold to the rows kept, best score first."""


def nms(
    boxes: Float[Tensor, "N 4"], scores: Float[Tensor, " N"], iou_threshold: float
) -> Int64[Tensor, " K"]:
    """Take the best box, suppress all that overlap it by more than the threshold, go on.

    A suppressed box suppresses nobody. The model uses torchvision's compiled twin of this.

    Returns:
        The rows kept, best score first; of equal scores the earlier row.

    Raises:
        ValueError: not one score a box, a number that is none, or a threshold outside 0 to 1; so
            do all functions of this file.

    >>> boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 8.0], [20.0, 0.0, 30.0, 5.0]])
    >>> nms(boxes, torch.tensor([0.9, 0.8, 0.7]), iou_threshold=0.5)
    tensor([0, 2])
    """
    check_each(boxes, scores=scores)
    check_fraction("iou_threshold", iou_threshold)
    waiting = scores.argsort(descending=True, stable=True)
    kept = []
    while len(waiting) > 0:
        best, others = waiting[0], waiting[1:]
        kept.append(best)
        iou = box_iou(boxes[best, None], boxes[others])[0]
        waiting = others[iou.double() <= iou_threshold]  # in float32 0.1 is above 0.1
    return torch.stack(kept) if kept else waiting


def suppressed_by(
    boxes: Float[Tensor, "N 4"],
    scores: Float[Tensor, " N"],
    iou_threshold: float,
    nms: Nms = torchvision.ops.nms,
) -> Int64[Tensor, " N"]:
    """Whom NMS blames: of each box the row that suppressed it, of a kept box its own row.

    The first box taken that overlaps it too much was it, so the blame never falls on a box that
    was suppressed itself.

    >>> boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 8.0], [20.0, 0.0, 30.0, 5.0]])
    >>> suppressed_by(boxes, torch.tensor([0.9, 0.8, 0.7]), iou_threshold=0.5)
    tensor([0, 0, 2])
    """
    check_each(boxes, scores=scores)
    check_fraction("iou_threshold", iou_threshold)
    kept = nms(boxes, scores, iou_threshold)
    if len(kept) == 0:
        return kept
    too_close = box_iou(boxes[kept], boxes).double() > iou_threshold  # [K, N]
    suppressor = kept[too_close.int().argmax(dim=0)]  # the first in the order of taking
    suppressor[kept] = kept
    return suppressor


def separate_classes(
    boxes: Float[Tensor, "N 4"], labels: Int64[Tensor, " N"]
) -> Float[Tensor, "N 4"]:
    """Move each class to a place of its own, so that NMS never compares two classes.

    >>> separate_classes(torch.tensor([[0.0, 0.0, 9.0, 4.0]] * 2), torch.tensor([0, 2]))
    tensor([[ 0.,  0.,  9.,  4.],
            [20., 20., 29., 24.]])
    """
    check_each(boxes, labels=labels)
    if len(boxes) == 0:
        return boxes
    extent = boxes.max() - boxes.min() + 1  # corners may be negative
    return boxes + (labels * extent)[:, None]


def nms_per_class(
    boxes: Float[Tensor, "N 4"],
    labels: Int64[Tensor, " N"],
    scores: Float[Tensor, " N"],
    iou_threshold: float,
    nms: Nms = torchvision.ops.nms,
) -> Int64[Tensor, " K"]:
    """NMS of every class by itself: a fish suppresses fish, never a turtle.

    Returns:
        The rows kept, best score first.

    >>> boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0]] * 3)
    >>> nms_per_class(boxes, torch.tensor([1, 1, 2]), torch.tensor([0.7, 0.8, 0.9]), 0.5)
    tensor([2, 1])
    """
    check_each(boxes, labels=labels, scores=scores)
    check_fraction("iou_threshold", iou_threshold)
    return nms(separate_classes(boxes, labels), scores, iou_threshold)


def soft_nms(
    boxes: Float[Tensor, "N 4"], scores: Float[Tensor, " N"], sigma: float = 0.5
) -> Float[Tensor, " N"]:
    """New scores: each box lowers those that overlap it, by exp(−IoU² / sigma), best first.

    Nothing is thrown away, so a second animal behind the first keeps a chance.

    >>> boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 5.0]])
    >>> soft_nms(boxes, torch.tensor([1.0, 0.8]))  # 0.8 · exp(−0.5² / 0.5)
    tensor([1.0000, 0.4852])
    """
    for _, lowered in soft_nms_steps(boxes, scores, sigma):
        scores = lowered
    return scores.clone()


def soft_nms_steps(
    boxes: Float[Tensor, "N 4"], scores: Float[Tensor, " N"], sigma: float = 0.5
) -> Iterator[tuple[int, Float[Tensor, " N"]]]:
    """The decisions of Soft-NMS one by one: the row that was taken, and all scores after that.

    Raises:
        ValueError: sigma is not above 0, or a score is below: a factor would raise it.

    >>> boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 5.0]])
    >>> [row for row, _ in soft_nms_steps(boxes, torch.tensor([0.8, 1.0]))]
    [1, 0]
    """
    check_each(boxes, scores=scores)
    check_positive("sigma", sigma)
    if (scores < 0).any():
        raise ValueError(f"soft_nms: want scores >= 0, got {scores.tolist()}")
    waiting = torch.ones_like(scores, dtype=torch.bool)
    iou = box_iou(boxes, boxes)
    for _ in range(len(boxes)):
        best = int(scores.masked_fill(~waiting, -1.0).argmax())
        waiting[best] = False
        scores = torch.where(waiting, scores * torch.exp(-(iou[best] ** 2) / sigma), scores)
        yield best, scores


def suppress(
    raw: Detection,
    score_threshold: float = 0.3,
    iou_threshold: float = 0.5,
    max_detections: int = 100,
    per_class: bool = True,
    nms: Nms = torchvision.ops.nms,
    soft_sigma: float | None = None,
) -> Detection:
    """Raw boxes of one image to one box per object, best score first.

    The options are those of `postprocess.select_detections`.
    """
    check_fraction("score_threshold", score_threshold)
    check_count("max_detections", max_detections)
    boxes, labels, scores = raw["boxes"], raw["labels"], raw["scores"]
    rivals = labels if per_class else torch.zeros_like(labels)  # zeros: one class of all
    if soft_sigma is None:
        keep = nms_per_class(boxes, rivals, scores, iou_threshold, nms)[:max_detections]
    else:
        scores = soft_nms(separate_classes(boxes, rivals), scores, soft_sigma)
        order = scores.argsort(descending=True, stable=True)[:max_detections]
        keep = order[scores[order] > score_threshold]
    return Detection(boxes=boxes[keep], labels=labels[keep], scores=scores[keep])
