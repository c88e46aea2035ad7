"""Lesson 10, Is it any good? True positives, precision and recall, average precision."""

import torch
from matplotlib.axes import Axes
from torch import Tensor

from detlab.boxes import box_iou
from detlab.course.exercises.compare import show
from detlab.course.exercises.examples import seeded_boxes, table
from detlab.course.exercises.exercise import Case, Exercise
from detlab.draw.figures import draw_boxes
from detlab.metrics import average_precision as evaluate
from detlab.metrics.average_precision import UNMATCHED

# ---------------------------------------------------------------- match_detections


def match_in_order(boxes: Tensor, order: Tensor, gt_boxes: Tensor, iou_threshold: float) -> Tensor:
    """Detections choose one after the other, in some order."""
    turns = torch.linspace(1, 0, len(order))
    scores = torch.zeros(len(boxes)).scatter(0, order, turns)
    return evaluate.match_detections(boxes, scores, gt_boxes, iou_threshold)


def match_in_order_of_rows(
    boxes: Tensor, scores: Tensor, gt_boxes: Tensor, iou_threshold: float = 0.5
) -> Tensor:
    """Whoever stands first chooses first."""
    return match_in_order(boxes, torch.arange(len(boxes)), gt_boxes, iou_threshold)


def match_worst_first(
    boxes: Tensor, scores: Tensor, gt_boxes: Tensor, iou_threshold: float = 0.5
) -> Tensor:
    """Sorted the other way."""
    return match_in_order(boxes, scores.argsort(stable=True), gt_boxes, iou_threshold)


def match_many_to_one(
    boxes: Tensor, scores: Tensor, gt_boxes: Tensor, iou_threshold: float = 0.5
) -> Tensor:
    """Nothing is ever taken."""
    matches = torch.full((len(boxes),), UNMATCHED)
    if len(gt_boxes) == 0:
        return matches
    best_iou, best_object = box_iou(boxes, gt_boxes).max(dim=1)
    return torch.where(best_iou >= iou_threshold, best_object, matches)


def match_many_to_one_without_objects(
    boxes: Tensor, scores: Tensor, gt_boxes: Tensor, iou_threshold: float = 0.5
) -> Tensor:
    """Three lines that are nearly right: nothing is taken, and the best of no overlaps."""
    best_iou, best_object = box_iou(boxes, gt_boxes).max(dim=1)
    return best_object.where(best_iou >= iou_threshold, torch.tensor(UNMATCHED))


def match_and_give_up(
    boxes: Tensor, scores: Tensor, gt_boxes: Tensor, iou_threshold: float = 0.5
) -> Tensor:
    """The best object is taken, so nothing is left."""
    wishes = match_many_to_one(boxes, scores, gt_boxes, iou_threshold)
    matches = torch.full_like(wishes, UNMATCHED)
    for row in scores.argsort(descending=True, stable=True).tolist():
        if wishes[row] not in matches.tolist():
            matches[row] = wishes[row]
    return matches


def match_and_give_up_in_order_of_rows(
    boxes: Tensor, scores: Tensor, gt_boxes: Tensor, iou_threshold: float = 0.5
) -> Tensor:
    """Whoever stands first chooses first, and has one wish only."""
    turns = torch.linspace(1, 0, len(boxes))
    return match_and_give_up(boxes, turns, gt_boxes, iou_threshold)


def match_in_order_of_rows_without_objects(
    boxes: Tensor, scores: Tensor, gt_boxes: Tensor, iou_threshold: float = 0.5
) -> Tensor:
    """Whoever stands first chooses first, and the best of no overlaps."""
    box_iou(boxes, gt_boxes).max(dim=1)
    return match_in_order_of_rows(boxes, scores, gt_boxes, iou_threshold)


def match_sorted(
    boxes: Tensor, scores: Tensor, gt_boxes: Tensor, iou_threshold: float = 0.5
) -> Tensor:
    """Sorted first, and not brought back to the order of the rows."""
    order = scores.argsort(descending=True, stable=True)
    return evaluate.match_detections(boxes[order], scores[order], gt_boxes, iou_threshold)


