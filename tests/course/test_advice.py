"""Cells out of order: the learner is told what to run."""

import os
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient

from detlab.course import advice


def run(*cells, **settings):
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    NotebookClient(notebook, timeout=300, allow_errors=True).execute(env={**os.environ, **settings})
    return [
        (output.get("ename", ""), output.get("text", ""))
        for cell in notebook.cells
        for output in cell.outputs
    ]


@pytest.mark.parametrize(
    ("cell", "kind", "words"),
    [
        ("scene", "NameError", "Run All Above Selected Cell"),
        ("import no_such_package", "ModuleNotFoundError", "detlab doctor"),
        ("import no_such_package", "ModuleNotFoundError", 'pip install "detlab[course]"'),
    ],
)
def test_a_kernel_that_detlab_starts_gives_advice_from_the_first_cell(cell, kind, words):
    outputs = run(cell, PYTHONSTARTUP=advice.__file__)
    assert kind in [name for name, _ in outputs]
    assert any(words in text for _, text in outputs)


def test_any_other_kernel_gives_it_after_a_lesson_was_imported():
    outputs = run("from detlab.course import notebook", "scene", "1 / 0")
    assert [name for name, _ in outputs if name] == ["NameError", "ZeroDivisionError"]
    assert sum("Run All Above" in text for _, text in outputs) == 1


def test_other_errors_get_no_advice():
    assert advice.advice(ValueError("no")) == ""
    assert advice.advice(UnboundLocalError("cannot access local variable 'total'")) == ""


def test_it_loads_without_torch():
    script = "import sys, detlab.course.advice; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 0
