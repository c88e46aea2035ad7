"""What notebooks need beside the package itself: source to read, the trained detector, progress.

Only notebooks import this file.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from detlab.course.exercises.exercise import text_of
from detlab.course.lessons import COURSE, ROOT, Lesson, course_packages, find_lesson
from detlab.course.progress import remember, today
from detlab.course.status import Status, all_statuses, next_lesson, status_of
from detlab.course.your_parts import collect as collect
from detlab.detector.checkpoint import CheckpointInfo, load_checkpoint
from detlab.detector.model import Detector
from detlab.draw.figures import to_png

with course_packages():
    from IPython.display import Markdown

    from detlab.course.advice import give_advice

give_advice()

CHECKPOINT = ROOT / "data" / "checkpoints" / "course.safetensors"


def show_source(function: Callable[..., Any]) -> Markdown:
    """A function's text as it stands in the package, so that what is shown cannot go stale."""
    return Markdown(f"```python\n{text_of(function)}```")


def shipped_detector() -> tuple[Detector, CheckpointInfo]:
    """The trained detector that comes with the course, and what is known of it.

    Raises:
        FileNotFoundError: it is missing; the message has the command that trains another.
    """
    if not CHECKPOINT.is_file():
        raise FileNotFoundError(
            f"{CHECKPOINT} is missing. Get it back with `git checkout {CHECKPOINT.name}` in"
            f" {CHECKPOINT.parent}, or train another: `detlab train --out runs/course`, then copy"
            " its checkpoint there."
        )
    return load_checkpoint(CHECKPOINT)


def finish(number: str) -> Markdown:
    """The end of a lesson: remembers it as finished once all its exercises have passed."""
    lesson = find_lesson(number)
    unsolved = status_of(lesson).unsolved
    if unsolved:
        left = ", ".join(f"`{name}`" for name in unsolved)
        return Markdown(f"**Still open in this lesson:** {left}. Write them when you like.")
    remember("lessons", lesson.number, today())
    return Markdown(f"**Lesson {lesson.number} is done.** {what_next(lesson)}")


def what_next(lesson: Lesson) -> str:
    """A line that leads to the next lesson."""
    place = COURSE.index(lesson) + 1
    if place == len(COURSE):
        return "That was the last one: you have built a detector and can evaluate it."
    after = COURSE[place]
    return f"Next: [{after.number} · {after.question}]({after.notebook.name})"


def seed() -> int:
    """The seed of a lesson's experiments: 0; tests set `DETLAB_SEED` to try others."""
    return int(os.environ.get("DETLAB_SEED", "0"))


@dataclass(frozen=True)
class Show:
    """Show a figure in a notebook, with the words that stand for it where it cannot be seen."""

    figure: Figure
    alt: str

    def __repr__(self) -> str:
        """The words alone."""
        return f"[figure: {self.alt}]"

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The picture, its words, and the words as the picture's alternative text."""
        data = {"text/plain": repr(self), "image/png": to_png(self.figure)}
        return data, {"image/png": {"alt": self.alt}}


def course_map() -> Markdown:
    """The course as a table: what is built where, how far you are, and what comes next."""
    statuses = all_statuses()
    rows = ["| | lesson | you build | minutes | you are |", "|---|---|---|---|---|"]
    for status in statuses:
        number, question, builds, minutes = status.lesson
        link = f"[{question}]({status.lesson.notebook.name})"
        rows.append(f"| {number} | {link} | {builds} | {minutes} | {progress_in_words(status)} |")
    following = next_lesson(statuses)
    ending = f"Next: {following.number} · {following.question}" if following else "All is done."
    return Markdown("\n".join([*rows, "", ending]))


def progress_in_words(status: Status) -> str:
    """How far a learner is in a lesson, in a few words.

    >>> progress_in_words(Status(COURSE[2], 1, ("box_iou",), ("box_area",), ""))
    '1 of 2 built'
    """
    if status.finished:
        return f"done on {status.finished}"
    built = len(status.solved)
    if built or status.commits:
        return f"{built} of {built + len(status.unsolved)} built"
    return "–"
