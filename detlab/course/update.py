"""The lessons of this version in place of earlier ones, with what a learner wrote in those.

Whatever stood in the place of a new lesson is kept whole. Progress is kept elsewhere and needs no
carrying: `progress_lines` says how much of it still holds. Uses own_cells.py and restore.py.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from nbformat import NotebookNode

from detlab.course import exercises
from detlab.course.lessons import NOTEBOOKS
from detlab.course.own_cells import (
    NEEDED,
    YOURS,
    OwnCell,
    digests,
    ever_shipped,
    lost_imports,
    not_there_yet,
    own_cells,
    record_shipped,
    with_own_cells,
)
from detlab.course.progress import progress_file, read_progress
from detlab.course.restore import committed, dated, read_source, shipped, texts
from detlab.course.stored_answers import rebuild
from detlab.errors import DetlabError
from detlab.files import write_atomically

AS_SHIPPED = "as-shipped"
"""A folder beside notebooks that were set aside: the same ones before a learner changed them."""


class UpdateError(DetlabError):
    """The course cannot be brought up to date as things are; what a learner wrote is whole."""


class Carried(NamedTuple):
    """What became of one notebook."""

    name: str
    own: int = 0
    """Cells of the learner's own that are in the new lesson."""
    kept: Path | None = None
    """Where the notebook is now that stood in the new one's place."""
    trouble: str = ""

    def __str__(self) -> str:
        """One line.

        >>> print(Carried("02_where_is_it.ipynb", own=1))
        02_where_is_it.ipynb: 1 cell of your own
        """
        cells = "1 cell" if self.own == 1 else f"{self.own or 'no'} cells"
        kept = f"; what stood there is {self.kept}" if self.kept else ""
        return f"{self.name}: {self.trouble or f'{cells} of your own'}{kept}"


def update_from(folder: Path, notebooks: Path = NOTEBOOKS) -> Iterator[str]:
    """Carry a learner's cells over, and tell it lesson by lesson; then what holds of progress.

    Raises:
        UpdateError: as `carry_over`.
    """
    yield from map(str, carry_over(folder, notebooks))
    elsewhere = "" if folder.resolve() == notebooks.resolve() else f"; {folder} is as it was"
    yield f"\nyour cells are tagged {YOURS!r} in the new lessons{elsewhere}"
    yield from progress_lines()


def carry_over(folder: Path, notebooks: Path = NOTEBOOKS) -> Iterator[Carried]:
    """Bring every lesson up to date, with the cells that a learner wrote in an earlier version.

    Args:
        folder: holds the learner's notebooks and stays as it is, unless it is the course's own.
        notebooks: the course's folder, with the sources of its lessons in src/.

    Raises:
        UpdateError: there is no notebook or no source, or the disk refuses.
    """
    theirs = notebooks_in(folder)
    sources = sorted((notebooks / "src").glob("*.py"))
    if not sources:
        raise UpdateError(f"{notebooks / 'src'}: no lessons there; this is no whole copy of detlab")
    kept = dated(notebooks / "kept")
    try:
        for source in sources:
            yield carry_lesson(source.stem, taken(theirs, source.stem), notebooks, kept)
    except OSError as error:
        raise UpdateError(
            f"{error.filename}: {error.strerror}. Your notebooks are whole in {folder}. Make room"
            " or allow writing there, and run the same command again"
        ) from error
    for left in theirs:
        yield Carried(left.name, trouble=f"not a lesson of this version; it stays in {folder}")


def notebooks_in(folder: Path) -> list[Path]:
    """A learner's notebooks, without those that `detlab reset` kept.

    Raises:
        UpdateError: there is none.
    """
    found = [path for path in sorted(folder.glob("*.ipynb")) if ".kept-" not in path.name]
    if not found:
        raise UpdateError(
            f"{folder}: no notebook there; want a folder with yours, as 02_where_is_it.ipynb"
        )
    return found


def number_of(stem: str) -> str:
    """What a lesson keeps when its question changes.

    >>> number_of("02_where_is_it"), number_of("gallery")
    ('02', 'gallery')
    """
    return stem.partition("_")[0]


