"""Fitted estimators in files: pickles that predict, and skops, which holds no code."""

import copy
import pickle

import pytest
import torch
from imblearn.pipeline import make_pipeline
from numpy.testing import assert_array_equal
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from torch import nn

from advaug import AdversarialOverSampler
from advaug.core.storage import dumps, loads
from advaug.models.training import SmallNet
from advaug.robust import AdversarialClassifier, AdversarialRegressor

X, Y = make_classification(200, 6, weights=[0.8], random_state=0)
NET = nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 2))


def pipeline():
    sampler = AdversarialOverSampler(random_state=0)
    return make_pipeline(sampler, LogisticRegression()).fit(X, Y)


def classifier(**settings):
    return AdversarialClassifier(random_state=0, **settings).fit(X, Y)


def test_a_pipeline_holds_little_beside_its_predictor():
    model = pipeline()
    assert len(pickle.dumps(model)) < 20_000 < len(pickle.dumps(model[0].generator_))
    twin = pickle.loads(pickle.dumps(model))
    assert_array_equal(twin.predict_proba(X), model.predict_proba(X))
    assert_array_equal(twin.fit(X, Y).predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("make", [pipeline, classifier])
def test_skops_stores_what_predicts(make):
    skops = pytest.importorskip("skops.io")
    model = make()
    data = skops.dumps(model)
    names = skops.get_untrusted_types(data=data)
    assert all(name.startswith(("advaug.", "imblearn.")) for name in names)
    twin = skops.loads(data, trusted=names)
    assert_array_equal(twin.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("through", ["pickle", "cloudpickle"])
@pytest.mark.parametrize("module", ["auto", NET])
def test_a_classifier_comes_back_and_learns_on(through, module):
    model = classifier(module=module)
    twin = pickle.loads(pytest.importorskip(through).dumps(model))
    assert twin.adapter_ is twin.net_.coding
    assert_array_equal(twin.predict_proba(X), model.predict_proba(X))
    one, other = (some.partial_fit(X, Y).predict_proba(X) for some in (twin, copy.deepcopy(model)))
    assert_array_equal(one, other)
    assert (one != model.predict_proba(X)).any()


def test_estimators_that_are_not_fitted_or_predict_numbers_come_back():
    assert pickle.loads(pickle.dumps(AdversarialClassifier())).get_params()["loss"] == "adversarial"
    model = AdversarialRegressor(random_state=0).fit(X, X[:, 0])
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))


def test_a_small_net_is_stored_as_numbers():
    x = torch.from_numpy(X).float()
    net = SmallNet(x, 2, 8, torch.Generator().manual_seed(0)).eval()
    for twin in (
        pickle.loads(pickle.dumps(net)),
        copy.deepcopy(net),
        loads(dumps(net), SmallNet, lambda made: made, ""),
    ):
        assert torch.equal(twin(x), net(x))
        assert not twin.training
        assert all(weight.requires_grad for weight in twin.parameters())
        with torch.no_grad():
            next(twin.parameters()).add_(1)
        assert not torch.equal(twin(x), net(x))
