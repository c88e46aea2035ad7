"""Anchors that suit a data set: its own sizes and aspect ratios, found by k-means.

Uses records.py and config.py.

Fitting anchors to the boxes of a data set is from Redmon and Farhadi, "YOLO9000", CVPR 2017.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from detlab.data.records import Record
from detlab.detector.config import DetectorConfig

STARTS = 10
"""k-means goes to the nearest minimum; the best of some random starts is kept."""
MOST_BOXES = 5000
"""Of more boxes so many are drawn: they tell as much, and the fit stays a matter of seconds."""


def box_shapes(records: Sequence[Record], longest_side: int) -> Float[Tensor, "N 2"]:
    """Width and height of every box, in pixels of pictures scaled to a longest side."""
    shapes = [torch.zeros(0, 2)]
    for record in records:
        assert record.image_size is not None  # a sound record has been measured
        x1, y1, x2, y2 = record.boxes.unbind(dim=1)
        scale = longest_side / max(record.image_size)
        shapes.append(torch.stack([x2 - x1, y2 - y1], dim=1) * scale)
    return torch.cat(shapes)


def shape_iou(
    shapes_a: Float[Tensor, "N 2"], shapes_b: Float[Tensor, "S 2"]
) -> Float[Tensor, "N S"]:
    """IoU of every pair of widths and heights, as if both stood on the same centre.

    >>> shape_iou(torch.tensor([[4.0, 8.0]]), torch.tensor([[8.0, 4.0]]))  # 16 / (32 + 32 - 16)
    tensor([[0.3333]])
    """
    shared = torch.minimum(shapes_a[:, None], shapes_b[None]).prod(dim=2)
    return shared / (shapes_a.prod(dim=1)[:, None] + shapes_b.prod(dim=1)[None] - shared)


def refit_shapes(
    box_shapes: Float[Tensor, "N 2"], shapes: Float[Tensor, "S 2"]
) -> Float[Tensor, "S 2"]:
    """One round of k-means: each shape becomes the mean of the boxes that it fits best.

    Fits best means highest IoU, so that a large box does not weigh more than a small one.
    A shape that is no box's best stays.

    >>> boxes = torch.tensor([[4.0, 8.0], [6.0, 10.0], [30.0, 20.0]])
    >>> refit_shapes(boxes, shapes=torch.tensor([[8.0, 8.0], [40.0, 40.0]]))
    tensor([[ 5.,  9.],
            [30., 20.]])
    """
    best = shape_iou(box_shapes, shapes).argmax(dim=1)  # [N]
    means = [
        box_shapes[best == row].mean(dim=0) if (best == row).any() else shapes[row]
        for row in range(len(shapes))
    ]
    return torch.stack(means)


def fit_shapes(
    box_shapes: Float[Tensor, "N 2"], num_shapes: int, generator: torch.Generator, rounds: int = 50
) -> Float[Tensor, "S 2"]:
    """Find the few widths and heights (pixels) that suit a data set's boxes best, by k-means.

    Returns:
        Shapes by growing area.

    Raises:
        ValueError: fewer boxes than shapes.
    """
    if not 1 <= num_shapes <= len(box_shapes):
        raise ValueError(f"cannot fit {num_shapes} shapes to {len(box_shapes)} boxes")
    start = torch.randperm(len(box_shapes), generator=generator)[:num_shapes]
    shapes = box_shapes[start.to(box_shapes.device)]
    for _ in range(rounds):
        shapes = refit_shapes(box_shapes, shapes)
    return shapes[shapes.prod(dim=1).argsort()]


def mean_best_iou(
    shapes: Float[Tensor, "N 2"], anchor_shapes: Float[Tensor, "S 2"]
) -> Float[Tensor, ""]:
    """How well the best anchor shape fits a box, on the average; 1 is every box exactly.

    >>> mean_best_iou(torch.tensor([[4.0, 8.0], [6.0, 6.0]]), torch.tensor([[4.0, 4.0]]))
    tensor(0.4722)
    """
    return shape_iou(shapes, anchor_shapes).amax(dim=1).mean()


def best_fit(
    shapes: Float[Tensor, "N 2"], number: int, generator: torch.Generator
) -> Float[Tensor, "S 2"]:
    """The best of some k-means, each from a random start; shapes by growing area."""
    fits = [fit_shapes(shapes, number, generator) for _ in range(STARTS)]
    return max(fits, key=lambda fit: mean_best_iou(shapes, fit).item())


def fit_anchors(config: DetectorConfig, shapes: Float[Tensor, "N 2"]) -> DetectorConfig:
    """A config with as many sizes and aspect ratios as before, fitted to a data set's boxes.

    First the sizes, as if every box were a square of its area; then the aspect ratios, as if all
    boxes had one area. The smallest sizes go to the finest level.

    Args:
        config: says how many sizes and aspect ratios there are to be.
        shapes: widths and heights in pixels of the network's input, see `box_shapes`.

    Returns:
        The config itself where there are fewer boxes than sizes or aspect ratios.
    """
    num_levels, per_level = len(config.anchor_sizes), len(config.anchor_sizes[0])
    if len(shapes) < max(num_levels * per_level, len(config.aspect_ratios)):
        return config
    generator = torch.Generator().manual_seed(0)
    shapes = shapes[torch.randperm(len(shapes), generator=generator)[:MOST_BOXES]]
    size = shapes.prod(dim=1).sqrt()[:, None]  # [N, 1]
    sizes = best_fit(size.expand(-1, 2), num_levels * per_level, generator)[:, 0]
    width, height = best_fit(shapes / size, len(config.aspect_ratios), generator).unbind(dim=1)
    return replace(
        config,
        anchor_sizes=tuple(map(tuple, sizes.view(num_levels, per_level).tolist())),
        aspect_ratios=tuple(sorted((height / width).tolist())),
    )
