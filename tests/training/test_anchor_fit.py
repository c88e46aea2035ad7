"""Fitted anchors suit the boxes better than the ladder that they replace."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close
from torchvision.ops import box_iou

from detlab.boxes import xywh_to_xyxy, xyxy_to_cxcywh
from detlab.data.records import Record
from detlab.detector.anchors import anchor_shapes
from detlab.detector.config import DetectorConfig, named_config
from detlab.detector.model import build_detector
from detlab.training import anchor_fit
from detlab.training.anchor_fit import (
    best_fit,
    box_shapes,
    fit_anchors,
    fit_shapes,
    mean_best_iou,
    refit_shapes,
    shape_iou,
)

LABELS = torch.tensor([1, 1])
numbers = st.integers(1, 300)
pairs = st.lists(st.tuples(*[numbers] * 8), min_size=1, max_size=6).map(
    lambda rows: xywh_to_xyxy(torch.tensor(rows, dtype=torch.float64).reshape(-1, 4)).chunk(2)
)


def record(image_size, boxes):
    boxes = torch.tensor(boxes).reshape(-1, 4)
    labels = torch.ones(len(boxes), dtype=torch.int64)
    return Record(Path("a.png"), image_size, boxes, labels, ("1",) * len(boxes), Path("a.json"))


def cover(config, shapes):
    """The mean best IoU of a config's own anchors."""
    return mean_best_iou(
        shapes, anchor_shapes(sum(config.anchor_sizes, ()), config.aspect_ratios)
    ).item()


def test_shapes_are_in_pixels_of_the_network():
    wide = record((100, 400), [[10.0, 20.0, 50.0, 30.0], [0.0, 0.0, 4.0, 8.0]])
    tall = record((300, 100), [[0.0, 0.0, 30.0, 60.0]])
    found = box_shapes([wide, record((10, 10), []), tall], longest_side=200)
    assert_close(found, torch.tensor([[20.0, 5.0], [2.0, 4.0], [20.0, 40.0]]))


def test_no_records_no_shapes():
    assert box_shapes([], 128).shape == (0, 2)


def test_exact_shapes_fit_exactly():
    shapes = torch.tensor([[10.0, 30.0], [5.0, 5.0]])
    assert mean_best_iou(shapes, shapes.flip(0)) == 1


def test_three_kinds_of_boxes_become_the_three_sizes_of_the_levels():
    kinds = torch.tensor([[10.0, 20.0], [40.0, 80.0], [100.0, 200.0]])
    shapes = kinds.repeat(20, 1)
    start = DetectorConfig(3, anchor_sizes=((16.0,), (32.0,), (64.0,)), aspect_ratios=(1.0,))
    fitted = fit_anchors(start, shapes)
    assert_close(
        torch.tensor(fitted.anchor_sizes)[:, 0], kinds.prod(dim=1).sqrt(), rtol=1e-4, atol=0
    )
    assert fitted.aspect_ratios == pytest.approx((2.0,))


def test_sizes_grow_from_level_to_level_and_the_detector_can_be_built():
    shapes = torch.rand(200, 2, generator=torch.Generator().manual_seed(3)) * 90 + 10
    fitted = fit_anchors(named_config("course", 4), shapes)
    sizes = sum(fitted.anchor_sizes, ())
    assert list(sizes) == sorted(sizes)
    assert len(fitted.anchor_sizes) == 3
    build_detector(fitted)


@given(st.integers(0, 1000), st.floats(0.2, 5.0), st.floats(5.0, 40.0))
def test_one_narrow_kind_of_box_is_covered_better_than_by_the_ladder(seed, ratio, size):
    spread = torch.rand(60, 2, generator=torch.Generator().manual_seed(seed)) * 0.1 + 0.95
    shapes = spread * torch.tensor([size / ratio**0.5, size * ratio**0.5])
    config = named_config("course", 2)
    assert cover(fit_anchors(config, shapes), shapes) > max(0.9, cover(config, shapes))


def test_fitting_twice_gives_the_same():
    shapes = torch.rand(80, 2, generator=torch.Generator().manual_seed(1)) * 50 + 5
    config = named_config("mobilenet", 2)
    assert fit_anchors(config, shapes) == fit_anchors(config, shapes)


