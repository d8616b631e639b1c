"""Prior correction against Bayes' rule, and against models trained on the real shares."""

import numpy as np
import pytest
from imblearn import FunctionSampler
from imblearn.combine import SMOTEENN
from imblearn.ensemble import BalancedBaggingClassifier
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.pipeline import make_pipeline
from imblearn.under_sampling import RandomUnderSampler
from joblib import parallel_backend
from scipy.optimize import approx_fprime
from scipy.special import log_softmax
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_classification
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    StratifiedShuffleSplit,
    cross_validate,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline as sklearn_pipeline
from sklearn.preprocessing import StandardScaler

from advaug import AdversarialOverSampler, PriorCorrectedClassifier
from advaug.estimators.prior_corrected import learn_map, mapped


def data(n=900, seed=0):
    return make_classification(n, weights=[0.9], flip_y=0.02, random_state=seed)


def test_bayes_rule_is_undone_exactly():
    # Naive Bayes with given priors: its posterior at other priors is known in closed form.
    X, y = data()
    copied = make_pipeline(RandomOverSampler(random_state=0), GaussianNB())
    mended = PriorCorrectedClassifier(copied, method="prior").fit(X, y)
    X_new, y_new = RandomOverSampler(random_state=0).fit_resample(X, y)
    truth = GaussianNB(priors=np.bincount(y) / len(y)).fit(X_new, y_new)
    np.testing.assert_allclose(mended.predict_proba(X), truth.predict_proba(X), atol=1e-9)


@pytest.mark.parametrize("method", ["beta", "stacked", "prior"])
@pytest.mark.parametrize("sampler", [RandomOverSampler, RandomUnderSampler])
def test_the_mean_probability_is_the_real_share_again(method, sampler):
    X, y = data()
    pipe = make_pipeline(sampler(random_state=0), StandardScaler(), LogisticRegression())
    raw = pipe.fit(X, y).predict_proba(X)[:, 1].mean()
    mended = PriorCorrectedClassifier(pipe, method=method).fit(X, y)
    p = mended.predict_proba(X)[:, 1].mean()
    assert raw > 1.5 * y.mean()
    assert p == pytest.approx(y.mean(), abs=0.02)
    np.testing.assert_allclose(mended.trained_share_, 0.5, atol=0.01)


def test_class_weights_count_as_rows():
    X, y = data()
    balanced = LogisticRegression(class_weight="balanced")
    mended = PriorCorrectedClassifier(balanced, method="prior").fit(X, y)
    np.testing.assert_allclose(mended.trained_share_, 0.5)
    plain = LogisticRegression().fit(X, y)
    loss = [log_loss(y, model.predict_proba(X)) for model in (mended, plain, balanced.fit(X, y))]
    assert abs(loss[0] - loss[1]) < 0.25 * (loss[2] - loss[1])


class Warped(ClassifierMixin, BaseEstimator):
    """Logistic regression whose log-odds are three times too large and shifted."""

    def fit(self, X, y):
        self.inner_ = LogisticRegression().fit(X, y)
        self.classes_ = self.inner_.classes_
        return self

    def predict_proba(self, X):
        p = 1 / (1 + np.exp(-(3 * self.inner_.decision_function(X) + 2)))
        return np.stack([1 - p, p], axis=1)


def test_the_learnt_map_undoes_a_warp_that_the_closed_form_cannot():
    X, y = data(3000)
    plain = LogisticRegression().fit(X[:2000], y[:2000]).predict_proba(X[2000:])
    loss = {
        method: log_loss(
            y[2000:],
            PriorCorrectedClassifier(Warped(), method=method)
            .fit(X[:2000], y[:2000])
            .predict_proba(X[2000:]),
        )
        for method in ("beta", "prior")
    }
    assert loss["beta"] < 1.05 * log_loss(y[2000:], plain) < loss["prior"]


class Shuffled(BaseEstimator):
    """A sampler that costs all ranking: it grows the rarer class with rows of random labels."""

    def fit_resample(self, X, y):
        chance = np.random.RandomState(0)
        X, y = RandomOverSampler(random_state=0).fit_resample(X, y)
        return X, chance.permutation(y)


def losses(sampler, method):
    """Held-out log-loss of the plain model, and of the sampler's with a repair."""
    X, y = data(3000)
    new, truth = X[2000:], y[2000:]
    plain = LogisticRegression().fit(X[:2000], y[:2000])
    pipe = make_pipeline(sampler, LogisticRegression())
    mended = PriorCorrectedClassifier(pipe, method=method).fit(X[:2000], y[:2000])
    return [log_loss(truth, model.predict_proba(new)) for model in (plain, mended)]


