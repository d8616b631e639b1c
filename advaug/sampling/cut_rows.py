"""Rows of a class cut to the columns in which they may differ.

Of thousands of columns, such as words, a class uses few. In all others its rows hold one special
value, which no new row leaves, so nothing need be drawn, moved or rounded there.
"""

from dataclasses import dataclass
from typing import Self

from jaxtyping import Float, Int
from torch import Tensor

from advaug.core.space import Space

WIDE = 1024  # Rows of fewer columns are not worth a cut.


@dataclass(frozen=True)
class CutRows:
    """Which columns are left of a class's rows.

    Parameters
    ----------
    columns : int Tensor (left,)
    row : Tensor (width,)
        What every row of the class holds in the columns that are cut off.
    space : Space
        The space of the rows that are left.
    """

    columns: Int[Tensor, " left"]
    row: Float[Tensor, " width"]
    space: Space

    @classmethod
    def of(cls, space: Space, own: Float[Tensor, "own *shape"]) -> Self | None:
        """Where rows of the class are long and their space may be cut; else None."""
        if own.dim() != 2 or own.shape[1] <= WIDE:
            return None
        row = own[0]
        is_special = space.special_codes(own[:1])[0] > 0
        columns = (~(is_special & (own == row).all(0))).nonzero()[:, 0]
        cut = space.cut(columns)
        return None if cut is None else cls(columns, row, cut)

    def __call__(self, x: Float[Tensor, "rows width"]) -> Float[Tensor, "rows left"]:
        return x[:, self.columns]

    def undone(self, x: Float[Tensor, "rows left"]) -> Float[Tensor, "rows width"]:
        """The rows with all their columns."""
        whole = self.row.to(x.device).repeat(len(x), 1)
        whole[:, self.columns] = x
        return whole
