"""How to learn a set of photographs, chosen by what is in it: each choice with its reason.

Uses statistics.py; run.py follows it in all that nobody asked for otherwise. The reef needs no
choice: the values of config.py are tuned for it.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from detlab.data.statistics import SetStatistics
from detlab.data.symmetry import Symmetry
from detlab.detector.backbone import WeightsError, imagenet_weights
from detlab.detector.config import ConfigName, named_config

SECONDS = 900.0
"""A quarter of an hour, where nothing is asked for: photographs are harder than the reef."""
MULTIPLE = 32
"""Pixels: the coarsest stride of the network; a longest side between two is padded to the next."""
SEEN_WELL = 60.0
"""Pixels that a typical object should measure. With 416 instead of 640 pixels, where that is 60,
bccd's val AP was .55 instead of .53 after five minutes of one core, one seed; five drawn sets were
learned best near it, too."""
SHORTEST_SIDE = 256
"""Pixels: in smaller pictures a pretrained body sees little."""
MOST_PIXELS = 640 * 640
"""Of a picture; for more, two cores take seconds. A long and thin one may have longer sides."""
CROP = 288
"""Pixels of a square that costs a fifth of a picture of 640."""
FILLED = 0.8
"""Fraction of a crop that a large object may fill; a larger one is hardly ever seen whole."""
WORTH_CROPPING = 1.3
"""Whole pictures must cost so many times more than crops: these lose what is at their edges."""
CROWDED = 0.6
"""Share of boxes that overlap another, above which an anchor must fit its own object well."""
SHARED = 0.05
"""A smaller part of what tells objects from their mirror images says nothing of their class."""
ONE_SIDED = 0.1
"""With a larger part, left and right differ, as in letters."""
UPRIGHT = 1.05
"""Objects that have an up differ more from themselves upside down than mirrored."""
ENOUGH = 30
"""Objects that were looked at; fewer say nothing of an up, nor of left and right."""


class Choice(NamedTuple):
    """A setting of `train` and why it has this value."""

    name: str
    value: Any
    reason: str

    def __str__(self) -> str:
        """As it could be typed, and why.

        >>> print(Choice("longest_side", 416, "a typical object is then 59 px"))
        --longest-side 416      a typical object is then 59 px
        """
        value = f"{self.value:g}" if isinstance(self.value, float) else self.value
        option = f"--{self.name.replace('_', '-')} {value}"
        return f"{option:<24}{self.reason}"


def choose_config() -> Choice:
    """The detector for photographs, where none was asked for."""
    try:
        imagenet_weights("mobilenet_v2")
    except WeightsError as error:
        return Choice("config", "course", str(error).splitlines()[0])
    return Choice("config", "mobilenet", "its body knows ImageNet, and photographs are few")


def choose(
    statistics: SetStatistics, config_name: ConfigName, given: Mapping[str, Any]
) -> list[Choice]:
    """All that the data decide of a training on photographs, and that nobody asked for.

    Args:
        statistics: of the training split.
        config_name: which detector is to learn.
        given: what was asked for, by name; what hangs on it is chosen to suit it.
    """
    side = choose_longest_side(statistics)
    choices = [
        side,
        choose_crop(statistics, given.get("longest_side", side.value)),
        *choose_flips(statistics.symmetry),
        *choose_thresholds(statistics.overlapping),
        Choice("batch_size", 8, "such pictures take long: more steps in the same time"),
    ]
    if named_config(config_name, num_classes=2).pretrained:
        choices.append(choose_body_rate(statistics.symmetry))
        choices += choose_optimizer(given)
    if "epochs" not in given:
        choices.append(Choice("seconds", SECONDS, "photographs take longer than the reef"))
    return [choice for choice in choices if choice.name not in given]


def choose_longest_side(statistics: SetStatistics) -> Choice:
    """So long that a typical object is seen well, as far as the pictures themselves show more."""
    if not statistics.typical:
        return Choice("longest_side", SHORTEST_SIDE, "there are no boxes to go by")
    wanted = round(SEEN_WELL / statistics.typical / MULTIPLE) * MULTIPLE
    short, long = sorted(statistics.picture_size)
    own = -(-long // MULTIPLE) * MULTIPLE
    affordable = int(math.sqrt(MOST_PIXELS * long / short)) // MULTIPLE * MULTIPLE
    side = max(SHORTEST_SIDE, min(wanted, own, affordable))
    reason = f"a typical object is then {side * statistics.typical:.0f} px"
    if wanted > side:
        limit = "the pictures are no larger" if own == side else "more takes long without a GPU"
        reason += f"; {limit}"
    return Choice("longest_side", side, reason)


def choose_crop(statistics: SetStatistics, side: int) -> Choice:
    """Squares, where whole pictures cost more and no object is too large for one."""
    height, width = (
        -(-round(length * side / max(statistics.picture_size)) // MULTIPLE) * MULTIPLE
        for length in statistics.picture_size
    )
    largest = statistics.large * side
    square = max(CROP, -(-int(largest / FILLED) // MULTIPLE) * MULTIPLE)
    if height * width < WORTH_CROPPING * square**2:
        return Choice("crop", 0, f"whole pictures: {height} x {width} px cost little more")
    saved = height * width / square**2
    return Choice(
        "crop", square, f"squares cost {saved:.1f} times less, and hold objects of {largest:.0f} px"
    )


def choose_flips(symmetry: Symmetry) -> list[Choice]:
    """Mirror images, and images upside down, where these show objects as others are."""
    one_sided = symmetry.objects >= ENOUGH and symmetry.mirrored >= ONE_SIDED
    sides = "differ alike in all of a class" if one_sided else "do not tell a class, as far as seen"
    mirrored = Choice("horizontal_flip", 0.0 if one_sided else 0.5, f"left and right {sides}")
    if has_up(symmetry):
        return [mirrored, Choice("vertical_flip", 0.0, "objects have an up, or too few were seen")]
    return [mirrored, Choice("vertical_flip", 0.5, "objects have no up")]


def has_up(symmetry: Symmetry) -> bool:
    """Whether objects stand upright, as far as can be told; where it cannot, they do."""
    told = symmetry.objects >= ENOUGH
    return not told or symmetry.upside_down >= SHARED or symmetry.uprightness >= UPRIGHT


def choose_thresholds(overlapping: float) -> list[Choice]:
    """What an anchor must overlap: between two objects that touch it must not learn both."""
    positive, negative = (0.6, 0.5) if overlapping > CROWDED else (0.5, 0.4)
    reason = f"{overlapping:.0%} of the boxes overlap another"
    return [
        Choice("positive_iou", positive, reason),
        Choice("negative_iou", negative, "a tenth below"),
    ]


def choose_body_rate(symmetry: Symmetry) -> Choice:
    """A body that knows ImageNet keeps more of that where objects are of its kind."""
    if has_up(symmetry):
        return Choice("body_rate", 0.3, "ImageNet shows such objects: the body knows much")
    return Choice("body_rate", 1.0, "ImageNet shows nothing without an up: the body learns, too")


def choose_optimizer(given: Mapping[str, Any]) -> list[Choice]:
    """What moves a body that knows ImageNet; it learns as well by Muon, and no better."""
    if given.get("optimizer", "adamw") != "adamw":
        return []
    return [
        Choice("optimizer", "adamw", "by it the values for such bodies were found"),
        Choice("learning_rate", 1e-3, "goes with adamw"),
        Choice("schedule", "cosine", "goes with adamw"),
        Choice("quality", 0.0, "goes with adamw"),
    ]
