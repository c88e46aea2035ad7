"""Names and numbers of classes: what looks like a slip is told, what is usual is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detlab.audit.classes import (
    a_letter_apart,
    classes_missing_from_a_split,
    classes_to_look_at,
    rare_classes,
    similar_names,
    standing_in_others,
    unused_classes,
    written_nearly_alike,
)
from tests.audit.sample_records import record


def names_of(found):
    return [name for name, _ in found]


def test_the_chess_set_has_a_bishop_too_many_and_a_class_that_is_none():
    counts = {"pieces": 0, "bishop": 1, "black-bishop": 150, "white-bishop": 170, "white-king": 90}
    (finding,) = similar_names(counts)
    assert finding == ("bishop", "bishop (1 box) stands in black-bishop (150), white-bishop (170)")
    assert unused_classes(counts) == [("pieces", "no box in any picture is called pieces")]
    assert rare_classes(counts) == [("bishop", "bishop has 1 box, white-bishop has 170")]


@pytest.mark.parametrize(
    "counts",
    [
        {"bear": 60, "teddy bear": 80},  # one stands in the other, and both are used
        {"player1": 300, "player2": 2},  # counted, not misspelt
        {"rbc": 4000, "wbc": 300},  # too short: any two are alike
        {"A": 100, "B": 3},
        {"+": 100, "-": 3},
        {"horse": 90, "house": 60},
        {"cat": 5},
        {},
    ],
)
def test_names_that_are_meant_are_not_told(counts):
    assert similar_names(counts) == []


@pytest.mark.parametrize(
    ("counts", "name"),
    [
        ({"cat": 90, "catt": 1}, "catt"),
        ({"horse": 90, "hrse": 4}, "hrse"),
        ({"horse": 90, "hopse": 4}, "hopse"),
        ({"Traffic light": 50, "traffic_light": 40}, "traffic_light"),
        ({"cat": 100, "wild cat": 2000}, "cat"),
    ],
)
def test_names_that_may_be_slips_are_told(counts, name):
    assert names_of(similar_names(counts)) == [name]


words = st.text("abc1", min_size=4, max_size=6)


@given(st.lists(words, unique=True, max_size=8))
def test_names_meet_that_are_a_letter_apart_and_no_others(names):
    def slip(one, other):
        """The slow way: every letter left out of either, or of both at the same place."""
        lefts = [
            {w, *(w[:i] + w[i + 1 :] for i in range(len(w)) if w[i].isalpha())}
            for w in (one, other)
        ]
        return bool(lefts[0] & lefts[1]) and a_letter_apart(one, other)

    found = {frozenset(pair) for pair in written_nearly_alike(dict.fromkeys(names, 1))}
    assert found == {
        frozenset((one, other))
        for one in names
        for other in names
        if one < other and slip(one, other)
    }


def test_words_stand_in_names_and_letters_do_not():
    assert standing_in_others(["hop", "bishop", "Black bishop"]) == {"bishop": ["Black bishop"]}


@pytest.mark.parametrize(
    ("count", "most", "told"), [(9, 180, 1), (10, 900, 0), (9, 179, 0), (0, 99, 0)]
)
def test_rare_is_few_boxes_beside_many(count, most, told):
    assert len(rare_classes({"cat": most, "eel": count})) == told


def boxes_of(label, number):
    return [record([[0, 0, 9, 9]], [label]) for _ in range(number)]


@pytest.mark.parametrize(("total", "told"), [(10, ["no cat in val, 10 boxes elsewhere"]), (9, [])])
def test_a_split_misses_a_class_of_which_it_should_have_some(total, told):
    splits = {
        "train": [*boxes_of(1, total), *boxes_of(2, 10 - total)],
        "val": [*boxes_of(2, 10)],
    }
    counts = {"cat": total, "dog": 20 - total}
    assert classes_missing_from_a_split(splits, ("background", "cat", "dog"), counts) == [
        *(["no dog in train, 10 boxes elsewhere"] if total == 10 else []),
        *told,
    ]


def test_train_should_have_every_class():
    splits = {"train": boxes_of(1, 50), "test": boxes_of(2, 1)}
    found = classes_missing_from_a_split(
        splits, ("background", "cat", "dog"), {"cat": 50, "dog": 1}
    )
    assert found == ["no dog in train, 1 box elsewhere"]


def test_each_finding_shows_a_box_of_its_class_if_there_is_one():
    splits = {
        "train": [*boxes_of(1, 40), record([[0, 0, 5, 5], [9, 9, 19, 19]], [1, 2])],
        "val": [],
    }
    names = ("background", "king", "kings", "queen")
    found = classes_to_look_at(splits, names, {"king": 41, "kings": 1, "queen": 0})
    assert [(each.kind, each.boxes) for each in found] == [
        ("similar names", (1,)),
        ("rare class", (1,)),
        ("class without boxes", ()),
    ]
    assert found[0].records == (splits["train"][-1],)
    assert classes_to_look_at({}, ("background",), {}) == []
