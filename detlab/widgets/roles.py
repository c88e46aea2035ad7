"""What a box can be in a picture: each role has one colour and one line style, in every lesson.

The styles alone tell the roles apart, so they are read without colour vision too. Every line
has a dark edge, so it shows on light sand and on deep water, in a light and in a dark theme.
A canvas gets one uint8 of state per box: the row of its role in ROLES, 0 is not drawn at all.
"""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Role:
    """How the boxes of one kind are drawn."""

    name: str
    colour: str
    dash: tuple[float, ...] = ()
    """Line and gap in screen pixels; empty is a solid line."""
    width: float = 2.0
    """Screen pixels."""
    fill: float = 0.0
    """How much of the colour covers the inside, 0 to 1."""


ROLES = (  # drawn in this order: what matters most lies on top
    Role("hidden", "#000000"),
    Role("negative", "#d5dde5", (2.0, 7.0), 1.2),
    Role("ignored", "#ffe45c", (2.0, 4.0), 2.2),
    Role("suppressed", "#ff7ac0", (9.0, 4.0, 2.0, 4.0), 1.6),
    Role("positive", "#5cc8ff", (14.0, 3.0), 2.0),
    Role("prediction", "#ffb02e", (8.0, 4.0), 2.6),
    Role("wrong", "#ff6242", (4.0, 3.0), 2.6),
    Role("missed", "#ffffff", (12.0, 4.0, 2.0, 4.0, 2.0, 4.0), 3.0),
    Role("truth", "#35e0a1", (), 3.0),
    Role("shared", "#ffffff", (), 1.2, 0.45),
    Role("focus", "#ffffff", (), 4.0, 0.12),
)

STATE = {role.name: state for state, role in enumerate(ROLES)}
"""The number that a canvas is sent for each role: `STATE["truth"]`."""


def role(name: str) -> Role:
    """Look a role up by its name.

    Raises:
        ValueError: there is no such role.

    >>> role("truth").dash
    ()
    """
    if name not in STATE:
        raise ValueError(f"no role {name!r}; there are {sorted(STATE)}")
    return ROLES[STATE[name]]


def role_table() -> list[dict[str, Any]]:
    """All roles as the browser gets them."""
    return [asdict(each) for each in ROLES]


def swatch(name: str) -> str:
    """A small picture of a role's line, as HTML, to stand beside a number."""
    line = role(name)
    dash = " ".join(str(part) for part in line.dash)
    return (
        '<svg class="dl-swatch" width="30" height="14" aria-hidden="true">'
        '<rect width="30" height="14" rx="3" fill="#17323f"/>'
        f'<path d="M3 7H27" fill="none" stroke="{line.colour}" '
        f'stroke-width="{line.width}" stroke-dasharray="{dash}"/></svg>'
    )
