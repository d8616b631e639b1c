"""Linear relations between numbers, and the exact projection onto them.

Each row has its own bounds and offsets, and its own choice of relations that bind it.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from advaug.core.tensor_fields import TensorFields
from advaug.core.ties import stable_argmax

MOST_ROUNDS = 40
SHARES = (1.0, 0.3, 0.1, 0.03)  # These shares of a Newton step are tried.
MOST_STEPS = 60
CONVERGED = 1e-12  # The method stops where each relation is met as closely.
TIE = 1e-6  # A step is better than another by at least this share of the excess.
CLOSE = 1e-9  # A relation is met if it is broken by at most this share of its terms.


@dataclass(frozen=True, repr=False)
class RowLimits(TensorFields):
    """Of each row: the relations' offsets, which relations bind it, and its bounds."""

    offset: Float[Tensor, "batch relations"]
    binds: Bool[Tensor, "batch relations"]
    lower: Float[Tensor, "batch width"]
    upper: Float[Tensor, "batch width"]

    def clamp(self, x: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        """The nearest point between the bounds."""
        return x.clamp(self.lower, self.upper)


@dataclass(frozen=True, repr=False)
class Polytope(TensorFields):
    """normals @ x <= offset, or == offset where `is_equality`.

    Parameters
    ----------
    normals : float64 Tensor (relations, width)
    is_equality : bool Tensor (relations,)
    """

    normals: Tensor
    is_equality: Tensor

    def excess(
        self, x: Float[Tensor, "batch width"], limits: RowLimits
    ) -> Float[Tensor, "batch relations"]:
        """By how much each relation is broken; 0 where it is met or does not bind."""
        return self._broken_by(x @ self.normals.T - limits.offset).masked_fill(~limits.binds, 0.0)

    def _broken_by(self, beyond: Tensor) -> Tensor:
        return torch.where(self.is_equality, beyond.abs(), beyond.clamp_min(0))

    def meets(self, x: Float[Tensor, "batch width"], limits: RowLimits) -> Bool[Tensor, " batch"]:
        """Rows that meet all relations that bind them, up to rounding."""
        offset = limits.offset.abs().masked_fill(~limits.binds, 0.0)
        size = x.abs() @ self.normals.abs().T + offset
        return (self.excess(x, limits) <= CLOSE * size).all(1)

    def project(
        self, x: Float[Tensor, "batch width"], limits: RowLimits
    ) -> Float[Tensor, "batch width"]:
        """The nearest point that meets the relations and the bounds.

        A semismooth Newton method on the dual (Hintermueller, Ito, Kunisch. The primal-dual active
        set strategy. SIAM J. Optim. 2002). A sweep of coordinate ascent (Hildreth 1957) after each
        step makes it safe. The point is exact as soon as the active relations and bounds are known.
        A relation that no point between the bounds meets is ignored.
        """
        some = replace(limits, binds=limits.binds & self._reachable(limits))
        rows, weight = torch.arange(len(x), device=x.device), torch.zeros_like(limits.offset)
        z, own = x, weight.clone()
        for _ in range(MOST_ROUNDS):
            is_active = ~self._converged(z, some, own)
            weight[rows] = own
            if not bool(is_active.any()):
                break
            rows, z, own = rows[is_active], z[is_active], own[is_active]
            some = some.take(is_active)
            step = self._newton(z, some, own)
            best, height = own, self._dual(z, some, own)
            for share in SHARES:
                tried = own + share * (step - own)
                raised = self._dual(z, some, tried)
                best = torch.where((raised > height)[:, None], tried, best)
                height = height.maximum(raised)
            own = self._sweep(z, some, best)
        return limits.clamp(x - weight @ self.normals)

    def _reachable(self, limits: RowLimits) -> Tensor:
        """Relations that some point between the bounds meets."""
        rises, falls = self.normals.clamp_min(0), self.normals.clamp_max(0)
        slack = CLOSE * (1 + limits.offset.abs())
        least = limits.lower @ rises.T + limits.upper @ falls.T
        most = limits.upper @ rises.T + limits.lower @ falls.T
        is_above = ~self.is_equality | (most >= limits.offset - slack)
        return (least <= limits.offset + slack) & is_above

    def _converged(self, z: Tensor, limits: RowLimits, weight: Tensor) -> Tensor:
        """Rows at the optimum: all relations are met, and one that has a weight is not slack."""
        beyond = limits.clamp(z - weight @ self.normals) @ self.normals.T - limits.offset
        close = CONVERGED * (1 + limits.offset.abs())
        is_met = (beyond <= close) & ((weight <= 0) | (beyond >= -close))
        is_met = torch.where(self.is_equality, beyond.abs() <= close, is_met)
        return (is_met | ~limits.binds).all(1)

    def _dual(self, z: Tensor, limits: RowLimits, weight: Tensor) -> Tensor:
        """The dual objective: at most half the squared distance, which its maximum equals."""
        x = limits.clamp(z - weight @ self.normals)
        beyond = x @ self.normals.T - limits.offset
        return (x - z).square().sum(1) / 2 + (weight * beyond).sum(1)

    def _newton(self, z: Tensor, limits: RowLimits, weight: Tensor) -> Tensor:
        """Weights that meet the active relations by the coordinates between their bounds."""
        free = z - weight @ self.normals
        bounded = limits.clamp(free)
        beyond = bounded @ self.normals.T - limits.offset
        is_active = limits.binds & (self.is_equality | (weight + beyond / self._norm > 0))
        inside = (free > limits.lower) & (free < limits.upper)
        fixed = torch.where(inside, z, bounded)
        target = (fixed @ self.normals.T - limits.offset).masked_fill(~is_active, 0.0)
        step = self._solve(inside, is_active, target)
        return torch.where(self.is_equality, step, step.clamp_min(0))

    @property
    def _norm(self) -> Tensor:
        return self.normals.square().sum(1).clamp_min(1e-300)

    def _sweep(self, z: Tensor, limits: RowLimits, weight: Tensor) -> Tensor:
        """One sweep of coordinate ascent over the weights."""
        weight, free, norm = weight.clone(), z - weight @ self.normals, self._norm
        for k, normal in enumerate(self.normals):
            beyond = limits.clamp(free) @ normal - limits.offset[:, k]
            new = weight[:, k] + beyond / norm[k]
            new = torch.where(self.is_equality[k], new, new.clamp_min(0))
            new = torch.where(limits.binds[:, k], new, 0.0)
            free = free - (new - weight[:, k])[:, None] * normal
            weight[:, k] = new
        return weight

    def _solve(self, inside: Tensor, active: Tensor, target: Tensor) -> Tensor:
        """Weights that move the coordinates `inside` their bounds onto the active relations."""
        both = active[:, :, None] & active[:, None, :]
        gram = torch.einsum("kw,bw,lw->bkl", self.normals, inside.to(target.dtype), self.normals)
        gram = gram.masked_fill(~both, 0.0)
        diagonal = gram.diagonal(dim1=1, dim2=2)
        ridge = 1e-12 * diagonal.amax(1, keepdim=True) + (~active | (diagonal <= 0))
        factor = torch.linalg.cholesky_ex(gram + torch.diag_embed(ridge))[0]
        weight = torch.cholesky_solve(target[..., None], factor)
        # The ridge helps where relations repeat each other; one refinement removes its error.
        weight = weight + torch.cholesky_solve(target[..., None] - gram @ weight, factor)
        return weight[..., 0].masked_fill(~active, 0.0)

    def settle(
        self,
        x: Float[Tensor, "batch width"],
        limits: RowLimits,
        grid: Float[Tensor, " width"],
    ) -> Float[Tensor, "batch width"]:
        """Single steps of the grid that repair relations which rounding has broken.

        Each step is the one that lowers the excess most. Coordinates whose grid is 0 do not move.
        """
        x, steps = x.clone(), torch.cat([torch.diag(grid), -torch.diag(grid)])
        steps = steps[steps.abs().sum(1) > 0]
        length = self.normals.norm(dim=1).clamp_min(1e-300)
        change, slack = steps @ self.normals.T, 1e-9 * grid
        rows = torch.arange(len(x), device=x.device)
        for _ in range(MOST_STEPS if len(steps) else 0):
            rows = rows[~self.meets(x[rows], limits.take(rows))]
            if not len(rows):
                break
            improved = []
            for some in rows.split(1024):
                own = limits.take(some)
                excess = (self.excess(x[some], own) / length).sum(1)
                beyond = (x[some] @ self.normals.T - own.offset)[:, None] + change
                total = self._broken_by(beyond).masked_fill(~own.binds[:, None], 0.0) / length
                moved = x[some, None] + steps
                is_outside = (moved < own.lower[:, None] - slack) | (
                    moved > own.upper[:, None] + slack
                )
                total = total.sum(2).masked_fill(is_outside.any(2), torch.inf)
                which = stable_argmax(-total / excess[:, None])
                least = total.gather(1, which[:, None])[:, 0]
                gains = least < excess - TIE * excess
                x[some[gains]] += steps[which[gains]]
                improved.append(some[gains])
            rows = torch.cat(improved)
        return x
