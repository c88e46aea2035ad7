"""YOLO folders: where its splits stand, and the label files of its pictures.

Uses yolo_format.py, yolo_names.py, layout.py and splits.py.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from detlab.data import yolo_names
from detlab.data.layout import Layout, Reader, unlisted, with_faults
from detlab.data.records import DataError, Fault, Note
from detlab.data.splits import (
    UNSPLIT,
    by_folder,
    files_listed,
    in_order,
    named_lists,
    our_split,
    read_list,
)
from detlab.data.tree import Names, Places, Tree
from detlab.data.yolo_format import label_files, read_yolo
from detlab.data.yolo_names import DataYaml

IMAGES = {"images", "jpegimages"}
"""Folders that say that pictures to learn from lie in them."""


def yolo_layout(tree: Tree) -> Layout:
    """A text file for each picture; a .yaml file, lists or folders are the splits."""
    entry = yolo_names.find_yaml(tree)
    tree = with_base(tree, entry)
    labels = label_files(tree)
    kept = any(part.lower() == "labels" for path in tree.files for part in tree.parts(path)[:-1])
    if not labels and not kept and not entry:
        raise DataError(
            f"{tree.root}: no annotations found; want a COCO file as instances_train.json, an XML "
            "(VOC) or JSON file (labelme) for each picture, or images/ and labels/ (YOLO)"
        )
    class_names = yolo_names.class_names(tree, entry)
    found, faults, words, notes = yolo_splits(tree, entry)
    places = Places(labels, tree.pictures, tree)
    bare = {split: len(paths) for split, paths in found.items() if is_bare(split, found, places)}
    lost = lost_labels(tree, labels)
    splits: dict[str, Reader] = {}
    for split, paths in found.items():
        read = partial(read_yolo, paths, places, class_names, bool(entry and entry.key_points))
        if split not in bare:
            splits[split] = partial(with_faults, read, [*faults.get(split, ()), *lost])
            lost = []
    return Layout("yolo", words, splits, tuple(notes), bare)


def with_base(tree: Tree, entry: DataYaml | None) -> Tree:
    """The folder that `path:` in a .yaml file names is read, too, where it lies elsewhere."""
    if entry is None or not entry.base:
        return tree
    place, root = (entry.path.parent / entry.base).resolve(), tree.root.resolve()
    if not place.is_dir() or place == root or place in root.parents or root in place.parents:
        return tree
    return Tree(*tree.roots, place)


def is_bare(split: str, found: Mapping[str, Sequence[Path]], places: Places) -> bool:
    """Whether no picture of a split has a label file, while another split's have."""
    others = [paths for other, paths in found.items() if other != split]
    none = not any(map(places.like, found[split]))
    return none and split != "train" and any(places.like(p) for paths in others for p in paths)


def lost_labels(tree: Tree, labels: Sequence[Path]) -> list[Fault]:
    """A fault for each label file without a picture."""
    places = Places(tree.pictures, labels, tree)
    return [Fault(path, "", f"no picture {path.stem}") for path in labels if not places.like(path)]


def yolo_splits(
    tree: Tree, entry: DataYaml | None
) -> tuple[dict[str, list[Path]], dict[str, list[Fault]], str, list[Note]]:
    """The pictures of each split, faults of lists, where the splits stand, and notes."""
    found, faults, notes = yaml_splits(tree, entry)
    words = f"splits as {entry.path.name} names them" if entry else ""
    if not any(found.values()):
        found, faults, more = list_splits(tree)
        notes, words = [*notes, *more], "splits by lists"
    if not any(found.values()):
        found, words = by_folder(in_images(tree), tree), "splits by folder"
    notes += [*unlisted(tree, found.values()), *in_two(tree, found)]
    return in_order(found) or {UNSPLIT: []}, faults, words, notes


def in_images(tree: Tree) -> list[Path]:
    """The pictures below folders called images, where there are such; others may be masks."""
    named = [path for path in tree.pictures if IMAGES & {p.lower() for p in tree.parts(path)[:-1]}]
    return named or tree.pictures


def yaml_splits(
    tree: Tree, entry: DataYaml | None
) -> tuple[dict[str, list[Path]], dict[str, list[Fault]], list[Note]]:
    """The pictures of the splits that a .yaml file names; what it names in vain is noted."""
    names = Names(tree.pictures, tree)
    found: dict[str, list[Path]] = {}
    faults: dict[str, list[Fault]] = {}
    notes = []
    for split, words in (entry.splits if entry else {}).items():
        for word in words:
            place = yolo_names.place_of(word, entry) if entry else None
            pictures, wrong = pictures_at(place, tree, names)
            found.setdefault(split, []).extend(pictures)
            faults.setdefault(split, []).extend(wrong)
            if not pictures and entry:
                what = f"places that {entry.path.name} names have no picture, or are not there"
                notes.append(Note(what, f"{split}: {word}"))
    return {split: paths for split, paths in found.items() if paths}, faults, notes


def pictures_at(place: Path | None, tree: Tree, names: Names) -> tuple[list[Path], list[Fault]]:
    """The pictures below a folder, or of a list."""
    if place is None:
        return [], []
    if place.is_file():
        return files_listed(place, read_list(place), names, "picture", [place.parent])
    return tree.below(place), []


def list_splits(
    tree: Tree,
) -> tuple[dict[str, list[Path]], dict[str, list[Fault]], list[Note]]:
    """The pictures of each list called train.txt, val.txt …, as darknet has them."""
    names = Names(tree.pictures, tree)
    lists = [
        path
        for path in tree.ending(".txt")
        if our_split(path.stem) and any(map(names.meant_by, read_list(path)[:1]))
    ]
    chosen, notes = named_lists(lists)
    found: dict[str, list[Path]] = {}
    faults: dict[str, list[Fault]] = {}
    for split, path in chosen.items():
        found[split], faults[split] = files_listed(
            path, read_list(path), names, "picture", [path.parent]
        )
    return found, faults, notes


def in_two(tree: Tree, found: Mapping[str, Sequence[Path]]) -> list[Note]:
    """A note for each picture that stands in more than one split."""
    seen: dict[Path, str] = {}
    notes = []
    for split, paths in found.items():
        for path in paths:
            other = seen.setdefault(path, split)
            if other != split:
                notes.append(Note(f"pictures are in {other} and in {split}", tree.name(path)))
    return notes
