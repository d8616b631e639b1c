"""Adapters: how the user's container becomes tensors and back, one for each domain."""

from advaug.domains.images.adapter import ImageAdapter
from advaug.domains.sequences.adapter import SequenceAdapter
from advaug.domains.signals.adapter import SignalAdapter
from advaug.domains.tables.adapter import TabularAdapter
from advaug.sampling.domain import FittedAdapter

__all__ = ["FittedAdapter", "ImageAdapter", "SequenceAdapter", "SignalAdapter", "TabularAdapter"]
