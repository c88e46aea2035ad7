"""Lesson 06, Can guesses help? A grid of anchors, deltas there and back, shapes that fit."""

from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from torch import Tensor

from detlab.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from detlab.course.exercises.compare import show
from detlab.course.exercises.examples import draw_answers, seeded_boxes, seeded_sides, table
from detlab.course.exercises.exercise import Case, Exercise
from detlab.detector import anchors as package
from detlab.detector.anchors import MAX_STRETCH, grid_centres
from detlab.draw.figures import draw_boxes
from detlab.training import anchor_fit
from detlab.training.anchor_fit import shape_iou

ONES = (1.0, 1.0, 1.0, 1.0)
USUAL = (10.0, 10.0, 5.0, 5.0)
"""Delta weights that many detectors have."""

# ---------------------------------------------------------------- anchor_grid


def boxes_around(centres: Tensor, shapes: Tensor) -> Tensor:
    """Every shape around every centre; the shapes of a centre together."""
    pairs = [torch.cat([centre, shape]) for centre in centres for shape in shapes]
    return cxcywh_to_xyxy(torch.stack(pairs) if pairs else torch.zeros(0, 4))


def grid_on_corners(feature_size: tuple[int, int], stride: int, shapes: Tensor) -> Tensor:
    """Around each cell's top left corner."""
    return boxes_around(grid_centres(feature_size, stride) - stride / 2, shapes)


def grid_shape_by_shape(feature_size: tuple[int, int], stride: int, shapes: Tensor) -> Tensor:
    """All cells with the first shape, then all with the second."""
    centres = grid_centres(feature_size, stride)
    parts = [boxes_around(centres, shape[None]) for shape in shapes]
    return torch.cat(parts) if parts else torch.zeros(0, 4)


def grid_column_by_column(feature_size: tuple[int, int], stride: int, shapes: Tensor) -> Tensor:
    """Down the first column, then down the second."""
    height, width = feature_size
    centres = grid_centres((width, height), stride).flip(dims=[1])
    return boxes_around(centres, shapes)


def grid_with_x_and_y_swapped(feature_size: tuple[int, int], stride: int, shapes: Tensor) -> Tensor:
    """The row says x, the column y."""
    return boxes_around(grid_centres(feature_size, stride).flip(dims=[1]), shapes)


def grid_of_turned_shapes(feature_size: tuple[int, int], stride: int, shapes: Tensor) -> Tensor:
    """Tall where wide was meant."""
    return boxes_around(grid_centres(feature_size, stride), shapes.flip(dims=[1]))


def grid_in_cells(feature_size: tuple[int, int], stride: int, shapes: Tensor) -> Tensor:
    """Centres counted in cells, shapes in pixels."""
    return boxes_around(grid_centres(feature_size, stride) / stride, shapes)


def grid_from_centres(feature_size: tuple[int, int], stride: int, shapes: Tensor) -> Tensor:
    """Each box begins at its centre."""
    middles = boxes_around(grid_centres(feature_size, stride), shapes)
    return middles + (xyxy_to_cxcywh(middles)[:, 2:] / 2).repeat(1, 2)


def grid_without_columns(feature_size: tuple[int, int], stride: int, shapes: Tensor) -> Tensor:
    """A list that became a tensor, whatever was in it."""
    return torch.tensor(package.anchor_grid(feature_size, stride, shapes).tolist())


