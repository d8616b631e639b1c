"""Rows and labels in any container as plain values and arrays, for files that hold no code.

pandas' index is left out: stored rows are parents, whose index nothing reads.
"""

import io
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from scipy import sparse

from advaug.containers.panels import Panel


def kind_of_packed(value: Any) -> str | None:
    """The kind of a container that can be packed; None for anything else."""
    if isinstance(value, nw.Series):
        return "narwhals.Series"
    if sparse.issparse(value):
        return "sparse"
    if isinstance(value, Panel):
        return "panel"
    module = type(value).__module__.split(".")[0]
    if module in ("pandas", "polars", "pyarrow"):
        name = f"{module}.{type(value).__name__}"
        return name if name in PACKERS else None
    return None


def pack(value: Any) -> Any:
    """The container as plain values and arrays."""
    kind = kind_of_packed(value)
    return PACKERS[str(kind)][0](value)


def unpack(kind: str, parts: Any) -> Any:
    """The container again."""
    return PACKERS[kind][1](parts)


# ---------------------------------------------------------------- pandas


def pack_cells(cells: Any) -> Any:
    """A column or an index of pandas: its dtype in words, and what it holds."""
    dtype = cells.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        known = pack_cells(dtype.categories)
        codes = np.asarray(cells.cat.codes if isinstance(cells, pd.Series) else cells.codes)
        return ["category", codes, known, dtype.ordered]
    if isinstance(dtype, np.dtype) and dtype.kind != "O":
        return ["numpy", cells.to_numpy()]
    if isinstance(dtype, pd.DatetimeTZDtype):
        ticks = cells.dt if isinstance(cells, pd.Series) else cells
        return ["zoned", ticks.tz_convert("UTC").to_numpy(dtype=f"M8[{dtype.unit}]"), str(dtype)]
    values = [None if one is pd.NA else one for one in cells.tolist()]
    return ["objects", np.array([*values, None], dtype=object)[:-1], str(dtype)]


def unpack_cells(parts: Any) -> Any:
    """A series without a name."""
    match parts:
        case ["category", codes, known, ordered]:
            levels = pd.Index(unpack_cells(known))
            return pd.Series(pd.Categorical.from_codes(codes, levels, ordered=ordered))
        case ["numpy", values]:
            return pd.Series(values)
        case ["zoned", values, dtype]:
            return pd.Series(values).dt.tz_localize("UTC").astype(dtype)
        case ["objects", values, dtype]:
            return pd.Series(values, dtype=dtype)
    raise ValueError("a column that is not known")


def pack_frame(frame: pd.DataFrame) -> Any:
    names = frame.columns.tolist()
    cells = [pack_cells(frame.iloc[:, place]) for place in range(len(names))]
    return [names, pack_cells(frame.columns.to_flat_index()), list(frame.columns.names), cells]


def unpack_frame(parts: Any) -> pd.DataFrame:
    names, flat, levels, cells = parts
    columns = [unpack_cells(one) for one in cells]
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame()
    if len(levels) > 1:
        return frame.set_axis(pd.MultiIndex.from_tuples(names, names=levels), axis=1)
    return frame.set_axis(pd.Index(unpack_cells(flat), name=levels[0]), axis=1)


def pack_panel(panel: Panel) -> Any:
    """Times and names of signals are kept: new signals have the times of their parents."""
    indexes = [[one.name, pack_cells(one)] for one in (panel.values.index, panel.names)]
    return [pack_frame(panel.values), *indexes, panel.lengths, panel.is_nested]


def unpack_panel(parts: Any) -> Panel:
    values, *indexes, lengths, is_nested = parts
    time, names = (pd.Index(unpack_cells(cells), name=name) for name, cells in indexes)
    return Panel(unpack_frame(values).set_axis(time, axis=0), names, lengths, is_nested)


def pack_series(series: pd.Series) -> Any:
    return [series.name, pack_cells(series)]


def unpack_series(parts: Any) -> pd.Series:
    name, cells = parts
    return unpack_cells(cells).rename(name)


# ---------------------------------------------------------------- others


def pack_polars(frame: Any) -> Any:
    data = io.BytesIO()
    frame.write_ipc(data)
    return np.frombuffer(data.getvalue(), np.uint8)


def unpack_polars(parts: Any) -> Any:
    import polars

    return polars.read_ipc(io.BytesIO(parts.tobytes()))


def pack_arrow(value: Any) -> Any:
    import pyarrow

    table = value if hasattr(value, "schema") else pyarrow.table({"": value})
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return np.frombuffer(sink.getvalue(), np.uint8)


def unpack_arrow(parts: Any) -> Any:
    import pyarrow

    return pyarrow.ipc.open_stream(pyarrow.py_buffer(parts.tobytes())).read_all()


def pack_sparse(matrix: Any) -> Any:
    rows = matrix.tocsr()
    return [
        *(rows.data, rows.indices, rows.indptr, list(rows.shape), matrix.format),
        isinstance(matrix, sparse.spmatrix),
    ]


def unpack_sparse(parts: Any) -> Any:
    data, indices, indptr, shape, kind, is_matrix = parts
    rows = (sparse.csr_matrix if is_matrix else sparse.csr_array)(
        (data, indices, indptr), shape=tuple(shape)
    )
    rows.check_format(full_check=True)
    return rows.asformat(kind)


PACKERS = {
    "pandas.DataFrame": (pack_frame, unpack_frame),
    "pandas.Series": (pack_series, unpack_series),
    "polars.DataFrame": (pack_polars, unpack_polars),
    "polars.Series": (
        lambda series: pack_polars(series.to_frame()),
        lambda parts: unpack_polars(parts).to_series(),
    ),
    "pyarrow.Table": (pack_arrow, unpack_arrow),
    "pyarrow.ChunkedArray": (pack_arrow, lambda parts: unpack_arrow(parts).column(0)),
    "panel": (pack_panel, unpack_panel),
    "sparse": (pack_sparse, unpack_sparse),
    "narwhals.Series": (
        lambda series: [kind_of_packed(series.to_native()), pack(series.to_native())],
        lambda parts: nw.from_native(unpack(*parts), series_only=True),
    ),
}
