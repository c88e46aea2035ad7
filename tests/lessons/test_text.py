"""What every lesson promises its reader: the arc, short cells, plain words, links that lead on."""

import re

import pytest

from detlab.course import exercises
from detlab.course.lessons import COURSE, NOTEBOOKS

from .reading import CHECK, LESSONS, TAUGHT, codes, headings, named, prose, source, texts

lessons = pytest.mark.parametrize("lesson", LESSONS, ids=named(LESSONS))
taught = pytest.mark.parametrize("lesson", TAUGHT, ids=named(TAUGHT))
EMPTY_WORDS = r"\b(simply|just|obviously|of course|trivial(ly)?)\b"


def test_every_lesson_of_the_course_is_written():
    assert list(COURSE) == LESSONS


@taught
def test_the_arc_is_whole(lesson):
    found = headings(source(lesson))
    for part in ("Commit", "Play", "Build", "Break", "Use", "Recap"):
        assert part in found, f"no heading begins with {part}: {found}"


@taught
def test_a_lesson_asks_plays_and_builds_enough(lesson):
    code = "\n".join(codes(source(lesson)))
    assert 2 <= len(re.findall(r"\bCommit\(", code)) <= 4
    assert len(re.findall(r"\b(\w+Lab|TrainingView)\(", code)) >= 1
    assert len(re.findall(r"task=", code)) >= 1
    assert 2 <= len(CHECK.findall(code)) <= 4


@taught
def test_a_lesson_checks_its_own_exercises_all_of_them(lesson):
    checked = [name for name, _ in CHECK.findall("\n".join(codes(source(lesson))))]
    assert sorted(checked) == sorted(exercises.in_lesson(lesson.number))


@taught
def test_a_stub_and_its_check_share_a_cell_and_its_text_says_what_it_takes(lesson):
    before = ""
    for cell in source(lesson):
        for name, mine in CHECK.findall(cell.source):
            assert mine == f"my_{name}"
            assert f"def {mine}(" in cell.source
            assert cell.source.endswith(f"exercises.{name}.check({mine})")
            assert re.search(
                r"\*Difficulty [1-5] of 5 · importance [1-5] of 5 · up to \d+ minutes\.\*",
                before,
            ), before
        before = before + cell.source if cell.cell_type == "markdown" else ""


@lessons
def test_the_first_cell_says_question_gain_needs_and_minutes(lesson):
    first = source(lesson)[0].source
    title = lesson.question if lesson.number == "00" else f"{lesson.number} · {lesson.question}"
    assert first.startswith(f"# {title}\n")
    opening = "\n".join(texts(source(lesson))[:2])
    assert "**After this lesson you can**" in opening
    assert re.search(r"\*\*Runs\*\* in \d+ s on two processor cores;", opening)
    assert f"**takes** about {lesson.minutes} minutes." in opening
    if lesson.number != "00":
        assert "**Needs** lesson" in opening


@lessons
def test_cells_are_short_and_code_has_text_before_it(lesson):
    cells = source(lesson)
    for before, cell in zip([None, *cells], cells, strict=False):
        if cell.cell_type == "markdown":
            words = len(re.findall(r"[^\s]*\w[^\s]*", prose(cell.source)))
            assert words <= 90, f"{words} words: {cell.source[:60]}"
        else:
            assert len(cell.source.splitlines()) <= 25, cell.source
            assert before.cell_type == "markdown" or "\n#" in f"\n{cell.source}", cell.source


@lessons
def test_words_are_plain(lesson):
    for text in texts(source(lesson)):
        assert not re.search(EMPTY_WORDS, prose(text), flags=re.IGNORECASE), text
        assert "$" not in prose(text), "formulas are text or code: they must read offline"


@lessons
def test_links_lead_somewhere_and_pictures_have_words(lesson):
    for text in texts(source(lesson)):
        for sign, words, target in re.findall(r"(!?)\[([^\]]*)\]\(([^)]+)\)", text):
            assert not sign or len(words) > 15, f"say what is seen in {target}"
            if not target.startswith(("http", "#")):
                assert (NOTEBOOKS / target.partition("#")[0]).exists(), target


@lessons
def test_one_picture_stands_for_the_lesson(lesson):
    tagged = [cell for cell in source(lesson) if "thumbnail" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert (NOTEBOOKS / "figures" / f"{lesson.number}.png").exists()


@lessons
def test_commits_are_remembered_under_the_lessons_number(lesson):
    code = "\n".join(codes(source(lesson)))
    keys = re.findall(r"key=\"([^\"]+)\"", code)
    assert len(keys) == len(set(keys)) == len(re.findall(r"\bCommit\(", code))
    assert all(key.startswith(f"{lesson.number}-") for key in keys)


@taught
def test_the_end_tells_takeaways_a_myth_and_what_comes_next(lesson):
    cells = source(lesson)
    assert codes(cells)[-1] == f'notebook.finish("{lesson.number}")'
    recap = "\n".join(texts(cells)).partition("\n## Recap")[2]
    assert 3 <= len(re.findall(r"^(?:[-*]|\d\.) ", recap, flags=re.MULTILINE)) <= 8
    assert "**Myth**" in recap
    assert "**For experts**" in recap
