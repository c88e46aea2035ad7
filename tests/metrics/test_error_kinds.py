import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st

from detlab.metrics.average_precision import UNMATCHED, class_average_precision, match_image
from detlab.metrics.coco import coco_metrics
from detlab.metrics.error_kinds import ERRORS, KINDS, error_kinds, fix_errors, is_kind
from tests.sample_detections import (
    CLASS_NAMES,
    detection,
    random_scene,
    random_scenes,
    squares,
    target,
)

NOTHING = detection(squares(), [], [])


def seeded_scene(seed):
    return random_scene(torch.Generator().manual_seed(seed))


def naive_kind(box, label, hit, there, foreground, background):
    """The definitions one after the other, best excuse first."""
    if hit:
        return "correct"
    pairs = list(zip(there["boxes"], there["labels"].tolist(), strict=True))
    overlaps = {True: [0.0], False: [0.0]}
    for gt_box, gt_label in pairs:
        iou = float(torchvision.ops.box_iou(box[None], gt_box[None]))
        overlaps[gt_label == label].append(iou)
    own, other = max(overlaps[True]), max(overlaps[False])
    if own >= foreground:
        return "duplicate"
    if other >= foreground:
        return "class"
    if own >= background:
        return "location"
    return "both" if other >= background else "background"


@given(seed=st.integers(0, 10_000), thresholds=st.sampled_from([(0.5, 0.1), (0.75, 0.25)]))
def test_the_kinds_are_those_of_the_definitions(seed, thresholds):
    found, there = seeded_scene(seed)
    hits = match_image(found, there, thresholds[0]) >= 0
    expected = [
        naive_kind(box, label, hit, there, *thresholds)
        for box, label, hit in zip(
            found["boxes"], found["labels"].tolist(), hits.tolist(), strict=True
        )
    ]
    assert error_kinds(found, there, *thresholds).kinds == expected


def test_the_random_scenes_hold_every_kind():
    scenes = zip(*random_scenes(0), strict=True)
    assert {kind for scene in scenes for kind in error_kinds(*scene).kinds} == set(KINDS)


@given(seed=st.integers(0, 10_000))
def test_the_object_that_an_error_is_about_has_the_name_and_place_of_its_kind(seed):
    found, there = seeded_scene(seed)
    kinds, objects, missed = error_kinds(found, there)
    assert torch.equal(objects == UNMATCHED, is_kind(kinds, "background"))
    iou = torchvision.ops.box_iou(found["boxes"], there["boxes"])
    about = set()
    for row, (kind, which) in enumerate(zip(kinds, objects.tolist(), strict=True)):
        if kind == "background":
            continue
        right_name = bool(found["labels"][row] == there["labels"][which])
        right_place = float(iou[row, which]) >= 0.5
        assert right_name == (kind in ("correct", "duplicate", "location"))
        assert right_place == (kind in ("correct", "duplicate", "class"))
        about |= {which} if kind in ("correct", "class", "location") else set()
    assert set(missed.nonzero()[:, 0].tolist()) == set(range(len(missed))) - about


@pytest.mark.parametrize(
    ("height", "label", "kind"),
    [
        (5.0, 1, "correct"),
        (4.9, 1, "location"),
        (5.0, 2, "class"),
        (4.9, 2, "both"),
        (1.25, 1, "location"),
        (1.2, 1, "background"),
        (1.25, 2, "both"),
        (1.2, 2, "background"),
    ],
)
def test_an_overlap_equal_to_a_threshold_reaches_it(height, label, kind):
    box = torch.tensor([[0.0, 0.0, 10.0, height]])  # IoU with the 10-pixel square: height / 10
    errors = error_kinds(detection(box, [label], [0.9]), target(squares(0), [1]), 0.5, 0.125)
    assert errors.kinds == [kind]
    assert errors.missed.tolist() == [kind in ("both", "background")]


@pytest.mark.parametrize(
    ("height", "kind"),
    [(5.1, "correct"), (4.9, "location"), (1.1, "location"), (0.9, "background")],
)
def test_unasked_the_thresholds_are_those_of_tide_a_half_and_a_tenth(height, kind):
    box = torch.tensor([[0.0, 0.0, 10.0, height]])  # IoU with the 10-pixel square: height / 10
    assert error_kinds(detection(box, [1], [0.9]), target(squares(0), [1])).kinds == [kind]


