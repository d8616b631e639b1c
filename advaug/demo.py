"""What only this library does, on a real table, in some twenty seconds; and where it does not pay.

All figures are of patients that no model and no sampler has seen. Nothing is written but a picture
that the user has asked for.
"""

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from imblearn.over_sampling import SMOTENC, RandomOverSampler
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from advaug import containers
from advaug.containers.files import beside
from advaug.core.drawing import shortened
from advaug.datasets import NUMBERS, load_thyroid_sick
from advaug.domains.tables.rules.constraints import Constraints
from advaug.estimators.over_sampler import AdversarialOverSampler
from advaug.estimators.transformer import AdversarialTransformer
from advaug.report.checks import VERDICTS, tally
from advaug.report.report import validity_report
from advaug.robust.classifier import AdversarialClassifier
from advaug.robust.distilled import DistilledClassifier
from advaug.robust.robustness import robustness_table
from advaug.sampling.judges.panel import PanelJudge

N_STEPS = 5
MOST_RULES, MOST_MOVES = 3, 3
MOST_JUDGED = 500  # rows of the other tool
# By how much a second measurement of the same blood may differ (mU/l, nmol/l, index).
BUDGET = {"TSH": 1.0, "T3": 0.3, "TT4": 15.0, "T4U": 0.08, "FTI": 15.0}


class Patients(NamedTuple):
    """Patients to learn from, and others to be asked about."""

    X: Any
    y: Any
    X_test: Any
    y_test: Any


# Small fits: a second thread gains nothing, and waits in circles on a busy machine.
@threadpool_limits.wrap(limits=1)
def run(picture: Path | None = None, *, seed: int = 0) -> None:
    """Print all steps, each as soon as it is done; draw a picture if there is a path for it."""
    started = perf_counter()
    for text in steps(picture, seed):
        print(text, flush=True)
    print(f"\n{perf_counter() - started:.0f} s")


def steps(picture: Path | None, seed: int) -> Iterator[str]:
    """The text of each step: its heading before the work is done, its result after it."""
    X, y = load_thyroid_sick()
    yield introduction(X, y)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.3, stratify=y, random_state=seed
    )
    X_train, y_train = X_train.reset_index(drop=True), y_train.reset_index(drop=True)
    patients = Patients(X_train, y_train, X_test, y_test)

    yield heading(1, "New rows of a mixed table, gaps and relations kept")
    sampler = AdversarialOverSampler(random_state=seed)
    X_new, y_new = sampler.fit_resample(patients.X, patients.y)
    yield new_rows(sampler, X_new)
    yield heading(2, "Where five of the new rows come from")
    yield five_rows(sampler, X_new, seed)

    yield heading(3, "Rows of another tool (SMOTENC), checked against the real ones")
    filled, fill = imputed(patients.X)
    others = SMOTENC(levels_of(X), random_state=seed).fit_resample(filled, patients.y)
    yield checked(patients, others, seed)

    yield heading(4, "A net, attacked in the units of the laboratory, and hardened")
    yield hardened(patients, seed)

    yield heading(5, "A learner that gains: a decision tree, taught by boosting")
    yield scores(taught(patients, seed))
    yield "\nAnd where over-sampling does not pay (average precision, the same patients):"
    lost = over_sampled(patients, (X_new, y_new), others, fill, seed)
    yield f"{scores(lost)}\n{verdict(lost)}"
    if picture is not None:
        yield f"\n{draw(sampler, X_new, y_new, picture)}"


def heading(number: int, text: str) -> str:
    return f"\n[{number}/{N_STEPS}] {text}"


def introduction(X: Any, y: Any) -> str:
    sick = int((y == "sick").sum())
    return (
        f"thyroid_sick (Garavan Institute and J. R. Quinlan; UCI, CC BY 4.0): {len(X)} patients,\n"
        f"{sick} of them sick ({sick / len(X):.1%}), {len(NUMBERS)} numeric columns and "
        f"{X.shape[1] - len(NUMBERS)} categories, {int(X.isna().sum().sum())} cells missing.\n"
        "70 % to learn from; every score is of the other 30 %."
    )


