"""The training view passes steps through, looks seldom enough, and stops when told."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from detlab.widgets import TrainingView, training
from detlab.widgets.roles import STATE

from .scenes import NAMES, crowd, raw_boxes


def steps(count, pause=0.0):
    for number in range(1, count + 1):
        time.sleep(pause)
        progress = number / count
        parts = {"loss_class": 1 / number, "loss_box": 2 / number, "loss_total": 3 / number}
        yield {"step": number, "seconds": number * 0.1, "progress": progress, **parts}


def view(detect=None, **settings):
    scene = crowd()
    detect = detect or (lambda images: [raw_boxes(scene)] * len(images))
    return TrainingView([scene.image] * 2, [scene.target] * 2, detect, NAMES, **settings)


def test_every_step_comes_through_and_the_last_is_shown():
    shown = view(measure=lambda: 0.25)
    assert [step["step"] for step in shown.watch(steps(30))] == list(range(1, 31))
    assert repr(shown) == "<training lab: step 30: loss 0.100>"
    assert shown.ap_history[-1] == (30, 0.25)
    assert "AP so far" in shown.canvas.beside


def test_the_boxes_of_the_moment_are_drawn_over_the_truth():
    shown = view()
    list(shown.watch(steps(2)))
    states = shown.canvas.states
    sure = int((raw_boxes(crowd())["scores"] >= 0.4).sum())
    assert int((states == STATE["truth"]).sum()) == 12
    assert int((states == STATE["prediction"]).sum()) == 2 * sure
    shown.score_threshold = 1.0
    assert not (shown.canvas.states == STATE["prediction"]).any()


def test_the_stop_button_ends_the_loop_after_the_step_in_hand():
    shown = view()
    seen = []
    for step in shown.watch(steps(100)):
        seen.append(step["step"])
        if step["step"] == 7:
            shown.stop_button.click()
    assert seen[-1] == 7
    shown.stop_button.click()  # to be sure
    shown.score_threshold = 0.6
    assert "stopped" in shown.canvas.beside


def test_a_view_shows_a_second_training_as_if_it_were_the_first():
    shown = view(measure=lambda: 0.5)
    for _ in shown.watch(steps(50)):
        shown.stop()
    assert len(list(shown.watch(steps(8)))) == 8
    assert "finished" in shown.canvas.beside
    assert [step["step"] for step in shown.history] == list(range(1, 9))
    assert {step for step, _ in shown.ap_history} <= set(range(9))


def test_the_stop_button_after_the_end_stops_nothing():
    shown = view()
    list(shown.watch(steps(3)))
    shown.stop_button.click()
    shown.score_threshold = 0.6
    assert "finished" in shown.canvas.beside


def test_a_stopped_training_is_closed_before_the_last_look():
    order = []

    def training():
        try:
            yield from steps(50)
        finally:
            order.append("closed")

    shown = view(lambda images: order.append("looked") or [raw_boxes(crowd())] * len(images))
    for _ in shown.watch(training()):
        shown.stop()
    assert order[-2:] == ["closed", "looked"]


def test_listening_passes_the_same_steps_and_lets_others_work_between_them():
    shown, heard = view(), []

    async def train():
        async def press_later():
            await asyncio.sleep(0.05)
            heard.append("pressed")
            shown.stop_button.click()

        pressing = asyncio.create_task(press_later())
        seen = [step["step"] async for step in shown.listen(steps(200, pause=0.005))]
        await pressing
        return seen

    with ThreadPoolExecutor() as elsewhere:  # a browser of other tests holds this thread's loop
        seen = elsewhere.submit(asyncio.run, train()).result()
    assert heard == ["pressed"]
    assert seen == list(range(1, len(seen) + 1))
    assert 1 < len(seen) < 200


class Clock:
    """A clock that stands still until it is told how long something took."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


@pytest.mark.parametrize(
    ("takes", "seconds", "looks"),
    [
        (0.2, 3, 2),  # the second would wait until 15 s, since 0.2 + 2 · 0.2 = 0.04 · 15
        (0.06, 4, 2),
        (0.06, 6, 3),  # 0.06 + 2 · 0.06 = 0.04 · 4.5
        (0.0, 4, 7 + 1),  # every half second, and at the end
    ],
)
def test_a_slow_network_is_looked_at_seldom_the_last_look_counted(
    takes, seconds, looks, monkeypatch
):
    clock, looked = Clock(), []
    monkeypatch.setattr(training, "time", clock)

    def slow(images):
        looked.append(clock.now)
        clock.now += takes
        return [raw_boxes(crowd())] * len(images)

    for _ in view(slow).watch(steps(16 * seconds)):
        clock.now += 1 / 16
    assert len(looked) == looks


def test_a_picture_without_target_is_refused():
    scene = crowd()
    with pytest.raises(ValueError, match="want a target per picture, got 2 and 1"):
        TrainingView([scene.image] * 2, [scene.target], lambda images: [])
