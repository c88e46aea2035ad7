"""Notebooks are built from their sources, and run when there is something to run."""

import sys

import nbformat
import pytest

from detlab.course.lessons import NOTEBOOKS

sys.path.insert(0, str(NOTEBOOKS))
import build as builder

SOURCE = "# %% [markdown]\n# # One\n\n# %%\nprint(6 * 7)\n"


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A folder of notebooks, and the sources that were run in it."""
    (tmp_path / "src").mkdir()
    monkeypatch.setattr(builder, "NOTEBOOKS", tmp_path)
    ran = []

    def run(notebook):
        ran.append(notebook)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.execution_count = len(ran)
                cell.outputs = [nbformat.v4.new_output("stream", text=f"run {len(ran)}\n")]

    monkeypatch.setattr(builder, "run", run)

    def build(source, **options):
        path = tmp_path / "src" / "01_one.py"
        path.write_text(source)
        return builder.build(path, **options)

    def cells():
        return nbformat.read(tmp_path / "01_one.ipynb", 4).cells

    return build, cells, ran


def test_what_did_not_change_is_left_alone(built):
    build, _, ran = built
    assert build(SOURCE)
    assert not build(SOURCE)
    assert len(ran) == 1
    assert build(SOURCE, always=True)
    assert len(ran) == 2


def test_another_text_keeps_the_outputs_and_runs_nothing(built):
    build, cells, ran = built
    build(SOURCE)
    assert build(SOURCE.replace("One", "Two") + "\n# %% [markdown]\n# More.\n")
    assert [cell.source for cell in cells()] == ["# Two", "print(6 * 7)", "More."]
    assert cells()[1].outputs[0].text == "run 1\n"
    assert len(ran) == 1


def test_another_code_runs_everything(built):
    build, cells, ran = built
    build(SOURCE)
    build(SOURCE.replace("7", "8"))
    assert cells()[1].outputs[0].text == "run 2\n"
    assert len(ran) == 2


def test_a_notebook_too_large_for_the_web_is_refused(built, monkeypatch, tmp_path):
    build, _, _ = built
    monkeypatch.setattr(builder, "LARGEST", 100)
    with pytest.raises(ValueError, match=r"01_one\.ipynb: \d+ bytes, want at most 100"):
        build(SOURCE)
    assert not (tmp_path / "01_one.ipynb").exists()


def test_views_of_widgets_and_timings_are_dropped():
    view = {builder.WIDGET_VIEW: {"model_id": "a"}, "text/plain": "<lab>"}
    cell = nbformat.v4.new_code_cell("lab", metadata={"execution": {"iopub.status.busy": "2026"}})
    cell.outputs = [nbformat.v4.new_output("execute_result", data=view)]
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"widgets": {"state": {}}})
    builder.strip(notebook)
    assert notebook.cells[0].outputs[0]["data"] == {"text/plain": "<lab>"}
    assert "execution" not in notebook.cells[0].metadata
    assert "widgets" not in notebook.metadata


def test_what_a_cell_prints_is_one_output_however_slowly_it_prints():
    slow = "import time\nfor word in 'abc':\n    print(word, flush=True)\n    time.sleep(0.3)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(slow)])
    builder.run(notebook)
    assert [output.text for output in notebook.cells[0].outputs] == ["a\nb\nc\n"]
