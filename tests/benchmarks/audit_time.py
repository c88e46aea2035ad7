"""How long the audit of a public set takes, and how much it finds of what people know."""

import time
from collections import Counter

from report import Row

from detlab.audit.findings import audit
from detlab.audit.known_faults import found_faults, listed_faults
from detlab.data.check import check_splits
from detlab.data.datasets import read_splits

GOAL = 60.0
"""Seconds."""


def measure_audit(name: str) -> Row:
    """Read, decode and audit a whole set, as `detlab data check` does; once."""
    started = time.perf_counter()
    splits = read_splits(name)
    sound, unusable = check_splits(splits)
    findings = audit(sound, next(iter(splits.values())).class_names).findings
    seconds = time.perf_counter() - started
    faults = listed_faults(name, splits)
    found = Counter(fault.kind for fault in found_faults(faults, findings))
    found["no area"] = len(unusable)
    known = Counter(fault.kind for fault in faults)
    words = ", ".join(f"{kind} {found[kind]} of {count}" for kind, count in known.items())
    return Row(
        f"{name}: the audit of {sum(map(len, sound.values()))} pictures",
        f"≤ {GOAL:.0f} s",
        f"{seconds:.1f} s; of what people found: {words}",
        seconds <= GOAL,
        {"seconds": seconds, "found": found, "known": known},
    )
