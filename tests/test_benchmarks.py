"""The benchmarks' cheap parts; what they measure is measured by `make bench`."""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision
from PIL import Image
from torch.testing import assert_close

from detlab.boxes import clip_boxes
from detlab.data.datasets import load_dataset
from detlab.detector.checkpoint import load_checkpoint, save_checkpoint
from detlab.detector.config import named_config
from detlab.detector.model import build_detector
from detlab.metrics.coco import COCO_NAMES
from detlab.reef.scene import CLASS_NAMES, Reef, draw_scene
from detlab.training import recipe as training_recipe
from detlab.training import run as training_run
from detlab.training.config import TrainConfig
from detlab.training.run_folder import OF_BEFORE
from tests.drawn_sets import KINDS, DrawnSet, write_drawn_set
from tests.sample_folders import SCENES, coco_folder

BENCHMARKS = Path(__file__).parent / "benchmarks"
sys.path.append(str(BENCHMARKS))

import audit_time  # noqa: E402
import bench  # noqa: E402
import bench_data  # noqa: E402
import bench_gpu  # noqa: E402
import peers  # noqa: E402
import photo_peers  # noqa: E402
import recipe  # noqa: E402
import report  # noqa: E402
import results  # noqa: E402
import second_annotator  # noqa: E402
import speedrun  # noqa: E402

CPU = torch.device("cpu")
BCCD = Path(os.environ.get("DETLAB_DATA", "nowhere")) / "bccd" / "BCCD"


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
        timeout=300,
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


def test_a_step_has_all_its_parts():
    [row] = bench.measure_overhead(argparse.Namespace(), steps=2, warm_up=1)
    for lap in row.details["laps"]:
        parts = {name: seconds for name, seconds in lap.items() if name != "step"}
        assert set(parts) >= {*bench.OUTSIDE, "forward", "backward", "optimizer", "average"}
        assert min(parts.values()) > 0


@pytest.mark.parametrize("name", list(peers.BUILDERS))
def test_a_peer_trains_and_detects(name):
    from detlab.data.transforms import Augmented, training_transforms
    from detlab.reef.scene import Reef
    from detlab.training.config import TrainConfig

    reef = Reef(seed=1, length=4)
    model = peers.BUILDERS[name](len(reef.class_names))
    before = [weight.clone() for weight in model.parameters()]
    config = TrainConfig(seconds=0.01, batch_size=2, warmup=0.0)
    steps, seconds = peers.train_peer(model, Augmented(reef, training_transforms()), config)
    assert steps == 1
    assert seconds > 0
    pairs = zip(before, model.parameters(), strict=True)
    assert any(not torch.equal(old, new) for old, new in pairs)
    coco = peers.evaluate_peer(model, reef, reef.class_names)
    assert set(coco) == set(COCO_NAMES)
    assert 0 <= coco["AP"] <= 1


def test_a_peers_background_is_no_detection():
    found = {
        "boxes": torch.tensor([[0.0, 0.0, 9.0, 9.0], [1.0, 0.0, 9.0, 9.0]]),
        "labels": torch.tensor([0, 2]),
        "scores": torch.tensor([0.9, 0.8]),
    }
    kept = peers.without_background(found)
    assert kept["boxes"].tolist() == [[1.0, 0.0, 9.0, 9.0]]
    assert kept["labels"].tolist() == [2]


# ---------------------------------------------------------------- results and peers on photographs


def test_results_are_trained_once_and_evaluated_again(tmp_path, capsys):
    pets = str(coco_folder(tmp_path / "pets"))
    training = results.TrainOptions(seconds=0.1, batch_size=2)
    recipe = results.Recipe("course", training, goal=(0.0, None), split="val", longest_side=64)
    options = results.parse_arguments(
        ["--seeds", "0", "1", "--device", "cpu", "--out", str(tmp_path / "runs")]
    )
    row = results.measure(pets, recipe, options)
    assert len(row.details["runs"]) == 2
    assert row.details["blind"]["everything is background"] == (0, 0)
    checkpoints = sorted((tmp_path / "runs").rglob("checkpoint.safetensors"))
    assert len(checkpoints) == 2
    before = [path.stat().st_mtime_ns for path in checkpoints]
    assert results.measure(pets, recipe, options).details == row.details
    assert [path.stat().st_mtime_ns for path in checkpoints] == before