# ---------------------------------------------------------------- 1 and 2: new rows


def new_rows(sampler: AdversarialOverSampler, X_new: Any) -> str:
    """How many rows are new, which relations were found, and how many rows break one."""
    is_new = sampler.synthetic_mask_
    new, old = X_new[is_new], X_new.iloc[sampler.parent_indices_[is_new]]
    found = sampler.findings_
    rules = found["rule"][found["by_chance"] > 0].tolist()
    breaks = ~np.all([*Constraints(rules).check(new).values()], axis=0) if rules else np.zeros(1)
    gaps, usual = (float(rows.isna().to_numpy().mean()) for rows in (new, old))
    return "\n".join(
        [
            f"{len(new)} new rows; {gaps:.1%} of cells missing, {usual:.1%} in their parents",
            f"{len(rules)} relations that all real rows keep were found, "
            f"{int(breaks.sum())} new rows break one:",
            *(f"  {shortened(rule, 90)}" for rule in rules[:MOST_RULES]),
        ]
    )


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
    return aligned(lines)


def arrow(before: Any, after: Any) -> str:
    return " -> ".join(f"{x:.4g}" if isinstance(x, float) else str(x) for x in (before, after))


def aligned(lines: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


# ---------------------------------------------------------------- 3: rows of another tool


def levels_of(X: Any) -> list[str]:
    return [name for name in X.columns if name not in NUMBERS]


def imputed(X: Any) -> tuple[Any, Any]:
    """X without a missing cell, as SMOTENC needs it, and what fills other rows in the same way."""
    levels = levels_of(X)
    filled = ColumnTransformer(
        [
            ("numbers", SimpleImputer(strategy="median"), list(NUMBERS)),
            ("levels", SimpleImputer(strategy="most_frequent"), levels),
        ],
        verbose_feature_names_out=False,
    )
    filled.set_output(transform="pandas").fit(X)

    def fill(rows: Any) -> Any:
        dtypes = {name: rows[name].dtype for name in levels}
        return filled.transform(rows)[list(X.columns)].astype(dtypes)

    return fill(X), fill


def checked(patients: Patients, others: tuple[Any, Any], seed: int) -> str:
    """The verdict on the other tool's new rows: its label check, and what fails."""
    n = len(patients.X)
    X_other, y_other = (rows.iloc[n : n + MOST_JUDGED] for rows in others)
    report = validity_report(
        *(patients.X, patients.y, X_other, y_other),
        panel=PanelJudge(),  # nets and neighbors: the report's own panel has trees and more
        random_state=seed,
    )
    shown = [c for c in report.checks if c.status in ("doubt", "bad") or c.name == "label"]
    lines = (f"  {c.status:5}  {c.name}: {shortened(c.found, 90)}" for c in shown)
    counts = f"{len(X_other)} rows, {tally(report.checks)}"
    return "\n".join([f"{VERDICTS[report.verdict]} ({counts}).", *lines])


# ---------------------------------------------------------------- 4: attacked and hardened


def hardened(patients: Patients, seed: int) -> str:
    """Balanced accuracy of two nets on rows, noisy and attacked ones; a patient who is lost."""
    settings: dict[str, Any] = {
        "radius": BUDGET,
        "class_weight": "balanced",
        "random_state": seed,
    }
    nets = {
        "net": AdversarialClassifier(clean_weight=1, **settings),
        "hardened net": AdversarialClassifier(**settings),
    }
    for net in nets.values():
        net.fit(patients.X, patients.y)
    table = robustness_table(nets, patients.X_test, patients.y_test, radius=BUDGET)
    lines = [["balanced accuracy", "as measured", "noise", "attacked"]]
    lines += [[row[0], *(f"{score:.3f}" for score in row[1:])] for row in table.to_numpy().tolist()]
    budget = ", ".join(f"{name} ±{value:g}" for name, value in BUDGET.items())
    return f"budget: {budget}\n{aligned(lines)}\n{lost_patient(nets['net'], patients)}"


def lost_patient(net: Any, patients: Patients) -> str:
    """A sick patient whom the net finds, and no longer after small moves."""
    sick = np.flatnonzero((patients.y_test == "sick").to_numpy())
    X, y = (containers.take(rows, sick) for rows in (patients.X_test, patients.y_test))
    attack = AdversarialTransformer(surrogate=net, radius=BUDGET, random_state=0).fit(X, y)
    moved = attack.transform(X, y)
    is_lost = (net.predict(X) == "sick") & (net.predict(moved) != "sick")
    if not is_lost.any():
        return "no sick patient is lost"
    [row] = np.flatnonzero(is_lost)[:1]
    [changes] = attack.adapter_.changes(X.iloc[[row]], moved.iloc[[row]])
    words = ", ".join(f"{name} {arrow(*cells)}" for name, cells in [*changes.items()][:MOST_MOVES])
    return f"{int(is_lost.sum())} of {len(sick)} sick patients are lost to the net, one by {words}"


# ---------------------------------------------------------------- 5: learners


Scores = dict[tuple[str, str], float]  # learner, way of training -> average precision


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


def boosting(seed: int) -> Any:
    return HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=seed)


