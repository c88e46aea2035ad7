"""What a folder says of its pictures: records, and the faults met on the way.

A reader turns a folder into `Annotations`; check.py splits the sound from the faulty; datasets.py
loads what is sound. Every fault is a `Fault` with its file and its record: one of them is an error,
a list of them is a report.
"""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from detlab.errors import DetlabError

UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What a missing or misspelt entry raises when it is read."""

Entry = TypeVar("Entry")
Read = TypeVar("Read")


class DataError(DetlabError, ValueError):
    """A fault in a user's data, said in one or two lines with the file and the record."""


@dataclass(frozen=True)
class Fault:
    """One fault: the file it stands in, the record there (may be empty), what is wrong."""

    file: Path
    record: str
    what: str

    def __str__(self) -> str:
        """The three parts in one line."""
        return ": ".join(part for part in (str(self.file), self.record, self.what) if part)


class Note(NamedTuple):
    """What is no fault, and must not pass without a word: left out, clipped, or read by a rule."""

    what: str
    """The same words for all of a kind, so that they can be counted."""
    place: str
    """One of them: a file, or where in a file it stands."""


class Object(NamedTuple):
    """One entry of an annotation file."""

    name: str
    """Where it stands in the file: "object 3", "annotation 120", "line 7"."""
    label: int
    box: list[float]
    """x1 y1 x2 y2 in pixels."""
    area: float = math.nan
    """Square pixels that the object itself covers, where the file says it (COCO does)."""
    ignored: bool = False
    """Neither learned nor counted: a crowd (COCO), or an object called difficult (VOC)."""


@dataclass(frozen=True, eq=False)
class Record:
    """One picture and the objects that its annotation names; nothing is checked yet."""

    image: Path
    image_size: tuple[int, int] | None
    """(height, width) in pixels as the annotation says, None where it does not say."""
    boxes: Float[Tensor, "M 4"]
    labels: Int64[Tensor, " M"]
    objects: tuple[str, ...]
    """Where each box stands in `source`: "object 3", "annotation 120", "line 7"."""
    source: Path
    """The annotation file."""
    areas: Float[Tensor, " M"] | None = None
    """Square pixels that each object covers, nan where the annotation does not say."""
    ignored_boxes: Float[Tensor, "R 4"] = field(default_factory=lambda: torch.zeros(0, 4))
    """Regions in which a detection of their class is neither right nor wrong."""
    ignored_labels: Int64[Tensor, " R"] = field(
        default_factory=lambda: torch.zeros(0, dtype=torch.int64)
    )


@dataclass(frozen=True, eq=False)
class Annotations:
    """All records of one split, its classes, and what could not become a record."""

    records: tuple[Record, ...]
    class_names: tuple[str, ...]
    """"background" first, so that `class_names[label]` works."""
    faults: tuple[Fault, ...]
    notes: tuple[Note, ...] = ()


def quoted(value: Any, longest: int = 80) -> str:
    """A value as Python writes it, cut where it is long.

    >>> quoted("a" * 100, longest=10)
    "'aaaaaaaa…"
    """
    return cut(repr(value), longest)


def cut(text: str, longest: int = 200) -> str:
    """A text that is not too long.

    >>> cut("a long text", longest=7)
    'a long…'
    """
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def read_json(path: Path) -> Any:
    """Parse a JSON file, or say in one line why that fails."""
    text = read_text(path)
    try:
        return json.loads(text)
    except RecursionError as error:
        raise DataError(f"{path}: not read: nested too deep") from error
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}") from error


def read_text(path: Path) -> str:
    """Read a text file, or say in one line why that fails."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def first_words(path: Path) -> list[str]:
    """The words of the first line of a text that is not empty; [] where it cannot be read."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            return next((line.split() for line in file if line.strip()), [])
    except OSError:
        return []


