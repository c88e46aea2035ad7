"""A drawn data set with the faults of real ones, planted and listed: what an audit ought to find.

Uses scene.py and known_faults.py. Lesson 11 goes on with it where there are no photographs.

As in photographs of blood cells, each class has a size of its own, and some scenes were taken
twice, the camera moved and the light changed in between, once for training and once for testing.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from numpy.random import Generator, SeedSequence, default_rng
from PIL import Image
from torch import Tensor

from detlab.audit.known_faults import KnownFault
from detlab.boxes import xyxy_to_xywh
from detlab.files import write_atomically
from detlab.reef.scene import (
    CLASS_NAMES,
    Plan,
    ReefConfig,
    Scene,
    Spot,
    find_spot,
    paint_scene,
    place_animal,
    tight_boxes,
)
from detlab.reef.seascape import plan_sea

HEIGHT, WIDTH = 240, 320
"""Pixels of a picture."""
ROOM = (36, 48)
"""Pixels by which a scene is higher and wider than a picture: so far the camera can move."""
VISIBLE = 0.4
"""Fraction of an animal that a picture must show; below it the animal has no box."""
NAMES = ("background", "fish", "turtle", "shark")
FISH, TURTLE, SHARK = 1, 2, 3
SHOAL = (
    ("shark", (0, 1), (0.48, 0.52)),
    ("turtle", (3, 6), (0.16, 0.24)),
    ("fish", (1, 3), (0.075, 0.085)),
)
"""Class, fewest and most in a scene, longest side from and to as a fraction of the shorter side."""
LENGTHS = {"train": 70, "val": 14, "test": 56}
"""Pictures of each split; one in seven of the test pictures has a twin."""
TWINS = (
    ("train", 3, "test", 1),
    ("train", 20, "test", 9),
    ("train", 41, "test", 26),
    ("train", 7, "test", 30),
    ("train", 12, "test", 39),
    ("train", 52, "test", 44),
    ("train", 64, "test", 51),
    ("val", 5, "test", 17),
    ("train", 33, "val", 11),
)
"""Split and number of a picture, and of the picture that shows the same scene once more."""


class View(NamedTuple):
    """One picture of the set, M boxes."""

    name: str
    image: UInt8[Tensor, "3 H W"]
    boxes: Float[Tensor, "M 4"]
    labels: Int64[Tensor, " M"]


class Planted(NamedTuple):
    """A view after a fault was planted, and which of its boxes are at fault."""

    view: View
    rows: tuple[int, ...]


PlantFault = Callable[[View, int], Planted]
"""Takes a view and the row of the box that is to be wrong."""


def write_faulty_reef(folder: Path, seed: int = 0) -> tuple[KnownFault, ...]:
    """Draw the set and write it as a COCO folder with a file for each split; takes seconds.

    Returns:
        Every fault in it.
    """
    views = {split: draw_split(seed, split) for split in LENGTHS}
    twins = [
        KnownFault("twins across splits", (picture_name(*twin[:2]), picture_name(*twin[2:])), ())
        for twin in TWINS
    ]
    planted = plant(views["train"], default_rng([seed, 1]))
    for split, of_split in views.items():
        write_split(folder, split, of_split)
    return (*twins, *planted)


# ---------------------------------------------------------------- pictures


def draw_split(seed: int, split: str) -> list[View]:
    """All pictures of a split, with correct boxes."""
    again = {(at, row): (split_, row_) for split_, row_, at, row in TWINS}
    views = []
    for row in range(LENGTHS[split]):
        first = again.get((split, row), (split, row))
        number = 1000 * list(LENGTHS).index(first[0]) + first[1]
        scene = draw_shoal(seed, number)
        views.append(
            take_picture(scene, picture_name(split, row), default_rng([seed, 2, number, row]))
        )
    return views


def picture_name(split: str, row: int) -> str:
    """The file name of a picture.

    >>> picture_name("val", 7)
    'val_007.jpg'
    """
    return f"{split}_{row:03}.jpg"


def draw_shoal(seed: int, number: int) -> Scene:
    """A scene a little larger than a picture: sharks, turtles and fish, each of its own size."""
    size = (HEIGHT + ROOM[0], WIDTH + ROOM[1])
    config = ReefConfig(image_size=size, crowding=0.05)
    extent = (1.0, size[1] / size[0])
    sea_rng, rng = (default_rng(child) for child in SeedSequence([seed, 3, number]).spawn(2))
    spots: list[Spot] = []
    animals = []
    for name, (fewest, most), object_size in SHOAL:
        dials = replace(config, object_size=object_size)
        for _ in range(int(rng.integers(fewest, most + 1))):
            spots.append(find_spot(rng, spots, extent, dials))
            animals.append(place_animal(rng, spots[-1], (name,)))
    animals.sort(key=lambda animal: -animal.distance)
    return paint_scene(Plan(plan_sea(sea_rng, extent, config.haze), animals), config)


def take_picture(scene: Scene, name: str, rng: Generator) -> View:
    """Point the camera at a part of a scene, in some light."""
    top, left = (int(rng.integers(room + 1)) for room in ROOM)
    part = np.s_[:, top : top + HEIGHT, left : left + WIDTH]
    masks = scene.masks[part]
    visible = masks.sum(dim=(1, 2)) / scene.masks.sum(dim=(1, 2))
    labels = torch.tensor([NAMES.index(CLASS_NAMES[label]) for label in scene.labels.tolist()])
    kept = visible >= VISIBLE
    light = torch.from_numpy(rng.uniform(0.75, 1.1, (3, 1, 1))).float()
    image = (scene.image[part] * light + rng.uniform(0, 20)).clamp(0, 255).to(torch.uint8)
    boxes = torch.from_numpy(tight_boxes(masks[kept].numpy())).reshape(-1, 4)
    return View(name, image, boxes, labels.reshape(-1)[kept])


# ---------------------------------------------------------------- faults


def without_area(view: View, row: int) -> Planted:
    """Somebody clicked and did not drag."""
    boxes = view.boxes.clone()
    boxes[row, 2] = boxes[row, 0]
    return Planted(view._replace(boxes=boxes), (row,))


def drawn_twice(view: View, row: int) -> Planted:
    """Somebody forgot that the box was there, and drew it again, a pixel beside."""
    again = view.boxes[[row]] + torch.tensor([1.0, 0.0, 1.0, 0.0])
    boxes, labels = torch.cat([view.boxes, again]), torch.cat([view.labels, view.labels[[row]]])
    return Planted(view._replace(boxes=boxes, labels=labels), (row, len(boxes) - 1))


def called_shark(view: View, row: int) -> Planted:
    """Somebody pressed the wrong key."""
    labels = view.labels.clone()
    labels[row] = SHARK
    return Planted(view._replace(labels=labels), (row,))


def as_large_as_the_picture(view: View, row: int) -> Planted:
    """Somebody drew around everything."""
    boxes = view.boxes.clone()
    boxes[row] = torch.tensor([0.0, 0.0, WIDTH, HEIGHT])
    return Planted(view._replace(boxes=boxes), (row,))


def forgotten(view: View, row: int) -> Planted:
    """Somebody did not see it."""
    return only(view, torch.arange(len(view.boxes)) != row)


def never_boxed(view: View, row: int) -> Planted:
    """Somebody was told to leave this class to somebody else."""
    return only(view, view.labels != view.labels[row])


def only(view: View, kept: Tensor) -> Planted:
    """A view with some of its boxes."""
    return Planted(view._replace(boxes=view.boxes[kept], labels=view.labels[kept]), ())


FAULTS: tuple[tuple[str, int, PlantFault], ...] = (
    *[("no area", FISH, without_area)] * 2,
    *[("double box", TURTLE, drawn_twice)] * 4,
    *[("odd size", FISH, called_shark)] * 3,
    *[("odd size", FISH, as_large_as_the_picture)] * 2,
    *[("no box", TURTLE, forgotten)] * 4,
    *[("class missing", TURTLE, never_boxed)] * 2,
)
"""Kind, class of the box that is to be wrong, and how; each in a picture of its own."""


def plant(views: list[View], rng: Generator) -> list[KnownFault]:
    """Plant faults in some training pictures, in place: one box each, in none that has a twin."""
    mates = {row for split, row, *_ in TWINS if split == "train"}
    waiting = [row for row in rng.permutation(len(views)).tolist() if row not in mates]
    planted = {}
    for kind, label, plant_fault in FAULTS:
        row = next(row for row in waiting if (views[row].labels == label).any())
        waiting.remove(row)
        places = (views[row].labels == label).nonzero()[:, 0].tolist()
        views[row], rows = plant_fault(views[row], int(rng.choice(places)))
        planted[row] = kind, rows
    ids = first_ids(views)
    return [
        KnownFault(
            kind, (views[row].name,), tuple(f"annotation {ids[row] + place}" for place in rows)
        )
        for row, (kind, rows) in planted.items()
    ]


# ---------------------------------------------------------------- files


def first_ids(views: Sequence[View]) -> list[int]:
    """The annotation id of each picture's first box; ids count from 1 through the split."""
    counts = [len(view.boxes) for view in views]
    return [1 + sum(counts[:row]) for row in range(len(views))]


