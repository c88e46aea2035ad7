"""Boxes on a picture, pictures in a grid, and the curves of a training.

Uses roles.py for colours and line styles. Every function draws on the axis
or figure that it is given or makes one of its own; pyplot's hidden current figure is not used, so
this works without a screen and nothing stays behind.
"""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke
from PIL import Image
from torch import Tensor

from detlab.draw.roles import CASING, find_role
from detlab.files import write_atomically
from detlab.images import image_size
from detlab.types import Detection, Target

POINTS_PER_PIXEL = 72 / 100
"""Roles count in screen pixels of 1/100 inch, matplotlib in points of 1/72 inch."""
MANY = 300
"""From so many boxes on they are drawn thin, solid and without dark edges."""


GRID, ALONE = 3.2, 9.0
"""Inches: the width of a picture in a grid, and the longer side of one that stands alone."""
MOST_CAPTIONS = 12
"""Of a small picture only the best detections are named: more plates would hide it."""


class Picture(NamedTuple):
    """An image, what is there, and what was found; None where that is not known or not shown."""

    image: Tensor
    """[3, H, W], uint8 or floats from 0 to 1."""
    target: Target | None = None
    detection: Detection | None = None
    title: str = ""


class Layers(NamedTuple):
    """An image under boxes of several roles, those that matter most last."""

    image: Tensor
    """[3, H, W], uint8 or floats from 0 to 1."""
    boxes: Mapping[str, Tensor]
    """Role to boxes [N, 4], in the image's pixels."""
    title: str = ""


def draw_image(ax: Axes, image: Shaped[Tensor, "3 H W"]) -> None:
    """Show an image in its own pixels: x from 0 to width, y from 0 (top) to height.

    Raises:
        ValueError: the image is neither uint8 nor floats from 0 to 1 (a normalised one is not).
    """
    if image.is_floating_point():
        low, high = float(image.min()), float(image.max())
        if not (low >= 0 and high <= 1):  # NaN, too
            raise ValueError(f"a float image needs values from 0 to 1; they are {low} to {high}")
    elif image.dtype != torch.uint8:
        raise ValueError(f"want an image of uint8 or floats; got {image.dtype}")
    height, width = image_size(image)
    pixels = image.detach().cpu().float() if image.is_floating_point() else image.cpu()
    ax.imshow(pixels.permute(1, 2, 0).numpy(), extent=(0, width, height, 0))
    ax.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def draw_boxes(
    ax: Axes,
    boxes: Float[Tensor, "N 4"],
    role: str = "prediction",
    captions: Sequence[str] = (),
    scale: float = 1.0,
) -> None:
    """Draw boxes x1 y1 x2 y2 in the colour and line style of their role.

    Args:
        ax: an axis in pixels, see `draw_image`.
        boxes: pixels of the image.
        role: a name of `roles.ROLES`.
        captions: one for each box ("" draws none), or none at all; see `box_captions`.
        scale: of lines and letters, below 1 for small pictures.

    Raises:
        ValueError: an unknown role, or another number of captions than of boxes.
    """
    if len(captions) not in (0, len(boxes)):
        raise ValueError(f"want a caption per box ({len(boxes)}) or none; got {len(captions)}")
    x1, y1, x2, y2 = boxes.detach().cpu().float().unbind(dim=1)
    corners = torch.stack([x1, y1, x2, y1, x2, y2, x1, y2], dim=1).reshape(-1, 4, 2).numpy()
    look, many = find_role(role), len(boxes) > MANY
    width = look.width * POINTS_PER_PIXEL * scale * (0.4 if many else 1)
    if not many:
        casing = width + 1.5 * POINTS_PER_PIXEL * scale
        _add_outlines(ax, corners, CASING, casing, "solid")
    _add_outlines(ax, corners, look.colour, width, "solid" if many else dashes(role))
    for caption, box in zip(captions, boxes.tolist(), strict=False):
        if caption:
            draw_caption(ax, caption, box, role, scale)


