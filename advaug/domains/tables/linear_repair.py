"""Linear rules mended all at once: the nearest cells that keep them, and that columns can hold."""

from functools import reduce

import numpy as np
import torch
from torch import Tensor

from advaug.domains.tables.column_codec import NumericCodec
from advaug.domains.tables.polytope import Polytope
from advaug.domains.tables.rules.evaluation import Array, Cells, truth
from advaug.domains.tables.rules.repair_rules import Guards, LinearConstraint

# The share of terms and deviations by which an inequality is overfulfilled: encoded rows are
# float32, and what is mended once should still hold when it is decoded.
MARGIN = 1e-6
TIE = 1e-6  # of a step: a half goes up whatever the rounding, which depends on the batch
STRICT = 0.01  # standard deviations that "less than" asks for between decimals


def hold(guards: Guards, cells: Cells) -> Array:
    """Rows in which all guards are true."""
    yes: Array = np.ones(cells.n_rows, dtype=bool)
    return reduce(np.logical_and, (truth(guard, cells) for guard in guards), yes)


class LinearRepair:
    """The planes of some rules, each with its rule's place.

    Columns in `held` stay where they are: another mend computes them.
    """

    def __init__(
        self,
        planes: list[tuple[int, LinearConstraint]],
        numbers: dict[str, NumericCodec],
        held: set[str],
    ) -> None:
        self.planes = planes
        self.names = list(dict.fromkeys(name for _, plane in planes for name in plane.weights))
        self.specs = [numbers[name] for name in self.names]
        self.scale, self.grid, self.low, self.high = (
            np.array([getattr(spec, field) for spec in self.specs])
            for field in ("scale", "grid", "low", "high")
        )
        self.moves = [
            spec.is_free and name not in held
            for name, spec in zip(self.names, self.specs, strict=True)
        ]
        self.weights = np.array(
            [[plane.weights.get(name, 0.0) for name in self.names] for _, plane in planes]
        )
        self.polytope = Polytope(
            torch.from_numpy(self.weights * self.scale),
            torch.tensor([plane.is_equality for _, plane in planes]),
        )

    def project(self, cells: Cells, parent: Cells, binds: Array) -> None:
        """The cells moved to the nearest that keep the planes which bind their row."""
        own, now = (np.stack([rows[name] for name in self.names], 1) for rows in (parent, cells))
        hidden = np.isnan(own)
        own, now = np.where(hidden, 0.0, own), np.where(hidden, 0.0, now)
        stuck = hidden | ~np.array(self.moves)
        bottom = np.where(stuck, now, np.minimum(self.low, own))
        top = np.where(stuck, now, np.maximum(self.high, own))
        asked = torch.from_numpy(self._asked(cells, hidden, binds))
        offset = np.stack([self._bound(at, now) for at in range(len(self.planes))], 1)
        # Around the parent and in its standard deviations: well conditioned.
        off = torch.from_numpy(offset - own @ self.weights.T)
        z, low, high = (torch.from_numpy((side - own) / self.scale) for side in (now, bottom, top))
        x = self.polytope.project(z, off, asked, low, high)
        if self.grid.any():
            x = self._on_grid(x, off, asked, low, high)
        moved = own + x.numpy() * self.scale
        differs = ~hidden & (np.abs(moved - now) > 1e-13 * np.abs(now))
        for k, (name, spec) in enumerate(zip(self.names, self.specs, strict=True)):
            rows = np.flatnonzero(differs[:, k])
            if self.moves[k]:
                cells[name][rows] = spec.shipped(moved[rows, k], own[rows, k])

    def _asked(self, cells: Cells, hidden: Array, binds: Array) -> Array:
        """(rows, planes): bound by the rule, guarded, and no cell missing."""
        return np.stack([
            binds[:, rule] & ~hidden[:, self.weights[k] != 0].any(1) & hold(plane.guards, cells)
            for k, (rule, plane) in enumerate(self.planes)
        ], 1)  # fmt: skip

    def _bound(self, at: int, now: Array) -> Array:
        """The bound, a little inside of it where decimals are rounded."""
        plane, weights = self.planes[at][1], np.abs(self.weights[at])
        bound = np.full(len(now), plane.bound)
        if plane.is_equality:
            return bound
        grid = np.where(self.grid > 0, self.grid, 0.5)[weights > 0]
        whole = np.array([*weights, plane.bound, *grid])
        if (whole == np.round(whole)).all():
            return bound - 1 if plane.is_strict else bound
        inside = MARGIN * (np.abs(now) @ weights + abs(plane.bound) + self.scale @ weights)
        if plane.is_strict:
            inside = np.maximum(inside, STRICT * (weights * self.scale).max())
        return bound - inside

    def _on_grid(
        self, x: Tensor, offset: Tensor, asked: Tensor, low: Tensor, high: Tensor
    ) -> Tensor:
        """Whole steps where a column has them; decimals make up for the rounding if they can."""
        step = torch.from_numpy(self.grid / self.scale)
        whole = step > 0
        unit = torch.where(whole, step, 1.0)
        fits = torch.where(whole, (low / unit).ceil() * unit, low)
        x = torch.where(whole, (x / unit + (0.5 + TIE)).floor() * unit, x)
        x = torch.where(whole, x.maximum(fits).minimum((high / unit).floor() * unit), x)
        x = self._made_up_for(x, offset, asked, low, high, whole)
        off = (~self.polytope.meets(x, offset, asked)).nonzero()[:, 0]
        if len(off):
            some = (offset[off], asked[off], low[off], high[off])
            settled = self.polytope.settle(x[off], *some, step)
            x[off] = self._made_up_for(settled, *some, whole)
        return x

    def _made_up_for(
        self, x: Tensor, offset: Tensor, asked: Tensor, low: Tensor, high: Tensor, whole: Tensor
    ) -> Tensor:
        """The nearest point with the same whole steps."""
        if whole.all():
            return x
        bottom, top = torch.where(whole, x, low), torch.where(whole, x, high)
        return self.polytope.project(x, offset, asked, bottom, top)
