"""Feature maps to answers: what and where, for every anchor of every level.

Follows backbone.py. model.py puts both together with the anchors.

One head shared over all levels, and its first bias, are from Lin et al., "Focal Loss for Dense
Object Detection" (RetinaNet), ICCV 2017.
"""

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

PRIOR = 0.01
"""What an untrained sigmoid detector believes of every anchor and class: almost surely nothing."""
SILENT = -20.0
"""As a logit a score of two in a billion."""


class Branch(nn.Module):
    """Some convolutions, then one that gives every anchor shape of every cell its answers."""

    def __init__(
        self,
        channels: int,
        depth: int,
        num_shapes: int,
        num_answers: int,
        norm: Any = None,
        last_kernel: int = 3,
    ) -> None:
        super().__init__()
        self.num_answers = num_answers
        self.tower = nn.Sequential(
            *[Conv2dNormActivation(channels, channels, 3, norm_layer=norm) for _ in range(depth)]
        )
        answers = num_shapes * num_answers
        self.last = nn.Conv2d(channels, answers, last_kernel, padding=last_kernel // 2)

    def forward(self, features: Float[Tensor, "B C H W"]) -> Float[Tensor, "B HWS N"]:
        """Answers in the order of the anchors: row by row, cell by cell, shape by shape."""
        answers: Tensor = self.last(self.tower(features))  # [B, S * N, H, W]
        return answers.permute(0, 2, 3, 1).reshape(answers.shape[0], -1, self.num_answers)


class Head(nn.Module):
    """What and where: one branch says the classes, one the deltas, the same on all levels."""

    def __init__(
        self, channels: int, depth: int, num_shapes: int, num_classes: int, **options: Any
    ) -> None:
        """The options are those of a Branch."""
        super().__init__()
        self.classes = Branch(channels, depth, num_shapes, num_classes, **options)
        self.boxes = Branch(channels, depth, num_shapes, 4, **options)
        for last in (self.classes.last, self.boxes.last):
            nn.init.normal_(last.weight, std=0.01)
            nn.init.zeros_(cast(Tensor, last.bias))

    def forward(
        self, maps: Sequence[Float[Tensor, "B C _ _"]]
    ) -> tuple[Float[Tensor, "B A K"], Float[Tensor, "B A 4"]]:
        """Logits and deltas of every anchor of every level."""
        logits = torch.cat([self.classes(features) for features in maps], dim=1)
        deltas = torch.cat([self.boxes(features) for features in maps], dim=1)
        return logits, deltas


@torch.no_grad()
def start_quiet(classes: Branch) -> None:
    """Let every class begin with a score of PRIOR, and background, which is no object, with none.

    Among thousands of anchors few hold an object: starting at 0.5 the first loss would be huge.
    The prior is from Lin et al., "Focal Loss", ICCV 2017.
    """
    bias = cast(Tensor, classes.last.bias).view(-1, classes.num_answers)  # [S, K]
    bias.fill_(-math.log((1 - PRIOR) / PRIOR))
    bias[:, 0] = SILENT
