"""A run writes its whole folder, and goes on after any interruption as if nothing had been."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from detlab.data.records import DataError
from detlab.data.transforms import Augmented
from detlab.detector.checkpoint import load_checkpoint, read_tensors
from detlab.detector.config import named_config
from detlab.detector.model import build_detector
from detlab.reef.scene import TRAIN_SEED, Reef
from detlab.signals import STOPPING
from detlab.training import run, run_folder
from detlab.training.config import TrainConfig, TrainOptions
from detlab.training.loop import start_run
from detlab.training.run import (
    Interrupted,
    augmentation,
    check_batch,
    evaluations_due,
    load_split,
    load_splits,
    prepare,
    train_run,
)
from detlab.training.run_folder import RunError, RunSettings, recorded
from tests.sample_folders import SCENES, coco_content, coco_folder, write_picture, yolo_folder

CPU = torch.device("cpu")
SHORT = TrainConfig(epochs=10.0, batch_size=2, precision="float32", workers=0)
STEPS = 10  # two of the three pictures are trained on


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three pictures, the one for val with objects in it."""
    scenes = {"a": SCENES["a"], "b": SCENES["b"], "c": []}
    return coco_folder(tmp_path_factory.mktemp("data"), "train", coco_content(scenes), scenes)


def go(folder, out, training=SHORT, **options):
    return train_run(str(folder), "course", training, CPU, out, **options)


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    """A run that nothing disturbed, and what it returned."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    return out, go(folder, out)


def at_step(monkeypatch, step, act):
    """Do something right after the numbers of a step are written down."""
    append_line = run.append_line

    def append_and_act(path, line):
        append_line(path, line)
        if json.loads(line)["step"] == step:
            act()

    monkeypatch.setattr(run, "append_line", append_and_act)


def press_ctrl_c():
    signal.raise_signal(signal.SIGINT)


def assert_same_run(one: Path, other: Path):
    """Every weight is equal to the last bit, and so is every number but the times."""
    ours, theirs = (read_tensors(out / run_folder.CHECKPOINT)[0] for out in (one, other))
    assert_close(ours, theirs, rtol=0, atol=0)
    timed = {"seconds", "images_per_second"}
    ours, theirs = (
        [{key: row[key] for key in row.keys() - timed} for row in recorded(out)]
        for out in (one, other)
    )
    assert ours == theirs


# ---------------------------------------------------------------- the folder of a run


def test_the_folder_holds_what_the_module_says(whole):
    out, _ = whole
    said = {line.split()[0] for line in run_folder.__doc__.splitlines() if line.startswith("    ")}
    assert set(os.listdir(out)) == said
    for name in (run_folder.CURVES, run_folder.PREDICTIONS):
        with Image.open(out / name) as picture:
            assert min(picture.size) > 200


def test_each_step_has_a_line_and_so_has_each_evaluation(whole):
    rows = recorded(whole[0])
    steps = [row["step"] for row in rows if "loss_total" in row]
    assert steps == list(range(1, STEPS + 1))
    evaluated = [row["step"] for row in rows if "AP" in row]
    assert evaluated == [
        4,
        6,
        9,
        10,
    ]  # the first steps that begin beyond 1/4, 1/2, 3/4; and the end


def test_numbers_are_json_without_nan(whole):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    lines = (whole[0] / run_folder.METRICS).read_text().splitlines()
    rows = [json.loads(line, parse_constant=refuse) for line in lines]
    evaluated = [row for row in rows if "AP" in row]
    assert all(row["AP_large"] is None for row in evaluated)  # there is no large object
    json.loads((whole[0] / run_folder.SETTINGS).read_text(), parse_constant=refuse)


def test_the_settings_repeat_the_run(whole, folder, tmp_path):
    said = run_folder.read_settings(whole[0])
    again = TrainConfig(**said["training"])
    assert (again, said["data"], said["pictures"], said["processes"]) == (SHORT, str(folder), 2, 1)
    assert said["machine"]["torch"] == torch.__version__
    go(said["data"], tmp_path / "again", again, skip_bad=said["skip_bad"])
    assert_same_run(tmp_path / "again", whole[0])


def test_the_checkpoint_is_the_evaluated_detector_and_says_how_it_did(whole):
    out, metrics = whole
    detector, info = load_checkpoint(out / run_folder.CHECKPOINT)
    assert info.class_names == ("background", "cat", "dog")
    assert info.notes["metrics"]["AP"] == metrics.coco["AP"] == recorded(out)[-1]["AP"]
    assert info.notes["settings"]["training"]["epochs"] == SHORT.epochs
    assert not detector.training


def test_a_run_is_evaluated_on_pictures_of_their_own_size(folder, tmp_path, monkeypatch):
    sizes = set()

    def evaluate(detector, dataset, longest_side, class_names):
        sizes.add((tuple(dataset[0][0].shape[1:]), longest_side))
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "evaluate", evaluate)
    with pytest.raises(KeyboardInterrupt):
        go(folder, tmp_path / "run")
    assert sizes == {((40, 60), 128)}


def test_photographs_get_anchors_of_their_own_and_the_reef_keeps_the_ladder(tmp_path):
    boxes = [[4.0 + row, 5.0, 24.0 + row + row % 3, 15.0] for row in range(20)]
    scenes = {name: [("cat", *box) for box in boxes] for name in "ab"}
    out = tmp_path / "run"
    go(coco_folder(tmp_path / "data", "train", coco_content(scenes), scenes), out)
    _, info = load_checkpoint(out / run_folder.CHECKPOINT)
    wide = torch.tensor(info.config.aspect_ratios)
    assert wide.max() < 0.6  # every box is about twice as wide as high
    smallest, largest = info.config.anchor_sizes[0][0], info.config.anchor_sizes[-1][-1]
    assert 0.8 < smallest / (200**0.5 * 128 / 60) <= largest / (200**0.5 * 128 / 60) < 1.2


# ---------------------------------------------------------------- interruptions


@pytest.mark.parametrize(
    ("step", "number"), [(1, signal.SIGINT), (5, signal.SIGTERM), (STEPS, STOPPING[-1])]
)
def test_a_run_stopped_by_a_signal_goes_on_to_the_same_bits(
    whole, folder, tmp_path, monkeypatch, step, number
):
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        at_step(patch, step, lambda: signal.raise_signal(number))
        says = f"stopped at step {step}, all saved in .*run"
        with pytest.raises(Interrupted, match=says) as seen:
            go(folder, out)
    assert seen.value.number == number
    assert run_folder.saved_step(out) == step
    assert not (out / run_folder.CHECKPOINT).exists()
    go(folder, out, resume=True)
    assert_same_run(out, whole[0])


KILLED = """
import os, sys, torch
from pathlib import Path
from detlab.training import run
from detlab.training.config import TrainConfig

