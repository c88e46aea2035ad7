"""labelme: a JSON file beside each picture becomes `Annotations`.

Uses records.py and tree.py. Boxes become x1 y1 x2 y2 in pixels of the picture as it is shown. What
the shapes mean is as in labelme 5.5: a rectangle or a mask by two corners,
a circle by its centre and a point on it, a polygon by its corners.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

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
    quoted,
    read_each,
)
from detlab.data.tree import Names, Places

AREAS = ("rectangle", "polygon", "circle", "mask", "rotation")
"""Shapes that have a box around them; the others are points and lines."""


def is_labelme(content: Any) -> bool:
    """Whether parsed JSON is labelme's."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list)


def labelme_classes(contents: Iterable[Any]) -> tuple[str, ...]:
    """Every label of a shape that has an area, sorted, behind "background"."""
    shapes = [shape for content in contents for shape in content["shapes"]]
    boxed = [shape for shape in shapes if isinstance(shape, dict) and has_area(shape)]
    return ("background", *sorted({str(shape["label"]) for shape in boxed if "label" in shape}))


def has_area(shape: Mapping[str, Any]) -> bool:
    """Whether a shape is one of AREAS; what says nothing is a polygon, as in early labelme."""
    return shape.get("shape_type", "polygon") in AREAS


def read_labelme(
    contents: Mapping[Path, Any], pictures: Places, class_names: tuple[str, ...]
) -> Annotations:
    """Turn parsed labelme files into records, each with its picture."""
    names = Names(pictures.tree.pictures, pictures.tree)
    records: list[Record] = []
    faults: list[Fault] = []
    notes: list[Note] = []
    for source, content in contents.items():
        try:
            image = picture_of(source, content, pictures, names)
        except DataError as error:
            faults.append(Fault(source, "", str(error)))
            continue
        record, its_faults = labelme_record(source, content, image, class_names)
        records.append(record)
        faults += its_faults
        notes += [
            Note("points and lines have no box and are left out", f"{source.stem} shape {row}")
            for row, shape in enumerate(content["shapes"], start=1)
            if isinstance(shape, dict) and not has_area(shape)
        ]
    return Annotations(tuple(records), class_names, tuple(faults), tuple(notes))


def picture_of(source: Path, content: Any, places: Places, names: Names) -> Path:
    """The picture that a file names, else the one of its stem.

    Raises:
        DataError: it could be several.
    """
    said = str(content.get("imagePath") or "")
    found = (names.meant_by(said, near=[source.parent]) if said else []) or places.like(source)
    if len(found) > 1:
        options = first_few([places.tree.name(path) for path in found])
        raise DataError(f"imagePath is {quoted(said)}; its picture could be {options}")
    return found[0] if found else source.with_suffix(".jpg")


def labelme_record(
    source: Path, content: Any, image: Path, class_names: tuple[str, ...]
) -> tuple[Record, list[Fault]]:
    """Read the shapes of one picture."""

    def read_object(name: str, shape: Any) -> Object:
        if not isinstance(shape, dict):
            raise DataError(f"want an object with label and points, got {quoted(shape)}")
        label = label_of_class(str(shape["label"]), class_names[1:])
        return Object(name, label, box_around(shape))

    named = [
        (f"shape {row}", shape)
        for row, shape in enumerate(content["shapes"], start=1)
        if not isinstance(shape, dict) or has_area(shape)
    ]
    objects, faults = read_each(named, read_object, source)
    sides = content.get("imageHeight"), content.get("imageWidth")
    sized = all(isinstance(side, int) and side > 0 for side in sides)
    size = (int(sides[0]), int(sides[1])) if sized else None
    return make_record(image, size, objects, source), faults


def box_around(shape: Mapping[str, Any]) -> list[float]:
    """x1 y1 x2 y2 around a shape.

    >>> box_around({"shape_type": "circle", "points": [[10, 10], [13, 14]]})
    [5.0, 5.0, 15.0, 15.0]
    """
    points = [(float(x), float(y)) for x, y in shape["points"]]
    kind = shape.get("shape_type", "polygon")
    if len(points) < (3 if kind == "polygon" else 2):
        raise DataError(f"a {kind} of {len(points)} points")
    if kind == "circle":
        (x, y), radius = points[0], math.dist(points[0], points[1])
        return [x - radius, y - radius, x + radius, y + radius]
    xs, ys = zip(*points, strict=True)
    return [min(xs), min(ys), max(xs), max(ys)]
