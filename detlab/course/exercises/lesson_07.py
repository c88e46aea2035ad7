"""Lesson 07, Who learns what? Matching, and losses that a flood of background cannot drown."""

import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from torch import Tensor

from detlab.boxes import box_iou
from detlab.course.exercises.compare import show
from detlab.course.exercises.examples import seeded_boxes, table
from detlab.course.exercises.exercise import Case, Exercise
from detlab.detector import losses, matching
from detlab.detector.matching import IGNORED, NEGATIVE
from detlab.draw.figures import draw_boxes

# ---------------------------------------------------------------- match_anchors


def match_without_forcing(
    anchors: Tensor, gt_boxes: Tensor, positive_iou: float = 0.5, negative_iou: float = 0.4
) -> Tensor:
    """Thresholds alone."""
    return matching.match_anchors(anchors, gt_boxes, positive_iou, negative_iou, force_best=False)


def match_overwriting(
    anchors: Tensor, gt_boxes: Tensor, positive_iou: float = 0.5, negative_iou: float = 0.4
) -> Tensor:
    """The best anchor of each object, whoever had it before."""
    matches = match_without_forcing(anchors, gt_boxes, positive_iou, negative_iou)
    if len(gt_boxes) > 0:
        best_anchors = box_iou(anchors, gt_boxes).argmax(dim=0).tolist()
        for row, anchor in enumerate(best_anchors):
            matches[anchor] = row
    return matches


def match_in_order_of_rows(
    anchors: Tensor, gt_boxes: Tensor, positive_iou: float = 0.5, negative_iou: float = 0.4
) -> Tensor:
    """Each object in turn takes its best anchor among those still free."""
    matches = match_without_forcing(anchors, gt_boxes, positive_iou, negative_iou)
    iou = box_iou(anchors, gt_boxes)
    for row in range(min(len(gt_boxes), len(anchors))):
        anchor = int(iou[:, row].argmax())
        matches[anchor] = row
        iou[anchor] = -1
    return matches


def match_touching(
    anchors: Tensor, gt_boxes: Tensor, positive_iou: float = 0.5, negative_iou: float = 0.4
) -> Tensor:
    """Forcing ends where nothing overlaps any more."""
    matches = match_without_forcing(anchors, gt_boxes, positive_iou, negative_iou)
    iou = box_iou(anchors, gt_boxes)
    for row, anchor in matching.free_best_anchors(iou) if len(gt_boxes) else ():
        if iou[anchor, row] > 0:
            matches[anchor] = row
    return matches


def match_keeping_favourites(
    anchors: Tensor, gt_boxes: Tensor, positive_iou: float = 0.5, negative_iou: float = 0.4
) -> Tensor:
    """A forced anchor counts, but for the object that it overlaps most itself."""
    matches = match_without_forcing(anchors, gt_boxes, positive_iou, negative_iou)
    iou = box_iou(anchors, gt_boxes)
    for _, anchor in matching.free_best_anchors(iou) if len(gt_boxes) else ():
        matches[anchor] = iou[anchor].argmax()
    return matches


def match_from(
    anchors: Tensor, gt_boxes: Tensor, ignored: Tensor, negative: Tensor, matches: Tensor
) -> Tensor:
    """Favourites, then who is ignored, then who is background, then forcing."""
    matches = matches.clone()
    matches[ignored] = IGNORED
    matches[negative] = NEGATIVE
    for row, anchor in matching.free_best_anchors(box_iou(anchors, gt_boxes)):
        matches[anchor] = row
    return matches


def match_positive_above(
    anchors: Tensor, gt_boxes: Tensor, positive_iou: float = 0.5, negative_iou: float = 0.4
) -> Tensor:
    """An IoU of exactly the positive threshold is not enough."""
    if len(gt_boxes) == 0:
        return torch.full((len(anchors),), NEGATIVE)
    best_iou, favourites = box_iou(anchors, gt_boxes).max(dim=1)
    zones = best_iou <= positive_iou, best_iou < negative_iou
    return match_from(anchors, gt_boxes, *zones, favourites)


def match_negative_up_to(
    anchors: Tensor, gt_boxes: Tensor, positive_iou: float = 0.5, negative_iou: float = 0.4
) -> Tensor:
    """An IoU of exactly the negative threshold is background."""
    if len(gt_boxes) == 0:
        return torch.full((len(anchors),), NEGATIVE)
    best_iou, favourites = box_iou(anchors, gt_boxes).max(dim=1)
    zones = best_iou < positive_iou, (best_iou <= negative_iou) & (best_iou < positive_iou)
    return match_from(anchors, gt_boxes, *zones, favourites)


