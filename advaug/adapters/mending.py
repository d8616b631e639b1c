"""Rows that have left the rules of a table brought back to them, cell by cell.

A broken rule is mended by computing a column anew, by the nearest point that keeps all linear
rules, or, where neither reaches, by the parent's own cells in all columns tied to the rule.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from advaug import containers
from advaug.adapters.tabular import Category, Number, TabularCoding
from advaug.constraints import Cells, Constraints
from advaug.constraints.mends import Chosen, Computed, Plane, mends
from advaug.constraints.rules import answer, cells_of
from advaug.constraints.tree import Node, columns
from advaug.constraints.values import Array, number, truth
from advaug.spaces import Polytope

ROUNDS = 3  # of mends before a row is given up
MARGIN, MARGIN_FLOAT32 = 1e-9, 1e-6  # shares of its terms by which a plane is overfulfilled
STRICT = 0.01  # standard deviations that "less than" asks for between decimals
EXACT = 2.0**53  # whole numbers beyond it are no floats: they are only ever set back
UNTOUCHED, REPAIRED, SET_BACK = 0, 1, 2


@dataclass(frozen=True)
class Numeric:
    """What may be written into a column of numbers, in the unit that rules read."""

    low: float
    high: float
    grid: float
    scale: float
    is_free: bool
    is_coarse: bool
    ticks: float  # of the coding's unit in one of the rules': 1, but for moments

    def shipped(self, values: Array, parent: Array) -> Array:
        """The values as the column can hold them: whole steps from the parent, within bounds."""
        if self.grid:
            values = parent + np.rint((values - parent) / self.grid) * self.grid
        values = values.clip(np.fmin(parent, self.low), np.fmax(parent, self.high))
        return values.astype(np.float32).astype(np.float64) if self.is_coarse else values


class Mender:
    """Mends rows of a table against rules that their parents keep.

    Parameters
    ----------
    rules : Constraints
    coding : TabularCoding
    X : rows in the user's container
        The parents: `mend` names them by their places.
    """

    def __init__(self, rules: Constraints, coding: TabularCoding, X: Any) -> None:
        self.rules, self.coding = rules, coding
        self.parents = cells_of(X, rules.names, rules.expressions)
        frame, is_array = containers.open_table(X), containers.kind_of_container(X) != "frame"
        known = {f"x{name}" if is_array else str(name): name for name in coding.names}
        own = {number.name: k for k, number in enumerate(coding.numbers)}
        self.numbers: dict[str, tuple[int, Numeric]] = {}
        self.levels: dict[str, tuple[int, Category, Array]] = {}
        for name in rules.names:
            key = known[name]
            if key in own:
                spec = coding.numbers[own[key]]
                ticks = containers.ticks_a_day(
                    frame.get_column(frame.columns[coding.names.index(key)])
                )
                is_coarse = name in self.parents.coarse
                self.numbers[name] = own[key], numeric(spec, ticks, is_coarse)
            for k, category in enumerate(coding.categories):
                if category.name == key:
                    self.levels[name] = k, category, containers.cells(category.known)
        self.keys = known
        self._plan()

    def _plan(self) -> None:
        """What each rule can be mended by, and in which order."""
        self.chosen: list[tuple[int, Chosen]] = []
        self.planes: list[tuple[int, Plane]] = []
        wanted: list[tuple[int, Computed]] = []
        for at, rule in enumerate(self.rules.expressions):
            for mend in mends(rule.tree):
                match mend:
                    case Plane() if all(name in self.numbers for name in mend.weights):
                        self.planes.append((at, mend))
                    case Computed():
                        wanted.append((at, mend))
                    case Chosen() if self._reaches(mend):
                        self.chosen.append((at, mend))
        self.computed = in_order([
            (at, *choice, mend.guards)
            for at, mend in wanted
            if (choice := self._choice(mend)) is not None
        ])  # fmt: skip
        self.held = {name for _, name, _, _ in self.computed}
        self.width = list(dict.fromkeys(name for _, plane in self.planes for name in plane.weights))

    def _reaches(self, mend: Chosen) -> bool:
        if mend.column in self.numbers:
            return self.numbers[mend.column][1].is_free
        _, category, known = self.levels.get(mend.column, (0, None, np.empty(0)))
        return category is not None and category.is_free and mend.values[0] in known

    def _choice(self, mend: Computed) -> tuple[str, Node] | None:
        """The column to compute: decimals before whole numbers, the lone one before others."""
        usable = [
            (name, node)
            for name, node in mend.choices
            if name in self.numbers and self.numbers[name][1].is_free
            if all(other in self.numbers for other in columns(node))
        ]
        decimals = [one for one in usable if not self.numbers[one[0]][1].grid]
        return next(iter(decimals or usable), None)

    @cached_property
    def polytope(self) -> Polytope:
        """All planes, in standard deviations of the columns."""
        scale = [self.numbers[name][1].scale for name in self.width]
        rows = [[plane.weights.get(name, 0.0) for name in self.width] for _, plane in self.planes]
        return Polytope(
            torch.tensor(rows, dtype=torch.float64) * torch.tensor(scale, dtype=torch.float64),
            torch.tensor([plane.is_equality for _, plane in self.planes]),
        )

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

    # encoded rows, on the way to the judge ---------------------------------------------------

    def mend(self, x: Tensor, seed: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Encoded rows mended, and for each what was done; `places` are those of their parents."""
        parent = self.parents.take(places.cpu().numpy())
        moved, start = x.cpu(), seed.cpu()
        child = self._read(moved, start, parent)
        cells, done = self.mended(child, parent)
        if not done.any():
            return x, torch.from_numpy(done).to(x.device)
        return self._written(moved, start, child, cells, parent).to(x.device), torch.from_numpy(
            done
        ).to(x.device)

    def _read(self, x: Tensor, seed: Tensor, parent: Cells) -> Cells:
        """The cells that encoded rows will be decoded to."""
        by = x.double() - seed.double()
        cells = dict(parent.columns)
        for name, (k, spec) in self.numbers.items():
            shift = by[:, k].numpy() * spec.scale
            cells[name] = spec.shipped(parent[name] + shift, parent[name])
        for name, (k, _, known) in self.levels.items():
            after, before = (self._block(rows, k).argmax(1).numpy() for rows in (x, seed))
            flipped = np.flatnonzero(after != before)
            cells[name] = parent[name].copy()
            cells[name][flipped] = known[after[flipped]]
        return Cells(cells, parent.n_rows, parent.coarse)

    def _block(self, x: Tensor, category: int) -> Tensor:
        start, levels = self.coding.first_category, self.coding.most_levels
        return x[:, start + category * levels : start + (category + 1) * levels]

    def _written(
        self, x: Tensor, seed: Tensor, before: Cells, after: Cells, parent: Cells
    ) -> Tensor:
        x = x.clone()
        for name, (k, spec) in self.numbers.items():
            rows = np.flatnonzero(before[name] != after[name])
            rows = rows[~np.isnan(after[name][rows])]
            shift = (after[name][rows] - parent[name][rows]) / spec.scale
            x[rows, k] = (seed[rows, k].double() + torch.from_numpy(shift)).float()
        for name, (k, _, known) in self.levels.items():
            rows = np.flatnonzero(before[name] != after[name])
            back = after[name][rows] == parent[name][rows]
            self._block(x, k)[rows[back]] = self._block(seed, k)[rows[back]]
            for row in rows[~back]:
                self._block(x, k)[row] = 0.0
                self._block(x, k)[row, int(np.flatnonzero(known == after[name][row])[0])] = 1.0
        return x

    # rows in the user's container -----------------------------------------------------------

    def shipped(self, new: Any, rows: Any) -> Any:
        """New rows, mended once more in their own dtypes; `rows` are their parents."""
        parent, child = (cells_of(X, self.rules.names, self.rules.expressions) for X in (rows, new))
        cells, done = self.mended(child, parent)
        if not done.any():
            return new
        frame, own = containers.open_table(new), containers.open_table(rows)
        edited = []
        for name in self.rules.names:
            key = frame.columns[self.coding.names.index(self.keys[name])]
            column = frame.get_column(key)
            differs = ~((child[name] == cells[name]) | child.missing(name))
            at = np.flatnonzero(differs)
            if not len(at):
                continue
            if name in self.numbers:
                k, spec = self.numbers[name]
                limits = self.coding.numbers[k]
                by = (cells[name][at] - child[name][at]) * spec.ticks
                edited.append(containers.shift(column, at, by, limits.low, limits.high))
            else:
                back = at[cells[name][at] == parent[name][at]]
                column = containers.put(column, back, own.get_column(key)[back])
                if name in self.levels:
                    _, category, known = self.levels[name]
                    there = np.setdiff1d(at, back)
                    code = [int(np.flatnonzero(known == cells[name][row])[0]) for row in there]
                    column = containers.put(column, there, category.known[code])
                edited.append(column)
        return containers.close_table(new, frame.with_columns(*edited))

    # the work --------------------------------------------------------------------------------

    def mended(self, child: Cells, parent: Cells) -> tuple[Cells, Array]:
        """Cells that keep every rule which the parent keeps, and for each row what was done."""
        cells = dict(child.columns)
        done = np.zeros(child.n_rows, dtype=np.int8)
        for name in self.rules.frozen:
            cells[name] = parent[name]
        child = Cells(cells, child.n_rows, child.coarse)
        binds = self._kept(parent)
        rows = np.flatnonzero((binds & ~self._kept(child)).any(1))
        if not len(rows):
            return child, done
        child = Cells({name: column.copy() for name, column in cells.items()}, *rest(child))
        own, binds, work = parent.take(rows), binds[rows], child.take(rows)
        for stage in range(3):
            broken = binds & ~self._kept(work)
            if stage == 1:
                levels = set(work.columns) - set(self.numbers)
                work = self._set_back(child.take(rows), own, broken, self._names, levels)
            if stage == 2:
                work = self._set_back(work, own, broken, self.tied, set(work.columns))
            for _ in range(ROUNDS if stage < 2 else 0):
                self._mend_once(work, own, binds)
                if not (binds & ~self._kept(work)).any():
                    break
            well = ~(binds & ~self._kept(work)).any(1)
            for name in work.columns:
                child[name][rows[well]] = work[name][well]
            done[rows[well]] = REPAIRED if stage == 0 else SET_BACK
            rows, binds = rows[~well], binds[~well]
            own, work = own.take(np.flatnonzero(~well)), work.take(np.flatnonzero(~well))
            if not len(rows):
                break
        return child, done

    @property
    def _names(self) -> list[list[str]]:
        return [list(rule.names) for rule in self.rules.named]

    def _kept(self, cells: Cells) -> Array:
        """(rows, rules): which rows keep which rule."""
        answers = [answer(rule, cells) for rule in self.rules.named]
        return np.stack(answers, 1) if answers else np.ones((cells.n_rows, 0), dtype=bool)

    def _set_back(
        self, cells: Cells, parent: Cells, broken: Array, groups: list[list[str]], only: set[str]
    ) -> Cells:
        """The parent's cells in the columns of the broken rules."""
        for at, group in enumerate(groups):
            for name in only.intersection(group):
                cells[name][broken[:, at]] = parent[name][broken[:, at]]
        return cells

    def _mend_once(self, cells: Cells, parent: Cells, binds: Array) -> None:
        for at, mend in self.chosen:
            rows = self._wrong(at, mend.guards, cells, binds)
            self._choose(mend, rows, cells, parent)
        self._compute(cells, parent, binds)
        if self.planes:
            self._project(cells, parent, binds)
            self._compute(cells, parent, binds)

    def _all(self, guards: tuple[Node, ...], cells: Cells) -> Array:
        yes: Array = np.ones(cells.n_rows, dtype=bool)
        for guard in guards:
            yes &= truth(guard, cells)
        return yes

    def _wrong(self, at: int, guards: tuple[Node, ...], cells: Cells, binds: Array) -> Array:
        """Rows that break a rule, where the guards hold."""
        wrong = binds[:, at] & ~answer(self.rules.named[at], cells)
        return np.flatnonzero(wrong & self._all(guards, cells) if wrong.any() else wrong)

    def _choose(self, mend: Chosen, rows: Array, cells: Cells, parent: Cells) -> None:
        name = mend.column
        if name in self.levels:
            rows = rows[~parent.missing(name)[rows]]
            cells[name][rows] = mend.values[0]
            return
        values = np.array(mend.values, dtype=np.float64)
        nearest = values[np.abs(cells[name][rows, None] - values).argmin(1)]
        cells[name][rows] = self.numbers[name][1].shipped(nearest, parent[name][rows])

    def _compute(self, cells: Cells, parent: Cells, binds: Array) -> None:
        for at, name, node, guards in self.computed:
            rows = self._wrong(at, guards, cells, binds)
            if len(rows):
                with np.errstate(all="ignore"):
                    values = number(node, cells.take(rows))
                known = np.isfinite(values) & ~np.isnan(parent[name][rows])
                rows, values = rows[known], values[known]
                cells[name][rows] = self.numbers[name][1].shipped(values, parent[name][rows])

    def _project(self, cells: Cells, parent: Cells, binds: Array) -> None:
        """To the nearest point that keeps the planes; then to one that the columns can hold."""
        specs = [self.numbers[name][1] for name in self.width]
        scale = np.array([spec.scale for spec in specs])
        grid = np.array([spec.grid for spec in specs])
        is_free = np.array(
            [s.is_free and n not in self.held for s, n in zip(specs, self.width, strict=True)]
        )
        own = np.stack([parent[name] for name in self.width], 1)
        now = np.stack([cells[name] for name in self.width], 1)
        hidden = np.isnan(own)
        own, now = np.where(hidden, 0.0, own), np.where(hidden, 0.0, now)
        lower = np.minimum([spec.low for spec in specs], own)
        upper = np.maximum([spec.high for spec in specs], own)
        stuck = hidden | ~is_free
        lower, upper = np.where(stuck, now, lower), np.where(stuck, now, upper)
        asked = np.stack([
            binds[:, at] & ~hidden[:, [self.width.index(n) for n in plane.weights]].any(1)
            & self._all(plane.guards, cells)
            for at, plane in self.planes
        ], 1)  # fmt: skip
        offset = np.stack([self._bound(plane, now) for _, plane in self.planes], 1)
        # Around the parent and in its standard deviations: well conditioned.
        weights = self.polytope.normals.numpy() / scale
        z, low, high, off = (
            torch.from_numpy(a)
            for a in (
                (now - own) / scale,
                (lower - own) / scale,
                (upper - own) / scale,
                offset - own @ weights.T,
            )
        )
        ask, step = torch.from_numpy(asked), torch.from_numpy(grid / scale)
        x = self.polytope.project(z, off, ask, low, high)
        if grid.any():
            x = self._on_grid(x, off, ask, low, high, step)
        moved = own + x.numpy() * scale
        for k, name in enumerate(self.width):
            if is_free[k]:
                there = ~hidden[:, k] & (
                    np.abs(moved[:, k] - now[:, k]) > 1e-13 * np.abs(now[:, k])
                )
                cells[name][there] = specs[k].shipped(moved[there, k], own[there, k])

    def _on_grid(
        self, x: Tensor, offset: Tensor, asked: Tensor, low: Tensor, high: Tensor, step: Tensor
    ) -> Tensor:
        """Whole steps where a column has them; decimals make up for the rounding if they can."""
        whole = step > 0
        unit = torch.where(whole, step, 1.0)
        fits = torch.where(whole, (low / unit).ceil() * unit, low)
        x = torch.where(whole, (x / unit).round() * unit, x)
        x = torch.where(whole, x.maximum(fits).minimum((high / unit).floor() * unit), x)
        for settles in (False, True):
            off = (~self.polytope.meets(x, offset, asked)).nonzero()[:, 0]
            if not len(off):
                break
            some = (offset[off], asked[off])
            if settles:
                x[off] = self.polytope.settle(x[off], *some, low[off], high[off], step)
            if not whole.all():
                bottom = torch.where(whole, x[off], low[off])
                top = torch.where(whole, x[off], high[off])
                x[off] = self.polytope.project(x[off], *some, bottom, top)
        return x

    def _bound(self, plane: Plane, now: Array) -> Array:
        """The bound, a little inside of it where decimals are rounded."""
        specs = {name: self.numbers[name][1] for name in plane.weights}
        weights = np.array(list(plane.weights.values()))
        bound = np.full(len(now), plane.bound)
        if plane.is_equality:
            return bound
        whole = [*weights, plane.bound, *(spec.grid or 0.5 for spec in specs.values())]
        if all(value == round(value) for value in whole):
            return bound - 1 if plane.is_strict else bound
        at = [self.width.index(name) for name in plane.weights]
        share = MARGIN_FLOAT32 if any(spec.is_coarse for spec in specs.values()) else MARGIN
        inside = share * (np.abs(now[:, at]) @ np.abs(weights) + abs(plane.bound))
        if plane.is_strict:
            spread = [abs(w) * specs[name].scale for name, w in plane.weights.items()]
            inside = np.maximum(inside, STRICT * max(spread))
        return bound - inside


def numeric(spec: Number, ticks: float, is_coarse: bool) -> Numeric:
    low, high = float(spec.low), float(spec.high)
    return Numeric(
        low=low / ticks,
        high=high / ticks,
        grid=spec.grid / ticks,
        scale=spec.scale / ticks,
        is_free=spec.is_free and (ticks != 1 or max(abs(low), abs(high)) < EXACT),
        is_coarse=is_coarse,
        ticks=ticks,
    )


def rest(cells: Cells) -> tuple[int, frozenset[str]]:
    return cells.n_rows, cells.coarse


def in_order(computed: list[Any]) -> list[Any]:
    """Columns that others are computed from come first; one column is computed by one rule."""
    waiting = list({name: one for one in reversed(computed) for name in [one[1]]}.values())[::-1]
    ready: list[Any] = []
    while waiting:
        names = {one[1] for one in waiting}
        first = next(
            (o for o in waiting if not names & (columns(o[2]).keys() - {o[1]})), waiting[0]
        )
        waiting.remove(first)
        ready.append(first)
    return ready
