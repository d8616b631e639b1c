"""How many edits lie between two rows of token numbers, for whole batches at once."""

import torch
from jaxtyping import Int
from torch import Tensor

LONGEST = 128  # tokens up to which the distance is exact


def edit_distance(
    x: Int[Tensor, "batch length"],
    seed: Int[Tensor, "batch length"],
    n: Int[Tensor, " batch"],
    m: Int[Tensor, " batch"],
) -> Int[Tensor, " batch"]:
    """Substitutions, insertions and deletions between rows of n and m tokens (Levenshtein, 1966).

    Equal beginnings and ends are left out first; where more than LONGEST tokens are left, their
    number stands for the distance.
    """
    head = (x == seed).long().cumprod(1).sum(1).minimum(n).minimum(m)
    at = torch.arange(x.shape[1], device=x.device)
    turned = [
        row.gather(1, (count[:, None] - 1 - at).clamp_min(0)) for row, count in ((x, n), (seed, m))
    ]
    tail = (turned[0] == turned[1]).long().cumprod(1).sum(1).minimum(n - head).minimum(m - head)
    n, m = n - head - tail, m - head - tail
    distance = n.maximum(m)
    rows = ((n > 0) & (m > 0) & (distance > 1) & (distance <= LONGEST)).nonzero()[:, 0]
    if len(rows):
        most = int(distance[rows].max())
        place = (head[rows, None] + torch.arange(most, device=x.device)).clamp_max(x.shape[1] - 1)
        middles = x[rows].gather(1, place), seed[rows].gather(1, place)
        distance[rows] = levenshtein(*middles, n[rows], m[rows])
    return distance


def levenshtein(
    a: Int[Tensor, "batch length"],
    b: Int[Tensor, "batch length"],
    n: Int[Tensor, " batch"],
    m: Int[Tensor, " batch"],
) -> Int[Tensor, " batch"]:
    """The distance of the first n tokens of a to the first m of b, a column at a time."""
    ladder = torch.arange(b.shape[1] + 1, device=b.device)
    table = ladder.expand(len(b), -1)
    found = torch.zeros_like(n)
    for k in range(a.shape[1]):
        changed = table[:, :-1] + (a[:, k, None] != b)
        best = torch.cat([table[:, :1] + 1, changed.minimum(table[:, 1:] + 1)], 1)
        table = (best - ladder).cummin(1).values + ladder
        found = torch.where(n == k + 1, table.gather(1, m[:, None])[:, 0], found)
    return found
