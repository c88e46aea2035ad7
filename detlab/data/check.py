"""What is wrong with a folder: every fault of its pictures and boxes, one by one.

Follows folders.py, whose readers report what they cannot read. datasets.py loads what is sound.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from jaxtyping import UInt8
from torch import Tensor

from detlab.boxes import clip_boxes
from detlab.data.pictures import Header, read_header, read_picture
from detlab.data.records import Annotations, DataError, Fault, Note, Record

SLACK = 1.0
"""Pixels a box may reach past the edge: annotation tools round and count from 0 or from 1."""
A_FEW = 5.0
"""Pixels past the edge that are clipped with a word: a hand slips while it drags."""
ONE_PIXEL = 1.01
"""Where all numbers of all boxes are at most that, with the rounding of tools."""
SIDE = 288
"""Pixels of the longer side to which pictures are decoded to be checked: a JPEG takes a fifth of
the time so, and one that is cut short is found all the same."""

Watch = Callable[[Path, UInt8[Tensor, "3 H W"]], None]
"""Is shown every picture that is decoded, and its path: who needs them, too, need not read them."""


class Checked(NamedTuple):
    """What is sound of one picture or of many, what is at fault, and what is worth a word."""

    sound: list[Record]
    faults: list[Fault]
    notes: list[Note]


def box_fault(box: list[float], image_size: tuple[int, int]) -> str | None:
    """Say what is wrong with one box (x1 y1 x2 y2, pixels), or None.

    >>> box_fault([0.0, 0.0, 30.5, 24.0], image_size=(20, 30))
    >>> box_fault([5.0, 5.0, 5.0, 9.0], image_size=(20, 30))
    'box 5 5 5 9 has no area inside the 30x20 picture; want x2 > x1 and y2 > y1'
    """
    height, width = image_size
    x1, y1, x2, y2 = box
    written = " ".join(f"{value:g}" for value in box)
    if not all(map(math.isfinite, box)):
        return f"box {written}; want four finite numbers"
    if past_edge(box, image_size) > A_FEW:
        return f"box {written} reaches outside the {width}x{height} picture"
    if min(x2, width) <= max(x1, 0) or min(y2, height) <= max(y1, 0):
        return f"box {written} has no area inside the {width}x{height} picture; " + (
            "want x2 > x1 and y2 > y1"
        )
    return None


def past_edge(box: list[float], image_size: tuple[int, int]) -> float:
    """How many pixels a box reaches past the edge of its picture, where it does so most.

    >>> past_edge([-3.0, 0.0, 31.0, 20.0], image_size=(20, 30))
    3.0
    """
    (height, width), (x1, y1, x2, y2) = image_size, box
    return max(0.0, -x1, -y1, x2 - width, y2 - height)


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


def check_record(record: Record, decode: bool = False, watch: Watch | None = None) -> Checked:
    """Separate the sound half of a record from its faults.

    A picture that cannot be used takes the whole record with it; a bad box goes alone.
    What is left has its boxes clipped to the picture and its true `image_size`.
    A record without objects is sound: an empty picture teaches what is background.

    Args:
        record: what a reader found.
        decode: also decode every pixel (some ms a picture), which finds truncated files;
            otherwise only the header is read.
        watch: is shown what was decoded, with a longer side of SIDE pixels.

    Returns:
        One sound record or none.
    """
    try:
        header = read_header(record.image)
        if decode:
            image = read_picture(record.image, SIDE)
            if watch:
                watch(record.image, image)
    except DataError as error:
        what = str(error).removeprefix(f"{record.image}: ")
        return Checked([], [Fault(record.image, "", what)], [])
    if fault := size_fault(record, header):
        return Checked([], [Fault(record.image, "", fault)], [])

    size = header.size
    where = [f"{record.image.stem} {name}" for name in record.objects]
    found = [box_fault(box, size) for box in record.boxes.tolist()]
    faults = [
        Fault(record.source, name, what) for name, what in zip(where, found, strict=True) if what
    ]
    kept = [row for row, fault in enumerate(found) if fault is None]
    notes = [Note(header.remark, record.image.name)] if header.remark else []
    notes += [
        Note(f"boxes reached up to {A_FEW:g} pixels past the edge and are clipped", where[row])
        for row in kept
        if past_edge(record.boxes[row].tolist(), size) > SLACK
    ]
    notes += region_notes(record, size)
    return Checked([sound_record(record, kept, size)], faults, notes)


def region_notes(record: Record, image_size: tuple[int, int]) -> list[Note]:
    """A word for each ignored region that is left out itself, as no picture has such a place."""
    found = [box_fault(box, image_size) for box in record.ignored_boxes.tolist()]
    what = "ignored regions have a wrong box and are left out"
    return [Note(what, f"{record.image.stem} {fault}") for fault in found if fault]


def sound_record(record: Record, kept: list[int], image_size: tuple[int, int]) -> Record:
    """Those rows of a record, clipped to a picture of that (height, width)."""
    regions = [box_fault(box, image_size) is None for box in record.ignored_boxes.tolist()]
    return replace(
        record,
        image_size=image_size,
        boxes=clip_boxes(record.boxes[kept], image_size),
        labels=record.labels[kept],
        objects=tuple(record.objects[row] for row in kept),
        areas=None if record.areas is None else record.areas[kept],
        ignored_boxes=clip_boxes(record.ignored_boxes[regions], image_size),
        ignored_labels=record.ignored_labels[regions],
    )


def check_all(annotations: Annotations, watch: Watch | None = None) -> Checked:
    """Separate what is sound of a split from all its faults.

    Decodes every picture, on all cores, so it takes some milliseconds for each; `watch` is shown
    them, in no certain order, see `check_record`.

    Returns:
        Records without their faulty boxes, no unusable pictures; the faults met in reading, then
        those of pictures and boxes.
    """
    annotations = in_pixels(annotations)
    check = partial(check_record, decode=True, watch=watch)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = list(pool.map(check, annotations.records))
    whole = join([Checked([], list(annotations.faults), list(annotations.notes)), *parts])
    if annotations.records and not any(len(record.boxes) for record in annotations.records):
        what = f"no object in any of {len(annotations.records)} pictures"
        whole.faults.append(Fault(annotations.records[0].source, "", what))
    return whole


def in_pixels(annotations: Annotations) -> Annotations:
    """The same; or a fault and no record where all boxes together fill one pixel at the corner.

    Such boxes were written as fractions of the picture, where COCO and VOC have pixels.
    """
    boxes = [record.boxes for record in annotations.records if len(record.boxes)]
    if not boxes or any(bool((part.abs() > ONE_PIXEL).any()) for part in boxes):
        return annotations
    count = sum(map(len, boxes))
    what = f"no box of {count} reaches past the first pixel: fractions of the picture? Want pixels"
    source = next(record.source for record in annotations.records if len(record.boxes))
    faults = (*annotations.faults, Fault(source, "", what))
    return replace(annotations, records=(), faults=faults)


def join(parts: Sequence[Checked]) -> Checked:
    """What was checked one by one, as one."""
    return Checked(
        [record for part in parts for record in part.sound],
        [fault for part in parts for fault in part.faults],
        [note for part in parts for note in part.notes],
    )


def check_splits(
    splits: Mapping[str, Annotations],
) -> tuple[dict[str, list[Record]], list[Fault]]:
    """Separate what is sound of each split from the faults of all, see `check_all`."""
    checked = {split: check_all(found) for split, found in splits.items()}
    sound = {split: found.sound for split, found in checked.items()}
    return sound, join(list(checked.values())).faults


def sound_part(annotations: Annotations, skip_bad: bool, decode: bool = False) -> Annotations:
    """What can be trained on; its `faults` are what was left out of it.

    Args:
        annotations: what a reader found.
        skip_bad: leave out faults instead of stopping at the first.
        decode: find truncated pictures too, see `check_record`.

    Raises:
        DataError: at the first fault, unless `skip_bad`; or where no picture is left.
    """
    annotations = in_pixels(annotations)
    records, faults, notes = [], list(annotations.faults), list(annotations.notes)
    for record in annotations.records:
        if faults and not skip_bad:
            break
        checked = check_record(record, decode)
        records += checked.sound
        faults += checked.faults
        notes += checked.notes
    if faults and not skip_bad:
        raise DataError(
            f"{faults[0]}\n(`detlab data check` lists all faults, --skip-bad leaves them out)"
        )
    if not records:
        raise DataError(f"no usable picture; {faults[0] if faults else 'the list is empty'}")
    return replace(annotations, records=tuple(records), faults=tuple(faults), notes=tuple(notes))
