"""One box per object: NMS against torchvision's, per class, Soft-NMS against its paper."""

import math

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from detlab.boxes import box_iou
from detlab.detector.suppression import (
    nms,
    nms_per_class,
    separate_classes,
    soft_nms,
    soft_nms_steps,
    suppress,
    suppressed_by,
)
from tests.sample_boxes import bars, scored_boxes

NO_BOXES, NO_SCORES = torch.zeros(0, 4), torch.zeros(0)
THRESHOLDS = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0]


@pytest.mark.parametrize("iou_threshold", THRESHOLDS)
@pytest.mark.parametrize("levels", [1, 3, 1000])
def test_nms_is_torchvisions_with_and_without_ties(iou_threshold, levels):
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        corner = torch.rand(60, 2, generator=generator) * 40
        boxes = torch.cat([corner, corner + 5 + torch.rand(60, 2, generator=generator) * 20], dim=1)
        scores = torch.randint(1, levels + 1, (60,), generator=generator) / levels
        expected = torchvision.ops.nms(boxes, scores, iou_threshold)
        assert nms(boxes, scores, iou_threshold).tolist() == expected.tolist()


@given(scored_boxes, st.sampled_from(THRESHOLDS))
def test_nms_is_torchvisions_on_boxes_of_whole_pixels(pair, iou_threshold):
    boxes, scores = pair
    expected = torchvision.ops.nms(boxes, scores, iou_threshold)
    assert nms(boxes, scores, iou_threshold).tolist() == expected.tolist()


@given(scored_boxes, st.sampled_from(THRESHOLDS))
def test_nms_keeps_the_best_and_no_two_that_overlap_too_much(pair, iou_threshold):
    boxes, scores = pair
    kept = nms(boxes, scores, iou_threshold)
    assert kept[0] == scores.argmax()
    assert (scores[kept].diff() <= 0).all()
    overlap = box_iou(boxes[kept], boxes[kept]).double().fill_diagonal_(0)
    assert (overlap <= iou_threshold).all()
    # And whatever was suppressed overlaps something better.
    for row in set(range(len(boxes))) - set(kept.tolist()):
        better = kept[scores[kept] >= scores[row]]
        assert (box_iou(boxes[better], boxes[row, None]).double() > iou_threshold).any()


def test_a_suppressed_box_suppresses_nobody():
    chain = bars((0, 16), (6, 22), (12, 28))  # neighbours overlap 10/22, the ends 4/28
    scores = torch.tensor([0.9, 0.8, 0.7])
    assert nms(chain, scores, 0.4).tolist() == [0, 2]
    assert torchvision.ops.nms(chain, scores, 0.4).tolist() == [0, 2]


@given(scored_boxes, st.sampled_from(THRESHOLDS))
def test_the_blame_falls_on_the_first_kept_box_that_overlaps(pair, iou_threshold):
    boxes, scores = pair
    suppressor = suppressed_by(boxes, scores, iou_threshold)
    kept = torchvision.ops.nms(boxes, scores, iou_threshold).tolist()
    iou = torchvision.ops.box_iou(boxes, boxes).double()  # the threshold is a double in its nms
    for row, by in enumerate(suppressor.tolist()):
        if row in kept:
            assert by == row
        else:
            assert by == next(k for k in kept if iou[k, row] > iou_threshold)


def test_a_suppressed_box_is_never_blamed():
    chain = bars((0, 10), (4, 14), (8, 18))  # each overlaps the next, the first not the last
    assert suppressed_by(chain, torch.tensor([0.9, 0.8, 0.7]), 0.3).tolist() == [0, 0, 2]
    assert suppressed_by(NO_BOXES, NO_SCORES, 0.5).tolist() == []


def test_the_blame_falls_on_who_overlaps_by_just_the_threshold():
    boxes = torch.tensor([[50.0, 50, 60, 60], [0, 0, 10, 1], [0, 0, 1, 1]])  # IoU 1/10
    scores = torch.tensor([0.9, 0.8, 0.7])
    assert torchvision.ops.nms(boxes, scores, 0.1).tolist() == [0, 1]
    assert nms(boxes, scores, 0.1).tolist() == [0, 1]
    assert suppressed_by(boxes, scores, 0.1).tolist() == [0, 1, 1]
    same = bars((0, 10), (0, 10))
    assert suppressed_by(same, torch.tensor([0.5, 0.5]), 1.0).tolist() == [0, 1]


