"""Folders with an annotation file for each picture: Pascal VOC's XML, labelme's JSON.

Uses voc_format.py, labelme_format.py, layout.py and splits.py.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from detlab.data import labelme_format, voc_format
from detlab.data.labelme_format import labelme_classes, read_labelme
from detlab.data.layout import Layout, Reader, unlisted, with_faults
from detlab.data.pictures import SUFFIXES
from detlab.data.records import DataError, Fault, Note, first_few
from detlab.data.splits import (
    by_folder,
    files_listed,
    in_order,
    named_lists,
    read_list,
    split_in,
)
from detlab.data.tree import (
    KINDS,
    Names,
    Places,
    Tree,
    folded,
    our_split,
    shared_end,
)
from detlab.data.voc_format import parse_xml, read_voc, voc_classes

OTHER = "pictures have their annotation in a folder of another name"
BARE = "pictures have no annotation file and are left out"


def voc_layout(tree: Tree, sources: Sequence[Path]) -> Layout:
    """An XML file for each picture; lists in ImageSets, or folders, are the splits."""
    sources, notes = annotations_among(sources, tree)
    labelmaps = [path for path in tree.files if path.name == "labelmap.txt"]
    class_names = voc_classes(sources, labelmaps)
    found, faults, words, more = splits_of(sources, tree)
    notes += more
    places = Places(tree.pictures, sources, tree)
    picture_of = partial(voc_format.picture_of, places=places, names=Names(tree.pictures, tree))
    pairs = paired(sources, found, picture_of, tree)
    splits: dict[str, Reader] = {
        split: partial(
            with_faults,
            partial(read_voc, pairs.among(paths), class_names),
            [*faults.get(split, ()), *pairs.faults_of(paths)],
        )
        for split, paths in found.items()
    }
    notes += [*unused(tree, sources, found), *pairs.notes, *unlisted(tree, [pairs.looked_at], BARE)]
    return Layout("voc", f"{place_of_sources(sources, tree)}, {words}", splits, tuple(notes))


def labelme_layout(tree: Tree, contents: Mapping[Path, Any]) -> Layout:
    """A JSON file for each picture, parsed; lists, or folders, are the splits."""
    class_names = labelme_classes(contents.values())
    found, faults, words, notes = splits_of(list(contents), tree)
    places, names = Places(tree.pictures, contents, tree), Names(tree.pictures, tree)
    pairs = paired(
        contents,
        found,
        lambda source: labelme_format.picture_of(source, contents[source], places, names),
        tree,
    )
    splits: dict[str, Reader] = {
        split: partial(
            with_faults,
            partial(read_labelme, contents, pairs.among(paths), class_names),
            [*faults.get(split, ()), *pairs.faults_of(paths)],
        )
        for split, paths in found.items()
    }
    notes += [*unused(tree, contents, found), *pairs.notes]
    notes += unlisted(tree, [pairs.looked_at], BARE)
    return Layout("labelme", f"JSON beside each picture, {words}", splits, tuple(notes))


def annotations_among(sources: Sequence[Path], tree: Tree) -> tuple[list[Path], list[Note]]:
    """The XML files that can be annotations, and a note for each of the others, as GDAL's are.

    What has a picture of its stem was meant as one, whatever stands in it.
    """
    places = Places(tree.pictures, sources, tree)
    others = [path for path in sources if not places.like(path) and not is_annotation(path)]
    what = "XML files are no annotations of a picture, and are left out"
    return (
        [path for path in sources if path not in set(others)],
        [Note(what, tree.name(path)) for path in others],
    )


def is_annotation(path: Path) -> bool:
    """Whether an XML file is VOC's; one that cannot be read is taken for one."""
    with suppress(DataError):
        return parse_xml(path).tag == "annotation"
    return True


def place_of_sources(sources: Sequence[Path], tree: Tree) -> str:
    """Whether annotation files lie in the folders of their pictures, in words."""
    folders = {picture.parent for picture in tree.pictures}
    beside = sum(path.parent in folders for path in sources) * 2 > len(sources)
    return "XML beside each picture" if beside else "XML in folders of its own"


def splits_of(
    sources: Sequence[Path], tree: Tree
) -> tuple[dict[str, list[Path]], dict[str, list[Fault]], str, list[Note]]:
    """The annotation files of each split, faults of lists, where the splits stand, and notes."""
    names = Names([path.with_suffix("") for path in sources], tree)
    found, faults, notes = listed(sources, names, *lists_of(tree, names))
    if found:
        return found, faults, "splits by lists", notes
    return by_folder(sources, tree), {}, "splits by folder", notes


