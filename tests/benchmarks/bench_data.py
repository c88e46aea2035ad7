"""How long `detlab data check` takes, beside an older commit in the same run: `make bench-data`.

Every measurement is a process of its own, so that its peak memory is its own, too; both commits
take turns. The sets are drawn, but for BCCD, which is left out where it is not.

    make bench-data                                    all, about half an hour, 9 GB of disk
    make bench-data ARGS="--pictures 500 --rounds 1"   a small one
    make bench-data ARGS="--commit HEAD~1"             beside another commit
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from report import Row, describe_machine, publish, ratios

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))

from detlab.course.records import spread  # noqa: E402
from detlab.data.datasets import find_data  # noqa: E402
from detlab.data.records import DataError  # noqa: E402
from tests.fixed_camera import NAMES, draw_picture  # noqa: E402

TIMED = """
import json, resource, sys, time
try:
    from detlab.audit.findings import audit
    from detlab.data.check import check_splits
    from detlab.data.datasets import read_splits
except ImportError:  # as version 0.1.0 is laid out
    from detlab.audit import audit
    from detlab.data import read_splits
    from detlab.defects import check_splits
started = time.perf_counter()
splits = read_splits(sys.argv[1])
sound = check_splits(splits)[0]
checked = time.perf_counter()
found = audit(sound, next(iter(splits.values())).class_names)
numbers = {"check": checked - started, "audit": time.perf_counter() - checked}
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
numbers |= {"peak_mb": peak * 1024 / 1e6, "findings": len(found.findings)}
print(json.dumps(numbers))
"""
"""What a process measures; it runs with the package of either commit. Linux counts in kB."""
WIDTH, HEIGHT = 2048, 1536
UNIT = 16
"""Pixels of a side of the smallest unit of a JPEG whose colours are stored at half the size."""
TILE = 256
"""Pixels of a side of the tiles of which large pictures are put together."""
QUALITY = 82
"""Gives such a picture half a megabyte."""
COPIES = 100
"""One picture in so many is a copy of the one before."""


class Trees(NamedTuple):
    """Folders with the package of both commits."""

    ours: Path
    older: Path


def main() -> None:
    """Measure the rows that were asked for, one after the other."""
    options = parse_arguments()
    machine = describe_machine()
    rows = []
    with worktree(options.commit) as older, tempfile.TemporaryDirectory() as folder:
        for name in options.only:
            print(f"{name} …", flush=True)
            rows += MEASUREMENTS[name](Trees(ROOT, older), Path(folder), options)
    publish(machine, rows, options.json)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What to measure, beside which commit, how often, and where to write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = list(MEASUREMENTS)
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="these rows alone")
    parser.add_argument("--commit", default="09983cc", help="that stands beside")
    parser.add_argument("--pictures", type=int, default=16_000, help="large JPEGs, 0.5 MB each")
    parser.add_argument("--boards", type=int, default=289, help="pictures of one camera")
    parser.add_argument("--boxes", type=int, default=20_000, help="boxes of 300 classes")
    parser.add_argument("--rounds", type=int, default=3, help="of all but the large JPEGs")
    parser.add_argument("--json", type=Path, default=Path("runs/bench_data.json"))
    return parser.parse_args(arguments)


@contextmanager
def worktree(commit: str) -> Iterator[Path]:
    """A folder with the files of a commit, for as long as it is needed."""
    git = ["git", "-C", str(ROOT), "worktree"]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "older"
        subprocess.run([*git, "add", "--quiet", "--detach", place, commit], check=True)
        try:
            yield place
        finally:
            subprocess.run([*git, "remove", "--force", place], check=True)


def timed(tree: Path, data: str) -> dict[str, float]:
    """Read, check and audit a set in a process of its own: seconds, and its peak memory in MB."""
    ended = subprocess.run(
        [sys.executable, "-c", TIMED, data],
        env={**os.environ, "PYTHONPATH": str(tree)},
        cwd=tree,
        stdout=subprocess.PIPE,
        check=True,
    )
    numbers: dict[str, float] = json.loads(ended.stdout)
    return numbers


def in_turn(trees: Trees, data: str, rounds: int) -> dict[str, list[dict[str, float]]]:
    """Both commits in each round, after one round that is not counted."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in trees._fields}
    for counted in [False] + [True] * rounds:
        for name, tree in zip(trees._fields, trees, strict=True):
            numbers = timed(tree, data)
            if counted:
                runs[name].append(numbers)
    return runs


def column(runs: Sequence[dict[str, float]], key: str) -> list[float]:
    """One number of every run."""
    return [run[key] for run in runs]


