"""Scores that are to reach the overlap: torch's cross-entropy with soft targets is the oracle."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from detlab.boxes import paired_iou
from detlab.detector.anchors import decode_deltas
from detlab.detector.box_losses import quality_loss
from detlab.detector.losses import detection_loss
from detlab.detector.matching import match_anchors
from detlab.types import Predictions, Target

ANCHORS = torch.tensor(
    [[0.0, 0.0, 8.0, 6.0], [20.0, 0.0, 30.0, 8.0], [4.0, 10.0, 12.0, 20.0], [30.0, 9.0, 42.0, 15.0]]
)


def said(activation, seed=0, num_classes=4):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2, len(ANCHORS), num_classes, generator=generator)
    deltas = torch.randn(2, len(ANCHORS), 4, generator=generator)
    return Predictions(logits.requires_grad_(), deltas.requires_grad_(), ANCHORS, activation)


def wanted():
    labels = torch.tensor([[1, 0, 3, 0], [0, 2, 0, 1]])
    gt_boxes = (ANCHORS + torch.tensor([0.0, 1.0, 2.0, 3.0])).expand(2, -1, -1)
    return labels, gt_boxes * (labels > 0)[..., None]


def soft_targets(predictions, labels, gt_boxes, quality):
    """What each positive's scores are to reach, and the rows of the positives."""
    positive = labels > 0
    anchors = ANCHORS.expand_as(gt_boxes)[positive]
    boxes = decode_deltas(predictions.deltas[positive], anchors, predictions.delta_weights)
    reach = 1 - quality * (1 - paired_iou(boxes, gt_boxes[positive]).detach())
    targets = torch.zeros(len(reach), predictions.logits.shape[2])
    targets[torch.arange(len(reach)), labels[positive]] = reach
    if predictions.activation == "softmax":
        targets[:, 0] = 1 - reach
    return targets, positive


@given(st.floats(0, 1), st.integers(0, 50))
def test_softmax_with_it_is_a_cross_entropy_of_soft_targets(quality, seed):
    predictions, (labels, gt_boxes) = said("softmax", seed), wanted()
    targets, positive = soft_targets(predictions, labels, gt_boxes, quality)
    logits = predictions.logits[positive]
    found = F.cross_entropy(logits, labels[positive], reduction="sum")
    found = found + quality_loss(predictions, labels, gt_boxes, quality)
    assert_close(found, F.cross_entropy(logits, targets, reduction="sum"), rtol=1e-4, atol=1e-4)


@given(st.floats(0, 1), st.integers(0, 50))
def test_sigmoid_with_it_is_a_binary_cross_entropy_of_soft_targets(quality, seed):
    predictions, (labels, gt_boxes) = said("sigmoid", seed), wanted()
    targets, positive = soft_targets(predictions, labels, gt_boxes, quality)
    logits = predictions.logits[positive]
    hard = F.one_hot(labels[positive], logits.shape[1]).float()
    found = F.binary_cross_entropy_with_logits(logits, hard, reduction="sum")
    found = found + quality_loss(predictions, labels, gt_boxes, quality)
    expected = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
    assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_only_the_logits_of_positives_get_a_gradient(activation):
    predictions, (labels, gt_boxes) = said(activation), wanted()
    quality_loss(predictions, labels, gt_boxes, 0.5).backward()
    assert predictions.deltas.grad is None
    assert (predictions.logits.grad[labels == 0] == 0).all()
    assert (predictions.logits.grad[labels > 0] != 0).any()


def test_boxes_that_fit_cost_nothing():
    labels, gt_boxes = torch.tensor([[2, 0, 0, 1]]), ANCHORS[None]
    fits = Predictions(torch.randn(1, 4, 3), torch.zeros(1, 4, 4), ANCHORS, "softmax")
    assert_close(quality_loss(fits, labels, gt_boxes, 1.0), torch.tensor(0.0))


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_a_batch_without_objects_costs_nothing(activation):
    predictions = said(activation)
    nothing = torch.zeros(2, len(ANCHORS), dtype=torch.int64)
    assert quality_loss(predictions, nothing, torch.zeros(2, len(ANCHORS), 4), 1.0) == 0


def test_the_detection_loss_takes_it_in():
    """The class loss grows by its mean over the positives, the box loss stays."""
    predictions = said("softmax")
    targets = [
        Target(boxes=ANCHORS[[0, 2]] + 1, labels=torch.tensor([1, 3])),
        Target(boxes=ANCHORS[[1]] + 1, labels=torch.tensor([2])),
    ]
    without = detection_loss(predictions, targets, box_weight=2.0)
    with_it = detection_loss(predictions, targets, box_weight=2.0, quality=0.5)
    labels = torch.zeros(2, len(ANCHORS), dtype=torch.int64)
    gt_boxes = torch.zeros(2, len(ANCHORS), 4)
    for row, target in enumerate(targets):
        matches = match_anchors(ANCHORS, target["boxes"])
        labels[row, matches >= 0] = target["labels"][matches[matches >= 0]]
        gt_boxes[row, matches >= 0] = target["boxes"][matches[matches >= 0]]
    extra = quality_loss(predictions, labels, gt_boxes, 0.5) / (labels > 0).sum()
    assert_close(with_it["class"], without["class"] + extra)
    assert_close(with_it["box"], without["box"])
    assert_close(with_it["total"], with_it["class"] + 2 * with_it["box"])


@pytest.mark.parametrize("quality", [-0.1, 1.5, math.nan])
def test_what_is_no_fraction_is_refused(quality):
    with pytest.raises(ValueError, match="quality lies between 0 and 1"):
        quality_loss(said("softmax"), *wanted(), quality)
