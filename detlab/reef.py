"""The drawn world: pictures with boxes and masks, as many as you like, from a seed.

A scene is decided first and painted second, so the same scene exists at 128 pixels for the
network and at 512 for the eye. Follows creatures.py and seascape.py; feeds train.py.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64, UInt8
from numpy.random import Generator, SeedSequence, default_rng
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from detlab.creatures import ANIMALS, PALETTES, TILT, Part, turn
from detlab.seascape import Sea, Stamp, foreground, paint_figure, paint_sea, plan_sea
from detlab.types import Target

CLASS_NAMES = ("background", *ANIMALS)
TRAIN_SEED = 1
VAL_SEED = 20261122
MIN_VISIBLE = 0.2  # of an animal's own area; what shows less is drawn but is no target


@dataclass(frozen=True)
class ReefConfig:
    """The dials of the drawn world."""

    image_size: tuple[int, int] = (128, 128)
    """(height, width) in pixels."""
    objects: tuple[int, int] = (1, 6)
    """Fewest and most animals in a picture that has any."""
    object_size: tuple[float, float] = (0.18, 0.5)
    """Longest side of an animal's box as a share of the picture's shorter side, from and to."""
    crowding: float = 0.1
    """0 keeps the animals apart; 1 piles them up."""
    classes: tuple[str, ...] = CLASS_NAMES[1:]
    """Which animals live here."""
    haze: float = 0.3
    """0 is clear water; in 1 far animals all but vanish."""
    contrast: float = 1.0
    """1 is full light; towards 0 everything turns to the same grey."""
    empty_share: float = 0.05
    """Share of the pictures without any animal."""

    def __post_init__(self) -> None:
        """Refuse dials that mean nothing."""
        if min(self.image_size) < 16:
            raise ValueError(f"image_size is (height, width), 16 or more each: {self.image_size}")
        if not 0 <= self.objects[0] <= self.objects[1]:
            raise ValueError(f"objects is (fewest, most), 0 <= fewest <= most: {self.objects}")
        if not 0 < self.object_size[0] <= self.object_size[1] <= 1:
            raise ValueError(f"object_size is (from, to), 0 < from <= to <= 1: {self.object_size}")
        unknown = [name for name in self.classes if name not in ANIMALS]
        if unknown or not self.classes:
            raise ValueError(f"classes are one or more of {CLASS_NAMES[1:]}: {self.classes}")
        for dial in ("crowding", "haze", "contrast", "empty_share"):
            if not 0 <= getattr(self, dial) <= 1:
                raise ValueError(f"{dial} goes from 0 to 1: {getattr(self, dial)}")


@dataclass(frozen=True)
class Scene:
    """One picture and everything that is known about it; M objects, the farthest first."""

    image: UInt8[Tensor, "3 H W"]
    boxes: Float32[Tensor, "M 4"]
    """x1 y1 x2 y2 in pixels, tight around the visible pixels."""
    labels: Int64[Tensor, " M"]
    masks: Bool[Tensor, "M H W"]
    """The visible pixels of each object."""
    visible: Float32[Tensor, " M"]
    """Visible share of the object's own area; the rest is hidden or outside the picture."""

    @property
    def target(self) -> Target:
        """What a detector learns from."""
        return {"boxes": self.boxes, "labels": self.labels}


class Placed(NamedTuple):
    """An animal in its place."""

    label: int
    parts: list[Part]
    """In shorter sides of the picture."""
    distance: float
    """0 is near, 1 is far."""


class Plan(NamedTuple):
    """A scene before it is painted."""

    sea: Sea
    animals: list[Placed]
    foreground: list[Part]


def draw_scene(seed: int, index: int = 0, config: ReefConfig | None = None, **dials: Any) -> Scene:
    """Draw picture `index` of the world `seed`; the same numbers always give the same picture.

    Args:
        seed: names a world of pictures.
        index: names a picture in it, from 0.
        config: the dials.
        dials: single dials by name, over those of `config`.

    Raises:
        ValueError: a dial, seed or index that means nothing.

    >>> scene = draw_scene(seed=3, objects=(2, 2), empty_share=0.0)
    >>> tuple(scene.image.shape), len(scene.boxes)
    ((3, 128, 128), 2)
    """
    if seed < 0 or index < 0:
        raise ValueError(f"seed and index count from 0: seed {seed}, index {index}")
    config = replace(config or ReefConfig(), **dials)
    return paint_scene(plan_scene(seed, index, config), config)


