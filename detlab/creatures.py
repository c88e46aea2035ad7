"""The animals of the reef, as outlines that can be drawn at any size.

Seven animals, each a function of a generator and a palette: it strikes a pose and returns parts,
back to front. Every animal draws from the same palettes, so only its form tells what it is.
Animals swim to the right, x right and y down, and are about 2 units long.
Stands on nothing; seascape.py grows plants with the same tools, reef.py puts all into pictures.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.random import Generator
from numpy.typing import NDArray

Colour = tuple[float, float, float]
"""Red, green, blue, 0 to 255."""
Points = Float[np.ndarray, "P 2"]

INK: Colour = (22.0, 26.0, 38.0)
WHITE: Colour = (250.0, 250.0, 244.0)


class Part(NamedTuple):
    """One filled outline."""

    outline: NDArray[np.float64]
    """[P, 2] x y, the polygon's corners."""
    colour: Colour
    solid: bool = True
    """Whether it adds to the silhouette; a marking is only seen where a solid part lies."""
    opacity: float = 1.0


class Palette(NamedTuple):
    """Colours that go together."""

    back: Colour
    side: Colour
    belly: Colour
    accent: Colour


PALETTES = (
    Palette((214, 84, 40), (244, 126, 52), (255, 206, 140), (255, 246, 226)),  # clownfish
    Palette((36, 74, 142), (58, 120, 196), (176, 214, 240), (255, 206, 70)),  # blue tang
    Palette((222, 160, 28), (250, 200, 58), (255, 238, 168), (50, 70, 120)),  # lemon
    Palette((92, 106, 126), (132, 148, 168), (228, 234, 238), (206, 214, 226)),  # slate
    Palette((146, 52, 110), (206, 88, 146), (250, 190, 210), (255, 226, 160)),  # orchid
    Palette((66, 108, 62), (112, 158, 80), (214, 226, 160), (240, 206, 110)),  # moss
    Palette((90, 60, 140), (136, 98, 196), (214, 194, 244), (250, 160, 190)),  # violet
    Palette((150, 104, 66), (200, 152, 100), (246, 224, 184), (110, 66, 46)),  # sand
    Palette((170, 44, 52), (222, 76, 74), (252, 188, 164), (255, 232, 200)),  # coral red
    Palette((24, 110, 116), (48, 164, 160), (190, 240, 220), (255, 178, 96)),  # lagoon
)


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Go from one colour towards another; share 1 arrives.

    >>> mix((0.0, 100.0, 200.0), (100.0, 100.0, 100.0), 0.5)
    (50.0, 100.0, 150.0)
    """
    return tuple(p + (q - p) * share for p, q in zip(a, b, strict=True))  # type: ignore[return-value]


def _catmull_rom(steps: int) -> NDArray[np.float64]:
    """Weights [steps, 4] of four neighbouring points along the curve between the middle two."""
    t = np.arange(steps)[:, None] / steps
    return (
        np.hstack(
            [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2]
        )
        / 2
    )


def smooth(points: Sequence[tuple[float, float]] | Points, steps: int = 5) -> Points:
    """A closed Catmull-Rom curve through the points; a point given twice makes a corner.

    >>> smooth([(0, 0), (1, 0), (1, 1), (0, 1)], steps=2).round(3)[:3].tolist()
    [[0.0, 0.0], [0.5, -0.125], [1.0, 0.0]]
    """
    corners = np.asarray(points, dtype=np.float64)
    neighbours = np.stack([np.roll(corners, shift, axis=0) for shift in (1, 0, -1, -2)], axis=1)
    return (_catmull_rom(steps) @ neighbours).reshape(-1, 2)


def mirrored(half: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Complete an outline that is the same above and below the line y = 0.

    >>> mirrored([(1, 0), (0, 2), (-1, 0)])
    [(1, 0), (0, 2), (-1, 0), (0, -2)]
    """
    return [*half, *[(x, -y) for x, y in reversed(half) if y != 0]]


def disc(x: float, y: float, rx: float, ry: float | None = None) -> Points:
    """An ellipse around (x, y)."""
    return np.array([x, y]) + _CIRCLE * [rx, rx if ry is None else ry]


_ANGLES = np.linspace(0, 2 * np.pi, 20, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)