@pytest.mark.parametrize(("iou_threshold", "kept"), [(0.5, [0, 1]), (0.499, [0]), (0.75, [0, 1])])
def test_an_overlap_of_exactly_the_threshold_is_allowed(iou_threshold, kept):
    boxes, scores = bars((0, 16), (0, 8)), torch.tensor([0.9, 0.8])  # IoU 1/2
    assert nms(boxes, scores, iou_threshold).tolist() == kept
    assert torchvision.ops.nms(boxes, scores, iou_threshold).tolist() == kept


def test_of_identical_boxes_the_first_stays():
    boxes, scores = bars((0, 9), (0, 9), (0, 9)), torch.tensor([0.5, 0.5, 0.5])
    assert nms(boxes, scores, 0.5).tolist() == [0]
    assert nms(boxes, scores, 1.0).tolist() == [0, 1, 2]


def test_nms_of_nothing_and_of_one(device):
    kept = nms(NO_BOXES.to(device), NO_SCORES.to(device), 0.5)
    assert kept.shape == (0,)
    assert kept.dtype == torch.int64
    one = nms(bars((0, 9)).to(device), torch.tensor([0.1], device=device), 0.5)
    assert one.tolist() == [0]
    assert one.device.type == device.type


@pytest.mark.parametrize("iou_threshold", THRESHOLDS)
def test_separated_classes_are_torchvisions_batched_nms(iou_threshold):
    generator = torch.Generator().manual_seed(1)
    corner = torch.rand(80, 2, generator=generator) * 40
    boxes = torch.cat([corner, corner + 5 + torch.rand(80, 2, generator=generator) * 20], dim=1)
    scores, labels = (
        torch.rand(80, generator=generator),
        torch.randint(1, 5, (80,), generator=generator),
    )
    expected = torchvision.ops.batched_nms(boxes, scores, labels, iou_threshold).tolist()
    assert nms_per_class(boxes, labels, scores, iou_threshold).tolist() == expected
    assert nms_per_class(boxes, labels, scores, iou_threshold, nms=nms).tolist() == expected


@given(scored_boxes, st.sampled_from(THRESHOLDS), st.integers(-40, 40))
def test_nms_per_class_is_nms_class_after_class_wherever_the_boxes_lie(pair, iou_threshold, shift):
    boxes, scores = (part.double() for part in pair)
    labels = torch.arange(len(boxes)) % 3
    kept = nms_per_class(boxes + shift, labels, scores, iou_threshold)
    assert (scores[kept].diff() <= 0).all()
    expected = []
    for label in range(3):
        rows = (labels == label).nonzero()[:, 0]
        expected += rows[nms(boxes[rows], scores[rows], iou_threshold)].tolist()
    assert sorted(kept.tolist()) == sorted(expected)


def test_nms_per_class_of_nothing():
    kept = nms_per_class(NO_BOXES, torch.zeros(0, dtype=torch.int64), NO_SCORES, 0.5)
    assert kept.shape == (0,)
    assert kept.dtype == torch.int64


def test_separate_classes_moves_classes_apart_and_leaves_each_as_it_was():
    boxes, labels = bars((0, 9), (3, 12), (0, 9), (3, 12)), torch.tensor([1, 1, 2, 2])
    iou = box_iou(separate_classes(boxes, labels), separate_classes(boxes, labels))
    assert_close(iou[:2, :2], box_iou(boxes[:2], boxes[:2]))
    assert (iou[:2, 2:] == 0).all()
    assert separate_classes(NO_BOXES, torch.zeros(0, dtype=torch.int64)).shape == (0, 4)


@given(scored_boxes, st.sampled_from([0.1, 0.5, 2.0]))
def test_soft_nms_never_raises_a_score_and_leaves_the_best(pair, sigma):
    boxes, scores = pair
    softened = soft_nms(boxes, scores, sigma)
    assert (softened <= scores).all()
    assert (softened >= 0).all()
    assert softened[scores.argmax()] == scores.max()


