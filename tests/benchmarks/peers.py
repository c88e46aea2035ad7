"""The peers: what torchvision offers to whoever wants a detector of this size, from scratch.

They get what detlab gets: the same pictures in the same order under the same augmentation, the
same batch size and gradient clipping, bfloat16 in the network (not in
the loss) where the processor has it, channels-last, and the same seconds.

Choices made for them, each in their favour:

- Weights start at random, so batch norm learns too: torchvision would freeze it in RetinaNet, and
  gives it a memory of 33 steps in SSDlite, longer than a short run is; here it is the usual 10.
- RetinaNet sees the 128 pixels that are there (it would enlarge them to 800), and its anchors start
  at 16 pixels instead of 32, because the animals are 25 to 70 pixels long.
- SSDlite is as shipped: it enlarges every picture to 320 × 320.
- `TRAINING`: AdamW along a cosine, at that rate of 5e-4, 1e-3, 2e-3 and 4e-3 which has the lowest
  loss on pictures not trained on, after 90 s of training (SSDlite 6.7, 4.9, 5.8, 5.0; RetinaNet
  1.16, 1.16, 1.15, 1.7).
- They end with their last weights. detlab ends with averaged ones, which would harm a run of
  so few steps.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map
from torchvision.models.detection import RetinaNet, ssdlite320_mobilenet_v3_large
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from detlab.hardware import choose_dtype
from detlab.metrics.evaluation import evaluate_images
from detlab.training.batches import Batches, load_batches
from detlab.training.config import DEFAULT_SECONDS, TrainConfig
from detlab.training.optimizers import make_optimizers, set_learning_rate
from detlab.types import Detection

SSDLITE, RETINANET = "SSDlite", "RetinaNet-R18"
ADAMW = {"optimizer": "adamw", "schedule": "cosine"}
TRAINING: dict[str, dict[str, Any]] = {
    SSDLITE: {**ADAMW, "learning_rate": 1e-3},
    RETINANET: {**ADAMW, "learning_rate": 2e-3},
}
"""What differs from ours in how they learn."""
LOWEST_SCORE = 0.01
"""As in `detlab.metrics.evaluation`: AP reads nearly the whole ranked list."""


def build_ssdlite(num_classes: int, score_threshold: float = LOWEST_SCORE) -> nn.Module:
    """`ssdlite320_mobilenet_v3_large` without any weights."""
    model: nn.Module = ssdlite320_mobilenet_v3_large(
        weights=None,
        weights_backbone=None,
        num_classes=num_classes,
        score_thresh=score_threshold,
        detections_per_img=100,
    )
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 0.1
    return model


def build_retinanet(
    num_classes: int, score_threshold: float = LOWEST_SCORE, image_size: int = 128
) -> nn.Module:
    """RetinaNet on a ResNet-18 with a feature pyramid, without any weights."""
    backbone = resnet_fpn_backbone(
        backbone_name="resnet18",
        weights=None,
        norm_layer=nn.BatchNorm2d,
        trainable_layers=5,
        returned_layers=[2, 3, 4],
        extra_blocks=LastLevelP6P7(256, 256),
    )
    sizes = tuple((16 * 2**level, 20 * 2**level, 25 * 2**level) for level in range(5))
    return RetinaNet(
        backbone,
        num_classes,
        min_size=image_size,
        max_size=image_size,
        anchor_generator=AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * 5),
        score_thresh=score_threshold,
        detections_per_img=100,
    )


BUILDERS: dict[str, Callable[..., nn.Module]] = {SSDLITE: build_ssdlite, RETINANET: build_retinanet}


def use_half_in_training(model: nn.Module, dtype: torch.dtype, device: torch.device) -> None:
    """Let backbone and head compute with `dtype` while training; losses get float32, as ours do."""

    def halved(forward: Callable[..., Any], part: nn.Module) -> Callable[..., Any]:
        def run(*inputs: Any) -> Any:
            use = part.training and dtype != torch.float32
            with torch.autocast(device.type, dtype, enabled=use):
                outputs = forward(*inputs)
            return tree_map(lambda leaf: leaf.float(), outputs) if use else outputs

        return run

    for part in (model.backbone, model.head):
        part.forward = halved(part.forward, part)


def train_peer(model: nn.Module, dataset: Any, config: TrainConfig) -> tuple[int, float]:
    """Train in place as `detlab.fit` does; its clock counts loading and steps, no more.

    Returns:
        steps and seconds.
    """
    device = next(model.parameters()).device
    model.to(memory_format=torch.channels_last).train()
    use_half_in_training(model, choose_dtype(config.precision, device), device)
    optimizers = make_optimizers(model, config)
    batches = Batches(dataset, config.batch_size, config.seed)
    loader = load_batches(batches, 0, device, config.workers)
    steps, seconds = 0, 0.0
    while (progress := seconds / (config.seconds or DEFAULT_SECONDS)) < 1:
        started = time.perf_counter()
        images, targets = next(loader)
        for optimizer in optimizers:
            set_learning_rate(optimizer, config, progress)
        loss = sum(model(list(images / 255), targets).values())
        if loss.isfinite():
            model.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            for optimizer in optimizers:
                optimizer.step()
        steps, seconds = steps + 1, seconds + time.perf_counter() - started
    return steps, seconds


@torch.no_grad()
def detect_with_peer(model: nn.Module, images: Sequence[Tensor]) -> list[Detection]:
    """uint8 pictures in, boxes out; the model is in evaluation mode."""
    device = next(model.parameters()).device
    detections: list[Detection] = model([image.to(device) / 255 for image in images])
    return detections


def evaluate_peer(model: nn.Module, dataset: Any, class_names: Sequence[str]) -> dict[str, float]:
    """The twelve COCO numbers, by the same function that evaluates detlab."""
    model.eval()
    return evaluate_images(
        lambda images: [without_background(found) for found in detect_with_peer(model, images)],
        dataset,
        class_names,
    ).coco


def without_background(detection: Detection) -> Detection:
    """torchvision's RetinaNet has a score for label 0, too, and reports it where it is high."""
    kept = detection["labels"] > 0
    boxes, labels, scores = (detection[key][kept] for key in ("boxes", "labels", "scores"))
    return Detection(boxes=boxes, labels=labels, scores=scores)
