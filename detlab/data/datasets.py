"""Data sets: a folder, or a public set by name, becomes pictures with targets.

Uses folders.py, check.py, download.py and scene.py: what a folder says, what of it is sound, public
sets, the drawn world. transforms.py changes the pictures during training.
"""

import math
import os
from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.datasets import VOCDetection

from detlab.boxes import scale_boxes
from detlab.checks import check_target
from detlab.data import download
from detlab.data.check import sound_part
from detlab.data.coco_format import read_coco
from detlab.data.corrections import CORRECTED, corrected_splits
from detlab.data.folders import layout_of, read_part, read_share
from detlab.data.layout import TITLES
from detlab.data.pictures import read_picture
from detlab.data.records import Annotations, DataError, Record
from detlab.data.voc_format import voc_annotations
from detlab.files import shipped_path
from detlab.images import batch_images, image_size
from detlab.reef.scene import TRAIN_SEED, Reef, ReefConfig

Item = tuple[UInt8[Tensor, "3 H W"], dict[str, Any]]
"""A picture and its target: "boxes", "labels", "image_id", and `evaluation_entries`."""

REEF_VAL = shipped_path("data/reef_val")
"""The frozen evaluation set."""

SPARE = 0.25
"""Fraction of the machine's memory that pictures leave free."""

SPLITS = ("train", "val", "test")

