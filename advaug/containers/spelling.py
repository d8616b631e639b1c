"""Texts of a file's column as numbers, booleans or moments, and cells spelt as the file spells its
own.

A column is read as something else than text only if *all* its cells are such, but for empty ones
and words for a missing value.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial, reduce
from operator import add
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

INTEGER = r"-?(?:0|[1-9]\d*)"
NUMBER = r"[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
MISSING = (
    *("NA", "N/A", "#N/A", "n/a", "na", "NaN", "nan", "NAN", "NaT", "<NA>", "NULL", "Null", "null"),
    *("None", "none", "NONE", "-", "--", "---", "?", ".", "..", "missing", "unknown"),
)
TRUTHS = (("True", "False"), ("true", "false"), ("TRUE", "FALSE"))
YES_AND_NO = (
    *({"yes", "no"}, {"y", "n"}, {"t", "f"}, {"true", "false"}, {"on", "off"}),
    *({"ja", "nein"}, {"oui", "non"}, {"si", "no"}, {"sí", "no"}, {"sim", "não"}),
)
CURRENCY = r"[$€£¥₹₽₩]|(?:USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|SEK|NOK|DKK|PLN|BRL|Rs\.?|R\$|kr\.?)"
UNIT = r"[A-Za-zµ°²³%‰/]{1,5}"
BLANKS = " \u00a0\u202f"
MINUS = "\u2212"  # the sign of typesetters, as spreadsheets and R write it
AFFIXED = (
    rf"(?P<open>\(?)(?P<sign>[+{MINUS}-]?)(?P<prefix>(?:{CURRENCY})[{BLANKS}]?)?"
    rf"(?P<inner>[+{MINUS}-]?)(?P<digits>[.,]?\d(?:[\d.,'{BLANKS}]*\d)?)(?P<after>-?)"
    rf"(?P<suffix>[{BLANKS}]?(?:{CURRENCY}|{UNIT}))?(?P<close>\)?)"
)
SIGN_FIRST = {  # marks of negative numbers -> the call that puts a minus before the digits
    "()": r".str.replace(r'^\((.*)\)$', r'-\1', regex=True)",
    "-": r".str.replace(r'^(.*)-$', r'-\1', regex=True)",
}
SIGNS = ("open", "sign", "inner", "after", "close")
MARKS = (  # between thousands, before decimals: the likelier first
    *(("", "."), (",", "."), ("", ","), (".", ","), (" ", ","), (" ", "."), ("'", "."), ("'", ",")),
    *(("\u00a0", ","), ("\u00a0", "."), ("\u202f", ","), ("\u202f", ".")),
)
LAKHS = r"(?:[1-9]\d?(?:,\d\d)*,\d{3}|0|[1-9]\d{0,2})(?:\.\d+)?"  # 12,34,567.00 of India
CODE = r"0\d+"

DAY, MONTH = r"\d{1,2}", r"[A-Z][a-z]{2}"
DATES = {  # format -> pattern
    "%Y-%m-%d": r"\d{4}-\d\d-\d\d",
    "%Y/%m/%d": rf"\d{{4}}/{DAY}/{DAY}",
    "%Y.%m.%d": rf"\d{{4}}\.{DAY}\.{DAY}",
    "%Y-%m": r"\d{4}-\d\d",
    "%Y%m%dT%H%M%S": r"\d{8}T\d{6}",
    "%a, %d %b %Y": rf"{MONTH}, {DAY} {MONTH} \d{{4}}",
    "%a %d %b %Y": rf"{MONTH} {DAY} {MONTH} \d{{4}}",
    "%a %d.%m.%Y": rf"{MONTH} {DAY}\.{DAY}\.\d{{4}}",
    "%d.%m.%Y": rf"{DAY}\.{DAY}\.\d{{4}}",
    "%d.%m.%y": rf"{DAY}\.{DAY}\.\d\d",
    "%m/%d/%Y": rf"{DAY}/{DAY}/\d{{4}}",
    "%d/%m/%Y": rf"{DAY}/{DAY}/\d{{4}}",
    "%m/%d/%y": rf"{DAY}/{DAY}/\d\d",
    "%d/%m/%y": rf"{DAY}/{DAY}/\d\d",
    "%d-%m-%Y": rf"{DAY}-{DAY}-\d{{4}}",
    "%m-%d-%Y": rf"{DAY}-{DAY}-\d{{4}}",
    "%d-%m-%y": rf"{DAY}-{DAY}-\d\d",
    "%m-%d-%y": rf"{DAY}-{DAY}-\d\d",
    "%d-%b-%Y": rf"{DAY}-{MONTH}-\d{{4}}",
    "%d-%b-%y": rf"{DAY}-{MONTH}-\d\d",
    "%d %b %Y": rf"{DAY} {MONTH} \d{{4}}",
    "%b %d, %Y": rf"{MONTH} {DAY}, \d{{4}}",
    "%d %B %Y": rf"{DAY} [A-Z][a-z]+ \d{{4}}",
    "%B %d, %Y": rf"[A-Z][a-z]+ {DAY}, \d{{4}}",
    "": "",
}
CLOCK = (
    r"(?P<clock>\d{1,2}:\d\d(?P<seconds>:\d\d)?)(?P<fraction>\.\d{1,9})?(?P<half> ?[AaPp][Mm])?"
    r"(?P<zone> ?(?:Z|UTC|[+-]\d\d:?\d\d))?"
)
ANY_DATE = r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})(?:[ T].*)?"
ISO = ("%Y-%m-%d", "%Y-%m", "")

UNPADDED_DATE = r"^(?:\d[-/. ]|[^: ]*[-/. ]\d[-/., ]|[^: ]*[-/.]\d(?: |T|$)|[A-Z][a-z]+ \d,)"
UNPADDED_HOUR = r"(?:^|[T ])\d:"
ASKED_FIRST = 50  # texts by which most wrong guesses are refuted
BLOCK = 100_000  # texts that are read at once: as Python objects they need much more memory
MOST_LEVELS = 50  # so many texts are levels of a category, which a long column is stored as
SHORT = (np.int16, np.int32)  # dtypes of long columns of whole numbers with twice the room
MOSTLY_DIFFERENT = 0.5  # the share of different texts from which a long column is read as it stands

Array = np.ndarray[Any, Any]
Spell = Callable[[pd.Series], pd.Series]  # cells of a dtype -> their texts


class Parsed(NamedTuple):
    """A column's cells, how to spell such cells, with all their digits too, and what was guessed.

    `guess` is empty where the file's cells say themselves what they are. `form` is the format of
    moments, as strptime takes it; "" where they are ISO.
    """

    cells: Any
    spell: Spell
    spell_exactly: Spell
    guess: str = ""
    form: str = ""


def parsed(texts: pd.Series, decimal: str = "", *, is_target: bool = False) -> Parsed:
    """Texts as a column of the narrowest dtype that fits all, and how to spell its cells.

    `decimal` is the file's decimal mark where it is known. Labels of a target are read only where
    they are plain numbers or True and False.
    """
    if len(texts) > BLOCK and texts.iloc[:BLOCK].nunique() > MOSTLY_DIFFERENT * BLOCK:
        return parsed_once(texts, np.ones(len(texts), int), decimal, is_target=is_target)
    places, different = factorized(texts)  # Each text is read once.
    counts = np.bincount(places, minlength=len(different))
    found = parsed_once(different, counts, decimal, is_target=is_target)
    cells = compact(found.cells) if len(texts) > BLOCK else found.cells
    return found._replace(cells=cells.take(places).set_axis(texts.index))


def factorized(texts: pd.Series) -> tuple[Array, pd.Series]:
    """The place of each text among the different ones, and these, as they come."""
    known: dict[str, int] = {}
    places = np.empty(len(texts), dtype=np.int32)
    for at in range(0, len(texts), BLOCK):
        own, different = pd.factorize(texts.iloc[at : at + BLOCK])
        found = [known.setdefault(text, len(known)) for text in np.asarray(different, object)]
        places[at : at + BLOCK] = np.array(found)[own]
    return places, pd.Series(list(known), dtype=texts.dtype)


def compact(cells: pd.Series) -> pd.Series:
    """The different cells of a long column in a dtype that needs few bytes for each of its rows."""
    if isinstance(cells.dtype, pd.StringDtype) and len(cells) <= MOST_LEVELS:
        return cells.astype("category")
    if cells.dtype == np.int64:
        fits = [kind for kind in SHORT if cells.abs().max() <= np.iinfo(kind).max // 2]
        return cells.astype(fits[0]) if fits else cells
    return cells


def widened(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame whose columns have the usual dtypes again."""
    usual: dict[Any, Any] = {}
    for name, dtype in frame.dtypes.items():
        if isinstance(dtype, pd.CategoricalDtype):
            usual[name] = dtype.categories.dtype
        elif dtype in SHORT:
            usual[name] = np.int64
    return frame.astype(usual) if usual else frame


