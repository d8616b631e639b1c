"""Attacks that only ask: the same invariants for each, then each against an oracle of its own."""

import itertools
import math
import warnings
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from torch import Tensor

from advaug import AdversarialTransformer
from advaug.attacks import (
    APGD,
    CAA,
    CAPGD,
    FGSM,
    MOEVA,
    NES,
    PGD,
    SPSA,
    AutoAttack,
    Crossover,
    DeepFool,
    HopSkipJump,
    LeafSearch,
    Square,
)
from advaug.attacks.score_based import estimated_gradient
from advaug.core.box import Box
from advaug.core.norms import NORMS, length
from advaug.core.objectives import Margin, Objective, Odds, RowLogits
from advaug.core.product import Product
from advaug.core.simplex import Simplex
from advaug.models.read_trees import read_trees
from tests.problems import problem_of

DUAL = {math.inf: 1, 2.0: 2, 1.0: math.inf}
every_norm = pytest.mark.parametrize("norm", NORMS)


def source(seed=0):
    return torch.Generator().manual_seed(seed)


REAL = torch.rand((60, 10), generator=source(9))
REAL[:, 4:] = torch.nn.functional.one_hot(
    torch.randint(3, (60, 2), generator=source(8)), 3
).flatten(1)
QUERYING = [  # an attack and its reference rows
    (Square(steps=40), None),
    (Square(steps=40, stop_at=None), None),
    (HopSkipJump(steps=3, init_eval=20), None),
    (HopSkipJump(steps=3, init_eval=20), REAL),
    (NES(steps=5, pairs=4), None),
    (SPSA(steps=5, pairs=4), None),
    (Crossover(donors=2), REAL),
    (AutoAttack(attacks=(APGD(steps=5), DeepFool(), Square(steps=20))), None),
    (MOEVA(generations=4, population_size=6), None),
    (CAA(attacks=(MOEVA(generations=3, population_size=4), CAPGD(steps=5))), None),
]
every_attack = pytest.mark.parametrize(("attack", "real"), QUERYING, ids=lambda a: repr(a)[:40])


@dataclass(frozen=True)
class Linear(Objective):
    """Objective x . slope + offset, one slope a row."""

    slope: Tensor
    offset: Tensor

    def __call__(self, x):
        return (x * self.slope).flatten(1).sum(1) + self.offset

    def take(self, rows):
        return replace(self, slope=self.slope[rows], offset=self.offset[rows])


def box(norm=math.inf, low=0.0, high=1.0, **fields):
    return Box(torch.tensor(low), torch.tensor(high), norm=norm, **fields)


def table(norm, mlp, rows=24):
    """Rows of four numbers (one frozen, one on a grid) and two categories, and a net on them."""
    every = torch.ones(2, 3, dtype=torch.bool)
    free, grid = torch.tensor([True, True, True, False]), torch.tensor([0.0, 0.0, 0.25, 0.0])
    space = Product((box(norm, free=free, grid=grid), Simplex(every, ~every)), ((4,), (2, 3)))
    levels = torch.randint(3, (rows, 2), generator=source(5))
    numbers = torch.rand((rows, 4), generator=source(6))
    numbers[:, 2] = (numbers[:, 2] * 4).round() / 4
    seed = torch.cat([numbers, torch.nn.functional.one_hot(levels, 3).flatten(1)], 1).double()
    net = mlp(10, 16, 2, seed=2).double()
    return net, seed, net(seed).argmax(1), space


# ---------------------------------------------------------------- what all of them keep


