"""The animals of the reef, as outlines that can be painted at any size.

Seven animals, each a function of a generator: it strikes a pose and returns its parts, back to
front. All amount the same palettes and sizes, so only form tells what an animal is.
They swim to the right, x right and y down, and are about 2 units long.
seascape.py grows plants with the same tools, scene.py brings all together.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

Colour = tuple[int | float, int | float, int | float]
"""Red, green, blue, 0 to 255."""
Points = Float[np.ndarray, "_ 2"]
"""x y of a polygon's corners."""

# Tools ----------------------------------------------------------------------------------------


class Part(NamedTuple):
    """One filled outline; a figure is a list of them, back to front."""

    outline: NDArray[np.float64]
    role: str
    """Which of a palette's colours it takes."""
    solid: bool = True
    """Whether it adds to the silhouette."""
    opacity: float = 1.0


class Palette(NamedTuple):
    """Colours that go together."""

    back: Colour
    side: Colour
    belly: Colour
    accent: Colour
    ink: Colour = (22.0, 26.0, 38.0)
    white: Colour = (250.0, 250.0, 244.0)

    @property
    def fin(self) -> Colour:
        """Between back and accent."""
        return mix(self.back, self.accent, 0.3)


PALETTES = (
    Palette((206, 78, 36), (244, 126, 52), (255, 214, 150), (255, 246, 226)),  # clownfish
    Palette((36, 74, 142), (62, 126, 204), (184, 220, 244), (255, 206, 70)),  # blue tang
    Palette((214, 150, 24), (250, 204, 62), (255, 242, 180), (50, 70, 120)),  # lemon
    Palette((84, 98, 120), (136, 152, 172), (232, 238, 242), (206, 214, 226)),  # slate
    Palette((140, 46, 104), (212, 92, 152), (252, 200, 218), (255, 226, 160)),  # orchid
    Palette((60, 102, 58), (118, 166, 82), (222, 234, 170), (240, 206, 110)),  # moss
    Palette((86, 56, 136), (142, 104, 204), (220, 202, 248), (250, 160, 190)),  # violet
    Palette((136, 92, 58), (204, 156, 104), (248, 228, 190), (110, 66, 46)),  # sand
    Palette((160, 38, 48), (226, 80, 76), (254, 196, 172), (255, 232, 200)),  # coral red
    Palette((20, 104, 110), (52, 172, 166), (196, 244, 224), (255, 178, 96)),  # lagoon
)


def mix(a: Colour, b: Colour, amount: float) -> Colour:
    """Go from one colour towards another; amount 1 arrives.

    >>> mix((0.0, 100.0, 200.0), (100.0, 100.0, 100.0), 0.5)
    (50.0, 100.0, 150.0)
    """
    return (
        a[0] + (b[0] - a[0]) * amount,
        a[1] + (b[1] - a[1]) * amount,
        a[2] + (b[2] - a[2]) * amount,
    )


def blend(a: Palette, b: Palette, amount: float, light: float) -> Palette:
    """Go from one palette towards another, then towards white (light 1) or ink (light -1).

    >>> blend(PALETTES[0], PALETTES[1], amount=1.0, light=0.0).back
    (36.0, 74.0, 142.0)
    """
    lamp = a.white if light > 0 else a.ink
    return Palette(
        *(mix(mix(p, q, amount), lamp, abs(light)) for p, q in zip(a[:4], b[:4], strict=True))
    )


def path(corners: str) -> Points:
    """Read "x,y x,y ..." as an SVG file writes a polygon.

    >>> path("1,0 0,-.5").tolist()
    [[1.0, 0.0], [0.0, -0.5]]
    """
    return np.array([corner.split(",") for corner in corners.split()], dtype=np.float64)


def smooth(points: Points, steps: int = 4) -> Points:
    """A closed Catmull-Rom curve through the points.

    >>> smooth(path("0,0 1,0 1,1 0,1"), steps=2).round(3)[:3].tolist()
    [[0.0, 0.0], [0.5, -0.125], [1.0, 0.0]]
    """
    neighbours = np.stack([np.roll(points, shift, axis=0) for shift in (1, 0, -1, -2)], axis=1)
    t = np.arange(steps)[:, None] / steps
    weights = [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2]
    return np.asarray(np.hstack(weights) / 2 @ neighbours).reshape(-1, 2)


