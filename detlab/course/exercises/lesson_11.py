"""Lesson 11, Does it work on real pictures? Odd sizes, anchors that fit, tiles that cover."""

import math

import torch
from matplotlib.axes import Axes
from torch import Tensor

from detlab.audit import odd_boxes as audit
from detlab.course.exercises.compare import show
from detlab.course.exercises.examples import seeded_boxes, seeded_sides
from detlab.course.exercises.exercise import Case, Exercise
from detlab.detector import tiling
from detlab.training import anchor_fit as fitting
from detlab.training.anchor_fit import shape_iou

# ---------------------------------------------------------------- robust_scores

NORMAL = 1.4826
"""Times the median distance, this is the standard deviation of normal numbers."""
LEAST = 1e-6


def robust_by_mean(values: Tensor) -> Tensor:
    """The usual z-score."""
    return (values - values.mean()) / values.std(correction=0).clamp(min=LEAST)


def robust_by_mean_of_a_sample(values: Tensor) -> Tensor:
    """The usual z-score, as torch takes the standard deviation, with no floor under it."""
    return (values - values.mean()) / values.std()


def robust_from_the_mean(values: Tensor) -> Tensor:
    """The middle is a mean."""
    away = values - values.mean()
    return away / (NORMAL * away.abs().median()).clamp(min=LEAST)


def robust_over_deviation(values: Tensor) -> Tensor:
    """Away from the median, in standard deviations."""
    return (values - values.median()) / values.std(correction=0).clamp(min=LEAST)


def robust_over_deviation_of_a_sample(values: Tensor) -> Tensor:
    """The same, as torch takes the standard deviation, with no floor under it."""
    return (values - values.median()) / values.std()


def robust_over_distance(values: Tensor) -> Tensor:
    """In median distances, with no floor under them."""
    away = values - values.median()
    return away / away.abs().median()


def robust_unscaled(values: Tensor) -> Tensor:
    """In median distances."""
    away = values - values.median()
    return away / away.abs().median().clamp(min=LEAST)


def robust_scaled_twice(values: Tensor) -> Tensor:
    """The factor stands above the line."""
    away = values - values.median()
    return NORMAL * away / away.abs().median().clamp(min=LEAST)


def robust_over_mean_distance(values: Tensor) -> Tensor:
    """The usual distance is a mean."""
    away = values - values.median()
    return away / (NORMAL * away.abs().mean()).clamp(min=LEAST)


def robust_signed_distance(values: Tensor) -> Tensor:
    """The median of signed distances, which is 0."""
    away = values - values.median()
    return away / (NORMAL * away.median()).clamp(min=LEAST)


def robust_unsigned(values: Tensor) -> Tensor:
    """How far, but not on which side."""
    return audit.robust_scores(values).abs()


def robust_unguarded(values: Tensor) -> Tensor:
    """Divided by 0 where most values are equal."""
    away = values - values.median()
    return away / (NORMAL * away.abs().median())


def robust_from_zero(values: Tensor) -> Tensor:
    """Only the spread is taken by medians."""
    usual = NORMAL * (values - values.median()).abs().median()
    return values / usual.clamp(min=LEAST)


def robust_added(values: Tensor) -> Tensor:
    """A small number is added instead of a floor."""
    away = values - values.median()
    return away / (NORMAL * away.abs().median() + 1.0)


