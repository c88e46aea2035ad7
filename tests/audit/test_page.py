"""However much was found, it fits on a screen; the table has all of it, or is not there."""

import csv
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detlab.audit.kinds import KINDS, Finding, in_order
from detlab.audit.page import COLUMNS, LINES, LONGEST, in_a_line, lines_for, page, write_table
from tests.audit.sample_records import record

ONE = record([[0, 0, 9, 9]] * 2, [1, 1], "pictures/a.png")
OTHER = record([], [], "pictures/b.png")


@given(st.lists(st.sampled_from(KINDS), max_size=200))
def test_a_page_tells_of_every_kind_and_of_all_findings(kinds):
    lines = page(in_order(Finding(kind, (ONE,), (), "odd") for kind in kinds))
    assert len(lines) <= LINES
    told = Counter(line.partition(":")[0] for line in lines)
    for line in lines:
        if "… and" in line:
            told[line.partition(":")[0]] += int(line.partition("… and ")[2].split()[0])
    assert told == Counter(kinds)


@given(st.dictionaries(st.sampled_from(KINDS), st.integers(1, 50)))
def test_what_matters_more_has_at_least_as_many_lines_if_there_is_as_much(counts):
    shown = lines_for(counts)
    assert all(1 <= shown[kind] <= min(3, count) for kind, count in counts.items())
    kinds = list(counts)
    for before, after in pairwise(kinds):
        assert shown[before] >= min(shown[after], counts[before])


def test_a_line_has_the_first_pictures_and_an_end():
    many = Finding("twins", (ONE, OTHER, OTHER), (), "the same scene" + "!" * 500)
    (line,) = page([many])
    assert line.startswith("twins: a.png, b.png and 1 more: the same scene!!")
    assert len(line) == LONGEST
    assert (
        in_a_line(Finding("class without boxes", (), (), "no fox")) == "class without boxes: no fox"
    )
    assert page([]) == []


def test_the_table_has_a_row_for_each_finding(tmp_path):
    findings = [
        Finding("twins across splits", (ONE, OTHER), (), 'the same "scene", 91% alike'),
        Finding("double box", (ONE,), (0, 1), "twice"),
        Finding("class without boxes", (), (), "no box is called füchschen"),
    ]
    path = tmp_path / "audit.csv"
    write_table(findings, {"train": [ONE], "val": [OTHER]}, path)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        list(COLUMNS),
        ["twins across splits", "train; val", f"{ONE.image}; {OTHER.image}", "", findings[0].what],
        ["double box", "train", str(ONE.image), "object 0; object 1", "twice"],
        ["class without boxes", "", "", "", "no box is called füchschen"],
    ]


def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "audit.csv"
    path.write_text("old")

    def full(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_table([Finding("twins", (ONE,), (), "")], {"train": [ONE]}, path)
    assert [file.name for file in tmp_path.iterdir()] == ["audit.csv"]
    assert path.read_text() == "old"