def ribbon(spine: Points, widths: Float[np.ndarray, " P"] | float) -> Points:
    """The outline of a band along a line, as wide as told at each point.

    >>> ribbon(np.array([[0.0, 0.0], [4.0, 0.0]]), 2.0).tolist()
    [[0.0, 1.0], [4.0, 1.0], [4.0, -1.0], [0.0, -1.0]]
    """
    along = np.gradient(spine, axis=0)
    along /= np.hypot(along[:, 0], along[:, 1])[:, None] + 1e-9
    side = np.stack([-along[:, 1], along[:, 0]], axis=1)
    reach = side * (np.broadcast_to(widths, len(spine))[:, None] / 2)
    return np.concatenate([spine + reach, (spine - reach)[::-1]])


def line(*points: tuple[float, float], width: float) -> Points:
    """A band of one width through a few points."""
    return ribbon(np.array(points, dtype=np.float64), width)


def eye(x: float, y: float, radius: float) -> list[Part]:
    """White, pupil and a glint: alive even when it is three pixels across."""
    return [
        Part(disc(x, y, radius), WHITE, solid=False),
        Part(disc(x + 0.12 * radius, y, 0.66 * radius), INK, solid=False),
        Part(disc(x + 0.3 * radius, y - 0.3 * radius, 0.24 * radius), WHITE, solid=False),
    ]


FISH_BODY = smooth(
    [(0.94, 0.04), (0.80, -0.15), (0.50, -0.35), (0.10, -0.43), (-0.30, -0.29), (-0.60, -0.10)]
    + [(-0.66, 0.0), (-0.60, 0.10), (-0.30, 0.28), (0.10, 0.42), (0.50, 0.34), (0.82, 0.18)]
)
FISH_TAIL = smooth(
    mirrored([(-0.50, 0.0), (-0.62, 0.09), (-0.84, 0.34), (-1.04, 0.44), (-0.98, 0.2), (-0.87, 0)])
)
FISH_DORSAL = smooth(
    [(0.50, -0.28), (0.34, -0.54), (0.05, -0.66), (-0.26, -0.56), (-0.48, -0.38), (-0.40, -0.16)]
)
FISH_ANAL = smooth([(0.02, 0.34), (-0.10, 0.58), (-0.32, 0.56), (-0.44, 0.36), (-0.36, 0.16)])
FISH_PELVIC = smooth([(0.40, 0.30), (0.28, 0.60), (0.12, 0.58), (0.14, 0.34)])
FISH_PECTORAL = smooth([(0.34, 0.10), (0.12, 0.00), (-0.08, 0.10), (-0.04, 0.26), (0.18, 0.26)])
FISH_BELLY = smooth([(0.95, 0.08), (0.5, 0.16), (0.0, 0.16), (-0.6, 0.05), (-0.4, 0.5), (0.6, 0.5)])


def fish(rng: Generator, palette: Palette) -> list[Part]:
    """A deep, oval body, a fan of a tail, tall fins and a big eye."""
    fins = mix(palette.back, palette.accent, 0.25)
    parts = [Part(outline, fins) for outline in (FISH_TAIL, FISH_DORSAL, FISH_ANAL, FISH_PELVIC)]
    for y in (-0.2, 0.0, 0.2):
        parts.append(Part(line((-0.6, 0.3 * y), (-1.0, y * 1.5), width=0.03), palette.back, False))
    parts += [Part(FISH_BODY, palette.side), Part(FISH_BELLY, palette.belly, False, 0.7)]
    parts += _fish_markings(rng, palette)
    parts.append(
        Part(line((0.42, -0.24), (0.35, 0.0), (0.42, 0.24), width=0.04), palette.back, False)
    )
    parts.append(Part(FISH_PECTORAL, fins, False))
    parts.append(Part(line((0.95, 0.08), (0.78, 0.10), width=0.035), INK, False))
    parts += eye(0.60, -0.09, 0.12)
    depth = rng.uniform(0.8, 1.2)
    return [part._replace(outline=part.outline * [1.0, depth]) for part in parts]


def _fish_markings(rng: Generator, palette: Palette) -> list[Part]:
    kind = rng.integers(4)
    if kind == 0:  # bands
        bands = [line((x, -0.5), (x + 0.07, 0), (x, 0.5), width=0.13) for x in (0.24, -0.14, -0.48)]
    elif kind == 1:  # spots
        bands = [disc(x, y, 0.055) for x in (0.2, 0.0, -0.2, -0.4) for y in (-0.22, -0.02)]
    elif kind == 2:  # one stripe along the side
        bands = [line((0.4, -0.02), (0.0, -0.06), (-0.62, 0.0), width=0.13)]
    else:  # a saddle
        bands = [smooth([(0.3, -0.5), (0.2, -0.1), (-0.1, 0.05), (-0.4, -0.1), (-0.4, -0.5)])]
    return [Part(band, palette.accent, solid=False) for band in bands]


