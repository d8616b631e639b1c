"""A cross-fitted model as an attacked one: for each row only the members that have not seen it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from jaxtyping import Float, Int, Shaped
from torch import Tensor

from advaug.core.objectives import RowLogits
from advaug.models.protocol import CrossFitted


@dataclass(frozen=True)
class OutOfFoldModel(RowLogits):
    """For each row the mean logits of the members that were trained without its fold.

    Parameters
    ----------
    members : callable
        Encoded rows to each member's logits (members, batch, classes).
    fold_of_member : int Tensor (members,)
    fold : int Tensor (batch,)
        The fold of each row of a batch: at first those of the training rows, later those of the
        rows that `take` has chosen.
    """

    members: Callable[[Tensor], Tensor]
    fold_of_member: Int[Tensor, " members"]
    fold: Int[Tensor, " batch"]

    @classmethod
    def of(cls, model: CrossFitted) -> Self:
        """The model as it predicts its own training rows."""
        return cls(model.member_logits, model.fold_of_member, model.fold_of_row)

    def take(self, rows: Shaped[Tensor, " some"]) -> Self:
        """The model for some of its rows."""
        return replace(self, fold=self.fold[rows.cpu()])

    def __call__(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch classes"]:
        logits = self.members(x)
        is_held_out = (self.fold_of_member[:, None] == self.fold).to(logits)[..., None]
        return (logits * is_held_out).sum(0) / is_held_out.sum(0)
