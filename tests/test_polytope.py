"""Projection against closed forms and another solver; rows that do not know of each other."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from advaug.domains.tables.polytope import Polytope, RowLimits


def problem(seed, rows=30, width=6, relations=4, room=0.5):
    """Relations (the first an equality) that a point of the box keeps, and points outside."""
    draw = torch.Generator().manual_seed(seed)
    normals = torch.randn(relations, width, generator=draw, dtype=torch.float64)
    inner = torch.rand(rows, width, generator=draw, dtype=torch.float64) * 2 - 1
    offset = inner @ normals.T
    offset[:, 1:] += room * torch.rand(rows, relations - 1, generator=draw, dtype=torch.float64)
    x = torch.randn(rows, width, generator=draw, dtype=torch.float64)
    lower, upper = torch.full_like(x, -1.5), torch.full_like(x, 1.5)
    space = Polytope(normals, torch.arange(relations) == 0)
    binds = torch.ones_like(offset, dtype=torch.bool)
    return space, x, RowLimits(offset, binds, lower, upper), inner


def test_one_relation_is_met_at_the_foot_of_the_perpendicular():
    normal, wide = (
        torch.tensor([[3.0, 4.0]], dtype=torch.float64),
        torch.full((1, 2), 99.0).double(),
    )
    space = Polytope(normal, torch.tensor([False]))
    x, yes = torch.tensor([[6.0, 8.0]]).double(), torch.tensor([[True]])
    limits = RowLimits(torch.tensor([[25.0]]).double(), yes, -wide, wide)
    foot = space.project(x, limits)
    torch.testing.assert_close(foot, torch.tensor([[3.0, 4.0]]).double())
    inside = space.project(x, replace(limits, offset=torch.tensor([[51.0]]).double()))
    torch.testing.assert_close(inside, x)
    unbound = space.project(x, replace(limits, binds=~yes))
    torch.testing.assert_close(unbound, x)


def test_equalities_alone_are_met_as_by_least_squares():
    space, x, limits, _ = problem(0, relations=3)
    space = Polytope(space.normals, torch.ones(3, dtype=torch.bool))
    wide = replace(limits, lower=limits.lower * 1e6, upper=limits.upper * 1e6)
    got = space.project(x, wide)
    inverse = np.linalg.pinv(space.normals.numpy())
    expected = x.numpy() - (x.numpy() @ space.normals.numpy().T - limits.offset.numpy()) @ inverse.T
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-10)


def test_relations_that_repeat_each_other_do_no_harm():
    space, x, limits, _ = problem(1, relations=2)
    twice = Polytope(space.normals.repeat(2, 1), space.is_equality.repeat(2))
    both = replace(limits, offset=limits.offset.repeat(1, 2), binds=limits.binds.repeat(1, 2))
    one = space.project(x, limits)
    torch.testing.assert_close(twice.project(x, both), one, atol=1e-9, rtol=0)


@given(st.integers(0, 10_000))
def test_the_point_is_valid_and_none_nearer_is(seed):
    space, x, limits, inner = problem(seed, rows=3)
    got = space.project(x, limits)
    meets = space.meets(got, limits)
    for row in meets.nonzero()[:, 0].tolist():
        normals, off, at = space.normals.numpy(), limits.offset[row].numpy(), x[row].numpy()
        best = minimize(
            lambda v, at=at: ((v - at) ** 2).sum(),
            inner[row].numpy(),
            jac=lambda v, at=at: 2 * (v - at),
            bounds=[(-1.5, 1.5)] * 6,
            constraints=[
                {"type": "eq", "fun": lambda v, n=normals, o=off: n[:1] @ v - o[:1]},
                {"type": "ineq", "fun": lambda v, n=normals, o=off: o[1:] - n[1:] @ v},
            ],
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        assert float((got[row] - x[row]).square().sum()) <= best.fun + 1e-6


def test_nearly_every_row_converges():
    space, x, limits, _ = problem(2, rows=2000)
    got = space.project(x, limits)
    assert space.meets(got, limits).double().mean() > 0.99
    assert (got >= limits.lower).all()
    assert (got <= limits.upper).all()


def test_a_row_does_not_depend_on_its_batch():
    space, x, limits, _ = problem(3)
    whole = space.project(x, limits)
    alone = torch.cat([space.project(x[k], limits.take(k)) for k in torch.arange(len(x)).split(1)])
    torch.testing.assert_close(whole, alone, atol=1e-9, rtol=0)


def test_a_relation_that_no_point_keeps_is_left_alone():
    space = Polytope(torch.tensor([[1.0, 0.0], [0.0, 1.0]]).double(), torch.tensor([False, False]))
    x, low = torch.tensor([[5.0, 5.0]]).double(), torch.zeros(1, 2).double()
    offset, yes = torch.tensor([[-1.0, 2.0]]).double(), torch.ones(1, 2, dtype=torch.bool)
    got = space.project(x, RowLimits(offset, yes, low, low + 9))
    torch.testing.assert_close(got, torch.tensor([[5.0, 2.0]]).double())


@pytest.mark.parametrize("is_equality", [True, False])
def test_single_steps_of_a_grid_repair_what_rounding_has_broken(is_equality):
    draw = torch.Generator().manual_seed(4)
    x = torch.randint(-5, 6, (200, 4), generator=draw).double()
    space = Polytope(torch.tensor([[1.0, 1, 1, -1]]).double(), torch.tensor([is_equality]))
    yes, offset = torch.ones(200, 1, dtype=torch.bool), torch.zeros(200, 1).double()
    limits = RowLimits(offset, yes, torch.full_like(x, -9), torch.full_like(x, 9))
    grid = torch.tensor([1.0, 1, 1, 0]).double()
    got = space.settle(x, limits, grid)
    assert space.meets(got, limits).all()
    assert (got == got.round()).all()
    assert (got[:, 3] == x[:, 3]).all()
    excess = space.excess(x, limits)[:, 0]
    assert ((got - x).abs().sum(1) == excess).all(), "no step more than needed"
