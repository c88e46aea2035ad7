"""A lesson as it was shipped: its notebook made anew from its source.

notebooks/src/NAME.py is what people edit; this is how it becomes the cells of a notebook. The
outputs that were shipped with it are in the clone's own git history, and come back from there. An
installed package has the notebooks themselves, and a learner works on copies of them.
"""

import subprocess
from datetime import datetime
from itertools import chain, count
from pathlib import Path

from detlab.course.lessons import NOTEBOOKS, SHIPPED, Lesson, course_packages
from detlab.files import write_atomically

with course_packages():
    import jupytext
    import nbformat
    from nbformat import NotebookNode

KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def read_source(path: Path) -> NotebookNode:
    """A lesson's source as a notebook without outputs, its cells numbered in their ids.

    The source of a question is folded away, because it holds the answer.
    """
    notebook: NotebookNode = jupytext.read(path, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(KERNEL)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"{path.stem[:40]}-{number:03d}".replace(".", "-")
        if cell.source.startswith("Commit("):
            cell.metadata["jupyter"] = {"source_hidden": True}
    return notebook


def shipped(stem: str, notebooks: Path) -> str:
    """The text of a lesson's notebook, with its outputs where the package or git has them.

    Args:
        stem: its name, without an ending.
        notebooks: the folder that it lies in, its source in src/ below.

    Raises:
        FileNotFoundError: the lesson has no source here.
    """
    if NOTEBOOKS != SHIPPED:
        return (SHIPPED / f"{stem}.ipynb").read_text(encoding="utf-8")
    fresh = read_source(notebooks / "src" / f"{stem}.py")
    stored = committed(notebooks / f"{stem}.ipynb")
    if stored and texts(nbformat.reads(stored, as_version=4)) == texts(fresh):
        return stored
    return f"{nbformat.writes(fresh)}\n"


def committed(path: Path) -> str:
    """A file's text as the last commit has it; "" without git, or without a commit of it."""
    command = ["git", "-C", str(path.parent), "show", f"HEAD:./{path.name}"]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=60)
        return done.stdout.decode()
    except (OSError, subprocess.SubprocessError):
        return ""


def texts(notebook: NotebookNode) -> list[str]:
    """What stands in each cell."""
    return [cell.source for cell in notebook.cells]


def dated(path: Path) -> Path:
    """A name that nothing has yet: with the time in it, and a number where that is not enough."""
    stem = f"{path.stem}-{datetime.now():%Y%m%d-%H%M%S}"
    names = chain([stem], (f"{stem}-{number}" for number in count(2)))
    places = (path.with_name(f"{name}{path.suffix}") for name in names)
    return next(place for place in places if not place.exists())


def copy_lessons() -> None:
    """Copy the shipped lessons to where a learner works; those that are there stay as they are."""
    for page in SHIPPED.glob("*.ipynb"):
        place = NOTEBOOKS / page.name
        if not place.exists():
            write_atomically(place, page.read_bytes())


def restore_lesson(lesson: Lesson, notebooks: Path = NOTEBOOKS) -> Path | None:
    """Put a fresh notebook in place of a learner's, which is kept beside it if it differs.

    Returns:
        Where the learner's notebook is now; None if there was none, or nothing in it to keep.

    Raises:
        FileNotFoundError: the lesson has no source here; the old notebook stays as it was.
    """
    fresh = shipped(lesson.stem, notebooks)
    place = notebooks / lesson.notebook.name
    kept = None
    if place.exists():
        if place.read_bytes() == fresh.encode():
            return None
        kept = dated(place.with_name(f"{place.stem}.kept.ipynb"))
        place.rename(kept)
    write_atomically(place, fresh.encode())
    return kept
