"""What a committee sees of a sequence: its n-grams, weighed by how rare they are, in few columns.

Counts are hashed and sparse; the columns are the directions in which the rows differ most.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int, UInt16
from scipy import sparse
from torch import Tensor

from advaug.core.features import Features
from advaug.core.tensor_fields import StoredFields
from advaug.domains.sequences.splicing import keys_of

WIDTH = 128  # columns: with more, or more for as many rows, nets learn rows by heart
ROWS_A_COLUMN, LEAST_WIDTH = 4, 16
LEAST_ROWS = 2  # that hold an n-gram, for it to count
BUCKETS = 2**14  # of each kind of n-gram
LEARNT_FROM = 5000  # rows
LETTERS = (3, 4, 5)  # lengths of n-grams: of letters,
WORDS, EVENTS, ONE_LETTER = (1, 2), (1, 2, 3), (1, 2, 3, 4, 5)  # and of tokens
MULTIPLIER = 0x5851F42D4C957F2D  # odd, of a linear congruential generator (Knuth)
ROWS = 4096  # at once,
MOST_REMEMBERED = 2**22  # n-grams of the last rows,
MOST_CELLS = 2**23  # and places for their n-grams: one row may be much longer than the others

Array: TypeAlias = np.ndarray[Any, Any]


class Occurrences(NamedTuple):
    """N-grams of one order, each where it was found."""

    row: Array
    bucket: Array
    start: Array  # the first of its units: tokens of its row, or letters of all rows
    order: int
    token: Array | None = None  # of each letter, its place in its row

    def of_rows(self, some: slice, first: int) -> "Occurrences":
        """Some of the n-grams, whose rows are numbered from `first` on."""
        return self._replace(row=self.row[some] - first, bucket=self.bucket[some])

    def places(self, step: int) -> Array:
        """Of each n-gram the place in its row of the token that its unit `step` belongs to."""
        units = self.start + step
        return units if self.token is None else self.token[units]


@dataclass(frozen=True)
class NGramFeatures(StoredFields, Features):
    """Rows of token numbers to at most `WIDTH` columns.

    Every kind of n-gram has its buckets: counts become 1 + log(count), times the log of how rare
    they are, in rows of length 1 (tf-idf; Salton, Buckley. Information Processing & Management
    1988); then the leading directions are taken (latent semantic analysis; Deerwester et al.
    JASIS 1990).

    Parameters
    ----------
    normal : int array (tokens,)
        The number of each token's normal form.
    letters : int array, first : int array (tokens + 1,), or None
        The characters of each token, one token after the other, and where each begins.
    orders : tuple of int
        Lengths of token n-grams; 0 stands for a token at its place in the row.
    rarity, directions : what was learnt of the buckets
    """

    descriptors: ClassVar[None] = None
    is_differentiable: ClassVar[bool] = False
    normal: Array
    letters: Array | None
    first: Array
    orders: tuple[int, ...]
    rarity: Array
    directions: Array

    @classmethod
    def of(
        cls,
        x: Float[Tensor, "rows length"],
        words: Sequence[Any],
        generator: torch.Generator,
        *,
        is_text: bool,
        is_aligned: bool,
        width: int = WIDTH,
    ) -> Self:
        """Learn from encoded rows of the tokens `words`.

        `is_text`: the tokens join to a text, whose letters are read; `is_aligned`: places in the
        rows mean something too.
        """
        some = x[torch.randperm(len(x), generator=generator)[:LEARNT_FROM]]
        texts = [str(word) for word in words] or [""]  # rows may all be empty
        are_letters = sum(map(len, texts)) < 1.5 * len(texts)
        orders = ONE_LETTER if are_letters else WORDS if is_text else EVENTS
        grams = cls(
            normal=normal_forms(texts),
            letters=codes("".join(texts)) if is_text and not are_letters else None,
            first=np.cumsum([0, *map(len, texts)]),
            orders=(0, *orders) if is_aligned else orders,
            rarity=np.ones(1, np.float32),
            directions=np.ones((1, 1), np.float32),
        )
        blocks = grams.counts(some)
        rarity = np.concatenate(
            [np.log((1 + len(some)) / (1 + seen(block))) + 1 for block in blocks]
        )
        grams = replace(grams, rarity=rarity.astype(np.float32))
        table = grams.weighed(blocks)
        most = max(len(some) // ROWS_A_COLUMN, LEAST_WIDTH)
        directions = leading(table, min(width, most, len(some)), generator)
        spread = (table @ directions).std(0)
        return replace(grams, directions=scaled(directions, spread))

    def to(self, device: torch.device | str) -> Self:
        """Itself: counting is done on the CPU."""
        return self

    def __call__(self, x: Float[Tensor, "batch length"]) -> Float[Tensor, "batch width"]:
        found = [
            torch.from_numpy(self.tfidf(rows) @ self.directions) for rows in x.detach().split(ROWS)
        ]
        return torch.cat(found).to(x) if found else x.new_zeros(0, self.directions.shape[1])

    def tfidf(self, x: Float[Tensor, "batch length"]) -> sparse.csr_matrix:
        """(batch, buckets of all kinds): the weighed n-grams, sparse.

        Those of the last rows are remembered: nets and ridge regressions read the same rows.
        """
        x = x.detach().cpu()
        last = self._last.get("table")
        found = None if last is None else last.of_rows(x)
        if found is None:
            parts = [self.weighed(self.counts(rows)) for rows in x.split(ROWS)]
            found = sparse.vstack(parts, format="csr")
            self._last["table"] = NGramTable.of(x, found)
        return found

    @cached_property
    def _last(self) -> dict[str, "NGramTable | None"]:
        return {"table": None}

    def counts(self, x: Float[Tensor, "batch length"]) -> list[sparse.csr_matrix]:
        """For each kind of n-gram (batch, buckets) of counts."""
        return [counted(found, len(x)) for found in self.occurrences(x)]

    def occurrences(self, x: Float[Tensor, "batch length"]) -> list[list[Occurrences]]:
        """Every n-gram of the rows, by its kind."""
        size = len(self.normal)
        plain = x.numpy().astype(np.int64)
        plain = np.where(plain >= size, plain - size, plain)
        there = plain >= 0
        normal = np.where(there, self.normal[plain.clip(0)], -1)
        kinds = [[grams(normal, there, order)] for order in self.orders]
        return kinds if self.letters is None else [*kinds, self._spelt(plain, there)]

    def _spelt(self, tokens: Array, there: Array) -> list[Occurrences]:
        """Letter n-grams of the rows as they are read, white space and all."""
        row, at = there.nonzero()
        token = tokens[row, at]
        long = (self.first[1:] - self.first[:-1])[token]
        ends = long.cumsum()
        begin = (self.first[token] - ends + long).repeat(long)
        place = np.arange(len(begin)) + begin
        letters = self.letters[place]  # type: ignore[index]
        row, at = row.repeat(long), at.repeat(long)
        return [windows(letters, row, at, order) for order in LETTERS]

    def contributions(
        self, x: Float[Tensor, "batch length"], weights: Array
    ) -> Float[Tensor, "batch length outputs"]:
        """What each token adds to a linear function of the n-grams, `weights` (buckets, outputs).

        An n-gram's part is shared evenly by its tokens, or letters: the parts of a row add up to
        its value exactly.
        """
        table = self.tfidf(x)
        parts = np.zeros((*x.shape, weights.shape[1]))
        for kind, block in enumerate(self.occurrences(x.cpu())):
            count = counted(block, len(x))
            for found in block:
                column, times = kind * BUCKETS + found.bucket, max(found.order, 1)
                each = np.asarray(table[found.row, column] / count[found.row, found.bucket])
                share = each.reshape(-1, 1) * weights[column] / times
                for step in range(times):
                    np.add.at(parts, (found.row, found.places(step)), share)
        return torch.from_numpy(parts).to(x)

    def weighed(self, blocks: list[sparse.csr_matrix]) -> sparse.csr_matrix:
        """tf-idf, each block of length 1."""
        weighed = []
        for k, block in enumerate(blocks):
            block = block.tocsr()
            block.data = (1 + np.log(block.data)).astype(np.float32)
            block.data *= self.rarity[k * BUCKETS + block.indices]
            size = np.sqrt(np.asarray(block.multiply(block).sum(1)).ravel()).clip(1e-9)
            block.data *= np.repeat((1 / size).astype(np.float32), np.diff(block.indptr))
            weighed.append(block)
        return sparse.hstack(weighed, format="csr")


class NGramTable(NamedTuple):
    """Rows and their weighed n-grams."""

    x: Float[Tensor, "rows length"]
    table: sparse.csr_matrix
    keys: Int[Tensor, " rows"]  # sorted
    order: Int[Tensor, " rows"]  # of the rows by their keys

    @classmethod
    def of(cls, x: Float[Tensor, "rows length"], table: sparse.csr_matrix) -> Self | None:
        """None of so many n-grams that they would take much memory."""
        return None if table.nnz > MOST_REMEMBERED else cls(x, table, *keys_of(x).sort())

    def of_rows(self, x: Float[Tensor, "batch length"]) -> sparse.csr_matrix | None:
        """The n-grams of rows that are all among these; else None."""
        if not len(self.x) or x.shape[1] != self.x.shape[1]:
            return None
        place = torch.searchsorted(self.keys, keys_of(x)).clamp_max(len(self.keys) - 1)
        at = self.order[place]
        if not torch.equal(self.x[at], x):
            return None
        return self.table[at.numpy()]


def ngram_features_of(features: Features, model: Any) -> NGramFeatures:
    """The features as the n-grams that a model needs; TypeError where rows are no sequences."""
    if not isinstance(features, NGramFeatures):
        raise TypeError(
            f"{type(model).__name__} learns from sequences (texts or lists of tokens), X holds "
            "rows of another kind: take surrogate='auto'"
        )
    return features


def normal_forms(texts: list[str]) -> Array:
    """For each token the number of its form without case and white space around it."""
    forms: dict[str, int] = {}
    return np.array([forms.setdefault(t.strip().lower() or t, len(forms)) for t in texts])


def codes(text: str) -> Array:
    """The numbers of a text's letters, without case where that keeps their number."""
    lower = text.lower()
    text = lower if len(lower) == len(text) else text
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int64)


