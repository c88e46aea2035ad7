"""Anchors that suit a data set: its own sizes and aspect ratios, found by k-means.

Uses records.py and model.py.

Fitting anchors to the boxes of a data set is from Redmon and Farhadi, "YOLO9000", CVPR 2017.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from detlab.data.records import Record
from detlab.detector.anchors import fit_shapes, shape_iou
from detlab.detector.model import DetectorConfig

STARTS = 10
"""k-means goes to the nearest hollow; the best of some random starts is kept."""
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
