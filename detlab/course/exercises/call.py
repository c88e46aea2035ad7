"""Run a learner's function safely: on copies, with a time limit, keeping what it prints.

Uses compare.py. Whatever goes wrong becomes an `Outcome`, which `explain` puts in two lines.
"""

import contextlib
import copy
import inspect
import io
import signal
import threading
import traceback
import warnings
from _thread import interrupt_main
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from detlab.course.exercises.compare import Outcome, difference, same, show

LIMIT = 10.0
"""Seconds that one call may take."""
MOST_PRINTED = 5
"""Lines of a learner's own print that are shown."""


class TooLong(BaseException):
    """A call went on beyond the limit; no Exception, so that `except Exception` lets it through."""


def call(function: Callable[..., Any], arguments: Sequence[Any]) -> Outcome:
    """Call with copies of the arguments; nothing that the function does escapes."""
    copies = copy.deepcopy(tuple(arguments))
    answer, error, stopped = None, None, False
    with printed_lines() as lines, warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        torch.default_generator.manual_seed(0)  # whoever draws lots draws the same ones
        try:
            with time_limit(LIMIT):
                answer = function(*copies)
        except TooLong:
            stopped = True
        except Exception as raised:
            error = raised
    pairs = zip(arguments, copies, strict=True)
    changed = tuple(place for place, (before, after) in enumerate(pairs) if not same(after, before))
    return Outcome(answer, error, stopped, changed, tuple(lines))


@contextlib.contextmanager
def printed_lines() -> Iterator[list[str]]:
    """Keep the first lines that are printed meanwhile, and count the rest."""
    lines: list[str] = []
    text = FirstLines()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        yield lines
    kept, total = text.getvalue().splitlines(), text.lines
    lines += kept[:MOST_PRINTED]
    if total > MOST_PRINTED:
        lines.append(f"… and {total - MOST_PRINTED} lines more")


class FirstLines(io.StringIO):
    """Remembers the beginning of what is written, however much it is."""

    lines = 0

    def write(self, text: str) -> int:
        """Keep the text unless there is enough already."""
        self.lines += text.count("\n")
        return super().write(text[:10_000]) if self.tell() < 10_000 else len(text)


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TooLong in the main thread after so many seconds; elsewhere there is no limit."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    alarm = Alarm(seconds)
    try:
        yield
        with alarm.ringing:  # either it has rung, or it will not ring any more
            alarm.timer.cancel()
    finally:
        alarm.timer.cancel()
        signal.signal(signal.SIGINT, alarm.before)


class Alarm:
    """A timer that interrupts as Ctrl-C does, which Python understands on every system."""

    def __init__(self, seconds: float) -> None:
        self.rang, self.ringing = threading.Event(), threading.Lock()
        self.before = signal.signal(signal.SIGINT, self.interrupted)
        self.timer = threading.Timer(seconds, self.ring)
        self.timer.daemon = True
        self.timer.start()

    def ring(self) -> None:
        """Interrupt the main thread."""
        with self.ringing:
            self.rang.set()
            interrupt_main(signal.SIGINT)

    def interrupted(self, number: int, frame: Any) -> None:
        """Tell the alarm from the learner's own Ctrl-C."""
        if self.rang.is_set():
            raise TooLong
        if callable(self.before):
            self.before(number, frame)


def not_written(outcome: Outcome) -> bool:
    """Is there nothing yet: `...`, `pass`, or a NotImplementedError?"""
    if isinstance(outcome.error, NotImplementedError):
        return True
    empty = outcome.answer is None or outcome.answer is ...
    return empty and outcome.error is None and not outcome.stopped


def explain(
    outcome: Outcome, wanted: Any, arguments: Sequence[Any], reference: Callable[..., Any]
) -> list[str]:
    """A few lines that say what is not right with one call."""
    lines = [*called_with(arguments, reference)]
    if outcome.stopped:
        lines.append(f"It did not come to an end within {LIMIT:.0f} s. Does a loop ever stop?")
    elif outcome.error is not None:
        lines.append(f"It raised {type(outcome.error).__name__}: {first_line(outcome.error)}")
        lines += failing_line(outcome.error)
    elif message := difference(outcome.answer, wanted):
        lines.append(message)
    else:
        names = list(inspect.signature(reference).parameters)
        changed = ", ".join(names[place] for place in outcome.changed)
        lines.append(f"The answer is right, but {changed} was changed in place: make a new tensor.")
    if outcome.printed:
        lines += ["It printed:", *outcome.printed]
    return lines


def called_with(arguments: Sequence[Any], reference: Callable[..., Any]) -> Iterator[str]:
    """One line for each argument, by its name."""
    names = list(inspect.signature(reference).parameters)
    for name, value in zip(names, arguments, strict=False):
        yield f"  {name} = {show(value)}"


def first_line(error: BaseException) -> str:
    """What an error says, cut short.

    >>> first_line(ValueError("a" * 200))[-4:]
    'aaa…'
    """
    text = (str(error).splitlines() or [""])[0]
    return text if len(text) <= 120 else text[:120] + "…"


def failing_line(error: BaseException) -> list[str]:
    """The learner's own line that raised: the last one in the cell of their function."""
    frames = traceback.extract_tb(error.__traceback__)[1:]  # without the call in this file
    outside = [frame for frame in frames if "site-packages" not in frame.filename]
    own = [frame for frame in outside if frame.filename == outside[0].filename]
    return [f"  in line {own[-1].lineno} of its cell: {own[-1].line}"] if own else []
