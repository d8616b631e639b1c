"""What the black-box attacks stand on: an objective that is asked only at rows that can be shipped.

Frozen and missing cells go back, grids and levels are kept, then the objective says what the row
is worth; no gradient is taken. A row succeeds where its objective is above 0 by more than noise
(`Margin`: where the prediction has left, or reached, the label).
"""

from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from advaug.core.chance import Chance
from advaug.core.neighbors import exact_distances
from advaug.core.norms import per_row
from advaug.core.objectives import Objective
from advaug.core.space import Space
from advaug.core.ties import exceeds, stable_argsort

MOST_CELLS = 2**22  # of candidates held at once
FAR = 1e9  # a radius that nothing reaches, but that keeps budgets of flips
SCALES = 24  # doublings of the radius in which a start is looked for


@dataclass(frozen=True)
class AttackProblem:
    """Rows where they start, how far they may go, and what they gain there."""

    objective: Objective
    seed: Tensor
    space: Space
    radius: Tensor

    def take(self, rows: Shaped[Tensor, " some"]) -> Self:
        """The ground of some of the rows, or of some of them several times."""
        return replace(
            self,
            objective=self.objective.take(rows),
            seed=self.seed[rows],
            radius=self.radius[rows],
        )

    def again(self, times: int) -> Self:
        """Each row `times` times in a row, for as many candidates."""
        places = torch.arange(len(self.seed), device=self.seed.device)
        return self.take(places.repeat_interleave(times))

    def shipped(
        self,
        x: Float[Tensor, "batch *shape"],
        noise: Float[Tensor, "batch *shape"] | None = None,
        radius: Float[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch *shape"]:
        """x as it can be shipped, within the radius: rounded to the nearest, or by `noise`."""
        radius = self.radius if radius is None else radius
        noise = torch.full_like(x, 0.5) if noise is None else noise
        x = self.seed + self.space.mask_frozen(x - self.seed, self.seed)
        return self.space.snap(self.space.project(x, self.seed, radius), self.seed, radius, noise)

    def movable(self) -> Bool[Tensor, "batch columns"]:
        """Which of the user's columns may move in each row."""
        column = self.space.column_index(self.seed).flatten()
        free = self.space.mask_frozen(torch.ones_like(self.seed), self.seed).flatten(1) != 0
        found = torch.zeros(len(free), int(column.max()) + 1, device=free.device)
        return found.index_add_(1, column, free.float()) > 0

    def worth(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
        """The objective of shipped rows: one query each."""
        with torch.no_grad():
            return self.objective(x).detach()

    def succeeds(self, x: Float[Tensor, "batch *shape"]) -> Bool[Tensor, " batch"]:
        """Whether each shipped row is a success: one query each."""
        return exceeds(self.worth(x), 0.0)

    def distance(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
        """How far the rows lie from their seeds."""
        return self.space.distance(x, self.seed)


def marked(
    x: Float[Tensor, "batch *shape"], value: Float[Tensor, " batch"]
) -> Float[Tensor, "batch *shape"]:
    """x, but NaN in rows whose objective is no number: they must not hide as unmoved."""
    return x.masked_fill(per_row(value.isnan(), x), torch.nan)


def within(ground: AttackProblem, x: Float[Tensor, "batch *shape"]) -> Bool[Tensor, " batch"]:
    """Whether rows lie in their balls, give or take float rounding."""
    beyond = (ground.space.project(x, ground.seed, ground.radius) - x).flatten(1).abs().amax(1)
    return beyond <= 1e-5 * (x - ground.seed).flatten(1).abs().amax(1)


def far(ground: AttackProblem) -> Float[Tensor, " batch"]:
    """A radius without bound."""
    return torch.full_like(ground.radius, FAR)


def started(
    ground: AttackProblem, references: Tensor | None, chance: Chance
) -> tuple[Float[Tensor, "batch *shape"], Bool[Tensor, " batch"]]:
    """A shipped success for each row, where there is one: a real row, else a random point."""
    x, found = ground.seed.clone(), torch.zeros_like(ground.radius, dtype=torch.bool)

    def ask(candidate: Tensor) -> None:
        rows = (~found).nonzero()[:, 0]
        some = ground.take(rows)
        tried = some.shipped(candidate[rows], radius=far(some))
        good = some.succeeds(tried)
        x[rows[good]], found[rows[good]] = tried[good], True

    if references is not None and len(references):
        real = references.to(ground.seed)
        order = by_distance(ground.seed, real)
        for rank in ever_farther(len(real)):
            if found.all():
                break
            ask(real[order[:, rank]])
    scale = torch.where(ground.radius.isinf(), 1.0, ground.radius)
    drawn = chance.drawn
    for doubling in range(SCALES):
        if found.all():
            break
        noise = chance.draw(*ground.seed.shape[1:]).to(ground.seed)
        ask(ground.space.sample(ground.seed, scale * 2.0**doubling, noise))
    chance.drawn = drawn + SCALES  # however many the other rows of the batch needed
    return x, found


def ever_farther(count: int) -> list[int]:
    """Ranks 0, 1, 2, ... and then in growing strides, below `count`."""
    ranks, at = [], 0
    while at < count:
        ranks.append(at)
        at = max(at + 1, int(at * 1.5))
    return ranks


def by_distance(
    seed: Float[Tensor, "batch *shape"], real: Float[Tensor, "others *shape"]
) -> Int[Tensor, "batch others"]:
    """The places of the real rows, nearest first; equally near ones in their own order."""
    return stable_argsort(-exact_distances(seed.flatten(1), real.flatten(1)), unit=0.0)
