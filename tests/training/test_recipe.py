"""The recipe follows what is in a set, says why, and leaves alone what was asked for."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from detlab.data.datasets import load_dataset
from detlab.data.statistics import SetStatistics, describe_set
from detlab.data.symmetry import Symmetry
from detlab.detector.backbone import WeightsError
from detlab.training import recipe
from detlab.training.config import TrainOptions
from detlab.training.recipe import choose, choose_config

REAL = Path(os.environ.get("DETLAB_DATA", "not set"))
CELLS = SetStatistics(
    picture_size=(480, 640),
    typical=0.141,
    large=0.28,
    overlapping=0.77,
    symmetry=Symmetry(0.03, 0.02, 0.94, 2722),
)
FISH = replace(
    CELLS,
    picture_size=(512, 384),
    typical=0.092,
    large=0.36,
    overlapping=0.45,
    symmetry=Symmetry(0.04, 0.01, 1.15, 2800),
)


def values(statistics, config="mobilenet", **given):
    return {choice.name: choice.value for choice in choose(statistics, config, given)}


def test_small_cells_that_lie_anyhow_and_touch():
    assert values(CELLS) == {
        "longest_side": 416,
        "crop": 288,
        "horizontal_flip": 0.5,
        "vertical_flip": 0.5,
        "positive_iou": 0.6,
        "negative_iou": 0.5,
        "batch_size": 8,
        "body_rate": 1.0,
        "optimizer": "adamw",
        "learning_rate": 1e-3,
        "schedule": "cosine",
        "quality": 0.0,
        "seconds": 900.0,
    }


def test_small_animals_that_have_an_up():
    wanted = {"longest_side": 512, "crop": 288, "vertical_flip": 0.0, "body_rate": 0.3}
    wanted |= {"positive_iou": 0.5, "negative_iou": 0.4}
    assert values(FISH).items() >= wanted.items()


@pytest.mark.parametrize(
    ("typical", "picture_size", "side"),
    [
        (0.141, (480, 640), 416),
        (0.4, (480, 640), 256),  # large objects are seen in small pictures, too
        (0.05, (480, 640), 640),  # 60 px would take 1200
        (0.05, (2000, 2000), 640),
        (0.05, (3000, 4000), 736),  # as many pixels as 640 x 640
        (0.05, (400, 1600), 1216),  # 60 px take 1200: a long and thin picture has no more pixels
        (0.02, (400, 1600), 1280),
        (0.1, (270, 340), 352),  # its own pixels, filled up to whole cells
        (0.1, (100, 90), 256),
        (0.0, (480, 640), 256),  # no boxes
    ],
)
def test_the_longest_side_shows_objects_well_as_far_as_the_pictures_do(typical, picture_size, side):
    set_of = replace(CELLS, typical=typical, picture_size=picture_size)
    assert values(set_of)["longest_side"] == side


@pytest.mark.parametrize(
    ("picture_size", "large", "side", "crop"),
    [
        ((480, 640), 0.28, 416, 288),
        ((480, 640), 0.28, 320, 0),  # whole ones cost no more
        ((480, 640), 0.9, 640, 0),  # hardly a square would hold an object
        ((480, 640), 0.5, 640, 416),  # 320 px in 416
        ((800, 200), 0.1, 640, 0),  # tall and thin: 640 x 160
        ((640, 640), 0.04, 640, 288),
    ],
)
def test_squares_are_cut_out_where_that_saves_time_and_they_hold_the_objects(
    picture_size, large, side, crop
):
    set_of = replace(CELLS, picture_size=picture_size, large=large)
    assert values(set_of, longest_side=side)["crop"] == crop


def test_letters_are_not_mirrored():
    letters = replace(CELLS, symmetry=Symmetry(0.6, 0.5, 1.0, 500))
    assert values(letters).items() >= {"horizontal_flip": 0.0, "vertical_flip": 0.0}.items()


def test_a_few_objects_say_nothing_of_left_and_right():
    assert values(replace(CELLS, symmetry=Symmetry(0.6, 0.5, 1.0, 29)))["horizontal_flip"] == 0.5


def test_a_few_objects_are_taken_to_have_an_up():
    assert values(replace(CELLS, symmetry=Symmetry(0.0, 0.0, 0.9, 29)))["vertical_flip"] == 0.0


def test_what_was_asked_for_is_left_alone():
    given = {"longest_side": 640, "crop": 0, "seconds": 20.0, "horizontal_flip": 0.0}
    assert not set(given) & set(values(CELLS, **given))


def test_with_muon_its_own_rates_are_left_as_they_are():
    chosen = values(CELLS, optimizer="muon")
    assert not {"optimizer", "learning_rate", "schedule", "quality"} & set(chosen)
    assert chosen["body_rate"] == 1.0


def test_rounds_take_the_place_of_seconds():
    assert "seconds" not in values(CELLS, epochs=3.0)


def test_a_body_that_knows_nothing_learns_as_the_reefs_does():
    assert not {"body_rate", "optimizer", "learning_rate", "schedule", "quality"} & set(
        values(CELLS, "course")
    )


def test_every_choice_is_an_option_and_says_why():
    for choice in choose(CELLS, "mobilenet", {}):
        assert choice.reason
        option, value, *_ = str(choice).split()
        assert option == f"--{choice.name.replace('_', '-')}"
        assert type(choice.value)(value) == choice.value
        if choice.name != "longest_side":
            assert hasattr(TrainOptions(), choice.name)


def test_photographs_start_from_imagenet_where_its_weights_are(monkeypatch):
    monkeypatch.setattr(recipe, "imagenet_weights", lambda name: {})
    assert choose_config().value == "mobilenet"


def test_without_weights_of_imagenet_the_course_s_detector_learns_and_the_reason_is_told(
    monkeypatch,
):
    def refuse(name):
        raise WeightsError(f"no ImageNet weights for {name}: no network\nremove the file")

    monkeypatch.setattr(recipe, "imagenet_weights", refuse)
    assert choose_config()[1:] == ("course", "no ImageNet weights for mobilenet_v2: no network")


@pytest.mark.skipif(not REAL.is_dir(), reason="DETLAB_DATA names no folder with public sets")
@pytest.mark.parametrize(
    ("name", "wanted"), [("bccd", CELLS), ("bccd-clean", CELLS), ("aquarium", FISH)]
)
def test_public_sets_are_learned_as_the_readme_says(name, wanted):
    chosen = values(describe_set(load_dataset(name, "train")))
    assert chosen == values(wanted)
