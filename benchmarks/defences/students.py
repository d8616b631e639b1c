"""How students of a committee resist attacks, with and without attacked rows among their own.

Attacked rows bear the soft labels of the rows that they were moved from (robust soft label
distillation: Zi et al. ICCV 2021). Noise of the same length is the control.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from advaug import CommitteeClassifier
from advaug.estimators.committee_classifier import checked_data, fit_teacher_dataset
from advaug.robust import robustness_table
from advaug.robust.robustness import adversarial_rows
from advaug.robust.soft_labels import SoftRows, soft_rows
from benchmarks.defences.rows import TABLE_RADIUS, Record, names_of_numbers, tables
from benchmarks.oversampling.data import encoder_of
from benchmarks.oversampling.learners import smallest_leaf

MOST = 10  # tables
ROUNDS = 2  # How often a student is attacked and fitted again.
ASKED = 40  # Test rows of each class that are attacked.
ATTACKS = ("square", "hopskipjump")


def learners(n: int) -> dict[str, Any]:
    """Classifiers that no gradient reaches."""
    return {
        "forest": RandomForestClassifier(50, random_state=0),
        "boosting": HistGradientBoostingClassifier(
            max_iter=60, min_samples_leaf=smallest_leaf(n), random_state=0
        ),
    }


@dataclass(frozen=True)
class Lesson:
    """A table of numbers, standardised, with what a committee teaches of it.

    `few` are the test rows that are attacked, `noisy` the training rows moved at random, ROUNDS
    times.
    """

    name: str
    seed: int
    rows: np.ndarray
    y: np.ndarray
    asked: np.ndarray
    y_asked: np.ndarray
    few: np.ndarray
    teacher: CommitteeClassifier
    soft: SoftRows
    noisy: np.ndarray


def lessons(folder: Path, seeds: int, n_asked: int) -> Iterator[Lesson]:
    """Of each table a lesson; `n_asked` test rows of each class are attacked."""
    for name, seed, (X, X_test, y, y_test) in tables(
        folder, MOST, seeds, names_of_numbers(folder, MOST)
    ):
        encode = encoder_of(X)
        scaler = StandardScaler().fit(encode(X))
        rows, asked = scaler.transform(encode(X)), scaler.transform(encode(X_test))
        random = np.random.RandomState(seed)
        few = np.concatenate(
            [random.permutation(np.flatnonzero(y_test == label))[:n_asked] for label in (0, 1)]
        )
        teacher = CommitteeClassifier(random_state=seed)
        data = checked_data(teacher, rows, y)
        dataset = fit_teacher_dataset(data, "auto", "auto")
        teacher.fit_encoded(data, dataset)
        soft = soft_rows(data, dataset, teacher.held_out_probability_, teacher.predict_proba)
        signs = np.sign(random.normal(size=(ROUNDS * len(y), rows.shape[1])))
        noisy = np.tile(rows, (ROUNDS, 1)) + TABLE_RADIUS * signs
        yield Lesson(name, seed, rows, y, asked, y_test, few, teacher, soft, noisy)


def of_students(folder: Path, seeds: int) -> Iterator[Record]:
    for lesson in lessons(folder, seeds, ASKED):
        rows, y, seed, soft = lesson.rows, lesson.y, lesson.seed, lesson.soft
        asked, few = lesson.asked, lesson.few
        moved = {
            "and noise": lesson.noisy,
            "and PGD on the nets": np.concatenate(
                [attacked(lesson.teacher, rows, y, "pgd", seed + k) for k in range(ROUNDS)]
            ),
        }
        for who, estimator in learners(len(y)).items():
            models = {"plain": clone(estimator).fit(rows, y)}
            weight = compute_sample_weight("balanced", y)
            models["class weights"] = clone(estimator).fit(rows, y, sample_weight=weight)
            models["distilled"] = taught(estimator, soft)
            models |= {
                f"distilled {way}": taught(estimator, with_all(soft, new, len(y)))
                for way, new in moved.items()
            }
            models["distilled and Square on itself"] = in_rounds(estimator, soft, rows, y, seed)
            table = robustness_table(
                models, asked[few], lesson.y_asked[few], attacks=ATTACKS, radius=TABLE_RADIUS
            ).set_index("estimator")
            transfer = robustness_table(
                models,
                asked[few],
                lesson.y_asked[few],
                attacks=["pgd"],
                radius=TABLE_RADIUS,
                surrogate="auto",
            ).set_index("estimator")
            for way, model in models.items():
                p = model.predict_proba(asked)[:, 1]
                yield {
                    "set": lesson.name,
                    "seed": seed,
                    "model": who,
                    "rows": way,
                    "AP": float(average_precision_score(lesson.y_asked, p)),
                    **table.loc[way].to_dict(),
                    "transfer": transfer.loc[way, "pgd"],
                }


def attacked(model: Any, rows: np.ndarray, y: np.ndarray, attack: str, seed: int) -> np.ndarray:
    """The rows, each moved against its label."""
    moved = adversarial_rows(model, rows, y, attack=attack, radius=TABLE_RADIUS, random_state=seed)
    return np.asarray(moved)


def taught(estimator: Any, soft: SoftRows) -> Any:
    """A student."""
    return soft.fit(estimator, np.random.RandomState(0))


def with_all(soft: SoftRows, moved: np.ndarray, n: int) -> SoftRows:
    """The rows with those of all rounds, each as many as the n real ones."""
    for rows in np.split(moved, len(moved) // n):
        soft = soft.with_moved(rows)
    return soft


def in_rounds(estimator: Any, soft: SoftRows, rows: np.ndarray, y: np.ndarray, seed: int) -> Any:
    """What `DistilledClassifier(attack="square")` fits, with a teacher that all share."""
    student = taught(estimator, soft)
    for k in range(ROUNDS):
        soft = soft.with_moved(attacked(student, rows, y, "square", seed + k))
        student = taught(estimator, soft)
    return student


def table_of_students(found: pd.DataFrame) -> pd.DataFrame:
    """AP of all held-out rows; balanced accuracy on 40 of each class, on noise of .3 standard
    deviations, under two attacks that query the model, and on rows that were moved against another
    committee: means over ten tables of numbers."""
    keys = ["model", "rows"]
    return found.drop(columns=["set", "seed"]).groupby(keys, sort=False).mean()
