import numpy as np
import pytest
from numpy.random import default_rng

from detlab.reef.creatures import Palette, Part, assemble, disc
from detlab.reef.seascape import (
    PLANTS,
    SHAPES,
    Cutout,
    paint_figure,
    paint_sea,
    plan_sea,
    plant,
)

WHITE = (255, 255, 255)
GREY = (120, 120, 120)
MURK = (10.0, 60.0, 120.0)


def cutout(*parts: Part) -> Cutout:
    return Cutout(assemble(list(parts)), Palette(WHITE, WHITE, GREY, (255, 0, 0)))


def box_part(x: float, y: float, side: float, role: str = "side", solid: bool = True) -> Part:
    corners = [[x, y], [x + side, y], [x + side, y + side], [x, y + side]]
    return Part(np.array(corners), role, solid)


def test_the_same_plan_gives_the_same_sea_at_two_sizes():
    sea = plan_sea(default_rng(3), (1.0, 1.0), haze=0.3)
    small = paint_sea(sea, (64, 64)).astype(float)
    large = paint_sea(sea, (256, 256)).astype(float)
    shrunk = large.reshape(64, 4, 64, 4, 3).mean(axis=(1, 3))
    assert np.abs(small - shrunk).mean() < 4


def test_seas_differ_in_hour_and_place():
    means = [paint_sea(plan_sea(default_rng(k), (1.0, 1.0), 0.2), (32, 32)) for k in range(40)]
    colours = np.array([picture.mean(axis=(0, 1)) for picture in means])
    assert colours.std(axis=0).min() > 15


def test_some_pictures_are_open_water_and_some_have_a_plant_in_front():
    seas = [plan_sea(default_rng(k), (1.0, 1.0), 0.2) for k in range(60)]
    assert 0 < sum(len(sea.scenery) == 1 for sea in seas) < 20
    assert 5 < sum(len(sea.foreground) == 1 for sea in seas) < 35


def test_haze_brings_the_garden_closer_to_the_murk():
    def distance(haze: float) -> float:
        sea = plan_sea(default_rng(8), (1.0, 1.0), haze)
        inks = np.array([c.palette.side for c in sea.scenery[2:-1]])
        return float(np.abs(inks - np.array(sea.murk)).mean())

    assert distance(0.0) > distance(1.0) > 0


@pytest.mark.parametrize("kind", PLANTS)
def test_plants_stand_on_the_ground_and_fit_into_the_picture(kind):
    for number in range(SHAPES):
        points = plant(kind, number).points
        assert points[:, 1].min() < -0.03
        assert points[:, 1].min() > -0.7
        assert np.abs(points[:, 0]).max() < 0.35


def test_a_square_covers_its_pixels():
    stamp = paint_figure(cutout(box_part(0.25, 0.5, 0.25)), 64, MURK, fade=0.0)
    inside = stamp.coverage >= 0.5
    rows, columns = inside.any(axis=1).nonzero()[0], inside.any(axis=0).nonzero()[0]
    left, top = stamp.corner
    assert (left + columns[0], top + rows[0]) == (16, 32)
    assert len(columns) == pytest.approx(16, abs=1)
    assert len(rows) == pytest.approx(16, abs=1)


def test_a_marking_adds_nothing_to_the_silhouette():
    plain = paint_figure(cutout(box_part(0.2, 0.2, 0.3)), 64, MURK, 0.0)
    marked = paint_figure(
        cutout(box_part(0.2, 0.2, 0.3), box_part(0.4, 0.4, 0.3, "accent", solid=False)),
        64,
        MURK,
        0.0,
    )
    np.testing.assert_array_equal(plain.coverage, marked.coverage)
    assert not np.array_equal(plain.colours, marked.colours)


def test_a_figure_may_lie_outside_the_picture():
    stamp = paint_figure(cutout(box_part(-0.5, -0.25, 0.25)), 64, MURK, 0.0)
    assert stamp.corner[0] < -30
    assert stamp.coverage.max() == 1


def test_shading_never_leaves_the_range_of_a_byte():
    stamp = paint_figure(cutout(Part(disc(0.5, 0.5, 0.4), "side")), 64, MURK, 0.0)
    assert stamp.colours.max() <= 255
    assert stamp.colours[stamp.coverage == 1].min() > 120  # white stays light, none wraps to black


def test_light_falls_from_above():
    stamp = paint_figure(cutout(Part(disc(0.5, 0.5, 0.4), "belly")), 128, MURK, 0.0)
    red, inside = stamp.colours[:, :, 0], stamp.coverage == 1
    half = len(red) // 2
    assert red[:half][inside[:half]].mean() > red[half:][inside[half:]].mean() + 3


def test_full_fade_leaves_nothing_but_murk():
    stamp = paint_figure(cutout(box_part(0.2, 0.2, 0.3)), 64, MURK, fade=1.0)
    np.testing.assert_allclose(stamp.colours - np.array(MURK), 0, atol=0.01)
