"""Where a detector computes, how precisely, and in how many processes at once.

Without torchrun there is one process, and all that speaks of several does nothing.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

Precision = Literal["auto", "float32", "bfloat16", "float16"]


def choose_device(name: str = "auto") -> torch.device:
    """The device to learn on; auto takes a GPU where there is one, each process its own.

    Processes that learn together cannot exchange what lies on an Apple GPU, so they leave it.

    Raises:
        ValueError: the named device is not in this machine, or not for so many processes.
    """
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available() and not under_torchrun(),
    }
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if present[kind])
    if not present.get(name, False):
        there = [kind for kind, is_there in present.items() if is_there]
        raise ValueError(f"device {name!r} is not in this machine; here are {there}")
    if name != "cuda":
        return torch.device(name)
    row, count = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
    if row >= count:
        raise ValueError(f"process {row} wants its own GPU, here are {count}; try --device cpu")
    return torch.device("cuda", row)


def choose_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """What the network computes with; "auto" takes the fastest that this device has."""
    if precision != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[
            precision
        ]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(False) else torch.float16
    if device.type == "cpu" and has_bfloat16():
        return torch.bfloat16
    return torch.float32


def has_bfloat16() -> bool:
    """Whether this processor computes with bfloat16 itself, as those with AVX-512 BF16 do."""
    if hasattr(torch.cpu, "get_capabilities"):
        return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))
    # Before that a torch tells it by a private name only, or not at all.
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", bool)())


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
    said = [number]  # as an object: a tensor would want float64, which not every device has
    dist.broadcast_object_list(said, src=0, device=device)
    return said[0]


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
