"""What the columns of a table are, and where each of them stands in an encoded row.

A number has a scale, bounds and a grid; a category has levels.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from advaug import containers
from advaug.containers.columns import Series

MOST_LEVELS = 31  # An encoded row has one place for all rarer levels, and no row flips to them.
DAY = 86_400  # seconds

Array: TypeAlias = np.ndarray[Any, Any]


def in_whole_steps(shift: Array, grid: float) -> Array:
    """Differences rounded to whole steps of a column's grid; a grid of 0 has no steps."""
    return np.rint(shift / grid) * grid if grid else shift


@dataclass(frozen=True)
class Number:
    """A column of numbers, booleans or moments: scaled by median and robust standard deviation."""

    name: Any
    center: float
    scale: float
    grid: float  # distance of neighbouring values, in the column's unit; 0 if any value is valid
    low: Any
    high: Any
    is_free: bool
    has_missing: bool
    unit: str = ""  # the dtype of a column of moments, which names its ticks


@dataclass(frozen=True)
class Category:
    """A column of levels: `known` are those a row may flip to, most frequent first."""

    name: Any
    known: Series
    is_free: bool

    @property
    def width(self) -> int:
        """Known levels, one place for rarer ones, one for a missing value."""
        return len(self.known) + 2


def learn_column(column: Series, is_frozen: bool) -> Number | Category | None:
    """What one column is; None for frozen free text, which is only copied."""
    kind = containers.kind_of_column(column)
    if kind == "unreadable":
        if is_frozen:
            return None
        mend = containers.mend_of(column)
        raise TypeError(
            f"column {column.name!r} ({column.dtype}) cannot be read: {mend}; drop it, or keep it "
            f"as it is with adapter=TabularAdapter(frozen=[{column.name!r}])"
        )
    if kind in ("text", "category"):
        known, counts = containers.levels(column)
        if kind == "text" and containers.is_free_text(column):
            if is_frozen:
                return None
            mend = containers.mend_of_free_text(column)
            raise ValueError(
                f"column {column.name!r} looks like free text ({len(known)} distinct values in "
                f"{counts.sum()} rows): {mend}drop it, make it a category dtype, or keep it as it "
                f"is with adapter=TabularAdapter(frozen=[{column.name!r}])"
            )
        return Category(column.name, known[: min(len(known), MOST_LEVELS)], not is_frozen)
    return learn_number(column, kind, is_frozen)


def learn_number(column: Series, kind: str, is_frozen: bool) -> Number:
    """Scale, bounds and grid of a column of numbers, booleans or moments."""
    values = containers.numbers(column)
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values))[0])
        raise ValueError(
            f"Input X contains infinity: column {column.name!r}, row {row}. Replace it by a "
            "finite value or by a missing one (NaN)"
        )
    is_known = ~np.isnan(values)
    if not is_known.any():
        return Number(column.name, 0.0, 1.0, 0.0, 0.0, 0.0, False, True)
    known = values[is_known]
    with np.errstate(over="ignore"):
        is_finite = bool(np.isfinite(known.max() - known.min()))
    if not is_finite:
        raise ValueError(
            f"column {column.name!r} spans more than floats can hold, from {known.min():g} to "
            f"{known.max():g}: divide it, or take its logarithm"
        )
    lower, center, upper = np.percentile(known, [25, 50, 75])
    spread = (upper - lower) / 1.349 or spread_of(known) or 1.0
    low, high = bounds_of(column, is_known, kind)
    return Number(
        name=column.name,
        center=float(center),
        scale=float(spread),
        grid=grid_of(known, kind, column),
        low=low,
        high=high,
        is_free=not is_frozen and bool(low != high),
        has_missing=not is_known.all(),
        unit=str(column.dtype) if kind == "moment" else "",
    )


def spread_of(known: Array) -> float:
    """The standard deviation, of numbers too whose squares are too large for floats."""
    size = float(np.abs(known).max())
    return size * float((known / size).std()) if size else 0.0


def bounds_of(column: Series, is_known: Array, kind: str) -> tuple[Any, Any]:
    """Least and largest value, with all digits of the column's own dtype."""
    cells = column.to_numpy() if is_known.all() else column[np.flatnonzero(is_known)].to_numpy()
    cells = cells.view(np.int64) if kind == "moment" else cells
    cells = cells.astype(np.float64) if cells.dtype.kind == "O" else cells
    return cells.min(), cells.max()


def grid_of(known: Array, kind: str, column: Series) -> float:
    """Distance between neighbouring values: 1 for whole numbers, whole days for plain dates."""
    if kind in ("integer", "boolean"):
        return 1.0
    if kind == "number":
        return 1.0 if np.array_equal(known, np.rint(known)) else 0.0
    tick = np.datetime_data(column.to_numpy().dtype)[0]
    second = {"D": 1 / DAY, "s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}.get(tick, 1.0)
    for unit in (DAY * second, 3600 * second, 60 * second, second):
        if unit >= 1 and not np.any(np.mod(known, unit)):
            return unit
    return 1.0


@dataclass(frozen=True)
class TableLayout:
    """The columns of a table, and their places in an encoded row.

    An encoded row is [numbers | flags of missing numbers | one-hot categories]. `names` are all
    columns in the table's order; frozen free text is neither a number nor a category.
    """

    names: tuple[Any, ...]
    numbers: tuple[Number, ...]
    categories: tuple[Category, ...]

    @cached_property
    def places(self) -> dict[Any, int]:
        """Each column's place in the table."""
        return {name: place for place, name in enumerate(self.names)}

    @property
    def flagged(self) -> list[int]:
        """The numbers that have a flag, since some of their cells are missing."""
        return [k for k, number in enumerate(self.numbers) if number.has_missing]

    @property
    def flags(self) -> list[int]:
        """The place of each number's flag; -1 where it has none."""
        place = count(len(self.numbers))
        return [next(place) if number.has_missing else -1 for number in self.numbers]

    @property
    def first_category(self) -> int:
        """Where the categories begin in an encoded row."""
        return len(self.numbers) + len(self.flagged)

    @property
    def most_levels(self) -> int:
        """How many places each category takes."""
        return max((category.width for category in self.categories), default=0)

    def one_hot(self, x: Tensor, category: int) -> Tensor:
        """(rows, levels): a view of one category in encoded rows."""
        start = self.first_category + category * self.most_levels
        return x[:, start : start + self.most_levels]

    def levels(self, x: Tensor) -> Tensor:
        """(rows, categories): the place of each row's level."""
        shape = (len(x), len(self.categories), self.most_levels)
        return x[:, self.first_category :].reshape(shape).argmax(-1)
