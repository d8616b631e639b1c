"""csv and parquet files: every column's dtype found, and the file's own texts kept."""

import csv
import gzip
import os
import re
import shutil
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd

from advaug.containers.memory import release_memory
from advaug.containers.spelling import Parsed, as_text, parsed, speaks_for_comma, widened

TEXT_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
SEPARATORS = ",;\t|"
LOOKED_AT = 50  # lines by which a separator is recognised
FIRST_ROWS = 10_000  # rows by which the decimal mark is recognised
LARGE = 2**24  # bytes from which a file is read some columns at once,
PASSES = 16  # in so many passes at most,
AT_ONCE = 20_000  # so many rows at once
BLOCK = 100_000  # rows that are copied at once
MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
UNFINISHED = ".part-"  # A file's name begins with it while the file is written.
INDEX_NAMES = ("", "Unnamed: 0")  # as pandas writes an index, and as it reads that again


@dataclass(frozen=True)
class Dialect:
    """How a text file is written."""

    separator: str
    encoding: str
    mark: bytes = b""
    line_end: str = "\n"
    quoting: int = csv.QUOTE_MINIMAL
    decimal: str = ""
    is_guess: bool = False
    preamble: str = ""  # lines above the header: comments, or the one that tells Excel a separator
    has_blanks: bool = False  # A blank stands behind each separator.

    @property
    def reading(self) -> dict[str, Any]:
        """What pandas reads it by."""
        signed = {"utf-8": "utf-8-sig", "utf-16-le": "utf-16", "utf-16-be": "utf-16"}
        encoding = signed[self.encoding] if self.mark else self.encoding
        return {
            **{"sep": self.separator, "encoding": encoding, "dtype": str, "na_filter": False},
            **{"skiprows": self.preamble.count("\n"), "skipinitialspace": self.has_blanks},
        }


@dataclass
class TextFile:
    """A csv file that was read: its dialect, how its columns are spelt, and what was guessed."""

    path: Path
    dialect: Dialect
    names: list[str] = field(default_factory=list)
    columns: dict[str, Parsed] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    index: str | None = None
    n_rows: int = 0

    @property
    def guesses(self) -> list[str]:
        """What was guessed of the file and of its columns."""
        said = []
        if self.dialect.is_guess:
            said.append(f"read as {self.dialect.encoding}, for it is not UTF-8")
        if self.dialect.separator == " ":
            said.append("a blank stands between cells")
        if self.dialect.preamble:
            n_lines = self.dialect.preamble.count("\n")
            said.append(f"{n_lines} line{'s' * (n_lines > 1)} above the header left as they are")
        if self.dialect.decimal == ",":
            said.append("a comma stands before decimals")
        if self.index is not None:
            said.append("the first column, which has no name, is a saved index")
        said += [f"{name!r}: {one.guess}" for name, one in self.columns.items() if one.guess]
        return said


def read_table(path: str | Path) -> pd.DataFrame:
    """A csv or parquet file with the dtypes that its cells have; see `read_file`."""
    return read_file(path)[0]


def read_file(
    path: str | Path,
    *,
    separator: str = "",
    decimal: str = "",
    encoding: str = "",
    drop: Collection[str] = (),
    target: str | None = None,
) -> tuple[pd.DataFrame, TextFile | None]:
    """A csv or parquet file, and for a csv how it is written.

    A column becomes whole numbers (nullable where cells are missing), truths, decimals or moments
    if *all* its cells are, but for empty ones and words such as NA; else it stays text, as do
    numbers with leading zeros. A saved index becomes the index of the frame.
    """
    path = Path(path)
    if path.name.endswith(".parquet"):
        table = read_parquet(path)
        refuse_unknown(drop, list(table.columns))
        return table.drop(columns=list(drop)), None
    dialect = dialect_of(path, separator, encoding)
    first_rows = read_texts(path, dialect, nrows=FIRST_ROWS)
    names = list(first_rows.columns)
    refuse_unknown(drop, names)
    if not decimal and dialect.separator != ",":
        decimal = "," if any(speaks_for_comma(first_rows[name]) for name in names) else ""
    dialect = replace(dialect, decimal=decimal)
    file = TextFile(path, dialect, names, dropped=list(drop))
    cells = {}
    for name, texts in text_columns(path, dialect, names):
        file.n_rows = len(texts)
        if name not in drop:
            found = parsed(texts, decimal, is_target=name == target)
            cells[name], file.columns[name] = found.cells, found._replace(cells=None)
        del texts
        if file.n_rows > BLOCK:
            release_memory()
    frame = pd.DataFrame(cells, copy=False)
    first = names[0] if names else None
    if first in INDEX_NAMES and first != target and first in frame and is_index(frame[first]):
        file.index = first
        start = int(frame.pop(first).iloc[0])
        frame.index = pd.RangeIndex(start, start + len(frame))
    return frame, file


