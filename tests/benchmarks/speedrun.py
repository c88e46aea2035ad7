"""How high an AP a few minutes on two processor cores reach, and what bought it: `make speedrun`.

A ladder: each rung is the one below it with one change. Every rung is trained for several lengths
of time, each with several seeds; each training ends at its budget, with its learning rate at 0.

The rules, for whoever wants to beat it:

1. Data: the first 4 000 pictures of the reef with seed 1; they may be augmented, not added to.
2. From nothing: no weights, no pictures of anywhere else.
3. Two processor cores, no GPU; at most 1.05 million weights.
4. The clock runs while a step is taken: loading, augmenting, forward, loss, backward, optimizer. It
   stands while pictures are drawn and while the detector is evaluated.
5. Settings are chosen with `--dev`: on 300 pictures of another seed.
6. AP is COCO's, on data/reef_val, of the detector that is left when the time is over; it is looked
   at once for a recipe that is final, and the median of three seeds counts.

    make speedrun                                  some 3.5 hours; an interrupted one goes on
    make speedrun ARGS="--short"                   one seed, 120 s each
    make speedrun ARGS="--dev --seeds 0"           to choose settings
    make speedrun ARGS="--record"                  what is trained goes into the course's record
"""

import argparse
import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from report import describe_machine, header, load_average

from detlab.course.records import RECORDS, ladder
from detlab.data.datasets import load_dataset
from detlab.data.transforms import Augmented
from detlab.detector.config import DetectorConfig, named_config
from detlab.detector.model import build_detector
from detlab.files import append_line, to_json
from detlab.metrics.evaluation import evaluate
from detlab.reef.scene import CLASS_NAMES, Reef
from detlab.training.config import TrainConfig
from detlab.training.loop import fit
from detlab.training.run import REEF_PICTURES, augmentation
from detlab.training.run_folder import OF_BEFORE

DEV_SEED, DEV_PICTURES = 20_261_231, 300
"""The reef on which settings are chosen; no table shows it."""
GOAL = 0.70
"""AP that the recipe of version 0.2.0 reaches in 300 s."""
TRIALS = "trials.jsonl"
"""A line for each training that has ended."""
RECORD = RECORDS / "speedrun.jsonl"
"""Lesson 09 shows it."""


@dataclass(frozen=True)
class Rung:
    """A recipe by what is changed in the one below it."""

    name: str
    training: dict[str, Any]
    """Changes of TrainConfig."""
    detector: dict[str, Any] = field(default_factory=dict)
    """Changes of the course's DetectorConfig."""


LADDER = (
    Rung(
        "AdamW, a cosine",
        {"optimizer": "adamw", "schedule": "cosine", "quality": 0.0, "zoom": 1.0},
        {"last_kernel": 3},
    ),
    Rung("Muon for what mixes channels", {"optimizer": "muon"}),
    Rung("a flat rate that falls in the end", {"schedule": "flat"}),
    Rung("half of a score follows the box's IoU", {"quality": 0.5}),
    Rung("answers from a cell alone, not its neighbours", {}, {"last_kernel": 1}),
    Rung("pictures up to 1.1 times larger or smaller", {"zoom": None}),
)
"""From the recipe of version 0.2.0 upwards to the default of this one."""


