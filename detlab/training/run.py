"""One training run: what `detlab train` does, from the data to a folder with all about it.

Uses loop.py and figures.py. run_folder.py says what the folder holds.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, cast

import torch
from tqdm import tqdm

from detlab.data.datasets import FolderDataset, load_dataset, shared_classes
from detlab.data.download import SETS
from detlab.data.records import DataError, in_few_words
from detlab.data.statistics import describe_set
from detlab.data.transforms import Augmented, Transforms, training_transforms
from detlab.detector.checkpoint import CheckpointInfo, save_checkpoint
from detlab.detector.config import ConfigName, named_config
from detlab.detector.model import Detector, build_detector
from detlab.detector.postprocess import detect
from detlab.draw.figures import Picture, draw_curves, draw_grid, save_figure
from detlab.files import append_line, finite, to_json
from detlab.hardware import (
    any_process,
    num_processes,
    one_after_the_other,
    process_rank,
    under_torchrun,
)
from detlab.metrics.coco import Metrics
from detlab.metrics.evaluation import evaluate
from detlab.reef.scene import Reef
from detlab.signals import STOPPING, Asked, Stopped, heard
from detlab.training.anchor_fit import box_shapes, fit_anchors
from detlab.training.config import TrainConfig, TrainOptions
from detlab.training.loop import Run, fit
from detlab.training.recipe import choose, choose_config
from detlab.training.run_folder import (
    CHECKPOINT,
    CURVES,
    METRICS,
    PREDICTIONS,
    RunError,
    RunSettings,
    check_folder_is_free,
    check_folder_is_ready,
    damaged_lines,
    hold_folder,
    machine,
    open_run,
    record_evaluation,
    recorded,
    save,
)

REEF_PICTURES = 4000
"""Drawn before a training, in a quarter of a minute; the default one sees each some ten times."""
REEF_ZOOM, PHOTO_ZOOM = 1.1, 1.4
"""How far pictures are zoomed where TrainConfig names nothing else."""
SMALLEST = 32
"""Pixels: less than a cell of the coarsest level shows a detector nothing."""
SAVE_EVERY = 30.0
"""Seconds of training between two saves: what a power cut can cost."""
EVALUATIONS = 4
"""How often a run is evaluated, the last time at its end."""
DRAWN_SCORE = 0.4
"""Boxes in pictures for people score at least this."""
EXAMPLES = 12
"""Pictures in predictions.png."""
BAR = "{percentage:3.0f}% |{bar:20}| {elapsed}, {remaining} to go{postfix}"


class Interrupted(Stopped):
    """A signal stopped the training; the run is saved, and the message says where it stands."""


def train_run(
    data: str,
    config_name: ConfigName,
    training: TrainConfig | TrainOptions,
    device: torch.device,
    folder: Path,
    resume: bool = False,
    skip_bad: bool = False,
    longest_side: int | None = None,
    allow_outside: Sequence[Path] = (),
) -> Metrics | None:
    """Train, evaluate, and write the run's folder; one process writes, the others only train.

    Photographs get anchors fitted to their own boxes; the configs' ladders are made for the reef.

    Args:
        data: a set by name, or a folder.
        config_name: which detector.
        training: all settings, or some: of photographs the recipe chooses the others, and says so.
        device: where to train.
        folder: written, see run_folder.py.
        resume: go on with the run that the folder holds.
        skip_bad: leave out faults instead of stopping.
        longest_side: in pixels, of what the network sees; None takes the config's, or with
            TrainOptions the recipe's.
        allow_outside: other folders where the pictures of a folder may lie.

    Returns:
        The metrics on the val split (None on a process that does not write).

    Raises:
        RunError: the folder holds another run, or none that `resume` could go on with, or another
            training writes into it.
        DataError: a fault in the data.
        WeightsError: no ImageNet weights to start from.
        Interrupted: a signal asked to stop; the run is saved.
    """
    check_folder_is_free(folder)
    check_folder_is_ready(folder, resume)
    with one_after_the_other():
        train_set, val_set, settings = prepare(
            data, config_name, training, skip_bad, longest_side, allow_outside
        )
        transforms = augmentation(data, settings.training)
        torch.manual_seed(settings.training.seed)
        detector = build_detector(settings.detector).to(device)
    if isinstance(train_set, Reef):
        announce(f"drawing {len(train_set)} pictures of the reef …")
        train_set.draw(workers=max(1, (os.cpu_count() or 1) // num_processes()))
    with hold_folder(folder):
        check_folder_is_ready(folder, resume)  # another training may have been there meanwhile
        tell_damage(folder)
        run = open_run(folder, detector, settings, resume)
        announce(
            f"{config_name} on {device.type}: {len(train_set)} pictures of {data} to learn from, "
            f"{len(val_set)} others to evaluate on"
        )
        learn(run, Augmented(train_set, transforms), val_set, settings, folder)
        return finish(run, val_set, settings, folder) if process_rank() == 0 else None


def config_for(data: str) -> ConfigName:
    """The detector for a set, where none was asked for: the course's for the reef."""
    if data == "reef":
        return "course"
    choice = choose_config()
    announce(str(choice))
    return cast(ConfigName, choice.value)


