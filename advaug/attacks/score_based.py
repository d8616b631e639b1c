"""NES and SPSA: the one gradient loop, `ascend`, on a gradient that is estimated from scores.

The objective's values at pairs of points beside the row give its slope there.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from advaug.attacks.ascent import ascend
from advaug.core.norms import per_row, standard_normal
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack, AttackProblem, Loss, mark_undefined
from advaug.core.ties import exceeds


def estimated_gradient(
    problem: AttackProblem, x: Tensor, step: int, *, pairs: int, delta: float, has_signs: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The objective at valid rows, and its slope from `pairs` pairs of queries.

    slope = mean of (f(x + d u) - f(x - d u)) / (2 d) u over the pairs, d = delta * radius, with
    normal u or with signs; cells that do not move, or stay on their grid, have no part in it.
    """
    value, unit = problem.measure(problem.valid(x))
    many, base = problem.repeat(pairs), x.repeat_interleave(pairs, 0)
    noise = problem.random.at(step).uniform(pairs, *x.shape[1:]).to(x).flatten(0, 1)
    way = (noise - 0.5).sign() if has_signs else standard_normal(noise)
    way = way * per_row(delta * many.radius, way)
    ahead = many.valid_anywhere(base + way, noise)
    behind = many.valid_anywhere(base - way, 1 - noise)
    (more, _), (less, _) = many.measure(ahead), many.measure(behind)
    noise_unit = unit.repeat_interleave(pairs)
    differs = exceeds(more, less, noise_unit) | exceeds(less, more, noise_unit)
    gain = (more - less) * differs  # the sign of noise would be a whole step
    slopes = (per_row(gain, base) * (ahead - behind)).view(len(x), pairs, *x.shape[1:])
    slope, size = slopes.mean(1), slopes.abs().mean(1)
    slope = slope * exceeds(slope.abs(), 0.0, unit=size)  # slopes that cancel leave noise
    width = (2 * delta * problem.radius).square()  # once in the gain, once in the way
    return value, slope / per_row(width.clamp_min(torch.finfo(x.dtype).tiny), x), unit


@dataclass
class NES(Attack, Parameters):
    """Natural evolution strategies: PGD on a slope estimated from 2 * pairs queries a step.

    Parameters
    ----------
    steps : int
        Number of steps.
    step : float
        Length of one step as a share of the radius.
    momentum : float
        Decay factor of the accumulated gradient: it averages the estimates.
    pairs : int
        Pairs of points that are queried for one slope.
    delta : float
        Their distance from the row in each cell, as a share of the radius (the paper's sigma).
    stop_at : float, optional
        Drop a row once its objective has reached this value (`Margin`: 0 is misclassified).

    See Also
    --------
    advaug.attacks.SPSA :
        Simultaneous perturbation: as NES, but every cell moves by + or - delta * radius.
    advaug.attacks.Square :
        Random search on scores: x <- x with one block at the edge of the ball, if that gains.

    References
    ----------
    Ilyas, Engstrom, Athalye, Lin. Black-box adversarial attacks with limited queries and
    information. ICML 2018.

    Examples
    --------
    >>> from advaug.attacks import NES
    >>> NES(pairs=50).steps
    20
    """

    loss: ClassVar[Loss] = "margin"
    requires: ClassVar[frozenset[str]] = frozenset({"cells"})
    has_signs: ClassVar[bool] = False  # of the random directions
    steps: int = 20
    step: float = 0.2
    momentum: float = 0.9
    pairs: int = 10
    delta: float = 0.2
    stop_at: float | None = 0.0

    def __call__(self, problem: AttackProblem) -> Tensor:
        if self.pairs < 1 or not self.delta > 0:
            raise ValueError(f"pairs must be at least 1 and delta above 0, got {self}")
        if problem.radius.isinf().any():
            raise ValueError(
                f"{type(self).__name__} takes steps that are shares of the radius: give it a "
                "finite one; HopSkipJump looks for the shortest move"
            )
        x = ascend(
            problem,
            steps=self.steps,
            step=self.step,
            momentum=self.momentum,
            stop_at=self.stop_at,
            gradient_of=partial(
                estimated_gradient, pairs=self.pairs, delta=self.delta, has_signs=self.has_signs
            ),
        )
        return mark_undefined(problem.valid(x), x.flatten(1).sum(1))


@dataclass
class SPSA(NES):
    """Simultaneous perturbation: as NES, but every cell moves by + or - delta * radius.

    Parameters
    ----------
    steps : int
        As for `NES`, like all that follow.
    step, momentum : float
        The length of a step as a share of the radius, and the momentum.
    pairs : int
        Pairs of queries for each step.
    delta : float
        How far every cell moves in a query, as a share of the radius.
    stop_at : float, optional
        Drop a row once its objective has reached this value.

    See Also
    --------
    advaug.attacks.NES :
        Natural evolution strategies: PGD on a slope estimated from 2 * pairs queries a step.
    advaug.attacks.Square :
        Random search on scores: x <- x with one block at the edge of the ball, if that gains.

    References
    ----------
    Uesato, O'Donoghue, van den Oord, Kohli. Adversarial risk and the dangers of evaluating
    against weak attacks. ICML 2018.

    Examples
    --------
    >>> from advaug.attacks import SPSA
    >>> SPSA().pairs
    10
    """

    has_signs: ClassVar[bool] = True
