"""The lessons in their order: what each asks, what a learner builds in it, and how long it takes.

The map in lesson 00, `detlab progress` and the README's table come from here.
"""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import list2cmdline
from typing import NamedTuple

from detlab.errors import DetlabError
from detlab.files import INSIDE, shipped_path

ROOT = shipped_path("")
"""Where the course's notebooks and data lie: the clone, or a folder of the installed package."""
SHIPPED = ROOT / "notebooks"
NOTEBOOKS = Path(os.path.expanduser("~/detlab-course")) if INSIDE.is_dir() else SHIPPED
"""Where a learner works: in the clone, or on copies of the installed lessons."""
INSTALL_COURSE = f'{list2cmdline([sys.executable])} -m pip install "detlab[course]"'


class MissingExtra(DetlabError, ModuleNotFoundError):
    """A package that only lessons and labs need is not installed."""


@contextmanager
def course_packages() -> Iterator[None]:
    """Import what only lessons and labs need.

    Raises:
        MissingExtra: something is not there; the message has the command that installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        words = f"{package} is not installed, which lessons and labs need: {INSTALL_COURSE}"
        raise MissingExtra(words, name=error.name) from error


class Lesson(NamedTuple):
    """One notebook."""

    number: str
    """Two digits."""
    question: str
    builds: str
    minutes: int
    """To work through, all exercises included."""

    @property
    def stem(self) -> str:
        """The name of its files, without an ending.

        >>> Lesson("02", "Where is it?", "IoU", 30).stem
        '02_where_is_it'
        """
        words = "".join(c if c.isalnum() else " " for c in self.question.lower()).split()
        return "_".join([self.number, *words])

    @property
    def notebook(self) -> Path:
        """What a learner opens."""
        return NOTEBOOKS / f"{self.stem}.ipynb"


COURSE = (
    Lesson("00", "Start here", "a first small function; you see where you are going", 15),
    Lesson("01", "What is in the picture?", "softmax, cross-entropy, accuracy", 45),
    Lesson("02", "Where is it?", "box formats, area, IoU", 55),
    Lesson("03", "Can a network point?", "Smooth L1 and GIoU loss", 50),
    Lesson("04", "What and where at once?", "the loss of two tasks", 45),
    Lesson("05", "How many are there?", "dense windows, batches of lists", 65),
    Lesson("06", "Can guesses help?", "anchors, deltas, fitted shapes", 75),
    Lesson("07", "Who learns what?", "matching, focal loss, hard negatives", 75),
    Lesson("08", "Why so many boxes?", "NMS, per class, Soft-NMS", 60),
    Lesson("09", "The real thing", "the loss of the whole detector, from your own parts", 60),
    Lesson("10", "Is it any good?", "precision, recall, average precision", 70),
    Lesson("11", "Does it work on real pictures?", "odd sizes, fit of anchors, tiles", 60),
)


def find_lesson(number: str | int) -> Lesson:
    """A lesson by its number, as "02", "2" or 2.

    Raises:
        ValueError: there is no such lesson.

    >>> find_lesson(2).question
    'Where is it?'
    """
    digits = re.match(r"\d{1,2}(?!\d)", str(number))
    for lesson in COURSE:
        if digits and int(lesson.number) == int(digits[0]):
            return lesson
    raise ValueError(f"no lesson {number!r}; there are {COURSE[0].number} to {COURSE[-1].number}")
