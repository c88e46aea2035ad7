"""What a learner's function can do wrong, and the short message that it gets."""

import html
import time
from unittest.mock import patch

import matplotlib.axes
import pytest
import torch

from detlab.course import exercises
from detlab.course.exercises.exercise import Exercise
from detlab.course.progress import read_progress


def halve(values):
    """Half of each."""
    return values / 2


def doubled(values):
    return values * 2


def as_they_are(values):
    return values.clone()


EXERCISE = Exercise(
    reference=halve,
    cases={"two": (torch.tensor([1.0, 3.0]),), "none": (torch.zeros(0),)},
    mistakes={
        "doubled": (doubled, "Half is less."),
        "left alone": (as_they_are, "Something must change."),
    },
    hints=["Divide.", "By two."],
)


def verdict(function):
    return EXERCISE.grade(function)


def test_right_is_right_in_every_case_and_is_remembered_with_its_source():
    assert repr(EXERCISE.check(halve)) == "halve: right in all 2 cases."
    kept = read_progress()["exercises"]["halve"]
    assert kept["source"] == 'def halve(values):\n    """Half of each."""\n    return values / 2\n'


def test_only_right_is_remembered():
    EXERCISE.check(doubled)
    EXERCISE.grade(halve)
    assert read_progress()["exercises"] == {}


def test_a_known_mistake_is_named_and_gets_its_hint():
    found = verdict(lambda values: values + values)
    assert found.mistake == "doubled"
    assert "What happened: doubled." in found.text
    assert "Half is less." in found.text


def test_an_unknown_mistake_shows_case_argument_got_and_want():
    text = verdict(lambda values: values / 3).text
    assert "The case: two." in text
    assert "  values = [1.0, 3.0]" in text
    assert "got  [0.3333, 1.0]\nwant [0.5, 1.5]" in text
    assert "What happened" not in text


def test_a_picture_of_one_colour_is_told_by_its_shape():
    text = exercises.image_size.grade(lambda image: image.shape[:2]).text
    assert "  image = all 0, of shape [3, 480, 640]\n" in text


def unwritten(values): ...


def raises_not_implemented(values):
    raise NotImplementedError


@pytest.mark.parametrize("stub", [unwritten, raises_not_implemented, lambda values: ...])
def test_a_stub_is_not_written_yet_and_no_failure(stub):
    found = verdict(stub)
    assert found.status == "not written"
    assert "exercises.halve.hint()" in found.text


def returns_nothing(values):
    half = values / 2
    print(half)


def test_a_forgotten_return_is_not_called_unwritten():
    assert verdict(returns_nothing).text == "halve: it returns nothing. Is a return missing?"


def asks_the_package(values):
    from detlab.boxes import box_area

    return box_area(values)


def test_the_line_of_an_error_is_the_learners_and_not_the_packages():
    text = verdict(asks_the_package).text
    assert "return box_area(values)" in text
    assert "boxes[:, 2]" not in text


def off_at_the_end(values):
    answer = values / 2
    answer[-1] += 1
    return answer


def test_what_differs_far_behind_is_shown_by_its_place():
    cases = {"many": (torch.arange(200.0),), "tiny": (torch.tensor([1e-3, 2e-4]),)}
    exercise = Exercise(halve, cases, {}, [])
    assert "at [199]: got 100.5, want 99.5" in exercise.grade(off_at_the_end).text
    text = exercise.grade(lambda values: values / 2 + 3e-5 * (values < 1) * (values > 0)).text
    assert "at [0]: got 0.00053, want 0.0005" in text


@pytest.mark.parametrize("thing", [None, ..., 3])
def test_what_is_no_function_is_said(thing):
    assert "want a function" in verdict(thing).text


def test_half_a_function_is_wrong_and_not_unwritten():
    found = verdict(lambda values: None if len(values) else values / 2)
    assert found.status == "wrong"
    assert "It returned None; want a tensor." in found.text


def raises(values):
    return values[7]


def test_an_exception_is_two_lines_with_the_learners_own_line():
    text = verdict(raises).text
    assert "It raised IndexError: index 7 is out of bounds" in text
    assert "return values[7]" in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda values: values.tolist(), "It returned a list; want a tensor."),
        (lambda values: 1.0, "It returned a float; want a tensor."),
        (lambda values: torch.zeros(3), "The shape is [3]; want [2]."),
        (lambda values: (values / 2).double(), "The dtype is float64; want float32."),
        (lambda values: values / 2 * float("nan"), "The answer holds NaN at [0]"),
        (lambda values: values / 2 + 1, "got  [1.5, 2.5]"),
    ],
)
def test_type_shape_dtype_nan_and_value_get_their_own_words(function, words):
    assert words in verdict(function).text