def _add_outlines(ax: Axes, corners: Any, colour: str, width: float, style: Any) -> None:
    """All outlines of one colour in one go; a thousand single patches would take seconds."""
    outlines = PolyCollection(
        corners, facecolors="none", edgecolors=colour, linewidths=width, linestyles=style, zorder=2
    )
    ax.add_collection(outlines, autolim=False)


def dashes(role: str) -> Any:
    """A role's line style as matplotlib wants it: lengths in multiples of the line's width.

    >>> dashes("truth"), dashes("ignored")
    ('solid', (0, (0.91, 1.82)))
    """
    look = find_role(role)
    if not look.dash:
        return "solid"
    return (0, tuple(round(length / look.width, 2) for length in look.dash))


def draw_caption(
    ax: Axes, caption: str, box: Sequence[float], role: str, scale: float = 1.0
) -> None:
    """Write on a plate of the role's colour: truth under its box, everything else above it.

    At the picture's edges the plate moves inside: it stays whole where the box is cut off.
    """
    x1, y1, x2, y2 = box
    (left, right), (height, _) = ax.get_xlim(), ax.get_ylim()
    below, room = role == "truth", 0.05 * height
    inside = y2 + room > height if below else y1 - room < 0
    from_right = x1 > right - 0.25 * (right - left)
    ax.text(
        min(x2, right) if from_right else max(x1, left),
        min(y2, height) if below else max(y1, 0),
        caption,
        ha="right" if from_right else "left",
        va="top" if below != inside else "bottom",
        size=9.5 * scale,
        color=CASING,
        bbox={"facecolor": find_role(role).colour, "edgecolor": "none", "pad": 1.2 * scale},
        parse_math=False,  # a class's name may hold $
        clip_on=True,
        zorder=3,
    )


def box_captions(item: Target | Detection, class_names: Sequence[str]) -> list[str]:
    """A caption per box: the name of its class, and the score where there is one.

    >>> fish = {"boxes": torch.zeros(1, 4), "labels": torch.tensor([1])}
    >>> box_captions(fish, ("background", "fish"))
    ['fish']
    >>> box_captions({**fish, "scores": torch.tensor([0.876])}, ("background", "fish"))
    ['fish 0.88']
    """
    names = [class_names[label] for label in item["labels"].tolist()]
    if "scores" not in item:
        return names
    scores = item["scores"].tolist()  # type: ignore[typeddict-item]
    return [f"{name} {score:.2f}" for name, score in zip(names, scores, strict=True)]


def draw_picture(
    ax: Axes,
    picture: Picture,
    class_names: Sequence[str],
    scale: float = 1.0,
    most_captions: int = MOST_CAPTIONS,
) -> None:
    """One image with its ground truth and its detections, the best score on top.

    Truth is named only where no detections are shown: two names on one box hide it.
    """
    image, target, detection, title = picture
    draw_image(ax, image)
    if title:
        ax.set_title(title, size=11 * scale, parse_math=False)  # a file's name may hold $
    if target is not None:
        captions = box_captions(target, class_names) if detection is None else ()
        draw_boxes(ax, target["boxes"], "truth", captions, scale)
    if detection is not None:
        worst_first = detection["scores"].argsort().tolist()
        captions = box_captions(detection, class_names)
        unnamed = len(captions) - most_captions
        shown = [captions[row] if i >= unnamed else "" for i, row in enumerate(worst_first)]
        draw_boxes(ax, detection["boxes"][worst_first], "prediction", shown, scale)