SHARK_BODY = smooth(
    [(1.0, 0.0), (0.84, -0.11), (0.5, -0.19), (0.15, -0.21), (-0.25, -0.16), (-0.6, -0.075)]
    + [(-0.8, -0.05), (-0.8, 0.03), (-0.55, 0.06), (-0.2, 0.14), (0.2, 0.19), (0.55, 0.17)]
    + [(0.8, 0.11), (0.94, 0.05)]
)
SHARK_TAIL = smooth(
    [(-0.66, -0.06), (-0.82, -0.14), (-1.02, -0.46), (-1.02, -0.46), (-0.97, -0.2), (-0.86, 0.0)]
    + [(-0.96, 0.24), (-0.96, 0.24), (-0.80, 0.1), (-0.66, 0.05)]
)
SHARK_DORSAL = smooth(
    [(0.30, -0.14), (0.16, -0.34), (-0.02, -0.54), (-0.02, -0.54), (-0.03, -0.32), (-0.10, -0.12)]
)
SHARK_DORSAL_2 = smooth([(-0.40, -0.08), (-0.54, -0.22), (-0.54, -0.22), (-0.56, -0.05)])
SHARK_PECTORAL = smooth(
    [(0.40, 0.10), (0.26, 0.30), (0.02, 0.48), (0.02, 0.48), (0.08, 0.28), (0.14, 0.10)]
)
SHARK_PELVIC = smooth([(-0.26, 0.08), (-0.44, 0.25), (-0.44, 0.25), (-0.44, 0.06)])
SHARK_BELLY = smooth(
    [(0.97, 0.03), (0.6, 0.06), (0.2, 0.07), (-0.3, 0.05), (-0.7, 0.01), (-0.7, 0.03), (-0.2, 0.17)]
    + [(0.2, 0.22), (0.6, 0.2), (0.9, 0.09)]
)


def shark(rng: Generator, palette: Palette) -> list[Part]:
    """A torpedo with a pointed snout, a tall dorsal triangle and a crescent tail."""
    fins = (SHARK_TAIL, SHARK_DORSAL, SHARK_DORSAL_2, SHARK_PELVIC)
    parts = [Part(outline, palette.back) for outline in fins]
    parts += [Part(SHARK_BODY, palette.side), Part(SHARK_BELLY, palette.belly, False)]
    for x in (0.40, 0.46, 0.52):
        parts.append(Part(line((x, -0.07), (x - 0.03, 0.08), width=0.022), palette.back, False))
    parts.append(Part(line((0.90, 0.07), (0.78, 0.10), (0.68, 0.08), width=0.03), INK, False))
    parts.append(Part(disc(0.76, -0.04, 0.042), INK, False))
    parts.append(Part(disc(0.77, -0.055, 0.014), WHITE, False))
    parts.append(Part(SHARK_PECTORAL, palette.back))
    return (
        [part._replace(outline=_swing(part.outline, rng_bend)) for part in parts]
        if (rng_bend := rng.uniform(-0.22, 0.22))
        else parts
    )


def _swing(points: Points, amount: float) -> Points:
    """Bend the rear of the body up or down, more the further back."""
    x, y = points[:, 0], points[:, 1]
    return np.stack([x, y + amount * np.maximum(0.3 - x, 0) ** 2], axis=1)


JELLY_BELL = smooth(
    [(-0.62, -0.14), (-0.60, -0.5), (-0.38, -0.86), (0.0, -0.99), (0.38, -0.86), (0.60, -0.5)]
    + [(0.62, -0.14), (0.47, -0.04), (0.31, -0.14), (0.155, -0.04), (0.0, -0.14), (-0.155, -0.04)]
    + [(-0.31, -0.14), (-0.47, -0.04)]
)
JELLY_GLOW = smooth([(-0.36, -0.46), (-0.2, -0.74), (0.05, -0.86), (0.0, -0.6), (-0.14, -0.42)])


