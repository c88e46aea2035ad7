"""One training run and its folder: what `detlab train` does.

Follows train.py, checkpoint.py, evaluate.py and draw.py. The folder holds

    settings.json             the exact settings, versions and machine
    metrics.jsonl             a line of numbers per step and per evaluation
    resume.safetensors        where an interrupted run goes on
    checkpoint.safetensors    the trained detector
    curves.png                losses and AP over time
    predictions.png           what it finds on pictures that it never saw
"""

import json
import platform
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torchvision
from tqdm import tqdm

from detlab.batches import process_rank
from detlab.checkpoint import CheckpointInfo, save_checkpoint
from detlab.data import load_dataset
from detlab.draw import Picture, draw_curves, draw_grid, save_figure
from detlab.evaluate import Metrics
from detlab.files import write_atomically
from detlab.inference import judge
from detlab.model import ConfigName, Detector, DetectorConfig, build_detector, named_config
from detlab.postprocess import detect
from detlab.train import Run, TrainConfig, fit, load_run, save_run, start_run
from detlab.transforms import Augmented, training_transforms

SAVE_EVERY = 30.0
"""Seconds of training between two saves: what a power cut can cost."""
EVALUATIONS = 4
"""How often a run is judged, the last time at its end."""
DRAWN_SCORE = 0.4
"""Boxes in pictures for people score at least this."""
EXAMPLES = 12
"""Pictures in predictions.png."""
METRICS, RESUME = "metrics.jsonl", "resume.safetensors"
BAR = "{percentage:3.0f}% |{bar}| {elapsed} < {remaining} {postfix}"


class Interrupted(KeyboardInterrupt):
    """Ctrl-C was pressed; the run is saved, and the message says how to go on."""


@dataclass(frozen=True)
class RunSettings:
    """Everything that decides what a run becomes; a resumed run must have the same."""

    data: str
    detector: DetectorConfig
    training: TrainConfig
    class_names: tuple[str, ...]
    pictures: int
    skip_bad: bool = False


def train_run(
    data: str,
    config_name: ConfigName,
    training: TrainConfig,
    device: torch.device,
    folder: Path,
    resume: bool = False,
    skip_bad: bool = False,
) -> Metrics | None:
    """Train, evaluate, and write the run's folder; one process writes, the others only train.

    Returns:
        The metrics on the val split (None on a process that does not write).

    Raises:
        ValueError: the folder holds another run, or `resume` with other settings.
        Interrupted: Ctrl-C; the run is saved.
    """
    image_size = named_config(config_name, num_classes=2).image_size
    load = partial(load_dataset, data, image_size=image_size, skip_bad=skip_bad, cache=True)
    train_set, val_set = load("train"), load("val")
    class_names = tuple(train_set.class_names)
    config = named_config(config_name, len(class_names))
    settings = RunSettings(data, config, training, class_names, len(train_set), skip_bad)

    torch.manual_seed(training.seed)
    detector = build_detector(config).to(device)
    run = open_run(folder, detector, settings, resume)
    learn(run, Augmented(train_set, training_transforms()), val_set, settings, folder)
    if process_rank() > 0:
        return None
    metrics = judge(detector, val_set, config.image_size, class_names)
    record(folder, {"step": run.step, "seconds": run.seconds, **metrics.coco})
    notes = {"settings": asdict(settings), "seconds": run.seconds, "steps": run.step}
    notes |= {"metrics": metrics.coco, "date": date.today().isoformat(), "machine": machine()}
    info = CheckpointInfo(config, class_names, notes)
    save_checkpoint(folder / "checkpoint.safetensors", detector, info)
    write_pictures(folder, detector, val_set, settings)
    return metrics


def open_run(folder: Path, detector: Detector, settings: RunSettings, resume: bool) -> Run:
    """A fresh run in a fresh folder, or the interrupted run that the folder holds."""
    said = json.loads(json.dumps(asdict(settings)))  # tuples become lists, as they do on disk
    if resume:
        run, before = load_run(folder / RESUME, detector, settings.training)
        if before["settings"] != said:
            changes = differences(before["settings"], said)
            raise ValueError(f"{folder}: --resume wants the settings of that run, but {changes}")
        forget_after(folder, run.step)
        return run
    if (folder / METRICS).exists():
        raise ValueError(f"{folder} holds a run; --resume goes on with it, --out names another")
    if process_rank() == 0:
        settings_and_machine = json.dumps({**said, "machine": machine()}, indent=2)
        write_atomically(folder / "settings.json", settings_and_machine.encode())
    return start_run(detector, settings.training)


