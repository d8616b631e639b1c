"""New rows that repeat real rows or each other: which of them differ, and how many to ask for."""

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
FEW = 0.4  # Fewer different ones among the new rows of a class are worth a warning;
HALF = 0.5  # the first rows, of which so many are different, are advised instead.


def are_different(real: Iterable[Hashable], new: Iterable[Hashable]) -> Array:
    """Which new rows equal no real row and no new row above them.

    Examples
    --------
    >>> are_different("ab", "bcdc").tolist()
    [False, True, True, False]
    """
    seen, found = set(real), []
    for row in new:
        found.append(row not in seen)
        seen.add(row)
    return np.array(found, dtype=bool)


def worth_asking(is_different: Array) -> int:
    """How many rows, from the first one on, are different by half at least.

    Examples
    --------
    >>> worth_asking(np.array([True, False, True, False, False]))
    4
    """
    counts = np.arange(1, len(is_different) + 1)
    enough = np.flatnonzero(is_different.cumsum() >= HALF * counts)
    return int(enough[-1]) + 1 if len(enough) else 0
