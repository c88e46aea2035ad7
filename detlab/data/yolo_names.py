"""The classes of a YOLO folder, and where its .yaml file says that the splits lie.

Uses records.py and tree.py. How paths are meant is Ultralytics' (8.3, `check_det_dataset`): below
`path:` where that is given, else below the file's own folder; where a path begins with `../` and is
not there, without it, as Roboflow's exports want it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped]

from detlab.data.records import DataError, first_few, quoted, read_json, read_text
from detlab.data.splits import read_list
from detlab.data.tree import Tree, our_split

NAME_FILES = ("classes.txt", "obj.names", "_darknet.labels", "predefined_classes.txt")
"""Where LabelImg and Label Studio, CVAT and darknet, and Roboflow write a name a line."""

DEEPEST = 20
"""Lists within lists: no .yaml of a data set has so many."""


class Words(yaml.BaseLoader):  # type: ignore[misc]
    """Reads YAML as words only, and refuses what stands twice, of which it would take the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """A mapping whose keys differ."""
        keys = Counter(key.value for key, _ in node.value if isinstance(key.value, str))
        twice = next((key for key, count in keys.items() if count > 1), None)
        if twice is not None:
            raise DataError(f"has {quoted(twice)} twice; want it once")
        return super().construct_mapping(node, deep)


class DataYaml(NamedTuple):
    """What a .yaml file says of a data set."""

    path: Path
    names: tuple[str, ...]
    splits: dict[str, list[str]]
    """Ours names of splits, and what the file says of each: folders or lists."""
    base: str
    """`path:`, "" where it says none."""
    key_points: bool
    """Its labels are poses."""
    remark: str = ""
    """What is odd in it."""


def read_yaml(path: Path) -> DataYaml | None:
    """Read a .yaml file with names of classes or places of splits; None for any other.

    All words stay words: `on`, `no` and `1` are names of classes, not truth values and numbers.

    Raises:
        DataError: not YAML, an entry that stands twice, or names that do not count from 0, that
            are no list.
    """
    try:
        content = yaml.load(read_text(path), Loader=Words)
    except DataError as error:
        raise DataError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not YAML: {quoted(str(error))}".replace("\\n", " ")) from error
    if not isinstance(content, dict):
        return None
    places = {our_split(str(key)): value for key, value in content.items()}
    splits = {split: words_of(value) for split, value in places.items() if split}
    names = names_of(content.get("names"), path)
    if not names and not any(splits.values()):
        return None
    base = content.get("path")
    base = base if isinstance(base, str) else ""
    return DataYaml(path, names, splits, base, "kpt_shape" in content, remark_on(names, content))


def remark_on(names: Sequence[str], content: Mapping[str, Any]) -> str:
    """What is odd in a .yaml file that can be read all the same: its `nc`, which nobody needs.

    >>> remark_on(["cat", "dog"], {"nc": "3"})
    'nc says 3 classes, and names has 2, which count'
    """
    count = str(content.get("nc", len(names)))
    if not names or not count.isdigit() or int(count) == len(names):
        return ""
    return f"nc says {count} classes, and names has {len(names)}, which count"


def words_of(value: Any) -> list[str]:
    """One word or a list of words as a list."""
    values = value if isinstance(value, list) else [value]
    return [word for word in values if isinstance(word, str) and word.strip()]


def names_of(names: Any, path: Path) -> tuple[str, ...]:
    """The classes in their order, of a list or of a mapping from 0, 1, 2 …; () where none stand.

    Raises:
        DataError: the numbers of the mapping have a gap.
    """
    if isinstance(names, dict):
        wanted = [str(row) for row in range(len(names))]
        if set(names) != set(wanted):
            want = f"0 to {len(names) - 1}"
            raise DataError(f"{path}: want a name for each of {want}, got {quoted(list(names))}")
        names = [names[row] for row in wanted]
    if isinstance(names, str) and "," in names:
        raise DataError(f"{path}: want names as a list, got {quoted(names)}: [{names}]?")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return ()
    return tuple(names)


