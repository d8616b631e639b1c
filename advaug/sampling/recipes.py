"""Recipes: which rows to start from, how far they may go, and what the attack is to raise.

A recipe plans; it moves nothing itself. Every plan names an anchor, a real row of the target class:
a row that the judge rejects is moved back towards it.
"""

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.attacks.gradient import FGSM, PGD
from advaug.core.norms import standard_normal
from advaug.core.objectives import Logits, Objective, Odds, TargetMargin
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack
from advaug.core.row_random import RowRandom, mix_keys, mix_seed, signed
from advaug.core.tensor_fields import TensorFields
from advaug.sampling.encoded_dataset import EncodedDataset

# Streams of a row's random numbers, one for each of a plan's choices.
MIX, SIZE, CROSSES, OWN, OTHER, ATTACK_ONLY, MARGIN = range(7)
# Random numbers of a whole round of parents: its factor and its shift.
FACTOR, SHIFT = 0, 1


@dataclass(frozen=True, repr=False)
class Plan(TensorFields):
    """One line a row; rows are named by their places in the dataset.

    The start is `mix` of the way from `parent` to `second_parent` and `noise_std` standard
    deviations off it; each column of it is by the chance `swap` that of the second parent.
    `target_margin` is what recipes with a target margin aim at.
    """

    parent: Int[Tensor, " rows"]
    second_parent: Int[Tensor, " rows"]
    mix: Float[Tensor, " rows"]
    anchor: Int[Tensor, " rows"]
    radius: Float[Tensor, " rows"]
    target_margin: Float[Tensor, " rows"]
    noise_std: Float[Tensor, " rows"]
    swap: Float[Tensor, " rows"]


