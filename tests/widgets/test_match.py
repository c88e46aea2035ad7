"""The matching lab colours what match_anchors says, and points at who is left alone."""

import pytest
import torch

from detlab.detector.anchors import pyramid_anchors
from detlab.detector.matching import IGNORED, match_anchors
from detlab.widgets import MatchLab, match
from detlab.widgets.roles import STATE

from .scenes import NAMES, crowd


@pytest.fixture
def lab():
    scene = crowd()
    sizes = ((32.0,), (64.0,), (128.0,))
    maps = ((48, 64), (24, 32), (12, 16))
    anchors = pyramid_anchors(maps, sizes, (0.5, 1.0, 2.0), torch.device("cpu"))
    return MatchLab(scene.image, scene.target, anchors, NAMES)


def test_states_are_the_packages_matches_at_every_threshold(lab):
    for positive, negative, force in [(0.5, 0.4, True), (0.7, 0.3, False), (0.3, 0.3, True)]:
        with lab.hold_trait_notifications():
            lab.positive_iou, lab.negative_iou, lab.force_best = positive, negative, force
        matches = match_anchors(lab.anchors, lab.target["boxes"], positive, negative, force)
        states = lab.canvas.states[: len(matches)]
        assert ((states == STATE["positive"]) == (matches >= 0)).all()
        assert ((states == STATE["ignored"]) == (matches == IGNORED)).all()
        assert lab.num_positive == int((matches >= 0).sum())
        assert lab.per_object.sum() == lab.num_positive


def test_an_object_without_an_anchor_is_pointed_at(lab):
    lab.preset("strict")
    alone = int((lab.per_object == 0).sum())
    assert alone > 0
    assert len(lab.canvas.arrows) == alone
    assert int((lab.canvas.states == STATE["missed"]).sum()) == alone
    lab.force_best = True
    assert lab.canvas.arrows == []
    assert (lab.per_object > 0).all()


def test_thresholds_never_cross(lab):
    lab.positive_iou = 0.2
    assert lab.negative_iou == 0.2
    lab.negative_iou = 0.6
    assert lab.positive_iou == 0.6


def test_one_byte_an_anchor_goes_over(lab):
    assert len(lab.canvas._states) == len(lab.anchors) + len(lab.target["boxes"])


def test_wrong_thresholds_are_refused(lab, picture):
    with pytest.raises(ValueError, match="want negative_iou <= positive_iou"):
        MatchLab(lab.canvas.image, lab.target, lab.anchors, positive_iou=0.3, negative_iou=0.5)
    with pytest.raises(ValueError, match="target: want boxes inside 200 x 150"):
        MatchLab(picture, lab.target, lab.anchors)


def test_matching_computes_in_one_thread_and_leaves_the_others_as_they_were(lab, monkeypatch):
    seen = []

    def watched(*args):
        seen.append(torch.get_num_threads())
        if len(seen) > 1:
            raise RuntimeError("stop")
        return match_anchors(*args)

    monkeypatch.setattr(match, "match_anchors", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        lab.positive_iou = 0.6
        with pytest.raises(RuntimeError, match="stop"):
            lab.positive_iou = 0.7
        assert (seen, torch.get_num_threads()) == ([1, 1], 3)
    finally:
        torch.set_num_threads(before)
