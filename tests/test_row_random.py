"""Random numbers of rows: uniform, unrelated, and a pure function of row, step and cell."""

import numpy as np
import pytest
import torch
from scipy import stats

from advaug.core.norms import draw
from advaug.core.row_random import RowRandom, generator_at, mix_keys, mix_seed

LEVEL = 1e-4  # of the tests: the seeds are fixed, so that they fail for a bad generator alone


def rows_of(seed=0, label=0, count=1000):
    return RowRandom.of(seed, label, torch.arange(count))


def flat(tensor):
    return tensor.double().flatten().numpy()


@pytest.mark.parametrize("seed", [0, 1, 2**62])
def test_cells_are_uniform(seed):
    numbers = flat(rows_of(seed).uniform(200))
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert stats.kstest(numbers, "uniform").pvalue > LEVEL
    counts = np.bincount((numbers * 1024).astype(int), minlength=1024)
    assert stats.chisquare(counts).pvalue > LEVEL


def test_the_low_digits_are_uniform_too():
    """`norms.ball` takes the length of a move from them."""
    digits = flat(rows_of().uniform(200)) * 4096 % 1
    assert stats.kstest(digits, "uniform").pvalue > LEVEL


PAIRS = {
    "cells": lambda: (rows_of().uniform(2)[:, 0], rows_of().uniform(2)[:, 1]),
    "rows": lambda: rows_of(count=2).uniform(5000).unbind(0),
    "steps": lambda: (rows_of().at(0).uniform(9), rows_of().at(1).uniform(9)),
    "a step and its rows": lambda: (rows_of().uniform(9), rows_of().at(0).uniform(9)),
    "steps in another order": lambda: (
        rows_of().at(1).at(2).uniform(9),
        rows_of().at(2).at(1).uniform(9),
    ),
    "labels": lambda: (rows_of(label=0).uniform(9), rows_of(label=1).uniform(9)),
    "seeds": lambda: (rows_of(seed=0).uniform(9), rows_of(seed=1).uniform(9)),
    "label and row": lambda: (rows_of(label=1).uniform(9)[:-1], rows_of(label=0).uniform(9)[1:]),
}


@pytest.mark.parametrize("name", PAIRS)
def test_what_differs_is_unrelated(name):
    one, other = map(flat, PAIRS[name]())
    assert stats.pearsonr(one, other).pvalue > LEVEL
    table = np.histogram2d(one, other, bins=8, range=[[0, 1], [0, 1]])[0]
    assert stats.chisquare(table.flatten()).pvalue > LEVEL


def test_the_same_row_and_step_have_the_same_numbers_in_any_batch_and_order(device):
    whole = rows_of().to(device)
    order = torch.tensor([7, 3, 3, 999], device=device)
    some = whole.take(order)
    assert torch.equal(some.uniform(2, 3), whole.uniform(2, 3)[order])
    assert torch.equal(some.at(5).uniform(4), whole.at(5).uniform(4)[order])
    assert torch.equal(whole.at(5).take(order).uniform(4), some.at(5).uniform(4))
    assert torch.equal(RowRandom.of(0, 0, order.cpu()).uniform(4), some.uniform(4).cpu())
    assert torch.equal(whole.uniform(4).cpu(), rows_of().uniform(4))


def test_a_longer_request_extends_the_rows():
    assert torch.equal(rows_of(count=61).uniform(5)[:60], rows_of(count=60).uniform(5))


def test_some_cells_alone_have_the_numbers_that_they_have_among_all():
    cells = torch.tensor([7, 2, 5])
    assert torch.equal(rows_of().of_cells(cells), rows_of().uniform(9)[:, cells])


def test_noise_of_some_cells_is_that_of_all_of_them():
    like, cells = torch.zeros(1000, 2, 3), torch.tensor([4, 1])
    noise, whole = draw(like, rows_of(), cells), draw(like, rows_of())
    assert torch.equal(noise.flatten(1)[:, cells], whole.flatten(1)[:, cells])
    assert not noise.flatten(1)[:, [0, 2, 3, 5]].any()


def test_it_draws_on_the_meta_device():
    numbers = rows_of().to("meta").at(1).uniform(2, 3)
    assert numbers.device.type == "meta"
    assert numbers.shape == (1000, 2, 3)


def test_whole_numbers_are_uniform_below_their_bounds():
    random = rows_of(count=60_000)
    found = random.integers(6)
    assert stats.chisquare(np.bincount(found.numpy(), minlength=6)).pvalue > LEVEL
    bounds = torch.arange(1, 60_001)
    each = random.integers(bounds)
    assert ((each >= 0) & (each < bounds)).all()
    assert int(each[0]) == 0


def test_mixing_keys_loses_none_of_them():
    keys = torch.cat(
        [torch.arange(100_000), torch.arange(100_000) << 44, -torch.arange(1, 100_000)]
    )
    keys = keys.unique()
    for step in (0, 1, 2**40):
        mixed = mix_keys(keys, step)
        assert len(mixed.unique()) == len(keys)
        changed = (mixed ^ mix_keys(keys ^ 1, step)).numpy().view(np.uint64)
        flips = np.mean([bin(bits).count("1") for bits in changed[:5000].tolist()])
        assert 31.5 < flips < 32.5, "a bit of the key must flip half of the bits"


def test_a_path_leads_to_its_own_seed_and_generator():
    paths = [(), (0,), (1,), (0, 0), (0, 1), (1, 0)]
    assert len({mix_seed(3, *path) for path in paths}) == len(paths)
    one, same, other = (
        torch.rand(5, generator=generator_at(3, *path)) for path in ((1, 2), (1, 2), (2, 1))
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_keys_from_a_generator_come_in_row_order():
    def source():
        return torch.Generator().manual_seed(4)

    whole, generator = RowRandom.from_generator(9, source()), source()
    parts = [RowRandom.from_generator(count, generator) for count in (4, 5)]
    assert torch.equal(torch.cat([part.uniform(3) for part in parts]), whole.uniform(3))
