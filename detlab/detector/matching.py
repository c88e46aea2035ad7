"""Which anchor answers for which object.

Follows anchors.py. Uses boxes.py.

Two thresholds are from Ren et al., "Faster R-CNN", NeurIPS 2015; a forced match, which gives each
object an anchor of its own, is from Erhan et al., "Scalable Object Detection", CVPR 2014.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from detlab.boxes import box_iou
from detlab.checks import check_boxes

NEGATIVE = -1
"""Background: the class loss counts it, the box loss does not."""
IGNORED = -2
"""Too close to call: no loss counts it."""
SHORT_LIST = 512
"""Anchors that an object looks at first where more than so many objects look for one."""
AT_ONCE = 1024
"""Anchors whose overlaps are counted at once: box_iou holds several tables of that many rows."""


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
        ValueError: the thresholds are not 0 <= negative_iou <= positive_iou <= 1; or a box is not
            finite or has no area, as rows of -1 that fill up a table.

    >>> anchors = torch.tensor([[0.0, 0.0, 10.0, 10.0], [50.0, 50.0, 60.0, 60.0]])
    >>> match_anchors(anchors, torch.tensor([[1.0, 0.0, 11.0, 10.0]]))
    tensor([ 0, -1])
    """
    if not 0 <= negative_iou <= positive_iou <= 1:
        raise ValueError(
            f"want 0 <= negative_iou <= positive_iou <= 1, got {negative_iou} and {positive_iou}"
        )
    check_boxes(anchors, "anchors")
    check_boxes(gt_boxes, "gt_boxes")
    if len(gt_boxes) == 0:
        return torch.full((len(anchors),), NEGATIVE, device=anchors.device)

    overlaps = torch.cat([iou(part, gt_boxes) for part in anchors.split(AT_ONCE)])  # [A, M]
    best_iou, matches = overlaps.max(dim=1)
    matches[best_iou < positive_iou] = IGNORED
    matches[best_iou < negative_iou] = NEGATIVE

    if force_best:
        rows, best_anchors = free_best_anchors(overlaps).unbind(dim=1)
        matches[best_anchors] = rows
    return matches


def free_best_anchors(iou: Float[Tensor, "A M"]) -> Int64[Tensor, "P 2"]:
    """Each object's best anchor that no better pair has taken, as long as there are anchors.

    Only an object's M best anchors can be its answer, since M - 1 others can take one each; and
    where objects are many, a few hundred nearly always do.

    Returns:
        Rows (object, anchor), best pairs first.

    >>> iou = torch.tensor([[0.9, 0.8], [0.1, 0.5]])  # both objects like anchor 0 best
    >>> free_best_anchors(iou)
    tensor([[0, 0],
            [1, 1]])
    """
    num_pairs = min(iou.shape)
    pairs = pair_up(*iou.topk(min(num_pairs, SHORT_LIST), dim=0))
    if len(pairs) < num_pairs:  # some objects came to the end of their short lists
        pairs = pair_up(*iou.topk(num_pairs, dim=0))
    return pairs


def pair_up(
    best_iou: Float[Tensor, "L M"], best_anchors: Int64[Tensor, "L M"]
) -> Int64[Tensor, "P 2"]:
    """Pair objects with anchors, best pairs first, all at once.

    Each object asks the best anchor on its list. An anchor keeps the best pair and turns the others
    away; these ask the next on their lists, until nobody is turned away. That gives the pairs of a
    search through all of them, best first, in far fewer steps: Gale and Shapley, "College
    Admissions and the Stability of Marriage", 1962.

    Args:
        best_iou: each object's overlaps, best first.
        best_anchors: the anchors they are with.

    Returns:
        Rows (object, anchor), best pairs first; of equal ones first what is higher on its object's
        list, then the earlier object. An object that all on its list turn away has none.

    >>> pair_up(torch.tensor([[0.9, 0.8], [0.1, 0.5]]), torch.tensor([[0, 0], [1, 1]]))
    tensor([[0, 0],
            [1, 1]])
    """
    rank = best_anchors.new_zeros(best_anchors.shape[1])  # on its list, what each object asks
    while True:
        rows = (rank < len(best_anchors)).nonzero()[:, 0]
        rows = rows[rank[rows].argsort(stable=True)]
        rows = rows[best_iou[rank[rows], rows].argsort(descending=True, stable=True)]
        anchors, order = best_anchors[rank[rows], rows].sort(stable=True)
        again = anchors[1:] == anchors[:-1]  # a better pair has asked for this anchor
        if not again.any():
            return torch.stack([rows, best_anchors[rank[rows], rows]], dim=1)
        rank[rows[order[1:][again]]] += 1
