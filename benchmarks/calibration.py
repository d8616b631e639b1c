"""Do probabilities mean what they say after over-sampling, and after the repair?

Each learner is trained on the rows as they are, over-sampled, and over-sampled within
`PriorCorrectedClassifier` by its closed form ("prior"), its learnt map ("beta") and the map stacked
with the model not resampled ("stacked"); then Brier score and log-loss on held-out rows are set
against those of no over-sampling. "nothing + beta" and "nothing + stacked" are the controls: how
much of a gain is the map's own.

    python -m benchmarks.calibration --data FOLDER

FOLDER holds manifest.csv and read.py. The sets are the first ten of benchmarks.judge that
are no other's variant, with --confirm the seven after them: how strongly "stacked" is held to the
plain model was chosen on the first. Of a larger majority 1000 random rows are taken. Probabilities
are cut to [.0001, .9999] for the log-loss, or a single zero of a forest would decide it.
"""

import argparse
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import joblib
import numpy as np
import pandas as pd
from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC
from imblearn.pipeline import make_pipeline
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from advaug import AdversarialOverSampler, PriorCorrectedClassifier
from benchmarks.judge import binary_sets
from benchmarks.oversampling.data import encoder_of, kinds, load, texts
from benchmarks.tables import machine, markdown, save

MOST = 1000  # majority rows
TOLERANCE = 0.02
LEARNERS = {
    "logistic": LogisticRegression(max_iter=1000),
    "forest": RandomForestClassifier(50, random_state=0),
    "boosting": HistGradientBoostingClassifier(max_iter=50, random_state=0),
}


