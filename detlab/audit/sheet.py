"""The findings of an audit as a contact sheet: what a person looks at to decide.

Uses kinds.py and figures.py.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from detlab.audit.kinds import Finding
from detlab.data.pictures import read_picture
from detlab.data.records import Record
from detlab.draw.figures import Picture, draw_grid
from detlab.types import Target

MOST = 6
"""Findings of one kind that are drawn …"""
PICTURES = 4
"""… and pictures of one finding."""
AROUND = 6.0
"""How much wider, or higher, than its boxes a part of a picture is."""
LEAST = 0.1
"""Fraction of the picture that is shown around a box without area."""


def faulty_boxes(published: Iterable[Record], sound: Iterable[Record]) -> list[Finding]:
    """The boxes that were left out of a set, where there is something to see of them.

    Args:
        published: records as the files have them.
        sound: what is left of them, see `check.check_record`.
    """
    kept = {(record.source, record.image): record.objects for record in sound}
    return [
        Finding("left out", (record,), (row,), f"{record.objects[row]} cannot be used")
        for record in published
        for row, box in enumerate(record.boxes)
        if record.objects[row] not in kept.get((record.source, record.image), record.objects)
        and box.isfinite().all()
    ]


def draw_findings(findings: Sequence[Finding], class_names: Sequence[str]) -> Figure:
    """The first findings of each kind: twins side by side, boxes with what lies around them.

    Raises:
        ValueError: there is nothing to draw.
    """
    kinds = dict.fromkeys(finding.kind for finding in findings)
    chosen = [
        finding
        for kind in kinds
        for finding in islice((each for each in findings if each.kind == kind), MOST)
    ]
    pictures = [
        look_at(record, finding) for finding in chosen for record in finding.records[:PICTURES]
    ]
    return draw_grid(pictures, class_names, columns=4, title="Worth a second look")


def look_at(record: Record, finding: Finding) -> Picture:
    """The whole picture, or the surroundings of the boxes that a finding is about."""
    image = read_picture(record.image)
    rows = list(finding.boxes)
    alike = "" if finding.alike is None else f", {finding.alike:.0%} alike"
    title = f"{finding.kind}{alike}: {Path(record.image).stem}"
    if not rows:
        return Picture(image, title=title)
    boxes = record.boxes[rows]
    x1, y1, x2, y2 = surroundings(boxes, (image.shape[1], image.shape[2]), least=LEAST)
    moved = boxes - torch.tensor([x1, y1, x1, y1])
    target = Target(boxes=moved, labels=record.labels[rows])
    return Picture(image[:, y1:y2, x1:x2], target, title=title)


def surroundings(
    boxes: Float[Tensor, "N 4"],
    image_size: tuple[int, int],
    around: float = AROUND,
    least: float = 0.0,
) -> tuple[int, int, int, int]:
    """x1 y1 x2 y2 in whole pixels: all boxes and what is around them, in the picture's own form.

    Args:
        boxes: pixels of the picture.
        image_size: (height, width).
        around: how much wider, or higher, than its boxes the part is.
        least: the smallest fraction of the picture that is shown, however small the boxes are.

    >>> surroundings(torch.tensor([[10.0, 20.0, 14.0, 22.0]]), image_size=(30, 60))
    (0, 15, 24, 27)
    """
    height, width = image_size
    corner, far = boxes[:, :2].amin(dim=0), boxes[:, 2:].amax(dim=0)
    taken = float(((far - corner) / torch.tensor([width, height])).max())
    fraction = min(1.0, max(least, around * taken))
    wide, high = (max(1, round(fraction * side)) for side in (width, height))
    x, y = ((corner + far) / 2).tolist()
    x1 = min(max(0, round(x - wide / 2)), width - wide)
    y1 = min(max(0, round(y - high / 2)), height - high)
    return x1, y1, x1 + wide, y1 + high
