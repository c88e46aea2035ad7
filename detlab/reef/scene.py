"""The drawn world: pictures with boxes and masks, as many as you like, from a seed.

A scene is decided first and painted second, so the same scene exists at 128 pixels for the
network and at 512 for the eye. Uses creatures.py and seascape.py.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int16, Int64, UInt8
from numpy.random import Generator, SeedSequence, default_rng
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from detlab.reef.creatures import ANIMALS, PALETTES, POSES, SEE_THROUGH, TILT, blend, pose, turn
from detlab.reef.seascape import Cutout, Sea, Stamp, paint_figure, paint_sea, plan_sea
from detlab.types import Target

CLASS_NAMES = ("background", *ANIMALS)
TRAIN_SEED = 1
VAL_SEED = 20261122
FROZEN_LENGTH = 300
NOBODY = -1  # owns the pixels of sea and plants
COVERED = 0.35  # of a pixel makes it the figure's; thin tips count as long as one sees them
CUT_FRACTION = 0.12  # of the animals may swim out of the picture by up to a quarter
MIN_VISIBLE = 0.2  # of an animal's own area; what shows less is drawn but is no target


@dataclass(frozen=True)
class ReefConfig:
    """The dials of the drawn world."""

    image_size: tuple[int, int] = (128, 128)
    """(height, width) in pixels."""
    objects: tuple[int, int] = (1, 6)
    """Fewest and most animals in a picture that has any."""
    object_size: tuple[float, float] = (0.2, 0.55)
    """Longest side of an animal's box as a fraction of the picture's shorter side, from and to."""
    crowding: float = 0.1
    """0 keeps the animals apart; 1 piles them up."""
    classes: tuple[str, ...] = CLASS_NAMES[1:]
    """Which animals live here."""
    haze: float = 0.25
    """0 is clear water; in 1 far animals all but vanish."""
    contrast: float = 1.0
    """1 is full light; towards 0 everything turns to the same grey."""
    empty_fraction: float = 0.05
    """Fraction of the pictures without any animal."""

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
        for dial in ("crowding", "haze", "contrast", "empty_fraction"):
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
    """Visible fraction of the object's own area; the rest is hidden or outside the picture."""

    @property
    def target(self) -> Target:
        """What a detector learns from."""
        return {"boxes": self.boxes, "labels": self.labels}


class Placed(NamedTuple):
    """An animal in its place."""

    label: int
    cutout: Cutout
    distance: float
    """0 is near, 1 is far."""


class Plan(NamedTuple):
    """A scene before it is painted."""

    sea: Sea
    animals: list[Placed]
    """The farthest first."""


def draw_scene(seed: int, index: int = 0, config: ReefConfig | None = None, **dials: Any) -> Scene:
    """Draw picture `index` of the world `seed`; the same numbers always give the same picture.

    Args:
        seed: names a world of pictures.
        index: names a picture in it, from 0.
        config: the dials.
        dials: single dials by name, over those of `config`.

    Raises:
        ValueError: a dial, seed or index that means nothing.

    >>> scene = draw_scene(seed=3, objects=(2, 2), empty_fraction=0.0)
    >>> tuple(scene.image.shape), len(scene.boxes)
    ((3, 128, 128), 2)
    """
    if seed < 0 or index < 0:
        raise ValueError(f"seed and index count from 0: seed {seed}, index {index}")
    config = replace(config or ReefConfig(), **dials)
    return paint_scene(plan_scene(seed, index, config), config)


def plan_scene(seed: int, index: int, config: ReefConfig) -> Plan:
    """Decide what is where; sea and animals have generators of their own, so dials stay apart."""
    seeds = SeedSequence([seed, index]).spawn(3)
    sea_rng, place_rng, animal_rng = (default_rng(child) for child in seeds)
    height, width = (side / min(config.image_size) for side in config.image_size)
    sea = plan_sea(sea_rng, (height, width), config.haze)

    count = int(place_rng.integers(config.objects[0], config.objects[1] + 1))
    if place_rng.random() < config.empty_fraction:
        count = 0
    spots: list[Spot] = []
    for _ in range(count):
        spots.append(find_spot(place_rng, spots, (height, width), config))
    animals = [place_animal(animal_rng, spot, config.classes) for spot in spots]
    return Plan(sea, sorted(animals, key=lambda animal: -animal.distance))


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
        x = float(np.clip(x + reach * np.cos(angle), 0.3 * size, width - 0.3 * size))
        y = float(np.clip(y + reach * np.sin(angle), 0.3 * size, height - 0.3 * size))
        return Spot(x, y, size)
    while True:
        margin = size * (0.5 if rng.random() > CUT_FRACTION else 0.25)
        places = rng.uniform((margin, margin), (width - margin, height - margin), (10, 2))
        clash = _clash(places, size, taken)
        best = int(clash.argmin())
        if clash[best] == 0 or size <= small:
            return Spot(float(places[best, 0]), float(places[best, 1]), size)
        size = max(small, 0.85 * size)


def _clash(
    places: Float[np.ndarray, "P 2"], size: float, taken: list[Spot]
) -> Float[np.ndarray, " P"]:
    """How much a new spot would overlap the taken one that it overlaps most; 0 is free."""
    if not taken:
        return np.zeros(len(places))
    others = np.array(taken)
    reach = (size + others[:, 2, None]) / 2  # [taken, 1]
    gap = np.abs(places[:, None] - others[:, :2])  # [places, taken, 2]
    return np.asarray(np.maximum(reach - gap, 0).prod(axis=2).max(axis=1))


