"""Models that are attacked or vote: the committee of small nets, torch modules, any estimator."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from advaug.models.committee import Committee, Ensemble
from advaug.models.queried_estimator import QueriedEstimator
from advaug.models.torch_model import TorchModel
from advaug.models.training import Training

if TYPE_CHECKING:
    from advaug.domains.sequences.ngram_ridge import NGramRidge

__all__ = ["Committee", "Ensemble", "NGramRidge", "QueriedEstimator", "TorchModel", "Training"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name == "NGramRidge":
            return import_module("advaug.domains.sequences.ngram_ridge").NGramRidge
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
