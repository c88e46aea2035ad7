"""Settings of a training: what trains nothing is refused, and unasked they are the shipped ones."""

import math
from dataclasses import asdict, fields

import pytest

from detlab.detector.checkpoint import load_checkpoint
from detlab.detector.config import named_config
from detlab.files import shipped_path
from detlab.training.config import DEFAULT_SECONDS, TrainConfig, TrainOptions


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seconds": 5.0, "epochs": 2.0}, "seconds or epochs"),
        ({"seconds": 0.0}, "above 0"),
        ({"epochs": -1.0}, "above 0"),
        ({"epochs": 1.0, "batch_size": 0}, "above 0"),
        ({"epochs": 1.0, "learning_rate": 0.0}, "above 0"),
        ({"muon_rate": -0.1}, "muon_rate is above 0, got -0.1"),
        ({"optimizer": "adam"}, r"optimizer is one of \('adamw', 'muon'\), got 'adam'"),
        ({"schedule": "step"}, r"schedule is one of \('cosine', 'flat'\), got 'step'"),
        ({"box_weight": -1.0}, "cannot be negative: -1.0"),
        ({"multiscale": 0.5}, "a factor above it, got 0.5"),
        ({"zoom": 0.5}, "zoom is 1, or a factor above it, got 0.5"),
        ({"vertical_flip": 50.0}, "vertical_flip is from 0 to 1, got 50.0"),
        ({"horizontal_flip": -1.0}, "horizontal_flip is from 0 to 1, got -1.0"),
        ({"warmup": -1.0}, "warmup is from 0 to 1"),
        ({"weight_decay": -0.1}, "weight_decay is from 0 to 1"),
        ({"average_decay": 2.0}, "average_decay is from 0 to 1"),
        ({"positive_iou": 1.5}, "positive_iou is from 0 to 1"),
        ({"positive_iou": 0.2}, "want negative_iou <= positive_iou, got 0.3 and 0.2"),
        ({"workers": -1}, "workers is 0 or more"),
        ({"crop": 0}, "crop is above 0"),
        ({"seconds": math.nan}, "seconds is a finite number, got nan"),
        ({"epochs": math.inf}, "epochs is a finite number, got inf"),
        ({"multiscale": math.nan}, "multiscale is a finite number"),
        ({"seed": -1}, "seed is from 0 to"),
        ({"seed": 10**20}, "seed is from 0 to"),
    ],
)
def test_settings_that_train_nothing_are_refused(settings, message, no_shape_checks):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**settings)


def test_unasked_a_run_learns_as_the_shipped_detector_did():
    """Its card says `detlab train`: no setting was given."""
    _, info = load_checkpoint(shipped_path("data/checkpoints/course.safetensors"))
    then, today = info.notes["settings"]["training"], asdict(TrainConfig())
    assert {name: today[name] for name in then} == then
    assert info.notes["seconds"] == pytest.approx(DEFAULT_SECONDS, rel=0.01)
    assert info.config == named_config("course", info.config.num_classes)


def test_options_are_the_settings_and_nothing_else():
    def names(kind):
        return {part.name for part in fields(kind)}

    assert names(TrainOptions) == names(TrainConfig)
    assert TrainOptions().complete() == TrainConfig()


def test_what_is_asked_for_wins_over_what_is_chosen():
    options = TrainOptions(batch_size=4, seconds=9.0)
    settings = options.complete(batch_size=8, crop=288, seconds=900.0)
    assert (settings.batch_size, settings.crop, settings.seconds) == (4, 288, 9.0)


def test_a_crop_of_0_is_the_whole_picture():
    assert TrainOptions(crop=0).complete(crop=288).crop is None


@pytest.mark.parametrize(
    ("options", "chosen", "thresholds"),
    [
        ({"positive_iou": 0.2}, {}, (0.2, 0.2)),
        ({"negative_iou": 0.7}, {}, (0.7, 0.7)),
        ({"positive_iou": 0.45}, {"positive_iou": 0.6, "negative_iou": 0.5}, (0.45, 0.45)),
        ({"positive_iou": 0.7, "negative_iou": 0.1}, {}, (0.7, 0.1)),
    ],
)
def test_one_threshold_that_is_asked_for_takes_the_other_along(options, chosen, thresholds):
    settings = TrainOptions(**options).complete(**chosen)
    assert (settings.positive_iou, settings.negative_iou) == thresholds


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is above 0, got 0"),
        ({"crop": -3}, "crop is above 0, got -3"),
        ({"horizontal_flip": 2.0}, "horizontal_flip is from 0 to 1, got 2.0"),
        ({"positive_iou": 0.2, "negative_iou": 0.3}, "want negative_iou <= positive_iou"),
        ({"seconds": 1.0, "epochs": 1.0}, "seconds or epochs"),
    ],
)
def test_options_that_train_nothing_are_refused(options, message, no_shape_checks):
    with pytest.raises(ValueError, match=message):
        TrainOptions(**options)