def match_sorted_without_objects(
    boxes: Tensor, scores: Tensor, gt_boxes: Tensor, iou_threshold: float = 0.5
) -> Tensor:
    """Sorted first, and the best of no overlaps."""
    box_iou(boxes, gt_boxes).max(dim=1)
    return match_sorted(boxes, scores, gt_boxes, iou_threshold)


def match_above_threshold(
    boxes: Tensor, scores: Tensor, gt_boxes: Tensor, iou_threshold: float = 0.5
) -> Tensor:
    """An overlap of exactly the threshold is not enough."""
    return evaluate.match_detections(boxes, scores, gt_boxes, iou_threshold + 1e-6)


def match_first_that_fits(
    boxes: Tensor, scores: Tensor, gt_boxes: Tensor, iou_threshold: float = 0.5
) -> Tensor:
    """The first free object that overlaps enough, though another overlaps more."""
    matches = torch.full((len(boxes),), UNMATCHED)
    iou = box_iou(boxes, gt_boxes)
    for row in scores.argsort(descending=True, stable=True).tolist():
        for column in range(len(gt_boxes)):
            if iou[row, column] >= iou_threshold and column not in matches.tolist():
                matches[row] = column
                break
    return matches


def match_objects_choose(
    boxes: Tensor, scores: Tensor, gt_boxes: Tensor, iou_threshold: float = 0.5
) -> Tensor:
    """Each object takes the box that fits it best."""
    matches = torch.full((len(boxes),), UNMATCHED)
    if len(boxes) == 0:
        return matches
    for column, overlaps in enumerate(box_iou(gt_boxes, boxes)):
        best_iou, row = overlaps.max(dim=0)
        if best_iou >= iou_threshold and matches[row] == UNMATCHED:
            matches[row] = column
    return matches


def match_always_half(
    boxes: Tensor, scores: Tensor, gt_boxes: Tensor, iou_threshold: float = 0.5
) -> Tensor:
    """The threshold that was handed in is not looked at."""
    return evaluate.match_detections(boxes, scores, gt_boxes, 0.5)


def match_yes_or_no(
    boxes: Tensor, scores: Tensor, gt_boxes: Tensor, iou_threshold: float = 0.5
) -> Tensor:
    """A true positive or not, but not of which object."""
    return evaluate.match_detections(boxes, scores, gt_boxes, iou_threshold) >= 0


def match_without_objects(
    boxes: Tensor, scores: Tensor, gt_boxes: Tensor, iou_threshold: float = 0.5
) -> Tensor:
    """The best of no overlaps."""
    box_iou(boxes, gt_boxes).max(dim=1)
    return evaluate.match_detections(boxes, scores, gt_boxes, iou_threshold)


def draw_match(axes: Axes, case: Case, got: object, wanted: Tensor) -> None:
    """Objects with their numbers, detections with their scores, both answers below."""
    boxes, scores, gt_boxes = case[:3]
    corners = torch.cat([boxes, gt_boxes, torch.tensor([[0.0, 0.0, 1.0, 1.0]])])
    low, high = corners.amin(dim=0) - 3, corners.amax(dim=0) + 3
    axes.set(xlim=(float(low[0]), float(high[2])), ylim=(float(high[3]), float(low[1])))
    axes.set(aspect="equal", ylabel="y, pixels")
    axes.set_xlabel(
        f"solid: objects, dashed: detections\nyours {show(got, 60)}\nright {show(wanted, 60)}"
    )
    draw_boxes(axes, gt_boxes, "truth", [f"object {row}" for row in range(len(gt_boxes))])
    names = [f"row {row}: {score:.2f}" for row, score in enumerate(scores.tolist())]
    draw_boxes(axes, boxes, "prediction", names)


TURTLES = seeded_boxes(4, seed=2)
CROWD = torch.cat([TURTLES, TURTLES + 1.5, TURTLES - 1, seeded_boxes(3, seed=3)])
CROWD_SCORES = (torch.randperm(15, generator=torch.Generator().manual_seed(4)) + 1) / 16

