"""Arithmetic of the labs' benchmark, and the scenes that it shows; it takes the times itself."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent / "benchmarks"
sys.path.append(str(BENCHMARKS))

import bench_widgets as bench  # noqa: E402
import labs  # noqa: E402


def test_a_delay_is_from_the_event_to_the_last_that_is_drawn():
    marks = {"stamp": 100.0, "dispatch": 104.0, "drawn": {"box": 110.0, "text": 130.0}}
    assert bench.delays([marks], "box") == [10.0]
    assert bench.delays([marks], "box", "text") == [30.0]
    assert bench.delays([marks], "box", since="dispatch") == [6.0]


def test_percentiles_lie_between_neighbours():
    assert bench.percentile([30.0, 10.0, 20.0], 50) == 20.0
    assert bench.percentile([0.0, 100.0], 95) == 95.0
    assert bench.in_words([10.0, 20.0, 30.0]) == "median 20, p95 29 ms (10–30)"


def test_bytes_count_both_ways():
    assert bench.traffic({"received": 2000, "sent": 500}) == 2500


def test_a_tour_never_stays_where_it_is():
    tour = bench.back_and_forth([0.0, 0.5, 1.0], count=9)
    assert tour == [0.0, 0.5, 1.0, 0.5, 0.0, 0.5, 1.0, 0.5, 0.0]


def test_the_middle_burst_decides_about_a_slow_kernel():
    bursts = [
        {"stamp": 0.0, "drawn": {"result": late - 10.0, "numbers": late}, "answers": 4}
        for late in (200.0, 290.0, 500.0)
    ]
    row = bench.slow_row("slider", bursts)
    assert row.met
    assert row.measured == "median 290, p95 479 ms (200–500), after 4 (4–4) answers"
    assert not bench.slow_row("slider", bursts[2:] * 2).met


def test_an_unknown_row_is_refused(capsys):
    with pytest.raises(SystemExit):
        bench.parse_arguments(["--only", "everything"])
    assert "invalid choice: 'everything'" in capsys.readouterr().err
    assert bench.parse_arguments(["--only", "nms", "slow"]).only == ["nms", "slow"]


def test_the_least_widget_answers_with_what_it_was_asked():
    widget = labs.RoundTrip()
    widget.asked = 17
    assert widget.answered == 17


def test_every_stop_of_the_slider_is_another_picture():
    """Otherwise nothing would be repainted, and the benchmark would wait in vain."""
    lab = labs.nms_lab()
    assert len(lab.candidates) == len(labs.candidates(labs.reef_scene())["boxes"]) == 100
    seen = []
    for fraction in bench.NMS_STOPS:
        lab.iou_threshold = fraction
        seen.append((lab.result, bytes(lab.canvas._states)))
    assert len(set(seen)) == len(bench.NMS_STOPS)
    assert len({result for result, _ in seen}) == len(bench.NMS_STOPS)


def test_every_stop_recolours_the_anchors():
    lab = labs.match_lab()
    assert len(lab.anchors) == 10_000
    seen = set()
    for fraction in bench.ANCHOR_STOPS:
        lab.positive_iou = fraction
        assert (lab.canvas.states > 0).all()  # all of them are drawn
        seen.add((lab.result, bytes(lab.canvas._states)))
    assert len(seen) == len({result for result, _ in seen}) == len(bench.ANCHOR_STOPS)


def test_a_slowed_lab_gives_the_same_answers_and_counts_them():
    quick, slow = labs.iou_lab(), labs.slowed(labs.iou_lab(), seconds=0.0)
    for lab in (quick, slow):
        lab.canvas.edited = [lab.truth, [100.0, 100.0, 300.0, 300.0]]
    assert slow.answers == 1
    assert slow.result == quick.result
    assert labs.value_in_kernel(slow) == "prediction: x 100 to 300, y 100 to 300"
    nms = labs.nms_lab()
    nms.iou_threshold = 0.7
    assert labs.value_in_kernel(nms) == "0.70"


def test_the_watched_training_is_the_same_training():
    training = labs.Training(steps=2, pictures=20)
    assert training.run(watched=False) > 0
    assert training.run(watched=True) > 0
    assert [step["step"] for step in training.view.history] == [1, 2]
    assert training.view.result.startswith("step 2: loss")
    assert training.stage.children == (training.view,)
