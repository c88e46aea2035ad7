"""Lesson 09, The real thing: the loss of a matched batch, and the raw boxes of a picture."""

from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from torch import Tensor

from detlab.boxes import clip_boxes
from detlab.course.exercises.compare import show
from detlab.course.exercises.examples import seeded_boxes
from detlab.course.exercises.exercise import Case, Exercise
from detlab.detector import box_losses, losses, postprocess
from detlab.detector.anchors import decode_deltas
from detlab.detector.box_losses import BoxLoss
from detlab.detector.losses import ClassLoss
from detlab.detector.postprocess import to_scores
from detlab.draw.figures import draw_boxes
from detlab.types import Activation, Predictions

Lost = dict[str, Tensor]


def predictions_of(
    images: int,
    seed: int,
    activation: Activation = "softmax",
    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0),
    anchors: int = 6,
) -> Predictions:
    """What a network of three classes might predict for a batch."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(images, anchors, 3, generator=generator) * 2
    if activation == "sigmoid":
        logits[..., 0] = -6.0  # trained with sigmoid, column 0 is silent
    deltas = torch.randn(images, anchors, 4, generator=generator) * 0.3
    return Predictions(logits, deltas, seeded_boxes(anchors, seed=seed), activation, weights)


def in_half_precision(predictions: Predictions) -> Predictions:
    """The same, as a network under automatic mixed precision says it."""
    logits, deltas = predictions.logits.bfloat16(), predictions.deltas.bfloat16()
    return predictions._replace(logits=logits, deltas=deltas)


# ---------------------------------------------------------------- matched_loss


def batch(
    predictions: Predictions,
    labels: Sequence[Sequence[int]],
    ignored: Sequence[tuple[int, int]],
    class_loss: ClassLoss,
    box_loss: BoxLoss,
    box_weight: float,
) -> Case:
    """A case: labels an anchor, which (picture, anchor) are ignored, and the two losses."""
    answers = torch.tensor(labels)
    boxes = torch.stack(
        [seeded_boxes(answers.shape[1], seed=40 + row) for row in range(len(labels))]
    )
    counted = torch.ones_like(answers, dtype=torch.bool)
    for row, anchor in ignored:
        counted[row, anchor] = False
    gt_boxes = boxes * (answers > 0)[:, :, None]
    return (predictions, answers, gt_boxes, counted, class_loss, box_loss, box_weight)


def join(lcls: Tensor, lbox: Tensor, box_weight: float) -> Lost:
    """The dict that is asked for."""
    return {"class": lcls, "box": lbox, "total": lcls + box_weight * lbox}


def class_sum(
    predictions: Predictions, labels: Tensor, counted: Tensor, class_loss: ClassLoss
) -> Tensor:
    """The class loss, picture by picture, not yet divided."""
    logits = predictions.logits.float()
    losses_ = [class_loss(logits[i][counted[i]], labels[i][counted[i]]) for i in range(len(labels))]
    return torch.stack(losses_).sum()


def box_sum(
    predictions: Predictions, gt_boxes: Tensor, learning: Tensor, box_loss: BoxLoss
) -> Tensor:
    """The box loss of the anchors that learn one, not yet divided."""
    anchors = predictions.anchors.expand_as(gt_boxes)[learning]
    deltas = predictions.deltas.float()[learning]
    return box_loss(deltas, anchors, gt_boxes[learning], predictions.delta_weights)


def positives(labels: Tensor) -> Tensor:
    """What to divide by."""
    return (labels > 0).sum().clamp(min=1)


def loss_over_all_anchors(
    predictions: Predictions,
    labels: Tensor,
    gt_boxes: Tensor,
    counted: Tensor,
    class_loss: ClassLoss,
    box_loss: BoxLoss,
    box_weight: float,
) -> Lost:
    """A mean over everything there is."""
    lcls = class_sum(predictions, labels, counted, class_loss) / labels.numel()
    lbox = box_sum(predictions, gt_boxes, labels > 0, box_loss) / labels.numel()
    return join(lcls, lbox, box_weight)


def loss_with_the_ignored(
    predictions: Predictions,
    labels: Tensor,
    gt_boxes: Tensor,
    counted: Tensor,
    class_loss: ClassLoss,
    box_loss: BoxLoss,
    box_weight: float,
) -> Lost:
    """`counted` is never looked at."""
    everything = torch.ones_like(counted)
    return losses.matched_loss(
        predictions, labels, gt_boxes, everything, class_loss, box_loss, box_weight
    )


def loss_of_positives(
    predictions: Predictions,
    labels: Tensor,
    gt_boxes: Tensor,
    counted: Tensor,
    class_loss: ClassLoss,
    box_loss: BoxLoss,
    box_weight: float,
) -> Lost:
    """Background is never taught."""
    return losses.matched_loss(
        predictions, labels, gt_boxes, labels > 0, class_loss, box_loss, box_weight
    )


def loss_with_boxes_for_background(
    predictions: Predictions,
    labels: Tensor,
    gt_boxes: Tensor,
    counted: Tensor,
    class_loss: ClassLoss,
    box_loss: BoxLoss,
    box_weight: float,
) -> Lost:
    """Anchors without an object learn a box of zeros."""
    lcls = class_sum(predictions, labels, counted, class_loss) / positives(labels)
    lbox = box_sum(predictions, gt_boxes, counted, box_loss) / positives(labels)
    return join(lcls, lbox, box_weight)


def loss_with_lambda_on_the_class(
    predictions: Predictions,
    labels: Tensor,
    gt_boxes: Tensor,
    counted: Tensor,
    class_loss: ClassLoss,
    box_loss: BoxLoss,
    box_weight: float,
) -> Lost:
    """The weight on the other term."""
    found = losses.matched_loss(predictions, labels, gt_boxes, counted, class_loss, box_loss, 1.0)
    return {**found, "total": box_weight * found["class"] + found["box"]}


def loss_without_lambda(
    predictions: Predictions,
    labels: Tensor,
    gt_boxes: Tensor,
    counted: Tensor,
    class_loss: ClassLoss,
    box_loss: BoxLoss,
    box_weight: float,
) -> Lost:
    """No weight at all."""
    return losses.matched_loss(predictions, labels, gt_boxes, counted, class_loss, box_loss, 1.0)


def loss_without_clamp(
    predictions: Predictions,
    labels: Tensor,
    gt_boxes: Tensor,
    counted: Tensor,
    class_loss: ClassLoss,
    box_loss: BoxLoss,
    box_weight: float,
) -> Lost:
    """Divides by zero where there is no object."""
    number = (labels > 0).sum()
    lcls = class_sum(predictions, labels, counted, class_loss) / number
    lbox = box_sum(predictions, gt_boxes, labels > 0, box_loss) / number
    return join(lcls, lbox, box_weight)


def loss_without_clamp_on_the_class(
    predictions: Predictions,
    labels: Tensor,
    gt_boxes: Tensor,
    counted: Tensor,
    class_loss: ClassLoss,
    box_loss: BoxLoss,
    box_weight: float,
) -> Lost:
    """The box loss is safe, the class loss divides by zero where there is no object."""
    lcls = class_sum(predictions, labels, counted, class_loss) / (labels > 0).sum()
    lbox = box_sum(predictions, gt_boxes, labels > 0, box_loss) / positives(labels)
    return join(lcls, lbox, box_weight)


def loss_of_one_pool(
    predictions: Predictions,
    labels: Tensor,
    gt_boxes: Tensor,
    counted: Tensor,
    class_loss: ClassLoss,
    box_loss: BoxLoss,
    box_weight: float,
) -> Lost:
    """The anchors of all pictures in one class loss."""
    pool = class_loss(predictions.logits.float()[counted], labels[counted])
    lbox = box_sum(predictions, gt_boxes, labels > 0, box_loss)
    return join(pool / positives(labels), lbox / positives(labels), box_weight)


def loss_divided_by_picture(
    predictions: Predictions,
    labels: Tensor,
    gt_boxes: Tensor,
    counted: Tensor,
    class_loss: ClassLoss,
    box_loss: BoxLoss,
    box_weight: float,
) -> Lost:
    """Each picture divided by its own positives, then the mean."""
    alone = []
    for i in range(len(labels)):
        picture = predictions._replace(
            logits=predictions.logits[i, None], deltas=predictions.deltas[i, None]
        )
        known = labels[i, None], gt_boxes[i, None], counted[i, None]
        alone.append(losses.matched_loss(picture, *known, class_loss, box_loss, box_weight))
    return {name: torch.stack([each[name] for each in alone]).mean() for name in alone[0]}


def loss_in_half_precision(
    predictions: Predictions,
    labels: Tensor,
    gt_boxes: Tensor,
    counted: Tensor,
    class_loss: ClassLoss,
    box_loss: BoxLoss,
    box_weight: float,
) -> Lost:
    """Counts in whatever precision the network has."""
    rows = range(len(labels))
    logits, positive = predictions.logits, labels > 0
    lcls = [class_loss(logits[i][counted[i]], labels[i][counted[i]]) for i in rows]
    anchors = predictions.anchors.expand_as(gt_boxes)[positive].to(logits.dtype)
    wanted = gt_boxes[positive].to(logits.dtype)
    lbox = box_loss(predictions.deltas[positive], anchors, wanted, predictions.delta_weights)
    number = positives(labels)
    return join(torch.stack(lcls).sum() / number, lbox / number, box_weight)


matched_loss = Exercise(
    reference=losses.matched_loss,
    cases={
        "one picture, two objects": batch(
            predictions_of(1, seed=1),
            [[1, 0, 0, 2, 0, 0]],
            [],
            losses.focal_loss,
            box_losses.l1_box_loss,
            1.0,
        ),
        "lambda 5, and an ignored anchor in each picture": batch(
            predictions_of(2, seed=2, activation="sigmoid"),
            [[0, 2, 0, 0, 0, 1], [0, 0, 1, 0, 0, 0]],
            [(0, 2), (1, 4)],
            losses.focal_loss,
            box_losses.smooth_l1_box_loss,
            5.0,
        ),
        "no object in any picture": batch(
            predictions_of(2, seed=3),
            [[0] * 6, [0] * 6],
            [],
            losses.hard_negative_cross_entropy,
            box_losses.l1_box_loss,
            2.0,
        ),
        "hard negatives, chosen picture by picture": batch(
            predictions_of(2, seed=4, anchors=30, weights=(10.0, 10.0, 5.0, 5.0)),
            [[2, *[0] * 20, 1, *[0] * 8], [0] * 30],
            [(0, 5), (1, 7)],
            losses.hard_negative_cross_entropy,
            box_losses.smooth_l1_box_loss,
            0.5,
        ),
        "a network that answers in bfloat16": batch(
            in_half_precision(predictions_of(2, seed=6)),
            [[1, 0, 0, 0, 0, 0], [0, 2, 1, 0, 0, 0]],
            [(1, 5)],
            losses.hard_negative_cross_entropy,
            box_losses.giou_box_loss,
            5.0,
        ),
    },
    mistakes={
        "both losses were averaged over all anchors": (
            loss_over_all_anchors,
            "Most anchors see only water, and more of them would make the loss smaller."
            " Divide by the number of positive anchors.",
        ),
        "ignored anchors were counted": (
            loss_with_the_ignored,
            "An anchor that is too close to call must teach nothing: take only the rows where"
            " `counted` is True into the class loss.",
        ),
        "only the positives entered the class loss": (
            loss_of_positives,
            "Who never sees background never learns to be silent. Every counted anchor learns a"
            " class; background is class 0.",
        ),
        "background learned boxes": (
            loss_with_boxes_for_background,
            "An anchor without an object has no box to learn: its gt_box is four zeros."
            " The box loss takes the rows with labels > 0.",
        ),
        "the lambda is on the class loss": (
            loss_with_lambda_on_the_class,
            "L = Lcls + lambda · Lbox: box_weight weighs the boxes.",
        ),
        "the lambda was left out of the total": (
            loss_without_lambda,
            "L = Lcls + lambda · Lbox: multiply the box loss by box_weight in the total.",
        ),
        "without a positive anchor it divides by 0": (
            loss_without_clamp,
            "A batch of empty water has no positive anchor. Divide by 1 then: clamp(min=1).",
        ),
        "without a positive anchor the class loss divides by 0": (
            loss_without_clamp_on_the_class,
            "The box loss has nothing to add up there, the class loss has: empty water teaches"
            " background. Divide both by (labels > 0).sum().clamp(min=1).",
        ),
        "all pictures went into one class loss": (
            loss_of_one_pool,
            "class_loss takes the anchors of one picture, since hard negatives are chosen per"
            " picture. Loop over the pictures and add up.",
        ),
        "each picture was divided by its own positives": (
            loss_divided_by_picture,
            "A picture with one object would weigh as much as one with ten."
            " Add up over the batch first, then divide once.",
        ),
        "the losses were counted in half precision": (
            loss_in_half_precision,
            "bfloat16 has two or three digits. Turn logits and deltas to .float() first.",
        ),
    },
    hints=[
        "Three masks say it all: labels > 0 learn a box, `counted` learn a class, and the number"
        " of labels > 0 (at least 1) divides both sums.",
        "Class: add up class_loss(logits[row][counted[row]], labels[row][counted[row]]) over the"
        " pictures. Box: with positive = labels > 0, predictions.deltas[positive] are all the"
        " deltas of the batch that learn.",
        "predictions.anchors are [A, 4], the same for every picture:"
        " predictions.anchors.expand_as(gt_boxes)[positive] gives each positive its anchor."
        " Then box_loss(deltas, anchors, gt_boxes[positive], predictions.delta_weights).",
    ],
)

# ---------------------------------------------------------------- select_candidates

Raw = tuple[Tensor, Tensor, Tensor]


def decoded(predictions: Predictions, row: int, anchor: Tensor) -> Tensor:
    """The boxes of the chosen anchors."""
    deltas, weights = predictions.deltas[row, anchor].float(), predictions.delta_weights
    return decode_deltas(deltas, predictions.anchors[anchor], weights)


def read(
    predictions: Predictions,
    row: int,
    anchor: Tensor,
    label: Tensor,
    scores: Tensor,
    image_size: tuple[int, int],
) -> Raw:
    """Decode and clip the chosen anchors."""
    return clip_boxes(decoded(predictions, row, anchor), image_size), label, scores


def scores_of(predictions: Predictions, row: int) -> Tensor:
    """Scores of one picture [A, K]."""
    return to_scores(predictions.logits[row].float(), predictions.activation)


def table_with_background(predictions: Predictions, row: int) -> Tensor:
    """Scores of one picture [A, K]; softmax's background keeps its score."""
    logits = predictions.logits[row].float()
    return logits.softmax(dim=1) if predictions.activation == "softmax" else logits.sigmoid()