def curve(corners: str) -> Points:
    """The smooth outline through the corners of a path."""
    return smooth(path(corners))


def mirrored(half: Points) -> Points:
    """Complete an outline that is the same above and below the line y = 0.

    >>> mirrored(path("1,0 0,2 -1,0")).tolist()
    [[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0], [0.0, -2.0]]
    """
    return np.concatenate([half, half[half[:, 1] != 0][::-1] * [1, -1]])


def disc(x: float, y: float, rx: float, ry: float | None = None) -> Points:
    """An ellipse around (x, y); small ones need fewer corners to look round.

    >>> disc(5.0, 0.0, 1.0)[0].tolist()
    [6.0, 0.0]
    """
    circle = CIRCLE if rx > 0.07 else CIRCLE[::2]
    return circle * (rx, ry or rx) + (x, y)


CIRCLE = np.stack([np.cos(np.arange(20) * np.pi / 10), np.sin(np.arange(20) * np.pi / 10)], axis=1)


def ribbon(spine: Points, widths: NDArray[np.float64] | float) -> Points:
    """The outline of a band along a line, as wide as told at each point.

    >>> ribbon(np.array([[0.0, 0.0], [4.0, 0.0]]), 2.0).tolist()
    [[0.0, 1.0], [4.0, 1.0], [4.0, -1.0], [0.0, -1.0]]
    """
    along = np.gradient(spine, axis=0)
    along /= np.hypot(along[:, 0], along[:, 1])[:, None]
    side = np.stack([-along[:, 1], along[:, 0]], axis=1)
    reach = side * np.broadcast_to(widths, len(spine))[:, None] / 2
    return np.concatenate([spine + reach, (spine - reach)[::-1]])


def line(*points: tuple[float, float], width: float) -> Points:
    """A band of one width through a few points."""
    return ribbon(np.array(points, dtype=np.float64), width)


def turn(points: Points, angle: float, centre: tuple[float, float] = (0.0, 0.0)) -> Points:
    """Turn clockwise (y is down) around a centre; the angle is in radians.

    >>> turn(np.array([[1.0, 0.0]]), np.pi / 2).round(3).tolist()
    [[0.0, 1.0]]
    """
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray((points - centre) @ np.array([[c, s], [-s, c]]) + centre)


def mark(outline: Points, role: str, opacity: float = 1.0) -> Part:
    """A marking: seen only where something solid lies."""
    return Part(outline, role, False, opacity)


def eye(x: float, y: float, radius: float) -> list[Part]:
    """White, pupil and a glint: alive even when it is three pixels across."""
    return [
        mark(disc(x, y, radius), "white"),
        mark(disc(x + 0.12 * radius, y, 0.66 * radius), "ink"),
        mark(disc(x + 0.3 * radius, y - 0.3 * radius, 0.24 * radius), "white"),
    ]


def warped(parts: list[Part], warp: Callable[[Points], Points]) -> list[Part]:
    """The same parts, each outline bent by a function."""
    return [part._replace(outline=warp(part.outline)) for part in parts]


# Fish -----------------------------------------------------------------------------------------

FISH_BODY = curve(
    ".95,.03 .82,-.15 .52,-.35 .12,-.43 -.28,-.3 -.58,-.11 -.66,0 -.58,.11 -.28,.29 "
    ".12,.41 .52,.34 .84,.16"
)
FISH_BELLY = curve(".9,.13 .5,.18 0,.17 -.6,.05 -.28,.28 .12,.4 .52,.33")
FISH_TAILS = (
    smooth(mirrored(path("-.5,0 -.64,.1 -.86,.36 -1.05,.46 -.96,.2 -.86,0"))),
    smooth(mirrored(path("-.5,0 -.62,.1 -.8,.3 -.98,.32 -1.04,.16 -1.05,0"))),
)
FISH_DORSALS = (
    curve(".46,-.3 .3,-.54 .02,-.64 -.3,-.58 -.46,-.42 -.42,-.14"),
    curve(".34,-.34 .16,-.62 -.14,-.86 -.22,-.82 -.2,-.54 -.44,-.14"),
)
FISH_ANAL = curve("0,.34 -.14,.52 -.36,.6 -.42,.54 -.4,.14")
FISH_PELVIC = curve(".34,.32 .22,.48 .06,.64 0,.6 .1,.34")
FISH_PECTORAL = curve(".32,.08 .1,0 -.1,.06 -.1,.18 .14,.26")


