"""Crossover: cells of real rows copied into the seed, as few columns as still turn the prediction.

No gradient, no score, no value that the data does not hold: it works on any table, categories
and all.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from advaug.attacks.problem import AttackProblem, by_distance, ever_farther, far, marked, within
from advaug.core.chance import Chance
from advaug.core.objectives import Objective
from advaug.core.parameters import Parameters
from advaug.core.space import Space
from advaug.core.ties import at_most, exceeds


@dataclass
class Crossover(Parameters):
    """Copy cells of a real row that succeeds, then give back each column that is not needed.

    x = seed with the cells of a donor in a set of columns; no single column can be given back
    without losing the success. Of several donors the one with the fewest columns is taken, then
    the nearest. A column whose copy alone lies beyond the radius is never taken.

    Parameters
    ----------
    donors : int
        Real rows tried for each seed, the nearest that succeed.
    references : Tensor (rows, *shape), optional
        The encoded real rows. The estimators hand in rows that they have seen.

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

    raises: ClassVar[str] = "margin"
    is_minimal: ClassVar[bool] = True
    donors: int = 5
    references: Tensor | None = field(default=None, repr=False, compare=False)

    def __call__(
        self,
        objective: Objective,
        seed: Tensor,
        space: Space,
        radius: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        if self.donors < 1:
            raise ValueError(f"donors must be at least 1, got donors={self.donors}")
        if self.references is None:
            raise ValueError(
                "Crossover copies cells of real rows: give it some, "
                "Crossover(references=coding.encode(rows))"
            )
        ground, chance = (
            AttackProblem(objective, seed.detach(), space, radius),
            Chance.of(seed, generator),
        )
        first = ground.worth(ground.seed)
        best = ground.seed.clone()
        fewest = torch.full_like(radius, torch.inf)
        nearest = torch.full_like(radius, torch.inf)
        real = self.references.to(ground.seed)
        order = by_distance(ground.seed, real)
        tried = torch.zeros_like(first)  # donors that succeeded
        for rank in ever_farther(len(real)):
            rows = (at_most(first, 0.0) & (tried < self.donors)).nonzero()[:, 0]
            if not len(rows):
                break
            some = ground.take(rows)
            child = CopiedCells.of(some, real[order[rows, rank]])
            good = some.succeeds(child.row())
            rows, child = rows[good], child.take(good)
            tried[rows] += 1
            x = child.reduced(chance.take(rows))
            count, size = child.kept.sum(1).to(radius), child.ground.distance(x)
            shorter = exceeds(nearest[rows], size, unit=0.0)
            better = (count < fewest[rows]) | ((count == fewest[rows]) & shorter)
            better &= within(child.ground, x)
            rows, x = rows[better], x[better]
            best[rows], fewest[rows], nearest[rows] = x, count[better], size[better]
        return marked(best, first)


@dataclass
class CopiedCells:
    """Seeds with their donors' cells in the columns that are `kept`."""

    ground: AttackProblem
    donor: Float[Tensor, "batch *shape"]
    column: Int[Tensor, "*shape"]
    kept: Bool[Tensor, "batch columns"]

    @classmethod
    def of(cls, ground: AttackProblem, donor: Tensor) -> "CopiedCells":
        """All columns that move, may move, and whose copy lies within the radius."""
        column = ground.space.column_index(ground.seed)
        child = cls(ground, donor, column, ground.movable())
        for one in range(child.kept.shape[1]):
            alone = torch.where(column == one, donor, ground.seed)
            moves = (alone != ground.seed).flatten(1).any(1)
            child.kept[:, one] &= moves & within(ground, alone)
        return child

    def take(self, rows: Tensor) -> "CopiedCells":
        """Some of the rows."""
        return CopiedCells(self.ground.take(rows), self.donor[rows], self.column, self.kept[rows])

    def row(self, kept: Tensor | None = None) -> Float[Tensor, "batch *shape"]:
        """The rows themselves, as they can be shipped."""
        kept = self.kept if kept is None else kept
        x = torch.where(kept[:, self.column], self.donor, self.ground.seed)
        return self.ground.shipped(x, radius=far(self.ground))

    def reduced(self, chance: Chance) -> Float[Tensor, "batch *shape"]:
        """Give back one column after the other, in random order, until none can be spared."""
        order = chance.draw(self.kept.shape[1]).argsort(dim=1, stable=True)
        going = torch.arange(len(order), device=order.device)
        while len(going):
            before = self.kept[going].clone()
            for column in order[going].unbind(1):
                self._spare(going, column)
            going = going[(before != self.kept[going]).any(1)]
        return self.row()

    def _spare(self, rows: Tensor, column: Tensor) -> None:
        """Give back one column of each of the rows where that leaves a success."""
        holds = self.kept[rows, column]
        rows, column = rows[holds], column[holds]
        if len(rows):
            fewer = self.kept[rows].scatter(1, column[:, None], False)
            some = self.take(rows)
            good = some.ground.succeeds(some.row(fewer))
            self.kept[rows[good]] = fewer[good]
