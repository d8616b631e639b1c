"""New rows beside real ones: values that no real row could hold, broken relations, tell-tales.

Each table of two classes has at most 2000 rows, and its rare class is grown to the size of the
other. The library judges all rows by the same measure: which values a column may hold, and which
relations all real rows keep. The AUC is of a forest that tells new rows of the class from real ones
and predicts rows that it has not seen; .5 is chance.

    python -m benchmarks.realism --data FOLDER [--sets NAME,...] [--out benchmarks/results]
"""

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import train_test_split

from advaug import AdversarialOverSampler
from advaug.adapters import TabularAdapter
from advaug.domains.tables.adapter import TabularCoding
from benchmarks.constraints import smote
from benchmarks.oversampling.data import choose, load
from benchmarks.tables import machine, markdown, save

SEED, MOST_ROWS, JUDGES = 0, 2000, 3


def by_advaug(**settings: Any) -> Callable[..., pd.DataFrame]:
    """New rows of the over-sampler."""

    def make(X: pd.DataFrame, y: pd.Series, totals: dict[int, int]) -> pd.DataFrame:
        sampler = AdversarialOverSampler(sampling_strategy=totals, random_state=SEED, **settings)
        X_new, _ = sampler.fit_resample(X, y)
        return X_new.iloc[len(X) :]

    return make


def by_smote(X: pd.DataFrame, y: pd.Series, totals: dict[int, int]) -> pd.DataFrame:
    """New rows of imbalanced-learn's SMOTE for these columns, in the dtypes of the table."""
    return smote(X, y, totals, [])[0]


METHODS: dict[str, Callable[..., pd.DataFrame]] = {
    "SMOTE / SMOTENC / SMOTEN": by_smote,
    "advaug without value sets and relations": by_advaug(
        adapter=TabularAdapter(value_sets=None), constraints=None
    ),
    "advaug": by_advaug(),
}
SCORES = ["impossible value", "broken relation", "copy of a real row", "AUC of a forest"]


def part_of(X: pd.DataFrame, y: np.ndarray) -> tuple[pd.DataFrame, pd.Series]:
    """At most MOST_ROWS rows, classes in their shares; text columns are categories."""
    if len(X) > MOST_ROWS:
        kept, _ = train_test_split(
            np.arange(len(X)), train_size=MOST_ROWS, stratify=y, random_state=SEED
        )
        X, y = X.iloc[kept], y[kept]
    is_text = [c for c in X if not pd.api.types.is_numeric_dtype(X[c])]
    return X.astype(dict.fromkeys(is_text, "category")).reset_index(drop=True), pd.Series(y)


def judged(coding: TabularCoding, X: pd.DataFrame, own: pd.DataFrame, new: pd.DataFrame) -> dict:
    """Shares of new rows with a fault, and how well a forest tells them from the class's own."""
    is_impossible = np.zeros(len(new), bool)
    for fault in coding.faults(X, new):
        if not fault.is_beyond:
            is_impossible[fault.rows] = True
    real = X.iloc[np.zeros(len(new), int)].reset_index(drop=True)
    broken = coding.constraints("auto", X).broken(new, real)
    breaks = np.logical_or.reduce([np.zeros(len(new), bool), *broken.values()])
    told = [coding.tell_tale(own, new, SEED + k) for k in range(JUDGES)]
    auc = np.mean([one.auc for one in told]) if told[0] else np.nan
    known = set(map(tuple, coding.encode(X).tolist()))
    is_copy = np.array([tuple(row) in known for row in coding.encode(new).tolist()])
    shares = (is_impossible.mean(), breaks.mean(), is_copy.mean(), auc)
    return dict(zip(SCORES, shares, strict=True))


def measure(folder: Path, name: str) -> pd.DataFrame:
    """A line for each method."""
    table = load(folder, name, "binary")
    X, y = part_of(table.X, table.y)
    counts = y.value_counts()
    coding, own = TabularAdapter().fit(X), X[(y == counts.index[-1]).to_numpy()]
    totals = {counts.index[-1]: int(counts.iloc[0])}
    lines = {}
    for method, make in METHODS.items():
        new = make(X, y, totals).reset_index(drop=True)
        lines[method] = judged(coding, X, own.reset_index(drop=True), new)
    return pd.DataFrame(lines).T.assign(set=name)


def page(cells: pd.DataFrame) -> str:
    """Means over the tables, and the tables one by one."""
    means = cells.groupby("method", sort=False)[SCORES].mean()
    known = cells.groupby("method")["AUC of a forest"].count().min()
    return "\n\n".join([
        "# Realism",
        f"{cells['set'].nunique()} tables of two classes, up to {MOST_ROWS} rows, seed {SEED}; "
        f"shares of new rows; AUC of {known} tables with 20 rare rows or more. {machine()}.",
        markdown(means, 3),
        *(f"**{score}**\n\n{markdown(by_table(cells, score), 3)}" for score in SCORES),
    ])  # fmt: skip


def by_table(cells: pd.DataFrame, score: str) -> pd.DataFrame:
    """A line for each table, a column for each method."""
    return cells.pivot(index="set", columns="method", values=score)[list(METHODS)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="has manifest.csv and read.py")
    parser.add_argument("--sets", type=lambda text: text.split(","), help="default: all")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    cells = []
    for name in args.sets or choose(args.data):
        cells.append(measure(args.data, name).rename_axis("method").reset_index())
        print(cells[-1].to_string(index=False, header=len(cells) == 1), flush=True)
    text = page(pd.concat(cells))
    print(text)
    save(text, args.out / "realism.md")


if __name__ == "__main__":
    main()