def refuse_unknown(drop: Collection[str], names: list[str]) -> None:
    """KeyError with the name that is none of the columns', and theirs."""
    for name in drop:
        if name not in names:
            raise KeyError(name, names)


def is_index(cells: pd.Series) -> bool:
    """Whether cells count the rows."""
    if cells.dtype.kind not in "iu" or not len(cells):
        return False
    return bool((np.diff(cells.to_numpy()) == 1).all())


def read_parquet(path: Path) -> pd.DataFrame:
    plain = pd.read_parquet(path)
    exact = pd.read_parquet(path, dtype_backend="numpy_nullable")
    # pandas makes floats of whole numbers, and objects of truths, with a missing cell
    lost = [
        name
        for name in plain.columns
        if pd.api.types.is_integer_dtype(exact[name].dtype)
        != pd.api.types.is_integer_dtype(plain[name].dtype)
        or pd.api.types.is_bool_dtype(exact[name].dtype)
        != pd.api.types.is_bool_dtype(plain[name].dtype)
    ]
    return plain.assign(**{name: exact[name] for name in lost})


# ---------------------------------------------------------------- how a text file is written


def opened(path: Path, mode: str) -> Any:
    """A file as bytes, unpacked if its name ends in .gz."""
    return gzip.open(path, mode) if path.name.endswith(".gz") else path.open(mode)


def dialect_of(path: Path, separator: str = "", encoding: str = "") -> Dialect:
    """The encoding, separator, line ends and quotes of a text file."""
    with opened(path, "rb") as file:
        start = file.read(3)
    mark = next((mark for mark in MARKS if start.startswith(mark)), b"")
    is_guess = False
    if not encoding and mark:
        encoding = MARKS[mark]
    elif not encoding:
        encoding = wide_encoding_of(path) or ("utf-8" if is_utf8(path) else "cp1252")
        is_guess = encoding != "utf-8"
    with opened(path, "rb") as file:
        file.read(len(mark))
        head = file.read(2**18).decode(encoding, errors="ignore")
    if "\x00" in head:
        raise ValueError("it holds bytes that are no text")
    lines = head.splitlines()[: 2 * LOOKED_AT]
    told, n_above = lines_above(lines, separator)
    lines, separator = lines[n_above:][:LOOKED_AT], separator or told
    quoted = re.compile(rf'"[^"]*"(?:{re.escape(separator)}"[^"]*")*')
    is_quoted = len(lines) > 1 and all(quoted.fullmatch(line) for line in lines[:2])
    quoting = csv.QUOTE_ALL if is_quoted else csv.QUOTE_MINIMAL
    has_blanks = bool(lines) and (
        separator != " " and '"' not in head and all(is_spaced(line, separator) for line in lines)
    )
    return Dialect(
        separator,
        encoding,
        mark,
        line_end="\r\n" if "\r\n" in head else "\n",
        quoting=quoting,
        is_guess=is_guess,
        preamble="".join(head.splitlines(keepends=True)[:n_above]),
        has_blanks=has_blanks,
    )


def lines_above(lines: list[str], separator: str) -> tuple[str, int]:
    """The separator, and how many lines of comments, or for Excel, stand above the header."""
    if lines and (told := re.fullmatch(r"sep=(.)", lines[0])):
        return told[1], 1
    n_above = next((at for at, line in enumerate(lines) if not line.startswith("#")), 0)
    separator = separator or separator_of(lines[n_above:])
    is_header = n_above and lines[n_above - 1].count(separator) == lines[n_above].count(separator)
    return separator, n_above - bool(is_header)


def is_spaced(line: str, separator: str) -> bool:
    """Whether a blank stands behind every separator of a line, and there is one."""
    after = line.split(separator)[1:]
    return bool(after) and all(cell.startswith(" ") for cell in after)


