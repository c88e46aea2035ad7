"""Folders with an annotation file for each picture: Pascal VOC's XML, labelme's JSON.

Uses voc_format.py, labelme_format.py, layout.py and splits.py.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from detlab.data import labelme_format, voc_format
from detlab.data.labelme_format import labelme_classes, read_labelme
from detlab.data.layout import Layout, Reader, unlisted, with_faults
from detlab.data.pictures import SUFFIXES
from detlab.data.records import DataError, Fault, Note
from detlab.data.splits import by_folder, files_listed, in_order, named_lists, read_list
from detlab.data.tree import Names, Places, Tree
from detlab.data.voc_format import read_voc, voc_classes

BARE = "pictures have no annotation file and are left out"


def voc_layout(tree: Tree, sources: Sequence[Path]) -> Layout:
    """An XML file for each picture; lists in ImageSets, or folders, are the splits."""
    labelmaps = [path for path in tree.files if path.name == "labelmap.txt"]
    class_names = voc_classes(sources, labelmaps)
    names = Names([path.with_suffix("") for path in sources], tree)
    found, faults, notes = listed(sources, names, *lists_of(tree, names))
    words = "splits by lists"
    if not found:
        found, words = by_folder(sources, tree), "splits by folder"
    places = Places(tree.pictures, sources, tree)
    splits: dict[str, Reader] = {
        split: partial(
            with_faults, partial(read_voc, paths, places, class_names), faults.get(split, ())
        )
        for split, paths in found.items()
    }
    pictures = found_pictures(
        sources, partial(voc_format.picture_of, places=places, names=Names(tree.pictures, tree))
    )
    notes += [*unused(tree, sources, found), *unlisted(tree, [pictures], BARE)]
    return Layout("voc", f"{place_of_sources(sources, tree)}, {words}", splits, tuple(notes))


def labelme_layout(tree: Tree, contents: Mapping[Path, Any]) -> Layout:
    """A JSON file for each picture, parsed; folders are the splits."""
    class_names = labelme_classes(contents.values())
    found = by_folder(contents, tree)
    places = Places(tree.pictures, contents, tree)
    splits: dict[str, Reader] = {
        split: partial(read_labelme, {path: contents[path] for path in paths}, places, class_names)
        for split, paths in found.items()
    }
    names = Names(tree.pictures, tree)
    pictures = found_pictures(
        contents, lambda source: labelme_format.picture_of(source, contents[source], places, names)
    )
    notes = [*unused(tree, contents, found), *unlisted(tree, [pictures], BARE)]
    return Layout("labelme", "JSON beside each picture, splits by folder", splits, tuple(notes))


def place_of_sources(sources: Sequence[Path], tree: Tree) -> str:
    """Whether annotation files lie in the folders of their pictures, in words."""
    folders = {picture.parent for picture in tree.pictures}
    beside = sum(path.parent in folders for path in sources) * 2 > len(sources)
    return "XML beside each picture" if beside else "XML in folders of its own"


def lists_of(tree: Tree, names: Names) -> tuple[list[Path], list[Path]]:
    """The lists that are splits, and other lists.

    VOC keeps those for detection in ImageSets/Main, beside others of the same names; where there is
    no such folder, any text file is a list whose first line names an annotation.

    Args:
        tree: all files.
        names: the annotation files, without their endings.
    """
    texts = tree.ending(".txt")
    main = [path for path in texts if path.parent.name.lower() == "main"]
    others = [path for path in texts if any(map(names.meant_by, stems_in(path)[:1]))]
    return (main, [path for path in others if path not in main]) if main else (others, [])


def listed(
    sources: Sequence[Path], names: Names, lists: Sequence[Path], others: Sequence[Path]
) -> tuple[dict[str, list[Path]], dict[str, list[Fault]], list[Note]]:
    """The annotation files of each list, what a list names that is not there, unused lists."""
    lines = {path: stems_in(path) for path in lists}
    of_pictures = [path for path in lists if not is_of_one_class(lines[path], names)]
    chosen, notes = named_lists(of_pictures)
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


def stems_in(path: Path) -> list[str]:
    """The lines of a list, without the endings of pictures or annotations that they may have."""
    endings = (*SUFFIXES, ".xml")
    return [
        line.rpartition(".")[0] if line.lower().endswith(endings) else line
        for line in read_list(path)
    ]


def is_of_one_class(lines: Sequence[str], names: Names) -> bool:
    """Whether a list says of each picture if it shows a class: its lines end in 1, 0 or -1."""
    ends = {line.rpartition(" ")[2] for line in lines}
    return bool(lines) and ends <= {"1", "0", "-1"} and not any(map(names.meant_by, lines))


def unused(tree: Tree, sources: Iterable[Path], found: Mapping[str, Sequence[Path]]) -> list[Note]:
    """A note for each annotation file that is in no split."""
    used = {path for paths in found.values() for path in paths}
    what = "annotation files are in no split and are left out"
    return [Note(what, tree.name(path)) for path in sources if path not in used]


def found_pictures(sources: Iterable[Path], picture_of: Callable[[Path], Path]) -> Iterator[Path]:
    """The pictures that annotation files are about."""
    for source in sources:
        with suppress(DataError):  # reported where the record is read
            yield picture_of(source)
