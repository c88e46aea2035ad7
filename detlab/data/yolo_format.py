"""YOLO: a text file for each picture, a line for each object, becomes `Annotations`.

Uses records.py and tree.py. Boxes become x1 y1 x2 y2 in pixels of the picture as it
is shown, labels count from 1 in the order of `class_names`, "background" at 0. A fault of one
picture or object is set aside, and check.py decides what becomes of it.

What lines may hold is Ultralytics' and darknet's: a box, or a polygon, around which they take the
box (Ultralytics 8.3, `segments2boxes`), or a box and the key points of a pose.
"""

from collections.abc import Sequence
from pathlib import Path

from detlab.data.pictures import read_header
from detlab.data.records import (
    Annotations,
    DataError,
    Fault,
    Note,
    Object,
    Record,
    first_few,
    first_words,
    is_number,
    label_of_class,
    make_record,
    quoted,
    read_each,
    read_text,
)
from detlab.data.tree import Places, Tree

BOX = 5
"""Numbers of a line: class cx cy width height."""
POLYGON = 7
"""… of the shortest polygon: class x1 y1 x2 y2 x3 y3."""
VISIBLE = {f"{number}{zeros}" for number in "012" for zeros in ("", ".0", ".000000")}
"""How tools write whether a point of a pose is seen."""
FEW = 1000
"""Label files that are opened to tell poses from polygons."""
OUTSIDE = 0.1
"""A box that reaches so far past a side, as a fraction of it, is no slip of the hand."""
FURTHEST = 2.0
"""A fraction of a side that is larger was meant as pixels."""


def label_files(tree: Tree) -> list[Path]:
    """The text files of a folder that hold labels: those of a picture, or numbers line by line."""
    pictures = set(map(tree.key, tree.pictures))
    return [
        path
        for path in tree.ending(".txt")
        if tree.key(path) in pictures or looks_like_labels(path)
    ]


def looks_like_labels(path: Path) -> bool:
    """Whether a text file begins as labels do; an empty one counts where labels are kept."""
    words = first_words(path)
    if not words:
        return "labels" in {part.lower() for part in path.parts} or path.stat().st_size == 0
    return len(words) >= BOX - 1 and is_number(words[1])


def read_yolo(
    pictures: Sequence[Path],
    labels: Places,
    class_names: tuple[str, ...],
    key_points: bool = False,
) -> Annotations:
    """Read the label file of each picture; a picture without one has no objects.

    A line is `class cx cy width height`; the class counts from 0 and becomes label class + 1,
    the rest are fractions of the picture's width and height.

    Args:
        pictures: of one split.
        labels: the label files of the folder.
        class_names: "background" first.
        key_points: what follows a line's box are points of a pose, and no polygon.
    """
    key_points = key_points or hold_poses([p for image in pictures for p in labels.like(image)])
    faults: list[Fault] = []
    records: list[Record] = []
    notes: list[Note] = []
    first: dict[Path, Path] = {}
    for image in pictures:
        other = first.setdefault(image.with_suffix(""), image)
        if other != image:
            what = f"shares its label file with {other.name}; want one name for each picture"
            faults.append(Fault(image, "", what))
            continue
        try:
            source, its_notes = label_file(image, labels)
            record, its_faults, more = yolo_record(source, image, class_names, key_points)
        except DataError as error:
            faults.append(Fault(image, "", str(error).removeprefix(f"{image}: ")))
            continue
        records.append(record)
        faults += its_faults
        notes += [*its_notes, *more]
    return Annotations(tuple(records), class_names, tuple(faults), tuple(notes))


def hold_poses(sources: Sequence[Path]) -> bool:
    """Whether all longer lines of the first label files are a box and points `x y visible`.

    A .yaml file with `kpt_shape` says so; without one, polygons have no 0, 1 or 2 in every third
    place behind a box, line by line.
    """
    found = False
    for source in sources[:FEW]:
        try:
            lines = read_text(source).splitlines()
        except DataError:
            continue  # reported where the picture is read
        for words in map(str.split, lines):
            if len(words) > BOX:
                if (len(words) - BOX) % 3 or not set(words[BOX + 2 :: 3]) <= VISIBLE:
                    return False
                found = True
    return found


