"""`advaug oversample`: a file with synthetic rows below its own, and what was done in words."""

import argparse
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from advaug.cli import folders, signals
from advaug.cli.files import (
    PARENT,
    SUFFIXES,
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
    add_strategy,
    add_text,
    strategy,
)
from advaug.core.drawing import shortened
from advaug.registry import RECIPES

OUT = SUFFIXES
NAME, HELP = "oversample", "add synthetic rows to a csv or parquet file, a folder, or a npz"
TEXTS = (
    "texts to be read: paraphrase or recombine; to be counted: bag (explore does nearly the same)"
)
FEW = 3  # The summary names so many relations that were found,
LONGEST_RULE = 80  # with so many characters of each.
LONG = 100_000  # cells to be made, above which a progress bar is shown


def add_options(parser: Parser) -> None:
    out = "the file to write; of a folder IN the folder of new rows, in files of their own"
    add_files(parser, "IN", out, (*SUFFIXES, signals.SUFFIX, "a folder of files"))
    growth = "grow12 for all classes with 12 times the rows of the largest; "
    add_strategy(parser, "minority", "sick", growth)
    recipes = ["auto", *RECIPES]
    parser.add_argument("--recipe", choices=recipes, default="auto", help=f"default: auto; {TEXTS}")
    add_repeatable(
        parser,
        "--frozen",
        "COL",
        "copy this column (of signals: this channel) from the parent",
    )
    parser.add_argument(
        "--layout",
        choices=signals.LAYOUTS,
        default="auto",
        help="axes of the signals in a npz: nct (n, channels, time), ntc (n, time, channels); "
        "default: auto",
    )
    add_text(
        parser, "learn from this column of texts alone and copy the others (of a folder: drop them)"
    )
    add_drop(parser)
    rules = "such as 'open <= total': a new row keeps it if its parent does"
    add_repeatable(parser, "--constraint", "RULE", rules)
    parser.add_argument(
        "--no-constraints",
        action="store_true",
        help="keep no relations; by default those are kept that all rows of the file keep, such as "
        "a total and its parts, unless a --constraint is given",
    )
    add_seed(parser)
    parser.add_argument(
        "--parent",
        action="store_true",
        help=f"add {PARENT}: the row (from 0) that each synthetic row was made from; empty (-1 in "
        "npz) for real rows",
    )
    folders.add_engine(parser, default=None)
    add_quiet(parser)


def work(options: argparse.Namespace) -> None:
    """`advaug oversample`."""
    if not signals.is_signals(options.source):
        signals.refuse_layout(options)
    if options.source.is_dir():
        return work_on_folder(options)
    folders.refuse_engine(options)
    if signals.is_signals(options.source):
        return work_on_signals(options)
    check_out(options.out, OUT, force=options.force)
    check_source(options.source, options.out)
    if options.constraint and options.no_constraints:
        raise CliError("--no-constraints and --constraint exclude each other: leave one out")
    check_syntax(options.constraint)
    from advaug.containers.files import write_below

    table, file = read(options.source, options)
    X, y = parted(table, options.target, options.parent)
    check_frozen(X, options.frozen, options.target)
    check_syntax(options.constraint, list(X.columns))
    if options.text is None:
        check_texts(X, options.frozen, TEXT_OPTION)
    else:
        check_text(X, options, options.source)
    wanted = strategy(options.strategy, y)
    tell_guesses(file, options)

    from advaug.domains.sequences.adapter import SequenceAdapter
    from advaug.domains.tables.adapter import TabularAdapter
    from advaug.estimators.over_sampler import AdversarialOverSampler

    ruled = check_constraints(X, options.constraint)
    sampler = AdversarialOverSampler(
        sampling_strategy=wanted,
        recipe=options.recipe,
        adapter=SequenceAdapter() if options.text else TabularAdapter(frozen=options.frozen),
        constraints=None if options.no_constraints else options.constraint or "auto",
        random_state=options.seed,
        verbose=int(X.size > LONG),
    )
    X_new, y_new = new_rows(sampler, X, y, options.text)
    X_new.insert(table.columns.get_loc(options.target), options.target, y_new.array)
    if options.parent:
        X_new[PARENT] = sampler.provenance_["parent"].astype("Int64").array
    write_below(X_new, options.out, table, file, ruled or exact_columns(sampler))
    print_summary(sampler, y, y_new, options)


def work_on_signals(options: argparse.Namespace) -> None:
    """`advaug oversample` on a file of arrays."""
    signals.check_options(options)
    check_out(options.out, (signals.SUFFIX,), force=options.force)
    check_source(options.source, options.out, (signals.SUFFIX,))
    arrays = signals.read(options.source)
    name, X, y = signals.parted(arrays, options.target, options.parent)

    from advaug.domains.signals.adapter import SignalAdapter
    from advaug.estimators.over_sampler import AdversarialOverSampler

    sampler = AdversarialOverSampler(
        sampling_strategy=strategy(options.strategy, y),
        recipe=options.recipe,
        adapter=SignalAdapter(frozen=signals.channels(options.frozen), layout=options.layout),
        random_state=options.seed,
        verbose=int(X.size > LONG),
    )
    try:
        X_new, y_new = sampler.fit_resample(X, y)
    except ValueError as error:
        raise CliError(signals.as_option(str(error))) from error
    made = {name: X_new, options.target: y_new}
    signals.write(options.out, arrays, made, sampler, options.parent)
    print_summary(sampler, y, y_new[len(y) :], options)


