"""From predictions to detections: thresholds, candidates, frames of reference."""

import math
from functools import partial

import pytest
import torch
import torchvision
from torch.testing import assert_close

from detlab.course.lessons import ROOT
from detlab.detector.anchors import encode_boxes
from detlab.detector.checkpoint import load_checkpoint
from detlab.detector.config import DetectorConfig
from detlab.detector.model import build_detector
from detlab.detector.postprocess import (
    detect,
    evaluation_mode,
    select_candidates,
    select_detections,
    to_detection,
    to_scores,
)
from detlab.detector.suppression import nms, nms_per_class
from detlab.images import fitted_size
from detlab.reef.scene import draw_scene
from detlab.types import Predictions
from tests.sample_boxes import bars


def predictions(boxes, scores, **settings):
    """What a detector says of one image: a row of `boxes`, a row of `scores` (class by class)."""
    anchors = torch.tensor([[0.0, 0.0, 16.0, 16.0]]).expand(len(boxes), 4)
    weights = settings.get("delta_weights", (1.0, 1.0, 1.0, 1.0))
    logits = torch.as_tensor(scores, dtype=torch.float32).logit()
    deltas = encode_boxes(boxes, anchors, weights)
    return Predictions(logits[None], deltas[None], anchors, **settings)


TWO_CLASSES = predictions(
    bars((0, 16), (1, 17), (30, 40)), [[0.01, 0.9, 0.2], [0.01, 0.1, 0.8], [0.01, 0.6, 0.02]]
)


def test_sigmoid_asks_each_class_and_softmax_lets_them_compete():
    logits = torch.tensor([[1.0, 2.0, -1.0]])
    yes = to_scores(logits)
    assert yes[0, 0] == 0
    assert_close(yes[0, 1:], torch.sigmoid(logits)[0, 1:])
    shares = to_scores(logits, "softmax")
    assert shares[0, 0] == 0
    assert_close(shares[0, 1:], torch.softmax(logits, dim=1)[0, 1:])
    assert to_scores(torch.zeros(0, 3), "softmax").shape == (0, 3)


def test_detections_are_sorted_thresholded_and_suppressed_within_a_class():
    (found,) = select_detections(TWO_CLASSES, [(100, 100)], score_threshold=0.15)
    assert found["labels"].tolist() == [1, 2, 1]
    assert_close(found["scores"], torch.tensor([0.9, 0.8, 0.6]))
    assert_close(found["boxes"], bars((0, 16), (1, 17), (30, 40)), atol=1e-4, rtol=0)


def test_boxes_that_reach_out_of_the_picture_do_not_suppress_another_class():
    """torchvision's batched_nms does: a negative corner reaches into the next class's place."""
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [-11.0, -11.0, -1.0, -1.0]])
    scores, labels = torch.tensor([0.9, 0.8]), torch.tensor([0, 1])
    assert torchvision.ops.batched_nms(boxes, scores, labels, 0.5).tolist() == [0]
    assert nms_per_class(boxes, labels, scores, 0.5).tolist() == [0, 1]
    inside = torch.tensor([[5.0, 5.0, 15.0, 15.0], [-6.0, -6.0, 4.0, 4.0]])
    said = predictions(inside, [[0.01, 0.9, 0.01], [0.01, 0.01, 0.8]])
    (found,) = select_detections(said, [(100, 100)], iou_threshold=0.0)
    assert found["labels"].tolist() == [1, 2]


def test_across_classes_the_better_box_suppresses_the_other():
    (found,) = select_detections(TWO_CLASSES, [(100, 100)], per_class=False)
    assert_close(found["scores"], torch.tensor([0.9, 0.6]))


def test_one_anchor_can_speak_for_two_classes():
    said = predictions(bars((0, 16)), [[0.01, 0.7, 0.6]])
    (found,) = select_detections(said, [(50, 50)])
    assert found["labels"].tolist() == [1, 2]


@pytest.mark.parametrize(("score", "count"), [(0.5, 0), (0.51, 1), (0.49, 0)])
def test_a_score_must_be_above_its_threshold(score, count):
    said = predictions(bars((0, 16)), [[0.01, score]])
    (found,) = select_detections(said, [(50, 50)], score_threshold=0.5)
    assert len(found["boxes"]) == count


