"""A generator of rows of a table that was scanned: what a file `model.advaug` holds.

It knows the table's columns and target, and needs neither its files nor any other row.
"""

import json
from dataclasses import dataclass
from io import BytesIO
from os import PathLike, fspath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self
from zipfile import BadZipFile, ZipFile, ZipInfo

import pyarrow as pa
from sklearn.base import clone

from advaug.big.scanning import Scan
from advaug.big.summary import Label
from advaug.containers.files import beside
from advaug.core.short_repr import ShortRepr
from advaug.estimators.choices import choose, choose_adapter
from advaug.estimators.over_sampler import AdversarialOverSampler
from advaug.estimators.sampler_parts import recipe_of
from advaug.registry import ADAPTERS
from advaug.sampling.domain import FittedAdapter
from advaug.sampling.row_generator import RowGenerator

# What reading a damaged file raises.
DAMAGES = (BadZipFile, KeyError, TypeError, EOFError, NotImplementedError, pa.ArrowException)
FORMAT, VERSION = "advaug table generator", 1
WITHOUT_EFFECT = ("batch_size", "device", "verbose")  # Settings on which no row depends.
TABLE, SCHEMA, GENERATOR = "table.json", "schema", "generator"  # what the file holds


@dataclass(frozen=True, eq=False, repr=False)
class TableGenerator(ShortRepr):
    """New rows of a table, each with its label, in the table's columns and dtypes.

    Parameters
    ----------
    generator : RowGenerator
        Makes rows of the columns that are no labels.
    schema : pyarrow.Schema
        The table's columns, the target among them.
    target : str
        The column of labels.
    kind : str
        The suffix of the files of new rows.
    counts : dict of label -> int
        How many rows of the table each class has.
    inputs : list of dict
        What was scanned.
    settings : str
        The parameters of the fit.

    See Also
    --------
    advaug.big.fit : Fit a sampler on what a scan has kept of each class.
    advaug.big.grow_rows : Write new rows as the files of a folder.

    Examples
    --------
    >>> import pandas as pd
    >>> from advaug.big import fit, scan
    >>> frame = pd.DataFrame({"age": range(200), "sick": ["no"] * 180 + ["yes"] * 20})
    >>> generator = fit(scan([frame], target="sick"))
    >>> generator.rows("yes", 0, 3).to_pandas()["sick"].tolist()
    ['yes', 'yes', 'yes']
    """

    generator: RowGenerator
    schema: pa.Schema
    target: str
    kind: str
    counts: dict[Label, int]
    inputs: list[dict[str, Any]]
    settings: str

    def rows(self, label: Label, start: int, stop: int, parent: str | None = None) -> pa.Table:
        """New rows `start` to `stop` of a class, without `stop`; the same at each call.

        Parameters
        ----------
        label : object
            The class.
        start, stop : int
            Number of the first row, and number after that of the last one.
        parent : str, optional
            The name of a column for the number of each row's parent in the scanned table.

        Returns
        -------
        pyarrow.Table
            The new rows with their labels.
        """
        rows, provenance = self.generator.rows_with_provenance(label, start, stop)
        place = self.schema.names.index(self.target)
        if not isinstance(rows, pa.Table):
            rows = pa.table({self.schema.names[1 - place]: rows})
        target = pa.repeat(pa.scalar(label), rows.num_rows)
        table = rows.add_column(place, self.target, target).cast(self.schema)
        if parent is None:
            return table
        return table.append_column(parent, pa.array(provenance["parent"], type=pa.int64()))

    def save(self, path: str | PathLike[str]) -> None:
        """Write one file; nothing in it is code."""
        about = {
            "format": FORMAT,
            "version": VERSION,
            "target": self.target,
            "kind": self.kind,
            "counts": list(self.counts.items()),
            "inputs": self.inputs,
            "settings": self.settings,
        }
        with TemporaryDirectory() as folder, beside(Path(fspath(path))) as part:
            inner = Path(folder) / GENERATOR
            self.generator.save(inner)
            with ZipFile(part, "w") as file:
                # ZipInfo has a date of its own: the same generator gives the same bytes.
                file.writestr(ZipInfo(TABLE), json.dumps(about))
                file.writestr(ZipInfo(SCHEMA), self.schema.serialize().to_pybytes())
                with inner.open("rb") as source, file.open(ZipInfo(GENERATOR), "w") as target:
                    target.write(source.read())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read what `save` wrote; ValueError for any other file.

        Raises
        ------
        ValueError : the file is damaged, is another one, or was written by a later version
        """
        return cls.read(Path(fspath(path)).read_bytes(), fspath(path))

    @classmethod
    def read(cls, content: bytes, name: str = "the generator") -> Self:
        """The generator of a file with this content; ValueError as in `load`."""
        try:
            with ZipFile(BytesIO(content)) as file, TemporaryDirectory() as folder:
                about = json.loads(file.read(TABLE))
                refuse_other_format(name, about)
                inner = Path(folder) / GENERATOR
                inner.write_bytes(file.read(GENERATOR))
                return cls(
                    RowGenerator.load(inner),
                    pa.ipc.read_schema(pa.py_buffer(file.read(SCHEMA))),
                    str(about["target"]),
                    str(about["kind"]),
                    {label: int(count) for label, count in about["counts"]},
                    list(about["inputs"]),
                    str(about["settings"]),
                )
        except DAMAGES as error:
            raise ValueError(
                f"cannot read {name}: {error}. It must be a file that `advaug fit` or "
                "TableGenerator.save wrote: write it anew"
            ) from error


def refuse_other_format(name: str, about: Any) -> None:
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise ValueError(f"cannot read {name}: it holds no generator of a table's rows")
    if about.get("version") != VERSION:
        raise ValueError(
            f"cannot read {name}: its version is {about.get('version')!r}, this advaug reads "
            f"{VERSION}: update advaug, or fit again"
        )


def fit(scan: Scan, sampler: AdversarialOverSampler | None = None) -> TableGenerator:
    """Fit a sampler on what a scan has kept of each class.

    Parameters
    ----------
    scan : Scan
        What `scan` returns.
    sampler : AdversarialOverSampler, optional
        Its settings; it is not changed. By default ``AdversarialOverSampler(random_state=0)``.
        `sampling_strategy` is read with the counts of all rows.

    Returns
    -------
    TableGenerator
        Makes any rows of any class.

    Raises
    ------
    ValueError
        The settings do not suit a table in batches; see `check_sampler`.

    See Also
    --------
    advaug.big.scan : Read a table of any size once, batch by batch.
    advaug.big.grow_rows : Write new rows as the files of a folder.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from advaug.big import fit, scan
    >>> random = np.random.default_rng(0)
    >>> def frames():
    ...     for _ in range(4):
    ...         sick = random.random(500) < 0.1
    ...         yield pd.DataFrame({"age": random.normal(50 + 9 * sick), "sick": sick})
    >>> generator = fit(scan(frames(), target="sick"))
    >>> generator.rows(True, 0, 3).column_names
    ['age', 'sick']
    """
    chosen = default_sampler() if sampler is None else sampler
    check_sampler(chosen, scan.schema, scan.summary.target)
    sample, y, numbers = scan.summary.sample()
    sample = sample.cast(pa.schema([scan.schema.field(name) for name in sample.column_names]))
    X = sample if has_columns(chosen) else texts_of(sample, numbers)
    adapter = choose_adapter(chosen.adapter, X)
    coding = adapter.fit(adapter.check(X)).widened(scan.summary.bounds)
    fitted = clone(chosen).set_params(adapter=FittedAdapter(coding))
    fitted.fit_sample(X, y, scan.summary.counts, numbers)
    return TableGenerator(
        fitted.generator_,
        scan.schema,
        scan.summary.target,
        scan.kind,
        {label: scan.summary.counts[label] for label in scan.summary.labels},
        scan.inputs,
        settings_of(chosen, scan.summary.seed),
    )


def default_sampler() -> AdversarialOverSampler:
    return AdversarialOverSampler(random_state=0)


def settings_of(sampler: AdversarialOverSampler, seed: int) -> str:
    """What decides the rows, beside the table itself; a repr of the sampler would be cut off."""
    settings = sampler.get_params(deep=False).items()
    deciding = [f"{name}={value!r}" for name, value in settings if name not in WITHOUT_EFFECT]
    return f"{', '.join(deciding)}, seed of the scan {seed}"


def check_sampler(sampler: Any, schema: pa.Schema, target: str) -> None:
    """TypeError or ValueError for settings that do not suit a table in batches."""
    if not isinstance(sampler, AdversarialOverSampler):
        raise TypeError(f"sampler must be an AdversarialOverSampler, got {sampler!r}")
    if recipe_of(sampler).relabels:
        raise ValueError(
            "recipe 'distill' makes all rows at once and weighs them together: choose another "
            "recipe, or use fit_resample on a table in memory"
        )
    if has_columns(sampler):
        return
    if not choose(ADAPTERS, sampler.adapter).accepts(["a text"]):
        raise ValueError(
            f"adapter {sampler.adapter!r} reads no columns and no texts: for other rows use "
            "fit_resample"
        )
    others = [field for field in schema if field.name != target]
    if len(others) > 1 or not is_text(others[0].type):
        names = ", ".join(repr(field.name) for field in others)
        raise ValueError(
            f"adapter {sampler.adapter!r} reads one column of texts beside the target {target!r}, "
            f"got {names}: drop the others"
        )


def has_columns(sampler: AdversarialOverSampler) -> bool:
    """Whether a row of the sampler is all cells of a row, and not one text."""
    return sampler.adapter == "auto" or "columns" in choose(ADAPTERS, sampler.adapter).provides


def is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def texts_of(sample: pa.Table, numbers: Any) -> list[str]:
    """The texts of a table's only column; ValueError names a row without one."""
    texts = sample.column(0).to_pylist()
    if None in texts:
        raise ValueError(
            f"column {sample.column_names[0]!r} has no text in row {numbers[texts.index(None)]} "
            "(counted from 0 over all files): drop such rows or fill them in"
        )
    return texts
