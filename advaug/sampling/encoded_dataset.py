"""The rows that generation starts from, encoded, with what the committee thinks of them.

Big classes are represented by a random sample, so that cost and memory stay bounded.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.core.neighbors import nearest
from advaug.core.objectives import margin
from advaug.core.space import Space
from advaug.core.ties import tie_groups
from advaug.models.committee import Committee, held_out_logits, spread

MOST_ROWS = 10_000  # of each class
FEATURE_ROWS = 4096  # at once

Voter = Callable[[Tensor], Tensor]  # (batch, width) -> (batch, classes): probabilities


def sample_of_classes(
    y: Int[Tensor, " rows"], generator: torch.Generator, most: int = MOST_ROWS
) -> Int[Tensor, " kept"]:
    """At most `most` random rows of each class, in the rows' own order."""
    kept = []
    for label in y.unique():
        rows = (y == label).nonzero()[:, 0]
        kept.append(rows[torch.randperm(len(rows), generator=generator)[:most]])
    return torch.cat(kept).sort().values


@dataclass(frozen=True)
class EncodedDataset:
    """Encoded rows `x`, labels `y`, their places `rows` in the user's data, and the committee.

    `voters` are models of other families, which have a voice beside the committee's where a recipe
    draws refused rows anew; `readers` are voters that read encoded rows themselves.
    """

    x: Float[Tensor, "kept *shape"]
    y: Int[Tensor, " kept"]
    rows: Int[Tensor, " kept"]
    space: Space
    committee: Committee
    voters: tuple[Voter, ...] = ()
    readers: tuple[Voter, ...] = ()

    @cached_property
    def features(self) -> Float[Tensor, "kept width"]:
        """The rows as the committee sees them."""
        return torch.cat([self.committee.features(rows) for rows in self.x.split(FEATURE_ROWS)])

    @cached_property
    def scale(self) -> Float[Tensor, "*shape"]:
        """Standard deviation of each cell over the rows."""
        return spread(self.x)

    @cached_property
    def logits(self) -> Float[Tensor, "kept classes"]:
        """Held-out logits: no member has seen the row it speaks of."""
        return held_out_logits(self.committee, self.features)

    def margins(self, label: int) -> Float[Tensor, " kept"]:
        """Held-out margin of every row for a label."""
        return margin(self.logits, torch.full_like(self.y, label))

    def auc(self, label: int) -> float:
        """Area under the ROC curve of the held-out margins, label against the rest."""
        own = self.y == label
        at = tie_groups(-self.margins(label))
        count = at.bincount()
        rank = (count.cumsum(0) - (count - 1) / 2)[at]  # ties share their middle rank
        positives, negatives = own.sum(), (~own).sum()
        wins = rank[own].sum() - positives * (positives + 1) / 2
        return float(wins / (positives * negatives))

    def of(self, label: int) -> Int[Tensor, " own"]:
        """Places of a class in the pool."""
        return (self.y == label).nonzero()[:, 0]

    @property
    def cells(self) -> Float[Tensor, "kept cells"]:
        """By what rows are near. As they are, where they mix and move cell by cell; numbers of
        tokens mean nothing, so sequences are near by their features."""
        return self.x.flatten(1) if self.space.is_euclidean else self.features

    def near(
        self,
        rows: Int[Tensor, " some"],
        others: Int[Tensor, " others"],
        k: int,
        *,
        skips_self: bool = False,
    ) -> tuple[Float[Tensor, "some k"], Int[Tensor, "some k"]]:
        """Distance, in units of radius, and place of the k nearest of the others."""
        distance, place = nearest(self.cells[rows], self.cells[others], k, skips_self=skips_self)
        if not self.space.is_euclidean:
            pairs = [self.space.distance(self.x[others[to]], self.x[rows]) for to in place.T]
            distance = torch.stack(pairs, 1) if pairs else distance
        return distance, others[place]

    def other_class_neighbors(
        self, label: int, k: int = 1
    ) -> tuple[Float[Tensor, "own k"], Int[Tensor, "own k"]]:
        """For each row of the class distance and place of the nearest rows of other classes."""
        return self.near(self.of(label), (self.y != label).nonzero()[:, 0], k)

    def same_class_neighbors(
        self, label: int, k: int
    ) -> tuple[Float[Tensor, "own k"], Int[Tensor, "own k"]]:
        """For each row of the class distance and place of its nearest kin."""
        own = self.of(label)
        return self.near(own, own, k, skips_self=True)
