import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from advaug.core import norms
from advaug.core.box import Box
from advaug.core.product import Product
from advaug.core.row_random import RowRandom
from advaug.core.simplex import Simplex
from advaug.core.space import RandomMoves, Space

DUAL = {math.inf: 1, 2.0: 2, 1.0: math.inf}
every_norm = pytest.mark.parametrize("norm", norms.NORMS)
numbers = st.integers(0, 2**31)
radii = st.floats(0.01, 3.0)
ENDLESS = torch.inf


def source(seed):
    return torch.Generator().manual_seed(seed)


def unit_box(**fields):
    return Box(torch.tensor(0.0), torch.tensor(1.0), **fields)


def one_hot(level, levels):
    return torch.nn.functional.one_hot(level, levels).float()


def mean_is(draws, expected):
    """Within 4 standard errors, coordinate by coordinate."""
    error = draws.std(0) / len(draws) ** 0.5
    return bool(((draws.mean(0) - expected).abs() <= 4 * error + 1e-6).all())


# ---------------------------------------------------------------- Box


@every_norm
@given(number=numbers, reach=radii)
def test_box_projects_and_samples_inside_ball_and_bounds(norm, number, reach):
    generator = source(number)
    seed = torch.rand((8, 5), generator=generator)
    far = seed + 2 * torch.randn((8, 5), generator=generator)
    radius = torch.full((8,), reach)
    box = unit_box(norm=norm)
    noise = torch.rand((8, 5), generator=generator)
    for x in (box.project(far, seed, radius), box.sample(seed, radius, noise)):
        assert (box.distance(x, seed) <= radius + 1e-6).all()
        assert x.min() >= 0
        assert x.max() <= 1
    once = box.project(far, seed, radius)
    torch.testing.assert_close(box.project(once, seed, radius), once, rtol=0, atol=1e-6)


@every_norm
def test_a_seed_outside_the_bounds_is_never_moved_by_force(norm):
    seed = torch.tensor([[-0.5, 0.5], [0.5, 1.7]])
    box = unit_box(norm=norm)
    radius = torch.full((2,), 9.0)
    assert torch.equal(box.project(seed, seed, radius), seed)
    x = box.project(seed + torch.tensor([[-1.0, 9.0], [-9.0, 1.0]]), seed, radius)
    torch.testing.assert_close(x, torch.tensor([[-0.5, 1.0], [0.0, 1.7]]))


@every_norm
def test_boxs_steepest_move_gains_radius_times_the_free_parts_dual_norm(norm, generator):
    gradient = torch.randn((6, 2, 3), generator=generator)
    radius = torch.linspace(0, 2, 6)
    free = torch.tensor([[True, False, True], [True, True, False]])
    wide = Box(torch.tensor(-9.0), torch.tensor(9.0), norm, free=free)
    move = wide.steepest(gradient, torch.zeros(6, 2, 3), radius)
    gain = (move * gradient).flatten(1).sum(1)
    torch.testing.assert_close(gain, radius * norms.length(gradient * free, DUAL[norm]))
    torch.testing.assert_close(norms.length(move, norm), radius)
    assert not move[:, ~free].any()


@every_norm
def test_missing_cells_do_not_move(norm, generator):
    """Coordinate 0 is never_left by 2, 1 by 3; the holders themselves are frozen."""
    box = unit_box(
        norm=norm,
        free=torch.tensor([True, True, False, False, True]),
        missing_flag=torch.tensor([2, 3, -1, -1, -1]),
    )
    seed = torch.full((4, 5), 0.5)
    seed[:, 2:4] = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    may_move = torch.tensor([[1, 1], [0, 1], [1, 0], [0, 0]]).bool()
    radius = torch.full((4,), 0.3)
    gradient = torch.tensor([[9.0, 8, 9, 9, 1]]).expand(4, 5)
    noise = torch.rand((4, 5), generator=generator)
    other = torch.full((4, 5), 0.9)
    other[:, 2:4] = seed[:, 2:4]
    for x in (
        box.project(seed + box.steepest(gradient, seed, radius), seed, radius),
        box.sample(seed, radius, noise),
        box.mix(seed, other, torch.full((4,), 0.5)),
    ):
        moved = x != seed
        assert not moved[:, :2][~may_move].any()
        assert not moved[:, 2:4].any()
        assert moved[may_move.all(1)].any()
        assert moved[3, 4]


