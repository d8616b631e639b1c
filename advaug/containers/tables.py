"""Tables column by column: read one after the other, edited, and put back.

Of a sparse matrix a block of columns at a time is made dense, never the whole.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from scipy import sparse

from advaug.containers.columns import LevelEdit, Series, numbers
from advaug.containers.dtypes import plain, refuse_untakeable, restored
from advaug.containers.rows import (
    Frame,
    as_array,
    close_table,
    kind_of_container,
    open_table,
    own_table,
    refuse_twice,
)

CELLS = 2**15  # Cells that are moved at once.
BLOCK = 256  # Columns of a sparse matrix that are made dense at once.


def column_names(X: Any) -> list[Any]:
    """The names of a frame's columns, or the places of others."""
    array = numeric_array(X)
    return list(own_table(X).columns) if array is None else list(range(array.shape[1]))


def each_column(
    X: Any, as_they_are: Collection[Any] = (), skipped: Collection[int] = ()
) -> Iterator[tuple[int, Series]]:
    """The columns with their places, in a form that can be computed with.

    as_they_are : names of columns that stay in the form that they have
    skipped : places of columns that are left out
    """
    if (array := numeric_array(X)) is None:
        frame = open_table(X, as_they_are)
        for place, name in enumerate(frame.columns):
            if place not in skipped:
                yield place, frame.get_column(name)
        return
    for frame in dense_blocks(array, skipped):
        places: list[Any] = frame.columns
        yield from ((int(place), frame.get_column(place)) for place in places)


def edit_columns(
    X: Any, edits: Mapping[int, Callable[[Series], Series]], as_they_are: Collection[Any] = ()
) -> Any:
    """A copy with edited columns, by their places, in the container and dtypes of X."""
    if isinstance(X, pd.DataFrame):
        refuse_twice(X)
        columns = {
            place: edited_column(X, place, edit, as_they_are) for place, edit in edits.items()
        }
        return with_columns(X, columns)
    if (array := numeric_array(X)) is None:
        frame = open_table(X, as_they_are)
        names = frame.columns
        edited = [edit(frame.get_column(names[place])) for place, edit in edits.items()]
        return close_table(X, frame.with_columns(*edited))
    blocks = []
    for frame in dense_blocks(array):
        new = frame.to_numpy().astype(array.dtype)
        places: list[Any] = frame.columns
        for at, place in enumerate(places):
            if place in edits:
                new[:, at] = edits[place](frame.get_column(place)).to_numpy()
        blocks.append(sparse.csc_matrix(new) if sparse.issparse(X) else new)
    if sparse.issparse(X):
        return X.__class__(sparse.hstack(blocks, format=X.format))
    return blocks[0].tolist() if kind_of_container(X) == "list" else blocks[0]


def edited_column(
    X: pd.DataFrame, place: int, edit: Callable[[Series], Series], as_they_are: Collection[Any]
) -> Any:
    """The edited cells of a column of a pandas frame, in its own dtype."""
    native = X.iloc[:, place]
    if isinstance(edit, LevelEdit) and isinstance(native.dtype, pd.CategoricalDtype):
        return edit.of_codes(native.array)
    is_packed = isinstance(native.dtype, pd.SparseDtype)
    dense = native.astype(native.dtype.subtype) if is_packed else native
    own: Series = nw.from_native(dense, series_only=True)
    column = own if own.name in as_they_are else plain(own)
    return restored(own, edit(column)).to_native().astype(native.dtype).array


def with_columns(X: pd.DataFrame, columns: Mapping[int, Any]) -> pd.DataFrame:
    """A copy with other cells in some columns, by their places."""
    new, dtypes = X.copy(), X.dtypes  # Before pandas 3 a shallow copy shares its cells with X.
    for place, cells in columns.items():  # Of a series pandas guesses no other dtype.
        series = pd.Series(cells, X.index, dtype=dtypes.iloc[place], copy=False)
        new.isetitem(place, series)
    return new


