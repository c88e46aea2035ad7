"""Image to feature maps: sizes, strides, names, and torchvision's own classifiers."""

import copy
import os
from http.client import IncompleteRead
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision
from torch.testing import assert_close

from detlab.detector import backbone
from detlab.detector.backbone import (
    EARLY_LAYERS,
    IMAGENET_MEAN,
    IMAGENET_STD,
    TORCHVISION_BODIES,
    ResidualBlock,
    TinyBody,
    WeightsError,
    build_backbone,
)


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


@pytest.mark.parametrize("name", ["tiny", "resnet18", "mobilenet_v2"])
@pytest.mark.parametrize("training", [True, False])
def test_a_copy_is_in_the_mode_of_its_original(name, training):
    """Batch norms read another mean in training: a copy in another mode predicts something else."""
    original = build_backbone(name, channels=8).train(training)
    modes = [part.training for part in copy.deepcopy(original).modules()]
    assert modes == [training] * len(modes)


def test_a_block_that_keeps_its_size_adds_to_what_came_in():
    block = ResidualBlock(4, 4).eval()
    with torch.no_grad():
        for parameter in block.second.parameters():
            parameter.zero_()  # now the two convolutions find nothing
    features = torch.rand(1, 4, 5, 7)
    assert_close(block(features), features)


def test_a_block_can_take_away_from_what_came_in():
    """What the two convolutions found is added as it is: above 0, features could only grow."""
    block = ResidualBlock(4, 4).eval()
    with torch.no_grad():
        block.second[1].weight.zero_()
        block.second[1].bias.fill_(-0.25)  # now they find a quarter too much everywhere
    features = 0.5 + torch.rand(1, 4, 5, 7)
    assert_close(block(features), features - 0.25)


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


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Where torchvision keeps weights; nothing is fetched."""

    def offline(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    return tmp_path / "hub" / "checkpoints"


def weights_file(hub):
    """Where the weights of ResNet-18 lie, or would."""
    hub.mkdir(parents=True, exist_ok=True)
    return hub / Path(torchvision.models.ResNet18_Weights.IMAGENET1K_V1.url).name


def test_pretrained_takes_torchvisions_imagenet_weights(hub):
    torch.manual_seed(5)
    there = torchvision.models.resnet18()
    torch.save(there.state_dict(), weights_file(hub))
    body = build_backbone("resnet18", pretrained=True).body
    for name, part in body.named_parameters():
        assert torch.equal(part, there.get_parameter(name))
    other = build_backbone("resnet18", pretrained=False).body
    assert not torch.equal(other.get_parameter("conv1.weight"), there.conv1.weight)


@pytest.mark.parametrize("name", TORCHVISION_BODIES)
def test_the_pixels_are_normalised_as_torchvisions_weights_want_them(name):
    wanted = torchvision.models.get_model_weights(name)["IMAGENET1K_V1"].transforms()
    assert (tuple(wanted.mean), tuple(wanted.std)) == (IMAGENET_MEAN, IMAGENET_STD)


def test_weights_that_are_not_here_are_told_with_a_way_out(hub):
    with pytest.raises(WeightsError, match=r"(?s)resnet18: no route to host\n.*--config course"):
        build_backbone("resnet18", pretrained=True)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 cut short"])
def test_damaged_weights_are_named(hub, content):
    path = weights_file(hub)
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=path.name):
        build_backbone("resnet18", pretrained=True)


@pytest.mark.parametrize("error", [RuntimeError("invalid hash value"), IncompleteRead(b"")])
def test_a_download_that_breaks_is_told_and_stays_out_of_a_program_s_answer(
    hub, error, monkeypatch, capsys
):
    def broken(*_, **__):
        print("as much of it as there was")
        raise error

    monkeypatch.setattr(torch.hub, "download_url_to_file", broken)
    with pytest.raises(WeightsError, match="no ImageNet weights for resnet18"):
        build_backbone("resnet18", pretrained=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "as much of it as there was" in err


class Trap:
    """As a pickle it makes a folder when it is loaded."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_weights_are_never_run_as_a_pickle(hub, tmp_path):
    torch.save({"conv1.weight": Trap(tmp_path / "sprung")}, weights_file(hub))
    with pytest.raises(WeightsError):
        build_backbone("resnet18", pretrained=True)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_early_layers_keep_the_imagenet_weights_and_the_others_learn(name, monkeypatch):
    fresh = torchvision.models.get_model(name, weights=None)
    monkeypatch.setattr(backbone, "imagenet_weights", lambda name: fresh.state_dict())
    learning = build_backbone(name, channels=8, pretrained=True)
    sum(maps.sum() for maps in learning(torch.rand(2, 3, 64, 96))).backward()
    kept = {key for key, part in learning.named_parameters() if part.grad is None}
    assert kept == {
        key
        for key, _ in learning.named_parameters()
        if key.startswith(tuple(f"body.{early}" for early in EARLY_LAYERS[name]))
    }
    assert 0 < len(kept) < len(list(learning.body.parameters()))
    fresh = build_backbone(name, channels=8)
    assert all(part.requires_grad for part in fresh.parameters())


@pytest.mark.parametrize(
    ("name", "first"),
    [("mobilenet_v2", "features.7."), ("resnet18", "layer2."), ("resnet50", "layer2.")],
)
def test_the_first_layer_that_learns_is_the_same_in_every_version(name, first, monkeypatch):
    fresh = torchvision.models.get_model(name, weights=None)
    monkeypatch.setattr(backbone, "imagenet_weights", lambda name: fresh.state_dict())
    body = build_backbone(name, channels=8, pretrained=True).body
    learning = [key for key, part in body.named_parameters() if part.requires_grad]
    keys = [key for key, _ in body.named_parameters()]  # in the order that a picture passes them
    assert learning[0].startswith(first)
    assert learning == keys[keys.index(learning[0]) :]


def test_maps_stay_on_the_device(device):
    maps = build_backbone(channels=8).eval().to(device)(torch.rand(1, 3, 32, 32, device=device))
    assert all(features.device.type == device.type for features in maps)
