"""A grid of guesses: boxes of a few shapes at the centre of every feature-map cell.

Uses boxes.py.

The deltas are from Girshick et al., "Rich feature hierarchies" (R-CNN), CVPR 2014.
"""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from detlab.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from detlab.checks import check_rows

Grid = Callable[[tuple[int, int], int, Tensor], Tensor]
"""(height, width) of a map, its stride, shapes [S 2] to anchors [H·W·S 4]."""
Encode = Callable[[Tensor, Tensor, Sequence[float]], Tensor]
"""gt_boxes [A 4], anchors [A 4], delta weights to deltas [A 4]."""
Decode = Callable[[Tensor, Tensor, Sequence[float]], Tensor]
"""deltas [A 4], anchors [A 4], delta weights to boxes [A 4]."""

FIRST_STRIDE = 8
"""Image pixels per cell of the finest level."""
MAX_STRETCH = math.log(1000 / 16)
"""Decoded boxes grow at most 62.5 times: exp() of an untrained network's output can overflow."""


def anchor_shapes(sizes: Sequence[float], aspect_ratios: Sequence[float]) -> Float[Tensor, "S 2"]:
    """Width and height, in pixels, of every size in every aspect ratio (height / width).

    All shapes of one size cover the same area, size × size.

    >>> anchor_shapes(sizes=[8.0], aspect_ratios=[1.0, 4.0])
    tensor([[ 8.,  8.],
            [ 4., 16.]])
    """
    shapes = [
        (size / math.sqrt(ratio), size * math.sqrt(ratio))
        for size in sizes
        for ratio in aspect_ratios
    ]
    return torch.tensor(shapes)


def grid_centres(
    feature_size: tuple[int, int], stride: int, device: torch.device | None = None
) -> Float[Tensor, "HW 2"]:
    """The x and y of every cell's centre, in image pixels, row by row.

    >>> grid_centres((1, 3), stride=8)
    tensor([[ 4.,  4.],
            [12.,  4.],
            [20.,  4.]])
    """
    height, width = feature_size
    x = (torch.arange(width, device=device) + 0.5) * stride
    y = (torch.arange(height, device=device) + 0.5) * stride
    return torch.cartesian_prod(y, x).flip(dims=[1])


def anchor_grid(
    feature_size: tuple[int, int], stride: int, shapes: Float[Tensor, "S 2"]
) -> Float[Tensor, "HWS 4"]:
    """Every shape at the centre of every cell: row by row, cell by cell, shape by shape.

    The head's outputs come in the same order. Anchors may reach beyond the image.

    >>> anchor_grid((1, 2), stride=8, shapes=torch.tensor([[8.0, 4.0]]))
    tensor([[ 0.,  2.,  8.,  6.],
            [ 8.,  2., 16.,  6.]])
    """
    centres = grid_centres(feature_size, stride, shapes.device)
    corners = torch.cat([-shapes, shapes], dim=1) / 2  # x1 y1 x2 y2 around a centre at 0, 0
    return (centres.repeat(1, 2)[:, None] + corners).flatten(0, 1)


def window_boxes(
    image_size: tuple[int, int], window: tuple[int, int], stride: int
) -> Float[Tensor, "N 4"]:
    """Every place of a window that slides over an image, row by row, in pixels.

    The older way to guess: one shape, and only places where the whole window lies in the image.

    Args:
        image_size: height, width.
        window: height, width; at most the image's.
        stride: pixels from one place to the next, to the right and down.

    Raises:
        ValueError: a window that does not fit into the image, or a stride below 1.

    >>> window_boxes((8, 12), window=(8, 8), stride=4)
    tensor([[ 0.,  0.,  8.,  8.],
            [ 4.,  0., 12.,  8.]])
    """
    (height, width), (window_height, window_width) = image_size, window
    if not (1 <= window_height <= height and 1 <= window_width <= width):
        raise ValueError(f"want a window of 1 x 1 to {image_size} pixels (height, width): {window}")
    if stride < 1:
        raise ValueError(f"want a stride of 1 pixel or more: {stride}")
    y = torch.arange(0, height - window_height + 1, stride)
    x = torch.arange(0, width - window_width + 1, stride)
    corners = torch.cartesian_prod(y, x).flip(dims=[1]).float()  # x1 y1
    return torch.cat([corners, corners + corners.new_tensor([window_width, window_height])], dim=1)


