"""The user's rows, whatever holds them: read as columns, copied, edited, joined, handed back.

The only room that knows pandas, polars (through narwhals), scipy's sparse matrices or lists.
New rows are always copies of the user's own rows in which single cells were edited.
"""

import gzip
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from scipy import sparse

Frame = nw.DataFrame[Any]
Series = nw.Series[Any]


def kind_of_container(X: Any) -> str:
    """'array', 'sparse', 'frame' or 'list'; TypeError for what none of them is."""
    if isinstance(X, np.ndarray):
        return "array"
    if sparse.issparse(X):
        return "sparse"
    if isinstance(X, list | tuple):
        return "list"
    if nw.dependencies.is_into_dataframe(X):
        return "frame"
    if hasattr(X, "__array__"):
        return "array"
    raise TypeError(
        f"cannot read rows from {type(X).__name__}: pass a numpy array, a pandas or polars "
        "frame, a scipy sparse matrix or a list of rows"
    )


def as_array(X: Any) -> np.ndarray[Any, Any]:
    """A list, sparse matrix or array as an array that torch and pandas can read."""
    if sparse.issparse(X):
        X = X.toarray()
    X = np.asarray(X)
    if X.dtype.kind == "c":
        raise ValueError("Complex data not supported: pass the real and imaginary parts as columns")
    if X.dtype.kind == "f" and X.dtype.itemsize not in (4, 8):
        X = X.astype(np.float64)
    return X.astype(X.dtype.newbyteorder("="), copy=False)


def open_table(X: Any) -> Frame:
    """The rows as a frame to read; a 2-d array becomes one without a copy."""
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
    """ValueError naming a column whose name stands twice."""
    if isinstance(X, pd.DataFrame) and not X.columns.is_unique:
        twice = X.columns[X.columns.duplicated()][0]
        raise ValueError(f"column {twice!r} stands twice in X: rename or drop one of them")


def close_table(X: Any, rows: Frame) -> Any:
    """Rows edited by us, in the container and dtypes of X."""
    native = rows.to_native()
    kind = kind_of_container(X)
    if kind == "frame":
        if isinstance(X, pd.DataFrame):
            native = native.astype({c: t for c, t in X.dtypes.items() if t != native[c].dtype})
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
    if isinstance(X, pd.DataFrame | pd.Series):
        return X.take(rows)
    if sparse.issparse(X):  # not every format can be indexed
        return X.tocsr()[rows].asformat(X.format)
    if isinstance(X, np.ndarray):
        return X[rows]
    if isinstance(X, list | tuple):
        return [X[row] for row in rows]
    return nw.from_native(X, eager_only=True, allow_series=True)[rows].to_native()


def join(X: Any, batches: Iterable[Any], parents: np.ndarray[Any, Any]) -> Any:
    """X first, as it was, then the new rows.

    `parents` are the rows that the new ones were copied from. A pandas index goes on counting
    if it holds integers; any other index repeats the parent's label.
    """
    if isinstance(X, np.ndarray):
        # Written in place, so that no second copy of the new rows is ever held.
        joined = np.empty((len(X) + len(parents), *X.shape[1:]), X.dtype)
        joined[: len(X)] = X
        at = len(X)
        for batch in batches:
            joined[at : at + len(batch)] = batch
            at += len(batch)
        return joined
    batches = list(batches)
    if isinstance(X, list | tuple):
        return [*X, *(row for batch in batches for row in batch)]
    if sparse.issparse(X):
        return sparse.vstack([X, *batches], format=X.format, dtype=X.dtype)
    if isinstance(X, pd.DataFrame | pd.Series):
        return pd.concat([X, *batches]).set_axis(longer_index(X.index, parents), axis=0)
    if nw.dependencies.is_into_series(X):
        series = [nw.from_native(s, series_only=True).to_frame() for s in (X, *batches)]
        return nw.concat(series)[:, 0].to_native()
    return nw.concat([nw.from_native(b) for b in (X, *batches)]).to_native()


def longer_index(index: pd.Index, parents: np.ndarray[Any, Any]) -> pd.Index:
    """The index with a label for each new row."""
    if isinstance(index, pd.RangeIndex):
        stop = index.stop + len(parents) * index.step
        return pd.RangeIndex(index.start, stop, index.step, name=index.name)
    if pd.api.types.is_integer_dtype(index.dtype) and len(index):
        new = np.arange(len(parents)) + int(index.max()) + 1
        return index.append(pd.Index(new, dtype=index.dtype, name=index.name))
    return index.append(index.take(parents))


