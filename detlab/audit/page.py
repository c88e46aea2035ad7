"""The findings of an audit as a page of text: of each kind the first few; and as a table with all.

Uses kinds.py.
"""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from detlab.audit.kinds import KINDS, Finding
from detlab.data.records import Record, cut, first_few
from detlab.files import write_atomically

LINES = 13
"""Lines for findings: with what the set is like, all fits on 20; as many kinds there are."""
FIRST = 3
"""Findings of a kind that are told, if there is room."""
LONGEST = 160
"""Letters of a line."""
COLUMNS = ("kind", "split", "pictures", "objects", "what")

assert len(KINDS) <= LINES, "each kind needs a line"


def page(findings: Sequence[Finding]) -> list[str]:
    """A line for each of the first findings, and in the last line of a kind how many more.

    Args:
        findings: what matters most first.
    """
    by_kind: dict[str, list[Finding]] = {}
    for finding in findings:
        by_kind.setdefault(finding.kind, []).append(finding)
    shown = lines_for({kind: len(found) for kind, found in by_kind.items()})
    lines = []
    for kind, found in by_kind.items():
        lines += [cut(in_a_line(finding), LONGEST) for finding in found[: shown[kind]]]
        if more := len(found) - shown[kind]:
            lines[-1] += f" … and {more} more of this kind"
    return lines


def lines_for(counts: Mapping[str, int], lines: int = LINES, first: int = FIRST) -> dict[str, int]:
    """How many findings of each kind are told: one of each, then more of what matters most.

    >>> lines_for({"twins across splits": 9, "double box": 1, "no object": 5}, lines=5)
    {'twins across splits': 3, 'double box': 1, 'no object': 1}
    """
    shown = dict.fromkeys(counts, 1)
    for kind, count in counts.items():
        shown[kind] += max(0, min(first, count, 1 + lines - sum(shown.values())) - 1)
    return shown


def in_a_line(finding: Finding) -> str:
    """Kind, pictures and what there is to say."""
    names = first_few([path.name for path in finding.pictures], shown=2)
    return ": ".join(part for part in (finding.kind, names, finding.what) if part)


def write_table(
    findings: Sequence[Finding], splits: Mapping[str, Sequence[Record]], path: Path
) -> None:
    """Write every finding as a row of a CSV file, whole or not at all.

    Args:
        findings: what matters most first.
        splits: the records of each split, by its name.
        path: of the file.
    """
    split_of = {id(record): name for name, split in splits.items() for record in split}
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    for finding in findings:
        names = Counter(split_of[id(record)] for record in finding.records)
        several = (names, map(str, finding.pictures), finding.objects if finding.boxes else ())
        rows.writerow([finding.kind, *("; ".join(each) for each in several), finding.what])
    write_atomically(path, text.getvalue().encode())
