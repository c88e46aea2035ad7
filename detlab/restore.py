"""A lesson as it was shipped: its notebook made anew from its source.

notebooks/src/NAME.py is what people edit; this is how it becomes the cells of a notebook.
"""

from datetime import datetime
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from detlab.course import NOTEBOOKS, Lesson
from detlab.files import write_atomically

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


def restore_lesson(lesson: Lesson, notebooks: Path = NOTEBOOKS) -> Path | None:
    """Put a fresh notebook in place of a learner's, which is kept beside it.

    Returns:
        Where the learner's notebook is now; None if there was none.

    Raises:
        FileNotFoundError: the lesson has no source here; the old notebook stays as it was.
    """
    fresh = nbformat.writes(read_source(notebooks / "src" / f"{lesson.stem}.py"))
    place = notebooks / lesson.notebook.name
    kept = place.with_name(f"{place.stem}.kept-{datetime.now():%Y%m%d-%H%M%S}.ipynb")
    existed = place.exists()
    if existed:
        place.rename(kept)
    write_atomically(place, (fresh + "\n").encode())
    return kept if existed else None
