"""Pictures of any size to one batch."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2.functional import resize


def image_size(image: Tensor) -> tuple[int, int]:
    """(height, width) of a [3, H, W] picture, in pixels.

    Raises:
        ValueError: not one picture [3, H, W], or one without pixels.

    >>> image_size(torch.zeros(3, 480, 640))
    (480, 640)
    """
    if image.ndim != 3 or image.shape[0] != 3:
        raise ValueError(
            f"want a picture [3, H, W], got {list(image.shape)}; pictures come as a list of them"
        )
    if 0 in image.shape:
        raise ValueError(f"want a picture of one pixel or more, got {list(image.shape)}")
    _, height, width = image.shape
    return height, width


def fitted_size(size: tuple[int, int], longest_side: int) -> tuple[int, int]:
    """(height, width) of a picture scaled to a longest side of so many pixels.

    Raises:
        ValueError: a longest side below one pixel.

    >>> fitted_size((480, 640), longest_side=320)
    (240, 320)
    """
    if not longest_side >= 1:
        raise ValueError(f"want a longest side of 1 pixel or more, got {longest_side}")
    scale = longest_side / max(size)
    height, width = size
    return max(1, round(height * scale)), max(1, round(width * scale))


def fit_image(image: Tensor, longest_side: int | None) -> Tensor:
    """A [3, H, W] picture scaled to a longest side of so many pixels; None leaves it."""
    size = image_size(image)
    if longest_side is None or max(size) == longest_side:
        return image
    fitted: Tensor = resize(image, list(fitted_size(size, longest_side)), antialias=True)
    return fitted


def cut_windows(image: Tensor, window: tuple[int, int], stride: int) -> Tensor:
    """What a window sees at every place of a [3, H, W] picture, as [N, 3, h, w], row by row.

    The places are those of `anchors.window_boxes`, in the same order.

    >>> cut_windows(torch.ones(3, 8, 12), window=(8, 8), stride=4).shape
    torch.Size([2, 3, 8, 8])
    """
    height, width = window
    cut = image.unfold(1, height, stride).unfold(2, width, stride)  # [3, rows, columns, h, w]
    return cut.permute(1, 2, 0, 3, 4).reshape(-1, 3, height, width)


def batch_images(images: Sequence[Tensor], multiple: int = 32) -> Tensor:
    """[3, H, W] pictures to one [B, 3, H, W], filled up with zeros on the right and below.

    Height and width are multiples of the coarsest stride. Nothing moves, so boxes stay true.

    >>> batch_images([torch.ones(3, 40, 20), torch.ones(3, 30, 50)]).shape
    torch.Size([2, 3, 64, 64])

    Raises:
        ValueError: no picture, one that is not [3, H, W], or bytes beside fractions of one.
    """
    shapes = [tuple(image.shape) for image in images]
    if not shapes or any(len(shape) != 3 or shape[0] != 3 for shape in shapes):
        raise ValueError(f"want pictures [3, H, W], got {shapes}")
    if len({image.dtype for image in images}) > 1:
        raise ValueError(
            "want all pictures uint8 (0 to 255), or all float (0 to 1); "
            f"got {sorted({str(image.dtype) for image in images})}"
        )
    height = -(-max(shape[1] for shape in shapes) // multiple) * multiple
    width = -(-max(shape[2] for shape in shapes) // multiple) * multiple
    if all(shape[1:] == (height, width) for shape in shapes):
        return torch.stack(list(images))
    return torch.stack(
        [F.pad(image, (0, width - image.shape[2], 0, height - image.shape[1])) for image in images]
    )
