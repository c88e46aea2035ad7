"""Pictures that look as if boxes were forgotten, where the others say what is usual."""

import pytest
import torch

from detlab.audit.missing_labels import (
    classes_present,
    missing_classes,
    pictures_with_few_boxes,
    pictures_without_objects,
)
from tests.audit.sample_records import NAMES, record


def with_boxes(number, name="a.png"):
    return record([[0, 0, 9, 5]] * number, [1] * number, name)


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


def test_a_picture_shows_the_classes_of_its_boxes():
    shown = classes_present([record([[0, 0, 9, 5]] * 3, [2, 2, 2]), record([], [])], 3)
    assert shown.tolist() == [[False, False, True], [False, False, False]]


def test_a_picture_without_boxes_is_told_beside_how_many_have_some():
    found = pictures_without_objects([with_boxes(2), with_boxes(0, "b.png"), with_boxes(1)])
    assert [finding.pictures[0].name for finding in found] == ["b.png"]
    assert found[0].what == "no object in this picture; 2 of 3 pictures have some"
    assert pictures_without_objects([]) == []


@pytest.mark.parametrize(("boxes", "number"), [(1, 1), (2, 1), (3, 0), (0, 0)])
def test_a_quarter_of_what_is_usual_is_few(boxes, number):
    records = [*(with_boxes(8) for _ in range(30)), with_boxes(boxes, "odd.png")]
    found = pictures_with_few_boxes(records)
    assert [finding.pictures[0].name for finding in found] == ["odd.png"] * number
    for finding in found:
        assert (
            finding.what
            == f"boxes here: {boxes}; usual are 8, and so few are in 3% of the pictures"
        )


@pytest.mark.parametrize(("usual", "pictures"), [(7, 30), (12, 18)])
def test_where_few_are_usual_or_pictures_few_nothing_is_told(usual, pictures):
    assert (
        pictures_with_few_boxes([*(with_boxes(usual) for _ in range(pictures)), with_boxes(1)])
        == []
    )


def test_many_classes_and_pictures_take_a_look_at_each_box_only(monkeypatch):
    looks = []
    records = [record([[0, 0, 9, 5]], [1 + row % 299]) for row in range(600)]
    assign = torch.Tensor.__setitem__
    monkeypatch.setattr(
        torch.Tensor, "__setitem__", lambda *given: (looks.append(1), assign(*given))[1]
    )
    missing_classes(records, tuple(map(str, range(300))))
    assert len(looks) == 600
