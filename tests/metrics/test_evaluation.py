"""A detector on a data set: all pictures in order, nearly all scores, detection's own time."""

import contextlib
import io
import json
import math

import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from detlab.data.datasets import load_dataset
from detlab.detector.model import Detector
from detlab.metrics import evaluation
from detlab.metrics.baselines import find_nothing
from detlab.metrics.coco import coco_metrics, coco_results
from detlab.metrics.evaluation import evaluate, evaluate_images
from detlab.types import Predictions
from tests.sample_detections import (
    CLASS_NAMES,
    detection,
    random_scenes,
    scene_with_crowds,
    squares,
    target,
)
from tests.sample_folders import coco_folder, write_picture

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


# ---------------------------------------------------------------- a file, and pycocotools

SIZES = [(240, 320), (320, 240), (300, 310), (280, 400)]  # (height, width); none is square
CATEGORY_IDS = {1: 3, 2: 7, 3: 20}  # of our labels; 11 has no object


def written_scenes(folder, image_ids):
    """A COCO folder with crowds, areas, an empty picture and a class without objects."""
    generator = torch.Generator().manual_seed(13)
    images, annotations, detections = [], [], []
    for row, (image_id, (height, width)) in enumerate(zip(image_ids, SIZES, strict=True)):
        found, there = scene_with_crowds(generator)
        if row == 2:
            there = {key: part[:0] for key, part in there.items()}
        write_picture(folder / "images" / f"{row}.png", (width, height))
        images.append({"id": image_id, "file_name": f"{row}.png", "width": width, "height": height})
        regions = zip(there["ignored_boxes"], there["ignored_labels"], strict=True)
        objects = zip(there["boxes"], there["labels"], there["areas"].nan_to_num(500), strict=True)
        for box, label, area, crowd in (
            *((box, label, area, 0) for box, label, area in objects),
            *((box, label, 9000, 1) for box, label in regions),
        ):
            x1, y1, x2, y2 = torch.minimum(box, torch.tensor([width, height] * 2)).round().tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": CATEGORY_IDS[int(label)],
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": float(area),
                    "iscrowd": crowd,
                }
            )
        detections.append(found)
    categories = [{"id": key, "name": f"class {key}"} for key in (3, 7, 11, 20)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances_val.json").write_text(json.dumps(content))
    return content, detections


def numbers_of_pycocotools(annotation_file, results):
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(annotation_file)
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats.tolist()


@pytest.mark.parametrize(
    "image_ids",
    [
        (4, 9, 11, 30),
        ("night-1", "night-2", "tide-1", "tide-2"),
    ],
)
def test_a_folder_is_evaluated_as_pycocotools_evaluates_its_file(tmp_path, image_ids):
    content, detections = written_scenes(tmp_path, image_ids)
    assert sum(entry["iscrowd"] for entry in content["annotations"]) >= 2
    dataset = load_dataset(tmp_path, "val")
    assert dataset.class_names == ("background", "class 3", "class 7", "class 20")  # 11 is unused
    waiting = iter(detections)
    metrics = evaluate_images(
        lambda images: [next(waiting) for _ in images], dataset, dataset.class_names, 3
    )

    results = coco_results(detections, image_ids)
    for row in results:
        row["category_id"] = CATEGORY_IDS[row["category_id"]]
    theirs = numbers_of_pycocotools(tmp_path / "instances_val.json", results)
    assert list(metrics.coco.values()) == pytest.approx(theirs, abs=1e-12)
    assert min(theirs) > 0  # every size of object took part
