"""Several pictures as one: a contact sheet, and boxes moved to their picture's place on it."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from detlab.widgets.canvas import check_image

GAP = 6  # pixels between two pictures
SEA = (23, 50, 63)  # between them, red green blue: the stage's colour


def contact_sheet(
    images: Sequence[Tensor], columns: int = 3
) -> tuple[UInt8[Tensor, "3 H W"], Float[Tensor, "I 2"]]:
    """Lay pictures out in rows; also give the x and y where each begins.

    >>> sheet, places = contact_sheet([torch.zeros(3, 10, 20, dtype=torch.uint8)] * 4, columns=2)
    >>> list(sheet.shape), places[3].tolist()
    ([3, 26, 46], [26.0, 16.0])
    """
    if not images:
        raise ValueError("images: want one picture at least, got none")
    height = max(check_image(image).shape[1] for image in images)
    width = max(image.shape[2] for image in images)
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    size = rows * (height + GAP) - GAP, columns * (width + GAP) - GAP
    sheet = torch.tensor(SEA, dtype=torch.uint8)[:, None, None].repeat(1, *size)
    places = []
    for number, image in enumerate(images):
        y, x = number // columns * (height + GAP), number % columns * (width + GAP)
        sheet[:, y : y + image.shape[1], x : x + image.shape[2]] = image
        places.append([float(x), float(y)])
    return sheet, torch.tensor(places)


def on_sheet(boxes: Sequence[Tensor], places: Float[Tensor, "I 2"]) -> Float[Tensor, "N 4"]:
    """The boxes of all pictures, each list moved to its picture's place."""
    moved = [part + place.repeat(2) for part, place in zip(boxes, places, strict=True)]
    return torch.cat(moved)