def fish(rng: Generator) -> list[Part]:
    """A deep, oval body, a fan of a tail, a tall fin on the back and a big eye."""
    tail, dorsal = FISH_TAILS[rng.integers(2)], FISH_DORSALS[rng.integers(2)]
    parts = [Part(outline, "fin") for outline in (tail, dorsal, FISH_ANAL, FISH_PELVIC)]
    rays = [line((-0.6, 0.3 * y), (-0.98, 1.5 * y), width=0.03) for y in (-0.18, 0.0, 0.18)]
    rays += [line((x + 0.12, -0.3), (x, -0.6), width=0.03) for x in (0.2, 0.02, -0.16)]
    parts += [mark(ray, "back", 0.7) for ray in rays]
    parts += [
        Part(FISH_BODY, ("side", "side", "belly")[rng.integers(3)]),
        mark(FISH_BELLY, "belly", 0.75),
    ]
    parts += [mark(outline, "accent") for outline in _fish_pattern(rng)]
    gill = line((0.46, -0.22), (0.38, -0.08), (0.37, 0.08), (0.44, 0.24), width=0.035)
    mouth = line((0.93, 0.07), (0.86, 0.10), (0.77, 0.10), width=0.03)
    parts += [mark(gill, "back"), mark(FISH_PECTORAL, "fin"), mark(mouth, "ink")]
    depth = rng.uniform(0.75, 1.15)
    return warped(parts + eye(0.62, -0.09, 0.115), lambda points: points * [1.0, depth])


def _fish_pattern(rng: Generator) -> list[Points]:
    kind = rng.integers(4)
    if kind == 0:  # bands
        return [
            line((x, -0.5), (x + 0.06, 0.0), (x, 0.5), width=0.13) for x in (0.22, -0.14, -0.46)
        ]
    if kind == 1:  # spots
        return [disc(x, y, 0.055) for x in (0.2, 0.0, -0.2, -0.4) for y in (-0.2, -0.03)]
    if kind == 2:  # one stripe along the side
        return [line((0.36, -0.05), (0.0, -0.08), (-0.62, 0.0), width=0.12)]
    return [curve(".28,-.5 .2,-.14 -.1,.02 -.34,-.12 -.36,-.5")]


# Shark ----------------------------------------------------------------------------------------

SHARK_BODY = curve(
    "1,-.01 .86,-.11 .52,-.21 .15,-.24 -.25,-.18 -.6,-.085 -.8,-.05 -.8,.03 -.55,.07 "
    "-.2,.16 .2,.21 .55,.19 .8,.12 .94,.05"
)
SHARK_BELLY = curve(".97,.03 .6,.07 .2,.08 -.3,.05 -.7,.01 -.7,.05 -.2,.2 .2,.25 .6,.22 .9,.1")
SHARK_TAIL = curve(
    "-.64,-.07 -.8,-.15 -.91,-.32 -.99,-.48 -1.03,-.47 -.98,-.3 -.92,-.13 -.87,0 -.93,.14 "
    "-.98,.27 -.94,.29 -.85,.18 -.75,.1 -.64,.06"
)
SHARK_DORSAL = curve(".32,-.16 .18,-.36 .0,-.57 -.04,-.55 -.03,-.34 -.12,-.14")
SHARK_DORSAL_2 = curve("-.38,-.1 -.54,-.25 -.57,-.23 -.56,-.06")
SHARK_PECTORAL = curve(".42,.11 .28,.32 .05,.52 .01,.51 .08,.3 .15,.11")
SHARK_PELVIC = curve("-.24,.1 -.43,.28 -.46,.25 -.44,.07")


