"""A lesson made anew, the learner's own kept."""

import subprocess

import nbformat
import pytest

from detlab.course import restore
from detlab.course.lessons import find_lesson
from detlab.course.restore import copy_lessons, read_source, restore_lesson

SOURCE = '# %% [markdown]\n# # Start\n\n# %% tags=["thumbnail"]\nprint(1)\n'


@pytest.fixture
def notebooks(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "00_start_here.py").write_text(SOURCE)
    return tmp_path


def test_cells_have_numbers_for_ids_and_keep_their_tags(notebooks):
    text, code = read_source(notebooks / "src" / "00_start_here.py").cells
    assert (text.source, text.id) == ("# Start", "00_start_here-000")
    assert (code.source, code.metadata.tags) == ("print(1)", ["thumbnail"])


def test_the_answer_of_a_question_is_folded_away(tmp_path):
    path = tmp_path / "02_x.py"
    path.write_text('# %%\nCommit("?", {"a": "", "b": ""}, answer="a")\n\n# %%\nprint(1)\n')
    question, other = read_source(path).cells
    assert question.metadata["jupyter"] == {"source_hidden": True}
    assert "jupyter" not in other.metadata


def test_the_learners_notebook_is_kept_beside_the_fresh_one(notebooks):
    place = notebooks / "00_start_here.ipynb"
    place.write_text("my work")
    kept = restore_lesson(find_lesson(0), notebooks)
    assert kept.read_text() == "my work"
    assert [cell.source for cell in nbformat.read(place, 4).cells] == ["# Start", "print(1)"]


def test_nothing_is_kept_of_a_notebook_that_is_as_it_was_shipped(notebooks):
    restore_lesson(find_lesson(0), notebooks)
    assert restore_lesson(find_lesson(0), notebooks) is None
    assert not list(notebooks.glob("*.kept*"))


def test_two_within_a_second_are_both_kept(notebooks):
    place = notebooks / "00_start_here.ipynb"
    for words in ("my work", "and more", "and all"):
        place.write_text(words)
        restore_lesson(find_lesson(0), notebooks)
    kept = {path.read_text() for path in notebooks.glob("00_start_here.kept-*.ipynb")}
    assert kept == {"my work", "and more", "and all"}


def test_where_there_was_no_notebook_there_is_one(notebooks):
    assert restore_lesson(find_lesson(0), notebooks) is None
    nbformat.validate(nbformat.read(notebooks / "00_start_here.ipynb", 4))


def test_without_a_source_nothing_is_touched(notebooks):
    place = notebooks / "01_what_is_in_the_picture.ipynb"
    place.write_text("my work")
    with pytest.raises(FileNotFoundError):
        restore_lesson(find_lesson(1), notebooks)
    assert place.read_text() == "my work"


def commit_notebook(notebooks, source):
    """A repository whose only commit holds lesson 00 with an output."""
    place = notebooks / "00_start_here.ipynb"
    output = nbformat.v4.new_output("stream", name="stdout", text="1\n")
    cells = read_source(notebooks / "src" / "00_start_here.py").cells
    cells[1].update(source=source, outputs=[output])
    nbformat.write(nbformat.v4.new_notebook(cells=cells), place)
    me = ["-c", "user.name=me", "-c", "user.email=me@example.org", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", place.name], [*me, "commit", "-qm", "shipped"]):
        subprocess.run(["git", "-C", str(notebooks), *words], check=True, timeout=60)
    return place


def test_outputs_that_were_shipped_come_back_with_the_lesson(notebooks):
    place = commit_notebook(notebooks, "print(1)")
    text = place.read_text()
    place.write_text("my work")
    restore_lesson(find_lesson(0), notebooks)
    assert place.read_text() == text


def test_outputs_of_another_text_do_not(notebooks):
    place = commit_notebook(notebooks, "print(2)")
    restore_lesson(find_lesson(0), notebooks)
    again = nbformat.read(place, 4).cells[1]
    assert (again.source, again.outputs) == ("print(1)", [])


@pytest.fixture
def installed(notebooks, monkeypatch):
    """A package that ships lesson 00 as a notebook, and a learner who works elsewhere."""
    page = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    (notebooks / "00_start_here.ipynb").write_text(page)
    monkeypatch.setattr(restore, "SHIPPED", notebooks)
    monkeypatch.setattr(restore, "NOTEBOOKS", notebooks / "mine")
    return notebooks / "mine" / "00_start_here.ipynb", page


def test_installed_lessons_are_copied_and_what_is_there_stays(installed):
    place, page = installed
    copy_lessons()
    assert place.read_text() == page
    place.write_text("my work")
    copy_lessons()
    assert place.read_text() == "my work"
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_an_installed_lesson_comes_back_with_its_outputs(installed):
    place, page = installed
    assert restore_lesson(find_lesson(0), place.parent) is None
    assert place.read_text() == page


def test_a_clone_copies_nothing(notebooks, monkeypatch):
    commit_notebook(notebooks, "print(1)")
    before = {path: path.read_bytes() for path in notebooks.glob("*.ipynb")}
    monkeypatch.setattr(restore, "SHIPPED", notebooks)
    monkeypatch.setattr(restore, "NOTEBOOKS", notebooks)
    copy_lessons()
    assert {path: path.read_bytes() for path in notebooks.glob("*.ipynb")} == before


def test_without_git_the_lesson_comes_back_without_outputs(notebooks, monkeypatch):
    place = commit_notebook(notebooks, "print(1)")
    monkeypatch.setenv("PATH", "")
    restore_lesson(find_lesson(0), notebooks)
    assert nbformat.read(place, 4).cells[1].outputs == []
