"""A learner's cells find their places in a newer lesson, and none is lost."""

import json
from collections import Counter

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detlab.course.lessons import COURSE, NOTEBOOKS
from detlab.course.own_cells import (
    NEEDED,
    SHIPPED,
    digest,
    digests,
    ever_shipped,
    lost_imports,
    new_cell,
    not_there_yet,
    own_cells,
    record_shipped,
    translated,
    with_own_cells,
)
from detlab.course.restore import read_source

STUB = "def my_area(boxes):\n    ...\n\nexercises.area.check(my_area)"
OLD = ("# Title", "from detlab import lesson", "x = 1", STUB, "# That was all")
NEW = (
    "# Title",
    "from detlab.course import notebook",
    "# News",
    "x = 1",
    STUB,
    "# That was it all",
)


def lesson(*texts):
    """A lesson of these cells, a text being what starts with # and a space."""
    cells = [new_cell("markdown" if text.startswith("# ") else "code", text) for text in texts]
    for row, cell in enumerate(cells):
        cell.id = f"02_where-{row:03d}"
    return nbformat.v4.new_notebook(cells=cells)


def written(row, text, kind="code", into=False):
    """The old lesson after a learner has added a cell, or written into one."""
    notebook = lesson(*OLD)
    if into:
        notebook.cells[row].source = text
    else:
        notebook.cells.insert(row, new_cell(kind, text))
    return notebook


def carried(*notebooks, fresh=NEW):
    """The texts of the new lesson with what is in these notebooks."""
    own = []
    for notebook in notebooks:
        own += not_there_yet(own_cells(notebook, lesson(*fresh), digests(lesson(*OLD))), own)
    result = with_own_cells(lesson(*fresh), own)
    nbformat.validate(result)
    assert len({cell.id for cell in result.cells}) == len(result.cells)
    return [cell.source for cell in result.cells]


def after(text, *notebooks):
    """The text that a learner's cell comes after in the new lesson."""
    texts = carried(*notebooks)
    assert texts.count(text) == 1
    row = texts.index(text)
    return texts[row - 1] if row else None


ANSWER = STUB.replace("...", "return boxes.prod()")


@pytest.mark.parametrize(
    ("notebook", "text", "before"),
    [
        (written(3, ANSWER, into=True), ANSWER, STUB),
        (written(3, "y = x + 1"), "y = x + 1", "x = 1"),
        (written(3, "why?", "markdown"), "why?", "x = 1"),
        (written(3, "raw", "raw"), "raw", "x = 1"),
        (written(0, "first = 0"), "first = 0", None),
        (written(5, "last = 0"), "last = 0", "# That was it all"),  # it is like "# That was all"
        (written(2, "x = 13", into=True), "x = 13", "x = 1"),
        (written(1, "def my_area(b):\n    return b"), "def my_area(b):\n    return b", STUB),
        (written(2, "exercises.area.check(f)"), "exercises.area.check(f)", STUB),
    ],
)
def test_a_cell_belongs_after(notebook, text, before):
    assert after(text, notebook) == before


def test_a_lesson_as_it_was_shipped_has_no_own_cells():
    assert carried(lesson(*OLD)) == list(NEW)
    windows = [text.replace("\n", " \r\n") + "\r\n" for text in OLD]
    assert carried(lesson(*windows)) == list(NEW)
    assert carried(lesson()) == list(NEW)
    assert carried(lesson("", "  \n")) == list(NEW)


def test_half_a_character_has_a_digest_too():
    """JSON may hold one: what an editor that counts in UTF-16 has cut in two."""
    text = json.loads(r'"# \ud83d"')
    assert len({digest(text), digest("# "), digest("# \U0001f41f")}) == 3


def test_code_is_translated_and_words_are_not():
    notebook = written(3, "from detlab.train import fit")
    notebook.cells.insert(3, new_cell("markdown", "Try detlab.train now"))
    assert carried(notebook)[4:6] == [
        "Try detlab.train now",
        "from detlab.training.loop import fit",
    ]


def test_what_a_translation_would_spoil_stays(monkeypatch):
    monkeypatch.setattr("detlab.course.own_cells.translate", lambda text: f"{text} (")
    assert translated("x = 1") == "x = 1"
    assert translated("%time f(") == "%time f( ("


def test_twice_is_once():
    notebook = written(3, "y = x + 1")
    once = carried(notebook)
    fresh, old = lesson(*NEW), digests(lesson(*OLD))
    again = with_own_cells(fresh, own_cells(notebook, fresh, old))
    assert carried(again, notebook) == carried(notebook, notebook) == once


def test_an_edited_cell_does_not_bring_back_what_it_was():
    notebook, fresh = written(3, "y = x + 1"), lesson(*NEW)
    again = with_own_cells(fresh, own_cells(notebook, fresh, digests(lesson(*OLD))))
    again.cells[4].source = "y = x + 2"
    assert "y = x + 1" not in carried(again, notebook)
    assert after("y = x + 2", again, notebook) == "x = 1"


