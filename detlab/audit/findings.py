"""What a data set's labels look like: not what is broken, but what deserves a second look.

Follows check.py, which finds what cannot be used at all. Everything here may be right; a person
decides. Uses twins.py.

Kinds of finding: a box drawn twice, a box whose size does not fit its class, a picture without
a class that nearly all have, a picture without any object, and the same scene in two pictures,
worst of all in two splits.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from detlab.audit.twins import find_twins
from detlab.boxes import box_area, box_iou
from detlab.data.records import Record
from detlab.detector.suppression import nms_per_class

DOUBLE = 0.9
"""IoU from which two boxes of one class are one object, drawn twice."""
OUTLIER = 6.0
"""Robust standard deviations from which a size is odd for its class …"""
FACTOR = 1.5
"""… if it also is so many times larger or smaller: where most are equal, all others deviate."""
FEWEST = 20
"""Boxes of a class, or pictures, from which one can say what is usual."""
COMMON = 0.95
"""Fraction of the pictures that show a class from which the others look forgotten."""
MOST_PICTURES = 1000
"""Every picture is compared with every other; of more pictures that would take many minutes."""


class Finding(NamedTuple):
    """Something to look at; `boxes` are rows of the first record's boxes."""

    kind: str
    records: tuple[Record, ...]
    boxes: tuple[int, ...]
    what: str

    @property
    def pictures(self) -> tuple[Path, ...]:
        """The picture of each record."""
        return tuple(record.image for record in self.records)


@dataclass(frozen=True)
class Audit:
    """What was found, and what the set is like."""

    findings: tuple[Finding, ...]
    counts: Mapping[str, int]
    """Boxes of each class."""
    sizes: Mapping[str, int]
    """Boxes that COCO calls small, medium and large."""
    crowded: Mapping[float, float]
    """For IoU thresholds: the fraction of boxes with a neighbour of their class above it."""
    lost: Mapping[float, float]
    """For IoU thresholds: the fraction of perfect boxes that NMS would suppress."""


def audit(splits: Mapping[str, Sequence[Record]], class_names: Sequence[str]) -> Audit:
    """Look at all splits of a data set together.

    Args:
        splits: sound records of each split (see `check.check_record`), by its name.
        class_names: "background" first.
    """
    records = [record for split in splits.values() for record in split]
    labels = torch.cat([record.labels for record in records])
    areas = torch.cat([box_area(record.boxes) for record in records])
    return Audit(
        findings=(
            *twins_of(splits),
            *size_outliers(records, class_names),
            *(found for record in records for found in double_boxes(record, class_names)),
            *missing_classes(records, class_names),
            *(empty(record) for record in records if len(record.boxes) == 0),
        ),
        counts={name: int((labels == row).sum()) for row, name in enumerate(class_names) if row},
        sizes={
            "small": int((areas < 32**2).sum()),
            "medium": int(((areas >= 32**2) & (areas < 96**2)).sum()),
            "large": int((areas >= 96**2).sum()),
        },
        crowded={limit: crowded_fraction(records, limit) for limit in (0.3, 0.5)},
        lost={limit: lost_to_nms(records, limit) for limit in (0.3, 0.5)},
    )


def empty(record: Record) -> Finding:
    """A picture without objects teaches background, if that is what it shows."""
    return Finding("no object", (record,), (), "no object in this picture")


def missing_classes(records: Sequence[Record], class_names: Sequence[str]) -> list[Finding]:
    """Pictures with boxes, but with none of a class that nearly all others have."""
    boxed = [record for record in records if len(record.boxes)]
    if len(boxed) < FEWEST:
        return []
    found = []
    for label, name in enumerate(class_names[1:], start=1):
        without = [record for record in boxed if label not in record.labels]
        fraction = 1 - len(without) / len(boxed)
        if fraction >= COMMON:
            what = f"no {name} here, but in {fraction:.0%} of the pictures"
            found += [Finding("class missing", (record,), (), what) for record in without]
    return found


