"""Tables larger than memory: scan once, fit on a sample of each class, grow rows anywhere.

pyarrow, and torch where rows are fitted or made, are imported when they are first needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from advaug.big.engines import Engine
    from advaug.big.growing import grow_rows
    from advaug.big.oversampling import oversample
    from advaug.big.scanning import Scan, scan
    from advaug.big.summary import Summary
    from advaug.big.table_generator import TableGenerator, fit

PLACES = {
    "Engine": "engines",
    "Scan": "scanning",
    "Summary": "summary",
    "TableGenerator": "table_generator",
    "fit": "table_generator",
    "grow_rows": "growing",
    "oversample": "oversampling",
    "scan": "scanning",
}

__all__ = ["Engine", "Scan", "Summary", "TableGenerator", "fit", "grow_rows", "oversample", "scan"]

if not TYPE_CHECKING:

    def __getattr__(name):
        if name in PLACES:
            return getattr(import_module(f"advaug.big.{PLACES[name]}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
