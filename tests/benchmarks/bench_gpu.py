"""What `resnet50` reaches on a GPU beside torchvision's RetinaNet-R50-FPN: `make bench-gpu`.

Both have a ResNet-50, a feature pyramid of five levels with 256 channels, heads of four
convolutions and nine anchor shapes, all with random weights, so no network is needed. Both get the
same uint8 pictures in the GPU's memory and compute in the same precision with channels-last. One
difference stays, at our cost: a detlab step also keeps averaged weights.

Prints "no GPU" and ends well where there is none.
"""

import argparse
import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
from report import Row, describe_machine, publish, ratios, take_turns
from torch import Tensor, nn
from torchvision.models.detection import RetinaNet, retinanet_resnet50_fpn

from detlab.course.records import spread
from detlab.detector.config import named_config
from detlab.detector.model import Detector, build_detector, from_torchvision
from detlab.detector.postprocess import detect, to_scores
from detlab.hardware import choose_dtype
from detlab.training.config import TrainConfig
from detlab.training.loop import configured_loss, start_run, train_step
from detlab.training.optimizers import set_learning_rate
from detlab.types import Detection, Target

OURS, THEIRS = "detlab", "torchvision"
NUM_CLASSES = 21  # as VOC has
OBJECTS = 8  # in each picture, as COCO has on average
CANDIDATES = 300  # boxes of each picture that go into suppression
AGREEMENT = 1e-3  # greatest difference of logits and deltas between CPU and GPU, in float32
MB = 10**6


def main() -> None:
    """Measure everything, if there is something to measure on."""
    options = parse_arguments()
    if not torch.cuda.is_available():
        print("no GPU")
        return
    device, machine = torch.device("cuda"), describe_machine()
    rows = []
    for name in options.only:
        print(f"{name} …", flush=True)
        rows += MEASUREMENTS[name](device, options)
    publish(machine, rows, options.json)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What to measure, and on how much."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = list(MEASUREMENTS)
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="these rows alone")
    parser.add_argument("--batch-size", type=int, default=16, help="pictures")
    parser.add_argument("--image-size", type=int, default=640, help="pixels of both sides")
    parser.add_argument("--steps", type=int, default=10, help="steps in a round")
    parser.add_argument("--rounds", type=int, default=7, help="rounds; the two take turns")
    parser.add_argument("--json", type=Path, default=Path("runs/bench_gpu.json"))
    return parser.parse_args(arguments)


# ---------------------------------------------------------------- the two, and their input


def build_ours(device: torch.device) -> Detector:
    """Config `resnet50` with random weights."""
    config = replace(named_config("resnet50", NUM_CLASSES), pretrained=False)
    return build_detector(config).to(device, memory_format=torch.channels_last)


def build_theirs(device: torch.device, image_size: int) -> RetinaNet:
    """torchvision's, with random weights, all of them trained, at the same picture size."""
    model: RetinaNet = retinanet_resnet50_fpn(
        weights=None,
        weights_backbone=None,
        num_classes=NUM_CLASSES,
        min_size=image_size,
        max_size=image_size,
        detections_per_img=100,
    )
    return model.to(device, memory_format=torch.channels_last)


def random_batch(
    batch_size: int, image_size: int, device: torch.device
) -> tuple[Tensor, list[Target]]:
    """Noise with boxes: the speed of training does not depend on what is in a picture."""
    generator = torch.Generator().manual_seed(0)
    shape = (batch_size, 3, image_size, image_size)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    targets = []
    for _ in range(batch_size):
        corner = torch.rand(OBJECTS, 2, generator=generator) * 0.6 * image_size
        side = (0.05 + 0.3 * torch.rand(OBJECTS, 2, generator=generator)) * image_size
        labels = torch.randint(1, NUM_CLASSES, (OBJECTS,), generator=generator)
        boxes = torch.cat([corner, corner + side], dim=1)
        targets.append(Target(boxes=boxes.to(device), labels=labels.to(device)))
    return images.to(device, memory_format=torch.channels_last), targets


def our_step(device: torch.device, images: Tensor, targets: list[Target]) -> Callable[[], None]:
    """A training step of detlab, all of it."""
    config = TrainConfig()
    detector = build_ours(device).train()
    run, loss = start_run(detector, config), configured_loss(config)

    def step() -> None:
        for optimizer in run.optimizers:
            set_learning_rate(optimizer, config, progress=0.01)
        train_step(run, detector, images, targets, config, loss)

    return step


def their_step(device: torch.device, images: Tensor, targets: list[Target]) -> Callable[[], None]:
    """The same with torchvision's model: AdamW, clipping, the same precision in the network."""
    config = TrainConfig()
    model = build_theirs(device, images.shape[-1]).train()
    optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate)
    dtype = choose_dtype(config.precision, device)
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)

    def step() -> None:
        set_learning_rate(optimizer, config, progress=0.01)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            loss = sum(model(list(images / 255), targets).values())
        loss.item()  # detlab looks at every loss, too
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        scaler.step(optimizer)
        scaler.update()

    return step


# ---------------------------------------------------------------- the rows


def measure_training(device: torch.device, options: argparse.Namespace) -> list[Row]:
    """Pictures per second of whole training steps."""
    images, targets = random_batch(options.batch_size, options.image_size, device)
    steps = {
        OURS: our_step(device, images, targets),
        THEIRS: their_step(device, images, targets),
    }
    return [compare("training", steps, device, options)]


