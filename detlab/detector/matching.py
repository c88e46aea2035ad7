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
NOBODY = -1
"""No object has this anchor yet."""
AT_ONCE = 2**22
"""Pairs whose overlaps are counted at once: box_iou holds several tables of them."""


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
    check_boxes(gt_boxes, "gt_boxes")
    if len(gt_boxes) == 0:
        return torch.full((len(anchors),), NEGATIVE, device=anchors.device)

    portions = anchors.split(max(1, AT_ONCE // len(gt_boxes)))
    overlaps = torch.cat([iou(portion, gt_boxes) for portion in portions])  # [A, M]
    best_iou, matches = overlaps.max(dim=1)
    matches[best_iou < positive_iou] = IGNORED
    matches[best_iou < negative_iou] = NEGATIVE

    if force_best:
        rows, best_anchors = free_best_anchors(overlaps).unbind(dim=1)
        matches[best_anchors] = rows
    return matches


def free_best_anchors(iou: Float[Tensor, "A M"]) -> Int64[Tensor, "P 2"]:
    """Each object's best anchor that no better pair has taken, as long as there are anchors.

    Every object asks for the anchor that it overlaps most, of those that no better pair has; an
    anchor keeps the best pair and turns the others away, and these ask again. It ends with the
    pairs of a search through all of them, best first, in few steps: Gale and Shapley, "College
    Admissions and the Stability of Marriage", 1962. Who overlaps no free anchor gets one that is
    left over.

    Returns:
        Rows (object, anchor), in no order. Of equally good pairs the earlier object's comes first.

    >>> iou = torch.tensor([[0.9, 0.8], [0.1, 0.5]])  # both objects like anchor 0 best
    >>> free_best_anchors(iou)
    tensor([[0, 0],
            [1, 1]])
    """
    if (favourites := all_different(iou)) is not None:
        return favourites
    kept = iou.new_zeros(iou.shape[0])  # the IoU of the pair that each anchor is in
    owner = torch.full_like(kept, NOBODY, dtype=torch.int64)
    asking = torch.arange(iou.shape[1], device=iou.device)
    overlaps, anchors = iou.topk(longest_list(iou), dim=0)  # [L, M], an object's best first
    while min(iou.shape) > 0:
        rivals, owners = kept[anchors[:, asking]], owner[anchors[:, asking]]  # [L, N]
        hopes = overlaps[:, asking] > rivals
        hopes |= (overlaps[:, asking] == rivals) & (asking < owners)
        place = hopes.int().argmax(dim=0)
        asking, place = asking[hopes.any(dim=0)], place[hopes.any(dim=0)]
        if len(asking) == 0:
            break
        asked, best = anchors[place, asking], overlaps[place, asking]
        first = best_of_each(asked, best)
        turned_away = torch.ones_like(asking, dtype=torch.bool).index_fill(0, first, False)
        before = owner[asked[first]]
        owner[asked[first]], kept[asked[first]] = asking[first], best[first]
        asking = torch.cat([asking[turned_away], before[before != NOBODY]]).sort().values
    return with_left_over(owner, iou.shape[1])


def all_different(iou: Float[Tensor, "A M"]) -> Int64[Tensor, "M 2"] | None:
    """Rows (object, anchor) where no two objects like the same anchor best, as is mostly so.

    >>> all_different(torch.tensor([[0.9, 0.3], [0.1, 0.5]]))
    tensor([[0, 0],
            [1, 1]])
    """
    if min(iou.shape) == 0:
        return None
    best, anchors = iou.max(dim=0)
    if len(anchors.unique()) < len(anchors) or (best <= 0).any():
        return None
    return torch.stack([torch.arange(len(anchors), device=iou.device), anchors], dim=1)


def longest_list(iou: Float[Tensor, "A M"]) -> int:
    """How many anchors an object may have to ask: those it overlaps, at most one per object.

    >>> longest_list(torch.tensor([[0.9, 0.0], [0.1, 0.0]]))
    2
    """
    counts: list[int] = (iou > 0).sum(dim=0).tolist()
    return min(max([1, *counts]), len(iou), iou.shape[1])


def best_of_each(anchors: Int64[Tensor, " N"], iou: Float[Tensor, " N"]) -> Int64[Tensor, " F"]:
    """For each anchor the row of its best pair, of equal ones the first.

    >>> best_of_each(torch.tensor([7, 3, 7]), torch.tensor([0.5, 0.4, 0.6]))
    tensor([1, 2])
    """
    order = iou.argsort(descending=True, stable=True)
    sorted_anchors, places = anchors[order].sort(stable=True)
    is_first = torch.ones_like(sorted_anchors, dtype=torch.bool)
    is_first[1:] = sorted_anchors[1:] != sorted_anchors[:-1]
    return order[places[is_first]]


def with_left_over(owner: Int64[Tensor, " A"], num_objects: int) -> Int64[Tensor, "P 2"]:
    """Rows (object, anchor), the objects without an anchor on anchors without an object.

    >>> with_left_over(torch.tensor([NOBODY, 2, NOBODY]), num_objects=3)
    tensor([[2, 1],
            [0, 0],
            [1, 2]])
    """
    taken = owner != NOBODY
    served = torch.zeros(num_objects, dtype=torch.bool, device=owner.device)
    served[owner[taken]] = True
    unserved, free = (~served).nonzero()[:, 0], (~taken).nonzero()[:, 0]
    number = min(len(unserved), len(free))
    rows = torch.cat([owner[taken], unserved[:number]])
    return torch.stack([rows, torch.cat([taken.nonzero()[:, 0], free[:number]])], dim=1)
