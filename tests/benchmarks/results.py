"""What the README says of each data set, trained and evaluated anew: `make results`.

Every row is trained three times, each time with its own seed, and evaluated on pictures that
decided nothing. Beside it stand detectors that never look: see `detlab.metrics.baselines`; and for
BCCD how well two labellings of one scene agree, see second_annotator.py, and the audit's time. A
row that was trained already, in the same folder, is evaluated again and not trained again; an
interrupted one goes on.

    make results                                        everything, about three hours on two cores
    make results ARGS="--only bccd --seeds 0"           some rows, some seeds
    make results ARGS="--longer 4 --device cuda"        four times as long, on a GPU
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from audit_time import measure_audit
from report import Row, describe_machine, publish
from second_annotator import measure_agreement

from detlab.audit.twins import twins_of
from detlab.course.records import spread
from detlab.data.check import check_splits
from detlab.data.datasets import FolderDataset, load_dataset, read_splits
from detlab.data.records import Annotations, DataError
from detlab.detector.checkpoint import CheckpointInfo, load_checkpoint
from detlab.detector.config import ConfigName
from detlab.detector.model import Detector
from detlab.hardware import choose_device
from detlab.metrics.baselines import find_nothing, mean_box, random_anchors
from detlab.metrics.coco import Metrics
from detlab.metrics.evaluation import evaluate, evaluate_images
from detlab.training.config import TrainConfig, TrainOptions
from detlab.training.run import prepare, train_run
from detlab.training.run_folder import CHECKPOINT, SETTINGS, differences

TWINLESS = ("AP without twins", "AP50 without twins")
"""On the pictures whose scene stands in no other split."""
LEARNED_FROM = 300
"""Pictures of the training split from which the mean box is taken."""


@dataclass(frozen=True)
class Recipe:
    """How a set is trained, and what it is to reach."""

    config: ConfigName
    training: TrainOptions
    """What is given; the data decide the rest, see recipe.py."""
    goal: tuple[float | None, float | None]
    """AP, AP50."""
    split: str = "test"
    longest_side: int | None = None


RECIPES = {
    "reef": Recipe("course", TrainOptions(seconds=300.0), (0.70, 0.92), split="val"),
    "bccd": Recipe("mobilenet", TrainOptions(seconds=900.0), (0.58, 0.88)),
    "bccd-clean": Recipe("mobilenet", TrainOptions(seconds=900.0), (0.60, 0.90)),
    "aquarium": Recipe("mobilenet", TrainOptions(seconds=1200.0), (None, 0.65)),
}


def main() -> None:
    """Train, evaluate and print, one set after the other."""
    options = parse_arguments()
    machine = describe_machine()
    rows = []
    for name in options.only:
        try:
            rows.append(measure(name, RECIPES[name], options))
            if name.startswith("bccd"):
                rows.append(measure_agreement(name))
            if name == "bccd":
                rows.append(measure_audit(name))
        except DataError as error:  # the pictures are not here
            print(f"{name}: left out: {error}", flush=True)
    publish(machine, rows, options.out / "results.json")


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Which rows, which seeds, where."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = list(RECIPES)
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="these sets alone")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--longer", type=float, default=1.0, help="times the recipe's seconds")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path("runs/results"))
    return parser.parse_args(arguments)


def measure(name: str, recipe: Recipe, options: argparse.Namespace) -> Row:
    """A training of a set per seed, and the detectors that never look."""
    seconds = options.longer * (recipe.training.seconds or 0)
    dataset = load_dataset(name, recipe.split)
    unknown = without(leaked_pictures(name), dataset)
    runs = []
    for seed in options.seeds:
        training = replace(recipe.training, seed=seed, seconds=seconds)
        detector, info = trained(name, recipe, training, options)
        runs.append(evaluate_twice(detector, info, dataset, unknown))
        print(f"{name}, seed {seed}: {runs[-1]}", flush=True)
    blind = evaluate_the_blind(load_dataset(name, "train"), dataset, info)
    row = f"{name}, {recipe.split}: `{recipe.config}`, {seconds / 60:.0f} minutes"
    return Row(row, *compare(recipe.goal, runs, blind), {"runs": runs, "blind": blind})


def leaked_pictures(name: str) -> set[Path]:
    """Pictures whose scene stands in another split, too, as far as an audit sees."""
    splits, _ = check_splits(read_splits(name))
    across = (found for found in twins_of(splits) if found.kind == "twins across splits")
    return {path for found in across for path in found.pictures}


def without(pictures: set[Path], dataset: FolderDataset) -> FolderDataset | None:
    """The same data set without these pictures; None where none of them is in it."""
    kept = tuple(record for record in dataset.records if record.image not in pictures)
    if len(kept) == len(dataset.records):
        return None
    return FolderDataset(Annotations(kept, dataset.class_names, ()))


def evaluate_twice(
    detector: Detector, info: CheckpointInfo, dataset: FolderDataset, unknown: FolderDataset | None
) -> dict[str, float]:
    """AP, AP50 and each class's AP; and the first two on scenes that no other split shows."""

    def evaluated(pictures: FolderDataset) -> Metrics:
        return evaluate(detector, pictures, info.config.longest_side, info.class_names)

    whole = evaluated(dataset)
    numbers = {"AP": whole.coco["AP"], "AP50": whole.coco["AP50"], **whole.class_ap}
    if unknown is not None:
        coco = evaluated(unknown).coco
        numbers |= dict(zip(TWINLESS, (coco["AP"], coco["AP50"]), strict=True))
    return numbers