def best_above(scores: Tensor, above: Tensor, most: int) -> Raw:
    """Anchor, label and score of what is above, best first."""
    anchor, label = above.nonzero().unbind(dim=1)
    found, order = scores[anchor, label].sort(descending=True, stable=True)
    return anchor[order][:most], label[order][:most], found[:most]


def candidates_by_logit(
    predictions: Predictions,
    row: int,
    image_size: tuple[int, int],
    score_threshold: float,
    max_candidates: int,
) -> Raw:
    """The threshold before softmax or sigmoid."""
    scores, logits = scores_of(predictions, row), predictions.logits[row].float()
    above = (logits > score_threshold) & (scores > 0)  # softmax's background scores 0
    return read(predictions, row, *best_above(scores, above, max_candidates), image_size)


def candidates_unclipped(
    predictions: Predictions,
    row: int,
    image_size: tuple[int, int],
    score_threshold: float,
    max_candidates: int,
) -> Raw:
    """Decoded, and left as they are."""
    scores = scores_of(predictions, row)
    anchor, label, found = best_above(scores, scores > score_threshold, max_candidates)
    return decoded(predictions, row, anchor), label, found


def candidates_clipped_to_width_and_height(
    predictions: Predictions,
    row: int,
    image_size: tuple[int, int],
    score_threshold: float,
    max_candidates: int,
) -> Raw:
    """image_size read as (width, height)."""
    return postprocess.select_candidates(
        predictions, row, image_size[::-1], score_threshold, max_candidates
    )


