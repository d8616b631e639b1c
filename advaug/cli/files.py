"""Files in and out, and columns by name: what cannot be used is refused with the mend.

Nothing heavy is imported before there is work to do.
"""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from advaug.core.drawing import visible
from advaug.core.known_names import did_you_mean

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")
STREAM = "-"  # standard input, or standard output
UNEVEN = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")  # as pandas says it
MOST_TOLD = 8  # guesses in the line that tells them
PARENT = "advaug_parent"  # the column of each synthetic row's parent
DROP = " or drop it"  # What mends a column of free text besides --frozen,
TEXT_OPTION = f"{DROP}; to read it alone: --text {{}}"  # and where a command has --text.


class CliError(Exception):
    """What the user can mend; the message says how, the lines below it show where."""

    def __init__(self, message: str, below: str = "") -> None:
        super().__init__(message)
        self.below = below


def check_out(out: Path, suffixes: Sequence[str], *, force: bool) -> None:
    """CliError if the file could not be written, before any work is done."""
    if not out.name.endswith(tuple(suffixes)):
        raise CliError(f"--out {out}: end its name in {' or '.join(suffixes)}")
    if not out.parent.is_dir():
        raise CliError(f"--out {out}: there is no folder {out.parent}: make it first")
    if out.is_dir():
        raise CliError(f"--out {out} is a folder: name a file in it")
    if out.exists() and not force:
        raise CliError(f"--out {out} exists: name another file, or replace it with --force")
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise CliError(f"--out {out} cannot be written: choose another place")
    check_parquet(out)


def check_source(source: Path, out: Path | None = None, suffixes: Sequence[str] = SUFFIXES) -> None:
    """CliError if there is no such file, or it is the one to be written."""
    if not source.name.endswith(tuple(suffixes)):
        raise CliError(f"cannot read {source}: pass a file that ends in {' or '.join(suffixes)}")
    if not source.is_file():
        raise CliError(f"cannot read {source}: there is no such file; check the path")
    if out is not None and out.exists() and out.samefile(source):
        raise CliError(f"--out {out} is IN itself, which is never overwritten: name another file")
    check_parquet(source)


def check_parquet(path: Path) -> None:
    if path.name.endswith(".parquet") and find_spec("pyarrow") is None:
        raise CliError(f"{path} needs pyarrow: pip install advaug[parquet], or use csv")


def read(source: Path, options: Any) -> tuple[Any, Any]:
    """The table, and how a text file is written; CliError with the mend if it cannot be read."""
    from advaug.containers.files import read_file

    if options.target in getattr(options, "drop_columns", ()):
        raise CliError(f"--drop {options.target!r} is the target, which is needed: leave it out")
    kind = "parquet" if source.name.endswith(".parquet") else "text with a header line"
    try:
        table, file = read_file(
            source,
            separator=options.sep or "",
            decimal=options.decimal or "",
            encoding=options.encoding or "",
            drop=getattr(options, "drop_columns", ()),
            target=options.target,
        )
    except KeyError as error:
        name, names = error.args
        raise CliError(f"--drop {name!r} is no column: {did_you_mean(name, names)}") from error
    except (UnicodeError, LookupError) as error:
        raise CliError(
            f"cannot read {source}: {error}: name its encoding, e.g. --encoding cp1252"
        ) from error
    except (ValueError, OSError, EOFError) as error:
        if found := UNEVEN.search(str(error)):
            wanted, line, n_cells = found.groups()
            raise CliError(
                f"cannot read {source}: line {line} has {n_cells} cells, others {wanted}: "
                "remove what stands above the header, quote cells that hold the separator, or name "
                "the separator with --sep"
            ) from error
        raise CliError(f"cannot read {source}: {error}. It must be {kind}: save it anew") from error
    if not len(table):
        raise CliError(f"{source} holds no rows: check that it is the right file")
    return table, file


def tell_guesses(file: Any, options: Any) -> None:
    """One line on stderr with what was guessed of a text file, if anything was."""
    guesses = [] if file is None or options.quiet else file.guesses
    if guesses:
        more = f"; and {len(guesses) - MOST_TOLD} more" if len(guesses) > MOST_TOLD else ""
        line = f"advaug: {file.path.name}: {'; '.join(guesses[:MOST_TOLD])}{more}"
        print(visible(" ".join(line.split())), file=sys.stderr)


@contextmanager
def streams(options: Any) -> Iterator[None]:
    """Standard input and output as files: `-` for the file to read, `-` for the one to write."""
    with TemporaryDirectory() as folder:
        if str(getattr(options, "source", "")) == STREAM:
            options.source = Path(folder) / "standard-input.csv"
            stream = getattr(sys.stdin, "buffer", None)  # A stream of texts has none.
            options.source.write_bytes(stream.read() if stream else sys.stdin.read().encode())
        options.is_streamed = str(options.out) == STREAM and ".csv" in options.out_suffixes
        if options.is_streamed:
            options.out = Path(folder) / "standard-output.csv"
        yield
        if options.is_streamed:
            written, stream = options.out.read_bytes(), getattr(sys.stdout, "buffer", None)
            stream.write(written) if stream else sys.stdout.write(written.decode())


