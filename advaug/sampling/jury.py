"""Who says how probable a new row's label is: the committee with other models, on equal terms or
weighted.

The answer is for classes that are equally frequent, as they are after over-sampling.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from advaug.models.protocol import Array, Voter
from advaug.models.stacking import balanced
from advaug.sampling.stack import Stack


class Jury(Protocol):
    """Models that vote on the label of encoded rows."""

    def __call__(
        self,
        x: Float[Tensor, "batch *shape"],
        features: Float[Tensor, "batch width"],
        members: Float[Tensor, "members batch classes"],
    ) -> Float[Tensor, "batch classes"]:
        """Probabilities of encoded rows, of which the members of the committee say these logits."""
        ...


@dataclass(frozen=True)
class EqualVotes(Jury):
    """The mean of the committee and of other models, all trained with classes of equal weight.

    Parameters
    ----------
    voters : tuple of callables
        They read the committee's features.
    row_voters : tuple of callables
        They read encoded rows.
    """

    voters: tuple[Voter, ...] = ()
    row_voters: tuple[Voter, ...] = ()

    def __call__(
        self,
        x: Float[Tensor, "batch *shape"],
        features: Float[Tensor, "batch width"],
        members: Float[Tensor, "members batch classes"],
    ) -> Float[Tensor, "batch classes"]:
        votes = [
            members.softmax(-1).mean(0),
            *(voter(features).to(features) for voter in self.voters),
            *(voter(x).to(features) for voter in self.row_voters),
        ]
        return torch.stack(votes).mean(0)


@dataclass(frozen=True)
class StackedVotes(Jury):
    """The stack, for classes that are equally frequent.

    Parameters
    ----------
    stack : Stack
    share : ndarray (classes,)
        The class shares of the rows that it was fitted on.
    """

    stack: Stack
    share: Float[Array, " classes"]

    def __call__(
        self,
        x: Float[Tensor, "batch *shape"],
        features: Float[Tensor, "batch width"],
        members: Float[Tensor, "members batch classes"],
    ) -> Float[Tensor, "batch classes"]:
        probability = balanced(self.stack.read(x, features, members), self.share)
        return torch.from_numpy(np.asarray(probability)).to(features)