def is_number(word: str) -> bool:
    """Whether a word reads as a number.

    >>> is_number("0.5"), is_number("cat")
    (True, False)
    """
    try:
        float(word)
    except ValueError:
        return False
    return True


def read_each(
    entries: Iterable[tuple[str, Entry]], read_one: Callable[[str, Entry], Read], source: Path
) -> tuple[list[Read], list[Fault]]:
    """Read named entries one by one; one that cannot be read becomes a fault.

    >>> lines = [("line 1", "7"), ("line 2", "x")]
    >>> found, faults = read_each(lines, lambda name, text: int(text), Path("a.txt"))
    >>> found, str(faults[0])
    ([7], "a.txt: line 2: invalid literal for int() with base 10: 'x'")
    """
    found, faults = [], []
    for name, entry in entries:
        try:
            found.append(read_one(name, entry))
        except UNREADABLE as error:
            what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            faults.append(Fault(source, name, cut(what)))
    return found, faults


def named_once(
    entries: Iterable[tuple[str, Entry]], source: Path
) -> tuple[list[tuple[str, Entry]], list[Fault]]:
    """Keep the first entry of each name; a second one is a fault.

    >>> named_once([("id 1", "a"), ("id 2", "b"), ("id 1", "c")], Path("a.json"))[0]
    [('id 1', 'a'), ('id 2', 'b')]
    """
    first: dict[str, Entry] = {}
    faults = []
    for name, entry in entries:
        if name in first:
            faults.append(Fault(source, name, "stands there more than once"))
        first.setdefault(name, entry)
    return list(first.items()), faults


def label_of_class(name: Any, class_names: Iterable[Any]) -> int:
    """The label of a class, from 1; `class_names` without "background"."""
    known = list(class_names)
    if name not in known:
        want = first_few([str(one) for one in known], shown=12)
        raise DataError(f"unknown class {quoted(name)}; want one of {want}")
    return 1 + known.index(name)


def make_record(
    image: Path,
    image_size: tuple[int, int] | None,
    objects: Iterable[tuple[Any, ...]],
    source: Path,
) -> Record:
    """Put the objects of one picture into tensors; [0, 4] boxes where there are none.

    Args:
        image: the picture's file.
        image_size: (height, width) as the annotation says, or None.
        objects: each an `Object`, or what it is made of.
        source: the annotation file.
    """
    all_objects = [Object(*entry) for entry in objects]
    counted = [entry for entry in all_objects if not entry.ignored]
    ignored = [entry for entry in all_objects if entry.ignored]
    return Record(
        image=image,
        image_size=image_size,
        boxes=torch.tensor([entry.box for entry in counted]).float().reshape(-1, 4),
        labels=torch.tensor([entry.label for entry in counted], dtype=torch.int64),
        objects=tuple(entry.name for entry in counted),
        source=source,
        areas=torch.tensor([entry.area for entry in counted], dtype=torch.float32),
        ignored_boxes=torch.tensor([entry.box for entry in ignored]).float().reshape(-1, 4),
        ignored_labels=torch.tensor([entry.label for entry in ignored], dtype=torch.int64),
    )


def in_few_words(notes: Iterable[Note], shown: int = 3) -> list[str]:
    """A line for each kind of note: the first few by name, how many more, how many in all.

    >>> notes = [Note("crowds are left out", f"annotation {row}") for row in range(5)]
    >>> in_few_words(notes)
    ['crowds are left out: annotation 0, annotation 1, annotation 2 and 2 more; 5 in all']
    """
    places: dict[str, list[str]] = {}
    for note in notes:
        places.setdefault(note.what, []).append(note.place)
    return [
        f"{what}: {first_few(named, shown)}" + (f"; {len(named)} in all" if len(named) > 1 else "")
        for what, named in places.items()
    ]


def first_few(names: Sequence[str], shown: int = 3) -> str:
    """The first names, and how many more there are.

    >>> first_few(["a", "b", "c", "d"])
    'a, b, c and 1 more'
    """
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
