"""What people know of a set is named as an audit names it, and the audit finds most of it."""

import os
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from detlab.audit.findings import audit
from detlab.audit.kinds import Finding
from detlab.audit.known_faults import (
    KnownFault,
    found_faults,
    listed_faults,
    missing_boxes,
    wrong_boxes,
)
from detlab.data.check import check_splits
from detlab.data.corrections import number_of, read_lists
from detlab.data.datasets import read_splits
from detlab.data.records import make_record

NAMES = ("background", "cell", "speck")
BCCD = Path(os.environ.get("DETLAB_DATA", "nowhere")) / "bccd" / "BCCD"
real = pytest.mark.skipif(not BCCD.is_dir(), reason="bccd is not below DETLAB_DATA")


def record(*objects, name="7"):
    named = [(f"object {row}", label, box) for row, (label, box) in enumerate(objects)]
    return make_record(Path(f"{name}.jpg"), (60, 90), named, Path("a.xml"))


CELL, AGAIN, OTHER = [1.0, 2.0, 31.0, 22.0], [2.0, 2.0, 32.0, 22.0], [40.0, 5.0, 60.0, 15.0]


def test_of_a_dropped_box_the_fault_is_a_pair_or_no_area():
    records = {"7": record((2, CELL), (1, AGAIN), (1, OTHER), (1, CELL), (2, [5.0, 5.0, 5.0, 9.0]))}
    lists = {"drop": [["7", CELL], ["7", [5, 5, 5, 9]]], "relabel": [["7", OTHER, "speck"]]}
    assert list(wrong_boxes(lists, records)) == [
        KnownFault("double box", ("7.jpg",), ("object 1", "object 3")),
        KnownFault("no area", ("7.jpg",), ("object 4",)),
        KnownFault("odd size", ("7.jpg",), ("object 2",)),
    ]


def test_a_class_without_any_box_shows_and_a_single_missing_box_does_not():
    records = {
        "1": record((1, CELL), name="1"),
        "2": record((2, OTHER), name="2"),
        "3": record((1, CELL), (2, OTHER), name="3"),
    }
    lists = {"incomplete": "cell", "excluded": ["1", "2"], "add": [["1", OTHER, "speck"]]}
    assert list(missing_boxes(lists, records, NAMES)) == [
        KnownFault("no box", ("1.jpg",), ()),
        KnownFault("class missing", ("2.jpg",), ()),
        KnownFault("class missing", ("1.jpg",), ()),
    ]


def test_a_fault_is_found_where_kind_pictures_and_boxes_agree():
    one, other = record((1, CELL), (1, AGAIN), name="1"), record((1, CELL), name="2")
    findings = [
        Finding("twins across splits", (other, one), (), ""),
        Finding("double box", (one,), (0, 1), ""),
    ]
    faults = [
        KnownFault("double box", ("1.jpg",), ("object 0", "object 1")),
        KnownFault("double box", ("2.jpg",), ("object 0", "object 1")),
        KnownFault("twins across splits", ("1.jpg", "2.jpg"), ()),
        KnownFault("twins", ("1.jpg", "2.jpg"), ()),
    ]
    assert found_faults(faults, findings) == {faults[0]: 1, faults[2]: 0}


def test_a_fault_of_two_pictures_is_found_in_a_scene_of_three():
    scene = tuple(record((1, CELL), name=name) for name in "123")
    fault = KnownFault("twins across splits", ("3.jpg", "1.jpg"), ())
    other = KnownFault("twins across splits", ("3.jpg", "4.jpg"), ())
    assert found_faults([fault, other], [Finding("twins across splits", scene, (), "")]) == {
        fault: 0
    }


@real
def test_the_audit_of_bccd_finds_what_people_found():
    published = read_splits("bccd")
    sound, unusable = check_splits(published)
    found = audit(sound, published["train"].class_names)

    listed = listed_faults("bccd", published)
    known = Counter(fault.kind for fault in listed)
    seen = Counter(fault.kind for fault in found_faults(listed, found.findings))
    assert len(unusable) == known["no area"] == 2
    assert seen["double box"] == known["double box"] == 7
    assert seen["odd size"] == known["odd size"] == 3
    assert seen["class missing"] == known["class missing"] >= 15
    by_kind = Counter(finding.kind for finding in found.findings)
    assert by_kind["odd size"] == 3
    assert by_kind["double box"] == 7

    scenes = [
        sorted(number_of("bccd", record) for record in finding.records)
        for finding in found.findings
        if finding.kind.startswith("twins")
    ]
    twins = {pair for scene in scenes for pair in combinations(scene, 2)}
    pairs = set(map(tuple, read_lists("bccd")["twins"]))
    assert len(pairs) == 30
    assert len(twins & pairs) >= 29
    assert len(twins - pairs) <= 4  # one pair, and what hangs together by others