def prepare(
    data: str,
    config_name: ConfigName,
    training: TrainConfig | TrainOptions,
    skip_bad: bool = False,
    longest_side: int | None = None,
    allow_outside: Sequence[Path] = (),
) -> tuple[FolderDataset | Reef, FolderDataset | Reef, RunSettings]:
    """What to learn from, what to evaluate on, and all settings; for the arguments see `train_run`.

    Raises:
        RunError: settings that do not fit together.
        DataError: a fault in the data.
    """
    train_set, val_set, class_names = load_splits(data, skip_bad, allow_outside)
    training, longest_side = settle(train_set, config_name, training, longest_side)
    check_batch(longest_side, training)
    train_set = train_set.resized(longest_side)
    if data != "reef" and data not in SETS:
        look_at_all(train_set, val_set)
    config = named_config(config_name, len(class_names), longest_side)
    if isinstance(train_set, FolderDataset):
        config = fit_anchors(config, box_shapes(train_set.records, longest_side))
    pictures, processes = len(train_set), num_processes()
    settings = RunSettings(data, config, training, class_names, pictures, skip_bad, processes)
    return train_set, val_set, settings


def load_splits(
    data: str, skip_bad: bool, allow_outside: Sequence[Path] = ()
) -> tuple[FolderDataset | Reef, FolderDataset | Reef, tuple[str, ...]]:
    """What to learn from, what to evaluate on, and the names of the classes in both.

    Raises:
        DataError: a fault in the data.
    """
    train_set = load_split(data, "train", skip_bad, allow_outside=allow_outside, cache=True)
    val_set = load_split(data, "val", skip_bad, allow_outside=allow_outside)
    tell_notes(data, train_set, val_set)
    class_names = shared_classes(data, {"train": train_set, "val": val_set})
    if len(class_names) < 2:
        raise DataError(f"{data}: its annotations name no class; want one or more")
    return train_set, val_set, class_names


def settle(
    train_set: FolderDataset | Reef,
    config_name: ConfigName,
    training: TrainConfig | TrainOptions,
    longest_side: int | None,
) -> tuple[TrainConfig, int]:
    """All settings and the longest side: what nobody asked for is chosen, and told."""
    own_side = named_config(config_name, num_classes=2).longest_side
    if isinstance(training, TrainConfig):
        return training, longest_side or own_side
    if isinstance(train_set, Reef):
        return training.complete(), longest_side or own_side
    given = training.given | ({"longest_side": longest_side} if longest_side else {})
    choices = choose(describe_set(train_set), config_name, given)
    for choice in choices:
        announce(str(choice))
    chosen = {choice.name: choice.value for choice in choices}
    side = longest_side or chosen.pop("longest_side")
    return training.complete(**chosen), side


def check_batch(longest_side: int, training: TrainConfig) -> None:
    """Refuse a batch whose coarsest feature map is a single cell: it has no spread to learn from.

    Raises:
        RunError: one picture a step, and that one small.
    """
    smallest = min(longest_side, training.crop or longest_side) / training.multiscale
    if training.batch_size == 1 and smallest < 2 * SMALLEST:
        raise RunError(f"pictures below {2 * SMALLEST} pixels want --batch-size 2 or more")


