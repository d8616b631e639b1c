"""The loss of a robust net: w * L(x, y) + (1 - w) * R(x, x', y), where an attack moves x to x'.

The table REGULARIZERS holds the choices of R. The task, classification or regression, defines L and
the difference of two predictions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

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
from advaug.core.tensor_fields import TensorFields
from advaug.models.optimizer import Gradients, Weights, gradients_of
from advaug.models.torch_model import TorchModel, two_class_logits
from advaug.models.training import Loss

LossName = Literal["adversarial", "free", "trades", "vat"]
# At the row itself a difference is flat: an attack on it starts at this share of the radius.
START_SHARE = 1e-2
UNLABELLED = -1  # The code of a row without a label.
FREE_REPLAYS = 4  # Default number of training steps on each batch in free training.


class Task(Protocol):
    """What the logits of a net, at least two of them, stand for."""

    def n_labelled(self, y: Tensor) -> Tensor:
        """How many rows have a target."""
        ...

    def loss(self, logits: Tensor, y: Tensor) -> Tensor:
        """(batch,); 0 for a row without a label."""
        ...

    def difference(self, before: Tensor, after: Tensor) -> Tensor:
        """(batch,): how far two predictions lie from each other."""
        ...

    def objective_of(self, attack: Any, logits: Any, x: Tensor, y: Tensor) -> Any:
        """The objective that the attack raises."""
        ...

    def change_objective(self, logits: Any, x: Tensor) -> Any:
        """The objective of an attack without labels: the difference from the prediction at x."""
        ...

    def objection(self, attack: Attack) -> str | None:
        """Why the attack has no objective in this task; None: it has one."""
        ...


class Classification:
    """Cross-entropy, and the divergence of two distributions."""

    def n_labelled(self, y: Tensor) -> Tensor:
        return (y != UNLABELLED).sum()

    def loss(self, logits: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(logits, y, reduction="none", ignore_index=UNLABELLED)

    def difference(self, before: Tensor, after: Tensor) -> Tensor:
        return divergence(before, after)

    def objective_of(self, attack: Any, logits: Any, x: Tensor, y: Tensor) -> Any:
        return objective_of(attack.loss, logits, x, y)

    def change_objective(self, logits: Any, x: Tensor) -> Any:
        with torch.no_grad():
            return Divergence(logits, logits(x))

    def objection(self, attack: Attack) -> str | None:
        return None


class Regression:
    """Squared errors, and squared differences."""

    def n_labelled(self, y: Tensor) -> Tensor:
        return torch.tensor(len(y))

    def loss(self, logits: Tensor, y: Tensor) -> Tensor:
        return (number(logits) - y).square()

    def difference(self, before: Tensor, after: Tensor) -> Tensor:
        return (number(before) - number(after)).square()

    def objective_of(self, attack: Any, logits: Any, x: Tensor, y: Tensor) -> Any:
        is_free = attack.loss == "divergence"
        return self.change_objective(logits, x) if is_free else SquaredError(logits, y)

    def change_objective(self, logits: Any, x: Tensor) -> Any:
        with torch.no_grad():
            return SquaredError(logits, number(logits(x)))

    def objection(self, attack: Attack) -> str | None:
        if attack.loss != "margin":
            return None
        return "it looks for a boundary between classes, and a regressor has none"


def adversarial_loss(task: Task, before: Tensor, after: Tensor, y: Tensor) -> Tensor:
    """L(x', y) (Goodfellow et al. 2015, Madry et al. 2018)."""
    return task.loss(after, y)


def trades_penalty(task: Task, before: Tensor, after: Tensor, y: Tensor) -> Tensor:
    """KL(p(x) || p(x')) with a gradient at both ends (TRADES, Zhang et al. 2019)."""
    return task.difference(before, after)


def vat_penalty(task: Task, before: Tensor, after: Tensor, y: Tensor) -> Tensor:
    """KL(p(x) || p(x')) with p(x) detached (VAT, Miyato et al. 2018)."""
    return task.difference(before.detach(), after)


REGULARIZERS: dict[str, Callable[[Task, Tensor, Tensor, Tensor], Tensor]] = {
    "adversarial": adversarial_loss,
    "free": adversarial_loss,
    "trades": trades_penalty,
    "vat": vat_penalty,
}
DEFAULT_ATTACK: dict[str, Callable[[], Attack]] = {
    "adversarial": FGSM,
    "free": FGSM,
    "trades": lambda: PGD(steps=5),
    "vat": VAT,
}


def gradients_at_rows(value: Tensor, weights: Weights, x: Tensor) -> tuple[Gradients, Tensor]:
    """The gradients in the weights and in the rows, in one backward pass."""
    *of_weights, of_rows = torch.autograd.grad(value, (*weights, x), allow_unused=True)
    if of_rows is None:
        raise ValueError(NO_GRADIENT)
    pairs = zip(of_weights, weights, strict=True)
    return tuple(torch.zeros_like(weight) if g is None else g for g, weight in pairs), of_rows


@dataclass(repr=False)
class RobustLoss(TensorFields, Loss):
    """The loss of some rows, from their numbers; each call makes new rows x'.

    Parameters
    ----------
    net : nn.Module
    native : callable
        Encoded rows as the net takes them.
    x : Tensor (rows, ...)
        All encoded rows.
    y : Tensor (rows,)
        Their targets: numbers, or class codes (UNLABELLED for a row without a label).
    weight : Tensor (rows,)
        Their weights, with a mean of 1 over the rows with a label.
    task : `Task`
    name : a key of REGULARIZERS
    attack, space, radius, generator
        They make x' of x.
    clean_weight : float in [0, 1]
        The weight w of the loss at x.
    free_move : Tensor, optional
        In free training the move that the next batch starts with.
    """

    net: nn.Module
    native: Callable[[Tensor], Tensor]
    x: Tensor
    y: Tensor
    weight: Tensor
    task: Task
    name: LossName
    attack: Attack
    space: Space
    radius: float
    clean_weight: float
    generator: torch.Generator
    free_move: Tensor | None = None

    def __call__(self, rows: Tensor) -> Tensor:
        x, y, weight = self.batch(rows)
        if self.clean_weight == 1:
            return self.clean_loss(self._logits(x), y, weight)
        return self._loss_at(x, self.attack_rows(x, y), y, weight)

    def gradients(self, rows: Tensor, weights: Weights) -> Gradients:
        """The gradient of a batch's loss in each weight, in as few passes as the loss allows."""
        if self.name == "free" and self.clean_weight < 1:
            return self._free_gradients(rows, weights)
        is_mixed = self.name == "adversarial" and 0 < self.clean_weight < 1
        if is_mixed and type(self.attack) is FGSM and isinstance(self.task, Classification):
            return self._fgsm_gradients(rows, weights)
        return gradients_of(self(rows), weights)

    def _fgsm_gradients(self, rows: Tensor, weights: Weights) -> Gradients:
        """FGSM's gradient comes with that of w * L(x, y): two passes instead of three."""
        x, y, weight = self.batch(rows)
        x.requires_grad_(True)
        odds = log_odds(self._logits(x), y)
        # Cross-entropy, written so that its gradient keeps its direction where the net is sure.
        clean = (weight * softplus(-odds)).mean()
        of_weights, of_rows = gradients_at_rows(self.clean_weight * clean, weights, x)
        x = x.detach()
        moved = self._full_step(x, x, of_rows)
        robust = (weight * self.task.loss(self._logits(moved), y)).mean()
        more = gradients_of((1 - self.clean_weight) * robust, weights)
        return tuple(torch._foreach_add(of_weights, more))

    def _free_gradients(self, rows: Tensor, weights: Weights) -> Gradients:
        """One pass for the weights and for the rows, whose moves continue from step to step."""
        x, y, weight = self.batch(rows)
        move = torch.zeros_like(x)
        if self.free_move is not None:  # The last batch may be one row longer or shorter.
            n_rows = min(len(x), len(self.free_move))
            move[:n_rows] = self.free_move[:n_rows]
        moved = self.space.project(x + move, x, self._radii(x)).requires_grad_(True)
        loss = self._loss_at(x, moved, y, weight)
        of_weights, of_rows = gradients_at_rows(loss, weights, moved)
        self.free_move = self._full_step(x, moved.detach(), of_rows) - x
        return of_weights

    def _full_step(self, seed: Tensor, x: Tensor, gradient: Tensor) -> Tensor:
        """One step of a whole radius, then back into the ball."""
        radius = self._radii(x)
        moved = x + self.space.steepest(gradient, x, radius, seed)
        return self.space.projector(seed, None if x is seed else radius)(moved)

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The encoded rows, their targets and their weights."""
        rows = rows.to(self.x.device)
        return self.x[rows], self.y[rows], self.weight[rows]

    def _radii(self, x: Tensor) -> Tensor:
        return torch.full((len(x),), self.radius, device=x.device)

    def _loss_at(self, x: Tensor, moved: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """The loss, from the rows and their moved copies."""
        if self.clean_weight == 0 and self.is_at_moved_rows:
            return self.clean_loss(self._logits(moved), y, weight)
        before, after = self._logits(torch.cat([x, moved])).split(len(x))
        return self.mixed_loss(before, after, y, weight)

    def mixed_loss(self, before: Tensor, after: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """w * L + (1 - w) * R, from the logits at the rows and at their moved copies."""
        clean = self.clean_loss(before, y, weight)
        robust = weight * REGULARIZERS[self.name](self.task, before, after, y)
        return self.clean_weight * clean + (1 - self.clean_weight) * robust.mean()

    @property
    def is_at_moved_rows(self) -> bool:
        """Whether R is the loss L at the moved rows."""
        return REGULARIZERS[self.name] is adversarial_loss

    def _logits(self, x: Tensor) -> Tensor:
        return two_class_logits(self.net(self.native(x)))

    def clean_loss(self, logits: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """L, as the mean over the rows with a label."""
        return (weight * self.task.loss(logits, y)).sum() / self.task.n_labelled(y).clamp_min(1)

    def attack_rows(self, x: Tensor, y: Tensor) -> Tensor:
        """The rows as the attack moves them; the net is frozen meanwhile."""
        radius = self._radii(x)
        with TorchModel(self.net).frozen() as frozen:

            def logits(rows: Tensor) -> Tensor:
                return frozen.logits(self.native(rows))

            random = RowRandom.from_generator(len(x), self.generator).to(x.device)
            if self.is_at_moved_rows:
                objective = self.task.objective_of(self.attack, logits, x, y)
                return self.attack(AttackProblem(objective, x, self.space, radius, random))
            objective = self.task.change_objective(logits, x)
            near = self.space.sample(x, radius * START_SHARE, draw(x, random.at(0)))
            problem = AttackProblem(objective, near, self.space, radius, random.at(1))
            return self.space.project(self.attack(problem), x, radius)
