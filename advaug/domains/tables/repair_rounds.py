"""Repairs of cells that break a rule, in rounds that undo more and more of a row's move.

First a rule is repaired in place: by a value chosen, by a column computed, or by the nearest point
that keeps all linear rules. Then the row gets its parent's levels, and at last the parent's cells
in all columns that are connected to the rule.
"""

from collections import Counter
from dataclasses import replace
from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np

from advaug.domains.tables.column_codec import ColumnCodec
from advaug.domains.tables.linear_repair import LinearRepair, all_true
from advaug.domains.tables.rules.constraints import Constraints, rule_holds
from advaug.domains.tables.rules.evaluation import Array, Cells, number
from advaug.domains.tables.rules.repair_rules import (
    DEVIATION,
    ChosenValue,
    ComputedColumn,
    Guards,
    LinearConstraint,
    RepairRule,
    Tolerance,
    repair_rules_of,
)
from advaug.domains.tables.rules.syntax_tree import Node, columns
from advaug.sampling.constraints import RepairStatus

ROUNDS = 3  # So many rounds repair in place, before more of the move is undone.
WITHIN = 0.95  # of a tolerance: a rounded value shall not lie beyond it
STEPS = (0, 1, -1)  # Rounding may leave a solution one step of the grid away from the rule.

Solution = tuple[str, Node]  # a column, and its value with which the rule holds


class SolvedRule(NamedTuple):
    """A rule solved for its first column; where that is at its bound, for one of the others."""

    rule: int
    first: Solution
    others: list[Solution]
    guards: Guards
    tolerance: Tolerance | None


