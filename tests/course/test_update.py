"""New lessons in place of old ones; what a learner wrote is beside them, or where it was."""

import json

import nbformat
import pytest

from detlab.course import update
from detlab.course.exercises import ALL
from detlab.course.exercises.exercise import text_of
from detlab.course.own_cells import new_cell, record_shipped
from detlab.course.progress import remember
from detlab.course.update import AS_SHIPPED, UpdateError, carry_over, progress_lines, update_from

STUB = "def my_area(boxes):\n    ...\n\n\nexercises.box_area.check(my_area)"
ANSWER = STUB.replace("...", "return boxes.prod()")


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of two lessons and a gallery, which nobody has opened yet."""
    source = tmp_path / "course" / "src"
    source.mkdir(parents=True)
    (source / "02_where_is_it.py").write_text(f"# %% [markdown]\n# # New\n\n# %%\n{STUB}\n")
    (source / "03_can_a_network_point.py").write_text("# %%\nprint(3)\n")
    (source / "gallery.py").write_text("# %%\nprint('all')\n")
    monkeypatch.setattr("detlab.course.own_cells.SHIPPED", tmp_path / "shipped.json")
    record_shipped({"02": lesson("# Old", STUB)})
    return tmp_path / "course"


def lesson(*texts):
    return nbformat.v4.new_notebook(cells=[new_cell("code", text) for text in texts])


@pytest.fixture
def mine(tmp_path):
    """A learner's lesson 02 of an earlier version."""
    folder = tmp_path / "mine"
    folder.mkdir()
    nbformat.write(lesson("# Old", ANSWER, "x = 1"), folder / "02_where_is_it.ipynb")
    return folder


def texts(path):
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    return [cell.source for cell in notebook.cells]


def snapshot(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_own_cells_are_in_the_new_lesson_and_new_lessons_appear(course, mine):
    before = snapshot(mine)
    done = list(carry_over(mine, course))
    assert [(each.name[:2], each.own, each.kept) for each in done] == [
        ("02", 2, None),
        ("03", 0, None),
        ("ga", 0, None),
    ]
    assert texts(course / "02_where_is_it.ipynb") == ["# New", STUB, ANSWER, "x = 1"]
    assert texts(course / "03_can_a_network_point.ipynb") == ["print(3)"]
    assert snapshot(mine) == before


def test_a_second_time_changes_no_file(course, mine):
    list(carry_over(mine, course))
    before = snapshot(course)
    assert [each.own for each in carry_over(mine, course)] == [2, 0, 0]
    assert snapshot(course) == before


def test_an_earlier_course_is_updated_where_it_lies(course):
    place = course / "02_where_is_it.ipynb"
    nbformat.write(lesson("# Old", ANSWER), place)
    before = place.read_bytes()
    first, *others = carry_over(course, course)
    assert texts(place) == ["# New", STUB, ANSWER]
    assert first.kept.read_bytes() == before
    assert first.kept.parent.parent == course
    assert str(first.kept) in str(first)
    assert [each.kept for each in others] == [None, None]


def test_what_was_written_since_stays_beside_what_comes(course, mine):
    list(carry_over(mine, course))
    place = course / "02_where_is_it.ipynb"
    notebook = nbformat.read(place, 4)
    notebook.cells.append(new_cell("code", "later = 1"))
    nbformat.write(notebook, place)
    nbformat.write(lesson("earlier = 1"), mine / "02_where_is_it.ipynb")
    before = place.read_bytes()
    first, *_ = carry_over(mine, course)
    own = {ANSWER, "x = 1", "later = 1", "earlier = 1"}
    assert set(texts(place)) == {"# New", STUB} | own
    assert first.kept.read_bytes() == before


def test_what_was_run_is_no_reason_to_write_a_lesson_anew(course, mine):
    list(carry_over(mine, course))
    place = course / "03_can_a_network_point.ipynb"
    notebook = nbformat.read(place, 4)
    notebook.cells[0].outputs = [nbformat.v4.new_output("stream", text="3\n")]
    nbformat.write(notebook, place)
    before = place.read_bytes()
    list(carry_over(mine, course))
    assert place.read_bytes() == before


def test_a_renamed_lesson_is_known_by_its_number(course, mine):
    (mine / "02_where_is_it.ipynb").rename(mine / "02_where.ipynb")
    nbformat.write(lesson("copy = 1"), mine / "02_where-Copy1.ipynb")
    done = list(carry_over(mine, course))
    assert texts(course / "02_where_is_it.ipynb") == ["# New", STUB, ANSWER, "x = 1"]
    assert done[-1].name == "02_where-Copy1.ipynb"


def test_a_notebook_of_no_lesson_is_named_and_stays(course, mine):
    nbformat.write(lesson("x"), mine / "19_gone.ipynb")
    nbformat.write(lesson("x"), mine / "02_where_is_it.kept-20260101-000000.ipynb")
    *_, left = carry_over(mine, course)
    assert str(left) == f"19_gone.ipynb: not a lesson of this version; it stays in {mine}"
    assert not (course / "19_gone.ipynb").exists()


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"null", b"{}", b"\xff", b"[" * 99_999),
        b'{"cells": 3, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
        b'{"cells": [{"cell_type": "odd", "source": "x", "metadata": {}}], "metadata": {},'
        b' "nbformat": 4, "nbformat_minor": 4}',
    ],
)
def test_a_damaged_notebook_stops_no_other_and_is_kept(course, mine, content):
    (mine / "03_can_a_network_point.ipynb").write_bytes(content)
    place = course / "gallery.ipynb"
    place.write_bytes(content)
    _, damaged, gallery = carry_over(mine, course)
    assert "03_can_a_network_point.ipynb cannot be read" in damaged.trouble
    assert "cannot be read" in gallery.trouble
    assert gallery.kept.read_bytes() == content if content else gallery.kept is None
    assert (mine / "03_can_a_network_point.ipynb").read_bytes() == content
    assert texts(course / "02_where_is_it.ipynb")[2:] == [ANSWER, "x = 1"]
    assert texts(course / "03_can_a_network_point.ipynb") == ["print(3)"]


