"""A small net that votes as a whole jury does, for rows in bulk.

A jury of nets and hundreds of trees costs more than all other steps of a new row. Some thousand
draws that it has judged teach a net what it says (Bucila, Caruana, Niculescu-Mizil. Model
compression. KDD 2006). On draws that the net has not seen it shows whether it says the same.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from advaug.core.tensor_fields import TensorFields, picked
from advaug.models.committee import cross_entropy_gradients, logits_of, spread, squash
from advaug.models.optimizer import Gradients, Weights, fit_weights, in_one_vector

JURY_ROWS = 16_384  # Rows of a class that the whole jury judges; a student judges those above.
DRAWS_TAUGHT = 8192  # First draws of rows, of which the student learns what the jury says.
HELD_OUT = 4  # One draw of so many is kept to measure the student's error.
MOST_ERROR = 0.04  # Mean error of a probability above which the jury goes on.
MOST_WIDTH = 512  # Features of a row; of more a student learns too slowly.
HIDDEN_WIDTH, STEPS, BATCH, LEARNING_RATE, WEIGHT_DECAY = 64, 400, 256, 6e-3, 1e-3


@dataclass(frozen=True, repr=False)
class StudentVotes(TensorFields):
    """A net of one member, which reads standardised features.

    Parameters
    ----------
    weights : tuple of Tensor
        (1, in, out) and (1, 1, out) in turns.
    center, scale : Tensor (width,)
    """

    weights: Weights
    center: Tensor
    scale: Tensor

    def inputs(self, features: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        """The standardised features."""
        return squash((features - self.center) / self.scale)

    def __call__(self, features: Float[Tensor, "batch width"]) -> Float[Tensor, "batch classes"]:
        """Probabilities of rows whose features are known."""
        return logits_of(self.weights, features, self.inputs)[0].softmax(-1)

    @classmethod
    def learn(
        cls,
        features: Float[Tensor, "batch width"],
        probability: Float[Tensor, "batch classes"],
        generator: torch.Generator,
    ) -> Self:
        """A net that says of rows what a jury says of them."""
        sizes = [features.shape[1], HIDDEN_WIDTH, HIDDEN_WIDTH, probability.shape[1]]
        weights: list[Tensor] = []
        for into, out in pairwise(sizes):
            for shape in ((1, into, out), (1, 1, out)):
                draw = torch.rand(shape, generator=generator, dtype=torch.float32) * 2 - 1
                weights.append((draw * into**-0.5).to(features))
        vector, parts = in_one_vector(tuple(weights))
        slope, slopes = in_one_vector(tuple(weights))
        student = cls(parts, features.mean(0), spread(features))
        inputs = student.inputs(features)
        rows = torch.randint(len(features), (STEPS, BATCH), generator=generator)
        rows = rows.to(features.device)

        def gradients(step: int, _: Weights) -> Gradients:
            batch = rows[step]
            seen, said = picked(inputs, batch)[None], picked(probability, batch)
            cross_entropy_gradients(parts, seen, said, slopes)
            return (slope,)

        fit_weights(
            (vector,),
            gradients,
            ((step / STEPS, step) for step in range(STEPS)),
            learning_rate=LEARNING_RATE,
            weight_decay=WEIGHT_DECAY,
        )
        return cls(tuple(part.clone() for part in parts), student.center, student.scale)


def learn_votes(
    features: Float[Tensor, "batch width"],
    probability: Float[Tensor, "batch classes"],
    generator: torch.Generator,
) -> StudentVotes | None:
    """A student of a jury; None where it errs too much on rows that it has not seen."""
    is_held_out = torch.arange(len(features), device=features.device) % HELD_OUT == 0
    student = StudentVotes.learn(features[~is_held_out], probability[~is_held_out], generator)
    error = (student(features[is_held_out]) - probability[is_held_out]).abs().mean()
    return student if error <= MOST_ERROR else None
