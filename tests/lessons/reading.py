"""Lessons as tests read them: their sources and what was built from these."""

import re

import nbformat

from detlab.course.lessons import COURSE, NOTEBOOKS
from detlab.course.restore import read_source

LESSONS = [lesson for lesson in COURSE if (NOTEBOOKS / "src" / f"{lesson.stem}.py").exists()]
TAUGHT = [lesson for lesson in LESSONS if lesson.number != "00"]
"""Lessons with the whole arc; 00 only shows where it leads."""
NOTEBOOK_SOURCES = sorted((NOTEBOOKS / "src").glob("*.py"))
IGNORED = "NBVAL_IGNORE_OUTPUT"
CHECK = re.compile(r"^exercises\.(\w+)\.check\((\w+)\)$", flags=re.MULTILINE)


def named(lessons):
    """Ids for parametrised tests."""
    return [lesson.number for lesson in lessons]


def source(lesson):
    """Its cells as written."""
    return read_source(NOTEBOOKS / "src" / f"{lesson.stem}.py").cells


def built(lesson):
    """Its cells as built, with outputs."""
    return nbformat.read(lesson.notebook, 4).cells


def texts(cells):
    """Sources of the text cells."""
    return [cell.source for cell in cells if cell.cell_type == "markdown"]


def codes(cells):
    """Sources of the code cells."""
    return [cell.source for cell in cells if cell.cell_type == "code"]


def headings(cells):
    """The first words of all second-level headings."""
    return re.findall(r"^## (\w+)", "\n".join(texts(cells)), flags=re.MULTILINE)


def prose(text):
    """A text cell without code, links' targets and headings' signs."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return re.sub(r"\]\([^)]*\)", "]", text)
