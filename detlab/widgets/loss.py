"""Every box loss by hand: its value, and where its gradient pushes each edge of the box."""

from collections.abc import Callable
from typing import Any, ClassVar

import ipywidgets as widgets
import torch
import traitlets
from torch import Tensor

from detlab.boxes import box_iou, clip_boxes
from detlab.detector.box_losses import giou_loss, iou_loss, l1_loss, smooth_l1_loss, squared_loss
from detlab.widgets.canvas import BoxCanvas, check_box, check_image
from detlab.widgets.iou import example_pairs
from detlab.widgets.lab import Goal, Lab, buttons_row, choice, slider
from detlab.widgets.readout import Item, Row, Table, Words

Loss = Callable[[Tensor, Tensor], Tensor]

BETA = 20.0  # pixels: a border within so few of its goal is pulled more gently

LOSSES: dict[str, Loss] = {  # predicted [1, 4], truth [1, 4] to a scalar; pixels
    "L1": lambda box, truth: l1_loss(box, truth).sum(),
    "Smooth L1": lambda box, truth: smooth_l1_loss(box, truth, beta=BETA).sum(),
    "L2": lambda box, truth: squared_loss(box, truth).sum(),
    "IoU": lambda box, truth: iou_loss(box, truth)[0],
    "GIoU": lambda box, truth: giou_loss(box, truth)[0],
}
STEP = {"L1": 12.0, "Smooth L1": 12.0, "L2": 0.1, "IoU": 9000.0, "GIoU": 9000.0}
"""The learning rate at step length 1: how many pixels an edge moves per unit of gradient."""
LABELS = {
    "Smooth L1": f"Smooth L1, beta {BETA:g} px",
    "IoU": "IoU loss, 1 − IoU",
    "GIoU": "GIoU loss, 1 − GIoU",
}
"""What the table calls a loss whose name alone could be misread."""


class LossLab(Lab):
    """Drag the prediction: five losses, and the step that the chosen one would take.

    The arrows are that step: minus the learning rate times the gradient, edge by edge.
    """

    name: ClassVar[str] = "loss"
    inputs: ClassVar[tuple[str, ...]] = ("truth", "prediction", "loss", "step_length", "steps")
    headline: ClassVar[str] = "iou"

    truth = traitlets.List(traitlets.Float())
    prediction = traitlets.List(traitlets.Float())
    loss = traitlets.Enum(tuple(LOSSES), "GIoU")
    step_length = traitlets.Float(1.0)
    steps = traitlets.Int(0, help="taken since the boxes were placed")

    def __init__(
        self,
        image: Tensor,
        truth: Any,
        prediction: Any,
        loss: str = "GIoU",
        task: str = "",
        goal: Goal | None = None,
    ) -> None:
        """Boxes are x1 y1 x2 y2 in pixels of `image`, uint8 [3, H, W]."""
        height, width = check_image(image).shape[1:]
        self.truth = check_box(truth, "truth", (height, width))
        self.prediction = check_box(prediction, "prediction", (height, width))
        if loss not in LOSSES:
            raise ValueError(f"loss: want one of {list(LOSSES)}, got {loss!r}")
        self.loss = loss
        canvas = BoxCanvas(image, "a picture under a true and a predicted box", snap=0.0)
        canvas.editable = [
            {"name": "truth", "role": "truth"},
            {"name": "prediction", "role": "prediction"},
        ]
        canvas.edited = [self.truth, self.prediction]
        canvas.observe(self._dragged, names="edited")
        self.step_button = widgets.Button(description="take a step", button_style="primary")
        self.step_button.on_click(lambda _: self.take_step())
        controls = [
            choice(self, "loss", "loss", tuple(LOSSES)),
            slider(self, "step_length", "step length", 0.1, 4.0, 0.1),
            buttons_row([self.step_button]),
        ]
        pairs = example_pairs(width, height)
        presets = {name: {**pair, "steps": 0} for name, pair in pairs.items()}
        title = "Drag the prediction: where does each loss push it?"
        super().__init__(title, canvas, controls, presets, task, goal)

    def draw(self) -> tuple[str, list[Item]]:
        """Every loss and its gradient by autograd, over the package's functions."""
        self.canvas.edited = [self.truth, self.prediction]
        truth = torch.tensor([self.truth])
        self.losses, self.gradients = {}, {}
        for name, loss in LOSSES.items():
            box = torch.tensor([self.prediction], requires_grad=True)
            value = loss(box, truth)
            (gradient,) = torch.autograd.grad(value, box)
            self.losses[name], self.gradients[name] = value.item(), gradient[0]
        self.iou = box_iou(torch.tensor([self.prediction]), truth).item()
        self.canvas.arrows = self._arrows()
        items: list[Item] = [
            Table(["loss", "value", "largest gradient"], self._rows()),
            Row("IoU of the two boxes", f"{self.iou:.3f}"),
            Row("steps since the boxes were placed", str(self.steps)),
        ]
        if not self.gradients[self.loss].any():
            zero = "The gradient is zero: this loss does not say where to go."
            items.append(Words(zero if self.losses[self.loss] > 0 else "The boxes are the same."))
        taken = f", steps: {self.steps}" if self.steps else ""
        chosen = self.losses[self.loss]
        return f"{self.loss} loss = {chosen:.4g}, IoU = {self.iou:.3f}{taken}", items

    def _rows(self) -> list[list[str]]:
        """Name, value and largest gradient of each loss; the chosen one is marked."""
        return [
            [
                ("▸ " if name == self.loss else "") + LABELS.get(name, name),
                short(self.losses[name]),
                size_of(gradient),
            ]
            for name, gradient in self.gradients.items()
        ]

    def take_step(self) -> None:
        """Move the prediction down the chosen gradient."""
        image_size = self.canvas.image_size
        moved = clip_boxes((torch.tensor(self.prediction) + self._step())[None], image_size)[0]
        x1, y1, x2, y2 = moved.tolist()
        with self.hold_trait_notifications():
            self.prediction = [min(x1, x2 - 1), min(y1, y2 - 1), x2, y2]  # never inside out
            self.steps += 1

    def _step(self) -> Tensor:
        return -self.step_length * STEP[self.loss] * self.gradients[self.loss]

    def _arrows(self) -> list[dict[str, Any]]:
        x1, y1, x2, y2 = self.prediction
        dx1, dy1, dx2, dy2 = self._step().tolist()
        across, down = (x1 + x2) / 2, (y1 + y2) / 2
        pushes = [
            ((x1, down), (dx1, 0.0)),
            ((across, y1), (0.0, dy1)),
            ((x2, down), (dx2, 0.0)),
            ((across, y2), (0.0, dy2)),
        ]
        return [
            {"from": [x, y], "to": [x + dx, y + dy], "role": "prediction"}
            for (x, y), (dx, dy) in pushes
        ]

    def _dragged(self, change: Any) -> None:
        if change["new"] == [self.truth, self.prediction]:  # drawn after a step, not dragged
            return
        with self.hold_trait_notifications():
            self.truth, self.prediction = change["new"]
            self.steps = 0


def size_of(gradient: Tensor) -> str:
    """The largest part of a gradient, in words where it is nothing."""
    largest = gradient.abs().max().item()
    return short(largest) if largest else "0, nothing"


def short(value: float) -> str:
    """Three digits that matter, and no powers of ten.

    >>> short(107600.0), short(0.00148), short(12.345)
    ('107,600', '0.00148', '12.3')
    """
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
