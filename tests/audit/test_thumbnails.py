"""What a camera always shows is taken away; what is there once stays."""

import pytest
import torch
from PIL import Image

from detlab.audit.thumbnails import (
    FEWEST_OF_A_CAMERA,
    ROWS,
    Album,
    background,
    pictures_of_cameras,
    read_thumbnails,
    thumbnail,
    without_backgrounds,
)
from detlab.data.check import check_record
from detlab.data.records import make_record
from tests.sample_folders import write_picture


def scenes(number, seed=0):
    return torch.randn(number, 12, 16, generator=torch.Generator().manual_seed(seed)) * 20


def seen_by(camera, objects):
    """Each picture is the camera's background, with a patch of its own."""
    seen = camera.repeat(objects, 1, 1)
    for row in range(objects):
        seen[row, row % 9 : row % 9 + 3, row // 9 : row // 9 + 3] = 40.0 + row
    return seen


def test_of_one_camera_only_the_objects_are_left():
    (camera,) = scenes(1)
    seen = seen_by(camera, 20)
    found = without_backgrounds(seen)
    assert found.fixed.all()
    assert torch.equal(found.whole, seen)
    changed = (seen - camera).abs() > 1
    assert found.own.square()[changed].mean() > 100 * found.own.square()[~changed].mean()


@pytest.mark.parametrize(("number", "fixed"), [(FEWEST_OF_A_CAMERA - 1, False), (13, True)])
def test_a_few_copies_are_no_camera(number, fixed):
    seen = torch.cat([seen_by(scenes(1)[0], number), scenes(30, seed=1)])
    found = without_backgrounds(seen)
    assert bool(found.fixed.any()) == fixed
    if not fixed:
        assert torch.equal(found.own, seen)


def test_two_cameras_have_a_background_each_and_strangers_have_none():
    one, other = scenes(2)
    seen = torch.cat([seen_by(one, 20), seen_by(other, 20), scenes(9, seed=3)])
    first, second = pictures_of_cameras(seen)
    assert first.nonzero()[:, 0].tolist() == list(range(20))
    assert second.nonzero()[:, 0].tolist() == list(range(20, 40))


def test_the_light_of_a_picture_is_no_object():
    (camera,) = scenes(1)
    light = torch.linspace(0.5, 1.5, 20)[:, None, None]
    assert without_backgrounds(camera * light).own.abs().max() < 1e-3


def test_a_background_is_what_most_pictures_show():
    (camera,) = scenes(1)
    torch.testing.assert_close(background(seen_by(camera, 20)), camera, atol=1e-6, rtol=0)


def test_pictures_are_read_in_their_order_whatever_their_form(tmp_path):
    paths = []
    for row, size in enumerate([(90, 60), (60, 90), (40, 40)]):
        paths.append(tmp_path / f"{row}.png")
        Image.effect_noise(size, 80).convert("RGB").save(paths[-1])
    found = read_thumbnails(paths)
    assert found.whole.shape == (3, ROWS, 48)
    again = read_thumbnails(paths[::-1])
    assert torch.equal(again.whole, found.whole.flip(0))
    assert read_thumbnails([]).own.shape == (0, ROWS, 48)


def test_what_is_even_leaves_nothing():
    assert thumbnail(torch.full((3, 60, 40), 200, dtype=torch.uint8)).abs().max() < 1e-3


def test_pictures_that_an_album_was_shown_are_not_read_again(tmp_path):
    paths = [write_picture(tmp_path / f"{name}.jpg", size=(640, 480)) for name in "ab"]
    record = make_record(paths[0], (480, 640), [], paths[0])
    album = Album()
    check_record(record, decode=True, watch=album)
    wanted = read_thumbnails(paths)
    paths[0].unlink()
    assert torch.equal(read_thumbnails(paths, album).whole, wanted.whole)