VOC_CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair"),
    *("cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)


class FolderDataset(Dataset[Item]):
    """Pictures from files, resized as they are decoded.

    Attributes:
        class_names: "background" first.
        names: the file name of each picture.
        records: where each picture and each box comes from.
        skipped: the faults that were left out.
        notes: what else was left out, or read by a rule.

    Args:
        annotations: the sound part of what a reader found, see `check.sound_part`.
        longest_side: pixels to which every picture is brought, with its boxes; None leaves it.
        cache: keep each picture in memory after its first visit, as uint8 of the size in use
            (640x480 takes 0.9 MB), as long as the machine has memory to SPARE. Workers of a
            DataLoader each keep their own.
    """

    def __init__(
        self, annotations: Annotations, longest_side: int | None = None, cache: bool = False
    ) -> None:
        """Take the records; nothing is decoded yet."""
        if longest_side is not None and longest_side < 1:
            raise ValueError(f"longest_side is in pixels, 1 or more: {longest_side}")
        self.records, self.skipped = annotations.records, annotations.faults
        self.notes = annotations.notes
        self.class_names = annotations.class_names
        self.names = tuple(record.image.name for record in self.records)
        self.longest_side = longest_side
        self._kept: dict[int, Tensor] | None = {} if cache else None
        for record in self.records:
            check_target({"boxes": record.boxes, "labels": record.labels}, str(record.image))

    def __len__(self) -> int:
        """How many pictures there are."""
        return len(self.records)

    def __getitem__(self, index: int) -> Item:
        """Decode a picture; its boxes are in the pixels of the tensor that comes back."""
        record = self.records[index]
        image = self._picture(index)
        assert record.image_size is not None  # a sound record has been measured
        boxes = scale_boxes(record.boxes, record.image_size, image_size(image))
        target = {"boxes": boxes, "labels": record.labels, "image_id": torch.tensor(index)}
        return image, target | evaluation_entries(record, image_size(image))

    def resized(self, longest_side: int | None) -> "FolderDataset":
        """The same set with pictures of another size; it keeps its own in memory, if any."""
        other = copy(self)
        other.longest_side = longest_side
        other._kept = None if self._kept is None else {}
        return other

    def _picture(self, index: int) -> UInt8[Tensor, "3 H W"]:
        if self._kept is not None and index in self._kept:
            return self._kept[index]
        image = read_picture(self.records[index].image, self.longest_side)
        if self._kept is not None and memory_to_spare():
            self._kept[index] = image
        return image


def evaluation_entries(record: Record, size: tuple[int, int]) -> dict[str, Tensor]:
    """What evaluation needs of a record beside its boxes and labels, see `types.Target`.

    Args:
        record: a sound one.
        size: (height, width) of the picture as it is returned; areas and regions are scaled to it.

    Returns:
        "areas" where the annotation says any, "ignored_boxes" and "ignored_labels" where it has
        ignored regions; else nothing.
    """
    assert record.image_size is not None  # a sound record has been measured
    entries = {}
    if record.areas is not None and record.areas.isfinite().any():
        entries["areas"] = record.areas * (math.prod(size) / math.prod(record.image_size))
    if len(record.ignored_boxes):
        entries["ignored_boxes"] = scale_boxes(record.ignored_boxes, record.image_size, size)
        entries["ignored_labels"] = record.ignored_labels
    return entries


def memory_to_spare() -> bool:
    """Whether more than SPARE of this machine's memory is free."""
    memory = psutil.virtual_memory()
    return bool(memory.available > SPARE * memory.total)


def collate(
    batch: Sequence[tuple[Tensor, dict[str, Any]]], multiple: int = 32
) -> tuple[UInt8[Tensor, "B 3 H W"] | Float[Tensor, "B 3 H W"], list[dict[str, Any]]]:
    """Join items to one batch, the pictures filled up with zeros to one size.

    The padding is on the right and below, so every pixel and every box stays where it is:
    targets pass unchanged. `multiple` is the coarsest stride of the network, in pixels.
    """
    images, targets = zip(*batch, strict=True)
    return batch_images(images, multiple), list(targets)


def load_dataset(
    name_or_path: str | Path,
    split: str = "train",
    longest_side: int | None = None,
    skip_bad: bool = False,
    cache: bool = False,
    length: int = 2000,
    allow_outside: Sequence[Path] = (),
) -> FolderDataset | Reef:
    """Load one split of a set by name, or of a folder in any of the formats that are read.

    "reef" is drawn for training and read from the repository for val; "bccd", "aquarium",
    "voc2007" and "coco" are looked for and downloaded by download.py; "bccd-clean" is bccd with its
    mistakes fixed and no slide in two splits; all else is a folder.
    A folder without a val split lends every fifth picture of its train split.

    Public sets have faults that are known (bccd has two boxes without area), so these are
    always left out; a folder of your own stops at its first fault, unless you say `skip_bad`.

    Args:
        name_or_path: see above.
        split: "train", "val" or "test".
        longest_side: of every picture, in pixels; None keeps their sizes.
        skip_bad: leave faults out; decodes every picture once, to find those cut short.
        cache: keep pictures in memory after their first visit (the drawn reef always does).
        length: pictures of the drawn reef.
        allow_outside: other folders where the pictures of a folder may lie.

    Raises:
        DataError: nothing there under this name, or a fault in it.
    """
    if split not in SPLITS:
        raise ValueError(f"split is one of {', '.join(SPLITS)}: {split!r}")
    name = str(name_or_path)
    if name == "reef" and split == "train":
        side = longest_side or 128
        return Reef(TRAIN_SEED, length, ReefConfig(image_size=(side, side)))
    annotations = read_named(name, split, allow_outside)
    sound = sound_part(annotations, skip_bad or name in download.SETS, decode=skip_bad)
    return FolderDataset(sound, longest_side, cache)


def find_data(name_or_path: str | Path) -> Path:
    """Where a set by name lies, downloaded if need be; anything else is taken for a folder."""
    name = CORRECTED.get(str(name_or_path), str(name_or_path))
    if name == "reef":
        return REEF_VAL
    return download.get(name) if name in download.SETS else Path(os.path.expanduser(name))


def read_named(name_or_path: str, split: str, allow_outside: Sequence[Path] = ()) -> Annotations:
    """Find a set by name, or a folder, and read one split of it."""
    folder = find_data(name_or_path)
    if name_or_path in CORRECTED:
        return corrected_splits(name_or_path, folder)[split]
    if name_or_path == "voc2007":
        return from_torchvision_voc(VOCDetection(folder.parents[1], "2007", split))
    if name_or_path == "coco":
        return read_coco_2017(folder, split)
    return read_share(folder, split, *allow_outside)


class Survey(NamedTuple):
    """How a set is understood."""

    words: str
    """Its format and layout."""
    splits: dict[str, Annotations]
    unlabelled: dict[str, int]
    """Splits without annotations, and their pictures."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of all splits, "background" first."""
        return next(iter(self.splits.values())).class_names


def look_at(name_or_path: str, allow_outside: Sequence[Path] = ()) -> Survey:
    """Find a set by name, or a folder, and say how it is understood.

    Raises:
        DataError: the splits differ in their classes.
    """
    folder = find_data(name_or_path)
    layout = layout_of(folder, *allow_outside)
    words = f"{TITLES[layout.format]}: {layout.words}"
    if name_or_path in CORRECTED:
        words = f"{words}; corrected"
        return Survey(words, corrected_splits(name_or_path, folder), {})
    by_name = name_or_path == "voc2007"  # whose pixels count from 1, unlike those of other folders
    splits = {
        split: read_named(name_or_path, split) if by_name else read_part(layout, folder, split)
        for split in layout.splits
    }
    shared_classes(str(folder), splits)
    return Survey(words, splits, layout.unlabelled)


def read_splits(name_or_path: str, allow_outside: Sequence[Path] = ()) -> dict[str, Annotations]:
    """Every split of a set by name or of a folder, as its files have it; see `look_at`."""
    return look_at(name_or_path, allow_outside).splits


def shared_classes(data: str, splits: Mapping[str, Any]) -> tuple[str, ...]:
    """The `class_names` of all splits, "background" first.

    Raises:
        DataError: two splits differ, so a label would mean two things.
    """
    (first, ours), *others = ((split, tuple(found.class_names)) for split, found in splits.items())
    for split, theirs in others:
        if theirs != ours:
            raise DataError(
                f"{data}: {first} has the classes {', '.join(ours[1:])}, "
                f"{split} has {', '.join(theirs[1:])}; want the same in the same order"
            )
    return ours


def from_torchvision_voc(reader: VOCDetection) -> Annotations:
    """The records of torchvision's reader of VOC, whose files count pixels from 1."""
    pairs = zip(reader.annotations, reader.images, strict=True)
    return voc_annotations([(Path(xml), Path(image)) for xml, image in pairs], VOC_CLASSES, 1)


def read_coco_2017(folder: Path, split: str) -> Annotations:
    """The records of COCO as its archives unpack: annotations/, train2017/, val2017/."""
    source = folder / "annotations" / f"instances_{split}2017.json"
    if not source.is_file():
        raise DataError(f"{source}: no such file; COCO has annotations for train and val")
    return read_coco(source, folder / f"{split}2017")