class RepairRounds:
    """The repairs of each rule, and the rounds that try them."""

    def __init__(self, rules: Constraints, codec: ColumnCodec) -> None:
        self.rules, self.frozen = rules.column_rules, rules.frozen
        self.numbers, self.levels = codec.numbers, codec.levels
        repairs = [
            (at, repair)
            for at, rule in enumerate(rules.expressions)
            for repair in repair_rules_of(rule.tree)
        ]
        repairs = with_fixed_values(repairs)
        self.chosen = [
            (at, repair)
            for at, repair in repairs
            if isinstance(repair, ChosenValue) and self._is_possible(repair)
        ]
        count = Counter(name for rule in rules.expressions for name in rule.names)
        self.computed = in_order(self._solve(repairs, count))
        linear = [
            (at, repair)
            for at, repair in repairs
            if isinstance(repair, LinearConstraint) and self.numbers.keys() >= repair.weights.keys()
        ]
        computed = {solved.first[0] for solved in self.computed}
        self.linear = LinearRepair(linear, self.numbers, computed) if linear else None

    def _is_possible(self, repair: ChosenValue) -> bool:
        if repair.column in self.numbers:
            return self.numbers[repair.column].is_free
        level = self.levels.get(repair.column)
        return level is not None and level.category.is_free and repair.values[0] in level.known

    def _solve(
        self, repairs: list[tuple[int, RepairRule]], count: Counter[str]
    ) -> list[SolvedRule]:
        """Each column is computed by one rule: decimals before whole numbers.

        `count` says how many rules read a column; other columns with low counts come first.
        """
        solved: list[SolvedRule] = []
        for at, repair in repairs:
            if not isinstance(repair, ComputedColumn):
                continue
            taken = {one.first[0] for one in solved}
            usable = [choice for choice in repair.choices if self._is_usable(*choice)]
            usable = [choice for choice in usable if choice[0] not in taken]
            usable.sort(key=lambda choice: self.numbers[choice[0]].is_whole)
            if usable:
                rest = (usable[1:], repair.guards, repair.tolerance)
                solved.append(SolvedRule(at, usable[0], *rest))
        taken = {one.first[0] for one in solved}
        for one in solved:
            one.others[:] = [other for other in one.others if other[0] not in taken]
            one.others.sort(key=lambda other: count[other[0]])
        return solved

    def _is_usable(self, name: str, node: Node) -> bool:
        is_free = name in self.numbers and self.numbers[name].is_free
        return is_free and self.numbers.keys() >= columns(node).keys() - {DEVIATION.name}

    @cached_property
    def connected(self) -> list[set[str]]:
        """For each rule its columns and all that rules connect to them, directly or not."""
        groups: list[set[str]] = []
        for rule in self.rules:
            touched = [group for group in groups if group & set(rule.names)]
            groups = [group for group in groups if group not in touched]
            groups.append(set(rule.names).union(*touched))
        return [next(g for g in groups if set(rule.names) <= g) for rule in self.rules]

    def holds(self, cells: Cells) -> Array:
        """(rows, rules): which rows keep which rule."""
        answers = [rule_holds(rule, cells) for rule in self.rules]
        return np.stack(answers, 1) if answers else np.ones((cells.n_rows, 0), dtype=bool)

    def repair(self, child: Cells, parent: Cells, binds: Array) -> tuple[Cells, Array]:
        """Cells that keep every rule that binds their row, and a `RepairStatus` for each row.

        binds : bool (rows, rules): the rules that the parent keeps
        """
        frozen = {name: parent[name] for name in self.frozen}
        child = Cells({**child.columns, **frozen}, child.n_rows, child.coarse)
        status = np.full(child.n_rows, RepairStatus.UNTOUCHED, dtype=np.int8)
        rows = np.flatnonzero(self._violated(child, binds).any(1))
        if not len(rows):
            return child, status
        cells, tried = child.take(np.arange(child.n_rows)), child.take(rows)
        for attempt in (self._repair_in_place, self._restore_levels, self._revert):
            own, bound = parent.take(rows), binds[rows]
            tried = attempt(child.take(rows), tried, own, bound)
            is_done = np.asarray(~self._violated(tried, bound).any(1))
            for name, column in cells.columns.items():
                column[rows[is_done]] = tried[name][is_done]
            is_repaired = attempt == self._repair_in_place
            status[rows[is_done]] = RepairStatus.REPAIRED if is_repaired else RepairStatus.REVERTED
            rows, tried = rows[~is_done], tried.take(~is_done)
            if not len(rows):
                break
        return cells, status

    def _violated(self, cells: Cells, binds: Array) -> Array:
        return binds & ~self.holds(cells)

    # Attempts, from least to most undone. Each gets the rows, the last attempt and the parents. ---

    def _repair_in_place(self, cells: Cells, _: Cells, parent: Cells, binds: Array) -> Cells:
        """Up to `ROUNDS` rounds of repairs."""
        for _round in range(ROUNDS):
            # A row that keeps its rules must not be moved by others of its batch.
            rows = np.flatnonzero(self._violated(cells, binds).any(1))
            if not len(rows):
                break
            some = cells.take(rows)
            self._repair_once(some, parent.take(rows), binds[rows])
            for name, column in cells.columns.items():
                column[rows] = some[name]
        return cells

    def _repair_once(self, cells: Cells, parent: Cells, binds: Array) -> None:
        for at, repair in self.chosen:
            self._choose(repair, self._broken_rows(at, repair.guards, cells, binds), cells, parent)
        self._compute(cells, parent, binds)
        if self.linear:
            self.linear.project(cells, parent, binds)
            self._compute(cells, parent, binds)

    def _restore_levels(self, cells: Cells, tried: Cells, parent: Cells, binds: Array) -> Cells:
        """The parent's levels in the columns of rules that are still broken; then as before."""
        groups = [set(rule.names) - set(self.numbers) for rule in self.rules]
        if not any(groups):
            return tried
        copy_columns(cells, parent, self._violated(tried, binds), groups)
        return self._repair_in_place(cells, tried, parent, binds)

    def _revert(self, _: Cells, tried: Cells, parent: Cells, binds: Array) -> Cells:
        """The parent's cells in all columns that are connected to a rule that is still broken."""
        copy_columns(tried, parent, self._violated(tried, binds), self.connected)
        return tried

    # Repairs of one rule --------------------------------------------------------------------------

    def _broken_rows(self, at: int, guards: Guards, cells: Cells, binds: Array) -> Array:
        """Rows that break a rule where the guards hold."""
        is_broken = binds[:, at] & ~rule_holds(self.rules[at], cells)
        return np.flatnonzero(is_broken & all_true(guards, cells) if is_broken.any() else is_broken)

    def _choose(self, repair: ChosenValue, rows: Array, cells: Cells, parent: Cells) -> None:
        name = repair.column
        if name in self.levels:
            rows = rows[~parent.missing(name)[rows]]
            cells[name][rows] = repair.values[0]
            return
        values = np.array(repair.values, dtype=np.float64)
        nearest = values[np.abs(cells[name][rows, None] - values).argmin(1)]
        cells[name][rows] = self.numbers[name].representable(nearest, parent[name][rows])

    def _compute(self, cells: Cells, parent: Cells, binds: Array) -> None:
        """Columns computed again; where their bounds cut a value off, another one compensates."""
        for rule, first, others, guards, tolerance in self.computed:
            rows = self._broken_rows(rule, guards, cells, binds)
            self._write(first, rows, cells, parent, tolerance)
            for other, steps in product(others, STEPS):
                tried = cells.take(rows)
                is_broken = ~rule_holds(self.rules[rule], tried) & all_true(guards, tried)
                rows, tried = rows[is_broken], tried.take(is_broken)
                if not len(rows):
                    break
                own, every = parent.take(rows), np.arange(len(rows))
                self._write(other, every, tried, own, tolerance, steps)
                self._write(first, every, tried, own, tolerance)
                is_done = rule_holds(self.rules[rule], tried)
                for name in (other[0], first[0]):
                    cells[name][rows[is_done]] = tried[name][is_done]

    def _write(
        self,
        solution: Solution,
        rows: Array,
        cells: Cells,
        parent: Cells,
        tolerance: Tolerance | None,
        steps: int = 0,
    ) -> None:
        if not len(rows):
            return
        name, node = solution
        read = cells.take(rows)
        with np.errstate(all="ignore"):
            if tolerance:
                read = with_deviation(read, parent.take(rows), tolerance)
            values = number(node, read)
        is_known = np.isfinite(values) & ~np.isnan(parent[name][rows])
        rows, values = rows[is_known], values[is_known] + steps * self.numbers[name].grid
        cells[name][rows] = self.numbers[name].representable(values, parent[name][rows])


