"""The benchmark's own rules: rivals, statistics, folds. On generated rows only."""

import warnings
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from advaug.models.stacking import balanced
from advaug.robust import AugmentedClassifier, DistilledClassifier, gate
from benchmarks.oversampling import __main__ as main
from benchmarks.oversampling import (
    cells,
    curves,
    data,
    distillation,
    learners,
    methods,
    report,
    rivals,
    samplers,
    scores,
    significance,
)

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


# ---------------------------------------------------------------- learners


@pytest.mark.parametrize(("n", "leaf"), [(5, 1), (30, 3), (120, 12), (500, 20)])
def test_the_boosters_leaf_fits_the_real_rows_and_is_no_larger_than_its_default(n, leaf):
    assert learners.smallest_leaf(n) == leaf


def test_grown_rows_leave_the_boosters_leaf_as_it_is_and_thinned_ones_do_not():
    rows = fold("balance")
    leaves = [learners.model_of("boosting", rows, n).min_samples_leaf for n in (None, 500, 24)]
    assert leaves == [7, 7, 2]


@pytest.mark.parametrize(("n", "epochs"), [(100, 500), (400, 250), (2000, 50)])
def test_the_net_is_updated_as_often_whatever_the_number_of_rows(monkeypatch, n, epochs):
    monkeypatch.setattr(learners, "UPDATES", 500)
    X = np.random.default_rng(SEED).normal(size=(n, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = learners.FixedUpdatesMLP((2,), tol=0, n_iter_no_change=999).fit(X, X[:, 0] > 0)
    assert net.n_iter_ == epochs


def test_a_tuned_learner_has_the_grids_best_settings_on_the_real_rows():
    rows = fold("balance")
    split = StratifiedKFold(3, shuffle=True, random_state=SEED)
    found = {}
    for C in learners.TUNED["tuned_logistic"][1]["C"]:
        model = learners.LEARNERS["logistic"](SEED, 72).set_params(C=C)
        parts = cross_val_score(model, rows.matrix, rows.y, scoring="average_precision", cv=split)
        found[C] = parts.mean()
    best = max(found, key=found.get)
    assert learners.model_of("tuned_logistic", rows, 500).get_params()["C"] == best


# ---------------------------------------------------------------- taught learners


@pytest.fixture(scope="module")
def rows():
    return fold("balance")


def of_rows(rows):
    return partial(learners.model_of, fold=rows)


class Recorder(ClassifierMixin, BaseEstimator):
    """Keeps what it is fitted on."""

    def fit(self, X, y, sample_weight=None):
        self.X, self.y, self.weight, self.classes_ = X, y, sample_weight, np.unique(y)
        return self


@pytest.mark.parametrize("learner", ["logistic", "knn", "mlp"])
@pytest.mark.parametrize(("method", "count"), [("distilled", "auto"), ("softened", 0)])
def test_a_student_is_the_librarys(rows, monkeypatch, learner, method, count):
    monkeypatch.setattr(learners, "UPDATES", 20)
    answer, _ = distillation.taught(method, rows, rows.X, of_rows(rows))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make_pipeline(FunctionTransformer(rows.encode), learners.model_of(learner, rows))
        library = DistilledClassifier(model, n_new_rows=count, random_state=SEED)
        library.fit(rows.X, rows.y)
        found = answer(learner)
    np.testing.assert_allclose(found.p, library.predict_proba(rows.X), atol=1e-6)
    np.testing.assert_array_equal(found.decision.argmax(1), library.predict(rows.X))


def test_the_hard_control_has_the_same_rows_and_each_real_rows_own_label(rows):
    lesson = distillation.lesson_of(rows)
    hard = Recorder()
    distillation.hard(lesson, hard, rows)
    assert len(hard.y) == len(lesson.soft.rows)
    places = {row.tobytes(): label for row, label in zip(hard.X, hard.y, strict=True)}
    assert [places[row.tobytes()] for row in lesson.soft.rows[: len(rows.y)]] == rows.y.tolist()
    assert hard.weight.mean() == pytest.approx(1)
    # Rare rows weigh more.
    assert hard.weight[hard.y == 1].mean() > 1.4 * hard.weight[hard.y == 0].mean()


def test_students_without_weights_get_each_row_once(rows):
    lesson, copies = distillation.lesson_of(rows), Recorder()
    distillation.distilled_without_weights(lesson, copies, rows)
    assert copies.weight is None
    assert len(copies.y) == len(lesson.soft.rows)
    expected = balanced(lesson.soft.probability, lesson.factor)[:, 1].mean()
    assert copies.y.mean() == pytest.approx(expected, abs=0.01)


def test_plain_copies_are_as_many_as_the_rows_of_distilled(rows):
    grown = methods.resample("copies", rows)
    assert len(grown.y) == len(distillation.lesson_of(rows).soft.rows)
    assert np.bincount(grown.y).tolist() == [1536, 1536]
    assert {row.tobytes() for row in grown.matrix} == {row.tobytes() for row in rows.matrix}


def test_the_teacher_is_one_classifier_and_costs_less_than_with_its_rows(rows):
    cell = cells.run_cell("teacher", rows, rows.X)
    assert cell["learner"].tolist() == ["teacher"]
    assert cell["seconds"][0] < distillation.taught("distilled", rows, rows.X, of_rows(rows))[1]
    p = cell["p"][0]
    assert p[rows.y == 1].mean() > p[rows.y == 0].mean() + 0.2


def test_a_cell_tells_decisions_only_where_they_differ_from_its_probabilities(rows):
    names = ("logistic", "tuned_logistic")
    taught = cells.run_cell("distilled", rows, rows.X, learners=names)
    plain = cells.run_cell("nothing", rows, rows.X, learners=names)
    assert taught["learner"].tolist() == plain["learner"].tolist() == [*names]
    assert (taught["p_decision"][0] > taught["p"][0]).all()  # of the rare class
    assert "p_decision" not in plain


def test_all_learners_share_a_gate_that_chooses_as_the_library_does(rows, monkeypatch):
    lessons, plain = [], gate.Lesson.of
    monkeypatch.setattr(gate.Lesson, "of", lambda *own: lessons.append(own) or plain(*own))
    distillation.gate_of.cache_clear()
    answer, _ = distillation.taught("gated", rows, rows.X, of_rows(rows))
    found = {learner: answer(learner) for learner in ("tree", "knn")}
    assert len(lessons) == 1
    for learner, given in found.items():
        model = make_pipeline(FunctionTransformer(rows.encode), learners.model_of(learner, rows))
        library = AugmentedClassifier(model, sampler="auto", random_state=SEED)
        library.fit(rows.X, rows.y)
        np.testing.assert_allclose(given.p, library.predict_proba(rows.X))
        np.testing.assert_array_equal(given.decision.argmax(1), library.predict(rows.X))


def test_what_is_not_known_and_what_no_instrument_asks_is_refused_at_once():
    with pytest.raises(ValueError, match="explor"):
        methods.refuse_unknown("advaug:explor@grow3:size=2")
    with pytest.raises(ValueError, match="through instruments"):
        methods.refuse_unknown("distilled", "instrument")
    for known in ("copies", "distilled", "advaug:explore@grow3", "advaug:auto:attack=noise"):
        methods.refuse_unknown(known)


# ---------------------------------------------------------------- strategies, scores, reports


def test_a_method_may_have_a_strategy_of_its_own(tmp_path):
    assert np.bincount(methods.resample("random@grow2", fold("balance")).y).tolist() == [120, 120]
    plan = cells.Plan(tmp_path, tmp_path, ("t",), ())
    folders = {m: plan.path("t", 0, 1, m).parent.name for m in ("random", "nothing", "copies")}
    assert folders == {"random": "balance-0-1", "nothing": "any-0-1", "copies": "distilled-0-1"}
    assert plan.path("t", 0, 1, "random@grow2").parent.name == "grow2-0-1"
    tuned = replace(plan, is_tuned=True)
    assert set(tuned.learners) - set(plan.learners) == {*learners.TUNED}
    assert tuned.path("t", 0, 1, "nothing") != plan.path("t", 0, 1, "nothing")


@pytest.mark.parametrize(("words", "folds"), [([], 5), (["distill"], 3), (["distill", "4"], 4)])
def test_the_table_of_taught_learners_has_three_folds_unless_more_are_asked_for(
    monkeypatch, words, folds
):
    more = ["--folds", words.pop()] if len(words) > 1 else []
    monkeypatch.setattr("sys.argv", ["oversampling", "--data", "FOLDER", *words, *more])
    assert main.arguments().folds == folds


def test_f1_is_of_decisions_and_brier_of_probabilities(tmp_path):
    y, p = np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.4])
    plan = cells.Plan(tmp_path, tmp_path, ("t",), ())
    old = pd.DataFrame({"y": [y, y], "p": [p, p]})
    new = old.assign(p_decision=[p + 0.25, p + 0.25])
    values = [dict(zip(scores.BINARY, scores.of_learner(plan, c), strict=True)) for c in (old, new)]
    assert [value["F1"] for value in values] == [0, 1]
    assert [value["G-mean"] for value in values] == [0, 1]
    assert values[0]["Brier"] == values[1]["Brier"] == pytest.approx(np.mean((p - y) ** 2))
    of_many = scores.multiclass(y, np.stack([1 - p, p], 1), np.stack([0.75 - p, p + 0.25], 1))
    assert of_many[scores.MULTICLASS.index("F1")] == 1


