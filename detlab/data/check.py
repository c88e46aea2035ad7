"""What is wrong with a folder: every fault of its pictures and boxes, one by one.

Follows folders.py, whose readers report what they cannot read. datasets.py loads what is sound.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import torch

from detlab.data.pictures import Header, read_header, read_picture
from detlab.data.records import Annotations, DataError, Fault, Record

SLACK = 1.0
"""Pixels a box may reach past the edge: annotation tools round and count from 0 or from 1."""


def box_fault(box: list[float], image_size: tuple[int, int]) -> str | None:
    """Say what is wrong with one box (x1 y1 x2 y2, pixels), or None.

    >>> box_fault([0.0, 0.0, 30.5, 20.0], image_size=(20, 30))
    >>> box_fault([5.0, 5.0, 5.0, 9.0], image_size=(20, 30))
    'box 5 5 5 9 has no area inside the 30x20 picture; want x2 > x1 and y2 > y1'
    """
    height, width = image_size
    x1, y1, x2, y2 = box
    written = " ".join(f"{value:g}" for value in box)
    if not all(map(math.isfinite, box)):
        return f"box {written}; want four finite numbers"
    if min(x1, y1) < -SLACK or x2 > width + SLACK or y2 > height + SLACK:
        return f"box {written} reaches outside the {width}x{height} picture"
    if min(x2, width) <= max(x1, 0) or min(y2, height) <= max(y1, 0):
        return f"box {written} has no area inside the {width}x{height} picture; " + (
            "want x2 > x1 and y2 > y1"
        )
    return None


def size_fault(record: Record, header: Header) -> str | None:
    """Say where an annotation was made for a picture of another size, or None.

    An annotation that gives the size of the *stored* pixels, where EXIF turns the picture by 90
    degrees, is refused and not turned along: some tools draw boxes on the stored pixels, others
    draw them on the picture as shown and only note the stored size, and the file cannot tell
    which. Without a size, or in a square picture, boxes are taken for the picture as shown.
    """
    if record.image_size is None or record.image_size == header.size:
        return None
    sizes = (header.size, header.stored_size, record.image_size)
    shown, stored, said = (f"{width}x{height}" for height, width in sizes)
    if said != stored:
        return f"is {shown} pixels; its annotation {record.source.name} says {said}"
    return (
        f"is shown as {shown} pixels, by its EXIF orientation {header.orientation}; its annotation "
        f"{record.source.name} says {said}, as stored. If the boxes fit what viewers show, "
        f"write {shown} there; if not, remove the orientation (exiftool -Orientation= PICTURE)"
    )


def check_record(record: Record, decode: bool = False) -> tuple[Record | None, list[Fault]]:
    """Separate the sound half of a record from its faults.

    A picture that cannot be used takes the whole record with it; a bad box goes alone.
    What is left has its boxes clipped to the picture and its true `image_size`.
    A record without objects is sound: an empty picture teaches what is background.

    Args:
        record: what a reader found.
        decode: also decode every pixel (some ms a picture), which finds truncated files;
            otherwise only the header is read.
    """
    try:
        header = read_header(record.image)
        if decode:
            read_picture(record.image)
    except DataError as error:
        what = str(error).removeprefix(f"{record.image}: ")
        return None, [Fault(record.image, "", what)]
    if fault := size_fault(record, header):
        return None, [Fault(record.image, "", fault)]

    height, width = header.size
    faults = [box_fault(box, (height, width)) for box in record.boxes.tolist()]
    kept = [row for row, fault in enumerate(faults) if fault is None]
    edges = torch.tensor([width, height, width, height])
    sound = replace(
        record,
        image_size=(height, width),
        boxes=record.boxes[kept].clamp(min=0).minimum(edges),
        labels=record.labels[kept],
        objects=tuple(record.objects[row] for row in kept),
    )
    where = [f"{record.image.stem} {name}" for name in record.objects]
    return sound, [
        Fault(record.source, name, fault)
        for name, fault in zip(where, faults, strict=True)
        if fault
    ]


def check_all(annotations: Annotations) -> tuple[list[Record], list[Fault]]:
    """Separate what is sound of a split from all its faults.

    Decodes every picture, so it takes some milliseconds for each.

    Returns:
        Records without their faulty boxes, no unusable pictures; the faults met in reading, then
        those of pictures and boxes.
    """
    parts = [check_record(record, decode=True) for record in annotations.records]
    sound = [record for record, _ in parts if record is not None]
    faults = [*annotations.faults, *(fault for _, its_faults in parts for fault in its_faults)]
    if annotations.records and not any(len(record.boxes) for record in annotations.records):
        what = f"no object in any of {len(annotations.records)} pictures"
        faults.append(Fault(annotations.records[0].source, "", what))
    return sound, faults


def check_splits(
    splits: Mapping[str, Annotations],
) -> tuple[dict[str, list[Record]], list[Fault]]:
    """Separate what is sound of each split from the faults of all, see `check_all`."""
    checked = {split: check_all(found) for split, found in splits.items()}
    sound = {split: records for split, (records, _) in checked.items()}
    return sound, [fault for _, faults in checked.values() for fault in faults]


def sound_part(annotations: Annotations, skip_bad: bool, decode: bool = False) -> Annotations:
    """What can be trained on; its `faults` are what was left out of it.

    Args:
        annotations: what a reader found.
        skip_bad: leave out faults instead of stopping at the first.
        decode: find truncated pictures too, see `check_record`.

    Raises:
        DataError: at the first fault, unless `skip_bad`; or where no picture is left.
    """
    records, faults = [], list(annotations.faults)
    for record in annotations.records:
        if faults and not skip_bad:
            break
        sound, its_faults = check_record(record, decode)
        faults += its_faults
        if sound is not None:
            records.append(sound)
    if faults and not skip_bad:
        raise DataError(
            f"{faults[0]}\n(`detlab data check` lists all faults, --skip-bad leaves them out)"
        )
    if not records:
        raise DataError(f"no usable picture; {faults[0] if faults else 'the list is empty'}")
    return replace(annotations, records=tuple(records), faults=tuple(faults))
