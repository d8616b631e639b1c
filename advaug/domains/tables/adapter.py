"""Tables: one unit of radius is one robust standard deviation of a column, or one category flip.

Rows become [numbers | flags of missing numbers | one-hot categories]; a missing cell stays
missing, a frozen column stays as it is, and a cell that has not moved is never written.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from sklearn.utils import check_array
from torch import Tensor

from advaug import containers
from advaug.containers.columns import Series
from advaug.containers.rows import Frame
from advaug.core.box import Box, SpecialValues
from advaug.core.domain import AFFINE_COLUMNS, CELLS, Capabilities
from advaug.core.features import Features, varying_features
from advaug.core.finite import refuse_not_finite
from advaug.core.parameters import Parameters, is_auto
from advaug.core.product import Product
from advaug.core.short_repr import ShortRepr
from advaug.core.simplex import Simplex
from advaug.core.space import Space
from advaug.domains.tables.amounts import learn_amounts, moved_amounts
from advaug.domains.tables.budget import (
    SLACK,
    Budget,
    cost_of_move,
    has_flipped,
    is_beyond,
    level_differs,
    moved_in_budget,
    with_budgets,
)
from advaug.domains.tables.cell_checks import drifts, faults, findings
from advaug.domains.tables.columns import (
    Array,
    Category,
    Number,
    TableLayout,
    in_whole_steps,
    learn_column,
)
from advaug.domains.tables.continuous import learn_continuous
from advaug.domains.tables.dependence import dependence
from advaug.domains.tables.identifiers import Identifier
from advaug.domains.tables.table_constraints import TableConstraints
from advaug.domains.tables.tell_tale import tell_tale
from advaug.domains.tables.wide_features import WIDE, WideFeatures
from advaug.models.committee import Ensemble
from advaug.sampling.changes import Changes
from advaug.sampling.constraints import Finding
from advaug.sampling.defaults import Defaults
from advaug.sampling.domain import Adapter, Coding
from advaug.sampling.faults import Dependence, Drift, Fault, TellTale

Edit: TypeAlias = Callable[[Series], Series]

COLUMNS = CELLS | {"columns"}
FINEST_STEP = 1e-4  # Encoded rows are rounded to steps of so many scales; cells to finer ones too.
FARTHEST = 1e6  # Robust standard deviations; nets in float32 would see infinities beyond it.


@dataclass
class TabularAdapter(Adapter, Parameters):
    """One unit of radius = one robust standard deviation of a number, or one flip of a category.

    Parameters
    ----------
    frozen : sequence of column names (positions for arrays)
        Columns that no row may change. Free text must be frozen or dropped.
    max_flips : int
        How many categories an attack may flip in one row.
    value_sets : "auto" or None, default="auto"
        "auto" finds which values a column may hold, and new cells hold no others: the step of its
        numbers (cents, halves, multiples of 5), few distinct values, special values such as 0 or
        -999 with nothing between them and the others, whole numbers that spell a date or a time,
        codes. Identifiers are not learnt from, and new rows get fresh ones. `findings_` of the
        over-sampler lists what was found. None keeps ranges and whole numbers only.

    See Also
    --------
    advaug.adapters.SequenceAdapter :
        One unit of radius = one edit: a token substituted, inserted, deleted, or two swapped.
    advaug.adapters.SignalAdapter : One unit of radius = one standard deviation of a channel.
    advaug.adapters.ImageAdapter : One unit of radius = black to white.

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
    value_sets: Literal["auto"] | None = "auto"

    @property
    def provides(self) -> Capabilities:
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
            containers.refuse_complex(X)
            X = check_array(
                containers.unmixed(X),
                accept_sparse=True,
                dtype=None,
                ensure_all_finite=False,
                allow_nd=True,
            )
            warn_of_padding(X)
            return X
        containers.refuse_twice(X)
        if not containers.count(X) or not X.shape[1]:
            raise ValueError(
                f"Found array with {X.shape[0]} sample(s) and {X.shape[1]} feature(s) "
                f"(shape={X.shape}) while a minimum of 1 is required."
            )
        return X

    def fit(self, X: Any) -> "TabularCoding":
        """Learn scale, bounds, levels, values and missing cells of each column."""
        if not (self.value_sets is None or is_auto(self.value_sets)):
            raise ValueError(f"value_sets must be 'auto' or None, got {self.value_sets!r}")
        if isinstance(self.frozen, str):
            raise TypeError(f"frozen must be a list of columns: write frozen=[{self.frozen!r}]")
        if self.max_flips < 0:
            raise ValueError(f"max_flips must be 0 or more, got {self.max_flips}")
        containers.refuse_untakeable_columns(X)
        names, frozen = containers.column_names(X), list(self.frozen)
        unknown = [name for name in frozen if name not in names]
        if unknown:
            raise ValueError(f"frozen column {unknown[0]!r} is not in X: it has {names}")
        layout = learn_layout(X, frozen, finds_values=self.value_sets is not None)
        return TabularCoding(layout, self.max_flips, self.value_sets is not None)


