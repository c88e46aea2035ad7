"""Losses of boxes against torchvision and torch."""

import pytest
import torch
import torch.nn.functional as F
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from detlab.boxes import paired_iou, xywh_to_xyxy
from detlab.detector.anchors import encode_boxes
from detlab.detector.box_losses import (
    giou_box_loss,
    giou_loss,
    iou_loss,
    l1_box_loss,
    l1_loss,
    smooth_l1_box_loss,
    smooth_l1_loss,
    squared_loss,
)

WEIGHTS = (10.0, 10.0, 5.0, 5.0)
BOX_LOSSES = [l1_box_loss, smooth_l1_box_loss, giou_box_loss]


def random_boxes(count):
    return xywh_to_xyxy(torch.rand(count, 4) * 40 + 2)


def squares(*corners):
    """Boxes of 10 pixels with their corners at (c, 0)."""
    return torch.tensor([[corner, 0.0, corner + 10.0, 10.0] for corner in corners])


@given(st.floats(-9, 9), st.floats(-9, 9), st.sampled_from([1 / 9, 0.5, 1.0]))
def test_regression_losses_are_torchs(predicted, wanted, beta):
    pair = torch.tensor([predicted]), torch.tensor([wanted])
    assert_close(l1_loss(*pair), F.l1_loss(*pair, reduction="none"))
    assert_close(squared_loss(*pair), F.mse_loss(*pair, reduction="none"))
    expected = F.smooth_l1_loss(*pair, beta=beta, reduction="none")
    assert_close(smooth_l1_loss(*pair, beta), expected)


@pytest.mark.parametrize("beta", [0.25, 1.0])
def test_smooth_l1_has_no_step_and_no_kink_at_beta(beta):
    error = torch.tensor([beta - 1e-4, beta, beta + 1e-4], dtype=torch.float64, requires_grad=True)
    loss = smooth_l1_loss(error, torch.zeros(3, dtype=torch.float64), beta)
    loss.sum().backward()
    assert loss[1] == beta / 2
    assert_close(loss.diff(), torch.full((2,), 1e-4, dtype=torch.float64), rtol=1e-2, atol=0)
    assert_close(error.grad, torch.ones(3, dtype=torch.float64), rtol=1e-2, atol=0)


def test_giou_loss_is_torchvisions(device):
    boxes, gt_boxes = random_boxes(40).to(device), random_boxes(40).to(device)
    expected = torchvision.ops.generalized_box_iou_loss(boxes, gt_boxes)
    assert_close(giou_loss(boxes, gt_boxes), expected)


@pytest.mark.parametrize("box_loss", BOX_LOSSES)
@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), WEIGHTS])
def test_every_box_loss_is_0_at_the_goal_and_pulls_elsewhere(box_loss, weights):
    anchors, gt_boxes = random_boxes(6), random_boxes(6)
    perfect = encode_boxes(gt_boxes, anchors, weights)
    assert_close(
        box_loss(perfect, anchors, gt_boxes, weights), torch.tensor(0.0), atol=1e-4, rtol=0
    )
    deltas = (perfect + 0.3).requires_grad_()
    before = box_loss(deltas, anchors, gt_boxes, weights)
    before.backward()
    assert (deltas.grad != 0).any(dim=1).all()  # each box is pulled
    closer = deltas.detach() - 1e-3 * deltas.grad / deltas.grad.norm()
    assert box_loss(closer, anchors, gt_boxes, weights) < before


@pytest.mark.parametrize("box_loss", BOX_LOSSES)
def test_box_losses_are_sums(box_loss):
    anchors, gt_boxes, deltas = random_boxes(5), random_boxes(5), torch.randn(5, 4)
    rows = [
        box_loss(deltas[i, None], anchors[i, None], gt_boxes[i, None], WEIGHTS) for i in range(5)
    ]
    assert_close(box_loss(deltas, anchors, gt_boxes, WEIGHTS), torch.stack(rows).sum())
    assert box_loss(deltas[:0], anchors[:0], gt_boxes[:0], WEIGHTS) == 0


def test_delta_losses_are_torchs_on_encoded_boxes():
    anchors, gt_boxes, deltas = random_boxes(8), random_boxes(8), torch.randn(8, 4)
    wanted = encode_boxes(gt_boxes, anchors, WEIGHTS)
    args = deltas, anchors, gt_boxes, WEIGHTS
    assert_close(l1_box_loss(*args), F.l1_loss(deltas, wanted, reduction="sum"))
    expected = F.smooth_l1_loss(deltas, wanted, beta=1 / 9, reduction="sum")
    assert_close(smooth_l1_box_loss(*args), expected)


def test_box_losses_are_made_of_your_own_parts():
    anchors, gt_boxes, deltas = random_boxes(5), random_boxes(5), torch.randn(5, 4)

    def decode(deltas, anchors, weights):
        return anchors + deltas * weights[0]

    def encode(gt_boxes, anchors, weights):
        return (gt_boxes - anchors) / weights[0]

    def shared(boxes, gt_boxes):
        return paired_iou(boxes, gt_boxes) / 2

    wanted = (1 - paired_iou(anchors + deltas * 10, gt_boxes) / 2).sum()
    found = giou_box_loss(deltas, anchors, gt_boxes, WEIGHTS, decode=decode, giou=shared)
    assert_close(found, wanted)

    def distance(deltas, wanted, beta):
        return (deltas - wanted).abs() + beta

    wanted = (deltas - (gt_boxes - anchors) / 10).abs().sum() + 20 / 9
    args = deltas, anchors, gt_boxes, WEIGHTS, encode, distance
    assert_close(smooth_l1_box_loss(*args), wanted)


def test_giou_pulls_a_box_that_does_not_touch_its_goal():
    deltas = torch.zeros(1, 4, requires_grad=True)
    giou_box_loss(deltas, squares(0.0), squares(50.0), (1.0, 1.0, 1.0, 1.0)).backward()
    assert deltas.grad[0, 0] < 0  # more dx, less loss
    assert deltas.grad.isfinite().all()


def test_iou_loss_is_torchvisions_and_silent_where_boxes_are_apart():
    boxes, gt_boxes = random_boxes(30), random_boxes(30)
    iou = torchvision.ops.box_iou(boxes, gt_boxes).diagonal()
    assert_close(iou_loss(boxes, gt_boxes), 1 - iou)
    apart, touching = squares(0.0, 0.0).requires_grad_(), squares(30.0, 5.0)
    losses = iou_loss(apart, touching)
    assert_close(losses.detach(), torch.tensor([1.0, 2 / 3]))
    losses.sum().backward()
    assert not apart.grad[0].any()
    assert apart.grad[1].any()


@pytest.mark.parametrize("box_loss", BOX_LOSSES)
@pytest.mark.parametrize("short", [0, 1, 2])
def test_a_box_loss_repeats_no_row(box_loss, short, no_shape_checks):
    parts = [torch.zeros(3, 4), random_boxes(3), random_boxes(3)]  # deltas, anchors, boxes
    parts[short] = parts[short][:1]
    with pytest.raises(ValueError, match="want equally many rows, got"):
        box_loss(*parts, (1.0, 1.0, 1.0, 1.0))
