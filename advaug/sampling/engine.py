"""One loop from plan to accepted rows: start, attack, snap, mend, judge.

A refused row is drawn back towards a real one, or drawn anew where the recipe says so. Rows that
may be drawn back go fold by fold, so that each is attacked and judged by members that never saw
its parent: one half of them is attacked, the other half is the jury.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.core.domain import refuse_not_finite
from advaug.core.features import Features
from advaug.core.norms import draw
from advaug.core.objectives import Logits, margin, of_rows
from advaug.core.problem import Attack, AttackProblem
from advaug.core.row_random import RowRandom
from advaug.core.space import Space
from advaug.models.committee import Committee
from advaug.sampling.encoded_dataset import EncodedDataset, Voter
from advaug.sampling.judges.protocol import FittedJudge
from advaug.sampling.recipes import AcceptanceProbability, Plan, Recipe, from_parents, round_robin

# A level that fewer of the class's rows hold is no place for an attack to flip to: what is rare in
# the data is where a model is least to be trusted. Two rows may still mix to it.
USUAL = 0.05
CPU_ROWS = 1024  # attacked at once on a CPU: small nets are fastest so, and memory is a quarter
RETREATS = (1.0, 0.5, 0.25)  # shares of the way from home at which a refused row is tried again
ROUNDS = 12  # of rows drawn anew, before what is missing is repeated

# The columns of a record: numbers beside each synthetic row.
RECORD = ("distance", "margin_before", "margin_after", "p_value", "probability", "kept", "mended")

# (encoded rows, encoded parents, their places in the pool) -> mended rows, what was done to each
RepairFunction = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
# features, what others say of the rows -> logits, and probabilities of each class
VoteFunction = Callable[..., tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class SyntheticBatch:
    """A batch of accepted rows: encoded, with parent, mate and home (places in the pool)."""

    x: Float[Tensor, "batch *shape"]
    parent: Int[Tensor, " batch"]
    mate: Int[Tensor, " batch"]
    home: Int[Tensor, " batch"]
    record: dict[str, Tensor]

    def take(self, rows: Int[Tensor, " some"]) -> Self:
        """Some of the rows."""
        record = {name: values[rows] for name, values in self.record.items()}
        return replace(
            self,
            x=self.x[rows],
            parent=self.parent[rows],
            mate=self.mate[rows],
            home=self.home[rows],
            record=record,
        )

    def first(self, count: int) -> Self:
        """The first rows, at most `count`."""
        return self if len(self.x) <= count else self.take(torch.arange(count))


@dataclass(frozen=True)
class Streams:
    """Streams of chance, each used once a batch: a row is the same in any batch size."""

    scatter: torch.Generator
    attack: torch.Generator
    snap: torch.Generator
    accept: torch.Generator


@dataclass(frozen=True)
class GenerationConfig:
    """On what terms rows are grown.

    attack : None for no move at all.
    attacked : the user's own model on encoded rows; None for half of the committee.
    bench : the judge, None to keep every row.
    radius : one for all rows, None for the recipe's own.
    mend : brings rows back to the rules that their parents keep, before they are judged.
    reads_rows : whether the judge reads encoded rows, instead of what the committee sees of them.
    """

    attack: Attack | None
    attacked: Logits | None
    bench: FittedJudge | None
    radius: float | None
    batch_size: int
    device: torch.device
    mend: RepairFunction | None = None
    reads_rows: bool = False


def generate(
    pool: EncodedDataset,
    recipe: Recipe,
    label: int,
    count: int,
    terms: GenerationConfig,
    generator: torch.Generator,
) -> Iterator[SyntheticBatch]:
    """Batches of new rows of a class, `count` in all."""
    plan = planned(pool, recipe, label, count, terms, generator)
    seeds = torch.randint(2**62, (4,), generator=generator).tolist()
    committee = pool.committee.to(terms.device)
    space = pool.space.to(terms.device)
    work = ClassGenerator(
        pool=pool,
        space=space,
        arena=space.restrict_to_common_levels(pool.x[pool.of(label)], USUAL),
        recipe=recipe,
        label=label,
        attack=terms.attack,
        features=committee.features,
        attacked=terms.attacked or committee.logits,
        jury=partial(mean_vote, committee, pool.voters),
        bench=terms.bench.to(terms.device) if terms.bench else None,
        mend=terms.mend,
        streams=Streams(*(torch.Generator().manual_seed(seed) for seed in seeds)),
        device=terms.device,
        margins=pool.margins(label),
        reads_rows=terms.reads_rows,
        readers=() if recipe.chance is None else pool.readers,
    )
    if recipe.chance is None:
        yield from retract(work, plan, terms)
    else:
        yield from rejection_sample(work, plan, recipe.chance, terms, generator)


def planned(
    pool: EncodedDataset,
    recipe: Recipe,
    label: int,
    count: int,
    terms: GenerationConfig,
    generator: torch.Generator,
) -> Plan:
    """The recipe's plan, with the radius of the terms."""
    plan = recipe.plan(pool, label, count, generator)
    if terms.radius is not None:
        # A row that its recipe holds still stays so.
        plan = replace(plan, radius=(plan.radius > 0) * torch.tensor(terms.radius).float())
    return plan


