"""A handout reads without a kernel and without a network."""

import sys

import pytest

from detlab.course.lessons import NOTEBOOKS, find_lesson

from .reading import LESSONS, named

sys.path.insert(0, str(NOTEBOOKS))
from handout import handout


@pytest.mark.parametrize("lesson", LESSONS, ids=named(LESSONS))
def test_nothing_is_fetched_when_a_handout_is_opened(lesson, page, tmp_path):
    file = tmp_path / f"{lesson.stem}.html"
    file.write_text(handout(lesson.notebook), encoding="utf-8")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert page.locator("h1").first.inner_text().startswith(lesson.number) or lesson.number == "00"
    pictures = page.locator("img").evaluate_all("found => found.map(one => one.naturalWidth)")
    assert pictures
    assert min(pictures) > 0
    words = page.locator("img").evaluate_all("found => found.map(one => one.alt)")
    assert all(words)
    assert not any("No description" in each for each in words)


def test_the_answer_to_a_question_is_not_printed():
    text = handout(find_lesson(0).notebook)
    assert "How many of the animals will the detector find" in text
    assert "00-how-many" not in text


def test_links_between_lessons_lead_to_handouts():
    text = handout(find_lesson(0).notebook)
    assert 'href="01_what_is_in_the_picture.html"' in text
    assert ".ipynb" not in text


def test_what_would_be_fetched_is_refused(tmp_path):
    notebook = find_lesson(0).notebook.read_text(encoding="utf-8")
    bad = tmp_path / "00_bad.ipynb"
    bad.write_text(notebook.replace("## A picture", "![far](https://example.org/a.png)"))
    with pytest.raises(ValueError, match=r"would be fetched.*example\.org"):
        handout(bad)
