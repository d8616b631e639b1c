"""The one argument of every attack, and the protocol of attacks."""

from dataclasses import dataclass, replace
from typing import Literal, Protocol, Self, runtime_checkable

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from advaug.core.norms import per_row
from advaug.core.objectives import Objective
from advaug.core.row_random import RowRandom
from advaug.core.short_repr import ShortRepr
from advaug.core.space import Space
from advaug.core.ties import exceeds

Loss = Literal["odds", "margin", "divergence"]

SHORTENINGS = 3  # of a move that its repair carries out of the ball
UNBOUNDED = 1e9  # a radius that nothing reaches, but that keeps budgets of flips


class Repair(Protocol):
    """repair(x, seed) -> x: encoded rows that keep the rules which their seeds keep.

    It belongs to the rows of a problem, in their order.
    """

    def __call__(self, x: Tensor, seed: Tensor, /) -> Tensor: ...

    def take(self, rows: Tensor, /) -> Self:
        """The same for some of the rows, or for some of them several times."""
        ...


@dataclass(frozen=True, repr=False)
class AttackProblem(ShortRepr):
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
    repair : Repair, optional
        Repairs rows by the user's rules; None: there are none.

    See Also
    --------
    advaug.attacks.Attack : What takes a problem and returns rows that raise its objective.

    Examples
    --------
    >>> import torch
    >>> from advaug.attacks import FGSM, AttackProblem
    >>> from advaug.core.box import Box
    >>> from advaug.core.objectives import Margin
    >>> from advaug.core.row_random import RowRandom
    >>> weight = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> seed, label = torch.tensor([[0.75, 0.5]]), torch.tensor([0])
    >>> objective = Margin(lambda x: x @ weight, label)
    >>> space, radius = Box(torch.tensor(0.0), torch.tensor(1.0)), torch.tensor([0.25])
    >>> random = RowRandom.of(seed=0, label=0, rows=torch.arange(1))
    >>> problem = AttackProblem(objective, seed, space, radius, random)
    >>> x = FGSM()(problem)
    >>> x, problem.succeeds(x)
    (tensor([[0.5000, 0.7500]]), tensor([True]))
    """

    objective: Objective
    seed: Tensor
    space: Space
    radius: Tensor
    random: RowRandom
    reference_rows: Tensor | None = None
    repair: Repair | None = None

    def take(self, rows: Shaped[Tensor, " some"]) -> Self:
        """The problem of some of the rows, or of some of them several times."""
        return replace(
            self,
            objective=self.objective.take(rows),
            seed=self.seed[rows],
            radius=self.radius[rows],
            random=self.random.take(rows),
            repair=self.repair and self.repair.take(rows),
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

    def valid_anywhere(
        self,
        x: Float[Tensor, "batch *shape"],
        noise: Float[Tensor, "batch *shape"] | None = None,
    ) -> Float[Tensor, "batch *shape"]:
        """`valid`, however far from the seed."""
        return self.valid(x, noise, torch.full_like(self.radius, UNBOUNDED))

    def keep_rules(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """Rows repaired within the radius; the seed where that is not possible.

        Where a repair leaves the ball, a shorter move is repaired.
        """
        if self.repair is None:
            return x
        kept = self.repair(torch.where(x.isnan(), self.seed, x), self.seed)
        for _ in range(SHORTENINGS):
            rows = (~self.contains(kept)).nonzero()[:, 0]
            if not len(rows):
                return kept
            some, repair = self.take(rows), self.repair.take(rows)
            shorter = some.valid(some._shortened(kept[rows]))
            kept = kept.index_copy(0, rows, repair(shorter, some.seed))
        return torch.where(per_row(self.contains(kept), x), kept, self.seed)

    def _shortened(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """x brought into the ball along the way to the seed."""
        move, shorter = x - self.seed, self.space.project(x, self.seed, self.radius) - self.seed
        share = torch.where(move == 0, 1.0, shorter / move).flatten(1).amin(1).clamp(0, 1)
        return self.seed + per_row(share, move) * move

    def contains(self, x: Float[Tensor, "batch *shape"]) -> Bool[Tensor, " batch"]:
        """Whether rows lie in their balls, give or take float rounding."""
        beyond = (self.space.project(x, self.seed, self.radius) - x).flatten(1).abs().amax(1)
        return beyond <= 1e-5 * (x - self.seed).flatten(1).abs().amax(1)

    def movable(self) -> Bool[Tensor, "batch columns"]:
        """Which of the user's columns may move in each row."""
        column = self.space.column_index(self.seed).flatten()
        free = self.space.mask_frozen(torch.ones_like(self.seed), self.seed).flatten(1) != 0
        found = torch.zeros(len(free), int(column.max()) + 1, device=free.device)
        return found.index_add_(1, column, free.float()) > 0

    def measure(
        self, x: Float[Tensor, "batch *shape"]
    ) -> tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]]:
        """The objective of rows and the unit of its noise: one query of the model for each."""
        with torch.no_grad():
            value, unit = self.objective.measure(x)
        return value.detach(), unit.detach()

    def succeeds(self, x: Float[Tensor, "batch *shape"]) -> Bool[Tensor, " batch"]:
        """Whether the objective of each row is above 0 by more than noise: one query for each."""
        value, unit = self.measure(x)
        return exceeds(value, 0.0, unit)

    def distance(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
        """How far the rows lie from their seeds."""
        return self.space.distance(x, self.seed)


def mark_undefined(
    x: Float[Tensor, "batch *shape"], value: Float[Tensor, " batch"]
) -> Float[Tensor, "batch *shape"]:
    """x, but NaN in rows whose objective is no number: they must not pass as unmoved."""
    return x.masked_fill(per_row(value.isnan(), x), torch.nan)


@runtime_checkable
class Attack(Protocol):
    """attack(problem) -> x (batch, *shape): rows that raise the problem's objective.

    An attack is a dataclass that inherits from this protocol and from `Parameters`. It knows no
    label, no sign, no norm and no model: the objective and the space know them. Every member but
    the call has a default.

    See Also
    --------
    advaug.attacks.AttackProblem :
        Rows where they start, how far they may go, what is raised there, and their random numbers.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from advaug.attacks import Attack
    >>> from advaug.core.parameters import Parameters
    >>> @dataclass
    ... class Nothing(Attack, Parameters):
    ...     def __call__(self, problem):
    ...         return problem.seed.clone()
    >>> Nothing().loss, sorted(Nothing().requires), Nothing().get_params()
    ('odds', [], {})
    """

    @property
    def loss(self) -> Loss:
        """What it raises by default: see `objective_of`."""
        return "odds"

    @property
    def is_min_norm(self) -> bool:
        """Whether it looks for the shortest success, so that the radius is only a cap."""
        return False

    @property
    def stop_at(self) -> float | None:
        """The value of the objective at which a row is left as it is; None: never."""
        return None

    @property
    def needs_reference_rows(self) -> bool:
        """Whether the estimators put real rows into its problem."""
        return False

    @property
    def is_universal(self) -> bool:
        """Whether `fit` learns something that all rows share."""
        return False

    @property
    def requires(self) -> frozenset[str]:
        """What the rows and the model must provide, in the words of `advaug.core.domain`."""
        return frozenset()

    def fit(self, problem: AttackProblem) -> Self:
        """The attack with what all rows share, learnt from the rows of the problem."""
        return self

    def __call__(self, problem: AttackProblem) -> Tensor:
        """Rows within the radius of their seeds; NaN in a row whose objective is no number."""
        ...