def candidates_one_class_an_anchor(
    predictions: Predictions,
    row: int,
    image_size: tuple[int, int],
    score_threshold: float,
    max_candidates: int,
) -> Raw:
    """Only an anchor's best class."""
    scores = scores_of(predictions, row)
    best = scores == scores.amax(dim=1, keepdim=True)
    above = best & (scores > score_threshold)
    return read(predictions, row, *best_above(scores, above, max_candidates), image_size)


def candidates_as_anchors(
    predictions: Predictions,
    row: int,
    image_size: tuple[int, int],
    score_threshold: float,
    max_candidates: int,
) -> Raw:
    """The deltas are never used."""
    still = predictions._replace(deltas=torch.zeros_like(predictions.deltas))
    return postprocess.select_candidates(still, row, image_size, score_threshold, max_candidates)


def candidates_with_background(
    predictions: Predictions,
    row: int,
    image_size: tuple[int, int],
    score_threshold: float,
    max_candidates: int,
) -> Raw:
    """Softmax's column 0 taken for a class."""
    scores = table_with_background(predictions, row)
    chosen = best_above(scores, scores > score_threshold, max_candidates)
    return read(predictions, row, *chosen, image_size)


def candidates_with_background_as_class_1(
    predictions: Predictions,
    row: int,
    image_size: tuple[int, int],
    score_threshold: float,
    max_candidates: int,
) -> Raw:
    """Softmax's column 0 taken for a class, and one added to every label."""
    scores = table_with_background(predictions, row)
    anchor, label, found = best_above(scores, scores > score_threshold, max_candidates)
    return read(predictions, row, anchor, label + 1, found, image_size)


