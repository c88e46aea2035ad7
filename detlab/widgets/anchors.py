"""The anchor workbench: which shapes, how dense, and do they cover what is to be found?"""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import traitlets
from torch import Tensor

from detlab.boxes import box_iou, clip_boxes, xyxy_to_xywh
from detlab.detector.anchors import (
    anchor_grid,
    anchor_shapes,
    encode_boxes,
    grid_centres,
)
from detlab.training.anchor_fit import shape_iou
from detlab.widgets.canvas import BoxCanvas, check_image
from detlab.widgets.checks import check_truth, names_of
from detlab.widgets.lab import Goal, Lab, choice, one_thread, slider
from detlab.widgets.readout import Bar, Item, Row, Table
from detlab.widgets.roles import STATE

RATIOS = {
    "1": (1.0,),
    "1/2, 1, 2": (0.5, 1.0, 2.0),
    "1/3, 1/2, 1, 2, 3": (1 / 3, 0.5, 1.0, 2.0, 3.0),
}
ENOUGH = 0.5  # the IoU at which an anchor covers an object


class AnchorLab(Lab):
    """Choose sizes, ratios, strides and levels; see which objects some anchor covers.

    Level 0 has the stride and size that are set; each further level doubles both.
    """

    name: ClassVar[str] = "anchor"
    inputs: ClassVar[tuple[str, ...]] = (
        *("size", "scales", "ratios", "stride", "levels", "level", "cell", "box"),
    )
    headline: ClassVar[str] = "covered"

    size = traitlets.Float(32.0, help="pixels: square root of the area on level 0")
    scales = traitlets.Int(1, help="sizes per level")
    ratios = traitlets.Enum(tuple(RATIOS), "1/2, 1, 2", help="height / width")
    stride = traitlets.Int(16, help="pixels per cell on level 0")
    levels = traitlets.Int(3)
    level = traitlets.Int(0, help="the level whose anchors are drawn")
    cell = traitlets.List(traitlets.Float(), help="x y in the cell whose anchors are drawn")
    box = traitlets.List(traitlets.Float(), help="x1 y1 x2 y2: whose deltas are shown")

    def __init__(
        self,
        image: Tensor,
        target: Any,
        class_names: Sequence[str] = (),
        all_boxes: Tensor | None = None,
        size: float = 32.0,
        stride: int = 16,
        levels: int = 3,
        task: str = "",
        goal: Goal | None = None,
    ) -> None:
        """Lay anchors over a picture.

        Args:
            image: uint8 [3, H, W].
            target: its ground truth, one object at least.
            class_names: "background" first; for the table.
            all_boxes: [N, 4] boxes of the whole data set, for its coverage.
            size: pixels, see above.
            stride: pixels.
            levels: of the pyramid, 1 to 5.
            task: what to reach.
            goal: when it is reached.
        """
        height, width = check_image(image).shape[1:]
        self.target = check_truth(target, (height, width))
        if len(self.target["boxes"]) == 0:
            raise ValueError("target: want one object at least, got none")
        if size <= 0 or stride < 1 or not 1 <= levels <= 5:
            raise ValueError(
                f"want size > 0, stride >= 1, levels 1 to 5: {size}, {stride}, {levels}"
            )
        self.all_boxes = all_boxes
        self.image_size = (height, width)
        self.size, self.stride, self.levels = float(size), stride, levels
        self.names = names_of(self.target["labels"], class_names)
        self.box = beside(self.target["boxes"][0], (height, width))
        self.cell = [width / 2 + 1, height / 2 + 1]
        canvas = BoxCanvas(image, "a picture under anchors", cursor=self.cell)
        canvas.editable = [{"name": "your box", "role": "prediction"}]
        canvas.edited = [self.box]
        canvas.observe(self._dragged, names="edited")
        canvas.observe(self._pointed, names="cursor")
        largest = float(max(64, min(height, width) // 2))
        controls = [
            slider(self, "size", "size, px", 4.0, largest, 1.0),
            slider(self, "scales", "sizes a level", 1, 3, 1),
            choice(self, "ratios", "height / width", tuple(RATIOS)),
            choice(self, "stride", "stride, px", sorted({4, 8, 16, 32, 64, stride})),
            slider(self, "levels", "levels", 1, 5, 1),
            slider(self, "level", "show level", 0, 4, 1),
        ]
        begin: dict[str, Any] = {"size": self.size, "stride": stride, "scales": 1, "levels": levels}
        ratios = "1/2, 1, 2"
        presets: dict[str, dict[str, Any]] = {
            "too small": {**begin, "ratios": ratios, "size": 8.0, "levels": 1},
            "one square": {**begin, "ratios": "1", "levels": 1},
            "sparse": {**begin, "ratios": ratios, "stride": 64, "levels": 1},
            "rich": {**begin, "ratios": "1/3, 1/2, 1, 2, 3", "scales": 3, "levels": 4},
        }
        title = "Choose the guesses: does every animal get an anchor that fits?"
        super().__init__(title, canvas, controls, presets, task, goal)

    @one_thread()
    def draw(self) -> tuple[str, list[Item]]:
        """Lay the grid, and measure it with the package's IoU."""
        grids = [self._grid(level) for level in range(self.levels)]
        self.anchors = torch.cat(grids)
        iou = box_iou(self.anchors, self.target["boxes"])  # [A, M]
        self.best_iou, best = iou.max(dim=0)
        self.positives = (iou >= ENOUGH).sum(dim=0)
        self.covered = int((self.best_iou >= ENOUGH).sum())
        self._show(min(self.level, self.levels - 1), self.anchors[best])
        objects = len(self.target["boxes"])
        rows = zip(self.names, self.best_iou.tolist(), self.positives.tolist(), strict=True)
        items: list[Item] = [
            Bar("objects covered", self.covered / objects, f"{self.covered}/{objects}"),
            *self._whole_set(),
            Table(
                ["object", "best IoU", f"anchors ≥ {ENOUGH}"],
                [[name, f"{value:.2f}", str(count)] for name, value, count in rows],
            ),
        ]
        result = f"{self.covered} of {objects} objects covered by {len(self.anchors):,} anchors"
        return result, items

    def _shapes(self, level: int) -> Tensor:
        sizes = [self.size * 2 ** (level + part / self.scales) for part in range(self.scales)]
        return anchor_shapes(sizes, RATIOS[self.ratios])

    def _feature_size(self, level: int) -> tuple[int, int]:
        height, width = self.image_size
        stride = self.stride * 2**level
        return -(-height // stride), -(-width // stride)

    def _grid(self, level: int) -> Tensor:
        return anchor_grid(self._feature_size(level), self.stride * 2**level, self._shapes(level))

    def _show(self, level: int, best_anchors: Tensor) -> None:
        stride = self.stride * 2**level
        centres = grid_centres(self._feature_size(level), stride)
        nearest = (centres - torch.tensor(self.cell)).square().sum(dim=1).argmin()
        shapes = len(self._shapes(level))
        here = self._grid(level)[nearest * shapes : (nearest + 1) * shapes]
        parts = {"ignored": here, "positive": best_anchors, "truth": self.target["boxes"]}
        states = [torch.full((len(part),), STATE[role]) for role, part in parts.items()]
        covered = self.best_iou >= ENOUGH
        states[2] = torch.where(covered, STATE["truth"], STATE["missed"])
        texts = [f"anchor {w:.0f} × {h:.0f}" for w, h in self._shapes(level).tolist()]
        texts += [f"best anchor of {name}" for name in self.names]
        texts += [
            f"{name}: best IoU {iou:.2f}"
            for name, iou in zip(self.names, self.best_iou, strict=True)
        ]
        self.canvas.show_boxes(
            torch.cat(list(parts.values())), torch.cat(states).to(torch.uint8), texts
        )
        self.canvas.show_points(
            centres, torch.full((len(centres),), STATE["ignored"], dtype=torch.uint8)
        )
        self.canvas.cursor_step = [float(stride), float(stride)]
        self.canvas.cursor = self.cell
        self.canvas.edited = [self.box]

    def _whole_set(self) -> list[Item]:
        if self.all_boxes is None:
            return []
        shapes = torch.cat([self._shapes(level) for level in range(self.levels)])
        fits = shape_iou(xyxy_to_xywh(self.all_boxes)[:, 2:], shapes).amax(dim=1) >= ENOUGH
        self.set_coverage = fits.float().mean().item()
        return [Bar("data set (centred)", self.set_coverage, f"{self.set_coverage:.0%}")]

    def explain(self) -> list[Item]:
        """What the marked things are, and how far the box is from its best anchor."""
        box = torch.tensor([self.box])
        iou, row = box_iou(self.anchors, box)[:, 0].max(dim=0)
        self.deltas = encode_boxes(box, self.anchors[row, None])[0].tolist()
        dx, dy, dw, dh = (f"{round(value, 2) + 0.0:.2f}" for value in self.deltas)
        return [
            Row("your box: IoU with its best anchor", f"{iou:.2f}", "prediction"),
            Row("deltas from it: dx, dy", f"{dx}, {dy}"),
            Row("deltas from it: dw, dh", f"{dw}, {dh}"),
            Row("anchors of the cell at the cross", str(len(self._shapes(0))), "ignored"),
            Row("best anchor of each object", "", "positive"),
            Row("object that no anchor covers", "", "missed"),
        ]

    def _dragged(self, change: Any) -> None:
        (self.box,) = change["new"]

    def _pointed(self, change: Any) -> None:
        self.cell = change["new"]


def beside(box: Tensor, image_size: tuple[int, int]) -> list[float]:
    """A box of the same shape a little to the side, so that it hides nothing."""
    height, width = image_size
    x1, y1, x2, y2 = box.tolist()
    dx = 0.3 * (x2 - x1) * (1 if x2 + 0.3 * (x2 - x1) <= width else -1)
    dy = 0.3 * (y2 - y1) * (1 if y2 + 0.3 * (y2 - y1) <= height else -1)
    moved = clip_boxes(torch.tensor([[x1 + dx, y1 + dy, x2 + dx, y2 + dy]]), image_size)
    return [float(value) for value in moved[0].round().tolist()]
