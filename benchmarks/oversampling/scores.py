"""Metrics of the cells: ranking, F1 and G-mean at .5 and at a tuned threshold, and calibration.

A tuned threshold is chosen on the test probabilities of the other folds, never on the fold's own.
A method may decide otherwise than by its probabilities at .5: F1 and G-mean are of its decisions.
"""

import warnings
from collections.abc import Iterator

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn import metrics

from benchmarks.oversampling.cells import Plan, read

BINARY = ("AP", "AUC", "F1", "F1 tuned", "G-mean", "G-mean tuned", "Brier", "macro F1")
MULTICLASS = ("AP", "AUC", "F1", "G-mean", "Brier")  # macro: each class counts the same
IS_BETTER_LOW = ("Brier",)


def metrics_of(plan: Plan) -> tuple[str, ...]:
    """Names of a plan's metrics; those of the tables do without the last of `BINARY`."""
    if plan.task != "binary":
        return MULTICLASS
    return BINARY[:-1] if plan.domain == "tabular" else BINARY


def best_thresholds(y: np.ndarray, p: np.ndarray) -> tuple[float, float]:
    """The thresholds of the highest F1 and of the highest G-mean."""
    precision, recall, f1_cuts = metrics.precision_recall_curve(y, p)
    f1 = precision * recall / np.maximum(precision + recall, 1e-12)
    false_rate, true_rate, g_cuts = metrics.roc_curve(y, p)
    return f1_cuts[f1[:-1].argmax()], g_cuts[(true_rate * (1 - false_rate)).argmax()]


def f1_of(y: np.ndarray, guess: np.ndarray) -> float:
    hits = float((y & guess).sum())
    return 2 * hits / max(float(y.sum() + guess.sum()), 1.0)


def g_mean(y: np.ndarray, guess: np.ndarray) -> float:
    """The geometric mean of the classes' recalls."""
    recalls = [(guess[y == label] == label).mean() for label in np.unique(y)]
    return float(np.prod(recalls) ** (1 / len(recalls)))


def binary(
    y: np.ndarray, p: np.ndarray, decision: np.ndarray, others: tuple[np.ndarray, np.ndarray]
) -> list[float]:
    """The metrics of one fold; `others` are labels and probabilities of the other folds."""
    f1_cut, g_cut = best_thresholds(*others)
    is_rare, guess = y == 1, decision >= 0.5
    return [
        metrics.average_precision_score(y, p),
        metrics.roc_auc_score(y, p),
        f1_of(is_rare, guess),
        f1_of(is_rare, p >= f1_cut),
        g_mean(y, guess.astype(int)),
        g_mean(y, (p >= g_cut).astype(int)),
        float(np.mean((p - y) ** 2)),
        (f1_of(is_rare, guess) + f1_of(~is_rare, ~guess)) / 2,
    ]


def multiclass(y: np.ndarray, p: np.ndarray, decision: np.ndarray) -> list[float]:
    """Macro averages over the classes that the fold holds; Brier over all of them."""
    truth, guess = np.eye(p.shape[1])[y], decision.argmax(1)
    held = np.unique(y)
    each = [(truth[:, k].astype(int), p[:, k]) for k in held]
    return [
        float(np.mean([metrics.average_precision_score(t, q) for t, q in each])),
        float(np.mean([metrics.roc_auc_score(t, q) for t, q in each])),
        float(metrics.f1_score(y, guess, labels=held, average="macro", zero_division=0)),
        g_mean(y, guess),
        float(((p - truth) ** 2).sum(1).mean()),
    ]


def of_learner(plan: Plan, cell: pd.DataFrame) -> np.ndarray:
    """Metrics of one learner's folds, averaged."""
    ys, ps, decisions = [*cell["y"]], [*cell["p"]], [*cell.get("p_decision", cell["p"])]
    rows = []
    for k, (y, p, decision) in enumerate(zip(ys, ps, decisions, strict=True)):
        if plan.task != "binary":
            rows.append(multiclass(y, *(q.reshape(len(y), -1) for q in (p, decision))))
            continue
        others = tuple(np.concatenate(part[:k] + part[k + 1 :]) for part in (ys, ps))
        rows.append(binary(y, p.astype(float), decision, others))
    return np.mean(rows, axis=0)


def lines(plan: Plan, name: str, seed: int, method: str) -> list[dict]:
    """A line a learner of one set, seed and method; none if it has not been run."""
    cell = read(plan, name, seed, method)
    if cell is None:
        return []
    facts = {"set": name, "base": cell["base"][0], "seed": seed, "method": method}
    facts |= {"code": ",".join(sorted(cell["code"].unique()))}
    made = []
    for learner, own in cell.groupby("learner", sort=False):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = of_learner(plan, own)
        cost = own[["seconds", "fit_seconds", "fell_back"]].mean().to_dict()
        made.append(
            {
                **facts,
                "learner": learner,
                **dict(zip(metrics_of(plan), values, strict=False)),
                **cost,
            }
        )
    return made


def tasks(plan: Plan) -> Iterator[tuple[str, int, str]]:
    return ((n, s, m) for n in plan.sets for s in range(plan.seeds) for m in plan.methods)


def score(plan: Plan, jobs: int = 2) -> pd.DataFrame:
    """A line for each set, method and learner, seeds averaged.

    Only sets that every method has finished: what is compared is compared on the same folds.
    """
    done = Parallel(jobs)(delayed(lines)(plan, *task) for task in tasks(plan))
    rows = pd.DataFrame([line for some in done for line in some])
    if not len(rows):
        raise ValueError("no cell has been run yet: leave --report-only out")
    whole = rows.groupby("set")[["method", "seed"]].agg(lambda x: x.nunique())
    whole = whole[(whole["method"] == len(plan.methods)) & (whole["seed"] == plan.seeds)].index
    if not len(whole):
        raise ValueError("no set has been finished by every method: see what failed")
    rows = rows[rows["set"].isin(whole)]
    keys = ["set", "base", "method", "learner"]
    numbers = [*metrics_of(plan), "seconds", "fit_seconds", "fell_back"]
    means = rows.groupby(keys, sort=False)[numbers].mean()
    codes = rows.groupby(keys, sort=False)["code"].agg(lambda c: ",".join(sorted({*c})))
    return means.join(codes).reset_index()