def work_on_folder(options: argparse.Namespace) -> None:
    """`advaug oversample` on the files of a folder, which may be larger than memory."""
    folders.check_options(options)
    engine = folders.engine_of(options)
    table = folders.check_table(options)
    sampler = folders.sampler_of(options, table)
    from advaug.big.oversampling import oversample

    with folders.whole_parts(options.out):
        manifest = oversample(
            options.source,
            options.out,
            options.target,
            sampler,
            drop=options.drop_columns,
            seed=options.seed,
            parent=PARENT if options.parent else None,
            verbose=not options.quiet,
            **engine,
        )
    text = f"\n{options.source} is as it was: train on the files of both folders"
    say(folders.summary(options.out, manifest) + text, options)


def print_summary(sampler: Any, y: Any, y_new: Any, options: argparse.Namespace) -> None:
    """The summary, unless it is not wanted, and a warning where nothing was attacked."""
    say(summary(sampler, y, y_new, options.out), options)
    warn_of_no_attack(sampler)


def new_rows(sampler: Any, X: Any, y: Any, text: str | None) -> tuple[Any, Any]:
    """New rows of all columns, or new texts, beside which the parents' cells are copied."""
    if text is None:
        return sampler.new_rows(X, y)
    from advaug.containers.rows import take

    texts, y_new = sampler.new_rows(X[text], y)
    copies = take(X, sampler.provenance_["parent"].to_numpy()).set_axis(texts.index, axis=0)
    return copies.assign(**{text: texts.array}), y_new


def exact_columns(sampler: Any) -> list[str]:
    """The columns of the equalities that were found, whose decimals may not be rounded."""
    from advaug.domains.tables.rules.constraints import Constraints
    from advaug.domains.tables.rules.mining import EQUALITIES

    found = sampler.findings_
    is_equality = found["kind"].isin(EQUALITIES)
    return Constraints(found["rule"][is_equality].tolist()).names


def summary(sampler: Any, y: Any, y_new: Any, out: Path) -> str:
    """Rows of each class before and after; what the sampler did, and what the committee knows."""
    before, new = Counter(y.tolist()), Counter(y_new.tolist())
    made = sampler.provenance_
    lines = [["class", "before", "after", "accepted", "held-out AUC"]]
    for label, _ in before.most_common():
        accepted = (made["move_share"] == 1)[made["label"] == label]
        auc = sampler.surrogate_auc_.get(label)
        lines.append(
            [
                str(label),
                str(before[label]),
                str(before[label] + new[label]),
                f"{accepted.mean():.0%}" if len(accepted) else "",
                "" if auc is None else f"{auc:.3f}",
            ]
        )
    text = [
        f"{out}: {len(y)} rows as they were, {len(y_new)} synthetic rows below them",
        aligned(lines),
        "accepted: share of the synthetic rows that the judge accepted as they were drawn, by how "
        "sure the voting models are of the label and by how usual the row looks",
        "held-out AUC: how well models rank rows of the class that they have not seen; 0.5 is "
        "chance",
    ]
    work = sampler.constraints_report_
    is_relation = sampler.findings_["by_chance"] > 0
    found, facts = (
        sampler.findings_["rule"][rows].tolist() for rows in (is_relation, ~is_relation)
    )
    if facts:
        few = "; ".join(shortened(fact, LONGEST_RULE) for fact in facts[:FEW])
        text.append(f"values that new rows keep: {len(facts)} facts of columns, such as {few}")
    if found:
        few = "; ".join(shortened(rule, LONGEST_RULE) for rule in found[:FEW])
        text.append(
            f"relations of all rows, found and kept: {len(found)}, such as {few} "
            "(--no-constraints keeps none)"
        )
    if work["rules"]:
        text.append(
            f"constraints: {work['repaired']} synthetic rows repaired, {work['reverted']} reverted "
            f"to their parents' cells, {work['replaced']} replaced by real rows"
        )
    return "\n".join(text)


def aligned(lines: list[list[str]]) -> str:
    """Lines of cells as columns of text, the first one to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([name.ljust(widths[0]), *map(str.rjust, cells, widths[1:])])
        for name, *cells in lines
    )


def warn_of_no_attack(sampler: Any) -> None:
    from advaug.estimators.validation import MIN_AUC

    weak = {label: auc for label, auc in sampler.surrogate_auc_.items() if auc < MIN_AUC}
    if weak:
        named = ", ".join(f"{label!s} ({auc:.2f})" for label, auc in list(weak.items())[:FEW])
        more = f" and {len(weak) - FEW} more" if len(weak) > FEW else ""
        warnings.warn(
            f"held-out AUC under {MIN_AUC:.1f} in class {named}{more}: no attack was made, the new "
            "rows lie between real ones; other columns or more rows may help",
            UserWarning,
            stacklevel=2,
        )
