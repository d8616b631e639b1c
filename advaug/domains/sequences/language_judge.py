"""A judge of language: does a new row read as real rows do that a model has not seen?

Two language models, each of one half of the real rows, read every row. The more surprised of them
counts: of a real row it is the one that has not seen it, of a new row the one that has seen less of
what it was made of.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.core.domain import RowCoding
from advaug.core.parameters import Parameters
from advaug.core.tensor_fields import MovableFields
from advaug.core.ties import at_least
from advaug.domains.sequences.reading import Reader, Reading
from advaug.domains.sequences.space import EditSpace
from advaug.domains.sequences.spelling import Spelling
from advaug.domains.sequences.splicing import keys_of
from advaug.sampling.judges.protocol import FittedJudge, Judge, Verdict
from advaug.sampling.judges.row_metrics import conformal


@dataclass
class LanguageJudge(Judge, Parameters):
    """Keeps sequences that read as real ones of their class do which are left out.

    Five numbers of a row are compared with those of the class's real rows: its mean surprise,
    -log p(token | tokens before), the largest surprise of three tokens in a row, the share of runs
    of three that were never seen, how many tokens look odd (glued or repeated words, white space
    before a mark, unpaired quotes and brackets), and the length. The models are trained on halves
    of the real rows of all classes and had no part in making the row; they know a rare word of a
    text by its ending. They find what no real row is like. They do not find every bad join of two
    pieces that real rows hold: most rows of "bag" pass.

    Parameters
    ----------
    min_probability : float in [0, 1]
        Least mean probability of the row's label by the voters.
    alpha : float in [0, 1]
        Least conformal p-value of each of the five numbers (of the length on either side). A class
        of fewer than 1 / alpha rows rejects none by them.
    order : int
        Tokens of the longest n-grams.
    allow_copies : bool
        Whether a row may equal a real one of its class.

    See Also
    --------
    advaug.judges.BigramJudge :
        Keeps sequences whose pairs of tokens, and whose length, are usual in the class.

    Examples
    --------
    >>> import torch
    >>> from advaug.adapters import SequenceAdapter
    >>> from advaug.judges import LanguageJudge
    >>> things, places = (
    ...     ["car", "hat", "cup", "pen", "key"],
    ...     ["house", "wood", "town", "van", "bar"],
    ... )
    >>> texts = [f"I saw the {t} in the {p}." for t in things for p in places]
    >>> coding = SequenceAdapter().fit(texts)
    >>> judge = LanguageJudge().for_rows(coding)
    >>> y, chance = torch.zeros(24, dtype=torch.long), torch.Generator().manual_seed(0)
    >>> fitted = judge.fit(coding.encode(texts[1:]), y, 0, chance)
    >>> new = [texts[0], "I in in the. house car saw"]
    >>> fitted.verdict(coding.encode(new), torch.ones(2)).accepts
    tensor([ True, False])
    """

    reads_rows: ClassVar[bool] = True
    requires: ClassVar[frozenset[str]] = frozenset({"edits"})
    min_probability: float = 0.5
    alpha: float = 0.05
    order: int = 4
    allow_copies: bool = False

    def for_rows(self, coding: RowCoding) -> Judge:
        """The judge with the spelling of the tokens, where the rows are texts of words."""
        space = coding.space()
        corpus = space.corpus if isinstance(space, EditSpace) else None
        return self if corpus is None else SpellingJudge(self, corpus.spelling)

    def fit(
        self,
        x: Float[Tensor, "rows length"],
        y: Int[Tensor, " rows"],
        label: int,
        generator: torch.Generator,
    ) -> "FittedLanguageJudge":
        return fitted(self, None, x, y == label, generator)


@dataclass(frozen=True)
class SpellingJudge(Judge):
    """A language judge that knows how tokens are spelt."""

    reads_rows: ClassVar[bool] = True
    requires: ClassVar[frozenset[str]] = frozenset({"edits"})
    judge: LanguageJudge
    spelling: Spelling = field(repr=False)

    def fit(
        self,
        x: Float[Tensor, "rows length"],
        y: Int[Tensor, " rows"],
        label: int,
        generator: torch.Generator,
    ) -> "FittedLanguageJudge":
        return fitted(self.judge, self.spelling, x, y == label, generator)


@dataclass(frozen=True)
class FittedLanguageJudge(MovableFields, FittedJudge):
    """A language judge that has read the rows of a class."""

    judge: LanguageJudge
    reader: Reader
    usual: Reading  # Of the class's real rows, sorted.
    known: Int[Tensor, " own"]

    def p_value(self, x: Int[Tensor, "batch length"]) -> Float[Tensor, " batch"]:
        """The least conformal p-value of a row's numbers."""
        found = self.reader.read(x)
        pairs = zip(self.usual.numbers(), found.numbers(), strict=True)
        p_values = [conformal(usual, number) for usual, number in pairs]
        p_values.append(conformal(-self.usual.length.flip(0), -found.length))
        return torch.stack(p_values).amin(0)

    def verdict(
        self, x: Float[Tensor, "batch length"], probability: Float[Tensor, " batch"]
    ) -> Verdict:
        p_value = self.p_value(x.long())
        accepts = (p_value >= self.judge.alpha) & at_least(probability, self.judge.min_probability)
        if not self.judge.allow_copies:
            accepts &= ~torch.isin(keys_of(x), self.known)
        return Verdict(accepts, p_value)


def fitted(
    judge: LanguageJudge,
    spelling: Spelling | None,
    x: Float[Tensor, "rows length"],
    is_own: Tensor,
    generator: torch.Generator,
) -> FittedLanguageJudge:
    """Models of all rows, and the numbers of the class's own."""
    reader, own = Reader.of(x, spelling, judge.order, generator), x[is_own]
    usual = reader.read(own.long()).sorted()
    return FittedLanguageJudge(judge, reader, usual, keys_of(own).sort().values)