def lists_of(tree: Tree, names: Names) -> tuple[list[Path], list[Path]]:
    """The lists that are splits, and other lists.

    VOC keeps those for detection in ImageSets/Main, beside others of the same names; where there is
    no such folder, a text file is a list where most lines name an annotation, or any line of one
    that is called as a split.

    Args:
        tree: all files.
        names: the annotation files, without their endings.
    """
    texts = tree.ending(".txt")
    main = [path for path in texts if path.parent.name.lower() == "main"]
    lists = [path for path in texts if is_list(path, names)]
    return (main, [path for path in lists if path not in main]) if main else (lists, [])


def is_list(path: Path, names: Names) -> bool:
    """Whether a text file is a list of pictures, of which some may be gone."""
    lines = stems_in(path, names)
    named = sum(bool(names.meant_by(line)) for line in lines)
    return named > 0 and (bool(our_split(path.stem)) or named * 2 > len(lines))


def listed(
    sources: Sequence[Path], names: Names, lists: Sequence[Path], others: Sequence[Path]
) -> tuple[dict[str, list[Path]], dict[str, list[Fault]], list[Note]]:
    """The annotation files of each list, what a list names that is not there, unused lists."""
    lines = {path: stems_in(path, names) for path in lists}
    empty = [path for path in lists if not lines[path] and our_split(path.stem) == "test"]
    lists = [path for path in lists if path not in empty]
    of_pictures = [path for path in lists if not is_of_one_class(lines[path], names)]
    chosen, notes = named_lists(of_pictures)
    notes += [Note("lists are empty, and are no split", path.name) for path in empty]
    notes += [Note("lists are not used", f"{path.parent.name}/{path.name}") for path in others]
    notes += [
        Note("lists of one class are not used", p.name) for p in lists if p not in of_pictures
    ]
    by_stem = {path.with_suffix(""): path for path in sources}
    found: dict[str, list[Path]] = {}
    faults: dict[str, list[Fault]] = {}
    for split, path in chosen.items():
        stems, faults[split] = files_listed(path, lines[path], names, "annotation")
        found[split] = [by_stem[stem] for stem in stems]
    return in_order(found), faults, notes


def stems_in(path: Path, names: Names) -> list[str]:
    """The lines of a list, without the endings of pictures or annotations that they may have.

    Lines that ImageNet's lists number behind the name (`n01/p0 1`) lose the number.
    """
    endings = (*SUFFIXES, ".xml", ".json")
    lines = read_list(path)
    if is_numbered(lines) and not any(map(names.meant_by, lines)):
        lines = [line.rpartition(" ")[0].rstrip() for line in lines]
    return [line.rpartition(".")[0] if line.lower().endswith(endings) else line for line in lines]


def is_numbered(lines: Sequence[str]) -> bool:
    """Whether two lines or more end in whole numbers that rise from 1 or above.

    >>> is_numbered(["a 1", "b 2", "c 7"]), is_numbered(["a 1", "b -1"]), is_numbered(["a", "b"])
    (True, False, False)
    """
    ends = [line.rpartition(" ")[2] for line in lines if " " in line]
    numbers = [int(end) for end in ends if end.isdecimal()]
    rising = numbers[:1] > [0] and numbers == sorted(set(numbers))
    return len(numbers) == len(lines) > 1 and rising


def is_of_one_class(lines: Sequence[str], names: Names) -> bool:
    """Whether a list says of each picture if it shows a class: its lines end in 1, 0 or -1."""
    ends = {line.rpartition(" ")[2] for line in lines}
    return bool(lines) and ends <= {"1", "0", "-1"} and not any(map(names.meant_by, lines))


def unused(tree: Tree, sources: Iterable[Path], found: Mapping[str, Sequence[Path]]) -> list[Note]:
    """A note for each annotation file that is in no split."""
    used = {path for paths in found.values() for path in paths}
    what = "annotation files are in no split and are left out"
    return [Note(what, tree.name(path)) for path in sources if path not in used]


