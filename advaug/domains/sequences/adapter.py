"""Sequences: one unit of radius is one edit, a token substituted, inserted, deleted or swapped.

Rows become numbers of tokens, padded with -1; what has not moved is handed back byte for byte.
"""

import math
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from functools import cached_property
from itertools import chain, repeat
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from advaug import containers
from advaug.core.domain import Capabilities
from advaug.core.features import Features
from advaug.core.finite import refuse_not_finite
from advaug.core.objectives import Logits
from advaug.core.parameters import Parameters
from advaug.core.short_repr import ShortRepr
from advaug.core.space import Space
from advaug.core.tensor_fields import picked
from advaug.domains.sequences.bigrams import Bigrams, RaggedIndex
from advaug.domains.sequences.biology import PAIRED_BASES, SHIPPED_MOVES, reverse_complement
from advaug.domains.sequences.defaults import DEFAULTS
from advaug.domains.sequences.features import NGramFeatures
from advaug.domains.sequences.grammar import Corpus
from advaug.domains.sequences.join_rules import JoinRules
from advaug.domains.sequences.reading import reading_traits
from advaug.domains.sequences.sequence_constraints import SequenceConstraints
from advaug.domains.sequences.space import EditSpace
from advaug.domains.sequences.tokenizer import (
    FIXED_PARTS,
    Tokenizer,
    cut_named,
    edges,
    with_leading_space,
    without_leading_space,
    words,
)
from advaug.sampling.changes import Changes
from advaug.sampling.defaults import Defaults
from advaug.sampling.domain import Adapter, Coding
from advaug.sampling.faults import Trait

PROVIDES = frozenset({"edits", "ordered"})
MOST_TOKENS = 2**22  # numbers of tokens that float32 holds, marks and all
FREE = ("bag", "explore")  # Recipes that edit freely, from any two rows.
NOT_READ = "whose texts are to be counted and not to be read"
ALIGNED = 200  # differing tokens up to which edits are told one by one


