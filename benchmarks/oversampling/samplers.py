"""From a method's name to a grown training fold, with its class counts asserted.

Names: nothing, class_weights, committee, a rival, or advaug:<recipe>[:name=value ...] where the
values go to the sampler (attack=noise is the control: random moves of equal length).
"""

import ast
import hashlib
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from imblearn import over_sampling
from sklearn.preprocessing import StandardScaler

from benchmarks.oversampling.data import kinds, texts
from benchmarks.oversampling.rivals import RULES, Rule

HERE = Path(__file__).parent
KEEPS_ROWS = ("nothing", "class_weights", "committee")  # the same under every strategy


@dataclass(frozen=True)
class Fold:
    """The training rows of a fold: as the folder has them, and encoded."""

    X: pd.DataFrame
    matrix: np.ndarray
    y: np.ndarray
    encode: Callable[[pd.DataFrame], np.ndarray]
    totals: dict[int, int]
    seed: int

    def neighbours(self, most: int = 5) -> int:
        """As many neighbours as the smallest class allows."""
        return max(1, min(most, int(np.bincount(self.y).min()) - 1))


@dataclass(frozen=True)
class Resampled:
    """Rows for the learners, and what growing them cost in CPU seconds."""

    matrix: np.ndarray
    y: np.ndarray
    seconds: float
    fell_back: bool = False


def totals_of(strategy: str, y: np.ndarray) -> dict[int, int]:
    """Rows that each class shall have: 'balance', or 'grow1.5' for 1.5 times the largest class."""
    most = int(np.bincount(y).max())
    if strategy != "balance":
        most = math.ceil(float(strategy.removeprefix("grow")) * most)
    return {int(label): most for label in np.unique(y)}


Sampler = Callable[[Fold], tuple[np.ndarray, np.ndarray]]


def by_imblearn(make: Callable[..., Any], name_of_k: str | None, fold: Fold) -> tuple:
    """One of imbalanced-learn's samplers at its defaults, k lowered where a class is small."""
    options = {name_of_k: fold.neighbours()} if name_of_k else {}
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
    options = {"k_neighbors": fold.neighbours(), "random_state": fold.seed}
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
MAY_GIVE_UP = ("borderline", "svm_smote", "adasyn")  # where no row is "in danger": SMOTE instead


def resample(method: str, fold: Fold) -> Resampled:
    """Grow a fold; AssertionError if the class counts are not the ones asked for."""
    if method in KEEPS_ROWS:
        return Resampled(fold.matrix, fold.y, 0.0)
    start = time.process_time()
    fell_back = False
    try:
        matrix, y = sampler_of(method)(fold)
        assert_counts(method, fold, y)
    except (ValueError, RuntimeError, AssertionError):
        if method not in MAY_GIVE_UP:
            raise
        (matrix, y), fell_back = smote(fold), True
        assert_counts("smote", fold, y)
    return Resampled(matrix, y, time.process_time() - start, fell_back)


def assert_counts(method: str, fold: Fold, y: np.ndarray) -> None:
    """Exact, but for ADASYN, which rounds row by row: within a tenth."""
    for label, total in fold.totals.items():
        count = int((y == label).sum())
        slack = 0.1 * total if method == "adasyn" else 0
        if abs(count - total) > slack:
            raise AssertionError(f"{method}: {count} rows of class {label}, {total} asked for")


def sampler_of(method: str) -> Sampler:
    """The sampler that a name stands for; ValueError if it stands for none."""
    if method in RIVALS:
        return RIVALS[method]
    if method.startswith("advaug:"):
        return partial(by_advaug, method)
    known = ", ".join([*KEEPS_ROWS, *RIVALS])
    raise ValueError(f"--methods: {method!r} is neither advaug:<recipe> nor one of {known}")


def by_advaug(method: str, fold: Fold) -> tuple:
    """The library's sampler on the rows as they are: categories, gaps and all."""
    from advaug import AdversarialOverSampler

    _, recipe, *options = split(method, ":")
    values = {name: value_of(text) for name, text in (item.split("=", 1) for item in options)}
    values = {"recipe": recipe, "random_state": fold.seed} | values
    sampler = AdversarialOverSampler(sampling_strategy=fold.totals, **values)
    X, y = sampler.fit_resample(fold.X, fold.y)
    return np.concatenate([fold.matrix, fold.encode(X.iloc[len(fold.X) :])]), y


def committee_probability(fold: Fold, X_test: pd.DataFrame) -> np.ndarray:
    """The over-sampler's own committee as a classifier: what the learners could inherit."""
    import torch

    from advaug.adapters import TabularAdapter
    from advaug.surrogates import Ensemble

    coding = TabularAdapter().fit(fold.X)
    y = torch.from_numpy(fold.y)
    generator = torch.Generator().manual_seed(fold.seed)
    committee = Ensemble().fit(coding.encode(fold.X), y, int(y.max()) + 1, generator)
    return committee.probability(coding.encode(X_test)).numpy()


def split(text: str, sign: str = ",") -> list[str]:
    """Split at the sign, but not within brackets: values may be tuples or dicts."""
    return re.split(sign + r"(?![^(\[{]*[)\]}])", text)


def value_of(text: str) -> Any:
    """Read a Python literal; whatever is none stays a string."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


@cache
def code_of(method: str) -> str:
    """A digest of the code behind a method: cells made by other code are told apart.

    Comments and layout do not count. What all methods share is in it too.
    """
    files = [HERE / "data.py", HERE / "learners.py"]
    if method.startswith("advaug:") or method == "committee":
        files += sorted(HERE.parents[1].joinpath("advaug").rglob("*.py"))
    elif method not in KEEPS_ROWS:
        files += [HERE / "rivals.py", HERE / "samplers.py"]
    digest = hashlib.sha1(usedforsecurity=False)
    for file in files:
        digest.update(ast.dump(ast.parse(file.read_text())).encode())
    return digest.hexdigest()[:12]