def match_ignoring_nobody(
    anchors: Tensor, gt_boxes: Tensor, positive_iou: float = 0.5, negative_iou: float = 0.4
) -> Tensor:
    """Whoever is not positive is background."""
    return matching.match_anchors(anchors, gt_boxes, positive_iou, positive_iou)


def match_ignoring_background(
    anchors: Tensor, gt_boxes: Tensor, positive_iou: float = 0.5, negative_iou: float = 0.4
) -> Tensor:
    """Background first, then everything below the positive threshold over it."""
    if len(gt_boxes) == 0:
        return torch.full((len(anchors),), NEGATIVE)
    best_iou, favourites = box_iou(anchors, gt_boxes).max(dim=1)
    nobody = torch.zeros_like(best_iou, dtype=torch.bool)
    return match_from(anchors, gt_boxes, best_iou < positive_iou, nobody, favourites)


def match_without_empty(
    anchors: Tensor, gt_boxes: Tensor, positive_iou: float = 0.5, negative_iou: float = 0.4
) -> Tensor:
    """The best of no objects."""
    box_iou(anchors, gt_boxes).max(dim=1)
    return matching.match_anchors(anchors, gt_boxes, positive_iou, negative_iou)


def match_transposed(
    anchors: Tensor, gt_boxes: Tensor, positive_iou: float = 0.5, negative_iou: float = 0.4
) -> Tensor:
    """A row per object."""
    if len(gt_boxes) == 0:
        return torch.full((len(anchors),), NEGATIVE)
    best_iou, matches = box_iou(gt_boxes, anchors).max(dim=1)
    matches[best_iou < positive_iou] = IGNORED
    matches[best_iou < negative_iou] = NEGATIVE
    return matches


def draw_matches(axes: Axes, case: Case, got: object, wanted: object) -> None:
    """The objects, and the anchors that were given something else than they should."""
    anchors, gt_boxes = case[:2]
    everything = torch.cat([anchors, gt_boxes])
    low, high = everything.amin(dim=0) - 4, everything.amax(dim=0) + 4
    axes.set(xlim=(float(low[0]), float(high[2])), ylim=(float(high[3]), float(low[1])))
    axes.set(aspect="equal", ylabel="y, pixels")
    axes.set_xlabel(f"yours {show(got, 60)}\nright {show(wanted, 60)}\nblue: answered differently")
    differs = torch.zeros(len(anchors), dtype=torch.bool)
    if isinstance(got, Tensor) and isinstance(wanted, Tensor) and got.shape == wanted.shape:
        differs = got != wanted
    draw_boxes(axes, anchors[~differs], "ignored")
    draw_boxes(axes, gt_boxes, "truth", [f"object {row}" for row in range(len(gt_boxes))])
    names = [f"anchor {row}" for row in differs.nonzero()[:, 0].tolist()]
    draw_boxes(axes, anchors[differs], "positive", names)