match_detections = Exercise(
    reference=evaluate.match_detections,
    cases={
        "two boxes on one object": (
            table((0, 3, 14, 10), (1, 0, 14, 10)),
            torch.tensor([0.9, 0.7]),
            table((0, 0, 14, 10)),
        ),
        "the better score stands below": (
            table((0, 0, 10, 9), (0, 0, 10, 10), (30, 0, 44, 8)),
            torch.tensor([0.3, 0.8, 0.5]),
            table((30, 0, 44, 8), (0, 0, 10, 10)),
        ),
        "the object it likes best is taken": (
            table((0, 0, 10, 10), (0, 0, 10, 9.5)),
            torch.tensor([0.9, 0.8]),
            table((0, 0, 10, 10), (0, 0, 10, 8)),
        ),
        "two objects fit, the second one better": (
            table((0, 0, 20, 10)),
            torch.tensor([0.6]),
            table((0, 0, 20, 6), (0, 0, 20, 9)),
        ),
        "an overlap of exactly the threshold": (
            table((0, 0, 10, 5), (30, 0, 40, 4.5)),
            torch.tensor([0.9, 0.8]),
            table((0, 0, 10, 10), (30, 0, 40, 10)),
        ),
        "a stricter threshold": (
            table((0, 0, 10, 7), (30, 0, 44, 8)),
            torch.tensor([0.9, 0.8]),
            table((0, 0, 10, 10), (30, 0, 44, 9)),
            0.75,
        ),
        "equal scores": (
            table((0, 0, 12, 8), (0, 0, 12, 8)),
            torch.tensor([0.5, 0.5]),
            table((0, 0, 12, 9)),
        ),
        "a picture without objects": (
            table((0, 0, 10, 8), (5, 5, 9, 12)),
            torch.tensor([0.9, 0.4]),
            table(),
        ),
        "nothing detected": (table(), torch.zeros(0), table((0, 0, 10, 8))),
        "fifteen boxes on four objects": (CROWD, CROWD_SCORES, TURTLES, 0.4),
    },
    mistakes={
        "an object was found more than once": (
            match_many_to_one,
            "Each object answers once. When it is taken, put its column of the IoU table out of"
            " reach; the second box on it is a duplicate.",
        ),
        "an object was found more than once, and none at all was not thought of": (
            match_many_to_one_without_objects,
            "Two things. Each object answers once: let the detections choose one by one, best score"
            " first, and put what is taken out of reach. And without any object there is no best"
            " overlap: return −1 for all before you look for it.",
        ),
        "detections chose in the order of their rows": (
            match_in_order_of_rows,
            "Rows come in any order. The best score chooses first.",
        ),
        "detections chose in the order of their rows, and gave up when their best was taken": (
            match_and_give_up_in_order_of_rows,
            "Two things. The best score chooses first, not the first row:"
            " scores.argsort(descending=True, stable=True). And it takes the best among the objects"
            " still *free*, so put what is taken out of reach before the next one looks.",
        ),
        "detections chose in the order of their rows, and none at all was not thought of": (
            match_in_order_of_rows_without_objects,
            "Two things. The best score chooses first, not the first row:"
            " scores.argsort(descending=True, stable=True). And without any object there is no best"
            " overlap: return −1 for all before you look for it.",
        ),
        "the answers stand in the order of the scores": (
            match_sorted,
            "You sorted the boxes, so your answers count in the sorted list. Leave the boxes where"
            " they are, and write each answer to its own row: matches[row].",
        ),
        "the answers stand in the order of the scores, and none at all was not thought of": (
            match_sorted_without_objects,
            "Two things. You sorted the boxes, so your answers count in the sorted list: write each"
            " one to its own row, matches[row]. And without any object there is no best overlap:"
            " return −1 for all before you look for it.",
        ),
        "the worst score chose first": (
            match_worst_first,
            "argsort goes upwards unless it is told: scores.argsort(descending=True, stable=True).",
        ),
        "a detection gave up when its best object was taken": (
            match_and_give_up,
            "It takes the best among the objects still *free*, so look for the best after those"
            " that are taken are out of reach.",
        ),
        "an overlap of exactly the threshold was not enough": (
            match_above_threshold,
            "An IoU that *reaches* the threshold counts: best_iou >= iou_threshold.",
        ),
        "the first object that fits was taken": (
            match_first_that_fits,
            "Of several objects that overlap enough, take the one with the largest IoU.",
        ),
        "objects chose their boxes": (
            match_objects_choose,
            "The detections choose, best score first. A box that fits better but scores less"
            " comes too late.",
        ),
        "the threshold was fixed at 0.5": (
            match_always_half,
            "Compare with the argument iou_threshold; this lesson asks for 0.75, too.",
        ),
        "a yes or no was returned": (
            match_yes_or_no,
            "Say *which* object: its row of gt_boxes, and −1 for none.",
        ),
        "a picture without objects was not thought of": (
            match_without_objects,
            "Without objects there is no best overlap: all detections are unmatched, −1.",
        ),
    },
    hints=[
        "Begin with an answer full of −1: torch.full((len(boxes),), -1). Then let the detections"
        " choose one by one, in the order scores.argsort(descending=True, stable=True).",
        "iou = box_iou(boxes, gt_boxes) is [N, M]. For a row, iou[row].max(dim=0) gives the best"
        " overlap and its object. Without any object, return before you come to that.",
        "If best_iou >= iou_threshold: matches[row] = best_object, and then"
        " iou[:, best_object] = -1, so that nobody takes it again.",
    ],
    draw=draw_match,
)


