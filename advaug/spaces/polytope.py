"""Linear relations between numbers: the nearest point that keeps them, exactly.

Not a space by itself but a step behind one: whatever left the relations is put back, row by row,
each with its own bounds, offsets, and choice of relations that bind it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

MOST_NEWTON = 20
MOST_SWEEPS = 60
MOST_STEPS = 60
CLOSE = 1e-9  # a relation counts as met within this share of its terms


@dataclass(frozen=True)
class Polytope:
    """normals @ x <= offset, or == offset where `is_equality`.

    Parameters
    ----------
    normals : float64 Tensor (relations, width)
    is_equality : bool Tensor (relations,)
    """

    normals: Tensor
    is_equality: Tensor

    def excess(
        self,
        x: Float[Tensor, "batch width"],
        offset: Float[Tensor, "batch relations"],
        binds: Bool[Tensor, "batch relations"],
    ) -> Float[Tensor, "batch relations"]:
        """By how much each relation is broken, 0 where it is met or does not bind."""
        beyond = x @ self.normals.T - offset
        beyond = torch.where(self.is_equality, beyond.abs(), beyond.clamp_min(0))
        return beyond.masked_fill(~binds, 0.0)

    def meets(
        self,
        x: Float[Tensor, "batch width"],
        offset: Float[Tensor, "batch relations"],
        binds: Bool[Tensor, "batch relations"],
    ) -> Bool[Tensor, " batch"]:
        """Rows that keep every relation that binds them, up to rounding."""
        size = x.abs() @ self.normals.abs().T + offset.abs().masked_fill(~binds, 0.0)
        return (self.excess(x, offset, binds) <= CLOSE * size).all(1)

    def project(
        self,
        x: Float[Tensor, "batch width"],
        offset: Float[Tensor, "batch relations"],
        binds: Bool[Tensor, "batch relations"],
        lower: Float[Tensor, "batch width"],
        upper: Float[Tensor, "batch width"],
    ) -> Float[Tensor, "batch width"]:
        """The nearest point that keeps the relations and the bounds.

        A semismooth Newton method on the dual (Hintermueller, Ito, Kunisch. The primal-dual active
        set strategy. SIAM J. Optim. 2002): where the set of active relations and bounds stands
        still, the point is exact. Rows that circle are first brought near by coordinate ascent.
        Where there is no such point, what comes out meets less.
        """
        binds = binds & self._reachable(offset, lower, upper)
        weight = torch.zeros_like(offset)
        done, weight = self._newton(x, offset, binds, lower, upper, weight)
        if not bool(done.all()):
            rows = (~done).nonzero()[:, 0]
            some = (x[rows], offset[rows], binds[rows], lower[rows], upper[rows])
            near = self._ascended(*some)
            found, exact = self._newton(*some, near)
            weight[rows] = torch.where(found[:, None], exact, near)
        return (x - weight @ self.normals).clamp(lower, upper)

    def _reachable(self, offset: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
        """Relations that some point between the bounds meets; the others are left alone."""
        rises = self.normals.clamp_min(0)
        falls = self.normals - rises
        slack = CLOSE * (1 + offset.abs())
        least = lower @ rises.T + upper @ falls.T
        most = upper @ rises.T + lower @ falls.T
        return (least <= offset + slack) & (~self.is_equality | (most >= offset - slack))

    def _newton(
        self,
        x: Tensor,
        offset: Tensor,
        binds: Tensor,
        lower: Tensor,
        upper: Tensor,
        weight: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Which rows came to rest, and the weight of each relation."""
        found = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        weight = weight.clone()
        rows = torch.arange(len(x), device=x.device)
        norm = self.normals.square().sum(1).clamp_min(1e-300)
        before: tuple[Tensor, Tensor] | None = None
        for _ in range(MOST_NEWTON):
            free = x - weight[rows] @ self.normals
            inside = (free > lower) & (free < upper)
            beyond = free.clamp(lower, upper) @ self.normals.T - offset
            active = binds & (self.is_equality | (weight[rows] + beyond / norm > 0))
            if before is not None:
                still = (before[0] == inside).all(1) & (before[1] == active).all(1)
                found[rows[still]] = True
                going = ~still
                rows, x, offset, binds = rows[going], x[going], offset[going], binds[going]
                lower, upper, inside, active = (
                    lower[going],
                    upper[going],
                    inside[going],
                    active[going],
                )
                if not len(rows):
                    break
            fixed = torch.where(inside, x, x.clamp(lower, upper))
            fixed = torch.where(
                inside, fixed, (x - weight[rows] @ self.normals).clamp(lower, upper)
            )
            target = (fixed @ self.normals.T - offset).masked_fill(~active, 0.0)
            weight[rows] = self._solved(inside, active, target)
            before = inside, active
        return found, weight

    def _solved(self, inside: Tensor, active: Tensor, target: Tensor) -> Tensor:
        """Weights with which the active relations are met by the coordinates between bounds."""
        both = active[:, :, None] & active[:, None, :]
        gram = torch.einsum("kd,nd,ld->nkl", self.normals, inside.to(target.dtype), self.normals)
        gram = gram.masked_fill(~both, 0.0)
        diagonal = gram.diagonal(dim1=1, dim2=2)
        ridge = 1e-12 * diagonal.amax(1, keepdim=True) + (~active | (diagonal <= 0))
        factor = torch.linalg.cholesky_ex(gram + torch.diag_embed(ridge))[0]
        weight = torch.cholesky_solve(target[..., None], factor)
        # The ridge, there for relations that repeat each other, is refined away.
        weight = weight + torch.cholesky_solve(target[..., None] - gram @ weight, factor)
        return weight[..., 0].masked_fill(~active, 0.0)

    def _ascended(
        self, x: Tensor, offset: Tensor, binds: Tensor, lower: Tensor, upper: Tensor
    ) -> Tensor:
        """Weights by coordinate ascent on the dual (Hildreth 1957): slow and sure."""
        weight = torch.zeros_like(offset)
        norm = self.normals.square().sum(1).clamp_min(1e-300)
        for _ in range(MOST_SWEEPS):
            for k, normal in enumerate(self.normals):
                at = (x - weight @ self.normals).clamp(lower, upper)
                new = weight[:, k] + (at @ normal - offset[:, k]) / norm[k]
                new = new if self.is_equality[k] else new.clamp_min(0)
                weight[:, k] = torch.where(binds[:, k], new, 0.0)
        return weight

    def settle(
        self,
        x: Float[Tensor, "batch width"],
        offset: Float[Tensor, "batch relations"],
        binds: Bool[Tensor, "batch relations"],
        lower: Float[Tensor, "batch width"],
        upper: Float[Tensor, "batch width"],
        grid: Float[Tensor, " width"],
    ) -> Float[Tensor, "batch width"]:
        """Single steps of the grid, each the one that mends most, as long as one mends.

        What rounding has broken is mended so; coordinates whose grid is 0 stay.
        """
        x, steps = x.clone(), torch.cat([torch.diag(grid), -torch.diag(grid)])
        steps = steps[steps.abs().sum(1) > 0]
        length = self.normals.norm(dim=1).clamp_min(1e-300)
        change = steps @ self.normals.T
        rows = torch.arange(len(x), device=x.device)
        for _ in range(MOST_STEPS if len(steps) else 0):
            here = (self.excess(x[rows], offset[rows], binds[rows]) / length).sum(1)
            rows, here = rows[here > 0], here[here > 0]
            if not len(rows):
                break
            better = []
            for some, now in zip(rows.split(1024), here.split(1024), strict=True):
                beyond = (x[some] @ self.normals.T - offset[some])[:, None] + change
                beyond = torch.where(self.is_equality, beyond.abs(), beyond.clamp_min(0))
                total = (beyond.masked_fill(~binds[some, None], 0.0) / length).sum(2)
                moved = x[some, None] + steps
                slack = 1e-9 * grid
                outside = (moved < lower[some, None] - slack) | (moved > upper[some, None] + slack)
                total = total.masked_fill(outside.any(2), torch.inf)
                least, which = total.min(1)
                gains = least < now - 1e-9 * now
                x[some[gains]] += steps[which[gains]]
                better.append(some[gains])
            rows = torch.cat(better)
        return x
