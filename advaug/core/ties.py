"""Comparisons of floats that the rounding of the arithmetic does not decide.

A net's answer to a row changes in its last digits with the height of the batch and with the
processor. Two values that differ by less than the resolution count as equal here, and equal values
keep the order of their places, or of their random keys.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

# A float32 net of a few layers repeats its answers to about 1e-6 of their size (8 units in the last
# place). eps ** (2 / 3) is 2.4e-5 in float32 and 3.7e-11 in float64: 20 times the noise, and far
# below any difference in a score, a probability or a distance that a user could mean.
EXPONENT = 2 / 3


def resolution(dtype: torch.dtype) -> float:
    """The share of a value's size below which a difference is noise."""
    return float(torch.finfo(dtype).eps ** EXPONENT)


def tolerance(a: Tensor, b: Tensor, unit: float | Tensor) -> Tensor:
    """The largest difference of two values that is noise: a share of their size, or of `unit`.

    Where one of the values is infinite the size of the other one counts, so that an infinite value
    still exceeds every finite one.
    """
    size = a.abs().minimum(b.abs()).clamp_max(torch.finfo(a.dtype).max)
    return resolution(a.dtype) * size.clamp_min(unit)


def exceeds(
    a: Float[Tensor, "*#shape"], b: Float[Tensor, "*#shape"] | float, unit: float | Tensor = 1.0
) -> Bool[Tensor, "..."]:
    """Whether a is larger than b by more than noise; False where either is no number.

    Parameters
    ----------
    unit : float or Tensor
        The least size that the resolution is a share of. 1 suits logits, margins and
        probabilities, whose noise does not shrink near 0, because they are sums of larger terms.
        0 suits lengths and distances, whose noise does. Sums that are all small (first-order gains
        of a saturated net) need the size of the largest of them.

    Examples
    --------
    >>> import torch
    >>> exceeds(torch.tensor([1.00001, 1.001]), torch.tensor([1.0, 1.0]))
    tensor([False,  True])
    """
    b = b if isinstance(b, Tensor) else torch.full_like(a, b)
    return (a - b) > tolerance(a, b, unit)


def at_least(
    a: Float[Tensor, "*#shape"], b: Float[Tensor, "*#shape"] | float, unit: float | Tensor = 1.0
) -> Bool[Tensor, "..."]:
    """Whether a >= b, give or take noise; False where either is no number."""
    b = b if isinstance(b, Tensor) else torch.full_like(a, b)
    return (a >= b) | ((b - a) <= tolerance(a, b, unit))


def at_most(
    a: Float[Tensor, "*#shape"], b: Float[Tensor, "*#shape"] | float, unit: float | Tensor = 1.0
) -> Bool[Tensor, "..."]:
    """Whether a <= b, give or take noise; False where either is no number."""
    return at_least(-a, -b, unit)


def stable_argmax(
    values: Float[Tensor, "*batch n"], unit: float | Tensor = 1.0
) -> Int[Tensor, "*batch"]:
    """Place of the largest value of the last axis; of those that only noise tells apart, the first.

    What is no number is never the largest, unless nothing else is there.

    Examples
    --------
    >>> import torch
    >>> stable_argmax(torch.tensor([[0.0, 1.0, 1.000001], [3.0, 1.0, 2.0]]))
    tensor([1, 0])
    """
    values = values.masked_fill(values.isnan(), -torch.inf)
    largest = values.amax(-1, keepdim=True)
    tied = values >= largest - tolerance(largest, largest, unit)
    return tied.long().argmax(-1)


def tie_groups(
    values: Float[Tensor, "*batch n"], unit: float | Tensor = 1.0
) -> Int[Tensor, "*batch n"]:
    """The number of each value's group along the last axis, 0 for the largest values.

    A group ends where the next smaller value is farther than noise; what is no number comes last.

    Examples
    --------
    >>> import torch
    >>> tie_groups(torch.tensor([2.0, 5.0, 2.000001, 1.0]))
    tensor([1, 0, 1, 2])
    """
    order, group = _in_groups(values, unit)
    return torch.zeros_like(order).scatter(-1, order, group)


def _in_groups(values: Tensor, unit: float | Tensor) -> tuple[Tensor, Tensor]:
    """Places along the last axis, the largest value first, and the number of the group of each."""
    values = values.masked_fill(values.isnan(), -torch.inf)
    ordered, order = values.sort(dim=-1, descending=True, stable=True)
    starts = exceeds(ordered[..., :-1], ordered[..., 1:], unit)
    return order, torch.nn.functional.pad(starts.long().cumsum(-1), (1, 0))


def stable_argsort(
    values: Float[Tensor, "*batch n"],
    unit: float | Tensor = 1.0,
    keys: Float[Tensor, "*batch n"] | None = None,
) -> Int[Tensor, "*batch n"]:
    """Places along the last axis, the largest value first; tied ones by key, then by place.

    Examples
    --------
    >>> import torch
    >>> stable_argsort(torch.tensor([2.0, 5.0, 2.000001, 1.0]))
    tensor([1, 0, 2, 3])
    """
    order, group = _in_groups(values, unit)
    if keys is not None:
        by_key = keys.argsort(dim=-1, stable=True)
        order = by_key.argsort(dim=-1).gather(-1, order)  # places among the keys
    many, number = values.shape[-1], group * values.shape[-1] + order
    if values.device.type == "cpu":
        tied = group[..., -1:].sum(-1) < many - 1  # These rows are few, and a sort costs most.
        order[tied] = number[tied].sort(dim=-1).values % max(many, 1)
    else:  # The host must not wait for an answer: an attack may be captured as a CUDA graph.
        order = number.sort(dim=-1).values % max(many, 1)
    return order if keys is None else by_key.gather(-1, order)


def stable_topk(
    values: Float[Tensor, "batch n"], k: int, unit: float | Tensor = 1.0
) -> Int[Tensor, "batch k"]:
    """The first k columns of `stable_argsort`; only rows with a tie across k are sorted whole.

    Examples
    --------
    >>> import torch
    >>> stable_topk(torch.tensor([[2.0, 5.0, 2.000001, 1.0]]), 2)
    tensor([[1, 0]])
    """
    if not 0 < k < values.shape[1]:
        return stable_argsort(values, unit)[:, :k]
    values = values.masked_fill(values.isnan(), -torch.inf)
    highest = values.topk(k + 1, dim=1)
    place = highest.indices[:, :k].sort(dim=1).values
    found = place.gather(1, stable_argsort(values.gather(1, place), unit))
    last, next_one = highest.values[:, k - 1 : k], highest.values[:, k:]
    tied = ~exceeds(last, next_one, unit)[:, 0]
    if tied.any():
        unit = unit[tied] if isinstance(unit, Tensor) else unit
        found[tied] = stable_argsort(values[tied], unit)[:, :k]
    return found


def largest_size(values: Float[Tensor, "batch n"]) -> Float[Tensor, "batch one"]:
    """The largest finite size in each row: the unit of values that are all small, or all large."""
    return values.abs().nan_to_num(nan=0.0, posinf=0.0).amax(-1, keepdim=True)
