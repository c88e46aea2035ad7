"""Lesson 04, What and where at once? A box from four raw numbers, and the loss of two tasks."""

from collections.abc import Callable

import torch
from matplotlib.axes import Axes
from torch import Tensor

from detlab.boxes import cxcywh_to_xyxy, xywh_to_xyxy
from detlab.classify import cross_entropy
from detlab.course import single_object as single
from detlab.course.exercises.compare import show
from detlab.course.exercises.exercise import Case, Exercise, Function
from detlab.course.single_object import PairLoss
from detlab.detector.box_losses import giou_loss, l1_loss
from detlab.draw.figures import draw_boxes

# ---------------------------------------------------------------- raw_to_boxes


def boxes_without_sigmoid(raw: Tensor) -> Tensor:
    """The raw numbers as they come."""
    return cxcywh_to_xyxy(raw)


def boxes_of_four_corners(raw: Tensor) -> Tensor:
    """Corners straight from the sigmoid."""
    return raw.sigmoid()


def boxes_that_begin_at_the_centre(raw: Tensor) -> Tensor:
    """The centre read as a corner."""
    return xywh_to_xyxy(raw.sigmoid())


def boxes_with_x_and_y_swapped(raw: Tensor) -> Tensor:
    """First y, then x; first the height."""
    return cxcywh_to_xyxy(raw[:, [1, 0, 3, 2]].sigmoid())


def boxes_with_sides_swapped(raw: Tensor) -> Tensor:
    """Height before width."""
    return cxcywh_to_xyxy(raw[:, [0, 1, 3, 2]].sigmoid())


def boxes_of_twice_the_size(raw: Tensor) -> Tensor:
    """The whole width on each side of the centre."""
    centre, size = raw.sigmoid().split(2, dim=1)
    return torch.cat([centre - size, centre + size], dim=1)


def boxes_with_sigmoid_last(raw: Tensor) -> Tensor:
    """Corners first, sigmoid after."""
    return cxcywh_to_xyxy(raw).sigmoid()


def boxes_by_softmax(raw: Tensor) -> Tensor:
    """Four numbers that sum to 1."""
    return cxcywh_to_xyxy(raw.softmax(dim=1))


def boxes_cut_off(raw: Tensor) -> Tensor:
    """Below 0 and above 1 cut off."""
    return cxcywh_to_xyxy(raw.clamp(0, 1))


def boxes_inside(raw: Tensor) -> Tensor:
    """Right boxes, cut off at the picture's edge."""
    return cxcywh_to_xyxy(raw.sigmoid()).clamp(0, 1)


def draw_fractions(axes: Axes, case: Case, got: object, wanted: Tensor) -> None:
    """The picture as a unit square: right boxes solid, the learner's dashed."""
    axes.set(xlim=(-0.6, 1.6), ylim=(1.6, -0.6), aspect="equal")
    axes.plot([0, 1, 1, 0, 0], [0, 0, 1, 1, 0], color="0.7", linewidth=1)
    axes.set(
        xlabel=f"fractions of the picture (grey)\nyours {show(got, 60)}\nright {show(wanted, 60)}"
    )
    draw_boxes(axes, wanted, "truth")
    if isinstance(got, Tensor) and got.shape == wanted.shape:
        draw_boxes(axes, got.detach().clamp(-0.6, 1.6), "prediction")