@every_attack
@every_norm
def test_what_comes_out_can_be_shipped_and_lies_in_its_own_ball(attack, real, norm, mlp):
    net, seed, label, space = table(norm, mlp)
    radius = torch.linspace(0.05, 0.9, 24).double()
    before = seed.clone()
    x = attack(problem_of(Margin(net, label), seed, space, radius, reference_rows=real))
    assert x.dtype == torch.float64
    assert torch.equal(seed, before)
    assert not x.requires_grad
    assert not torch.equal(x, seed)
    numbers, levels = x[:, :4], x[:, 4:].view(-1, 2, 3)
    assert torch.equal(numbers[:, 3], seed[:, 3]), "a frozen column has moved"
    steps = (numbers[:, 2] - seed[:, 2]) / 0.25
    torch.testing.assert_close(steps, steps.round(), atol=1e-5, rtol=0)
    assert (length(numbers - seed[:, :4], norm) <= radius * (1 + 1e-5)).all()
    assert ((levels == 0) | (levels == 1)).all()
    assert (levels.sum(2) == 1).all()
    assert ((levels != seed[:, 4:].view(-1, 2, 3)).any(2).sum(1) <= 1).all(), "more than one flip"
    assert (numbers >= -1e-9).all()
    assert (numbers <= 1 + 1e-9).all()


@every_attack
@every_norm
def test_the_batch_size_changes_no_row(attack, real, norm, mlp):
    net, seed, label, space = table(norm, mlp)
    objective, radius = Margin(net, label), torch.linspace(0.2, 0.9, 24).double()
    problem = problem_of(objective, seed, space, radius, 7, reference_rows=real)
    whole = attack(problem)
    parts = [attack(problem.take(rows)) for rows in torch.arange(24).split(7)]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-9)


@every_attack
def test_a_generators_seed_says_all(attack, real, mlp):
    net, seed, label, space = table(2.0, mlp)
    radius = torch.full((24,), 0.8).double()
    global_state = torch.get_rng_state()
    first, again, other = (
        attack(problem_of(Margin(net, label), seed, space, radius, number, reference_rows=real))
        for number in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other) or isinstance(attack, Crossover)
    assert torch.equal(torch.get_rng_state(), global_state)


@every_attack
@every_norm
def test_with_radius_0_nothing_moves(attack, real, norm, mlp):
    net, seed, label, space = table(norm, mlp)
    x = attack(
        problem_of(Margin(net, label), seed, space, torch.zeros(24).double(), reference_rows=real)
    )
    torch.testing.assert_close(x, seed, atol=1e-12, rtol=0)


@every_attack
def test_a_row_without_a_number_becomes_nan_and_harms_no_other(attack, real):
    slope = torch.randn((6, 10), generator=source(1))
    seed, offset = torch.full((6, 10), 0.5), torch.full((6,), -1.0)
    offset = offset - (slope * seed).sum(1)
    args = seed, box(2.0), torch.full((6,), 0.9)
    healthy = attack(problem_of(Linear(slope, offset), *args, reference_rows=real))
    broken = slope.index_fill(0, torch.tensor([2]), torch.nan)
    x = attack(problem_of(Linear(broken, offset), *args, reference_rows=real))
    assert x[2].isnan().all()
    others = torch.arange(6) != 2
    torch.testing.assert_close(x[others], healthy[others])


@every_attack
def test_a_row_that_cannot_be_fooled_stays_near_home_and_harms_no_other(attack, real):
    slope = torch.randn((6, 10), generator=source(1))
    seed = torch.full((6, 10), 0.5)
    offset = -0.2 - (slope * seed).sum(1)
    hopeless = offset.index_fill(0, torch.tensor([4]), -1e4)
    radius = torch.full((6,), 0.9)
    x = attack(problem_of(Linear(slope, hopeless), seed, box(2.0), radius, reference_rows=real))
    fooled = Linear(slope, hopeless)(x) > 0
    assert fooled.tolist()[4] is False
    assert fooled.sum() >= 4
    assert length(x - seed, 2.0)[4] <= 0.9 + 1e-5


