"""Columns of dtypes that only hold objects: read as numbers or moments, and written back as they
were.

Decimals, dates, times, periods and 128-bit numbers have no numpy dtype, and an object column holds
anything. `plain` reads such a column by its values; `restored` writes edited cells in the column's
own dtype and leaves all others as they are.
"""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
import pandas as pd

Series = nw.Series[Any]
EXACT_DIGITS = 12  # A float is written as a decimal number with so many digits at most.
WHOLE = 2**63  # Whole numbers from here on have no numpy dtype that keeps their digits.


class Reading(NamedTuple):
    """How cells of one kind are read into numpy, and how a new cell is written like an old one."""

    dtype: str
    read: Callable[[Any], Any]
    write: Callable[[Any, Any], Any]


def read_moment(cell: Any) -> Any:
    stamp = pd.Timestamp(cell)
    return (stamp if stamp.tz is None else stamp.tz_convert(None)).as_unit("us").asm8


def write_moment(value: Any, old: Any) -> Any:
    stamp = pd.Timestamp(value)
    zone = getattr(old, "tzinfo", None)  # numpy's datetime64 has no time zone.
    if zone is not None:
        stamp = stamp.tz_localize("UTC").tz_convert(zone)
    return stamp if isinstance(old, pd.Timestamp) else stamp.to_pydatetime()


def write_date(value: Any, old: Any) -> Any:
    return value.astype("M8[D]").item()


def read_time(cell: dt.time) -> Any:
    return np.timedelta64(dt.datetime.combine(dt.date.min, cell) - dt.datetime.min, "us")


def write_time(value: Any, old: dt.time) -> dt.time:
    return (dt.datetime.min + value.astype("m8[us]").item()).time().replace(tzinfo=old.tzinfo)


def write_duration(value: Any, old: Any) -> Any:
    span = pd.Timedelta(value)
    return span if isinstance(old, pd.Timedelta) else span.to_pytimedelta()


def write_number(value: Any, old: Any) -> Any:
    is_whole = isinstance(old, int | np.integer) and float(value).is_integer()
    return type(old)(int(value)) if is_whole else float(value)


def write_float(value: Any, old: Any) -> Any:
    return type(old)(value)


def write_decimal(value: Any, old: Decimal) -> Decimal:
    """The number with few digits as it stands, with many ones rounded as the old cell is."""
    text, digits = f"{value:.{EXACT_DIGITS}g}", -int(old.as_tuple().exponent)
    is_short = len(text.partition(".")[2]) <= digits + 2
    return Decimal(text) if is_short else Decimal(round(value, digits)).quantize(old)


def read_duration(cell: Any) -> Any:
    return pd.Timedelta(cell).as_unit("us").asm8


NUMBER = Reading("f8", float, write_number)
MOMENT = Reading("M8[us]", read_moment, write_moment)
DURATION = Reading("m8[us]", read_duration, write_duration)
READINGS = {  # by the words of pandas.api.types.infer_dtype
    "integer": Reading("i8", int, write_number),
    "floating": Reading("f8", float, write_float),
    "mixed-integer-float": NUMBER,
    "decimal": Reading("f8", float, write_decimal),
    "date": Reading("M8[D]", np.datetime64, write_date),
    "datetime": MOMENT,
    "datetime64": MOMENT,
    "timedelta": DURATION,
    "timedelta64": DURATION,
    "time": Reading("m8[us]", read_time, write_time),
    "period": Reading(
        "M8[s]",
        lambda cell: np.datetime64(cell.start_time, "s"),
        lambda value, old: pd.Period(pd.Timestamp(value), freq=old.freq),
    ),
}
OWN = (nw.Boolean, nw.String, nw.Categorical, nw.Enum, nw.Datetime, nw.Duration)


def unusual_columns(frame: nw.DataFrame[Any]) -> list[Any]:
    """The columns of a frame that are no plain numbers."""
    native = frame.to_native()
    if isinstance(native, pd.DataFrame):
        kinds = (dtype.kind if isinstance(dtype, np.dtype) else "O" for dtype in native.dtypes)
        return [
            name for name, kind in zip(native.columns, kinds, strict=True) if kind not in "biuf"
        ]
    return list(frame.columns)


def is_own(column: Series) -> bool:
    """Whether the dtype is one that numpy or the column's own library computes with."""
    dtype = column.dtype
    if dtype in OWN or dtype in (nw.Float64, nw.Float32):
        return True
    if dtype == nw.Date:
        return not isinstance(column.to_native(), pd.Series)
    return dtype.is_integer() and dtype not in (nw.Int128, nw.UInt128)


def reading_of(column: Series) -> Reading | None:
    """How an object column is read as numbers or moments; None where it is neither."""
    if is_own(column) or dtype_kind(column) in "biuf":
        return None
    kind = pd.api.types.infer_dtype(column.to_list(), skipna=True)
    if kind == "integer" and any(abs(cell) >= WHOLE for cell in known_cells(column)):
        return None
    return READINGS.get(kind)


def dtype_kind(column: Series) -> str:
    """numpy's letter for the dtype of a pandas column; "O" for all others."""
    dtype = getattr(column.to_native(), "dtype", None)
    return dtype.kind if isinstance(dtype, np.dtype) else "O"


def holds_texts(column: Any) -> bool:
    """Whether a pandas column is of texts, or a category of texts."""
    dtype = column.dtype if isinstance(column, pd.Series) else None
    dtype = dtype.categories.dtype if isinstance(dtype, pd.CategoricalDtype) else dtype
    return isinstance(dtype, pd.StringDtype)


