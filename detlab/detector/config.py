"""What a detector is made of: settings that are stored with its weights.

model.py builds a detector from them.
"""

from dataclasses import dataclass, replace
from typing import Literal

from detlab.types import Activation


@dataclass(frozen=True)
class DetectorConfig:
    """What the detector is made of; stored with its weights."""

    num_classes: int
    """Background counts as one."""
    backbone: str = "tiny"
    """tiny, mobilenet_v2, resnet18, resnet34 or resnet50."""
    pretrained: bool = False
    """Start from ImageNet weights."""
    channels: int = 64
    """Of every pyramid level and of the head."""
    head_depth: int = 1
    """Convolutions before the last one, in each of the head's two branches."""
    last_kernel: int = 3
    """Side, in cells, of the kernel that gives the answers at the end of each branch; odd."""
    anchor_sizes: tuple[tuple[float, ...], ...] = ((16.0, 24.0), (32.0, 48.0), (64.0, 96.0))
    """Per level, finest first: square roots of the anchors' areas, in pixels. 3 levels or 5."""
    aspect_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    """Height / width."""
    activation: Activation = "softmax"
    """softmax: one choice, background among them; sigmoid: a yes or no per class."""
    longest_side: int = 128
    """Pixels; to this length pictures are brought before the network sees them."""

    def __post_init__(self) -> None:
        """Refuse settings that build no detector."""
        if self.num_classes < 2:
            raise ValueError(f"want background and a class at least, got {self.num_classes}")
        if self.activation not in ("sigmoid", "softmax"):
            raise ValueError(f"want activation sigmoid or softmax, got {self.activation!r}")
        if self.last_kernel < 1 or self.last_kernel % 2 == 0:
            raise ValueError(f"last_kernel is odd, 1 or more, got {self.last_kernel}")
        if len(self.anchor_sizes) not in (3, 5) or len(set(map(len, self.anchor_sizes))) != 1:
            raise ValueError(f"want as many sizes on each of 3 or 5 levels: {self.anchor_sizes}")
        lengths = (self.longest_side, *self.aspect_ratios, *sum(self.anchor_sizes, ()))
        if not self.aspect_ratios or not self.anchor_sizes[0] or min(lengths) <= 0:
            raise ValueError(f"sizes and aspect ratios are above 0, got {lengths}")


ConfigName = Literal["course", "mobilenet", "resnet18", "resnet50"]


def named_config(
    name: ConfigName, num_classes: int, longest_side: int | None = None
) -> DetectorConfig:
    """One of the four detectors that the course speaks of.

    Args:
        name: which one.
        num_classes: "background" included.
        longest_side: in pixels, if not its own; its anchors grow along.

    Raises:
        ValueError: no such name.

    >>> named_config("mobilenet", num_classes=4).longest_side
    320
    """
    course = DetectorConfig(num_classes)
    large = replace(
        course,
        pretrained=True,
        channels=128,
        head_depth=2,
        anchor_sizes=((24.0, 36.0), (54.0, 80.0), (120.0, 180.0)),
        longest_side=320,
    )
    thirds = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
    configs = {
        "course": replace(course, last_kernel=1),
        "mobilenet": replace(large, backbone="mobilenet_v2", channels=96, head_depth=1),
        "resnet18": replace(large, backbone="resnet18"),
        "resnet50": replace(
            large,
            backbone="resnet50",
            channels=256,
            head_depth=4,
            anchor_sizes=tuple(tuple(32 * 2**level * t for t in thirds) for level in range(5)),
            longest_side=640,
        ),
    }
    if name not in configs:
        raise ValueError(f"no config {name!r}; want one of {sorted(configs)}")
    config = configs[name]
    return config if longest_side is None else scaled(config, longest_side)


def scaled(config: DetectorConfig, longest_side: int) -> DetectorConfig:
    """The same detector for pictures of another longest side (pixels): its anchors grow along.

    >>> scaled(DetectorConfig(num_classes=2), longest_side=256).anchor_sizes[0]
    (32.0, 48.0)
    """
    factor = longest_side / config.longest_side
    sizes = tuple(tuple(size * factor for size in level) for level in config.anchor_sizes)
    return replace(config, longest_side=longest_side, anchor_sizes=sizes)
