"""Lesson 08, Why so many boxes? Greedy NMS, NMS per class, Soft-NMS."""

import torch
from matplotlib.axes import Axes
from torch import Tensor

from detlab.boxes import box_area, box_iou, intersection_area
from detlab.course.exercises.compare import show
from detlab.course.exercises.examples import seeded_boxes, table
from detlab.course.exercises.exercise import Case, Exercise
from detlab.detector import suppression
from detlab.draw.figures import draw_boxes


def seeded_scores(number: int, seed: int) -> Tensor:
    """Different scores in no order."""
    order = torch.randperm(number, generator=torch.Generator().manual_seed(seed))
    return (order + 1) / (number + 1)


def draw_kept(axes: Axes, boxes: Tensor, scores: Tensor, got: object, wanted: Tensor) -> None:
    """All boxes with their scores; solid what is to be kept, orange dashes what was."""
    low, high = boxes.amin(dim=0) - 3, boxes.amax(dim=0) + 3
    axes.set(xlim=(float(low[0]), float(high[2])), ylim=(float(high[3]), float(low[1])))
    axes.set(aspect="equal", ylabel="y, pixels")
    draw_boxes(axes, boxes, "suppressed")
    draw_boxes(axes, boxes[wanted], "truth", [f"{scores[row]:.2f}" for row in wanted.tolist()])
    if isinstance(got, Tensor) and got.dtype == torch.int64 and got.dim() == 1:
        there = got[(got >= 0) & (got < len(boxes))]
        draw_boxes(axes, boxes[there], "prediction")
    axes.set_xlabel(
        f"yours {show(got, 60)}\nright {show(wanted, 60)}\nsolid: to be kept, orange: you kept"
    )


def draw_nms(axes: Axes, case: Case, got: object, wanted: Tensor) -> None:
    """A case of `nms`."""
    if len(case[0]) > 0:
        draw_kept(axes, case[0], case[1], got, wanted)


def draw_nms_per_class(axes: Axes, case: Case, got: object, wanted: Tensor) -> None:
    """A case of `nms_per_class`."""
    if len(case[0]) > 0:
        draw_kept(axes, case[0], case[2], got, wanted)


# ---------------------------------------------------------------- nms


def nms_in_order(boxes: Tensor, order: Tensor, iou_threshold: float) -> Tensor:
    """Greedy NMS, box by box in some order."""
    iou, kept = box_iou(boxes, boxes), list[int]()
    for row in order.tolist():
        if (iou[row, kept] <= iou_threshold).all():
            kept.append(row)
    return torch.tensor(kept, dtype=torch.int64)


