"""Columns that say which row it is, and columns of codes.

An identifier tells every row apart: a saved index, an order number, `C00123`. Models never see it,
and a new row gets a fresh one. A code, such as a postcode or the number of a
customer who has several rows, is a number that names something: it is a category.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from advaug import containers
from advaug.containers.columns import Series, in_dtype_of
from advaug.domains.tables.value_sets import EXACT, Array, are_whole

FEWEST_ROWS = 20  # In fewer rows all values may differ by chance.
FEWEST_DENSE = 50  # So many whole numbers, all distinct, in a range of at most twice as many
DENSE = 0.5  # are no measurements.
CODE_ROWS = 2  # A code has so many rows for each of its values.
MOST_CODES = 500
NAMED_ID = re.compile(
    r"(^|[_\W])(id|ids|uid|guid|idx|index|key|rowid|rownum)($|[_\W\d])"
    r"|^unnamed: ?\d+$|^level_\d+$|[a-z](Id|ID)$",
)
NAMED_KEY = re.compile(r"(^|[_\W])(id|ids|uid|guid|ean|isbn|sku)($|[_\W\d])|[a-z](Id|ID)$")
NAMED_CODE = re.compile(
    r"(^|[_\W])(zip|plz|cep|code|codes|fips|naics|sic|icd)($|[_\W\d])"
    r"|[a-z](Code|Zip)$|postal|postcode|zipcode",
)
NAMED_TIME = re.compile(r"(^|[_\W])(year|time|date|day|month|timestamp|epoch|age|rank)($|[_\W\d])")
SECONDS = (9e8, 4e9)  # Rising numbers in this range are seconds since 1970; or milliseconds.


@dataclass(frozen=True)
class Identifier:
    """A column whose cells tell rows apart: a prefix, and whole numbers.

    Parameters
    ----------
    name : the column
    last : int
        The largest number of all.
    step : int
        The distance of the next one.
    prefix, width : what stands before the number in a text, and its number of digits
    limit : int
        The largest number that the column can hold.
    """

    name: Any
    last: int
    n_rows: int
    step: int = 1
    prefix: str = ""
    width: int = 0
    limit: int = 2**63 - 1
    is_text: bool = False

    def renumbered(self, column: Series, numbers: Array) -> Series:
        """The column of new rows with fresh cells, the numbers after the largest one.

        Where the dtype has no number left, a cell stays as it is.
        """
        is_left = numbers < (self.limit - self.last) // self.step
        rows, fresh = np.flatnonzero(is_left), self.last + self.step * (numbers[is_left] + 1)
        if self.is_text:
            cells = [f"{self.prefix}{number:0{self.width}d}" for number in fresh.tolist()]
            return column.scatter(rows, in_dtype_of(column, np.array(cells, dtype=object)))
        dtype = column.to_numpy().dtype
        return column.scatter(rows, in_dtype_of(column, fresh.astype(dtype)))

    @property
    def words(self) -> str:
        return (
            f"{self.name} only tells rows apart: nothing is learnt from it, and new rows get fresh "
            "values; drop it before a model learns from the rows"
        )


def find_identifier(column: Series, kind: str, values: Array | None) -> Identifier | None:
    """The identifier that a column is, of these numbers or of texts; None for any other column."""
    if len(column) < FEWEST_ROWS or kind not in ("integer", "number", "text"):
        return None
    if values is None:
        return find_text_identifier(column)
    if np.isnan(values).any() or not is_numbering(str(column.name), values):
        return None
    gaps = np.unique(np.diff(np.sort(values)))
    dtype = column.to_numpy().dtype
    limit = int(np.iinfo(dtype).max) if dtype.kind in "iu" else int(2.0 ** (np.finfo(dtype).nmant))
    return Identifier(
        column.name,
        last=int(column.max()),
        n_rows=len(column),
        step=int(gaps[0]) if len(gaps) == 1 else 1,
        limit=limit,
    )


def is_numbering(name: str, values: Array) -> bool:
    """Whether distinct whole numbers are no measurements, by their name, order or density."""
    if not are_whole(values) or np.abs(values).max() >= EXACT:
        return False
    ordered = np.sort(values)
    if (np.diff(ordered) == 0).any() or ordered[0] < 0:
        return False
    if NAMED_ID.search(spaced(name)):
        return True
    if NAMED_TIME.search(spaced(name)) or SECONDS[0] < ordered[0] % 1e12 < SECONDS[1]:
        return False
    is_dense = len(values) >= max(FEWEST_DENSE, DENSE * np.ptp(values))
    return is_dense or bool((np.diff(values) > 0).all())


def find_text_identifier(column: Series) -> Identifier | None:
    """Texts of one prefix and distinct whole numbers."""
    cells = containers.objects(column)
    first = re.fullmatch(r"([^\d\s]*)(\d+)", str(cells[0]))
    if first is None or len(set(cells)) < len(cells):
        return None
    prefix = first[1]
    found = [re.fullmatch(re.escape(prefix) + r"(\d{1,18})", str(cell)) for cell in cells]
    if not all(found):
        return None
    digits = [match[1] for match in found if match is not None]
    width = len(digits[0]) if len({*map(len, digits)}) == 1 else 0
    return Identifier(
        column.name,
        last=max(map(int, digits)),
        n_rows=len(cells),
        prefix=prefix,
        width=width,
        is_text=True,
    )


def is_code(column: Series, kind: str, values: Array) -> bool:
    """Whether whole numbers name something, by the column's name, and repeat."""
    name = spaced(str(column.name))
    is_key, is_named = NAMED_KEY.search(name), NAMED_CODE.search(name)
    if kind not in ("integer", "number") or not (is_key or is_named):
        return False
    known = values[~np.isnan(values)]
    n_codes, is_whole = len(np.unique(known)), are_whole(known)
    is_whole &= bool((np.abs(known) < EXACT).all())  # Larger ones are equal as floats alone.
    most = len(known) - 1 if is_key else min(len(known) / CODE_ROWS, MOST_CODES)
    return is_whole and 2 < n_codes <= most


def spaced(name: str) -> str:
    """A name in small letters, for the search of words; capitals inside of words are kept."""
    return name if re.search(r"[a-z](Id|ID|Code|Zip)$", name) else name.lower()