def pyramid_anchors(
    feature_sizes: tuple[tuple[int, int], ...],
    anchor_sizes: tuple[tuple[float, ...], ...],
    aspect_ratios: tuple[float, ...],
    device: torch.device,
    grid: Grid = anchor_grid,
) -> Float[Tensor, "A 4"]:
    """The anchors of all levels, finest first; the stride doubles from level to level, from 8.

    >>> sizes = ((8.0,), (16.0,))  # one size on each of two levels
    >>> pyramid_anchors(((1, 2), (1, 1)), sizes, (1.0,), torch.device("cpu"))
    tensor([[ 0.,  0.,  8.,  8.],
            [ 8.,  0., 16.,  8.],
            [ 0.,  0., 16., 16.]])
    """
    levels = [
        grid(feature_size, FIRST_STRIDE * 2**level, anchor_shapes(sizes, aspect_ratios))
        for level, (feature_size, sizes) in enumerate(zip(feature_sizes, anchor_sizes, strict=True))
    ]
    return torch.cat(levels).to(device)


def encode_boxes(
    gt_boxes: Float[Tensor, "A 4"],
    anchors: Float[Tensor, "A 4"],
    weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
) -> Float[Tensor, "A 4"]:
    """How to move and stretch each anchor so that it becomes its box.

    The deltas dx dy dw dh: the move is counted in anchor widths and heights, the stretch as a
    logarithm, so that small and large objects ask for numbers of the same size. They are multiplied
    by `weights` (Fast R-CNN has 10, 10, 5, 5, RetinaNet 1). Boxes are in pixels.

    Raises:
        ValueError: not one anchor a box.

    >>> encode_boxes(torch.tensor([[5.0, 0.0, 15.0, 20.0]]), torch.tensor([[0.0, 0.0, 10.0, 20.0]]))
    tensor([[0.5000, 0.0000, 0.0000, 0.0000]])
    """
    check_rows(gt_boxes=gt_boxes, anchors=anchors)
    cx, cy, w, h = xyxy_to_cxcywh(gt_boxes).unbind(dim=1)
    anchor_cx, anchor_cy, anchor_w, anchor_h = xyxy_to_cxcywh(anchors).unbind(dim=1)
    deltas = torch.stack(
        [
            (cx - anchor_cx) / anchor_w,
            (cy - anchor_cy) / anchor_h,
            torch.log(w / anchor_w),
            torch.log(h / anchor_h),
        ],
        dim=1,
    )
    return deltas * deltas.new_tensor(weights)


def decode_deltas(
    deltas: Float[Tensor, "A 4"],
    anchors: Float[Tensor, "A 4"],
    weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
) -> Float[Tensor, "A 4"]:
    """Move and stretch each anchor as its deltas dx dy dw dh say; undoes `encode_boxes`.

    Raises:
        ValueError: not one anchor a row of deltas.

    >>> decode_deltas(torch.tensor([[0.5, 0.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 10.0, 20.0]]))
    tensor([[ 5.,  0., 15., 20.]])
    """
    check_rows(deltas=deltas, anchors=anchors)
    dx, dy, dw, dh = (deltas / deltas.new_tensor(weights)).unbind(dim=1)
    anchor_cx, anchor_cy, anchor_w, anchor_h = xyxy_to_cxcywh(anchors).unbind(dim=1)
    boxes_cxcywh = [
        anchor_cx + dx * anchor_w,
        anchor_cy + dy * anchor_h,
        anchor_w * torch.exp(dw.clamp(max=MAX_STRETCH)),
        anchor_h * torch.exp(dh.clamp(max=MAX_STRETCH)),
    ]
    return cxcywh_to_xyxy(torch.stack(boxes_cxcywh, dim=1))
