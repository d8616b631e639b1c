"""Single columns: what kind they are, their cells as numbers or levels, and edited copies."""

from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from advaug.containers.dtypes import Series, dtype_kind, holds_texts, is_unreadable, shared_texts
from advaug.containers.spelling import mend_of_texts

MOST_LEVELS = 50  # A category of texts has so many levels at most,
LEVEL_SHARE = 0.2  # or so many for each of its cells.
TICKS_A_DAY = {"D": 1, "s": 86_400, "ms": 86_400e3, "us": 86_400e6, "ns": 86_400e9}


def kind_of_column(column: Series) -> str:
    """'number', 'integer', 'boolean', 'moment', 'text', 'category' or 'unreadable'."""
    if (kind := dtype_kind(column)) in "biuf":
        return {"b": "boolean", "f": "number"}.get(kind, "integer")
    dtype = column.dtype
    if is_unreadable(column):
        return "unreadable"
    if dtype == nw.Boolean:
        return "boolean"
    if dtype.is_integer():
        return "integer"
    if dtype.is_float() or dtype == nw.Decimal:
        return "number"
    if dtype in (nw.Datetime, nw.Date, nw.Duration):
        return "moment"
    if dtype == nw.String:
        return "text"
    if dtype in (nw.Categorical, nw.Enum, nw.Object):
        return "category"
    values = column.to_numpy()
    return {"b": "boolean", "i": "integer", "u": "integer", "f": "number"}.get(
        values.dtype.kind, "category"
    )


def missing(column: Series) -> np.ndarray[Any, Any]:
    """Which cells hold nothing (null or NaN)."""
    if (kind := dtype_kind(column)) in "biuf":  # the same by numpy, in a tenth of the time
        values = column.to_numpy()
        return np.isnan(values) if kind == "f" else np.zeros(len(values), dtype=bool)
    null = column.is_null().to_numpy().astype(bool)
    return null | column.is_nan().fill_null(False).to_numpy() if column.dtype.is_float() else null


def numbers(column: Series) -> np.ndarray[Any, Any]:
    """A numeric, boolean or moment column as float64, NaN where missing; else ValueError."""
    if dtype_kind(column) in "biuf":
        return np.asarray(column.to_numpy(), dtype=np.float64)
    if (empty := missing(column)).all():
        return np.full(len(column), np.nan)
    if kind_of_column(column) != "moment":
        if column.dtype.is_integer():  # Arrow casts no whole number beyond 2**53.
            filled = column.fill_null(0) if empty.any() else column
            return np.where(empty, np.nan, filled.to_numpy().astype(np.float64))
        try:
            return np.asarray(column.cast(nw.Float64).to_numpy(), dtype=np.float64)
        except Exception as error:  # Each library that narwhals knows raises its own.
            raise ValueError(
                f"column {column.name!r} held numbers in earlier rows, but holds {column.dtype} "
                f"here: bring both to one dtype ({error})"
            ) from error
    values = column.to_numpy()
    return np.where(np.isnat(values), np.nan, values.view(np.int64).astype(np.float64))


def levels(column: Series) -> tuple[Series, np.ndarray[Any, Any]]:
    """The column's distinct values, most frequent first (ties by first sight), and their counts."""
    codes, _ = pd.factorize(objects(column))
    there = np.flatnonzero(codes >= 0)
    counts = np.bincount(codes[there])
    is_new = np.diff(np.maximum.accumulate(codes[there]), prepend=-1) > 0
    order = np.argsort(-counts, kind="stable")
    return column[there[is_new][order]], counts[order]


def is_free_text(column: Series) -> bool:
    """Whether a column of texts holds too many different ones to be levels of a category."""
    known, counts = levels(column)
    return len(known) > MOST_LEVELS and len(known) > LEVEL_SHARE * counts.sum()


def mend_of_free_text(column: Series) -> str:
    """What to pass instead of a column of free text: what its texts spell, if that is something."""
    native, name = column.to_native(), f"X[{column.name!r}]"
    call = name if isinstance(native, pd.Series) else f"{name}.to_pandas()"
    mend = mend_of_texts(pd.Series(column.to_list(), dtype=object), call)
    return f"{mend}; otherwise " if mend else ""


def codes(column: Series, known: Series) -> np.ndarray[Any, Any]:
    """Position of each cell among the known levels; -1 where missing, -2 where unknown."""
    known_index, cells = (pd.Index(objects(each), dtype=object) for each in (known, column))
    found = known_index.get_indexer(cells)
    return np.where(missing(column), -1, np.where(found < 0, -2, found))


def objects(column: Series) -> np.ndarray[Any, Any]:
    """The cells as Python objects, None where missing."""
    native = column.to_native()
    if holds_texts(native):
        return shared_texts(native)
    values = np.array(column.to_numpy(), dtype=object)
    values[missing(column)] = None
    return values


