"""What `n_jobs=2` of `AugmentedClassifier(sampler="auto")` gains: CPU seconds of the folds.

The busier process decides how long two idle cores take, whatever else the machine does meanwhile.
`first call` also counts what a new process imports; later calls find the processes ready.

    python -m benchmarks.n_jobs
"""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from joblib import Parallel, delayed
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from advaug import containers
from advaug.estimators.committee_classifier import checked_data
from advaug.robust import AugmentedClassifier
from advaug.robust.gate import Lesson, answers_of_fold
from benchmarks.oversamplers import SEED, numbers
from benchmarks.tables import machine, markdown, save

ROWS, COLUMNS, N_JOBS = 2000, 20, 2
CLASSIFIERS = {
    "logistic regression": LogisticRegression(),
    "histogram boosting": HistGradientBoostingClassifier(random_state=SEED),
}


def timed(estimator: Any, inner: Lesson, X: Any) -> tuple[int, float, float]:
    """The process, CPU seconds of a fold, and those of the process so far."""
    start = time.process_time()
    answers_of_fold(estimator, inner, X)
    return os.getpid(), time.process_time() - start, time.process_time()


def busiest(estimator: Any, folds: list[tuple[Lesson, Any]], n_jobs: int) -> tuple[float, float]:
    """CPU seconds of the busier process in its folds, and what it did before them."""
    fresh = [(replace(inner), X) for inner, X in folds]  # What a lesson makes is made anew.
    told = Parallel(n_jobs=n_jobs)(delayed(timed)(estimator, *one) for one in fresh)
    spent: dict[int, float] = {}
    for process, seconds, _ in told:
        spent[process] = spent.get(process, 0.0) + seconds
    process = max(spent, key=lambda one: spent[one])
    life = max(life for one, _, life in told if one == process)
    return spent[process], life - spent[process]


def main() -> None:
    torch.set_num_threads(1)
    X, y = numbers(ROWS, COLUMNS)
    settings = AugmentedClassifier(LogisticRegression(), sampler="auto", random_state=SEED)
    lesson = Lesson.of(checked_data(settings, X, y))
    rows = [lesson.fold_of_row == fold for fold in range(len(lesson.without_folds))]
    folds = [
        (inner, containers.take(X, own.nonzero()[0]))
        for inner, own in zip(lesson.without_folds, rows, strict=True)
    ]
    start = None
    table = {}
    for name, classifier in CLASSIFIERS.items():
        alone, _ = busiest(classifier, folds, 1)
        two, before = busiest(classifier, folds, N_JOBS)
        start = before if start is None else start
        found = {"one process": alone, "busier of two": two, "gain": alone / two}
        table[name] = found | {"first call": two + start, "its gain": alone / (two + start)}
        print(name, {key: round(value, 2) for key, value in table[name].items()}, flush=True)
    page = markdown(pd.DataFrame(table).T.rename_axis("CPU seconds"), 2)
    text = f"{ROWS} x {COLUMNS}, {len(folds)} folds, four fits in each. {machine()}."
    save(f"# Folds side by side\n\n{text}\n\n{page}", Path("benchmarks/results/n_jobs.md"))


if __name__ == "__main__":
    main()
