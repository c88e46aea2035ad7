"""Each lesson opened in a real JupyterLab and run whole, as a learner does."""

import shutil

import pytest

from detlab.course.lessons import NOTEBOOKS
from tests.widgets.jupyter import open_jupyter

from .reading import NOTEBOOK_SOURCES

pytestmark = pytest.mark.slow
VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def jupyter(browser, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DETLAB_SEED", "2")
        patch.setenv("DETLAB_PROGRESS", str(tmp_path_factory.mktemp("progress") / "progress.json"))
        with open_jupyter() as lab:
            yield lab


@pytest.mark.parametrize("path", NOTEBOOK_SOURCES, ids=lambda path: path.stem)
def test_a_notebook_runs_whole_and_shows_every_widget(path, jupyter, page):
    name = f"{path.stem}.ipynb"
    shutil.copy(NOTEBOOKS / name, jupyter.folder / name)
    jupyter.open(page, name)
    page.set_default_timeout(900_000)
    jupyter.run_all(page)
    page.wait_for_function(
        """() => jupyterapp.shell.currentWidget.content.widgets
            .filter(cell => cell.model.type === 'code')
            .every(cell => cell.model.executionState !== 'running' && cell.model.executionCount)"""
    )
    outputs = page.evaluate(
        """() => jupyterapp.shell.currentWidget.content.widgets.map(
            cell => cell.model.type === 'code' ? cell.model.outputs.toJSON() : [])"""
    )
    errors = [found["evalue"] for cell in outputs for found in cell if "evalue" in found]
    assert not errors
    for row, cell in enumerate(outputs):
        if any(VIEW in output.get("data", {}) for output in cell):
            assert_widget_is_there(page, row)


def assert_widget_is_there(page, row):
    """Scroll to a cell: JupyterLab renders what is in sight."""
    page.evaluate("row => jupyterapp.shell.currentWidget.content.scrollToItem(row)", row)
    page.wait_for_function(
        """row => jupyterapp.shell.currentWidget.content.widgets[row]
            .node.querySelector('.detlab-lab')""",
        arg=row,
        timeout=30_000,
    )
    for words in ("Error displaying widget", "model not found", "Error creating widget"):
        assert page.get_by_text(words).count() == 0
