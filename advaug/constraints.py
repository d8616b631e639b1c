"""Rules that rows must keep: a synthetic row may not break one that its parent keeps."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Rule = Callable[[Any], Any]  # rows, in the user's container -> (rows,) of bool


def holds(rule: Rule, rows: Any, n_rows: int) -> np.ndarray[Any, Any]:
    """The rule's answer for each row; ValueError if it is not one bool a row."""
    # A copy: what a rule writes into its rows must not be shipped.
    answer = np.asarray(rule(rows.copy() if hasattr(rows, "copy") else rows))
    if answer.shape != (n_rows,) or answer.dtype != bool:
        name = getattr(rule, "__name__", repr(rule))
        raise ValueError(
            f"constraint {name} must return one bool for each of the {n_rows} rows, "
            f"got {answer.dtype} of shape {answer.shape}"
        )
    return answer


def broken(
    rules: Rule | Sequence[Rule] | None, before: Any, after: Any, n_rows: int
) -> np.ndarray[Any, Any]:
    """Which of the rows break a rule that they kept before."""
    several = [] if rules is None else [rules] if callable(rules) else list(rules)
    bad = np.zeros(n_rows, dtype=bool)
    for rule in several:
        bad |= holds(rule, before, n_rows) & ~holds(rule, after, n_rows)
    return bad
