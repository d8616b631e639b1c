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
from benchmarks.oversampling.samplers import Sampler


@dataclass(frozen=True)
class Domain:
    """A kind of rows."""

    rivals: Mapping[str, Sampler]
    learners: tuple[str, ...]
    probabilities: Callable[..., np.ndarray]
    encoder_of: Callable[[Any], Callable[[Any], np.ndarray]]
    facts: Callable[[Any], dict[str, Any]]
    most_rows: int  # of a training fold, where nothing is said
    share: float | None = None  # of class 1 in a training fold, at most ...
    least: int = 5  # ... but so many of its rows stay
    files: tuple[str, ...] = ()  # of this folder, whose code makes the cells
    shelf: str = "tabular"  # what the manifest calls it
    tuned: tuple[str, ...] = ()  # more learners, where a plan asks for them


DOMAINS = {
    "tabular": Domain(
        rivals=ChainMap(samplers.RIVALS, thinners.THINNERS),
        learners=(*learners.LEARNERS,),
        probabilities=learners.probabilities,
        encoder_of=data.encoder_of,
        facts=data.facts,
        most_rows=3000,
        tuned=(*learners.TUNED,),
    ),
    "signal": Domain(
        rivals=signals.RIVALS,
        learners=(*signal_learners.LEARNERS,),
        probabilities=signal_learners.probabilities,
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
        encoder_of=sequences.encoder_of,
        facts=sequences.facts,
        most_rows=2000,
        share=0.05,
        least=50,
        files=("sequence_learners.py", "sequences.py"),
        shelf="sequence",
    ),
}
DOMAINS["instrument"] = replace(
    DOMAINS["signal"],
    rivals=signals.RIVALS
    | {"instrument": partial(samplers.by_rule, instruments.instrument)}
    | instrument_samplers.OURS,
    probabilities=instruments.probabilities,
    files=("instruments.py", "instrument_samplers.py", *DOMAINS["signal"].files),
)
