"""Every file of a folder, looked at once: pictures, annotations, and what must not be opened.

Uses pictures.py. The readers of formats ask here for files, and for the picture that is meant by
a name that another machine wrote.
"""

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import takewhile
from pathlib import Path, PurePosixPath

from detlab.data.pictures import SUFFIXES
from detlab.data.records import Note

WORDS = {
    **{"train": "train", "training": "train", "trainset": "train"},
    **{"val": "val", "valid": "val", "validation": "val", "valset": "val", "dev": "val"},
    **{"eval": "val", "test": "test", "testing": "test", "testset": "test"},
}
"""Names that folders and lists use for a split, maybe with a year behind (train2017), and ours."""
KINDS = frozenset(
    (
        *("images", "image", "imgs", "img", "jpegimages", "pictures", "pics", "photos", "data"),
        *("labels", "label", "annotations", "annotation", "anns", "ann"),
        *("xml", "xmls", "json", "jsons", "txt", "coco", "voc", "yolo"),
    )
)
"""Folders named so say what kind of file lies in them, nothing of the pictures."""

ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".rar", ".7z")
"""Endings of files that may hold a part of a data set, not yet unpacked."""

Key = tuple[tuple[str, ...], str]
"""The folders of a file that are no KINDS, and its stem: a picture and its labels share it."""


class Tree:
    """The files below one or more folders; hidden ones are left out.

    Attributes:
        root: the folder that was asked for.
        files: every regular file, links to them too, in order.
        notes: what is there and is not read.
    """

    def __init__(self, root: Path, *others: Path) -> None:
        """Walk through all folders; links to folders are followed, each folder is seen once."""
        self.root, self.roots = root, (root, *others)
        found = sorted({path for place in self.roots for path in walk(place)})
        self.files = [path for path in found if path.is_file()]
        odd = "what is no regular file, or a link to nothing, is left out"
        self.notes = [Note(odd, self.name(path)) for path in found if not path.is_file()]
        links = [path for path in self.files if path.is_symlink()]
        self.notes += [Note("links are followed", self.name(path)) for path in links]
        self.notes += [Note("archives are not unpacked, and not read", n) for n in self.archives]

    @cached_property
    def archives(self) -> list[str]:
        """The archives in the folder, as seen from the root."""
        return [self.name(path) for path in self.ending(*ARCHIVES)]

    def ending(self, *suffixes: str) -> list[Path]:
        """The files whose names end so, upper or lower case."""
        return [path for path in self.files if path.suffix.lower() in suffixes]

    @cached_property
    def pictures(self) -> list[Path]:
        """All files with a picture's name."""
        return self.ending(*SUFFIXES)

    def parts(self, path: Path) -> tuple[str, ...]:
        """The folders of a file below the root, and its name."""
        root = next(place for place in self.roots if place in path.parents)
        return path.relative_to(root).parts

    @cached_property
    def wrapping(self) -> int:
        """How many folders, counted from the root, hold every file: they tell none from another."""
        return common_start([self.parts(path)[:-1] for path in self.files])

    def own_folders(self, path: Path) -> list[str]:
        """The folders that tell a picture from others of its name, upper or lower case."""
        return own_words(map(folded, self.parts(path)[self.wrapping : -1]))

    def name(self, path: Path) -> str:
        """A file as seen from the root: "train/images/a.jpg"."""
        return "/".join(self.parts(path))

    def below(self, place: Path) -> list[Path]:
        """The pictures in a folder, or in folders of it, however either is written."""
        folders = {path.parent for path in self.pictures}
        inside = {
            folder for folder in folders if place in (here := folder.resolve(), *here.parents)
        }
        return [path for path in self.pictures if path.parent in inside]

    def key(self, path: Path) -> Key:
        """What a picture and its labels have in common.

        >>> tree = Tree(Path("set"))
        >>> tree.key(Path("set/images/train/p1.jpg")) == tree.key(Path("set/train/labels/p1.txt"))
        True
        """
        *folders, _ = map(composed, self.parts(path))
        own = tuple(word for word in folders if word.lower() not in KINDS)
        return own, composed(path.stem)


class Places:
    """Files by what they share with their partners: labels for pictures, pictures for labels."""

    def __init__(self, paths: Iterable[Path], partners: Iterable[Path], tree: Tree) -> None:
        """Sort the files by their keys, those without a partner of the same key by their stems."""
        self.tree = tree
        taken = set(map(tree.key, partners))
        self.by_key: dict[Key, list[Path]] = {}
        self.by_stem: dict[str, list[Path]] = {}
        for path in paths:
            key = tree.key(path)
            self.by_key.setdefault(key, []).append(path)
            if key not in taken:
                self.by_stem.setdefault(key[1].casefold(), []).append(path)

    def like(self, path: Path) -> list[Path]:
        """The files in this one's place and of its stem; else those of its stem without a partner.

        Args:
            path: one of the partners.
        """
        key = self.tree.key(path)
        return self.by_key.get(key) or self.by_stem.get(key[1].casefold(), [])


