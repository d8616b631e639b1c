"""Rows that have left the rules of a table brought back: encoded before the judge sees them, and
once more in the user's own dtypes.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from advaug import containers
from advaug.domains.tables.adapter import TabularCoding
from advaug.domains.tables.column_codec import ColumnCodec
from advaug.domains.tables.repair_rounds import RepairRounds
from advaug.domains.tables.rules.constraints import Constraints, cells_of
from advaug.domains.tables.rules.evaluation import Array
from advaug.sampling.domain import Coding


class ConstraintRepairer:
    """Mends rows of a table against rules that their parents keep.

    Parameters
    ----------
    rules : Constraints
    coding : TabularCoding
    X : rows in the user's container
        The parents: `mend` names them by their places.
    """

    def __init__(self, rules: Constraints, coding: TabularCoding, X: Any) -> None:
        self.rules = rules
        self.parents = cells_of(X, rules.names, rules.expressions)
        self.writable = ColumnCodec(rules, coding, X, self.parents.coarse)
        self.repairs = RepairRounds(rules, self.writable)

    def mend(self, x: Tensor, seed: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Encoded rows mended, and for each what was done; `places` are those of their parents."""
        parent, start = self.parents.take(places.cpu().numpy()), seed.cpu()
        moved = self.writable.with_frozen(x.cpu(), start)
        child = self.writable.read(moved, start, parent)
        cells, done = self.repairs.mended(child, parent)
        if done.any():
            moved = self.writable.written(moved, start, child, cells, parent)
        return moved.to(x.device), torch.from_numpy(done).to(x.device)

    def shipped(self, new: Any, rows: Any) -> Any:
        """New rows, mended once more in their own dtypes; `rows` are their parents."""
        parent, child = (cells_of(X, self.rules.names, self.rules.expressions) for X in (rows, new))
        cells, done = self.repairs.mended(child, parent)
        if not done.any() and not self.rules.frozen:
            return new
        frame, own = containers.open_table(new), containers.open_table(rows)
        edited = []
        for name in self.rules.names:
            key = frame.columns[self.writable.place(name)]
            column, original = frame.get_column(key), own.get_column(key)
            if name in self.rules.frozen:
                edited.append(original)
                continue
            at = np.flatnonzero(~((child[name] == cells[name]) | child.missing(name)))
            if len(at):
                some = (rows[name][at] for rows in (child, cells, parent))
                edited.append(self._edited(name, column, original, at, *some))
        return containers.close_table(new, frame.with_columns(*edited))

    def _edited(self, name: str, column: Any, original: Any, at: Array, *cells: Array) -> Any:
        """The column, in its own dtype, edited at some rows, whose cells are given as they are,
        as they shall be, and as their parents'."""
        before, after, own = cells
        if name in self.writable.numbers:
            spec = self.writable.numbers[name]
            limits = self.writable.coding.numbers[spec.at]
            return containers.add_to_cells(
                column, at, (after - before) * spec.ticks, limits.low, limits.high
            )
        is_back = after == own
        column = containers.put_cells(column, at[is_back], original[at[is_back]])
        if name not in self.writable.levels:
            return column
        level = self.writable.levels[name]
        codes = [level.code(text) for text in after[~is_back]]
        return containers.put_cells(column, at[~is_back], level.category.known[codes])


def repairer_for(coding: Coding, rules: Constraints, X: Any) -> ConstraintRepairer | None:
    """What brings rows back to the rules; None where no rule reads a column by its name."""
    if not rules.names:
        return None
    if not isinstance(coding, TabularCoding):
        raise ValueError(
            f"constraints over columns ({', '.join(rules.names[:3])}) need a table: for "
            f"{type(coding).__name__} pass callables from rows to one bool a row"
        )
    return ConstraintRepairer(rules, coding, X)
