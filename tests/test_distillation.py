"""The stacked teacher, its labels as training rows, and the students that learn them."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from advaug import AdversarialOverSampler, CommitteeClassifier, grow
from advaug.adapters import TabularAdapter
from advaug.models import Ensemble
from advaug.models.cross_fitted import fit_cross_fitted
from advaug.models.stacking import balanced
from advaug.recipes import Distill, Harden, Swap
from advaug.robust import AdversarialDetector, AugmentedClassifier, DistilledClassifier
from advaug.sampling import encoded_dataset
from advaug.sampling.distillation import (
    label_weights,
    one_label_each,
    weighted_copies,
)
from advaug.sampling.jury import StackedVotes

QUICK = Ensemble(n_repeats=2, cv=2, hidden_width=8, max_iter=25)


def source():
    return torch.Generator().manual_seed(0)


def problem(n=300, share=0.8, seed=0):
    return make_classification(
        n, 5, n_informative=3, n_redundant=0, weights=[share], flip_y=0.02, random_state=seed
    )


def memory(x, y, n_classes, generator):
    """A family that knows its own rows by heart, and nothing of others."""
    known = dict(zip(map(tuple, x.tolist()), torch.eye(2)[y].tolist(), strict=True))
    return lambda rows: torch.tensor([known.get(tuple(row), [0.5, 0.5]) for row in rows.tolist()])


def overfit(x, y, n_classes, generator):
    """The same, but it is sure of other rows too, by a column that says nothing."""
    known = {tuple(row): label for row, label in zip(x.tolist(), y.tolist(), strict=True)}
    return lambda rows: torch.eye(2)[
        [known.get(tuple(row), int(row[1] > 0)) for row in rows.tolist()]
    ]


def oracle(x, y, n_classes, generator):
    """A family that knows the truth: the sign of the first column."""
    return lambda rows: torch.stack([rows[:, 0] < 0, rows[:, 0] >= 0], 1).float()


# ---------------------------------------------------------------- the teacher


def test_models_are_weighted_by_what_they_predict_of_rows_that_they_have_not_seen():
    X = np.random.default_rng(0).normal(size=(200, 3))
    y = (X[:, 0] >= 0).astype(int)
    teacher = CommitteeClassifier(voters=[overfit, oracle], surrogate=QUICK, random_state=0)
    weights = teacher.fit(X, y).weights_
    assert weights["oracle"].sum() > 5 * weights["overfit"].sum()


def test_held_out_probabilities_know_nothing_of_labels_that_are_noise():
    random = np.random.default_rng(0)
    X, y = random.normal(size=(240, 3)), random.integers(2, size=240)
    teacher = CommitteeClassifier(random_state=0).fit(X, y)
    assert abs(roc_auc_score(y, teacher.held_out_probability_[:, 1]) - 0.5) < 0.12
    assert abs(teacher.held_out_auc_[1] - 0.5) < 0.12
    assert roc_auc_score(y, teacher.predict_proba(X)[:, 1]) > 0.9  # Known rows are known.


def test_the_stack_without_a_fold_has_no_model_that_has_seen_it():
    X, y = problem(120)
    teacher = CommitteeClassifier(voters=memory, surrogate=QUICK, random_state=0).fit(X, y)
    stack, x = teacher.stack_, teacher.adapter_.encode(X)
    fold = stack.committee.fold_of_row
    for one in fold.unique().tolist():
        part = stack.without_fold(one)
        (vote,) = part.families.models["memory"]
        assert (vote(x[fold == one]) == 0.5).all()
        assert (vote(x[fold != one]) != 0.5).all()
        assert (part.committee.fold_of_member == one).all()
        held_out = part.probability(x[fold == one])
        assert_allclose(held_out, stack.held_out[fold == one], atol=1e-6)


def test_stacked_votes_are_the_teachers_for_classes_that_are_equally_frequent():
    X, y = problem(120)
    teacher = CommitteeClassifier(surrogate=QUICK, random_state=0).fit(X, y)
    stack, share = teacher.stack_, np.bincount(y) / len(y)
    x = teacher.adapter_.encode(X)
    features = stack.committee.features(x)
    votes = StackedVotes(stack, share)(x, features, stack.committee.read(features))
    assert_allclose(votes, balanced(teacher.predict_proba(X), share), atol=1e-6)
    assert votes[:, 1].mean() > teacher.predict_proba(X)[:, 1].mean() + 0.04


def test_a_stacked_jury_says_other_probabilities_than_equal_votes_and_finds_the_class_as_well():
    random = np.random.default_rng(0)
    X = random.uniform(-1, 1, (400, 2))
    y = ((np.sin(9 * X[:, 0]) > 0) & (X[:, 1] > 0)).astype(int)
    found = {}
    for voters in ("auto", "stacked"):
        sampler = AdversarialOverSampler(voters=voters, random_state=0)
        rows = sampler.fit_resample(X, y)[0][400:]
        assert ((np.sin(9 * rows[:, 0]) > 0) & (rows[:, 1] > 0)).mean() > 0.95
        found[voters] = sampler.provenance_["probability"].to_numpy()
    assert len(found["auto"]) == len(found["stacked"])
    assert not np.allclose(found["auto"], found["stacked"], atol=0.01)


def test_families_are_trained_in_the_folds_that_are_given():
    x, y = torch.randn(40, 2, generator=source()), torch.arange(40) % 2
    fold = torch.arange(40) // 20
    models = fit_cross_fitted({"memory": memory}, x, y, 2, source(), fold)
    assert_array_equal(models.fold_of_row, fold)
    assert len(models.models["memory"]) == 2


def test_probabilities_are_those_of_all_rows_where_a_class_is_represented_by_a_sample(monkeypatch):
    X, y = problem(600)
    every = CommitteeClassifier(random_state=0).fit(X, y)
    monkeypatch.setattr(encoded_dataset.sample_of_classes, "__defaults__", (150,))
    some = CommitteeClassifier(random_state=0).fit(X, y)
    assert len(some.stack_.held_out) < len(y) == len(some.held_out_probability_)
    for teacher in (every, some):
        assert abs(teacher.predict_proba(X)[:, 1].mean() - y.mean()) < 0.1


def test_the_committees_nets_are_attacked_where_it_is_the_surrogate():
    X, y = problem()
    teacher = CommitteeClassifier(random_state=0).fit(X, y)
    sampler = AdversarialOverSampler(surrogate=teacher, recipe="harden", random_state=0)
    assert sampler.fit_resample(X, y)[1].sum() > y.sum()
    assert sampler.surrogate_ is teacher.model_


def test_a_pickle_predicts_as_the_committee_does():
    X, y = problem(100)
    teacher = CommitteeClassifier(random_state=0).fit(X, y)
    again = pickle.loads(pickle.dumps(teacher))
    assert_array_equal(again.predict_proba(X), teacher.predict_proba(X))


def test_one_class_is_refused_by_its_name():
    with pytest.raises(ValueError, match=r"at least 2 classes, got 1 class \('a'\)"):
        CommitteeClassifier().fit(np.zeros((4, 2)), ["a"] * 4)


def test_a_class_of_one_row_is_learnt():
    X, y = problem(60)
    y = np.where(np.arange(60) == 7, 2, y)
    teacher = CommitteeClassifier(surrogate=QUICK, random_state=0).fit(X, y)
    assert_array_equal(teacher.classes_, [0, 1, 2])
    assert np.isfinite(teacher.predict_proba(X)).all()


# ---------------------------------------------------------------- labels


P = np.array([[0.9, 0.1], [0.5, 0.5], [0.999, 0.001], [0.8, 0.2]])


def test_classes_of_equal_weight_have_equal_weight():
    one = np.ones(len(P))
    weight = label_weights(P, P.mean(0), one)
    assert_allclose(weight.sum(0), [2, 2])
    assert_allclose(label_weights(P, np.ones(2), one), P)
    each = np.arange(1.0, len(P) + 1)
    assert_allclose(label_weights(P, np.ones(2), each), P * each[:, None])


def test_each_likely_label_of_a_row_is_a_copy_with_its_weight():
    copies = weighted_copies(P)
    assert_array_equal(copies.place, [0, 0, 1, 1, 2, 3, 3])  # .001 is left out.
    assert_array_equal(copies.weight, P[copies.place, copies.label])


def test_any_run_of_rows_has_its_expected_labels():
    p = np.random.default_rng(0).dirichlet([1, 1, 3], size=500)
    order = np.random.default_rng(1).permutation(500)
    labels = one_label_each(p, order).label[order]
    surplus = np.eye(3)[labels].cumsum(0) - p[order].cumsum(0)
    assert np.abs(surplus).max() < 1


def test_balanced_probabilities_and_back():
    share = np.array([0.8, 0.2])
    assert_allclose(balanced(share[None], share), [[0.5, 0.5]])
    assert_allclose(balanced(balanced(P, share), 1 / share), P)


# ---------------------------------------------------------------- students


class Witness(ClassifierMixin, BaseEstimator):
    """Writes down what it is fitted on; it predicts the training rows' mean label."""

    seen: list = []  # noqa: RUF012

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y)
        self.seen.append((X, np.asarray(y), sample_weight))
        return self

    def predict_proba(self, X):
        _, y, weight = self.seen[-1]
        share = [np.average(y == label, weights=weight) for label in self.classes_]
        return np.tile(share, (len(X), 1))


