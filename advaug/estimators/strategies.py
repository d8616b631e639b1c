"""Sampling strategies beside imbalanced-learn's own: how many rows of each class there shall be."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from advaug import containers


@dataclass(frozen=True)
class Grow:
    """See `grow`."""

    factor: float

    def __call__(self, y: Any) -> dict[Any, int]:
        classes, codes = containers.classes_of(containers.labels(y))
        total = math.ceil(self.factor * int(np.bincount(codes).max()))
        return dict.fromkeys(classes.tolist(), total)


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
