"""What to run when a cell of a notebook fails because of the cells before it.

Loaded into every kernel that `detlab lab` starts, and by notebook.py into any other. It imports
nothing heavy: a kernel that was restarted has the advice before it has the course.
"""

import sys
from types import TracebackType
from typing import Any

from IPython.core.getipython import get_ipython

MISSING_NAME = (
    "There is no {name!r}: it is misspelt, or a cell above was not run since the kernel started.\n"
    "In the menu: Run → Run All Above Selected Cell. Then run this cell again."
)
MISSING_PACKAGE = (
    "The package {name!r} is not in this Python. In a terminal: `detlab doctor` says what is\n"
    'missing; `make lab` or `pip install "detlab[course]"` installs it. In the notebook, choose\n'
    "the kernel that belongs to detlab."
)


def advice(error: BaseException) -> str:
    """What to do about an error; "" where there is nothing more to say.

    >>> print(advice(NameError("name 'scene' is not defined", name="scene")))
    There is no 'scene': it is misspelt, or a cell above was not run since the kernel started.
    In the menu: Run → Run All Above Selected Cell. Then run this cell again.
    """
    if isinstance(error, ModuleNotFoundError):
        return MISSING_PACKAGE.format(name=error.name)
    if isinstance(error, NameError) and not isinstance(error, UnboundLocalError):
        return MISSING_NAME.format(name=error.name)
    return ""


def show_error(
    shell: Any,
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType,
    tb_offset: int | None = None,
) -> None:
    """The usual traceback, and the advice after it."""
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
    if words := advice(error):
        print(words, file=sys.stderr)


def give_advice() -> None:
    """From now on, errors in this notebook come with advice; elsewhere nothing happens."""
    if shell := get_ipython():
        shell.set_custom_exc((NameError, ModuleNotFoundError), show_error)


if __name__ == "__main__":  # run by the kernel itself, see `detlab lab`
    give_advice()
