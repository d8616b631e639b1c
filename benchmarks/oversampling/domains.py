"""What the suite asks of a kind of rows: their facts, encoding, over-samplers and learners.

Signals and sequences that are balanced are made imbalanced, in the training folds only: test folds
stay whole, so that scores rest on all rare rows there are.
"""

from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from benchmarks.oversampling import (
    data,
    instrument_samplers,
    instruments,
    learners,
    samplers,
    sequence_learners,
    sequences,
    signal_learners,
    signals,
    thinners,
)
from benchmarks.oversampling.samplers import Fold, Sampler


@dataclass(frozen=True)
class Domain:
    """A kind of rows."""

    rivals: Mapping[str, Sampler]
    learners: tuple[str, ...]
    probabilities: Callable[..., np.ndarray]
    model_of: Callable[..., Any]  # from a learner's name and `fold=`
    encoder_of: Callable[[Any], Callable[[Any], np.ndarray]]
    facts: Callable[[Any], dict[str, Any]]
    most_rows: int  # of a training fold, where nothing is said
    share: float | None = None  # of class 1 in a training fold, at most ...
    least: int = 5  # ... but so many of its rows stay
    files: tuple[str, ...] = ()  # of this folder, whose code makes the cells
    shelf: str = "tabular"  # what the manifest calls it
    tuned: tuple[str, ...] = ()  # more learners, where a plan asks for them


class TrainedLater(ClassifierMixin, BaseEstimator):
    """A learner as scikit-learn's classifier: it is trained when it is asked.

    Parameters
    ----------
    probabilities : function
        See `Domain`.
    learner : str
    fold : Fold
        It holds no more than the learner asks for.
    """

    def __init__(self, probabilities: Any, learner: str, fold: Fold) -> None:
        self.probabilities = probabilities
        self.learner = learner
        self.fold = fold

    @property
    def n_neighbors(self) -> int | None:
        """Of a learner that is the nearest row's label."""
        return 1 if self.learner.startswith("1-nn") else None

    def fit(self, X: Any, y: Any) -> Any:
        """Keep the rows."""
        self.classes_, self.known_ = np.unique(y), (X, y)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Train, and ask."""
        return self.probabilities(self.learner, self.fold, *self.known_[:2], X, *self.known_[2:])


class WeighedLater(TrainedLater):
    """The same of a learner that takes weights."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Keep the rows and their weights."""
        self.classes_, self.known_ = np.unique(y), (X, y, sample_weight)
        return self


def trained_later(
    probabilities: Callable[..., np.ndarray],
    takes_no_weights: tuple[str, ...],
    learner: str,
    fold: Fold,
) -> TrainedLater:
    """A learner of rows that are no table, as scikit-learn's classifier."""
    kind = TrainedLater if learner in takes_no_weights else WeighedLater
    return kind(probabilities, learner, replace(fold, X=None, matrix=None))


DOMAINS = {
    "tabular": Domain(
        rivals=ChainMap(samplers.RIVALS, thinners.THINNERS),
        learners=(*learners.LEARNERS,),
        probabilities=learners.probabilities,
        model_of=learners.model_of,
        encoder_of=data.encoder_of,
        facts=data.facts,
        most_rows=3000,
        tuned=(*learners.TUNED,),
    ),
    "signal": Domain(
        rivals=signals.RIVALS,
        learners=signal_learners.QUICK,
        probabilities=signal_learners.probabilities,
        model_of=partial(
            trained_later, signal_learners.probabilities, signal_learners.TAKES_NO_WEIGHTS
        ),
        encoder_of=signals.encoder_of,
        facts=signals.facts,
        most_rows=400,
        share=0.1,
        files=("signal_learners.py", "signals.py"),
        shelf="signal",
    ),
    "sequence": Domain(
        rivals=sequences.RIVALS,
        learners=(*sequence_learners.LEARNERS,),
        probabilities=sequence_learners.probabilities,
        model_of=partial(
            trained_later, sequence_learners.probabilities, sequence_learners.TAKES_NO_WEIGHTS
        ),
        encoder_of=sequences.encoder_of,
        facts=sequences.facts,
        most_rows=2000,
        share=0.05,
        least=50,
        files=("sequence_learners.py", "sequences.py"),
        shelf="sequence",
    ),
}
DOMAINS["hard signal"] = replace(
    DOMAINS["signal"],
    learners=(*signal_learners.LEARNERS,),
    files=("harder.py", "signal_teachers.py", *DOMAINS["signal"].files),
)
DOMAINS["instrument"] = replace(
    DOMAINS["signal"],
    rivals=signals.RIVALS
    | {"instrument": partial(samplers.by_rule, instruments.instrument)}
    | instrument_samplers.OURS,
    probabilities=instruments.probabilities,
    files=("instruments.py", "instrument_samplers.py", *DOMAINS["signal"].files),
)
