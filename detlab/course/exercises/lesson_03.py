"""Lesson 03, Can a network point? Smooth L1, and the generalized IoU of boxes apart."""

import torch
from matplotlib.axes import Axes
from torch import Tensor
from torchvision.ops import generalized_box_iou

from detlab import boxes
from detlab.boxes import box_area, box_iou, paired_iou, union_area
from detlab.course.exercises.compare import show
from detlab.course.exercises.examples import draw_pair, seeded_boxes, table
from detlab.course.exercises.exercise import Case, Exercise
from detlab.detector import box_losses

# ---------------------------------------------------------------- smooth_l1_loss


def smooth_l1_of_signed_errors(predicted: Tensor, wanted: Tensor, beta: float = 1.0) -> Tensor:
    """The error keeps its sign, so every guess that is too low counts as gentle."""
    error = predicted - wanted
    return torch.where(error < beta, error**2 / (2 * beta), error - beta / 2)


def smooth_l1_with_a_step(predicted: Tensor, wanted: Tensor, beta: float = 1.0) -> Tensor:
    """The straight part is not lowered to meet the curve."""
    distance = (predicted - wanted).abs()
    return torch.where(distance < beta, distance**2 / (2 * beta), distance)


def smooth_l1_without_the_half(predicted: Tensor, wanted: Tensor, beta: float = 1.0) -> Tensor:
    """A square twice as high."""
    distance = (predicted - wanted).abs()
    return torch.where(distance < beta, distance**2 / beta, distance - beta / 2)


def smooth_l1_with_the_pieces_swapped(
    predicted: Tensor, wanted: Tensor, beta: float = 1.0
) -> Tensor:
    """Straight near the goal, a square far away."""
    distance = (predicted - wanted).abs()
    return torch.where(distance >= beta, distance**2 / (2 * beta), distance - beta / 2)


def smooth_l1_of_beta_one(predicted: Tensor, wanted: Tensor, beta: float = 1.0) -> Tensor:
    """Beta is taken and never used."""
    return box_losses.smooth_l1_loss(predicted, wanted)


def huber(predicted: Tensor, wanted: Tensor, beta: float = 1.0) -> Tensor:
    """Huber's loss: the same, times beta."""
    return beta * box_losses.smooth_l1_loss(predicted, wanted, beta)


def smooth_l1_summed(predicted: Tensor, wanted: Tensor, beta: float = 1.0) -> Tensor:
    """One number for all."""
    return box_losses.smooth_l1_loss(predicted, wanted, beta).sum()


def smooth_l1_averaged(predicted: Tensor, wanted: Tensor, beta: float = 1.0) -> Tensor:
    """The mean of all."""
    return box_losses.smooth_l1_loss(predicted, wanted, beta).mean()


def draw_values(axes: Axes, case: Case, got: object, wanted: Tensor) -> None:
    """The loss of every error: right as a line, the learner's as crosses."""
    predicted, goal, *beta = case
    error = (predicted - goal).flatten()
    across = torch.linspace(-1, 1, 101) * (error.abs().max().item() + 1 if len(error) else 1)
    axes.plot(across, box_losses.smooth_l1_loss(across, torch.zeros(101), *beta), label="right")
    if isinstance(got, Tensor) and got.shape == wanted.shape:
        axes.plot(error, got.detach().flatten(), "x", color="#d55e00", label="yours")
    axes.set(xlabel=f"error\nyours {show(got, 60)}\nright {show(wanted, 60)}", ylabel="loss")
    axes.legend(frameon=False)


