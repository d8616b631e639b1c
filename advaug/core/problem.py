"""The one argument of every attack, and what an attack says of itself."""

from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from advaug.core.norms import per_row
from advaug.core.objectives import Objective
from advaug.core.row_random import RowRandom
from advaug.core.space import Space


@dataclass(frozen=True)
class AttackProblem:
    """Rows where they start, how far they may go, what is raised there, and their random numbers.

    Parameters
    ----------
    objective : Objective
        What the attack raises: one number a row.
    seed : Tensor (batch, *shape)
        Where each row starts, which is the centre of its ball.
    space : Space
        Where rows may move.
    radius : Tensor (batch,)
        How far each row may move, in the units of the space; infinity where nothing limits it.
    random : RowRandom
        The rows' own random numbers.
    reference_rows : Tensor (rows, *shape), optional
        Encoded real rows, for attacks that start from some or copy their cells.
    """

    objective: Objective
    seed: Tensor
    space: Space
    radius: Tensor
    random: RowRandom
    reference_rows: Tensor | None = None

    def take(self, rows: Shaped[Tensor, " some"]) -> Self:
        """The problem of some of the rows, or of some of them several times."""
        return replace(
            self,
            objective=self.objective.take(rows),
            seed=self.seed[rows],
            radius=self.radius[rows],
            random=self.random.take(rows),
        )

    def repeat(self, times: int) -> Self:
        """Each row `times` times in a row, for as many candidates."""
        places = torch.arange(len(self.seed), device=self.seed.device)
        return self.take(places.repeat_interleave(times))

    def at(self, step: int) -> Self:
        """The same problem with another, unrelated stream of random numbers."""
        return replace(self, random=self.random.at(step))

    def valid(
        self,
        x: Float[Tensor, "batch *shape"],
        noise: Float[Tensor, "batch *shape"] | None = None,
        radius: Float[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch *shape"]:
        """x as it can be returned, within the radius: rounded to the nearest, or by `noise`.

        Frozen and missing cells go back to the seed's, grids and levels are kept.
        """
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

    def query(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
        """The objective of rows, without a gradient: one query of the model for each."""
        with torch.no_grad():
            return self.objective(x).detach()

    def succeeds(self, x: Float[Tensor, "batch *shape"]) -> Bool[Tensor, " batch"]:
        """Whether the objective of each row is above 0: one query for each."""
        return self.query(x) > 0

    def distance(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
        """How far the rows lie from their seeds."""
        return self.space.distance(x, self.seed)

    def mark_undefined(
        self, x: Float[Tensor, "batch *shape"], value: Float[Tensor, " batch"]
    ) -> Float[Tensor, "batch *shape"]:
        """x, but NaN in rows whose objective is no number: they must not pass as unmoved."""
        return x.masked_fill(per_row(value.isnan(), x), torch.nan)


class Attack(Protocol):
    """attack(problem) -> x (batch, *shape): rows that raise the problem's objective.

    An attack is a dataclass that inherits from this protocol. It knows no label, no sign, no norm
    and no model: the objective and the space know them. Every member has a default.
    """

    @property
    def loss(self) -> str:
        """What it raises by default: "odds", "margin" or "divergence" (`objective_of`)."""
        return "odds"

    @property
    def is_min_norm(self) -> bool:
        """Whether it looks for the shortest success, so that the radius is only a cap."""
        return False

    @property
    def needs_reference_rows(self) -> bool:
        """Whether the problem must hold real rows."""
        return False

    @property
    def is_universal(self) -> bool:
        """Whether `fit` learns something that all rows share."""
        return False

    @property
    def requires(self) -> frozenset[str]:
        """What the domain and the model must provide, such as "gradient" or "edits"."""
        return frozenset()

    def fit(self, problem: AttackProblem) -> Self:
        """The attack with what all rows share, learnt from the rows of the problem."""
        return self

    def __call__(self, problem: AttackProblem) -> Tensor:
        """Rows within the radius of their seeds; NaN in a row whose objective is no number."""
        ...
