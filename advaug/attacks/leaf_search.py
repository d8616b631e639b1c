"""Leaf search: the nearest box of leaves in which a tree ensemble says something else.

White-box for trees: where thresholds lie is read from the model, what it says is asked.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from advaug.attacks.hopskipjump import HALVINGS, search_boundary
from advaug.attacks.problem import MOST_CELLS, AttackProblem, far, marked, started, within
from advaug.core.chance import Chance
from advaug.core.norms import per_row
from advaug.core.objectives import Objective, regions_of
from advaug.core.parameters import Parameters
from advaug.core.space import Space
from advaug.core.ties import at_most, exceeds, stable_argsort, stable_topk


@dataclass
class LeafSearch(Parameters):
    """From cell to cell towards the seed, one threshold at a time, while the prediction holds.

    The nearest points of single leaves are asked first: for one tree that is the exact optimum.
    Else the walk starts at a near real row of another prediction, halves its way to the boundary
    in a straight line and column by column, and then crosses, again and again, the one threshold
    that brings it nearest. The end is a local optimum: no single crossing towards the seed keeps
    the success. Where it lies beyond the radius the row stays as it is.

    Parameters
    ----------
    leaves : int
        How many of the nearest single leaves are asked.
    steps : int
        Crossings at most.
    references : Tensor (rows, *shape), optional
        Encoded real rows to start from. The estimators hand in rows that they have seen.

    References
    ----------
    Yang, Rashtchian, Wang, Chaudhuri. Robustness for non-parametric classification: a generic
    attack and defense. AISTATS 2020.  Zhang, Zhang, Hsieh. An efficient adversarial attack for
    tree ensembles. NeurIPS 2020.

    Examples
    --------
    >>> from advaug.attacks import LeafSearch
    >>> LeafSearch(leaves=64).steps
    50
    """

    raises: ClassVar[str] = "margin"
    is_minimal: ClassVar[bool] = True
    leaves: int = 256
    steps: int = 50
    references: Tensor | None = field(default=None, repr=False, compare=False)

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        trees = regions_of(getattr(objective, "logits", None))
        if trees is None:
            raise ValueError(
                "LeafSearch needs a model made of trees on numeric columns (DecisionTree, "
                "RandomForest, ExtraTrees, GradientBoosting, HistGradientBoosting): take "
                "attack='hopskipjump' for others"
            )
        ground, chance = (
            AttackProblem(objective, seed.detach(), space, radius),
            Chance.of(seed, generator),
        )
        first = ground.worth(ground.seed)
        done = marked(ground.seed.clone(), first)
        lower, upper = (bound.to(ground.seed) for bound in trees.boxes(seed.shape[1]))
        waiting = at_most(first, 0.0).nonzero()[:, 0]
        for rows in waiting.split(max(MOST_CELLS // lower.numel(), 1)):
            some, luck = ground.take(rows), chance.take(rows)
            x, found = self._in_leaves(some, lower, upper)
            y, also = started(some, self.references, luck)
            walked = self._walk(some.take(also), y[also], trees)
            nearer = some.distance(y.index_copy(0, also.nonzero()[:, 0], walked))
            y = y.index_copy(0, also.nonzero()[:, 0], walked)
            better = also & (~found | exceeds(some.distance(x), nearer, unit=0.0))
            x = torch.where(per_row(better, x), y, x)
            good = (found | also) & within(some, x)
            done[rows[good]] = x[good]
        return done

    def _in_leaves(
        self, ground: AttackProblem, lower: Tensor, upper: Tensor
    ) -> tuple[Float[Tensor, "batch width"], Bool[Tensor, " batch"]]:
        """The nearest success in a single leaf's box."""
        seed = ground.seed
        size = clamped_distance(ground, lower, upper)
        order = stable_topk(-size, min(self.leaves, len(lower)), unit=0.0)
        x, found = seed.clone(), torch.zeros(len(seed), dtype=torch.bool, device=seed.device)
        for leaf in order.unbind(1):
            rows = (~found).nonzero()[:, 0]
            if not len(rows):
                break
            some, at = ground.take(rows), leaf[rows]
            tried = some.shipped(seed[rows].clamp(lower[at], upper[at]), radius=far(some))
            good = some.succeeds(tried)
            x[rows[good]], found[rows[good]] = tried[good], True
        return x, found

    def _walk(self, ground: AttackProblem, x: Tensor, trees: Any) -> Tensor:
        """From a success to the nearer of two local optima: of the straight way, and by columns."""
        straight = search_boundary(ground, x)
        first = self._crossings(ground, straight, trees)
        second = self._crossings(ground, column_by_column(ground, straight), trees)
        nearer = exceeds(cost(ground, second), cost(ground, first), unit=0.0)
        return torch.where(per_row(nearer, x), first, second)

    def _crossings(self, ground: AttackProblem, x: Tensor, trees: Any) -> Tensor:
        """Towards the seed, one threshold at a time, from a success to a local optimum."""
        x, rows = x.clone(), torch.arange(len(x), device=x.device)
        for _ in range(self.steps):
            if not len(rows):
                break
            some, at = ground.take(rows), x[rows]
            tried, gain = crossed(some, at, trees)
            better = gain > 0
            rows = rows[better]
            x[rows] = tried[better]
        return x