def candidates_one_label_up(
    predictions: Predictions,
    row: int,
    image_size: tuple[int, int],
    score_threshold: float,
    max_candidates: int,
) -> Raw:
    """One added to every label, though column 0 is still there."""
    boxes, labels, scores = postprocess.select_candidates(
        predictions, row, image_size, score_threshold, max_candidates
    )
    return boxes, labels + 1, scores


def candidates_one_label_down(
    predictions: Predictions,
    row: int,
    image_size: tuple[int, int],
    score_threshold: float,
    max_candidates: int,
) -> Raw:
    """Column 0 cut off, and what is left counted from 0."""
    scores = scores_of(predictions, row)[:, 1:]
    chosen = best_above(scores, scores > score_threshold, max_candidates)
    return read(predictions, row, *chosen, image_size)


def candidates_among_animals(
    predictions: Predictions,
    row: int,
    image_size: tuple[int, int],
    score_threshold: float,
    max_candidates: int,
) -> Raw:
    """Softmax without the background logit: the scores of the animals sum to 1 everywhere."""
    animals = predictions._replace(logits=predictions.logits[..., 1:])
    scores = table_with_background(animals, row)
    anchor, column, found = best_above(scores, scores > score_threshold, max_candidates)
    return read(predictions, row, anchor, column + 1, found, image_size)


