"""Anchors against torchvision's generator, deltas against its BoxCoder."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

from detlab.boxes import box_area, xywh_to_xyxy, xyxy_to_cxcywh
from detlab.detector.anchors import (
    MAX_STRETCH,
    anchor_grid,
    anchor_shapes,
    decode_deltas,
    encode_boxes,
    grid_centres,
    pyramid_anchors,
    window_boxes,
)

WEIGHTS = (10.0, 10.0, 5.0, 5.0)
CPU = torch.device("cpu")
numbers = st.integers(1, 300)
pairs = st.lists(st.tuples(*[numbers] * 8), min_size=1, max_size=6).map(
    lambda rows: xywh_to_xyxy(torch.tensor(rows, dtype=torch.float64).reshape(-1, 4)).chunk(2)
)


@given(st.floats(1, 500), st.floats(0.1, 10))
def test_a_shape_has_the_area_of_its_size_and_the_form_of_its_ratio(size, ratio):
    ((width, height),) = anchor_shapes([size], [ratio]).tolist()
    assert width * height == pytest.approx(size**2, rel=1e-4)
    assert height / width == pytest.approx(ratio, rel=1e-4)


def test_shapes_come_size_by_size():
    shapes = anchor_shapes([8.0, 16.0], [1.0, 4.0])
    assert_close(shapes, torch.tensor([[8.0, 8.0], [4.0, 16.0], [16.0, 16.0], [8.0, 32.0]]))


def test_centres_run_row_by_row_and_x_comes_first():
    centres = grid_centres((2, 3), stride=10)
    expected = [[5.0, 5.0], [15.0, 5.0], [25.0, 5.0], [5.0, 15.0], [15.0, 15.0], [25.0, 15.0]]
    assert_close(centres, torch.tensor(expected))


@pytest.mark.parametrize("feature_size", [(1, 1), (3, 5), (5, 3)])
def test_anchors_are_torchvisions_moved_by_half_a_stride(feature_size):
    height, width = feature_size
    sizes, ratios = ((32.0, 40.0), (64.0, 80.0)), (0.5, 1.0, 2.0)
    maps = [torch.zeros(1, 8, 2 * height, 2 * width), torch.zeros(1, 8, height, width)]
    images = ImageList(torch.zeros(1, 3, height * 16, width * 16), [(height * 16, width * 16)])
    theirs = AnchorGenerator(sizes, (ratios, ratios))
    # They round corners to whole pixels and count a ratio's sizes first; ours stay exact.
    theirs.cell_anchors = [
        torch.cat([-shapes / 2, shapes / 2], dim=1)
        for shapes in (anchor_shapes(level, ratios) for level in sizes)
    ]
    finest = 2 * height * 2 * width * 6
    expected = theirs(images, maps)[0]
    expected[:finest] += 4.0
    expected[finest:] += 8.0
    ours = pyramid_anchors(((2 * height, 2 * width), feature_size), sizes, ratios, CPU)
    assert_close(ours, expected)


def test_shapes_are_torchvisions_before_it_rounds():
    theirs = AnchorGenerator().generate_anchors([32, 45], [0.5, 1.0, 2.0])  # [ratio, size]
    ours = anchor_shapes([32.0, 45.0], [0.5, 1.0, 2.0]).reshape(2, 3, 2).transpose(0, 1)
    assert_close(theirs[:, 2:] * 2, ours.reshape(-1, 2), atol=1.0, rtol=0)


@given(st.integers(1, 6), st.integers(1, 6), st.sampled_from([4, 8, 16]))
def test_every_anchor_sits_on_the_centre_of_its_cell(height, width, stride):
    shapes = torch.tensor([[8.0, 4.0], [10.0, 30.0]])
    grid = xyxy_to_cxcywh(anchor_grid((height, width), stride, shapes))
    grid = grid.reshape(height, width, 2, 4)
    for row in range(height):
        for column in range(width):
            centre = torch.tensor([(column + 0.5) * stride, (row + 0.5) * stride])
            assert_close(grid[row, column, :, :2], centre.expand(2, 2))
            assert_close(grid[row, column, :, 2:], shapes)


def test_no_cells_and_no_shapes_make_no_anchors():
    assert anchor_grid((0, 3), 8, torch.ones(1, 2)).shape == (0, 4)
    assert anchor_grid((2, 3), 8, torch.ones(0, 2)).shape == (0, 4)


def test_the_pyramid_has_a_size_list_for_each_map():
    with pytest.raises(ValueError, match="zip"):
        pyramid_anchors(((2, 2),), ((8.0,), (16.0,)), (1.0,), CPU)


def test_a_grid_of_your_own_is_asked_for_every_level():
    asked = []

    def grid(feature_size, stride, shapes):
        asked.append((feature_size, stride, shapes.tolist()))
        return torch.full((1, 4), float(stride))

    anchors = pyramid_anchors(((2, 3), (1, 2)), ((8.0,), (12.0,)), (1.0,), CPU, grid)
    assert asked == [((2, 3), 8, [[8.0, 8.0]]), ((1, 2), 16, [[12.0, 12.0]])]
    assert anchors.tolist() == [[8.0] * 4, [16.0] * 4]


def test_pyramid_anchors_lie_on_the_device_asked_for(device):
    assert pyramid_anchors(((2, 2),), ((8.0,),), (1.0,), device).device.type == device.type


@pytest.mark.parametrize(
    ("image_size", "window", "stride"), [((20, 30), (8, 6), 5), ((9, 7), (9, 7), 3)]
)
def test_windows_are_the_crops_that_unfold_takes(image_size, window, stride):
    height, width = image_size
    image = torch.arange(height * width).view(height, width)
    crops = image.unfold(0, window[0], stride).unfold(1, window[1], stride).reshape(-1, *window)
    boxes = window_boxes(image_size, window, stride)
    assert len(boxes) == len(crops)
    for (x1, y1, x2, y2), crop in zip(boxes.long().tolist(), crops, strict=True):
        assert torch.equal(image[y1:y2, x1:x2], crop)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 50), st.integers(1, 12))
def test_every_window_lies_in_the_image_and_one_more_would_not(height, width, side, stride):
    if side > min(height, width):
        with pytest.raises(ValueError, match=f"want a window .*: \\({side}, {side}\\)"):
            window_boxes((height, width), (side, side), stride)
        return
    boxes = window_boxes((height, width), (side, side), stride)
    x2, y2 = boxes[:, 2].max(), boxes[:, 3].max()
    assert x2 <= width < x2 + stride
    assert y2 <= height < y2 + stride


@pytest.mark.parametrize(("window", "stride"), [((0, 4), 1), ((4, 4), 0)])
def test_a_window_without_size_or_step_is_refused(window, stride):
    with pytest.raises(ValueError, match="want a"):
        window_boxes((8, 8), window, stride)


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), WEIGHTS])
def test_deltas_are_torchvisions(weights, device):
    gt_boxes = xywh_to_xyxy(torch.rand(40, 4, device=device) * 50 + 1)
    anchors = xywh_to_xyxy(torch.rand(40, 4, device=device) * 50 + 1)
    coder = BoxCoder(weights)
    deltas = encode_boxes(gt_boxes, anchors, weights)
    assert_close(deltas, coder.encode_single(gt_boxes, anchors), atol=1e-5, rtol=1e-4)
    wild = torch.randn(40, 4, device=device) * 5  # beyond the clamp, too
    decoded = decode_deltas(wild, anchors, weights)
    assert_close(decoded, coder.decode_single(wild, anchors), atol=1e-3, rtol=1e-4)


@given(pairs, st.sampled_from([(1.0, 1.0, 1.0, 1.0), WEIGHTS]))
def test_decoding_an_encoded_box_gives_it_back(pair, weights):
    gt_boxes, anchors = pair
    # What grows more than the clamp allows cannot come back.
    growth = (xyxy_to_cxcywh(gt_boxes) / xyxy_to_cxcywh(anchors))[:, 2:]
    rows = (growth < 62).all(dim=1)
    decoded = decode_deltas(encode_boxes(gt_boxes, anchors, weights), anchors, weights)
    assert_close(decoded[rows], gt_boxes[rows])


@given(pairs)
def test_an_anchor_that_is_its_box_has_nothing_to_do(pair):
    _, anchors = pair
    assert_close(encode_boxes(anchors, anchors), torch.zeros_like(anchors))


def test_x_deltas_count_anchor_widths_and_y_deltas_heights():
    anchor = torch.tensor([[0.0, 0.0, 10.0, 40.0]])
    moved = torch.tensor([[10.0, 10.0, 20.0, 50.0]])
    assert_close(encode_boxes(moved, anchor), torch.tensor([[1.0, 0.25, 0.0, 0.0]]))
    wider = torch.tensor([[-5.0, 10.0, 15.0, 30.0]])
    log2 = math.log(2)
    assert_close(encode_boxes(wider, anchor), torch.tensor([[0.0, 0.0, log2, -log2]]))


def test_a_decoded_box_cannot_overflow():
    anchor = torch.tensor([[0.0, 0.0, 16.0, 16.0]])
    box = decode_deltas(torch.tensor([[0.0, 0.0, 1000.0, 1000.0]]), anchor)
    assert_close(box, torch.tensor([[-492.0, -492.0, 508.0, 508.0]]))
    just_below = decode_deltas(torch.full((1, 4), MAX_STRETCH - 0.01), anchor)
    assert (box_area(just_below) < box_area(box)).all()


def test_no_boxes_have_no_deltas():
    none = torch.zeros(0, 4)
    assert encode_boxes(none, none).shape == (0, 4)
    assert decode_deltas(none, none).shape == (0, 4)


@pytest.mark.parametrize("convert", [encode_boxes, decode_deltas])
@pytest.mark.parametrize(("count", "anchors"), [(3, 1), (1, 3), (2, 3)])
def test_deltas_are_made_of_as_many_anchors(convert, count, anchors, no_shape_checks):
    with pytest.raises(ValueError, match=rf"\[{count}, 4\], anchors \[{anchors}, 4\]"):
        convert(torch.rand(count, 4), torch.rand(anchors, 4))
