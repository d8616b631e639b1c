"""Targets of any dtype: labels as an array, and the classes among them.

Labels that numpy cannot sort (intervals, periods, decimals, dates, members of an Enum, numbers
beside texts) are kept as the objects that they are.
"""

from typing import Any

import numpy as np
import pandas as pd

from advaug.containers.dtypes import holds_texts, shared_texts

Array = np.ndarray[Any, Any]


def labels(y: Any) -> Array:
    """A target in any container as an array; ValueError naming the first missing label."""
    values = array_of(y)
    null = pd.isna(values)
    if null.any():
        row = int(np.argwhere(null)[0, 0])
        raise ValueError(f"Input y contains NaN: no label at row {row}. Drop the rows without one")
    if values.dtype == object and values.ndim == 1 and not is_text(values):
        values = pd.Series(values).infer_objects().to_numpy()
    if values.dtype.kind == "c":
        raise ValueError("Complex data not supported: y holds complex numbers, write y.astype(str)")
    if values.dtype.kind in "mM":  # numpy hands out some of them as plain integers.
        return objects_of(list(y) if np.ndim(y) == 1 else list(values.ravel()))
    if values.dtype.kind == "f" and values.dtype.itemsize not in (4, 8):
        values = values.astype(np.float64)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def is_text(values: Array) -> bool:
    """Whether labels begin with a text: pandas would copy each of them, to read them as texts."""
    return len(values) > 0 and isinstance(values[0], str)


def array_of(y: Any) -> Array:
    """The cells of a target as numpy has them, without a change of their type."""
    if isinstance(y, pd.DataFrame) and y.shape[1] == 1:
        y = y.iloc[:, 0]
    if holds_texts(y):
        return shared_texts(y)
    if isinstance(y, list | tuple) and len({type(label) for label in y}) > 1:
        values = objects_of(list(y)) if not any(np.ndim(label) for label in y) else np.asarray(y)
        return values
    try:
        values = y.to_numpy() if hasattr(y, "to_numpy") else np.asarray(y)
    except Exception:  # polars: numpy has no such dtype.
        values = objects_of(y.to_list())
    return values.astype(object) if values.dtype.kind == "T" else values


def objects_of(values: list[Any]) -> Array:
    """A 1-d array of these very objects."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def is_sortable(target: Array) -> bool:
    """Whether labels are numbers, booleans or texts throughout, as scikit-learn takes them."""
    return target.dtype != object or all(isinstance(label, str | bytes) for label in target.flat)


def classes_of(target: Array) -> tuple[Array, Array]:
    """The classes in order, and each label's place among them."""
    if target.dtype.kind not in "iuO":
        classes, codes = np.unique(target, return_inverse=True)
        return classes, codes
    if is_sortable(target):
        places, different = pd.factorize(target.ravel())  # Then only few labels are sorted.
        order = np.argsort(different)
        return different[order], np.argsort(order)[places].reshape(target.shape)
    try:
        found = list(dict.fromkeys(target.tolist()))
    except TypeError as error:
        raise TypeError(
            f"y holds labels that cannot be compared ({error}): write [str(label) for label in y]"
        ) from error
    try:
        found.sort()
    except TypeError:
        found.sort(key=lambda label: (type(label).__name__, str(label)))
    place = {label: code for code, label in enumerate(found)}
    return objects_of(found), np.array([place[label] for label in target.tolist()], dtype=np.int64)
