"""The detector: what it predicts, in which order, and that torchvision's RetinaNet is one."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torchvision.models.detection import retinanet_resnet50_fpn, retinanet_resnet50_fpn_v2
from torchvision.models.detection.image_list import ImageList

from detlab.detector.backbone import IMAGENET_MEAN, IMAGENET_STD, Normalise, build_backbone
from detlab.detector.config import DetectorConfig, named_config
from detlab.detector.model import (
    Detector,
    Head,
    build_detector,
    from_torchvision,
)
from detlab.detector.postprocess import detect, select_detections

SMALL = DetectorConfig(num_classes=3, channels=16, activation="sigmoid")


def small_detector(**settings):
    return build_detector(replace(SMALL, **settings)).eval()


def test_predictions_fit_together():
    predictions = small_detector()(torch.rand(2, 3, 64, 96))
    num_anchors = (8 * 12 + 4 * 6 + 2 * 3) * 6  # cells of three levels, 2 sizes × 3 aspect ratios
    assert predictions.logits.shape == (2, num_anchors, 3)
    assert predictions.deltas.shape == (2, num_anchors, 4)
    assert predictions.anchors.shape == (num_anchors, 4)


@pytest.mark.parametrize("size", [(1, 1), (37, 90), (128, 40)])
def test_any_height_and_width_gives_each_anchor_its_answers(size):
    predictions = small_detector()(torch.rand(1, 3, *size))
    assert predictions.logits.shape[1] == predictions.deltas.shape[1] == len(predictions.anchors)


def test_training_and_evaluation_predict_the_same_kind_of_thing():
    detector, images = small_detector(), torch.rand(2, 3, 32, 32)
    evaluated, trained = detector.eval()(images), detector.train()(images)
    assert type(evaluated) is type(trained)
    assert evaluated.logits.shape == trained.logits.shape


def test_bytes_and_shares_of_one_are_the_same_picture():
    detector = small_detector()
    pixels = torch.randint(0, 256, (1, 3, 32, 64), dtype=torch.uint8)
    assert_close(detector(pixels).logits, detector(pixels / 255).logits)


def test_normalised_pixels_have_imagenets_mean_and_spread():
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    picture = (mean + 2 * std).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    assert_close(Normalise(IMAGENET_MEAN, IMAGENET_STD)(picture), torch.full((1, 3, 4, 4), 2.0))


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 1, 8, 8), (1, 8, 8, 3)])
def test_what_is_no_batch_of_pictures_is_refused(shape):
    with pytest.raises(ValueError, match=r"want images \[B, 3, H, W\]"):
        small_detector()(torch.rand(shape))


def test_the_same_seed_builds_the_same_detector():
    def weights(seed):
        torch.manual_seed(seed)
        return build_detector(SMALL).state_dict()

    assert_close(weights(1), weights(1), rtol=0, atol=0)
    first, other = weights(1), weights(2)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_every_part_can_be_put_in_by_hand():
    def my_anchors(images, maps):
        return torch.zeros(sum(m.shape[2] * m.shape[3] for m in maps), 4)

    head = Head(channels=8, depth=1, num_shapes=1, num_classes=2)
    backbone, mean, std = build_backbone(channels=8), (0.0,) * 3, (1.0,) * 3
    detector = Detector(backbone, head, my_anchors, "softmax", mean, std).eval()
    predictions = detector(torch.rand(1, 3, 32, 32))
    assert predictions.activation == "softmax"
    assert (predictions.anchors == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_predictions_keep_device_and_dtype(device, dtype):
    detector = small_detector().to(device, dtype)
    predictions = detector(torch.rand(1, 3, 32, 64, device=device, dtype=dtype))
    assert predictions.logits.dtype == predictions.deltas.dtype == dtype
    assert predictions.logits.device.type == predictions.anchors.device.type == device.type


def test_channels_last_changes_the_layout_only():
    detector, images = small_detector(), torch.rand(2, 3, 64, 96)
    expected = detector(images)
    detector.to(memory_format=torch.channels_last)
    found = detector(images.to(memory_format=torch.channels_last))
    assert_close(found[:3], expected[:3], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("shift", [(0, 32), (64, 0)])
def test_a_deeper_corner_of_zeros_does_not_move_the_anchors_of_the_rest(shift):
    detector, (down, right) = small_detector(), shift
    plain = detector(torch.rand(1, 3, 64, 96)).anchors
    padded = detector(torch.rand(1, 3, 64 + down, 96 + right)).anchors
    rows = {tuple(anchor) for anchor in padded.tolist()}
    assert all(tuple(anchor) in rows for anchor in plain.tolist())


@pytest.fixture(scope="module", params=[retinanet_resnet50_fpn, retinanet_resnet50_fpn_v2])
def retinanet(request):
    """torchvision's model with random weights, its class scores spread so that many detect."""
    torch.manual_seed(0)
    model = request.param(
        weights=None, weights_backbone=None, num_classes=9, min_size=96, max_size=160
    ).eval()
    with torch.no_grad():
        model.head.classification_head.cls_logits.weight.normal_(std=0.05)
        model.head.regression_head.bbox_reg.weight.normal_(std=0.03)
        last = model.head.classification_head.cls_logits  # nobody is taught its class 0; here, too,
        last.weight.unflatten(0, (-1, 9))[:, 0] = 0.0  # it stays silent: we never report it
        last.bias.unflatten(0, (-1, 9))[:, 0] = -50.0
    return model


