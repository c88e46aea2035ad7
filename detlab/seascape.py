"""The sea around the animals: water and light, sand, rocks and plants, and the brush for it all.

Lengths are shares of the picture's shorter side, so one plan serves every image size.
Follows creatures.py; reef.py puts the animals into this sea.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from detlab.creatures import Colour, Part, disc, line, mix, ribbon, smooth, turn

WATERS: tuple[tuple[Colour, Colour, Colour, Colour], ...] = (
    # surface, middle, deep, sand
    ((150, 226, 228), (54, 164, 196), (16, 92, 142), (232, 214, 168)),  # noon lagoon
    ((110, 186, 230), (36, 110, 186), (12, 48, 112), (206, 196, 170)),  # open blue
    ((178, 226, 190), (70, 158, 140), (18, 84, 92), (198, 190, 134)),  # green bay
    ((252, 206, 160), (190, 130, 150), (62, 56, 110), (214, 176, 150)),  # sunset
    ((158, 150, 220), (84, 82, 166), (34, 30, 88), (164, 148, 176)),  # violet dusk
    ((74, 120, 160), (28, 64, 110), (10, 24, 58), (112, 122, 138)),  # moonlight
)
GRID = 64  # light is soft: so many samples per shorter side are enough, at any image size


class Sea(NamedTuple):
    """The plan of a sea: everything is decided, nothing is painted."""

    light: NDArray[np.uint8]
    """[h, w, 3], the coarse picture of water and light."""
    scenery: list[Part]
    """Sand, rocks, plants and bubbles, back to front."""
    murk: Colour
    """What far things fade into."""
    sand: Colour


def plan_sea(rng: Generator, extent: tuple[float, float], haze: float) -> Sea:
    """Decide hour, weather and garden of a sea of (height, width) shorter sides."""
    a, b = rng.choice(len(WATERS), 2, replace=False)
    share = rng.uniform(0, 0.35)
    surface, middle, deep, sand = (
        mix(p, q, share) for p, q in zip(WATERS[a], WATERS[b], strict=True)
    )
    light = _light(rng, extent, (surface, middle, deep))
    murk = mix(middle, deep, 0.35)
    scenery = _garden(rng, extent, sand, murk, 0.35 + 0.5 * haze)
    return Sea(light, scenery, murk, sand)


def _light(
    rng: Generator, extent: tuple[float, float], water: tuple[Colour, Colour, Colour]
) -> NDArray[np.uint8]:
    """Water that darkens with depth, a glow under the sun, and rays that fan out from it."""
    height, width = extent
    y = np.linspace(0, height, round(GRID * height))[:, None]
    x = np.linspace(0, width, round(GRID * width))[None, :]
    depth = (y / height)[:, :, None]
    surface, middle, deep = (np.array(colour) for colour in water)
    picture = np.where(
        depth < 0.5,
        surface + (middle - surface) * 2 * depth,
        deep + (middle - deep) * 2 * (1 - depth),
    )
    sun = rng.uniform(0.05, 0.95) * width
    angle = np.arctan2(x - sun, y + 0.35)
    rays = np.zeros_like(angle)
    for centre, breadth in zip(rng.uniform(-1.1, 1.1, 6), rng.uniform(0.03, 0.12, 6), strict=True):
        rays += np.exp(-(((angle - centre) / breadth) ** 2))
    glow = np.exp(-((x - sun) ** 2 + y**2) / 0.18)
    lit = (0.32 * rays * np.exp(-1.6 * y) + 0.45 * glow)[:, :, None]
    return np.clip(
        picture + (np.array([255, 255, 240]) - picture) * lit.clip(0, 0.8), 0, 255
    ).astype(np.uint8)


def _garden(
    rng: Generator, extent: tuple[float, float], sand: Colour, murk: Colour, fade: float
) -> list[Part]:
    """Far ridges, the sand, then rocks and plants from far to near."""
    height, width = extent
    floor = height - rng.uniform(0.06, 0.26)
    parts = _ridge(rng, width, floor - rng.uniform(0.02, 0.2), height, mix((40, 60, 70), murk, 0.8))
    parts += _sand(rng, width, floor, height, sand, murk, fade)
    for base in np.sort(rng.uniform(floor + 0.01, height + 0.04, rng.integers(3, 7))):
        far = fade * float(np.clip((height - base) / (height - floor), 0, 1))
        grow = PLANTS[rng.integers(len(PLANTS))]
        place = np.array([rng.uniform(0, width), base])
        for part in grow(rng):
            outline = part.outline * rng.uniform(0.9, 1.1) + place
            parts.append(part._replace(outline=outline, colour=mix(part.colour, murk, far)))
    for x, y, r in zip(
        rng.uniform(0, width, 5),
        rng.uniform(0, height, 5),
        rng.uniform(0.006, 0.016, 5),
        strict=True,
    ):
        parts.append(Part(disc(x, y, r), (235, 250, 255), opacity=0.45))
        parts.append(Part(disc(x - 0.3 * r, y - 0.3 * r, 0.35 * r), (255, 255, 255), opacity=0.8))
    return parts


def _ridge(rng: Generator, width: float, top: float, height: float, colour: Colour) -> list[Part]:
    x = np.linspace(-0.1, width + 0.1, 9)
    y = top + rng.uniform(-0.09, 0.09, 9)
    line_ = np.stack([x, y], axis=1)
    return [Part(_down_to(line_, height), colour)]


def _sand(
    rng: Generator,
    width: float,
    floor: float,
    height: float,
    sand: Colour,
    murk: Colour,
    fade: float,
) -> list[Part]:
    x = np.linspace(-0.05, width + 0.05, 16)
    parts = []
    phase = rng.uniform(0, 6.28, 3)
    for step, share in enumerate((0.0, 0.22, 0.55)):
        y = floor + share * (height - floor) + 0.014 * np.sin(5 * x + phase[step])
        colour = mix(sand, murk, fade * (1 - share) + 0.12)
        parts.append(Part(_down_to(np.stack([x, y], axis=1), height), colour))
    return parts


def _down_to(top: NDArray[np.float64], height: float) -> NDArray[np.float64]:
    """Close a line from left to right along the picture's lower edge."""
    corners = np.array([[top[-1, 0], height + 0.02], [top[0, 0], height + 0.02]])
    return np.concatenate([top, corners])


