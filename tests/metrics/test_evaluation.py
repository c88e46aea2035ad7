"""A detector on a data set: all pictures in order, nearly all scores, detection's own time."""

import math

import pytest
import torch

from detlab.data.datasets import load_dataset
from detlab.detector.model import Detector
from detlab.metrics import evaluation
from detlab.metrics.baselines import find_nothing
from detlab.metrics.coco import coco_metrics
from detlab.metrics.evaluation import evaluate, evaluate_images
from detlab.types import Predictions
from tests.sample_detections import CLASS_NAMES, detection, random_scenes, squares, target
from tests.sample_folders import coco_folder

NAMES = ("background", "cat", "dog")


def test_evaluate_asks_in_batches_and_keeps_the_order():
    detections, targets = random_scenes(2, num_images=5)
    images = [torch.full((3, 4, 6), i, dtype=torch.uint8) for i in range(5)]
    batches = []

    def detect_images(batch):
        batches.append(len(batch))
        return [detections[int(image[0, 0, 0])] for image in batch]

    metrics = evaluate_images(
        detect_images, list(zip(images, targets, strict=True)), CLASS_NAMES, 2
    )
    assert batches == [2, 2, 1]
    assert metrics.coco == pytest.approx(coco_metrics(detections, targets, CLASS_NAMES).coco)


class SlowlyLoaded(list):
    """A data set whose every picture takes 100 s to come, on a clock that it moves."""

    clock = 0.0

    def __getitem__(self, index):
        SlowlyLoaded.clock += 100.0
        return super().__getitem__(index)


def test_the_speed_counts_detecting_and_not_loading(monkeypatch):
    detections, targets = random_scenes(2, num_images=5)
    images = [torch.full((3, 4, 6), i, dtype=torch.uint8) for i in range(5)]
    dataset = SlowlyLoaded(zip(images, targets, strict=True))
    monkeypatch.setattr(evaluation.time, "perf_counter", lambda: SlowlyLoaded.clock)

    def detect_images(batch):
        SlowlyLoaded.clock += 0.5
        return [detections[int(image[0, 0, 0])] for image in batch]

    assert evaluate_images(detect_images, dataset, CLASS_NAMES, 2).images_per_second == 5 / 1.5


def test_evaluate_refuses_a_detector_that_forgets_an_image():
    image = torch.zeros(3, 4, 6, dtype=torch.uint8)
    dataset = [(image, target(squares(0), [1]))] * 2
    with pytest.raises(ValueError, match="1 detections and 2 targets"):
        evaluate_images(lambda images: [detection(squares(0), [1], [0.9])], dataset, CLASS_NAMES)


def test_all_but_the_lowest_scores_are_kept(tmp_path, monkeypatch):
    def find_nothing_here(_, images, longest_side, score_threshold):
        asked.append((longest_side, score_threshold))
        return find_nothing(images)

    asked = []
    monkeypatch.setattr(evaluation, "detect", find_nothing_here)
    dataset = load_dataset(coco_folder(tmp_path, "val"), "val")
    metrics = evaluate(WholePicture(), dataset, 128, NAMES)
    assert asked == [(128, evaluation.LOWEST_SCORE)]
    # Three pictures with two cats and a dog: nothing is found, which is 0 and not NaN.
    assert (metrics.coco["AP"], metrics.class_ap) == (0.0, {"cat": 0.0, "dog": 0.0})


def test_ap_counts_what_scores_as_little_as_two_percent(tmp_path):
    """AP is the area under the whole curve: objects found last, with low scores, are found."""
    dataset = load_dataset(coco_folder(tmp_path, "val"), "val")
    assert evaluate(WholePicture(), dataset, 128, NAMES).class_ap["cat"] > 0


class WholePicture(Detector):
    """Says of every picture that all of it is a cat, with a score of 0.02."""

    def __init__(self):
        torch.nn.Module.__init__(self)

    def forward(self, images):
        logits = torch.tensor([-20.0, math.log(0.02 / 0.98), -20.0]).repeat(len(images), 1, 1)
        anchor = torch.tensor([[0.0, 0.0, 128.0, 128.0 * 2 / 3]])
        return Predictions(logits, torch.zeros(len(images), 1, 4), anchor, "sigmoid")


def test_a_perfect_detector_is_evaluated_as_perfect(tmp_path, monkeypatch):
    dataset = load_dataset(coco_folder(tmp_path, "val"), "val")
    targets = iter([dataset[row][1] for row in range(len(dataset))])

    def know(_, images, *__, **___):
        return [
            {
                "boxes": target["boxes"],
                "labels": target["labels"],
                "scores": torch.ones(len(target["labels"])),
            }
            for target in (next(targets) for _ in images)
        ]

    monkeypatch.setattr(evaluation, "detect", know)
    assert evaluate(WholePicture(), dataset, 128, NAMES).coco["AP"] == pytest.approx(1.0)
