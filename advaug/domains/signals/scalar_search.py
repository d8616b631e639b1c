"""What warps and instruments share: a few scalars of each row, from which a signal is computed."""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from advaug.attacks.ascent import ascend, value_and_gradient
from advaug.core.box import Box
from advaug.core.norms import per_row
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack, AttackProblem
from advaug.domains.signals.space import BandLimited

Transform = Callable[[Tensor], Tensor]  # (batch, scalars) -> signals


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
        start: Float[Tensor, "batch scalars"],
        bounds: Box,
    ) -> Float[Tensor, "batch cells time"]:
        """The signals of the best scalars found from half the start on, or of the start itself."""
        z = start * per_row(problem.radius, start)
        if self.steps:

            def gradient_of(
                _: AttackProblem, z: Tensor, step: int
            ) -> tuple[Tensor, Tensor, Tensor]:
                value, gradient = value_and_gradient(lambda z: problem.objective(transform(z)), z)
                return value, gradient, value

            z = ascend(
                replace(problem, seed=torch.zeros_like(z), space=bounds),
                steps=self.steps,
                step=self.step,
                start=z / 2,
                gradient_of=gradient_of,
            )
        return transform(z)


def last_sample(there: Float[Tensor, "batch channels time"]) -> Float[Tensor, "batch one"]:
    """The time of each signal's last sample."""
    time = torch.arange(there.shape[2], device=there.device).to(there)
    return (there * time).amax((1, 2))[:, None]
