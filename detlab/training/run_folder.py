"""The folder of one training run: its settings, its numbers, and where it goes on.

Uses loop.py. run.py fills the folder, which holds

    settings.json             the exact settings, versions and machine
    metrics.jsonl             a line of numbers per step and per evaluation
    run.lock                  says which training writes here, while one does
    resume.safetensors        where an interrupted run goes on
    checkpoint.safetensors    the trained detector
    curves.png                losses and AP over time
    predictions.png           what it finds on pictures that it never saw
"""

import json
import math
import platform
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision

from detlab.detector.checkpoint import UNREADABLE, CheckpointError, read_tensors, with_longest_side
from detlab.detector.config import DetectorConfig
from detlab.detector.model import Detector
from detlab.errors import DetlabError
from detlab.files import append_line, remove_unfinished, to_json, write_atomically
from detlab.hardware import process_rank
from detlab.locks import AlreadyLocked, locked
from detlab.metrics.coco import Metrics
from detlab.training.config import TrainConfig
from detlab.training.loop import Run, load_run, save_run, start_run

SETTINGS, METRICS, RESUME = "settings.json", "metrics.jsonl", "resume.safetensors"
LOCK = "run.lock"
STEP = ("progress", "loss_class", "loss_box", "loss_total")
"""What the line of a step holds at least, beside its number and seconds."""
OF_BEFORE = {
    "detector": {"last_kernel": 3},
    "training": {
        **{"optimizer": "adamw", "schedule": "cosine", "muon_rate": 0.02, "quality": 0.0},
        "horizontal_flip": 0.5,
    },
}
"""Settings that runs of version 0.2.0 and before do not name, as these have learned by them."""
CHECKPOINT, CURVES, PREDICTIONS = "checkpoint.safetensors", "curves.png", "predictions.png"


class RunError(DetlabError, ValueError):
    """What is asked of a run does not fit its folder or this machine, in one or two lines."""


@dataclass(frozen=True)
class RunSettings:
    """Everything that decides what a run becomes; a resumed run must have the same."""

    data: str
    detector: DetectorConfig
    training: TrainConfig
    class_names: tuple[str, ...]
    pictures: int
    skip_bad: bool = False
    processes: int = 1


def check_folder_is_ready(folder: Path, resume: bool) -> None:
    """Refuse to overwrite a run, and to go on with one that was never begun.

    Raises:
        RunError: says which, and what to do.
    """
    if resume and not (folder / SETTINGS).exists():
        raise RunError(f"{folder}: no run to go on with; leave out --resume to start one")
    if not resume and (folder / METRICS).exists() and process_rank() == 0:
        raise RunError(
            f"{folder} holds a run already\n--resume goes on with it, --out DIR starts another"
        )


