"""Rows cut into tokens that join to the row again, byte for byte.

A word carries the white space before it, so that a row is the sum of its tokens; a protected span
is one token.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from itertools import islice
from typing import Any

from advaug.core.storable import storable

# Blanks and a word (with its apostrophes), blanks and one other sign, or the blanks of the end.
WORD = re.compile(r"\s*\w+(?:['\u2019]\w+)*|\s*[^\w\s]|\s+")
BLANK = re.compile(r"\s*")
LETTER = re.compile(r"[\w'\u2019]|$")  # what runs into a word before it (nothing does, too),
EDGE = re.compile(r"[\w'\u2019\s]|$")  # or into what comes behind it
# Scheme and host of an address; then a character spelt as a number, letters, digits, a sign.
ADDRESS = re.compile(
    r"^(?:[A-Za-z][\w+.-]*:(?://)?)?[^/?#\s]*|%[0-9A-Fa-f]{2}|[^\W\d_]+|\d+|\s+|.", re.DOTALL
)
# White space and: a text or name in quotes, a comment, a number, a word, a sign.
SQL = re.compile(
    r"\s*(?:'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|--[^\n]*|/\*.*?\*/|\d[\w.]*|\w+|[^\w\s])|\s+",
    re.DOTALL,
)
NAME = re.compile(r"[^\W\d]\w*|'.*'|\".*\"|`.*`", re.DOTALL)
MANY = 4  # words and signs in a text without blanks that is read by the word

Cut = Callable[[str], Sequence[str]]


@storable
def words(text: str) -> list[str]:
    """Words and signs, each with the white space before it.

    Examples
    --------
    >>> from advaug.domains.sequences.tokenizer import words
    >>> words("Don't go,  now ")
    ["Don't", ' go', ',', '  now', ' ']
    """
    return WORD.findall(text)


def are_words(text: str) -> bool:
    """Whether a text has blanks inside, or many words and signs (an address, a path)."""
    return len(text.split()) > 1 or len(words(text)) >= MANY


@storable
def characters(text: str) -> list[str]:
    """Its characters."""
    return list(text)


@storable
def kmers(text: str, k: int) -> list[str]:
    """Pieces of k characters from the first on; the last may be shorter."""
    return [text[at : at + k] for at in range(0, len(text), k)]


@storable
def url_parts(text: str) -> list[str]:
    """The scheme with the host, then letters, digits, signs and "%20" and its like.

    Examples
    --------
    >>> from advaug.domains.sequences.tokenizer import url_parts
    >>> url_parts("http://a.b:80/my%20page.html?id=7")
    ['http://a.b:80', '/', 'my', '%20', 'page', '.', 'html', '?', 'id', '=', '7']
    """
    return [part for part in ADDRESS.findall(text) if part]


@storable
def sql_parts(text: str) -> list[str]:
    """Words, numbers, signs, comments and what stands in quotes, with the white space before it.

    Examples
    --------
    >>> from advaug.domains.sequences.tokenizer import sql_parts
    >>> sql_parts("SELECT a FROM t WHERE b = 'it''s'")
    ['SELECT', ' a', ' FROM', ' t', ' WHERE', ' b', ' =', " 'it''s'"]
    """
    return SQL.findall(text)


@storable
def no_url_words(parts: Sequence[str]) -> list[bool]:
    """Which parts of an address are no words of its path, query or fragment."""
    return [k == 0 or not part.isalpha() for k, part in enumerate(parts)]


@cache
def sql_keywords() -> frozenset[str]:
    """The words that ship."""
    text = (files("advaug") / "data" / "sql_keywords.txt").read_text(encoding="utf-8")
    return frozenset(text.split())


@storable
def no_sql_names(parts: Sequence[str]) -> list[bool]:
    """Which parts of a statement are neither names nor texts in quotes."""
    bare = [part.strip() for part in parts]
    return [part.lower() in sql_keywords() or not NAME.fullmatch(part) for part in bare]


# Ways to cut texts that have a grammar of their own, and what of it stays.
FIXED_PARTS: dict[Cut, Callable[[Sequence[str]], list[bool]]] = {
    url_parts: no_url_words,
    sql_parts: no_sql_names,
}


NAMED_CUTS = {"word": words, "character": characters, "url": url_parts, "sql": sql_parts}


def cut_named(tokens: Any, rows: Sequence[Any]) -> Cut:
    """The way to cut texts: a name of NAMED_CUTS, a number of characters or a callable."""
    if tokens == "auto":
        some = [are_words(row[:4000]) for row in islice(rows, 1000) if isinstance(row, str)]
        tokens = "word" if 2 * sum(some) >= len(some) else "character"
    if isinstance(tokens, str) and tokens in NAMED_CUTS:
        return NAMED_CUTS[tokens]
    if isinstance(tokens, int) and not isinstance(tokens, bool) and tokens > 0:
        return partial(kmers, k=tokens)
    if callable(tokens):
        return partial(joined, tokens)
    raise ValueError(
        f"tokens must be 'auto', {', '.join(map(repr, NAMED_CUTS))}, a number of characters of 1 "
        f"or more, or a callable from a text to its pieces, got {tokens!r}"
    )


@storable
def joined(cut: Cut, text: str) -> list[str]:
    """What a callable has cut; ValueError if the pieces do not join to the text."""
    pieces = [piece for piece in cut(text) if piece]
    if "".join(pieces) == text:
        return pieces
    raise ValueError(
        f"tokens: the pieces of {text[:60]!r} do not join to it, they make "
        f"{''.join(map(str, pieces))[:60]!r}: let no character get lost, white space included"
    )


def edges(tokens: Sequence[Any], cut: Any) -> list[tuple[bool, bool]]:
    """For each token whether it stays by itself behind any other, and before any other.

    Words run together where letters meet, k-mers behind a shorter one; what else is cut does not.
    """
    if cut is words:
        return [(not LETTER.match(token[:1]), not EDGE.match(token[-1:])) for token in tokens]
    k = cut.keywords.get("k") if isinstance(cut, partial) else None
    return [(k is None, k is None or len(token) == k) for token in tokens]


@dataclass(frozen=True)
class Tokenizer:
    """Cuts a row, and says which of its tokens are frozen."""

    cut: Cut
    protected: re.Pattern[str] | None
    frozen: frozenset[Any]
    positions: tuple[int, ...]

    def __call__(self, row: Any) -> tuple[list[Any], list[bool]]:
        """The tokens of a row, and whether each is frozen."""
        if isinstance(row, str):
            pieces, held = self._text(row)
        else:
            pieces = list(row)
            held = [False] * len(pieces)
            if self.protected is not None:
                held = [self.protected.search(str(piece)) is not None for piece in pieces]
        if self.frozen:
            held = [
                h or without_leading_space(piece) in self.frozen
                for h, piece in zip(held, pieces, strict=True)
            ]
        for position in self.positions:
            if -len(held) <= position < len(held):
                held[position] = True
        return pieces, held

    def _text(self, text: str) -> tuple[list[Any], list[bool]]:
        if self.protected is None:
            pieces = list(self.cut(text))
            return pieces, self._fixed(pieces)
        pieces, held, at = [], [], 0
        for match in self.protected.finditer(text):
            if match.end() > match.start():
                free = self.cut(text[at : match.start()])
                pieces += [*free, match.group()]
                held += [*self._fixed(free), True]
                at = match.end()
        rest = self.cut(text[at:])
        return [*pieces, *rest], [*held, *self._fixed(rest)]

    def _fixed(self, pieces: Sequence[str]) -> list[bool]:
        """Which pieces of a text the grammar of its kind fixes."""
        fixed = FIXED_PARTS.get(self.cut)
        return [False] * len(pieces) if fixed is None else fixed(pieces)


def without_leading_space(token: Any) -> Any:
    """A token without the white space before it, unless it is nothing else."""
    return token.lstrip() or token if isinstance(token, str) else token


def with_leading_space(token: Any, by: Any) -> Any:
    """A token with the white space that stands before another one."""
    if not isinstance(token, str) or not isinstance(by, str) or without_leading_space(by) == by:
        return token
    return BLANK.match(by).group() + token  # type: ignore[union-attr]
