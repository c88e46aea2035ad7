"""One picture, one object: a network that says what it is, where it is, or both.

The network of the first lessons, before anchors: its body is the detector's, its answer is one
class and one box a picture. `fit_single` reports as `loop.fit` does.

Boxes are x1 y1 x2 y2 in fractions of the picture here: 0 is its left or top edge, 1 the other one.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from detlab.boxes import cxcywh_to_xyxy, normalise_boxes, paired_iou
from detlab.classify import accuracy, cross_entropy
from detlab.detector.backbone import IMAGENET_MEAN, IMAGENET_STD, Normalise, TinyBody
from detlab.detector.box_losses import giou_loss
from detlab.reef.scene import Scene, draw_scene
from detlab.training.config import TrainConfig
from detlab.training.loop import NonFiniteLoss
from detlab.training.optimizers import set_learning_rate

CHANNELS = (16, 32, 64, 96)
"""Half of what the detector's body has: one object needs less."""
GRID = 4
"""The last map has 4 × 4 cells: coarse, but what is on the left stays on the left."""

ToBoxes = Callable[[Tensor], Tensor]
"""What the box head says, raw [B 4], to boxes [B 4] in fractions of the picture."""
PairLoss = Callable[[Tensor, Tensor], Tensor]
"""boxes [B 4], gt_boxes [B 4] to a loss per box [B] or per number [B 4]."""
SingleLoss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor | Mapping[str, Tensor]]
"""logits [B K], boxes [B 4], labels [B], gt_boxes [B 4] to a scalar, or to scalars by name,
one of them "total"."""


class SingleObjects(NamedTuple):
    """Pictures with one object each."""

    images: UInt8[Tensor, "N 3 H W"]
    labels: Int64[Tensor, " N"]
    """From 1: there is always an object, so 0, background, never occurs."""
    boxes: Float[Tensor, "N 4"]
    """In fractions of the picture."""


class SeveralObjects(NamedTuple):
    """Pictures with M objects each, in no particular order."""

    images: UInt8[Tensor, "N 3 H W"]
    labels: Int64[Tensor, "N M"]
    boxes: Float[Tensor, "N M 4"]
    """In fractions of the picture."""


def raw_to_boxes(raw: Float[Tensor, "B 4"]) -> Float[Tensor, "B 4"]:
    """Any four numbers to a box: centre and size by sigmoid, then corners, in fractions.

    A sigmoid is never 0, so x2 > x1 and y2 > y1 whatever the network says.

    >>> raw_to_boxes(torch.zeros(1, 4))  # a half everywhere: in the middle, half as wide and high
    tensor([[0.2500, 0.2500, 0.7500, 0.7500]])
    """
    return cxcywh_to_xyxy(raw.sigmoid())


class SingleObjectNet(nn.Module):
    """A body and two heads: what is in the picture, and where."""

    def __init__(
        self, num_classes: int, width: int = 128, to_boxes: ToBoxes = raw_to_boxes
    ) -> None:
        super().__init__()
        self.to_boxes = to_boxes
        self.normalise = Normalise(IMAGENET_MEAN, IMAGENET_STD)
        self.body = TinyBody(CHANNELS)
        self.join = nn.Linear(CHANNELS[2] * GRID * GRID, width)
        self.classes = nn.Linear(width, num_classes)
        self.boxes = nn.Linear(width, 4)

    def forward(
        self, images: UInt8[Tensor, "B 3 H W"]
    ) -> tuple[Float[Tensor, "B K"], Float[Tensor, "B 4"]]:
        """Logits, and boxes in fractions of the picture.

        The map is flattened cell by cell, so the heads know where each thing was seen. A mean
        over the whole map would forget it.
        """
        features = self.body(self.normalise(images))["16"]
        cells = F.adaptive_avg_pool2d(features, GRID).flatten(start_dim=1)
        seen = F.relu(self.join(cells))
        return self.classes(seen), self.to_boxes(self.boxes(seen))