@pytest.mark.parametrize("attack", [HopSkipJump(steps=4), Crossover()], ids=str)
def test_labels_alone_are_enough(attack, mlp):
    net, seed, label, space = table(2.0, mlp)
    radius = torch.full((24,), 5.0).double()
    scores = Margin(net, label)
    labels = Margin(lambda x: torch.nn.functional.one_hot(net(x).argmax(1), 2).double(), label)
    x, y = (
        attack(problem_of(objective, seed, space, radius, reference_rows=REAL))
        for objective in (scores, labels)
    )
    assert torch.equal(x, y)
    assert (scores(x) > 0).double().mean() > 0.9


# ---------------------------------------------------------------- each against its oracle


@pytest.mark.parametrize(("norm", "near"), [(2.0, 1.1), (math.inf, 1.25)])
@pytest.mark.parametrize("has_references", [True, False])
def test_hopskipjump_finds_the_distance_to_a_plane(has_references, norm, near):
    slope = torch.randn((1, 8), generator=source(1), dtype=torch.float64).expand(30, 8)
    seed = torch.rand((30, 8), generator=source(2), dtype=torch.float64)
    offset = -(slope * seed).sum(1) - torch.linspace(0.1, 0.5, 30).double()
    objective = Linear(slope, offset)
    wide = box(norm, -5.0, 5.0)
    references = 8 * torch.rand((50, 8), generator=source(3)) - 4 if has_references else None
    endless = torch.full((30,), math.inf).double()
    problem = problem_of(objective, seed, wide, endless, reference_rows=references)
    x = HopSkipJump(steps=10)(problem)
    assert (objective(x) > 0).all()
    ratio = length(x - seed, norm) / (-objective(seed) / length(slope, DUAL[norm]))
    assert ratio.min() >= 1
    assert ratio.median() < near


def test_hopskipjump_leaves_a_row_whose_boundary_lies_beyond_the_radius():
    slope = torch.ones(2, 4)
    objective = Linear(slope, torch.tensor([-0.2, -3.0]))
    attack = HopSkipJump(steps=5)
    x = attack(problem_of(objective, torch.zeros(2, 4), box(2.0, -9.0, 9.0), torch.full((2,), 0.5)))
    assert (objective(x) > 0).tolist() == [True, False]
    assert torch.equal(x[1], torch.zeros(4))


def test_square_climbs_a_linear_objective_to_the_corner_and_asks_no_more_than_its_steps():
    slope = torch.randn((10, 12), generator=source(1))
    objective, calls = Linear(slope, torch.full((10,), -1e3)), []

    class Counted(Objective):
        def __call__(self, x):
            calls.append(len(x))
            return objective(x)

        def take(self, rows):
            return self

    space = box(math.inf, -9.0, 9.0)
    x = Square(steps=300)(problem_of(Counted(), torch.zeros(10, 12), space, torch.ones(10)))
    assert len(calls) == 301
    optimum = slope.abs().sum(1)
    assert ((objective(x) + 1e3) / optimum).min() > 0.95


def test_square_throws_windows_in_images():
    seed = torch.zeros(1, 2, 8, 8)
    seen = []

    class Seen(Objective):
        def __call__(self, x):
            seen.append(x.clone())
            return -torch.ones(len(x))

        def take(self, rows):
            return self

    Square(steps=30, p_init=0.2)(problem_of(Seen(), seed, box(math.inf, -1.0, 1.0), torch.ones(1)))
    start = seen[1]
    assert torch.equal(start, start[:, :, :1].expand_as(start)), "the first throw is in stripes"
    for one in seen[2:]:
        changed = (one != start).any(1)[0].nonzero()
        if len(changed):
            sides = changed.amax(0) - changed.amin(0) + 1
            assert (sides <= 4).all()


@pytest.mark.parametrize("has_signs", [False, True])
def test_the_estimated_slope_of_a_plane_is_its_slope(has_signs):
    slope = torch.randn((4, 6), generator=source(1), dtype=torch.float64)
    objective, x = Linear(slope, torch.zeros(4).double()), torch.zeros(4, 6).double()
    problem = problem_of(objective, x, box(2.0, -9.0, 9.0), torch.ones(4).double())
    settings = {"pairs": 4000, "delta": 0.1, "has_signs": has_signs}
    value, found, _ = estimated_gradient(problem, x, 3, **settings)
    torch.testing.assert_close(value, objective(x))
    assert (length(found - slope, 2.0) / length(slope, 2.0) < 0.1).all()


