"""The rows that generation starts from, encoded, with what held-out members predict of them.

A class of many rows is represented by a random sample, so that cost and memory stay bounded.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.core.features import features_of
from advaug.core.neighbors import nearest
from advaug.core.objectives import margin
from advaug.core.row_random import generator_at
from advaug.core.space import Space
from advaug.core.tensor_fields import StoredFields, moved, moved_fields
from advaug.core.ties import tie_groups
from advaug.models.committee import Committee, held_out_logits, spread
from advaug.models.protocol import Array, CrossFitted, Surrogate

MAX_ROWS = 10_000  # Rows of each class that generation starts from.


def sample_of_classes(
    y: Int[Tensor, " rows"], seed: int, max_rows: int = MAX_ROWS
) -> Int[Tensor, " kept"]:
    """At most `max_rows` random rows of each class, in the rows' own order.

    The sample of a class does not depend on the other classes.
    """
    kept = []
    for label in y.unique().tolist():
        rows = (y == label).nonzero()[:, 0]
        order = torch.randperm(len(rows), generator=generator_at(seed, label))
        kept.append(rows[order[:max_rows]])
    return torch.cat(kept).sort().values


@dataclass(frozen=True)
class EncodedDataset(StoredFields):
    """Encoded rows and their labels, with the committee that was trained on them.

    Parameters
    ----------
    x : Tensor (kept, *shape)
    y : int Tensor (kept,)
    rows : int Tensor (kept,)
        The row numbers in the user's data.
    space : Space
    committee : Committee
    seed : int
        From which all random numbers of generated rows are derived.
    """

    x: Float[Tensor, "kept *shape"]
    y: Int[Tensor, " kept"]
    rows: Int[Tensor, " kept"]
    space: Space
    committee: Committee
    seed: int = 0

    @property
    def n_classes(self) -> int:
        return int(self.logits.shape[1])

    @property
    def class_counts(self) -> Array:
        """How many of the rows are of each class."""
        return self.y.bincount(minlength=self.n_classes).numpy()

    @cached_property
    def features(self) -> Float[Tensor, "kept width"]:
        """The rows as the committee sees them."""
        return features_of(self.committee.features, self.x)

    def with_features(self, features: Float[Tensor, "kept width"]) -> Self:
        """The dataset, of whose rows the features are known already."""
        known = replace(self)
        vars(known)["features"] = features
        return known

    def to(self, device: torch.device) -> Self:
        """The same rows on another device, copied there once for all classes."""
        if device == self.x.device:
            return self
        if device not in self._copies:
            self._copies[device] = self._copied(device)
        return self._copies[device]

    @cached_property
    def _copies(self) -> dict[torch.device, Self]:
        return {}

    def _copied(self, device: torch.device) -> Self:
        for label in range(self.n_classes):
            self._places_of(label)
        copy = moved_fields(self, device)
        for name in ("features", "logits", "_places"):
            vars(copy)[name] = moved(getattr(self, name), device)
        return copy

    @cached_property
    def memo(self) -> dict[Any, Any]:
        """What recipes have computed of the rows, by keys of theirs, so that they do it once."""
        return {}

    @cached_property
    def scale(self) -> Float[Tensor, "*shape"]:
        """Standard deviation of each cell over the rows."""
        return spread(self.x)

    @cached_property
    def bulk_variance(self) -> Float[Tensor, "*shape"]:
        """What the scale of each class reads of all rows."""
        return self.space.hold_special_values().bulk_variance(self.x)

    def class_scale(self, label: int) -> Float[Tensor, "*shape"]:
        """How far random moves of a class's rows go in each cell: see `Space.class_scale`."""
        space = self.space.hold_special_values()
        return space.class_scale(self.scale, self.bulk_variance, self.x[self.of_class(label)])

    @cached_property
    def logits(self) -> Float[Tensor, "kept classes"]:
        """Held-out logits: no member has seen the row that it predicts."""
        return held_out_logits(self.committee, self.features)

    def take(self, places: Int[Tensor, " some"]) -> Self:
        """The dataset of some of its rows."""
        folds = self.committee.fold_of_row[places]
        committee = replace(self.committee, fold_of_row=folds)
        x, y, rows = self.x[places], self.y[places], self.rows[places]
        return replace(self, x=x, y=y, rows=rows, committee=committee)

    def train(
        self,
        settings: Surrogate,
        generator: torch.Generator,
        weight: Float[Tensor, " kept"] | None = None,
    ) -> CrossFitted:
        """Another cross-fitted model, trained on the rows.

        With weights the settings' `fit` must have a parameter `sample_weight`.
        """
        fit: Callable[..., CrossFitted] = settings.fit
        given = {} if weight is None else {"sample_weight": weight}
        return fit(self.x, self.y, self.n_classes, generator, self.committee.features, **given)

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

    @cached_property
    def _places(self) -> dict[int, tuple[Tensor, Tensor]]:
        return {}

    def _places_of(self, label: int) -> tuple[Tensor, Tensor]:
        """The places of a class's rows and those of all others, looked up once."""
        if label not in self._places:
            is_own = self.y == label
            self._places[label] = is_own.nonzero()[:, 0], (~is_own).nonzero()[:, 0]
        return self._places[label]

    def of_class(self, label: int) -> Int[Tensor, " own"]:
        """Places of the rows of a class."""
        return self._places_of(label)[0]

    def of_others(self, label: int) -> Int[Tensor, " others"]:
        """Places of the rows of all other classes."""
        return self._places_of(label)[1]

    @property
    def positions(self) -> Float[Tensor, "kept cells"]:
        """By what rows are near: their cells, or their features where cells have no distance."""
        return self.x.flatten(1) if self.space.is_euclidean else self.features

    def neighbors(
        self,
        rows: Int[Tensor, " some"],
        others: Int[Tensor, " others"],
        n_neighbors: int,
        *,
        skips_self: bool = False,
    ) -> tuple[Float[Tensor, "some k"], Int[Tensor, "some k"]]:
        """Distance, in units of radius, and place of the nearest of the others."""
        positions = self.positions
        distance, nearby = nearest(
            positions[rows], positions[others], n_neighbors, skips_self=skips_self
        )
        if not self.space.is_euclidean:
            pairs = [self.space.distance(self.x[others[to]], self.x[rows]) for to in nearby.T]
            distance = torch.stack(pairs, 1) if pairs else distance
        return distance, others[nearby]

    def other_class_neighbors(
        self, label: int, n_neighbors: int = 1
    ) -> tuple[Float[Tensor, "own k"], Int[Tensor, "own k"]]:
        """For each row of the class distance and place of the nearest rows of other classes."""
        return self._class_neighbors(label, n_neighbors, False)

    def same_class_neighbors(
        self, label: int, n_neighbors: int
    ) -> tuple[Float[Tensor, "own k"], Int[Tensor, "own k"]]:
        """For each row of the class distance and place of its nearest rows of the same class."""
        return self._class_neighbors(label, n_neighbors, True)

    def all_neighbors(self, n_neighbors: int) -> Int[Tensor, "kept k"]:
        """For each row the places of its nearest rows of any class."""
        return self._all_neighbors(n_neighbors)

    @cached_property
    def _all_neighbors(self) -> Callable[[int], Tensor]:
        every = torch.arange(len(self.y), device=self.y.device)
        return cache(lambda k: self.neighbors(every, every, k, skips_self=True)[1])

    @cached_property
    def _class_neighbors(self) -> Callable[[int, int, bool], tuple[Tensor, Tensor]]:
        """(label, n_neighbors, of the same class) -> neighbors, computed once for all batches."""

        @cache
        def found(label: int, n_neighbors: int, is_same: bool) -> tuple[Tensor, Tensor]:
            own = self.of_class(label)
            others = own if is_same else self.of_others(label)
            return self.neighbors(own, others, n_neighbors, skips_self=is_same)

        return found
