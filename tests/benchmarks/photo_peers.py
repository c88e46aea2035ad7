"""AP over seconds on photographs, beside torchvision's detectors: `make peers`.

All three learn from the same pictures under the same augmentation, with the same batch size,
AdamW, schedule and clipping, for the same seconds, from ImageNet weights; each in a process of its
own, which tells its peak memory.

- detlab: config `mobilenet`, as `detlab train` makes it.
- RetinaNet: torchvision's, on the very same MobileNetV2 with the same pyramid and weights.
- SSDlite: torchvision's `ssdlite320_mobilenet_v3_large`; its body starts from ImageNet weights
  where these can be had, and from random ones where not, which the table then says.

    make peers                                          2, 5 and 15 minutes: about 70 minutes
    make peers ARGS="--seconds 120 --data aquarium"
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from matplotlib.figure import Figure
from peers import (
    LOWEST_SCORE,
    detect_with_peer,
    evaluate_peer,
    train_peer,
)
from report import Row, describe_machine, publish
from torch import Tensor, nn
from torchvision.models.detection import RetinaNet, ssdlite320_mobilenet_v3_large
from torchvision.models.detection.anchor_utils import AnchorGenerator

from detlab.data.datasets import load_dataset
from detlab.data.transforms import Augmented
from detlab.detector.backbone import PyramidBackbone
from detlab.detector.config import named_config
from detlab.detector.model import build_detector
from detlab.detector.postprocess import detect
from detlab.draw.figures import save_figure
from detlab.metrics.evaluation import evaluate
from detlab.training.config import TrainOptions
from detlab.training.loop import fit
from detlab.training.run import augmentation, prepare
from detlab.training.run_folder import RunSettings

OURS, RETINANET, SSDLITE = "detlab", "RetinaNet-MobileNetV2", "SSDlite-MobileNetV3"
CONFIG = "mobilenet"
LEARNING_RATES = {RETINANET: 1e-3, SSDLITE: 2e-3}
"""At their highest, after the warm-up: each the best of three on bccd's val split after four
minutes of one core. RetinaNet: AP .20 with 5e-4, .28 with 1e-3, .07 with 2e-3. SSDlite: .41 with
1e-3, .43 with 2e-3, .42 with 4e-3."""
TIMED = 20
"""Pictures at most that are detected in, one by one, for pictures/s."""
Find = Callable[[list[Tensor]], Any]


def main() -> None:
    """One training in this process, or all of them, each in its own."""
    options = parse_arguments()
    if options.one:
        print(json.dumps(ONE[options.one](options)))
        return
    machine, results = describe_machine(), []
    for seconds in options.seconds:
        for name in ONE:
            results.append({"name": name, "budget": seconds, **run_alone(name, seconds, options)})
            print(results[-1], flush=True)
    publish(machine, [row(results, seconds) for seconds in options.seconds], options.json)
    save_figure(draw(results, options.data), options.json.with_suffix(".png"))
    print(f"drawn in {options.json.with_suffix('.png')}")


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Which data, how long, where to write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="bccd")
    parser.add_argument("--seconds", nargs="+", type=float, default=[120.0, 300.0, 900.0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--rate", type=float, help="another learning rate for a peer than the chosen one"
    )
    parser.add_argument("--split", default="test", help="where AP is measured")
    parser.add_argument("--one", choices=list(ONE), help="train this one alone, print JSON")
    parser.add_argument("--json", type=Path, default=Path("runs/peers.json"))
    return parser.parse_args(arguments)


def run_alone(name: str, seconds: float, options: argparse.Namespace) -> dict[str, Any]:
    """A training in a process of its own, so that its memory is its own."""
    words = ["--one", name, "--seconds", str(seconds), "--data", options.data]
    words += ["--seed", str(options.seed), "--split", options.split]
    words += ["--rate", str(options.rate)] if options.rate else []
    done = subprocess.run(
        [sys.executable, __file__, *words], check=True, stdout=subprocess.PIPE, text=True
    )
    numbers: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return numbers


def row(results: Sequence[dict[str, Any]], seconds: float) -> Row:
    """All three after the same seconds."""
    here = {one["name"]: one for one in results if one["budget"] == seconds}
    measured = "; ".join(
        f"{name}{one.get('note', '')} AP {one['AP']:.3f}, AP50 {one['AP50']:.3f}, "
        f"{one['pictures_per_second']:.0f} pictures/s, {one['memory_GB']:.2f} GB"
        for name, one in here.items()
    )
    met = here[OURS]["AP"] > max(here[name]["AP"] for name in here if name != OURS)
    return Row(f"after {seconds / 60:.0f} minutes", "ahead of both", measured, met, here)


def draw(results: Sequence[dict[str, Any]], data: str) -> Figure:
    """AP over seconds of training, a line for each."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, line in zip(ONE, ("o-", "s--", "^:"), strict=True):
        its = [one for one in results if one["name"] == name]
        points = [(one["budget"] / 60, one["AP"]) for one in its]
        axes.plot(*zip(*points, strict=True), line, label=name + its[0].get("note", ""))
    axes.set(xlabel="minutes of training", ylabel=f"AP on {data}", xlim=(0, None), ylim=(0, None))
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    return figure


