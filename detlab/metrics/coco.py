"""COCO's twelve numbers, for all classes and ten IoU thresholds at once.

Follows average_precision.py, whose readable functions give the same average precision one class and
one threshold at a time; here a compiled library counts.

The numbers are from Lin et al., "Microsoft COCO", ECCV 2014.
"""

import gc
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from faster_coco_eval import COCO, COCOeval_faster
from jaxtyping import Float64
from torch import Tensor

from detlab.boxes import box_area
from detlab.types import Detection, Target

COCO_NAMES = (
    "AP",  # mean over classes and IoU thresholds 0.50, 0.55 … 0.95
    "AP50",  # at IoU threshold 0.50 alone
    "AP75",
    "AP_small",  # objects up to 32 × 32 pixels
    "AP_medium",
    "AP_large",  # objects from 96 × 96 pixels
    "AR_1",  # recall with 1 detection per image and class
    "AR_10",
    "AR_100",
    "AR_small",
    "AR_medium",
    "AR_large",
)
"""The twelve numbers in COCO's order; AP is also called mAP, AR is average recall."""


@dataclass(frozen=True)
class Metrics:
    """What an evaluation says; nan where there was nothing to measure (COCO writes −1)."""

    coco: dict[str, float]
    """The twelve numbers of COCO_NAMES, 0 to 1."""
    class_ap: dict[str, float]
    """AP of each class by name, without background."""
    images_per_second: float = math.nan
    """Speed of detection, where `evaluation.evaluate` measured it."""


def coco_metrics(
    detections: Sequence[Detection], targets: Sequence[Target], class_names: Sequence[str]
) -> Metrics:
    """COCO's twelve numbers and the AP of each class, for one dict per image on either side.

    The numbers are pycocotools', which counts the 100 best detections per image and class.
    An object is small, medium or large by its entry in "areas", or else by the area of its box.
    A detection that found no object is neither right nor wrong where an ignored region of its
    class covers enough of it: the fraction that is inside stands in for IoU.
    A class that no target shows does not enter the averages, and its own AP is nan.

    Args:
        detections: what was found; boxes in pixels of the same image as the targets'.
        targets: what is there; "areas", "ignored_boxes" and "ignored_labels" where known.
        class_names: "background" first, then the name of label 1 and so on.

    Raises:
        ValueError: where the lists differ in length or are empty, or a box, label, score or
            area makes no sense; it names the image and the value.

    >>> box, fish = torch.tensor([[0.0, 0.0, 40.0, 40.0]]), torch.tensor([1])
    >>> found = {"boxes": box, "labels": fish, "scores": torch.tensor([0.9])}
    >>> there = {"boxes": box, "labels": fish}
    >>> metrics = coco_metrics([found], [there], ("background", "fish", "shark"))
    >>> metrics.coco["AP"], metrics.coco["AP_medium"], metrics.coco["AP_small"]
    (1.0, 1.0, nan)
    >>> metrics.class_ap
    {'fish': 1.0, 'shark': nan}
    """
    if len(detections) != len(targets) or len(targets) == 0:
        raise ValueError(
            f"want a detection and a target per image, one image at least; "
            f"got {len(detections)} detections and {len(targets)} targets"
        )
    true_boxes = _checked(_one_row_per_box(targets), class_names, "target")
    regions = _checked(_one_row_per_box(_regions(targets)), class_names, "ignored region")
    found_boxes = _checked(_one_row_per_box(detections), class_names, "detection")

    with _paused_garbage_collector():
        truth = _coco_index(true_boxes, regions, len(targets), len(class_names))
        found = _coco_index(found_boxes, regions[:0], len(targets), len(class_names))
        evaluation = COCOeval_faster(truth, found, iouType="bbox", print_function=_say_nothing)
        evaluation.run()  # type: ignore[no-untyped-call]

    numbers = [_nan_if_absent(number) for number in evaluation.stats]
    precision = evaluation.eval["precision"][:, :, :, 0, -1]  # [10 thresholds, 101 levels, K - 1]
    class_ap = [_nan_if_absent(number) for number in precision.mean(axis=(0, 1))]
    return Metrics(
        coco=dict(zip(COCO_NAMES, numbers, strict=True)),
        class_ap=dict(zip(class_names[1:], class_ap, strict=True)),
    )


