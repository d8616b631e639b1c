"""A teacher's probabilities as training rows, for learners that take one label a row.

A row becomes a copy for each label, with the probability as weight. Where a learner takes no
weights, it gets one label, and near rows get others.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from advaug.models.protocol import Array
from advaug.sampling.class_generator import ClassGenerator, GenerationConfig
from advaug.sampling.provenance import RowWriter
from advaug.sampling.recipes import Recipe

LEAST_WEIGHT = 0.005  # A copy that holds a smaller share of its row's weight is left out.


@dataclass(frozen=True)
class LabelledCopies:
    """Copies of rows: the place of each copy's row, its label and its weight."""

    place: Array
    label: Array
    weight: Array


def candidate_rows(
    writer: RowWriter, recipe: Recipe, config: GenerationConfig, count: int, batch_size: int
) -> Iterator[tuple[Any, Array]]:
    """Batches of new rows in the user's container, which nobody judges, and their parents.

    Each class is parent of its share of them.
    """
    dataset = writer.dataset
    shares = dataset.y.bincount(minlength=dataset.n_classes).double().cumsum(0) / len(dataset.y)
    bounds = [0, *(shares * count).round().long().tolist()]
    for label in range(dataset.n_classes):
        generator = ClassGenerator(dataset, recipe, label, config)
        numbers = torch.arange(bounds[label + 1] - bounds[label])
        for rows in numbers.split(batch_size) if len(numbers) else ():
            batch, new, _ = writer.rows(generator.candidates(rows), label)
            yield new, dataset.rows[batch.parent].numpy()


def balanced(
    probability: Float[Array, "rows classes"], share: Float[Array, " classes"]
) -> Float[Array, "rows classes"]:
    """Probabilities as they would be if all classes were equally frequent."""
    odds = probability / share
    return np.asarray(odds / odds.sum(1, keepdims=True))


def label_weights(
    probability: Float[Array, "rows classes"], share: Float[Array, " classes"] | None
) -> Float[Array, "rows classes"]:
    """The weight of each label of each row, with mean 1 over the rows.

    With the classes' shares, each class weighs as much as any other; without, as it is.
    """
    weight = probability if share is None else probability / share
    return np.asarray(weight * (len(weight) / weight.sum()))


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