def test_stacked_a_sampler_that_spoils_the_ranking_costs_nothing():
    plain, beta = losses(Shuffled(), "beta")
    _, stacked = losses(Shuffled(), "stacked")
    assert beta > 1.5 * plain
    assert stacked < 1.02 * plain


def test_stacked_the_plain_model_sees_no_resampled_row():
    X, y = data()
    pipe = make_pipeline(SMOTEENN(random_state=0), GaussianNB())  # holds samplers of its own
    mended = PriorCorrectedClassifier(pipe, method="stacked").fit(X, y)
    resampled, plain = mended.estimators_
    np.testing.assert_allclose(plain[-1].class_count_, np.bincount(y))
    assert resampled[-1].class_count_.min() > np.bincount(y)[1]
    assert mended.slope_.shape == (2, 2)
    assert mended.slope_.min() >= 0


@pytest.mark.parametrize("method", ["beta", "stacked"])
def test_the_map_is_learnt_from_answers_on_rows_that_the_model_has_not_seen(method):
    # A nearest neighbour is sure of every row that it has seen, and knows nothing of noise.
    chance = np.random.RandomState(0)
    X, y = chance.randn(1200, 5), (chance.rand(1200) < 0.2).astype(int)
    memory = make_pipeline(RandomUnderSampler(random_state=0), KNeighborsClassifier(1))
    mended = PriorCorrectedClassifier(memory, method=method).fit(X[:600], y[:600])
    base_rate = np.tile([0.8, 0.2], (600, 1))
    loss = [log_loss(y[600:], p) for p in (mended.predict_proba(X[600:]), base_rate)]
    assert loss[0] < 1.05 * loss[1]


@pytest.mark.parametrize("n_models", [1, 2])
def test_the_maps_gradient_vanishes_where_it_stops(n_models):
    chance = np.random.RandomState(0)
    codes = chance.randint(3, size=500)
    log_q = log_softmax(np.eye(3)[codes] + chance.randn(n_models, 500, 3), axis=-1)
    start, pull = np.concatenate([np.full((n_models, 3), 0.5), np.zeros((1, 3))]), 2.0
    found = np.concatenate([part.ravel() for part in learn_map(log_q, codes, start, pull)])

    def loss(flat):
        slope, bias = flat[:-3].reshape(n_models, 3), flat[-3:]
        p = mapped(log_q, slope, bias)
        off = ((slope - 0.5) ** 2).sum() + (bias**2).sum()
        return (pull * off / 2 - np.log(p[range(500), codes]).sum()) / 500

    assert found[:-3].min() > 0  # no bound is met, so that a slope of zero is asked
    assert np.abs(approx_fprime(found, loss, 1e-6)).max() < 1e-4


def test_several_classes_and_names_are_kept():
    X, y = make_classification(
        400, n_informative=4, n_classes=3, weights=[0.7, 0.2], random_state=0
    )
    names = np.array(["low", "mid", "high"])[y]
    pipe = make_pipeline(RandomOverSampler(random_state=0), LogisticRegression(max_iter=500))
    mended = PriorCorrectedClassifier(pipe).fit(X, names)
    p = mended.predict_proba(X)
    np.testing.assert_allclose(p.sum(1), 1)
    np.testing.assert_allclose(p.mean(0), mended.real_share_, atol=0.03)
    assert set(mended.predict(X)) <= {"low", "mid", "high"}


@pytest.mark.parametrize(
    ("estimator", "method"),
    [
        (make_pipeline(RandomOverSampler(random_state=0), GaussianNB()), "stacked"),
        (make_pipeline(StandardScaler(), GaussianNB()), "beta"),
        (BalancedBaggingClassifier(GaussianNB(), sampler=RandomUnderSampler()), "beta"),
    ],
)
def test_a_plain_model_is_stacked_where_a_sampler_can_be_left_out(estimator, method):
    X, y = data(400)
    assert PriorCorrectedClassifier(estimator).fit(X, y).method_ == method


def test_the_users_pipeline_is_left_alone():
    X, y = data(200)
    pipe = make_pipeline(RandomOverSampler(random_state=0), LogisticRegression())
    mended = PriorCorrectedClassifier(pipe, method="prior").fit(X, y)
    assert not hasattr(pipe[-1], "coef_")
    assert "fit" not in vars(mended.estimators_[0][-1])


