"""Two texts cross at the borders of their sentences and clauses; one text loses sentences."""

from itertools import pairwise

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from advaug.core.row_random import RowRandom
from advaug.domains.sequences.cohesion import Cohesion, within
from advaug.domains.sequences.crossing import plain
from advaug.domains.sequences.grammar import Grammar, window_key
from advaug.domains.sequences.sentences import Blocks, Read, is_closed, persons_at, read
from advaug.domains.sequences.spelling import CLAUSE, NO_MARK, SENTENCE
from advaug.domains.sequences.splicing import END, keys_of, lengths, spliced

CUTS = 32  # Pairs of blocks that are tried.
WIDTHS = (48, 96, 192, 384)  # Rows of so many tokens together are joined side by side.
LEAST_LEFT = 6  # Tokens that stand before sentences which a text loses.
SHORT = 4  # Tokens of a last sentence that needs no mark.
FEW_WORDS = 2  # Content words of a block that may be about anything.
REPEATED = 3  # Words in a row that a new row may not hold twice.


def clauses_crossed(
    seed: Float[Tensor, "batch length"],
    other: Float[Tensor, "batch length"],
    share: Float[Tensor, " batch"],
    grammar: Grammar,
    size: int,
) -> Float[Tensor, "batch length"]:
    """Each seed with sentences or clauses of the other row among its own, or in place of some.

    Of some pairs of blocks that fit, whole sentences come first, then those whose share of the
    seed is nearest `share`. A first sentence stays first, and what stood last in its row comes
    last; brackets and quotes are closed within a block; blocks hold no frozen token; a pronoun such
    as "she" stands only beside another one. Where no pair fits, or where the row would repeat
    itself, the seed stays. A row that is crossed with itself loses sentences instead. Which blocks
    are tried depends on the two rows alone.
    """
    random = RowRandom(keys_of(seed) * 3 + keys_of(other) * 5)
    x, y = seed.long(), other.long()
    child, width = x.clone(), x.shape[1]
    room = lengths(x) + lengths(y)
    for least, most in pairwise([-1, *(w for w in WIDTHS if w < width), width]):
        is_here = (room > least) & ((room <= most) | (most == width))
        rows = (is_here & (share > 0)).nonzero()[:, 0]
        if len(rows):
            a, b = (read(one[rows, :most], grammar.spelling, size) for one in (x, y))
            child[rows, :most] = joined(a, b, share[rows], random.take(rows), grammar, size)
    return child.to(seed)


def joined(
    a: Read, b: Read, share: Float[Tensor, " batch"], random: RowRandom, grammar: Grammar, size: int
) -> Int[Tensor, "batch length"]:
    """Rows with the best of some blocks of other rows, or without the best of some blocks."""
    blocks, is_own = drawn_blocks(a, b, random), (a.x == b.x).all(1, keepdim=True)
    fits = torch.where(is_own, can_be_left_out(a, blocks), fit(a, b, blocks, grammar.cohesion))
    off = ((blocks.end - blocks.cut) / a.length.clamp_min(1) - share[:, None]).abs()
    off -= has_whole_sentences(a, blocks).to(off)
    best = off.masked_fill(~fits, torch.inf).argmin(1, keepdim=True)
    cut, end, start, stop = (one.gather(1, best) for one in blocks)
    stop = torch.where(is_own, start, stop)
    at = torch.arange(b.x.shape[1], device=a.x.device)
    block = b.x.gather(1, (start + at).clamp_max(b.x.shape[1] - 1))
    child = spliced(a.x, cut[:, 0], (end - cut)[:, 0], block, (stop - start)[:, 0])
    moves = fits.gather(1, best)[:, 0]
    moves &= repeats(child, grammar, size) <= repeats(a.x, grammar, size)
    return torch.where(moves[:, None], child, a.x)


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


def fit(a: Read, b: Read, blocks: Blocks, cohesion: Cohesion) -> Bool[Tensor, "batch cuts"]:
    """Whether either row reads on where the blocks are exchanged."""
    cut, end, start, stop = blocks
    is_first, is_last, is_whole = cut == 0, end == a.length, has_whole_sentences(a, blocks)
    is_added = (cut == a.length) & a.is_ended
    fits = (stop > start) & ((end > cut) | (~is_first & (is_added | ~is_last)))
    fits &= (is_first == (start == 0)) & (is_last == (stop == b.length)) & ~(is_first & is_last)
    for at, to, edge in ((cut, start, is_first), (end, stop, is_last)):
        same = [
            one.gather(1, at) == two.gather(1, to)
            for one, two in ((a.border, b.border), (a.before, b.before), (a.space, b.space))
        ]
        is_alike, has_mark, has_space = same
        fits &= edge | is_added | (is_alike & has_space & (has_mark | is_whole))
    fits &= (is_whole & (b.border.gather(1, start) == SENTENCE)) | are_clauses(a, b, blocks)
    size, taken = end - cut, stop - start
    fits &= a.held.gather(1, end) == a.held.gather(1, cut)
    fits &= b.tied.gather(1, stop) == b.tied.gather(1, start)
    fits &= is_closed(a, cut, end) & is_closed(b, start, stop)
    fits &= names_persons(a, b, blocks) & links_on(a, b, blocks)
    fits &= keeps_topic(a, b, blocks, cohesion)
    return fits & (a.length - size + taken <= a.x.shape[1])


