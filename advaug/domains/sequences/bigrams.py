"""Which token has stood after which, and what may stand for what: lists of places, one a token.

Tokens are whole numbers below `size`; -1 stands for the end of a row, what lies below -1 for an
unknown token.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from advaug.core.tensor_fields import MovableFields, picked

LONGEST = 2**25  # Pairs of up to 5 790 tokens are looked up in a table of bools.


@dataclass(frozen=True)
class RaggedIndex(MovableFields):
    """For each token a list of others: `values[first[t]:first[t + 1]]`."""

    values: Int[Tensor, " values"]
    first: Int[Tensor, " tokens"]

    @classmethod
    def of(cls, owner: Int[Tensor, " values"], values: Int[Tensor, " values"], size: int) -> Self:
        """The values, each in the list of its owner, which is below `size`."""
        order = owner.argsort(stable=True)
        ends = torch.bincount(owner, minlength=size).cumsum(0)
        return cls(values[order], torch.cat([ends.new_zeros(1), ends]))

    def count(self, token: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
        """How many values the list of each token holds."""
        return picked(self.first, token + 1) - picked(self.first, token)

    def draw(
        self, token: Int[Tensor, "*shape"], lot: Float[Tensor, "*shape"], nothing: int
    ) -> Int[Tensor, "*shape"]:
        """One value of each token's list, by a lot in [0, 1); `nothing` where it is empty."""
        if not len(self.values):
            return torch.full_like(token, nothing)
        first = picked(self.first, token)
        count = picked(self.first, token + 1) - first
        place = first + (lot * count).long().minimum((count - 1).clamp_min(0))
        found = picked(self.values, place.clamp_max_(len(self.values) - 1))
        return found.masked_fill_(count == 0, nothing)


@dataclass(frozen=True)
class Bigrams(MovableFields):
    """The pairs of neighbours that rows were seen to hold, the ends of rows included."""

    size: int
    pairs: Int[Tensor, " pairs"]  # sorted numbers
    followers: RaggedIndex  # every token as often as it was seen, by the one before it

    @classmethod
    def of(
        cls, tokens: Int[Tensor, " tokens"], is_frozen: Bool[Tensor, " tokens"], size: int
    ) -> Self:
        """The neighbours in one long row of known tokens, with -1 before and after each row.

        A frozen token follows no other one: it is not put anywhere else.
        """
        before, after = tokens[:-1], tokens[1:]
        pairs = _numbered(before, after, size).unique()
        known = (after >= 0) & ~is_frozen[1:]
        return cls(size, pairs, RaggedIndex.of(_coded(before[known], size), after[known], size + 2))

    @cached_property
    def are_seen(self) -> Bool[Tensor, " numbers"] | None:
        """For each number of a pair whether it was seen; None of so many tokens that it is long."""
        if (self.size + 2) ** 2 > LONGEST:
            return None
        seen = torch.zeros((self.size + 2) ** 2, dtype=torch.bool, device=self.pairs.device)
        seen[self.pairs] = True
        return seen

    def seen(
        self, before: Int[Tensor, "*shape"], after: Int[Tensor, "*shape"]
    ) -> Bool[Tensor, "*shape"]:
        """Whether the two have been neighbours."""
        return self.seen_codes(self.codes(before), self.codes(after))

    def codes(self, token: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
        """The numbers of tokens in pairs, also of the end of a row and of unknown ones."""
        return _coded(token, self.size)

    def seen_codes(
        self, before: Int[Tensor, "*shape"], after: Int[Tensor, "*shape"]
    ) -> Bool[Tensor, "*shape"]:
        """`seen` of tokens by their codes."""
        number = before * (self.size + 2) + after
        if self.are_seen is not None:
            return picked(self.are_seen, number)
        if not len(self.pairs):
            return torch.zeros_like(number, dtype=torch.bool)
        place = torch.searchsorted(self.pairs, number).clamp_max(len(self.pairs) - 1)
        return picked(self.pairs, place) == number

    def after(
        self, before: Int[Tensor, "*shape"], lot: Float[Tensor, "*shape"]
    ) -> Int[Tensor, "*shape"]:
        """A token that has stood after each, as likely as it did so; unknown (-2) if none has."""
        return self.after_codes(self.codes(before), lot)

    def after_codes(
        self, before: Int[Tensor, "*shape"], lot: Float[Tensor, "*shape"]
    ) -> Int[Tensor, "*shape"]:
        """`after` tokens by their codes."""
        return self.followers.draw(before, lot, -2)


def _coded(token: Tensor, size: int) -> Tensor:
    """Known tokens as they are, the end of a row as `size`, unknown ones as `size` + 1."""
    return torch.where(token >= 0, token, torch.where(token == -1, size, size + 1))


def _numbered(before: Tensor, after: Tensor, size: int) -> Tensor:
    return _coded(before, size) * (size + 2) + _coded(after, size)