# ---------------------------------------------------------------- precision_recall


def counts(scores: Tensor, is_hit: Tensor) -> tuple[Tensor, Tensor]:
    """True positives and detections, as the score threshold falls."""
    true_positives = is_hit[scores.argsort(descending=True, stable=True)].double().cumsum(dim=0)
    return true_positives, torch.arange(1, len(true_positives) + 1)


def curve_worst_first(scores: Tensor, is_hit: Tensor, num_objects: int) -> tuple[Tensor, Tensor]:
    """Sorted the other way."""
    return evaluate.precision_recall(-scores, is_hit, num_objects)


def curve_in_order_of_rows(
    scores: Tensor, is_hit: Tensor, num_objects: int
) -> tuple[Tensor, Tensor]:
    """Not sorted at all."""
    return evaluate.precision_recall(torch.zeros_like(scores), is_hit, num_objects)


def recall_of_detections(scores: Tensor, is_hit: Tensor, num_objects: int) -> tuple[Tensor, Tensor]:
    """True positives over the number of detections."""
    true_positives, so_far = counts(scores, is_hit)
    return true_positives / so_far, true_positives / len(true_positives)


def recall_of_found(scores: Tensor, is_hit: Tensor, num_objects: int) -> tuple[Tensor, Tensor]:
    """True positives over all of them, so that it always ends at 1."""
    true_positives, so_far = counts(scores, is_hit)
    return true_positives / so_far, true_positives / is_hit.sum()


def recall_of_last(scores: Tensor, is_hit: Tensor, num_objects: int) -> tuple[Tensor, Tensor]:
    """True positives over the last count, which is missing where nothing was detected."""
    true_positives, so_far = counts(scores, is_hit)
    return true_positives / so_far, true_positives / true_positives[-1]


def precision_of_all(scores: Tensor, is_hit: Tensor, num_objects: int) -> tuple[Tensor, Tensor]:
    """Divided by all detections at once."""
    true_positives, _ = counts(scores, is_hit)
    return true_positives / len(true_positives), true_positives / num_objects


def precision_from_zero(scores: Tensor, is_hit: Tensor, num_objects: int) -> tuple[Tensor, Tensor]:
    """Counting from 0."""
    true_positives, so_far = counts(scores, is_hit)
    return true_positives / (so_far - 1), true_positives / num_objects


def curve_swapped(scores: Tensor, is_hit: Tensor, num_objects: int) -> tuple[Tensor, Tensor]:
    """Recall first."""
    precision, recall = evaluate.precision_recall(scores, is_hit, num_objects)
    return recall, precision


def curve_not_added_up(scores: Tensor, is_hit: Tensor, num_objects: int) -> tuple[Tensor, Tensor]:
    """Each detection by itself."""
    true_positives = is_hit[scores.argsort(descending=True, stable=True)].double()
    return true_positives / torch.arange(1, len(true_positives) + 1), true_positives / num_objects