def by_smotenc(X: pd.DataFrame, y: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """SMOTENC (SMOTE without categories, SMOTEN without numbers) on scaled, imputed rows."""
    numeric, other = kinds(X)
    if not numeric:
        return SMOTEN(random_state=0).fit_resample(texts(X), y)
    scaler = StandardScaler().fit(X[numeric])
    rows = pd.concat([X[numeric].astype(float), texts(X[other])], axis=1)
    rows[numeric] = scaler.transform(X[numeric].fillna(X[numeric].median()))
    sampler = SMOTENC(other, random_state=0) if other else SMOTE(random_state=0)
    new, labels = sampler.fit_resample(rows, y)
    new[numeric] = scaler.inverse_transform(new[numeric])
    return pd.concat([X, new[len(X) :][X.columns]], ignore_index=True), labels


class Sampler(BaseEstimator):
    """SMOTE, advaug or nothing as a step of a pipeline; the same rows are resampled once."""

    made: ClassVar[dict[str, Any]] = {}

    def __init__(self, name: str) -> None:
        self.name = name

    def fit_resample(self, X: pd.DataFrame, y: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
        if self.name == "nothing":
            return X, y
        X, key = X.reset_index(drop=True), self.name + joblib.hash((X, y))
        if key not in self.made:
            grow = AdversarialOverSampler(random_state=0).fit_resample
            self.made[key] = (by_smotenc if self.name == "SMOTE" else grow)(X, y)
        return self.made[key]


class Once(ClassifierMixin, BaseEstimator):
    """A learner at the end of a pipeline; the same rows are learnt once."""

    made: ClassVar[dict[str, Any]] = {}

    def __init__(self, name: str) -> None:
        self.name = name

    def fit(self, X: np.ndarray, y: np.ndarray) -> "Once":
        key = self.name + joblib.hash((X, np.asarray(y)))
        if key not in self.made:
            self.made[key] = clone(LEARNERS[self.name]).fit(X, y)
        self.model_ = self.made[key]
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return self.model_.predict_proba(X)


class Encode(TransformerMixin, BaseEstimator):
    """Numbers imputed and scaled, categories one-hot, learnt from what the sampler hands on."""

    def fit(self, X: pd.DataFrame, y: Any = None) -> "Encode":
        self.encode_ = encoder_of(X)
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        return self.encode_(X)


SAMPLERS = ("nothing", "SMOTE", "advaug")


def probabilities(
    X: pd.DataFrame, y: np.ndarray, X_test: pd.DataFrame
) -> Iterator[tuple[str, str, str, np.ndarray]]:
    """Learner, sampler, repair and the held-out probabilities."""
    Sampler.made.clear()
    Once.made.clear()
    for sampler in SAMPLERS:
        for learner in LEARNERS:
            whole = make_pipeline(Sampler(sampler), Encode(), Once(learner))
            repairs = {
                method: PriorCorrectedClassifier(whole, method=method).fit(X, y)
                for method in ("prior", "beta", "stacked")
            }
            repairs = {"raw": repairs["prior"].estimators_[0]} | repairs
            for repair, fitted in repairs.items():
                yield learner, sampler, repair, fitted.predict_proba(X_test)[:, 1]


def records(name: str, X: pd.DataFrame, y: np.ndarray, seed: int) -> list[dict[str, Any]]:
    """The scores of every way on one split of a set."""
    chance = np.random.RandomState(seed)
    most = chance.permutation(np.flatnonzero(y == 0))[:MOST]
    rows = np.sort(np.concatenate([np.flatnonzero(y == 1), most]))
    X, y = X.iloc[rows].reset_index(drop=True), y[rows]
    split = StratifiedShuffleSplit(1, test_size=1 / 3, random_state=seed)
    train, test = next(split.split(X, y))
    X_train, X_test = X.iloc[train].reset_index(drop=True), X.iloc[test]
    return [
        {
            "set": name,
            "seed": seed,
            "learner": learner,
            "way": sampler if repair == "raw" else f"{sampler} + {repair}",
            "Brier": brier_score_loss(y[test], p),
            "log-loss": log_loss(y[test], p.clip(1e-4, 1 - 1e-4)),
            "AUC": roc_auc_score(y[test], p),
        }
        for learner, sampler, repair, p in probabilities(X_train, y[train], X_test)
    ]


def relative(table: pd.DataFrame) -> pd.DataFrame:
    """Brier and log-loss of each set (mean over splits) over those of no over-sampling."""
    means = table.groupby(["learner", "way", "set"], sort=False)[
        ["Brier", "log-loss", "AUC"]
    ].mean()
    none = means.xs("nothing", level="way")
    ratio = means[["Brier", "log-loss"]].div(none[["Brier", "log-loss"]])
    return ratio.join(means["AUC"])


def summary(ratio: pd.DataFrame) -> pd.DataFrame:
    """For each learner and way the geometric mean of the ratios, and sets within the tolerance."""
    lines = {}
    for (learner, way), part in ratio.groupby(level=["learner", "way"], sort=False):
        within = (part[["Brier", "log-loss"]] <= 1 + TOLERANCE).sum().astype(str)
        mean = np.exp(np.log(part[["Brier", "log-loss"]]).mean())
        lines[f"{learner}, {way}"] = {
            "Brier": mean["Brier"],
            "log-loss": mean["log-loss"],
            "worst Brier": part["Brier"].max(),
            "worst log-loss": part["log-loss"].max(),
            f"sets within {TOLERANCE:.0%}: Brier": f"{within['Brier']} of {len(part)}",
            "log-loss within": f"{within['log-loss']} of {len(part)}",
            "AUC": part["AUC"].mean(),
        }
    return pd.DataFrame(lines).T


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="has manifest.csv and read.py")
    parser.add_argument("--seeds", type=int, default=1, help="splits of each set")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/calibration.json"))
    parser.add_argument(
        "--confirm", action="store_true", help="the seven sets after them: nothing was chosen there"
    )
    args = parser.parse_args()
    known = binary_sets(args.data, core=True)
    names = known[10:] if args.confirm else known[:10]
    warnings.simplefilter("ignore", ConvergenceWarning)
    found: list[dict[str, Any]] = []
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for seed in range(args.seeds):
        for name in tqdm(names):
            table = load(args.data, name)
            found += records(name, table.X, table.y, seed)
            write(pd.DataFrame(found), args.out)
    print(args.out.with_suffix(".md").read_text())


def write(table: pd.DataFrame, out: Path) -> None:
    """What is known so far."""
    ratio = relative(table)
    cells = json.loads(ratio.round(5).reset_index().to_json(orient="records"))
    done = {"machine": machine(), "splits": table.groupby("set", sort=False)["seed"].nunique()}
    done["splits"] = done["splits"].to_dict()
    out.write_text(json.dumps(done | {"over no over-sampling": cells}, indent=1) + "\n")
    splits = (
        f"{len(done['splits'])} sets, {table['seed'].nunique()} split(s) of each, at most {MOST} "
    )
    splits += f"rows of the majority; {done['machine']}"
    save(f"{markdown(summary(ratio), 3)}\n\n{splits}", out.with_suffix(".md"))


if __name__ == "__main__":
    main()
