"""The checks check: right passes, every mistake is caught and named, every change is caught."""

import pytest

from detlab import exercises
from tests.exercises.equivalent import EQUIVALENT
from tests.exercises.perturb import perturbations
from tests.exercises.proof import survivors

NAMES = list(exercises.ALL)


@pytest.mark.parametrize("name", NAMES)
def test_the_packages_own_function_passes(name):
    exercise = exercises.ALL[name]
    assert exercise.name == name
    assert exercise.judge(exercise.reference).passed


@pytest.mark.parametrize("name", NAMES)
def test_each_mistake_is_called_by_its_own_name(name):
    exercise = exercises.ALL[name]
    assert len(exercise.mistakes) >= 5
    for key, mistake in exercise.mistakes.items():
        verdict = exercise.judge(mistake.function)
        assert (verdict.status, verdict.mistake) == ("wrong", key), verdict.text
        assert mistake.hint in verdict.text


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


def test_every_exercise_can_be_called_by_name():
    for name, exercise in exercises.ALL.items():
        assert getattr(exercises, name) is exercise
