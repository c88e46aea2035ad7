"""The sea around the animals: water and light, sand, rocks and plants, and the brush for it all.

Lengths are fractions of the picture's shorter side, so one plan serves every image size.
Uses creatures.py. scene.py puts the animals into this sea.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from detlab.reef.creatures import (
    Colour,
    Figure,
    Palette,
    Part,
    Points,
    assemble,
    disc,
    mix,
    ribbon,
    smooth,
    turn,
)


class Cutout(NamedTuple):
    """A figure in its colours and in its place."""

    figure: Figure
    palette: Palette


class Sea(NamedTuple):
    """The plan of a sea: everything is decided, nothing is painted."""

    light: UInt8[np.ndarray, "h w 3"]
    """Water and light, coarse: both are soft."""
    scenery: list[Cutout]
    """Ridge, sand, rocks, plants and bubbles, back to front."""
    foreground: list[Cutout]
    """A plant close to the eye; animals pass behind it."""
    murk: Colour
    """What far things fade into."""


class Water(NamedTuple):
    """Colours of an hour of the day."""

    surface: Colour
    middle: Colour
    deep: Colour
    sand: Colour


WATERS = (
    Water((150, 226, 228), (54, 164, 196), (16, 92, 142), (240, 222, 176)),  # noon in a lagoon
    Water((110, 186, 230), (36, 110, 186), (12, 48, 112), (216, 206, 180)),  # open blue
    Water((178, 226, 190), (70, 158, 140), (18, 84, 92), (210, 202, 146)),  # green bay
    Water((252, 206, 160), (190, 130, 150), (62, 56, 110), (226, 188, 160)),  # sunset
    Water((158, 150, 220), (84, 82, 166), (34, 30, 88), (176, 160, 188)),  # violet dusk
    Water((84, 134, 176), (32, 72, 122), (12, 30, 68), (128, 138, 152)),  # moonlight
)
NIGHT: Colour = (6.0, 20.0, 36.0)
AIR: Colour = (225.0, 245.0, 255.0)
LIGHT_GRID = 48  # samples of light per shorter side


def plan_sea(rng: Generator, extent: tuple[float, float], haze: float) -> Sea:
    """Decide hour, weather and garden of a sea of (height, width) shorter sides."""
    first, second = rng.permutation(len(WATERS))[:2]
    amount = float(rng.uniform(0, 0.3))
    water = Water(*(mix(a, b, amount) for a, b in zip(WATERS[first], WATERS[second], strict=True)))
    murk = mix(water.middle, water.deep, 0.35)
    light = _light(rng, extent, water)
    scenery = _scenery(rng, extent, water, murk, 0.3 + 0.5 * haze)
    return Sea(light, scenery, _foreground(rng, extent, murk), murk)


def _light(rng: Generator, extent: tuple[float, float], water: Water) -> UInt8[np.ndarray, "h w 3"]:
    """Water that darkens with depth, a glow under the sun, and rays that fan out from it."""
    height, width = extent
    y = np.linspace(0, height, round(LIGHT_GRID * height))[:, None]
    x = np.linspace(0, width, round(LIGHT_GRID * width))[None, :]
    depth, stops = y[:, 0] / height, (0.0, 0.5, 1.0)
    channels = zip(water.surface, water.middle, water.deep, strict=True)
    picture = np.stack([np.interp(depth, stops, channel) for channel in channels], axis=1)[:, None]

    sun = rng.uniform(0.05, 0.95) * width
    fan = np.linspace(-1.6, 1.6, 160)  # directions from above the sun's place, in radians
    centres, breadths = rng.uniform(-1.1, 1.1, (6, 1)), rng.uniform(0.03, 0.12, (6, 1))
    beams = np.exp(-(((fan - centres) / breadths) ** 2)).sum(axis=0)
    rays = np.interp(np.arctan2(x - sun, y + 0.35), fan, beams) * np.exp(-1.6 * y)
    glow = np.exp(-((x - sun) ** 2) / 0.18) * np.exp(-(y**2) / 0.18)
    lit = np.minimum(0.32 * rays + 0.45 * glow, 0.8)[:, :, None]
    lighter = picture + (np.array([255.0, 255.0, 240.0]) - picture) * lit
    return np.asarray(lighter, dtype=np.uint8)


def _scenery(
    rng: Generator, extent: tuple[float, float], water: Water, murk: Colour, fade: float
) -> list[Cutout]:
    """A far ridge, the sand, rocks and plants from far to near, bubbles; or open water."""
    height, width = extent
    bubbles = _bubbles(rng, extent)
    if rng.random() < 0.12:
        return [bubbles]
    floor = height - float(rng.uniform(0.06, 0.28))
    scenery = [_ridge(rng, width, floor, height, mix(water.deep, murk, 0.55))]
    scenery.append(_sand(rng, width, floor, height, water.sand, murk, fade))
    for foot in np.sort(rng.uniform(floor + 0.02, height + 0.04, rng.integers(4, 9))):
        far = float(fade * np.clip((height - foot) / (height - floor), 0, 1))
        scenery.append(_plant(rng, rng.uniform(0, width), foot, 1 - 0.3 * far, murk, far))
    return [*scenery, bubbles]


def _plant(rng: Generator, x: float, y: float, size: float, murk: Colour, far: float) -> Cutout:
    """One of the garden's plants at its place, the paler the farther."""
    kind = list(PLANTS)[rng.integers(len(PLANTS))]
    grown, colours = plant(kind, int(rng.integers(SHAPES))), PLANT_COLOURS[kind]
    main, tint = colours[rng.integers(len(colours))], float(rng.uniform(0, 0.25))
    main = mix(mix(main, (90, 120, 150), tint), murk, far)
    dark, light = mix(main, (10, 24, 50), 0.35), mix(main, (255, 250, 215), 0.3)
    stretch = size * rng.uniform(0.8, 1.2, 2) * rng.choice([-1.0, 1.0], 2) * [1, 0] + [0, size]
    points = grown.points * stretch + [x, y]
    return Cutout(grown._replace(points=points), Palette(dark, main, light, light))


