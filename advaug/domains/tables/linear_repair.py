"""All linear rules repaired at once: the nearest cells that keep them and that columns can hold."""

from dataclasses import replace
from functools import reduce
from itertools import permutations

import numpy as np
import torch
from torch import Tensor

from advaug.domains.tables.column_codec import NumericCodec
from advaug.domains.tables.polytope import Polytope, RowLimits
from advaug.domains.tables.rules.evaluation import Array, Cells, is_true
from advaug.domains.tables.rules.repair_rules import Guards, LinearConstraint

# An inequality is repaired with room to spare, by this share of its terms and standard deviations:
# encoded rows are float32, and the rule must still hold when they are decoded.
MARGIN = 1e-6
TIE = 1e-6  # A step this close to a half is rounded up, since noise depends on the batch.
STRICT = 0.01  # "Less than" between decimals asks for so many standard deviations.


def all_true(guards: Guards, cells: Cells) -> Array:
    """Rows in which all guards are true."""
    yes: Array = np.ones(cells.n_rows, dtype=bool)
    return reduce(np.logical_and, (is_true(guard, cells) for guard in guards), yes)


class LinearRepair:
    """The linear constraints of the rules, each with its rule's number.

    The columns in `computed` do not move, since another repair computes them.
    """

    def __init__(
        self,
        constraints: list[tuple[int, LinearConstraint]],
        numbers: dict[str, NumericCodec],
        computed: set[str],
    ) -> None:
        self.constraints = constraints
        self.names = list(dict.fromkeys(name for _, one in constraints for name in one.weights))
        self.specs = [numbers[name] for name in self.names]
        self.scale, self.grid, self.low, self.high = (
            np.array([getattr(spec, field) for spec in self.specs])
            for field in ("scale", "grid", "low", "high")
        )
        self.is_free = [numbers[name].is_free and name not in computed for name in self.names]
        self.weights = np.array(
            [[one.weights.get(name, 0.0) for name in self.names] for _, one in constraints]
        )
        self.polytope = Polytope(
            torch.from_numpy(self.weights * self.scale),
            torch.tensor([one.is_equality for _, one in constraints]),
        )

    def project(self, cells: Cells, parent: Cells, binds: Array) -> None:
        """Move the cells to the nearest ones that keep the constraints which bind their row."""
        own, now = (np.stack([rows[name] for name in self.names], 1) for rows in (parent, cells))
        is_missing = np.isnan(own)
        own, now = np.where(is_missing, 0.0, own), np.where(is_missing, 0.0, now)
        is_fixed = is_missing | ~np.array(self.is_free)
        bottom = np.where(is_fixed, now, np.minimum(self.low, own))
        top = np.where(is_fixed, now, np.maximum(self.high, own))
        applies = self._applies(cells, is_missing, binds)
        bound = np.stack([self._bound(at, now) for at in range(len(self.constraints))], 1)
        # In standard deviations from the parent the problem is well conditioned.
        z, low, high = (torch.from_numpy((side - own) / self.scale) for side in (now, bottom, top))
        offset = torch.from_numpy(bound - own @ self.weights.T)
        limits = RowLimits(offset, torch.from_numpy(applies), low, high)
        x = self.polytope.project(z, limits)
        if self.grid.any():
            x = self._on_grid(x, limits)
        moved = own + x.numpy() * self.scale
        differs = ~is_missing & (np.abs(moved - now) > 1e-13 * np.abs(now))
        for k, (name, spec) in enumerate(zip(self.names, self.specs, strict=True)):
            rows = np.flatnonzero(differs[:, k])
            if self.is_free[k]:
                cells[name][rows] = spec.representable(moved[rows, k], own[rows, k])
        self._copy_twins(cells, applies)

    def _copy_twins(self, cells: Cells, applies: Array) -> None:
        """Where a column must equal another one, it has the same bits."""
        used = np.count_nonzero(self.weights, 0)
        for at, (_, one) in enumerate(self.constraints):
            if sorted(one.weights.values()) != [-1.0, 1.0] or one.bound or not one.is_equality:
                continue
            for name, other in permutations(one.weights):
                k = self.names.index(name)
                if used[k] == 1 and self.is_free[k]:
                    near = np.abs(cells[name] - cells[other]) <= TIE * self.scale[k]
                    rows = np.flatnonzero(applies[:, at] & near)
                    cells[name][rows] = self.specs[k].representable(
                        cells[other][rows], cells[name][rows]
                    )
                    break

    def _applies(self, cells: Cells, is_missing: Array, binds: Array) -> Array:
        """(rows, constraints): the rule binds the row, the guards hold, and no cell is missing."""
        is_known = np.stack([~is_missing[:, used].any(1) for used in self.weights != 0], 1)
        guards = np.stack([all_true(one.guards, cells) for _, one in self.constraints], 1)
        return is_known & guards & binds[:, [rule for rule, _ in self.constraints]]

    def _bound(self, at: int, now: Array) -> Array:
        """The bound of each row, a little inside of it where decimals are rounded."""
        constraint, weights = self.constraints[at][1], np.abs(self.weights[at])
        bound = np.full(len(now), constraint.bound)
        if constraint.is_equality:
            return bound
        grid = np.where(self.grid > 0, self.grid, 0.5)[weights > 0]
        whole = np.array([*weights, constraint.bound, *grid])
        if (whole == np.round(whole)).all():
            return bound - 1 if constraint.is_strict else bound
        inside = MARGIN * (np.abs(now) @ weights + abs(constraint.bound) + self.scale @ weights)
        if constraint.is_strict:
            inside = np.maximum(inside, STRICT * (weights * self.scale).max())
        return bound - inside

    def _on_grid(self, x: Tensor, limits: RowLimits) -> Tensor:
        """Whole steps where a column has them; decimals compensate for the rounding if they can.

        `NumericCodec` rounds the cells. This rounding may depend on no noise of the projection, so
        it rounds halves up and stays between the bounds.
        """
        step = torch.from_numpy(self.grid / self.scale)
        is_whole = step > 0
        unit = torch.where(is_whole, step, 1.0)
        steps = (x / unit + (0.5 + TIE)).floor() * unit
        steps = steps.maximum((limits.lower / unit).ceil() * unit)
        steps = steps.minimum((limits.upper / unit).floor() * unit)
        x = self._compensate(torch.where(is_whole, steps, x), limits, is_whole)
        rows = (~self.polytope.meets(x, limits)).nonzero()[:, 0]
        if len(rows):
            some = limits.take(rows)
            x[rows] = self._compensate(self.polytope.settle(x[rows], some, step), some, is_whole)
        return x

    def _compensate(self, x: Tensor, limits: RowLimits, is_whole: Tensor) -> Tensor:
        """The nearest point with the same whole steps."""
        if is_whole.all():
            return x
        lower = torch.where(is_whole, x, limits.lower)
        upper = torch.where(is_whole, x, limits.upper)
        return self.polytope.project(x, replace(limits, lower=lower, upper=upper))