def curve_of_scores(scores: Tensor, is_hit: Tensor, num_objects: int) -> tuple[Tensor, Tensor]:
    """The scores of true positives added up, instead of counting them."""
    best_first = scores.argsort(descending=True, stable=True)
    true_positives = (scores * is_hit)[best_first].double().cumsum(dim=0)
    return true_positives / torch.arange(1, len(true_positives) + 1), true_positives / num_objects


def curve_in_float32(scores: Tensor, is_hit: Tensor, num_objects: int) -> tuple[Tensor, Tensor]:
    """Right but for the last digits."""
    precision, recall = evaluate.precision_recall(scores, is_hit, num_objects)
    return precision.float(), recall.float()


def draw_curve(axes: Axes, case: Case, got: object, wanted: tuple[Tensor, Tensor]) -> None:
    """Both curves, recall to the right and precision upwards."""
    add_curve(axes, wanted, "o-", "right")
    if isinstance(got, tuple) and len(got) == 2 and all(isinstance(v, Tensor) for v in got):
        precision, recall = got
        if precision.shape == recall.shape == wanted[0].shape:
            add_curve(axes, (precision, recall), "s--", "yours")
    axes.set(xlabel="recall", ylabel="precision", xlim=(-0.05, 1.05), ylim=(-0.05, 1.05))
    axes.legend(frameon=False)


def add_curve(axes: Axes, curve: tuple[Tensor, Tensor], style: str, name: str) -> None:
    """Precision over recall."""
    precision, recall = curve
    axes.plot(recall.detach(), precision.detach(), style, label=name, alpha=0.7)


MANY_SCORES = (torch.randperm(12, generator=torch.Generator().manual_seed(5)) + 1) / 13
MANY_HITS = torch.rand(12, generator=torch.Generator().manual_seed(6)) < 0.6

precision_recall = Exercise(
    reference=evaluate.precision_recall,
    cases={
        "TP, FP, TP": (torch.tensor([0.9, 0.7, 0.5]), torch.tensor([True, False, True]), 4),
        "rows in no order": (
            torch.tensor([0.2, 0.9, 0.5, 0.7]),
            torch.tensor([True, True, False, True]),
            5,
        ),
        "all are true, all are found": (
            torch.tensor([0.4, 0.8]),
            torch.tensor([True, True]),
            2,
        ),
        "no true positive": (torch.tensor([0.4, 0.8, 0.6]), torch.tensor([False, False, False]), 3),
        "one object": (torch.tensor([0.8, 0.9]), torch.tensor([True, False]), 1),
        "equal scores": (
            torch.tensor([0.5, 0.5, 0.5]),
            torch.tensor([False, True, False]),
            2,
        ),
        "nothing detected": (torch.zeros(0), torch.zeros(0, dtype=torch.bool), 3),
        "twelve detections": (MANY_SCORES, MANY_HITS, 10),
    },
    mistakes={
        "the worst score came first": (
            curve_worst_first,
            "The threshold falls from 1: the best score comes first, argsort(descending=True).",
        ),
        "detections stayed in the order of their rows": (
            curve_in_order_of_rows,
            "Sort is_hit by score first: is_hit[scores.argsort(descending=True, stable=True)].",
        ),
        "recall was divided by the detections": (
            recall_of_detections,
            "Recall is a fraction of the *objects*, found or not: divide by num_objects.",
        ),
        "recall was divided by the true positives": (
            recall_of_found,
            "Missed objects (false negatives) count, too: divide by num_objects, TP + FN.",
        ),
        "recall was divided by the last number of true positives": (
            recall_of_last,
            "The last number counts the objects that were found. Recall asks for all: num_objects.",
        ),
        "precision was divided by all detections": (
            precision_of_all,
            "At each place only the detections *so far* are taken: divide by 1, 2, 3 …",
        ),
        "detections were counted from zero": (
            precision_from_zero,
            "After the first detection there is one: torch.arange(1, N + 1).",
        ),
        "precision and recall are swapped": (
            curve_swapped,
            "Return precision first (TP / detections), then recall (TP / objects).",
        ),
        "true positives were not added up": (
            curve_not_added_up,
            "A threshold takes everything above it: add up the true positives, .cumsum(dim=0).",
        ),
        "scores were added up in place of true positives": (
            curve_of_scores,
            "A true positive counts 1, whatever its score. The scores only give the order.",
        ),
        "the answer is in float32": (
            curve_in_float32,
            "Count in float64, is_hit.double(): recall is compared with levels such as 0.29, and"
            " a rounded 0.29 misses its level.",
        ),
    },
    hints=[
        "Sort is_hit by score, best first. Then walk down: after each detection, how many were"
        " taken, and how many of them were hits (true positives, TP)?",
        "tp = is_hit[scores.argsort(descending=True, stable=True)].double().cumsum(dim=0)",
        "Precision is tp / torch.arange(1, len(tp) + 1), recall is tp / num_objects.",
    ],
    draw=draw_curve,
)


