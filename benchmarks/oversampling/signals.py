"""Signals: their scale, and over-samplers that rival the library's, each written from its paper.

A row is (channels, time), standardised by channel and padded with NaN at the end to the longest
row of the training fold. New rows are as long as the row they come from.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.sparse.csgraph import connected_components
from sklearn.covariance import ledoit_wolf_shrinkage

from benchmarks.oversampling.rivals import nearest
from benchmarks.oversampling.samplers import Sampler, by_rule

Array, Generator = np.ndarray, np.random.Generator


def lengths_of(X: Array) -> Array:
    """Points of each row before its padding."""
    return X.shape[2] - np.isnan(X[:, 0, ::-1]).cumprod(1).sum(1).astype(int)


def padded(rows: Any) -> Array:
    """Rows of unequal length as one array (rows, channels, time)."""
    if isinstance(rows, np.ndarray):
        return rows.astype(np.float32)
    made = np.full((len(rows), len(rows[0]), max(x.shape[1] for x in rows)), np.nan, np.float32)
    for place, row in zip(made, rows, strict=True):
        place[:, : row.shape[1]] = row
    return made


def filled(X: Array) -> Array:
    """The padding replaced by each channel's last value."""
    last = np.minimum(np.arange(X.shape[2]), lengths_of(X)[:, None] - 1)
    return np.take_along_axis(X, last[:, None, :], axis=2)


def encoder_of(rows: Any) -> Callable[[Any], Array]:
    """Learn each channel's mean and scale from a training fold; return the map to an array."""
    X = padded(rows)
    mean = np.nanmean(X, axis=(0, 2), keepdims=True)
    scale = np.nanstd(X, axis=(0, 2), keepdims=True) + 1e-8
    width = X.shape[2]

    def encode(rows: Any) -> Array:
        new = padded(rows)
        gap = max(0, width - new.shape[2])
        return np.pad((new - mean) / scale, ((0, 0), (0, 0), (0, gap)), constant_values=np.nan)

    return encode


def facts(X: Any) -> dict[str, int]:
    """What the report tells of a set's rows."""
    X = padded(X)
    return {"channels": X.shape[1], "shortest": lengths_of(X).min(), "longest": X.shape[2]}


def random(own: Array, others: Array, count: int, rng: Generator) -> Array:
    """Duplicates."""
    return own[rng.integers(len(own), size=count)]


def jitter(own: Array, others: Array, count: int, rng: Generator, noise: float = 0.05) -> Array:
    """Duplicates with white noise of .05 of a channel's scale (Um et al. Data augmentation of
    wearable sensor data for Parkinson's disease monitoring. ICMI 2017)."""
    rows = random(own, others, count, rng)
    return rows + noise * rng.normal(size=rows.shape).astype(np.float32)


def smote(own: Array, others: Array, count: int, rng: Generator) -> Array:
    """SMOTE on flattened rows, the padding filled by the last value."""
    flat = filled(own)
    neighbors = nearest(flat.reshape(len(own), -1), flat.reshape(len(own), -1), 6)
    at, step = rng.integers(len(own), size=count), rng.uniform(size=(count, 1, 1))
    choice = rng.integers(min(1, neighbors.shape[1] - 1), neighbors.shape[1], size=count)
    made = own[at] + step * (flat[neighbors[at, choice]] - flat[at])
    return made.astype(np.float32)


def smooth_curves(rng: Generator, count: int, points: int, spread: float, knots: int = 4) -> Array:
    """Cubic splines around 1 through knots with this spread: (count, points)."""
    at = np.linspace(0, points - 1, knots + 2)
    return CubicSpline(at, rng.normal(1, spread, (knots + 2, count)))(np.arange(points)).T


def time_warp(own: Array, others: Array, count: int, rng: Generator, spread: float = 0.2) -> Array:
    """Duplicates whose time runs at a smoothly changing, always positive speed and ends where it
    ended (Um et al. ICMI 2017: four knots, spread .2)."""
    made = random(own, others, count, rng).copy()
    speed = np.maximum(smooth_curves(rng, count, made.shape[2], spread), 0.05)
    for row, pace, length in zip(made, speed, lengths_of(made), strict=True):
        clock = np.cumsum(pace[:length]) - pace[0]
        clock *= (length - 1) / max(clock[-1], 1e-8)
        for channel in row:
            channel[:length] = np.interp(clock, np.arange(length), channel[:length])
    return made


