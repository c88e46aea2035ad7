import numpy as np
import pytest
from numpy.random import default_rng

from detlab.reef.creatures import (
    ANIMALS,
    PALETTES,
    POSES,
    Part,
    assemble,
    curve,
    disc,
    mirrored,
    mix,
    path,
    pose,
    ribbon,
    smooth,
    turn,
    warped,
)

EVERY_ANIMAL = pytest.mark.parametrize("name", ANIMALS)


def square(x: float = 0.0, side: float = 1.0):
    return np.array([[x, 0], [x + side, 0], [x + side, side], [x, side]])


def area(outline):
    x, y = outline.T
    return abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


@EVERY_ANIMAL
def test_an_animal_is_about_two_units_long_and_lies_around_the_middle(name):
    for number in range(POSES):
        solid = pose(name, number).solid_points
        assert np.isfinite(solid).all()
        assert 1.5 < np.ptp(solid, axis=0).max() < 2.6
        assert np.abs(solid).max() < 1.6


@EVERY_ANIMAL
def test_an_animal_is_no_thinner_than_a_seventh_of_its_length(name):
    """A silhouette of threads would be invisible, and its box a matter of luck."""
    for number in range(20):
        parts = pose(name, number).parts
        covered = sum(area(part.outline) for part in parts if part.solid)
        assert covered > 2.0 * 2.0 / 7


@EVERY_ANIMAL
def test_a_pose_depends_on_its_number_only(name):
    again = assemble(ANIMALS[name](default_rng([list(ANIMALS).index(name), 5])))
    np.testing.assert_array_equal(pose(name, 5).points, again.points)
    other = pose(name, 6)
    assert other.points.shape != again.points.shape or not np.allclose(other.points, again.points)


@EVERY_ANIMAL
def test_every_part_takes_a_colour_that_every_palette_has(name):
    for number in range(POSES):
        for part in pose(name, number).parts:
            for palette in PALETTES:
                assert len(getattr(palette, part.role)) == 3
            assert 0 < part.opacity <= 1


def test_swimmers_face_right_with_their_eyes():
    for name in ("fish", "shark", "eel", "turtle", "stingray"):
        inks = [part.outline for part in pose(name, 0).parts if part.role == "ink"]
        assert np.concatenate(inks)[:, 0].mean() > 0.3


def test_a_smooth_curve_runs_through_its_points():
    points = default_rng(0).normal(size=(7, 2))
    np.testing.assert_allclose(smooth(points, steps=3)[::3], points)


def test_a_circle_of_corners_becomes_nearly_a_circle():
    radii = np.linalg.norm(smooth(disc(0.0, 0.0, 1.0), steps=5), axis=1)
    assert np.abs(radii - 1).max() < 1e-3


def test_a_path_that_is_no_list_of_pairs_is_refused():
    with pytest.raises(ValueError, match="could not convert"):
        path("1,one")


def test_mirrored_outlines_are_the_same_above_and_below():
    outline = curve("1,0 .5,.5 -1,0")
    half = path("1,0 .5,.5 -1,0")
    whole = mirrored(half)
    assert len(whole) == 4
    np.testing.assert_allclose(np.sort(whole[:, 1]), np.sort(-whole[:, 1]))
    assert outline[:, 1].min() < outline[:, 1].max()


def test_a_ribbon_has_the_area_of_its_length_times_its_width():
    straight = np.stack([np.linspace(0, 4, 9), np.zeros(9)], axis=1)
    assert area(ribbon(straight, 0.5)) == pytest.approx(2.0)
    assert area(ribbon(turn(straight, 0.7), 0.5)) == pytest.approx(2.0)


def test_turning_keeps_distances_and_its_centre():
    points = square()
    turned = turn(points, 1.0, centre=(1.0, 1.0))
    np.testing.assert_allclose(turned[2], [1, 1])
    assert area(turned) == pytest.approx(1.0)


def test_mixing_nothing_and_everything():
    a, b = PALETTES[0].back, PALETTES[1].back
    assert mix(a, b, 0.0) == a
    assert mix(a, b, 1.0) == b


def test_warping_moves_every_part_and_changes_none_of_the_old():
    parts = [Part(square(), "side"), Part(square(3.0), "back")]
    moved = warped(parts, lambda points: points + 1.0)
    np.testing.assert_array_equal(moved[1].outline, square(3.0) + 1)
    np.testing.assert_array_equal(parts[1].outline, square(3.0))
    assert [part.role for part in moved] == ["side", "back"]


def test_only_solid_parts_make_the_silhouette():
    figure = assemble([Part(square(), "side"), Part(square(9.0), "ink", solid=False)])
    np.testing.assert_array_equal(figure.solid_points, square())
