"""HopSkipJump: along the decision boundary, from predicted labels alone.

Start where the prediction is another, search back to the boundary, feel its slope by small random
moves, jump off along it, and search back again: ever nearer to the seed.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from advaug.attacks.problem import MOST_CELLS, AttackProblem, far, marked, started, within
from advaug.core.chance import Chance
from advaug.core.norms import length, per_row, standard_normal
from advaug.core.objectives import Objective
from advaug.core.parameters import Parameters
from advaug.core.space import Space
from advaug.core.ties import at_most, exceeds

HALVINGS = 10  # of the way to the boundary, and of a jump that went too far


@dataclass
class HopSkipJump(Parameters):
    """Decision-based: the nearest row of another prediction, over the boundary's own slope.

    grad = mean of phi(x + probe * u) u over random unit moves u, phi = 1 where it succeeds, -1
    elsewhere, less its mean; then x <- boundary(x + step * steepest(grad)). Whole batches are asked
    at once. The walk minimises the space's distance in its norm; where it ends beyond the radius,
    or never starts, the row stays as it is.

    Parameters
    ----------
    steps : int
        Jumps. Step k asks about probes * sqrt(k) + 20 queries a row.
    probes, most_probes : int
        Random moves in the first step, and at most in any.
    reach : float
        Length of a probe as a share of the distance to the seed.
    references : Tensor (rows, *shape), optional
        Encoded real rows: the walk starts at a near one that is predicted otherwise, else at a
        random point. The estimators hand in rows that they have seen.

    References
    ----------
    Chen, Jordan, Wainwright. HopSkipJumpAttack: a query-efficient decision-based attack. IEEE
    Symposium on Security and Privacy 2020.

    Examples
    --------
    >>> from advaug.attacks import HopSkipJump
    >>> HopSkipJump(steps=5).probes
    100
    """

    raises: ClassVar[str] = "margin"
    is_minimal: ClassVar[bool] = True
    steps: int = 10
    probes: int = 100
    most_probes: int = 1000
    reach: float = 0.1
    references: Tensor | None = field(default=None, repr=False, compare=False)

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        if self.steps < 0 or self.probes < 1 or not self.reach > 0:
            raise ValueError(
                f"HopSkipJump needs steps >= 0, probes >= 1 and reach > 0, got steps={self.steps}, "
                f"probes={self.probes}, reach={self.reach}"
            )
        ground, chance = (
            AttackProblem(objective, seed.detach(), space, radius),
            Chance.of(seed, generator),
        )
        first = ground.worth(ground.seed)
        done = marked(ground.seed.clone(), first)
        asked = self.most_probes * seed[0].numel() if len(seed) else 1
        waiting = at_most(first, 0.0).nonzero()[:, 0]
        for rows in waiting.split(max(MOST_CELLS // asked, 1)):
            done[rows] = self._walk(ground.take(rows), chance.take(rows))
        return done

    def _walk(self, ground: AttackProblem, chance: Chance) -> Tensor:
        done = ground.seed.clone()
        x, found = started(ground, self.references, chance)
        if not found.any():
            return done
        ground, chance, x = ground.take(found), chance.take(found), x[found]
        best = x = search_boundary(ground, x)
        shortest = ground.distance(x)
        for step in range(1, self.steps + 1):
            size = ground.distance(x)
            count = min(int(self.probes * step**0.5), self.most_probes)
            pull = estimate_gradient(ground, x, self.reach * size, count, chance)
            x = search_boundary(ground, jump(ground, x, pull, size / step**0.5))
            size = ground.distance(x)
            shorter = exceeds(shortest, size, unit=0.0)
            best = torch.where(per_row(shorter, x), x, best)
            shortest = torch.where(shorter, size, shortest)
        near = per_row(within(ground, best), best)
        done[found] = torch.where(near, best, ground.seed)
        return done


def search_boundary(
    ground: AttackProblem, x: Float[Tensor, "batch *shape"]
) -> Float[Tensor, "batch *shape"]:
    """The success on the way from the seed to a success x that is hardly one any more."""
    high = ground.distance(x)
    low, nearest = torch.zeros_like(high), x
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        tried = ground.shipped(x, radius=middle)
        good = ground.succeeds(tried)
        nearest = torch.where(per_row(good, x), tried, nearest)
        high, low = torch.where(good, middle, high), torch.where(good, low, middle)
    return nearest


def estimate_gradient(
    ground: AttackProblem,
    x: Float[Tensor, "batch *shape"],
    size: Float[Tensor, " batch"],
    count: int,
    chance: Chance,
) -> Float[Tensor, "batch *shape"]:
    """The boundary's slope at x, from `count` random moves of L2 length `size`."""
    many, base = ground.again(count), x.repeat_interleave(count, 0)
    noise = chance.draw(count, *x.shape[1:]).to(x).flatten(0, 1)
    unit = standard_normal(noise)
    unit = unit * per_row(size.repeat_interleave(count) / length(unit, 2), unit)
    tried = many.shipped(base + unit, noise, far(many))
    sign = many.succeeds(tried).view(-1, count).to(x) * 2 - 1
    mean = sign.mean(1, keepdim=True)
    weight = torch.where(mean.abs() < 1, sign - mean, sign)
    moves = (tried - base).view(len(x), count, -1)
    return torch.einsum("bk,bkd->bd", weight, moves).view_as(x)


def jump(
    ground: AttackProblem,
    x: Float[Tensor, "batch *shape"],
    pull: Float[Tensor, "batch *shape"],
    size: Float[Tensor, " batch"],
) -> Float[Tensor, "batch *shape"]:
    """As far along the pull as still succeeds: `size`, or half of it, or a quarter ..."""
    x, rows = x.clone(), torch.arange(len(x), device=x.device)
    for halving in range(HALVINGS):
        some, at = ground.take(rows), x[rows]
        move = some.space.steepest(pull[rows], at, size[rows] / 2**halving)
        tried = some.shipped(at + move, radius=far(some))
        good = some.succeeds(tried)
        x[rows[good]] = tried[good]
        rows = rows[~good]
        if not len(rows):
            break
    return x
