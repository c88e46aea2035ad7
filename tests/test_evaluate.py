import contextlib
import io
import logging
import math
import subprocess
import sys

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from detlab.evaluate import (
    COCO_NAMES,
    UNMATCHED,
    average_precision,
    class_average_precision,
    coco_metrics,
    coco_results,
    evaluate,
    find_duplicates,
    find_missed,
    match_detections,
    match_image,
    precision_recall,
)

CLASS_NAMES = ("background", "fish", "shark", "turtle")


def squares(*corners, size=10.0):
    return torch.tensor([[c, c, c + size, c + size] for c in corners]).reshape(-1, 4)


def target(boxes, labels):
    return {"boxes": boxes, "labels": torch.tensor(labels, dtype=torch.int64)}


def detection(boxes, labels, scores):
    return target(boxes, labels) | {"scores": torch.tensor(scores, dtype=torch.float32)}


def random_scene(generator, image_size=(180, 320)):
    """Objects of all COCO sizes, found crookedly, twice, under a wrong name, or not at all."""
    height, width = image_size
    num_objects = int(torch.randint(0, 8, (1,), generator=generator))
    corners = torch.rand(num_objects, 2, generator=generator) * torch.tensor([width, height]) / 2
    sizes = 4 + torch.rand(num_objects, 2, generator=generator) ** 2 * 200
    gt_boxes = torch.cat([corners, corners + sizes], dim=1)
    labels = torch.randint(1, 4, (num_objects,), generator=generator)

    num_detections = int(torch.randint(0, 130, (1,), generator=generator)) * (num_objects > 0)
    picks = torch.randint(0, max(num_objects, 1), (num_detections,), generator=generator)
    boxes = gt_boxes[picks] + torch.randn(num_detections, 4, generator=generator) * 3
    boxes[:, 2:] = torch.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    renamed = torch.rand(num_detections, generator=generator) < 0.2
    scores = torch.randint(0, 50, (num_detections,), generator=generator) / 49  # many ties
    return (
        {"boxes": boxes, "labels": torch.where(renamed, 1, labels[picks]), "scores": scores},
        {"boxes": gt_boxes, "labels": labels},
    )


def random_scenes(seed, num_images=30):
    generator = torch.Generator().manual_seed(seed)
    scenes = [random_scene(generator) for _ in range(num_images)]
    return [found for found, _ in scenes], [there for _, there in scenes]


def pycocotools_evaluation(detections, targets, num_classes=4):
    """The field's own program, from the same lists of dicts."""

    def records(items):
        rows = [
            (image, *box.double().tolist(), int(label), float(score))
            for image, item in enumerate(items)
            for box, label, score in zip(
                item["boxes"], item["labels"], item.get("scores", item["labels"]), strict=True
            )
        ]
        return [
            {
                "image_id": image,
                "category_id": label,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "score": score,
                "id": row,
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
            }
            for row, (image, x1, y1, x2, y2, label, score) in enumerate(rows, start=1)
        ]

    def index(items):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": image} for image in range(len(items))],
            "categories": [{"id": label} for label in range(1, num_classes)],
            "annotations": records(items),
        }
        coco.createIndex()
        return coco

    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(index(targets), index(detections), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


# ---------------------------------------------------------------- match_detections


def test_the_second_detection_of_an_object_is_a_duplicate():
    boxes = torch.cat([squares(0), squares(0), squares(40)])
    matches = match_detections(boxes, torch.tensor([0.3, 0.9, 0.5]), squares(40, 0))
    assert matches.tolist() == [UNMATCHED, 1, 0]


def test_of_equal_scores_the_first_row_chooses_first():
    boxes = torch.cat([squares(0), squares(0)])
    assert match_detections(boxes, torch.tensor([0.5, 0.5]), squares(0)).tolist() == [0, UNMATCHED]


def test_a_detection_turns_to_its_second_best_object_when_the_best_is_taken():
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 10.0]])
    gt_boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 8.0]])
    assert match_detections(boxes, torch.tensor([0.9, 0.8]), gt_boxes).tolist() == [0, 1]


@pytest.mark.parametrize(("height", "expected"), [(5.0, 0), (4.9, UNMATCHED)])
def test_an_overlap_equal_to_the_threshold_is_enough(height, expected):
    box = torch.tensor([[0.0, 0.0, 10.0, height]])  # IoU with the 10-pixel square: height / 10
    assert match_detections(box, torch.tensor([0.9]), squares(0), 0.5).tolist() == [expected]