def draw_alone(picture: Picture, class_names: Sequence[str]) -> Figure:
    """A figure that is one image with its boxes and nothing else, ALONE inches long.

    >>> wide = Picture(torch.zeros(3, 60, 120, dtype=torch.uint8))
    >>> draw_alone(wide, ("background", "fish")).get_size_inches().tolist()
    [9.0, 4.5]
    """
    height, width = image_size(picture.image)
    inches_per_pixel = ALONE / max(height, width)
    figure = Figure(figsize=(width * inches_per_pixel, height * inches_per_pixel))
    ax = figure.add_axes((0, 0, 1, 1))
    draw_picture(ax, picture._replace(title=""), class_names, most_captions=4 * MOST_CAPTIONS)
    return figure


def draw_grid(
    pictures: Sequence[Picture], class_names: Sequence[str], columns: int = 4, title: str = ""
) -> Figure:
    """A figure of several pictures with their boxes, and a legend of what was drawn.

    Raises:
        ValueError: there is no picture.

    >>> image = torch.zeros(3, 60, 80, dtype=torch.uint8)
    >>> len(draw_grid([Picture(image)] * 3, ("background", "fish"), columns=2).axes)
    3
    """
    if not pictures:
        raise ValueError("a grid needs at least one picture; got none")
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    tallest = max(image.shape[1] / image.shape[2] for image, *_ in pictures)
    line = 0.3 * any(picture.title for picture in pictures)
    height = rows * (GRID * tallest + 0.05 + line) + 0.5 + 0.3 * bool(title)
    figure = Figure(figsize=(columns * GRID, height), layout="constrained")
    for place, picture in enumerate(pictures, start=1):
        draw_picture(figure.add_subplot(rows, columns, place), picture, class_names, scale=0.75)
    figure.suptitle(title)
    with_truth = any(picture.target is not None for picture in pictures)
    with_found = any(picture.detection is not None for picture in pictures)
    add_legend(figure, ["truth"] * with_truth + ["prediction"] * with_found)
    return figure


def draw_layers(
    layers: Sequence[Layers],
    columns: int = 3,
    title: str = "",
    meanings: Mapping[str, str] | None = None,
) -> Figure:
    """A figure of pictures under boxes of any roles, and a legend of those that occur.

    Args:
        layers: the pictures.
        columns: how many side by side.
        title: stands above all.
        meanings: role to words for the legend, where the usual ones do not fit.

    Raises:
        ValueError: there is no picture, or an unknown role.

    >>> image = torch.zeros(3, 60, 80, dtype=torch.uint8)
    >>> anchors = torch.tensor([[0.0, 0.0, 40.0, 20.0]])
    >>> len(draw_layers([Layers(image, {"ignored": anchors})] * 2).axes)
    2
    """
    if not layers:
        raise ValueError("want one picture at least; got none")
    columns = min(columns, len(layers))
    rows = math.ceil(len(layers) / columns)
    width = 2 * GRID if columns == 1 else GRID
    tallest = max(image.shape[1] / image.shape[2] for image, *_ in layers)
    line = 0.3 * any(layer.title for layer in layers)
    height = rows * (width * tallest + 0.05 + line) + 0.5 + 0.3 * bool(title)
    figure = Figure(figsize=(columns * width, height), layout="constrained")
    for place, layer in enumerate(layers, start=1):
        ax = figure.add_subplot(rows, columns, place)
        draw_image(ax, layer.image)
        ax.set_title(layer.title, size=10)
        for role, boxes in layer.boxes.items():
            draw_boxes(ax, boxes, role, scale=0.75)
    figure.suptitle(title)
    roles = list(dict.fromkeys(role for layer in layers for role in layer.boxes))
    add_legend(figure, roles, meanings)
    return figure


def add_legend(
    figure: Figure, roles: Sequence[str], meanings: Mapping[str, str] | None = None
) -> None:
    """Say under the pictures what each line style means, in the role's words or in others."""
    if not roles:
        return
    lines = []
    for role in roles:
        width = find_role(role).width * POINTS_PER_PIXEL
        casing = [Stroke(linewidth=width + 1.5, foreground=CASING), Normal()]
        colour, style = find_role(role).colour, dashes(role)
        lines.append(Line2D([], [], color=colour, lw=width, linestyle=style, path_effects=casing))
    words = [(meanings or {}).get(role, find_role(role).meaning) for role in roles]
    figure.legend(lines, words, loc="outside lower center", ncols=3, frameon=False, handlelength=4)


