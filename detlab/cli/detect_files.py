"""Picture files to detections: each picture drawn with its boxes, and all boxes as JSON.

Uses postprocess.py, tiling.py, coco.py and figures.py.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from detlab.boxes import clip_boxes, scale_boxes
from detlab.data.pictures import SUFFIXES, list_pictures, read_header, read_picture
from detlab.data.records import DataError
from detlab.detector.checkpoint import CheckpointInfo
from detlab.detector.model import Detector
from detlab.detector.postprocess import detect
from detlab.detector.tiling import detect_in_tiles
from detlab.draw.figures import Picture, draw_alone, save_figure
from detlab.files import to_json, write_atomically
from detlab.images import fit_image, image_size
from detlab.metrics.coco import coco_results
from detlab.types import Detection

DETECTIONS = "detections.json"
ORDINARY = 4096 * 3072
"""Pixels, as many as a phone's photograph has. To draw a picture of more would cost gigabytes."""
SHRUNK = 2048
"""Pixels on the longer side, to which a larger picture is brought before it is looked at (but for
tiles, which want every pixel) and drawn; both shrink it further anyway."""


def find_pictures(place: Path) -> list[Path]:
    """A picture file, or all picture files of a folder by name.

    Raises:
        DataError: nothing there, or a folder without pictures.
    """
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise DataError(f"{place}: no such file or folder")
    found = list_pictures(place)
    if not found:
        raise DataError(f"{place}: no picture in it; want names ending in {', '.join(SUFFIXES)}")
    return found


def detect_files(
    detector: Detector,
    info: CheckpointInfo,
    paths: Sequence[Path],
    folder: Path,
    tile: int | None = None,
    **options: Any,
) -> Iterator[tuple[Path, Detection]]:
    """Detect in picture files one by one; draw each, and write all boxes as COCO results.

    Args:
        detector: finds the boxes.
        info: its settings and class names.
        paths: pictures; all are read once before the first result is written. One of more than
            ORDINARY pixels is shrunk before it is looked at.
        folder: gets a PNG for each picture (see `output_names`), and detections.json at the end:
            COCO's results, where each entry also has "file_name"; image ids count from 1. Boxes
            are in pixels of the picture as it is shown, EXIF's orientation followed.
        tile: side of the tiles that are looked at, too, in pixels; None looks at the whole only.
        options: thresholds, see `postprocess.select_detections`.

    Yields:
        Each path with what was found in it.

    Raises:
        DataError: a file is no picture, or would be overwritten by a result; nothing is written.
    """
    outputs = [folder / name for name in output_names(paths)]
    check_inputs(paths, outputs)
    results = []
    (folder / DETECTIONS).unlink(missing_ok=True)  # of an earlier run: it would not fit
    for image_id, (path, output) in enumerate(zip(paths, outputs, strict=True), start=1):
        height, width = size = read_header(path).size
        large, longest_side = height * width > ORDINARY, info.config.longest_side
        if tile is None:
            image = read_picture(path, max(SHRUNK, longest_side) if large else None)
            [found] = detect(detector, [image], longest_side, **options)
        else:
            image = read_picture(path)
            found = detect_in_tiles(detector, image, longest_side, tile, **options)
        drawn = fit_image(image, SHRUNK) if large else image
        seen = Picture(drawn, detection=resized(found, image_size(image), image_size(drawn)))
        save_figure(draw_alone(seen, info.class_names), output)
        found = resized(found, image_size(image), size)
        results += [{**row, "file_name": path.name} for row in coco_results([found], [image_id])]
        yield path, found
    write_atomically(folder / DETECTIONS, to_json(results, indent=1).encode())


def resized(found: Detection, before: tuple[int, int], after: tuple[int, int]) -> Detection:
    """Detections in a picture of (height, width) `before`, for the same picture at `after`."""
    boxes = clip_boxes(scale_boxes(found["boxes"], before, after), after)
    return Detection(boxes=boxes, labels=found["labels"], scores=found["scores"])


def output_names(paths: Sequence[Path]) -> list[str]:
    """NAME.png for each picture of a folder; where two share a name, all keep their endings.

    Large and small letters are one, as in the file systems of Windows and macOS.

    >>> output_names([Path("a.jpg"), Path("b.webp")])
    ['a.png', 'b.png']
    >>> output_names([Path("a.jpg"), Path("b.jpg"), Path("B.png")])
    ['a.jpg.png', 'b.jpg.png', 'B.png.png']
    """
    stems = [path.stem for path in paths]
    differ = len({stem.lower() for stem in stems}) == len(stems)
    names = stems if differ else [path.name for path in paths]
    return [f"{name}.png" for name in names]


def check_inputs(paths: Sequence[Path], outputs: Sequence[Path]) -> None:
    """Decode every picture once, so that a bad one stops the work before it begins.

    Raises:
        DataError: a file is no picture, or would be overwritten by a result.
    """
    for path in paths:
        read_picture(path, long_side=1)  # a large JPEG is quicker so, and found out all the same
    overwritten = {path.resolve() for path in paths} & {path.resolve() for path in outputs}
    if overwritten:
        raise DataError(f"{min(overwritten)} would be overwritten; name another --out")
