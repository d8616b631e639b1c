"""Whether a block of one text may be about the same as another text, learnt from the corpus.

Sentences of one text have words in common more often than sentences of two texts: how many words,
and how rare ones, the corpus itself tells.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from advaug.core.tensor_fields import MovableFields
from advaug.core.ties import at_least
from advaug.domains.sequences.sentences import Blocks, Read, borders, read
from advaug.domains.sequences.spelling import SENTENCE, Spelling
from advaug.domains.sequences.splicing import END, lengths

MOST_TEXTS, MOST_TOKENS = 3000, 200  # Texts, and tokens of each, from which similarity is learnt.
SHIFTS = range(1, 5)  # Each text is compared with so many others.
FEWEST_TEXTS = 8  # Texts of two sentences that are needed.
CHANCE = 0.01  # Share of the last sentences that are as similar to another text as is needed.
NAME_SHARE = 0.05  # A name stands in no more texts.
KNOWN_NAMES = 0.5  # Share of the names of a block that the text must hold which it joins.


class Match(NamedTuple):
    """What blocks of a text and what stays of another one have in common."""

    similarity: Float[Tensor, "batch cuts"]  # The cosine of both, as sets of weighed words.
    words: Float[Tensor, "batch cuts"]  # How many content words a block holds,
    known_words: Float[Tensor, "batch cuts"]  # and how many of them the other text does.
    names: Float[Tensor, "batch cuts"]  # The same of names.
    known_names: Float[Tensor, "batch cuts"]

    @property
    def knows_names(self) -> Bool[Tensor, "batch cuts"]:
        """Whether the other text holds at least half of the names."""
        return self.known_names >= KNOWN_NAMES * self.names

    @property
    def says_more(self) -> Bool[Tensor, "batch cuts"]:
        """Whether a block has words that the other text has not, or none at all."""
        return (self.known_words < self.words) | (self.words == 0)


@dataclass(frozen=True)
class Cohesion(MovableFields):
    """How much words tell of what a text is about, and how similar a text's sentences are.

    Parameters
    ----------
    weight : Tensor (forms,)
        log(texts / texts that hold the form): the inverse document frequency.
    is_name : bool Tensor (forms,)
        Words that few texts hold, more of them in capitals inside of a sentence than in lower case.
    least : Tensor ()
        The similarity to a text that one of 100 last sentences of other texts reaches; 0 where
        there are too few texts of two sentences.
    """

    weight: Float[Tensor, " forms"]
    is_name: Bool[Tensor, " forms"]
    least: Float[Tensor, ""]

    @classmethod
    def of(cls, tokens: Int[Tensor, " tokens"], spelling: Spelling) -> Self:
        """Learn from one long row of tokens, with -1 between the rows."""
        text = (tokens == END).cumsum(0)
        form = spelling.form[tokens.clamp_min(0)]
        n_forms = int(spelling.form.max()) + 1
        pairs = (text * n_forms + form)[tokens != END].unique()
        count = (pairs % n_forms).bincount(minlength=n_forms)
        weight = ((int(text[-1]) - 1) / count.clamp_min(1)).clamp_min(1).log()
        x = texts_of(tokens)
        border = borders(x, lengths(x)[:, None], spelling)
        is_name = (weight >= -math.log(NAME_SHARE)) & are_capital(x, border, spelling)
        unknown = cls(weight, is_name, torch.tensor(0.0))
        x = x[(border == SENTENCE).sum(1) > 2]
        if len(x) < FEWEST_TEXTS:
            return unknown
        row = read(x, spelling, len(spelling.form))
        others = [row.take(torch.arange(len(x)).roll(k)) for k in SHIFTS]
        found = [unknown.compare(row, one, last_sentences(row, one)).similarity for one in others]
        return cls(weight, is_name, torch.cat(found).flatten().quantile(1 - CHANCE))

    def compare(self, a: Read, b: Read, blocks: Blocks) -> Match:
        """Compare blocks of b with what stays of a."""
        first, last = places_of(b.content, a.content, len(self.weight))
        row, at = (first >= 0).nonzero(as_tuple=True)
        cut, end, start, stop = (one[row] for one in blocks)
        is_known = (first[row, at][:, None] < cut) | (last[row, at][:, None] >= end)
        is_known &= (at[:, None] >= start) & (at[:, None] < stop)
        stays = self.squares(a)
        stays = stays.sum(1, keepdim=True) - within(stays, blocks.cut, blocks.end)
        numbers = []
        for values in (self.squares(b), (b.content >= 0).float(), self.names(b)):
            known = torch.zeros_like(blocks.cut, dtype=torch.float32)
            known.index_add_(0, row, is_known * values[row, at][:, None])
            numbers += [within(values, blocks.start, blocks.stop), known]
        comes, shared, words, known_words, names, known_names = numbers
        size = (comes.clamp_min(0) * stays.clamp_min(0)).sqrt()
        similarity = torch.where(shared > 0, shared / size.clamp_min(1e-6), 0.0)
        return Match(similarity, words, known_words, names, known_names)

    def is_similar(self, match: Match) -> Bool[Tensor, "batch cuts"]:
        """Whether blocks have words in common, and as many as sentences of few other texts do."""
        similarity = match.similarity
        return (similarity > 0) & at_least(similarity, self.least.expand_as(similarity))

    def squares(self, row: Read) -> Float[Tensor, "batch length"]:
        """The square of the weight of each content word; 0 for other tokens."""
        return self.weight[row.content.clamp_min(0)].square() * (row.content >= 0)

    def names(self, row: Read) -> Float[Tensor, "batch length"]:
        """1 for each content word that is a name; 0 for other tokens."""
        return (self.is_name[row.content.clamp_min(0)] & (row.content >= 0)).float()


def within(
    values: Float[Tensor, "batch length"], first: Tensor, last: Tensor
) -> Float[Tensor, "batch cuts"]:
    """The sum of values from the first place up to the one before the last."""
    total = torch.nn.functional.pad(values.cumsum(1), (1, 0))
    return total.gather(1, last) - total.gather(1, first)


def places_of(
    wanted: Int[Tensor, "batch length"], forms: Int[Tensor, "batch other"], n_forms: int
) -> tuple[Int[Tensor, "batch length"], Int[Tensor, "batch length"]]:
    """Where each wanted form stands first and last among the forms of its row; -1: nowhere."""
    row = torch.arange(len(forms), device=forms.device)[:, None] * (n_forms + 1)
    keys, order = (row + forms + 1).flatten().sort(stable=True)
    own = (row + wanted + 1).flatten()
    is_there = torch.isin(own, keys) & (wanted >= 0).flatten()
    width = max(forms.shape[1], 1)
    places = [
        order[torch.searchsorted(keys, own, right=right).sub(int(right)).clamp(0, len(order) - 1)]
        for right in (False, True)
    ]
    first, last = ((place % width).masked_fill(~is_there, END) for place in places)
    return first.view_as(wanted), last.view_as(wanted)


def texts_of(tokens: Int[Tensor, " tokens"]) -> Int[Tensor, "texts length"]:
    """Some of the texts in one long row of tokens, at even distances, as rows; -1 behind them."""
    ends = (tokens == END).nonzero()[:, 0]
    first, length = ends[:-1] + 1, ends.diff() - 1
    some = torch.linspace(0, len(first) - 1, min(len(first), MOST_TEXTS)).round().long()
    at = torch.arange(min(int(length.max()), MOST_TOKENS))
    x = tokens[(first[some, None] + at).clamp_max(len(tokens) - 1)]
    return x.masked_fill(at >= length[some, None], END)


def last_sentences(a: Read, b: Read) -> Blocks:
    """(batch, 1) each: the last sentence of either text."""
    at = torch.arange(a.border.shape[1])
    ends = []
    for row in (a, b):
        is_inside = (row.border == SENTENCE) & (at < row.length)
        ends += [(is_inside * at).amax(1, keepdim=True), row.length]
    return Blocks(*ends)


def are_capital(
    x: Int[Tensor, "texts length"], border: Int[Tensor, "texts longer"], spelling: Spelling
) -> Bool[Tensor, " forms"]:
    """Which words stand in capitals inside of sentences more often than in lower case."""
    known = x.clamp_min(0)
    is_content, is_lower = (x >= 0) & spelling.is_content[known], spelling.is_lower[known]
    is_inside = border[:, :-1] != SENTENCE
    n_forms = int(spelling.form.max()) + 1
    capital, lower = (
        spelling.form[x[is_content & where]].bincount(minlength=n_forms)
        for where in (is_inside & ~is_lower, is_lower)
    )
    return capital > lower
