"""The order in which a detector sees its pictures: shuffled, augmented, batched, repeatable.

Uses datasets.py and transforms.py.
"""

import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from detlab.checks import check_image, check_target, kind
from detlab.data.datasets import collate
from detlab.data.transforms import resize_batch
from detlab.hardware import num_processes, process_rank
from detlab.types import Target

FOREVER = 2**62  # steps; the trainer decides when to stop
GRACE = 10  # seconds for a worker to go on after SIGTERM, while the trainer saves


class Batches(Dataset[tuple[Tensor, list[Target]]]):
    """An endless shuffled run through the data, batch by batch.

    A batch depends on the seed and on its number, not on what was drawn before it, so a resumed run
    sees what an uninterrupted one would have seen, with any number of workers.

    Args:
        dataset: items (image, target), see `check_item`; what else a target holds passes through.
        batch_size: pictures a step, on each process.
        seed: decides the order of pictures, and what is random in the items.
        multiscale: each batch is shown up to so many times larger or smaller.
        num_classes: of the detector, "background" included; None: labels may be as large as any.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        batch_size: int,
        seed: int,
        multiscale: float = 1.0,
        num_classes: int | None = None,
    ) -> None:
        self.dataset, self.batch_size, self.seed = dataset, batch_size, seed
        self.multiscale, self.num_classes = multiscale, num_classes
        self.num_pictures: int = len(dataset)  # type: ignore[arg-type]
        self.process, self.num_processes = process_rank(), num_processes()
        if self.num_pictures == 0:
            raise ValueError("there is no picture to train on: the data set is empty")

    def pictures(self, step: int) -> list[int]:
        """Which pictures batch `step` holds on this process; one epoch follows the other."""
        first = (step * self.num_processes + self.process) * self.batch_size
        places = [divmod(first + row, self.num_pictures) for row in range(self.batch_size)]
        return [shuffled(self.num_pictures, self.seed, epoch)[place] for epoch, place in places]

    def __getitem__(self, step: int) -> tuple[Tensor, list[Target]]:
        """Load, augment, check, batch, and resize where several scales are wanted.

        Raises:
            ValueError: an item cannot be learned from; names its picture, see `check_item`.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(hash((self.seed, step, self.process)))
            images, targets = collate([self.item(picture) for picture in self.pictures(step)])
            if self.multiscale > 1:
                factor = self.multiscale ** torch.empty(()).uniform_(-1, 1).item()
                images, targets = resize_batch(images, targets, factor)
            return images, cast(list[Target], targets)

    def item(self, row: int) -> tuple[Tensor, dict[str, Any]]:
        """A picture and its target, checked; boxes and labels become plain tensors."""
        item = in_corners(self.dataset[row])
        check_item(item, self.name(row), self.num_classes)
        image, target = item
        plain = {key: target[key].detach().as_subclass(Tensor) for key in ("boxes", "labels")}
        return image.detach(), {**target, **plain}

    def name(self, row: int) -> str:
        """What to call a picture when something is wrong with it: its file, or its number."""
        names = getattr(self.dataset, "names", None)
        if isinstance(names, Sequence) and len(names) == self.num_pictures:
            return str(names[row])
        return f"picture {row}"

    def names(self, step: int) -> list[str]:
        """What to call the pictures of a batch."""
        return [self.name(row) for row in self.pictures(step)]


def in_corners(item: Any) -> Any:
    """The same item, with x1 y1 x2 y2 where its boxes say by themselves that they are otherwise.

    >>> wide = {"format": "XYWH", "canvas_size": (20, 30)}
    >>> boxes = tv_tensors.BoundingBoxes([[2.0, 4.0, 8.0, 6.0]], **wide)
    >>> in_corners((None, {"boxes": boxes}))[1]["boxes"].as_subclass(Tensor)
    tensor([[ 2.,  4., 10., 10.]])
    """
    match item:
        case (image, {"boxes": tv_tensors.BoundingBoxes() as boxes} as target):
            corners = v2.functional.convert_bounding_box_format(
                boxes, new_format=tv_tensors.BoundingBoxFormat.XYXY
            )
            return image, {**target, "boxes": corners}
    return item