def plan_scene(seed: int, index: int, config: ReefConfig) -> Plan:
    """Decide what is where. Sea and animals have generators of their own, so dials stay apart."""
    sea_rng, rng, *own = (
        default_rng(s) for s in SeedSequence([seed, index]).spawn(2 + config.objects[1])
    )
    height, width = (side / min(config.image_size) for side in config.image_size)
    sea = plan_sea(sea_rng, (height, width), config.haze)
    near = foreground(sea_rng, (height, width)) if sea_rng.random() < 0.3 else []

    count = int(rng.integers(config.objects[0], config.objects[1] + 1))
    if rng.random() < config.empty_share:
        count = 0
    animals: list[Placed] = []
    spots: list[Spot] = []
    for one in own[:count]:
        spot = find_spot(one, spots, (height, width), config)
        animals.append(_animal(one, spot, config.classes))
        spots.append(spot)
    animals.sort(key=lambda animal: -animal.distance)
    return Plan(sea, animals, near)


class Spot(NamedTuple):
    """Where an animal goes: a square of side `size` around (x, y), in shorter sides."""

    x: float
    y: float
    size: float


def find_spot(
    rng: Generator, taken: list[Spot], extent: tuple[float, float], config: ReefConfig
) -> Spot:
    """Find room for one more animal, or a neighbour to crowd."""
    height, width = extent
    small, large = config.object_size
    size = float(small * (large / small) ** rng.random())  # each doubling is as likely
    crowd = rng.random() < config.crowding
    if taken and crowd:
        x, y, other = taken[rng.integers(len(taken))]
        angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.6) * (size + other) / 2
        x = float(np.clip(x + reach * np.cos(angle), 0, width))
        y = float(np.clip(y + reach * np.sin(angle), 0, height))
        return Spot(x, y, size)
    while True:
        margin = size * (0.5 if rng.random() > 0.12 else 0.25)
        spots = [
            Spot(x, y, size)
            for x, y in rng.uniform((margin, margin), (width - margin, height - margin), (10, 2))
        ]
        clash = [max((_overlap(spot, other) for other in taken), default=0.0) for spot in spots]
        best = int(np.argmin(clash))
        if clash[best] == 0 or size <= small:
            return spots[best]
        size = max(small, 0.85 * size)


def _overlap(a: Spot, b: Spot) -> float:
    reach = (a.size + b.size) / 2
    return max(0.0, reach - abs(a.x - b.x)) * max(0.0, reach - abs(a.y - b.y))


def _animal(rng: Generator, spot: Spot, classes: tuple[str, ...]) -> Placed:
    """Pick an animal, its colours and its pose, and bring it to its spot."""
    name = classes[rng.integers(len(classes))]
    palette = PALETTES[rng.integers(len(PALETTES))]
    parts = ANIMALS[name](rng, palette)
    tilt = TILT.get(name, np.pi)
    angle = rng.uniform(-tilt, tilt)
    flip = np.array([rng.choice([-1.0, 1.0]), 1.0])
    outlines = [turn(part.outline, angle) * flip for part in parts]
    solid = np.concatenate([o for o, p in zip(outlines, parts, strict=True) if p.solid])
    low, high = solid.min(axis=0), solid.max(axis=0)
    scale = spot.size / (high - low).max()
    move = np.array([spot.x, spot.y]) - scale * (low + high) / 2
    placed = [p._replace(outline=o * scale + move) for o, p in zip(outlines, parts, strict=True)]
    return Placed(CLASS_NAMES.index(name), placed, float(rng.random()))


