"""YOLO: a text file for each picture, a line for each object, becomes `Annotations`.

Uses records.py. Boxes become x1 y1 x2 y2 in pixels of the picture as it is shown, labels count from
1 in the order of `class_names`, "background" at 0. A file that cannot be read raises `DataError`; a
fault of one picture or object is set aside, and check.py decides what becomes of it.
"""

from pathlib import Path

import yaml  # type: ignore[import-untyped]

from detlab.data.pictures import list_pictures, read_header
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


def read_yolo(folder: Path, split: str | None = None) -> Annotations:
    """Read images/SPLIT/ and labels/SPLIT/, or SPLIT/images/ and SPLIT/labels/.

    A line is `class cx cy width height`; the class counts from 0 and becomes label class + 1,
    the rest are fractions of the picture's width and height. A picture without a text file has no
    objects. Class names stand in a .yaml file (`names:`, a list, or a mapping from 0, 1, 2 …) or
    line by line in classes.txt.
    """
    images, labels = yolo_folders(folder, split)
    class_names = yolo_classes(folder)
    pictures, faults = named_once(((path.stem, path) for path in list_pictures(images)), images)
    stems = dict(pictures)
    faults += [
        Fault(source, "", f"no picture {source.stem} in {images}")
        for source in sorted(labels.glob("[!.]*.txt"))
        if source.stem not in stems and source.name != "classes.txt"
    ]
    records = []
    for stem, image in pictures:
        try:
            record, its_faults = yolo_record(labels / f"{stem}.txt", image, class_names)
        except DataError as error:
            faults.append(Fault(image, "", str(error).removeprefix(f"{image}: ")))
            continue
        records.append(record)
        faults += its_faults
    return Annotations(tuple(records), class_names, tuple(faults))


def yolo_record(
    source: Path, image: Path, class_names: tuple[str, ...]
) -> tuple[Record, list[Fault]]:
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
        box = [fraction * side for fraction, side in zip(corners, scale, strict=True)]
        return Object(name, label, box)

    lines = read_text(source).splitlines() if source.exists() else []
    named = [(f"line {i}", line) for i, line in enumerate(lines, start=1) if line.strip()]
    objects, faults = read_each(named, read_object, source)
    return make_record(image, (height, width), objects, source), faults


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