anchor_grid = Exercise(
    reference=package.anchor_grid,
    cases={
        "one row of two cells, one flat shape": ((1, 2), 8, torch.tensor([[8.0, 4.0]])),
        "two rows of three cells, two shapes": (
            (2, 3),
            10,
            torch.tensor([[8.0, 4.0], [6.0, 14.0]]),
        ),
        "one cell, three shapes": (
            (1, 1),
            16,
            torch.tensor([[16.0, 16.0], [22.0, 11.0], [11.0, 22.0]]),
        ),
        "three rows of two cells, one shape": ((3, 2), 4, torch.tensor([[3.0, 5.0]])),
        "a map without rows": ((0, 3), 8, torch.tensor([[8.0, 4.0]])),
        "no shapes": ((2, 3), 8, torch.zeros(0, 2)),
    },
    mistakes={
        "anchors stand on the corners of their cells": (
            grid_on_corners,
            "The first cell of stride 8 covers 0 to 8. Its middle is 4, not 0: (column + 0.5) · 8.",
        ),
        "all cells of one shape come first": (
            grid_shape_by_shape,
            "Cell by cell: all shapes of the first cell, then all of the next. The network answers"
            " in that order.",
        ),
        "cells run down the columns": (
            grid_column_by_column,
            "Row by row, as you read: the second cell is to the right of the first.",
        ),
        "x and y are swapped": (
            grid_with_x_and_y_swapped,
            "The column says how far right (x), the row how far down (y).",
        ),
        "width and height of the shapes are swapped": (
            grid_of_turned_shapes,
            "shapes hold width, then height. With the two swapped every aspect ratio is inverted.",
        ),
        "centres are counted in cells": (
            grid_in_cells,
            "A cell is `stride` pixels wide: multiply its centre by the stride.",
        ),
        "boxes begin at the centre": (
            grid_from_centres,
            "Half of the width lies to the left of the centre: x1 = cx − w / 2.",
        ),
        "an empty list of anchors has no columns": (
            grid_without_columns,
            "torch.tensor([]) has the shape [0]. With .reshape(-1, 4) it has four columns, too.",
        ),
    },
    hints=[
        "Where is the centre of the cell in row 2, column 5, if cells are 8 pixels wide?"
        " x = (5 + 0.5) · 8.",
        "Rows outside, then columns, then shapes: three loops; or grid_centres of"
        " detlab.detector.anchors and two expands. A list: torch.tensor(boxes).reshape(-1, 4).",
        "centres[:, None].expand(cells, kinds, 2) beside shapes[None].expand(cells, kinds, 2),"
        " flattened to [cells · kinds, 4], are boxes cx cy w h.",
    ],
    draw=draw_answers,
)

# ---------------------------------------------------------------- encode_boxes


def deltas_of(gt_boxes: Tensor, anchors: Tensor) -> Tensor:
    """The right ones, without weights."""
    return package.encode_boxes(gt_boxes, anchors)


def encode_by_the_object(
    gt_boxes: Tensor, anchors: Tensor, weights: Sequence[float] = ONES
) -> Tensor:
    """Moves counted in widths of the object."""
    deltas, object_size = deltas_of(gt_boxes, anchors), xyxy_to_cxcywh(gt_boxes)[:, 2:]
    moves = deltas[:, :2] * xyxy_to_cxcywh(anchors)[:, 2:] / object_size
    return torch.cat([moves, deltas[:, 2:]], dim=1) * torch.tensor(weights)


def encode_without_log(
    gt_boxes: Tensor, anchors: Tensor, weights: Sequence[float] = ONES
) -> Tensor:
    """A plain ratio."""
    deltas = deltas_of(gt_boxes, anchors)
    return torch.cat([deltas[:, :2], deltas[:, 2:].exp()], dim=1) * torch.tensor(weights)


def encode_with_log2(gt_boxes: Tensor, anchors: Tensor, weights: Sequence[float] = ONES) -> Tensor:
    """Doublings."""
    deltas = deltas_of(gt_boxes, anchors)
    twos = deltas[:, 2:] / torch.log(torch.tensor(2.0))
    return torch.cat([deltas[:, :2], twos], dim=1) * torch.tensor(weights)


def encode_backwards(gt_boxes: Tensor, anchors: Tensor, weights: Sequence[float] = ONES) -> Tensor:
    """From the object to the anchor."""
    return package.encode_boxes(anchors, gt_boxes, weights)


def encode_corners(gt_boxes: Tensor, anchors: Tensor, weights: Sequence[float] = ONES) -> Tensor:
    """How far the top left corner moves."""
    deltas, anchor_size = deltas_of(gt_boxes, anchors), xyxy_to_cxcywh(anchors)[:, 2:]
    moves = (gt_boxes[:, :2] - anchors[:, :2]) / anchor_size
    return torch.cat([moves, deltas[:, 2:]], dim=1) * torch.tensor(weights)


