"""Pictures of one camera on one background, in which only the objects differ: a drawn board."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from detlab.data.records import make_record

WIDTH, HEIGHT, SIDE = 192, 128, 26
NAMES = ("background", "rook", "pawn", "rok", "king")
COLOURS = {"rook": (190, 40, 30), "pawn": (30, 60, 200)}


def board() -> Image.Image:
    """The background: squares of two colours."""
    image = Image.new("RGB", (WIDTH, HEIGHT), (110, 100, 90))
    draw = ImageDraw.Draw(image)
    for number in range(WIDTH // 16 * (HEIGHT // 16)):
        row, column = divmod(number, WIDTH // 16)
        if (row + column) % 2:
            left, top = 16 * column, 16 * row
            draw.rectangle([left, top, left + 15, top + 15], fill=(205, 190, 165))
    return image


def draw_picture(seed: int, noise: float = 0.0) -> tuple[Image.Image, list[tuple]]:
    """A rook and a pawn somewhere on the board, and their boxes."""
    rng = np.random.default_rng(seed)
    image, objects = board(), []
    draw = ImageDraw.Draw(image)
    for name, colour in COLOURS.items():
        x, y = int(rng.integers(WIDTH - SIDE)), int(rng.integers(HEIGHT - SIDE))
        draw.rectangle([x, y, x + SIDE - 1, y + SIDE - 1], fill=colour)
        objects.append((NAMES.index(name), [x, y, x + SIDE, y + SIDE]))
    if noise:
        pixels = np.asarray(image) + rng.normal(0, noise, (HEIGHT, WIDTH, 3))
        image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    return image, objects


def write_record(folder: Path, number: int, image: Image.Image, objects: list[tuple]):
    """Save a picture, and what its annotation would say."""
    path = folder / f"board_{number:05}.png"
    image.save(path)
    named = [(f"object {row}", *each) for row, each in enumerate(objects)]
    return make_record(path, (HEIGHT, WIDTH), named, path)


def faulty_boards(folder: Path, number: int = 60) -> dict[str, list]:
    """Splits "train" and "val" with known faults; nothing else in them is one.

    Picture 10 is a copy of 0, `number` + 1 of 2 in the other split; 20 has a double box, 21 none,
    and in 22 "rook" is misspelt.
    """
    drawn = [draw_picture({10: 0, number + 1: 2}.get(row, row)) for row in range(number + 20)]
    drawn[20][1].append(drawn[20][1][0])
    drawn[21] = (board(), [])
    drawn[22][1][0] = (NAMES.index("rok"), drawn[22][1][0][1])
    records = [write_record(folder, row, *each) for row, each in enumerate(drawn)]
    return {"train": records[:number], "val": records[number:]}