def place_animal(rng: Generator, spot: Spot, classes: tuple[str, ...]) -> Placed:
    """Pick an animal, its colours and its pose, and bring it to its spot."""
    name = classes[rng.integers(len(classes))]
    figure = pose(name, int(rng.integers(POSES)))
    first, second = rng.integers(len(PALETTES), size=2)
    amount, light = float(rng.uniform(0, 0.35)), float(rng.uniform(-0.25, 0.25))
    palette = blend(PALETTES[first], PALETTES[second], amount, light)
    lean = TILT.get(name, np.pi)
    flip = np.array([rng.choice([-1.0, 1.0]), 1.0])
    figure = figure._replace(points=turn(figure.points, rng.uniform(-lean, lean)) * flip)

    solid = figure.solid_points
    low, high = solid.min(axis=0), solid.max(axis=0)
    points = (figure.points - (low + high) / 2) * (spot.size / (high - low).max())
    cutout = Cutout(figure._replace(points=points + np.array([spot.x, spot.y])), palette)
    return Placed(CLASS_NAMES.index(name), cutout, float(rng.random()))


def paint_scene(plan: Plan, config: ReefConfig) -> Scene:
    """Turn a plan into pixels, boxes and masks."""
    scale, murk = min(config.image_size), plan.sea.murk
    picture = paint_sea(plan.sea, config.image_size)
    owner = np.full(config.image_size, NOBODY, dtype=np.int16)
    areas = []
    for row, animal in enumerate(plan.animals):
        fade = config.haze * (0.1 + 0.75 * animal.distance)
        opacity = SEE_THROUGH.get(CLASS_NAMES[animal.label], 1.0)
        stamp = paint_figure(animal.cutout, scale, murk, fade)
        areas.append(_press(stamp, picture, owner, row, opacity))
    for cutout in plan.sea.foreground:
        _press(paint_figure(cutout, scale, murk, 0.0), picture, owner, NOBODY)

    masks = np.equal(owner[None], np.arange(len(areas))[:, None, None])
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


def _press(
    stamp: Stamp,
    picture: UInt8[np.ndarray, "H W 3"],
    owner: Int16[np.ndarray, "H W"],
    row: int,
    opacity: float = 1.0,
) -> int:
    """Put a figure on the picture, note whose pixels they are, and return its whole area."""
    (left, top), (high, wide) = stamp.corner, stamp.coverage.shape
    height, width = owner.shape
    there = np.s_[max(0, top) : max(0, top + high), max(0, left) : max(0, left + wide)]
    here = np.s_[max(0, -top) : max(0, height - top), max(0, -left) : max(0, width - left)]
    coverage, under = stamp.coverage[here], picture[there]
    under[:] = under + (stamp.colours[here] - under) * (opacity * coverage)[:, :, None]
    owner[there][coverage >= COVERED] = row
    return int((stamp.coverage >= COVERED).sum())


def _expose(picture: UInt8[np.ndarray, "H W 3"], contrast: float) -> UInt8[Tensor, "3 H W"]:
    """Bring the picture's light closer to its mean, and to torch."""
    if contrast < 1:
        middle = picture.mean(axis=(0, 1))
        picture = (middle + (picture - middle) * contrast).round().astype(np.uint8)
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))


def tight_boxes(masks: Bool[np.ndarray, "M H W"]) -> Float32[np.ndarray, "M 4"]:
    """The smallest box around each mask; none of them may be empty.

    >>> mask = np.zeros((1, 5, 5), dtype=bool)
    >>> mask[0, 1:3, 2] = True
    >>> tight_boxes(mask).tolist()
    [[2.0, 1.0, 3.0, 3.0]]
    """
    rows, columns = np.asarray(masks.any(axis=2)), np.asarray(masks.any(axis=1))
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

    def resized(self, longest_side: int) -> "Reef":
        """The same world drawn in pictures of another size."""
        scale = longest_side / max(self.config.image_size)
        height, width = (round(side * scale) for side in self.config.image_size)
        return Reef(self.seed, self.length, replace(self.config, image_size=(height, width)))

    def draw(self, workers: int) -> None:
        """Draw all pictures now, with so many processes, instead of each at its first visit.

        A tensor that came from another process is an open file, so copies are kept.
        """
        rows, draw_one = cast(Any, range(self.length)), cast(Any, self._draw_one)
        scenes: DataLoader[Any] = DataLoader(
            rows, batch_size=None, num_workers=workers, collate_fn=draw_one
        )
        for index, (image, target) in enumerate(scenes):
            boxes, labels = target["boxes"].clone(), target["labels"].clone()
            self._drawn[index] = image.clone(), Target(boxes=boxes, labels=labels)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The picture as uint8 [3, H, W] and its boxes, labels and image_id."""
        if not 0 <= index < self.length:
            raise IndexError(f"this reef has pictures 0 to {self.length - 1}, not {index}")
        if index not in self._drawn:
            self._drawn[index] = self._draw_one(index)
        image, target = self._drawn[index]
        return image, {
            "boxes": target["boxes"],
            "labels": target["labels"],
            "image_id": torch.tensor(index),
        }

    def _draw_one(self, index: int) -> tuple[Tensor, Target]:
        scene = draw_scene(self.seed, index, self.config)
        return scene.image, scene.target


# The frozen evaluation set --------------------------------------------------------------------
