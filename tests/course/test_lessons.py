"""The course in its order."""

import re

import pytest

from detlab.course.lessons import COURSE, ROOT, find_lesson


def test_lessons_are_numbered_in_their_order():
    assert [lesson.number for lesson in COURSE] == [f"{row:02}" for row in range(len(COURSE))]


@pytest.mark.parametrize("name", ["2", "02", 2, "02_where_is_it", "02_where_is_it.ipynb"])
def test_a_lesson_is_found_by_number_or_name(name):
    assert find_lesson(name).notebook.name == "02_where_is_it.ipynb"


@pytest.mark.parametrize("name", ["99", "", "nms", -1])
def test_an_unknown_lesson_is_refused(name):
    with pytest.raises(ValueError, match="there are 00 to"):
        find_lesson(name)


def test_the_readme_shows_every_lesson_with_its_picture_and_minutes():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| !\[[^\]]{10,}\]\((\S+)\) \| \[(\d\d) · ([^\]]+)\]\((\S+)\) \| ([^|]+) \| (\d+) \|$",
        readme,
        flags=re.MULTILINE,
    )
    assert rows == [
        (
            f"notebooks/figures/{lesson.number}.png",
            lesson.number,
            lesson.question,
            f"notebooks/{lesson.notebook.name}",
            lesson.builds,
            str(lesson.minutes),
        )
        for lesson in COURSE
    ]
