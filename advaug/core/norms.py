"""Lengths of moves, and the two things an attack needs of a length.

`steepest` is the longest gain per unit of length (the dual norm's direction), `project` the way
back into the ball; `standard_normal` and `ball` turn uniform noise into moves of any norm.
"""

import math

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from advaug.core.row_random import RowRandom
from advaug.core.ties import largest_size, stable_argmax, stable_argsort

NORMS = (math.inf, 2.0, 1.0)


def per_row(values: Shaped[Tensor, " batch"], like: Shaped[Tensor, "batch *shape"]) -> Tensor:
    """`values` shaped to broadcast over the rows of `like`."""
    shaped: Tensor = values.view(-1, *(1,) * (like.dim() - 1))
    return shaped


def length(move: Float[Tensor, "batch *shape"], norm: float) -> Float[Tensor, " batch"]:
    """Length of each row's move, in norm inf, 2 or 1."""
    size: Tensor = torch.linalg.vector_norm(move.flatten(1), ord=norm, dim=1)
    return size


def steepest(gradient: Float[Tensor, "batch *shape"], norm: float) -> Float[Tensor, "batch *shape"]:
    """The move of length 1 that gains most on `gradient`: its gain is the dual norm.

    inf: sign(g).  2: g / ||g||.  1: all of it on the coordinate of largest |g|.  A row without
    gradient does not move.
    """
    if norm == math.inf:
        return torch.sign(gradient)
    flat = gradient.flatten(1)
    tiny = torch.finfo(flat.dtype).tiny
    if norm == 2:
        flat = flat / flat.abs().sum(1, keepdim=True).clamp_min(tiny)  # squares could underflow
        unit = flat / torch.linalg.vector_norm(flat, dim=1, keepdim=True).clamp_min(tiny)
    elif norm == 1:
        where = stable_argmax(flat.abs(), unit=0.0)[:, None]
        unit = torch.zeros_like(flat).scatter(1, where, flat.gather(1, where).sign())
    else:
        raise ValueError(f"norm must be inf, 2 or 1, got {norm!r}")
    shaped: Tensor = unit.view_as(gradient)
    return shaped


def project(
    move: Float[Tensor, "batch *shape"], radius: Float[Tensor, " batch"], norm: float
) -> Float[Tensor, "batch *shape"]:
    """The nearest move that is no longer than `radius` (L1: Duchi et al., ICML 2008)."""
    if norm == math.inf:
        reach = per_row(radius, move)
        return torch.maximum(torch.minimum(move, reach), -reach)
    if norm == 2:
        scale = radius / length(move, 2).clamp_min(torch.finfo(move.dtype).tiny)
        return move * per_row(scale.clamp_max(1), move)
    if norm != 1:
        raise ValueError(f"norm must be inf, 2 or 1, got {norm!r}")
    flat = move.flatten(1)
    ordered = flat.abs().sort(dim=1, descending=True).values
    excess = ordered.cumsum(1) - radius[:, None]
    rank = torch.arange(1, flat.shape[1] + 1, device=flat.device, dtype=flat.dtype)
    kept = (ordered * rank > excess).sum(1, keepdim=True).clamp_min(1)
    cut = (excess.gather(1, kept - 1) / kept).clamp_min(0)
    return (flat.sign() * (flat.abs() - cut).clamp_min(0)).view_as(move)


def fill(
    gradient: Float[Tensor, "batch *shape"],
    room: Float[Tensor, "batch *shape"],
    radius: Float[Tensor, " batch"],
) -> Float[Tensor, "batch *shape"]:
    """The move of L1 length `radius` that gains most where each coordinate has only `room`.

    The coordinate of largest |g| goes as far as it can, then the next one: a continuous knapsack.
    Of coordinates whose |g| differ by noise the first one goes first.
    """
    flat = gradient.flatten(1)
    order = stable_argsort(flat.abs(), unit=largest_size(flat))
    most = room.flatten(1).minimum(radius[:, None]).gather(1, order)
    spent = most.cumsum(1) - most
    share = most.minimum((radius[:, None] - spent).clamp_min(0))
    move = torch.zeros_like(flat).scatter(1, order, share) * flat.sign()
    return move.view_as(gradient)