def main() -> None:
    """Train what has not been trained, then print the table of all."""
    options = parse_arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    machine = describe_machine()
    for rung, seconds, seed in trials_to_run(options):
        trial = run_trial(rung, seconds, seed, options.dev)
        append_line(options.out / TRIALS, to_json(trial))
        print(f"{rung}, {seconds:.0f} s, seed {seed}: AP {trial['AP']:.3f}", flush=True)
    names = [rung.name for rung in LADDER]
    print(f"\n{header(machine, load_average())}\n\n{ladder(finished(options), names, GOAL)}")
    if options.record:
        add_to_record(finished(options))


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Which rungs, which budgets, which seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="one seed and 120 s")
    parser.add_argument("--dev", action="store_true", help="evaluate on the reef for choosing")
    parser.add_argument("--record", action="store_true", help="add what is trained to the course's")
    parser.add_argument("--rungs", nargs="+", type=int, help="by number, 0 is the lowest")
    parser.add_argument("--seconds", nargs="+", type=float, default=[60.0, 120.0, 300.0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/speedrun"))
    options = parser.parse_args(arguments)
    if options.dev and options.record:
        parser.error("--dev is for choosing; what it measures does not go into the record")
    if options.short:
        options.seconds, options.seeds = [120.0], [0]
    if options.rungs is None:
        options.rungs = list(range(len(LADDER)))
    return options


def recipe(name: str) -> tuple[TrainConfig, DetectorConfig]:
    """All settings of a rung: its changes, and those of the rungs below.

    >>> recipe("Muon for what mixes channels")[0].schedule
    'cosine'
    """
    training, detector = TrainConfig(), named_config("course", len(CLASS_NAMES))
    for rung in LADDER:
        training = replace(training, **rung.training)
        detector = replace(detector, **rung.detector)
        if rung.name == name:
            return training, detector
    raise ValueError(f"no rung {name!r}; want one of {[rung.name for rung in LADDER]}")


def trials_to_run(options: argparse.Namespace) -> Iterator[tuple[str, float, int]]:
    """Rung, seconds and seed of what is asked for and not done; the seeds take turns."""
    done = {(trial["rung"], trial["seconds"], trial["seed"]) for trial in finished(options)}
    for seed in options.seeds:
        for seconds in options.seconds:
            for number in options.rungs:
                trial = (LADDER[number].name, seconds, seed)
                if trial not in done:
                    yield trial


def finished(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The trials on record that were evaluated on the same pictures, by the ladder of today."""
    path = options.out / TRIALS
    lines = path.read_text().splitlines() if path.exists() else []
    names = [rung.name for rung in LADDER]
    trials = [trial for trial in map(json.loads, lines) if trial["dev"] == options.dev]
    return [
        trial
        for trial in trials
        if trial["rung"] in names
        and OF_BEFORE["training"] | trial["recipe"] == comparable(*recipe(trial["rung"]))
    ]


def comparable(training: TrainConfig, detector: DetectorConfig) -> dict[str, Any]:
    """Settings as they come back from a file, without what differs from trial to trial."""
    both = vars(replace(training, seconds=None, seed=0)) | vars(detector)
    settings: dict[str, Any] = json.loads(to_json(both))
    return settings


def run_trial(rung: str, seconds: float, seed: int, dev: bool) -> dict[str, Any]:
    """Train a rung's recipe for so long, and evaluate what is left when the time is over."""
    training, settings = recipe(rung)
    config = replace(training, seconds=seconds, seed=seed)
    train_set = training_pictures()
    torch.manual_seed(seed)
    detector = build_detector(settings)
    steps = 0
    for numbers in fit(detector, Augmented(train_set, augmentation("reef", config)), config):
        steps = int(numbers["step"])
    unseen = Reef(DEV_SEED, DEV_PICTURES) if dev else load_dataset("reef", "val")
    metrics = evaluate(detector, unseen, settings.longest_side, CLASS_NAMES).coco
    return {
        **{"rung": rung, "seconds": seconds, "seed": seed, "dev": dev, "steps": steps},
        **{name: metrics[name] for name in ("AP", "AP50", "AP75")},
        **{
            "recipe": comparable(config, settings),
            "machine": describe_machine(),
            "commit": commit(),
        },
    }


@cache
def training_pictures() -> Any:
    """The reef that all trials learn from, drawn once."""
    reef = load_dataset("reef", "train", length=REEF_PICTURES)
    reef.draw(workers=2)
    return reef


def commit() -> str:
    """Which state of the code this is; "" where git does not tell."""
    asked = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.strip()


def add_to_record(trials: Sequence[dict[str, Any]]) -> None:
    """Write the trials that the course's record has not yet behind those that it has."""
    known = RECORD.read_text(encoding="utf-8").splitlines() if RECORD.exists() else []
    for line in map(to_json, trials):
        if line not in known:
            append_line(RECORD, line)


if __name__ == "__main__":
    main()