def test_results_of_another_recipe_are_not_passed_off_as_this_one(tmp_path):
    pets = str(coco_folder(tmp_path / "pets"))
    training = results.TrainOptions(seconds=0.1, batch_size=2)
    recipe = results.Recipe("course", training, goal=(0.0, None), split="val", longest_side=64)
    words = ["--seeds", "0", "--device", "cpu", "--out", str(tmp_path / "runs")]
    results.measure(pets, recipe, results.parse_arguments(words))
    others = {
        r"body_rate was 1\.0 and is 0\.5": {"training": replace(training, body_rate=0.5)},
        r"longest_side was 64 and is 96": {"longest_side": 96},
        r"backbone was tiny and is mobilenet_v2": {"config": "mobilenet"},
    }
    for change, other in others.items():
        with pytest.raises(SystemExit, match=rf"another recipe, .*{change}.*; remove"):
            results.measure(pets, replace(recipe, **other), results.parse_arguments(words))
    (checkpoint,) = (tmp_path / "runs").rglob("checkpoint.safetensors")
    relabel_device(checkpoint, "cuda")
    with pytest.raises(SystemExit, match="device was cuda and is cpu"):
        results.measure(pets, recipe, results.parse_arguments(words))


def relabel_device(checkpoint, device):
    """As if a checkpoint had been trained elsewhere."""
    detector, info = load_checkpoint(checkpoint)
    notes = {**info.notes, "machine": {**info.notes["machine"], "device": device}}
    save_checkpoint(checkpoint, detector, replace(info, notes=notes))


@pytest.mark.skipif(not BCCD.is_dir(), reason="bccd is not below DETLAB_DATA")
def test_the_audit_of_bccd_is_timed_and_counted():
    row = audit_time.measure_audit("bccd")
    assert row.details["seconds"] > 1
    assert row.details["found"]["double box"] == row.details["known"]["double box"] == 7
    assert "no area 2 of 2" in row.measured


def test_scenes_of_another_split_are_left_out_of_a_second_number(tmp_path):
    folder = coco_folder(tmp_path, scenes={"a": SCENES["a"]})
    coco_folder(folder, "test", scenes={"b": SCENES["b"], "c": SCENES["a"]})
    (folder / "images" / "c.png").write_bytes((folder / "images" / "a.png").read_bytes())
    Image.effect_noise((60, 40), 90).convert("RGB").save(folder / "images" / "b.png")
    leaked = results.leaked_pictures(str(folder))
    assert {path.name for path in leaked} == {"a.png", "c.png"}
    dataset = results.load_dataset(str(folder), "test")
    unknown = results.without(leaked, dataset)
    assert unknown.names == ("b.png",)
    assert results.without(set(), dataset) is None
    config = named_config("course", 3)
    info = results.CheckpointInfo(config, dataset.class_names)
    numbers = results.evaluate_twice(build_detector(config), info, dataset, unknown)
    assert numbers["AP without twins"] == pytest.approx(0, abs=0.05)
    assert "AP without twins" not in results.evaluate_twice(
        build_detector(config), info, dataset, None
    )


def test_results_are_held_against_the_median():
    runs = [{"AP": ap, "AP50": 0.9} for ap in (0.5, 0.61, 0.6)]
    wanted, measured, met = results.compare((0.60, None), runs, {"the mean box": (0.0123, 0.04)})
    assert (wanted, met) == ("≥ 0.60 / –", True)
    assert measured.startswith("AP 0.600 (0.500–0.610), AP50 0.900")
    assert measured.endswith("the mean box 0.012 / 0.040")
    assert not results.compare((0.60, 0.95), runs, {})[2]


def without_weights(name, num_classes, longest_side=64):
    """A named config as it is without ImageNet's weights, and small."""
    return replace(named_config(name, num_classes, longest_side), pretrained=False)


@pytest.mark.parametrize("name", list(photo_peers.ONE))
def test_each_of_the_three_trains_on_photographs(name, tmp_path, monkeypatch):
    def offline(*_, **__):
        raise URLError("no network")

    for module in (photo_peers, training_run, training_recipe):
        monkeypatch.setattr(module, "named_config", without_weights)
    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", offline)
    folder = str(coco_folder(tmp_path / "pets"))
    words = ["--data", folder, "--seconds", "0.1", "--split", "val"]
    numbers = photo_peers.ONE[name](photo_peers.parse_arguments(words))
    assert numbers["steps"] >= 1
    assert 0 <= numbers["AP"] <= 1
    assert numbers["pictures_per_second"] > 0
    assert 0.1 < numbers["memory_GB"] < 30
    assert ("no ImageNet" in numbers.get("note", "")) == (name == photo_peers.SSDLITE)