def clamped_distance(
    ground: AttackProblem, lower: Tensor, upper: Tensor
) -> Float[Tensor, "batch leaves"]:
    """How far each box lies from each seed."""
    sizes = []
    for low, high in zip(lower, upper, strict=True):
        sizes.append(ground.distance(ground.seed.clamp(low, high)))
    return torch.stack(sizes, 1)


def cost(ground: AttackProblem, x: Tensor) -> Float[Tensor, " batch"]:
    """The space's distance; among equals, the shorter in L2."""
    return ground.distance(x) + 1e-3 * (x - ground.seed).flatten(1).square().sum(1).sqrt()


def column_by_column(ground: AttackProblem, x: Tensor) -> Float[Tensor, "batch width"]:
    """Each coordinate as near to the seed's as the success allows, largest moves last."""
    order = stable_argsort(-(x - ground.seed).abs(), unit=0.0)
    for column in order.unbind(1):
        at = column[:, None]
        low, high = torch.zeros_like(ground.radius), torch.ones_like(ground.radius)
        home, there = ground.seed.gather(1, at)[:, 0], x.gather(1, at)[:, 0]
        for halving in range(HALVINGS // 2):
            share = low if not halving else (low + high) / 2  # all the way home first
            value = home + share * (there - home)
            tried = ground.shipped(x.scatter(1, at, value[:, None]), radius=far(ground))
            good = ground.succeeds(tried)
            x = torch.where(per_row(good, x), tried, x)
            high, low = torch.where(good, share, high), torch.where(good, low, share)
    return x


def crossed(
    ground: AttackProblem, x: Tensor, trees: Any
) -> tuple[Float[Tensor, "batch width"], Float[Tensor, " batch"]]:
    """The nearest success one threshold farther towards the seed, and how much nearer it is."""
    seed, width = ground.seed, x.shape[1]
    cell = trees.cell(x)
    near = ground.shipped(seed.clamp(cell.lower, cell.upper), radius=far(ground))
    good = ground.succeeds(near)
    nearer = exceeds(cost(ground, x), cost(ground, near), unit=0.0)
    x = torch.where(per_row(good & nearer, x), near, x)
    before = cost(ground, x)
    candidate = torch.where(seed < x, cell.below.maximum(seed), cell.above.minimum(seed))
    best, gain = x, torch.zeros_like(before)
    for column in range(width):
        rows = (x[:, column] != seed[:, column]).nonzero()[:, 0]
        if not len(rows):
            continue
        some, at = ground.take(rows), x[rows].clone()
        at[:, column] = candidate[rows, column]
        next_cell = trees.cell(at)
        nearest = some.seed.clamp(next_cell.lower, next_cell.upper)
        tried = some.shipped(nearest, radius=far(some))
        nearer = before[rows] - cost(some, tried)
        hopeful = exceeds(nearer, gain[rows], unit=before[rows])
        asked = hopeful.nonzero()[:, 0]
        if len(asked):
            hit = asked[some.take(asked).succeeds(tried[asked])]
            best = best.index_copy(0, rows[hit], tried[hit])
            gain[rows[hit]] = nearer[hit]
    return best, gain
