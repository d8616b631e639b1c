"""What a robust net is trained on: its loss at the rows, and what an attack makes of them.

alpha * L(x, y) + (1 - alpha) * R(x, x', y): which R, is one entry of a table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from advaug.attacks import FGSM, PGD, VAT, Attack
from advaug.norms import draw
from advaug.objectives import Divergence, divergence, goal
from advaug.spaces import Space
from advaug.surrogates import Frozen
from advaug.surrogates.frozen import two_sided

NEAR = 1e-2  # share of the radius at which a divergence is first climbed: at the row it is flat
UNKNOWN = -1  # the code of a row without a label


def at_the_attack(before: Tensor, after: Tensor, y: Tensor) -> Tensor:
    """L(x', y) (Goodfellow et al. 2015, Madry et al. 2018)."""
    return cross_entropy(after, y, reduction="none", ignore_index=UNKNOWN)


def between(before: Tensor, after: Tensor, y: Tensor) -> Tensor:
    """KL(p(x) || p(x')), both ends moving (TRADES, Zhang et al. 2019)."""
    return divergence(before, after)


def from_where_it_was(before: Tensor, after: Tensor, y: Tensor) -> Tensor:
    """KL(p(x) || p(x')), p(x) held (VAT, Miyato et al. 2018)."""
    return divergence(before.detach(), after)


REGULARISERS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "adversarial": at_the_attack,
    "trades": between,
    "vat": from_where_it_was,
}
OWN_ATTACK: dict[str, Callable[[], Attack]] = {
    "adversarial": FGSM,
    "trades": lambda: PGD(steps=5),
    "vat": VAT,
}


@dataclass(frozen=True)
class RobustLoss:
    """The loss of some rows, from their numbers: x' is made anew each time it is asked.

    Parameters
    ----------
    net : nn.Module
    native : callable
        Encoded rows as the net takes them.
    x, y : Tensor
        All rows encoded, and their classes' codes (UNKNOWN: no label), on the net's device.
    weight : Tensor (rows,)
        Of each row, 1 in the mean of those with a label.
    kind : a key of REGULARISERS
    """

    net: nn.Module
    native: Callable[[Tensor], Tensor]
    x: Tensor
    y: Tensor
    weight: Tensor
    kind: str
    attack: Attack
    space: Space
    radius: float
    alpha: float
    generator: torch.Generator

    def __call__(self, rows: Tensor) -> Tensor:
        rows = rows.to(self.x.device)
        x, y, weight = self.x[rows], self.y[rows], self.weight[rows]
        if self.alpha == 1:
            return self._clean(self._logits(x), y, weight)
        if self.alpha == 0 and self.kind == "adversarial":  # the rows themselves are not asked
            return self._clean(self._logits(self.moved(x, y)), y, weight)
        both = self._logits(torch.cat([x, self.moved(x, y)]))
        before, after = both.split(len(x))
        robust = weight * REGULARISERS[self.kind](before, after, y)
        return self.alpha * self._clean(before, y, weight) + (1 - self.alpha) * robust.mean()

    def _logits(self, x: Tensor) -> Tensor:
        return two_sided(self.net(self.native(x)))

    def _clean(self, logits: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """Mean over the rows with a label."""
        value = cross_entropy(logits, y, reduction="none", ignore_index=UNKNOWN)
        return (weight * value).sum() / (y != UNKNOWN).sum().clamp_min(1)

    def moved(self, x: Tensor, y: Tensor) -> Tensor:
        """The rows as the attack leaves them; the net is frozen meanwhile."""
        radius = torch.full((len(x),), self.radius, device=x.device)
        with Frozen(self.net) as frozen:

            def logits(rows: Tensor) -> Tensor:
                return frozen.logits(self.native(rows))

            if self.kind == "adversarial":
                objective: Any = goal(getattr(self.attack, "raises", "odds"), logits, x, y)
                return self.attack(objective, x, self.space, radius, self.generator)
            with torch.no_grad():
                objective = Divergence(logits, logits(x))
            near = self.space.sample(x, radius * NEAR, draw(x, self.generator))
            moved = self.attack(objective, near, self.space, radius, self.generator)
            return self.space.project(moved, x, radius)
