"""Whether the recipe that a set's own data choose comes near the best of a grid: `make recipe`.

Five kinds of drawn sets, see tests/drawn_sets.py. On each the recipe is trained, and twelve rivals
that have all of it but one of these longest sides, with crops or without, and one of two rates for
the body. All train for the same seconds, and are evaluated on pictures that decided nothing. The
rival is the best of the twelve by its median over the seeds: chosen by the very numbers that the
recipe is compared to, which helps it.

    make recipe                                         some 6.5 hours; an interrupted one goes on
    make recipe ARGS="--kinds tall few --seeds 0"       some sets, one seed of training
    make recipe ARGS="--drawn 7"                        the sets of another seed
"""

import argparse
import itertools
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from report import describe_machine, header, load_average

from detlab.course.records import spread
from detlab.data.datasets import load_dataset
from detlab.data.transforms import Augmented
from detlab.detector.config import ConfigName
from detlab.detector.model import build_detector
from detlab.files import append_line, to_json
from detlab.metrics.evaluation import evaluate
from detlab.training.config import TrainOptions
from detlab.training.loop import fit
from detlab.training.run import augmentation, prepare

sys.path.append(str(Path(__file__).parents[2]))
from tests.drawn_sets import KINDS, write_drawn_set

CONFIG: ConfigName = "mobilenet"
GOAL = 0.02
"""AP that the recipe may stay behind the best rival."""
TRIALS = "trials.jsonl"
"""A line for each training that has ended."""
OURS: dict[str, Any] = {}
"""What is given beside the seconds: nothing."""
GRID = [
    {"longest_side": side, "crop": crop, "body_rate": rate}
    for side, crop, rate in itertools.product((256, 416, 640), (0, 288), (0.3, 1.0))
]
"""The rivals, by what is given."""


def main() -> None:
    """Train what has not been trained, then print a row for each set."""
    options = parse_arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    for kind, given, seed in trials_to_run(options):
        trial = run_trial(drawn_set(options, kind), given, options.seconds, seed)
        trial |= {"kind": kind, "drawn": options.drawn}
        append_line(options.out / TRIALS, to_json(trial))
        print(f"{kind}, {given or 'the recipe'}, seed {seed}: AP {trial['AP']:.3f}", flush=True)
    print(f"\n{header(describe_machine(), load_average())}\n\n{table(finished(options))}")


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Which sets, which seeds, how long."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--drawn", type=int, default=0, help="seed of the sets")
    parser.add_argument("--seconds", type=float, default=120.0, help="of each training")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of the trainings")
    parser.add_argument("--only-ours", action="store_true", help="without the rivals")
    parser.add_argument("--out", type=Path, default=Path("runs/recipe"))
    return parser.parse_args(arguments)


def drawn_set(options: argparse.Namespace, kind: str) -> Path:
    """The folder of a set, drawn at its first use."""
    folder = options.out / f"{kind.replace(' ', '-')}-{options.drawn}"
    if not folder.exists():
        write_drawn_set(folder, KINDS[kind], options.drawn)
    return folder


def trials_to_run(options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Set, what is given and seed of all that is asked for and not done."""
    done = [(trial["kind"], trial["given"], trial["seed"]) for trial in finished(options)]
    rivals = [] if options.only_ours else GRID
    for trial in itertools.product(options.kinds, [OURS, *rivals], options.seeds):
        if trial not in done:
            yield trial


def finished(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The trials on record with these sets and as many seconds."""
    path = options.out / TRIALS
    lines = path.read_text().splitlines() if path.exists() else []
    wanted = {"drawn": options.drawn, "seconds": options.seconds}
    return [trial for trial in map(json.loads, lines) if trial.items() >= wanted.items()]


def run_trial(folder: Path, given: dict[str, Any], seconds: float, seed: int) -> dict[str, Any]:
    """Train with what is given, all else by the recipe; evaluate on the test split."""
    others = dict(given)
    longest_side = others.pop("longest_side", None)
    asked = TrainOptions(seconds=seconds, seed=seed, **others)
    train_set, _, settings = prepare(str(folder), CONFIG, asked, longest_side=longest_side)
    torch.manual_seed(seed)
    detector = build_detector(settings.detector)
    steps = 0
    for numbers in fit(
        detector,
        Augmented(train_set, augmentation(str(folder), settings.training)),
        settings.training,
    ):
        steps = int(numbers["step"])
    test = load_dataset(folder, "test")
    side = settings.detector.longest_side
    metrics = evaluate(detector, test, side, settings.class_names).coco
    return {
        **{"given": given, "seconds": seconds, "seed": seed, "steps": steps},
        **{name: metrics[name] for name in ("AP", "AP50", "AP75")},
        **{"longest_side": side, "crop": settings.training.crop or 0},
        "body_rate": settings.training.body_rate,
    }


def table(trials: list[dict[str, Any]]) -> str:
    """A row a set: the recipe, the best rival, how far apart."""
    lines = [
        "| set | the recipe: AP | best of the grid: AP | with | behind |",
        "|---|---|---|---|---|",
    ]
    for kind in dict.fromkeys(trial["kind"] for trial in trials):
        found = defaultdict(list)
        for trial in trials:
            if trial["kind"] == kind:
                found[json.dumps(trial["given"])].append(trial["AP"])
        ours = found.pop(json.dumps(OURS), None)
        if ours and found:
            best = max(found, key=lambda given: median(found[given]))
            behind = median(found[best]) - median(ours)
            missed = ", missed" if behind > GOAL else ""
            aps = f"{spread(ours, 3)} | {spread(found[best], 3)}"
            lines.append(f"| {kind} | {aps} | `{best}` | {behind:.3f}{missed} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
