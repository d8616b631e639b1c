"""A language model of n-grams: how surprising is each token after those before it?

Interpolated Kneser-Ney smoothing: a token is likely where it was seen, or where tokens of its kind
of versatility were (Kneser, Ney. Improved backing-off for m-gram language modeling. ICASSP 1995;
Chen, Goodman. An empirical study of smoothing techniques for language modeling. Computer Speech &
Language 1999).
"""

from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from advaug.core.row_random import mix_keys
from advaug.core.tensor_fields import MovableFields
from advaug.domains.sequences.counts import Counts
from advaug.domains.sequences.splicing import END, lengths


@dataclass(frozen=True)
class Order(MovableFields):
    """What was seen of the n-grams of one length.

    Parameters
    ----------
    grams : Counts
        How often each n-gram was seen; of shorter ones, after how many different tokens.
    totals, kinds : Counts
        The sum of these numbers over what follows a context, and how many n-grams that are.
    discount : Tensor ()
        What is taken off each number and given to n-grams that were never seen.
    """

    grams: Counts
    totals: Counts
    kinds: Counts
    discount: Float[Tensor, ""]

    @classmethod
    def of(cls, grams: Int[Tensor, " all"], contexts: Int[Tensor, " all"]) -> Self:
        """N-grams, each as often as it counts, with the context of each."""
        keys, inverse, count = grams.unique(return_inverse=True, return_counts=True)
        context = torch.zeros_like(keys).scatter_(0, inverse, contexts)
        once, twice = int((count == 1).sum()), int((count == 2).sum())
        return cls(
            grams=Counts(keys, count),
            totals=Counts.of(contexts),
            kinds=Counts.of(context),
            discount=torch.tensor((once + 1) / (once + 2 * twice + 2)),
        )

    def probability(
        self,
        gram: Int[Tensor, "*shape"],
        context: Int[Tensor, "*shape"],
        shorter: Float[Tensor, "*shape"],
    ) -> Float[Tensor, "*shape"]:
        """Of the last token, by its probability after the shorter context."""
        total, kinds = self.totals(context), self.kinds(context)
        seen = (self.grams(gram) - self.discount).clamp_min(0)
        probability = (seen + self.discount * kinds * shorter) / total.clamp_min(1)
        return torch.where(total > 0, probability, shorter)


@dataclass(frozen=True)
class LanguageModel(MovableFields):
    """N-grams of all lengths up to the number of orders.

    Examples
    --------
    >>> import torch
    >>> from advaug.domains.sequences.language_model import LanguageModel
    >>> model = LanguageModel.of(torch.tensor([[0, 1, 2], [0, 1, 3], [0, 1, 2]]), order=3, size=4)
    >>> surprise, _, _ = model.read(torch.tensor([[0, 1, 2], [0, 1, 3], [2, 1, 0]]))
    >>> bool((surprise.sum(1).diff() > 0).all())
    True
    """

    orders: tuple[Order, ...]
    size: int  # How many tokens there may be.

    @classmethod
    def of(cls, x: Int[Tensor, "rows length"], *, order: int, size: int) -> Self:
        """Learn from rows of tokens, -1 behind them."""
        orders = []
        for n in range(order, 0, -1):
            grams, contexts = (one[is_inside(x)] for one in keys_of_order(x, n))
            if n < order:  # Each kind of longer n-gram counts once.
                longer = keys_of_order(x, n + 1)[0][is_inside(x)]
                first = first_places(longer)
                grams, contexts = grams[first], contexts[first]
            orders.append(Order.of(grams, contexts))
        return cls(tuple(reversed(orders)), size)

    def read(
        self, x: Int[Tensor, "batch length"]
    ) -> tuple[
        Float[Tensor, "batch longer"], Bool[Tensor, "batch longer"], Bool[Tensor, "batch longer"]
    ]:
        """-log probability of each token, whether its run of three was never seen, and where rows
        are; the end of a row is a token.
        """
        there = is_inside(x)
        probability = torch.full((int(there.sum()),), 1 / (self.size + 1), device=x.device)
        is_new = torch.zeros_like(there)
        for n, one in enumerate(self.orders, start=1):
            gram, context = (keys[there] for keys in keys_of_order(x, n))
            probability = one.probability(gram, context, probability)
            if n == min(3, len(self.orders)):
                is_new[there] = one.grams(gram) == 0
        surprise = torch.zeros(there.shape, device=x.device)
        surprise[there] = -probability.log()
        return surprise, is_new, there


def is_inside(x: Int[Tensor, "rows length"]) -> Bool[Tensor, "rows longer"]:
    """The places of a row's tokens and of its end."""
    return torch.arange(x.shape[1] + 1, device=x.device) <= lengths(x)[:, None]


def keys_of_order(x: Int[Tensor, "rows length"], n: int) -> tuple[Tensor, Tensor]:
    """(rows, length + 1) each: a number for the n tokens up to each place, and for all but the
    last of them.
    """
    padded = torch.nn.functional.pad(x, (n - 1, 1), value=END)
    width = x.shape[1] + 1
    context = torch.zeros(len(x), width, dtype=torch.long, device=x.device)
    for k in range(n - 1):
        context = mix_keys(context, padded[:, k : k + width])
    return mix_keys(context, padded[:, n - 1 :]), context


def first_places(keys: Int[Tensor, " all"]) -> Int[Tensor, " kinds"]:
    """Where each different number stands first."""
    different, inverse = keys.unique(return_inverse=True)
    place = torch.full_like(different, len(keys))
    return place.scatter_reduce_(0, inverse, torch.arange(len(keys), device=keys.device), "amin")
