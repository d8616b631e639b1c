"""A cross-fitted model as an attacked one: each row is answered by members that never saw it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from jaxtyping import Float, Int, Shaped
from torch import Tensor

from advaug.core.objectives import RowLogits


@dataclass(frozen=True)
class OutOfFoldModel(RowLogits):
    """Mean logits, for each row of the members that were trained without its fold.

    Parameters
    ----------
    members : callable
        Encoded rows to (members, batch, classes).
    fold_of_member : int Tensor (members,)
    fold : int Tensor (batch,)
        Of each row that will be asked: those of the training rows, until `take` chooses some.
    """

    members: Callable[[Tensor], Tensor]
    fold_of_member: Int[Tensor, " members"]
    fold: Int[Tensor, " batch"]

    def take(self, rows: Shaped[Tensor, " some"]) -> Self:
        """The model for some of its rows."""
        return replace(self, fold=self.fold[rows.cpu()])

    def __call__(self, x: Float[Tensor, "batch length"]) -> Float[Tensor, "batch classes"]:
        logits = self.members(x)
        unseen = (self.fold_of_member[:, None] == self.fold).to(logits)[..., None]
        return (logits * unseen).sum(0) / unseen.sum(0)