def tell_damage(folder: Path) -> None:
    """Say which lines of a run's numbers cannot be read: going on drops them."""
    if lines := damaged_lines(folder):
        shown = ", ".join(map(str, lines[:10])) + (" …" if len(lines) > 10 else "")
        announce(f"{folder / METRICS}: dropped {len(lines)} damaged lines: {shown}")


def load_split(data: str, split: str, skip_bad: bool, **options: Any) -> FolderDataset | Reef:
    """Load a split, and say how many faults were left out of it; see `data.load_dataset`."""
    dataset = load_dataset(data, split, skip_bad=skip_bad, length=REEF_PICTURES, **options)
    skipped = getattr(dataset, "skipped", ())
    if skipped:
        announce(f"{data} {split}: left out {len(skipped)} faulty records, the first: {skipped[0]}")
    return dataset


def tell_notes(data: str, *datasets: Any) -> None:
    """Say what is not used of a user's data, or was read by a rule; once for all data sets."""
    notes = [note for dataset in datasets for note in getattr(dataset, "notes", ())]
    for line in in_few_words(dict.fromkeys(notes)):  # both have those on the whole folder
        announce(f"{data}: {line}")


def look_at_all(*datasets: Any) -> None:
    """Decode every picture of a user's folder once, so that a bad one stops before the training.

    No time is lost on the train split, whose pictures are kept in memory from the first visit on.

    Raises:
        DataError: a picture is cut short.
    """
    for dataset in datasets:
        for index in range(len(dataset)):
            dataset[index]


def augmentation(data: str, training: TrainConfig) -> Transforms:
    """How pictures change from visit to visit.

    The reef draws as many pictures as one likes, so it is mirrored and zoomed a little. Photographs
    are few, and get all that there is.

    Raises:
        RunError: the reef is to be cropped or turned upside down.
    """
    zoom = training.zoom or (REEF_ZOOM if data == "reef" else PHOTO_ZOOM)
    scale = (1 / zoom, zoom)
    if data != "reef":
        return training_transforms(
            flip=training.horizontal_flip,
            scale=scale,
            vertical_flip=training.vertical_flip,
            crop=training.crop,
        )
    if training.crop or training.vertical_flip:
        raise RunError("crop and vertical_flip are for photographs; leave them out for the reef")
    return training_transforms(flip=training.horizontal_flip, scale=scale, light=0.0)


def learn(
    run: Run, train_set: Augmented, val_set: Any, settings: RunSettings, folder: Path
) -> None:
    """Train to the end with a progress bar, writing down every step and saving now and then.

    Raises:
        Interrupted: a signal asked to stop; the run is saved.
    """
    writing, saved, rows = process_rank() == 0, run.seconds, recorded(folder)
    evaluated = evaluations_due(max(row.get("progress", 0.0) for row in [{}, *rows]))
    with heard(False, not under_torchrun()) as asked, progress_bar(writing) as bar:
        if writing and stopped_in_evaluation(rows):
            evaluate_midway(run, val_set, settings, folder, asked)
        for numbers in fit(run.detector, train_set, settings.training, run):
            if writing:
                append_line(folder / METRICS, to_json(numbers))
                show(bar, numbers)
                due = evaluations_due(numbers["progress"])
                if due > evaluated:
                    evaluated = due
                    evaluate_midway(run, val_set, settings, folder, asked)
            number = agreed(asked.number, next(run.detector.parameters()).device)
            if number or run.seconds - saved > SAVE_EVERY:
                saved = save(run, folder)
            if number:
                raise Interrupted(number, f"stopped at step {run.step}, all saved in {folder}")
        bar.update(100 - bar.n)
        save(run, folder)


def agreed(number: int, device: torch.device) -> int:
    """The signal that asked one of the processes to stop, or 0; all of them learn it.

    >>> agreed(15, torch.device("cpu"))
    15
    """
    if not any_process(number > 0, device):
        return 0
    return next(int(known) for known in STOPPING if any_process(number == known, device))


