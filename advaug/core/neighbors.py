"""Distances and nearest rows, block by block so that memory stays bounded."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

CELLS = 2**18  # distances held at once


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
    most = min(k, len(reference) - int(skips_self))
    # Laid out first: small results between big blocks would keep the heap from shrinking.
    distances = x.new_empty(len(x), most)
    places = torch.empty(len(x), most, dtype=torch.long, device=x.device)
    # The product inside cdist loses small distances between rows far from the origin.
    center = reference.mean(0)
    x, reference = x - center, reference - center
    height = max(CELLS // len(reference), 1)
    for first in range(0, len(x), height):
        rows = slice(first, first + height)
        block = torch.cdist(x[rows], reference)
        if skips_self:
            at = torch.arange(len(block), device=x.device)
            block[at, at + first] = torch.inf
        distances[rows], places[rows] = block.topk(most, dim=1, largest=False)
    return distances, places


def balls_containing(
    x: Float[Tensor, "rows width"],
    reference: Float[Tensor, "others width"],
    radius: Float[Tensor, " others"],
) -> tuple[Int[Tensor, " rows"], Bool[Tensor, " others"]]:
    """In how many of the reference rows' balls each row lies, and which balls hold a row."""
    held = torch.empty(len(x), dtype=torch.long, device=x.device)
    holds = torch.zeros(len(reference), dtype=torch.bool, device=x.device)
    center = reference.mean(0)
    x, reference = x - center, reference - center
    height = max(CELLS // len(reference), 1)
    for first in range(0, len(x), height):
        rows = slice(first, first + height)
        inside = torch.cdist(x[rows], reference) <= radius
        held[rows] = inside.sum(1)
        holds |= inside.any(0)
    return held, holds