@dataclass
class SequenceAdapter(Adapter, Parameters):
    """One unit of radius = one edit: a token substituted, inserted, deleted, or two swapped.

    Takes lists, arrays and series of texts, and lists of tokens (texts or whole numbers).

    Parameters
    ----------
    tokens : {"auto", "word", "character", "url", "sql"}, int or callable
        What a text is made of: words and signs with the white space before them, characters, or
        so many characters (k-mers, end to end: 3 are codons). A callable cuts a text into pieces
        that join to it again. "auto" takes words where half of the rows have blanks inside, or
        four words and signs. "url" and "sql" cut by the grammar of addresses and statements: only
        words of a path or a query, or names and texts in quotes, give way to others of the corpus;
        hosts, keywords, numbers, signs and brackets stay where they are.
    moves : dict of token -> list of tokens, "synonymous_codons" or "similar_amino_acids"
        Safe moves, allowed wherever the token stands: synonyms of words, for example. "" as a key
        lists tokens that may be inserted anywhere (no-op events), "" in a list: may be left out.
        White space before a word is kept. Codons (``tokens=3``) of one amino acid and pairs of
        amino acids that score above 0 in BLOSUM62 ship as tables.
    only_listed_moves : bool
        Only the table's moves; no others are taken from the corpus. With "synonymous_codons" the
        translation of each row stays as it is.
    complement : {"dna", "rna"}, optional
        Rows are pieces of a double strand: where recipes cross rows, a third of them gets a block
        of its own from the other strand instead (an inversion), or all of it (the reverse
        complement).
    frozen : collection of tokens
        Tokens that no row loses.
    positions : sequence of int
        Places whose tokens stay (negative ones count from the end); rows then keep their lengths.
    protected : str, optional
        A regular expression: what it matches in a text is one token that stays (in token lists:
        each token in which it is found).
    max_edits : int
        Edits a row at most.
    max_edit_share : float in (0, 1]
        Edits a row at most, as a share of its tokens; one is always allowed.
    max_tokens : int
        Tokens of a row that are looked at; a longer row keeps its end as it is.

    See Also
    --------
    advaug.adapters.TabularAdapter :
        One unit of radius = one robust standard deviation of a number, or one flip of a category.

    Examples
    --------
    >>> from advaug.adapters import SequenceAdapter
    >>> coding = SequenceAdapter(frozen=["now"]).fit(["call me now", "do not call"])
    >>> coding.encode(["call me now"])
    tensor([[0., 1., 8.]])
    """

    tokens: Any = "auto"
    moves: Mapping[Any, Iterable[Any]] | Literal["synonymous_codons", "similar_amino_acids"] = (
        field(default_factory=dict)
    )
    only_listed_moves: bool = False
    complement: Literal["dna", "rna"] | None = None
    frozen: Any = ()
    positions: Any = ()
    protected: str | None = None
    max_edits: int = 20
    max_edit_share: float = 0.25
    max_tokens: int = 1024

    @property
    def provides(self) -> Capabilities:
        return PROVIDES

    def accepts(self, X: Any) -> bool:
        """Texts, lists of texts, and lists of whole numbers of unequal length."""
        return containers.is_sequences(X)

    def check(self, X: Any) -> Any:
        """X; ValueError naming the first row that is neither a text nor a list of tokens."""
        containers.sequences(X)
        return X

    def fit(self, X: Any) -> "SequenceCoding":
        """Learn the vocabulary and which tokens are neighbours; errors name row or token."""
        self._check()
        rows = containers.sequences(X)
        containers.refuse_no_tokens(rows)
        cutter = Tokenizer(
            cut_named(self.tokens, rows),
            re.compile(self.protected) if self.protected else None,
            frozenset(self.frozen),
            tuple(self.positions),
        )
        cut = [cutter(row) for row in rows]
        known = dict.fromkeys(chain.from_iterable(tokens[: self.max_tokens] for tokens, _ in cut))
        is_text = bool(rows) and isinstance(rows[0], str)
        moves = dict(moves_of(self.moves, known))
        safe = table_of(moves, list(known), is_spaced=is_text and cutter.cut is words)
        known |= dict.fromkeys(new for _, new in safe if new is not None)
        partners = {token: self._partner(token) for token in known}
        known |= dict.fromkeys(new for new in partners.values() if new is not None)
        if len(known) > MOST_TOKENS:
            raise ValueError(
                f"X has {len(known)} different tokens, more than {MOST_TOKENS}: cut rows into "
                "smaller tokens, e.g. SequenceAdapter(tokens='character')"
            )
        counts = {len(tokens) for tokens, _ in cut}
        has_grammar = cutter.cut in FIXED_PARTS
        is_aligned = len(counts) == 1 and cutter.cut is not words and not has_grammar
        has_corpus = is_text and cutter.cut is words and bool(known) and not self.only_listed_moves
        index = {token: number for number, token in enumerate(known)}
        flat = [-1]
        for tokens, _ in [] if self.only_listed_moves else cut:
            flat += [*map(index.__getitem__, tokens[: self.max_tokens]), -1]
        stream = torch.from_numpy(np.array(flat))
        return SequenceCoding(
            cutter=cutter,
            words=tuple(known),
            index=index,
            width=max(min(max(counts, default=0), self.max_tokens), 1),
            is_aligned=is_aligned,
            is_text=is_text,
            edits=replace(
                self._edits(stream, cut, index, safe, keeps_length=is_aligned or has_grammar),
                is_aligned=is_aligned,
                complement=None
                if self.complement is None
                else torch.tensor([index.get(self._partner(token), -1) for token in index]),
                join_rules=join_rules_of(index, cutter) if is_text else None,
                corpus=Corpus(stream, tuple(index)) if has_corpus else None,
            ),
        )

    def _partner(self, token: Any) -> str | None:
        """The token on the other strand, if it has one and is no shorter than others."""
        if self.complement is None or not isinstance(token, str):
            return None
        if isinstance(self.tokens, int) and len(token) != self.tokens:
            return None
        return reverse_complement(token, self.complement)

    def _edits(
        self,
        stream: Tensor,
        cut: list[Any],
        index: dict[Any, int],
        safe: list[Any],
        *,
        keeps_length: bool,
    ) -> EditSpace:
        """The space of edits between the rows that were cut: `stream` is all their tokens."""
        size, tied = len(index), [False]
        for _, held in [] if self.only_listed_moves else cut:
            tied += [*held[: self.max_tokens], False]
        owner = [size if token is None else index[token] for token, _ in safe]
        values = [-1 if new is None else index[new] for _, new in safe]
        owners, lists = (torch.tensor(numbers, dtype=torch.long) for numbers in (owner, values))
        return EditSpace(
            bigrams=Bigrams.of(stream, torch.from_numpy(np.array(tied)), size),
            safe=RaggedIndex.of(owners, lists, size + 2),
            most=self.max_edits,
            share=self.max_edit_share,
            keeps_length=keeps_length or bool(self.positions),
            crosses=not self.only_listed_moves,
        )

    def _check(self) -> None:
        for name in ("frozen", "positions"):
            if isinstance(getattr(self, name), str | int):
                value = getattr(self, name)
                raise TypeError(f"{name} must be a list: write {name}=[{value!r}]")
        if self.complement not in (None, *PAIRED_BASES):
            raise ValueError(
                f"complement must be None, {' or '.join(map(repr, PAIRED_BASES))}, got "
                f"{self.complement!r}"
            )
        for token, fitting in moves_of(self.moves, ()):
            if isinstance(fitting, str) or not isinstance(fitting, Iterable):
                raise TypeError(
                    f"moves[{token!r}] must be a list of tokens: write {token!r}: [{fitting!r}]"
                )
        try:
            re.compile(self.protected or "")
        except (re.error, TypeError) as error:
            raise ValueError(
                f"protected must be a regular expression, got {self.protected!r}: {error}"
            ) from error
        numbers = (self.max_tokens, self.max_edits, self.max_edit_share)
        if not all(isinstance(n, Real) and n == n for n in numbers):
            raise TypeError(
                f"max_tokens, max_edits and max_edit_share must be numbers, got {numbers}"
            )
        if self.max_tokens < 1 or self.max_edits < 1 or not 0 < self.max_edit_share <= 1:
            raise ValueError(
                "max_tokens and max_edits must be 1 or more and max_edit_share in (0, 1], got "
                f"max_tokens={self.max_tokens}, max_edits={self.max_edits}, "
                f"max_edit_share={self.max_edit_share}"
            )