def learn_layout(X: Any, frozen: list[Any], *, finds_values: bool) -> TableLayout:
    """What each column is; identifiers are numbers or levels where there is nothing else."""
    found: dict[int, Number | Category | Identifier | None] = {}
    if finds_values and containers.is_sparse_floats(X):
        found |= learn_amounts(X, frozen)
    elif finds_values and containers.is_float_array(X):
        found |= learn_continuous(X, frozen)
    for place, column in containers.each_column(X, skipped=[*found]):
        found[place] = learn_column(column, column.name in frozen, finds_values=finds_values)
    columns = [found[place] for place in sorted(found)]
    if not any(isinstance(column, Number | Category) for column in columns) and finds_values:
        return learn_layout(X, frozen, finds_values=False)
    return TableLayout(
        names=tuple(containers.column_names(X)),
        numbers=tuple(column for column in columns if isinstance(column, Number)),
        categories=tuple(column for column in columns if isinstance(column, Category)),
        identifiers=tuple(column for column in columns if isinstance(column, Identifier)),
    )


def warn_of_padding(X: Any) -> None:
    """UserWarning where a table looks like rows of tokens that are padded with zeros."""
    if containers.looks_padded(X):
        warnings.warn(
            "X looks like rows of tokens, padded with zeros, and is read as a table of numbers: "
            "if they are tokens, pass [row[row != 0] for row in X]",
            UserWarning,
            stacklevel=5,
        )


def scaled_cells(column: Series, number: Number) -> Array:
    """A column in robust standard deviations from its median, NaN where a cell is missing."""
    is_other = str(column.dtype) != number.unit
    if number.unit and is_other and not containers.missing(column).all():
        raise ValueError(
            f"column {number.name!r} is {column.dtype}, but was {number.unit} in fit: bring "
            "both to one unit"
        )
    if not number.unit:
        containers.refuse_no_numbers(column)
    with np.errstate(over="ignore"):
        scaled: Array = (number.read(column) - number.center) / number.scale
    if np.isinf(scaled).any():
        row = int(np.flatnonzero(np.isinf(scaled))[0])
        raise ValueError(f"Input X contains infinity: column {number.name!r}, row {row}")
    return scaled


def level_places(column: Series, category: Category) -> Array:
    """The place of each cell's level; rare levels and missing cells have one each, the last two."""
    containers.refuse_other_levels(column, category.known)
    code = containers.codes(column, category.known)
    return np.where(code < 0, category.width + code, code)  # -1 is missing, -2 is rare.


def encoded(numbers: Sequence[Number], values: Array) -> list[float]:
    """A value of each column, in its units, as encoded rows hold it."""
    center, scale = (
        np.fromiter((getattr(number, name) for number in numbers), np.float64, len(numbers))
        for name in ("center", "scale")
    )
    found: list[float] = np.clip((values - center) / scale, -FARTHEST, FARTHEST).tolist()
    return found


def encoded_each(numbers: Sequence[Number], values: Sequence[Array]) -> list[list[float]]:
    """The same of several values of each column."""
    of = [number for number, own in zip(numbers, values, strict=True) for _ in own]
    found = iter(encoded(of, np.concatenate([np.empty(0), *values])))
    return [[*islice(found, len(own))] for own in values]