def is_float_array(X: Any) -> bool:
    """Whether X is a plain array of floats of at most 64 bits."""
    return type(X) is np.ndarray and X.ndim == 2 and is_short_float(X.dtype)


def is_short_float(dtype: Any) -> bool:
    """Whether a dtype is numpy's floats of at most 64 bits."""
    return isinstance(dtype, np.dtype) and dtype.kind == "f" and dtype.itemsize <= 8


def float_places(X: Any) -> list[int]:
    """The places of such columns in an array or a pandas frame; none of any other container."""
    if isinstance(X, pd.DataFrame):
        return [place for place, dtype in enumerate(X.dtypes) if is_short_float(dtype)]
    return [*range(X.shape[1])] if is_float_array(X) else []


def add_to_floats(
    X: Any,
    places: list[int],
    by: Callable[[slice], np.ndarray[Any, Any]],
    low: np.ndarray[Any, Any],
    high: np.ndarray[Any, Any],
    rounded: Callable[[np.ndarray[Any, Any], slice], np.ndarray[Any, Any]],
) -> Any:
    """A copy with `by` of some places (rows, some) added to columns, within the bounds of each.

    A cell stays missing, and one beyond a bound may stay there: as `add_to_cells`, at once. The
    places are some of `float_places`. `rounded` brings moved cells of some places, in float64, to
    what their columns may hold.
    """
    found = np.array(X.iloc[:, places]) if isinstance(X, pd.DataFrame) else X[:, places]
    for first in range(0, len(places), width := max(CELLS // max(len(found), 1), 1)):
        some = slice(first, first + width)
        cells, shift = found[:, some].astype(np.float64), by(some)
        ends = np.minimum(cells, low[some]), np.maximum(cells, high[some])
        moved = rounded(np.clip(cells + shift, *ends), some)
        found[:, some] = np.where(shift == 0, cells, moved)
    if isinstance(X, pd.DataFrame):
        dtypes = X.dtypes.iloc[places]
        pairs = zip(places, found.T, dtypes, strict=True)
        return with_columns(X, {place: column.astype(dtype) for place, column, dtype in pairs})
    if len(places) == X.shape[1] and places == sorted(places):
        return found
    new = X.copy()
    new[:, places] = found
    return new


def refuse_untakeable_columns(X: Any) -> None:
    """TypeError naming a column of which the library that holds it cannot take single rows."""
    if numeric_array(X) is None:
        refuse_untakeable(own_table(X))


def numeric_array(X: Any) -> Any:
    """X as an array or a sparse matrix of numbers; None where it is a frame, or holds others."""
    kind = kind_of_container(X)
    if kind == "frame":
        return None
    array = X if kind == "sparse" else np.asarray(X)
    return array if array.ndim == 2 and array.dtype.kind in "biuf" else None


def number_matrix(X: Any) -> np.ndarray[Any, Any]:
    """A table of numbers as float64, NaN where a cell is missing; ValueError for other columns."""
    return np.column_stack([numbers(column) for _, column in each_column(X)])


def dense_blocks(array: Any, skipped: Collection[int] = ()) -> Iterator[Frame]:
    """Frames of some columns each, named by their places; an array is one block, not copied.

    skipped : places of columns that are left out
    """
    places = np.setdiff1d(np.arange(array.shape[1]), [*skipped])
    if not sparse.issparse(array):
        is_whole = len(places) == array.shape[1]
        yield frame_of(array if is_whole else array[:, places], places.tolist())
        return
    columns = array.tocsc()
    for first in range(0, len(places), BLOCK):
        some = places[first : first + BLOCK]
        yield frame_of(as_array(columns[:, some]), some.tolist())


def frame_of(block: np.ndarray[Any, Any], places: Sequence[int]) -> Frame:
    """Columns of an array as a frame that names them by their places; not copied."""
    names = pd.Index(places, dtype=object)  # Whole numbers of Python, which messages show.
    return nw.from_native(pd.DataFrame(block, columns=names, copy=False), eager_only=True)
