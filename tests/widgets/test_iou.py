"""The IoU lab: its numbers are the package's, its task ticks, its picture needs no kernel."""

import pytest
import torch
from torchvision.ops import box_iou, generalized_box_iou

from detlab.widgets import IoULab

PAIR = [40, 30, 140, 130], [90, 30, 190, 130]


def browser_sends(widget, **state):
    """The message that a browser sends when a hand has set traits."""
    widget._handle_msg({"content": {"data": {"method": "update", "state": state}}, "buffers": []})


def test_numbers_are_those_of_the_package(picture):
    lab = IoULab(picture, *PAIR)
    browser_sends(lab.canvas, edited=[[40, 30, 140, 130], [60, 10, 120, 140]])
    a, b = torch.tensor([lab.truth]), torch.tensor([lab.prediction])
    assert lab.prediction == [60, 10, 120, 140]
    assert lab.iou == pytest.approx(box_iou(a, b).item())
    assert lab.giou == pytest.approx(generalized_box_iou(a, b).item())
    assert f"{lab.iou:.3f}" in lab.canvas.beside
    assert repr(lab) == f"<IoU lab: IoU = {lab.iou:.3f}>"


def test_a_lesson_moves_the_box_on_the_screen(picture):
    lab = IoULab(picture, *PAIR)
    lab.prediction = lab.truth
    assert lab.iou == 1
    assert lab.canvas.edited == [lab.truth, lab.truth]


def test_the_task_ticks_when_reached_and_reset_takes_it_back(picture):
    lab = IoULab(picture, *PAIR, task="Reach an IoU of exactly 0.50")
    assert not lab.reached
    lab.prediction = [73, 30, 173, 130]
    assert lab.iou == pytest.approx(0.5038, abs=1e-4)
    assert lab.reached
    lab.preset("reset")
    assert (lab.prediction, lab.reached) == (PAIR[1], False)


@pytest.mark.parametrize(
    ("name", "iou"), [("apart", 0.0), ("touching", 0.0), ("half", 1 / 3), ("inside", 0.184)]
)
def test_presets(picture, name, iou):
    lab = IoULab(picture, *PAIR)
    lab.preset(name)
    assert lab.iou == pytest.approx(iou, abs=0.01)
    assert (lab.giou < 0) == (name == "apart")


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([1, 2, 3], "truth: want four numbers"),
        ([50, 10, 40, 20], "truth: want finite x1 y1 x2 y2"),
        ([50, 10, 400, 20], "truth: want a box inside 200 x 150"),
    ],
)
def test_a_wrong_box_is_refused(picture, box, message):
    with pytest.raises(ValueError, match=message):
        IoULab(picture, box, PAIR[1])


def test_a_task_needs_a_number_or_a_goal(picture):
    with pytest.raises(ValueError, match="want one number in it, or a goal"):
        IoULab(picture, *PAIR, task="Make them agree")
    assert not IoULab(picture, *PAIR, task="Agree", goal=lambda lab: lab.iou > 0.9).reached


def test_a_reader_without_a_kernel_sees_picture_and_result(picture):
    lab = IoULab(picture, *PAIR)
    bundle = lab._repr_mimebundle_()
    assert bundle["image/png"][:4] == b"\x89PNG"
    assert bundle["text/plain"] == "<IoU lab: IoU = 0.333>"
    assert len(bundle["image/png"]) < 150_000
    lab.prediction = lab.truth
    assert lab._repr_mimebundle_()["image/png"] != bundle["image/png"]