def coco_results(
    detections: Sequence[Detection], image_ids: Sequence[int | str]
) -> list[dict[str, Any]]:
    """Detections as COCO's results file has them: one dict per box, x y width height in pixels.

    >>> box = torch.tensor([[10.0, 20.0, 14.0, 30.0]])
    >>> found = {"boxes": box, "labels": torch.tensor([2]), "scores": torch.tensor([0.5])}
    >>> coco_results([found], image_ids=[7])
    [{'image_id': 7, 'category_id': 2, 'bbox': [10.0, 20.0, 4.0, 10.0], 'score': 0.5}]
    """
    return [
        {
            "image_id": image_ids[int(image)],
            "category_id": int(label),
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "score": score,
        }
        for image, x1, y1, x2, y2, label, score, _ in _one_row_per_box(detections).tolist()
    ]


# ---------------------------------------------------------------- what coco_metrics stands on


def _one_row_per_box(items: Sequence[Mapping[str, Any]]) -> Float64[Tensor, "R 8"]:
    """All images' boxes in one table on the CPU: image number, x1 y1 x2 y2, label, score, area.

    The score of ground truth is 1. The area is that of the box, unless a target says another.

    Raises:
        ValueError: where an image's boxes, labels, scores and areas do not go together.
    """
    columns = []
    for image, item in enumerate(items):
        boxes, labels = item["boxes"], item["labels"]
        scores = item["scores"] if "scores" in item else torch.ones_like(labels)
        is_target = "scores" not in item  # a detection covers its box and nothing else
        areas = item["areas"] if is_target and "areas" in item else torch.zeros_like(scores)
        shapes = [list(values.shape) for values in (boxes, labels, scores, areas)]
        if shapes != [[len(boxes), 4], *[[len(boxes)]] * 3]:
            raise ValueError(
                f"image {image}: want boxes [N, 4], labels, scores and areas [N]; got {shapes}"
            )
        columns.append((torch.full_like(labels, image), boxes, labels, scores, areas))
    if not columns:
        return torch.zeros(0, 8, dtype=torch.float64)
    table = torch.column_stack([torch.cat(c).cpu().double() for c in zip(*columns, strict=True)])
    is_said = table[:, 7].isfinite() & (table[:, 7] > 0)
    table[:, 7] = torch.where(is_said, table[:, 7], box_area(table[:, 1:5]))
    return table


def _checked(
    table: Float64[Tensor, "R 8"], class_names: Sequence[str], what: str
) -> Float64[Tensor, "R 8"]:
    """The same table, if its numbers make sense; else a ValueError that names the first bad row.

    A box without area passes: a detector may well say so, and it matches nothing.
    """
    top_left, bottom_right, labels = table[:, 1:3], table[:, 3:5], table[:, 5]
    good = table.isfinite().all(dim=1) & (bottom_right >= top_left).all(dim=1)
    good &= (labels >= 1) & (labels < len(class_names))
    if not good.all():
        image, *row, _ = table[int((~good).nonzero()[0])].tolist()
        raise ValueError(
            f"{what} of image {int(image)}: want finite numbers, x2 >= x1, y2 >= y1 and a label "
            f"from 1 to {len(class_names) - 1}; got x1 y1 x2 y2 {row[:4]}, label (score) {row[4:]}"
        )
    return table


def _regions(targets: Sequence[Target]) -> list[Target]:
    """The ignored regions of each image, as if they were its objects."""
    return [
        {"boxes": target["ignored_boxes"], "labels": target["ignored_labels"]}
        if "ignored_boxes" in target
        else {"boxes": target["boxes"][:0], "labels": target["labels"][:0]}
        for target in targets
    ]


def _coco_index(
    boxes: Float64[Tensor, "R 8"],
    crowds: Float64[Tensor, "C 8"],
    num_images: int,
    num_classes: int,
) -> COCO:
    """Boxes and crowds as the library's own index of annotations, or boxes as one of results."""
    rows = [*boxes.tolist(), *crowds.tolist()]
    annotations = [
        {
            "id": row,
            "image_id": int(image),
            "category_id": int(label),
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": area,
            "iscrowd": int(row > len(boxes)),
            "score": score,
        }
        for row, (image, x1, y1, x2, y2, label, score, area) in enumerate(rows, start=1)
    ]  # ids from 1: 0 would mean "unmatched"
    index = COCO()
    index.print_function = _say_nothing
    index.dataset = {
        "images": [{"id": image} for image in range(num_images)],
        "categories": [{"id": label} for label in range(1, num_classes)],
        "annotations": annotations,
    }
    index.createIndex()  # type: ignore[no-untyped-call]
    return index


@contextmanager
def _paused_garbage_collector() -> Iterator[None]:
    """Hundreds of thousands of small dicts make Python look for cycles; a quarter of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _say_nothing(*_: object) -> None:
    """Take the library's messages."""


def _nan_if_absent(number: float) -> float:
    """COCO's −1 stands for an average of nothing."""
    return math.nan if number < 0 else float(number)