def test_mixing_goes_the_share_of_the_way_except_for_frozen_and_missing_cells():
    box = unit_box(free=torch.tensor([True, False, True]), missing_flag=torch.tensor([1, -1, -1]))
    seed, other = torch.zeros(3, 3), torch.ones(3, 3)
    other[:, 1] = torch.tensor([0.0, 1.0, 0.0])  # the second row's other lacks the first cell
    mixed = box.mix(seed, other, torch.tensor([0.25, 0.5, 1.0]))
    assert mixed.tolist() == [[0.25, 0, 0.25], [0, 0, 0.5], [1, 0, 1]]


@every_norm
def test_boxs_distance_is_the_length_of_the_move(norm, generator):
    x, seed = torch.rand((2, 4, 3), generator=generator)
    torch.testing.assert_close(unit_box(norm=norm).distance(x, seed), norms.length(x - seed, norm))


@every_norm
@given(number=numbers, reach=radii)
def test_snapped_rows_are_whole_steps_from_the_seed_inside_ball_and_bounds(norm, number, reach):
    generator = source(number)
    grid = torch.tensor([0.25, 0.5, 1.0, 0.0])
    low, high = torch.full((4,), -2.0), torch.full((4,), 2.0)
    box = Box(low, high, norm=norm, grid=grid)
    seed = torch.randint(-2, 3, (16, 4), generator=generator).float()
    radius = torch.full((16,), reach)
    x = box.sample(seed, radius, torch.rand((16, 4), generator=generator))
    snapped = box.snap(x, seed, radius, torch.rand((16, 4), generator=generator))
    steps = (snapped - seed)[:, :3] / grid[:3]
    assert torch.equal(steps, steps.round())
    assert torch.equal(snapped[:, 3], x[:, 3])
    assert (box.distance(snapped, seed) <= radius + 1e-5).all()
    assert ((snapped >= low) & (snapped <= high)).all()


def test_snapping_without_a_ball_keeps_the_mean(generator):
    grid = torch.tensor([0.5, 1.0, 2.0])
    box = Box(torch.tensor(-9.0), torch.tensor(9.0), grid=grid)
    seed = torch.zeros(4000, 3)
    x = torch.tensor([0.3, -0.6, 1.9]).expand(4000, 3)
    noise = torch.rand((4000, 3), generator=generator)
    snapped = box.snap(x, seed, torch.full((4000,), ENDLESS), noise)
    assert mean_is(snapped, x[0])
    assert ((snapped - x).abs() < grid).all()


def test_an_unmoved_row_is_not_snapped_away(generator):
    seed = torch.randn((50, 3), generator=generator)
    noise = torch.rand((50, 3), generator=generator)
    box = Box(torch.tensor(-9.0), torch.tensor(9.0), grid=torch.tensor([0.1, 1.0, 7.0]))
    assert torch.equal(box.snap(seed, seed, torch.ones(50), noise), seed)


def test_a_bound_off_the_grid_is_not_snapped_to():
    box = Box(torch.tensor(0.0), torch.tensor(1.0), grid=torch.tensor([0.4]))
    seed, x = torch.tensor([[0.0]]), torch.tensor([[0.95]])
    snapped = box.snap(x, seed, torch.tensor([ENDLESS]), torch.tensor([[0.9]]))
    torch.testing.assert_close(snapped, torch.tensor([[0.8]]))


# ---------------------------------------------------------------- Simplex

POSITIONS, LEVELS = 4, 3


def simplex(flips=1):
    """Level 2 of position 3 is never_left, level 2 of position 0 cannot be reached."""
    reachable = torch.ones(POSITIONS, LEVELS, dtype=torch.bool)
    never_left = torch.zeros(POSITIONS, LEVELS, dtype=torch.bool)
    never_left[3, 2] = True
    reachable[3, 2] = reachable[0, 2] = False
    return Simplex(reachable, never_left, flips)


def free_simplex(positions=POSITIONS, levels=LEVELS, flips=1):
    every = torch.ones(positions, levels, dtype=torch.bool)
    return Simplex(every, ~every, flips)


def categories(rows, generator):
    return one_hot(torch.randint(LEVELS, (rows, POSITIONS), generator=generator), LEVELS)