class Names:
    """Pictures by the names that annotation files give them."""

    def __init__(self, pictures: Iterable[Path], tree: Tree | None = None) -> None:
        """Sort the pictures by their file names, upper or lower case.

        Args:
            pictures: what names may mean.
            tree: where they lie; a name that stands in another folder of it means none of them.
        """
        self.tree = tree
        self.by_name: dict[str, list[Path]] = {}
        for path in pictures:
            self.by_name.setdefault(folded(path.name), []).append(path)

    def meant_by(self, name: str, near: Sequence[Path] = ()) -> list[Path]:
        r"""The pictures whose path ends as `name` does, for as many folders as possible.

        Of several, those that are written alike, upper and lower case; then those in the first of
        the folders `near` that has one. `name` may come from another system (``images\a.jpg``) or
        another machine (`/home/me/set/a.jpg`).
        """
        wanted = [folded(part) for part in PurePosixPath(name.replace("\\", "/")).parts]
        found = self.by_name.get(wanted[-1], []) if wanted else []
        found = [path for path in found if self.in_its_folder(path, wanted[:-1])]
        common = [shared_end(wanted, path) for path in found]
        most = max(common, default=0)
        found = [path for path, count in zip(found, common, strict=True) if count == most]
        last = composed(name.replace("\\", "/").rpartition("/")[2])
        found = [path for path in found if composed(path.name) == last] or found
        for folder in near:
            if inside := [path for path in found if folder in path.parents]:
                return inside
        return found

    def in_its_folder(self, path: Path, wanted: Sequence[str]) -> bool:
        """Whether a picture can be the one named: `cam1/0.jpg` is not `cam2/0.jpg`.

        Either may have more folders in front. Where the name is another machine's, these may
        differ, too, if a folder behind them is the same. Pictures may have been moved into the
        folders of splits, of which the name does not speak.
        """
        if self.tree is None or not wanted:
            return True
        theirs, ours = own_words(wanted), self.tree.own_folders(path)
        if not any(map(our_split, theirs)):
            ours = [word for word in ours if not our_split(word)]
        same = common_start([theirs[::-1], ours[::-1]])
        moved = wanted[0] == "/" or wanted[0].endswith(":") or ".." in wanted
        return same in (len(theirs), len(ours)) or (moved and same > 0)


def common_start(rows: Iterable[Sequence[str]]) -> int:
    """How many words all rows begin with.

    >>> common_start([("a", "b", "c"), ("a", "b"), ("a", "x")])
    1
    """
    return sum(1 for _ in takewhile(lambda words: len(set(words)) == 1, zip(*rows, strict=False)))


def our_split(word: str) -> str | None:
    """Our name for a folder's word for a split.

    >>> our_split("Valid"), our_split("train2017"), our_split("dev_2"), our_split("fold1")
    ('val', 'train', 'val', None)
    """
    return WORDS.get(re.sub(r"[\W_]*\d*$", "", word.lower()))


def own_words(folders: Iterable[str]) -> list[str]:
    """The folders of a path that tell its pictures from others, without KINDS, drives and `..`.

    >>> own_words(["/", "home", "images", "..", "cam1"])
    ['home', 'cam1']
    """
    return [word for word in folders if word not in {*KINDS, "/", ".."} and not word.endswith(":")]


def shared_end(wanted: Sequence[str], path: Path) -> int:
    """In how many parts, counted from the file name, a path ends as is wanted."""
    parts = [folded(part) for part in path.parts[-len(wanted) :]]
    for count, (one, other) in enumerate(zip(reversed(wanted), reversed(parts), strict=False)):
        if one != other:
            return count
    return min(len(wanted), len(parts))


def is_elsewhere(name: str) -> bool:
    r"""Whether a picture's name is another machine's or system's, or leads out of its folder.

    >>> [is_elsewhere(name) for name in ("a/b.jpg", "/home/me/b.jpg", "../b.jpg", "a\\b.jpg")]
    [False, True, True, True]
    """
    parts = name.split("/")
    return "\\" in name or name.startswith("/") or ".." in parts


def composed(text: str) -> str:
    """One form for letters with accents, which a Mac takes apart: "é" as one character."""
    return unicodedata.normalize("NFC", text)


def folded(text: str) -> str:
    """The same for upper and lower case, too."""
    return composed(text).casefold()


def walk(folder: Path) -> Iterator[Path]:
    """All files below a folder; what hides (".x") and what a Mac packs along is left out."""
    seen: set[tuple[int, int]] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        here = os.stat(place)
        if (here.st_dev, here.st_ino) in seen:  # a link back up
            folders.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        folders[:] = sorted(name for name in folders if not left_out(name))
        yield from (Path(place, name) for name in names if not left_out(name))


def left_out(name: str) -> bool:
    """Whether a file or folder is a program's own, and no part of a data set."""
    return name.startswith(".") or name == "__MACOSX"
