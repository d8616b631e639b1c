"""Carlini-Wagner and EAD: the shortest success, by a penalty whose constant is bisected.

Both descend length + const * (confidence - objective)+ for each constant in turn, and keep the
shortest success that was met; a row without one stays as it was.
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from advaug.attacks.ascent import value_and_gradient
from advaug.core.norms import per_row
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack, AttackProblem, Loss
from advaug.core.ties import at_most, exceeds


@dataclass
class PenalisedLength(Attack, Parameters):
    """What both share: the constants are bisected row by row, the shortest success is kept."""

    loss: ClassVar[Loss] = "margin"
    is_min_norm: ClassVar[bool] = True
    requires: ClassVar[frozenset[str]] = frozenset({"gradient"})
    binary_search_steps: int = 6
    steps: int = 100
    learning_rate: float = 0.05
    initial_const: float = 1.0
    confidence: float = 0.0

    def length(self, move: Float[Tensor, "batch width"]) -> Float[Tensor, " batch"]:
        """The length that is minimised."""
        return move.square().sum(1)

    @abstractmethod
    def descend(
        self, problem: AttackProblem, const: Float[Tensor, " batch"]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The points that are met with these constants, and the objective there."""

    def penalty_gradient(
        self, value: Tensor, gradient: Tensor, unit: Tensor, const: Tensor
    ) -> Float[Tensor, "batch *shape"]:
        """const * the gradient of the objective, while it is not above the confidence."""
        return gradient * per_row(const * at_most(value, self.confidence, unit), gradient)

    def __call__(self, problem: AttackProblem) -> Tensor:
        seed = problem.seed.detach()
        best, least = seed.clone(), torch.full_like(problem.radius, torch.inf)
        low, high = torch.zeros_like(least), least.clone()
        const = torch.full_like(least, self.initial_const)
        is_broken = torch.zeros_like(least, dtype=torch.bool)
        for _ in range(self.binary_search_steps):
            has_won = torch.zeros_like(is_broken)
            unit = torch.full_like(least, abs(self.confidence))
            for x, value in self.descend(problem, const):
                unit = unit.maximum(value.abs())
                won = exceeds(value, self.confidence, unit)
                size = self.length((x - seed).flatten(1))
                shorter = won & exceeds(least, size, unit=0.0)
                best = torch.where(per_row(shorter, x), x, best)
                least = torch.where(shorter, size, least)
                has_won |= won
                is_broken |= value.isnan()
            low, high = torch.where(has_won, low, const), torch.where(has_won, const, high)
            const = torch.where(high.isinf(), 10 * const, (low + high) / 2)
        return best.masked_fill(per_row(is_broken & least.isinf(), best), torch.nan)


@dataclass
class CarliniWagner(PenalisedLength):
    """Least squared length plus const * (confidence - margin)+, by Adam inside the bounds.

    Parameters
    ----------
    binary_search_steps, steps : int
        Constants tried, and steps with each.
    learning_rate : float
        First step length of Adam, in the space's units; it falls to 0 over the steps.
    initial_const : float
        The first constant: weight of the objective beside the length.
    confidence : float
        The margin that counts as success.

    See Also
    --------
    advaug.attacks.EAD : Elastic net attack: Carlini-Wagner with beta * L1 length added, by FISTA.
    advaug.attacks.DeepFool :
        To the nearest of the linearised boundaries, again and again until one is crossed.

    References
    ----------
    Carlini, Wagner. Towards evaluating the robustness of neural networks. IEEE S&P 2017.

    Examples
    --------
    >>> from advaug.attacks import CarliniWagner
    >>> CarliniWagner(steps=50).binary_search_steps
    6
    """

    def descend(self, problem: AttackProblem, const: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        x = seed = problem.seed.detach()
        back = problem.space.projector(seed, problem.radius)
        mean, square, unit = torch.zeros_like(seed), torch.zeros_like(seed), torch.zeros_like(const)
        for k in range(1, self.steps + 1):
            value, gradient = value_and_gradient(problem.objective, x)
            yield x, value
            unit = unit.maximum(value.abs())
            ascent = self.penalty_gradient(value, gradient, unit, const) - 2 * (x - seed)
            mean, square = mean.lerp(ascent, 0.1), square.lerp(ascent * ascent, 0.001)
            mean_share, square_share = 1 - 0.9**k, 1 - 0.999**k  # Adam's correction of the start
            move = mean / mean_share / ((square / square_share).sqrt() + 1e-8)
            rate = self.learning_rate * (1 - (k - 1) / self.steps)
            x = back(x + rate * problem.space.mask_frozen(move, x))


@dataclass
class EAD(PenalisedLength):
    """Elastic net attack: Carlini-Wagner with beta * L1 length added, by FISTA.

    Parameters
    ----------
    binary_search_steps, steps : int
        Constants tried, and steps with each.
    learning_rate : float
        First step length; it falls to 0 with the root of the steps left.
    initial_const : float
        The first constant: weight of the objective beside the length.
    confidence : float
        The margin that counts as success.
    beta : float
        Weight of the L1 length beside the squared L2 length.

    See Also
    --------
    advaug.attacks.CarliniWagner :
        Least squared length plus const * (confidence - margin)+, by Adam inside the bounds.
    advaug.attacks.JSMA :
        Sparse attack: at most `columns` columns change, each to the far end of its range.

    References
    ----------
    Chen, Sharma, Zhang, Yi, Hsieh. EAD: elastic-net attacks to deep neural networks via adversarial
    examples. AAAI 2018.

    Examples
    --------
    >>> from advaug.attacks import EAD
    >>> EAD().beta
    0.01
    """

    beta: float = 0.01

    def length(self, move: Float[Tensor, "batch width"]) -> Float[Tensor, " batch"]:
        return move.square().sum(1) + self.beta * move.abs().sum(1)

    def descend(self, problem: AttackProblem, const: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        x = ahead = seed = problem.seed.detach()
        back, unit = problem.space.projector(seed, problem.radius), torch.zeros_like(const)
        for k in range(1, self.steps + 1):
            value, gradient = value_and_gradient(problem.objective, ahead)
            yield ahead, value
            unit = unit.maximum(value.abs())
            ascent = self.penalty_gradient(value, gradient, unit, const) - 2 * (ahead - seed)
            rate = self.learning_rate * (1 - (k - 1) / self.steps) ** 0.5
            move = ahead - seed + rate * problem.space.mask_frozen(ascent, ahead)
            shrunk = move.sign() * (move.abs() - rate * self.beta).clamp_min(0)
            x, last = back(seed + shrunk), x
            ahead = back(x + (k - 1) / (k + 2) * (x - last))