@pytest.mark.parametrize(
    ("make", "y", "mend"),
    [
        (lambda p: PriorCorrectedClassifier(p), np.r_[np.zeros(59), 1], "method='prior'"),
        (
            lambda p: PriorCorrectedClassifier(
                GridSearchCV(p, {"logisticregression__C": [1]}), method="prior"
            ),
            np.arange(60) % 3 // 2,
            "inside it, around the pipeline",
        ),
        (lambda p: PriorCorrectedClassifier(p), np.zeros(60), "1 class"),
        (
            lambda _: PriorCorrectedClassifier(LogisticRegression(), method="stacked"),
            np.arange(60) % 3 // 2,
            "method='beta'",
        ),
    ],
)
def test_a_mistake_names_the_mend(make, y, mend):
    pipe = make_pipeline(RandomOverSampler(random_state=0), LogisticRegression())
    X = np.random.RandomState(0).randn(60, 2)
    with pytest.raises(ValueError, match=mend):
        make(pipe).fit(X, y)


def test_a_weight_counts_as_so_many_rows():
    X, y = data(300)
    weight = np.random.default_rng(0).integers(0, 4, len(y))
    weight[:2] = 1  # Both classes are there.
    weighted = PriorCorrectedClassifier(GaussianNB(), method="prior").fit(X, y, weight)
    every = np.repeat(np.arange(len(y)), weight)
    repeated = PriorCorrectedClassifier(GaussianNB(), method="prior").fit(X[every], y[every])
    np.testing.assert_allclose(weighted.real_share_, repeated.real_share_)
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6)
    log_q, start = np.log(repeated.predict_proba(X))[None], np.array([[1.0, 1.0], [0.0, 0.0]])
    by_weight = learn_map(log_q, y, start, 0.1, weight.astype(float))
    by_rows = learn_map(log_q[:, every], y[every], start, 0.1)
    for a, b in zip(by_weight, by_rows, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)


def test_with_beta_weights_count_in_each_fold_and_in_the_map():
    X, y = data()
    weight = np.where(y == 1, 4.0, 1.0)
    model = PriorCorrectedClassifier(LogisticRegression(), method="beta").fit(X, y, weight)
    share = weight[y == 1].sum() / weight.sum()
    assert model.trained_share_[1] == pytest.approx(share, abs=0.01)
    found = np.average(model.predict_proba(X)[:, 1], weights=weight)
    assert found == pytest.approx(share, abs=0.03)


def test_a_class_with_fewer_rows_than_folds_has_fewer_folds():
    X, y = data(100)
    y = np.where(np.arange(100) < 3, 2, y)
    assert len(PriorCorrectedClassifier(LogisticRegression()).fit(X, y).estimators_) == 3


@pytest.mark.filterwarnings("error")
def test_a_class_that_the_sampler_drops_has_probability_0():
    X, y = data(300)
    y = np.where(np.arange(300) % 10 == 0, 2, y)
    without = FunctionSampler(func=lambda X, y: (X[y != 2], y[y != 2]))
    model = make_pipeline(without, LogisticRegression())
    p = PriorCorrectedClassifier(model, method="prior").fit(X, y).predict_proba(X)
    assert not p[:, 2].any()
    np.testing.assert_allclose(p.sum(1), 1)


def test_weights_reach_the_last_step_and_are_refused_where_new_rows_have_no_parent():
    X, y = data(300)
    weight = np.random.default_rng(0).random(len(y)) + 0.5
    for method in ("beta", "prior"):
        scaled = make_pipeline(StandardScaler(), LogisticRegression())
        model = PriorCorrectedClassifier(scaled, method=method).fit(X, y, sample_weight=weight)
        plain = PriorCorrectedClassifier(scaled, method=method).fit(X, y)
        assert not np.allclose(model.predict_proba(X), plain.predict_proba(X))
    grown = make_pipeline(SMOTE(random_state=0), LogisticRegression())
    with pytest.raises(ValueError, match=r"cannot pass SMOTE, .* take AdversarialOverSampler"):
        PriorCorrectedClassifier(grown).fit(X, y, sample_weight=weight)


class Recorded(LogisticRegression):
    """Logistic regression that keeps the weights that it was fitted with."""

    def fit(self, X, y, sample_weight=None):
        self.given_ = sample_weight
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize("sampler", [RandomOverSampler, RandomUnderSampler])
def test_a_resampled_row_has_the_weight_of_its_row(sampler):
    X, y = data(300)
    weight = np.random.default_rng(0).random(len(y)) + 0.5
    pipe = make_pipeline(StandardScaler(), make_pipeline(sampler(random_state=0), Recorded()))
    model = PriorCorrectedClassifier(pipe, method="prior").fit(X, y, weight)
    alone = sampler(random_state=0)
    y_new = alone.fit_resample(X, y)[1]
    given = model.estimators_[0][-1][-1].given_
    np.testing.assert_array_equal(given, weight[alone.sample_indices_])
    shares = np.bincount(y_new, given) / given.sum()
    np.testing.assert_allclose(model.trained_share_, shares)
    np.testing.assert_allclose(model.real_share_, np.bincount(y, weight) / weight.sum())


