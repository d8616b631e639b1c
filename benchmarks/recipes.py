"""Which way of growing the minority class helps learners most on mixed binary tables?

Each training fold is grown by each method, fed to six learners and judged on its real test fold.
Imputing, scaling, encoding and growing see the training fold only; all methods share the folds.
A "tuned" threshold is chosen on the test probabilities of the *other* folds, not the fold's own.

    python benchmarks/recipes.py --data FOLDER --methods nothing,smote,advaug:match:radius=1.0

FOLDER holds manifest.csv and read.py. In `advaug:<recipe>[:name=value ...]` the values go to the
sampler. With five sets Wilcoxon's p cannot fall below .0625: take it as a hint.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import ast
import importlib.util
import json
import platform
import re
import time
import warnings
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from imblearn import over_sampling
from joblib import Parallel, delayed
from scipy.stats import wilcoxon
from sklearn import metrics
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import has_fit_parameter
from tqdm import tqdm

SETS = "thyroid_sick,german_credit,abalone9_18,yeast4,flare_F"
METHODS = "nothing,class_weights,random,smote,borderline,adasyn,jitter," + ",".join(
    f"advaug:{recipe}" for recipe in ("auto", "harden", "translate", "match", "boundary")
)
METRICS = ["AP", "AUC", "F1", "F1 tuned", "G-mean", "G-mean tuned", "Brier"]
PACKAGES = ["advaug", "imbalanced-learn", "numpy", "pandas", "scikit-learn", "torch"]
LEARNERS: dict[str, Callable[[int], Any]] = {
    "logistic": lambda seed: LogisticRegression(max_iter=1000, random_state=seed),
    "knn": lambda seed: KNeighborsClassifier(5),
    "tree": lambda seed: DecisionTreeClassifier(min_samples_leaf=2, random_state=seed),
    "forest": lambda seed: RandomForestClassifier(100, n_jobs=1, random_state=seed),
    # trained out on small folds too, or growing would win merely by more steps per epoch
    "mlp": lambda seed: MLPClassifier(
        (32,), alpha=0.1, learning_rate_init=5e-3, max_iter=100, random_state=seed
    ),
    "boosting": lambda seed: HistGradientBoostingClassifier(random_state=seed),
}


class MixedSmote:
    """SMOTENC (SMOTEN if no column is numeric) on scaled, imputed rows; a gap is a category."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit_resample(self, X: pd.DataFrame, y: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
        numeric, other = kinds(X)
        scaler = StandardScaler().fit(X[numeric]) if numeric else None
        gaps = X[numeric].isna().add_suffix(" is missing").astype(str)
        rows = pd.concat([X[numeric].astype(float), texts(X[other]), gaps], axis=1)
        if not numeric:
            sampler = over_sampling.SMOTEN(random_state=self.seed)
        else:
            rows[numeric] = scaler.transform(X[numeric].fillna(X[numeric].median()))
            sampler = over_sampling.SMOTENC([*other, *gaps], random_state=self.seed)
        new, y_new = sampler.fit_resample(rows, y)
        if numeric:
            values = scaler.inverse_transform(new[numeric])
            new[numeric] = np.where(new[gaps.columns] == "True", np.nan, values)
        return pd.concat([X, new[len(X) :][X.columns]], ignore_index=True), y_new


def smote(seed: int, X: pd.DataFrame) -> Any:
    """SMOTE where every column is numeric, its mixed form otherwise."""
    return MixedSmote(seed) if kinds(X)[1] else over_sampling.SMOTE(random_state=seed)


