"""Distances and nearest rows, block by block so that memory stays bounded."""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from advaug.core.devices import at_once
from advaug.core.ties import at_most, stable_argsort, stable_topk

CELLS = 2**19  # distances that a CPU holds at once
SPARE = 3  # rows measured exactly beyond the k nearest,
LEAST_SPARE = 1  # where torch orders so long a list at once,
LISTED = 64  # as it does from so few reference rows for each row of the list on
LIKELY = 8  # standard deviations of the rounding of a product of matrices
FEW = 16  # times as many reference rows are all measured exactly,
FEW_CELLS = 2**12  # where they have so few cells


def nearest(
    x: Float[Tensor, "rows width"],
    reference: Float[Tensor, "others width"],
    k: int,
    *,
    skips_self: bool = False,
) -> tuple[Float[Tensor, "rows k"], Int[Tensor, "rows k"]]:
    """Euclidean distance and place of the k nearest reference rows; of equally near ones the first.

    `skips_self`: x is the reference, and a row is no neighbour of itself (fewer than k
    neighbours: as many as there are).
    """
    most = min(k, len(reference) - int(skips_self))
    # Laid out first: small results between big blocks would keep the heap from shrinking.
    distances = x.new_empty(len(x), most)
    places = torch.empty(len(x), most, dtype=torch.long, device=x.device)
    # A product of matrices loses small distances between rows far from the origin.
    center = reference.mean(0)
    x, reference = x - center, reference - center
    own = torch.arange(len(x), device=x.device) if skips_self else torch.full_like(places, -1)[:, 0]
    height = max(at_once(x.device, CELLS) // len(reference), 1)
    for first in range(0, len(x), height):
        rows = slice(first, first + height)
        distances[rows], places[rows] = _nearest(x[rows], reference, most, own[rows])
    return distances, places


def _nearest(
    x: Tensor, reference: Tensor, k: int, own: Int[Tensor, " rows"]
) -> tuple[Tensor, Tensor]:
    """A block of `nearest`: a product of matrices makes a short list, which is measured exactly.

    The product rounds by the size of the rows, and otherwise in another batch. Where the short list
    might miss a row because of that, all are measured.
    """
    if len(reference) <= FEW * (k + SPARE) and reference.numel() <= FEW_CELLS:
        return _nearest_exactly(x, reference, k, own)
    count = k + (SPARE if len(reference) >= LISTED * (k + SPARE) else LEAST_SPARE)
    size = reference.square().sum(1)
    short = torch.addmm(size, x, reference.T, alpha=-2).topk(count, dim=1, largest=False)
    place = short.indices.sort(dim=1).values
    distance = _distances_to(x, reference, place)
    distance = distance.masked_fill(place == own[:, None], torch.inf)
    order = stable_argsort(-distance, unit=0.0)[:, :k]
    distance, place = distance.gather(1, order), place.gather(1, order)
    own_size = x.square().sum(1)
    gap = short.values[:, -1] + own_size - distance[:, -1].square()
    # Sums of rounded products are hardly ever wrong by more (Higham, Mary. SIAM J. Sci. Comput.
    # 2019).
    noise = LIKELY * torch.finfo(x.dtype).eps * math.sqrt(x.shape[1])
    rows = (~(gap > noise * (own_size + size.amax()))).nonzero()[:, 0]
    place[rows] = _nearest_exactly(x[rows], reference, k, own[rows])[1]
    distance[rows] = _distances_to(x[rows], reference, place[rows])
    return distance, place


def _distances_to(
    x: Tensor, reference: Tensor, place: Int[Tensor, "rows k"]
) -> Float[Tensor, "rows k"]:
    """Distances of each row to its own reference rows."""
    columns = (x - reference.index_select(0, one) for one in place.T)  # In turns: less memory.
    return torch.stack([torch.linalg.vector_norm(away, dim=1) for away in columns], 1)


def _nearest_exactly(
    x: Tensor, reference: Tensor, k: int, own: Int[Tensor, " rows"]
) -> tuple[Tensor, Tensor]:
    """The same, all distances measured from the differences of the cells."""
    block = exact_distances(x, reference)
    is_own = torch.arange(len(reference), device=x.device) == own[:, None]
    block = block.masked_fill(is_own, torch.inf)
    place = stable_topk(-block, k, unit=0.0)
    return block.gather(1, place), place


def exact_distances(
    x: Float[Tensor, "rows width"], reference: Float[Tensor, "others width"]
) -> Float[Tensor, "rows others"]:
    """Euclidean distances that are 0 for copies and do not depend on the batch."""
    return torch.cdist(x, reference, compute_mode="donot_use_mm_for_euclid_dist")


def balls_containing(
    x: Float[Tensor, "rows width"],
    reference: Float[Tensor, "others width"],
    radius: Float[Tensor, " others"],
) -> tuple[Int[Tensor, " rows"], Bool[Tensor, " others"]]:
    """In how many of the reference rows' balls each row lies, and which balls hold a row.

    A row on the edge of a ball, give or take noise, lies in it.
    """
    held = torch.empty(len(x), dtype=torch.long, device=x.device)
    holds = torch.zeros(len(reference), dtype=torch.bool, device=x.device)
    height = max(at_once(x.device, CELLS) // len(reference), 1)
    for first in range(0, len(x), height):
        rows = slice(first, first + height)
        inside = at_most(exact_distances(x[rows], reference), radius, unit=0.0)
        held[rows] = inside.sum(1)
        holds |= inside.any(0)
    return held, holds
