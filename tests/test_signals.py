"""Asked to stop: at once, or noted for later; never in a worker, never where it is ignored."""

import os
import signal
import threading

import pytest

from detlab.signals import STOPPING, Stopped, heard


@pytest.fixture(autouse=True)
def as_python_starts():
    """Signals as a program finds them that a shell starts in the foreground."""
    handlers = {number: signal.SIG_DFL for number in STOPPING}
    handlers[signal.SIGINT] = signal.default_int_handler
    before = {number: signal.signal(number, handlers[number]) for number in STOPPING}
    yield handlers
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_stops_the_block_and_says_its_name(number, as_python_starts):
    name = {signal.SIGINT: "Ctrl-C"}.get(number, signal.Signals(number).name)
    with pytest.raises(Stopped, match=f"^stopped by {name}$") as seen, heard():
        signal.raise_signal(number)
    assert seen.value.number == number
    assert signal.getsignal(number) == as_python_starts[number]


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_can_be_noted_and_the_next_one_stops(number):
    with heard(first_stops=False) as asked:
        assert asked.number == 0
        signal.raise_signal(number)
        assert asked.number == number
        with pytest.raises(Stopped) as seen:
            signal.raise_signal(signal.SIGTERM)
    assert seen.value.number == signal.SIGTERM


def test_where_signals_are_passed_on_the_next_one_stops_nothing_and_the_first_counts():
    with heard(first_stops=False, next_stops=False) as asked:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    assert asked.number == signal.SIGTERM


def test_where_nothing_can_be_lost_a_signal_stops_and_is_noted():
    with heard(first_stops=False, next_stops=False) as asked:
        with pytest.raises(Stopped), asked.nothing_to_lose():
            signal.raise_signal(signal.SIGTERM)
        assert asked.number == signal.SIGTERM
        signal.raise_signal(signal.SIGTERM)  # noted, as before


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
def test_what_is_ignored_stays_ignored_as_below_nohup_but_not_ctrl_c():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with heard(first_stops=False) as asked:
        signal.raise_signal(signal.SIGHUP)
        assert asked.number == 0
        signal.raise_signal(signal.SIGINT)
        assert asked.number == signal.SIGINT
    assert signal.getsignal(signal.SIGHUP) == signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_the_inner_block_hears_and_the_outer_one_hears_again_after_it():
    with heard() as outer:
        with heard(first_stops=False) as inner:
            signal.raise_signal(signal.SIGTERM)
        assert (inner.number, outer.number) == (signal.SIGTERM, 0)
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGTERM)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_worker_ends_as_if_there_were_no_block():
    with heard():
        child = os.fork()
        if child == 0:
            try:
                signal.alarm(30)
                signal.raise_signal(signal.SIGTERM)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGTERM


def test_another_thread_hears_nothing_and_does_its_work():
    done = []

    def work():
        with heard() as asked:
            done.append(asked.number)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert done == [0]
