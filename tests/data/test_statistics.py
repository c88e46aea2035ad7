"""A set in numbers, worked out by hand."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from detlab.data.datasets import load_dataset
from detlab.data.records import Record
from detlab.data.statistics import describe_set, overlapping_share, typical_size
from tests.sample_folders import coco_content, coco_folder


def record(*boxes, size=(50, 100)):
    boxes = torch.tensor(boxes, dtype=torch.float32).view(-1, 4)
    labels = torch.ones(len(boxes), dtype=torch.int64)
    return Record(Path("a.png"), size, boxes, labels, ("",) * len(boxes), Path("a.json"))


def test_a_folder_in_numbers(tmp_path):
    scenes = {
        "a": [("cat", 0.0, 0.0, 40.0, 28.0)],  # val's
        "b": [("cat", 0.0, 0.0, 30.0, 20.0), ("dog", 20.0, 10.0, 36.0, 26.0)],  # they overlap
        "c": [("dog", 1.0, 1.0, 5.0, 5.0)],
        "d": [("dog", 2.0, 2.0, 10.0, 10.0)],
        "e": [],
    }
    folder = coco_folder(tmp_path, "train", coco_content(scenes), scenes)
    height, width = Image.open(folder / "images" / "a.png").size[::-1]
    found = describe_set(load_dataset(folder, "train"))
    assert found.picture_size == (height, width)
    cat, dog = (30 * 20) ** 0.5, 8  # of 4, 8 and 16
    assert found.typical == pytest.approx((cat * dog) ** 0.5 / max(height, width))
    assert 16 / max(height, width) < found.large <= 30 / max(height, width)
    assert found.overlapping == 0.5
    assert found.symmetry.objects == 4


def test_a_set_without_boxes_has_no_typical_size(tmp_path):
    scenes = {"a": [], "b": [("cat", 1.0, 1.0, 9.0, 9.0)]}
    folder = coco_folder(tmp_path, "train", coco_content(scenes), scenes)
    coco_folder(tmp_path, "val", coco_content(scenes), scenes)
    dataset = load_dataset(folder, "train")
    dataset.records = [dataset.records[0]]
    found = describe_set(dataset)
    assert (found.typical, found.large) == (0.0, 0.0)
    assert found.overlapping == 0.0


def test_each_class_counts_once_and_a_rare_one_not_at_all():
    sizes = torch.cat([torch.full((300,), 0.4), torch.full((30,), 0.1), torch.full((2,), 0.01)])
    labels = torch.cat([torch.full((300,), 2), torch.full((30,), 3), torch.full((2,), 1)])
    assert typical_size(sizes, labels) == pytest.approx(0.2)
    assert typical_size(sizes[:0], labels[:0]) == 0


def test_boxes_that_only_touch_do_not_overlap():
    side_by_side = record([0, 0, 10, 10], [10, 0, 20, 10])
    crossing = record([0, 0, 10, 10], [9, 9, 20, 20], [30, 30, 40, 40])
    assert overlapping_share([side_by_side]) == 0
    assert overlapping_share([crossing]) == pytest.approx(2 / 3)
    assert overlapping_share([side_by_side, crossing, record()]) == pytest.approx(2 / 5)
    assert overlapping_share([]) == 0
