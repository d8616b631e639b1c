"""A judge of sequences: does the row read like its class, is it as long, is it new?

A grammar, or a regular expression, is a rule of the over-sampler (`constraints`), not of a judge.

It reads encoded rows (numbers of tokens, -1 behind), not what a committee sees of them.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy import sparse
from torch import Tensor

from advaug.core.parameters import Parameters
from advaug.core.tensor_fields import MovableFields
from advaug.core.ties import at_least
from advaug.domains.sequences.counts import Counts
from advaug.domains.sequences.splicing import keys_of, lengths, neighbours
from advaug.sampling.judges.protocol import FittedJudge, Judge, Verdict
from advaug.sampling.judges.row_metrics import conformal

ROWS = 256  # compared with all real ones at once
BASE = 2**31  # parts the two tokens of a pair in its number
PAIR, TOKEN, ANY = 0.7, 0.29, 0.01  # weights of what was seen after a token, anywhere, or never


@dataclass
class BigramJudge(Judge, Parameters):
    """Keeps sequences whose pairs of tokens, and whose length, are usual in the class.

    Surprise is the mean of -log p(token | token before) in the class: seen pairs, interpolated
    with seen tokens (Jelinek, Mercer. Pattern Recognition in Practice, 1980); each real row is
    read without its own pairs. Its exponential is the perplexity.

    Parameters
    ----------
    min_probability : float in [0, 1]
        Least mean probability of the row's label by the voters.
    alpha : float in [0, 1]
        Least conformal p-value of the surprise, and of the length on either side. Surprise has no
        lower edge: new rows are made of pairs of real ones, which are read without their own.
    allow_copies : bool
        Whether a row may equal a real one of its class.
    max_overlap : float in [0, 1]
        Largest share of pairs in common with a real row of the class, of all pairs in either of
        them; with more it is a near-duplicate (resemblance, Broder. SEQUENCES 1997). 1 refuses
        none.

    See Also
    --------
    advaug.judges.LanguageJudge :
        Keeps sequences that read as real ones of their class do which are left out.

    Examples
    --------
    >>> from advaug.judges import BigramJudge
    >>> BigramJudge(alpha=0.01).allow_copies
    False
    """

    reads_rows: ClassVar[bool] = True
    requires: ClassVar[frozenset[str]] = frozenset({"edits"})
    min_probability: float = 0.5
    alpha: float = 0.05
    allow_copies: bool = False
    max_overlap: float = 1.0

    def fit(
        self,
        x: Float[Tensor, "rows length"],
        y: Int[Tensor, " rows"],
        label: int,
        generator: torch.Generator,
    ) -> "FittedBigramJudge":
        """Count the pairs of the class's rows, and read each of them without its own."""
        own = x[y == label].long()
        before, after, there = pairs_of(own)
        counts = Counts.of(before[there] * BASE + after[there])
        fitted = FittedBigramJudge(
            judge=self,
            pairs=counts,
            firsts=Counts.of(before[there]),
            seconds=Counts.of(after[there]),
            usual=torch.empty(0),
            long=lengths(own).float().sort().values,
            known=keys_of(own.float()).sort().values,
            own=own,
        )
        return replace(fitted, usual=fitted.surprise(own, own=1).sort().values)


@dataclass(frozen=True)
class FittedBigramJudge(MovableFields, FittedJudge):
    """A judge that has counted the pairs of a class."""

    judge: BigramJudge
    pairs: Counts
    firsts: Counts
    seconds: Counts
    usual: Float[Tensor, " references"]
    long: Float[Tensor, " own"]
    known: Int[Tensor, " own"]
    own: Int[Tensor, "own length"]

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
        """Judge encoded rows whose label the voters give `probability`."""
        rows = x.long()
        count = lengths(rows).float()
        too_long = conformal(self.long, count)
        too_short = conformal(-self.long.flip(0), -count)
        p_value = conformal(self.usual, self.surprise(rows)).minimum(too_long).minimum(too_short)
        accepts = (p_value >= self.judge.alpha) & at_least(probability, self.judge.min_probability)
        if not self.judge.allow_copies:
            accepts &= ~torch.isin(keys_of(x), self.known)
        if self.judge.max_overlap < 1:
            accepts &= resemblance(rows, self.own) <= self.judge.max_overlap
        return Verdict(accepts, p_value)


def pairs_of(x: Int[Tensor, "batch length"]) -> tuple[Tensor, Tensor, Bool[Tensor, "batch pairs"]]:
    """Each token with the one before it, the end of the row included; numbers from 0 on."""
    around = neighbours(x) + 2**25  # unseen tokens are below 0
    count = lengths(x)[:, None]
    at = torch.arange(x.shape[1] + 1, device=x.device)
    return around[:, : x.shape[1] + 1], around[:, 1 : x.shape[1] + 2], at <= count


def resemblance(
    x: Int[Tensor, "batch length"], own: Int[Tensor, "own length"]
) -> Float[Tensor, " batch"]:
    """The largest share of different pairs that a row has in common with one of `own`."""
    pairs = []
    for rows in (x, own):
        before, after, there = pairs_of(rows)
        row = torch.arange(len(rows), device=rows.device)[:, None].expand_as(there)[there]
        pairs.append((row, before[there] * BASE + after[there]))
    _, column = torch.cat([pair for _, pair in pairs]).unique(return_inverse=True)
    width = int(column.max()) + 1
    a, b = (
        sparse.csr_matrix((np.ones(len(at), np.float32), (row.cpu(), at)), (len(rows), width))
        for rows, (row, _), at in zip(
            (x, own), pairs, column.cpu().split([len(row) for row, _ in pairs]), strict=True
        )
    )
    for table in (a, b):  # a pair counts once
        table.sum_duplicates()
        table.data[:] = 1
    count = np.asarray(b.sum(1)).ravel()
    found = np.empty(len(x), np.float32)
    for first in range(0, len(x), ROWS):
        some = a[first : first + ROWS]
        common = (some @ b.T).toarray()
        either = np.asarray(some.sum(1)) + count - common
        found[first : first + ROWS] = (common / either).max(1)
    return torch.from_numpy(found).to(x.device)
