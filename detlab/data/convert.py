"""A set in one format becomes a folder in another, for a tool that reads no other.

Follows datasets.py, which reads every split. Uses writers.py, which writes what was read.
The folder is there whole, or not at all. Its pictures are hard links where the file system allows
that: no second copy on the disk, and the same file under two names, turned by EXIF or not.
"""

import os
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from detlab.data import download
from detlab.data.check import sound_part
from detlab.data.datasets import read_splits, shared_classes
from detlab.data.records import Annotations, DataError, Note, Record
from detlab.data.writers import (
    Format,
    object_areas,
    picture_folder,
    write_coco,
    write_voc,
    write_yolo,
)
from detlab.files import whole_folder

JPEG_ENDINGS = (".jpg", ".jpeg", ".jfif", ".mpo")
MASKED = 0.99
"""An object that covers less of its box than this has an area of its own, from a mask."""
BREAKS = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of what ends a line, or cannot stand in XML or UTF-8."""


class Converted(NamedTuple):
    """What was written, and what must not pass without a word."""

    splits: dict[str, Annotations]
    """The sound part of each split, as it was read; its `faults` were left out."""
    notes: list[Note]


def convert(
    source: str,
    goal: Path,
    to: Format,
    skip_bad: bool = False,
    allow_outside: Sequence[Path] = (),
) -> Converted:
    """Write every split of a set into a new folder in another format.

    Args:
        source: a set by name, or a folder in any format.
        goal: the folder to write; absent or empty.
        to: the format.
        skip_bad: leave faults out instead of stopping at the first; those of public sets always
            are left out, as in training.
        allow_outside: other folders where the pictures of a folder may lie.

    Raises:
        DataError: the goal is not empty, a fault in the set, or what the format cannot say.
        OSError: nothing can be written there.
    """
    goal = goal.resolve()
    check_free(goal)
    skips = skip_bad or source in download.SETS
    splits = {
        split: sound_part(found, skips, decode=skip_bad)
        for split, found in read_splits(source, allow_outside).items()
    }
    class_names = shared_classes(source, splits)
    check_sayable(source, splits, class_names, to)
    with whole_folder(goal) as folder:
        placed, renamed = place_pictures(splits, folder, to)
        if to == "coco":
            write_coco(folder, placed, class_names)
        elif to == "voc":
            write_voc(folder, placed, class_names)
        else:
            write_yolo(folder, placed, class_names, home=goal)
    read = dict.fromkeys(note for found in splits.values() for note in found.notes)
    return Converted(splits, [*read, *renamed, *left_out(placed, to)])


def check_free(goal: Path) -> None:
    """Refuse a folder that holds something: nothing is written over.

    Raises:
        DataError: says what is there.
    """
    if goal.exists() and not goal.is_dir():
        raise DataError(f"{goal}: a file; want a new or an empty folder to write to")
    if goal.is_dir() and (there := next(goal.iterdir(), None)):
        raise DataError(f"{goal}: holds {there.name} already; want a new or an empty folder")


def check_sayable(
    source: str, splits: Mapping[str, Annotations], class_names: Sequence[str], to: Format
) -> None:
    """Refuse what would be lost or misread in a format.

    Raises:
        DataError: a class that XML cannot name or VOC not tell from another.
    """
    odd = [name for name in class_names if one_line(name) != name]
    if to == "voc" and odd:
        raise DataError(f"{source}: VOC cannot name the class {odd[0]!r}; want it in one line")
    name, times = Counter(class_names).most_common(1)[0]
    if to == "voc" and times > 1:
        raise DataError(f"{source}: {times} classes are called {name!r}, and VOC has names alone")


def place_pictures(
    splits: Mapping[str, Annotations], folder: Path, to: Format
) -> tuple[dict[str, list[Record]], list[Note]]:
    """Link every picture into the folder.

    Returns:
        The records of each split with their pictures there, and a note for each new name.
    """
    flat = [(split, record) for split, found in splits.items() for record in found.records]
    stems = distinct(
        f"{picture_folder(to, split)}/{plain_stem(record.image)}" for split, record in flat
    )
    placed: dict[str, list[Record]] = {split: [] for split in splits}
    renamed = []
    for (split, record), stem in zip(flat, stems, strict=True):
        image = folder / f"{stem}{ending(record.image, to)}"
        link_or_copy(record.image, image)
        placed[split].append(replace(record, image=image))
        if image.name != record.image.name:
            old = "/".join(record.image.parts[-2:])
            renamed.append(Note("pictures have another name there", f"{old} is {image.name}"))
    return placed, renamed


def distinct(names: Iterable[str]) -> list[str]:
    """Each name once, also where a file system knows no upper case: a second one gets a number.

    >>> distinct(["train/a", "val/a", "train/A", "train/a"])
    ['train/a', 'val/a', 'train/A_2', 'train/a_3']
    """
    taken: set[str] = set()
    times: Counter[str] = Counter()
    found = []
    for name in names:
        free = name
        while (key := unicodedata.normalize("NFC", free).casefold()) in taken:
            first = unicodedata.normalize("NFC", name).casefold()
            times[first] += 1
            free = f"{name}_{times[first] + 1}"
        taken.add(key)
        found.append(free)
    return found


def plain_stem(image: Path) -> str:
    """A picture's name without its ending, as a list of names in lines can hold it."""
    return one_line(image.stem).lstrip(". ") or "picture"