@given(scored_boxes, st.sampled_from([0.1, 0.5, 2.0]))
def test_soft_nms_is_the_loop_of_its_paper(pair, sigma):
    boxes, scores = (part.double() for part in pair)
    iou, left, expected = box_iou(boxes, boxes), dict(enumerate(scores.tolist())), {}
    while left:
        best = max(left, key=lambda row: (left[row], -row))
        expected[best] = left.pop(best)
        for row in left:
            left[row] *= math.exp(-(iou[best, row].item() ** 2) / sigma)
    found = soft_nms(boxes, scores, sigma)
    assert_close(found, torch.tensor([expected[row] for row in range(len(boxes))]).double())


def test_soft_nms_leaves_apart_boxes_and_its_argument_alone():
    boxes, scores = bars((0, 9), (20, 29), (0, 9)), torch.tensor([0.5, 0.4, 0.3])
    softened = soft_nms(boxes, scores)
    assert_close(softened, torch.tensor([0.5, 0.4, 0.3 * math.exp(-2)]))
    assert_close(scores, torch.tensor([0.5, 0.4, 0.3]))
    assert soft_nms(NO_BOXES, NO_SCORES).shape == (0,)


@given(scored_boxes)
def test_soft_nms_takes_every_box_once_best_first(pair):
    boxes, scores = pair
    steps = list(soft_nms_steps(boxes, scores))
    assert sorted(row for row, _ in steps) == list(range(len(boxes)))
    before = scores
    for number, (row, after) in enumerate(steps):
        taken = [earlier for earlier, _ in steps[: number + 1]]
        waiting = [other for other in range(len(boxes)) if other not in taken]
        assert all(before[row] >= before[other] for other in waiting)
        assert_close(after[taken], before[taken])
        before = after
    assert_close(before, soft_nms(boxes, scores))


def test_soft_nms_takes_every_box_once_also_where_scores_are_0():
    boxes, scores = bars((0, 9), (20, 29), (40, 49)), torch.tensor([0.0, 0.5, 0.0])
    assert [row for row, _ in soft_nms_steps(boxes, scores)] == [1, 0, 2]


@pytest.mark.parametrize("sigma", [0.0, -1.0])
def test_soft_nms_refuses_a_sigma_that_divides_by_nothing(sigma):
    with pytest.raises(ValueError, match=f"want sigma > 0, got {sigma}"):
        soft_nms(bars((0, 9)), torch.tensor([0.5]), sigma)


def test_negative_corners_reach_into_no_other_class():
    """Moved by boxes.max() + 1 alone, class 2 would lie on class 1."""
    boxes = torch.tensor([[0.0, 0.0, 12.0, 10.0], [-13.0, -11.0, -1.0, -1.0]])
    labels = torch.tensor([1, 2])
    apart = separate_classes(boxes, labels)
    assert (box_iou(apart[:1], apart[1:]) == 0).all()
    assert nms_per_class(boxes, labels, torch.tensor([0.9, 0.8]), 0.0).tolist() == [0, 1]
    everywhere = torch.tensor([[-30.0, -30.0, 2.0, 1.0], [-30.0, -20.0, 3.0, 2.0]])
    assert nms_per_class(everywhere, labels, torch.tensor([0.9, 0.8]), 0.0).tolist() == [0, 1]


@pytest.mark.parametrize(("threshold", "count"), [(0.5, 0), (0.499, 1)])
def test_after_soft_nms_a_score_must_be_above_the_threshold_too(threshold, count):
    raw = {
        "boxes": bars((0, 9), (30, 39)),
        "labels": torch.tensor([1, 1]),
        "scores": torch.tensor([0.5, 0.25]),
    }
    assert len(suppress(raw, score_threshold=threshold, soft_sigma=0.5)["scores"]) == count


def test_at_threshold_0_soft_nms_drops_what_has_no_score_left():
    raw = {
        "boxes": bars((0, 9), (0, 9)),
        "labels": torch.tensor([1, 1]),
        "scores": torch.tensor([0.5, 0.25]),
    }
    found = suppress(raw, score_threshold=0.0, soft_sigma=1e-3)  # exp(-1000) is 0
    assert_close(found["scores"], torch.tensor([0.5]))


