"""What there is to know of a set of signals: classifiers of all kinds, weighted out of fold.

No learner can be expected to rank better than this stack: the room that new rows can fill is what
lies between the learners and it.
"""

from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import StratifiedKFold

from benchmarks.oversampling.samplers import Fold
from benchmarks.oversampling.signal_learners import LEARNERS, Learner, stretched
from benchmarks.oversampling.signals import lengths_of

INNER, PULL = 3, 10.0  # folds; how strongly weights are held to the mean, in rows


def spectrum(
    seed: int, X: np.ndarray, y: np.ndarray, X_test: np.ndarray, weights: np.ndarray | None
) -> np.ndarray:
    """Extra trees on each channel's logarithmic power spectrum and autocorrelation."""
    points = int(np.median(lengths_of(X)))
    features, asked = (frequencies(rows, points) for rows in (X, X_test))
    model = ExtraTreesClassifier(400, n_jobs=1, random_state=seed)
    return model.fit(features, y, sample_weight=weights).predict_proba(asked)


def frequencies(X: np.ndarray, points: int) -> np.ndarray:
    rows = stretched(X, np.full(len(X), points))
    rows = rows - rows.mean(2, keepdims=True)
    power = np.abs(np.fft.rfft(rows, 2 * points, axis=2)) ** 2
    kinship = np.fft.irfft(power, axis=2)[:, :, : points // 2]
    kinship = kinship / np.maximum(kinship[:, :, :1], 1e-8)
    return np.concatenate([np.log(power + 1e-6), kinship], axis=2).reshape(len(X), -1)


MEMBERS: dict[str, Learner] = {**LEARNERS, "spectrum": spectrum}


def stack(fold: Fold, X_test: Any) -> np.ndarray:
    """The members and the library's committee as one classifier: (test rows, classes)."""
    from advaug import CommitteeClassifier
    from advaug.models.stacking import learn_map, log_probability, mapped

    committee = CommitteeClassifier(random_state=fold.seed).fit(fold.X, fold.y)
    matrix, y, asked = fold.matrix, fold.y, fold.encode(X_test)
    held_out = [np.zeros((len(y), y.max() + 1)) for _ in MEMBERS]
    for train, test in StratifiedKFold(INNER, shuffle=True, random_state=0).split(matrix, y):
        for place, member in zip(held_out, MEMBERS.values(), strict=True):
            place[test] = member(fold.seed, matrix[train], y[train], matrix[test], None)
    known = np.stack([log_probability(p) for p in (*held_out, committee.held_out_probability_)])
    start = np.zeros((len(known) + 1, known.shape[2]))
    start[:-1] = 1 / len(known)
    slope, bias = learn_map(known, y, start, PULL)
    told = [member(fold.seed, matrix, y, asked, None) for member in MEMBERS.values()]
    told.append(committee.predict_proba(X_test))
    return mapped(np.stack([log_probability(p) for p in told]), slope, bias)
