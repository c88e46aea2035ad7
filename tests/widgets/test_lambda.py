"""The lambda lab shows runs as they are."""

import re
from dataclasses import replace

import pytest
import torch
from matplotlib.figure import Figure

from detlab.widgets import LambdaLab, LambdaRun
from detlab.widgets.picture import draw_chart
from detlab.widgets.readout import Chart

from .scenes import NAMES, crowd


def runs(pictures=2):
    first = crowd().target["boxes"][:1]
    labels = torch.ones(pictures, dtype=torch.int64)
    return [
        LambdaRun(weight, accuracy, iou, (first + shift).repeat(pictures, 1), labels)
        for weight, accuracy, iou, shift in [(5.0, 0.7, 0.8, 1.0), (0.1, 0.9, 0.3, 40.0)]
    ]


def test_runs_stand_by_growing_lambda_and_show_their_boxes():
    scene = crowd()
    lab = LambdaLab([scene.image] * 2, [scene.target] * 2, runs(), NAMES)
    lab.run = 0
    assert repr(lab) == "<lambda lab: lambda 0.1: accuracy 0.90, mean IoU 0.30>"
    far = lab.canvas.boxes[2:]
    lab.run = 1
    assert (lab.accuracy, lab.mean_iou) == (0.7, 0.8)
    assert (lab.canvas.boxes[2:] - far).unique().tolist() == [-39.0]


def test_too_few_runs_and_missing_boxes_are_refused():
    scene = crowd()
    with pytest.raises(ValueError, match="runs: want two at least, got 1"):
        LambdaLab([scene.image] * 2, [scene.target] * 2, runs()[:1])
    with pytest.raises(ValueError, match=r"want a box per picture \(3\)"):
        LambdaLab([scene.image] * 3, [scene.target] * 3, runs())
    percents = [replace(each, accuracy=85.0) for each in runs()]
    with pytest.raises(ValueError, match="fractions 0 to 1"):
        LambdaLab([scene.image] * 2, [scene.target] * 2, percents)


def test_every_run_has_its_dot_and_the_one_that_is_shown_a_larger_one():
    scene = crowd()
    lab = LambdaLab([scene.image] * 2, [scene.target] * 2, runs(), NAMES)
    assert lab.canvas.beside.count("dl-point") == 2
    assert lab.canvas.beside.count("dl-dot") == 1
    axes = Figure().add_subplot()
    draw_chart(axes, next(item for item in lab.items if isinstance(item, Chart)))
    sizes = [line.get_markersize() for line in axes.lines if line.get_marker() == "o"]
    assert len(sizes) == 3
    assert sizes[2] > sizes[0] == sizes[1]


def test_the_names_of_neighbours_stand_above_and_below():
    scene = crowd()
    lab = LambdaLab([scene.image] * 2, [scene.target] * 2, runs(), NAMES)
    heights = [float(y) for y in re.findall(r'y="([\d.]+)">λ', lab.canvas.beside)]
    dots = [float(y) for y in re.findall(r'dl-point" cx="[\d.]+" cy="([\d.]+)"', lab.canvas.beside)]
    assert heights[0] < dots[0]
    assert heights[1] > dots[1]
