"""What many rows share: the universal move, the patch; and VAT, which needs no label."""

import math

import pytest
import torch

from advaug.attacks import UAP, VAT, Noise, Patch
from advaug.core.box import Box
from advaug.core.norms import NORMS, length, steepest
from advaug.core.objectives import Divergence, Margin, objective_of
from tests.problems import problem_of

every_norm = pytest.mark.parametrize("norm", NORMS)


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def box(norm=math.inf, low=-1e6, high=1e6, **fields):
    return Box(torch.tensor(low), torch.tensor(high), norm, **fields)


def against(direction, rows):
    """Rows of class 0 on x @ direction."""
    weight = torch.stack([direction, torch.zeros_like(direction)], 1)
    return Margin(lambda x: x @ weight, torch.zeros(rows, dtype=torch.long))


@every_norm
def test_the_universal_move_of_a_linear_model_is_the_steepest_of_its_class(norm):
    direction = torch.tensor([1.0, -3.0, 0.5, 2.0, -0.2])
    seed = torch.randn((50, 5), generator=source()) + 2 * direction
    objective = Margin(
        lambda x: torch.stack([x @ direction, 0 * x[:, 0]], 1), torch.zeros(50).long()
    )
    radius = torch.full((50,), 0.5)
    learnt = UAP(batch_size=16).fit(problem_of(objective, seed, box(norm), radius))
    best = 0.5 * steepest(-direction[None], norm)[0]
    torch.testing.assert_close(learnt.move, best, rtol=0, atol=1e-3)
    x = learnt(problem_of(objective, seed, box(norm), radius))
    torch.testing.assert_close(x - seed, best.expand(50, 5), rtol=0, atol=1e-3)


@every_norm
def test_a_learnt_move_serves_rows_one_by_one_inside_their_bounds(norm, mlp):
    net = mlp(8, 16, 3, seed=1)
    seed, fresh = torch.rand((2, 60, 8), generator=source())
    free = torch.tensor([True] * 6 + [False] * 2)
    space = box(norm, 0.0, 1.0, free=free)
    objective, radius = Margin(net, net(seed).argmax(1)), torch.full((60,), 0.3)
    learnt = UAP(steps=20, batch_size=16).fit(problem_of(objective, seed, space, radius))
    whole = learnt(problem_of(objective, fresh, space, radius))
    parts = [learnt(problem_of(objective, rows[None], space, radius[:1])) for rows in fresh]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-6)
    assert ((whole >= 0) & (whole <= 1)).all()
    assert (length(whole - fresh, norm) <= 0.3 + 1e-6).all()
    assert torch.equal(whole[:, 6:], fresh[:, 6:])
    assert UAP().move is None, "learning leaves the settings as they were"


def test_the_universal_move_fools_rows_it_has_not_seen_more_often_than_noise(mlp):
    net = mlp(8, 16, 3, seed=1)
    seed, fresh = torch.rand((2, 200, 8), generator=source())
    label, radius, space = net(fresh).argmax(1), torch.full((200,), 0.15), box(math.inf, 0.0, 1.0)
    objective = Margin(net, net(seed).argmax(1))
    learnt = UAP().fit(problem_of(objective, seed, space, radius))
    fooled = [
        (net(attack(problem_of(None, fresh, space, radius))).argmax(1) != label).float().mean()
        for attack in (learnt, Noise())
    ]
    assert fooled[0] > fooled[1] + 0.1


def test_a_patch_covers_one_square_of_an_image_and_leaves_the_rest(mlp):
    net = mlp(3 * 12 * 12, 16, 3, gain=1.0)
    seed = torch.rand((20, 3, 12, 12), generator=source())
    objective, radius = Margin(net, net(seed).argmax(1)), torch.ones(20)
    attack = Patch(steps=4, batch_size=8, sizes=(0.3, 0.5), rotation_max=0.0)
    x = attack(problem_of(objective, seed, box(math.inf, 0.0, 1.0), radius))
    moved = (x != seed).any(1)
    for row in moved:
        down, across = row.any(1).nonzero()[:, 0], row.any(0).nonzero()[:, 0]
        assert row[down.min() : down.max() + 1, across.min() : across.max() + 1].all()
        for side in (down, across):
            assert 0.3 * 12 - 1 <= len(side) <= 0.5 * 12 + 1
    assert len({tuple(row.any(1).tolist()) for row in moved}) > 3, "always in the same place"


