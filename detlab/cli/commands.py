"""`detlab lab | train | evaluate | detect | data | doctor | progress | reset | update`.

The words on the command line; the work is done elsewhere, and imported where it is needed.

A user's mistake, any DetlabError, gets one or two lines and exit status 2; Ctrl-C, SIGTERM and
SIGHUP get a line and 128 plus the signal's number. Any other ValueError is a fault of the program,
and keeps its traceback.
"""

import errno
import functools
import json
import os
import shlex
import signal
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec, TypeVar, cast

import torch
from tyro.conf import FlagCreatePairsOff, Positional, UseAppendAction, arg
from tyro.extras import SubcommandApp

from detlab.cli.printout import metrics_row, print_conversion, print_metrics, print_table
from detlab.course.lessons import COURSE, course_packages
from detlab.data.writers import Format
from detlab.detector.checkpoint import load_checkpoint
from detlab.detector.config import ConfigName
from detlab.errors import DetlabError
from detlab.hardware import Precision, choose_device, process_group
from detlab.signals import Stopped, heard
from detlab.training.config import TrainOptions
from detlab.training.run import (
    SMALLEST,
    Interrupted,
    config_for,
    load_split,
    tell_notes,
    train_run,
)
from detlab.training.run_folder import CHECKPOINT, CURVES, METRICS, PREDICTIONS, saved_step

START = COURSE[0].notebook
PROMPT = "--ServerApp.kernel_websocket_connection_class=detlab.course.server.PromptConnection"
"""An option of JupyterLab, see server.py."""


class UsageError(DetlabError, ValueError):
    """Words on the command line that do not fit, or not together."""


MISTAKES = (DetlabError, torch.OutOfMemoryError)

app = SubcommandApp()
Device = Literal["auto", "cpu", "cuda", "mps"]
Settings = Annotated[TrainOptions, arg(name="")]
Folders = Annotated[tuple[Path, ...], arg(metavar="DIR")]
P = ParamSpec("P")
R = TypeVar("R")


def command(work: Callable[P, R]) -> Callable[P, R]:
    """Make a function a command whose words are read first and whose work is done after that.

    So a setting that refuses its value (ValueError) is told from an error in the work.
    """

    @functools.wraps(work)
    def prepare(*args: P.args, **kwargs: P.kwargs) -> Callable[[], R]:
        return functools.partial(work, *args, **kwargs)

    app.command(prepare)
    return work


@command
def lab(arguments: Positional[tuple[str, ...]] = ()) -> None:
    """Open the course in JupyterLab, on this machine only.

    Args:
        arguments: passed on to JupyterLab, as in `detlab lab --no-browser --port 8899`.
    """
    with course_packages():
        from jupyterlab.labapp import LabApp  # type: ignore[import-untyped]

        from detlab.course import advice
        from detlab.course.restore import copy_lessons

    copy_lessons()
    if not START.exists():
        raise UsageError(f"{START}: no such notebook; `detlab reset 00` brings it back")
    place = [f"--ServerApp.root_dir={START.parent}", f"--LabApp.default_url=/lab/tree/{START.name}"]
    os.environ.setdefault("PYTHONSTARTUP", advice.__file__)  # read by every notebook's kernel
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0  # as everybody is in a container
    root = ["--allow-root"] if is_root else []
    LabApp.launch_instance(["--ip=127.0.0.1", *place, PROMPT, *root, *arguments])


