"""The numbers beside a picture: written once, shown as HTML and in the static picture.

Each kind is a record with two methods: `html()` for the browser, and `lines()`, the same in plain
words for picture.py and for tests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from detlab.widgets.roles import swatch


@dataclass(frozen=True)
class Row:
    """A name and its value on one line; a role puts that role's line beside it."""

    label: str
    value: str
    role: str = ""
    strong: bool = False

    def html(self) -> str:
        """One line of the panel."""
        mark = swatch(self.role) if self.role else ""
        return (
            f'<div class="dl-row{" dl-strong" if self.strong else ""}">{mark}'
            f'<span class="dl-label">{escape(self.label)}</span>'
            f"<span>{escape(self.value)}</span></div>"
        )

    def lines(self) -> list[tuple[str, str]]:
        """Label and value."""
        return [(self.label, self.value)]


@dataclass(frozen=True)
class Formula:
    """A fraction with the current numbers in it: name = top / bottom = value."""

    name: str
    top: str
    bottom: str
    value: str
    top_means: str = ""
    bottom_means: str = ""

    def html(self) -> str:
        """A fraction bar with what each number means in small."""
        return (
            f'<div class="dl-formula"><span>{escape(self.name)} =</span>'
            f'<span class="dl-fraction"><span><small>{escape(self.top_means)}</small>'
            f"{escape(self.top)}</span><span>{escape(self.bottom)}"
            f"<small>{escape(self.bottom_means)}</small></span></span>"
            f"<span>=</span><b>{escape(self.value)}</b></div>"
        )

    def lines(self) -> list[tuple[str, str]]:
        """The fraction on one line, then what its numbers are."""
        means = f"{self.top_means} / {self.bottom_means}" if self.top_means else ""
        first = [(means, "")] if means else []
        return [*first, (f"{self.name} = {self.top} / {self.bottom}", f"= {self.value}")]


@dataclass(frozen=True)
class Bar:
    """A fraction from 0 to 1 as a bar."""

    label: str
    fraction: float
    value: str

    def html(self) -> str:
        """Label, bar, value."""
        return (
            f'<div class="dl-bar"><span class="dl-label">{escape(self.label)}</span>'
            f'<span class="dl-track"><i style="width:{100 * self.fraction:.1f}%"></i></span>'
            f"<span>{escape(self.value)}</span></div>"
        )

    def lines(self) -> list[tuple[str, str]]:
        """Label and value."""
        return [(self.label, self.value)]


@dataclass(frozen=True)
class Table:
    """A few rows of values under a head."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def html(self) -> str:
        """An HTML table."""
        head = "".join(f"<th>{escape(cell)}</th>" for cell in self.head)
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self.rows
        )
        return f'<table class="dl-table"><thead><tr>{head}</tr></thead>{rows}</table>'

    def lines(self) -> list[tuple[str, str]]:
        """The first cell, then the others."""
        table = [self.head, *self.rows]
        return [(row[0], "   ".join(row[1:])) for row in table]


@dataclass(frozen=True)
class Words:
    """A sentence."""

    text: str

    def html(self) -> str:
        """A paragraph."""
        return f'<p class="dl-words">{escape(self.text)}</p>'

    def lines(self) -> list[tuple[str, str]]:
        """The sentence."""
        return [(self.text, "")]


@dataclass(frozen=True)
class Chart:
    """Curves over one axis, each a list of (x, y), and a dot where we stand."""

    curves: dict[str, Sequence[tuple[float, float]]]
    x_label: str
    y_label: str
    dot: tuple[float, float] | None = None
    x_range: tuple[float, float] = (0.0, 1.0)
    y_range: tuple[float, float] = (0.0, 1.0)
    names: Sequence[str] = ()
    """Written beside the points of the first curve, above and below in turn: some are close."""

    def html(self) -> str:
        """A small SVG of 380 x 220."""
        left, right, top, bottom = 44.0, 370.0, 12.0, 180.0

        def at(x: float, y: float) -> tuple[float, float]:
            (x0, x1), (y0, y1) = self.x_range, self.y_range
            return (
                left + (right - left) * (x - x0) / ((x1 - x0) or 1),
                bottom - (bottom - top) * (y - y0) / ((y1 - y0) or 1),
            )

        parts = [f'<path class="dl-axis" d="M{left} {top}V{bottom}H{right}"/>']
        for row, points in enumerate(self.curves.values()):
            path = "L".join("{:.0f} {:.0f}".format(*at(x, y)) for x, y in points)
            if path:
                parts.append(f'<path class="dl-curve dl-curve-{row}" d="M{path}"/>')
        named = zip(self.names, next(iter(self.curves.values())), strict=False)
        for row, (name, point) in enumerate(named):
            x, y = at(*point)
            beside = y + 16 if row % 2 else y - 6
            parts.append(f'<circle class="dl-point" cx="{x:.1f}" cy="{y:.1f}" r="4"/>')
            parts.append(f'<text x="{x + 9:.1f}" y="{beside:.1f}">{escape(name)}</text>')
        for value, x, y, anchor in (
            (self.x_range[0], left, bottom + 15, "middle"),
            (self.x_range[1], right, bottom + 15, "end"),
            (self.y_range[0], left - 6, bottom, "end"),
            (self.y_range[1], left - 6, top + 8, "end"),
        ):
            parts.append(f'<text x="{x}" y="{y}" text-anchor="{anchor}">{value:.3g}</text>')
        names = self.curves if len(self.curves) > 1 else []
        for row, name in enumerate(names):
            y = top + 6 + 15 * row
            parts.append(
                f'<path class="dl-curve dl-curve-{row}" d="M{right - 120} {y - 4}h24"/>'
                f'<text x="{right - 90}" y="{y}">{escape(name)}</text>'
            )
        parts.append(
            f'<text x="{(left + right) / 2}" y="{bottom + 30}" text-anchor="middle">'
            f"{escape(self.x_label)}</text>"
            f'<text x="12" y="{(top + bottom) / 2}" text-anchor="middle" '
            f'transform="rotate(-90 12 {(top + bottom) / 2})">{escape(self.y_label)}</text>'
        )
        if self.dot:
            x, y = at(*self.dot)
            parts.append(f'<circle class="dl-dot" cx="{x:.1f}" cy="{y:.1f}" r="6"/>')
        label = f"{self.y_label} over {self.x_label}"
        return (
            f'<svg class="dl-chart" viewBox="0 0 380 216" role="img" '
            f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
        )

    def lines(self) -> list[tuple[str, str]]:
        """What is drawn; picture.py draws it again."""
        return [(f"{self.y_label} over {self.x_label}", "")]


Item = Row | Formula | Bar | Table | Words | Chart


def to_html(items: Sequence[Item]) -> str:
    """The whole panel."""
    return f'<div class="dl-panel">{"".join(item.html() for item in items)}</div>'
