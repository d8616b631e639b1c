"""The command line: files in, files out.

Whatever the user can mend is one line on stderr and exit code 2; a rule is shown below it. Nothing heavy is imported
before there is work to do.
"""

import argparse
import json
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

RECIPES = ("auto", "explore", "match", "boundary", "harden", "translate", "interpolate")
DROPS = ("redundant", "noisy", "both")
SUFFIXES = (".csv", ".csv.gz", ".parquet")
PICTURES = (".png", ".svg", ".pdf")
PARENT = "advaug_parent"
LONG = 100_000  # cells to be made, above which a progress bar is shown


class Refused(Exception):
    """What the user can mend; the message says how, the lines below it show where."""

    def __init__(self, message: str, below: str = "") -> None:
        super().__init__(message)
        self.below = below


class Parser(argparse.ArgumentParser):
    """argparse, with its errors on one line."""

    def error(self, message: str) -> NoReturn:
        raise Refused(f"{message} (see {self.prog} --help)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 2 for what the user can mend, 130."""
    try:
        options = parser().parse_args(arguments)
        with one_line_warnings():
            options.work(options)
    except (Refused, ValueError, TypeError, ImportError, OSError) as error:
        told = " ".join(str(error).split()) + getattr(error, "below", "")
        print(f"advaug: error: {told}", file=sys.stderr)
        return 2
    except MemoryError:
        print("advaug: error: out of memory: ask for fewer rows (--strategy)", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("advaug: stopped", file=sys.stderr)
        return 130
    return 0


def parser() -> Parser:
    """All commands and options."""
    top = Parser(prog="advaug", description="Adversarial examples as new training rows.")
    commands = top.add_subparsers(required=True, metavar="command", parser_class=Parser)

    demo = commands.add_parser("demo", help="what it does on a real table, in under a minute")
    demo.add_argument("--out", type=Path, default=Path("advaug_demo.png"), help="the picture")
    demo.add_argument("--seed", type=seed, default=0, metavar="N")
    demo.add_argument("--splits", type=splits, default=2, metavar="N", help="default: 2")
    demo.set_defaults(work=run_demo)

    grow = commands.add_parser("oversample", help="add synthetic rows to a csv or parquet file")
    grow.add_argument("source", type=Path, metavar="IN", help=f"a file: {', '.join(SUFFIXES)}")
    grow.add_argument("--target", required=True, metavar="COL", help="the column of classes")
    grow.add_argument("--out", required=True, type=Path, metavar="OUT", help="the file to write")
    grow.add_argument(
        "--strategy",
        default="auto",
        metavar="S",
        help="auto, minority, not minority, not majority or all; minority/majority ratio for two "
        "classes; or totals as JSON: '{\"sick\": 900}' (default: auto)",
    )
    grow.add_argument("--recipe", choices=RECIPES, default="auto", help="default: auto")
    grow.add_argument(
        "--frozen", action="append", default=[], metavar="COL", help="only copied; repeatable"
    )
    grow.add_argument(
        "--constraint",
        action="append",
        default=[],
        metavar="RULE",
        help="such as 'open <= total': kept wherever the parent keeps it; repeatable",
    )
    grow.add_argument("--seed", type=seed, default=0, metavar="N", help="default: 0")
    grow.add_argument(
        "--parent",
        action="store_true",
        help=f"add {PARENT}: the row (from 0) each synthetic row was made from, else empty",
    )
    grow.add_argument("--quiet", action="store_true", help="print no summary")
    grow.set_defaults(work=oversample)

    thin = commands.add_parser(
        "undersample", help="drop deep or doubtful rows of the large classes"
    )
    thin.add_argument("source", type=Path, metavar="IN", help=f"a file: {', '.join(SUFFIXES)}")
    thin.add_argument("--target", required=True, metavar="COL", help="the column of classes")
    thin.add_argument("--out", required=True, type=Path, metavar="OUT", help="the file to write")
    thin.add_argument(
        "--strategy",
        default="auto",
        metavar="S",
        help="auto, majority, not minority, not majority or all; minority/majority ratio for two "
        "classes; or totals as JSON: '{\"well\": 900}' (default: auto)",
    )
    thin.add_argument("--drop", choices=DROPS, default="noisy", help="default: noisy")
    thin.add_argument(
        "--frozen", action="append", default=[], metavar="COL", help="not looked at; repeatable"
    )
    thin.add_argument("--seed", type=seed, default=0, metavar="N", help="default: 0")
    thin.add_argument("--quiet", action="store_true", help="print no summary")
    thin.set_defaults(work=undersample)

    judge = commands.add_parser("report", help="judge synthetic rows of any origin: a page of HTML")
    judge.add_argument("source", type=Path, metavar="REAL", help=f"a file: {', '.join(SUFFIXES)}")
    judge.add_argument("synthetic", type=Path, metavar="SYNTHETIC", help="the same columns")
    judge.add_argument("--target", required=True, metavar="COL", help="the column of classes")
    judge.add_argument("--out", required=True, type=Path, metavar="OUT", help="the page: .html")
    judge.add_argument(
        "--constraint",
        action="append",
        default=[],
        metavar="R",
        help="what rows must keep, e.g. 'open <= total'; repeatable",
    )
    judge.add_argument(
        "--frozen", action="append", default=[], metavar="COL", help="overlooked; repeatable"
    )
    judge.add_argument("--seed", type=seed, default=0, metavar="N", help="default: 0")
    judge.add_argument("--quiet", action="store_true", help="print no summary")
    judge.set_defaults(work=report)
    return top


def seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 2**32 - 1")
    return int(text)


def splits(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


@contextmanager
def one_line_warnings() -> Iterator[None]:
    """The library's own warnings without file and line; other libraries' ones not at all."""

    def show(message: Any, category: Any, *_: Any, **__: Any) -> None:
        if issubclass(category, UserWarning):
            print(f"advaug: warning: {' '.join(str(message).split())}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = show
        yield


# demo -------------------------------------------------------------------------------------


def run_demo(options: argparse.Namespace) -> None:
    """`advaug demo`."""
    check_out(options.out, PICTURES)
    from advaug.demo import run

    run(options.out, seed=options.seed, splits=options.splits)


# oversample -------------------------------------------------------------------------------


def oversample(options: argparse.Namespace) -> None:
    """`advaug oversample`."""
    check_out(options.out, SUFFIXES)
    check_source(options.source, options.out)
    from advaug.containers import write_table

    table = read(options.source)
    X, y = parted(table, options.target, options.parent)
    check_frozen(X, options.frozen, options.target)

    from advaug.adapters import TabularAdapter
    from advaug.estimators import AdversarialOverSampler

    adapter = TabularAdapter(frozen=options.frozen)
    check_texts(X, options.frozen)
    check_constraints(X, options.constraint)
    sampler = AdversarialOverSampler(
        sampling_strategy=strategy(options.strategy, y),
        recipe=options.recipe,
        adapter=adapter,
        constraints=options.constraint or None,
        random_state=options.seed,
        verbose=int(X.size > LONG),
    )
    X_new, y_new = sampler.fit_resample(X, y)
    X_new.insert(table.columns.get_loc(options.target), options.target, y_new.array)
    if options.parent:
        X_new[PARENT] = parents(sampler)
        X_new = X_new.astype({PARENT: "Int64"})
    write_table(X_new, options.out, options.source)
    if not options.quiet:
        print(summary(sampler, y, y_new, options.out))
    warn_of_no_attack(sampler)


# undersample ------------------------------------------------------------------------------


def undersample(options: argparse.Namespace) -> None:
    """`advaug undersample`."""
    check_out(options.out, SUFFIXES)
    check_source(options.source, options.out)
    from advaug.containers import write_rows

    table = read(options.source)
    X, y = parted(table, options.target, wants_parent=False)
    check_frozen(X, options.frozen, options.target)

    from advaug.adapters import TabularAdapter
    from advaug.estimators import AdversarialUnderSampler

    check_texts(X, options.frozen)
    sampler = AdversarialUnderSampler(
        sampling_strategy=strategy(options.strategy, y),
        drop=options.drop,
        adapter=TabularAdapter(frozen=options.frozen),
        random_state=options.seed,
    )
    _, y_new = sampler.fit_resample(X, y)
    write_rows(options.out, options.source, sampler.sample_indices_)
    if not options.quiet:
        before, after = y.value_counts(), y_new.value_counts()
        print(f"{options.out}: {len(y_new)} of {len(y)} rows, as they were")
        for label in before.index:
            print(f"{label}: {after[label]} of {before[label]}")


# files and columns ------------------------------------------------------------------------


def check_out(out: Path, suffixes: Sequence[str]) -> None:
    """Refused if the file could not be written, before any work is done."""
    if not out.name.endswith(tuple(suffixes)):
        raise Refused(f"--out {out}: end its name in {' or '.join(suffixes)}")
    if not out.parent.is_dir():
        raise Refused(f"--out {out}: there is no folder {out.parent}: make it first")
    if out.is_dir():
        raise Refused(f"--out {out} is a folder: name a file in it")
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise Refused(f"--out {out} cannot be written: choose another place")
    check_parquet(out)


def check_source(source: Path, out: Path) -> None:
    """Refused if there is no such file, or it is the one to be written."""
    if not source.name.endswith(SUFFIXES):
        raise Refused(f"cannot read {source}: pass a file that ends in {' or '.join(SUFFIXES)}")
    if not source.is_file():
        raise Refused(f"cannot read {source}: there is no such file; check the path")
    if out.exists() and out.samefile(source):
        raise Refused(f"--out {out} is IN itself, which is never overwritten: name another file")
    check_parquet(source)


def check_parquet(path: Path) -> None:
    if path.name.endswith(".parquet") and find_spec("pyarrow") is None:
        raise Refused(f"{path} needs pyarrow: pip install advaug[parquet], or use csv")


def read(source: Path) -> Any:
    """The table; Refused with the mend if it cannot be read or has no rows."""
    from advaug.containers import read_table

    try:
        table = read_table(source)
    except UnicodeDecodeError as error:
        raise Refused(
            f"cannot read {source}: it is not UTF-8 ({error}): save it as UTF-8"
        ) from error
    except (ValueError, OSError, EOFError) as error:
        kind = "parquet" if source.name.endswith(".parquet") else "csv with a header line"
        raise Refused(f"cannot read {source}: {error}. It must be {kind}: save it anew") from error
    if not len(table):
        raise Refused(f"{source} holds no rows: check that it is the right file")
    return table


def parted(table: Any, target: str, wants_parent: bool) -> tuple[Any, Any]:
    """Rows and labels; Refused if the target is not a column of two classes or more."""
    names = [str(name) for name in table.columns]
    if target not in table.columns:
        raise Refused(f"--target {target!r} is no column: {meant(target, names)}")
    if len(names) < 2:
        raise Refused(f"{target!r} is the only column: there is nothing to learn from; add others")
    if wants_parent and PARENT in names:
        raise Refused(f"--parent: there is a column {PARENT} already: rename it")
    y = table[target]
    empty = y.isna().to_numpy()
    if empty.any():
        raise Refused(
            f"--target {target!r} has no label in {empty.sum()} rows (first: row {empty.argmax()}, "
            "counted from 0): drop these rows or fill them in"
        )
    classes = y.nunique()
    if classes < 2:
        raise Refused(
            f"--target {target!r} is {y.iloc[0]!s} in every row: over-sampling needs two classes; "
            "choose another column"
        )
    if classes == len(y) or (y.dtype.kind == "f" and (y % 1 != 0).any()):
        raise Refused(
            f"--target {target!r} holds {classes} different values in {len(y)} rows, no classes: "
            "choose another column or group its values"
        )
    return table.drop(columns=target), y


def meant(name: str, names: Sequence[str]) -> str:
    """What could have been meant by a name that is none."""
    close = get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    more = ", ..." if len(names) > 12 else ""
    return f"choose one of {', '.join(map(repr, names[:12]))}{more}"


def check_frozen(X: Any, frozen: Sequence[str], target: str) -> None:
    for name in frozen:
        if name == target:
            raise Refused(f"--frozen {name!r} is the target, which never moves: leave it out")
        if name not in X.columns:
            raise Refused(f"--frozen {name!r} is no column: {meant(name, list(X.columns))}")


def check_constraints(X: Any, rules: Sequence[str]) -> None:
    """Refused if a rule cannot be read or does not fit the columns."""
    from advaug.constraints import Constraints

    for rule in rules:
        try:
            Constraints(rule).check(X)
        except ValueError as error:
            told, cut, shown = str(error).partition("\n")
            raise Refused(f"--constraint {rule!r}: {told}", cut + shown) from error


def check_texts(X: Any, frozen: Sequence[str]) -> None:
    """Refused, naming all columns of free text at once, and what made numbers a text."""
    from advaug.adapters import TabularAdapter
    from advaug.containers import NUMBER

    unusable, hint = [], ""
    for name in X.columns:
        if name in frozen or X[name].dtype.kind in "biufmM":
            continue
        try:
            TabularAdapter().fit(X[[name]])
        except ValueError:
            unusable.append(name)
            texts = X[name].dropna().astype(str)
            odd = texts[~texts.str.fullmatch(NUMBER)]
            if len(odd) < 0.5 * len(texts) and len(odd):
                hint = (
                    f"; {name!r} would be numbers but for {odd.iloc[0]!r}: leave such cells empty"
                )
    if unusable:
        raise Refused(
            f"free text cannot be moved: column {', '.join(map(repr, unusable))}: keep as it is "
            f"with {' '.join(f'--frozen {flag(name)}' for name in unusable)}, or drop it{hint}"
        )


def flag(name: str) -> str:
    """A column's name as a shell takes it."""
    from shlex import quote

    return quote(str(name))


def strategy(text: str, y: Any) -> Any:
    """imbalanced-learn's sampling_strategy from a word, a number or JSON totals."""
    from advaug.containers import labels

    if re.fullmatch(r"[\d.eE+-]+", text):
        try:
            return float(text)
        except ValueError:
            raise Refused(f"--strategy {text!r} is no number: write e.g. 0.5") from None
    if not text.lstrip().startswith("{"):
        words = ("auto", "minority", "not minority", "not majority", "all")
        if text not in words:
            raise Refused(
                f"--strategy {text!r} is not known: {', '.join(words)}, a ratio such as 0.5, or "
                "totals as JSON, e.g. '{\"sick\": 900}'"
            )
        return text
    try:
        totals = json.loads(text)
    except json.JSONDecodeError as error:
        raise Refused(
            f"--strategy {text}: no JSON ({error}): quote it as '{{\"a\": 9}}'"
        ) from error
    values = labels(y)
    own = {str(value): value for value in dict.fromkeys(values.tolist())}
    return {label_of(key, own): total_of(key, total) for key, total in totals.items()}


def label_of(key: str, own: dict[str, Any]) -> Any:
    """The target's label that a JSON key spells: '1' is 1 and 1.0, 'true' is True."""
    for text, value in own.items():
        if key == text or (isinstance(value, bool) and key.lower() == text.lower()):
            return value
        if isinstance(value, float) and key == f"{value:g}":
            return value
    raise Refused(f"--strategy: the target has no class {key!r}: {meant(key, list(own))}")


def total_of(key: str, total: Any) -> int:
    if not isinstance(total, int) or isinstance(total, bool) or total < 0:
        raise Refused(f"--strategy: {total!r} rows of class {key!r}: give a whole number")
    return total


def parents(sampler: Any) -> Any:
    """The parent of each synthetic row, NaN for the file's own rows."""
    from numpy import nan, where

    return where(sampler.synthetic_mask_, sampler.parent_indices_, nan)


def summary(sampler: Any, y: Any, y_new: Any, out: Path) -> str:
    """Rows of each class before and after; what the jury did, and what the committee knows."""
    before, after = y.value_counts(), y_new.value_counts()
    made = sampler.provenance_
    lines = [["class", "before", "after", "drawn back", "held-out AUC"]]
    for label in before.index:
        drawn = made["retracted"].to_numpy()[(made["label"] == label).to_numpy()]
        auc = sampler.surrogate_auc_.get(label)
        lines.append(
            [
                str(label),
                str(before[label]),
                str(after[label]),
                f"{drawn.astype(float).mean():.0%}" if len(drawn) else "",
                "" if auc is None else f"{auc:.3f}",
            ]
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = "\n".join(
        "  ".join(
            [
                line[0].ljust(widths[0]),
                *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True)),
            ]
        )
        for line in lines
    )
    work = sampler.constraints_report_
    rules = [
        f"constraints: {work['repaired']} synthetic rows repaired, {work['set_back']} set back to "
        f"their parents' cells, {work['retracted']} replaced by real rows"
    ]
    return "\n".join([written(out, y, y_new, table), *(rules if work["rules"] else [])])


def written(out: Path, y: Any, y_new: Any, table: str) -> str:
    return (
        f"{out}: {len(y)} rows as they were, {len(y_new) - len(y)} synthetic rows below them\n"
        f"{table}\ndrawn back: share of the synthetic rows that the jury moved towards a real one"
    )


def warn_of_no_attack(sampler: Any) -> None:
    from advaug.estimators.sampler import LEAST_AUC

    for label, auc in sampler.surrogate_auc_.items():
        if auc < LEAST_AUC:
            warnings.warn(
                f"class {label!s}: held-out AUC {auc:.2f} is under {LEAST_AUC:.1f}: no attack was "
                "made, its new rows lie between real ones; other columns or more rows may help",
                UserWarning,
                stacklevel=2,
            )


# report -----------------------------------------------------------------------------------


def report(options: argparse.Namespace) -> None:
    """`advaug report`."""
    check_out(options.out, (".html",))
    for path in (options.source, options.synthetic):
        check_source(path, options.out)
    X, y = parted(read(options.source), options.target, False)
    check_frozen(X, options.frozen, options.target)
    check_texts(X, options.frozen)
    made = only_new(read(options.synthetic), X, y)
    parents = made.pop(PARENT) if PARENT in made and PARENT not in X else None
    lacking = [name for name in (*X.columns, options.target) if name not in made.columns]
    if lacking:
        raise Refused(
            f"{options.synthetic} lacks the column {lacking[0]!r} of {options.source}: "
            f"{meant(lacking[0], [str(name) for name in made.columns])}"
        )
    if made[options.target].isna().any():
        raise Refused(f"{options.synthetic} has rows without a label: drop them or fill them in")
    kept = [name for name in X.columns if name not in options.frozen]

    from advaug.inspection import validity_report

    found = validity_report(
        X[kept],
        y,
        made[kept],
        made[options.target],
        parents=parents,
        constraints=options.constraint,
        random_state=options.seed,
    )
    found.to_html(options.out)
    if not options.quiet:
        print(f"{found}\n\n{options.out}")


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
