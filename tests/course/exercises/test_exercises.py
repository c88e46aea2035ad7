"""The checks check: right passes, every mistake is caught and named, every change is caught."""

import pytest

from detlab.course import exercises
from detlab.course.lessons import ROOT
from tests.course.exercises.equivalent import EQUIVALENT
from tests.course.exercises.perturb import perturbations
from tests.course.exercises.proof import survivors

NAMES = list(exercises.ALL)


@pytest.mark.parametrize("name", NAMES)
def test_the_packages_own_function_passes(name):
    exercise = exercises.ALL[name]
    assert exercise.name == name
    assert exercise.grade(exercise.reference).passed


@pytest.mark.parametrize("name", NAMES)
def test_each_mistake_is_called_by_its_own_name(name):
    exercise = exercises.ALL[name]
    assert len(exercise.mistakes) >= 5
    for key, mistake in exercise.mistakes.items():
        verdict = exercise.grade(mistake.function)
        assert (verdict.status, verdict.mistake) == ("wrong", key), verdict.text
        assert mistake.hint in verdict.text


@pytest.mark.parametrize("name", [name for name in NAMES if exercises.ALL[name].draw])
def test_a_failing_case_is_drawn(name):
    first, *_ = exercises.ALL[name].mistakes.values()
    verdict = exercises.ALL[name].grade(first.function)
    assert "picture" not in vars(verdict), "a picture costs time, and few are looked at"
    assert verdict.picture.startswith(b"\x89PNG")
    assert vars(verdict)["picture"] is verdict.picture  # drawn once


@pytest.mark.parametrize("name", NAMES)
def test_every_change_of_the_reference_is_caught(name):
    exercise = exercises.ALL[name]
    tried = perturbations(exercise.reference)
    allowed = EQUIVALENT.get(name, {})
    assert set(allowed) <= set(tried), "an exception for a change that does not exist"
    assert set(survivors(exercise, tried)) == set(allowed)


@pytest.mark.parametrize("name", NAMES)
def test_an_exercise_has_three_hints_and_a_source(name):
    exercise = exercises.ALL[name]
    assert len(exercise.hints) >= 3
    assert f"def {name}" in exercise.solution().text


def test_the_readme_has_a_row_for_every_exercise_in_which_nothing_slipped_through():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("<!-- proof -->")[2].partition("<!-- /proof -->")[0]
    rows = [line.strip("| ").split(" | ") for line in table.strip().splitlines()[2:]]
    assert [row[:3] for row in rows] == [
        [name, str(len(exercise.cases)), str(len(exercise.mistakes))]
        for name, exercise in exercises.ALL.items()
    ]
    assert all(row[2] == row[3] == row[4] and row[5] == row[6] for row in rows)


def test_there_are_enough_exercises():
    assert len(exercises.ALL) >= 22


def test_every_exercise_can_be_called_by_name():
    for name, exercise in exercises.ALL.items():
        assert getattr(exercises, name) is exercise
