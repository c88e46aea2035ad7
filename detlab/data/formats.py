"""Readers: COCO JSON, Pascal VOC XML and YOLO text become `Annotations` (records.py).

Follows records.py; feeds data.py. All three end alike, as torchvision has it: boxes x1 y1 x2 y2
in pixels, labels from 1 in the order of `class_names`, "background" at 0.

A reader raises `DataError` where it cannot go on (no such file, not JSON); a fault of one
picture or object is set aside as a `Defect`, and data.py decides what becomes of it.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import yaml  # type: ignore[import-untyped]
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from detlab.data.pictures import list_pictures, read_header
from detlab.data.records import (
    Annotations,
    DataError,
    Defect,
    Object,
    Record,
    label_of_class,
    make_record,
    named_once,
    read_each,
    read_text,
)

# COCO: one JSON file with images, annotations and categories

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
    Crowd boxes (`iscrowd` 1) are left out and are no defect: each marks a region full of
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
        objects[entry["image_id"]].append((name, label, [x, y, x + w, y + h]))

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
) -> tuple[list[tuple[str, dict[str, Any]]], list[Defect]]:
    """Take a list from a COCO file, each entry once and named by its id ("image 7")."""
    entries = content.get(key) if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise DataError(f"{source}: want a COCO file with a list {key!r}")
    if not all(isinstance(entry, dict) and isinstance(entry.get("id"), int) for entry in entries):
        raise DataError(f"{source}: want a whole number as the id of each of its {key!r}")
    return named_once(((f"{ONE_OF[key]} {entry['id']}", entry) for entry in entries), source)


# Pascal VOC: an XML file for each picture


def read_voc(folder: Path, split: str | None = None) -> Annotations:
    """Read a folder with Annotations/, JPEGImages/ and, for a split, ImageSets/Main/SPLIT.txt.

    Its classes are those of *all* annotations, sorted, so that every split agrees. "difficult"
    objects are kept.
    """
    defects: list[Defect] = []
    stems = sorted(path.stem for path in (folder / "Annotations").glob("[!.]*.xml"))
    class_names = ("background", *voc_classes(folder, stems))
    if split is not None:
        listing = folder / "ImageSets" / "Main" / f"{split}.txt"
        words = [line.strip() for line in read_text(listing).splitlines() if line.strip()]
        named, defects = named_once(((word, word) for word in words), listing)
        stems = [stem for stem, _ in named]

    pictures = {path.stem: path for path in list_pictures(folder / "JPEGImages")}
    pairs = [
        (
            folder / "Annotations" / f"{stem}.xml",
            pictures.get(stem, folder / "JPEGImages" / f"{stem}.jpg"),
        )
        for stem in stems
    ]
    read = voc_annotations(pairs, class_names, first_pixel=0)
    return replace(read, defects=(*defects, *read.defects))


def voc_annotations(
    pairs: list[tuple[Path, Path]], class_names: tuple[str, ...], first_pixel: int
) -> Annotations:
    """Read annotation after annotation, each with its picture.

    VOC's own files count pixels from 1 and include the last one, so `first_pixel` 1 moves xmin and
    ymin by one to our continuous frame, where pixel 0 spans 0 to 1. Nearly every other VOC folder
    comes from a tool like LabelImg, which writes corners from 0 (with 0 raised to 1); those are
    taken as they stand, as torchvision does.
    """
    records, defects = [], []
    for source, image in pairs:
        try:
            record, faults = voc_record(source, image, class_names, first_pixel)
        except DataError as error:
            defects.append(Defect(source, "", str(error).removeprefix(f"{source}: ")))
            continue
        records.append(record)
        defects += faults
    return Annotations(tuple(records), class_names, tuple(defects))


def voc_record(
    source: Path, image: Path, class_names: tuple[str, ...], first_pixel: int
) -> tuple[Record, list[Defect]]:
    """Read the annotation of one picture."""
    root = parse_xml(source)

    def read_object(name: str, entry: Element) -> Object:
        label = label_of_class(text_at(entry, "name"), class_names[1:])
        x1, y1, x2, y2 = (
            float(text_at(entry, f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax")
        )
        return name, label, [x1 - first_pixel, y1 - first_pixel, x2, y2]

    named = [(f"object {i}", entry) for i, entry in enumerate(root.findall("object"), start=1)]
    objects, defects = read_each(named, read_object, source)
    try:
        size = (int(text_at(root, "size/height")), int(text_at(root, "size/width")))
    except ValueError:
        size = None
    return make_record(image, size if size and min(size) > 0 else None, objects, source), defects


def voc_classes(folder: Path, stems: list[str]) -> list[str]:
    """Every class that any annotation names, sorted."""
    found = set()
    for stem in stems:
        try:
            root = parse_xml(folder / "Annotations" / f"{stem}.xml")
        except DataError:
            continue  # reported where the record is read
        found |= {entry.text.strip() for entry in root.findall("object/name") if entry.text}
    return sorted(found)


def parse_xml(path: Path) -> Element:
    """Parse XML that a stranger wrote: entities, which can grow without end, are refused."""
    try:
        root: Element = fromstring(read_text(path), forbid_dtd=True)
    except DefusedXmlException as error:
        raise DataError(f"{path}: XML with a DTD or entities is refused") from error
    except ParseError as error:
        raise DataError(f"{path}: not XML: {error}") from error
    return root


def text_at(entry: Element, path: str) -> str:
    """The text of one element below another."""
    text = entry.findtext(path)
    if text is None or not text.strip():
        raise DataError(f"lacks {path}")
    return text.strip()


# YOLO: a text file for each picture, a line for each object


def read_yolo(folder: Path, split: str | None = None) -> Annotations:
    """Read images/SPLIT/ and labels/SPLIT/, or SPLIT/images/ and SPLIT/labels/.

    A line is `class cx cy width height`; the class counts from 0 and becomes label class + 1,
    the rest are shares of the picture's width and height. A picture without a text file has no
    objects. Class names stand in a .yaml file (`names:`, a list, or a mapping from 0, 1, 2 …) or
    line by line in classes.txt.
    """
    images, labels = yolo_folders(folder, split)
    class_names = yolo_classes(folder)
    pictures, defects = named_once(((path.stem, path) for path in list_pictures(images)), images)
    stems = dict(pictures)
    defects += [
        Defect(source, "", f"no picture {source.stem} in {images}")
        for source in sorted(labels.glob("[!.]*.txt"))
        if source.stem not in stems and source.name != "classes.txt"
    ]
    records = []
    for stem, image in pictures:
        try:
            record, faults = yolo_record(labels / f"{stem}.txt", image, class_names)
        except DataError as error:
            defects.append(Defect(image, "", str(error).removeprefix(f"{image}: ")))
            continue
        records.append(record)
        defects += faults
    return Annotations(tuple(records), class_names, tuple(defects))


def yolo_record(
    source: Path, image: Path, class_names: tuple[str, ...]
) -> tuple[Record, list[Defect]]:
    """Read the labels of one picture; its size, in pixels, comes from the picture as shown."""
    height, width = read_header(image).size

    def read_object(name: str, line: str) -> Object:
        words = line.split()
        if len(words) != 5:
            raise DataError(f"want 5 numbers (class cx cy width height), got {len(words)}")
        label = label_of_class(int(words[0]), range(len(class_names) - 1))
        cx, cy, w, h = (float(word) for word in words[1:])
        corners = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]
        scale = [width, height, width, height]
        return name, label, [share * side for share, side in zip(corners, scale, strict=True)]

    lines = read_text(source).splitlines() if source.exists() else []
    named = [(f"line {i}", line) for i, line in enumerate(lines, start=1) if line.strip()]
    objects, defects = read_each(named, read_object, source)
    return make_record(image, (height, width), objects, source), defects


def yolo_folders(folder: Path, split: str | None) -> tuple[Path, Path]:
    """Where the pictures and the labels of a split lie."""
    if split is None:
        return folder / "images", folder / "labels"
    if (folder / "images" / split).is_dir():
        return folder / "images" / split, folder / "labels" / split
    return folder / split / "images", folder / split / "labels"


def yolo_classes(folder: Path) -> tuple[str, ...]:
    """Find the class names, "background" first."""
    for path in sorted(folder.glob("*.y*ml")):
        try:
            content = yaml.safe_load(read_text(path))
        except yaml.YAMLError as error:
            raise DataError(f"{path}: not YAML: {error}".replace("\n", " ")) from error
        names = content.get("names") if isinstance(content, dict) else None
        if isinstance(names, dict):
            if set(names) != set(range(len(names))):
                want = f"0 to {len(names) - 1}"
                raise DataError(f"{path}: want a name for each of {want}, got {list(names)}")
            names = [names[row] for row in range(len(names))]
        if isinstance(names, list) and names:
            return ("background", *map(str, names))
    if (folder / "classes.txt").is_file():
        lines = read_text(folder / "classes.txt").splitlines()
        return ("background", *(line.strip() for line in lines if line.strip()))
    raise DataError(f"{folder}: no class names; want a .yaml file with `names:` or classes.txt")
