"""A learner's functions in the real detector: what is taken, what is left out and why."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch.testing import assert_close

from detlab.boxes import box_iou
from detlab.course import exercises
from detlab.course import your_parts as parts
from detlab.course.progress import remember
from detlab.course.your_parts import PLACES, collect
from detlab.detector import box_losses, losses, postprocess
from detlab.detector.config import DetectorConfig
from detlab.detector.model import build_detector
from detlab.metrics.evaluation import evaluate_images
from detlab.reef.scene import CLASS_NAMES, Reef, ReefConfig
from detlab.training.config import TrainConfig
from detlab.training.loop import configured_loss, fit

CONFIG = DetectorConfig(len(CLASS_NAMES), channels=32, longest_side=64)
STEPS = TrainConfig(
    epochs=60.0, batch_size=2, learning_rate=5e-3, average_decay=0.9, precision="float32", workers=0
)

pytestmark = pytest.mark.usefixtures("no_shape_checks")


def solve(*names):
    """Remember the package's functions as if a learner had written them."""
    for name in names:
        assert exercises.ALL[name].check(exercises.ALL[name].reference).passed


def keep(name, source):
    """Remember a text as it stands in a progress file, whatever it is."""
    remember("exercises", name, {"passed": "2026-11-22", "source": source})


MY_IOU = """
def my_box_iou(boxes_a, boxes_b):
    table = torch.zeros(len(boxes_a), len(boxes_b))
    for row, a in enumerate(boxes_a):
        for column, b in enumerate(boxes_b):
            table[row, column] = {call}(a, b)
    return table
"""
MY_MATCHED_LOSS = """
def my_matched_loss(said, labels, boxes, counted, what, where, factor):
    positive = labels > 0
    number = positive.sum().clamp(min=1)
    logits, deltas = said.logits.float(), said.deltas.float()
    lcls = sum(what(logits[i, counted[i]], labels[i, counted[i]]) for i in range(len(labels)))
    anchors = said.anchors[None].expand_as(boxes)
    lbox = where(deltas[positive], anchors[positive], boxes[positive], said.delta_weights)
    lcls, lbox = lcls / number, lbox / number
    return {"class": lcls, "box": lbox, "total": lcls + factor * lbox}
"""


def two_pictures():
    world = ReefConfig(
        image_size=(64, 64), objects=(2, 2), object_size=(0.4, 0.6), empty_fraction=0
    )
    return Reef(seed=5, length=2, config=world)


def trained(found, loss=None, **settings):
    """A detector after some steps on two pictures, and what each step lost."""
    torch.manual_seed(0)
    config = replace(STEPS, **settings)
    detector = found.detector(CONFIG)
    steps = fit(detector, two_pictures(), config, loss=loss or found.loss(config))
    return detector, [step["loss_total"] for step in steps]


def average_precision(found, detector):
    find = partial(found.detect, detector, score_threshold=0.05)
    return evaluate_images(find, two_pictures(), CLASS_NAMES).coco["AP"]


def test_before_anything_is_built_all_parts_are_the_packages():
    found = collect()
    assert found.yours == ()
    for name, place in PLACES.items():
        assert found[name] is place.function
        assert found.row(name).why.startswith("not built yet: lesson 0")
    assert repr(found).splitlines()[0].split() == ["part", "whose", "goes", "into", "why"]
    assert len(repr(found).splitlines()) == 1 + len(PLACES)


def test_a_place_holds_the_function_that_its_exercise_asks_for():
    for name in set(PLACES) - {"nms"}:
        assert exercises.ALL[name].reference is PLACES[name].function
    assert PLACES["nms"].function is postprocess.torchvision.ops.nms  # the compiled twin


def test_what_passed_its_check_is_rebuilt_from_its_text():
    solve(*PLACES)
    found = collect()
    assert found.yours == tuple(PLACES)
    for name in PLACES:
        assert found[name] is not PLACES[name].function
        assert found.row(name).why == "right in its check"
        assert exercises.ALL[name].grade(found[name]).passed


def test_a_rebuilt_function_may_call_another_by_the_name_it_had():
    keep("box_iou", MY_IOU.format(call="my_pair"))
    keep("box_area", "def my_pair(a, b):\n    return box_iou(a[None], b[None])[0, 0]\n")
    assert collect().row("box_iou").yours


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (MY_IOU.format(call="overlap_of_my_notebook"), "NameError: name 'overlap_of_my_notebook'"),
        ("def my_box_iou(boxes_a, boxes_b)\n", "no longer runs: SyntaxError"),
        ("@notebook_only\ndef my_box_iou(a, b): ...\n", "NameError: name 'notebook_only'"),
        ("my_box_iou = lambda a, b: box_iou(a, b)\n", "its text was not kept"),
        ("", "its text was not kept"),
        ("def my_box_iou(a, b):\n    return 2 * box_iou(a, b)\n", "yours is not right: The case: "),
        ("def my_box_iou(a, b):\n    ...\n", "not built yet: lesson 02"),
    ],
)
def test_what_no_longer_runs_is_left_out_with_its_reason(source, words):
    keep("box_iou", source)
    row = collect().row("box_iou")
    assert not row.yours
    assert row.function is PLACES["box_iou"].function
    assert words in row.why
    assert "\n" not in row.why


def test_a_record_that_says_nothing_is_no_error():
    remember("exercises", "box_iou", "2026-11-22")
    assert "its text was not kept" in collect().row("box_iou").why


