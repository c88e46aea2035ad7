"""How far a learner is: what progress.py remembers, lesson by lesson.

Shown as a map in lesson 00 and by `detlab progress`.
"""

from typing import Any, NamedTuple

from detlab.course import exercises
from detlab.course.lessons import COURSE, Lesson
from detlab.course.progress import read_progress


class Status(NamedTuple):
    """How far a learner is in one lesson."""

    lesson: Lesson
    commits: int
    """Questions answered."""
    solved: tuple[str, ...]
    """Names of the exercises that passed."""
    unsolved: tuple[str, ...]
    """Names of those that did not yet."""
    finished: str
    """The date, "" before."""


def status_of(lesson: Lesson) -> Status:
    """What is remembered of one lesson."""
    progress = read_progress()
    names = exercises.in_lesson(lesson.number)
    return Status(
        lesson,
        sum(key.startswith(f"{lesson.number}-") for key in progress["commits"]),
        tuple(name for name in names if name in progress["exercises"]),
        tuple(name for name in names if name not in progress["exercises"]),
        str(progress["lessons"].get(lesson.number, "")),
    )


def all_statuses() -> list[Status]:
    """Every lesson of the course, in its order."""
    return [status_of(lesson) for lesson in COURSE]


def next_lesson(statuses: list[Status]) -> Lesson | None:
    """The first lesson that is not finished; None when all are."""
    return next((status.lesson for status in statuses if not status.finished), None)


def status_rows(statuses: list[Status]) -> list[dict[str, str]]:
    """A table for people."""
    return [
        {
            "lesson": f"{status.lesson.number} {status.lesson.question}",
            "answered": str(status.commits),
            "built": f"{len(status.solved)} of {len(status.solved) + len(status.unsolved)}",
            "finished": status.finished or "–",
        }
        for status in statuses
    ]


def status_json(statuses: list[Status]) -> list[dict[str, Any]]:
    """The same for programs: a teacher collects one a learner."""
    return [
        {
            "lesson": status.lesson.number,
            "question": status.lesson.question,
            "commits": status.commits,
            "solved": list(status.solved),
            "unsolved": list(status.unsolved),
            "finished": status.finished or None,
        }
        for status in statuses
    ]