def labels(y: Any) -> np.ndarray[Any, Any]:
    """A target in any container as an array; ValueError naming the first missing label."""
    if isinstance(y, pd.DataFrame | pd.Series):
        values = y.to_numpy() if y.ndim == 1 or y.shape[1] > 1 else y.iloc[:, 0].to_numpy()
    else:
        values = y.to_numpy() if hasattr(y, "to_numpy") else np.asarray(y)
    null = pd.isna(values)
    if null.any():
        row = int(np.argwhere(null)[0, 0])
        raise ValueError(f"Input y contains NaN: no label at row {row}. Drop the rows without one")
    if values.dtype == object and values.ndim == 1:
        values = pd.Series(values).infer_objects().to_numpy()
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def table(columns: dict[str, Any], named: dict[str, Any]) -> pd.DataFrame:
    """Columns as a pandas frame; those in `named` are codes into a list of names."""
    frame = pd.DataFrame(columns, copy=False)
    coded = {k: pd.Categorical.from_codes(columns[k], names) for k, names in named.items()}
    return frame.assign(**coded)


# Columns ----------------------------------------------------------------------------------


def kind_of_column(column: Series) -> str:
    """'number', 'integer', 'boolean', 'moment', 'text' or 'category'."""
    dtype = column.dtype
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
    null = column.is_null().to_numpy().astype(bool)
    return null | column.is_nan().fill_null(False).to_numpy() if column.dtype.is_float() else null


def numbers(column: Series) -> np.ndarray[Any, Any]:
    """A numeric, boolean or moment column as float64, NaN where missing."""
    if kind_of_column(column) != "moment":
        return np.asarray(column.cast(nw.Float64).to_numpy(), dtype=np.float64)
    values = column.to_numpy()
    return np.where(np.isnat(values), np.nan, values.view(np.int64).astype(np.float64))


