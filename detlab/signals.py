"""Being asked to stop: Ctrl-C, a scheduler's SIGTERM, the SIGHUP of a terminal that was closed.

Each of them becomes a KeyboardInterrupt that knows its signal: at once, or where work must not be
torn, after the step in hand.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

STOPPING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Windows has no SIGHUP."""


class Stopped(KeyboardInterrupt):
    """A signal asked this program to stop."""

    def __init__(self, number: int, message: str = "") -> None:
        name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        super().__init__(message or f"stopped by {name}")
        self.number = number


@dataclass
class Asked:
    """Whether this program was asked to stop, and what it does then."""

    number: int = 0
    """The signal; 0 where there was none."""
    first_stops: bool = True
    """The first signal raises Stopped; else it is only noted here."""
    next_stops: bool = True
    """So does the next one, for whoever does not want to wait."""

    def hear(self, number: int) -> None:
        """Note a signal, and raise Stopped where that is wanted."""
        stops = self.next_stops if self.number else self.first_stops
        self.number = self.number or number
        if stops:
            raise Stopped(number)

    @contextmanager
    def nothing_to_lose(self) -> Iterator[None]:
        """While the block runs, each signal raises Stopped, for all is saved."""
        before = self.first_stops, self.next_stops
        self.first_stops = self.next_stops = True
        try:
            yield
        finally:
            self.first_stops, self.next_stops = before


@contextmanager
def heard(first_stops: bool = True, next_stops: bool = True) -> Iterator[Asked]:
    """Hear the signals that ask this program to stop, while the block runs.

    SIGHUP and SIGTERM stay ignored where they are, as nohup has it. A forked worker takes them all
    as if there were no block. Only a program's first thread hears signals.
    """
    asked, owner = Asked(0, first_stops, next_stops), os.getpid()

    def hear(number: int, _: Any) -> None:
        if os.getpid() == owner:
            return asked.hear(number)
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    before = {}
    try:
        for number in STOPPING if threading.current_thread() is threading.main_thread() else ():
            if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, hear)
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
