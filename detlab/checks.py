"""What functions refuse: each check says what was seen and what was wanted."""

import math
from typing import Any

import torch
from torch import Tensor

from detlab.types import Target

MOST_LIGHT = 2.0
"""In images of floats, where 1 is white; what is far above it counts to 255."""


def check_boxes(boxes: Tensor, where: str = "boxes") -> None:
    """Refuse what is no list of boxes: [N, 4] floats, finite, x2 > x1 and y2 > y1.

    Raises:
        ValueError: says which row is wrong and what stands there.
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not boxes.is_floating_point():
        raise ValueError(f"{where}: want a float [N, 4], got {boxes.dtype} {list(boxes.shape)}")
    low, high = boxes[:, :2], boxes[:, 2:]
    good = (low > -math.inf) & (low < high) & (high < math.inf)  # false, too, where one is NaN
    if not good.all():
        row = int((~good).nonzero()[0, 0])
        raise ValueError(
            f"{where}: want finite x1 y1 x2 y2 with x2 > x1 and y2 > y1; "
            f"row {row} is {boxes[row].tolist()}"
        )


def check_target(target: Target, where: str = "target") -> None:
    """Refuse a target that would train nonsense; an image without objects is fine.

    Raises:
        ValueError: names the key, the value seen and the value wanted.
    """
    for key in ("boxes", "labels"):
        if key not in target:
            raise ValueError(f"{where}: no {key!r} among its keys {sorted(target)}")
    boxes, labels = target["boxes"], target["labels"]
    check_boxes(boxes, f"{where}: boxes")
    if labels.dtype != torch.int64 or labels.shape != boxes.shape[:1]:
        raise ValueError(
            f"{where}: want int64 labels, one per box ({len(boxes)}); "
            f"got {labels.dtype} {list(labels.shape)}"
        )
    if (labels < 1).any():
        raise ValueError(f"{where}: labels start at 1 (0 is background); got {labels.tolist()}")


def check_rows(**columns: Tensor) -> None:
    """Refuse tensors that do not have equally many rows: torch would cut or repeat some of them.

    Raises:
        ValueError: says which shapes were seen.

    >>> check_rows(deltas=torch.zeros(3, 4), anchors=torch.zeros(1, 4))
    Traceback (most recent call last):
    ValueError: want equally many rows, got deltas [3, 4], anchors [1, 4]
    """
    shapes = {name: list(column.shape) for name, column in columns.items()}
    if len({tuple(shape[:1]) for shape in shapes.values()}) > 1:
        seen = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"want equally many rows, got {seen}")


def check_each(boxes: Tensor, **values: Tensor) -> None:
    """Refuse boxes [N, 4] that are not finite or turned around, and values [N] that do not fit.

    Boxes without area are fine: clipping leaves some.

    Raises:
        ValueError: says which shapes or which row was seen.

    >>> check_each(torch.zeros(3, 4), scores=torch.ones(2))
    Traceback (most recent call last):
    ValueError: want a value for each of boxes [N, 4], got boxes [3, 4], scores [2]
    """
    seen = {"boxes": boxes, **values}
    fit = boxes.ndim == 2 and boxes.shape[1] == 4
    if not fit or any(value.shape != boxes.shape[:1] for value in values.values()):
        shapes = ", ".join(f"{name} {list(value.shape)}" for name, value in seen.items())
        raise ValueError(f"want a value for each of boxes [N, 4], got {shapes}")
    good = boxes.isfinite().all(dim=1) & (boxes[:, 2:] >= boxes[:, :2]).all(dim=1)
    for value in values.values():
        good = good & value.isfinite()
    if not good.all():
        row = int((~good).nonzero()[0])
        there = ", ".join(f"{name} {value[row].tolist()}" for name, value in seen.items())
        raise ValueError(f"want finite numbers, x2 >= x1 and y2 >= y1; row {row} is {there}")


def check_fraction(name: str, value: int | float) -> None:
    """Refuse what is not from 0 to 1.

    Raises:
        ValueError: says what was seen.

    >>> check_fraction("iou_threshold", 50)
    Traceback (most recent call last):
    ValueError: iou_threshold lies between 0 and 1, got 50
    """
    if not 0 <= value <= 1:
        raise ValueError(f"{name} lies between 0 and 1, got {value}")


def check_positive(name: str, value: int | float) -> None:
    """Refuse what is not above 0.

    Raises:
        ValueError: says what was seen.

    >>> check_positive("sigma", 0.0)
    Traceback (most recent call last):
    ValueError: want sigma > 0, got 0.0
    """
    if not value > 0:
        raise ValueError(f"want {name} > 0, got {value}")


def check_count(name: str, value: int | float) -> None:
    """Refuse what is below 0, infinite, or no number.

    Raises:
        ValueError: says what was seen.

    >>> check_count("max_detections", -1)
    Traceback (most recent call last):
    ValueError: want a finite max_detections >= 0, got -1
    """
    if not 0 <= value < math.inf:
        raise ValueError(f"want a finite {name} >= 0, got {value}")


def check_image(image: Any, name: str) -> None:
    """Refuse what is no picture [3, H, W] of bytes or of finite numbers.

    Raises:
        ValueError: names the picture, the value seen and the value wanted.
    """
    if not isinstance(image, Tensor):
        raise ValueError(f"{name}: want the image as a tensor [3, H, W], got {kind(image)}")
    if image.ndim != 3 or image.shape[0] != 3 or image.numel() == 0:
        raise ValueError(f"{name}: want an image [3, H, W], got {list(image.shape)}")
    if image.dtype != torch.uint8 and not image.is_floating_point():
        raise ValueError(
            f"{name}: want an image of uint8 (0 to 255) or floats (0 to 1), got {image.dtype}"
        )
    if image.is_floating_point() and not image.isfinite().all():
        raise ValueError(f"{name}: want finite numbers in the image, got NaN or infinity")
    if image.is_floating_point() and image.max() > MOST_LIGHT:
        raise ValueError(
            f"{name}: want floats from 0 to 1 in the image, got up to {image.max():.4g}; "
            "divide by 255, or hand in uint8"
        )


def kind(value: Any) -> str:
    """What a value is, in a word or two, for a message.

    >>> kind([torch.zeros(3), "a"]), kind(7)
    ('list of Tensor, str', 'int')
    """
    if isinstance(value, tuple | list) and len(value) < 5:
        return f"{type(value).__name__} of {', '.join(type(part).__name__ for part in value)}"
    return type(value).__name__