@command
def train(
    data: str = "reef",
    config: ConfigName | None = None,
    device: Device = "auto",
    out: Annotated[Path | None, arg(metavar="DIR")] = None,
    resume: bool = False,
    skip_bad: bool = False,
    longest_side: int | None = None,
    allow_outside: Folders = (),
    settings: Settings = TrainOptions(),  # noqa: B008
) -> None:
    """Train a detector, evaluate it, and write all about it into a folder.

    How it learns photographs is chosen by their boxes and pictures, and told with the reasons;
    whatever is given here is taken instead.

    Args:
        data: a name from `detlab data list`, or a folder as labelling tools write it.
        config: which detector; all but course start from ImageNet weights. If not given, course
            for the reef and mobilenet for photographs.
        device: where to train; auto takes a GPU where there is one.
        out: the folder to write to; runs/DATA-CONFIG if not given.
        resume: go on with the interrupted run in that folder.
        skip_bad: leave out faulty boxes and pictures instead of stopping.
        longest_side: of what the network sees, in pixels.
        allow_outside: other folders where the pictures of a folder may lie.
        settings: how long and how fast.
    """
    check_pixels("--longest-side", longest_side)
    check_pixels("--crop", settings.crop or None)
    config = config or config_for(data)
    folder = out or Path("runs") / f"{Path(data).resolve().name}-{config}"
    place = device_named(device)
    try:
        with process_group(place):
            metrics = train_run(
                data, config, settings, place, folder, resume, skip_bad, longest_side, allow_outside
            )
    except Stopped as stop:
        raise Stopped(stop.number, f"{stop}{after_stop(folder, stop)}") from stop
    if metrics is not None:
        print_metrics(metrics)
        print(f"\nLook at {folder / CURVES} and {folder / PREDICTIONS}. Then try")
        print(f"    detlab detect {shlex.quote(str(folder / CHECKPOINT))} PICTURE_OR_FOLDER")


@command
def evaluate(
    checkpoint: Positional[Path],
    data: Positional[str],
    split: Literal["train", "val", "test"] = "val",
    device: Device = "auto",
    skip_bad: bool = False,
    allow_outside: Folders = (),
    as_json: Annotated[bool, arg(name="json")] = False,
) -> None:
    """Evaluate a detector by the twelve COCO numbers, the AP of each class, and its speed.

    Args:
        checkpoint: written by `detlab train`.
        data: a name from `detlab data list`, or a folder as labelling tools write it.
        split: which part of the data.
        device: where to compute.
        skip_bad: leave out faulty boxes and pictures instead of stopping.
        allow_outside: other folders where the pictures of a folder may lie.
        as_json: print JSON, for programs.
    """
    from detlab.metrics import evaluation

    detector, info = load_checkpoint(checkpoint, device_named(device))
    dataset = load_split(data, split, skip_bad, allow_outside=allow_outside)
    tell_notes(data, dataset)
    if tuple(dataset.class_names) != info.class_names:
        raise UsageError(
            f"{checkpoint} knows the classes {', '.join(info.class_names[1:])};\n"
            f"{data} has {', '.join(dataset.class_names[1:])}: want the same in the same order"
        )
    metrics = evaluation.evaluate(detector, dataset, info.config.longest_side, info.class_names)
    if as_json:
        print(json.dumps(metrics_row(metrics), indent=2))
    else:
        print_metrics(metrics)


