"""What other models become: augmented with their own adversarial rows, and their students."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import average_precision_score
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch.nn.functional import cross_entropy

from advaug import AdversarialTransformer
from advaug.attacks import FGSM, PGD, Attack, AttackProblem, ascend
from advaug.models.training import Training
from advaug.robust import (
    AdversarialClassifier,
    AugmentedClassifier,
    DistilledClassifier,
    robustness_table,
)
from benchmarks.defences.rows import IMAGES, TABLE_RADIUS, Record, images, quietly, tables, under
from benchmarks.oversampling.data import encoder_of

# ---------------------------------------------------------------- any classifier, in rounds


ANY = {
    "SVC": SVC(class_weight="balanced"),
    "SVC, gamma 1": SVC(gamma=1.0, class_weight="balanced"),
    "perceptron": MLPClassifier((50,), max_iter=300, random_state=0),
    "forest": RandomForestClassifier(50, class_weight="balanced", random_state=0),
}


def of_augmented(folder: Path, seeds: int) -> Iterator[Record]:
    for name, seed, (X, X_test, y, y_test) in tables(folder, 5, seeds):
        encode = encoder_of(X)
        scaler = StandardScaler().fit(encode(X))
        rows, asked = scaler.transform(encode(X)), scaler.transform(encode(X_test))
        few = np.random.RandomState(seed).permutation(len(y_test))[:150]
        for who, estimator in ANY.items():
            mover = AdversarialTransformer(attack="noise", radius=TABLE_RADIUS)
            noisy = AugmentedClassifier(estimator, mover, random_state=seed).fit(rows, y)
            own = AugmentedClassifier(estimator, random_state=seed).fit(rows, y)
            models = {
                "plain": clone(estimator).fit(rows, y),
                "noise": noisy.estimator_,
                "own rows": own.estimator_,
            }
            table = robustness_table(models, asked[few], y_test[few], radius=TABLE_RADIUS)
            for way, line in table.set_index("estimator").iterrows():
                yield {"set": name, "seed": seed, "model": who, "augmented": way, **line}


def table_of_augmented(found: pd.DataFrame) -> pd.DataFrame:
    """Balanced accuracy on held-out rows, on noise of .3 standard deviations and under PGD, or
    where there is no gradient Square: means over five tables."""
    keys = ["model", "augmented"]
    means = found.drop(columns=["set", "seed"]).groupby(keys, sort=False).mean()
    return means.rename(columns={"auto": "attacked"})


# ---------------------------------------------------------------- distillation


@dataclass
class CrossEntropyFGSM(Attack):
    """The textbook step: the sign of the cross-entropy's own float32 gradient, which vanishes."""

    def __call__(self, problem: AttackProblem) -> torch.Tensor:
        objective: Any = problem.objective

        def loss(x: torch.Tensor) -> torch.Tensor:
            return cross_entropy(objective.logits(x), objective.label, reduction="none")

        return ascend(replace(problem, objective=loss), steps=1, step=1.0)


def of_distillation(folder: Path, seeds: int) -> Iterator[Record]:
    for seed in range(seeds):
        for name, radius in IMAGES.items():
            X, X_test, y, y_test = images(folder, name, seed)
            net = AdversarialClassifier(clean_weight=1, random_state=seed).fit(X, y)
            models = {"a net": net}
            for warmth in (1, 20, 100):
                models[f"its student, T = {warmth}"] = DistilledClassifier(
                    "net",
                    FrozenEstimator(net),
                    n_new_rows=0,
                    softening=1,
                    balance=0,
                    temperature=warmth,
                    random_state=seed,
                ).fit(X, y)
            for who, model in models.items():
                record = {"data": name, "radius": radius, "model": who, "seed": seed}
                record["clean"] = 100 * (1 - model.score(X_test, y_test))
                for kind, attack in (
                    ("noise", "noise"),
                    ("FGSM on cross-entropy", CrossEntropyFGSM()),
                    ("FGSM on log-odds", FGSM()),
                    ("PGD on the margin", PGD(stop_at=0.0)),
                ):
                    moved = quietly(under, model, X_test, y_test, attack, radius)
                    record[kind] = 100 * (1 - model.score(moved, y_test))
                yield record


def table_of_distillation(found: pd.DataFrame) -> pd.DataFrame:
    """Errors in percent, mean over seeds."""
    return found.drop(columns="seed").groupby(["data", "radius", "model"], sort=False).mean()


# ---------------------------------------------------------------- compression


class Voices(ClassifierMixin, BaseEstimator):
    """A committee: five small nets, extra trees and boosting, each family with one vote."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> "Voices":
        self.classes_, self.encode_ = np.unique(y), encoder_of(X)
        self.nets_ = [
            AdversarialClassifier(clean_weight=1, random_state=k).fit(X, y) for k in range(5)
        ]
        rows = self.encode_(X)
        self.trees_ = [
            ExtraTreesClassifier(200, min_samples_leaf=3, random_state=0).fit(rows, y),
            HistGradientBoostingClassifier(
                max_iter=60, learning_rate=0.07, max_leaf_nodes=15, random_state=0
            ).fit(rows, y),
        ]
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        nets = np.mean([net.predict_proba(X) for net in self.nets_], axis=0)
        rows = self.encode_(X)
        return np.mean([nets, *(tree.predict_proba(rows) for tree in self.trees_)], axis=0)


WIDE = 128  # hidden units of the wider nets
COPIES = 20


def of_compression(folder: Path, seeds: int) -> Iterator[Record]:
    for name, seed, (X, X_test, y, y_test) in tables(folder, 10, seeds):
        committee = Voices().fit(X, y)
        wide, long = (
            Training(hidden_width=WIDE),
            Training(hidden_width=WIDE, epochs=10 * (1 + COPIES)),
        )
        nets = {"net alone": Training(), "wide net": wide, "wide net, as many steps": long}
        models: dict[str, Any] = {"committee": committee}
        for who, training in nets.items():
            net = AdversarialClassifier(clean_weight=1, training=training, random_state=seed)
            models[who] = net.fit(X, y)
        for copies, training in ((0, Training()), (COPIES, Training()), (COPIES, wide)):
            student = DistilledClassifier(
                "net",
                FrozenEstimator(committee),
                n_new_rows=copies * len(y),
                softening=1,
                balance=0,
                training=training,
                random_state=seed,
            )
            width = "wide " if training is wide else ""
            models[f"{width}student, {copies} copies"] = student.fit(X, y)
        record: Record = {"set": name, "seed": seed}
        for who, model in models.items():
            record[who] = average_precision_score(y_test, model.predict_proba(X_test)[:, 1])
        yield record


def table_of_compression(found: pd.DataFrame) -> pd.DataFrame:
    """AP by set, its mean, and the share of the committee's mean gain that each model keeps."""
    means = found.drop(columns="seed").groupby("set", sort=False).mean()
    means.loc["mean"] = means.mean()
    gain = means.loc["mean"] - means.loc["mean", "net alone"]
    means.loc["share of the gain"] = gain / gain["committee"]
    return means
