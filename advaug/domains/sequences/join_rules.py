"""Whether two tokens that the corpus has not seen side by side stay two when they are joined.

Words that are joined run into one ("good" and "morning"); a blank or a sign keeps them apart.
"""

from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from advaug.core.tensor_fields import MovableFields


@dataclass(frozen=True)
class JoinRules(MovableFields):
    """For each known token: may it follow any other, may any other follow it, its spaced form.

    Parameters
    ----------
    opens : bool Tensor (tokens,)
        Stays by itself behind any token.
    closes : bool Tensor (tokens,)
        Stays by itself in front of any token.
    spaced : int Tensor (tokens,)
        The same token with a blank before it; -1 where there is none.
    """

    opens: Bool[Tensor, " tokens"]
    closes: Bool[Tensor, " tokens"]
    spaced: Int[Tensor, " tokens"]

    @classmethod
    def free(cls, size: int) -> Self:
        """Tokens that never run together."""
        every = torch.ones(size, dtype=torch.bool)
        return cls(every, every, torch.full((size,), -1))

    def keep_apart(
        self, left: Int[Tensor, "*shape"], right: Int[Tensor, "*shape"]
    ) -> Bool[Tensor, "*shape"]:
        """Whether two tokens (plain; -1: the end of the row, below: unknown) stay two."""
        apart = (left == -1) | (right == -1)
        if not len(self.opens):
            return apart
        apart = apart | ((left >= 0) & self.closes[left.clamp_min(0)])
        return apart | ((right >= 0) & self.opens[right.clamp_min(0)])

    def spaced_form(self, token: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
        """The token with a blank before it; -1 where there is none."""
        if not len(self.spaced):
            return torch.full_like(token, -1)
        return self.spaced[token.clamp_min(0)].masked_fill(token < 0, -1)
