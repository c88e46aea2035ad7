"""Sets of drawn pictures of very different kinds: what `detlab train --data ANY` may meet.

Polygons with stripes lie before blurred noise. Each set differs from the others in what a recipe
looks at: how many pictures, of what shape, with how many objects, how large and how alike.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw


@dataclass(frozen=True)
class DrawnSet:
    """The dials of a set; sizes of objects are fractions of the longest side."""

    splits: tuple[int, int, int]
    """Pictures to train on, to validate on, to test on."""
    size: tuple[int, int]
    """Height and width in pixels."""
    classes: int
    objects: tuple[int, int]
    """Fewest and most in a picture."""
    object_size: tuple[float, float]
    one_camera: bool = False
    """One background, the same light."""
    upright: bool = False
    """Objects are turned by 15 degrees at most."""


KINDS = {
    "one object": DrawnSet((200, 40, 60), (360, 480), 3, (1, 1), (0.35, 0.7), upright=True),
    "one camera": DrawnSet((150, 30, 50), (480, 640), 12, (8, 16), (0.06, 0.1), one_camera=True),
    "hundreds": DrawnSet((60, 10, 16), (640, 640), 2, (100, 250), (0.02, 0.045)),
    "tall": DrawnSet((150, 30, 50), (800, 240), 3, (2, 6), (0.06, 0.14), upright=True),
    "few": DrawnSet((24, 6, 60), (480, 640), 3, (2, 5), (0.1, 0.25)),
}


def write_drawn_set(folder: Path, kind: DrawnSet, seed: int) -> Path:
    """Draw a set and write it as COCO, a file a split."""
    random = np.random.default_rng(seed)
    looks = [draw_look(random, number) for number in range(kind.classes)]
    background = draw_background(random, kind.size)
    (folder / "images").mkdir(parents=True)
    for split, number in zip(("train", "val", "test"), kind.splits, strict=True):
        content = {
            "images": [],
            "annotations": [],
            "categories": [{"id": k + 1, "name": f"kind {k}"} for k in range(kind.classes)],
        }
        for row in range(number):
            if not kind.one_camera:
                background = draw_background(random, kind.size)
            picture, boxes = draw_picture(random, kind, looks, background)
            name = f"{split}_{row:03}.jpg"
            picture.save(folder / "images" / name, quality=92)
            add_picture(content, name, kind.size, boxes)
        (folder / f"instances_{split}.json").write_text(json.dumps(content))
    return folder


def add_picture(content: dict, name: str, size: tuple[int, int], boxes: list) -> None:
    """One more picture and its boxes, (label, x1, y1, x2, y2) each."""
    image_id = len(content["images"]) + 1
    content["images"].append(
        {"id": image_id, "file_name": name, "height": size[0], "width": size[1]}
    )
    for label, x1, y1, x2, y2 in boxes:
        content["annotations"].append(
            {
                "id": len(content["annotations"]) + 1,
                "image_id": image_id,
                "category_id": label + 1,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
            }
        )


def draw_look(random: np.random.Generator, number: int) -> dict:
    """How all objects of a class look: corners, cuts between them, stretch, colours, stripes."""
    return {
        "corners": 3 + number % 5,
        "cut": random.uniform(0.45, 0.9),
        "stretch": random.uniform(0.6, 1.0),
        "colour": random.integers(60, 220, 3),
        "stripe": random.integers(30, 250, 3),
        "stripes": 2 + number % 3,
    }


def draw_background(random: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Noise, coarse and fine, in soft colours."""
    height, width = size
    layers = np.zeros((height, width, 3))
    for cells, strength in ((3, 50), (12, 30), (60, 14)):
        noise = random.uniform(-1, 1, (cells, cells, 3)) * strength
        coarse = Image.fromarray((noise + 128).astype(np.uint8)).resize((width, height), 3)
        layers += np.asarray(coarse, dtype=float) - 128
    base = random.uniform(90, 170, 3)
    return Image.fromarray((base + layers).clip(0, 255).astype(np.uint8))


def draw_picture(
    random: np.random.Generator, kind: DrawnSet, looks: list, background: Image.Image
) -> tuple[Image.Image, list]:
    """Objects before a background, none before another, and the boxes of what is seen."""
    picture, boxes, taken = background.copy(), [], []
    height, width = kind.size
    for _ in range(random.integers(kind.objects[0], kind.objects[1] + 1)):
        label = int(random.integers(len(looks)))
        size = max(height, width) * random.uniform(*kind.object_size)
        for _ in range(20):
            x, y = (
                random.uniform(0.4 * size, width - 0.4 * size),
                random.uniform(0.4 * size, height - 0.4 * size),
            )
            if all(math.hypot(x - a, y - b) > 0.42 * (size + c) for a, b, c in taken):
                taken.append((x, y, size))
                box = draw_object(random, picture, looks[label], (x, y), size, kind.upright)
                boxes.append((label, *box))
                break
    if not kind.one_camera:
        light = random.uniform(0.75, 1.25)
        picture = Image.eval(picture, lambda value: min(255, int(value * light)))
    noise = random.normal(0, 5, (height, width, 1))
    grainy = (np.asarray(picture, dtype=float) + noise).clip(0, 255).astype(np.uint8)
    return Image.fromarray(grainy), boxes


def draw_object(
    random: np.random.Generator,
    picture: Image.Image,
    look: dict,
    centre: tuple[float, float],
    size: float,
    upright: bool,
) -> tuple[float, float, float, float]:
    """One object; the box is that of its visible pixels, which stay inside the picture."""
    turn = math.radians(random.uniform(-15, 15) if upright else random.uniform(0, 360))
    stretch = look["stretch"] * random.uniform(0.9, 1.1)
    points = []
    for corner in range(2 * look["corners"]):
        radius = size / 2 * (1 if corner % 2 == 0 else look["cut"])
        angle = math.pi * corner / look["corners"] - math.pi / 2
        across, down = radius * math.cos(angle) * stretch, radius * math.sin(angle)
        points.append(
            (
                centre[0] + across * math.cos(turn) - down * math.sin(turn),
                centre[1] + across * math.sin(turn) + down * math.cos(turn),
            )
        )
    mask = Image.new("L", picture.size, 0)
    ImageDraw.Draw(mask).polygon(points, fill=255)
    paint = Image.new("RGB", picture.size, shade(random, look["colour"]))
    stripes, pen = shade(random, look["stripe"]), ImageDraw.Draw(paint)
    for stripe in range(look["stripes"]):
        y = centre[1] + size * ((stripe + 0.5) / look["stripes"] - 0.6)
        pen.rectangle([0, y, picture.width, y + size / (3 * look["stripes"])], fill=stripes)
    picture.paste(paint, mask=mask)
    left, top, right, bottom = mask.getbbox()
    return left, top, right, bottom


def shade(random: np.random.Generator, colour: np.ndarray) -> tuple[int, int, int]:
    """A colour, a little lighter or darker."""
    red, green, blue = (colour + random.normal(0, 18, 3)).clip(0, 255).astype(int).tolist()
    return red, green, blue
