"""What is remembered is whole or said to be lost, and never stops a lesson."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from detlab.course import progress
from detlab.course.progress import progress_file, read_progress, remember, today
from detlab.locks import locked

NOTHING = {"commits": {}, "exercises": {}, "lessons": {}}


def test_nothing_is_remembered_at_first():
    assert read_progress() == NOTHING
    assert not progress_file().exists()


def test_what_is_remembered_comes_back():
    remember("commits", "02-half", "1/3")
    remember("lessons", "02", today())
    assert read_progress() == {**NOTHING, "commits": {"02-half": "1/3"}, "lessons": {"02": today()}}


def test_the_last_word_counts():
    remember("commits", "a", "1")
    remember("commits", "a", "2")
    assert read_progress()["commits"] == {"a": "2"}


def test_without_the_variable_the_users_data_folder_holds_it(monkeypatch):
    monkeypatch.delenv("DETLAB_PROGRESS")
    path = progress_file()
    assert path.name == "progress.json"
    assert path.parent.name == "detlab"
    assert Path(__file__).parents[2] not in path.parents


KERNEL = """
import sys
from detlab.course.progress import remember
for number in range(100):
    remember("commits", f"{sys.argv[1]}-{number}", "yes")
"""


def test_two_kernels_that_write_at_once_lose_nothing(progress_path):
    kernels = [subprocess.Popen([sys.executable, "-c", KERNEL, name]) for name in ("a", "b")]
    try:
        assert [kernel.wait(timeout=120) for kernel in kernels] == [0, 0]
    finally:
        for kernel in kernels:
            kernel.kill()
    wanted = {f"{name}-{number}" for name in ("a", "b") for number in range(100)}
    assert set(read_progress()["commits"]) == wanted
    assert sorted(os.listdir(progress_path.parent)) == ["progress.json", "progress.json.lock"]


def test_what_another_kernel_holds_counts_while_this_one_lives(progress_path, monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    with locked(progress.lock_file(progress_path)):
        with pytest.warns(UserWarning, match="cannot be written .held by process .*: a counts"):
            remember("commits", "a", "b")
        assert read_progress()["commits"] == {"a": "b"}
    remember("commits", "c", "d")
    assert json.loads(progress_path.read_text())["commits"] == {"a": "b", "c": "d"}


def test_a_damaged_file_that_another_kernel_has_replaced_is_not_set_aside(
    progress_path, monkeypatch
):
    progress_path.parent.mkdir()
    progress_path.write_text("{")
    whole = {**NOTHING, "commits": {"a": "b"}}

    @contextmanager
    def wait(path, patience):
        progress_path.write_text(json.dumps(whole))  # by the one who was waited for
        yield

    monkeypatch.setattr(progress, "locked", wait)
    assert read_progress() == whole
    assert list(progress_path.parent.glob("*.damaged-*.json")) == []


@pytest.mark.parametrize(
    "text", ["{", "", "[1, 2]", "[" * 100_000, '{"commits": [1]}', '"words"', "\x00\xff"]
)
def test_a_damaged_file_is_kept_aside_and_said(progress_path, text):
    progress_path.parent.mkdir()
    progress_path.write_text(text)
    with pytest.warns(UserWarning, match="is damaged: kept as progress.damaged-"):
        assert read_progress() == NOTHING
    (kept,) = progress_path.parent.glob("*.damaged-*.json")
    assert kept.read_text() == text
    remember("lessons", "01", today())
    assert read_progress()["lessons"] == {"01": today()}


def test_what_is_unknown_in_the_file_stays_out(progress_path):
    progress_path.parent.mkdir()
    progress_path.write_text(json.dumps({"commits": {"a": "b"}, "future": {"c": 1}}))
    assert read_progress() == {**NOTHING, "commits": {"a": "b"}}


def test_what_a_later_version_wrote_stays_in_the_file(progress_path):
    progress_path.parent.mkdir()
    progress_path.write_text(json.dumps({"commits": {"a": "b"}, "future": {"c": 1}}))
    remember("commits", "d", "e")
    kept = json.loads(progress_path.read_text())
    assert kept == {**NOTHING, "commits": {"a": "b", "d": "e"}, "future": {"c": 1}}


def test_a_file_that_cannot_be_read_is_not_written_over(progress_path, monkeypatch):
    remember("commits", "a", "b")
    before = progress_path.read_bytes()
    read_text = Path.read_text

    def locked(path, **options):
        if path == progress_path:
            raise PermissionError(13, "Permission denied")
        return read_text(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", locked)
        with pytest.warns(UserWarning, match="c counts while the kernel lives"):
            remember("commits", "c", "d")
    assert progress_path.read_bytes() == before
    remember("commits", "e", "f")  # writes what has waited, too
    assert json.loads(progress_path.read_text())["commits"] == {"a": "b", "c": "d", "e": "f"}


def test_the_last_word_counts_after_one_that_could_not_be_written(progress_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(progress, "write_atomically", full)
        with pytest.warns(UserWarning, match="No space left"):
            remember("commits", "a", "old")
    remember("commits", "a", "new")
    assert read_progress()["commits"] == {"a": "new"}
    assert not any(progress.UNSAVED.values())


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission_to_write_is_said(progress_path):
    progress_path.parent.mkdir()
    progress_path.parent.chmod(0o500)
    with pytest.warns(UserWarning, match="cannot be written"):
        remember("commits", "a", "b")
    assert read_progress()["commits"] == {"a": "b"}


def test_a_place_that_cannot_hold_a_file_is_said_and_the_kernel_remembers(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DETLAB_PROGRESS", str(tmp_path / "file" / "progress.json"))
    with pytest.warns(UserWarning, match="a counts while the kernel lives"):
        remember("commits", "a", "b")
    with pytest.warns(UserWarning, match="cannot be read"):
        assert read_progress()["commits"] == {"a": "b"}
