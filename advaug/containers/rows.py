"""Whole tables and targets: read, cut, joined and handed back in the user's own container.

New rows are always copies of the user's own rows in which single cells were edited.
"""

import sys
from collections.abc import Collection, Iterable
from copy import deepcopy
from numbers import Real
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from scipy import sparse

from advaug.containers.dtypes import plain, restored, unusual_columns
from advaug.containers.panels import Panel, with_new_names
from advaug.containers.refusals import refuse_large, refuse_no_table, refuse_rows_of_frames

Frame = nw.DataFrame[Any]


def kind_of_container(X: Any) -> str:
    """'array', 'sparse', 'frame' or 'list'; TypeError for what none of them is."""
    if isinstance(X, np.ndarray):
        return "array"
    if sparse.issparse(X):
        return "sparse"
    if isinstance(X, list | tuple):
        return "list"
    refuse_large(X)
    if nw.dependencies.is_into_dataframe(X):
        return "frame"
    if hasattr(X, "__array__"):
        return "array"
    refuse_no_table(X)
    raise TypeError(
        f"cannot read rows from {type(X).__name__}: pass a numpy array, a pandas or polars "
        "frame, a scipy sparse matrix or a list of rows"
    )


def row_shape(X: Any) -> tuple[int, ...]:
    """The shape of a row; () of a list, whose rows may differ."""
    return tuple(getattr(X, "shape", ())[1:])


def owned(X: Any) -> Any:
    """X, or as an array what only knows how to become one (a tensor, an index, a categorical)."""
    known = isinstance(X, np.ndarray | list | tuple | pd.Series) or sparse.issparse(X)
    if known or isinstance(X, pd.DataFrame):
        return X
    refuse_large(X)
    if hasattr(X, "detach"):
        return array_of_tensor(X)
    if nw.dependencies.is_into_dataframe(X) or nw.dependencies.is_into_series(X):
        return X
    if hasattr(X, "to_pylist"):  # A pyarrow.Array is known to narwhals in chunks only.
        return sys.modules["pyarrow"].chunked_array([X])
    return np.asarray(X) if hasattr(X, "__array__") else X


def array_of_tensor(X: Any) -> np.ndarray[Any, Any]:
    """A torch tensor of any layout, device and dtype as an array."""
    X = X.detach().cpu()
    X = X if str(X.layout) == "torch.strided" else X.to_dense()
    array: np.ndarray[Any, Any] = (X.float() if str(X.dtype) == "torch.bfloat16" else X).numpy()
    return array


def given_back(rows: Any, like: Any = None) -> Any:
    """Rows as a torch tensor, of the same dtype and device, where `like` is one.

    A panel is given back as the frame that it came in.
    """
    if isinstance(rows, Panel):
        return rows if isinstance(like, Panel) else rows.frame
    return like.new_tensor(rows) if hasattr(like, "new_tensor") else rows


def empty_like(X: Any) -> Any:
    """A torch tensor without rows, where X is one; else None."""
    return X[:0] if hasattr(X, "new_tensor") else None


def is_list_of_signals(X: Any) -> bool:
    """Whether X is a list with 2-d arrays (channels, time), of any lengths; bytes are images."""
    return isinstance(X, list | tuple) and any(
        isinstance(row, np.ndarray) and row.ndim == 2 and row.dtype != np.uint8 for row in X
    )


def is_nested_signals(X: Any) -> bool:
    """Whether X is a list of signals written out: [[[numbers of a channel], ...], ...]."""
    return isinstance(X, list | tuple) and bool(X) and _depth(X) == 3


def _depth(X: Any) -> int:
    """How many lists lie around the first number; -1 where there is none."""
    depth = 0
    while isinstance(X, list | tuple) and len(X):
        X, depth = X[0], depth + 1
    return depth if isinstance(X, Real) else -1


def refuse_ragged(X: Any) -> None:
    """ValueError where rows are no table and no signals, with the mend.

    They are numbers of unequal length, frames, tensors or images in a list, or arrays in a series
    or in an array of objects.
    """
    refuse_no_table(X)
    refuse_rows_of_frames(X)
    if isinstance(X, pd.Series) or (isinstance(X, np.ndarray) and X.ndim == 1 and len(X)):
        if isinstance(X.iloc[0] if isinstance(X, pd.Series) else X[0], np.ndarray):
            raise ValueError(f"X is a {type(X).__name__} of arrays: pass the signals as list(X)")
        return
    if not isinstance(X, list | tuple):
        return
    if all(isinstance(row, np.ndarray) and row.ndim == 1 for row in X):
        if len({len(row) for row in X}) > 1:
            raise ValueError(
                "X is a list of 1-d arrays of unequal length: a signal is (channels, time), pass "
                "[row[None] for row in X]"
            )
        return
    depth = _depth(X)
    if depth not in (2, 3) or not all(isinstance(row, list | tuple) for row in X):
        return
    first = _lengths(X[0])
    for place, row in enumerate(X):
        if _lengths(row) != first:
            mend = (
                "[np.array(row) for row in X]" if depth == 3 else "[np.array([row]) for row in X]"
            )
            raise ValueError(
                f"row {place} of X is a list of {_lengths(row)} numbers, row 0 of {first}: signals "
                f"of unequal length are arrays (channels, time), pass {mend}; rows of a table are "
                "equally long"
            )