def windows(letters: Array, row: Array, token: Array, order: int) -> Occurrences:
    """The n-grams of letters that stand one row after the other."""
    count = max(len(letters) - order + 1, 0)
    number = np.full(count, order, np.int64)
    for k in range(order):
        number = stirred(number, letters[k : k + count])
    whole = row[:count] == row[order - 1 : order - 1 + count]
    return Occurrences(
        row[:count][whole], bucket_of(number[whole]), whole.nonzero()[0], order, token
    )


def stirred(number: Array, token: Array) -> Array:
    """A hash that goes on with one more token."""
    mixed: Array = number + token
    mixed += 1
    mixed *= MULTIPLIER
    high = mixed >> 31
    high &= 0x1FFFFFFFF
    mixed ^= high
    return mixed


def bucket_of(number: Array) -> Array:
    return (number >> 20) & (BUCKETS - 1)


def counted(block: list[Occurrences], n_rows: int) -> sparse.csr_matrix:
    """(batch, buckets): how often each n-gram is there."""
    held = [np.bincount(found.row, minlength=n_rows) for found in block]
    if n_rows > 1 and n_rows * sum(count.max(initial=0) for count in held) > MOST_CELLS:
        middle, places = n_rows // 2, [count[: n_rows // 2].sum() for count in held]
        pairs = list(zip(block, places, strict=True))
        above = counted([found.of_rows(slice(place), 0) for found, place in pairs], middle)
        below = [found.of_rows(slice(place, None), middle) for found, place in pairs]
        return sparse.vstack([above, counted(below, n_rows - middle)], format="csr")
    cells = bucket_lists(block, held)
    is_first = np.ones(cells.shape, bool)
    np.not_equal(cells[:, 1:], cells[:, :-1], out=is_first[:, 1:])
    first = np.flatnonzero(is_first)
    bucket, count = cells.ravel()[first], np.diff(first, append=cells.size)
    is_gram = bucket < BUCKETS
    ends = (is_first & (cells < BUCKETS)).sum(1).cumsum()
    parts = count[is_gram].astype(np.float32), bucket[is_gram].astype(np.int32)
    return sparse.csr_matrix((*parts, np.append(0, ends)), (n_rows, BUCKETS))