def moves_of(moves: Any, known: Iterable[Any]) -> Iterable[tuple[Any, Any]]:
    """The entries of the table of safe moves; TypeError for what is no table and names none."""
    if isinstance(moves, str) and moves in SHIPPED_MOVES:
        return SHIPPED_MOVES[moves](known).items()
    if not isinstance(moves, Mapping):
        given = repr(moves) if isinstance(moves, str) else type(moves).__name__
        names = ", ".join(map(repr, SHIPPED_MOVES))
        raise TypeError(f"moves must be a dict of token to tokens, or one of {names}; got {given}")
    return moves.items()


def table_of(
    moves: Mapping[Any, Iterable[Any]], known: list[Any], *, is_spaced: bool
) -> list[tuple[Any, Any]]:
    """(token, what may stand for it) with the white space of each; None: nothing at all.

    `is_spaced`: tokens are words, before which there is a blank.
    """
    pairs = [
        (None, f" {without_leading_space(new)}" if is_spaced else new) for new in moves.get("", ())
    ]
    for token in known if moves else ():
        fitting = moves.get(without_leading_space(token), ())
        pairs += [(token, None if new == "" else with_leading_space(new, token)) for new in fitting]
    return pairs


def join_rules_of(index: Mapping[Any, int], cutter: Tokenizer) -> JoinRules:
    """Which tokens run together where they are joined, and their forms with a blank before them."""
    sides = torch.tensor(edges(list(index), cutter.cut), dtype=torch.bool).view(-1, 2)
    is_spaced = cutter.cut is words
    spaced = [index.get(f" {token}", -1) if is_spaced else -1 for token in index]
    return JoinRules(sides[:, 0], sides[:, 1], torch.tensor(spaced, dtype=torch.long))


