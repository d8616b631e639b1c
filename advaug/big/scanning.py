"""One pass over a table of any size: files, frames one after another, or an engine's own frames."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import accumulate
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import pyarrow as pa
from tqdm.auto import tqdm

from advaug.big.engines import Engine, choose_engine
from advaug.big.summary import Summary
from advaug.containers.batches import (
    PARQUET,
    Piece,
    as_schema,
    as_table,
    checked_schema,
    count_rows,
    digest_of,
    files_of,
    kind_of,
    pieces_of,
    plain,
    read_frames,
    read_piece,
    schema_of,
)
from advaug.core.known_names import did_you_mean
from advaug.core.short_repr import ShortRepr


@dataclass(frozen=True, repr=False)
class Scan(ShortRepr):
    """What one pass over a table has found.

    Parameters
    ----------
    summary : Summary
        Exact counts, bounds and levels, and a sample of each class.
    schema : pyarrow.Schema
        The columns of the table, the target among them.
    kind : str
        The suffix of its files: new rows are written in files of the same kind.
    inputs : list of dict
        name, bytes, rows and sha256 of each file; rows alone of what was no file.

    See Also
    --------
    advaug.big.scan : Read a table of any size once, batch by batch.

    Examples
    --------
    >>> import pandas as pd
    >>> from advaug.big import scan
    >>> frame = pd.DataFrame({"age": range(200), "sick": ["no"] * 180 + ["yes"] * 20})
    >>> scan([frame], target="sick").schema.names
    ['age', 'sick']
    """

    summary: Summary
    schema: pa.Schema
    kind: str
    inputs: list[dict[str, Any]]


@dataclass(frozen=True)
class TableFiles:
    """The files of a table, looked at and not yet read."""

    files: list[Path]
    schema: pa.Schema

    @classmethod
    def at(
        cls, source: str | PathLike[str], target: str, drop: Collection[str] = ()
    ) -> "TableFiles":
        """ValueError with the mend where a folder or file holds no table with such columns."""
        files = files_of(Path(fspath(source)))
        return cls(files, used_columns(schema_of(files), target, drop))

    @property
    def kind(self) -> str:
        return kind_of(self.files[0])

    def inputs(self, engine: Engine) -> list[dict[str, Any]]:
        """Name, bytes and digest of each file."""
        digests = dict(engine.map(digest_of, [(str(path),) for path in self.files]))
        return [
            {"file": path.name, "bytes": path.stat().st_size, "sha256": digests[place]}
            for place, path in enumerate(self.files)
        ]

    def counts(self, engine: Engine) -> list[int]:
        """How many rows each file has."""
        counts = dict(engine.map(count_rows, [(str(path), self.schema) for path in self.files]))
        return [counts[place] for place in range(len(self.files))]


def used_columns(schema: pa.Schema, target: str, drop: Collection[str]) -> pa.Schema:
    """The columns without those to be dropped; ValueError for names that are not there."""
    if target not in schema.names:
        raise ValueError(f"target {target!r} is no column: {did_you_mean(target, schema.names)}")
    if unknown := [name for name in drop if name not in schema.names]:
        mend = did_you_mean(unknown[0], schema.names)
        raise ValueError(f"drop: {unknown[0]!r} is no column: {mend}")
    if target in drop:
        raise ValueError(f"drop: {target!r} is the target: leave it out")
    used = pa.schema([field for field in schema if field.name not in drop])
    if len(used) < 2:
        raise ValueError(
            f"{target!r} is the only column: there is nothing to learn from; add others"
        )
    return used


def scan(
    source: Any,
    target: str,
    *,
    drop: Collection[str] = (),
    seed: int = 0,
    engine: str | Engine = "local",
    workers: int | None = None,
    verbose: int = 0,
) -> Scan:
    """Read a table of any size once, batch by batch.

    Parameters
    ----------
    source : path, iterable of frames, ray.data.Dataset or dask.dataframe.DataFrame
        A folder of Parquet or csv files, one such file, or pandas, polars or pyarrow frames one
        after another. Data frames of Ray and Dask need that engine.
    target : str
        The column of labels: whole numbers, texts or truths.
    drop : collection of str
        Columns that are not read, and that new rows will not have.
    seed : int, default=0
        Which rows are kept depends on it, and on the number of each row in the whole table.
    engine : {"local", "processes", "ray", "dask"} or an engine, default="local"
        Where files are read. What is found does not depend on it.
    workers : int or None, default=None
        None leaves it to the engine.
    verbose : int, default=0
        Above 0 shows a progress bar.

    Returns
    -------
    Scan
        What was found.

    Raises
    ------
    ValueError
        Files, columns or cells cannot be used; the file, column or row is named.

    See Also
    --------
    advaug.big.fit : Fit a sampler on what a scan has kept of each class.

    Examples
    --------
    >>> import pandas as pd
    >>> from advaug.big import scan
    >>> frames = (pd.DataFrame({"age": [k, k + 5], "sick": ["no", "yes"]}) for k in range(100))
    >>> found = scan(frames, target="sick").summary
    >>> found.counts, found.bounds
    ({'no': 100, 'yes': 100}, {'age': (0, 104)})
    """
    with choose_engine(engine, workers) as chosen:
        if isinstance(source, str | PathLike):
            table = TableFiles.at(source, target, drop)
            return scan_files(table, target, chosen, table.inputs(chosen), seed, verbose)
        if chosen.owns(source):
            return scan_parts(chosen.parts(source), target, drop, chosen, seed, verbose)
        return scan_frames(source, target, drop, seed, verbose)


def scan_files(
    table: TableFiles,
    target: str,
    engine: Engine,
    inputs: list[dict[str, Any]],
    seed: int,
    verbose: int,
) -> Scan:
    """The summary of files, which are cut into pieces."""
    counts = table.counts(engine)
    pieces = [
        piece
        for path, first, count in zip(table.files, firsts_of(counts), counts, strict=True)
        for piece in pieces_of(path, first, count)
    ]
    jobs = [(piece, table.schema, target, seed) for piece in pieces]
    sizes = [piece.n_rows for piece in pieces]
    summary = merged(Summary(target, seed), engine.map(summary_of_piece, jobs), sizes, verbose)
    inputs = [one | {"rows": count} for one, count in zip(inputs, counts, strict=True)]
    return checked(Scan(summary, table.schema, table.kind, inputs))


def scan_parts(
    parts: list[Any], target: str, drop: Collection[str], engine: Engine, seed: int, verbose: int
) -> Scan:
    """The summary of an engine's own data frame."""
    found = dict(engine.map(shape_of_part, [(part,) for part in parts]))
    counts = [found[place][0] for place in range(len(parts))]
    schema = used_columns(checked_schema(found[0][1]), target, drop)
    jobs = [
        (part, first, schema, target, seed)
        for part, first in zip(parts, firsts_of(counts), strict=True)
    ]
    results = engine.map(summary_of_part, jobs)
    summary = merged(Summary(target, seed), results, counts, verbose)
    return checked(Scan(summary, schema, PARQUET, [{"rows": summary.n_rows}]))


