"""Lesson 02, Where is it? The size of a box, what two share, how well they agree; formats."""

import torch
from matplotlib.axes import Axes
from torch import Tensor

from detlab import boxes
from detlab.course.exercises.compare import show
from detlab.course.exercises.examples import draw_pair, seeded_boxes, table
from detlab.course.exercises.exercise import Case, Exercise
from detlab.draw.figures import draw_boxes

LONGER = torch.tensor([0.0, 0.0, 1.0, 1.0])
"""What the habit of counting the last pixel too adds to a box."""


def draw_answer(axes: Axes, case: Case, got: object, wanted: object) -> None:
    """The boxes of a case, the learner's where they are boxes too, and both answers below."""
    (given,) = case
    right = wanted if isinstance(wanted, Tensor) and wanted.ndim == 2 else given
    drawn = {"truth": right}
    if isinstance(got, Tensor) and got.ndim == 2 and got.shape == right.shape:
        drawn["prediction"] = got
    everything = torch.cat([*drawn.values(), torch.tensor([[0.0, 0.0, 1.0, 1.0]])])
    low, high = everything[:, :2].min(dim=0).values - 3, everything[:, 2:].max(dim=0).values + 3
    axes.set(xlim=(low[0].item(), high[0].item()), ylim=(high[1].item(), low[1].item()))
    axes.set(xlabel=f"x, pixels\nyours {show(got, 60)}\nright {show(wanted, 60)}")
    axes.set(ylabel="y, pixels", aspect="equal")
    for role, corners in drawn.items():
        draw_boxes(axes, corners, role)


# ---------------------------------------------------------------- box_area


def area_with_one_pixel_more(boxes: Tensor) -> Tensor:
    """Every side one pixel longer."""
    return (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)


def area_of_last_two(boxes: Tensor) -> Tensor:
    """x2 and y2 taken for width and height."""
    return boxes[:, 2] * boxes[:, 3]


def area_of_crossed_axes(boxes: Tensor) -> Tensor:
    """A y subtracted from an x."""
    return (boxes[:, 2] - boxes[:, 1]) * (boxes[:, 3] - boxes[:, 0])


def area_as_sum(boxes: Tensor) -> Tensor:
    """Width plus height."""
    return (boxes[:, 2] - boxes[:, 0]) + (boxes[:, 3] - boxes[:, 1])


def area_of_a_square(boxes: Tensor) -> Tensor:
    """Width times width."""
    return (boxes[:, 2] - boxes[:, 0]) ** 2


def area_of_all(boxes: Tensor) -> Tensor:
    """One number for the whole list."""
    return ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sum()


def area_of_columns(boxes: Tensor) -> Tensor:
    """Rows of the table taken for columns."""
    return (boxes[2] - boxes[0]) * (boxes[3] - boxes[1])


box_area = Exercise(
    reference=boxes.box_area,
    cases={
        "a box at the origin, 4 wide and 2 high": (table((0, 0, 4, 2)),),
        "a tall box somewhere else": (table((10, 20, 14, 30)),),
        "a box that begins outside of the picture": (table((-3, 5, 4, 8)),),
        "half pixels, and fractions of a picture": (table((0.5, 1, 3, 2.5), (0.1, 0.2, 0.5, 0.3)),),
        "a box without any width": (table((7, 1, 7, 9)),),
        "no boxes": (table(),),
        "four boxes at once": (table((0, 0, 1, 5), (2, 1, 8, 4), (3, 3, 9, 4), (1, 6, 3, 7)),),
        "seven boxes at once": (seeded_boxes(7, seed=2),),
    },
    mistakes={
        "a pixel was added to each side": (
            area_with_one_pixel_more,
            "Coordinates are continuous: from 0 to 4 is a width of 4, not of 5.",
        ),
        "x2 and y2 were taken for width and height": (
            area_of_last_two,
            "That is right only for a box at the origin. The width is how far x2 is from x1.",
        ),
        "an x was compared with a y": (
            area_of_crossed_axes,
            "The order is x1, y1, x2, y2: columns 0 and 2 are x, columns 1 and 3 are y.",
        ),
        "width and height were added": (
            area_as_sum,
            "Four columns of two pixels each are 4 · 2 pixels, not 4 + 2.",
        ),
        "the width was multiplied by itself": (
            area_of_a_square,
            "Only a square is as high as it is wide. Columns 1 and 3 have not been used.",
        ),
        "all areas were added up": (
            area_of_all,
            "Each box has its own area: N boxes go in, N numbers come out.",
        ),
        "rows and columns were mixed up": (
            area_of_columns,
            "boxes[2] is the third box; boxes[:, 2] is the x2 of all boxes.",
        ),
    },
    hints=[
        "How wide is a box that goes from x1 = 10 to x2 = 14?",
        "boxes[:, 2] are all x2 at once, boxes[:, 0] all x1; their difference is all widths.",
        "(boxes[:, 2] - boxes[:, 0]) are the widths. Do the same with y, and multiply.",
    ],
    draw=draw_answer,
)

