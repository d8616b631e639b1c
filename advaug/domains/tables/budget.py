"""Budgets in the columns' own units: how far each cell may move, downwards and upwards.

A coding with budgets measures a column by its budget, so that a radius of 1 is all of it.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from advaug import containers
from advaug.containers.columns import TICKS_A_DAY, Series
from advaug.domains.tables.columns import Array, Category, Number, TableLayout

SMALLEST_UNIT = 1e-4  # A column is measured in so much of its deviation at least.
SLACK = 5e-7  # A cell beyond its budget by more goes back.


class Budget(NamedTuple):
    """The largest moves down and up, in units of the column."""

    down: float
    up: float

    @classmethod
    def of(cls, name: Any, value: Any) -> "Budget":
        """From a number, or a pair of the lowest and the highest move.

        ValueError, naming the column, for others.
        """
        pair = (-value, value) if isinstance(value, Real) else value
        try:
            low, high = map(float, pair)
        except (TypeError, ValueError):
            low, high = np.nan, np.nan
        if not low <= 0 <= high < np.inf or low == -np.inf:
            raise ValueError(
                f"radius[{name!r}] must be a finite number of 0 or more, or a pair (low, high) "
                f"with low <= 0 <= high, got {value!r}"
            )
        return cls(-low, high)


def budgets_of(radius: Mapping[Any, Any], layout: TableLayout) -> dict[Any, Budget]:
    """The budgets of the columns that may move.

    ValueError for a column that is not there or cannot move, and if none may move.
    """
    budgets = {name: Budget.of(name, value) for name, value in radius.items()}
    if unknown := [name for name in budgets if name not in layout.places]:
        raise ValueError(
            f"radius names column {unknown[0]!r}, which X does not have: it has "
            f"{list(layout.names)[:12]}"
        )
    given = {name: budget for name, budget in budgets.items() if max(budget)}
    movable = {one.name for one in layout.numbers} | {one.name for one in layout.categories}
    if stuck := [name for name in given if name not in movable]:
        raise ValueError(
            f"radius names column {stuck[0]!r}, which no attack moves: it holds free text or "
            "identifiers. Leave it out"
        )
    if not given:
        raise ValueError("radius lets no column move: give one of them more than 0")
    return given


def with_budgets(layout: TableLayout, budgets: dict[Any, Budget]) -> TableLayout:
    """The layout whose columns move within their budgets; those without one stay."""
    nothing = Budget(0.0, 0.0)
    return replace(
        layout,
        numbers=tuple(
            limited(number, budgets.get(number.name, nothing)) for number in layout.numbers
        ),
        categories=tuple(
            replace(one, is_free=one.is_free and one.name in budgets) for one in layout.categories
        ),
    )


def limited(number: Number, budget: Budget) -> Number:
    """A column of numbers measured by its budget, which counts in days where it holds moments."""
    largest = max(budget)
    if not largest:
        return replace(number, is_free=False, reach=(0.0, 0.0))
    ticks = ticks_a_day(number.unit)
    scale = max(largest * ticks, SMALLEST_UNIT * number.scale)
    return replace(number, scale=scale, reach=(budget.down * ticks, budget.up * ticks))


def ticks_a_day(unit: str) -> float:
    """Units in a day of a column of moments, by its dtype; 1 for any other column."""
    if not unit:
        return 1.0
    named = re.search(r"time_unit='(\w+)'", unit)
    return float(TICKS_A_DAY[named[1] if named else "D"])


def within_reach(number: Number, column: Series, rows: Array, shift: Array) -> Array:
    """Moves of the cells at `rows` cut to the column's budget, in whole steps of its grid."""
    if number.reach is None:
        return shift
    down, up = number.reach
    if number.grid:
        down, up = (np.floor(side / number.grid + 1e-9) * number.grid for side in (down, up))
    dtype = column.to_numpy().dtype
    room = 0.0
    if dtype.kind == "f":  # The sum is rounded, so that it could pass the budget.
        size = np.nan_to_num(np.abs(number.read(column)[rows])) + max(down, up)
        room = 2 * np.spacing(size.astype(dtype)).astype(np.float64)
    return shift.clip(np.minimum(room - down, 0), np.maximum(up - room, 0))


def moved_in_budget(number: Number, column: Series, rows: Array, shift: Array) -> Series:
    """The column with the cells at `rows` moved; one that would pass the budget is as it was."""
    moved = number.moved(column, rows, within_reach(number, column, rows, shift))
    if number.reach is None:
        return moved
    beyond = np.flatnonzero(is_beyond(number, number.read(column), number.read(moved)))
    return moved.scatter(beyond, column[beyond]) if len(beyond) else moved


def is_beyond(number: Number, before: Array, after: Array) -> Array:
    """Which cells, in the column's units, have moved by more than its budget."""
    if number.reach is None:
        return np.zeros(len(before), dtype=bool)
    down, up = number.reach
    move = after - before
    return (move > up + SLACK) | (-move > down + SLACK)


def has_flipped(category: Category, before: Series, after: Series) -> Array:
    """Which cells of a column without a budget hold another level than before."""
    if category.is_free:
        return np.zeros(len(before), dtype=bool)
    pairs = zip(containers.objects(before), containers.objects(after), strict=True)
    return np.array([a != b for a, b in pairs], dtype=bool)