def wide_encoding_of(path: Path) -> str:
    """UTF-16 without a byte-order mark, known by its zero bytes; "" for any other encoding."""
    with opened(path, "rb") as file:
        start = np.frombuffer(file.read(2**12), dtype=np.uint8)
    if len(start) < 2:
        return ""
    even, odd = (float((start[first::2] == 0).mean()) for first in (0, 1))
    if max(even, odd) < 0.5 or min(even, odd) > 0.1:
        return ""
    return "utf-16-le" if odd > even else "utf-16-be"


def is_utf8(path: Path) -> bool:
    with opened(path, "rb") as file:
        try:
            for _ in iter(lambda: file.read(2**20).decode("utf-8"), ""):
                pass
        except UnicodeDecodeError as error:
            # A character may be cut in two at the end of a block.
            return error.reason == "unexpected end of data" and is_utf8_by_lines(path)
    return True


def is_utf8_by_lines(path: Path) -> bool:
    with opened(path, "rb") as file:
        try:
            for line in file:
                line.decode("utf-8")
        except UnicodeDecodeError:
            return False
    return True


def separator_of(lines: list[str]) -> str:
    """The separator by which most lines have as many cells as the header, which has the most."""

    def score(separator: str) -> tuple[float, int]:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=separator) if row]
        except csv.Error:
            return 0.0, 0
        if not widths or widths[0] < 2:
            return 0.0, 0
        return Counter(widths)[widths[0]] / len(widths), widths[0]

    best = max(SEPARATORS, key=score)
    is_blank = not score(best)[1] and score(" ")[0] == 1
    return " " if is_blank else best


def text_columns(path: Path, dialect: Dialect, names: list[str]) -> Iterator[tuple[str, pd.Series]]:
    """The columns of a csv file as texts; of a large file one is in memory at a time."""
    if path.stat().st_size < LARGE:
        texts = read_texts(path, dialect)
        for name in names:
            yield name, texts.pop(name)
        return
    for places in np.array_split(np.arange(len(names)), min(PASSES, len(names))):
        # Only where all columns are read is a row with more cells than the header refused.
        some = places if places[0] else None
        reader = pd.read_csv(path, header=None, usecols=some, chunksize=AT_ONCE, **dialect.reading)
        blocks = [block[places] for block in reader]
        for place in places:
            yield names[place], without_header([block.pop(place) for block in blocks])


def without_header(parts: list[pd.Series]) -> pd.Series:
    """The parts of a column as one, without its first cell."""
    return pd.concat(parts).iloc[1:].reset_index(drop=True)


def read_texts(path: Path, dialect: Dialect, nrows: int | None = None) -> pd.DataFrame:
    """The cells of a csv file as texts, nothing read into them."""
    whole = pd.read_csv(path, header=None, nrows=nrows, **dialect.reading)
    names = pd.Index(whole.iloc[0].astype(object))
    if not names.is_unique:
        twice = names[names.duplicated()][0]
        raise ValueError(f"column {twice!r} stands twice in its header: rename one of them")
    return whole.iloc[1:].set_axis(names, axis=1).reset_index(drop=True)


# ---------------------------------------------------------------- files out