def _foreground(rng: Generator, extent: tuple[float, float], murk: Colour) -> list[Cutout]:
    """Now and then a dark plant at the left or right edge."""
    height, width = extent
    if rng.random() > 0.3:
        return []
    grown = plant(("kelp", "grass")[rng.integers(2)], int(rng.integers(SHAPES)))
    points = grown.points * 1.5 + [rng.choice([0.03, 0.97]) * width, height + 0.03]
    back, side, belly = (mix(murk, NIGHT, amount) for amount in (0.75, 0.62, 0.5))
    return [Cutout(grown._replace(points=points), Palette(back, side, belly, belly))]


def _ridge(rng: Generator, width: float, floor: float, height: float, colour: Colour) -> Cutout:
    """Far rocks, little more than a shadow."""
    x = np.linspace(-0.1, width + 0.1, 10)
    top = floor - rng.uniform(0.0, 0.16) - rng.uniform(-0.08, 0.08, 10)
    curve = smooth(np.stack([x, top], axis=1), 5)[: 9 * 5]
    return Cutout(
        assemble([Part(_down_to(curve, height), "side")]), Palette(colour, colour, colour, colour)
    )


def _sand(
    rng: Generator,
    width: float,
    floor: float,
    height: float,
    sand: Colour,
    murk: Colour,
    fade: float,
) -> Cutout:
    """Three banks of sand, the nearest the lightest, with ripples of light."""
    x = np.linspace(-0.05, width + 0.05, 16)
    tall, phases, parts = height - floor, rng.uniform(0, 6.28, 7), []
    for depth, role, phase in zip(
        (0.0, 0.25, 0.6), ("back", "side", "belly"), phases, strict=False
    ):
        y = floor + depth * tall + 0.012 * np.sin(5 * x + phase)
        parts.append(Part(_down_to(np.stack([x, y], axis=1), height), role))
    for depth, phase in zip((0.16, 0.4, 0.52, 0.82), phases[3:], strict=True):
        y = floor + depth * tall + 0.01 * np.sin(9 * x + phase)
        ripple = ribbon(np.stack([x, y], axis=1), 0.016 * np.maximum(np.sin(6 * x - phase), 0.0))
        parts.append(Part(ripple, "accent", opacity=0.35))
    far, middle, near = (mix(sand, murk, fade * depth + 0.06) for depth in (1.0, 0.65, 0.3))
    return Cutout(assemble(parts), Palette(far, middle, near, mix(sand, AIR, 0.6)))


