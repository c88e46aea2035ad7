"""One process alone; test_train.py has two of them that train together."""

import pytest
import torch

from detlab.processes import (
    any_process,
    first_process_says,
    mean_over_processes,
    num_processes,
    one_after_the_other,
    process_group,
    process_rank,
)

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
