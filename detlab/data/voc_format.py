"""Pascal VOC: an XML file for each picture becomes `Annotations`.

Uses records.py and tree.py. Boxes become x1 y1 x2 y2 in pixels of the picture as it is shown,
labels count from 1 in the order of `class_names`, "background" at 0. A file that cannot be read
raises `DataError`; a fault of one picture or object is set aside, and check.py decides what becomes
of it.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

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
    read_text,
)
from detlab.data.tree import Names, Places, folded

DIFFICULT = "objects called difficult are not learned, and not counted"


def read_voc(pictures: Mapping[Path, Path], class_names: tuple[str, ...]) -> Annotations:
    """Read XML files, each with its picture."""
    return voc_annotations(list(pictures.items()), class_names, first_pixel=0)


def picture_of(source: Path, places: Places, names: Names) -> tuple[Path, str]:
    """The picture that an XML file is about, and the name by which it calls it, with its folder.

    It is the one of its stem, and where there are several, the one of its name. A path where no
    picture is says what was looked for.

    Raises:
        DataError: it could be several, or the file cannot be read.
    """
    found = places.like(source)
    if len(found) == 1 and places.tree.key(found[0]) == places.tree.key(source):
        return found[0], ""
    root = parse_xml(source)
    said = (root.findtext("filename") or "").strip()
    folder = (root.findtext("folder") or "").strip()
    if not found:
        found = names.meant_by(said) if said else []
    elif len(found) > 1:
        last = PurePosixPath(said.replace("\\", "/")).name
        named = [path for path in found if folded(path.name) == folded(last)]
        found = named or found
    if len(found) > 1:
        options = first_few([places.tree.name(path) for path in found])
        raise DataError(f"{source}: <filename> is {quoted(said)}; its picture could be {options}")
    whole = said if "/" in said or "\\" in said else f"{folder}/{said}"
    return found[0] if found else source.with_suffix(".jpg"), whole


def voc_classes(sources: Iterable[Path], labelmaps: Sequence[Path] = ()) -> tuple[str, ...]:
    """The classes of labelmap.txt in its order, then what else any annotation names, sorted.

    Behind "background", which stands first.
    """
    found = set()
    for source in sources:
        try:
            root = parse_xml(source)
        except DataError:
            continue  # reported where the record is read
        found |= {entry.text.strip() for entry in root.iterfind(".//object/name") if entry.text}
    listed = list(dict.fromkeys(name for path in labelmaps for name in labelmap_classes(path)))
    return ("background", *listed, *sorted(found - {"", *listed}))


def voc_annotations(
    pairs: list[tuple[Path, Path]], class_names: tuple[str, ...], first_pixel: int
) -> Annotations:
    """Read annotation after annotation, each with its picture.

    VOC's own files count pixels from 1 and include the last one, so `first_pixel` 1 moves xmin and
    ymin by one to our continuous frame, where pixel 0 spans 0 to 1. Nearly every other VOC folder
    comes from a tool like LabelImg, which writes corners from 0 (with 0 raised to 1); those are
    taken as they stand, as torchvision does.

    Objects called difficult become ignored regions, each with a note.
    """
    records: list[Record] = []
    faults: list[Fault] = []
    notes: list[Note] = []
    for source, image in pairs:
        try:
            record, its_faults, its_notes = voc_record(source, image, class_names, first_pixel)
        except DataError as error:
            faults.append(Fault(source, "", str(error).removeprefix(f"{source}: ")))
            continue
        records.append(record)
        faults += its_faults
        notes += its_notes
    return Annotations(tuple(records), class_names, tuple(faults), tuple(notes))


def voc_record(
    source: Path, image: Path, class_names: tuple[str, ...], first_pixel: int
) -> tuple[Record, list[Fault], list[Note]]:
    """Read the annotation of one picture."""
    root = parse_xml(source)
    if root.tag != "annotation":
        raise DataError(f"{source}: want <annotation> as the outermost, got <{root.tag}>")
    notes = []

    def read_object(name: str, entry: Element) -> Object:
        label = label_of_class(text_at(entry, "name"), class_names[1:])
        box, around = box_of(entry, first_pixel)
        if around:
            notes.append(Note(around, f"{source.stem} {name}"))
        difficult = entry.findtext("difficult", "0").strip().lower() in ("1", "true")
        if difficult:
            notes.append(Note(DIFFICULT, f"{source.stem} {name}"))
        return Object(name, label, box, ignored=difficult)

    named = [(f"object {i}", entry) for i, entry in enumerate(root.iter("object"), start=1)]
    if not named and root.find(".//bndbox") is not None:
        raise DataError(f"{source}: has <bndbox> outside of <object>; want an <object> around each")
    deleted = [name for name, entry in named if entry.findtext("deleted", "").strip() == "1"]
    notes += [Note("objects called deleted are left out", f"{source.stem} {n}") for n in deleted]
    kept = [(name, entry) for name, entry in named if name not in deleted]
    objects, faults = read_each(kept, read_object, source)
    try:
        size = (int(text_at(root, "size/height")), int(text_at(root, "size/width")))
    except ValueError:
        size = None
    record = make_record(image, size if size and min(size) > 0 else None, objects, source)
    return record, faults, notes


def box_of(entry: Element, first_pixel: int) -> tuple[list[float], str]:
    """x1 y1 x2 y2 of an object, and by which rule where that is not its <bndbox>.

    Raises:
        DataError: it has several, or none.
    """
    if (several := len(entry.findall("bndbox"))) > 1:
        raise DataError(f"has {several} <bndbox>; want an <object> for each")
    if several == 0 and entry.find("robndbox") is not None:
        return around_turned(entry), "turned boxes (robndbox) are read as the box around them"
    if several == 0 and (points := entry.findall("polygon/pt")):
        xs, ys = ([float(text_at(pt, key)) for pt in points] for key in "xy")
        around = "objects have a polygon, no bndbox; it is taken around their polygon"
        return [min(xs), min(ys), max(xs), max(ys)], around
    x1, y1, x2, y2 = (
        float(text_at(entry, f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax")
    )
    return [x1 - first_pixel, y1 - first_pixel, x2, y2], ""


def around_turned(entry: Element) -> list[float]:
    """The box around roLabelImg's: a centre, two sides, and an angle in radians."""
    x, y, width, height, angle = (
        float(text_at(entry, f"robndbox/{key}")) for key in ("cx", "cy", "w", "h", "angle")
    )
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    across, down = (width * cos + height * sin) / 2, (width * sin + height * cos) / 2
    return [x - across, y - down, x + across, y + down]


def labelmap_classes(path: Path) -> list[str]:
    """The classes that CVAT lists beside the annotations, a line `name:colour:parts:actions` each.

    VOC itself has no list of classes.
    """
    lines = [line.strip() for line in read_text(path).splitlines()]
    names = [line.rsplit(":", 3)[0] for line in lines if line and not line.startswith("#")]
    return [name for name in dict.fromkeys(names) if name != "background"]


def parse_xml(path: Path) -> Element:
    """Parse XML that a stranger wrote: entities, which can grow without end, are refused."""
    try:
        root: Element = fromstring(read_text(path), forbid_dtd=True)
    except DefusedXmlException as error:
        raise DataError(f"{path}: XML with a DTD or entities is refused") from error
    except ParseError as error:
        raise DataError(f"{path}: not XML: {error}") from error
    for entry in root.iter():
        entry.tag = entry.tag.rpartition("}")[2]  # without a namespace
    return root


def text_at(entry: Element, path: str) -> str:
    """The text of one element below another."""
    text = entry.findtext(path)
    if text is None or not text.strip():
        raise DataError(f"lacks {path}")
    return text.strip()
