"""Two texts cross at the borders of their sentences and clauses."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from advaug.core.row_random import RowRandom
from advaug.domains.sequences.crossing import is_frozen, plain
from advaug.domains.sequences.grammar import CLAUSE, NO_MARK, SENTENCE, Grammar
from advaug.domains.sequences.splicing import END, keys_of, lengths, spliced

CUTS = 32  # Pairs of blocks that are tried.
LEAST_CLAUSE = 4  # Tokens that a clause must have to be exchanged, with its mark.


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

    Of some pairs of blocks that fit, one is taken whose share of the seed is nearest `share`. What
    stands first or last in its row stays so; brackets and quotes are closed within a block; blocks
    hold no frozen token. Where no pair fits, the seed stays. The random numbers come from the rows
    themselves.
    """
    a, b = (read(rows.long(), grammar, size) for rows in (seed, other))
    random = RowRandom(keys_of(seed) * 3 + keys_of(other) * 5 + keys_of(share[:, None]))
    blocks = drawn_blocks(a, b, random)
    fits = fit(a, b, blocks)
    off = ((blocks.end - blocks.cut) / a.length.clamp_min(1) - share[:, None]).abs()
    best = off.masked_fill(~fits, torch.inf).argmin(1, keepdim=True)
    cut, end, start, stop = (one.gather(1, best) for one in blocks)
    at = torch.arange(b.x.shape[1], device=a.x.device)
    block = b.x.gather(1, (start + at).clamp_max(b.x.shape[1] - 1))
    child = spliced(a.x, cut[:, 0], (end - cut)[:, 0], block, (stop - start)[:, 0])
    moves = fits.gather(1, best) & (share > 0)[:, None]
    return torch.where(moves, child, a.x).to(seed)


def read(x: Int[Tensor, "batch length"], grammar: Grammar, size: int) -> Read:
    """What crossing needs to know of rows."""
    tokens, spelling = plain(x, size).clamp_min(END), grammar.spelling
    count = lengths(x)[:, None]
    known = tokens.clamp_min(0)

    def of(values: Tensor, nothing: int) -> Tensor:
        return values[known].masked_fill(tokens < 0, nothing)

    edge = torch.full_like(count, END)
    tied = (x < END) | is_frozen(x, size)
    opened = torch.nn.functional.pad(spelling.balance[known].cumsum(1), (0, 0, 1, 0))
    return Read(
        x=x,
        tokens=tokens,
        length=count,
        border=borders(x, tokens, count, grammar),
        before=torch.cat([edge, of(spelling.form, END)], 1),
        function=torch.cat([of(spelling.function, END), edge], 1),
        space=torch.cat([of(spelling.space, END), edge], 1),
        balance=opened * there(opened, count),
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
    return fits & (a.length - size + taken <= a.x.shape[1])


def is_closed(
    row: Read, first: Int[Tensor, "batch cuts"], last: Int[Tensor, "batch cuts"]
) -> Bool[Tensor, "batch cuts"]:
    """Whether brackets and quotes that are opened in a block are closed in it."""
    kinds = row.balance.shape[2]
    opened = [row.balance.gather(1, at[..., None].expand(-1, -1, kinds)) for at in (first, last)]
    change = opened[1] - opened[0]
    return (change[..., :-1] == 0).all(2) & (change[..., -1] % 2 == 0)
