"""What detlab reaches on this machine's CPU, beside torchvision's peers: `make bench`.

Prints a Markdown table and writes every single measurement as JSON. Nothing here is a test: times
depend on the machine and on who else uses it, so the load average stands above the table.

    make bench                                     everything, about 45 minutes
    make bench ARGS="--only evaluation overhead"   some rows
"""

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import psutil
import torch
from peers import (
    BUILDERS,
    RETINANET,
    SSDLITE,
    TRAINING,
    detect_with_peer,
    evaluate_peer,
    train_peer,
)
from report import Row, describe_machine, publish, ratios, take_turns
from torch import Tensor

from detlab.boxes import xyxy_to_xywh
from detlab.course.records import spread
from detlab.data.datasets import REEF_VAL, load_dataset
from detlab.data.transforms import Augmented
from detlab.detector.checkpoint import load_checkpoint
from detlab.detector.config import named_config
from detlab.detector.model import Detector, build_detector
from detlab.detector.postprocess import detect
from detlab.metrics.coco import COCO_NAMES, coco_metrics
from detlab.metrics.evaluation import evaluate
from detlab.reef.scene import CLASS_NAMES, TRAIN_SEED, Reef, draw_scene
from detlab.training.config import DEFAULT_SECONDS, TrainConfig
from detlab.training.loop import configured_loss, fit, start_run
from detlab.training.run import REEF_PICTURES, augmentation
from detlab.types import Detection, Target

OURS = "detlab"
CHECKPOINT = Path(__file__).parents[2] / "data" / "checkpoints" / "course.safetensors"
MB = 10**6


def main() -> None:
    """Measure the rows that were asked for, one after the other."""
    options = parse_arguments()
    machine = describe_machine()
    rows = []
    for name in options.only:
        print(f"{name} …", flush=True)
        rows += MEASUREMENTS[name](options)
    publish(machine, rows, options.json)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What to measure, how often, and where to write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = list(MEASUREMENTS)
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="these rows alone")
    parser.add_argument("--runs", type=int, default=1, help="trainings, each with its own seed")
    parser.add_argument(
        "--seconds",
        nargs="+",
        type=float,
        default=[60.0, 120.0, 300.0],
        help="lengths of the race; each is a training of its own",
    )
    parser.add_argument(
        "--train-seconds", type=float, help="shorten `detlab train`, to try this program out"
    )
    parser.add_argument("--json", type=Path, default=Path("runs/bench.json"))
    return parser.parse_args(arguments)


# ---------------------------------------------------------------- the default training


def measure_training(options: argparse.Namespace) -> list[Row]:
    """`detlab train` as a user starts it, once per seed."""
    runs = [train_by_command(seed, options.train_seconds) for seed in range(options.runs)]
    ap, ap50, seconds, memory = (
        [run[key] for run in runs] for key in ("AP", "AP50", "seconds", "peak_mb")
    )
    good = median(ap) >= 0.70 and median(ap50) >= 0.92 and median(seconds) <= DEFAULT_SECONDS + 5
    measured = f"{spread(ap, 3)} / {spread(ap50, 3)} after {spread(seconds, 0)} s"
    return [
        Row(
            "`detlab train`: AP / AP50 on data/reef_val",
            "≥ 0.70 / ≥ 0.92 in 300 s",
            measured,
            good,
            {"runs": runs},
        ),
        Row(
            "peak memory of that training",
            "≤ 2000 MB",
            f"{spread(memory, 0)} MB",
            max(memory) <= 2000,
        ),
    ]