match_anchors = Exercise(
    reference=matching.match_anchors,
    cases={
        "close, too close to call, far": (
            table((0, 0, 20, 10), (6, 0, 26, 10), (15, 0, 35, 10), (50, 30, 70, 40)),
            table((0, 1, 20, 10)),
        ),
        "exactly at both thresholds": (
            table((0, 0, 16, 8), (0, 0, 8, 8), (0, 0, 4, 8), (0, 0, 3, 8)),
            table((0, 0, 16, 8)),
            0.5,
            0.25,
        ),
        "an object that overlaps every anchor a little": (
            table((0, 0, 20, 10), (30, 0, 50, 10), (0, 20, 20, 50)),
            table((1, 0, 21, 10), (44, 8, 60, 30)),
        ),
        "two objects that love the same anchor": (
            table((0, 0, 20, 10), (4, 8, 26, 20), (32, 14, 46, 22)),
            table((0, 1, 20, 12), (1, 0, 21, 10)),
        ),
        "an anchor forced away from its favourite": (
            table((0, 0, 20, 10), (3, 0, 23, 10), (60, 0, 80, 10)),
            table((0, 0, 20, 10), (3, 4, 24, 16), (61, 0, 81, 10)),
            0.5,
            0.25,
        ),
        "fewer anchors than objects": (
            table((10, 0, 30, 10)),
            table((0, 0, 20, 10), (12, 0, 30, 10)),
        ),
        "the one anchor left does not touch the object": (
            table((0, 0, 20, 10), (40, 20, 64, 32)),
            table((1, 0, 21, 10), (70, 0, 80, 16)),
        ),
        "no objects": (table((0, 0, 20, 10), (30, 0, 50, 10)), table()),
        "everything counts, however little it overlaps": (
            table((0, 0, 20, 10), (30, 0, 50, 10)),
            table((1, 0, 21, 10)),
            0.5,
            0.0,
        ),
        "six anchors between two objects": (
            table(
                *((0, 0, 20, 10), (3, 0, 23, 10), (5, 1, 25, 11)),
                *((8, 0, 28, 12), (12, 1, 32, 12), (0, 2, 20, 11)),
            ),
            table((1, 0, 21, 10), (9, 1, 29, 12)),
        ),
        "forty anchors, six objects": (seeded_boxes(40, seed=2), seeded_boxes(6, seed=12)),
    },
    mistakes={
        "no object's best anchor was forced": (
            match_without_forcing,
            "An object that no anchor overlaps well would be learned by nobody."
            " Its best anchor answers for it in any case.",
        ),
        "an object overwrote another object's anchor": (
            match_overwriting,
            "Two objects share a best anchor, and the later one took it. The better pair keeps it;"
            " the other object takes its best among the anchors that are still free.",
        ),
        "objects chose in the order of their rows": (
            match_in_order_of_rows,
            "Object 0 took an anchor that another object fits better."
            " Look for the best pair in the whole table first.",
        ),
        "a forced anchor was given to its own favourite": (
            match_keeping_favourites,
            "A forced anchor answers for the object that needs it, also where it overlaps another"
            " one more.",
        ),
        "an object that touches no free anchor was left out": (
            match_touching,
            "No object may be lost: its best pair is forced even where the IoU is 0."
            " Mark what is taken with −1, so that a 0 is still larger.",
        ),
        "an IoU of exactly positive_iou was not enough": (
            match_positive_above,
            "A threshold belongs to the better side: positive *from* positive_iou on.",
        ),
        "an IoU of exactly negative_iou became background": (
            match_negative_up_to,
            "A threshold belongs to the better side: negative only *below* negative_iou.",
        ),
        "what is too close to call became background": (
            match_ignoring_nobody,
            "From negative_iou up to positive_iou an anchor is IGNORED: no loss counts it.",
        ),
        "background became ignored": (
            match_ignoring_background,
            "Everything below positive_iou is IGNORED now. Which of the two lines must come last?",
        ),
        "a picture without objects was not thought of": (
            match_without_empty,
            "There is no best of nothing. Without objects every anchor is NEGATIVE.",
        ),
        "the IoU table was transposed": (
            match_transposed,
            "You need one answer per anchor, so anchors come first: box_iou(anchors, gt_boxes).",
        ),
    },
    hints=[
        "box_iou(anchors, gt_boxes) is a table with a row per anchor. Its .max(dim=1) gives each"
        " anchor's best IoU and the object it belongs to: that is almost the answer.",
        "Then two lines: IGNORED where the best IoU is below positive_iou, and after it NEGATIVE"
        " where it is below negative_iou. No objects: all NEGATIVE, before anything else.",
        "Forcing, as often as there are objects (or anchors, if they are fewer): find the largest"
        " number of the table, give that anchor that object, and set its row and its column to −1.",
    ],
    draw=draw_matches,
)

# ---------------------------------------------------------------- focal_loss


