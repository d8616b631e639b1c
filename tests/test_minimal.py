"""DeepFool, Carlini-Wagner, EAD and the sparse attack beside the optimum of a linear model."""

import math

import pytest
import torch

from advaug.attacks import EAD, JSMA, CarliniWagner, DeepFool
from advaug.core.box import Box
from advaug.core.norms import NORMS, length
from advaug.core.objectives import Margin, Odds
from tests.problems import problem_of

DUAL = {math.inf: 1, 2.0: 2, 1.0: math.inf}
every_norm = pytest.mark.parametrize("norm", NORMS)


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def box(norm=2.0, low=-1e6, high=1e6, **fields):
    return Box(torch.tensor(low), torch.tensor(high), norm, **fields)


def linear(classes, rows=20, width=6):
    """A linear model, rows in [0, 1], the margins' objective."""
    weight = torch.randn((width, classes), generator=source(1), dtype=torch.float64)
    seed = torch.rand((rows, width), generator=source(2), dtype=torch.float64)
    return weight, seed, Margin(lambda x: x @ weight, (seed @ weight).argmax(1))


def endless(seed):
    return torch.full((len(seed),), math.inf, dtype=seed.dtype)


# ---------------------------------------------------------------- DeepFool


@every_norm
@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("overshoot", [0.02, 0.3])
def test_deepfool_goes_to_a_linear_models_nearest_boundary_and_a_little_farther(
    norm, classes, overshoot
):
    weight, seed, objective = linear(classes)
    label = objective.label
    x = DeepFool(overshoot=overshoot)(problem_of(objective, seed, box(norm), endless(seed)))
    logits = seed @ weight
    away = torch.stack(
        [
            (logits.gather(1, label[:, None])[:, 0] - logits[:, k])
            / torch.linalg.vector_norm(weight.T[label] - weight[:, k], DUAL[norm], dim=1)
            for k in range(classes)
        ],
        1,
    )
    nearest = away.scatter(1, label[:, None], math.inf).amin(1)
    torch.testing.assert_close(length(x - seed, norm), (1 + overshoot) * nearest, rtol=1e-4, atol=0)
    assert (objective(x) > 0).all()


def test_deepfool_weighs_only_the_most_advanced_candidates():
    """The class of the nearest logit is not the class of the nearest boundary."""
    weight = torch.tensor([[0.0, -1.0, -10.0], [0.0, 0.0, 0.0]])
    logits = lambda x: x @ weight + torch.tensor([0.0, -1.0, -2.0])  # noqa: E731
    seed = torch.zeros(1, 2)
    for candidates, away in ((1, 1.0), (2, 0.2)):
        attack = DeepFool(candidates=candidates, overshoot=0.0)
        x = attack(problem_of(Margin(logits, torch.tensor([0])), seed, box(), endless(seed)))
        assert float(-x[0, 0]) == pytest.approx(away, rel=1e-3)


@every_norm
def test_deepfool_reaches_a_target_and_any_objective_of_one_value(norm):
    weight, seed, objective = linear(4)
    target = (objective.label + 2) % 4
    for goal in (Margin(objective.logits, target, True), Odds(objective.logits, target, True)):
        x = DeepFool()(problem_of(goal, seed, box(norm), endless(seed)))
        assert torch.equal((x @ weight).argmax(1), target)


def test_deepfool_leaves_rows_that_are_over_or_have_no_gradient():
    weight, seed, objective = linear(2)
    over = Margin(objective.logits, 1 - objective.label)
    assert torch.equal(DeepFool()(problem_of(over, seed, box(), endless(seed))), seed)
    flat = Margin(lambda x: x.detach() @ weight + 0 * x.sum(1, keepdim=True), objective.label)
    assert torch.equal(DeepFool()(problem_of(flat, seed, box(), endless(seed))), seed)


MINIMAL = [DeepFool(), JSMA(columns=6), CarliniWagner(steps=60), EAD(steps=60)]


@pytest.mark.parametrize("attack", MINIMAL, ids=str)
def test_frozen_cells_stay_and_the_rest_does_the_work(attack):
    _, seed, objective = linear(3)
    free = torch.tensor([True, False, True, True, False, True])
    space = box(low=-5.0, high=6.0, free=free)
    x = attack(problem_of(objective, seed, space, endless(seed)))
    assert torch.equal(x[:, ~free], seed[:, ~free])
    assert (objective(x) > 0).all()