@pytest.fixture
def seen():
    Witness.seen.clear()
    return Witness.seen


def table():
    X, y = problem()
    frame = pd.DataFrame({"a": X[:, 0].round(1), "b": X[:, 1]})
    frame["c"] = frame["a"] + frame["b"].abs()
    frame["kind"] = pd.Categorical(np.where(X[:, 2] > 0, "u", "v"))
    return frame, y


def test_the_student_sees_classes_as_heavy_as_asked_in_rows_like_the_real_ones(
    seen,
):
    X, y = table()
    for balance in (1, 0):
        DistilledClassifier(
            Witness(), n_new_rows=900, balance=balance, constraints=None, random_state=0
        ).fit(X, y)
    (rows, labels, weight), (_, own_labels, own_weight) = seen
    assert_allclose(np.average(own_labels, weights=own_weight), y.mean(), atol=0.05)
    assert (rows.dtypes == X.dtypes).all()
    assert set(rows["kind"]) == {"u", "v"}
    assert set(rows["a"].round(5)) <= set(X["a"].round(5))  # Real rows have each cell.
    assert_allclose(weight[labels == 1].sum(), weight[labels == 0].sum(), rtol=0.2)
    assert 1200 < len(labels) <= 2400


def test_rules_hold_in_all_rows_that_the_student_sees(seen):
    X, y = table()
    for rules in (None, ["a <= c"]):
        DistilledClassifier(Witness(), n_new_rows=900, constraints=rules, random_state=0).fit(X, y)
    broken = [float((rows["a"] > rows["c"]).mean()) for rows, _, _ in seen]
    assert broken[0] > 0 == broken[1]