def levels(column: Series) -> tuple[Series, np.ndarray[Any, Any]]:
    """The column's distinct values, most frequent first (ties by first sight), and their counts."""
    codes, _ = pd.factorize(objects(column))
    there = np.flatnonzero(codes >= 0)
    _, first, counts = np.unique(codes[there], return_index=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return column[there[first][order]], counts[order]


def codes(column: Series, known: Series) -> np.ndarray[Any, Any]:
    """Position of each cell among the known levels; -1 where missing, -2 where unknown."""
    found = pd.Index(objects(known)).get_indexer(pd.Index(objects(column)))
    return np.where(missing(column), -1, np.where(found < 0, -2, found))


def objects(column: Series) -> np.ndarray[Any, Any]:
    """The cells as Python objects, None where missing."""
    values = np.array(column.to_numpy(), dtype=object)
    values[missing(column)] = None
    try:
        pd.factorize(values)
    except TypeError as error:
        raise TypeError(
            f"column {column.name!r} holds values that cannot be compared ({error}): "
            "make them text or numbers, or drop the column"
        ) from error
    return values


def shift(
    column: Series,
    rows: np.ndarray[Any, Any],
    by: np.ndarray[Any, Any],
    low: Any,
    high: Any,
) -> Series:
    """The column with `by` added to the cells at `rows`, in its own dtype and within bounds.

    None of the cells may be missing. Whole numbers beyond 2**53 keep every digit: what is added
    is cut to the room that is left, never the sum.
    """
    cells = column[rows].to_numpy()
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
    return column.scatter(rows, like(column, new))


def like(column: Series, values: np.ndarray[Any, Any]) -> Series:
    """Values as a series of the column's own dtype."""
    dtype = column.dtype
    backend = nw.get_native_namespace(column)
    if isinstance(dtype, nw.Datetime) and dtype.time_zone:
        series = nw.new_series(column.name, values, backend=backend)
        return series.dt.replace_time_zone("UTC").dt.convert_time_zone(dtype.time_zone)
    if dtype == nw.Unknown:
        return nw.new_series(column.name, values, backend=backend)
    return nw.new_series(column.name, values, dtype, backend=backend)


# Files ------------------------------------------------------------------------------------

INTEGER = r"-?(?:0|[1-9]\d*)"
NUMBER = r"[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
TRUTHS = (("True", "False"), ("true", "false"), ("TRUE", "FALSE"))
CLOCKS = {
    "": "",
    "%H:%M": r"\d\d:\d\d",
    "%H:%M:%S": r"\d\d:\d\d:\d\d",
    "%H:%M:%S.%f": r"\d\d:\d\d:\d\d\.\d{6}",
}
MOMENTS = {  # format -> a pattern as strict as the format ought to be
    f"%Y-%m-%d{between}{clock}{zone}": rf"\d{{4}}-\d\d-\d\d{between}{pattern}{zone}"
    for clock, pattern in CLOCKS.items()
    for between, zone in ([("T", ""), (" ", ""), ("T", "Z"), (" ", "Z")] if clock else [("", "")])
}
Spell = Callable[[pd.Series], pd.Series]  # cells of a dtype -> their texts


def read_table(path: str | Path) -> pd.DataFrame:
    """A csv or parquet file with the dtypes that its cells have.

    Of a csv only empty cells are missing. A column becomes whole numbers (nullable where cells
    are missing), truths, decimals or moments if *all* its cells are; else it stays text, as do
    numbers with leading zeros.
    """
    if str(path).endswith(".parquet"):
        plain = pd.read_parquet(path)
        exact = pd.read_parquet(path, dtype_backend="numpy_nullable")
        # pandas makes floats of whole numbers, and objects of truths, with a missing cell
        lost = [
            name
            for name in plain.columns
            if pd.api.types.is_integer_dtype(exact[name].dtype)
            != pd.api.types.is_integer_dtype(plain[name].dtype)
            or pd.api.types.is_bool_dtype(exact[name].dtype)
            != pd.api.types.is_bool_dtype(plain[name].dtype)
        ]
        return plain.assign(**{name: exact[name] for name in lost})
    texts = read_texts(path)
    return pd.DataFrame({name: parsed(texts[name])[0] for name in texts.columns})


def write_table(frame: pd.DataFrame, path: str | Path, original: str | Path = "") -> None:
    """A frame as csv or parquet.

    From csv to csv the first rows are written as they stand in `original`, and the rows below
    are spelt as it spells its own.
    """
    if str(path).endswith(".parquet"):
        frame.to_parquet(path)
    elif str(original).endswith((".csv", ".csv.gz")):
        texts = read_texts(original)
        spelt = {
            name: pd.concat([texts[name], parsed(texts[name])[1](cells.iloc[len(texts) :])])
            if name in texts
            else cells.set_axis(range(len(cells)))
            for name, cells in frame.items()
        }
        whole = pd.DataFrame({name: cells.to_numpy(object) for name, cells in spelt.items()})
        whole.to_csv(path, index=False, sep=separator(original))
    else:
        frame.to_csv(path, index=not isinstance(frame.index, pd.RangeIndex))


def separator(path: str | Path) -> str:
    """Comma, semicolon or tab: what the header of a csv file has most of."""
    opened = gzip.open if str(path).endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8-sig") as file:
        header = file.readline()
    return max(",;\t", key=header.count)


def read_texts(path: str | Path) -> pd.DataFrame:
    """The cells of a csv file as texts, nothing read into them."""
    whole = pd.read_csv(
        path,
        sep=separator(path),
        header=None,
        dtype=str,
        na_filter=False,
        encoding="utf-8-sig",
        low_memory=False,
    )
    names = pd.Index(whole.iloc[0])
    if not names.is_unique:
        twice = names[names.duplicated()][0]
        raise ValueError(f"column {twice!r} stands twice in its header: rename one of them")
    return whole.iloc[1:].set_axis(names, axis=1).reset_index(drop=True)


def parsed(texts: pd.Series) -> tuple[pd.Series, Spell]:
    """Texts as a column of the narrowest dtype that fits all, and how to spell its cells."""
    known = texts[texts != ""]
    for parse in (parsed_numbers, parsed_truths, parsed_moments):
        found = parse(known) if len(known) else (pd.Series(dtype=float), as_text)
        if found is not None:
            cells, spell = found
            if len(known) < len(texts):
                nullable = {"i": "Int64", "u": "UInt64", "b": "boolean"}
                cells = cells.astype(nullable.get(cells.dtype.kind, cells.dtype))
            return cells.reindex(texts.index), spell
    return texts.where(texts != ""), as_text


def as_text(cells: pd.Series) -> pd.Series:
    """Each cell as Python writes it, nothing for a missing one."""
    return spelt_by(str, cells)


def parsed_numbers(texts: pd.Series) -> tuple[pd.Series, Spell] | None:
    """Whole numbers that fit 64 bits, or decimals with as many digits as the column has."""
    texts = texts.str.strip()
    if texts.str.fullmatch(INTEGER).all():
        whole = pd.to_numeric(texts)
        fits = whole.dtype.kind in "iu" and len(max(texts, key=len)) < 21
        return (pd.Series(whole, texts.index), as_text) if fits else None
    if not texts.str.fullmatch(NUMBER).all():
        return None
    numbers = texts.astype(float)
    if texts.str.contains("[eE]").any():
        return numbers, as_text
    digits = texts.str.partition(".")[2].str.len()
    most, is_fixed = int(digits.max()), digits.nunique() == 1

    def spell(number: float) -> str:
        text = f"{round(number, most) + 0.0:.{most}f}"
        return text if is_fixed else text.rstrip("0").rstrip(".")

    return numbers, partial(spelt_by, spell)


def parsed_truths(texts: pd.Series) -> tuple[pd.Series, Spell] | None:
    """True and False in one of three spellings."""
    for yes, no in TRUTHS:
        if texts.isin([yes, no]).all():
            spell = {True: yes, False: no}.get
            return texts == yes, partial(spelt_by, spell)
    return None


def parsed_moments(texts: pd.Series) -> tuple[pd.Series, Spell] | None:
    """ISO dates and times, all in one format."""
    for form, pattern in MOMENTS.items():
        if texts.str.fullmatch(pattern).all():
            moments = pd.to_datetime(texts, format=form, errors="coerce")
            spell = partial(pd.Timestamp.strftime, format=form)
            return None if moments.isna().any() else (moments, partial(spelt_by, spell))
    return None


def spelt_by(spell: Callable[[Any], Any], cells: pd.Series) -> pd.Series:
    """Each cell by a function, a missing one left missing."""
    return cells.astype(object).map(spell, na_action="ignore")
