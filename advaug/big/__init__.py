"""Tables larger than memory: one scan keeps counts, bounds and a sample of each class.

pyarrow is imported when it is first needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from advaug.big.engines import Engine
    from advaug.big.scanning import Scan, scan
    from advaug.big.summary import Summary

PLACES = {
    "Engine": "engines",
    "Scan": "scanning",
    "Summary": "summary",
    "scan": "scanning",
}

__all__ = ["Engine", "Scan", "Summary", "scan"]

if not TYPE_CHECKING:

    def __getattr__(name):
        if name in PLACES:
            return getattr(import_module(f"advaug.big.{PLACES[name]}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
