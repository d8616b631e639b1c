"""Rules that new rows must keep where their parents do: what every domain can check."""

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Protocol

import numpy as np
from torch import Tensor

Array = np.ndarray[Any, Any]


class RowStatus(IntEnum):
    """What a repair did to a row."""

    UNTOUCHED = 0
    REPAIRED = 1
    REVERTED = 2


class RowConstraints(Protocol):
    """Rules bound to the real rows."""

    shares: dict[str, float]

    @property
    def repair(self) -> Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]] | None:
        return None

    def finish(self, new: Any, rows: Any) -> tuple[Any, Array]: ...


class CallableConstraints(RowConstraints):
    """Callables from rows to one bool a row, for every domain: nothing is repaired.

    Parameters
    ----------
    rules : list of callables
    X : the real rows
    """

    def __init__(self, rules: list[Callable[[Any], Any]], X: Any) -> None:
        self.rules = rules
        self.shares = {}
