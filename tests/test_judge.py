import pytest
import torch
from scipy.stats import kstest

from advaug.judges import ConformalJudge
from advaug.sampling.judges.conformal import MOST_REFERENCES


def rows(n, seed, width=4):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


def bench(n=400, seed=0, **settings):
    return ConformalJudge(**settings).fit(
        rows(n, seed), torch.zeros(n), 0, torch.Generator().manual_seed(0)
    )


@pytest.mark.parametrize("n", [60, 400])
def test_p_values_of_unseen_rows_of_the_class_are_uniform(n):
    # One row from each of many benches: the p-values of one bench share its chance.
    p = torch.cat([bench(n, seed).p_value(rows(1, 10_000 + seed)) for seed in range(300)])
    assert kstest(p, "uniform").pvalue > 0.01


def test_a_share_of_alpha_of_the_class_is_refused_at_alpha():
    judge = bench(1000, min_probability=0.0, alpha=0.1)
    new = rows(4000, 1)
    keeps = judge.verdict(new, torch.ones(len(new))).accepts
    assert float((~keeps).float().mean()) == pytest.approx(0.1, abs=0.04)


def test_far_rows_have_the_least_p_value_and_are_refused():
    judge = bench(99)
    far = rows(5, 1) + 50
    assert torch.equal(judge.p_value(far), torch.full((5,), 1 / 100))
    assert not judge.verdict(far, torch.ones(5)).accepts.any()


def test_the_p_value_falls_with_the_distance_from_the_class():
    judge = bench()
    ray = torch.linspace(0, 8, 60)[:, None] * torch.ones(4) / 2
    p = judge.p_value(ray)
    assert p[0] > 0.5
    assert p[-1] < 0.01
    # Neighbours differ from place to place: it falls but for small steps.
    assert float(p.diff().max()) < 0.15


@pytest.mark.parametrize(("probability", "keeps"), [(0.49, False), (0.5, True), (1.0, True)])
def test_the_label_needs_the_jurys_agreement(probability, keeps):
    judge = bench()
    centre = torch.zeros(1, 4)
    verdict = judge.verdict(centre, torch.tensor([probability]))
    assert verdict.accepts.tolist() == [keeps]


@pytest.mark.parametrize("n", [1, 2, 3, 19])
def test_a_class_of_fewer_rows_than_the_level_asks_refuses_nothing(n):
    judge = bench(n, alpha=0.05)
    far = rows(3, 1) + 50
    assert judge.verdict(far, torch.ones(3)).accepts.all()
    assert judge.p_value(far) == pytest.approx(1 / (n + 1) if n > 1 else 1)


def test_one_row_more_and_the_class_can_refuse():
    assert not bench(20, alpha=0.05).verdict(rows(3, 1) + 50, torch.ones(3)).accepts.any()


def test_a_big_class_is_represented_by_so_many_rows():
    judge = bench(MOST_REFERENCES + 500)
    assert len(judge.reference) == len(judge.usual) == MOST_REFERENCES


def test_a_bench_moves_to_the_device_it_is_asked_on(device):
    judge = bench().to(device)
    p = judge.p_value(rows(3, 1).to(device))
    assert p.device.type == device
    torch.testing.assert_close(p.cpu(), bench().p_value(rows(3, 1)))
