"""What commands on folders share: engines, a table's columns by name, the sampler, the summary.

Arguments are checked before the table is read, and before torch is imported.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from advaug.big.engines import ENGINES, WORKER_BYTES, check_engine, workers_within
from advaug.cli.files import CliError, check_parquet, check_syntax
from advaug.cli.options import Parser, strategy
from advaug.core.known_names import did_you_mean

UNITS = {"MB": 2**20, "GB": 2**30, "TB": 2**40}


def add_engine(parser: Parser, default: str | None = "local") -> None:
    """--engine, --workers and --memory; no default where the engine is for folders only."""
    parser.add_argument(
        "--engine",
        choices=list(ENGINES),
        default=default,
        help="where the work on a folder runs; no row depends on it (default: local)",
    )
    parser.add_argument(
        "--workers", type=count, metavar="N", help="processes of the engine; by default its own"
    )
    parser.add_argument(
        "--memory",
        type=memory,
        metavar="SIZE",
        help="take no more workers than this holds, e.g. 2GB; each needs about "
        f"{WORKER_BYTES // 2**20} MB",
    )


def count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def memory(text: str) -> int:
    found = re.fullmatch(r"([\d.]+) ?([MGT]B)", text.upper())
    try:
        return int(float(found[1]) * UNITS[found[2]]) if found else int("")
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no size, such as 500MB or 2GB") from None


def engine_of(options: Any) -> dict[str, Any]:
    """`engine` and `workers` for `advaug.big`; refused where they cannot be had."""
    name = options.engine or "local"
    check_engine(name, options.workers)
    workers = options.workers
    if options.memory is not None:
        workers = workers_within(options.memory, name, workers)
    return {"engine": name, "workers": workers}


def check_options(options: Any) -> None:
    """CliError where an option of a file is given with a folder."""
    for name in ("sep", "decimal", "encoding", "force"):
        if getattr(options, name):
            raise CliError(f"--{name} is for a file: leave it out, or pass one file")
    if options.is_streamed:
        raise CliError("--out -: the new rows of a folder are files: name a folder for them")


def refuse_engine(options: Any) -> None:
    """CliError where an option of a folder is given with a file."""
    for name in ("engine", "workers", "memory"):
        if getattr(options, name) is not None:
            raise CliError(
                f"--{name} is for folders: leave it out; for a large file use advaug fit and "
                "advaug grow"
            )


def check_table(options: Any) -> Any:
    """The table's files; CliError where they, or the columns that options name, are not there."""
    check_parquet(Path("table.parquet"))
    from advaug.big.scanning import TableFiles

    table = TableFiles.at(options.source, options.target, options.drop_columns)
    if options.text is not None:
        return text_alone(options, table)
    names = [name for name in table.schema.names if name != options.target]
    for name in options.frozen:
        if name == options.target or name not in names:
            mend = did_you_mean(name, names)
            raise CliError(f"--frozen {name!r} is no column of the rows: {mend}")
    if options.constraint and options.no_constraints:
        raise CliError("--no-constraints and --constraint exclude each other: leave one out")
    check_syntax(options.constraint, names)
    return table


def text_alone(options: Any, table: Any) -> Any:
    """The table with its column of texts and the target; the others are dropped."""
    names = [name for name in table.schema.names if name != options.target]
    if options.text not in names:
        mend = did_you_mean(options.text, names)
        raise CliError(f"--text {options.text!r} is no column of {options.source}: {mend}")
    if options.constraint or options.frozen:
        raise CliError("--text reads no other column: leave out --frozen and --constraint")
    others = [name for name in names if name != options.text]
    options.drop_columns = [*options.drop_columns, *others]
    return type(table).at(options.source, options.target, options.drop_columns)


def sampler_of(options: Any, table: Any) -> Any:
    """The sampler that the options describe."""
    wanted = strategy(options.strategy, labels_of(options, table))
    from advaug.domains.sequences.adapter import SequenceAdapter
    from advaug.domains.tables.adapter import TabularAdapter
    from advaug.estimators.over_sampler import AdversarialOverSampler

    return AdversarialOverSampler(
        sampling_strategy=wanted,
        recipe=options.recipe,
        adapter=SequenceAdapter() if options.text else TabularAdapter(frozen=options.frozen),
        constraints=None if options.no_constraints else options.constraint or "auto",
        random_state=options.seed,
    )


def labels_of(options: Any, table: Any) -> list[Any]:
    """The labels that --strategy names in JSON, with the dtype of the target."""
    if not options.strategy.lstrip().startswith("{"):
        return []
    from advaug.containers.batches import read_cells

    try:
        keys = list(json.loads(options.strategy))
        return read_cells(keys, table.schema.field(options.target).type)
    except ValueError as error:
        raise CliError(f"--strategy {options.strategy}: {error}") from error


@contextmanager
def whole_parts(out: Path) -> Iterator[None]:
    """Say after Ctrl-C how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        if out.is_dir():
            print(f"advaug: {out} holds whole parts; the same command goes on", file=sys.stderr)
        raise


def summary(out: Path, manifest: dict[str, Any]) -> str:
    """How many rows of which class stand in how many files."""
    made = "; ".join(f"{rows} of class {label}" for label, rows in manifest["requests"])
    return (
        f"{out}: {manifest['rows']} new rows in {len(manifest['parts'])} files: {made}\n"
        f"what they were made from, and the digest of each file: {out / '_manifest.json'}"
    )