def label_file(image: Path, labels: Places) -> tuple[Path | None, list[Note]]:
    """Where the labels of a picture stand, None where nowhere.

    Raises:
        DataError: in several files.
    """
    tree = labels.tree
    found = labels.like(image)
    if len(found) > 1:
        files = first_few([tree.name(path) for path in found])
        raise DataError(f"{image}: has labels in {files}; want one of them")
    if not found:
        what = "pictures have no label file, and are taken for empty"
        return None, [Note(what, tree.name(image))]
    [source] = found
    if tree.key(source) == tree.key(image):
        return source, []
    what = "pictures have their labels in another place than usual"
    return source, [Note(what, f"{tree.name(image)} in {tree.name(source)}")]


def yolo_record(
    source: Path | None, image: Path, class_names: tuple[str, ...], key_points: bool = False
) -> tuple[Record, list[Fault], list[Note]]:
    """Read the labels of one picture; its size, in pixels, comes from the picture as shown."""
    height, width = read_header(image).size
    notes: list[Note] = []

    def read_object(name: str, line: str) -> Object:
        words = line.split()
        if "," in line:
            raise DataError(f"want spaces between the numbers, no commas, got {quoted(line[:60])}")
        label = label_of_class(class_number(words[0]), range(len(class_names) - 1))
        corners, what = corners_of([float(word) for word in words[1:]], key_points)
        if what:
            notes.append(Note(what, f"{image.stem} {name}"))
        if max(map(abs, corners)) > FURTHEST:
            raise DataError(
                f"want fractions of the picture's sides, 0 to 1, got {quoted(line[:60])}: pixels?"
            )
        if are_corners(words[1:], corners):
            raise DataError(
                f"{quoted(line[:60])} reaches outside the picture: corners x1 y1 x2 y2? "
                "Want class cx cy width height"
            )
        scale = (width, height, width, height)
        return Object(name, label, [part * side for part, side in zip(corners, scale, strict=True)])

    lines = read_text(source).splitlines() if source else []
    named = [(f"line {i}", line) for i, line in enumerate(lines, start=1) if line.strip()]
    objects, faults = read_each(named, read_object, source or image)
    return make_record(image, (height, width), objects, source or image), faults, notes


def are_corners(words: Sequence[str], corners: Sequence[float]) -> bool:
    """Whether a line of four numbers fits the picture as two corners, and not as a box.

    >>> are_corners(["0.1", "0.1", "0.9", "0.9"], corners=[-0.35, -0.35, 0.55, 0.55])
    True
    """
    if len(words) != BOX - 1 or -OUTSIDE <= min(corners) <= max(corners) <= 1 + OUTSIDE:
        return False
    x1, y1, x2, y2 = map(float, words)
    return 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1


def class_number(word: str) -> int:
    """The number of a class, which programs that count in floats write as 0.0.

    >>> class_number("3"), class_number("3.0")
    (3, 3)
    """
    if not is_number(word):
        raise DataError(f"want the number of a class, from 0, and no name, got {quoted(word)}")
    number = float(word)
    if not number.is_integer():
        raise DataError(f"want a whole number as the class, got {word}")
    return int(number)


def corners_of(numbers: list[float], key_points: bool) -> tuple[list[float], str]:
    """x1 y1 x2 y2, as fractions, of what follows a line's class; and what to say of it.

    >>> corners_of([0.25, 0.5, 0.25, 0.5], key_points=False)
    ([0.125, 0.25, 0.375, 0.75], '')
    >>> corners_of([0.1, 0.2, 0.5, 0.2, 0.5, 0.6], key_points=False)[0]
    [0.1, 0.2, 0.5, 0.6]
    """
    count = 1 + len(numbers)
    if count > BOX and key_points:
        return corners_of(numbers[: BOX - 1], False)[0], "poses are read as their boxes"
    if count == BOX:
        cx, cy, w, h = numbers
        return [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], ""
    if count == BOX + 1:
        raise DataError("6 numbers: a score as the last? Want labels (class cx cy width height)")
    if count < POLYGON or count % 2 == 0:
        raise DataError(f"want 5 numbers (class cx cy width height), got {count}")
    xs, ys = numbers[0::2], numbers[1::2]
    four = count == 1 + 2 * 4
    what = "polygons of four points (oriented boxes)" if four else "polygons"
    return [min(xs), min(ys), max(xs), max(ys)], f"{what} are read as the boxes around them"