@pytest.mark.parametrize(("num_detections", "num_objects"), [(0, 0), (0, 2), (3, 0)])
def test_nothing_found_or_nothing_there_leaves_all_unmatched(num_detections, num_objects):
    boxes, gt_boxes = squares(*range(num_detections)), squares(*range(num_objects))
    matches = match_detections(boxes, torch.ones(num_detections), gt_boxes)
    assert matches.tolist() == [UNMATCHED] * num_detections
    assert matches.dtype == torch.int64


@given(seed=st.integers(0, 10_000), threshold=st.sampled_from([0.25, 0.5, 0.75]))
def test_no_object_answers_twice_and_every_answer_overlaps_enough(seed, threshold):
    found, there = random_scene(torch.Generator().manual_seed(seed))
    matches = match_detections(found["boxes"], found["scores"], there["boxes"], threshold)
    hits = matches[matches >= 0]
    assert len(hits.unique()) == len(hits)
    for row in (matches >= 0).nonzero()[:, 0]:
        x1y1 = torch.maximum(found["boxes"][row, :2], there["boxes"][matches[row], :2])
        x2y2 = torch.minimum(found["boxes"][row, 2:], there["boxes"][matches[row], 2:])
        shared = (x2y2 - x1y1).clamp(min=0).prod()
        areas = [
            (b[2:] - b[:2]).prod() for b in (found["boxes"][row], there["boxes"][matches[row]])
        ]
        assert shared / (sum(areas) - shared) > threshold - 1e-5


# ---------------------------------------------------------------- precision, recall, AP


@pytest.mark.parametrize("seed", [2, 3])
def test_hits_duplicates_and_misses_of_an_image_are_those_of_its_classes(seed):
    for found, there in zip(*random_scenes(seed, num_images=6), strict=True):
        matches = match_image(found, there)
        hits = matches >= 0
        assert torch.equal(there["labels"][matches[hits]], found["labels"][hits])
        assert int(find_missed(matches, len(there["labels"])).sum() + hits.sum()) == len(
            there["labels"]
        )
        again = find_duplicates(found, there, matches)
        for label in (1, 2, 3):
            rows, objects = found["labels"] == label, there["labels"] == label
            gt_boxes = there["boxes"][objects]
            alone = match_detections(found["boxes"][rows], found["scores"][rows], gt_boxes)
            assert torch.equal(alone >= 0, hits[rows])
            overlaps = torchvision.ops.box_iou(found["boxes"][rows], gt_boxes) >= 0.5
            assert torch.equal(again[rows], overlaps.any(dim=1) & (alone == UNMATCHED))


def test_a_duplicate_is_of_the_same_class_and_well_placed():
    there = target(squares(0.0, 50.0), [1, 2])
    found = detection(squares(0.0, 1.0, 8.0, 0.0), [1, 1, 1, 2], [0.9, 0.8, 0.7, 0.6])
    matches = match_image(found, there)
    assert matches.tolist() == [0, UNMATCHED, UNMATCHED, UNMATCHED]
    assert find_duplicates(found, there, matches).tolist() == [False, True, False, False]
    assert find_missed(matches, 2).tolist() == [False, True]


def test_nothing_found_misses_all_and_nothing_there_misses_nothing():
    nothing = detection(squares(), [], [])
    there = target(squares(0.0), [1])
    assert find_missed(match_image(nothing, there), 1).tolist() == [True]
    found = detection(squares(0.0), [1], [0.5])
    matches = match_image(found, target(squares(), []))
    assert matches.tolist() == [UNMATCHED]
    assert find_missed(matches, 0).tolist() == []
    assert find_duplicates(found, target(squares(), []), matches).tolist() == [False]


def test_no_detections_give_empty_curves_and_ap_zero():
    precision, recall = precision_recall(torch.zeros(0), torch.zeros(0, dtype=torch.bool), 3)
    assert precision.shape == recall.shape == (0,)
    assert average_precision(precision, recall) == 0


def test_recall_of_no_objects_is_refused():
    with pytest.raises(ValueError, match="num_objects is 0"):
        precision_recall(torch.ones(1), torch.tensor([False]), 0)


def test_a_perfect_detector_has_average_precision_one():
    curves = precision_recall(torch.rand(7), torch.ones(7, dtype=torch.bool), 7)
    assert average_precision(*curves) == 1


