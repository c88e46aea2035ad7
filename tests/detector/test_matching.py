"""Which anchor answers for which object: thresholds, their edges, the forced best match."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close
from torchvision.models.detection._utils import Matcher

from detlab.boxes import box_iou, xywh_to_xyxy
from detlab.detector import matching
from detlab.detector.anchors import pyramid_anchors
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


@pytest.mark.parametrize(
    ("width", "expected"),
    [(8.0, 0), (7.9, IGNORED), (6.5, IGNORED), (6.3, NEGATIVE)],  # of 16: 0.406 and 0.394
)
def test_unasked_an_overlap_of_a_half_is_positive_and_below_0_4_negative(width, expected):
    assert match_anchors(bars(16.0, width), bars(16.0)).tolist() == [0, expected]


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
def test_matching_leaves_its_arguments_alone(anchors, gt_boxes):
    before = anchors.clone(), gt_boxes.clone()
    match_anchors(anchors, gt_boxes)
    assert_close((anchors, gt_boxes), before)


def pairs_one_by_one(iou):
    """The oracle: all pairs that overlap, best first, then the earlier object, in turn."""
    pairs = [
        (-overlap, row, anchor)
        for anchor, overlaps in enumerate(iou.tolist())
        for row, overlap in enumerate(overlaps)
        if overlap > 0
    ]
    served, taken = {}, set()
    for _, row, anchor in sorted(pairs):
        if row not in served and anchor not in taken:
            served[row] = anchor
            taken.add(anchor)
    return served


def check_pairs(iou):
    """Those that overlap are paired as one by one; the others get what is left over."""
    pairs = free_best_anchors(iou)
    assert len(pairs[:, 0].unique()) == len(pairs[:, 1].unique()) == len(pairs) == min(iou.shape)
    wanted = pairs_one_by_one(iou)
    found = {row: anchor for row, anchor in pairs.tolist() if iou[anchor, row] > 0}
    assert found.keys() == wanted.keys()
    for row, anchor in found.items():  # an object may overlap several anchors alike
        assert iou[anchor, row] == iou[wanted[row], row]


@given(box_lists, box_lists)
def test_pairs_are_those_of_a_look_at_one_after_the_other(anchors, gt_boxes):
    check_pairs(box_iou(anchors, gt_boxes))


def crowd(number, seed, side):
    """Boxes anywhere in a picture 96 pixels high and 160 wide, `side` pixels at the most."""
    generator = torch.Generator().manual_seed(seed)
    sizes = 2 + torch.rand(number, 2, generator=generator) * (side - 2)
    corners = torch.rand(number, 2, generator=generator) * (torch.tensor([160.0, 96.0]) - sizes)
    return torch.cat([corners, corners + sizes], dim=1)


GRID = pyramid_anchors(((12, 20), (6, 10)), ((16.0,), (32.0,)), (0.5, 1.0), torch.device("cpu"))


@pytest.mark.parametrize("side", [8, 60, 95])  # of 8 pixels many lie in several anchors alike
@pytest.mark.parametrize("number", [1, 40, 300, 700])  # of 600 anchors
def test_crowds_on_a_grid_are_paired_as_one_by_one(number, side):
    iou = box_iou(GRID, crowd(number, number, side)).double()
    check_pairs(iou * (1 + 1e-3 * torch.rand_like(iou)))  # none alike: there is one answer


def test_objects_that_like_the_same_anchors_are_paired_as_one_by_one():
    check_pairs(torch.rand(90, 50) + torch.rand(90, 1))
    check_pairs(torch.rand(50, 90) + torch.rand(50, 1))


@pytest.mark.parametrize("few", [1, 3])
@pytest.mark.parametrize("number", [40, 700])  # of 600 anchors
def test_objects_that_note_down_few_anchors_are_paired_as_one_by_one(number, few, monkeypatch):
    monkeypatch.setattr(matching, "FEW", few)
    iou = box_iou(GRID, crowd(number, number, 40)).double()
    check_pairs(iou * (1 + 1e-3 * torch.rand_like(iou)))
    check_pairs(box_iou(GRID, crowd(1, 3, 60).expand(80, 4)))


@given(box_lists, box_lists)
def test_of_equally_good_pairs_the_earlier_object_has_its_anchor(anchors, gt_boxes):
    iou = box_iou(anchors, gt_boxes)
    pairs = free_best_anchors(iou).tolist()
    kept = {anchor: (iou[anchor, row].item(), -row) for row, anchor in pairs}
    for row, anchor in pairs:  # nobody would rather have an anchor that would rather have it
        for other in (iou[:, row] > iou[anchor, row]).nonzero()[:, 0].tolist():
            assert kept[other] > (iou[other, row].item(), -row)


def test_an_anchor_that_is_asked_later_still_goes_to_the_earlier_object():
    iou = torch.tensor([[0.8, 0.9, 0.0], [0.5, 0.0, 0.5]])  # object 0 loses anchor 0 first
    assert sorted(free_best_anchors(iou).tolist()) == [[0, 1], [1, 0]]


def test_who_overlaps_nothing_gets_what_is_left_over():
    iou = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.7], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert sorted(free_best_anchors(iou).tolist()) == [[0, 0], [1, 2], [2, 1]]
    assert free_best_anchors(torch.zeros(0, 3)).shape == (0, 2)
    assert free_best_anchors(torch.zeros(3, 0)).shape == (0, 2)


def test_the_same_object_many_times_takes_anchor_after_anchor():
    iou = box_iou(GRID, crowd(1, 3, 60).expand(80, 4))
    check_pairs(iou)


def test_equal_overlaps_are_taken_in_the_order_of_the_objects_also_when_they_are_many():
    """An unstable sort keeps up to sixteen in their order, and no more."""
    anchors = torch.arange(200).float()[:, None] * 20 + torch.tensor([0.0, 0.0, 10.0, 10.0])
    moved = anchors + torch.tensor([1.0, 0.0, 1.0, 0.0])
    pairs = free_best_anchors(box_iou(anchors, moved))
    assert sorted(pairs.tolist()) == [[row, row] for row in range(200)]


def test_anchors_are_looked_at_in_portions_that_change_nothing(monkeypatch):
    gt_boxes = crowd(30, 5, 60)
    whole = match_anchors(GRID, gt_boxes)
    monkeypatch.setattr(matching, "AT_ONCE", 7 * len(gt_boxes))
    assert_close(match_anchors(GRID, gt_boxes), whole)


@pytest.mark.parametrize(
    "row",
    [
        [-1.0, -1.0, -1.0, -1.0],  # what fills up a table of boxes elsewhere
        [5.0, 5.0, 5.0, 9.0],
        [9.0, 0.0, 3.0, 8.0],
        [0.0, 0.0, float("nan"), 8.0],
        [0.0, 0.0, float("inf"), 8.0],
    ],
)
def test_a_box_that_is_none_is_refused_and_no_anchor_forced_on_it(row):
    boxes = torch.cat([squares(0.0), torch.tensor([row])])
    with pytest.raises(ValueError, match=r"gt_boxes: want finite .* row 1 is \["):
        match_anchors(squares(0.0, 20.0), boxes)