def taken(theirs: list[Path], stem: str) -> Path | None:
    """A lesson, taken out of a learner's notebooks: by its name, else by its number."""
    same = [path for path in theirs if number_of(path.stem) == number_of(stem)]
    chosen = min(same, key=lambda path: (path.stem != stem, "-Copy" in path.stem), default=None)
    if chosen:
        theirs.remove(chosen)
    return chosen


def carry_lesson(stem: str, old: Path | None, notebooks: Path, kept: Path) -> Carried:
    """Bring one lesson up to date; own cells come from its place, and from an old notebook.

    Args:
        stem: the name of the lesson now, without an ending.
        old: the learner's notebook of an earlier version.
        notebooks: the course's folder.
        kept: the folder for what is replaced.

    Raises:
        OSError: something cannot be read or written; the lesson is as it was.
    """
    place, text = notebooks / f"{stem}.ipynb", shipped(stem, notebooks)
    fresh = nbformat.reads(text, as_version=4)
    there, trouble_there = read_own(place, fresh)
    more, trouble = read_own(old, fresh) if old else ([], "")
    own = [*there, *not_there_yet(more, there)]
    new = with_own_cells(fresh, own)
    replaced = None
    if not holds(place, new):
        replaced = keep(place, kept)
        content = f"{nbformat.writes(new)}\n" if own else text
        write_atomically(place, content.encode("utf-8", "backslashreplace"))
    written = sum(not cell.source.startswith(NEEDED) for _, cell in own)
    return Carried(place.name, written, replaced, trouble or trouble_there)


def read_own(path: Path, fresh: NotebookNode) -> tuple[list[OwnCell], str]:
    """A learner's own cells in a notebook, with the imports they need; or why there are none."""
    if not path.exists():
        return [], ""
    content = path.read_bytes()
    try:
        notebook = nbformat.reads(content.decode(), as_version=4)
        own = own_cells(notebook, fresh, was_shipped(path))
        return [*lost_imports(notebook, own, fresh), *own], ""
    except Exception as error:  # nbformat raises whatever a damaged file makes it stumble on
        why = f"{path} cannot be read ({type(error).__name__}), so nothing of it is in the lesson"
        return [], f"{why}; copy your text out of it with an editor"


def was_shipped(path: Path) -> set[str]:
    """The digests of all cells that a learner's notebook may have from us."""
    before = path.parent / AS_SHIPPED / path.name
    known = ever_shipped(number_of(path.stem))
    return known | digests(nbformat.read(before, as_version=4)) if before.exists() else known


def holds(place: Path, notebook: NotebookNode) -> bool:
    """Whether a file has these cells already; what they have put out does not matter."""
    try:
        return texts(nbformat.read(place, as_version=4)) == texts(notebook)
    except Exception:  # as in read_own
        return False


def keep(place: Path, kept: Path) -> Path | None:
    """Copy a notebook to where it is kept, unless git has it as it stands."""
    if not place.exists() or place.read_bytes() == committed(place).encode():
        return None
    copy = kept / place.name
    write_atomically(copy, place.read_bytes())
    return copy


def record_release(notebooks: Path = NOTEBOOKS) -> None:
    """Add the cells of all lessons, as they are now, to those that were ever shipped."""
    sources = (notebooks / "src").glob("*.py")
    record_shipped({number_of(source.stem): read_source(source) for source in sources})


def progress_lines() -> Iterator[str]:
    """How much is remembered of what a learner did, and which of it no longer holds."""
    progress = read_progress()
    answers, solved, finished = (
        len(progress[kind]) for kind in ("commits", "exercises", "lessons")
    )
    yield (
        f"remembered in {progress_file()}:"
        f" {answers} answers, {solved} exercises, {finished} lessons finished"
    )
    fading = dict(no_longer_right(progress["exercises"]))
    if solved:
        yield f"{solved - len(fading)} of {solved} exercises still pass their checks"
    for name, why in fading.items():
        yield f"    {name}: {why}"


def no_longer_right(kept: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The names of exercises whose answers pass no longer, with the reason."""
    for name, mine in rebuild(kept):
        if name not in exercises.ALL:
            yield name, "no longer part of the course"
        elif isinstance(mine, str):
            yield name, mine
        elif not exercises.ALL[name].grade(mine).passed:
            yield name, f"`exercises.{name}.check(…)` in its lesson says what is wrong now"
