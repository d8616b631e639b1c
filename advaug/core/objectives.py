"""What an attack raises: one number a row, from a model's logits.

An objective is called with rows and returns one value each. `take` keeps some of its rows, so that
a loop can drop those that are done, or repeat one. Only objectives know whether an attack is
targeted.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Protocol, Self

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from advaug.core.leaf_boxes import LeafBoxes
from advaug.core.tensor_fields import some_rows
from advaug.core.ties import largest_size

Logits = Callable[[Tensor], Tensor]  # (batch, *shape) -> (batch, classes)


class RowLogits:
    """Logits that depend on more than the coordinates of a row, or that know the model's leaves.

    Inherit from it: attacks call `take` where they drop or repeat rows.
    """

    leaf_boxes: LeafBoxes | None = None  # of a model that is made of trees

    def take(self, rows: Shaped[Tensor, " some"], /) -> Self:
        """The same for some of the rows, or for some of them several times."""
        return self


def of_rows(logits: Logits, rows: Shaped[Tensor, " some"]) -> Logits:
    """The logits of some of the rows, where they depend on more than the coordinates."""
    return logits.take(rows) if isinstance(logits, RowLogits) else logits


class Objective(Protocol):
    """(batch, *shape) -> (batch,), to be raised; inherit from it for the defaults.

    Examples
    --------
    >>> import torch
    >>> class First(Objective):
    ...     def __call__(self, x):
    ...         return x[:, 0]
    ...
    ...     def take(self, rows):
    ...         return self
    >>> First().measure(torch.tensor([[-2.0, 3.0]]))
    (tensor([-2.]), tensor([2.]))
    """

    def __call__(self, x: Tensor, /) -> Tensor: ...

    def take(self, rows: Tensor, /) -> Self:
        """The same objective for some of the rows."""
        ...

    def each(self, x: Tensor, /) -> Tensor:
        """(batch, goals): where it is the best of several goals, the value of each."""
        value: Tensor = self(x)[:, None]
        return value

    def measure(self, x: Tensor, /) -> tuple[Tensor, Tensor]:
        """The value, and the size of the terms that it is a difference of: the unit of its noise.

        Two values that differ by noise, see `advaug.core.ties`, count as equal.
        """
        value = self(x)
        return value, value.abs()

    @property
    def leaf_boxes(self) -> LeafBoxes | None:
        """The leaves of the model's trees, if it is made of trees; else None."""
        return None

    def goals(self, logits: Tensor, /) -> Tensor:
        """(batch, goals): sums over logits. The value is above 0 where one of them is.

        Attacks on trees need it: a tree adds to logits, and so to goals.
        """
        raise ValueError(f"an attack on trees cannot raise {type(self).__name__}")


@dataclass(frozen=True)
class LogitObjective(Objective):
    """An objective of a model's logits: its further fields are tensors with a value for each row,
    or the same for all rows."""

    logits: Logits

    @abstractmethod
    def value(self, logits: Float[Tensor, "batch classes"]) -> Float[Tensor, " batch"]:
        """The objective of rows with these logits."""

    def __call__(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
        return self.value(self.logits(x))

    def measure(
        self, x: Float[Tensor, "batch *shape"]
    ) -> tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]]:
        logits = self.logits(x)
        return self.value(logits), largest_size(logits)[:, 0]

    def take(self, rows: Shaped[Tensor, " some"]) -> Self:
        values = {one.name: some_rows(getattr(self, one.name), rows) for one in fields(self)}
        return replace(self, **values | {"logits": of_rows(self.logits, rows)})

    @property
    def leaf_boxes(self) -> LeafBoxes | None:
        return self.logits.leaf_boxes if isinstance(self.logits, RowLogits) else None


