"""COCO: one JSON file with images, annotations and categories becomes `Annotations`.

Uses records.py. Boxes become x1 y1 x2 y2 in pixels of the picture as it is shown, labels count from
1 in the order of `class_names`, "background" at 0. A file that cannot be read raises `DataError`; a
fault of one picture or object is set aside, and check.py decides what becomes of it.
"""

import json
import math
from pathlib import Path
from typing import Any

from detlab.data.records import (
    Annotations,
    DataError,
    Fault,
    Note,
    Object,
    Record,
    label_of_class,
    make_record,
    named_once,
    read_each,
    read_text,
)

ONE_OF = {"images": "image", "categories": "category", "annotations": "annotation"}
CROWD = "crowd regions (iscrowd 1) are not learned, and ignored in evaluation"
BRUSHED = "objects are marked iscrowd 1 as all of their category, and taken as objects"


def read_coco(annotation_file: Path, *images_dirs: Path) -> Annotations:
    """Read a COCO "instances" file; its pictures lie in the first folder that has one of them."""
    text = read_text(annotation_file)
    try:
        content = json.loads(text)
    except ValueError as error:
        raise DataError(f"{annotation_file}: not JSON: {error}") from error
    images, _ = coco_list(content, "images", annotation_file)
    names = [str(entry.get("file_name")) for _, entry in images[:100]]
    holding = (place for place in images_dirs if any((place / name).is_file() for name in names))
    return coco_annotations(content, next(holding, images_dirs[0]), annotation_file)


def coco_annotations(content: Any, images_dir: Path, source: Path) -> Annotations:
    """Turn the parsed content of a COCO file into records.

    Category ids may have gaps; sorted, they become labels 1, 2, 3 …
    Crowd boxes (`iscrowd` 1) become ignored regions, each with a note: such a box marks a region
    full of objects, not one object, so a detector must not learn it as a box.
    Where *all* annotations of a category are marked so, they are objects: this is how tools
    write masks from a brush (CVAT, Datumaro).
    """
    images, double_images = coco_list(content, "images", source)
    categories, double_categories = coco_list(content, "categories", source)
    annotations, double_annotations = coco_list(content, "annotations", source)
    doubles = (*double_images, *double_categories, *double_annotations)
    if nameless := [name for name, entry in categories if "name" not in entry]:
        raise DataError(f"{source}: {nameless[0]}: lacks 'name'")
    names = dict(sorted((entry["id"], str(entry["name"])) for _, entry in categories))
    objects: dict[Any, list[Object]] = {entry["id"]: [] for _, entry in images}
    brushed = marked_throughout([entry for _, entry in annotations])
    notes: list[Note] = []

    def read_object(name: str, entry: dict[str, Any]) -> None:
        if entry["image_id"] not in objects:
            raise DataError(f"no image has its image_id {entry['image_id']}")
        label = label_of_class(entry["category_id"], names)
        if not isinstance(entry["bbox"], list) or len(entry["bbox"]) != 4:
            raise DataError(f"want four numbers as bbox, got {entry['bbox']!r}")
        x, y, w, h = (float(value) for value in entry["bbox"])
        crowd = is_crowd(entry) and str(entry["category_id"]) not in brushed
        found = Object(name, label, [x, y, x + w, y + h], stated_area(entry), ignored=crowd)
        objects[entry["image_id"]].append(found)
        if is_crowd(entry):
            notes.append(Note(CROWD if crowd else BRUSHED, name))

    def read_image(name: str, entry: dict[str, Any]) -> Record:
        sized = "height" in entry and "width" in entry
        image_size = (int(entry["height"]), int(entry["width"])) if sized else None
        image = images_dir / entry["file_name"]
        return make_record(image, image_size, objects[entry["id"]], source)

    _, odd_objects = read_each(annotations, read_object, source)
    records, odd_images = read_each(images, read_image, source)
    once, twice = named_once(((str(record.image), record) for record in records), source)
    return Annotations(
        tuple(record for _, record in once),
        ("background", *names.values()),
        (*doubles, *odd_objects, *odd_images, *twice),
        tuple(notes),
    )


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
    if not all(isinstance(entry, dict) and isinstance(entry.get("id"), int) for entry in entries):
        raise DataError(f"{source}: want a whole number as the id of each of its {key!r}")
    return named_once(((f"{ONE_OF[key]} {entry['id']}", entry) for entry in entries), source)