def add_to_cells(
    column: Series,
    rows: np.ndarray[Any, Any],
    by: np.ndarray[Any, Any],
    low: Any,
    high: Any,
) -> Series:
    """The column with `by` added to the cells at `rows`, in its own dtype and within bounds.

    A missing cell stays missing. Whole numbers beyond 2**53 keep every digit: what is added
    is cut to the room that is left, never the sum.
    """
    is_numpy = dtype_kind(column) in "biuf"
    there = ~(missing(column)[rows] if is_numpy else missing(column[rows]))
    rows, by = rows[there], by[there]
    cells = column.to_numpy()[rows] if is_numpy else column[rows].to_numpy()
    if cells.dtype.kind == "b":
        new = cells ^ (np.abs(by) > 0.5)
    elif cells.dtype.kind in "iuMm":
        own = cells.view(np.int64) if cells.dtype.kind in "Mm" else cells
        # Modulo 2**64 a difference is exact, where the dtype's own could wrap.
        wide = own.astype(np.uint64)
        down = np.where(own > low, wide - np.uint64(int(low) % 2**64), np.uint64(0))
        up = np.where(own < high, np.uint64(int(high) % 2**64) - wide, np.uint64(0))
        size = np.minimum(np.rint(np.abs(by)), 2.0**63).astype(np.uint64)
        step = np.minimum(size, np.where(by < 0, down, up))
        new = np.where(by < 0, wide - step, wide + step).astype(own.dtype).view(cells.dtype)
    else:
        floats = cells.astype(np.float64)
        new = np.clip(floats + by, np.minimum(floats, low), np.maximum(floats, high))
        new = new.astype(cells.dtype)
    return put_numbers(column, rows, new)


def put_numbers(
    column: Series, rows: np.ndarray[Any, Any], numbers: np.ndarray[Any, Any]
) -> Series:
    """The column with numbers at `rows`, in its own dtype."""
    if dtype_kind(column) in "biuf":
        values = column.to_numpy().copy()
        values[rows] = numbers
        return nw.new_series(column.name, values, backend=nw.get_native_namespace(column))
    dtype = column[rows].to_numpy().dtype
    cells = numbers.astype(np.int64).view(dtype) if dtype.kind in "mM" else numbers.astype(dtype)
    return column.scatter(rows, in_dtype_of(column, cells))


def put_cells(column: Series, rows: np.ndarray[Any, Any], values: Series) -> Series:
    """The column with `values` at `rows`; a level that its own dtype lacks is not written."""
    native = column.to_native()
    if isinstance(native, pd.Series) and isinstance(native.dtype, pd.CategoricalDtype):
        return put_codes(column, rows, native.cat.categories.get_indexer(values.to_native()))
    if isinstance(native, pd.Series):
        own = values.to_native().astype(native.dtype)
        known = own.notna().to_numpy()
        rows, values = rows[known], nw.from_native(own[known], series_only=True)
    return column.scatter(rows, values)


def put_codes(column: Series, rows: np.ndarray[Any, Any], level: np.ndarray[Any, Any]) -> Series:
    """A column of pandas categories with other levels at `rows`, by their codes; -1 is none."""
    native = column.to_native()
    made = with_codes(native.array, rows, level)
    return nw.from_native(pd.Series(made, native.index, name=native.name), series_only=True)


def with_codes(
    cells: pd.Categorical, rows: np.ndarray[Any, Any], level: np.ndarray[Any, Any]
) -> pd.Categorical:
    """The same of the cells themselves."""
    known, codes = level >= 0, cells.codes.copy()
    codes[rows[known]] = level[known]
    return pd.Categorical.from_codes(codes, dtype=cells.dtype)


@dataclass(frozen=True)
class LevelEdit:
    """An edit of a column: the cells at `rows` get other ones of the known levels."""

    rows: np.ndarray[Any, Any]
    known: Series
    places: np.ndarray[Any, Any]

    def __call__(self, column: Series) -> Series:
        return put_cells(column, self.rows, self.known[self.places])

    def of_codes(self, cells: pd.Categorical) -> pd.Categorical:
        """The same of pandas categories, without reading them."""
        codes = cells.categories.get_indexer(self.known.to_native())
        return with_codes(cells, self.rows, codes[self.places])


def cells(column: Series) -> np.ndarray[Any, Any]:
    """The column as rules read it: float64 with NaN, or objects with None, where missing.

    Moments count in days since 1970; levels that are all numbers are read as numbers.
    """
    kind = kind_of_column(column)
    if kind == "moment":
        values = column.to_numpy()
        known = ~np.isnat(values)
        days = np.full(len(values), np.nan)
        days[known] = values[known].view(np.int64) / ticks_a_day(column)
        return days
    if kind not in ("text", "category"):
        return numbers(column)
    values = objects(column)
    first = next((value for value in values if value is not None), None)
    if first is None or isinstance(first, str):
        return values
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError):
        return values


def ticks_a_day(column: Series) -> float:
    """Units of a moment column in a day; 1 for any other column."""
    if kind_of_column(column) != "moment":
        return 1.0
    return float(TICKS_A_DAY[np.datetime_data(column.to_numpy().dtype)[0]])


def is_coarse(column: Series) -> bool:
    """Whether it holds its numbers in 32 bits or fewer, so that sums are rounded early."""
    return column.dtype.is_float() and column.to_numpy().dtype.itemsize < 8


def in_dtype_of(column: Series, values: np.ndarray[Any, Any]) -> Series:
    """Values as a series of the column's own dtype."""
    dtype = column.dtype
    backend = nw.get_native_namespace(column)
    if isinstance(dtype, nw.Datetime) and dtype.time_zone:
        series = nw.new_series(column.name, values, backend=backend)
        return series.dt.replace_time_zone("UTC").dt.convert_time_zone(dtype.time_zone)
    if dtype == nw.Unknown:
        return nw.new_series(column.name, values, backend=backend)
    return nw.new_series(column.name, values, dtype, backend=backend)
