import math
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from advaug.attacks import (
    APGD,
    BIM,
    EAD,
    FGSM,
    JSMA,
    MIFGSM,
    NIFGSM,
    PGD,
    RFGSM,
    UAP,
    VAT,
    CarliniWagner,
    DeepFool,
    Direction,
    Noise,
    Patch,
    Uniform,
)
from advaug.core.box import Box
from advaug.core.norms import NORMS, length
from advaug.core.objectives import Margin, Objective, Odds
from advaug.core.product import Product
from advaug.core.simplex import Simplex
from advaug.models.torch_model import TorchModel
from tests.problems import problem_of

DUAL = {math.inf: 1, 2.0: 2, 1.0: math.inf}
HALFWAY = {math.inf: 0.06, 2.0: 0.15, 1.0: 0.3}  # radii that fool about half of the rows
every_norm = pytest.mark.parametrize("norm", NORMS)
ASCENTS = [
    *(FGSM(), BIM(), PGD(), PGD(random_start=False), MIFGSM(), MIFGSM(steps=3, step=0.5)),
    *(NIFGSM(), APGD()),
]
NOISES = [Noise(), Uniform(), Direction()]
MINIMAL = [
    *(DeepFool(), DeepFool(candidates=1), JSMA(columns=2)),
    *(CarliniWagner(binary_search_steps=3, steps=10), EAD(binary_search_steps=3, steps=10)),
]
ROW_BY_ROW = [*ASCENTS, RFGSM(), PGD(stop_at=0.0), VAT(), *MINIMAL, *NOISES]
SHARED = [UAP(steps=5, batch_size=8), Patch(steps=5, batch_size=8, sizes=(0.4, 0.6))]
EVERY = [*ROW_BY_ROW, *SHARED]
every_attack = pytest.mark.parametrize("attack", EVERY, ids=str)


@dataclass(frozen=True)
class Linear(Objective):
    """Objective x . slope, one slope a row."""

    slope: Tensor

    def __call__(self, x):
        return (x * self.slope).flatten(1).sum(1)

    def take(self, rows):
        return replace(self, slope=self.slope[rows])


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def box(norm=math.inf, low=0.0, high=1.0, **fields):
    return Box(torch.tensor(low), torch.tensor(high), norm=norm, **fields)


def wide(norm, **fields):
    """A box whose bounds are never met."""
    return box(norm, -1e6, 1e6, **fields)


@pytest.fixture
def images(mlp):
    """24 rows in [0, 1], their predicted labels, and a net of 3 classes."""
    net = mlp(8, 16, 3, seed=1)
    seed = torch.rand((24, 2, 4), generator=source())
    return net, seed, net(seed).argmax(1)


# ---------------------------------------------------------------- optimum on a linear objective


@every_norm
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize(
    "attack",
    [
        *(FGSM(), BIM(), PGD(random_start=False), PGD(steps=100), MIFGSM(), MIFGSM(steps=3)),
        *(NIFGSM(), APGD()),
    ],
    ids=str,
)
def test_a_linear_objective_is_raised_by_radius_times_the_dual_norm(attack, frozen, norm, device):
    slope = torch.randn((6, 3, 4), generator=source(1), dtype=torch.float64)
    seed = torch.randn((6, 3, 4), generator=source(2), dtype=torch.float64)
    free = torch.rand((3, 4), generator=source(3)) < 0.6 if frozen else None
    radius = torch.linspace(0.1, 2, 6, dtype=torch.float64)
    slope, seed, radius = slope.to(device), seed.to(device), radius.to(device)
    objective, space = Linear(slope), wide(norm, free=free).to(device)
    x = attack(problem_of(objective, seed, space, radius))
    reachable = slope if free is None else slope * space.free
    optimum = radius * length(reachable, DUAL[norm])
    torch.testing.assert_close(objective(x) - objective(seed), optimum, rtol=1e-5, atol=0)
    assert free is None or torch.equal(x[:, ~space.free], seed[:, ~space.free])


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.9])
def test_r_fgsm_steps_along_the_gradient_with_the_rest_of_the_radius(share):
    slope, seed = torch.randn((2, 6, 40), generator=source(1), dtype=torch.float64)
    radius = torch.full((6,), 0.5, dtype=torch.float64)
    x = RFGSM(noise_share=share)(problem_of(Linear(slope), seed, wide(math.inf), radius))
    # Where the noise has the gradient's sign a cell moves by the radius; elsewhere the noise
    # takes its share away.
    along = (x - seed) * slope.sign() / 0.5
    is_alike = along > 1 - share
    expected = torch.where(is_alike, 1.0, 1 - 2 * share).to(along)
    torch.testing.assert_close(along, expected, atol=1e-6, rtol=0)
    assert share == 0 or 0.3 < is_alike.double().mean() < 0.7


