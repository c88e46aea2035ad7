"""The detector: backbone, head and anchors. It only predicts.

Uses config.py, anchors.py, backbone.py and head.py. losses.py and postprocess.py read what it
predicts.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.detection.retinanet import RetinaNet

from detlab.detector.anchors import Grid, anchor_grid, pyramid_anchors
from detlab.detector.backbone import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Normalise,
    PyramidBackbone,
    build_backbone,
)
from detlab.detector.config import DetectorConfig
from detlab.detector.head import Head, start_quiet
from detlab.types import Activation, Predictions

MakeAnchors = Callable[[Tensor, Sequence[Tensor]], Tensor]
"""Images [B 3 H W] and maps [B C _ _] of each level to anchors [A 4]."""


class Detector(nn.Module):
    """Images to predictions, in training and after: what else is wanted is made from these."""

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        make_anchors: MakeAnchors,
        activation: Activation = "sigmoid",
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.make_anchors = make_anchors
        self.activation = activation
        self.normalise = Normalise(mean, std)

    def forward(self, images: Tensor) -> Predictions:
        """Predict on a batch.

        Args:
            images: [B, 3, H, W], uint8 from 0 to 255 or float from 0 to 1; any H and W.
        """
        maps = self.backbone(self.normalise(images))
        logits, deltas = self.head(maps)
        return Predictions(logits, deltas, self.make_anchors(images, maps), self.activation)


class Exportable(nn.Module):
    """A detector as `torch.export` and `torch.onnx.export` take it: a tensor in, tensors out.

    How logits and deltas are read is no tensor, so it stays with the detector: its `activation`.
    Batch and sides, in steps of 32 pixels, may vary where they are named; the example needs two
    images, and sides longer than the coarsest stride (32, or 128 with five levels):

        sizes = {0: Dim("batch"), 2: 32 * Dim("rows"), 3: 32 * Dim("columns")}
        export(Exportable(detector), (torch.zeros(2, 3, 160, 192),), dynamic_shapes=[sizes])

    >>> detector = build_detector(DetectorConfig(num_classes=3)).eval()
    >>> logits, deltas, anchors = Exportable(detector)(torch.zeros(2, 3, 64, 96))
    >>> anchors.shape
    torch.Size([756, 4])
    """

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector
        self.training = detector.training

    def forward(
        self, images: Tensor
    ) -> tuple[Float[Tensor, "B A K"], Float[Tensor, "B A 4"], Float[Tensor, "A 4"]]:
        """Logits, deltas and anchors of a batch, see `Detector.forward`."""
        predictions: Predictions = self.detector(images)
        return predictions.logits, predictions.deltas, predictions.anchors


def build_detector(config: DetectorConfig, grid: Grid = anchor_grid) -> Detector:
    """Settings to a detector with fresh weights (ImageNet weights in its body, if asked for).

    Args:
        config: what it is made of.
        grid: where the anchors of a level stand, see `anchors.anchor_grid`.

    >>> detector = build_detector(DetectorConfig(num_classes=3))
    >>> detector(torch.zeros(1, 3, 64, 96)).logits.shape  # 6 in each of 126 cells
    torch.Size([1, 756, 3])
    """
    num_levels = len(config.anchor_sizes)
    backbone = build_backbone(config.backbone, config.channels, config.pretrained, num_levels)
    num_shapes = len(config.anchor_sizes[0]) * len(config.aspect_ratios)
    shape = (config.channels, config.head_depth, num_shapes, config.num_classes)
    head = Head(*shape, last_kernel=config.last_kernel)
    if config.activation == "sigmoid":
        start_quiet(head.classes)
    make_anchors = partial(
        anchors_on_maps,
        anchor_sizes=config.anchor_sizes,
        aspect_ratios=config.aspect_ratios,
        grid=grid,
    )
    return Detector(backbone, head, make_anchors, config.activation)


def anchors_on_maps(
    images: Tensor,
    maps: Sequence[Float[Tensor, "B C _ _"]],
    anchor_sizes: tuple[tuple[float, ...], ...],
    aspect_ratios: tuple[float, ...],
    grid: Grid = anchor_grid,
) -> Float[Tensor, "A 4"]:
    """The anchors that belong to these maps, see `anchors.pyramid_anchors`."""
    feature_sizes = tuple((features.shape[2], features.shape[3]) for features in maps)
    return pyramid_anchors(feature_sizes, anchor_sizes, aspect_ratios, images.device, grid)


def anchors_on_corners(
    images: Tensor,
    maps: Sequence[Float[Tensor, "B C _ _"]],
    shapes: Sequence[Float[Tensor, "S 4"]],
) -> Float[Tensor, "A 4"]:
    """The anchors that torchvision's `AnchorGenerator` puts on the upper left corner of each cell.

    Args:
        images: [B, 3, H, W].
        maps: of each level, finest first.
        shapes: boxes around a centre at 0, 0, of each level.

    >>> shapes = [torch.tensor([[-8.0, -4.0, 8.0, 4.0]])]
    >>> anchors_on_corners(torch.zeros(1, 3, 8, 16), [torch.zeros(1, 5, 1, 2)], shapes)
    tensor([[-8., -4.,  8.,  4.],
            [ 0., -4., 16.,  4.]])
    """
    levels = []
    for features, around_0 in zip(maps, shapes, strict=True):
        height, width = features.shape[2:]
        x = torch.arange(width) * (images.shape[3] // width)
        y = torch.arange(height) * (images.shape[2] // height)
        corners = torch.cartesian_prod(y, x).flip(dims=[1])
        levels.append((corners.repeat(1, 2)[:, None] + around_0).flatten(0, 1))
    return torch.cat(levels).to(images.device)


def from_torchvision(retinanet: RetinaNet) -> Detector:
    """A torchvision RetinaNet, v1 or v2 with any weights, as a Detector: same logits, same deltas.

    The backbone is taken over as it is, the head's weights are copied.
    torchvision centres anchors on the corner of a cell, we on its middle; its trained weights
    expect its own.
    """
    theirs = retinanet.head
    classes, boxes = theirs.classification_head, theirs.regression_head
    num_convolutions, channels = len(classes.conv), classes.cls_logits.in_channels
    group_norm = any(isinstance(part, nn.GroupNorm) for part in classes.modules())
    head = Head(
        channels,
        num_convolutions,
        classes.num_anchors,
        classes.num_classes,
        norm=partial(nn.GroupNorm, 32) if group_norm else None,
    )
    head.classes.tower.load_state_dict(classes.conv.state_dict())
    head.classes.last.load_state_dict(classes.cls_logits.state_dict())
    head.boxes.tower.load_state_dict(boxes.conv.state_dict())
    head.boxes.last.load_state_dict(boxes.bbox_reg.state_dict())

    shapes = [level.float().cpu() for level in retinanet.anchor_generator.cell_anchors]
    make_anchors = partial(anchors_on_corners, shapes=shapes)
    backbone = PyramidBackbone(retinanet.backbone.body, retinanet.backbone.fpn)
    transform = retinanet.transform
    detector = Detector(
        backbone, head, make_anchors, mean=transform.image_mean, std=transform.image_std
    )
    return detector.train(retinanet.training)
