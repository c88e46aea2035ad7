"""From logits to one label, against torch, against algebra, and at its edges."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from detlab.classify import accuracy, cross_entropy, softmax

NOTHING = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)


def random_rows(count=50, classes=7, device=None):
    """Logits as an untrained and as a very sure network gives them, and labels."""
    scale = torch.logspace(-2, 2, count, device=device)[:, None]
    logits = scale * torch.randn(count, classes, device=device)
    return logits, torch.randint(classes, (count,), device=device)


def test_softmax_and_cross_entropy_are_torchs(device):
    logits, labels = random_rows(device=device)
    assert_close(softmax(logits), torch.softmax(logits, dim=1))
    assert_close(cross_entropy(logits, labels), F.cross_entropy(logits, labels, reduction="none"))


def test_their_gradients_are_torchs():
    logits, labels = random_rows()
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    cross_entropy(ours, labels).sum().backward()
    F.cross_entropy(theirs, labels, reduction="sum").backward()
    assert_close(ours.grad, theirs.grad)
    ours.grad = theirs.grad = None
    (softmax(ours) * logits).sum().backward()
    (torch.softmax(theirs, dim=1) * logits).sum().backward()
    assert_close(ours.grad, theirs.grad)


def test_cross_entropy_is_minus_the_log_of_the_right_probability():
    logits, labels = random_rows(20, 5)
    right = softmax(logits.double())[torch.arange(20), labels]
    assert_close(cross_entropy(logits.double(), labels), -right.log())


def test_probabilities_do_not_change_when_all_logits_of_a_row_grow():
    logits, _ = random_rows()
    assert_close(softmax(logits + 5.0), softmax(logits), atol=1e-4, rtol=1e-3)
    assert_close(softmax(logits).sum(dim=1), torch.ones(len(logits)))


@pytest.mark.parametrize("size", [1000.0, -1000.0])
def test_huge_logits_stay_numbers(size):
    logits = torch.tensor([[size, 0.0], [size, size]])
    assert_close(softmax(logits)[1], torch.tensor([0.5, 0.5]))
    assert_close(softmax(logits)[0], torch.tensor([float(size > 0), float(size < 0)]))
    wrong = torch.tensor([int(size > 0), 0])
    assert_close(cross_entropy(logits, wrong), torch.tensor([1000.0, math.log(2)]))


def test_accuracy_counts_the_largest_logit_of_each_row():
    logits, labels = random_rows()
    by_hand = sum(row.argmax() == label for row, label in zip(logits, labels, strict=True)) / 50
    assert_close(accuracy(logits, labels), by_hand)
    assert accuracy(logits, logits.argmax(dim=1)) == 1
    assert accuracy(logits, logits.argmin(dim=1)) == 0
    assert accuracy(torch.zeros(1, 3), torch.tensor([0])) == 1, "of equal logits the first counts"


def test_no_rows():
    assert softmax(NOTHING[0]).shape == (0, 4)
    assert cross_entropy(*NOTHING).shape == (0,)
    assert accuracy(*NOTHING).isnan()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_device_dtype_and_arguments_stay(device, dtype):
    logits, labels = random_rows(device=device)
    logits = logits.to(dtype)
    before = logits.clone()
    for answer in (softmax(logits), cross_entropy(logits, labels)):
        assert answer.dtype == dtype
        assert answer.device.type == device.type
    assert accuracy(logits, labels).device.type == device.type
    assert_close(logits, before)
