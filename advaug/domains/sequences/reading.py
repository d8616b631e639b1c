"""How a row reads to two language models, each of one half of the real rows, and what looks odd.

The more surprised of the models counts: of a real row it is the one that has not seen it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from advaug.core.tensor_fields import MovableFields
from advaug.domains.sequences.grammar import Corpus
from advaug.domains.sequences.language_model import LanguageModel
from advaug.domains.sequences.oddities import ODDITIES, oddities
from advaug.domains.sequences.spelling import Spelling
from advaug.domains.sequences.splicing import lengths
from advaug.sampling.faults import Trait

ORDER = 4  # Tokens of the longest n-grams.
WINDOW = 3  # Tokens whose mean surprise counts where it is largest.


@dataclass(frozen=True)
class Reading(MovableFields):
    """(batch,) each: what is compared with the real rows of the class."""

    surprise: Tensor
    worst_window: Tensor
    unseen_share: Tensor
    odd_tokens: Tensor
    length: Tensor

    def numbers(self) -> tuple[Tensor, ...]:
        """Those of which a large one is strange."""
        return self.surprise, self.worst_window, self.unseen_share, self.odd_tokens, self.length

    def sorted(self) -> "Reading":
        """Each number in order."""
        return Reading(*(number.sort().values for number in self.numbers()))


@dataclass(frozen=True)
class Reader(MovableFields):
    """Two language models that read rows."""

    models: tuple[LanguageModel, LanguageModel]
    spelling: Spelling | None
    size: int

    @classmethod
    def of(
        cls,
        x: Float[Tensor, "rows length"],
        spelling: Spelling | None,
        order: int,
        generator: torch.Generator,
    ) -> "Reader":
        """Models of either half of the rows."""
        size = int(x.max()) + 1 if spelling is None else len(spelling.form)
        reader = cls((), spelling, size)  # type: ignore[arg-type]
        kinds = reader.kinds(x.long())
        halves = torch.randperm(len(x), generator=generator).tensor_split(2)
        models = [LanguageModel.of(kinds[half], order=order, size=size) for half in halves]
        return cls((models[0], models[1]), spelling, size)

    def tokens(self, x: Int[Tensor, "batch length"]) -> Int[Tensor, "batch length"]:
        """Tokens without the mark of being frozen; what is not known is one token more."""
        plain = x if self.spelling is None else torch.where(x >= self.size, x - self.size, x)
        return torch.where(plain < -1, self.size, plain)

    def kinds(self, x: Int[Tensor, "batch length"]) -> Int[Tensor, "batch length"]:
        """What the models read of tokens: the words, of rare ones the endings."""
        tokens = self.tokens(x)
        if self.spelling is None:
            return tokens
        known = (tokens >= 0) & (tokens < self.size)
        return torch.where(known, self.spelling.kind[tokens.clamp(0, self.size - 1)], tokens)

    def oddities(self, x: Int[Tensor, "batch length"]) -> Bool[Tensor, "batch length kinds"]:
        """Which tokens look odd; none where nobody knows how they are spelt."""
        if self.spelling is None:
            return torch.zeros(*x.shape, len(ODDITIES), dtype=torch.bool, device=x.device)
        tokens = self.tokens(x)
        return oddities(tokens.masked_fill(tokens == self.size, -2), self.spelling)

    def worst_place(self, x: Int[Tensor, "1 length"]) -> int:
        """The last of the WINDOW tokens of one row that surprise most."""
        surprise = torch.stack([model.read(self.kinds(x))[0] for model in self.models]).amax(0)
        return int(windows_of(surprise).argmax())

    def read(self, x: Int[Tensor, "batch length"]) -> Reading:
        """The numbers of rows, each by the model that finds it larger."""
        kinds = self.kinds(x)
        numbers = [numbers_of(*model.read(kinds)) for model in self.models]
        surprise, window, unseen = (a.maximum(b) for a, b in zip(*numbers, strict=True))
        odd = self.oddities(x).sum((1, 2))
        return Reading(surprise, window, unseen, odd.to(surprise), lengths(x).to(surprise))


def numbers_of(surprise: Tensor, is_new: Tensor, there: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean surprise, that of the worst tokens in a row, and the share of runs never seen."""
    count = there.sum(1)
    return surprise.sum(1) / count, windows_of(surprise).amax(1), is_new.sum(1) / count


def windows_of(surprise: Float[Tensor, "batch longer"]) -> Float[Tensor, "batch longer"]:
    """The mean surprise of WINDOW tokens up to each place; before a row it is zero."""
    padded = torch.nn.functional.pad(surprise, (WINDOW - 1, 0))
    return padded.unfold(1, WINDOW, 1).mean(2)


def reading_traits(
    real: Float[Tensor, "rows length"],
    own: Float[Tensor, "own length"],
    new: Float[Tensor, "batch length"],
    corpus: Corpus,
    generator: torch.Generator,
) -> list[Trait]:
    """What a report says of new texts of a class beside its real ones."""
    reader = Reader.of(real, corpus.spelling, ORDER, generator)
    usual, found = (reader.read(rows.long()) for rows in (own, new))
    tokens = reader.tokens(new.long())

    def text(row: int, first: int, last: int) -> str:
        shown = tokens[row, max(first, 0) : last].tolist()
        return "".join(corpus.words[k] for k in shown if 0 <= k < len(corpus.words)).strip()

    def worst(row: int) -> str:
        last = reader.worst_place(new[row : row + 1].long()) + 1
        return f"reads oddly at {text(row, last - WINDOW - 1, last)!r}"

    def odd(row: int) -> str:
        marks = reader.oddities(new[row : row + 1].long())[0]
        named = [
            f"{ODDITIES[k]} at {text(row, at - 1, at + 1)!r}" for at, k in marks.nonzero().tolist()
        ]
        return ", ".join(named)

    def surprising(row: int) -> str:
        return f"its words surprise: {found.surprise[row]:.1f} each"

    def unseen(row: int) -> str:
        return f"{found.unseen_share[row]:.0%} of its runs of three words were never seen"

    described = (
        (
            "surprise",
            "surprise",
            surprising,
            "mean -log probability of its tokens after those before",
        ),
        ("worst words", "worst_window", worst, f"the same of the worst {WINDOW} tokens in a row"),
        ("unseen runs", "unseen_share", unseen, "share of runs of three tokens never seen"),
        ("odd tokens", "odd_tokens", odd, f"tokens of these kinds: {', '.join(ODDITIES)}"),
    )
    return [
        Trait(
            name,
            getattr(found, field).numpy(),
            getattr(usual, field).numpy(),
            f"{meaning}, by n-gram models of other real texts",
            words,
        )
        for name, field, words, meaning in described
    ]
