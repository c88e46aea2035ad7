"""How boxes of one class overlap in their picture: what is double, and what NMS would lose.

Uses detector/suppression.py. Only boxes of one class whose sides can overlap are compared, so that
a picture of thousands of boxes takes a moment.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from detlab.boxes import box_iou, paired_iou
from detlab.data.records import Record
from detlab.detector.suppression import nms_per_class


class Overlaps(NamedTuple):
    """Pairs of boxes of one class in one picture, the first row the smaller."""

    pairs: Int64[Tensor, "P 2"]
    iou: Float[Tensor, " P"]


def overlaps(record: Record, least: float) -> Overlaps:
    """All pairs of boxes of one class with an IoU of at least `least`, which is above 0.

    Boxes are sorted by class, then by their left side: one that begins right of another's end
    cannot overlap it, nor can any after it.
    """
    order = torch.argsort(record.boxes[:, 0], stable=True)
    order = order[torch.argsort(record.labels[order], stable=True)]
    boxes, labels = record.boxes[order], record.labels[order]
    pairs, ious = [torch.zeros(0, 2, dtype=torch.int64)], [torch.zeros(0)]
    at = torch.arange(len(boxes))
    for step in range(1, len(boxes)):
        at = at[at < len(boxes) - step]
        near = (labels[at + step] == labels[at]) & (boxes[at + step, 0] < boxes[at, 2])
        at = at[near]
        if len(at) == 0:
            break
        iou = paired_iou(boxes[at], boxes[at + step])
        pairs.append(order[torch.stack([at, at + step], dim=1)[iou >= least]])
        ious.append(iou[iou >= least])
    return Overlaps(torch.cat(pairs).sort(dim=1).values, torch.cat(ious))


def iou_in_class(record: Record) -> Float[Tensor, "M M"]:
    """The IoU of each box with each of its picture; 0 where their classes differ."""
    return box_iou(record.boxes, record.boxes) * (record.labels[:, None] == record.labels)


def crowded_fraction(records: Sequence[Record], least: float) -> float:
    """The fraction of boxes that overlap another of their class by an IoU of at least `least`."""
    crowded = sum(len(overlaps(record, least).pairs.unique()) for record in records)
    return crowded / max(1, sum(len(record.boxes) for record in records))


def lost_to_nms(records: Sequence[Record], iou_threshold: float) -> float:
    """The fraction of objects that NMS suppresses though every box is perfect: crowds cost that."""
    lost = total = 0
    for record in records:
        scores = torch.ones(len(record.boxes))
        kept = nms_per_class(record.boxes, record.labels, scores, iou_threshold)
        lost += len(record.boxes) - len(kept)
        total += len(record.boxes)
    return lost / max(1, total)
