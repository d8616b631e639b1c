"""How far forests and boosting can be made robust, with certificates and with noise as control.

Trees learn the soft labels of a committee on rows with noise, or the leaves of a forest are
labelled again (Vos, Verwer. ECML PKDD 2022). A small tree has few leaves near a row.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.metrics import average_precision_score, balanced_accuracy_score

from advaug.robust import robustness_table
from benchmarks.defences.relabelled import relabelled
from benchmarks.defences.rows import TABLE_RADIUS, Record
from benchmarks.defences.students import ROUNDS, Lesson, learners, lessons, taught, with_all

ASKED = 20  # Test rows of each class that are attacked.
SECONDS = 0.3  # for the proof of a row, which mostly takes a tenth of them
LEAVES = 64  # of each tree of a small forest


def of_trees(folder: Path, seeds: int) -> Iterator[Record]:
    lines = Parallel(n_jobs=-1, return_as="generator")(
        delayed(of_lesson)(lesson) for lesson in lessons(folder, seeds, ASKED)
    )
    for some in lines:
        yield from some


def of_lesson(lesson: Lesson) -> list[Record]:
    """What each way to fit brings on one table."""
    found, asked, few = [], lesson.asked, lesson.few
    for who, estimator in trees(len(lesson.y)).items():
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
            scores = {
                "AP": float(average_precision_score(lesson.y_asked, p)),
                "balanced accuracy": float(
                    balanced_accuracy_score(lesson.y_asked, model.predict(asked))
                ),
            }
            about = {"set": lesson.name, "seed": lesson.seed, "model": who, "rows": way}
            found.append({**about, **scores, **table.loc[way].to_dict()})
    return found


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
    if who == "small forest":
        for way in ("plain", "noise"):
            models[f"{way}, relabelled"] = relabelled(models[way], rows, y, TABLE_RADIUS)
    models["distilled, noise"] = taught(estimator, with_all(soft, noisy, len(y))).estimator
    return models


def table_of_trees(found: pd.DataFrame) -> pd.DataFrame:
    """AP and balanced accuracy of all held-out rows; accuracy on 20 of each class: clean, on noise
    of .3 standard deviations, after the leaf search, and proven: means over ten tables of
    numbers."""
    keys = ["model", "rows"]
    return found.drop(columns=["set", "seed"]).groupby(keys, sort=False).mean()
