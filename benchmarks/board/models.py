"""The six models of each domain, fitted on rows as the set has them, and what attacks each of them.

Four are scikit-learn's; the net is trained twice, on clean rows and on moved ones.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from torch import nn

from advaug.attacks import APGD, Attack, AutoAttack, DeepFool, Greedy, LeafSearch, Square
from advaug.models.sklearn_to_torch import sklearn_to_torch
from advaug.models.training import Training
from advaug.robust import AdversarialClassifier
from benchmarks.oversampling.data import columns_of
from benchmarks.oversampling.sequences import GRAMS, texts_of, tfidf, unit_of

SEED = 0
STEPS, BATCH = 200, 128  # of a net's training
RADII = {"tabular": 0.3, "signal": 0.3, "sequence": 2.0}  # deviations, deviations, edits
TREES = ("random forest", "boosting")
NETS = {  # what moves the rows that a net is trained on; greedy edits would take minutes
    "net": {"attack": "noise", "clean_weight": 1.0},
    "robust net": {"attack": "auto"},
}
LEARNERS: dict[str, Callable[[], Any]] = {
    "logistic regression": lambda: LogisticRegression(max_iter=1000, class_weight="balanced"),
    "nearest neighbours": lambda: KNeighborsClassifier(5),
    "random forest": lambda: RandomForestClassifier(
        30, class_weight="balanced", n_jobs=1, random_state=SEED
    ),
    "boosting": lambda: HistGradientBoostingClassifier(
        max_iter=40, early_stopping=False, class_weight="balanced", random_state=SEED
    ),
}
MODELS = (*LEARNERS, *NETS)


def fitted(name: str, domain: str, X: Any, y: np.ndarray) -> Any:
    """A model of this name, fitted on rows of a domain."""
    if name in NETS:
        settings = dict(NETS[name])
        if domain == "sequence":
            settings["attack"] = "noise"
        epochs = max(STEPS * BATCH // len(y), 5)
        return AdversarialClassifier(
            radius=RADII[domain],
            training=Training(epochs=epochs),
            class_weight="balanced",
            random_state=SEED,
            **settings,
        ).fit(X, y)
    return make_pipeline(*features_of(name, domain, X), LEARNERS[name]()).fit(X, y)


def features_of(name: str, domain: str, X: Any) -> list[Any]:
    """The steps before a learner: one of them for each kind of rows."""
    if domain == "signal":
        return [FunctionTransformer(flattened), StandardScaler()]
    if domain == "sequence":
        unit = unit_of(X)
        hashed = HashingVectorizer(**GRAMS[unit], n_features=256, alternate_sign=False)
        made = [hashed, FunctionTransformer(dense)] if name == "boosting" else [tfidf(unit)]
        return [FunctionTransformer(texts_of), *made]
    if is_plain(X):  # Trees are read, and certified, on the columns as they are.
        return [] if name in TREES else [StandardScaler()]
    return [columns_of(X)]


def flattened(X: Any) -> np.ndarray:
    """Signals (rows, channels, time) as (rows, columns)."""
    return np.asarray(X).reshape(len(X), -1)


def dense(X: Any) -> np.ndarray:
    return X.toarray()


def is_plain(X: Any) -> bool:
    """Whether all columns of a table are numbers, and none is missing."""
    return all(kind.kind in "fiu" for kind in X.dtypes) and not X.isna().to_numpy().any()


def attacked(model: Any, domain: str) -> Any:
    """What an attack gets: the model, or of flattened signals a net that answers alike."""
    if domain != "signal" or isinstance(model, AdversarialClassifier):
        return model
    net = sklearn_to_torch(model[1:])
    return model if net is None else nn.Sequential(nn.Flatten(), net)


def attacks_on(name: str, domain: str, X: Any) -> list[Attack]:
    """All attacks of a board's cell; a row counts as wrong if one of them succeeds."""
    if domain == "sequence":
        return [Greedy()]
    found: list[Attack] = [AutoAttack(attacks=(APGD(steps=30), DeepFool(), Square(steps=60)))]
    if name in TREES and domain == "tabular" and is_plain(X):
        found.append(LeafSearch())
    return found
