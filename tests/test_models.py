"""What may be given as `surrogate=`: fitted estimators, with and without a formula."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC
from torch import nn

from advaug import AdversarialOverSampler, AdversarialTransformer
from advaug.adapters import TabularAdapter
from advaug.attacks import HopSkipJump, Square
from advaug.models.queried_estimator import QueriedEstimator
from advaug.models.sklearn_to_torch import sklearn_to_torch
from advaug.models.torch_model import TorchModel


def rows(classes=2, n=240):
    X, y = make_classification(
        n, 5, n_informative=4, n_redundant=0, n_classes=classes, random_state=0
    )
    return X * [1, 10, 0.1, 3, 1], np.array(["a", "b", "c"])[y]


FORMULAS = [
    LogisticRegression(),
    LinearSVC(),
    RidgeClassifier(),
    SGDClassifier(random_state=0),
    LinearDiscriminantAnalysis(),
    *(
        SVC(kernel=kernel, gamma=0.1, max_iter=1000)
        for kernel in ("rbf", "linear", "poly", "sigmoid")
    ),
    *(
        MLPClassifier((8, 6), activation=gate, max_iter=20, random_state=0)
        for gate in ("relu", "tanh", "logistic")
    ),
    *(
        make_pipeline(scaler, LogisticRegression())
        for scaler in (
            *(StandardScaler(), MinMaxScaler(clip=True), MaxAbsScaler(), RobustScaler()),
            *(Normalizer(), Normalizer("l1"), PCA(3), PCA(3, whiten=True)),
        )
    ),
    make_pipeline(StandardScaler(), PCA(4), SVC()),
    FrozenEstimator(LogisticRegression()),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("estimator", FORMULAS, ids=lambda e: repr(e)[:50])
def test_a_torch_twin_decides_as_its_estimator_does(estimator, classes):
    X, y = rows(classes)
    if isinstance(estimator, FrozenEstimator):
        estimator = FrozenEstimator(clone(estimator.estimator).fit(X, y))
    else:
        estimator = clone(estimator).fit(X, y)
    found = sklearn_to_torch(estimator)(torch.from_numpy(X)).detach().squeeze(1)
    if hasattr(estimator, "decision_function"):
        expected = torch.from_numpy(estimator.decision_function(X))
    else:
        expected = torch.from_numpy(estimator.predict_proba(X))
        both = torch.stack([torch.zeros_like(found), found], 1) if classes == 2 else found
        found = both.softmax(1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_the_twin_of_a_scaler_that_clips_does_so_beyond_the_rows_of_fit():
    X, y = rows()
    scaler = MinMaxScaler((-1, 2), clip=True)
    model = make_pipeline(scaler, LogisticRegression()).fit(X, y)
    found = sklearn_to_torch(model)(torch.from_numpy(3 * X)).detach().squeeze(1)
    np.testing.assert_allclose(found, model.decision_function(3 * X), atol=1e-5)


@pytest.mark.parametrize("estimator", [GaussianNB(), RandomForestClassifier(3)], ids=str)
def test_a_type_without_a_formula_has_no_twin(estimator):
    assert sklearn_to_torch(estimator.fit(*rows())) is None


def test_the_gradient_of_a_logistic_regression_is_exact():
    X, y = rows()
    model = LogisticRegression().fit(X, y)
    moved = AdversarialTransformer(surrogate=model, radius=0.2).fit(X).transform(X)
    scale = np.subtract(*np.percentile(X, [75, 25], axis=0)) / 1.349
    side = np.where(model.decision_function(X) > 0, -1, 1)[:, None]
    expected = np.clip(X + 0.2 * scale * side * np.sign(model.coef_), X.min(0), X.max(0))
    np.testing.assert_allclose(moved, expected, rtol=1e-4, atol=1e-5)


def test_a_method_is_queried_only_if_it_agrees_with_predict():
    X, y = rows()
    forest = RandomForestClassifier(10, random_state=0).fit(X, y)
    strict = FixedThresholdClassifier(forest, threshold=0.9, pos_label="b").fit(X, y)
    for model, response in ((forest, "predict_proba"), (strict, "predict")):
        queried = QueriedEstimator(model).choose_response(X)
        assert queried.response == response
        classes = queried.classes[queried.logits(X).argmax(1).numpy()]
        assert np.array_equal(classes, model.predict(X))
        assert queried.queries == len(X)


def mixed(n=200):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, n)
    X = pd.DataFrame(
        {
            "kept": rng.normal(size=n) + y,
            "age": rng.integers(20, 80, n) + 9 * y,
            "size": rng.normal(size=n) + 2 * y,
            "job": pd.Categorical(np.where(rng.random(n) < 0.2 + 0.6 * y, "u", "v")),
        },
        index=rng.permutation(n),
    )
    model = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["job"]), remainder="passthrough"),
        RandomForestClassifier(10, random_state=0),
    )
    return X, y, model.fit(X, y)


@pytest.mark.parametrize(
    ("attack", "radius"),
    [
        (Square(steps=20), 1.5),
        (HopSkipJump(steps=1, init_eval=20), np.inf),
        ("crossover", np.inf),
    ],
    ids=str,
)
def test_a_pipeline_on_a_mixed_frame_is_attacked_in_its_own_container(attack, radius):
    X, _y, model = mixed()
    attacked = AdversarialTransformer(
        attack=attack, radius=radius, surrogate=model, random_state=0,
        adapter=TabularAdapter(frozen=["kept"]),
    ).fit(X)  # fmt: skip
    test = X[:40]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rows that were not moved
        moved = attacked.transform(test)
    assert (moved.dtypes == X.dtypes).all()
    assert moved.index.equals(test.index)
    assert moved["kept"].equals(test["kept"])
    assert (model.predict(moved) != model.predict(test)).mean() > 0.6
    assert attacked.surrogate_.queries > 40
    assert attacked.surrogate_.estimator is model


def test_the_sampler_attacks_a_fitted_pipeline_and_clone_hands_it_on():
    X, y, model = mixed()
    keep = (y == 0) | (np.arange(len(y)) % 3 == 0)
    sampler = AdversarialOverSampler(
        surrogate=model, recipe="harden", attack=Square(steps=5), random_state=0
    )
    assert clone(sampler).surrogate is model
    _X_new, y_new = sampler.fit_resample(X[keep], y[keep])
    assert (y_new == 0).sum() == (y_new == 1).sum()
    assert sampler.surrogate_.queries > 0


@pytest.mark.parametrize("name", ["xgboost", "lightgbm"])
def test_boosters_of_other_libraries_are_queried(name):
    library = pytest.importorskip(name, exc_type=ImportError)
    X, y = rows()
    make = library.XGBClassifier if name == "xgboost" else library.LGBMClassifier
    extra = {"verbose": -1} if name == "lightgbm" else {}
    model = make(n_estimators=5, n_jobs=1, **extra).fit(X, (y == "b").astype(int))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        attacked = AdversarialTransformer(
            attack=Square(steps=30), radius=2.0, surrogate=model, random_state=0
        ).fit(X)
        moved = attacked.transform(X[:40])
        assert (model.predict(moved) != model.predict(X[:40])).mean() > 0.5


@pytest.mark.parametrize(
    ("surrogate", "error", "message"),
    [
        (RandomForestClassifier(), ValueError, "RandomForestClassifier is not fitted: pass"),
        (LinearRegression().fit([[0.0], [1.0]], [0, 1]), TypeError, "no classifier of one target"),
        (GaussianNB().fit([[0.0], [1.0]], [0, 1]), ValueError, "GaussianNB cannot predict rows"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_attacked_is_refused_with_the_mend(surrogate, error, message):
    with pytest.raises(error, match=message):
        AdversarialTransformer(surrogate=surrogate).fit(rows()[0])


def test_a_gradient_attack_on_a_forest_says_what_to_take_instead():
    X, _y, model = mixed()
    with pytest.raises(ValueError, match=r"FGSM requires gradient .* take attack='square'"):
        AdversarialTransformer(surrogate=model).fit(X).transform(X)


def test_a_sampler_refuses_a_model_of_other_classes():
    X, y = rows()
    model = GaussianNB().fit(X, y == "a")
    with pytest.raises(ValueError, match="surrogate knows the classes"):
        AdversarialOverSampler(surrogate=model, sampling_strategy={"a": 200}).fit_resample(X, y)


@pytest.mark.parametrize("last", [nn.Softmax(1), nn.Sigmoid()], ids=str)
def test_of_a_net_that_returns_probabilities_the_logarithms_are_attacked(last):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        body = nn.Linear(5, 3 if isinstance(last, nn.Softmax) else 1)
    x = torch.randn((50, 5), generator=torch.Generator().manual_seed(0))
    plain, squashed = TorchModel(body), TorchModel(nn.Sequential(body, last))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain.detect_probabilities(x)
    with pytest.warns(UserWarning, match="surrogate returns probabilities"):
        squashed.detect_probabilities(x)
    torch.testing.assert_close(squashed.logits(x).softmax(1), plain.logits(x).softmax(1))


def test_a_linear_model_is_attacked_without_touching_torchs_own_generator():
    X, y = make_classification(60, 6, random_state=0)
    before = torch.get_rng_state().clone()
    AdversarialTransformer(surrogate=LogisticRegression().fit(X, y), random_state=0).fit(X, y)
    assert torch.equal(torch.get_rng_state(), before)