def shark(rng: Generator) -> list[Part]:
    """A torpedo with a pointed snout, a tall triangle on the back and a crescent tail."""
    fins = (SHARK_TAIL, SHARK_DORSAL, SHARK_DORSAL_2, SHARK_PELVIC)
    parts = [Part(outline, "back") for outline in fins]
    parts += [Part(SHARK_BODY, "side"), mark(SHARK_BELLY, "belly")]
    if rng.random() < 0.3:  # a tiger shark
        bars = [line((x, -0.26), (x - 0.05, -0.04), width=0.05) for x in (0.2, 0.04, -0.12, -0.28)]
        parts += [mark(bar, "back", 0.8) for bar in bars]
    for x in (0.40, 0.46, 0.52):
        parts.append(mark(line((x, -0.08), (x - 0.03, 0.08), width=0.022), "back"))
    parts.append(mark(line((0.90, 0.08), (0.79, 0.115), (0.68, 0.09), width=0.03), "ink"))
    parts += [
        mark(disc(0.76, -0.04, 0.045), "ink"),
        mark(disc(0.77, -0.05, 0.015), "white"),
    ]
    parts.append(Part(SHARK_PECTORAL, "back"))
    bend = rng.uniform(-0.22, 0.22)
    return warped(parts, lambda points: _swing(points, bend))


def _swing(points: Points, amount: float) -> Points:
    """Bend the rear of a body up or down, more the further back."""
    x, y = points.T
    return np.stack([x, y + amount * np.maximum(0.3 - x, 0) ** 2], axis=1)


# Jellyfish ------------------------------------------------------------------------------------

JELLY_BELL = curve(
    "-.64,-.2 -.6,-.56 -.36,-.88 0,-.99 .36,-.88 .6,-.56 .64,-.2 .56,-.06 .42,-.02 "
    ".33,-.12 .24,-.01 .1,.01 0,-.09 -.1,.01 -.24,-.01 -.33,-.12 -.42,-.02 -.56,-.06"
)
JELLY_CAP = curve("-.44,-.44 -.3,-.76 0,-.9 .3,-.76 .44,-.44 0,-.34")
JELLY_GLINT = curve("-.46,-.5 -.36,-.74 -.14,-.88 -.2,-.72 -.36,-.5")


def jellyfish(rng: Generator) -> list[Part]:
    """A dome with a scalloped hem, frilled arms and trailing tentacles."""
    t = np.linspace(0, 1, 20)
    end = np.sqrt(1 - 0.85 * t**10)  # rounds the tips off
    phase, parts = rng.uniform(0, 6.28), []
    bell, cap = (("side", "back"), ("belly", "side"), ("back", "side"))[rng.integers(3)]
    for x, length in zip((-0.50, -0.25, 0.25, 0.50), rng.uniform(0.8, 1.15, 4), strict=True):
        wave = x * (1 - 0.2 * t) + 0.1 * np.sin(5.5 * t + phase + 1.5 * x) * t**0.5
        spine = np.stack([wave, -0.16 + length * t], axis=1)
        parts.append(Part(ribbon(spine, (0.12 - 0.05 * t) * end), "back"))
    for x, length in zip((-0.15, 0.15, 0.0), rng.uniform(0.7, 1.0, 3), strict=True):
        wave = x + 0.08 * np.sin(6 * t + phase + 4 * x) * t**0.5
        spine = np.stack([wave, -0.2 + length * t], axis=1)
        frill = (0.24 - 0.16 * t) * (1 + 0.22 * np.sin(np.arange(20) * 1.9))
        parts.append(Part(ribbon(spine, frill * end), "side" if x else "belly"))
    parts += [Part(JELLY_BELL, bell), mark(JELLY_CAP, cap, 0.4)]
    for x in (-0.44, -0.16, 0.16, 0.44):
        rib = np.stack([x * (0.25 + 0.85 * np.sin(1.5 * t)), -0.92 + 0.84 * t**1.5], axis=1)
        parts.append(mark(ribbon(rib[::3], 0.045), "accent", 0.75))
    return [*parts, mark(JELLY_GLINT, "white", 0.55)]


