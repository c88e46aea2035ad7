"""One box, four ways to write it down."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import ipywidgets as widgets
import torch
import traitlets
from torch import Tensor

from detlab.boxes import (
    cxcywh_to_xyxy,
    normalise_boxes,
    scale_boxes,
    xywh_to_xyxy,
    xyxy_to_cxcywh,
    xyxy_to_xywh,
)
from detlab.widgets.canvas import BoxCanvas, check_box, check_image
from detlab.widgets.lab import Goal, Lab
from detlab.widgets.readout import Item, Row

Convert = Callable[[Tensor], Tensor]

MEANING = {
    "xyxy": "left, top, right, bottom",
    "xywh": "left, top, width, height",
    "cxcywh": "centre x, centre y, width, height",
    "normalised": "xyxy as fractions of the picture",
}


class FormatLab(Lab):
    """Drag a box, or type its four numbers in any format; all formats follow.

    >>> lab = FormatLab(torch.zeros(3, 60, 80, dtype=torch.uint8), [10, 20, 40, 50])
    >>> lab.write("cxcywh", "40, 30, 20, 10")
    >>> lab
    <format lab: x 30 to 50, y 25 to 35: 20 × 10 pixels>
    """

    name: ClassVar[str] = "format"
    inputs: ClassVar[tuple[str, ...]] = ("box",)

    box = traitlets.List(traitlets.Float(), help="x1 y1 x2 y2 in pixels of the picture")

    def __init__(self, image: Tensor, box: Any, task: str = "", goal: Goal | None = None) -> None:
        """The box is x1 y1 x2 y2 in pixels of `image`, uint8 [3, H, W]."""
        height, width = check_image(image).shape[1:]
        self.image_size = (height, width)
        self.box = check_box(box, "box", (height, width))
        self.formats = formats((height, width))
        self.fields = {name: self._field(name) for name in self.formats}
        canvas = BoxCanvas(image, "a picture under one box", shade=0.12)
        canvas.editable = [{"name": "box", "role": "truth"}]
        canvas.edited = [self.box]
        canvas.observe(self._dragged, names="edited")
        presets = {
            "wide": {"box": pixel_box(width, height, 0.1, 0.4, 0.9, 0.6)},
            "tall": {"box": pixel_box(width, height, 0.4, 0.1, 0.6, 0.9)},
            "corner": {"box": pixel_box(width, height, 0.0, 0.0, 0.25, 0.25)},
            "whole picture": {"box": [0.0, 0.0, float(width), float(height)]},
        }
        title = "Drag the box, or type its numbers"
        controls = list(self.fields.values())
        super().__init__(title, canvas, controls, presets, task, goal)

    @property
    def values(self) -> dict[str, list[float]]:
        """The four numbers in every format."""
        box = torch.tensor([self.box], dtype=torch.float64)
        return {name: there(box)[0].tolist() for name, (there, _) in self.formats.items()}

    def write(self, name: str, numbers: str) -> None:
        """Set the box from four numbers in the format `name`.

        Raises:
            ValueError: they are not four numbers, or no box inside the picture.
        """
        try:
            four = [float(part) for part in numbers.replace(",", " ").split()]
        except ValueError as error:
            raise ValueError(
                f"{name}: want four numbers ({MEANING[name]}), got {numbers!r}"
            ) from error
        if len(four) != 4:
            raise ValueError(f"{name}: want four numbers ({MEANING[name]}), got {len(four)}")
        _, back = self.formats[name]
        xyxy = back(torch.tensor([four], dtype=torch.float64))[0]
        self.box = check_box(xyxy.round(decimals=3).tolist(), name, self.image_size)

    def draw(self) -> tuple[str, list[Item]]:
        """Write the box into every field."""
        self.canvas.edited = [self.box]
        self._header.note = ""
        for name, numbers in self.values.items():
            self.fields[name].value = ", ".join(f"{number:.4g}" for number in numbers)
        x1, y1, x2, y2 = (f"{number:.4g}" for number in self.box)
        *_, width, height = self.values["xywh"]
        return (
            f"x {x1} to {x2}, y {y1} to {y2}: {width:.4g} × {height:.4g} pixels",
            [Row(name, meaning) for name, meaning in MEANING.items()],
        )

    def _field(self, name: str) -> widgets.Text:
        field = widgets.Text(description=name, continuous_update=False)
        field.tooltip = MEANING[name]
        field.observe(partial(self._typed, name), names="value")
        return field

    def _typed(self, name: str, change: Any) -> None:
        written = ", ".join(f"{number:.4g}" for number in self.values[name])
        self._header.note = ""
        if change["new"] == written:
            return
        try:
            self.write(name, change["new"])
        except ValueError as error:  # shown to whoever typed it, and the box stays
            self._header.note = str(error)

    def _dragged(self, change: Any) -> None:
        (self.box,) = change["new"]


def formats(image_size: tuple[int, int]) -> dict[str, tuple[Convert, Convert]]:
    """Each format with its way from corners and its way back."""
    return {
        "xyxy": (lambda boxes: boxes, lambda boxes: boxes),
        "xywh": (xyxy_to_xywh, xywh_to_xyxy),
        "cxcywh": (xyxy_to_cxcywh, cxcywh_to_xyxy),
        "normalised": (
            partial(normalise_boxes, image_size=image_size),
            partial(scale_boxes, image_size=(1, 1), wanted_size=image_size),
        ),
    }


def pixel_box(width: int, height: int, x1: float, y1: float, x2: float, y2: float) -> list[float]:
    """A box given in fractions of a picture, in whole pixels."""
    return [float(round(s)) for s in (x1 * width, y1 * height, x2 * width, y2 * height)]
