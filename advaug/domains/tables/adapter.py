"""Tables: one unit of radius is one robust standard deviation of a column, or one category flip.

Rows become [numbers | flags of missing numbers | one-hot categories]; a missing cell stays
missing, a frozen column stays as it is, and a cell that has not moved is never written.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_array
from torch import Tensor

from advaug import containers
from advaug.containers.columns import Series
from advaug.containers.rows import Frame
from advaug.core.box import Box
from advaug.core.domain import CELLS, Provides
from advaug.core.finite import refuse_not_finite
from advaug.core.parameters import Parameters
from advaug.core.product import Product
from advaug.core.simplex import Simplex
from advaug.core.space import Space
from advaug.sampling.domain import Adapter, Coding

MOST_LEVELS = 31  # a category's rarer levels are seen as one, and never flipped to
COLUMNS = CELLS | {"columns"}
DAY = 86_400
FARTHEST = 1e6  # robust standard deviations: beyond it float32 nets would see infinities


@dataclass
class TabularAdapter(Adapter, Parameters):
    """One unit of radius = one robust standard deviation of a number, or one flip of a category.

    Parameters
    ----------
    frozen : sequence of column names (positions for arrays)
        Columns that no row may change. Free text must be frozen or dropped.
    max_flips : int
        How many categories an attack may flip in one row.

    Examples
    --------
    >>> import pandas as pd
    >>> from advaug.adapters import TabularAdapter
    >>> X = pd.DataFrame({"age": [30, 41, 52, 28], "job": ["a", "b", "a", "b"]})
    >>> TabularAdapter(frozen=["age"]).fit(X).encode(X).shape
    torch.Size([4, 5])
    """

    frozen: Any = ()
    max_flips: int = 1

    @property
    def provides(self) -> Provides:
        return COLUMNS

    def accepts(self, X: Any) -> bool:
        """2-d arrays, frames, sparse matrices, lists of rows."""
        if containers.kind_of_container(X) in ("frame", "sparse"):
            return True
        try:
            return np.ndim(X) == 2
        except ValueError:  # Rows of unequal length.
            return False

    def check(self, X: Any) -> Any:
        """X with lists as arrays; ValueError for no rows, no columns or a repeated name."""
        if containers.kind_of_container(X) != "frame":
            containers.refuse_ragged(X)
            return check_array(
                X, accept_sparse=True, dtype=None, ensure_all_finite=False, allow_nd=True
            )
        containers.refuse_twice(X)
        if not containers.count(X) or not X.shape[1]:
            raise ValueError(
                f"Found array with {X.shape[0]} sample(s) and {X.shape[1]} feature(s) "
                f"(shape={X.shape}) while a minimum of 1 is required."
            )
        return X

    def fit(self, X: Any) -> "TabularCoding":
        """Learn scale, bounds, levels and missing cells; errors name the column and the mend."""
        if isinstance(self.frozen, str):
            raise TypeError(f"frozen must be a list of columns: write frozen=[{self.frozen!r}]")
        if self.max_flips < 0:
            raise ValueError(f"flips must be 0 or more, got {self.max_flips}")
        frame, frozen = containers.open_table(X), list(self.frozen)
        names = list(frame.columns)
        unknown = [name for name in frozen if name not in names]
        if unknown:
            raise ValueError(f"frozen column {unknown[0]!r} is not in X: it has {names}")
        learnt = [learn(frame.get_column(name), name in frozen) for name in names]
        return TabularCoding(
            names=tuple(names),
            numbers=tuple(column for column in learnt if isinstance(column, Number)),
            categories=tuple(column for column in learnt if isinstance(column, Category)),
            flips=self.max_flips,
        )


@dataclass(frozen=True)
class Number:
    """A numeric, boolean or moment column: scaled by median and robust standard deviation."""

    name: Any
    center: float
    scale: float
    grid: float  # distance of neighbouring values in the column's unit, 0 where any is valid
    low: Any
    high: Any
    is_free: bool
    has_missing: bool
    unit: str = ""  # of a moment column: its dtype, ticks and all


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


def learn(column: Series, is_frozen: bool) -> Number | Category | None:
    """What one column is; None for frozen free text, which is only copied."""
    kind = containers.kind_of_column(column)
    if kind in ("text", "category"):
        known, counts = containers.levels(column)
        if kind == "text" and len(known) > 50 and len(known) > 0.2 * counts.sum():
            if is_frozen:
                return None
            raise ValueError(
                f"column {column.name!r} looks like free text ({len(known)} distinct values in "
                f"{counts.sum()} rows): drop it, make it a category dtype, or keep it as it is "
                f"with adapter=TabularAdapter(frozen=[{column.name!r}])"
            )
        return Category(column.name, known[: min(len(known), MOST_LEVELS)], not is_frozen)
    return learn_number(column, kind, is_frozen)


def learn_number(column: Series, kind: str, is_frozen: bool) -> Number:
    values = containers.numbers(column)
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values))[0])
        raise ValueError(
            f"Input X contains infinity: column {column.name!r}, row {row}. Replace it by a "
            "finite value or by a missing one (NaN)"
        )
    there = ~np.isnan(values)
    if not there.any():
        return Number(column.name, 0.0, 1.0, 0.0, 0.0, 0.0, False, True)
    known = values[there]
    quarter, center, three = np.percentile(known, [25, 50, 75])
    spread = (three - quarter) / 1.349 or float(known.std()) or 1.0
    low, high = own_bounds(column, there, kind)
    return Number(
        name=column.name,
        center=float(center),
        scale=float(spread),
        grid=grid_of(known, kind, column),
        low=low,
        high=high,
        is_free=not is_frozen and bool(low != high),
        has_missing=not there.all(),
        unit=str(column.dtype) if kind == "moment" else "",
    )


def own_bounds(column: Series, there: np.ndarray[Any, Any], kind: str) -> tuple[Any, Any]:
    """Least and largest value, with all digits of the column's own dtype."""
    cells = column[np.flatnonzero(there)].to_numpy()
    cells = cells.view(np.int64) if kind == "moment" else cells
    cells = cells.astype(np.float64) if cells.dtype.kind == "O" else cells
    return cells.min(), cells.max()


