"""How far forests and boosting can be made robust, with certificates and with noise as control.

Rows moved by the leaf search, which finds the shortest moves that there are, join the rows that the
trees are fitted on: with their own labels (Kantchelian, Tygar, Joseph. ICML 2016), or with the soft
labels of a committee.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import average_precision_score, balanced_accuracy_score
from sklearn.preprocessing import StandardScaler

from advaug import AdversarialTransformer, CommitteeClassifier
from advaug.attacks import LeafSearch
from advaug.estimators.committee_classifier import checked_data, fit_teacher_dataset
from advaug.robust import AugmentedClassifier, robustness_table
from advaug.robust.soft_labels import soft_rows
from benchmarks.defences.rows import TABLE_RADIUS, Record, names_of_numbers, tables
from benchmarks.defences.students import ROUNDS, learners, taught, with_all
from benchmarks.oversampling.data import encoder_of

MOST, ASKED = 10, 20  # tables; test rows of each class that are attacked
SECONDS = 0.2  # for the proof of a row


def of_trees(folder: Path, seeds: int) -> Iterator[Record]:
    for name, seed, (X, X_test, y, y_test) in tables(
        folder, MOST, seeds, names_of_numbers(folder, MOST)
    ):
        encode = encoder_of(X)
        scaler = StandardScaler().fit(encode(X))
        rows, asked = scaler.transform(encode(X)), scaler.transform(encode(X_test))
        random = np.random.RandomState(seed)
        few = np.concatenate(
            [random.permutation(np.flatnonzero(y_test == label))[:ASKED] for label in (0, 1)]
        )
        teacher = CommitteeClassifier(random_state=seed)
        data = checked_data(teacher, rows, y)
        dataset = fit_teacher_dataset(data, "auto", "auto")
        teacher.fit_encoded(data, dataset)
        soft = soft_rows(data, dataset, teacher.held_out_probability_, teacher.predict_proba)
        signs = np.sign(random.normal(size=(ROUNDS * len(y), rows.shape[1])))
        noisy = np.tile(rows, (ROUNDS, 1)) + TABLE_RADIUS * signs
        for who, estimator in learners(len(y)).items():
            models = {
                "plain": clone(estimator).fit(rows, y),
                "noise": clone(estimator).fit(
                    np.concatenate([rows, noisy]), np.tile(y, ROUNDS + 1)
                ),
                "leaf search": hardened(estimator, rows, y, seed),
                "distilled": taught(estimator, soft).estimator,
                "distilled, noise": taught(estimator, with_all(soft, noisy, len(y))).estimator,
            }
            table = robustness_table(
                models,
                asked[few],
                y_test[few],
                attacks=["leaves"],
                radius=TABLE_RADIUS,
                certify=True,
                time_limit=SECONDS,
            ).set_index("estimator")
            for way, model in models.items():
                p = model.predict_proba(asked)[:, 1]
                yield {
                    "set": name,
                    "seed": seed,
                    "model": who,
                    "rows": way,
                    "AP": float(average_precision_score(y_test, p)),
                    "balanced accuracy": float(
                        balanced_accuracy_score(y_test, model.predict(asked))
                    ),
                    **table.loc[way].to_dict(),
                }


def hardened(estimator: Any, rows: np.ndarray, y: np.ndarray, seed: int) -> Any:
    """Fitted again on its own adversarial rows, in rounds."""
    mover = AdversarialTransformer(attack=LeafSearch(max_boxes=0), radius=TABLE_RADIUS)
    model = AugmentedClassifier(estimator, mover, n_rounds=ROUNDS, random_state=seed)
    return model.fit(rows, y).estimator_


def table_of_trees(found: pd.DataFrame) -> pd.DataFrame:
    """AP and balanced accuracy of all held-out rows; accuracy on 20 of each class: clean, on noise
    of .3 standard deviations, after the leaf search, and proven: means over ten tables of
    numbers."""
    keys = ["model", "rows"]
    return found.drop(columns=["set", "seed"]).groupby(keys, sort=False).mean()
