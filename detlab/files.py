"""Files that are whole or not there, and JSON that every program can read.

Whatever the package writes goes through here.
"""

import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent
INSIDE = PACKAGE / "_shipped"
"""Where an installed package keeps its data and notebooks; a clone has them beside the package."""


def shipped_path(relative: str) -> Path:
    """The path of something that comes with detlab, in an installed package or in a clone.

    >>> shipped_path("data/reef_val").name
    'reef_val'
    """
    return (INSIDE if INSIDE.is_dir() else PACKAGE.parent) / relative


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside the goal, then rename: readers see the old file or the new one, whole.

    Raises:
        OSError: no permission, no space; names the goal, and nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path):
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o666 & ~_umask())
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise


def remove_unfinished(path: Path) -> None:
    """Remove what `write_atomically` left beside its goal where it was killed."""
    for leftover in path.parent.glob(f".{path.name}.*"):
        leftover.unlink()


@contextmanager
def whole_folder(goal: Path) -> Iterator[Path]:
    """A new folder to fill, which becomes the goal when the block ends; if it fails, none is left.

    The goal is absolute, and absent or an empty folder; folders above it are made.

    Raises:
        OSError: no permission, no space; names the goal.
    """
    above = next(folder for folder in goal.parents if folder.is_dir())
    with naming(goal):
        folder = Path(tempfile.mkdtemp(dir=above, prefix=f".{goal.name}."))
        try:
            yield folder
            os.chmod(folder, 0o777 & ~_umask())
            goal.parent.mkdir(parents=True, exist_ok=True)
            if goal.is_dir():
                goal.rmdir()  # empty: Windows renames to no name that is taken
            os.replace(folder, goal)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def append_line(path: Path, line: str) -> None:
    """Add a line to a text file; one that was cut short before (disk full) lacks its line end.

    Raises:
        OSError: no permission, no space; names the file.
    """
    with naming(path), path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the disk name the file that was meant: "disk full" alone does not."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def to_json(value: Any, indent: int | None = None) -> str:
    """Numbers, texts, lists and dicts as JSON; NaN and infinity, which JSON lacks, become null.

    >>> to_json({"AP": 0.5, "AP_small": math.nan})
    '{"AP": 0.5, "AP_small": null}'
    """
    return json.dumps(finite(value), indent=indent, allow_nan=False)


def finite(value: Any) -> Any:
    """The same nest of lists and dicts with None where a number was NaN or infinite.

    >>> finite({"a": [1.0, math.inf]})
    {'a': [1.0, None]}
    """
    if isinstance(value, Mapping):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
