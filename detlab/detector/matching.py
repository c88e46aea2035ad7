"""Which anchor answers for which object.

Follows anchors.py. Uses boxes.py.

Two thresholds are from Ren et al., "Faster R-CNN", NeurIPS 2015; a forced match, which gives each
object an anchor of its own, is from Erhan et al., "Scalable Object Detection", CVPR 2014.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

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
AT_ONCE = 2**18
"""Pairs whose overlaps are counted at once: the tables of box_iou then fit into a core's cache."""
FEW = 16
"""Anchors that an object notes down at first; it mostly gets one of these."""

Wishes = Iterator[tuple[float, int]]
"""IoU and anchor, best first, of those that an object has not asked yet."""


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

    Every object asks for the anchor that it overlaps most; an anchor keeps the best pair and turns
    the others away, and these ask for their next. It ends with the pairs of a search through all of
    them, best first, in few steps: Gale and Shapley, "College Admissions and the Stability of
    Marriage", 1962. Who overlaps no free anchor gets one that is left over.

    Returns:
        Rows (object, anchor), in no order. Of equally good pairs the earlier object's comes first.

    >>> iou = torch.tensor([[0.9, 0.8], [0.1, 0.5]])  # both objects like anchor 0 best
    >>> free_best_anchors(iou)
    tensor([[0, 0],
            [1, 1]])
    """
    if min(iou.shape) == 0:
        return torch.zeros((0, 2), dtype=torch.int64, device=iou.device)
    if (favourites := all_different(iou)) is not None:
        return favourites
    kept, owner = [0.0] * len(iou), [NOBODY] * len(iou)  # the pair that each anchor is in
    wishes: dict[int, Wishes] = {}
    asking = list(range(iou.shape[1]))
    while len(asking) > 0:
        hopes = where_preferred(iou, asking, kept, owner) if wishes else iou
        wishes |= zip(asking, best_first(hopes, min(FEW, *iou.shape)), strict=True)
        asking = ask_in_turn(asking, wishes, kept, owner)
    return with_left_over(torch.tensor(owner, device=iou.device), iou.shape[1])


def all_different(iou: Float[Tensor, "A M"]) -> Int64[Tensor, "M 2"] | None:
    """Rows (object, anchor) where no two objects like the same anchor best, as is mostly so.

    >>> all_different(torch.tensor([[0.9, 0.3], [0.1, 0.5]]))
    tensor([[0, 0],
            [1, 1]])
    """
    best, anchors = iou.max(dim=0)
    if len(set(anchors.tolist())) < len(anchors) or best.min() <= 0:
        return None
    return torch.stack([torch.arange(len(anchors), device=iou.device), anchors], dim=1)


def best_first(iou: Float[Tensor, "A N"], length: int) -> list[Wishes]:
    """For each object the `length` anchors that it overlaps most: IoU, anchor.

    >>> [list(wishes) for wishes in best_first(torch.tensor([[0.5, 0.0], [0.75, 1.0]]), 2)]
    [[(0.75, 1), (0.5, 0)], [(1.0, 1), (0.0, 0)]]
    """
    overlaps, anchors = iou.topk(length, dim=0)
    columns = zip(overlaps.T.tolist(), anchors.T.tolist(), strict=True)
    return [zip(*column, strict=True) for column in columns]


def ask_in_turn(
    asking: Sequence[int], wishes: Mapping[int, Wishes], kept: list[float], owner: list[int]
) -> list[int]:
    """Let objects ask, and each that is pushed out in its turn; changes all but `asking`.

    Returns:
        The objects that came to the end of their wishes.

    >>> kept, owner = [0.5, 0.0], [2, NOBODY]
    >>> wishes = {0: iter([(0.75, 0)]), 2: iter([(0.25, 1)])}
    >>> ask_in_turn([0], wishes, kept, owner), kept, owner
    ([], [0.75, 0.25], [0, 2])
    """
    waiting, at_the_end = list(asking), []
    while len(waiting) > 0:
        row = waiting.pop()
        for overlap, anchor in wishes[row]:
            if overlap <= 0:  # as all that follow: any anchor that is left over will do
                break
            rival = owner[anchor]
            if overlap > kept[anchor] or (overlap == kept[anchor] and row < rival):
                kept[anchor], owner[anchor] = overlap, row
                waiting += [rival] if rival != NOBODY else []
                break
        else:
            at_the_end.append(row)
    return at_the_end


def where_preferred(
    iou: Float[Tensor, "A M"], rows: Sequence[int], kept: Sequence[float], owner: Sequence[int]
) -> Float[Tensor, "A N"]:
    """The IoU of some objects with the anchors that prefer them to their owner, 0 with the others.

    >>> where_preferred(torch.tensor([[0.5, 0.75], [0.5, 0.25]]), [0], [0.5, 0.5], [1, NOBODY])
    tensor([[0.5000],
            [0.0000]])
    """
    asking, owners = (torch.tensor(each, device=iou.device) for each in (rows, owner))
    overlaps, rivals = iou.index_select(1, asking), iou.new_tensor(kept)[:, None]
    preferred = (overlaps > rivals) | ((overlaps == rivals) & (asking < owners[:, None]))
    return overlaps.where(preferred, 0)


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