def test_duplicates_below_the_last_hit_cost_nothing():
    is_hit = torch.tensor([True, False, True])
    alone = precision_recall(torch.tensor([0.9, 0.8, 0.7]), is_hit, 2)
    more = torch.cat([is_hit, torch.zeros(500, dtype=torch.bool)])
    scores = torch.cat([torch.tensor([0.9, 0.8, 0.7]), torch.full((500,), 0.1)])
    assert average_precision(*precision_recall(scores, more, 2)) == average_precision(*alone)


@given(
    is_hit=st.lists(st.booleans(), max_size=40),
    missed=st.integers(1, 20),
    seed=st.integers(0, 1000),
)
def test_one_more_hit_never_lowers_average_precision(is_hit, missed, seed):
    hits = torch.tensor(is_hit, dtype=torch.bool)
    scores = torch.rand(len(hits), generator=torch.Generator().manual_seed(seed))
    num_objects = int(hits.sum()) + missed
    before = average_precision(*precision_recall(scores, hits, num_objects))
    best = torch.cat([torch.tensor([2.0]), scores])
    after = average_precision(
        *precision_recall(best, torch.cat([hits.new_ones(1), hits]), num_objects)
    )
    assert 0 <= before <= after <= 1


@pytest.mark.parametrize("seed", range(5))
def test_one_class_at_one_threshold_is_what_pycocotools_says(seed):
    detections, targets = random_scenes(seed)
    detections = [{key: value[:100] for key, value in found.items()} for found in detections]
    oracle = pycocotools_evaluation(detections, targets).eval["precision"]
    for row, threshold in [(0, 0.5), (5, 0.75), (8, 0.9)]:
        for label in (1, 2, 3):
            ours = class_average_precision(detections, targets, label, threshold)
            assert ours == pytest.approx(oracle[row, :, label - 1, 0, -1].mean(), abs=1e-9)


@pytest.mark.parametrize("found", [7, 29, 58])
def test_a_recall_that_equals_a_level_counts_as_in_pycocotools(found):
    boxes = squares(*range(0, 2000, 20))  # 100 objects; 29 / 100 in float32 is below 0.29
    detections = [detection(boxes[:found], [1] * found, [0.5] * found)]
    targets = [target(boxes, [1] * 100)]
    oracle = pycocotools_evaluation(detections, targets).eval["precision"][0, :, 0, 0, -1].mean()
    assert class_average_precision(detections, targets, 1) == pytest.approx(oracle, abs=1e-12)


def test_a_class_that_no_image_shows_has_no_average_precision():
    assert math.isnan(
        class_average_precision([detection(squares(0), [2], [0.9])], [target(squares(0), [1])], 2)
    )


# ---------------------------------------------------------------- coco_metrics


@pytest.mark.parametrize("seed", range(5))
def test_the_twelve_numbers_are_pycocotools(seed):
    detections, targets = random_scenes(seed)
    oracle = pycocotools_evaluation(detections, targets)
    metrics = coco_metrics(detections, targets, CLASS_NAMES)
    assert list(metrics.coco) == list(COCO_NAMES)
    assert list(metrics.coco.values()) == pytest.approx(oracle.stats.tolist(), abs=1e-12)
    assert min(metrics.coco.values()) > 0  # every size of object took part
    for row, name in enumerate(CLASS_NAMES[1:]):
        expected = oracle.eval["precision"][:, :, row, 0, -1].mean()
        assert metrics.class_ap[name] == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 100_000), num_images=st.integers(1, 4))
def test_few_images_agree_with_pycocotools_too(seed, num_images):
    detections, targets = random_scenes(seed, num_images)
    stats = pycocotools_evaluation(detections, targets).stats
    numbers = coco_metrics(detections, targets, CLASS_NAMES).coco.values()
    for ours, theirs in zip(numbers, stats, strict=True):
        assert (math.isnan(ours) and theirs == -1) or ours == pytest.approx(theirs, abs=1e-12)


def test_readable_and_compiled_answers_agree():
    detections, targets = random_scenes(9)
    thresholds = [0.5 + 0.05 * step for step in range(10)]
    detections = [{key: value[:100] for key, value in found.items()} for found in detections]
    slow = [
        class_average_precision(detections, targets, label, threshold)
        for label in (1, 2, 3)
        for threshold in thresholds
    ]
    fast = coco_metrics(detections, targets, CLASS_NAMES).coco["AP"]
    assert sum(slow) / len(slow) == pytest.approx(fast, abs=1e-9)


