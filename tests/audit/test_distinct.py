"""The different rows of a table are those that torch finds, a row at a time."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from detlab.audit.distinct import distinct

rows_of = st.integers(1, 3).flatmap(
    lambda width: st.lists(
        st.lists(st.integers(-4, 60), min_size=width, max_size=width), min_size=1
    )
)


@given(rows_of)
def test_rows_and_counts_are_those_of_torch(rows):
    table = torch.tensor(rows)
    found, counts = distinct(table)
    expected, expected_counts = table.unique(dim=0, return_counts=True)
    assert torch.equal(found, expected)
    assert torch.equal(counts, expected_counts)


def test_of_no_rows_there_are_none():
    found, counts = distinct(torch.zeros(0, 3, dtype=torch.int64))
    assert (found.shape, counts.shape) == ((0, 3), (0,))