def measure_detection(device: torch.device, options: argparse.Namespace) -> list[Row]:
    """Pictures per second from uint8 to boxes, where each picture has `CANDIDATES` raw boxes."""
    images, _ = random_batch(options.batch_size, options.image_size, device)
    ours, theirs = build_ours(device), build_theirs(device, options.image_size)
    warm_batch_norm([ours, theirs.backbone], images)
    theirs.eval()
    dtype = choose_dtype("auto", device)
    half = partial(torch.autocast, device.type, dtype, enabled=dtype != torch.float32)
    pictures = list(images)
    with half():
        threshold = admitting_threshold(ours, images)
        theirs.score_thresh = admitting_threshold(from_torchvision(theirs), images)

    def detect_ours() -> list[Detection]:
        with half():
            return detect(ours, pictures, score_threshold=threshold)

    @torch.no_grad()
    def detect_theirs() -> list[Detection]:
        with half():
            found: list[Detection] = theirs([picture / 255 for picture in pictures])
        return found

    row = compare("detection", {OURS: detect_ours, THEIRS: detect_theirs}, device, options)
    for name, found in ((OURS, detect_ours()), (THEIRS, detect_theirs())):
        row.details[f"boxes a picture, {name}"] = mean(len(one["boxes"]) for one in found)
    return [row]


def compare(
    what: str,
    runs: dict[str, Callable[[], object]],
    device: torch.device,
    options: argparse.Namespace,
) -> Row:
    """Both in turns; pictures per second, and how many times faster we are in the same round."""

    def repeat(run: Callable[[], object]) -> None:
        for _ in range(options.steps):
            run()

    finish = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    seconds = take_turns(
        {name: partial(repeat, run) for name, run in runs.items()}, options.rounds, finish
    )
    pictures = options.steps * options.batch_size
    rates = {name: [pictures / value for value in values] for name, values in seconds.items()}
    lead = ratios(rates[OURS], rates[THEIRS])
    precision = str(choose_dtype("auto", device)).removeprefix("torch.")
    return Row(
        f"{what} of `resnet50` against RetinaNet-R50-FPN, pictures/s "
        f"(batch {options.batch_size}, {options.image_size} px, {precision})",
        "≥ 1.3 ×",
        f"{spread(lead)} × ({spread(rates[OURS], 0)} against {spread(rates[THEIRS], 0)})",
        median(lead) >= 1.3,
        {"pictures_per_second": rates},
    )


def measure_agreement(device: torch.device, options: argparse.Namespace) -> list[Row]:
    """CPU and GPU compute the same logits and deltas from the same weights, in float32."""
    images, _ = random_batch(2, min(options.image_size, 256), torch.device("cpu"))
    torch.manual_seed(0)
    detector = build_ours(torch.device("cpu"))
    warm_batch_norm([detector], images)
    with torch.no_grad(), exact_float32():
        here = detector(images)
        there = detector.to(device)(images.to(device))
    differences = {
        name: float((getattr(here, name) - getattr(there, name).cpu()).abs().max())
        for name in ("logits", "deltas", "anchors")
    }
    return [
        Row(
            "CPU and GPU, greatest difference in float32 (TF32 off)",
            f"≤ {AGREEMENT:g}",
            ", ".join(f"{name} {value:.1e}" for name, value in differences.items()),
            max(differences.values()) <= AGREEMENT,
            differences,
        )
    ]


def measure_memory(device: torch.device, options: argparse.Namespace) -> list[Row]:
    """Most memory of the GPU that three training steps hold, each model alone."""
    images, targets = random_batch(options.batch_size, options.image_size, device)
    peaks = {}
    for name, make_step in ((OURS, our_step), (THEIRS, their_step)):
        forget(device)
        step = make_step(device, images, targets)
        for _ in range(3):
            step()
        peaks[name] = torch.cuda.max_memory_allocated(device) / MB
        del step
    forget(device)
    return [
        Row(
            f"peak memory of training (batch {options.batch_size}, {options.image_size} px)",
            "–",
            ", ".join(f"{name} {peak:.0f} MB" for name, peak in peaks.items()),
            None,
            {"peak_mb": peaks},
        )
    ]


MEASUREMENTS: dict[str, Callable[[torch.device, argparse.Namespace], list[Row]]] = {
    "agreement": measure_agreement,
    "memory": measure_memory,
    "training": measure_training,
    "detection": measure_detection,
}


# ---------------------------------------------------------------- what the rows stand on


@torch.no_grad()
def warm_batch_norm(networks: Sequence[Any], images: Tensor, steps: int = 10) -> None:
    """Let fresh batch norm see some pictures, so that evaluation mode gives sensible numbers."""
    for network in networks:
        network.train()
        for _ in range(steps):
            network(images / 255)
    for network in networks:
        network.eval()


@torch.no_grad()
def admitting_threshold(detector: Detector, images: Tensor) -> float:
    """The score that lets `CANDIDATES` boxes of a picture into suppression, on average.

    Random weights give every anchor nearly the same score, so no fixed threshold would do.
    """
    predictions = detector(images)
    logits = predictions.logits.float().flatten(0, 1)
    scores = to_scores(logits, predictions.activation).flatten()
    rank = min(CANDIDATES * len(images), len(scores) - 1)
    return float(scores.topk(rank + 1).values[-1])


@contextmanager
def exact_float32() -> Iterator[None]:
    """Without TF32, which rounds what it multiplies to ten bits."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def forget(device: torch.device) -> None:
    """Give freed memory back and start counting anew."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)


if __name__ == "__main__":
    main()