raw_to_boxes = Exercise(
    reference=single.raw_to_boxes,
    cases={
        "four zeros": (torch.zeros(1, 4),),
        "a low, flat box on the left": (torch.tensor([[-1.0, 2.0, 0.0, -2.0]]),),
        "three boxes": (
            torch.tensor([[0.3, -0.8, 1.2, 0.1], [-2.5, -2.0, -1.0, -3.0], [1.5, 0.2, -0.4, 0.9]]),
        ),
        "very large and very small numbers": (torch.tensor([[9.0, -9.0, -30.0, 30.0]]),),
        "no boxes": (torch.zeros(0, 4),),
    },
    mistakes={
        "the sigmoid is missing": (
            boxes_without_sigmoid,
            "A raw number can be −7. Fractions of the picture lie between 0 and 1: raw.sigmoid().",
        ),
        "the numbers were cut off at 0 and 1": (
            boxes_cut_off,
            "clamp makes one box of many numbers, and there the gradient is 0. A sigmoid tells them"
            " apart: raw.sigmoid().",
        ),
        "the corners were cut off at the picture's edge": (
            boxes_inside,
            "Leave a corner that lies beyond the picture: cut off, it has no gradient.",
        ),
        "the four numbers were taken for corners": (
            boxes_of_four_corners,
            "Nothing keeps one free corner to the right of the other. Predict centre and size.",
        ),
        "the box begins at its centre": (
            boxes_that_begin_at_the_centre,
            "Half of the width lies to the left of the centre: x1 = cx − w / 2.",
        ),
        "x and y are swapped": (
            boxes_with_x_and_y_swapped,
            "The numbers come as cx, cy, w, h; the box goes out as x1, y1, x2, y2.",
        ),
        "width and height are swapped": (
            boxes_with_sides_swapped,
            "The third number is the width and belongs to x, the fourth is the height.",
        ),
        "the box is twice too large": (
            boxes_of_twice_the_size,
            "Half of the size goes to each side of the centre.",
        ),
        "the sigmoid came last": (
            boxes_with_sigmoid_last,
            "First squeeze centre and size into 0 to 1, then compute corners from them.",
        ),
        "softmax squeezed the numbers": (
            boxes_by_softmax,
            "Softmax makes four numbers compete for a sum of 1. These four are independent.",
        ),
    },
    hints=[
        "Two steps: squeeze every number into 0 to 1, then go from centre and size to corners.",
        "Lesson 02 wrote the second step: cxcywh_to_xyxy. The first is raw.sigmoid().",
        "cx, cy, w, h = raw.sigmoid().unbind(dim=1); then torch.stack([cx − w / 2, …], dim=1).",
    ],
    draw=draw_fractions,
)

# ---------------------------------------------------------------- single_object_loss

Losses = dict[str, Tensor]
Reduce = Callable[[Tensor], Tensor]


def put_together(lcls: Tensor, lbox: Tensor, box_weight: float) -> Losses:
    """The two parts and their weighted sum."""
    return {"class": lcls, "box": lbox, "total": lcls + box_weight * lbox}


def box_means(boxes: Tensor, gt_boxes: Tensor, box_loss: PairLoss) -> Tensor:
    """The box loss as it should be: the sum of each box, the mean over pictures."""
    return to_pictures(box_loss(boxes, gt_boxes)).mean()


def loss_reduced_by(class_part: Reduce, box_part: Reduce) -> Function:
    """A version that brings the class loss [B] and the box loss [B] or [B, 4] down in its way."""

    def reduced(
        logits: Tensor,
        boxes: Tensor,
        labels: Tensor,
        gt_boxes: Tensor,
        box_weight: float = 1.0,
        box_loss: PairLoss = giou_loss,
    ) -> Losses:
        lcls = class_part(cross_entropy(logits, labels))
        return put_together(lcls, box_part(box_loss(boxes, gt_boxes)), box_weight)

    return reduced


def not_at_all(losses: Tensor) -> Tensor:
    """As they came."""
    return losses


def to_pictures(losses: Tensor) -> Tensor:
    """One number a picture, of [B] or [B, 4]."""
    return losses.reshape(len(losses), -1).sum(dim=1)


def along_dim_1(losses: Tensor) -> Tensor:
    """One number a picture, of [B, 4] only: [B] has no dim 1."""
    return losses.sum(dim=1)


def loss_with_lambda_on_class(
    logits: Tensor,
    boxes: Tensor,
    labels: Tensor,
    gt_boxes: Tensor,
    box_weight: float = 1.0,
    box_loss: PairLoss = giou_loss,
) -> Losses:
    """Lambda at the wrong part."""
    lcls = cross_entropy(logits, labels).mean()
    lbox = box_means(boxes, gt_boxes, box_loss)
    return {"class": lcls, "box": lbox, "total": box_weight * lcls + lbox}


