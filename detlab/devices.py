"""Where a detector computes, and how precisely: the processor, a GPU, half the bits or all.

Stands on processes.py; serves train.py, the command line and whoever picks a device.
"""

import os
from typing import Literal

import torch

from detlab.processes import under_torchrun

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
    if device.type == "cpu" and torch.cpu._is_avx512_bf16_supported():
        return torch.bfloat16
    return torch.float32
