"""What a learner has answered, solved and finished: one small JSON file in their own data folder.

Uses files.py and locks.py. `DETLAB_PROGRESS` names another file. A file that is damaged or cannot
be written never stops a lesson: what cannot be remembered is said once, in a warning.
"""

import json
import os
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import platformdirs

from detlab.files import to_json, write_atomically
from detlab.locks import locked

Kind = Literal["commits", "exercises", "lessons"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""commits: key to option; exercises: name to date and source; lessons: number to date."""
UNSAVED: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
"""What could not be written: it counts while the kernel lives."""
PATIENCE = 10.0
"""Seconds to wait for another kernel that is writing; it takes milliseconds."""


def progress_file() -> Path:
    """Where progress is kept: `DETLAB_PROGRESS`, or the user's data folder."""
    named = os.environ.get("DETLAB_PROGRESS")
    return Path(named) if named else platformdirs.user_data_path("detlab") / "progress.json"


def read_progress() -> dict[str, dict[str, Any]]:
    """All that is remembered; nothing where there is no file, or one that says nothing."""
    path = progress_file()
    try:
        found = read_file(path)
        if found is None:
            with locked(lock_file(path), PATIENCE):
                found = read_or_set_aside(path)
    except OSError as error:
        warnings.warn(f"{path} cannot be read ({error.strerror}): starting anew", stacklevel=2)
        found = {kind: {} for kind in KINDS}
    return {kind: {**found[kind], **UNSAVED[kind]} for kind in KINDS}


def lock_file(path: Path) -> Path:
    """What a kernel holds while it changes the progress file."""
    return path.with_name(path.name + ".lock")


def read_or_set_aside(path: Path) -> dict[str, dict[str, Any]]:
    """All that stands in the file; a damaged one is kept under another name, and that is said.

    For whoever holds the lock: else it could set aside what another kernel has just written.

    Raises:
        OSError: it is there, and cannot be read.
    """
    found = read_file(path)
    if found is None:
        warnings.warn(f"{path} is damaged: {set_aside(path)}", stacklevel=3)
        return {kind: {} for kind in KINDS}
    return found


def read_file(path: Path) -> dict[str, dict[str, Any]] | None:
    """All that stands in the file, whatever a later version has added to it; None if damaged.

    Raises:
        OSError: it is there, and cannot be read.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {**found, **{kind: {**found.get(kind, {})} for kind in KINDS}}
    except FileNotFoundError:
        return {kind: {} for kind in KINDS}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None


def set_aside(path: Path) -> str:
    """Rename a damaged file, so that the next thing remembered does not write over it."""
    kept = path.with_suffix(f".damaged-{datetime.now(UTC):%Y%m%d-%H%M%S}.json")
    try:
        path.replace(kept)
    except OSError:
        return "starting anew; it stays where it is"
    return f"kept as {kept.name}; starting anew"


def remember(kind: Kind, key: str, value: Any) -> None:
    """Write one thing down, and what has waited for that; the file is whole before and after.

    Kernels that write at the same time wait for one another, so each finds what the others wrote.
    """
    UNSAVED[kind][key] = value
    path = progress_file()
    try:
        with locked(lock_file(path), PATIENCE):
            found = read_or_set_aside(path)
            found |= {kind: {**found[kind], **UNSAVED[kind]} for kind in KINDS}
            write_atomically(path, to_json(found, indent=1).encode())
    except OSError as error:
        warnings.warn(
            f"{path} cannot be written ({error.strerror}): {key} counts while the kernel lives",
            stacklevel=2,
        )
        return
    for waiting in UNSAVED.values():
        waiting.clear()


def today() -> str:
    """The date as the file holds it."""
    return f"{datetime.now().astimezone():%Y-%m-%d}"