def test_boxes_end_at_the_edge_of_their_own_image():
    said = predictions(bars((0, 40)), [[0.01, 0.9]])
    both = said._replace(logits=said.logits.expand(2, 1, 2), deltas=said.deltas.expand(2, 1, 4))
    first, second = select_detections(both, [(100, 30), (5, 100)])
    assert_close(first["boxes"], torch.tensor([[0.0, 0.0, 30.0, 8.0]]))
    assert_close(second["boxes"], torch.tensor([[0.0, 0.0, 40.0, 5.0]]))


def test_only_the_best_candidates_and_detections_stay():
    boxes = bars(*[(20 * row, 20 * row + 10) for row in range(6)])
    scores = [[0.01, score] for score in (0.5, 0.9, 0.6, 0.8, 0.4, 0.7)]
    said = predictions(boxes, scores)
    (found,) = select_detections(said, [(200, 200)], max_detections=2)
    assert_close(found["scores"], torch.tensor([0.9, 0.8]))
    (found,) = select_detections(said, [(200, 200)], max_candidates=3)
    assert_close(found["scores"], torch.tensor([0.9, 0.8, 0.7]))


def test_unasked_a_thousand_candidates_go_into_nms_and_a_hundred_stay():
    said = predictions(
        bars(*[(20 * row, 20 * row + 10) for row in range(1100)]), [[0.0, 0.9]] * 1100
    )
    (found,) = select_detections(said, [(10, 22_000)])
    assert len(found["boxes"]) == 100
    (found,) = select_detections(said, [(10, 22_000)], max_detections=2000)
    assert len(found["boxes"]) == 1000


def test_unasked_scores_above_0_3_count_and_overlaps_up_to_a_half():
    boxes = bars((0, 100), (40, 140), (300, 400), (330, 430), (600, 700), (900, 1000))
    said = predictions(boxes, [[0.01, score] for score in (0.9, 0.8, 0.7, 0.6, 0.31, 0.29)])
    (found,) = select_detections(said, [(10, 1000)])  # IoU 60/140 and 70/130
    assert_close(found["boxes"], boxes[[0, 1, 2, 4]], atol=1e-3, rtol=0)


def test_delta_weights_are_undone():
    boxes = bars((3, 20), (30, 44))
    said = predictions(boxes, [[0.01, 0.9], [0.01, 0.8]], delta_weights=(10.0, 10.0, 5.0, 5.0))
    (found,) = select_detections(said, [(99, 99)])
    assert_close(found["boxes"], boxes, atol=1e-4, rtol=0)


def test_softmax_never_detects_background():
    logits = torch.tensor([[[9.0, 0.0, 0.0], [0.0, 0.0, 9.0]]])
    said = Predictions(logits, torch.zeros(1, 2, 4), bars((0, 9), (20, 29)), "softmax")
    (found,) = select_detections(said, [(50, 50)], score_threshold=0.0)
    assert 0 not in found["labels"]
    assert found["labels"][0] == 2


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
@pytest.mark.parametrize("options", [{}, {"soft_sigma": 0.5}, {"per_class": False}, {"nms": nms}])
def test_background_is_never_detected_not_even_at_threshold_0(activation, options):
    logits = torch.tensor([[[9.0, 0.0, -3.0], [4.0, 2.0, 9.0]]])
    said = Predictions(logits, torch.zeros(1, 2, 4), bars((0, 9), (20, 29)), activation)
    (found,) = select_detections(said, [(30, 50)], score_threshold=0.0, **options)
    assert 0 not in found["labels"]
    assert found["labels"][0] == 2
    assert (found["scores"] > 0).all()
    (found,) = detect(lambda images: said, [torch.rand(3, 30, 50)], score_threshold=0.0, **options)
    assert 0 not in found["labels"]


def test_an_activation_with_another_name_is_refused(no_shape_checks):
    with pytest.raises(ValueError, match="'sigmoid' or 'softmax', got 'Sigmoid'"):
        to_scores(torch.zeros(1, 3), "Sigmoid")


def test_your_own_nms_really_is_used():
    seen = []

    def my_nms(boxes, scores, iou_threshold):
        seen.append((len(boxes), iou_threshold))
        return torch.tensor([1])

    (found,) = select_detections(TWO_CLASSES, [(99, 99)], 0.15, iou_threshold=0.7, nms=my_nms)
    assert seen == [(4, 0.7)]
    assert_close(found["scores"], torch.tensor([0.8]))


