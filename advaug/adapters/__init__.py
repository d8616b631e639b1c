"""The user's container <-> tensors: scale is divided here, once."""

from typing import Any

import numpy as np

from advaug.adapters.image import ImageAdapter, ImageCoding
from advaug.adapters.protocol import Adapter, Coding
from advaug.adapters.tabular import TabularAdapter, TabularCoding

ADAPTERS: dict[str, type[Adapter]] = {"image": ImageAdapter, "tabular": TabularAdapter}

__all__ = [
    "ADAPTERS",
    "Adapter",
    "Coding",
    "ImageAdapter",
    "ImageCoding",
    "TabularAdapter",
    "TabularCoding",
    "adapter_for",
]


def adapter_for(X: Any) -> Adapter:
    """The first adapter that accepts the container."""
    for adapter in ADAPTERS.values():
        if adapter().accepts(X):
            return adapter()
    raise ValueError(
        f"Found array with dim {np.ndim(X)} and dtype {getattr(X, 'dtype', '?')} that no adapter "
        f"takes: {', '.join(ADAPTERS)} are known; name one, e.g. adapter=ImageAdapter() for "
        "(n, h, w) floats, or reshape to (rows, columns)"
    )
