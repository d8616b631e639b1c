"""CAPGD, MOEVA and CAA: within the rules and within the radius, on tables of five kinds."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from advaug import AdversarialTransformer
from advaug.attacks import APGD, CAA, CAPGD, FGSM, MOEVA, AutoAttack, Square
from advaug.attacks.moeva import Candidates
from advaug.constraints import Constraints
from advaug.core.box import Box
from advaug.core.objectives import Margin, Objective
from advaug.core.problem import Repair
from advaug.models import Ensemble
from tests.problems import problem_of

ROWS, RADIUS = 60, 0.6
ATTACKS = [CAPGD(steps=6), MOEVA(generations=4, population_size=6)]
ATTACKS.append(CAA(attacks=tuple(ATTACKS)))
every_attack = pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: type(a).__name__)


# ---------------------------------------------------------------- tables of five kinds


def credit(rng):
    """Instalments that add up, a limit, and codes of payment."""
    a, b = rng.gamma(2, 900, ROWS).round(), rng.gamma(2, 300, ROWS).round()
    limit = ((a + b) * rng.uniform(1, 3, ROWS)).round()
    pays = rng.choice(["early", "late"], ROWS)
    X = pd.DataFrame({"first": a, "second": b, "debt": a + b, "limit": limit})
    X["late_days"] = np.where(pays == "late", rng.integers(1, 60, ROWS), 0)
    X["pays"] = pd.Categorical(pays)
    rules = ["debt == first + second", "debt <= limit"]
    rules.append('if pays == "early" then late_days == 0')
    return X, X["late_days"] + 9 * a / limit, rules


def phishing(rng):
    """Counts in a URL: parts are no longer than the whole."""
    host, path = rng.integers(4, 30, ROWS), rng.integers(0, 90, ROWS)
    X = pd.DataFrame({"length": host + path + 3, "host": host, "path": path})
    X["dots"] = rng.integers(1, 4, ROWS)
    X["digits"] = rng.integers(0, 9, ROWS)
    X["share"] = X["digits"] / X["length"]
    rules = ["length == host + path + 3", "dots + 1 <= host", "share == digits / length"]
    return X, X["path"] - 3 * X["dots"], rules


def botnet(rng):
    """Flows: totals of packets and bytes, bounds of a packet."""
    sent, got = rng.integers(1, 40, ROWS), rng.integers(1, 40, ROWS)
    X = pd.DataFrame({"sent": sent, "got": got, "packets": sent + got})
    X["smallest"] = rng.integers(40, 90, ROWS)
    X["largest"] = X["smallest"] + rng.integers(0, 900, ROWS)
    X["bytes"] = X["packets"] * X["smallest"] + rng.integers(0, 50, ROWS)
    rules = ["packets == sent + got", "smallest <= largest", "bytes >= packets * smallest"]
    return X, X["largest"] - 9 * X["got"], rules


def lending(rng):
    """A loan: funded no more than asked for, a term of two lengths, a grade that a rate fits."""
    asked = rng.integers(10, 300, ROWS) * 100
    X = pd.DataFrame({"asked": asked, "funded": (asked * rng.uniform(0.5, 1, ROWS)) // 100 * 100})
    X["term"] = pd.Categorical(rng.choice(["36", "60"], ROWS))
    X["rate"] = np.where(X["term"] == "60", 12.0, 5.0) + rng.uniform(0, 5, ROWS).round(2)
    X["open"] = rng.integers(0, 9, ROWS)
    X["accounts"] = X["open"] + rng.integers(0, 20, ROWS)
    rules = ["funded <= asked", "open <= accounts", 'if term == "60" then rate >= 12']
    return X, X["rate"] + X["open"], rules


def clinical(rng):
    """Vital signs: least, mean and largest of a day, with gaps."""
    low = rng.normal(60, 8, ROWS).round(1)
    X = pd.DataFrame({"low": low, "mean": low + rng.uniform(2, 9, ROWS).round(1)})
    X["high"] = X["mean"] + rng.uniform(2, 20, ROWS).round(1)
    X["age"] = rng.integers(20, 90, ROWS)
    X.loc[::7, "high"] = np.nan
    return X, X["low"] - X["age"], ["low <= mean", "mean <= high", "age >= 18"]


@pytest.fixture(scope="module", params=[credit, phishing, botnet, lending, clinical])
def fitted(request):
    """A table, its labels and rules, and a fitted transformer of it."""
    X, score, rules = request.param(np.random.default_rng(0))
    y = np.where(score > score.median(), "bad", "good")
    net = Ensemble(n_repeats=1, cv=2, hidden_width=8, max_iter=60)
    transformer = AdversarialTransformer(
        attack="fgsm", radius=RADIUS, constraints=rules, surrogate=net, random_state=0
    )
    return X, y, rules, transformer.fit(X, y)


def moved_by(attack, X, y, transformer):
    transformer.attack_ = attack
    return transformer.transform(X, y)


@pytest.mark.filterwarnings("ignore:.*rows were not moved")
@every_attack
def test_all_rows_keep_the_rules_of_their_own_row_within_the_radius(fitted, attack):
    X, y, rules, transformer = fitted
    new = moved_by(attack, X, y, transformer)
    assert not new.equals(X)
    assert (new.dtypes == X.dtypes).all()
    for rule, holds in Constraints(rules).check(new).items():
        assert holds[Constraints(rules).check(X)[rule]].all(), rule
    for number in transformer.adapter_.layout.numbers:
        by = (new[number.name] - X[number.name]).abs()
        slack = 1e-5 * X[number.name].abs().max()  # encoded rows are float32
        assert (by <= RADIUS * number.scale + slack)[by.notna()].all(), number.name


@pytest.mark.filterwarnings("ignore:.*rows were not moved")
def test_the_three_fool_more_rows_within_the_radius_than_random_moves(fitted):
    X, y, _, transformer = fitted
    coding, model = transformer.adapter_, transformer.surrogate_

    def n_fooled(attack):
        x = coding.encode(moved_by(attack, X, y, transformer))
        with torch.no_grad():
            return int((transformer.classes_[model.logits(x).argmax(1)] != y).sum())

    random_moves, *ours = map(n_fooled, (MOEVA(generations=1, population_size=2), *ATTACKS))
    capgd, moeva, both = ours
    assert both >= capgd
    assert min(moeva, both) > random_moves


# ---------------------------------------------------------------- the problem's rules


@dataclass(frozen=True)
class Twice(Repair):
    """The second number is computed: twice the first, and `beside` for each row."""

    beside: Tensor

    def __call__(self, x, seed):
        return torch.stack([x[:, 0], seed[:, 1] + 2 * (x - seed)[:, 0] + self.beside], 1)

    def take(self, rows):
        return Twice(self.beside[rows])


@dataclass(frozen=True)
class Plateau(Objective):
    """1 where the first number has moved by more than .3, else -1: no gradient."""

    seed: Tensor
    answers: list

    def __call__(self, x):
        self.answers.append(len(x))
        return torch.where((x - self.seed)[:, 0] > 0.3, 1.0, -1.0)

    def take(self, rows):
        return replace(self, seed=self.seed[rows])


def ruled(n=12, *, beside=0.0, objective=None):
    """Rows of two numbers within .8 of their seeds, the second one is computed."""
    seed = torch.linspace(-1, 1, 2 * n).view(n, 2)
    space = Box(torch.tensor(-9.0), torch.tensor(9.0))
    objective = objective or Plateau(seed, [])
    problem = problem_of(objective, seed, space, torch.full((n,), 0.8))
    return replace(problem, repair=Twice(torch.full((n,), beside)))


def test_a_row_that_its_repair_carries_out_of_the_ball_is_moved_less():
    problem = ruled()
    x = problem.keep_rules(problem.seed + torch.tensor([0.8, -0.8]))
    torch.testing.assert_close(x - problem.seed, torch.tensor([[0.4, 0.8]]).expand(12, -1))
    short = problem.keep_rules(problem.seed + torch.tensor([0.1, 0.5]))
    torch.testing.assert_close(short - problem.seed, torch.tensor([[0.1, 0.2]]).expand(12, -1))


def test_a_row_is_its_seed_if_no_repair_lies_in_the_ball():
    problem = ruled(beside=3.0)
    assert torch.equal(problem.keep_rules(problem.seed + 0.1), problem.seed)


def test_a_row_without_a_number_is_not_repaired():
    problem = ruled()
    x = problem.seed + 0.1
    x[3] = math.nan
    assert torch.equal(problem.keep_rules(x)[3], problem.seed[3])


@pytest.mark.parametrize("attack", [*ATTACKS[1:], AutoAttack(attacks=(Square(steps=30),))])
def test_rules_are_kept_before_a_model_is_queried(attack):
    problem = ruled()
    move = attack(problem) - problem.seed
    torch.testing.assert_close(move[:, 1], 2 * move[:, 0])
    assert move.abs().max() <= 0.8 * (1 + 1e-5)
    assert problem.succeeds(problem.seed + move).any()


# ---------------------------------------------------------------- each against its oracle


def linear(rows=12, **fields):
    """A linear model of four numbers, and the problem of its rows."""
    seed = torch.randn((rows, 4), generator=torch.Generator().manual_seed(1))
    weight = torch.tensor([[1.0, -2.0, 0.5, 0.0], [0.0, 0.0, 0.0, 0.0]])
    logits = lambda x: x @ weight.T  # noqa: E731
    objective = Margin(logits, logits(seed).argmax(1))
    space = Box(torch.tensor(-9.0), torch.tensor(9.0), **fields)
    return problem_of(objective, seed, space, torch.linspace(0.1, 1.5, rows))


@pytest.mark.parametrize("norm", [math.inf, 2.0, 1.0])
def test_without_rules_capgd_is_apgd_from_the_row_itself(norm):
    problem = linear(norm=norm)
    expected = APGD(steps=9, random_start=False)(problem)
    torch.testing.assert_close(CAPGD(steps=9)(problem), expected)


def test_moeva_finds_what_the_closed_form_of_a_linear_model_says_there_is():
    problem = linear()
    value = problem.measure(problem.seed)[0]
    exists = (value + 3.5 * problem.radius) > 0.02  # the gain of norm inf is ||weight||_1
    x = MOEVA(generations=60, population_size=20)(problem)
    assert exists.any()
    assert not exists.all()
    assert torch.equal(problem.succeeds(x), exists)
    assert problem.contains(x).all()


def test_moeva_makes_no_more_queries_than_it_says_and_stops_at_the_first_success():
    answers = []
    problem = ruled(objective=Plateau(ruled().seed, answers))
    MOEVA(generations=7, population_size=5)(replace(problem, radius=torch.full((12,), 0.1)))
    assert sum(answers) == 12 * (1 + 8 * 5)  # the seeds, and all generations
    answers.clear()
    MOEVA(generations=7, population_size=5)(problem)
    assert sum(answers) < 12 * (1 + 8 * 5)


@pytest.mark.parametrize("attack", ATTACKS[1:])
def test_no_row_depends_on_its_batch(attack):
    problem = linear()
    problem = replace(problem, radius=problem.radius / 2)
    parts = [attack(problem.take(rows)) for rows in torch.arange(12).split(5)]
    torch.testing.assert_close(torch.cat(parts), attack(problem), rtol=0, atol=1e-6)


def test_a_rank_counts_the_candidates_that_are_better_in_one_objective_and_worse_in_none():
    random = torch.Generator().manual_seed(0)
    value = torch.randint(4, (5, 9), generator=random).float()
    distance = torch.randint(4, (5, 9), generator=random).float()
    x = torch.arange(45.0).view(5, 9, 1)
    candidates = Candidates(x, value, torch.ones(5, 9), distance)
    rank = candidates.n_better()
    for row in range(5):
        own = [*zip(value[row].tolist(), distance[row].tolist(), strict=True)]
        for at, (v, d) in enumerate(own):
            beats = [
                w >= v and e <= d and ((w, e) != (v, d) or k < at) for k, (w, e) in enumerate(own)
            ]
            assert rank[row, at] == sum(beats)
    kept = candidates.fittest(3)
    assert (kept.value[:, 0] == value.amax(1)).all()
    best = distance.masked_fill(value <= 0, math.inf).amin(1)
    nearest = candidates.nearest_success()[:, 0].long() % 9
    assert torch.equal(distance[torch.arange(5), nearest], best)


def test_caa_without_a_gradient_is_moeva_alone():
    problem = ruled()
    moeva = MOEVA(generations=4, population_size=6)
    alone = CAA(attacks=(moeva,))(problem)
    assert problem.succeeds(alone).any()
    assert CAA().requires == {"cells"}
    x = CAA(attacks=(CAPGD(steps=3), moeva))(problem)
    assert problem.succeeds(x).any()


@pytest.mark.parametrize(
    "settings", [{"generations": 0}, {"population_size": 1}, {"mutated_columns": 0}]
)
def test_settings_that_make_no_search_are_refused(settings):
    with pytest.raises(ValueError, match=r"MOEVA needs generations >= 1, population_size >= 2"):
        MOEVA(**settings)(linear())


def test_an_infinite_radius_is_refused_with_the_attack_to_take():
    problem = linear()
    endless = replace(problem, radius=torch.full((12,), math.inf))
    with pytest.raises(ValueError, match="give it a finite one; HopSkipJump looks for"):
        MOEVA()(endless)


def test_other_attacks_ignore_the_rules_of_the_problem():
    problem = linear()
    ruled_problem = replace(problem, repair=Twice(torch.zeros(12)))
    assert torch.equal(FGSM()(problem), FGSM()(ruled_problem))
