"""One step, one run: how a detector learns, on one processor or on many.

Uses batches.py, model.py and losses.py. `fit` reports by yielding a dict of numbers per step;
who calls it decides whether to print, plot, save or stop.

AdamW is from Loshchilov and Hutter, "Decoupled Weight Decay", ICLR 2019; the cosine from the same
authors' "SGDR", ICLR 2017; averaged weights from Polyak and Juditsky, 1992.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import Dataset

from detlab.detector.checkpoint import UNREADABLE, CheckpointError, read_tensors, write_tensors
from detlab.detector.losses import detection_loss
from detlab.detector.matching import match_anchors
from detlab.detector.model import Detector
from detlab.errors import DetlabError
from detlab.hardware import Precision, choose_dtype, first_process_says, num_processes
from detlab.training.batches import Batches, load_batches, num_classes_of
from detlab.types import Predictions, Target

DEFAULT_SECONDS = 300.0
"""Five minutes of training bring the course's detector to its goal on two processor cores."""
FRACTIONS = (
    *("body_rate", "warmup", "weight_decay", "average_decay", "vertical_flip"),
    *("positive_iou", "negative_iou"),
)
"""Settings from 0 to 1."""
Weights = tuple[Tensor, ...] | list[Tensor]
Loss = Callable[[Predictions, list[Target]], dict[str, Tensor]]
"""predictions and targets to "class", "box" and "total"."""


@dataclass(frozen=True)
class TrainConfig:
    """How long and how fast to learn."""

    seconds: float | None = None
    """Stop after so much time of training; 300 where neither this nor epochs is given."""
    epochs: float | None = None
    """Stop after so many rounds through the data; give this or seconds."""
    batch_size: int = 16
    """Pictures a step, on each process."""
    learning_rate: float = 3e-3
    """At its highest, after the warm-up."""
    body_rate: float = 1.0
    """Fraction of that rate for the body: less than 1 where it has learned on ImageNet already."""
    warmup: float = 0.05
    """Fraction of the run in which the learning rate grows from 0."""
    weight_decay: float = 0.05
    """Pull of every weight towards 0."""
    box_weight: float = 5.0
    """The lambda in L = Lcls + lambda * Lbox."""
    positive_iou: float = 0.4
    """An anchor that overlaps an object so well learns it; lower means more who learn, sooner."""
    negative_iou: float = 0.3
    """An anchor that overlaps all objects less learns background."""
    clip_norm: float = 10.0
    """Longer gradients are shortened to this."""
    average_decay: float = 0.995
    """Fraction of the past in the averaged weights, per step; less in the first steps of a run."""
    seed: int = 0
    """Decides the order of pictures and their augmentation."""
    multiscale: float = 1.0
    """Each batch is shown up to so many times larger or smaller; 1 leaves its size."""
    vertical_flip: float = 0.0
    """Chance that a photograph is shown upside down; 0.5 where there is no up, as among cells."""
    crop: int | None = None
    """Learn from squares of so many pixels cut out of photographs; None: from whole ones. The
    detector sees small objects large, and a step costs no more."""
    precision: Precision = "auto"
    """auto: bfloat16 where the processor computes with it, else float16 on a GPU, else float32."""
    compile: bool = False
    """Let torch.compile fuse the network: a slow first step, faster ones after."""
    workers: int | None = None
    """Processes that load pictures; None: none on a CPU, up to 8 beside a GPU."""

    def __post_init__(self) -> None:
        """Refuse settings that train nothing.

        Raises:
            ValueError: says which, and what it may be.
        """
        if self.seconds is not None and self.epochs is not None:
            raise ValueError(f"give seconds or epochs, not both: {self.seconds} and {self.epochs}")
        for name, value in asdict(self).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name} is a finite number, got {value}")
        for name in ("seconds", "epochs", "batch_size", "learning_rate", "clip_norm", "crop"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} is above 0, got {value}")
        if self.box_weight < 0:
            raise ValueError(f"box_weight scales a loss, it cannot be negative: {self.box_weight}")
        for name in FRACTIONS:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is from 0 to 1, got {getattr(self, name)}")
        if self.negative_iou > self.positive_iou:
            raise ValueError(
                "want negative_iou <= positive_iou, "
                f"got {self.negative_iou} and {self.positive_iou}"
            )
        if self.workers is not None and self.workers < 0:
            raise ValueError(f"workers is 0 or more, got {self.workers}")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed is from 0 to 2**63 - 1, got {self.seed}")
        if self.multiscale < 1:
            raise ValueError(f"multiscale is 1, or a factor above it, got {self.multiscale}")


LOWEST_SCALE = 1.0
"""Of float16's loss: a gradient that overflows without being enlarged is not the scale's fault."""


class NonFiniteLoss(DetlabError, RuntimeError):
    """The loss or its gradient became infinite or no number; says at which step, which pictures."""


