"""Signals that are padded with a constant are warned of at fit; others are not."""

import warnings

import numpy as np
import pytest

from advaug.adapters import SignalAdapter
from advaug.datasets import load_ecg_beats

TIME = np.arange(120)


def noise(channels=2, n=40):
    return np.random.default_rng(0).normal(size=(n, channels, len(TIME)))


def cut(X, filler, lengths=None):
    """X with a constant from a random time on, another one for each signal."""
    lengths = np.random.default_rng(1).integers(60, 120, len(X)) if lengths is None else lengths
    return np.where(np.arange(X.shape[2]) < lengths[:, None, None], X, filler)


def phases(n=40):
    return np.random.default_rng(2).uniform(0, 6, (n, 1, 1))


PADDED = {
    "zeros": (
        cut(noise(), 0.0),
        "samples that are 0 in all channels.*Pass a list of arrays.*or put NaN",
    ),
    "zeros, one channel": (cut(noise(1), 0.0), "are 0 in all channels"),
    "a code": (cut(noise(), -999.0), "are -999 in all channels"),
    "scaled afterwards": (cut(noise(), 0.0) * [[2.0], [3.0]] + [[1.0], [2.0]], "are constant in"),
    "whole numbers": (np.rint(cut(100 * noise(), 0)).astype(np.int16), "are 0 in all channels"),
    "three in five": (
        cut(noise(), 0.0, np.where(np.arange(40) % 5 < 3, 60 + np.arange(40), 120)),
        "^24 of 40 signals end in 23 to 60 samples",
    ),
}
ONE_CLOCK = np.full(40, 90)
UNPADDED = {
    "noise": noise(),
    "the beats that ship": load_ecg_beats()[0],
    "missing ends": cut(noise(), np.nan),
    "whole numbers that rest": np.rint(2 * np.sin(TIME / 9 + phases())),
    "square waves": np.sign(np.sin(TIME / 9 + phases())),
    "events": (np.random.default_rng(3).random((40, 1, 120)) < 0.03).astype(float),
    "one length": cut(noise(), 0.0, ONE_CLOCK),
    "two in five": cut(noise(), 0.0, np.where(np.arange(40) % 5 < 2, 60 + np.arange(40), 120)),
    "one channel of two": np.concatenate([noise(1), cut(noise(1), 0.0)], 1),
    "dead signals": noise() * (np.arange(40) % 2)[:, None, None],
    "short signals": np.zeros((40, 1, 3)) + np.arange(40)[:, None, None],
    "each at its own level": cut(noise(), phases()),
}


@pytest.mark.parametrize("name", PADDED)
def test_ends_of_one_constant_are_warned_of(name):
    X, message = PADDED[name]
    with pytest.warns(UserWarning, match=message):
        SignalAdapter().fit(X)


@pytest.mark.parametrize("name", UNPADDED)
def test_other_signals_are_not_warned_of(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SignalAdapter().fit(UNPADDED[name])


def test_nan_and_a_list_end_a_signal_alike():
    padded = cut(noise(), np.nan, np.linspace(60, 120, 40).astype(int))
    signals = [row[:, ~np.isnan(row[0])] for row in padded]
    one, other = SignalAdapter().fit(padded), SignalAdapter().fit(signals)
    assert np.array_equal(one.scale, other.scale)
    assert one.encode(padded).equal(other.encode(signals))