def test_with_0_new_rows_only_the_labels_are_softened(seen):
    X, y = problem()
    DistilledClassifier(Witness(), n_new_rows=0, softening=0, random_state=0).fit(X, y)
    DistilledClassifier(Witness(), n_new_rows=0, softening=1, random_state=0).fit(X, y)
    (rows, labels, _), (soft_rows, soft_labels, _) = seen
    assert len(rows) == len(y)
    assert sorted(zip(rows[:, 0], labels, strict=True)) == sorted(zip(X[:, 0], y, strict=True))
    assert len(soft_rows) > len(y)
    assert set(soft_rows[:, 0]) <= set(X[:, 0])
    assert 0 < soft_labels.mean() < 1


def test_softened_labels_of_noise_do_not_repeat_it(seen):
    random = np.random.default_rng(0)
    X, y = random.normal(size=(200, 3)), random.integers(2, size=200)
    DistilledClassifier(Witness(), n_new_rows=0, softening=1, balance=0, random_state=0).fit(X, y)
    ((rows, labels, weight),) = seen
    own = dict(zip(X[:, 0], y, strict=True))
    is_own = np.array([own[value] for value in rows[:, 0]]) == labels
    assert abs(weight[is_own].sum() / weight.sum() - 0.5) < 0.1


def test_probabilities_are_for_the_real_shares_and_the_decision_for_others(seen):
    X, y = problem()
    student = DistilledClassifier(Witness(), random_state=0).fit(X, y)
    assert_allclose(student.predict_proba(X[:1]), [[1 - y.mean(), y.mean()]], atol=0.05)
    plain = DistilledClassifier(LogisticRegression(), balance=0, random_state=0).fit(X, y)
    assert_array_equal(plain.predict(X), plain.predict_proba(X).argmax(1))
    even = DistilledClassifier(LogisticRegression(), random_state=0).fit(X, y)
    assert even.predict(X).mean() > plain.predict(X).mean()
    assert abs(even.predict_proba(X)[:, 1].mean() - y.mean()) < 0.06