def scored():
    """AP of two learners on two sets: `good` gains much on the tree, and loses else."""
    values = {"nothing": [0.5, 0.6], "good": [0.9, 0.598], "worse": [0.4, 0.5]}
    return pd.DataFrame(
        {"set": s, "base": s, "method": m, "learner": learner, "AP": v, "fit_seconds": 2.0}
        for s in "ab"
        for m, pair in values.items()
        for learner, v in zip(("tree", "logistic"), pair, strict=True)
    ).assign(seconds=1.0, fell_back=0.0)


def test_means_gains_and_tests_are_told_with_and_without_the_tree():
    means = report.summary(scored(), ("AP",))
    assert means.loc["good", "AP"] == pytest.approx(0.749)
    assert means.loc["good", "AP without the tree"] == pytest.approx(0.598)
    gains = report.gains(scored(), "AP").loc["good"]
    assert gains["all"] == pytest.approx(0.199)
    assert gains["without the tree"] == pytest.approx(-0.002)
    text = "\n".join(report.tests(scored(), "AP"))
    with_tree, without = text.split("**AP against nothing, without the tree**")
    assert "| good | 0.1990 | 2-0 |" in with_tree
    assert "| good | -0.0020 | 0-2 |" in without
    assert "without the tree" not in report.summary(scored().query("learner != 'tree'"), ("AP",))


