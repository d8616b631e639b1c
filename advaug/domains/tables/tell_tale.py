"""Whether a learner tells new rows of a class from real ones, and the columns that give them away.

A small forest reads the cells as they are, and predicts rows that it has not seen.
"""

from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from advaug import containers
from advaug.domains.tables.columns import Array, TableLayout
from advaug.sampling.faults import TellTale

FEWEST_ROWS = 20  # Fewer rows, real or new, say nothing.
MOST_ROWS = 1000  # So many of either are read.
FOLDS, TREES = 3, 60
MOST_NAMED = 3  # So many columns are named,
LEAST_DROP = 0.01  # if the AUC drops by so much without them.
TRIED = 6


def tell_tale(layout: TableLayout, real: Any, new: Any, seed: int) -> TellTale | None:
    """The AUC of the forest, and the columns without which it is lower; None of a few rows."""
    rows = min(containers.count(real), containers.count(new))
    if rows < FEWEST_ROWS or not (layout.numbers or layout.categories):
        return None
    random = np.random.RandomState(seed)
    old, made = (cells_of(layout, some_of(X, random), real) for X in (real, new))
    x, is_new = np.concatenate([old, made]), np.arange(len(old) + len(made)) >= len(old)
    names = [*(one.name for one in layout.numbers), *(one.name for one in layout.categories)]
    guess, drops = np.zeros(len(x)), np.zeros(len(names))
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=random).split(x, is_new):
        forest = RandomForestClassifier(
            TREES, min_samples_leaf=3, class_weight="balanced", random_state=random
        ).fit(x[train], is_new[train])
        guess[test] = forest.predict_proba(x[test])[:, 1]
        drops += auc_drops(forest, x[test], is_new[test], random) / FOLDS
    auc = max(float(roc_auc_score(is_new, guess)), 0.5)
    worst = [k for k in np.argsort(-drops)[:MOST_NAMED] if drops[k] >= LEAST_DROP]
    return TellTale(auc, [(names[k], float(drops[k])) for k in worst])


def auc_drops(forest: Any, x: Array, is_new: Array, random: np.random.RandomState) -> Array:
    """By how much the AUC drops if the cells of a column are shuffled: of the columns used most."""
    whole = roc_auc_score(is_new, forest.predict_proba(x)[:, 1])
    drops: Array = np.zeros(x.shape[1])
    for column in np.argsort(-forest.feature_importances_)[:TRIED]:
        shuffled = x.copy()
        shuffled[:, column] = random.permutation(x[:, column])
        drops[column] = whole - roc_auc_score(is_new, forest.predict_proba(shuffled)[:, 1])
    return drops


def some_of(X: Any, random: np.random.RandomState) -> Any:
    """At most `MOST_ROWS` of the rows."""
    return containers.take(X, np.sort(random.permutation(containers.count(X))[:MOST_ROWS]))


def cells_of(layout: TableLayout, X: Any, real: Any) -> Array:
    """(rows, columns): numbers in scales from the median, and levels by their frequency.

    A missing cell is a number far below all others.
    """
    frame, known = containers.open_table(X), containers.open_table(real)
    columns = []
    for number in layout.numbers:
        values = number.read(frame.get_column(number.name))
        columns.append((values - number.center) / number.scale)
    for category in layout.categories:
        levels, _ = containers.levels(known.get_column(category.name))
        columns.append(containers.codes(frame.get_column(category.name), levels).astype(float))
    cells = np.nan_to_num(np.stack(columns, 1), nan=-1e9)
    return cells.clip(-1e9, 1e9)
