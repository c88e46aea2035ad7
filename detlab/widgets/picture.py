"""The present state of a lab as a PNG, for readers who have no kernel.

The same layers as in the browser: picture, regions, boxes, arrows; beside them the numbers.
"""

import textwrap
from collections.abc import Sequence
from typing import Any

import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from detlab.draw.figures import to_png
from detlab.draw.roles import Role
from detlab.widgets.canvas import BoxCanvas
from detlab.widgets.readout import Bar, Chart, Formula, Item, Row
from detlab.widgets.roles import ROLES, STATE, role

DPI = 110
WIDTH, PICTURE = 8.6, 4.6  # inches: the whole, and the picture's part
POINT = 72 / DPI  # a line's width is told in points, the role's in pixels
SOME = 40  # more boxes of one role are drawn without the dark edge
QUIET = ("negative", "ignored", "suppressed")  # these stand back
NAMED = ("truth", "prediction", "positive", "wrong", "missed")  # these carry their text
INK, SOFT, EDGE = "#1b232b", "#5b6570", (4 / 255, 18 / 255, 26 / 255, 0.62)


@rc_context({"text.parse_math": False})  # names of files and classes may hold $
def lab_picture(
    title: str, task: str, reached: bool, canvas: BoxCanvas, items: Sequence[Item], result: str
) -> bytes:
    """Draw headline, picture, result line and numbers into one PNG."""
    height, width = canvas.image_size
    shown = min(PICTURE, 4.4 * width / height)
    tall = max(shown * height / width + 0.35, side_height(items)) + 0.55 + (0.26 if task else 0)
    figure = Figure(figsize=(WIDTH, tall), dpi=DPI, facecolor="white")

    def text(x: float, from_top: float, words: str, **look: Any) -> None:
        figure.text(x / WIDTH, 1 - from_top / tall, words, va="top", **{"color": INK, **look})

    text(0.1, 0.08, title, size=13, weight="bold")
    top = 0.42
    if task:
        text(0.1, 0.40, ("Reached: " if reached else "Task: ") + task, size=9.5, color=SOFT)
        top = 0.68
    high = shown * height / width
    place = (0.1 / WIDTH, 1 - (top + high) / tall, shown / WIDTH, high / tall)
    draw_canvas(figure.add_axes(place), canvas)
    text(0.1, top + high + 0.07, result, size=10.5, weight="bold")
    draw_items(figure, items, shown + 0.4, top, tall)
    return to_png(figure)


def side_height(items: Sequence[Item]) -> float:
    """Inches that the numbers take."""
    return sum(1.9 if isinstance(item, Chart) else 0.24 * len(wrapped(item)) for item in items)


def wrapped(item: Item) -> list[tuple[str, str]]:
    """The lines of an item, long ones broken."""
    lines = []
    for label, value in item.lines():
        first, *rest = textwrap.wrap(label, 48 - len(value)) or [""]
        lines += [(first, value), *((more, "") for more in rest)]
    return lines


def draw_items(figure: Figure, items: Sequence[Item], left: float, top: float, tall: float) -> None:
    """Write the numbers from `top` inches downwards."""
    for item in items:
        if isinstance(item, Chart):
            place = ((left + 0.35) / WIDTH, 1 - (top + 1.5) / tall, 2.8 / WIDTH, 1.4 / tall)
            draw_chart(figure.add_axes(place), item)
            top += 1.9
            continue
        strong = isinstance(item, Formula) or (isinstance(item, Row) and item.strong)
        look: dict[str, Any] = {"size": 9.5, "va": "top", "weight": "bold" if strong else "normal"}
        for label, value in wrapped(item):
            y = 1 - top / tall
            inset = 0.0
            if isinstance(item, Row) and item.role:
                inset = 0.36
                draw_swatch(figure, left / WIDTH, y - 0.085 / tall, role(item.role))
            figure.text((left + inset) / WIDTH, y, label, color=INK if strong else SOFT, **look)
            figure.text(1 - 0.1 / WIDTH, y, value, color=INK, ha="right", **look)
            top += 0.24
        if isinstance(item, Bar):
            start, end, y = (left + 1.3) / WIDTH, 1 - 0.75 / WIDTH, 1 - (top - 0.15) / tall
            filled = start + (end - start) * item.fraction
            for stop, colour in ((end, "#e3e8ec"), (filled, "#1976d2")):
                figure.add_artist(figure_line(start, stop, y, colour))