def encode_in_pixels(gt_boxes: Tensor, anchors: Tensor, weights: Sequence[float] = ONES) -> Tensor:
    """Moves not divided by anything."""
    deltas, anchor_size = deltas_of(gt_boxes, anchors), xyxy_to_cxcywh(anchors)[:, 2:]
    moves = deltas[:, :2] * anchor_size
    return torch.cat([moves, deltas[:, 2:]], dim=1) * torch.tensor(weights)


def encode_by_the_other_side(
    gt_boxes: Tensor, anchors: Tensor, weights: Sequence[float] = ONES
) -> Tensor:
    """The move in x divided by the height."""
    deltas, anchor_size = deltas_of(gt_boxes, anchors), xyxy_to_cxcywh(anchors)[:, 2:]
    moves = deltas[:, :2] * anchor_size / anchor_size.flip(dims=[1])
    return torch.cat([moves, deltas[:, 2:]], dim=1) * torch.tensor(weights)


def encode_y_first(gt_boxes: Tensor, anchors: Tensor, weights: Sequence[float] = ONES) -> Tensor:
    """Dy dx dh dw."""
    return deltas_of(gt_boxes, anchors)[:, [1, 0, 3, 2]] * torch.tensor(weights)


def encode_without_weights(
    gt_boxes: Tensor, anchors: Tensor, weights: Sequence[float] = ONES
) -> Tensor:
    """As if all were 1."""
    return deltas_of(gt_boxes, anchors)


def draw_anchors_and_objects(axes: Axes, case: Case, got: object, wanted: object) -> None:
    """Anchors, long dashes, and the objects they should become, solid; both answers below."""
    gt_boxes, anchors, *_ = case
    corners = torch.cat([gt_boxes, anchors, torch.tensor([[0.0, 0.0, 1.0, 1.0]])])
    low, high = (corners.min(dim=0).values - 3).tolist(), (corners.max(dim=0).values + 3).tolist()
    axes.set(xlim=(low[0], high[2]), ylim=(high[3], low[1]), aspect="equal", ylabel="y, pixels")
    axes.set_xlabel(
        f"solid: object, dashed: anchor\nyours {show(got, 45)}\nright {show(wanted, 45)}"
    )
    draw_boxes(axes, anchors, "positive")
    draw_boxes(axes, gt_boxes, "truth")


encode_boxes = Exercise(
    reference=package.encode_boxes,
    cases={
        "half a width to the right": (table((5, 0, 15, 20)), table((0, 0, 10, 20))),
        "a fifth of a height down": (table((0, 4, 10, 24)), table((0, 0, 10, 20))),
        "twice as wide, half as high, same centre": (
            table((-5, 5, 15, 15)),
            table((0, 0, 10, 20)),
        ),
        "the anchor is the object": (table((3, 4, 9, 8)), table((3, 4, 9, 8))),
        "seven pairs": (seeded_boxes(7, seed=0), seeded_boxes(7, seed=1)),
        "seven pairs with weights 10, 10, 5, 5": (
            seeded_boxes(7, seed=2),
            seeded_boxes(7, seed=3),
            USUAL,
        ),
        "no pairs": (table(), table()),
    },
    mistakes={
        "moves are divided by the object's size": (
            encode_by_the_object,
            "Only the anchor is known when the deltas are decoded: divide by *its* width, height.",
        ),
        "the logarithm is missing": (
            encode_without_log,
            "Same size must give 0, not 1; twice and half equally far from it: log(w / anchor_w).",
        ),
        "the logarithm has base 2": (
            encode_with_log2,
            "`decode_deltas` takes exp(dw), so this is the natural logarithm: torch.log.",
        ),
        "the anchor and the object are swapped": (
            encode_backwards,
            "Deltas lead from the anchor to the object: object minus anchor, object over anchor.",
        ),
        "corners are compared instead of centres": (
            encode_corners,
            "Move the centre: an anchor that only grows around its centre has dx = dy = 0.",
        ),
        "moves are left in pixels": (
            encode_in_pixels,
            "Divide the move by the anchor's width (dy: height), so that small and large anchors"
            " give numbers alike.",
        ),
        "width and height are swapped in the moves": (
            encode_by_the_other_side,
            "dx counts anchor widths, dy counts anchor heights.",
        ),
        "y stands before x": (
            encode_y_first,
            "The order is dx, dy, dw, dh.",
        ),
        "the weights are left out": (
            encode_without_weights,
            "Multiply the four deltas by `weights` at the end.",
        ),
    },
    hints=[
        "Turn both into centre and size first: detlab.boxes.xyxy_to_cxcywh, then .unbind(dim=1).",
        "dx = (cx − anchor_cx) / anchor_w: how many anchor widths to the right. dw is a logarithm.",
        "torch.stack([dx, dy, torch.log(w / anchor_w), torch.log(h / anchor_h)], dim=1), times"
        " the weights as a tensor.",
    ],
    draw=draw_anchors_and_objects,
)