def test_a_crossover_is_made_of_real_cells_and_no_column_can_be_spared(mlp):
    net, seed, label, space = table(2.0, mlp)
    objective = Margin(net, label)
    radius = torch.full((24,), math.inf).double()
    x = Crossover()(problem_of(objective, seed, space, radius, reference_rows=REAL))
    fooled = objective(x) > 0
    assert fooled.double().mean() > 0.9
    column = space.column_index(seed)
    for row in fooled.nonzero()[:, 0].tolist():
        moved = [
            c for c in range(6) if not torch.equal(x[row][column == c], seed[row][column == c])
        ]
        assert 3 not in moved
        for c in moved:
            fewer = torch.where(column == c, seed[row], x[row])[None]
            assert objective.take(torch.tensor([row]))(fewer) <= 0
        numbers = [c for c in moved if c in (0, 1)]  # a grid moves cells by whole steps
        for c in numbers:
            assert (REAL[:, c].double() - x[row, c]).abs().min() < 1e-6


def test_a_crossover_without_real_rows_says_what_it_needs():
    with pytest.raises(ValueError, match="Crossover copies cells of real rows: give it some"):
        Crossover()(problem_of(None, REAL, box(), torch.ones(60)))


# ---------------------------------------------------------------- trees


@dataclass(frozen=True)
class Forest(RowLogits):
    """A fitted estimator's log-odds of rows as they are, with its leaves."""

    model: object
    leaf_boxes: object

    def __call__(self, x):
        return torch.from_numpy(np.log(self.model.predict_proba(x.detach().numpy()).clip(1e-9))).to(
            x
        )


def fitted(model, columns=5):
    x, y = make_classification(500, columns, n_informative=4, n_redundant=0, random_state=0)
    x = x.astype(np.float32).astype(float)
    model.fit(x[:400], y[:400])
    logits = Forest(model, read_trees(model).leaf_boxes())
    seed = torch.from_numpy(x[400:430])
    return logits, seed, logits(seed).argmax(1), torch.from_numpy(x[:400])


FORESTS = [
    DecisionTreeClassifier(random_state=0),
    RandomForestClassifier(15, random_state=0),
    ExtraTreesClassifier(15, random_state=0),
    GradientBoostingClassifier(n_estimators=15, random_state=0),
    HistGradientBoostingClassifier(max_iter=15, random_state=0),
]
every_forest = pytest.mark.parametrize("model", FORESTS, ids=lambda m: type(m).__name__)


@every_forest
def test_each_row_lies_in_one_box_of_each_tree_whose_values_add_up_to_its_scores(model):
    logits, _, _, real = fitted(model)
    boxes, x = logits.leaf_boxes, real.numpy()
    inside = ((boxes.lower <= x[:, None]) & (x[:, None] <= boxes.upper)).all(2)
    n_trees = int(boxes.tree.max()) + 1
    assert (inside @ np.eye(n_trees)[boxes.tree] == 1).all()
    scores = inside @ boxes.value + boxes.offset
    np.testing.assert_array_equal(scores.argmax(1), model.predict(x))


@pytest.mark.parametrize("norm", [2.0, 1.0, math.inf])
def test_leaf_search_is_exact_on_one_tree(norm):
    logits, seed, label, _ = fitted(DecisionTreeClassifier(random_state=0))
    objective, space = Margin(logits, label), box(norm, -99.0, 99.0)
    x = LeafSearch()(problem_of(objective, seed, space, torch.full((30,), math.inf).double()))
    assert (objective(x) > 0).all()
    boxes = logits.leaf_boxes
    lower, upper = torch.from_numpy(boxes.lower), torch.from_numpy(boxes.upper)
    for row in range(30):
        other = boxes.value.argmax(1) != label[row].numpy()
        nearest = seed[row].clamp(lower[other], upper[other])
        optimum = length(nearest - seed[row], norm).min()
        torch.testing.assert_close(length(x - seed, norm)[row], optimum, rtol=1e-4, atol=1e-5)


