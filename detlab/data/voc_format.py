"""Pascal VOC: an XML file for each picture becomes `Annotations`.

Uses records.py and tree.py. Boxes become x1 y1 x2 y2 in pixels of the picture as it is shown,
labels count from 1 in the order of `class_names`, "background" at 0. A file that cannot be read
raises `DataError`; a fault of one picture or object is set aside, and check.py decides what becomes
of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
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


def read_voc(
    sources: Sequence[Path], pictures: Places, class_names: tuple[str, ...]
) -> Annotations:
    """Read XML files, each with its picture."""
    names = Names(pictures.tree.pictures, pictures.tree)
    pairs, faults = [], []
    for source in sources:
        try:
            pairs.append((source, picture_of(source, pictures, names)))
        except DataError as error:
            faults.append(Fault(source, "", str(error).removeprefix(f"{source}: ")))
    read = voc_annotations(pairs, class_names, first_pixel=0)
    return replace(read, faults=(*faults, *read.faults))


def picture_of(source: Path, places: Places, names: Names) -> Path:
    """The picture that an XML file is about: of its stem, and where there are several, by its name.

    A path where no picture is says what was looked for.

    Raises:
        DataError: it could be several, or the file cannot be read.
    """
    found = places.like(source)
    if len(found) == 1:
        return found[0]
    said = (parse_xml(source).findtext("filename") or "").strip()
    if not found:
        found = names.meant_by(said) if said else []
    else:
        last = PurePosixPath(said.replace("\\", "/")).name
        named = [path for path in found if folded(path.name) == folded(last)]
        found = named or found
    if len(found) > 1:
        options = first_few([places.tree.name(path) for path in found])
        raise DataError(f"{source}: <filename> is {quoted(said)}; its picture could be {options}")
    return found[0] if found else source.with_suffix(".jpg")


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
        found |= {entry.text.strip() for entry in root.findall("object/name") if entry.text}
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
        x1, y1, x2, y2 = (
            float(text_at(entry, f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax")
        )
        box = [x1 - first_pixel, y1 - first_pixel, x2, y2]
        difficult = entry.findtext("difficult", "0").strip().lower() in ("1", "true")
        if difficult:
            notes.append(Note(DIFFICULT, f"{source.stem} {name}"))
        return Object(name, label, box, ignored=difficult)

    named = [(f"object {i}", entry) for i, entry in enumerate(root.findall("object"), start=1)]
    objects, faults = read_each(named, read_object, source)
    try:
        size = (int(text_at(root, "size/height")), int(text_at(root, "size/width")))
    except ValueError:
        size = None
    record = make_record(image, size if size and min(size) > 0 else None, objects, source)
    return record, faults, notes


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
    return root


def text_at(entry: Element, path: str) -> str:
    """The text of one element below another."""
    text = entry.findtext(path)
    if text is None or not text.strip():
        raise DataError(f"lacks {path}")
    return text.strip()
