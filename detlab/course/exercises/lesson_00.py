"""Lesson 00, Start here. How an exercise works, on the smallest function of the package."""

import torch
from torch import Tensor

from detlab import images
from detlab.course.exercises.exercise import Exercise


def picture(height: int, width: int) -> Tensor:
    """A picture of that size, all black."""
    return torch.zeros(3, height, width, dtype=torch.uint8)


def width_first(image: Tensor) -> tuple[int, int]:
    """As drawing programs say it."""
    return image.shape[2], image.shape[1]


def channels_last(image: Tensor) -> tuple[int, int]:
    """Read as [height, width, colour]."""
    return image.shape[0], image.shape[1]


def all_three(image: Tensor) -> tuple[int, ...]:
    """The whole shape."""
    return tuple(image.shape)


def number_of_pixels(image: Tensor) -> int:
    """Height times width."""
    return image.shape[1] * image.shape[2]


def number_of_values(image: Tensor) -> int:
    """Colours counted, too."""
    return image.numel()


image_size = Exercise(
    reference=images.image_size,
    cases={
        "a wide picture": (picture(480, 640),),
        "a tall picture": (picture(50, 20),),
        "a single row": (picture(1, 7),),
    },
    mistakes={
        "the width came first": (width_first, "Height first: rows, then columns, as in a tensor."),
        "the colours were taken for the height": (
            channels_last,
            "The shape is [3, height, width]: the three colours stand first.",
        ),
        "the colours came along": (all_three, "Two numbers are wanted; leave the first one out."),
        "height and width were multiplied": (number_of_pixels, "Give both, as a pair."),
        "all values were counted": (number_of_values, "numel() counts. Look at image.shape."),
    },
    hints=[
        "image.shape holds three numbers. Print it for one picture.",
        "The first is the number of colours; the size is what follows.",
        "_, height, width = image.shape",
    ],
)