def test_a_function_of_this_notebook_comes_first():
    solve("box_iou")

    def mine(boxes_a, boxes_b):
        return exercises.box_iou.reference(boxes_a, boxes_b)

    assert collect(box_iou=mine)["box_iou"].__wrapped__ is mine


def test_a_stub_of_this_notebook_leaves_what_was_built_before():
    solve("box_iou")
    assert collect(box_iou=lambda boxes_a, boxes_b: ...).row("box_iou").yours


def test_a_wrong_function_is_named_with_its_mistake():
    mistake = "the lambda is on the class loss"
    row = collect(matched_loss=exercises.matched_loss.mistakes[mistake].function).row(
        "matched_loss"
    )
    assert not row.yours
    assert row.why == f"yours is not right: {mistake}"


def test_a_name_that_no_exercise_has_is_refused():
    with pytest.raises(ValueError, match=r"no exercise \['box_iuo'\]; there are"):
        collect(box_iuo=len)


def test_what_passes_its_check_without_a_gradient_is_left_out():
    def mine(*arguments):
        answer = losses.matched_loss(*arguments)
        return {name: torch.tensor(part.item()) for name, part in answer.items()}

    assert exercises.matched_loss.grade(mine).passed
    row = collect(matched_loss=mine).row("matched_loss")
    assert not row.yours
    assert "no gradient passes" in row.why


def test_a_function_without_room_for_what_the_detector_hands_over_is_left_out(monkeypatch):
    monkeypatch.setitem(PLACES, "box_iou", PLACES["box_iou"]._replace(needs=3))
    row = collect(box_iou=lambda boxes_a, boxes_b: box_iou(boxes_a, boxes_b)).row("box_iou")
    assert not row.yours
    assert "too few arguments; the detector hands over boxes_a, boxes_b" in row.why
    assert collect(box_iou=lambda *boxes: box_iou(*boxes)).row("box_iou").yours


def test_what_has_no_place_in_the_detector_is_said_to_have_none():
    solve("box_area")
    found = collect()
    assert found.row("box_area").yours
    assert "box_area" not in found.yours
    assert "checked, but not plugged in" in repr(found)


@pytest.mark.parametrize("name", PLACES)
def test_each_part_is_really_called_in_its_place(name):
    calls = []

    def counting(*arguments, **settings):
        calls.append(name)
        return PLACES[name].function(*arguments, **settings)

    found = collect().exchange(name, counting)
    images, targets = zip(*two_pictures(), strict=True)
    for activation in ("softmax", "sigmoid"):
        detector = found.detector(replace(CONFIG, activation=activation))
        predictions = detector(torch.stack(images))
        for box in ("giou", "smooth_l1"):
            found.loss(STEPS, box)(predictions, list(targets))
        found.detect(detector, images, score_threshold=0.0)
    assert calls


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_the_packages_parts_put_together_lose_what_the_package_loses(activation):
    torch.manual_seed(0)
    detector = build_detector(replace(CONFIG, activation=activation))
    images, targets = zip(*two_pictures(), strict=True)
    predictions = detector(torch.stack(images))
    config = replace(STEPS, positive_iou=0.45, negative_iou=0.2, box_weight=3.0)
    expected = configured_loss(config)(predictions, list(targets))
    assert_close(collect().loss(config)(predictions, list(targets)), expected, rtol=0, atol=0)
    smooth = partial(configured_loss(config), box_loss=box_losses.smooth_l1_box_loss)
    found = collect().loss(config, box="smooth_l1")(predictions, list(targets))
    assert_close(found, smooth(predictions, list(targets)), rtol=0, atol=0)


def test_training_with_a_learners_parts_is_training_with_the_packages():
    solve(*set(PLACES) - {"matched_loss"})
    keep("matched_loss", MY_MATCHED_LOSS)
    ours = parts.Parts(tuple(parts.choose(name, []) for name in PLACES))
    yours = collect()
    assert yours.yours == tuple(PLACES)
    detector, lost = trained(ours, loss=configured_loss(STEPS))
    mine, mine_lost = trained(yours)
    assert_close(torch.tensor(mine_lost), torch.tensor(lost), rtol=1e-3, atol=1e-4)
    ap = average_precision(ours, detector)
    assert ap > 0.5
    assert average_precision(yours, mine) == pytest.approx(ap, abs=0.02)


def test_a_wrong_part_finds_less():
    right = collect()
    wrong = exercises.matched_loss.mistakes["background learned boxes"].function
    detector, lost = trained(right.exchange("matched_loss", wrong), quality=0.0)
    assert lost[-1] < lost[0]
    assert average_precision(right, detector) < 0.1


def test_of_three_suspects_only_b_teaches_no_background():
    detector = build_detector(CONFIG)
    images, targets = zip(*two_pictures(), strict=True)
    predictions = detector(torch.stack(images))
    found = {
        letter: loss(predictions, list(targets))
        for letter, loss in parts.suspects(collect(), STEPS).items()
    }
    assert_close(found["A"], configured_loss(STEPS)(predictions, list(targets)), rtol=0, atol=0)
    assert_close(found["C"]["class"], found["A"]["class"], rtol=0, atol=0)
    assert found["C"]["box"] != found["A"]["box"] == found["B"]["box"]
    assert found["B"]["class"] < found["A"]["class"] / 2
