"""Each different row of a table of whole numbers, and how often it is there."""

import torch
from jaxtyping import Int64
from torch import Tensor


def distinct(
    rows: Int64[Tensor, "R D"], least: int = 1
) -> tuple[Int64[Tensor, "U D"], Int64[Tensor, " U"]]:
    """Each different row once, in order, and how often it was there: at least so often.

    A row becomes one number, as hours and minutes become minutes: one number is sorted faster.

    >>> distinct(torch.tensor([[2, -1], [0, 5], [2, -1]]))
    (tensor([[ 0,  5],
            [ 2, -1]]), tensor([1, 2]))
    >>> distinct(torch.tensor([[2, -1], [0, 5], [2, -1]]), least=2)
    (tensor([[ 2, -1]]), tensor([2]))
    """
    if len(rows) == 0:
        return rows, rows[:, 0]
    lowest = rows.amin(dim=0).tolist()
    sizes = (rows.amax(dim=0) - rows.amin(dim=0) + 1).tolist()
    numbers = torch.zeros(len(rows), dtype=torch.int64)
    for column, low, size in zip(rows.unbind(dim=1), lowest, sizes, strict=True):
        numbers.mul_(size).add_(column).sub_(low)
    numbers, counts = numbers.unique(return_counts=True)
    numbers, counts = numbers[counts >= least], counts[counts >= least]
    columns = []
    for low, size in zip(lowest[::-1], sizes[::-1], strict=True):
        columns.append(numbers % size + low)
        numbers = numbers // size
    return torch.stack(columns[::-1], dim=1), counts
