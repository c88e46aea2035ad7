"""The benchmark's stopwatch in an empty page: it must wait for what is drawn last."""

from pathlib import Path

import pytest
from playwright.sync_api import Error, Page

STOPWATCH = Path(__file__).parents[1] / "benchmarks" / "stopwatch.js"
PAGE = """
<div id="field" style="width: 300px; height: 300px">
  <p id="text">before</p><div id="stage"></div>
</div>
<script>
const stage = document.getElementById("stage");
document.getElementById("field").addEventListener("pointermove", () => {
  requestAnimationFrame(() => (stage.dataset.painted = performance.now()));
  for (const wait of [40, 120]) setTimeout(() => (text.textContent = `after ${wait}`), wait);
});
</script>
"""
WATCHED = {
    "text": {"selector": "#text"},
    "canvas": {"selector": "#stage", "attribute": "data-painted"},
}


@pytest.fixture
def timed(page: Page) -> Page:
    page.set_content(PAGE)
    page.add_script_tag(path=STOPWATCH)
    page.mouse.move(10, 10)
    page.wait_for_timeout(300)
    return page


def test_the_last_event_and_the_last_change_count(timed):
    timed.evaluate("watched => stopwatch.start('pointermove', watched)", WATCHED)
    timed.mouse.move(20, 20)
    timed.mouse.move(30, 30)
    marks = timed.evaluate("stopwatch.settled(150)")
    assert marks["events"] == 2
    assert marks["stamp"] <= marks["dispatch"] < marks["drawn"]["canvas"]
    assert marks["drawn"]["text"] - marks["dispatch"] >= 119  # timers may be 1 ms early
    assert marks["drawn"]["canvas"] < marks["drawn"]["text"]
    assert timed.locator("#text").inner_text() == "after 120"


def test_what_is_never_drawn_is_no_measurement(timed):
    timed.evaluate("watched => stopwatch.start('pointermove', watched)", WATCHED)
    with pytest.raises(Error, match="drawn after 200 ms: , of 2"):
        timed.evaluate("stopwatch.settled(50, 200)")


def test_what_is_not_there_cannot_be_watched(timed):
    with pytest.raises(Error, match="nothing on the page is #none"):
        timed.evaluate("stopwatch.start('pointermove', {none: {selector: '#none'}})")
