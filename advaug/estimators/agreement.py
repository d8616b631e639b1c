"""Whether a user's own model agrees with the labels: one in the wrong units does not.

An attack on a model that is at chance says nothing, but looks like a success.
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from advaug import containers
from advaug.core.domain import RowCoding
from advaug.models.protocol import AttackedModel
from advaug.models.torch_model import TorchModel, refuse_nan

Array = np.ndarray[Any, Any]

N_ROWS = 1000  # Rows at most on which a model is compared with their labels.
FEWEST = 10  # Rows from which on it is.
CLEARLY = 0.1  # Other units are named if a net is better in them by so much.


class Agreement(NamedTuple):
    """The share of rows whose label a model predicts, and the mean of these shares by class."""

    share: float
    balanced: float

    @classmethod
    def of(cls, logits: Tensor, column: Array) -> "Agreement":
        """`column` is the place of each row's label among the logits, -1 where there is none."""
        is_right = logits.argmax(1).cpu().numpy() == column
        by_class = [is_right[column == label].mean() for label in np.unique(column)]
        return cls(float(is_right.mean()), float(np.mean(by_class)))


def evenly_spaced(n: int, most: int) -> Array:
    """The numbers of at most so many of n rows."""
    return np.linspace(0, n - 1, min(most, n)).astype(int)


def warn_of_disagreement(
    model: AttackedModel, coding: RowCoding, X: Any, classes: Array, codes: Array
) -> None:
    """UserWarning where a model agrees with its labels no better than the largest class alone.

    Also where a net agrees with them clearly better in other units; the warning names these.
    ValueError where the model returns NaN.
    """
    kept = evenly_spaced(len(codes), N_ROWS)
    rows, codes = containers.take(X, kept), codes[kept]
    largest = np.bincount(codes).max() / len(codes)
    if len(codes) < FEWEST or largest == 1:
        return
    column = codes if model.classes is None else places_among(model.classes, classes)[codes]
    seed = coding.encode(rows)
    with model.frozen(), torch.no_grad():
        logits = model.encoded_logits(coding, rows, seed)(seed)
        if logits.isnan().any():
            refuse_nan(logits, coding.native(seed), numbers=kept)
        found = Agreement.of(logits, column)
        mend, better = best_other_units(model, coding, seed, column)
    is_useless = found.share <= largest and found.balanced <= 1 / len(np.unique(codes))
    is_better = better.balanced > found.balanced + CLEARLY
    if not (is_useless or is_better):
        return
    warnings.warn(
        f"surrogate agrees with y in {found.share:.0%} of {len(codes)} rows, and the largest class "
        f"alone does in {largest:.0%}. "
        + (
            f"With {mend} it agrees in {better.share:.0%}: pass that"
            if is_better
            else "Check that it was trained in the units of X, and that its outputs are in the "
            "order of the sorted labels"
        ),
        UserWarning,
        stacklevel=4,
    )


def best_other_units(
    model: AttackedModel, coding: RowCoding, seed: Tensor, column: Array
) -> tuple[str, Agreement]:
    """The units in which a user's net agrees best with its labels, of those that are usual."""
    best = ("", Agreement(0.0, 0.0))
    if not isinstance(model, TorchModel) or model.reads_encoded:
        return best
    for mend, native in coding.other_units().items():
        if (found := tried(model, native, seed, column)).balanced > best[1].balanced:
            best = (mend, found)
    return best


def tried(
    model: TorchModel, native: Callable[[Tensor], Tensor], seed: Tensor, column: Array
) -> Agreement:
    """The agreement of a net in other units; none where it cannot read them."""
    try:
        return Agreement.of(model.logits(native(seed)), column)
    except (RuntimeError, TypeError, ValueError, IndexError):
        return Agreement(0.0, 0.0)


def places_among(known: Array, classes: Array) -> Array:
    """The place of each class among those that a model knows; -1 where it does not know it."""
    place = {label: at for at, label in enumerate(np.asarray(known).tolist())}
    return np.array([place.get(label, -1) for label in classes.tolist()])
