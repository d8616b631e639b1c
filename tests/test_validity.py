"""The signs, the batch tests and the panel, against closed forms and known answers."""

import pytest
import torch

from advaug.core.neighbors import balls_containing
from advaug.judges import PanelJudge
from advaug.models.cross_fitted import CV, fit_cross_fitted
from advaug.sampling.judges.batch_metrics import coverage, energy_test
from advaug.sampling.judges.families import FAMILIES, agreement
from advaug.sampling.judges.row_metrics import conformal, density, is_hidden, left_out, novelty


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(n, width=3, seed=0):
    return torch.randn(n, width, generator=source(seed))


def test_a_conformal_p_value_counts_the_references_that_are_at_least_as_strange():
    usual = torch.tensor([1.0, 2.0, 2.0, 5.0])
    p = conformal(usual, torch.tensor([0.0, 2.0, 3.0, 6.0]))
    assert p.tolist() == pytest.approx([1.0, 4 / 5, 2 / 5, 1 / 5])


def test_rows_left_out_have_the_ranks_of_their_strangeness():
    p = left_out(torch.tensor([3.0, 1.0, 2.0, 4.0]))
    assert p.tolist() == pytest.approx([2 / 4, 4 / 4, 3 / 4, 1 / 4])


def test_the_hidden_majority_is_seen_through_the_nearest_row_other_than_itself():
    real = torch.tensor([[0.0], [1.0], [1.4], [9.0]])
    is_foreign = torch.tensor([False, True, False, False])
    new = torch.tensor([[0.1], [1.1], [8.0]])
    assert is_hidden(new, real, is_foreign).tolist() == [False, True, False]
    own = torch.tensor([0, 2, 3])
    assert is_hidden(real[own], real, is_foreign, own).tolist() == [True, True, False]


def test_novelty_and_density_of_a_copy_and_of_a_far_row():
    own = normal(80)
    new = torch.cat([own[:1], own[:1] + 50])
    assert novelty(new, own).tolist() == pytest.approx([0, 50 * 3**0.5], abs=5)
    assert density(new, own)[0] > 0
    assert density(new, own)[1] == 0


@pytest.mark.parametrize("k", [1, 5])
def test_the_mean_density_of_the_class_is_one_but_for_ties(k):
    # Each ball to a k-th neighbour holds exactly k other rows.
    own = normal(60)
    assert float(density(own, own, k, itself=True).mean()) == pytest.approx(1, abs=0.02)


def test_balls_are_counted_as_a_loop_counts_them():
    x, reference, radius = normal(700), normal(900, seed=1), torch.rand(900, generator=source())
    held, holds = balls_containing(x, reference, radius)
    inside = torch.cdist(x, reference) <= radius
    assert torch.equal(held, inside.sum(1))
    assert torch.equal(holds, inside.any(0))


def test_coverage_is_whole_for_the_same_rows_and_nothing_for_far_ones():
    x = normal(60)
    same, far = coverage(x, x), coverage(x, x + 99)
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    assert (far.precision, far.recall, far.density, far.coverage) == (0, 0, 0, 0)


def test_rows_in_a_corner_are_precise_but_cover_little():
    x = normal(200)
    corner = coverage(x, x[:1] + 0.01 * normal(200, seed=1))
    assert corner.precision > 0.9
    assert corner.coverage < 0.2


def test_the_energy_distance_of_two_points_is_twice_their_distance():
    a, b = torch.zeros(4, 1), torch.full((6, 1), 3.0)
    assert energy_test(a, b, source())[0] == pytest.approx(6.0)


def test_energy_p_values_of_one_distribution_are_rarely_small():
    p = [
        energy_test(normal(40, seed=k), normal(40, seed=99 + k), source(), 99)[1] for k in range(60)
    ]
    assert 0 <= sum(value <= 0.1 for value in p) <= 14  # 6 expected; binomial, p < .002
    assert energy_test(normal(40), normal(40, seed=1) + 1, source())[1] == pytest.approx(1 / 200)


@pytest.fixture(scope="module")
def two_classes():
    x = normal(240, 2)
    y = (torch.arange(240) % 3 == 0).long()
    return x + 2.5 * y[:, None], y


def test_no_family_has_seen_the_row_that_it_judges(two_classes):
    x, y = two_classes
    seen = []

    def witness(rows, labels, n_classes, generator):
        seen.append({tuple(row) for row in rows.tolist()})
        return lambda new: torch.tensor(
            [[0.0, 1.0] if tuple(row) in seen[k] else [1.0, 0.0] for row in new.tolist()]
        )

    jury = fit_cross_fitted({"witness": witness}, x, y, 2, source())  # one model a fold, in order
    models = jury.models["witness"]
    for one in range(CV):
        held = x[jury.fold_of_row == one]
        assert not {tuple(row) for row in held.tolist()} & seen[one]
    assert len(models) == CV


def test_the_panel_keeps_nearly_all_new_rows_of_the_class_and_refuses_swapped_ones(two_classes):
    x, y = two_classes
    bench = PanelJudge().fit(x, y, 1, source())
    own, swapped = normal(400, 2, seed=7) + 2.5, normal(400, 2, seed=8) * 0.5 - 0.5
    ones = torch.ones(400)
    assert bench.verdict(own, ones).accepts.float().mean() > 0.8  # 5 % by each of two tests
    assert bench.verdict(swapped, ones).accepts.float().mean() < 0.05


def test_a_parent_decides_which_models_judge(two_classes):
    x, y = two_classes
    bench = PanelJudge(families={"nets": FAMILIES["nets"]}).fit(x, y, 1, source())
    new = torch.full((2, 2), 1.25)
    parents = torch.tensor([int((bench.models.fold_of_row == k).nonzero()[0]) for k in (0, 1)])
    each = [agreement({"nets": bench.models.models["nets"][k](new[:1])}, 1).item() for k in (0, 1)]
    assert bench.log_odds(new, parents).tolist() == pytest.approx(each, abs=1e-5)


def test_the_class_itself_is_the_control(two_classes):
    x, y = two_classes
    signs = PanelJudge().fit(x, y, 1, source()).control()
    n = int((y == 1).sum())
    for name in ("label_p", "plausibility_p"):
        assert float(signs[name].mean()) == pytest.approx((n + 1) / (2 * n), abs=0.01)


def test_a_panel_can_be_the_samplers_judge(two_classes):
    from advaug import AdversarialOverSampler

    x, y = (part.numpy() for part in two_classes)
    sampler = AdversarialOverSampler(recipe="match", judge=PanelJudge(), random_state=0)
    _, y_new = sampler.fit_resample(x, y)
    assert (y_new == 0).sum() == (y_new == 1).sum()
    accepted = sampler.provenance_.query("move_share > 0 and recipe == 'match'")
    assert (accepted["p_value"] >= PanelJudge().alpha).all()
