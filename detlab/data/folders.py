"""Which format a folder has, and what it says split by split.

Uses the layouts of the formats. A folder is looked at once; its splits are read when they are
asked for.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from detlab.data.coco_layout import coco_layout, is_coco
from detlab.data.foreign import refuse_foreign
from detlab.data.labelme_format import is_labelme
from detlab.data.layout import TITLES, Format, Layout
from detlab.data.records import Annotations, DataError, Fault, Note, read_json
from detlab.data.splits import UNSPLIT, not_taken
from detlab.data.tree import Tree
from detlab.data.voc_format import parse_xml
from detlab.data.voc_layout import labelme_layout, voc_layout
from detlab.data.yolo_format import label_files
from detlab.data.yolo_layout import yolo_layout

VAL_EVERY = 5
"""Where a folder has no val split, every fifth picture of its train split stands for it."""
FORMATS: tuple[Format, ...] = ("coco", "voc", "labelme", "yolo")
"""Of several in a folder, the first is read."""
FEW = 20
"""XML files that are opened to tell a format."""


def layout_of(folder: Path, *outside: Path) -> Layout:
    """Look at a folder, and at others where its pictures may lie, too.

    Raises:
        DataError: no such folder, an empty one, one in a format that is not read, or with two
            places for one split.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    tree = Tree(folder, *outside)
    if not tree.files:
        raise DataError(f"{folder}: the folder is empty")
    jsons, broken = parsed_jsons(tree)
    found = choose_layout(tree, jsons)
    notes = [Note("JSON files cannot be read, and are left out", what) for what in broken]
    notes += other_formats(tree, found.format, jsons)
    if "splits by folder" in found.words:  # files or lists say it whatever folders are called
        notes += not_taken(tree.pictures, tree, [*found.splits, *found.unlabelled])
    return replace(found, notes=(*tree.notes, *notes, *found.notes))


def choose_layout(tree: Tree, jsons: Mapping[Path, Any]) -> Layout:
    """The layout of the first format that a folder has: COCO, VOC, labelme, YOLO."""
    coco = {path: content for path, content in jsons.items() if is_coco(content)}
    labelme = {path: content for path, content in jsons.items() if is_labelme(content)}
    sources = tree.ending(".xml")
    roots = {path: outermost(path) for path in sources[:FEW]}
    if coco:
        return coco_layout(tree, coco)
    if {"annotation", ""} & set(roots.values()):
        return voc_layout(tree, sources)
    if labelme:
        return labelme_layout(tree, labelme)
    notes = refuse_foreign(tree, jsons, roots)
    found = yolo_layout(tree)
    return replace(found, notes=(*notes, *found.notes))


def other_formats(tree: Tree, chosen: Format, jsons: Mapping[Path, Any]) -> list[Note]:
    """A note for each file of a format that comes behind the chosen one."""
    later = FORMATS[FORMATS.index(chosen) + 1 :]
    return [
        Note(f"{TITLES[other]} is not read beside {TITLES[chosen]}", tree.name(path))
        for other in later
        for path in files_of(other, tree, jsons)
    ]


def files_of(kind: Format, tree: Tree, jsons: Mapping[Path, Any]) -> list[Path]:
    """The annotation files of a format with one for each picture."""
    if kind == "voc":
        return [path for path in tree.ending(".xml") if outermost(path) == "annotation"]
    if kind == "labelme":
        return [path for path, content in jsons.items() if is_labelme(content)]
    return label_files(tree)


def parsed_jsons(tree: Tree) -> tuple[dict[Path, Any], list[str]]:
    """The JSON files of a folder, and what is wrong with those that are none."""
    found, broken = {}, []
    for path in tree.ending(".json"):
        try:
            found[path] = read_json(path)
        except DataError as error:
            broken.append(str(error))
            continue
        if isinstance(found[path], dict):
            found[path].pop("imageData", None)  # the picture once more, in labelme's files
    return found, broken


def outermost(path: Path) -> str:
    """The name of what is outermost in an XML file, "" where it cannot be read."""
    try:
        return parse_xml(path).tag
    except DataError:
        return ""


def list_splits(folder: Path) -> list[str]:
    """The splits of a folder that have annotations."""
    return list(layout_of(folder).splits)


def read_split(folder: Path, split: str) -> Annotations:
    """Read one of `list_splits`; that it has no picture is a fault."""
    return read_part(layout_of(folder), folder, split)


def read_part(layout: Layout, folder: Path, split: str) -> Annotations:
    """Read one split of a folder that was looked at; notes on the whole folder come first."""
    annotations = layout.splits[split]()
    faults = annotations.faults
    if not annotations.records and not faults:
        faults = (Fault(folder, split, "no picture in this split"),)
    return replace(annotations, faults=faults, notes=(*layout.notes, *annotations.notes))


def read_share(folder: Path, split: str, *outside: Path) -> Annotations:
    """Read a split; where the folder has no val, every fifth picture of its train stands for it.

    The pictures are counted in the order of their names and never stand in both. Faults of a split
    that is shared out stand in both halves, so that all who read one of them hear of it.

    Raises:
        DataError: the folder has no such split.
    """
    layout = layout_of(folder, *outside)
    names = layout.splits
    whole = "train" if "train" in names else UNSPLIT
    if split in names and (split != "train" or "val" in names):
        return read_part(layout, folder, split)
    if split in layout.unlabelled and split != "val":
        raise DataError(f"{folder}: its {split} split has no labels, nothing to evaluate by")
    if split == "test" or whole not in names:
        raise DataError(f"{folder}: no {split} split; it has {', '.join(names)}")
    annotations = read_part(layout, folder, whole)
    if "val" in names:
        return annotations
    records = sorted(annotations.records, key=lambda record: record.image.name)
    chosen = [r for i, r in enumerate(records) if (i % VAL_EVERY == 0) == (split == "val")]
    if records and not chosen:
        raise DataError(f"{folder}: one picture; want two or more, or a val split")
    return replace(annotations, records=tuple(chosen))
