"""What an attack raises: one number a row, from a model's logits.

An objective is called with rows and returns one value each; `take` keeps some of its rows, so
that a loop can drop those that are done, or ask several times for one. Targeted or not is said
here and nowhere else.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, runtime_checkable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

Logits = Callable[[Tensor], Tensor]  # (batch, *shape) -> (batch, classes)


@runtime_checkable
class RowLogits(Protocol):
    """Logits that depend on which row of the data each row of the batch starts from.

    Logits that are a function of the coordinates alone need no `take`.
    """

    def __call__(self, x: Tensor, /) -> Tensor: ...

    def take(self, rows: Tensor, /) -> Self:
        """The logits for some of the rows, or for some of them several times."""
        ...


@runtime_checkable
class RegionLogits(Protocol):
    """Logits of a model that may know the boxes in which they are constant.

    Attributes
    ----------
    regions : `advaug.models.trees.Trees` or None
    """

    regions: Any

    def __call__(self, x: Tensor, /) -> Tensor: ...


def of_rows(logits: Logits, rows: Shaped[Tensor, " some"]) -> Logits:
    """The logits for some of the rows of a batch."""
    return logits.take(rows) if isinstance(logits, RowLogits) else logits


def regions_of(logits: Any) -> Any:
    """The boxes in which the logits are constant; None where they are not known."""
    return logits.regions if isinstance(logits, RegionLogits) else None


class Objective(Protocol):
    """(batch, *shape) -> (batch,), to be raised."""

    def __call__(self, x: Tensor, /) -> Tensor: ...

    def take(self, rows: Tensor, /) -> Self:
        """The same objective for some of the rows."""
        ...


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
class Odds:
    """Raise the odds against `label` (untargeted) or for it (targeted): FGSM's objective."""

    logits: Logits
    label: Tensor
    targeted: bool = False

    def __call__(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
        value = log_odds(self.logits(x), self.label)
        return value if self.targeted else -value

    def take(self, rows: Shaped[Tensor, " some"]) -> Self:
        return replace(self, logits=of_rows(self.logits, rows), label=self.label[rows])


@dataclass(frozen=True)
class Margin:
    """The same on the margin: above 0 exactly where the prediction has left (reached) `label`.

    `each` has it for each other class alone, for an attack that looks for the nearest boundary.
    """

    logits: Logits
    label: Tensor
    targeted: bool = False

    def __call__(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
        value = margin(self.logits(x), self.label)
        return value if self.targeted else -value

    def each(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch goals"]:
        logits = self.logits(x)
        if self.targeted:
            return margin(logits, self.label)[:, None]
        own = logits.gather(1, self.label[:, None])
        classes = logits.shape[1]
        others = torch.arange(1, classes, device=logits.device) + self.label[:, None]
        return logits.gather(1, others % classes) - own

    def take(self, rows: Shaped[Tensor, " some"]) -> Self:
        return replace(self, logits=of_rows(self.logits, rows), label=self.label[rows])


@dataclass(frozen=True)
class TargetMargin:
    """Bring the label's margin to `level`: 0 is reached, below 0 is the distance to it."""

    logits: Logits
    label: Tensor
    level: Tensor

    def __call__(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
        return -(margin(self.logits(x), self.label) - self.level).abs()

    def take(self, rows: Shaped[Tensor, " some"]) -> Self:
        logits = of_rows(self.logits, rows)
        return replace(self, logits=logits, label=self.label[rows], level=self.level[rows])


def divergence(
    before: Float[Tensor, "batch classes"], after: Float[Tensor, "batch classes"]
) -> Float[Tensor, " batch"]:
    """KL(p || p') of the classes that two rows' logits give."""
    was, now = before.log_softmax(1), after.log_softmax(1)
    return (was.exp() * (was - now)).sum(1)


@dataclass(frozen=True)
class Divergence:
    """KL(p(seed) || p(x)): how far the model's answer has moved. It needs no label."""

    logits: Logits
    before: Tensor

    def __call__(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
        return divergence(self.before, self.logits(x))

    def take(self, rows: Shaped[Tensor, " some"]) -> Self:
        return replace(self, logits=of_rows(self.logits, rows), before=self.before[rows])


def number(logits: Float[Tensor, "batch 2"]) -> Float[Tensor, " batch"]:
    """The one output z of a net for numbers, from (-z/2, z/2)."""
    return logits[:, 1] - logits[:, 0]


@dataclass(frozen=True)
class SquaredError:
    """Raise the squared error of a net's number."""

    logits: Logits
    target: Tensor

    def __call__(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
        return (number(self.logits(x)) - self.target).square()

    def take(self, rows: Shaped[Tensor, " some"]) -> Self:
        return replace(self, logits=of_rows(self.logits, rows), target=self.target[rows])


def objective_of(
    raises: str,
    logits: Logits,
    x: Float[Tensor, "batch *shape"],
    label: Int[Tensor, " batch"] | None,
) -> Odds | Margin | Divergence:
    """What an attack wants raised on rows x: "odds", "margin", or "divergence" (no label)."""
    if raises == "divergence":
        with torch.no_grad():
            return Divergence(logits, logits(x))
    if label is None:
        raise ValueError(f"label must be given to raise {raises!r}: only 'divergence' needs none")
    return (Margin if raises == "margin" else Odds)(logits, label)