def retract(
    work: "ClassGenerator", plan: Plan, terms: GenerationConfig
) -> Iterator[SyntheticBatch]:
    """Every row of the plan, moved as far as members that never saw its parent allow."""
    committee = work.pool.committee
    fold = committee.fold_of_row[plan.parent]
    for one in fold.unique().tolist():
        fighters, jury = committee.held_out_members(one).to(work.device).halves()
        attacked = terms.attacked or fighters.logits
        work = replace(work, attacked=attacked, jury=partial(mean_vote, jury, ()))
        for rows in (fold == one).nonzero()[:, 0].split(terms.batch_size):
            yield work.grow(plan.take(rows))


def rejection_sample(
    work: "ClassGenerator",
    plan: Plan,
    chance: AcceptanceProbability,
    terms: GenerationConfig,
    generator: torch.Generator,
) -> Iterator[SyntheticBatch]:
    """As many rows as planned, each accepted by the recipe's chance."""
    missing = len(plan.parent)
    for _ in range(ROUNDS):
        accepted = 0
        for rows in torch.arange(len(plan.parent)).split(terms.batch_size):
            grown = work.sift(plan.take(rows), chance).first(missing)
            accepted, missing = accepted + len(grown.x), missing - len(grown.x)
            if len(grown.x):
                yield grown
            if not missing:
                return
        share = max(accepted / len(plan.parent), 0.1)
        count = math.ceil(1.1 * missing / share)
        plan = planned(work.pool, work.recipe, work.label, count, terms, generator)
    left = from_parents(round_robin(work.pool.of(work.label), missing, generator))
    for rows in torch.arange(missing).split(terms.batch_size):
        yield work.stay(left.take(rows))


def mean_vote(
    committee: Committee,
    voters: tuple[Voter, ...],
    features: Float[Tensor, "batch width"],
    *others: Float[Tensor, "batch classes"],
) -> tuple[Float[Tensor, "batch classes"], Float[Tensor, "batch classes"]]:
    """The committee's logits, and the mean probability of it, each voter and what others say."""
    members = committee.read(features)
    voices = [
        members.softmax(-1).mean(0),
        *(voter(features).to(features) for voter in voters),
        *others,
    ]
    return members.mean(0), torch.stack(voices).mean(0)


def keyed(rows: Tensor, generator: torch.Generator) -> RowRandom:
    """Random numbers of their own for each of the rows."""
    return RowRandom.from_generator(len(rows), generator).to(rows.device)


