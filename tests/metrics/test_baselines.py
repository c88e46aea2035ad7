"""Detectors that never look: the same for every picture of a size, and evaluated near zero."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from detlab.checks import check_boxes
from detlab.data.datasets import load_dataset
from detlab.detector.config import named_config
from detlab.metrics.baselines import find_nothing, mean_box, random_anchors
from detlab.metrics.coco import coco_metrics

WIDE, TALL = torch.zeros(3, 40, 80, dtype=torch.uint8), torch.zeros(3, 90, 30, dtype=torch.uint8)


def target(boxes, labels):
    return {"boxes": torch.tensor(boxes).reshape(-1, 4), "labels": torch.tensor(labels).long()}


def test_everything_is_background():
    found = find_nothing([WIDE, TALL])
    assert [len(one["boxes"]) for one in found] == [0, 0]
    truth = target([[1.0, 2.0, 30.0, 30.0]], [1])
    metrics = coco_metrics(found, [truth, truth], ("background", "cat"))
    assert metrics.coco["AP"] == 0


def test_the_mean_box_is_where_a_class_is_on_the_average_of_each_picture():
    items = [
        (WIDE, target([[0.0, 0.0, 40.0, 20.0], [40.0, 20.0, 80.0, 40.0]], [3, 1])),
        (TALL, target([[15.0, 45.0, 30.0, 90.0]], [3])),
        (WIDE, target([], [])),
    ]
    wide, tall = mean_box(items)([WIDE, TALL])
    assert wide["labels"].tolist() == [3, 1]  # the commoner class first
    assert_close(wide["scores"], torch.tensor([2 / 3, 1 / 3]))
    # class 3: once the upper left quarter, once the lower right one
    assert_close(wide["boxes"], torch.tensor([[20.0, 10.0, 60.0, 30.0], [40.0, 20.0, 80.0, 40.0]]))
    assert_close(tall["boxes"][0], torch.tensor([7.5, 22.5, 22.5, 67.5]))


def test_a_picture_that_is_the_mean_is_found():
    truth = target([[10.0, 10.0, 30.0, 25.0]], [2])
    found = mean_box([(WIDE, truth)])([WIDE])
    assert coco_metrics(found, [truth], ("background", "cat", "dog")).coco["AP"] == 1


@pytest.mark.parametrize("image", [WIDE, TALL])
def test_random_anchors_lie_in_the_picture_best_first(image):
    config = named_config("course", 4)
    [found] = random_anchors(config, number=500)([image])
    height, width = image.shape[1:]
    check_boxes(found["boxes"])
    assert found["boxes"].min() >= 0
    assert (found["boxes"][:, 2:].amax(dim=0) <= torch.tensor([width, height]) + 1e-3).all()
    assert set(found["labels"].tolist()) == {1, 2, 3}
    assert (found["scores"].diff() <= 0).all()


def test_random_anchors_have_the_shapes_of_the_config():
    config = replace(named_config("course", 4), anchor_sizes=((8.0,),) * 3, aspect_ratios=(4.0,))
    [found] = random_anchors(config, number=500)([torch.zeros(3, 96, 128, dtype=torch.uint8)])
    width, height = (found["boxes"][:, 2:] - found["boxes"][:, :2]).unbind(dim=1)
    assert_close(height.median() / width.median(), torch.tensor(4.0))
    middles = (found["boxes"][:, 2:] + found["boxes"][:, :2]) / 2
    assert_close(middles.mean(dim=0), torch.tensor([64.0, 48.0]), rtol=0, atol=6)


def test_random_anchors_differ_from_picture_to_picture_and_repeat_with_their_seed():
    first, second = random_anchors(named_config("course", 4))([WIDE, WIDE])
    assert not torch.equal(first["boxes"], second["boxes"])
    again, _ = random_anchors(named_config("course", 4))([WIDE, WIDE])
    assert_close(again, first)


def test_on_the_reef_none_of_them_is_worth_anything():
    val = load_dataset("reef", "val")
    items = [val[row] for row in range(60)]
    images, targets = zip(*items, strict=True)
    for find in (mean_box(items), random_anchors(named_config("course", 8))):
        assert coco_metrics(find(list(images)), targets, val.class_names).coco["AP"] < 0.05
