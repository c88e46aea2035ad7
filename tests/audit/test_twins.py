"""Twins are found wherever the camera moved; strangers stay strangers."""

import os
from pathlib import Path

import pytest
import torch
from PIL import Image

from detlab.audit.twins import TWIN, best_shift, correlations, find_twins, thumbnail
from detlab.reef.scene import draw_scene

WIDE = draw_scene(seed=5, index=1, image_size=(240, 400)).image
OTHER = draw_scene(seed=5, index=2, image_size=(180, 240)).image


def view(top, left, height=180, width=240):
    """What a camera sees of the wide scene."""
    return WIDE[:, top : top + height, left : left + width]


def likeness(one, other):
    (found,) = correlations(torch.stack([thumbnail(one), thumbnail(other)]))
    return float(found)


def test_a_picture_is_its_own_twin():
    assert likeness(OTHER, OTHER) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("place", [(60, 0), (0, 90), (40, 110)])
def test_a_moved_camera_sees_a_twin_and_so_does_another_light(place):
    moved = view(*place)
    assert likeness(view(0, 0), moved) > TWIN
    darker = (moved * 0.6 + 20).to(torch.uint8)
    assert likeness(view(0, 0), darker) == pytest.approx(likeness(view(0, 0), moved), abs=0.02)


@pytest.mark.parametrize("place", [(0, 0), (60, 0), (0, 90), (40, 110)])
def test_the_shift_is_the_cameras_in_both_directions(place):
    here, moved = thumbnail(view(0, 0), rows=180), thumbnail(view(*place), rows=180)
    assert best_shift(here, moved) == place
    assert best_shift(moved, here) == (-place[0], -place[1])


def test_strangers_are_no_twins():
    assert likeness(view(0, 0), OTHER) < TWIN


def test_the_order_of_two_pictures_does_not_matter():
    assert likeness(view(0, 0), OTHER) == pytest.approx(likeness(OTHER, view(0, 0)), abs=1e-4)


def test_pairs_are_named_by_their_rows_the_most_alike_first(tmp_path):
    images = [OTHER, view(0, 0), view(0, 60), view(0, 0)]
    paths = [tmp_path / f"{row}.png" for row in range(4)]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    pairs = find_twins(paths)
    assert [pair[:2] for pair in pairs] == [(1, 3), (1, 2), (2, 3)]
    assert pairs[0][2] > 0.999
    assert find_twins(paths[:1]) == []


def test_a_picture_without_anything_in_it_is_no_ones_twin():
    assert likeness(torch.full_like(OTHER, 90), OTHER) < 0.1


PHOTOGRAPHS = Path(os.environ.get("DETLAB_DATA", "nowhere")) / "bccd" / "BCCD" / "JPEGImages"


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="bccd is not below DETLAB_DATA")
def test_photographs_taken_twice_are_found_among_others():
    numbers = ("00037", "00038", "00100", "00205", "00276", "00300")
    pairs = find_twins([PHOTOGRAPHS / f"BloodImage_{number}.jpg" for number in numbers])
    assert {pair[:2] for pair in pairs} == {(0, 1), (3, 4)}


def test_a_scene_is_its_own_twin_whether_it_is_stored_upright_or_turned(tmp_path):
    scene = Image.fromarray(view(0, 0).permute(1, 2, 0).numpy())
    scene.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    scene.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "phone.png", exif=exif)
    [(_, _, alike)] = find_twins([tmp_path / "upright.png", tmp_path / "phone.png"])
    assert alike == pytest.approx(1, abs=1e-3)