# ---------------------------------------------------------------- the three


def load(options: argparse.Namespace) -> tuple[Augmented, Any, RunSettings]:
    """What all of them learn from, whole pictures; what they are evaluated on; and how."""
    size = named_config(CONFIG, 2).longest_side
    asked = TrainOptions(crop=0, seconds=options.seconds[0], seed=options.seed)
    train_set, _, settings = prepare(options.data, CONFIG, asked, longest_side=size)
    for index in range(len(train_set)):
        train_set[index]  # decoded once, so that nobody waits for files
    torch.manual_seed(options.seed)
    return (
        Augmented(train_set, augmentation(options.data, settings.training)),
        load_dataset(options.data, options.split),
        settings,
    )


def ours(options: argparse.Namespace) -> dict[str, Any]:
    """The config as `detlab train` makes it."""
    train_set, dataset, settings = load(options)
    config = settings.detector
    detector = build_detector(config)
    for numbers in fit(detector, train_set, settings.training):
        last = numbers
    coco = evaluate(detector, dataset, config.longest_side, dataset.class_names).coco
    find = partial(detect, detector, longest_side=config.longest_side)
    return summary(coco, int(last["step"]), last["seconds"], speed(find, dataset))


def theirs(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """One of torchvision's."""
    train_set, dataset, settings = load(options)
    model, note = BUILDERS[name](len(dataset.class_names))
    training = replace(settings.training, learning_rate=options.rate or LEARNING_RATES[name])
    steps, seconds = train_peer(model, train_set, training)
    coco = evaluate_peer(model, dataset, dataset.class_names)
    rate = speed(partial(detect_with_peer, model), dataset)
    return {**summary(coco, steps, seconds, rate), "note": note}


def speed(find: Find, dataset: Any) -> float:
    """Pictures a second, one by one, everything included."""
    images = [dataset[index][0] for index in range(min(TIMED, len(dataset)))]
    find(images[:1])
    started = time.perf_counter()
    for image in images:
        find([image])
    return len(images) / (time.perf_counter() - started)


def summary(coco: dict[str, float], steps: int, seconds: float, rate: float) -> dict[str, Any]:
    """What stays of a run; the memory is this process's peak, its data and evaluation included."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9  # Linux counts in kB
    return {
        **{key: coco[key] for key in ("AP", "AP50", "AP75")},
        "steps": steps,
        "seconds": round(seconds, 1),
        "pictures_per_second": rate,
        "memory_GB": peak,
    }


class SamePyramid(nn.Module):
    """Our backbone as torchvision's RetinaNet wants one: maps by name, and their channels."""

    def __init__(self, backbone: PyramidBackbone, out_channels: int) -> None:
        super().__init__()
        self.body, self.pyramid, self.out_channels = backbone.body, backbone.pyramid, out_channels

    def forward(self, images: Tensor) -> Any:
        """One map per level, finest first."""
        return self.pyramid(self.body(images))


def build_retinanet(num_classes: int) -> tuple[nn.Module, str]:
    """torchvision's RetinaNet on our config's own backbone, weights and all."""
    config = named_config(CONFIG, num_classes)
    backbone = build_detector(config).backbone
    sizes = tuple((24 * 2**level, 30 * 2**level, 38 * 2**level) for level in range(3))
    size = config.longest_side
    model = RetinaNet(
        SamePyramid(backbone, config.channels),
        num_classes,
        min_size=size,
        max_size=size,
        anchor_generator=AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * 3),
        score_thresh=LOWEST_SCORE,
        detections_per_img=100,
    )
    return model, ""


def build_ssdlite(num_classes: int) -> tuple[nn.Module, str]:
    """As shipped; from random weights where ImageNet's cannot be had, and then it says so."""
    options = {
        "weights": None,
        "num_classes": num_classes,
        "score_thresh": LOWEST_SCORE,
        "detections_per_img": 100,
    }
    try:
        return ssdlite320_mobilenet_v3_large(weights_backbone="DEFAULT", **options), ""
    except URLError:
        model = ssdlite320_mobilenet_v3_large(weights_backbone=None, **options)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 0.1  # shipped with a memory longer than a short run is
    return model, " (no ImageNet weights here)"


BUILDERS: dict[str, Callable[[int], tuple[nn.Module, str]]] = {
    RETINANET: build_retinanet,
    SSDLITE: build_ssdlite,
}
ONE: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    OURS: ours,
    RETINANET: partial(theirs, RETINANET),
    SSDLITE: partial(theirs, SSDLITE),
}


if __name__ == "__main__":
    main()