def compare(
    goals: tuple[float | None, float | None],
    runs: Sequence[dict[str, float]],
    blind: dict[str, tuple[float, float]],
) -> tuple[str, str, bool]:
    """The goal in words, what was measured, and whether the medians reach the goal."""
    measured = {
        key: [run[key] for run in runs] for key in ("AP", "AP50", *TWINLESS) if key in runs[0]
    }
    met = all(
        median(measured[key]) >= goal
        for key, goal in zip(("AP", "AP50"), goals, strict=True)
        if goal is not None
    )
    wanted = " / ".join("–" if goal is None else f"≥ {goal:.2f}" for goal in goals)
    reached = ", ".join(f"{key} {spread(values, 3)}" for key, values in measured.items())
    others = ", ".join(f"{who} {ap:.3f} / {ap50:.3f}" for who, (ap, ap50) in blind.items())
    return wanted, f"{reached}; AP / AP50 of who never looks: {others}", met


def trained(
    name: str, recipe: Recipe, training: TrainOptions, options: argparse.Namespace
) -> tuple[Detector, CheckpointInfo]:
    """A detector of this recipe: trained now, or before in the same folder.

    Raises:
        SystemExit: what lies there was trained by another recipe.
    """
    folder = options.out / f"{Path(name).name}-{training.seconds:.0f}s-seed{training.seed}"
    device = choose_device(options.device)
    wanted = prepare(name, recipe.config, training, longest_side=recipe.longest_side)[2]
    side = wanted.detector.longest_side
    if not (folder / CHECKPOINT).exists():
        resume = (folder / SETTINGS).exists()
        train_run(name, recipe.config, wanted.training, device, folder, resume, longest_side=side)
    detector, info = load_checkpoint(folder / CHECKPOINT, device)
    before = asdict(TrainConfig()) | info.notes["settings"]["training"] | info.notes["machine"]
    after = asdict(wanted.training) | {"device": device.type}
    for part in ("backbone", "longest_side"):
        before[part], after[part] = getattr(info.config, part), getattr(wanted.detector, part)
    if changes := differences({key: before[key] for key in after}, after):
        raise SystemExit(f"{folder}: trained by another recipe, {changes}; remove it to train anew")
    return detector, info


def evaluate_the_blind(
    known: Any, dataset: Any, info: CheckpointInfo
) -> dict[str, tuple[float, float]]:
    """AP and AP50 of three detectors that never look at a picture."""
    items = [known[row] for row in range(min(LEARNED_FROM, len(known)))]
    blind: dict[str, Any] = {
        "everything is background": find_nothing,
        "the mean box": mean_box(items),
        "random anchors": random_anchors(info.config),
    }
    metrics = {
        who: evaluate_images(find, dataset, info.class_names).coco for who, find in blind.items()
    }
    return {who: (coco["AP"], coco["AP50"]) for who, coco in metrics.items()}


if __name__ == "__main__":
    main()
