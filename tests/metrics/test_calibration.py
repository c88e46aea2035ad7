import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from detlab.metrics.calibration import calibration


def naive_error(scores, correct, bins):
    """Guo et al., equation 3, one bin after the other."""
    total = 0.0
    for row in range(bins):
        low, high = row / bins, (row + 1) / bins
        inside = [
            (score, hit)
            for score, hit in zip(scores, correct, strict=True)
            if low <= score < high or (row == bins - 1 and score == 1)
        ]
        if inside:
            promised = sum(score for score, _ in inside) / len(inside)
            kept = sum(hit for _, hit in inside) / len(inside)
            total += len(inside) / len(scores) * abs(promised - kept)
    return total


@given(
    pairs=st.lists(st.tuples(st.integers(0, 64), st.booleans()), min_size=1, max_size=40),
    bins=st.sampled_from([1, 2, 8, 16]),
)
def test_the_error_is_what_the_formula_says(pairs, bins):
    scores, correct = [whole / 64 for whole, _ in pairs], [hit for _, hit in pairs]
    found = calibration(torch.tensor(scores), torch.tensor(correct), bins)
    assert found.error == pytest.approx(naive_error(scores, correct, bins), abs=1e-12)
    assert found.counts.sum() == len(pairs)


@given(seed=st.integers(0, 1000))
def test_one_bin_compares_the_means(seed):
    generator = torch.Generator().manual_seed(seed)
    scores, correct = torch.rand(9, generator=generator), torch.rand(9, generator=generator) < 0.5
    gap = abs(scores.double().mean() - correct.double().mean())
    assert calibration(scores, correct, 1).error == pytest.approx(float(gap), abs=1e-12)


@pytest.mark.parametrize(("score", "row"), [(0.0, 0), (0.24, 0), (0.25, 1), (0.75, 3), (1.0, 3)])
def test_a_bin_begins_at_its_lower_edge_and_the_last_holds_one(score, row):
    counts = calibration(torch.tensor([score]), torch.tensor([True]), 4).counts
    assert counts.tolist() == [int(place == row) for place in range(4)]


def test_a_score_a_little_below_an_edge_is_in_the_bin_below():
    """In float32, 0.7 is below 7/10, and 10 times that would be rounded up to 7."""
    scores = torch.cat([torch.arange(10) / 10, torch.rand(100)])
    bins = [int(Fraction(score) * 10) for score in scores.tolist()]  # exact
    assert bins[7] == 6
    expected = torch.bincount(torch.tensor(bins), minlength=10)
    assert_close(calibration(scores, scores > 0.5).counts, expected)


def test_scores_that_keep_what_they_promise_have_no_error():
    correct = torch.tensor([True, False, True, True])
    assert calibration(torch.tensor([0.5, 0.5, 1.0, 1.0]), correct, 10).error == 0


def test_sure_and_wrong_is_the_worst():
    assert calibration(torch.ones(3), torch.zeros(3, dtype=torch.bool), 10).error == 1


def test_empty_bins_are_nan_and_nothing_at_all_has_no_error():
    found = calibration(torch.tensor([0.9]), torch.tensor([True]), 2)
    assert math.isnan(found.mean_score[0])
    assert math.isnan(found.fraction_correct[0])
    assert math.isnan(calibration(torch.zeros(0), torch.zeros(0, dtype=torch.bool)).error)


@pytest.mark.parametrize("score", [-0.1, 1.1, math.nan])
def test_a_score_that_is_no_fraction_is_refused(score):
    with pytest.raises(ValueError, match=f"scores: want 0 to 1, got {str(score)[:3]}"):
        calibration(torch.tensor([0.5, score]), torch.tensor([True, True]))


def test_no_bins_are_refused():
    with pytest.raises(ValueError, match="bins: want at least one, got 0"):
        calibration(torch.ones(1), torch.tensor([True]), 0)