smooth_l1_loss = Exercise(
    reference=box_losses.smooth_l1_loss,
    cases={
        "a small and a large error, beta 1": (torch.tensor([1.5, 4.0]), torch.tensor([1.0, 1.0])),
        "guesses that are too low": (
            torch.tensor([-3.0, 0.75, 2.0]),
            torch.tensor([1.0, 1.0, 2.0]),
        ),
        "beta 2": (torch.tensor([1.5, 4.0, 9.0]), torch.tensor([1.0, 1.0, 0.0]), 2.0),
        "boxes, beta 0.5": (seeded_boxes(3, seed=0), seeded_boxes(3, seed=0) + 0.3, 0.5),
        "no boxes": (table(), table(), 0.5),
    },
    mistakes={
        "the error kept its sign": (
            smooth_l1_of_signed_errors,
            "A guess can be too low by 5 as well as too high. Take the distance, .abs(), first.",
        ),
        "the two pieces do not meet": (
            smooth_l1_with_a_step,
            "At an error of beta the square gives beta / 2. The straight piece must begin there:"
            " distance − beta / 2.",
        ),
        "the square is twice too high": (
            smooth_l1_without_the_half,
            "At an error of beta the slope must be 1 on both sides. That of d² / beta would be 2.",
        ),
        "the two pieces are swapped": (
            smooth_l1_with_the_pieces_swapped,
            "Gentle, a square, near the goal; straight far away, so that outliers stay calm.",
        ),
        "beta is not used": (
            smooth_l1_of_beta_one,
            "beta says where the square ends. It stands in both pieces and in the comparison.",
        ),
        "everything is multiplied by beta": (
            huber,
            "That is Huber's loss. Here the straight piece has a slope of 1, whatever beta is.",
        ),
        "the losses were added up": (
            smooth_l1_summed,
            "One loss per number, please: the shape stays. What to add up is decided later.",
        ),
        "the losses were averaged": (
            smooth_l1_averaged,
            "One loss per number, please: the shape stays. What to average is decided later.",
        ),
    },
    hints=[
        "Begin with distance = (predicted - wanted).abs(); both pieces are made of it.",
        "torch.where(condition, here, there) takes each number from `here` where the condition"
        " holds.",
        "Below beta: distance² / (2 · beta). From beta on: distance − beta / 2.",
    ],
    draw=draw_values,
)

# ---------------------------------------------------------------- paired_giou