def test_an_empty_notebook_and_windows_line_ends(course, mine):
    nbformat.write(lesson(), mine / "03_can_a_network_point.ipynb")
    windows = [text.replace("\n", "\r\n") for text in ("# Old", STUB, ANSWER)]
    (mine / "02_where_is_it.ipynb").write_text(json.dumps(lesson(*windows)), newline="\r\n")
    list(carry_over(mine, course))
    assert texts(course / "02_where_is_it.ipynb") == ["# New", STUB, ANSWER]
    assert texts(course / "03_can_a_network_point.ipynb") == ["print(3)"]


def test_a_text_that_no_encoding_has_is_carried_too(course, mine):
    nbformat.write(lesson("x = 'HERE'"), mine / "02_where_is_it.ipynb")
    place = mine / "02_where_is_it.ipynb"
    place.write_text(place.read_text().replace("HERE", r"\ud800"))
    list(carry_over(mine, course))
    assert "x = '\ud800'" in texts(course / "02_where_is_it.ipynb")


def test_cells_between_two_releases_are_known_from_beside(course, mine):
    between = "print('of a version between two')"
    (mine / AS_SHIPPED).mkdir()
    nbformat.write(lesson(between), mine / AS_SHIPPED / "02_where_is_it.ipynb")
    nbformat.write(lesson(STUB, between, "x = 1"), mine / "02_where_is_it.ipynb")
    list(carry_over(mine, course))
    assert texts(course / "02_where_is_it.ipynb") == ["# New", STUB, "x = 1"]


@pytest.mark.parametrize("folder", ["empty", "missing"])
def test_a_folder_without_notebooks_is_refused(course, tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UpdateError, match=rf"{folder}: no notebook there; want .*02_where_is_it"):
        list(carry_over(tmp_path / folder, course))


def test_a_course_without_sources_is_refused(mine, tmp_path):
    with pytest.raises(UpdateError, match=r"src: no lessons there"):
        list(carry_over(mine, tmp_path / "nowhere"))


def test_a_disk_that_refuses_leaves_all_as_it_was(course, mine, monkeypatch):
    def refuse(path, content):
        raise PermissionError(13, "Permission denied", str(path))

    before = snapshot(course)
    monkeypatch.setattr(update, "write_atomically", refuse)
    with pytest.raises(UpdateError, match=r"02_where_is_it.ipynb: Permission denied. Your note"):
        list(carry_over(mine, course))
    assert snapshot(course) == before


def test_progress_is_told_and_what_no_longer_holds_is_named(progress_path):
    good = {"source": text_of(ALL["box_area"].reference)}
    remember("exercises", "box_area", good)
    remember("exercises", "box_iou", {"source": "def my_box_iou(a, b):\n    return a\n"})
    remember("exercises", "nms", {"source": "def my_nms(a):\n    return a +\n"})
    remember("exercises", "gone", good)
    remember("commits", "02-best-box", "A")
    told = "\n".join(progress_lines())
    assert f"in {progress_path}: 1 answers, 4 exercises, 0 lessons finished" in told
    assert "1 of 4 exercises still pass" in told
    assert "box_iou: `exercises.box_iou.check" in told
    assert "nms: yours no longer runs: SyntaxError" in told
    assert "gone: no longer part of the course" in told


def test_all_of_it_is_told(course, mine):
    told = list(update_from(mine, course))
    assert told[0] == "02_where_is_it.ipynb: 2 cells of your own"
    assert f"{mine} is as it was" in "\n".join(told)
    assert "is as it was" not in "\n".join(update_from(course, course))


def test_a_release_records_every_lesson(course, mine):
    update.record_release(course)
    (course / "src" / "02_where_is_it.py").write_text("# %%\nprint('newest')\n")
    nbformat.write(lesson("# Old", "# New", STUB, "x = 1"), mine / "02_where_is_it.ipynb")
    list(carry_over(mine, course))
    assert texts(course / "02_where_is_it.ipynb") == ["x = 1", "print('newest')"]
