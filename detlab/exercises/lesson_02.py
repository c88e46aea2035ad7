"""Lesson 02, Where is it? The area of boxes, and how well two of them agree."""

import torch
from torch import Tensor

from detlab import boxes
from detlab.boxes import box_area, intersection_area
from detlab.exercises.examples import draw_pair, seeded_boxes, table
from detlab.exercises.exercise import Exercise

# ---------------------------------------------------------------- box_iou


def iou_without_clamp(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """Two negative sides make a positive area."""
    low = torch.maximum(boxes_a[:, None, :2], boxes_b[None, :, :2])
    high = torch.minimum(boxes_a[:, None, 2:], boxes_b[None, :, 2:])
    shared = (high - low).prod(dim=2)
    return shared / (box_area(boxes_a)[:, None] + box_area(boxes_b)[None] - shared)


def iou_with_plain_sum(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """The union as a sum of both areas."""
    shared = intersection_area(boxes_a, boxes_b)
    return shared / (box_area(boxes_a)[:, None] + box_area(boxes_b)[None])


def iou_of_the_smaller(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """The shared patch as a share of the smaller box."""
    shared = intersection_area(boxes_a, boxes_b)
    return shared / torch.minimum(box_area(boxes_a)[:, None], box_area(boxes_b)[None])


def iou_of_sizes(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """x, y, width, height read where corners stand."""
    return boxes.box_iou(boxes.xywh_to_xyxy(boxes_a), boxes.xywh_to_xyxy(boxes_b))


def iou_with_one_pixel_more(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """Every side one pixel longer."""
    longer = torch.tensor([0.0, 0.0, 1.0, 1.0])
    return boxes.box_iou(boxes_a + longer, boxes_b + longer)


def iou_transposed(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """A row per second box."""
    return boxes.box_iou(boxes_b, boxes_a)


box_iou = Exercise(
    reference=boxes.box_iou,
    cases={
        "two that overlap": (table((0, 0, 4, 2)), table((2, 1, 6, 3))),
        "apart in both directions": (table((0, 0, 10, 4)), table((20, 30, 28, 36))),
        "one inside the other": (table((0, 0, 12, 6)), table((2, 1, 8, 4))),
        "no boxes on one side": (table(), table((0, 0, 4, 2))),
        "seven boxes against five": (seeded_boxes(7, seed=0), seeded_boxes(5, seed=1)),
    },
    mistakes={
        "a negative overlap was not clamped": (
            iou_without_clamp,
            "Two boxes that do not touch share nothing. What is (−10) · (−26)?",
        ),
        "the shared patch was counted twice": (
            iou_with_plain_sum,
            "The union covers the shared patch once. In area A + area B it is there twice.",
        ),
        "the intersection was divided by the smaller box": (
            iou_of_the_smaller,
            "A small box inside a large one would get 1, though they hardly agree.",
        ),
        "x2 and y2 were read as width and height": (
            iou_of_sizes,
            "The last two numbers are a corner. The width is x2 − x1.",
        ),
        "a pixel was added to each side": (
            iou_with_one_pixel_more,
            "Coordinates are continuous: from 0 to 4 is a width of 4, not of 5.",
        ),
        "rows and columns are swapped": (
            iou_transposed,
            "Row 0 belongs to the first box of boxes_a: the table is [N, M].",
        ),
    },
    hints=[
        "Where does the shared patch begin? At the larger of both x1, the larger of both y1.",
        "boxes_a[:, None, :2] against boxes_b[None, :, :2] compares each with each: [N, M, 2].",
        "(high − low).clamp(min=0).prod(dim=2) is the shared area; then one division by the union.",
    ],
    draw=draw_pair,
)