def paint_scene(plan: Plan, config: ReefConfig) -> Scene:
    """Turn a plan into pixels, boxes and masks."""
    height, width = config.image_size
    scale = min(height, width)
    picture = paint_sea(plan.sea, config.image_size)
    owner = np.full((height, width), -1, dtype=np.int16)
    areas = []
    for row, animal in enumerate(plan.animals):
        fade = config.haze * (0.1 + 0.75 * animal.distance)
        areas.append(
            _press(paint_figure(animal.parts, scale, plan.sea.murk, fade), picture, owner, row)
        )
    if plan.foreground:
        _press(paint_figure(plan.foreground, scale, plan.sea.murk, 0.0), picture, owner, -1)

    masks = owner[None] == np.arange(len(areas))[:, None, None]
    visible = masks.sum(axis=(1, 2)) / np.maximum(areas, 1)
    keep = visible >= MIN_VISIBLE
    labels = np.array([animal.label for animal in plan.animals], dtype=np.int64)
    return Scene(
        image=_expose(picture, config.contrast),
        boxes=torch.from_numpy(tight_boxes(masks[keep])),
        labels=torch.from_numpy(labels[keep]),
        masks=torch.from_numpy(masks[keep]),
        visible=torch.from_numpy(visible[keep].astype(np.float32)),
    )


def _press(stamp: Stamp, picture: Image.Image, owner: NDArray[np.int16], row: int) -> int:
    """Put a figure on the picture, note whose pixels they are, and return its whole area."""
    picture.paste(stamp.colours, stamp.corner, stamp.coverage)
    (left, top), inside = stamp.corner, np.asarray(stamp.coverage) >= 128
    height, width = owner.shape
    ours = inside[max(0, -top) : height - top, max(0, -left) : width - left]
    owner[max(0, top) : top + inside.shape[0], max(0, left) : left + inside.shape[1]][ours] = row
    return int(inside.sum())


def _expose(picture: Image.Image, contrast: float) -> UInt8[Tensor, "3 H W"]:
    pixels = np.asarray(picture)
    if contrast < 1:
        middle = pixels.mean(axis=(0, 1))
        pixels = (middle + (pixels - middle) * contrast).round().astype(np.uint8)
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def tight_boxes(masks: Bool[np.ndarray, "M H W"]) -> Float32[np.ndarray, "M 4"]:
    """The smallest box around each mask; none of them may be empty.

    >>> mask = np.zeros((1, 5, 5), dtype=bool)
    >>> mask[0, 1:3, 2] = True
    >>> tight_boxes(mask).tolist()
    [[2.0, 1.0, 3.0, 3.0]]
    """
    rows, columns = masks.any(axis=2), masks.any(axis=1)
    boxes = np.stack(
        [
            columns.argmax(axis=1),
            rows.argmax(axis=1),
            masks.shape[2] - columns[:, ::-1].argmax(axis=1),
            masks.shape[1] - rows[:, ::-1].argmax(axis=1),
        ],
        axis=1,
    )
    return boxes.astype(np.float32)


class Reef(Dataset[tuple[Tensor, dict[str, Tensor]]]):
    """Pictures 0 to `length` − 1 of the world `seed`, drawn at their first visit and kept.

    >>> image, target = Reef(seed=3, length=10)[7]
    >>> image.dtype, sorted(target)
    (torch.uint8, ['boxes', 'image_id', 'labels'])
    """

    class_names = CLASS_NAMES

    def __init__(self, seed: int, length: int, config: ReefConfig | None = None) -> None:
        """Nothing is drawn yet."""
        if length < 0:
            raise ValueError(f"length is a number of pictures, 0 or more: {length}")
        self.seed, self.length, self.config = seed, length, config or ReefConfig()
        self._drawn: dict[int, tuple[Tensor, Target]] = {}

    def __len__(self) -> int:
        """The number of pictures."""
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The picture as uint8 [3, H, W] and its boxes, labels and image_id."""
        if not 0 <= index < self.length:
            raise IndexError(f"this reef has pictures 0 to {self.length - 1}, not {index}")
        if index not in self._drawn:
            scene = draw_scene(self.seed, index, self.config)
            self._drawn[index] = scene.image, scene.target
        image, target = self._drawn[index]
        return image, {**target, "image_id": torch.tensor(index)}