def test_the_peers_retinanet_stands_on_our_own_backbone(monkeypatch):
    for module in (photo_peers, training_run, training_recipe):
        monkeypatch.setattr(module, "named_config", without_weights)
    torch.manual_seed(0)
    model, _ = photo_peers.build_retinanet(4)
    torch.manual_seed(0)
    ours = build_detector(without_weights("mobilenet", 4)).backbone
    assert_close(model.backbone.state_dict(), ours.state_dict())


def test_the_race_is_told_and_drawn():
    numbers = {"AP50": 0.9, "pictures_per_second": 20.0, "memory_GB": 1.0}
    raced = [
        {"name": name, "budget": 120.0, "AP": ap, **numbers}
        for name, ap in zip(photo_peers.ONE, (0.5, 0.4, 0.6), strict=True)
    ]
    row = photo_peers.row(raced, 120.0)
    assert not row.met  # one of them is ahead
    assert "after 2 minutes" in row.figure
    [axes] = photo_peers.draw(raced, "bccd").axes
    assert [line.get_label() for line in axes.lines] == list(photo_peers.ONE)


def two_views(folder, jitter=0.0):
    """A COCO folder with two photographs of one reef, the camera moved between; boxes for both."""
    scene = draw_scene(
        seed=5, index=1, image_size=(240, 400), objects=(12, 14), object_size=(0.12, 0.2)
    )
    images, annotations = [], []
    for number, (top, left) in enumerate([(0, 0), (40, 110)], start=1):
        picture = scene.image[:, top : top + 180, left : left + 240]
        folder.mkdir(exist_ok=True)
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(folder / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 240, "height": 180})
        corner = torch.tensor([left, top, left, top]) + jitter * (number - 1)
        for box, label in zip(scene.boxes - corner, scene.labels.tolist(), strict=True):
            x1, y1, x2, y2 = clip_boxes(box[None], (180, 240))[0].tolist()
            annotation = {
                "image_id": number,
                "category_id": label,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
            }
            if x2 - x1 > 1 and y2 - y1 > 1:
                annotations.append({"id": len(annotations) + 1, **annotation})
    names = [{"id": row, "name": name} for row, name in enumerate(CLASS_NAMES) if row]
    content = {"images": images, "annotations": annotations, "categories": names}
    (folder / "instances_train.json").write_text(json.dumps(content))
    return str(folder)


def test_annotators_who_agree_are_perfect_and_others_are_not(tmp_path):
    agreed = second_annotator.measure_agreement(two_views(tmp_path / "agreed"))
    assert agreed.details["pairs"] == 1
    assert agreed.details["AP75"] == 1
    differed = second_annotator.measure_agreement(two_views(tmp_path / "differed", jitter=4.0))
    assert differed.details["pairs"] == 1
    assert differed.details["AP"] < agreed.details["AP"] - 0.2


# 64 pixels leave one cell to the last batch norms, whose slopes overflow in bfloat16
TINY = ["--batch-size", "2", "--image-size", "96", "--steps", "1", "--rounds", "1"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["agreement", "training", "detection"])
def test_the_gpu_benchmark_runs_on_any_device(name):
    [row] = bench_gpu.MEASUREMENTS[name](CPU, bench_gpu.parse_arguments(TINY))
    if name == "agreement":
        assert row.met
        assert row.details["anchors"] == 0
    else:
        assert min(row.details["pictures_per_second"]["torchvision"]) > 0


# ---------------------------------------------------------------- the speedrun


@pytest.fixture
def few_trials(tmp_path, monkeypatch):
    """A ladder of two rungs, a reef of four pictures, and what one asks of the speedrun."""
    lower = speedrun.Rung("lower", {"batch_size": 2, "precision": "float32"}, {"last_kernel": 3})
    upper = speedrun.Rung("upper", {"box_weight": 8.0}, {"last_kernel": 1})
    monkeypatch.setattr(speedrun, "LADDER", (lower, upper))
    monkeypatch.setattr(speedrun, "training_pictures", lambda: Reef(seed=1, length=4))
    monkeypatch.setattr(speedrun, "DEV_PICTURES", 3)
    asked = ["--dev", "--seconds", "0.2", "--seeds", "0", "5", "--out", str(tmp_path)]
    return speedrun.parse_arguments(asked)


def test_a_rung_keeps_the_changes_below_it(few_trials):
    (lower, plain), (upper, changed) = speedrun.recipe("lower"), speedrun.recipe("upper")
    assert (plain.last_kernel, changed.last_kernel) == (3, 1)
    assert (lower.batch_size, lower.box_weight) == (2, TrainConfig().box_weight)
    assert (upper.batch_size, upper.box_weight) == (2, 8.0)
    with pytest.raises(ValueError, match="no rung 'none'"):
        speedrun.recipe("none")


