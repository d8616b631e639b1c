"""What the columns of a table are, and where each of them stands in an encoded row.

A number has a scale, bounds and a grid; a category has levels.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from advaug import containers
from advaug.containers.columns import Series
from advaug.domains.tables.calendars import Calendar, find_calendar, moment_calendar
from advaug.domains.tables.identifiers import Identifier, find_identifier, is_code
from advaug.domains.tables.value_sets import ValueSet, are_whole, learn_value_set

MOST_LEVELS = 31  # An encoded row has one place for all rarer levels, and no row flips to them.
DAY = 86_400  # seconds

Array: TypeAlias = np.ndarray[Any, Any]


def in_whole_steps(shift: Array, grid: float) -> Array:
    """Differences rounded to whole steps of a column's grid; a grid of 0 has no steps."""
    return np.rint(shift / grid) * grid if grid else shift


@dataclass(frozen=True)
class Number:
    """A column of numbers, booleans or moments: scaled by median and robust standard deviation.

    All figures are in units of the column: numbers that spell a date count in days, moments of
    which more is known than their unit count in whole days, minutes and so on.
    """

    name: Any
    center: float
    scale: float
    grid: float  # distance of neighbouring values; 0 if any value is valid
    low: Any
    high: Any
    is_free: bool
    has_missing: bool
    unit: str = ""  # the dtype of a column of moments, which names its ticks
    values: ValueSet = field(default_factory=ValueSet)
    calendar: Calendar | None = None
    n_rows: int = 0  # rows without a missing cell
    reach: tuple[float, float] | None = None  # largest moves down and up; None: the radius alone
    is_amount: bool = False  # of a sparse matrix: see `advaug.domains.tables.amounts`

    @property
    def is_plain(self) -> bool:
        """Whether whole steps of the grid from a real value are all that is known of it."""
        return self.calendar is None and self.values.is_free and not self.values.known.size

    @property
    def is_continuous(self) -> bool:
        """Whether any number between its bounds may occur."""
        return self.calendar is None and self.values.is_free and not self.grid

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the largest value that is no special one."""
        return self.values.ends if len(self.values.atoms) else (float(self.low), float(self.high))

    def counted(self, values: Array) -> Array:
        """The column's own numbers in its units."""
        return values if self.calendar is None else self.calendar.count(values)

    def spelt(self, values: Array) -> Array:
        """Numbers in its units as the column spells them."""
        return values if self.calendar is None else self.calendar.spell(values)

    def shown(self, value: float) -> str:
        """A number in its units as the column shows it."""
        return f"{value:g}" if self.calendar is None else self.calendar.shown(value)

    def read(self, column: Series) -> Array:
        """The cells in the column's units, NaN where one is missing."""
        return self.counted(containers.numbers(column))

    def valid(self, values: Array, parent: Array) -> Array:
        """The nearest values that the column may hold, within its bounds or at the parent's."""
        near = self.values.nearest(values)
        return near.clip(np.fmin(parent, float(self.low)), np.fmax(parent, float(self.high)))

    def widened(self, low: Any, high: Any) -> "Number":
        """The column with the bounds of more rows; one whose numbers spell dates stays as it is."""
        if self.calendar is not None:
            return self
        own = np.asarray(self.low).dtype.type
        return replace(self, low=min(self.low, own(low)), high=max(self.high, own(high)))

    def moved(self, column: Series, rows: Array, shift: Array) -> Series:
        """The column with the cells at `rows` moved by `shift`, to values that it may hold."""
        if self.is_plain:
            return containers.add_to_cells(column, rows, shift, self.low, self.high)
        before = self.read(column)[rows]
        after = self.valid(before + shift, before)
        is_moved = ~np.isnan(before) & (after != before)
        if not is_moved.any():
            return column
        return containers.put_numbers(column, rows[is_moved], self.spelt(after[is_moved]))


@dataclass(frozen=True)
class Category:
    """A column of levels: `known` are those a row may flip to, most frequent first."""

    name: Any
    known: Series
    is_free: bool
    n_rows: int = 0  # rows without a missing cell
    is_code: bool = False  # Its levels are numbers.

    @property
    def width(self) -> int:
        """Known levels, one place for rarer ones, one for a missing value."""
        return len(self.known) + 2