def figure_line(start: float, stop: float, y: float, colour: str) -> Any:
    """A thick horizontal line, in fractions of the figure's width and height."""
    return Line2D([start, stop], [y, y], lw=5, color=colour, solid_capstyle="butt")


def draw_swatch(figure: Figure, left: float, y: float, look: Role) -> None:
    """A role's line on a dark ground, to stand beside its number."""
    dashes: Any = (0, [part / look.width for part in look.dash]) if look.dash else "solid"
    for colour, width, style in (("#17323f", 9.0, "solid"), (look.colour, look.width, dashes)):
        ends = [left, left + 0.28 / WIDTH]
        figure.add_artist(Line2D(ends, [y, y], lw=width, c=colour, ls=style, solid_capstyle="butt"))


def draw_chart(axes: Axes, chart: Chart) -> None:
    """The curves and the dot."""
    for (name, points), style in zip(chart.curves.items(), ("-", "--", ":"), strict=False):
        axes.plot([x for x, _ in points], [y for _, y in points], style, color=INK, label=name)
    named = zip(chart.names, next(iter(chart.curves.values())), strict=False)
    for row, (name, point) in enumerate(named):
        beside = (6, -9) if row % 2 else (6, 3)
        axes.plot(*point, "o", color=INK, markersize=4)
        axes.annotate(name, point, beside, textcoords="offset points", size=7, color=SOFT)
    if chart.dot:
        axes.plot(*chart.dot, "o", color="#1976d2", markersize=8, markeredgecolor="white")
    if len(chart.curves) > 1:
        axes.legend(fontsize=7, frameon=False)
    axes.set(xlim=chart.x_range, ylim=chart.y_range)
    axes.set_xlabel(chart.x_label, size=8)
    axes.set_ylabel(chart.y_label, size=8)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def draw_canvas(axes: Axes, canvas: BoxCanvas) -> None:
    """Picture, regions, boxes, arrows."""
    height, width = canvas.image_size
    extent = (0, width, height, 0)
    axes.imshow(canvas.image.permute(1, 2, 0).cpu().numpy(), extent=extent)
    overlay = getattr(canvas, "overlay", None)
    if overlay is not None:
        axes.imshow(overlay.permute(1, 2, 0).cpu().numpy(), extent=extent)
    for region in canvas.regions:
        if region.get("outside"):
            darken_outside(axes, region["box"], width, height)
        else:
            draw_box(axes, region["box"], role(region["role"]))
    draw_states(axes, canvas)
    for box, look in zip(canvas.edited, canvas.editable, strict=True):
        draw_box(axes, box, role(look["role"]), canvas.shade, look["name"])
    draw_names(axes, canvas)
    for arrow in canvas.arrows:
        draw_arrow(axes, arrow)
    axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def draw_states(axes: Axes, canvas: BoxCanvas) -> None:
    """Points, then boxes as canvas.js draws them: the dark edges of all roles before all lines."""
    shown = [name for name in ROLES if name != "hidden"]
    for name in shown:
        x, y = canvas.points[canvas.point_states == STATE[name]].T.tolist()
        axes.plot(x, y, ".", color=ROLES[name].colour, markersize=3)
    members = {name: canvas.boxes[canvas.states == STATE[name]] for name in shown}
    for name, boxes in members.items():
        if len(boxes) <= (SOME / 5 if name in QUIET else SOME):
            outline(axes, boxes, EDGE, ROLES[name].width * POINT + 1.4)
    for name, boxes in members.items():
        draw_lines(axes, boxes, ROLES[name], 0.8 if name in QUIET else 1.0)


