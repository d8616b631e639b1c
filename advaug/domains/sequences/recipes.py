"""Recipes for sequences, by what the new rows are for: to be read, or to be counted.

Those of "paraphrase" and "recombine" keep the grammar of texts; those of "bag" do not.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Int
from torch import Tensor

from advaug.core.neighbors import nearest
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack
from advaug.core.row_random import RowRandom
from advaug.domains.sequences.clauses import read
from advaug.domains.sequences.grammar import NO_MARK
from advaug.domains.sequences.space import EditSpace
from advaug.sampling.encoded_dataset import EncodedDataset
from advaug.sampling.recipes import (
    MIX,
    OWN,
    SIZE,
    Explore,
    Plan,
    VotedRecipe,
    from_parents,
    one_of,
    round_robin,
    uniform,
)

EDITS = frozenset({"edits"})
PROBES = 3  # Edits that are tried on a row before it counts as one that cannot be edited.
N_NEAREST = 20  # Rows of the class with which a row exchanges sentences: they are about the same.
EDITABLE, CROSSABLE, NEAREST = "editable", "crossable", "nearest"


def editable(dataset: EncodedDataset, label: int) -> Int[Tensor, " some"]:
    """Places of the rows of a class in which an edit was found that keeps their grammar."""
    if (EDITABLE, label) not in dataset.memo:
        own, others = dataset.of_class(label), dataset.of_others(label)
        x = dataset.x[own]
        space = dataset.space.keep_structure().hold_typical_values(x, dataset.x[others])
        once = torch.ones(len(own), device=x.device)
        moves = torch.zeros_like(once, dtype=torch.bool)
        for step in range(PROBES):
            noise = RowRandom.of(dataset.seed, label, own).at(step).uniform(*x.shape[1:])
            moves |= (space.scatter(x, once, dataset.scale, noise) != x).any(1)
        dataset.memo[EDITABLE, label] = own[moves]
    found: Tensor = dataset.memo[EDITABLE, label]
    return found


def crossable(dataset: EncodedDataset, label: int) -> Int[Tensor, " some"]:
    """Places of the rows of a class with two sentences or clauses; all if they are no texts."""
    if (CROSSABLE, label) not in dataset.memo:
        own, space = dataset.of_class(label), dataset.space.keep_structure()
        if isinstance(space, EditSpace) and space.grammar is not None:
            row = read(dataset.x[own].long(), space.grammar, space.size)
            own = own[(row.border > NO_MARK).sum(1) > 2]
        dataset.memo[CROSSABLE, label] = own
    found: Tensor = dataset.memo[CROSSABLE, label]
    return found


def nearest_partners(
    dataset: EncodedDataset, label: int, own: Int[Tensor, " own"]
) -> Int[Tensor, "own k"]:
    """For each of some rows of a class the places of those others that have most in common."""
    if (NEAREST, label) not in dataset.memo:
        seen = dataset.features[own]
        places = nearest(seen, seen, N_NEAREST, skips_self=True)[1]
        dataset.memo[NEAREST, label] = own[places]
    found: Tensor = dataset.memo[NEAREST, label]
    return found


@dataclass
class Paraphrase(VotedRecipe, Parameters):
    """Rows of the class with one or two edits: each reads like its parent.

    In texts content words give way to words of their class, come or go, where the corpus knows the
    words on both sides; function words, numbers, addresses, signs and white space stay. Sequences
    that are no texts get as few edits, of any kind. Rows without such an edit are no parents; where
    a class has no other rows, its new rows are copies ("copied" in the provenance).

    Parameters
    ----------
    max_edits : int
        Most edits of a row; at least one is made. An attack that is named makes as many more.
    acceptance_power : float
        As in `Explore`: how strongly rows are preferred of which the voters are sure.
    norm : {inf, 2, 1}, default=2
        The norm of the radius.
    attack : attack, optional
        How rows move where the sampler names no attack; None: not at all.

    See Also
    --------
    advaug.recipes.Recombine :
        Sentences and clauses of two rows of the class, exchanged at their borders.
    advaug.recipes.Bag : Blocks of two rows and random edits that the corpus knows pair by pair.

    Examples
    --------
    >>> import numpy as np
    >>> from advaug import AdversarialOverSampler
    >>> colours, things = ["red", "green", "blue", "grey"], ["car", "boat", "house", "coat"]
    >>> X = [f"We have sold the {c} {t} to you." for c in colours for t in things]
    >>> X += [f"They will bring a {c} {t} for me." for c in colours for t in things[:2]]
    >>> y = np.repeat(["sold", "bought"], [16, 8])
    >>> sampler = AdversarialOverSampler(recipe="paraphrase", random_state=0)
    >>> X_new, y_new = sampler.fit_resample(X, y)
    >>> all(text.startswith("They will bring a ") for text in X_new[24:])
    True
    """

    requires: ClassVar[frozenset[str]] = EDITS
    keeps_structure: ClassVar[bool] = True
    max_edits: int = 2
    acceptance_power: float = 4.0
    norm: float = 2.0
    attack: Attack | None = None

    def can_move(self, dataset: EncodedDataset, label: int) -> bool:
        return len(editable(dataset, label)) > 0

    def plan(
        self, dataset: EncodedDataset, label: int, draws: Int[Tensor, " rows"], random: RowRandom
    ) -> Plan:
        own = editable(dataset, label) if self.can_move(dataset, label) else dataset.of_class(label)
        plan = from_parents(round_robin(own, draws, dataset.seed, label))
        edits = (1 + uniform(random, SIZE) * self.max_edits).floor()
        return replace(plan, noise_std=edits, radius=edits)


@dataclass
class Recombine(VotedRecipe, Parameters):
    """Sentences and clauses of two rows of the class, exchanged at their borders.

    The second row is one of the 20 that have most n-grams in common with the first. What stands
    first or last in its text stays so. Whole sentences are taken where there are some. They share a
    word with the text that is neither a function word nor tells the class, or say little; a word
    such as "she" or "however" does not lose the sentence that it refers to. Rows of a single
    sentence are no parents; where a class has no other rows, its new rows are copies ("copied" in
    the provenance). Sequences that are no texts exchange blocks where both joins are usual.

    Parameters
    ----------
    max_edits : int
        Most edits of a row after that, as in `Paraphrase`. An attack that is named makes one more.
    acceptance_power : float
        As in `Explore`: how strongly rows are preferred of which the voters are sure.
    norm : {inf, 2, 1}, default=2
        The norm of the radius.
    attack : attack, optional
        How rows move where the sampler names no attack; None: not at all.

    See Also
    --------
    advaug.recipes.Paraphrase : Rows of the class with one or two edits: each reads like its parent.
    advaug.recipes.Bag : Blocks of two rows and random edits that the corpus knows pair by pair.

    Examples
    --------
    >>> import numpy as np
    >>> from advaug import AdversarialOverSampler
    >>> things = ["boat", "car", "bike", "coat", "lamp", "desk"]
    >>> told = ("big", "like"), ("old", "keep")
    >>> X = [f"My {t} is {a}. I {b} this {t}." for t in things for a, b in told]
    >>> X += [f"Who are you, and {what}?" for what in ["why", "how", "where", "when"] * 9]
    >>> sampler = AdversarialOverSampler(recipe="recombine", random_state=0)
    >>> X_new, y_new = sampler.fit_resample(X, np.repeat(["told", "asked"], [12, 36]))
    >>> sorted({*X_new} - {*X})[:2]
    ['My bike is big. I keep this bike.', 'My bike is old. I like this bike.']
    """

    requires: ClassVar[frozenset[str]] = EDITS
    keeps_structure: ClassVar[bool] = True
    max_edits: int = 0
    acceptance_power: float = 4.0
    norm: float = 2.0
    attack: Attack | None = None

    def can_move(self, dataset: EncodedDataset, label: int) -> bool:
        can_edit = self.max_edits > 0 and len(editable(dataset, label)) > 0
        return can_edit or len(crossable(dataset, label)) > 1

    def plan(
        self, dataset: EncodedDataset, label: int, draws: Int[Tensor, " rows"], random: RowRandom
    ) -> Plan:
        own = crossable(dataset, label)
        if self.max_edits or len(own) < 2:
            own = dataset.of_class(label)
        plan = from_parents(round_robin(own, draws, dataset.seed, label))
        near = nearest_partners(dataset, label, own)[torch.searchsorted(own, plan.parent)]
        second = one_of(near, random.at(OWN)) if near.shape[1] else plan.parent
        return replace(
            plan,
            second_parent=second,
            mix=uniform(random, MIX),
            noise_std=(uniform(random, SIZE) * (self.max_edits + 1)).floor(),
            radius=torch.ones(len(draws)),
        )


@dataclass
class Bag(VotedRecipe, Parameters):
    """Blocks of two rows and random edits that the corpus knows pair by pair.

    For learners that count tokens, such as linear models on n-grams. Texts made so do not read
    well.

    Parameters
    ----------
    p_cross_class : float in [0, 1]
        Share of the rows whose second parent is a row of another class; the voters accept those
        that still belong to the class.
    noise_std, acceptance_power : float
        As in `Explore`; `noise_std` counts edits.
    norm : {inf, 2, 1}, default=2
        The norm of the radius.
    attack : attack, optional
        How rows move where the sampler names no attack; None: not at all.

    See Also
    --------
    advaug.recipes.Paraphrase : Rows of the class with one or two edits: each reads like its parent.
    advaug.recipes.Recombine :
        Sentences and clauses of two rows of the class, exchanged at their borders.

    Examples
    --------
    >>> from advaug import AdversarialOverSampler
    >>> from advaug.recipes import Bag
    >>> X = ["good film", "very good film", "a good plot", "so good a film"] * 6 + ["bad film"] * 8
    >>> y = ["good"] * 24 + ["bad"] * 8
    >>> sampler = AdversarialOverSampler(recipe=Bag(), random_state=0)
    >>> X_new, y_new = sampler.fit_resample(X, y)
    >>> len(X_new), y_new.count("bad")
    (48, 24)
    """

    requires: ClassVar[frozenset[str]] = EDITS
    p_cross_class: float = 0.6
    noise_std: float = 3.0
    acceptance_power: float = 4.0
    norm: float = 2.0
    attack: Attack | None = None

    def plan(
        self, dataset: EncodedDataset, label: int, draws: Int[Tensor, " rows"], random: RowRandom
    ) -> Plan:
        explore = Explore(p_cross_class=self.p_cross_class, noise_std=self.noise_std)
        return explore.plan(dataset, label, draws, random)
