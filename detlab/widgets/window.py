"""A classifier slid over the picture: many windows, one score each, and what that costs."""

import time
from collections.abc import Callable
from typing import ClassVar

import torch
import traitlets
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate, pad

from detlab.detector.anchors import window_boxes
from detlab.widgets.canvas import BoxCanvas, check_image
from detlab.widgets.lab import Goal, Lab, slider
from detlab.widgets.readout import Item, Row, Words

BATCH = 256  # windows scored at once, so that a fine grid fits in memory
NIGHT = (4, 18, 26)  # red green blue of the veil over the picture
DARKEST = 205.0  # its opacity where the score is 0, of 255


class WindowLab(Lab):
    """Choose the size and the stride of a window; see its scores, their number, the time."""

    name: ClassVar[str] = "window"
    inputs: ClassVar[tuple[str, ...]] = ("size", "stride")
    headline: ClassVar[str] = "num_windows"

    size = traitlets.Int(64, help="side of the window, pixels")
    stride = traitlets.Int(32, help="pixels from one window to the next")

    def __init__(
        self,
        image: Tensor,
        score: Callable[[Tensor], Tensor],
        size: int = 64,
        stride: int = 32,
        task: str = "",
        goal: Goal | None = None,
    ) -> None:
        """Slide over a picture.

        Args:
            image: uint8 [3, H, W].
            score: windows uint8 [N, 3, size, size] to scores [N] from 0 to 1.
            size: pixels, at most the picture's shorter side.
            stride: pixels.
            task: what to reach; its number is about `num_windows`.
            goal: when it is reached.
        """
        shorter = min(check_image(image).shape[1:])
        if not 1 <= size <= shorter or stride < 1:
            raise ValueError(f"want 1 <= size <= {shorter} and stride >= 1, got {size}, {stride}")
        self.image, self.score = image, score
        self.size, self.stride = size, stride
        canvas = BoxCanvas(image, "a picture under a score map")
        low = max(1, shorter // 12)
        controls = [
            slider(self, "size", "window, px", min(low, size), shorter, 1),
            slider(
                self,
                "stride",
                "stride, px",
                min(low // 2 or 1, stride),
                max(shorter // 2, stride),
                1,
            ),
        ]
        presets = {
            "coarse": {"size": shorter // 2, "stride": shorter // 4},
            "usual": {"size": shorter // 3, "stride": shorter // 8},
            "fine": {"size": shorter // 4, "stride": max(1, shorter // 24)},
        }
        title = "Slide a window: where does the classifier fire, and what does it cost?"
        super().__init__(title, canvas, controls, presets, task, goal)

    def draw(self) -> tuple[str, list[Item]]:
        """Score every window and lay the map over the picture."""
        windows = self.image.unfold(1, self.size, self.stride).unfold(2, self.size, self.stride)
        rows, columns = windows.shape[1:3]
        crops = windows.permute(1, 2, 0, 3, 4).reshape(-1, 3, self.size, self.size)
        began = time.perf_counter()
        with torch.no_grad():
            self.scores = torch.cat([self.score(part) for part in crops.split(BATCH)])
        self.seconds = time.perf_counter() - began
        self.num_windows = len(crops)
        height, width = self.canvas.image_size
        self.boxes = window_boxes((height, width), (self.size, self.size), self.stride)
        best = int(self.scores.argmax())
        self.canvas.regions = [
            {"box": self.boxes[0].tolist(), "role": "ignored"},
            {"box": self.boxes[best].tolist(), "role": "prediction"},
        ]
        self.canvas.show_overlay(self._map(self.scores.view(rows, columns)))
        each = self.seconds / self.num_windows
        return f"{self.num_windows:,} windows, best score {self.scores[best]:.2f}", [
            Row("windows", f"{columns} × {rows} = {self.num_windows:,}", strong=True),
            Row("time for all of them", f"{1000 * self.seconds:,.0f} ms"),
            Row("time for one", f"{1000 * each:.2f} ms"),
            Row("best window", f"{self.scores[best]:.2f}", "prediction"),
            Row("the first window", f"{self.size} × {self.size} px", "ignored"),
            Words("Clear: high score. Dark: low score. Each at the middle of its window."),
        ]

    def _map(self, scores: Float[Tensor, "rows columns"]) -> Tensor:
        """A veil over the picture, thinner where windows around that point score more."""
        rows, columns = scores.shape
        height, width = self.canvas.image_size
        veil = torch.full((height, width), DARKEST)
        top = left = (self.size - 3 * self.stride) // 2  # a stride of 0 around the first middle
        patch = DARKEST * (1 - pad(scores, [1, 1, 1, 1]))[None, None]
        size = [(rows + 2) * self.stride, (columns + 2) * self.stride]
        smooth = interpolate(patch, size, mode="bilinear")[0, 0]
        y1, x1 = max(top, 0), max(left, 0)
        seen = smooth[y1 - top : height - top, x1 - left : width - left]
        veil[y1 : y1 + seen.shape[0], x1 : x1 + seen.shape[1]] = seen
        night = torch.tensor(NIGHT, dtype=torch.uint8)[:, None, None].expand(3, height, width)
        return torch.cat([night, veil.round().to(torch.uint8)[None]])
