"""`advaug fit`: a table of any size becomes a small file from which any number of rows grows."""

import argparse
from pathlib import Path

from advaug.cli import folders
from advaug.cli.files import check_out, say
from advaug.cli.options import (
    Parser,
    add_drop,
    add_force,
    add_quiet,
    add_repeatable,
    add_seed,
    add_strategy,
    add_text,
)
from advaug.registry import RECIPES

OUT = (".advaug",)
NAME, HELP = "fit", "learn from a table of any size, for `advaug grow`"


def add_options(parser: Parser) -> None:
    parser.add_argument(
        "source", type=Path, metavar="IN", help="a folder of Parquet or csv files, or such a file"
    )
    parser.add_argument("--target", required=True, metavar="COL", help="the column of classes")
    parser.add_argument("--out", required=True, type=Path, help="the file to write: NAME.advaug")
    add_force(parser)
    add_strategy(parser, "minority", "sick")
    recipes = ["auto", *RECIPES]
    parser.add_argument("--recipe", choices=recipes, default="auto", help="default: auto")
    add_repeatable(parser, "--frozen", "COL", "copy this column from the parent")
    add_text(parser, "learn from this column of texts alone and drop the others")
    add_drop(parser)
    rules = "such as 'open <= total': a new row keeps it if its parent does"
    add_repeatable(parser, "--constraint", "RULE", rules)
    parser.add_argument("--no-constraints", action="store_true", help="keep no relations")
    add_seed(parser)
    folders.add_engine(parser)
    add_quiet(parser)


def work(options: argparse.Namespace) -> None:
    """`advaug fit`."""
    check_out(options.out, OUT, force=options.force)
    engine = folders.engine_of(options)
    table = folders.check_table(options)
    sampler = folders.sampler_of(options, table)
    from advaug.big.scanning import scan
    from advaug.big.table_generator import check_sampler, fit

    check_sampler(sampler, table.schema, options.target)
    found = scan(
        options.source,
        options.target,
        drop=options.drop_columns,
        seed=options.seed,
        verbose=not options.quiet,
        **engine,
    )
    generator = fit(found, sampler)
    generator.save(options.out)
    counts = "; ".join(f"{rows} of class {label}" for label, rows in generator.counts.items())
    size = options.out.stat().st_size / 2**20
    say(f"{options.out}: {size:.1f} MB, learnt from {found.summary.n_rows} rows: {counts}", options)