@dataclass
class Run:
    """All that changes during training, and so all that a resumed run needs."""

    detector: Detector
    average: AveragedModel
    """The weights of the last few hundred steps, averaged: calmer than the last ones."""
    optimizer: torch.optim.AdamW
    scaler: torch.amp.GradScaler
    step: int = 0
    seconds: float = 0.0

    def progress(self, config: TrainConfig, steps_an_epoch: float) -> float:
        """Fraction of the run that is done; all processes agree with the first one's clock."""
        if config.epochs is not None:
            return self.step / (config.epochs * steps_an_epoch)
        seconds = first_process_says(self.seconds, next(self.detector.parameters()).device)
        return seconds / (config.seconds or DEFAULT_SECONDS)


def start_run(detector: Detector, config: TrainConfig) -> Run:
    """A run at its first step; the detector is on its device already."""
    detector.to(memory_format=torch.channels_last)
    device = next(detector.parameters()).device
    average = AveragedModel(
        detector, multi_avg_fn=partial(move_average, config.average_decay), use_buffers=True
    )
    optimizer = torch.optim.AdamW(
        parameter_groups(detector, config), config.learning_rate, weight_decay=config.weight_decay
    )
    half = choose_dtype(config.precision, device) == torch.float16
    return Run(detector, average, optimizer, torch.amp.GradScaler(device.type, enabled=half))


