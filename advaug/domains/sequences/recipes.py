"""Recipes for sequences, by what the new rows are for: to be read, or to be counted.

Those of "paraphrase" and "recombine" keep the grammar of texts; those of "bag" do not.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.core.objectives import Logits
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack
from advaug.core.row_random import RowRandom
from advaug.sampling.encoded_dataset import EncodedDataset
from advaug.sampling.recipes import (
    MIX,
    OWN,
    SIZE,
    Explore,
    Plan,
    Recipe,
    from_parents,
    round_robin,
    uniform,
)

EDITS = frozenset({"edits"})


@dataclass
class Paraphrase(Recipe, Parameters):
    """Rows of the class with one or two edits: each reads like its parent.

    In texts content words give way to words of their class, come or go, where the corpus knows the
    words on both sides; function words, numbers, addresses, signs and white space stay. Sequences
    that are no texts get as few edits, of any kind.

    Parameters
    ----------
    max_edits : int
        Most edits of a row; at least one is made. An attack that is named makes as many more.
    acceptance_power : float
        As in `Explore`: how strongly rows are preferred of which the voters are sure.

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
    redraws: ClassVar[bool] = True
    keeps_structure: ClassVar[bool] = True
    max_edits: int = 2
    acceptance_power: float = 4.0
    norm: float = 2.0
    attack: Attack | None = None

    def plan(
        self, dataset: EncodedDataset, label: int, draws: Int[Tensor, " rows"], random: RowRandom
    ) -> Plan:
        plan = from_parents(round_robin(dataset.of_class(label), draws, dataset.seed, label))
        edits = (1 + uniform(random, SIZE) * self.max_edits).floor()
        return replace(plan, noise_std=edits, radius=edits)

    def acceptance(
        self, probability: Float[Tensor, " batch"], logits: Logits, x: Tensor, label: int
    ) -> Float[Tensor, " batch"]:
        return probability**self.acceptance_power


@dataclass
class Recombine(Recipe, Parameters):
    """Sentences and clauses of two rows of the class, exchanged at their borders.

    What stands first or last in its text stays so. Rows that hold a single sentence do not cross.
    Sequences that are no texts exchange blocks where both joins are usual.

    Parameters
    ----------
    max_edits : int
        Most edits of a row after that, as in `Paraphrase`. An attack that is named makes one more.
    acceptance_power : float
        As in `Explore`: how strongly rows are preferred of which the voters are sure.

    Examples
    --------
    >>> import numpy as np
    >>> from advaug import AdversarialOverSampler
    >>> first, last = ["It is big.", "It is old.", "It is red."], ["I like it.", "I keep it."]
    >>> X = [f"{a} {b}" for a in first for b in last] + ["It is new. I sell it."]
    >>> X += [f"Who are you, and {what}?" for what in ["why", "how", "where", "when"] * 3]
    >>> sampler = AdversarialOverSampler(recipe="recombine", random_state=0)
    >>> X_new, y_new = sampler.fit_resample(X, np.repeat(["told", "asked"], [7, 12]))
    >>> sorted({text for text in X_new if "sell" in text})[:2]
    ['It is big. I sell it.', 'It is new. I sell it.']
    """

    requires: ClassVar[frozenset[str]] = EDITS
    redraws: ClassVar[bool] = True
    keeps_structure: ClassVar[bool] = True
    max_edits: int = 0
    acceptance_power: float = 4.0
    norm: float = 2.0
    attack: Attack | None = None

    def plan(
        self, dataset: EncodedDataset, label: int, draws: Int[Tensor, " rows"], random: RowRandom
    ) -> Plan:
        own = dataset.of_class(label)
        plan = from_parents(round_robin(own, draws, dataset.seed, label))
        return replace(
            plan,
            second_parent=own[random.at(OWN).integers(len(own))],
            mix=uniform(random, MIX),
            noise_std=(uniform(random, SIZE) * (self.max_edits + 1)).floor(),
            radius=torch.ones(len(draws)),
        )

    def acceptance(
        self, probability: Float[Tensor, " batch"], logits: Logits, x: Tensor, label: int
    ) -> Float[Tensor, " batch"]:
        return probability**self.acceptance_power


@dataclass
class Bag(Recipe, Parameters):
    """Blocks of two rows and random edits that the corpus knows pair by pair.

    For learners that count tokens, such as linear models on n-grams. Texts made so do not read
    well.

    Parameters
    ----------
    p_cross_class, noise_std, acceptance_power : float
        As in `Explore`; `noise_std` counts edits.
    """

    requires: ClassVar[frozenset[str]] = EDITS
    redraws: ClassVar[bool] = True
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

    def acceptance(
        self, probability: Float[Tensor, " batch"], logits: Logits, x: Tensor, label: int
    ) -> Float[Tensor, " batch"]:
        return probability**self.acceptance_power
