"""What warps and instruments share: a few scalars of each row, from which a signal is computed."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from advaug.attacks.ascent import ascend
from advaug.core.box import Box
from advaug.core.norms import per_row
from advaug.core.objectives import Objective
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack, AttackProblem
from advaug.domains.signals.space import BandLimited

# scalars (batch, scalars), tensors with a row for each -> signals
Transform = Callable[..., Tensor]


class ScalarSearch(Attack, Parameters):
    """Steepest ascent over the scalars of a transform of signals; without steps they are random."""

    steps: int
    step: float

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"time_axis", "gradient"} if self.steps else {"time_axis"})

    def space_of(self, problem: AttackProblem) -> BandLimited:
        """The problem's space; ValueError where its rows are no signals."""
        if problem.seed.dim() != 3 or not isinstance(problem.space, BandLimited):
            raise ValueError(
                f"{type(self).__name__} changes signals (channels, time), got rows of shape "
                f"{tuple(problem.seed.shape[1:])}: use adapter='signal'"
            )
        return problem.space

    def search(
        self,
        problem: AttackProblem,
        transform: Transform,
        rows: tuple[Tensor, ...],
        start: Float[Tensor, "batch scalars"],
        bounds: Box,
    ) -> Float[Tensor, "batch cells time"]:
        """The signals of the best scalars found from half the start on, or of the start itself."""
        z = start * per_row(problem.radius, start)
        if self.steps:
            objective = TransformedObjective(problem.objective, transform, rows)
            of_scalars = replace(
                problem, objective=objective, seed=torch.zeros_like(z), space=bounds
            )
            z = ascend(of_scalars, steps=self.steps, step=self.step, start=z / 2)
        return transform(z, *rows)


@dataclass(frozen=True)
class TransformedObjective(Objective):
    """The objective of signals as a function of the scalars that they are computed from."""

    objective: Objective
    transform: Transform
    rows: tuple[Tensor, ...]

    def __call__(self, z: Float[Tensor, "batch scalars"]) -> Float[Tensor, " batch"]:
        return self.objective(self.transform(z, *self.rows))

    def take(self, rows: Tensor) -> "TransformedObjective":
        some = tuple(one[rows] for one in self.rows)
        return replace(self, objective=self.objective.take(rows), rows=some)


def last_sample(there: Float[Tensor, "batch channels time"]) -> Float[Tensor, "batch one"]:
    """The time of each signal's last sample."""
    time = torch.arange(there.shape[2], device=there.device).to(there)
    return (there * time).amax((1, 2))[:, None]
