"""What a data set's labels look like: not what is broken, but what deserves a second look.

Follows data/check.py, which finds what cannot be used at all. Everything here may be right; a
person decides. Uses twins.py, classes.py, odd_boxes.py, missing_labels.py, crowds.py and kinds.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from detlab.audit.classes import classes_to_look_at
from detlab.audit.crowds import crowded_fraction, lost_to_nms
from detlab.audit.kinds import Finding, in_order
from detlab.audit.missing_labels import (
    missing_classes,
    pictures_with_few_boxes,
    pictures_without_objects,
)
from detlab.audit.odd_boxes import boxes_that_stay, double_boxes, size_outliers
from detlab.audit.thumbnails import Album
from detlab.audit.twins import twins_of
from detlab.boxes import box_area
from detlab.data.records import Record


@dataclass(frozen=True)
class Audit:
    """What was found, and what the set is like."""

    findings: tuple[Finding, ...]
    """About pictures and boxes, what matters most first."""
    counts: Mapping[str, int]
    """Boxes of each class."""
    sizes: Mapping[str, int]
    """Boxes that COCO calls small, medium and large."""
    crowded: Mapping[float, float]
    """For IoU thresholds: the fraction of boxes with a neighbour of their class above it."""
    lost: Mapping[float, float]
    """For IoU thresholds: the fraction of perfect boxes that NMS would suppress."""
    about_classes: tuple[Finding, ...] = ()
    """What was found about classes; not all of it has a picture to show."""


def audit(
    splits: Mapping[str, Sequence[Record]],
    class_names: Sequence[str],
    album: Album | None = None,
) -> Audit:
    """Look at all splits of a data set together.

    Args:
        splits: sound records of each split (see `check.check_record`), by its name.
        class_names: "background" first.
        album: thumbnails of pictures that were read before; the others are read now.
    """
    records = [record for split in splits.values() for record in split]
    labels = torch.cat([torch.zeros(0).long(), *(record.labels for record in records)])
    areas = torch.cat([torch.zeros(0), *(box_area(record.boxes) for record in records)])
    numbers = labels.bincount(minlength=len(class_names)).tolist()
    counts = dict(zip(class_names[1:], numbers[1:], strict=True))
    return Audit(
        findings=tuple(in_order([*twins_of(splits, album), *about_boxes(records, class_names)])),
        counts=counts,
        sizes={
            "small": int((areas < 32**2).sum()),
            "medium": int(((areas >= 32**2) & (areas < 96**2)).sum()),
            "large": int((areas >= 96**2).sum()),
        },
        crowded={limit: crowded_fraction(records, limit) for limit in (0.3, 0.5)},
        lost={limit: lost_to_nms(records, limit) for limit in (0.3, 0.5)},
        about_classes=tuple(classes_to_look_at(splits, class_names, counts)),
    )


def about_boxes(records: Sequence[Record], class_names: Sequence[str]) -> Iterator[Finding]:
    """All that is strange about boxes, kind after kind."""
    yield from double_boxes(records, class_names)
    yield from size_outliers(records, class_names)
    yield from boxes_that_stay(records, class_names)
    yield from missing_classes(records, class_names)
    yield from pictures_without_objects(records)
    yield from pictures_with_few_boxes(records)