def candidates_by_sigmoid(
    predictions: Predictions,
    row: int,
    image_size: tuple[int, int],
    score_threshold: float,
    max_candidates: int,
) -> Raw:
    """What to_scores does when it is not told."""
    told = predictions._replace(activation="sigmoid")
    return postprocess.select_candidates(told, row, image_size, score_threshold, max_candidates)


def candidates_by_softmax(
    predictions: Predictions,
    row: int,
    image_size: tuple[int, int],
    score_threshold: float,
    max_candidates: int,
) -> Raw:
    """Softmax, though the network was trained with sigmoid."""
    told = predictions._replace(activation="softmax")
    return postprocess.select_candidates(told, row, image_size, score_threshold, max_candidates)


def candidates_unsorted(
    predictions: Predictions,
    row: int,
    image_size: tuple[int, int],
    score_threshold: float,
    max_candidates: int,
) -> Raw:
    """In the order of the anchors; the first so many stay."""
    scores = scores_of(predictions, row)
    anchor, label = (scores > score_threshold).nonzero()[:max_candidates].unbind(dim=1)
    return read(predictions, row, anchor, label, scores[anchor, label], image_size)


def candidates_of_the_first_picture(
    predictions: Predictions,
    row: int,
    image_size: tuple[int, int],
    score_threshold: float,
    max_candidates: int,
) -> Raw:
    """`row` is never looked at."""
    return postprocess.select_candidates(
        predictions, 0, image_size, score_threshold, max_candidates
    )


