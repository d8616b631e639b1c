"""How far forests and boosting can be made robust, with certificates and with noise as control.

Rows moved by the leaf search join the rows that boosting is fitted on (Kantchelian, Tygar, Joseph.
ICML 2016); trees learn the soft labels of a committee; leaves of forests are labelled again (Vos,
Verwer. ECML PKDD 2022). Small trees have fewer leaves near a row: more moves cannot change them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import average_precision_score, balanced_accuracy_score

from advaug import AdversarialTransformer
from advaug.attacks import LeafSearch
from advaug.robust import AugmentedClassifier, robustness_table
from benchmarks.defences.relabelled import relabelled
from benchmarks.defences.rows import TABLE_RADIUS, Record
from benchmarks.defences.students import ROUNDS, Lesson, learners, lessons, taught, with_all

ASKED = 20  # Test rows of each class that are attacked.
SECONDS = 0.5  # for the proof of a row, which mostly takes less than a tenth of them
LEAVES = 64  # of each tree of a small forest


def of_trees(folder: Path, seeds: int) -> Iterator[Record]:
    for lesson in lessons(folder, seeds, ASKED):
        y, asked, few = lesson.y, lesson.asked, lesson.few
        for who, estimator in trees(len(y)).items():
            models = models_of(who, estimator, lesson)
            table = robustness_table(
                models,
                asked[few],
                lesson.y_asked[few],
                attacks=["leaves"],
                radius=TABLE_RADIUS,
                certify=True,
                time_limit=SECONDS,
            ).set_index("estimator")
            for way, model in models.items():
                p = model.predict_proba(asked)[:, 1]
                yield {
                    "set": lesson.name,
                    "seed": lesson.seed,
                    "model": who,
                    "rows": way,
                    "AP": float(average_precision_score(lesson.y_asked, p)),
                    "balanced accuracy": float(
                        balanced_accuracy_score(lesson.y_asked, model.predict(asked))
                    ),
                    **table.loc[way].to_dict(),
                }


def trees(n: int) -> dict[str, Any]:
    """Those of students, and a forest of small trees."""
    known = learners(n)
    small = clone(known["forest"]).set_params(max_leaf_nodes=LEAVES)
    return {"forest": known["forest"], "small forest": small, "boosting": known["boosting"]}


def models_of(who: str, estimator: Any, lesson: Lesson) -> dict[str, Any]:
    """The ways to fit; of the large forest those alone that the small one is compared with."""
    rows, y, noisy, soft = lesson.rows, lesson.y, lesson.noisy, lesson.soft
    models = {
        "plain": clone(estimator).fit(rows, y),
        "noise": clone(estimator).fit(np.concatenate([rows, noisy]), np.tile(y, ROUNDS + 1)),
    }
    if who == "forest":
        return models
    if who == "boosting":
        models["leaf search"] = hardened(estimator, rows, y, lesson.seed)
    else:
        for way in ("plain", "noise"):
            models[f"{way}, relabelled"] = relabelled(models[way], rows, y, TABLE_RADIUS)
    models["distilled"] = taught(estimator, soft).estimator
    models["distilled, noise"] = taught(estimator, with_all(soft, noisy, len(y))).estimator
    return models


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
