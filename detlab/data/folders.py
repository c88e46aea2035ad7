"""Which format a folder has, and which splits.

Uses coco_format.py, voc_format.py and yolo_format.py.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar

from detlab.data.coco_format import read_coco
from detlab.data.records import Annotations, DataError, Fault
from detlab.data.voc_format import read_voc
from detlab.data.yolo_format import read_yolo

SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""Names that folders use for a split, maybe with a year behind (train2017), and ours."""

UNSPLIT = "all"
"""The name of the only split of a folder that has none."""

Place = TypeVar("Place", str, Path)

VAL_EVERY = 5
"""Where a folder has no val split, every fifth picture of its train split stands for it."""


def recognise_format(folder: Path) -> Literal["coco", "voc", "yolo"]:
    """Tell the format from what lies in a folder.

    Raises:
        DataError: no such folder, an empty one, or one with no annotations that we know.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    if coco_files(folder):
        return "coco"
    if (folder / "Annotations").is_dir() and (folder / "JPEGImages").is_dir():
        return "voc"
    if [*folder.glob("labels"), *folder.glob("*/labels")]:
        return "yolo"
    if not any(folder.iterdir()):
        raise DataError(f"{folder}: the folder is empty")
    raise DataError(
        f"{folder}: no annotations found; want instances_train.json (COCO), "
        "Annotations/ and JPEGImages/ (VOC), or images/ and labels/ (YOLO)"
    )


def coco_files(folder: Path) -> dict[str, Path]:
    """The COCO file of each split: instances_SPLIT.json or SPLIT/_annotations.coco.json.

    A lone instances.json is not split.

    Raises:
        DataError: two of one split, as instances_train2014.json and instances_train2017.json.
    """
    paths = [*folder.glob("instances_*.json"), *folder.glob("annotations/instances_*.json")]
    named = [(path.stem.removeprefix("instances_"), path) for path in sorted(paths)]
    named += [(path.parent.name, path) for path in sorted(folder.glob("*/_annotations.coco.json"))]
    found = one_of_each((our_split(word) or word, path) for word, path in named)
    for path in (folder / "instances.json", folder / "annotations" / "instances.json"):
        if path.is_file():
            found.setdefault(UNSPLIT, path)
    return found


def one_of_each(named: Iterable[tuple[str, Place]]) -> dict[str, Place]:
    """What each split is read from.

    Raises:
        DataError: two of one split.
    """
    found: dict[str, Place] = {}
    for split, place in named:
        if found.setdefault(split, place) != place:
            raise DataError(f"{found[split]} and {place}: want one of them as the {split} split")
    return found


def our_split(word: str) -> str | None:
    """Our name for a folder's word for a split.

    >>> our_split("valid"), our_split("train2017"), our_split("fold1")
    ('val', 'train', None)
    """
    return SPLITS.get(word.rstrip("0123456789"))


def list_splits(folder: Path) -> dict[str, str | None]:
    """The splits of a folder, each with the folder's own word for it (None: it has no splits).

    Raises:
        DataError: two of one split.
    """
    kind = recognise_format(folder)
    if kind == "coco":
        return {split: split for split in coco_files(folder)}
    if kind == "voc":
        words = [path.stem for path in sorted((folder / "ImageSets" / "Main").glob("*.txt"))]
    else:
        words = [path.name for path in sorted((folder / "labels").glob("*")) if path.is_dir()]
        words += [path.parent.name for path in sorted(folder.glob("*/labels"))]
    splits = [(split, word) for word in words if (split := our_split(word))]
    return dict(one_of_each(splits)) or {UNSPLIT: None}


def read_split(folder: Path, split: str) -> Annotations:
    """Read one of `list_splits`; that it has no picture is a fault."""
    kind = recognise_format(folder)
    word = list_splits(folder)[split]
    if kind == "voc":
        annotations = read_voc(folder, word)
    elif kind == "yolo":
        annotations = read_yolo(folder, word)
    else:
        annotation_file = coco_files(folder)[split]
        annotations = read_coco(annotation_file, *coco_places(annotation_file, folder, split))
    if annotations.records or annotations.faults:
        return annotations
    return replace(annotations, faults=(Fault(folder, split, "no picture in this split"),))


def coco_places(annotation_file: Path, folder: Path, split: str) -> list[Path]:
    """Where the pictures of a COCO file may lie, likeliest first."""
    words = [split, *(word for word, ours in SPLITS.items() if ours == split != word)]
    words += [f"{word}{year}" for word in words for year in ("2017", "2014")]
    bases = (folder / "images", folder)
    return [annotation_file.parent, *bases, *(base / word for base in bases for word in words)]


def read_share(folder: Path, split: str) -> Annotations:
    """Read a split; where the folder has no val, every fifth picture of its train stands for it.

    The pictures are counted in the order of their names and never stand in both.

    Raises:
        DataError: the folder has no such split.
    """
    splits = list_splits(folder)
    whole = "train" if "train" in splits else UNSPLIT
    if split in splits and (split != "train" or "val" in splits):
        return read_split(folder, split)
    if split == "test" or whole not in splits:
        raise DataError(f"{folder}: no {split} split; it has {', '.join(splits)}")
    annotations = read_split(folder, whole)
    if "val" in splits:
        return annotations
    records = sorted(annotations.records, key=lambda record: record.image.name)
    chosen = [r for i, r in enumerate(records) if (i % VAL_EVERY == 0) == (split == "val")]
    if records and not chosen:
        raise DataError(f"{folder}: one picture; want two or more, or a val split")
    faults = annotations.faults if split == "train" else ()  # told once
    return replace(annotations, records=tuple(chosen), faults=faults)
