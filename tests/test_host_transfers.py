"""A batch of new rows keeps its device busy: what makes the host wait is counted."""

import numpy as np
import pytest
import torch

from advaug import AdversarialOverSampler
from advaug.core.devices import CELLS, at_once, batch_rows
from advaug.core.neighbors import nearest
from advaug.core.row_random import RowRandom
from advaug.sampling.class_generator import ClassGenerator, SyntheticBatch
from advaug.sampling.student_votes import JURY_ROWS
from tests.host_transfers import counted

# Waits of a pass: four models and the chances of a row shorten the batch, and ties are looked for.
WAITS_OF_A_PASS = 12


def table(n=600, columns=8):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n, columns)), (np.arange(n) < n // 10).astype(int)
    X[y == 1, :3] += 1
    return X, y


@pytest.fixture(scope="module")
def maker():
    """The rare class of a table of floats, whose judges and voters are fitted."""
    made = AdversarialOverSampler(random_state=0).fit(*table()).generator_.entries[1].maker.value
    made.rows(torch.arange(4))
    return made


def test_waits_are_counted(monkeypatch):
    x = torch.arange(3.0)
    with counted(monkeypatch) as counts:
        _ = float(x[0]), x.tolist(), x.cpu().numpy(), x[x > 1], x.nonzero(), bool((x > 1).any())
    assert counts == {"_local_scalar_dense": 2, "tolist": 1, "cpu": 1, "numpy": 1, "nonzero": 2}
    with counted(monkeypatch) as counts:
        _ = x * 2, x.sum(), x[[0, 1]], torch.where(x > 1, x, 0.0)
    assert not counts


@pytest.mark.parametrize("first", [0, JURY_ROWS], ids=["jury", "student"])
def test_a_batch_of_floats_makes_its_device_wait_a_few_times_a_pass(maker, first, monkeypatch):
    passes, leaves = [], []
    drawn, to = ClassGenerator._drawn, SyntheticBatch.to

    def counting(self, models, rows, *args):
        passes.append(len(rows))
        return (yield from drawn(self, models, rows, *args))

    monkeypatch.setattr("advaug.sampling.student_votes.MOST_ERROR", 1.0)
    rows = torch.arange(first, first + 3000)
    maker.rows(rows)  # What is fitted once is fitted.
    monkeypatch.setattr(ClassGenerator, "_drawn", counting)
    monkeypatch.setattr(SyntheticBatch, "to", lambda *args: leaves.append(1) or to(*args))
    with counted(monkeypatch) as counts:
        batch = maker.rows(rows)
    assert bool(batch.record["by_student"].all()) == (first > 0)
    assert len(leaves) == 1, "rows leave the device once"
    assert {*counts} <= {"_local_scalar_dense", "nonzero"}, "and nothing else goes to the host"
    assert 3 * len(passes) <= counts.total() <= WAITS_OF_A_PASS * len(passes)


def test_what_a_pass_computes_runs_wholly_on_the_meta_device(maker):
    meta = torch.device("meta")
    there = maker.to(meta)
    rows = torch.arange(100, device=meta)
    plan, random = there._plan_of_draws(rows, torch.zeros_like(rows))
    x = there._wandered(plan, random)
    features = there.committee.features(x)
    votes = [there.committee.read(features), *(vote(features) for vote in there.config.jury.voters)]
    parts = (*vars(plan).values(), random.keys, x, *votes, there.margins, there.scale)
    assert {part.device.type for part in parts} == {"meta"}
    assert x.shape == (100, 8)


@pytest.mark.parametrize("recipe", ["explore", "match", "harden", "translate", "interpolate"])
def test_a_dataset_is_copied_to_a_device_once_and_planned_there(recipe, device):
    sampler = AdversarialOverSampler(recipe=recipe, device=device, random_state=0).fit(*table(200))
    first, second = (entry.maker.value for entry in sampler.generator_.entries)
    assert first.there is second.there
    assert first.there.to(torch.device(device)) is first.there
    rows = torch.arange(9, device=device)
    plan = second.plan(rows, second.random(rows))
    assert {part.device.type for part in vars(plan).values()} == {device}


def test_a_device_takes_as_much_at_once_as_it_likes():
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert (at_once(cpu, 2**19), at_once(cuda, 2**19)) == (2**19, CELLS)
    assert [batch_rows(cpu, width) for width in (8, 64, 1000)] == [8192, 8192, 4096]
    assert [batch_rows(cuda, width) for width in (8, 64, 1000)] == [65_536, 65_536, 16_777]
    X, y = table(200)
    for batch_size, expected in (("auto", 8192), (50, 50)):
        sampler = AdversarialOverSampler(device="cpu", batch_size=batch_size, random_state=0)
        assert sampler.fit(X, y).generator_.batch_size == expected


def test_nearest_rows_are_the_same_in_blocks_of_any_size(monkeypatch):
    x = RowRandom.of(0, 0, torch.arange(300)).uniform(4)
    whole = nearest(x, x[:100], 3)
    monkeypatch.setattr("advaug.core.neighbors.CELLS", 700)
    torch.testing.assert_close(nearest(x, x[:100], 3), whole)