LEAVES: tuple[Colour, ...] = ((46, 122, 84), (92, 140, 60), (28, 104, 104), (130, 110, 50))
CORALS: tuple[Colour, ...] = ((226, 100, 110), (240, 160, 90), (170, 96, 170), (236, 200, 120))


def _kelp(rng: Generator) -> list[Part]:
    """Tall blades that sway."""
    colour = LEAVES[rng.integers(len(LEAVES))]
    parts = []
    for x in rng.uniform(-0.08, 0.08, 3):
        t = np.linspace(0, 1, 9)
        sway = x + 0.05 * np.sin(5 * t + rng.uniform(0, 6.28)) * t
        spine = np.stack([sway, -t * rng.uniform(0.25, 0.6)], axis=1)
        shade = mix(colour, (10, 40, 50), rng.uniform(0, 0.4))
        parts.append(Part(ribbon(spine, 0.035 * (1.05 - t) + 0.006), shade))
    return parts


def _grass(rng: Generator) -> list[Part]:
    """A tuft."""
    colour = LEAVES[rng.integers(len(LEAVES))]
    t = np.linspace(0, 1, 5)
    parts = []
    for lean in rng.uniform(-0.12, 0.12, 6):
        spine = np.stack([0.3 * lean + lean * t**2, -t * rng.uniform(0.08, 0.2)], axis=1)
        shade = mix(colour, (210, 230, 150), rng.uniform(0, 0.35))
        parts.append(Part(ribbon(spine, 0.018 * (1.1 - t)), shade))
    return parts


def _rock(rng: Generator) -> list[Part]:
    """A boulder, lit from above."""
    r = rng.uniform(0.05, 0.13)
    angles = np.linspace(0, 2 * np.pi, 9, endpoint=False)
    radii = r * rng.uniform(0.8, 1.15, 9)
    outline = np.stack([1.3 * radii * np.cos(angles), 0.8 * radii * np.sin(angles)], axis=1)
    grey = mix((86, 92, 104), (120, 100, 86), rng.uniform())
    lit = smooth(outline, 3) * [0.8, 0.62] + [-0.1 * r, -0.22 * r]
    return [Part(smooth(outline, 3), mix(grey, (20, 30, 50), 0.35)), Part(lit, grey)]


def _tree_coral(rng: Generator) -> list[Part]:
    """Branches that fork."""
    colour = CORALS[rng.integers(len(CORALS))]
    parts: list[Part] = []

    def branch(foot: NDArray[np.float64], angle: float, length: float, thick: float) -> None:
        tip = foot + length * np.array([np.sin(angle), -np.cos(angle)])
        parts.append(Part(ribbon(np.stack([foot, tip]), np.array([thick, 0.8 * thick])), colour))
        parts.append(Part(disc(tip[0], tip[1], 0.4 * thick), colour))
        if length > 0.05:
            for side in (-1, 1):
                branch(tip, angle + side * rng.uniform(0.25, 0.6), 0.68 * length, 0.75 * thick)

    branch(np.zeros(2), rng.uniform(-0.2, 0.2), rng.uniform(0.07, 0.11), 0.028)
    return parts