def by_blocks(read: Callable[[pd.Series], pd.Series], texts: pd.Series) -> pd.Series:
    """What `read` makes of texts, of some at once."""
    if len(texts) <= BLOCK:
        return read(texts)
    starts = range(0, len(texts), BLOCK)
    return pd.concat([read(texts.iloc[at : at + BLOCK]) for at in starts])


def parsed_once(texts: pd.Series, counts: Array, decimal: str, *, is_target: bool) -> Parsed:
    """Different texts, and how often each stands in the column."""
    stripped = texts.str.strip()
    is_missing = stripped == ""
    if is_target:
        found = parsed_plainly(stripped, is_missing, (parsed_plain_numbers, parsed_truths))
        return found or as_texts(texts, texts == "")
    kinds = (partial(parsed_numbers, decimal=decimal), parsed_truths, parsed_moments)
    if found := parsed_plainly(stripped, is_missing, kinds):
        return found
    is_word = stripped.isin(MISSING)
    if is_word.any() and not (is_missing | is_word).all():
        found = parsed_plainly(stripped, is_missing | is_word, kinds)
        known = stripped[~(is_missing | is_word)]
        if found is None and set(known.str.lower().unique()) in YES_AND_NO:
            found = as_texts(texts, is_missing | is_word)
        if found is not None:
            usual = counts[is_word].argmax()
            word, n_empty = str(stripped[is_word].iloc[usual]), counts[is_missing].sum()
            return spelling_missing(found, word, bool(n_empty >= counts[is_word][usual]))
    return as_texts(texts, texts == "", guess_of_texts(stripped[~is_missing]))