# ---------------------------------------------------------------- decode_deltas


def parts_of(deltas: Tensor, anchors: Tensor, weights: Sequence[float]) -> tuple[Tensor, ...]:
    """Moves and stretches without their weights; centres and sizes of the anchors."""
    plain, box = deltas / torch.tensor(weights), xyxy_to_cxcywh(anchors)
    return plain[:, :2], plain[:, 2:].clamp(max=MAX_STRETCH), box[:, :2], box[:, 2:]


def decode_without_exp(deltas: Tensor, anchors: Tensor, weights: Sequence[float] = ONES) -> Tensor:
    """The stretch as a factor."""
    move, stretch, centre, size = parts_of(deltas, anchors, weights)
    return cxcywh_to_xyxy(torch.cat([centre + move * size, size * stretch], dim=1))


def decode_with_powers_of_2(
    deltas: Tensor, anchors: Tensor, weights: Sequence[float] = ONES
) -> Tensor:
    """Doublings."""
    move, stretch, centre, size = parts_of(deltas, anchors, weights)
    return cxcywh_to_xyxy(torch.cat([centre + move * size, size * 2**stretch], dim=1))


def decode_without_clamp(
    deltas: Tensor, anchors: Tensor, weights: Sequence[float] = ONES
) -> Tensor:
    """Exp of anything."""
    move, _, centre, size = parts_of(deltas, anchors, weights)
    stretch = (deltas / torch.tensor(weights))[:, 2:]
    return cxcywh_to_xyxy(torch.cat([centre + move * size, size * stretch.exp()], dim=1))


def decode_with_a_late_clamp(
    deltas: Tensor, anchors: Tensor, weights: Sequence[float] = ONES
) -> Tensor:
    """The factor is cut off, not its logarithm."""
    move, _, centre, size = parts_of(deltas, anchors, weights)
    factor = (deltas / torch.tensor(weights))[:, 2:].exp().clamp(max=MAX_STRETCH)
    return cxcywh_to_xyxy(torch.cat([centre + move * size, size * factor], dim=1))


def decode_in_pixels(deltas: Tensor, anchors: Tensor, weights: Sequence[float] = ONES) -> Tensor:
    """Moves of a fraction of a pixel."""
    move, stretch, centre, size = parts_of(deltas, anchors, weights)
    return cxcywh_to_xyxy(torch.cat([centre + move, size * stretch.exp()], dim=1))


def decode_from_corners(deltas: Tensor, anchors: Tensor, weights: Sequence[float] = ONES) -> Tensor:
    """The centre moved from the anchor's top left corner."""
    move, stretch, _, size = parts_of(deltas, anchors, weights)
    moved = anchors[:, :2] + move * size
    return cxcywh_to_xyxy(torch.cat([moved, size * stretch.exp()], dim=1))


def decode_to_sizes(deltas: Tensor, anchors: Tensor, weights: Sequence[float] = ONES) -> Tensor:
    """Centre and size where corners are wanted."""
    return xyxy_to_cxcywh(package.decode_deltas(deltas, anchors, weights))


def decode_y_first(deltas: Tensor, anchors: Tensor, weights: Sequence[float] = ONES) -> Tensor:
    """Dy dx dh dw."""
    plain = (deltas / torch.tensor(weights))[:, [1, 0, 3, 2]]
    return package.decode_deltas(plain, anchors)


def decode_times_weights(
    deltas: Tensor, anchors: Tensor, weights: Sequence[float] = ONES
) -> Tensor:
    """Multiplied once more."""
    return package.decode_deltas(deltas * torch.tensor(weights), anchors)


