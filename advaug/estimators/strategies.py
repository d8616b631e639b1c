"""Sampling strategies beside imbalanced-learn's own: how many rows of each class there shall be."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from imblearn.utils import check_sampling_strategy

from advaug import containers


@dataclass(frozen=True)
class Grow:
    """See `grow`."""

    factor: float

    def __call__(self, y: Any) -> dict[Any, int]:
        classes, codes = containers.classes_of(containers.labels(y))
        return self.totals(dict(zip(classes.tolist(), np.bincount(codes).tolist(), strict=True)))

    def totals(self, counts: Mapping[Any, int]) -> dict[Any, int]:
        """The same from how many rows each class has."""
        return dict.fromkeys(counts, math.ceil(self.factor * max(counts.values())))


def grow(factor: float) -> Grow:
    """Every class grows, and all end with `factor` times the rows of the largest.

    Parameters
    ----------
    factor : float
        At least 1.

    Returns
    -------
    callable
        For `sampling_strategy`.

    See Also
    --------
    advaug.AdversarialOverSampler : Over-sample with synthetic rows that held-out models agree on.

    Examples
    --------
    >>> from advaug import grow
    >>> grow(1.5)(["a", "a", "b"])
    {'a': 3, 'b': 3}
    """
    if not factor >= 1:
        raise ValueError(f"factor must be at least 1, got {factor!r}: rows are only added")
    return Grow(factor)


def rows_to_make(strategy: Any, counts: Mapping[Any, int]) -> dict[Any, int]:
    """imbalanced-learn's numbers of new rows, from how many rows each class has.

    Its own function reads all labels, which may be too many for memory.

    Parameters
    ----------
    strategy : float, str, dict or callable
        As `sampling_strategy` of imbalanced-learn. A callable other than `grow` gets all labels.
    counts : dict of class -> number of rows
    """
    largest, smallest = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    top = counts[largest]
    leave_out = {
        "minority": counts.keys() - {smallest},
        "not minority": {smallest},
        "not majority": {largest},
        "auto": {largest},
        "all": set(),
    }
    if isinstance(strategy, Grow):
        strategy = strategy.totals(counts)
    elif callable(strategy):
        strategy = strategy(np.repeat(np.array(list(counts)), list(counts.values())))
    if isinstance(strategy, str) and strategy in leave_out:
        return {k: top - count for k, count in counts.items() if k not in leave_out[strategy]}
    if isinstance(strategy, dict):
        return {label: more(counts, label, total) for label, total in sorted(strategy.items())}
    if isinstance(strategy, Real) and len(counts) == 2 and 0 < float(strategy) <= 1:
        [(label, count)] = [pair for pair in counts.items() if pair[0] != largest]
        refuse_low_ratio(strategy, counts)
        return {label: int(top * float(strategy)) - count}
    # What is left is refused by imbalanced-learn: other words, lists, other ratios.
    refused: dict[Any, int] = check_sampling_strategy(strategy, list(counts), "over-sampling")
    return refused


def refuse_low_ratio(strategy: Any, counts: Mapping[Any, int]) -> None:
    """ValueError where a ratio of two classes asks for no new row."""
    if not isinstance(strategy, Real) or len(counts) != 2 or not 0 < float(strategy) <= 1:
        return
    (label, few), (_, many) = sorted(counts.items(), key=lambda pair: pair[1])
    if int(many * float(strategy)) <= few:
        raise ValueError(
            f"sampling_strategy={strategy} asks for no new row: class {label!r} has {few} rows "
            f"already, a ratio of {few / many:.3g} to the other class. Give a larger ratio, up to 1"
        )


def more(counts: Mapping[Any, int], label: Any, total: int) -> int:
    """How many rows a class lacks; ValueError where it is not there, or has too many."""
    if label not in counts:
        raise ValueError(
            f"sampling_strategy names class {label!r}, which y does not have: it has "
            f"{list(counts)[:12]}"
        )
    if total < counts[label]:
        raise ValueError(
            f"sampling_strategy asks for {total} rows of class {label!r}, which has "
            f"{counts[label]}: rows are only added"
        )
    return total - counts[label]