# Starfish -------------------------------------------------------------------------------------


def starfish(rng: Generator) -> list[Part]:
    """Five tapering arms around a disc."""
    curl, waist = rng.uniform(-0.28, 0.28), rng.uniform(0.36, 0.46)
    arms = np.arange(5) * (2 * np.pi / 5)
    angles = arms[:, None] + np.array([-0.628, -0.21, -0.075, 0.075, 0.21])
    radii = np.broadcast_to([waist, 0.68, 0.98, 0.98, 0.68], angles.shape)
    skin, ridge = (("side", "belly"), ("belly", "side"), ("back", "side"))[rng.integers(3)]
    parts = [Part(smooth(_spiral(angles, radii, curl), 3), skin)]
    for arm in arms:
        t = np.linspace(0, 0.86, 6)
        parts.append(mark(ribbon(_spiral(arm, t, curl), 0.17 - 0.12 * t), ridge, 0.75))
        for radius, size in ((0.32, 0.042), (0.52, 0.036), (0.71, 0.03)):
            for x, y in _spiral(arm + np.array([-0.1, 0.1]) / radius, radius, curl):
                parts.append(mark(disc(x, y, size), "accent"))
    parts.append(mark(disc(0.0, 0.0, 0.12), "accent"))
    squash = rng.uniform(0.82, 1.0)
    return warped(parts, lambda points: points * [1.0, squash])


def _spiral(
    angles: NDArray[np.float64] | float, radii: NDArray[np.float64] | float, curl: float
) -> Points:
    """Points at angles and radii from the middle, the outer ones turned further."""
    turned = angles + curl * np.asarray(radii) ** 2
    return np.stack([radii * np.cos(turned), radii * np.sin(turned)], axis=-1).reshape(-1, 2)


# Stingray -------------------------------------------------------------------------------------

RAY_DISC = smooth(
    mirrored(
        path(".64,0 .6,.12 .44,.28 .26,.52 .04,.86 -.1,.96 -.17,.88 -.2,.64 -.28,.4 -.4,.18 -.46,0")
    )
)
RAY_BACK = smooth(mirrored(path(".5,0 .34,.13 0,.19 -.4,.08 -.5,0")))


def stingray(rng: Generator) -> list[Part]:
    """Seen from above: two wings grown into one kite, and a whip of a tail."""
    t = np.linspace(0, 1, 12)
    sway = rng.uniform(-0.3, 0.3)
    tail = np.stack([-0.38 - 0.95 * t, sway * np.sin(2.6 * t)], axis=1)
    parts = [Part(ribbon(tail, (0.15 - 0.06 * t) * np.sqrt(1 - 0.8 * t**12)), "back")]
    parts += [Part(disc(-0.46, y, 0.15, 0.10), "back") for y in (-0.13, 0.13)]
    skin = ("side", "back", "belly")[rng.integers(3)]
    parts += [Part(RAY_DISC, "belly"), mark(RAY_DISC * [0.93, 0.92], skin)]
    parts.append(mark(RAY_BACK, "side" if skin == "back" else "back", 0.7))
    if rng.random() < 0.7:  # spotted
        for x, y in ((0.22, 0.3), (0.04, 0.42), (0.0, 0.64), (-0.14, 0.32), (-0.12, 0.52)):
            parts += [mark(disc(x, sign * y, 0.05), "accent") for sign in (-1, 1)]
    for y in (-0.16, 0.16):
        parts += [
            mark(disc(0.40, y, 0.09, 0.08), "belly"),
            mark(disc(0.42, y, 0.052), "ink"),
        ]
    lift, sweep = rng.uniform(0.72, 1.0, 2), rng.uniform(-0.22, 0.15)
    return warped(parts, lambda points: _flap(points, lift, sweep))


def _flap(points: Points, lift: NDArray[np.float64], sweep: float) -> Points:
    """Raise the wings: seen from above each becomes shorter, and its tip moves along."""
    x, y = points.T
    return np.stack([x + sweep * y**2, y * np.where(y < 0, lift[0], lift[1])], axis=1)


