"""Muon: a weight moves equally far in every direction, not only where its gradient is large.

Uses no other file. optimizers.py gives it what mixes channels, above all kernels of convolutions.

Muon, and the coefficients, are from Jordan et al., "Muon: An optimizer for hidden layers in neural
networks", 2024; that its steps can be taken on a small square is from "Gram Newton-Schulz", Dao AI
Lab, 2026.
"""

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of x, x³ and x⁵. Small singular values grow by the first; those near 1 stay from .7 to 1.2."""


class Muon(torch.optim.Optimizer):
    """Momentum made orthogonal, for weights [out, in, ...], each read as a matrix [out, rest].

    Args:
        params: weights, or groups of them with settings of their own.
        lr: how far each direction moves in a step; more where out is above rest.
        momentum: fraction of the past in the gradient that is followed.
        weight_decay: pull of every weight towards 0, as a fraction of lr.
        num_steps: see `orthogonalise`.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.02,
        momentum: float = 0.9,
        weight_decay: float = 0.05,
        num_steps: int = 2,
    ) -> None:
        settings = {"momentum": momentum, "weight_decay": weight_decay, "num_steps": num_steps}
        super().__init__(params, {"lr": lr, **settings})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move the weights that have a gradient, all those of one shape at once."""
        for group in self.param_groups:
            learning = [weight for weight in group["params"] if weight.grad is not None]
            for _, same in groupby(sorted(learning, key=matrix_shape), key=matrix_shape):
                weights = list(same)
                moves = torch.stack([self.follow(weight, group["momentum"]) for weight in weights])
                rows, columns = matrix_shape(weights[0])
                length = group["lr"] * max(1.0, rows / columns) ** 0.5
                moves = orthogonalise(moves, group["num_steps"])
                for weight, move in zip(weights, moves, strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    in_memory(weight).sub_(move.view_as(in_memory(weight)), alpha=length)

    def follow(self, weight: Tensor, momentum: float) -> Float[Tensor, "R C"]:
        """The smoothed gradient, a step ahead of itself: as if this one came again (Nesterov's)."""
        assert weight.grad is not None
        if "momentum" not in self.state[weight]:
            self.state[weight]["momentum"] = torch.zeros_like(weight)
        smoothed = self.state[weight]["momentum"]
        smoothed.lerp_(weight.grad, 1 - momentum)
        return in_memory(weight.grad.lerp(smoothed, momentum)).flatten(1)


def in_memory(weight: Tensor) -> Tensor:
    """A view [out, ..., in] of a weight [out, in, ...]: as `channels_last` lays kernels down.

    The order of a matrix's columns is of no matter here, but copying them would be.
    """
    return weight.movedim(1, -1)


def matrix_shape(weight: Tensor) -> tuple[int, int]:
    """Rows and columns of a weight [out, in, ...] that is read as a matrix.

    >>> matrix_shape(torch.zeros(64, 32, 3, 3))
    (64, 288)
    """
    return len(weight), weight[0].numel()


def orthogonalise(matrices: Float[Tensor, "N R C"], num_steps: int = 2) -> Float[Tensor, "N R C"]:
    """Bring the singular values towards 1, leave the directions: U S Vᵀ becomes about U Vᵀ.

    A Newton-Schulz step takes X to a X + b (X Xᵀ) X + c (X Xᵀ)² X, which is P X. P is made of X Xᵀ
    alone, and so is the next one: all steps are taken on that small square, and the product of the
    Ps meets X once, at the end, see `newton_schulz`.

    >>> orthogonalise(torch.tensor([[[6.0, 0.0, 0.0], [0.0, 4.0, 0.0]]]))
    tensor([[[0.7819, 0.0000, 0.0000],
             [0.0000, 0.9465, 0.0000]]])
    """
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonalise(matrices.mT, num_steps).mT
    matrices = F.normalize(matrices.flatten(1)).view_as(matrices)
    square = matrices @ matrices.mT
    product = step = newton_schulz(square)
    for _ in range(num_steps - 1):
        square = step @ square @ step
        step = newton_schulz(square)
        product = step @ product
    return product @ matrices


def newton_schulz(square: Float[Tensor, "N R R"]) -> Float[Tensor, "N R R"]:
    """The P of one step, a I + b S + c S² with S = X Xᵀ.

    >>> newton_schulz(torch.ones(1, 1, 1))  # a + b + c
    tensor([[[0.7010]]])
    """
    a, b, c = COEFFICIENTS
    step = torch.baddbmm(square, square, square, beta=b, alpha=c)
    step.diagonal(dim1=1, dim2=2).add_(a)
    return step
