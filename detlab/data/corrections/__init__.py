"""A public set with its known mistakes fixed, and split so that no scene is in two splits.

Follows folders.py. The lists beside this file are the project's own; pictures are not among them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from detlab.data.folders import layout_of, read_part
from detlab.data.records import Annotations, DataError, Record, label_of_class

CORRECTED = {"bccd-clean": "bccd"}
"""Names under which corrected sets are asked for, and the public sets that they are made of."""
PREFIX = {"bccd": "BloodImage_"}
"""What stands before a picture's number in its file name."""


def corrected_splits(name: str, folder: Path) -> dict[str, Annotations]:
    """All splits of a corrected set.

    Args:
        name: one of CORRECTED.
        folder: where the public set lies that it is made of.

    Raises:
        DataError: the folder lacks a picture or a box to correct: it is another version.
    """
    name = CORRECTED[name]
    lists = read_lists(name)
    layout = layout_of(folder)
    published = [read_part(layout, folder, split) for split in layout.splits]
    class_names = published[0].class_names
    records = records_by_number(name, published)
    wanted = {number for numbers in lists["splits"].values() for number in numbers}
    if missing := sorted(wanted - records.keys()):
        raise DataError(f"{folder}: lacks {len(missing)} pictures of {name}, as {missing[0]}")
    corrected = {number: correct(number, records[number], lists, class_names) for number in wanted}
    return {
        split: Annotations(tuple(corrected[number] for number in numbers), class_names, ())
        for split, numbers in lists["splits"].items()
    }


def read_lists(name: str) -> dict[str, Any]:
    """The corrections of a public set, as they stand beside this file."""
    lists: dict[str, Any] = json.loads((Path(__file__).parent / f"{name}.json").read_bytes())
    return lists


def number_of(name: str, record: Record) -> str:
    """What the lists call a picture of a public set."""
    return record.image.stem.removeprefix(PREFIX[name])


def records_by_number(name: str, splits: Iterable[Annotations]) -> dict[str, Record]:
    """All pictures of a public set, by what the lists call them."""
    return {number_of(name, record): record for split in splits for record in split.records}


def correct(
    number: str, record: Record, lists: Mapping[str, Any], class_names: tuple[str, ...]
) -> Record:
    """One picture's boxes: some taken out, some with another class, some put in."""
    labels = record.labels.clone()
    for _, box, name in entries(lists["relabel"], number):
        labels[row_of(box, record)] = label_of_class(name, class_names[1:])
    dropped = {row_of(box, record) for _, box in entries(lists["drop"], number)}
    kept = [row for row in range(len(labels)) if row not in dropped]
    added = entries(lists["add"], number)
    new_boxes = torch.tensor([box for _, box, _ in added], dtype=torch.float32).reshape(-1, 4)
    new_labels = [label_of_class(name, class_names[1:]) for *_, name in added]
    return replace(
        record,
        boxes=torch.cat([record.boxes[kept], new_boxes]),
        labels=torch.cat([labels[kept], torch.tensor(new_labels, dtype=torch.int64)]),
        objects=(*(record.objects[row] for row in kept), *("added" for _ in added)),
        areas=None,  # the lists correct boxes; nobody says what these objects cover
    )


def entries(corrections: list[list[Any]], number: str) -> list[list[Any]]:
    """The corrections of one picture.

    >>> entries([["00338", [1, 2, 3, 4]], ["00020", [5, 6, 7, 8]]], "00020")
    [['00020', [5, 6, 7, 8]]]
    """
    return [entry for entry in corrections if entry[0] == number]


def row_of(box: Sequence[int | float], record: Record) -> int:
    """Which of a picture's boxes has these coordinates; of equal ones the last.

    Raises:
        DataError: none has.
    """
    same = (record.boxes == torch.tensor(box)).all(dim=1).nonzero()[:, 0].tolist()
    if not same:
        raise DataError(f"{record.source}: no box {box}; this is another version of the set")
    return int(same[-1])
