"""What the commands say: the numbers of an evaluation, tables, and an audit in words.

Uses coco.py, check.py, convert.py and findings.py.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from detlab.audit.findings import Finding
from detlab.data.records import Fault, Record, first_few, in_few_words
from detlab.data.writers import Format
from detlab.files import finite
from detlab.metrics.coco import Metrics


def metrics_row(metrics: Metrics) -> dict[str, Any]:
    """All numbers of an evaluation, as JSON has them: null where nothing was to be found."""
    speed = metrics.images_per_second
    row = {**metrics.coco, "class_ap": metrics.class_ap, "images_per_second": speed}
    return dict(finite(row))


def print_metrics(metrics: Metrics) -> None:
    """The numbers for people: COCO's twelve, then the AP of each class."""
    class_ap = {f"AP of {name}": value for name, value in metrics.class_ap.items()}
    numbers = {**metrics.coco, **class_ap}
    width = max(map(len, numbers))
    for name, value in numbers.items():
        print(f"{name:<{width}}  {'–' if value != value else f'{value:.3f}'}")
    print(f"{'pictures/s':<{width}}  {metrics.images_per_second:.0f}")


def print_table(rows: Sequence[dict[str, str]]) -> None:
    """Rows under the names of their columns, aligned."""
    table = [tuple(rows[0]), *(tuple(row.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]
        print("  ".join(cells).rstrip())


def print_check(what: str, out: Path | None) -> int:
    """Print all that is wrong with a set, and what is worth a look; return the number of faults."""
    from detlab.audit.sheet import faulty_boxes
    from detlab.data.check import check_splits
    from detlab.data.datasets import find_data, read_splits

    splits = read_splits(what)
    sound, faults = check_splits(splits)
    print_faults(find_data(what), faults)
    class_names = next(iter(splits.values())).class_names
    findings = print_audit(sound, class_names)
    if out is not None:
        published = chain.from_iterable(found.records for found in splits.values())
        faulty = faulty_boxes(published, chain.from_iterable(sound.values()))
        draw_sheet([*faulty, *findings], class_names, out)
    return len(faults)


def print_conversion(what: str, goal: Path, to: Format, skip_bad: bool) -> None:
    """Write a set in another format; print what must not pass without a word, and what is there."""
    from detlab.data.convert import convert

    done = convert(what, goal, to, skip_bad)
    for line in in_few_words(done.notes):
        print(line)
    faults = [str(fault) for found in done.splits.values() for fault in found.faults]
    if faults:
        print(f"{len(faults)} fault{'s' * (len(faults) != 1)} left out: {first_few(faults)}")
    pictures = {split: len(found.records) for split, found in done.splits.items()}
    boxes = sum(len(record.boxes) for found in done.splits.values() for record in found.records)
    print(f"{goal}: {to.upper()} with {boxes} boxes in pictures: {in_words(pictures)}")


def print_faults(folder: Path, faults: Sequence[Fault]) -> None:
    """Print every fault of a folder, and how many there are."""
    for fault in faults:
        print(fault)
    print(f"{folder}: {len(faults) or 'no'} fault{'s' * (len(faults) != 1)}")


def print_audit(
    splits: Mapping[str, Sequence[Record]], class_names: Sequence[str]
) -> Sequence[Finding]:
    """Print what is worth a second look, and what the set is like; return the findings."""
    from detlab.audit.findings import MOST_PICTURES, audit

    pictures = sum(map(len, splits.values()))
    if not pictures:
        return []
    found = audit(splits, class_names)
    print(f"\nworth a second look, of {pictures} pictures:")
    for finding in found.findings:
        names = " and ".join(path.name for path in finding.pictures)
        print(f"  {finding.kind}: {names}: {finding.what}")
    print("  nothing" if not found.findings else f"  {len(found.findings)} in all")
    if pictures > MOST_PICTURES:
        print(f"  twins were not looked for: more than {MOST_PICTURES} pictures")
    print(f"boxes of each class: {in_words(found.counts)}")
    print(f"sizes: {in_words(found.sizes)}")
    for limit, crowded in found.crowded.items():
        lost = found.lost[limit]
        print(
            f"with a neighbour of its class, IoU from {limit}: {crowded:.1%} of the boxes;"
            f" NMS at {limit} would lose {lost:.1%} of perfect boxes"
        )
    return found.findings


def draw_sheet(findings: Sequence[Finding], class_names: Sequence[str], out: Path) -> None:
    """Draw findings to a file, if there are any."""
    from detlab.audit.sheet import MOST, draw_findings
    from detlab.draw.figures import save_figure

    if findings:
        save_figure(draw_findings(findings, class_names), out)
    print(f"drawn in {out}, at most {MOST} of a kind" if findings else "nothing to draw")


def in_words(counts: Mapping[str, int]) -> str:
    """Numbers with their names.

    >>> in_words({"fish": 3, "eel": 1})
    '3 fish, 1 eel'
    """
    return ", ".join(f"{number} {name}" for name, number in counts.items())
