"""Labs in a real JupyterLab: hands reach Python, keys stay in the lab, nothing is logged."""

import pytest
from playwright.sync_api import Page

IOU = """
import torch
from detlab.widgets import IoULab
image = torch.full((3, 150, 200), 90, dtype=torch.uint8)
lab = IoULab(image, [40, 30, 140, 130], [90, 30, 190, 130])
lab
"""
OTHERS = """
from detlab.widgets import Commit
question = Commit("Which?", {"a": "No.", "b": "Yes."}, "b")
question
"""


@pytest.fixture
def notebook(jupyter, page: Page):
    jupyter.write("labs.ipynb", IOU, OTHERS, "'the last cell'")
    jupyter.open(page, "labs.ipynb")
    jupyter.run_all(page)
    page.wait_for_selector(".dl-box", timeout=240_000)
    page.wait_for_selector(".dl-question button", timeout=240_000)
    return page


def count_cells(page: Page) -> int:
    return page.evaluate("jupyterapp.shell.currentWidget.content.model.cells.length")


def wait_for_result(page: Page, words: str, timeout: int = 30_000) -> None:
    page.wait_for_function(
        "words => document.querySelector('.dl-result')?.textContent.includes(words)",
        arg=words,
        timeout=timeout,
    )


def test_a_drag_changes_the_text_and_python_sees_it(jupyter, notebook):
    page = notebook
    page.locator(".dl-stage").first.scroll_into_view_if_needed()
    frame = page.locator(".dl-stage").first.bounding_box()
    scale = frame["width"] / 200
    x, y = frame["x"] + 165 * scale, frame["y"] + 80 * scale
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 30 * scale, y)
    page.mouse.move(x - 50 * scale, y)
    page.mouse.up()
    wait_for_result(page, "IoU = 1.000")
    assert jupyter.ask(page, "print(lab.prediction, lab.iou)") == "[40.0, 30.0, 140.0, 130.0] 1.0"
    jupyter.ask(page, "lab.preset('half')")
    wait_for_result(page, "IoU = 0.333")
    assert page.get_by_text("Error displaying widget").count() == 0


def test_no_key_in_a_lab_reaches_the_notebook(notebook):
    page = notebook
    before = count_cells(page)
    kinds = [".dl-box", ".detlab-lab .dl-buttons button", ".dl-question button"]
    for selector in kinds:
        page.locator(selector).first.focus()
        for key in ("x", "d", "d", "a", "b", "z", "m", "Backspace"):
            page.keyboard.press(key)
    assert count_cells(page) == before
    assert page.locator(".dl-box").count() == 2


def test_the_whole_lab_works_by_keyboard(jupyter, notebook):
    page = notebook
    page.locator(".dl-box").nth(1).focus()
    for _ in range(5):
        page.keyboard.press("Control+ArrowLeft")
    wait_for_result(page, "IoU = 1.000")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "apart"
    page.keyboard.press("Enter")
    wait_for_result(page, "IoU = 0.000")
    page.locator(".dl-question .dl-options button").nth(1).focus()
    page.keyboard.press("Space")
    page.locator(".dl-question .dl-buttons button").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".dl-right-answer")
    assert jupyter.ask(page, "print(question)") == "<Commit: b, right>"
    assert count_cells(page) == 3


def test_both_themes_and_a_narrow_window(notebook):
    page = notebook
    colours = set()
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        page.evaluate(f"jupyterapp.commands.execute('apputils:change-theme', {{theme: '{theme}'}})")
        light = str("Light" in theme).lower()
        page.wait_for_selector(f"body[data-jp-theme-light={light}]", state="attached")
        page.wait_for_timeout(500)
        style = "node => getComputedStyle(node).color + getComputedStyle(node).backgroundColor"
        colours.add(page.locator(".detlab-lab").first.evaluate(style))
    assert len(colours) == 2
    page.evaluate("jupyterapp.shell.collapseLeft()")
    page.set_viewport_size({"width": 420, "height": 900})
    page.wait_for_timeout(500)
    for selector in (".dl-stage", ".dl-formula", ".dl-buttons"):
        part = page.locator(selector).first
        lab = page.locator(".detlab-lab").first
        assert part.bounding_box()["width"] <= lab.bounding_box()["width"]
        assert part.evaluate("node => node.scrollWidth <= node.clientWidth + 1")


TRAINING = """
import time
import torch
from detlab.widgets import TrainingView

def steps():
    for number in range(1, 1001):
        time.sleep(0.1)
        parts = {"loss_class": 1 / number, "loss_box": 1.0, "loss_total": 1 + 1 / number}
        yield {"step": number, "seconds": number / 10, "progress": number / 1000, **parts}

nothing = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
found = {**nothing, "scores": torch.zeros(0)}
image = torch.full((3, 60, 80), 90, dtype=torch.uint8)
view = TrainingView([image], [nothing], lambda images: [found])
view
"""


def test_the_stop_button_is_heard_while_the_cell_trains(jupyter, page: Page):
    jupyter.write(
        "training.ipynb", TRAINING, "seen = [step['step'] async for step in view.listen(steps())]"
    )
    jupyter.open(page, "training.ipynb")
    jupyter.start_all(page)
    wait_for_result(page, "step", 240_000)  # the second cell trains now, for 100 seconds
    page.get_by_role("button", name="more boxes").click()
    page.get_by_role("button", name="stop training").click()
    page.wait_for_function(
        "document.querySelector('.dl-right .dl-panel').textContent.includes('stopped')"
    )
    told = jupyter.ask(page, "print(len(seen), view.history[-1]['step'], view.score_threshold)")
    trained, last, threshold = told.split()
    assert trained == last
    assert int(trained) < 400
    assert threshold == "0.2"