def test_a_well_placed_box_with_a_wrong_name_is_a_class_error_though_it_touches_its_own_class():
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 3.0]])
    errors = error_kinds(detection(boxes[:1], [2], [0.9]), target(boxes, [1, 2]))
    assert errors.kinds == ["class"]
    assert errors.objects.tolist() == [0]


def test_nothing_found_misses_all_and_nothing_there_is_background():
    assert error_kinds(NOTHING, target(squares(0, 50), [1, 2])).missed.tolist() == [True, True]
    errors = error_kinds(detection(squares(0), [1], [0.9]), target(squares(), []))
    assert errors.kinds == ["background"]
    assert errors.missed.shape == (0,)
    assert error_kinds(NOTHING, target(squares(), [])).kinds == []


@pytest.mark.parametrize("thresholds", [(0.5, 0.6), (0.5, 0.0), (1.1, 0.1)])
def test_thresholds_in_the_wrong_order_are_refused(thresholds):
    with pytest.raises(ValueError, match=f"got {thresholds[1]}, {thresholds[0]}"):
        error_kinds(NOTHING, target(squares(), []), *thresholds)


# ---------------------------------------------------------------- fix_errors


def average(found, there, iou_threshold):
    return sum(
        class_average_precision([found], [there], label, iou_threshold)
        for label in there["labels"].unique().tolist()
    )


@pytest.mark.parametrize("error", ERRORS)
@given(seed=st.integers(0, 10_000), thresholds=st.sampled_from([(0.5, 0.1), (0.875, 0.25)]))
def test_what_is_fixed_is_gone_and_nothing_gets_worse(error, seed, thresholds):
    found, there = seeded_scene(seed)
    fixed, asked = fix_errors(found, there, error, *thresholds)
    errors = error_kinds(fixed, asked, *thresholds)
    assert error not in errors.kinds
    assert error != "missed" or not errors.missed.any()
    before, after = error_kinds(found, there, *thresholds).kinds, errors.kinds
    assert error == "missed" or after.count("correct") >= before.count("correct")
    was = average(found, there, thresholds[0])
    assert error == "missed" or average(fixed, there, thresholds[0]) >= was - 1e-9


def test_without_any_error_average_precision_is_one():
    scenes = list(zip(*random_scenes(3), strict=True))
    for error in ERRORS:
        scenes = [fix_errors(found, there, error) for found, there in scenes]
    found, there = zip(*scenes, strict=True)
    assert coco_metrics(found, there, CLASS_NAMES).coco["AP50"] == 1


def test_a_place_is_put_right_and_the_arguments_stay():
    there = target(squares(0, 50), [1, 2])
    found = detection(squares(4, 50), [1, 2], [0.5, 0.9])
    fixed, asked = fix_errors(found, there, "location")
    assert fixed["boxes"].tolist() == squares(0, 50).tolist()
    assert found["boxes"].tolist() == squares(4, 50).tolist()
    assert asked is there


def test_of_two_that_then_say_the_same_the_better_score_stays():
    there = target(squares(0), [1])
    found = detection(squares(0, 4, 0), [1, 1, 2], [0.5, 0.9, 0.7])
    fixed, _ = fix_errors(found, there, "location")
    assert fixed["scores"].tolist() == pytest.approx([0.9, 0.7])  # the hit at 0.5 came too late
    fixed, _ = fix_errors(found, there, "class")
    assert fixed["scores"].tolist() == pytest.approx([0.9, 0.7])
    assert fixed["labels"].tolist() == [1, 1]


def test_objects_that_were_missed_are_not_asked_for():
    there = target(squares(0, 50), [1, 2])
    found = detection(squares(0), [1], [0.9])
    assert fix_errors(found, there, "missed")[1]["labels"].tolist() == [1]


def test_a_target_without_its_missed_objects_keeps_areas_and_regions():
    there = target(squares(0, 50), [1, 2]) | {
        "areas": torch.tensor([60.0, 70.0]),
        "ignored_boxes": squares(80),
        "ignored_labels": torch.tensor([3]),
    }
    _, asked = fix_errors(detection(squares(50), [2], [0.9]), there, "missed")
    assert asked["areas"].tolist() == [70]
    assert asked["ignored_labels"].tolist() == [3]
    assert there["labels"].tolist() == [1, 2]  # the argument is as it was


def test_an_unknown_error_is_refused():
    with pytest.raises(ValueError, match="got 'typo'"):
        fix_errors(NOTHING, target(squares(), []), "typo")
