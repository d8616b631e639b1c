"""Tables that are read and written a batch at a time, as pyarrow tables.

A file is cut into pieces, which are runs of its rows that one call reads. What a piece holds is
known by its first row's number in the whole data.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np

from advaug.containers.files import (
    SEPARATORS,
    TEXT_SUFFIXES,
    UNFINISHED,
    beside,
    opened,
    separator_of,
)

if find_spec("pyarrow") is None:
    raise ImportError("tables in batches need pyarrow: pip install advaug[parquet]")

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

BATCH_SIZE = 2**16  # rows that are in memory at once
PIECE_SIZE = 2**20  # A piece of a Parquet file has about so many rows.
CSV_BLOCK = 2**23  # bytes of a csv file that are read at once, and by which its dtypes are found
SNIFFED = 50  # lines by which a separator is recognised
PARQUET = ".parquet"
SUFFIXES = (PARQUET, *TEXT_SUFFIXES)
TEXT_BYTES = 32  # A cell of a text is taken to have so many.
NO_CELLS = (
    pa.types.is_nested,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_fixed_size_binary,
)


class Piece(NamedTuple):
    """Rows of a file that are read by one call; `groups` are those of a Parquet file."""

    path: str
    first: int
    n_rows: int
    groups: tuple[int, ...] = ()


# ---------------------------------------------------------------- files and their columns


def files_of(source: Path) -> list[Path]:
    """The data files of a folder, by name, or the one file; hidden files and `_...` are others'."""
    if not source.exists():
        raise ValueError(f"cannot read {source}: there is no such file or folder; check the path")
    if source.is_file():
        files = [source]
    else:
        files = sorted(p for p in source.iterdir() if p.is_file() and p.name[0] not in "._")
    kinds = {kind_of(path) for path in files}
    if not files:
        raise ValueError(f"{source} holds no file: put the Parquet or csv files of a table there")
    if len(kinds) > 1:
        raise ValueError(
            f"{source} holds files of several kinds ({', '.join(sorted(kinds))}): keep those of "
            "one table in a folder of their own"
        )
    return files


def kind_of(path: Path) -> str:
    """The suffix of a data file; ValueError for files of another kind."""
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if path.name.endswith(suffix):
            return suffix
    raise ValueError(
        f"cannot read {path}: a table's files end in {', '.join(SUFFIXES)}; convert it, or move it "
        "elsewhere"
    )


def schema_of(files: Sequence[Path]) -> pa.Schema:
    """The columns of all files; ValueError where a file has others, or a column holds no cells."""
    schemas = {path: file_schema(path) for path in files}
    first, *_ = files
    for path, schema in schemas.items():
        refuse_other_columns(path, schema.names, first, schemas[first].names)
    try:
        schema = pa.unify_schemas(
            [schema.remove_metadata() for schema in schemas.values()], promote_options="permissive"
        )
    except pa.ArrowInvalid as error:
        raise ValueError(f"the files of one table differ in a column's dtype: {error}") from error
    return checked_schema(schema)


def checked_schema(schema: pa.Schema) -> pa.Schema:
    """The columns; ValueError where one holds no cells, such as lists."""
    for field in schema:
        if any(is_such(field.type) for is_such in NO_CELLS):
            raise ValueError(
                f"column {field.name!r} holds {field.type}, which is no number, text or date: "
                "write it as several columns, or drop it"
            )
    return pa.schema([field_of(field) for field in schema])


def field_of(field: pa.Field) -> pa.Field:
    """A column without any cell is one of texts."""
    return field.with_type(pa.string()) if pa.types.is_null(field.type) else field


def plain(schema: pa.Schema) -> pa.Schema:
    """The same columns with texts in place of the places of texts."""
    return pa.schema([field.with_type(value_type(field.type)) for field in schema])


def value_type(dtype: pa.DataType) -> pa.DataType:
    return dtype.value_type if pa.types.is_dictionary(dtype) else dtype


def refuse_other_columns(path: Path, names: list[str], first: Path, known: list[str]) -> None:
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{path}: column {twice!r} stands twice: rename one of them")
    if names != known:
        other = next((name for name in [*names, *known] if (name in names) != (name in known)), "")
        which = f"column {other!r} is in one of them only" if other else "their order differs"
        raise ValueError(
            f"{path} has other columns than {first}: {which}. The files of a folder must have the "
            "same columns in the same order"
        )


