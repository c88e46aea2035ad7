"""One program at a time holds a file, whatever ends the program that held it."""

import os
import subprocess
import sys
import threading
import time
from errno import ENOLCK
from pathlib import Path

import pytest

from detlab import locks
from detlab.locks import AlreadyLocked, locked

HOLD = """
import sys, time
from pathlib import Path
from detlab.locks import locked
with locked(Path(sys.argv[1])):
    {inside}
    print("held", flush=True)
    time.sleep(60)
"""
FORK = """
    import os
    ready, there = os.pipe()
    if os.fork() == 0:
        os.write(there, b"!")
        time.sleep(60)
        os._exit(0)
    os.read(ready, 1)
"""


def hold(path, inside="pass"):
    """Another program that holds a file already."""
    words = [sys.executable, "-c", HOLD.format(inside=inside), str(path)]
    program = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert program.stdout.readline() == "held\n"
    return program


def end(program):
    program.kill()
    program.wait(timeout=30)
    program.stdout.close()


def test_a_file_is_held_and_says_by_whom_and_is_free_and_silent_after(tmp_path):
    path = tmp_path / "new" / "lock"
    with locked(path):
        said = path.read_text()
        with pytest.raises(AlreadyLocked) as seen, locked(path):
            pass
    assert seen.value.strerror == f"held by {said}"
    assert f"process {os.getpid()} on {locks.platform.node()} since 2" in said
    assert path.read_text() == ""
    with locked(path):
        pass


def test_a_block_that_fails_lets_go(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path / "lock"):
        raise KeyError
    assert (tmp_path / "lock").read_text() == ""
    assert not locks.HELD
    with locked(tmp_path / "lock"):
        pass


def test_another_program_is_kept_out_until_it_is_killed(tmp_path):
    path = tmp_path / "lock"
    program = hold(path)
    try:
        says = f"process {program.pid} on .* since .*: -c"
        with pytest.raises(AlreadyLocked, match=says), locked(path):
            pass
    finally:
        end(program)
    assert f"process {program.pid}" in path.read_text()  # the words stay, the lock does not
    with locked(path):
        assert f"process {os.getpid()}" in path.read_text()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_worker_that_was_forked_does_not_keep_the_lock(tmp_path):
    path = tmp_path / "lock"
    program = hold(path, inside=FORK)
    program.kill()  # its child lives on
    program.wait(timeout=30)
    try:
        with locked(path):
            pass
    finally:
        os.killpg(program.pid, 9)
        program.stdout.close()


def test_who_can_wait_gets_the_file_when_it_is_free(tmp_path):
    path, held, order = tmp_path / "lock", threading.Event(), []

    def first():
        with locked(path):
            held.set()
            time.sleep(0.2)
            order.append("first")

    other = threading.Thread(target=first)
    other.start()
    assert held.wait(timeout=30)
    with locked(path, wait=30.0):
        order.append("second")
    other.join(30)
    assert order == ["first", "second"]


def test_who_waits_gives_up_at_last(tmp_path):
    start = time.monotonic()
    with locked(tmp_path / "lock"), pytest.raises(AlreadyLocked), locked(tmp_path / "lock", 0.2):
        pass
    assert time.monotonic() - start >= 0.2


def test_a_disk_without_locks_gets_a_warning_and_the_work_goes_on(tmp_path, monkeypatch):
    def unknown(_):
        raise OSError(ENOLCK, "No locks available")

    monkeypatch.setattr(locks, "lock_now", unknown)
    done = False
    with pytest.warns(UserWarning, match="lock: this disk has no locks"), locked(tmp_path / "lock"):
        done = True
    assert done


def test_an_error_of_the_disk_is_no_lock(tmp_path, monkeypatch):
    def broken(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(locks, "lock_now", broken)
    with pytest.raises(OSError, match="Input/output error"), locked(tmp_path / "lock"):
        pass


def test_a_place_that_cannot_hold_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"), locked(tmp_path / "file" / "lock"):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
def test_a_full_disk_locks_without_words():
    descriptor = os.open("/dev/full", os.O_WRONLY)
    locks.write(descriptor, "who")
    os.close(descriptor)
