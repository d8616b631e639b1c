"""The sets: read from a folder, chosen by rule, cut into folds; how tables are encoded.

One variant of each base set, so that sets are independent: the manifest's core ones first. A base
that has many classes only enters the binary tables as its rarest class against the rest.
"""

import importlib.util
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.oversampling import harder

BIG = 6000  # rows from which a set belongs to the table `scale`
LEAST_IMBALANCE = 1.5  # below it there is nothing to balance
RAREST = 20  # rows that a class must have to stand against the rest
FEWEST = 10  # rows that a class of a multiclass table must have; rarer ones are left out
VS_REST = "_vs_rest"


@dataclass(frozen=True)
class Table:
    """Rows as the folder has them, and labels as whole numbers; of two classes 1 is the rare.

    Rows are a frame, an array of signals (a list where their lengths differ), or a list of texts or
    of lists of tokens. Rows of one group are never parted by a fold.
    """

    name: str
    base: str
    X: Any
    y: np.ndarray
    groups: np.ndarray | None = None
    most_rows: int | None = None  # of a training fold, where the set's version says so

    @property
    def smallest(self) -> int:
        """Rows of the smallest class."""
        return int(np.bincount(self.y).min())

    @property
    def imbalance(self) -> float:
        """Rows of the largest class over those of the smallest."""
        counts = np.bincount(self.y)
        return float(counts.max() / counts.min())

    @property
    def is_mixed(self) -> bool:
        """Whether it has columns that are not numbers, or cells that are missing."""
        return bool(kinds(self.X)[1]) or bool(self.X.isna().to_numpy().any())


def reader(folder: Path) -> Any:
    """The folder's own read.py."""
    spec = importlib.util.spec_from_file_location("read", folder / "read.py")
    if spec is None or spec.loader is None or not (folder / "manifest.csv").is_file():
        raise FileNotFoundError(f"--data {folder}: expected a folder with manifest.csv and read.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def catalogue(folder: Path, split: str = "dev", domain: str = "tabular") -> pd.DataFrame:
    """A line for each set that could be used, with `task` binary or multiclass."""
    known = reader(folder).manifest(domain=domain, split=split)
    many = known[known["task"] == "multiclass"]
    many = many[~many["base"].isin(known[known["task"] == "binary"]["base"])]
    counts = many["class_counts"].map(lambda text: sorted(json.loads(text).values()))
    rare = counts.map(lambda c: next((n for n in c if n >= RAREST), 0))
    rest = many.assign(
        name=many["name"] + VS_REST,
        task="binary",
        minority_count=rare,
        imbalance_ratio=many["rows"] / rare.clip(lower=1) - 1,
    )
    known = pd.concat([known, rest[rare.to_numpy() > 0]], ignore_index=True)
    is_thinned = (domain != "tabular") & (known["task"] == "binary")
    return known[is_thinned | (known["imbalance_ratio"] >= LEAST_IMBALANCE)]


def choose(
    folder: Path,
    task: str = "binary",
    *,
    is_big: bool = False,
    variants: int = 1,
    split: str = "dev",
    domain: str = "tabular",
) -> list[str]:
    """Names of the sets of a task: up to `variants` of a base, core ones first."""
    known = catalogue(folder, split, domain).query("task == @task")
    if domain == "tabular":
        known = known[(known["rows"] >= BIG) == is_big]
    ranked = known.sort_values("core", ascending=False, kind="stable")
    return sorted(ranked.groupby("base").head(variants)["name"])


def halves(
    folder: Path, names: list[str], split: str = "dev", domain: str = "tabular"
) -> tuple[list[str], list[str]]:
    """Two halves without a common base, alike in the size of the rare class: tune, confirm."""
    known = catalogue(folder, split, domain).set_index("name").loc[names]
    bases = known.groupby("base")["minority_count"].min().sort_values(kind="stable").index
    first = set(bases[::2])
    own = [known.loc[name, "base"] in first for name in names]
    return (
        [name for name, is_first in zip(names, own, strict=True) if is_first],
        [name for name, is_first in zip(names, own, strict=True) if not is_first],
    )


def load(folder: Path, name: str, task: str = "binary", domain: str = "tabular") -> Table:
    """Read one set; ValueError if there is none of this name."""
    read = reader(folder)
    own, version = harder.version_of(name)
    stem = own.removesuffix(VS_REST)
    if stem not in {*read.manifest(domain=domain)["name"], *harder.SHIPPED}:
        raise ValueError(
            f"--sets: there is no {domain} set {name!r} in {folder}: see its manifest.csv"
        )
    X, y, info = harder.shipped(stem) if stem in harder.SHIPPED else read.load(stem)
    X, y, groups = PREPARE[domain](X, np.asarray(y, dtype=str), info)
    X = harder.noisy(X, version.noise)
    classes, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    if task != "binary":
        kept = (counts >= FEWEST)[codes]
        codes = np.unique(codes[kept], return_inverse=True)[1]
        groups = groups[kept] if groups is not None else None
        X = take(X, np.flatnonzero(kept))
        return Table(name, info["base"], X, codes, groups, version.rows)
    if version.rare is not None:
        rare = version.rare
    elif own.endswith(VS_REST):
        rare = classes[counts >= RAREST][counts[counts >= RAREST].argmin()]
    else:
        rare = info.get("positive_label", info["minority_label"])
    X, codes = take(X, np.arange(len(y))), (y == rare).astype(int)
    return Table(name, info["base"], X, codes, groups, version.rows)


def signals_of(X: np.ndarray, y: np.ndarray, info: dict) -> tuple:
    """Signals of unequal length as a list without their padding; the set's own groups."""
    lengths, groups = info["lengths"], info.get("groups")
    if np.ptp(lengths):
        X = [row[:, :length] for row, length in zip(X, lengths, strict=True)]
    return X, y, groups if isinstance(groups, np.ndarray) else None


def sequences_of(X: list, y: np.ndarray, info: dict) -> tuple:
    """Each text once, with its first label; attacks of one run are a group, other rows alone."""
    first = {str(row): at for at, row in reversed([*enumerate(X)])}
    kept = np.sort([*first.values()])
    groups = None
    if "run" in info:
        is_attack = info["part"][kept] == "attack"
        groups = np.where(is_attack, info["run"][kept].astype(str), kept.astype(str))
    return take(X, kept), y[kept], groups


PREPARE: dict[str, Callable[[Any, np.ndarray, dict], tuple]] = {
    "tabular": lambda X, y, info: (X, y, None),
    "signal": signals_of,
    "sequence": sequences_of,
}


def take(X: Any, rows: np.ndarray) -> Any:
    """Rows of a frame, an array or a list, in the given order and numbered anew."""
    if isinstance(X, pd.DataFrame):
        return X.iloc[rows].reset_index(drop=True)
    return X[rows] if isinstance(X, np.ndarray) else [X[row] for row in rows]


def kinds(X: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Names of the numeric columns and of the others."""
    numeric = [name for name in X if pd.api.types.is_numeric_dtype(X[name])]
    return numeric, [name for name in X if name not in numeric]


def facts(X: pd.DataFrame) -> dict[str, int]:
    """What the report tells of a table's columns."""
    missing = int(X.isna().to_numpy().sum())
    return {"columns": X.shape[1], "categories": len(kinds(X)[1]), "missing cells": missing}


def texts(X: pd.DataFrame) -> pd.DataFrame:
    """Categories as strings, with a level of its own for what is missing."""
    return X.astype(object).where(X.notna(), "missing").astype(str)


def columns_of(X: pd.DataFrame) -> ColumnTransformer:
    """Medians and scales of numbers, and levels of the other columns; not fitted yet."""
    numeric, other = kinds(X)
    fill = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    return make_column_transformer(
        (make_pipeline(fill, StandardScaler()), numeric),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), other),
    )


