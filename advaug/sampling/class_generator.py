"""One class's new rows, each a pure function of (dataset, seed, class, row number).

The steps are the same for every recipe: start, attack, round, repair, judge. A rejected row is
drawn again where the recipe says so; else it is moved back towards its anchor, judged by members
that never saw its parent: one half of them is attacked, the other half votes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol, Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from advaug.core.devices import at_once
from advaug.core.finite import refuse_not_finite
from advaug.core.norms import draw
from advaug.core.objectives import Logits, margin, of_rows
from advaug.core.problem import Attack, AttackProblem
from advaug.core.row_random import RowRandom, generator_at
from advaug.core.space import CELLS_AT_ONCE, RandomMoves, Space, Wanderer
from advaug.core.tensor_fields import MovableFields, StoredFields, TensorFields, picked, some_rows
from advaug.core.ties import exceeds
from advaug.models.committee import Committee, spread
from advaug.models.protocol import Array
from advaug.sampling.cut_rows import CutRows
from advaug.sampling.encoded_dataset import EncodedDataset
from advaug.sampling.judges.protocol import FittedJudge
from advaug.sampling.jury import EqualVotes, Jury
from advaug.sampling.recipes import Plan, Recipe, from_parents, round_robin
from advaug.sampling.student_votes import (
    DRAWS_TAUGHT,
    JURY_ROWS,
    MOST_WIDTH,
    StudentVotes,
    learn_votes,
)
from advaug.sampling.tasks import Task, finish

# An attack does not flip a category to a level that fewer of the class's rows hold: a model is
# least to be trusted where the data are rare. Two rows may still mix to such a level.
COMMON = 0.05
CPU_ROWS = 1024  # Rows attacked at once on a CPU: small nets are fastest so, memory is a quarter.
MOVE_SHARES = (1.0, 0.5, 0.25)  # Shares of its move that a row is judged with, one after the other.
MAX_DRAWS = 128  # Draws of a row before its anchor is returned.
MIN_CANDIDATES = 1024  # Candidates that are worth one pass of the voters on a CPU,
MIN_CANDIDATES_ELSEWHERE = 16_384  # and on a GPU, where fewer take as long.
MAX_DRAWS_AT_ONCE = 32  # Draws of one row in a pass.
MAX_CELLS_DRAWN = 2**23  # Cells in a pass, beyond those of one draw of each row.
GROUPING_COLUMNS = 3  # Columns whose special values a row keeps however often it is drawn.
TAUGHT_AT_ONCE = 4096  # Draws that teach a student in a pass.
DRAWS_APART = 2**40  # What parts the numbers of a row's first draw and its next one.
# Streams of a row's random numbers after those of its plan.
NOISE, ATTACK, ROUNDING, ACCEPTANCE, SWAP = range(16, 21)
STUDENT = 21  # The stream of what is learnt once for the class.

# The columns of a record: numbers beside each synthetic row.
RECORD = (
    *("distance", "margin_before", "margin_after", "p_value", "probability"),
    *("move_share", "repair", "by_student"),
)

# (encoded rows, encoded parents, their places in the dataset) -> repaired rows, status of each
Repair = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True, repr=False)
class SyntheticBatch(TensorFields):
    """Generated rows, encoded; parents and anchors are places in the dataset.

    `second_parent` is -1 where a row has one parent.
    """

    rows: Int[Tensor, " batch"]
    x: Float[Tensor, "batch *shape"]
    parent: Int[Tensor, " batch"]
    second_parent: Int[Tensor, " batch"]
    anchor: Int[Tensor, " batch"]
    record: dict[str, Tensor]


@dataclass(frozen=True)
class GenerationConfig:
    """What rows are generated with.

    Parameters
    ----------
    attack : Attack or None
        None for no move at all.
    attacked : callable or None
        The user's own model on encoded rows; None for half of the committee.
    jury : Jury
        Votes where the recipe redraws. Elsewhere half of the committee does.
    judge : FittedJudge or None
        None accepts every row.
    reads_rows : bool
        Whether the judge reads encoded rows, instead of what the committee sees of them.
    radius : float or None
        One radius for all rows; None for the recipe's own.
    repair : callable or None
        Brings rows back to the rules that their parents keep, before they are judged.
    keeps_typical : bool
        Whether rows keep the values that nearly all rows of their class hold; not where a teacher
        says the labels.
    """

    attack: Attack | None = None
    attacked: Logits | None = None
    jury: Jury = field(default_factory=EqualVotes)
    judge: FittedJudge | None = None
    reads_rows: bool = False
    radius: float | None = None
    repair: Repair | None = None
    keeps_typical: bool = True
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


@dataclass(frozen=True)
class Models:
    """The attacked model, the committee, and who votes with it."""

    attacked: Logits
    committee: Committee
    jury: Jury = field(default_factory=EqualVotes)

    def vote(
        self,
        x: Float[Tensor, "batch *shape"],
        features: Float[Tensor, "batch width"],
        label: int,
        least: Float[Tensor, " batch"],
    ) -> Task[tuple[Int[Tensor, " some"], Tensor, Tensor]]:
        """The places of rows whose label may be as probable as `least`, and the votes on them."""
        members = self.committee.read(features)
        places, probabilities = yield from self.jury.above(x, features, members, label, least)
        return places, picked(members.mean(0), places), probabilities


@dataclass(frozen=True)
class ModelsWithStudent(Models):
    """A student votes in place of committee and jury."""

    student: StudentVotes = field(kw_only=True)

    def vote(
        self,
        x: Float[Tensor, "batch *shape"],
        features: Float[Tensor, "batch width"],
        label: int,
        least: Float[Tensor, " batch"],
    ) -> Task[tuple[Int[Tensor, " some"], Tensor, Tensor]]:
        yield from ()
        probabilities = self.student(features)
        places = (~exceeds(least, probabilities[:, label])).nonzero()[:, 0]
        logits = self.committee.read(picked(features, places)).mean(0)
        return places, logits, picked(probabilities, places)


@dataclass(frozen=True)
class RowGroups(MovableFields):
    """Rows with equal codes: the group of each row, and the rows in the order of their groups."""

    of_row: Int[Tensor, " rows"]
    order: Int[Tensor, " rows"]
    first: Int[Tensor, " groups"]
    size: Int[Tensor, " groups"]

    @classmethod
    def of(cls, codes: Int[Tensor, "rows columns"]) -> "RowGroups":
        _, of_row, size = codes.unique(dim=0, return_inverse=True, return_counts=True)
        return cls(of_row, of_row.argsort(stable=True), size.cumsum(0) - size, size)


class ClassRows(Protocol):
    """New rows of one class on demand.

    Attributes
    ----------
    label : int
        The class, as a place among the classes.
    """

    label: int

    def rows(self, rows: Int[Tensor, " batch"]) -> SyntheticBatch:
        """The rows with these numbers: whatever the batch, a number gives the same row."""
        ...

    def task(self, rows: Int[Tensor, " batch"]) -> Task[SyntheticBatch]:
        """The same as a task, beside which other classes ask the same voters."""
        yield from ()
        return self.rows(rows)

    def weights(self, rows: Int[Tensor, " batch"], probability: Array) -> Array:
        """The sample weight of each row; by default the probability of its label."""
        return probability

    def to(self, device: torch.device) -> Self:
        """The same rows, made on another device; by default none is used."""
        return self


@dataclass(frozen=True)
class ClassGenerator(StoredFields, ClassRows):
    """New rows of one class on demand.

    Parameters
    ----------
    dataset : EncodedDataset
    recipe : Recipe
    label : int
        The class, as a place among the classes.
    config : GenerationConfig
    """

    dataset: EncodedDataset
    recipe: Recipe
    label: int
    config: GenerationConfig

    def rows(self, rows: Int[Tensor, " batch"]) -> SyntheticBatch:
        return finish(self.task(rows))

    def task(self, rows: Int[Tensor, " batch"]) -> Task[SyntheticBatch]:
        batch = yield from self._cut_rows(rows.to(self.config.device), rows >= JURY_ROWS)
        return self._with_all_columns(batch.to("cpu"))  # Rows leave the device here alone.

    def _cut_rows(
        self, rows: Int[Tensor, " batch"], is_late: Bool[Tensor, " batch"]
    ) -> Task[SyntheticBatch]:
        """The cut rows on the device; `is_late` is on the CPU."""
        if not self.recipe.redraws:
            return self._retract(rows)
        if not is_late.any() or (student := self.student) is None:
            return (yield from self._redraw(rows, self.models))
        is_late, is_all = is_late.to(rows.device), bool(is_late.all())
        late = yield from self._redraw(rows[is_late], student)
        late.record["by_student"].fill_(1)
        if is_all:
            return late
        return in_order([(yield from self._redraw(rows[~is_late], self.models)), late])

    def to(self, device: torch.device) -> Self:
        """The same rows, made on another device."""
        return replace(self, config=replace(self.config, device=device))

    def candidates(self, rows: Int[Tensor, " batch"]) -> SyntheticBatch:
        """The rows as recipe, attack, rounding and repair make them; nothing judges them."""
        rows = rows.to(self.config.device)
        random = self.random(rows)
        plan = self.plan(rows, random)
        models = Models(self.config.attacked or self.committee.logits, self.committee)
        x, status, reach = self._proposed(models, rows, plan, random)
        unknown = torch.full_like(reach, torch.nan)
        record = dict.fromkeys(("margin_after", "p_value", "probability"), unknown)
        record |= {"move_share": torch.ones_like(reach), "repair": status.to(reach)}
        return self._with_all_columns(self._batch(rows, plan, x, record).to("cpu"))

    # ---------------------------------------------------------------- what is fitted once

    @cached_property
    def cut(self) -> CutRows | None:
        """The columns in which rows of the class may differ, where the others are not worth it."""
        config = self.config
        if config.attack or config.repair or not self.recipe.holds_special_values:
            return None
        own = self.dataset.x[self.dataset.of_class(self.label)]
        return CutRows.of(self.whole_space, own)

    @cached_property
    def there(self) -> EncodedDataset:
        """The dataset on the device."""
        return self.dataset.to(self.config.device)

    @cached_property
    def cells(self) -> Tensor:
        """The dataset's rows, cut, on the device."""
        return self.there.x if self.cut is None else self.cut(self.there.x)

    def _whole(self, x: Tensor) -> Tensor:
        return x if self.cut is None else self.cut.undone(x)

    def _with_all_columns(self, batch: SyntheticBatch) -> SyntheticBatch:
        return replace(batch, x=self._whole(batch.x))

    @cached_property
    def space(self) -> Space:
        """The space of the cut rows."""
        space = self.whole_space if self.cut is None else self.cut.space
        return space.to(self.config.device)

    @cached_property
    def whole_space(self) -> Space:
        """The space of all rows, but keeping special values and what is typical of the class."""
        space, x = self.dataset.space.hold_special_values(), self.dataset.x
        if self.recipe.keeps_structure:
            space = space.keep_structure()
        if self.config.keeps_typical:
            own, others = (self.dataset.of_class(self.label), self.dataset.of_others(self.label))
            space = space.hold_typical_values(x[own], x[others])
        return space

    @cached_property
    def attack_space(self) -> Space:
        """The part of the space in which attacks may move."""
        own = self.dataset.x[self.dataset.of_class(self.label)]
        return self.space.restrict_to_common_levels(own, COMMON)

    @cached_property
    def committee(self) -> Committee:
        return self.dataset.committee.to(self.config.device)

    @cached_property
    def models(self) -> Models:
        """The attacked model, and the committee with the jury."""
        attacked = self.config.attacked or self.committee.logits
        return Models(attacked, self.committee, self.config.jury)

    @cached_property
    def student(self) -> ModelsWithStudent | None:
        """The same with a student of the jury, where it has learnt what the jury says."""
        models, features, votes = self.models, [], []
        if not self.config.jury.is_slow or not self.recipe.can_move(self.dataset, self.label):
            return None
        every = torch.arange(DRAWS_TAUGHT, device=self.config.device)
        for rows in every.split(TAUGHT_AT_ONCE):
            plan, random = self._plan_of_draws(rows, torch.zeros_like(rows))
            x = self._whole(self._proposed(models, rows, plan, random)[0])
            seen = models.committee.features(x)
            if seen.shape[1] > MOST_WIDTH:
                return None
            features.append(seen)
            votes.append(models.jury(x, seen, models.committee.read(seen)))
        generator = generator_at(self.dataset.seed, STUDENT, self.label)
        student = learn_votes(torch.cat(features), torch.cat(votes), generator)
        return None if student is None else ModelsWithStudent(**vars(models), student=student)

    @cached_property
    def judge(self) -> FittedJudge | None:
        judge = self.config.judge
        return None if judge is None else judge.to(self.config.device)

    @cached_property
    def scale(self) -> Tensor:
        """How far random moves go in each cell: see `Space.class_scale`."""
        if self.cut is None:
            return self.dataset.class_scale(self.label).to(self.config.device)
        x, space = self.cut(self.dataset.x), self.cut.space
        own = x[self.dataset.of_class(self.label)]
        return space.class_scale(spread(x), space.bulk_variance(x), own).to(self.config.device)

    @cached_property
    def special_groups(self) -> "RowGroups | None":
        """The class's rows by the special values of a few columns; None where none holds some."""
        own = self.dataset.of_class(self.label)
        codes = self.dataset.space.special_codes(self.dataset.x[own]).flatten(1)
        share = (codes > 0).double().mean(0)
        columns = (share * (1 - share)).topk(min(GROUPING_COLUMNS, len(share)))
        used = columns.indices[columns.values > 0]
        return RowGroups.of(codes[:, used]).to(self.config.device) if len(used) else None

    @cached_property
    def margins(self) -> Float[Tensor, " kept"]:
        """Held-out margins of the dataset's rows for the class, on the device."""
        return self.there.margins(self.label)

    def random(self, rows: Int[Tensor, " batch"]) -> RowRandom:
        """The random numbers of rows by their numbers."""
        return RowRandom.of(self.dataset.seed, self.label, rows)

    def plan(self, draws: Int[Tensor, " batch"], random: RowRandom) -> Plan:
        """The recipe's plan, with the user's radius where there is one."""
        plan = self.recipe.plan(self.there, self.label, draws, random)
        if self.config.radius is None:
            return plan
        # A row that its recipe holds still stays so.
        return replace(plan, radius=(plan.radius > 0) * torch.tensor(self.config.radius).float())

    # ---------------------------------------------------------------- two ways to accept

    def _redraw(self, rows: Int[Tensor, " batch"], models: Models) -> Task[SyntheticBatch]:
        """Each row is drawn until one draw is accepted; at last its anchor is returned."""
        done, waiting, first = [], rows, 0
        fewest = MIN_CANDIDATES if rows.device.type == "cpu" else MIN_CANDIDATES_ELSEWHERE
        if not self.recipe.can_move(self.dataset, self.label):
            first = MAX_DRAWS
        while len(waiting) and first < MAX_DRAWS:
            count = -(-fewest // len(waiting))
            width = self.dataset.x[0].numel()
            affordable = max(MAX_CELLS_DRAWN // (len(waiting) * width), 1)
            count = min(count, MAX_DRAWS_AT_ONCE, MAX_DRAWS - first, affordable)
            many = waiting.repeat_interleave(count)
            draw_number = torch.arange(first, first + count, device=rows.device)
            draw_number = draw_number.repeat(len(waiting))
            plan, random = self._plan_of_draws(many, draw_number)
            places, batch = yield from self._drawn(models, many, plan, random)
            row = places // count
            is_first = row.diff(prepend=row.new_full((1,), -1)) > 0
            done.append(batch.take(is_first.nonzero()[:, 0]))
            is_waiting = torch.ones_like(waiting, dtype=torch.bool).index_fill_(0, row, False)
            waiting = waiting[is_waiting]
            first += count
        if len(waiting):
            done.append((yield from self._anchors(models, waiting)))
        return in_order(done)

    def _plan_of_draws(
        self, rows: Int[Tensor, " draws"], draw_number: Int[Tensor, " draws"]
    ) -> tuple[Plan, RowRandom]:
        """The plan and the random numbers of some draws of rows."""
        random = self.random(rows).at(draw_number)
        plan = self.plan(rows + draw_number * DRAWS_APART, random)
        return self._with_special_values(plan, rows), random

    def _with_special_values(self, plan: Plan, rows: Int[Tensor, " draws"]) -> Plan:
        """The plan with parents that hold the special values of each row's first parent.

        So a class keeps its shares of them, though rows are drawn again and voters like some more.
        """
        own, groups = self.there.of_class(self.label), self.special_groups
        if groups is None:
            return plan
        wanted = round_robin(own, rows, self.dataset.seed, self.label)
        at, like = (torch.searchsorted(own, places) for places in (plan.parent, wanted))
        at = at.clamp_max(len(own) - 1)
        group = groups.of_row[like]
        alike = own[groups.order[groups.first[group] + at % groups.size[group]]]
        is_kept = (own[at] != plan.parent) | (groups.of_row[at] == group)
        parent = torch.where(is_kept, plan.parent, alike)
        changed = {
            name: torch.where(places == plan.parent, parent, places)
            for name, places in (("anchor", plan.anchor), ("second_parent", plan.second_parent))
        }
        return replace(plan, parent=parent, **changed)

    def _drawn(
        self, models: Models, rows: Tensor, plan: Plan, random: RowRandom
    ) -> Task[tuple[Int[Tensor, " accepted"], SyntheticBatch]]:
        """The places of the candidates that the recipe's chance and the judge accept, and these."""
        cut, status, reach = self._proposed(models, rows, plan, random)
        # The number is the draw's own, so noise of the arithmetic turns a decision with the
        # probability of that noise alone.
        lot = random.at(ACCEPTANCE).uniform(1)[:, 0]
        least = self.recipe.least_probability(lot)
        admitted = yield from self._admitted(models, cut, least)
        if len(admitted) < len(cut):  # It costs less than the features that the others need.
            cut, status, rows = (picked(part, admitted) for part in (cut, status, rows))
            plan, lot, least = plan.take(admitted), lot[admitted], least[admitted]
        x = self._whole(cut)
        features = models.committee.features(x)
        places, *votes = yield from models.vote(x, features, self.label, least)
        x, features = picked(x, places), picked(features, places)
        wins = self._wins(models, x, plan.take(places), votes[1], lot[places])
        wins = wins.nonzero()[:, 0]  # Once: each mask as an index makes a GPU wait.
        if len(wins) < len(places):
            x, features, places = (picked(part, wins) for part in (x, features, places))
            votes = [picked(vote, wins) for vote in votes]
        accepts, record = self._verdict(x, features, *votes)
        record |= {
            "repair": status[places].to(reach),
            "move_share": torch.ones_like(accepts).to(reach),
        }
        accepted = accepts.nonzero()[:, 0]
        places, record = picked(places, accepted), some_rows(record, accepted)
        batch = self._batch(picked(rows, places), plan.take(places), picked(cut, places), record)
        return picked(admitted, places), batch

    def _admitted(self, models: Models, x: Tensor, least: Tensor) -> Task[Int[Tensor, " some"]]:
        """The places of candidates that neither the judge rejects by their descriptors alone, nor
        voters who read no features.
        """
        places = torch.arange(len(x), device=x.device)
        features, jury = models.committee.features, models.jury
        if self.judge is not None and features.descriptors is not None:
            places = places[self.judge.admits(features.describe(x), features.descriptors)]
        if jury.reads_rows:
            some = self._whole(x[places])
            places = places[(yield from jury.possible_rows(some, self.label, least[places]))]
        return places

    def _wins(
        self, models: Models, x: Tensor, plan: Plan, probabilities: Tensor, lot: Tensor
    ) -> Bool[Tensor, " batch"]:
        """Which candidates the recipe's chance accepts."""
        if not len(x):
            return torch.ones_like(lot, dtype=torch.bool)
        attacked = of_rows(models.attacked, plan.parent)
        return lot < self.recipe.acceptance(probabilities[:, self.label], attacked, x, self.label)

    def _anchors(self, models: Models, rows: Int[Tensor, " batch"]) -> Task[SyntheticBatch]:
        """Real rows of the class in place of rows of which no draw was accepted."""
        own = self.there.of_class(self.label)
        plan = from_parents(round_robin(own, rows, self.dataset.seed, self.label))
        x = self._encoded(plan.anchor)
        _, record = yield from self._judged(models, x)
        record["move_share"] = record["repair"] = torch.zeros_like(record["probability"])
        return self._batch(rows, plan, x, record)

    def _retract(self, rows: Int[Tensor, " batch"]) -> SyntheticBatch:
        """Each row moved as far as members that never saw its parent accept."""
        random = self.random(rows)
        plan = self.plan(rows, random)
        fold = self.dataset.committee.fold_of_row[plan.parent.cpu()]
        done = []
        for one in fold.unique().tolist():
            some = (fold == one).nonzero()[:, 0].to(rows.device)
            attackers, voters = self.committee.held_out_members(one).halves()
            models = Models(self.config.attacked or attackers.logits, voters)
            done.append(self._retracted(models, rows[some], plan.take(some), random.take(some)))
        return in_order(done)

    def _retracted(
        self, models: Models, rows: Tensor, plan: Plan, random: RowRandom
    ) -> SyntheticBatch:
        """The longest of a few shares of each move that is accepted; else the anchor."""
        moved, reach = self._moved(models, rows, plan, random)
        anchor = self._encoded(plan.anchor)
        best, (_, record) = anchor.clone(), finish(self._judged(models, anchor))
        record["move_share"], record["repair"] = torch.zeros_like(reach), torch.zeros_like(reach)
        waiting = torch.arange(len(anchor), device=anchor.device)
        for share in MOVE_SHARES:
            back = torch.full_like(reach[waiting], 1 - share)
            tried = self.space.mix(moved[waiting], anchor[waiting], back)
            tried, accepts, facts = self._tried(
                models, tried, plan.take(waiting), reach[waiting], random.take(waiting)
            )
            facts["move_share"] = torch.full_like(back, share)
            for name, values in facts.items():
                record[name][waiting[accepts]] = values[accepts]
            best[waiting[accepts]] = tried[accepts]
            waiting = waiting[~accepts]
            if not len(waiting):
                break
        return self._batch(rows, plan, best, record)

    # ---------------------------------------------------------------- the steps

    def _encoded(self, places: Int[Tensor, " batch"]) -> Tensor:
        return picked(self.cells, places)

    def _noise(
        self, x: Tensor, random: RowRandom, step: int, cells: Tensor | None = None
    ) -> Tensor:
        return draw(x, random.at(step), cells)

    def _proposed(
        self, models: Models, rows: Tensor, plan: Plan, random: RowRandom
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rows moved, rounded and repaired, what the repair did, and the radius they had."""
        is_own = self.there.y[plan.parent] == self.label
        wanders = is_own & (plan.mix + plan.noise_std > 0) & (plan.swap == 0)
        if self.config.attack is not None or not wanders.all():
            moved, reach = self._moved(models, rows, plan, random)
            return *self._finished(moved, plan, reach, random), reach
        x = self._wandered(plan, random)
        return *self._repaired(x, plan), torch.full_like(plan.mix, torch.inf)

    @cached_property
    def wanderer(self) -> Wanderer:
        return self.space.wanderer(self.cells, self.scale)

    def _wandered(self, plan: Plan, random: RowRandom) -> Tensor:
        """Rows of the class mixed, moved at random and rounded at once."""
        pairs = plan.parent, plan.second_parent, plan.mix, plan.noise_std
        return self.wanderer(RandomMoves(*pairs, random.at(NOISE), random.at(ROUNDING)))

    def _moved(
        self, models: Models, rows: Tensor, plan: Plan, random: RowRandom
    ) -> tuple[Tensor, Tensor]:
        """The attacked rows, and the radius within which they are rounded."""
        parent = self._encoded(plan.parent)
        is_own = self.there.y[plan.parent] == self.label
        if not is_own.all() and self.config.keeps_typical:
            own = self.there.of_class(self.label)
            like = round_robin(own, rows, self.dataset.seed, self.label)
            like = torch.where(is_own, plan.parent, like)
            parent = self.space.take_special_values(parent, self._encoded(like))
        start = self.space.mix(parent, self._encoded(plan.second_parent), plan.mix)
        if plan.noise_std.any():
            noise = self._noise(start, random, NOISE, self.space.scatter_cells(start))
            start = self.space.scatter(start, plan.noise_std, self.scale, noise)
        if plan.swap.any():
            second, noise = self._encoded(plan.second_parent), self._noise(start, random, SWAP)
            start = self.space.swap(start, second, plan.swap, noise)
        # Only a row that starts at its parent has a ball to stay in when it is rounded.
        is_free = (plan.mix > 0) | (plan.swap > 0) | (plan.noise_std > 0)
        reach = torch.where(is_free, torch.inf, plan.radius)
        return self._attacked(models, plan, start, random), reach

    def _attacked(self, models: Models, plan: Plan, start: Tensor, random: RowRandom) -> Tensor:
        attack = self.config.attack
        if attack is None:
            return start
        device, random = start.device, random.at(ATTACK)
        label = torch.full((len(start),), self.label, device=device)
        real = self.dataset.x[self.dataset.of_class(self.label)]
        height = CPU_ROWS if device.type == "cpu" else len(start)
        moved = []
        for rows in torch.arange(len(start), device=device).split(height):
            some = plan.take(rows)
            attacked = of_rows(models.attacked, some.parent)
            problem = AttackProblem(
                objective=self.recipe.objective(attacked, label[rows], some),
                seed=start[rows],
                space=self.attack_space,
                radius=some.radius,
                random=random.take(rows),
                reference_rows=real,
            )
            moved.append(attack(problem))
        refuse_not_finite(torch.cat(moved))
        return torch.cat(moved)

    def _tried(
        self, models: Models, x: Tensor, plan: Plan, reach: Tensor, random: RowRandom
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Rows as they would be returned, whether the judge accepts them, and their record."""
        x, status = self._finished(x, plan, reach, random)
        accepts, record = finish(self._judged(models, x))
        return x, accepts, record | {"repair": status.to(reach)}

    def _finished(
        self, x: Tensor, plan: Plan, reach: Tensor, random: RowRandom
    ) -> tuple[Tensor, Tensor]:
        """Rows rounded and repaired, and what the repair did to each."""
        parent = self._encoded(plan.parent)
        noise = self._noise(parent, random, ROUNDING, self.space.snap_cells(parent))
        parts = in_parts(x, parent, reach, noise)
        x = torch.cat([self.space.snap(*part) for part in parts])
        return self._repaired(x, plan)

    def _repaired(self, x: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
        """The rows, brought back to the rules, and what was done to each."""
        if self.config.repair is None:
            return x, x.new_zeros(len(x))
        return self.config.repair(x, self._encoded(plan.parent), plan.parent.cpu())

    def _judged(self, models: Models, x: Tensor) -> Task[tuple[Tensor, dict[str, Tensor]]]:
        x = self._whole(x)
        features = models.committee.features(x)
        nothing = features.new_zeros(len(x))
        _, *votes = yield from models.vote(x, features, self.label, nothing)
        return self._verdict(x, features, *votes)

    def _verdict(
        self, x: Tensor, features: Tensor, logits: Tensor, probabilities: Tensor
    ) -> tuple[Bool[Tensor, " batch"], dict[str, Tensor]]:
        """Whether the judge accepts rows on which models voted so, and their record."""
        label = torch.full((len(x),), self.label, device=x.device)
        probability = probabilities[:, self.label]
        record = {"margin_after": margin(logits, label), "probability": probability}
        if self.judge is None or not len(x):
            record["p_value"] = torch.full_like(probability, torch.nan)
            return torch.ones_like(probability, dtype=torch.bool), record
        verdict = self.judge.verdict(x if self.config.reads_rows else features, probability)
        return verdict.accepts, record | {"p_value": verdict.p_value}

    def _batch(
        self, rows: Tensor, plan: Plan, x: Tensor, record: dict[str, Tensor]
    ) -> SyntheticBatch:
        """The rows with where they came from: an anchor that is returned is its own parent."""
        is_anchor = record["move_share"] == 0
        origin = torch.where(is_anchor, plan.anchor, plan.parent)
        record["distance"] = self.space.distance(x, self._encoded(origin))
        record["margin_before"] = self.margins[origin]
        record["by_student"] = torch.zeros_like(record["probability"])
        has_one = is_anchor | (plan.second_parent == plan.parent)
        return SyntheticBatch(
            rows=rows,
            x=x,
            parent=origin,
            second_parent=torch.where(has_one, -1, plan.second_parent),
            anchor=plan.anchor,
            record=record,
        )


def in_parts(*rows: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Tensors of rows, the first of which is the widest, some rows at a time."""
    height = 1
    if len(rows[0]):
        height = max(at_once(rows[0].device, CELLS_AT_ONCE) // rows[0][0].numel(), 1)
    return zip(*(some.split(height) for some in rows), strict=True)


def in_order(batches: list[SyntheticBatch]) -> SyntheticBatch:
    """Parts of a batch as one, by row number."""
    record = {name: torch.cat([one.record[name] for one in batches]) for name in RECORD}
    columns = {
        name: torch.cat([getattr(one, name) for one in batches])
        for name in ("rows", "x", "parent", "second_parent", "anchor")
    }
    joined = SyntheticBatch(**columns, record=record)
    return joined.take(joined.rows.argsort(stable=True))
