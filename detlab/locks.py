"""Files that one program at a time may hold, and that say which program it is.

It guards a run's folder and the file of a learner's progress. The system keeps the
lock (flock; on Windows a locked byte) and lets go of it when its program ends, however it ends. The
file itself stays: whoever removed it could take it away from under the next one.
"""

import errno
import os
import platform
import shlex
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

FAR = 2**30
"""The byte that Windows locks: nobody may read a locked one, and the text stands before it."""
PAUSE = 0.01
"""Seconds between two tries."""
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
"""What a disk says that knows no locks, as some network disks do."""
HELD: set[int] = set()
"""File descriptors of this process whose files are locked."""


class AlreadyLocked(OSError):
    """Another program holds the file; `strerror` says which."""


@contextmanager
def locked(path: Path, wait: float = 0.0) -> Iterator[None]:
    """Hold a file while the block runs; it says who holds it, from when on, and nothing after.

    A disk without locks gets a warning, and the block runs unguarded.

    Args:
        path: the file; it is made where it is missing.
        wait: so many seconds for another program to let go of it.

    Raises:
        AlreadyLocked: another program holds it still.
        OSError: the file cannot be opened.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    HELD.add(descriptor)
    try:
        take(descriptor, path, time.monotonic() + wait)
        write(descriptor, this_program())
        try:
            yield
        finally:
            write(descriptor, "")
    finally:
        HELD.discard(descriptor)
        os.close(descriptor)


def take(descriptor: int, path: Path, deadline: float) -> None:
    """Lock an open file; try until the deadline, in seconds of the monotonic clock.

    Raises:
        AlreadyLocked: another program holds it still.
    """
    while True:
        try:
            return lock_now(descriptor)
        except (BlockingIOError, PermissionError):  # how Unix and Windows say that it is held
            if time.monotonic() >= deadline:
                holder = path.read_text(errors="replace") or "a program that has not said its name"
                raise AlreadyLocked(errno.EAGAIN, f"held by {holder}", str(path)) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            return warnings.warn(f"{path}: this disk has no locks: guard it yourself", stacklevel=4)
        time.sleep(PAUSE)


def lock_now(descriptor: int) -> None:
    """Lock an open file, or raise the system's error at once."""
    if sys.platform == "win32":
        os.lseek(descriptor, FAR, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def write(descriptor: int, text: str) -> None:
    """Replace what stands in an open file; on a full disk the lock has no words."""
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, text.encode())


def this_program() -> str:
    """Who this is, for those who find a file locked: process, machine, time, command."""
    now = f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}"
    words = shlex.join(sys.argv)
    return f"process {os.getpid()} on {platform.node()} since {now}: {words}"


def forget_held() -> None:
    """In a forked worker: close what its parent holds, or the lock would live as long as both."""
    for descriptor in HELD:
        os.close(descriptor)
    HELD.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_held)
