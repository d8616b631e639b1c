"""Recipes: which rows to start from, how far they may go, and what the attack is to raise.

A recipe plans; it moves nothing itself. Every plan names a home, a real row of the target class:
a row that the judge refuses is drawn back towards it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.attacks.gradient import FGSM, PGD
from advaug.core.norms import standard_normal
from advaug.core.objectives import Logits, Objective, Odds, TargetMargin
from advaug.core.parameters import Parameters
from advaug.core.problem import Attack
from advaug.sampling.encoded_dataset import EncodedDataset


@dataclass(frozen=True)
class Plan:
    """One line a row; places are places in the pool.

    The start is `share` of the way from `parent` to `mate` and `scatter` standard deviations off
    it; `level` is the margin that recipes with a target margin aim at.
    """

    parent: Int[Tensor, " rows"]
    mate: Int[Tensor, " rows"]
    share: Float[Tensor, " rows"]
    home: Int[Tensor, " rows"]
    radius: Float[Tensor, " rows"]
    level: Float[Tensor, " rows"]
    scatter: Float[Tensor, " rows"]

    def take(self, rows: Int[Tensor, " some"]) -> Self:
        """Some lines of the plan."""
        return replace(self, **{name: column[rows] for name, column in vars(self).items()})


# (mean probability of all voices, the attacked model, rows, label) -> chance of being kept
AcceptanceProbability = Callable[[Tensor, Logits, Tensor, int], Tensor]


class Recipe(Protocol):
    """Seeds, target and objective together.

    Where there is a `chance`, a row is accepted by it, and drawn anew where it is not; where it is
    None, a refused row is drawn back.
    """

    norm: float
    attack: Attack | None

    @property
    def chance(self) -> AcceptanceProbability | None: ...

    def plan(
        self, pool: EncodedDataset, label: int, count: int, generator: torch.Generator
    ) -> Plan:
        """Where `count` new rows of the class come from."""
        ...

    def objective(self, logits: Logits, label: Tensor, plan: Plan) -> Objective:
        """What the attack raises for the rows of a plan."""
        ...


def round_robin(own: Int[Tensor, " own"], count: int, generator: torch.Generator) -> Tensor:
    """`count` rows in random order, each of the class as often as any other, give or take one."""
    rounds = math.ceil(count / len(own))
    order = [own[torch.randperm(len(own), generator=generator)] for _ in range(rounds)]
    return torch.cat(order)[:count]


def uniform(count: int, generator: torch.Generator) -> Float[Tensor, " count"]:
    return torch.rand(count, generator=generator, dtype=torch.float32)


def one_of(places: Int[Tensor, "rows k"], generator: torch.Generator) -> Int[Tensor, " rows"]:
    """One of the k places of each row, by chance."""
    pick = (uniform(len(places), generator) * places.shape[1]).long()
    return places.gather(1, pick[:, None])[:, 0]


def from_parents(parent: Tensor, radius: Tensor | None = None) -> Plan:
    """A plan that starts at the parents themselves."""
    nothing = torch.zeros(len(parent), dtype=torch.float32)
    radius = nothing if radius is None else radius
    return Plan(parent, parent, nothing, parent, radius, nothing, nothing)


@dataclass
class Interpolate(Parameters):
    """No attack: a random point between a row and one of its nearest kin (Chawla et al., JAIR
    2002). What is left where there is nothing to learn, and a control."""

    n_neighbors: int = 5
    norm: float = 2.0
    attack: Attack | None = None
    chance: ClassVar[None] = None

    def plan(
        self, pool: EncodedDataset, label: int, count: int, generator: torch.Generator
    ) -> Plan:
        own = pool.of(label)
        plan = from_parents(round_robin(own, count, generator))
        if len(own) < 2:
            return plan
        kin = pool.same_class_neighbors(label, self.n_neighbors)[1][
            torch.searchsorted(own, plan.parent)
        ]
        return replace(plan, mate=one_of(kin, generator), share=uniform(count, generator))

    def objective(self, logits: Logits, label: Tensor, plan: Plan) -> Objective:
        return Odds(logits, label)


@dataclass
class Harden(Parameters):
    """Rows of the class moved a little against their own label, which they keep.

    The textbook form of adversarial training (Goodfellow, Shlens, Szegedy. ICLR 2015), with a
    radius that is a share of the distance to the nearest row of another class.
    """

    radius_share: float = 0.25
    norm: float = math.inf
    attack: Attack | None = field(default_factory=FGSM)
    chance: ClassVar[None] = None

    def plan(
        self, pool: EncodedDataset, label: int, count: int, generator: torch.Generator
    ) -> Plan:
        own = pool.of(label)
        parent = round_robin(own, count, generator)
        gap = pool.other_class_neighbors(label)[0][:, 0]
        is_box = self.norm == math.inf and pool.space.is_euclidean
        width = pool.cells.shape[1] if is_box else 1  # a box's corner lies far
        return from_parents(
            parent, self.radius_share * gap[torch.searchsorted(own, parent)] / math.sqrt(width)
        )

    def objective(self, logits: Logits, label: Tensor, plan: Plan) -> Objective:
        return Odds(logits, label)


@dataclass
class Translate(Parameters):
    """Rows of other classes carried into the class by a targeted attack.

    M2m (Kim, Jeong, Shin. M2m: imbalanced classification via major-to-minor translation. CVPR
    2020), but accepted by members that were not attacked. A refused row is drawn towards its
    nearest real row of the class.
    """

    radius_share: float = 1.0
    norm: float = 2.0
    attack: Attack | None = field(
        default_factory=lambda: PGD(steps=10, step=0.15, random_start=False)
    )
    chance: ClassVar[None] = None

    def plan(
        self, pool: EncodedDataset, label: int, count: int, generator: torch.Generator
    ) -> Plan:
        others = (pool.y != label).nonzero()[:, 0]
        parent = round_robin(others, count, generator)
        own = pool.of(label)
        used, where = parent.unique(return_inverse=True)
        distance, place = _nearest_of(pool, used, own)
        home = place[where]
        return replace(from_parents(parent, self.radius_share * distance[where]), home=home)

    def objective(self, logits: Logits, label: Tensor, plan: Plan) -> Objective:
        return Odds(logits, label, targeted=True)


def _nearest_of(pool: EncodedDataset, rows: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    distance, place = pool.near(rows, own, 1)
    return distance[:, 0], place[:, 0]


@dataclass
class Match(Parameters):
    """Interpolants moved to the margins that real rows of the class have, held out.

    Most start anywhere between two rows of the class, some between a row and a near row of
    another class; each then climbs to the held-out margin of a random row of the class, a little
    easier.

    Parameters
    ----------
    margin_shift : float
        By how many standard deviations of the class's margins the target is raised.
    p_cross_class : float
        Share of the rows that start between the classes.
    """

    margin_shift: float = 1.5
    p_cross_class: float = 0.2
    norm: float = 2.0
    attack: Attack | None = field(
        default_factory=lambda: PGD(steps=8, step=0.2, random_start=False, stop_at=-0.15)
    )
    chance: ClassVar[None] = None

    def plan(
        self, pool: EncodedDataset, label: int, count: int, generator: torch.Generator
    ) -> Plan:
        plan = self._starts(pool, label, count, generator)
        margins = pool.margins(label)[pool.of(label)]
        targets = margins[(uniform(count, generator) * len(margins)).long()]
        return replace(plan, level=targets + self.margin_shift * margins.std(correction=0))

    def _starts(
        self, pool: EncodedDataset, label: int, count: int, generator: torch.Generator
    ) -> Plan:
        own = pool.of(label)
        gap, enemy = pool.other_class_neighbors(label, 3)
        typical = pool.same_class_neighbors(label, 5)[0].mean(1).median()
        parent = round_robin(own, count, generator)
        at = torch.searchsorted(own, parent)
        kin = own[(uniform(count, generator) * len(own)).long()]
        crosses = uniform(count, generator) < self.p_cross_class
        return Plan(
            parent=parent,
            mate=torch.where(crosses, one_of(enemy[at], generator), kin),
            share=uniform(count, generator) * (1 - 0.1 * crosses.float()),
            home=parent,
            radius=gap[at, 0].minimum(typical),
            level=(nothing := torch.zeros(count, dtype=torch.float32)),
            scatter=nothing,
        )

    def objective(self, logits: Logits, label: Tensor, plan: Plan) -> Objective:
        return TargetMargin(logits, label, plan.level)


@dataclass
class Boundary(Match):
    """Interpolants of which half climb to small margins: rows beside the class's border.

    After boundary-supporting samples (Heo, Lee, Yun, Choi. Knowledge distillation with
    adversarial samples supporting decision boundary. AAAI 2019).
    """

    margin_std: float = 1.0

    def plan(
        self, pool: EncodedDataset, label: int, count: int, generator: torch.Generator
    ) -> Plan:
        plan = self._starts(pool, label, count, generator)
        stays = uniform(count, generator) < 0.5
        level = self.margin_std * standard_normal(uniform(count, generator)).abs()
        return replace(plan, level=level, radius=plan.radius.masked_fill(stays, 0.0))


@dataclass
class Explore(Parameters):
    """Rows anywhere between a row and another one, and a little off, kept where all voices agree.

    Coverage with trustworthy labels: a new row is kept with the chance probability ** sharpness,
    where the probability is the mean voice of the committee and of trees; learners that see the
    rows inherit what these know together.

    Parameters
    ----------
    max_mix : float in [0, 1]
        Largest share of the way from a row to another one.
    p_cross_class : float in [0, 1]
        Share of the rows whose other one is of another class: what lies between the classes is
        covered too. The others stay within their class.
    n_neighbors : int, optional
        A row's kin are as many nearest rows of its class; None: all of the class.
    noise_std : float
        Longest random move off the line between the two rows, in standard deviations.
    attack_radius : float
        How far an attack may go after it, in the space's units. By default none is made: on
        tables it bought nothing.
    p_attack_only : float in [0, 1]
        Share of the rows that the attack alone moves, from their parent; where it is not 0 the
        others are mixed and not attacked.
    acceptance_power : float
        How much surer rows are preferred.
    hardness : float
        How much rows are preferred that the attacked model gets wrong: the chance is multiplied by
        (1 - its probability) ** against. Meant for a model of your own as the surrogate.
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

    def plan(
        self, pool: EncodedDataset, label: int, count: int, generator: torch.Generator
    ) -> Plan:
        own, others = pool.of(label), (pool.y != label).nonzero()[:, 0]
        plan = from_parents(round_robin(own, count, generator))
        size = uniform(count, generator).sqrt()
        crosses = uniform(count, generator) < self.p_cross_class
        kin, stranger = (
            rows[(uniform(count, generator) * len(rows)).long()] for rows in (own, others)
        )
        if self.n_neighbors is not None:
            near = pool.same_class_neighbors(label, self.n_neighbors)[1]
            kin = one_of(near[torch.searchsorted(own, plan.parent)], generator)
        mixed = replace(
            plan,
            mate=torch.where(crosses, stranger, kin),
            share=self.max_mix * uniform(count, generator),
            scatter=self.noise_std * size,
            radius=self.attack_radius * size,
        )
        if not self.p_attack_only:
            return mixed
        is_apart = uniform(count, generator) < self.p_attack_only
        return replace(
            plan,
            mate=torch.where(is_apart, plan.mate, mixed.mate),
            share=mixed.share * ~is_apart,
            scatter=mixed.scatter * ~is_apart,
            radius=mixed.radius * is_apart,
        )

    def chance(
        self, probability: Float[Tensor, " batch"], logits: Logits, x: Tensor, label: int
    ) -> Float[Tensor, " batch"]:
        """How likely each row is kept, given the mean probability of all voices."""
        chance = probability**self.acceptance_power
        if self.hardness:
            doubt = 1 - logits(x).softmax(-1)[:, label]
            chance = chance * doubt**self.hardness
        return chance

    def objective(self, logits: Logits, label: Tensor, plan: Plan) -> Objective:
        return Odds(logits, label, targeted=True)


RECIPES: dict[str, type[Recipe]] = {
    "interpolate": Interpolate,
    "harden": Harden,
    "translate": Translate,
    "match": Match,
    "boundary": Boundary,
    "explore": Explore,
}
