"""Which anchor answers for which object: thresholds, their edges, the forced best match."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close
from torchvision.models.detection._utils import Matcher

from detlab.boxes import box_iou, xywh_to_xyxy
from detlab.detector.matching import IGNORED, NEGATIVE, free_best_anchors, match_anchors

NO_OBJECTS = torch.zeros(0, 4)
box_lists = st.lists(
    st.tuples(*[st.integers(0, 60)] * 2, *[st.integers(1, 40)] * 2), min_size=1, max_size=8
).map(lambda rows: xywh_to_xyxy(torch.tensor(rows, dtype=torch.float32)))


def squares(*corners):
    """Boxes of 10 pixels with their corners at (c, 0)."""
    return torch.tensor([[corner, 0.0, corner + 10.0, 10.0] for corner in corners])


def bars(*widths):
    """Boxes 16 pixels high, with their corners at (0, 0); of two, IoU is width by width."""
    return torch.tensor([[0.0, 0.0, width, 16.0] for width in widths])


@pytest.mark.parametrize(
    ("shift", "expected"), [(1.0, 0), (2.2, 0), (4.0, IGNORED), (6.0, NEGATIVE)]
)
def test_overlap_decides(shift, expected):
    anchors = torch.cat([squares(0.0), squares(shift)])
    assert match_anchors(anchors, squares(0.0))[1] == expected


@pytest.mark.parametrize(
    ("width", "expected"),
    [(8.0, 0), (7.99, IGNORED), (4.0, IGNORED), (3.99, NEGATIVE)],  # of 16: IoU 1/2 and 1/4
)
def test_a_threshold_itself_belongs_to_the_better_side(width, expected):
    matches = match_anchors(bars(16.0, width), bars(16.0), positive_iou=0.5, negative_iou=0.25)
    assert matches.tolist() == [0, expected]


def test_without_an_ignored_zone_every_anchor_counts():
    anchors = bars(*[float(width) for width in range(1, 17)])
    matches = match_anchors(anchors, bars(16.0), positive_iou=0.5, negative_iou=0.5)
    assert matches.tolist() == [NEGATIVE] * 7 + [0] * 9


def test_an_anchor_takes_the_object_that_it_overlaps_most():
    assert match_anchors(squares(2.0, 21.0), squares(0.0, 20.0)).tolist() == [0, 1]
    assert match_anchors(squares(2.0), squares(4.0, 1.0)[:1]).tolist() == [0]


def test_the_best_anchor_answers_however_little_it_overlaps():
    anchors = squares(0.0, 50.0)
    assert match_anchors(anchors, squares(9.0)).tolist() == [0, NEGATIVE]
    without = match_anchors(anchors, squares(9.0), force_best=False)
    assert without.tolist() == [NEGATIVE, NEGATIVE]


def test_your_own_measure_of_overlap_really_is_used():
    def far_is_near(anchors, gt_boxes):
        return 1 - box_iou(anchors, gt_boxes)

    matches = match_anchors(squares(0.0, 50.0), squares(0.0), iou=far_is_near)
    assert matches.tolist() == [NEGATIVE, 0]


def test_two_objects_that_share_a_best_anchor_both_get_one():
    """The shorter `matches[iou.argmax(dim=0)] = arange(M)` loses one of them here."""
    anchors = squares(0.0, 8.0, 50.0)
    objects = squares(1.0, 2.0)  # the first anchor is the best of both
    assert (box_iou(anchors, objects).argmax(dim=0) == 0).all()
    assert match_anchors(anchors, objects).tolist() == [0, 1, NEGATIVE]


def test_the_better_pair_keeps_the_shared_anchor_whatever_the_order():
    anchors = squares(0.0, 8.0, 50.0)
    assert match_anchors(anchors, squares(2.0, 1.0)).tolist() == [1, 0, NEGATIVE]


def test_a_forced_anchor_leaves_the_object_that_it_would_have_chosen():
    """torchvision's Matcher leaves it with its own favourite, and the other object with nobody."""
    anchors, objects = squares(2.0, 4.0, 50.0), squares(1.0, -5.0)
    iou = box_iou(anchors, objects)
    assert iou.argmax(dim=1)[:2].tolist() == [0, 0]  # the favourite of both anchors
    theirs = Matcher(0.5, 0.4, allow_low_quality_matches=True)(iou.T)
    assert theirs.tolist() == [0, 0, NEGATIVE]
    assert match_anchors(anchors, objects).tolist() == [0, 1, NEGATIVE]


def test_more_objects_than_anchors_fill_every_anchor_with_its_own_object():
    matches = match_anchors(squares(0.0, 20.0), squares(1.0, 0.0, 21.0, 2.0))
    assert matches.tolist() == [1, 2]


def test_the_same_object_twice_gets_two_anchors():
    assert sorted(match_anchors(squares(0.0, 3.0), squares(0.0, 0.0)).tolist()) == [0, 1]


def test_nothing_to_match_is_all_negative(device):
    matches = match_anchors(squares(0.0, 20.0).to(device), NO_OBJECTS.to(device))
    assert matches.tolist() == [NEGATIVE, NEGATIVE]
    assert matches.dtype == torch.int64
    assert matches.device.type == device.type


def test_no_anchors_make_no_matches():
    assert match_anchors(NO_OBJECTS, squares(0.0)).shape == (0,)
    assert match_anchors(NO_OBJECTS, NO_OBJECTS).shape == (0,)


@pytest.mark.parametrize(("positive", "negative"), [(0.4, 0.5), (1.1, 0.4), (0.5, -0.1)])
def test_thresholds_in_the_wrong_order_are_refused(positive, negative):
    with pytest.raises(ValueError, match=f"got {negative} and {positive}"):
        match_anchors(squares(0.0), squares(0.0), positive, negative)


@given(box_lists, box_lists)
def test_without_force_the_matches_are_torchvisions(anchors, gt_boxes):
    theirs = Matcher(0.5, 0.25)(box_iou(gt_boxes, anchors))
    assert_close(match_anchors(anchors, gt_boxes, 0.5, 0.25, force_best=False), theirs)


@given(box_lists, box_lists)
def test_no_object_is_lost_while_there_are_anchors(anchors, gt_boxes):
    matches = match_anchors(anchors, gt_boxes)
    answered = set(matches[matches >= 0].tolist())
    assert len(answered) >= min(len(anchors), len(gt_boxes))


@given(box_lists, box_lists)
def test_forced_pairs_are_those_of_a_greedy_search_over_all_pairs(anchors, gt_boxes):
    iou = box_iou(anchors, gt_boxes)
    left, values = iou.clone(), []
    for _ in range(min(iou.shape)):
        values.append(left.max())
        anchor, row = divmod(int(left.argmax()), iou.shape[1])
        left[anchor], left[:, row] = -1.0, -1.0
    pairs = [(int(row), int(anchor)) for row, anchor in free_best_anchors(iou)]
    rows, columns = zip(*pairs, strict=True)
    assert len(set(rows)) == len(set(columns)) == min(iou.shape)
    found = torch.stack([iou[anchor, row] for row, anchor in pairs])
    assert_close(found[0], values[0])
    assert (found.diff() <= 0).all()  # best pairs first
    if len(iou.unique()) == iou.numel():  # without ties there is one greedy answer
        assert_close(found, torch.stack(values))


@given(box_lists, box_lists)
def test_matching_leaves_its_arguments_alone(anchors, gt_boxes):
    before = anchors.clone(), gt_boxes.clone()
    match_anchors(anchors, gt_boxes)
    assert_close((anchors, gt_boxes), before)