def project_between(
    move: Float[Tensor, "batch *shape"],
    radius: Float[Tensor, " batch"],
    room: Float[Tensor, "batch *shape"],
) -> Float[Tensor, "batch *shape"]:
    """The nearest move of L1 length at most `radius` whose coordinates keep to `room`.

    Each |m| becomes clip(|m| - cut, 0, room). The length falls in straight pieces as `cut` grows:
    the pieces' ends are sorted, and the cut is found on its own piece (Croce, Hein, ICML 2021).
    """
    size = move.flatten(1).abs()
    most = room.flatten(1).minimum(size)
    ends, order = torch.cat([size, size - most], 1).sort(dim=1, descending=True)
    slope = torch.where(order < size.shape[1], 1.0, -1.0).to(size).cumsum(1)
    drops = (ends[:, :-1] - ends[:, 1:]) * slope[:, :-1]
    grown = torch.cat([torch.zeros_like(ends[:, :1]), drops.cumsum(1)], 1)  # length, cut there
    last = (grown <= radius[:, None]).sum(1, keepdim=True) - 1
    rest = radius[:, None] - grown.gather(1, last)
    cut = ends.gather(1, last) - rest / slope.gather(1, last).clamp_min(1)
    kept = (size - cut.clamp_min(0)).clamp_min(0).minimum(most)
    scale = radius[:, None] / kept.sum(1, keepdim=True).clamp_min(torch.finfo(kept.dtype).tiny)
    return (kept * scale.clamp_max(1) * move.flatten(1).sign()).view_as(move)


def standard_normal(noise: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Uniform noise in [0, 1) as standard normal values."""
    edge = torch.finfo(noise.dtype).eps
    return torch.erfinv((2 * noise - 1).clamp(edge - 1, 1 - edge)) * math.sqrt(2)


def ball(
    noise: Float[Tensor, "batch *shape"], radius: Float[Tensor, " batch"], norm: float
) -> Float[Tensor, "batch *shape"]:
    """Moves spread over the ball of `radius` (inf: uniform; 2 and 1: uniform direction)."""
    if norm == math.inf:
        return (2 * noise - 1) * per_row(radius, noise)
    direction = standard_normal(noise)
    size = length(direction, norm).clamp_min(torch.finfo(noise.dtype).tiny)
    # One draw a coordinate keeps a row's draw the same in any batch, so the length takes the
    # low digits of the first coordinate's noise: they say nothing of its direction.
    share = (noise.flatten(1)[:, 0] * 4096 % 1) ** (1 / noise.shape[1:].numel())
    return direction * per_row(radius * share / size, noise)


def draw(
    like: Float[Tensor, "batch *shape"],
    random: RowRandom,
    cells: Int[Tensor, " cells"] | None = None,
    first: int = 0,
) -> Float[Tensor, "batch *shape"]:
    """Uniform noise for each cell of the rows, as each row's own random numbers have it.

    cells : flat places of the cells that need noise; the others get 0
    first : which of the random numbers is that of the first cell
    """
    if cells is None:
        cells = torch.arange(like.shape[1:].numel(), device=random.keys.device)
        return uniform_of(like, random, cells + first).view_as(like)
    noise = torch.zeros_like(like)
    noise.flatten(1)[:, cells] = uniform_of(like, random, cells + first)
    return noise


def uniform_of(
    like: Float[Tensor, "..."], random: RowRandom, places: Int[Tensor, " cells"]
) -> Float[Tensor, "batch cells"]:
    """Some of each row's own random numbers, in the dtype and on the device of `like`."""
    edge = 1 - torch.finfo(like.dtype).eps  # half precision rounds up to 1
    flat = random.of_cells(places.to(random.keys.device))
    return flat.to(device=like.device, dtype=like.dtype).clamp_max(edge)