# Turtle ---------------------------------------------------------------------------------------

TURTLE_SHELL = smooth(mirrored(path(".5,0 .44,.22 .2,.43 -.14,.45 -.46,.28 -.66,0")))
TURTLE_HEAD = smooth(mirrored(path(".98,0 .93,.1 .8,.155 .66,.12 .46,.13 .4,0")))
TURTLE_FRONT = curve(".44,.2 .53,.42 .44,.7 .14,1 .04,.98 .12,.72 .18,.5 .14,.3")
TURTLE_REAR = curve("-.38,.22 -.52,.44 -.78,.56 -.82,.46 -.6,.14")
TURTLE_TAIL = curve("-.56,.08 -.8,0 -.56,-.08")


def _scutes() -> list[Points]:
    """The plates of a shell: four along the middle, three on either side."""
    middle, along = path(".1,.06 0,.12 -.1,.06 -.1,-.06 0,-.12 .1,-.06"), (0.31, 0.08, -0.15, -0.38)
    plates = [middle + np.array([x, 0.0]) for x in along]
    side = path("-.02,.155 -.115,.1 -.21,.155 -.23,.98 -.115,1 -.03,.98")  # y: 1 is the rim
    for x, rim in zip(along, (0.33, 0.38, 0.31), strict=False):
        tall = np.where(side[:, 1] > 0.5, rim, 1.0)
        plates += [(side * np.stack([np.ones(6), tall], axis=1) + [x, 0]) * [1, s] for s in (-1, 1)]
    return plates


TURTLE_SCUTES = _scutes()


def _paddle(stroke: float, sign: int, points: Points) -> Points:
    """Turn a front flipper around its shoulder, on the left (-1) or the right (1) side."""
    return turn(points, stroke, (0.3, 0.26)) * [1, sign]


def turtle(rng: Generator) -> list[Part]:
    """Seen from above: a shell of plates, four flippers, a round head."""
    skin, spots = (("belly", "side"), ("side", "back"))[rng.integers(2)]
    parts = [Part(TURTLE_TAIL, skin), Part(TURTLE_HEAD, skin)]
    for sign, stroke in zip((-1, 1), rng.uniform(-0.35, 0.3, 2), strict=True):
        front = [Part(TURTLE_FRONT, skin)]
        front += [mark(disc(*spot), spots, 0.8) for spot in FLIPPER_SPOTS]
        parts += warped(front, partial(_paddle, stroke, sign))
        parts.append(Part(turn(TURTLE_REAR, -stroke, (-0.45, 0.22)) * [1, sign], skin))
    plates = ("accent", "belly", "back")[rng.integers(3)]
    parts += [Part(TURTLE_SHELL, "back"), mark(TURTLE_SHELL * 0.9, "side")]
    parts += [mark(plate, plates, 0.85) for plate in TURTLE_SCUTES]
    parts.append(mark(disc(0.74, 0.0, 0.09, 0.07), spots, 0.8))
    return parts + [mark(disc(0.85, y, 0.045), "ink") for y in (-0.1, 0.1)]


FLIPPER_SPOTS = ((0.42, 0.48, 0.06), (0.32, 0.63, 0.06), (0.36, 0.36, 0.05), (0.21, 0.78, 0.05))

# Eel ------------------------------------------------------------------------------------------

EEL_HEAD = curve(".17,-.02 .12,-.1 -.03,-.16 -.24,-.11 -.24,.11 -.02,.14 .1,.11 .16,.05")
EEL_JAW = curve(".16,.04 .05,.07 -.18,.07 -.22,.11 0,.15 .12,.11")
EEL_JOINTS = 38