@every_forest
@pytest.mark.parametrize("norm", [2.0, 1.0, math.inf])
def test_leaf_search_comes_within_a_hundredth_of_the_shortest_move(norm, model):
    logits, seed, label, real = fitted(model)
    objective, space = Margin(logits, label), box(norm, -99.0, 99.0)
    seed, endless = seed[:8], torch.full((8,), math.inf).double()
    problem = problem_of(objective.take(torch.arange(8)), seed, space, endless, reference_rows=real)
    objective = problem.objective
    x, best = LeafSearch()(problem), LeafSearch(max_boxes=10**9)(problem)
    assert (objective(x) > 0).all()
    size, least = (length(moved - seed, norm) for moved in (x, best))
    assert (size >= least * (1 - 1e-6)).all()
    assert size.mean() <= 1.01 * least.mean()


@every_forest
@pytest.mark.parametrize("norm", [2.0, math.inf])
def test_leaf_search_moves_every_row_by_less_than_a_walk_along_the_boundary(norm, model):
    logits, seed, label, real = fitted(model)
    objective, space = Margin(logits, label), box(norm, -99.0, 99.0)
    endless = torch.full((30,), math.inf).double()
    problem = problem_of(objective, seed, space, endless, reference_rows=real)
    x, walk = LeafSearch(max_boxes=0)(problem), HopSkipJump(steps=2, init_eval=50)(problem)
    assert (objective(x) > 0).all()
    assert length(x - seed, norm).mean() <= 0.9 * length(walk - seed, norm).mean()


@pytest.mark.parametrize("norm", [2.0, math.inf])
def test_leaf_search_keeps_grids_bounds_and_frozen_columns(norm):
    x, y = make_classification(300, 5, n_informative=4, n_redundant=0, random_state=0)
    x = np.rint(2 * x)
    model = RandomForestClassifier(15, random_state=0).fit(x, y)
    logits = Forest(model, read_trees(model).leaf_boxes())
    seed = torch.from_numpy(x[:40])
    free = torch.tensor([True, True, True, True, False])
    space = Box(
        torch.tensor(-7.0), torch.tensor(7.0), norm=norm, free=free, grid=torch.ones(5).double()
    )
    radius = torch.full((40,), math.inf).double()
    problem = problem_of(Margin(logits, logits(seed).argmax(1)), seed, space, radius)
    moved = LeafSearch()(problem)
    assert problem.succeeds(moved).double().mean() > 0.9
    assert torch.equal(moved, moved.round())
    assert torch.equal(moved[:, 4], seed[:, 4])
    assert (moved.abs() <= seed.abs().clamp_min(7)).all()


