"""Which split a picture belongs to: by a list, or by the folder that it lies in.

Uses tree.py.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from detlab.data.records import DataError, Fault, Note, first_few, read_text
from detlab.data.tree import KINDS, Names, Tree, composed, our_split

UNSPLIT = "all"
"""The name of the only split of a folder that has none."""

WHOLE = ("all", "default", "trainval")
"""Names for a list of everything: CVAT's of a task without subsets, VOC's of train and val."""

BESIDE = {"obj", "set"}
"""What may stand beside the split in a folder's name: darknet's obj_train_data, test_set."""

ORDER = ("train", "val", "test")

Place = TypeVar("Place")


def split_in(words: str, others: Iterable[str] | None = None) -> str | None:
    """The split that a longer name speaks of, None where it speaks of none or of several.

    Args:
        words: a name, as "instances_train2017" or "train_images".
        others: what else may stand in it; None: anything.

    >>> split_in("instances_train2017"), split_in("test_kits", KINDS)
    ('train', None)
    """
    parts = [part for part in re.split(r"[\W_]+", words.lower()) if part]
    found = {split for part in parts if (split := our_split(part))}
    rest = [part for part in parts if not our_split(part) and not part.isdigit()]
    if len(found) != 1 or (others is not None and set(rest) - {*others, *BESIDE}):
        return None
    return found.pop()


def split_of_folder(folders: Sequence[str]) -> str | None:
    """The split that the folders of a file speak of, the innermost first.

    >>> split_of_folder(("test", "train2017", "day1")), split_of_folder(("images", "day1"))
    ('train', None)
    """
    named = (split_in(folder, KINDS) for folder in reversed(folders))
    return next((split for split in named if split), None)


def by_folder(paths: Iterable[Path], tree: Tree) -> dict[str, list[Path]]:
    """Files by the split that their folders name; where none does, all are UNSPLIT.

    Where some do, the others are in no split. Where none is called as a split alone, a longer name
    will do, if every file has one: train_cam1, train_cam2 and test_cam1.

    Raises:
        DataError: two folders are the same split.
    """
    paths = list(paths)
    if longer := by_longer_names(paths, tree):
        return longer
    found: dict[str, list[Path]] = {}
    words: dict[str, set[str]] = {}
    for path in paths:
        folders = tree.parts(path)[:-1]
        split = split_of_folder(folders) or UNSPLIT
        found.setdefault(split, []).append(path)
        called = [word.lower() for word in folders if split_in(word, KINDS) == split]
        words.setdefault(split, set()).update(called[-1:])
    for split, named in words.items():
        stems = {
            re.sub(r"(images|labels|annotations|data|obj|set|[\W_])", "", word) for word in named
        }
        if len(stems) > 1:
            raise DataError(
                f"{tree.root}: {' and '.join(sorted(named))}: want one of them as the {split} split"
            )
    if len(found) > 1:
        found.pop(UNSPLIT, None)
    return in_order(found)


def by_longer_names(paths: Sequence[Path], tree: Tree) -> dict[str, list[Path]]:
    """Files by the split words in their folders' names; {} unless each has one.

    Args:
        paths: the files.
        tree: where they lie; nowhere a folder is called as a split alone.
    """
    found: dict[str, list[Path]] = {}
    for path in paths:
        folders = tree.parts(path)[:-1]
        split = next((split for word in reversed(folders) if (split := split_in(word))), None)
        if split is None or split_of_folder(folders):
            return {}
        found.setdefault(split, []).append(path)
    return in_order(found) if "train" in found and len(found) > 1 else {}


def not_taken(paths: Iterable[Path], tree: Tree, splits: Iterable[str]) -> list[Note]:
    """A note for each folder that could be meant as a split, or as a fold, and is none of them.

    Args:
        paths: the pictures.
        tree: where they lie.
        splits: what was found.
    """
    known = set(splits)
    words = sorted({word for path in paths for word in tree.parts(path)[:-1]})
    unknown = [word for word in words if split_in(word) not in {None, *known}]
    folds = [word for word in words if re.fullmatch(r"folds?[\W_]*\d+", word.lower())]
    what = "folders are called like a split or a fold, and are not taken for one"
    return [Note(what, word) for word in unknown + (folds if UNSPLIT in known else [])]


def in_order(splits: Mapping[str, Place]) -> dict[str, Place]:
    """Train, val, test, then what has other names."""
    known = [split for split in ORDER if split in splits]
    return {split: splits[split] for split in (*known, *sorted(set(splits) - set(ORDER)))}


def named_lists(lists: Iterable[Path]) -> tuple[dict[str, Path], list[Note]]:
    """The list of each split among text files with a picture a line; the others are noted.

    Lists called train and val come before those with a longer name (2007_train, val_list), and
    those before trainval; a list of all is UNSPLIT. Where no name is that of a split, each list is
    one by its own name: folds, for instance.

    Raises:
        DataError: two lists of one split.
    """
    lists = sorted(lists)
    found = one_of_each(lists, our_split)
    found |= one_of_each([path for path in lists if split_in(path.stem) not in found], split_in)
    whole = [path for path in lists if is_whole(path)]
    if whole and not {"train", "val"} & set(found):
        found["train" if found else UNSPLIT] = whole[0]
    found = found or {path.stem: path for path in lists}
    used = set(found.values())
    return found, [Note("lists are not used", path.name) for path in lists if path not in used]


def one_of_each(lists: Iterable[Path], split_of: Callable[[str], str | None]) -> dict[str, Path]:
    """The list of each split that the names of lists say.

    Raises:
        DataError: two lists of one split.
    """
    found: dict[str, Path] = {}
    for path in lists:
        split = split_of(path.stem)
        if split and found.setdefault(split, path) != path:
            raise DataError(f"{found[split]} and {path}: want one of them as the {split} split")
    return found


def is_whole(path: Path) -> bool:
    """Whether a list is called one of everything, maybe with a year behind."""
    return path.stem.lower().rstrip("0123456789") in WHOLE


def read_list(path: Path) -> list[str]:
    """The lines of a list that are not empty."""
    return [composed(line.strip()) for line in read_text(path).splitlines() if line.strip()]


def files_listed(
    path: Path, lines: Sequence[str], names: Names, what: str, near: Sequence[Path] = ()
) -> tuple[list[Path], list[Fault]]:
    """The files that a list names, and a fault for each line that does not name one more.

    Args:
        path: the list.
        lines: what stands in it, see `read_list`.
        names: the files that it may name.
        what: what they are, for the faults: "picture".
        near: of several files with one name those in one of these folders are meant.
    """
    found: dict[Path, None] = {}
    faults = []
    for line in lines:
        meant = names.meant_by(line, near)
        if len(meant) == 1 and meant[0] not in found:
            found[meant[0]] = None
            continue
        wrong = "stands there more than once" if meant else f"no {what} of this name"
        if len(meant) > 1:
            wrong = f"could be {first_few(list(map(str, meant)))}"
        faults.append(Fault(path, line[:80], wrong))
    return list(found), faults