def test_cells_of_the_same_text_stay_as_many_and_have_ids_of_their_own():
    notebook = written(3, "print(x)")
    notebook.cells.append(new_cell("code", "print(x)"))
    assert carried(notebook).count("print(x)") == 2
    assert carried(notebook, notebook).count("print(x)") == 2


def test_carried_cells_are_tagged_and_keep_their_tags_and_pictures():
    notebook = written(3, "![](a.png)", "markdown")
    notebook.cells[3].metadata.tags = ["mine"]
    notebook.cells[3].attachments = {"a.png": {"image/png": "AAAA"}}
    ((_, cell),) = own_cells(notebook, lesson(*NEW), digests(lesson(*OLD)))
    assert cell.metadata.tags == ["mine", "yours"]
    assert cell.attachments == {"a.png": {"image/png": "AAAA"}}
    assert cell.id == f"yours-{digest('![](a.png)')}"


def test_imports_that_the_lesson_lost_come_with_the_cells_that_use_them():
    notebook, fresh = written(3, "lesson.seed()"), lesson(*NEW)
    own = own_cells(notebook, fresh, digests(lesson(*OLD)))
    ((home, cell),) = lost_imports(notebook, own, fresh)
    assert cell.source == f"{NEEDED}\nfrom detlab.course import notebook as lesson"
    assert fresh.cells[home].source == "from detlab.course import notebook"


@pytest.mark.parametrize(
    "text", ["notebook.seed()", "lesson = 2; lesson", "def lesson(): ...", "("]
)
def test_no_imports_come_where_none_are_missed(text):
    notebook, fresh = written(3, text), lesson(*NEW)
    own = own_cells(notebook, fresh, digests(lesson(*OLD)))
    assert lost_imports(notebook, own, fresh) == []


texts = st.one_of(st.sampled_from([*OLD, *NEW, "", "x = 1 "]), st.text(max_size=8))
edits = st.lists(st.tuples(st.sampled_from(["add", "write", "remove"]), st.integers(0, 9), texts))


@given(edits, st.sampled_from(["code", "markdown", "raw"]))
def test_no_text_of_a_learner_is_ever_lost(edits, kind):
    notebook = lesson(*OLD)
    for what, place, text in edits:
        row = min(place, len(notebook.cells) - (what != "add"))
        if what == "add":
            notebook.cells.insert(row, new_cell(kind, text))
        elif row >= 0 and what == "write":
            notebook.cells[row].source = text
        elif row >= 0:
            del notebook.cells[row]
    shipped = {digest(text) for text in (*OLD, *NEW, "")}
    own = Counter(cell.source for cell in notebook.cells if digest(cell.source) not in shipped)
    result = carried(notebook)
    assert Counter(result) == own + Counter(NEW)
    assert carried(notebook, notebook) == result


def test_own_cells_keep_their_order_where_nothing_moves_them():
    notebook = written(3, "a = 1")
    notebook.cells[4:4] = [new_cell("markdown", "b"), new_cell("code", "c = 1")]
    assert carried(notebook)[3:7] == ["x = 1", "a = 1", "b", "c = 1"]


def test_a_cell_that_stands_twice_in_a_lesson_is_met_twice():
    shipped = ("# One", "x = 1", "# Two", "x = 1", "# Three")
    notebook = lesson(*shipped)
    notebook.cells.insert(4, new_cell("code", "y = x"))
    notebook.cells.insert(2, new_cell("code", "z = x"))
    own = own_cells(notebook, lesson(*shipped), digests(lesson(*shipped)))
    assert [(home, cell.source) for home, cell in own] == [(1, "z = x"), (3, "y = x")]


def test_what_is_shipped_is_recorded_and_nothing_is_forgotten(tmp_path, monkeypatch):
    path = tmp_path / "shipped.json"
    monkeypatch.setattr("detlab.course.own_cells.SHIPPED", path)
    record_shipped({"02": lesson(*OLD)})
    record_shipped({"02": lesson(*NEW), "03": lesson("z")})
    known = {number: set(row.split()) for number, row in json.loads(path.read_text()).items()}
    assert known == {"02": digests(lesson(*OLD)) | digests(lesson(*NEW)), "03": {digest("z")}}


def test_the_lessons_of_0_1_0_are_recorded():
    assert {lesson.number for lesson in COURSE} <= set(json.loads(SHIPPED.read_text()))
    # The title of lesson 02 in 0.1.0, hashed by `sha256sum | cut -c -10`
    assert "34a596b4b6" in ever_shipped("02")
    assert ever_shipped("no such lesson") == set()


def test_a_release_has_recorded_its_cells():
    changes = (NOTEBOOKS.parent / "CHANGELOG.md").read_text()
    newest = next(line for line in changes.splitlines() if line.startswith("## "))
    if newest == "## Not released yet":
        pytest.skip("nothing is released yet that was not released before")
    for source in (NOTEBOOKS / "src").glob("*.py"):
        missing = digests(read_source(source)) - ever_shipped(source.stem.partition("_")[0])
        assert not missing, f"{source.name}: record its cells, see CONTRIBUTING"
