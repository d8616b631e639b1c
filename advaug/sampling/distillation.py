"""A teacher's probabilities as training rows, for learners that take one label a row.

A row becomes a copy for each label, with the probability as weight. Where a learner takes no
weights, it gets one label, and near rows get others.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.core.row_random import generator_at
from advaug.models.protocol import Array
from advaug.sampling.class_generator import (
    ClassGenerator,
    ClassRows,
    GenerationConfig,
    SyntheticBatch,
    in_order,
)
from advaug.sampling.encoded_dataset import EncodedDataset
from advaug.sampling.provenance import RowWriter
from advaug.sampling.recipes import Recipe

LEAST_WEIGHT = 0.005  # A copy that holds a smaller share of its row's weight is left out.


@dataclass(frozen=True)
class LabelledPool:
    """Candidate rows side by side with those of the same parent, and a teacher's probabilities.

    Parameters
    ----------
    dataset : EncodedDataset
    batch : SyntheticBatch
    probability : Tensor (rows, classes)
    """

    dataset: EncodedDataset
    batch: SyntheticBatch
    probability: Float[Tensor, "rows classes"]

    @classmethod
    def of(
        cls,
        dataset: EncodedDataset,
        candidates: Iterable[tuple[SyntheticBatch, Any]],
        teacher: Callable[[Tensor], Array],
    ) -> Self:
        """Candidate rows with the probabilities that a teacher gives encoded rows."""
        batch = in_order([replace(one, rows=one.parent) for one, _ in candidates])
        return cls(dataset, batch, torch.from_numpy(teacher(batch.x)))

    def of_class(self, label: int, count: int) -> "PoolRows":
        """`count` copies with a label: of each row as many as its probability says, or one more.

        Systematic sampling along the pool.
        """
        heights = self.probability[:, label].cumsum(0)
        expected = heights * (count / heights[-1])
        random = torch.rand((), generator=generator_at(self.dataset.seed, label))
        place = torch.searchsorted(expected, torch.arange(count) + random.double(), right=True)
        place = place.clamp_max(len(heights) - 1)
        times = place.bincount(minlength=len(heights))
        weight = (expected.diff(prepend=expected.new_zeros(1)) / times)[place]
        return PoolRows(self, label, place, weight)


@dataclass(frozen=True)
class PoolRows(ClassRows):
    """Rows of a pool as new rows of one class: as many as the pool was made for."""

    pool: LabelledPool | None
    label: int
    place: Int[Tensor, " count"]
    weight: Float[Tensor, " count"]

    def rows(self, rows: Int[Tensor, " batch"]) -> SyntheticBatch:
        if self.pool is None or (len(rows) and int(rows.max()) >= len(self.place)):
            raise ValueError(
                f"row {int(rows.max())} of a class is asked for, but recipe Distill has made "
                f"{len(self.place)} of them, whose labels depend on each other: let more rows grow "
                "in sampling_strategy, and fit again"
            )
        place = self.place[rows]
        batch = self.pool.batch.take(place)
        margins = self.pool.dataset.margins(self.label)[batch.parent]
        probability = self.pool.probability[place, self.label].float()
        record = {**batch.record, "margin_before": margins, "probability": probability}
        return replace(batch, rows=rows, record=record)

    def weights(self, rows: Int[Tensor, " batch"], probability: Array) -> Array:
        return np.asarray(self.weight[rows].numpy())


@dataclass(frozen=True)
class LabelledCopies:
    """Copies of rows: the place of each copy's row, its label and its weight."""

    place: Array
    label: Array
    weight: Array


def candidate_rows(
    writer: RowWriter, recipe: Recipe, config: GenerationConfig, count: int, batch_size: int
) -> Iterator[tuple[SyntheticBatch, Any]]:
    """Batches of new rows, which nobody judges, encoded and in the user's container.

    Each class is parent of its share of them.
    """
    dataset, config = writer.dataset, replace(config, keeps_typical=False)
    shares = dataset.y.bincount(minlength=dataset.n_classes).double().cumsum(0) / len(dataset.y)
    bounds = [0, *(shares * count).round().long().tolist()]
    for label in range(dataset.n_classes):
        generator = ClassGenerator(dataset, recipe, label, config)
        numbers = torch.arange(bounds[label + 1] - bounds[label])
        for rows in numbers.split(batch_size) if len(numbers) else ():
            batch, new, _ = writer.rows(generator.candidates(rows), label)
            yield batch, writer.coding.renumber(new, bounds[label] + rows.numpy())


def label_weights(
    probability: Float[Array, "rows classes"],
    share: Float[Array, " classes"],
    row_weight: Float[Array, " rows"],
) -> Float[Array, "rows classes"]:
    """The weight of each label of each row, divided by its share; the sum is that of the rows."""
    weight = probability * row_weight[:, None] / share
    return np.asarray(weight * (row_weight.sum() / weight.sum()))


def weighted_copies(weight: Float[Array, "rows classes"]) -> LabelledCopies:
    """A copy of each row for each of its labels, without those of hardly any weight."""
    place, label = np.nonzero(weight >= LEAST_WEIGHT * weight.sum(1, keepdims=True))
    return LabelledCopies(place, label, weight[place, label])


def one_label_each(probability: Float[Array, "rows classes"], order: Array) -> LabelledCopies:
    """One label for each row, so that any run of rows in `order` has its expected labels.

    What a label leaves of its row's probabilities, or takes too much, is carried to the next row
    (error diffusion). The order puts rows side by side that are near each other.
    """
    label, rest = np.empty(len(probability), int), np.zeros(probability.shape[1])
    for place in order:
        rest += probability[place]
        label[place] = rest.argmax()
        rest[label[place]] -= 1
    return LabelledCopies(np.arange(len(label)), label, np.ones(len(label)))
