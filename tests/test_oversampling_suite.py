"""The benchmark's own rules: rivals, statistics, folds. On generated rows only."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from benchmarks.oversampling import data, methods, rivals, samplers, significance

SEED = 0


def classes(few=12, many=60, width=3):
    rng = np.random.default_rng(SEED)
    return rng.normal(size=(few, width)), rng.normal(1.5, 1, size=(many, width))


@pytest.mark.parametrize("rule", rivals.RULES.values(), ids=rivals.RULES)
@pytest.mark.parametrize("few", [1, 2, 12])
def test_a_rule_makes_as_many_finite_rows_as_it_is_asked_for(rule, few):
    own, others = classes(few)
    new = rule(own, others, 37, np.random.default_rng(SEED))
    assert new.shape == (37, 3)
    assert np.isfinite(new).all()


def test_polynom_star_points_lie_evenly_on_the_way_to_the_mean():
    own = np.array([[0.0, 0.0], [4.0, 8.0]])
    new = rivals.polynom_star(own, own, 4, np.random.default_rng(SEED))
    expected = [[2 / 3, 4 / 3], [4 / 3, 8 / 3], [8 / 3, 16 / 3], [10 / 3, 20 / 3]]
    np.testing.assert_allclose(sorted(new.tolist()), expected)


def test_geometric_smote_stays_in_a_ball_around_a_row_that_reaches_no_farther_than_an_enemy():
    own, others = classes()
    new = rivals.geometric_smote(own, others, 300, np.random.default_rng(SEED))
    to_enemy = np.linalg.norm(own[:, None] - others, axis=2).min(1)
    gap = np.linalg.norm(new[:, None] - own, axis=2)
    assert ((gap <= to_enemy + 1e-9).any(1)).all()


def test_mixup_rows_are_more_their_own_class_than_any_other():
    own, others = np.zeros((5, 1)), np.ones((5, 1))
    new = rivals.mixup(own, others, 500, np.random.default_rng(SEED))
    assert new.min() >= 0
    assert 0 < new.max() <= 0.5


def test_crossover_cells_come_from_the_row_or_an_enemy():
    own, others = classes()
    new = rivals.crossover(own, others, 50, np.random.default_rng(SEED))
    for column in range(3):
        assert np.isin(new[:, column], np.concatenate([own, others])[:, column]).all()
    assert np.isin(new[:, 0], own[:, 0]).any()


def fold(strategy, seed=SEED):
    own, others = classes()
    matrix = np.concatenate([others, own])
    y = np.repeat([0, 1], [len(others), len(own)])
    X = pd.DataFrame(matrix, columns=list("abc"))
    return samplers.Fold(X, matrix, y, data.encoder_of(X), methods.totals_of(strategy, y), seed)


@pytest.mark.parametrize("strategy", ["balance", "grow1.5"])
@pytest.mark.parametrize("method", samplers.RIVALS)
def test_every_rival_gives_the_counts_that_are_asked_for(method, strategy):
    grown = methods.resample(method, fold(strategy))
    total = 60 if strategy == "balance" else 90
    slack = 0.1 * total if method == "adasyn" and not grown.fell_back else 0
    assert np.abs(np.bincount(grown.y) - total).max() <= slack
    assert len(grown.matrix) == len(grown.y)


def test_a_sampler_that_returns_its_input_is_found_out(monkeypatch):
    monkeypatch.setitem(samplers.RIVALS, "smote", lambda rows: (rows.matrix, rows.y))
    with pytest.raises(AssertionError, match="12 rows of class 1, 60 asked for"):
        methods.resample("smote", fold("balance"))


@pytest.mark.parametrize("method", ["smoted", "advaug", "adv:match"])
def test_a_misspelt_method_is_refused(method):
    with pytest.raises(ValueError, match="--methods"):
        methods.sampler_of(method)


def test_options_of_a_method_are_python_values():
    name = "advaug:match:attack=noise:radius=1.5:judge=None:size=(1, 2)"
    recipe, values = samplers.options_of(name)
    assert recipe == "match"
    assert values == {"attack": "noise", "radius": 1.5, "judge": None, "size": (1, 2)}


def test_holm_steps_down_as_in_the_paper():
    adjusted = significance.holm(np.array([0.04, 0.01, 0.03]))
    np.testing.assert_allclose(adjusted, [0.06, 0.03, 0.06])


def test_the_bayesian_test_knows_a_clear_gain_a_tie_and_their_mirror():
    rng = np.random.default_rng(SEED)
    gain = rng.normal(0.05, 0.01, 30)
    assert significance.bayesian_signed_rank(gain)[2] > 0.99
    assert significance.bayesian_signed_rank(-gain)[0] > 0.99
    assert significance.bayesian_signed_rank(rng.normal(0, 0.001, 30))[1] > 0.99
    assert sum(significance.bayesian_signed_rank(gain)) == pytest.approx(1)


def test_the_critical_difference_is_the_published_one():
    # Demsar, JMLR 7, 2006, section 3.2.2: four methods on 14 sets at .05
    assert significance.critical_difference(4, 14) == pytest.approx(1.25, abs=0.01)


def test_a_cut_keeps_the_classes_shares_and_five_rows_of_the_rare_one():
    y = np.repeat([0, 1], [970, 30])
    rows = np.arange(1000)
    kept = data.cut(rows, y, 100, SEED)
    assert np.bincount(y[kept]).tolist() == [97, 5]
    assert all(a < b for a, b in pairwise(kept))
    assert data.cut(rows, y, 1000, SEED) is rows


@pytest.mark.parametrize("domain", ["tabular", "signal", "sequence"])
def test_the_digest_of_a_method_reads_files_that_exist(domain):
    assert methods.code_of("advaug:auto", domain) != methods.code_of("nothing", domain)
    with pytest.raises(FileNotFoundError, match=r"spaces/box\.py"):
        methods.library_files(("spaces/box.py",))


def test_all_voters_as_one_classifier_rank_held_out_rows():
    rows = fold("balance")
    probability = methods.committee_probability(rows, rows.X)
    np.testing.assert_allclose(probability.sum(1), 1, rtol=1e-5)
    assert probability[rows.y == 1, 1].mean() > probability[rows.y == 0, 1].mean() + 0.2