def one_line(text: str) -> str:
    r"""A text without what a list, XML or UTF-8 cannot hold.

    >>> one_line("cat\n1 ")
    'cat_1'
    """
    return "".join("_" if unicodedata.category(c) in BREAKS else c for c in text).strip()


def ending(image: Path, to: Format) -> str:
    """How the picture's name ends there: torchvision's reader of VOC opens .jpg alone.

    >>> ending(Path("a.JPEG"), "voc"), ending(Path("a.JPEG"), "coco"), ending(Path("a.png"), "voc")
    ('.jpg', '.JPEG', '.png')
    """
    is_jpeg = image.suffix.lower() in JPEG_ENDINGS
    return ".jpg" if is_jpeg and to != "coco" else image.suffix


def link_or_copy(image: Path, goal: Path) -> None:
    """Give a picture a second name; where that cannot be (another file system), copy it."""
    goal.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(image.resolve(), goal)  # a link to a link would lead nowhere from another folder
    except OSError:
        shutil.copyfile(image, goal)


def left_out(splits: Mapping[str, Sequence[Record]], to: Format) -> list[Note]:
    """What a format cannot say, or its usual reader not open: a note for each time."""
    if to == "coco":
        return []
    limits = voc_limits if to == "voc" else yolo_limits
    notes = [
        Note(what, record.image.name)
        for records in splits.values()
        for record in records
        for what, times in limits(record).items()
        for _ in range(times)
    ]
    missing = [split for split in ("train", "val") if to == "yolo" and split not in splits]
    what = "splits are missing that Ultralytics wants in data.yaml before it trains"
    return [*notes, *(Note(what, split) for split in missing)]


def voc_limits(record: Record) -> dict[str, int]:
    """How often one picture meets each limit of VOC."""
    decimals = (record.boxes % 1 != 0).any(dim=1).sum()
    return {
        "areas of masks are left out, for VOC has boxes alone": masks(record),
        "boxes have decimals, which readers that want whole pixels refuse": int(decimals),
        "pictures are no JPEG, and torchvision's VOCDetection opens .jpg alone": int(
            record.image.suffix != ".jpg"
        ),
    }


def yolo_limits(record: Record) -> dict[str, int]:
    """How often one picture meets each limit of YOLO."""
    return {
        "areas of masks are left out, for YOLO has boxes alone": masks(record),
        "ignored regions are left out, for YOLO cannot say them: there they are background": len(
            record.ignored_boxes
        ),
        "pictures are of a kind that Ultralytics does not open": int(
            record.image.suffix.lower() in (".gif", ".ppm")
        ),
    }


def masks(record: Record) -> int:
    """How many objects have an area of their own, smaller than their box."""
    boxes = replace(record, areas=None)
    return int((object_areas(record) < MASKED * object_areas(boxes)).sum())