def train_by_command(seed: int, seconds: float | None) -> dict[str, float]:
    """Run the command in a folder of its own; the last evaluation, and its peak memory (MB)."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "detlab", "train", "--out", folder, "--seed", str(seed)]
        if seconds is not None:
            command += ["--seconds", str(seconds)]
        with subprocess.Popen(command) as process:
            peak = watch_memory(process)
        lines = (Path(folder) / "metrics.jsonl").read_text().splitlines()
        numbers: dict[str, float] = json.loads(lines[-1])
    return {**numbers, "seed": seed, "peak_mb": peak}


def held(process: psutil.Process) -> int:
    """Bytes that a process holds; of shared ones its part, where the system tells that."""
    memory = process.memory_full_info()
    return int(getattr(memory, "pss", memory.rss))


def watch_memory(process: subprocess.Popen[bytes], every: float = 0.1) -> float:
    """Most memory (MB, resident) that a process and its children held together, until it ends.

    Linux tells each process's part of what several hold in common, so that nothing counts twice.

    Raises:
        subprocess.CalledProcessError: it ended with an error.
    """
    peak = 0
    while process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(process.pid)
            family = [parent, *parent.children(recursive=True)]
            peak = max(peak, sum(map(held, family)))
        time.sleep(every)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return peak / MB


# ---------------------------------------------------------------- the race


def measure_race(options: argparse.Namespace) -> list[Row]:
    """AP after the same seconds. The pictures are drawn before, so nobody waits for them."""
    reef, val = Reef(TRAIN_SEED, REEF_PICTURES), load_dataset("reef", "val", cache=True)
    reef.draw(workers=os.cpu_count() or 1)
    dataset = Augmented(reef, augmentation("reef", TrainConfig()))
    return [race(dataset, val, seconds, options.runs) for seconds in options.seconds]


def race(dataset: Any, val: Any, seconds: float, runs: int) -> Row:
    """One training of each model per seed, all with a schedule that ends at `seconds`."""
    results: dict[str, list[dict[str, float]]] = {name: [] for name in (OURS, *BUILDERS)}
    for seed in range(runs):
        config = TrainConfig(seconds=seconds, seed=seed)
        for name, numbers in results.items():
            torch.manual_seed(seed)
            train = train_ours if name == OURS else partial(train_theirs, name)
            numbers.append(train(dataset, val, config))
            print(f"  {seconds:.0f} s, seed {seed}, {name}: {numbers[-1]}", flush=True)
    ap = {name: [numbers["AP"] for numbers in runs_] for name, runs_ in results.items()}
    measured = ", ".join(f"{name} {spread(values, 3)}" for name, values in ap.items())
    met = median(ap[OURS]) > max(median(ap[name]) for name in BUILDERS)
    return Row(f"AP after {seconds:.0f} s", "ahead of both", measured, met, results)


def train_ours(dataset: Any, val: Any, config: TrainConfig) -> dict[str, float]:
    """The course's detector; `fit` counts its own seconds."""
    detector = build_detector(named_config("course", len(val.class_names)))
    for numbers in fit(detector, dataset, config):
        step = numbers
    coco = evaluate(detector, val, named_config("course", 2).longest_side, val.class_names).coco
    return summary(coco, int(step["step"]), step["seconds"])


def train_theirs(name: str, dataset: Any, val: Any, config: TrainConfig) -> dict[str, float]:
    """One of torchvision's."""
    model = BUILDERS[name](len(val.class_names))
    steps, seconds = train_peer(model, dataset, replace(config, **TRAINING[name]))
    return summary(evaluate_peer(model, val, val.class_names), steps, seconds)


def summary(coco: dict[str, float], steps: int, seconds: float) -> dict[str, float]:
    """What stays of a run."""
    return {"AP": coco["AP"], "AP50": coco["AP50"], "steps": steps, "seconds": round(seconds, 1)}


# ---------------------------------------------------------------- detection


def measure_detection(
    _: argparse.Namespace, rounds: int = 15, pictures: int = 20, score_threshold: float = 0.3
) -> list[Row]:
    """Pictures one by one: uint8 in, boxes out, suppression and all.

    The peers have fresh weights and so hardly a box to suppress, which is in their favour.
    """
    val = load_dataset("reef", "val", cache=True)
    images = [val[index][0] for index in range(pictures)]
    detector = trained_detector()
    num_classes = len(val.class_names)
    finders: dict[str, Callable[[list[Tensor]], list[Detection]]] = {
        OURS: partial(detect, detector, score_threshold=score_threshold)
    }
    for name, build in BUILDERS.items():
        finders[name] = partial(detect_with_peer, build(num_classes, score_threshold).eval())

    def one_by_one(find: Callable[[list[Tensor]], list[Detection]]) -> None:
        for image in images:
            find([image])

    runs = {name: partial(one_by_one, find) for name, find in finders.items()}
    seconds = take_turns(runs, rounds)
    rates = {name: [pictures / value for value in values] for name, values in seconds.items()}
    leads = {name: ratios(rates[OURS], rates[name]) for name in BUILDERS}
    measured = ", ".join(f"{name} {spread(values, 0)}" for name, values in rates.items())
    measured += "; " + ", ".join(f"{spread(lead, 1)} × {name}" for name, lead in leads.items())
    met = min(median(lead) for lead in leads.values()) > 1
    return [
        Row(
            "detection, one picture of 128 px at a time, pictures/s "
            f"({SSDLITE} enlarges it to 320 px, as shipped; {RETINANET} does not)",
            "ahead of both",
            measured,
            met,
            {"pictures_per_second": rates, "trained": CHECKPOINT.is_file()},
        )
    ]