def test_gains_of_each_learner_are_told_for_rankings_and_decisions():
    assert len(report.by_learner(scored())) == 2
    table = scored().assign(**{"macro F1": lambda frame: 1 - frame["AP"]})
    _, ranking, title, decisions = report.by_learner(table)
    assert title == "**macro F1 over nothing, by learner**"
    assert "| good | 0.4000 | -0.0020 |" in ranking
    assert "| good | -0.4000 | 0.0020 |" in decisions


def test_cells_below_nothing_are_counted_by_any_amount_and_beyond_the_rope():
    means = report.summary(scored(), ("AP",))
    assert means.loc["good", ["below nothing", "by more than 0.005"]].tolist() == ["50%", "0%"]
    assert means.loc["worse", ["below nothing", "by more than 0.005"]].tolist() == ["100%", "100%"]


def test_costs_are_told_by_learner():
    cost = report.costs(scored())
    assert cost.loc["good"].to_dict() == {"rows and teacher": 1, "tree": 2, "logistic": 2}


def test_curves_are_compared_with_the_best_of_nothing_and_copies():
    table = scored().replace({"method": {"good": "copies"}})
    found = curves.means({30: table}, "AP", ("nothing", "copies"))
    assert found.index.name == "AP over the best of nothing, copies"
    assert found.loc["copies", "n = 30"] == "0.7490"
    assert found.loc["worse", "n = 30"].startswith("0.4500 (-0.2990")