def test_a_signals_patch_is_a_window_in_time_over_all_channels(mlp):
    net = mlp(3 * 40, 16, 3, gain=1.0)
    seed = torch.rand((20, 3, 40), generator=source())
    objective, radius = Margin(net, net(seed).argmax(1)), torch.ones(20)
    attack = Patch(steps=4, batch_size=8, sizes=(0.2, 0.4), is_signal=True)
    x = attack(problem_of(objective, seed, box(math.inf, 0.0, 1.0), radius))
    moved = x != seed
    assert torch.equal(moved.all(1), moved.any(1))
    for row in moved.any(1):
        when = row.nonzero()[:, 0]
        assert row[when.min() : when.max() + 1].all()
        assert 0.2 * 40 - 1 <= len(when) <= 0.4 * 40 + 1


def test_a_tables_patch_sets_the_columns_the_model_reads_most_to_the_same_values():
    direction = torch.tensor([0.1, -3.0, 0.2, 2.0, 0.0, 0.3])
    seed = torch.randn((50, 6), generator=source()) * 0.1 + direction / 4
    objective = Margin(
        lambda x: torch.stack([x @ direction, 0 * x[:, 0]], 1), torch.zeros(50).long()
    )
    x = Patch(batch_size=16, sizes=(0.1, 0.34))(
        problem_of(objective, seed, box(), torch.full((50,), 0.5))
    )
    moved = (x != seed).any(0)
    assert moved.tolist() == [False, True, False, True, False, False]
    best = seed.mean(0) - 0.5 * direction.sign()
    low, high = seed - 0.5, seed + 0.5  # no cell goes farther than its own ball
    torch.testing.assert_close(x[:, moved], best.clamp(low, high)[:, moved], rtol=0, atol=1e-3)


def test_a_learnt_patch_is_thrown_in_row_order_whatever_the_batch(mlp):
    net = mlp(12 * 12, 16, 3, gain=1.0)
    seed = torch.rand((21, 12, 12), generator=source())
    objective, radius = Margin(net, net(seed).argmax(1)), torch.ones(21)
    space = box(math.inf, 0.0, 1.0)
    learnt = Patch(steps=4, batch_size=8).fit(problem_of(objective, seed, space, radius))
    problem = problem_of(objective, seed, space, radius, 5)
    whole = learnt(problem)
    parts = [learnt(problem.take(rows)) for rows in torch.arange(21).split(8)]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-6)


# ---------------------------------------------------------------- without labels


def test_the_divergence_is_kl_and_0_where_nothing_moved():
    logits = torch.randn((2, 5, 4), generator=source(), dtype=torch.float64)
    found = Divergence(lambda x: x, logits[0])(logits[1])
    p, q = logits.softmax(-1)
    torch.testing.assert_close(found, (p * (p / q).log()).sum(1))
    assert not objective_of("divergence", lambda x: x, logits[0], None)(logits[0]).any()


@pytest.mark.parametrize("steps", [1, 3])
def test_vat_finds_the_only_direction_a_linear_model_of_two_classes_has(steps):
    weight = torch.randn((6, 2), generator=source(1), dtype=torch.float64)
    seed = 0.1 * torch.randn((30, 6), generator=source(2), dtype=torch.float64)
    objective = objective_of("divergence", lambda x: x @ weight, seed, None)
    radius = torch.linspace(0.1, 1, 30, dtype=torch.float64)
    move = VAT(steps=steps)(problem_of(objective, seed, box(2.0), radius)) - seed
    direction = weight[:, 0] - weight[:, 1]
    along = (move @ direction).abs() / (radius * direction.norm())
    torch.testing.assert_close(along, torch.ones_like(along), rtol=1e-6, atol=0)


def test_more_power_iterations_find_a_direction_of_higher_divergence(mlp):
    net = mlp(30, 16, 4, seed=1, gain=2.0).double()
    seed = torch.rand((200, 30), generator=source(), dtype=torch.float64)
    objective, radius = (
        objective_of("divergence", net, seed, None),
        torch.full((200,), 0.2).double(),
    )
    found = [
        objective(attack(problem_of(objective, seed, box(2.0), radius))).mean()
        for attack in (Noise(), VAT(steps=1), VAT(steps=4))
    ]
    assert found[0] < 0.5 * found[1]
    assert found[1] < found[2]