def trained_detector() -> Detector:
    """The shipped detector; a fresh one where there is none."""
    if CHECKPOINT.is_file():
        return load_checkpoint(CHECKPOINT)[0]
    return build_detector(named_config("course", len(CLASS_NAMES))).eval()


# ---------------------------------------------------------------- the parts of a step

OUTSIDE = ("data", "matching", "loss")
"""What is neither the network's forward nor its backward pass: waiting for the batch, deciding who
learns what, and everything else from predictions to the loss."""


class Stopwatch:
    """Adds up the seconds that wrapped functions take, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def time(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, watched."""

        def watched(*arguments: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.seconds[name] += time.perf_counter() - started

        return watched


def measure_overhead(_: argparse.Namespace, steps: int = 40, warm_up: int = 10) -> list[Row]:
    """What a training step spends its time on; `fit` itself runs, with a watch on its parts."""
    reef = Reef(TRAIN_SEED, length=400)
    reef.draw(workers=0)
    laps = list(
        islice(timed_steps(Augmented(reef, augmentation("reef", TrainConfig()))), warm_up + steps)
    )
    laps = laps[warm_up:]
    parts = {name: [lap[name] / lap["step"] for lap in laps] for name in laps[0] if name != "step"}
    outside = [sum(lap[name] for name in OUTSIDE) / lap["step"] for lap in laps]
    listed = ", ".join(f"{name} {median(values):.1%}" for name, values in parts.items())
    return [
        Row(
            f"fraction of a training step outside forward and backward ({', '.join(OUTSIDE)})",
            "≤ 20 %",
            f"{spread([100 * fraction for fraction in outside], 1)} %: {listed}; "
            f"step {1000 * median(lap['step'] for lap in laps):.0f} ms",
            median(outside) <= 0.20,
            {"laps": laps},
        )
    ]


def timed_steps(dataset: Any) -> Iterator[dict[str, float]]:
    """Seconds of each part of each step of a default training; "other" is what no watch saw."""
    watch = Stopwatch()
    detector = build_detector(named_config("course", len(dataset.class_names)))
    config = TrainConfig(epochs=10_000.0)
    run = start_run(detector, config)
    detector.forward = watch.time("forward", detector.forward)  # type: ignore[method-assign]
    for optimizer in run.optimizers:
        optimizer.step = watch.time("optimizer", optimizer.step)  # type: ignore[method-assign]
    run.average.update_parameters = watch.time(  # type: ignore[method-assign]
        "average", run.average.update_parameters
    )
    with (
        patch("detlab.training.loop.load_batches", watched_batches(watch)),
        patch(
            "detlab.detector.losses.match_batch", watch.time("matching", imported("match_batch"))
        ),
        patch.object(Tensor, "backward", watch.time("backward", Tensor.backward)),
    ):
        before = 0.0
        loss = watch.time("loss", configured_loss(config))
        for numbers in fit(detector, dataset, config, run, loss):
            lap = dict(watch.seconds)
            lap["loss"] -= lap["matching"]
            lap["other"] = numbers["seconds"] - before - sum(lap.values())
            yield {**lap, "step": numbers["seconds"] - before}
            before = numbers["seconds"]
            watch.seconds.clear()


def imported(name: str) -> Callable[..., Any]:
    """A function of `detlab.detector.losses` as it is before anybody watches it."""
    import detlab.detector.losses

    function: Callable[..., Any] = getattr(detlab.detector.losses, name)
    return function


def watched_batches(watch: Stopwatch) -> Callable[..., Iterator[Any]]:
    """`load_batches`, with the waiting for each batch counted as "data"."""
    from detlab.training.batches import load_batches

    def load(*arguments: Any) -> Iterator[Any]:
        following = watch.time("data", load_batches(*arguments).__next__)
        while True:
            yield following()

    return load


# ---------------------------------------------------------------- evaluation


def measure_evaluation(
    _: argparse.Namespace, pictures: int = 2000, boxes: int = 100, rounds: int = 3
) -> list[Row]:
    """The twelve numbers by `coco_metrics` and by pycocotools, from the same lists of dicts."""
    detections, targets = crowded_pictures(pictures, boxes)
    answers: dict[str, list[float]] = {}

    def ours() -> None:
        answers["ours"] = list(coco_metrics(detections, targets, CLASS_NAMES).coco.values())

    def theirs() -> None:
        answers["theirs"] = pycocotools_numbers(detections, targets, CLASS_NAMES)

    seconds = take_turns({"ours": ours, "theirs": theirs}, rounds)
    faster = ratios(seconds["theirs"], seconds["ours"])
    pairs = list(zip(answers["ours"], answers["theirs"], strict=True))
    difference = max(abs(a - b) for a, b in pairs)  # nan, and so not met, where one has no answer
    return [
        Row(
            f"evaluating {pictures} pictures × {boxes} boxes, against pycocotools",
            "≥ 8 × faster, same 12 numbers",
            f"{spread(faster, 1)} × ({spread(seconds['ours'], 1)} s against "
            f"{spread(seconds['theirs'], 1)} s), greatest difference {difference:.0e}",
            median(faster) >= 8 and difference < 1e-9,
            {"seconds": seconds, "numbers": dict(zip(COCO_NAMES, pairs, strict=True))},
        )
    ]


def crowded_pictures(pictures: int, boxes: int) -> tuple[list[Detection], list[Target]]:
    """Objects of all of COCO's sizes, and detections near some of them; half as many objects."""
    generator = torch.Generator().manual_seed(0)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=generator)

    detections, targets = [], []
    for _ in range(pictures):
        corner, side = uniform(0, 400, boxes, 2), uniform(2.3, 5.3, boxes, 2).exp()  # 10 to 200 px
        gt_boxes = torch.cat([corner, corner + side], dim=1)
        labels = torch.randint(1, len(CLASS_NAMES), (boxes,), generator=generator)
        moved = gt_boxes + uniform(-0.15, 0.15, boxes, 4) * side.repeat(1, 2)
        there = slice(boxes // 2)
        targets.append(Target(boxes=gt_boxes[there], labels=labels[there]))
        detections.append(Detection(boxes=moved, labels=labels, scores=uniform(0, 1, boxes)))
    return detections, targets


def pycocotools_numbers(
    detections: Sequence[Detection], targets: Sequence[Target], class_names: Sequence[str]
) -> list[float]:
    """The field's own program, used as its documentation says."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO()
    truth.dataset = {
        "images": [{"id": image} for image in range(len(targets))],
        "categories": [{"id": label} for label in range(1, len(class_names))],
        "annotations": [
            {"id": row, "area": record["bbox"][2] * record["bbox"][3], "iscrowd": 0, **record}
            for row, record in enumerate(coco_records(targets), start=1)
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):  # it reports each step
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(coco_records(detections)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    numbers: list[float] = evaluation.stats.tolist()
    return numbers


def coco_records(items: Sequence[Any]) -> list[dict[str, Any]]:
    """One dict per box, x y width height; the score of ground truth is 1."""
    records = []
    for image, item in enumerate(items):
        boxes, labels = xyxy_to_xywh(item["boxes"].double()).tolist(), item["labels"].tolist()
        scores = item["scores"].tolist() if "scores" in item else [1.0] * len(labels)
        records += [
            {"image_id": image, "category_id": label, "bbox": box, "score": score}
            for box, label, score in zip(boxes, labels, scores, strict=True)
        ]
    return records


# ---------------------------------------------------------------- drawing


def measure_drawing(_: argparse.Namespace, rounds: int = 5, pictures: int = 100) -> list[Row]:
    """Scenes of 128 px from nothing, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rates = []
    for first in range(0, (rounds + 1) * pictures, pictures):
        started = time.perf_counter()
        for index in range(first, first + pictures):
            draw_scene(TRAIN_SEED, index)
        rates.append(pictures / (time.perf_counter() - started))
    torch.set_num_threads(threads)
    rates = rates[1:]  # the first round warms up
    return [
        Row(
            "drawing the reef at 128 px, pictures/s on one core",
            "≥ 150",
            spread(rates, 0),
            median(rates) >= 150,
            {"pictures_per_second": rates},
        )
    ]


MEASUREMENTS: dict[str, Callable[[argparse.Namespace], list[Row]]] = {
    "training": measure_training,
    "race": measure_race,
    "detection": measure_detection,
    "overhead": measure_overhead,
    "evaluation": measure_evaluation,
    "drawing": measure_drawing,
}

if __name__ == "__main__":
    if not REEF_VAL.is_dir():
        raise SystemExit(f"{REEF_VAL} is not there; results are measured on it")
    main()