def are_clauses(a: Read, b: Read, blocks: Blocks) -> Bool[Tensor, "batch cuts"]:
    """Whether blocks are clauses with a subject, up to the end of their sentences, and open with
    the same conjunction.
    """
    cut, end, start, _ = blocks
    is_alike = a.function.gather(1, cut) == b.function.gather(1, start)
    is_alike &= a.opens_clause.gather(1, cut) & b.opens_clause.gather(1, start)
    return is_alike & (a.border.gather(1, end) == SENTENCE) & (a.border.gather(1, cut) == CLAUSE)


def can_be_left_out(a: Read, blocks: Blocks) -> Bool[Tensor, "batch cuts"]:
    """Whether a row reads on without a block: whole sentences, of which none is the first."""
    cut, end = blocks.cut, blocks.end
    fits = (cut >= LEAST_LEFT) & (end > cut) & has_whole_sentences(a, blocks)
    fits &= stays_linked(a, blocks) & is_closed(a, cut, end)
    fits &= a.held.gather(1, end) == a.held.gather(1, cut)
    before, behind = persons_at(a, cut), a.person[:, -1:] - persons_at(a, end)
    return fits & ((behind == 0) | (before > 0)).all(2)


def names_persons(a: Read, b: Read, blocks: Blocks) -> Bool[Tensor, "batch cuts"]:
    """Whether each pronoun of the third person stands beside others of its kind.

    Those of a block that is not the first of its row need one in the seed outside of the exchanged
    block; those of the seed behind that block need one in the block or before it.
    """
    before, whole = persons_at(a, blocks.cut), a.person[:, -1:]
    behind = whole - persons_at(a, blocks.end)
    taken = persons_at(b, blocks.stop) - persons_at(b, blocks.start)
    is_named = (taken == 0) | (before + behind > 0) | (blocks.start == 0)[..., None]
    return (is_named & ((behind == 0) | (taken + before > 0))).all(2)


def links_on(a: Read, b: Read, blocks: Blocks) -> Bool[Tensor, "batch cuts"]:
    """Whether no linking word meets a sentence that it was not written for, and whole sentences
    open with no word in lower case, which would be the rest of another one.
    """
    removed, taken = a.links.gather(1, blocks.cut), b.links.gather(1, blocks.start)
    is_linked = removed & (a.function.gather(1, blocks.cut) == b.function.gather(1, blocks.start))
    is_part = b.is_lower.gather(1, blocks.start) & has_whole_sentences(a, blocks)
    return stays_linked(a, blocks) & ~is_part & (~taken | is_linked | (blocks.start == 0))


def stays_linked(a: Read, blocks: Blocks) -> Bool[Tensor, "batch cuts"]:
    """Whether what stands behind a block does not need it."""
    return ~a.links.gather(1, blocks.end) & ~a.is_lower.gather(1, blocks.end)


def has_whole_sentences(a: Read, blocks: Blocks) -> Bool[Tensor, "batch cuts"]:
    return (a.border.gather(1, blocks.cut) == SENTENCE) & (
        a.border.gather(1, blocks.end) == SENTENCE
    )


def keeps_topic(a: Read, b: Read, blocks: Blocks, cohesion: Cohesion) -> Bool[Tensor, "batch cuts"]:
    """Whether a block and what stays of the seed are as similar as sentences of one text, or one of
    them says little, so that it fits any text. The block says something new, of known names.
    """
    match = cohesion.compare(a, b, blocks)
    comes = [within(one, blocks.start, blocks.stop) for one in content_and_special(b)]
    stays = [
        one.sum(1, keepdim=True) - within(one, blocks.cut, blocks.end)
        for one in content_and_special(a)
    ]
    fits = cohesion.is_similar(match) | says_little(*comes) | says_little(*stays)
    is_cut_off = (blocks.stop == b.length) & ~b.is_ended & (blocks.stop - blocks.start > SHORT)
    return fits & match.knows_names & match.says_more & ~is_cut_off


def content_and_special(row: Read) -> tuple[Tensor, Tensor]:
    """Which tokens are content words, and which tokens are special."""
    return (row.content >= 0).float(), row.is_special.float()


def says_little(words: Tensor, rare: Tensor) -> Bool[Tensor, "batch cuts"]:
    """Whether a part of a text has few content words, common ones, and so fits any text."""
    return (words > 0) & (words <= FEW_WORDS) & (rare < 1)


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