robust_scores = Exercise(
    reference=audit.robust_scores,
    cases={
        "one of five is far away": (torch.tensor([1.0, 2.0, 3.0, 4.0, 100.0]),),
        "far below, in any order": (torch.tensor([4.0, -40.0, 3.0, 5.5, 2.0]),),
        "two of seven are far away": (torch.tensor([8.0, 90.0, 7.0, 6.0, 9.5, 80.0, 7.5]),),
        "all below zero": (torch.tensor([-1.0, -9.0, -3.0]),),
        "all equal": (torch.tensor([7.0, 7.0, 7.0]),),
        "all equal but one": (torch.tensor([7.0, 7.0, 7.0, 7.0, 8.0]),),
        "one value": (torch.tensor([3.5]),),
        "forty-one sizes": ((seeded_boxes(41, seed=5)[:, 2:] + 1).prod(dim=1).log(),),
    },
    mistakes={
        "mean and standard deviation were taken": (
            robust_by_mean,
            "One value far away pulls both towards itself, and hides. Take the median of the"
            " values, and the median of their distances from it.",
        ),
        "mean and standard deviation were taken, with no floor under the divisor": (
            robust_by_mean_of_a_sample,
            "Two things. Take medians, of the values and of their distances from it: means are"
            " pulled by what is far away. And divide by at least 1e-6: equal values score 0, not"
            " NaN.",
        ),
        "the middle was a mean": (
            robust_from_the_mean,
            "One value far away moves the mean. The middle is values.median().",
        ),
        "the spread was a standard deviation": (
            robust_over_deviation,
            "One value far away makes the standard deviation large, and so itself usual. Take"
            " 1.4826 times the median distance.",
        ),
        "the spread was a standard deviation, with no floor under it": (
            robust_over_deviation_of_a_sample,
            "Two things. Take 1.4826 times the median distance: one value far away makes the"
            " standard deviation large, and so itself usual. And divide by at least 1e-6.",
        ),
        "the distances were not scaled, with no floor under them": (
            robust_over_distance,
            "Two things. Multiply the median distance by 1.4826, and divide by at least 1e-6.",
        ),
        "the distances were not scaled by 1.4826": (
            robust_unscaled,
            "Half of all values lie within a median distance; two thirds lie within a standard"
            " deviation. The factor 1.4826 leads from the first to the second.",
        ),
        "1.4826 stands above the line": (
            robust_scaled_twice,
            "usual = 1.4826 · median distance, and the score is away / usual.",
        ),
        "the mean distance was taken": (
            robust_over_mean_distance,
            "What is far away enters a mean with all its distance. Take the median of away.abs().",
        ),
        "the distances kept their signs": (
            robust_signed_distance,
            "Half of them are below 0, so their median is 0. Take away.abs() first.",
        ),
        "the scores lost their signs": (
            robust_unsigned,
            "Only the usual distance needs abs(); a score below 0 says: too small.",
        ),
        "equal values were divided by 0": (
            robust_unguarded,
            "Where most values are equal, the median distance is 0. Divide by at least 1e-6:"
            " usual.clamp(min=1e-6).",
        ),
        "the median was not taken away": (
            robust_from_zero,
            "A score counts from the middle: (value − median) / usual.",
        ),
        "1 was added to the spread": (
            robust_added,
            "Adding changes every score. Let nothing fall below 1e-6: usual.clamp(min=1e-6).",
        ),
    },
    hints=[
        "Three lines: how far each value is from the median; the usual distance; one over the"
        " other.",
        "The usual distance is 1.4826 times the median of the distances without their signs,"
        " away.abs(), and at least 1e-6.",
        "away = values - values.median(); usual = 1.4826 * away.abs().median();"
        " return away / usual.clamp(min=1e-6)",
    ],
)


# ---------------------------------------------------------------- mean_best_iou


def fit_of_anchors(shapes: Tensor, anchor_shapes: Tensor) -> Tensor:
    """Each anchor chooses its box."""
    return shape_iou(shapes, anchor_shapes).amax(dim=0).mean()


def fit_of_all_pairs(shapes: Tensor, anchor_shapes: Tensor) -> Tensor:
    """No one chooses."""
    return shape_iou(shapes, anchor_shapes).mean()


def fit_of_the_best_pair(shapes: Tensor, anchor_shapes: Tensor) -> Tensor:
    """One box that fits is enough."""
    return shape_iou(shapes, anchor_shapes).max()


def fit_of_one_anchor(shapes: Tensor, anchor_shapes: Tensor) -> Tensor:
    """The one anchor that suits all boxes best."""
    return shape_iou(shapes, anchor_shapes).mean(dim=0).max()


def fit_added_up(shapes: Tensor, anchor_shapes: Tensor) -> Tensor:
    """Grows with the number of boxes."""
    return shape_iou(shapes, anchor_shapes).amax(dim=1).sum()


def fit_by_number(shapes: Tensor, anchor_shapes: Tensor) -> Tensor:
    """The numbers of the best anchors, averaged."""
    return shape_iou(shapes, anchor_shapes).argmax(dim=1).float().mean()


def fit_as_coverage(shapes: Tensor, anchor_shapes: Tensor) -> Tensor:
    """The fraction of boxes that some anchor covers."""
    return (shape_iou(shapes, anchor_shapes).amax(dim=1) >= 0.5).float().mean()


