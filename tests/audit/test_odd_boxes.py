"""Boxes that look wrong are told, the oddest first; usual ones are not."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from detlab.audit.odd_boxes import (
    boxes_that_stay,
    double_boxes,
    robust_scores,
    rows_of_classes,
    size_outliers,
)
from tests.audit.sample_records import NAMES, record, usual


def test_two_boxes_of_a_class_that_cover_each_other_are_double():
    found = double_boxes(
        [record([[0, 0, 20, 10], [0, 0, 20, 10.5], [0, 0, 20, 10]], [1, 1, 2])], NAMES
    )
    (finding,) = found
    assert finding.boxes == (0, 1)
    assert finding.what == "object 0 and object 1, both cell, have IoU 0.95"


@pytest.mark.parametrize(("high", "number"), [(8.0, 0), (10.0, 1)])
def test_neighbours_are_not_double_below_the_threshold(high, number):
    assert len(double_boxes([record([[0, 0, 20, 10], [0, 0, 20, high]], [1, 1])], NAMES)) == number


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


def test_of_three_boxes_on_one_object_two_are_too_many():
    found = double_boxes(
        [record([[0, 0, 20, 10], [50, 0, 60, 9]] + [[0, 0, 20, 10]] * 2, [1] * 4)], NAMES
    )
    assert [finding.boxes for finding in found] == [(0, 2), (0, 3)]


def test_a_double_box_is_told_with_the_one_that_it_covers_most():
    boxes = [[0, 0, 40, 20], [0, 0, 40, 21], [0, 0, 40, 21.5]]
    assert [finding.boxes for finding in double_boxes([record(boxes, [2] * 3)], NAMES)] == [
        (0, 1),
        (1, 2),
    ]
    assert double_boxes([record([], [])], NAMES) == []


@given(st.lists(st.integers(0, 5), max_size=20))
def test_rows_of_classes_hold_each_row_once(labels):
    groups = rows_of_classes(torch.tensor(labels, dtype=torch.int64))
    assert sorted(row for rows in groups for row in rows.tolist()) == list(range(len(labels)))
    assert [{labels[row] for row in rows} for rows in groups] == [
        {each} for each in sorted(set(labels))
    ]


def boards(number, moving, jitter=0.0):
    """A box that stays to within `jitter` pixels, and one that is elsewhere in each picture."""
    return [
        record(
            [[40 + jitter * (row % 3), 30, 80, 50], [row, 2, row + 9, 12 + row % 5]],
            [1 if row >= moving else 2, 2],
            f"{row}.png",
        )
        for row in range(number)
    ]


@pytest.mark.parametrize(("moving", "number"), [(0, 1), (10, 1), (11, 0)])
def test_a_box_that_stands_in_nearly_all_pictures_is_told_once(moving, number):
    found = boxes_that_stay(boards(50, moving), NAMES)
    assert len(found) == number
    for finding in found:
        assert (finding.boxes, finding.pictures) == ((0,), (Path(f"{moving}.png"),))
        assert (
            finding.what
            == f"object 0, cell, stands at this place in {100 - 2 * moving}% of the pictures"
        )


def test_pictures_of_other_forms_are_compared_by_their_parts():
    halves = [record([[0, 0, side, 20]], [1], image_size=(40, 2 * side)) for side in range(30, 60)]
    (finding,) = boxes_that_stay(halves, NAMES)
    assert "100%" in finding.what


@pytest.mark.parametrize("jitter", [0.0, 0.3])
def test_a_hand_that_trembles_makes_no_difference(jitter):
    assert len(boxes_that_stay(boards(40, 0, jitter), NAMES)) == 1


def test_of_few_pictures_no_box_stays():
    assert boxes_that_stay(boards(19, 0), NAMES) == []
    assert boxes_that_stay([], NAMES) == []
    assert boxes_that_stay([record([], [])] * 30, NAMES) == []
