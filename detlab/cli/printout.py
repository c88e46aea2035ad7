"""What the commands say: the numbers of an evaluation, tables, and an audit in words.

Uses coco.py, check.py, findings.py and page.py.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from detlab.audit.kinds import Finding, in_order
from detlab.data.records import Fault, Record, first_few
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
"""Classes whose boxes are counted on the screen."""
ALIKE = (
    "alike: so much of the light and dark in them is the same, without what the whole set shares"
)


def print_check(what: str, out: Sequence[Path] = ()) -> int:
    """Print all that is wrong with a set, and what is worth a look; return the number of faults.

    Args:
        what: a name or a folder.
        out: files for all that is worth a look: a table (.csv), a sheet of pictures (.png).
    """
    from detlab.audit.sheet import faulty_boxes
    from detlab.data.check import check_splits
    from detlab.data.datasets import find_data, read_splits

    splits = read_splits(what)
    sound, faults = check_splits(splits)
    print_faults(find_data(what), faults)
    class_names = next(iter(splits.values())).class_names
    findings = print_audit(sound, class_names)
    published = {name: found.records for name, found in splits.items()}
    faulty = faulty_boxes(
        chain.from_iterable(published.values()), chain.from_iterable(sound.values())
    )
    for path in out:
        if path.suffix.lower() == ".csv":
            both = {name: [*records, *sound[name]] for name, records in published.items()}
            save_table([*faulty, *findings], both, path)
        else:
            draw_sheet([*faulty, *findings], class_names, path)
    return len(faults)


def print_faults(folder: Path, faults: Sequence[Fault]) -> None:
    """Print every fault of a folder, and how many there are."""
    for fault in faults:
        print(fault)
    print(f"{folder}: {len(faults) or 'no'} fault{'s' * (len(faults) != 1)}")


def print_audit(
    splits: Mapping[str, Sequence[Record]], class_names: Sequence[str]
) -> Sequence[Finding]:
    """Print what is worth a second look, and what the set is like, on 20 lines; return it all."""
    from detlab.audit.findings import audit
    from detlab.audit.page import page

    pictures = sum(map(len, splits.values()))
    if not pictures:
        return []
    found = audit(splits, class_names)
    print(f"\nworth a second look, of {pictures} pictures:")
    findings = in_order([*found.findings, *found.about_classes])
    for line in page(findings):
        print(f"  {line}")
    print("  nothing" if not findings else f"  {len(findings)} in all; --out audit.csv lists them")
    if any(finding.alike is not None for finding in findings):
        print(f"  ({ALIKE})")
    print(f"boxes of each class: {in_words(found.counts)}")
    print(f"sizes: {in_words(found.sizes)}")
    for limit, crowded in found.crowded.items():
        lost = found.lost[limit]
        print(
            f"with a neighbour of its class, IoU from {limit}: {crowded:.1%} of the boxes;"
            f" NMS at {limit} would lose {lost:.1%} of perfect boxes"
        )
    return findings


def save_table(
    findings: Sequence[Finding], splits: Mapping[str, Sequence[Record]], out: Path
) -> None:
    """Write all findings to a file, and say so."""
    from detlab.audit.page import write_table

    write_table(findings, splits, out)
    print(f"{len(findings)} findings are listed in {out}")


def draw_sheet(findings: Sequence[Finding], class_names: Sequence[str], out: Path) -> None:
    """Draw findings to a file, if there are any."""
    from detlab.audit.sheet import MOST, draw_findings
    from detlab.draw.figures import save_figure

    if any(finding.records for finding in findings):
        save_figure(draw_findings(findings, class_names), out)
        print(f"drawn in {out}, at most {MOST} of a kind")
    else:
        print("nothing to draw")


def in_words(counts: Mapping[str, int]) -> str:
    """Numbers with their names, of many names the first.

    >>> in_words({"fish": 3, "eel": 1})
    '3 fish, 1 eel'
    """
    return first_few([f"{number} {name}" for name, number in counts.items()], CLASSES)
