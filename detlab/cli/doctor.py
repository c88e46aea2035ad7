"""What this machine has, what is missing, and how long the default training takes here.

`detlab doctor` prints it. Nothing but the standard library is imported before it is known to be
there, so that a half-installed machine is told what is missing.
"""

import importlib.metadata
import os
import platform
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from subprocess import list2cmdline
from typing import NamedTuple

from detlab.course.lessons import INSTALL_COURSE

INSTALL = f"{list2cmdline([sys.executable])} -m pip install"
OLDEST_PYTHON = (3, 11)
WANTED_MEMORY = 2.0
"""GB that the default training needs."""
TRIAL_STEPS = 6
"""Training steps that are timed; the first is a warm-up."""


@dataclass(frozen=True)
class Check:
    """One line of the report."""

    name: str
    value: str
    remedy: str | None = None
    """The command that fixes it, where something is wrong."""

    def __str__(self) -> str:
        """The line as it is printed."""
        mark = "ok " if self.remedy is None else "FIX"
        advice = "" if self.remedy is None else f"   → {self.remedy}"
        return f"{mark} {self.name:<18} {self.value}{advice}"


def examine() -> Iterator[Check]:
    """All checks, one after the other; what needs a package is asked only where it is there."""
    yield check_python(sys.version_info[:2])
    packages = list(check_packages())
    yield from packages
    if all(check.remedy is None for check in packages):
        yield from check_course()
        yield from check_devices()
        yield check_memory()
        yield expect_training()


def check_python(version: tuple[int, ...]) -> Check:
    """The interpreter.

    >>> print(check_python((3, 9)).remedy)
    install Python 3.11 or newer, then `make lab` again
    """
    old = version < OLDEST_PYTHON
    remedy = "install Python 3.11 or newer, then `make lab` again" if old else None
    return Check("Python", ".".join(map(str, version)), remedy)


def check_packages() -> Iterator[Check]:
    """All that the package itself needs, as pyproject.toml said when detlab was installed."""
    try:
        requirements = importlib.metadata.requires("detlab") or []
    except importlib.metadata.PackageNotFoundError:
        yield Check("detlab", "not installed", f"{INSTALL} --editable .")
        return
    for requirement in requirements:
        if "extra ==" not in requirement:
            yield check_package(requirement)


def check_course() -> Iterator[Check]:
    """What lessons and labs need; one line is enough where JupyterLab is not installed."""
    requirements = "\n".join(importlib.metadata.requires("detlab") or [])
    wanted = re.findall(r"""^(.+?) *; *extra == ['"]course['"]$""", requirements, re.MULTILINE)
    checks = [check_package(requirement) for requirement in wanted]
    if any((check.name, check.value) == ("jupyterlab", "missing") for check in checks):
        yield Check("course", f"not installed; for lessons and labs: {INSTALL_COURSE}")
    else:
        yield from checks


def check_package(requirement: str) -> Check:
    """One package, there and new enough or not.

    >>> print(check_package("no-such-package>=2"))  # doctest: +ELLIPSIS
    FIX no-such-package    missing   → ... -m pip install "no-such-package>=2"
    """
    [name] = re.findall(r"^[\w.-]+", requirement)
    remedy = f'{INSTALL} "{requirement}"'
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Check(name, "missing", remedy)
    return Check(name, version, None if is_new_enough(version, requirement) else remedy)


def is_new_enough(version: str, requirement: str) -> bool:
    """Whether an installed version is one that is asked for; yes, where nobody can tell."""
    try:
        from packaging.requirements import Requirement
    except ModuleNotFoundError:
        return True
    return Requirement(requirement).specifier.contains(version, prereleases=True)


def check_devices() -> Iterator[Check]:
    """Processor and GPUs, and what the network would compute with."""
    import torch

    from detlab.hardware import choose_device, choose_dtype

    yield Check("processor", f"{platform.machine()}, {torch.get_num_threads()} threads")
    for row in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(row).total_memory / 1e9
        yield Check(f"GPU {row}", f"{torch.cuda.get_device_name(row)}, {memory:.0f} GB")
    device = choose_device()
    dtype = str(choose_dtype("auto", device)).removeprefix("torch.")
    yield Check("trains on", f"{device.type} in {dtype}")


def check_memory() -> Check:
    """Memory that nobody uses at the moment."""
    import psutil

    free = psutil.virtual_memory().available / 1e9
    remedy = None if free >= WANTED_MEMORY else f"close programs: training wants {WANTED_MEMORY} GB"
    return Check("free memory", f"{free:.1f} GB", remedy)


def expect_training() -> Check:
    """Time a little of each part of the default training and say what it will be like."""
    from detlab.reef.scene import FROZEN_LENGTH
    from detlab.training.config import DEFAULT_SECONDS
    from detlab.training.run import EVALUATIONS, REEF_PICTURES

    started = time.perf_counter()
    speeds = measure_speeds()
    drawing = REEF_PICTURES / speeds.drawing / (os.cpu_count() or 1)
    evaluating = EVALUATIONS * FROZEN_LENGTH / speeds.evaluating
    pictures = round(speeds.training * DEFAULT_SECONDS, -3)
    return Check(
        "default training",
        f"{(drawing + DEFAULT_SECONDS + evaluating) / 60:.1f} minutes: {drawing:.0f} s to draw, "
        f"{DEFAULT_SECONDS:.0f} s to learn from {pictures:.0f} pictures ({speeds.training:.0f} a "
        f"second), {evaluating:.0f} s to evaluate "
        f"(measured in {time.perf_counter() - started:.0f} s)",
    )


class Speeds(NamedTuple):
    """Pictures per second."""

    drawing: float
    """On one core."""
    training: float
    evaluating: float


def measure_speeds() -> Speeds:
    """How fast this machine does each part of the default training, on one batch."""
    import torch

    from detlab.detector.config import named_config
    from detlab.detector.model import build_detector
    from detlab.detector.postprocess import detect
    from detlab.hardware import choose_device
    from detlab.reef.scene import CLASS_NAMES, TRAIN_SEED, Reef
    from detlab.training.config import TrainConfig
    from detlab.training.loop import fit

    config = TrainConfig()
    reef = Reef(TRAIN_SEED, config.batch_size)
    started = time.perf_counter()
    images = [reef[row][0] for row in range(len(reef))]
    drawn = time.perf_counter()
    detector = build_detector(named_config("course", len(CLASS_NAMES))).to(choose_device())
    steps = list(islice(fit(detector, reef, config), TRIAL_STEPS))
    training = torch.tensor([step["images_per_second"] for step in steps[1:]]).median()
    trained = time.perf_counter()
    detect(detector, images, longest_side=128)
    evaluating = len(images) / (time.perf_counter() - trained)
    return Speeds(len(images) / (drawn - started), float(training), evaluating)
