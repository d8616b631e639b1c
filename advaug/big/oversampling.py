"""A table's files scanned, fitted and grown in one call, which goes on where it was killed."""

from collections.abc import Collection
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from advaug.big.engines import Engine, choose_engine
from advaug.big.growing import grow_rows
from advaug.big.manifest import MODEL
from advaug.big.scanning import TableFiles, scan_files
from advaug.big.table_generator import (
    TableGenerator,
    check_sampler,
    default_sampler,
    fit,
    settings_of,
)
from advaug.estimators.over_sampler import AdversarialOverSampler


def oversample(
    source: str | PathLike[str],
    out: str | PathLike[str],
    target: str,
    sampler: AdversarialOverSampler | None = None,
    *,
    drop: Collection[str] = (),
    seed: int = 0,
    parent: str | None = None,
    rows_per_part: int | None = None,
    engine: str | Engine = "local",
    workers: int | None = None,
    verbose: int = 0,
) -> dict[str, Any]:
    """Write the new rows for a table in files, as the files of another folder.

    The table's own files stay where they are and are never written to: train on both folders.

    Parameters
    ----------
    source : path
        A folder of Parquet or csv files, or one such file.
    out : path
        A new folder, an empty one, or one in which this was begun: then what is whole is kept.
    target : str
        The column of labels.
    sampler : AdversarialOverSampler, optional
        As in `fit`.
    drop : collection of str
        As in `scan`.
    seed : int, default=0
        As in `scan`.
    parent : str, optional
        As in `grow_rows`.
    rows_per_part : int, optional
        As in `grow_rows`.
    engine : {"local", "processes", "ray", "dask"} or an engine, default="local"
        Where files are read and rows are made.
    workers : int, optional
        By default as many as the engine chooses.
    verbose : int, default=0
        Above 0 shows a progress bar.

    Returns
    -------
    dict
        The manifest; see `grow_rows`.

    Raises
    ------
    ValueError
        As in `scan`, `fit` and `grow_rows`, where possible before the table is read.

    See Also
    --------
    advaug.big.scan : Read a table of any size once, batch by batch.
    advaug.big.fit : Fit a sampler on what a scan has kept of each class.
    advaug.big.grow_rows : Write new rows as the files of a folder.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> import pandas as pd
    >>> from advaug.big import oversample
    >>> source, out = Path(mkdtemp()) / "table.parquet", Path(mkdtemp())
    >>> frame = pd.DataFrame({"age": range(200), "sick": ["no"] * 180 + ["yes"] * 20})
    >>> frame.to_parquet(source)
    >>> manifest = oversample(source, out, "sick")
    >>> len(pd.read_parquet(out))
    160
    """
    folder = Path(fspath(out))
    sampler = default_sampler() if sampler is None else sampler
    table = TableFiles.at(source, target, drop)
    check_sampler(sampler, table.schema, target)
    refuse_own_folder(folder, table)
    with choose_engine(engine, workers) as chosen:
        inputs = table.inputs(chosen)
        if not is_fitted(folder, table, target, inputs, settings_of(sampler, seed)):
            found = scan_files(table, target, chosen, inputs, seed, verbose)
            folder.mkdir(parents=True, exist_ok=True)
            fit(found, sampler).save(folder / MODEL)
        return grow_rows(
            folder / MODEL,
            folder,
            parent=parent,
            rows_per_part=rows_per_part,
            engine=chosen,
            verbose=verbose,
        )


def is_fitted(
    folder: Path, table: TableFiles, target: str, inputs: list[dict[str, Any]], settings: str
) -> bool:
    """Whether the folder holds the generator already; ValueError if it holds another one."""
    if not (folder / MODEL).exists():
        if folder.exists() and any(folder.iterdir()):
            raise ValueError(f"{folder} holds other files: name a new or an empty folder")
        return False
    known = TableGenerator.load(folder / MODEL)
    scanned = [{name: one[name] for name in one if name != "rows"} for one in known.inputs]
    if scanned != inputs:
        raise ValueError(
            f"{folder} holds rows that were made from other files, or from other states of these: "
            "name another folder, or delete this one"
        )
    if (known.target, known.settings) != (target, settings) or known.schema != table.schema:
        raise ValueError(
            f"{folder} holds rows that were made otherwise ({known.settings}): name another "
            "folder, or delete this one"
        )
    return True


def refuse_own_folder(folder: Path, table: TableFiles) -> None:
    """ValueError where new files would stand beside the user's own."""
    if folder.is_file():
        raise ValueError(f"{folder} is a file: name a folder for the new rows")
    if folder.exists() and any(folder.samefile(path.parent) for path in table.files):
        raise ValueError(
            f"{folder} holds the table itself, which is never written to: name another"
        )
