"""Pieces of a double strand: a block of a row, or all of it, read from the other strand."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from advaug.core.row_random import RowRandom
from advaug.domains.sequences.splicing import keys_of, lengths

WHOLE, INVERTED = 0.08, 0.33  # Shares up to the reverse complement, and up to an inversion.
KIND, PLACE = range(2)  # Streams of random numbers.


def from_other_strand(
    seed: Float[Tensor, "batch length"],
    child: Float[Tensor, "batch length"],
    share: Float[Tensor, " batch"],
    complement: Int[Tensor, " tokens"],
    stays: Bool[Tensor, "batch length"],
) -> Float[Tensor, "batch length"]:
    """The child, but for some rows the seed with a block of such a share from the other strand.

    A block holds no token that stays or has no complement; where it would, the child is taken. The
    random numbers come from the rows themselves.
    """
    x = seed.long()
    count = lengths(x)[:, None]
    random = RowRandom(keys_of(seed) * 7 + keys_of(share[:, None]))
    kind = random.at(KIND).uniform(1)
    size = (share[:, None] * count).round().long().clamp_min(1).minimum(count)
    size = torch.where(kind < WHOLE, count, size)
    start = (random.at(PLACE).uniform(1) * (count - size + 1)).long()
    at = torch.arange(x.shape[1], device=x.device)
    is_inside = (at >= start) & (at < start + size)
    source = torch.where(is_inside, 2 * start + size - 1 - at, at)
    known = (x >= 0) & (x < len(complement)) & ~stays
    partner = torch.where(known, complement[x.clamp(0, len(complement) - 1)], -1)
    turned = torch.where(is_inside, partner.gather(1, source), x)
    is_valid = (~is_inside | (turned >= 0)).all(1, keepdim=True) & (kind < INVERTED)
    return torch.where(is_valid, turned.to(seed), child)
