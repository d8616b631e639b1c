"""Simulated instruments: another gain, a drifting baseline, noise, fewer samples by another clock.

The data's own instrument is that of the training folds; test rows are asked as they are and as
others would have seen them. A unit is a channel's scale in the training fold.
"""

from collections.abc import Callable

import numpy as np
from scipy.signal import lfilter

from benchmarks.oversampling import signal_learners
from benchmarks.oversampling.samplers import Fold
from benchmarks.oversampling.signals import lengths_of, random

Array, Generator = np.ndarray, np.random.Generator


def gain(X: Array, rng: Generator, spread: float = 0.4) -> Array:
    """Each channel larger or smaller by a factor of e to the `spread`."""
    return X * np.exp(spread * rng.choice([-1, 1], (1, X.shape[1], 1)))


def drift(X: Array, rng: Generator, size: float = 0.5) -> Array:
    """A slow wave of this size under each row: half a period to one and a half."""
    turns = rng.uniform(0.5, 1.5, (*X.shape[:2], 1)) * np.arange(X.shape[2])
    phase = rng.uniform(0, 1, (*X.shape[:2], 1))
    return X + size * np.sin(2 * np.pi * (turns / lengths_of(X)[:, None, None] + phase))


def noise(X: Array, rng: Generator, size: float = 0.3) -> Array:
    """Noise of this size in which a point remembers half of the one before."""
    coloured = lfilter([1], [1, -0.5], rng.normal(size=X.shape), axis=2)
    return X + size * np.sqrt(1 - 0.5**2) * coloured


def resampling(X: Array, rng: Generator, pace: float = 0.9, every: int = 3) -> Array:
    """A clock that runs at nine tenths of the pace, and every third sample only: straight lines
    between them."""
    made = X.copy()
    for row, length in zip(made, lengths_of(X), strict=True):
        at = np.arange(0, length, every)
        for channel in row:
            seen = np.interp(pace * at, np.arange(length), channel[:length])
            channel[:length] = np.interp(np.arange(length), at, seen)
    return made


def everything(X: Array, rng: Generator) -> Array:
    """All of it, in the order in which a signal meets it."""
    for shift in (resampling, gain, drift, noise):
        X = shift(X, rng)
    return X


SHIFTS: dict[str, Callable[[Array, Generator], Array]] = {
    "as it is": lambda X, rng: X,
    "gain": gain,
    "drift": drift,
    "noise": noise,
    "resampling": resampling,
    "all": everything,
}


def instrument(own: Array, others: Array, count: int, rng: Generator) -> Array:
    """The control: duplicates, each seen by an instrument drawn at random, up to as far from the
    own one as those of the test."""
    made = random(own, others, count, rng)
    for at in range(count):
        row = resampling(made[at : at + 1], rng, pace=rng.uniform(0.9, 1.1), every=1)
        row = gain(row, rng, spread=rng.uniform(0, 0.4))
        row = drift(row, rng, size=rng.uniform(0, 0.5))
        made[at] = noise(row, rng, size=rng.uniform(0, 0.3))[0]
    return made


def probabilities(
    learner: str, fold: Fold, X: Array, y: Array, X_test: Array, weights: Array | None = None
) -> Array:
    """Train once and ask about the test rows through every instrument: (test rows, instruments
    times classes)."""
    rng = np.random.default_rng(fold.seed)
    asked = np.concatenate([shift(X_test, rng).astype(np.float32) for shift in SHIFTS.values()])
    chance = signal_learners.probabilities(learner, fold, X, y, asked, weights)
    return np.stack(np.split(chance, len(SHIFTS)), axis=1).reshape(len(X_test), -1)
