"""A cell of the board: one model on one set, its accuracy on clean, noisy and attacked rows."""

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from advaug import AdversarialTransformer
from advaug.adapters import FittedAdapter, SequenceAdapter, SignalAdapter, TabularAdapter
from advaug.robust import certify
from benchmarks.board.models import RADII, SEED, attacked, attacks_on, fitted, is_plain
from benchmarks.oversampling import data

ADAPTERS = {"tabular": TabularAdapter, "signal": SignalAdapter, "sequence": SequenceAdapter}
SECONDS = 0.2  # for the certificate of a row
TRAINING_ROWS = {"tabular": 1000, "signal": 200, "sequence": 800}
TEST_ROWS = {"tabular": 40, "signal": 40, "sequence": 20}


def run_cell(folder: Path, domain: str, name: str, model_name: str) -> pd.DataFrame:
    """One line: accuracy on clean, noisy and moved rows, and certified accuracy."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # meant for users
    start = time.process_time()
    X, y, X_test, y_test = parts_of(folder, domain, name)
    model = fitted(model_name, domain, X, y)
    adapter = adapter_of(domain, X)
    is_right = np.asarray(model.predict(X_test)) == y_test
    line = {"clean": is_right.mean()}
    line["noise"] = right_after("noise", model, domain, adapter, X_test, y_test).mean()
    for attack in attacks_on(model_name, domain, X):
        is_right &= right_after(attack, model, domain, adapter, X_test, y_test)
    line |= {"attack": is_right.mean(), "certificate": np.nan}
    if domain == "tabular" and is_plain(X):
        line["certificate"] = certified(model, X_test, y_test, adapter)
    line |= {"rows": len(y_test), "seconds": time.process_time() - start}
    facts = {"domain": domain, "set": name, "model": model_name}
    return pd.DataFrame([facts | line])


def parts_of(folder: Path, domain: str, name: str) -> tuple[Any, np.ndarray, Any, np.ndarray]:
    """Training and test rows; as many test rows of each class as there are, up to a limit."""
    task = "multiclass" if domain != "tabular" else "binary"
    table = data.load(folder, name, task, domain)
    train, test = next(data.folds_of(table, SEED, 3))
    train = data.cut(train, table.y[train], TRAINING_ROWS[domain], SEED, least=10)
    test = even(test, table.y[test], TEST_ROWS[domain])
    parts = (data.take(table.X, train), table.y[train], data.take(table.X, test), table.y[test])
    return parts


def even(rows: np.ndarray, y: np.ndarray, most: int) -> np.ndarray:
    """At most so many rows, class by class in turn."""
    order = np.random.default_rng(SEED).permutation(len(rows))
    rank = pd.Series(y[order]).groupby(y[order]).cumcount().to_numpy()
    return rows[order[np.argsort(rank, kind="stable")[:most]]]


def adapter_of(domain: str, X: Any) -> FittedAdapter:
    """The units of the radius, and the words of edits: those of the training rows."""
    return FittedAdapter(ADAPTERS[domain]().fit(X))


def right_after(
    attack: Any, model: Any, domain: str, adapter: Any, X: Any, y: np.ndarray
) -> np.ndarray:
    """Which rows the model predicts rightly after an attack on it."""
    transformer = AdversarialTransformer(
        attack=attack,
        radius=RADII[domain],
        surrogate=attacked(model, domain),
        adapter=adapter if not hasattr(model, "adapter_") else "auto",
        random_state=SEED,
    )
    moved = transformer.fit(X, y).transform(X, y)
    return np.asarray(model.predict(moved)) == y


def certified(model: Any, X: pd.DataFrame, y: np.ndarray, adapter: FittedAdapter) -> float:
    """The share of rows that no move within the radius can make wrong; NaN where none is known."""
    try:
        found = certify(model, X, y, adapter=adapter, time_limit=SECONDS)
    except (TypeError, ValueError):  # such a model, or such columns
        return np.nan
    return float(found.robust_accuracy(RADII["tabular"]))
