"""Edits that keep a text's grammar: content words give way to words of their class, come or go."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from advaug.core.row_random import RowRandom
from advaug.core.tensor_fields import picked
from advaug.domains.sequences.bigrams import RaggedIndex
from advaug.domains.sequences.crossing import is_frozen, plain
from advaug.domains.sequences.grammar import Grammar
from advaug.domains.sequences.phrases import NOTHING
from advaug.domains.sequences.proposals import Proposals
from advaug.domains.sequences.spelling import NO_MARK
from advaug.domains.sequences.splicing import END, lengths, neighbours

KIND, TOKEN, TABLE = 1, 2, 3  # Streams of random numbers, as for edits of all kinds.
KINDS = (0.4, 0.7, 0.85)  # Shares up to phrase, word class and insertion; the rest are deletions.
SAFE = 0.5  # Share of the substitutions and insertions that are taken from the table of safe moves.
LOWER, UPPER = 0, 2


class Places(NamedTuple):
    """(batch, tries) each: the tokens about an edit, -1 for the ends of a row."""

    first: Tensor
    before: Tensor
    at: Tensor
    then: Tensor
    last: Tensor

    @classmethod
    def of(cls, x: Int[Tensor, "batch length"], start: Int[Tensor, "batch tries"]) -> "Places":
        marked = torch.nn.functional.pad(neighbours(x), (1, 0), value=END)
        return cls(*(marked.gather(1, start + k) for k in range(5)))


def grammatical_proposals(
    x: Int[Tensor, "batch length"],
    place: Float[Tensor, "batch tries"],
    random: RowRandom,
    grammar: Grammar,
    safe: RaggedIndex,
    *,
    size: int,
    keeps_length: bool,
) -> Proposals:
    """Random edits at `place` of the way through each row, and which of them keep the grammar.

    `safe`: what may stand for a token wherever it stands; `size`: how many tokens are known.
    """
    kind, lot, table = (random.at(one).uniform(place.shape[1]) for one in (KIND, TOKEN, TABLE))
    inserts, deletes = (kind >= KINDS[1]) & (kind < KINDS[2]), kind >= KINDS[2]
    count = lengths(x)[:, None]
    start = (place * (count + inserts.long())).long()
    held = Places.of(is_frozen(x, size).long().masked_fill(x == END, END), start)
    around = Places.of(plain(x, size), start)
    owner = torch.where(inserts, size, torch.where(around.at >= 0, around.at, size + 1))
    listed = safe.draw(owner, lot, -2)
    is_listed = ~deletes & (table < SAFE) & (listed > -2)
    ways = (
        ((kind < KINDS[0]) & ~is_listed, phrase_edits),
        ((kind >= KINDS[0]) & (kind < KINDS[1]) & ~is_listed, class_edits),
        (inserts & ~is_listed, insertions),
        (deletes, deletions),
    )
    edits = listed_edits(listed, inserts)
    for chosen, way in ways:
        some = way(Places(*(one[chosen] for one in around)), lot[chosen], grammar)
        for values, new in zip(edits, some, strict=True):
            values[chosen] = new
    removed, first, second, valid = edits
    put = (first >= 0).long() + (second >= 0)
    valid &= (removed < 1) | ((held.at == 0) & (around.at != END))
    valid &= (removed < 2) | (held.then == 0)
    valid &= (count - removed + put <= x.shape[1]) & (count - removed + put > 0)
    valid &= (removed == put) | (not keeps_length)
    return Proposals(start, removed, torch.stack([first, second], -1), put, valid)


Edits = tuple[Tensor, Tensor, Tensor, Tensor]  # Tokens removed, one or two new ones, whether valid.


def edits_of(removed: Tensor | int, first: Tensor, second: Tensor, valid: Tensor) -> Edits:
    return torch.as_tensor(removed, device=first.device).expand_as(first), first, second, valid


def listed_edits(listed: Tensor, inserts: Tensor) -> Edits:
    """What the table of safe moves says; -1: the token is left out."""
    nothing = torch.full_like(listed, NOTHING)
    return (~inserts).long(), listed.clone(), nothing, torch.ones_like(inserts)


def phrase_edits(around: Places, lot: Tensor, grammar: Grammar) -> Edits:
    """A phrase that means the same, where the corpus knows the pairs that this makes."""
    before, at, then, last = around[1:]
    phrases, seen = grammar.phrases, grammar.pairs.seen
    one, two = (phrases.draw(at, second, lot) for second in (torch.full_like(at, NOTHING), then))
    is_pair = (two[0] >= 0) & ((one[0] < 0) | (lot * 64 % 1 < 0.5))
    new = torch.where(is_pair, two[0], one[0])
    second = torch.where(is_pair, two[1], one[1])
    after = torch.where(is_pair, last, then)
    end = torch.where(second >= 0, second, new)
    valid = (new >= 0) & seen(before, new) & seen(end, after)
    is_contraction = is_pair | (second >= 0)
    valid &= ~is_contraction | is_of(grammar.spelling.is_word & ~grammar.phrases.pronoun, after)
    return edits_of(1 + is_pair.long(), new, second, valid)


def class_edits(around: Places, lot: Tensor, grammar: Grammar) -> Edits:
    """Another word of the same class, where the corpus knows what then stands on both sides."""
    at = around.at
    known = torch.where(at >= 0, at, len(grammar.similar.first) - 2)
    new = grammar.similar.draw(known, lot, -2)
    return edits_of(1, new, torch.full_like(at, NOTHING), is_class_edit(around, new, grammar))


def is_class_edit(around: Places, new: Tensor, grammar: Grammar) -> Bool[Tensor, "*shape"]:
    """Whether the corpus knows a word with both neighbours, and with two words on either side
    where there are such. Of a single word in capitals it only knows both pairs.
    """
    first, before, at, then, last = around
    seen, is_word = grammar.windows.seen, grammar.spelling.is_word
    left, right = seen(first, before, new), seen(new, then, last)
    is_capital = grammar.spelling.case > LOWER
    has_left, has_right = is_of(is_word, before), is_of(is_word, then)
    valid = (left | ~has_left) & (right | ~has_right) & (has_left | has_right)
    valid &= seen(before, new, then)
    is_acronym = is_of(grammar.spelling.case == UPPER, new) & has_left
    is_acronym &= is_of(grammar.spelling.case == LOWER, before) & ~is_of(is_capital, then)
    valid |= is_acronym & grammar.pairs.seen(before, new) & grammar.pairs.seen(new, then)
    valid &= is_of(grammar.spelling.is_content, at) & is_of(grammar.spelling.is_content, new)
    return valid & stands_alone(around, grammar)


def insertions(around: Places, lot: Tensor, grammar: Grammar) -> Edits:
    """A word that may come and go, where the corpus has it between these two words."""
    first, before, at, then = around[:4]
    new, seen = grammar.between(before, at, lot), grammar.windows.seen
    valid = (new >= 0) & (seen(first, before, new) | seen(new, at, then))
    valid &= can_be_modified(before, grammar) & is_of(grammar.spelling.is_word, at)
    return edits_of(0, new, torch.full_like(at, NOTHING), valid)


def deletions(around: Places, lot: Tensor, grammar: Grammar) -> Edits:
    """A word that may come and go is left out, where the corpus knows what then meets."""
    first, before, at, then, last = around
    seen = grammar.windows.seen
    valid = is_of(grammar.phrases.free, at) & grammar.pairs.seen(before, then)
    valid &= seen(first, before, then) | seen(before, then, last)
    valid &= can_be_modified(before, grammar) & is_of(grammar.spelling.is_word, then)
    nothing = torch.full_like(at, NOTHING)
    return edits_of(1, nothing, nothing, valid)


def can_be_modified(before: Tensor, grammar: Grammar) -> Bool[Tensor, "*shape"]:
    """Whether a word stands before the place, and does not deny what follows."""
    return is_of(grammar.spelling.is_word & ~grammar.phrases.denies, before)


def is_grammatical(
    x: Int[Tensor, "batch length"],
    new: Int[Tensor, "batch length tries"],
    grammar: Grammar,
    size: int,
) -> Bool[Tensor, "batch length tries"]:
    """Whether each of some tokens may stand in the place of each token of a row."""
    around = plain(torch.nn.functional.pad(neighbours(x), (1, 0), value=END), size)
    places = [around[:, k : k + x.shape[1], None].expand_as(new) for k in range(5)]
    return is_class_edit(Places(*places), new, grammar)


def stands_alone(around: Places, grammar: Grammar) -> Bool[Tensor, "*shape"]:
    """Whether a token is a word by itself, and no part of an address or of a compound."""
    is_mark = is_of(grammar.spelling.mark > NO_MARK, around.then) & is_spaced(around.last, grammar)
    opens = (around.before == END) | is_of(grammar.spelling.space > 0, around.at)
    return opens & (is_spaced(around.then, grammar) | is_mark)


def is_spaced(token: Int[Tensor, "*shape"], grammar: Grammar) -> Bool[Tensor, "*shape"]:
    """Whether white space stands before a token, or the row ends."""
    return (token == END) | is_of(grammar.spelling.space > 0, token)


def is_of(values: Bool[Tensor, " tokens"], token: Int[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
    """A property of known tokens; False for all others."""
    return picked(values, token.clamp_min(0)) & (token >= 0)
