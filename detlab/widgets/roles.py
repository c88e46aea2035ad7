"""The roles of detlab.roles as a canvas draws them, and those that only a canvas has.

A canvas gets one uint8 of state per box: the row of its role in ROLES, 0 is not drawn at all.
"""

from dataclasses import asdict, dataclass
from typing import Any

from detlab.roles import find_role


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


def drawn_as_in_figures(name: str) -> Role:
    """A role that matplotlib's figures have too, with the look that it has there."""
    look = find_role(name)
    return Role(name, look.colour, look.dash, look.width)


ROLES = (  # drawn in this order: what matters most lies on top
    Role("hidden", "#000000"),
    drawn_as_in_figures("negative"),
    drawn_as_in_figures("ignored"),
    drawn_as_in_figures("suppressed"),
    drawn_as_in_figures("positive"),
    drawn_as_in_figures("prediction"),
    Role("wrong", "#ff6242", (4.0, 3.0), 2.6),
    Role("missed", "#ffffff", (12.0, 4.0, 2.0, 4.0, 2.0, 4.0), 3.0),
    drawn_as_in_figures("truth"),
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