def draw_single_objects(
    seed: int, length: int, image_size: tuple[int, int] = (64, 64), **dials: Any
) -> SingleObjects:
    """Pictures of the reef with one animal each, larger and clearer than in the detector's world.

    Args:
        seed: names a world of pictures.
        length: how many.
        image_size: (height, width) in pixels.
        dials: of `reef.ReefConfig`, by name.

    >>> images, labels, boxes = draw_single_objects(seed=3, length=2)
    >>> images.shape, labels.shape, boxes.shape
    (torch.Size([2, 3, 64, 64]), torch.Size([2]), torch.Size([2, 4]))
    """
    images, labels, boxes = draw_several_objects(seed, length, 1, image_size, **dials)
    return SingleObjects(images, labels[:, 0], boxes[:, 0])


def draw_several_objects(
    seed: int,
    length: int,
    num_objects: int,
    image_size: tuple[int, int] = (64, 64),
    **dials: Any,
) -> SeveralObjects:
    """Pictures with so many animals each, kept apart; see `draw_single_objects`.

    Raises:
        ValueError: length or num_objects below 1, or a dial that means nothing.
    """
    if length < 1 or num_objects < 1:
        raise ValueError(f"want 1 picture and object or more: {length} and {num_objects}")
    clear = {"object_size": (0.4, 0.8), "crowding": 0.0, "haze": 0.15, "empty_fraction": 0.0}
    dials = {**clear, **dials, "objects": (num_objects, num_objects), "image_size": image_size}
    scenes: list[Scene] = []
    for index in count():
        scene = draw_scene(seed, index, **dials)
        if len(scene.labels) == num_objects:  # none hides behind a plant
            scenes.append(scene)
        if len(scenes) == length:
            break
    return SeveralObjects(
        torch.stack([scene.image for scene in scenes]),
        torch.stack([scene.labels for scene in scenes]),
        torch.stack([normalise_boxes(scene.boxes, image_size) for scene in scenes]),
    )


def single_object_loss(
    logits: Float[Tensor, "B K"],
    boxes: Float[Tensor, "B 4"],
    labels: Int64[Tensor, " B"],
    gt_boxes: Float[Tensor, "B 4"],
    box_weight: float = 1.0,
    box_loss: PairLoss = giou_loss,
) -> dict[str, Float[Tensor, ""]]:
    """L = Lcls + lambda · Lbox, each a mean over the batch's pictures.

    Args:
        logits: what the network says of the class.
        boxes: what it says of the place, in the same unit as `gt_boxes`.
        labels: what is there.
        gt_boxes: where it is.
        box_weight: the lambda.
        box_loss: a loss per box, or one per number, whose four are added up.

    Returns:
        "class", "box" and "total", all scalars.

    >>> losses = single_object_loss(
    ...     torch.zeros(1, 2), torch.tensor([[0.0, 0.0, 4.0, 2.0]]),
    ...     torch.tensor([1]), torch.tensor([[2.0, 0.0, 4.0, 2.0]]), box_weight=3.0,
    ... )
    >>> losses  # ln 2; 1 − ½; ln 2 + 3 · ½
    {'class': tensor(0.6931), 'box': tensor(0.5000), 'total': tensor(2.1931)}
    """
    lcls = cross_entropy(logits, labels).mean()
    per_box = box_loss(boxes, gt_boxes).reshape(len(boxes), -1).sum(dim=1)  # [B]
    lbox = per_box.mean()
    return {"class": lcls, "box": lbox, "total": lcls + box_weight * lbox}


