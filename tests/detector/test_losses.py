"""Losses against torchvision and torch, and who takes part in them."""

import math

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch.testing import assert_close

from detlab.detector.anchors import encode_boxes
from detlab.detector.box_losses import (
    giou_box_loss,
    l1_box_loss,
    smooth_l1_box_loss,
    smooth_l1_loss,
)
from detlab.detector.losses import (
    detection_loss,
    focal_loss,
    hard_negative_cross_entropy,
    match_batch,
    matched_loss,
    positives_to_divide_by,
)
from detlab.detector.matching import IGNORED, NEGATIVE, match_anchors
from detlab.types import Predictions

WEIGHTS = (10.0, 10.0, 5.0, 5.0)
NO_OBJECTS = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
BOX_LOSSES = [l1_box_loss, smooth_l1_box_loss, giou_box_loss]


def squares(*corners):
    """Boxes of 10 pixels with their corners at (c, 0)."""
    return torch.tensor([[corner, 0.0, corner + 10.0, 10.0] for corner in corners])


def target(*corners, label=1):
    labels = torch.full((len(corners),), label, dtype=torch.int64)
    return {"boxes": squares(*corners), "labels": labels}


def predictions(images=2, anchors=None, activation="sigmoid", weights=(1.0, 1.0, 1.0, 1.0)):
    """What a detector of 3 classes says of squares at 0, 20 and 40; its gradients are kept."""
    anchors = squares(0.0, 20.0, 40.0) if anchors is None else anchors
    logits = torch.randn(images, len(anchors), 3, requires_grad=True)
    deltas = (torch.randn(images, len(anchors), 4) * 0.1).requires_grad_()
    return Predictions(logits, deltas, anchors, activation, weights)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.5, 0.0), (0.9, 1.5)])
def test_focal_loss_is_torchvisions(alpha, gamma, device):
    logits = torch.randn(50, 4, device=device) * 4
    labels = torch.randint(0, 4, (50,), device=device)
    wanted = F.one_hot(labels, 4).float()
    wanted[:, 0] = 0
    expected = torchvision.ops.sigmoid_focal_loss(logits, wanted, alpha, gamma, reduction="sum")
    assert_close(focal_loss(logits, labels, alpha, gamma), expected)


def test_unasked_focal_loss_has_torchvisions_alpha_and_gamma():
    logits, labels = torch.randn(50, 4), torch.randint(0, 4, (50,))
    wanted = F.one_hot(labels, 4).float()
    wanted[:, 0] = 0
    expected = torchvision.ops.sigmoid_focal_loss(logits, wanted, reduction="sum")
    assert_close(focal_loss(logits, labels), expected)


def test_focal_loss_plays_easy_answers_down():
    easy, hard = torch.tensor([[-9.0, 5.0]]), torch.tensor([[-9.0, -5.0]])
    label = torch.tensor([1])
    plain = focal_loss(easy, label, gamma=0.0) / focal_loss(hard, label, gamma=0.0)
    focal = focal_loss(easy, label) / focal_loss(hard, label)
    assert focal < plain / 1000


def test_the_background_column_learns_to_be_silent_whatever_the_label():
    logits = torch.zeros(3, 2, requires_grad=True)
    focal_loss(logits, torch.tensor([0, 1, 0])).backward()
    assert (logits.grad[:, 0] > 0).all()  # less logit, less loss
    assert logits.grad[1, 1] < 0


def test_focal_loss_survives_extreme_logits():
    logits = torch.tensor([[0.0, 1e4], [0.0, -1e4]], requires_grad=True)
    loss = focal_loss(logits, torch.tensor([0, 1]))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("class_loss", [focal_loss, hard_negative_cross_entropy])
def test_class_losses_of_nothing_are_0_and_have_a_gradient(class_loss):
    logits = torch.zeros(0, 3, requires_grad=True)
    loss = class_loss(logits, torch.zeros(0, dtype=torch.int64))
    loss.backward()
    assert loss == 0


def test_only_the_hardest_negatives_count():
    background = torch.tensor([9.0, 3.0, -1.0, -2.0, 5.0, 0.0])  # the less, the harder
    logits = torch.stack([background, torch.zeros(6)], dim=1).requires_grad_()
    labels = torch.tensor([1, 0, 0, 0, 0, 0])
    hard_negative_cross_entropy(logits, labels, 3.0, fewest_negatives=1).backward()
    taught = logits.grad.abs().sum(dim=1) > 0
    assert taught.tolist() == [True, False, True, True, False, True]


