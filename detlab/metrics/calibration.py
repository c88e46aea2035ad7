"""Does a score mean what it says? Of the boxes that score 0.8, are four in five right?

Follows average_precision.py, which says what is right, and ignored.py, which leaves out what is
neither. The expected calibration error is from Naeini et al., AAAI 2015; Guo et al., "On
Calibration of Modern Neural Networks", ICML 2017, made it known.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor


class Calibration(NamedTuple):
    """Scores against facts, bin by bin; nan where a bin is empty."""

    mean_score: Float64[Tensor, " bins"]
    """What the detections of each bin promise, 0 to 1."""
    fraction_correct: Float64[Tensor, " bins"]
    """What they keep, 0 to 1."""
    counts: Int64[Tensor, " bins"]
    """How many detections each bin has."""

    @property
    def error(self) -> float:
        """The expected calibration error: the mean gap between both, each detection counting once.

        0 to 1; nan without detections.
        """
        gaps = (self.mean_score - self.fraction_correct).abs().nan_to_num(0.0)
        return float((gaps * self.counts).sum() / self.counts.sum())


def calibration(
    scores: Float[Tensor, " N"], correct: Bool[Tensor, " N"], bins: int = 10
) -> Calibration:
    """Compare scores with the fraction that is right, in bins of equal width from 0 to 1.

    A bin begins at its lower edge; the last one holds a score of 1, too.

    Raises:
        ValueError: a score outside 0 to 1, or no bin.

    >>> scores, correct = torch.tensor([0.25, 0.75, 1.0]), torch.tensor([False, True, False])
    >>> found = calibration(scores, correct, bins=2)
    >>> found.mean_score.tolist(), found.fraction_correct.tolist(), found.counts.tolist()
    ([0.25, 0.875], [0.0, 0.5], [1, 2])
    >>> found.error  # (1 · 0.25 + 2 · 0.375) / 3
    0.3333333333333333
    """
    if bins < 1:
        raise ValueError(f"bins: want at least one, got {bins}")
    outside = ~((scores >= 0) & (scores <= 1))  # nan, too
    if outside.any():
        raise ValueError(f"scores: want 0 to 1, got {scores[outside][0].item()}")
    rows = (scores.double() * bins).long().clamp(max=bins - 1)
    counts = torch.bincount(rows, minlength=bins)
    promised = torch.bincount(rows, scores.double(), minlength=bins)
    kept = torch.bincount(rows, correct.double(), minlength=bins)
    return Calibration(promised / counts, kept / counts, counts)