def test_leaf_search_finds_what_whole_steps_of_scaled_columns_change():
    X, y = make_classification(300, 3, n_informative=3, n_redundant=0, random_state=3)
    scaler = StandardScaler().fit(whole := np.rint(4 * X))
    X = scaler.transform(whole)  # A threshold between neighbours of 2 steps is a value itself.
    model = RandomForestClassifier(10, random_state=0).fit(X[:200], y[:200])
    label = model.predict(X)
    mover = AdversarialTransformer(
        attack=LeafSearch(max_boxes=10**6),
        radius={column: 2.2 / scaler.scale_[column] for column in range(3)},
        surrogate=model,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* rows were not moved by")
        moved = mover.fit(X, y).transform(X[200:], label[200:])
    is_fooled = model.predict(moved) != label[200:]
    steps = np.array(list(itertools.product(range(-2, 3), repeat=3)))
    near = (whole[200:, None] + steps).clip(whole.min(0), whole.max(0))
    near = scaler.transform(near.reshape(-1, 3))
    is_other = np.all(
        [model.predict(near + by) for by in (-1e-6, 0, 1e-6)] != label[200:].repeat(125), 0
    )
    can_be = is_other.reshape(-1, 125).any(1)
    assert can_be.sum() > 30
    assert is_fooled[can_be].mean() > 0.9


def test_leaf_search_says_what_it_needs(mlp):
    net, seed, label, space = table(2.0, mlp)
    with pytest.raises(ValueError, match="LeafSearch needs a model made of trees"):
        LeafSearch()(problem_of(Margin(net, label), seed, space, torch.ones(24).double()))
    logits, seed, label, _ = fitted(DecisionTreeClassifier(random_state=0))
    radius = torch.ones(30).double()
    with pytest.raises(ValueError, match="an attack on trees cannot raise Odds"):
        LeafSearch()(problem_of(Odds(logits, label), seed, box(), radius))


# ---------------------------------------------------------------- several at once


def test_autoattack_fools_each_row_that_a_member_fools_and_rows_of_two_classes(mlp):
    net = mlp(10, 16, 2, seed=1).double()
    seed = torch.rand((80, 10), generator=source(), dtype=torch.float64)
    objective, radius = Margin(net, net(seed).argmax(1)), torch.full((80,), 0.05).double()
    members = (APGD(steps=20), APGD(steps=20), DeepFool(), Square(steps=50))
    all_of = AutoAttack(attacks=members)(problem_of(objective, seed, box(), radius)) - seed
    fooled = objective(seed + all_of) > 0
    assert 0.05 < fooled.double().mean() < 0.99
    for member in members:
        assert (
            fooled.sum()
            >= (objective(member(problem_of(objective, seed, box(), radius))) > 0).sum()
        )


def test_autoattack_asks_a_model_without_a_gradient():
    logits, seed, label, _ = fitted(RandomForestClassifier(15, random_state=0))
    objective = Margin(logits, label)
    x = AutoAttack()(problem_of(objective, seed, box(math.inf, -9, 9), torch.ones(30).double()))
    assert (objective(x) > 0).double().mean() > 0.8


@pytest.mark.parametrize("attack", [NES(), SPSA()], ids=str)
def test_estimated_slopes_refuse_a_radius_without_end(attack):
    logits, seed, label, _ = fitted(RandomForestClassifier(5, random_state=0))
    endless = torch.full((len(seed),), math.inf)
    with pytest.raises(ValueError, match="give it a finite one"):
        attack(problem_of(Margin(logits, label), seed, box(2.0), endless))


def test_a_gradient_attack_on_a_model_without_one_says_what_to_take():
    logits, seed, label, _ = fitted(RandomForestClassifier(5, random_state=0))
    with pytest.raises(ValueError, match="no gradient, it can only be queried"):
        FGSM()(problem_of(Margin(lambda x: logits(x.detach()), label), seed, box(), torch.ones(30)))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (Square(steps=10), Square(steps=40)),
        (Square(p_init=0.2), Square(p_init=0.8)),
        (HopSkipJump(steps=1), HopSkipJump(steps=4)),
        (HopSkipJump(steps=2, init_eval=10), HopSkipJump(steps=2, init_eval=60)),
        (HopSkipJump(steps=2), HopSkipJump(steps=2, probe_size=0.4)),
        (NES(pairs=2), NES(pairs=8)),
        (NES(), SPSA()),
        (NES(delta=0.1), NES(delta=0.5)),
        (PGD(), NES()),
    ],
    ids=lambda a: repr(a)[:40],
)
def test_two_attacks_with_different_fields_differ(one, two, mlp):
    net = mlp(10, 16, 2, seed=1)
    seed = torch.rand((24, 10), generator=source())
    objective, radius = Margin(net, net(seed).argmax(1)), torch.full((24,), 0.6)
    x, y = (attack(problem_of(objective, seed, box(2.0), radius)) for attack in (one, two))
    assert (length(x - y, 2) > 1e-3).float().mean() > 0.3
