"""csv and parquet files: every column's dtype found, and the file's own texts kept."""

import gzip
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

INTEGER = r"-?(?:0|[1-9]\d*)"
NUMBER = r"[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
TRUTHS = (("True", "False"), ("true", "false"), ("TRUE", "FALSE"))
CLOCKS = {
    "": "",
    "%H:%M": r"\d\d:\d\d",
    "%H:%M:%S": r"\d\d:\d\d:\d\d",
    "%H:%M:%S.%f": r"\d\d:\d\d:\d\d\.\d{6}",
}
MOMENTS = {  # format -> a pattern as strict as the format ought to be
    f"%Y-%m-%d{between}{clock}{zone}": rf"\d{{4}}-\d\d-\d\d{between}{pattern}{zone}"
    for clock, pattern in CLOCKS.items()
    for between, zone in ([("T", ""), (" ", ""), ("T", "Z"), (" ", "Z")] if clock else [("", "")])
}
Spell = Callable[[pd.Series], pd.Series]  # cells of a dtype -> their texts


def read_table(path: str | Path) -> pd.DataFrame:
    """A csv or parquet file with the dtypes that its cells have.

    Of a csv only empty cells are missing. A column becomes whole numbers (nullable where cells
    are missing), truths, decimals or moments if *all* its cells are; else it stays text, as do
    numbers with leading zeros.
    """
    if str(path).endswith(".parquet"):
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
    texts = read_texts(path)
    return pd.DataFrame({name: parsed(texts[name])[0] for name in texts.columns})


def write_table(
    frame: pd.DataFrame,
    path: str | Path,
    original: str | Path = "",
    exact: Collection[str] = (),
) -> None:
    """A frame as csv or parquet.

    From csv to csv the first rows are written as they stand in `original`, and the rows below
    are spelt as it spells its own; decimals of the columns `exact` keep all their digits, since
    a rule such as a sum does not outlive rounding.
    """
    if str(path).endswith(".parquet"):
        frame.to_parquet(path)
    elif str(original).endswith((".csv", ".csv.gz")):
        texts = read_texts(original)

        def spelt_cells(name: str, cells: pd.Series) -> pd.Series:
            is_exact = name in exact and cells.dtype.kind == "f"
            spell = as_text if is_exact else parsed(texts[name])[1]
            return pd.concat([texts[name], spell(cells.iloc[len(texts) :])])

        spelt = {
            name: spelt_cells(name, cells) if name in texts else cells.set_axis(range(len(cells)))
            for name, cells in frame.items()
        }
        whole = pd.DataFrame({name: cells.to_numpy(object) for name, cells in spelt.items()})
        whole.to_csv(path, index=False, sep=separator(original))
    else:
        frame.to_csv(path, index=not isinstance(frame.index, pd.RangeIndex))


def write_rows(path: str | Path, original: str | Path, rows: np.ndarray[Any, Any]) -> None:
    """Some rows of a csv or parquet file, from csv to csv with the texts as they stand."""
    if str(path).endswith(".parquet") or not str(original).endswith((".csv", ".csv.gz")):
        table = read_table(original)
        is_numbered = isinstance(table.index, pd.RangeIndex)
        kept = table.take(rows)
        write_table(kept.reset_index(drop=True) if is_numbered else kept, path)
    else:
        kept = read_texts(original).take(rows)
        kept.to_csv(path, index=False, sep=separator(original))


def separator(path: str | Path) -> str:
    """Comma, semicolon or tab: what the header of a csv file has most of."""
    opened = gzip.open if str(path).endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8-sig") as file:
        header = file.readline()
    return max(",;\t", key=header.count)


def read_texts(path: str | Path) -> pd.DataFrame:
    """The cells of a csv file as texts, nothing read into them."""
    whole = pd.read_csv(
        path,
        sep=separator(path),
        header=None,
        dtype=str,
        na_filter=False,
        encoding="utf-8-sig",
        low_memory=False,
    )
    names = pd.Index(whole.iloc[0])
    if not names.is_unique:
        twice = names[names.duplicated()][0]
        raise ValueError(f"column {twice!r} stands twice in its header: rename one of them")
    return whole.iloc[1:].set_axis(names, axis=1).reset_index(drop=True)


def parsed(texts: pd.Series) -> tuple[pd.Series, Spell]:
    """Texts as a column of the narrowest dtype that fits all, and how to spell its cells."""
    known = texts[texts != ""]
    for parse in (parsed_numbers, parsed_truths, parsed_moments):
        found = parse(known) if len(known) else (pd.Series(dtype=float), as_text)
        if found is not None:
            cells, spell = found
            if len(known) < len(texts):
                nullable = {"i": "Int64", "u": "UInt64", "b": "boolean"}
                cells = cells.astype(nullable.get(cells.dtype.kind, cells.dtype))
            return cells.reindex(texts.index), spell
    return texts.where(texts != ""), as_text


def as_text(cells: pd.Series) -> pd.Series:
    """Each cell as Python writes it, nothing for a missing one."""
    return spelt_by(str, cells)


def parsed_numbers(texts: pd.Series) -> tuple[pd.Series, Spell] | None:
    """Whole numbers that fit 64 bits, or decimals with as many digits as the column has."""
    texts = texts.str.strip()
    if texts.str.fullmatch(INTEGER).all():
        whole = pd.to_numeric(texts)
        fits = whole.dtype.kind in "iu" and len(max(texts, key=len)) < 21
        return (pd.Series(whole, texts.index), as_text) if fits else None
    if not texts.str.fullmatch(NUMBER).all():
        return None
    numbers = texts.astype(float)
    if texts.str.contains("[eE]").any():
        return numbers, as_text
    digits = texts.str.partition(".")[2].str.len()
    most, is_fixed = int(digits.max()), digits.nunique() == 1

    def spell(number: float) -> str:
        text = f"{round(number, most) + 0.0:.{most}f}"
        return text if is_fixed else text.rstrip("0").rstrip(".")

    return numbers, partial(spelt_by, spell)


def parsed_truths(texts: pd.Series) -> tuple[pd.Series, Spell] | None:
    """True and False in one of three spellings."""
    for yes, no in TRUTHS:
        if texts.isin([yes, no]).all():
            spell = {True: yes, False: no}.get
            return texts == yes, partial(spelt_by, spell)
    return None


def parsed_moments(texts: pd.Series) -> tuple[pd.Series, Spell] | None:
    """ISO dates and times, all in one format."""
    for form, pattern in MOMENTS.items():
        if texts.str.fullmatch(pattern).all():
            moments = pd.to_datetime(texts, format=form, errors="coerce")
            spell = partial(pd.Timestamp.strftime, format=form)
            return None if moments.isna().any() else (moments, partial(spelt_by, spell))
    return None


def spelt_by(spell: Callable[[Any], Any], cells: pd.Series) -> pd.Series:
    """Each cell by a function, a missing one left missing."""
    return cells.astype(object).map(spell, na_action="ignore")
