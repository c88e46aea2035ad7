"""How a folder is understood: its format, its splits, and what is in none of them.

Uses records.py and tree.py. The layouts of formats make it, folders.py chooses among them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from detlab.data.records import Annotations, Fault, Note
from detlab.data.tree import Tree

Format = Literal["coco", "voc", "labelme", "yolo"]

Reader = Callable[[], Annotations]
"""Reads a split."""

TITLES = {"coco": "COCO", "voc": "Pascal VOC", "labelme": "labelme", "yolo": "YOLO"}


@dataclass(frozen=True)
class Layout:
    """How a folder is understood."""

    format: Format
    words: str
    """Where its annotations and its splits stand."""
    splits: dict[str, Reader]
    """By our names; each is read when it is called."""
    notes: tuple[Note, ...] = ()
    """What is in the folder and in no split."""
    unlabelled: dict[str, int] = field(default_factory=dict)
    """Splits without annotations, and their pictures: something to detect on."""


def with_faults(read: Reader, faults: Sequence[Fault] | None) -> Annotations:
    """What a reader gives, behind the faults of the list that it was given."""
    annotations = read()
    return replace(annotations, faults=(*(faults or ()), *annotations.faults))


def unlisted(
    tree: Tree,
    splits: Iterable[Iterable[Path]],
    what: str = "pictures are in no split and are left out",
) -> list[Note]:
    """A note for each picture of the folder that stands in no split."""
    used = {path for paths in splits for path in paths}
    return [Note(what, tree.name(path)) for path in tree.pictures if path not in used]