def parameter_groups(detector: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """The body's weights, then all others: the body may learn more slowly.

    A rate for each part of a network is from Howard and Ruder, "Universal Language Model
    Fine-tuning for Text Classification", ACL 2018.
    """
    body: list[Tensor] = []
    others: list[Tensor] = []
    for name, parameter in detector.named_parameters():
        (body if name.startswith("backbone.body.") else others).append(parameter)
    return [{"params": body, "lr": config.learning_rate * config.body_rate}, {"params": others}]


def move_average(decay: float, average: Weights, current: Weights, count: Tensor | int) -> None:
    """Move the averaged weights a little towards the current ones, in place.

    The fraction of the past grows from a tenth to `decay`: a short run forgets how it began.

    Args:
        decay: the fraction of the past in a long run.
        average: all averaged weights.
        current: all weights, in the same order.
        count: steps averaged before.
    """
    fraction = min(decay, (1 + int(count)) / (10 + int(count)))
    get_ema_multi_avg_fn(fraction)(average, current, count)


def fit(
    detector: Detector,
    dataset: Dataset[Any],
    config: TrainConfig | None = None,
    run: Run | None = None,
    loss: Loss | None = None,
) -> Iterator[dict[str, float]]:
    """Train a detector in place, a step at a time; at the end it holds the averaged weights.

    Args:
        detector: on the device where it is to learn.
        dataset: items (image, target); the images of a batch are padded to one size.
        config: how long and how fast.
        run: where an interrupted run stood; None starts one.
        loss: `losses.detection_loss` as config says, or the same with parts of yours.

    Yields:
        step, seconds (of training, without what the caller does meanwhile), progress (0 to 1),
        learning_rate, loss_class, loss_box, loss_total, images_per_second (over all processes).

    Raises:
        NonFiniteLoss: names the pictures of the step.
        ValueError: an item that cannot be learned from; names it, see `batches.check_item`.
    """
    config = config or TrainConfig()
    loss = loss or configured_loss(config)
    run = run or start_run(detector, config)
    device = next(detector.parameters()).device
    network = distribute(detector.train(), config)
    known = num_classes_of(detector)
    batches = Batches(dataset, config.batch_size, config.seed, config.multiscale, known)
    loader = load_batches(batches, run.step, device, config.workers)
    images_a_step = config.batch_size * num_processes()
    try:
        while (progress := run.progress(config, batches.num_pictures / images_a_step)) < 1:
            started = time.perf_counter()
            images, targets = next(loader)
            set_learning_rate(run.optimizer, config, progress)
            try:
                losses = train_step(run, network, images, targets, config, loss)
            except NonFiniteLoss as error:
                names = batches.names(run.step)
                raise NonFiniteLoss(f"step {run.step}: {error}; over {names}") from error
            seconds = time.perf_counter() - started
            run.step, run.seconds = run.step + 1, run.seconds + seconds
            yield {
                "step": run.step,
                "seconds": run.seconds,
                "progress": progress,
                "learning_rate": run.optimizer.param_groups[-1]["lr"],
                "images_per_second": images_a_step / seconds,
                **{f"loss_{name}": value for name, value in losses.items()},
            }
    finally:
        detector.load_state_dict(run.average.module.state_dict())


def train_step(
    run: Run,
    network: nn.Module,
    images: Tensor,
    targets: list[Target],
    config: TrainConfig,
    loss: Loss,
) -> dict[str, float]:
    """Predict, compare, and move every weight a little.

    In float16 a gradient may be infinite for being scaled too high: then only the scale moves.

    Raises:
        NonFiniteLoss: the loss or its gradient is infinite or no number; nothing has moved.
    """
    buffers = [buffer.clone() for buffer in run.detector.buffers()]  # batch norms move in forward
    moved = False
    try:
        losses = loss(predict(network, images, config), targets)
        numbers = dict(zip(losses, torch.stack(list(losses.values())).tolist(), strict=True))
        if not math.isfinite(numbers["total"]):
            raise NonFiniteLoss(str(numbers))
        moved = move_weights(run, losses["total"], config.clip_norm)
    finally:
        if not moved:
            for buffer, before in zip(run.detector.buffers(), buffers, strict=True):
                buffer.copy_(before)
    if moved:
        run.average.update_parameters(run.detector)
    elif not run.scaler.is_enabled() or run.scaler.get_scale() < LOWEST_SCALE:
        raise NonFiniteLoss(f"the gradient of {numbers} is infinite or no number")
    return numbers


def predict(network: nn.Module, images: Tensor, config: TrainConfig) -> Predictions:
    """What the network says of the images, computed as precisely as the settings ask for."""
    dtype = choose_dtype(config.precision, images.device)
    with torch.autocast(images.device.type, dtype, enabled=dtype != torch.float32):
        predictions: Predictions = network(images)
    return predictions


def move_weights(run: Run, total: Tensor, clip_norm: float) -> bool:
    """Follow the gradient of the loss; where that is not finite, move nothing and give False."""
    run.optimizer.zero_grad()
    run.scaler.scale(total).backward()
    run.scaler.unscale_(run.optimizer)
    norm = nn.utils.clip_grad_norm_(run.detector.parameters(), clip_norm)
    moved = bool(norm.isfinite())
    if moved:
        run.scaler.step(run.optimizer)
    run.scaler.update()  # of float16: lower where the scaled gradient was infinite
    return moved


def configured_loss(config: TrainConfig) -> Loss:
    """The detection loss with the settings' lambda and thresholds of matching."""
    match = partial(
        match_anchors, positive_iou=config.positive_iou, negative_iou=config.negative_iou
    )
    return partial(detection_loss, box_weight=config.box_weight, match=match)


def set_learning_rate(
    optimizer: torch.optim.Optimizer, config: TrainConfig, progress: float
) -> None:
    """Up from 0 during the warm-up, then down along half a cosine to 0 at the end.

    The first call takes the rates that the optimizer was made with for the highest.
    """
    if progress < config.warmup:
        fraction = progress / config.warmup
    else:
        fraction = (1 + math.cos(math.pi * (progress - config.warmup) / (1 - config.warmup))) / 2
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * fraction


def distribute(detector: Detector, config: TrainConfig) -> nn.Module:
    """The network to call in training: the detector itself, or its part in several processes.

    On GPUs batch norms see the batches of all processes, as torch's SyncBatchNorm does it; it knows
    no CPU, so there each process has its own part's means, and its gradients differ by that much
    from those of one process with the whole batch.
    """
    if config.compile:
        detector.backbone.compile()
        detector.head.compile()
    if num_processes() == 1:
        return detector
    if next(detector.parameters()).is_cuda:
        nn.SyncBatchNorm.convert_sync_batchnorm(detector)
    return DistributedDataParallel(detector)


def save_run(path: Path, run: Run) -> None:
    """Write all that a resumed run needs, atomically.

    Raises:
        CheckpointError: a number in it is infinite or none; what was saved before stays.
    """
    tensors = {f"average.{name}": part for name, part in run.average.state_dict().items()}
    tensors |= {f"detector.{name}": part for name, part in run.detector.state_dict().items()}
    for row, state in run.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{row}.{name}": part for name, part in state.items()}
    progress = {"step": run.step, "seconds": run.seconds, "scaler": run.scaler.state_dict()}
    write_tensors(path, tensors, progress)


def load_run(path: Path, detector: Detector, config: TrainConfig) -> Run:
    """Read a run back into a fresh detector of the same settings.

    Raises:
        CheckpointError: missing, damaged, or of another detector.
    """
    tensors, progress = read_tensors(path)
    run = start_run(detector, config)

    def part(prefix: str) -> dict[str, Tensor]:
        return {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}

    try:
        run.detector.load_state_dict(part("detector."))
        run.average.load_state_dict(part("average."))
        state = run.optimizer.state_dict()
        rows = range(sum(len(group["params"]) for group in state["param_groups"]))
        state["state"] = {row: part(f"optimizer.{row}.") for row in rows}
        run.optimizer.load_state_dict(state)
        if progress["scaler"]:  # empty where the run has not been in float16
            run.scaler.load_state_dict(progress["scaler"])
        run.step, run.seconds = int(progress["step"]), float(progress["seconds"])
    except UNREADABLE as error:
        raise CheckpointError(f"{path}: does not fit this detector: {error}") from error
    return run
