"""APGD: projected ascent that finds its own step length, row by row.

The step is halved, and the row sent back to its best point, whenever it stops gaining.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from advaug.attacks.ascent import value_and_gradient
from advaug.attacks.noise import random_point
from advaug.core.norms import per_row
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack, AttackProblem
from advaug.core.ties import exceeds


def checkpoints(steps: int) -> list[int]:
    """Steps after which a row may halve its step: 22 % of all, then ever closer, at least 6 %."""
    width, least, shrink = (max(int(share * steps), 1) for share in (0.22, 0.06, 0.03))
    checks, at = [], width
    while at <= steps:
        checks.append(at)
        width = max(width - shrink, least)
        at += width
    return checks


@dataclass
class APGD(Attack, Parameters):
    """Auto-PGD: momentum, a first step of twice the radius, halved where it no longer gains.

    z = project(x + step * steepest(grad J(x))), x <- project(x + .75 (z - x) + .25 (x - last)).
    The best point met is returned. Raise `Odds` (cross-entropy's direction) or `Margin` (works for
    two classes, where the published DLR loss needs three).

    Parameters
    ----------
    steps : int
        Number of gradient steps.
    momentum : float
        Weight of the new direction; 1 - momentum is kept of the last one.
    rho : float
        Share of the steps since the last checkpoint that must have gained.
    random_start : bool
        Begin at a random point of the ball instead of the row itself.

    See Also
    --------
    advaug.attacks.PGD :
        Projected gradient descent: x <- project(x + step * radius * steepest(grad J(x))).
    advaug.attacks.AutoAttack :
        A small ensemble of attacks without settings to tune, for a verdict on robustness.

    References
    ----------
    Croce, Hein. Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks. ICML 2020.

    Examples
    --------
    >>> from advaug.attacks import APGD
    >>> APGD(steps=50).rho
    0.75
    """

    requires: ClassVar[frozenset[str]] = frozenset({"gradient"})
    steps: int = 100
    momentum: float = 0.75
    rho: float = 0.75
    random_start: bool = True

    def __call__(self, problem: AttackProblem) -> Tensor:
        seed = problem.seed.detach()
        start = random_point(problem) if self.random_start else seed
        back = problem.space.projector(seed, problem.radius)
        return ascend_by_halving(problem, start, back, self.steps, self.momentum, self.rho)


def ascend_by_halving(
    problem: AttackProblem,
    start: Float[Tensor, "batch *shape"],
    back: Callable[[Tensor], Tensor],
    steps: int,
    momentum: float,
    rho: float,
) -> Float[Tensor, "batch *shape"]:
    """APGD from `start`; `back` brings a point back to where rows may be.

    The best point met is returned.
    """
    seed, space, radius = problem.seed.detach(), problem.space, problem.radius
    value, gradient = value_and_gradient(problem.objective, start)
    x = last = start
    best, best_value, best_gradient = start, value, gradient
    step, rises = torch.full_like(radius, 2.0), torch.zeros_like(radius)
    was_halved, best_before = torch.ones_like(radius, dtype=torch.bool), value
    checked, checks = 0, checkpoints(steps)
    for k in range(1, steps + 1):
        move = space.steepest(gradient, x, radius, seed)
        # To first order: in this unit a gain is the same for any growing function of the value.
        unit = (gradient * move).flatten(1).sum(1)
        ahead = back(x + per_row(step, x) * move)
        new = 1.0 if k == 1 else momentum
        x, last = back(x + new * (ahead - x) + (1 - new) * (x - last)), x
        before = value
        value, gradient = value_and_gradient(problem.objective, x)
        rises += exceeds(value, before, unit)
        better = exceeds(value, best_value, unit)
        best_value = torch.where(better, value, best_value)
        best = torch.where(per_row(better, x), x, best)
        best_gradient = torch.where(per_row(better, x), gradient, best_gradient)
        if k in checks:
            halved = rises <= rho * (k - checked)
            halved |= ~was_halved & (best_before >= best_value)
            step, rises = torch.where(halved, step / 2, step), torch.zeros_like(rises)
            back_to = per_row(halved, x)
            x, last = torch.where(back_to, best, x), torch.where(back_to, best, last)
            gradient = torch.where(back_to, best_gradient, gradient)
            was_halved, best_before, checked = halved, best_value, k
    return best.add(best_gradient, alpha=0)  # NaN where the objective has no number to give
