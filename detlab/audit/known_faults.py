"""What is known to be wrong with a set, to evaluate an audit by.

Uses crowds.py and kinds.py. People found the faults of BCCD; planted_faults.py makes some of its
own.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from detlab.audit.crowds import iou_in_class
from detlab.audit.kinds import Finding
from detlab.boxes import box_area
from detlab.data.corrections import read_lists, records_by_number, row_of
from detlab.data.records import Annotations, Record, label_of_class


class KnownFault(NamedTuple):
    """One fault that is known."""

    kind: str
    """As `kinds.Finding` has it, or "no area", or "no box", which no audit of labels can see."""
    pictures: tuple[str, ...]
    """File names."""
    objects: tuple[str, ...]
    """As `Record.objects` names them; none for twins and where a box is missing."""


def found_faults(
    faults: Sequence[KnownFault], findings: Sequence[Finding]
) -> dict[KnownFault, int]:
    """Which of an audit's findings is which fault: fault to index; a fault not found is left out.

    A finding of several pictures is every fault of some of them: twins are found in groups.

    Args:
        faults: what is known.
        findings: what an audit found.
    """
    showing: dict[tuple[str, str, tuple[str, ...]], set[int]] = defaultdict(set)
    for index, finding in enumerate(findings):
        for path in finding.pictures:
            showing[finding.kind, path.name, finding.objects].add(index)
    found = {}
    for fault in faults:
        keys = [(fault.kind, name, fault.objects) for name in fault.pictures]
        if common := set.intersection(*(showing[key] for key in keys)):
            found[fault] = max(common)
    return found


def listed_faults(name: str, splits: Mapping[str, Annotations]) -> tuple[KnownFault, ...]:
    """What people found wrong with a public set: the same lists that correct it.

    Args:
        name: a set that has corrections: "bccd".
        splits: all of it, as published.
    """
    lists = read_lists(name)
    records = records_by_number(name, splits.values())
    split_of = {record.image: split for split, found in splits.items() for record in found.records}
    class_names = next(iter(splits.values())).class_names
    pairs = ((records[one].image, records[other].image) for one, other in lists["twins"])
    twins = (
        KnownFault("twins across splits", (one.name, other.name), ())
        for one, other in pairs
        if split_of[one] != split_of[other]
    )
    missing = missing_boxes(lists, records, class_names)
    return tuple(dict.fromkeys((*twins, *wrong_boxes(lists, records), *missing)))


def wrong_boxes(lists: Mapping[str, Any], records: Mapping[str, Record]) -> Iterator[KnownFault]:
    """Boxes that the lists take out or give another class."""
    for number, box in lists["drop"]:
        record = records[number]
        row = row_of(box, record)
        if box_area(record.boxes)[row] == 0:
            yield fault_of("no area", record, row)
        else:
            rival = int(iou_in_class(record).fill_diagonal_(0)[row].argmax())
            yield fault_of("double box", record, *sorted((row, rival)))
    for number, box, _ in lists["relabel"]:
        yield fault_of("odd size", records[number], row_of(box, records[number]))


def missing_boxes(
    lists: Mapping[str, Any], records: Mapping[str, Record], class_names: Sequence[str]
) -> Iterator[KnownFault]:
    """Pictures that lack boxes of a class: all of them, which shows, or only some."""
    lacking = [(number, lists["incomplete"]) for number in lists["excluded"]]
    lacking += [(number, name) for number, _, name in lists["add"]]
    for number, name in lacking:
        boxed = label_of_class(name, class_names[1:]) in records[number].labels
        yield fault_of("no box" if boxed else "class missing", records[number])


def fault_of(kind: str, record: Record, *rows: int) -> KnownFault:
    """A fault of one picture, about some of its boxes."""
    return KnownFault(kind, (record.image.name,), tuple(record.objects[row] for row in rows))