def iou_in_class(record: Record) -> Float[Tensor, "M M"]:
    """The IoU of each box with each of its picture; 0 where their classes differ."""
    return box_iou(record.boxes, record.boxes) * (record.labels[:, None] == record.labels)


def double_boxes(
    record: Record, class_names: Sequence[str], least: float = DOUBLE
) -> list[Finding]:
    """Pairs of boxes of one class that all but cover each other."""
    iou = iou_in_class(record).triu(diagonal=1)
    return [
        Finding(
            "double box",
            (record,),
            (first, second),
            f"{record.objects[first]} and {record.objects[second]}, both "
            f"{class_names[int(record.labels[first])]}, have IoU {float(iou[first, second]):.2f}",
        )
        for first, second in (iou >= least).nonzero().tolist()
    ]


def size_outliers(
    records: Sequence[Record], class_names: Sequence[str], least: float = OUTLIER
) -> list[Finding]:
    """Boxes much larger or smaller than their class usually is, the oddest first."""
    places = [(record, row) for record in records for row in range(len(record.boxes))]
    labels = torch.cat([record.labels for record in records])
    sizes = torch.cat([box_area(record.boxes) for record in records]).sqrt()
    found = []
    for label in labels.unique().tolist():
        (rows,) = (labels == label).nonzero(as_tuple=True)
        if len(rows) < FEWEST:
            continue
        logs = sizes[rows].log()
        oddness = robust_scores(logs).abs()
        far = (logs - logs.median()).abs() >= math.log(FACTOR)
        for row, odd in zip(rows[far].tolist(), oddness[far].tolist(), strict=True):
            if odd >= least:
                found.append((odd, label, *places[row], float(sizes[row])))
    found.sort(key=lambda entry: -entry[0])
    return [
        Finding(
            "odd size",
            (record,),
            (row,),
            f"{record.objects[row]}, {class_names[label]}, is {size:.0f} px across:"
            f" {odd:.0f} deviations from what is usual",
        )
        for odd, label, record, row, size in found
    ]


def robust_scores(values: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """How many standard deviations each value lies from the middle, told by medians.

    The few that are far away do not move a median, so they cannot hide themselves.

    >>> robust_scores(torch.tensor([1.0, 2.0, 3.0, 4.0, 100.0])).round(decimals=1)
    tensor([-1.3000, -0.7000,  0.0000,  0.7000, 65.4000])
    """
    away = values - values.median()
    usual = 1.4826 * away.abs().median()  # equals the standard deviation where values are normal
    return away / usual.clamp(min=1e-6)


def twins_of(splits: Mapping[str, Sequence[Record]]) -> list[Finding]:
    """Pictures of the same scene; those in two splits first, because they make a test worthless."""
    places = [(record, name) for name, split in splits.items() for record in split]
    places.sort(key=lambda place: place[0].image)
    if not 1 < len(places) <= MOST_PICTURES:
        return []
    found = []
    for first, second, likeness in find_twins([record.image for record, _ in places]):
        (one, here), (other, there) = places[first], places[second]
        kind, where = "twins", here
        if here != there:
            kind, where = "twins across splits", f"{here} and {there}"
        found.append(Finding(kind, (one, other), (), f"the same scene, {likeness:.2f}, in {where}"))
    return sorted(found, key=lambda finding: finding.kind != "twins across splits")


def crowded_fraction(records: Sequence[Record], least: float) -> float:
    """The fraction of boxes that overlap another of their class by an IoU of at least `least`."""
    crowded = total = 0
    for record in records:
        iou = iou_in_class(record).fill_diagonal_(0)
        crowded += int((iou >= least).any(dim=1).sum())
        total += len(record.boxes)
    return crowded / max(1, total)


def lost_to_nms(records: Sequence[Record], iou_threshold: float) -> float:
    """The fraction of objects that NMS suppresses though every box is perfect: crowds cost that."""
    lost = total = 0
    for record in records:
        scores = torch.ones(len(record.boxes))
        kept = nms_per_class(record.boxes, record.labels, scores, iou_threshold)
        lost += len(record.boxes) - len(kept)
        total += len(record.boxes)
    return lost / max(1, total)