def say(text: str, options: Any) -> None:
    """A text for the reader, on standard output unless rows are written there."""
    if not options.quiet:
        print(visible(text, keep="\n"), file=sys.stderr if options.is_streamed else sys.stdout)


def parted(table: Any, target: str, wants_parent: bool) -> tuple[Any, Any]:
    """Rows and labels; CliError if the target is not a column of two classes or more."""
    names = [str(name) for name in table.columns]
    if target not in table.columns:
        raise CliError(f"--target {target!r} is no column: {did_you_mean(target, names)}")
    if len(names) < 2:
        raise CliError(f"{target!r} is the only column: there is nothing to learn from; add others")
    if wants_parent and PARENT in names:
        raise CliError(f"--parent: there is a column {PARENT} already: rename it")
    y = table[target]
    empty = y.isna().to_numpy()
    if empty.any():
        raise CliError(
            f"--target {target!r} has no label in {empty.sum()} rows (first: row {empty.argmax()}, "
            "counted from 0): drop these rows or fill them in"
        )
    classes = y.nunique()
    if classes < 2:
        raise CliError(
            f"--target {target!r} is {y.iloc[0]!s} in every row: over-sampling needs two classes; "
            "choose another column"
        )
    if classes == len(y) or (y.dtype.kind == "f" and (y % 1 != 0).any()):
        raise CliError(
            f"--target {target!r} holds {classes} different values in {len(y)} rows, no classes: "
            "choose another column or group its values"
        )
    return table.drop(columns=target), y


def check_frozen(X: Any, frozen: Sequence[str], target: str) -> None:
    for name in frozen:
        if name == target:
            raise CliError(f"--frozen {name!r} is the target, which never moves: leave it out")
        if name not in X.columns:
            raise CliError(f"--frozen {name!r} is no column: {did_you_mean(name, list(X.columns))}")


def check_text(X: Any, options: Any, source: Path) -> None:
    """CliError if --text names no column of texts, or one with gaps, or stands beside rules."""
    name = options.text
    if name not in X.columns:
        mend = did_you_mean(name, list(X.columns))
        raise CliError(f"--text {name!r} is no column of {source}: {mend}")
    if options.constraint or options.frozen:
        raise CliError("--text reads no other column: leave out --frozen and --constraint")
    if X[name].dtype.kind in "biufmM":
        raise CliError(
            f"--text {name!r} holds no texts in {source} but {X[name].dtype}: leave --text out"
        )
    empty = X[name].isna().to_numpy()
    if empty.any():
        raise CliError(
            f"--text {name!r} is empty in {empty.sum()} rows of {source} (first: row "
            f"{empty.argmax()}, counted from 0): drop these rows or fill them in"
        )


def check_syntax(rules: Sequence[str], names: Sequence[str] | None = None) -> None:
    """CliError where a rule cannot be read, or names none of the columns; quick, without torch."""
    from advaug.domains.tables.rules.parser import ConstraintSyntaxError, parse
    from advaug.domains.tables.rules.syntax_tree import columns

    for rule in rules:
        try:
            for name, at in columns(parse(rule)).items():
                if names is not None and name not in names:
                    reason = f"there is no column {name!r}: {did_you_mean(name, names)}"
                    raise ConstraintSyntaxError(reason, rule, at, len(name))
        except ValueError as error:
            raise refused(rule, error) from error


def refused(rule: str, error: ValueError) -> CliError:
    reason, cut, shown = str(error).partition("\n")
    return CliError(f"--constraint {rule!r}: {reason}", cut + shown)


def check_constraints(X: Any, rules: Sequence[str]) -> list[str]:
    """The columns that the rules read; CliError if one cannot be read or does not fit them."""
    from advaug.domains.tables.rules.constraints import Constraints

    for rule in rules:
        try:
            Constraints(rule).check(X)
        except ValueError as error:
            raise refused(rule, error) from error
    return Constraints(list(rules)).names


def check_texts(X: Any, frozen: Sequence[str], mend: str = DROP) -> None:
    """CliError, naming all columns of free text at once, and what made numbers a text.

    `mend` is what helps besides --frozen, with the first column's name for {}.
    """
    from advaug import containers

    unusable, hint = [], ""
    frame = containers.open_table(X)
    for name in X.columns:
        column = frame.get_column(name)
        is_text = name not in frozen and containers.kind_of_column(column) == "text"
        if is_text and containers.is_free_text(column):
            unusable.append(name)
            texts = X[name].dropna().astype(str)
            odd = texts[~texts.str.fullmatch(containers.NUMBER)]
            if len(odd) < 0.5 * len(texts) and len(odd):
                hint = (
                    f"; {name!r} would be numbers but for {odd.iloc[0]!r}: leave such cells empty"
                )
    if unusable:
        raise CliError(
            f"free text cannot be moved: column {', '.join(map(repr, unusable))}: keep as it is "
            f"with {' '.join(f'--frozen {flag(name)}' for name in unusable)}"
            f"{mend.format(flag(unusable[0]))}{hint}"
        )


def flag(name: str) -> str:
    """A column's name as a shell takes it."""
    from shlex import quote

    return quote(str(name))
