"""Cells on disk: the test probabilities of one (set, seed, fold, method), a parquet part each.

What is there is not run again, so a run may be stopped at any time; a method's file is named by
its whole name with its options, its folder by the strategy and the cut of the training rows.
"""

import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.class_weight import compute_sample_weight
from tqdm import tqdm

from benchmarks.oversampling import data
from benchmarks.oversampling.distillation import TAUGHT, Answer, taught
from benchmarks.oversampling.domains import DOMAINS
from benchmarks.oversampling.learners import best_settings
from benchmarks.oversampling.methods import (
    CLASSIFIERS,
    code_of,
    committee_probability,
    parts_of,
    resample,
    totals_of,
)
from benchmarks.oversampling.samplers import Fold
from benchmarks.oversampling.signal_teachers import stack


@dataclass(frozen=True)
class Plan:
    """What a table of results is made of."""

    folder: Path
    cells: Path
    sets: tuple[str, ...]
    methods: tuple[str, ...]
    task: str = "binary"
    strategy: str = "balance"
    most_rows: int | None = 3000  # training folds above it are cut at the classes' own shares
    seeds: int = 1
    folds: int = 5
    domain: str = "tabular"
    is_tuned: bool = False  # with the learners that are tuned on each fold
    few_learners: tuple[str, ...] = ()  # instead of the domain's

    @property
    def learners(self) -> tuple[str, ...]:
        """Names of the learners."""
        kind = DOMAINS[self.domain]
        return self.few_learners or kind.learners + (kind.tuned if self.is_tuned else ())

    def path(self, name: str, seed: int, fold: int, method: str) -> Path:
        """The file of a cell."""
        _, strategy = parts_of(method, self.strategy)
        place = f"{self.task}-{self.folds}folds-{self.most_rows or 'all'}rows"
        place += "-tuned" if self.is_tuned else ""
        place += "".join(f"-{learner}" for learner in self.few_learners)
        return (
            self.cells
            / place
            / name
            / f"{strategy}-{seed}-{fold}"
            / f"{quote(method, safe='')}.parquet"
        )

    def parts(self) -> Iterable[tuple[str, int, int]]:
        """Set, seed and fold of everything that is to be run."""
        return ((n, s, k) for n in self.sets for s in range(self.seeds) for k in range(self.folds))


def run(plan: Plan, jobs: int = 2) -> list[str]:
    """Run what is missing, big sets first, with a progress bar; failures are returned."""
    missing = defaultdict(list)
    for key in plan.parts():
        for method in plan.methods:
            if not plan.path(*key, method).is_file():
                missing[key].append(method)
    known = data.catalogue(plan.folder, domain=DOMAINS[plan.domain].shelf)
    rows = known.set_index("name")["rows"].to_dict()
    order = sorted(missing, key=lambda key: -rows.get(key[0], 0))
    tasks = (delayed(run_fold)(plan, *key, missing[key]) for key in order)
    total, failures = sum(map(len, missing.values())), []
    workers = Parallel(jobs, return_as="generator_unordered", pre_dispatch="2*n_jobs")
    with tqdm(total=total, unit="cell", desc=plan.strategy, disable=not total) as bar:
        for done, failed in workers(tasks):
            bar.update(done)
            failures += failed
    return failures


def run_fold(
    plan: Plan, name: str, seed: int, fold: int, methods: list[str]
) -> tuple[int, list[str]]:
    """All missing methods of one fold, each written as soon as it is done."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.filterwarnings("ignore", "too few rows to learn from")  # meant for users
    table = data.load(plan.folder, name, plan.task, DOMAINS[plan.domain].shelf)
    train, test = parted(plan, table, seed, fold)
    X, y = data.take(table.X, train), table.y[train]
    encode = DOMAINS[plan.domain].encoder_of(X)
    rows = Fold(X, encode(X), y, encode, totals_of(plan.strategy, y), seed)
    X_test, failures = data.take(table.X, test), []
    for learner in DOMAINS[plan.domain].tuned if plan.is_tuned else ():
        best_settings(learner, rows)  # all methods share them: no method's clock runs
    for method in methods:
        try:
            cell = run_cell(method, rows, X_test, plan.domain, plan.learners)
        except Exception as error:  # one method's fault must not stop an hour's run
            failures.append(f"{method} on {name}, seed {seed}, fold {fold}: {error!r}")
            continue
        facts = {"set": name, "base": table.base, "seed": seed, "fold": fold, "method": method}
        cell = cell.assign(**facts, y=[table.y[test]] * len(cell))
        write(cell, plan.path(name, seed, fold, method))
    return len(methods), failures


def parted(plan: Plan, table: data.Table, seed: int, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Training rows, made imbalanced and cut as the plan has it, and test rows of a fold."""
    domain = DOMAINS[plan.domain]
    train, test = list(data.folds_of(table, seed, plan.folds))[fold]
    if domain.share is not None and plan.task == "binary":
        train = data.thin(train, table.y[train], domain.share, domain.least, seed)
    most = min((most for most in (plan.most_rows, table.most_rows) if most), default=None)
    return data.cut(train, table.y[train], most, seed), test


def run_cell(
    method: str,
    rows: Fold,
    X_test: Any,
    domain: str = "tabular",
    learners: tuple[str, ...] | None = None,
) -> pd.DataFrame:
    """One method, all learners: a line each."""
    answer, seconds, fell_back = answers(method, rows, X_test, domain)
    lines = []
    for learner in [method] if method in CLASSIFIERS else learners or DOMAINS[domain].learners:
        start = time.process_time()
        given = answer(learner)
        lines.append(
            {
                "learner": learner,
                "seconds": seconds,
                "fit_seconds": time.process_time() - start,
                "fell_back": fell_back,
                "p": packed(given.p),
                **({} if given.decision is given.p else {"p_decision": packed(given.decision)}),
            }
        )
    return pd.DataFrame(lines).assign(code=code_of(method, domain))


def answers(
    method: str, rows: Fold, X_test: Any, domain: str
) -> tuple[Callable[[str], Answer], float, bool]:
    """From a learner to its answer, the CPU seconds before it, and whether SMOTE stood in."""
    if method in TAUGHT:
        model_of = partial(DOMAINS[domain].model_of, fold=rows)
        return *taught(method, rows, X_test, model_of), False
    grown, matrix = resample(method, rows, domain), rows.encode(X_test)
    weights = compute_sample_weight("balanced", grown.y) if method == "class_weights" else None

    def answer(learner: str) -> Answer:
        if method == "committee":
            p = committee_probability(rows, X_test)
        elif method == "stack":
            p = stack(rows, X_test)
        else:
            p = DOMAINS[domain].probabilities(learner, rows, grown.matrix, grown.y, matrix, weights)
        return Answer(p, p)

    return answer, grown.seconds, grown.fell_back


def packed(p: np.ndarray) -> np.ndarray:
    """Of two classes the second's probabilities; all in one row."""
    return (p[:, 1] if p.shape[1] == 2 else p).astype(np.float32).ravel()


def write(cell: pd.DataFrame, path: Path) -> None:
    """Whole or not at all: a stopped run leaves no half cell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    cell.to_parquet(part)
    part.rename(path)


def read(plan: Plan, name: str, seed: int, method: str) -> pd.DataFrame | None:
    """All folds of a set, seed and method; None if one of them is missing."""
    paths = [plan.path(name, seed, fold, method) for fold in range(plan.folds)]
    if not all(path.is_file() for path in paths):
        return None
    return pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)
