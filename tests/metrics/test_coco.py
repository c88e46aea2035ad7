import logging
import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from detlab.metrics.average_precision import class_average_precision
from detlab.metrics.coco import COCO_NAMES, coco_metrics, coco_results
from tests.sample_detections import (
    CLASS_NAMES,
    detection,
    plain,
    pycocotools_evaluation,
    random_scenes,
    scenes_with_crowds,
    squares,
    target,
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


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 100_000), num_images=st.integers(1, 6))
def test_crowds_and_areas_count_as_in_pycocotools(seed, num_images):
    detections, targets = scenes_with_crowds(seed, num_images)
    oracle = pycocotools_evaluation(detections, targets)
    metrics = coco_metrics(detections, targets, CLASS_NAMES)
    for ours, theirs in zip(metrics.coco.values(), oracle.stats, strict=True):
        assert (math.isnan(ours) and theirs == -1) or ours == pytest.approx(theirs, abs=1e-12)


def test_crowds_and_areas_make_a_difference_in_the_scenes_above():
    detections, targets = scenes_with_crowds(0)
    assert all("areas" in target and "ignored_boxes" in target for target in targets)
    with_rules = coco_metrics(detections, targets, CLASS_NAMES).coco
    without = coco_metrics(detections, plain(targets), CLASS_NAMES).coco
    assert with_rules["AP"] > without["AP"] + 0.01
    assert all(abs(with_rules[name] - without[name]) > 0.01 for name in COCO_NAMES[3:6])


def test_a_size_is_that_of_the_object_and_not_of_its_box():
    box = torch.tensor([[5.0, 8.0, 45.0, 48.0]])  # 1600 square pixels: medium
    there = target(box, [1]) | {"areas": torch.tensor([800.0])}
    coco = coco_metrics([detection(box, [1], [0.9])], [there], CLASS_NAMES).coco
    assert coco["AP_small"] == 1
    assert math.isnan(coco["AP_medium"])


@pytest.mark.parametrize("unknown", [math.nan, math.inf, 0.0])
def test_where_no_area_is_said_the_box_decides(unknown):
    box = torch.tensor([[5.0, 8.0, 45.0, 48.0]])
    there = target(box, [1]) | {"areas": torch.tensor([unknown])}
    coco = coco_metrics([detection(box, [1], [0.9])], [there], CLASS_NAMES).coco
    assert coco["AP_medium"] == 1


def test_the_size_of_a_detection_is_that_of_its_box_whatever_it_carries_along():
    boxes = torch.tensor([[0.0, 0.0, 40.0, 30.0], [100.0, 0.0, 140.0, 30.0]])  # both medium
    there = target(boxes[:1], [1]) | {"areas": torch.tensor([500.0])}
    found = detection(boxes, [1, 1], [0.8, 0.9]) | {"areas": torch.tensor([500.0, 500.0])}
    coco = coco_metrics([found], [there], CLASS_NAMES).coco
    assert coco["AP_small"] == 1  # the wrong one is medium, and no matter for small objects
    assert coco["AP"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("label", "x", "ap"),
    [
        (1, 40.0, 1.0),  # all of it in the crowd
        (1, 35.0, 1.0),  # half of it at least, counted at all of 0.50 alone
        (1, 20.0, 0.5),
        (2, 40.0, 0.5),  # a crowd of another class
    ],
)
def test_what_lies_in_a_crowd_is_not_wrong(label, x, ap):
    boxes = torch.tensor([[0.0, 0.0, 10.0, 20.0], [x, 0.0, x + 10, 20.0]])
    crowd = torch.tensor([[40.0, 0.0, 100.0, 50.0]])
    there = target(boxes[:1], [1])
    there |= {"ignored_boxes": crowd, "ignored_labels": torch.tensor([label])}
    found = detection(boxes, [1, 1], [0.8, 0.9])
    assert coco_metrics([found], [there], CLASS_NAMES).coco["AP50"] == pytest.approx(ap)


def test_a_picture_may_have_regions_where_others_have_none_or_no_object():
    region = {"ignored_boxes": squares(0, size=50.0), "ignored_labels": torch.tensor([1])}
    targets = [target(squares(0), [1]), target(squares(), []) | region]
    found = [detection(squares(0), [1], [0.8]), detection(squares(0, 20), [1, 1], [0.9, 0.9])]
    assert coco_metrics(found, targets, CLASS_NAMES).coco["AP"] == 1


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"areas": torch.ones(2)}, r"image 1.*\[\[1, 4\], \[1\], \[1\], \[2\]\]"),
        (
            {"ignored_boxes": squares(0), "ignored_labels": torch.tensor([9])},
            "ignored region of image 1.*label from 1 to 3.*9",
        ),
        (
            {"ignored_boxes": squares(0, 5), "ignored_labels": torch.tensor([1])},
            r"image 1.*\[\[2, 4\], \[1\]",
        ),
    ],
)
def test_nonsense_in_what_only_evaluation_uses_is_refused(entries, message):
    found, there = detection(squares(0), [1], [0.9]), target(squares(0), [1])
    with pytest.raises(ValueError, match=message):
        coco_metrics([found] * 2, [there, there | entries], CLASS_NAMES)


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
        (detection(squares(0, 5), [1], [0.9]), r"image 1.*\[\[2, 4\], \[1\], \[1\], \[1\]\]"),
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


def test_each_result_names_its_own_image():
    found = [detection(squares(0, 20), [1, 1], [0.9, 0.8]), detection(squares(0), [1], [0.7])]
    assert [row["image_id"] for row in coco_results(found, [7, 9])] == [7, 7, 9]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_tensors_on_a_gpu_give_the_same_numbers():
    detections, targets = random_scenes(4)
    on_gpu = [
        [{key: value.cuda() for key, value in item.items()} for item in items]
        for items in (detections, targets)
    ]
    assert coco_metrics(*on_gpu, CLASS_NAMES) == coco_metrics(detections, targets, CLASS_NAMES)


def test_importing_it_loads_neither_matplotlib_nor_ipywidgets():
    code = "import sys, detlab.metrics.coco; print({'matplotlib', 'ipywidgets'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "set()"