def test_objects_without_detections_score_zero_and_nothing_at_all_is_nan():
    nothing = detection(torch.zeros(0, 4), [], [])
    missed = coco_metrics([nothing], [target(squares(0), [1])], CLASS_NAMES)
    assert missed.coco["AP"] == missed.coco["AP_small"] == 0
    assert math.isnan(missed.coco["AP_large"])
    assert missed.class_ap["fish"] == 0
    assert math.isnan(missed.class_ap["shark"])

    empty = coco_metrics([nothing], [target(torch.zeros(0, 4), [])], CLASS_NAMES)
    assert all(math.isnan(number) for number in empty.coco.values())


def test_a_detection_without_area_is_only_wrong():
    line = torch.tensor([[0.0, 0.0, 0.0, 10.0]])
    metrics = coco_metrics([detection(line, [1], [0.9])], [target(squares(0), [1])], CLASS_NAMES)
    assert metrics.coco["AP"] == 0


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (detection(squares(0), [4], [0.9]), "detection of image 1.*label from 1 to 3.*4"),
        (detection(squares(0), [0], [0.9]), "detection of image 1.*label from 1 to 3"),
        (detection(squares(0), [1], [math.nan]), "detection of image 1.*finite"),
        (detection(squares(0, size=-5.0), [1], [0.9]), "detection of image 1.*x2 >= x1"),
        (detection(squares(0, 5), [1], [0.9]), r"image 1.*\[\[2, 4\], \[1\], \[1\]\]"),
    ],
)
def test_nonsense_is_refused_with_its_image(found, message):
    good = detection(squares(0), [1], [0.9])
    with pytest.raises(ValueError, match=message):
        coco_metrics([good, found], [target(squares(0), [1])] * 2, CLASS_NAMES)


@pytest.mark.parametrize(("detections", "targets"), [(0, 0), (1, 2)])
def test_want_one_detection_per_target(detections, targets):
    with pytest.raises(ValueError, match=f"{detections} detections and {targets} targets"):
        coco_metrics(
            [detection(squares(0), [1], [0.9])] * detections,
            [target(squares(0), [1])] * targets,
            CLASS_NAMES,
        )


def test_it_says_nothing_even_where_logging_is_on(capfd, caplog):
    caplog.set_level(logging.DEBUG)
    coco_metrics(*random_scenes(1, num_images=2), CLASS_NAMES)
    assert capfd.readouterr() == ("", "")
    assert caplog.messages == []


def test_arguments_are_read_only():
    detections, targets = random_scenes(3, num_images=2)
    before = [value.clone() for item in detections + targets for value in item.values()]
    coco_metrics(detections, targets, CLASS_NAMES)
    after = [value for item in detections + targets for value in item.values()]
    torch.testing.assert_close(after, before, rtol=0, atol=0)


def test_results_of_no_images_or_no_boxes_are_an_empty_list():
    assert coco_results([], []) == []
    assert coco_results([detection(torch.zeros(0, 4), [], [])], [5]) == []


# ---------------------------------------------------------------- evaluate


def test_evaluate_asks_in_batches_and_keeps_the_order():
    detections, targets = random_scenes(2, num_images=5)
    images = [torch.full((3, 4, 6), i, dtype=torch.uint8) for i in range(5)]
    batches = []

    def detect_images(batch):
        batches.append(len(batch))
        return [detections[int(image[0, 0, 0])] for image in batch]

    metrics = evaluate(detect_images, list(zip(images, targets, strict=True)), CLASS_NAMES, 2)
    assert batches == [2, 2, 1]
    assert metrics.coco == pytest.approx(coco_metrics(detections, targets, CLASS_NAMES).coco)
    assert metrics.images_per_second > 0


def test_evaluate_refuses_a_detector_that_forgets_an_image():
    image = torch.zeros(3, 4, 6, dtype=torch.uint8)
    dataset = [(image, target(squares(0), [1]))] * 2
    with pytest.raises(ValueError, match="1 detections and 2 targets"):
        evaluate(lambda images: [detection(squares(0), [1], [0.9])], dataset, CLASS_NAMES)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_tensors_on_a_gpu_give_the_same_numbers():
    detections, targets = random_scenes(4)
    on_gpu = [
        [{key: value.cuda() for key, value in item.items()} for item in items]
        for items in (detections, targets)
    ]
    assert coco_metrics(*on_gpu, CLASS_NAMES) == coco_metrics(detections, targets, CLASS_NAMES)


def test_importing_it_loads_neither_matplotlib_nor_ipywidgets():
    code = "import sys, detlab.evaluate; print({'matplotlib', 'ipywidgets'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