def tree(seed: int) -> Any:
    small = DecisionTreeClassifier(min_samples_leaf=20, random_state=seed)
    return make_pipeline(encoder(), small)


def score(model: Any, X: Any, y: Any) -> float:
    """Average precision of the probability of "sick"."""
    probability = model.predict_proba(X)[:, list(model.classes_).index("sick")]
    return float(average_precision_score((y == "sick").to_numpy(), probability))


def taught(patients: Patients, seed: int) -> Scores:
    """The tree alone, on plain copies, and taught by boosting; the teacher beside them."""
    X, y, *test = patients
    copies = RandomOverSampler(random_state=seed).fit_resample(X, y)
    student = DistilledClassifier(tree(seed), boosting(seed), random_state=seed)
    return {
        ("decision tree", "as it is"): score(tree(seed).fit(X, y), *test),
        ("decision tree", "plain copies"): score(tree(seed).fit(*copies), *test),
        ("decision tree", "distilled"): score(student.fit(X, y), *test),
        ("boosting, the teacher", "as it is"): score(boosting(seed).fit(X, y), *test),
    }


def over_sampled(
    patients: Patients, ours: tuple[Any, Any], others: tuple[Any, Any], fill: Any, seed: int
) -> Scores:
    """Two learners on the real rows alone, and with the new rows of SMOTENC and of advaug."""
    X, y, X_test, y_test = patients
    ways = {
        "nothing": (X, y, X_test),
        "SMOTENC": (*others, fill(X_test)),
        "advaug": (*ours, X_test),
    }
    learners = {
        "logistic regression": make_pipeline(encoder(), LogisticRegression(max_iter=1000)),
        "gradient boosting": boosting(seed),
    }
    return {
        (name, way): score(learner.fit(rows, labels), rows_test, y_test)
        for name, learner in learners.items()
        for way, (rows, labels, rows_test) in ways.items()
    }


def scores(found: Scores) -> str:
    """A line for each learner and way of training."""
    return aligned(
        [
            ["learner", "trained on", "average precision"],
            *([name, way, f"{value:.3f}"] for (name, way), value in found.items()),
        ]
    )


def verdict(found: Scores) -> str:
    """One line: how far the over-sampler's rows change the score, against doing nothing."""
    gains = {
        name: value - found[name, "nothing"]
        for (name, way), value in found.items()
        if way == "advaug"
    }
    words = " and ".join(f"{gain:+.3f} ({name})" for name, gain in gains.items())
    if min(gains.values()) > 0:
        reading = "new rows helped both learners here"
    elif max(gains.values()) > 0:
        reading = "new rows helped one learner and harmed the other: try both, on held-out rows"
    else:
        reading = "doing nothing is better here: tune the threshold instead"
    return f"advaug against nothing: {words}: {reading}."


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
    ClassMapDisplay.from_sampler(sampler, X_new, y_new, ax=left)
    MarginDisplay.from_sampler(sampler, X_new, y_new, ax=right)
    with beside(path) as part:
        figure.savefig(part)
    return f"Picture: {path}"
