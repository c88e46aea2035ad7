"""Small folders of every format, damaged at random: none may end in a traceback, none may hang.

    python tests/benchmarks/mutated.py              20 000 folders
    python tests/benchmarks/mutated.py --count 500

Each is made sound, damaged in one to three places, and read as `detlab data check` reads it. What
is no DataError is printed with its seed; `--seed` makes that folder again.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from detlab.data.check import check_splits
from detlab.data.datasets import read_splits
from detlab.data.records import DataError
from tests.sample_folders import SCENES, coco_folder, voc_folder, write_picture, yolo_folder

SLOW = 10.0
"""Seconds that no folder may take."""
LONG = 1000
"""Letters: a value is cut before it is shown."""
WORDS = (
    *("", "0", "-1", "1e999", "nan", "null", "true", "[]", "{}", '"', "\\", "/", "..", "\0", "\n"),
    *("[" * 2000, "9" * 400, "é", "\ud83d\ude00", "2026-99-99", "!!int ''", "&a [*a]", "<", "&x;"),
    *("images", "annotations", "names", "train", "../../etc/passwd", "/dev/zero", "con", "1.0"),
)
"""What is put into texts and names."""


def labelme_folder(folder: Path) -> Path:
    """A JSON file beside each picture."""
    for stem, boxes in SCENES.items():
        write_picture(folder / f"{stem}.png")
        shapes = [
            {"label": name, "shape_type": "rectangle", "points": [[x1, y1], [x2, y2]]}
            for name, x1, y1, x2, y2 in boxes
        ]
        content = {"imagePath": f"{stem}.png", "imageHeight": 40, "imageWidth": 60}
        (folder / f"{stem}.json").write_text(json.dumps({**content, "shapes": shapes}))
    return folder


MAKERS: tuple[Callable[[Path], Path], ...] = (
    coco_folder,
    lambda folder: coco_folder(coco_folder(folder), "val"),
    voc_folder,
    lambda folder: voc_folder(folder, {"train": ["a", "b"], "val": ["c"]}),
    yolo_folder,
    lambda folder: yolo_folder(yolo_folder(folder, "train"), "val"),
    labelme_folder,
)


def damage(folder: Path, chance: random.Random) -> None:
    """Change one file: its text, its name, its place, or that it is there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        return
    path = chance.choice(files)
    ways = (cut, put_in, put_in, flip, drop_line, swap_word, rename, remove, double, link)
    chance.choice(ways)(path, chance)


def cut(path: Path, chance: random.Random) -> None:
    """Keep the beginning alone."""
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(len(content) + 1)])


def put_in(path: Path, chance: random.Random) -> None:
    """Put an odd word somewhere."""
    content = path.read_bytes()
    place = chance.randrange(len(content) + 1)
    word = chance.choice(WORDS).encode("utf-8", "surrogatepass")
    path.write_bytes(content[:place] + word + content[place:])


def flip(path: Path, chance: random.Random) -> None:
    """Change some bytes."""
    content = bytearray(path.read_bytes())
    for _ in range(chance.randrange(1, 9)):
        if content:
            content[chance.randrange(len(content))] = chance.randrange(256)
    path.write_bytes(bytes(content))


def drop_line(path: Path, chance: random.Random) -> None:
    """Leave a line out."""
    lines = path.read_bytes().splitlines(keepends=True)
    if lines:
        del lines[chance.randrange(len(lines))]
    path.write_bytes(b"".join(lines))


def swap_word(path: Path, chance: random.Random) -> None:
    """Exchange a word or number for an odd one."""
    parts = path.read_bytes().split(b" ")
    word = chance.choice(WORDS).encode("utf-8", "surrogatepass")
    parts[chance.randrange(len(parts))] = word
    path.write_bytes(b" ".join(parts))


def rename(path: Path, chance: random.Random) -> None:
    """Another name, or another ending."""
    names = ("x", f"{path.stem}.txt", f"{path.stem}.json", f"{path.stem}.xml", "data.yaml", ".x")
    path.rename(path.with_name(chance.choice((*names, path.name.upper(), "classes.txt"))))


def remove(path: Path, _: random.Random) -> None:
    """Take the file away."""
    path.unlink()


def double(path: Path, chance: random.Random) -> None:
    """Put a copy into another folder."""
    folders = sorted({other.parent for other in path.parents[1].rglob("*") if other.is_file()})
    place = chance.choice(folders or [path.parent]) / chance.choice((path.name, f"2{path.name}"))
    if place != path and not place.exists():
        shutil.copy(path, place)


def link(path: Path, chance: random.Random) -> None:
    """A link in its place: to nothing, to itself, to a folder, to a device."""
    path.unlink()
    path.symlink_to(chance.choice(("nowhere", path.name, "..", "/dev/null")))


def try_one(seed: int, folder: Path) -> tuple[str, float]:
    """Make, damage and read one folder: what went wrong ("" where nothing did), and seconds."""
    chance = random.Random(seed)
    made = chance.choice(MAKERS)(folder)
    for _ in range(chance.randrange(1, 4)):
        damage(made, chance)
    start = time.perf_counter()
    what = ""
    try:
        check_splits(read_splits(str(made)))
    except DataError as error:
        if len(str(error)) > LONG:
            what = f"a message of {len(str(error))} letters: {str(error)[:200]}"
    except Exception:
        what = traceback.format_exc()
    return what, time.perf_counter() - start


def main() -> None:
    """Try many folders; the exit status says whether all went well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first folder")
    options = parser.parse_args()
    wrong, slowest = 0, 0.0
    for seed in range(options.seed, options.seed + options.count):
        with tempfile.TemporaryDirectory() as place:
            what, seconds = try_one(seed, Path(place) / "set")
        slowest = max(slowest, seconds)
        if what or seconds > SLOW:
            wrong += 1
            print(f"seed {seed}, {seconds:.1f} s: {what}", flush=True)
    print(f"{options.count} damaged folders: {wrong} wrong, the slowest took {slowest:.2f} s")
    raise SystemExit(wrong > 0)


if __name__ == "__main__":
    os.environ.setdefault("DETLAB_DATA", "/nowhere")
    main()
