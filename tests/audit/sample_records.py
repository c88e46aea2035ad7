"""Records without a picture file, for what looks at labels only."""

from pathlib import Path

import torch

from detlab.data.records import Record

NAMES = ("background", "cell", "speck")


def record(boxes, labels, name="a.png", image_size=(60, 90)):
    return Record(
        Path(name),
        image_size,
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(labels, dtype=torch.int64),
        tuple(f"object {row}" for row in range(len(labels))),
        Path("labels.json"),
    )


def usual(number, side, label, name="a.png"):
    """Boxes of nearly one size."""
    boxes = [[0.0, 0.0, side + row % 3, side + row % 2] for row in range(number)]
    return record(boxes, [label] * number, name)
