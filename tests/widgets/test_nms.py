"""The NMS lab keeps what torchvision keeps, and tells why."""

import pytest
import torch
from torchvision.ops import batched_nms, box_iou
from torchvision.ops import nms as compiled_nms

from detlab.detector.suppression import separate_classes, soft_nms
from detlab.widgets import NMSLab
from detlab.widgets.nms import ALL
from detlab.widgets.roles import STATE

from .scenes import NAMES, crowd, jagged_boxes, raw_boxes


@pytest.fixture
def lab(picture):
    return NMSLab(picture, jagged_boxes())


def test_kept_boxes_are_torchvisions_at_every_slider_position(lab):
    for score in (0.0, 0.05, 0.3, 0.5, 0.77, 0.99):
        for iou in (0.0, 0.1, 0.3, 0.45, 0.5, 0.6, 0.75, 0.95, 1.0):
            for per_class in (True, False):
                with lab.hold_trait_notifications():
                    lab.score_threshold, lab.iou_threshold, lab.per_class = score, iou, per_class
                rows = (lab.scores > score).nonzero()[:, 0]
                boxes, scores, labels = lab.boxes[rows], lab.scores[rows], lab.labels[rows]
                kept = (
                    batched_nms(boxes, scores, labels, iou)
                    if per_class
                    else compiled_nms(boxes, scores, iou)
                )
                assert lab.kept.tolist() == rows[kept].tolist(), (score, iou, per_class)


def test_a_loose_threshold_keeps_more(lab):
    lab.iou_threshold = 0.3
    strict = lab.num_kept
    lab.iou_threshold = 0.95
    assert lab.num_kept > strict


def test_every_suppressed_box_names_a_better_one_that_overlaps_it(lab):
    lab.score_threshold = 0.2
    assert len(lab.suppressor) + lab.num_kept == len(lab.candidates)
    for row, by in lab.suppressor.items():
        assert box_iou(lab.boxes[[row]], lab.boxes[[by]]).item() > lab.iou_threshold
        assert lab.scores[by] >= lab.scores[row]
        assert lab.labels[by] == lab.labels[row]
        assert by in lab.kept


def test_forward_and_back_walk_one_decision_at_a_time(lab):
    lab.forward()
    assert lab.step == 1
    first, victims, _ = lab.decisions[0]
    states = lab.canvas.states
    assert states[first] == STATE["prediction"]
    assert all(states[row] == STATE["suppressed"] for row in victims)
    waiting = set(lab.candidates.tolist()) - {first, *victims}
    assert all(states[row] == STATE["ignored"] for row in waiting)
    assert f"Decision 1 of {lab.num_kept}" in lab.canvas.below
    lab.forward()
    lab.back()
    assert torch.equal(lab.canvas.states, states)
    lab.back()
    lab.back()
    assert lab.step == 0
    assert not (lab.canvas.states == STATE["prediction"]).any()
    for _ in range(len(lab.decisions) + 3):
        lab.forward()
    ended = lab.canvas.states
    lab.all()
    assert lab.step == ALL
    assert torch.equal(lab.canvas.states, ended)
    assert int((ended == STATE["prediction"]).sum()) == lab.num_kept


def test_the_slider_and_the_play_button_step_too(lab):
    lab.all()
    lab._position.value = 3 / len(lab.decisions)
    assert lab.step == 3
    lab._play.playing = True
    lab._play.value += 1
    assert lab.step == 4
    assert lab._position.value == 4 / len(lab.decisions)
    lab._play.value = 0  # its stop button
    assert lab.step == 0


def test_the_control_of_decisions_rests_while_a_threshold_moves(lab):
    heard = []
    lab._position.observe(heard.append, names="value")
    for lab.iou_threshold in (0.1, 0.9, 0.3):
        assert lab.step == ALL
    assert heard == []
    lab.back()
    assert 0 < lab._position.value < 1
    lab._position.value = 1.0
    assert lab.step == ALL