def forget_after(folder: Path, step: int) -> None:
    """Drop the lines of numbers written after the save that a run goes on from."""
    if process_rank() == 0:
        rows = [json.dumps(row) for row in recorded(folder) if row["step"] <= step]
        write_atomically(folder / METRICS, "".join(f"{row}\n" for row in rows).encode())


def differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """What changed from one nested dict of settings to another, in words.

    >>> differences({"a": 1, "b": {"c": 2, "d": 3}}, {"a": 1, "b": {"c": 4, "d": 3}})
    'c was 2 and is 4'
    """
    changes = []
    for key in before.keys() | now.keys():
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            changes.append(differences(old, new))
        elif old != new:
            changes.append(f"{key} was {old} and is {new}")
    return ", ".join(sorted(filter(None, changes)))


def learn(
    run: Run, train_set: Augmented, val_set: Any, settings: RunSettings, folder: Path
) -> None:
    """Train to the end with a progress bar, writing down every step and saving now and then."""
    writing = process_rank() == 0
    saved, judged = run.seconds, 1 / EVALUATIONS
    image_size = settings.detector.image_size
    with (
        caught_interrupt() as interrupted,
        tqdm(total=100, bar_format=BAR, disable=not writing) as bar,
    ):
        for numbers in fit(run.detector, train_set, settings.training, run):
            if writing:
                record(folder, numbers)
                show(bar, numbers)
            if interrupted() or run.seconds - saved > SAVE_EVERY:
                saved = save(run, settings, folder)
            if interrupted():
                raise Interrupted(f"stopped at step {run.step}; --resume --out {folder} goes on")
            if writing and numbers["progress"] >= judged:
                judged += 1 / EVALUATIONS
                metrics = judge(run.average.module, val_set, image_size, settings.class_names)
                record(folder, {"step": run.step, "seconds": run.seconds, **metrics.coco})
        save(run, settings, folder)


def save(run: Run, settings: RunSettings, folder: Path) -> float:
    """Write what a resumed run needs; gives the time of training that is now safe, in seconds."""
    if process_rank() == 0:
        save_run(folder / RESUME, run, {"settings": asdict(settings)})
    return run.seconds


def record(folder: Path, row: dict[str, float]) -> None:
    """Add a line of numbers to the run's metrics."""
    with (folder / METRICS).open("a") as file:
        file.write(json.dumps(row) + "\n")


def recorded(folder: Path) -> list[dict[str, float]]:
    """All lines of numbers of a run, in order."""
    path = folder / METRICS
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def show(bar: Any, numbers: dict[str, float]) -> None:
    """Move the progress bar and put the latest numbers beside it."""
    bar.n = min(100.0, 100 * numbers["progress"])
    bar.set_postfix_str(
        f"class {numbers['loss_class']:.3f}, box {numbers['loss_box']:.3f}, "
        f"{numbers['images_per_second']:.0f} pictures/s"
    )


@contextmanager
def caught_interrupt() -> Iterator[Callable[[], bool]]:
    """Ctrl-C becomes a question that the loop asks between two steps; a second one ends at once."""
    seen = []

    def note(*_: Any) -> None:
        seen.append(True)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(seen)
    finally:
        signal.signal(signal.SIGINT, before)


def write_pictures(folder: Path, detector: Detector, dataset: Any, settings: RunSettings) -> None:
    """The curves of the run, and what its detector finds on the first pictures of a data set."""
    save_figure(draw_curves(recorded(folder)), folder / "curves.png")
    items = [dataset[row] for row in range(min(EXAMPLES, len(dataset)))]
    images = [image for image, _ in items]
    found = detect(detector, images, settings.detector.image_size, score_threshold=DRAWN_SCORE)
    pictures = [
        Picture(image, target, detection)
        for (image, target), detection in zip(items, found, strict=True)
    ]
    save_figure(draw_grid(pictures, settings.class_names), folder / "predictions.png")


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "processor": platform.processor() or platform.machine(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
    }