# ---------------------------------------------------------------- what is measured


def measure_boards(trees: Trees, folder: Path, options: argparse.Namespace) -> list[Row]:
    """Many pictures of one camera, which an audit once took for twins of each other."""
    data = write_boards(folder / "boards", options.boards)
    runs = in_turn(trees, str(data), options.rounds)
    ours, older = (column(runs[name], "audit") for name in trees._fields)
    faster = ratios(older, ours)
    return [
        Row(
            f"audit of {options.boards} pictures of one camera",
            "≥ 20 ×",
            f"{spread(faster, 1)} × ({spread(ours)} s; {options.commit}: {spread(older)} s)",
            median(faster) >= 20,
            runs,
        )
    ]


def measure_bccd(trees: Trees, folder: Path, options: argparse.Namespace) -> list[Row]:
    """Photographs, a part of which was taken twice with the camera moved."""
    try:
        find_data("bccd")
    except DataError as error:
        print(f"bccd: left out: {error}", flush=True)
        return []
    runs = in_turn(trees, "bccd", options.rounds)
    ours, older = (column(runs[name], "audit") for name in trees._fields)
    faster = ratios(older, ours)
    measured = f"{spread(faster, 1)} × ({spread(ours)} s; {options.commit}: {spread(older)} s)"
    return [Row("audit of bccd", "≥ 1 ×", measured, median(faster) >= 1, runs)]


def measure_large(trees: Trees, folder: Path, options: argparse.Namespace) -> list[Row]:
    """Thousands of photographs as a camera stores them; the older commit looks for no twins."""
    data = write_large(folder / "large", options.pictures)
    ours, older = timed(trees.ours, str(data)), timed(trees.older, str(data))
    whole = ours["check"] + ours["audit"]
    words = ", ".join(f"{key} {ours[key]:.1f} s" for key in ("check", "audit"))
    before = f"{options.commit}: {older['check'] + older['audit']:.1f} s, without twins"
    size = f"{options.pictures} JPEGs of {WIDTH} x {HEIGHT}"
    details = {"ours": ours, "older": older}
    return [
        Row(f"{size}: check", "≤ 60 s", f"{whole:.1f} s: {words} ({before})", whole <= 60, details),
        Row(
            f"{size}: peak memory",
            "≤ 1000 MB",
            f"{ours['peak_mb']:.0f} MB ({options.commit}: {older['peak_mb']:.0f} MB)",
            ours["peak_mb"] <= 1000,
        ),
    ]


