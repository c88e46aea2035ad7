"""The anchor workbench measures with the package's functions."""

import pytest
import torch
from torchvision.ops import box_iou

from detlab.detector.anchors import decode_deltas
from detlab.widgets import AnchorLab
from detlab.widgets.picture import wrapped

from .scenes import NAMES, crowd


@pytest.fixture(scope="module")
def scene():
    return crowd()


def test_coverage_and_counts_are_those_of_all_anchors(scene):
    lab = AnchorLab(scene.image, scene.target, NAMES, size=32.0, stride=16, levels=2)
    assert len(lab.anchors) == (24 * 32 + 12 * 16) * 3
    iou = box_iou(lab.anchors, scene.target["boxes"])
    torch.testing.assert_close(lab.best_iou, iou.amax(dim=0))
    assert lab.covered == int((iou.amax(dim=0) >= 0.5).sum())
    assert lab.positives.tolist() == (iou >= 0.5).sum(dim=0).tolist()


def test_more_levels_cover_more_and_tiny_anchors_cover_nothing(scene):
    lab = AnchorLab(scene.image, scene.target, all_boxes=scene.target["boxes"])
    lab.preset("too small")
    assert (lab.covered, lab.set_coverage) == (0, 0)
    lab.preset("rich")
    assert lab.set_coverage == 1
    assert lab.covered >= 5


def test_deltas_lead_from_the_best_anchor_to_the_box(scene):
    lab = AnchorLab(scene.image, scene.target)
    lab.canvas.edited = [[100.0, 50.0, 180.0, 90.0]]
    box = torch.tensor([lab.box])
    best = lab.anchors[box_iou(lab.anchors, box)[:, 0].argmax()]
    torch.testing.assert_close(decode_deltas(torch.tensor([lab.deltas]), best[None]), box)


def test_each_delta_has_room_beside_its_name(scene):
    lab = AnchorLab(scene.image, scene.target, size=8.0)
    lab.box = [0.0, 0.0, 250.0, 9.0]
    assert all(len(wrapped(item)) == len(item.lines()) for item in lab.explain())


def test_a_delta_of_nothing_has_no_minus(scene):
    lab = AnchorLab(scene.image, scene.target, size=64.0, stride=64, levels=1)
    lab.box = (lab.anchors[0] - 1e-4).tolist()
    assert max(lab.deltas[:2]) < 0
    assert not any("-0.00" in value for item in lab.explain() for _, value in item.lines())


def test_the_chosen_cells_anchors_are_drawn(scene):
    lab = AnchorLab(scene.image, scene.target, stride=32, levels=1)
    lab.canvas.cursor = [40.0, 70.0]
    centre = torch.tensor([[48.0, 80.0]] * 3)
    drawn = lab.canvas.boxes[:3]
    torch.testing.assert_close((drawn[:, :2] + drawn[:, 2:]) / 2, centre)


def test_wrong_arguments_are_refused(scene):
    with pytest.raises(ValueError, match="want one object at least"):
        AnchorLab(scene.image, {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0).long()})
    with pytest.raises(ValueError, match="levels 1 to 5"):
        AnchorLab(scene.image, scene.target, levels=9)
    with pytest.raises(ValueError, match="want a dict of boxes and labels"):
        AnchorLab(scene.image, scene.target["boxes"])