def _lengths(row: Any) -> Any:
    """The length of a list of numbers, or of each list in a list."""
    if any(isinstance(part, list | tuple) for part in row):
        return [len(part) if isinstance(part, list | tuple) else 1 for part in row]
    return len(row)


def rowwise(X: Any) -> Any:
    """X, a sparse matrix as CSR: of the other formats rows are dear to take, or to write."""
    return X.tocsr() if sparse.issparse(X) else X


def as_array(X: Any) -> np.ndarray[Any, Any]:
    """A list, sparse matrix or array as an array that torch and pandas can read."""
    if sparse.issparse(X):
        X = X.toarray()
    X = np.asarray(unmixed(X))
    refuse_complex(X)
    if X.dtype.kind == "f" and X.dtype.itemsize not in (4, 8):
        X = X.astype(np.float64)
    return X.astype(X.dtype.newbyteorder("="), copy=False)


def refuse_complex(X: Any) -> None:
    """ValueError for complex numbers in an array or sparse matrix."""
    if getattr(getattr(X, "dtype", None), "kind", "") == "c":
        raise ValueError("Complex data not supported: pass the real and imaginary parts as columns")


def unmixed(X: Any) -> Any:
    """A list of rows of numbers and texts as an array of objects: numpy makes texts of all."""
    if not isinstance(X, list | tuple) or not all(isinstance(row, list | tuple) for row in X):
        return X
    kinds = {isinstance(cell, str) for row in X for cell in row}
    return np.array(X, dtype=object) if len(kinds) > 1 else X


def open_table(X: Any, as_they_are: Collection[Any] = ()) -> Frame:
    """The rows as a frame whose columns can be computed with; `as_they_are`: but for these."""
    frame = own_table(X)
    names = [name for name in unusual_columns(frame) if name not in as_they_are]
    columns = (frame.get_column(name) for name in names)
    read = [one for column in columns if (one := plain(column)) is not column]
    return frame.with_columns(*read) if read else frame


def own_table(X: Any) -> Frame:
    """The rows as a frame of the columns' own dtypes; a 2-d array becomes one without a copy."""
    if kind_of_container(X) == "frame":
        if isinstance(X, pd.DataFrame):
            refuse_twice(X)
            packed = [c for c in X.columns if isinstance(X[c].dtype, pd.SparseDtype)]
            X = X.astype({c: X[c].dtype.subtype for c in packed}) if packed else X
        return nw.from_native(X, eager_only=True)
    array = as_array(X)
    if array.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {array.ndim}D array instead. Reshape your data using "
            "array.reshape(-1, 1) if it has a single feature or array.reshape(1, -1) if it "
            "contains a single sample."
        )
    frame = pd.DataFrame(array, copy=False)
    return nw.from_native(frame.infer_objects() if array.dtype == object else frame)


def refuse_twice(X: Any) -> None:
    """ValueError naming a column whose name stands twice, or that has none."""
    if isinstance(X, pd.DataFrame) and X.columns.nlevels == 1 and X.columns.hasnans:
        place = int(np.flatnonzero(X.columns.isna())[0])
        raise ValueError(f"column {place} of X has no name: give it one with X.columns = [...]")
    if isinstance(X, pd.DataFrame) and not X.columns.is_unique:
        twice = X.columns[X.columns.duplicated()][0]
        raise ValueError(f"column {twice!r} stands twice in X: rename or drop one of them")


def close_table(X: Any, rows: Frame) -> Any:
    """Rows edited by us, in the container and dtypes of X."""
    own = own_table(X)
    pairs = [(own.get_column(name), rows.get_column(name)) for name in unusual_columns(own)]
    written = [one for old, new in pairs if (one := restored(old, new)) is not new]
    native = (rows.with_columns(*written) if written else rows).to_native()
    kind = kind_of_container(X)
    if kind == "frame":
        if isinstance(X, pd.DataFrame):
            native = native.astype({c: t for c, t in X.dtypes.items() if t != native[c].dtype})
            native = native.set_axis(X.columns, axis=1)  # with the names of its levels
        return native
    array = native.to_numpy()
    if kind == "list":
        return array.tolist()
    if kind == "sparse":
        return X.__class__(array.astype(X.dtype, copy=False))
    return array.astype(X.dtype, copy=False)


def count(X: Any) -> int:
    """How many rows."""
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def take(X: Any, rows: np.ndarray[Any, Any]) -> Any:
    """Some rows, in the same container."""
    if isinstance(X, pd.DataFrame | pd.Series | Panel):
        return X.take(rows)
    if sparse.issparse(X):  # not every format can be indexed
        return X.tocsr()[rows].asformat(X.format)
    if isinstance(X, np.ndarray):
        return X[rows]
    if isinstance(X, list | tuple):
        return [X[row] for row in rows]
    return nw.from_native(X, eager_only=True, allow_series=True)[rows].to_native()