@dataclass(frozen=True)
class ClassGenerator:
    """What one batch needs beside its plan."""

    pool: EncodedDataset
    space: Space
    arena: Space  # the part of it that attacks may move in
    recipe: Recipe
    label: int
    attack: Attack | None
    features: Features
    attacked: Logits
    jury: VoteFunction
    bench: FittedJudge | None
    mend: RepairFunction | None
    streams: Streams
    device: torch.device
    margins: Float[Tensor, " kept"]  # held out, of the pool's rows for the label
    reads_rows: bool = False  # the bench, and not what the committee sees of them
    readers: tuple[Voter, ...] = ()

    def grow(self, plan: Plan) -> SyntheticBatch:
        """Start, attack, snap, mend and judge; who is refused tries again nearer home, and at
        last stays there."""
        moved, noise, reach = self._moved(plan)
        home = self._rows(plan.home)
        best, (_, record) = home.clone(), self._judged(home)
        record["kept"], record["mended"] = torch.zeros_like(reach), torch.zeros_like(reach)
        waiting = torch.arange(len(home), device=self.device)
        for kept in RETREATS:
            at = waiting.cpu()
            back = torch.full_like(reach[waiting], 1 - kept)
            tried = self.space.mix(moved[waiting], home[waiting], back)
            tried, keeps, facts = self._tried(tried, plan.take(at), reach[waiting], noise[waiting])
            facts["kept"] = torch.full_like(back, kept)
            for name, values in facts.items():
                record[name][waiting[keeps]] = values[keeps]
            best[waiting[keeps]] = tried[keeps]
            waiting = waiting[~keeps]
            if not len(waiting):
                break
        return self._grown(plan, best, record)

    def sift(self, plan: Plan, chance: AcceptanceProbability) -> SyntheticBatch:
        """Start, attack, snap, mend and judge; only who is accepted."""
        moved, noise, reach = self._moved(plan)
        x, keeps, record = self._tried(moved, plan, reach, noise)
        lot = torch.rand(len(x), generator=self.streams.accept, dtype=torch.float32)
        attacked = of_rows(self.attacked, plan.parent)
        # A drawn number is uniform: it lies within noise of the chance as rarely as noise is small.
        likely = chance(record["probability"], attacked, x, self.label)
        keeps &= lot.to(likely) < likely
        record["kept"] = torch.ones_like(reach)
        grown = self._grown(plan, x, record)
        return grown.take(keeps.nonzero()[:, 0].cpu())

    def stay(self, plan: Plan) -> SyntheticBatch:
        """The homes themselves."""
        home = self._rows(plan.home)
        _, record = self._judged(home)
        record["kept"] = record["mended"] = torch.zeros_like(record["probability"])
        return self._grown(plan, home, record)

    def _rows(self, places: Int[Tensor, " batch"]) -> Tensor:
        return self.pool.x[places].to(self.device)

    def _moved(self, plan: Plan) -> tuple[Tensor, Tensor, Tensor]:
        """The attacked rows, the noise that snaps them and the ball in which they do."""
        parent = self._rows(plan.parent)
        start = self.space.mix(parent, self._rows(plan.mate), plan.share.to(self.device))
        if plan.scatter.any():
            start = self._scattered(start, plan.scatter.to(self.device))
        moved, noise = self._attack(plan, start), draw(parent, keyed(parent, self.streams.snap))
        # Only a row that starts at its parent has a ball to stay in once it is snapped.
        reach = torch.where(plan.share > 0, torch.inf, plan.radius).to(self.device)
        return moved, noise, reach

    def _scattered(self, x: Tensor, size: Float[Tensor, " batch"]) -> Tensor:
        """The rows moved in random directions by `size` standard deviations of the columns."""
        noise = draw(x, keyed(x, self.streams.scatter))
        return self.space.scatter(x, size, self.pool.scale.to(self.device), noise)

    def _tried(
        self, x: Tensor, plan: Plan, reach: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Rows as they would be shipped, whether the judge keeps them, and what was found."""
        parent = self._rows(plan.parent)
        x, done = self.space.snap(x, parent, reach, noise), torch.zeros_like(reach)
        if self.mend is not None:
            x, done = self.mend(x, parent, plan.parent)
        keeps, facts = self._judged(x)
        return x, keeps, facts | {"mended": done.to(reach)}

    def _grown(self, plan: Plan, x: Tensor, record: dict[str, Tensor]) -> SyntheticBatch:
        """The rows with where they came from: who stayed at home has its home as its parent."""
        went_home = (record["kept"] == 0).cpu()
        origin = torch.where(went_home, plan.home, plan.parent)
        record["distance"] = self.space.distance(x, self._rows(origin))
        record["margin_before"] = self.margins[origin]
        return SyntheticBatch(
            x=x.cpu(),
            parent=origin,
            mate=torch.where(went_home | (plan.mate == plan.parent), -1, plan.mate),
            home=plan.home,
            record={name: values.cpu() for name, values in record.items()},
        )

    def _attack(self, plan: Plan, start: Tensor) -> Tensor:
        if self.attack is None:
            return start
        label = torch.full((len(start),), self.label, device=self.device)
        plan = replace(plan, level=plan.level.to(self.device), radius=plan.radius.to(self.device))
        height = CPU_ROWS if start.device.type == "cpu" else len(start)
        moved = []
        for rows in torch.arange(len(start)).split(height):
            some = plan.take(rows)
            attacked = of_rows(self.attacked, some.parent)
            problem = AttackProblem(
                objective=self.recipe.objective(attacked, label[rows], some),
                seed=start[rows],
                space=self.arena,
                radius=some.radius,
                random=keyed(start[rows], self.streams.attack),
                reference_rows=self.pool.x[self.pool.of(self.label)],
            )
            moved.append(self.attack(problem))
        refuse_not_finite(torch.cat(moved).cpu())
        return torch.cat(moved)

    def _judged(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        features = self.features(x)
        heard = [reader(x).to(features) for reader in self.readers]
        logits, probabilities = self.jury(features, *heard)
        label = torch.full((len(x),), self.label, device=x.device)
        probability = probabilities[:, self.label]
        facts = {"margin_after": margin(logits, label), "probability": probability}
        if self.bench is None:
            facts["p_value"] = torch.full_like(probability, torch.nan)
            return torch.ones_like(probability, dtype=torch.bool), facts
        verdict = self.bench.verdict(x if self.reads_rows else features, probability)
        return verdict.keeps, facts | {"p_value": verdict.p_value}
