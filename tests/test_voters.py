"""Models of scikit-learn that vote: the same answers as scikit-learn's own, at less cost."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from advaug.sampling.balanced_boosting import BalancedBoosting

SETTINGS = {
    **{"max_iter": 15, "max_bins": 64, "class_weight": "balanced", "max_features": 0.6},
    **{"max_leaf_nodes": 15, "min_samples_leaf": 5, "early_stopping": False, "random_state": 3},
}


def tables():
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(700, 6)).astype(np.float32)
    yield "normal", normal, (normal[:, 0] + rng.normal(size=700) > 1).astype(int)
    rounded = np.round(normal, 1)
    rounded[:, 0] = rng.integers(0, 40, 700)
    yield "few distinct values", rounded, rng.integers(0, 5, 700)
    yield "half of the rows at 0", np.where(normal < 0, 0, normal), np.arange(700) % 3
    yield "equal weights", normal.clip(-1, 1), np.arange(700) % 2
    yield "few rows", normal[:40], (np.arange(40) < 9).astype(int)


@pytest.mark.parametrize(("name", "X", "y"), tables())
def test_balanced_boosting_answers_as_scikit_learns_own(name, X, y):
    new = np.concatenate([X, np.random.default_rng(1).normal(size=(900, 6)).round(2)])
    own = BalancedBoosting(**SETTINGS).fit(X, y)
    theirs = HistGradientBoostingClassifier(**SETTINGS).fit(X, y)
    np.testing.assert_array_equal(own.predict_proba(new), theirs.predict_proba(new))
