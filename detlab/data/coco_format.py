"""COCO: one JSON file with images, annotations and categories becomes `Annotations`.

Uses records.py and tree.py. Boxes become x1 y1 x2 y2 in pixels of the picture as it is shown,
labels count from 1 in the order of `class_names`, "background" at 0. A file that cannot be read
raises `DataError`; a fault of one picture or object is set aside, and check.py decides what becomes
of it.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from detlab.data.records import (
    Annotations,
    DataError,
    Fault,
    Note,
    Object,
    Record,
    first_few,
    label_of_class,
    make_record,
    named_once,
    quoted,
    read_each,
    read_json,
)
from detlab.data.tree import Names, is_elsewhere

ONE_OF = {"images": "image", "categories": "category", "annotations": "annotation"}
CROWD = "crowd regions (iscrowd 1) are not learned, and ignored in evaluation"
IGNORE = "annotations marked ignore 1 are not learned, and ignored in evaluation"
BRUSHED = "objects are marked iscrowd 1 as all of their category, and taken as objects"

FindPicture = Callable[[str], Path]
"""From the `file_name` of an image to its file."""


def read_coco(annotation_file: Path, *images_dirs: Path) -> Annotations:
    """Read a COCO "instances" file; its pictures lie in the first folder that has one of them."""
    content = read_json(annotation_file)
    images, _ = coco_list(content, "images", annotation_file)
    names = [str(entry.get("file_name")) for _, entry in images[:100]]
    holding = (place for place in images_dirs if any((place / name).is_file() for name in names))
    place = next(holding, images_dirs[0])
    return coco_annotations(content, lambda name: place / name, annotation_file)


def picture_finder(names: Names, near: Sequence[Path], images_dir: Path) -> FindPicture:
    """Finds the pictures of a COCO file among those of a folder, and never elsewhere.

    Args:
        names: all pictures of the folder.
        near: where the pictures of this split lie; of several with one name those count.
        images_dir: where a picture is said to be missing.
    """
    by_stem: dict[str, list[Path]] = {}
    for path in (path for paths in names.by_name.values() for path in paths):
        by_stem.setdefault(path.stem, []).append(path)

    def find(name: str) -> Path:
        found = names.meant_by(name, near) or names.meant_by(plain_name(name), near)
        if len(found) > 1:
            raise DataError(f"file_name {quoted(name)} could be {first_few(list(map(str, found)))}")
        if not found and is_elsewhere(name):
            raise DataError(
                f"file_name {quoted(name)}: no picture of this name here; "
                "--allow-outside FOLDER reads another folder, too"
            )
        like = [] if found else by_stem.get(Path(name).stem, [])
        if like:
            raise DataError(
                f"file_name {quoted(name)}: no such picture, but {like[0].name}; "
                "want that name there, if it is the same picture"
            )
        return found[0] if found else images_dir / name

    return find


def plain_name(name: str) -> str:
    """A picture's name without what an address of the web adds to it.

    >>> plain_name("https://a.org/my%20cat.jpg?sig=ab%2F0")
    'https://a.org/my cat.jpg'
    """
    return unquote(name.partition("?")[0])


def coco_annotations(
    content: Any,
    find_picture: FindPicture,
    source: Path,
    class_names: tuple[str, ...] | None = None,
) -> Annotations:
    """Turn the parsed content of a COCO file into records.

    Category ids may have gaps and may be words; sorted, they become labels 1, 2, 3 …
    Crowd boxes (`iscrowd` 1) become ignored regions, each with a note: such a box marks a region
    full of objects, not one object, so a detector must not learn it as a box.
    Where *all* annotations of a category are marked so, they are objects: this is how tools
    write masks from a brush (CVAT, Datumaro).

    Args:
        content: parsed JSON.
        find_picture: from a `file_name` to its file.
        source: the file that `content` comes from.
        class_names: "background" first; None: all categories of the file.
    """
    images, double_images = coco_list(content, "images", source)
    categories, double_categories = coco_list(content, "categories", source)
    annotations, double_annotations = coco_list(content, "annotations", source)
    doubles = (*double_images, *double_categories, *double_annotations)
    names = category_names(categories, source)
    class_names = class_names or ("background", *names.values())
    objects: dict[Any, list[Object]] = {entry["id"]: [] for _, entry in images}
    image_ids = {id_text(number): number for number in objects}
    category_ids = {id_text(number): number for number in names}
    brushed = marked_throughout([entry for _, entry in annotations])
    notes: list[Note] = []

    def read_object(name: str, entry: dict[str, Any]) -> None:
        image_id = same_id(entry["image_id"], objects, image_ids)
        if image_id not in objects:
            raise DataError(f"no image has its image_id {quoted(image_id)}")
        category_id = same_id(entry["category_id"], names, category_ids)
        label_of_class(category_id, names)
        label = label_of_class(names[category_id], class_names[1:])
        box, what = box_of(entry)
        if what:
            notes.append(Note(what, name))
        crowd = is_crowd(entry) and str(entry["category_id"]) not in brushed
        ignore = entry.get("ignore") in (1, "1") and not is_crowd(entry)
        found = Object(name, label, box, stated_area(entry), ignored=crowd or ignore)
        objects[image_id].append(found)
        if ignore:
            notes.append(Note(IGNORE, name))
        if is_crowd(entry):
            notes.append(Note(CROWD if crowd else BRUSHED, name))

    def read_image(name: str, entry: dict[str, Any]) -> Record:
        sides = entry.get("height") or 0, entry.get("width") or 0
        height, width = (int(side) for side in sides)
        called = picture_name(entry)
        image = find_picture(called)
        if is_elsewhere(called):
            what = "file names lead elsewhere, and are looked for in this folder"
            notes.append(Note(what, quoted(called)))
        if image.name == (plain := Path(plain_name(called)).name) != Path(called).name:
            what = "file names with ?… or %20, as in the web, are read without"
            notes.append(Note(what, f"{plain} for {quoted(called)}"))
        size = (height, width) if min(height, width) > 0 else None
        return make_record(image, size, objects[entry["id"]], source)

    _, odd_objects = read_each(annotations, read_object, source)
    records, odd_images = read_each(images, read_image, source)
    once, twice = named_once(((str(record.image), record) for record in records), source)
    return Annotations(
        tuple(record for _, record in once),
        class_names,
        (*doubles, *odd_objects, *odd_images, *twice),
        tuple(notes),
    )


def box_of(entry: dict[str, Any]) -> tuple[list[float], str]:
    """x1 y1 x2 y2 of an annotation, and what to say of it.

    >>> box_of({"bbox": [9, 2, -4, 3]})
    ([5.0, 2.0, 9.0, 5.0], 'boxes drawn from right to left or upwards are turned')
    >>> box_of({"segmentation": [[1, 2, 5, 2, 5, 9]]})[0]
    [1.0, 2.0, 5.0, 9.0]
    """
    if entry.get("bbox") in (None, []) and isinstance(entry.get("segmentation"), list):
        corners = [float(value) for polygon in entry["segmentation"] for value in polygon]
        if len(corners) >= 6:
            xs, ys = corners[0::2], corners[1::2]
            what = "annotations have no bbox; it is taken around their polygon"
            return [min(xs), min(ys), max(xs), max(ys)], what
    if entry.get("bbox") in (None, []) and isinstance(entry.get("segmentation"), dict):
        raise DataError("lacks bbox, and its mask is RLE; want what pycocotools.mask.toBbox gives")
    if not isinstance(entry["bbox"], list) or len(entry["bbox"]) != 4:
        raise DataError(f"want four numbers as bbox, got {quoted(entry['bbox'])}")
    x, y, w, h = (float(value) for value in entry["bbox"])
    if w < 0 or h < 0:
        what = "boxes drawn from right to left or upwards are turned"
        return [min(x, x + w), min(y, y + h), max(x, x + w), max(y, y + h)], what
    return [x, y, x + w, y + h], ""


def category_names(
    categories: Iterable[tuple[str, dict[str, Any]]], source: Path
) -> dict[Any, str]:
    """The names of categories by their ids, in the order of the ids.

    Raises:
        DataError: one has no name, or two have the same.
    """
    named: dict[Any, str] = {}
    for where, entry in sorted(categories, key=lambda pair: in_sequence(pair[1]["id"])):
        if "name" not in entry:
            raise DataError(f"{source}: {where}: lacks 'name'")
        name = str(entry["name"])
        if name in named.values():
            twice = next(number for number, other in named.items() if other == name)
            raise DataError(
                f"{source}: categories {twice} and {entry['id']} are both called {quoted(name)}; "
                "rename one, or give their objects one category"
            )
        named[entry["id"]] = name
    return named


def in_sequence(number: int | float | str) -> tuple[bool, float, str]:
    """A key that sorts numbers by size, then words.

    >>> sorted([10, "b", 9, "a"], key=in_sequence)
    [9, 10, 'a', 'b']
    """
    if isinstance(number, str):
        return True, 0.0, number
    return False, float(number), ""


def id_text(number: Any) -> str:
    """The text that an id has in common with those meant alike.

    >>> id_text(7), id_text(7.0), id_text("7")
    ('7', '7', '7')
    """
    return str(int(number) if isinstance(number, float) and number.is_integer() else number)


def same_id(number: Any, known: Mapping[Any, Any], by_text: Mapping[str, Any]) -> Any:
    """The known id that is meant: the same, else the one of the same text."""
    return number if number in known else by_text.get(id_text(number), number)


def picture_name(entry: dict[str, Any]) -> str:
    """What an image's entry calls its picture; LVIS has an address in its place.

    >>> picture_name({"coco_url": "http://images.cocodataset.org/val2017/7.jpg"})
    'val2017/7.jpg'
    """
    if "file_name" not in entry and isinstance(entry.get("coco_url"), str):
        return "/".join(entry["coco_url"].split("/")[-2:])
    return str(entry["file_name"])


def unused_categories(content: Any, source: Path) -> list[str]:
    """The names of categories without an object; every export of Roboflow begins with one."""
    categories, _ = coco_list(content, "categories", source)
    annotations, _ = coco_list(content, "annotations", source)
    used = {id_text(entry.get("category_id")) for _, entry in annotations}
    named = category_names(categories, source)
    return [name for number, name in named.items() if id_text(number) not in used]


def is_crowd(entry: dict[str, Any]) -> bool:
    """Whether an annotation is marked as a region full of objects."""
    return entry.get("iscrowd") in (1, "1")


def marked_throughout(entries: list[dict[str, Any]]) -> set[str]:
    """The ids of categories whose every annotation is marked iscrowd.

    >>> marks = [("cat", 1), ("dog", 1), ("dog", 0)]
    >>> marked_throughout([{"category_id": name, "iscrowd": mark} for name, mark in marks])
    {'cat'}
    """
    marked, plain = (
        {str(entry.get("category_id")) for entry in entries if is_crowd(entry) == wanted}
        for wanted in (True, False)
    )
    return marked - plain


def stated_area(entry: dict[str, Any]) -> float:
    """Square pixels that an annotation says its object covers; nan where it says nothing usable.

    >>> stated_area({"area": 12.5}), stated_area({"area": 0}), stated_area({})
    (12.5, nan, nan)
    """
    area = entry.get("area")
    if isinstance(area, int | float) and 0 < area < math.inf:
        return float(area)
    return math.nan


def coco_list(
    content: Any, key: str, source: Path
) -> tuple[list[tuple[str, dict[str, Any]]], list[Fault]]:
    """Take a list from a COCO file, each entry once and named by its id ("image 7")."""
    entries = content.get(key) if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise DataError(f"{source}: want a COCO file with a list {key!r}")
    for row, entry in enumerate(entries):
        number = entry.get("id") if isinstance(entry, dict) else None
        if isinstance(number, bool) or not isinstance(number, int | float | str):
            raise DataError(
                f"{source}: want a whole number or a word as the id of each of its {key!r}; "
                f"entry {row} is {quoted(entry)}"
            )
    return named_once(((f"{ONE_OF[key]} {entry['id']}", entry) for entry in entries), source)