def check_item(item: Any, name: str, num_classes: int | None = None) -> None:
    """Refuse an item of a data set that would train nonsense.

    Args:
        item: wants an image [3, H, W], uint8 or float from 0 to 1, and a target: a dict with the
            "boxes" and "labels" of `types.check_target`, and anything else.
        name: of the picture, for the message.
        num_classes: of the detector, "background" included; None: not known.

    Raises:
        ValueError: names the picture, the value seen and the value wanted.

    >>> target = {"boxes": torch.tensor([[0.0, 0.0, 8.0, 8.0]]), "labels": torch.tensor([3])}
    >>> check_item((torch.zeros(3, 9, 12), target), "a.jpg", 3)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: a.jpg: want labels from 1 to 2, as the detector has 3 classes with background; ...
    """
    if not isinstance(item, Sequence) or len(item) != 2 or not isinstance(item[1], Mapping):
        raise ValueError(f"{name}: want an image and its target, a dict; got {kind(item)}")
    image, target = item
    check_image(image, name)
    for key in ("boxes", "labels"):
        if key in target and not isinstance(target[key], Tensor):
            raise ValueError(f"{name}: want {key} as a tensor, got {kind(target[key])}")
    check_target(cast(Target, target), name)
    boxes, labels = target["boxes"], target["labels"]
    height, width = image.shape[1:]
    outside = (boxes[:, :2] >= boxes.new_tensor([width, height])) | (boxes[:, 2:] <= 0)
    if outside.any():
        row = int(outside.any(dim=1).nonzero()[0])
        raise ValueError(
            f"{name}: want boxes that show in the image, {width} pixels wide and {height} high; "
            f"row {row} is {boxes[row].tolist()}"
        )
    if num_classes is not None and (labels >= num_classes).any():
        raise ValueError(
            f"{name}: want labels from 1 to {num_classes - 1}, as the detector has "
            f"{num_classes} classes with background; got {labels.tolist()}"
        )


def num_classes_of(detector: nn.Module) -> int | None:
    """How many classes a detector knows, "background" included; None where its head is no `Head`.

    A label beyond would be an index error deep in the loss.
    """
    classes = getattr(getattr(detector, "head", None), "classes", None)
    return getattr(classes, "num_answers", None)


@lru_cache(maxsize=2)
def shuffled(length: int, seed: int, epoch: int) -> list[int]:
    """The order of an epoch.

    >>> sorted(shuffled(5, seed=0, epoch=3))
    [0, 1, 2, 3, 4]
    """
    generator = torch.Generator().manual_seed(hash((seed, epoch)))
    order: list[int] = torch.randperm(length, generator=generator).tolist()
    return order


def load_batches(
    batches: Batches, first_step: int, device: torch.device, workers: int | None = None
) -> Iterator[tuple[Tensor, list[Target]]]:
    """Batches from a step on, on the device where the detector learns.

    Args:
        batches: what to load.
        first_step: 0, or where an interrupted run goes on.
        device: where images and targets go.
        workers: processes that load ahead; None: none on a CPU, which is busy anyway, else up to 8.
    """
    if workers is None:
        workers = 0 if device.type == "cpu" else min(8, os.cpu_count() or 1)
    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=range(first_step, FOREVER),
        num_workers=workers,
        pin_memory=device.type == "cuda",
        collate_fn=cast(Any, with_arrays),
        worker_init_fn=leave_interrupts,
        multiprocessing_context="fork" if workers and sys.platform == "linux" else None,
    )  # a forked worker shares the pictures; to others each is sent, and is an open file again
    for images, targets in loader:
        moved = [
            {key: to_device(part, device) for key, part in target.items()} for target in targets
        ]
        yield images.to(device, non_blocking=True), cast(list[Target], moved)


def leave_interrupts(_: int) -> None:
    """Workers go on when all are asked to stop: the trainer, which saves first, ends them.

    So Ctrl-C and SIGHUP do nothing here. SIGTERM ends a worker a little later, for with that Python
    ends those that are still there at its exit.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: signal.alarm(GRACE))


class Sent(NamedTuple):
    """A tensor on its way from process to process, as a NumPy array."""

    array: NDArray[Any]


def with_arrays(
    batch: tuple[Tensor, list[dict[str, Any]]],
) -> tuple[Tensor, list[dict[str, Any]]]:
    """The tensors of the targets as NumPy arrays, to go from process to process.

    A tensor would be an open file until both have let go of it, and a batch has many.
    """
    images, targets = batch
    return images, [{key: to_array(part) for key, part in target.items()} for target in targets]


def to_array(part: Any) -> Any:
    """A plain tensor, ready to be sent; anything else as it is: a string, a list, bfloat16."""
    try:
        return Sent(part.numpy()) if type(part) is Tensor else part
    except (TypeError, RuntimeError):  # NumPy has no such numbers, or a gradient hangs on them
        return part


def to_device(part: Any, device: torch.device) -> Any:
    """What `to_array` made ready, a tensor again; tensors go to the device, nothing else does."""
    if isinstance(part, Sent):
        part = torch.from_numpy(part.array)
    return part.to(device, non_blocking=True) if isinstance(part, Tensor) else part