def unpadded(row: Array) -> Array:
    """A row on its own points, in double precision."""
    return np.ascontiguousarray(row[:, ~np.isnan(row[0])], dtype=float)


def on_points(row: Array, clock: Array, points: int) -> Array:
    """The row's values at these times, spread evenly over so many points."""
    at = np.interp(np.linspace(0, len(clock) - 1, points), np.arange(len(clock)), clock)
    return np.stack([np.interp(at, np.arange(len(channel)), channel) for channel in row])


def aligned_clock(row: Array, guide: Array) -> Array:
    """The row's times along the path that aligns it with the guide by dynamic time warping."""
    from aeon.distances import dtw_alignment_path

    path, _ = dtw_alignment_path(guide, row)
    return np.array([time for _, time in path], float)


def random_guided_warp(own: Array, others: Array, count: int, rng: Generator) -> Array:
    """Rows that run at the pace of another row of the class, which dynamic time warping finds
    (Iwana, Uchida. Time series data augmentation for neural networks by time warping with a
    discriminative teacher. ICPR 2020)."""
    made = random(own, others, count, rng).copy()
    for row in made:
        source, guide = unpadded(row), unpadded(own[rng.integers(len(own))])
        points = source.shape[1]
        row[:, :points] = on_points(source, aligned_clock(source, guide), points)
    return made


def teacher_of(own: Array, others: Array, rng: Generator, few: int = 3) -> Array:
    """Of a few rows of the class the one that is farthest from rows of other classes, less its
    distance to rows of its own."""
    from aeon.distances import dtw_distance

    def drawn(rows: Array) -> list[Array]:
        return [unpadded(rows[i]) for i in rng.permutation(len(rows))[:few]]

    kin, strange = drawn(own), drawn(others)
    to_kin = [sum(dtw_distance(a, b) for b in kin) / max(len(kin) - 1, 1) for a in kin]
    to_strange = [np.mean([dtw_distance(a, b) for b in strange]) for a in kin]
    return kin[int(np.argmax(np.subtract(to_strange, to_kin)))]


def guided_warp(own: Array, others: Array, count: int, rng: Generator) -> Array:
    """As `random_guided_warp`, but the guide is one that tells the classes apart, and of rows that
    were warped little up to a tenth is cut off (Iwana, Uchida. ICPR 2020)."""
    made = random(own, others, count, rng).copy()
    sources = [unpadded(row) for row in made]
    clocks = [aligned_clock(row, teacher_of(own, others, rng)) for row in sources]
    moved = []
    for clock in clocks:
        even = np.linspace(0, clock[-1], len(clock))
        moved.append(np.abs(clock - even).mean())
    for row, source, clock, warped in zip(made, sources, clocks, moved, strict=True):
        kept = max(2, round(len(clock) * (0.9 + 0.1 * warped / max(*moved, 1e-8))))
        start = rng.integers(len(clock) - kept + 1)
        points = source.shape[1]
        row[:, :points] = on_points(source, clock[start : start + kept], points)
    return made


