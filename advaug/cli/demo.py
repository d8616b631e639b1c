"""`advaug demo`: what it does on a real table."""

import argparse
from pathlib import Path

from advaug.cli.files import check_out
from advaug.cli.options import Parser, add_force, seed, splits

NAME, HELP = "demo", "what it does on a real table, in under a minute"
OUT = (".png", ".svg", ".pdf")


def add_options(parser: Parser) -> None:
    parser.add_argument("--out", type=Path, default=Path("advaug_demo.png"), help="the picture")
    add_force(parser)
    parser.add_argument("--seed", type=seed, default=0, metavar="N")
    parser.add_argument("--splits", type=splits, default=2, metavar="N", help="default: 2")


def work(options: argparse.Namespace) -> None:
    """`advaug demo`."""
    check_out(options.out, OUT, force=options.force)
    from advaug.demo import run

    run(options.out, seed=options.seed, splits=options.splits)
