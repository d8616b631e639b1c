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
    norm : {inf, 2, 1}, default=2
        The norm of the radius.
    attack : attack, optional
        How rows move where the sampler names no attack; None: not at all.

    See Also
    --------
    advaug.recipes.Distill :
        Rows near the data, each copied with the labels that a teacher finds probable.

    References
    ----------
    Bucila, Caruana, Niculescu-Mizil. Model compression. KDD 2006.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from advaug import AdversarialOverSampler, grow
    >>> from advaug.recipes import Distill, Swap
    >>> X, y = make_classification(60, 4, weights=[0.8], class_sep=2.0, random_state=0)
    >>> sampler = AdversarialOverSampler(
    ...     sampling_strategy=grow(3.0), recipe=Distill(rows=Swap(p_swap=0.3)), voters=None, \
random_state=0
    ... )
    >>> X_new, y_new = sampler.fit_resample(X, y)
    >>> y_new.tolist().count(0) == y_new.tolist().count(1)
    True
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
    norm : {inf, 2, 1}, default=2
        The norm of the radius.
    attack : attack, optional
        How rows move where the sampler names no attack; None: not at all.

    See Also
    --------
    advaug.recipes.Swap :
        Rows of the class whose columns are, by chance, those of a near row of any class.
    advaug.robust.DistilledClassifier : Soft labels for classifiers that take weights.

    References
    ----------
    Bucila, Caruana, Niculescu-Mizil. Model compression. KDD 2006. Fakoor et al. Fast, accurate, and
    simple models for tabular data via augmented distillation. NeurIPS 2020.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from advaug import AdversarialOverSampler, grow
    >>> from advaug.recipes import Distill
    >>> X, y = make_classification(60, 4, weights=[0.8], class_sep=2.0, random_state=0)
    >>> sampler = AdversarialOverSampler(
    ...     sampling_strategy=grow(3.0), recipe=Distill(n_copies=2.0), voters=None, random_state=0
    ... )
    >>> X_new, y_new = sampler.fit_resample(X, y)
    >>> y_new.tolist().count(0) == y_new.tolist().count(1)
    True
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
