"""Sequences: rows of token numbers that move by edits, where the corpus has seen the neighbours.

A row is (length,): numbers of tokens, then -1 to the end. A number of `size` or more is the same
token (less `size`), but frozen: it is never changed, dropped or copied to another row. Numbers
below -1 are tokens that nobody has seen before, frozen where they are odd.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from advaug.chance import Chance
from advaug.norms import per_row
from advaug.spaces.bigrams import Bigrams, Lists
from advaug.spaces.levenshtein import edit_distance

END = -1
TRIES = 8  # proposals for one edit
DRAWS = 4  # of chance for each
CUTS = 24  # places that are tried for a crossover
BETTER = 3  # what a block of full length is worth beside seams
BLOCKED = -BETTER - 1
SHORTER = torch.tensor([0, -BETTER]).repeat_interleave(CUTS // 2)
SLACK = 0.15  # of a row's length, by which two crossing blocks may be shifted or differ
KINDS = (0.4, 0.6, 0.8)  # shares up to substitute, insert, delete; the rest are swaps
SAFE = 0.5  # share of the substitutions that the table of safe moves is asked for first


@dataclass(frozen=True)
class Edits:
    """Substitute, insert, delete, swap, and cross blocks of two rows. One unit is one edit.

    A new neighbourhood of tokens is one that the corpus holds, unless the table of safe moves
    allows the token in the place of the old one.

    Parameters
    ----------
    bigrams : Bigrams
        What the corpus holds.
    safe : Lists
        For each token those that may always stand for it (-1: it may be left out); the last list
        holds tokens that may be put in anywhere.
    most : int
        Edits a row at most.
    share : float
        And at most this share of its tokens (one is always allowed).
    keeps_length : bool
        Only substitutions and swaps, and blocks cross in place.
    crosses : bool
        Whether rows take over blocks of others.
    """

    bigrams: Bigrams
    safe: Lists
    most: int
    share: float
    keeps_length: bool = False
    crosses: bool = True

    @property
    def norm(self) -> float:
        """Edits add up."""
        return 1.0

    @property
    def size(self) -> int:
        """How many tokens are known."""
        return self.bigrams.size

    def to(self, device: torch.device | str) -> Self:
        return replace(self, bigrams=self.bigrams.to(device), safe=self.safe.to(device))

    def usual_in(self, rows: Float[Tensor, "rows length"], least: float) -> Self:
        return self

    def in_norm(self, norm: float) -> Self:
        return self

    def moves(self) -> Self:
        return self

    def plain(self, x: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "*shape"]:
        """Tokens without their mark of being frozen."""
        return torch.where(x >= self.size, x - self.size, x)

    def is_frozen(self, x: Int[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
        """Tokens that may not be touched."""
        return (x >= self.size) | ((x < END) & (x % 2 == 1))

    def budget(
        self, x: Float[Tensor, "batch length"], radius: Float[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """How many edits a row may have within a radius."""
        room = (self.share * lengths(x)).ceil().clamp(1, self.most).to(radius)
        return radius.nan_to_num(posinf=float(self.most)).clamp_min(0).minimum(room)

    def steepest(
        self,
        gradient: Float[Tensor, "batch length"],
        x: Float[Tensor, "batch length"],
        radius: Float[Tensor, " batch"],
        seed: Float[Tensor, "batch length"] | None = None,
    ) -> Float[Tensor, "batch length"]:
        """Random edits: a gradient over token numbers says nothing, it only feeds the chance."""
        return self.scatter(x, radius, torch.ones_like(x[0]), gradient) - x

    def freed(
        self, move: Float[Tensor, "batch length"], x: Float[Tensor, "batch length"]
    ) -> Float[Tensor, "batch length"]:
        return move.masked_fill(self.is_frozen(x.long()), 0.0)

    def columns(self, like: Float[Tensor, "batch length"]) -> Int[Tensor, " length"]:
        return torch.arange(like.shape[1], device=like.device)

    def project(
        self,
        x: Float[Tensor, "batch length"],
        seed: Float[Tensor, "batch length"],
        radius: Float[Tensor, " batch"],
    ) -> Float[Tensor, "batch length"]:
        """A row with more edits than it may have is its seed again."""
        x = compact(x)
        if bool(radius.isinf().all()):
            return x
        beyond = self.distance(x, seed) > radius.ceil()
        return torch.where(per_row(beyond, x), seed, x)

    def around(
        self, seed: Float[Tensor, "batch length"], radius: Float[Tensor, " batch"] | None
    ) -> Callable[[Tensor], Tensor]:
        if radius is None:
            radius = torch.full_like(seed[:, 0], torch.inf)
        return partial(self.project, seed=seed, radius=radius)

    def sample(
        self,
        seed: Float[Tensor, "batch length"],
        radius: Float[Tensor, " batch"],
        noise: Float[Tensor, "batch length"],
    ) -> Float[Tensor, "batch length"]:
        return self.scatter(seed, radius * noise.amax(1), torch.ones_like(seed[0]), noise)

    def snap(
        self,
        x: Float[Tensor, "batch length"],
        seed: Float[Tensor, "batch length"],
        radius: Float[Tensor, " batch"],
        noise: Float[Tensor, "batch length"],
    ) -> Float[Tensor, "batch length"]:
        """Whole numbers without a gap: edits are whole, so no row is ever between two."""
        return compact(x.round().clamp_max(2 * self.size - 1))

    def shift(
        self, x: Float[Tensor, "batch length"], move: Float[Tensor, "batch length"]
    ) -> Float[Tensor, "batch length"]:
        return x

    def distance(
        self, x: Float[Tensor, "batch length"], seed: Float[Tensor, "batch length"]
    ) -> Float[Tensor, " batch"]:
        """Levenshtein's edits; where more than 128 tokens in a row differ, how many these are."""
        rows, seeds = self.plain(x.long()), self.plain(seed.long())
        return edit_distance(rows, seeds, lengths(rows), lengths(seeds)).to(x)

    def scatter(
        self,
        x: Float[Tensor, "batch length"],
        size: Float[Tensor, " batch"],
        scale: Float[Tensor, " length"],
        noise: Float[Tensor, "batch length"],
    ) -> Float[Tensor, "batch length"]:
        """`size` random edits (a part of one by chance), whatever the scale."""
        chance = Chance(keys_of(noise))
        wanted = size.nan_to_num(posinf=float(self.most)) + chance.draw(1)[:, 0]
        count = wanted.floor().minimum(self.budget(x, size.clamp_min(1).ceil()))
        rows, done = x.long(), chance.drawn
        for step in range(int(count.max()) if len(count) else 0):
            going = (count > step).nonzero()[:, 0]
            some = chance.take(going)
            some.drawn = done + DRAWS * step
            rows[going] = self.edited(rows[going], some)
        return rows.to(x)

    def edited(self, x: Int[Tensor, "batch length"], chance: Chance) -> Int[Tensor, "batch length"]:
        """One edit a row: the first of some proposals that the corpus or the table allows."""
        proposals = self.proposals(x, chance.draw(TRIES), chance)
        return proposals.made(x, proposals.valid.long().argmax(1))

    def proposals(
        self, x: Int[Tensor, "batch length"], place: Float[Tensor, "batch tries"], chance: Chance
    ) -> "Proposals":
        """Edits by chance at `place` of the way through each row, and which are allowed."""
        kind, token, table = (chance.draw(place.shape[1]) for _ in range(3))
        if self.keeps_length:
            kind = torch.where(kind < 0.75, 0.0, 1.0)
        puts, inserts, deletes = kind < KINDS[1], kind >= KINDS[0], kind >= KINDS[1]
        swaps = kind >= KINDS[2]
        inserts, deletes = inserts & puts, deletes & ~swaps
        count = lengths(x)[:, None]
        start = (place * (count + inserts.long() - swaps.long())).long().clamp_min(0)
        around = neighbours(x)
        before, at, then, last = (around.gather(1, start + k) for k in range(4))
        new = self.bigrams.after(self.plain(before), token)
        follows = torch.where(inserts, at, then)
        fits = self._seen(before, new) & self._seen(new, follows) & (new != self.plain(at))
        safe = self.safe.draw(torch.where(inserts, self.size, self._known(at)), token, -2)
        is_safe = puts & (table < SAFE) & (safe > -2)
        new, fits = torch.where(is_safe, safe, new), (fits & puts) | is_safe
        drops = deletes | (puts & (new == END))
        joins = self._seen(before, then)
        turns = joins & self._seen(then, at) & self._seen(at, last) & ~self.is_frozen(then)
        turns &= (then != END) & (self.plain(at) != self.plain(then))
        valid = torch.where(swaps, turns, torch.where(deletes, joins, fits))
        valid &= inserts | ((at != END) & ~self.is_frozen(at))
        valid &= torch.where(inserts, count < x.shape[1], ~drops | (count > 1))
        return Proposals(
            start=start,
            removed=torch.where(swaps, 2, torch.where(inserts, 0, 1)),
            block=torch.stack([torch.where(swaps, then, new), at], -1),
            size=torch.where(swaps, 2, torch.where(drops, 0, 1)),
            valid=valid,
        )

    def _seen(self, before: Tensor, after: Tensor) -> Tensor:
        return self.bigrams.seen(self.plain(before), self.plain(after))

    def _known(self, x: Tensor) -> Tensor:
        """Tokens as places in the table of safe moves, where unknown ones have no list."""
        plain = self.plain(x)
        return torch.where(plain >= 0, plain, self.size + 1)

    def mix(
        self,
        seed: Float[Tensor, "batch length"],
        other: Float[Tensor, "batch length"],
        share: Float[Tensor, " batch"],
    ) -> Float[Tensor, "batch length"]:
        """A block of the other row in the place of one of the seed's, as long a share of each.

        Of some places at about the same share of the way through both rows one is taken where the
        corpus has seen both seams, or else one or none of them. Blocks hold no frozen token of
        either row; where there is none so long, shorter ones are taken. Chance is drawn from the
        rows themselves.
        """
        a, b = seed.long(), other.long()
        chance = Chance(keys_of(a.float()) * 3 + keys_of(b.float()) * 5 + keys_of(share[:, None]))
        cut, size, start, taken = self._blocks(a, b, share, chance)
        score = self._seams(a, b, cut, size, start, taken) + SHORTER.to(a.device)
        best = score.argmax(1, keepdim=True)
        cut, size, start, taken = (one.gather(1, best) for one in (cut, size, start, taken))
        at = torch.arange(b.shape[1], device=b.device)
        block = b.gather(1, (start + at).clamp_max(b.shape[1] - 1))
        child = spliced(a, cut[:, 0], size[:, 0], block, taken[:, 0])
        moves = (score.gather(1, best) > BLOCKED) & (share > 0)[:, None] & self.crosses
        child = torch.where(moves, child, a)
        return torch.where((share >= 1)[:, None], b, child).to(seed)

    def _blocks(
        self, a: Tensor, b: Tensor, share: Tensor, chance: Chance
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(batch, CUTS) each: where the seed is cut, how much goes, what comes from where."""
        n, m = lengths(a)[:, None], lengths(b)[:, None]
        place, jitter, longer = (chance.draw(CUTS) for _ in range(3))
        wanted = share[:, None] * torch.where(SHORTER.to(a.device) < 0, chance.draw(CUTS), 1.0)
        size = (wanted * n).round().long().clamp_min(1).minimum(n)
        cut = (place * (n - size + 1)).long()
        if self.keeps_length:
            size = size.minimum((m - cut).clamp_min(0))
            return cut, size, cut, size
        slack = 1 + SLACK * m
        taken = (wanted * m + slack * (longer - 0.5)).round().long()
        taken = taken.clamp_min(1).minimum(m)
        way = cut / (n - size).clamp_min(1)
        start = (way * (m - taken) + 2 * slack * (jitter - 0.5)).round().long()
        return cut, size, start.clamp_min(0).minimum(m - taken), taken

    def _seams(
        self, a: Tensor, b: Tensor, cut: Tensor, size: Tensor, start: Tensor, taken: Tensor
    ) -> Tensor:
        """How many of the two seams the corpus has seen; BLOCKED where blocks may not cross."""
        left, right = neighbours(a), neighbours(b)
        seams = self._seen(left.gather(1, cut), right.gather(1, start + 1)).long()
        seams += self._seen(right.gather(1, start + taken), left.gather(1, cut + size + 1))
        held = torch.cat([torch.zeros_like(a[:, :1]), self.is_frozen(a).cumsum(1)], 1)
        tied = (b < END) | self.is_frozen(b)
        strange = torch.cat([torch.zeros_like(b[:, :1]), tied.cumsum(1)], 1)
        blocked = held.gather(1, cut + size) > held.gather(1, cut)
        blocked |= strange.gather(1, start + taken) > strange.gather(1, start)
        blocked |= lengths(a)[:, None] - size + taken > a.shape[1]
        return seams.masked_fill(blocked | (taken == 0), BLOCKED - BETTER)


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


def lengths(x: Tensor) -> Int[Tensor, " batch"]:
    """How many tokens each row has."""
    return (x != END).sum(1)


def neighbours(x: Int[Tensor, "batch length"]) -> Int[Tensor, "batch longer"]:
    """The rows with an end in front and some behind: token k stands at k + 1."""
    end = torch.full_like(x[:, :1], END)
    return torch.cat([end, x, end, end, end], 1)


def compact(x: Float[Tensor, "batch length"]) -> Float[Tensor, "batch length"]:
    """Rows without gaps: padding goes to the end."""
    gap = x == END
    if not bool((gap[:, :-1] & ~gap[:, 1:]).any()):
        return x
    return x.gather(1, gap.long().argsort(dim=1, stable=True))


def spliced(
    x: Int[Tensor, "batch length"],
    start: Int[Tensor, " batch"],
    removed: Int[Tensor, " batch"],
    block: Int[Tensor, "batch block"],
    size: Int[Tensor, " batch"],
) -> Int[Tensor, "batch length"]:
    """x with `removed` tokens from `start` on replaced by the first `size` of the block."""
    start, removed, size = start[:, None], removed[:, None], size[:, None]
    at = torch.arange(x.shape[1], device=x.device)[None]
    inside = block.gather(1, (at - start).clamp(0, block.shape[1] - 1))
    source = at - size + removed
    behind = x.gather(1, source.clamp(0, x.shape[1] - 1))
    behind = behind.masked_fill(source >= x.shape[1], END)
    return torch.where(at < start, x, torch.where(at < start + size, inside, behind))


def keys_of(noise: Float[Tensor, "batch length"]) -> Int[Tensor, " batch"]:
    """A number for each row that tells its cells apart from any other's."""
    bits = noise.float().contiguous().view(torch.int32).long()
    places = torch.arange(1, bits.shape[1] + 1, device=bits.device)
    stirred = (bits + places * 0x9E3779B97F4A7C1) * 0x2545F4914F6CDD1D
    stirred ^= stirred >> 29
    return (stirred * 0x1B873593).sum(1)
