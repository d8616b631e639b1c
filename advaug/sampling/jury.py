"""Who says how probable a new row's label is: the committee with other models, on equal terms or
weighted.

The answer is for classes that are equally frequent, as they are after over-sampling.
"""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.core.tensor_fields import picked
from advaug.core.ties import exceeds
from advaug.models.committee import mean_probability
from advaug.models.protocol import Array, Voter
from advaug.models.stacking import balanced
from advaug.sampling.stack import Stack
from advaug.sampling.tasks import Question, Task, finish

# Places of rows, and the probabilities of their classes.
Ballot: TypeAlias = tuple[Int[Tensor, " some"], Float[Tensor, "some classes"]]


class Jury(Protocol):
    """Models that vote on the label of encoded rows."""

    @property
    def is_slow(self) -> bool:
        """Whether a small net that says the same is much faster."""
        return True

    @property
    def reads_rows(self) -> bool:
        """Whether some voters read no features, so that they are asked before these are known."""
        return False

    def __call__(
        self,
        x: Float[Tensor, "batch *shape"],
        features: Float[Tensor, "batch width"],
        members: Float[Tensor, "members batch classes"],
    ) -> Float[Tensor, "batch classes"]:
        """Probabilities of encoded rows, of which the members of the committee say these logits."""
        ...

    def possible_rows(
        self, x: Float[Tensor, "batch *shape"], label: int, least: Float[Tensor, " batch"]
    ) -> Task[Int[Tensor, " some"]]:
        """The places of rows whose label may be as probable as `least`, as far as those voters
        know who read no features. By default all rows.
        """
        yield from ()
        return torch.arange(len(x), device=x.device)

    def above(
        self,
        x: Float[Tensor, "batch *shape"],
        features: Float[Tensor, "batch width"],
        members: Float[Tensor, "members batch classes"],
        label: int,
        least: Float[Tensor, " batch"],
    ) -> Task[Ballot]:
        """The places of all rows whose label may be as probable as `least`, and probabilities.

        A task, so that voters are asked about several classes at once. By default all rows.
        """
        yield from ()
        return torch.arange(len(x), device=x.device), self(x, features, members)


@dataclass(frozen=True)
class EqualVotes(Jury):
    """The mean of the committee and of other models, all trained with classes of equal weight.

    Parameters
    ----------
    voters : tuple of callables
        They read the committee's features.
    row_voters : tuple of callables
        They read encoded rows, and cost no more than the features and the committee.
    order : tuple of int
        The places of `voters` in the order in which `above` asks them, the cheapest first. By
        default their own.
    """

    voters: tuple[Voter, ...] = ()
    row_voters: tuple[Voter, ...] = ()
    order: tuple[int, ...] = ()

    @property
    def is_slow(self) -> bool:
        return bool(self.voters)

    @property
    def reads_rows(self) -> bool:
        return bool(self.row_voters)

    def __call__(
        self,
        x: Float[Tensor, "batch *shape"],
        features: Float[Tensor, "batch width"],
        members: Float[Tensor, "members batch classes"],
    ) -> Float[Tensor, "batch classes"]:
        nothing = members.new_zeros(len(x))
        return finish(self.above(x, features, members, 0, nothing))[1]

    def possible_rows(
        self, x: Float[Tensor, "batch *shape"], label: int, least: Float[Tensor, " batch"]
    ) -> Task[Int[Tensor, " some"]]:
        places, own = torch.arange(len(x), device=x.device), torch.zeros_like(least)
        n_voters = 1 + len(self.voters) + len(self.row_voters)
        for count, voter in enumerate(self.row_voters, 1):
            found = yield Question(voter, x[places])
            own = own + found[:, label].to(own)
            stay = (~exceeds(least[places], (own + n_voters - count) / n_voters)).nonzero()[:, 0]
            places, own = places[stay], own[stay]
        return places

    def above(
        self,
        x: Float[Tensor, "batch *shape"],
        features: Float[Tensor, "batch width"],
        members: Float[Tensor, "members batch classes"],
        label: int,
        least: Float[Tensor, " batch"],
    ) -> Task[Ballot]:
        """A row is asked no more once the voters to come cannot lift its mean to `least`."""
        voters, n = (*self.voters, *self.row_voters), len(self.voters)
        places = torch.arange(len(x), device=x.device)
        votes = {-1: mean_probability(members)}
        for at in (*(self.order or range(n)), *range(n, len(voters))):
            to_come = 1 + len(voters) - len(votes)
            own = torch.stack([vote[:, label] for vote in votes.values()]).sum(0)
            most = (own + to_come) / (1 + len(voters))
            stay = (~exceeds(least[places], most)).nonzero()[:, 0]
            places = picked(places, stay)
            votes = {place: picked(vote, stay) for place, vote in votes.items()}
            if not len(places):
                return places, votes[-1]
            found = yield Question(voters[at], picked(features if at < n else x, places))
            votes[at] = found.to(features)
        return places, torch.stack([vote for _, vote in sorted(votes.items())]).mean(0)


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
