"""Learners of signals: 1-NN under dynamic time warping, random convolutions, a forest on features.

Unequal lengths: warping compares rows as long as they are, the convolutions stretch each row to
the training fold's median length, the features are taken over each row's own points.
"""

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np
from scipy.special import expit
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.oversampling.samplers import Fold
from benchmarks.oversampling.signals import lengths_of

MOST_POINTS = 100  # that warping looks at: longer rows are shortened
BAND = 0.1  # of the length, where all rows are equally long (Sakoe, Chiba 1978)
CELLS = 20_000  # pairs of rows warped at once: they stay in the cache
Learner = Callable[..., np.ndarray]  # (seed, X, y, X_test, weights) -> (test rows, classes)
LOOKS = 12  # dilations and channel mixes of the convolutions
BANDS = 8  # of the spectrum


def stretched(X: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Each row on as many points as it shall have, by straight lines; the rest is NaN."""
    made = np.full((*X.shape[:2], lengths.max()), np.nan, np.float32)
    for row, new, before, after in zip(X, made, lengths_of(X), lengths, strict=True):
        clock = np.linspace(0, before - 1, after)
        for channel, place in zip(row, new, strict=True):
            place[:after] = np.interp(clock, np.arange(before), channel[:before])
    return made


def warping_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Dynamic time warping of all pairs, squared differences summed over channels."""
    ends_a, ends_b = lengths_of(a) - 1, lengths_of(b) - 1
    is_equal = np.ptp(np.concatenate([ends_a, ends_b])) == 0
    width = int(np.ceil(BAND * a.shape[2])) if is_equal else max(a.shape[2], b.shape[2])
    a, b = (np.ascontiguousarray(np.nan_to_num(x).transpose(2, 1, 0)) for x in (a, b))
    found = np.zeros((a.shape[2], b.shape[2]), np.float32)
    before = np.full((len(b) + 1, *found.shape), np.inf, np.float32)
    now, before[0] = before.copy(), 0
    for i, channels in enumerate(a):
        low, high = max(0, i - width), min(len(b), i + width + 1)
        now[low] = np.inf
        for j in range(low, high):
            cell = now[j + 1]
            np.minimum(before[j], before[j + 1], out=cell)
            np.minimum(cell, now[j], out=cell)
            for own, other in zip(channels, b[j], strict=True):
                gap = np.subtract.outer(own, other)
                gap *= gap
                cell += gap
        for row in np.flatnonzero(ends_a == i):
            found[row] = now[ends_b + 1, row, np.arange(len(ends_b))]
        before, now = now, before
    return found


def nearest_neighbour(
    seed: int, X: np.ndarray, y: np.ndarray, X_test: np.ndarray, weights: None
) -> np.ndarray:
    """1-NN: a class's probability falls with the distance to its nearest row."""
    longest = max(lengths_of(X).max(), lengths_of(X_test).max())
    share = min(1.0, MOST_POINTS / longest)
    X, X_test = (stretched(x, np.ceil(share * lengths_of(x)).astype(int)) for x in (X, X_test))
    step = max(1, CELLS // len(X))
    parts = [warping_distances(X_test[at : at + step], X) for at in range(0, len(X_test), step)]
    distance = np.sqrt(np.concatenate(parts))
    near = np.stack([distance[:, y == label].min(1) for label in range(y.max() + 1)], axis=1)
    closeness = 1 / (near + 1e-6)
    return closeness / closeness.sum(1, keepdims=True)


def convolved(X: np.ndarray, dilation: int, mix: np.ndarray) -> Iterator[np.ndarray]:
    """A sum of channels under each of the 84 kernels of three weights 2 and six weights -1."""
    signal = np.pad(X[:, mix].sum(1), ((0, 0), (4 * dilation, 4 * dilation)))
    shifts = [signal[:, k * dilation : k * dilation + X.shape[2]] for k in range(9)]
    rest = -np.sum(shifts, axis=0)
    for i, j, k in combinations(range(9), 3):
        yield rest + 3 * (shifts[i] + shifts[j] + shifts[k])


def convolution_features(
    X: np.ndarray, X_test: np.ndarray, rng: np.random.Generator
) -> list[np.ndarray]:
    """Shares of points above a bias, for 84 kernels, dilations and random sums of channels (after
    Dempster, Schmidt, Webb. MiniRocket. KDD 2021); two biases each are quantiles of what a kernel
    gives on a random training row."""
    points = int(np.median(lengths_of(X)))
    X, X_test = (stretched(x, np.full(len(x), points)) for x in (X, X_test))
    highest = max(0, int(np.log2(max(1, (points - 1) / 8))))
    shares: list[list[np.ndarray]] = [[], []]
    for k in range(LOOKS):
        mix = np.flatnonzero(rng.permutation(X.shape[1]) < 1 + k % X.shape[1])
        look = 2 ** (k % (highest + 1)), mix
        sample = X[rng.integers(len(X), size=1)]
        biases = [np.quantile(v, rng.uniform(0.1, 0.9, 2)) for v in convolved(sample, *look)]
        for part, rows in zip(shares, (X, X_test), strict=True):
            for values, pair in zip(convolved(rows, *look), biases, strict=True):
                part += [np.count_nonzero(values > bias, axis=1) / points for bias in pair]
    return [np.stack(part, axis=1) for part in shares]


def convolutions(
    seed: int, X: np.ndarray, y: np.ndarray, X_test: np.ndarray, weights: np.ndarray | None
) -> np.ndarray:
    """A ridge on the convolutions' features."""
    features, asked = convolution_features(X, X_test, np.random.default_rng(seed))
    return ridge(features, y, asked, weights)


def ridge(
    features: np.ndarray, y: np.ndarray, asked: np.ndarray, weights: np.ndarray | None
) -> np.ndarray:
    """Probabilities by a ridge, whose decision is passed through a sigmoid."""
    model = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-1, 4, 10)))
    model.fit(features, y, ridgeclassifiercv__sample_weight=weights)
    decision = model.decision_function(asked)
    if decision.ndim == 1:
        decision = np.stack([-decision, decision], axis=1)
    chance = expit(2 * decision)
    return chance / chance.sum(1, keepdims=True)


