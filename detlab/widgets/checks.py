"""What labs refuse: each check names the argument, the value seen and the value wanted."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from detlab.checks import check_target
from detlab.types import Detection, Target


def check_truth(target: Any, image_size: tuple[int, int]) -> Target:
    """A target that lies in the picture.

    Raises:
        ValueError: says what is wrong with it.
    """
    if not isinstance(target, dict):
        raise ValueError(f"target: want a dict of boxes and labels, got a {type(target).__name__}")
    check_target(target)  # type: ignore[arg-type]  # it says itself what is missing
    height, width = image_size
    if (
        len(target["boxes"])
        and (target["boxes"] > target["boxes"].new_tensor([width, height] * 2)).any()
    ):
        raise ValueError(
            f"target: want boxes inside {width} x {height} pixels, got {target['boxes']}"
        )
    return {"boxes": target["boxes"].float(), "labels": target["labels"]}


def check_detection(detection: Any, where: str = "candidates") -> Detection:
    """Boxes with a label and a score from 0 to 1 each.

    Raises:
        ValueError: says what is wrong with them.

    >>> empty = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0).long()}
    >>> check_detection({**empty, "scores": torch.zeros(0)})["scores"]
    tensor([])
    """
    if not isinstance(detection, dict) or not {"boxes", "labels", "scores"} <= set(detection):
        raise ValueError(f"{where}: want a dict of boxes, labels and scores, got {detection!r:.80}")
    boxes, labels, scores = detection["boxes"], detection["labels"], detection["scores"]
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not boxes.is_floating_point():
        raise ValueError(f"{where}: want boxes float [N, 4], got {boxes.dtype} {list(boxes.shape)}")
    if labels.dtype != torch.int64 or labels.shape != boxes.shape[:1]:
        raise ValueError(f"{where}: want int64 labels, one per box, got {list(labels.shape)}")
    if scores.shape != boxes.shape[:1] or not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError(f"{where}: want a score from 0 to 1 per box ({len(boxes)}), got {scores}")
    return {"boxes": boxes.float().cpu(), "labels": labels.cpu(), "scores": scores.float().cpu()}


def names_of(labels: Tensor, class_names: Sequence[str]) -> list[str]:
    """The name of each label; without names its number.

    Raises:
        ValueError: a label has no name.
    """
    if not class_names:
        return [f"class {label}" for label in labels.tolist()]
    if len(labels) and int(labels.max()) >= len(class_names):
        raise ValueError(
            f"class_names: want a name for label {int(labels.max())}, got {len(class_names)}"
        )
    return [class_names[label] for label in labels.tolist()]