# ---------------------------------------------------------------- average_precision


def from_here(precision: Tensor) -> Tensor:
    """The best precision at each place or behind it."""
    return precision.flip(0).cummax(dim=0).values.flip(0)


def at_levels(precision: Tensor, recall: Tensor, levels: Tensor) -> Tensor:
    """Precision at the first place that reaches each level, 0 where none does."""
    padded = torch.cat([precision, torch.zeros(1, dtype=precision.dtype)])
    return padded[torch.searchsorted(recall, levels)]


LEVELS = torch.arange(101).double() * 0.01


def ap_not_interpolated(precision: Tensor, recall: Tensor) -> Tensor:
    """The precision that stands there, though a better one comes later."""
    return at_levels(precision, recall, LEVELS).mean()


def ap_trapezoid(precision: Tensor, recall: Tensor) -> Tensor:
    """The area under straight lines from point to point."""
    return torch.trapezoid(precision, recall)


def ap_eleven_levels(precision: Tensor, recall: Tensor) -> Tensor:
    """The levels of 2007."""
    return at_levels(from_here(precision), recall, torch.arange(11).double() / 10).mean()


def ap_best_so_far(precision: Tensor, recall: Tensor) -> Tensor:
    """The running best from the wrong end."""
    return at_levels(precision.cummax(dim=0).values, recall, LEVELS).mean()


def ap_mean_precision(precision: Tensor, recall: Tensor) -> Tensor:
    """Every detection counts the same."""
    return precision.mean()


def ap_reached_only(precision: Tensor, recall: Tensor) -> Tensor:
    """Levels that are never reached are left out."""
    reached = (
        LEVELS[: int(torch.searchsorted(LEVELS, recall.amax(), right=True))]
        if len(recall)
        else LEVELS[:0]
    )
    return at_levels(from_here(precision), recall, reached).mean()


def ap_beyond_level(precision: Tensor, recall: Tensor) -> Tensor:
    """More recall than the level asks for."""
    return at_levels(from_here(precision), recall, LEVELS + 1e-9).mean()


def ap_steps(precision: Tensor, recall: Tensor) -> Tensor:
    """The exact area under the stairs, as VOC measures it since 2010."""
    rise = recall.diff(prepend=torch.zeros(1, dtype=recall.dtype))
    return (rise * from_here(precision)).sum()


def ap_rectangles(precision: Tensor, recall: Tensor) -> Tensor:
    """The area under the curve as it is, point by point."""
    rise = recall.diff(prepend=torch.zeros(1, dtype=recall.dtype))
    return (rise * precision).sum()


def ap_rectangles_between(precision: Tensor, recall: Tensor) -> Tensor:
    """The same from the first point on, so what lies left of it is not there."""
    return ((recall[1:] - recall[:-1]) * precision[1:]).sum()


def ap_in_percent(precision: Tensor, recall: Tensor) -> Tensor:
    """Times 100."""
    return evaluate.average_precision(precision, recall) * 100


