"""The threshold lab counts what the evaluation counts."""

import pytest
import torch

from detlab.metrics.average_precision import match_detections
from detlab.widgets import ThresholdLab
from detlab.widgets.roles import STATE

from .scenes import NAMES, crowd, raw_boxes


@pytest.fixture
def lab():
    scene = crowd()
    return ThresholdLab([scene.image] * 2, [raw_boxes(scene)] * 3, [scene.target] * 3, NAMES)


@pytest.mark.parametrize("threshold", [0.0, 0.4, 0.75, 0.9, 1.0])
def test_counts_are_those_of_only_the_detections_above_the_threshold(lab, threshold):
    lab.score_threshold = threshold
    scene, found = crowd(), raw_boxes(crowd())
    hits = taken = 0
    for label in range(1, 4):
        rows = (found["labels"] == label) & (found["scores"] >= threshold)
        objects = scene.target["boxes"][scene.target["labels"] == label]
        matches = match_detections(found["boxes"][rows], found["scores"][rows], objects)
        hits, taken = hits + int((matches >= 0).sum()), taken + int(rows.sum())
    assert lab.true_positives == 3 * hits
    assert lab.false_positives == 3 * (taken - hits)
    assert lab.false_negatives == 3 * (6 - hits)
    assert lab.recall == pytest.approx(hits / 6)
    assert lab.precision == pytest.approx(hits / taken if taken else 1.0)


def test_the_pictures_show_the_same_counts(lab):
    lab.score_threshold = 0.75
    states = lab.canvas.states  # two of the three pictures are shown
    assert 3 * int((states == STATE["positive"]).sum()) == 2 * lab.true_positives
    assert 3 * int((states == STATE["wrong"]).sum()) == 2 * lab.false_positives
    assert 3 * int((states == STATE["missed"]).sum()) == 2 * lab.false_negatives


def test_lists_that_do_not_fit_are_refused():
    scene = crowd()
    with pytest.raises(ValueError, match="1 pictures, 2 detections, 1 targets"):
        ThresholdLab([scene.image], [raw_boxes(scene)] * 2, [scene.target])
    broken = {**raw_boxes(scene), "scores": torch.zeros(1)}
    with pytest.raises(ValueError, match="detections: want a score"):
        ThresholdLab([scene.image], [broken], [scene.target])


def test_a_missed_object_may_have_its_price():
    scene = crowd()
    lab = ThresholdLab([scene.image], [raw_boxes(scene)], [scene.target], NAMES, miss_cost=50)
    for threshold in (0.0, 0.75, 1.0):
        lab.score_threshold = threshold
        alarms, missed = lab.false_positives, lab.false_negatives
        assert lab.cost == alarms + 50 * missed
        assert f"cost = {alarms} + 50 · {missed}" in lab.canvas.beside
        assert lab.result.endswith(f"cost {lab.cost:,}")


def test_without_a_price_no_cost_is_shown(lab):
    assert "cost" not in lab.canvas.beside + lab.result