LABELS = torch.tensor([1, 2, 1])
CALLS = {
    "nms": lambda boxes, scores, labels: nms(boxes, scores, 0.5),
    "suppressed_by": lambda boxes, scores, labels: suppressed_by(boxes, scores, 0.5),
    "nms_per_class": lambda boxes, scores, labels: nms_per_class(boxes, labels, scores, 0.5),
    "soft_nms": lambda boxes, scores, labels: soft_nms(boxes, scores),
    "soft_nms_steps": lambda boxes, scores, labels: list(soft_nms_steps(boxes, scores)),
    "suppress": lambda boxes, scores, labels: suppress(
        {"boxes": boxes, "labels": labels, "scores": scores}
    ),
    "suppress, soft": lambda boxes, scores, labels: suppress(
        {"boxes": boxes, "labels": labels, "scores": scores}, soft_sigma=0.5
    ),
    "suppress, across classes": lambda boxes, scores, labels: suppress(
        {"boxes": boxes, "labels": labels, "scores": scores}, per_class=False
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_does_not_fit_together_is_refused_with_its_shapes(name, no_shape_checks):
    boxes, scores = bars((0, 9), (3, 12), (20, 29)), torch.tensor([0.9, 0.8, 0.7])
    CALLS[name](boxes, scores, LABELS)
    for wrong in (scores[:2], scores[:1], torch.rand(4), scores[:, None]):
        with pytest.raises(ValueError, match=r"boxes \[3, 4\].*scores \[" + str(len(wrong))):
            CALLS[name](boxes, wrong, LABELS)
    with pytest.raises(ValueError, match=r"boxes \[3, 5\]"):
        CALLS[name](torch.rand(3, 5), scores, LABELS)


@pytest.mark.parametrize("name", [name for name in CALLS if "per_class" in name or "," in name])
def test_labels_that_do_not_fit_are_refused_with_their_shape(name, no_shape_checks):
    boxes, scores = bars((0, 9), (3, 12), (20, 29)), torch.tensor([0.9, 0.8, 0.7])
    for wrong in (LABELS[:2], LABELS[:1]):  # a single one, torch would repeat
        with pytest.raises(ValueError, match=rf"boxes \[3, 4\].*labels \[{len(wrong)}\]"):
            CALLS[name](boxes, scores, wrong)


@pytest.mark.parametrize("name", CALLS)
def test_numbers_that_are_none_are_refused_with_their_row(name):
    boxes, scores = bars((0, 9), (3, 12), (20, 29)), torch.tensor([0.9, 0.8, 0.7])
    nan = torch.tensor([0.9, math.nan, 0.7])
    with pytest.raises(ValueError, match=r"row 1 is .*scores nan"):
        CALLS[name](boxes, nan, LABELS)
    for row in ([0.0, 0.0, math.nan, 8.0], [0.0, 0.0, math.inf, 8.0], [9.0, 0.0, 3.0, 8.0]):
        with pytest.raises(ValueError, match=r"want finite numbers, x2 >= x1 and .*; row 2 is"):
            CALLS[name](torch.cat([boxes[:2], torch.tensor([row])]), scores, LABELS)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_iou_thresholds_outside_0_to_1_are_refused(value):
    boxes, scores, labels = bars((0, 9)), torch.tensor([0.5]), torch.tensor([1])
    raw = {"boxes": boxes, "labels": labels, "scores": scores}
    for call in (
        lambda: nms(boxes, scores, value),
        lambda: suppressed_by(boxes, scores, value),
        lambda: nms_per_class(boxes, labels, scores, value),
        lambda: suppress(raw, iou_threshold=value),
    ):
        with pytest.raises(ValueError, match=f"iou_threshold lies between 0 and 1, got {value}"):
            call()


def test_what_would_be_cut_off_from_behind_or_raised_is_refused():
    raw = {"boxes": bars((0, 9)), "labels": torch.tensor([1]), "scores": torch.tensor([0.5])}
    with pytest.raises(ValueError, match="want a finite max_detections >= 0, got -1"):
        suppress(raw, max_detections=-1)
    with pytest.raises(ValueError, match=r"got 1\.5"):
        suppress(raw, score_threshold=1.5)
    with pytest.raises(ValueError, match="want scores >= 0, got"):
        soft_nms(bars((0, 9), (0, 9)), torch.tensor([-0.5, -2.0]))


def test_boxes_without_area_are_allowed():
    boxes = bars((0, 0), (5, 9), (9, 9))
    assert nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.0).tolist() == [0, 1, 2]
