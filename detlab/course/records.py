"""What takes longer than a lesson may: measured once, and kept as it was measured.

A record is a file of lines, each a training with its date, machine, commit and seed. Lessons draw
from it; the benchmark that made it adds to it, see tests/benchmarks.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

RECORDS = Path(__file__).with_name("records")
Trial = dict[str, Any]
"""Of a speedrun: "rung", "seconds", "seed", "AP" and "AP75" of one training, and more."""


def read_record(name: str) -> list[Trial]:
    """All lines of a record, the oldest first.

    >>> read_record("speedrun")[0]["rung"]
    'AdamW, a cosine'
    """
    lines = (RECORDS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def newest(trials: Sequence[Trial]) -> list[Trial]:
    """Each rung, budget and seed once: a later line replaces an earlier one.

    >>> trials = [{"rung": "a", "seconds": 60.0, "seed": 0, "AP": ap} for ap in (0.5, 0.6)]
    >>> [trial["AP"] for trial in newest(trials)]
    [0.6]
    """
    return list({(t["rung"], t["seconds"], t["seed"]): t for t in trials}.values())


def ladder(trials: Sequence[Trial], rungs: Sequence[str], goal: float) -> str:
    """Each rung in Markdown: AP and AP75 after each budget, and the budget that reached the goal.

    Args:
        trials: one for each rung, budget and seed.
        rungs: the names of the rungs, the lowest first.
        goal: an AP.
    """
    budgets = sorted({trial["seconds"] for trial in trials})
    columns = [f"AP, AP75 after {seconds:.0f} s" for seconds in budgets]
    lines = [f"| rung | {' | '.join(columns)} | seconds to AP {goal:.2f} |"]
    lines.append("|---|" + "---|" * (len(budgets) + 1))
    for rung in rungs:
        cells = [cell(trials, rung, seconds) for seconds in budgets]
        reached = seconds_to(goal, trials, rung)
        cells.append("–" if reached is None else f"{reached:.0f}")
        lines.append(f"| {rung} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(trials: Sequence[Trial], rung: str, seconds: float) -> str:
    """AP of a rung after so long, over the seeds, and AP75; a dash where it was not trained."""
    found = [t for t in trials if (t["rung"], t["seconds"]) == (rung, seconds)]
    if not found:
        return "–"
    aps, aps75 = ([trial[name] for trial in found] for name in ("AP", "AP75"))
    return f"{spread(aps, 3)}, {median(aps75):.3f}"


def seconds_to(ap: float, trials: Sequence[Trial], rung: str) -> float | None:
    """The shortest budget at whose end the median over the seeds has reached an AP.

    >>> trials = [{"rung": "a", "seconds": s, "AP": s / 200} for s in (60.0, 120.0)]
    >>> seconds_to(0.5, trials, "a")
    120.0
    """
    for seconds in sorted({trial["seconds"] for trial in trials}):
        aps = [t["AP"] for t in trials if (t["rung"], t["seconds"]) == (rung, seconds)]
        if aps and median(aps) >= ap:
            return float(seconds)
    return None


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median and range of some measurements; a single one stands alone.

    >>> spread([3.0, 1.0, 2.0], digits=1)
    '2.0 (1.0–3.0)'
    >>> spread([0.714])
    '0.71'
    """
    middle = f"{median(values):.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):.{digits}f}–{max(values):.{digits}f})"
