"""Motifs of aligned rows: tokens that a class has in their places, and other classes have not."""

import torch
from jaxtyping import Int
from torch import Tensor

from advaug.core.space import is_typical


def motif_of(
    own: Int[Tensor, "own length"], others: Int[Tensor, "others length"]
) -> Int[Tensor, " length"]:
    """The most frequent token of each place where it is typical of the class, else -1.

    Examples
    --------
    >>> import torch
    >>> from advaug.domains.sequences.motifs import motif_of
    >>> own, others = torch.tensor([[0, 2, 1], [1, 2, 1]] * 9), torch.tensor([[0, 1, 1]] * 30)
    >>> motif_of(own, others)
    tensor([-1,  2, -1])
    """
    token = own.mode(0).values
    shares = [(rows == token).double().mean(0) for rows in (own, others)]
    if not len(others):
        shares[1] = torch.ones_like(shares[0])
    is_held = is_typical(shares[0], len(own), shares[1], len(others))
    return token.masked_fill(~is_held, -1)
