"""Image to feature maps: a body that sees, a pyramid that joins fine and coarse.

Level by level the maps get coarser: a cell of stride 8 answers for 8 × 8 pixels.

The pyramid is from Lin et al., "Feature Pyramid Networks", CVPR 2017; residual blocks are from
He et al., "Deep Residual Learning", CVPR 2016.
"""

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path

import torch
import torch.nn.functional as F
import torchvision
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation, FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock, LastLevelP6P7

from detlab.errors import DetlabError

TORCHVISION_BODIES: Mapping[str, tuple[dict[str, str], list[int]]] = {
    "mobilenet_v2": ({"features.6": "8", "features.13": "16", "features.18": "32"}, [32, 96, 1280]),
    "resnet18": ({"layer2": "8", "layer3": "16", "layer4": "32"}, [128, 256, 512]),
    "resnet34": ({"layer2": "8", "layer3": "16", "layer4": "32"}, [128, 256, 512]),
    "resnet50": ({"layer2": "8", "layer3": "16", "layer4": "32"}, [512, 1024, 2048]),
}
"""Where torchvision's classifiers leave their maps of stride 8, 16 and 32; the maps' channels."""
RESNETS = ("resnet18", "resnet34", "resnet50")
LAYERS: Mapping[str, tuple[str, ...]] = {
    "mobilenet_v2": tuple(f"features.{block}" for block in range(19)),
    **dict.fromkeys(
        RESNETS,
        ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"),
    ),
}
"""Which layers a picture passes, in their order, up to the last map."""
EARLY_LAYERS: Mapping[str, tuple[str, ...]] = {
    "mobilenet_v2": tuple(f"features.{block}." for block in range(7)),
    **dict.fromkeys(RESNETS, ("conv1.", "bn1.", "layer1.")),
}
"""What sees edges and colours, in any picture alike: ImageNet's weights are kept there."""


IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class WeightsError(DetlabError, RuntimeError):
    """ImageNet weights that cannot be fetched or read; says what to do."""


class Normalise(nn.Module):
    """Pixel values as the body expects them: less the mean, divided by the spread."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Float[Tensor, "B 3 H W"]:
        """[B, 3, H, W], uint8 or float from 0 to 1."""
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"want images [B, 3, H, W], got {list(images.shape)}")
        if images.dtype == torch.uint8:
            images = images / 255
        return ((images - self.mean) / self.std).to(self.mean.dtype)  # as the weights have it


class ResidualBlock(nn.Module):
    """Two convolutions and a way around them; the first may halve the map."""

    def __init__(self, channels_in: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.first = Conv2dNormActivation(channels_in, channels, 3, stride)
        self.second = Conv2dNormActivation(channels, channels, 3, activation_layer=None)
        same = stride == 1 and channels_in == channels
        self.around = (
            nn.Identity()
            if same
            else Conv2dNormActivation(channels_in, channels, 1, stride, activation_layer=None)
        )

    def forward(self, features: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C2 H2 W2"]:
        """Add what the two convolutions found to what came in."""
        return F.relu(self.around(features) + self.second(self.first(features)))


class TinyBody(nn.Module):
    """The course's own network, small enough to train from nothing in minutes on a laptop."""

    def __init__(self, channels: Sequence[int] = (32, 64, 128, 160)) -> None:
        super().__init__()
        quarter, eighth, sixteenth, thirtysecond = channels
        self.stem = nn.Sequential(
            Conv2dNormActivation(3, quarter, 3, stride=2), ResidualBlock(quarter, quarter, stride=2)
        )
        self.stages = nn.ModuleDict(
            {
                "8": ResidualBlock(quarter, eighth, stride=2),
                "16": ResidualBlock(eighth, sixteenth, stride=2),
                "32": ResidualBlock(sixteenth, thirtysecond, stride=2),
            }
        )

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> dict[str, Float[Tensor, "B _ _ _"]]:
        """Maps of stride 8, 16 and 32, by name."""
        features, maps = self.stem(images), {}
        for name, stage in self.stages.items():
            maps[name] = features = stage(features)
        return maps


