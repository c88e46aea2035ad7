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
    """Pairs of boxes of one class in one picture; boxes are numbered through all pictures."""

    pairs: Int64[Tensor, "P 2"]
    """The smaller number first."""
    iou: Float[Tensor, " P"]
    pictures: Int64[Tensor, " N"]
    """For each box the row of its picture."""
    rows: Int64[Tensor, " N"]
    """For each box its row in that picture."""


def overlaps(records: Sequence[Record], least: float) -> Overlaps:
    """All pairs of boxes of one class with an IoU of at least `least`, which is above 0.

    Boxes are sorted by picture and class, then by their left side: one that begins right of
    another's end cannot overlap it, nor can any after it.
    """
    boxes = torch.cat([torch.zeros(0, 4), *(record.boxes for record in records)])
    labels = torch.cat([torch.zeros(0).long(), *(record.labels for record in records)])
    lengths = torch.tensor([len(record.boxes) for record in records], dtype=torch.int64)
    pictures = torch.arange(len(records)).repeat_interleave(lengths)
    rows = torch.arange(len(boxes)) - (lengths.cumsum(0) - lengths)[pictures]
    kinds = pictures * (1 + max(labels.tolist(), default=0)) + labels
    pairs, iou = overlapping(boxes, kinds, least)
    return Overlaps(pairs, iou, pictures, rows)


def overlapping(
    boxes: Float[Tensor, "N 4"], kinds: Int64[Tensor, " N"], least: float
) -> tuple[Int64[Tensor, "P 2"], Float[Tensor, " P"]]:
    """Pairs of boxes of one kind with an IoU of at least `least`, and that IoU."""
    order = torch.argsort(boxes[:, 0], stable=True)
    order = order[torch.argsort(kinds[order], stable=True)]
    boxes, kinds = boxes[order], kinds[order]
    pairs, ious = [torch.zeros(0, 2, dtype=torch.int64)], [torch.zeros(0)]
    at = torch.arange(len(boxes))
    for step in range(1, len(boxes)):
        at = at[at < len(boxes) - step]
        at = at[(kinds[at + step] == kinds[at]) & (boxes[at + step, 0] < boxes[at, 2])]
        if len(at) == 0:
            break
        iou = paired_iou(boxes[at], boxes[at + step])
        pairs.append(order[torch.stack([at, at + step], dim=1)[iou >= least]])
        ious.append(iou[iou >= least])
    return torch.cat(pairs).sort(dim=1).values, torch.cat(ious)


def iou_in_class(record: Record) -> Float[Tensor, "M M"]:
    """The IoU of each box with each of its picture; 0 where their classes differ."""
    return box_iou(record.boxes, record.boxes) * (record.labels[:, None] == record.labels)


def crowded_fraction(records: Sequence[Record], least: float) -> float:
    """The fraction of boxes that overlap another of their class by an IoU of at least `least`."""
    found = overlaps(records, least)
    return len(found.pairs.unique()) / max(1, len(found.rows))


def lost_to_nms(records: Sequence[Record], iou_threshold: float) -> float:
    """The fraction of objects that NMS suppresses though every box is perfect: crowds cost that.

    Where nothing overlaps nothing is lost, so only the other pictures are tried.
    """
    found = overlaps(records, iou_threshold)
    lost = 0
    for row in found.pictures[found.pairs[:, 0]].unique().tolist():
        record = records[row]
        scores = torch.ones(len(record.boxes))
        kept = nms_per_class(record.boxes, record.labels, scores, iou_threshold)
        lost += len(record.boxes) - len(kept)
    return lost / max(1, len(found.rows))
