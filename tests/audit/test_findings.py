"""What deserves a second look is found, and nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detlab.audit.findings import (
    audit,
    crowded_fraction,
    double_boxes,
    lost_to_nms,
    missing_classes,
    robust_scores,
    size_outliers,
)
from detlab.data.records import Record

NAMES = ("background", "cell", "speck")


def record(boxes, labels, name="a.png"):
    return Record(
        Path(name),
        (60, 90),
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(labels, dtype=torch.int64),
        tuple(f"object {row}" for row in range(len(labels))),
        Path("labels.json"),
    )


def usual(number, side, label, name="a.png"):
    """Boxes of nearly one size."""
    boxes = [[0.0, 0.0, side + row % 3, side + row % 2] for row in range(number)]
    return record(boxes, [label] * number, name)


def test_two_boxes_of_a_class_that_cover_each_other_are_double():
    found = double_boxes(
        record([[0, 0, 20, 10], [0, 0, 20, 10.5], [0, 0, 20, 10]], [1, 1, 2]), NAMES
    )
    (finding,) = found
    assert finding.boxes == (0, 1)
    assert finding.what == "object 0 and object 1, both cell, have IoU 0.95"


@pytest.mark.parametrize(("high", "number"), [(8.0, 0), (10.0, 1)])
def test_neighbours_are_not_double_below_the_threshold(high, number):
    assert len(double_boxes(record([[0, 0, 20, 10], [0, 0, 20, high]], [1, 1]), NAMES)) == number


def test_a_size_that_fits_another_class_is_odd_and_the_oddest_comes_first():
    wrong = record([[0, 0, 40, 44], [0, 0, 70, 60]], [2, 2], "wrong.png")
    records = [usual(30, 40.0, 1), usual(30, 5.0, 2), wrong]
    found = size_outliers(records, NAMES)
    assert [finding.boxes for finding in found] == [(1,), (0,)]
    assert all(finding.pictures == (Path("wrong.png"),) for finding in found)
    assert "object 1, speck, is 65 px across" in found[0].what


def test_where_most_sizes_are_equal_the_others_are_not_odd_for_that():
    equal = record([[0, 0, 40, 40]] * 60 + [[0, 0, 38, 38]] * 40 + [[0, 0, 20, 20]], [1] * 101)
    (finding,) = size_outliers([equal], NAMES)
    assert finding.boxes == (100,)


def test_of_a_class_with_few_boxes_no_size_is_odd():
    assert size_outliers([record([[0, 0, 5, 5]] * 5 + [[0, 0, 80, 50]], [1] * 6)], NAMES) == []


@pytest.mark.parametrize(("without", "number"), [(1, 1), (2, 0)])
def test_a_class_that_nearly_all_pictures_have_is_missed_where_it_is_not(without, number):
    with_both = [record([[0, 0, 9, 5]] * 2, [1, 2], f"{row}.png") for row in range(19)]
    alone = [record([[0, 0, 9, 5]], [2], f"alone{row}.png") for row in range(without)]
    empty = [record([], [], f"empty{row}.png") for row in range(30)]
    found = missing_classes([*with_both, *alone, *empty], NAMES)
    assert [finding.pictures[0].name for finding in found] == ["alone0.png"][:number]
    assert all(finding.what == "no cell here, but in 95% of the pictures" for finding in found)


def test_of_few_pictures_no_class_is_missed():
    few = [record([[0, 0, 9, 5]], [1]) for _ in range(18)] + [record([[0, 0, 9, 5]], [2])]
    assert missing_classes(few, NAMES) == []


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=30), st.floats(0.1, 50), st.floats(-9, 9)
)
def test_robust_scores_know_neither_unit_nor_origin(values, scale, shift):
    given_ = torch.tensor(values, dtype=torch.float64).float()
    away = (given_ - given_.median()).abs().median()
    if away > 0.1:
        scores, moved = robust_scores(given_), robust_scores(given_ * scale + shift)
        torch.testing.assert_close(moved, scores, rtol=1e-2, atol=1e-2)


def test_normal_numbers_have_scores_like_standard_deviations():
    values = torch.randn(20_000) * 3 + 7
    assert robust_scores(values).std() == pytest.approx(1, abs=0.03)


def test_crowding_counts_boxes_with_a_near_neighbour_of_their_class():
    crowd = record([[0, 0, 10, 10], [0, 4, 10, 14], [40, 0, 50, 10], [0, 0, 10, 10]], [1, 1, 1, 2])
    assert crowded_fraction([crowd], 0.3) == 2 / 4  # IoU 60 / 140
    assert crowded_fraction([crowd], 0.5) == 0
    assert lost_to_nms([crowd], 0.3) == 1 / 4
    assert lost_to_nms([crowd], 0.5) == 0
    assert crowded_fraction([record([], [])], 0.3) == lost_to_nms([record([], [])], 0.3) == 0


@pytest.fixture
def splits(tmp_path):
    """Four pictures: the same one in train and val, one of its own, one without objects."""
    generator = torch.Generator().manual_seed(3)
    noise = [torch.randint(0, 255, (12, 18, 3), generator=generator).byte() for _ in range(3)]
    for name, row in (("a", 0), ("b", 0), ("c", 1), ("d", 2)):
        picture = Image.fromarray(noise[row].numpy()).resize((90, 60))
        picture.save(tmp_path / f"{name}.png")
    box = [[10.0, 10.0, 30.0, 25.0]]
    return {
        "train": [record(box, [1], tmp_path / "a.png"), record(box, [2], tmp_path / "c.png")],
        "val": [record(box, [1], tmp_path / "b.png"), record([], [], tmp_path / "d.png")],
    }


def test_all_splits_are_looked_at_together(splits):
    found = audit(splits, NAMES)
    assert [finding.kind for finding in found.findings] == ["twins across splits", "no object"]
    assert [path.stem for path in found.findings[0].pictures] == ["a", "b"]
    assert "in train and val" in found.findings[0].what
    assert found.counts == {"cell": 2, "speck": 1}
    assert found.sizes == {"small": 3, "medium": 0, "large": 0}


def test_sizes_are_those_of_coco(splits):
    sides = [(31, 33), (32, 32), (95, 97), (96, 96)]
    boxes = [[0.0, 0.0, float(w), float(h)] for w, h in sides]
    found = audit({"train": [record(boxes, [1] * 4, splits["val"][1].image)]}, NAMES)
    assert found.sizes == {"small": 1, "medium": 2, "large": 1}


def test_one_file_in_two_splits_is_a_twin_of_itself(splits):
    shared = splits["train"][0]
    doubled = replace(shared, boxes=shared.boxes.repeat(2, 1), labels=shared.labels.repeat(2))
    doubled = replace(doubled, objects=("object 0", "object 1"))
    found = audit({"train": [doubled], "test": [shared]}, NAMES).findings
    assert [finding.kind for finding in found] == ["twins across splits", "double box"]
    assert found[0].records == (doubled, shared)
    assert "1.00, in train and test" in found[0].what
    assert found[1].records == (doubled,)
