"""Warnings of new rows: numbers that only tell rows apart, and rows that repeat others."""

import warnings
from itertools import islice
from typing import Any

import numpy as np

from advaug import containers
from advaug.estimators.resampling import CheckedData
from advaug.sampling.repeats import FEW, are_different, worth_asking


def warn_of_identifiers(names: list[Any]) -> None:
    """UserWarning where a column tells new rows from real ones."""
    if names:
        found = ", ".join(map(repr, names))
        warnings.warn(
            f"column {found} only tells rows apart: new rows get numbers above all real ones, so "
            "that a model could tell new rows by it. Drop the column before a model learns from "
            "the rows, or before fit_resample",
            UserWarning,
            stacklevel=5,
        )


def warn_of_repeats(data: CheckedData, X_out: Any, made: Any) -> None:
    """UserWarning where most new rows of a class, which end X_out, repeat real ones or others."""
    keys = data.coding.keys(X_out), data.coding.keys(data.rows)
    if keys[0] is None or keys[1] is None:
        return
    new = islice(keys[0], containers.count(X_out) - len(made), None)
    is_different, labels = are_different(keys[1], new), made["label"].cat.codes.to_numpy()
    totals, told, recipes, advised = {}, [], [], 0
    for code in np.unique(labels):
        label, own = data.classes.tolist()[code], is_different[labels == code]
        count = len(own)
        if own.mean() < FEW:
            told.append(f"{own.sum()} of {count} in class {label!r}")
            recipes.append(made["recipe"][int(np.argmax(labels == code))])
            count = worth_asking(own) or int(own.sum())
            advised += count
        totals[label] = int(data.counts[code]) + count
    if told:
        warnings.warn(
            "few new rows differ from the real rows and from each other, and repeats add no "
            f"information: {', '.join(told)}. Ask for {'fewer' if advised else 'none'}, "
            f"sampling_strategy={totals}, "
            f"{data.coding.against_repeats(recipes[0])}",
            UserWarning,
            stacklevel=5,
        )
