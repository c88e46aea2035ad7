"""The head: the answers of all anchors in their order, quiet before it has learned."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close
from torchvision.models.detection.retinanet import RetinaNetClassificationHead

from detlab.detector.config import DetectorConfig
from detlab.detector.head import PRIOR, Branch, Head
from detlab.detector.model import anchors_on_maps, build_detector

SMALL = DetectorConfig(num_classes=3, channels=16, activation="sigmoid")


def small_detector(**settings):
    return build_detector(replace(SMALL, **settings)).eval()


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 3), (2, 4)])
def test_answers_come_in_the_order_of_the_anchors(row, column):
    """A spike in one cell of a 3 × 5 map moves the answers of that cell's anchors, no others."""
    head = Head(channels=4, depth=0, num_shapes=6, num_classes=3)
    for branch in (head.classes, head.boxes):  # look at the cell itself, not at its neighbours
        branch.last.weight.data[:, :, [0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2]] = 0.0
    maps = [torch.zeros(1, 4, 3, 5)]
    quiet = head(maps)
    maps[0][0, :, row, column] = 9.0
    anchors = anchors_on_maps(torch.zeros(1), maps, ((16.0, 24.0),), (0.5, 1.0, 2.0))
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    expected = (centres == torch.tensor([column * 8.0 + 4, row * 8.0 + 4])).all(dim=1)
    assert expected.sum() == 6
    for before, after in zip(quiet, head(maps), strict=True):
        assert ((after != before).any(dim=2)[0] == expected).all()


def test_each_shape_of_a_cell_has_its_own_answers():
    branch = Branch(channels=2, depth=0, num_shapes=3, num_answers=4)
    with torch.no_grad():
        branch.last.weight.zero_()
        branch.last.bias.copy_(torch.arange(12.0))  # shape by shape, answer by answer
    answers = branch(torch.zeros(1, 2, 1, 2))
    assert_close(answers[0], torch.arange(12.0).reshape(3, 4).repeat(2, 1))


def test_levels_follow_each_other_as_the_anchors_do():
    head = Head(channels=2, depth=0, num_shapes=1, num_classes=2)
    maps = [torch.zeros(1, 2, 2, 2), torch.ones(1, 2, 1, 1)]
    logits, deltas = head(maps)
    alone = head(maps[1:])
    assert_close(logits[:, 4:], alone[0])
    assert_close(deltas[:, 4:], alone[1])


def test_an_untrained_heads_last_weights_are_small_and_its_biases_zero():
    """RetinaNet's 0.01: larger ones would begin with large deltas and classes chosen by chance."""
    head = Head(channels=64, depth=1, num_shapes=6, num_classes=3)
    for last in (head.classes.last, head.boxes.last):
        assert_close(last.weight.mean(), torch.tensor(0.0), atol=5e-4, rtol=0)
        assert_close(last.weight.std(), torch.tensor(0.01), atol=0, rtol=0.05)
        assert not last.bias.any()


def test_an_untrained_sigmoid_detector_believes_in_almost_nothing():
    scores = small_detector()(torch.rand(1, 3, 64, 64)).logits.sigmoid()
    assert_close(scores[:, :, 1:], torch.full_like(scores[:, :, 1:], PRIOR), atol=0.005, rtol=0)
    assert (scores[:, :, 0] < 1e-6).all()  # background is no object
    logits = small_detector(activation="softmax")(torch.rand(1, 3, 64, 64)).logits
    assert_close(logits.softmax(dim=2), torch.full_like(logits, 1 / 3), atol=0.1, rtol=0)


def test_an_untrained_sigmoid_detector_believes_as_little_as_torchvisions_retinanet():
    theirs = RetinaNetClassificationHead(16, num_anchors=6, num_classes=3).cls_logits.bias
    ours = small_detector().head.classes.last.bias
    objects = torch.arange(len(ours)) % 3 > 0  # theirs know no background
    assert_close(ours[objects], theirs[objects])


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_an_answer_looks_as_far_as_the_last_kernel_reaches(kernel):
    head = build_detector(replace(SMALL, head_depth=0, last_kernel=kernel)).head
    maps = [torch.zeros(1, 16, 7, 9)]
    quiet = head(maps)
    maps[0][0, :, 3, 4] = 9.0
    for before, after in zip(quiet, head(maps), strict=True):
        moved = (before != after).any(dim=2).view(7, 9, -1).any(dim=2)
        rows, columns = moved.nonzero().unbind(dim=1)
        reach = kernel // 2
        assert {*rows.tolist()} == {*range(3 - reach, 4 + reach)}
        assert {*columns.tolist()} == {*range(4 - reach, 5 + reach)}