@pytest.mark.parametrize("attack", MINIMAL, ids=str)
def test_each_row_keeps_to_its_own_cap(attack):
    _, seed, objective = linear(3)
    cap = torch.linspace(0, 0.5, len(seed), dtype=torch.float64)
    for norm in NORMS:
        x = attack(problem_of(objective, seed, box(norm), cap))
        assert (length(x - seed, norm) <= cap + 1e-9).all()


# ---------------------------------------------------------------- at least length


def test_carlini_wagner_finds_a_linear_models_nearest_point_within_1_percent():
    weight, seed, objective = linear(2)
    x = CarliniWagner(binary_search_steps=9, steps=300)(
        problem_of(objective, seed, box(), endless(seed))
    )
    nearest = -objective(seed) / (weight[:, 0] - weight[:, 1]).norm()
    assert (objective(x) > 0).all()
    torch.testing.assert_close(length(x - seed, 2), nearest, rtol=0.01, atol=1e-3)


def elastic_optimum(weight, gap, sparsity):
    """min ||d||^2 + sparsity * ||d||_1 with d @ weight = gap: d = soft(t * weight), t bisected."""
    low, high = torch.zeros_like(gap), torch.full_like(gap, 1e3)
    for _ in range(80):
        t = (low + high) / 2
        d = t[:, None] * weight
        d = d.sign() * (d.abs() - sparsity / 2).clamp_min(0)
        enough = d @ weight >= gap
        low, high = torch.where(enough, low, t), torch.where(enough, t, high)
    return d.square().sum(1) + sparsity * d.abs().sum(1)


@pytest.mark.parametrize("sparsity", [0.01, 0.3])
def test_ead_finds_the_elastic_nets_optimum_within_2_percent(sparsity):
    weight, seed, objective = linear(2)
    attack = EAD(binary_search_steps=9, steps=300, beta=sparsity)
    move = attack(problem_of(objective, seed, box(), endless(seed))) - seed
    side = torch.where(objective.label == 0, -1.0, 1.0).double()[:, None]
    direction = weight[:, 0] - weight[:, 1]
    best = elastic_optimum(direction, -objective(seed), sparsity)
    assert (objective(seed + move) > 0).all()
    assert ((move * direction * side).sum(1) > 0).all()
    cost = move.square().sum(1) + sparsity * move.abs().sum(1)
    torch.testing.assert_close(cost, best, rtol=0.02, atol=1e-3)


def test_a_confident_success_is_farther():
    _, seed, objective = linear(2)
    for kind in (CarliniWagner, EAD):
        near, far = (
            kind(confidence=sure)(problem_of(objective, seed, box(), endless(seed)))
            for sure in (0.0, 1.0)
        )
        assert (objective(far) > 1).all()
        assert (objective(near) < 0.5).all()


# ---------------------------------------------------------------- few columns


def test_the_sparse_attack_changes_as_few_columns_as_a_linear_model_allows():
    weight, seed, objective = linear(2, width=9)
    x = JSMA(columns=9)(problem_of(objective, seed, box(low=0.0, high=1.0), endless(seed)))
    up = weight[:, 1] - weight[:, 0]
    for k in range(len(seed)):
        pull = up if objective.label[k] == 0 else -up
        gains = (pull * torch.where(pull > 0, 1 - seed[k], -seed[k])).sort(descending=True).values
        fewest = int((gains.cumsum(0) <= -objective(seed)[k]).sum()) + 1
        assert int((x[k] != seed[k]).sum()) == min(fewest, 9)


@pytest.mark.parametrize("columns", [1, 3])
@every_norm
def test_no_more_columns_than_allowed_change(columns, norm, mlp):
    net = mlp(12, 16, 3, seed=1)
    seed = torch.rand((30, 12), generator=source())
    objective = Margin(net, net(seed).argmax(1))
    attack = JSMA(columns)
    x = attack(problem_of(objective, seed, box(norm, 0.0, 1.0), torch.full((30,), 0.4)))
    changed = (x != seed).sum(1)
    assert changed.max() <= columns
    assert norm != math.inf or changed.max() == columns