def _down_to(top: Points, height: float) -> Points:
    """Close a line from left to right along the picture's lower edge."""
    corners = np.array([[top[-1, 0], height + 0.02], [top[0, 0], height + 0.02]])
    return np.concatenate([top, corners])


def _bubbles(rng: Generator, extent: tuple[float, float]) -> Cutout:
    """A few rings of air on their way up."""
    foot = rng.uniform((0, 0.2), (extent[1], extent[0]))
    parts = []
    for rise, r in enumerate(rng.uniform(0.006, 0.017, 5)):
        x, y = foot[0] + rng.uniform(-0.03, 0.03), foot[1] - 0.07 * rise
        parts.append(Part(disc(x, y, r), "side", opacity=0.4))
        parts.append(Part(disc(x - 0.3 * r, y - 0.3 * r, 0.4 * r), "white", opacity=0.85))
    return Cutout(assemble(parts), Palette(AIR, AIR, AIR, AIR))


# Plants and rocks: rooted at (0, 0), growing towards negative y ---------------------------------


def _kelp(rng: Generator) -> list[Part]:
    """Tall stems that sway, with leaves left and right."""
    t, parts = np.linspace(0, 1, 9), []
    for x, role in ((-0.04, "back"), (0.02, "side")):
        tall, phase = rng.uniform(0.25, 0.58), rng.uniform(0, 6.28)
        spine = np.stack([x + 0.045 * np.sin(4 * t + phase) * t, -t * tall], axis=1)
        parts.append(Part(ribbon(spine, 0.016 * (1.1 - t)), role))
        for k in range(1, 9):
            angle = (0.6 if k % 2 else 2.54) + rng.uniform(-0.25, 0.25)
            leaf = turn(LEAF * (0.085 - 0.005 * k), -angle) + spine[k]
            parts.append(Part(leaf, role))
    return parts


LEAF = np.array([[0, 0], [0.35, -0.16], [0.7, -0.14], [1, 0], [0.65, 0.12], [0.3, 0.12]])


def _grass(rng: Generator) -> list[Part]:
    """A tuft."""
    t, parts = np.linspace(0, 1, 6), []
    for lean, role in zip(
        rng.uniform(-0.14, 0.14, 7), ["back"] * 3 + ["side"] * 3 + ["belly"], strict=True
    ):
        spine = np.stack([0.25 * lean + lean * t**2, -t * rng.uniform(0.09, 0.22)], axis=1)
        parts.append(Part(ribbon(spine, 0.02 * (1.1 - t)), role))
    return parts


def _rock(rng: Generator) -> list[Part]:
    """A boulder or two, lit from above."""
    parts = []
    for x in rng.uniform(-0.09, 0.09, rng.integers(1, 3)):
        angles, r = np.linspace(0, 2 * np.pi, 9, endpoint=False), rng.uniform(0.05, 0.12)
        radii = r * rng.uniform(0.82, 1.15, (9, 1))
        outline = radii * np.stack([1.25 * np.cos(angles), 0.8 * np.sin(angles)], axis=1) + [x, 0]
        parts.append(Part(smooth(outline, 3), "back"))
        for role, scale, up in (("side", 0.82, 0.16), ("belly", 0.42, 0.4)):
            lit = smooth((outline - [x, 0]) * scale, 3) + np.array([x - 0.1 * r, -up * r])
            parts.append(Part(lit, role, opacity=0.8))
    return parts


