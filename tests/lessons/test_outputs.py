"""What was built is what is written, and its stored outputs are worth comparing."""

import json

import pytest

from detlab.course.lessons import NOTEBOOKS
from detlab.course.restore import read_source

from .reading import IGNORED, LESSONS, NOTEBOOK_SOURCES, built, named

lessons = pytest.mark.parametrize("lesson", LESSONS, ids=named(LESSONS))
every = pytest.mark.parametrize("path", NOTEBOOK_SOURCES, ids=lambda path: path.stem)


@every
def test_a_notebook_is_built_from_its_source(path):
    notebook = json.loads((NOTEBOOKS / f"{path.stem}.ipynb").read_text(encoding="utf-8"))

    def cells(found):
        return [
            (cell["id"], cell["cell_type"], "".join(cell["source"]), cell["metadata"].get("tags"))
            for cell in found
        ]

    assert cells(notebook["cells"]) == cells(read_source(path).cells)


@every
def test_a_notebook_can_be_shown_on_the_web(path):
    text = (NOTEBOOKS / f"{path.stem}.ipynb").read_text(encoding="utf-8")
    assert len(text.encode()) <= 1_500_000
    assert "application/vnd.jupyter.widget" not in text


@lessons
def test_every_code_cell_was_run_without_an_unwanted_error(lesson):
    for cell in built(lesson):
        if cell.cell_type == "code":
            assert cell.execution_count
            wanted = "raises-exception" in cell.metadata.get("tags", [])
            errors = [output for output in cell.outputs if output.output_type == "error"]
            assert bool(errors) == wanted, cell.source


def test_no_photograph_is_published():
    said = [words_of(cell) for cell in built(LESSONS[-1]) if cell.cell_type == "code"]
    assert any("The photographs are not here." in words for words in said)


@lessons
def test_enough_outputs_are_compared(lesson):
    compared = [
        cell
        for cell in built(lesson)
        if cell.cell_type == "code" and IGNORED not in cell.source and words_of(cell)
    ]
    assert len(compared) >= (4 if lesson.number == "00" else 8)


def words_of(cell):
    """The text of a cell's outputs; pictures are never compared."""
    words = "".join(
        output.get("text", "") or output.get("data", {}).get("text/plain", "")
        for output in cell.outputs
    )
    assert "<Figure size" not in words, f"show it with notebook.Show: {cell.source}"
    assert " at 0x" not in words, f"an address is not the same twice: {cell.source}"
    return words
