"""Model families of scikit-learn for the judge's panel, on coded rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from advaug.validity.jury import Family, Probability, nets

FARTHEST = 8.0  # robust standard deviations at which coded numbers are cut


def fitted(model: Any, x: Tensor, y: Tensor, n_classes: int) -> Probability:
    """A classifier trained on coded rows, asked in tensors; a class it has not seen gets 0."""
    model.fit(cut(x), y.numpy())

    def probability(rows: Tensor) -> Tensor:
        found = np.zeros((len(rows), n_classes), np.float32)
        found[:, model.classes_] = model.predict_proba(cut(rows))
        return torch.from_numpy(found)

    return probability


def cut(x: Tensor) -> np.ndarray[Any, Any]:
    return np.asarray(x.clamp(-FARTHEST, FARTHEST).numpy())


def seed_of(generator: torch.Generator) -> int:
    return int(torch.randint(2**31, (), generator=generator))


def trees(x: Tensor, y: Tensor, n_classes: int, generator: torch.Generator) -> Probability:
    """A random forest of grown but not single-row leaves."""
    model = RandomForestClassifier(
        100,
        min_samples_leaf=5,
        max_features=0.3,
        class_weight="balanced",
        random_state=seed_of(generator),
    )
    return fitted(model, x, y, n_classes)


def boosting(x: Tensor, y: Tensor, n_classes: int, generator: torch.Generator) -> Probability:
    """Gradient boosting on histograms."""
    model = HistGradientBoostingClassifier(
        max_iter=60, class_weight="balanced", random_state=seed_of(generator)
    )
    return fitted(model, x, y, n_classes)


def logistic(x: Tensor, y: Tensor, n_classes: int, generator: torch.Generator) -> Probability:
    """Regularised logistic regression."""
    model = LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000)
    return fitted(make_pipeline(StandardScaler(), model), x, y, n_classes)


PANEL: Mapping[str, Family] = {
    "nets": nets,
    "trees": trees,
    "boosting": boosting,
    "logistic": logistic,
}