def test_your_own_raw_boxes_and_decoding_really_are_used():
    def halved(deltas, anchors, weights):
        return anchors / 2

    candidates = partial(select_candidates, decode=halved)
    (found,) = select_detections(TWO_CLASSES, [(99, 99)], candidates=candidates)
    assert found["boxes"].tolist() == [[0.0, 0.0, 8.0, 8.0]] * 2  # one of each class stays


def test_the_readable_nms_gives_the_model_the_same_detections():
    corners = torch.rand(40, 2) * 40
    boxes = torch.cat([corners, corners + 5 + torch.rand(40, 2) * 20], dim=1)
    said = predictions(boxes, torch.rand(40, 3) * 0.98 + 0.01)
    expected = select_detections(said, [(60, 60)])
    assert_close(select_detections(said, [(60, 60)], nms=nms), expected)


def test_soft_nms_lowers_instead_of_dropping():
    said = predictions(bars((0, 16), (0, 8)), [[0.01, 0.9], [0.01, 0.8]])
    (hard,) = select_detections(said, [(50, 50)], iou_threshold=0.4)
    (soft,) = select_detections(said, [(50, 50)], soft_sigma=0.5)
    assert_close(hard["scores"], torch.tensor([0.9]))
    assert_close(soft["scores"], torch.tensor([0.9, 0.8 * math.exp(-0.5)]))  # IoU 1/2
    (strict,) = select_detections(said, [(50, 50)], score_threshold=0.5, soft_sigma=0.5)
    assert_close(strict["scores"], torch.tensor([0.9]))
    (best,) = select_detections(said, [(50, 50)], max_detections=1, soft_sigma=0.5)
    assert_close(best["scores"], torch.tensor([0.9]))


def test_nothing_found_is_empty_and_well_formed(device):
    said = predictions(bars((0, 16)), [[0.01, 0.02]])
    there = Predictions(said.logits.to(device), said.deltas.to(device), said.anchors.to(device))
    for options in ({}, {"soft_sigma": 0.5}, {"per_class": False}, {"nms": nms}):
        (found,) = select_detections(there, [(50, 50)], **options)
        assert {key: part.shape for key, part in found.items()} == {
            "boxes": (0, 4),
            "labels": (0,),
            "scores": (0,),
        }
        assert found["labels"].dtype == torch.int64
        assert all(part.device.type == device.type for part in found.values())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_decoded_in_float32(dtype):
    """Decoded as they come, exp() would be rounded to 8 bits: the box below 0.17 pixels off."""
    deltas = torch.tensor([[[0.1, -0.2, 0.3, 0.7]]]).to(dtype)
    logits, anchors = torch.tensor([[[-5.0, 1.3]]]).to(dtype), torch.tensor([[7.0, 9, 71, 49]])
    exact = Predictions(logits.float(), deltas.float(), anchors)
    wanted, found = (
        select_detections(said, [(200, 300)])[0]
        for said in (exact, Predictions(logits, deltas, anchors))
    )
    assert found["boxes"].dtype == found["scores"].dtype == torch.float32
    assert_close(found, wanted, atol=0, rtol=0)


