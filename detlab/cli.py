"""`detlab lab | train | evaluate | detect | data | doctor`.

The words on the command line; the work is done elsewhere, and imported where it is needed, so that
`detlab doctor` runs on a half-installed machine. A user's mistake gets one line and exit status 2,
Ctrl-C gets 130.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg
from tyro.extras import SubcommandApp

from detlab.model import ConfigName
from detlab.train import NonFiniteLoss, TrainConfig

if TYPE_CHECKING:
    from detlab.evaluate import Metrics

START = Path(__file__).parents[1] / "notebooks" / "00_start_here.ipynb"
LONGEST_LIST = 50
"""Defects printed in full; the rest is counted."""

app = SubcommandApp()
Device = Literal["auto", "cpu", "cuda", "mps"]
Settings = Annotated[TrainConfig, arg(name="")]


@app.command
def lab(arguments: Positional[tuple[str, ...]] = ()) -> None:
    """Open the course in JupyterLab, on this machine only.

    Args:
        arguments: passed on to JupyterLab: `detlab lab -- --no-browser --port 8899`.
    """
    command = [sys.executable, "-m", "jupyterlab", "--ip=127.0.0.1", str(START), *arguments]
    raise SystemExit(subprocess.run(command, check=False).returncode)


@app.command
def train(
    data: str = "reef",
    config: ConfigName = "course",
    device: Device = "auto",
    out: Path | None = None,
    resume: bool = False,
    skip_bad: bool = False,
    settings: Settings = TrainConfig(),  # noqa: B008
) -> None:
    """Train a detector, judge it, and write all about it into a folder.

    Args:
        data: reef, bccd, aquarium, or a folder in COCO, VOC or YOLO layout.
        config: which detector.
        device: where to train; auto takes a GPU where there is one.
        out: the folder; runs/DATA-CONFIG if not given.
        resume: go on with the interrupted run in that folder.
        skip_bad: leave out faulty boxes and pictures instead of stopping.
        settings: how long and how fast.
    """
    from detlab.run import train_run
    from detlab.train import choose_device, process_group

    folder = out or Path("runs") / f"{Path(data).name}-{config}"
    place = choose_device(device)
    with process_group(place):
        metrics = train_run(data, config, settings, place, folder, resume, skip_bad)
    if metrics is not None:
        print_metrics(metrics)
        print(f"written to {folder}")


@app.command
def evaluate(
    checkpoint: Positional[Path],
    data: Positional[str],
    split: Literal["train", "val", "test"] = "val",
    device: Device = "auto",
    skip_bad: bool = False,
    as_json: Annotated[bool, arg(name="json")] = False,
) -> None:
    """Judge a detector by the twelve COCO numbers, the AP of each class, and its speed.

    Args:
        checkpoint: written by `detlab train`.
        data: reef, bccd, aquarium, or a folder in COCO, VOC or YOLO layout.
        split: which part of the data.
        device: where to compute.
        skip_bad: leave out faulty boxes and pictures instead of stopping.
        as_json: print JSON, for programs.
    """
    from detlab.checkpoint import load_checkpoint
    from detlab.data import load_dataset
    from detlab.inference import judge
    from detlab.train import choose_device

    detector, info = load_checkpoint(checkpoint, choose_device(device))
    dataset = load_dataset(data, split, skip_bad=skip_bad)
    if tuple(dataset.class_names) != info.class_names:
        raise ValueError(
            f"{checkpoint} knows the classes {list(info.class_names[1:])}, "
            f"{data} has {list(dataset.class_names[1:])}: want the same, in the same order"
        )
    metrics = judge(detector, dataset, info.config.image_size, info.class_names)
    if as_json:
        print(json.dumps(metrics_row(metrics)))
    else:
        print_metrics(metrics)


@app.command
def detect(
    checkpoint: Positional[Path],
    pictures: Positional[Path],
    out: Path = Path("detections"),
    score_threshold: float = 0.4,
    iou_threshold: float = 0.5,
    device: Device = "auto",
) -> None:
    """Find objects in a picture, or in every picture of a folder.

    Writes each picture with its boxes, and detections.json in COCO's results format.

    Args:
        checkpoint: written by `detlab train`.
        pictures: a file or a folder.
        out: the folder to write to.
        score_threshold: boxes that score less are not shown, 0 to 1.
        iou_threshold: of two boxes of a class that overlap more, the better stays, 0 to 1.
        device: where to compute.
    """
    from detlab.checkpoint import load_checkpoint
    from detlab.inference import detect_files, find_pictures
    from detlab.train import choose_device

    detector, info = load_checkpoint(checkpoint, choose_device(device))
    thresholds = {"score_threshold": score_threshold, "iou_threshold": iou_threshold}
    for path, found in detect_files(detector, info, find_pictures(pictures), out, **thresholds):
        names = Counter(info.class_names[label] for label in found["labels"].tolist())
        print(f"{path}: " + (", ".join(f"{n} {name}" for name, n in names.items()) or "nothing"))
    print(f"written to {out}")


@app.command
def data(
    action: Positional[Literal["list", "get", "check"]],
    what: Positional[str | None] = None,
) -> None:
    """Public data sets by name, and the faults of any set.

    Args:
        action: list the public sets, get one by name, or check a set or folder for faults.
        what: a name, or for check also a folder.
    """
    from detlab.data import check_data
    from detlab.download import get, list_sets

    if action == "list":
        for row in list_sets():
            print("  ".join(f"{key}: {value}" for key, value in row.items()))
        return
    if what is None:
        raise ValueError(f"`detlab data {action}` wants a name; `detlab data list` shows them")
    if action == "get":
        print(get(what))
        return
    defects = check_data(what)
    for defect in defects[:LONGEST_LIST]:
        print(defect)
    print(f"{len(defects)} defects" + (", the first shown" * (len(defects) > LONGEST_LIST)))
    raise SystemExit(1 if defects else 0)


@app.command
def doctor() -> None:
    """Tell what this machine has, what is missing, and how long training takes here."""
    from detlab.doctor import examine

    healthy = True
    for finding in examine():
        print(finding, flush=True)
        healthy &= finding.remedy is None
    raise SystemExit(0 if healthy else 1)


def metrics_row(metrics: "Metrics") -> dict[str, Any]:
    """All numbers of an evaluation, as JSON has them."""
    return {
        **metrics.coco,
        "class_ap": metrics.class_ap,
        "images_per_second": metrics.images_per_second,
    }


def print_metrics(metrics: "Metrics") -> None:
    """The numbers for people."""
    for name, value in metrics.coco.items():
        print(f"{name:<10} {value:.3f}")
    for name, value in metrics.class_ap.items():
        print(f"AP {name:<14} {value:.3f}")
    print(f"{metrics.images_per_second:.0f} pictures/s")


def main() -> None:
    """Run a command; a mistake of the user's becomes one line."""
    try:
        app.cli(
            prog="detlab", description="Build an object detector.", config=(FlagCreatePairsOff,)
        )
    except KeyboardInterrupt as stop:
        print(f"detlab: {stop or 'stopped'}", file=sys.stderr)
        raise SystemExit(130) from None
    except (ValueError, OSError, NonFiniteLoss) as error:
        if os.environ.get("DETLAB_DEBUG"):
            raise
        print(f"detlab: {error}", file=sys.stderr)
        raise SystemExit(2) from None