def file_schema(path: Path) -> pa.Schema:
    """The columns of a file; of a csv file as its first block says."""
    try:
        if kind_of(path) == PARQUET:
            return pq.read_schema(path)
        with csv_reader(path) as reader:
            return reader.schema
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"cannot read {path}: {error}. Save it anew") from error


def csv_reader(path: str | Path, schema: pa.Schema | None = None) -> arrow_csv.CSVStreamingReader:
    """A csv file, block by block; its separator is found."""
    with opened(Path(path), "rb") as file:
        lines = [line.decode("utf-8-sig", "replace") for line in islice(file, SNIFFED)]
    types = {} if schema is None else {field.name: field.type for field in schema}
    return arrow_csv.open_csv(
        path,
        read_options=arrow_csv.ReadOptions(use_threads=False, block_size=CSV_BLOCK),
        parse_options=arrow_csv.ParseOptions(
            delimiter=separator_of(lines) if lines else SEPARATORS[0],
            newlines_in_values=any(line.count('"') % 2 for line in lines),
        ),
        convert_options=arrow_csv.ConvertOptions(
            column_types=types, include_columns=list(types), strings_can_be_null=True
        ),
    )


def digest_of(path: str | Path) -> str:
    """The SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---------------------------------------------------------------- rows in


def pieces_of(path: Path, first: int, n_rows: int) -> Iterator[Piece]:
    """A file in pieces, the first of which begins with row `first` of the whole data."""
    if kind_of(path) != PARQUET:
        yield Piece(str(path), first, n_rows)
        return
    footer = pq.read_metadata(path)
    groups: list[int] = []
    count = 0
    for group in range(footer.num_row_groups):
        groups.append(group)
        count += footer.row_group(group).num_rows
        if count >= PIECE_SIZE or group == footer.num_row_groups - 1:
            yield Piece(str(path), first, count, tuple(groups))
            first, groups, count = first + count, [], 0


def count_rows(path: str, schema: pa.Schema) -> int:
    """How many rows a file has; of a csv file only the first column of the schema is read."""
    if kind_of(Path(path)) == PARQUET:
        return int(pq.read_metadata(path).num_rows)
    return sum(batch.num_rows for batch in csv_batches(path, pa.schema([schema[0]])))


def read_piece(
    piece: Piece, schema: pa.Schema, batch_size: int = BATCH_SIZE
) -> Iterator[tuple[int, pa.Table]]:
    """The rows of a piece batch by batch, each with the number of its first row."""
    first = piece.first
    for batch in batches_of(piece, schema, batch_size):
        table = as_schema(pa.table(batch), plain(schema), piece.path)
        yield first, table
        first += table.num_rows


def batches_of(piece: Piece, schema: pa.Schema, batch_size: int) -> Iterator[pa.RecordBatch]:
    if not piece.groups:
        yield from csv_batches(piece.path, schema)
        return
    with pq.ParquetFile(piece.path, pre_buffer=False) as file:
        yield from file.iter_batches(
            batch_size, row_groups=list(piece.groups), columns=schema.names, use_threads=False
        )


def csv_batches(path: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    try:
        with csv_reader(path, schema) as reader:
            yield from reader
    except pa.ArrowInvalid as error:
        raise ValueError(
            f"{path}: {error}. Dtypes are found in the first {CSV_BLOCK // 2**20} MB of each file: "
            "correct the cell, or write the table as Parquet files"
        ) from error


def read_frames(frames: Iterable[Any]) -> Iterator[tuple[int, pa.Table]]:
    """Frames of any library as tables with the columns of the first one, numbered on."""
    first, schema = 0, None
    for place, frame in enumerate(frames):
        table = as_table(frame)
        if schema is None:
            schema = checked_schema(table.schema.remove_metadata())
        if table.column_names != schema.names:
            raise ValueError(f"frame {place} has other columns than frame 0: give all the same")
        yield first, as_schema(table, schema, f"frame {place}")
        first += table.num_rows


def as_table(frame: Any) -> pa.Table:
    """A pandas, polars or pyarrow frame as a pyarrow table; an index of pandas is left out."""
    if isinstance(frame, pa.RecordBatch):
        return pa.table(frame)
    if not nw.dependencies.is_into_dataframe(frame):
        raise TypeError(
            f"cannot read rows from {type(frame).__name__}: pass a folder, a file, or an iterator "
            "of pandas, polars or pyarrow frames"
        )
    if nw.dependencies.is_pandas_dataframe(frame):
        return pa.Table.from_pandas(frame, preserve_index=False)
    return nw.from_native(frame, eager_only=True).to_arrow()


def as_schema(table: pa.Table, schema: pa.Schema, where: str) -> pa.Table:
    """The table with the columns' dtypes; ValueError where a cell does not fit them."""
    if table.schema.equals(schema):
        return table
    try:
        return table.cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(
            f"{where}: {error}. All parts of a table must have the same dtypes: write them anew"
        ) from error


