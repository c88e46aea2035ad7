"""What NMS decides, step by step: the NMS lab walks through this list.

Only the order of events is written down here; suppression.py makes the decisions.
"""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from detlab.detector.suppression import soft_nms_steps, suppressed_by


class Decision(NamedTuple):
    """One step of NMS."""

    taken: int
    """Row of the box that was taken."""
    suppressed: list[int]
    """Rows of the boxes that went because of it."""
    scores: Tensor
    """The score of every box after it; in greedy NMS they never change."""


def greedy_decisions(
    boxes: Float[Tensor, "N 4"], scores: Float[Tensor, " N"], iou_threshold: float
) -> list[Decision]:
    """The steps of `suppression.nms`; boxes come best score first."""
    suppressor = suppressed_by(boxes, scores, iou_threshold).tolist()
    gone: dict[int, list[int]] = {}
    for row, by in enumerate(suppressor):
        gone.setdefault(by, []).append(row)
    return [Decision(taken, rows[1:], scores) for taken, rows in gone.items()]


def soft_decisions(
    boxes: Float[Tensor, "N 4"], scores: Float[Tensor, " N"], score_threshold: float
) -> list[Decision]:
    """The steps of `suppression.soft_nms`, until the best that waits is no detection any more."""
    decisions = []
    for taken, after in soft_nms_steps(boxes, scores):
        if after[taken] <= score_threshold:
            break
        fell = (scores > score_threshold) & (after <= score_threshold)
        decisions.append(Decision(taken, fell.nonzero()[:, 0].tolist(), after))
        scores = after
    return decisions
