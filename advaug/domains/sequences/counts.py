"""How often whole numbers were seen."""

from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Int
from torch import Tensor

from advaug.core.tensor_fields import MovableFields, picked


@dataclass(frozen=True)
class Counts(MovableFields):
    """How often each whole number was seen."""

    numbers: Int[Tensor, " numbers"]  # sorted
    counts: Int[Tensor, " numbers"]

    @classmethod
    def of(cls, numbers: Int[Tensor, " all"]) -> Self:
        return cls(*numbers.unique(return_counts=True))

    def __call__(self, number: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
        if not len(self.numbers):
            return torch.zeros_like(number)
        place = torch.searchsorted(self.numbers, number.contiguous()).clamp_max(
            len(self.numbers) - 1
        )
        return picked(self.counts, place).masked_fill_(picked(self.numbers, place) != number, 0)