def eel(rng: Generator) -> list[Part]:
    """A long body that winds, a blunt head, and a fin that runs around the whole tail."""
    t = np.linspace(0, 1, EEL_JOINTS)
    swing, turns, phase = rng.uniform(0.2, 0.36), rng.uniform(0.9, 1.5), rng.uniform(0, 6.28)
    spine = np.stack([0.86 - 1.86 * t, swing * np.sin(2 * np.pi * turns * t + phase)], axis=1)
    width = np.interp(t, (0, 0.08, 0.25, 0.65, 0.93, 1), (0.24, 0.28, 0.25, 0.20, 0.10, 0.06))
    fin = np.interp(t, (0.1, 0.2, 0.75, 0.92, 1), (0, 0.16, 0.2, 0.2, 0.06))
    above = np.concatenate([ribbon(spine, width + fin)[:EEL_JOINTS], spine[::-1]])
    below = np.interp(t, (0.45, 0.65, 0.92, 1), (0, 0.19, 0.2, 0.06))
    behind = ribbon(spine, width + below)
    parts = [Part(above, "fin"), Part(behind, "fin")]
    parts += [Part(ribbon(spine, width), "side"), *_eel_pattern(rng, spine, width)]
    head = [Part(EEL_HEAD, "side"), mark(EEL_JAW, "belly", 0.8), *eye(0.0, -0.06, 0.06)]
    head.append(mark(line((0.17, 0.03), (0.06, 0.06), (-0.06, 0.05), width=0.03), "ink"))
    head.append(mark(disc(-0.18, 0.02, 0.03), "back"))
    heading = float(np.arctan2(*(spine[0] - spine[2])[::-1]))
    return parts + warped(head, lambda points: turn(points, heading) + spine[0])


def _eel_pattern(rng: Generator, spine: Points, width: NDArray[np.float64]) -> list[Part]:
    """A light underside with bands or spots above."""
    below = ribbon(spine, width)[EEL_JOINTS:][::-1]  # from head to tail along the underside
    belly = np.concatenate([below, (0.45 * below + 0.55 * spine)[::-1]])
    parts = [mark(belly, "belly", 0.8)]
    if rng.random() < 0.5:
        for k in range(7, EEL_JOINTS - 2, 4):
            parts.append(mark(ribbon(spine[k : k + 2], 1.05 * width[k]), "back", 0.9))
    else:
        above = ribbon(spine, width)[:EEL_JOINTS]
        for x, y in (0.45 * above + 0.55 * spine)[7:-4:3]:
            parts.append(mark(disc(x, y, 0.035), "accent"))
    return parts


# Poses ----------------------------------------------------------------------------------------

ANIMALS: dict[str, Callable[[Generator], list[Part]]] = {
    "fish": fish,
    "jellyfish": jellyfish,
    "shark": shark,
    "starfish": starfish,
    "stingray": stingray,
    "turtle": turtle,
    "eel": eel,
}
TILT = {"fish": 0.4, "jellyfish": 0.5, "shark": 0.4, "eel": 0.7}
"""How far an animal leans either way, in radians; those seen from above turn freely."""
SEE_THROUGH = {"jellyfish": 0.88}
"""How much an animal hides of what is behind it, where that is not all."""
POSES = 64
"""Poses kept of each animal: a pose is worked out once, and then turned, flipped and coloured."""


class Figure(NamedTuple):
    """Parts in a form that moves fast: all corners in one array."""

    points: NDArray[np.float64]
    """[P, 2], the outlines one after another."""
    stops: tuple[int, ...]
    """Where in `points` each part ends."""
    parts: tuple[Part, ...]
    """Their colours and kinds; their outlines are where they were before any move."""

    @property
    def solid_points(self) -> NDArray[np.float64]:
        """[P, 2], the corners of the silhouette."""
        starts = (0, *self.stops)
        spans = zip(starts, self.stops, self.parts, strict=False)
        return np.concatenate([self.points[a:b] for a, b, part in spans if part.solid])


def assemble(parts: list[Part]) -> Figure:
    """Join parts, back to front, into a figure.

    >>> assemble([Part(np.zeros((3, 2)), "side"), Part(np.zeros((4, 2)), "back")]).stops
    (3, 7)
    """
    stops = np.cumsum([len(part.outline) for part in parts])
    points = np.concatenate([part.outline for part in parts])
    return Figure(points, tuple(stops.tolist()), tuple(parts))


@cache
def pose(name: str, number: int) -> Figure:
    """Pose `number` of an animal, always the same one."""
    return assemble(ANIMALS[name](default_rng([list(ANIMALS).index(name), number])))
