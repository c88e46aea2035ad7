"""YOLO folders: where its splits stand, and the label files of its pictures.

Uses yolo_format.py, yolo_names.py, layout.py and splits.py.
"""

import glob
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from detlab.data import yolo_names
from detlab.data.layout import Layout, Reader, unlisted, with_faults
from detlab.data.pictures import SUFFIXES
from detlab.data.records import DataError, Fault, Note, first_few, first_words
from detlab.data.splits import (
    UNSPLIT,
    by_folder,
    files_listed,
    in_order,
    is_whole,
    named_lists,
    read_list,
    split_in,
    split_of_folder,
)
from detlab.data.tree import (
    Names,
    Places,
    Tree,
    folded,
    our_split,
    own_words,
)
from detlab.data.yolo_format import label_files, read_yolo
from detlab.data.yolo_names import DataYaml

IMAGES = {"images", "jpegimages"}
"""Folders that say that pictures to learn from lie in them."""


def yolo_layout(tree: Tree) -> Layout:
    """A text file for each picture; a .yaml file, lists or folders are the splits."""
    entry = yolo_names.find_yaml(tree)
    tree = with_base(tree, entry)
    empty = empty_lists(tree)
    labels = [path for path in label_files(tree) if path not in empty]
    kept = any(part.lower() == "labels" for path in tree.files for part in tree.parts(path)[:-1])
    if not labels and not kept and not entry:
        packed = f"\nunpack {first_few(tree.archives)} first" if tree.archives else ""
        raise DataError(
            f"{tree.root}: no annotations found; want a COCO file as instances_train.json, an XML "
            "(VOC) or JSON file (labelme) for each picture, or images/ and labels/ (YOLO)" + packed
        )
    class_names = yolo_names.class_names(tree, entry)
    places = Places(labels, tree.pictures, tree)
    found, faults, words, notes = yolo_splits(tree, entry, picture_lists(tree, labels), places)
    notes += [Note("lists are empty, and no split", tree.name(path)) for path in empty]
    if entry and entry.remark:
        notes.append(Note(entry.remark, tree.name(entry.path)))
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
    return (
        none
        and bool(found[split])
        and split != "train"
        and any(places.like(p) for paths in others for p in paths)
    )


def lost_labels(tree: Tree, labels: Sequence[Path]) -> list[Fault]:
    """A fault for each label file without a picture."""
    places = Places(tree.pictures, labels, tree)
    by_stem: dict[str, list[Path]] = {}
    for path in tree.pictures:
        by_stem.setdefault(folded(path.stem), []).append(path)
    return [
        Fault(path, "", why_lost(path, by_stem.get(folded(path.stem), []), tree))
        for path in labels
        if not places.like(path)
    ]


def why_lost(label: Path, pictures: Sequence[Path], tree: Tree) -> str:
    """What is wrong with a label file without a picture, and what to do where that is known.

    Args:
        label: the file.
        pictures: those of its stem, all with labels of their own.
        tree: all files.
    """
    if pictures:
        return f"{first_few(list(map(tree.name, pictures)))} has labels elsewhere, too; want one"
    inner = Path(label.stem)
    if inner.suffix.lower() in SUFFIXES:
        return (
            f"no picture is called {label.stem}.*; want {inner.stem}.txt as the labels of {inner}"
        )
    return f"no picture {label.stem}"


def yolo_splits(
    tree: Tree, entry: DataYaml | None, lists: Sequence[Path], places: Places
) -> tuple[dict[str, list[Path]], dict[str, list[Fault]], str, list[Note]]:
    """The pictures of each split, faults of lists, where the splits stand, and notes."""
    found, faults, notes = yaml_splits(tree, entry)
    words = f"splits as {entry.path.name} names them" if entry else ""
    if found and entry:
        named = {place for there in yolo_names.places(entry, tree).values() for place in there}
        unused = [path for path in lists if path.resolve() not in named]
        notes += [Note("lists are not used", tree.name(path)) for path in unused]
    if not found:
        found, faults, more = list_splits(tree, lists)
        notes, words = [*notes, *more], "splits by lists"
    if not found:
        found, words = by_folder(in_images(tree), tree), "splits by folder"
        if set(found) == {UNSPLIT} and (labelled := by_labels(found[UNSPLIT], places)):
            found, words = labelled, "splits by the folders of labels"
    notes += [*unlisted(tree, found.values()), *in_two(tree, found)]
    return in_order(found) or {UNSPLIT: []}, faults, words, notes