def _tree_coral(rng: Generator) -> list[Part]:
    """Branches that fork."""
    parts: list[Part] = []

    def branch(foot: NDArray[np.float64], angle: float, length: float, thick: float) -> None:
        tip = foot + length * np.array([np.sin(angle), -np.cos(angle)])
        stem = np.stack([foot - 0.1 * (tip - foot), tip])
        parts.append(Part(ribbon(stem, np.array([thick, 0.8 * thick])), "side"))
        if length < 0.04:
            parts.append(Part(disc(tip[0], tip[1], 0.45 * thick), "belly"))
        else:
            for side in (-1, 1):
                branch(tip, angle + side * rng.uniform(0.25, 0.6), 0.7 * length, 0.78 * thick)

    branch(np.zeros(2), rng.uniform(-0.2, 0.2), rng.uniform(0.06, 0.09), 0.028)
    return parts


def _sponge(rng: Generator) -> list[Part]:
    """A few vases with open mouths."""
    parts = []
    for x, role in ((-0.05, "back"), (0.055, "back"), (0.0, "side")):
        tall, r = rng.uniform(0.07, 0.18), rng.uniform(0.022, 0.034)
        x_top = 1.3 * x
        spine = np.stack([np.linspace(0.5 * x, x_top, 5), np.linspace(0.01, -tall, 5)], axis=1)
        parts.append(Part(ribbon(spine, r * np.array([1.0, 1.3, 1.7, 1.9, 2.0])), role))
        parts.append(Part(disc(x_top, -tall, r, 0.42 * r), "belly"))
        parts.append(Part(disc(x_top, -tall, 0.7 * r, 0.26 * r), "ink", opacity=0.6))
    return parts


def _brain_coral(rng: Generator) -> list[Part]:
    """A dome with winding grooves."""
    r = rng.uniform(0.05, 0.1)
    across = np.linspace(0, np.pi, 15)
    rim = np.stack([-1.25 * r * np.cos(across), -r * np.sin(across) ** 0.8], axis=1)
    crown = rim * [0.75, 0.5] - np.array([0.08 * r, 0.42 * r])
    parts = [Part(rim * 1.04, "back"), Part(rim, "side"), Part(crown, "belly", opacity=0.35)]
    for scale in (0.3, 0.55, 0.8):
        wobble = 0.06 * r * np.sin(7 * across + 9 * scale)
        arc = rim[1:-1] * scale + np.stack([0 * wobble, wobble], axis=1)[1:-1]
        parts.append(Part(ribbon(arc, 0.07 * r), "back"))
    return parts


PLANTS = {
    "kelp": _kelp,
    "grass": _grass,
    "rock": _rock,
    "tree coral": _tree_coral,
    "sponge": _sponge,
    "brain coral": _brain_coral,
}
GREENS: tuple[Colour, ...] = ((58, 138, 92), (108, 156, 70), (34, 120, 116), (150, 128, 62))
REDS: tuple[Colour, ...] = ((230, 106, 114), (244, 168, 96), (178, 104, 178), (238, 206, 130))
GREYS: tuple[Colour, ...] = ((98, 104, 116), (128, 112, 100), (84, 100, 112))
PLANT_COLOURS = {
    "kelp": GREENS,
    "grass": GREENS,
    "rock": GREYS,
    "tree coral": REDS,
    "sponge": REDS,
    "brain coral": REDS,
}
SHAPES = 24  # of each plant; a shape is worked out once, and then stretched, flipped and coloured


@cache
def plant(kind: str, number: int) -> Figure:
    """Shape `number` of a kind of plant, always the same one."""
    return assemble(PLANTS[kind](default_rng([100, list(PLANTS).index(kind), number])))


