"""Several processes that train one detector together, each on its own part of every batch.

Stands on nothing. Without torchrun there is one process, and all of this does nothing.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the other processes if torchrun started this one, and leave them at the end."""
    if not under_torchrun() or not dist.is_available():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def under_torchrun() -> bool:
    """Whether torchrun started this process."""
    return "WORLD_SIZE" in os.environ


def process_rank() -> int:
    """Which of the processes this is, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def num_processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def mean_over_processes(number: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """The mean of what each process has; all of them learn it.

    >>> mean_over_processes(torch.tensor(3.0))
    tensor(3.)
    """
    total = number.clone()
    if num_processes() > 1:
        dist.all_reduce(total)
    return total / num_processes()


def first_process_says(number: float, device: torch.device) -> float:
    """What the first process has; all of them learn it.

    >>> first_process_says(2.5, torch.device("cpu"))
    2.5
    """
    if num_processes() == 1:
        return number
    said = torch.tensor(number, dtype=torch.float64, device=device)
    dist.broadcast(said, src=0)
    return said.item()


def any_process(here: bool, device: torch.device) -> bool:
    """Whether something is so on one of the processes at least; all of them learn it.

    >>> any_process(True, torch.device("cpu"))
    True
    """
    return mean_over_processes(torch.tensor(float(here), device=device)).item() > 0


@contextmanager
def one_after_the_other() -> Iterator[None]:
    """The first process goes ahead, so that what it downloads is there for the others."""
    if process_rank() > 0:
        dist.barrier()
    yield
    if process_rank() == 0 and num_processes() > 1:
        dist.barrier()