def candidates_without_weights(
    predictions: Predictions,
    row: int,
    image_size: tuple[int, int],
    score_threshold: float,
    max_candidates: int,
) -> Raw:
    """Deltas read as if they had been multiplied by 1."""
    plain = predictions._replace(delta_weights=(1.0, 1.0, 1.0, 1.0))
    return postprocess.select_candidates(plain, row, image_size, score_threshold, max_candidates)


def candidates_at_the_threshold(
    predictions: Predictions,
    row: int,
    image_size: tuple[int, int],
    score_threshold: float,
    max_candidates: int,
) -> Raw:
    """>= for >."""
    scores = scores_of(predictions, row)
    above = (scores >= score_threshold) & (scores > 0)
    return read(predictions, row, *best_above(scores, above, max_candidates), image_size)


def candidates_without_limit(
    predictions: Predictions,
    row: int,
    image_size: tuple[int, int],
    score_threshold: float,
    max_candidates: int,
) -> Raw:
    """All of them."""
    return postprocess.select_candidates(predictions, row, image_size, score_threshold, 10**6)


def draw_candidates(axes: Axes, case: Case, got: object, wanted: Raw) -> None:
    """The picture's frame, what should have come, and what came."""
    height, width = case[2]
    axes.set(xlim=(-12, width + 12), ylim=(height + 12, -12), aspect="equal", ylabel="y, pixels")
    names = [
        f"{label}: {score:.2f}"
        for label, score in zip(*map(Tensor.tolist, wanted[1:]), strict=True)
    ]
    draw_boxes(axes, wanted[0], "truth", names)
    boxes = got[0] if isinstance(got, tuple) and got else None
    if isinstance(boxes, Tensor) and boxes.dim() == 2 and boxes.shape[1] == 4:
        draw_boxes(axes, boxes.float(), "prediction")
    axes.set_xlabel(f"yours {show(boxes, 60)}\nright {show(wanted[0], 60)}")


