"""What a box can be in a figure: each role has one colour and one line style, in every lesson.

Without matplotlib, because figures.py and the widgets both draw from this one table.

The colours are light and every line lies on a wider dark one, so it shows on sand and on deep
water, in a light theme and in a dark one. The line styles alone tell the roles apart, so they
are read without colour vision, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

CASING = "#04121a"
"""The dark colour under every line, and of the letters on a caption's plate."""


@dataclass(frozen=True)
class Role:
    """How the boxes of one kind are drawn, and what they are."""

    colour: str
    dash: tuple[float, ...]
    """Line, gap, line, gap … in screen pixels; empty is a solid line."""
    width: float
    """Screen pixels."""
    meaning: str
    """What a legend says."""
    fill: float = 0.0
    """How much of the colour covers the inside, 0 to 1."""


ROLES: Mapping[str, Role] = MappingProxyType(
    {  # drawn in this order: what matters most lies on top
        "negative": Role("#d5dde5", (2.0, 7.0), 1.2, "negative: an anchor on background"),
        "ignored": Role("#ffe45c", (2.0, 4.0), 2.2, "ignored: too close to call"),
        "suppressed": Role("#ff7ac0", (9.0, 4.0, 2.0, 4.0), 1.6, "suppressed by a better box"),
        "positive": Role("#5cc8ff", (14.0, 3.0), 2.0, "positive: an anchor that has an object"),
        "prediction": Role("#ffb02e", (8.0, 4.0), 2.6, "detection"),
        "truth": Role("#35e0a1", (), 3.0, "ground truth"),
    }
)


def find_role(name: str, roles: Mapping[str, Role] = ROLES) -> Role:
    """Look a role up by its name.

    Raises:
        ValueError: there is no such role.

    >>> find_role("truth").colour, find_role("truth").dash
    ('#35e0a1', ())
    """
    if name not in roles:
        raise ValueError(f"no role {name!r}; there are {', '.join(roles)}")
    return roles[name]
