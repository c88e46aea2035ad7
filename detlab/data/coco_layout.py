"""COCO folders: a file for each split, or one for all, and its pictures wherever they lie.

Uses coco_format.py, layout.py and splits.py.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from detlab.data.coco_format import (
    FindPicture,
    category_names,
    coco_annotations,
    coco_list,
    id_text,
    picture_finder,
    picture_name,
    unused_categories,
)
from detlab.data.layout import Layout, Reader, unlisted
from detlab.data.records import UNREADABLE, DataError, Note, first_few
from detlab.data.splits import (
    UNSPLIT,
    files_listed,
    in_order,
    named_lists,
    read_list,
    split_in,
    split_of_folder,
)
from detlab.data.tree import Names, Tree, our_split

SplitOf = Callable[[dict[str, Any]], str | None]
"""From the entry of an image to its split, None where it is in none."""


def is_coco(content: Any) -> bool:
    """Whether parsed JSON has COCO's list of images."""
    return isinstance(content, dict) and isinstance(content.get("images"), list)


def coco_layout(tree: Tree, contents: Mapping[Path, Any]) -> Layout:
    """A COCO file for each split, or one for all; `contents` are the parsed files."""
    refuse_panoptic(contents)
    chosen, notes = coco_splits(tree, contents)
    labelled = {s: path for s, path in chosen.items() if "annotations" in contents[path]}
    if not labelled:
        first = next(iter(chosen.values()))
        raise DataError(f"{first}: want a COCO file with a list 'annotations'")
    class_names, empty = coco_classes({path: contents[path] for path in labelled.values()})
    notes += [Note("categories without an object are no classes", name) for name in empty]
    notes += not_everywhere({s: contents[path] for s, path in labelled.items()}, class_names)
    names = Names(tree.pictures, tree)
    finders = {split: finder(tree, names, path, split) for split, path in chosen.items()}
    splits: dict[str, Reader] = {
        split: partial(coco_annotations, contents[path], finders[split], path, class_names)
        for split, path in labelled.items()
    }
    named = [named_pictures(contents[path], finders[split]) for split, path in chosen.items()]
    bare = {s: len(contents[path]["images"]) for s, path in chosen.items() if s not in labelled}
    words = first_few([tree.name(path) for path in labelled.values()])
    if list(chosen) == [UNSPLIT]:
        path, find = chosen[UNSPLIT], finders[UNSPLIT]
        shares, how, more = coco_shares(tree, contents[path], find, path)
        notes += more
        words += f", splits by {how}" if shares else ""
        splits = {
            split: partial(coco_annotations, share, find, path, class_names)
            for split, share in shares.items()
        } or splits
    return Layout("coco", words, splits, (*notes, *unlisted(tree, named)), bare)


def refuse_panoptic(contents: Mapping[Path, Any]) -> None:
    """Refuse COCO files with segments of pictures only; beside others they count as such."""
    entries = {path: content.get("annotations") for path, content in contents.items()}
    if all(isinstance(own, list) and own and "segments_info" in own[0] for own in entries.values()):
        raise DataError(
            f"{next(iter(entries))}: COCO panoptic is not read; want instances_….json "
            "(panopticapi's panoptic2detection_coco_format.py makes it)"
        )


def coco_shares(
    tree: Tree, content: Any, find: FindPicture, source: Path
) -> tuple[dict[str, Any], str, list[Note]]:
    """One COCO file for all as one for each split, what tells the splits, and notes.

    Where nothing tells two of its images apart, it has no splits: {}.
    """
    images, _ = coco_list(content, "images", source)
    listed, notes = split_lists(tree)
    for how, split_of in ways_to_split(tree, find, listed).items():
        split_by_id = {id_text(entry["id"]): split_of(entry) for _, entry in images}
        if len(set(split_by_id.values())) > 1:
            what = f"images of the COCO file are in no split, told by {how}, and are left out"
            notes += [
                Note(what, str(entry.get("file_name")))
                for _, entry in images
                if split_by_id[id_text(entry["id"])] is None
            ]
            splits = list(in_order({split: True for split in split_by_id.values() if split}))
            shares = {split: share_of(content, split_by_id, split, splits) for split in splits}
            return shares, how, notes
    return {}, "", notes


def ways_to_split(
    tree: Tree, find: FindPicture, listed: Mapping[Path | None, str]
) -> dict[str, SplitOf]:
    """The ways to tell the split of an image, the clearest first.

    They are: "split" in its entry, the list that names its picture, the folder of its picture.
    """

    def by_folder(entry: dict[str, Any]) -> str | None:
        picture = picture_of(entry, find)
        return split_of_folder(tree.parts(picture)[:-1]) if picture else None

    return {
        '"split" in its images': lambda entry: our_split(str(entry.get("split", ""))),
        "lists": lambda entry: listed.get(picture_of(entry, find)) if listed else None,
        "folder": by_folder,
    }


