"""How well two labellings of one scene agree: how much of an error may be the labels' own.

BCCD shows some slide fields twice, and both pictures were labelled. Laid over each other, one
picture's labels can be evaluated by the other's as if they were detections. They have no scores,
so this is no ceiling. `make results` prints the number beside what the detectors reach.
"""

from collections.abc import Sequence
from statistics import mean

import torch
from report import Row
from torch import Tensor

from detlab.audit.thumbnails import thumbnail
from detlab.audit.twins import best_shift, find_twins
from detlab.boxes import box_iou
from detlab.data.check import check_splits
from detlab.data.datasets import read_splits
from detlab.data.pictures import read_picture
from detlab.data.records import Record
from detlab.metrics.coco import coco_metrics
from detlab.types import Detection, Target

ROWS = 240
"""Height at which two pictures are laid over each other: half of BCCD's, so to two pixels."""
MARGIN = 2.0
"""Pixels: a box that near to the edge of what both pictures show may be cut off; it is left out."""


def measure_agreement(name: str) -> Row:
    """One labelling evaluated by the other, both ways round, over all twins of a set."""
    annotations = read_splits(name)
    sound, _ = check_splits(annotations)
    records = [record for split in sound.values() for record in split]
    class_names = next(iter(annotations.values())).class_names
    pairs = find_twins([record.image for record in records])
    said: list[Detection] = []
    there: list[Target] = []
    for first, second, _ in pairs:
        for one, other in ((first, second), (second, first)):
            target, detection = lay_over(records[one], records[other])
            there.append(target)
            said.append(detection)
    coco = coco_metrics(said, there, class_names).coco
    fits = [
        fit
        for target, detection in zip(there, said, strict=True)
        for fit in best_ious(target, detection)
    ]
    return Row(
        f"{name}: labelled a second time, {len(pairs)} pairs of pictures of one scene",
        "–",
        f"AP {coco['AP']:.3f}, AP50 {coco['AP50']:.3f}; mean IoU of their boxes {mean(fits):.2f}",
        None,
        {"pairs": len(pairs), **coco},
    )


def lay_over(one: Record, other: Record) -> tuple[Target, Detection]:
    """What both pictures show: one's labels as truth, the other's, moved along, as detections."""
    images = [read_picture(record.image) for record in (one, other)]
    height, width = images[0].shape[1:]
    scale = height / ROWS
    down, right = (scale * by for by in best_shift(*(thumbnail(image, ROWS) for image in images)))
    shift = torch.tensor([right, down, right, down])
    shared = torch.tensor(
        [max(0, right), max(0, down), min(0, right) + width, min(0, down) + height]
    )
    mine, theirs = is_inside(one.boxes, shared), is_inside(other.boxes + shift, shared)
    moved, said = (other.boxes + shift)[theirs], other.labels[theirs]
    target = Target(boxes=one.boxes[mine], labels=one.labels[mine])
    return target, Detection(boxes=moved, labels=said, scores=torch.ones(len(moved)))


def is_inside(boxes: Tensor, window: Tensor) -> Tensor:
    """Which boxes lie in a window x1 y1 x2 y2, none of their edges near its own."""
    above, below = boxes[:, :2] - window[:2], window[2:] - boxes[:, 2:]
    return (torch.cat([above, below], dim=1) > MARGIN).all(dim=1)


def best_ious(target: Target, detection: Detection) -> Sequence[float]:
    """The IoU of each true box with the best box of its class, where they touch by half."""
    same = target["labels"][:, None] == detection["labels"]
    iou = box_iou(target["boxes"], detection["boxes"]) * same
    best: Tensor = torch.cat([iou, torch.zeros(len(iou), 1)], dim=1).amax(dim=1)
    found: list[float] = best[best >= 0.5].tolist()
    return found
