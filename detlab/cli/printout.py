"""What the commands say: the numbers of an evaluation, tables, and what was converted.

Uses coco.py and convert.py.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from detlab.data.records import first_few, in_few_words
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


CLASSES = 20
"""Names with numbers that are shown on the screen."""


def print_conversion(
    what: str, goal: Path, to: Format, skip_bad: bool, allow_outside: Sequence[Path] = ()
) -> None:
    """Write a set in another format; print what must not pass without a word, and what is there."""
    from detlab.data.convert import convert

    done = convert(what, goal, to, skip_bad, allow_outside)
    for line in in_few_words(done.notes):
        print(line)
    faults = [str(fault) for found in done.splits.values() for fault in found.faults]
    if faults:
        print(f"{len(faults)} fault{'s' * (len(faults) != 1)} left out: {first_few(faults)}")
    pictures = {split: len(found.records) for split, found in done.splits.items()}
    boxes = sum(len(record.boxes) for found in done.splits.values() for record in found.records)
    print(f"{goal}: {to.upper()} with {boxes} boxes in pictures: {in_words(pictures)}")


def in_words(counts: Mapping[str, int]) -> str:
    """Numbers with their names, of many names the first.

    >>> in_words({"fish": 3, "eel": 1})
    '3 fish, 1 eel'
    """
    return first_few([f"{number} {name}" for name, number in counts.items()], CLASSES)