def fit_turned(shapes: Tensor, anchor_shapes: Tensor) -> Tensor:
    """Widths compared with heights."""
    return fitting.mean_best_iou(shapes.flip(dims=[1]), anchor_shapes)


def fit_nearest_in_area(shapes: Tensor, anchor_shapes: Tensor) -> Tensor:
    """The anchor of the most similar area."""
    gap = (shapes.prod(dim=1)[:, None] - anchor_shapes.prod(dim=1)[None]).abs()
    return chosen_fit(shapes, anchor_shapes, gap)


def fit_nearest_in_pixels(shapes: Tensor, anchor_shapes: Tensor) -> Tensor:
    """The anchor with the most similar sides."""
    return chosen_fit(shapes, anchor_shapes, torch.cdist(shapes, anchor_shapes))


def chosen_fit(shapes: Tensor, anchor_shapes: Tensor, gap: Tensor) -> Tensor:
    """The mean IoU with the anchors at the smallest gap."""
    nearest = gap.argmin(dim=1, keepdim=True)
    return shape_iou(shapes, anchor_shapes).gather(1, nearest).mean()


def fit_of_the_median(shapes: Tensor, anchor_shapes: Tensor) -> Tensor:
    """What the middle box has."""
    return shape_iou(shapes, anchor_shapes).amax(dim=1).median()


def fit_at_worst(shapes: Tensor, anchor_shapes: Tensor) -> Tensor:
    """What the worst anchor gives."""
    return shape_iou(shapes, anchor_shapes).amin(dim=1).mean()


mean_best_iou = Exercise(
    reference=fitting.mean_best_iou,
    cases={
        "two boxes, one anchor": (
            torch.tensor([[4.0, 8.0], [6.0, 6.0]]),
            torch.tensor([[4.0, 4.0]]),
        ),
        "one box, three anchors": (
            torch.tensor([[10.0, 20.0]]),
            torch.tensor([[20.0, 10.0], [8.0, 18.0], [40.0, 60.0]]),
        ),
        "each box has its own anchor": (
            torch.tensor([[30.0, 12.0], [5.0, 9.0], [60.0, 80.0]]),
            torch.tensor([[5.0, 9.0], [60.0, 80.0], [30.0, 12.0]]),
        ),
        "near in area is not near in shape": (
            torch.tensor([[40.0, 10.0], [10.0, 42.0]]),
            torch.tensor([[20.0, 20.5], [35.0, 8.0], [9.0, 36.0]]),
        ),
        "near in pixels is not near in shape": (
            torch.tensor([[100.0, 100.0], [10.0, 12.0]]),
            torch.tensor([[190.0, 190.0], [40.0, 44.0]]),
        ),
        "forty boxes, five anchors": (seeded_sides(40, seed=0), seeded_sides(5, seed=1)),
    },
    mistakes={
        "each anchor chose its best box": (
            fit_of_anchors,
            "Each *box* chooses among the anchors. The table is [N, S]: take the best along dim=1.",
        ),
        "all pairs were averaged": (
            fit_of_all_pairs,
            "A box needs one anchor that fits; the others may fit as badly as they like. Take the"
            " best of each row first.",
        ),
        "only the best pair counts": (
            fit_of_the_best_pair,
            "The best of *each* box, then the mean over all boxes.",
        ),
        "one anchor was taken for all": (
            fit_of_one_anchor,
            "Each box may choose another anchor: first the best of each row, then the mean.",
        ),
        "the best were added up": (fit_added_up, "A mean over the boxes is wanted: .mean()."),
        "the numbers of the best anchors were averaged": (
            fit_by_number,
            "argmax says *which* anchor, amax says how well it fits.",
        ),
        "the fraction of covered boxes was taken": (
            fit_as_coverage,
            "That is coverage, which the next cells print as well. Here: the mean of the best IoU"
            " itself.",
        ),
        "width and height were swapped": (
            fit_turned,
            "Both tables have the width first; compare them as they are.",
        ),
        "each box chose the anchor nearest in area": (
            fit_nearest_in_area,
            "A tall and a flat box of one area overlap badly. Choose by IoU.",
        ),
        "each box chose the anchor nearest in pixels": (
            fit_nearest_in_pixels,
            "Thirty pixels are little to a large box and all to a small one. Choose by IoU.",
        ),
        "the median was taken": (fit_of_the_median, "All boxes count: .mean() at the end."),
        "each box chose the worst anchor": (
            fit_at_worst,
            "A high IoU is a good fit: amax, not amin.",
        ),
    },
    hints=[
        "shape_iou(shapes, anchor_shapes) is a table [N, S]: a row for each box, a column for"
        " each anchor.",
        "Of each row only the best counts: .amax(dim=1) gives [N].",
        "return shape_iou(shapes, anchor_shapes).amax(dim=1).mean()",
    ],
)