def features_of(X: np.ndarray, points: int) -> np.ndarray:
    """Length; per channel moments, quantiles, slope, roughness and spectral bands; correlations
    between channels."""
    lengths = lengths_of(X)
    clock = np.where(np.isnan(X[:, 0]), np.nan, np.arange(X.shape[2]))
    clock = (clock - np.nanmean(clock, 1, keepdims=True))[:, None]
    centred = X - np.nanmean(X, 2, keepdims=True)
    slope = np.nansum(clock * centred, 2) / np.maximum(np.nansum(clock**2, 2), 1e-8)
    quantiles = np.nanquantile(X, [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1], axis=2)
    steps = np.nanmean(np.abs(np.diff(X, axis=2)), 2)
    power = np.abs(np.fft.rfft(stretched(centred, np.full(len(X), points)), axis=2)) ** 2
    bands = [band.sum(2) for band in np.array_split(power, min(BANDS, power.shape[2]), axis=2)]
    scaled = np.nan_to_num(centred / (np.nanstd(X, 2, keepdims=True) + 1e-8))
    kinship = np.einsum("nct,ndt->ncd", scaled, scaled) / lengths[:, None, None]
    upper = np.triu_indices(X.shape[1], 1)
    each = [
        np.nanmean(X, 2),
        np.nanstd(X, 2),
        slope,
        steps,
        *quantiles,
        *np.log(np.stack(bands) + 1e-6),
    ]
    return np.column_stack([lengths, *each, kinship[:, upper[0], upper[1]]])


def forest(
    seed: int, X: np.ndarray, y: np.ndarray, X_test: np.ndarray, weights: np.ndarray | None
) -> np.ndarray:
    """A random forest on simple features."""
    points = int(np.median(lengths_of(X)))
    features, asked = features_of(X, points), features_of(X_test, points)
    model = RandomForestClassifier(200, n_jobs=1, random_state=seed)
    return model.fit(features, y, sample_weight=weights).predict_proba(asked)


def multirocket_hydra(
    seed: int, X: np.ndarray, y: np.ndarray, X_test: np.ndarray, weights: np.ndarray | None
) -> np.ndarray:
    """A ridge on the features of MultiRocket and Hydra, both of aeon (Tan, Dempster, Bergmeir,
    Webb. DMKD 2022; Dempster, Schmidt, Webb. DMKD 2023)."""
    from aeon.transformations.collection.convolution_based import HydraTransformer, MultiRocket

    points = max(int(np.median(lengths_of(X))), 10)
    X, X_test = (stretched(x, np.full(len(x), points)) for x in (X, X_test))
    parts: list[list[np.ndarray]] = [[], []]
    for transformer in (MultiRocket(random_state=seed), HydraTransformer(random_state=seed)):
        transformer.fit(X, y)
        for part, rows in zip(parts, (X, X_test), strict=True):
            part.append(np.asarray(transformer.transform(rows), float))
    features, asked = (np.concatenate(part, axis=1) for part in parts)
    is_used = features.std(0) > 1e-8
    return ridge(features[:, is_used], y, asked[:, is_used], weights)


LEARNERS: dict[str, Learner] = {
    "1-nn dtw": nearest_neighbour,
    "convolutions": convolutions,
    "forest": forest,
    "multirocket hydra": multirocket_hydra,
}
QUICK = ("1-nn dtw", "convolutions", "forest")  # those that need no other package
TAKES_NO_WEIGHTS = ("1-nn dtw",)


def probabilities(
    learner: str,
    fold: Fold,
    X: np.ndarray,
    y: np.ndarray,
    X_test: np.ndarray,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Train and ask: (test rows, classes). `TAKES_NO_WEIGHTS` pays no heed to weights."""
    return LEARNERS[learner](fold.seed, X, y, X_test, weights)