def test_a_student_without_weights_learns_one_label_a_row():
    X, y = problem()
    student = DistilledClassifier(KNeighborsClassifier(), n_new_rows=900, random_state=0)
    assert student.fit(X, y).n_rows_ == 1200
    assert abs(student.predict_proba(X)[:, 1].mean() - y.mean()) < 0.05


def test_agreed_labels_are_those_of_parents_and_no_label_that_the_teacher_doubts(seen):
    X, y = problem()
    right = FrozenEstimator(LogisticRegression().fit(X, y))
    plan = {"n_new_rows": 900, "labels": "agreed", "random_state": 0}
    DistilledClassifier(Witness(), teacher=right, **plan).fit(X, y)
    DistilledClassifier(Witness(), teacher=right, **plan | {"n_new_rows": 0}).fit(X, y)
    (rows, labels, _), (own_rows, own_labels, _) = seen
    assert_array_equal(own_rows, X)
    assert_array_equal(own_labels, y)
    assert_array_equal(rows[: len(y)], X)
    new, new_labels = rows[len(y) :], labels[len(y) :]
    assert 450 < len(new) < 900  # The others lie beyond the border, away from their parents.
    share = np.array([1 - y.mean(), y.mean()])
    assert_array_equal((right.predict_proba(new) / share).argmax(1), new_labels)


def test_a_classifier_of_one_neighbor_learns_agreed_labels_by_default():
    X, y = problem()
    fitted = {
        (n, labels): DistilledClassifier(
            make_pipeline(StandardScaler(), KNeighborsClassifier(n)),
            n_new_rows=900,
            labels=labels,
            random_state=0,
        ).fit(X, y)
        for n in (1, 5)
        for labels in ("auto", "agreed", "soft")
    }
    proba = {key: student.predict_proba(X) for key, student in fitted.items()}
    assert_array_equal(proba[1, "auto"], proba[1, "agreed"])
    assert_array_equal(proba[5, "auto"], proba[5, "soft"])
    for n in (1, 5):
        assert (proba[n, "agreed"] != proba[n, "soft"]).any()
    assert_array_equal(fitted[1, "agreed"].predict(X), y)


def test_weights_reach_the_classifier_at_the_end_of_a_pipeline(seen):
    X, y = problem()
    student = make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), Witness()))
    DistilledClassifier(student, n_new_rows=300, random_state=0).fit(X, y)
    assert seen[0][2] is not None


def test_a_tree_learns_more_from_the_teacher_than_from_the_labels():
    X, y = problem(800)
    tree = DecisionTreeClassifier(min_samples_leaf=2, random_state=0)
    models = [tree.fit(X[:300], y[:300])]
    models += [DistilledClassifier(tree, random_state=0).fit(X[:300], y[:300])]
    plain, taught = (
        average_precision_score(y[300:], model.predict_proba(X[300:])[:, 1]) for model in models
    )
    assert taught > plain + 0.05


