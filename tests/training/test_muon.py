"""Muon: torch's own for matrices, one gradient at a time, is the oracle."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from detlab.training.muon import Muon, matrix_shape, orthogonalise

SHAPES = [(6, 20), (20, 6), (8, 8), (6, 20)]


def drawn(*shapes):
    return [nn.Parameter(torch.randn(*shape)) for shape in shapes]


def give_gradients(*lists):
    """The same random gradients for the weights of each list."""
    for same in zip(*lists, strict=True):
        gradient = torch.randn(matrix_shape(same[0]))
        for weight in same:
            weight.grad = gradient.view_as(weight).clone()


def test_two_directions_of_different_length_become_alike():
    flat = torch.tensor([[[6.0, 0.0, 0.0], [0.0, 4.0, 0.0]]])
    found = torch.linalg.svdvals(orthogonalise(flat, num_steps=1)[0])
    x = torch.tensor([6.0, 4.0]) / 52**0.5  # as long as one together, then a step by hand
    assert_close(found, (3.4445 * x - 4.7750 * x**3 + 2.0315 * x**5).sort(descending=True).values)


@given(st.integers(1, 3), st.integers(2, 12), st.integers(2, 40), st.integers(0, 99))
def test_directions_stay_and_their_lengths_come_near_one(number, rows, columns, seed):
    torch.manual_seed(seed)
    directions = torch.linalg.svd(torch.randn(number, rows, columns), full_matrices=False)
    lengths = torch.linspace(1.0, 0.2, min(rows, columns))
    found = orthogonalise(directions.U @ torch.diag(lengths) @ directions.Vh, num_steps=5)
    along = directions.U.mT @ found @ directions.Vh.mT
    diagonal = torch.diagonal(along, dim1=1, dim2=2)
    assert_close(along, torch.diag_embed(diagonal), atol=1e-4, rtol=0)
    assert diagonal.min() > 0.6
    assert diagonal.max() < 1.25


@pytest.mark.parametrize("shape", [(3, 5, 9), (2, 9, 5)])
def test_a_gradient_of_zeros_moves_nothing(shape):
    assert_close(orthogonalise(torch.zeros(shape)), torch.zeros(shape))


def test_steps_are_those_of_torch():
    oracle = pytest.importorskip("torch.optim._muon", reason="this torch has no Muon")
    theirs, ours = drawn(*SHAPES), []
    ours = copy.deepcopy(theirs)
    settings = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.2}
    one = oracle.Muon(theirs, **settings, ns_steps=4)
    other = Muon(ours, **settings, num_steps=4)
    for _ in range(3):
        give_gradients(theirs, ours)
        one.step()
        other.step()
    for expected, found in zip(theirs, ours, strict=True):
        assert_close(found, expected, atol=0.01, rtol=0.01)  # theirs computes with bfloat16


def test_a_kernel_is_read_as_a_matrix_of_a_row_for_each_output():
    matrices, kernels = drawn((6, 20)), drawn((6, 5, 2, 2))
    kernels[0].data.copy_(matrices[0].detach().view(6, 5, 2, 2))
    kernels[0].data = kernels[0].data.contiguous(memory_format=torch.channels_last)
    for _ in range(2):
        give_gradients(matrices, kernels)
        for weights in (matrices, kernels):
            Muon(weights).step()
    assert_close(kernels[0].flatten(1), matrices[0])


def test_weights_of_one_shape_do_not_mix():
    together, alone = drawn((6, 20), (6, 20)), []
    alone = copy.deepcopy(together)
    give_gradients(together, alone)
    Muon(together).step()
    for weight in alone:
        Muon([weight]).step()
    assert_close(together, alone)


def test_what_has_no_gradient_stays():
    weights = drawn((6, 20), (6, 20))
    before = weights[0].detach().clone()
    weights[1].grad = torch.ones(6, 20)
    Muon(weights).step()
    assert_close(weights[0].detach(), before, rtol=0, atol=0)


def test_a_group_has_settings_of_its_own():
    slow, fast = drawn((6, 20), (6, 20))
    fast.data.copy_(slow.detach())
    before = slow.detach().clone()
    give_gradients([slow], [fast])
    Muon([{"params": [slow], "lr": 0.01}, {"params": [fast]}], lr=0.04, weight_decay=0.0).step()
    assert_close((fast - before).detach(), 4 * (slow - before).detach())