def in_place(values):
    values /= 2
    return values


def test_a_changed_argument_is_said_though_the_answer_is_right():
    assert "values was changed in place" in verdict(in_place).text
    assert EXERCISE.cases["two"][0].tolist() == [1.0, 3.0]


def talkative(values):
    for row in range(100_000):
        print("row", row)
    return values


def test_of_many_prints_the_first_lines_are_shown(capsys):
    text = verdict(talkative).text
    assert "row 0\nrow 1\n" in text
    assert "… and 99995 lines more" in text
    assert len(text) < 1000
    assert capsys.readouterr().out == ""


def endless(values):
    while True:
        time.sleep(0.01)


def stubborn(values):
    while True:
        try:
            time.sleep(0.01)
        except Exception:
            continue


@pytest.mark.parametrize("function", [endless, stubborn])
def test_a_loop_without_end_is_stopped_and_said(function):
    with patch("detlab.course.exercises.call.LIMIT", 1.0):
        found = verdict(function)
    assert "did not come to an end within 1 s" in found.text


def test_the_limit_leaves_ctrl_c_alone():
    def interrupted(values):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verdict(interrupted)


def test_lots_are_drawn_alike_for_both_and_the_callers_stay():
    def noisy(values):
        return values + torch.rand(len(values))

    exercise = Exercise(noisy, {"two": (torch.zeros(2),)}, {}, [])
    state = torch.get_rng_state()
    assert exercise.grade(lambda values: values + torch.rand(len(values))).passed
    assert torch.equal(torch.get_rng_state(), state)


def test_a_case_that_the_reference_cannot_answer_is_our_fault():
    exercise = Exercise(raises, {"two": (torch.zeros(2),)}, {}, [])
    with pytest.raises(IndexError):
        exercise.grade(lambda values: values)


def test_parts_of_lists_and_dicts_are_named():
    def wanted(values):
        return [{"boxes": values, "count": len(values)}]

    exercise = Exercise(wanted, {"two": (torch.zeros(2),)}, {}, [])
    assert "[0] ['boxes'] the shape is [1]; want [2]." in (
        exercise.grade(lambda values: [{"boxes": values[:1], "count": 2}]).text
    )
    assert "the keys are ['boxes']; want ['boxes', 'count']." in (
        exercise.grade(lambda values: [{"boxes": values}]).text
    )
    assert "there are 0 items; want 1." in exercise.grade(lambda values: []).text
    text = exercise.grade(lambda values: [{"boxes": values, "count": 3}]).text
    assert "[0] ['count'] got  3" in text


def test_hints_come_one_at_a_time_and_then_the_solution():
    exercise = Exercise(halve, EXERCISE.cases, {}, ["Divide.", "By two."])
    assert repr(exercise.hint()) == "Hint 1 of 2: Divide."
    assert "That was the last one." in repr(exercise.hint())
    assert "exercises.halve.solution()" in repr(exercise.hint())
    assert repr(exercise.solution()).startswith("def halve")


def test_the_learners_function_goes_on_where_it_is_right():
    mine = lambda values: values * 0.5  # noqa: E731
    assert EXERCISE.mine_or_reference(mine) is mine
    assert EXERCISE.mine_or_reference(unwritten) is halve


def test_a_failing_case_is_drawn():
    found = exercises.box_iou.grade(lambda boxes_a, boxes_b: torch.zeros(1, 1))
    data = found._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")
    assert data["text/plain"] == found.text
    assert list(EXERCISE.grade(unwritten)._repr_mimebundle_()) == ["text/plain"]


def test_a_notebook_shows_the_words_above_the_drawing():
    found = exercises.box_iou.grade(lambda boxes_a, boxes_b: torch.zeros(1, 1))
    page = found._repr_mimebundle_()["text/html"]
    assert page.index(html.escape(found.text)) < page.index("data:image/png;base64,")


def test_a_drawing_that_fails_for_an_odd_answer_hides_no_words():
    def draw(axes: matplotlib.axes.Axes, case, got, wanted):
        if got is not None:
            axes.plot(got["x"])

    exercise = Exercise(halve, EXERCISE.cases, {}, [], draw=draw)
    found = exercise.grade(lambda values: "x")
    assert "It returned a str; want a tensor." in found.text
    assert found.picture


def test_an_unknown_name_says_what_there_is():
    with pytest.raises(AttributeError, match=r"no exercise 'boxiou'; there are .*box_iou"):
        _ = exercises.boxiou
