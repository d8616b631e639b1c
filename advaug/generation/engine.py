"""One loop from plan to accepted rows: start, attack, snap, judge, retract.

Rows go fold by fold, so that each is attacked and judged by members that never saw its parent:
one half of them is attacked, the other half is the jury.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from advaug.adapters.protocol import refuse_not_finite
from advaug.attacks import Attack
from advaug.generation.pool import Pool
from advaug.generation.recipes import Plan, Recipe
from advaug.norms import draw
from advaug.objectives import Logits, margin, of_rows
from advaug.spaces import Space
from advaug.surrogates.ensemble import Committee
from advaug.validity import Bench

# A level that fewer of the class's rows hold is no place for an attack to flip to: what is rare in
# the data is where a model is least to be trusted. Two rows may still mix to it.
USUAL = 0.05
CPU_ROWS = 1024  # attacked at once on a CPU: small nets are fastest so, and memory is a quarter
RETREATS = (1.0, 0.5, 0.25)  # shares of the way from home at which a refused row is tried again

# The columns of a record: numbers beside each synthetic row.
RECORD = ("distance", "margin_before", "margin_after", "p_value", "probability", "kept")


@dataclass(frozen=True)
class Grown:
    """A batch of accepted rows: encoded, with parent, mate and home (places in the pool)."""

    x: Float[Tensor, "batch *shape"]
    parent: Int[Tensor, " batch"]
    mate: Int[Tensor, " batch"]
    home: Int[Tensor, " batch"]
    record: dict[str, Tensor]


@dataclass(frozen=True)
class Streams:
    """Two streams of chance, each used once a batch: a row is the same in any batch size."""

    attack: torch.Generator
    snap: torch.Generator


@dataclass(frozen=True)
class Terms:
    """On what terms rows are grown.

    attack : None for no move at all.
    attacked : the user's own model on encoded rows; None for half of the committee.
    bench : the judge, None to keep every row.
    radius : one for all rows, None for the recipe's own.
    """

    attack: Attack | None
    attacked: Logits | None
    bench: Bench | None
    radius: float | None
    batch_size: int
    device: torch.device


def generate(
    pool: Pool, recipe: Recipe, label: int, count: int, terms: Terms, generator: torch.Generator
) -> Iterator[Grown]:
    """Batches of new rows of a class, `count` in all."""
    plan = recipe.plan(pool, label, count, generator)
    if terms.radius is not None:
        # A row that its recipe holds still stays so.
        plan = replace(plan, radius=(plan.radius > 0) * torch.tensor(terms.radius).float())
    seeds = torch.randint(2**62, (2,), generator=generator).tolist()
    streams = Streams(*(torch.Generator().manual_seed(seed) for seed in seeds))
    margins = pool.margins(label)
    fold = pool.committee.fold_of_row[plan.parent]
    device = terms.device
    space = pool.space.to(device)
    arena = space.usual_in(pool.x[pool.of(label)], USUAL)
    bench = terms.bench.to(device) if terms.bench else None
    for one in fold.unique().tolist():
        fighters, jury = pool.committee.strangers(one).to(device).halves()
        attacked = terms.attacked or partial(flat_logits, fighters)
        work = Work(
            pool, space, arena, recipe, label, terms.attack, attacked, jury, bench, streams, device
        )
        for rows in (fold == one).nonzero()[:, 0].split(terms.batch_size):
            yield work.grow(plan.take(rows), margins)


def flat_logits(committee: Committee, x: Tensor) -> Tensor:
    """The committee's logits of rows of any shape."""
    return committee.logits(x.flatten(1))


@dataclass(frozen=True)
class Work:
    """What one batch needs beside its plan."""

    pool: Pool
    space: Space
    arena: Space  # the part of it that attacks may move in
    recipe: Recipe
    label: int
    attack: Attack | None
    attacked: Logits
    jury: Committee
    bench: Bench | None
    streams: Streams
    device: torch.device

    def grow(self, plan: Plan, margins: Float[Tensor, " kept"]) -> Grown:
        """Start, attack, judge, and write down what came of it."""
        x = self.pool.x
        parent, mate, home = (x[k].to(self.device) for k in (plan.parent, plan.mate, plan.home))
        start = self.space.mix(parent, mate, plan.share.to(self.device))
        moved = self._attack(plan, start)
        noise = draw(parent, self.streams.snap)
        # Only a row that starts at its parent has a ball to stay in once it is snapped.
        reach = torch.where(plan.share > 0, torch.inf, plan.radius).to(self.device)
        best, record = self._accepted(moved, parent, home, reach, noise)

        went_home = (record["kept"] == 0).cpu()
        origin = torch.where(went_home, plan.home, plan.parent)
        record["distance"] = self.space.distance(best, x[origin].to(self.device))
        record["margin_before"] = margins[origin]
        return Grown(
            x=best.cpu(),
            parent=origin,
            mate=torch.where(went_home | (plan.mate == plan.parent), -1, plan.mate),
            home=plan.home,
            record={name: values.cpu() for name, values in record.items()},
        )

    def _accepted(
        self, moved: Tensor, parent: Tensor, home: Tensor, reach: Tensor, noise: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Snap and judge; who is refused tries again nearer home, and at last stays there."""
        best, (_, record) = home.clone(), self._judged(home)
        record["kept"] = torch.zeros_like(reach)
        waiting = torch.arange(len(home), device=self.device)
        for kept in RETREATS:
            back = torch.full_like(reach[waiting], 1 - kept)
            tried = self.space.mix(moved[waiting], home[waiting], back)
            tried = self.space.snap(tried, parent[waiting], reach[waiting], noise[waiting])
            keeps, facts = self._judged(tried)
            facts["kept"] = torch.full_like(back, kept)
            for name, values in facts.items():
                record[name][waiting[keeps]] = values[keeps]
            best[waiting[keeps]] = tried[keeps]
            waiting = waiting[~keeps]
            if not len(waiting):
                break
        return best, record

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
            objective = self.recipe.objective(attacked, label[rows], some)
            moved.append(
                self.attack(objective, start[rows], self.arena, some.radius, self.streams.attack)
            )
        refuse_not_finite(torch.cat(moved).cpu())
        return torch.cat(moved)

    def _judged(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        flat = x.flatten(1)
        members = self.jury.member_logits(flat)
        label = torch.full((len(x),), self.label, device=x.device)
        probability = members.softmax(-1).mean(0)[:, self.label]
        facts = {"margin_after": margin(members.mean(0), label), "probability": probability}
        if self.bench is None:
            facts["p_value"] = torch.full_like(probability, torch.nan)
            return torch.ones_like(probability, dtype=torch.bool), facts
        verdict = self.bench.verdict(flat, probability)
        return verdict.keeps, facts | {"p_value": verdict.p_value}
