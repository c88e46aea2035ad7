"""How two answers differ, in words: type, shape, dtype, NaN, values.

Answers are tensors, numbers, texts, and lists, tuples or dicts of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

RTOL, ATOL = 1e-4, 1e-5
"""How far two float numbers may differ: another order of the same sum does not matter."""
GLANCE = 12
"""So many numbers are read at a glance; of more that are all the same, one is shown."""


@dataclass(frozen=True)
class Outcome:
    """What became of one call."""

    answer: Any = None
    error: BaseException | None = None
    stopped: bool = False
    """It did not come to an end."""
    changed: tuple[int, ...] = ()
    """Arguments that it changed in place, by position."""
    printed: tuple[str, ...] = field(default=(), compare=False)


def difference(got: Any, wanted: Any, where: str = "") -> str:
    r"""What is not as wanted, in one or two lines; "" if all is.

    >>> difference([1.0], torch.tensor([1.0]))
    'It returned a list; want a tensor.'
    >>> difference(torch.zeros(2, 3), torch.zeros(3, 2))
    'The shape is [2, 3]; want [3, 2].'
    >>> difference(torch.tensor([1, 2]), torch.tensor([1.0, 2.0]))
    'The dtype is int64; want float32.'
    >>> difference(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 3.0]))
    'got  [1.0, 2.0]\nwant [1.0, 3.0]'
    """
    if isinstance(wanted, Mapping | list | tuple):
        return part_difference(got, wanted, where)
    if isinstance(wanted, Tensor) and isinstance(got, Tensor):
        return tensor_difference(got, wanted, where)
    if kind(got) != kind(wanted):
        return f"{where or 'It returned'} {'is ' if where else ''}{kind(got)}; want {kind(wanted)}."
    if isinstance(wanted, float):
        return tensor_difference(torch.tensor(got), torch.tensor(wanted), where)
    return "" if got == wanted else f"{where}got  {show(got)}\n{where}want {show(wanted)}"


def part_difference(got: Any, wanted: Any, where: str) -> str:
    """The first difference between two lists, tuples or dicts."""
    if kind(got) != kind(wanted):
        return f"{where or 'It returned'} {'is ' if where else ''}{kind(got)}; want {kind(wanted)}."
    if isinstance(wanted, Mapping):
        if set(got) != set(wanted):
            return f"{where}the keys are {sorted(map(str, got))}; want {sorted(map(str, wanted))}."
        keys: list[Any] = list(wanted)
    else:
        if len(got) != len(wanted):
            return f"{where}there are {len(got)} items; want {len(wanted)}."
        keys = list(range(len(wanted)))
    parts = (difference(got[key], wanted[key], f"{where}[{key!r}] ") for key in keys)
    return next((part for part in parts if part), "")


def tensor_difference(got: Tensor, wanted: Tensor, where: str) -> str:
    """Shape, dtype, NaN, values: the first that is not as wanted."""
    the = f"{where}the" if where else "The"
    if got.shape != wanted.shape:
        return f"{the} shape is {list(got.shape)}; want {list(wanted.shape)}."
    if got.dtype != wanted.dtype:
        return f"{the} dtype is {name(got.dtype)}; want {name(wanted.dtype)}."
    got, wanted = got.detach(), wanted.detach()
    if got.is_floating_point() and bool((got.isnan() & ~wanted.isnan()).any()):
        first = got.isnan().nonzero()[0].tolist()
        place = f" at {first}" if first else ""
        return f"{the} answer holds NaN{place}; want {show(wanted)}."
    if torch.allclose(got.double(), wanted.double(), RTOL, ATOL, equal_nan=True):
        return ""
    if show(got) != show(wanted):
        return f"{where}got  {show(got)}\n{where}want {show(wanted)}"
    close = torch.isclose(got.double(), wanted.double(), RTOL, ATOL, equal_nan=True)
    spot = tuple((~close).nonzero()[0].tolist())
    numbers = f"got {got[spot].item():.6g}, want {wanted[spot].item():.6g}"
    return f"{where}at {list(spot)}: {numbers}" if spot else f"{where}{numbers}"


def same(got: Any, wanted: Any) -> bool:
    """Are two answers the same, to rounding?"""
    return difference(got, wanted) == ""


def same_outcome(a: Outcome, b: Outcome) -> bool:
    """Did two calls end in the same way: same answer, or same kind of error?"""
    if a.stopped or b.stopped or a.changed != b.changed:
        return a.stopped and b.stopped
    if a.error or b.error:
        return type(a.error) is type(b.error)
    return same(a.answer, b.answer)


def kind(value: Any) -> str:
    """What a value is, with its article.

    >>> kind(3), kind(torch.zeros(1)), kind(None), kind({})
    ('an int', 'a tensor', 'None', 'a dict')
    """
    if value is None:
        return "None"
    if isinstance(value, Tensor):
        return "a tensor"
    if isinstance(value, torch.Size):
        return "a tuple"
    word = type(value).__name__
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def name(dtype: torch.dtype) -> str:
    """A dtype without torch's name before it."""
    return str(dtype).removeprefix("torch.")


def show(value: Any, longest: int = 120) -> str:
    """A value as a learner can read it: four digits, a function's name, cut where it gets long.

    >>> show(torch.tensor([[0.33333, 2.0]])), show(torch.zeros(0, 4)), show({"a": 1.5})
    ('[[0.3333, 2.0]]', 'empty, of shape [0, 4]', '{a: 1.5}')
    >>> show(torch.zeros(3, 480, 640))
    'all 0.0, of shape [3, 480, 640]'
    """
    if isinstance(value, Tensor):
        if value.numel() == 0:
            return f"empty, of shape {list(value.shape)}"
        first = value.detach().flatten()[0]
        if value.numel() > GLANCE and bool((value == first).all()):
            return f"all {rounded(first.item())}, of shape {list(value.shape)}"
        text = str(rounded(value.detach().tolist()))
    elif isinstance(value, Mapping):
        text = "{" + ", ".join(f"{key}: {show(part)}" for key, part in value.items()) + "}"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(show(part) for part in value) + "]"
    elif callable(value):
        text = getattr(value, "__name__", repr(value))
    else:
        text = repr(rounded(value))
    shape = f" (shape {list(value.shape)})" if isinstance(value, Tensor) else ""
    return text if len(text) <= longest else text[:longest] + f" …{shape}"


def rounded(value: Any) -> Any:
    """Floats with four digits, however deep they lie."""
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value