def find_yaml(tree: Tree) -> DataYaml | None:
    """The .yaml file of a data set; where there are several, the one that fits.

    Raises:
        DataError: several fit, and differ.
    """
    read = [read_yaml(path) for path in tree.ending(".yaml", ".yml")]
    found = [entry for entry in read if entry]
    named = [entry for entry in found if entry.names] or found
    there = [entry for entry in named if any(places(entry, tree).values())] or named
    if len({(entry.names, str(places(entry, tree))) for entry in there}) > 1:
        options = "; ".join(
            f"{tree.name(entry.path)} has {first_few(entry.names)}" for entry in there
        )
        raise DataError(f"{tree.root}: several .yaml files, {options}; want one of them")
    return there[0] if there else None


def places(entry: DataYaml, tree: Tree) -> dict[str, list[Path]]:
    """The folders and lists of each split that a .yaml file names and that are there."""
    return {
        split: [place for word in words if (place := place_of(word, entry))]
        for split, words in entry.splits.items()
    }


def bases(entry: DataYaml) -> list[Path]:
    """Where a .yaml file's paths may begin, the likeliest first."""
    own = entry.path.parent
    return [own / entry.base, own] if entry.base else [own]


def place_of(word: str, entry: DataYaml) -> Path | None:
    """What a path in a .yaml file means, None where it is nowhere."""
    short = word.replace("\\", "/")
    tries = [base / short for base in bases(entry)]
    while short.startswith("../"):
        short = short.removeprefix("../")
        tries += [base / short for base in bases(entry)]
    return next((path.resolve() for path in tries if path.exists()), None)


def class_names(tree: Tree, entry: DataYaml | None) -> tuple[str, ...]:
    """The classes of a YOLO folder, "background" first.

    Raises:
        DataError: nowhere, or two files differ, or two classes have one name.
    """
    sources = [(entry.path, entry.names)] if entry and entry.names else []
    sources += list(named_files(tree))
    if not sources:
        raise DataError(
            f"{tree.root}: no class names; want a .yaml file with `names:`, or classes.txt"
        )
    (path, names), *others = sources
    for other, theirs in others:
        if theirs != names:
            raise DataError(
                f"{tree.root}: {tree.name(path)} has the classes {first_few(names, 10)}, "
                f"{tree.name(other)} has {first_few(theirs, 10)}; want one order, in one file"
            )
    check_different(names, path)
    return ("background", *names)


def named_files(tree: Tree) -> Iterable[tuple[Path, tuple[str, ...]]]:
    """Files that name classes line by line, and Label Studio's notes.json, which numbers them."""
    for path in tree.files:
        if path.name.lower() in NAME_FILES and (lines := names_by_line(path)):
            yield path, tuple(lines)
        if path.name == "notes.json":
            content = read_json(path)
            listed = content.get("categories") if isinstance(content, dict) else None
            if isinstance(listed, list) and listed:
                numbered = {entry["id"]: str(entry["name"]) for entry in listed}
                yield path, tuple(numbered[number] for number in sorted(numbered))


def names_by_line(path: Path) -> list[str]:
    """The names of a file in which the line is the number of the class.

    Raises:
        DataError: an empty line between them, which counts as a class.
    """
    lines = [line.strip() for line in read_text(path).rstrip().splitlines()]
    if lines and "" in lines:
        row = lines.index("")
        raise DataError(
            f"{path}: line {row + 1} is empty, and stands for class {row}; "
            "want its name, or no empty line where no class has that number"
        )
    return read_list(path)


def check_different(names: Sequence[str], source: Path) -> None:
    """Refuse two classes of one name: their counts and their AP could not be told apart.

    Raises:
        DataError: says which.
    """
    for name in names:
        rows = [row for row, other in enumerate(names) if other == name]
        if len(rows) > 1:
            which = " and ".join(map(str, rows))
            raise DataError(
                f"{source}: classes {which} are both called {quoted(name)}; "
                "rename one, or give their objects one number"
            )
