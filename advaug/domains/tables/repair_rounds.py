"""Cells that have left the rules brought back to them, in rounds, from least to most undone.

A broken rule is mended by choosing a value, by computing a column anew, by the nearest point that
keeps all linear rules; then with the parent's levels; then by the parent's cells in all columns
tied to the rule.
"""

from collections import Counter
from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np

from advaug.domains.tables.column_codec import ColumnCodec
from advaug.domains.tables.linear_repair import LinearRepair, hold
from advaug.domains.tables.rules.constraints import Constraints, answer
from advaug.domains.tables.rules.evaluation import Array, Cells, number
from advaug.domains.tables.rules.repair_rules import (
    ChosenValue,
    ComputedColumn,
    Guards,
    LinearConstraint,
    RepairRule,
    repair_rules_of,
)
from advaug.domains.tables.rules.syntax_tree import Node, columns

ROUNDS = 3  # of mends before more is undone
STEPS = (0, 1, -1)  # of a column's grid beside a solution, which rounding may leave a step away
UNTOUCHED, REPAIRED, SET_BACK = 0, 1, 2

Solution = tuple[str, Node]  # a column, and what it must be for the rule to hold


class SolvedRule(NamedTuple):
    """A rule solved for its first column; where that is at its bound, for one of the others."""

    rule: int
    first: Solution
    others: list[Solution]
    guards: Guards