select_candidates = Exercise(
    reference=postprocess.select_candidates,
    cases={
        "softmax: a few sure anchors": (predictions_of(1, seed=11), 0, (40, 60), 0.3, 100),
        "sigmoid: an anchor can speak for two classes": (
            predictions_of(1, seed=12, activation="sigmoid"),
            0,
            (40, 60),
            0.4,
            100,
        ),
        "the second picture, and not square": (predictions_of(2, seed=13), 1, (22, 36), 0.2, 100),
        "a score exactly at the threshold": (
            Predictions(
                torch.tensor([[[-9.0, 0.0, 0.5], [-9.0, -1.0, 0.25]]]),
                torch.zeros(1, 2, 4),
                seeded_boxes(2, seed=14),
            ),
            0,
            (40, 60),
            0.5,
            100,
        ),
        "room for three": (predictions_of(1, seed=15, anchors=9), 0, (40, 60), 0.1, 3),
        "nothing is sure enough": (predictions_of(1, seed=16), 0, (40, 60), 0.999, 100),
        "delta weights": (
            predictions_of(1, seed=17, weights=(10.0, 10.0, 5.0, 5.0)),
            0,
            (40, 60),
            0.25,
            100,
        ),
    },
    mistakes={
        "the threshold was held against the logits": (
            candidates_by_logit,
            "A logit of 2 is no probability. First to_scores, then the threshold.",
        ),
        "boxes reach out of the picture": (
            candidates_unclipped,
            "An animal that is cut off by the edge has its box end there: clip_boxes.",
        ),
        "image_size was read as (width, height)": (
            candidates_clipped_to_width_and_height,
            "image_size is (height, width), in that order, everywhere.",
        ),
        "each anchor spoke for one class only": (
            candidates_one_class_an_anchor,
            "Two classes of one anchor may both be above the threshold. Look at every entry of the"
            " [A, K] table: (scores > score_threshold).nonzero().",
        ),
        "the anchors came back, not the boxes": (
            candidates_as_anchors,
            "An anchor is where the guess began. decode_deltas moves and stretches it.",
        ),
        "background was among the labels": (
            candidates_with_background,
            "Being sure of water is no detection. to_scores gives background the score 0.",
        ),
        "background was kept and became class 1": (
            candidates_with_background_as_class_1,
            "Column 0 is background, so a class's column is its label: add nothing. And being sure"
            " of water is no detection: to_scores gives background the score 0.",
        ),
        "every label was one too large": (
            candidates_one_label_up,
            "Column 0 is background, so column 1 is class 1 already: the column is the label.",
        ),
        "every label was one too small": (
            candidates_one_label_down,
            "With background cut off, the first column left is class 1: add 1 to the column. Or"
            " leave column 0 in; to_scores has made it 0.",
        ),
        "the softmax ran over the animals alone": (
            candidates_among_animals,
            "Background takes part in the softmax, too, and where there is water it gets nearly"
            " all. to_scores on all columns first; then leave background out.",
        ),
        "sigmoid was taken, whatever the network's activation": (
            candidates_by_sigmoid,
            "A network that was trained with softmax gives scores that sum to 1 over the classes:"
            " to_scores(logits, predictions.activation).",
        ),
        "softmax was taken, whatever the network's activation": (
            candidates_by_softmax,
            "A network that was trained with sigmoid answers class by class:"
            " to_scores(logits, predictions.activation).",
        ),
        "the order is that of the anchors": (
            candidates_unsorted,
            "NMS and AP want the best first; and whoever cuts before sorting may lose the best.",
        ),
        "another picture of the batch was read": (
            candidates_of_the_first_picture,
            "Read logits[row] and deltas[row].",
        ),
        "the delta weights were not undone": (
            candidates_without_weights,
            "decode_deltas(deltas, anchors, predictions.delta_weights).",
        ),
        "a score equal to the threshold was enough": (
            candidates_at_the_threshold,
            "A detection scores more than the threshold: > and not >=.",
        ),
        "max_candidates was not kept": (
            candidates_without_limit,
            "NMS compares each with each, so only the best max_candidates go in.",
        ),
    },
    hints=[
        "Five steps: scores, who is above the threshold, sort, keep the best, decode and clip.",
        "anchor, label = (scores > score_threshold).nonzero().unbind(dim=1) lists every pair of"
        " anchor and class; scores[anchor, label] are their scores.",
        "Sort these scores with descending=True; the second thing that sort returns puts anchor and"
        " label into the same order. Then decode_deltas on deltas[row, anchor] and"
        " anchors[anchor], and clip_boxes at the end.",
    ],
    draw=draw_candidates,
)
