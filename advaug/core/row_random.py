"""Random numbers that belong to a row: a pure function of its key, a step and a cell.

Nothing is drawn in sequence, so the numbers of a row do not depend on the rest of its batch, on the
order of the work, or on the device (as Salmon, Moraes, Dror, Shaw. Parallel random numbers: as easy
as 1, 2, 3. SC 2011).
"""

from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from advaug.core.short_repr import ShortRepr

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15
# The two factors of the 32-bit mixer, as signed numbers that wrap around.
FIRST, SECOND = 0x7FEB352D, 0x846CA68B - 2**32


def signed(number: int) -> int:
    """A whole number modulo 2**64, as a signed 64-bit number."""
    number &= MASK
    return number - 2**64 if number >= 2**63 else number


# The factors of SplitMix64 (Steele, Lea, Flood. Fast splittable pseudorandom number generators.
# OOPSLA 2014).
FACTORS = signed(0xBF58476D1CE4E5B9), signed(0x94D049BB133111EB)


def shifted(bits: Int[Tensor, "*shape"], by: int) -> Int[Tensor, "*shape"]:
    """64-bit numbers shifted right, zeros filled in."""
    return (bits >> by).bitwise_and_(2 ** (64 - by) - 1)


def mix_keys(
    keys: Int[Tensor, "*shape"], step: int | Int[Tensor, "*shape"]
) -> Int[Tensor, "*shape"]:
    """New keys that look unrelated to the old ones and to those of other steps (SplitMix64)."""
    if isinstance(step, Tensor):
        bits = keys + (step + 1) * signed(GOLDEN)
    else:
        bits = keys + signed((step + 1) * GOLDEN)
    bits = (bits ^ shifted(bits, 30)) * FACTORS[0]
    bits = (bits ^ shifted(bits, 27)) * FACTORS[1]
    return bits ^ shifted(bits, 31)


def mix_seed(seed: int, *path: int) -> int:
    """One whole number of 63 bits from a seed and the way to where it is used."""
    key = seed & MASK
    for step in path:  # As `mix_keys`, in whole numbers of Python.
        bits = (key + (step + 1) * GOLDEN) & MASK
        bits = (bits ^ bits >> 30) * FACTORS[0] & MASK
        bits = (bits ^ bits >> 27) * FACTORS[1] & MASK
        key = bits ^ bits >> 31
    return key & (2**63 - 1)


def generator_at(seed: int, *path: int) -> torch.Generator:
    """A fresh torch generator for what is fitted once, such as a model: its own for each path."""
    return torch.Generator().manual_seed(mix_seed(seed, *path))


def mix_bits(bits: Int[Tensor, "*shape"], shift: int, factor: int) -> Int[Tensor, "*shape"]:
    """32-bit numbers with their high bits brought down and spread again; changed in place."""
    bits ^= (bits >> shift).bitwise_and_(2 ** (32 - shift) - 1)
    return bits.mul_(factor)


@dataclass(frozen=True, eq=False, repr=False)
class RowRandom(ShortRepr):
    """Uniform random numbers of each row of a batch.

    Parameters
    ----------
    keys : int64 Tensor (batch,)
        What tells the rows apart. Rows of equal keys have equal numbers.

    Examples
    --------
    >>> import torch
    >>> random = RowRandom.of(seed=0, label=1, rows=torch.arange(3))
    >>> random.uniform(4).shape
    torch.Size([3, 4])
    >>> bool((random.uniform(4) == random.uniform(4)).all())  # a pure function
    True
    >>> bool((random.at(1).uniform(4) == random.at(2).uniform(4)).any())  # of the step
    False
    >>> bool((random.take([2]).uniform(4) == random.uniform(4)[2]).all())  # and of the row alone
    True
    """

    keys: Int[Tensor, " batch"]

    @classmethod
    def of(cls, seed: int, label: int, rows: Int[Tensor, " batch"]) -> Self:
        """The numbers of the rows with these row numbers in a class."""
        return cls(mix_keys(rows + signed(mix_seed(seed, label)), 0))

    @classmethod
    def from_generator(cls, count: int, generator: torch.Generator) -> Self:
        """For rows that are drawn anew in each step of a training: keys drawn in row order."""
        keys = torch.randint(
            2**62, (count,), generator=generator, device=generator.device, dtype=torch.long
        )
        return cls(keys)

    def take(self, rows: Shaped[Tensor, " some"] | list[int]) -> Self:
        """Those of some of the rows, or of some of them several times."""
        return type(self)(self.keys[rows])

    def split(self, height: int) -> list[Self]:
        """Those of so many rows each, as `Tensor.split` cuts them."""
        return [type(self)(keys) for keys in self.keys.split(height)]

    def to(self, device: torch.device | str) -> Self:
        return type(self)(self.keys.to(device))

    def at(self, step: int | Int[Tensor, " batch"]) -> Self:
        """Another, unrelated stream of the same rows: one for each step of an algorithm."""
        return type(self)(mix_keys(self.keys, step))

    def uniform(self, *shape: int) -> Float[Tensor, "batch *shape"]:
        """Float32 numbers in [0, 1) for each row; the same at each call."""
        cells = torch.arange(torch.Size(shape).numel(), device=self.keys.device)
        return self.of_cells(cells).view(-1, *shape)

    def of_cells(self, cells: Int[Tensor, " cells"]) -> Float[Tensor, "batch cells"]:
        """`uniform` of some cells alone, by their places."""
        cells = cells.int()
        low, high = self.keys.int(), (self.keys >> 32).int()
        start = mix_bits(mix_bits(low.clone(), 16, FIRST) + high, 15, SECOND)
        bits = mix_bits(start[:, None] + cells, 16, FIRST)
        bits = mix_bits(bits.add_(high[:, None]), 15, SECOND)
        bits ^= (bits >> 16).bitwise_and_(2**16 - 1)
        return (bits >> 8).bitwise_and_(2**24 - 1).to(torch.float32).mul_(2**-24)

    def integers(self, bound: int | Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
        """A whole number from 0 to below `bound` for each row."""
        return (self.uniform(1)[:, 0].double() * bound).long()
