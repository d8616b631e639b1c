"""The rows that defences are measured on, and the attacks on them."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedShuffleSplit, train_test_split
from tqdm import tqdm

from advaug import AdversarialTransformer
from advaug.attacks import PGD
from benchmarks.judge import binary_sets, thinned
from benchmarks.oversampling.data import load

Rows = tuple[Any, Any, np.ndarray, np.ndarray]  # X_train, X_test, y_train, y_test
Record = dict[str, Any]


def under(model: Any, X: Any, y: Any, attack: Any, radius: float, norm: float = np.inf) -> Any:
    """Rows moved against their labels and the model."""
    mover = AdversarialTransformer(
        attack=attack, radius=radius, norm=norm, surrogate=model, random_state=0
    )
    return mover.fit(X, y).transform(X, y)


def quietly(function: Callable[..., Any], *given: Any) -> Any:
    """Without the warning of rows that an attack could not move: they are the point here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* rows were not moved by")
        return function(*given)


def images(folder: Path, name: str, seed: int) -> Rows:
    """8000 and 2000 images of MNIST, or two halves of scikit-learn's digits: (n, 1, h, w)."""
    if name == "MNIST":
        with np.load(folder / "image" / "mnist_t10k.npz") as data:
            X, y, sizes = data["X"], data["y"], {"train_size": 8000, "test_size": 2000}
    else:
        X, y = load_digits(return_X_y=True)
        X, sizes = np.rint(X * 255 / 16).astype(np.uint8).reshape(-1, 8, 8), {"test_size": 0.5}
    return tuple(train_test_split(X[:, None], y, **sizes, stratify=y, random_state=seed))


IMAGES = {"MNIST": 0.25, "digits": 0.1}  # radius, black to white
WAYS: dict[str, dict[str, Any]] = {
    "plain": {"clean_weight": 1},
    "noise": {"attack": "noise"},
    "FGSM": {"attack": "fgsm"},
    "PGD": {"attack": PGD(steps=7)},
}


def names_of_numbers(folder: Path, most: int) -> list[str]:
    """Tables whose columns are numbers without gaps, one of each base."""
    first: dict[str, str] = {}
    for name in binary_sets(folder):
        table = load(folder, name)
        if not table.is_mixed:
            first.setdefault(table.base, name)
    return [*first.values()][:most]


def tables(
    folder: Path, most: int, seeds: int, names: list[str] | None = None
) -> Iterator[tuple[str, int, Rows]]:
    for name in tqdm((names or binary_sets(folder, core=True))[:most]):
        table = load(folder, name)
        for seed in range(seeds):
            chance = np.random.RandomState(seed)
            rows = thinned(np.arange(len(table.y)), table.y, chance)
            X, y = table.X.iloc[rows].reset_index(drop=True), table.y[rows]
            split = StratifiedShuffleSplit(1, test_size=1 / 3, random_state=seed)
            train, test = next(split.split(X, y))
            X_train, X_test = (X.iloc[part].reset_index(drop=True) for part in (train, test))
            yield name, seed, (X_train, X_test, y[train], y[test])


TABLE_RADIUS = 0.3
