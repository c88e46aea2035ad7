"""Devices, precision, and one process alone; training/test_loop.py has two that train together."""

from pathlib import Path

import pytest
import torch

from detlab import hardware as devices
from detlab.hardware import (
    any_process,
    choose_device,
    choose_dtype,
    first_process_says,
    has_bfloat16,
    mean_over_processes,
    num_processes,
    one_after_the_other,
    process_group,
    process_rank,
)


def test_auto_takes_what_the_processor_has(monkeypatch):
    cpu = torch.device("cpu")
    for has_it, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(devices, "has_bfloat16", lambda has_it=has_it: has_it)
        assert choose_dtype("auto", cpu) == dtype
    assert choose_dtype("float16", cpu) == torch.float16


@pytest.mark.parametrize("has_it", [True, False])
def test_every_torch_tells_what_the_processor_has(has_it, monkeypatch):
    def older():
        return has_it

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has_it}, False)
    assert has_bfloat16() == has_it
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", older, raising=False)
    assert has_bfloat16() == has_it
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert not has_bfloat16()


def test_the_processor_is_asked_and_not_its_name():
    flags = Path("/proc/cpuinfo")
    if not flags.is_file() or "flags" not in flags.read_text():
        pytest.skip("a system that lists no flags of an x86 processor")
    assert has_bfloat16() == ("avx512_bf16" in flags.read_text())


def test_on_a_gpu_auto_takes_what_it_has(monkeypatch):
    gpu = torch.device("cuda")
    for has_it, dtype in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, has_it=has_it: has_it)
        assert choose_dtype("auto", gpu) == dtype
    assert choose_dtype("auto", torch.device("mps")) == torch.float32


def test_a_device_that_is_not_here_is_refused_with_those_that_are(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device() == choose_device("cpu") == torch.device("cpu")
    for name in ("cuda", "mps", "tpu"):
        with pytest.raises(ValueError, match=rf"device '{name}' .*here are \['cpu'\]"):
            choose_device(name)


def test_auto_takes_the_gpu_of_this_process(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setenv("LOCAL_RANK", "2")
    assert choose_device() == choose_device("cuda") == torch.device("cuda:2")
    monkeypatch.setenv("LOCAL_RANK", "3")
    with pytest.raises(ValueError, match="process 3 wants its own GPU, here are 3"):
        choose_device()


def test_processes_that_train_together_leave_an_apple_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device() == torch.device("mps")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert choose_device() == torch.device("cpu")


CPU = torch.device("cpu")


def test_alone_there_is_one_process_and_it_is_the_first():
    assert (process_rank(), num_processes()) == (0, 1)


def test_alone_there_is_no_group_to_join(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with process_group(CPU):
        assert not torch.distributed.is_initialized()


@pytest.mark.parametrize("value", [0.0, -2.5, 1e12 + 0.25])
def test_one_process_agrees_with_itself(value):
    assert first_process_says(value, CPU) == value
    assert mean_over_processes(torch.tensor(value)).item() == torch.tensor(value).item()


def test_one_process_asks_itself():
    assert any_process(True, CPU)
    assert not any_process(False, CPU)


def test_one_process_waits_for_nobody():
    with one_after_the_other():
        assert num_processes() == 1
