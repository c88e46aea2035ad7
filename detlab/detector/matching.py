"""Which anchor answers for which object.

Follows anchors.py. Uses boxes.py.

Two thresholds are from Ren et al., "Faster R-CNN", NeurIPS 2015; a forced match, which gives each
object an anchor of its own, is from Erhan et al., "Scalable Object Detection", CVPR 2014.
"""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from detlab.boxes import box_iou

NEGATIVE = -1
"""Background: the class loss counts it, the box loss does not."""
IGNORED = -2
"""Too close to call: no loss counts it."""


def match_anchors(
    anchors: Float[Tensor, "A 4"],
    gt_boxes: Float[Tensor, "M 4"],
    positive_iou: float = 0.5,
    negative_iou: float = 0.4,
    force_best: bool = True,
    iou: Callable[[Tensor, Tensor], Tensor] = box_iou,
) -> Int64[Tensor, " A"]:
    """Give each anchor of one image the object it must learn.

    An anchor answers for the object it overlaps most, if it overlaps it well enough.
    The best free anchor of each object answers for it in any case, so no object is lost; for one
    that overlaps none that is any anchor.

    Returns:
        A row of `gt_boxes` per anchor, or NEGATIVE, or IGNORED.

    Raises:
        ValueError: the thresholds are not 0 <= negative_iou <= positive_iou <= 1.

    >>> anchors = torch.tensor([[0.0, 0.0, 10.0, 10.0], [50.0, 50.0, 60.0, 60.0]])
    >>> match_anchors(anchors, torch.tensor([[1.0, 0.0, 11.0, 10.0]]))
    tensor([ 0, -1])
    """
    if not 0 <= negative_iou <= positive_iou <= 1:
        raise ValueError(
            f"want 0 <= negative_iou <= positive_iou <= 1, got {negative_iou} and {positive_iou}"
        )
    if len(gt_boxes) == 0:
        return torch.full((len(anchors),), NEGATIVE, device=anchors.device)

    overlaps = iou(anchors, gt_boxes)  # [A, M]
    best_iou, matches = overlaps.max(dim=1)
    matches[best_iou < positive_iou] = IGNORED
    matches[best_iou < negative_iou] = NEGATIVE

    if force_best:
        for row, anchor in free_best_anchors(overlaps):
            matches[anchor] = row
    return matches


def free_best_anchors(iou: Float[Tensor, "A M"]) -> Iterator[tuple[int, int]]:
    """Each object's best anchor that no better pair has taken: (row, anchor), best pairs first.

    Only an object's M best anchors can be its answer, since M - 1 others can take one each.

    >>> iou = torch.tensor([[0.9, 0.8], [0.1, 0.5]])  # both objects like anchor 0 best
    >>> list(free_best_anchors(iou))
    [(0, 0), (1, 1)]
    """
    num_anchors, num_objects = iou.shape
    best_iou, best_anchors = iou.topk(min(num_objects, num_anchors), dim=0)  # [M, M]
    anchors = best_anchors.flatten().tolist()
    served, taken = set(), set()
    for pair in best_iou.flatten().argsort(descending=True, stable=True).tolist():
        row, anchor = pair % num_objects, anchors[pair]
        if row not in served and anchor not in taken:
            served.add(row)
            taken.add(anchor)
            yield row, anchor