def test_the_best_of_some_starts_is_kept():
    generator = torch.Generator().manual_seed(0)
    shapes = torch.tensor([[10.0, 10.0]] * 50 + [[60.0, 20.0]] * 50 + [[20.0, 90.0]] * 5)
    assert mean_best_iou(shapes, best_fit(shapes, 3, generator)) == pytest.approx(1.0)


def test_too_few_boxes_change_nothing():
    config = named_config("course", 2)
    assert fit_anchors(config, torch.tensor([[5.0, 9.0]] * 5)) is config
    assert fit_anchors(config, torch.zeros(0, 2)) is config


@pytest.mark.parametrize(("boxes", "used"), [(4000, 4000), (6000, 5000)])
def test_anchors_are_fitted_to_up_to_5000_boxes(boxes, used, monkeypatch):
    seen = []

    def note(shapes, number, generator):
        seen.append(len(shapes))
        return shapes[:number]

    monkeypatch.setattr(anchor_fit, "best_fit", note)
    fit_anchors(named_config("course", 2), torch.rand(boxes, 2) + 1)
    assert seen == [used, used]  # sizes, aspect ratios


@given(pairs)
def test_shape_iou_is_the_iou_of_boxes_on_one_centre(pair):
    shapes_a, shapes_b = (xyxy_to_cxcywh(boxes)[:, 2:] for boxes in pair)
    centred = [torch.cat([-shapes / 2, shapes / 2], dim=1) for shapes in (shapes_a, shapes_b)]
    assert_close(shape_iou(shapes_a, shapes_b), box_iou(*centred))


def test_shape_iou_of_none_keeps_its_shape():
    assert shape_iou(torch.zeros(0, 2), torch.ones(3, 2)).shape == (0, 3)


def test_fitted_shapes_find_the_two_kinds_of_box():
    tall = torch.tensor([[4.0, 16.0], [5.0, 17.0], [4.5, 16.5]])
    wide = torch.tensor([[60.0, 20.0], [61.0, 21.0], [62.0, 22.0]])
    boxes = torch.cat([wide, tall])
    for seed in range(5):  # from any start
        fitted = fit_shapes(boxes, 2, torch.Generator().manual_seed(seed))
        assert_close(fitted, torch.tensor([[4.5, 16.5], [61.0, 21.0]]))


def test_fitted_shapes_suit_the_boxes_better_than_the_ones_it_started_from():
    gains = []
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        boxes = torch.randn(60, 2, generator=generator).exp() * 20  # many small, a few huge
        quality = []
        for rounds in (0, 50):
            shapes = fit_shapes(boxes, 3, torch.Generator().manual_seed(seed), rounds)
            assert (shapes.prod(dim=1).diff() >= 0).all()
            quality.append(shape_iou(boxes, shapes).amax(dim=1).mean())
        gains.append(quality[1] - quality[0])
    assert torch.stack(gains).mean() > 0.01


def test_a_round_moves_each_shape_to_the_mean_of_its_boxes():
    boxes = torch.tensor([[4.0, 8.0], [6.0, 10.0], [30.0, 20.0], [30.0, 22.0]])
    shapes = torch.tensor([[40.0, 30.0], [1000.0, 1.0], [5.0, 5.0]])
    moved = refit_shapes(boxes, shapes)
    assert_close(moved, torch.tensor([[30.0, 21.0], [1000.0, 1.0], [5.0, 9.0]]))


def test_boxes_near_in_shape_are_near_however_far_apart_in_pixels():
    boxes = torch.tensor([[100.0, 100.0], [10.0, 10.0]])
    shapes = torch.tensor([[190.0, 190.0], [40.0, 40.0]])  # 100 is nearer to 40 in pixels
    assert_close(refit_shapes(boxes, shapes), boxes)


def test_a_shape_that_no_box_prefers_stays():
    same = torch.tensor([[8.0, 8.0]]).expand(4, 2)
    fitted = fit_shapes(same, 3, torch.Generator().manual_seed(0))
    assert_close(fitted, torch.full((3, 2), 8.0))


@pytest.mark.parametrize("num_shapes", [0, 4])
def test_more_shapes_than_boxes_cannot_be_fitted(num_shapes):
    with pytest.raises(ValueError, match=f"cannot fit {num_shapes} shapes to 3 boxes"):
        fit_shapes(torch.ones(3, 2), num_shapes, torch.Generator())