def measure_boxes(trees: Trees, folder: Path, options: argparse.Namespace) -> list[Row]:
    """Boxes of many classes in 20 pictures, and twice as many: seconds should at most double."""
    sizes = (options.boxes // 2, options.boxes)
    data = [write_boxes(folder / f"boxes{number}", number) for number in sizes]
    runs = [in_turn(trees, str(each), options.rounds) for each in data]
    seconds = {
        name: [median(column(each[name], "audit")) for each in runs] for name in trees._fields
    }
    growth = {name: twice / once for name, (once, twice) in seconds.items()}
    words = f"{growth['ours']:.2f} × ({seconds['ours'][1]:.1f} s; {options.commit}: "
    words += f"{growth['older']:.2f} ×, {seconds['older'][1]:.1f} s)"
    what = f"audit of {sizes[1]} boxes of 300 classes, beside half of them"
    details = dict(zip(map(str, sizes), runs, strict=True))
    return [Row(what, "≤ 2.2 ×", words, growth["ours"] <= 2.2, details)]


MEASUREMENTS: dict[str, Callable[[Trees, Path, argparse.Namespace], list[Row]]] = {
    "boards": measure_boards,
    "bccd": measure_bccd,
    "boxes": measure_boxes,
    "large": measure_large,
}


# ---------------------------------------------------------------- sets


def write_coco(
    folder: Path, sizes: dict[str, tuple[int, int]], objects: dict[str, list[Any]], names: Any
) -> Path:
    """The annotations of pictures: their (height, width), and (label, x1 y1 x2 y2) of each box."""
    images = [
        {"id": row, "file_name": name, "height": height, "width": width}
        for row, (name, (height, width)) in enumerate(sizes.items())
    ]
    boxes = [(row, label, *box) for row, name in enumerate(sizes) for label, box in objects[name]]
    annotations = [
        {
            **{"id": number, "image_id": row, "category_id": int(label), "iscrowd": 0},
            **{"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)},
        }
        for number, (row, label, x1, y1, x2, y2) in enumerate(boxes)
    ]
    categories = [{"id": label, "name": name} for label, name in enumerate(names) if label]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances_train.json").write_text(json.dumps(content))
    return folder


def write_boards(folder: Path, number: int) -> Path:
    """One camera; the last picture is a copy of the first."""
    (folder / "images").mkdir(parents=True)
    sizes, objects = {}, {}
    for row in range(number):
        image, boxes = draw_picture(row % (number - 1), noise=5.0)
        name = f"board_{row:05}.png"
        image.save(folder / "images" / name)
        sizes[name], objects[name] = (image.height, image.width), boxes
    return write_coco(folder, sizes, objects, NAMES)


def write_boxes(folder: Path, number: int, pictures: int = 20, classes: int = 300) -> Path:
    """Boxes by lot, in pictures of noise."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    sizes, objects = {}, {}
    for row in range(pictures):
        name = f"noise_{row:05}.png"
        noise = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((1280, 960)).save(folder / "images" / name)
        corners = rng.uniform(0, (1240, 920), (number // pictures, 2))
        ends = corners + rng.uniform(8, 40, corners.shape)
        labels = rng.integers(1, classes + 1, len(corners)).tolist()
        boxes = np.concatenate([corners, ends], axis=1).tolist()
        sizes[name], objects[name] = (960, 1280), list(zip(labels, boxes, strict=True))
    return write_coco(folder, sizes, objects, ("", *(f"class {row}" for row in range(classes))))


def write_large(folder: Path, number: int) -> Path:
    """Large JPEGs that are put together from tiles of a few, which takes no encoding."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    cut = [cut_jpeg(draw_large(seed)) for seed in range(8)]
    head, tiles = cut[0][0], [tile for _, of_one in cut for tile in of_one]
    sizes, objects = {}, {}
    for row in range(number):
        if row % COPIES != 1:
            chosen = rng.integers(len(tiles), size=WIDTH // TILE * (HEIGHT // TILE))
        name = f"large_{row:05}.jpg"
        note = b"\xff\xfe\x00\x08" + f"{row:06}".encode()  # a comment, so that no two are equal
        content = join_jpeg(head, note, [tiles[tile] for tile in chosen])
        (folder / "images" / name).write_bytes(content)
        sizes[name], objects[name] = (HEIGHT, WIDTH), [(1, [90 + row % 900, 90, 1200, 900])]
    return write_coco(folder, sizes, objects, ("", "thing"))


def draw_large(seed: int) -> bytes:
    """A JPEG of clouds and grain that begins anew in every tile's row of units."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    clouds = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), dtype=np.float32)
    grain = rng.normal(0, 7, clouds.shape).astype(np.float32)
    image = Image.fromarray((clouds + grain).clip(0, 255).astype(np.uint8))
    with tempfile.TemporaryFile() as file:
        restart = {"restart_marker_blocks": TILE // UNIT}
        image.save(file, "JPEG", quality=QUALITY, subsampling=2, **restart)
        file.seek(0)
        return file.read()


def cut_jpeg(content: bytes) -> tuple[bytes, list[list[bytes]]]:
    """What stands before the pixels, and the pixels by tile, each by its rows of units.

    Between two restart markers (FF D0 to FF D7) a decoder starts anew, so parts can change places.
    """
    start = content.index(b"\xff\xda")
    start += 2 + int.from_bytes(content[start + 2 : start + 4], "big")
    parts, begin = [], start
    for at in range(start, len(content) - 1):
        if content[at] == 0xFF and 0xD0 <= content[at + 1] <= 0xD9:
            parts.append(content[begin:at])
            begin = at + 2
    across, rows = WIDTH // TILE, TILE // UNIT
    tiles = [
        [parts[(rows * down + row) * across + right] for row in range(rows)]
        for down in range(HEIGHT // TILE)
        for right in range(across)
    ]
    return content[:start], tiles


def join_jpeg(head: bytes, note: bytes, tiles: Sequence[Sequence[bytes]]) -> bytes:
    """A JPEG of tiles, row by row; its markers are numbered anew."""
    across, rows = WIDTH // TILE, TILE // UNIT
    parts = [
        tiles[down * across + right][row]
        for down in range(HEIGHT // TILE)
        for row in range(rows)
        for right in range(across)
    ]
    markers = [bytes([0xFF, 0xD0 + number % 8]) for number in range(len(parts) - 1)]
    pixels = b"".join(
        part + mark for part, mark in zip(parts, [*markers, b"\xff\xd9"], strict=True)
    )
    return head[:2] + note + head[2:] + pixels


if __name__ == "__main__":
    main()