LOSS_CURVES = (
    ("loss_total", "total", "#3b4653", "-"),
    ("loss_class", "class loss", "#0072b2", "--"),
    ("loss_box", "box loss", "#d55e00", "-."),
)
AP_CURVES = (("AP50", "AP50", "#0072b2", "--"), ("AP", "AP", "#3b4653", "-"))
"""Key of the row, name, colour and line style; dark enough for a white page."""


def draw_curves(rows: Sequence[Mapping[str, Any]], title: str = "") -> Figure:
    """A figure of a training: losses on the left, average precision on the right, over seconds.

    Args:
        rows: dicts with "seconds" and any of "loss_total", "loss_class", "loss_box", "AP", "AP50";
            keys may be missing, as each step has losses and only some have an evaluation.
        title: stands above both.

    >>> figure = draw_curves([{"seconds": 1.0, "loss_total": 2.0}, {"seconds": 2.0, "AP": 0.5}])
    >>> [len(ax.lines) for ax in figure.axes]
    [1, 1]
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    figure.suptitle(title)
    losses, accuracy = figure.subplots(1, 2)
    for curve in LOSS_CURVES:
        draw_curve(losses, rows, *curve, smooth_over=0.02)
    for curve in AP_CURVES:
        draw_curve(accuracy, rows, *curve, marker="o")
    losses.set(title="Loss (thin: each step, thick: averaged)", ylabel="loss", ylim=(0, None))
    accuracy.set(
        title="Average precision on the validation set", ylabel="AP, from 0 to 1", ylim=(0, 1)
    )
    for ax in (losses, accuracy):
        ax.set(xlabel="training time in seconds", xlim=(0, None))
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
        if ax.lines:
            ax.legend(frameon=False)
    return figure


def draw_curve(
    ax: Axes,
    rows: Sequence[Mapping[str, Any]],
    key: str,
    name: str,
    colour: str,
    style: str,
    smooth_over: float = 0.0,
    marker: str = "",
) -> None:
    """One number of the rows over their seconds, with its last value in the legend.

    With `smooth_over`, a moving average over that fraction of the rows lies over the pale raw line.
    """
    points = [(row["seconds"], row[key]) for row in rows if row.get(key) is not None]
    if not points:
        return
    seconds, values = (
        torch.tensor(column, dtype=torch.float64) for column in zip(*points, strict=True)
    )
    window = max(1, round(smooth_over * len(values)))
    if window > 1:
        ax.plot(seconds, values, color=colour, linewidth=0.5, alpha=0.35)
        seconds, values = seconds[window - 1 :], values.unfold(0, window, 1).mean(dim=1)
    label = f"{name}, last {float(values[-1]):.3g}"
    ax.plot(seconds, values, style, color=colour, marker=marker, markersize=4, label=label)


def save_figure(figure: Figure, path: str | Path, dpi: int = 110) -> None:
    """Write a figure whole or not at all; the name's ending decides the format (.png, .svg, .pdf).

    Raises:
        OSError: the folder is full or not to be written to; an older file stays as it was.
        ValueError: matplotlib does not know the ending.
    """
    path, buffer = Path(path), io.BytesIO()
    figure.savefig(buffer, format=path.suffix.removeprefix("."), dpi=dpi, facecolor="white")
    write_atomically(path, buffer.getvalue())


def to_png(figure: Figure) -> bytes:
    """The figure as a PNG of 256 colours, dithered: a third of the bytes."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    picture = Image.open(file).convert("RGB")
    colours = picture.quantize(256)
    small = io.BytesIO()
    picture.quantize(palette=colours, dither=Image.Dither.FLOYDSTEINBERG).save(small, "PNG")
    return small.getvalue()