def fit_single(
    net: nn.Module,
    pictures: SingleObjects,
    loss: SingleLoss = single_object_loss,
    steps: int = 400,
    seed: int = 0,
    batch_size: int = 32,
    learning_rate: float = 3e-3,
) -> Iterator[dict[str, float]]:
    """Train a network in place, a step at a time; half of the batches are seen in a mirror.

    The number of steps is fixed, and not the time, so that a busy machine learns the same.

    Args:
        net: a `SingleObjectNet`, or one of your own that answers in the same way.
        pictures: with one object each.
        loss: of the network's answers for a batch; a scalar, or a dict with "total".
        steps: how many batches.
        seed: decides the order of the pictures and the mirror.
        batch_size: pictures a step.
        learning_rate: at its highest, after the warm-up.

    Yields:
        step (from 1), progress (0 to 1), loss_total, and loss_… for each other part of the loss.

    Raises:
        NonFiniteLoss: the loss became infinite or no number.
    """
    config = TrainConfig(batch_size=batch_size, learning_rate=learning_rate, seed=seed)
    optimizer = torch.optim.AdamW(
        net.parameters(), config.learning_rate, weight_decay=config.weight_decay
    )
    batches = shuffled_batches(pictures, batch_size, torch.Generator().manual_seed(seed))
    net.train().to(memory_format=torch.channels_last)
    for step in range(steps):
        set_learning_rate(optimizer, config, progress=step / steps)
        images, labels, gt_boxes = next(batches)
        logits, boxes = net(images)
        found = loss(logits, boxes, labels, gt_boxes)
        losses = {"total": found} if isinstance(found, Tensor) else found
        if not losses["total"].isfinite():
            raise NonFiniteLoss(f"step {step}: {losses}")
        optimizer.zero_grad()
        losses["total"].backward()
        nn.utils.clip_grad_norm_(net.parameters(), config.clip_norm)
        optimizer.step()
        numbers = {f"loss_{name}": value.item() for name, value in losses.items()}
        yield {"step": step + 1, "progress": (step + 1) / steps, **numbers}


def shuffled_batches(
    pictures: SingleObjects, batch_size: int, generator: torch.Generator
) -> Iterator[SingleObjects]:
    """Batches without end, each round through the pictures in another order."""
    while True:
        order = torch.randperm(len(pictures.images), generator=generator)
        for rows in order.split(batch_size):
            batch = SingleObjects(*(part[rows] for part in pictures))
            mirrored = bool(torch.rand((), generator=generator) < 0.5)
            yield mirror(batch) if mirrored else batch


def mirror(pictures: SingleObjects) -> SingleObjects:
    """Left and right change places, in the pictures and in their boxes.

    >>> pictures = SingleObjects(
    ...     torch.zeros(1, 3, 2, 2, dtype=torch.uint8), torch.tensor([1]),
    ...     torch.tensor([[0.125, 0.25, 0.5, 0.75]]),
    ... )
    >>> mirror(pictures).boxes
    tensor([[0.5000, 0.2500, 0.8750, 0.7500]])
    """
    x1, y1, x2, y2 = pictures.boxes.unbind(dim=1)
    boxes = torch.stack([1 - x2, y1, 1 - x1, y2], dim=1)
    return SingleObjects(pictures.images.flip(dims=[3]), pictures.labels, boxes)


def one_by_one(pictures: SeveralObjects) -> SingleObjects:
    """Each picture as often as it has objects, each time with another one: all a box can learn.

    >>> two = draw_several_objects(seed=3, length=2, num_objects=2)
    >>> one = one_by_one(two)
    >>> one.labels.tolist() == two.labels.flatten().tolist(), one.images.shape
    (True, torch.Size([4, 3, 64, 64]))
    """
    images = pictures.images.repeat_interleave(pictures.labels.shape[1], dim=0)
    return SingleObjects(images, pictures.labels.flatten(), pictures.boxes.flatten(0, 1))


def predict_single(
    net: nn.Module, images: UInt8[Tensor, "N 3 H W"]
) -> tuple[Int64[Tensor, " N"], Float[Tensor, "N 4"]]:
    """The label and the box that the network gives each picture; boxes in fractions."""
    logits, boxes = answer(net, images)
    return logits.argmax(dim=1), boxes


def evaluate_single(net: nn.Module, pictures: SingleObjects) -> dict[str, float]:
    """How good the network is: the accuracy of its labels, and the mean IoU of its boxes.

    Returns:
        "accuracy" and "iou", both from 0 to 1.
    """
    logits, boxes = answer(net, pictures.images)
    return {
        "accuracy": accuracy(logits, pictures.labels).item(),
        "iou": paired_iou(boxes, pictures.boxes).mean().item(),
    }


@torch.no_grad()
def answer(
    net: nn.Module, images: UInt8[Tensor, "N 3 H W"]
) -> tuple[Float[Tensor, "N K"], Float[Tensor, "N 4"]]:
    """Logits and boxes in evaluation mode; a network in training goes on in training mode."""
    training = net.training
    logits, boxes = net.eval()(images)
    net.train(training)
    return logits, boxes
