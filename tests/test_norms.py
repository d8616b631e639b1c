import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from advaug.core import norms
from advaug.core.row_random import RowRandom

DUAL = {math.inf: 1, 2.0: 2, 1.0: math.inf}
every_norm = pytest.mark.parametrize("norm", norms.NORMS)
seeds = st.integers(0, 2**31)


def gaussian(seed, *shape, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def nearest_in_l1_ball(move, radius):
    """Soft thresholding, the threshold by bisection."""
    if np.abs(move).sum() <= radius:
        return move
    low, high = 0.0, np.abs(move).max()
    for _ in range(200):
        cut = (low + high) / 2
        too_long = np.maximum(np.abs(move) - cut, 0).sum() > radius
        low, high = (cut, high) if too_long else (low, cut)
    return np.sign(move) * np.maximum(np.abs(move) - high, 0)


NEAREST = {
    math.inf: lambda move, radius: np.clip(move, -radius, radius),
    2.0: lambda move, radius: move * min(1, radius / np.linalg.norm(move)),
    1.0: nearest_in_l1_ball,
}


@every_norm
def test_length_is_numpys_norm_of_each_row(norm):
    move = gaussian(0, 6, 2, 3)
    expected = [np.linalg.norm(row.flatten().numpy(), norm) for row in move]
    np.testing.assert_allclose(norms.length(move, norm), expected, rtol=1e-6)


@every_norm
@given(seed=seeds, exponent=st.integers(-30, 30), width=st.integers(1, 7))
def test_steepest_has_length_1_and_gains_the_dual_norm(norm, seed, exponent, width):
    gradient = gaussian(seed, 4, 1, width) * 10.0**exponent
    move = norms.steepest(gradient, norm)
    gain = (move.double() * gradient.double()).flatten(1).sum(1)
    torch.testing.assert_close(norms.length(move, norm), torch.ones(4), rtol=1e-6, atol=0)
    torch.testing.assert_close(gain, norms.length(gradient.double(), DUAL[norm]), rtol=1e-5, atol=0)


@every_norm
def test_a_row_without_gradient_does_not_move_and_a_nan_harms_no_other_row(norm):
    gradient = torch.tensor([[0.0, 0.0], [torch.nan, 1.0], [3.0, 4.0]])
    move = norms.steepest(gradient, norm)
    assert move[0].tolist() == [0, 0]
    assert torch.equal(move[2:], norms.steepest(gradient[2:], norm))


@every_norm
@given(seed=seeds, width=st.integers(1, 9), reach=st.floats(0.0, 4.0))
def test_project_gives_the_nearest_point_of_the_ball(norm, seed, width, reach):
    move = gaussian(seed, 5, width, 1, dtype=torch.float64)
    radius = torch.linspace(0, 1, 5, dtype=torch.float64) * reach
    projected = norms.project(move, radius, norm)
    for row, size, result in zip(move, radius, projected, strict=True):
        expected = NEAREST[norm](row.numpy(), size.item())
        np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-9)


@every_norm
@given(seed=seeds, width=st.integers(1, 40), reach=st.floats(0.01, 10.0))
def test_project_keeps_the_radius_and_leaves_what_is_inside(norm, seed, width, reach):
    move = 3 * gaussian(seed, 5, width)
    radius = torch.full((5,), reach)
    once = norms.project(move, radius, norm)
    assert (norms.length(once, norm) <= radius + 1e-6 * max(1, reach)).all()
    torch.testing.assert_close(norms.project(once, radius, norm), once, rtol=1e-6, atol=1e-6)
    longer = norms.length(move, norm) * 1.001
    assert torch.equal(norms.project(move, longer, norm), move)
    assert torch.equal(norms.project(move, torch.full((5,), torch.inf), norm), move)
    assert not norms.project(move, torch.zeros(5), norm).any()


@pytest.mark.parametrize(
    "call",
    [
        lambda move: norms.steepest(move, 3.0),
        lambda move: norms.project(move, torch.ones(2), 3.0),
    ],
)
def test_an_unknown_norm_is_refused(call):
    with pytest.raises(ValueError, match="inf, 2 or 1, got 3"):
        call(torch.ones(2, 3))


@every_norm
@given(seed=seeds, width=st.integers(1, 9))
def test_ball_keeps_each_rows_radius(norm, seed, width):
    noise = torch.rand((20, width), generator=torch.Generator().manual_seed(seed))
    radius = torch.linspace(0, 2, 20)
    move = norms.ball(noise, radius, norm)
    assert (norms.length(move, norm) <= radius * (1 + 1e-5)).all()


def test_the_linf_balls_coordinates_and_the_l2_balls_volume_are_uniform(generator):
    noise = torch.rand((4000, 3), generator=generator)
    radius = torch.full((4000,), 2.0)
    cell = norms.ball(noise, radius, math.inf).flatten() / 4 + 0.5
    volume = (norms.length(norms.ball(noise, radius, 2), 2) / 2) ** 3
    for values in (cell, volume):
        assert scipy.stats.kstest(values.numpy(), "uniform").pvalue > 0.01


@pytest.mark.parametrize("width", [1, 2, 5])
@pytest.mark.parametrize(
    "norm",
    [
        math.inf,
        2.0,
        1.0,
    ],
)
def test_the_balls_moves_have_no_preferred_side(norm, width, generator):
    noise = torch.rand((4000, width), generator=generator)
    move = norms.ball(noise, torch.ones(4000), norm)
    error = move.std(0) / 4000**0.5
    assert (move.mean(0).abs() <= 4 * error).all()


def test_standard_normal_is_the_normal_quantile_and_finite_at_the_ends():
    noise = torch.linspace(0.001, 0.999, 99, dtype=torch.float64)
    expected = scipy.stats.norm.ppf(noise.numpy())
    np.testing.assert_allclose(norms.standard_normal(noise), expected, rtol=1e-9, atol=1e-9)
    ends = torch.tensor([0.0, 1 - 2**-24])
    assert norms.standard_normal(ends).isfinite().all()


def test_drawn_rows_do_not_depend_on_the_batch(device):
    like = torch.zeros(10, 3, device=device)
    random = RowRandom.of(5, 0, torch.arange(10)).to(device)
    whole = norms.draw(like, random)
    places = torch.arange(10).split(4)
    parts = torch.cat([norms.draw(like[rows], random.take(rows)) for rows in places])
    assert torch.equal(whole, parts)
    assert whole.device == like.device


@pytest.mark.parametrize(
    "dtype",
    [
        torch.float64,
        torch.float32,
        torch.float16,
        torch.bfloat16,
    ],
)
def test_drawn_noise_has_the_rows_dtype_and_stays_below_1(dtype):
    random = RowRandom.of(0, 0, torch.arange(20_000))
    noise = norms.draw(torch.zeros(20_000, 1, dtype=dtype), random)
    assert noise.dtype == dtype
    assert noise.min() >= 0
    assert noise.max() < 1
