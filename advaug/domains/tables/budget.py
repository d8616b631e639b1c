"""Budgets in the columns' own units: how far each cell may move, downwards and upwards.

A coding with budgets measures a column by its budget, so that a radius of 1 is all of it. Costs are
such budgets in norm 1: each column by what the total buys of it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from advaug import containers
from advaug.containers.columns import TICKS_A_DAY, Series
from advaug.domains.tables.columns import Array, Category, Number, TableLayout

SMALLEST_UNIT = 1e-4  # A column is measured in so much of its deviation at least.
SLACK = 5e-7  # A cell or a row beyond its budget by more goes back.


class Reach(NamedTuple):
    """The largest moves down and up, in units of the column."""

    down: float
    up: float

    @classmethod
    def of(cls, name: Any, value: Any, what: str = "radius") -> "Reach":
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
                f"{what}[{name!r}] must be a finite number of 0 or more, or a pair (low, high) "
                f"with low <= 0 <= high, got {value!r}"
            )
        return cls(-low, high)


@dataclass(frozen=True)
class Budget(Mapping[Any, Any]):
    """What a row's moves may cost in total, for `radius`.

    A row may move so that the sum of cost * move over its columns is `total` at most. Columns
    without a cost do not move.

    Parameters
    ----------
    cost : dict or Series of column -> float > 0
        What a move by one unit of the column costs, up or down: a day for dates, a flip for
        categories and for yes or no.
    total : float > 0
        What a row may spend.
    limits : dict or Series of column -> float or pair, optional
        The largest move of some of these columns besides, as in a dict for `radius`: (0, 500)
        only raises.

    See Also
    --------
    advaug.AdversarialTransformer : Move rows with an adversarial attack; labels are kept.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn.linear_model import LogisticRegression
    >>> from advaug import AdversarialTransformer
    >>> from advaug.adapters import Budget
    >>> X = pd.DataFrame({"income": [3000.0, 4000, 5000, 6000], "age": [20, 30, 40, 50]})
    >>> model = LogisticRegression().fit(X, [0, 0, 1, 1])
    >>> radius = Budget({"income": 0.1, "age": 50}, total=100)
    >>> attack = AdversarialTransformer(attack="pgd", radius=radius, surrogate=model)
    >>> by = (attack.fit(X).transform(X) - X).abs()
    >>> bool((0.1 * by["income"] + 50 * by["age"] <= 100).all()), bool(by.to_numpy().any())
    (True, True)
    """

    cost: Mapping[Any, float]
    total: float
    limits: Mapping[Any, Any] | None = None

    def __post_init__(self) -> None:
        if not (isinstance(self.total, Real) and 0 < self.total < np.inf):
            raise ValueError(f"total must be a finite number above 0, got {self.total!r}")
        for name, value in self.cost.items():
            if not (isinstance(value, Real) and 0 < value < np.inf):
                raise ValueError(
                    f"cost[{name!r}] must be a finite number above 0, got {value!r}: leave out a "
                    "column that may not move"
                )
        for name in self._limits:
            if name not in self.cost:
                raise ValueError(f"limits names column {name!r}, which has no cost: give it one")

    @property
    def _limits(self) -> dict[Any, Any]:
        return {} if self.limits is None else dict(self.limits.items())

    def __getitem__(self, name: Any) -> tuple[float, float]:
        """The lowest and the highest move that the total and the limits allow."""
        most = self.total / self.cost[name]
        down, up = Reach.of(name, self._limits.get(name, most), "limits")
        return -min(down, most), min(up, most)

    def __iter__(self) -> Iterator[Any]:
        return iter(dict(self.cost.items()))

    def __len__(self) -> int:
        return len(self.cost)

    def times(self, factor: float) -> "Budget":
        """A budget of `factor` times as much, and of limits so many times as wide."""
        limits = {name: np.multiply(factor, value) for name, value in self._limits.items()}
        return Budget(self.cost, self.total * factor, limits)


def budgets_of(radius: Mapping[Any, Any], layout: TableLayout) -> dict[Any, Reach]:
    """The budgets of the columns that may move.

    ValueError for a column that is not there or cannot move, and if none may move.
    """
    budgets = {name: Reach.of(name, value) for name, value in radius.items()}
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


NOTHING = Reach(0.0, 0.0)


def with_budgets(layout: TableLayout, radius: Mapping[Any, Any]) -> TableLayout:
    """The layout whose columns move within their budgets; those without one stay.

    A category that costs more than the total stays, too.
    """
    budgets, units = budgets_of(radius, layout), {}
    if isinstance(radius, Budget):
        units = {name: radius.total / cost for name, cost in radius.cost.items()}
    return replace(
        layout,
        numbers=tuple(
            limited(one, budgets.get(one.name, NOTHING), units.get(one.name))
            for one in layout.numbers
        ),
        categories=tuple(
            replace(
                one,
                is_free=one.is_free and one.name in budgets and units.get(one.name, 1.0) >= 1,
            )
            for one in layout.categories
        ),
    )


def limited(number: Number, budget: Reach, unit: float | None) -> Number:
    """A column of numbers measured by its budget, which counts in days where it holds moments.

    `unit` is what the whole radius buys; by default the larger side of the budget.
    """
    largest = max(budget)
    if not largest:
        return replace(number, is_free=False, reach=(0.0, 0.0))
    ticks = ticks_a_day(number.unit)
    scale = max((unit or largest) * ticks, SMALLEST_UNIT * number.scale)
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
    return level_differs(before, after)


def cost_of_move(cost: float, number: Number, before: Array, after: Array) -> Array:
    """What each cell's move costs, by a cost of one unit (a day where it holds moments)."""
    return np.nan_to_num(np.abs(after - before)) * (cost / ticks_a_day(number.unit))


def level_differs(before: Series, after: Series) -> Array:
    """Which cells hold another level than before."""
    pairs = zip(containers.objects(before), containers.objects(after), strict=True)
    return np.array([a != b for a, b in pairs], dtype=bool)