def parsed_plainly(
    texts: pd.Series, is_missing: pd.Series, kinds: tuple[Callable[[pd.Series], Any], ...]
) -> Parsed | None:
    """The column by the first of the kinds that fits all texts that are there."""
    known = texts[~is_missing] if is_missing.any() else texts
    if not len(known):
        return Parsed(pd.Series(dtype=float).reindex(texts.index), as_text, as_text)
    for parse in kinds:
        if (found := parse(known)) is None:
            continue
        cells = found.cells
        if len(known) < len(texts):
            nullable = {"i": "Int64", "u": "UInt64", "b": "boolean"}
            cells = cells.astype(nullable.get(cells.dtype.kind, cells.dtype))
        return found._replace(cells=cells.reindex(texts.index))
    return None


def as_texts(texts: pd.Series, is_missing: pd.Series, guess: str = "") -> Parsed:
    return Parsed(texts.where(~is_missing), as_text, as_text, guess)


def spelling_missing(found: Parsed, word: str, is_empty: bool) -> Parsed:
    """A column in which a word stands for missing values, which new missing cells are spelt by."""

    def spelt(spell: Spell, cells: pd.Series) -> pd.Series:
        return spell(cells).fillna("" if is_empty else word)

    guess = f"{word!r} is read as missing" + (f", {found.guess}" if found.guess else "")
    return Parsed(
        found.cells, partial(spelt, found.spell), partial(spelt, found.spell_exactly), guess
    )