@pytest.mark.parametrize("attack", ASCENTS, ids=str)
@every_norm
def test_a_linear_models_row_is_misclassified_exactly_above_margin_over_dual_norm(attack, norm):
    """So success grows with the radius, as far as the model allows."""
    weight = torch.randn((8, 2), generator=source(1), dtype=torch.float64)
    seed = torch.randn((60, 8), generator=source(2), dtype=torch.float64)
    label = (seed @ weight).argmax(1)
    objective = Margin(lambda x: x @ weight, label)
    needed = -objective(seed) / torch.linalg.vector_norm(weight[:, 0] - weight[:, 1], DUAL[norm])
    attack = replace(attack, steps=100) if isinstance(attack, PGD) else attack
    fooled = []
    for share in (0.2, 0.5, 0.8):
        reach = needed.quantile(share).item()
        x = attack(problem_of(objective, seed, wide(norm), torch.full_like(needed, reach)))
        assert torch.equal(objective(x) > 0, needed < reach)
        fooled.append(int((objective(x) > 0).sum()))
    assert fooled == [12, 30, 48]


# ---------------------------------------------------------------- inside the space


@every_attack
@every_norm
@given(number=st.integers(0, 2**31), reach=st.floats(0.0, 1.0))
def test_ball_and_bounds_are_never_left(attack, norm, number, reach):
    generator = source(number)
    slope = 4 * torch.randn((5, 6), generator=generator)
    seed = 1.4 * torch.rand((5, 6), generator=generator) - 0.2
    objective = Linear(slope)
    radius = torch.full((5,), reach)
    x = attack(problem_of(objective, seed, box(norm), radius))
    assert (length(x - seed, norm) <= radius + 1e-6).all()
    assert (x >= seed.clamp_max(0) - 1e-6).all()
    assert (x <= seed.clamp_min(1) + 1e-6).all()


@every_attack
@every_norm
def test_with_radius_0_nothing_moves(attack, norm, images):
    net, seed, label = images
    x = attack(problem_of(Odds(net, label), seed, box(norm), torch.zeros(24)))
    assert torch.equal(x, seed)


@every_norm
def test_noise_is_as_long_as_the_radius_in_any_direction(norm):
    seed, radius = torch.zeros(400, 3), torch.linspace(0.1, 2, 400)
    nothing = Linear(torch.zeros(400, 3))
    x = Noise()(problem_of(nothing, seed, wide(norm), radius))
    torch.testing.assert_close(length(x, norm), radius)
    inside = Uniform()(problem_of(nothing, seed, wide(norm), radius))
    assert (length(inside, norm) < radius).all()
    unit = x / radius[:, None]
    assert (unit.mean(0).abs() < 4 * unit.std(0) / 20).all()
    if norm == math.inf:
        torch.testing.assert_close(x.abs(), radius[:, None].expand(400, 3))


# ---------------------------------------------------------------- batches, seeds, side effects


def mixed_table(mlp):
    """A product of numbers and categories, rows in it, and a net on it."""
    every = torch.ones(2, 3, dtype=torch.bool)
    space = Product((box(2.0), Simplex(every, ~every)), ((4,), (2, 3)))
    levels = torch.randint(3, (24, 2), generator=source(5))
    numbers = torch.rand((24, 4), generator=source(6))
    seed = torch.cat([numbers, torch.nn.functional.one_hot(levels, 3).flatten(1)], 1)
    net = mlp(10, 16, 3, seed=2)
    return net, seed, net(seed).argmax(1), space


