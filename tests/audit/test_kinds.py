"""Findings come in the order in which they matter, and name their boxes as the file does."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from detlab.audit.kinds import KINDS, Finding, in_order
from tests.audit.sample_records import record


def test_a_finding_names_pictures_and_objects():
    one, other = record([[0, 0, 9, 9]] * 3, [1, 1, 1], "a.png"), record([], [], "b.png")
    assert Finding("twins", (one, other), (), "").pictures == (Path("a.png"), Path("b.png"))
    assert Finding("double box", (one,), (0, 2), "").objects == ("object 0", "object 2")
    assert Finding("class without boxes", (), (), "").objects == ()


@given(st.lists(st.sampled_from(KINDS)))
def test_kinds_come_in_their_order_and_within_a_kind_nothing_moves(kinds):
    found = in_order(Finding(kind, (), (), str(row)) for row, kind in enumerate(kinds))
    places = [(KINDS.index(finding.kind), int(finding.what)) for finding in found]
    assert places == sorted(places)
    assert len(found) == len(kinds)


def test_leaks_come_before_labels_and_other_twins_last():
    assert KINDS.index("twins across splits") < KINDS.index("double box")
    assert KINDS[-1] == "twins"
