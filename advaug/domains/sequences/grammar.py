"""What edits and crossings must respect so that a text still reads well, learnt from the corpus.

A word gives way only to words that stand in the same places in the corpus, and only where three
words in a row are known on either side. Blocks are cut at the borders of sentences and clauses.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import torch
from jaxtyping import Bool, Int
from scipy import sparse
from torch import Tensor

from advaug.core.row_random import mix_keys
from advaug.core.tensor_fields import MovableFields
from advaug.domains.sequences.bigrams import RaggedIndex
from advaug.domains.sequences.cohesion import Cohesion
from advaug.domains.sequences.phrases import Phrases
from advaug.domains.sequences.spelling import Spelling
from advaug.domains.sequences.splicing import END

FEWEST = 3  # A word in lower case must have been seen so often before others stand for it.
MOST_WORDS = 4000  # The most frequent words have classes.
N_SIMILAR = 24  # A word has so many others that may stand for it,
LEAST_SIMILAR = 0.12  # whose contexts have this cosine.
TOLD = 0.05  # Least share of a class's rows that hold a word that tells it.
TELLING = 3.0  # Standard errors by which a word is more frequent in a class that it tells.
CHUNK = 512  # Words whose similarity is computed at once.


@dataclass(frozen=True)
class Windows(MovableFields):
    """The runs of tokens of one length that a corpus holds; -1 stands for the ends of rows."""

    keys: Int[Tensor, " windows"]  # Sorted.

    @classmethod
    def of(cls, *tokens: Int[Tensor, " all"]) -> Self:
        return cls(window_key(*tokens).unique())

    def seen(self, *tokens: Int[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
        """Whether the corpus holds the tokens in this order."""
        key = window_key(*tokens)
        if not len(self.keys):
            return torch.zeros_like(key, dtype=torch.bool)
        place = torch.searchsorted(self.keys, key.contiguous()).clamp_max(len(self.keys) - 1)
        return self.keys[place] == key


def window_key(*tokens: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    """One 64-bit number for a run of tokens."""
    key = tokens[0]
    for token in tokens[1:]:
        key = mix_keys(key, token)
    return key


@dataclass(frozen=True)
class Grammar(MovableFields):
    """Spelling of the tokens, runs of three tokens that the corpus holds, and classes of words.

    Parameters
    ----------
    similar : RaggedIndex
        For each token those that may stand for it: spelt alike, and seen in the same contexts.
    cohesion : Cohesion
        How similar sentences of one text are.
    fillers : RaggedIndex
        For each pair of neighbours, by its place in `gaps`, the words that may come and go and
        stood between them.
    """

    spelling: Spelling
    pairs: Windows
    windows: Windows
    phrases: Phrases
    similar: RaggedIndex
    cohesion: Cohesion
    gaps: Int[Tensor, " gaps"]
    fillers: RaggedIndex

    @classmethod
    def of(cls, tokens: Int[Tensor, " tokens"], words: Sequence[str], spelling: Spelling) -> Self:
        """Learn from one long row of tokens, with -1 between the rows."""
        size = len(words)
        counts = tokens[tokens >= 0].bincount(minlength=size)
        end = tokens.new_full((2,), END)
        row = torch.cat([end, tokens, end])
        before, at, after = row[:-2], row[1:-1], row[2:]
        phrases = Phrases.of(words)
        is_free = (at >= 0) & phrases.free[at.clamp_min(0)]
        gap = window_key(before[is_free], after[is_free])
        gaps, owner = gap.unique(return_inverse=True)
        pairs = torch.stack([owner, at[is_free]], 1).unique(dim=0)
        there = (at >= 0) & spelling.is_content[at.clamp_min(0)]
        similar = similar_words(before[there], at[there], after[there], spelling, counts)
        return cls(
            spelling=spelling,
            pairs=Windows.of(before, at),
            windows=Windows.of(before, at, after),
            phrases=phrases,
            similar=RaggedIndex.of(*similar, size + 2),
            cohesion=Cohesion.of(tokens, spelling),
            gaps=gaps,
            fillers=RaggedIndex.of(pairs[:, 0], pairs[:, 1], len(gaps) + 1),
        )

    def hold_words(self, is_held: Bool[Tensor, " tokens"]) -> Self:
        """The same grammar, but with some words that no other one of their class replaces."""
        is_content = self.spelling.is_content & ~is_held
        return replace(self, spelling=replace(self.spelling, is_content=is_content))

    def between(
        self, before: Int[Tensor, "*shape"], after: Int[Tensor, "*shape"], lot: Tensor
    ) -> Int[Tensor, "*shape"]:
        """A word that may come and go, of those that stood between two tokens; -2: none did."""
        key = window_key(before, after)
        if not len(self.gaps):
            return torch.full_like(key, -2)
        place = torch.searchsorted(self.gaps, key.contiguous()).clamp_max(len(self.gaps) - 1)
        place = torch.where(self.gaps[place] == key, place, len(self.gaps))
        return self.fillers.draw(place, lot, -2)


@dataclass(frozen=True)
class Corpus:
    """All rows as one, and what the tokens are: enough to learn a grammar when one is asked for."""

    tokens: Int[Tensor, " tokens"]  # -1 stands before and after each row.
    words: tuple[str, ...]

    @cached_property
    def spelling(self) -> Spelling:
        """How the tokens are spelt."""
        counts = self.tokens[self.tokens >= 0].bincount(minlength=len(self.words))
        return Spelling.of(self.words, counts.tolist())

    @cached_property
    def grammar(self) -> Grammar:
        """Learnt once."""
        return Grammar.of(self.tokens, self.words, self.spelling)


def similar_words(
    before: Int[Tensor, " all"],
    at: Int[Tensor, " all"],
    after: Int[Tensor, " all"],
    spelling: Spelling,
    counts: Int[Tensor, " tokens"],
) -> tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]]:
    """Pairs of content words, spelt alike, whose neighbours are the same.

    The cosine of how often the form before, the form after and both were seen, weighed as pointwise
    mutual information is, but never negative (after Bullinaria, Levy. Extracting semantic
    representations from word co-occurrence statistics. Behavior Research Methods 2007).
    """
    count = counts * spelling.is_content
    used = count.argsort(descending=True, stable=True)[:MOST_WORDS]
    is_known = (count >= FEWEST) | ((count > 0) & (spelling.case > 0))
    used = used[is_known[used]].sort().values
    if len(used) < 2:
        return used[:0], used[:0]
    place = torch.full_like(counts, -1)
    place[used] = torch.arange(len(used))
    is_used = place[at] >= 0
    row = place[at[is_used]]
    left, right = (form_of(side[is_used], spelling) for side in (before, after))
    contexts = torch.stack([window_key(left, -3 + 0 * left), window_key(right, -4 + 0 * right)])
    keys = torch.cat([*contexts, window_key(left, right)])
    _, column = keys.unique(return_inverse=True)
    table = sparse.csr_matrix(
        (np.ones(len(column), np.float32), (row.repeat(3).numpy(), column.numpy()))
    )
    table = informative(table)
    group = (spelling.space[used] * 4 + spelling.case[used]).numpy()
    owners, others = [], []
    for first in range(0, len(used), CHUNK):
        some = table[first : first + CHUNK]
        near = (some @ table.T).toarray()
        near *= group[first : first + len(near), None] == group
        near[np.arange(len(near)), np.arange(first, first + len(near))] = 0
        best = np.argsort(-near, axis=1, kind="stable")[:, :N_SIMILAR]
        owner, k = (np.take_along_axis(near, best, 1) >= LEAST_SIMILAR).nonzero()
        owners.append(used[owner + first])
        others.append(used[best[owner, k]])
    return torch.cat(owners), torch.cat(others)


def telling_tokens(
    own: Int[Tensor, "own length"], others: Int[Tensor, "others length"], size: int
) -> Bool[Tensor, " tokens"]:
    """Whether a share TOLD of a class's rows hold a token, TELLING standard errors more than of the
    others.
    """
    counts = []
    for rows in (own, others):
        numbered = rows + size * torch.arange(len(rows))[:, None]
        counts.append((numbered[rows >= 0].unique() % size).bincount(minlength=size))
    n_own, n_others = max(len(own), 1), max(len(others), 1)
    share = (counts[0] + counts[1]) / (n_own + n_others)
    error = (share * (1 - share) * (1 / n_own + 1 / n_others)).sqrt()
    own_share, excess = counts[0] / n_own, counts[0] / n_own - counts[1] / n_others
    is_told: Tensor = (own_share >= TOLD) & (excess > TELLING * error)
    return is_told


def form_of(token: Int[Tensor, "*shape"], spelling: Spelling) -> Int[Tensor, "*shape"]:
    """The token without case and white space; the end of a row stays -1."""
    return torch.where(token >= 0, spelling.form[token.clamp_min(0)], token)


def informative(table: sparse.csr_matrix) -> sparse.csr_matrix:
    """Counts as log(1 + count / what chance explains), in rows of length 1."""
    table.sum_duplicates()
    rows, columns = (np.asarray(table.sum(axis)).ravel() for axis in (1, 0))
    table = table.tocoo()
    chance = rows[table.row] * columns[table.col] / rows.sum()
    table.data = np.log1p(table.data / chance) * (columns[table.col] > 1)
    table = table.tocsr()
    size = np.sqrt(np.asarray(table.multiply(table).sum(1)).ravel()).clip(1e-9)
    weighed: sparse.csr_matrix = sparse.diags((1 / size).astype(np.float32)) @ table
    return weighed