def by_labels(pictures: Sequence[Path], places: Places) -> dict[str, list[Path]]:
    """Pictures by the split that the folders of their labels name; {} unless they name two."""
    found: dict[str, list[Path]] = {}
    for path in pictures:
        for label in places.like(path)[:1]:
            split = split_of_folder(places.tree.parts(label)[:-1])
            found.setdefault(split or UNSPLIT, []).append(path)
    return found if len(found) > 1 and UNSPLIT not in found else {}


def in_images(tree: Tree) -> list[Path]:
    """The pictures below folders called images, where there are such; others may be masks."""
    named = [path for path in tree.pictures if IMAGES & {p.lower() for p in tree.parts(path)[:-1]}]
    return named or tree.pictures


def yaml_splits(
    tree: Tree, entry: DataYaml | None
) -> tuple[dict[str, list[Path]], dict[str, list[Fault]], list[Note]]:
    """The pictures of the splits that a .yaml file names; what it names in vain is noted.

    Raises:
        DataError: it names where to train, and nothing that it names is here.
    """
    if entry is None:
        return {}, {}, []
    names = Names(tree.pictures, tree)
    found: dict[str, list[Path]] = {}
    faults: dict[str, list[Fault]] = {}
    notes = []
    for split, words in entry.splits.items():
        for word in words:
            pictures, wrong, what = pictures_of_word(word, entry, tree, names)
            found.setdefault(split, []).extend(pictures)
            faults.setdefault(split, []).extend(wrong)
            if what:
                notes.append(
                    Note(f"places that {entry.path.name} names {what}", f"{split}: {word}")
                )
    kept = {split: paths for split, paths in found.items() if paths or faults[split]}
    if not kept and entry.splits.get("train") and tree.pictures:
        [first, *_] = entry.splits["train"]
        raise DataError(
            f"{entry.path}: nothing that it names is here, as train: {first}\n"
            "want folders or lists of this folder, as train: images/train"
        )
    return kept, faults, notes


def pictures_of_word(
    word: str, entry: DataYaml, tree: Tree, names: Names
) -> tuple[list[Path], list[Fault], str]:
    """The pictures of one place that a .yaml file names, faults, and what to say of the place."""
    if "*" in word:
        pictures = matching(word, entry, tree)
        return pictures, [], "" if pictures else "have no picture, or are not there"
    place = yolo_names.place_of(word, entry)
    what = "" if place else "are another machine's; the end of their path is here"
    pictures, faults = pictures_at(place or place_by_end(word, tree), tree, names)
    if not pictures and not faults:
        what = "have no picture, or are not there"
    return pictures, faults, what


def matching(pattern: str, entry: DataYaml, tree: Tree) -> list[Path]:
    """The pictures that a pattern like images/train/*.jpg means."""
    bases = [glob.escape(str(base.resolve())) for base in yolo_names.bases(entry)]
    short = pattern.replace("\\", "/")
    whole = [os.path.normpath(f"{base}/{short}") for base in bases]
    return [path for path in tree.pictures if any(map(path.resolve().match, whole))]