# ---------------------------------------------------------------- tile_starts


def starts_hanging_over(length: int, tile: int, overlap: float = tiling.OVERLAP) -> list[int]:
    """Step after step to the end of the picture; the last tiles reach beyond it."""
    return list(range(0, length, round(tile * (1 - overlap))))


def starts_of_a_window(length: int, tile: int, overlap: float = tiling.OVERLAP) -> list[int]:
    """As a window slides in lesson 05; what is left at the end is not seen."""
    return list(range(0, max(1, length - tile + 1), round(tile * (1 - overlap))))


def starts_last_moved(length: int, tile: int, overlap: float = tiling.OVERLAP) -> list[int]:
    """Step after step, and the last tile moved back so that it ends with the picture."""
    if length <= tile:
        return [0]
    return [*range(0, length - tile, round(tile * (1 - overlap))), length - tile]


def starts_spread(length: int, tile: int, steps: int) -> list[int]:
    """Spread evenly, in so many steps."""
    return [round(step * (length - tile) / steps) for step in range(steps + 1)]


def starts_by_overlap(length: int, tile: int, overlap: float = tiling.OVERLAP) -> list[int]:
    """The overlap, which is seen twice, taken for the step."""
    if length <= tile:
        return [0]
    if overlap == 0:
        return starts_spread(length, tile, 1)
    return starts_spread(length, tile, math.ceil((length - tile) / (tile * overlap)))


def starts_side_by_side(length: int, tile: int, overlap: float = tiling.OVERLAP) -> list[int]:
    """Nothing is seen twice unless it has to."""
    return tiling.tile_starts(length, tile, 0.0)


def starts_of_fixed_overlap(length: int, tile: int, overlap: float = tiling.OVERLAP) -> list[int]:
    """The argument is not looked at."""
    return tiling.tile_starts(length, tile)


def starts_without_last(length: int, tile: int, overlap: float = tiling.OVERLAP) -> list[int]:
    """As many tiles as steps."""
    return tiling.tile_starts(length, tile, overlap)[:-1] if length > tile else [0]


def starts_too_few(length: int, tile: int, overlap: float = tiling.OVERLAP) -> list[int]:
    """Steps rounded down, so that tiles share less than was asked for."""
    if length <= tile:
        return [0]
    return starts_spread(length, tile, max(1, int((length - tile) / (tile * (1 - overlap)))))


def starts_counted_from_length(
    length: int, tile: int, overlap: float = tiling.OVERLAP
) -> list[int]:
    """As if the first tile needed a step, too."""
    if length <= tile:
        return [0]
    return starts_spread(length, tile, math.ceil(length / (tile * (1 - overlap))))


def starts_of_whole_steps(length: int, tile: int, overlap: float = tiling.OVERLAP) -> list[int]:
    """The step rounded, and then repeated."""
    if length <= tile:
        return [0]
    steps = math.ceil((length - tile) / (tile * (1 - overlap)))
    return [step * round((length - tile) / steps) for step in range(steps + 1)]


def starts_unguarded(length: int, tile: int, overlap: float = tiling.OVERLAP) -> list[int]:
    """A picture smaller than a tile was not thought of."""
    return starts_spread(length, tile, math.ceil((length - tile) / (tile * (1 - overlap))))


def starts_cut_off(length: int, tile: int, overlap: float = tiling.OVERLAP) -> list[int]:
    """Decimals thrown away."""
    if length <= tile:
        return [0]
    steps = math.ceil((length - tile) / (tile * (1 - overlap)))
    return [int(step * (length - tile) / steps) for step in range(steps + 1)]


def starts_over_length(length: int, tile: int, overlap: float = tiling.OVERLAP) -> list[int]:
    """The last tile *begins* where the picture ends."""
    if length <= tile:
        return [0]
    steps = math.ceil((length - tile) / (tile * (1 - overlap)))
    return [round(step * length / steps) for step in range(steps + 1)]


