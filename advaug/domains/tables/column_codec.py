"""The columns that rules name, in encoded rows and as cells.

A cell holds what rules read: days for moments, the column's own number, or a text.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from advaug import containers
from advaug.domains.tables.columns import Array, Category, Number, TableLayout, in_whole_steps
from advaug.domains.tables.rules.constraints import Constraints, rule_names
from advaug.domains.tables.rules.evaluation import Cells

EXACT = 2.0**53  # A float cannot hold larger whole numbers: such a column is only reverted.


@dataclass(frozen=True)
class NumericCodec:
    """A column of numbers, in the unit that rules read."""

    at: int  # its place in an encoded row
    number: Number
    low: float
    high: float
    grid: float
    scale: float
    is_free: bool
    is_coarse: bool
    ticks: float  # units of the table's column in one unit of the rules; 1 except for moments

    @classmethod
    def of(cls, at: int, number: Number, ticks: float, is_coarse: bool) -> "NumericCodec":
        low, high = number.spelt(np.array([number.low, number.high], dtype=np.float64)).tolist()
        width, unit = 1.0, ticks
        if number.calendar is not None:
            spelt_scale = (high - low) / max(float(number.high) - float(number.low), 1e-300)
            width, unit = number.calendar.width, ticks / max(spelt_scale, 1.0)
        return cls(
            at=at,
            number=number,
            low=low / ticks,
            high=high / ticks,
            grid=number.grid * width / ticks,
            scale=number.scale / unit,
            is_free=number.is_free and (ticks != 1 or max(abs(low), abs(high)) < EXACT),
            is_coarse=is_coarse,
            ticks=ticks,
        )

    @property
    def is_whole(self) -> bool:
        """Whether it holds whole numbers only."""
        return self.grid > 0 and float(self.grid).is_integer()

    def moved(self, parent: Array, by: Array) -> Array:
        """The cells of parents, moved by so many scales."""
        number = self.number
        if number.is_plain:
            return self.representable(parent + by * self.scale, parent)
        before = self._counted(parent)
        after = self._spelt(number.valid(before + by * number.scale, before))
        return np.where(by == 0, parent, self._stored(after))

    def scales_between(self, parent: Array, cells: Array) -> Array:
        """By how many scales cells are moved from their parents'."""
        if self.number.calendar is None:
            return (cells - parent) / self.scale
        return (self._counted(cells) - self._counted(parent)) / self.number.scale

    def representable(self, values: Array, parent: Array) -> Array:
        """The values as the column can hold them: whole steps from the parent, within bounds."""
        if not self.number.is_plain:
            valid = self._spelt(self.number.valid(*map(self._counted, (values, parent))))
            return np.where(values == parent, parent, self._stored(valid))
        if self.grid:
            values = parent + in_whole_steps(values - parent, self.grid)
        return self._stored(values.clip(np.fmin(parent, self.low), np.fmax(parent, self.high)))

    def _counted(self, cells: Array) -> Array:
        """The cells in the units of the column."""
        return self.number.counted(cells if self.ticks == 1 else cells * self.ticks)

    def in_ticks(self, cells: Array) -> Array:
        """Cells of moments, which rules read in days, in the column's own units."""
        number = self.number
        return number.spelt(number.counted(cells * self.ticks)) if number.unit else cells

    def _spelt(self, values: Array) -> Array:
        spelt = self.number.spelt(values)
        return spelt if self.ticks == 1 else spelt / self.ticks

    def _stored(self, values: Array) -> Array:
        return values.astype(np.float32).astype(np.float64) if self.is_coarse else values


@dataclass(frozen=True)
class LevelCodec:
    """A column of categories, and as rules read them the levels that a row may flip to."""

    at: int  # its place among the categories
    category: Category
    known: Array

    def code(self, level: Any) -> int:
        return int(np.flatnonzero(self.known == level)[0])


class ColumnCodec:
    """Encoded rows to cells and back; of each column what may be written.

    `numbers` and `levels` are the columns that may be written, by the names that rules use.
    """

    def __init__(self, rules: Constraints, layout: TableLayout, X: Any, coarse: Any) -> None:
        self.layout, self.frozen = layout, rules.frozen
        self.numbers: dict[str, NumericCodec] = {}
        self.levels: dict[str, LevelCodec] = {}
        frame, keys = containers.open_table(X), rule_names(X, layout.names)
        self.places = {name: layout.names.index(keys[name]) for name in rules.names}
        numbers = {number.name: at for at, number in enumerate(layout.numbers)}
        categories = {category.name: at for at, category in enumerate(layout.categories)}
        for name, place in self.places.items():
            key = keys[name]
            if key in numbers:
                ticks = containers.ticks_a_day(frame.get_column(frame.columns[place]))
                at, is_coarse = numbers[key], name in coarse
                self.numbers[name] = NumericCodec.of(at, layout.numbers[at], ticks, is_coarse)
            elif key in categories:
                at = categories[key]
                known = containers.cells(layout.categories[at].known)
                self.levels[name] = LevelCodec(at, layout.categories[at], known)

    def restore_frozen(self, x: Tensor, seed: Tensor) -> Tensor:
        """Frozen columns as the seed's, since their cells may have more digits than rules read."""
        x = x.clone() if self.frozen else x
        for name in self.frozen:
            if name in self.numbers:
                at = self.numbers[name].at
                x[:, at] = seed[:, at]
            if name in self.levels:
                at = self.levels[name].at
                self.layout.one_hot(x, at)[:] = self.layout.one_hot(seed, at)
        return x

    def decode(self, x: Tensor, seed: Tensor, parent: Cells) -> Cells:
        """The cells of encoded rows, as the table will hold them."""
        by = x.double() - seed.double()
        cells = dict(parent.columns)
        for name, spec in self.numbers.items():
            cells[name] = spec.moved(parent[name], by[:, spec.at].numpy())
        for name, level in self.levels.items():
            after, before = (
                self.layout.one_hot(rows, level.at).argmax(1).numpy() for rows in (x, seed)
            )
            rows = np.flatnonzero(after != before)
            cells[name] = parent[name].copy()
            cells[name][rows] = level.known[after[rows]]
        return Cells(cells, parent.n_rows, parent.coarse)

    def encode(self, x: Tensor, seed: Tensor, before: Cells, after: Cells, parent: Cells) -> Tensor:
        """The encoded rows with the cells that differ between `before` and `after`."""
        x = x.clone()
        for name, spec in self.numbers.items():
            rows = np.flatnonzero(before[name] != after[name])
            rows = rows[~np.isnan(after[name][rows])]
            shift = spec.scales_between(parent[name][rows], after[name][rows])
            x[rows, spec.at] = (seed[rows, spec.at].double() + torch.from_numpy(shift)).float()
        for name, level in self.levels.items():
            block, own = (self.layout.one_hot(rows, level.at) for rows in (x, seed))
            rows = np.flatnonzero(before[name] != after[name])
            is_parent = after[name][rows] == parent[name][rows]
            block[rows[is_parent]] = own[rows[is_parent]]
            for row in rows[~is_parent]:
                block[row] = 0.0
                block[row, level.code(after[name][row])] = 1.0
        return x