def test_with_negatives_to_spare_it_is_torchs_cross_entropy():
    logits, labels = torch.randn(9, 4), torch.tensor([0, 1, 2, 3, 0, 1, 0, 2, 3])
    expected = F.cross_entropy(logits, labels, reduction="sum")
    assert_close(hard_negative_cross_entropy(logits, labels, negatives_per_positive=9.0), expected)


@pytest.mark.parametrize(
    ("ratio", "fewest", "negatives"),
    [(0.0, 1, 1), (1.0, 1, 2), (1.5, 1, 3), (99.0, 1, 6), (0.0, 4, 4), (0.0, 8, 6)],
)  # of 6 negatives, beside 2 positives
def test_the_budget_of_negatives_goes_by_the_positives(ratio, fewest, negatives):
    labels = torch.tensor([1, 1, 0, 0, 0, 0, 0, 0])
    loss = hard_negative_cross_entropy(torch.zeros(8, 2), labels, ratio, fewest)
    assert_close(loss, torch.tensor((2 + negatives) * math.log(2)))


@pytest.mark.parametrize(("positives", "negatives"), [(0, 8), (2, 8), (3, 9)])  # of 20 anchors
def test_unasked_a_positive_brings_three_negatives_and_eight_are_the_fewest(positives, negatives):
    labels = (torch.arange(20) < positives).long()
    loss = hard_negative_cross_entropy(torch.zeros(20, 3), labels)
    assert_close(loss, torch.tensor((positives + negatives) * math.log(3)))


def test_match_batch_says_label_box_and_whether_it_counts():
    targets = [target(1.0, 44.0, label=2), NO_OBJECTS]  # the second: IoU 3/7, in between
    anchors = squares(0.0, 20.0, 40.0)

    def unforced(anchors, gt_boxes):
        return match_anchors(anchors, gt_boxes, force_best=False)

    labels, gt_boxes, counted = match_batch(anchors, targets, unforced)
    assert labels.tolist() == [[2, 0, 0], [0, 0, 0]]
    assert counted.tolist() == [[True, True, False], [True, True, True]]
    assert_close(gt_boxes[0], torch.cat([squares(1.0), torch.zeros(2, 4)]))
    assert (gt_boxes[1] == 0).all()


def test_the_loss_is_a_mean_over_positive_anchors_and_a_weighted_sum():
    said = predictions()
    targets = [target(1.0, 21.0), target(40.0, label=2)]
    labels = torch.tensor([1, 1, 0, 0, 0, 2])
    losses = detection_loss(said, targets, box_weight=0.5)
    assert_close(losses["class"], focal_loss(said.logits.reshape(6, 3), labels) / 3)
    deltas = said.deltas.reshape(6, 4)[labels > 0]
    box = giou_box_loss(deltas, squares(0.0, 20.0, 40.0), squares(1.0, 21.0, 40.0), (1.0,) * 4)
    assert_close(losses["box"], box / 3)
    assert_close(losses["total"], losses["class"] + 0.5 * losses["box"])


def test_after_matching_the_loss_needs_no_targets():
    said, targets = predictions(), [target(1.0, 21.0), target(44.0, label=2)]
    matched = match_batch(said.anchors, targets, match_anchors)
    found = matched_loss(said, *matched, focal_loss, giou_box_loss, 0.5)
    assert_close(found, detection_loss(said, targets, box_weight=0.5))


def test_ignored_anchors_teach_nothing_and_negatives_no_box():
    said = predictions(images=1)

    def match(anchors, gt_boxes):
        return torch.tensor([0, NEGATIVE, IGNORED])

    losses = detection_loss(said, [target(1.0)], match=match)
    losses["total"].backward()
    assert (said.logits.grad.abs().sum(dim=2) > 0).tolist() == [[True, True, False]]
    assert (said.deltas.grad.abs().sum(dim=2) > 0).tolist() == [[True, False, False]]