def test_labels_may_be_words_and_several(seen):
    X, y = problem()
    words = np.array(["low", "mid", "top"])[y + (X[:, 0] > 1)]
    student = DistilledClassifier(GaussianNB(), n_new_rows=300, random_state=0).fit(X, words)
    assert set(student.predict(X)) <= {"low", "mid", "top"}
    assert student.predict_proba(X).shape == (300, 3)


def test_a_teacher_of_the_users_own_labels_rows_and_is_asked_out_of_fold():
    X, y = problem()
    teacher = RandomForestClassifier(20, random_state=0)
    student = DistilledClassifier(GaussianNB(), teacher, n_new_rows=300, random_state=0).fit(X, y)
    assert isinstance(student.teacher_, RandomForestClassifier)
    assert 0.7 < student.teacher_score_ < 1  # It has seen all rows: on them its AUC is 1.
    frozen = FrozenEstimator(teacher.fit(X, y))
    assert DistilledClassifier(GaussianNB(), frozen, random_state=0).fit(X, y).teacher_score_ == 1


def test_a_teacher_of_the_users_own_needs_two_rows_of_each_class():
    X, y = problem(60)
    y = np.where(np.arange(60) == 7, 2, y)
    with pytest.raises(ValueError, match=r"class 2 has a single row.* take teacher='auto'"):
        DistilledClassifier(GaussianNB(), GaussianNB()).fit(X, y)


def test_a_pickled_student_predicts_without_its_teacher():
    X, y = problem(100)
    student = DistilledClassifier(GaussianNB(), random_state=0).fit(X, y)
    again = pickle.loads(pickle.dumps(student))
    assert not hasattr(again, "teacher_")
    assert len(pickle.dumps(student)) < 20_000 < len(pickle.dumps(student.teacher_))
    assert_array_equal(again.predict_proba(X), student.predict_proba(X))


def test_a_search_of_the_students_parameters_stands_around_it():
    X, y = problem(120)
    search = GridSearchCV(
        DistilledClassifier(DecisionTreeClassifier(), n_new_rows=100, random_state=0),
        {"estimator__max_depth": [1, 3]},
        scoring="average_precision",
        cv=2,
    )
    assert search.fit(X, y).best_params_["estimator__max_depth"] == 3


@pytest.mark.parametrize(("name", "value"), [("temperature", 2.0), ("module", torch.nn.Identity())])
def test_parameters_of_a_net_are_refused_where_the_student_is_none(name, value):
    X, y = problem(60)
    with pytest.raises(ValueError, match=f"{name} has no effect.*estimator='net'"):
        DistilledClassifier(GaussianNB(), **{name: value}).fit(X, y)


def test_agreed_labels_have_probabilities_for_the_real_shares(seen):
    X, y = problem()
    unsure = FrozenEstimator(LogisticRegression(C=1e-3).fit(X, y))
    student = DistilledClassifier(Witness(), teacher=unsure, labels="agreed", random_state=0)
    student.fit(X, y)
    assert abs(seen[-1][1].mean() - y.mean()) > 0.01  # Rows of one class are left out more often.
    assert_allclose(student.predict_proba(X[:1]), [[1 - y.mean(), y.mean()]], atol=1e-6)


@pytest.mark.parametrize("mended", [{"labels": "soft"}, {"estimator": KNeighborsClassifier(3)}])
@pytest.mark.parametrize("setting", [{"balance": 0.9}, {"softening": 0.9}])
def test_parameters_of_soft_labels_are_refused_on_agreed_ones(setting, mended):
    student = DistilledClassifier(KNeighborsClassifier(1), n_new_rows=10, **setting)
    with pytest.raises(ValueError, match=f"{next(iter(setting))} has no effect on agreed labels"):
        student.fit(*problem())
    student.set_params(**mended).fit(*problem())


def test_agreed_labels_are_refused_where_the_student_is_a_net():
    with pytest.raises(ValueError, match="a net learns labels='soft'"):
        DistilledClassifier("net", labels="agreed").fit(*problem())


