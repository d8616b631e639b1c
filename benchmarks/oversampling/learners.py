"""Six learners of different kinds, each at sensible settings that nobody tuned on these sets."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import has_fit_parameter

UPDATES = 500  # of the MLP: the same for all, or growing would win merely by more steps an epoch
BATCH = 200


def mlp(seed: int, rows: int) -> MLPClassifier:
    epochs = max(1, round(UPDATES * min(BATCH, rows) / rows))
    return MLPClassifier(
        (32,), alpha=0.1, learning_rate_init=5e-3, max_iter=epochs, random_state=seed
    )


LEARNERS: dict[str, Callable[[int, int], Any]] = {
    "logistic": lambda seed, rows: LogisticRegression(max_iter=300, random_state=seed),
    "knn": lambda seed, rows: KNeighborsClassifier(5),
    "tree": lambda seed, rows: DecisionTreeClassifier(min_samples_leaf=2, random_state=seed),
    "forest": lambda seed, rows: RandomForestClassifier(100, n_jobs=1, random_state=seed),
    "mlp": mlp,
    "boosting": lambda seed, rows: HistGradientBoostingClassifier(random_state=seed),
}


def probabilities(
    learner: str, seed: int, X: np.ndarray, y: np.ndarray, X_test: np.ndarray, *, weighs: bool
) -> np.ndarray:
    """Train and ask: (test rows, classes). `weighs` balances the classes by weights (not kNN)."""
    model, weights = LEARNERS[learner](seed, len(X)), {}
    if learner == "knn" and len(X) < 5:
        model.set_params(n_neighbors=len(X))
    if weighs and has_fit_parameter(model, "sample_weight"):
        weights = {"sample_weight": compute_sample_weight("balanced", y)}
    return model.fit(X, y, **weights).predict_proba(X_test)
