"""Small pictures to compare scenes by, without what all pictures of a camera share.

Uses data/pictures.py and data/check.py. A chess board or a conveyor belt before one camera makes
any two pictures alike. What many pictures show at the same place is their background; taken away,
only that is left in which they differ.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped, UInt8
from torch import Tensor
from torchvision.transforms.v2.functional import resize, rgb_to_grayscale

from detlab.data.check import SIDE
from detlab.data.pictures import read_picture

ROWS = 36
"""Height to which pictures are scaled down: a shift is told to 1/36 of the picture."""
BLUR = 9
"""Side of the square whose mean is taken away: light and colour cast do not make twins."""
SHARED = 0.5
"""Correlation, without any shift, from which two pictures show one background."""
FEWEST_OF_A_CAMERA = 12
"""Fewer pictures that are alike are copies, not what a camera always sees …"""
FRACTION_OF_A_CAMERA = 0.02
"""… and so is a smaller fraction of the set."""
TRIED = 256
"""Pictures, evenly spread over the set, that are tried as the first of a camera."""
ROUNDS = 3
"""How often a background is looked for: first the camera's, then that of morning and evening."""
ENOUGH = 200
"""Pictures from which a background is taken; more of them change nothing."""


class Thumbnails(NamedTuple):
    """N small pictures, and what is left of them without their backgrounds."""

    whole: Float[Tensor, "N h w"]
    own: Float[Tensor, "N h w"]
    """Without the background, where there is one."""
    fixed: Bool[Tensor, " N"]
    """Whether a camera that does not move took the picture: it has a background."""


class Album:
    """Makes thumbnails of the pictures that it is shown, see `check.Watch`, and keeps them."""

    def __init__(self) -> None:
        """Begin with an empty album."""
        self.thumbs: dict[Path, Float[Tensor, "h w"]] = {}

    def __call__(self, path: Path, image: UInt8[Tensor, "3 H W"]) -> None:
        """Keep a thumbnail of a picture."""
        self.thumbs[path] = thumbnail(image)

    def thumb(self, path: Path) -> Float[Tensor, "h w"]:
        """The thumbnail of a picture, which is read if it was not shown."""
        kept = self.thumbs.get(path)
        return thumbnail(read_picture(path, SIDE)) if kept is None else kept


def read_thumbnails(paths: Sequence[Path], album: Album | None = None) -> Thumbnails:
    """Read pictures one beside the other on all cores, and find their backgrounds.

    Those that are in `album` are not read again.
    """
    album = album or Album()
    whole = torch.zeros(len(paths), ROWS, ROWS * 4 // 3)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for row, thumb in enumerate(pool.map(album.thumb, paths)):
            whole[row] = thumb
    return without_backgrounds(whole)


def thumbnail(image: Shaped[Tensor, "3 H W"], rows: int = ROWS) -> Float[Tensor, "h w"]:
    """A small grey picture in which only what differs from its surroundings is left.

    >>> float(thumbnail(torch.full((3, 60, 90), 200, dtype=torch.uint8)).abs().max()) < 0.001
    True
    """
    grey = rgb_to_grayscale(image).float()
    small = resize(grey, [rows, rows * 4 // 3], antialias=True)
    around = F.avg_pool2d(F.pad(small, (BLUR // 2,) * 4, mode="reflect"), BLUR, stride=1)
    return (small - around)[0]


def without_backgrounds(whole: Float[Tensor, "N h w"]) -> Thumbnails:
    """Take away what many pictures share, again until nothing is shared any more."""
    own = whole
    fixed = torch.zeros(len(whole), dtype=torch.bool)
    for _ in range(ROUNDS):
        cameras = pictures_of_cameras(own)
        own = own.clone() if cameras else own
        for rows in cameras:
            own[rows] = without(own[rows], background(own[rows]))
            fixed[rows] = True
        if not cameras:
            break
    return Thumbnails(whole, own, fixed)


def pictures_of_cameras(thumbs: Float[Tensor, "N h w"]) -> list[Bool[Tensor, " N"]]:
    """Which pictures show one background; each picture is in one such group at most."""
    flat = thumbs.flatten(1)
    lengths = flat.norm(dim=1).clamp(min=1e-6)
    free = torch.ones(len(flat), dtype=torch.bool)
    fewest = max(FEWEST_OF_A_CAMERA, FRACTION_OF_A_CAMERA * len(flat))
    cameras = []
    tried = torch.arange(0, len(flat), 1 + len(flat) // TRIED)
    for row, product in zip(tried.tolist(), flat[tried] @ flat.T, strict=True):
        alike = free & (product >= SHARED * lengths * lengths[row]) & (product > 0)
        if free[row] and int(alike.sum()) >= fewest:
            cameras.append(alike)
            free = free & ~alike
    return cameras


def background(thumbs: Float[Tensor, "N h w"]) -> Float[Tensor, "h w"]:
    """The median of pictures: what each place shows in most of them.

    >>> background(torch.tensor([[[1.0, 9.0]], [[1.0, 2.0]], [[7.0, 2.0]]]))
    tensor([[1., 2.]])
    """
    return thumbs[:: 1 + len(thumbs) // ENOUGH].median(dim=0).values


def without(thumbs: Float[Tensor, "N h w"], shared: Float[Tensor, "h w"]) -> Float[Tensor, "N h w"]:
    """Take away a background from each picture, as bright as that picture shows it.

    >>> without(torch.tensor([[[4.0, 2.0, 1.0]]]), torch.tensor([[2.0, 1.0, 0.0]]))
    tensor([[[0., 0., 1.]]])
    """
    brightness = (thumbs * shared).sum(dim=(1, 2)) / shared.square().sum().clamp(min=1e-6)
    return thumbs - brightness[:, None, None] * shared