def jellyfish(rng: Generator, palette: Palette) -> list[Part]:
    """A dome with a scalloped hem, frilled arms and trailing tentacles."""
    t = np.linspace(0, 1, 12)
    phase = rng.uniform(0, 6.28)
    parts = []
    for x, length in zip((-0.5, -0.26, 0.26, 0.5), rng.uniform(0.75, 1.1, 4), strict=True):
        wave = x * (1 - 0.25 * t) + 0.09 * np.sin(5.5 * t + phase + 2 * x)
        spine = np.stack([wave, -0.16 + length * t], axis=1)
        parts.append(Part(ribbon(spine, 0.12 - 0.05 * t), palette.side))
    for x in (-0.12, 0.12):
        wave = x + 0.07 * np.sin(7 * t + phase + 9 * x)
        spine = np.stack([wave, -0.2 + 0.95 * t], axis=1)
        frill = 0.24 - 0.16 * t + 0.03 * np.sin(40 * t)
        parts.append(Part(ribbon(spine, frill), palette.belly))
    parts.append(Part(JELLY_BELL, palette.side))
    for x in (-0.42, -0.15, 0.15, 0.42):
        rib = line((0.25 * x, -0.9), (0.85 * x, -0.55), (x, -0.1), width=0.05)
        parts.append(Part(rib, palette.accent, False, 0.6))
    parts.append(Part(JELLY_GLOW, palette.belly, False, 0.8))
    return parts


def starfish(rng: Generator, palette: Palette) -> list[Part]:
    """Five tapering arms around a disc."""
    curl, fat = rng.uniform(-0.25, 0.25), rng.uniform(0.36, 0.46)
    arms = np.arange(5)[:, None] * (2 * np.pi / 5)
    angles = arms + np.array([-0.628, -0.21, -0.075, 0.075, 0.21])
    radii = np.broadcast_to([fat, 0.68, 0.98, 0.98, 0.68], angles.shape)
    parts = [Part(smooth(_polar(angles, radii, curl), 4), palette.side)]
    for arm in arms[:, 0]:
        t = np.linspace(0, 0.85, 6)
        ridge = ribbon(_polar(np.full(6, arm), t, curl), 0.16 - 0.12 * t)
        parts.append(Part(ridge, palette.belly, False, 0.75))
        for radius in (0.3, 0.48, 0.66, 0.82):
            for x, y in _polar(arm + np.array([-0.09, 0.09]) / radius, np.full(2, radius), curl):
                parts.append(Part(disc(x, y, 0.032), palette.accent, False))
    parts.append(Part(disc(0, 0, 0.12), palette.accent, False))
    return parts


def _polar(angles: NDArray[np.float64], radii: NDArray[np.float64], curl: float) -> Points:
    turned = angles + curl * radii**2
    return np.stack([radii * np.cos(turned), radii * np.sin(turned)], axis=-1).reshape(-1, 2)


RAY_DISC = smooth(
    mirrored(
        [(0.64, 0.0), (0.58, 0.13), (0.40, 0.28), (0.18, 0.58), (-0.06, 0.92), (-0.06, 0.92)]
        + [(-0.18, 0.66), (-0.30, 0.38), (-0.42, 0.16), (-0.46, 0.0)]
    )
)


def stingray(rng: Generator, palette: Palette) -> list[Part]:
    """Seen from above: a kite of two wings and a whip of a tail."""
    t = np.linspace(0, 1, 10)
    sway = rng.uniform(-0.25, 0.25)
    tail = np.stack([-0.38 - 0.95 * t, sway * np.sin(2.6 * t)], axis=1)
    parts = [Part(ribbon(tail, 0.13 - 0.075 * t), palette.back)]
    parts += [Part(disc(-0.46, y, 0.14, 0.10), palette.back) for y in (-0.13, 0.13)]
    parts += [Part(RAY_DISC, palette.belly), Part(RAY_DISC * 0.92, palette.side, False)]
    back = smooth(mirrored([(0.5, 0.0), (0.3, 0.14), (0.0, 0.2), (-0.4, 0.06), (-0.5, 0.0)]))
    parts.append(Part(back, palette.back, False, 0.7))
    for x, y in ((0.22, 0.3), (0.04, 0.42), (0.0, 0.62), (-0.14, 0.34), (-0.2, 0.5)):
        parts += [Part(disc(x, s * y, 0.05), palette.accent, False) for s in (-1, 1)]
    for y in (-0.15, 0.15):
        parts += eye(0.42, y, 0.075)
    lift, sweep = rng.uniform(0.72, 1.0, 2), rng.uniform(-0.2, 0.15)
    return [part._replace(outline=_flap(part.outline, lift, sweep)) for part in parts]


def _flap(points: Points, lift: NDArray[np.float64], sweep: float) -> Points:
    """Raise the wings: seen from above each becomes shorter, and its tip moves along."""
    x, y = points[:, 0], points[:, 1]
    return np.stack([x + sweep * y**2, y * np.where(y < 0, lift[0], lift[1])], axis=1)


