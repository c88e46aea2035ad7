"""Whole lessons run: solved, elsewhere, with other seeds, without a network, in bounded memory."""

import re

import nbformat
import pytest
from nbclient import NotebookClient

from detlab.course.lessons import NOTEBOOKS
from detlab.course.restore import read_source
from detlab.data import download

from .reading import CHECK, LESSONS, codes, named

pytestmark = pytest.mark.slow
lessons = pytest.mark.parametrize("lesson", LESSONS, ids=named(LESSONS))
MOST_MEMORY = 3e9  # bytes
NO_NETWORK = """
import socket
def _refuse(self, address):
    raise AssertionError(f"a lesson asks the network for {address}")
for kind in ("connect", "connect_ex"):
    setattr(socket.socket, kind, _refuse)
"""
PEAK = """
import resource, sys
unit = 1 if sys.platform == "darwin" else 1024
print("peak", unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@lessons
def test_a_lesson_runs_with_every_exercise_solved(lesson, tmp_path, monkeypatch):
    hide_photographs(tmp_path, monkeypatch)
    run_solved(lesson, tmp_path, monkeypatch)


@pytest.mark.skipif(download.find(download.BCCD) is None, reason="bccd is not here")
def test_the_lesson_on_photographs_runs_with_them(tmp_path, monkeypatch):
    outputs = run_solved(LESSONS[-1], tmp_path, monkeypatch)
    assert "photographs of blood cells" in outputs


def hide_photographs(folder, monkeypatch):
    """As on a machine that has not downloaded any."""
    monkeypatch.delenv("DETLAB_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))


def run_solved(lesson, tmp_path, monkeypatch):
    """Run a lesson with the package's functions in place of the stubs; gives all that it prints."""
    monkeypatch.setenv("DETLAB_SEED", "1")
    cells = read_source(NOTEBOOKS / "src" / f"{lesson.stem}.py").cells
    for cell in cells:
        cell.source = CHECK.sub(solved, cell.source)
    outputs = run([NO_NETWORK, *codes(cells), PEAK], tmp_path)
    verdicts = re.findall(r"^(\w+): right in all", outputs, flags=re.MULTILINE)
    assert verdicts == [name for name, _ in CHECK.findall("\n".join(codes(cells)))]
    (peak,) = re.findall(r"^peak (\d+)$", outputs, flags=re.MULTILINE)
    assert int(peak) < MOST_MEMORY
    return outputs


def solved(check):
    """The package's function in place of the stub, written before its check."""
    name, mine = check.groups()
    return f"{mine} = exercises.{name}.reference\n{check.group()}"


def run(cells, folder):
    """Run code cells in a kernel of their own; gives all that they print and show, as text."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(folder)}}).execute()
    return "\n".join(
        output.get("text", "") or output.get("data", {}).get("text/plain", "")
        for cell in notebook.cells
        for output in cell.outputs
    )


def test_the_network_is_really_cut(tmp_path):
    with pytest.raises(Exception, match="a lesson asks the network"):
        run([NO_NETWORK, "import urllib.request as u; u.urlopen('http://127.0.0.1:9')"], tmp_path)
