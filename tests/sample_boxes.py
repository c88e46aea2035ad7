"""Boxes for tests of what comes after the network: bars on a line, and any boxes with scores."""

import torch
from hypothesis import strategies as st

from detlab.boxes import xywh_to_xyxy

scored_boxes = st.lists(
    st.tuples(*[st.integers(0, 30)] * 2, *[st.integers(1, 30)] * 2, st.integers(1, 8)),
    min_size=1,
    max_size=12,
).map(
    lambda rows: (
        xywh_to_xyxy(torch.tensor(rows, dtype=torch.float32)[:, :4]),
        torch.tensor(rows, dtype=torch.float32)[:, 4] / 8,  # few values, so many ties
    )
)


def bars(*spans):
    """Boxes 8 pixels high from x1 to x2."""
    return torch.tensor([[float(x1), 0.0, float(x2), 8.0] for x1, x2 in spans])