def starts_in_the_middle(length: int, tile: int, overlap: float = tiling.OVERLAP) -> list[int]:
    """Centres of tiles."""
    return [start + tile // 2 for start in tiling.tile_starts(length, tile, overlap)]


def draw_tiles(axes: Axes, case: Case, got: object, wanted: list[int]) -> None:
    """The side of the picture, and under it the tiles: right ones and yours."""
    length, tile = case[:2]
    axes.barh(0, length, height=0.5, color="0.6")
    mine = [start for start in got if isinstance(start, int)] if isinstance(got, list) else []
    for first, starts, colour in ((1, wanted, "#0072b2"), (2 + len(wanted), mine[:20], "#d55e00")):
        for row, start in enumerate(starts, start=first):
            axes.barh(row, tile, left=start, height=0.5, color=colour)
    axes.invert_yaxis()
    axes.set(yticks=[], xlabel=f"pixels\nyours {show(got, 60)}\nright {show(wanted, 60)}")
    axes.set_ylabel("grey: picture, blue:\nright, orange: yours")


tile_starts = Exercise(
    reference=tiling.tile_starts,
    cases={
        "100 pixels, tiles of 40": (100, 40),
        "105 pixels, tiles of 40": (105, 40),
        "one tile, exactly": (40, 40),
        "a picture smaller than a tile": (30, 40),
        "a pixel more than a tile": (41, 40),
        "640 pixels, tiles of 256": (640, 256),
        "no overlap": (1000, 300, 0.0),
        "half of each is seen twice": (500, 120, 0.5),
        "many small tiles": (97, 13, 0.2),
    },
    mistakes={
        "the last tiles reach beyond the picture": (
            starts_hanging_over,
            "The last tile *ends* with the picture, so it begins at length − tile.",
        ),
        "the end of the picture is not seen": (
            starts_of_a_window,
            "Steps of a fixed size need not end at the edge. Say how many steps it takes, then"
            " spread the tiles evenly from 0 to length − tile.",
        ),
        "only the last tile was moved back": (
            starts_last_moved,
            "That covers the picture, and the last two tiles see nearly the same. Spread them"
            " evenly instead: step · (length − tile) / steps.",
        ),
        "the overlap was taken for the step": (
            starts_by_overlap,
            "A quarter is seen twice, so a tile begins at most *three* quarters after the one"
            " before: tile · (1 − overlap).",
        ),
        "the tiles do not overlap": (
            starts_side_by_side,
            "An object on the edge of two tiles would be whole in neither. A tile begins at most"
            " tile · (1 − overlap) after the one before.",
        ),
        "the overlap was fixed at 0.25": (
            starts_of_fixed_overlap,
            "Use the argument overlap; 0.25 is only what it is if nobody says otherwise.",
        ),
        "the last tile is missing": (
            starts_without_last,
            "n steps lead from the first tile to the last, so there are n + 1 tiles:"
            " range(steps + 1).",
        ),
        "the number of steps was rounded down": (
            starts_too_few,
            "If 2.2 steps are needed, 2 leave too little overlap: round up, with math.ceil.",
        ),
        "the steps were counted in the whole length": (
            starts_counted_from_length,
            "The first tile needs no step. Count how many steps lie in length − tile.",
        ),
        "the step was rounded before it was repeated": (
            starts_of_whole_steps,
            "Rounded steps add up to a wrong end. Round each start: round(step · (length − tile) /"
            " steps).",
        ),
        "a picture smaller than a tile was not thought of": (
            starts_unguarded,
            "There is nothing to step over: return [0] before you divide.",
        ),
        "decimals were cut off": (starts_cut_off, "To the nearest pixel: round(), not int()."),
        "the last tile begins where the picture ends": (
            starts_over_length,
            "The first tile begins at 0 and the last one at length − tile. Divide that distance"
            " into equal steps, not length.",
        ),
        "the middle of each tile was given": (
            starts_in_the_middle,
            "Where a tile *begins*: its left or upper edge.",
        ),
    },
    hints=[
        "From the first tile's start to the last one's it is length − tile pixels. If that is 0"
        " or less, one tile is enough.",
        "A step may be tile · (1 − overlap) long. How many steps at least? math.ceil of a"
        " quotient, after import math.",
        "import math; steps = math.ceil((length - tile) / (tile * (1 - overlap))); then"
        " round(step * (length - tile) / steps) for step in range(steps + 1).",
    ],
    draw=draw_tiles,
)
