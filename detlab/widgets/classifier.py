"""A classifier under the hand: crop or cover the picture, and the probabilities follow."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
import traitlets
from torch import Tensor

from detlab.boxes import box_area, intersection_area
from detlab.widgets.canvas import BoxCanvas, check_box, check_image
from detlab.widgets.format import pixel_box
from detlab.widgets.lab import Goal, Lab, choice
from detlab.widgets.readout import Bar, Item

MODES = ("crop", "cover")
GREY = 114  # what covers: the middle of the scale, so that it says little


class ClassifierLab(Lab):
    """Drag the box: the classifier sees only what is inside (crop), or only what is outside."""

    name: ClassVar[str] = "classifier"
    inputs: ClassVar[tuple[str, ...]] = ("box", "mode")
    headline: ClassVar[str] = "top_probability"

    box = traitlets.List(traitlets.Float(), help="x1 y1 x2 y2 in pixels of the picture")
    mode = traitlets.Enum(MODES, "crop")

    def __init__(
        self,
        image: Tensor,
        classify: Callable[[Tensor], Tensor],
        class_names: Sequence[str],
        box: Any = None,
        mode: str = "crop",
        task: str = "",
        goal: Goal | None = None,
    ) -> None:
        """Let a classifier look.

        Args:
            image: uint8 [3, H, W].
            classify: a picture uint8 [3, h, w] of any size to probabilities [K].
            class_names: a name per probability.
            box: x1 y1 x2 y2 in pixels; None begins with the whole picture.
            mode: "crop" or "cover".
            task: what to reach; its number is about `top_probability`.
            goal: when it is reached.
        """
        height, width = check_image(image).shape[1:]
        self.image, self.classify, self.class_names = image, classify, list(class_names)
        self.box = check_box(box or [0, 0, width, height], "box", (height, width))
        self.mode = mode
        canvas = BoxCanvas(image, "a picture under a window")
        canvas.editable = [{"name": "window", "role": "prediction"}]
        canvas.edited = [self.box]
        canvas.observe(self._dragged, names="edited")
        controls = [choice(self, "mode", "the window", MODES)]
        presets = {
            "all of it": {"box": [0.0, 0.0, float(width), float(height)], "mode": "crop"},
            "left half": {"box": pixel_box(width, height, 0.0, 0.0, 0.5, 1.0), "mode": "crop"},
            "right half": {"box": pixel_box(width, height, 0.5, 0.0, 1.0, 1.0), "mode": "crop"},
            "cover the middle": {
                "box": pixel_box(width, height, 0.3, 0.3, 0.7, 0.7),
                "mode": "cover",
            },
        }
        title = "Drag the window: what does the classifier say now?"
        super().__init__(title, canvas, controls, presets, task, goal)

    @property
    def seen(self) -> Tensor:
        """The picture that the classifier gets, uint8 [3, h, w]."""
        x1, y1, x2, y2 = (round(value) for value in self.box)
        if self.mode == "crop":
            return self.image[:, y1:y2, x1:x2]
        covered = self.image.clone()
        covered[:, y1:y2, x1:x2] = GREY
        return covered

    def fraction_seen(self, box: Sequence[float]) -> float:
        """How much of a box, x1 y1 x2 y2 in pixels, the classifier gets to see, 0 to 1."""
        whole, window = torch.tensor([list(box)]), torch.tensor([self.box])
        inside = (intersection_area(whole, window) / box_area(whole)).item()
        return inside if self.mode == "crop" else 1 - inside

    def draw(self) -> tuple[str, list[Item]]:
        """Ask the classifier."""
        self.canvas.edited = [self.box]
        region = {"box": self.box, "outside": True} if self.mode == "crop" else None
        self.canvas.regions = [region] if region else []
        self.canvas.show_overlay(None if self.mode == "crop" else self._cover())
        with torch.no_grad():
            probabilities = self.classify(self.seen)
        if probabilities.shape != (len(self.class_names),):
            raise ValueError(
                f"classify: want a probability per class ({len(self.class_names)}), "
                f"got {list(probabilities.shape)}"
            )
        self.probabilities = probabilities.tolist()
        best = int(probabilities.argmax())
        self.top_class, self.top_probability = self.class_names[best], self.probabilities[best]
        bars: list[Item] = [
            Bar(name, probability, f"{probability:.0%}")
            for name, probability in zip(self.class_names, self.probabilities, strict=True)
        ]
        return f"{self.top_class} {self.top_probability:.2f}", bars

    def _cover(self) -> Tensor:
        x1, y1, x2, y2 = (round(value) for value in self.box)
        cover = torch.zeros(4, *self.image.shape[1:], dtype=torch.uint8)
        cover[:3, y1:y2, x1:x2], cover[3, y1:y2, x1:x2] = GREY, 255
        return cover

    def _dragged(self, change: Any) -> None:
        (self.box,) = change["new"]