def nms_from_left_to_right(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Whoever begins farther left is taken first."""
    return nms_in_order(boxes, boxes[:, 0].argsort(stable=True), iou_threshold)


def nms_worst_first(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Sorted the other way."""
    return nms_in_order(boxes, scores.argsort(stable=True), iou_threshold)


def nms_in_order_of_rows(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Not sorted at all."""
    return nms_in_order(boxes, torch.arange(len(boxes)), iou_threshold)


def nms_with_ghosts(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """A box that was suppressed goes on suppressing."""
    order = scores.argsort(descending=True, stable=True)
    iou = box_iou(boxes[order], boxes[order])
    earlier_and_close = (iou > iou_threshold).tril(-1)
    return order[~earlier_and_close.any(dim=1)]


def nms_strict(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """An overlap of exactly the threshold suppresses."""
    waiting = scores.argsort(descending=True, stable=True)
    kept = []
    while len(waiting) > 0:
        kept.append(int(waiting[0]))
        others = waiting[1:]
        waiting = others[box_iou(boxes[waiting[:1]], boxes[others])[0] < iou_threshold]
    return torch.tensor(kept, dtype=torch.int64)


def nms_sorted_by_row(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """The right boxes in the order in which they came."""
    return suppression.nms(boxes, scores, iou_threshold).sort().values


def nms_mask(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """A yes or no per box."""
    mask = torch.zeros(len(boxes), dtype=torch.bool)
    mask[suppression.nms(boxes, scores, iou_threshold)] = True
    return mask


def nms_boxes(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """The boxes themselves."""
    return boxes[suppression.nms(boxes, scores, iou_threshold)]


def nms_places(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Places in the sorted list instead of rows."""
    order = scores.argsort(descending=True, stable=True)
    return suppression.nms(boxes[order], scores[order], iou_threshold)


def nms_against_the_best(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Only the best of all suppresses."""
    order = scores.argsort(descending=True, stable=True)
    if len(order) == 0:
        return order
    free = box_iou(boxes[order[:1]], boxes[order])[0] <= iou_threshold
    free[0] = True
    return order[free]


def nms_of_the_smaller(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """The shared patch as a fraction of the smaller box."""
    areas = box_area(boxes)
    covered = intersection_area(boxes, boxes) / torch.minimum(areas[:, None], areas[None])
    kept: list[int] = []
    for row in scores.argsort(descending=True, stable=True).tolist():
        if all(covered[row, other] <= iou_threshold for other in kept):
            kept.append(row)
    return torch.tensor(kept, dtype=torch.int64)


def nms_without_empty(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """The best of no boxes."""
    scores.max()
    return suppression.nms(boxes, scores, iou_threshold)


def nms_of_an_empty_list(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """torch.tensor([]) holds floats."""
    return torch.tensor(suppression.nms(boxes, scores, iou_threshold).tolist())


CHAIN = table((0, 0, 16, 6), (12, 1, 28, 7), (6, 0, 22, 6))
"""The one in the middle overlaps both others, which hardly touch each other."""

nms = Exercise(
    reference=suppression.nms,
    cases={
        "three on one animal, one apart": (
            table((0, 0, 20, 10), (40, 5, 52, 25), (1, 0, 21, 11), (2, 1, 21, 10)),
            torch.tensor([0.6, 0.5, 0.9, 0.8]),
            0.5,
        ),
        "a chain": (CHAIN, torch.tensor([0.9, 0.7, 0.8]), 0.3),
        "an overlap of exactly the threshold": (
            table((0, 0, 16, 8), (0, 0, 8, 8), (20, 0, 36, 8), (20, 0, 29, 8)),
            torch.tensor([0.7, 0.9, 0.6, 0.5]),
            0.5,
        ),
        "a small box inside a large one": (
            table((0, 0, 30, 20), (5, 5, 15, 9)),
            torch.tensor([0.4, 0.8]),
            0.5,
        ),
        "side by side": (
            table((10, 0, 20, 6), (0, 0, 10, 6)),
            torch.tensor([0.3, 0.9]),
            0.0,
        ),
        "the same box three times": (
            table((0, 0, 9, 5), (0, 0, 9, 5), (0, 0, 9, 5)),
            torch.tensor([0.5, 0.5, 0.4]),
            0.5,
        ),
        "one box": (table((3, 4, 9, 6)), torch.tensor([0.2]), 0.5),
        "no boxes": (table(), torch.zeros(0), 0.5),
        "thirty boxes": (seeded_boxes(30, seed=4), seeded_scores(30, seed=5), 0.3),
    },
    mistakes={
        "boxes were taken from left to right": (
            nms_from_left_to_right,
            "The best *score* goes first; where a box lies says nothing about how good it is.",
        ),
        "the worst score was taken first": (
            nms_worst_first,
            "argsort goes upwards unless it is told: scores.argsort(descending=True).",
        ),
        "boxes were taken in the order of their rows": (
            nms_in_order_of_rows,
            "Rows come in any order. Take the best score first.",
        ),
        "a suppressed box suppressed others": (
            nms_with_ghosts,
            "Who is gone decides nothing. Compare with the boxes that were *kept* only.",
        ),
        "an overlap of exactly the threshold was suppressed": (
            nms_strict,
            "Only *more* than iou_threshold is too much: stay if iou <= iou_threshold.",
        ),
        "the rows kept are not sorted by score": (
            nms_sorted_by_row,
            "Return them as they were taken: best score first.",
        ),
        "a mask was returned": (
            nms_mask,
            "Return row numbers (int64), best first; a mask cannot say the order.",
        ),
        "the boxes were returned": (
            nms_boxes,
            "Return the row numbers: the caller also needs the labels and scores of those rows.",
        ),
        "places in the sorted list were returned": (
            nms_places,
            "You sorted first, so your numbers count in the sorted list. order[place] is the row.",
        ),
        "only the best of all suppressed": (
            nms_against_the_best,
            "One round is not enough: the next box that is left suppresses in its turn.",
        ),
        "the overlap was divided by the smaller box": (
            nms_of_the_smaller,
            "IoU divides by what both cover together, so a small animal before a large one stays.",
        ),
        "an empty list became a tensor of floats": (
            nms_of_an_empty_list,
            "torch.tensor([]) is float32. Say what it is to hold: torch.tensor(kept).long().",
        ),
        "no boxes were not thought of": (
            nms_without_empty,
            "Many pictures have nothing to suppress. No boxes in: an empty int64 tensor out.",
        ),
    },
    hints=[
        "Keep a list of rows that wait, best score first. While it is not empty, its first row is"
        " kept.",
        "box_iou(boxes[best, None], boxes[others])[0] is the overlap of the one that was kept with"
        " all that wait behind it.",
        "waiting = others[iou <= iou_threshold], and round again. torch.stack(kept) at the end, or"
        " the empty `waiting` if nothing was kept.",
    ],
    draw=draw_nms,
)

# ---------------------------------------------------------------- nms_per_class


NOTHING = torch.zeros(0, dtype=torch.int64)
"""No rows."""


def nms_of_each(
    boxes: Tensor, labels: Tensor, scores: Tensor, iou_threshold: float, classes: list[int]
) -> tuple[Tensor, Tensor]:
    """The rows kept, class after class: as they count within their class, and as they are."""
    counted, kept = [NOTHING], [NOTHING]
    for label in classes:
        rows = (labels == label).nonzero()[:, 0]
        counted.append(suppression.nms(boxes[rows], scores[rows], iou_threshold))
        kept.append(rows[counted[-1]])
    return torch.cat(counted), torch.cat(kept)


def nms_across_classes(
    boxes: Tensor, labels: Tensor, scores: Tensor, iou_threshold: float
) -> Tensor:
    """Labels not looked at."""
    return suppression.nms(boxes, scores, iou_threshold)


def nms_class_after_class(
    boxes: Tensor, labels: Tensor, scores: Tensor, iou_threshold: float
) -> Tensor:
    """Put together and left unsorted."""
    return nms_of_each(boxes, labels, scores, iou_threshold, labels.unique().tolist())[1]


def nms_but_the_last_class(
    boxes: Tensor, labels: Tensor, scores: Tensor, iou_threshold: float
) -> Tensor:
    """range(1, largest label) ends before it."""
    most = int(labels.max()) if len(labels) else 0
    _, kept = nms_of_each(boxes, labels, scores, iou_threshold, list(range(1, most)))
    return kept[scores[kept].argsort(descending=True)]


def nms_with_rows_of_the_class(
    boxes: Tensor, labels: Tensor, scores: Tensor, iou_threshold: float
) -> Tensor:
    """Numbers that count within the class, sorted by the scores of other boxes."""
    classes = labels.unique().tolist()
    counted, _ = nms_of_each(boxes, labels, scores, iou_threshold, classes)
    return counted[scores[counted].argsort(descending=True, stable=True)]


def nms_with_rows_of_the_class_unsorted(
    boxes: Tensor, labels: Tensor, scores: Tensor, iou_threshold: float
) -> Tensor:
    """Numbers that count within the class, class after class."""
    return nms_of_each(boxes, labels, scores, iou_threshold, labels.unique().tolist())[0]


def nms_with_rows_of_the_class_sorted(
    boxes: Tensor, labels: Tensor, scores: Tensor, iou_threshold: float
) -> Tensor:
    """Numbers that count within the class, sorted by their own scores."""
    classes = labels.unique().tolist()
    counted, kept = nms_of_each(boxes, labels, scores, iou_threshold, classes)
    return counted[scores[kept].argsort(descending=True, stable=True)]


def nms_with_rows_of_the_class_if_any(
    boxes: Tensor, labels: Tensor, scores: Tensor, iou_threshold: float
) -> Tensor:
    """Numbers that count within the class; and without boxes there is nothing to put together."""
    torch.cat(list(boxes))
    return nms_with_rows_of_the_class(boxes, labels, scores, iou_threshold)


def nms_with_rows_of_the_class_unsorted_if_any(
    boxes: Tensor, labels: Tensor, scores: Tensor, iou_threshold: float
) -> Tensor:
    """The same, left class after class."""
    torch.cat(list(boxes))
    return nms_with_rows_of_the_class_unsorted(boxes, labels, scores, iou_threshold)


def nms_moved_by_a_pixel(
    boxes: Tensor, labels: Tensor, scores: Tensor, iou_threshold: float
) -> Tensor:
    """Classes moved apart, but not out of each other's reach."""
    return suppression.nms(boxes + labels[:, None], scores, iou_threshold)


def nms_moved_by_the_largest(
    boxes: Tensor, labels: Tensor, scores: Tensor, iou_threshold: float
) -> Tensor:
    """Out of reach only while no corner is negative."""
    if len(boxes) == 0:
        return labels
    apart = boxes + (labels * (boxes.max() + 1))[:, None]
    return suppression.nms(apart, scores, iou_threshold)


def nms_of_no_classes(
    boxes: Tensor, labels: Tensor, scores: Tensor, iou_threshold: float
) -> Tensor:
    """The largest of no labels."""
    labels.max()
    return suppression.nms_per_class(boxes, labels, scores, iou_threshold)


def nms_with_nothing_to_join(
    boxes: Tensor, labels: Tensor, scores: Tensor, iou_threshold: float
) -> Tensor:
    """A list of no tensors cannot be put together."""
    torch.cat(list(boxes))
    return suppression.nms_per_class(boxes, labels, scores, iou_threshold)


def nms_per_class_of_an_empty_list(
    boxes: Tensor, labels: Tensor, scores: Tensor, iou_threshold: float
) -> Tensor:
    """torch.tensor([]) holds floats."""
    return torch.tensor(suppression.nms_per_class(boxes, labels, scores, iou_threshold).tolist())


nms_per_class = Exercise(
    reference=suppression.nms_per_class,
    cases={
        "a fish before a turtle": (
            table((0, 0, 20, 10), (1, 0, 21, 10), (0, 1, 20, 11), (40, 0, 52, 20)),
            torch.tensor([2, 1, 2, 1]),
            torch.tensor([0.6, 0.9, 0.7, 0.5]),
            0.5,
        ),
        "the better class has the larger label": (
            table((0, 0, 20, 10), (30, 0, 50, 12), (31, 1, 52, 12)),
            torch.tensor([1, 5, 5]),
            torch.tensor([0.4, 0.9, 0.8]),
            0.5,
        ),
        "corners outside of the picture": (
            table((0, 0, 12, 10), (-13, -13, -1, -3), (-14, -13, -1, -3)),
            torch.tensor([1, 2, 2]),
            torch.tensor([0.9, 0.8, 0.7]),
            0.5,
        ),
        "one box": (
            table((3, 4, 9, 6)),
            torch.tensor([4]),
            torch.tensor([0.2]),
            0.5,
        ),
        "no boxes": (table(), torch.zeros(0, dtype=torch.int64), torch.zeros(0), 0.5),
        "thirty boxes, three classes": (
            seeded_boxes(30, seed=6),
            torch.arange(30) % 3 + 1,
            seeded_scores(30, seed=7),
            0.3,
        ),
    },
    mistakes={
        "one class suppressed another": (
            nms_across_classes,
            "A turtle behind a fish is another animal. Only boxes of the same label are rivals.",
        ),
        "the classes were put together unsorted": (
            nms_class_after_class,
            "Class after class is right, but then sort all that is kept: best score first.",
        ),
        "the last class was left out": (
            nms_but_the_last_class,
            "range(1, n) ends before n. labels.unique() names the classes that are there.",
        ),
        "row numbers of one class were returned": (
            nms_with_rows_of_the_class,
            "NMS counts within the class that you gave it. rows[kept] brings the numbers back.",
        ),
        "row numbers of one class were returned, class after class": (
            nms_with_rows_of_the_class_unsorted,
            "Two things. NMS counts within the class that you gave it: rows[kept] brings the"
            " numbers back. Then sort all that is kept: best score first.",
        ),
        "row numbers of one class were returned, in the right order": (
            nms_with_rows_of_the_class_sorted,
            "The order is right, the numbers are not: they count within the class that you gave to"
            " NMS. rows[kept] brings them back.",
        ),
        "row numbers of one class were returned, and no boxes were not thought of": (
            nms_with_rows_of_the_class_if_any,
            "Two things. NMS counts within the class that you gave it: rows[kept] brings the"
            " numbers back. And torch.cat needs at least one tensor: begin the list with"
            " torch.zeros(0, dtype=torch.int64).",
        ),
        "row numbers of one class were returned, unsorted, and no boxes were not thought of": (
            nms_with_rows_of_the_class_unsorted_if_any,
            "Three things. NMS counts within the class that you gave it: rows[kept] brings the"
            " numbers back. Then sort all that is kept, best score first. And torch.cat needs at"
            " least one tensor: begin the list with torch.zeros(0, dtype=torch.int64).",
        ),
        "the classes were moved, but not out of reach": (
            nms_moved_by_a_pixel,
            "Moved by a pixel or two they still overlap. Move by more than the boxes extend.",
        ),
        "a negative corner reached into another class": (
            nms_moved_by_the_largest,
            "boxes.max() + 1 is the extent only if nothing is negative: take max − min + 1.",
        ),
        "an empty list became a tensor of floats": (
            nms_per_class_of_an_empty_list,
            "torch.tensor([]) is float32. Say what it is to hold: torch.tensor(kept).long().",
        ),
        "no boxes were not thought of": (
            nms_of_no_classes,
            "Many pictures have no candidate at all. No boxes in: an empty int64 tensor out.",
        ),
        "without boxes there was nothing to put together": (
            nms_with_nothing_to_join,
            "torch.cat needs at least one tensor, and without boxes there is no class. Begin the"
            " list with torch.zeros(0, dtype=torch.int64).",
        ),
    },
    hints=[
        "One way is a loop over labels.unique(): NMS on the boxes of that label alone.",
        "rows = (labels == label).nonzero()[:, 0] are its rows, and rows[nms(boxes[rows],"
        " scores[rows], iou_threshold)] those of them that stay.",
        "torch.cat the rows of all classes and sort them by score. Or without a loop: move each"
        " class to its own place, by label · (more than all boxes extend), and do NMS once.",
    ],
    draw=draw_nms_per_class,
)

# ---------------------------------------------------------------- soft_nms


def soften(boxes: Tensor, scores: Tensor, factor: Tensor) -> Tensor:
    """Best first; each lowers those that wait by its row of factors."""
    scores, waiting = scores.clone(), torch.ones(len(scores), dtype=torch.bool)
    for _ in range(len(boxes)):
        best = int(scores.masked_fill(~waiting, -1.0).argmax())
        waiting[best] = False
        scores = torch.where(waiting, scores * factor[best], scores)
    return scores


def soft_linear(boxes: Tensor, scores: Tensor, sigma: float = 0.5) -> Tensor:
    """By 1 − IoU."""
    return soften(boxes, scores, 1 - box_iou(boxes, boxes))


def soft_not_squared(boxes: Tensor, scores: Tensor, sigma: float = 0.5) -> Tensor:
    """exp(−IoU / sigma)."""
    return soften(boxes, scores, torch.exp(-box_iou(boxes, boxes) / sigma))


def soft_times_sigma(boxes: Tensor, scores: Tensor, sigma: float = 0.5) -> Tensor:
    """exp(−IoU² · sigma)."""
    return soften(boxes, scores, torch.exp(-(box_iou(boxes, boxes) ** 2) * sigma))


def soft_two_sigma_squared(boxes: Tensor, scores: Tensor, sigma: float = 0.5) -> Tensor:
    """exp(−IoU² / 2 sigma²), the bell curve of a statistics book."""
    return soften(boxes, scores, torch.exp(-(box_iou(boxes, boxes) ** 2) / (2 * sigma**2)))


def soft_lowering_all(boxes: Tensor, scores: Tensor, sigma: float = 0.5) -> Tensor:
    """Those taken already are lowered again."""
    factor = torch.exp(-(box_iou(boxes, boxes) ** 2) / sigma).fill_diagonal_(1.0)
    scores, waiting = scores.clone(), torch.ones(len(scores), dtype=torch.bool)
    for _ in range(len(boxes)):
        best = int(scores.masked_fill(~waiting, -1.0).argmax())
        waiting[best] = False
        scores = scores * factor[best]
    return scores


def soft_lowering_itself(boxes: Tensor, scores: Tensor, sigma: float = 0.5) -> Tensor:
    """The box that was taken overlaps itself."""
    factor = torch.exp(-(box_iou(boxes, boxes) ** 2) / sigma)
    return soften(boxes, scores, factor) * factor.diagonal()


def soft_in_the_first_order(boxes: Tensor, scores: Tensor, sigma: float = 0.5) -> Tensor:
    """Sorted once, before anything was lowered."""
    factor = torch.exp(-(box_iou(boxes, boxes) ** 2) / sigma)
    order = scores.argsort(descending=True, stable=True).tolist()
    scores = scores.clone()
    for place, best in enumerate(order):
        scores[order[place + 1 :]] *= factor[best, order[place + 1 :]]
    return scores


def soft_sorted(boxes: Tensor, scores: Tensor, sigma: float = 0.5) -> Tensor:
    """Best first, so nobody knows whose they are."""
    return suppression.soft_nms(boxes, scores, sigma).sort(descending=True).values


def soft_in_place(boxes: Tensor, scores: Tensor, sigma: float = 0.5) -> Tensor:
    """The caller's own scores are lowered."""
    scores.copy_(suppression.soft_nms(boxes, scores, sigma))
    return scores


soft_nms = Exercise(
    reference=suppression.soft_nms,
    cases={
        "one behind another": (table((0, 0, 10, 8), (0, 0, 10, 4)), torch.tensor([0.8, 1.0])),
        "a chain": (CHAIN, torch.tensor([0.9, 0.7, 0.8])),
        "a lowered box falls behind": (
            table((0, 0, 20, 10), (1, 0, 21, 10), (12, 2, 30, 12), (14, 0, 30, 10)),
            torch.tensor([0.9, 0.85, 0.6, 0.5]),
        ),
        "another sigma": (seeded_boxes(6, seed=8), seeded_scores(6, seed=9), 0.2),
        "one box": (table((3, 4, 9, 6)), torch.tensor([0.2])),
        "no boxes": (table(), torch.zeros(0)),
        "twenty boxes": (seeded_boxes(20, seed=10), seeded_scores(20, seed=11), 0.5),
    },
    mistakes={
        "scores were lowered by 1 − IoU": (
            soft_linear,
            "That is the linear variant. Here a score is multiplied by exp(−IoU² / sigma).",
        ),
        "the IoU was not squared": (
            soft_not_squared,
            "Squared, a slight overlap costs next to nothing: exp(−IoU² / sigma).",
        ),
        "sigma was multiplied, not divided by": (
            soft_times_sigma,
            "A smaller sigma is stricter: it stands below the fraction line.",
        ),
        "sigma was taken for a standard deviation": (
            soft_two_sigma_squared,
            "This is no bell curve of statistics: IoU² / sigma, not IoU² / (2 · sigma²).",
        ),
        "boxes that were taken already were lowered again": (
            soft_lowering_all,
            "A box that was taken keeps the score that it had then. Lower those that wait.",
        ),
        "a box lowered its own score": (
            soft_lowering_itself,
            "A box overlaps itself with IoU 1. Lower the others only.",
        ),
        "the order was never looked at again": (
            soft_in_the_first_order,
            "After each step a lowered box may have fallen behind: look for the best that waits"
            " anew.",
        ),
        "the scores were returned sorted": (
            soft_sorted,
            "Return them row by row as the boxes stand, so that each box finds its score.",
        ),
        "the argument itself was changed": (
            soft_in_place,
            "The caller may still need the old scores: begin with scores = scores.clone().",
        ),
    },
    hints=[
        "As many rounds as there are boxes: each takes the best score among those not yet taken.",
        "A mask `waiting` (bool, True at first) remembers who is left;"
        " scores.masked_fill(~waiting, −1).argmax() finds the best of them.",
        "scores = torch.where(waiting, scores · exp(−iou[best] ** 2 / sigma), scores), after"
        " waiting[best] = False.",
    ],
)