def climbed(space, seed, radius, generator, steps=4):
    """A few steps on random gradients: a relaxed point that an attack may come to."""
    x = seed
    for _ in range(steps):
        gradient = torch.randn(seed.shape, generator=generator)
        share = torch.rand((), generator=generator)
        x = space.project(x + share * space.steepest(gradient, x, radius), seed, radius)
    return x


@given(number=numbers, flips=st.integers(0, 5))
def test_relaxed_rows_stay_on_the_simplex_within_the_flips(number, flips):
    generator = source(number)
    space, seed, radius = simplex(flips), categories(30, generator), torch.ones(30)
    noise = torch.rand(seed.shape, generator=generator)
    stuck = seed[:, 3, 2] > 0
    for x in (climbed(space, seed, radius, generator), space.sample(seed, radius, noise)):
        assert x.min() >= -1e-6
        torch.testing.assert_close(x.sum(-1), torch.ones(30, POSITIONS))
        assert (space.distance(x, seed) <= flips + 1e-5).all()
        assert torch.equal(x[stuck, 3], seed[stuck, 3])
        assert not x[~stuck, 3, 2].any()
        assert (x[:, 0, 2] <= seed[:, 0, 2]).all()
        torch.testing.assert_close(space.project(x, seed, radius), x, rtol=0, atol=1e-6)


@given(number=numbers, flips=st.integers(0, 5))
def test_snapped_rows_have_one_level_a_position_and_few_flips(number, flips):
    generator = source(number)
    space, seed, radius = simplex(flips), categories(30, generator), torch.ones(30)
    x = climbed(space, seed, radius, generator)
    snapped = space.snap(x, seed, radius, torch.rand(seed.shape, generator=generator))
    flipped = (snapped != seed).any(-1)
    stuck = seed[:, 3, 2] > 0
    assert torch.equal(snapped.sort(-1).values, seed.sort(-1).values)
    assert (flipped.sum(1) <= flips).all()
    assert not flipped[stuck, 3].any()
    assert not snapped[~stuck, 3, 2].any()
    assert not snapped[flipped[:, 0], 0, 2].any()
    assert not ((snapped > 0) & (x <= 0) & (seed <= 0)).any()


def test_snapping_without_a_budget_keeps_the_mean(generator):
    x = torch.rand((1, POSITIONS, LEVELS), generator=generator)
    x = (x / x.sum(-1, keepdim=True)).expand(6000, POSITIONS, LEVELS)
    seed = one_hot(torch.zeros(6000, POSITIONS, dtype=torch.long), LEVELS)
    noise = torch.rand(x.shape, generator=generator)
    snapped = free_simplex().snap(x, seed, torch.full((6000,), ENDLESS), noise)
    assert mean_is(snapped, x[0])


def test_no_noise_snaps_to_a_level_of_share_0():
    """The cumulated shares and their sum round differently."""
    generator = source(0)
    x = torch.rand((3000, 1, 20), generator=generator) * (torch.arange(20) < 19)
    x = x / x.sum(-1, keepdim=True)
    space = free_simplex(1, 20)
    seed = one_hot(torch.zeros(3000, 1, dtype=torch.long), 20)
    for noise in (0.0, 1 - 2**-24):
        snapped = space.snap(
            x, seed, torch.full((3000,), ENDLESS), torch.full((3000, 1, 20), noise)
        )
        assert not snapped[..., 19].any()


def test_with_infinite_radius_there_is_no_budget(generator):
    space, seed = free_simplex(), categories(20, generator)
    endless = torch.full((20,), ENDLESS)
    other = one_hot((seed.argmax(-1) + 1) % LEVELS, LEVELS)
    noise = torch.rand(seed.shape, generator=generator)
    assert torch.equal(space.project(other, seed, endless), other)
    assert torch.equal(space.snap(other, seed, endless, noise), other)


