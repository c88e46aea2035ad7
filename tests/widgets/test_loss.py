"""The loss lab: values and gradients are autograd's over the package's losses."""

import pytest
import torch
from torchvision.ops import generalized_box_iou_loss

from detlab.widgets import LossLab

TRUTH = [80, 40, 180, 120]


def test_apart_the_iou_loss_is_silent_and_giou_pulls(picture):
    lab = LossLab(picture, TRUTH, [10, 10, 50, 30], loss="IoU")
    assert not lab.gradients["IoU"].any()
    assert lab.canvas.arrows[0]["from"] == lab.canvas.arrows[0]["to"]
    assert "does not say where to go" in lab.canvas.beside
    lab.loss = "GIoU"
    _, _, x2, y2 = lab.gradients["GIoU"].tolist()
    assert x2 < 0
    assert y2 < 0
    assert "does not say" not in lab.canvas.beside


def test_values_and_gradients_are_torchvisions(picture):
    lab = LossLab(picture, TRUTH, [60, 30, 150, 130])
    box = torch.tensor([[60.0, 30, 150, 130]], requires_grad=True)
    loss = generalized_box_iou_loss(box, torch.tensor([TRUTH]).float())
    loss.sum().backward()
    assert lab.losses["GIoU"] == pytest.approx(loss.item(), abs=1e-5)
    torch.testing.assert_close(lab.gradients["GIoU"], box.grad[0], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("loss", ["L1", "Smooth L1", "L2", "IoU", "GIoU"])
def test_steps_lead_down(picture, loss):
    lab = LossLab(picture, TRUTH, [60, 30, 150, 130], loss=loss)
    before = lab.losses[loss]
    lab.step_length = 0.1
    for _ in range(5):
        lab.step_button.click()
    assert lab.losses[loss] < before


def test_a_step_is_the_arrow(picture):
    lab = LossLab(picture, TRUTH, [60, 30, 150, 130], loss="L2")
    ends = [arrow["to"] for arrow in lab.canvas.arrows]
    lab.take_step()
    assert lab.prediction == pytest.approx([ends[0][0], ends[1][1], ends[2][0], ends[3][1]])


def test_steps_are_counted_from_where_the_boxes_were_placed(picture):
    lab = LossLab(picture, TRUTH, [60, 30, 150, 130], loss="GIoU")
    lab.take_step()
    lab.take_step()
    assert lab.steps == 2
    assert lab.result.endswith(", steps: 2")
    lab.canvas.edited = [lab.truth, [61.0, 30.0, 151.0, 130.0]]  # as a hand drags
    assert lab.steps == 0
    assert lab.prediction == [61, 30, 151, 130]
    lab.take_step()
    lab.preset("apart")
    assert lab.steps == 0


def test_steps_that_lead_nowhere_count_too_and_a_reset_forgets_them(picture):
    lab = LossLab(picture, TRUTH, [10, 10, 50, 30], loss="IoU")
    lab.take_step()
    assert (lab.prediction, lab.steps) == ([10, 10, 50, 30], 1)
    assert "<span>1</span>" in lab.canvas.beside
    lab.preset("reset")
    assert lab.steps == 0


def test_the_iou_of_the_boxes_is_not_mistaken_for_the_iou_loss(picture):
    words = [label for item in LossLab(picture, TRUTH, TRUTH).items for label, _ in item.lines()]
    assert "IoU" not in words
    assert {"IoU loss, 1 − IoU", "IoU of the two boxes", "Smooth L1, beta 20 px"} <= set(words)


def test_a_long_step_never_turns_the_box_inside_out(picture):
    lab = LossLab(picture, TRUTH, [10, 10, 50, 30], loss="L2")
    lab.step_length = 4.0
    for _ in range(20):
        lab.take_step()
        x1, y1, x2, y2 = lab.prediction
        assert x2 > x1
        assert y2 > y1


def test_an_unknown_loss_is_refused(picture):
    with pytest.raises(ValueError, match="loss: want one of"):
        LossLab(picture, TRUTH, TRUTH, loss="L3")