def decode_without_weights(
    deltas: Tensor, anchors: Tensor, weights: Sequence[float] = ONES
) -> Tensor:
    """As if all were 1."""
    return package.decode_deltas(deltas, anchors)


decode_deltas = Exercise(
    reference=package.decode_deltas,
    cases={
        "half a width to the right": (table((0.5, 0, 0, 0)), table((0, 0, 10, 20))),
        "a fifth of a height down": (table((0, 0.2, 0, 0)), table((0, 0, 10, 20))),
        "stretched in width, shrunk in height": (
            table((0, 0, 0.7, -0.7)),
            table((10, 10, 20, 30)),
        ),
        "nothing to do": (table((0, 0, 0, 0)), table((3, 4, 9, 8))),
        "six times as wide, a sixth as high": (
            table((0, 0, 1.8, -1.8)),
            table((10, 10, 16, 34)),
        ),
        "an untrained network shouts": (table((0, 0, 1000, 1000)), table((0, 0, 16, 8))),
        "seven anchors": (seeded_boxes(7, seed=0) / 30 - 1, seeded_boxes(7, seed=1)),
        "seven anchors with weights 10, 10, 5, 5": (
            seeded_boxes(7, seed=2) / 6 - 4,
            seeded_boxes(7, seed=3),
            USUAL,
        ),
        "no anchors": (table(), table()),
    },
    mistakes={
        "the exponential is missing": (
            decode_without_exp,
            "dw = 0 means `as wide as the anchor`, so the factor is exp(dw) = 1, not 0.",
        ),
        "powers of 2 instead of the exponential": (
            decode_with_powers_of_2,
            "`encode_boxes` takes the natural logarithm; torch.exp undoes it.",
        ),
        "nothing stops the exponential": (
            decode_without_clamp,
            "exp(1000) is infinite. Clamp dw and dh first: .clamp(max=MAX_STRETCH).",
        ),
        "the clamp came after the exponential": (
            decode_with_a_late_clamp,
            "MAX_STRETCH is a logarithm: clamp dw and dh to it before exp. After it, no box could"
            " be more than 4.1 times as wide as its anchor.",
        ),
        "moves are taken for pixels": (
            decode_in_pixels,
            "dx counts anchor widths: the centre moves by dx · anchor_w.",
        ),
        "the centre moves from the anchor's corner": (
            decode_from_corners,
            "The deltas were counted from the anchor's centre: begin there.",
        ),
        "the answer is centre and size": (
            decode_to_sizes,
            "Boxes travel as corners: detlab.boxes.cxcywh_to_xyxy at the end.",
        ),
        "y stands before x": (
            decode_y_first,
            "The order is dx, dy, dw, dh.",
        ),
        "the weights are left out": (
            decode_without_weights,
            "Divide the four deltas by `weights` before all else.",
        ),
        "multiplied by the weights": (
            decode_times_weights,
            "Encoding multiplied by the weights; decoding divides by them, before all else.",
        ),
    },
    hints=[
        "Undo `encode_boxes` step by step, last step first. Its last step was the weights.",
        "cx = anchor_cx + dx · anchor_w, and w = anchor_w · exp(dw), with dw clamped.",
        "torch.stack([cx, cy, w, h], dim=1) is centre and size; cxcywh_to_xyxy gives the corners.",
    ],
    draw=draw_answers,
)

# ---------------------------------------------------------------- refit_shapes


def means_of(box_shapes: Tensor, shapes: Tensor, best: Tensor) -> Tensor:
    """The mean of each shape's boxes; a shape without any stays."""
    members = [box_shapes[best == row] for row in range(len(shapes))]
    pairs = zip(members, shapes, strict=True)
    return torch.stack([own.mean(dim=0) if len(own) else shape for own, shape in pairs])


def refit_by_distance(box_shapes: Tensor, shapes: Tensor) -> Tensor:
    """Nearest in pixels."""
    return means_of(box_shapes, shapes, torch.cdist(box_shapes, shapes).argmin(dim=1))


def refit_by_area(box_shapes: Tensor, shapes: Tensor) -> Tensor:
    """Nearest in area."""
    gap = (box_shapes.prod(dim=1)[:, None] - shapes.prod(dim=1)[None]).abs()
    return means_of(box_shapes, shapes, gap.argmin(dim=1))


