"""Pictures whose labels look forgotten: no box, few boxes, or none of a class that all have.

Uses kinds.py.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool
from torch import Tensor

from detlab.audit.kinds import COMMON, FEWEST, Finding
from detlab.data.records import Record

MANY = 8
"""Boxes in the middle picture of a set from which few in another one are strange."""
FEW = 0.25
"""Fraction of the usual number of boxes, down from which they are few."""


def pictures_without_objects(records: Sequence[Record]) -> list[Finding]:
    """Pictures without a box teach background, if that is what they show.

    The text says how many others have boxes: where nearly all have, these look forgotten.
    """
    empty = [record for record in records if len(record.boxes) == 0]
    boxed = len(records) - len(empty)
    what = f"no object in this picture; {boxed} of {len(records)} pictures have some"
    return [Finding("no object", (record,), (), what) for record in empty]


def pictures_with_few_boxes(records: Sequence[Record]) -> list[Finding]:
    """Pictures with at most a quarter of the usual number of boxes, if that is large."""
    boxed = [record for record in records if len(record.boxes)]
    if len(boxed) < FEWEST:
        return []
    usual = int(torch.tensor([len(record.boxes) for record in boxed]).median())
    few = [record for record in boxed if len(record.boxes) <= FEW * usual]
    if usual < MANY:
        return []
    so_few = f"usual are {usual}, and so few are in {len(few) / len(boxed):.0%} of the pictures"
    return [
        Finding("few boxes", (record,), (), f"boxes here: {len(record.boxes)}; {so_few}")
        for record in few
    ]


def missing_classes(records: Sequence[Record], class_names: Sequence[str]) -> list[Finding]:
    """Pictures with boxes, but with none of a class that nearly all others have."""
    boxed = [record for record in records if len(record.boxes)]
    if len(boxed) < FEWEST:
        return []
    present = classes_present(boxed, len(class_names))
    fractions = present.double().mean(dim=0).tolist()
    found = []
    for label, fraction in enumerate(fractions):
        if fraction >= COMMON:
            what = f"no {class_names[label]} here, but in {fraction:.0%} of the pictures"
            (without,) = (~present[:, label]).nonzero(as_tuple=True)
            found += [Finding("class missing", (boxed[row],), (), what) for row in without.tolist()]
    return found


def classes_present(records: Sequence[Record], num_classes: int) -> Bool[Tensor, "N K"]:
    """Which picture shows which class; K counts background, which none shows."""
    present = torch.zeros(len(records), num_classes, dtype=torch.bool)
    for row, record in enumerate(records):
        present[row, record.labels] = True
    return present
