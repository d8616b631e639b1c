"""A net of the user's own that returns NaN is refused before it is trained or attacked."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from advaug import AdversarialOverSampler, AdversarialTransformer, grow
from advaug.models.torch_model import refuse_nan
from advaug.models.training import Training
from advaug.robust import (
    AdversarialClassifier,
    AdversarialDetector,
    AdversarialRegressor,
    RobustnessDisplay,
    robustness_table,
)

PAGE = Path(__file__).parents[1] / "docs" / "your-model.md"
SHORT = Training(epochs=2)


class Pooled(nn.Module):
    """A small net on signals, of as many outputs as it is asked for."""

    def __init__(self, outputs=2, fills=False, divides=False):
        super().__init__()
        self.conv, self.last = nn.Conv1d(2, 4, 5), nn.Linear(4, outputs)
        self.fills, self.divides = fills, divides

    def forward(self, x):
        x = torch.nan_to_num(x) if self.fills else x
        x = x * 0 / 0 if self.divides else x
        return self.last(self.conv(x).relu().mean(2))


def unequal(n=40):
    rng, y = np.random.default_rng(0), np.arange(n) % 2
    return [rng.normal(y[k], 1, (2, 30 - 2 * (k % 5))) for k in range(n)], y


def trained(net, X, y):
    return AdversarialClassifier(module=net, training=SHORT, random_state=0).fit(X, y)


def regressed(net, X, y):
    module = nn.Sequential(net, nn.Linear(2, 1))
    target = y.astype(float)
    return AdversarialRegressor(module=module, training=SHORT, random_state=0).fit(X, target)


def resampled(net, X, y):
    sampler = AdversarialOverSampler(surrogate=net, sampling_strategy=grow(2), random_state=0)
    return sampler.fit_resample(X, y)


# Each door by which a net of the user's own comes in.
DOORS = {
    "classifier": trained,
    "regressor": regressed,
    "over-sampler": resampled,
    "transformer": lambda net, X, y: AdversarialTransformer(surrogate=net).fit(X, y),
    "transformer without y": lambda net, X, y: AdversarialTransformer(surrogate=net).fit(X),
    "detector": lambda net, X, y: AdversarialDetector(surrogate=net, training=SHORT).fit(X, y),
    "table": lambda net, X, y: robustness_table([net], X, y, attacks=["fgsm"]),
    "display": lambda net, X, y: RobustnessDisplay.from_estimator(net, X, y, radii=[0, 0.1]),
}


@pytest.mark.filterwarnings("ignore:surrogate agrees")
@pytest.mark.parametrize("door", DOORS)
def test_a_net_that_makes_nan_of_padding_is_refused_at_each_door(door):
    torch.manual_seed(0)
    with pytest.raises(ValueError, match=r"row 1 of X, .*unequal length.*torch\.nan_to_num"):
        DOORS[door](Pooled(), *unequal())
    DOORS[door](Pooled(fills=True), *unequal())


@pytest.mark.parametrize("door", DOORS)
def test_a_net_that_makes_nan_of_numbers_is_told_so(door):
    X, y = unequal()
    X = np.stack([row[:, :20] for row in X])
    with pytest.raises(ValueError, match="row 0 of X, which has no missing value: look for NaN in"):
        DOORS[door](Pooled(divides=True), X, y)


def test_the_only_row_with_a_hole_is_found_before_training():
    X, y = unequal(300)
    X = np.stack([row[:, :20] for row in X])
    X[271, 0, 3] = math.nan
    with pytest.raises(ValueError, match="module returns NaN for row 271 of X, in which values"):
        trained(Pooled(), X, y)


def test_the_only_row_with_a_hole_is_found_where_a_net_is_scored():
    X, y = unequal(300)
    X = np.stack([row[:, :20] for row in X])
    X[271, 0, 3] = math.nan  # It is not among the rows on which a net is tried.
    with pytest.raises(ValueError, match="the net returns NaN for row 271 of X"):
        robustness_table([Pooled()], X, y, attacks=["fgsm"])
    with pytest.raises(ValueError, match="surrogate returns NaN for row 271 of X"):
        AdversarialTransformer(surrogate=Pooled()).fit(X, y)


def test_a_net_whose_weights_are_spoilt_predicts_no_nan():
    X, y = unequal()
    net = trained(Pooled(fills=True), X, y)
    with torch.no_grad():
        net.net_.module.last.weight[0, 0] = math.nan
    with pytest.raises(ValueError, match="the net returns NaN for row 0"):
        net.predict_proba(X)


def test_numbers_are_let_through():
    refuse_nan(torch.tensor([[1.0, math.inf]]), torch.full((1, 2), math.nan))


def test_the_masked_net_of_the_page_trains():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (block,) = (one for one in blocks if "nan_to_num" in one)
    names: dict[str, object] = {}
    exec(compile(block, "your-model", "exec"), names)
    net, X, y = names["net"], names["X"], names["y"]
    assert np.mean(net.predict(X) == y) > 0.9


def test_a_fitted_estimator_that_returns_nan_is_refused_too():
    X = np.random.default_rng(0).normal(size=(40, 3))
    y = (X[:, 0] > 0).astype(int)
    model = LogisticRegression().fit(X, y)
    model.coef_[:] = math.nan
    with pytest.raises(ValueError, match="surrogate returns NaN for row 0 of X, which has no"):
        AdversarialTransformer(surrogate=model).fit(X, y)
