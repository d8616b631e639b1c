"""What advaug does on a real table, in under a minute: a table of scores, five rows, a picture.

Three ways to train are compared on the same splits; the threshold is tuned on out-of-fold
probabilities of the training part, never on the test part.
"""

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from imblearn.over_sampling import SMOTENC
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    f1_score,
    precision_recall_curve,
    roc_auc_score,
)
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from advaug.containers.files import beside
from advaug.datasets import NUMBERS, load_thyroid_sick
from advaug.estimators.over_sampler import AdversarialOverSampler

SCORES = ("AP", "AUC", "F1 at .5", "F1 tuned", "Brier")
WAYS = ("nothing", "SMOTENC", "advaug")
# No man is pregnant; a measurement is missing where its flag says so.
RULES = [
    "not (sex == 'M' and pregnant == 't')",
    *(f"({n} is missing) == ({n}_measured != 't')" for n in ("TSH", "T3", "TT4", "T4U", "FTI")),
]
Result = dict[tuple[str, str], list[list[float]]]  # learner, way -> scores of each split


# Small fits: a second thread gains nothing, and waits in circles on a busy machine.
@threadpool_limits.wrap(limits=1)
def run(picture: Path = Path("advaug_demo.png"), *, seed: int = 0, splits: int = 2) -> None:
    """Compare, print, draw."""
    started = perf_counter()
    X, y = load_thyroid_sick()
    print(introduction(X, y, splits))
    cuts = list(StratifiedShuffleSplit(splits, test_size=0.3, random_state=seed).split(X, y))
    result: Result = {(learner, way): [] for learner in learners(seed) for way in WAYS}
    for train, test in cuts:
        compare(X.iloc[train], y.iloc[train], X.iloc[test], y.iloc[test], seed, result)
    print(table_of(result), verdict(result), sep="\n\n")

    X_train, y_train = X.iloc[cuts[0][0]], y.iloc[cuts[0][0]]
    sampler = new_sampler(seed)
    X_new, y_new = sampler.fit_resample(X_train, y_train)
    print("\n" + five_rows(sampler, X_new, seed))
    print("\n" + draw(sampler, X_new, y_new, picture))
    print(f"\n{perf_counter() - started:.0f} s")


def introduction(X: Any, y: Any, splits: int) -> str:
    sick = int((y == "sick").sum())
    return (
        "thyroid_sick (Garavan Institute and J. R. Quinlan; UCI, CC BY 4.0): "
        f"{len(X)} patients, {sick} of them sick ({sick / len(X):.1%}),\n"
        f"{len(NUMBERS)} numeric columns and {X.shape[1] - len(NUMBERS)} categories, "
        f"{int(X.isna().sum().sum())} cells missing. Mean of {splits} stratified splits, 70 % to "
        "train on."
    )


def new_sampler(seed: int) -> AdversarialOverSampler:
    return AdversarialOverSampler(constraints=RULES, random_state=seed)


def learners(seed: int) -> dict[str, Any]:
    """A weak one that needs encoded levels and filled gaps, a strong one that reads both."""
    boosting = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=seed)
    return {
        "logistic regression": make_pipeline(encoder(), LogisticRegression(max_iter=1000)),
        "gradient boosting": boosting,
    }


def encoder() -> ColumnTransformer:
    """Numbers imputed, flagged where missing, and scaled; categories one-hot."""
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    levels = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return ColumnTransformer(
        [
            ("numbers", numbers, list(NUMBERS)),
            ("levels", levels, make_column_selector(dtype_include="category")),
        ]
    )


def imputer(X: Any) -> Any:
    """No cell missing, as SMOTENC needs it."""
    levels = [name for name in X.columns if name not in NUMBERS]
    filled = ColumnTransformer(
        [
            ("numbers", SimpleImputer(strategy="median"), list(NUMBERS)),
            ("levels", SimpleImputer(strategy="most_frequent"), levels),
        ],
        verbose_feature_names_out=False,
    )
    return filled.set_output(transform="pandas")


def trainings(X: Any, y: Any, seed: int) -> Iterator[tuple[str, Any, Any, Any]]:
    """For each way its name, training rows and labels, and how test rows are made ready."""
    yield "nothing", X, y, lambda rows: rows
    filled = imputer(X).fit(X)

    def fill(rows: Any) -> Any:
        return filled.transform(rows)[list(X.columns)].astype(
            {name: dtype for name, dtype in X.dtypes.items() if name not in NUMBERS}
        )

    smote = SMOTENC([name for name in X.columns if name not in NUMBERS], random_state=seed)
    yield "SMOTENC", *smote.fit_resample(fill(X), y), fill
    yield "advaug", *new_sampler(seed).fit_resample(X, y), lambda rows: rows