def learn_column(
    column: Series, is_frozen: bool, *, finds_values: bool = True
) -> Number | Category | Identifier | None:
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
    cells = containers.numbers(column) if kind not in ("text", "category") else None
    if finds_values and not is_frozen:
        if identifier := find_identifier(column, kind, cells):
            return identifier
        if cells is not None and is_code(column, kind, cells):
            known, counts = containers.levels(column)
            return replace(category_of(column, known, counts, is_frozen), is_code=True)
    if cells is None:
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
        return category_of(column, known, counts, is_frozen)
    return learn_number(column, kind, cells, is_frozen, finds_values=finds_values)


def category_of(column: Series, known: Series, counts: Array, is_frozen: bool) -> Category:
    most = known[: min(len(known), MOST_LEVELS)]
    return Category(column.name, most, not is_frozen, int(counts.sum()))


def learn_number(
    column: Series, kind: str, cells: Array, is_frozen: bool, *, finds_values: bool = True
) -> Number:
    """Scale, bounds and values of a column of numbers, booleans or moments."""
    if np.isinf(cells).any():
        row = int(np.flatnonzero(np.isinf(cells))[0])
        raise ValueError(
            f"Input X contains infinity: column {column.name!r}, row {row}. Replace it by a "
            "finite value or by a missing one (NaN)"
        )
    is_known = ~np.isnan(cells)
    if not is_known.any():
        return Number(column.name, 0.0, 1.0, 0.0, 0.0, 0.0, False, True)
    known, values, calendar = cells[is_known], ValueSet(), None
    with np.errstate(over="ignore"):
        is_finite = bool(np.isfinite(known.max() - known.min()))
    if not is_finite:
        raise ValueError(
            f"column {column.name!r} spans more than floats can hold, from {known.min():g} to "
            f"{known.max():g}: divide it, or take its logarithm"
        )
    low, high = bounds_of(column, is_known, kind)
    if finds_values and kind in ("number", "integer"):
        calendar = find_calendar(known)
        known = known if calendar is None else calendar.count(known)
        values = learn_value_set(known, is_coarse=containers.is_coarse(column))
    elif finds_values and kind == "moment":
        calendar, values = learn_moments(known, column)
        known = known if calendar is None else calendar.count(known)
    if calendar is not None:
        low, high = known.min(), known.max()
    elif kind == "integer" and values.is_whole:
        values = ValueSet()  # The grid says it all, and keeps whole numbers beyond 2**53 exact.
    grid = 1.0 if calendar is not None else grid_of(known, kind, column)
    center, spread = center_and_spread(known[~np.isin(known, values.atoms)])
    return Number(
        name=column.name,
        center=center,
        scale=spread,
        grid=grid if values.step is None else values.step.width,
        low=low,
        high=high,
        is_free=not is_frozen and bool(low != high),
        has_missing=not is_known.all(),
        unit=str(column.dtype) if kind == "moment" else "",
        values=values,
        calendar=calendar,
        n_rows=len(known),
    )


def learn_moments(known: Array, column: Series) -> tuple[Calendar | None, ValueSet]:
    """How moments are counted, and what they hold; nothing where any whole unit may occur."""
    calendar = moment_calendar(known, column.to_numpy().dtype)
    if calendar is None:
        return None, ValueSet()
    values = replace(learn_value_set(calendar.count(known)), known=np.empty((2, 0)))
    is_plain = calendar.is_whole_units and (values.is_whole or values.is_free)
    return (None, ValueSet()) if is_plain else (calendar, values)


def center_and_spread(known: Array) -> tuple[float, float]:
    """Median and robust standard deviation, 1 of equal values."""
    lower, center, upper = np.percentile(known, [25, 50, 75])
    return float(center), float((upper - lower) / 1.349 or spread_of(known) or 1.0)


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
        return 1.0 if are_whole(known) else 0.0
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
    columns in the table's order; frozen free text and identifiers are neither a number nor a
    category.
    """

    names: tuple[Any, ...]
    numbers: tuple[Number, ...]
    categories: tuple[Category, ...]
    identifiers: tuple[Identifier, ...] = ()

    @cached_property
    def places(self) -> dict[Any, int]:
        """Each column's place in the table."""
        return {name: place for place, name in enumerate(self.names)}

    @cached_property
    def amounts(self) -> dict[int, int]:
        """The columns of amounts: their places in the table, and among the numbers."""
        return {self.places[one.name]: k for k, one in enumerate(self.numbers) if one.is_amount}

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
        cells = x[:, self.first_category :].reshape(shape)
        return torch.from_numpy(cells.numpy().argmax(-1))
