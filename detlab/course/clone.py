"""A learner's clone of the repository, brought to the newest version by git.

To git a learner's notebooks are changed files, which it would not replace. So they are set aside
first; the new version itself then puts what is in them beside its lessons. Uses update.py.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from detlab.course.lessons import NOTEBOOKS
from detlab.course.restore import committed, dated
from detlab.course.update import AS_SHIPPED, UpdateError
from detlab.files import write_atomically

SECONDS = 600
"""For whatever is fetched or started."""


def update_clone(notebooks: Path = NOTEBOOKS) -> Iterator[str]:
    """Bring a clone to the newest version, and tell what happens.

    Raises:
        UpdateError: it cannot be done; every notebook is as it was, or where the message says.
    """
    check_clone(notebooks)
    if not commits_to_come(notebooks):
        yield "this is the newest version: nothing to do"
        return
    changed = changed_notebooks(notebooks)
    folder = set_aside(changed, notebooks)
    if folder.exists():
        yield f"your notebooks are set aside in {folder}"
    before = git(notebooks, "rev-parse", "HEAD").strip()
    fast_forward(changed, folder, notebooks)
    carry_with_new_code(folder if folder.exists() else notebooks, notebooks)
    if git(notebooks, "diff", "--name-only", before, "HEAD", "--", ":/pyproject.toml"):
        yield "pyproject.toml has changed: run `make lab`, or `pip install -e .` without make"


def git(place: Path, *words: str, advice: str = "") -> str:
    """What git answers.

    Raises:
        UpdateError: there is no git, or it refuses: its own words, and the advice.
    """
    try:
        done = subprocess.run(
            ["git", "-C", str(place), *words], capture_output=True, timeout=SECONDS
        )
    except FileNotFoundError:
        raise UpdateError(
            "git is not installed, and it is what brings new versions. Install it, or get the new"
            " version by other means and run there: detlab update FOLDER_OF_YOUR_NOTEBOOKS"
        ) from None
    except subprocess.TimeoutExpired:
        raise UpdateError(f"`git {words[0]}` took over {SECONDS} seconds; {advice}") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise UpdateError("\n".join(filter(None, [f"git {words[0]}: {said}", advice])))
    return done.stdout.decode(errors="surrogateescape")


def check_clone(notebooks: Path) -> None:
    """See whether the course is a clone of its own.

    Raises:
        UpdateError: it was installed otherwise, or lies within another project.
    """
    advice = (
        f"{notebooks.parent} is no clone of detlab. Install the new version the way you installed"
        " this one, then run: detlab update FOLDER_OF_YOUR_NOTEBOOKS"
    )
    place = notebooks if notebooks.is_dir() else Path(__file__).parent
    root = Path(git(place, "rev-parse", "--show-toplevel", advice=advice).removesuffix("\n"))
    if root.resolve() != notebooks.resolve().parent:
        raise UpdateError(advice)


def commits_to_come(notebooks: Path) -> int:
    """How many commits the newest version has that are not here yet; fetches them.

    Raises:
        UpdateError: no network, no branch that is followed, or commits of the learner's own.
    """
    git(notebooks, "fetch", "--quiet", advice="Nothing was touched. Is there a network?")
    ahead, behind = git(
        *(notebooks, "rev-list", "--left-right", "--count", "HEAD...@{upstream}"),
        advice="Nothing was touched. Go to the branch with new versions first: git switch main",
    ).split()
    if int(ahead) and int(behind):
        raise UpdateError(
            f"{notebooks.parent} has {ahead} commits of its own, and nothing was touched. Clone the"
            f" new version into another folder and run there: detlab update {notebooks}"
        )
    return int(behind)


def changed_notebooks(notebooks: Path) -> list[Path]:
    """The notebooks that differ from the last commit; files that it has not do not count.

    Raises:
        UpdateError: other files differ, too.
    """
    root = notebooks.resolve().parent
    names = git(root, "diff", "--name-only", "-z", "--no-renames", "--diff-filter=a", "HEAD")
    changed = [root / name for name in names.split("\0") if name]
    lessons = [path for path in changed if path.match(f"{notebooks.name}/*.ipynb")]
    others = sorted(str(path.relative_to(root)) for path in {*changed} - {*lessons})
    if others:
        raise UpdateError(
            f"you changed more than notebooks: {', '.join(others)}; nothing was touched. Put these"
            f" away (git stash) or undo them (git checkout FILE) in {root}, and try again"
        )
    return lessons


def set_aside(changed: Sequence[Path], notebooks: Path) -> Path:
    """Copy a learner's notebooks into a folder of their own, each also as it was shipped."""
    folder = dated(notebooks / "kept")
    for path in filter(Path.exists, changed):
        write_atomically(folder / path.name, path.read_bytes())
        write_atomically(folder / AS_SHIPPED / path.name, committed(path).encode())
    return folder


def fast_forward(changed: Sequence[Path], folder: Path, notebooks: Path) -> None:
    """Let git replace what was set aside; where it does not, everything is put back.

    Raises:
        UpdateError: git refuses, in its own words.
    """
    advice = f"Your notebooks are as they were; copies are in {folder}"
    try:
        if changed:
            git(notebooks, "checkout", "--quiet", "HEAD", "--", *map(str, changed), advice=advice)
        git(notebooks, "merge", "--quiet", "--ff-only", "@{upstream}", advice=advice)
    except BaseException:  # Ctrl-C, too
        put_back(changed, folder)
        raise


def put_back(changed: Sequence[Path], folder: Path) -> None:
    """A learner's notebooks as they were: changed, or deleted."""
    for path in changed:
        copy = folder / path.name
        if copy.exists():
            write_atomically(path, copy.read_bytes())
        else:
            path.unlink(missing_ok=True)


def carry_with_new_code(folder: Path, notebooks: Path) -> None:
    """Put own cells beside the new lessons: in a fresh Python, which loads the new version.

    Raises:
        UpdateError: the new version fails, because it wants other packages perhaps.
    """
    command = [sys.executable, "-m", "detlab", "update", str(folder.resolve())]
    advice = f"Run `make lab` (or `pip install -e .`), then: detlab update {folder}"
    try:
        done = subprocess.run(command, cwd=notebooks.parent, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise UpdateError(f"the new version took over {SECONDS} seconds. {advice}") from None
    if done.returncode:
        raise UpdateError(f"the new version is here, but could not do its part. {advice}")