@every_attack
def test_each_category_of_a_moved_row_is_a_point_between_its_levels(attack, mlp):
    """Even where only rows without any level would succeed."""
    net, seed, label, space = mixed_table(mlp)

    def without_levels(x):
        missing = 1.5 - x[:, 4:].sum(1)
        return torch.stack([0 * missing, 60 * missing], 1)

    first = torch.zeros_like(label)
    for objective in (Margin(net, label), Margin(without_levels, first)):
        x = attack(problem_of(objective, seed, space, torch.full((24,), 0.5)))
        levels = x[:, 4:].reshape(24, 2, 3)
        assert (levels >= 0).all()
        torch.testing.assert_close(levels.sum(2), torch.ones(24, 2))


@pytest.mark.parametrize("attack", ROW_BY_ROW, ids=str)
@pytest.mark.parametrize("space", [*map(box, NORMS), "table"], ids=str)
def test_the_batch_size_changes_no_row(attack, space, images, mlp):
    net, seed, label = images
    if space == "table":
        net, seed, label, space = mixed_table(mlp)
    net, seed = deepcopy(net).double(), seed.double()  # else rounding decides which best is best
    objective, radius = Margin(net, label), torch.linspace(0.05, 0.6, 24).double()
    problem = problem_of(objective, seed, space, radius, 7)
    parts = [attack(problem.take(rows)) for rows in torch.arange(24).split(7)]
    whole = attack(problem)
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-6)


@every_attack
def test_a_generators_seed_says_all(attack, images):
    net, seed, label = images
    radius = torch.full((24,), 0.3)
    global_state = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    first, again, other = (
        attack(problem_of(Odds(net, label), seed, box(), radius, number)) for number in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), global_state[0])
    assert np.array_equal(np.random.get_state()[1], global_state[1][1])  # noqa: NPY002
    if isinstance(attack, (VAT, UAP)):
        return  # the start may be forgotten on the way
    always = (RFGSM, *map(type, [*NOISES, *SHARED]))
    is_random = isinstance(attack, always) or getattr(attack, "random_start", False)
    assert torch.equal(first, other) != is_random


@every_attack
def test_nothing_is_left_behind_in_seed_or_model(attack, images):
    net, seed, label = images
    before = seed.clone()
    x = attack(problem_of(Odds(TorchModel(net).logits, label), seed, box(), torch.full((24,), 0.3)))
    assert torch.equal(seed, before)
    assert not x.requires_grad
    assert x.data_ptr() != seed.data_ptr()
    assert all(weight.grad is None and weight.requires_grad for weight in net.parameters())


FIELDS = [
    (PGD(steps=2), PGD(steps=10)),
    (PGD(step=0.1), PGD(step=0.25)),
    (PGD(), PGD(random_start=False)),
    (PGD(stop_at=0.0), PGD(stop_at=0.5)),
    (MIFGSM(momentum=0.0), MIFGSM(momentum=1.0)),
    (MIFGSM(steps=2), MIFGSM(steps=10)),
    (MIFGSM(step=0.2), MIFGSM()),
    (Noise(), Uniform()),
    (Uniform(), Direction()),
    (MIFGSM(momentum=1.0), NIFGSM(momentum=1.0)),
    (NIFGSM(momentum=0.5), NIFGSM(momentum=1.0)),
    (NIFGSM(steps=2), NIFGSM(steps=10)),
    (NIFGSM(step=0.2), NIFGSM()),
    (BIM(steps=2), BIM(steps=10)),
    (BIM(step=0.2), BIM()),
    (RFGSM(noise_share=0.2), RFGSM(noise_share=0.5)),
    (APGD(steps=4), APGD(steps=10)),
    (APGD(steps=4), APGD(steps=4, momentum=1.0)),
    (APGD(steps=8, rho=0.0), APGD(steps=8, rho=1.0)),
    (APGD(steps=4), APGD(steps=4, random_start=False)),
    (DeepFool(overshoot=0.02), DeepFool(overshoot=0.5)),
    (
        CarliniWagner(binary_search_steps=3, steps=20),
        EAD(binary_search_steps=3, steps=20, beta=0.5),
    ),
    (FGSM(), RFGSM()),
    (FGSM(), MIFGSM()),
    (FGSM(), PGD(random_start=False)),
]