def test_a_distilled_net_is_attacked_by_its_gradient():
    X, y = problem(120)
    student = DistilledClassifier("net", n_new_rows=100, random_state=0).fit(X, y)
    AdversarialDetector(surrogate=student, attack="fgsm", random_state=0).fit(X, y)
    with pytest.raises(AttributeError, match="no net"):
        DistilledClassifier(GaussianNB(), n_new_rows=0).fit(X, y).model_  # noqa: B018


# ---------------------------------------------------------------- rows


def test_counts_are_exact_and_copies_are_as_many_as_the_teacher_says():
    X, y = problem()
    sampler = AdversarialOverSampler(recipe="distill", sampling_strategy=grow(4), random_state=0)
    X_new, y_new = sampler.fit_resample(X, y)
    assert_array_equal(X_new[:300], X)
    assert_array_equal(np.bincount(y_new), [4 * np.bincount(y).max()] * 2)
    facts = sampler.provenance_
    assert_allclose(sampler.sample_weight_[300:].sum(), len(facts), rtol=0.05)
    rows = facts.assign(weight=sampler.sample_weight_[300:])
    each = rows.groupby(["parent", "second_parent", "distance", "label"])
    ratio = each["weight"].sum() / each["probability"].mean()
    for label in (0, 1):  # The weights of a row's copies add up to what its label deserves.
        own = ratio.xs(label, level="label")
        assert np.isclose(own, own.median(), rtol=0.01).mean() > 0.98  # Two rows may be equal.


def test_a_class_without_new_rows_is_named_with_the_mend():
    X, y = problem(100)
    words = np.array(["many", "few"])[y]
    with pytest.warns(UserWarning, match=r"no row of class 'many'.* sampling_strategy=grow\(12\)"):
        AdversarialOverSampler(recipe="distill", random_state=0).fit_resample(X, words)


def test_the_rows_of_a_pool_may_be_made_by_another_recipe():
    X, y = problem()
    near, far = (
        AdversarialOverSampler(
            recipe=Distill(rows=Swap(p_swap=p)), sampling_strategy=grow(2), random_state=0
        )
        for p in (0.1, 0.9)
    )
    near.fit_resample(X, y), far.fit_resample(X, y)
    assert near.provenance_["distance"].mean() < far.provenance_["distance"].mean()
    harden = AdversarialOverSampler(
        recipe=Distill(rows=Harden()), sampling_strategy=grow(2), random_state=0
    )
    assert harden.fit_resample(X, y)[1].sum() > y.sum()


@pytest.mark.parametrize(
    "settings", [{"surrogate": "ngram_ridge"}, {"surrogate": GaussianNB()}, {"judge": "panel"}]
)
def test_models_without_effect_are_refused(settings):
    X, y = problem(60)
    if "surrogate" in settings and not isinstance(settings["surrogate"], str):
        settings = {"surrogate": settings["surrogate"].fit(X, y)}
    with pytest.raises(ValueError, match=r"no effect|requires edits"):
        AdversarialOverSampler(recipe="distill", **settings).fit_resample(X, y)


def test_swapped_rows_hold_cells_of_two_rows_and_frozen_ones_of_their_parent():
    X, y = table()
    sampler = AdversarialOverSampler(
        recipe=Swap(p_swap=1.0), judge=None, adapter=TabularAdapter(frozen=["b"]), random_state=0
    )
    X_new, _ = sampler.fit_resample(X, y)
    facts, new = sampler.provenance_, X_new.iloc[len(X) :].reset_index(drop=True)
    parent = X.iloc[facts["parent"]].reset_index(drop=True)
    second = X.iloc[facts["second_parent"].where(facts["second_parent"] >= 0, facts["parent"])]
    assert_array_equal(new["b"], parent["b"])
    assert_allclose(new["a"], second["a"], atol=1e-5)
    assert_array_equal(new["kind"].astype(str), second["kind"].astype(str))


# ---------------------------------------------------------------- attacked rows


