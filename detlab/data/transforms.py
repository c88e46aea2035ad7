"""A picture seen anew at every visit: mirrored, nearer or farther, in another light.

Follows datasets.py. Random numbers come from torch's global generator, so
`torch.manual_seed` repeats them.

Multi-scale training is from Redmon and Farhadi, "YOLO9000", CVPR 2017.

Each visit costs well under a millisecond for a picture of 128 px, since every millisecond here
is taken from training. That is why the window is one crop-and-resize of our own:
torchvision's RandomIoUCrop, the usual choice, takes eight times as long as all of it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional
from torchvision.tv_tensors import BoundingBoxes, Image

from detlab.boxes import box_area, clip_boxes, scale_boxes
from detlab.checks import check_fraction

FOR_EVALUATION = ("areas", "ignored_boxes", "ignored_labels")
"""What training does not use of a target; in another view of the picture it would be untrue."""
Transforms = Callable[[Image, dict[str, Any]], tuple[Tensor, dict[str, Any]]]
"""Takes and gives a picture and its target, as torchvision's v2 transforms do."""


def training_transforms(
    flip: float = 0.5,
    scale: tuple[float, float] = (0.7, 1.4),
    light: float = 0.2,
    min_visible: float = 0.3,
    vertical_flip: float = 0.0,
    crop: int | None = None,
) -> Transforms:
    """The usual way to see more than there are pictures; the dtype stays as it is.

    Args:
        flip: chance of a mirror image; 0 where left and right differ, as in text.
        scale: how much larger an object becomes, from and to; below 1 the picture shrinks
            and black fills the rest, above 1 a part of it is cut out.
        light: brightness, contrast and saturation change by up to this fraction, every second time.
        min_visible: an object with less than this fraction of its box left is no object any more.
        vertical_flip: chance of upside down; for what has no up, as cells under a microscope.
        crop: show squares with sides of so many pixels; None shows pictures in their own size.

    Raises:
        ValueError: a chance outside 0 to 1.
    """
    check_fraction("flip", flip)
    check_fraction("vertical_flip", vertical_flip)
    size = None if crop is None else (crop, crop)
    steps: list[Any] = [partial(random_flip, chance=flip, turn=functional.horizontal_flip)]
    if vertical_flip > 0:
        steps.append(partial(random_flip, chance=vertical_flip, turn=functional.vertical_flip))
    if size or scale != (1, 1):
        steps.append(partial(random_window, scale=scale, min_visible=min_visible, size=size))
    if light > 0:
        steps.append(v2.RandomApply([v2.ColorJitter(light, light, light)], p=0.5))
    return v2.Compose(steps)


def random_flip(
    image: Image, target: dict[str, Any], chance: float, turn: Callable[[Any], Any]
) -> tuple[Image, dict[str, Any]]:
    """Mirror a picture and its boxes, or leave them: as torchvision's classes, but quicker.

    Args:
        image: [3, H, W].
        target: of this picture.
        chance: that they are mirrored, 0 to 1.
        turn: torchvision's `horizontal_flip` or `vertical_flip`.
    """
    if torch.rand(1) >= chance:
        return image, target
    return turn(image), {**target, "boxes": turn(target["boxes"])}


def random_window(
    image: Image,
    target: dict[str, Any],
    scale: tuple[float, float],
    min_visible: float,
    size: tuple[int, int] | None = None,
) -> tuple[Tensor, dict[str, Any]]:
    """Look at the picture through a window of random size and place, resized to one size.

    A window smaller than the picture lies inside it; a larger one holds the whole picture, with
    black around it.

    Args:
        image: uint8 [3, H, W].
        target: of this picture.
        scale: how much larger what is seen becomes, from and to.
        min_visible: an object with less than this fraction of its box left is none any more.
        size: height and width of what is seen, in pixels; None: the picture's.
    """
    pixels = image.as_subclass(Tensor)  # an Image makes every step slower
    whole = pixels.shape[1:]
    height, width = size or whole
    place, down, right = torch.rand(3).tolist()
    zoom = scale[0] * (scale[1] / scale[0]) ** place  # twice as large as often as half as large
    rows, columns = max(1, round(height / zoom)), max(1, round(width / zoom))
    top, left = round(down * (whole[0] - rows)), round(right * (whole[1] - columns))

    boxes = target["boxes"].as_subclass(Tensor)
    x, y = width / columns, height / rows  # how much larger things become
    corner, stretch = boxes.new_tensor([[left, top, left, top], [x, y, x, y]]).unbind()
    moved = (boxes - corner) * stretch
    boxes = clip_boxes(moved, (height, width))
    left_over = box_area(boxes)
    kept = (left_over > 0) & (left_over >= min_visible * box_area(moved))

    view = functional.resized_crop(pixels, top, left, rows, columns, size=[height, width])
    boxes = BoundingBoxes(boxes[kept], format="XYXY", canvas_size=(height, width))
    return Image(view), {**for_training(target), "boxes": boxes, "labels": target["labels"][kept]}


def for_training(target: dict[str, Any]) -> dict[str, Any]:
    """A target without what only evaluation uses.

    >>> for_training({"labels": [1], "areas": [64.0]})
    {'labels': [1]}
    """
    return {key: part for key, part in target.items() if key not in FOR_EVALUATION}


def resize_batch(
    images: Shaped[Tensor, "B 3 H W"],
    targets: list[dict[str, Any]],
    factor: float,
    multiple: int = 32,
) -> tuple[Shaped[Tensor, "B 3 H2 W2"], list[dict[str, Any]]]:
    """A whole batch larger or smaller, its boxes along: multi-scale training.

    Args:
        images: of one size.
        targets: one dict per image.
        factor: how much larger; the sides are rounded to a multiple.
        multiple: the coarsest stride of the network, in pixels.
    """
    before = (images.shape[2], images.shape[3])
    height, width = (max(multiple, round(side * factor / multiple) * multiple) for side in before)
    resized = functional.resize(images, [height, width], antialias=True)
    return resized, [
        {**for_training(target), "boxes": scale_boxes(target["boxes"], before, (height, width))}
        for target in targets
    ]


class Augmented(Dataset[tuple[Tensor, dict[str, Any]]]):
    """A data set whose pictures change at every visit; boxes and labels change along.

    What a target has for evaluation alone is left out.

    Args:
        dataset: items are (uint8 [3, H, W], target).
        transforms: what happens at each visit.
    """

    def __init__(self, dataset: Any, transforms: Transforms) -> None:
        """Take the data set; nothing is visited yet."""
        self.dataset = dataset
        self.transforms = transforms
        self.class_names: tuple[str, ...] = dataset.class_names
        self.names: tuple[str, ...] | None = getattr(dataset, "names", None)

    def __len__(self) -> int:
        """How many pictures there are."""
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        """Visit a picture."""
        image, target = self.dataset[index]
        height, width = image.shape[-2:]
        boxes = BoundingBoxes(target["boxes"], format="XYXY", canvas_size=(height, width))
        seen, target = self.transforms(Image(image), {**for_training(target), "boxes": boxes})
        return seen.as_subclass(Tensor), {**target, "boxes": target["boxes"].as_subclass(Tensor)}
