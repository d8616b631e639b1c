"""Over-samplers: imbalanced-learn's, the rules of `rivals`, and the library's own.

Each makes of a training fold a longer matrix with its labels. Where a rival has no form for mixed
columns, it works on the one-hot encoding. Signals and sequences have rules of their own.
"""

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from imblearn import over_sampling
from sklearn.preprocessing import StandardScaler

from benchmarks.oversampling.data import kinds, take, texts
from benchmarks.oversampling.rivals import RULES, Rule


@dataclass(frozen=True, eq=False)
class Fold:
    """The training rows of a fold: as the folder has them, and encoded (an array, row by row)."""

    X: Any
    matrix: np.ndarray
    y: np.ndarray
    encode: Callable[[Any], np.ndarray]
    totals: dict[int, int]
    seed: int

    def n_neighbors(self, most: int = 5) -> int:
        """As many neighbors as the smallest class allows."""
        return max(1, min(most, int(np.bincount(self.y).min()) - 1))


Sampler = Callable[[Fold], tuple[np.ndarray, np.ndarray]]


def by_imblearn(make: Callable[..., Any], name_of_k: str | None, fold: Fold) -> tuple:
    """One of imbalanced-learn's samplers at its defaults, k lowered where a class is small."""
    options = {name_of_k: fold.n_neighbors()} if name_of_k else {}
    sampler = make(sampling_strategy=fold.totals, random_state=fold.seed, **options)
    return sampler.fit_resample(fold.matrix, fold.y)


def by_rule(rule: Rule, fold: Fold) -> tuple:
    """New rows of each class by one of our rivals."""
    rng = np.random.default_rng(fold.seed)
    matrix, y = [fold.matrix], [fold.y]
    for label, total in fold.totals.items():
        own = fold.y == label
        count = total - int(own.sum())
        if count:
            matrix.append(rule(fold.matrix[own], fold.matrix[~own], count, rng))
            y.append(np.full(count, label))
    return np.concatenate(matrix), np.concatenate(y)


def smote(fold: Fold) -> tuple:
    """SMOTE where all columns are numbers, SMOTENC on mixed ones, SMOTEN on categories."""
    if kinds(fold.X)[1]:
        return mixed_smote(fold)
    return by_imblearn(over_sampling.SMOTE, "k_neighbors", fold)


def mixed_smote(fold: Fold) -> tuple:
    """SMOTENC or SMOTEN on imputed, scaled rows; a gap is a category of its own."""
    X = fold.X
    numeric, other = kinds(X)
    gaps = X[numeric].isna().add_suffix(" is missing").astype(str)
    gaps = gaps.loc[:, gaps.nunique() > 1]
    rows = pd.concat([X[numeric].astype(float), texts(X[other]), gaps], axis=1)
    options = {"k_neighbors": fold.n_neighbors(), "random_state": fold.seed}
    options["sampling_strategy"] = fold.totals
    if not numeric:
        new, y = over_sampling.SMOTEN(**options).fit_resample(rows, fold.y)
        return fold.encode(new), y
    scaler = StandardScaler().fit(X[numeric])
    rows[numeric] = scaler.transform(X[numeric].fillna(X[numeric].median()))
    sampler = over_sampling.SMOTENC([*other, *gaps], **options)
    new, y = sampler.fit_resample(rows, fold.y)
    new[numeric] = scaler.inverse_transform(new[numeric])
    for gap in gaps:
        new.loc[new[gap] == "True", gap.removesuffix(" is missing")] = np.nan
    made = new.iloc[len(X) :][[*X.columns]]
    return np.concatenate([fold.matrix, fold.encode(made)]), y


RIVALS: dict[str, Sampler] = {
    "random": partial(by_imblearn, over_sampling.RandomOverSampler, None),
    "jitter": partial(
        by_imblearn, partial(over_sampling.RandomOverSampler, shrinkage=0.5), None
    ),  # the smoothed bootstrap
    "smote": smote,
    "borderline": partial(by_imblearn, over_sampling.BorderlineSMOTE, "k_neighbors"),
    "svm_smote": partial(by_imblearn, over_sampling.SVMSMOTE, "k_neighbors"),
    "adasyn": partial(by_imblearn, over_sampling.ADASYN, "n_neighbors"),
    **{name: partial(by_rule, rule) for name, rule in RULES.items()},
}


def split(text: str, sign: str = ",") -> list[str]:
    """Split at the sign, but not within brackets: values may be tuples or dicts."""
    return re.split(sign + r"(?![^(\[{]*[)\]}])", text)


def value_of(text: str) -> Any:
    """Read a Python literal; whatever is none stays a string."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def by_advaug(method: str, fold: Fold) -> tuple:
    """The library's sampler on the rows as they are: categories, gaps and all."""
    from advaug import AdversarialOverSampler

    recipe, values = options_of(method)
    values = {"recipe": recipe, "random_state": fold.seed} | values
    sampler = AdversarialOverSampler(sampling_strategy=fold.totals, **values)
    X, y = sampler.fit_resample(fold.X, fold.y)
    made = fold.encode(take(X, np.arange(len(fold.X), len(X))))
    return np.concatenate([fold.matrix, made]), y


def options_of(method: str) -> tuple[str, dict[str, Any]]:
    """What stands behind the first colon of a method's name, and its name=value pairs."""
    _, first, *options = split(method, ":")
    pairs = (item.split("=", 1) for item in options)
    return first, {name: value_of(text) for name, text in pairs}
