"""Rows that came out of an attack as no numbers are refused, not returned."""

from typing import Any

import numpy as np
from torch import Tensor


def not_finite(moved: Tensor) -> np.ndarray[Any, Any]:
    """The row numbers of rows that hold NaN or infinity."""
    return (~moved.flatten(1).isfinite().all(1)).nonzero()[:, 0].cpu().numpy()


def refuse_not_finite(moved: Tensor) -> None:
    """ValueError naming the rows that are not finite: a model's gradient was not."""
    if moved.sum().isfinite():  # As it is only where all of them are.
        return
    rows = not_finite(moved)
    if len(rows):
        raise ValueError(
            f"the attacked model has no finite gradient at {len(rows)} rows (first: row "
            f"{rows[0]} of its batch): check its output there for NaN or infinity"
        )