def around(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """The smallest box around both, row by row."""
    low = torch.minimum(boxes_a[:, :2], boxes_b[:, :2])
    return torch.cat([low, torch.maximum(boxes_a[:, 2:], boxes_b[:, 2:])], dim=1)


def covered(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """The union, row by row."""
    shared = shared_area(boxes_a, boxes_b)
    return box_area(boxes_a) + box_area(boxes_b) - shared


def shared_area(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """The intersection, row by row."""
    low = torch.maximum(boxes_a[:, :2], boxes_b[:, :2])
    high = torch.minimum(boxes_a[:, 2:], boxes_b[:, 2:])
    return (high - low).clamp(min=0).prod(dim=1)


def giou_without_enclosing_box(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """IoU alone."""
    return paired_iou(boxes_a, boxes_b)


def giou_divided_by_union(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """The empty part as a fraction of the union."""
    union = covered(boxes_a, boxes_b)
    return paired_iou(boxes_a, boxes_b) - (box_area(around(boxes_a, boxes_b)) - union) / union


def giou_with_shared_as_enclosing(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """Largest low corner and smallest high one: the shared patch again."""
    low = torch.maximum(boxes_a[:, :2], boxes_b[:, :2])
    high = torch.minimum(boxes_a[:, 2:], boxes_b[:, 2:])
    enclosing = (high - low).prod(dim=1)
    return paired_iou(boxes_a, boxes_b) - (enclosing - covered(boxes_a, boxes_b)) / enclosing


def giou_minus_covered(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """The union as a fraction of the enclosing box, where the empty rest was meant."""
    fraction = covered(boxes_a, boxes_b) / box_area(around(boxes_a, boxes_b))
    return paired_iou(boxes_a, boxes_b) - fraction


def giou_with_plain_sum(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """The shared patch counted twice in the union."""
    shared, union = shared_area(boxes_a, boxes_b), box_area(boxes_a) + box_area(boxes_b)
    enclosing = box_area(around(boxes_a, boxes_b))
    return shared / union - (enclosing - union) / enclosing


def giou_without_clamp(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """Two negative sides make a positive area."""
    low = torch.maximum(boxes_a[:, :2], boxes_b[:, :2])
    shared = (torch.minimum(boxes_a[:, 2:], boxes_b[:, 2:]) - low).prod(dim=1)
    union = box_area(boxes_a) + box_area(boxes_b) - shared
    enclosing = box_area(around(boxes_a, boxes_b))
    return shared / union - (enclosing - union) / enclosing


def giou_plus(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """The penalty added."""
    iou = paired_iou(boxes_a, boxes_b)
    return 2 * iou - boxes.paired_giou(boxes_a, boxes_b)


def giou_of_all_pairs(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """Each box against each: a table."""
    table_of_all: Tensor = generalized_box_iou(boxes_a, boxes_b)
    return table_of_all


def iou_of_all_pairs(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """Lesson 02's function: a table, and no enclosing box."""
    return box_iou(boxes_a, boxes_b)


def giou_of_a_table_of_ious(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """Lesson 02's table, minus the empty fraction row by row."""
    enclosing = box_area(around(boxes_a, boxes_b))
    return box_iou(boxes_a, boxes_b) - (enclosing - covered(boxes_a, boxes_b)) / enclosing


def giou_of_a_table_of_unions(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """Shared area and union as in lesson 02, a table; the enclosing box row by row."""
    enclosing = box_area(around(boxes_a, boxes_b))
    empty = (enclosing - union_area(boxes_a, boxes_b)) / enclosing
    return box_iou(boxes_a, boxes_b) - empty


def giou_as_loss(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """1 − GIoU."""
    return 1 - boxes.paired_giou(boxes_a, boxes_b)


paired_giou = Exercise(
    reference=boxes.paired_giou,
    cases={
        "side by side with a gap": (table((0, 0, 4, 2)), table((6, 0, 8, 2))),
        "two that overlap": (table((0, 0, 4, 2)), table((2, 1, 6, 3))),
        "apart in both directions": (table((0, 0, 10, 4)), table((20, 30, 28, 36))),
        "one inside the other": (table((0, 0, 12, 6)), table((2, 1, 8, 4))),
        "two that touch": (table((0, 0, 4, 3)), table((4, 1, 6, 2))),
        "the same box twice": (table((1, 2, 5, 9)), table((1, 2, 5, 9))),
        "five boxes with five": (seeded_boxes(5, seed=0), seeded_boxes(5, seed=1)),
        "no boxes": (table(), table()),
    },
    mistakes={
        "the enclosing box is missing": (
            giou_without_enclosing_box,
            "That is IoU: 0 for all boxes apart, near or far. Subtract the empty fraction of the"
            " smallest box around both.",
        ),
        "the empty part was divided by the union": (
            giou_divided_by_union,
            "It is a fraction of the enclosing box: (enclosing − union) / enclosing.",
        ),
        "the enclosing box was made like the shared patch": (
            giou_with_shared_as_enclosing,
            "The box around both begins at the *smaller* x1 and ends at the *larger* x2.",
        ),
        "the covered fraction was subtracted, not the empty one": (
            giou_minus_covered,
            "The same box twice must give 1. What is empty between them is enclosing − union.",
        ),
        "the shared patch was counted twice in the union": (
            giou_with_plain_sum,
            "The union covers the shared patch once: area A + area B − shared.",
        ),
        "a negative overlap was not clamped": (
            giou_without_clamp,
            "Two boxes that do not touch share nothing. What is (−10) · (−26)?",
        ),
        "the empty fraction was added": (
            giou_plus,
            "Empty space between the boxes is bad: subtract it.",
        ),
        "each box met every other one": (
            giou_of_all_pairs,
            "Row with row: N boxes against N boxes give [N], not a table [N, N].",
        ),
        "it is lesson 02's IoU, a table": (
            iou_of_all_pairs,
            "Two things are new here. Row with row, without [:, None], gives [N]. And the empty"
            " fraction of the enclosing box is subtracted.",
        ),
        "the IoU is a table, the empty fraction is not": (
            giou_of_a_table_of_ious,
            "box_iou gives [N, N], each box with every other one. Here the shared area, too, is"
            " found row with row: boxes_a[:, :2] with boxes_b[:, :2].",
        ),
        "IoU and union are tables, the enclosing box is not": (
            giou_of_a_table_of_unions,
            "Row with row, all three areas are [N]. Without [:, None], torch.maximum compares row"
            " with row.",
        ),
        "it is the loss, 1 − GIoU": (
            giou_as_loss,
            "GIoU itself, please: 1 is perfect. The loss is made of it afterwards.",
        ),
    },
    hints=[
        "Three areas: shared, union = area A + area B − shared, enclosing. Row with row: [N].",
        "The box around both: torch.minimum of the low corners [:, :2], torch.maximum of the high"
        " ones [:, 2:].",
        "shared / union − (enclosing − union) / enclosing, with (high − low).clamp(min=0).prod(1)"
        " for the shared area.",
    ],
    draw=draw_pair,
)
