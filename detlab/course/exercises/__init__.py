"""Every function that a learner writes, by its name: what is right, and which mistakes are known.

    exercises.box_iou.check(my_box_iou)      what is wrong, drawn and named
    exercises.box_iou.hint()                 one hint at a time
    exercises.box_iou.solution()             the package's own function

A file lesson_NN.py holds those of one lesson; exercise.py says what an exercise is.
"""

from importlib import import_module
from pathlib import Path

from detlab.course.exercises.exercise import Exercise, Verdict


def in_lesson(number: str) -> dict[str, Exercise]:
    """The exercises of one lesson, by name.

    >>> "box_iou" in in_lesson("02")
    True
    """
    if number not in LESSONS:
        return {}
    names = vars(import_module(f"detlab.course.exercises.lesson_{number}"))
    return {name: value for name, value in names.items() if isinstance(value, Exercise)}


LESSONS = sorted(path.stem[-2:] for path in Path(__file__).parent.glob("lesson_??.py"))
"""The lessons that have exercises."""

ALL = {name: value for number in LESSONS for name, value in in_lesson(number).items()}
"""All exercises by name, in the order of the lessons."""


def __getattr__(name: str) -> Exercise:
    """An exercise by its name: `exercises.box_iou`."""
    if name not in ALL:
        raise AttributeError(f"no exercise {name!r}; there are {', '.join(ALL)}")
    return ALL[name]


def __dir__() -> list[str]:
    """What a notebook offers after `exercises.` and Tab."""
    return list(ALL)


__all__ = ["ALL", "LESSONS", "Exercise", "Verdict", "in_lesson"]
