"""Where two tokens meet that the corpus has not seen side by side: do they stay two?

Words that are put together run into one ("good" and "morning"); a blank or a sign keeps them apart.
"""

from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Bool, Int
from torch import Tensor


@dataclass(frozen=True)
class JoinRules:
    """For each known token: may it follow any other, may any other follow it, and its twin.

    Parameters
    ----------
    opens : bool Tensor (tokens,)
        Stays by itself behind any token.
    closes : bool Tensor (tokens,)
        Stays by itself in front of any token.
    led : int Tensor (tokens,)
        The same token with a blank before it; -1 where there is none.
    """

    opens: Bool[Tensor, " tokens"]
    closes: Bool[Tensor, " tokens"]
    led: Int[Tensor, " tokens"]

    @classmethod
    def free(cls, size: int) -> Self:
        """Tokens that never run together."""
        every = torch.ones(size, dtype=torch.bool)
        return cls(every, every, torch.full((size,), -1))

    def to(self, device: torch.device | str) -> Self:
        return replace(
            self,
            opens=self.opens.to(device),
            closes=self.closes.to(device),
            led=self.led.to(device),
        )

    def hold(
        self, left: Int[Tensor, "*shape"], right: Int[Tensor, "*shape"]
    ) -> Bool[Tensor, "*shape"]:
        """Whether two tokens (plain; -1: the end of the row, below: unknown) stay two."""
        apart = (left == -1) | (right == -1)
        if not len(self.opens):
            return apart
        apart = apart | ((left >= 0) & self.closes[left.clamp_min(0)])
        return apart | ((right >= 0) & self.opens[right.clamp_min(0)])

    def twin(self, token: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
        """The token with a blank before it; -1 where there is none."""
        if not len(self.led):
            return torch.full_like(token, -1)
        return self.led[token.clamp_min(0)].masked_fill(token < 0, -1)