def draw_box(
    axes: Axes, box: Sequence[float], look: Role, shade: float = 0, name: str = ""
) -> None:
    """One box of its own, filled if need be, with its name."""
    boxes, fill = torch.tensor([box]), max(look.fill, shade)
    if fill:
        patch = PolyCollection(corners(boxes), facecolors=look.colour, alpha=fill)
        axes.add_collection(patch)
    outline(axes, boxes, EDGE, look.width * POINT + 1.4)
    draw_lines(axes, boxes, look)
    if name:
        plate = {"facecolor": look.colour, "edgecolor": "none", "pad": 1.5}
        axes.text(box[0], box[1], name, size=7.5, va="bottom", color="#0b1d26", bbox=plate)


def draw_lines(axes: Axes, boxes: Tensor, look: Role, alpha: float = 1) -> None:
    """The boxes of one role, with its colour and its line style."""
    many = len(boxes) > 600
    width = 0.7 if many else look.width * POINT
    dashes: Any = (0, [part * POINT / width for part in look.dash])
    outline(axes, boxes, look.colour, width, "solid" if many or not look.dash else dashes, alpha)


def outline(
    axes: Axes, boxes: Tensor, colour: Any, width: float, style: Any = "solid", alpha: Any = None
) -> None:
    """All boxes at once; a thousand single patches would take seconds."""
    look = {"edgecolors": colour, "linewidths": width, "linestyles": style, "alpha": alpha}
    axes.add_collection(PolyCollection(corners(boxes), facecolors="none", **look))


def corners(boxes: Tensor) -> Any:
    """The four corners of each box, [N, 4, 2]."""
    x1, y1, x2, y2 = boxes.float().cpu().unbind(dim=1)
    return torch.stack([x1, y1, x2, y1, x2, y2, x1, y2], dim=1).view(-1, 4, 2).numpy()


def draw_names(axes: Axes, canvas: BoxCanvas) -> None:
    """Texts on the boxes of roles that have few: none over another, as in the browser."""
    height, width = canvas.image_size
    point = width / (axes.get_window_extent().width * 72 / DPI)  # picture pixels
    taken: list[tuple[float, float, float]] = []
    high = 11 * point
    for name in reversed(NAMED):
        rows = (canvas.states == STATE[name]).nonzero()[:, 0].tolist()
        for row in rows if len(rows) <= canvas.tags else []:
            text = canvas.texts[row]
            wide = (4.6 * len(text) + 4) * point
            x1, y1, x2, y2 = canvas.boxes[row].tolist()
            for x, y in ((x1, y1), (x1, y2 + high), (x2 - wide, y1), (x2 - wide, y2 + high)):
                x, y = max(0.0, min(x, width - wide)), max(high, min(y, height))
                if text and not any(
                    x < a + w and a < x + wide and abs(y - b) < high for a, b, w in taken
                ):
                    taken.append((x, y, wide))
                    plate = {"facecolor": role(name).colour, "edgecolor": "none", "pad": 1.2}
                    axes.text(x, y, text, size=7.5, va="bottom", color="#0b1d26", bbox=plate)
                    break


def darken_outside(axes: Axes, box: Sequence[float], width: int, height: int) -> None:
    """Leave only the inside of a box bright."""
    x1, y1, x2, y2 = box
    for part in ((0, 0, width, y1), (0, y2, width, height), (0, y1, x1, y2), (x2, y1, width, y2)):
        axes.fill_between([part[0], part[2]], part[1], part[3], color="#04121a", alpha=0.72, lw=0)


def draw_arrow(axes: Axes, arrow: dict[str, Any]) -> None:
    """One arrow in the colour of its role."""
    look = {"arrowstyle": "-|>", "color": role(arrow["role"]).colour, "lw": 2, "shrinkA": 0}
    edge = {**look, "color": EDGE, "lw": 4, "shrinkB": 0}
    axes.annotate("", arrow["to"], arrow["from"], arrowprops=edge)
    axes.annotate("", arrow["to"], arrow["from"], arrowprops={**look, "shrinkB": 0})
