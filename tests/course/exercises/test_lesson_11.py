"""Other right ways pass: what the hints lead to, written as a learner would."""

import math

import pytest
import torch

from detlab.course import exercises


def my_robust_scores(values):
    middle = values.quantile(0.5)  # between two values where their number is even
    distances = [abs(value - middle) for value in values]
    usual = max(1.4826 * sorted(distances)[len(values) // 2].item(), 1e-6)
    return torch.stack([(value - middle) / usual for value in values])


def my_mean_best_iou(shapes, anchor_shapes):
    total = torch.zeros(())
    for w, h in shapes.tolist():
        ious = []
        for aw, ah in anchor_shapes.tolist():
            shared = min(w, aw) * min(h, ah)
            ious.append(shared / (w * h + aw * ah - shared))
        total += max(ious)
    return total / len(shapes)


def my_tile_starts(length, tile, overlap=0.25):
    if length < tile:
        return [0]
    number = math.ceil((length - overlap * tile) / (tile - overlap * tile))
    return [int(start) for start in torch.linspace(0, length - tile, number).round().tolist()]


def robust_in_one_line(values):
    return (values - values.mean()) / values.std(correction=0).clamp(min=1e-6)


def starts_as_in_a_loop(length, tile, overlap=0.25):
    starts, start = [], 0
    while start < length:
        starts.append(start)
        start += round(tile * (1 - overlap))
    return starts


@pytest.mark.parametrize("mine", [my_robust_scores, my_mean_best_iou, my_tile_starts])
def test_other_right_ways_pass(mine):
    verdict = exercises.ALL[mine.__name__.removeprefix("my_")].grade(mine)
    assert verdict.passed, verdict.text


@pytest.mark.parametrize(
    ("name", "wrong", "mistake"),
    [
        ("robust_scores", robust_in_one_line, "mean and standard deviation were taken"),
        ("tile_starts", starts_as_in_a_loop, "the last tiles reach beyond the picture"),
    ],
)
def test_a_mistake_is_known_in_other_words(name, wrong, mistake):
    assert exercises.ALL[name].grade(wrong).mistake == mistake