def test_the_ladder_leads_from_the_recipe_of_version_0_2_0_to_the_default():
    training, detector = speedrun.recipe(speedrun.LADDER[0].name)
    for settings, before in ((training, OF_BEFORE["training"]), (detector, OF_BEFORE["detector"])):
        assert {name: getattr(settings, name) for name in before} == before
    assert training.zoom == 1.0
    default = TrainConfig(), named_config("course", len(CLASS_NAMES))
    assert speedrun.recipe(speedrun.LADDER[-1].name) == default


def test_a_speedrun_trains_what_is_not_on_record_yet(few_trials, monkeypatch, capsys):
    todo = list(speedrun.trials_to_run(few_trials))
    assert todo == [(rung, 0.2, seed) for seed in (0, 5) for rung in ("lower", "upper")]
    done = speedrun.run_trial(*todo[0], dev=True)
    assert done["steps"] > 0
    assert 0 <= done["AP"] <= 1
    speedrun.append_line(few_trials.out / speedrun.TRIALS, speedrun.to_json(done))
    assert list(speedrun.trials_to_run(few_trials)) == todo[1:]
    few_trials.dev = False  # other pictures: nothing of it counts
    assert list(speedrun.trials_to_run(few_trials)) == todo
    few_trials.dev = True
    other = speedrun.Rung("lower", {"batch_size": 3, "precision": "float32"})
    monkeypatch.setattr(speedrun, "LADDER", (other, speedrun.LADDER[1]))  # another recipe, as well
    assert list(speedrun.trials_to_run(few_trials)) == todo


def test_a_speedrun_writes_down_each_trial_and_prints_the_table(few_trials, monkeypatch, capsys):
    few_trials.out = few_trials.out / "new" / "folder"
    monkeypatch.setattr(speedrun, "parse_arguments", lambda: few_trials)
    speedrun.main()
    printed = capsys.readouterr().out
    assert printed.count("seed 5: AP 0.") == 2
    assert "| upper | 0." in printed
    assert len(speedrun.finished(few_trials)) == 4
    speedrun.main()  # all is on record
    assert "seed" not in capsys.readouterr().out


def test_what_is_trained_goes_into_the_record_once(monkeypatch, tmp_path):
    record = tmp_path / "record.jsonl"
    record.write_text('{"rung": "of another day"}\n')
    monkeypatch.setattr(speedrun, "RECORD", record)
    for _ in range(2):
        speedrun.add_to_record([{"rung": "lower", "seed": seed} for seed in (0, 5)])
    assert [json.loads(line)["rung"] for line in record.read_text().splitlines()] == [
        *("of another day", "lower", "lower")
    ]


def test_what_is_only_for_choosing_does_not_go_into_the_record(capsys):
    with pytest.raises(SystemExit):
        speedrun.parse_arguments(["--dev", "--record"])
    assert "--dev is for choosing" in capsys.readouterr().err


def test_a_short_speedrun_is_one_seed_and_two_minutes():
    short = speedrun.parse_arguments(["--short"])
    assert (short.seconds, short.seeds) == ([120.0], [0])
    assert short.rungs == list(range(len(speedrun.LADDER)))


# ---------------------------------------------------------------- data


def test_a_process_of_its_own_times_an_audit(tmp_path):
    data = bench_data.write_boards(tmp_path / "boards", 5)  # the last is a copy of the first
    numbers = bench_data.timed(bench_data.ROOT, str(data))
    assert set(numbers) == {"check", "audit", "peak_mb", "findings"}
    assert numbers["findings"] >= 1
    assert min(numbers.values()) > 0


def test_both_commits_take_turns_and_the_first_round_does_not_count(monkeypatch):
    asked = []

    def timed(tree, data):
        asked.append(tree)
        return {"audit": len(asked)}

    monkeypatch.setattr(bench_data, "timed", timed)
    runs = bench_data.in_turn(bench_data.Trees(Path("ours"), Path("older")), "a set", rounds=2)
    assert asked == [Path("ours"), Path("older")] * 3
    assert bench_data.column(runs["ours"], "audit") == [3, 5]


