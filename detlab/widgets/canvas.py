"""The drawing surface of every lab: a picture, thousands of boxes to see, a few boxes to touch.

Python says what is there, the browser draws it (canvas.js). Boxes go over once as float32; from
then on one byte of state per box says which role each is drawn in. What a hand drags comes back
in `edited`. Nothing here computes anything about detection.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import torch
import traitlets
from ipywidgets import widget_serialization
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from detlab.checks import check_boxes
from detlab.widgets.roles import ROLES, STATE, role, role_table

HERE = Path(__file__).parent
FROM_HAND = {"sync": True, "echo_update": False}
"""For what a hand moves in the browser: the kernel does not send it back where it came from."""


class Part(anywidget.AnyWidget):
    """What canvas.js draws; `_part` says which of its functions does."""

    _esm = HERE / "canvas.js"
    _css = HERE / "canvas.css"


class Header(Part):
    """What to do, the task, and its tick."""

    _part = traitlets.Unicode("header").tag(sync=True)

    title = traitlets.Unicode().tag(sync=True)
    task = traitlets.Unicode().tag(sync=True)
    reached = traitlets.Bool(False).tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)


class BoxCanvas(Part):
    """A picture under boxes. All coordinates are pixels of the picture, x1 y1 x2 y2.

    >>> canvas = BoxCanvas(torch.zeros(3, 60, 80, dtype=torch.uint8), alt="dark")
    >>> canvas.show_boxes(torch.tensor([[1.0, 2.0, 30.0, 40.0]]), "truth")
    >>> canvas
    <BoxCanvas 80 x 60 pixels: 1 box, 0 to drag>
    """

    _part = traitlets.Unicode("canvas").tag(sync=True)

    _picture = traitlets.Bytes().tag(sync=True)
    _overlay = traitlets.Bytes().tag(sync=True)
    image_size = traitlets.Tuple((0, 0), help="height, width").tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    roles = traitlets.List(role_table()).tag(sync=True)
    result = traitlets.Unicode(help="the line under the picture, read aloud").tag(sync=True)
    beside = traitlets.Unicode(help="HTML that `Numbers` show").tag(sync=True)
    below = traitlets.Unicode(help="the same, under the result").tag(sync=True)

    _boxes = traitlets.Bytes().tag(sync=True)
    _states = traitlets.Bytes().tag(sync=True)
    _points = traitlets.Bytes().tag(sync=True)
    _point_states = traitlets.Bytes().tag(sync=True)
    texts = traitlets.List(traitlets.Unicode(), help="one per box, shown on hover").tag(sync=True)
    tags = traitlets.Int(0, help="write the texts on up to so many boxes of a role").tag(sync=True)
    selectable = traitlets.Bool(False).tag(sync=True)
    selected = traitlets.Int(-1, help="the clicked box, -1 is none").tag(**FROM_HAND)

    edited = traitlets.List(traitlets.List(traitlets.Float())).tag(**FROM_HAND)
    editable: Any = traitlets.List(help="name and role of each edited box").tag(sync=True)
    snap = traitlets.Float(1.0, help="pixels that a dragged edge snaps to, 0: none").tag(sync=True)
    shade = traitlets.Float(0.0, help="how much editable boxes are filled").tag(sync=True)
    overlap = traitlets.Bool(False, help="shade what the first two share").tag(sync=True)
    arrows: Any = traitlets.List(help="dicts with from, to, role").tag(sync=True)
    regions: Any = traitlets.List(help="dicts with box and role, or box and outside").tag(sync=True)
    cursor = traitlets.List(traitlets.Float(), help="x y of a movable point").tag(**FROM_HAND)
    cursor_step = traitlets.List([1.0, 1.0]).tag(sync=True)
    shortcuts: Any = traitlets.List(help="pairs: a key that is sent, what it does").tag(sync=True)

    def __init__(self, image: Tensor, alt: str, **traits: Any) -> None:
        """Show `image`, uint8 [3, H, W]; `alt` says in words what it shows."""
        super().__init__(alt=alt, **traits)
        self.boxes, self.points = torch.zeros(0, 4), torch.zeros(0, 2)
        self.show_image(image)

    def show_image(self, image: Tensor) -> None:
        """Put another picture under the boxes."""
        self.image = check_image(image)
        height, width = image.shape[1:]
        with self.hold_sync():
            self.image_size = (height, width)
            self._picture = encode_image(image)

    def show_overlay(self, rgba: Tensor | None) -> None:
        """Lay a see-through uint8 [4, h, w] over the picture, stretched to its size."""
        self.overlay = rgba
        self._overlay = b"" if rgba is None else encode_image(rgba)

    def show_boxes(
        self, boxes: Float[Tensor, "N 4"], states: str | Tensor, texts: Sequence[str] = ()
    ) -> None:
        """Send boxes, and the role of all or the state of each, see `roles.STATE`."""
        if texts and len(texts) != len(boxes):
            raise ValueError(f"want a text per box ({len(boxes)}), got {len(texts)}")
        if isinstance(states, str):
            role(states)  # refuses one that is not there
            states = torch.full((len(boxes),), STATE[states], dtype=torch.uint8)
        self.boxes = boxes
        with self.hold_sync():
            self.selected = -1
            self.texts = list(texts)
            self._boxes = to_bytes(boxes.float())
            self.show_states(states)

    def show_states(self, states: UInt8[Tensor, " N"]) -> None:
        """Colour the boxes that are there anew: one byte a box."""
        self._states = to_bytes(check_states(states, len(self._boxes) // 16))

    def show_points(self, points: Float[Tensor, "P 2"], states: UInt8[Tensor, " P"]) -> None:
        """Draw small dots at x y, coloured as boxes are."""
        self.points = points
        with self.hold_sync():
            self._points = to_bytes(points.float())
            self._point_states = to_bytes(check_states(states, len(points)))

    @property
    def states(self) -> UInt8[Tensor, " N"]:
        """The state that each box is drawn in."""
        return torch.tensor(list(self._states), dtype=torch.uint8)

    @property
    def point_states(self) -> UInt8[Tensor, " P"]:
        """The state that each dot is drawn in."""
        return torch.tensor(list(self._point_states), dtype=torch.uint8)

    def __repr__(self) -> str:
        """Say what is drawn, without an address."""
        height, width = self.image_size
        count = len(self._states)
        plural = "box" if count == 1 else "boxes"
        return (
            f"<BoxCanvas {width} x {height} pixels: {count} {plural}, {len(self.edited)} to drag>"
        )


class Numbers(Part):
    """What is known about a picture. The text is the canvas's own, for each message costs time."""

    _part = traitlets.Unicode("numbers").tag(sync=True)

    canvas = traitlets.Instance(BoxCanvas).tag(sync=True, **widget_serialization)
    place = traitlets.Enum(["beside", "below"]).tag(sync=True)


