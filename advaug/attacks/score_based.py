"""NES and SPSA: the one gradient loop on a gradient that is only estimated, from scores.

The objective's values at pairs of points beside the row give its slope there; `climb` does not
know the difference.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from advaug.attacks.ascent import ascend
from advaug.attacks.problem import AttackProblem, far, marked
from advaug.core.chance import Chance
from advaug.core.norms import per_row, standard_normal
from advaug.core.objectives import Objective
from advaug.core.parameters import Parameters
from advaug.core.space import Space
from advaug.core.ties import exceeds


@dataclass(frozen=True)
class EstimatedGradient:
    """An objective with a slope from `pairs` of queries: f(x) + <g, x - its own value>.

    g = mean of (f(x + r u) - f(x - r u)) / (2 r) u over the pairs, with normal u or with
    signs; cells that do not move, or stay on their grid, have no part in it.
    """

    ground: AttackProblem
    chance: Chance
    pairs: int
    reach: float
    has_signs: bool

    def take(self, rows: Shaped[Tensor, " some"]) -> "EstimatedGradient":
        """The same for some of the rows."""
        ground, chance = self.ground.take(rows), self.chance.take(rows)
        return EstimatedGradient(ground, chance, self.pairs, self.reach, self.has_signs)

    def __call__(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
        at = x.detach()
        value = self.ground.worth(self.ground.shipped(at))
        return value + ((x - at) * self._slope(at)).flatten(1).sum(1)

    def _slope(self, x: Tensor) -> Tensor:
        many, base = self.ground.again(self.pairs), x.repeat_interleave(self.pairs, 0)
        noise = self.chance.draw(self.pairs, *x.shape[1:]).to(x).flatten(0, 1)
        way = (noise - 0.5).sign() if self.has_signs else standard_normal(noise)
        way = way * per_row(self.reach * many.radius, way)
        no_ball = far(many)
        there, back = (
            many.shipped(base + side * way, rounding, no_ball)
            for side, rounding in ((1, noise), (-1, 1 - noise))
        )
        ahead, behind = many.worth(there), many.worth(back)
        differs = exceeds(ahead, behind) | exceeds(behind, ahead)
        gain = (ahead - behind) * differs  # the sign of noise would be a whole step
        pulls = (per_row(gain, base) * (there - back)).view(len(x), self.pairs, *x.shape[1:])
        slope, size = pulls.mean(1), pulls.abs().mean(1)
        slope = slope * exceeds(slope.abs(), 0.0, unit=size)  # pulls that cancel leave noise
        width = (2 * self.reach * self.ground.radius).square()  # once in the gain, once in the way
        return slope / per_row(width.clamp_min(torch.finfo(x.dtype).tiny), x)


@dataclass
class NES(Parameters):
    """Natural evolution strategies: PGD on a slope estimated from 2 * pairs queries a step.

    Parameters
    ----------
    steps : int
        Number of steps.
    step : float
        Length of one step as a share of the radius.
    momentum : float
        How much of the pull is kept from step to step: it averages the slopes.
    pairs : int
        Pairs of points asked for one slope.
    reach : float
        Their distance from the row in each cell, as a share of the radius.
    stop_at : float, optional
        Drop a row once its objective has reached this value (`Margin`: 0 is misclassified).

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

    raises: ClassVar[str] = "margin"
    steps: int = 20
    step: float = 0.2
    momentum: float = 0.9
    pairs: int = 10
    reach: float = 0.2
    stop_at: float | None = 0.0

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        return _climbed(self, False, objective, seed, space, radius, generator)


@dataclass
class SPSA(Parameters):
    """Simultaneous perturbation: as NES, but every cell moves by + or - reach * radius.

    Parameters
    ----------
    steps, step, momentum, pairs, reach, stop_at
        As for `NES`.

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

    raises: ClassVar[str] = "margin"
    steps: int = 20
    step: float = 0.2
    momentum: float = 0.9
    pairs: int = 10
    reach: float = 0.2
    stop_at: float | None = 0.0

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        return _climbed(self, True, objective, seed, space, radius, generator)


def _climbed(
    attack: NES | SPSA,
    has_signs: bool,
    objective: Objective,
    seed: Tensor,
    space: Space,
    radius: Tensor,
    generator: torch.Generator,
) -> Tensor:
    if attack.pairs < 1 or not attack.reach > 0:
        raise ValueError(
            f"pairs must be at least 1 and reach above 0, got pairs={attack.pairs}, "
            f"reach={attack.reach}"
        )
    if radius.isinf().any():
        raise ValueError(
            f"{type(attack).__name__} takes steps that are shares of the radius: give it a finite "
            "one; HopSkipJump looks for the shortest move"
        )
    ground = AttackProblem(objective, seed.detach(), space, radius)
    chance = Chance.of(seed, generator)
    estimated = EstimatedGradient(ground, chance, attack.pairs, attack.reach, has_signs)
    x = ascend(
        estimated,
        seed,
        space,
        radius,
        steps=attack.steps,
        step=attack.step,
        momentum=attack.momentum,
        stop_at=attack.stop_at,
    )
    return marked(ground.shipped(x), x.flatten(1).sum(1))
