"""What a set is like, in a few numbers: its pictures, how large the objects are, how crowded.

Uses records.py and symmetry.py; recipe.py chooses by it how a detector is to learn the set.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import geometric_mean, median
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torchvision.ops import box_iou

from detlab.data.records import Record
from detlab.data.symmetry import Symmetry, measure_symmetry

RARE = 0.01
"""A class with a smaller share of the boxes does not decide for all."""
SEEN_AT = 320
"""Pixels to which pictures are decoded that are looked at."""
NEARLY_ALL = 0.95
"""Quantile that stands for the largest: one odd box says nothing."""


@dataclass(frozen=True)
class SetStatistics:
    """A training split in numbers; lengths are fractions of the picture's longest side."""

    picture_size: tuple[int, int]
    """Height and width in pixels; the median of each."""
    typical: float
    """Size of a typical object, the square root of its area, see `typical_size`; 0 of none."""
    large: float
    """Hardly a box of any class has a longer side."""
    overlapping: float
    """Share of the boxes that overlap another one."""
    symmetry: Symmetry


def describe_set(dataset: Any) -> SetStatistics:
    """The statistics of a FolderDataset; some of its pictures are decoded, its boxes all read."""
    records: Sequence[Record] = dataset.records
    sizes = [record.image_size for record in records if record.image_size is not None]
    sides = torch.cat([relative_sides(record) for record in records])
    labels = torch.cat([record.labels for record in records])
    return SetStatistics(
        picture_size=(round(median(h for h, _ in sizes)), round(median(w for _, w in sizes))),
        typical=typical_size(sides.prod(dim=1).sqrt(), labels),
        large=sides.amax(dim=1).quantile(NEARLY_ALL).item() if len(sides) else 0.0,
        overlapping=overlapping_share(records),
        symmetry=measure_symmetry(dataset.resized(SEEN_AT)),
    )


def relative_sides(record: Record) -> Float[Tensor, "N 2"]:
    """Width and height of each box, as fractions of its picture's longest side."""
    assert record.image_size is not None  # a sound record has been measured
    return (record.boxes[:, 2:] - record.boxes[:, :2]) / max(record.image_size)


def typical_size(sizes: Float[Tensor, " N"], labels: Int64[Tensor, " N"]) -> float:
    """The geometric mean of the classes' median sizes, for AP is a mean of classes; 0 of nothing.

    >>> sizes = torch.tensor([0.1, 0.1, 0.1, 0.4])
    >>> round(typical_size(sizes, labels=torch.tensor([1, 1, 1, 2])), 3)
    0.2
    """
    medians = [
        sizes[labels == label].median().item()
        for label in labels.unique()
        if (labels == label).sum() >= RARE * len(labels)
    ]
    return geometric_mean(medians) if medians else 0.0


def overlapping_share(records: Sequence[Record]) -> float:
    """Share of all boxes that overlap another one of their picture; 0 where there are none."""
    number, overlapping = 0, 0
    for record in records:
        others = box_iou(record.boxes, record.boxes).fill_diagonal_(0)
        overlapping += int((others > 0).any(dim=1).sum())
        number += len(others)
    return overlapping / max(1, number)