def encoder_of(X: pd.DataFrame) -> Callable[[pd.DataFrame], np.ndarray]:
    """Learn medians, scales and levels from a training fold; return the map to a matrix."""
    other = kinds(X)[1]
    columns = columns_of(X).fit(X.assign(**texts(X[other])))
    return lambda rows: columns.transform(rows.assign(**texts(rows[other])))


def folds_of(table: Table, seed: int, folds: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Training and test rows of each stratified fold; a group lies on one side."""
    make = StratifiedKFold if table.groups is None else StratifiedGroupKFold
    cuts = make(folds, shuffle=True, random_state=seed)
    return cuts.split(table.y, table.y, table.groups)


def thin(rows: np.ndarray, y: np.ndarray, share: float, least: int, seed: int) -> np.ndarray:
    """Drop rows of class 1 at random until they are this share of all, but `least` stay."""
    rare = rows[y == 1]
    most = max(round((len(rows) - len(rare)) * share / (1 - share)), least)
    if len(rare) <= most:
        return rows
    kept = np.random.default_rng(seed).choice(rare, most, replace=False)
    return np.sort(np.concatenate([rows[y != 1], kept]))


def cut(rows: np.ndarray, y: np.ndarray, most: int | None, seed: int, least: int = 5) -> np.ndarray:
    """At most `most` of the rows at the classes' own shares, `least` where it has them."""
    if most is None or len(rows) <= most:
        return rows
    rng = np.random.default_rng(seed)
    kept = []
    for label in np.unique(y):
        own = rows[y == label]
        count = min(max(round(most * len(own) / len(rows)), least), len(own))
        kept.append(rng.choice(own, count, replace=False))
    return np.sort(np.concatenate(kept))