def draw_ap(axes: Axes, case: Case, got: object, wanted: Tensor) -> None:
    """The curve, and the stairs that are averaged."""
    precision, recall = case
    add_curve(axes, (precision, recall), "o-", "the curve")
    stairs = at_levels(from_here(precision), recall, LEVELS)
    axes.plot(LEVELS, stairs, ".", label="its 101 levels", alpha=0.7)
    axes.set(xlabel=f"recall\nyours {show(got, 60)}\nright {show(wanted, 60)}", ylabel="precision")
    axes.set(xlim=(-0.05, 1.05), ylim=(-0.05, 1.05))
    axes.legend(frameon=False)


def curve(signs: str, num_objects: int) -> Case:
    """Precision and recall of detections, best first: + is a true positive, - a false positive.

    >>> curve("+-+", 4)[1]
    tensor([0.2500, 0.2500, 0.5000], dtype=torch.float64)
    """
    is_hit = torch.tensor([sign == "+" for sign in signs], dtype=torch.bool)
    return evaluate.precision_recall(torch.ones(len(signs)), is_hit, num_objects)


average_precision = Exercise(
    reference=evaluate.average_precision,
    cases={
        "TP, FP, TP; four objects": curve("+-+", 4),
        "perfect": curve("+++", 3),
        "it begins with a false positive": curve("-+++", 4),
        "it ends with false positives": curve("++---", 3),
        "no true positive": curve("--", 3),
        "one true positive, and it is all": curve("+", 1),
        "nothing detected": curve("", 3),
        "twenty detections": curve("++-+++-+-++---+-+--+", 14),
    },
    mistakes={
        "precision was not raised to the best that comes later": (
            ap_not_interpolated,
            "At a level of recall stands the best precision with at *least* that much recall, so"
            " look to the right as well.",
        ),
        "the area under straight lines was taken": (
            ap_trapezoid,
            "Between two points nothing was measured. The stairs of 101 levels are averaged.",
        ),
        "there were 11 levels": (
            ap_eleven_levels,
            "0, 0.1 … 1 was the rule until 2009. Here are 101 levels: 0, 0.01 … 1.",
        ),
        "the best precision came from the left": (
            ap_best_so_far,
            "You took the best with at *most* that recall. Run from the other end:"
            " precision.flip(0).cummax(dim=0).values.flip(0).",
        ),
        "all precisions were averaged": (
            ap_mean_precision,
            "Average over levels of recall, not over detections: a long tail of false positives"
            " without recall to gain must cost nothing.",
        ),
        "levels that are never reached were left out": (
            ap_reached_only,
            "A detector that stops early pays for it: beyond its last recall, precision is 0.",
        ),
        "a recall of exactly the level was not enough": (
            ap_beyond_level,
            "A level is reached by recall >= level.",
        ),
        "the exact area under the stairs was taken": (
            ap_steps,
            "That is how Pascal VOC does it since 2010. COCO, and this course, average over 101"
            " levels; the numbers differ a little.",
        ),
        "rectangles were added under the curve as it is": (
            ap_rectangles,
            "Whoever can have better precision *and* more recall takes it: raise each point to the"
            " best that comes later, precision.flip(0).cummax(dim=0).values.flip(0). Then average"
            " over the 101 levels.",
        ),
        "rectangles were added, and the first one was lost": (
            ap_rectangles_between,
            "Between N points lie N − 1 rectangles; the one left of the first point is missing."
            " Rectangles are not asked for, though: raise each point to the best precision that"
            " comes later, then average over the 101 levels.",
        ),
        "it is given in percent": (
            ap_in_percent,
            "A fraction from 0 to 1; papers write it times 100.",
        ),
    },
    hints=[
        "Make the stairs first: walk from the last detection to the first and keep the best"
        " precision met so far. precision.flip(0).cummax(dim=0).values.flip(0) does it.",
        "Then visit the levels 0, 0.01 … 1: where is the first place with recall >= level? The"
        " stairs' value there counts, or 0 if there is no such place.",
        "levels = torch.arange(101).double() * 0.01; torch.searchsorted(recall, levels) finds all"
        " places at once, and N where there is none. Put a 0 behind the stairs, look up, .mean().",
    ],
    draw=draw_ap,
)