def check_image(image: Any) -> Tensor:
    """Refuse what is no picture.

    Raises:
        ValueError: says what came instead of a uint8 tensor [3, H, W].
    """
    if not isinstance(image, Tensor):
        raise ValueError(f"image: want a uint8 tensor [3, H, W], got a {type(image).__name__}")
    if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[0] != 3 or 0 in image.shape:
        raise ValueError(
            f"image: want a uint8 tensor [3, H, W], got {image.dtype} {list(image.shape)}"
        )
    return image


def check_box(box: Any, where: str, image_size: tuple[int, int]) -> list[float]:
    """One box as four floats, inside the picture.

    Raises:
        ValueError: names the box and says what is wrong with it.

    >>> check_box([1, 2, 3, 4], "truth", (60, 80))
    [1.0, 2.0, 3.0, 4.0]
    """
    as_tensor = torch.as_tensor(box, dtype=torch.float32)
    if as_tensor.shape != (4,):
        raise ValueError(f"{where}: want four numbers x1 y1 x2 y2, got {box}")
    check_boxes(as_tensor[None], where)
    height, width = image_size
    x1, y1, x2, y2 = (float(value) for value in box)
    if x1 < 0 or y1 < 0 or x2 > width or y2 > height:
        raise ValueError(f"{where}: want a box inside {width} x {height} pixels, got {box}")
    return [x1, y1, x2, y2]


def check_states(states: Tensor, count: int) -> Tensor:
    """Refuse states that are not one known role per box."""
    if states.dtype != torch.uint8 or states.shape != (count,):
        raise ValueError(
            f"states: want uint8, one per box ({count}); got {states.dtype} {list(states.shape)}"
        )
    if len(states) and int(states.max()) >= len(ROLES):
        raise ValueError(f"states: want 0 to {len(ROLES) - 1}, got {int(states.max())}")
    return states


def to_bytes(values: Tensor) -> bytes:
    """The plain bytes of a tensor, as the browser reads them."""
    return values.detach().cpu().contiguous().numpy().tobytes()


def encode_image(image: UInt8[Tensor, "C H W"]) -> bytes:
    """A picture as a file: JPEG, or PNG where it is see-through."""
    file = io.BytesIO()
    picture = Image.fromarray(image.detach().cpu().permute(1, 2, 0).contiguous().numpy())
    if image.shape[0] == 4:
        picture.save(file, "PNG")
    else:
        picture.save(file, "JPEG", quality=92, subsampling=0)
    return file.getvalue()
