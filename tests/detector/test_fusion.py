"""The copy that only detects finds what its detector finds, and leaves it alone."""

import copy
import pickle
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torchvision.models.detection import retinanet_resnet50_fpn_v2

from detlab.detector.config import DetectorConfig
from detlab.detector.fusion import fused
from detlab.detector.losses import detection_loss
from detlab.detector.model import build_detector, from_torchvision
from detlab.detector.postprocess import detect
from detlab.types import Target

TINY = DetectorConfig(num_classes=3, channels=8)
DETECTORS = {
    **{
        body: partial(build_detector, replace(TINY, backbone=body))
        for body in ("tiny", "mobilenet_v2", "resnet18", "resnet50")
    },
    "retinanet": lambda: from_torchvision(
        retinanet_resnet50_fpn_v2(weights=None, weights_backbone=None, num_classes=4)
    ),
}


def lived_in(name="tiny"):
    """A detector whose batch norms have seen something: each channel has numbers of its own."""
    torch.manual_seed(3)
    detector = DETECTORS[name]()
    for part in detector.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -0.2, 0.2)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.2, 0.2)
    return detector.eval()


def one_step(detector):
    """The detector after a step of training."""
    optimizer = torch.optim.SGD(detector.parameters(), lr=0.1)
    targets = [Target(boxes=torch.tensor([[8.0, 8.0, 40.0, 30.0]]), labels=torch.tensor([1]))] * 2
    detection_loss(detector.train()(torch.rand(2, 3, 64, 96)), targets)["total"].backward()
    optimizer.step()
    return detector


@pytest.mark.parametrize("name", DETECTORS)
def test_the_copy_says_what_the_detector_says(name):
    detector = lived_in(name).double()
    images = torch.rand(2, 3, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        theirs, ours = detector(images), fused(detector)(images)
    assert theirs.logits.std() > 0
    for value, expected in zip(ours[:3], theirs[:3], strict=True):
        assert_close(value, expected, atol=1e-9, rtol=1e-7)
    assert ours[3:] == theirs[3:]


@pytest.mark.parametrize("name", DETECTORS)
def test_no_batch_norm_that_changes_is_left(name):
    assert not any(isinstance(part, nn.BatchNorm2d) for part in fused(lived_in(name)).modules())


def test_the_same_is_found_in_pictures_of_any_size():
    detector = lived_in()
    images = [torch.rand(3, *size) for size in [(64, 96), (96, 64), (70, 33), (64, 96)]]
    theirs = detect(detector, images, score_threshold=0.2)
    ours = detect(fused(detector), images, score_threshold=0.2)
    assert sum(len(found["boxes"]) for found in theirs) > 0
    assert_close(ours, theirs, atol=1e-3, rtol=1e-5)


def test_the_detector_stays_as_it_is_and_learns_on():
    detector = lived_in().train()
    detector.backbone.body.eval()
    before, modes = copy.deepcopy(detector.state_dict()), [m.training for m in detector.modules()]
    copied = fused(detector)
    assert not any(part.training for part in copied.modules())
    assert_close(detector.state_dict(), before, atol=0, rtol=0)
    assert [part.training for part in detector.modules()] == modes
    assert all(parameter.requires_grad for parameter in detector.parameters())
    one_step(detector)
    name = "head.classes.last.weight"
    assert not torch.equal(detector.state_dict()[name], before[name])


def test_what_the_detector_learns_later_is_in_the_next_copy():
    detector, image = lived_in(), torch.rand(1, 3, 64, 96)
    early = fused(detector)
    said = early(image).logits
    one_step(detector).eval()
    assert_close(early(image).logits, said, atol=0, rtol=0)
    assert not torch.allclose(detector(image).logits, said, atol=1e-3)
    assert_close(fused(detector)(image).logits, detector(image).logits, atol=1e-5, rtol=1e-5)


def test_anchors_follow_the_size_of_the_pictures():
    detector = lived_in()
    copied = fused(detector)
    for height, width in [(64, 96), (96, 64), (64, 96), (64, 96), (128, 32)]:
        images = torch.zeros(1, 3, height, width)
        assert_close(copied(images).anchors, detector(images).anchors)


def test_bfloat16_finds_nearly_the_same():
    detector, images = lived_in(), [torch.rand(3, 64, 96)]
    copied = fused(detector, "bfloat16")
    assert {parameter.dtype for parameter in copied.parameters()} == {torch.bfloat16}
    with torch.no_grad():
        theirs, ours = detector(images[0][None]), copied(images[0][None])
    assert_close(ours.logits.float().softmax(2), theirs.logits.softmax(2), atol=0.03, rtol=0)
    [found] = detect(copied, images, score_threshold=0.2)
    assert found["boxes"].dtype == found["scores"].dtype == torch.float32


@pytest.mark.parametrize("again", [copy.deepcopy, lambda part: pickle.loads(pickle.dumps(part))])
def test_a_copy_can_be_copied_and_pickled_after_use(again):
    copied, images = fused(lived_in()), torch.rand(1, 3, 96, 64)
    said = copied(images)
    assert_close(again(copied)(images)[:3], said[:3], atol=0, rtol=0)


def test_the_copy_lies_where_its_detector_lies(device):
    copied = fused(lived_in().to(device))
    assert {tensor.device.type for tensor in copied.state_dict().values()} == {device.type}
    assert copied(torch.rand(1, 3, 64, 96, device=device)).anchors.device.type == device.type
