"""What is attacked: a committee of small nets trained on the rows, or the user's own module."""

from advaug.surrogates.ensemble import Committee, Ensemble
from advaug.surrogates.frozen import Frozen

__all__ = ["Committee", "Ensemble", "Frozen"]