append_line = run.append_line
def append_and_die(path, line):
    append_line(path, line)
    if f'"step": {sys.argv[4]},' in line:
        os.kill(os.getpid(), 9)
run.append_line = append_and_die
run.SAVE_EVERY = float(sys.argv[3])
torch.set_num_threads(1)
training = TrainConfig(epochs=10.0, batch_size=2, precision="float32", workers=0)
run.train_run(sys.argv[1], "course", training, torch.device("cpu"), Path(sys.argv[2]))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize(("save_every", "step", "saved"), [(0, 7, 6), (999, 7, 6), (999, 3, None)])
def test_a_killed_run_goes_on_to_the_same_bits(whole, folder, tmp_path, save_every, step, saved):
    out = tmp_path / "run"
    words = [sys.executable, "-c", KILLED, str(folder), str(out), str(save_every), str(step)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert run_folder.saved_step(out) == saved  # 4 and 6 are saved before they are evaluated
    assert recorded(out)[-1]["step"] == step
    with (out / run_folder.METRICS).open("a") as file:
        file.write('{"step": 8, "sec')  # a power cut may tear the last line
    go(folder, out, resume=True)
    assert_same_run(out, whole[0])


def test_a_power_cut_costs_no_more_than_forty_seconds_of_training(tmp_path, monkeypatch):
    """Saved after the first step that is more than half a minute away from the last save."""
    config, training, saves = named_config("course", 8), TrainConfig(), []
    state = start_run(build_detector(config), training)

    def steps_of_ten_seconds(*_):
        for step in range(1, 10):
            state.seconds = 10.0 * step
            yield {"step": step, "progress": 0.0, "images_per_second": 1.0} | dict.fromkeys(
                ("loss_total", "loss_class", "loss_box"), 0.0
            )

    def save(state, _):
        saves.append(state.seconds)
        return state.seconds

    monkeypatch.setattr(run, "fit", steps_of_ten_seconds)
    monkeypatch.setattr(run, "save", save)
    train_set = Augmented(Reef(1, 9), augmentation("reef", training))  # none of it is drawn
    settings = RunSettings("reef", config, training, Reef.class_names, 9)
    run.learn(state, train_set, None, settings, tmp_path)
    assert saves == [40.0, 80.0, 90.0]


@pytest.fixture
def interruptible():
    """Ctrl-C as Python starts with it: a shell switches it off for what runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("step", [4, 9])
def test_a_signal_in_an_evaluation_ends_it_and_a_resumed_run_makes_up_for_it(
    whole, folder, tmp_path, monkeypatch, step
):
    out, evaluate = tmp_path / "run", run.evaluate

    def stop(*arguments):
        if recorded(out)[-1]["step"] == step:
            signal.raise_signal(signal.SIGTERM)
        return evaluate(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(run, "evaluate", stop)
        with pytest.raises(Interrupted, match=f"stopped at step {step}, all saved") as seen:
            go(folder, out)
    assert seen.value.number == signal.SIGTERM
    assert "AP" not in recorded(out)[-1]
    go(folder, out, resume=True)
    assert_same_run(out, whole[0])


def test_a_run_that_goes_on_drops_damaged_lines_and_says_which(
    whole, folder, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        at_step(patch, 5, press_ctrl_c)
        with pytest.raises(Interrupted):
            go(folder, out)
    path = out / run_folder.METRICS
    lines = path.read_bytes().split(b"\n")
    lines[1:3] = [lines[1][:30], b"\0" * 80]
    path.write_bytes(b"\n".join(lines))
    capsys.readouterr()
    go(folder, out, resume=True)
    assert f"{path}: dropped 2 damaged lines: 2, 3\n" in capsys.readouterr().err
    assert [row["step"] for row in recorded(out) if "AP" in row] == [4, 6, 9, 10]
    steps = [row["step"] for row in recorded(out) if "loss_total" in row]
    assert steps == [1, *range(4, STEPS + 1)]
    ours, theirs = (read_tensors(place / run_folder.CHECKPOINT)[0] for place in (out, whole[0]))
    assert_close(ours, theirs, rtol=0, atol=0)


def test_a_training_keeps_others_out_of_its_folder(folder, tmp_path, monkeypatch):
    refused = []

    def try_again():
        for resume in (False, True):
            with pytest.raises(RunError, match="run: another training writes there") as seen:
                go(folder, tmp_path / "run", resume=resume)
            refused.append(f"process {os.getpid()} on " in str(seen.value))

    at_step(monkeypatch, 3, try_again)
    go(folder, tmp_path / "run")
    assert refused == [True, True]
    assert len([row for row in recorded(tmp_path / "run") if "loss_total" in row]) == STEPS


def test_a_training_that_another_one_overtook_writes_nothing(folder, tmp_path, monkeypatch):
    out = tmp_path / "run"

    def overtake(*_):
        monkeypatch.undo()
        go(folder, out)

    monkeypatch.setattr(run, "look_at_all", overtake)
    with pytest.raises(RunError, match="holds a run already"):
        go(folder, out)
    assert len([row for row in recorded(out) if "loss_total" in row]) == STEPS


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_in_the_last_evaluation_loses_nothing(whole, folder, tmp_path, monkeypatch):
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(run, "save_checkpoint", lambda *_: press_ctrl_c())
        with pytest.raises(KeyboardInterrupt):
            go(folder, out)
    go(folder, out, resume=True)
    assert_same_run(out, whole[0])


@pytest.mark.usefixtures("interruptible")
def test_a_second_ctrl_c_ends_at_once(folder, tmp_path, monkeypatch):
    at_step(monkeypatch, 3, lambda: (press_ctrl_c(), press_ctrl_c()))
    with pytest.raises(KeyboardInterrupt) as seen:
        go(folder, tmp_path / "run")
    assert not isinstance(seen.value, Interrupted)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_going_on_with_a_finished_run_changes_no_number(whole, folder, tmp_path):
    go(folder, tmp_path / "run")
    go(folder, tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "run", whole[0])


# ---------------------------------------------------------------- refusals


def test_a_run_is_not_overwritten(whole, folder):
    before = (whole[0] / run_folder.METRICS).read_bytes()
    with pytest.raises(RunError, match=r"holds a run already\n--resume goes on with it"):
        go(folder, whole[0])
    assert (whole[0] / run_folder.METRICS).read_bytes() == before


def test_only_a_run_that_was_begun_can_go_on(folder, tmp_path):
    with pytest.raises(RunError, match="no run to go on with"):
        go(folder, tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()


def test_going_on_wants_the_same_settings(whole, folder):
    other = TrainConfig(epochs=10.0, batch_size=1, precision="float32", workers=0)
    with pytest.raises(RunError, match=r"but batch_size was 2 and is 1$"):
        go(folder, whole[0], other, resume=True)


def test_damaged_settings_are_named(whole, folder, tmp_path):
    (tmp_path / run_folder.SETTINGS).write_text("{")
    with pytest.raises(RunError, match=r"settings\.json: damaged"):
        go(folder, tmp_path, resume=True)


@pytest.mark.parametrize("stem", ["a", "b"])
def test_a_truncated_picture_stops_before_anything_is_written(tmp_path, stem):
    folder = coco_folder(tmp_path / "data")
    path = folder / "images" / f"{stem}.png"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=rf"{stem}\.png: truncated"):
        go(folder, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_a_kill_left_half_written_is_removed(whole, tmp_path, folder, monkeypatch):
    out = tmp_path / "killed"
    at_step(monkeypatch, 3, press_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        go(folder, out)
    leftovers = [out / f".{name}.x7" for name in (run_folder.RESUME, run_folder.METRICS)]
    for path in (*leftovers, out / ".mine"):
        path.write_bytes(b"half")
    go(folder, out, resume=True)
    assert [path.exists() for path in leftovers] == [False, False]
    assert (out / ".mine").exists()
    assert_same_run(out, whole[0])


def test_annotations_that_name_no_class_train_nothing(tmp_path):
    folder = coco_folder(tmp_path / "data")
    for path in folder.glob("instances_*.json"):
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, "annotations": [], "categories": []}))
    with pytest.raises(DataError, match="data: its annotations name no class; want one or more"):
        go(folder, tmp_path / "run")
    assert not (tmp_path / "run").exists()


# ---------------------------------------------------------------- small parts


@pytest.mark.parametrize(
    ("data", "zoom", "scale", "light"),
    [
        ("reef", None, (1 / 1.1, 1.1), 0.0),
        ("reef", 2.0, (0.5, 2.0), 0.0),
        ("some/folder", None, (1 / 1.4, 1.4), None),
        ("some/folder", 1.0, (1.0, 1.0), None),
    ],
)
def test_the_reef_is_zoomed_a_little_and_folders_get_all(monkeypatch, data, zoom, scale, light):
    monkeypatch.setattr(run, "training_transforms", lambda **options: lambda: options)
    options = augmentation(data, TrainConfig(zoom=zoom))()
    assert options["scale"] == pytest.approx(scale)
    assert options.get("light") == light  # None: as much as the transforms give by themselves


def test_a_reef_without_zoom_is_only_mirrored():
    reef = Reef(1, 9)
    as_drawn, seen = reef[0][0], Augmented(reef, augmentation("reef", TrainConfig(zoom=1.0)))
    torch.manual_seed(0)
    views = [seen[0][0] for _ in range(20)]
    mirrored = [torch.equal(view, as_drawn.flip(2)) for view in views]
    untouched = [torch.equal(view, as_drawn) for view in views]
    assert set(zip(mirrored, untouched, strict=True)) == {(True, False), (False, True)}


@pytest.mark.parametrize("settings", [{"crop": 64}, {"vertical_flip": 0.5}])
def test_the_reef_is_neither_cropped_nor_turned_upside_down(settings):
    with pytest.raises(RunError, match="for photographs"):
        augmentation("reef", TrainConfig(**settings))


@pytest.mark.parametrize("data", ["reef", "some/folder"])
def test_pictures_are_mirrored_as_often_as_asked(monkeypatch, data):
    monkeypatch.setattr(run, "training_transforms", lambda **options: lambda: options)
    assert augmentation(data, TrainConfig())()["flip"] == 0.5
    assert augmentation(data, TrainConfig(horizontal_flip=0.0))()["flip"] == 0.0


def test_options_for_the_reef_are_completed_by_its_own_settings(capsys):
    train_set, _, settings = prepare("reef", "course", TrainOptions(batch_size=4))
    assert settings.training == TrainConfig(batch_size=4)
    assert (settings.detector.longest_side, train_set.config.image_size) == (128, (128, 128))
    assert capsys.readouterr().err == ""


def test_options_for_photographs_are_completed_by_the_recipe_which_says_why(folder, capsys):
    options = TrainOptions(epochs=1.0, horizontal_flip=0.0)
    train_set, _, settings = prepare(str(folder), "course", options)
    said = capsys.readouterr().err
    for name in ("longest-side", "crop", "positive-iou", "batch-size", "vertical-flip"):
        assert re.search(rf"^--{name} [0-9.]+ +\w", said, re.MULTILINE)
    assert "--horizontal-flip" not in said
    assert "--seconds" not in said
    assert settings.training == options.complete(
        batch_size=8, positive_iou=0.5, negative_iou=0.4, crop=0
    )
    assert max(train_set[0][0].shape) == settings.detector.longest_side == 256


def test_all_settings_are_taken_as_they_are(folder, capsys):
    _, _, settings = prepare(str(folder), "course", SHORT, longest_side=64)
    assert (settings.training, settings.detector.longest_side) == (SHORT, 64)
    assert capsys.readouterr().err == ""


def test_the_reef_is_drawn_at_the_longest_side_that_is_asked_for():
    train_set, _, settings = prepare("reef", "course", TrainOptions(), longest_side=96)
    assert train_set.config.image_size == (96, 96)
    assert settings.detector.longest_side == 96


def test_a_single_picture_a_step_is_enough_where_the_coarsest_map_has_two_cells():
    check_batch(64, TrainConfig(batch_size=1))
    check_batch(128, TrainConfig(batch_size=1, multiscale=2.0))
    with pytest.raises(RunError, match="below 64 pixels want --batch-size 2"):
        check_batch(63, TrainConfig(batch_size=1))


def test_photographs_can_be_cropped_and_turned_upside_down(monkeypatch):
    monkeypatch.setattr(run, "training_transforms", lambda **options: lambda: options)
    wanted = {"crop": 64, "vertical_flip": 0.5}
    options = augmentation("some/folder", TrainConfig(**wanted))()
    assert {name: options[name] for name in wanted} == wanted


def test_the_reef_draws_the_pictures_of_a_training():
    reef = load_split("reef", "train", skip_bad=False, longest_side=128)
    assert isinstance(reef, Reef)
    assert (reef.seed, len(reef)) == (TRAIN_SEED, run.REEF_PICTURES)


def test_faults_that_are_left_out_are_counted(tmp_path, capsys):
    content = coco_content()
    content["annotations"][0]["bbox"] = [5.0, 5.0, 0.0, 2.0]
    folder = coco_folder(tmp_path, "val", content)
    dataset = load_split(str(folder), "val", skip_bad=True)
    assert len(dataset.skipped) == 1
    said = capsys.readouterr().err
    assert "left out 1 faulty records" in said
    assert "instances_val.json" in said


@pytest.mark.parametrize(("progress", "due"), [(0.0, 0), (0.24, 0), (0.25, 1), (0.5, 2), (1.0, 4)])
def test_evaluations_are_due_at_each_quarter(progress, due):
    assert evaluations_due(progress) == due


def test_what_is_not_used_of_a_folder_is_told_once(tmp_path, capsys):
    folder = yolo_folder(yolo_folder(tmp_path, "train"), "val")
    write_picture(folder / "spare.png")
    load_splits(str(folder), skip_bad=False)
    said = capsys.readouterr().err
    assert said.count("spare.png") == 1
    assert "pictures have no label file" in said
