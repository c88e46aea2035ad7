"""Names for what travels between the parts: targets in, predictions out, detections at the end.

The lists of dicts are torchvision's: one dict per image, labels from 1, 0 is background.
"""

from typing import Literal, NamedTuple, TypedDict

import torch
from jaxtyping import Float, Int64
from torch import Tensor

Activation = Literal["sigmoid", "softmax"]


class Target(TypedDict):
    """What is really in one image."""

    boxes: Float[Tensor, "M 4"]
    """x1 y1 x2 y2 in pixels of the image, continuous, see `boxes`."""
    labels: Int64[Tensor, " M"]
    """1 to K − 1; 0 is background."""


class Detection(TypedDict):
    """What the detector says is in one image, best score first."""

    boxes: Float[Tensor, "N 4"]
    """As in a Target."""
    labels: Int64[Tensor, " N"]
    scores: Float[Tensor, " N"]
    """0 to 1."""


class Predictions(NamedTuple):
    """Everything the network says about a batch, and all that is needed to read it."""

    logits: Float[Tensor, "B A K"]
    """A score per anchor and class, before sigmoid or softmax; class 0 is background."""
    deltas: Float[Tensor, "B A 4"]
    """How to move and stretch each anchor, see `anchors.encode_boxes`."""
    anchors: Float[Tensor, "A 4"]
    """x1 y1 x2 y2 in pixels of the batch's images."""
    activation: Activation = "sigmoid"
    """How logits become scores: one yes or no per class, or one choice among all."""
    delta_weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    """What the deltas of x, y, width and height were multiplied by."""


def check_boxes(boxes: Tensor, where: str = "boxes") -> None:
    """Refuse what is no list of boxes: [N, 4] floats, finite, x2 > x1 and y2 > y1.

    Raises:
        ValueError: says which row is wrong and what stands there.
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not boxes.is_floating_point():
        raise ValueError(f"{where}: want a float [N, 4], got {boxes.dtype} {list(boxes.shape)}")
    good = boxes.isfinite().all(dim=1) & (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    if not good.all():
        row = int((~good).nonzero()[0])
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