class RepairRounds:
    """What each rule can be mended by, and the rounds in which that is tried."""

    def __init__(self, rules: Constraints, writable: ColumnCodec) -> None:
        self.rules, self.numbers, self.levels = rules, writable.numbers, writable.levels
        found = [
            (at, mend)
            for at, rule in enumerate(rules.expressions)
            for mend in repair_rules_of(rule.tree)
        ]
        self.chosen = [
            (at, mend)
            for at, mend in found
            if isinstance(mend, ChosenValue) and self._reaches(mend)
        ]
        self.computed = in_order(self._solved(found))
        held = {solved.first[0] for solved in self.computed}
        planes = [
            (at, mend)
            for at, mend in found
            if isinstance(mend, LinearConstraint) and self.numbers.keys() >= mend.weights.keys()
        ]
        self.planes = LinearRepair(planes, self.numbers, held) if planes else None

    def _reaches(self, mend: ChosenValue) -> bool:
        if mend.column in self.numbers:
            return self.numbers[mend.column].is_free
        level = self.levels.get(mend.column)
        return level is not None and level.is_free and mend.values[0] in level.known

    def _solved(self, found: list[tuple[int, RepairRule]]) -> list[SolvedRule]:
        """Each column is computed by one rule: decimals before whole numbers, a lone one first.

        Of the others those come first that few rules read.
        """
        read = Counter(name for rule in self.rules.expressions for name in rule.names)
        usable = [
            (at, [choice for choice in mend.choices if self._is_usable(*choice)], mend.guards)
            for at, mend in found
            if isinstance(mend, ComputedColumn)
        ]
        solved: list[SolvedRule] = []
        for at, choices, guards in usable:
            held = {one.first[0] for one in solved}
            new = [choice for choice in choices if choice[0] not in held]
            new.sort(key=lambda choice: self.numbers[choice[0]].grid > 0)
            if new:
                solved.append(SolvedRule(at, new[0], new[1:], guards))
        held = {one.first[0] for one in solved}
        return [
            one._replace(
                others=sorted(
                    (other for other in one.others if other[0] not in held),
                    key=lambda other: read[other[0]],
                )
            )
            for one in solved
        ]

    def _is_usable(self, name: str, node: Node) -> bool:
        is_free = name in self.numbers and self.numbers[name].is_free
        return is_free and self.numbers.keys() >= columns(node).keys()

    @cached_property
    def tied(self) -> list[list[str]]:
        """For each rule its columns and all that rules tie to them, directly or not."""
        groups: list[set[str]] = []
        for rule in self.rules.named:
            touched = [group for group in groups if group & set(rule.names)]
            groups = [group for group in groups if group not in touched]
            groups.append(set(rule.names).union(*touched))
        return [
            sorted(next(group for group in groups if set(rule.names) <= group))
            for rule in self.rules.named
        ]

    def kept(self, cells: Cells) -> Array:
        """(rows, rules): which rows keep which rule."""
        answers = [answer(rule, cells) for rule in self.rules.named]
        return np.stack(answers, 1) if answers else np.ones((cells.n_rows, 0), dtype=bool)

    def mended(self, child: Cells, parent: Cells) -> tuple[Cells, Array]:
        """Cells that keep every rule which the parent keeps, and for each row what was done."""
        frozen = {name: parent[name] for name in self.rules.frozen}
        child = Cells({**child.columns, **frozen}, child.n_rows, child.coarse)
        done, binds = np.full(child.n_rows, UNTOUCHED, dtype=np.int8), self.kept(parent)
        rows = np.flatnonzero((binds & ~self.kept(child)).any(1))
        if not len(rows):
            return child, done
        cells, tried = copied(child).columns, child.take(rows)
        for way in (self._in_place, self._with_levels_back, self._set_back):
            own, bound = parent.take(rows), binds[rows]
            tried = way(child.take(rows), tried, own, bound)
            well = np.asarray(~self._broken(tried, bound).any(1))
            for name, column in cells.items():
                column[rows[well]] = tried[name][well]
            done[rows[well]] = REPAIRED if way == self._in_place else SET_BACK
            rows, tried = rows[~well], tried.take(~well)
            if not len(rows):
                break
        return Cells(cells, child.n_rows, child.coarse), done

    # ways, from least to most undone: the rows, what was tried last, their parents ------------

    def _in_place(self, work: Cells, _: Cells, own: Cells, binds: Array) -> Cells:
        for _round in range(ROUNDS):
            # Only rows that break a rule: others must not be moved by their batch.
            rows = np.flatnonzero(self._broken(work, binds).any(1))
            if not len(rows):
                break
            part = work.take(rows)
            self._mend_once(part, own.take(rows), binds[rows])
            for name, column in work.columns.items():
                column[rows] = part[name]
        return work

    def _mend_once(self, cells: Cells, parent: Cells, binds: Array) -> None:
        for at, mend in self.chosen:
            self._choose(mend, self._wrong(at, mend.guards, cells, binds), cells, parent)
        self._compute(cells, parent, binds)
        if self.planes:
            self.planes.project(cells, parent, binds)
            self._compute(cells, parent, binds)

    def _with_levels_back(self, work: Cells, tried: Cells, own: Cells, binds: Array) -> Cells:
        """The parent's levels in the columns of rules that stay broken, then as before."""
        groups = [set(rule.names) - set(self.numbers) for rule in self.rules.named]
        if not any(groups):
            return tried
        work = put_back(work, own, self._broken(tried, binds), groups)
        return self._in_place(work, tried, own, binds)

    def _set_back(self, _: Cells, tried: Cells, own: Cells, binds: Array) -> Cells:
        """The parent's cells in all columns that are tied to a rule that stays broken."""
        return put_back(tried, own, self._broken(tried, binds), [set(g) for g in self.tied])

    def _broken(self, cells: Cells, binds: Array) -> Array:
        return binds & ~self.kept(cells)

    # mends ------------------------------------------------------------------------------------

    def _wrong(self, at: int, guards: Guards, cells: Cells, binds: Array) -> Array:
        """Rows that break a rule, where the guards hold."""
        wrong = binds[:, at] & ~answer(self.rules.named[at], cells)
        return np.flatnonzero(wrong & hold(guards, cells) if wrong.any() else wrong)

    def _choose(self, mend: ChosenValue, rows: Array, cells: Cells, parent: Cells) -> None:
        name = mend.column
        if name in self.levels:
            rows = rows[~parent.missing(name)[rows]]
            cells[name][rows] = mend.values[0]
            return
        values = np.array(mend.values, dtype=np.float64)
        nearest = values[np.abs(cells[name][rows, None] - values).argmin(1)]
        cells[name][rows] = self.numbers[name].shipped(nearest, parent[name][rows])

    def _compute(self, cells: Cells, parent: Cells, binds: Array) -> None:
        """Columns computed anew; what their bounds cut off is made up for by another column."""
        for rule, first, others, guards in self.computed:
            rows = self._wrong(rule, guards, cells, binds)
            self._put(first, rows, cells, parent)
            for other, steps in product(others, STEPS):
                rows = self._still_wrong(rule, guards, rows, cells)
                if not len(rows):
                    break
                tried, own, each = cells.take(rows), parent.take(rows), np.arange(len(rows))
                self._put(other, each, tried, own, steps)
                self._put(first, each, tried, own)
                well = answer(self.rules.named[rule], tried)
                for name in (other[0], first[0]):
                    cells[name][rows[well]] = tried[name][well]

    def _still_wrong(self, rule: int, guards: Guards, rows: Array, cells: Cells) -> Array:
        some = cells.take(rows)
        return rows[~answer(self.rules.named[rule], some) & hold(guards, some)]

    def _put(
        self, solution: Solution, rows: Array, cells: Cells, parent: Cells, steps: int = 0
    ) -> None:
        if not len(rows):
            return
        name, node = solution
        with np.errstate(all="ignore"):
            values = number(node, cells.take(rows))
        known = np.isfinite(values) & ~np.isnan(parent[name][rows])
        rows, values = rows[known], values[known] + steps * self.numbers[name].grid
        cells[name][rows] = self.numbers[name].shipped(values, parent[name][rows])


def copied(cells: Cells) -> Cells:
    return cells.take(np.arange(cells.n_rows))


def put_back(cells: Cells, parent: Cells, broken: Array, groups: list[set[str]]) -> Cells:
    """The parent's cells in each broken rule's group of columns."""
    for at, group in enumerate(groups):
        for name in group:
            cells[name][broken[:, at]] = parent[name][broken[:, at]]
    return cells


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
