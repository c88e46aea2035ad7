"""Each different row of a table of whole numbers, and how often it is there."""

import torch
from jaxtyping import Int64
from torch import Tensor


def distinct(rows: Int64[Tensor, "R D"]) -> tuple[Int64[Tensor, "U D"], Int64[Tensor, " U"]]:
    """Each different row once, in order, and how often it was there.

    A row becomes one number, as hours and minutes become minutes: one number is sorted faster.

    >>> distinct(torch.tensor([[2, -1], [0, 5], [2, -1]]))
    (tensor([[ 0,  5],
            [ 2, -1]]), tensor([1, 2]))
    """
    if len(rows) == 0:
        return rows, rows[:, 0]
    least = rows.amin(dim=0)
    sizes = (rows.amax(dim=0) - least + 1).tolist()
    numbers = torch.zeros(len(rows), dtype=torch.int64)
    for column, size in zip((rows - least).unbind(dim=1), sizes, strict=True):
        numbers = numbers * size + column
    numbers, counts = numbers.unique(return_counts=True)
    columns = []
    for size in reversed(sizes):
        columns.append(numbers % size)
        numbers = numbers // size
    return torch.stack(columns[::-1], dim=1) + least, counts
