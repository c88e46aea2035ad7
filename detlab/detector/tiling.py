"""Small objects in a large picture: look at the whole, then at one tile after the other.

Uses postprocess.py.

The idea is from Akyon et al., "Slicing Aided Hyper Inference" (SAHI), ICIP 2022.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from detlab.boxes import clip_boxes
from detlab.detector.postprocess import detect
from detlab.detector.suppression import suppress
from detlab.images import image_size
from detlab.types import Detection, Predictions

MARGIN = 2.0
"""Pixels of what the network sees: a box that comes as close to an edge may have been cut there."""
OVERLAP = 0.25
"""Fraction of a tile that the next one sees, too: an object so large is whole in one of them."""
Starts = Callable[[int, int, float], list[int]]
"""Length of a side, a tile's side, overlap: where tiles begin along it."""
IN_EACH_PART = ("max_candidates", "candidates", "soft_sigma")
"""Options that have done their work before parts are joined: Soft-NMS would lower scores twice."""


def tile_starts(length: int, tile: int, overlap: float = OVERLAP) -> list[int]:
    """Where tiles begin along a side, so that they cover it evenly; all in pixels.

    >>> tile_starts(100, tile=40)
    [0, 30, 60]
    >>> tile_starts(30, tile=40)
    [0]
    """
    check_tiles(tile, overlap)
    if length <= tile:
        return [0]
    steps = math.ceil((length - tile) / (tile * (1 - overlap)))
    return [round(step * (length - tile) / steps) for step in range(steps + 1)]


def check_tiles(tile: int, overlap: float) -> None:
    """Refuse tiles that would never come to the end of a side.

    Raises:
        ValueError: a tile without pixels, or an overlap that lets tiles stand still.
    """
    if tile < 1 or not 0 <= overlap < 1:
        raise ValueError(f"want tile >= 1 and 0 <= overlap < 1, got {tile} and {overlap}")


def tile_boxes(
    size: tuple[int, int], tile: int, overlap: float = OVERLAP, starts: Starts = tile_starts
) -> Float[Tensor, "T 4"]:
    """The tiles of a picture of (height, width), row by row, in its pixels.

    `starts` says where they begin along a side.

    >>> tile_boxes((40, 70), tile=40)
    tensor([[ 0.,  0., 40., 40.],
            [30.,  0., 70., 40.]])
    """
    height, width = size
    tops, lefts = starts(height, tile, overlap), starts(width, tile, overlap)
    return torch.tensor(
        [
            [left, top, min(left + tile, width), min(top + tile, height)]
            for top in tops
            for left in lefts
        ],
        dtype=torch.float32,
    )


def is_whole(
    boxes: Float[Tensor, "N 4"],
    tile: Float[Tensor, " 4"],
    size: tuple[int, int],
    margin: float = MARGIN,
) -> Tensor:
    """Which boxes no inner edge of their tile may have cut; all in pixels of the picture.

    They keep `margin` away from it: MARGIN, times pixels of the picture per pixel that the network
    sees.

    An edge that the tile shares with the picture cuts nothing that could be seen elsewhere.

    >>> boxes = torch.tensor([[0.0, 9.0, 20.0, 30.0], [20.0, 9.0, 40.0, 30.0]])
    >>> is_whole(boxes, torch.tensor([0.0, 0.0, 40.0, 40.0]), size=(40, 70))
    tensor([ True, False])
    """
    height, width = size
    outer = tile == tile.new_tensor([0, 0, width, height])  # x1 y1 x2 y2
    return ((boxes - tile).abs() >= margin).logical_or(outer).all(dim=1)


def seen_scale(tile: Float[Tensor, " 4"], longest_side: int | None) -> float:
    """Pixels of the picture per pixel that the network sees of a tile, see `images.fit_image`.

    >>> seen_scale(torch.tensor([0.0, 0.0, 512.0, 256.0]), longest_side=128)
    4.0
    """
    return 1.0 if longest_side is None else float((tile[2:] - tile[:2]).max()) / longest_side


def detect_in_tiles(
    detector: Callable[[Tensor], Predictions],
    image: Tensor,
    longest_side: int | None,
    tile: int,
    starts: Starts = tile_starts,
    **options: Any,
) -> Detection:
    """Detect in the whole picture and in its tiles, and join what was found by NMS once more.

    A tile is scaled to the size of the network as a whole picture is, so small objects become
    larger for it. What a tile cuts off stands whole in the next tile or in the whole picture.

    Args:
        detector: see `postprocess.detect`.
        image: [3, H, W].
        longest_side: pixels to which picture and tiles are scaled for the network.
        tile: side of a tile, in pixels of the picture.
        starts: where tiles begin along a side, see `tile_starts`.
        options: of `postprocess.select_detections`.
    """
    size = image_size(image)
    tiles = tile_boxes(size, tile, starts=starts)
    parts = detect(detector, [image], longest_side, **options)
    for view in tiles if len(tiles) > 1 else ():  # a single one is the whole picture
        left, top, right, bottom = view.int().tolist()
        [part] = detect(detector, [image[:, top:bottom, left:right]], longest_side, **options)
        boxes = clip_boxes(part["boxes"] + view[[0, 1, 0, 1]].to(part["boxes"].device), size)
        margin = MARGIN * seen_scale(view, longest_side)
        whole = is_whole(boxes, view.to(boxes.device), size, margin)
        labels, scores = part["labels"][whole], part["scores"][whole]
        parts.append(Detection(boxes=boxes[whole], labels=labels, scores=scores))
    boxes, labels, scores = (
        torch.cat([part[key] for part in parts]) for key in ("boxes", "labels", "scores")
    )
    joining = {name: options[name] for name in options if name not in IN_EACH_PART}
    return suppress(Detection(boxes=boxes, labels=labels, scores=scores), **joining)
