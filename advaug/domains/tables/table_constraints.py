"""The rules of a table, at work on new rows.

They repair rows twice: encoded, before a judge sees them, and decoded, in the user's own dtypes.
"""

from copy import copy
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from advaug import containers
from advaug.containers.columns import Series
from advaug.core.parameters import is_auto
from advaug.domains.tables.column_codec import ColumnCodec
from advaug.domains.tables.columns import Array, TableLayout
from advaug.domains.tables.repair_rounds import RepairRounds
from advaug.domains.tables.rules.constraints import Constraints
from advaug.domains.tables.rules.evaluation import Cells
from advaug.sampling.constraints import (
    CallableConstraints,
    Finding,
    RowConstraints,
    names_of,
)


def rules_for(X: Any, rules: Any, identifiers: list[Any]) -> Constraints:
    """The user's rules, and for "auto", alone or among them, those that all rows of X keep."""
    listed = [rules] if is_auto(rules) else rules
    if not isinstance(listed, list | tuple) or not any(map(is_auto, listed)):
        return Constraints(rules)
    found = Constraints.found(X, identifiers)
    own = [rule for rule in listed if not is_auto(rule) and rule not in found.rules]
    both = Constraints([*found, *own])
    both.findings = found.findings
    return both


class TableConstraints(RowConstraints):
    """Rules over columns, which are repaired, and callables over rows, which are only checked.

    Parameters
    ----------
    rules : `Constraints`, what it takes, or "auto": what all rows of X keep
        A list may hold "auto" beside rules of one's own.
    layout : TableLayout
    X : the real rows, which are the parents
    """

    def __init__(self, rules: Any, layout: TableLayout, X: Any) -> None:
        identifiers = [one.name for one in layout.identifiers]
        self.rules = rules_for(X, rules, identifiers)
        self.layout = layout
        self.callables = CallableConstraints(self.rules.callables, X)
        self.parents = self.rules.cells(X)
        self.codec = ColumnCodec(self.rules, layout, X, self.parents.coarse)
        self.rounds = RepairRounds(self.rules, self.codec)

    def take(self, rows: Array) -> "TableConstraints":
        """The same rules over some of the real rows."""
        some = copy(self)
        vars(some).pop("shares", None)  # They are shares of all rows.
        some.parents, some.callables = self.parents.take(rows), self.callables.take(rows)
        return some

    @cached_property
    def shares(self) -> dict[str, float]:
        """The share of the real rows that keep each rule; ValueError where a rule does not fit."""
        self.rules.check_kinds(self.parents)
        shares = self.rounds.holds(self.parents).mean(0).tolist()
        shares += self.callables.shares.values()
        names = names_of([*self.rules.column_rules, *self.rules.callables])
        return dict(zip(names, shares, strict=True))

    @property
    def findings(self) -> list[Finding]:
        """Those of the rules that were found in real rows, by this class or by the user."""
        return self.rules.findings

    @property
    def repairs(self) -> bool:
        return bool(self.rules.names)

    def repair(self, x: Tensor, seed: Tensor, parents: Tensor) -> tuple[Tensor, Tensor]:
        """Encoded rows that keep the rules which their parents keep, and a status for each."""
        if not self.rules.names:
            return self.callables.repair(x, seed, parents)
        parent, start = self.parents.take(parents.cpu().numpy()), seed.cpu()
        moved = self.codec.restore_frozen(x.cpu(), start)
        child = self.codec.decode(moved, start, parent)
        cells, status = self.rounds.repair(child, parent, self.rounds.holds(parent))
        if status.any():
            moved = self.codec.encode(moved, start, child, cells, parent)
        return moved.to(x.device), torch.from_numpy(status).to(x.device)

    def finish(self, new: Any, rows: Any) -> tuple[Any, Array]:
        """Decoded rows, repaired once more, and which of them break a rule that their parent keeps.

        The cells of both are read once; of columns that are written also what they hold then.
        """
        is_broken = np.zeros(containers.count(new), dtype=bool)
        if self.rules.names:
            child, parent = self.rules.cells(new), self.rules.cells(rows)
            binds = self.rounds.holds(parent)
            cells, status = self.rounds.repair(child, parent, binds)
            if status.any() or self.rules.frozen:
                new, child = self._write(new, rows, child, cells, parent)
            is_broken |= (binds & ~self.rounds.holds(child)).any(1)
        new, is_refused = self.callables.finish(new, rows)
        return new, is_broken | is_refused

    def broken(self, new: Any, rows: Any) -> dict[str, Array]:
        """Rule -> which new rows break it though their parents keep it."""
        kept = self.rules.check(rows)
        return {rule: kept[rule] & ~holds for rule, holds in self.rules.check(new).items()}

    def _write(
        self, new: Any, rows: Any, child: Cells, cells: Cells, parent: Cells
    ) -> tuple[Any, Cells]:
        """New rows with the repaired cells in the columns' own dtypes, and the cells they hold."""
        levels = [category.name for category in self.layout.categories]
        frame, own = (containers.open_table(X, levels) for X in (new, rows))
        edited, held = [], dict(child.columns)
        for name, place in self.codec.places.items():
            key = frame.columns[place]
            column, original = frame.get_column(key), own.get_column(key)
            if name in self.rules.frozen:
                edited.append(original)
                held[name] = parent[name]
                continue
            at = np.flatnonzero(~((child[name] == cells[name]) | child.missing(name)))
            if len(at):
                some = (values[name][at] for values in (child, cells, parent))
                edited.append(self._edited(name, column, original, at, *some))
                held[name] = containers.cells(edited[-1])
        new = containers.close_table(new, frame.with_columns(*edited))
        return new, Cells(held, child.n_rows, child.coarse)

    def _edited(
        self,
        name: str,
        column: Series,
        original: Series,
        at: Array,
        before: Array,
        after: Array,
        parent: Array,
    ) -> Series:
        """The column with `after` instead of `before` in rows `at`; `original` is the parents'."""
        if name in self.codec.numbers:
            spec = self.codec.numbers[name]
            if spec.number.calendar is not None or column.dtype.is_float():
                return containers.put_numbers(column, at, spec.in_ticks(after))
            return spec.number.moved(column, at, (after - before) * spec.ticks)
        is_parent = after == parent
        column = containers.put_cells(column, at[is_parent], original[at[is_parent]])
        if name not in self.codec.levels:
            return column
        level = self.codec.levels[name]
        codes = [level.code(text) for text in after[~is_parent]]
        return containers.put_cells(column, at[~is_parent], level.category.known[codes])
