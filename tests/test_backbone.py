"""Image to feature maps: sizes, strides, names, and torchvision's own classifiers."""

import pytest
import torch
import torchvision
from torch.testing import assert_close

from detlab.backbone import EARLY_LAYERS, ResidualBlock, TinyBody, build_backbone


@pytest.mark.parametrize("name", ["tiny", "resnet34", "resnet50"])  # two more are cut open below
def test_maps_have_strides_8_16_32_and_one_width(name):
    backbone = build_backbone(name, channels=16).eval()
    maps = backbone(torch.rand(2, 3, 64, 96))
    assert [tuple(m.shape) for m in maps] == [(2, 16, 8, 12), (2, 16, 4, 6), (2, 16, 2, 3)]


def test_five_levels_add_strides_64_and_128():
    maps = build_backbone(channels=16, num_levels=5).eval()(torch.rand(1, 3, 128, 256))
    sizes = [tuple(m.shape[2:]) for m in maps]
    assert sizes == [(16, 32), (8, 16), (4, 8), (2, 4), (1, 2)]


@pytest.mark.parametrize("size", [(1, 1), (33, 50), (31, 97)])
def test_any_height_and_width_will_do(size):
    maps = build_backbone(channels=8).eval()(torch.rand(1, 3, *size))
    assert [tuple(m.shape[2:]) for m in maps] == [
        (-(-size[0] // stride), -(-size[1] // stride)) for stride in (8, 16, 32)
    ]


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_the_body_is_torchvisions_classifier_cut_open(name):
    torch.manual_seed(3)
    backbone = build_backbone(name, channels=8).eval()
    torch.manual_seed(3)
    classifier = torchvision.models.get_model(name, weights=None).eval()
    images = torch.rand(1, 3, 64, 64)
    if name == "resnet18":
        x = classifier.maxpool(classifier.relu(classifier.bn1(classifier.conv1(images))))
        expected = classifier.layer4(classifier.layer3(classifier.layer2(classifier.layer1(x))))
    else:
        expected = classifier.features(images)
    assert_close(backbone.body(images)["32"], expected)
    assert [tuple(m.shape) for m in backbone(images)] == [(1, 8, 8, 8), (1, 8, 4, 4), (1, 8, 2, 2)]


def test_a_block_that_keeps_its_size_adds_to_what_came_in():
    block = ResidualBlock(4, 4).eval()
    with torch.no_grad():
        for parameter in block.second.parameters():
            parameter.zero_()  # now the two convolutions find nothing
    features = torch.rand(1, 4, 5, 7)
    assert_close(block(features), features)


def test_a_block_can_halve_and_widen():
    assert ResidualBlock(4, 8, stride=2)(torch.rand(2, 4, 6, 10)).shape == (2, 8, 3, 5)


def test_the_tiny_body_names_its_maps_by_stride():
    maps = TinyBody((4, 6, 8, 10)).eval()(torch.rand(1, 3, 64, 32))
    shapes = {name: tuple(features.shape[1:]) for name, features in maps.items()}
    assert shapes == {"8": (6, 8, 4), "16": (8, 4, 2), "32": (10, 2, 1)}


def test_coarse_maps_speak_to_fine_ones():
    """A change far away, beyond the fine map's own view, still reaches the fine map."""
    backbone = build_backbone(channels=8).eval()
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = backbone(image)[0]
        for parameter in backbone.body.stages["32"].parameters():
            parameter.mul_(3.0)
        after = backbone(image)[0]
    assert not torch.allclose(before, after)


@pytest.mark.parametrize("levels", [0, 2, 4, 6])
def test_other_numbers_of_levels_are_refused(levels):
    with pytest.raises(ValueError, match=f"want 3 or 5 levels, got {levels}"):
        build_backbone(num_levels=levels)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no backbone 'vgg'; want tiny or .*resnet18"):
        build_backbone("vgg")


def test_the_tiny_body_has_no_weights_to_start_from():
    with pytest.raises(ValueError, match="no ImageNet weights"):
        build_backbone("tiny", pretrained=True)


def test_pretrained_asks_torchvision_for_its_imagenet_weights(monkeypatch):
    asked = []

    def get_model(name, weights):
        asked.append((name, weights))
        return torchvision.models.resnet18()

    monkeypatch.setattr(torchvision.models, "get_model", get_model)
    build_backbone("resnet18", pretrained=True)
    build_backbone("resnet18", pretrained=False)
    assert asked == [("resnet18", "IMAGENET1K_V1"), ("resnet18", None)]


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_early_layers_keep_the_imagenet_weights_and_the_others_learn(name, monkeypatch):
    make = torchvision.models.get_model
    monkeypatch.setattr(torchvision.models, "get_model", lambda name, weights: make(name))
    backbone = build_backbone(name, channels=8, pretrained=True)
    sum(maps.sum() for maps in backbone(torch.rand(2, 3, 64, 96))).backward()
    kept = {key for key, part in backbone.named_parameters() if part.grad is None}
    assert kept == {
        key
        for key, _ in backbone.named_parameters()
        if key.startswith(tuple(f"body.{early}" for early in EARLY_LAYERS[name]))
    }
    assert 0 < len(kept) < len(list(backbone.body.parameters()))
    fresh = build_backbone(name, channels=8)
    assert all(part.requires_grad for part in fresh.parameters())


def test_maps_stay_on_the_device(device):
    maps = build_backbone(channels=8).eval().to(device)(torch.rand(1, 3, 32, 32, device=device))
    assert all(features.device.type == device.type for features in maps)
