"""Leaf search: the nearest box of leaves for which a tree ensemble predicts another class.

It reads the thresholds from the trees, and queries their predictions.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from advaug.attacks.black_box import (
    HALVINGS,
    MAX_CELLS,
    find_starts,
    keep_successes,
    search_boundary,
    unsolved,
)
from advaug.core.norms import per_row
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack, AttackProblem, Loss
from advaug.core.ties import exceeds, stable_argsort, stable_topk


@dataclass
class LeafSearch(Attack, Parameters):
    """From cell to cell towards the seed, one threshold at a time, while the prediction holds.

    The nearest points of single leaves are queried first: for one tree that is the exact optimum.
    Else the walk starts at a near reference row of another prediction, halves its way to the
    boundary in a straight line and column by column, and then crosses, again and again, the one
    threshold that brings it nearest. The end is a local optimum: no single crossing towards the
    seed keeps the success. Where it lies beyond the radius the row stays as it is.

    Parameters
    ----------
    leaves : int
        How many of the nearest single leaves are queried.
    steps : int
        Crossings at most.

    See Also
    --------
    advaug.attacks.Square :
        Random search on scores: x <- x with one block at the edge of the ball, if that gains.
    advaug.attacks.HopSkipJump : For models that only tell a class.

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

    loss: ClassVar[Loss] = "margin"
    is_min_norm: ClassVar[bool] = True
    requires: ClassVar[frozenset[str]] = frozenset({"cells", "tree_regions"})
    needs_reference_rows: ClassVar[bool] = True
    leaves: int = 256
    steps: int = 50

    def __call__(self, problem: AttackProblem) -> Tensor:
        trees = problem.objective.tree_regions
        if trees is None:
            raise ValueError(
                "LeafSearch needs a model made of trees on numeric columns (DecisionTree, "
                "RandomForest, ExtraTrees, GradientBoosting, HistGradientBoosting): take "
                "attack='hopskipjump' for others"
            )
        done, unfinished = unsolved(problem)
        lower, upper = (bound.to(done) for bound in trees.boxes(done.shape[1]))
        for rows in unfinished.split(max(MAX_CELLS // lower.numel(), 1)):
            some = problem.take(rows)
            x, in_leaf = self._nearest_leaf(some, lower, upper)
            y, started = find_starts(some)
            y = y.index_copy(
                0, started.nonzero()[:, 0], self._walk(some.take(started), y[started], trees)
            )
            nearer = exceeds(some.distance(x), some.distance(y), unit=0.0)
            x = torch.where(per_row(started & (~in_leaf | nearer), x), y, x)
            good = (in_leaf | started) & some.contains(x)
            done[rows[good]] = x[good]
        return done

    def _nearest_leaf(
        self, problem: AttackProblem, lower: Tensor, upper: Tensor
    ) -> tuple[Float[Tensor, "batch width"], Bool[Tensor, " batch"]]:
        """The nearest success in a single leaf's box."""
        seed = problem.seed
        size = clamped_distance(problem, lower, upper)
        order = stable_topk(-size, min(self.leaves, len(lower)), unit=0.0)
        x, found = seed.clone(), torch.zeros(len(seed), dtype=torch.bool, device=seed.device)
        for leaf in order.unbind(1):
            if found.all():
                break
            keep_successes(problem, seed.clamp(lower[leaf], upper[leaf]), x, found)
        return x, found

    def _walk(self, problem: AttackProblem, x: Tensor, trees: Any) -> Tensor:
        """From a success to the nearer of two local optima: of the straight way, and by columns."""
        straight = search_boundary(problem, x)
        first = self._cross_thresholds(problem, straight, trees)
        second = self._cross_thresholds(problem, column_by_column(problem, straight), trees)
        nearer = exceeds(cost(problem, second), cost(problem, first), unit=0.0)
        return torch.where(per_row(nearer, x), first, second)

    def _cross_thresholds(self, problem: AttackProblem, x: Tensor, trees: Any) -> Tensor:
        """Towards the seed, one threshold at a time, from a success to a local optimum."""
        x, rows = x.clone(), torch.arange(len(x), device=x.device)
        for _ in range(self.steps):
            if not len(rows):
                break
            tried, gain = cross_threshold(problem.take(rows), x[rows], trees)
            better = gain > 0
            rows = rows[better]
            x[rows] = tried[better]
        return x


def clamped_distance(
    problem: AttackProblem, lower: Tensor, upper: Tensor
) -> Float[Tensor, "batch leaves"]:
    """How far each box lies from each seed."""
    sizes = []
    for low, high in zip(lower, upper, strict=True):
        sizes.append(problem.distance(problem.seed.clamp(low, high)))
    return torch.stack(sizes, 1)


def cost(problem: AttackProblem, x: Tensor) -> Float[Tensor, " batch"]:
    """The space's distance; among equals, the shorter in L2."""
    return problem.distance(x) + 1e-3 * (x - problem.seed).flatten(1).square().sum(1).sqrt()


def column_by_column(problem: AttackProblem, x: Tensor) -> Float[Tensor, "batch width"]:
    """Each coordinate as near to the seed's as the success allows, largest moves last."""
    order = stable_argsort(-(x - problem.seed).abs(), unit=0.0)
    for column in order.unbind(1):
        at = column[:, None]
        low, high = torch.zeros_like(problem.radius), torch.ones_like(problem.radius)
        near, far = problem.seed.gather(1, at)[:, 0], x.gather(1, at)[:, 0]
        for halving in range(HALVINGS // 2):
            share = low if not halving else (low + high) / 2  # all the way back first
            value = near + share * (far - near)
            tried = problem.valid_anywhere(x.scatter(1, at, value[:, None]))
            good = problem.succeeds(tried)
            x = torch.where(per_row(good, x), tried, x)
            high, low = torch.where(good, share, high), torch.where(good, low, share)
    return x


def cross_threshold(
    problem: AttackProblem, x: Tensor, trees: Any
) -> tuple[Float[Tensor, "batch width"], Float[Tensor, " batch"]]:
    """The nearest success one threshold farther towards the seed, and how much nearer it is."""
    seed, width = problem.seed, x.shape[1]
    cell = trees.cell(x)
    near = problem.valid_anywhere(seed.clamp(cell.lower, cell.upper))
    good = problem.succeeds(near)
    nearer = exceeds(cost(problem, x), cost(problem, near), unit=0.0)
    x = torch.where(per_row(good & nearer, x), near, x)
    before = cost(problem, x)
    candidate = torch.where(seed < x, cell.below.maximum(seed), cell.above.minimum(seed))
    best, gain = x, torch.zeros_like(before)
    for column in range(width):
        rows = (x[:, column] != seed[:, column]).nonzero()[:, 0]
        if not len(rows):
            continue
        some, at = problem.take(rows), x[rows].clone()
        at[:, column] = candidate[rows, column]
        next_cell = trees.cell(at)
        nearest = some.seed.clamp(next_cell.lower, next_cell.upper)
        tried = some.valid_anywhere(nearest)
        nearer = before[rows] - cost(some, tried)
        queried = exceeds(nearer, gain[rows], unit=before[rows]).nonzero()[:, 0]
        if len(queried):
            good = queried[some.take(queried).succeeds(tried[queried])]
            best = best.index_copy(0, rows[good], tried[good])
            gain[rows[good]] = nearer[good]
    return best, gain
