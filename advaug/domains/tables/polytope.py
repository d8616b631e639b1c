"""Linear relations between numbers: the nearest point that keeps them, exactly.

Not a space by itself but a step behind one: whatever left the relations is put back, row by row,
each with its own bounds, offsets, and choice of relations that bind it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from advaug.core.ties import stable_argmax

MOST_ROUNDS = 40
SHARES = (1.0, 0.3, 0.1, 0.03)  # of a Newton step that are tried
MOST_STEPS = 60
REST = 1e-12  # how close a relation is met where the method has come to rest
TIE = 1e-6  # the share of what is broken that one step must mend more than another
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
        set strategy. SIAM J. Optim. 2002), made safe by a sweep of coordinate ascent (Hildreth
        1957) after each step: where the set of active relations and bounds is found, the point is
        exact. A relation that no point between the bounds keeps is left alone.
        """
        binds = binds & self._reachable(offset, lower, upper)
        weight = torch.zeros_like(offset)
        rows = torch.arange(len(x), device=x.device)
        z, low, high, own = x, lower, upper, weight.clone()
        for _ in range(MOST_ROUNDS):
            going = ~self._rests(z, offset, binds, low, high, own)
            weight[rows] = own
            if not bool(going.any()):
                break
            rows, z, offset, binds = (t[going] for t in (rows, z, offset, binds))
            low, high, own = (t[going] for t in (low, high, own))
            step = self._newton(z, offset, binds, low, high, own)
            best, height = own, self._dual(z, offset, low, high, own)
            for share in SHARES:
                tried = own + share * (step - own)
                raised = self._dual(z, offset, low, high, tried)
                best = torch.where((raised > height)[:, None], tried, best)
                height = height.maximum(raised)
            own = self._swept(z, offset, binds, low, high, best)
        return (x - weight @ self.normals).clamp(lower, upper)

    def _reachable(self, offset: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
        """Relations that some point between the bounds meets; the others are left alone."""
        rises = self.normals.clamp_min(0)
        falls = self.normals - rises
        slack = CLOSE * (1 + offset.abs())
        least = lower @ rises.T + upper @ falls.T
        most = upper @ rises.T + lower @ falls.T
        return (least <= offset + slack) & (~self.is_equality | (most >= offset - slack))

    def _rests(
        self, z: Tensor, offset: Tensor, binds: Tensor, low: Tensor, high: Tensor, weight: Tensor
    ) -> Tensor:
        """Rows at the optimum: relations met, none that pulls is slack."""
        beyond = (z - weight @ self.normals).clamp(low, high) @ self.normals.T - offset
        close = REST * (1 + offset.abs())
        idle = (beyond <= close) & ((weight <= 0) | (beyond >= -close))
        return (torch.where(self.is_equality, beyond.abs() <= close, idle) | ~binds).all(1)

    def _dual(self, z: Tensor, offset: Tensor, low: Tensor, high: Tensor, weight: Tensor) -> Tensor:
        """What the weights, raised, cannot raise above half the squared distance."""
        x = (z - weight @ self.normals).clamp(low, high)
        beyond = x @ self.normals.T - offset
        return (x - z).square().sum(1) / 2 + (weight * beyond).sum(1)

    def _newton(
        self, z: Tensor, offset: Tensor, binds: Tensor, low: Tensor, high: Tensor, weight: Tensor
    ) -> Tensor:
        """Weights that meet the relations active now by the coordinates between bounds now."""
        free = z - weight @ self.normals
        beyond = free.clamp(low, high) @ self.normals.T - offset
        active = binds & (self.is_equality | (weight + beyond / self._norm > 0))
        inside = (free > low) & (free < high)
        fixed = torch.where(inside, z, free.clamp(low, high))
        target = (fixed @ self.normals.T - offset).masked_fill(~active, 0.0)
        step = self._solved(inside, active, target)
        return torch.where(self.is_equality, step, step.clamp_min(0))

    @property
    def _norm(self) -> Tensor:
        return self.normals.square().sum(1).clamp_min(1e-300)

    def _swept(
        self, z: Tensor, offset: Tensor, binds: Tensor, low: Tensor, high: Tensor, weight: Tensor
    ) -> Tensor:
        """Each weight raised once, the others standing still."""
        weight, free, norm = weight.clone(), z - weight @ self.normals, self._norm
        for k, normal in enumerate(self.normals):
            beyond = free.clamp(low, high) @ normal - offset[:, k]
            new = weight[:, k] + beyond / norm[k]
            new = torch.where(self.is_equality[k], new, new.clamp_min(0))
            new = torch.where(binds[:, k], new, 0.0)
            free = free - (new - weight[:, k])[:, None] * normal
            weight[:, k] = new
        return weight

    def _solved(self, inside: Tensor, active: Tensor, target: Tensor) -> Tensor:
        """Weights with which the active relations are met by the coordinates between bounds."""
        both = active[:, :, None] & active[:, None, :]
        gram = torch.einsum("kw,bw,lw->bkl", self.normals, inside.to(target.dtype), self.normals)
        gram = gram.masked_fill(~both, 0.0)
        diagonal = gram.diagonal(dim1=1, dim2=2)
        ridge = 1e-12 * diagonal.amax(1, keepdim=True) + (~active | (diagonal <= 0))
        factor = torch.linalg.cholesky_ex(gram + torch.diag_embed(ridge))[0]
        weight = torch.cholesky_solve(target[..., None], factor)
        # The ridge, there for relations that repeat each other, is refined away.
        weight = weight + torch.cholesky_solve(target[..., None] - gram @ weight, factor)
        return weight[..., 0].masked_fill(~active, 0.0)

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
            rows = rows[~self.meets(x[rows], offset[rows], binds[rows])]
            if not len(rows):
                break
            here = (self.excess(x[rows], offset[rows], binds[rows]) / length).sum(1)
            better = []
            for some, now in zip(rows.split(1024), here.split(1024), strict=True):
                beyond = (x[some] @ self.normals.T - offset[some])[:, None] + change
                beyond = torch.where(self.is_equality, beyond.abs(), beyond.clamp_min(0))
                total = (beyond.masked_fill(~binds[some, None], 0.0) / length).sum(2)
                moved = x[some, None] + steps
                slack = 1e-9 * grid
                outside = (moved < lower[some, None] - slack) | (moved > upper[some, None] + slack)
                total = total.masked_fill(outside.any(2), torch.inf)
                which = stable_argmax(-total / now[:, None])
                least = total.gather(1, which[:, None])[:, 0]
                gains = least < now - TIE * now
                x[some[gains]] += steps[which[gains]]
                better.append(some[gains])
            rows = torch.cat(better)
        return x
