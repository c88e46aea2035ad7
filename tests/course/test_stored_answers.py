"""Functions from their texts, called as their checks call them, with and without gradients."""

import math

import pytest
import torch

from detlab.course import exercises
from detlab.course.stored_answers import (
    by_position,
    define,
    lets_gradients_through,
    library,
    positions,
    rebuild,
)
from detlab.detector.matching import match_anchors

pytestmark = pytest.mark.usefixtures("no_shape_checks")


def test_a_text_becomes_a_function_that_calls_what_a_notebook_has():
    text = "def my_iou(a, b):\n    return torch.minimum(box_iou(a, b), boxes.box_iou(b, a).T)\n"
    iou = define(text, "<test>", library())
    box = torch.tensor([[0.0, 0.0, 4.0, 2.0]])
    assert iou(box, box) == 1


def test_functions_share_their_names():
    texts = {"box_iou": "def one():\n    return two()\n", "nms": "def two():\n    return 2\n"}
    found = dict(rebuild({name: {"source": text} for name, text in texts.items()}))
    assert found["box_iou"]() == 2


def test_what_cannot_be_rebuilt_has_a_reason_in_its_place():
    found = dict(rebuild({"nms": {"source": "1 +"}, "box_iou": {"source": "x = 1"}, "area": None}))
    assert found["nms"].startswith("yours no longer runs: SyntaxError")
    assert found["box_iou"] == found["area"]
    assert found["area"].endswith("ValueError: its text was not kept; run its check again")


def test_arguments_by_position_are_counted():
    assert positions(lambda a, /, b, c=1, *, d=2: None) == 3
    assert positions(lambda *a: None) == math.inf


def test_a_learners_function_is_called_by_position_with_our_defaults():
    def mine(anchors, gt_boxes, at_least, below):
        return at_least, below

    called = by_position(mine, match_anchors)
    assert called(None, None, negative_iou=0.3, positive_iou=0.6) == (0.6, 0.3)
    assert called(None, None) == (0.5, 0.4)
    with pytest.raises(ValueError, match="your match_anchors takes no force_best"):
        called(None, None, force_best=False)


def test_a_gradient_must_pass_where_the_packages_does():
    losses = exercises.ALL["matched_loss"]

    def cut(*arguments):
        return {name: part.detach() for name, part in losses.reference(*arguments).items()}

    assert lets_gradients_through(losses.reference, losses)
    assert not lets_gradients_through(cut, losses)
    assert lets_gradients_through(match_anchors, exercises.ALL["match_anchors"])  # it has none
