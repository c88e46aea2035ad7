"""Settings, numbers and going on; test_run.py has whole runs, interrupted at every place."""

import json
import os

from detlab.detector.model import build_detector, named_config
from detlab.training.loop import TrainConfig
from detlab.training.run_folder import (
    METRICS,
    SETTINGS,
    RunSettings,
    differences,
    forget_after,
    open_run,
    recorded,
)


def test_lines_after_the_save_are_forgotten(tmp_path):
    rows = [{"step": 1}, {"step": 2}, {"step": 2, "AP": None}, {"step": 3}]
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