def scan_frames(
    frames: Iterable[Any], target: str, drop: Collection[str], seed: int, verbose: int
) -> Scan:
    """The summary of frames that come one after another."""
    summary, schema = Summary(target, seed), None
    with bar(None, "scan", verbose) as progress:
        for first, table in read_frames(frames):
            schema = used_columns(table.schema, target, drop) if schema is None else schema
            summary.add(as_schema(table.select(schema.names), plain(schema), "a frame"), first)
            progress.update(table.num_rows)
    if schema is None:
        raise ValueError("the iterator gave no frame: pass the frames, such as a list of them")
    return checked(Scan(summary, schema, PARQUET, [{"rows": summary.n_rows}]))


def firsts_of(counts: list[int]) -> list[int]:
    """The number of the first row of each part."""
    return [0, *accumulate(counts)][: len(counts)]


def summary_of_piece(piece: Piece, schema: pa.Schema, target: str, seed: int) -> Summary:
    """What one call of an engine does for a piece of a file."""
    summary = Summary(target, seed)
    for first, table in read_piece(piece, schema):
        summary.add(table, first)
    return summary


def shape_of_part(part: Any) -> tuple[int, pa.Schema]:
    """How many rows a part of an engine's data frame has, and its columns."""
    table = as_table(part)
    return table.num_rows, table.schema.remove_metadata()


def summary_of_part(part: Any, first: int, schema: pa.Schema, target: str, seed: int) -> Summary:
    """What one call of an engine does for a part of its own data frame."""
    table = as_schema(
        as_table(part).select(schema.names), plain(schema), f"the part at row {first}"
    )
    return Summary(target, seed).add(table, first)


def merged(
    summary: Summary, parts: Iterable[tuple[int, Summary]], sizes: list[int], verbose: int
) -> Summary:
    """The summary of all parts, merged as they come."""
    with bar(sum(sizes), "scan", verbose) as progress:
        for place, part in parts:
            summary.merge(part)
            progress.update(sizes[place])
    return summary


def checked(found: Scan) -> Scan:
    """The scan; ValueError where there is nothing to learn from."""
    labels = found.summary.labels
    if not labels:
        raise ValueError("the table holds no rows: check that it is the right one")
    if len(labels) < 2:
        raise ValueError(
            f"target {found.summary.target!r} is {labels[0]!r} in every row: over-sampling needs "
            "two classes; choose another column"
        )
    return found


def bar(total: int | None, what: str, verbose: int, done: int = 0) -> Any:
    """A bar of rows done, with an estimate of what is left."""
    return tqdm(
        total=total, initial=done, disable=not verbose, unit="rows", unit_scale=True, desc=what
    )
