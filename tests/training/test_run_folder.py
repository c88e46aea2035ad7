"""Settings, numbers and going on; test_run.py has whole runs, interrupted at every place."""

import json
import os
from dataclasses import asdict, replace

import pytest

from detlab.detector.config import named_config
from detlab.detector.model import build_detector
from detlab.training import run_folder
from detlab.training.config import TrainConfig
from detlab.training.loop import start_run
from detlab.training.run_folder import (
    LOCK,
    METRICS,
    RESUME,
    SETTINGS,
    RunError,
    RunSettings,
    check_folder_is_free,
    damaged_lines,
    differences,
    forget_after,
    hold_folder,
    open_run,
    read_settings,
    recorded,
    save,
    saved_run,
    saved_step,
)


def step(number):
    losses = {"loss_class": 0.5, "loss_box": 0.1, "loss_total": 1.0}
    return {"step": number, "seconds": number / 2, "progress": number / 8, **losses}


def lines(*rows):
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


DAMAGES = [
    b'{"step": 2, "seco',
    b'{"step": 2, "seconds": 1.0}',
    json.dumps(step(2)).replace("loss_box", "loss_bax").encode(),
    json.dumps({**step(2), "step": "2"}).encode(),
    json.dumps({**step(2), "seconds": None}).encode(),
    json.dumps({**step(2), "loss_total": "much"}).encode(),
    json.dumps({**step(2), "progress": float("nan")}).encode(),
    json.dumps({**step(2), "more": [1]}).encode(),
    b"",
    b"3",
    b"null",
    b"[1, 2]",
    b'"step"',
    b"\0" * 40,
    b'{"step": 2, "\xff": 1}',
    b"[" * 100_000,
    b"1" * 5000,
]


@pytest.mark.parametrize("damaged", DAMAGES, ids=lambda line: repr(line[:30]))
def test_damaged_lines_are_counted_and_dropped_and_the_others_stay(tmp_path, damaged):
    content = lines(step(1)) + damaged + b"\n" + lines(step(2)) + damaged + b"\n" + lines(step(3))
    (tmp_path / METRICS).write_bytes(content)
    assert damaged_lines(tmp_path) == [2, 4]
    assert recorded(tmp_path) == [step(1), step(2), step(3)]
    forget_after(tmp_path, 2)
    assert (tmp_path / METRICS).read_bytes() == lines(step(1), step(2))
    assert damaged_lines(tmp_path) == []


def test_an_evaluation_without_large_objects_is_whole(tmp_path):
    row = {"step": 2, "seconds": 1.0, "AP": 0.5, "AP_large": None}
    (tmp_path / METRICS).write_bytes(lines(row))
    assert recorded(tmp_path) == [row]


@pytest.mark.parametrize(
    "text", ["{", "", "[1, 2]", "null", "{}", '{"detector": 3}', "[" * 100_000, "\0\0", "\xff"]
)
def test_damaged_settings_are_told(tmp_path, text):
    (tmp_path / SETTINGS).write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=r"settings\.json: damaged .*; start a new run"):
        read_settings(tmp_path)


def test_settings_of_before_called_the_longest_side_image_size(tmp_path):
    (tmp_path / SETTINGS).write_text('{"detector": {"image_size": 96}, "data": "pets"}')
    found = read_settings(tmp_path)
    assert found["detector"] == {"longest_side": 96, "last_kernel": 3}
    assert found["data"] == "pets"


@pytest.mark.parametrize(("data", "zoom"), [("reef", 1.0), ("pets", None)])
def test_a_run_begun_before_muon_goes_on_as_it_began(tmp_path, data, zoom):
    """Its settings do not name what there was not; by now a default may be another."""
    config, settings = named_config("course", 3), TrainConfig()
    later = {"optimizer", "schedule", "muon_rate", "quality", "zoom"}
    training = {name: value for name, value in asdict(settings).items() if name not in later}
    detector = {name: value for name, value in asdict(config).items() if name != "last_kernel"}
    said = {"data": data, "detector": detector, "training": training}
    (tmp_path / SETTINGS).write_text(json.dumps(said))
    began = {"optimizer": "adamw", "schedule": "cosine", "muon_rate": 0.02, "quality": 0.0}
    now = asdict(replace(settings, **began, zoom=zoom)), asdict(replace(config, last_kernel=3))
    found = read_settings(tmp_path)
    assert differences(found, {**found, "training": now[0], "detector": json_of(now[1])}) == ""


def json_of(settings):
    """As a file gives it back: tuples are lists there."""
    return json.loads(json.dumps(settings))


def test_the_saved_step_is_that_of_the_file(tmp_path):
    config = named_config("course", 3)
    assert saved_step(tmp_path) is None
    started = start_run(build_detector(config), TrainConfig())
    started.step = 7
    save(started, tmp_path)
    assert saved_step(tmp_path) == 7
    path = tmp_path / RESUME
    path.write_bytes(path.read_bytes()[:-1])
    assert saved_step(tmp_path) is None


def test_a_saved_run_that_cannot_be_read_says_what_to_do(tmp_path):
    config = TrainConfig()
    detector = build_detector(named_config("course", 3))
    save(start_run(detector, config), tmp_path)
    path = tmp_path / RESUME
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RunError, match=r"not a whole safetensors file") as seen:
        saved_run(path, detector, config)
    advice = "delete resume.safetensors there, and --resume begins the run anew"
    assert str(seen.value).split("\n")[-1] == advice


def test_a_folder_is_held_by_one_training(tmp_path):
    folder = tmp_path / "run"
    check_folder_is_free(folder)
    assert not folder.exists()
    with hold_folder(folder):
        said = (folder / LOCK).read_text()
        for attempt in (check_folder_is_free, lambda folder: hold_folder(folder).__enter__()):
            with pytest.raises(RunError) as seen:
                attempt(folder)
            first, second = str(seen.value).split("\n")
            assert first == f"{folder}: another training writes there;"
            assert second == f"run.lock is held by {said}. Let it end, or choose another --out DIR"
    check_folder_is_free(folder)


def test_of_several_processes_the_first_holds_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder, "process_rank", lambda: 1)
    with hold_folder(tmp_path / "run"), hold_folder(tmp_path / "run"):
        assert not (tmp_path / "run").exists()


def test_lines_after_the_save_are_forgotten(tmp_path):
    rows = [step(1), step(2), {"step": 2, "seconds": 1.0, "AP": None}, step(3)]
    (tmp_path / METRICS).write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"st')
    assert recorded(tmp_path) == rows
    forget_after(tmp_path, 2)
    assert recorded(tmp_path) == rows[:3]


def test_new_and_missing_settings_are_differences():
    assert differences({"a": 1}, {"b": [2]}) == "a was 1 and is None, b was None and is [2]"
    assert differences({"a": {"b": 1}}, {"a": {"b": 1}}) == ""


def test_opening_writes_only_the_settings(tmp_path):
    config = named_config("course", 3)
    settings = RunSettings("pets", config, TrainConfig(epochs=1.0), ("background", "cat", "dog"), 2)
    started = open_run(tmp_path / "run", build_detector(config), settings, resume=False)
    assert started.step == 0
    assert os.listdir(tmp_path / "run") == [SETTINGS]
