"""Tiles cover the picture, nothing small is cut everywhere, and what they find is joined."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from detlab.detector.tiling import (
    OVERLAP,
    detect_in_tiles,
    is_whole,
    seen_scale,
    tile_boxes,
    tile_starts,
)
from detlab.types import Predictions

SIDES = st.integers(1, 400)
TILES = st.integers(8, 200)


@given(SIDES, TILES, st.floats(0, 0.875))  # from tile to tile it is a pixel at least
def test_tiles_cover_a_side_and_share_what_was_asked_for(length, tile, overlap):
    starts = tile_starts(length, tile, overlap)
    assert starts[0] == 0
    assert starts[-1] + tile >= length
    for one, following in pairwise(starts):
        assert one < following <= one + tile * (1 - overlap) + 1  # rounded to a pixel


@given(SIDES, SIDES, TILES)
def test_tiles_lie_in_the_picture(height, width, tile):
    boxes = tile_boxes((height, width), tile)
    assert boxes.min() >= 0
    assert (boxes[:, 2:] <= torch.tensor([width, height])).all()
    assert (
        boxes[:, 2:] - boxes[:, :2] == torch.tensor([min(width, tile), min(height, tile)])
    ).all()


@given(st.integers(50, 300), st.integers(50, 300), st.data())
def test_what_is_smaller_than_the_overlap_is_whole_somewhere(height, width, data):
    tile = data.draw(st.integers(40, 120))
    side = tile * OVERLAP - 6  # the margin on either side, and a pixel of rounding
    x = data.draw(st.floats(0, width - side))
    y = data.draw(st.floats(0, height - side))
    box = torch.tensor([[x, y, x + side, y + side]])
    tiles = tile_boxes((height, width), tile)
    inside = [t for t in tiles if (box[0, :2] >= t[:2]).all() and (box[0, 2:] <= t[2:]).all()]
    assert any(is_whole(box, t, (height, width)).item() for t in inside)


@pytest.mark.parametrize(("tile", "overlap"), [(0, 0.2), (8, 1.0), (8, -0.1)])
def test_tiles_that_lead_nowhere_are_refused(tile, overlap):
    with pytest.raises(ValueError, match="want tile >= 1"):
        tile_boxes((20, 30), tile, overlap)
    with pytest.raises(ValueError, match="want tile >= 1"):
        tile_starts(100, tile, overlap)


def test_unasked_the_next_tile_sees_a_quarter_of_a_tile_too():
    assert tile_starts(100, tile=40) == [0, 30, 60]
    assert tile_starts(104, tile=40) == [0, 21, 43, 64]  # two steps of 32 would share a fifth
    assert len(tile_boxes((100, 104), tile=40)) == 3 * 4


def finds_bright_pixels(images):
    """A detector that puts a box of 4 × 4 on every bright pixel, if it sees no more than 40."""
    batch, _, height, width = images.shape
    assert batch == 1
    rows, columns = (images[0, 0] > 200).nonzero().unbind(dim=1)
    if max(height, width) > 64:  # too far away to see anything
        rows = columns = rows[:0]
    centres = torch.stack([columns, rows], dim=1).float() + 0.5
    anchors = torch.cat([centres - 2, centres + 2], dim=1)
    logits = torch.full((1, len(anchors), 2), 4.0)
    logits[:, :, 0] = -9.0
    return Predictions(logits, torch.zeros(1, len(anchors), 4), anchors)


def starry(*places, size=(70, 150)):
    image = torch.zeros(3, *size, dtype=torch.uint8)
    for x, y in places:
        image[:, y, x] = 255
    return image


def test_what_is_too_small_for_the_whole_picture_is_found_in_a_tile_once():
    places = [(10, 20), (75, 35), (140, 60)]
    found = detect_in_tiles(finds_bright_pixels, starry(*places), None, tile=64)
    expected = torch.tensor([[x - 1.5, y - 1.5, x + 2.5, y + 2.5] for x, y in places])
    order = found["boxes"][:, 0].argsort()
    assert_close(found["boxes"][order], expected)
    assert found["labels"].tolist() == [1, 1, 1]


def test_without_tiles_it_would_be_missed():
    found = detect_in_tiles(finds_bright_pixels, starry((10, 20)), None, tile=200)
    assert len(found["boxes"]) == 0  # one tile, as large as the picture


def counted(detector):
    """The same detector, and a list that grows with each call."""
    calls = []
    return lambda images: (calls.append(tuple(images.shape[2:])), detector(images))[1], calls


@pytest.mark.parametrize(("tile", "looks"), [(150, 1), (64, 1 + 2 * 3)])
def test_a_picture_of_one_tile_is_looked_at_once(tile, looks):
    detector, calls = counted(finds_bright_pixels)
    detect_in_tiles(detector, starry((10, 20)), None, tile)
    assert len(calls) == looks


def test_picture_and_tiles_are_scaled_to_the_size_of_the_network():
    detector, calls = counted(finds_bright_pixels)
    detect_in_tiles(detector, starry((10, 20)), 128, tile=64)
    assert len(set(calls[1:])) == 1
    assert max(calls[0]) == max(calls[1]) == 128


def two_names_for_each(images):
    """The same boxes, each with two classes, the second a little less sure."""
    seen = finds_bright_pixels(images)
    third = seen.logits[:, :, 1:] - 0.5
    return seen._replace(logits=torch.cat([seen.logits, third], dim=2))


def test_options_hold_where_the_parts_are_joined_too():
    image = starry((10, 20))
    both = detect_in_tiles(two_names_for_each, image, None, tile=64)
    one = detect_in_tiles(two_names_for_each, image, None, tile=64, per_class=False)
    assert (sorted(both["labels"].tolist()), one["labels"].tolist()) == ([1, 2], [1])
    mine = {"nms": lambda boxes, scores, iou_threshold: torch.arange(0), "max_candidates": 9}
    assert len(detect_in_tiles(two_names_for_each, image, None, tile=64, **mine)["boxes"]) == 0


def another_name_on_the_right(images):
    """The same boxes, of class 1 in the left half of what is seen and of class 2 in the right."""
    seen = finds_bright_pixels(images)
    right = seen.anchors[:, 0] > images.shape[3] / 2
    logits = torch.full((1, len(right), 3), -9.0)
    logits[0, torch.arange(len(right)), 1 + right.long()] = 4.0
    return seen._replace(logits=logits)


def test_classes_of_two_tiles_suppress_each_other_where_that_is_wanted():
    image = starry((53, 20))  # on the right of the first tile and on the left of the second
    both = detect_in_tiles(another_name_on_the_right, image, None, tile=64)
    one = detect_in_tiles(another_name_on_the_right, image, None, tile=64, per_class=False)
    assert (sorted(both["labels"].tolist()), len(one["labels"])) == ([1, 2], 1)


def test_soft_nms_lowers_a_score_once():
    image = starry((10, 20), (12, 20))  # boxes of 4 × 4 that share half: IoU 1/3
    found = detect_in_tiles(finds_bright_pixels, image, None, tile=64, soft_sigma=0.5)
    sure = torch.tensor(4.0).sigmoid()
    lowered = sure * torch.exp(torch.tensor(-((1 / 3) ** 2) / 0.5))
    assert_close(found["scores"], torch.stack([sure, lowered]))


def test_at_most_so_many_stay_the_best_first():
    places = [(x, 20) for x in range(8, 140, 12)]
    found = detect_in_tiles(finds_bright_pixels, starry(*places), None, tile=64, max_detections=4)
    assert len(found["boxes"]) == 4


def test_a_box_at_an_inner_edge_is_left_to_the_next_tile():
    size, tile = (40, 70), torch.tensor([0.0, 0.0, 40.0, 40.0])
    boxes = torch.tensor([[0.0, 0.0, 20.0, 40.0], [20.0, 5.0, 38.5, 30.0], [20.0, 5.0, 38.0, 30.0]])
    assert is_whole(boxes, tile, size).tolist() == [True, False, True]


def says_a_box(box):
    """A detector that says one box, in pixels that the network sees, of pictures 64 pixels wide."""

    def detector(images):
        anchors = torch.tensor([box])
        logits = torch.tensor([[[-9.0, 4.0]]])
        if images.shape[2] != images.shape[3]:  # the whole picture: nothing
            logits = -logits.abs()
        return Predictions(logits, torch.zeros(1, 1, 4), anchors)

    return detector


@pytest.mark.parametrize(
    ("right", "tile", "found"),
    [
        (61.0, 64, True),  # three pixels of the network before the inner edge
        (63.0, 64, False),
        (61.0, 512, True),  # 24 pixels of the picture, as many of the network
        (63.0, 512, False),  # 8 pixels of the picture: one of the network
        (63.0, 16, False),  # a quarter of a pixel of the picture, one of the network
        (61.5, 16, True),
    ],
)
def test_the_margin_is_counted_in_what_the_network_sees(right, tile, found):
    image = torch.zeros(3, tile, 2 * tile)
    seen = detect_in_tiles(says_a_box([20.0, 10.0, right, 40.0]), image, 64, tile=tile)
    in_the_first = seen["boxes"][:, 0] < tile / 2
    assert in_the_first.any() == found


def test_a_tile_unscaled_has_a_scale_of_1():
    tile = torch.tensor([10.0, 20.0, 50.0, 40.0])
    assert (seen_scale(tile, None), seen_scale(tile, 80)) == (1.0, 0.5)


def test_tiles_find_nothing_in_their_padding():
    """Tiles of 40 pixels are padded to 64; every anchor, in the padding, too, is sure of itself."""

    def detector(images):
        height, width = images.shape[2:]
        y, x = torch.meshgrid(torch.arange(4, height, 8), torch.arange(4, width, 8), indexing="ij")
        centres = torch.stack([x.flatten(), y.flatten()], dim=1).float()
        anchors = torch.cat([centres - 5, centres + 5], dim=1)
        logits = torch.tensor([-9.0, 4.0]).expand(1, len(anchors), 2)
        return Predictions(logits, torch.zeros(1, len(anchors), 4), anchors)

    found = detect_in_tiles(
        detector, torch.zeros(3, 70, 90), None, tile=40, iou_threshold=0.9, max_detections=999
    )
    sides = found["boxes"][:, 2:] - found["boxes"][:, :2]
    assert len(sides) > 20
    assert sides.min() > 5  # an anchor's centre is in the picture, so half of it is
