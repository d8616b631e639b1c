"""Counts where tensors make the host wait: a GPU would stand still there."""

from collections import Counter
from contextlib import contextmanager
from functools import wraps

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

# A number of a tensor becomes Python's, and results whose size only the values tell.
WAITS = {"_local_scalar_dense", "nonzero", "_unique2", "unique_dim", "masked_select", "equal"}
# Methods that take a tensor to the host: on the CPU they leave no trace.
METHODS = ("cpu", "numpy", "tolist", "__array__")


class Waits(TorchDispatchMode):
    """Counts the operations for which a device makes the host wait."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name.removeprefix("aten::")
        # A mask as an index is looked up with `nonzero`, which is not told.
        has_mask = name in ("index", "index_put", "index_put_") and any(
            isinstance(one, Tensor) and one.dtype == torch.bool for one in args[1]
        )
        if name in WAITS or has_mask:
            self.counts["nonzero" if has_mask else name] += 1
        return function(*args, **(kwargs or {}))


@contextmanager
def counted(monkeypatch):
    """A block whose waits are counted: name -> how often."""
    waits = Waits()

    def told(name):
        method = getattr(Tensor, name)

        @wraps(method)
        def counting(tensor, *args, **kwargs):
            waits.counts[name] += 1
            return method(tensor, *args, **kwargs)

        return counting

    with monkeypatch.context() as patch, waits:
        for name in METHODS:
            patch.setattr(Tensor, name, told(name), raising=False)
        yield waits.counts
