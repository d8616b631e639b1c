"""Recipes for sequences, by what the new rows are for: to be read, or to be counted.

Those of "paraphrase" and "recombine" keep the grammar of texts; those of "bag" do not.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from advaug.core.neighbors import nearest
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack
from advaug.core.row_random import RowRandom
from advaug.core.space import Space
from advaug.domains.sequences.sentences import borders
from advaug.domains.sequences.space import EditSpace
from advaug.domains.sequences.spelling import NO_MARK
from advaug.domains.sequences.splicing import END, lengths
from advaug.sampling.encoded_dataset import EncodedDataset
from advaug.sampling.recipes import (
    MIX,
    OTHER,
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
MOST_EDITS = 2  # Of a paraphrase.
PROBES = 3  # Edits that are tried on a row before it counts as one that cannot be edited.
N_NEAREST = 20  # Rows of the class with which a row exchanges blocks: they are about the same.
PARTNERS = 8  # With so many of them texts are crossed, to see which fit.
LOSES = 0.5  # Chance by which a row that does not cross loses sentences if it can, and has no edit.
TEXT_SPACE, EDITABLE, CROSSABLE = "text space", "editable", "crossable"
NEAREST, CROSSINGS = "nearest", "crossings"


def text_space(dataset: EncodedDataset, label: int) -> Space:
    """The space of moves that keep the grammar, in which what is typical of the class stays."""
    if (TEXT_SPACE, label) not in dataset.memo:
        own, others = (dataset.x[of(label)] for of in (dataset.of_class, dataset.of_others))
        space = dataset.space.keep_structure().hold_typical_values(own, others)
        dataset.memo[TEXT_SPACE, label] = space
    found: Space = dataset.memo[TEXT_SPACE, label]
    return found


def has_grammar(dataset: EncodedDataset, label: int) -> bool:
    """Whether the rows are texts."""
    space = text_space(dataset, label)
    return isinstance(space, EditSpace) and space.grammar is not None


def editable(dataset: EncodedDataset, label: int) -> Int[Tensor, " some"]:
    """Places of the rows of a class in which an edit was found that keeps their grammar."""
    if (EDITABLE, label) not in dataset.memo:
        own, space = dataset.of_class(label), text_space(dataset, label)
        moves = torch.zeros(len(own), dtype=torch.bool, device=dataset.x.device)
        for step in range(PROBES):
            left = own[~moves]
            x, once = dataset.x[left], torch.ones(len(left), device=dataset.x.device)
            noise = RowRandom.of(dataset.seed, label, left).at(step).uniform(*x.shape[1:])
            moves[~moves] = (space.scatter(x, once, dataset.scale, noise) != x).any(1)
        dataset.memo[EDITABLE, label] = own[moves]
    found: Tensor = dataset.memo[EDITABLE, label]
    return found


def crossable(dataset: EncodedDataset, label: int) -> Int[Tensor, " some"]:
    """Places of the rows of a class with two sentences or clauses; all if they are no texts."""
    if (CROSSABLE, label) not in dataset.memo:
        own, space = dataset.of_class(label), text_space(dataset, label)
        if isinstance(space, EditSpace) and space.grammar is not None:
            x = dataset.x[own].long()
            tokens, count = space.plain(x).clamp_min(END), lengths(x)[:, None]
            border = borders(tokens, count, space.grammar.spelling)
            own = own[(border > NO_MARK).sum(1) > 2]
        dataset.memo[CROSSABLE, label] = own
    found: Tensor = dataset.memo[CROSSABLE, label]
    return found


def movable(dataset: EncodedDataset, label: int) -> Int[Tensor, " some"]:
    """Places of the rows of a class that can cross with others, or be edited."""
    ways = [crossable(dataset, label)]
    if has_grammar(dataset, label):
        ways.append(editable(dataset, label))
    found: Tensor = torch.cat(ways).unique()
    return found


class Crossings(NamedTuple):
    """Of the texts of a class that can move: with which others they cross, if they do."""

    partners: Int[Tensor, "own k"]  # Those that cross come first.
    n_partners: Int[Tensor, " own"]
    loses: Bool[Tensor, " own"]  # Whether a text can lose sentences.


def crossings(dataset: EncodedDataset, label: int) -> Crossings:
    """What is known of the texts of a class, found once."""
    if (CROSSINGS, label) not in dataset.memo:
        own = movable(dataset, label)
        near = nearest_partners(dataset, label, own)[:, :PARTNERS]
        first = own.repeat_interleave(near.shape[1])
        crosses = mixes(dataset, label, first, near.flatten()).view(near.shape)
        order = (~crosses).long().argsort(dim=1, stable=True)
        dataset.memo[CROSSINGS, label] = Crossings(
            torch.cat([near.gather(1, order), own[:, None]], 1),
            crosses.sum(1),
            mixes(dataset, label, own, own),
        )
    found: Crossings = dataset.memo[CROSSINGS, label]
    return found


def mixes(
    dataset: EncodedDataset, label: int, first: Int[Tensor, " some"], second: Int[Tensor, " some"]
) -> Bool[Tensor, " some"]:
    """Whether rows change where they are mixed with others."""
    space, x = text_space(dataset, label), dataset.x[first]
    half = torch.full_like(x[:, 0], 0.5)
    return (space.mix(x, dataset.x[second], half) != x).any(1)


def nearest_partners(
    dataset: EncodedDataset, label: int, own: Int[Tensor, " own"]
) -> Int[Tensor, "own k"]:
    """For each of some rows of a class the places of those that have most in common with it.

    Of texts these are those of two sentences or clauses, itself among them.
    """
    if (NEAREST, label) not in dataset.memo:
        others, seen = crossable(dataset, label), dataset.features
        near = own.new_empty(len(own), 0)
        if len(others):
            skips_self = not has_grammar(dataset, label)
            near = others[nearest(seen[own], seen[others], N_NEAREST, skips_self=skips_self)[1]]
        dataset.memo[NEAREST, label] = near
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
    >>> X = [f"We have sold the {c} one and the {t} to you." for c in colours for t in things]
    >>> pairs = zip(colours * 2, things + things[1:] + things[:1])
    >>> X += [f"They will bring a {c} one and a {t} for me." for c, t in pairs]
    >>> y = np.repeat(["sold", "bought"], [16, 8])
    >>> sampler = AdversarialOverSampler(recipe="paraphrase", random_state=0)
    >>> X_new, y_new = sampler.fit_resample(X, y)
    >>> all(text.startswith("They will bring a ") for text in X_new[24:])
    True
    >>> len({*X_new[24:]} - {*X}) > 2
    True
    """

    requires: ClassVar[frozenset[str]] = EDITS
    keeps_structure: ClassVar[bool] = True
    max_edits: int = MOST_EDITS
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

    A text takes over sentences of one of the 8 texts that have most n-grams in common with it:
    whole ones, or clauses of the same conjunction with their subject. Its first sentence stays, or
    gives way to another first one. What is taken over is as similar to the rest as one of 100
    sentences of other texts is, or says little; it brings no names that the text does not know, and
    opens with no word that refers to another sentence, such as "that" or "however". A text that
    stands among its own 8, or fits none of them, loses sentences instead, or gets the edits of
    `Paraphrase`: then it has no second parent in the provenance. Rows that can do nothing of this
    are no parents; where a class has no others, its new rows are copies ("copied"). Sequences that
    are no texts exchange blocks with one of the 20 nearest rows where both joins are usual.

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
    >>> from advaug import AdversarialOverSampler
    >>> things, told = ["boat", "car", "bike", "coat", "lamp"], [("big", "like"), ("old", "keep")]
    >>> X = [f"My {t} is {a}. I {b} this {t}." for t in things for a, b in told]
    >>> X += [f"Who are you, and {what}?" for what in ["why", "how", "where", "when"] * 9]
    >>> sampler = AdversarialOverSampler(recipe="recombine", random_state=0)
    >>> X_new, y_new = sampler.fit_resample(X, ["told"] * 10 + ["asked"] * 36)
    >>> known = {part for text in X for part in text.strip(".").split(". ")}
    >>> {part for text in X_new for part in text.strip(".").split(". ")} <= known
    True
    """

    requires: ClassVar[frozenset[str]] = EDITS
    keeps_structure: ClassVar[bool] = True
    max_edits: int = 0
    acceptance_power: float = 4.0
    norm: float = 2.0
    attack: Attack | None = None

    def can_move(self, dataset: EncodedDataset, label: int) -> bool:
        return len(movable(dataset, label)) > 0

    def plan(
        self, dataset: EncodedDataset, label: int, draws: Int[Tensor, " rows"], random: RowRandom
    ) -> Plan:
        own = movable(dataset, label) if self.can_move(dataset, label) else dataset.of_class(label)
        plan = from_parents(round_robin(own, draws, dataset.seed, label))
        edits = (uniform(random, SIZE) * (self.max_edits + 1)).floor()
        plan = replace(plan, noise_std=edits, radius=torch.ones_like(edits))
        if has_grammar(dataset, label):
            return with_moves_of_texts(plan, dataset, label, random)
        near = nearest_partners(dataset, label, own)[torch.searchsorted(own, plan.parent)]
        second = one_of(near, random.at(OWN)) if near.shape[1] else plan.parent
        return replace(plan, second_parent=second, mix=uniform(random, MIX))


def with_moves_of_texts(plan: Plan, dataset: EncodedDataset, label: int, random: RowRandom) -> Plan:
    """A plan by which texts cross with a partner, or else lose sentences, or else are edited.

    A row that loses sentences is its own partner; a row that is edited is mixed with none.
    """
    own, parent, mix = movable(dataset, label), plan.parent, uniform(random, MIX)
    at = torch.searchsorted(own, parent)
    found = crossings(dataset, label)
    count = found.n_partners[at]
    lot = (uniform(random, OWN) * count).long()
    is_crossed = count > 0
    second = torch.where(is_crossed, found.partners[at, lot], parent)
    loses = ~is_crossed & found.loses[at]
    loses &= ~torch.isin(parent, editable(dataset, label)) | (uniform(random, OTHER) < LOSES)
    is_edited = ~is_crossed & ~loses
    edits = (1 + uniform(random, SIZE) * MOST_EDITS).floor()
    return replace(
        plan,
        second_parent=second,
        mix=mix.masked_fill(is_edited, 0.0),
        noise_std=torch.where(is_edited, edits, plan.noise_std),
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
    >>> X = ["good film", "very good film", "a good plot", "so good a film"] * 6
    >>> X += ["a bad film", "very bad plot", "so bad a plot", "bad film"] * 2
    >>> y = ["good"] * 24 + ["bad"] * 8
    >>> sampler = AdversarialOverSampler(
    ...     recipe=Bag(), sampling_strategy={"bad": 12}, random_state=0
    ... )
    >>> X_new, y_new = sampler.fit_resample(X, y)
    >>> len(X_new), y_new.count("bad")
    (36, 12)
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
