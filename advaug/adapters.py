"""Adapters: how the user's container becomes tensors and back, one for each domain.

`Budget` says what moves of a table's rows may cost.
"""

from advaug.domains.images.adapter import ImageAdapter
from advaug.domains.sequences.adapter import SequenceAdapter
from advaug.domains.signals.adapter import SignalAdapter
from advaug.domains.tables.adapter import TabularAdapter
from advaug.domains.tables.budget import Budget
from advaug.sampling.domain import FittedAdapter

__all__ = [
    "Budget",
    "FittedAdapter",
    "ImageAdapter",
    "SequenceAdapter",
    "SignalAdapter",
    "TabularAdapter",
]