def bucket_lists(block: list[Occurrences], held: list[Array]) -> UInt16[Array, "rows longest"]:
    """The buckets of each row's n-grams, sorted, with `BUCKETS` behind them.

    Sorts of short numbers, row by row, take a quarter of the time of one long sort.
    """
    widths = [int(count.max(initial=0)) for count in held]
    cells, left = np.full((len(held[0]), sum(widths)), BUCKETS, np.uint16), 0
    for found, count, width in zip(block, held, widths, strict=True):
        begin = np.arange(len(cells)) * cells.shape[1] + left - count.cumsum() + count
        cells.ravel()[np.arange(len(found.row)) + begin[found.row]] = found.bucket
        left += width
    cells.sort(1)
    return cells


def grams(tokens: Array, there: Array, order: int) -> Occurrences:
    """The n-grams of one order; order 0 is a token at its place."""
    count = max(tokens.shape[1] - max(order, 1) + 1, 0)
    number = np.full((len(tokens), count), order, np.int64)
    whole = np.ones((len(tokens), count), bool)
    if order == 0:
        number += np.arange(1, count + 1) * 0x2545F4914F6CDD1D
    for k in range(max(order, 1)):
        number = stirred(number, tokens[:, k : k + count])
        whole &= there[:, k : k + count]
    row, at = whole.nonzero()
    return Occurrences(row, bucket_of(number[row, at]), at, order)


def seen(block: sparse.csr_matrix) -> Array:
    """In how many rows each bucket is not empty."""
    block = block.tocsr()
    block.sum_duplicates()
    held: Array = np.bincount(block.indices, minlength=BUCKETS)
    return held


def leading(table: sparse.csr_matrix, width: int, generator: torch.Generator) -> Array:
    """(buckets, width): the right singular vectors of the largest singular values.

    By random projection and two rounds of power iteration (Halko, Martinsson, Tropp. SIAM Review
    2011).
    """
    more = min(width + 8, *table.shape)
    start = torch.randn(table.shape[1], more, generator=generator, dtype=torch.float32).numpy()
    basis = np.linalg.qr(table @ start)[0]
    for _ in range(2):
        basis = np.linalg.qr(table @ (table.T @ basis))[0]
    inner = table.T @ basis
    strength, turn = np.linalg.eigh(inner.T @ inner)
    order = np.argsort(-strength)[:width]
    size = np.sqrt(strength[order].clip(1e-9))
    directions: Array = (inner @ turn[:, order]) / size
    return directions.astype(np.float32)


def scaled(directions: Array, spread: Array) -> Array:
    """Directions whose leading column is of size 1, the others as much shorter as they say less:
    nets learn by heart what is blown up."""
    columns: Array = (directions / spread.max().clip(1e-6)).astype(np.float32)
    return columns
