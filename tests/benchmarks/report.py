"""What all benchmarks share: this machine in words, times taken in turn, a table, a JSON file."""

import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
import torchvision


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    figure: str
    goal: str
    measured: str
    met: bool | None
    """None: nobody set a goal."""
    details: dict[str, Any] = field(default_factory=dict)
    """Every single measurement, for the JSON."""


def ratios(numerators: Iterable[float], denominators: Iterable[float]) -> list[float]:
    """Round by round, how many times larger: both were measured in the same minute."""
    return [above / below for above, below in zip(numerators, denominators, strict=True)]


def take_turns(
    runs: dict[str, Callable[[], object]],
    rounds: int,
    finish: Callable[[], object] = lambda: None,
) -> dict[str, list[float]]:
    """Seconds of each run in each round, after one round that is not counted.

    All take turns, so that a busy minute of the machine hits them alike.

    Args:
        runs: name to what is timed.
        rounds: how often.
        finish: waits for the device, such as `torch.cuda.synchronize`.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for counted in [False] + [True] * rounds:
        for name, run in runs.items():
            finish()
            started = time.perf_counter()
            run()
            finish()
            if counted:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The CPU's own name where Linux tells it."""
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def load_average() -> float | None:
    """Processes that wanted a core over the last minute; None where the system does not say."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def describe_machine() -> dict[str, Any]:
    """What the numbers are measured on, and how busy it is now."""
    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "date": datetime.now().isoformat(sep=" ", timespec="minutes"),
        "load": load_average(),
    }


def header(machine: dict[str, Any], load_at_end: float | None) -> str:
    """The line above the table."""
    gpu = f"{machine['gpu']}, " if machine["gpu"] else ""
    return (
        f"{gpu}{machine['processor']}, {machine['cores']} cores ({machine['threads']} threads in "
        f"use), torch {machine['torch']}, torchvision {machine['torchvision']}, "
        f"load average {machine['load']} at the start and {load_at_end} at the end, "
        f"{machine['date']}"
    )


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown.

    >>> print(table([Row("AP", "≥ 0.70", "0.71", True)]))
    | figure | goal | measured: median (min–max) | met? |
    |---|---|---|---|
    | AP | ≥ 0.70 | 0.71 | yes |
    """
    words = {True: "yes", False: "**no**", None: "–"}
    lines = ["| figure | goal | measured: median (min–max) | met? |", "|---|---|---|---|"]
    lines += [f"| {row.figure} | {row.goal} | {row.measured} | {words[row.met]} |" for row in rows]
    return "\n".join(lines)


def publish(machine: dict[str, Any], rows: Sequence[Row], path: Path) -> None:
    """Print the table, and write it with all single measurements as JSON."""
    load_at_end = load_average()
    print(f"\n{header(machine, load_at_end)}\n\n{table(rows)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {
        "machine": {**machine, "load_at_end": load_at_end},
        "rows": [asdict(row) for row in rows],
    }
    path.write_text(json.dumps(whole, indent=2) + "\n")
    print(f"\nwritten to {path}")
