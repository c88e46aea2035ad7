"""Detectors that never look at the picture: the baselines that every honest result stands beside.

Uses anchors.py and config.py.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from detlab.boxes import clip_boxes, cxcywh_to_xyxy, scale_boxes
from detlab.detector.anchors import anchor_shapes
from detlab.detector.config import DetectorConfig
from detlab.images import fitted_size, image_size
from detlab.types import Detection, Target

Find = Callable[[list[Tensor]], list[Detection]]
"""Pictures [3 H W] to one dict each, boxes in their pixels; see `coco.evaluate`."""
UNIT = (1, 1)
"""The size of a picture whose sides are counted as 1."""


def find_nothing(images: list[Tensor]) -> list[Detection]:
    """Everything is background.

    >>> find_nothing([torch.zeros(3, 4, 6)])[0]["boxes"].shape
    torch.Size([0, 4])
    """
    nothing = torch.zeros(0)
    return [
        Detection(boxes=torch.zeros(0, 4), labels=nothing.long(), scores=nothing) for _ in images
    ]


def mean_box(items: Iterable[tuple[Tensor, Target]]) -> Find:
    """In every picture the same: each class once, where and as large as it is on average.

    The score of a class is the fraction of all boxes that are of it.

    Args:
        items: pictures to learn from.
    """
    boxes, labels = [], []
    for image, target in items:
        boxes.append(scale_boxes(target["boxes"], image_size(image), UNIT))
        labels.append(target["labels"])
    relative, label = torch.cat(boxes), torch.cat(labels)
    classes, counts = label.unique(return_counts=True)
    commonest = counts.argsort(descending=True, stable=True)
    classes, counts = classes[commonest], counts[commonest]
    means = torch.stack([relative[label == one].mean(dim=0) for one in classes])
    scores = counts / counts.sum()

    def repeat(size: tuple[int, int]) -> Detection:
        return Detection(boxes=scale_boxes(means, UNIT, size), labels=classes, scores=scores)

    return lambda images: [repeat(image_size(image)) for image in images]


def random_anchors(config: DetectorConfig, number: int = 100, seed: int = 0) -> Find:
    """Anchors of a detector at random places, each with a random class and a random score.

    Args:
        config: whose anchors, and the size at which pictures are seen.
        number: boxes a picture.
        seed: of all that is random.
    """
    shapes = anchor_shapes(sum(config.anchor_sizes, ()), config.aspect_ratios)
    generator = torch.Generator().manual_seed(seed)

    def guess(size: tuple[int, int]) -> Detection:
        height, width = seen = fitted_size(size, config.longest_side)
        centres = torch.rand(number, 2, generator=generator) * torch.tensor([width, height])
        chosen = shapes[torch.randint(len(shapes), (number,), generator=generator)]
        boxes = clip_boxes(cxcywh_to_xyxy(torch.cat([centres, chosen], dim=1)), seen)
        labels = torch.randint(1, config.num_classes, (number,), generator=generator)
        scores = torch.rand(number, generator=generator).sort(descending=True).values
        return Detection(boxes=scale_boxes(boxes, seen, size), labels=labels, scores=scores)

    return lambda images: [guess(image_size(image)) for image in images]
