"""Geometry of boxes against torchvision, against algebra, and at its edges."""

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from detlab.boxes import (
    box_area,
    box_iou,
    clip_boxes,
    cxcywh_to_xyxy,
    intersection_area,
    normalise_boxes,
    paired_giou,
    paired_iou,
    scale_boxes,
    union_area,
    xywh_to_xyxy,
    xyxy_to_cxcywh,
    xyxy_to_xywh,
)

NO_BOXES = torch.zeros(0, 4)
CONVERSIONS = [
    (xyxy_to_cxcywh, "xyxy", "cxcywh"),
    (cxcywh_to_xyxy, "cxcywh", "xyxy"),
    (xyxy_to_xywh, "xyxy", "xywh"),
    (xywh_to_xyxy, "xywh", "xyxy"),
]
sides = st.integers(1, 200)
corners = st.integers(-100, 300)
box_lists = st.lists(st.tuples(corners, corners, sides, sides), min_size=1, max_size=8).map(
    lambda rows: xywh_to_xyxy(torch.tensor(rows, dtype=torch.float32))
)


def random_boxes(count, dtype=torch.float32, device=None):
    """Boxes of all sizes in and around a picture of 100 pixels."""
    corner = torch.rand(count, 2, dtype=dtype, device=device) * 100 - 10
    size = torch.rand(count, 2, dtype=dtype, device=device) * 60 + 0.1
    return torch.cat([corner, corner + size], dim=1)


@pytest.mark.parametrize(("convert", "old", "new"), CONVERSIONS)
def test_conversions_are_torchvisions(convert, old, new):
    boxes = torchvision.ops.box_convert(random_boxes(50), "xyxy", old)
    assert_close(convert(boxes), torchvision.ops.box_convert(boxes, old, new))
    assert convert(NO_BOXES).shape == (0, 4)


@given(box_lists)
def test_conversions_and_their_inverses_give_the_box_back(boxes):
    assert_close(cxcywh_to_xyxy(xyxy_to_cxcywh(boxes)), boxes)
    assert_close(xywh_to_xyxy(xyxy_to_xywh(boxes)), boxes)


def test_x_goes_with_width_and_y_with_height():
    boxes = torch.tensor([[50.0, 50.0, 100.0, 100.0]])
    fractions = normalise_boxes(boxes, image_size=(100, 200))
    assert_close(fractions, torch.tensor([[0.25, 0.5, 0.5, 1.0]]))
    assert normalise_boxes(NO_BOXES, (10, 10)).shape == (0, 4)


@given(box_lists, sides, sides)
def test_normalised_boxes_times_the_image_are_pixels_again(boxes, height, width):
    fractions = normalise_boxes(boxes, (height, width))
    assert_close(fractions * torch.tensor([width, height, width, height]), boxes)


def test_area_is_torchvisions():
    boxes = random_boxes(50)
    assert_close(box_area(boxes), torchvision.ops.box_area(boxes))
    assert box_area(NO_BOXES).shape == (0,)


@given(box_lists)
def test_a_box_shares_all_of_itself(boxes):
    assert_close(intersection_area(boxes, boxes).diagonal(), box_area(boxes))


def test_boxes_that_only_touch_share_nothing():
    box = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    beside = torch.tensor([[10.0, 0.0, 20.0, 10.0], [0.0, 10.0, 10.0, 20.0]])
    apart = torch.tensor([[30.0, 30.0, 40.0, 40.0]])  # both sides negative: no patch of +400
    assert_close(intersection_area(box, torch.cat([beside, apart])), torch.zeros(1, 3))


def test_iou_is_torchvisions(device):
    boxes_a, boxes_b = random_boxes(40, device=device), random_boxes(30, device=device)
    assert_close(box_iou(boxes_a, boxes_b), torchvision.ops.box_iou(boxes_a, boxes_b))


@given(box_lists, box_lists)
def test_iou_is_symmetric_and_lies_between_0_and_1(boxes_a, boxes_b):
    iou = box_iou(boxes_a, boxes_b)
    assert_close(iou, box_iou(boxes_b, boxes_a).T)
    assert (iou >= 0).all()
    assert (iou <= 1).all()
    assert_close(box_iou(boxes_a, boxes_a).diagonal(), torch.ones(len(boxes_a)))


@given(box_lists, box_lists, corners, sides)
def test_iou_does_not_change_when_the_picture_moves_or_grows(boxes_a, boxes_b, shift, scale):
    iou = box_iou(boxes_a.double(), boxes_b.double())
    moved = box_iou(boxes_a.double() * scale + shift, boxes_b.double() * scale + shift)
    assert_close(moved, iou)


@given(box_lists, box_lists)
def test_union_is_what_iou_divides_by(boxes_a, boxes_b):
    union = union_area(boxes_a, boxes_b)
    assert_close(box_iou(boxes_a, boxes_b), intersection_area(boxes_a, boxes_b) / union)
    assert (union >= box_area(boxes_a)[:, None]).all()
    assert (union >= box_area(boxes_b)[None]).all()


def test_a_pixel_that_either_box_covers_counts_once():
    boxes = torch.tensor([[0.0, 0.0, 6.0, 4.0], [2.0, 1.0, 9.0, 3.0], [7.0, 5.0, 9.0, 9.0]])
    covered = torch.zeros(3, 10, 10, dtype=torch.bool)
    for row, (x1, y1, x2, y2) in enumerate(boxes.int().tolist()):
        covered[row, y1:y2, x1:x2] = True
    together = covered[:, None] | covered[None]
    assert_close(union_area(boxes, boxes), together.sum(dim=(2, 3)).float())
    assert union_area(NO_BOXES, boxes).shape == (0, 3)


