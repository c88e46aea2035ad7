"""Settings: what builds no detector is refused, names stand for what the course speaks of."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close
from torchvision.models.detection.retinanet import RetinaNetHead, _default_anchorgen

from detlab.detector.config import DetectorConfig, named_config
from detlab.detector.head import Head
from detlab.detector.model import build_detector

SMALL = DetectorConfig(num_classes=3, channels=16, activation="sigmoid")


@pytest.mark.parametrize(("name", "millions"), [("course", 1.0), ("mobilenet", 4.0)])
def test_named_configs_build_detectors_of_about_their_size(name, millions):
    config = replace(named_config(name, num_classes=8), pretrained=False)
    count = sum(parameter.numel() for parameter in build_detector(config).parameters())
    assert millions / 2 < count / 1e6 < millions * 1.5


@pytest.mark.parametrize("name", ["course", "mobilenet", "resnet18", "resnet50"])
def test_named_configs_count_classes_and_have_anchors_for_their_pictures(name):
    config = named_config(name, num_classes=5)
    assert config.num_classes == 5
    smallest, largest = min(config.anchor_sizes[0]), max(config.anchor_sizes[-1])
    assert smallest < config.longest_side / 5
    assert largest > config.longest_side / 2


def test_resnet50_has_retinanets_anchor_sizes_and_head():
    config = named_config("resnet50", num_classes=91)
    sizes = sum(_default_anchorgen().sizes, ())  # in whole pixels
    assert_close(torch.tensor(sum(config.anchor_sizes, ())).floor(), torch.tensor(sizes).float())
    num_shapes = len(config.anchor_sizes[0]) * len(config.aspect_ratios)
    heads = (
        Head(config.channels, config.head_depth, num_shapes, config.num_classes),
        RetinaNetHead(256, num_shapes, num_classes=91),
    )
    ours, theirs = ([part.shape for part in head.parameters()] for head in heads)
    assert ours == theirs


@pytest.mark.usefixtures("no_shape_checks")
def test_an_unknown_config_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no config .huge.; want one of .*course"):
        named_config("huge", 3)


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_classes": 1}, "a class at least, got 1"),
        ({"activation": "tanh"}, "'tanh'"),
        ({"anchor_sizes": ((8.0,), (16.0,))}, "each of 3 or 5 levels"),
        ({"anchor_sizes": ((8.0,), (16.0,), (32.0, 64.0))}, "as many sizes on each"),
        ({"anchor_sizes": ((), (), ())}, "above 0"),
        ({"anchor_sizes": ((8.0,), (16.0,), (0.0,))}, "above 0"),
        ({"aspect_ratios": ()}, "above 0"),
        ({"aspect_ratios": (1.0, -2.0)}, "above 0"),
        ({"longest_side": 0}, "above 0"),
        ({"last_kernel": 2}, "last_kernel is odd, 1 or more, got 2"),
        ({"last_kernel": -1}, "last_kernel is odd, 1 or more, got -1"),
    ],
)
def test_settings_that_build_no_detector_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **settings)


def test_the_anchors_of_a_config_grow_with_its_pictures():
    for name in ("course", "resnet50"):
        own = named_config(name, 5)
        assert named_config(name, 5, own.longest_side) == own
        twice = named_config(name, 5, 2 * own.longest_side)
        assert twice.longest_side == 2 * own.longest_side
        assert_close(torch.tensor(twice.anchor_sizes), 2 * torch.tensor(own.anchor_sizes))