def loss_with_lambda_on_both(
    logits: Tensor,
    boxes: Tensor,
    labels: Tensor,
    gt_boxes: Tensor,
    box_weight: float = 1.0,
    box_loss: PairLoss = giou_loss,
) -> Losses:
    """Lambda around the sum."""
    lcls = cross_entropy(logits, labels).mean()
    lbox = box_means(boxes, gt_boxes, box_loss)
    return {"class": lcls, "box": lbox, "total": box_weight * (lcls + lbox)}


def loss_without_boxes(
    logits: Tensor,
    boxes: Tensor,
    labels: Tensor,
    gt_boxes: Tensor,
    box_weight: float = 1.0,
    box_loss: PairLoss = giou_loss,
) -> Losses:
    """The total is the class loss."""
    lcls = cross_entropy(logits, labels).mean()
    return {"class": lcls, "box": box_means(boxes, gt_boxes, box_loss), "total": lcls}


def loss_without_lambda(
    logits: Tensor,
    boxes: Tensor,
    labels: Tensor,
    gt_boxes: Tensor,
    box_weight: float = 1.0,
    box_loss: PairLoss = giou_loss,
) -> Losses:
    """Lambda is taken and never used."""
    return single.single_object_loss(logits, boxes, labels, gt_boxes, 1.0, box_loss)


def loss_of_labels_from_zero(
    logits: Tensor,
    boxes: Tensor,
    labels: Tensor,
    gt_boxes: Tensor,
    box_weight: float = 1.0,
    box_loss: PairLoss = giou_loss,
) -> Losses:
    """Labels moved down by one, as if there were no background."""
    return single.single_object_loss(logits, boxes, labels - 1, gt_boxes, box_weight, box_loss)


def loss_with_giou_always(
    logits: Tensor,
    boxes: Tensor,
    labels: Tensor,
    gt_boxes: Tensor,
    box_weight: float = 1.0,
    box_loss: PairLoss = giou_loss,
) -> Losses:
    """The given box loss is never called."""
    return single.single_object_loss(logits, boxes, labels, gt_boxes, box_weight)


def loss_of_truth_first(
    logits: Tensor,
    boxes: Tensor,
    labels: Tensor,
    gt_boxes: Tensor,
    box_weight: float = 1.0,
    box_loss: PairLoss = giou_loss,
) -> Losses:
    """The class loss over the wrong axis: over classes, where it goes over pictures."""
    return single.single_object_loss(
        logits.softmax(dim=0).log(), boxes, labels, gt_boxes, box_weight, box_loss
    )


def loss_total_alone(
    logits: Tensor,
    boxes: Tensor,
    labels: Tensor,
    gt_boxes: Tensor,
    box_weight: float = 1.0,
    box_loss: PairLoss = giou_loss,
) -> Tensor:
    """One number where three were asked for."""
    return single.single_object_loss(logits, boxes, labels, gt_boxes, box_weight, box_loss)["total"]


def first_batch(number: int) -> Case:
    """Logits of five classes, boxes, labels, true boxes, all in fractions of the picture."""
    generator = torch.Generator().manual_seed(number)
    logits = torch.randn(number, 5, generator=generator)
    labels = torch.randint(1, 5, (number,), generator=generator)
    corner = 0.5 * torch.rand(2, number, 2, generator=generator)
    size = 0.1 + 0.4 * torch.rand(2, number, 2, generator=generator)
    boxes, gt_boxes = torch.cat([corner, corner + size], dim=2)
    return logits, boxes, labels, gt_boxes


one_picture: Case = (
    torch.zeros(1, 2),
    torch.tensor([[0.0, 0.0, 0.4, 0.2]]),
    torch.tensor([1]),
    torch.tensor([[0.2, 0.0, 0.4, 0.2]]),
)

ONE_NUMBER_A_BOX = (
    "GIoU gives [B], one number a box, L1 gives [B, 4]. .reshape(len(boxes), -1) first makes it"
    " [B, 1], and leaves [B, 4] as it is."
)

