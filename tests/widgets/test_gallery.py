"""The gallery, run whole in a real JupyterLab: every lab by keyboard alone, both themes, narrow."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page

from .jupyter import Lab

ROOT = Path(__file__).parents[2]
KINDS = (
    *("IoULab", "FormatLab", "LossLab", "LambdaLab", "ClassifierLab", "WindowLab"),
    *("AnchorLab", "MatchLab", "NMSLab", "ThresholdLab", "AuditLab", "TrainingView", "Commit"),
)
DRAWN = ("LambdaLab", "AnchorLab", "MatchLab", "NMSLab", "ThresholdLab", "AuditLab", "TrainingView")
FIND = "lab = next(out for out in Out.values() if type(out).__name__ == {kind!r})\n"
FOCUSABLE = "input, select, button, .noUi-handle, [tabindex='0']"
SLIDER = ".noUi-handle"


class Gallery:
    """The page with the gallery, and the kernel behind it."""

    def __init__(self, lab: Lab, page: Page) -> None:
        self.lab, self.page = lab, page
        self.errors: list[str] = []
        self.received: list[int] = []  # bytes of each message from the kernel
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self._note(said.type, said.text))
        page.on("websocket", lambda socket: socket.on("framereceived", self._count))

    def _note(self, kind: str, text: str) -> None:
        if kind == "error":
            self.errors.append(text)

    def _count(self, frame: str | bytes) -> None:
        self.received.append(len(frame))

    def ask(self, kind: str, code: str) -> str:
        """What the kernel prints of a lab."""
        return self.lab.ask(self.page, FIND.format(kind=kind) + f"print({code})")

    def count_cells(self) -> int:
        return self.page.evaluate("jupyterapp.shell.currentWidget.content.model.cells.length")

    def tab_to(self, kind: str, target: str, nth: int = 0) -> None:
        """From the first thing of a lab that takes the focus, by Tab to the one that is wanted."""
        # a view shown twice is used where it was shown first
        lab = self.page.locator(".detlab-lab").nth(KINDS.index(kind) + (kind == "Commit"))
        lab.scroll_into_view_if_needed()
        wanted = lab.locator(target).nth(nth).element_handle(timeout=10_000)
        lab.locator(FOCUSABLE).first.focus()
        for _ in range(40):
            if wanted.evaluate("node => node === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{kind}: Tab never reached {target} number {nth}")


@pytest.fixture(scope="module")
def gallery(jupyter: Lab, browser) -> Iterator[Gallery]:
    source = nbformat.read(ROOT / "notebooks" / "gallery.ipynb", as_version=4)
    jupyter.write("gallery.ipynb", *(c.source for c in source.cells if c.cell_type == "code"))
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    gallery = Gallery(jupyter, page)
    jupyter.open(page, "gallery.ipynb")
    page.evaluate("jupyterapp.shell.collapseLeft()")
    jupyter.run_all(page)
    failed = "[data-mime-type='application/vnd.jupyter.error']"
    page.wait_for_selector(f".dl-question, {failed}", timeout=400_000)
    assert page.locator(failed).all_inner_texts() == []
    yield gallery
    page.close()


def test_every_lab_is_shown_and_nothing_is_logged(gallery):
    page = gallery.page
    assert page.locator(".detlab-lab").count() == len(KINDS) + 1  # training: before and after
    for words in ("Error displaying widget", "model not found", "Traceback"):
        assert page.get_by_text(words).count() == 0
    assert gallery.errors == []


@pytest.mark.parametrize(
    ("kind", "target", "nth", "keys", "value"),
    [
        ("IoULab", ".dl-box", 1, "ArrowLeft", "lab.iou, lab.prediction"),
        ("FormatLab", "input", 1, "Control+a 1 0 , 2 0 , 3 0 , 4 0 Enter", "lab.box"),
        ("LossLab", ".dl-controls button", 0, "Enter", "lab.prediction"),
        ("LossLab", "select", 0, "ArrowUp", "lab.loss"),
        ("LambdaLab", SLIDER, 0, "ArrowRight", "lab.run, lab.mean_iou"),
        ("ClassifierLab", ".dl-box", 0, "Shift+ArrowLeft", "lab.box, lab.top_probability"),
        ("WindowLab", SLIDER, 1, "ArrowRight", "lab.stride, lab.num_windows"),
        ("AnchorLab", ".dl-cursor", 0, "ArrowRight", "lab.cell"),
        ("AnchorLab", SLIDER, 0, "ArrowRight", "lab.size"),
        ("MatchLab", "input[type=checkbox]", 0, "Space", "lab.force_best"),
        ("NMSLab", ".dl-stage", 0, "ArrowRight", "lab.canvas.selected"),
        ("NMSLab", ".dl-controls .dl-buttons button", 1, "Enter", "lab.step"),
        ("ThresholdLab", SLIDER, 0, "ArrowRight", "lab.score_threshold, lab.recall"),
        ("AuditLab", ".dl-stage", 0, "ArrowRight", "lab.finding"),
        ("AuditLab", ".dl-controls button", 0, "Enter", "lab.marks"),
        ("AuditLab", ".dl-controls button", 3, "ArrowRight k", "lab.finding, lab.marks"),
        ("AuditLab", "input[type=checkbox]", 0, "Space", "lab.whole"),
        ("TrainingView", ".dl-buttons button", 1, "Enter", "lab.score_threshold"),
        ("Commit", ".dl-options button", 1, "Space", "lab.picked"),
        ("Commit", ".dl-buttons button", 0, "Enter", "lab.chosen"),
    ],
)
def test_every_lab_works_by_keyboard_and_deletes_no_cell(gallery, kind, target, nth, keys, value):
    before, cells = gallery.ask(kind, value), gallery.count_cells()
    gallery.tab_to(kind, target, nth)
    for key in keys.split():
        gallery.page.keyboard.press(key)
    gallery.page.wait_for_timeout(300)
    assert gallery.ask(kind, value) != before
    if kind != "FormatLab":  # there letters are typed
        for key in ("x", "d", "d", "Backspace"):
            gallery.page.keyboard.press(key)
    assert gallery.count_cells() == cells
    assert gallery.errors == []


def test_a_step_of_the_nms_slider_is_at_most_4_kilobytes(gallery):
    gallery.tab_to("NMSLab", SLIDER, 1)
    gallery.page.wait_for_timeout(500)
    gallery.received.clear()
    gallery.page.keyboard.press("ArrowLeft")
    gallery.page.wait_for_timeout(1000)
    assert 0 < sum(gallery.received) <= 4096, gallery.received


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_words_stand_out_from_the_ground_in_both_themes(gallery, theme):
    page = gallery.page
    page.evaluate(f"jupyterapp.commands.execute('apputils:change-theme', {{theme: '{theme}'}})")
    light = str("Light" in theme).lower()
    page.wait_for_selector(f"body[data-jp-theme-light={light}]", state="attached")
    page.wait_for_timeout(500)
    brightness = """node => {
        const style = getComputedStyle(node);
        return [style.color, style.backgroundColor].map((colour) => {
            const [r, g, b] = colour.match(/[\\d.]+/g).map(Number);
            return 0.3 * r + 0.6 * g + 0.1 * b;
        });
    }"""
    for number in range(len(KINDS)):
        ink, ground = page.locator(".detlab-lab").nth(number).evaluate(brightness)
        assert abs(ink - ground) > 120
        assert (ink < ground) == ("Light" in theme)


def test_a_narrow_window_cuts_nothing_off_and_keeps_every_box(gallery):
    page = gallery.page
    page.set_viewport_size({"width": 420, "height": 900})
    page.wait_for_timeout(1500)
    drawn = """node => {
        const pen = node.getContext('2d');
        return node.width > 0 && pen.getImageData(0, 0, node.width, node.height).data.some(Boolean);
    }"""
    for number, kind in enumerate(KINDS):
        lab = page.locator(".detlab-lab").nth(number)
        assert lab.evaluate("node => node.scrollWidth <= node.clientWidth + 1"), kind
        if kind in DRAWN:
            assert lab.locator(".dl-boxes").evaluate(drawn), kind
    page.set_viewport_size({"width": 1280, "height": 900})
    assert gallery.errors == []


def test_the_built_gallery_is_that_of_its_source_and_not_too_large():
    check = "import build, nbformat, sys; path = build.SOURCES / 'gallery.py'; "
    check += "built = nbformat.read(build.NOTEBOOKS / 'gallery.ipynb', 4); "
    check += "sys.exit(not build.same_cells(build.read_source(path), built))"
    subprocess.run([sys.executable, "-c", check], cwd=ROOT / "notebooks", check=True, timeout=300)
    assert (ROOT / "notebooks" / "gallery.ipynb").stat().st_size <= 1_500_000
