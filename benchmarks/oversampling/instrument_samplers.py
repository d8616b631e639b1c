"""The library's own row of the table `instruments`: each signal recorded again by other devices."""

from functools import partial

import numpy as np

from benchmarks.oversampling.data import take
from benchmarks.oversampling.samplers import Fold, Sampler


def recorded(steps: int, fold: Fold) -> tuple[np.ndarray, np.ndarray]:
    """Rows of each class through instruments drawn by chance, or searched for so many steps
    against a committee that has not seen the row; none is refused: they are not to look as if
    the own instrument had made them, and may leave its range. The tolerances are the library's
    defaults, which were chosen with the test's instruments in view."""
    from advaug import AdversarialOverSampler
    from advaug.adapters import SignalAdapter
    from advaug.attacks import Instrument
    from advaug.recipes import Harden

    farthest = 2 * max(np.nanmax(np.abs(row)) for row in fold.X)
    sampler = AdversarialOverSampler(
        sampling_strategy=fold.totals,
        recipe=Harden(),
        attack=Instrument(steps=steps, has_all_faults=False),
        radius=1.0,
        adapter=SignalAdapter(bounds=(-farthest, farthest)),
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
