"""Chance of its own for each row, so that attacks of many draws may drop rows and cut batches.

A row's numbers are a hash of its key, of how often it has drawn, and of the cell (as Salmon,
Moraes, Dror, Shaw. Parallel random numbers: as easy as 1, 2, 3. SC 2011): no draw depends on which
other rows are there, or on the device.
"""

from typing import Self

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

FIRST, SECOND = 0x7FEB352D, 0x846CA68B - 2**32  # as signed 32-bit numbers, which wrap


def mix_bits(bits: Int[Tensor, "*shape"], shift: int, factor: int) -> Int[Tensor, "*shape"]:
    """High bits brought down, then spread over the higher ones; `bits` itself is changed."""
    bits ^= (bits >> shift).bitwise_and_(2 ** (32 - shift) - 1)
    return bits.mul_(factor)


class Chance:
    """A stream of uniform numbers for each row; it goes on with every draw.

    Parameters
    ----------
    keys : int64 Tensor (batch,)
        What tells the rows' streams apart.
    drawn : int
        How many draws were made before.

    Examples
    --------
    >>> import torch
    >>> chance = Chance.of(torch.zeros(3, 2), torch.Generator().manual_seed(0))
    >>> chance.draw(4).shape
    torch.Size([3, 4])
    """

    def __init__(self, keys: Int[Tensor, " batch"], drawn: int = 0) -> None:
        self.keys = keys
        self.drawn = drawn

    @classmethod
    def of(
        cls, like: Shaped[Tensor, "batch *shape"], generator: "torch.Generator | Chance"
    ) -> "Chance":
        """Streams for the rows of `like`: one number a row is drawn, in row order."""
        if isinstance(generator, Chance):
            return generator
        keys = torch.randint(
            2**62, (len(like),), generator=generator, device=generator.device, dtype=torch.long
        )
        return cls(keys.to(like.device))

    def take(self, rows: Shaped[Tensor, " some"]) -> Self:
        """The streams of some of the rows, where they stand now."""
        return type(self)(self.keys[rows], self.drawn)

    def draw(self, *shape: int) -> Float[Tensor, "batch *shape"]:
        """Uniform float32 numbers in [0, 1) for each row."""
        cells = torch.arange(torch.Size(shape).numel(), device=self.keys.device, dtype=torch.int32)
        low, high = self.keys.int(), (self.keys >> 32).int()
        start = mix_bits(mix_bits(low + self.drawn, 16, FIRST) + high, 15, SECOND)
        bits = mix_bits(start[:, None] + cells, 16, FIRST)
        bits = mix_bits(bits.add_(high[:, None]), 15, SECOND)
        bits ^= (bits >> 16).bitwise_and_(2**16 - 1)
        self.drawn += 1
        uniform = (bits >> 8).bitwise_and_(2**24 - 1).to(torch.float32).mul_(2**-24)
        return uniform.view(-1, *shape)
