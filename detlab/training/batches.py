"""The order in which a detector sees its pictures: shuffled, augmented, batched, repeatable.

Uses datasets.py and transforms.py.
"""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, cast

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from detlab.data.datasets import collate
from detlab.data.transforms import resize_batch
from detlab.hardware import num_processes, process_rank
from detlab.types import Target

FOREVER = 2**62  # steps; the trainer decides when to stop


class Batches(Dataset[tuple[Tensor, list[Target]]]):
    """An endless shuffled run through the data, batch by batch.

    A batch depends on the seed and on its number, not on what was drawn before it, so a resumed run
    sees what an uninterrupted one would have seen, with any number of workers.
    """

    def __init__(
        self, dataset: Dataset[Any], batch_size: int, seed: int, multiscale: float = 1.0
    ) -> None:
        self.dataset, self.batch_size, self.seed = dataset, batch_size, seed
        self.multiscale = multiscale
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
        """Load, augment, batch, and resize where several scales are wanted."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(hash((self.seed, step, self.process)))
            images, targets = collate([self.dataset[picture] for picture in self.pictures(step)])
            if self.multiscale > 1:
                factor = self.multiscale ** torch.empty(()).uniform_(-1, 1).item()
                images, targets = resize_batch(images, targets, factor)
            return images, cast(list[Target], targets)

    def names(self, step: int) -> list[str]:
        """What to call the pictures of a batch when something is wrong with them."""
        names: Sequence[str] | None = getattr(self.dataset, "names", None)
        return [names[row] if names else f"picture {row}" for row in self.pictures(step)]


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
            {
                key: torch.from_numpy(part).to(device, non_blocking=True)
                for key, part in target.items()
            }
            for target in targets
        ]
        yield images.to(device, non_blocking=True), cast(list[Target], moved)


def leave_interrupts(_: int) -> None:
    """Ctrl-C reaches workers, too; they go on until the trainer, which saves first, ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def with_arrays(
    batch: tuple[Tensor, list[dict[str, Tensor]]],
) -> tuple[Tensor, list[dict[str, NDArray[Any]]]]:
    """The targets as NumPy arrays, to go from process to process.

    A tensor would be an open file until both have let go of it, and a batch has many.
    """
    images, targets = batch
    return images, [{key: part.numpy() for key, part in target.items()} for target in targets]
