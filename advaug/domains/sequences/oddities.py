"""What looks odd in a text, token by token: glued and repeated words, signs and brackets."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from advaug.domains.sequences.spelling import CLAUSE, NO_MARK, SENTENCE, Spelling
from advaug.domains.sequences.splicing import END

ODDITIES = ("glued word", "repeated word", "space before a mark", "unpaired quote or bracket")


def oddities(
    tokens: Int[Tensor, "batch length"], spelling: Spelling
) -> Bool[Tensor, "batch length kinds"]:
    """For each token of rows, which of ODDITIES it shows; tokens that are not known show none."""
    known, there = tokens.clamp_min(0), tokens >= 0
    previous = torch.nn.functional.pad(tokens[:, :-1], (1, 0), value=END)
    before, has_before = previous.clamp_min(0), there & (previous >= 0)
    is_word, is_glued = spelling.is_word[known], spelling.space[known] == 0
    mark, is_capital = spelling.mark[before], spelling.case[known] > 0
    runs_on = spelling.is_word[before] | (mark == CLAUSE) | ((mark == SENTENCE) & is_capital)
    is_repeated = is_word & (spelling.form[before] == spelling.form[known])
    is_mark = (spelling.mark[known] > NO_MARK) & (spelling.mark[before] == NO_MARK)
    return torch.stack(
        [
            has_before & is_word & is_glued & runs_on,
            has_before & is_repeated,
            has_before & is_mark & ~is_glued & spelling.is_word[before],
            there & is_unpaired(spelling.balance[known] * there[..., None]),
        ],
        -1,
    )


def is_unpaired(balance: Int[Tensor, "batch length kinds"]) -> Bool[Tensor, "batch length"]:
    """Signs that close what is not open, or open what is never closed."""
    quotes = balance[..., -1].cumsum(1)
    is_last_quote = (balance[..., -1] > 0) & (quotes == quotes[:, -1:]) & (quotes % 2 == 1)
    brackets = balance[..., :-1]
    depth = brackets.cumsum(1)
    closes_nothing = (brackets < 0) & (depth < depth.cummin(1).values.roll(1, 1).clamp_max(0))
    is_first = torch.arange(balance.shape[1], device=balance.device) == 0
    closes_nothing = torch.where(is_first[None, :, None], brackets < 0, closes_nothing)
    later = depth.flip(1).cummin(1).values.flip(1)
    never_closed = (brackets > 0) & (later >= depth)
    return is_last_quote | (closes_nothing | never_closed).any(2)