@runtime_checkable
class Recipe(Protocol):
    """Seeds, target and objective together.

    A recipe inherits from this protocol and plans; every other member has a default.
    """

    norm: float = 2.0  # The norm of the radius: inf, 2 or 1.
    attack: Attack | None = None  # How rows move where the user names no attack; None: not at all.

    @property
    def requires(self) -> frozenset[str]:
        """What the domain and the model must provide."""
        return frozenset()

    @property
    def redraws(self) -> bool:
        """Whether a rejected row is drawn again; else it is moved back towards its anchor."""
        return False

    @property
    def keeps_structure(self) -> bool:
        """Whether moves are only those that keep how a row is built: `Space.keep_structure`."""
        return False

    @property
    def holds_special_values(self) -> bool:
        """Whether its rows hold each special value that all rows of their class hold."""
        return False

    @property
    def takes_attack(self) -> bool:
        """Whether an attack that the user names moves its rows."""
        return True

    @property
    def relabels(self) -> bool:
        """Whether a teacher says the labels of its rows, which are planned for all classes."""
        return False

    def can_move(self, dataset: EncodedDataset, label: int) -> bool:
        """Whether it can move any row of the class; else new rows are copies of real ones."""
        return True

    def plan(
        self, dataset: EncodedDataset, label: int, draws: Int[Tensor, " rows"], random: RowRandom
    ) -> Plan:
        """Where the rows of the class come from: a pure function of the draws' numbers.

        Parameters
        ----------
        draws : int Tensor (rows,)
            Number of each draw. Consecutive draws take each parent equally often.
        random : RowRandom
            The draws' own random numbers.
        """
        ...

    def objective(self, logits: Logits, label: Tensor, plan: Plan) -> Objective:
        """What the attack raises for the rows of a plan."""
        return Odds(logits, label, targeted=True)

    def acceptance(
        self, probability: Float[Tensor, " batch"], logits: Logits, x: Tensor, label: int
    ) -> Float[Tensor, " batch"]:
        """How likely a drawn row is accepted where `redraws`.

        Parameters
        ----------
        probability : Tensor (batch,)
            The mean probability of the label over the voters.
        logits : callable
            The attacked model.
        """
        return torch.ones_like(probability)

    def least_probability(self, lot: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """The probability below which `acceptance` is surely less than `lot`.

        A row whose voters cannot reach it is not judged any further. By default all rows are. A
        recipe with an `acceptance` of its own has its own least probability.
        """
        return torch.zeros_like(lot)


def round_robin(
    own: Int[Tensor, " own"], draws: Int[Tensor, " rows"], seed: int, label: int
) -> Int[Tensor, " rows"]:
    """A parent for each draw, each row of the class equally often, give or take one.

    In each round of `len(own)` draws the place p takes row (factor * p + shift) modulo len(own),
    a permutation since the factor has no divisor in common with len(own).
    """
    n = len(own)
    place, key = draws % n, draws // n + signed(mix_seed(seed, label))
    units = units_of(n, draws.device)
    factor = units[mix_keys(key, FACTOR) % len(units)]
    return own[(factor * place + mix_keys(key, SHIFT) % n) % n]


@lru_cache(maxsize=64)
def units_of(n: int, device: torch.device) -> Int[Tensor, " units"]:
    """The numbers up to n that have no divisor in common with it."""
    units = torch.arange(1, n + 1)
    return units[torch.gcd(units, torch.tensor(n)) == 1].to(device)


def one_of(places: Int[Tensor, "rows k"], random: RowRandom) -> Int[Tensor, " rows"]:
    """One of the k places of each row, at random."""
    return places.gather(1, random.integers(places.shape[1])[:, None])[:, 0]


def uniform(random: RowRandom, step: int) -> Float[Tensor, " rows"]:
    """A number in [0, 1) for each row."""
    return random.at(step).uniform(1)[:, 0]


def from_parents(parent: Tensor, radius: Tensor | None = None) -> Plan:
    """A plan that starts at the parents themselves."""
    zero = torch.zeros(len(parent), dtype=torch.float32, device=parent.device)
    radius = zero if radius is None else radius
    return Plan(parent, parent, zero, parent, radius, zero, zero, zero)


@dataclass
class Interpolate(Recipe, Parameters):
    """No attack: a random point between a row and one of its nearest neighbors of the class.

    The fallback for a class with too few rows to learn from, and a control.

    Parameters
    ----------
    n_neighbors : int
        Of how many nearest rows of the class one is the second parent.
    norm : {inf, 2, 1}, default=2
        The norm of the radius.
    attack : attack, optional
        How rows move where the sampler names no attack; None: not at all.

    See Also
    --------
    advaug.recipes.Explore :
        Interpolate between two rows, add noise, and accept what held-out models agree on.

    References
    ----------
    Chawla, Bowyer, Hall, Kegelmeyer. SMOTE: synthetic minority over-sampling technique. JAIR 2002.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from advaug import AdversarialOverSampler
    >>> from advaug.recipes import Interpolate
    >>> X, y = make_classification(100, weights=[0.8], class_sep=2.0, random_state=0)
    >>> sampler = AdversarialOverSampler(recipe=Interpolate(), random_state=0)
    >>> X_new, y_new = sampler.fit_resample(X, y)
    >>> sampler.provenance_["recipe"].value_counts().to_dict()
    {'interpolate': 62}
    """

    n_neighbors: int = 5
    norm: float = 2.0
    attack: Attack | None = None
    takes_attack: ClassVar[bool] = False

    def plan(
        self, dataset: EncodedDataset, label: int, draws: Int[Tensor, " rows"], random: RowRandom
    ) -> Plan:
        own = dataset.of_class(label)
        plan = from_parents(round_robin(own, draws, dataset.seed, label))
        if len(own) < 2:
            return plan
        near = dataset.same_class_neighbors(label, self.n_neighbors)[1]
        near = near[torch.searchsorted(own, plan.parent)]
        return replace(plan, second_parent=one_of(near, random.at(OWN)), mix=uniform(random, MIX))

    def objective(self, logits: Logits, label: Tensor, plan: Plan) -> Objective:
        return Odds(logits, label)


@dataclass
class Harden(Recipe, Parameters):
    """Rows of the class moved a little against their own label, which they keep.

    The textbook form of adversarial training, with a radius that is a share of the distance to the
    nearest row of another class.

    Parameters
    ----------
    radius_share : float
        That share.
    norm : {inf, 2, 1}, default=inf
        The norm of the radius.
    attack : attack, optional
        How rows move where the sampler names no attack; None: not at all.

    See Also
    --------
    advaug.recipes.Boundary :
        Interpolants of which half climb to small margins: rows beside the class's border.

    References
    ----------
    Goodfellow, Shlens, Szegedy. Explaining and harnessing adversarial examples. ICLR 2015.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from advaug import AdversarialOverSampler
    >>> from advaug.recipes import Harden
    >>> X, y = make_classification(100, weights=[0.8], class_sep=2.0, random_state=0)
    >>> sampler = AdversarialOverSampler(recipe=Harden(radius_share=0.2), random_state=0)
    >>> X_new, y_new = sampler.fit_resample(X, y)
    >>> sampler.provenance_["recipe"].value_counts().to_dict()
    {'harden': 62}
    """

    radius_share: float = 0.25
    norm: float = math.inf
    attack: Attack | None = field(default_factory=FGSM)

    def plan(
        self, dataset: EncodedDataset, label: int, draws: Int[Tensor, " rows"], random: RowRandom
    ) -> Plan:
        own = dataset.of_class(label)
        parent = round_robin(own, draws, dataset.seed, label)
        gap = dataset.other_class_neighbors(label)[0][:, 0]
        is_box = self.norm == math.inf and dataset.space.is_euclidean
        width = dataset.positions.shape[1] if is_box else 1  # The corner of a box lies far off.
        radius = self.radius_share * gap[torch.searchsorted(own, parent)] / math.sqrt(width)
        return from_parents(parent, radius)

    def objective(self, logits: Logits, label: Tensor, plan: Plan) -> Objective:
        return Odds(logits, label)


@dataclass
class Translate(Recipe, Parameters):
    """Rows of other classes carried into the class by a targeted attack.

    As M2m, but accepted by members that were not attacked. A rejected row is moved back towards
    its nearest real row of the class.

    Parameters
    ----------
    radius_share : float
        How far, as a share of the distance to that row.
    norm : {inf, 2, 1}, default=2
        The norm of the radius.
    attack : attack, optional
        How rows move where the sampler names no attack; None: not at all.

    See Also
    --------
    advaug.recipes.Match :
        Interpolants moved to the margins that real rows of the class have, held out.
    advaug.recipes.Harden :
        Rows of the class moved a little against their own label, which they keep.

    References
    ----------
    Kim, Jeong, Shin. M2m: imbalanced classification via major-to-minor translation. CVPR 2020.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from advaug import AdversarialOverSampler
    >>> from advaug.recipes import Translate
    >>> X, y = make_classification(100, weights=[0.8], class_sep=2.0, random_state=0)
    >>> sampler = AdversarialOverSampler(recipe=Translate(), random_state=0)
    >>> X_new, y_new = sampler.fit_resample(X, y)
    >>> sampler.provenance_["recipe"].value_counts().to_dict()
    {'translate': 62}
    """

    radius_share: float = 1.0
    norm: float = 2.0
    attack: Attack | None = field(
        default_factory=lambda: PGD(steps=10, step=0.15, random_start=False)
    )

    def plan(
        self, dataset: EncodedDataset, label: int, draws: Int[Tensor, " rows"], random: RowRandom
    ) -> Plan:
        parent = round_robin(dataset.of_others(label), draws, dataset.seed, label)
        used, where = parent.unique(return_inverse=True)
        distance, place = dataset.neighbors(used, dataset.of_class(label), 1)
        radius = self.radius_share * distance[where, 0]
        return replace(from_parents(parent, radius), anchor=place[where, 0])


def between_classes(
    dataset: EncodedDataset, label: int, draws: Tensor, random: RowRandom, p_cross_class: float
) -> Plan:
    """Starts between two rows of the class, some between a row and a near row of another class."""
    own = dataset.of_class(label)
    gap, nearest_others = dataset.other_class_neighbors(label, 3)
    typical = dataset.same_class_neighbors(label, 5)[0].mean(1).median()
    parent = round_robin(own, draws, dataset.seed, label)
    at = torch.searchsorted(own, parent)
    crosses = uniform(random, CROSSES) < p_cross_class
    second = torch.where(
        crosses,
        one_of(nearest_others[at], random.at(OTHER)),
        own[random.at(OWN).integers(len(own))],
    )
    return replace(
        from_parents(parent, gap[at, 0].minimum(typical)),
        second_parent=second,
        mix=uniform(random, MIX) * (1 - 0.1 * crosses.float()),
    )


@dataclass
class Match(Recipe, Parameters):
    """Interpolants moved to the margins that real rows of the class have, held out.

    Most start anywhere between two rows of the class, some between a row and a near row of
    another class; each then climbs to the held-out margin of a random row of the class, a little
    easier.

    Parameters
    ----------
    margin_shift : float
        By how many standard deviations of the class's margins the target is raised.
    p_cross_class : float in [0, 1]
        Share of the rows that start between the classes.
    norm : {inf, 2, 1}, default=2
        The norm of the radius.
    attack : attack, optional
        How rows move where the sampler names no attack; None: not at all.

    See Also
    --------
    advaug.recipes.Explore :
        Interpolate between two rows, add noise, and accept what held-out models agree on.
    advaug.recipes.Boundary :
        Interpolants of which half climb to small margins: rows beside the class's border.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from advaug import AdversarialOverSampler
    >>> from advaug.recipes import Match
    >>> X, y = make_classification(100, weights=[0.8], class_sep=2.0, random_state=0)
    >>> sampler = AdversarialOverSampler(recipe=Match(p_cross_class=0.0), random_state=0)
    >>> X_new, y_new = sampler.fit_resample(X, y)
    >>> sampler.provenance_["recipe"].value_counts().to_dict()
    {'match': 62}
    """

    margin_shift: float = 1.5
    p_cross_class: float = 0.2
    norm: float = 2.0
    attack: Attack | None = field(
        default_factory=lambda: PGD(steps=8, step=0.2, random_start=False, stop_at=-0.15)
    )

    def plan(
        self, dataset: EncodedDataset, label: int, draws: Int[Tensor, " rows"], random: RowRandom
    ) -> Plan:
        plan = between_classes(dataset, label, draws, random, self.p_cross_class)
        margins = dataset.margins(label)[dataset.of_class(label)]
        targets = margins[random.at(MARGIN).integers(len(margins))]
        shift = self.margin_shift * margins.std(correction=0)
        return replace(plan, target_margin=targets + shift)

    def objective(self, logits: Logits, label: Tensor, plan: Plan) -> Objective:
        return TargetMargin(logits, label, plan.target_margin)


@dataclass
class Boundary(Recipe, Parameters):
    """Interpolants of which half climb to small margins: rows beside the class's border.

    Parameters
    ----------
    margin_std : float
        Standard deviation of the normal distribution whose absolute values are the target margins.
    p_cross_class : float in [0, 1]
        As in `Match`.
    norm : {inf, 2, 1}, default=2
        The norm of the radius.
    attack : attack, optional
        How rows move where the sampler names no attack; None: not at all.

    See Also
    --------
    advaug.recipes.Match :
        Interpolants moved to the margins that real rows of the class have, held out.
    advaug.recipes.Harden :
        Rows of the class moved a little against their own label, which they keep.

    References
    ----------
    Heo, Lee, Yun, Choi. Knowledge distillation with adversarial samples supporting decision
    boundary. AAAI 2019.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from advaug import AdversarialOverSampler
    >>> from advaug.recipes import Boundary
    >>> X, y = make_classification(100, weights=[0.8], class_sep=2.0, random_state=0)
    >>> sampler = AdversarialOverSampler(recipe=Boundary(margin_std=0.5), random_state=0)
    >>> X_new, y_new = sampler.fit_resample(X, y)
    >>> sampler.provenance_["recipe"].value_counts().to_dict()
    {'boundary': 62}
    """

    margin_std: float = 1.0
    p_cross_class: float = 0.2
    norm: float = 2.0
    attack: Attack | None = field(
        default_factory=lambda: PGD(steps=8, step=0.2, random_start=False, stop_at=-0.15)
    )

    def plan(
        self, dataset: EncodedDataset, label: int, draws: Int[Tensor, " rows"], random: RowRandom
    ) -> Plan:
        plan = between_classes(dataset, label, draws, random, self.p_cross_class)
        stays = uniform(random, ATTACK_ONLY) < 0.5
        target = self.margin_std * standard_normal(uniform(random, MARGIN)).abs()
        return replace(plan, target_margin=target, radius=plan.radius.masked_fill(stays, 0.0))

    def objective(self, logits: Logits, label: Tensor, plan: Plan) -> Objective:
        return TargetMargin(logits, label, plan.target_margin)


class VotedRecipe(Recipe):
    """A recipe whose rows are drawn until the voters are sure of one, for recipes to inherit.

    A row is accepted with the probability p ** acceptance_power, where p is the mean predicted
    probability of its label over the voters.
    """

    redraws: ClassVar[bool] = True
    acceptance_power: float = 4.0

    def acceptance(
        self, probability: Float[Tensor, " batch"], logits: Logits, x: Tensor, label: int
    ) -> Float[Tensor, " batch"]:
        return probability**self.acceptance_power

    def least_probability(self, lot: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        power = self.acceptance_power
        return lot ** (1 / power) if power else torch.zeros_like(lot)


@dataclass
class Explore(VotedRecipe, Parameters):
    """Interpolate between two rows, add noise, and accept what held-out models agree on.

    A row is accepted with the probability p ** acceptance_power, where p is the mean predicted
    probability of its label over the committee and models of other families: the new rows cover
    the class with labels that can be trusted. Texts and other sequences exchange blocks and are
    edited at random, as by `Bag`, with fewer second parents of another class; nobody has measured
    that it does more for them.

    Parameters
    ----------
    max_mix : float in [0, 1]
        Largest share of the way from a row to the other one.
    p_cross_class : float in [0, 1]
        Share of the rows whose second parent is of another class, so that what lies between the
        classes is covered too.
    n_neighbors : int, optional
        The second parent is one of so many nearest rows of the class; None: any row of the class.
    noise_std : float
        Longest random move off the line between the two rows, in standard deviations. Where a row
        has few columns it is shorter: half a standard deviation for each, root mean square.
    attack_radius : float
        How far an attack may go after that, in the units of the space. By default none is made: on
        tables it bought nothing.
    p_attack_only : float in [0, 1]
        Share of the rows that only the attack moves, from their parent. If it is positive, the
        other rows are mixed and not attacked.
    acceptance_power : float
        How strongly rows are preferred of which the voters are sure.
    hardness : float
        How strongly rows are preferred that the attacked model gets wrong: the acceptance is
        multiplied by (1 - its probability) ** hardness. Meant for a surrogate of your own.
    norm : {inf, 2, 1}, default=2
        The norm of the radius.
    attack : attack, optional
        How rows move where the sampler names no attack; None: not at all.

    See Also
    --------
    advaug.recipes.Match :
        Interpolants moved to the margins that real rows of the class have, held out.
    advaug.recipes.Interpolate :
        No attack: a random point between a row and one of its nearest neighbors of the class.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from advaug import AdversarialOverSampler
    >>> from advaug.recipes import Explore
    >>> X, y = make_classification(100, weights=[0.8], class_sep=2.0, random_state=0)
    >>> sampler = AdversarialOverSampler(recipe=Explore(noise_std=0.0), random_state=0)
    >>> X_new, y_new = sampler.fit_resample(X, y)
    >>> sampler.provenance_["recipe"].value_counts().to_dict()
    {'explore': 62}
    """

    max_mix: float = 1.0
    p_cross_class: float = 0.3
    n_neighbors: int | None = None
    noise_std: float = 3.0
    attack_radius: float = 0.5
    p_attack_only: float = 0.0
    acceptance_power: float = 4.0
    hardness: float = 0.0
    norm: float = 2.0
    attack: Attack | None = None

    @property
    def holds_special_values(self) -> bool:
        return True

    def plan(
        self, dataset: EncodedDataset, label: int, draws: Int[Tensor, " rows"], random: RowRandom
    ) -> Plan:
        own, others = dataset.of_class(label), dataset.of_others(label)
        plan = from_parents(round_robin(own, draws, dataset.seed, label))
        size = uniform(random, SIZE).sqrt()
        crosses = uniform(random, CROSSES) < self.p_cross_class
        second, other = (
            rows[random.at(step).integers(len(rows))]
            for rows, step in ((own, OWN), (others, OTHER))
        )
        if self.n_neighbors is not None:
            near = dataset.same_class_neighbors(label, self.n_neighbors)[1]
            second = one_of(near[torch.searchsorted(own, plan.parent)], random.at(OWN))
        mixed = replace(
            plan,
            second_parent=torch.where(crosses, other, second),
            mix=self.max_mix * uniform(random, MIX),
            noise_std=self.noise_std * size,
            radius=self.attack_radius * size,
        )
        if not self.p_attack_only:
            return mixed
        is_attacked = uniform(random, ATTACK_ONLY) < self.p_attack_only
        return replace(
            plan,
            second_parent=torch.where(is_attacked, plan.parent, mixed.second_parent),
            mix=mixed.mix * ~is_attacked,
            noise_std=mixed.noise_std * ~is_attacked,
            radius=mixed.radius * is_attacked,
        )

    def acceptance(
        self, probability: Float[Tensor, " batch"], logits: Logits, x: Tensor, label: int
    ) -> Float[Tensor, " batch"]:
        accepted = super().acceptance(probability, logits, x, label)
        if self.hardness:
            doubt = 1 - logits(x).softmax(-1)[:, label]
            accepted = accepted * doubt**self.hardness
        return accepted
