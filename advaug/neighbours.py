"""Distances and nearest rows, block by block so that memory stays bounded."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

CELLS = 2**20  # distances held at once


def nearest(
    x: Float[Tensor, "rows width"],
    reference: Float[Tensor, "others width"],
    k: int,
    *,
    skips_self: bool = False,
) -> tuple[Float[Tensor, "rows k"], Int[Tensor, "rows k"]]:
    """Euclidean distance and place of the k nearest reference rows.

    `skips_self`: x is the reference, and a row is no neighbour of itself (fewer than k
    neighbours: as many as there are).
    """
    most = len(reference) - int(skips_self)
    distances, places = [], []
    height = max(CELLS // len(reference), 1)
    for first in range(0, len(x), height):
        block = torch.cdist(x[first : first + height], reference)
        if skips_self:
            at = torch.arange(len(block), device=x.device)
            block[at, at + first] = torch.inf
        found = block.topk(min(k, most), dim=1, largest=False)
        distances.append(found.values)
        places.append(found.indices)
    return torch.cat(distances), torch.cat(places)
