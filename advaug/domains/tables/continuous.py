"""Columns of an array of floats in which no value occurs twice: learnt all at once.

Nearly all numbers that were measured or computed are such. Of them nothing is known but their
scale, their bounds and the real values, which is what column by column would be found as well.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np

from advaug.domains.tables.columns import Array, Number
from advaug.domains.tables.value_sets import (
    EXACT,
    MOST_DIGITS,
    MOST_KNOWN,
    MOST_NOISE,
    NOISE,
    NOISE_FLOAT16,
    NOISE_FLOAT32,
    SAME,
    SENTINELS,
    ValueSet,
    some_of,
)

CELLS = 2**20  # Numbers that are put in order at once.
FEW = 1000  # Numbers in which a step is looked for first.
FEWEST_ROWS = 20  # Columns of fewer rows are read one by one.
NOISES = ((np.float64, NOISE), (np.float32, NOISE_FLOAT32), (np.float16, NOISE_FLOAT16))


def learn_continuous(X: Any, frozen: Collection[Any]) -> dict[int, Number]:
    """The columns of an array of floats that are continuous, by their places."""
    if len(X) < FEWEST_ROWS:
        return {}
    # Some columns at once: a copy of all of them would be the largest thing in memory.
    width = max(CELLS // len(X), 1)
    blocks = (range(X.shape[1])[first : first + width] for first in range(0, X.shape[1], width))
    return {number.name: number for block in blocks for number in continuous_of(X, block, frozen)}


def continuous_of(X: Array, block: range, frozen: Collection[Any]) -> Iterator[Number]:
    """Those of some columns."""
    ordered = np.array(X[:, block.start : block.stop].T, dtype=np.float64, order="C")
    ordered.sort(axis=1)
    places = np.flatnonzero(are_continuous(ordered))
    ordered = ordered[places] if len(places) < len(ordered) else ordered
    if not len(ordered):
        return
    lower, center, upper = np.percentile(ordered, [25, 50, 75], axis=1)
    facts = center, (upper - lower) / 1.349, SAME * ordered.std(1)
    own, n_rows, nothing = X.dtype.type, len(X), np.empty((2, 0))
    for at, values, middle, scale, tolerance in zip(
        places.tolist(), ordered, *(fact.tolist() for fact in facts), strict=True
    ):
        ends, place = values[[0, -1]].tolist(), block[at]
        known = np.stack([values, values]) if n_rows <= MOST_KNOWN else nothing
        yield Number(
            name=place,
            center=middle,
            scale=scale,
            grid=0.0,
            low=own(ends[0]),
            high=own(ends[1]),
            is_free=place not in frozen,
            has_missing=False,
            values=ValueSet(ends=(ends[0], ends[1]), known=known, tolerance=tolerance),
            n_rows=n_rows,
        )


def of_each(fact: Callable[..., Any], *columns: Array) -> Array:
    """A fact of each column, one after the other: a block of them all leaves the cache."""
    return np.array([*map(fact, *columns)]).reshape(-1, 1)


def lies_off(column: Array, step: Array) -> bool:
    """Whether an ordered number lies between whole steps; most columns show it at once."""

    def off(some: Array) -> bool:
        places = (some - column[0]) / step
        return bool((np.abs(places - np.rint(places)) > MOST_NOISE).any())

    return off(column[:FEW]) or off(column)


def holds_sentinel(column: Array) -> bool:
    """Whether a number that stands for a missing one is among ordered numbers."""
    wanted = np.array([*SENTINELS, *(-one for one in SENTINELS)])
    at = np.searchsorted(column, wanted).clip(max=len(column) - 1)
    return bool((column[at] == wanted).any())


def are_continuous(ordered: Array) -> Array:
    """Which columns, each a row of ordered numbers, hold distinct numbers without any step."""
    first, last = ordered[:, :1], ordered[:, -1:]
    with np.errstate(all="ignore"):
        width = of_each(lambda column: np.diff(column).min(), ordered)
        span = last - first
        found = (width > 0) & np.isfinite(span) & (np.maximum(-first, last) < EXACT)
        # Equal distances, as of whole numbers that were scaled.
        step = span / np.rint(span / width)
        found &= of_each(lies_off, ordered, step)
    found &= ~of_each(holds_sentinel, ordered)
    may_have_step = np.zeros(len(ordered), dtype=bool)
    few = some_of(ordered.T)
    for dtype, noise in NOISES:
        with np.errstate(over="ignore", invalid="ignore"):
            holds = (few == few.astype(dtype)).all(0)
            for digits in range(MOST_DIGITS + 1):
                scaled = few * 10.0**digits
                is_near = np.abs(scaled - np.rint(scaled)) <= noise * np.abs(scaled) + 1e-9
                may_have_step |= holds & is_near.all(0)
    return found[:, 0] & ~may_have_step
