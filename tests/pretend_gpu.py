"""A GPU that is not there: tensors that lie on "meta", while the processor computes their numbers.

What meets a tensor that was left in the processor's memory is an error, as on a real GPU, unless it
is a single number. Numbers are real, so all that depends on them runs too: loops, thresholds, NMS.
The device is called "meta" because autograd knows that one on every machine.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta", 0)
CPU = torch.device("cpu")


class OnGpu(Tensor):
    """A tensor on the device that is not there; its numbers lie in an ordinary one."""

    numbers: Tensor

    @staticmethod
    def __new__(cls, numbers: Tensor) -> "OnGpu":
        """Same sizes, same layout, another device."""
        made: OnGpu = torch.Tensor._make_wrapper_subclass(
            cls, numbers.shape, strides=numbers.stride(), dtype=numbers.dtype, device=DEVICE
        )
        made.numbers = numbers
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Nothing is computed once the device is gone."""
        raise RuntimeError(f"{func} outside of pretend_gpu()")

    def tolist(self) -> Any:
        """Numbers for Python."""
        return self.numbers.tolist()


class _Dispatch(TorchDispatchMode):
    """Computes on the processor, and gives the answer to the device where it belongs."""

    def __init__(self, without: torch.dtype | None) -> None:
        super().__init__()
        self.without = without

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, given = func._schema.name, (args, kwargs or {})
        tensors = [leaf for leaf in tree_leaves(given) if isinstance(leaf, Tensor)]
        there = [tensor for tensor in tensors if isinstance(tensor, OnGpu)]
        here = [tensor for tensor in tensors if not isinstance(tensor, OnGpu) and tensor.ndim > 0]
        if there and here and name != "aten::copy_":
            raise RuntimeError(f"{func}: devices mix: {[list(part.shape) for part in here]}")
        wanted = given[1].get("device")
        on_gpu = bool(there) if wanted is None else wanted.type == DEVICE.type
        if name == "aten::copy_":  # the one that may cross: what is written into decides
            on_gpu = isinstance(args[0], OnGpu)
        args, kwargs = tree_map(_to_processor, given)
        same = {id(tensor.numbers): tensor for tensor in there}  # what works in place returns it

        def to_device(answer: Any) -> Any:
            if not isinstance(answer, Tensor) or not on_gpu:
                return answer
            if answer.dtype == self.without:
                raise TypeError(f"{func}: this GPU has no {answer.dtype}")
            known = same.get(id(answer))
            return OnGpu(answer) if known is None else known

        return tree_map(to_device, func(*args, **kwargs))


class _Literals(TorchFunctionMode):
    """What makes a tensor of Python numbers asks no dispatcher: make it here, then move it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.Tensor.new_tensor:
            kwargs = {"dtype": args[0].dtype, "device": args[0].device, **kwargs}
        elif func is not torch.tensor:
            return func(*args, **kwargs)
        device = kwargs.pop("device", None)
        return torch.tensor(args[-1], **kwargs).to(device)


def _to_processor(leaf: Any) -> Any:
    """The numbers of a tensor; the processor in place of the device."""
    if isinstance(leaf, OnGpu):
        return leaf.numbers
    return CPU if isinstance(leaf, torch.device) and leaf.type == DEVICE.type else leaf


@contextmanager
def pretend_gpu(without: torch.dtype | None = None) -> Iterator[torch.device]:
    """While it is entered, this machine has one more device: the one that it gives.

    Args:
        without: a type of number that the device lacks, as Apple's GPUs lack float64.
    """
    with _Literals(), _Dispatch(without):
        yield DEVICE
