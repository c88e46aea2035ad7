"""Inputs and pictures that the exercises of several lessons share."""

from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from torch import Tensor

from detlab.course.exercises.compare import show
from detlab.course.exercises.exercise import Case
from detlab.draw.figures import draw_boxes


def table(*rows: Sequence[int | float]) -> Tensor:
    """Boxes, one a row."""
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)


def seeded_boxes(number: int, seed: int) -> Tensor:
    """Boxes of many shapes in a picture of 60 × 40, none square."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(number, 2, generator=generator) * torch.tensor([40.0, 20.0])
    size = 2 + torch.rand(number, 2, generator=generator) * torch.tensor([18.0, 12.0])
    return torch.cat([corner, corner + size], dim=1)


def seeded_sides(number: int, seed: int) -> Tensor:
    """Widths and heights of many boxes."""
    boxes = seeded_boxes(number, seed)
    return boxes[:, 2:] - boxes[:, :2]


def draw_pair(axes: Axes, case: Case, got: object, wanted: object) -> None:
    """Both lists of boxes, and both answers below."""
    first, second = case
    corners = torch.cat([first, second, torch.tensor([[0.0, 0.0, 1.0, 1.0]])])
    low = (corners.min(dim=0).values - 3).tolist()
    high = (corners.max(dim=0).values + 3).tolist()
    axes.set(xlim=(low[0], high[2]), ylim=(high[3], low[1]), aspect="equal")
    axes.set(xlabel=f"yours {show(got, 60)}\nright {show(wanted, 60)}", ylabel="y, pixels")
    draw_boxes(axes, first, "truth")
    draw_boxes(axes, second, "prediction")


def draw_answers(axes: Axes, case: Case, got: object, wanted: Tensor) -> None:
    """The boxes that are wanted, solid, and those that came, dashed: `case` is not drawn."""
    corners = torch.cat([wanted, torch.tensor([[0.0, 0.0, 1.0, 1.0]])])
    low, high = corners.min(dim=0).values, corners.max(dim=0).values
    room = 3 + 0.1 * (high[2:] - low[:2]).max()
    (left, top), (right, bottom) = (low[:2] - room).tolist(), (high[2:] + room).tolist()
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    axes.set(xlabel="x, pixels (solid: right, dashed: yours)", ylabel="y, pixels")
    draw_boxes(axes, wanted, "truth")
    if isinstance(got, Tensor) and got.ndim == 2 and got.shape[1:] == (4,):
        draw_boxes(axes, got[got.isfinite().all(dim=1)], "prediction")
