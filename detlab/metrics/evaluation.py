"""A detector on a data set: how good are its detections, and how fast does it find them?

Uses postprocess.py and coco.py.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from detlab.detector.postprocess import detect
from detlab.metrics.coco import Metrics, coco_metrics
from detlab.types import Detection, Predictions, Target

LOWEST_SCORE = 0.01
"""AP reads the whole ranked list, so nearly all of it is kept."""


@runtime_checkable
class ImageDataset(Protocol):
    """Anything that hands out images [3, H, W] with their targets by number."""

    def __len__(self) -> int: ...  # noqa: D105

    def __getitem__(self, index: int, /) -> tuple[Tensor, Any]: ...  # noqa: D105


def evaluate(
    detector: Callable[[Tensor], Predictions],
    dataset: ImageDataset,
    longest_side: int | None,
    class_names: Sequence[str],
) -> Metrics:
    """COCO's twelve numbers, mAP first, of a detector on a data set.

    Args:
        detector: a Detector, or anything else that maps a batch of images to Predictions.
        dataset: images with their targets; sizes may differ.
        longest_side: pixels to which images are scaled for the network; None leaves them.
        class_names: "background" first.

    Raises:
        ValueError: as `coco.coco_metrics` does.
    """

    def find(images: list[Tensor]) -> list[Detection]:
        return detect(detector, images, longest_side, score_threshold=LOWEST_SCORE)

    return evaluate_images(find, dataset, class_names)


def evaluate_images(
    detect_images: Callable[[list[Tensor]], list[Detection]],
    dataset: ImageDataset,
    class_names: Sequence[str],
    batch_size: int = 16,
) -> Metrics:
    """Compare what a function finds in every image of a data set with its targets.

    Args:
        detect_images: from images [3, H, W] to their detections, in pixels of the same images;
            for a detector, see `evaluate`.
        dataset: images with their targets; sizes may differ.
        class_names: "background" first.
        batch_size: how many images `detect_images` gets at once.

    Returns:
        The metrics, with images per second in `detect_images` alone, loading not counted.

    Raises:
        ValueError: as `coco_metrics` does.

    >>> import torch
    >>> fish = {"boxes": torch.tensor([[2.0, 2.0, 6.0, 6.0]]), "labels": torch.tensor([1])}
    >>> found = {**fish, "scores": torch.tensor([0.9])}
    >>> image = torch.zeros(3, 8, 8, dtype=torch.uint8)
    >>> evaluate_images(lambda images: [found], [(image, fish)], ("background", "fish")).coco["AP"]
    1.0
    """
    detections: list[Detection] = []
    targets: list[Target] = []
    seconds = 0.0
    for first in range(0, len(dataset), batch_size):
        batch = [dataset[i] for i in range(first, min(first + batch_size, len(dataset)))]
        start = time.perf_counter()
        found = detect_images([image for image, _ in batch])
        detections += [
            {"boxes": d["boxes"].cpu(), "labels": d["labels"].cpu(), "scores": d["scores"].cpu()}
            for d in found  # .cpu() waits until a GPU is done
        ]
        seconds += time.perf_counter() - start
        targets += [target for _, target in batch]
    metrics = coco_metrics(detections, targets, class_names)
    return replace(metrics, images_per_second=len(targets) / seconds)
