"""What rules may write into the columns of a table, and how encoded rows read as cells.

Cells are in the unit that rules read: days for moments, the column's own for numbers, and texts.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from advaug import containers
from advaug.domains.tables.adapter import Category, Number, TabularCoding
from advaug.domains.tables.rules.constraints import Constraints
from advaug.domains.tables.rules.evaluation import Array, Cells

EXACT = 2.0**53  # whole numbers beyond it are no floats: they are only ever set back


@dataclass(frozen=True)
class NumericCodec:
    """A column of numbers, in the unit that rules read."""

    at: int  # its place in an encoded row
    low: float
    high: float
    grid: float
    scale: float
    is_free: bool
    is_coarse: bool
    ticks: float  # of the coding's unit in one of the rules': 1, but for moments

    @classmethod
    def of(cls, at: int, spec: Number, ticks: float, is_coarse: bool) -> "NumericCodec":
        low, high = float(spec.low), float(spec.high)
        return cls(
            at=at,
            low=low / ticks,
            high=high / ticks,
            grid=spec.grid / ticks,
            scale=spec.scale / ticks,
            is_free=spec.is_free and (ticks != 1 or max(abs(low), abs(high)) < EXACT),
            is_coarse=is_coarse,
            ticks=ticks,
        )

    def shipped(self, values: Array, parent: Array) -> Array:
        """The values as the column can hold them: whole steps from the parent, within bounds."""
        if self.grid:
            values = parent + np.rint((values - parent) / self.grid) * self.grid
        values = values.clip(np.fmin(parent, self.low), np.fmax(parent, self.high))
        return values.astype(np.float32).astype(np.float64) if self.is_coarse else values


@dataclass(frozen=True)
class LevelCodec:
    """A column of categories, and the levels a row may flip to as rules read them."""

    at: int  # its place among the categories
    category: Category
    known: Array

    @property
    def is_free(self) -> bool:
        return self.category.is_free

    def code(self, level: Any) -> int:
        return int(np.flatnonzero(self.known == level)[0])


class ColumnCodec:
    """The columns that rules name, found again in encoded rows.

    `keys` are the coding's own names, `numbers` and `levels` what may be written.
    """

    def __init__(self, rules: Constraints, coding: TabularCoding, X: Any, coarse: Any) -> None:
        self.coding, self.frozen = coding, rules.frozen
        frame, is_array = containers.open_table(X), containers.kind_of_container(X) != "frame"
        known = {f"x{name}" if is_array else str(name): name for name in coding.names}
        self.keys = {name: known[name] for name in rules.names}
        self.numbers: dict[str, NumericCodec] = {}
        self.levels: dict[str, LevelCodec] = {}
        numbers = {spec.name: at for at, spec in enumerate(coding.numbers)}
        categories = {category.name: at for at, category in enumerate(coding.categories)}
        for name, key in self.keys.items():
            if key in numbers:
                at, column = numbers[key], frame.get_column(frame.columns[self.place(name)])
                ticks = containers.ticks_a_day(column)
                self.numbers[name] = NumericCodec.of(at, coding.numbers[at], ticks, name in coarse)
            elif key in categories:
                category = coding.categories[categories[key]]
                level = LevelCodec(categories[key], category, containers.cells(category.known))
                self.levels[name] = level

    def place(self, name: str) -> int:
        """Where the column stands in the user's table."""
        return self.coding.names.index(self.keys[name])

    def with_frozen(self, x: Tensor, seed: Tensor) -> Tensor:
        """Frozen columns are the seed's: their cells may have more digits than rules read."""
        x = x.clone() if self.frozen else x
        for name in self.frozen:
            if name in self.numbers:
                at = self.numbers[name].at
                x[:, at] = seed[:, at]
            if name in self.levels:
                at = self.levels[name].at
                self._block(x, at)[:] = self._block(seed, at)
        return x

    def read(self, x: Tensor, seed: Tensor, parent: Cells) -> Cells:
        """The cells that encoded rows will be decoded to."""
        by = x.double() - seed.double()
        cells = dict(parent.columns)
        for name, spec in self.numbers.items():
            shift = by[:, spec.at].numpy() * spec.scale
            cells[name] = spec.shipped(parent[name] + shift, parent[name])
        for name, level in self.levels.items():
            after, before = (self._block(rows, level.at).argmax(1).numpy() for rows in (x, seed))
            flipped = np.flatnonzero(after != before)
            cells[name] = parent[name].copy()
            cells[name][flipped] = level.known[after[flipped]]
        return Cells(cells, parent.n_rows, parent.coarse)

    def written(
        self, x: Tensor, seed: Tensor, before: Cells, after: Cells, parent: Cells
    ) -> Tensor:
        """The encoded rows with the cells that differ from those before."""
        x = x.clone()
        for name, spec in self.numbers.items():
            rows = np.flatnonzero(before[name] != after[name])
            rows = rows[~np.isnan(after[name][rows])]
            shift = (after[name][rows] - parent[name][rows]) / spec.scale
            x[rows, spec.at] = (seed[rows, spec.at].double() + torch.from_numpy(shift)).float()
        for name, level in self.levels.items():
            rows = np.flatnonzero(before[name] != after[name])
            back = after[name][rows] == parent[name][rows]
            self._block(x, level.at)[rows[back]] = self._block(seed, level.at)[rows[back]]
            for row in rows[~back]:
                self._block(x, level.at)[row] = 0.0
                self._block(x, level.at)[row, level.code(after[name][row])] = 1.0
        return x

    def _block(self, x: Tensor, category: int) -> Tensor:
        start, levels = self.coding.first_category, self.coding.most_levels
        return x[:, start + category * levels : start + (category + 1) * levels]
