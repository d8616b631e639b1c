"""Detectors of attacks and of unknown classes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import (
    IsolationForest,
)
from sklearn.metrics import roc_auc_score

from advaug.attacks import Attack, AttackProblem, ascend
from advaug.robust import AdversarialClassifier, AdversarialDetector, UnknownDetector
from benchmarks.defences.rows import IMAGES, Record, images, quietly, under

# ---------------------------------------------------------------- detector


@dataclass
class Knowing(Attack):
    """PGD that turns the net and keeps the detector calm: it raises both log-odds at once.

    In long steps, then in short ones: a pixel that the detector watches must not tremble.
    """

    detector: AdversarialDetector
    weight: float = 1.0

    def __call__(self, problem: AttackProblem) -> torch.Tensor:
        def both(x: torch.Tensor) -> torch.Tensor:
            says = self.detector.net_.module(x)
            turned = problem.objective(x).clamp_max(1)
            return turned + self.weight * (says[:, 0] - says[:, 1]).clamp_max(1)

        joint = replace(problem, objective=both)
        near = ascend(joint, steps=60, step=0.1)
        return ascend(joint, steps=100, step=0.01, start=near)


def of_detector(folder: Path, seeds: int) -> Iterator[Record]:
    for seed in range(seeds):
        for name, radius in IMAGES.items():
            X, X_test, y, y_test = images(folder, name, seed)
            net = AdversarialClassifier(clean_weight=1, random_state=seed).fit(X, y)
            for on in ("rows", "activations"):
                detector = AdversarialDetector(
                    surrogate=net, attack="fgsm", radius=radius, inputs=on, random_state=seed
                ).fit(X, y)
                tried: dict[str, tuple[Any, float, float]] = {
                    "fgsm (seen)": ("fgsm", radius, np.inf),
                    "pgd": ("pgd", radius, np.inf),
                    "deepfool": ("deepfool", np.inf, 2),
                    "pgd, half the radius": ("pgd", radius / 2, np.inf),
                    "noise": ("noise", radius, np.inf),
                }
                if on == "rows":
                    tried["pgd that knows it"] = (Knowing(detector), radius, np.inf)
                clean = -detector.score_samples(X_test)
                record = {"data": name, "on": on, "seed": seed}
                record["false alarms"] = float((detector.predict(X_test) == -1).mean())
                for kind, (attack, size, norm) in tried.items():
                    moved = quietly(under, net, X_test, y_test, attack, size, norm)
                    scores = np.concatenate([clean, -detector.score_samples(moved)])
                    truth = np.arange(len(scores)) >= len(clean)
                    record[kind] = roc_auc_score(truth, scores)
                    record[f"fooled: {kind}"] = float((net.predict(moved) != y_test).mean())
                yield record


def table_of_detector(found: pd.DataFrame) -> pd.DataFrame:
    """AUC by attack and the share of images on which the attack fools the net."""
    return found.drop(columns="seed").groupby(["data", "on"], sort=False).mean().T


# ---------------------------------------------------------------- unknown classes


def of_unknown(folder: Path, seeds: int) -> Iterator[Record]:
    """Classes are held out of training in turn."""
    for seed in range(seeds):
        for name, radius in IMAGES.items():
            X, X_test, y, y_test = images(folder, name, seed)
            X, y = X[:3000], y[:3000]
            for hidden in range(10) if name == "digits" else (0, 3, 7):
                known, is_new = y != hidden, y_test == hidden
                own = (X[known], y[known])
                net = AdversarialClassifier(clean_weight=1, random_state=seed).fit(*own)
                suspects = {
                    "largest probability": -net.predict_proba(X_test).max(1),
                    "isolation forest": -IsolationForest(random_state=seed)
                    .fit(own[0].reshape(len(own[0]), -1))
                    .score_samples(X_test.reshape(len(X_test), -1)),
                }
                detectors = {
                    "noise detector": AdversarialDetector(
                        surrogate=net, attack="noise", radius=2 * radius, random_state=seed
                    ),
                    "attack detector": AdversarialDetector(
                        surrogate=net, attack="pgd", radius=2 * radius, random_state=seed
                    ),
                    "unknown detector": UnknownDetector(random_state=seed),
                    "unknown detector, no label": UnknownDetector(random_state=seed),
                }
                record = {"data": name, "seed": seed, "hidden": hidden}
                for who, detector in detectors.items():
                    detector.fit(own[0], None if "no label" in who else own[1])
                    suspects[who] = -detector.score_samples(X_test)
                for who, scores in suspects.items():
                    record[who] = roc_auc_score(is_new, scores)
                told = detectors["unknown detector"].predict(X_test) == -1
                record["unknown refused"] = float(told[is_new].mean())
                record["known refused"] = float(told[~is_new].mean())
                yield record


def table_of_unknown(found: pd.DataFrame) -> pd.DataFrame:
    """AUC of a hidden class against the known ones, mean over hidden classes (digits: ten;
    MNIST: 0, 3, 7), and what the unknown detector refuses at its threshold."""
    return found.drop(columns=["seed", "hidden"]).groupby("data", sort=False).mean().T
