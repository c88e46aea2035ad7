"""One step, one run: how a detector learns, on one processor or on many.

Uses batches.py, optimizers.py, model.py and losses.py. `fit` reports by yielding a dict of numbers
per step; who calls it decides whether to print, plot, save or stop.

Averaged weights are from Polyak and Juditsky, 1992.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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
from detlab.hardware import choose_dtype, first_process_says, num_processes
from detlab.training.batches import Batches, load_batches, num_classes_of
from detlab.training.config import DEFAULT_SECONDS, TrainConfig
from detlab.training.optimizers import make_optimizers, set_learning_rate
from detlab.types import Predictions, Target

Weights = tuple[Tensor, ...] | list[Tensor]
Loss = Callable[[Predictions, list[Target]], dict[str, Tensor]]
"""predictions and targets to "class", "box" and "total"."""
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
    optimizers: tuple[torch.optim.Optimizer, ...]
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
    half = choose_dtype(config.precision, device) == torch.float16
    optimizers = make_optimizers(detector, config)
    return Run(detector, average, optimizers, torch.amp.GradScaler(device.type, enabled=half))


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
            for optimizer in run.optimizers:
                set_learning_rate(optimizer, config, progress)
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
                "learning_rate": run.optimizers[0].param_groups[-1]["lr"],
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
    run.detector.zero_grad()
    run.scaler.scale(total).backward()
    for optimizer in run.optimizers:
        run.scaler.unscale_(optimizer)
    norm = nn.utils.clip_grad_norm_(run.detector.parameters(), clip_norm)
    moved = bool(norm.isfinite())
    for optimizer in run.optimizers if moved else ():
        run.scaler.step(optimizer)
    run.scaler.update()  # of float16: lower where the scaled gradient was infinite
    return moved


def configured_loss(config: TrainConfig) -> Loss:
    """The detection loss with the settings' lambda, quality and thresholds of matching."""
    match = partial(
        match_anchors, positive_iou=config.positive_iou, negative_iou=config.negative_iou
    )
    return partial(
        detection_loss, box_weight=config.box_weight, match=match, quality=config.quality
    )


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
    for first, optimizer in numbered(run.optimizers):
        for row, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{first + row}.{name}": part for name, part in state.items()}
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
        for first, optimizer in numbered(run.optimizers):
            state = optimizer.state_dict()
            rows = range(num_weights(optimizer))
            state["state"] = {row: part(f"optimizer.{first + row}.") for row in rows}
            optimizer.load_state_dict(state)
        if progress["scaler"]:  # empty where the run has not been in float16
            run.scaler.load_state_dict(progress["scaler"])
        run.step, run.seconds = int(progress["step"]), float(progress["seconds"])
    except UNREADABLE as error:
        raise CheckpointError(f"{path}: does not fit this detector: {error}") from error
    return run


def numbered(
    optimizers: Sequence[torch.optim.Optimizer],
) -> Iterator[tuple[int, torch.optim.Optimizer]]:
    """Each optimizer with the number of its first weight, where those of all are counted on."""
    first = 0
    for optimizer in optimizers:
        yield first, optimizer
        first += num_weights(optimizer)


def num_weights(optimizer: torch.optim.Optimizer) -> int:
    """How many weights (tensors) an optimizer moves."""
    return sum(len(group["params"]) for group in optimizer.param_groups)
