"""`advaug grow`: new rows from the file that `advaug fit` wrote, in the files of a folder."""

import argparse
from pathlib import Path
from typing import Any

from advaug.cli import folders
from advaug.cli.files import PARENT, CliError, check_parquet, say
from advaug.cli.options import Parser, add_quiet, label_of

OUT = ()
NAME, HELP = "grow", "make rows from the file of `advaug fit`, without the table"


def add_options(parser: Parser) -> None:
    parser.add_argument("source", type=Path, metavar="MODEL", help="a file of `advaug fit`")
    parser.add_argument("--out", required=True, type=Path, help="the folder of new rows")
    parser.add_argument("--label", metavar="CLASS", help="the class of which rows are made")
    parser.add_argument(
        "--count",
        type=folders.count,
        metavar="N",
        help="how many rows; without --label and --count what --strategy asked for in the fit",
    )
    parser.add_argument(
        "--parent", action="store_true", help=f"add {PARENT}: the row (from 0) of the parent"
    )
    folders.add_engine(parser)
    add_quiet(parser)


def work(options: argparse.Namespace) -> None:
    """`advaug grow`."""
    if (options.label is None) != (options.count is None):
        raise CliError("--label and --count belong together: give both or none")
    if not options.source.is_file():
        raise CliError(f"cannot read {options.source}: there is no such file; check the path")
    engine = folders.engine_of(options)
    check_parquet(Path("table.parquet"))
    from advaug.big.growing import grow_rows
    from advaug.big.table_generator import TableGenerator

    generator = TableGenerator.load(options.source)
    with folders.whole_parts(options.out):
        manifest = grow_rows(
            options.source,
            options.out,
            counts_of(options, generator),
            parent=PARENT if options.parent else None,
            verbose=not options.quiet,
            **engine,
        )
    say(folders.summary(options.out, manifest), options)


def counts_of(options: Any, generator: Any) -> dict[Any, int] | None:
    """How many rows of which class are asked for; None for those of the fit."""
    if options.label is None:
        return None
    own = {str(label): label for label in generator.counts}
    return {label_of(options.label, own, "--label"): options.count}
