"""A judge of sequences: does the row read like its class, is it as long, is it new?

It reads encoded rows (numbers of tokens, -1 behind), not what a committee sees of them.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from advaug.settings import Settings
from advaug.spaces.edits import keys_of, lengths, neighbours
from advaug.validity.protocol import Verdict
from advaug.validity.signs import conformal

BASE = 2**31  # parts the two tokens of a pair in its number
PAIR, TOKEN, ANY = 0.7, 0.29, 0.01  # weights of what was seen after a token, anywhere, or never


@dataclass
class Fluency(Settings):
    """Keeps sequences whose pairs of tokens, and whose length, are usual in the class.

    Surprise is the mean of -log p(token | token before) in the class: seen pairs, interpolated
    with seen tokens (Jelinek, Mercer. Pattern Recognition in Practice, 1980); each real row is
    read without its own pairs. Its exponential is the perplexity.

    Parameters
    ----------
    agreement : float in [0, 1]
        Least mean probability of the row's label in the jury.
    level : float in [0, 1]
        Least conformal p-value of the surprise, and of the length on either side.
    keeps_copies : bool
        Whether a row may equal a real one of its class.

    Examples
    --------
    >>> from advaug.validity import Fluency
    >>> Fluency(level=0.01).keeps_copies
    False
    """

    reads_rows: ClassVar[bool] = True
    agreement: float = 0.5
    level: float = 0.05
    keeps_copies: bool = False

    def fit(
        self,
        x: Float[Tensor, "rows length"],
        y: Int[Tensor, " rows"],
        label: int,
        generator: torch.Generator,
    ) -> "FluencyBench":
        """Count the pairs of the class's rows, and read each of them without its own."""
        own = x[y == label].long()
        before, after, there = pairs_of(own)
        counts = Counts.of(before[there] * BASE + after[there])
        bench = FluencyBench(
            judge=self,
            pairs=counts,
            firsts=Counts.of(before[there]),
            seconds=Counts.of(after[there]),
            usual=torch.empty(0),
            long=lengths(own).float().sort().values,
            known=keys_of(own.float()).sort().values,
        )
        return replace(bench, usual=bench.surprise(own, own=1).sort().values)


@dataclass(frozen=True)
class Counts:
    """How often each whole number was seen."""

    numbers: Int[Tensor, " numbers"]  # sorted
    counts: Int[Tensor, " numbers"]

    @classmethod
    def of(cls, numbers: Int[Tensor, " all"]) -> Self:
        return cls(*numbers.unique(return_counts=True))

    def to(self, device: torch.device | str) -> Self:
        return replace(self, numbers=self.numbers.to(device), counts=self.counts.to(device))

    def __call__(self, number: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
        if not len(self.numbers):
            return torch.zeros_like(number)
        place = torch.searchsorted(self.numbers, number.contiguous()).clamp_max(
            len(self.numbers) - 1
        )
        return self.counts[place].masked_fill(self.numbers[place] != number, 0)


@dataclass(frozen=True)
class FluencyBench:
    """A judge that has counted the pairs of a class."""

    judge: Fluency
    pairs: Counts
    firsts: Counts
    seconds: Counts
    usual: Float[Tensor, " own"]
    long: Float[Tensor, " own"]
    known: Int[Tensor, " own"]

    def to(self, device: torch.device | str) -> Self:
        """The same bench on another device."""
        moved = {name: part.to(device) for name, part in vars(self).items() if name != "judge"}
        return replace(self, **moved)

    def surprise(self, x: Int[Tensor, "batch length"], own: int = 0) -> Float[Tensor, " batch"]:
        """Mean -log probability of a row's tokens; `own`: how many of its counts are its own."""
        before, after, there = pairs_of(x)
        pair = (self.pairs(before * BASE + after) - own).clamp_min(0)
        first = (self.firsts(before) - own).clamp_min(1)
        second = (self.seconds(after) - own).clamp_min(0)
        total, different = self.seconds.counts.sum(), len(self.seconds.numbers) + 1
        chance = PAIR * pair / first + TOKEN * second / total.clamp_min(1) + ANY / different
        return -(chance.log() * there).sum(1) / there.sum(1)

    def verdict(
        self, x: Float[Tensor, "batch length"], probability: Float[Tensor, " batch"]
    ) -> Verdict:
        """Judge encoded rows whose label the jury gives `probability`."""
        rows = x.long()
        count = lengths(rows).float()
        too_long = conformal(self.long, count)
        too_short = conformal(-self.long.flip(0), -count)
        p_value = conformal(self.usual, self.surprise(rows)).minimum(too_long).minimum(too_short)
        keeps = (p_value >= self.judge.level) & (probability >= self.judge.agreement)
        if not self.judge.keeps_copies:
            keeps &= ~torch.isin(keys_of(x), self.known)
        return Verdict(keeps, probability, p_value)


def pairs_of(x: Int[Tensor, "batch length"]) -> tuple[Tensor, Tensor, Bool[Tensor, "batch pairs"]]:
    """Each token with the one before it, the end of the row included; numbers from 0 on."""
    around = neighbours(x) + 2**25  # unseen tokens are below 0
    count = lengths(x)[:, None]
    at = torch.arange(x.shape[1] + 1, device=x.device)
    return around[:, : x.shape[1] + 1], around[:, 1 : x.shape[1] + 2], at <= count
