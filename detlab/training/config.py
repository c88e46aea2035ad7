"""How long and how fast a detector learns: settings that are stored with a run.

Uses no other file; loop.py follows them, and recipe.py chooses some by the data.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from detlab.hardware import Precision

DEFAULT_SECONDS = 300.0
"""Five minutes of training bring the course's detector to its goal on two processor cores."""
FRACTIONS = (
    *("body_rate", "warmup", "weight_decay", "average_decay"),
    *("horizontal_flip", "vertical_flip", "positive_iou", "negative_iou", "quality"),
)
"""Settings from 0 to 1."""
ABOVE_0 = (
    *("seconds", "epochs", "batch_size", "crop"),
    *("learning_rate", "muon_rate", "clip_norm"),
)
"""Settings above 0, where they are given at all."""
Algorithm = Literal["adamw", "muon"]
Schedule = Literal["cosine", "flat"]
CHOICES: Mapping[str, tuple[str, ...]] = {
    "optimizer": get_args(Algorithm),
    "schedule": get_args(Schedule),
}


@dataclass(frozen=True)
class CommonSettings:
    """Settings whose values suit all data."""

    seconds: float | None = None
    """Stop after so much time of training; where neither this nor epochs is given, after 300, and
    with photographs after 900."""
    epochs: float | None = None
    """Stop after so many rounds through the data; give this or seconds."""
    muon_rate: float = 0.02
    """Muon's, at its highest."""
    warmup: float = 0.05
    """Fraction of the run in which the rates grow from 0."""
    weight_decay: float = 0.05
    """Pull of every weight towards 0."""
    box_weight: float = 5.0
    """The lambda in L = Lcls + lambda * Lbox."""
    clip_norm: float = 10.0
    """Longer gradients are shortened to this."""
    average_decay: float = 0.995
    """Fraction of the past in the averaged weights, per step; less in the first steps of a run."""
    seed: int = 0
    """Decides the order of pictures and their augmentation."""
    multiscale: float = 1.0
    """Each batch is shown up to so many times larger or smaller; 1 leaves its size."""
    precision: Precision = "auto"
    """auto: bfloat16 where the processor computes with it, else float16 on a GPU, else float32."""
    compile: bool = False
    """Let torch.compile fuse the network: a slow first step, faster ones after."""
    workers: int | None = None
    """Processes that load pictures; None: none on a CPU, up to 8 beside a GPU."""


@dataclass(frozen=True)
class TrainConfig(CommonSettings):
    """How long and how fast to learn: all settings, with the values that suit the reef."""

    batch_size: int = 16
    """Pictures a step, on each process."""
    optimizer: Algorithm = "muon"
    """muon: for the weights of convolutions, and AdamW for all others."""
    learning_rate: float = 3e-3
    """AdamW's, at its highest, after the warm-up."""
    schedule: Schedule = "flat"
    """How the rates fall after the warm-up: along half a cosine, or not before the last 60 %."""
    body_rate: float = 1.0
    """Fraction of the rates for the body: less than 1 where it has learned on ImageNet already."""
    quality: float = 0.5
    """How far a score is to say how well its box fits: 0 wants 1 of every positive, 1 its IoU."""
    positive_iou: float = 0.4
    """An anchor that overlaps an object so well learns it; lower means more who learn, sooner."""
    negative_iou: float = 0.3
    """An anchor that overlaps all objects less learns background."""
    zoom: float | None = None
    """Each picture is shown up to so many times larger or smaller, with black around it where that
    leaves room; 1 leaves its size. None: 1.1 for the reef, 1.4 for photographs, which are few."""
    horizontal_flip: float = 0.5
    """Chance that a picture is mirrored; 0 where left and right differ, as in letters."""
    vertical_flip: float = 0.0
    """Chance that a photograph is shown upside down; 0.5 where there is no up, as among cells."""
    crop: int | None = None
    """Learn from squares of so many pixels cut out of photographs; None: from whole ones. The
    detector sees small objects large, and a step costs no more."""

    def __post_init__(self) -> None:
        """Refuse settings that train nothing.

        Raises:
            ValueError: says which, and what it may be.
        """
        if self.seconds is not None and self.epochs is not None:
            raise ValueError(f"give seconds or epochs, not both: {self.seconds} and {self.epochs}")
        for name, value in asdict(self).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name} is a finite number, got {value}")
        for name in ABOVE_0:
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} is above 0, got {value}")
        if self.box_weight < 0:
            raise ValueError(f"box_weight scales a loss, it cannot be negative: {self.box_weight}")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is one of {choices}, got {getattr(self, name)!r}")
        for name in FRACTIONS:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is from 0 to 1, got {getattr(self, name)}")
        if self.negative_iou > self.positive_iou:
            raise ValueError(
                "want negative_iou <= positive_iou, "
                f"got {self.negative_iou} and {self.positive_iou}"
            )
        if self.workers is not None and self.workers < 0:
            raise ValueError(f"workers is 0 or more, got {self.workers}")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed is from 0 to 2**63 - 1, got {self.seed}")
        for name in ("multiscale", "zoom"):
            factor = getattr(self, name)
            if factor is not None and factor < 1:
                raise ValueError(f"{name} is 1, or a factor above it, got {factor}")


@dataclass(frozen=True)
class TrainOptions(CommonSettings):
    """How long and how fast to learn, as far as somebody asked for it; the data decide the rest."""

    batch_size: int | None = None
    """Pictures a step, on each process."""
    optimizer: Algorithm | None = None
    """muon: for the weights of convolutions, and AdamW for all others."""
    learning_rate: float | None = None
    """AdamW's, at its highest, after the warm-up."""
    schedule: Schedule | None = None
    """How the rates fall after the warm-up: along half a cosine, or not before the last 60 %."""
    body_rate: float | None = None
    """Fraction of the rates for the body: less than 1 where ImageNet taught it what is needed."""
    quality: float | None = None
    """How far a score is to say how well its box fits: 0 wants 1 of every positive, 1 its IoU."""
    positive_iou: float | None = None
    """An anchor that overlaps an object so well learns it; lower means more who learn, sooner."""
    negative_iou: float | None = None
    """An anchor that overlaps all objects less learns background."""
    zoom: float | None = None
    """Each picture is shown up to so many times larger or smaller; 1 leaves its size."""
    horizontal_flip: float | None = None
    """Chance that a picture is mirrored."""
    vertical_flip: float | None = None
    """Chance that a photograph is shown upside down."""
    crop: int | None = None
    """Learn from squares of so many pixels cut out of photographs; 0: from whole ones."""

    def __post_init__(self) -> None:
        """Refuse what trains nothing.

        Raises:
            ValueError: says which, and what it may be.
        """
        self.complete()

    @property
    def given(self) -> dict[str, Any]:
        """What was asked for, and the settings that suit all data."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def complete(self, **chosen: Any) -> TrainConfig:
        """All settings: those asked for, else those chosen, else the ones that suit the reef.

        Of the two thresholds of matching, one that was asked for moves the other if it must.

        >>> TrainOptions(positive_iou=0.25).complete(batch_size=8).negative_iou
        0.25
        """
        values = asdict(TrainConfig()) | chosen | self.given
        if "positive_iou" in self.given and "negative_iou" not in self.given:
            values["negative_iou"] = min(values["negative_iou"], values["positive_iou"])
        if "negative_iou" in self.given and "positive_iou" not in self.given:
            values["positive_iou"] = max(values["negative_iou"], values["positive_iou"])
        return TrainConfig(**values | {"crop": values["crop"] or None})
