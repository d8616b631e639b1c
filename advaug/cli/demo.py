"""`advaug demo`: what only this library does, on a real table."""

import argparse
from pathlib import Path

from advaug.cli.files import check_out
from advaug.cli.options import Parser, add_force, seed

NAME, HELP = "demo", "what only advaug does, on a real table, in some twenty seconds"
OUT = (".png", ".svg", ".pdf")


def add_options(parser: Parser) -> None:
    parser.add_argument("--out", type=Path, metavar="PICTURE", help="draw a picture, e.g. demo.png")
    add_force(parser)
    parser.add_argument("--seed", type=seed, default=0, metavar="N")


def work(options: argparse.Namespace) -> None:
    """`advaug demo`."""
    if options.out is not None:
        check_out(options.out, OUT, force=options.force)
    from advaug.demo import run

    run(options.out, seed=options.seed)