def place_by_end(word: str, tree: Tree) -> Path | None:
    """The longest end of another machine's path that is here: /content/set/part1 as part1.

    An end that tells nothing of the pictures, as images, does not count.
    """
    parts = [part for part in word.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    ends = (parts[first:] for first in range(1, len(parts)))
    tries = (tree.root.joinpath(*end) for end in ends if own_words(map(folded, end)))
    return next((path.resolve() for path in tries if path.exists()), None)


def pictures_at(place: Path | None, tree: Tree, names: Names) -> tuple[list[Path], list[Fault]]:
    """The pictures below a folder, or of a list."""
    if place is None:
        return [], []
    if place.is_file():
        return files_listed(place, lines_of(place, tree), names, "picture", [place.parent])
    return tree.below(place), []


def picture_lists(tree: Tree, labels: Sequence[Path]) -> list[Path]:
    """The text files that name pictures, and those of a split's name that name files of pictures.

    Args:
        tree: all files.
        labels: the text files that hold labels, and are no lists.
    """
    names, known = Names(tree.pictures, tree), set(labels)
    texts = [path for path in tree.ending(".txt") if path not in known]
    return [path for path in texts if names_pictures(path, names, tree)]


def names_pictures(path: Path, names: Names, tree: Tree) -> bool:
    """Whether a line of a text file is the name of a picture; all may be gone but one."""
    if is_of_split(path):
        lines = lines_of(path, tree)
        return any(line.lower().endswith(SUFFIXES) for line in lines)
    try:
        return any(map(names.meant_by, read_list(path)))
    except DataError:  # not UTF-8: no list
        return False


def is_of_split(path: Path) -> bool:
    """Whether a text file is called as the list of a split, or of all pictures."""
    return bool(split_in(path.stem)) or is_whole(path)


def lines_of(path: Path, tree: Tree) -> list[str]:
    """The lines of a list; where they leave out the endings of pictures, with them."""
    lines = read_list(path)
    if any(line.lower().endswith(SUFFIXES) for line in lines):
        return lines
    endings = {path.with_suffix(""): path.suffix for path in tree.pictures}
    meant = list(map(Names(endings, tree).meant_by, lines))
    return [line + endings[m[0]] if m else line for line, m in zip(lines, meant, strict=True)]


def empty_lists(tree: Tree) -> list[Path]:
    """Text files called as the list of a split that hold no line, as an empty test.txt."""
    pictures = set(map(tree.key, tree.pictures))
    return [
        path
        for path in tree.ending(".txt")
        if is_of_split(path)
        and not path.stem[-1].isdigit()  # train_07.txt: labels
        and "labels" not in map(str.lower, tree.parts(path))
        and tree.key(path) not in pictures
        and not first_words(path)
    ]


def list_splits(
    tree: Tree, lists: Sequence[Path]
) -> tuple[dict[str, list[Path]], dict[str, list[Fault]], list[Note]]:
    """The pictures of each list that darknet's .data file names, or that is called as a split."""
    names = Names(tree.pictures, tree)
    given, lost = data_lists(tree)
    free = [path for path in lists if path not in given.values()]
    called = [p for p in free if is_of_split(p) and split_in(p.stem) not in given]
    chosen, notes = named_lists(called)
    notes += [Note("lists are not used", tree.name(path)) for path in free if path not in called]
    found: dict[str, list[Path]] = {}
    faults: dict[str, list[Fault]] = {}
    for split, path in {**chosen, **given}.items():
        found[split], faults[split] = pictures_at(path, tree, names)
    return found, faults, [*lost, *notes]


def data_lists(tree: Tree) -> tuple[dict[str, Path], list[Note]]:
    """The lists that darknet's .data file names, `train = data/list.txt`, and which are lost."""
    names = Names(tree.ending(".txt"), tree)
    found: dict[str, Path] = {}
    notes = []
    for path in tree.ending(".data"):
        for line in read_list(path):
            key, _, value = (part.strip() for part in line.partition("="))
            split = our_split(key)
            meant = names.meant_by(value, [path.parent]) if split else []
            if split and len(meant) == 1:
                found[split] = meant[0]
            elif split:
                notes.append(Note(f"lists that {path.name} names are not there", line))
    return found, notes


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
