"""What a robust net is trained on: its loss at the rows, and what an attack makes of them.

alpha * L(x, y) + (1 - alpha) * R(x, x', y): which R, is one entry of a table; what L and a
difference of two answers are, is said by the task: classes, or a number.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softplus

from advaug.attacks.ascent import NO_GRADIENT
from advaug.attacks.gradient import FGSM, PGD
from advaug.attacks.vat import VAT
from advaug.core.norms import draw
from advaug.core.objectives import (
    Divergence,
    SquaredError,
    divergence,
    log_odds,
    number,
    objective_of,
)
from advaug.core.problem import Attack, AttackProblem
from advaug.core.row_random import RowRandom
from advaug.core.space import Space
from advaug.models.torch_model import TorchModel, two_sided
from advaug.models.training import Gradients, slopes

NEAR = 1e-2  # share of the radius at which a difference is first climbed: at the row it is flat
UNKNOWN = -1  # the code of a row without a label
REPLAYS = 4  # of a batch in free training, where nobody says


class Task(Protocol):
    """What the two logits or more of a net stand for."""

    def known(self, y: Tensor) -> Tensor:
        """How many rows have a target."""
        ...

    def loss(self, logits: Tensor, y: Tensor) -> Tensor:
        """(batch,), 0 for rows without a label."""
        ...

    def apart(self, before: Tensor, after: Tensor) -> Tensor:
        """(batch,): how far two answers lie from each other."""
        ...

    def objective_of(self, attack: Any, logits: Any, x: Tensor, y: Tensor) -> Any:
        """What the attack raises."""
        ...

    def change(self, logits: Any, x: Tensor) -> Any:
        """What an attack without labels raises: how far the answer at x has moved."""
        ...


class Classes:
    """Cross-entropy and the divergence of two distributions."""

    def known(self, y: Tensor) -> Tensor:
        return (y != UNKNOWN).sum()

    def loss(self, logits: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(logits, y, reduction="none", ignore_index=UNKNOWN)

    def apart(self, before: Tensor, after: Tensor) -> Tensor:
        return divergence(before, after)

    def objective_of(self, attack: Any, logits: Any, x: Tensor, y: Tensor) -> Any:
        return objective_of(attack.loss, logits, x, y)

    def change(self, logits: Any, x: Tensor) -> Any:
        with torch.no_grad():
            return Divergence(logits, logits(x))


class Numbers:
    """Squared errors and squared differences."""

    def known(self, y: Tensor) -> Tensor:
        return torch.tensor(len(y))

    def loss(self, logits: Tensor, y: Tensor) -> Tensor:
        return (number(logits) - y).square()

    def apart(self, before: Tensor, after: Tensor) -> Tensor:
        return (number(before) - number(after)).square()

    def objective_of(self, attack: Any, logits: Any, x: Tensor, y: Tensor) -> Any:
        is_free = attack.loss == "divergence"
        return self.change(logits, x) if is_free else SquaredError(logits, y)

    def change(self, logits: Any, x: Tensor) -> Any:
        with torch.no_grad():
            return SquaredError(logits, number(logits(x)))


def at_the_attack(task: Task, before: Tensor, after: Tensor, y: Tensor) -> Tensor:
    """L(x', y) (Goodfellow et al. 2015, Madry et al. 2018)."""
    return task.loss(after, y)


def between(task: Task, before: Tensor, after: Tensor, y: Tensor) -> Tensor:
    """KL(p(x) || p(x')), both ends moving (TRADES, Zhang et al. 2019)."""
    return task.apart(before, after)


def from_where_it_was(task: Task, before: Tensor, after: Tensor, y: Tensor) -> Tensor:
    """KL(p(x) || p(x')), p(x) held (VAT, Miyato et al. 2018)."""
    return task.apart(before.detach(), after)


REGULARISERS: dict[str, Callable[[Task, Tensor, Tensor, Tensor], Tensor]] = {
    "adversarial": at_the_attack,
    "free": at_the_attack,
    "trades": between,
    "vat": from_where_it_was,
}
OWN_ATTACK: dict[str, Callable[[], Attack]] = {
    "adversarial": FGSM,
    "free": FGSM,
    "trades": lambda: PGD(steps=5),
    "vat": VAT,
}


def both_slopes(value: Tensor, weights: Gradients, x: Tensor) -> tuple[Gradients, Tensor]:
    """The gradients in the weights and in the rows, in one pass."""
    *own, pull = torch.autograd.grad(value, (*weights, x), allow_unused=True)
    if pull is None:
        raise ValueError(NO_GRADIENT)
    pairs = zip(own, weights, strict=True)
    return tuple(torch.zeros_like(weight) if g is None else g for g, weight in pairs), pull


@dataclass(frozen=True)
class RobustLoss:
    """The loss of some rows, from their numbers: x' is made anew each time it is asked.

    Parameters
    ----------
    net : nn.Module
    native : callable
        Encoded rows as the net takes them.
    x, y : Tensor
        All rows encoded, and their targets (classes' codes, UNKNOWN: no label), on the net's
        device.
    weight : Tensor (rows,)
        Of each row, 1 in the mean of those with a label.
    task : `Task`
    kind : a key of REGULARISERS
    """

    net: nn.Module
    native: Callable[[Tensor], Tensor]
    x: Tensor
    y: Tensor
    weight: Tensor
    task: Task
    kind: str
    attack: Attack
    space: Space
    radius: float
    alpha: float
    generator: torch.Generator
    carried: dict[str, Tensor] = field(default_factory=dict)

    def __call__(self, rows: Tensor) -> Tensor:
        x, y, weight = self.batch(rows)
        if self.alpha == 1:
            return self.clean(self._logits(x), y, weight)
        return self._at(x, self.moved(x, y), y, weight)

    def gradients(self, rows: Tensor, weights: tuple[Tensor, ...]) -> Gradients:
        """Of the loss of a batch in the weights.

        FGSM's own gradient comes with that of the loss at the rows: two passes instead of three.
        """
        if self.kind == "free" and self.alpha < 1:
            return self._free(rows, weights)
        if self._is_shared:
            return self._shared(rows, weights)
        return slopes(self(rows), weights)

    @property
    def _is_shared(self) -> bool:
        is_mixed = self.kind == "adversarial" and 0 < self.alpha < 1
        return is_mixed and type(self.attack) is FGSM and isinstance(self.task, Classes)

    def _shared(self, rows: Tensor, weights: tuple[Tensor, ...]) -> Gradients:
        """alpha * L(x, y), backwards into the weights and the rows; then L(x', y)."""
        x, y, weight = self.batch(rows)
        x.requires_grad_(True)
        odds = log_odds(self._logits(x), y)
        # Cross-entropy, written so that its gradient keeps its direction where the net is sure.
        clean = (weight * softplus(-odds)).mean()
        own, pull = both_slopes(self.alpha * clean, weights, x)
        x = x.detach()
        moved = self._stepped(x, x, pull)
        robust = (weight * self.task.loss(self._logits(moved), y)).mean()
        return tuple(torch._foreach_add(own, slopes((1 - self.alpha) * robust, weights)))

    def _free(self, rows: Tensor, weights: tuple[Tensor, ...]) -> Gradients:
        """One pass for the weights and for the moves, which go on from step to step."""
        x, y, weight = self.batch(rows)
        move = self.carried.get("move", torch.zeros_like(x))
        if len(move) < len(x):  # batches differ by one row
            move = torch.cat([move, torch.zeros_like(x[len(move) :])])
        moved = self.space.project(x + move[: len(x)], x, self._reach(x)).requires_grad_(True)
        own, pull = both_slopes(self._at(x, moved, y, weight), weights, moved)
        self.carried["move"] = self._stepped(x, moved.detach(), pull) - x
        return own

    def _stepped(self, seed: Tensor, x: Tensor, pull: Tensor) -> Tensor:
        """A whole radius along the pull, back in the ball."""
        radius = self._reach(x)
        moved = x + self.space.steepest(pull, x, radius, seed)
        return self.space.projector(seed, None if x is seed else radius)(moved)

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows = rows.to(self.x.device)
        return self.x[rows], self.y[rows], self.weight[rows]

    def _reach(self, x: Tensor) -> Tensor:
        return torch.full((len(x),), self.radius, device=x.device)

    def _at(self, x: Tensor, moved: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """The loss, from the rows and where they were moved."""
        if self.alpha == 0 and REGULARISERS[self.kind] is at_the_attack:
            return self.clean(self._logits(moved), y, weight)  # the rows are not asked
        before, after = self._logits(torch.cat([x, moved])).split(len(x))
        robust = weight * REGULARISERS[self.kind](self.task, before, after, y)
        return self.alpha * self.clean(before, y, weight) + (1 - self.alpha) * robust.mean()

    def _logits(self, x: Tensor) -> Tensor:
        return two_sided(self.net(self.native(x)))

    def clean(self, logits: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """Mean over the rows with a label."""
        return (weight * self.task.loss(logits, y)).sum() / self.task.known(y).clamp_min(1)

    def moved(self, x: Tensor, y: Tensor) -> Tensor:
        """The rows as the attack leaves them; the net is frozen meanwhile."""
        radius = self._reach(x)
        with TorchModel(self.net) as frozen:

            def logits(rows: Tensor) -> Tensor:
                return frozen.logits(self.native(rows))

            random = RowRandom.from_generator(len(x), self.generator).to(x.device)
            if REGULARISERS[self.kind] is at_the_attack:
                objective = self.task.objective_of(self.attack, logits, x, y)
                return self.attack(AttackProblem(objective, x, self.space, radius, random))
            objective = self.task.change(logits, x)
            near = self.space.sample(x, radius * NEAR, draw(x, random.at(0)))
            problem = AttackProblem(objective, near, self.space, radius, random.at(1))
            return self.space.project(self.attack(problem), x, radius)