single_object_loss = Exercise(
    reference=single.single_object_loss,
    cases={
        "one picture": one_picture,
        "one picture, lambda 3": (*one_picture, 3.0),
        "four pictures, lambda ½": (*first_batch(4), 0.5),
        "four pictures, L1, lambda 2": (*first_batch(4), 2.0, l1_loss),
        "three pictures, lambda 0": (*first_batch(3), 0.0),
    },
    mistakes={
        "only the total came back": (
            loss_total_alone,
            'All three are wanted, by name: {"class": lcls, "box": lbox, "total": …}.',
        ),
        "the class loss stays one number a picture": (
            loss_reduced_by(not_at_all, lambda losses: to_pictures(losses).mean()),
            "cross_entropy gives one loss a picture, [B]. Training needs one number: .mean().",
        ),
        "the box loss stays one number a picture": (
            loss_reduced_by(Tensor.mean, to_pictures),
            "sum(dim=1) leaves one loss a picture, [B]. The mean over the pictures is missing.",
        ),
        "both losses stay one number a picture": (
            loss_reduced_by(not_at_all, to_pictures),
            "Training makes one number smaller, not B of them: .mean() over the pictures, twice.",
        ),
        "sum(dim=1) met a box loss that has no dim 1": (
            loss_reduced_by(Tensor.mean, lambda losses: along_dim_1(losses).mean()),
            ONE_NUMBER_A_BOX,
        ),
        "sum(dim=1) met a box loss that has no dim 1; its mean is missing, too": (
            loss_reduced_by(Tensor.mean, along_dim_1),
            ONE_NUMBER_A_BOX,
        ),
        "sum(dim=1) met a box loss that has no dim 1; the class loss has no mean": (
            loss_reduced_by(not_at_all, lambda losses: along_dim_1(losses).mean()),
            ONE_NUMBER_A_BOX,
        ),
        "sum(dim=1) met a box loss that has no dim 1; both means are missing, too": (
            loss_reduced_by(not_at_all, along_dim_1),
            ONE_NUMBER_A_BOX,
        ),
        "both losses were added up over the batch": (
            loss_reduced_by(Tensor.sum, Tensor.sum),
            "Then twice as many pictures are twice as wrong. Take the mean over the pictures.",
        ),
        "the box loss was added up over the batch": (
            loss_reduced_by(Tensor.mean, Tensor.sum),
            "Both parts must be means over the pictures, or lambda changes with the batch size.",
        ),
        "the box loss was averaged over the four numbers": (
            loss_reduced_by(Tensor.mean, Tensor.mean),
            "A box is wrong by all of its four numbers together: add those up, then take the mean"
            " over the pictures.",
        ),
        "lambda weighs the class loss": (
            loss_with_lambda_on_class,
            "L = Lcls + lambda · Lbox. With lambda 0 the class must still be learned.",
        ),
        "lambda weighs both losses": (
            loss_with_lambda_on_both,
            "A weight around the sum changes how large the loss is, not what matters in it.",
        ),
        "the box loss was left out": (
            loss_without_boxes,
            "The total needs both parts: what is not in it is not learned.",
        ),
        "lambda is not used": (
            loss_without_lambda,
            "box_weight is the lambda in L = Lcls + lambda · Lbox.",
        ),
        "labels were moved down by one": (
            loss_of_labels_from_zero,
            "Column 0 of the logits is background, column 1 the first class: labels fit already.",
        ),
        "GIoU is used, whatever box loss is given": (
            loss_with_giou_always,
            "Call the box_loss that you are given: box_loss(boxes, gt_boxes).",
        ),
        "softmax ran over the pictures": (
            loss_of_truth_first,
            "The classes of one picture compete with each other: softmax goes along a row, dim 1.",
        ),
    },
    hints=[
        "Three numbers: lcls and lbox, both means over the pictures, and lcls + box_weight · lbox.",
        "lcls = cross_entropy(logits, labels).mean(). box_loss(boxes, gt_boxes) is [B] or [B, 4].",
        "box_loss(boxes, gt_boxes).reshape(len(boxes), -1).sum(dim=1) is one loss a picture for"
        " both; then .mean().",
    ],
)
"""The batch's class loss and box loss; its cases go with lambda and with the box loss."""