class ClassifierBody(nn.Module):
    """A classifier of torchvision without its last layers, which name the whole picture.

    Args:
        classifier: its layers are taken over as they are, under their own names.
        layers: the chain of those that a picture passes.
        nodes: which of them leave a map, and the map's name.
    """

    def __init__(
        self, classifier: nn.Module, layers: Sequence[str], nodes: Mapping[str, str]
    ) -> None:
        super().__init__()
        self.layers, self.nodes = layers, nodes
        for name in dict.fromkeys(layer.split(".")[0] for layer in layers):
            self.add_module(name, classifier.get_submodule(name))

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> dict[str, Float[Tensor, "B _ _ _"]]:
        """Maps by name, finest first."""
        features, maps = images, {}
        for layer in self.layers:
            features = self.get_submodule(layer)(features)
            if layer in self.nodes:
                maps[self.nodes[layer]] = features
        return maps


class PyramidBackbone(nn.Module):
    """A body, and a pyramid that tells its fine maps what the coarse ones see."""

    def __init__(self, body: nn.Module, pyramid: FeaturePyramidNetwork) -> None:
        super().__init__()
        self.body = body
        self.pyramid = pyramid

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> list[Float[Tensor, "B C _ _"]]:
        """One map per level, finest first."""
        return list(self.pyramid(self.body(images)).values())


def build_backbone(
    name: str = "tiny",
    channels: int = 64,
    pretrained: bool = False,
    num_levels: int = 3,
) -> PyramidBackbone:
    """A body by name with a pyramid on top.

    Args:
        name: "tiny", or one of torchvision's: mobilenet_v2, resnet18, resnet34, resnet50.
        channels: of every pyramid level.
        pretrained: start from torchvision's ImageNet weights, downloaded to TORCH_HOME; the early
            layers keep them, which saves up to half of a training step.
        num_levels: 3, or 5 with strides 64 and 128 for large pictures, as RetinaNet has.

    Raises:
        ValueError: an unknown name, another number of levels, or pretrained weights for "tiny",
            which has none.
        WeightsError: the ImageNet weights are not here and cannot be fetched, or are damaged.
    """
    if num_levels not in (3, 5):
        raise ValueError(f"want 3 or 5 levels, got {num_levels}")
    if name == "tiny":
        if pretrained:
            raise ValueError("the tiny body has no ImageNet weights; want pretrained=False")
        widths = [64, 128, 160]
        body: nn.Module = TinyBody((32, *widths))
    elif name in TORCHVISION_BODIES:
        nodes, widths = TORCHVISION_BODIES[name]
        classifier = torchvision.models.get_model(name, weights=None)
        if pretrained:
            classifier.load_state_dict(imagenet_weights(name))
            freeze(classifier, EARLY_LAYERS[name])
        body = ClassifierBody(classifier, LAYERS[name], nodes)
    else:
        raise ValueError(f"no backbone {name!r}; want tiny or one of {sorted(TORCHVISION_BODIES)}")
    extra: ExtraFPNBlock | None = LastLevelP6P7(channels, channels) if num_levels == 5 else None
    return PyramidBackbone(body, FeaturePyramidNetwork(widths, channels, extra))


def imagenet_weights(name: str) -> Mapping[str, Tensor]:
    """The ImageNet weights of torchvision's classifier, from TORCH_HOME or downloaded to it.

    Raises:
        WeightsError: says which file, and what to do.
    """
    weights = torchvision.models.get_model_weights(name)["IMAGENET1K_V1"]
    try:
        with redirect_stdout(sys.stderr):  # standard output is for answers
            return weights.get_state_dict(check_hash=True, weights_only=True)
    except Exception as error:  # a damaged file can raise anything
        file = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
        raise WeightsError(
            f"no ImageNet weights for {name}: {getattr(error, 'reason', error)}\n"
            f"remove {file} if it is there, and go online for the next run; or train "
            "`--config course`, which needs none"
        ) from error


def freeze(body: nn.Module, layers: tuple[str, ...]) -> None:
    """Let the weights of some layers be as they are; `layers` are the beginnings of their names.

    The means and variances of their batch norms still follow the data.
    """
    for name, parameter in body.named_parameters():
        if name.startswith(layers):
            parameter.requires_grad_(False)
