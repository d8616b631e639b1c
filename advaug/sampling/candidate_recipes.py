"""Recipes of candidates: rows whose labels a teacher says."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Int
from torch import Tensor

from advaug.core.parameters import Parameters
from advaug.core.problem import Attack
from advaug.core.row_random import RowRandom
from advaug.sampling.encoded_dataset import EncodedDataset
from advaug.sampling.recipes import OTHER, Plan, Recipe, from_parents, one_of, round_robin


@dataclass
class Swap(Recipe, Parameters):
    """Rows of the class whose columns are, by chance, those of a near row of any class.

    Every cell holds a value that a real row has in its column. Such a row may belong to another
    class than its parent: take it where a model says the label (`recipe="distill"`).

    Parameters
    ----------
    n_neighbors : int
        Of how many nearest rows one is the second parent.
    p_swap : float in [0, 1]
        The chance of each column.

    References
    ----------
    Bucila, Caruana, Niculescu-Mizil. Model compression. KDD 2006.
    """

    n_neighbors: int = 16
    p_swap: float = 0.5
    norm: float = 2.0
    attack: Attack | None = None

    def plan(
        self, dataset: EncodedDataset, label: int, draws: Int[Tensor, " rows"], random: RowRandom
    ) -> Plan:
        plan = from_parents(round_robin(dataset.of_class(label), draws, dataset.seed, label))
        near = dataset.all_neighbors(self.n_neighbors)[plan.parent]
        if not near.shape[1]:
            return plan
        swap = torch.full_like(plan.mix, self.p_swap)
        return replace(plan, second_parent=one_of(near, random.at(OTHER)), swap=swap)


@dataclass
class Distill(Recipe, Parameters):
    """Rows near the data, each copied with the labels that a teacher finds probable.

    The teacher is `CommitteeClassifier`. Of all rows of a class the copies with its label stand
    where the class is: a row of which the teacher is not sure is copied with several labels. Let
    all classes grow, and much: `grow(12)`. Where `fit` takes weights,
    `advaug.robust.DistilledClassifier` does more with fewer rows.

    Parameters
    ----------
    n_copies : float > 0
        Copies of each row in the mean.
    rows : Recipe, optional
        Makes the rows. By default it is what suits the domain: `Swap` on tables.

    References
    ----------
    Bucila, Caruana, Niculescu-Mizil. Model compression. KDD 2006. Fakoor et al. Fast, accurate, and
    simple models for tabular data via augmented distillation. NeurIPS 2020.
    """

    n_copies: float = 2.0
    rows: Recipe | None = None
    norm: float = 2.0
    attack: Attack | None = None
    takes_attack: ClassVar[bool] = False
    relabels: ClassVar[bool] = True

    def plan(
        self, dataset: EncodedDataset, label: int, draws: Int[Tensor, " rows"], random: RowRandom
    ) -> Plan:
        return (self.rows or Swap()).plan(dataset, label, draws, random)