def write_split(folder: Path, split: str, views: Sequence[View]) -> None:
    """Pictures as JPEG, and instances_SPLIT.json."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for view in views:
        picture = Image.fromarray(view.image.permute(1, 2, 0).numpy())
        picture.save(folder / "images" / view.name, quality=92)
    write_atomically(folder / f"instances_{split}.json", json.dumps(coco_content(views)).encode())


def coco_content(views: Sequence[View]) -> dict[str, Any]:
    """What is in the pictures, in COCO's words.

    >>> coco_content([])["categories"][2]
    {'id': 3, 'name': 'shark'}
    """
    images = [
        {"id": row, "file_name": view.name, "width": WIDTH, "height": HEIGHT}
        for row, view in enumerate(views, start=1)
    ]
    annotations = [
        {
            "id": first + place,
            "image_id": row,
            "category_id": label,
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": 0,
        }
        for row, (view, first) in enumerate(zip(views, first_ids(views), strict=True), start=1)
        for place, (box, label) in enumerate(
            zip(xyxy_to_xywh(view.boxes).tolist(), view.labels.tolist(), strict=True)
        )
    ]
    categories = [{"id": row, "name": name} for row, name in enumerate(NAMES) if row]
    return {"images": images, "annotations": annotations, "categories": categories}
