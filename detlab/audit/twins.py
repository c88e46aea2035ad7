"""Pictures of the same scene: copies, and photographs taken twice with the camera moved between.

Uses pictures.py. The question behind it: was a test picture in training?

Two pictures are laid over each other at every shift and compared where they overlap, all shifts
at once by the Fourier transform, as in Padfield, "Masked Object Registration in the Fourier
Domain", IEEE Transactions on Image Processing 2012.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor
from torchvision.transforms.v2.functional import resize, rgb_to_grayscale

from detlab.data.pictures import read_picture

ROWS = 36
"""Height to which pictures are scaled down: a shift is told to 1/36 of the picture."""
BLUR = 9
"""Side of the square whose mean is taken away: light and colour cast do not make twins."""
LEAST_OVERLAP = 0.3
"""Fraction of the picture that both must show."""
TWIN = 0.75
"""Correlation from which two pictures are twins. On BCCD, unlike pictures stay below 0.71."""


def find_twins(paths: Sequence[Path], least: float = TWIN) -> list[tuple[int, int, float]]:
    """Pairs of pictures that show the same scene, the most alike first.

    Returns:
        (row, row, correlation) for each pair, the first row the smaller.
    """
    thumbs = torch.stack([thumbnail(read_picture(path, 8 * ROWS)) for path in paths])
    pairs = [
        (row, row + 1 + other, float(likeness[other]))
        for row, likeness in enumerate(correlations(thumbs))
        for other in (likeness >= least).nonzero()[:, 0].tolist()
    ]
    return sorted(pairs, key=lambda pair: -pair[2])


def thumbnail(image: Shaped[Tensor, "3 H W"], rows: int = ROWS) -> Float[Tensor, "h w"]:
    """A small grey picture in which only what differs from its surroundings is left.

    >>> float(thumbnail(torch.full((3, 60, 90), 200, dtype=torch.uint8)).abs().max()) < 0.001
    True
    """
    grey = rgb_to_grayscale(image).float()
    small = resize(grey, [rows, rows * 4 // 3], antialias=True)
    around = F.avg_pool2d(F.pad(small, (BLUR // 2,) * 4, mode="reflect"), BLUR, stride=1)
    return (small - around)[0]


def correlations(thumbs: Float[Tensor, "N h w"]) -> Iterator[Float[Tensor, " n"]]:
    """For each picture but the last, its highest correlation with each after it, −1 to 1."""
    for likeness in correlation_maps(thumbs):
        yield likeness.amax(dim=(1, 2))


def best_shift(one: Float[Tensor, "h w"], other: Float[Tensor, "h w"]) -> tuple[int, int]:
    """How far down and right, in pixels of the thumbnails, `one` shows what `other` shows.

    >>> scene = torch.rand(30, 40, generator=torch.Generator().manual_seed(1)) - 0.5
    >>> best_shift(scene[:20, :30], scene[3:23, 8:38])
    (3, 8)
    """
    [[likeness]] = correlation_maps(torch.stack([one, other]))
    shift = divmod(int(likeness.argmax()), likeness.shape[1])
    down, right = (  # the second half of the map holds the negative shifts
        by - size if by >= size // 2 else by for by, size in zip(shift, likeness.shape, strict=True)
    )
    return down, right


def correlation_maps(thumbs: Float[Tensor, "N h w"]) -> Iterator[Float[Tensor, "n 2h 2w"]]:
    """For each picture but the last, its correlation with each after it, at every shift.

    At each shift only the overlap counts; where it is too small stands −1.
    """
    height, width = thumbs.shape[1:]
    padded = (2 * height, 2 * width)  # so that nothing wraps around to the other side

    def spectrum(values: Tensor) -> Tensor:
        found: Tensor = torch.fft.rfft2(values, padded)
        return found

    def at_all_shifts(a: Tensor, b: Tensor) -> Tensor:
        found: Tensor = torch.fft.irfft2(a * b.conj(), padded)
        return found

    pictures, squares = spectrum(thumbs), spectrum(thumbs**2)
    everywhere = spectrum(torch.ones_like(thumbs[0]))
    enough = at_all_shifts(everywhere, everywhere) >= LEAST_OVERLAP * height * width
    mine = at_all_shifts(squares, everywhere).clamp(min=1e-3)
    theirs = at_all_shifts(everywhere, squares).clamp(min=1e-3)
    for row in range(len(thumbs) - 1):
        shared = at_all_shifts(pictures[row], pictures[row + 1 :])
        yield (shared / (mine[row] * theirs[row + 1 :]).sqrt()).where(enough, -1.0)
