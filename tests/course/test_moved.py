"""What learners wrote for version 0.1.0 still runs; from_0_1_0/ was written by it."""

import json
from importlib import import_module
from pathlib import Path

import pytest

from detlab.course import exercises
from detlab.course.moved import ELSEWHERE, MOVED, is_a_file, translate
from detlab.course.stored_answers import rebuild
from detlab.course.your_parts import PLACES, collect

KEPT = Path(__file__).parent / "from_0_1_0" / "progress.json"
ANSWERS = json.loads(KEPT.read_text(encoding="utf-8"))["exercises"]

pytestmark = pytest.mark.usefixtures("no_shape_checks")


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_of_0_1_0_passes_its_check(name):
    mine = dict(rebuild(ANSWERS))[name]
    assert exercises.ALL[name].grade(mine).passed


def test_answers_of_0_1_0_go_into_the_detector(progress_path):
    progress_path.parent.mkdir()
    progress_path.write_bytes(KEPT.read_bytes())
    assert set(collect().yours) == set(PLACES) & set(ANSWERS)


def test_the_answers_do_use_the_old_layout():
    texts = "\n".join(answer["source"] for answer in ANSWERS.values())
    assert "from detlab.anchors import decode_deltas as theirs" in texts
    assert "detlab.suppression.nms(" in texts
    assert "from detlab import losses as parts" in texts


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("from detlab.train import fit", "from detlab.training.loop import fit"),
        ("from detlab import evaluate", "from detlab.metrics import average_precision as evaluate"),
        (
            "from detlab.anchors import (\n    anchor_grid,\n    fit_shapes,\n)\n",
            "from detlab.detector.anchors import anchor_grid; "
            "from detlab.training.anchor_fit import fit_shapes\n",
        ),
        (
            "from detlab.train import (  # to learn (again)\n    fit,  # a loop\n)  # end",
            "from detlab.training.loop import fit  # end",
        ),
        (
            "from detlab import losses, \\\n    reef  # two",
            "from detlab.detector import losses; from detlab import reef  # two",
        ),
        ("anchors.shape_iou(a, b)", "anchor_fit.shape_iou(a, b)"),
        ("my_anchors.shape_iou(a, b)", "my_anchors.shape_iou(a, b)"),
        ("import detlab.coco as c", "import detlab.metrics.coco as c"),
        ("import detlab; detlab.detect", "import detlab; detlab.detect"),
        ("def broken(:", "def broken(:"),
    ],
)
def test_a_text_is_translated(then, now):
    assert translate(then) == now


@pytest.mark.parametrize(
    "text",
    [
        "from detlab.course import exercises, notebook",
        "from detlab.detector.anchors import anchor_grid",
        "from detlab.draw import figures",
        "detlab.data.datasets.load_dataset('reef')",
        "from detlab.boxes import box_iou",
        "from detlab import reef",
    ],
)
def test_what_is_written_for_today_stays(text):
    assert translate(text) == text
    assert translate(translate(text)) == text


@pytest.mark.parametrize("place", {**MOVED, **ELSEWHERE}.values())
def test_the_places_are_there(place):
    folder, _, name = place.partition(".")
    assert is_a_file("", folder) or is_a_file(folder, name.partition(".")[0])


@pytest.mark.parametrize("place", ELSEWHERE.values())
def test_the_names_are_there(place):
    module, _, name = place.rpartition(".")
    assert hasattr(import_module(f"detlab.{module}"), name)
