"""Lambda, the weight of the box loss: what it buys, from runs that were really trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import traitlets
from jaxtyping import Float, Int64
from torch import Tensor

from detlab.boxes import box_iou, clip_boxes
from detlab.types import Target
from detlab.widgets.canvas import BoxCanvas
from detlab.widgets.checks import check_truth, names_of
from detlab.widgets.lab import Goal, Lab, slider
from detlab.widgets.readout import Chart, Item, Row
from detlab.widgets.roles import STATE
from detlab.widgets.sheet import contact_sheet, on_sheet


@dataclass(frozen=True)
class LambdaRun:
    """One trained network: its lambda, how good it is, what it says of the sample pictures."""

    box_weight: float
    accuracy: float
    """Fraction of the test pictures whose class is right."""
    mean_iou: float
    """Of the predicted boxes with the true ones, over the same pictures."""
    boxes: Float[Tensor, "I 4"]
    """One box per sample picture, x1 y1 x2 y2 in its pixels."""
    labels: Int64[Tensor, " I"]


class LambdaLab(Lab):
    """Slide through the runs: class accuracy against mean IoU, and the same pictures."""

    name: ClassVar[str] = "lambda"
    inputs: ClassVar[tuple[str, ...]] = ("run",)
    headline: ClassVar[str] = "mean_iou"

    run = traitlets.Int(0, help="row of `runs`, by growing lambda")

    def __init__(
        self,
        images: Sequence[Tensor],
        targets: Sequence[Target],
        runs: Sequence[LambdaRun],
        class_names: Sequence[str] = (),
        task: str = "",
        goal: Goal | None = None,
    ) -> None:
        """Show trained runs over sample pictures uint8 [3, H, W] with one object each."""
        if len(runs) < 2:
            raise ValueError(f"runs: want two at least, got {len(runs)}")
        for each in runs:
            low, high = sorted([each.accuracy, each.mean_iou])
            if len(each.boxes) != len(images) or not 0 <= low <= high <= 1:
                raise ValueError(
                    f"runs: want a box per picture ({len(images)}), fractions 0 to 1: {each}"
                )
        self.runs = sorted(runs, key=lambda each: each.box_weight)
        self.run = len(self.runs) // 2
        self.class_names = class_names
        sheet, self._places = contact_sheet(list(images))
        self._sizes = [(image.shape[1], image.shape[2]) for image in images]
        truths = [
            check_truth(target, (image.shape[1], image.shape[2]))
            for image, target in zip(images, targets, strict=True)
        ]
        self.truth = torch.cat([truth["boxes"][:1] for truth in truths])
        canvas = BoxCanvas(sheet, "sample pictures under true and predicted boxes", tags=12)
        controls = [slider(self, "run", "run", 0, len(self.runs) - 1, 1)]
        presets = {
            "smallest lambda": {"run": 0},
            "middle": {"run": len(self.runs) // 2},
            "largest lambda": {"run": len(self.runs) - 1},
        }
        title = "Slide lambda: what does the class cost the box?"
        super().__init__(title, canvas, controls, presets, task, goal)

    def draw(self) -> tuple[str, list[Item]]:
        """Show one run."""
        if not 0 <= self.run < len(self.runs):
            raise ValueError(f"run: want 0 to {len(self.runs) - 1}, got {self.run}")
        now = self.runs[self.run]
        self.accuracy, self.mean_iou = now.accuracy, now.mean_iou
        truth = on_sheet(list(self.truth[:, None]), self._places)
        inside = [
            clip_boxes(box[None], size) for box, size in zip(now.boxes, self._sizes, strict=True)
        ]
        boxes = on_sheet(inside, self._places)
        iou = box_iou(boxes, truth).diagonal().tolist()
        names = names_of(now.labels, self.class_names)
        texts = [f"{name}, IoU {value:.2f}" for name, value in zip(names, iou, strict=True)]
        states = [STATE["truth"]] * len(truth) + [STATE["prediction"]] * len(boxes)
        everything = torch.cat([truth, boxes])
        self.canvas.show_boxes(
            everything, torch.tensor(states, dtype=torch.uint8), [""] * len(truth) + texts
        )
        points = [(each.accuracy, each.mean_iou) for each in self.runs]
        return (
            f"lambda {now.box_weight:g}: accuracy {now.accuracy:.2f}, mean IoU {now.mean_iou:.2f}",
            [
                Row("lambda", f"{now.box_weight:g}", strong=True),
                Row("class accuracy", f"{now.accuracy:.2f}"),
                Row("mean IoU of the boxes", f"{now.mean_iou:.2f}"),
                Row("truth", "", "truth"),
                Row("prediction", "", "prediction"),
                Chart(
                    {"runs": points},
                    "class accuracy",
                    "mean IoU",
                    dot=(now.accuracy, now.mean_iou),
                    names=[f"λ {each.box_weight:g}" for each in self.runs],
                ),
            ],
        )