def _sponge(rng: Generator) -> list[Part]:
    """A few tubes with open mouths."""
    colour = CORALS[rng.integers(len(CORALS))]
    parts = []
    for x in (-0.045, 0.045, 0.0):
        h, r = rng.uniform(0.06, 0.17), rng.uniform(0.02, 0.03)
        parts.append(Part(line((x, 0.01), (1.3 * x, -h), width=2 * r), colour))
        parts.append(Part(disc(1.3 * x, -h, r, 0.45 * r), mix(colour, (255, 255, 255), 0.3)))
        parts.append(Part(disc(1.3 * x, -h, 0.65 * r, 0.28 * r), mix(colour, (20, 10, 40), 0.6)))
    return parts


PLANTS = (_kelp, _kelp, _grass, _grass, _rock, _rock, _tree_coral, _sponge)


def foreground(rng: Generator, extent: tuple[float, float]) -> list[Part]:
    """A dark plant close to the eye, at the left or right edge; animals pass behind it."""
    height, width = extent
    foot = np.array([rng.choice([0.04, 0.96]) * width, height + 0.02])
    grow = (_kelp, _grass)[rng.integers(2)]
    return [
        part._replace(
            outline=turn(part.outline, 0.0) * 1.4 + foot, colour=mix(part.colour, (8, 22, 40), 0.55)
        )
        for part in grow(rng)
    ]


# The brush ------------------------------------------------------------------------------------


def paint_sea(sea: Sea, image_size: tuple[int, int], supersample: int = 2) -> Image.Image:
    """Paint the plan at (height, width) pixels."""
    height, width = (side * supersample for side in image_size)
    picture = Image.fromarray(sea.light).resize((width, height), Image.Resampling.BICUBIC)
    brush = ImageDraw.Draw(picture, "RGBA")
    scale = min(height, width)
    for part in sea.scenery:
        brush.polygon((part.outline * scale).ravel().tolist(), fill=_ink(part))
    return picture.reduce(supersample)


def _ink(part: Part) -> tuple[int, int, int, int]:
    red, green, blue = part.colour
    return int(red), int(green), int(blue), int(255 * part.opacity)


class Stamp(NamedTuple):
    """A painted figure, ready to be put on a picture."""

    corner: tuple[int, int]
    """x y of its top-left pixel in the picture; may lie outside."""
    colours: Image.Image
    coverage: Image.Image
    """How much of each pixel the figure covers, 0 to 255."""


def paint_figure(parts: list[Part], scale: int, murk: Colour, fade: float) -> Stamp:
    """Paint parts given in shorter sides of `scale` pixels, faded into the murk."""
    outlines = [part.outline * scale for part in parts]
    solid = np.concatenate([o for o, p in zip(outlines, parts, strict=True) if p.solid])
    left, top = (int(v) - 2 for v in np.floor(solid.min(axis=0)))
    right, bottom = (int(v) + 3 for v in np.ceil(solid.max(axis=0)))
    fine = 4 if max(right - left, bottom - top) < 100 else 2
    size = ((right - left) * fine, (bottom - top) * fine)

    first = next(part for part in parts if part.solid)
    colours = Image.new("RGB", size, _ink(first)[:3])
    coverage = Image.new("L", size)
    brush, mask = ImageDraw.Draw(colours, "RGBA"), ImageDraw.Draw(coverage)
    for part, outline in zip(parts, outlines, strict=True):
        corners = ((outline - (left, top)) * fine).ravel().tolist()
        brush.polygon(corners, fill=_ink(part))
        if part.solid:
            mask.polygon(corners, fill=255)
    colours, coverage = colours.reduce(fine), coverage.reduce(fine)
    lit = _volume(colours, coverage)
    faded = Image.blend(lit, Image.new("RGB", lit.size, tuple(int(c) for c in murk)), fade)
    return Stamp((left, top), faded, coverage)


def _volume(colours: Image.Image, coverage: Image.Image) -> Image.Image:
    """Round a flat figure off: light falls on what faces up, rims turn away."""
    radius = max(1.0, 0.05 * max(coverage.size))
    height = np.asarray(coverage.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32) / 255
    slope: Float[np.ndarray, "h w"] = np.gradient(height, axis=0) * radius
    shade = (0.72 + 0.28 * height + 0.5 * slope)[:, :, None]
    return Image.fromarray(np.clip(np.asarray(colours) * shade, 0, 255).astype(np.uint8))