@pytest.mark.parametrize("name", ["score_threshold", "iou_threshold"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_thresholds_outside_0_to_1_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} lies between 0 and 1, got {value}"):
        select_detections(TWO_CLASSES, [(9, 9)], **{name: value})


@pytest.mark.parametrize("name", ["max_detections", "max_candidates"])
def test_fewer_than_none_are_refused(name):
    with pytest.raises(ValueError, match=f"want a finite {name} >= 0, got -1"):
        select_detections(TWO_CLASSES, [(9, 9)], **{name: -1})


def test_images_and_sizes_come_in_equal_numbers():
    with pytest.raises(ValueError, match="1 images but 2 image sizes"):
        select_detections(TWO_CLASSES, [(9, 9), (9, 9)])


def test_candidates_come_best_first():
    boxes, labels, scores = select_candidates(TWO_CLASSES, 0, (100, 100), 0.15, 1000)
    assert labels.tolist() == [1, 2, 1, 2]
    assert_close(scores, torch.tensor([0.9, 0.8, 0.6, 0.2]))
    assert_close(boxes, bars((0, 16), (1, 17), (30, 40), (0, 16)), atol=1e-4, rtol=0)


def test_candidates_of_equal_scores_come_in_the_order_of_their_anchors_also_when_they_are_many():
    """An unstable sort keeps up to sixteen in their order, and no more."""
    boxes = bars(*[(20 * row, 20 * row + 10) for row in range(200)])
    said = predictions(boxes, [[0.01, 0.5]] * 200)
    found, *_ = select_candidates(said, 0, (10, 4000), 0.3, 150)
    assert_close(found, boxes[:150], atol=1e-2, rtol=0)


def stand_in(box, score=0.9):
    """A detector that says the same box of every image, in pixels of the batch."""

    def detector(images):
        said = predictions(torch.tensor([box]), [[0.01, score]])
        batch = len(images)
        return said._replace(
            logits=said.logits.expand(batch, 1, 2), deltas=said.deltas.expand(batch, 1, 4)
        )

    return detector


def test_images_of_different_sizes_get_boxes_in_their_own_frame():
    images = [torch.rand(3, 100, 200), torch.rand(3, 50, 25), torch.rand(3, 40, 40)]
    # Longest side 100: scaled by 1/2, by 2 and by 2.5.
    first, second, third = detect(stand_in([10.0, 20.0, 40.0, 45.0]), images, longest_side=100)
    assert_close(first["boxes"], torch.tensor([[20.0, 40.0, 80.0, 90.0]]))
    assert_close(second["boxes"], torch.tensor([[5.0, 10.0, 20.0, 22.5]]))
    assert_close(third["boxes"], torch.tensor([[4.0, 8.0, 16.0, 18.0]]))


def test_padding_does_not_move_boxes():
    small = torch.rand(3, 30, 40)
    box = [4.0, 6.0, 34.0, 26.0]
    (alone,) = detect(stand_in(box), [small])
    padded, _ = detect(stand_in(box), [small, torch.rand(3, 90, 64)])
    assert_close(padded, alone)
    assert_close(alone["boxes"], torch.tensor([box]), atol=1e-4, rtol=0)


def test_boxes_in_the_padding_are_cut_off():
    (found,) = detect(stand_in([4.0, 6.0, 60.0, 60.0]), [torch.rand(3, 30, 40)])
    assert_close(found["boxes"], torch.tensor([[4.0, 6.0, 40.0, 30.0]]))


def test_options_reach_the_selection():
    (found,) = detect(stand_in([0.0, 0.0, 9.0, 9.0]), [torch.rand(3, 32, 32)], score_threshold=0.95)
    assert len(found["boxes"]) == 0


class Watcher(torch.nn.Module):
    """A detector that remembers how it was called."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, images):
        self.seen = self.training, torch.is_grad_enabled(), images.dtype
        if images.sum() == 0:
            raise RuntimeError("black")
        said = stand_in([0.0, 0.0, 9.0, 9.0])(images)
        return said._replace(logits=said.logits * self.weight)


@pytest.mark.parametrize("training", [True, False])
def test_detect_evaluates_without_gradients_and_puts_the_mode_back(training):
    detector = Watcher().train(training)
    detect(detector, [torch.ones(3, 32, 32, dtype=torch.uint8)])
    assert detector.seen == (False, False, torch.uint8)
    assert detector.training is training


def test_the_mode_comes_back_after_an_error_too():
    detector = Watcher().train()
    with pytest.raises(RuntimeError, match="black"):
        detect(detector, [torch.zeros(3, 32, 32)])
    assert detector.training


@pytest.mark.parametrize("whole", [True, False])
def test_parts_in_modes_of_their_own_come_back_to_them(whole):
    detector = build_detector(DetectorConfig(num_classes=3)).train(whole)
    detector.backbone.body.train(not whole)  # as where some layers are frozen
    before = [module.training for module in detector.modules()]
    with evaluation_mode(detector):
        assert not any(module.training for module in detector.modules())
    assert [module.training for module in detector.modules()] == before


def test_a_part_with_a_way_of_its_own_to_change_modes_is_asked():
    class Merged(Watcher):
        """Its weight is doubled for use, as adapters are merged into theirs."""

        def train(self, mode=True):
            if mode != self.training:
                self.weight.data *= 0.5 if mode else 2.0
            return super().train(mode)

    detector = Merged()
    with evaluation_mode(detector):
        assert detector.weight == 2
    assert detector.weight == 1
    assert detector.training


def test_detect_brings_pictures_to_the_detector(device):
    with evaluation_mode(Watcher().to(device)) as where:
        assert where.type == device.type
    (found,) = detect(Watcher().to(device), [torch.ones(3, 32, 32)])
    assert len(found["boxes"]) == 1


def test_no_pictures_no_detections():
    assert detect(Watcher(), []) == []


def test_what_a_picture_shows_does_not_hang_on_its_batch():
    torch.manual_seed(7)
    detector = build_detector(DetectorConfig(num_classes=3))
    wide, tall = torch.rand(2, 3, 64, 96), torch.rand(3, 96, 40)
    together = detect(detector, [wide[0], tall, wide[1]], score_threshold=0.2)
    for image, found in zip([wide[0], tall, wide[1]], together, strict=True):
        [alone] = detect(detector, [image], score_threshold=0.2)
        assert len(alone["boxes"]) > 0
        assert_close(found, alone, atol=1e-3, rtol=0)


def test_a_detection_has_the_best_class_of_each_box_that_is_sure_enough():
    boxes = torch.arange(16.0).reshape(4, 4)
    scores = torch.tensor(
        [[0.1, 0.6, 0.3], [0.9, 0.1, 0.0], [0.0, 0.2, 0.8], [0.5, 0.5, 0.0]]  # the last: at 0.5
    )
    found = to_detection(boxes, scores)
    assert_close(found["boxes"], boxes[[2, 0]])
    assert found["labels"].tolist() == [2, 1]
    assert_close(found["scores"], torch.tensor([0.8, 0.6]))


def test_a_detection_of_equal_scores_keeps_their_order():
    boxes = torch.arange(8.0).reshape(2, 4)
    assert_close(to_detection(boxes, torch.tensor([[0.3, 0.7]] * 2))["boxes"], boxes)


def test_a_detection_of_nothing_is_a_dict_of_empty_tensors():
    for number in (0, 3):
        found = to_detection(torch.ones(number, 4), torch.tensor([[0.9, 0.1]] * number).view(-1, 2))
        assert found["boxes"].shape == (0, 4)
        assert (found["labels"].dtype, len(found["labels"])) == (torch.int64, 0)
        assert found["scores"].shape == (0,)


def test_a_detection_needs_scores_for_each_box_and_a_threshold(no_shape_checks):
    with pytest.raises(ValueError, match=r"boxes \[3, 4\], scores \[2, 2\]"):
        to_detection(torch.zeros(3, 4), torch.ones(2, 2))
    with pytest.raises(ValueError, match="score_threshold lies between 0 and 1, got 50"):
        to_detection(torch.zeros(1, 4), torch.ones(1, 2), score_threshold=50.0)


@pytest.mark.parametrize("size", [(512, 640), (640, 512), (100, 128), (333, 500)])
def test_the_shipped_detector_sees_no_slivers(size):
    """It was trained without padding; before, a third of its detections stood at the edge of it."""
    detector, info = load_checkpoint(ROOT / "data" / "checkpoints" / "course.safetensors")[:2]
    scenes = [draw_scene(seed, image_size=size) for seed in range(6)]
    images = [scene.image for scene in scenes]
    found = detect(detector, images, info.config.longest_side, score_threshold=0.3)
    sides = torch.cat([each["boxes"][:, 2:] - each["boxes"][:, :2] for each in found])
    assert len(sides) >= 10
    assert sides.min() > 3 * max(size) / 128


def test_no_box_reaches_beyond_its_picture_after_scaling():
    """Rounding did it at 18 of 960 sizes, by a hundred-thousandth of a pixel."""
    for height in range(100, 420, 7):
        for width in (200, 301):
            size = fitted_size((height, width), 128)
            anchor = torch.tensor([[0.0, 0.0, size[1], size[0]]])
            said = Predictions(torch.tensor([[[-9.0, 9.0]]]), torch.zeros(1, 1, 4), anchor)
            [found] = detect(lambda images, said=said: said, [torch.zeros(3, height, width)], 128)
            assert (found["boxes"][:, 2:] <= torch.tensor([width, height])).all()