def with_deviation(cells: Cells, parent: Cells, tolerance: Tolerance) -> Cells:
    """Cells that tell by how much the parent is off, as far as the tolerance of the row allows."""
    room = WITHIN * number(tolerance.most, cells)
    deviation = np.clip(number(tolerance.deviation, parent), -room, room)
    return replace(cells, columns={**cells.columns, DEVIATION.name: deviation})


def with_fixed_values(repairs: list[tuple[int, RepairRule]]) -> list[tuple[int, RepairRule]]:
    """Linear constraints such as x == 0 as values to choose, where no other one reads the column.

    Hundreds of them cost nothing so, but they would make the projection slow.
    """
    linear = [repair for _, repair in repairs if isinstance(repair, LinearConstraint)]
    shared = {name for one in linear if len(one.weights) > 1 for name in one.weights}

    def fixed(repair: RepairRule) -> RepairRule:
        match repair:
            case LinearConstraint(weights, bound, True) if len(weights) == 1:
                (name, weight), *_ = weights.items()
                is_alone = name not in shared
                return ChosenValue(name, (bound / weight,), repair.guards) if is_alone else repair
        return repair

    return [(at, fixed(repair)) for at, repair in repairs]


def copy_columns(cells: Cells, parent: Cells, is_broken: Array, groups: list[set[str]]) -> None:
    """Write the parent's cells into each broken rule's group of columns."""
    for at, group in enumerate(groups):
        for name in group:
            cells[name][is_broken[:, at]] = parent[name][is_broken[:, at]]


def in_order(solved: list[SolvedRule]) -> list[SolvedRule]:
    """Columns that others are computed from come first."""
    waiting, ready = list(solved), []
    while waiting:
        names = {one.first[0] for one in waiting}
        first = next(
            (o for o in waiting if not names & (columns(o.first[1]).keys() - {o.first[0]})),
            waiting[0],
        )
        waiting.remove(first)
        ready.append(first)
    return ready
