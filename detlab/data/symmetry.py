"""Whether the pictures of a set may be mirrored, seen in their own objects.

Uses the pictures and boxes of a FolderDataset; statistics.py asks.

An object and its mirror image differ. Where all objects of a class differ alike, as letters do, a
mirror image is none of them; where one differs so and the next otherwise, it is one more of them.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torchvision.transforms.v2.functional import resize

SIDE = 8
"""Pixels of a patch: its coarse shape and shading."""
SMALLEST = 4
"""Pixels: of a smaller box nothing is to be seen."""
PER_PICTURE = 20
"""Objects: a few of each picture tell as much as all of some."""
FEW = 8
"""Fewer objects of a class are not judged."""
FLAT = 4.0
"""Brightness: less contrast than this is noise, which is not enlarged."""


class Symmetry(NamedTuple):
    """How objects differ from their mirror images."""

    upside_down: float
    """Share of the difference from the image upside down that all objects of a class have alike."""
    mirrored: float
    """The same of the image with left and right exchanged."""
    uprightness: float
    """How much more they differ from the image upside down than from the other; 1 is alike."""
    objects: int
    """That were looked at."""


def measure_symmetry(dataset: Any, most_pictures: int = 300) -> Symmetry:
    """Look at some objects of a set and at their mirror images.

    Args:
        dataset: items are (uint8 [3, H, W], target).
        most_pictures: are decoded, evenly spread over the set.
    """
    step = max(1, -(-len(dataset) // most_pictures))
    found = [object_patches(*dataset[row]) for row in range(0, len(dataset), step)]
    patches = torch.cat([part for part, _ in found])
    labels = torch.cat([part for _, part in found])
    down, across = patches - patches.flip(1), patches - patches.flip(2)
    ratio = down.square().sum() / across.square().sum() if across.any() else torch.tensor(1.0)
    alike = shared_part(down, labels), shared_part(across, labels)
    return Symmetry(*alike, ratio.item(), len(labels))


def object_patches(
    image: UInt8[Tensor, "3 H W"], target: dict[str, Any]
) -> tuple[Float[Tensor, "N 8 8"], Int64[Tensor, " N"]]:
    """Some objects of a picture, small, each of mean 0 and spread 1; and their labels."""
    boxes = target["boxes"].round().int()
    large = (boxes[:, 2:] - boxes[:, :2]).amin(dim=1) >= SMALLEST
    rows = large.nonzero()[:, 0]
    rows = rows[:: max(1, -(-len(rows) // PER_PICTURE))]
    patches = [torch.zeros(0, SIDE, SIDE)]
    for box in boxes[rows].tolist():
        patch = resize(contrast(image, box)[None], [SIDE, SIDE], antialias=True)
        patches.append((patch - patch.mean()) / (patch.std() + FLAT))
    return torch.cat(patches), target["labels"][rows]


def contrast(image: UInt8[Tensor, "3 H W"], box: list[int]) -> Float[Tensor, "h w"]:
    """How far each pixel of a box is from the colour around it: dark on light is light on dark."""
    x1, y1, x2, y2 = box
    margin = max(2, (x2 - x1 + y2 - y1) // 12)
    left, top = max(0, x1 - margin), max(0, y1 - margin)
    region = image[:, top : y2 + margin, left : x2 + margin].float()
    outside = torch.ones(region.shape[1:], dtype=torch.bool)
    outside[y1 - top : y2 - top, x1 - left : x2 - left] = False
    inside = image[:, y1:y2, x1:x2].float()
    around = region[:, outside] if outside.any() else inside.flatten(start_dim=1)
    return (inside - around.median(dim=1).values[:, None, None]).abs().mean(dim=0)


def shared_part(differences: Float[Tensor, "N 8 8"], labels: Int64[Tensor, " N"]) -> float:
    """Share of the differences' power that is the mean of its class; near 0 where none is shared.

    The power of a mean of N is too large by the N-th part of the spread; that is taken off.
    """
    shared, total = 0.0, 0.0
    for label in labels.unique():
        ours = differences[labels == label]
        if len(ours) >= FEW:
            mean = ours.mean(dim=0).square() - ours.var(dim=0) / len(ours)
            shared += len(ours) * mean.sum().item()
            total += ours.square().sum().item()
    return shared / total if total else 0.0
