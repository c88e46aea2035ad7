"""Overlaps are those that a table of all IoUs has, of boxes of one class."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from detlab.audit.crowds import crowded_fraction, iou_in_class, lost_to_nms, overlaps
from tests.audit.sample_records import record

box = st.tuples(st.integers(0, 30), st.integers(0, 20), st.integers(1, 20), st.integers(1, 20))
labelled = st.lists(st.tuples(box, st.integers(1, 3)), max_size=25)


@given(labelled, st.sampled_from([0.1, 0.3, 0.9]))
def test_overlaps_are_those_of_the_whole_table(boxes, least):
    crowd = record(
        [[x, y, x + width, y + height] for (x, y, width, height), _ in boxes],
        [label for _, label in boxes],
    )
    table = iou_in_class(crowd).triu(diagonal=1)
    pairs, iou, pictures, rows = overlaps([record([[0, 0, 9, 9]], [1]), crowd, crowd], least)
    assert pictures.tolist() == [0] + [1] * len(boxes) + [2] * len(boxes)
    again = pictures[pairs[:, 0]] == 2
    assert torch.equal(rows[pairs[again]], rows[pairs[~again]])
    pairs, iou = rows[pairs[again]], iou[again]
    found = {tuple(pair): value for pair, value in zip(pairs.tolist(), iou.tolist(), strict=True)}
    expected = (table >= least).nonzero().tolist()
    assert set(found) == set(map(tuple, expected))
    for (first, second), value in found.items():
        assert value == pytest.approx(float(table[first, second]), abs=1e-5)


def test_thousands_of_boxes_need_no_table_of_all_pairs(monkeypatch):
    corners = torch.rand(20_000, 2, generator=torch.Generator().manual_seed(1)) * 4000
    boxes = torch.cat([corners, corners + 8], dim=1)
    crowd = record(boxes.tolist(), [1 + row % 300 for row in range(20_000)])
    compared = []
    monkeypatch.setattr("detlab.audit.crowds.paired_iou", counting(compared))
    overlaps([crowd], 0.3)
    assert sum(compared) < 20_000


def counting(compared):
    """As `paired_iou`, and it notes how many pairs there were."""
    from detlab.boxes import paired_iou

    return lambda ones, others: (compared.append(len(ones)), paired_iou(ones, others))[1]


def test_crowding_counts_boxes_with_a_near_neighbour_of_their_class():
    crowd = record([[0, 0, 10, 10], [0, 4, 10, 14], [40, 0, 50, 10], [0, 0, 10, 10]], [1, 1, 1, 2])
    assert crowded_fraction([crowd], 0.3) == 2 / 4  # IoU 60 / 140
    assert crowded_fraction([crowd], 0.5) == 0
    assert lost_to_nms([crowd], 0.3) == 1 / 4
    assert lost_to_nms([crowd], 0.5) == 0
    assert crowded_fraction([record([], [])], 0.3) == lost_to_nms([record([], [])], 0.3) == 0
    assert crowded_fraction([], 0.3) == 0
