"""New rows in files: parts that any process writes on its own, and that are not written twice."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256
from os import PathLike, fspath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import torch

from advaug import __version__
from advaug.big.engines import Engine, choose_engine
from advaug.big.manifest import MANIFEST, MODEL, Growth, Manifest, Part
from advaug.big.scanning import bar
from advaug.big.summary import Label
from advaug.big.table_generator import TableGenerator
from advaug.containers.batches import digest_of, remove_temporary, row_bytes, write_table
from advaug.containers.files import beside

PARTS = 64  # There are about so many parts, so that work is shared and little is lost,
PART_ROWS = (2**12, 2**16)  # of no fewer and no more rows than these,
PART_BYTES = 2**26  # and of no more bytes in memory.


def grow_rows(
    generator: TableGenerator | str | PathLike[str],
    out: str | PathLike[str],
    counts: Mapping[Label, int] | None = None,
    *,
    parent: str | None = None,
    rows_per_part: int | None = None,
    engine: str | Engine = "local",
    workers: int | None = None,
    verbose: int = 0,
) -> dict[str, Any]:
    """Write new rows as the files of a folder.

    A part is written under another name first, so that it is whole or not there. If the run is
    killed, the same call goes on where it was, and the files are the same to the byte.

    Parameters
    ----------
    generator : TableGenerator or path of one
        What `fit` returns, or a file to which it was saved.
    out : path
        A new folder, an empty one, or one in which these rows were begun.
    counts : dict of label -> int, optional
        How many rows of each class; by default what `sampling_strategy` asked for.
    parent : str, optional
        The name of a column for the number of each row's parent in the scanned table.
    rows_per_part : int, optional
        By default 4 096 to 65 536, for about 64 parts; of very wide tables fewer.
    engine : {"local", "processes", "ray", "dask"} or an engine, default="local"
        Where rows are made. No row depends on it.
    workers : int, optional
        By default as many as the engine chooses.
    verbose : int, default=0
        Above 0 shows a progress bar.

    Returns
    -------
    dict
        The manifest, which is also written to `_manifest.json`: what was scanned, the parameters,
        and for each part its label, first and last row, number of rows and SHA-256.

    Raises
    ------
    ValueError
        A label is not known, or the folder holds other rows.

    See Also
    --------
    advaug.big.fit : Fit a sampler on what a scan has kept of each class.
    advaug.big.oversample : Write the new rows for a table in files, as the files of another folder.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> import pandas as pd
    >>> from advaug.big import fit, grow_rows, scan
    >>> frame = pd.DataFrame({"age": range(200), "sick": ["no"] * 180 + ["yes"] * 20})
    >>> manifest = grow_rows(fit(scan([frame], target="sick")), mkdtemp(), {"yes": 50})
    >>> sum(part["rows"] for part in manifest["parts"])
    50
    """
    folder = Path(fspath(out))
    with tidied(folder), choose_engine(engine, workers) as chosen:
        content = stored(generator)
        made = TableGenerator.read(content)
        refuse_column(made, parent)
        requests = requests_of(made, counts)
        growth = Growth(
            version=__version__,
            model=sha256(content).hexdigest(),
            settings=made.settings,
            kind=made.kind,
            parent=parent,
            requests=requests,
            rows_per_part=rows_per_part or usual_rows(made.schema, requests),
        )
        manifest = Manifest.opened(folder, growth, made.inputs, list(made.counts))
        with beside(folder / MODEL) as file:
            file.write_bytes(content)
        drop_damaged(manifest, chosen)
        write_parts(manifest, chosen, verbose)
    return manifest.content(is_complete=True)


@contextmanager
def tidied(folder: Path) -> Iterator[None]:
    """Remove at the end what workers have begun to write, when these have been stopped."""
    try:
        yield
    finally:
        if (folder / MANIFEST).exists():
            remove_temporary(folder)


def stored(generator: TableGenerator | str | PathLike[str]) -> bytes:
    """A generator as the bytes of its file."""
    if not isinstance(generator, TableGenerator):
        return Path(fspath(generator)).read_bytes()
    with TemporaryDirectory() as folder:
        generator.save(Path(folder) / MODEL)
        return (Path(folder) / MODEL).read_bytes()


def requests_of(generator: TableGenerator, counts: Mapping[Label, int] | None) -> list[list[Any]]:
    """How many rows of each class are wanted; ValueError where nothing is, or of no class."""
    wanted = generator.generator.counts if counts is None else counts
    for label, count in wanted.items():
        if label not in generator.counts:
            raise ValueError(
                f"there is no class {label!r}: the generator knows {list(generator.counts)}"
            )
        if count < 0:
            raise ValueError(f"{count} rows of class {label!r} are asked for: ask for 0 or more")
    requests = [[label, int(wanted[label])] for label in generator.counts if wanted.get(label)]
    if not requests:
        raise ValueError("no row is asked for: say how many rows of which class are to be made")
    return requests


def refuse_column(generator: TableGenerator, parent: str | None) -> None:
    if parent in generator.schema.names:
        raise ValueError(f"parent: there is a column {parent!r} already: give another name")


def usual_rows(schema: pa.Schema, requests: list[list[Any]]) -> int:
    """How many rows a part has where the user does not say so."""
    least, most = PART_ROWS
    shared = sum(count for _, count in requests) // PARTS
    return max(1, min(max(least, shared), most, PART_BYTES // row_bytes(schema)))


def drop_damaged(manifest: Manifest, engine: Engine) -> None:
    """Forget the parts that are gone, or hold other bytes than those that were written."""
    names = list(manifest.digests)
    jobs = [(str(manifest.folder / name),) for name in names]
    for place, digest in engine.map(digest_if_there, jobs):
        if digest != manifest.digests[names[place]]:
            manifest.drop(names[place])


def digest_if_there(path: str) -> str | None:
    return digest_of(path) if Path(path).exists() else None


def write_parts(manifest: Manifest, engine: Engine, verbose: int) -> None:
    """Write the parts that are missing, and note down each of them."""
    missing, growth = manifest.missing, manifest.growth
    jobs = [(str(manifest.folder), growth.model, growth.parent, part) for part in missing]
    total = sum(part.n_rows for part in manifest.parts.values())
    done = total - sum(part.n_rows for part in missing)
    with bar(total, "grow", verbose, done) as progress:
        for place, digest in engine.map(write_part, jobs):
            manifest.add(missing[place], digest)
            progress.update(missing[place].n_rows)
    manifest.write(is_complete=True)


def write_part(folder: str, model: str, parent: str | None, part: Part) -> str:
    """What one call of an engine does: write a part and return its digest."""
    generator = loaded(folder, model)
    with one_thread():
        table = generator.rows(part.label, part.start, part.stop, parent)
    path = Path(folder) / part.file
    write_table(table, path)
    return digest_of(path)


@lru_cache(maxsize=1)
def loaded(folder: str, model: str) -> TableGenerator:
    """The generator of a folder, read once by each process; `model` is its digest."""
    return TableGenerator.load(Path(folder) / MODEL)


@contextmanager
def one_thread() -> Iterator[None]:
    """Rows are made by one thread of torch, since sums of several threads are rounded otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
