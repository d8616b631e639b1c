"""Weights of rows in every classifier and regressor, and in the models that they are made of."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import is_classifier, is_regressor
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

import advaug
from advaug import CommitteeClassifier, PriorCorrectedClassifier, robust
from advaug.domains.sequences.ngram_ridge import calibrated, class_weights
from advaug.models import Ensemble
from advaug.models.committee import balanced_rows
from advaug.models.cross_fitted import fit_cross_fitted
from advaug.models.training import Training
from advaug.models.weighting import rows_by_weight, takes_weights
from advaug.robust import (
    AdversarialClassifier,
    AdversarialDetector,
    AdversarialRegressor,
    AugmentedClassifier,
    DistilledClassifier,
    RejectingClassifier,
)
from advaug.sampling.voters import (
    STACKED,
    VOTERS,
    logistic,
    nearest_rows,
    support_vectors,
)

SHORT = Training(epochs=30, learning_rate=0.01)
QUICK = Ensemble(n_repeats=2, cv=2, hidden_width=8, max_iter=60)
LINEAR, NEAREST = LogisticRegression(), KNeighborsClassifier()
TREE = DecisionTreeClassifier(random_state=0)
FEW = {"n_new_rows": 200, "random_state": 0}
MODELS = {
    "committee": CommitteeClassifier(surrogate=QUICK, random_state=0),
    "prior": PriorCorrectedClassifier(LINEAR, method="prior"),
    "beta": PriorCorrectedClassifier(LINEAR, method="beta"),
    "net": AdversarialClassifier(radius=0.1, training=SHORT, random_state=0),
    "regressor": AdversarialRegressor(radius=0.1, training=SHORT, random_state=0),
    "augmented": AugmentedClassifier(LINEAR, random_state=0),
    "gate": AugmentedClassifier(GaussianNB(), sampler="auto", random_state=0),
    "gate of a student without weights": AugmentedClassifier(
        NEAREST, sampler="auto", random_state=0
    ),
    "distilled": DistilledClassifier(TREE, **FEW),
    "distilled, student without weights": DistilledClassifier(NEAREST, **FEW),
    "distilled, teacher without weights": DistilledClassifier(LINEAR, NEAREST, **FEW),
    "distilled, teacher with weights": DistilledClassifier(NEAREST, GaussianNB(), **FEW),
    "distilled, net": DistilledClassifier("net", LINEAR, training=SHORT, **FEW),
    "distilled, attacked": DistilledClassifier(LINEAR, GaussianNB(), attack="auto", **FEW),
    "rejecting": RejectingClassifier(
        LINEAR, AdversarialDetector(training=Training(epochs=2), random_state=0)
    ),
}


def contradicted(n=150):
    """Rows, and the same rows with opposite targets."""
    X = np.random.default_rng(0).normal(size=(n, 3))
    y = (X[:, 0] + X[:, 1] > 0).astype(int)
    return X, y, np.vstack([X, X]), np.concatenate([y, 1 - y]), np.repeat([1.0, 0.05], n)


def test_every_public_classifier_and_regressor_is_tested():
    public = {
        one
        for module in (advaug, robust)
        for one in map(module.__dict__.get, module.__all__)
        if isinstance(one, type) and hasattr(one, "fit") and hasattr(one, "predict")
    } | {CommitteeClassifier, PriorCorrectedClassifier}
    tested = {type(model) for model in MODELS.values()}
    others = {one.__name__ for one in public - tested}
    assert others == {"AdversarialDetector", "UnknownDetector"}  # outlier detectors
    assert all(is_classifier(model) or is_regressor(model) for model in MODELS.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_the_heavier_of_two_opposite_rows_is_learnt(name):
    X, y, rows, labels, weight = contradicted()
    model, score = MODELS[name], {}
    for which, given in {"first": weight, "second": weight[::-1], "none": None}.items():
        predicted = model.fit(rows, labels, sample_weight=given).predict(X)
        score[which] = ((predicted > 0.5) == y).mean()
    assert score["first"] > 0.85
    assert score["second"] < 0.15


# Nets that are trained on attacks learn scales from all rows, and so do the moves of "augmented".
SLOWEST = {"gate of a student without weights", "distilled, attacked"}
EXACT = {name: MODELS[name] for name in MODELS if name not in {"net", "regressor", "rejecting"}}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EXACT.keys() - {"augmented", "beta", *SLOWEST}))
def test_a_row_of_weight_0_is_as_if_it_was_not_there(name):
    X, y, rows, labels, _ = contradicted(60)
    model = EXACT[name]
    rows = rows + 5 * (np.arange(len(rows)) >= 60)[:, None]  # Scales and levels would differ.
    without = model.fit(X, y).predict_proba(X)
    weighted = model.fit(rows, labels, sample_weight=np.repeat([1.0, 0.0], 60)).predict_proba(X)
    assert_allclose(weighted, without, atol=1e-3 if name == "prior" else 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EXACT.keys() - SLOWEST))
def test_weights_of_1_are_none(name):
    X, y, *_ = contradicted(60)
    model = EXACT[name]
    plain = model.fit(X, y).predict_proba(X)
    assert_array_equal(model.fit(X, y, sample_weight=np.ones(60)).predict_proba(X), plain)


@pytest.mark.parametrize("name", ["committee", "distilled", "gate", "prior"])
def test_a_class_without_weight_is_named(name):
    X, y, *_ = contradicted(40)
    with pytest.raises(ValueError, match="no row of class 1 has a sample_weight above 0"):
        MODELS[name].fit(X, y, sample_weight=1.0 - y)


@pytest.mark.slow
def test_probabilities_of_the_committee_are_those_of_the_weighted_shares():
    X, y, *_ = contradicted(300)
    y[::5] = 1 - y[::5]
    weight = np.where(y == 1, 4.0, 1.0)
    model = CommitteeClassifier(surrogate=QUICK, random_state=0).fit(X, y, sample_weight=weight)
    share = weight[y == 1].sum() / weight.sum()
    held_out = model.held_out_probability_[:, 1]
    assert np.average(held_out, weights=weight) == pytest.approx(share, abs=0.03)
    assert np.average(model.predict_proba(X)[:, 1], weights=weight) == pytest.approx(
        share, abs=0.04
    )


@pytest.mark.slow
def test_the_models_of_texts_take_weights():
    words = [["win", "prize", "now"], ["call", "me", "noon"]]
    chance, labels = np.random.default_rng(0), np.arange(80) % 2
    texts = [" ".join(chance.choice(words[label], 6)) for label in labels]
    model = CommitteeClassifier(surrogate=QUICK, voters=None, random_state=0)
    weight = np.repeat([1.0, 0.05], 80)
    model.fit(texts * 2, np.concatenate([labels, 1 - labels]), sample_weight=weight)
    assert (model.predict(texts) == labels).all()
    assert "FittedNGramRidge" in model.weights_


# ---------------------------------------------------------------- the parts


def source():
    return torch.Generator().manual_seed(0)


def weighted_problem(n=120):
    """Rows, labels and whole weights; and the numbers of the rows repeated by their weights."""
    chance = torch.Generator().manual_seed(1)
    x = torch.randn(n, 3, generator=chance)
    y = (x[:, 0] + 0.7 * torch.randn(n, generator=chance) > 0.3).long()
    weight = torch.randint(1, 4, (n,), generator=chance)
    return x, y, weight, torch.arange(n).repeat_interleave(weight)


def test_all_families_but_the_nearest_rows_take_weights():
    takes = {name: takes_weights(family) for name, family in STACKED.items()}
    assert takes == dict.fromkeys(STACKED, True) | {"nearest_rows": False}
    assert all(takes_weights(family) for family in VOTERS)


@pytest.mark.parametrize("family", [logistic, support_vectors])
def test_a_row_of_weight_2_is_a_row_twice(family):
    x, y, weight, repeated = weighted_problem()
    if family is logistic:  # Its classes are balanced by counts of rows: let these be equal.
        y = (torch.arange(len(y)) % 2).long()
        weight[1::2] = weight[::2]
        repeated = torch.arange(len(y)).repeat_interleave(weight)
    by_weight = family(x, y, 2, source(), sample_weight=weight.double())(x)
    by_rows = family(x[repeated], y[repeated], 2, source())(x)
    none = family(x, y, 2, source())(x)
    # The width of SVC's kernel is learnt from all rows alike.
    assert_allclose(by_weight, by_rows, atol=0.05 if family is support_vectors else 2e-3)
    assert (by_weight - by_rows).abs().mean() < (none - by_rows).abs().mean() / 3


@pytest.mark.parametrize("family", STACKED)
def test_cross_fitted_models_of_weighted_rows_learn_the_heavier_ones(family):
    x, y, *_ = weighted_problem(200)
    y = (x[:, 0] > 0).long()
    both, labels = torch.cat([x, x]), torch.cat([y, 1 - y])
    weight = torch.tensor([1.0, 0.05]).repeat_interleave(len(x))
    models = fit_cross_fitted({family: STACKED[family]}, both, labels, 2, source(), weight=weight)
    new = torch.randn(200, 3, generator=source())
    is_right = [vote(new).argmax(1) == (new[:, 0] > 0) for vote in models.models[family]]
    assert torch.stack(is_right).double().mean() > 0.85


def test_rows_are_drawn_in_proportion_to_their_weights():
    weight = torch.tensor([0.0, 1.0, 2.0, 0.5, 4.5, 0.0])
    counts = torch.stack(
        [
            rows_by_weight(weight, torch.Generator().manual_seed(k)).bincount(minlength=6)
            for k in range(200)
        ]
    )
    expected = weight * (6 / weight.sum())
    assert (counts.sum(1) == 6).all()
    assert ((counts - expected).abs() < 1).all()
    assert_allclose(counts.double().mean(0), expected, atol=0.1)
    assert rows_by_weight(torch.full((5,), 3.0), source()).tolist() == [0, 1, 2, 3, 4]


def test_nets_draw_the_rows_of_a_class_in_proportion_to_their_weights():
    y = torch.tensor([0] * 3 + [1] * 5)
    weight = torch.tensor([0.0, 1.0, 3.0, 1.0, 1.0, 1.0, 1.0, 0.0])
    folds = torch.arange(8) + 1, torch.tensor([0])  # No row of the member's own fold.
    drawn = balanced_rows(y, *folds, 400, 50, source(), weight).flatten().bincount(minlength=8)
    of_class = weight.new_zeros(2).index_add_(0, y, weight)
    expected = weight / of_class[y] / 2
    assert_allclose(drawn / drawn.sum(), expected, atol=0.01)
    assert not drawn[weight == 0].any()


def test_calibration_of_ngrams_counts_weights_as_rows():
    x, y, weight, repeated = weighted_problem()
    scores, ones = x[:, :2], torch.ones(len(repeated))
    by_weight = calibrated(scores, y, weight.float())
    by_rows = calibrated(scores[repeated], y[repeated], ones)
    assert by_weight[0] == pytest.approx(by_rows[0], rel=1e-6)
    assert_allclose(by_weight[1], by_rows[1], atol=1e-6)
    heavy = class_weights(y, weight.float(), 2)[y] * weight
    assert_allclose(heavy[y == 0].sum(), heavy[y == 1].sum(), rtol=1e-5)
    assert float(heavy.sum()) == pytest.approx(float(weight.sum()), rel=1e-5)


def test_a_family_without_weights_gets_drawn_rows():
    seen = []

    def spy(x, y, n_classes, generator):
        seen.append(x[:, 0].long().bincount(minlength=4))
        return nearest_rows(x, y, n_classes, generator)

    x = torch.arange(4.0)[:, None].repeat(1, 2)
    fold, y = torch.tensor([0, 1, 1, 1]), torch.tensor([0, 1, 0, 1])
    weight = torch.tensor([9.0, 1.0, 4.0, 1.0])
    fit_cross_fitted({"spy": spy}, x, y, 2, source(), fold, weight)
    assert seen[0].tolist() in ([0, 0, 2, 1], [0, 1, 2, 0], [0, 0, 3, 0], [0, 1, 1, 1])
    assert seen[1].tolist() == [1, 0, 0, 0]