def test_the_order_of_the_images_does_not_matter():
    said, targets = predictions(images=3), [target(1.0, 22.0), NO_OBJECTS, target(39.0, label=2)]
    order = [2, 0, 1]
    shuffled = said._replace(logits=said.logits[order], deltas=said.deltas[order])
    expected = detection_loss(said, targets)
    assert_close(detection_loss(shuffled, [targets[row] for row in order]), expected)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_a_batch_teaches_what_its_images_teach_apart(activation):
    anchors = squares(*[20.0 * row for row in range(20)])
    said = predictions(3, anchors, activation)
    targets = [target(1.0, 22.0), target(40.0), NO_OBJECTS]
    together = detection_loss(said, targets)
    apart = []
    for row, positives in enumerate((2, 1, 1)):  # without objects, the sum is divided by 1
        one = said._replace(logits=said.logits[row, None], deltas=said.deltas[row, None])
        losses = detection_loss(one, [targets[row]])
        apart.append(torch.stack([losses["class"], losses["box"]]) * positives)
    assert_close(torch.stack([together["class"], together["box"]]), sum(apart) / 3)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_a_batch_without_objects_is_finite_and_silences_the_detector(activation):
    said = predictions(activation=activation)
    losses = detection_loss(said, [NO_OBJECTS, NO_OBJECTS])
    losses["total"].backward()
    assert losses["box"] == 0
    assert 0 < losses["class"] < 100
    assert said.logits.grad.abs().sum() > 0
    assert said.deltas.grad is None or (said.deltas.grad == 0).all()


def test_the_activation_chooses_the_class_loss():
    said, targets = predictions(activation="softmax"), [target(1.0), target(21.0)]
    plain = detection_loss(said, targets)
    expected = hard_negative_cross_entropy(
        said.logits.reshape(6, 3), torch.tensor([1, 0, 0, 0, 1, 0])
    )
    assert_close(plain["class"], expected / 2)
    chosen = detection_loss(said, targets, class_loss=focal_loss)
    assert not torch.isclose(plain["class"], chosen["class"])


def test_your_own_parts_really_are_used():
    said, targets = predictions(), [target(1.0), target(21.0)]
    seen = []

    def my_match(anchors, gt_boxes):
        seen.append("match")
        return torch.zeros(len(anchors), dtype=torch.int64)  # all anchors learn the first object

    def my_class_loss(logits, labels):
        seen.append(labels.tolist())
        return logits.sum() * 0 + 30.0  # for each of two images

    def my_box_loss(deltas, anchors, gt_boxes, weights):
        seen.append(tuple(weights))
        assert deltas.shape == anchors.shape == gt_boxes.shape
        return deltas.sum() * 0 + 12.0

    losses = detection_loss(said, targets, 2.0, my_match, my_class_loss, my_box_loss)
    assert seen == ["match", "match", [1] * 3, [1] * 3, (1.0, 1.0, 1.0, 1.0)]
    numbers = {name: loss.item() for name, loss in losses.items()}
    assert numbers == {"class": 10.0, "box": 2.0, "total": 14.0}  # over 6 positives


