"""A finding, and the kinds of it in the order in which they matter.

Leaks come first, since they make every number worthless; then labels that look wrong; then the
rest. Everything found may be right; a person decides.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from detlab.data.records import Record

KINDS = (
    "left out",
    "twins across splits",
    "double box",
    "odd size",
    "similar names",
    "rare class",
    "class without boxes",
    "class missing from a split",
    "class missing",
    "no object",
    "few boxes",
    "same place",
    "twins",
)
"""Every kind of finding, the one that matters most first."""
FEWEST = 20
"""Boxes of a class, or pictures, from which one can say what is usual."""
COMMON = 0.95
"""Fraction of the pictures that show a class from which the others look forgotten."""


class Finding(NamedTuple):
    """Something to look at; `boxes` are rows of the first record's boxes."""

    kind: str
    """One of KINDS."""
    records: tuple[Record, ...]
    """None where a finding is about a class that no picture shows."""
    boxes: tuple[int, ...]
    what: str
    alike: float | None = None
    """Of twins: how much of the light and dark in them is the same, see `twins.twins_of`."""

    @property
    def pictures(self) -> tuple[Path, ...]:
        """The picture of each record."""
        return tuple(record.image for record in self.records)

    @property
    def objects(self) -> tuple[str, ...]:
        """Where its boxes stand in the annotation file: "object 3", "line 7"."""
        return tuple(self.records[0].objects[row] for row in self.boxes)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """What matters most first; within a kind the order stays.

    >>> kinds = ("no object", "twins", "double box", "twins across splits")
    >>> [found.kind for found in in_order(Finding(kind, (), (), "") for kind in kinds)]
    ['twins across splits', 'double box', 'no object', 'twins']
    """
    return sorted(findings, key=lambda finding: KINDS.index(finding.kind))