def floats(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


SHORTER = (1 - 1e-5, 1 - 1e-3, 0.9, 0.5, 0.0)  # Of a row that is beyond its total by rounding.


@dataclass(frozen=True, repr=False)
class TabularCoding(ShortRepr, Coding):
    """What `TabularAdapter` has learnt of a table's columns."""

    layout: TableLayout
    max_flips: int = 1
    finds_values: bool = True
    without_budgets: "TabularCoding | None" = None
    spending: Budget | None = None

    @property
    def provides(self) -> Capabilities:
        """`AFFINE_COLUMNS` too where all columns are numbers, none a date or with missing cells."""
        layout = self.layout
        is_affine = not any(n.has_missing or n.unit or n.calendar for n in layout.numbers)
        is_affine &= not layout.categories and not layout.identifiers
        return COLUMNS | {AFFINE_COLUMNS} if is_affine else COLUMNS

    @property
    def _category_names(self) -> list[Any]:
        return [category.name for category in self.layout.categories]

    def _refuse_other_width(self, X: Any) -> None:
        """ValueError where X has fewer or more columns than in fit."""
        names, known = containers.column_names(X), self.layout.names
        if len(names) != len(known):
            raise ValueError(
                f"X has {len(names)} features, but was fitted with {len(known)}: "
                f"{containers.other_names(known, names)}"
            )

    def _table(self, X: Any) -> Frame:
        self._refuse_other_width(X)
        return containers.open_table(X, self._category_names)

    def encode(self, X: Any) -> Tensor:
        """(rows, numbers + flags + categories * levels) float32."""
        self._refuse_other_width(X)
        layout, n = self.layout, containers.count(X)
        numbers = {layout.places[number.name]: k for k, number in enumerate(layout.numbers)}
        categories = {layout.places[one.name]: k for k, one in enumerate(layout.categories)}
        levels, first_category = layout.most_levels, layout.first_category
        x = np.zeros((n, first_category + levels * len(categories)), np.float32)
        flags = layout.flags
        amounts = self._put_amounts(x, X)
        for place, column in containers.each_column(X, self._category_names, amounts):
            if (k := numbers.get(place)) is not None:
                scaled = scaled_cells(column, layout.numbers[k])
                is_missing = np.isnan(scaled)
                x[:, k] = np.where(is_missing, 0.0, np.clip(scaled, -FARTHEST, FARTHEST))
                if flags[k] >= 0:
                    x[:, flags[k]] = is_missing
            elif (k := categories.get(place)) is not None:
                at = level_places(column, layout.categories[k])
                x[np.arange(n), first_category + k * levels + at] = 1
        return torch.from_numpy(x)

    def _put_amounts(self, x: Array, X: Any) -> list[int]:
        """Write the columns of amounts of a sparse matrix into encoded rows; their places."""
        if not (self.layout.amounts and containers.is_sparse_floats(X)):
            return []
        rows, columns, values = containers.nonzeros(X)
        if not np.isfinite(values).all():
            return []  # Column by column an error names the cell.
        places, at = (np.array([*each]) for each in zip(*self.layout.amounts.items(), strict=True))
        scale = np.array([self.layout.numbers[k].scale for k in at])
        is_amount = np.isin(columns, places)
        of = np.searchsorted(places, columns[is_amount])
        x[rows[is_amount], at[of]] = (values[is_amount] / scale[of]).clip(-FARTHEST, FARTHEST)
        return places.tolist()

    def native(self, x: Tensor) -> Tensor:
        """(rows, columns) in the columns' own units, for a net that was trained on them."""
        numbers, categories = self.layout.numbers, self.layout.categories
        found = [one.name for one in self.layout.identifiers]
        found += [number.name for number in numbers if number.calendar]
        found += [category.name for category in categories if category.is_code]
        if found:
            raise ValueError(
                f"a torch module cannot read the columns {found} as dates, codes "
                "or identifiers: pass adapter=TabularAdapter(value_sets=None), which reads them as "
                "numbers"
            )
        if categories:
            raise ValueError(
                f"a torch module cannot read the category columns {[c.name for c in categories]}: "
                "encode them as numbers first, or use surrogate='auto'"
            )
        order = torch.tensor([self.layout.names.index(n.name) for n in numbers], device=x.device)
        scale = torch.tensor([n.scale for n in numbers], device=x.device, dtype=x.dtype)
        center = torch.tensor([n.center for n in numbers], device=x.device, dtype=x.dtype)
        return (x[:, : len(numbers)] * scale + center)[:, order.argsort()]

    def other_units(self) -> dict[str, Callable[[Tensor], Tensor]]:
        """Columns as scikit-learn's usual scalers give them, if all are numbers."""
        if AFFINE_COLUMNS not in self.provides:
            return {}

        def standardized(x: Tensor) -> Tensor:
            values = self.native(x)
            return (values - values.mean(0)) / values.std(0).clamp_min(1e-12)

        def in_unit(x: Tensor) -> Tensor:
            values = self.native(x)
            low, high = values.amin(0), values.amax(0)
            return (values - low) / (high - low).clamp_min(1e-12)

        return {
            "StandardScaler().fit_transform(X)": standardized,
            "MinMaxScaler().fit_transform(X)": in_unit,
        }

    def budgeted(self, radius: Any) -> "TabularCoding":
        """The coding in which a radius of 1 is each column's own budget."""
        if not hasattr(radius, "items"):
            raise TypeError(f"radius must be a number or column -> budget, got {radius!r}")
        layout = with_budgets(self.layout, radius)
        spending = radius if isinstance(radius, Budget) else None
        return replace(self, layout=layout, without_budgets=self, spending=spending)

    def widened(self, bounds: Mapping[Any, tuple[Any, Any]]) -> "TabularCoding":
        """The coding with the bounds of a larger table of which the rows of `fit` were a part."""
        numbers = tuple(
            number.widened(*bounds[number.name]) if number.name in bounds else number
            for number in self.layout.numbers
        )
        return replace(self, layout=replace(self.layout, numbers=numbers))

    @property
    def base(self) -> "TabularCoding":
        return self if self.without_budgets is None else self.without_budgets

    def in_base(self, x: Tensor) -> Tensor:
        return x if self.without_budgets is None else x * self._units(x)

    def from_base(self, x: Tensor) -> Tensor:
        return x if self.without_budgets is None else x / self._units(x)

    def _units(self, x: Tensor) -> Tensor:
        """(width,): the unit of each number, in those of the coding without budgets."""
        pairs = zip(self.layout.numbers, self.base.layout.numbers, strict=True)
        units = [own.scale / other.scale for own, other in pairs]
        return torch.tensor(units + [1.0] * (x.shape[1] - len(units)), dtype=x.dtype).to(x.device)

    def over_budget(self, new_rows: Any, rows: Any) -> Array:
        """Which rows have a cell beyond its budget, after repairs for example."""
        is_over = np.zeros(containers.count(rows), dtype=bool)
        if self.without_budgets is None:
            return is_over
        frames, places = (self._table(rows), self._table(new_rows)), self.layout.places
        for number in self.layout.numbers:
            is_over |= is_beyond(number, *(number.read(f[:, places[number.name]]) for f in frames))
        for category in self.layout.categories:
            is_over |= has_flipped(category, *(f[:, places[category.name]] for f in frames))
        return is_over | self._overspent(*frames)

    def _overspent(self, before: Frame, after: Frame) -> Array:
        """Which rows have spent more than their total."""
        spent = np.zeros(len(before))
        if self.spending is None:
            return spent > 0
        cost, places = self.spending.cost, self.layout.places
        for number in self.layout.numbers:
            if number.is_free and number.name in cost:
                values = (number.read(f[:, places[number.name]]) for f in (before, after))
                spent += cost_of_move(cost[number.name], number, *values)
        for category in self.layout.categories:
            if category.is_free:
                cells = (f[:, places[category.name]] for f in (before, after))
                spent += cost[category.name] * level_differs(*cells)
        return spent > self.spending.total + SLACK

    def features(self, x: Tensor, generator: torch.Generator) -> Features:
        """The cells of a row but those that no row fills, such as those of unused levels.

        Of thousands of cells their principal components, and the cells most used.
        """
        return WideFeatures.learn(x) if x.shape[1] > WIDE else varying_features(x)

    def defaults(self) -> Defaults:
        """A committee of six members: beside trees that vote, twelve are right no more often."""
        return Defaults(ensemble=Ensemble(n_repeats=2, batch_size=64))

    def space(self, norm: float = math.inf) -> Space:
        """Bounds, grids, frozen and missing cells for numbers; levels for categories.

        Costs add up, whatever the norm.
        """
        if self.spending is not None:
            if norm == 2:
                raise ValueError("norm=2 has no effect with a Budget, whose costs add up: take 1")
            norm = 1.0
        box, categories = self._box(norm), self.layout.categories
        if not categories:
            return box
        shape = (len(categories), self.layout.most_levels)
        reachable = torch.zeros(shape, dtype=torch.bool)
        never_left = torch.zeros(shape, dtype=torch.bool)
        for k, category in enumerate(categories):
            reachable[k, : len(category.known)] = category.is_free
            never_left[k, category.width - 1] = True
        simplex = Simplex(
            reachable, never_left, self.max_flips, self.finds_values, self._cost_of_flips()
        )
        first = self.layout.first_category
        if not first:
            return Product((simplex,), (shape,))
        return Product((box, simplex), ((first,), shape), self.spending is not None)

    def _cost_of_flips(self) -> Tensor | None:
        """The share of the total that a flip of each category costs."""
        if self.spending is None:
            return None
        cost, total = self.spending.cost, self.spending.total
        return floats([float(cost.get(one.name, 0.0)) / total for one in self.layout.categories])

    def _box(self, norm: float) -> Box:
        """The numbers and their flags."""
        numbers, flags = self.layout.numbers, [0.0] * len(self.layout.flagged)
        grid = [n.grid / n.scale if n.grid >= FINEST_STEP * n.scale else 0.0 for n in numbers]
        missing_flag = [*self.layout.flags, *[-1] * len(flags)]
        lower, upper = (
            encoded(numbers, np.array([getattr(n, side) for n in numbers], np.float64))
            for side in ("low", "high")
        )
        return Box(
            lower=floats(lower + flags),
            upper=floats(upper + [1.0] * len(flags)),
            norm=norm,
            free=torch.tensor([n.is_free for n in numbers] + [False] * len(flags)),
            grid=floats(grid + flags) if any(grid) else None,
            missing_flag=torch.tensor(missing_flag) if flags else None,
            special=self._special_values(flags) if self.finds_values else None,
            **self._shares(flags),
        )

    def _shares(self, flags: list[float]) -> dict[str, Any]:
        """The shares of the radius by which numbers with a budget may move, down and up."""
        if self.without_budgets is None:
            return {}
        reaches = [(n.reach or (0.0, 0.0), n.scale) for n in self.layout.numbers]
        down, up = ([reach[side] / scale for reach, scale in reaches] for side in (0, 1))
        whole = None if self.spending is None else 1.0
        return {"down": floats(down + flags), "up": floats(up + flags), "whole": whole}

    def _special_values(self, flags: list[float]) -> SpecialValues:
        """Atoms and gaps of the numbers, in encoded rows."""
        numbers = self.layout.numbers
        ends = np.array([n.bounds for n in numbers], np.float64).reshape(-1, 2)
        least, largest = (encoded(numbers, side) for side in ends.T)
        sets = [number.values for number in numbers]
        atoms, low, high = (
            encoded_each(numbers, values)
            for values in (
                [one.atoms for one in sets],
                [one.gaps[0] for one in sets],
                [one.gaps[1] for one in sets],
            )
        )
        none = [np.empty(0) for _ in flags]
        return SpecialValues.of(
            [*atoms, *none],
            [*low, *none],
            [*high, *none],
            floats(least + flags),
            floats(largest + [1.0] * len(flags)),
        )

    def decode(self, moved: Tensor, seed: Tensor, rows: Any) -> Any:
        """Copies of the rows with moved cells written in the columns' own dtypes.

        What rounding has made dearer than the total is moved less far.
        """
        refuse_not_finite(moved)
        self._refuse_other_width(rows)
        new = self._written(moved, seed, rows)
        for share in SHORTER if self.spending is not None else ():
            is_over = torch.from_numpy(self._overspent(self._table(rows), self._table(new)))
            if not is_over.any():
                break
            shorter = seed + share * (moved - seed)
            if share:  # Categories stay as they are.
                first = self.layout.first_category
                shorter[:, first:] = moved[:, first:]
            moved = torch.where(is_over[:, None], shorter, moved)
            new = self._written(moved, seed, rows)
        return new

    def _written(self, moved: Tensor, seed: Tensor, rows: Any) -> Any:
        """Copies of the rows with moved cells."""
        if self.layout.amounts and containers.is_sparse_floats(rows):
            return self._decode_sparse(moved, seed, rows)
        return self._decode(moved, seed, rows)

    def _decode_sparse(self, moved: Tensor, seed: Tensor, rows: Any) -> Any:
        """The same of a sparse matrix: amounts are written all at once."""
        row, number = (moved != seed).nonzero().T
        by = (moved[row, number].double() - seed[row, number]).numpy()
        row, number = row.numpy().copy(), number.numpy()
        names = {k: place for place, k in self.layout.amounts.items()}
        place = np.array([names.get(k, -1) for k in number.tolist()], np.int64)
        one = place >= 0
        before = np.asarray(rows.tocsr()[row[one], place[one]], dtype=np.float64).ravel()
        numbers = [self.layout.numbers[k] for k in number[one].tolist()]
        after = moved_amounts(before, by[one], numbers)
        written = containers.put_values(rows, row[one], place[one], after)
        return written if one.all() else self._decode(moved, seed, written, self.layout.amounts)

    def _decode(
        self, moved: Tensor, seed: Tensor, rows: Any, written: Mapping[int, int] | None = None
    ) -> Any:
        """The same column by column, but for `written` ones; plain floats at once."""
        at_once = self._moved_at_once(rows)
        skipped = {*at_once, *(written or {}).values()}
        edits = dict([*self._moves(moved, seed, skipped), *self._flips(moved, seed)])
        if at_once:
            rows = self._add(rows, at_once, moved, seed)
        if at_once and not edits:
            return rows
        return containers.edit_columns(rows, edits, self._category_names)

    def _moved_at_once(self, rows: Any) -> list[int]:
        """Which floats are free, and have no grid, special value or budget."""
        floats, places = {*containers.float_places(rows)}, self.layout.places
        return [
            k
            for k, number in enumerate(self.layout.numbers)
            if number.is_free and number.is_continuous and number.reach is None
            if places[number.name] in floats
        ]

    def _add(self, rows: Any, at_once: list[int], moved: Tensor, seed: Tensor) -> Any:
        """A copy of the rows with these numbers moved."""
        numbers = [self.layout.numbers[k] for k in at_once]
        places = [self.layout.places[number.name] for number in numbers]
        low, high, scale = (
            np.array([getattr(number, name) for number in numbers], float)
            for name in ("low", "high", "scale")
        )

        def real(cells: Array, some: slice) -> Array:
            """The cells of some numbers, those beside a real value as that value."""
            for number, column in zip(numbers[some], cells.T, strict=True):
                column[:] = number.values.nearest(column)
            return cells

        def shift(some: slice) -> Array:
            """How far some numbers have moved."""
            own = torch.tensor(at_once[some])
            by = moved.index_select(1, own).double() - seed.index_select(1, own)
            return np.asarray(by.numpy() * scale[some])

        return containers.add_to_floats(rows, places, shift, low, high, real)

    def _moves(self, moved: Tensor, seed: Tensor, skipped: set[int]) -> Iterator[tuple[int, Edit]]:
        """The places of other numbers of which a cell has moved, and how they are edited."""
        for k, number in enumerate(self.layout.numbers):
            if k in skipped:
                continue
            by = moved[:, k].double() - seed[:, k]
            shift = by.numpy() * number.scale
            shift = in_whole_steps(shift, number.grid) if number.is_plain else shift
            rows = np.flatnonzero(shift)
            if number.is_free and len(rows):
                edit = partial(moved_in_budget, number, rows=rows, shift=shift[rows])
                yield self.layout.places[number.name], edit

    def _flips(self, moved: Tensor, seed: Tensor) -> Iterator[tuple[int, Edit]]:
        """The same of columns of categories in which a row has flipped."""
        if not self.layout.categories:
            return
        after, before = self.layout.levels(moved), self.layout.levels(seed)
        for k, category in enumerate(self.layout.categories):
            rows = (after[:, k] != before[:, k]).nonzero()[:, 0].numpy()
            if len(rows):
                places = after[rows, k].numpy()
                edit = containers.LevelEdit(rows, category.known, places)
                yield self.layout.places[category.name], edit

    def changes(self, before: Any, after: Any) -> list[Changes]:
        """For each row what moved, the farthest first in units of radius: column -> its two cells.

        A flip to another level, to a missing value or from one counts as one unit.
        """
        old, new = self._table(before), self._table(after)
        numbers = {number.name: number for number in self.layout.numbers}
        moved: list[list[tuple[float, Any, tuple[Any, Any]]]] = [[] for _ in range(len(old))]
        for own, name in zip(self.layout.names, old.columns, strict=True):
            columns = old.get_column(name), new.get_column(name)
            if containers.kind_of_column(columns[0]) == "unreadable":
                continue  # It is frozen.
            a, b = map(containers.objects, columns)
            rows = np.flatnonzero([x != y for x, y in zip(a, b, strict=True)])
            lengths = np.ones(len(rows))
            if own in numbers and len(rows):
                number = numbers[own]
                old_numbers, new_numbers = (number.read(column)[rows] for column in columns)
                lengths = np.nan_to_num(np.abs(new_numbers - old_numbers) / number.scale, nan=1.0)
            for row, length in zip(rows, lengths, strict=True):
                moved[row].append((-length, name, (a[row], b[row])))
        return [
            {name: pair for _, name, pair in sorted(cells, key=lambda cell: cell[0])}
            for cells in moved
        ]

    @property
    def findings(self) -> list[Finding]:
        """What was found of single columns, a sentence each."""
        return list(findings(self.layout))

    @property
    def identifiers(self) -> list[Any]:
        """The names of the columns that only tell rows apart."""
        return [one.name for one in self.layout.identifiers]

    def renumber(self, new_rows: Any, numbers: Array) -> Any:
        """The rows with fresh identifiers."""
        if not self.layout.identifiers:
            return new_rows
        frame = self._table(new_rows)
        columns = [
            one.renumbered(
                frame.get_column(frame.columns[self.layout.names.index(one.name)]), numbers
            )
            for one in self.layout.identifiers
        ]
        return containers.close_table(new_rows, frame.with_columns(*columns))

    def faults(self, real_rows: Any, new_rows: Any) -> list[Fault]:
        """Cells that no real row could hold, column by column."""
        return list(faults(self.layout, real_rows, new_rows))

    def drifts(self, real_rows: Any, new_rows: Any) -> list[Drift]:
        """How far each column has drifted, the farthest first."""
        return drifts(self.layout, real_rows, new_rows)

    def tell_tale(self, real_rows: Any, new_rows: Any, seed: int) -> TellTale | None:
        """The AUC of a forest that reads the cells, and the columns that give the rows away."""
        return tell_tale(self.layout, real_rows, new_rows, seed)

    def dependence(self, real_rows: Any, new_rows: Any, seed: int) -> Dependence | None:
        """Correlation and association of column pairs, real against new."""
        return dependence(self.layout, real_rows, new_rows, seed)

    def constraints(self, rules: Any, X: Any) -> TableConstraints:
        """The rules over columns, and callables; "auto": the relations that all rows of X keep."""
        return TableConstraints(rules, self.layout, X)