@every_norm
@pytest.mark.parametrize(("one", "two"), FIELDS, ids=str)
def test_two_attacks_with_different_fields_differ(one, two, norm, mlp):
    net = mlp(8, 16, 3, seed=1)
    seed = torch.rand((24, 8), generator=source())
    objective, radius = Margin(net, net(seed).argmax(1)), torch.full((24,), 0.9)
    results = [attack(problem_of(objective, seed, wide(norm), radius)) for attack in (one, two)]
    moved_apart = length(results[0] - results[1], 2) > 1e-3
    assert moved_apart.float().mean() > 0.3


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (FGSM(), PGD(steps=1, step=1.0, random_start=False)),
        (FGSM(), MIFGSM(steps=1)),
        (PGD(steps=5, step=0.2, random_start=False), MIFGSM(steps=5, momentum=0.0)),
        (PGD(steps=0), Uniform()),
        (RFGSM(noise_share=0.0), FGSM()),
        (BIM(steps=4), PGD(steps=4, step=0.25, random_start=False)),
        (NIFGSM(momentum=0.0), BIM()),
    ],
    ids=str,
)
@every_norm
def test_two_names_of_one_setting_agree(one, two, norm, images):
    net, seed, label = images
    args = Odds(net, label), seed, box(norm), torch.full((24,), 0.3)
    torch.testing.assert_close(one(problem_of(*args)), two(problem_of(*args)), rtol=0, atol=1e-6)


# ---------------------------------------------------------------- stopping early


@every_norm
def test_a_row_leaves_with_the_first_move_that_succeeds(norm, images):
    net, seed, label = images
    label = torch.where(torch.arange(24) < 4, (label + 1) % 3, label)  # wrong from the start
    objective, radius = Margin(net, label), torch.full((24,), 2 * HALFWAY[norm])
    pgd = PGD(steps=12, step=0.15, random_start=False)
    path = torch.stack(
        [replace(pgd, steps=k)(problem_of(objective, seed, box(norm), radius)) for k in range(13)]
    )
    reached = torch.stack([objective(x) >= 0 for x in path])
    first = torch.where(reached.any(0), reached.int().argmax(0), 12)
    x = replace(pgd, stop_at=0.0)(problem_of(objective, seed, box(norm), radius))
    torch.testing.assert_close(x, path[first, torch.arange(24)], rtol=0, atol=1e-6)
    assert torch.equal(x[:4], seed[:4])
    assert len(set(first.tolist())) > 3


@every_norm
def test_stopping_early_fools_as_many_rows_with_shorter_moves(norm, mlp):
    net = mlp(8, 16, 3, seed=1)
    seed = torch.rand((200, 8), generator=source())
    objective, radius = Margin(net, net(seed).argmax(1)), torch.full((200,), HALFWAY[norm])
    full, early = (
        PGD(stop_at=stop)(problem_of(objective, seed, box(norm), radius)) for stop in (None, 0.0)
    )
    fooled = [(objective(x) >= 0).float().mean().item() for x in (full, early)]
    assert 0.1 < fooled[0] < 0.95
    assert fooled[1] == pytest.approx(fooled[0], abs=0.02)
    assert (length(early - seed, norm) <= radius + 1e-6).all()
    assert length(early - seed, 2).mean() < 0.98 * length(full - seed, 2).mean()


def test_rows_that_are_all_done_at_once_end_the_loop(images):
    net, seed, label = images
    calls = []

    def counted(x):
        calls.append(len(x))
        return net(x)

    x = PGD(random_start=False, stop_at=0.0)(
        problem_of(Margin(counted, (label + 1) % 3), seed, box(), torch.ones(24))
    )
    assert calls == [24]
    assert torch.equal(x, seed)


# ---------------------------------------------------------------- sure models, broken rows


@pytest.mark.parametrize("attack", ASCENTS, ids=str)
@every_norm
def test_only_the_gradients_direction_counts_at_each_step(attack, norm, mlp):
    """exp(4 J) has J's directions, and lengths that grow on the way."""
    net = mlp(8, 16, 3, seed=1).double()
    seed = torch.rand((24, 8), generator=source(), dtype=torch.float64)
    objective, radius = Margin(net, net(seed).argmax(1)), torch.full((24,), 0.5).double()
    plain = attack(problem_of(objective, seed, box(norm), radius))
    grown = attack(problem_of(lambda x: (4 * objective(x)).exp(), seed, box(norm), radius))
    # APGD takes the first of two points whose values differ by less than noise.
    atol = 1e-5 if isinstance(attack, APGD) else 1e-7
    torch.testing.assert_close(grown, plain, rtol=1e-7, atol=atol)


