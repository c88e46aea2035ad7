"""The roles of detlab.draw.roles, and those that only a canvas has.

A canvas gets one uint8 of state per box: the place of its role in ROLES, 0 is not drawn at all.
"""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from types import MappingProxyType
from typing import Any

from detlab.draw import roles
from detlab.draw.roles import Role

ROLES: Mapping[str, Role] = MappingProxyType(
    {  # drawn in this order: dashes over solid lines, so that both show where boxes agree
        "hidden": Role("#000000", (), 0.0, "not drawn"),
        **{name: roles.ROLES[name] for name in ("negative", "ignored", "suppressed", "positive")},
        "other": Role("#e3f7ee", (24.0, 2.0), 1.2, "another label"),
        **{name: roles.ROLES[name] for name in ("truth", "prediction")},
        "second": Role("#cbb2ff", (7.0, 5.0), 3.0, "the second of two labels"),
        "wrong": Role("#ff6242", (4.0, 3.0), 2.6, "false positive"),
        "missed": Role("#ffffff", (12.0, 4.0, 2.0, 4.0, 2.0, 4.0), 3.0, "missed object"),
        "shared": Role("#ffffff", (), 1.2, "in both boxes", 0.45),
        "focus": Role("#ffffff", (), 4.0, "looked at", 0.12),
    }
)

STATE = {name: state for state, name in enumerate(ROLES)}
"""The number that a canvas is sent for each role: `STATE["truth"]`."""

role = partial(roles.find_role, roles=ROLES)


def role_table() -> list[dict[str, Any]]:
    """All roles as the browser gets them."""
    return [{"name": name, **asdict(each)} for name, each in ROLES.items()]


def swatch(name: str) -> str:
    """A small picture of a role's line, as HTML, to stand beside a number."""
    line = role(name)
    dash = " ".join(f"{part:g}" for part in line.dash)
    return (
        f'<svg class="dl-swatch" aria-hidden="true"><path d="M3 7H27" stroke="{line.colour}" '
        f'stroke-width="{line.width}" stroke-dasharray="{dash}"/></svg>'
    )