def test_attacked_rows_bear_the_labels_of_the_rows_that_they_were_moved_from():
    X, y = problem(100)
    Witness.seen.clear()
    model = DistilledClassifier(
        Witness(), attack="noise", n_rounds=1, n_new_rows=0, random_state=0
    ).fit(X, y)
    (first, *_), (rows, labels, weights) = Witness.seen
    known = {row.tobytes(): k for k, row in enumerate(X)}
    place = np.array([known.get(row.tobytes(), -1) for row in rows])
    assert (place < 0).sum() == (place >= 0).sum() == len(first)
    weight_of = {
        (k, label): w for k, label, w in zip(place, labels, weights, strict=True) if k >= 0
    }
    encoded = model.adapter_.encode(X)
    for row, label, weight in zip(
        model.adapter_.encode(rows[place < 0]), labels[place < 0], weights[place < 0], strict=True
    ):
        distance = (encoded - row).abs().amax(1).numpy()
        parents = np.flatnonzero(np.abs(distance - 0.3) < 1e-3).tolist()
        assert pytest.approx(weight) in [weight_of[k, label] for k in parents]


def test_each_round_adds_the_rows_of_its_attack():
    X, y = problem(100)
    settings = {"attack": "noise", "n_new_rows": 0, "random_state": 0}
    for rounds in (1, 3):
        model = DistilledClassifier(KNeighborsClassifier(), n_rounds=rounds, **settings)
        assert model.fit(X, y).n_rows_ == 100 * (1 + rounds)
    net = DistilledClassifier("net", attack="pgd", n_new_rows=0, random_state=0).fit(X, y)
    assert net.n_rows_ == 300


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"radius": 0.1}, "radius has no effect"),
        ({"n_rounds": 3}, "n_rounds has no effect"),
        ({"attack": "fgms"}, "did you mean 'fgsm'"),
    ],
)
def test_what_an_attack_on_the_student_cannot_use_is_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        DistilledClassifier(GaussianNB(), **settings).fit(*problem(60))


def test_an_attack_that_moves_no_row_is_told():
    X, y = problem(60)
    X = np.round(X * 3).astype(int)
    model = DistilledClassifier(GaussianNB(), attack="noise", radius=0.001, random_state=0)
    with pytest.warns(UserWarning, match=r"attack='noise' moves no row by radius=0.001"):
        model.fit(X, y)


def test_the_teacher_of_recipe_distill_is_the_stack():
    X, y = problem(60)
    made = [
        AdversarialOverSampler(
            recipe="distill", voters=voters, sampling_strategy=grow(2), random_state=0
        ).fit_resample(X, y)[0]
        for voters in ("auto", "stacked")
    ]
    assert_array_equal(*made)


def test_labels_that_scikit_learn_does_not_take_are_refused_with_the_mend():
    X, y = problem(60)
    days = np.array([np.datetime64("2020-01-01") + k for k in y]).astype(object)
    for model in (
        DistilledClassifier(GaussianNB(), random_state=0),
        AugmentedClassifier(GaussianNB(), sampler="auto", random_state=0),
    ):
        with pytest.raises(ValueError, match=r"GaussianNB may not take: pass y=\[str"):
            model.fit(X, days)
        assert set(model.fit(X, [str(label) for label in days]).predict(X)) == {*map(str, days)}


def test_students_of_signals_find_more_rare_ones_than_they_have_learnt_to():
    random = np.random.RandomState(0)
    X = random.normal(size=(120, 1, 40))
    y = (np.arange(120) < 20).astype(int)
    X[y == 1] += np.sin(np.arange(40) / 3) * 0.6
    flat = make_pipeline(FunctionTransformer(flattened), LogisticRegression())
    settings = {"n_new_rows": 100, "random_state": 0}
    auto, same = (
        DistilledClassifier(flat, balance=value, **settings).fit(X, y) for value in ("auto", 0.5)
    )
    p = auto.predict_proba(X)
    assert_allclose(p, same.predict_proba(X))
    for model, exponent in ((auto, 0.7), (same, 0.5)):
        share = np.array([100, 20]) / 120
        assert_array_equal(model.predict(X), balanced(p, share**exponent).argmax(1))
    assert auto.predict(X).sum() > same.predict(X).sum()


def flattened(X):
    return np.asarray(X).reshape(len(X), -1)