@pytest.mark.parametrize("attack", ASCENTS, ids=str)
@pytest.mark.parametrize("factor", [20.0, 1e-3])
def test_how_sure_a_model_of_two_classes_is_changes_no_move(attack, factor, mlp):
    net = mlp(8, 16, 2, seed=3).double()
    seed = torch.rand((24, 8), generator=source(), dtype=torch.float64)
    label, radius = net(seed).argmax(1), torch.full((24,), 0.3, dtype=torch.float64)
    plain, scaled = (
        attack(problem_of(Odds(logits, label), seed, box(), radius))
        for logits in (net, lambda x: factor * net(x))
    )
    torch.testing.assert_close(scaled, plain)


@pytest.mark.parametrize("factor", [20.0, 1000.0])
def test_pgd_fools_a_model_of_three_classes_as_often_however_sure_it_is(factor, mlp):
    net = mlp(8, 16, 3, seed=1)
    seed = torch.rand((200, 8), generator=source())
    label, radius = net(seed).argmax(1), torch.full((200,), HALFWAY[math.inf])
    fooled = []
    for times in (1.0, factor):
        objective = Odds(lambda x, times=times: times * net(x), label)
        x = PGD()(problem_of(objective, seed, box(), radius))
        fooled.append((net(x).argmax(1) != label).float().mean().item())
    assert 0.1 < fooled[0] < 0.95
    assert fooled[1] == pytest.approx(fooled[0], abs=0.05)


@dataclass(frozen=True)
class Broken(Objective):
    """x . slope, whose gradient is NaN in some rows though its value is not."""

    slope: Tensor
    broken: Tensor

    def __call__(self, x):
        kink = (x - x.detach()).square().sum(1)
        kink = torch.where(self.broken, kink, 1.0).sqrt()
        return (x * self.slope).sum(1) + torch.where(self.broken, kink, 0.0)

    def take(self, rows):
        return replace(self, slope=self.slope[rows], broken=self.broken[rows])


GRADIENT_ATTACKS = [
    *(FGSM(), RFGSM(), BIM(), PGD(), MIFGSM(), NIFGSM(), PGD(stop_at=99.0), PGD(stop_at=0.0)),
    *(APGD(steps=9), VAT(), *MINIMAL),
]


@pytest.mark.parametrize("space", [*map(wide, NORMS), "simplex"], ids=str)
@pytest.mark.parametrize("attack", GRADIENT_ATTACKS, ids=str)
def test_a_row_without_finite_gradient_becomes_nan_and_harms_no_other(attack, space):
    broken = torch.arange(6) == 2
    slope = torch.randn((6, 6), generator=source(1))
    seed = torch.zeros(6, 6)
    if space == "simplex":
        every = torch.ones(2, 3, dtype=torch.bool)
        space = Product((Simplex(every, ~every),), ((2, 3),))
        seed[:, [0, 3]] = 1.0
    slope = slope - 10 * seed  # nothing succeeds before its first gradient
    args = seed, space, torch.ones(6)
    x = attack(problem_of(Broken(slope, broken), *args))
    healthy = attack(problem_of(Linear(slope), *args))
    assert x[2].isnan().all()
    torch.testing.assert_close(x[~broken], healthy[~broken])


@pytest.mark.parametrize(
    "attack",
    [
        FGSM(),
        PGD(),
        MIFGSM(),
        PGD(stop_at=0.0, random_start=False),
    ],
    ids=str,
)
def test_a_row_whose_objective_is_nan_becomes_nan(attack):
    slope = torch.ones(3, 4)
    slope[1] = torch.nan
    x = attack(problem_of(Linear(slope), -torch.ones(3, 4), wide(2.0), torch.ones(3)))
    assert x.isnan().any(1).tolist() == [False, True, False]


@pytest.mark.parametrize("attack", [FGSM(), PGD(random_start=False)], ids=str)
def test_a_huge_gradient_is_not_a_broken_one(attack):
    objective = Linear(torch.full((1, 4), 1e37))
    x = attack(problem_of(objective, torch.zeros(1, 4), wide(2.0), torch.ones(1)))
    torch.testing.assert_close(x, torch.full((1, 4), 0.5))
