"""Six learners of different kinds, each at sensible settings that nobody tuned on these sets; and
two that are tuned on each training fold.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.validation import has_fit_parameter

from benchmarks.oversampling.samplers import Fold

UPDATES = 500  # of the MLP: the same for all, or growing would win merely by more steps an epoch
BATCH = 200
INNER_FOLDS = 3


class FixedUpdatesMLP(MLPClassifier):
    """A net that is updated as often whatever the number of rows."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        epochs = max(1, round(UPDATES * min(BATCH, len(X)) / len(X)))
        self.set_params(max_iter=epochs)
        return super().fit(X, y, sample_weight)


def smallest_leaf(n: int) -> int:
    """Rows of a booster's leaf: 20, its default, cannot split 30 rows."""
    return min(20, max(1, n // 10))


# From a seed and the number of real training rows.
LEARNERS: dict[str, Callable[[int, int], Any]] = {
    "logistic": lambda seed, n: LogisticRegression(max_iter=300, random_state=seed),
    "knn": lambda seed, n: KNeighborsClassifier(min(5, n)),
    "tree": lambda seed, n: DecisionTreeClassifier(min_samples_leaf=2, random_state=seed),
    "forest": lambda seed, n: RandomForestClassifier(100, n_jobs=1, random_state=seed),
    "mlp": lambda seed, n: FixedUpdatesMLP(
        (32,), alpha=0.1, learning_rate_init=5e-3, random_state=seed
    ),
    "boosting": lambda seed, n: HistGradientBoostingClassifier(
        min_samples_leaf=smallest_leaf(n), random_state=seed
    ),
}
# The learner that is tuned, and its grid.
TUNED: dict[str, tuple[str, dict[str, list[Any]]]] = {
    "tuned_boosting": ("boosting", {"learning_rate": [0.03, 0.1], "max_leaf_nodes": [4, 31]}),
    "tuned_logistic": ("logistic", {"C": [0.01, 0.1, 1.0, 10.0]}),
}


def model_of(learner: str, fold: Fold, n: int | None = None) -> Any:
    """A learner that has not been fitted. n: how many real rows it gets, if not all of the fold."""
    n = len(fold.y) if n is None else min(n, len(fold.y))
    name, _ = TUNED.get(learner, (learner, None))
    model = LEARNERS[name](fold.seed, n)
    return model.set_params(**best_settings(learner, fold)) if learner in TUNED else model


@lru_cache(maxsize=len(TUNED))
def best_settings(learner: str, fold: Fold) -> dict[str, Any]:
    """The settings of the highest average precision in an inner split of the fold's real rows.

    All methods share them: copies of a row would stand on both sides of a split of grown rows.
    """
    name, grid = TUNED[learner]
    folds = max(2, min(INNER_FOLDS, int(np.bincount(fold.y).min())))
    split = StratifiedKFold(folds, shuffle=True, random_state=fold.seed)
    model = LEARNERS[name](fold.seed, len(fold.y))
    search = GridSearchCV(model, grid, scoring="average_precision", cv=split, refit=False)
    return search.fit(fold.matrix, fold.y).best_params_


def probabilities(
    learner: str,
    fold: Fold,
    X: np.ndarray,
    y: np.ndarray,
    X_test: np.ndarray,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Train and ask: (test rows, classes). The nearest neighbours take no weights."""
    model, given = model_of(learner, fold, len(X)), {}
    if weights is not None and has_fit_parameter(model, "sample_weight"):
        given = {"sample_weight": weights}
    return model.fit(X, y, **given).predict_proba(X_test)