def guess_of_texts(known: pd.Series) -> str:
    """What to say of a column whose texts are codes of digits, or nearly all numbers."""
    if not len(known):
        return ""
    if known.str.fullmatch(r"\d+").all():
        codes = known[known.str.fullmatch(CODE)]
        why = f"with leading zeros such as {codes.iloc[0]!r}" if len(codes) else "of many digits"
        return f"numbers {why} are read as texts"
    if known.str.fullmatch(r"[+-]?\d+(?:[.,]\d+)?").all():
        return "its numbers are spelt in several ways and read as texts"
    if (is_date := known.str.fullmatch(ANY_DATE)).mean() > 0.5:
        read = pd.to_datetime(known, errors="coerce", format="mixed", utc=True)
        odd = known[~is_date | read.isna()]
        which = odd.iloc[0] if len(odd) else known.iloc[0]
        return f"dates of several forms, or of no calendar, are read as texts, such as {which!r}"
    odd = known[~known.str.fullmatch(AFFIXED)]
    if 0 < len(odd) < 0.5 * len(known):
        return f"read as texts, for {odd.iloc[0]!r} is no number"
    return ""


def all_match(texts: pd.Series, pattern: str) -> bool:
    """Whether each text is of the pattern; the first ones are asked before all others."""
    return bool(texts.iloc[:ASKED_FIRST].str.fullmatch(pattern).all()) and bool(
        texts.str.fullmatch(pattern).all()
    )


def as_text(cells: pd.Series) -> pd.Series:
    """Each cell as Python writes it, nothing for a missing one."""
    return spelt_by(str, cells)


def spelt_by(spell: Callable[[Any], Any], cells: pd.Series) -> pd.Series:
    """Each cell by a function, a missing one left missing."""
    return cells.astype(object).map(spell, na_action="ignore")


# ---------------------------------------------------------------- numbers


@dataclass(frozen=True)
class NumberStyle:
    """How a file writes the numbers of a column: 1.5, 1,5, 12,345.00, 7.5 %, -$3, (12.50).

    `negative` has the marks of a negative number around it: before the prefix, behind it, behind
    the digits and behind the suffix. `plus` stands before all others, if anything does.
    """

    thousands: str = ""
    decimal: str = "."
    prefix: str = ""
    suffix: str = ""
    negative: tuple[str, str, str, str] = ("-", "", "", "")
    plus: str = ""
    has_lakhs: bool = False
    n_digits: int = 0
    is_fixed: bool = True

    @property
    def is_plain(self) -> bool:
        """Whether it writes numbers as Python does."""
        return replace(self, n_digits=0, is_fixed=True) == NumberStyle()

    def spell(self, number: Any) -> str:
        if isinstance(number, int | np.integer):
            return self._dressed(f"{number:,d}")
        text = f"{round(number, self.n_digits) + 0.0:,.{self.n_digits}f}"
        return self._dressed(text if self.is_fixed else text.rstrip("0").rstrip("."))

    def spell_exactly(self, number: Any) -> str:
        text = str(number)
        return text if self.is_plain else self._dressed(text)

    def _dressed(self, text: str) -> str:
        is_negative = text.startswith("-")
        size = text[1:] if is_negative else text
        if self.has_lakhs and "," in size:
            rest, _, last = size.replace(",", "").partition(".")
            head = re.sub(r"(?<=\d)(?=(?:\d\d)+$)", ",", rest[:-3])
            size = f"{head},{rest[-3:]}" + (f".{last}" if last else "")
        marks = str.maketrans({",": self.thousands, ".": self.decimal})
        sized = size.translate(marks)
        outer, inner, after, end = self.negative if is_negative else (self.plus, "", "", "")
        return f"{outer}{self.prefix}{inner}{sized}{after}{self.suffix}{end}"


def parsed_numbers(texts: pd.Series, decimal: str = "") -> Parsed | None:
    """Whole numbers that fit 64 bits, or decimals with as many digits as the column has."""
    if all_match(texts, INTEGER):
        return whole_numbers(texts, NumberStyle(), "")
    if decimal != "," and all_match(texts, NUMBER):
        return decimals(texts, NumberStyle(plus=plus_of(texts.str[:1])), "")
    found = style_of(texts, decimal) or style_of(texts, "")
    if found is None:
        return decimals(texts, NumberStyle(), "") if all_match(texts, NUMBER) else None
    style, plain = found
    if all_match(plain, INTEGER):
        return whole_numbers(plain, style, texts.iloc[0])
    return decimals(plain, style, texts.iloc[0])


def parsed_plain_numbers(texts: pd.Series) -> Parsed | None:
    """Numbers that are spelt as Python spells them."""
    return parsed_numbers(texts) if all_match(texts, NUMBER) else None