@pytest.mark.slow
def test_the_probability_of_a_new_rows_label_multiplies_its_parents_weight():
    X, y = data(200)
    weight = np.random.default_rng(0).random(len(y)) + 0.5
    ours = AdversarialOverSampler(random_state=0)
    model = PriorCorrectedClassifier(make_pipeline(ours, Recorded()), method="prior")
    fitted = model.fit(X, y, weight).estimators_[0]
    expected = weight[fitted[0].parent_indices_] * fitted[0].sample_weight_
    np.testing.assert_array_equal(fitted[-1].given_, expected)
    assert (fitted[0].sample_weight_ < 1).any()


def test_stacked_weights_count_in_both_models_and_in_the_map():
    X, y = data()
    weight = np.where(y == 1, 4.0, 1.0)
    pipe = make_pipeline(RandomOverSampler(random_state=0), LogisticRegression())
    model = PriorCorrectedClassifier(pipe).fit(X, y, weight)
    share = weight[y == 1].sum() / weight.sum()
    found = np.average(model.predict_proba(X)[:, 1], weights=weight)
    assert found == pytest.approx(share, abs=0.03)


def test_a_splitter_gets_the_groups_and_splits_may_leave_rows_out():
    X, y = data(300)
    groups = np.arange(300) // 3

    class Grouped(GroupKFold):
        def split(self, X, y=None, groups=None):
            seen.append(groups)
            yield from super().split(X, y, groups)

    seen = []
    model = PriorCorrectedClassifier(LogisticRegression(), cv=Grouped(4)).fit(X, y, groups=groups)
    assert len(model.estimators_) == 4
    assert (seen[0] == groups).all()
    one = list(StratifiedShuffleSplit(1, test_size=0.2, random_state=0).split(X, y))
    alone = PriorCorrectedClassifier(LogisticRegression(), cv=one).fit(X, y)
    ((seen, held),) = one
    q = LogisticRegression().fit(X[seen], y[seen]).predict_proba(X[held])
    start = np.array([np.ones(2), np.log(alone.real_share_) - np.log(alone.trained_share_)])
    slope, bias = learn_map(np.log(q)[None], y[held], start, 0.1)
    np.testing.assert_allclose(alone.slope_, slope[0], rtol=1e-3)
    np.testing.assert_allclose(alone.bias_, bias, rtol=1e-3)


@pytest.mark.parametrize("method", ["beta", "stacked"])
def test_folds_side_by_side_give_the_same(method):
    X, y = data(300)
    pipe = make_pipeline(RandomOverSampler(random_state=0), LogisticRegression())
    with parallel_backend("threading"):
        one, two = (
            PriorCorrectedClassifier(pipe, method=method, n_jobs=n_jobs).fit(X, y)
            for n_jobs in (1, 2)
        )
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))


@pytest.fixture
def routing():
    with config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
def test_weights_and_groups_are_routed_through_pipelines_and_cross_validation():
    X, y = data(300)
    groups, weight = np.arange(300) // 3, np.where(y == 1, 4.0, 1.0)
    inner = Recorded().set_fit_request(sample_weight=True)
    asks = PriorCorrectedClassifier(inner, cv=GroupKFold(3)).set_fit_request(sample_weight=True)
    asks.set_score_request(sample_weight=True)
    pipe = sklearn_pipeline(StandardScaler().set_fit_request(sample_weight=False), asks)
    params = {"sample_weight": weight, "groups": groups}
    found = cross_validate(
        pipe, X, y, params=params, cv=GroupKFold(2), return_estimator=True, return_indices=True
    )
    for fitted, rows in zip(found["estimator"], found["indices"]["train"], strict=True):
        model = fitted[-1]
        share = np.bincount(y[rows], weight[rows])
        np.testing.assert_allclose(model.real_share_, share / share.sum())
        assert {*model.estimators_[0].given_.tolist()} == {1.0, 4.0}
    silent = PriorCorrectedClassifier(Recorded().set_fit_request(sample_weight=False), cv=3)
    silent.set_fit_request(sample_weight=True).fit(X, y, sample_weight=weight)
    assert silent.estimators_[0].given_ is None
    assert silent.trained_share_[1] < silent.real_share_[1]
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        PriorCorrectedClassifier(Recorded(), cv=3).fit(X, y, sample_weight=weight)