@torch.no_grad()
def test_a_retinanet_of_torchvision_becomes_a_detector(retinanet):
    picture = torch.rand(3, 120, 180)
    images, _ = retinanet.transform([picture])
    theirs = retinanet.head(list(retinanet.backbone(images.tensors).values()))
    detector = from_torchvision(retinanet)
    assert not detector.training
    # Its own mean and spread: normalising the picture gives what its transform gave.
    resized = images.tensors[:, :, : images.image_sizes[0][0], : images.image_sizes[0][1]]
    mean, std = (torch.tensor(part).view(3, 1, 1) for part in (IMAGENET_MEAN, IMAGENET_STD))
    assert_close(detector.normalise(resized * std + mean), resized, atol=1e-5, rtol=1e-5)

    detector.normalise = nn.Identity()
    predictions = detector(images.tensors)
    assert_close(predictions.logits, theirs["cls_logits"], atol=1e-4, rtol=0)
    assert_close(predictions.deltas, theirs["bbox_regression"], atol=1e-4, rtol=0)
    expected_anchors = retinanet.anchor_generator(
        images, list(retinanet.backbone(images.tensors).values())
    )[0]
    assert_close(predictions.anchors, expected_anchors)

    (expected,) = retinanet([picture])
    (found,) = select_detections(
        predictions,
        images.image_sizes,
        score_threshold=retinanet.score_thresh,
        iou_threshold=retinanet.nms_thresh,
        max_detections=retinanet.detections_per_img,
        max_candidates=100_000,
    )
    assert len(expected["boxes"]) > 50
    (height, width), (full_height, full_width) = images.image_sizes[0], picture.shape[1:]
    zoom = torch.tensor([full_width / width, full_height / height] * 2)
    assert_close(found["scores"], expected["scores"], atol=1e-4, rtol=0)
    assert_close(found["boxes"] * zoom, expected["boxes"], atol=1e-2, rtol=1e-4)
    assert (found["labels"] == expected["labels"]).all()


@torch.no_grad()
@pytest.mark.parametrize("size", [(128, 256), (37, 90), (300, 161)])
def test_a_converted_retinanet_keeps_its_anchors(retinanet, size):
    """Also where a side is no multiple of the stride: theirs then stand closer together."""
    images = torch.zeros(2, 3, *size)
    maps = list(retinanet.backbone(images).values())
    theirs = retinanet.anchor_generator(ImageList(images, [size] * 2), maps)[0]
    make_anchors = from_torchvision(retinanet).make_anchors
    assert_close(make_anchors(images, maps), theirs, rtol=0, atol=0)


def test_a_converted_retinanet_keeps_its_mode_and_its_own_weights(retinanet):
    retinanet.train()
    detector = from_torchvision(retinanet)
    assert detector.training
    retinanet.eval()
    assert (
        detector.head.classes.last.weight
        is not retinanet.head.classification_head.cls_logits.weight
    )


def test_a_converted_retinanet_keeps_a_mean_and_spread_of_its_own(retinanet, monkeypatch):
    monkeypatch.setattr(retinanet.transform, "image_mean", [0.1, 0.2, 0.3])
    monkeypatch.setattr(retinanet.transform, "image_std", [0.5, 0.25, 0.2])
    pixels = torch.tensor([0.6, 0.7, 0.8]).view(3, 1, 1).expand(1, 3, 4, 6)
    expected = torch.tensor([1.0, 2.0, 2.5]).view(3, 1, 1).expand(1, 3, 4, 6)
    assert_close(from_torchvision(retinanet).normalise(pixels), expected)


def test_an_untrained_sigmoid_detector_never_reports_background():
    (found,) = detect(small_detector(), [torch.rand(3, 64, 96)], score_threshold=0.001)
    assert len(found["labels"]) > 0
    assert (found["labels"] > 0).all()


def test_a_detector_is_what_detect_takes():
    with torch.no_grad():
        detector = small_detector()
        detector.head.classes.last.bias.fill_(2.0)  # now everything is something
    pictures = [torch.rand(3, 40, 60), torch.rand(3, 64, 30)]
    for detections, picture in zip(detect(detector, pictures), pictures, strict=True):
        limit = torch.tensor([picture.shape[2], picture.shape[1]] * 2)
        assert 0 < len(detections["boxes"]) <= 100
        assert (detections["boxes"] <= limit).all()


def test_a_detector_looks_in_the_dtype_of_its_weights():
    detector = build_detector(named_config("course", 3)).bfloat16().eval()
    seen = detector(torch.zeros(1, 3, 32, 64, dtype=torch.uint8))
    assert seen.logits.dtype == torch.bfloat16
