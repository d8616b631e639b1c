"""Edits that a space proposes, some for each row, before one of them is made."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from advaug.domains.sequences.splicing import spliced


@dataclass(frozen=True)
class Proposals:
    """Some edits a row: `removed` tokens from `start` on give way to `size` of the block."""

    start: Int[Tensor, "batch tries"]
    removed: Int[Tensor, "batch tries"]
    block: Int[Tensor, "batch tries 2"]
    size: Int[Tensor, "batch tries"]
    valid: Bool[Tensor, "batch tries"]

    def made(
        self, x: Int[Tensor, "batch length"], pick: Int[Tensor, " batch"]
    ) -> Int[Tensor, "batch length"]:
        """The rows with one of their edits; rows where that is not allowed stay."""
        rows = torch.arange(len(x), device=x.device)
        one = [part[rows, pick] for part in (self.start, self.removed, self.block, self.size)]
        return torch.where(self.valid[rows, pick][:, None], spliced(x, *one), x)