def check_folder_is_free(folder: Path) -> None:
    """Look whether a training writes into a folder, which need not be there.

    Raises:
        RunError: one does; says which.
    """
    if (folder / LOCK).exists():
        with hold_folder(folder):
            pass


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Keep other trainings out of a folder while the block runs; the first process does it for all.

    Raises:
        RunError: one writes there already; says which.
    """
    with ExitStack() as stack:
        if process_rank() == 0:
            try:
                stack.enter_context(locked(folder / LOCK))
            except AlreadyLocked as holder:
                raise RunError(
                    f"{folder}: another training writes there;\n"
                    f"{LOCK} is {holder.strerror}. Let it end, or choose another --out DIR"
                ) from None
        yield


def open_run(folder: Path, detector: Detector, settings: RunSettings, resume: bool) -> Run:
    """A fresh run in a fresh folder, or the interrupted run that the folder holds.

    A run that was killed before its first save begins anew.

    Raises:
        RunError: `resume` with other settings.
    """
    if not resume:
        write_settings(folder, settings, next(detector.parameters()).device)
        return start_run(detector, settings.training)
    before, now = read_settings(folder), json.loads(to_json(asdict(settings)))
    changes = differences({key: before.get(key) for key in now}, now)
    if changes:
        raise RunError(f"{folder}: --resume wants the settings of that run, but {changes}")
    if process_rank() == 0:
        for name in (RESUME, CHECKPOINT, SETTINGS, METRICS):
            remove_unfinished(folder / name)
    if (folder / RESUME).exists():
        run = saved_run(folder / RESUME, detector, settings.training)
    else:
        run = start_run(detector, settings.training)
    forget_after(folder, run.step)
    return run


def saved_run(path: Path, detector: Detector, config: TrainConfig) -> Run:
    """The run as it was saved, see `loop.load_run`.

    Raises:
        RunError: it cannot be read; says what to do.
    """
    try:
        return load_run(path, detector, config)
    except CheckpointError as error:
        raise RunError(
            f"{error}\ndelete {path.name} there, and --resume begins the run anew"
        ) from error


def write_settings(folder: Path, settings: RunSettings, device: torch.device) -> None:
    """Write down all that a repetition needs."""
    if process_rank() == 0:
        said = {**asdict(settings), "machine": machine(device)}
        write_atomically(folder / SETTINGS, to_json(said, indent=2).encode())


def read_settings(folder: Path) -> dict[str, Any]:
    """The settings of the run in a folder.

    Raises:
        RunError: the file is damaged.
    """
    try:
        settings = dict(json.loads((folder / SETTINGS).read_bytes()))
        settings["detector"] = with_longest_side(settings["detector"])
        for part, unsaid in OF_BEFORE.items():
            settings[part] = unsaid | settings.get(part, {})
        zoom = 1.0 if settings.get("data") == "reef" else None  # it was mirrored, nothing else
        settings["training"].setdefault("zoom", zoom)
        return settings
    except UNREADABLE as error:
        raise RunError(f"{folder / SETTINGS}: damaged ({error!r}); start a new run") from error


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


def save(run: Run, folder: Path) -> float:
    """Write what a resumed run needs; gives the time of training that is now safe, in seconds."""
    if process_rank() == 0:
        save_run(folder / RESUME, run)
    return run.seconds


def record_evaluation(folder: Path, run: Run, metrics: Metrics) -> None:
    """Add a line of AP to the run's numbers, once for each step."""
    if not any("AP" in row and row["step"] == run.step for row in recorded(folder)):
        row = {"step": run.step, "seconds": run.seconds, **metrics.coco}
        append_line(folder / METRICS, to_json(row))


def recorded(folder: Path) -> list[dict[str, Any]]:
    """All whole lines of numbers of a run, in order."""
    return [row for row in read_lines(folder) if row is not None]


def damaged_lines(folder: Path) -> list[int]:
    """Which lines of a run's numbers cannot be read, counted from 1."""
    return [number for number, row in enumerate(read_lines(folder), start=1) if row is None]


def read_lines(folder: Path) -> list[dict[str, Any] | None]:
    """Each line of numbers of a run, None for a damaged one; a power cut may have torn the last."""
    path = folder / METRICS
    content = path.read_bytes() if path.exists() else b""
    return [read_line(line) for line in content.split(b"\n")[:-1]]


def read_line(line: bytes) -> dict[str, Any] | None:
    """The numbers in a line of a step or of an evaluation; None if they are not all there.

    >>> read_line(b'{"step": 3, "seconds": 1.5, "AP": null}')
    {'step': 3, 'seconds': 1.5, 'AP': None}
    >>> read_line(b'{"step": 3, "sec')
    """
    try:
        row = json.loads(line)
        needed = ["seconds"] if "AP" in row else ["seconds", *STEP]
        whole = type(row["step"]) is int and all(math.isfinite(row[name]) for name in needed)
        numbers = all(value is None or type(value) in (int, float) for value in row.values())
        return row if whole and numbers else None
    except UNREADABLE:
        return None


def forget_after(folder: Path, step: int) -> None:
    """Drop damaged lines of numbers, and those written after the save that a run goes on from."""
    if process_rank() == 0:
        lines = [to_json(row) + "\n" for row in recorded(folder) if row["step"] <= step]
        write_atomically(folder / METRICS, "".join(lines).encode())


def saved_step(folder: Path) -> int | None:
    """The step that an interrupted run would go on from; None if nothing was saved."""
    try:
        return int(read_tensors(folder / RESUME)[1]["step"])
    except (CheckpointError, *UNREADABLE):
        return None


def machine(device: torch.device) -> dict[str, Any]:
    """What the numbers were measured on, and with which versions."""
    return {
        "device": device.type,
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
    }