TURTLE_SHELL = smooth(
    mirrored([(0.50, 0.0), (0.44, 0.2), (0.2, 0.42), (-0.14, 0.44), (-0.46, 0.27), (-0.64, 0.0)])
)
TURTLE_HEAD = smooth(
    mirrored([(0.96, 0.0), (0.91, 0.1), (0.78, 0.15), (0.64, 0.11), (0.46, 0.12), (0.4, 0.0)])
)
TURTLE_FRONT = smooth(
    [(0.44, 0.20), (0.52, 0.42), (0.42, 0.70), (0.14, 1.0), (0.04, 0.98), (0.12, 0.72)]
    + [(0.18, 0.50), (0.14, 0.30)]
)
TURTLE_REAR = smooth([(-0.38, 0.22), (-0.52, 0.44), (-0.78, 0.56), (-0.82, 0.46), (-0.60, 0.14)])
TURTLE_TAIL = smooth([(-0.56, 0.08), (-0.76, 0.0), (-0.56, -0.08)])
TURTLE_PLATES = (
    *[disc(x, 0.0, 0.115, 0.13) for x in (0.30, 0.07, -0.16, -0.38)],
    *[disc(x, s * y, 0.11, 0.10) for s in (-1, 1) for x, y in ((0.2, 0.24), (-0.05, 0.28))],
    *[disc(-0.29, s * 0.22, 0.11, 0.09) for s in (-1, 1)],
)


def turtle(rng: Generator, palette: Palette) -> list[Part]:
    """Seen from above: a shell of plates, four flippers, a round head."""
    skin = palette.belly
    strokes = rng.uniform(-0.35, 0.3, 2)
    parts = [Part(TURTLE_TAIL, skin), Part(TURTLE_HEAD, skin)]
    for sign, stroke in zip((-1, 1), strokes, strict=True):
        front = turn(TURTLE_FRONT, stroke, (0.3, 0.26)) * [1, sign]
        rear = turn(TURTLE_REAR, -stroke, (-0.45, 0.22)) * [1, sign]
        parts += [Part(front, skin), Part(rear, skin)]
    parts += [Part(TURTLE_SHELL, palette.back), Part(TURTLE_SHELL * 0.9, palette.side, False)]
    parts += [Part(plate, palette.accent, False, 0.85) for plate in TURTLE_PLATES]
    for y in (-0.1, 0.1):
        parts.append(Part(disc(0.82, y, 0.045), INK, False))
    return parts


def turn(points: Points, angle: float, centre: tuple[float, float] = (0.0, 0.0)) -> Points:
    """Turn clockwise (y is down) around a centre; the angle is in radians.

    >>> turn(np.array([[1.0, 0.0]]), np.pi / 2).round(3).tolist()
    [[0.0, 1.0]]
    """
    c, s = np.cos(angle), np.sin(angle)
    return (points - centre) @ np.array([[c, s], [-s, c]]) + centre


def eel(rng: Generator, palette: Palette) -> list[Part]:
    """A long ribbon of a body that winds, with one fin from neck to tail."""
    t = np.linspace(0, 1, 28)
    swing, turns, phase = rng.uniform(0.2, 0.36), rng.uniform(1.0, 1.5), rng.uniform(0, 6.28)
    wave = swing * np.sin(2 * np.pi * turns * t + phase)
    spine = np.stack([1 - 2 * t, wave], axis=1)
    width = np.interp(t, (0, 0.03, 0.09, 0.2, 0.6, 1), (0.1, 0.2, 0.25, 0.22, 0.2, 0.05))
    parts = [Part(ribbon(spine[4:] - [0, 0.05], width[4:] * 1.35), palette.accent)]
    parts += [Part(ribbon(spine, width), palette.side)]
    parts += [Part(ribbon(spine + [0, 0.05], width * 0.5), palette.belly, False, 0.8)]
    for k in range(6, 27, 3):
        parts.append(
            Part(ribbon(spine[k : k + 2] + [0, -0.05], width[k] * 0.6), palette.back, False)
        )
    x, y = spine[2]
    parts += eye(x, y - 0.03, 0.06)
    return parts


ANIMALS: dict[str, Callable[[Generator, Palette], list[Part]]] = {
    "fish": fish,
    "jellyfish": jellyfish,
    "shark": shark,
    "starfish": starfish,
    "stingray": stingray,
    "turtle": turtle,
    "eel": eel,
}
TILT = {"fish": 0.4, "jellyfish": 0.5, "shark": 0.4, "eel": 0.6}
"""How far an animal leans either way, in radians; those seen from above turn freely."""