def refit_to_the_worst(box_shapes: Tensor, shapes: Tensor) -> Tensor:
    """IoU taken for a distance."""
    return means_of(box_shapes, shapes, shape_iou(box_shapes, shapes).argmin(dim=1))


def refit_losing_the_unused(box_shapes: Tensor, shapes: Tensor) -> Tensor:
    """The mean of nothing."""
    best = shape_iou(box_shapes, shapes).argmax(dim=1)
    return torch.stack([box_shapes[best == row].mean(dim=0) for row in range(len(shapes))])


def refit_dropping_the_unused(box_shapes: Tensor, shapes: Tensor) -> Tensor:
    """One shape fewer."""
    best = shape_iou(box_shapes, shapes).argmax(dim=1)
    return torch.stack([box_shapes[best == row].mean(dim=0) for row in best.unique()])


def refit_to_the_best_box(box_shapes: Tensor, shapes: Tensor) -> Tensor:
    """Each shape becomes one box."""
    return box_shapes[shape_iou(box_shapes, shapes).argmax(dim=0)]


def refit_to_the_median(box_shapes: Tensor, shapes: Tensor) -> Tensor:
    """The middle one of each shape's boxes."""
    best = shape_iou(box_shapes, shapes).argmax(dim=1)
    members = [box_shapes[best == row] for row in range(len(shapes))]
    pairs = zip(members, shapes, strict=True)
    return torch.stack([own.median(dim=0).values if len(own) else shape for own, shape in pairs])


def sides(*rows: Sequence[int | float]) -> Tensor:
    """Widths and heights, one pair a row."""
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 2)


refit_shapes = Exercise(
    reference=anchor_fit.refit_shapes,
    cases={
        "three boxes, two shapes": (sides((4, 8), (6, 10), (30, 20)), sides((8, 8), (40, 40))),
        "near in pixels is not near in shape": (
            sides((100, 100), (10, 10)),
            sides((190, 190), (40, 40)),
        ),
        "tall and flat of the same area": (
            sides((10, 40), (12, 42), (40, 10), (44, 12), (48, 8)),
            sides((20, 20), (42, 9), (9, 42)),
        ),
        "a shape that no box prefers": (
            sides((4, 8), (6, 11), (7, 12)),
            sides((5, 9), (300, 2)),
        ),
        "a box between two shapes": (sides((6, 6)), sides((4, 8), (8, 4))),
        "one shape for all": (sides((2, 8), (4, 4), (12, 3)), sides((5, 5))),
        "forty boxes, five shapes": (seeded_sides(40, seed=0), seeded_sides(5, seed=1)),
    },
    mistakes={
        "near means near in pixels": (
            refit_by_distance,
            "Ten pixels are nothing to a whale and all to a shrimp. Compare by IoU: shape_iou.",
        ),
        "near means near in area": (
            refit_by_area,
            "A tall and a flat box of one area overlap badly. Compare by IoU: shape_iou.",
        ),
        "each box goes to the shape that fits it worst": (
            refit_to_the_worst,
            "A high IoU is a good fit: argmax, not argmin.",
        ),
        "a shape without boxes becomes NaN": (
            refit_losing_the_unused,
            "The mean of nothing is NaN. A shape that is no box's best stays as it is.",
        ),
        "a shape without boxes is dropped": (
            refit_dropping_the_unused,
            "As many shapes come out as went in: one that is no box's best stays as it is.",
        ),
        "each shape became its best box": (
            refit_to_the_best_box,
            "First each *box* chooses a shape; then a shape is the mean of all that chose it.",
        ),
        "the median instead of the mean": (
            refit_to_the_median,
            "k-means takes means: .mean(dim=0) of the boxes that chose the shape.",
        ),
    },
    hints=[
        "Two steps: every box chooses a shape; every shape moves to the mean of its boxes.",
        "shape_iou(box_shapes, shapes) is [N, S]. Which dim has the shapes a box chooses among?",
        "best = shape_iou(box_shapes, shapes).argmax(dim=1); box_shapes[best == row].mean(dim=0)"
        " for each row, or shapes[row] where no box chose it.",
    ],
)
