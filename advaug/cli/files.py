"""Files in and out, and columns by name: what cannot be used is refused with the mend.

Nothing heavy is imported before there is work to do.
"""

import os
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SUFFIXES = (".csv", ".csv.gz", ".parquet")
PARENT = "advaug_parent"  # the column of each synthetic row's parent


class CliError(Exception):
    """What the user can mend; the message says how, the lines below it show where."""

    def __init__(self, message: str, below: str = "") -> None:
        super().__init__(message)
        self.below = below


def check_out(out: Path, suffixes: Sequence[str]) -> None:
    """CliError if the file could not be written, before any work is done."""
    if not out.name.endswith(tuple(suffixes)):
        raise CliError(f"--out {out}: end its name in {' or '.join(suffixes)}")
    if not out.parent.is_dir():
        raise CliError(f"--out {out}: there is no folder {out.parent}: make it first")
    if out.is_dir():
        raise CliError(f"--out {out} is a folder: name a file in it")
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise CliError(f"--out {out} cannot be written: choose another place")
    check_parquet(out)


def check_source(source: Path, out: Path, suffixes: Sequence[str] = SUFFIXES) -> None:
    """CliError if there is no such file, or it is the one to be written."""
    if not source.name.endswith(tuple(suffixes)):
        raise CliError(f"cannot read {source}: pass a file that ends in {' or '.join(suffixes)}")
    if not source.is_file():
        raise CliError(f"cannot read {source}: there is no such file; check the path")
    if out.exists() and out.samefile(source):
        raise CliError(f"--out {out} is IN itself, which is never overwritten: name another file")
    check_parquet(source)


def check_parquet(path: Path) -> None:
    if path.name.endswith(".parquet") and find_spec("pyarrow") is None:
        raise CliError(f"{path} needs pyarrow: pip install advaug[parquet], or use csv")


def read(source: Path) -> Any:
    """The table; CliError with the mend if it cannot be read or has no rows."""
    from advaug.containers.files import read_table

    try:
        table = read_table(source)
    except UnicodeDecodeError as error:
        raise CliError(
            f"cannot read {source}: it is not UTF-8 ({error}): save it as UTF-8"
        ) from error
    except (ValueError, OSError, EOFError) as error:
        kind = "parquet" if source.name.endswith(".parquet") else "csv with a header line"
        raise CliError(f"cannot read {source}: {error}. It must be {kind}: save it anew") from error
    if not len(table):
        raise CliError(f"{source} holds no rows: check that it is the right file")
    return table


def parted(table: Any, target: str, wants_parent: bool) -> tuple[Any, Any]:
    """Rows and labels; CliError if the target is not a column of two classes or more."""
    names = [str(name) for name in table.columns]
    if target not in table.columns:
        raise CliError(f"--target {target!r} is no column: {meant(target, names)}")
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


def meant(name: str, names: Sequence[str]) -> str:
    """Which of the names could have been meant by one that is not among them."""
    close = get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    more = ", ..." if len(names) > 12 else ""
    return f"choose one of {', '.join(map(repr, names[:12]))}{more}"


def check_frozen(X: Any, frozen: Sequence[str], target: str) -> None:
    for name in frozen:
        if name == target:
            raise CliError(f"--frozen {name!r} is the target, which never moves: leave it out")
        if name not in X.columns:
            raise CliError(f"--frozen {name!r} is no column: {meant(name, list(X.columns))}")


def check_text(X: Any, options: Any) -> None:
    """CliError if --text names no column of texts, or one with gaps, or stands beside rules."""
    name = options.text
    if name not in X.columns:
        raise CliError(f"--text {name!r} is no column: {meant(name, list(X.columns))}")
    if options.constraint or options.frozen:
        raise CliError("--text copies all other columns: leave out --frozen and --constraint")
    if X[name].dtype.kind in "biufmM":
        raise CliError(f"--text {name!r} holds no texts but {X[name].dtype}: leave --text out")
    empty = X[name].isna().to_numpy()
    if empty.any():
        raise CliError(
            f"--text {name!r} is empty in {empty.sum()} rows (first: row {empty.argmax()}, counted "
            "from 0): drop these rows or fill them in"
        )


def check_constraints(X: Any, rules: Sequence[str]) -> list[str]:
    """The columns that the rules read; CliError if one cannot be read or does not fit them."""
    from advaug.domains.tables.rules.constraints import Constraints

    for rule in rules:
        try:
            Constraints(rule).check(X)
        except ValueError as error:
            reason, cut, shown = str(error).partition("\n")
            raise CliError(f"--constraint {rule!r}: {reason}", cut + shown) from error
    return Constraints(list(rules)).names


def check_texts(X: Any, frozen: Sequence[str], *, has_text_option: bool = False) -> None:
    """CliError, naming all columns of free text at once, and what made numbers a text."""
    from advaug.containers.files import NUMBER
    from advaug.domains.tables.adapter import TabularAdapter

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
        raise CliError(
            f"free text cannot be moved: column {', '.join(map(repr, unusable))}: keep as it is "
            f"with {' '.join(f'--frozen {flag(name)}' for name in unusable)} or drop it"
            + (f"; to learn from it alone: --text {flag(unusable[0])}" if has_text_option else "")
            + hint
        )


def flag(name: str) -> str:
    """A column's name as a shell takes it."""
    from shlex import quote

    return quote(str(name))