@command
def detect(
    checkpoint: Positional[Path],
    pictures: Positional[Path],
    out: Annotated[Path, arg(metavar="DIR")] = Path("detections"),
    score_threshold: float = 0.4,
    iou_threshold: float = 0.5,
    tile: int | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Find objects in a picture, or in every picture of a folder.

    Writes each picture with its boxes as PNG, and detections.json in COCO's results format.

    Args:
        checkpoint: written by `detlab train`.
        pictures: a file or a folder.
        out: the folder to write to.
        score_threshold: boxes that score less are not shown, 0 to 1.
        iou_threshold: of two boxes of a class that overlap more, the better stays, 0 to 1.
        tile: look at squares of so many pixels, too, one after the other: for tiny objects.
        device: where to compute.
        precision: auto is bfloat16 where the device is faster so: scores are right to two or three
            digits; float32 finds the same numbers on every machine.
    """
    from detlab.cli.detect_files import detect_files, find_pictures
    from detlab.detector.fusion import fused

    thresholds = {"score_threshold": score_threshold, "iou_threshold": iou_threshold}
    for name, value in thresholds.items():
        if not 0 <= value <= 1:
            raise UsageError(f"--{name.replace('_', '-')} goes from 0 to 1, got {value}")
    check_pixels("--tile", tile)
    detector, info = load_checkpoint(checkpoint, device_named(device))
    paths = find_pictures(pictures)
    for path, found in detect_files(
        fused(detector, precision), info, paths, out, tile, **thresholds
    ):
        counts = Counter(info.class_names[label] for label in found["labels"].tolist())
        print(
            f"{path}: "
            + (", ".join(f"{n} {name}" for name, n in counts.most_common()) or "nothing")
        )
    print(f"{len(paths)} with boxes, and detections.json, are in {out}")


@command
def data(
    action: Positional[Literal["list", "get", "check", "convert"]],
    what: Positional[str | None] = None,
    dest: Annotated[Positional[Path | None], arg(metavar="[DST]")] = None,
    to: Format | None = None,
    skip_bad: bool = False,
    out: Annotated[UseAppendAction[tuple[Path, ...]], arg(metavar="FILE")] = (),
    allow_outside: Folders = (),
    as_json: Annotated[bool, arg(name="json")] = False,
) -> None:
    """List the public data sets, get one, check any set for faults, or convert it.

    `check` prints every fault with its file and record; exit status 1 says that there are some.
    Then it audits the labels: what may be right, and is worth a second look.

    `convert` writes every split as another tool wants it, as in
    `detlab data convert pets pets-yolo --to yolo`. Pictures are hard links where the disk allows
    it: one that is edited changes in both folders.

    Args:
        action: list the public sets, get one by name, check one or a folder, or convert it.
        what: a name; for check and convert also a folder.
        dest: convert writes this folder; it must not be there yet, or be empty.
        to: convert writes COCO JSON, Pascal VOC XML or YOLO text.
        skip_bad: convert leaves out faulty boxes and pictures instead of stopping.
        out: check also writes all that is worth a look: .csv lists it, .png draws the first of
            each kind on one sheet. Give it twice for both.
        allow_outside: other folders where the pictures of a folder may lie.
        as_json: check prints all that it knows as JSON, for programs.
    """
    from detlab.data.corrections import CORRECTED
    from detlab.data.datasets import find_data
    from detlab.data.download import SETS, list_sets

    if wrong := [path for path in out if path.suffix.lower() not in (".csv", ".png")]:
        raise UsageError(f"--out is a table (.csv) or a picture (.png), got {wrong[0]}")
    if action != "convert" and (dest or to or skip_bad):
        raise UsageError("a second folder, --to and --skip-bad are for `detlab data convert`")
    if action != "check" and (out or as_json):
        raise UsageError("--out and --json are for `detlab data check`")
    if action in ("list", "get") and allow_outside:
        raise UsageError("--allow-outside is for `detlab data check` and `detlab data convert`")
    if action == "list":
        print_table(list_sets())
        print(
            "\nbccd-clean is bccd with its mistakes fixed and no slide field in two splits;"
            "\n19 of the 364 pictures, whose boxes are incomplete, are left out"
        )
    elif what is None:
        raise UsageError(f"`detlab data {action}` wants a name; `detlab data list` shows them")
    elif action == "get":
        if what not in (*SETS, *CORRECTED):
            raise UsageError(
                f"no public set {what!r}; want one of {', '.join((*SETS, *CORRECTED))}"
            )
        print(find_data(what))
    elif action == "convert":
        if dest is None or to is None:
            raise UsageError(
                f"want a folder and a format: `detlab data convert {what} DST --to coco`"
            )
        print_conversion(what, dest, to, skip_bad, allow_outside)
    else:
        from detlab.cli.data_check import print_check

        raise SystemExit(1 if print_check(what, out, allow_outside, as_json) else 0)


@command
def doctor() -> None:
    """Tell what this machine has, what is missing, and how long training takes here.

    Exit status 1 says that something is to be fixed.
    """
    from detlab.cli.doctor import examine

    healthy = True
    for check in examine():
        print(check, flush=True)
        healthy &= check.remedy is None
    raise SystemExit(0 if healthy else 1)


@command
def progress(as_json: Annotated[bool, arg(name="json")] = False) -> None:
    """Show what you have answered, built and finished, and what comes next.

    Args:
        as_json: print JSON, for programs; a teacher collects it.
    """
    from detlab.course.progress import progress_file
    from detlab.course.status import all_statuses, next_lesson, status_json, status_rows

    statuses = all_statuses()
    if as_json:
        print(json.dumps(status_json(statuses), indent=2))
        return
    print_table(status_rows(statuses))
    following = next_lesson(statuses)
    print(f"\nnext: {following.notebook.name if following else 'nothing, all is done'}")
    print(f"kept in {progress_file()}")


@command
def reset(lesson: Positional[str]) -> None:
    """Restore a lesson's notebook as it was shipped; the old one is kept beside it.

    Args:
        lesson: its number, as 02.
    """
    from detlab.course.lessons import find_lesson
    from detlab.course.restore import restore_lesson

    try:
        chosen = find_lesson(lesson)
    except ValueError as error:
        raise UsageError(str(error)) from error
    kept = restore_lesson(chosen)
    print(f"{chosen.notebook.name} is as it was shipped")
    if kept:
        print(f"yours is kept as {kept.name}")


@command
def update(folder: Positional[Path | None] = None) -> None:
    """Bring the lessons to the newest version, with the cells that you wrote beside theirs.

    Your old notebooks are kept whole, and progress stays. Close them in JupyterLab first.

    Args:
        folder: with your notebooks of an earlier version; without it, git brings the newest
            version of this clone, whose notebooks are yours.
    """
    from detlab.course.clone import update_clone
    from detlab.course.update import UpdateError, update_from

    try:
        for line in update_clone() if folder is None else update_from(folder):
            print(line, flush=True)  # the next one may be another process's
    except UpdateError as error:
        raise UsageError(str(error)) from error


def check_pixels(option: str, value: int | None) -> None:
    """Refuse a side in pixels that is too small to see anything.

    Raises:
        UsageError: says how many are wanted.
    """
    if value is not None and value < SMALLEST:
        raise UsageError(f"{option} is {SMALLEST} pixels or more, got {value}")


def after_stop(folder: Path, stop: Stopped) -> str:
    """What is saved of a training that was stopped, and the command that goes on with it."""
    step = saved_step(folder)
    if step is not None:
        saved = "" if isinstance(stop, Interrupted) else f", saved up to step {step} in {folder}"
        return f"{saved}\nto go on: {command_to_resume()}"
    again = (folder / METRICS).exists()
    return ", nothing is saved" + (f"\nto begin again: {command_to_resume()}" if again else "")


def command_to_resume() -> str:
    """What was typed, with --resume; what torchrun was told is not known here."""
    start = "torchrun … -m detlab" if "TORCHELASTIC_RUN_ID" in os.environ else "detlab"
    words = [word for word in sys.argv[1:] if word != "--resume"]
    return f"{start} {shlex.join([*words, '--resume'])}"


def device_named(name: Device) -> torch.device:
    """The device of a name, or of "auto".

    Raises:
        UsageError: this machine has none.
    """
    try:
        return choose_device(name)
    except ValueError as error:
        raise UsageError(str(error)) from error


def read_words() -> Callable[[], Any]:
    """The command that was typed, ready to be run; what `lab` is given goes to JupyterLab.

    Raises:
        UsageError: a setting refuses its value.
        SystemExit: help was asked for (0), or the words make no command (2).
    """
    words = sys.argv[1:]
    if words[:1] == ["lab"] and not {"--", "-h", "--help"} & set(words):
        words.insert(1, "--")
    about = "Train an object detector, evaluate it, use it, and learn how it works."
    try:
        work = app.cli(prog="detlab", description=about, args=words, config=(FlagCreatePairsOff,))
    except ValueError as error:
        raise UsageError(str(error)) from error
    return cast(Callable[[], Any], work)


def main() -> None:
    """Run a command; a user's mistake becomes one or two lines."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names that no alphabet here can print
    try:
        with heard():
            read_words()()
    except Stopped as stop:
        fail(str(stop), 128 + stop.number)
    except KeyboardInterrupt:  # raised by a library, or in a thread that hears no signals
        fail("stopped", 128 + signal.SIGINT)
    except BrokenPipeError:  # the reader, as in `detlab data check … | head`, has seen enough
        sys.stdout = None  # nothing more can be written to it
        raise SystemExit(1) from None
    except MISTAKES as error:
        fail(str(error))
    except OSError as error:
        if error.filename is None and error.errno != errno.ENOSPC:
            raise
        fail(f"{error.filename or 'output'}: {error.strerror}")


def fail(message: str, status: int = 2) -> None:
    """Say why, and leave."""
    with suppress(OSError):  # the terminal may be closed
        print(f"detlab: {message}", file=sys.stderr)
    raise SystemExit(status) from None