def test_simplex_gives_a_position_without_any_level_its_seeds():
    space, endless = free_simplex(2, 3), torch.full((1,), ENDLESS)
    seed = torch.tensor([[[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]])
    x = torch.tensor([[[-1.0, 0.0, -2.0], [0.0, 0.0, 3.0]]])
    expected = torch.tensor([[[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])
    assert torch.equal(space.project(x, seed, endless), expected)
    assert space.project(x * torch.nan, seed, endless).isnan().all()


def test_simplex_with_radius_0_does_not_move(generator):
    space, seed, none = simplex(2), categories(20, generator), torch.zeros(20)
    gradient = torch.randn(seed.shape, generator=generator)
    noise = torch.rand(seed.shape, generator=generator)
    assert not space.steepest(gradient, seed, none).any()
    assert torch.equal(space.sample(seed, none, noise), seed)


def test_the_distance_of_categories_is_the_number_of_flips(generator):
    a, b = categories(20, generator), categories(20, generator)
    expected = (a.argmax(-1) != b.argmax(-1)).sum(1).float()
    assert torch.equal(simplex().distance(a, b), expected)


@pytest.mark.parametrize("flips", range(6))
def test_simplexs_steepest_move_is_the_best_of_all_allowed_flips(flips, generator):
    space, seed = simplex(flips), categories(25, generator)
    gradient = torch.randn(seed.shape, generator=generator)
    x = seed + space.steepest(gradient, seed, torch.ones(25))
    now = seed.argmax(-1)
    for row in range(25):
        best = -math.inf
        for target in itertools.product(range(LEVELS), repeat=POSITIONS):
            changed = [k for k in range(POSITIONS) if target[k] != now[row, k]]
            allowed = all(
                space.reachable[k, target[k]] and not space.never_left[k, now[row, k]]
                for k in changed
            )
            if allowed and len(changed) <= flips:
                gain = sum(gradient[row, k, target[k]].item() for k in range(POSITIONS))
                best = max(best, gain)
        assert (gradient[row] * x[row]).sum().item() == pytest.approx(best, abs=1e-5)


def test_mixing_categories_keeps_a_missing_value_on_either_side():
    seed = one_hot(torch.tensor([[0, 0, 0, 2], [0, 0, 0, 0], [0, 0, 0, 0]]), LEVELS)
    other = one_hot(torch.tensor([[1, 1, 1, 1], [1, 1, 1, 2], [1, 1, 1, 1]]), LEVELS)
    mixed = simplex().mix(seed, other, torch.tensor([0.5, 1.0, 0.25]))
    assert torch.equal(mixed[:2, 3], seed[:2, 3])
    torch.testing.assert_close(
        mixed[:, :3], seed[:, :3].lerp(other[:, :3], torch.tensor([0.5, 1.0, 0.25])[:, None, None])
    )
    assert mixed[2, 3].tolist() == [0.75, 0.25, 0]


@pytest.mark.parametrize("radius", [1.0, ENDLESS])
def test_mixing_and_snapping_does_not_reach_what_cannot_be_reached(radius, generator):
    space = simplex(2)
    seed = one_hot(torch.zeros(50, POSITIONS, dtype=torch.long), LEVELS)
    other = one_hot(torch.tensor([[2, 1, 0, 0]]), LEVELS).expand_as(seed)
    mixed = space.mix(seed, other, torch.full((50,), 0.9))
    noise = torch.rand(seed.shape, generator=generator)
    snapped = space.snap(mixed, seed, torch.full((50,), radius), noise)
    assert torch.equal(snapped[:, 0], seed[:, 0])
    assert snapped[:, 1, 1].mean() > 0.5


# ---------------------------------------------------------------- Product


@pytest.fixture
def table(generator):
    """A product of numbers and categories, seeds, other rows, noise and gradients."""
    parts = (
        unit_box(norm=2.0, grid=torch.tensor([0.0, 0.5, 0.25])),
        simplex(2),
        unit_box(free=torch.tensor([True, False])),
    )
    space = Product(parts, ((3,), (POSITIONS, LEVELS), (2,)))

    def rows():
        blocks = [torch.rand((9, 3), generator=generator), categories(9, generator).flatten(1)]
        return torch.cat([*blocks, torch.rand((9, 2), generator=generator)], 1)

    noise, gradient = torch.rand((2, 9, 17), generator=generator)
    return space, rows(), rows(), noise, gradient - 0.5


RADIUS = torch.linspace(0.1, 1, 9)
OPERATIONS = {
    "steepest": lambda space, s, o, u, g: space.steepest(g, s, RADIUS),
    "project": lambda space, s, o, u, g: space.project(o, s, RADIUS),
    "sample": lambda space, s, o, u, g: space.sample(s, RADIUS, u),
    "snap": lambda space, s, o, u, g: space.snap(o, s, RADIUS, u),
    "mix": lambda space, s, o, u, g: space.mix(s, o, RADIUS),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_product_acts_as_its_parts(name, table):
    space, *rows = table
    whole = OPERATIONS[name](space, *rows)
    pieces = zip(*(x.split([3, POSITIONS * LEVELS, 2], 1) for x in rows), strict=True)
    for part, shape, inputs, result in zip(
        space.parts, space.shapes, pieces, whole.split([3, POSITIONS * LEVELS, 2], 1), strict=True
    ):
        expected = OPERATIONS[name](part, *(x.reshape(9, *shape) for x in inputs))
        assert torch.equal(result, expected.flatten(1))
    assert not torch.equal(whole, rows[0])


@pytest.mark.parametrize("step", ["scatter", "snap"])
def test_noise_of_cells_that_a_space_does_not_name_is_not_read(step, table, generator):
    box, simplices = unit_box(norm=2.0), simplex(2)
    space = Product((box, simplices), ((3,), (POSITIONS, LEVELS)))
    seed, other, noise = (x[:, :15] for x in table[1:4])
    cells = getattr(space, f"{step}_cells")(seed)
    assert 0 < len(cells) < 15
    less = torch.rand(noise.shape, generator=generator)
    less[:, cells] = noise[:, cells]

    def moved(noise):
        if step == "snap":
            return space.snap((seed + other) / 2, seed, torch.full((9,), ENDLESS), noise)
        return space.scatter(seed, RADIUS, torch.ones(15), noise)

    assert torch.equal(moved(noise), moved(less))
    assert not torch.equal(moved(noise), moved(torch.rand(noise.shape, generator=generator)))


def test_a_product_scatters_its_numbers_as_far_as_all_parts_together(table):
    space = Product((unit_box(norm=2.0), simplex(2)), ((3,), (POSITIONS, LEVELS)))
    seed, _, noise = (x[:, :15] for x in table[1:4])
    scale = torch.linspace(0.5, 2, 15)
    expected = Space.scatter(space, seed, RADIUS, scale, noise)
    torch.testing.assert_close(space.scatter(seed, RADIUS, scale, noise), expected)


def test_wandering_is_mixing_scattering_and_snapping(table, generator):
    never_left = torch.zeros(POSITIONS, LEVELS, dtype=torch.bool)
    never_left[:, -1] = True
    reachable = torch.rand((POSITIONS, LEVELS), generator=generator) < 0.7
    parts = unit_box(norm=2.0, grid=torch.tensor([0.0, 0.5, 0.25])), Simplex(reachable, never_left)
    space = Product(parts, ((3,), (POSITIONS, LEVELS)))
    rows, n = torch.cat([x[:, :15] for x in table[1:3]]), 1800
    seed, other = torch.randint(len(rows), (2, n), generator=generator)
    share, size = torch.rand((2, n), generator=generator)
    moving, rounding = (RowRandom.of(0, label, torch.arange(n)) for label in range(2))
    scale, moves = (
        torch.linspace(0.5, 2, 15),
        RandomMoves(seed, other, share, size, moving, rounding),
    )
    wander = space.wanderer(rows, scale)
    wandered = wander(moves)
    assert torch.equal(wandered, Space.wanderer(space, rows, scale)(moves))
    assert torch.equal(wandered, torch.cat([*map(wander, moves.split(700))]))
    changed = (wandered != rows[seed]).view(200, 9, 15)[..., 3:].any(-1).float().mean()
    assert 0.1 < changed < 0.99


def test_a_products_distance_adds_its_parts(table):
    space, seed, other, *_ = table
    a, b, c = space.parts
    expected = (
        a.distance(other[:, :3], seed[:, :3])
        + b.distance(other[:, 3:15].view(9, 4, 3), seed[:, 3:15].view(9, 4, 3))
        + c.distance(other[:, 15:], seed[:, 15:])
    )
    torch.testing.assert_close(space.distance(other, seed), expected)


def test_every_tensor_of_a_space_moves_to_the_device(table):
    space = table[0]
    never_left = Box(
        torch.zeros(2),
        torch.ones(2),
        free=torch.ones(2, dtype=torch.bool),
        grid=torch.ones(2),
        missing_flag=torch.tensor([-1, 0]),
    )
    for part in (*space.to("meta").parts, never_left.to("meta")):
        tensors = [value for value in vars(part).values() if isinstance(value, torch.Tensor)]
        assert tensors
        assert {tensor.device.type for tensor in tensors} == {"meta"}


@pytest.mark.parametrize("space", [unit_box(norm=2.0), unit_box(grid=torch.full((12,), 0.1))])
def test_an_empty_batch_stays_empty(space):
    none, radius = torch.zeros(0, 12), torch.zeros(0)
    assert space.project(none, none, radius).shape == (0, 12)
    assert space.snap(none, none, radius, none).shape == (0, 12)
    assert space.distance(none, none).shape == (0,)


# ---------------------------------------------------------------- L1 in a box, exactly


def l1_problem(number, width=7):
    """Float64 rows in [0, 1], a gradient, far points and radii that meet many bounds."""
    generator = source(number)
    seed = torch.rand((5, width), generator=generator, dtype=torch.float64)
    seed[:, 0], seed[:, 1] = 0.0, 1.0
    gradient = torch.randn((5, width), generator=generator, dtype=torch.float64)
    far = seed + 2 * torch.randn((5, width), generator=generator, dtype=torch.float64)
    return seed, gradient, far, torch.tensor([0.0, 0.3, 1.0, 2.5, 50.0], dtype=torch.float64)


@given(number=st.integers(0, 2**31))
def test_the_steepest_l1_move_in_a_box_is_the_linear_programs(number):
    seed, gradient, _, radius = l1_problem(number)
    move = unit_box(norm=1.0).steepest(gradient, seed, radius)
    assert (norms.length(move, 1) <= radius + 1e-12).all()
    assert ((seed + move >= 0) & (seed + move <= 1)).all()
    for s, g, r, m in zip(seed, gradient, radius, move, strict=True):
        room = np.concatenate([1 - s, s])  # up, down
        best = linprog(
            -np.concatenate([g, -g]), np.ones((1, 2 * len(s))), [r], bounds=[(0, c) for c in room]
        )
        assert float(m @ g) == pytest.approx(-best.fun, abs=1e-9)


@given(number=st.integers(0, 2**31))
def test_the_l1_projection_in_a_box_is_the_nearest_feasible_point(number):
    """Optimality: no feasible point lies on the far side of the residual."""
    seed, _, far, radius = l1_problem(number)
    box = unit_box(norm=1.0)
    x = box.project(far, seed, radius)
    assert (norms.length(x - seed, 1) <= radius + 1e-12).all()
    assert ((x >= 0) & (x <= 1)).all()
    residual = far - x
    farthest = seed + box.steepest(residual, seed, radius)  # by the linear program above
    gain = ((farthest - x) * residual).sum(1)
    torch.testing.assert_close(gain, torch.zeros_like(gain), rtol=0, atol=1e-9)


def test_an_l1_step_leaves_a_bound_for_the_next_coordinate():
    seed, gradient = torch.tensor([[1.0, 0.5, 0.5]]), torch.tensor([[3.0, 2.0, -1.0]])
    move = unit_box(norm=1.0).steepest(gradient, seed, torch.tensor([0.75]))
    torch.testing.assert_close(move, torch.tensor([[0.0, 0.5, -0.25]]))


def test_l1_steps_from_a_seed_end_near_the_best_move():
    """A coordinate at its bound must not hand its length on to ever weaker ones."""
    shares = {True: [], False: []}
    for number in range(40):
        seed, gradient, _, radius = (part[1:4] for part in l1_problem(number))
        box = unit_box(norm=1.0)
        best = (box.steepest(gradient, seed, radius) * gradient).sum(1)
        for knows_seed, share in shares.items():
            x, back = seed, box.projector(seed, radius)
            for _ in range(60):
                step = box.steepest(gradient, x, radius, seed if knows_seed else None)
                x = back(x + 0.1 * step)
            share.append(((x - seed) * gradient).sum(1) / best)
    reached, spilt = (float(torch.cat(share).mean()) for share in shares.values())
    assert reached > 0.95 > 0.9 > spilt
