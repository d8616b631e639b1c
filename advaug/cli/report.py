"""`advaug report`: synthetic rows of any origin, judged against the real ones."""

import argparse
import sys
from pathlib import Path
from typing import Any

from advaug.cli.files import (
    PARENT,
    TEXT_OPTION,
    CliError,
    check_constraints,
    check_frozen,
    check_out,
    check_source,
    check_syntax,
    check_text,
    check_texts,
    parted,
    read,
    say,
    tell_guesses,
)
from advaug.cli.options import (
    Parser,
    add_drop,
    add_files,
    add_quiet,
    add_repeatable,
    add_seed,
    add_text,
)

OUT = (".html",)
NAME, HELP = "report", "judge synthetic rows of any origin: a page of HTML"


def add_options(parser: Parser) -> None:
    add_files(parser, "REAL", "the page: .html")
    parser.add_argument("synthetic", type=Path, metavar="SYNTHETIC", help="the same columns")
    add_repeatable(parser, "--constraint", "RULE", "a rule, e.g. 'open <= total'")
    add_repeatable(parser, "--frozen", "COL", "ignore this column")
    add_text(parser, "judge this column of texts alone and ignore the others")
    add_drop(parser)
    add_seed(parser)
    add_quiet(parser)


def work(options: argparse.Namespace) -> None:
    """`advaug report`."""
    check_out(options.out, OUT, force=options.force)
    for path in (options.source, options.synthetic):
        check_source(path, options.out)
    check_syntax(options.constraint)
    table, file = read(options.source, options)
    X, y = parted(table, options.target, False)
    check_syntax(options.constraint, list(X.columns))
    check_columns(X, options)
    check_constraints(X, options.constraint)
    made = only_new(read(options.synthetic, options)[0], X, y)
    parents = made.pop(PARENT) if PARENT in made and PARENT not in X else None
    names = [options.text] if options.text else list(X.columns)
    lacking = [name for name in (*names, options.target) if name not in made.columns]
    if lacking:
        raise CliError(
            f"{options.synthetic} has no column {lacking[0]!r}, which {options.source} has: give "
            "both files the same columns"
        )
    if made[options.target].isna().any():
        raise CliError(f"{options.synthetic} has rows without a label: drop them or fill them in")
    if options.text:
        check_text(made, options, options.synthetic)
    tell_guesses(file, options)
    kept = options.text or [name for name in names if name not in options.frozen]

    from advaug.domains.sequences.adapter import SequenceAdapter
    from advaug.report.report import validity_report

    found = validity_report(
        X[kept],
        y,
        made[kept],
        made[options.target],
        parents=parents,
        constraints=options.constraint or None,
        adapter=SequenceAdapter() if options.text else None,
        random_state=options.seed,
        verbose=int(sys.stderr.isatty() and not options.quiet),
    )
    found.to_html(options.out, name=f"{options.source.name}, {options.synthetic.name}")
    say(f"{found}\n\n{options.out}: the same with what each check means", options)


def check_columns(X: Any, options: argparse.Namespace) -> None:
    """CliError if the options leave no column that can be read."""
    if options.text is not None:
        return check_text(X, options, options.source)
    check_frozen(X, options.frozen, options.target)
    check_texts(X, options.frozen, TEXT_OPTION)
    if set(options.frozen) >= set(X.columns):
        raise CliError(
            "every column is --frozen, which the report ignores: leave one of them out, or read a "
            "column of texts with --text"
        )


def only_new(made: Any, X: Any, y: Any) -> Any:
    """The rows of a file without the real ones, which `advaug oversample` writes on top."""
    if PARENT in made and PARENT not in X:
        return made[made[PARENT].notna()].reset_index(drop=True)
    real, names = X.assign(**{y.name: y}), [*X.columns, y.name]
    if len(made) > len(X) and set(names) <= set(made.columns):
        top = made[names].iloc[: len(X)]
        if top.astype(object).equals(real[names].astype(object)):
            return made.iloc[len(X) :].reset_index(drop=True)
    return made