def margin(
    logits: Float[Tensor, "batch classes"], label: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """How surely a row is its label: the label's logit less the best other one."""
    if logits.shape[1] == 2:  # the same, in half the time
        side = torch.full_like(logits, -1).scatter_(1, label[:, None], 1)
        return (logits * side).sum(1)
    own = logits.gather(1, label[:, None])
    others = logits.scatter(1, label[:, None], -torch.inf)
    return own[:, 0] - others.amax(1)


def log_odds(
    logits: Float[Tensor, "batch classes"], label: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """log(p / (1 - p)) of the label.

    Its gradient points where the cross-entropy's does, row by row ((1 - p) times as long), but
    does not vanish when the model is sure: a loop over it cannot stall on saturated logits.
    """
    if logits.shape[1] == 2:
        return margin(logits, label)
    own = logits.gather(1, label[:, None])
    others = logits.scatter(1, label[:, None], -torch.inf)
    return own[:, 0] - others.logsumexp(1)


@dataclass(frozen=True)
class Odds(LogitObjective):
    """Raise the odds against `label` (untargeted) or for it (targeted): FGSM's objective."""

    label: Tensor
    targeted: bool = False

    def value(self, logits: Float[Tensor, "batch classes"]) -> Float[Tensor, " batch"]:
        value = log_odds(logits, self.label)
        return value if self.targeted else -value


@dataclass(frozen=True)
class Margin(LogitObjective):
    """The same on the margin: above 0 exactly where the prediction has left (reached) `label`.

    `each` has it for each other class alone, for an attack that looks for the nearest boundary.
    """

    label: Tensor
    targeted: bool = False

    def value(self, logits: Float[Tensor, "batch classes"]) -> Float[Tensor, " batch"]:
        value = margin(logits, self.label)
        return value if self.targeted else -value

    def each(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch goals"]:
        logits = self.logits(x)
        return margin(logits, self.label)[:, None] if self.targeted else self.goals(logits)

    def goals(self, logits: Float[Tensor, "batch classes"]) -> Float[Tensor, "batch goals"]:
        if self.targeted:
            return super().goals(logits)
        own = logits.gather(1, self.label[:, None])
        classes = logits.shape[1]
        others = torch.arange(1, classes, device=logits.device) + self.label[:, None]
        return logits.gather(1, others % classes) - own


@dataclass(frozen=True)
class TargetMargin(LogitObjective):
    """Bring the label's margin to `level`: 0 is reached, below 0 is the distance to it."""

    label: Tensor
    level: Tensor

    def value(self, logits: Float[Tensor, "batch classes"]) -> Float[Tensor, " batch"]:
        return -(margin(logits, self.label) - self.level).abs()


def divergence(
    before: Float[Tensor, "batch classes"], after: Float[Tensor, "batch classes"]
) -> Float[Tensor, " batch"]:
    """KL(p || p') of the classes that two rows' logits give."""
    was, now = before.log_softmax(1), after.log_softmax(1)
    return (was.exp() * (was - now)).sum(1)


@dataclass(frozen=True)
class Divergence(LogitObjective):
    """KL(p(seed) || p(x)): how far the model's answer has moved. It needs no label."""

    before: Tensor

    def value(self, logits: Float[Tensor, "batch classes"]) -> Float[Tensor, " batch"]:
        return divergence(self.before, logits)


def number(logits: Float[Tensor, "batch 2"]) -> Float[Tensor, " batch"]:
    """The one output z of a net for numbers, from (-z/2, z/2)."""
    return logits[:, 1] - logits[:, 0]


@dataclass(frozen=True)
class SquaredError(LogitObjective):
    """Raise the squared error of a net's number."""

    target: Tensor

    def value(self, logits: Float[Tensor, "batch classes"]) -> Float[Tensor, " batch"]:
        return (number(logits) - self.target).square()


def objective_of(
    loss: str,
    logits: Logits,
    x: Float[Tensor, "batch *shape"],
    label: Int[Tensor, " batch"] | None,
) -> Odds | Margin | Divergence:
    """The objective of a name on rows x: "odds", "margin", or "divergence" (no label)."""
    if loss == "divergence":
        with torch.no_grad():
            return Divergence(logits, logits(x))
    if label is None:
        raise ValueError(f"label must be given to raise {loss!r}: only 'divergence' needs none")
    return (Margin if loss == "margin" else Odds)(logits, label)