def evaluate_midway(
    run: Run, val_set: Any, settings: RunSettings, folder: Path, asked: Asked
) -> None:
    """Save the run and evaluate it; a signal ends that, and a resumed run makes up for it."""
    save(run, folder)
    with suppress(Stopped), asked.nothing_to_lose():
        record_evaluation(folder, run, evaluate_average(run, val_set, settings))


def stopped_in_evaluation(rows: list[dict[str, Any]]) -> bool:
    """Whether a run ended in an evaluation: the last line is of a step that called for one.

    >>> stopped_in_evaluation([{"progress": 0.2}, {"progress": 0.3}])
    True
    >>> stopped_in_evaluation([{"progress": 0.2}, {"progress": 0.3}, {"AP": 0.1}])
    False
    """
    *_, before, last = (0.0, 0.0, *(row["progress"] for row in rows if "progress" in row))
    return bool(rows) and "AP" not in rows[-1] and evaluations_due(last) > evaluations_due(before)


def evaluations_due(progress: float) -> int:
    """How many evaluations a run should have had, the one at its end not counted.

    >>> [evaluations_due(progress) for progress in (0.0, 0.24, 0.25, 0.99)]
    [0, 0, 1, 3]
    """
    return int(EVALUATIONS * progress)


def evaluate_average(run: Run, val_set: Any, settings: RunSettings) -> Metrics:
    """Evaluate the averaged weights, which are the ones that the detector ends with."""
    average = cast(Detector, run.average.module)
    return evaluate(average, val_set, settings.detector.longest_side, settings.class_names)


def finish(run: Run, val_set: Any, settings: RunSettings, folder: Path) -> Metrics:
    """Evaluate the trained detector; write it down with its numbers, curves and examples."""
    metrics = evaluate_average(run, val_set, settings)
    record_evaluation(folder, run, metrics)
    notes = {
        "settings": asdict(settings),
        "steps": run.step,
        "seconds": run.seconds,
        "metrics": {**metrics.coco, "class_ap": metrics.class_ap},
        "date": date.today().isoformat(),
        "machine": machine(next(run.detector.parameters()).device),
    }
    info = CheckpointInfo(settings.detector, settings.class_names, finite(notes))
    save_checkpoint(folder / CHECKPOINT, run.detector, info)
    save_figure(draw_curves(recorded(folder)), folder / CURVES)
    save_figure(draw_examples(run.detector, val_set, settings), folder / PREDICTIONS)
    return metrics


def announce(text: str) -> None:
    """Tell the user, on one process only."""
    if process_rank() == 0:
        print(text, file=sys.stderr)


def progress_bar(shown: bool) -> Any:
    """A bar that counts percents; in a log file it speaks every ten seconds only."""
    pause = 0.1 if sys.stderr.isatty() else 10.0
    return tqdm(total=100, bar_format=BAR, disable=not shown, mininterval=pause)


def show(bar: Any, numbers: dict[str, Any]) -> None:
    """Move the progress bar and put the latest numbers beside it."""
    percent = 100 * numbers["progress"]
    if bar.n == 0:
        bar.initial = percent  # where a resumed run begins; the time to go is counted from here
    bar.set_postfix_str(
        f"loss {numbers['loss_total']:.3f} = class {numbers['loss_class']:.3f} "
        f"+ λ · box {numbers['loss_box']:.3f}, {numbers['images_per_second']:.0f} pictures/s",
        refresh=False,
    )
    bar.update(percent - bar.n)


def draw_examples(detector: Detector, dataset: Any, settings: RunSettings) -> Any:
    """What a detector finds on the first pictures of a data set, beside what is there."""
    items = [dataset[row] for row in range(min(EXAMPLES, len(dataset)))]
    images = [image for image, _ in items]
    found = detect(detector, images, settings.detector.longest_side, score_threshold=DRAWN_SCORE)
    pictures = [
        Picture(image, target, detection)
        for (image, target), detection in zip(items, found, strict=True)
    ]
    return draw_grid(pictures, settings.class_names)