@dataclass(frozen=True, repr=False)
class SequenceCoding(ShortRepr, Coding):
    """What `SequenceAdapter` has learnt: tokens and their numbers, and the space of edits."""

    cutter: Tokenizer
    words: tuple[Any, ...]
    index: dict[Any, int]
    width: int  # tokens of the longest row, or as many as are looked at
    is_aligned: bool  # all rows are of one length, and places in them mean something
    is_text: bool
    edits: EditSpace

    def encode(self, X: Any) -> Tensor:
        """(rows, width) float32: numbers of tokens, more by their count where frozen, -1 behind.

        A token at place k that fit has not seen is -2 - 2 k, and -3 - 2 k where it is frozen.
        """
        rows = containers.sequences(X)
        containers.refuse_no_tokens(rows)
        tokens: list[int] = []
        get, held, counts = self.index.get, [], []
        for row in rows:
            cut, fixed = self.cutter(row)
            tokens += map(get, cut[: self.width], repeat(-1))
            held += fixed[: self.width]
            counts.append(min(len(cut), self.width))
        x = np.full((len(rows), self.width), -1, np.float32)
        is_token = np.arange(self.width) < np.array(counts)[:, None]
        place = np.nonzero(is_token)[1]
        numbers, is_held = np.array(tokens, np.int64), np.array(held, dtype=bool)
        unseen = -2 - 2 * place - is_held
        x[is_token] = np.where(numbers < 0, unseen, numbers + len(self.words) * is_held)
        return torch.from_numpy(x)

    def native(self, x: Tensor) -> Tensor:
        """Whole numbers (`token_numbers`), 0 for padding and for unseen tokens."""
        return self.token_numbers.to(x.device)[self.edits.plain(x).long().clamp_min(-1) + 1]

    @cached_property
    def token_numbers(self) -> Tensor:
        """What a net reads: 0 for padding, then a number for each token of `words`.

        Tokens that are whole numbers are their own; others are numbered from 1 on.
        """
        if all(isinstance(word, Integral) and int(word) >= 0 for word in self.words):
            return torch.tensor([0, *map(int, self.words)])
        return torch.arange(len(self.words) + 1)

    @property
    def provides(self) -> Capabilities:
        return PROVIDES

    @property
    def lists_changes(self) -> bool:
        return True

    @property
    def why_unmoved(self) -> str:
        letters = " or edit letters, SequenceAdapter(tokens='character')," if self.is_text else ""
        return (
            "of the edits that were tried, those that the other rows or a list allow, none makes "
            "the prediction less sure. Allow more: list tokens that may stand for others, "
            f"SequenceAdapter(moves={{token: [others]}}),{letters} or try more: raise radius, or "
            "attack=Greedy(patience=20, n_candidates=60)"
        )

    @property
    def caveat(self) -> str:
        what = "text" if self.is_text else "sequence"
        return f"No check says that a {what} makes sense: read some of them"

    def keys(self, X: Any) -> Iterator[Hashable]:
        return (row if isinstance(row, str) else tuple(row) for row in containers.sequences(X))

    def against_repeats(self, recipe: str) -> str:
        if recipe == "interpolate":
            return "or provide more real rows"
        moves = "list tokens that may stand for others, SequenceAdapter(moves={token: [others]})"
        return f"or {moves}" if recipe in FREE else f"{moves}, or take recipe='bag', {NOT_READ}"

    def defaults(self) -> Defaults:
        return DEFAULTS

    def check_net(self, logits: Logits, rows: Tensor) -> None:
        """ValueError if the net has no vector for the largest number of a token."""
        tokens = int(self.token_numbers.max())
        try:
            with torch.no_grad():
                logits(torch.full_like(rows[:1], tokens))
        except IndexError as error:
            raise ValueError(
                "surrogate: its torch.nn.Embedding is too small, tokens are numbered 0 (padding "
                f"and unseen ones) to {tokens}: make it torch.nn.Embedding({tokens + 1}, ...), or "
                "fit the adapter on the rows that the net was trained on"
            ) from error

    def features(self, x: Tensor, generator: torch.Generator) -> Features:
        """N-grams of tokens, and of the letters in words, in a few hundred columns."""
        return NGramFeatures.of(
            x, self.words, generator, is_text=self.is_text, is_aligned=self.is_aligned
        )

    def space(self, norm: float = math.inf) -> Space:
        """The space of edits; it has no norm."""
        return self.edits

    def decode(self, moved: Tensor, seed: Tensor, rows: Any) -> Any:
        """Copies of the rows; those that were edited are written anew from their tokens."""
        refuse_not_finite(moved)
        new = containers.sequences(rows)
        edited = (moved != seed).any(1).nonzero()[:, 0]
        goes_on = seed[edited, -1] != -1
        if self.is_text:
            own = picked(self.letters, self.edits.plain(seed[edited].long()).clamp_min(-1) + 1)
            goes_on &= own.sum(1) != torch.tensor([len(new[place]) for place in edited.tolist()])
        rows_of_numbers = zip(moved[edited].long().tolist(), goes_on.tolist(), strict=True)
        for place, (numbers, is_long) in zip(edited.tolist(), rows_of_numbers, strict=True):
            new[place] = self._written(numbers, new[place], is_long)
        return containers.put_sequences(rows, new)

    @cached_property
    def letters(self) -> Int[Tensor, " tokens"]:
        """How many letters each token of texts has, after a 0 for what is none of them."""
        return torch.tensor([0, *map(len, self.words)])

    def _written(self, numbers: list[int], row: Any, is_long: bool) -> Any:
        """A row of the same kind from numbers of tokens; what was not looked at stays."""
        words, size = self.words, len(self.words)
        own = self.cutter(row)[0] if is_long or min(numbers) < -1 else []
        tokens = [
            words[number % size] if number >= 0 else own[-number // 2 - 1]
            for number in numbers
            if number != -1
        ]
        return containers.like_row(row, tokens + own[self.width :])

    def constraints(self, rules: Any, X: Any) -> SequenceConstraints:
        """Rules of order and of paired marks, found or written, and callables."""
        hint = (
            ", e.g. lambda rows: [len(row) < 9 for row in rows]; tokens that must stay "
            "are SequenceAdapter(frozen=[...], protected='a regular expression')"
        )
        return SequenceConstraints.of(rules, X, self.cutter, self.words, hint)

    def traits(self, real_rows: Any, own_rows: Any, new_rows: Any, seed: int) -> list[Trait]:
        """How rows read: for two language models that were trained on halves of the real rows."""
        corpus = self.edits.corpus
        if corpus is None:
            return []
        real, own, new = (self.encode(rows) for rows in (real_rows, own_rows, new_rows))
        chance = torch.Generator().manual_seed(seed)
        return reading_traits(real, own, new, corpus, chance)

    def changes(self, before: Any, after: Any) -> list[Changes]:
        """For each row its edits from left to right: place -> (tokens before, tokens after)."""
        old = containers.sequences(before)
        cut = {id(row): row for row in old}  # Many rows have one parent.
        tokens = {place: self.cutter(row)[0] for place, row in cut.items()}
        pairs = zip(old, containers.sequences(after), strict=True)
        return [self._edits_of(a, tokens[id(a)], b) for a, b in pairs]

    def _edits_of(self, before: Any, a: list[Any], after: Any) -> Changes:
        b = self.cutter(after)[0]
        return {
            f"token {i}": (containers.like_row(before, a[i:j]), containers.like_row(after, b[k:m]))
            for kind, i, j, k, m in opcodes(a, b)
            if kind != "equal"
        }

    def compared(self, before: Any, after: Any) -> list[tuple[str, str, str]]:
        """Stretches of two rows as text: ("equal" or another word, before, after)."""
        a, b = self.cutter(before)[0], self.cutter(after)[0]
        blank = "" if isinstance(before, str) else " "

        def text(tokens: list[Any]) -> str:
            return "".join(f"{token}{blank}" for token in tokens)

        return [(kind, text(a[i:j]), text(b[k:m])) for kind, i, j, k, m in opcodes(a, b)]


def opcodes(a: list[Any], b: list[Any]) -> list[tuple[str, int, int, int, int]]:
    """What turns tokens a into b, as difflib says it; long stretches that differ are one edit."""
    head = alike(a, b)
    tail = alike(a[head:][::-1], b[head:][::-1])
    i, k = len(a) - tail, len(b) - tail
    whole: list[tuple[str, int, int, int, int]] = [("equal", 0, head, 0, head)] if head else []
    if max(i, k) - head > ALIGNED:
        whole.append(("replace", head, i, head, k))
    elif set(a[head:i]).isdisjoint(b[head:k]):
        kind = "insert" if head == i else "delete" if head == k else "replace"
        whole += [(kind, head, i, head, k)] if (head, head) != (i, k) else []
    else:
        middle = SequenceMatcher(None, a[head:i], b[head:k], autojunk=False).get_opcodes()
        whole += [(kind, head + p, head + q, head + r, head + s) for kind, p, q, r, s in middle]
    return whole + ([("equal", i, len(a), k, len(b))] if tail else [])


def alike(a: list[Any], b: list[Any]) -> int:
    """How many tokens both begin with."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((k for k, (one, other) in pairs if one != other), min(len(a), len(b)))
