"""Whoever calls detlab can catch all that a user can cause by one name."""

import inspect
import pkgutil
from importlib import import_module

import pytest

import detlab
from detlab.detector.checkpoint import load_checkpoint
from detlab.errors import DetlabError

FOR_PROGRAMS = {"TooLong", "Stopped", "Interrupted", "AlreadyLocked"}
"""A check's alarm, two of signals, and one that whoever locks a file turns into words."""


def exception_classes():
    """Every exception that the package defines, by name."""
    modules = [found.name for found in pkgutil.walk_packages(detlab.__path__, "detlab.")]
    for name in modules:
        if not name.endswith("__main__"):
            for thing in vars(import_module(name)).values():
                is_error = inspect.isclass(thing) and issubclass(thing, BaseException)
                if is_error and thing.__module__ == name:
                    yield thing


def test_every_error_for_a_users_eyes_has_the_one_base():
    ours = {error.__name__: error for error in exception_classes()}
    assert {"DataError", "CheckpointError", "RunError", "UsageError", "WeightsError"} < set(ours)
    others = {name for name, error in ours.items() if not issubclass(error, DetlabError)}
    assert others == FOR_PROGRAMS


def test_one_name_catches_a_users_mistake(tmp_path):
    with pytest.raises(detlab.DetlabError, match="no such file"):
        load_checkpoint(tmp_path / "none.safetensors")
    with pytest.raises(detlab.DetlabError, match="no such"):
        detlab.load_dataset(tmp_path / "none")


def test_a_wrong_argument_is_a_plain_value_error():
    with pytest.raises(ValueError, match="above 0") as caught:
        detlab.TrainConfig(learning_rate=-1.0)
    assert not isinstance(caught.value, DetlabError)
