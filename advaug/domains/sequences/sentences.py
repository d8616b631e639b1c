"""What crossing needs to know of rows: borders of sentences and clauses, words, brackets."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from advaug.domains.sequences.crossing import is_frozen, plain
from advaug.domains.sequences.spelling import NO_MARK, SENTENCE, Spelling
from advaug.domains.sequences.splicing import END, lengths


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
    is_ended: Bool[Tensor, "batch 1"]  # Whether a mark ends the last sentence.
    border: Int[Tensor, "batch longer"]
    before: Int[Tensor, "batch longer"]  # The form of the token before each border,
    function: Int[Tensor, "batch longer"]  # the function word behind it,
    space: Int[Tensor, "batch longer"]  # and its white space.
    balance: Int[Tensor, "batch longer kinds"]  # Brackets that are open.
    person: Int[Tensor, "batch longer persons"]  # Pronouns of each kind before each border,
    links: Bool[Tensor, "batch longer"]  # and whether a linking word stands behind it.
    is_lower: Bool[Tensor, "batch longer"]  # A word in lower case,
    opens_clause: Bool[Tensor, "batch longer"]  # or a conjunction and a subject.
    content: Int[Tensor, "batch length"]  # The forms of content words, -1 for other tokens,
    is_special: Bool[Tensor, "batch length"]  # Words that are not common, and numbers.
    held: Int[Tensor, "batch longer"]  # How many frozen tokens stand before it,
    tied: Int[Tensor, "batch longer"]  # or tokens that no other row may take over.

    def take(self, rows: Tensor) -> "Read":
        """Some of the rows."""
        return Read(*(one[rows] for one in self))


def read(x: Int[Tensor, "batch length"], spelling: Spelling, size: int) -> Read:
    """What crossing needs to know of rows."""
    tokens = plain(x, size).clamp_min(END)
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
    border = borders(tokens, count, spelling)
    has_subject = torch.nn.functional.pad(of(spelling.is_subject, False)[:, 1:], (0, 1))
    content = torch.where(spelling.is_content[known], of(spelling.form, END), END)
    return Read(
        x=x,
        tokens=tokens,
        length=count,
        is_ended=(of(spelling.mark, NO_MARK) == SENTENCE).gather(1, (count - 1).clamp_min(0))
        & ~of(spelling.is_abbreviation, False).gather(1, (count - 2).clamp_min(0)),
        border=border,
        before=torch.cat([edge, of(spelling.form, END)], 1),
        function=torch.cat([of(spelling.function, END), edge], 1),
        space=torch.cat([of(spelling.space, END), edge], 1),
        balance=opened * there(opened, count),
        person=person,
        links=torch.cat([of(spelling.links, False), edge > END], 1),
        is_lower=torch.cat([of(spelling.is_lower, False), edge > END], 1),
        opens_clause=torch.cat([of(spelling.is_conjunction, False) & has_subject, edge > END], 1),
        content=content,
        is_special=of(spelling.has_digit, False) | ((content >= 0) & ~spelling.is_common[known]),
        held=torch.nn.functional.pad(is_frozen(x, size).cumsum(1), (1, 0)),
        tied=torch.nn.functional.pad(tied.cumsum(1), (1, 0)),
    )


def there(opened: Tensor, count: Tensor) -> Tensor:
    """Whether a border lies within its row."""
    return (torch.arange(opened.shape[1], device=count.device) <= count)[..., None]


def borders(
    tokens: Int[Tensor, "batch length"],
    count: Int[Tensor, "batch 1"],
    spelling: Spelling,
) -> Int[Tensor, "batch longer"]:
    """NO_MARK, CLAUSE or SENTENCE for each place between two tokens; the ends of a row are
    borders of sentences.

    A mark counts where white space follows, and no single letter or title stands before it.
    """
    known = tokens.clamp_min(0)
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
    at = torch.arange(border.shape[1], device=tokens.device)
    border = border.masked_fill(at > count, NO_MARK)
    return border.masked_fill((at == 0) | (at == count), SENTENCE)


def persons_at(row: Read, at: Int[Tensor, "batch cuts"]) -> Int[Tensor, "batch cuts persons"]:
    """How many pronouns of each kind stand before a border."""
    return row.person.gather(1, at[..., None].expand(-1, -1, row.person.shape[2]))


def is_closed(
    row: Read, first: Int[Tensor, "batch cuts"], last: Int[Tensor, "batch cuts"]
) -> Bool[Tensor, "batch cuts"]:
    """Whether brackets and quotes that are opened in a block are closed in it."""
    kinds = row.balance.shape[2]
    opened = [row.balance.gather(1, at[..., None].expand(-1, -1, kinds)) for at in (first, last)]
    change = opened[1] - opened[0]
    return (change[..., :-1] == 0).all(2) & (change[..., -1] % 2 == 0)
