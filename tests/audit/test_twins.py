"""Twins are found wherever the camera moved; strangers stay strangers."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detlab.audit.thumbnails import thumbnail, without_backgrounds
from detlab.audit.twins import (
    TWIN,
    best_shift,
    correlations_in_place,
    find_twins,
    groups_of,
    likenesses,
    twins_of,
)
from detlab.reef.scene import draw_scene
from tests.audit.sample_records import record
from tests.fixed_camera import draw_picture, write_record

WIDE = draw_scene(seed=5, index=1, image_size=(240, 400)).image
OTHER = draw_scene(seed=5, index=2, image_size=(180, 240)).image


def view(top, left, height=180, width=240):
    """What a camera sees of the wide scene."""
    return WIDE[:, top : top + height, left : left + width]


def likeness(one, other):
    thumbs = without_backgrounds(torch.stack([thumbnail(one), thumbnail(other)]))
    return float(likenesses(thumbs, torch.tensor([[0, 1]])))


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


def pictures(tmp_path, images):
    """Records of pictures, in their order."""
    made = []
    for row, image in enumerate(images):
        path = tmp_path / f"{row:03}.png"
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
        made.append(record([], [], path))
    return made


def test_one_scene_is_one_finding_however_many_pictures_show_it(tmp_path):
    made = pictures(tmp_path, [view(0, 0), OTHER, view(0, 60), view(0, 120), OTHER])
    first, second = twins_of({"train": made[:3], "val": made[3:4], "test": made[4:]})
    assert first.kind == second.kind == "twins across splits"
    assert first.records == (made[1], made[4])
    assert first.what == "the same scene, 100% alike, in train and test"
    assert first.alike == pytest.approx(1)
    assert second.records == (made[0], made[2], made[3])
    assert second.what.startswith("the same scene in 3 pictures, ")
    assert second.what.endswith("% alike, in train (2) and val (1)")
    assert TWIN <= second.alike < 1


@pytest.mark.parametrize("number", [0, 1, 2])
def test_of_few_strangers_none_are_twins(tmp_path, number):
    made = pictures(tmp_path, [view(0, 0), OTHER][:number])
    assert twins_of({"train": made, "val": []}) == []


def test_leaks_come_before_twins_in_one_split(tmp_path):
    made = pictures(tmp_path, [OTHER, OTHER, view(0, 0), view(5, 9)])
    found = twins_of({"train": made[:3], "val": made[3:]})
    assert [finding.kind for finding in found] == ["twins across splits", "twins"]


def test_of_one_camera_copies_are_twins_and_other_objects_are_not(tmp_path):
    drawn = [draw_picture({30: 4, 31: 7}.get(seed, seed), noise=4.0) for seed in range(60)]
    made = [write_record(tmp_path, row, *each) for row, each in enumerate(drawn)]
    found = twins_of({"train": made})
    assert {finding.pictures for finding in found} == {
        (made[4].image, made[30].image),
        (made[7].image, made[31].image),
    }


def test_a_copy_in_another_light_is_a_copy(tmp_path):
    drawn = [draw_picture(seed, noise=4.0) for seed in range(40)]
    darker = drawn[3][0].point(lambda value: int(0.7 * value))
    made = [write_record(tmp_path, row, *each) for row, each in enumerate([*drawn, (darker, [])])]
    (finding,) = twins_of({"train": made})
    assert finding.records == (made[3], made[40])


def test_copies_are_told_even_if_they_are_all_there_is(tmp_path):
    made = pictures(tmp_path, [OTHER] * 40)
    (finding,) = twins_of({"train": made[:30], "val": made[30:]})
    assert (len(finding.records), finding.alike) == (40, 1)
    assert finding.what == ("the same scene in 40 pictures, 100% alike, in train (30) and val (10)")


def test_pictures_without_anything_in_them_are_no_copies(tmp_path):
    made = pictures(tmp_path, [torch.full_like(OTHER, 90)] * 40)
    assert twins_of({"train": made}) == []


def test_pictures_without_anything_of_their_own_are_not_alike():
    one = torch.zeros(1, 36, 48)
    assert correlations_in_place(one, one).tolist() == [0.0]
    assert correlations_in_place(one + 1e-4, one + 1e-4).tolist() == pytest.approx([0], abs=1e-5)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=15))
def test_groups_hold_each_pair_and_share_no_row(pairs):
    groups = groups_of(pairs)
    assert sum(map(len, groups)) == len(set().union(*groups))
    for pair in pairs:
        assert sum(set(pair) <= group for group in groups) == 1
