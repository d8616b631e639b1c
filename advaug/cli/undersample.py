"""`advaug undersample`: a file without rows of the large classes that teach little or wrongly."""

import argparse

from advaug.cli.files import (
    SUFFIXES,
    check_frozen,
    check_out,
    check_source,
    check_texts,
    parted,
    read,
    say,
    tell_guesses,
)
from advaug.cli.options import (
    Parser,
    add_files,
    add_quiet,
    add_repeatable,
    add_seed,
    add_strategy,
    strategy,
)

OUT = SUFFIXES
NAME, HELP = "undersample", "drop deep or doubtful rows of the large classes"
DROPS = ("redundant", "noisy", "both")


def add_options(parser: Parser) -> None:
    add_files(parser, "IN", "the file to write")
    add_strategy(parser, "majority", "well")
    parser.add_argument("--drop", choices=DROPS, default="noisy", help="default: noisy")
    add_repeatable(parser, "--frozen", "COL", "ignore this column")
    add_seed(parser)
    add_quiet(parser)


def work(options: argparse.Namespace) -> None:
    """`advaug undersample`."""
    check_out(options.out, OUT, force=options.force)
    check_source(options.source, options.out)
    from advaug.containers.files import write_rows

    table, file = read(options.source, options)
    X, y = parted(table, options.target, wants_parent=False)
    check_frozen(X, options.frozen, options.target)
    check_texts(X, options.frozen)
    wanted = strategy(options.strategy, y)
    tell_guesses(file, options)

    from advaug.domains.tables.adapter import TabularAdapter
    from advaug.estimators.under_sampler import AdversarialUnderSampler

    sampler = AdversarialUnderSampler(
        sampling_strategy=wanted,
        drop=options.drop,
        adapter=TabularAdapter(frozen=options.frozen),
        random_state=options.seed,
    )
    _, y_new = sampler.fit_resample(X, y)
    write_rows(options.out, table, file, sampler.sample_indices_)
    before, after = y.value_counts(), y_new.value_counts()
    lines = [f"{options.out}: {len(y_new)} of {len(y)} rows, unchanged"]
    lines += [f"{label}: {after[label]} of {before[label]}" for label in before.index]
    say("\n".join(lines), options)
