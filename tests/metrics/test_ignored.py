import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from detlab.metrics.average_precision import class_average_precision
from detlab.metrics.calibration import calibration
from detlab.metrics.coco import coco_metrics
from detlab.metrics.error_kinds import error_kinds
from detlab.metrics.ignored import lies_in_region, without_ignored
from tests.sample_detections import (
    CLASS_NAMES,
    detection,
    plain,
    random_scenes,
    scenes_with_crowds,
    squares,
    target,
)


def with_region(there, box, label=1):
    region = torch.tensor([box]).float()
    return there | {"ignored_boxes": region, "ignored_labels": torch.tensor([label])}


EMPTY = target(squares(), [])


@pytest.mark.parametrize(
    ("box", "inside", "expected"),
    [
        ([0.0, 0.0, 8.0, 4.0], 0.5, True),
        ([36.0, 0.0, 44.0, 4.0], 0.5, True),  # half of it: 4 of 8 pixels
        ([36.0, 0.0, 44.0, 4.0], 0.625, False),
        ([37.0, 0.0, 45.0, 4.0], 0.5, False),
        ([0.0, 16.0, 8.0, 24.0], 0.5, True),  # height and width are not mixed up
        ([16.0, 0.0, 24.0, 8.0], 0.75, True),
        ([0.0, 0.0, 0.0, 4.0], 0.0, False),  # a line covers nothing
    ],
)
def test_the_fraction_of_the_detection_decides(box, inside, expected):
    there = with_region(EMPTY, [0, 0, 40, 20])  # wide, not high
    found = detection(torch.tensor([box]), [1], [0.9])
    assert lies_in_region(found, there, inside).tolist() == [expected]


def test_a_region_is_of_one_class():
    there = with_region(EMPTY, [0, 0, 40, 20], label=2)
    found = detection(squares(0, 0), [1, 2], [0.9, 0.8])
    assert lies_in_region(found, there).tolist() == [False, True]


def test_what_has_found_an_object_stays_and_its_duplicate_goes():
    there = with_region(target(squares(0), [1]), [0, 0, 40, 20])
    found = detection(squares(0, 0, 100), [1, 1, 1], [0.7, 0.9, 0.8])
    assert without_ignored(found, there)["scores"].tolist() == pytest.approx([0.9, 0.8])


def test_without_regions_all_stay():
    for found, there in zip(*random_scenes(3), strict=True):
        torch.testing.assert_close(without_ignored(found, there), found, rtol=0, atol=0)
        no_region = there | {"ignored_boxes": squares(), "ignored_labels": torch.tensor([]).long()}
        torch.testing.assert_close(without_ignored(found, no_region), found, rtol=0, atol=0)


def test_without_detections_nothing_is_left():
    there = with_region(EMPTY, [0, 0, 40, 20])
    assert without_ignored(detection(squares(), [], []), there)["boxes"].shape == (0, 4)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10_000), iou_threshold=st.sampled_from([0.5, 0.75]))
def test_what_is_left_has_the_average_precision_of_the_compiled_library(seed, iou_threshold):
    detections, targets = scenes_with_crowds(seed, num_images=8)
    detections = [{key: value[:100] for key, value in found.items()} for found in detections]
    left = [without_ignored(*pair, iou_threshold) for pair in zip(detections, targets, strict=True)]
    slow = [class_average_precision(left, targets, label, iou_threshold) for label in (1, 2, 3)]
    coco = coco_metrics(detections, targets, CLASS_NAMES).coco
    there = [ap for ap in slow if ap == ap]
    fast = coco["AP50" if iou_threshold == 0.5 else "AP75"]
    assert sum(there) / len(there) == pytest.approx(fast, abs=1e-9)


def test_kinds_of_error_and_calibration_are_asked_of_what_is_left():
    there = with_region(target(squares(0), [1]), [20, 0, 100, 50])
    found = detection(squares(0, 30), [1, 1], [0.9, 0.8])
    assert error_kinds(found, there).kinds == ["correct", "background"]
    left = without_ignored(found, there)
    kinds = error_kinds(left, there).kinds
    assert kinds == ["correct"]
    correct = torch.tensor([kind == "correct" for kind in kinds])
    assert calibration(left["scores"], correct).counts.sum() == 1


def test_arguments_are_read_only():
    found, there = (items[0] for items in scenes_with_crowds(5, num_images=1))
    before = [value.clone() for value in (*found.values(), *there.values())]
    without_ignored(found, there)
    torch.testing.assert_close([*found.values(), *there.values()], before, equal_nan=True)
    assert plain([there])[0].keys() == {"boxes", "labels"}


@pytest.mark.parametrize("inside", [-0.5, 50.0])
def test_a_fraction_outside_0_to_1_is_refused(inside):
    with pytest.raises(ValueError, match=f"inside lies between 0 and 1, got {inside}"):
        lies_in_region(detection(squares(0), [1], [0.9]), EMPTY, inside)
