"""COCO: one JSON file with images, annotations and categories becomes `Annotations`.

Uses records.py. Boxes become x1 y1 x2 y2 in pixels of the picture as it is shown, labels count from
1 in the order of `class_names`, "background" at 0. A file that cannot be read raises `DataError`; a
fault of one picture or object is set aside, and check.py decides what becomes of it.
"""

import json
from pathlib import Path
from typing import Any

from detlab.data.records import (
    Annotations,
    DataError,
    Fault,
    Object,
    Record,
    label_of_class,
    make_record,
    named_once,
    read_each,
    read_text,
)

ONE_OF = {"images": "image", "categories": "category", "annotations": "annotation"}


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
    Crowd boxes (`iscrowd` 1) are left out and are no fault: each marks a region full of
    objects, not one object, so a detector must not learn it as a box.
    """
    images, double_images = coco_list(content, "images", source)
    categories, double_categories = coco_list(content, "categories", source)
    annotations, double_annotations = coco_list(content, "annotations", source)
    doubles = (*double_images, *double_categories, *double_annotations)
    if nameless := [name for name, entry in categories if "name" not in entry]:
        raise DataError(f"{source}: {nameless[0]}: lacks 'name'")
    names = dict(sorted((entry["id"], str(entry["name"])) for _, entry in categories))
    objects: dict[Any, list[Object]] = {entry["id"]: [] for _, entry in images}

    def read_object(name: str, entry: dict[str, Any]) -> None:
        if entry["image_id"] not in objects:
            raise DataError(f"no image has its image_id {entry['image_id']}")
        label = label_of_class(entry["category_id"], names)
        if not isinstance(entry["bbox"], list) or len(entry["bbox"]) != 4:
            raise DataError(f"want four numbers as bbox, got {entry['bbox']!r}")
        x, y, w, h = (float(value) for value in entry["bbox"])
        objects[entry["image_id"]].append(Object(name, label, [x, y, x + w, y + h]))

    def read_image(name: str, entry: dict[str, Any]) -> Record:
        sized = "height" in entry and "width" in entry
        image_size = (int(entry["height"]), int(entry["width"])) if sized else None
        image = images_dir / entry["file_name"]
        return make_record(image, image_size, objects[entry["id"]], source)

    single = [(name, entry) for name, entry in annotations if not entry.get("iscrowd")]
    _, odd_objects = read_each(single, read_object, source)
    records, odd_images = read_each(images, read_image, source)
    once, twice = named_once(((str(record.image), record) for record in records), source)
    return Annotations(
        tuple(record for _, record in once),
        ("background", *names.values()),
        (*doubles, *odd_objects, *odd_images, *twice),
    )


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