def test_large_jpegs_are_put_together_from_tiles_and_every_second_may_be_a_copy(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(bench_data, "COPIES", 2)
    for name, value in {"WIDTH": 96, "HEIGHT": 64, "TILE": 32}.items():
        monkeypatch.setattr(bench_data, name, value)
    folder = bench_data.write_large(tmp_path, 4) / "images"
    pixels = []
    for row in range(4):
        with Image.open(folder / f"large_{row:05}.jpg") as picture:
            assert picture.size == (96, 64)
            pixels.append(picture.convert("RGB").tobytes())
    assert pixels[0] == pixels[1] != pixels[2] == pixels[3]
    assert len({path.read_bytes() for path in folder.iterdir()}) == 4


def test_a_jpeg_that_is_cut_and_joined_again_shows_the_same(tmp_path, monkeypatch):
    for name, value in {"WIDTH": 96, "HEIGHT": 64, "TILE": 32}.items():
        monkeypatch.setattr(bench_data, name, value)
    whole = bench_data.draw_large(3)
    (tmp_path / "whole.jpg").write_bytes(whole)
    head, tiles = bench_data.cut_jpeg(whole)
    (tmp_path / "joined.jpg").write_bytes(bench_data.join_jpeg(head, b"", tiles))
    before, after = (Image.open(tmp_path / f"{name}.jpg") for name in ("whole", "joined"))
    assert before.tobytes() == after.tobytes()


# ---------------------------------------------------------------- the recipe from the data

SMALL = DrawnSet((5, 2, 2), (60, 90), 2, (1, 3), (0.2, 0.4))


@pytest.fixture
def one_set(monkeypatch, tmp_path):
    """One small set, one rival and the course's detector."""
    monkeypatch.setattr(recipe, "KINDS", {"small": SMALL})
    monkeypatch.setattr(recipe, "GRID", [{"longest_side": 64, "crop": 0, "body_rate": 1.0}])
    monkeypatch.setattr(recipe, "CONFIG", "course")
    words = ["--seconds", "0.1", "--seeds", "0", "1", "--out", str(tmp_path)]
    return recipe.parse_arguments(words)


def test_the_recipe_and_its_rivals_are_trained_once(one_set, monkeypatch, capsys):
    assert len(list(recipe.trials_to_run(one_set))) == 2 * 2
    monkeypatch.setattr(recipe, "parse_arguments", lambda: one_set)
    recipe.main()
    trials = recipe.finished(one_set)
    assert [trial["longest_side"] for trial in trials] == [256, 256, 64, 64]
    assert all(trial["steps"] >= 1 for trial in trials)
    assert "| small | " in capsys.readouterr().out
    assert list(recipe.trials_to_run(one_set)) == []
    one_set.seconds = 0.2
    assert len(list(recipe.trials_to_run(one_set))) == 4


def test_the_recipe_is_held_against_the_best_median_of_the_grid():
    def trial(given, ap):
        return {"kind": "tall", "given": given, "AP": ap}

    first, second = {"longest_side": 256}, {"longest_side": 640}
    trials = [trial({}, 0.5), trial({}, 0.4), trial({}, 0.45)]
    trials += [trial(first, ap) for ap in (0.9, 0.1, 0.2)]
    trials += [trial(second, ap) for ap in (0.48, 0.46, 0.3)]
    row = recipe.table(trials).splitlines()[-1]
    assert row == (
        '| tall | 0.450 (0.400–0.500) | 0.460 (0.300–0.480) | `{"longest_side": 640}` | 0.010 |'
    )
    assert recipe.table(trials + [trial(second, 0.9)] * 3).endswith("missed |")


# ---------------------------------------------------------------- drawn sets


@pytest.mark.parametrize("name", list(KINDS))
def test_drawn_sets_are_of_their_kind(tmp_path, name):
    kind = replace(KINDS[name], splits=(3, 1, 1))
    folder = write_drawn_set(tmp_path / "set", kind, seed=1)
    dataset = load_dataset(folder, "train")
    assert len(dataset) == 3
    images = [image for image, _ in dataset]
    assert {tuple(image.shape[1:]) for image in images} == {kind.size}
    for record in dataset.records:
        assert 1 <= len(record.boxes) <= kind.objects[1]
        sides = (record.boxes[:, 2:] - record.boxes[:, :2]).amax(dim=1) / max(kind.size)
        assert sides.max() <= kind.object_size[1] * 1.2
    other = write_drawn_set(tmp_path / "other", kind, seed=2)
    assert not torch.equal(images[0], load_dataset(other, "train")[0][0])
    again = write_drawn_set(tmp_path / "again", kind, seed=1)
    assert torch.equal(images[0], load_dataset(again, "train")[0][0])
