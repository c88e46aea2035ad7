"""Files are whole or not there, and an error of the disk names the file that was meant."""

import errno
import json
import math
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detlab import files
from detlab.files import append_line, finite, naming, to_json, whole_folder, write_atomically


def test_what_is_shipped_lies_beside_the_package_or_inside(tmp_path, monkeypatch):
    assert files.shipped_path("data/reef_val/instances_val.json").is_file()
    monkeypatch.setattr(files, "INSIDE", tmp_path)
    assert files.shipped_path("data/reef_val") == tmp_path / "data" / "reef_val"


def test_a_file_is_written_with_its_folders(tmp_path):
    path = tmp_path / "a" / "b" / "numbers.txt"
    write_atomically(path, b"1 2 3")
    assert path.read_bytes() == b"1 2 3"


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "numbers.txt"
    write_atomically(path, b"a long old content")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["numbers.txt"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_a_file_gets_the_rights_of_an_ordinary_one(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "numbers.txt", b"")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "numbers.txt").stat().st_mode) == 0o640


@pytest.mark.parametrize("name", ["fsync", "replace"])
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]
)
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(
    tmp_path, monkeypatch, name, error
):
    path = tmp_path / "numbers.txt"
    write_atomically(path, b"old")

    def fail(*_):
        raise error

    monkeypatch.setattr(os, name, fail)
    with pytest.raises(type(error)) as seen:
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["numbers.txt"]
    if isinstance(error, OSError):
        assert seen.value.filename == str(path)
        assert seen.value.strerror == "No space left on device"


def test_a_write_that_is_not_allowed_names_the_goal(tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError(errno.EACCES, "Permission denied", "/some/.temporary")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(PermissionError) as seen:
        write_atomically(tmp_path / "numbers.txt", b"")
    assert seen.value.filename == str(tmp_path / "numbers.txt")


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(FileExistsError) as seen:
        write_atomically(tmp_path / "run" / "numbers.txt", b"")
    assert seen.value.filename == str(tmp_path / "run")


def test_a_folder_appears_when_it_is_whole(tmp_path):
    goal = tmp_path / "deep" / "set"
    with whole_folder(goal) as folder:
        (folder / "a.txt").write_text("1")
        assert not goal.exists()
    assert os.listdir(tmp_path) == ["deep"]
    assert (goal / "a.txt").read_text() == "1"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_a_whole_folder_gets_the_rights_of_an_ordinary_one(tmp_path):
    before = os.umask(0o027)
    try:
        with whole_folder(tmp_path / "set"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "set").stat().st_mode) == 0o750


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "disk full"), KeyboardInterrupt()])
def test_a_folder_that_fails_half_way_is_not_there(tmp_path, error):
    def fill_half():
        with whole_folder(tmp_path / "set") as folder:
            (folder / "a.txt").write_text("1")
            raise error

    (tmp_path / "set").mkdir()
    with pytest.raises(type(error)) as seen:
        fill_half()
    assert os.listdir(tmp_path) == ["set"]
    assert os.listdir(tmp_path / "set") == []
    if isinstance(error, OSError):
        assert seen.value.filename == str(tmp_path / "set")


def test_a_folder_that_was_filled_meanwhile_is_kept(tmp_path):
    goal = tmp_path / "set"
    with pytest.raises(OSError, match="not empty") as seen, whole_folder(goal):
        write_atomically(goal / "mine.txt", b"")
    assert seen.value.filename == str(goal)
    assert os.listdir(tmp_path) == ["set"]
    assert os.listdir(goal) == ["mine.txt"]


def test_lines_follow_one_another(tmp_path):
    append_line(tmp_path / "log", "first – 1")
    append_line(tmp_path / "log", "second")
    assert (tmp_path / "log").read_text(encoding="utf-8") == "first – 1\nsecond\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
def test_a_line_on_a_full_disk_names_the_file():
    with pytest.raises(OSError, match="No space left") as seen:
        append_line(Path("/dev/full"), "too much")
    assert seen.value.filename == "/dev/full"


def test_an_error_without_words_of_its_own_keeps_its_text(tmp_path):
    with pytest.raises(OSError, match="odd") as seen, naming(tmp_path):
        raise OSError("odd")
    assert seen.value.filename == str(tmp_path)


NUMBERS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(NUMBERS)
def test_anything_becomes_json_that_strict_readers_take(value):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    assert json.loads(to_json(value), parse_constant=refuse) == finite(value)


def test_tuples_become_lists_and_nothing_finite_changes():
    assert finite({"a": (1.5, [math.nan, -math.inf], "NaN", True)}) == {
        "a": [1.5, [None, None], "NaN", True]
    }