def grid_of(known: np.ndarray[Any, Any], kind: str, column: Series) -> float:
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


def floats(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


@dataclass(frozen=True)
class TabularCoding(Coding):
    """What `TabularAdapter` has learnt of a table's columns."""

    names: tuple[Any, ...]
    numbers: tuple[Number, ...]
    categories: tuple[Category, ...]
    flips: int = 1

    @property
    def provides(self) -> Provides:
        is_plain = not any(number.has_missing or number.unit for number in self.numbers)
        return COLUMNS | {"affine_columns"} if is_plain and not self.categories else COLUMNS

    @property
    def _flagged(self) -> list[int]:
        return [k for k, number in enumerate(self.numbers) if number.has_missing]

    @property
    def first_category(self) -> int:
        """Where the categories begin in an encoded row."""
        return len(self.numbers) + len(self._flagged)

    @property
    def most_levels(self) -> int:
        """How many places each category takes."""
        return max((category.width for category in self.categories), default=0)

    def _table(self, X: Any) -> Frame:
        frame = containers.open_table(X)
        if len(frame.columns) != len(self.names):
            raise ValueError(
                f"X has {len(frame.columns)} features, but was fitted with {len(self.names)}"
            )
        return frame

    def _cells(self, frame: Frame, column: Number | Category) -> Series:
        return frame.get_column(frame.columns[self.names.index(column.name)])

    def encode(self, X: Any) -> Tensor:
        """(rows, numbers + flags + categories * levels) float32."""
        frame = self._table(X)
        flagged, levels = self._flagged, self.most_levels
        first_category = self.first_category
        x = np.zeros((len(frame), first_category + levels * len(self.categories)), np.float32)
        for k, number in enumerate(self.numbers):
            cells = self._cells(frame, number)
            if number.unit and str(cells.dtype) != number.unit:
                raise ValueError(
                    f"column {number.name!r} is {cells.dtype}, but was {number.unit} in fit: bring "
                    "both to one unit"
                )
            with np.errstate(over="ignore"):
                scaled = (containers.numbers(cells) - number.center) / number.scale
            if np.isinf(scaled).any():
                row = int(np.flatnonzero(np.isinf(scaled))[0])
                raise ValueError(f"Input X contains infinity: column {number.name!r}, row {row}")
            absent = np.isnan(scaled)
            x[:, k] = np.where(absent, 0.0, np.clip(scaled, -FARTHEST, FARTHEST))
            if k in flagged:
                x[:, len(self.numbers) + flagged.index(k)] = absent
        for k, category in enumerate(self.categories):
            code = containers.codes(self._cells(frame, category), category.known)
            place = np.where(code < 0, category.width + code, code)  # -1 missing, -2 rare
            x[np.arange(len(frame)), first_category + k * levels + place] = 1
        return torch.from_numpy(x)

    def native(self, x: Tensor) -> Tensor:
        """(rows, columns) in the columns' own units, for a net that was trained on them."""
        if self.categories:
            raise ValueError(
                f"a torch module cannot read the category columns "
                f"{[c.name for c in self.categories]}: encode them as numbers first, or use "
                "surrogate='auto'"
            )
        order = torch.tensor([self.names.index(n.name) for n in self.numbers], device=x.device)
        scale = torch.tensor([n.scale for n in self.numbers], device=x.device, dtype=x.dtype)
        center = torch.tensor([n.center for n in self.numbers], device=x.device, dtype=x.dtype)
        return (x[:, : len(self.numbers)] * scale + center)[:, order.argsort()]

    def space(self, norm: float = math.inf) -> Space:
        """Bounds, grids, frozen and missing cells for numbers; levels for categories."""
        box = self._box(norm)
        if not self.categories:
            return box
        shape = (len(self.categories), self.most_levels)
        reachable, never_left = (
            torch.zeros(shape, dtype=torch.bool),
            torch.zeros(shape, dtype=torch.bool),
        )
        for k, category in enumerate(self.categories):
            reachable[k, : len(category.known)] = category.is_free
            never_left[k, category.width - 1] = True
        simplex = Simplex(reachable, never_left, self.flips)
        return (
            Product((box, simplex), ((self.first_category,), shape))
            if self.first_category
            else Product((simplex,), (shape,))
        )

    def _box(self, norm: float) -> Box:
        flagged = self._flagged
        flags = [0.0] * len(flagged)
        scaled = [
            (float(n.low) - n.center, float(n.high) - n.center, n.scale) for n in self.numbers
        ]
        missing_flag = [
            len(self.numbers) + flagged.index(k) if k in flagged else -1
            for k in range(len(self.numbers))
        ]
        return Box(
            lower=floats([low / scale for low, _, scale in scaled] + flags),
            upper=floats([high / scale for _, high, scale in scaled] + [1.0] * len(flagged)),
            norm=norm,
            free=torch.tensor([n.is_free for n in self.numbers] + [False] * len(flagged)),
            grid=floats([n.grid / n.scale for n in self.numbers] + flags)
            if any(n.grid for n in self.numbers)
            else None,
            missing_flag=torch.tensor(missing_flag + [-1] * len(flagged)) if flagged else None,
        )

    def decode(self, moved: Tensor, seed: Tensor, rows: Any) -> Any:
        """Copies of the rows with moved cells written in the columns' own dtypes."""
        refuse_not_finite(moved)
        frame = self._table(rows)
        by = (moved.double() - seed.double()).numpy()
        edited = {}
        for k, number in enumerate(self.numbers):
            shift = by[:, k] * number.scale
            if number.grid:
                shift = np.rint(shift / number.grid) * number.grid
            cells = np.flatnonzero(shift)
            if number.is_free and len(cells):
                column = self._cells(frame, number)
                edited[column.name] = containers.add_to_cells(
                    column, cells, shift[cells], number.low, number.high
                )
        for column in self._flipped(moved, seed, frame):
            edited[column.name] = column
        columns = [edited.get(name, frame.get_column(name)) for name in frame.columns]
        return containers.close_table(rows, frame.with_columns(*columns))

    def _flipped(self, moved: Tensor, seed: Tensor, frame: Frame) -> list[Series]:
        """The category columns in which a row has flipped, edited."""
        first = self.first_category
        shape = (len(moved), len(self.categories), self.most_levels)
        if not self.categories:
            return []
        after = moved[:, first:].reshape(shape).argmax(-1)
        before = seed[:, first:].reshape(shape).argmax(-1)
        columns = []
        for k, category in enumerate(self.categories):
            cells = (after[:, k] != before[:, k]).nonzero()[:, 0].numpy()
            if len(cells):
                column = self._cells(frame, category)
                columns.append(
                    containers.put_cells(column, cells, category.known[after[cells, k].numpy()])
                )
        return columns

    def changes(self, before: Any, after: Any) -> list[dict[str, Any]]:
        """For each row what moved: column -> (before, after)."""
        old, new = self._table(before), self._table(after)
        moved: list[dict[str, Any]] = [{} for _ in range(len(old))]
        for name in old.columns:
            a, b = (
                containers.objects(old.get_column(name)),
                containers.objects(new.get_column(name)),
            )
            for row in np.flatnonzero([x != y for x, y in zip(a, b, strict=True)]):
                moved[row][name] = (a[row], b[row])
        return moved