def whole_numbers(plain: pd.Series, style: NumberStyle, example: str) -> Parsed | None:
    whole = by_blocks(pd.to_numeric, plain)
    if len(plain) > BLOCK and whole.dtype.kind != "i":
        whole = pd.to_numeric(plain)
    if whole.dtype.kind not in "iu" or plain.str.len().max() >= 21:
        return None
    guess = guess_of_number(example, whole.iloc[0]) if example else ""
    cells = pd.Series(whole.to_numpy(), plain.index)
    spell = partial(spelt_by, style.spell) if example else as_text
    return Parsed(cells, spell, spell, guess)


def decimals(plain: pd.Series, style: NumberStyle, example: str) -> Parsed:
    numbers = by_blocks(lambda some: some.astype(float), plain)  # exactly as Python reads them
    guess = guess_of_number(example, numbers.iloc[0]) if example else ""
    exactly = partial(spelt_by, style.spell_exactly)
    if plain.str.contains("[eE]").any():
        return Parsed(numbers, exactly, exactly, guess)
    point = plain.str.find(".")
    digits = (plain.str.len() - point - 1).where(point >= 0, 0)
    style = replace(style, n_digits=int(digits.max()), is_fixed=digits.nunique() == 1)
    return Parsed(numbers, partial(spelt_by, style.spell), exactly, guess)


def guess_of_number(text: str, value: Any) -> str:
    number = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{text!r} is read as the number {number}"


def style_of(texts: pd.Series, decimal: str) -> tuple[NumberStyle, pd.Series] | None:
    """How all texts spell numbers, and the same numbers as Python spells them; None if not all."""
    if not all_match(texts, AFFIXED):
        return None
    parts = texts.str.extract(f"^(?:{AFFIXED})$").fillna("")
    prefixes, suffixes = parts["prefix"].unique(), parts["suffix"].unique()
    digits, negative = parts["digits"], negative_of(parts)
    if (digits == "").any() or len(prefixes) > 1 or len(suffixes) > 1 or negative is None:
        return None
    for thousands, mark in MARKS:
        if decimal and mark != decimal:
            continue
        if not all_match(digits, pattern_of(thousands, mark)):
            continue
        if thousands and not digits.str.contains(re.escape(thousands)).any():
            continue
        if mark == "," and not thousands and not decimal and is_grouped(digits):
            continue
        sized = digits.str.replace(thousands, "", regex=False) if thousands else digits
        plain = sized.str.replace(mark, ".", regex=False)
        plain = ("-" + plain).where(is_negative(parts), plain)
        plus = plus_of(parts["sign"])
        return NumberStyle(thousands, mark, prefixes[0], suffixes[0], negative, plus), plain
    if all_match(digits, LAKHS):
        plain = digits.str.replace(",", "", regex=False)
        plain = ("-" + plain).where(is_negative(parts), plain)
        return NumberStyle(",", ".", prefixes[0], suffixes[0], negative, has_lakhs=True), plain
    return None


def is_negative(parts: pd.DataFrame) -> pd.Series:
    """Which numbers have a minus before or behind them, or stand in brackets."""
    marks: pd.Series = reduce(add, (parts[name] for name in SIGNS))
    return ~marks.isin(["", "+"])


def negative_of(parts: pd.DataFrame) -> tuple[str, str, str, str] | None:
    """The marks of negative numbers; None where they differ, or are only half of what they are."""
    of_negative = parts.loc[is_negative(parts), list(SIGNS)].drop_duplicates()
    if not len(of_negative):
        return NumberStyle.negative
    found = dict(of_negative.iloc[0])
    marks = found["open"] + found["sign"], found["inner"], found["after"], found["close"]
    is_whole = "".join(marks) in ("-", MINUS, "()")
    return marks if len(of_negative) == 1 and is_whole else None


def plus_of(signs: pd.Series) -> str:
    """A plus, if it stands before every number that is not negative."""
    is_plus = signs == "+"
    return "+" if is_plus.any() and (is_plus | signs.isin(["-", MINUS])).all() else ""


