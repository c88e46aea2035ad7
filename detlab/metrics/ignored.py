"""Regions in which nobody labelled one object after the other: a detection there cannot be judged.

Follows average_precision.py, whose functions know no such regions: leave out first what lies in
them. coco.py does so by itself.

That crowds are ignored, and how, is from Lin et al., "Microsoft COCO", ECCV 2014.
"""

import torch
from jaxtyping import Bool
from torch import Tensor

from detlab.boxes import box_area, intersection_area
from detlab.checks import check_fraction
from detlab.metrics.average_precision import UNMATCHED, match_image
from detlab.types import Detection, Target


def without_ignored(detection: Detection, target: Target, iou_threshold: float = 0.5) -> Detection:
    """The detections of one image that are right or wrong.

    One that has found an object is right, wherever it lies. Of the others those that lie in an
    ignored region are left out: they may have found what nobody labelled.

    >>> crowd = torch.tensor([[0.0, 0.0, 40.0, 40.0]])
    >>> fish = torch.tensor([1])
    >>> there = {"boxes": crowd[:0], "labels": fish[:0]}
    >>> there |= {"ignored_boxes": crowd, "ignored_labels": fish}
    >>> boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [36.0, 0.0, 46.0, 10.0]])
    >>> found = {"boxes": boxes, "labels": fish.repeat(2), "scores": torch.tensor([0.9, 0.8])}
    >>> without_ignored(found, there)["scores"]  # only four tenths of the second are inside
    tensor([0.8000])
    """
    unmatched = match_image(detection, target, iou_threshold) == UNMATCHED
    judged = ~(unmatched & lies_in_region(detection, target, iou_threshold))
    return {
        "boxes": detection["boxes"][judged],
        "labels": detection["labels"][judged],
        "scores": detection["scores"][judged],
    }


def lies_in_region(detection: Detection, target: Target, inside: float = 0.5) -> Bool[Tensor, " N"]:
    """Which detections of one image lie in an ignored region of their class.

    A crowd is far larger than what stands in it, so IoU would be small. What counts is the
    fraction of the detection's own box that the region covers: `inside` or more.

    Raises:
        ValueError: a fraction outside 0 to 1.
    """
    check_fraction("inside", inside)
    if "ignored_boxes" not in target:
        return torch.zeros_like(detection["labels"], dtype=torch.bool)
    shared = intersection_area(detection["boxes"], target["ignored_boxes"])  # [N, R]
    area = box_area(detection["boxes"])[:, None]
    same_class = detection["labels"][:, None] == target["ignored_labels"]
    covered = (area > 0) & (shared >= inside * area)
    return (same_class & covered).any(dim=1)
