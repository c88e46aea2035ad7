"""The benchmarks' cheap parts; what they measure is measured by `make bench`."""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parent / "benchmarks"
sys.path.append(str(BENCHMARKS))

import bench  # noqa: E402
import bench_gpu  # noqa: E402
import peers  # noqa: E402
import report  # noqa: E402

CPU = torch.device("cpu")


def test_a_spread_is_the_median_and_the_range():
    assert report.spread([3.0, 1.0, 10.0], digits=1) == "3.0 (1.0–10.0)"
    assert report.spread([0.7136]) == "0.71"


def test_ratios_compare_within_a_round():
    assert report.ratios([10.0, 30.0], [5.0, 10.0]) == [2.0, 3.0]


def test_runs_take_turns_and_the_first_round_does_not_count():
    order = []
    runs = {"a": lambda: order.append("a"), "b": lambda: (order.append("b"), time.sleep(0.01))}
    seconds = report.take_turns(runs, rounds=2)
    assert order == ["a", "b"] * 3
    assert [len(values) for values in seconds.values()] == [2, 2]
    assert min(seconds["b"]) >= 0.01


def test_the_table_says_what_was_missed():
    rows = [
        report.Row("AP", "≥ 0.70", "0.71", True),
        report.Row("memory", "≤ 2 GB", "3 GB", False),
        report.Row("peak", "–", "1 GB", None),
    ]
    assert report.table(rows).splitlines()[2:] == [
        "| AP | ≥ 0.70 | 0.71 | yes |",
        "| memory | ≤ 2 GB | 3 GB | **no** |",
        "| peak | – | 1 GB | – |",
    ]


def test_the_processor_is_named_as_linux_names_it(tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nmodel name\t: Abacus 3000\nmodel name\t: Abacus 3000\n")
    assert report.processor_name(file) == "Abacus 3000"
    assert report.processor_name(tmp_path / "none") != ""


def test_the_json_holds_machine_and_measurements(tmp_path, capsys):
    path = tmp_path / "runs" / "bench.json"
    row = report.Row("AP", "≥ 0.70", "0.71", True, {"runs": [0.71]})
    report.publish(report.describe_machine(), [row], path)
    whole = json.loads(path.read_text())
    assert whole["rows"][0]["details"] == {"runs": [0.71]}
    assert whole["machine"]["torch"] == torch.__version__
    assert "load_at_end" in whole["machine"]
    assert "| AP | ≥ 0.70 | 0.71 | yes |" in capsys.readouterr().out


def test_without_a_gpu_the_gpu_benchmark_says_so_and_ends_well():
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    ended = subprocess.run(
        [sys.executable, str(BENCHMARKS / "bench_gpu.py")],
        env=hidden,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "no GPU\n"


def test_an_unknown_row_is_refused(capsys):
    with pytest.raises(SystemExit):
        bench.parse_arguments(["--only", "everything"])
    assert "invalid choice: 'everything'" in capsys.readouterr().err


def test_the_memory_of_a_process_is_its_own_peak():
    holds_200_mb = "import time; block = b'x' * 200_000_000; time.sleep(1)"
    peak = bench.watch_memory(subprocess.Popen([sys.executable, "-c", holds_200_mb]))
    assert 200 < peak < 300


def test_a_training_that_fails_is_no_measurement():
    with pytest.raises(subprocess.CalledProcessError):
        bench.watch_memory(subprocess.Popen([sys.executable, "-c", "raise SystemExit(2)"]))


def test_both_evaluations_of_the_benchmark_see_the_same_boxes():
    [row] = bench.measure_evaluation(argparse.Namespace(), pictures=4, boxes=20, rounds=1)
    for ours, theirs in row.details["numbers"].values():
        assert ours == pytest.approx(theirs, abs=1e-9)
        assert ours > 0
    assert "× (" in row.measured


def test_the_parts_of_a_step_add_up_to_the_step():
    [row] = bench.measure_share(argparse.Namespace(), steps=2, warm_up=1)
    for lap in row.details["laps"]:
        parts = {name: seconds for name, seconds in lap.items() if name != "step"}
        assert set(parts) >= {*bench.OUTSIDE, "forward", "backward", "optimiser", "average"}
        assert sum(parts.values()) == pytest.approx(lap["step"])
        assert min(parts.values()) > 0


@pytest.mark.parametrize("name", list(peers.BUILDERS))
def test_a_peer_trains_and_detects(name):
    from detlab.reef import Reef
    from detlab.train import TrainConfig
    from detlab.transforms import Augmented, training_transforms

    reef = Reef(seed=1, length=4)
    model = peers.BUILDERS[name](len(reef.class_names))
    before = [weight.clone() for weight in model.parameters()]
    config = TrainConfig(seconds=0.01, batch_size=2, warmup=0.0)
    steps, seconds = peers.train_peer(model, Augmented(reef, training_transforms()), config)
    assert steps == 1
    assert seconds > 0
    pairs = zip(before, model.parameters(), strict=True)
    assert any(not torch.equal(old, new) for old, new in pairs)
    coco = peers.judge_peer(model, reef, reef.class_names)
    assert math.isnan(coco["AP_large"]) or 0 <= coco["AP"] <= 1


def test_a_peers_background_is_no_detection():
    found = {
        "boxes": torch.tensor([[0.0, 0.0, 9.0, 9.0], [1.0, 0.0, 9.0, 9.0]]),
        "labels": torch.tensor([0, 2]),
        "scores": torch.tensor([0.9, 0.8]),
    }
    kept = peers.without_background(found)
    assert kept["boxes"].tolist() == [[1.0, 0.0, 9.0, 9.0]]
    assert kept["labels"].tolist() == [2]


TINY = ["--batch-size", "2", "--image-size", "64", "--steps", "1", "--rounds", "1"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["agreement", "training", "detection"])
def test_the_gpu_benchmark_runs_on_any_device(name):
    [row] = bench_gpu.MEASUREMENTS[name](CPU, bench_gpu.parse_arguments(TINY))
    if name == "agreement":
        assert row.met
        assert row.details["anchors"] == 0
    else:
        assert min(row.details["pictures_per_second"]["torchvision"]) > 0