# ---------------------------------------------------------------- intersection_area


def sides_of_patch(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """Width and height of what each pair shares, [N, M, 2]; negative where they are apart."""
    low = torch.maximum(boxes_a[:, None, :2], boxes_b[None, :, :2])
    high = torch.minimum(boxes_a[:, None, 2:], boxes_b[None, :, 2:])
    return high - low


def patch_without_clamp(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """Two negative sides make a positive area."""
    return sides_of_patch(boxes_a, boxes_b).prod(dim=2)


def patch_clamped_late(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """The product is clamped, when two negative sides are positive already."""
    return sides_of_patch(boxes_a, boxes_b).prod(dim=2).clamp(min=0)


def patch_without_sign(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """A gap counted as if it were shared."""
    return sides_of_patch(boxes_a, boxes_b).abs().prod(dim=2)


def patch_around_both(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """Least and largest exchanged: the box around both."""
    low = torch.minimum(boxes_a[:, None, :2], boxes_b[None, :, :2])
    high = torch.maximum(boxes_a[:, None, 2:], boxes_b[None, :, 2:])
    return (high - low).clamp(min=0).prod(dim=2)


def patch_with_one_pixel_more(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """Every side one pixel longer."""
    return (sides_of_patch(boxes_a, boxes_b) + 1).clamp(min=0).prod(dim=2)


def patch_row_by_row(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """The first box with the first, the second with the second."""
    low = torch.maximum(boxes_a[:, :2], boxes_b[:, :2])
    high = torch.minimum(boxes_a[:, 2:], boxes_b[:, 2:])
    return (high - low).clamp(min=0).prod(dim=1)


def patch_transposed(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """A row per second box."""
    return boxes.intersection_area(boxes_b, boxes_a)


TWO_LISTS = {
    "two that overlap": (table((0, 0, 4, 2)), table((2, 1, 6, 3))),
    "apart in both directions": (table((0, 0, 10, 4)), table((20, 30, 28, 36))),
    "side by side, with a gap": (table((0, 0, 10, 4)), table((13, 1, 20, 6))),
    "touching along an edge": (table((0, 0, 4, 2)), table((4, 0, 7, 2))),
    "one inside the other": (table((0, 0, 12, 6)), table((2, 1, 8, 4))),
    "the same box twice": (table((3, 1, 8, 4)), table((3, 1, 8, 4))),
    "fractions of a picture": (table((0.1, 0.2, 0.5, 0.4)), table((0.3, 0.25, 0.6, 0.5))),
    "two boxes against two": (
        table((0, 0, 6, 2), (2, 1, 4, 9)),
        table((1, 1, 5, 3), (3, 0, 8, 3)),
    ),
    "no boxes on one side": (table(), table((0, 0, 4, 2))),
    "seven boxes against five": (seeded_boxes(7, seed=0), seeded_boxes(5, seed=1)),
}

intersection_area = Exercise(
    reference=boxes.intersection_area,
    cases=TWO_LISTS,
    mistakes={
        "a negative side was not clamped": (
            patch_without_clamp,
            "Two boxes that do not touch share nothing. What is (−10) · (−26)?",
        ),
        "the clamp came after the multiplication": (
            patch_clamped_late,
            "Two negative sides have become positive by then. Clamp width and height first.",
        ),
        "a gap was counted as if it were shared": (
            patch_without_sign,
            "A negative width says: no overlap here. Its absolute value is the gap between them.",
        ),
        "the box around both was measured": (
            patch_around_both,
            "The shared patch begins where both have begun: at the larger of the two x1.",
        ),
        "a pixel was added to each side": (
            patch_with_one_pixel_more,
            "Boxes that only touch share no area. Coordinates are continuous: no + 1.",
        ),
        "boxes were compared row by row": (
            patch_row_by_row,
            "Each box of one list meets every box of the other: 7 against 5 gives a 7 × 5 table.",
        ),
        "rows and columns are swapped": (
            patch_transposed,
            "Row 0 belongs to the first box of boxes_a: the table is [N, M].",
        ),
    },
    hints=[
        "Where does the shared patch begin? At the larger of both x1, the larger of both y1.",
        "boxes_a[:, None, :2] against boxes_b[None, :, :2] compares each with each: [N, M, 2].",
        "low is their torch.maximum, high the torch.minimum of the other two columns;"
        " then (high - low).clamp(min=0).prod(dim=2).",
    ],
    draw=draw_pair,
)

# ---------------------------------------------------------------- box_iou


def both_areas(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """Area of the one plus area of the other, [N, M]."""
    return boxes.box_area(boxes_a)[:, None] + boxes.box_area(boxes_b)[None]


def iou_without_clamp(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """Two negative sides make a positive area."""
    shared = patch_without_clamp(boxes_a, boxes_b)
    return shared / (both_areas(boxes_a, boxes_b) - shared)


def iou_with_plain_sum(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """The union as a sum of both areas."""
    return boxes.intersection_area(boxes_a, boxes_b) / both_areas(boxes_a, boxes_b)


def iou_with_areas_row_by_row(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """The first area plus the first, the second plus the second: a row of sums for all rows."""
    shared = boxes.intersection_area(boxes_a, boxes_b)
    return shared / (boxes.box_area(boxes_a) + boxes.box_area(boxes_b) - shared)


def iou_of_the_smaller(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """The shared patch as a fraction of the smaller box."""
    smaller = torch.minimum(boxes.box_area(boxes_a)[:, None], boxes.box_area(boxes_b)[None])
    return boxes.intersection_area(boxes_a, boxes_b) / smaller


def iou_of_the_first(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """The shared patch as a fraction of the first box."""
    return boxes.intersection_area(boxes_a, boxes_b) / boxes.box_area(boxes_a)[:, None]


def iou_of_sizes(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """x, y, width, height read where corners stand."""
    return iou_undivided(boxes.xywh_to_xyxy(boxes_a), boxes.xywh_to_xyxy(boxes_b))


def iou_with_one_pixel_more(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """Every side one pixel longer."""
    return boxes.box_iou(boxes_a + LONGER, boxes_b + LONGER)


def iou_transposed(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """A row per second box."""
    return iou_undivided(boxes_b, boxes_a)


def iou_undivided(boxes_a: Tensor, boxes_b: Tensor) -> Tensor:
    """Right, but 0 / 0 for two boxes without area."""
    shared = boxes.intersection_area(boxes_a, boxes_b)
    return shared / (both_areas(boxes_a, boxes_b) - shared)


box_iou = Exercise(
    reference=boxes.box_iou,
    cases={**TWO_LISTS, "two boxes without area": (table((5, 5, 5, 5)), table((5, 5, 5, 9)))},
    mistakes={
        "a negative overlap was not clamped": (
            iou_without_clamp,
            "Two boxes that do not touch share nothing. What is (−10) · (−26)?",
        ),
        "the shared patch was counted twice": (
            iou_with_plain_sum,
            "The union covers the shared patch once. In area A + area B it is there twice.",
        ),
        "areas were added row by row": (
            iou_with_areas_row_by_row,
            "The first area met only the first one, the second only the second. Each must meet"
            " every other: area_a[:, None] + area_b[None, :] is a table [N, M].",
        ),
        "the intersection was divided by the smaller box": (
            iou_of_the_smaller,
            "A small box inside a large one would get 1, though they hardly agree.",
        ),
        "the intersection was divided by the first box": (
            iou_of_the_first,
            "Exchange the two lists and the answer must stay. Divide by what both cover together.",
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
        "0 was divided by 0": (
            iou_undivided,
            "Almost there. A union of 0 gives NaN, and NaN spreads. With .clamp(min=1e-9) on the"
            " union, two boxes without area get 0.",
        ),
    },
    hints=[
        "You have written the shared area already. What do both boxes cover together?",
        "area_a[:, None] + area_b[None, :] is a table of sums; the shared patch is in it twice.",
        "shared / (area_a[:, None] + area_b[None, :] - shared).clamp(min=1e-9)",
    ],
    draw=draw_pair,
)

# ---------------------------------------------------------------- cxcywh_to_xyxy


def from_corner(boxes_cxcywh: Tensor) -> Tensor:
    """The centre taken for the top left corner."""
    return boxes.xywh_to_xyxy(boxes_cxcywh)


def with_whole_sides(boxes_cxcywh: Tensor) -> Tensor:
    """A whole width to each side."""
    centre, size = boxes_cxcywh[:, :2], boxes_cxcywh[:, 2:]
    return torch.cat([centre - size, centre + size], dim=1)


def with_sides_swapped(boxes_cxcywh: Tensor) -> Tensor:
    """Height along x, width along y."""
    return boxes.cxcywh_to_xyxy(boxes_cxcywh[:, [0, 1, 3, 2]])


def with_size_kept(boxes_cxcywh: Tensor) -> Tensor:
    """The corner is right, the size stays a size."""
    centre, size = boxes_cxcywh[:, :2], boxes_cxcywh[:, 2:]
    return torch.cat([centre - size / 2, size], dim=1)


def the_other_way(boxes_cxcywh: Tensor) -> Tensor:
    """Corners to centres."""
    return boxes.xyxy_to_cxcywh(boxes_cxcywh)


def with_whole_halves(boxes_cxcywh: Tensor) -> Tensor:
    """Halves cut to whole pixels."""
    centre, half = boxes_cxcywh[:, :2], boxes_cxcywh[:, 2:] // 2
    return torch.cat([centre - half, centre + half], dim=1)


def with_axes_first(boxes_cxcywh: Tensor) -> Tensor:
    """Both x, then both y."""
    return boxes.cxcywh_to_xyxy(boxes_cxcywh)[:, [0, 2, 1, 3]]


cxcywh_to_xyxy = Exercise(
    reference=boxes.cxcywh_to_xyxy,
    cases={
        "a box 4 wide and 10 high": (table((12, 25, 4, 10)),),
        "odd sides: the corners lie at half pixels": (table((10, 6, 5, 3)),),
        "a box with its centre in the corner of the picture": (table((0, 0, 6, 2)),),
        "fractions of a picture": (table((0.3, 0.5, 0.2, 0.4)),),
        "a box without any width": (table((7, 5, 0, 4)),),
        "no boxes": (table(),),
        "seven boxes at once": (boxes.xyxy_to_cxcywh(seeded_boxes(7, seed=3)),),
    },
    mistakes={
        "the centre was taken for the top left corner": (
            from_corner,
            "Half of the box lies to the left of its centre, half to the right.",
        ),
        "a whole side was taken where half is wanted": (
            with_whole_sides,
            "From cx − w to cx + w is twice as wide as the box.",
        ),
        "width and height are swapped": (
            with_sides_swapped,
            "x goes with the width, y with the height: cx, cy, w, h in that order.",
        ),
        "the last two numbers are still a size": (
            with_size_kept,
            "The first corner is right. The last two numbers must be the other corner.",
        ),
        "this is the way back": (
            the_other_way,
            "That turns corners into centre and size. Here centre and size come in.",
        ),
        "halves were cut to whole pixels": (
            with_whole_halves,
            "Coordinates are continuous: half of 5 is 2.5. Divide with / instead of //.",
        ),
        "the order is x1, x2, y1, y2": (
            with_axes_first,
            "All numbers are right, in another order: x1, y1, x2, y2.",
        ),
    },
    hints=[
        "A box has its centre at x = 12 and is 4 wide. Where does it begin, where does it end?",
        "cx, cy, w, h = boxes_cxcywh.unbind(dim=1) gives four columns; x1 is cx - w / 2.",
        "torch.stack([x1, y1, x2, y2], dim=1) puts four columns side by side: [N, 4].",
    ],
    draw=draw_answer,
)
