"""A copy of a detector that only detects, faster: its batch norms are part of its convolutions.

Uses model.py. `postprocess.detect` takes the copy as it takes any detector.

Folding is as old as batch norm: in use it multiplies and shifts every channel by fixed numbers,
which the convolution before it can do on the way.
"""

import copy
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from detlab.detector.model import Detector, MakeAnchors
from detlab.hardware import Precision, choose_dtype


def fused(detector: Detector, precision: Precision | None = None) -> Detector:
    """A copy for detection alone; up to rounding it finds what the detector finds now.

    The detector stays as it is. The copy learns nothing, neither by itself nor from the detector:
    once that has learned more, make another.

    Args:
        detector: in any mode, on any device; the copy is in evaluation mode on the same.
        precision: of the copy's weights; None keeps it, "auto" is the fastest that the device has.
            In bfloat16, scores and boxes are right to two or three digits.

    >>> from detlab.detector.config import DetectorConfig
    >>> from detlab.detector.model import build_detector
    >>> detector = build_detector(DetectorConfig(num_classes=3)).eval()
    >>> images = torch.ones(1, 3, 64, 96)
    >>> torch.allclose(fused(detector)(images).logits, detector(images).logits, atol=1e-5)
    True
    """
    copied = copy.deepcopy(detector).eval().requires_grad_(False)
    for part in list(copied.modules()):
        fold_batch_norms(part)
    copied.make_anchors = LastAnchors(copied.make_anchors)
    copied.to(memory_format=torch.channels_last)
    if precision is None:
        return copied
    return copied.to(choose_dtype(precision, next(copied.parameters()).device))


def fold_batch_norms(part: nn.Module) -> None:
    """Fold the batch norms among a module's children into the convolutions they follow, in place.

    In all our bodies a batch norm is registered right behind the convolution whose maps it gets.
    """
    for (name, first), (next_name, second) in pairwise(list(part.named_children())):
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
            setattr(part, name, fuse_conv_bn_eval(first, second))
            setattr(part, next_name, nn.Identity().eval())


class LastAnchors:
    """Makes anchors once for all pictures of one size that come one after another."""

    def __init__(self, make_anchors: MakeAnchors) -> None:
        self.make_anchors = make_anchors
        self.last: tuple[object, Tensor] | None = None

    def __call__(
        self, images: Tensor, maps: Sequence[Float[Tensor, "B C _ _"]]
    ) -> Float[Tensor, "A 4"]:
        """As `make_anchors`; do not write into them."""
        asked = images.device, images.shape[2:], [features.shape[2:] for features in maps]
        last = self.last  # read once: another thread may ask for another size
        if last is None or last[0] != asked:
            self.last = last = asked, self.make_anchors(images, maps)
        return last[1]
