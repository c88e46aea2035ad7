"""What notebooks need: source, the detector, the end of a lesson."""

import pytest
from matplotlib.figure import Figure

from detlab.boxes import box_iou
from detlab.course import exercises, notebook
from detlab.course.lessons import COURSE
from detlab.course.progress import read_progress


def test_source_is_shown_as_it_stands():
    text = notebook.show_source(box_iou).data
    assert text.startswith("```python\ndef box_iou(")
    assert text.endswith("```")


def test_the_shipped_detector_knows_the_reef():
    detector, info = notebook.shipped_detector()
    assert not detector.training
    assert info.class_names[0] == "background"


def test_a_missing_detector_says_how_to_get_one(monkeypatch, tmp_path):
    monkeypatch.setattr(notebook, "CHECKPOINT", tmp_path / "course.safetensors")
    with pytest.raises(FileNotFoundError, match="detlab train"):
        notebook.shipped_detector()


def test_a_lesson_is_done_when_its_exercises_are():
    open_ = exercises.in_lesson("02")
    assert all(name in notebook.finish("02").data for name in open_)
    assert read_progress()["lessons"] == {}
    for exercise in open_.values():
        exercise.check(exercise.reference)
    assert "Next: [03 · Can a network point?](03_can_a_network_point.ipynb)" in (
        notebook.finish("02").data
    )
    assert list(read_progress()["lessons"]) == ["02"]


def test_the_last_lesson_leads_nowhere():
    assert "last one" in notebook.what_next(COURSE[-1])


def test_a_figure_is_shown_with_its_words():
    shown = notebook.Show(Figure(), "two boxes that touch")
    data, metadata = shown._repr_mimebundle_()
    assert data["text/plain"] == repr(shown) == "[figure: two boxes that touch]"
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"]["alt"] == "two boxes that touch"


def test_the_seed_is_0_unless_a_test_sets_another(monkeypatch):
    assert notebook.seed() == 0
    monkeypatch.setenv("DETLAB_SEED", "2")
    assert notebook.seed() == 2


def test_the_map_says_where_you_are():
    assert "Next: 00 · Start here" in notebook.course_map().data
    notebook.remember("lessons", "00", "2026-01-31")
    notebook.remember("commits", "01-first", "a")
    shown = notebook.course_map().data
    assert "done on 2026-01-31" in shown
    assert "| 0 of " in shown
    assert "Next: 01 · What is in the picture?" in shown
    assert all(each.notebook.name in shown for each in COURSE)