# The brush ------------------------------------------------------------------------------------


class Stamp(NamedTuple):
    """A painted figure, ready to be put on a picture."""

    corner: tuple[int, int]
    """x y of its top-left pixel in the picture; may lie outside."""
    colours: Float[np.ndarray, "h w 3"]
    coverage: Float[np.ndarray, "h w"]
    """How much of each pixel the figure covers, 0 to 1."""


def paint_sea(sea: Sea, image_size: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """Paint water and scenery at (height, width) pixels."""
    height, width = image_size
    water = Image.fromarray(sea.light).resize((width, height), Image.Resampling.BICUBIC)
    picture = water.resize((2 * width, 2 * height), Image.Resampling.NEAREST)
    for cutout in sea.scenery:
        _fill(picture, cutout, 2 * min(image_size), (0, 0))
    return np.array(picture.reduce(2))


def paint_figure(cutout: Cutout, scale: int, murk: Colour, fade: float) -> Stamp:
    """Paint a figure where a shorter side is `scale` pixels, faded into the murk."""
    solid = cutout.figure.solid_points * scale
    left, top = (int(v) - 2 for v in np.floor(solid.min(axis=0)))
    right, bottom = (int(v) + 3 for v in np.ceil(solid.max(axis=0)))
    long = max(right - left, bottom - top)
    fine = 4 if long < 48 else 3 if long < 100 else 2
    size = ((right - left) * fine, (bottom - top) * fine)

    ground = cutout.figure.parts[0]
    picture = Image.new("RGB", size, _ink(cutout.palette, ground)[:3])
    mask = Image.new("L", size)
    _fill(picture, cutout, scale * fine, (left * fine, top * fine), mask)
    coverage = mask.reduce(fine)
    colours = np.asarray(picture.reduce(fine), dtype=np.float32) * _volume(coverage)[:, :, None]
    colours = colours.clip(max=255)
    faded = colours + (np.array(murk, dtype=np.float32) - colours) * np.float32(fade)
    return Stamp((left, top), faded, np.asarray(coverage, dtype=np.float32) / 255)


def _fill(
    picture: Image.Image,
    cutout: Cutout,
    scale: int,
    corner: tuple[int, int],
    mask: Image.Image | None = None,
) -> None:
    """Paint each part of a figure, and its solid parts into the mask."""
    figure, palette = cutout
    corners = (figure.points * scale - corner).ravel().tolist()
    plain, sheer = ImageDraw.Draw(picture), ImageDraw.Draw(picture, "RGBA")
    shadow = ImageDraw.Draw(mask) if mask else None
    start = 0
    for stop, part in zip(figure.stops, figure.parts, strict=True):
        outline = corners[2 * start : 2 * stop]
        ink = _ink(palette, part)
        if part.opacity < 1:
            sheer.polygon(outline, fill=ink)
        else:
            plain.polygon(outline, fill=ink[:3])
        if shadow and part.solid:
            shadow.polygon(outline, fill=255)
        start = stop


def _ink(palette: Palette, part: Part) -> tuple[int, int, int, int]:
    red, green, blue = getattr(palette, part.role)
    return int(red), int(green), int(blue), int(255 * part.opacity)


def _volume(coverage: Image.Image) -> Float[np.ndarray, "h w"]:
    """Light on a flat figure made round: more on what faces up, less towards the rim."""
    radius = max(1, round(0.05 * max(coverage.size)))
    blurred = coverage.filter(ImageFilter.BoxBlur(radius)).filter(ImageFilter.BoxBlur(radius))
    height = np.asarray(blurred, dtype=np.float32) / 255
    slope = np.zeros_like(height)
    slope[1:-1] = (height[2:] - height[:-2]) * (radius / 2)
    return np.asarray((0.76 + 0.26 * height + 0.45 * slope).clip(0.5, 1.25))
