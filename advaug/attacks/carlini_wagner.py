"""Carlini-Wagner and EAD: success bought at the least length, its price found by bisection.

Both descend length + price * (confidence - objective)+ for each price in turn, and
keep the shortest success that was met; a row without one stays as it was.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from advaug.attacks.ascent import value_and_gradient
from advaug.core.norms import per_row
from advaug.core.objectives import Objective
from advaug.core.parameters import Parameters
from advaug.core.space import Space
from advaug.core.ties import at_most, exceeds

Walk = Callable[[Tensor], Iterator[tuple[Tensor, Tensor]]]  # price -> points and their objective


def cheapest(
    seed: Float[Tensor, "batch *shape"],
    walk: Walk,
    size: Callable[[Tensor], Tensor],
    price: float,
    rounds: int,
    confidence: float,
) -> Float[Tensor, "batch *shape"]:
    """The shortest success on walks at `rounds` prices, bisected in each row by itself."""
    best, least = seed.clone(), torch.full_like(seed.flatten(1)[:, 0], torch.inf)
    low, high = torch.zeros_like(least), least.clone()
    prices = torch.full_like(least, price)
    is_broken = torch.zeros_like(least, dtype=torch.bool)
    for _ in range(rounds):
        has_won = torch.zeros_like(least, dtype=torch.bool)
        for x, value in walk(prices):
            won, length = exceeds(value, confidence), size(x)
            shorter = won & exceeds(least, length, unit=0.0)
            best = torch.where(per_row(shorter, x), x, best)
            least = torch.where(shorter, length, least)
            has_won |= won
            is_broken |= value.isnan()
        low, high = torch.where(has_won, low, prices), torch.where(has_won, prices, high)
        prices = torch.where(high.isinf(), 10 * prices, (low + high) / 2)
    return best.masked_fill(per_row(is_broken & least.isinf(), best), torch.nan)


@dataclass
class CarliniWagner(Parameters):
    """Least squared length plus price * (confidence - margin)+, by Adam inside the bounds.

    Parameters
    ----------
    rounds, steps : int
        Prices tried, and steps at each.
    learning_rate : float
        First step length of Adam, in the space's units; it falls to 0 over the steps.
    price : float
        The first price of success.
    confidence : float
        The margin that counts as success.

    References
    ----------
    Carlini, Wagner. Towards evaluating the robustness of neural networks. IEEE S&P 2017.

    Examples
    --------
    >>> from advaug.attacks import CarliniWagner
    >>> CarliniWagner(steps=50).rounds
    6
    """

    raises: ClassVar[str] = "margin"
    is_minimal: ClassVar[bool] = True
    rounds: int = 6
    steps: int = 100
    learning_rate: float = 0.05
    price: float = 1.0
    confidence: float = 0.0

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        seed = seed.detach()
        back = space.projector(seed, radius)

        def walk(prices: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
            x, mean, square = seed, torch.zeros_like(seed), torch.zeros_like(seed)
            for k in range(1, self.steps + 1):
                value, gradient = value_and_gradient(objective, x)
                yield x, value
                pull = gradient * per_row(prices * at_most(value, self.confidence), x) - 2 * (
                    x - seed
                )
                mean, square = mean.lerp(pull, 0.1), square.lerp(pull * pull, 0.001)
                tilt, spread = 1 - 0.9**k, 1 - 0.999**k
                move = mean / tilt / ((square / spread).sqrt() + 1e-8)
                rate = self.learning_rate * (1 - (k - 1) / self.steps)
                x = back(x + rate * space.mask_frozen(move, x))

        return cheapest(
            seed,
            walk,
            lambda x: (x - seed).flatten(1).square().sum(1),
            self.price,
            self.rounds,
            self.confidence,
        )


@dataclass
class EAD(Parameters):
    """Elastic net attack: Carlini-Wagner with sparsity * L1 length added, by FISTA.

    Parameters
    ----------
    rounds, steps : int
        Prices tried, and steps at each.
    learning_rate : float
        First step length; it falls to 0 with the root of the steps left.
    sparsity : float
        Weight of the L1 length beside the squared L2 length (beta).
    price : float
        The first price of success.
    confidence : float
        The margin that counts as success.

    References
    ----------
    Chen, Sharma, Zhang, Yi, Hsieh. EAD: elastic-net attacks to deep neural networks via adversarial
    examples. AAAI 2018.

    Examples
    --------
    >>> from advaug.attacks import EAD
    >>> EAD().sparsity
    0.01
    """

    raises: ClassVar[str] = "margin"
    is_minimal: ClassVar[bool] = True
    rounds: int = 6
    steps: int = 100
    learning_rate: float = 0.05
    sparsity: float = 0.01
    price: float = 1.0
    confidence: float = 0.0

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        seed = seed.detach()
        back = space.projector(seed, radius)

        def size(x: Tensor) -> Tensor:
            move = (x - seed).flatten(1)
            return move.square().sum(1) + self.sparsity * move.abs().sum(1)

        def walk(prices: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
            x = ahead = seed
            for k in range(1, self.steps + 1):
                value, gradient = value_and_gradient(objective, ahead)
                yield ahead, value
                pull = gradient * per_row(prices * at_most(value, self.confidence), x)
                rate = self.learning_rate * (1 - (k - 1) / self.steps) ** 0.5
                move = ahead - seed + rate * space.mask_frozen(pull - 2 * (ahead - seed), ahead)
                shrunk = move.sign() * (move.abs() - rate * self.sparsity).clamp_min(0)
                x, last = back(seed + shrunk), x
                ahead = back(x + (k - 1) / (k + 2) * (x - last))

        return cheapest(seed, walk, size, self.price, self.rounds, self.confidence)