def pattern_of(thousands: str, mark: str) -> str:
    """Digits with a mark before the decimals and, if there is one, between thousands."""
    plain, after = r"(?:0|[1-9]\d*)", rf"(?:{re.escape(mark)}\d+)?"
    if not thousands:
        return rf"{plain}{after}|{re.escape(mark)}\d+"
    return rf"(?:[1-9]\d{{0,2}}(?:{re.escape(thousands)}\d{{3}})+|0|[1-9]\d{{0,2}}){after}"


def is_grouped(digits: pd.Series) -> bool:
    """Whether every comma could stand between thousands."""
    return bool(all_match(digits, pattern_of(",", ".")))


def speaks_for_comma(texts: pd.Series) -> bool:
    """Whether a column has numbers whose comma can only stand before decimals."""
    known = texts.str.strip()
    known = known[(known != "") & ~known.isin(MISSING)]
    if not len(known) or not known.str.contains(",").any():
        return False
    found = style_of(known, ",")
    return found is not None and style_of(known, ".") is None


# ---------------------------------------------------------------- booleans and moments


def parsed_truths(texts: pd.Series) -> Parsed | None:
    """True and False in one of three spellings."""
    for yes, no in TRUTHS:
        if texts.isin([yes, no]).all():
            spell = partial(spelt_by, {True: yes, False: no}.get)
            return Parsed(texts == yes, spell, spell)
    return None


@dataclass(frozen=True)
class MomentStyle:
    """How a file writes the moments of a column."""

    date: str
    between: str
    clock: str
    n_fraction: int
    is_fixed: bool
    is_padded: bool
    has_padded_hour: bool
    half: str
    zone: str

    def spell(self, moment: Any) -> str:
        stamp = pd.Timestamp(moment)
        if stamp.tzinfo is not None:
            stamp = stamp.tz_convert(offset_of(self.zone))
        date, clock = (stamp.strftime(form) if form else "" for form in (self.date, self.clock))
        date = date if self.is_padded else re.sub(r"(?<!\d)0(\d)(?!\d)", r"\1", date)
        clock = clock if self.has_padded_hour else re.sub(r"^0", "", clock)
        half = stamp.strftime("%p") if self.half else ""
        half = half.lower() if self.half.strip().islower() else half
        return f"{date}{self.between}{clock}{self._fraction(stamp)}{self._blank(half)}{self.zone}"

    def _blank(self, half: str) -> str:
        return f" {half}" if self.half.startswith(" ") else half

    def _fraction(self, stamp: pd.Timestamp) -> str:
        if not self.n_fraction:
            return ""
        digits = f"{stamp.microsecond * 1000 + stamp.nanosecond:09d}"[: self.n_fraction]
        digits = digits if self.is_fixed else digits.rstrip("0")
        return f".{digits}" if digits else ""


def offset_of(zone: str) -> Any:
    """The time zone that an offset such as +02:00 names."""
    return pd.Timestamp(f"2000-01-01T00:00{zone.strip()}").tzinfo


def parsed_moments(texts: pd.Series) -> Parsed | None:
    """Dates and times, all in one format."""
    first = texts.iloc[0]
    for form, pattern in DATES.items():
        parts = re.fullmatch(rf"(?P<date>{pattern})(?P<between>[T ]?)(?:{CLOCK})?", first)
        if parts is None or not (form or parts["clock"]):
            continue
        found = moments_of(texts, form, pattern, parts.groupdict(default=""))
        if found is not None:
            return found
    return None