def shared_texts(texts: pd.Series) -> np.ndarray[Any, Any]:
    """The cells of a column of texts, None where missing; equal ones are one object in memory."""
    places, different = pd.factorize(texts)
    shared: np.ndarray[Any, Any] = np.array([*different, None], dtype=object)[places]
    return shared


def known_cells(column: Series) -> list[Any]:
    """The cells that hold something."""
    return [cell for cell in column.to_list() if not is_missing(cell)]


def is_missing(cell: Any) -> bool:
    """Whether a cell of any library holds nothing."""
    return cell is None or (pd.api.types.is_scalar(cell) and bool(pd.isna(cell)))


def is_unreadable(column: Series) -> bool:
    """Whether cells can neither be computed with nor be compared as levels."""
    if is_own(column) or dtype_kind(column) in "biuf" or reading_of(column) is not None:
        return False
    native = column.to_native()
    if not isinstance(native, pd.Series) and column.dtype == nw.Object:
        return True  # polars writes no cell of such a column.
    cells = known_cells(column)
    kind = pd.api.types.infer_dtype(cells, skipna=True)
    return kind == "complex" or column.dtype in (nw.Int128, nw.UInt128) or not are_levels(cells)


def are_levels(cells: list[Any]) -> bool:
    """Whether cells can be told apart and counted."""
    try:
        return bool(len(set(cells)) <= len(cells))
    except TypeError:
        return False


def plain(column: Series) -> Series:
    """The column as numbers or moments where its values are such; else the column itself."""
    reading = reading_of(column)
    if reading is None:
        return column
    cells = column.to_list()
    there = np.array([not is_missing(cell) for cell in cells], dtype=bool)
    if reading.dtype == "i8" and not there.all():
        return whole_with_gaps(column, cells)
    nothing = {"f8": np.nan, "i8": 0}.get(reading.dtype, "NaT")
    values = np.full(len(cells), nothing, dtype=reading.dtype)
    values[there] = [reading.read(cell) for cell in known_cells(column)]
    return nw.new_series(column.name, values, backend=nw.get_native_namespace(column))


def whole_with_gaps(column: Series, cells: list[Any]) -> Series:
    """Whole numbers and missing cells: a float would lose the digits beyond 2**53."""
    whole = [None if is_missing(cell) else int(cell) for cell in cells]
    if isinstance(column.to_native(), pd.Series):
        native = pd.Series(whole, dtype="Int64", name=column.name)
        return nw.from_native(native, series_only=True)
    return nw.new_series(column.name, whole, nw.Int64, backend=nw.get_native_namespace(column))


def restored(own: Series, edited: Series) -> Series:
    """The column in its own dtype, with those cells that were edited in its plain form."""
    reading = reading_of(own)
    if reading is None or native_dtype(edited) == native_dtype(own):
        return edited
    read = plain(own)
    # numpy has no whole numbers with gaps.
    before, after = (
        np.array(one.to_list(), object) if read.dtype.is_integer() else one.to_numpy()
        for one in (read, edited)
    )
    there = np.flatnonzero(~pd.isna(after))
    cells = own.to_list()
    for at in there[before[there] != after[there]]:
        cells[at] = reading.write(after[at], cells[at])
    native = with_cells(own.to_native(), cells)
    return nw.from_native(native, series_only=True).alias(own.name)


def native_dtype(column: Series) -> Any:
    """The dtype by the column's own library; narwhals' own depends on the cells of objects."""
    native = column.to_native()
    return native.type if hasattr(native, "type") else native.dtype


def with_cells(native: Any, cells: list[Any]) -> Any:
    """A column of any library with other cells, of the same dtype, name and index."""
    if isinstance(native, pd.Series):
        return pd.Series(cells, index=native.index, dtype=native.dtype, name=native.name)
    if hasattr(native, "type"):  # an arrow column, which has no name
        library = nw.get_native_namespace(native)
        return library.chunked_array([library.array(cells, native.type)])
    return type(native)(native.name, cells, dtype=native.dtype)


def refuse_untakeable(frame: nw.DataFrame[Any]) -> None:
    """TypeError naming a column of which the library that holds it cannot take single rows."""
    for name in unusual_columns(frame):
        column = frame.get_column(name)
        try:
            column[[0]]
        except Exception as error:  # Each library that narwhals knows raises its own.
            raise TypeError(
                f"column {column.name!r} is {native_dtype(column)}, of "
                "which its library cannot take single rows: cast it, e.g. to string or to numbers"
            ) from error


def mend_of(column: Series) -> str:
    """What to write so that a column which cannot be read can be."""
    cells = known_cells(column)
    name = repr(column.name)
    if not isinstance(column.to_native(), pd.Series) and column.dtype == nw.Object:
        return "give it a dtype of its own, e.g. text"
    if cells and isinstance(cells[0], pd.Series | np.ndarray) and len(cells[0]) > 1:
        return (
            "its cells are arrays: if they are signals (channels, time), pass "
            "[np.stack([np.asarray(cell) for cell in row]) for row in X.to_numpy()]"
        )
    if cells and isinstance(cells[0], complex):
        return "Complex data not supported: pass the real and imaginary parts as columns"
    if cells and isinstance(cells[0], int):
        return "its whole numbers need more than 64 bits: make it floats or texts"
    each = "field" if cells and isinstance(cells[0], dict) else "part"
    mend = f"make a column of each {each} of {name}"
    # scikit-learn's checks look for these words.
    return f"in each cell the argument must be a string, number or date: {mend}"