@contextmanager
def beside(path: str | Path) -> Iterator[Path]:
    """A file beside the one to be written, which takes its place when all is written.

    What fails half-way, for lack of space for instance, leaves the old file or none.
    """
    path = Path(os.path.realpath(path))
    part = path.with_name(f"{UNFINISHED}{uuid4().hex}-{path.name}")
    try:
        yield part
        if path.exists():
            shutil.copymode(path, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_table(frame: pd.DataFrame, path: str | Path) -> None:
    """A frame as csv or parquet."""
    with beside(path) as part:
        if part.name.endswith(".parquet"):
            frame.to_parquet(part)
        else:
            separator = "\t" if part.name.endswith((".tsv", ".tsv.gz")) else ","
            frame.to_csv(part, index=not isinstance(frame.index, pd.RangeIndex), sep=separator)


def write_below(
    new: pd.DataFrame,
    path: str | Path,
    table: pd.DataFrame,
    original: TextFile | None,
    exact: Collection[str] = (),
) -> None:
    """The rows of a table and new ones below them as csv or parquet.

    From csv to csv the table's rows are written as they stand in the file, and the new ones are
    spelt as it spells its own; decimals of the columns `exact` keep all their digits, since a rule
    such as a sum does not outlive rounding.
    """
    if original is None or str(path).endswith(".parquet"):
        grown = pd.concat([table, new])
        write_table(grown if original is None else widened(grown), path)
        return
    with beside(path) as part:
        dialect = dialect_for(part, original)
        copy_rows(original, part, dialect, added=[c for c in new if c not in original.names])
        append(spelt_rows(new, original, exact), part, dialect)


def write_rows(
    path: str | Path, frame: pd.DataFrame, original: TextFile | None, rows: np.ndarray[Any, Any]
) -> None:
    """Some rows of a csv or parquet file, from csv to csv with the texts as they stand."""
    if original is None or str(path).endswith(".parquet"):
        is_numbered = isinstance(frame.index, pd.RangeIndex)
        kept = frame.take(rows) if original is None else widened(frame.take(rows))
        write_table(kept.reset_index(drop=True) if is_numbered else kept, path)
        return
    with beside(path) as part:
        is_kept = np.zeros(original.n_rows, dtype=bool)
        is_kept[rows] = True
        copy_rows(original, part, dialect_for(part, original), is_kept=is_kept)


def dialect_for(part: Path, original: TextFile) -> Dialect:
    """The file's own dialect; tabs or commas where the new file's name says so, and its own not."""
    is_tabbed, was_tabbed = (
        path.name.endswith((".tsv", ".tsv.gz")) for path in (part, original.path)
    )
    if is_tabbed == was_tabbed:
        return original.dialect
    return replace(original.dialect, separator="\t" if is_tabbed else ",")


def copy_rows(
    original: TextFile,
    part: Path,
    dialect: Dialect,
    added: Collection[str] = (),
    is_kept: np.ndarray[Any, Any] | None = None,
) -> None:
    """The header and the rows of a text file as they stand; byte for byte where all are kept."""
    with opened(part, "wb") as file:
        file.write(dialect.mark + dialect.preamble.encode(dialect.encoding))
    if not added and not original.dropped and is_kept is None and dialect == original.dialect:
        with opened(original.path, "rb") as source, opened(part, "wb") as file:
            shutil.copyfileobj(source, file)
        end_line(part, dialect)
        return
    first = -1  # the header's place
    for block in pd.read_csv(
        original.path, header=None, chunksize=BLOCK, **original.dialect.reading
    ):
        places = np.arange(first, first + len(block))
        block = block.set_axis(original.names, axis=1).drop(columns=original.dropped)
        for name in added:
            block[name] = np.where(places < 0, name, "")
        if is_kept is not None:
            block = block[(places < 0) | is_kept[places]]
        append(block, part, dialect)
        first += len(places)


def end_line(path: Path, dialect: Dialect) -> None:
    """End the last line of a text file, if it does not end."""
    end = dialect.line_end.encode(dialect.encoding)
    with opened(path, "rb") as file:
        last = b""
        for block in iter(lambda: file.read(2**20), b""):
            last = (last + block)[-len(end) :]
    if not last.endswith("\n".encode(dialect.encoding)):
        with opened(path, "ab") as file:
            file.write(end)


def spelt_rows(new: pd.DataFrame, original: TextFile, exact: Collection[str]) -> pd.DataFrame:
    """New rows as texts, in the columns of the file."""
    spelt = {}
    for name in (*original.names, *(c for c in new if c not in original.names)):
        if name in original.dropped:
            continue
        column = original.columns.get(name)
        cells = new[name] if name in new else pd.Series(new.index, index=new.index)
        spell = as_text if column is None else column.spell
        if column is not None and name in exact and cells.dtype.kind == "f":
            spell = column.spell_exactly
        spelt[name] = spell(cells).to_numpy(object)
    return pd.DataFrame(spelt)


def append(rows: pd.DataFrame, part: Path, dialect: Dialect) -> None:
    """Rows of texts below those of a text file."""
    if dialect.has_blanks:
        behind = rows.columns[1:]
        rows = rows.assign(**{name: " " + rows[name].fillna("").astype(str) for name in behind})
    text = rows.to_csv(
        header=False,
        index=False,
        sep=dialect.separator,
        lineterminator=dialect.line_end,
        quoting=dialect.quoting,
    )
    with opened(part, "ab") as file:
        file.write(text.encode(dialect.encoding))