def shared_neighbor_clusters(x: Array, ratio: float = 0.9) -> Array:
    """A cluster's number for each row, -1 for noise: rows whose density, by neighbors that they
    share, is at least `ratio` of their neighbors' are cores, linked where one is near the other
    (DRSNN, at the neighbors that Zhu et al. 2022 advise)."""
    n = len(x)
    k, kappa = min(n - 1, int(np.ceil(1.25 * n**0.5))), min(n - 1, int(np.ceil(n**0.5)))
    places = nearest(x, x, k + 1)[:, 1:]
    weight = np.zeros((n, n))
    np.put_along_axis(weight, places, np.arange(places.shape[1], 0, -1.0)[None, :], axis=1)
    strength = weight @ weight.T
    np.fill_diagonal(strength, 0)
    order = np.argsort(-strength, axis=1, kind="stable")
    near = np.zeros((n, n), bool)
    np.put_along_axis(near, order[:, :k], True, axis=1)
    density = (strength * (near & near.T)).sum(1)
    around = density[order[:, :kappa]]
    is_core = density * (around > 0).sum(1) > ratio * around.sum(1)
    if not is_core.any():
        return np.zeros(n, int)
    close = np.zeros((n, n), bool)
    np.put_along_axis(close, order[:, :kappa], True, axis=1)
    linked = (close | close.T) & is_core[:, None] & is_core[None, :]
    label = connected_components(linked, directed=False)[1]
    reached = close & is_core[:, None]  # rows near a core join the first core that reaches them
    joined = np.where(reached.any(0), label[reached.argmax(0)], -1)
    return np.where(is_core, label, joined)


def shrunk_gaussian(x: Array, count: int, rng: Generator, surplus: float = 1.25) -> Array:
    """Draws from a Gaussian with the Ledoit-Wolf covariance of x; of `surplus` times as many the
    most probable are kept."""
    mean = x.mean(0)
    shrinkage = ledoit_wolf_shrinkage(x) if len(x) > 1 else 0.0
    _, size, axes = np.linalg.svd(x - mean, full_matrices=False)
    floor = shrinkage * (size**2).sum() / len(x) / x.shape[1]
    white = rng.normal(size=(int(np.ceil(surplus * count)), x.shape[1]))
    white = white[np.argsort((white**2).sum(1))[:count]]
    along = white @ axes.T
    spread = np.sqrt((1 - shrinkage) * size**2 / len(x) + floor)
    return mean + (along * (spread - np.sqrt(floor))) @ axes + np.sqrt(floor) * white


def ohit(own: Array, others: Array, count: int, rng: Generator) -> Array:
    """Gaussians with shrunk covariance over clusters of shared neighbors, noise duplicated (Zhu,
    Luo, Zhang, Li, Ren, Zeng. Minority oversampling for imbalanced time series classification.
    Knowledge-Based Systems 247, 2022)."""
    flat = filled(own).reshape(len(own), -1).astype(float)
    label = shared_neighbor_clusters(flat) if len(own) > 3 else np.zeros(len(own), int)
    at = np.concatenate([rng.permutation(len(own)) for _ in range(-(-count // len(own)))])[:count]
    made = flat[at]
    for cluster in np.unique(label[label >= 0]):
        drawn = label[at] == cluster
        made[drawn] = shrunk_gaussian(flat[label == cluster], int(drawn.sum()), rng)
    made = made.reshape(count, *own.shape[1:]).astype(np.float32)
    return np.where(np.isnan(own[at]), np.nan, made)


def esmote(own: Array, others: Array, count: int, rng: Generator) -> Array:
    """aeon's elastic SMOTE: points between rows aligned by time-warp-edit distance. One channel and
    equal lengths only; elsewhere a ValueError."""
    from aeon.transformations.collection.imbalance import ESMOTE

    if own.shape[1] > 1 or np.isnan(own).any() or len(own) < 2:
        raise ValueError("ESMOTE takes one channel, equal lengths and two rows or more")
    zeros = np.zeros((len(own) + count, *own.shape[1:]))  # aeon grows a class to the largest
    y = np.repeat([1, 0], [len(own), len(zeros)])
    sampler = ESMOTE(min(5, len(own) - 1), random_state=int(rng.integers(2**31)))
    X, _ = sampler.fit_transform(np.concatenate([own.astype(float), zeros]), y)
    return X[len(y) :].astype(np.float32)


RULES = {
    "random": random,
    "smote": smote,
    "jitter": jitter,
    "time_warp": time_warp,
    "random_guided_warp": random_guided_warp,
    "guided_warp": guided_warp,
    "ohit": ohit,
    "esmote": esmote,
}
RIVALS: dict[str, Sampler] = {name: partial(by_rule, rule) for name, rule in RULES.items()}
