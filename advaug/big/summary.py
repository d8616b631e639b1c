"""What one scan keeps of a table of any size: counts, bounds, levels and a sample of each class.

The sample of a class are the rows whose numbers have the smallest hashes, so that summaries of the
parts of a table merge in any order to the summary of the whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pyarrow as pa

from advaug.containers.batches import bounds_of, first_infinity, label_codes, levels_of
from advaug.core.short_repr import ShortRepr

MOST_ROWS = 10_000  # rows of a class that are kept: as many as the sampler learns from
MOST_LEVELS = 1_000  # levels of a column that are counted; of more only that there are more
LAST = np.uint64(2**64 - 1)  # the largest hash

Array = np.ndarray[Any, Any]
Label = int | float | str | bool


def hashed(numbers: Array, seed: int) -> Array:
    """A hash of each row's number, all of them distinct (SplitMix64).

    Steele, Lea, Flood. Fast splittable pseudorandom number generators. OOPSLA 2014.
    """
    golden = 0x9E3779B97F4A7C15
    bits = numbers.astype(np.uint64)
    bits += np.uint64((seed + 1) * golden % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits ^= bits >> np.uint64(shift)
        bits *= np.uint64(factor)
    return bits ^ (bits >> np.uint64(31))


@dataclass
class Kept:
    """The rows of a class with the smallest hashes, the smallest first."""

    hashes: Array
    numbers: Array
    rows: pa.Table

    @property
    def edge(self) -> np.uint64:
        """The largest hash that a further row may have."""
        return self.hashes[-1] if len(self.hashes) == MOST_ROWS else LAST

    def joined(self, other: "Kept") -> "Kept":
        """The rows of both with the smallest hashes."""
        hashes = np.concatenate([self.hashes, other.hashes])
        numbers = np.concatenate([self.numbers, other.numbers])
        rows = pa.concat_tables([self.rows, other.rows])
        order = np.argsort(hashes)[:MOST_ROWS]
        return Kept(hashes[order], numbers[order], rows.take(order).combine_chunks())


@dataclass(repr=False)
class Summary(ShortRepr):
    """What is known of some rows of a table.

    Parameters
    ----------
    target : str
        The column of labels.
    seed : int
        Which rows are kept depends on it and on the rows' numbers alone.

    Attributes
    ----------
    counts : dict of label -> int
        The exact number of rows of each class.
    bounds : dict of column -> (least, largest value)
        Exact ones.
    levels : dict of column of texts -> dict of level -> int, or None
        The exact number of rows of each level; None where a column has more than 1 000 levels.
    kept : dict of label -> `Kept`
        The rows kept of each class, at most 10 000.

    See Also
    --------
    advaug.big.scan : Read a table of any size once, batch by batch.

    Examples
    --------
    >>> import pandas as pd
    >>> from advaug.big import scan
    >>> frame = pd.DataFrame({"age": range(200), "sick": ["no"] * 180 + ["yes"] * 20})
    >>> scan([frame], target="sick").summary.counts
    {'no': 180, 'yes': 20}
    """

    target: str
    seed: int = 0
    counts: dict[Label, int] = field(default_factory=dict)
    bounds: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    levels: dict[str, dict[Any, int] | None] = field(default_factory=dict)
    kept: dict[Label, Kept] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        return sum(self.counts.values())

    @property
    def labels(self) -> list[Label]:
        return sorted(self.counts)

    def add(self, table: pa.Table, first: int) -> Self:
        """Take in the rows of a batch, the first of which is row `first` of the whole table."""
        labels, codes = label_codes(table[self.target])
        self._refuse_missing_labels(labels, codes, first)
        counts = np.bincount(codes, minlength=len(labels)).tolist()
        self.counts = added(self.counts, dict(zip(labels, counts, strict=True)))
        rows = table.drop_columns([self.target])
        bounds = bounds_of(rows)
        self._refuse_infinity(rows, bounds, first)
        self.bounds = widened(self.bounds, bounds)
        self._count_levels(levels_of(rows))
        numbers = np.arange(first, first + len(codes))
        hashes = hashed(numbers, self.seed)
        edges = [self.kept[label].edge if label in self.kept else LAST for label in labels]
        small = np.flatnonzero(hashes <= np.array(edges, dtype=np.uint64)[codes])
        for code, label in enumerate(labels):
            own = small[codes[small] == code]
            if len(own):
                self._keep(label, Kept(hashes[own], numbers[own], rows.take(own)))
        return self

    def merge(self, other: "Summary") -> Self:
        """Take in the summary of other rows of the same table."""
        self.counts = added(self.counts, other.counts)
        self.bounds = widened(self.bounds, other.bounds)
        self._count_levels(other.levels)
        for label, kept in other.kept.items():
            self._keep(label, kept)
        return self

    def sample(self) -> tuple[pa.Table, Array, Array]:
        """Rows, labels and row numbers of all that is kept, in the order of the numbers."""
        labels = self.labels
        numbers = np.concatenate([self.kept[label].numbers for label in labels])
        rows = pa.concat_tables([self.kept[label].rows for label in labels])
        lengths = [len(self.kept[label].numbers) for label in labels]
        y = np.repeat(np.array(labels), lengths)
        order = np.argsort(numbers)
        return rows.take(order).combine_chunks(), y[order], numbers[order]

    def _keep(self, label: Label, more: Kept) -> None:
        kept = self.kept.get(label, Kept(more.hashes[:0], more.numbers[:0], more.rows.slice(0, 0)))
        self.kept[label] = kept.joined(more)

    def _count_levels(self, levels: Mapping[str, dict[Any, int] | None]) -> None:
        for name, more in levels.items():
            known = self.levels.get(name, {})
            both = None if known is None or more is None else added(known, more)
            self.levels[name] = None if both is not None and len(both) > MOST_LEVELS else both

    def _refuse_missing_labels(self, labels: list[Any], codes: Array, first: int) -> None:
        if (codes < 0).any():
            raise ValueError(
                f"target {self.target!r} has no label in row {first + int(np.argmin(codes))} "
                "(counted from 0 over all files): drop such rows or fill them in"
            )
        if odd := [one for one in labels if not is_label(one)]:
            raise ValueError(
                f"target {self.target!r} holds {odd[0]!r}: labels must be whole numbers, texts or "
                "truths; choose another column, or write the labels as texts"
            )
        if len(self.counts.keys() | set(labels)) > MOST_LEVELS:
            raise ValueError(
                f"target {self.target!r} has more than {MOST_LEVELS} distinct values, so it is no "
                "column of classes: choose another column"
            )

    @staticmethod
    def _refuse_infinity(rows: pa.Table, bounds: dict[str, tuple[Any, Any]], first: int) -> None:
        for name, ends in bounds.items():
            if np.isinf(ends).any():
                raise ValueError(
                    f"column {name!r} is infinite in row {first + first_infinity(rows[name])} "
                    "(counted from 0 over all files): replace it by a finite value or by a "
                    "missing one"
                )


def is_label(value: Any) -> bool:
    return isinstance(value, str | int) or (isinstance(value, float) and value.is_integer())


def added(counts: dict[Any, int], more: dict[Any, int]) -> dict[Any, int]:
    """Two counts as one."""
    return {key: counts.get(key, 0) + more.get(key, 0) for key in (counts | more)}


def widened(
    bounds: dict[str, tuple[Any, Any]], more: dict[str, tuple[Any, Any]]
) -> dict[str, tuple[Any, Any]]:
    """Bounds that hold both."""
    both = {}
    for name in bounds | more:
        pairs = [ends[name] for ends in (bounds, more) if name in ends]
        both[name] = min(low for low, _ in pairs), max(high for _, high in pairs)
    return both
