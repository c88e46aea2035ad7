"""The doctor sees what is there and what is not, and names the command that fixes it."""

import importlib.metadata
import os
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch

from detlab.cli import doctor
from detlab.cli.doctor import (
    INSTALL,
    Check,
    Speeds,
    check_course,
    check_devices,
    check_memory,
    check_package,
    check_packages,
    check_python,
    examine,
    expect_training,
    is_new_enough,
    measure_speeds,
)

ROOT = Path(__file__).parents[2]


def test_a_whole_machine_is_told_from_python_to_pictures_per_second(monkeypatch):
    monkeypatch.setattr(doctor, "measure_speeds", lambda: Speeds(200.0, 100.0, 300.0))
    checks = list(examine())
    names = [check.name for check in checks]
    assert (names[0], names[-2:]) == ("Python", ["free memory", "default training"])
    assert {"torch", "torchvision", "jupyterlab", "processor", "trains on"} <= set(names)
    versions = {check.name: check.value for check in checks}
    assert torch.__version__.startswith(versions["torch"])


def test_every_dependency_is_looked_at_and_no_other(monkeypatch):
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    for_developers = 'no-such-tool>=2; extra == "dev"'
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: [*listed, for_developers])
    checks = list(check_packages())
    assert len(checks) == len(listed)
    assert all(check.remedy is None for check in checks)


COURSE = ["jupyterlab>=4; extra == 'course'", 'nbformat >=999 ; extra == "course"']


def test_the_course_is_looked_at_where_jupyterlab_is_installed(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: ["numpy", *COURSE])
    lab, format_ = check_course()
    assert (lab.name, lab.remedy) == ("jupyterlab", None)
    assert (format_.name, format_.remedy) == ("nbformat", f'{INSTALL} "nbformat >=999"')


def test_the_package_alone_is_whole_without_the_course(monkeypatch):
    real = importlib.metadata.version

    def version(name):
        if name == "jupyterlab":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "requires", lambda _: COURSE)
    monkeypatch.setattr(importlib.metadata, "version", version)
    [course] = check_course()
    assert course.remedy is None
    assert course.value == f'not installed; for lessons and labs: {INSTALL} "detlab[course]"'


def test_nothing_more_is_asked_where_a_package_is_missing(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: ["no-such-package>=2"])
    python, package = examine()
    assert (python.name, package.name) == ("Python", "no-such-package")
    assert package.remedy == f'{INSTALL} "no-such-package>=2"'


def test_a_clone_that_is_not_installed_is_told(monkeypatch):
    def unknown(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", unknown)
    assert [check.remedy for check in check_packages()] == [f"{INSTALL} --editable ."]


@pytest.mark.parametrize(("version", "good"), [((3, 10), False), ((3, 11), True), ((4, 0), True)])
def test_python_is_new_enough_or_not(version, good):
    assert (check_python(version).remedy is None) == good


@pytest.mark.parametrize(
    ("requirement", "good"),
    [("numpy>=1", True), ("numpy", True), ("numpy>=999", False), ("numpy<1,>=0.1", False)],
)
def test_a_package_is_new_enough_or_not(requirement, good):
    check = check_package(requirement)
    assert (check.name, check.value) == ("numpy", importlib.metadata.version("numpy"))
    assert check.remedy == (None if good else f'{INSTALL} "{requirement}"')


def test_a_version_before_a_release_counts(monkeypatch):
    assert is_new_enough("2.14.1+cu130", "torch>=2.5")
    assert is_new_enough("3.0.0rc1", "torch>=2.5")
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    assert is_new_enough("1.0", "torch>=2.5")  # nobody can tell


@pytest.mark.parametrize(("free", "good"), [(1.9e9, False), (2.0e9, True)])
def test_memory_is_enough_or_not(monkeypatch, free, good):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    assert (check_memory().remedy is None) == good
    assert check_memory().value == f"{free / 1e9:.1f} GB"


def test_devices_are_those_of_torch():
    checks = list(check_devices())
    assert f"{torch.get_num_threads()} threads" in checks[0].value
    assert len(checks) == 2 + torch.cuda.device_count()
    assert checks[-1].value.startswith("cuda" if torch.cuda.is_available() else ("cpu", "mps"))


def test_the_expected_training_is_minutes_and_pictures(monkeypatch):
    monkeypatch.setattr(doctor, "measure_speeds", lambda: Speeds(200.0, 100.0, 300.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    check = expect_training()
    assert check.value.startswith(
        "5.2 minutes: 10 s to draw, 300 s to learn from 30000 pictures (100 a second), "
        "4 s to evaluate (measured in "
    )
    assert check.remedy is None


def test_the_speeds_are_measured_on_the_default_training(monkeypatch):
    """A machine that takes a second for everything that it does with a batch of 16."""
    steps = [{"images_per_second": speed} for speed in (1.0, 50.0, 70.0, 60.0)]
    monkeypatch.setattr("detlab.training.loop.fit", lambda *_: iter(steps))
    monkeypatch.setattr("detlab.detector.postprocess.detect", lambda *_, **__: None)
    clock = iter([0.0, 2.0, 2.0, 6.0])
    monkeypatch.setattr(doctor.time, "perf_counter", lambda: next(clock))
    assert measure_speeds() == Speeds(drawing=8.0, training=60.0, evaluating=4.0)


def test_the_speeds_of_this_machine_are_those_of_a_machine():
    assert min(measure_speeds()) > 0


def test_what_is_wrong_stands_out():
    assert str(Check("torch", "2.5")) == "ok  torch              2.5"
    assert str(Check("torch", "missing", "get it")) == ("FIX torch              missing   → get it")
