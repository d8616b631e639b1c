"""The faces of an adapter: settings that learn a coding, and the coding that they learn."""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from advaug.core.features import Features
from advaug.core.space import Space


class Coding(Protocol):
    """What an adapter has learnt: rows to tensors, their space, and back."""

    def encode(self, X: Any) -> Tensor:
        """(rows, *shape) float32, on the CPU."""
        ...

    def native(self, x: Tensor) -> Tensor:
        """Encoded rows as the user's own net takes them: differentiable, in the user's units."""
        ...

    def features(self, x: Tensor, generator: torch.Generator) -> Features:
        """What a committee sees of encoded rows like `x`."""
        ...

    def space(self, norm: float = math.inf) -> Space:
        """Where encoded rows may move."""
        ...

    def decode(self, moved: Tensor, seed: Tensor, rows: Any) -> Any:
        """Copies of `rows` (encoded: `seed`) with the cells edited that `moved` has moved."""
        ...

    def changes(self, before: Any, after: Any) -> list[dict[str, Any]]:
        """For each row what moved: name -> (before, after)."""
        ...


class Adapter(Protocol):
    """Settings; `fit` returns a new coding and leaves the adapter as it was."""

    def accepts(self, X: Any) -> bool:
        """Whether this kind of container is its own."""
        ...

    def fit(self, X: Any) -> Coding:
        """Learn scale, bounds and levels from the rows."""
        ...


@dataclass(frozen=True)
class FittedAdapter:
    """An adapter that has learnt already: rows seen later are measured in the same units.

    Examples
    --------
    >>> import numpy as np
    >>> from advaug.adapters import FittedAdapter, TabularAdapter
    >>> coding = TabularAdapter().fit(np.arange(8.0).reshape(4, 2))
    >>> FittedAdapter(coding).fit(np.zeros((1, 2))) is coding
    True
    """

    coding: Coding

    def accepts(self, X: Any) -> bool:
        return True

    def fit(self, X: Any) -> Coding:
        return self.coding


def not_finite(moved: Tensor) -> np.ndarray[Any, Any]:
    """Rows that came out as NaN or infinity."""
    return (~moved.flatten(1).isfinite().all(1)).nonzero()[:, 0].numpy()


def refuse_not_finite(moved: Tensor) -> None:
    """ValueError naming the rows that are not finite: a model's gradient was not."""
    rows = not_finite(moved)
    if len(rows):
        raise ValueError(
            f"the attacked model has no finite gradient at {len(rows)} rows (first: row "
            f"{rows[0]} of its batch): check its output there for NaN or infinity"
        )
