"""Crossover: cells of real rows copied into the seed, in as few columns as change the prediction.

It needs no gradient and no score, and makes no value that the data does not hold: it works on every
table, with categories too.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from advaug.attacks.black_box import growing_ranks, nearest_first, unsolved
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack, AttackProblem, Loss
from advaug.core.ties import exceeds


@dataclass
class Crossover(Attack, Parameters):
    """Copy cells of a reference row that succeeds, then restore each column that is not needed.

    x = seed with the cells of a donor in a set of columns; no single column can be restored
    without losing the success. Of several donors the one with the fewest columns is taken, then
    the nearest. A column whose copy alone lies beyond the radius is never taken.

    Parameters
    ----------
    donors : int
        Real rows tried for each seed, the nearest that succeed.

    See Also
    --------
    advaug.attacks.LeafSearch :
        From cell to cell towards the seed, one threshold at a time, while the prediction holds.
    advaug.attacks.Noise :
        A random step of the attack's own kind and length: +-radius in every cell in norm inf.

    References
    ----------
    Temraz, Keane. Solving the class imbalance problem using a counterfactual method for data
    augmentation. Machine Learning with Applications 2022.

    Examples
    --------
    >>> from advaug.attacks import Crossover
    >>> Crossover(donors=3)
    Crossover(donors=3)
    """

    loss: ClassVar[Loss] = "margin"
    is_min_norm: ClassVar[bool] = True
    requires: ClassVar[frozenset[str]] = frozenset({"cells"})
    needs_reference_rows: ClassVar[bool] = True
    donors: int = 5

    def __call__(self, problem: AttackProblem) -> Tensor:
        if self.donors < 1:
            raise ValueError(f"donors must be at least 1, got donors={self.donors}")
        if problem.reference_rows is None:
            raise ValueError(
                "Crossover copies cells of real rows: give it some, "
                "AttackProblem(..., reference_rows=coding.encode(rows))"
            )
        best, unfinished = unsolved(problem)
        fewest = torch.full_like(problem.radius, torch.inf)
        nearest = torch.full_like(problem.radius, torch.inf)
        real = problem.reference_rows.to(problem.seed)
        order = nearest_first(problem.seed, real)
        successes = torch.zeros_like(problem.radius)  # of donors
        for rank in growing_ranks(len(real)):
            rows = unfinished[successes[unfinished] < self.donors]
            if not len(rows):
                break
            some = problem.take(rows).at(rank)
            child = CopiedCells.of(some, real[order[rows, rank]])
            good = some.succeeds(child.row())
            rows, child = rows[good], child.take(good)
            successes[rows] += 1
            x = child.reduced()
            count, size = child.kept.sum(1).to(fewest), child.problem.distance(x)
            shorter = exceeds(nearest[rows], size, unit=0.0)
            better = (count < fewest[rows]) | ((count == fewest[rows]) & shorter)
            better &= child.problem.contains(x)
            rows, x = rows[better], x[better]
            best[rows], fewest[rows], nearest[rows] = x, count[better], size[better]
        return best


@dataclass
class CopiedCells:
    """Seeds with their donors' cells in the columns that are `kept`."""

    problem: AttackProblem
    donor: Float[Tensor, "batch *shape"]
    column: Int[Tensor, "*shape"]
    kept: Bool[Tensor, "batch columns"]

    @classmethod
    def of(cls, problem: AttackProblem, donor: Tensor) -> "CopiedCells":
        """All columns that move, may move, and whose copy lies within the radius."""
        column = problem.space.column_index(problem.seed)
        child = cls(problem, donor, column, problem.movable())
        for one in range(child.kept.shape[1]):
            alone = torch.where(column == one, donor, problem.seed)
            moves = (alone != problem.seed).flatten(1).any(1)
            child.kept[:, one] &= moves & problem.contains(alone)
        return child

    def take(self, rows: Tensor) -> "CopiedCells":
        """Some of the rows."""
        return CopiedCells(self.problem.take(rows), self.donor[rows], self.column, self.kept[rows])

    def row(self, kept: Tensor | None = None) -> Float[Tensor, "batch *shape"]:
        """The rows themselves, as they can be returned."""
        kept = self.kept if kept is None else kept
        x = torch.where(kept[:, self.column], self.donor, self.problem.seed)
        return self.problem.valid_anywhere(x)

    def reduced(self) -> Float[Tensor, "batch *shape"]:
        """The rows after each column, in random order, is restored where that leaves a success."""
        order = self.problem.random.uniform(self.kept.shape[1]).argsort(dim=1, stable=True)
        going = torch.arange(len(order), device=order.device)
        while len(going):
            before = self.kept[going].clone()
            for column in order[going].unbind(1):
                self._restore(going, column)
            going = going[(before != self.kept[going]).any(1)]
        return self.row()

    def _restore(self, rows: Tensor, column: Tensor) -> None:
        """Restore one column of each of the rows where that leaves a success."""
        holds = self.kept[rows, column]
        rows, column = rows[holds], column[holds]
        if len(rows):
            fewer = self.kept[rows].scatter(1, column[:, None], False)
            some = self.take(rows)
            good = some.problem.succeeds(some.row(fewer))
            self.kept[rows[good]] = fewer[good]
