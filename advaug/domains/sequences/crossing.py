"""Two rows cross: a block of one replaces a block of the other, where both joins are usual."""

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from advaug.core.row_random import RowRandom
from advaug.domains.sequences.bigrams import Bigrams
from advaug.domains.sequences.splicing import END, keys_of, lengths, neighbours, spliced

CUTS = 24  # places that are tried for a crossover
BETTER = 3  # weight of a block of full length, in known joins
BLOCKED = -BETTER - 1
SHORTER = torch.tensor([0, -BETTER]).repeat_interleave(CUTS // 2)
SLACK = 0.15  # of a row's length, by which two crossing blocks may be shifted or differ


def plain(x: Shaped[Tensor, "*shape"], size: int) -> Shaped[Tensor, "*shape"]:
    """Tokens without their mark of being frozen."""
    return torch.where(x >= size, x - size, x)


def is_frozen(x: Int[Tensor, "*shape"], size: int) -> Bool[Tensor, "*shape"]:
    """Tokens that may not be touched."""
    return (x >= size) | ((x < END) & (x % 2 == 1))


def crossed(
    seed: Float[Tensor, "batch length"],
    other: Float[Tensor, "batch length"],
    share: Float[Tensor, " batch"],
    bigrams: Bigrams,
    *,
    keeps_length: bool,
    stays: Bool[Tensor, "batch length"],
) -> Float[Tensor, "batch length"]:
    """Each seed with a block of the other row in place of one of its own, as long a share of each.

    Of some places at about the same share of the way through both rows one is taken where the
    corpus has seen both joins, or else one or none of them. Blocks hold no token of the seed that
    `stays`, and no frozen one of the other row; where there is none so long, shorter ones are
    taken. The random numbers come from the rows themselves.
    """
    a, b = seed.long(), other.long()
    random = RowRandom(keys_of(a.float()) * 3 + keys_of(b.float()) * 5 + keys_of(share[:, None]))
    cut, size, start, taken = blocks(a, b, share, random, keeps_length=keeps_length)
    score = known_joins(a, b, cut, size, start, taken, bigrams, stays) + SHORTER.to(a.device)
    best = score.argmax(1, keepdim=True)
    cut, size, start, taken = (one.gather(1, best) for one in (cut, size, start, taken))
    at = torch.arange(b.shape[1], device=b.device)
    block = b.gather(1, (start + at).clamp_max(b.shape[1] - 1))
    child = spliced(a, cut[:, 0], size[:, 0], block, taken[:, 0])
    moves = (score.gather(1, best) > BLOCKED) & (share > 0)[:, None]
    return torch.where(moves, child, a).to(seed)


def blocks(
    a: Tensor, b: Tensor, share: Tensor, random: RowRandom, *, keeps_length: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(batch, CUTS) each: where the seed is cut, how much goes, what comes from where."""
    n, m = lengths(a)[:, None], lengths(b)[:, None]
    place, jitter, longer, shorter = (random.at(one).uniform(CUTS) for one in range(4))
    wanted = share[:, None] * torch.where(SHORTER.to(a.device) < 0, shorter, 1.0)
    size = (wanted * n).round().long().clamp_min(1).minimum(n)
    cut = (place * (n - size + 1)).long()
    if keeps_length:
        size = size.minimum((m - cut).clamp_min(0))
        return cut, size, cut, size
    slack = 1 + SLACK * m
    taken = (wanted * m + slack * (longer - 0.5)).round().long()
    taken = taken.clamp_min(1).minimum(m)
    way = cut / (n - size).clamp_min(1)
    start = (way * (m - taken) + 2 * slack * (jitter - 0.5)).round().long()
    return cut, size, start.clamp_min(0).minimum(m - taken), taken


def known_joins(
    a: Tensor,
    b: Tensor,
    cut: Tensor,
    size: Tensor,
    start: Tensor,
    taken: Tensor,
    bigrams: Bigrams,
    stays: Bool[Tensor, "batch length"],
) -> Int[Tensor, "batch cuts"]:
    """How many of the two joins the corpus has seen; BLOCKED where blocks may not cross."""
    known = bigrams.size
    left, right = (bigrams.codes(plain(neighbours(one), known)) for one in (a, b))
    found = bigrams.seen_codes(left.gather(1, cut), right.gather(1, start + 1)).long()
    found += bigrams.seen_codes(right.gather(1, start + taken), left.gather(1, cut + size + 1))
    held = torch.cat([torch.zeros_like(a[:, :1]), stays.cumsum(1)], 1)
    tied = (b < END) | is_frozen(b, known)
    strange = torch.cat([torch.zeros_like(b[:, :1]), tied.cumsum(1)], 1)
    blocked = held.gather(1, cut + size) > held.gather(1, cut)
    blocked |= strange.gather(1, start + taken) > strange.gather(1, start)
    blocked |= lengths(a)[:, None] - size + taken > a.shape[1]
    return found.masked_fill(blocked | (taken == 0), BLOCKED - BETTER)
