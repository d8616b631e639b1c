"""Whether a row is what its label says: one number a row, from distances to real rows.

The same number of a real row, which is left out while it is measured, is the control.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from advaug.core.neighbors import balls_containing, nearest
from advaug.core.ties import tolerance


def conformal(
    usual: Float[Tensor, " references"], strangeness: Float[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """p = (1 + how many of the sorted `usual` are at least as strange) / (1 + references).

    What is less strange by no more than noise counts too: copies of a row are as strange as it is.

    Vovk, Gammerman, Shafer. Algorithmic Learning in a Random World. 2005.

    Examples
    --------
    >>> import torch
    >>> conformal(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, 2.5, 9.0]))
    tensor([1.0000, 0.5000, 0.2500])
    """
    return (1 + as_strange(usual, strangeness)) / (1 + len(usual))


def left_out(strangeness: Float[Tensor, " rows"]) -> Float[Tensor, " rows"]:
    """The conformal p-value of each row among the others."""
    usual = strangeness.sort().values
    return as_strange(usual, strangeness) / len(usual)


def as_strange(
    usual: Float[Tensor, " references"], strangeness: Float[Tensor, " batch"]
) -> Int[Tensor, " batch"]:
    """How many of the sorted `usual` are at least as strange, give or take noise."""
    least = strangeness - tolerance(strangeness, strangeness, 1.0)
    return len(usual) - torch.searchsorted(usual, least)


def is_hidden(
    x: Float[Tensor, "batch width"],
    real: Float[Tensor, "rows width"],
    is_foreign: Bool[Tensor, " rows"],
    own_place: Int[Tensor, " batch"] | None = None,
) -> Bool[Tensor, " batch"]:
    """Whether the nearest real row, other than that at `own_place`, is of another class.

    The hidden-majority test (Hassanat, Altarawneh, Alkhawaldeh et al. Stop oversampling for class
    imbalance learning: a review. IEEE Access, 2022).
    """
    _, place = nearest(x, real, 2)
    first = place[:, 0]
    if own_place is not None and place.shape[1] > 1:
        first = torch.where(first == own_place, place[:, 1], first)
    return is_foreign[first]


def novelty(
    x: Float[Tensor, "batch width"], own: Float[Tensor, "own width"], *, skips_self: bool = False
) -> Float[Tensor, " batch"]:
    """Distance to the nearest real row of the class; a copy has none, a lone row infinity."""
    if len(own) < 2 and skips_self:
        return torch.full((len(x),), torch.inf, device=x.device)
    return nearest(x, own, 1, skips_self=skips_self)[0][:, 0]


def density(
    x: Float[Tensor, "batch width"],
    own: Float[Tensor, "own width"],
    k: int = 5,
    *,
    itself: bool = False,
) -> Float[Tensor, " batch"]:
    """How many of the class's rows hold x within the ball to their k-th neighbour, divided by k.

    About 1 for a row of the class (Naeem, Oh, Uh, Choi, Yoo. Reliable fidelity and diversity
    metrics for generative models. ICML 2020). `itself`: x are those rows, and none counts itself.
    """
    return (balls_containing(x, own, ball(own, k))[0] - int(itself)) / k


def ball(own: Float[Tensor, "own width"], k: int) -> Float[Tensor, " own"]:
    """Each row's distance to its k-th neighbour, or to the farthest where there are fewer."""
    if len(own) < 2:
        return torch.zeros(len(own), device=own.device)
    return nearest(own, own, k, skips_self=True)[0][:, -1]


def guessed_parent(
    x: Float[Tensor, "batch width"], own: Float[Tensor, "own width"], places: Int[Tensor, " own"]
) -> Int[Tensor, " batch"]:
    """The nearest real row of the class: the parent where none is recorded."""
    return places[nearest(x, own, 1)[1][:, 0]]