RIVALS: dict[str, Callable[[int, pd.DataFrame], Any]] = {
    "nothing": lambda seed, X: None,
    "class_weights": lambda seed, X: None,  # run_fold weights the learners that can be (not knn)
    "random": lambda seed, X: over_sampling.RandomOverSampler(random_state=seed),
    "smote": smote,
    "borderline": lambda seed, X: over_sampling.BorderlineSMOTE(random_state=seed),
    "adasyn": lambda seed, X: over_sampling.ADASYN(random_state=seed),
    "jitter": lambda seed, X: over_sampling.RandomOverSampler(random_state=seed, shrinkage=0.5),
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


def sampler_of(method: str, seed: int, X: pd.DataFrame) -> Any:
    """Build the sampler that a method's name stands for; None resamples nothing."""
    if method in RIVALS:
        return RIVALS[method](seed, X)
    if not method.startswith("advaug:"):
        raise ValueError(f"--methods: {method!r} is neither advaug:<recipe> nor in {[*RIVALS]}")
    from advaug import AdversarialOverSampler

    _, recipe, *options = split(method, ":")
    values = {name: value_of(text) for name, text in (item.split("=", 1) for item in options)}
    return AdversarialOverSampler(**({"recipe": recipe, "random_state": seed} | values))


def kinds(X: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Names of the numeric columns and of the others."""
    numeric = [name for name in X if pd.api.types.is_numeric_dtype(X[name])]
    return numeric, [name for name in X if name not in numeric]


def texts(X: pd.DataFrame) -> pd.DataFrame:
    """Categories as strings, with a level of its own for what is missing."""
    return X.astype(object).where(X.notna(), "missing").astype(str)


def encoder_of(X: pd.DataFrame) -> Callable[[pd.DataFrame], np.ndarray]:
    """Learn medians, scales and levels from a training fold; return the map to a matrix."""
    numeric, other = kinds(X)
    fill = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    columns = make_column_transformer(
        (make_pipeline(fill, StandardScaler()), numeric),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), other),
    ).fit(X.assign(**texts(X[other])))
    return lambda rows: columns.transform(rows.assign(**texts(rows[other])))


def resample(method: str, seed: int, X: pd.DataFrame, y: np.ndarray, encode: Callable) -> tuple:
    """Grow a training fold; return its matrix, its labels and fit_resample's CPU seconds."""
    sampler = sampler_of(method, seed, X)
    if sampler is None:
        return encode(X), y, 0.0
    takes_frame = method.startswith("advaug:") or isinstance(sampler, MixedSmote)
    rows = X if takes_frame else encode(X)
    start = time.process_time()
    X_new, y_new = sampler.fit_resample(rows, y)
    seconds = time.process_time() - start
    counts = np.bincount(y_new)
    slack = 0.1 * counts.max() if method == "adasyn" else 0
    if abs(counts[0] - counts[1]) > slack or np.any(counts < np.bincount(y)):
        raise AssertionError(f"expected equal class counts, got {counts.tolist()}")
    return encode(X_new) if takes_frame else X_new, y_new, seconds


def run_fold(
    name: str,
    X: pd.DataFrame,
    y: np.ndarray,
    seed: int,
    fold: int,
    n_folds: int,
    methods: list[str],
) -> list[dict[str, Any]]:
    """All methods and learners on one fold: test labels and probabilities of each."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(X, y)
    train, test = list(folds)[fold]
    X_train = X.iloc[train].reset_index(drop=True)
    encode = encoder_of(X_train)
    X_test, records = encode(X.iloc[test]), []
    for method in methods:
        try:
            X_new, y_new, seconds = resample(method, seed, X_train, y[train], encode)
        except Exception as error:
            raise RuntimeError(f"{method} on {name}, seed {seed}, fold {fold}: {error}") from error
        for learner, make in LEARNERS.items():
            model, weights = make(seed), {}
            if method == "class_weights" and has_fit_parameter(model, "sample_weight"):
                weights = {"sample_weight": compute_sample_weight("balanced", y_new)}
            p = model.fit(X_new, y_new, **weights).predict_proba(X_test)[:, 1]
            record = {"set": name, "seed": seed, "fold": fold, "method": method, "learner": learner}
            records.append(record | {"seconds": seconds, "y": y[test], "p": p})
    return records


def best_thresholds(y: np.ndarray, p: np.ndarray) -> tuple[float, float]:
    """The thresholds of the highest F1 and of the highest G-mean."""
    precision, recall, f1_cuts = metrics.precision_recall_curve(y, p)
    f1 = precision * recall / np.maximum(precision + recall, 1e-12)
    false_rate, true_rate, g_cuts = metrics.roc_curve(y, p)
    return f1_cuts[f1[:-1].argmax()], g_cuts[(true_rate * (1 - false_rate)).argmax()]


def g_mean(y: np.ndarray, guess: np.ndarray) -> float:
    return float(np.sqrt(metrics.recall_score(y, guess, average=None).prod()))


def marks(group: pd.DataFrame) -> pd.DataFrame:
    """The metrics of each fold of one set, seed, method and learner."""
    rows = []
    for fold, y, p in zip(group["fold"], group["y"], group["p"], strict=True):
        others = group[group["fold"] != fold]
        f1_cut, g_cut = best_thresholds(np.hstack(others["y"]), np.hstack(others["p"]))
        f1 = [metrics.f1_score(y, p >= cut, zero_division=0) for cut in (0.5, f1_cut)]
        ranking = [metrics.average_precision_score(y, p), metrics.roc_auc_score(y, p)]
        g = [g_mean(y, p >= cut) for cut in (0.5, g_cut)]
        rows.append([*ranking, *f1, *g, metrics.brier_score_loss(y, p)])
    return group.drop(columns=["y", "p"]).assign(
        **dict(zip(METRICS, np.transpose(rows), strict=True))
    )


def against(table: pd.DataFrame, rival: str) -> pd.DataFrame:
    """Sets won and lost to a rival, and Wilcoxon's p, by AP averaged over learners."""
    if rival not in table:
        return pd.DataFrame(index=table.columns)
    gap = table.drop(columns=rival).sub(table[rival], axis=0)
    score = (gap > 0).sum().astype(str) + "-" + (gap < 0).sum().astype(str)
    p = gap.apply(lambda column: wilcoxon(column).pvalue if column.any() else 1.0)
    return pd.DataFrame({f"AP vs {rival}": score, f"p vs {rival}": p})


def summarise(cells: pd.DataFrame) -> pd.DataFrame:
    """A row per method: means over sets and learners, mean rank, tests against two rivals."""
    means = cells.groupby("method", sort=False)[[*METRICS, "seconds"]].mean()
    ap = cells.pivot_table(index=["set", "learner"], columns="method", values="AP")
    means.insert(len(METRICS), "AP rank", ap.rank(axis=1, ascending=False).mean())
    return means.join([against(ap.groupby("set").mean(), rival) for rival in ("smote", "nothing")])


def markdown(table: pd.DataFrame) -> str:
    rows = [["method", *table], ["---"] * (table.shape[1] + 1)]
    for name, *values in table.itertuples():
        rows.append([name, *(v if isinstance(v, str) else f"{v:.4f}" for v in values)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows).replace("nan", "")


def load_sets(folder: Path, names: list[str]) -> dict[str, tuple[pd.DataFrame, np.ndarray]]:
    """Load binary tables through the folder's own reader; 1 is the positive class."""
    spec = importlib.util.spec_from_file_location("read", folder / "read.py")
    read = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(read)
    known = read.manifest(domain="tabular").query("task == 'binary'")["name"]
    if unknown := set(names) - set(known):
        raise ValueError(f"--sets: no binary tables {sorted(unknown)}; there are {sorted(known)}")
    sets = {}
    for name in names:
        X, y, info = read.load(name)
        sets[name] = X, (y == info.get("positive_label", info["minority_label"])).to_numpy(int)
    return sets


def machine() -> dict[str, Any]:
    versions = {d.name: d.version for d in distributions() if d.name in PACKAGES}
    system = {"platform": platform.platform(), "cpus": os.cpu_count()}
    return system | {"python": platform.python_version(), "versions": versions}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="has manifest.csv and read.py")
    parser.add_argument("--sets", type=split, default=SETS)
    parser.add_argument("--methods", type=split, default=METHODS)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1, help="how many: 0, 1, ...")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/recipes.json"))
    return parser.parse_args()


def main() -> None:
    args = arguments()
    sets = load_sets(args.data, args.sets)
    for method in args.methods:  # a misspelt one fails now, not after an hour
        sampler_of(method, 0, sets[args.sets[0]][0])
    seeds = range(args.seeds)
    tasks = [(name, *sets[name], s, k) for name in sets for s in seeds for k in range(args.folds)]
    jobs = (delayed(run_fold)(*task, args.folds, args.methods) for task in tasks)
    done = Parallel(args.jobs, return_as="generator")(jobs)
    records = pd.DataFrame([record for fold in tqdm(done, total=len(tasks)) for record in fold])
    groups = records.groupby(["set", "seed", "method", "learner"], sort=False)
    folds = pd.concat([marks(group) for _, group in groups])
    cells = folds.groupby(["set", "method", "learner"], sort=False)[[*METRICS, "seconds"]].mean()
    summary = summarise(cells.reset_index())
    results = {"machine": machine(), "sets": args.sets, "seeds": [*seeds], "folds": args.folds}
    for name, table in {"summary": summary, "cells": cells}.items():
        results[name] = json.loads(table.round(6).reset_index().to_json(orient="records"))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(results, indent=1) + "\n")
    print(markdown(summary))


if __name__ == "__main__":
    main()
