"""Columns of a sparse matrix that hold 0 or an amount, such as the weights of words.

Thousands of them are learnt, encoded and decoded at once. A 0 says that there is nothing: it is a
special value, which no move leaves and no mixture comes to, so a new row is as sparse as its
parent. Columns of counts, of decimals and of few levels are read one by one, as in an array.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np

from advaug import containers
from advaug.domains.tables.columns import Array, Number
from advaug.domains.tables.value_sets import NOISE, NOISE_FLOAT32, SAME, ValueSet

DIGITS = (4, 8)  # Numbers of so many decimals are looked at one by one.
MOST_SLACK = 0.01  # So near to a decimal number others are seldom.
DISTINCT = 0.5  # Amounts differ from each other: at least such a share of them is distinct.


def learn_amounts(X: Any, frozen: Collection[Any]) -> dict[int, Number]:
    """The columns of a sparse matrix that hold amounts or nothing at all, by their places."""
    n_rows, dtype = X.shape[0], X.dtype.type
    _, columns, values = containers.nonzeros(X)
    places, first, count = np.unique(columns, return_index=True, return_counts=True)
    empty = np.setdiff1d(np.arange(X.shape[1]), places).tolist()
    zero = np.zeros(1)
    nothing = Number(
        name=None,
        center=0.0,
        scale=1.0,
        grid=0.0,
        low=dtype(0),
        high=dtype(0),
        is_free=False,
        has_missing=False,
        values=ValueSet(atoms=zero),
        n_rows=n_rows,
        is_amount=True,
    )
    found = {place: replace(nothing, name=place) for place in empty}
    if not len(places):
        return found
    least, most = np.minimum.reduceat(values, first), np.maximum.reduceat(values, first)
    are_amounts = (least > 0) & np.isfinite(most) & (count < n_rows)
    are_amounts &= ~are_decimals(values, first)
    are_amounts &= distinct_of(columns, values, first) >= DISTINCT * count
    part = values / np.repeat(most, count)
    mean, square = (np.add.reduceat(cells, first) / n_rows for cells in (part, part**2))
    scale = most * np.sqrt(square - mean**2)
    facts = (each[are_amounts].tolist() for each in (places, least, most, scale))
    for place, low, high, spread in zip(*facts, strict=True):
        gaps, tolerance = np.array([[0.0], [low]]), SAME * spread
        found[place] = replace(
            nothing,
            name=place,
            scale=spread,
            high=dtype(high),
            is_free=place not in frozen,
            values=ValueSet(atoms=zero, ends=(low, high), gaps=gaps, tolerance=tolerance),
        )
    return found


def are_decimals(values: Array, first: Array) -> Array:
    """Which columns hold only numbers of few decimals; `first` are the columns' first values."""
    is_coarse = np.array_equal(values, values.astype(np.float32))
    found = np.zeros(len(first), dtype=bool)
    for digits in DIGITS:
        scaled = values * 10.0**digits
        slack = (NOISE_FLOAT32 if is_coarse else NOISE) * np.abs(scaled) + 1e-9
        is_near = (np.abs(scaled - np.rint(scaled)) <= slack) & (slack < MOST_SLACK)
        found |= np.logical_and.reduceat(is_near, first)
    return found


def distinct_of(columns: Array, values: Array, first: Array) -> Array:
    """How many distinct values each column holds beside zeros."""
    ordered = values[np.lexsort((values, columns))]
    is_new = np.append(True, np.diff(ordered) != 0)
    is_new[first] = True
    return np.add.reduceat(is_new.astype(np.int64), first)


def moved_amounts(before: Array, by: Array, numbers: list[Number]) -> Array:
    """Cells moved by so many scales of their columns: within the bounds of each, or to 0."""
    facts = [(number.scale, *number.values.ends) for number in numbers]
    scale, least, most = np.array(facts).reshape(-1, 3).T
    after = np.clip(before + by * scale, np.minimum(before, 0.0), np.maximum(before, most))
    is_apart = (after > 0) & (after < least)
    return np.where(is_apart, np.where(after < least / 2, 0.0, least), after)
