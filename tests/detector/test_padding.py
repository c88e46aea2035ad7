"""Nothing is found in the padding, whatever the size of a picture."""

import math
from functools import partial

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from detlab.boxes import xyxy_to_cxcywh
from detlab.detector.anchors import encode_boxes, pyramid_anchors
from detlab.detector.padding import MIN_SIDE, leave_out_thin, without_padding
from detlab.detector.postprocess import (
    batch_candidates,
    detect,
    select_candidates,
    select_detections,
)
from detlab.types import Predictions
from tests.sample_boxes import bars


def in_picture(predictions, row, image_size, *options):
    """The raw boxes of one image of a padded batch, as somebody finds them who made the batch."""
    logits, deltas = predictions.logits[row, None], predictions.deltas[row, None]
    seen = without_padding(predictions._replace(logits=logits, deltas=deltas), image_size)
    return leave_out_thin(seen, 0, image_size, *options, candidates=select_candidates)


def fires_everywhere(images, seed=0):
    """A detector whose every anchor is sure of something: most of all those in the padding."""
    height, width = images.shape[2:]
    sizes = tuple((height // stride, width // stride) for stride in (8, 16, 32))
    shapes = ((12.0,), (24.0,), (48.0,))
    anchors = pyramid_anchors(sizes, shapes, (0.5, 2.0), torch.device("cpu"))
    generator = torch.Generator().manual_seed(seed)
    deltas = torch.randn(len(images), len(anchors), 4, generator=generator)
    logits = torch.rand(len(images), len(anchors), 3, generator=generator)
    far = xyxy_to_cxcywh(anchors)[:, :2].sum(dim=1) / (height + width)  # the farther, the surer
    return Predictions(logits + 4 * far[:, None], deltas, anchors)


def anchors_seen(detector, images, **options):
    """The anchors that candidates were taken from, picture by picture."""
    seen = []

    def candidates(predictions, *rest):
        seen.append(predictions.anchors)
        return select_candidates(predictions, *rest)

    return detect(detector, images, candidates=candidates, **options), seen


@given(st.integers(33, 700), st.integers(33, 700), st.integers(0, 99))
def test_at_no_size_is_anything_found_in_the_padding(height, width, seed):
    image = torch.zeros(3, height, width)
    detector = partial(fires_everywhere, seed=seed)
    [found], seen = anchors_seen(detector, [image], score_threshold=0.0)
    boxes = found["boxes"]
    assert len(boxes) > 0
    assert (boxes >= 0).all()
    assert (boxes <= torch.tensor([width, height] * 2)).all()
    assert (boxes[:, 2:] - boxes[:, :2] >= MIN_SIDE / 2).all()
    for anchors in seen:
        assert (xyxy_to_cxcywh(anchors)[:, :2] < torch.tensor([width, height])).all()
    areas = (seen[0][:, 2:] - seen[0][:, :2]).prod(dim=1)
    in_the_picture = -(-(height - 4) // 8) * -(-(width - 4) // 8)  # centres at 4, 12, 20 …
    assert (areas < 12 * 12 + 1).sum() == 2 * in_the_picture  # none of them is left out


def test_in_a_batch_of_several_sizes_each_picture_has_its_own_padding():
    sizes = [(40, 70), (70, 40), (64, 64), (33, 95), (40, 70)]
    images = [torch.zeros(3, *size) for size in sizes]
    together, seen = anchors_seen(fires_everywhere, images)
    assert len(seen) == len(images)
    for image, found in zip(images, together, strict=True):
        boxes = found["boxes"]
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert (boxes <= torch.tensor([image.shape[2], image.shape[1]] * 2)).all()
    # Also where the caller makes the batch and says the sizes.
    said = fires_everywhere(torch.zeros(2, 3, 64, 96))
    small, large = select_detections(said, [(40, 70), (64, 96)], candidates=in_picture)
    assert (small["boxes"][:, 2:] > small["boxes"][:, :2]).all()
    second = said._replace(logits=said.logits[1:], deltas=said.deltas[1:])
    assert_close(large, detect(lambda images: second, [torch.zeros(3, 64, 96)])[0])


def test_where_nothing_is_padded_nothing_changes():
    said = fires_everywhere(torch.zeros(2, 3, 64, 96))
    for row in (0, 1):
        expected = select_candidates(said, row, (64, 96), 0.5, 100)
        whole = (expected[0][:, 2:] - expected[0][:, :2] >= MIN_SIDE).all(dim=1)
        found = in_picture(said, row, (64, 96), 0.5, int(whole.sum()))
        assert_close(found, tuple(part[whole] for part in expected))


def test_an_anchor_stands_in_the_picture_up_to_its_edge():
    anchors = torch.tensor(
        [[28.0, 0, 36, 8], [27.5, 0, 35.5, 8], [0, 15.5, 8, 23.5], [0, 16, 8, 24]]
    )
    anchors = torch.cat([anchors, torch.tensor([[-4.0, -4.0, 4.0, 4.0], [-5.0, 0.0, 4.0, 8.0]])])
    said = Predictions(torch.zeros(1, 6, 2), torch.zeros(1, 6, 4), anchors)
    assert_close(without_padding(said, (20, 32)).anchors, anchors[[1, 2, 4]])


def test_what_is_left_out_takes_no_place_among_the_candidates():
    """Ten sure boxes in the padding, ten that clipping leaves without area, then three animals."""
    anchors = bars(*[(80, 96)] * 10, *[(20, 36)] * 10, (0, 16), (16, 32), (32, 48))
    boxes = bars(*[(64, 96)] * 10, *[(60, 70)] * 10, (0, 16), (16, 32), (32, 48))
    sure = [[0.01, 0.99]] * 20 + [[0.01, 0.9], [0.01, 0.8], [0.01, 0.7]]
    deltas = encode_boxes(boxes, anchors)[None]
    said = Predictions(torch.tensor([sure]).logit(), deltas, anchors)
    for most in (1, 2, 3, 7, 1000):
        options = {"max_candidates": most, "max_detections": 5}
        (found,) = detect(lambda images: said, [torch.zeros(3, 20, 60)], **options)
        assert_close(found["scores"], torch.tensor([0.9, 0.8, 0.7])[:most])
    for most in (0, 3):
        assert len(in_picture(said, 0, (20, 60), 0.3, most)[0]) == most
    (theirs,) = select_detections(said, [(20, 60)], max_detections=5)  # as torchvision has it
    assert (theirs["boxes"][:, 2] == theirs["boxes"][:, 0]).any()


def test_what_clipping_leaves_thinner_than_a_hundredth_of_a_pixel_is_no_box():
    anchors, boxes = bars((30, 46), (40, 56)), bars((59.98, 70), (59.995, 70))
    said = Predictions(torch.full((1, 2, 2), 3.0), encode_boxes(boxes, anchors)[None], anchors)
    (found,) = detect(lambda images: said, [torch.zeros(3, 20, 60)])
    assert_close(found["boxes"], bars((59.98, 60)))


def test_numbers_that_are_none_are_no_detection():
    deltas = torch.zeros(1, 4, 4)
    deltas[0, 0], deltas[0, 1, 0], deltas[0, 2, 2] = math.nan, math.inf, -math.inf
    said = Predictions(
        torch.full((1, 4, 2), 3.0), deltas, bars((0, 9), (9, 18), (18, 30), (30, 40))
    )
    (found,) = detect(lambda images: said, [torch.zeros(3, 20, 60)])
    assert_close(found["boxes"], bars((30, 40)))


@given(st.integers(0, 999), st.sampled_from([0.0, 0.5, 0.7, 0.95]), st.sampled_from([1, 20, 5000]))
def test_all_at_once_or_one_by_one_the_same_is_found(seed, score_threshold, max_candidates):
    """Halves make equal scores, and boxes that clipping leaves nothing of."""
    said = fires_everywhere(torch.zeros(3, 3, 64, 96), seed)
    logits, deltas = (said.logits * 2).round() / 2, (said.deltas * 4).round() / 2
    said = said._replace(logits=logits, deltas=deltas, activation=("sigmoid", "softmax")[seed % 2])
    options = score_threshold, max_candidates
    at_once = batch_candidates(said, (60, 90), *options)
    assert len(at_once) == 3
    for row, found in enumerate(at_once):
        expected = leave_out_thin(said, row, (60, 90), *options, candidates=select_candidates)
        assert_close(found, expected, atol=0, rtol=0)


def test_pictures_without_padding_are_looked_at_where_they_lie():
    predictions = fires_everywhere(torch.zeros(2, 3, 64, 96))
    seen = without_padding(predictions, (64, 96))
    for part, expected in zip(seen[:3], predictions[:3], strict=True):
        assert part.data_ptr() == expected.data_ptr()
        assert_close(part, expected)