def test_paired_iou_is_the_diagonal():
    a, b = random_boxes(40), random_boxes(40)
    assert_close(paired_iou(a, b), torchvision.ops.box_iou(a, b).diagonal())
    assert paired_iou(NO_BOXES, NO_BOXES).shape == (0,)
    assert paired_iou(torch.zeros(1, 4), torch.zeros(1, 4)).item() == 0


def test_iou_of_empty_lists_keeps_its_shape():
    boxes = random_boxes(3)
    assert box_iou(NO_BOXES, boxes).shape == (0, 3)
    assert box_iou(boxes, NO_BOXES).shape == (3, 0)
    assert box_iou(NO_BOXES, NO_BOXES).shape == (0, 0)


def test_boxes_without_area_overlap_nothing():
    points = torch.tensor([[5.0, 5.0, 5.0, 5.0], [5.0, 5.0, 5.0, 9.0]])
    assert_close(box_iou(points, points), torch.zeros(2, 2))
    assert box_iou(points, torch.tensor([[0.0, 0.0, 10.0, 10.0]])).sum() == 0


def test_giou_is_torchvisions(device):
    boxes_a, boxes_b = random_boxes(60, device=device), random_boxes(60, device=device)
    expected = torchvision.ops.generalized_box_iou(boxes_a, boxes_b).diagonal()
    assert_close(paired_giou(boxes_a, boxes_b), expected)


@given(box_lists)
def test_giou_is_symmetric_and_never_above_iou(boxes):
    others = boxes.flip(dims=[0])
    giou = paired_giou(boxes, others)
    assert_close(giou, paired_giou(others, boxes))
    assert (giou <= box_iou(boxes, others).diagonal() + 1e-6).all()
    assert (giou >= -1).all()
    assert_close(paired_giou(boxes, boxes), torch.ones(len(boxes)))


def test_giou_pulls_boxes_that_do_not_touch():
    box = torch.tensor([[0.0, 0.0, 10.0, 10.0]], requires_grad=True)
    goal = torch.tensor([[30.0, 0.0, 40.0, 10.0]])
    paired_giou(box, goal).sum().backward()
    assert box.grad[0, 2] > 0  # its right side should move right, towards the goal
    assert box.grad.isfinite().all()


def test_giou_of_no_pairs_and_of_boxes_without_area_is_finite():
    assert paired_giou(NO_BOXES, NO_BOXES).shape == (0,)
    point = torch.zeros(1, 4)
    assert paired_giou(point, point).isfinite().all()


@given(box_lists, sides, sides)
def test_clipping_is_torchvisions_and_clips_only_once(boxes, height, width):
    clipped = clip_boxes(boxes, (height, width))
    assert_close(clipped, torchvision.ops.clip_boxes_to_image(boxes, (height, width)))
    assert_close(clip_boxes(clipped, (height, width)), clipped)


def test_clipping_leaves_what_is_inside_and_what_is_empty():
    inside = torch.tensor([[0.0, 0.0, 30.0, 60.0]])
    assert_close(clip_boxes(inside, (60, 30)), inside)
    assert clip_boxes(NO_BOXES, (60, 30)).shape == (0, 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_everything_stays_on_its_device_in_its_dtype(device, dtype):
    boxes = random_boxes(4, dtype, device)
    results = [convert(boxes) for convert, _, _ in CONVERSIONS]
    results += [box_area(boxes), box_iou(boxes, boxes), intersection_area(boxes, boxes)]
    results += [
        paired_giou(boxes, boxes),
        clip_boxes(boxes, (9, 9)),
        normalise_boxes(boxes, (9, 9)),
    ]
    assert all(result.dtype == dtype for result in results)
    assert all(result.device.type == device.type for result in results)


def test_arguments_are_left_as_they_were():
    boxes = random_boxes(5)
    before = boxes.clone()
    clip_boxes(boxes, (9, 9)), box_iou(boxes, boxes), paired_giou(boxes, boxes)
    normalise_boxes(boxes, (9, 9)), xyxy_to_xywh(boxes), xywh_to_xyxy(boxes)
    assert_close(boxes, before)


@given(box_lists, *[st.tuples(st.integers(1, 99), st.integers(1, 99))] * 2)
def test_scaling_there_and_back_gives_the_boxes_back(boxes, size, wanted):
    boxes = boxes.double()
    assert_close(scale_boxes(scale_boxes(boxes, size, wanted), wanted, size), boxes)


def test_boxes_scale_with_the_sides_of_their_picture():
    whole = torch.tensor([[0.0, 0.0, 20.0, 10.0]])  # width 20, height 10
    assert_close(scale_boxes(whole, (10, 20), (70, 40)), torch.tensor([[0.0, 0.0, 40.0, 70.0]]))
    assert scale_boxes(NO_BOXES, (10, 20), (70, 40)).shape == (0, 4)


@pytest.mark.parametrize("paired", [paired_iou, paired_giou])
def test_pairs_are_not_made_by_repeating_a_box(paired, no_shape_checks):
    with pytest.raises(ValueError, match=r"boxes_a \[3, 4\], boxes_b \[1, 4\]"):
        paired(torch.rand(3, 4), torch.rand(1, 4))
