"""The user's container <-> tensors: scale is divided here, once."""

from typing import Any

import numpy as np

from advaug.adapters.image import ImageAdapter, ImageCoding
from advaug.adapters.mending import Mender
from advaug.adapters.protocol import Adapter, Coding, Learnt
from advaug.adapters.repairs import REPAIRED, SET_BACK
from advaug.adapters.sequence import SequenceAdapter, SequenceCoding
from advaug.adapters.signal import SignalAdapter, SignalCoding
from advaug.adapters.tabular import TabularAdapter, TabularCoding
from advaug.constraints import Constraints

ADAPTERS: dict[str, type[Adapter]] = {
    "image": ImageAdapter,
    "signal": SignalAdapter,
    "sequence": SequenceAdapter,  # before tables, which would read token lists of one length
    "tabular": TabularAdapter,
}

__all__ = [
    "ADAPTERS",
    "REPAIRED",
    "SET_BACK",
    "Adapter",
    "Coding",
    "ImageAdapter",
    "ImageCoding",
    "Learnt",
    "Mender",
    "SequenceAdapter",
    "SequenceCoding",
    "SignalAdapter",
    "SignalCoding",
    "TabularAdapter",
    "TabularCoding",
    "adapter_for",
    "mender_for",
]


def adapter_for(X: Any) -> Adapter:
    """The first adapter that accepts the container."""
    for adapter in ADAPTERS.values():
        if adapter().accepts(X):
            return adapter()
    raise ValueError(
        f"Found array with dim {np.ndim(X)} and dtype {getattr(X, 'dtype', '?')} that no adapter "
        f"takes: {', '.join(ADAPTERS)} are known; reshape to (rows, columns), (signals, channels, "
        "time) or (images, channels, height, width), or name one, e.g. adapter='image'"
    )


def mender_for(coding: Coding, rules: Constraints, X: Any) -> Mender | None:
    """What brings rows back to the rules; None where no rule reads a column by its name."""
    if not rules.names:
        return None
    if not isinstance(coding, TabularCoding):
        raise ValueError(
            f"constraints over columns ({', '.join(rules.names[:3])}) need a table: for "
            f"{type(coding).__name__} pass callables from rows to one bool a row"
        )
    return Mender(rules, coding, X)