def probabilities(
    X: Any, y: Any, X_test: Any, seed: int
) -> dict[tuple[str, str], np.ndarray[Any, Any]]:
    """Each learner's probability of "sick" after each way of training."""
    found = {}
    for way, rows, labels, ready in trainings(X, y, seed):
        for name, learner in learners(seed).items():
            learner.fit(rows, labels == "sick")
            found[name, way] = learner.predict_proba(ready(X_test))[:, 1]
    return found


def compare(X: Any, y: Any, X_test: Any, y_test: Any, seed: int, result: Result) -> None:
    """Add the scores of one split; thresholds come from three folds of its training part."""
    out_of_fold: dict[tuple[str, str], np.ndarray[Any, Any]] = {
        key: np.empty(len(X)) for key in result
    }
    for fit, held in StratifiedKFold(3, shuffle=True, random_state=seed).split(X, y):
        found = probabilities(X.iloc[fit], y.iloc[fit], X.iloc[held], seed)
        for key, probability in found.items():
            out_of_fold[key][held] = probability
    truth = (y_test == "sick").to_numpy()
    for key, probability in probabilities(X, y, X_test, seed).items():
        threshold = best_threshold((y == "sick").to_numpy(), out_of_fold[key])
        result[key].append(
            [
                average_precision_score(truth, probability),
                roc_auc_score(truth, probability),
                f1_score(truth, probability >= 0.5),
                f1_score(truth, probability >= threshold),
                brier_score_loss(truth, probability),
            ]
        )


def best_threshold(truth: np.ndarray[Any, Any], probability: np.ndarray[Any, Any]) -> float:
    """The threshold of the largest F1."""
    precision, recall, thresholds = precision_recall_curve(truth, probability)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(thresholds[f1[:-1].argmax()])


def table_of(result: Result) -> str:
    """Mean scores; Brier: less is better."""
    lines = [f"{'':21}" + "".join(f"{score:>10}" for score in SCORES)]
    learner = ""
    for (name, way), scores in result.items():
        lines += [name] if name != learner else []
        learner = name
        lines.append(f"  {way:19}" + "".join(f"{mean:10.3f}" for mean in np.mean(scores, axis=0)))
    return "\n".join(lines)


def verdict(result: Result) -> str:
    """One line: whether advaug helped here, against nothing with a tuned threshold."""
    gain = np.array(
        [
            np.subtract(result[name, "advaug"], result[name, "nothing"])
            for name in dict.fromkeys(name for name, _ in result)
        ]
    ).reshape(-1, len(SCORES))
    ap, tuned = gain[:, 0], gain[:, 3]
    facts = " and ".join(
        f"{what} {values.mean():+.3f} (better in {int((values > 0).sum())} of {len(values)} fits)"
        for what, values in (("AP", ap), ("F1 tuned", tuned))
    )
    if min(ap.mean(), tuned.mean()) > 0:
        reading = "it helped on this table"
    elif max(ap.mean(), tuned.mean()) > 0:
        reading = "mixed: no clear gain on this table"
    else:
        reading = "on this table doing nothing and tuning the threshold is better"
    return f"advaug against nothing: {facts}: {reading}."


def five_rows(sampler: Any, X_new: Any, seed: int) -> str:
    """Five synthetic rows beside their parents: what moved."""
    made = sampler.provenance_
    moved = np.flatnonzero(made["distance"].to_numpy() > 0)
    rows = np.random.RandomState(seed).permutation(moved)[:5]
    rows.sort()
    first = int((~sampler.synthetic_mask_).sum())
    parents = made["parent"].to_numpy()[rows]
    changes = sampler.adapter_.changes(X_new.iloc[parents], X_new.iloc[rows + first])
    lines = [["new row", *(str(row + first) for row in rows)]]
    lines.append(["parent", *(str(parent) for parent in parents)])
    lines += [
        [name, *(arrow(*change[name]) if name in change else "" for change in changes)]
        for name in X_new.columns
        if any(name in change for change in changes)
    ]
    margins = made.iloc[rows][["margin_before", "margin_after"]].to_numpy()
    lines.append(["margin", *(arrow(round(a, 1), round(b, 1)) for a, b in margins.tolist())])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = "\n".join(
        "  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) for line in lines
    )
    return f"Five of {len(made)} synthetic rows beside their parents, and what moved:\n{text}"


def arrow(before: Any, after: Any) -> str:
    return " -> ".join(f"{x:.4g}" if isinstance(x, float) else str(x) for x in (before, after))


def draw(sampler: Any, X_new: Any, y_new: Any, path: Path) -> str:
    """Save the picture; a line that says where, or what is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return "No picture: matplotlib is not installed. To get it: pip install advaug[plot]"
    from advaug.report.class_map import ClassMapDisplay
    from advaug.report.margins import MarginDisplay

    figure = Figure(figsize=(12, 5.2), layout="constrained", dpi=150)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    ClassMapDisplay.from_sampler(sampler, X_new, y_new).plot(left)
    MarginDisplay.from_sampler(sampler).plot(right)
    with beside(path) as part:
        figure.savefig(part)
    return f"Picture: {path}"