class Pairs(NamedTuple):
    """Annotation files, each with its picture."""

    pictures: dict[Path, Path]
    """By annotation file."""
    faults: dict[Path, Fault]
    """Why an annotation file has no picture, or shares one."""
    notes: list[Note]
    looked_at: set[Path]
    """Every picture that an annotation file is about, used or not."""

    def among(self, sources: Iterable[Path]) -> dict[Path, Path]:
        """The pairs of some annotation files."""
        return {path: self.pictures[path] for path in sources if path in self.pictures}

    def faults_of(self, sources: Iterable[Path]) -> list[Fault]:
        """The faults of some annotation files, each once."""
        return list(dict.fromkeys(self.faults[path] for path in sources if path in self.faults))


def paired(
    sources: Iterable[Path],
    splits: Mapping[str, Sequence[Path]],
    picture_of: Callable[[Path], tuple[Path, str]],
    tree: Tree,
) -> Pairs:
    """Annotation files with their pictures; where two in splits are about one, that is a fault.

    Args:
        sources: all annotation files.
        splits: those of each split.
        picture_of: the picture of one, and the name by which it calls it.
        tree: where they lie.
    """
    pairs = Pairs({}, {}, [], set())
    for source in sources:
        try:
            picture, said = picture_of(source)
            if is_apart(source, picture, said, tree):
                raise DataError(apart_words(source, picture, tree))
            pairs.pictures[source] = picture
            if picture.is_file() and own_folders(source, tree) != own_folders(picture, tree):
                pairs.notes.append(Note(OTHER, f"{tree.name(picture)} in {tree.name(source)}"))
        except DataError as error:
            pairs.faults[source] = Fault(source, "", str(error).removeprefix(f"{source}: "))
    pairs.looked_at.update(pairs.pictures.values())
    used = {path for paths in splits.values() for path in paths}
    refuse_doubles(pairs, used, tree)
    return pairs


def refuse_doubles(pairs: Pairs, used: Collection[Path], tree: Tree) -> None:
    """Take pictures with several annotation files out of the pairs, and say so of each."""
    found: dict[Path, list[Path]] = {}
    for source, picture in pairs.pictures.items():
        if source in used:
            found.setdefault(picture, []).append(source)
    for picture, its in found.items():
        files = first_few([tree.name(path) for path in its])
        what = f"has annotations in {files}; want one of them: move the other out of the folder"
        for source in its if len(its) > 1 else ():
            pairs.faults[source] = Fault(picture, "", what)
            del pairs.pictures[source]


def is_apart(source: Path, picture: Path, said: str, tree: Tree) -> bool:
    """Whether the folders of two files tell different things, as cam1 and cam2 do.

    Not so where the annotation itself names the folder of the picture.
    """
    ours, theirs = own_folders(source, tree), own_folders(picture, tree)
    folders = {folded(part) for path in (source, picture) for part in tree.parts(path)[:-1]}
    if ours <= theirs or theirs <= ours or (not KINDS & folders and are_kinds(ours, theirs)):
        return False
    wanted = [folded(part) for part in PurePosixPath(said.replace("\\", "/")).parts]
    count = shared_end(wanted, picture)
    named = picture.parts[len(picture.parts) - count : -1]
    return not theirs & set(map(folded, named))


def are_kinds(ours: Set[str], theirs: Set[str]) -> bool:
    """Whether folders can be unusual words for annotations and for pictures.

    >>> are_kinds({"bboxes"}, {"frames"}), are_kinds({"cam1"}, {"cam2"})
    (True, False)
    """
    numbered = [{re.sub(r"\d+", "", word) for word in words} for words in (ours, theirs)]
    return not numbered[0] & numbered[1] and not any(map(our_split, ours | theirs))


def own_folders(path: Path, tree: Tree) -> frozenset[str]:
    """The folders of a file that are no KINDS; of train_images it is the split that counts."""
    own = set()
    for folder in map(folded, tree.parts(path)[:-1]):
        words = set(re.split(r"[\W_]+", folder))
        own |= {split for word in words if (split := our_split(word))}
        own |= set() if words & KINDS or split_in(folder) else {folder}
    return frozenset(own)


def apart_words(source: Path, picture: Path, tree: Tree) -> str:
    """What to do about a picture of the right name in a wrong folder."""
    *folders, _ = tree.parts(source)
    wanted = "/".join([*(word for word in folders if word.lower() not in KINDS), picture.name])
    return (
        f"no picture {wanted}; {tree.name(picture)} lies in another folder. If it is the one, "
        "call the folders alike"
    )
