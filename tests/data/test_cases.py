"""Folders as real tools write them, each made by a script of its own: NAME.py OUTDIR.

The scripts are not part of the project; DETLAB_CASES names the folder that they lie in.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from detlab.data.check import check_all
from detlab.data.folders import layout_of, read_part
from detlab.data.pictures import read_picture
from detlab.data.records import DataError
from tests.sample_folders import colour_in

SCRIPTS = Path(os.environ.get("DETLAB_CASES", "no such folder"))


class Right(NamedTuple):
    """What is to be seen of a folder."""

    counts: dict[str, tuple[int, int]] | None = None  # split: pictures, boxes
    classes: tuple[str, ...] = ("cat",)
    said: tuple[str, ...] = ()  # in the notes
    faults: tuple[str, ...] = ()
    refused: str = ""


CASES = {
    "coco_backslash": Right({"all": (6, 6)}, said=("lead elsewhere",)),
    "coco_cvat_default": Right({"all": (6, 6)}),
    "coco_cvat_masks": Right({"train": (6, 12)}, ("cat", "dog"), ("marked iscrowd 1 as all",)),
    "coco_edges": Right(
        {"train": (6, 5)}, said=("are turned", "are clipped"), faults=("more than once",)
    ),
    "coco_eval_crowd_area": Right({"train": (4, 4), "val": (4, 4)}, said=("crowd regions",)),
    "coco_null_size": Right({"all": (6, 6)}),
    "coco_roboflow_dummy": Right({"train": (8, 8), "val": (4, 4)}, said=("no classes",)),
    "coco_string_ids": Right({"train": (6, 6)}),
    "coco_test_without_annotations": Right({"train": (6, 6), "val": (2, 2)}),
    "evaluate_share_drops": Right(
        {"train": (10, 19)}, ("cat", "dog"), ("around their polygon",), ("unknown class 9",)
    ),
    "exif6_voc": Right({"all": (6, 6)}),
    "exif6_yolo": Right({"train": (6, 6)}),
    "fixed_camera": Right({"train": (70, 139), "val": (21, 42)}, ("cat", "catt", "dog")),
    "kaggle_lower_voc": Right({"all": (6, 6)}),
    "labelme_flat": Right({"all": (6, 6)}),
    "picture_modes": Right(
        {"train": (8, 8)},
        said=("16-bit grey",),
        faults=("anim.webp: shares its label file with anim.gif",),
    ),
    "voc_beside_pictures": Right({"train": (6, 6), "test": (2, 2)}, ("cat", "dog")),
    "voc_cvat_subfolders": Right({"train": (6, 6)}),
    "voc_cvat_subsets": Right({"train": (6, 6), "val": (2, 2), "test": (2, 2)}),
    "voc_same_stem": Right({"all": (6, 6)}, said=("have no annotation file",)),
    "voc_trainval_test": Right({"train": (8, 8), "test": (2, 2)}, said=("lists of one class",)),
    "yaml_norway": Right({"train": (6, 6)}, ("on", "off")),
    "yolo_classes_in_labels": Right({"all": (6, 6)}),
    "yolo_cvat_subsets": Right({"train": (6, 6), "val": (2, 2), "test": (2, 2)}),
    "yolo_labels_elsewhere": Right({"all": (6, 6)}, said=("in another place",)),
    "yolo_nested": Right({"train": (6, 6), "val": (6, 6)}, said=("are in train and in val",)),
    "yolo_notes_disagree": Right(refused="classes.txt has the classes dog, cat, notes.json has"),
    "yolo_same_names": Right(refused="classes 0 and 2 are both called 'cat'"),
    "yolo_segments_mixed": Right(
        {"train": (6, 12), "val": (6, 12)}, ("cat", "dog"), ("polygons are read",)
    ),
    "yolo_test_without_labels": Right(
        {"train": (6, 4), "val": (3, 3)}, said=("have no label file",)
    ),
    "yolo_yaml_val_is_test": Right({"train": (8, 8), "val": (2, 2)}),
}
UNLABELLED = {"coco_test_without_annotations": {"test": 2}, "yolo_test_without_labels": {"test": 3}}


def test_every_script_is_expected():
    if not SCRIPTS.is_dir():
        pytest.skip("DETLAB_CASES names no folder of scripts")
    assert {path.stem for path in SCRIPTS.glob("[a-z]*.py")} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_folder_as_a_tool_writes_it(tmp_path, name):
    if not SCRIPTS.is_dir():
        pytest.skip("DETLAB_CASES names no folder of scripts")
    made = [sys.executable, str(SCRIPTS / f"{name}.py"), str(tmp_path)]
    subprocess.run(made, check=True, capture_output=True, timeout=60)
    right = CASES[name]
    if right.refused:
        with pytest.raises(DataError, match=right.refused):
            layout_of(tmp_path)
        return
    layout = layout_of(tmp_path)
    checked = {s: check_all(read_part(layout, tmp_path, s)) for s in layout.splits}
    counts = {s: (len(c.sound), sum(len(r.boxes) for r in c.sound)) for s, c in checked.items()}
    assert counts == right.counts
    assert layout.unlabelled == UNLABELLED.get(name, {})
    notes = " ".join(note.what for found in checked.values() for note in found.notes)
    assert all(words in notes for words in right.said)
    assert bool(notes) == bool(right.said)
    faults = [str(fault) for found in checked.values() for fault in found.faults]
    assert len(faults) == len(right.faults)
    assert all(words in fault for words, fault in zip(right.faults, faults, strict=True))
    assert read_part(layout, tmp_path, "train" if "train" in counts else "all").class_names == (
        "background",
        *right.classes,
    )
    if name not in ("fixed_camera", "picture_modes", "yaml_norway"):
        boxes_cover_their_colours([r for found in checked.values() for r in found.sound], layout)


def boxes_cover_their_colours(records, layout):
    """A cat is red and a dog blue; the box of each covers it, and nothing else."""
    names = next(iter(layout.splits.values()))().class_names
    for record in records:
        image = read_picture(record.image)
        for box, label in zip(record.boxes, record.labels.tolist(), strict=True):
            assert colour_in(image, box) == {"cat": "red", "dog": "blue"}[names[label]]
