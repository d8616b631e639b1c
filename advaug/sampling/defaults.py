"""What estimators do with a domain's rows where the user does not say so: chosen by measurement.

A domain hands in the fields that suit its rows; the values here suit tables and images.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from advaug.attacks.square import Square
from advaug.core.problem import Attack
from advaug.models.committee import Ensemble
from advaug.models.protocol import ModelFamily, Surrogate
from advaug.sampling.candidate_recipes import Swap
from advaug.sampling.encoded_dataset import EncodedDataset
from advaug.sampling.judges.conformal import ConformalJudge
from advaug.sampling.judges.protocol import Judge
from advaug.sampling.jury import EqualVotes, Jury
from advaug.sampling.recipes import Explore, Recipe
from advaug.sampling.voters import STACKED, cheapest_first, train_voters

ROWS_PER_ROW = 10  # New rows for each real row where a teacher says their labels ...
MIN_NEW_ROWS = 3000  # ... but at least so many: few rows need them most ...
MAX_NEW_ROWS = 10_000  # ... up to so many, or one for each real row.
EASY_AUC = 0.985  # From here on little is left to learn: new rows stay beside real ones.


def explore(auc: float) -> Recipe:
    """How far "explore" goes, by the held-out AUC of the committee."""
    return Explore(max_mix=0.0, p_cross_class=0.0, noise_std=1.0) if auc >= EASY_AUC else Explore()


def trees(dataset: EncodedDataset, generator: torch.Generator) -> Jury:
    """Extra trees and boosting vote beside the committee."""
    voters = train_voters(dataset.features, dataset.y, dataset.n_classes, generator)
    return EqualVotes(voters, order=cheapest_first(dataset.n_classes))


def ten_for_each(n: int) -> int:
    """How many new rows a teacher says the labels of, for n real ones."""
    return max(min(ROWS_PER_ROW * n, MAX_NEW_ROWS), n, MIN_NEW_ROWS)


def conformal_judge(n_classes: int, *, redraws: bool, keeps_structure: bool = False) -> Judge:
    """Where the recipe's chance decides (`redraws`), plausibility is recorded and not required."""
    return ConformalJudge(1 / n_classes, alpha=0.0) if redraws else ConformalJudge()


def attack_for_queries(attack: Attack, *, is_queried: bool) -> Attack:
    """A recipe's own attack, or one that only queries where the model has no gradient."""
    if not is_queried:
        return attack
    return Square(steps=100, stop_at=attack.stop_at)


@dataclass(frozen=True)
class Defaults:
    """Functions that choose, one for each thing that a user may leave open.

    Parameters
    ----------
    recipe : callable (auc) -> Recipe
        How far "explore" goes.
    ensemble : Ensemble
        The settings of the committee.
    jury : callable (dataset, generator) -> Jury
        Trains the models that vote beside the committee.
    candidates : callable () -> Recipe
        Makes the rows whose labels a teacher says.
    n_candidates : callable (n) -> int
        How many of them, for n real rows.
    decision_balance : float in [0, 1]
        For which shares of the classes a student of these labels decides: their shares to the power
        1 - decision_balance.
    stacked : dict of name -> ModelFamily
        The families that are stacked with the committee where a teacher is asked for.
    row_surrogates : tuple of Surrogate
        Settings of cross-fitted models that are stacked too, and read encoded rows.
    judge : callable (n_classes, redraws, keeps_structure) -> Judge
        `redraws` and `keeps_structure` are the recipe's.
    attack : callable (attack, is_queried) -> Attack
        A recipe's own attack, as these rows and this model can follow it.
    """

    recipe: Callable[[float], Recipe] = explore
    ensemble: Ensemble = field(default_factory=Ensemble)
    jury: Callable[[EncodedDataset, torch.Generator], Jury] = trees
    candidates: Callable[[], Recipe] = Swap
    n_candidates: Callable[[int], int] = ten_for_each
    decision_balance: float = 0.5
    stacked: Mapping[str, ModelFamily] = field(default_factory=lambda: STACKED)
    row_surrogates: tuple[Surrogate, ...] = ()
    judge: Callable[..., Judge] = conformal_judge
    attack: Callable[..., Attack] = attack_for_queries
