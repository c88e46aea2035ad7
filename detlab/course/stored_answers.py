"""A learner's function outside its lesson: from its text, with our defaults, fit to learn through.

Follows progress.py, which keeps the text of each function that passed.
"""

import ast
import inspect
import linecache
import math
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from detlab import boxes, classify, types
from detlab.course import exercises
from detlab.course.exercises.call import call, first_line
from detlab.course.exercises.exercise import Exercise
from detlab.course.moved import translate
from detlab.detector import (
    anchors,
    box_losses,
    losses,
    matching,
    model,
    postprocess,
    suppression,
)
from detlab.training import anchor_fit

Function = Callable[..., Any]
LIBRARY = (
    *(types, boxes, anchors, matching, classify, box_losses, losses, model),
    *(suppression, postprocess, anchor_fit),
)
"""Modules whose names a rebuilt function may use."""


def rebuild(kept: Mapping[str, Any]) -> Iterator[tuple[str, Function | str]]:
    """Functions from their texts, by exercise; where that fails, the reason in its place.

    All share one space of names, so that one may call another by the name it had in its lesson.
    """
    names = library()
    for exercise, record in kept.items():
        source = record.get("source", "") if isinstance(record, Mapping) else ""
        try:
            yield exercise, define(translate(source), f"<{exercise}, as it passed>", names)
        except Exception as error:
            yield exercise, f"yours no longer runs: {type(error).__name__}: {first_line(error)}"


def library() -> dict[str, Any]:
    """What a notebook has at hand: torch, the package's functions and modules."""
    names: dict[str, Any] = {}
    for module in LIBRARY:
        names |= {key: value for key, value in vars(module).items() if not key.startswith("__")}
    modules = {module.__name__.rpartition(".")[2]: module for module in LIBRARY}
    torchs = {"torch": torch, "torchvision": torchvision, "Tensor": Tensor, "nn": nn, "F": F}
    return {**names, **modules, **torchs, "math": math, "exercises": exercises}


def define(source: str, file_name: str, names: dict[str, Any]) -> Function:
    """Run the text of one function among these names.

    Raises:
        ValueError: there is no function in the text.
    """
    functions = [part for part in ast.parse(source).body if isinstance(part, ast.FunctionDef)]
    if not functions:
        raise ValueError("its text was not kept; run its check again")
    linecache.cache[file_name] = (len(source), None, source.splitlines(True), file_name)
    exec(compile(source, file_name, "exec", dont_inherit=True), names)
    function: Function = names[functions[0].name]
    return function


def positions(function: Function) -> int | float:
    """How many arguments a function takes by position.

    >>> positions(lambda boxes, scores: None)
    2
    """
    kinds = [parameter.kind for parameter in inspect.signature(function).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return math.inf
    named = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    return sum(kind in named for kind in kinds)


def by_position(mine: Function, reference: Function) -> Function:
    """A learner's function, called as its check did: by position, so its names are its own.

    It gets the package's defaults too, as many as it has arguments for.

    Raises:
        ValueError: a setting that it has no argument for, and that is not the default.
    """
    ours, room = inspect.signature(reference), positions(mine)

    @wraps(mine)
    def called(*arguments: Any, **settings: Any) -> Any:
        bound = ours.bind(*arguments, **settings)
        bound.apply_defaults()
        values = bound.arguments
        for lost in list(values)[int(min(room, len(values))) :]:
            if values[lost] != ours.parameters[lost].default:
                name = reference.__name__
                raise ValueError(f"your {name} takes no {lost}, but it is to be {values[lost]}")
            del values[lost]
        return mine(*values.values())

    return called


def lets_gradients_through(mine: Function, exercise: Exercise) -> bool:
    """Does the answer remember what it was made from, wherever the package's does?"""
    for arguments in exercise.cases.values():
        ready = with_gradients(arguments)
        wanted, got = call(exercise.reference, ready), call(mine, ready)
        if can_learn(wanted.answer) and not can_learn(got.answer):
            return False
    return True


def with_gradients(value: Any) -> Any:
    """The same arguments, every float tensor in them ready for a gradient."""
    if isinstance(value, Tensor):
        return value.clone().requires_grad_(value.is_floating_point())
    if isinstance(value, tuple):
        inner = [with_gradients(part) for part in value]
        return type(value)(*inner) if hasattr(value, "_fields") else tuple(inner)
    return value


def can_learn(answer: Any) -> bool:
    """Is there a gradient to follow from an answer?

    >>> can_learn({"total": torch.zeros(1, requires_grad=True)}), can_learn(torch.zeros(1))
    (True, False)
    """
    if isinstance(answer, Mapping):
        return all(map(can_learn, answer.values()))
    return isinstance(answer, Tensor) and answer.requires_grad
