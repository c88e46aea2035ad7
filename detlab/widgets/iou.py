"""Two boxes to drag: how well do they agree?"""

from typing import Any, ClassVar

import torch
import traitlets
from torch import Tensor

from detlab.boxes import box_area, box_iou, intersection_area, paired_giou, union_area
from detlab.widgets.canvas import BoxCanvas, check_box, check_image
from detlab.widgets.lab import Goal, Lab
from detlab.widgets.readout import Formula, Item, Row


class IoULab(Lab):
    """Drag two boxes; the patch they share, what they cover together, IoU and GIoU follow.

    >>> image = torch.zeros(3, 150, 200, dtype=torch.uint8)
    >>> IoULab(image, [40, 30, 140, 130], [90, 30, 190, 130])
    <IoU lab: IoU = 0.333>
    """

    name: ClassVar[str] = "IoU"
    inputs: ClassVar[tuple[str, ...]] = ("truth", "prediction")
    headline: ClassVar[str] = "iou"

    truth = traitlets.List(traitlets.Float(), help="x1 y1 x2 y2 in pixels of the picture")
    prediction = traitlets.List(traitlets.Float(), help="x1 y1 x2 y2 in pixels of the picture")

    def __init__(
        self, image: Tensor, truth: Any, prediction: Any, task: str = "", goal: Goal | None = None
    ) -> None:
        """Boxes are x1 y1 x2 y2 in pixels of `image`, uint8 [3, H, W]."""
        height, width = check_image(image).shape[1:]
        self.truth = check_box(truth, "truth", (height, width))
        self.prediction = check_box(prediction, "prediction", (height, width))
        canvas = BoxCanvas(image, "a picture under two boxes", shade=0.18, overlap=True)
        canvas.editable = [
            {"name": "truth", "role": "truth"},
            {"name": "prediction", "role": "prediction"},
        ]
        canvas.edited = [self.truth, self.prediction]
        canvas.observe(self._dragged, names="edited")
        presets = example_pairs(width, height)
        super().__init__("Drag the boxes: how well do they agree?", canvas, [], presets, task, goal)

    def draw(self) -> tuple[str, list[Item]]:
        """Every number from the package's own functions."""
        self.canvas.edited = [self.truth, self.prediction]
        truth, prediction = torch.tensor([self.truth]), torch.tensor([self.prediction])
        self.intersection = intersection_area(truth, prediction).item()
        areas = box_area(truth).item(), box_area(prediction).item()
        self.union = union_area(truth, prediction).item()
        self.iou = box_iou(truth, prediction).item()
        self.giou = paired_giou(truth, prediction).item()
        shared, covered = f"{self.intersection:,.0f}", f"{self.union:,.0f}"
        return f"IoU = {self.iou:.3f}", [
            Formula("IoU", shared, covered, f"{self.iou:.3f}", "shared", "covered by either"),
            Row("truth", f"{areas[0]:,.0f} px²", "truth"),
            Row("prediction", f"{areas[1]:,.0f} px²", "prediction"),
            Row("GIoU", f"{self.giou:.3f}", strong=True),
        ]

    def _dragged(self, change: Any) -> None:
        with self.hold_trait_notifications():
            self.truth, self.prediction = change["new"]


def example_pairs(width: int, height: int) -> dict[str, dict[str, list[float]]]:
    """Four pairs worth a look, as fractions of the picture."""

    def pair(*fractions: float) -> dict[str, list[float]]:
        scale = [float(width), float(height)] * 4
        pixels = [float(round(a * b)) for a, b in zip(fractions, scale, strict=True)]
        return {"truth": pixels[:4], "prediction": pixels[4:]}

    return {
        "apart": pair(0.06, 0.10, 0.40, 0.50, 0.60, 0.55, 0.94, 0.90),
        "touching": pair(0.12, 0.30, 0.50, 0.70, 0.50, 0.30, 0.88, 0.70),
        "inside": pair(0.15, 0.15, 0.85, 0.85, 0.35, 0.35, 0.65, 0.65),
        "half": pair(0.10, 0.20, 0.50, 0.80, 0.30, 0.20, 0.70, 0.80),
    }
