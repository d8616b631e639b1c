"""Two texts cross at the borders of their sentences and clauses."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from advaug.core.row_random import RowRandom
from advaug.domains.sequences.crossing import is_frozen, plain
from advaug.domains.sequences.grammar import CLAUSE, NO_MARK, SENTENCE, Grammar, window_key
from advaug.domains.sequences.splicing import END, keys_of, lengths, spliced

CUTS = 32  # Pairs of blocks that are tried.
LEAST_CLAUSE = 4  # Tokens that a clause must have to be exchanged, with its mark.
FEW_WORDS = 2  # Content words of a block that may be about anything.
REPEATED = 4  # Words in a row that a new row may not hold twice.


class Blocks(NamedTuple):
    """(batch, CUTS) each: where blocks begin and end in either row."""

    cut: Int[Tensor, "batch cuts"]
    end: Int[Tensor, "batch cuts"]
    start: Int[Tensor, "batch cuts"]
    stop: Int[Tensor, "batch cuts"]


class Read(NamedTuple):
    """Rows with what is read of them; token k stands behind border k."""

    x: Int[Tensor, "batch length"]
    tokens: Int[Tensor, "batch length"]  # Plain ones, -1 for those that are not known.
    length: Int[Tensor, "batch 1"]
    border: Int[Tensor, "batch longer"]
    before: Int[Tensor, "batch longer"]  # The form of the token before each border,
    function: Int[Tensor, "batch longer"]  # the function word behind it,
    space: Int[Tensor, "batch longer"]  # and its white space.
    balance: Int[Tensor, "batch longer kinds"]  # Brackets that are open.
    person: Int[Tensor, "batch longer persons"]  # Pronouns of each kind before each border,
    links: Bool[Tensor, "batch longer"]  # and whether a linking word stands behind it.
    content: Int[Tensor, "batch length"]  # The forms of content words, -1 for other tokens,
    is_rare: Bool[Tensor, "batch length"]  # and which of these words are not common.
    held: Int[Tensor, "batch longer"]  # How many frozen tokens stand before it,
    tied: Int[Tensor, "batch longer"]  # or tokens that no other row may take over.


def clauses_crossed(
    seed: Float[Tensor, "batch length"],
    other: Float[Tensor, "batch length"],
    share: Float[Tensor, " batch"],
    grammar: Grammar,
    size: int,
) -> Float[Tensor, "batch length"]:
    """Each seed with sentences or clauses of the other row in place of some of its own.

    Of some pairs of blocks that fit, whole sentences come first, then those whose share of the
    seed is nearest `share`. What stands first or last in its row stays so; brackets and quotes are
    closed within a block; blocks hold no frozen token; a pronoun such as "she" stands only beside
    another one. Where no pair fits, where the block says more than a few words and shares none with
    the rest of the seed, or where the row would repeat itself, the seed stays. The random numbers
    come from the rows themselves.
    """
    a, b = (read(rows.long(), grammar, size) for rows in (seed, other))
    random = RowRandom(keys_of(seed) * 3 + keys_of(other) * 5 + keys_of(share[:, None]))
    blocks = drawn_blocks(a, b, random)
    fits = fit(a, b, blocks)
    off = ((blocks.end - blocks.cut) / a.length.clamp_min(1) - share[:, None]).abs()
    off -= has_whole_sentences(a, blocks).to(off)
    best = off.masked_fill(~fits, torch.inf).argmin(1, keepdim=True)
    cut, end, start, stop = (one.gather(1, best) for one in blocks)
    at = torch.arange(b.x.shape[1], device=a.x.device)
    block = b.x.gather(1, (start + at).clamp_max(b.x.shape[1] - 1))
    child = spliced(a.x, cut[:, 0], (end - cut)[:, 0], block, (stop - start)[:, 0])
    moves = fits.gather(1, best)[:, 0] & (share > 0)
    moves &= keeps_topic(a, b, cut, end, start, stop)
    moves &= repeats(child, grammar, size) <= repeats(a.x, grammar, size)
    return torch.where(moves[:, None], child, a.x).to(seed)


def read(x: Int[Tensor, "batch length"], grammar: Grammar, size: int) -> Read:
    """What crossing needs to know of rows."""
    tokens, spelling = plain(x, size).clamp_min(END), grammar.spelling
    count = lengths(x)[:, None]
    known = tokens.clamp_min(0)

    def of(values: Tensor, nothing: int) -> Tensor:
        return values[known].masked_fill(tokens < 0, nothing)

    edge = torch.full_like(count, END)
    tied = (x < END) | is_frozen(x, size)
    is_token = (tokens >= 0)[..., None]
    opened, person = (
        torch.nn.functional.pad(
            (values.int()[known] * is_token).cumsum(1, dtype=torch.int32), (0, 0, 1, 0)
        )
        for values in (spelling.balance, spelling.person)
    )
    content = torch.where(spelling.is_content[known], of(spelling.form, END), END)
    return Read(
        x=x,
        tokens=tokens,
        length=count,
        border=borders(x, tokens, count, grammar),
        before=torch.cat([edge, of(spelling.form, END)], 1),
        function=torch.cat([of(spelling.function, END), edge], 1),
        space=torch.cat([of(spelling.space, END), edge], 1),
        balance=opened * there(opened, count),
        person=person,
        links=torch.cat([of(spelling.links, False), edge > END], 1),
        content=content,
        is_rare=(content >= 0) & ~spelling.is_common[known],
        held=torch.nn.functional.pad(is_frozen(x, size).cumsum(1), (1, 0)),
        tied=torch.nn.functional.pad(tied.cumsum(1), (1, 0)),
    )


def there(opened: Tensor, count: Tensor) -> Tensor:
    """Whether a border lies within its row."""
    return (torch.arange(opened.shape[1], device=count.device) <= count)[..., None]


def borders(
    x: Int[Tensor, "batch length"],
    tokens: Int[Tensor, "batch length"],
    count: Int[Tensor, "batch 1"],
    grammar: Grammar,
) -> Int[Tensor, "batch longer"]:
    """NO_MARK, CLAUSE or SENTENCE for each place between two tokens; the ends of a row are
    borders of sentences.

    A mark counts where white space follows, and no single letter or title stands before it.
    """
    spelling, known = grammar.spelling, tokens.clamp_min(0)
    is_token = tokens >= 0
    mark = spelling.mark[known] * is_token
    previous = torch.nn.functional.pad(tokens[:, :-1], (1, 0), value=END)
    is_short = spelling.is_abbreviation[previous.clamp_min(0)] & (previous >= 0)
    mark = mark.masked_fill(is_short & (mark == SENTENCE), NO_MARK)
    marked = torch.nn.functional.pad(mark[:, :-1], (1, 0))
    is_closed = spelling.is_closer[known] & is_token & (spelling.space[known] == 0)
    mark = torch.where(is_closed & (marked == SENTENCE), SENTENCE, mark)
    then = torch.nn.functional.pad(tokens[:, 1:], (0, 1), value=END)
    is_spaced = (spelling.space[then.clamp_min(0)] > 0) & (then >= 0)
    is_broken = spelling.breaks[then.clamp_min(0)] & (then >= 0)
    behind = torch.where(is_broken, SENTENCE, mark * is_spaced)
    border = torch.nn.functional.pad(behind, (1, 0))
    at = torch.arange(border.shape[1], device=x.device)
    border = border.masked_fill(at > count, NO_MARK)
    return border.masked_fill((at == 0) | (at == count), SENTENCE)


def drawn_blocks(a: Read, b: Read, random: RowRandom) -> Blocks:
    """Random pairs of borders in either row, in order."""
    pairs = []
    for step, row in enumerate((a, b)):
        is_border = row.border > NO_MARK
        place = (~is_border).long().argsort(dim=1, stable=True)
        count = is_border.sum(1, keepdim=True)
        ends = [random.at(2 * step + k).uniform(CUTS) for k in range(2)]
        drawn = [place.gather(1, (lot * count).long().minimum(count - 1)) for lot in ends]
        pairs += [drawn[0].minimum(drawn[1]), drawn[0].maximum(drawn[1])]
    return Blocks(*pairs)


def fit(a: Read, b: Read, blocks: Blocks) -> Bool[Tensor, "batch cuts"]:
    """Whether either row reads on where the blocks are exchanged."""
    cut, end, start, stop = blocks
    fits = (end > cut) & (stop > start)
    is_first, is_last = cut == 0, end == a.length
    fits &= (is_first == (start == 0)) & (is_last == (stop == b.length)) & ~(is_first & is_last)
    for at, to, edge in ((cut, start, is_first), (end, stop, is_last)):
        kind = a.border.gather(1, at)
        same = [
            one.gather(1, at) == two.gather(1, to) for one, two in zip(a[3:7], b[3:7], strict=True)
        ]
        is_alike, has_mark, has_function, has_space = same
        fits &= edge | (is_alike & has_space)
        fits &= edge | (kind == SENTENCE) | (has_mark & has_function)
    size, taken = end - cut, stop - start
    parts = (a.border.gather(1, cut), a.border.gather(1, end))
    has_clause = (parts[0] == CLAUSE) | (parts[1] == CLAUSE)
    fits &= ~has_clause | (size.minimum(taken) >= LEAST_CLAUSE)
    opener = a.function.gather(1, cut)
    fits &= ~has_clause | ((opener >= 0) & (opener == b.function.gather(1, start)))
    fits &= a.held.gather(1, end) == a.held.gather(1, cut)
    fits &= b.tied.gather(1, stop) == b.tied.gather(1, start)
    fits &= is_closed(a, cut, end) & is_closed(b, start, stop)
    fits &= names_persons(a, b, blocks) & links_on(a, b, blocks)
    return fits & (a.length - size + taken <= a.x.shape[1])


def names_persons(a: Read, b: Read, blocks: Blocks) -> Bool[Tensor, "batch cuts"]:
    """Whether each pronoun of the third person stands beside others of its kind.

    Those of a block that is not the first of its row need one in the seed outside of the exchanged
    block; those of the seed behind that block need one in the block or before it.
    """
    kinds = a.person.shape[2]

    def count(row: Read, at: Tensor) -> Tensor:
        return row.person.gather(1, at[..., None].expand(-1, -1, kinds))

    before, whole = count(a, blocks.cut), a.person[:, -1:]
    behind = whole - count(a, blocks.end)
    taken = count(b, blocks.stop) - count(b, blocks.start)
    is_named = (taken == 0) | (before + behind > 0) | (blocks.start == 0)[..., None]
    return (is_named & ((behind == 0) | (taken + before > 0))).all(2)


def links_on(a: Read, b: Read, blocks: Blocks) -> Bool[Tensor, "batch cuts"]:
    """Whether no linking word meets a sentence that it was not written for."""
    removed, taken = a.links.gather(1, blocks.cut), b.links.gather(1, blocks.start)
    opener = a.function.gather(1, blocks.cut) == b.function.gather(1, blocks.start)
    return ~a.links.gather(1, blocks.end) & (~taken | (removed & opener))


def has_whole_sentences(a: Read, blocks: Blocks) -> Bool[Tensor, "batch cuts"]:
    return (a.border.gather(1, blocks.cut) == SENTENCE) & (
        a.border.gather(1, blocks.end) == SENTENCE
    )


def says_little(row: Read, is_part: Bool[Tensor, "batch length"]) -> Bool[Tensor, " batch"]:
    """Whether a part of each row has few content words, common ones, and so fits any text."""
    said = ((row.content >= 0) & is_part).sum(1)
    return (said > 0) & (said <= FEW_WORDS) & ~(row.is_rare & is_part).any(1)


def keeps_topic(
    a: Read, b: Read, cut: Tensor, end: Tensor, start: Tensor, stop: Tensor
) -> Bool[Tensor, " batch"]:
    """Whether a block and what stays of the seed share a content word, or one of them says little.

    The places are (batch, 1).
    """
    at, to = (torch.arange(row.x.shape[1], device=row.x.device) for row in (a, b))
    stays, comes = (at < cut) | (at >= end), (to >= start) & (to < stop)
    known = a.content.masked_fill(~stays, END).sort(dim=1).values
    place = torch.searchsorted(known, b.content).clamp_max(known.shape[1] - 1)
    is_shared = (known.gather(1, place) == b.content) & (b.content >= 0) & comes
    return is_shared.any(1) | says_little(a, stays) | says_little(b, comes)


def repeats(x: Int[Tensor, "batch length"], grammar: Grammar, size: int) -> Int[Tensor, " batch"]:
    """How many runs of REPEATED words a row holds that it has held before."""
    tokens = plain(x, size).clamp_min(END)
    if x.shape[1] < REPEATED:
        return torch.zeros_like(x[:, 0])
    form = grammar.spelling.form[tokens.clamp_min(0)]
    width = x.shape[1] - REPEATED + 1
    runs = window_key(*(form[:, k : k + width] for k in range(REPEATED)))
    is_known = (tokens >= 0).unfold(1, REPEATED, 1).all(2)
    unlike = -1 - torch.arange(width, device=x.device)
    runs = torch.where(is_known, runs, unlike).sort(dim=1).values
    return (runs.diff(dim=1) == 0).sum(1)


def is_closed(
    row: Read, first: Int[Tensor, "batch cuts"], last: Int[Tensor, "batch cuts"]
) -> Bool[Tensor, "batch cuts"]:
    """Whether brackets and quotes that are opened in a block are closed in it."""
    kinds = row.balance.shape[2]
    opened = [row.balance.gather(1, at[..., None].expand(-1, -1, kinds)) for at in (first, last)]
    change = opened[1] - opened[0]
    return (change[..., :-1] == 0).all(2) & (change[..., -1] % 2 == 0)
