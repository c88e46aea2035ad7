"""Boxes that look wrong: drawn twice, of odd size, or at the same place in every picture.

Uses crowds.py and distinct.py.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from detlab.audit.crowds import overlaps
from detlab.audit.distinct import distinct
from detlab.audit.kinds import FEWEST, Finding
from detlab.boxes import box_area
from detlab.data.records import Record

DOUBLE = 0.9
"""IoU from which two boxes of one class are one object, drawn twice."""
OUTLIER = 6.0
"""Robust standard deviations from which a size is odd for its class …"""
FACTOR = 1.5
"""… if it also is so many times larger or smaller: where most are equal, all others deviate."""
PLACES = 40
"""A box stands where another stood if their sides differ by less than 1 / PLACES of the picture."""
NEARLY_ALL = 0.8
"""Fraction of the pictures with boxes from which one that stands in them never moves."""


def double_boxes(
    records: Sequence[Record], class_names: Sequence[str], least: float = DOUBLE
) -> list[Finding]:
    """Boxes that all but cover another one of their class: each with the one it covers most."""
    pairs, iou, pictures, rows = overlaps(records, least)
    best: dict[int, tuple[float, int]] = {}
    for (first, second), covered in zip(pairs.tolist(), iou.tolist(), strict=True):
        best[second] = max(best.get(second, (0.0, 0)), (covered, -first))
    found = []
    for second, (covered, minus_first) in sorted(best.items()):
        record = records[int(pictures[second])]
        one, other = int(rows[-minus_first]), int(rows[second])
        what = f"{record.objects[one]} and {record.objects[other]}, both "
        what += f"{class_names[int(record.labels[other])]}, have IoU {covered:.2f}"
        found.append(Finding("double box", (record,), (one, other), what))
    return found


def size_outliers(
    records: Sequence[Record], class_names: Sequence[str], least: float = OUTLIER
) -> list[Finding]:
    """Boxes much larger or smaller than their class usually is, the oddest first."""
    places = [(record, row) for record in records for row in range(len(record.boxes))]
    if not places:
        return []
    labels = torch.cat([record.labels for record in records])
    sizes = torch.cat([box_area(record.boxes) for record in records]).sqrt()
    found = []
    for rows in rows_of_classes(labels):
        if len(rows) < FEWEST:
            continue
        logs = sizes[rows].log()
        oddness = robust_scores(logs).abs()
        far = (logs - logs.median()).abs() >= math.log(FACTOR)
        for row, odd in zip(rows[far].tolist(), oddness[far].tolist(), strict=True):
            if odd >= least:
                found.append((odd, int(labels[row]), *places[row], float(sizes[row])))
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


def rows_of_classes(labels: Int64[Tensor, " N"]) -> list[Int64[Tensor, " _"]]:
    """For each class that is there, its rows in order.

    >>> [rows.tolist() for rows in rows_of_classes(torch.tensor([4, 1, 4]))]
    [[1], [0, 2]]
    """
    labels, order = labels.sort(stable=True)
    counts = labels.unique_consecutive(return_counts=True)[1]
    return list(order.split(counts.tolist()))


def robust_scores(values: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """How many standard deviations each value lies from the middle, told by medians.

    The few that are far away do not move a median, so they cannot hide themselves.

    >>> robust_scores(torch.tensor([1.0, 2.0, 3.0, 4.0, 100.0])).round(decimals=1)
    tensor([-1.3000, -0.7000,  0.0000,  0.7000, 65.4000])
    """
    away = values - values.median()
    usual = 1.4826 * away.abs().median()  # equals the standard deviation where values are normal
    return away / usual.clamp(min=1e-6)


def boxes_that_stay(records: Sequence[Record], class_names: Sequence[str]) -> list[Finding]:
    """Boxes that stand at the same place in nearly all pictures: copied, or part of the view.

    Args:
        records: sound ones, whose `image_size` is known.
        class_names: "background" first.
    """
    boxed = [record for record in records if len(record.boxes)]
    if len(boxed) < FEWEST:
        return []
    found: dict[int, Finding] = {}
    for nudge in (0.0, 0.5):  # where sides lie on the border of two cells, half a cell helps
        for first, fraction in staying(boxed, nudge):
            record, row = nth_box(boxed, first)
            where = f"stands at this place in {fraction:.0%} of the pictures"
            what = f"{record.objects[row]}, {class_names[int(record.labels[row])]}, {where}"
            found.setdefault(first, Finding("same place", (record,), (row,), what))
    return [found[first] for first in sorted(found)]


def staying(records: Sequence[Record], nudge: float) -> Iterator[tuple[int, float]]:
    """Of each box that stays: its first number, counted through all records, and how many show it.

    Returns:
        That number, and the fraction of the pictures.
    """
    cells = torch.cat([cells_of(record, nudge) for record in records])
    lengths = torch.tensor([len(record.boxes) for record in records])
    pictures = torch.arange(len(records)).repeat_interleave(lengths)
    once, _ = distinct(torch.cat([cells, pictures[:, None]], dim=1))  # once a picture
    kinds, counts = distinct(once[:, :-1])
    for kind, count in zip(kinds, counts.tolist(), strict=True):
        if count >= NEARLY_ALL * len(records):
            yield int((cells == kind).all(dim=1).nonzero()[0]), count / len(records)


def nth_box(records: Sequence[Record], number: int) -> tuple[Record, int]:
    """The record and row of a box that was counted through all records."""
    for record in records:
        if number < len(record.boxes):
            return record, number
        number -= len(record.boxes)
    raise IndexError(number)


def cells_of(record: Record, nudge: float) -> Int64[Tensor, "M 5"]:
    """The class of each box, and in which of PLACES parts of the picture each of its sides lies."""
    assert record.image_size is not None
    height, width = record.image_size
    sides = record.boxes / torch.tensor([width, height, width, height]) * PLACES + nudge
    return torch.cat([record.labels[:, None], sides.floor().long()], dim=1)
