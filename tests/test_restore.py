"""A lesson made anew, the learner's own kept."""

import nbformat
import pytest

from detlab.course import find_lesson
from detlab.restore import read_source, restore_lesson

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


def test_where_there_was_no_notebook_there_is_one(notebooks):
    assert restore_lesson(find_lesson(0), notebooks) is None
    nbformat.validate(nbformat.read(notebooks / "00_start_here.ipynb", 4))


def test_without_a_source_nothing_is_touched(notebooks):
    place = notebooks / "01_what_is_in_the_picture.ipynb"
    place.write_text("my work")
    with pytest.raises(FileNotFoundError):
        restore_lesson(find_lesson(1), notebooks)
    assert place.read_text() == "my work"
