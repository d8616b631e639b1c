"""Rows of token numbers, -1 to the end: their lengths, neighbours, gaps, and one piece put in."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

END = -1


def lengths(x: Tensor) -> Int[Tensor, " batch"]:
    """How many tokens each row has."""
    return (x != END).sum(1)


def neighbours(x: Int[Tensor, "batch length"]) -> Int[Tensor, "batch longer"]:
    """The rows with an end in front and some behind: token k stands at k + 1."""
    end = torch.full_like(x[:, :1], END)
    return torch.cat([end, x, end, end, end], 1)


def compact(x: Float[Tensor, "batch length"]) -> Float[Tensor, "batch length"]:
    """Rows without gaps: padding goes to the end."""
    gap = x == END
    if not bool((gap[:, :-1] & ~gap[:, 1:]).any()):
        return x
    return x.gather(1, gap.long().argsort(dim=1, stable=True))


def spliced(
    x: Int[Tensor, "batch length"],
    start: Int[Tensor, " batch"],
    removed: Int[Tensor, " batch"],
    block: Int[Tensor, "batch block"],
    size: Int[Tensor, " batch"],
) -> Int[Tensor, "batch length"]:
    """x with `removed` tokens from `start` on replaced by the first `size` of the block."""
    start, removed, size = start[:, None], removed[:, None], size[:, None]
    at = torch.arange(x.shape[1], device=x.device)[None]
    inside = block.gather(1, (at - start).clamp(0, block.shape[1] - 1))
    source = at - size + removed
    behind = x.gather(1, source.clamp(0, x.shape[1] - 1))
    behind = behind.masked_fill(source >= x.shape[1], END)
    return torch.where(at < start, x, torch.where(at < start + size, inside, behind))


def keys_of(noise: Float[Tensor, "batch length"]) -> Int[Tensor, " batch"]:
    """A number for each row that tells its cells apart from any other's."""
    bits = noise.float().contiguous().view(torch.int32).long()
    places = torch.arange(1, bits.shape[1] + 1, device=bits.device)
    stirred = (bits + places * 0x9E3779B97F4A7C1) * 0x2545F4914F6CDD1D
    stirred ^= stirred >> 29
    return (stirred * 0x1B873593).sum(1)