def moments_of(texts: pd.Series, form: str, pattern: str, first: dict[str, str]) -> Parsed | None:
    """The moments of texts; None where they differ in form from the first, or are no moments."""
    clock = fractions = ""
    if first["clock"]:
        clock = ("%I" if first["half"] else "%H") + ":%M" + (":%S" if first["seconds"] else "")
        seconds, fractions = (r":\d\d", r"(?:\.\d{1,9})?") if first["seconds"] else ("", "")
        pattern += rf"{first['between']}\d{{1,2}}:\d\d{seconds}{fractions}"
    pattern += " ?[AaPp][Mm]" if first["half"] else ""
    pattern += r" ?(?:Z|UTC|[+-]\d\d:?\d\d)" if first["zone"] else ""
    if not all_match(texts, pattern):
        return None
    fraction = texts.str.extract(r":\d\d(\.\d+)", expand=False) if fractions else None
    digits = None if fraction is None else fraction.str.len().fillna(1) - 1
    n_fraction = 0 if digits is None else int(digits.max())
    half = " %p" if first["half"].startswith(" ") else "%p" if first["half"] else ""
    blank = " " if first["zone"].startswith(" ") else ""
    written = texts
    if digits is not None and n_fraction and (digits == 0).any():
        written = texts.str.replace(r"(:\d\d:\d\d)(?![\d.])", r"\1.0", regex=True)
    if first["zone"]:
        written = written.str.replace("Z|UTC", "+00:00", regex=True)
    whole = f"{form}{first['between']}{clock}{'.%f' if n_fraction else ''}{half}"
    whole += f"{blank}%z" if first["zone"] else ""
    read = partial(pd.to_datetime, format=whole, errors="coerce", utc=bool(first["zone"]))
    moments = by_blocks(read, written)
    if moments.isna().any():
        return None
    if "%y" in form:
        moments = in_one_century(moments)
    if not form:
        moments = moments - pd.Timestamp("1900-01-01") + pd.Timestamp("1970-01-01")
    style = MomentStyle(
        date=form,
        between=first["between"],
        clock=clock,
        n_fraction=n_fraction,
        is_fixed=digits is None or digits.nunique() == 1,
        is_padded=not (form and texts.str.contains(UNPADDED_DATE).any()),
        has_padded_hour=not (clock and texts.str.contains(UNPADDED_HOUR).any()),
        half=first["half"],
        zone=usual_zone(texts, first["zone"]),
    )
    spell = partial(spelt_by, style.spell)
    shown = str(moments.iloc[0]).removesuffix(" 00:00:00")
    guess = "" if form in ISO else f"{texts.iloc[0]!r} is read as {shown}"
    return Parsed(moments, spell, spell, guess, "" if form in ISO else whole)


def in_one_century(moments: pd.Series) -> pd.Series:
    """Moments whose years have two digits, so that they span as few years as possible.

    Python reads 68 as 2068 and 69 as 1969, which tears the years of birth of living people apart.
    """
    years = np.unique(moments.dt.year)
    gaps = np.diff(years)
    if not len(gaps) or gaps.max() <= 100 - (years[-1] - years[0]):
        return moments
    first = int(years[1 + int(gaps.argmax())])  # of the years that belong before the others
    earlier = moments - pd.DateOffset(years=100)
    return moments.where(moments.dt.year < first, earlier)


def usual_zone(texts: pd.Series, zone: str) -> str:
    """The offset that most texts end with; that of the first where all have it."""
    if not zone or texts.str.endswith(zone).all():
        return zone
    return str(texts.str.extract(r"( ?(?:Z|UTC|[+-]\d\d:?\d\d))$", expand=False).mode().iloc[0])


# ---------------------------------------------------------------- texts in the user's own frame


def mend_of_texts(texts: pd.Series, column: str) -> str:
    """How to write a column of texts, `column`, as the numbers or dates that they are; "" if none.

    Only pandas' own functions are named.
    """
    known = texts.dropna().astype(str).str.strip()
    known = known[(known != "") & ~known.isin(MISSING)]
    if not len(known):
        return ""
    if (found := parsed_moments(known)) is not None:
        form = f"{column}, format={found.form!r}" if found.form else column
        return f"its texts are dates, such as {known.iloc[0]!r}: pass pd.to_datetime({form})"
    if all_match(known, NUMBER):
        return f"its texts are numbers: pass pd.to_numeric({column}, errors='coerce')"
    if (spelt := style_of(known, "")) is None:
        return ""
    style, _ = spelt
    extra = "".join(dict.fromkeys(style.thousands + style.prefix + style.suffix))
    call = f"{column}.str.replace(r'[{re.escape(extra)}]', '', regex=True)" if extra else column
    call += SIGN_FIRST.get("".join(style.negative), "") if any(style.negative[2:]) else ""
    call += f".str.replace({MINUS!r}, '-')" if MINUS in style.negative else ""
    call += f".str.replace({style.decimal!r}, '.')" if style.decimal != "." else ""
    return (
        f"its texts are numbers, such as {known.iloc[0]!r}: pass pd.to_numeric({call}, "
        "errors='coerce')"
    )