def test_playing_ends_with_the_last_decision_and_begins_anew(lab):
    lab._play.playing = True
    for tick in range(1, len(lab.decisions) + 1):
        assert lab._play.playing
        lab._play.value = tick
    assert not lab._play.playing
    assert lab.step == ALL
    lab._play.value += 1
    assert lab.step == 1


def test_a_click_says_why_a_box_is_gone(lab):
    row, by = next(iter(lab.suppressor.items()))
    lab.canvas.selected = row
    iou = box_iou(lab.boxes[[row]], lab.boxes[[by]]).item()
    assert f"IoU {iou:.2f} &gt; 0.50" in lab.canvas.below
    lab.preset("reset")
    assert lab.canvas.selected == -1
    assert "Clicked" not in lab.canvas.below


def test_missed_objects_and_duplicates_are_counted():
    scene = crowd()
    lab = NMSLab(scene.image, raw_boxes(scene), scene.target, NAMES)
    lab.iou_threshold = 1.0
    assert int(lab.missed.sum()) == 0
    assert lab.duplicates > 20
    lab.score_threshold = 1.0
    assert int(lab.missed.sum()) == len(scene.target["boxes"])
    truth = slice(-len(scene.target["boxes"]), None)
    assert (lab.canvas.states[truth] == STATE["missed"]).all()
    lab.preset("too eager")
    lab.forward()
    assert not lab.canvas.states[truth].any()  # while stepping nobody is missed yet


def test_soft_nms_keeps_boxes_behind_others(picture):
    lab = NMSLab(picture, jagged_boxes(), score_threshold=0.3, iou_threshold=0.1)
    greedy = lab.num_kept
    lab.method = "soft"
    assert lab.num_kept > greedy


def test_soft_nms_names_who_lowered_a_score_too_far(picture):
    lab = NMSLab(picture, jagged_boxes(), score_threshold=0.3, method="soft")
    apart = separate_classes(lab.boxes, lab.labels)
    rows = lab.candidates
    scores = soft_nms(apart[rows], lab.scores[rows])
    assert sorted(lab.kept.tolist()) == rows[scores > 0.3].tolist()
    assert lab.num_kept + len(lab.suppressor) == len(rows)
    assert lab.suppressor
    for row, by in lab.suppressor.items():
        assert box_iou(lab.boxes[[row]], lab.boxes[[by]]).item() > 0
        assert by in lab.kept
    number, step = next((n, d) for n, d in enumerate(lab.decisions, 1) if d.suppressed)
    lab.step = number
    victim = step.suppressed[0]
    assert f"→ {step.scores[victim]:.2f}" in lab.canvas.below
    assert lab.canvas.states[victim] == STATE["suppressed"]
    lab.canvas.selected = victim
    assert "lowered its score below 0.30" in lab.canvas.below


def test_no_candidate_is_fine(picture):
    none = {key: value[:0] for key, value in jagged_boxes().items()}
    lab = NMSLab(picture, none)
    assert repr(lab) == "<NMS lab: 0 boxes kept of 0>"
    lab.forward()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": torch.full((120,), 1.5)}, "want a score from 0 to 1 per box"),
        (
            {"boxes": torch.zeros(120, 3)},
            r"want boxes float \[N, 4\], got torch.float32 \[120, 3\]",
        ),
        ({"labels": torch.ones(7).long()}, r"want int64 labels, one per box, got \[7\]"),
    ],
)
def test_wrong_candidates_are_refused(picture, change, message):
    with pytest.raises(ValueError, match=message):
        NMSLab(picture, {**jagged_boxes(), **change})


def test_a_threshold_outside_0_to_1_is_refused(picture, lab):
    with pytest.raises(ValueError, match=r"iou_threshold: want a number from 0 to 1, got 1\.5"):
        NMSLab(picture, jagged_boxes(), iou_threshold=1.5)
    with pytest.raises(ValueError, match=r"score_threshold: want a number from 0 to 1, got -0\.1"):
        lab.score_threshold = -0.1
