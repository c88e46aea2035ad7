"""Pascal VOC: an XML file for each picture; a folder of them becomes `Annotations`.

Uses records.py. Boxes become x1 y1 x2 y2 in pixels of the picture as it is shown, labels count from
1 in the order of `class_names`, "background" at 0. A file that cannot be read raises `DataError`; a
fault of one picture or object is set aside, and check.py decides what becomes of it.
"""

from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from detlab.data.pictures import list_pictures
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


def read_voc(folder: Path, split: str | None = None) -> Annotations:
    """Read a folder with Annotations/, JPEGImages/ and, for a split, ImageSets/Main/SPLIT.txt.

    Its classes are those of labelmap.txt and of *all* annotations, so that every split agrees.
    "difficult" objects are kept.
    """
    faults: list[Fault] = []
    stems = sorted(path.stem for path in (folder / "Annotations").glob("[!.]*.xml"))
    class_names = ("background", *voc_classes(folder, stems))
    if split is not None:
        listing = folder / "ImageSets" / "Main" / f"{split}.txt"
        words = [line.strip() for line in read_text(listing).splitlines() if line.strip()]
        named, faults = named_once(((word, word) for word in words), listing)
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
    return replace(read, faults=(*faults, *read.faults))


def voc_annotations(
    pairs: list[tuple[Path, Path]], class_names: tuple[str, ...], first_pixel: int
) -> Annotations:
    """Read annotation after annotation, each with its picture.

    VOC's own files count pixels from 1 and include the last one, so `first_pixel` 1 moves xmin and
    ymin by one to our continuous frame, where pixel 0 spans 0 to 1. Nearly every other VOC folder
    comes from a tool like LabelImg, which writes corners from 0 (with 0 raised to 1); those are
    taken as they stand, as torchvision does.
    """
    records, faults = [], []
    for source, image in pairs:
        try:
            record, its_faults = voc_record(source, image, class_names, first_pixel)
        except DataError as error:
            faults.append(Fault(source, "", str(error).removeprefix(f"{source}: ")))
            continue
        records.append(record)
        faults += its_faults
    return Annotations(tuple(records), class_names, tuple(faults))


def voc_record(
    source: Path, image: Path, class_names: tuple[str, ...], first_pixel: int
) -> tuple[Record, list[Fault]]:
    """Read the annotation of one picture."""
    root = parse_xml(source)

    def read_object(name: str, entry: Element) -> Object:
        label = label_of_class(text_at(entry, "name"), class_names[1:])
        x1, y1, x2, y2 = (
            float(text_at(entry, f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax")
        )
        return Object(name, label, [x1 - first_pixel, y1 - first_pixel, x2, y2])

    named = [(f"object {i}", entry) for i, entry in enumerate(root.findall("object"), start=1)]
    objects, faults = read_each(named, read_object, source)
    try:
        size = (int(text_at(root, "size/height")), int(text_at(root, "size/width")))
    except ValueError:
        size = None
    return make_record(image, size if size and min(size) > 0 else None, objects, source), faults


def voc_classes(folder: Path, stems: list[str]) -> list[str]:
    """The classes of labelmap.txt in its order, then what else any annotation names, sorted."""
    found = set()
    for stem in stems:
        try:
            root = parse_xml(folder / "Annotations" / f"{stem}.xml")
        except DataError:
            continue  # reported where the record is read
        found |= {entry.text.strip() for entry in root.findall("object/name") if entry.text}
    listed = labelmap_classes(folder / "labelmap.txt")
    return [*listed, *sorted(found - set(listed))]


def labelmap_classes(path: Path) -> list[str]:
    """The classes that CVAT lists beside the annotations, a line `name:colour:parts:actions` each.

    VOC itself has no list of classes: where there is no such file, there are none.
    """
    lines = [line.strip() for line in read_text(path).splitlines()] if path.is_file() else []
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