def test_the_box_loss_hears_of_delta_weights():
    targets = [target(1.0), target(21.0)]
    said = predictions(weights=WEIGHTS)
    perfect = encode_boxes(squares(1.0, 21.0, 40.0), said.anchors, WEIGHTS).expand(2, 3, 4)
    for box_loss in BOX_LOSSES:
        loss = detection_loss(said._replace(deltas=perfect), targets, box_loss=box_loss)["box"]
        assert_close(loss, torch.tensor(0.0), atol=1e-4, rtol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_losses_are_counted_in_float32_even_where_the_network_is_not(dtype):
    said = predictions()
    halved = said._replace(logits=said.logits.to(dtype), deltas=said.deltas.to(dtype))
    losses = detection_loss(halved, [target(1.0), target(21.0)])
    assert all(loss.dtype == torch.float32 for loss in losses.values())
    exact = detection_loss(said, [target(1.0), target(21.0)])
    assert_close(losses, exact, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_boxes_of_a_network_in_half_precision_are_decoded_in_float32(dtype):
    """As they come, exp() of them would be rounded to 8 bits."""
    said, targets = predictions(), [target(1.0), target(21.0)]
    halved = said._replace(deltas=said.deltas.to(dtype))
    exact = said._replace(deltas=halved.deltas.float())
    for box_loss in BOX_LOSSES:
        found, wanted = (
            detection_loss(each, targets, box_loss=box_loss)["box"] for each in (halved, exact)
        )
        assert_close(found, wanted, atol=0, rtol=0)


def test_losses_stay_on_the_device(device):
    said = predictions()
    moved = [{key: part.to(device) for key, part in target(1.0).items()}] * 2
    there = said._replace(
        logits=said.logits.to(device),
        deltas=said.deltas.to(device),
        anchors=said.anchors.to(device),
    )
    losses = detection_loss(there, moved)
    assert losses["total"].device.type == device.type
    here = detection_loss(said, [target(1.0)] * 2)
    assert_close(losses["total"].cpu(), here["total"], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_images_and_targets_come_in_equal_numbers(count):
    with pytest.raises(ValueError, match=f"2 images but {count} targets"):
        detection_loss(predictions(), [NO_OBJECTS] * count)


@pytest.mark.parametrize(("count", "expected"), [(0, 1.0), (1, 1.0), (3, 3.0)])
def test_alone_a_process_divides_by_its_own_positives_and_never_by_0(count, expected):
    positive = torch.arange(6).reshape(2, 3) < count
    assert positives_to_divide_by(positive) == expected


@pytest.mark.parametrize("gamma", [0.01, 0.3, 0.5, 0.99, 1.0, 2.0])
@pytest.mark.parametrize("size", [1.0, 17.0, 40.0, 90.0, 104.0, 120.0, 1e4])
def test_focal_loss_has_finite_gradients_whatever_gamma(gamma, size):
    logits = torch.tensor([[0.0, size, -size], [0.0, -size, size]], requires_grad=True)
    for label in (0, 1, 2):
        loss = focal_loss(logits, torch.tensor([label, 0]), gamma=gamma)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert loss.isfinite()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("gamma", [0.3, 0.5])
def test_focal_loss_below_gamma_1_is_torchvisions_where_that_is_finite(gamma):
    logits = (torch.randn(50, 4) * 4).requires_grad_()
    labels = torch.randint(0, 4, (50,))
    wanted = F.one_hot(labels, 4).float()
    wanted[:, 0] = 0
    theirs = torchvision.ops.sigmoid_focal_loss(logits, wanted, 0.25, gamma, reduction="sum")
    ours = focal_loss(logits, labels, 0.25, gamma)
    assert_close(ours, theirs)
    assert_close(torch.autograd.grad(ours, logits), torch.autograd.grad(theirs, logits))


@pytest.mark.parametrize("class_loss", [focal_loss, hard_negative_cross_entropy])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_class_loss_needs_a_label_for_each_row(class_loss, count, no_shape_checks):
    labels = torch.ones(count, dtype=torch.int64)
    with pytest.raises(ValueError, match=rf"logits \[3, 2\], labels \[{count}\]"):
        class_loss(torch.zeros(3, 2), labels)


def test_settings_of_a_loss_that_mean_nothing_are_refused():
    logits, labels = torch.zeros(1, 2), torch.tensor([1])
    for gamma in (-0.5, math.nan, math.inf):
        with pytest.raises(ValueError, match=f"want a finite gamma >= 0, got {gamma}"):
            focal_loss(logits, labels, gamma=gamma)
    with pytest.raises(ValueError, match="alpha lies between 0 and 1, got -1"):
        focal_loss(logits, labels, alpha=-1.0)
    with pytest.raises(ValueError, match="want a finite fewest_negatives >= 0, got -1"):
        hard_negative_cross_entropy(logits, labels, fewest_negatives=-1)
    with pytest.raises(ValueError, match="want a finite negatives_per_positive >= 0, got -3"):
        hard_negative_cross_entropy(logits, labels, negatives_per_positive=-3.0)
    for beta in (0.0, -1.0):
        with pytest.raises(ValueError, match=f"want beta > 0, got {beta}"):
            smooth_l1_loss(torch.ones(1), torch.zeros(1), beta)


def test_an_object_without_a_label_does_not_become_background():
    boxes = squares(1.0, 21.0)
    with pytest.raises(ValueError, match=r"boxes \[2, 4\], labels \[1\]"):
        match_batch(
            squares(0.0, 20.0), [{"boxes": boxes, "labels": torch.tensor([1])}], match_anchors
        )


def test_answers_are_given_for_the_anchors_that_spoke(no_shape_checks):
    said, targets = predictions(), [target(1.0, 21.0), target(44.0, label=2)]
    matched = match_batch(said.anchors, targets, match_anchors)
    for row in range(3):
        for change in (lambda part: part[:1], lambda part: torch.cat([part, part], dim=1)):
            wrong = [change(part) if row == place else part for place, part in enumerate(matched)]
            with pytest.raises(ValueError, match=r"want images and anchors \[2, 3\] everywhere"):
                matched_loss(said, *wrong, focal_loss, giou_box_loss, 0.5)
    with pytest.raises(ValueError, match=r"deltas \[2, 2\]"):
        matched_loss(
            said._replace(deltas=said.deltas[:, :2]), *matched, focal_loss, giou_box_loss, 1.0
        )