def yes_or_no(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What is wanted, each answer's error, and the probability given to the right answer."""
    wanted = F.one_hot(labels, logits.shape[1]).to(logits)
    wanted[:, 0] = 0.0
    error = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return wanted, error, torch.exp(-error)


def focal_with_alpha_reversed(
    logits: Tensor, labels: Tensor, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """Alpha for the noes."""
    return losses.focal_loss(logits, labels, 1 - alpha, gamma)


def focal_with_one_alpha(
    logits: Tensor, labels: Tensor, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """Alpha for all."""
    _, error, right = yes_or_no(logits, labels)
    return (alpha * (1 - right) ** gamma * error).sum()


def focal_without_gamma(
    logits: Tensor, labels: Tensor, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """Every answer counts whole."""
    return losses.focal_loss(logits, labels, alpha, 0.0)


def focal_of_the_sure(
    logits: Tensor, labels: Tensor, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """The easy answers are the ones that count."""
    wanted, error, right = yes_or_no(logits, labels)
    balance = alpha * wanted + (1 - alpha) * (1 - wanted)
    return (balance * right**gamma * error).sum()


def focal_of_yes(logits: Tensor, labels: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """1 − p of yes, also where no is right."""
    wanted, error, _ = yes_or_no(logits, labels)
    balance = alpha * wanted + (1 - alpha) * (1 - wanted)
    return (balance * (1 - logits.sigmoid()) ** gamma * error).sum()


def focal_with_background(
    logits: Tensor, labels: Tensor, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """Background is a yes in column 0."""
    wanted = F.one_hot(labels, logits.shape[1]).to(logits)
    error = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    balance = alpha * wanted + (1 - alpha) * (1 - wanted)
    return (balance * (1 - torch.exp(-error)) ** gamma * error).sum()


def focal_mean(logits: Tensor, labels: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Divided by the number of answers."""
    return losses.focal_loss(logits, labels, alpha, gamma) / logits.numel()


def focal_softmax(
    logits: Tensor, labels: Tensor, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """One choice among all classes."""
    error = F.cross_entropy(logits, labels, reduction="none")
    balance = torch.where(labels > 0, alpha, 1 - alpha)
    return (balance * (1 - torch.exp(-error)) ** gamma * error).sum()


def focal_softmax_with_one_alpha(
    logits: Tensor, labels: Tensor, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """The short version that is often copied."""
    error = F.cross_entropy(logits, labels, reduction="none")
    return (alpha * (1 - torch.exp(-error)) ** gamma * error).sum()


def focal_of_softmax_scores(
    logits: Tensor, labels: Tensor, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """Yes or no per class, but p comes from a softmax."""
    wanted, _, _ = yes_or_no(logits, labels)
    p = logits.softmax(dim=1)
    right = torch.where(wanted == 1, p, 1 - p)
    balance = alpha * wanted + (1 - alpha) * (1 - wanted)
    return (balance * (1 - right) ** gamma * -right.log()).sum()


def focal_of_a_logarithm(
    logits: Tensor, labels: Tensor, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """The logarithm of a probability that was rounded to 0."""
    wanted, _, _ = yes_or_no(logits, labels)
    p = logits.sigmoid()
    right = torch.where(wanted == 1, p, 1 - p)
    balance = alpha * wanted + (1 - alpha) * (1 - wanted)
    return (balance * (1 - right) ** gamma * -right.log()).sum()


def seeded_logits(number: int, num_classes: int, seed: int) -> Tensor:
    """Logits of any sign, wide enough that some answers are sure."""
    return 2 * torch.randn(number, num_classes, generator=torch.Generator().manual_seed(seed))


focal_loss = Exercise(
    reference=losses.focal_loss,
    cases={
        "an object, unsure": (torch.zeros(1, 2), torch.tensor([1])),
        "an object and a background": (
            torch.tensor([[0.4, 1.2, -0.7], [-0.2, -1.5, 0.9]]),
            torch.tensor([2, 0]),
        ),
        "background alone": (torch.tensor([[1.5, -2.0, 0.3, 0.8]]), torch.tensor([0])),
        "another alpha and gamma": (seeded_logits(3, 4, seed=5), torch.tensor([0, 3, 1]), 0.6, 1.5),
        "gamma 0": (seeded_logits(2, 3, seed=6), torch.tensor([0, 2]), 0.25, 0.0),
        "very sure and very wrong": (
            torch.tensor([[-2.0, -200.0, 150.0], [-3.0, -90.0, -80.0]]),
            torch.tensor([1, 0]),
        ),
        "no anchors": (torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)),
        "seven anchors, five classes": (
            seeded_logits(7, 5, seed=7),
            torch.tensor([0, 0, 3, 0, 1, 4, 0]),
        ),
    },
    mistakes={
        "alpha was given to the noes": (
            focal_with_alpha_reversed,
            "alpha weighs the yes, 1 − alpha the noes.",
        ),
        "alpha was given to every answer": (
            focal_with_one_alpha,
            "The same weight for all balances nothing: alpha for the yes, 1 − alpha for the noes.",
        ),
        "gamma was forgotten": (
            focal_without_gamma,
            "This is balanced cross-entropy. Where is (1 − p of the right answer) to the gamma?",
        ),
        "the sure answers count most": (
            focal_of_the_sure,
            "p^gamma favours what is known already. It is (1 − p)^gamma that plays it down.",
        ),
        "p of yes was taken where no is right": (
            focal_of_yes,
            "p is the probability of the *right* answer: where no is right, that is 1 − sigmoid.",
        ),
        "background was taught as a separate class": (
            focal_with_background,
            "With sigmoids, background is a no to every class. Column 0 wants 0 in every row.",
        ),
        "the mean was taken": (
            focal_mean,
            "Return the sum. The caller divides by the number of *positive* anchors; a mean over"
            " all would let the easy thousands decide the size of the step.",
        ),
        "softmax was taken": (
            focal_softmax,
            "Focal loss asks a yes or no per class: sigmoid, so that an anchor can say no to all.",
        ),
        "softmax was taken, and alpha for all": (
            focal_softmax_with_one_alpha,
            "F.cross_entropy lets the classes compete. Here each class is a separate yes or no, by"
            " sigmoid: alpha weights the yes, 1 − alpha the noes.",
        ),
        "p was taken from a softmax over all classes": (
            focal_of_softmax_scores,
            "A yes or no of one class looks at that logit alone: p = sigmoid(logit). In a softmax"
            " every other logit has a say.",
        ),
        "a logarithm was taken of 0": (
            focal_of_a_logarithm,
            "A very wrong probability is rounded to 0, and its logarithm is −infinity."
            " F.binary_cross_entropy_with_logits starts from the logits and stays finite.",
        ),
    },
    hints=[
        "First a table `wanted` of zeros and ones in the shape of logits: F.one_hot of the labels,"
        " as floats, and then column 0 set to 0.",
        "error = F.binary_cross_entropy_with_logits(logits, wanted, reduction='none') is −log p of"
        " the right answer, so p = exp(−error).",
        "weight = alpha where wanted is 1, 1 − alpha where it is 0; then"
        " (weight · (1 − p) ** gamma · error).sum().",
    ],
)

# ---------------------------------------------------------------- hard_negative_cross_entropy


def cross_entropy_with(
    logits: Tensor,
    labels: Tensor,
    negatives_per_positive: float,
    fewest_negatives: int,
    largest: bool = True,
    from_all: bool = False,
) -> Tensor:
    """Positives, and as many others as asked for, from one end of the list or the other."""
    error = F.cross_entropy(logits, labels, reduction="none")
    positive = labels > 0
    wanted = max(fewest_negatives, int(negatives_per_positive * positive.sum()))
    pool = error if from_all else error[~positive]
    return error[positive].sum() + pool.topk(min(wanted, len(pool)), largest=largest).values.sum()


def easiest_negatives(
    logits: Tensor,
    labels: Tensor,
    negatives_per_positive: float = 3.0,
    fewest_negatives: int = 8,
) -> Tensor:
    """Those that are known already."""
    return cross_entropy_with(logits, labels, negatives_per_positive, fewest_negatives, False)


def first_negatives(
    logits: Tensor,
    labels: Tensor,
    negatives_per_positive: float = 3.0,
    fewest_negatives: int = 8,
) -> Tensor:
    """The first rows, unsorted."""
    error = F.cross_entropy(logits, labels, reduction="none")
    wanted = max(fewest_negatives, int(negatives_per_positive * (labels > 0).sum()))
    return error[labels > 0].sum() + error[labels == 0][:wanted].sum()


def all_negatives(
    logits: Tensor,
    labels: Tensor,
    negatives_per_positive: float = 3.0,
    fewest_negatives: int = 8,
) -> Tensor:
    """Plain cross-entropy."""
    return F.cross_entropy(logits, labels, reduction="sum")


def positives_among_negatives(
    logits: Tensor,
    labels: Tensor,
    negatives_per_positive: float = 3.0,
    fewest_negatives: int = 8,
) -> Tensor:
    """The hardest of all anchors."""
    return cross_entropy_with(
        logits, labels, negatives_per_positive, fewest_negatives, from_all=True
    )


def hard_negative_mean(
    logits: Tensor,
    labels: Tensor,
    negatives_per_positive: float = 3.0,
    fewest_negatives: int = 8,
) -> Tensor:
    """Divided by the number of anchors counted."""
    total = losses.hard_negative_cross_entropy(
        logits, labels, negatives_per_positive, fewest_negatives
    )
    positives = int((labels > 0).sum())
    wanted = max(fewest_negatives, int(negatives_per_positive * positives))
    return total / (positives + min(wanted, len(labels) - positives))


def none_without_objects(
    logits: Tensor,
    labels: Tensor,
    negatives_per_positive: float = 3.0,
    fewest_negatives: int = 8,
) -> Tensor:
    """Three times nothing is nothing."""
    return losses.hard_negative_cross_entropy(logits, labels, negatives_per_positive, 0)


def one_negative_each(
    logits: Tensor,
    labels: Tensor,
    negatives_per_positive: float = 3.0,
    fewest_negatives: int = 8,
) -> Tensor:
    """As many negatives as positives."""
    return losses.hard_negative_cross_entropy(logits, labels, 1.0, fewest_negatives)


def more_than_there_are(
    logits: Tensor,
    labels: Tensor,
    negatives_per_positive: float = 3.0,
    fewest_negatives: int = 8,
) -> Tensor:
    """The best eight of three."""
    error = F.cross_entropy(logits, labels, reduction="none")
    positive = labels > 0
    wanted = max(fewest_negatives, int(negatives_per_positive * positive.sum()))
    return error[positive].sum() + error[~positive].topk(wanted).values.sum()


def labels_among(number: int, **positives: int) -> Tensor:
    """Background everywhere but at a few places: at3=2 is class 2 in row 3."""
    labels = torch.zeros(number, dtype=torch.int64)
    for place, label in positives.items():
        labels[int(place.removeprefix("at"))] = label
    return labels


hard_negative_cross_entropy = Exercise(
    reference=losses.hard_negative_cross_entropy,
    cases={
        "one object, one negative wanted": (
            torch.tensor([[0.3, 1.1], [2.0, -1.0], [0.2, 0.9], [-0.4, 0.5]]),
            torch.tensor([1, 0, 0, 0]),
            1.0,
            1,
        ),
        "thirty anchors, four objects": (
            seeded_logits(30, 4, seed=8),
            labels_among(30, at3=2, at11=1, at12=3, at28=1),
        ),
        "no object: the hardest few teach": (seeded_logits(20, 3, seed=9), labels_among(20)),
        "fewer negatives than wanted": (
            seeded_logits(5, 3, seed=10),
            labels_among(5, at1=2, at4=1),
        ),
        "objects alone": (seeded_logits(2, 3, seed=11), torch.tensor([2, 1])),
        "two and a half for each": (
            seeded_logits(16, 3, seed=12),
            labels_among(16, at0=1, at5=2, at9=2),
            2.5,
            2,
        ),
        "no anchors": (torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)),
    },
    mistakes={
        "the easiest negatives were taken": (
            easiest_negatives,
            "Hard means: the network is most wrong about it. Those have the largest error.",
        ),
        "the first negatives were taken, not the hardest": (
            first_negatives,
            "Which negatives come first in the list says nothing. Sort them by their error.",
        ),
        "all negatives were counted": (
            all_negatives,
            "This is plain cross-entropy: thousands of negatives, a handful of positives.",
        ),
        "positives were counted among the negatives": (
            positives_among_negatives,
            "Choose the hardest among error[labels == 0] alone; the positives count anyhow.",
        ),
        "the mean was taken": (
            hard_negative_mean,
            "Return the sum. The caller divides by the number of positive anchors of the batch.",
        ),
        "a picture without objects teaches nothing": (
            none_without_objects,
            "Three times 0 positives is 0 negatives. fewest_negatives is a lower limit: max(…, …).",
        ),
        "only one negative was taken for each positive": (
            one_negative_each,
            "The argument negatives_per_positive says how many.",
        ),
        "more negatives were wanted than there are": (
            more_than_there_are,
            "topk(8) of three numbers raises. Ask for no more than there are: min(…, …).",
        ),
    },
    hints=[
        "F.cross_entropy(logits, labels, reduction='none') gives one error per anchor.",
        "How many negatives: max(fewest_negatives, int(negatives_per_positive · positives)),"
        " but never more than there are.",
        "error[labels == 0].topk(how_many).values are the hardest; add the sum of"
        " error[labels > 0].",
    ],
)