# ---------------------------------------------------------------- what a batch holds


def read_cells(texts: list[str], dtype: pa.DataType) -> list[Any]:
    """Cells of a dtype as they are spelt; ValueError for a text that spells none."""
    return pa.array(texts, pa.string()).cast(value_type(dtype)).to_pylist()


def label_codes(column: pa.ChunkedArray) -> tuple[list[Any], np.ndarray[Any, Any]]:
    """The labels of a target, and for each row the place of its label; -1 where it is missing."""
    coded = column.combine_chunks().dictionary_encode()
    return coded.dictionary.to_pylist(), coded.indices.fill_null(-1).to_numpy()


def bounds_of(table: pa.Table) -> dict[str, tuple[Any, Any]]:
    """The least and the largest value of each column of numbers or moments that has one."""
    bounds = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if not (is_number(column.type) or pa.types.is_timestamp(column.type)):
            continue
        ends = pc.min_max(column)
        low, high = (
            ends[end].value if pa.types.is_timestamp(column.type) else ends[end].as_py()
            for end in ("min", "max")
        )
        if low is not None and low == low:  # NaN where all cells are.
            bounds[name] = low, high
    return bounds


def is_number(dtype: pa.DataType) -> bool:
    return pa.types.is_integer(dtype) or pa.types.is_floating(dtype)


def levels_of(table: pa.Table) -> dict[str, dict[Any, int]]:
    """How often each level of a column of texts or truths occurs."""
    counts = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if is_number(column.type) or pa.types.is_temporal(column.type):
            continue
        found = pc.value_counts(column)
        values, numbers = (found.field(name).to_pylist() for name in ("values", "counts"))
        counts[name] = {v: n for v, n in zip(values, numbers, strict=True) if v is not None}
    return counts


def first_infinity(column: pa.ChunkedArray) -> int:
    """The place of the first infinite cell of a column that holds one."""
    return int(pc.index(pc.is_inf(column), True).as_py())


# ---------------------------------------------------------------- rows out


def write_table(table: pa.Table, path: Path) -> None:
    """A table as a Parquet or csv file, which takes its name when it is whole."""
    kind = kind_of(path)
    with beside(path) as part:
        if kind == PARQUET:
            pq.write_table(table, part)
            return
        options = arrow_csv.WriteOptions(
            delimiter="\t" if kind.startswith(".tsv") else ",", quoting_style="needed"
        )
        with pa.output_stream(part, compression="gzip" if kind.endswith(".gz") else None) as file:
            arrow_csv.write_csv(table.cast(plain(table.schema)), file, options)


def remove_temporary(folder: Path) -> None:
    """Remove what a killed writer has left."""
    for path in folder.glob(f"{UNFINISHED}*"):
        path.unlink(missing_ok=True)


def row_bytes(schema: pa.Schema) -> int:
    """About how many bytes a row takes in memory."""
    widths = [value_type(field.type) for field in schema]
    return sum(TEXT_BYTES if is_text(one) else max(1, one.bit_width // 8) for one in widths)


def is_text(dtype: pa.DataType) -> bool:
    return not (pa.types.is_primitive(dtype) or pa.types.is_boolean(dtype))
