"""A crowded picture and the raw boxes that a detector might say about it."""

from typing import NamedTuple

import torch

from detlab.types import Detection, Target

NAMES = ("background", "fish", "jellyfish", "shark")


class Scene(NamedTuple):
    """A picture and what is in it."""

    image: torch.Tensor
    target: Target


def crowd() -> Scene:
    """Six animals, some over each other, on 384 x 512 pixels."""
    image = torch.zeros(3, 384, 512, dtype=torch.uint8)
    image[2] = torch.linspace(60, 200, 384)[:, None].byte()
    corners = [
        *([20, 30, 120, 100], [60, 50, 180, 120], [200, 40, 300, 240]),
        *([220, 60, 310, 250], [400, 300, 440, 330], [330, 20, 500, 120]),
    ]
    boxes, labels = torch.tensor(corners).float(), torch.tensor([1, 1, 2, 2, 1, 3])
    return Scene(image, {"boxes": boxes, "labels": labels})


def raw_boxes(scene: Scene, per_object: int = 25) -> Detection:
    """Many boxes around each object, the better placed ones with the higher score."""
    generator = torch.Generator().manual_seed(0)
    boxes = scene.target["boxes"].repeat_interleave(per_object, dim=0)
    far = torch.rand(len(boxes), 1, generator=generator) * 0.2
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    boxes = boxes + torch.randn(boxes.shape, generator=generator) * sides * far
    scores = (0.95 - 3 * far[:, 0] - 0.1 * torch.rand(len(boxes), generator=generator)).clamp(0.02)
    labels = scene.target["labels"].repeat_interleave(per_object)
    odd = torch.rand(len(boxes), generator=generator) < 0.05
    labels = torch.where(odd, labels % 3 + 1, labels)
    height, width = scene.image.shape[1:]
    boxes = boxes.clamp(min=0).minimum(torch.tensor([width, height] * 2))
    good = (boxes[:, 2:] > boxes[:, :2] + 2).all(dim=1)
    return {"boxes": boxes[good], "labels": labels[good], "scores": scores[good]}


def jagged_boxes(count: int = 120) -> Detection:
    """Seeded boxes of three classes that overlap every which way."""
    generator = torch.Generator().manual_seed(1)
    corners = torch.rand(count, 2, generator=generator) * 100
    sides = 15 + torch.rand(count, 2, generator=generator) * 45
    labels = torch.randint(1, 4, (count,), generator=generator)
    scores = torch.rand(count, generator=generator)
    return {
        "boxes": torch.cat([corners, corners + sides], dim=1),
        "labels": labels,
        "scores": scores,
    }