def share_of(
    content: Any, split_by_id: Mapping[str, str | None], split: str, splits: Sequence[str]
) -> Any:
    """The images of a split and their annotations; those of no image stand in the first split."""

    def is_of(entry: Any, key: str) -> bool:
        number = id_text(entry.get(key)) if isinstance(entry, dict) else ""
        return split_by_id.get(number, splits[0]) == split

    images = [entry for entry in content["images"] if is_of(entry, "id")]
    annotations = [entry for entry in content["annotations"] if is_of(entry, "image_id")]
    return {**content, "images": images, "annotations": annotations}


def split_lists(tree: Tree) -> tuple[dict[Path | None, str], list[Note]]:
    """The split of each picture that a list called train.txt, val.txt … names."""
    names = Names(tree.pictures)
    called = [path for path in tree.ending(".txt") if our_split(path.stem)]
    lists = [path for path in called if any(map(names.meant_by, read_list(path)))]
    notes = [
        Note("lists name no picture, and are not used", tree.name(path))
        for path in called
        if path not in lists
    ]
    chosen, more = named_lists(lists)
    found: dict[Path | None, str] = {}
    for split, path in chosen.items():
        pictures, faults = files_listed(path, read_list(path), names, "picture", [path.parent])
        what = "lines of lists name no picture, and are not used"
        notes += [Note(what, f"{tree.name(path)}: {fault.record}") for fault in faults]
        found.update(dict.fromkeys(pictures, split))
    return found, [*notes, *more]


def picture_of(entry: dict[str, Any], find: FindPicture) -> Path | None:
    """The picture of an image's entry, None where it has none."""
    try:
        return find(picture_name(entry))
    except UNREADABLE:
        return None  # reported where the record is read


def coco_splits(tree: Tree, contents: Mapping[Path, Any]) -> tuple[dict[str, Path], list[Note]]:
    """The COCO file of each split, by its name or by its folder.

    Of several for one split, the one called instances_… is meant: COCO has others for key points.

    Raises:
        DataError: two of one split, as instances_train2014.json and instances_train2017.json.
    """
    found: dict[str, list[Path]] = {}
    for path in sorted(contents):
        folders = tree.parts(path)[:-1]
        split = split_in(path.stem) or split_of_folder(folders)
        found.setdefault(split or path.stem.removeprefix("instances_"), []).append(path)
    chosen, notes = {}, []
    for split, paths in found.items():
        first = [path for path in paths if path.name.startswith("instances")] or paths
        if len(first) > 1:
            raise DataError(f"{first[0]} and {first[1]}: want one of them as the {split} split")
        [chosen[split]] = first
        notes += [
            Note("COCO files are not used", tree.name(path)) for path in paths if path not in first
        ]
    named = {split: path for split, path in chosen.items() if our_split(split)}
    if not named and len(chosen) == 1:
        named = {UNSPLIT: next(iter(chosen.values()))}
    named = named or chosen  # folds, for instance
    notes += [
        Note("COCO files are not used", tree.name(path))
        for path in chosen.values()
        if path not in named.values()
    ]
    return in_order(named), notes


def coco_classes(contents: Mapping[Path, Any]) -> tuple[tuple[str, ...], list[str]]:
    """The classes of all COCO files together, and the categories that none of them uses.

    Where nothing is labelled yet, every category is a class.
    """
    every: dict[str, None] = {}
    used: set[str] = set()
    for path, content in contents.items():
        categories, _ = coco_list(content, "categories", path)
        names = list(category_names(categories, path).values())
        every.update(dict.fromkeys(names))
        used |= set(names) - set(unused_categories(content, path))
    kept = [name for name in every if name in used] or list(every)
    return ("background", *kept), [name for name in every if name not in kept]


def not_everywhere(contents: Mapping[str, Any], class_names: Sequence[str]) -> list[Note]:
    """A note for each class that a split's file does not have among its categories."""
    listed = {
        split: {str(entry.get("name")) for entry in content["categories"]}
        for split, content in contents.items()
    }
    return [
        Note(f"classes are no categories in {split}", name)
        for split, names in listed.items()
        for name in class_names[1:]
        if name not in names
    ]


def finder(tree: Tree, names: Names, path: Path, split: str) -> FindPicture:
    """Finds pictures by `file_name`: of several those near the file, or in its split's folder."""
    folders = sorted({picture.parent for picture in tree.pictures})
    own = [place for place in folders if split_of_folder(tree.parts(place / "_")[:-1]) == split]
    near = [path.parent, *own] if path.parent != tree.root else own
    images = tree.root / "images"
    return picture_finder(names, near, images if images.is_dir() else path.parent)


def named_pictures(content: Any, find: FindPicture) -> list[Path]:
    """The pictures that a COCO file names."""
    found = (picture_of(entry, find) for entry in content["images"])
    return [picture for picture in found if picture]