def copied(X: Any) -> Any:
    """A copy of which no cell is shared, of lists in lists neither."""
    if isinstance(X, Panel):
        return deepcopy(X.frame)
    if isinstance(X, pd.Series) and X.dtype == object:
        return pd.Series(deepcopy(X.tolist()), index=X.index, dtype=object, name=X.name)
    if isinstance(X, np.ndarray | list | tuple):
        return deepcopy(X)
    return X.copy() if hasattr(X, "copy") else X


def join(X: Any, batches: Iterable[tuple[Any, np.ndarray[Any, Any]]], count: int) -> Any:
    """X first, as it was, then the new rows.

    Parameters
    ----------
    batches : iterable of (rows, parents)
        New rows in X's container, and the rows of X that they were copied from. A pandas index of
        integers goes on counting; any other index repeats the label of the parent.
    count : int
        How many new rows there are in all.
    """
    if isinstance(X, np.ndarray) and X.dtype.kind not in "UT":  # A new text may be longer.
        # Written in place, so that no second copy of the new rows is ever held.
        joined = np.empty((len(X) + count, *X.shape[1:]), X.dtype)
        joined[: len(X)] = X
        at = len(X)
        for rows, _ in batches:
            joined[at : at + len(rows)] = rows
            at += len(rows)
        return joined
    pairs = list(batches)
    new, parents = [rows for rows, _ in pairs], [parents for _, parents in pairs]
    if isinstance(X, Panel):
        places = np.concatenate([*parents, np.empty(0, int)])
        return X.joined(new, longer_names(X.names, places))
    if isinstance(X, np.ndarray):
        return np.concatenate([X, *new])
    if isinstance(X, list | tuple):
        return [*X, *(row for rows in new for row in rows)]
    if sparse.issparse(X):
        return sparse.vstack([X, *new], format=X.format, dtype=X.dtype)
    if isinstance(X, pd.DataFrame | pd.Series):
        places = np.concatenate(parents) if parents else np.empty(0, int)
        return pd.concat([X, *new]).set_axis(longer_index(X.index, places), axis=0)
    if nw.dependencies.is_into_series(X):
        series = [nw.from_native(s, series_only=True).to_frame() for s in (X, *new)]
        return nw.concat(series)[:, 0].to_native()
    return nw.concat([nw.from_native(b) for b in (X, *new)]).to_native()


def stacked(like: Any, batches: Iterable[tuple[Any, np.ndarray[Any, Any]]], count: int) -> Any:
    """The new rows of `join` alone, in the container of `like`; a pandas index counts from 0."""
    return join(none_of(like), batches, count)


def none_of(X: Any) -> Any:
    """No row of X, in its container, with an index that counts from 0."""
    return numbered(take(X, np.empty(0, dtype=int)), range(0))


def numbered(rows: Any, numbers: range) -> Any:
    """Pandas rows whose index is their numbers; other containers have no index."""
    if isinstance(rows, Panel):
        return rows.named(pd.RangeIndex(numbers.start, numbers.stop, name=rows.names.name))
    if not isinstance(rows, pd.DataFrame | pd.Series):
        return rows
    return rows.set_axis(pd.RangeIndex(numbers.start, numbers.stop), axis=0)


def indexed_below(X: Any, rows: Any, parents: np.ndarray[Any, Any]) -> Any:
    """New rows with the index that they have below X."""
    if isinstance(X, Panel):
        return rows.named(longer_names(X.names, parents)[len(X) :])
    if not isinstance(X, pd.DataFrame | pd.Series):
        return rows
    return rows.set_axis(longer_index(X.index, parents)[len(X) :], axis=0)


def longer_index(index: pd.Index, parents: np.ndarray[Any, Any]) -> pd.Index:
    """The index with a label for each new row."""
    if isinstance(index, pd.RangeIndex):
        stop = index.stop + len(parents) * index.step
        return pd.RangeIndex(index.start, stop, index.step, name=index.name)
    if pd.api.types.is_integer_dtype(index.dtype) and len(index):
        if int(index.max()) + len(parents) > np.iinfo(np.dtype(str(index.dtype).lower())).max:
            return index.append(index.take(parents))
        new = np.arange(len(parents)) + int(index.max()) + 1
        return index.append(pd.Index(new, dtype=index.dtype, name=index.name))
    return index.append(index.take(parents))


def longer_names(names: pd.Index, parents: np.ndarray[Any, Any]) -> pd.Index:
    """The names of signals with one for each new signal, of which none stands twice."""
    longer = longer_index(names, parents)
    return longer if longer.is_unique else with_new_names(names, len(parents))


def table(columns: dict[str, Any], named: dict[str, Any]) -> pd.DataFrame:
    """Columns as a pandas frame; those in `named` are codes into a list of names."""
    frame = pd.DataFrame(columns, copy=False)
    coded = {k: pd.Categorical.from_codes(columns[k], names) for k, names in named.items()}
    return frame.assign(**coded)
