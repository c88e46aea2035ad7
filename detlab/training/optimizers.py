"""Which optimizer moves which weights, and how its learning rate goes up and down in a run.

Uses muon.py; config.py says which.

AdamW is from Loshchilov and Hutter, "Decoupled Weight Decay", ICLR 2019; the cosine from the same
authors' "SGDR", ICLR 2017; a rate that stays and then falls from Hägele et al., "Scaling Laws and
Compute-Optimal Training Beyond Fixed Training Durations", NeurIPS 2024.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from detlab.training.config import TrainConfig
from detlab.training.muon import Muon

FALL = 0.6
"""Fraction of the run in which a flat schedule's rate falls to 0."""


def make_optimizers(detector: nn.Module, config: TrainConfig) -> tuple[torch.optim.Optimizer, ...]:
    """AdamW, and behind it Muon if it is asked for; each weight belongs to one of them.

    Muon's are those that mix channels. A bias, a batch norm and the kernels of a depthwise
    convolution have no directions to set right.
    """
    adamw: list[tuple[str, Tensor]] = []
    muon: list[tuple[str, Tensor]] = []
    for name, weight in detector.named_parameters():
        mixes_channels = weight.ndim > 1 and weight.shape[1] > 1
        (muon if config.optimizer == "muon" and mixes_channels else adamw).append((name, weight))
    groups = parameter_groups(adamw, config.learning_rate, config.body_rate)
    first = torch.optim.AdamW(groups, weight_decay=config.weight_decay)
    if not muon:
        return (first,)
    groups = parameter_groups(muon, config.muon_rate, config.body_rate)
    return first, Muon(groups, weight_decay=config.weight_decay)


def parameter_groups(
    named: Iterable[tuple[str, Tensor]], rate: float, body_rate: float
) -> list[dict[str, Any]]:
    """The body's weights, then all others: the body may learn at a fraction of the rate.

    A rate for each part of a network is from Howard and Ruder, "Universal Language Model
    Fine-tuning for Text Classification", ACL 2018.
    """
    body: list[Tensor] = []
    others: list[Tensor] = []
    for name, weight in named:
        (body if name.startswith("backbone.body.") else others).append(weight)
    return [{"params": body, "lr": rate * body_rate}, {"params": others, "lr": rate}]


def set_learning_rate(
    optimizer: torch.optim.Optimizer, config: TrainConfig, progress: float
) -> None:
    """Move all rates of an optimizer to where they are at this fraction of the run.

    The first call takes the rates that the optimizer was made with for the highest.
    """
    fraction = rate_fraction(config, progress)
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * fraction


def rate_fraction(config: TrainConfig, progress: float) -> float:
    """Up from 0 to 1 during the warm-up, then down to 0 at the end, as the schedule says.

    >>> config = TrainConfig(warmup=0.1, schedule="flat")
    >>> [rate_fraction(config, progress) for progress in (0.05, 0.1, 0.4, 1.0)]
    [0.5, 1.0, 1.0, 0.0]
    """
    if progress < config.warmup:
        return progress / config.warmup
    if config.schedule == "flat":
        return min(1.0, (1 - progress) / FALL)
    return (1 + math.cos(math.pi * (progress - config.warmup) / (1 - config.warmup))) / 2
