"""The frozen evaluation set: the same pictures whatever version of a drawing library is installed.

Uses scene.py. `python -m detlab.reef.frozen FOLDER` writes it.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from PIL import Image

from detlab.boxes import xyxy_to_xywh
from detlab.files import write_atomically
from detlab.reef.scene import (
    CLASS_NAMES,
    FROZEN_LENGTH,
    TRAIN_SEED,
    VAL_SEED,
    Scene,
    draw_scene,
)


def write_frozen_set(folder: Path, length: int = FROZEN_LENGTH) -> None:
    """Draw the evaluation set and write it as a COCO folder with a card.

    Results are measured on these files, so they do not move when a drawing library does.

    Raises:
        ValueError: the folder already holds something; a frozen set is never overwritten.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder}: want an empty folder; a frozen set is not overwritten")
    (folder / "images").mkdir(parents=True)
    scenes = [draw_scene(VAL_SEED, index) for index in range(length)]
    for index, scene in enumerate(scenes):
        picture = Image.fromarray(scene.image.permute(1, 2, 0).numpy())
        picture.save(folder / "images" / _file_name(index), optimize=True)
    annotations = json.dumps(coco_record(scenes)) + "\n"
    write_atomically(folder / "instances_val.json", annotations.encode())
    write_atomically(folder / "README.md", _card(scenes).encode())


def coco_record(scenes: list[Scene]) -> dict[str, Any]:
    """What is in the scenes, in COCO's words; all ids count from 1.

    >>> coco_record([])["categories"][0]
    {'id': 1, 'name': 'fish'}
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index, scene in enumerate(scenes):
        height, width = scene.image.shape[1:]
        name = _file_name(index)
        images.append({"id": index + 1, "file_name": name, "width": width, "height": height})
        boxes, areas = xyxy_to_xywh(scene.boxes), scene.masks.sum(dim=(1, 2))
        for box, label, area in zip(boxes, scene.labels, areas, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index + 1,
                    "category_id": int(label),
                    "bbox": box.tolist(),
                    "area": int(area),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": k, "name": name} for k, name in enumerate(CLASS_NAMES) if k > 0]
    return {"images": images, "annotations": annotations, "categories": categories}


def _file_name(index: int) -> str:
    return f"{index + 1:06d}.png"


def _card(scenes: list[Scene]) -> str:
    """Tell what the set is, how it was made, and what is in it."""
    labels = torch.cat([scene.labels for scene in scenes])
    sides = xyxy_to_xywh(torch.cat([scene.boxes for scene in scenes]))[:, 2:]
    low, middle, high = sides.amax(dim=1).quantile(torch.tensor([0.05, 0.5, 0.95])).tolist()
    whole = float((torch.cat([scene.visible for scene in scenes]) > 0.95).float().mean())
    counts = [f"| {name} | {int((labels == k).sum())} |" for k, name in enumerate(CLASS_NAMES)]
    return CARD.format(
        length=len(scenes),
        seed=VAL_SEED,
        train_seed=TRAIN_SEED,
        pillow=PIL.__version__,
        numpy=np.__version__,
        objects=len(labels),
        empty=sum(len(scene.labels) == 0 for scene in scenes),
        low=low,
        middle=middle,
        high=high,
        whole=whole,
        counts="\n".join(counts[1:]),
    )


CARD = """# data/reef_val: the frozen evaluation set

{length} drawn pictures of the reef, 128 × 128 pixels, with boxes; results in this project are
measured on them. They are files, and not drawn anew, so that results do not move with the
version of a drawing library.

Made on 2026-11-22 with `python -m detlab.reef.frozen data/reef_val` (Pillow {pillow}, numpy
{numpy}): scenes 0 to {length} − 1 of the world with seed {seed}, all dials at their defaults.
Training draws the world with seed {train_seed}; a test shows that none of its pictures is here.

- `images/*.png`
- `instances_val.json`: COCO's format. `bbox` is x y width height in pixels, tight around what is
  visible; `area` counts visible pixels. An animal that shows less than 20 % of itself has no box.

{objects} objects; {empty} pictures have none. Longest side of a box: {middle:.0f} pixels in the
middle, 5 % below {low:.0f}, 5 % above {high:.0f}. {whole:.0%} of the objects are (nearly) whole.

| class | objects |
|---|---|
{counts}

Licence: MIT, as part of this project. No picture or code of others went into it.
"""


if __name__ == "__main__":
    write_frozen_set(Path(sys.argv[1]))
