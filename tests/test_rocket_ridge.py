"""Linear models on random convolutions: a closed form, members that have not seen the row."""

import numpy as np
import pytest
import torch
from torch.nn.functional import conv1d, one_hot
from torch.testing import assert_close

from advaug import CommitteeClassifier
from advaug.adapters import SignalAdapter
from advaug.core.features import FlatFeatures
from advaug.domains.signals.rocket_ridge import (
    PENALTIES,
    KernelBank,
    RocketFeatures,
    RocketRidge,
    convolved,
    fixed_kernels,
    ridges,
    scores_of,
)
from advaug.models.calibration import class_weights
from advaug.models.out_of_fold import OutOfFoldModel


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def bursts(count=60, time=64, rare=0.3):
    """Noise in two channels; a burst at a random time, which no level tells, makes class 1."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(count, 2, time)), (np.arange(count) < rare * count).astype(int)
    for row in np.flatnonzero(y):
        at = rng.integers(time - 12)
        X[row, 0, at : at + 12] += 3 * np.tile([1.0, -1.0], 6)
    return X, y


def fitted(X, y, **settings):
    coding = SignalAdapter().fit(X)
    x, codes = coding.encode(X), torch.from_numpy(y)
    features = coding.features(x, source())
    n_classes = int(y.max()) + 1
    return RocketRidge(**settings).fit(x, codes, n_classes, source(), features), x, codes


@pytest.mark.parametrize("dilation", [1, 3])
@pytest.mark.parametrize("is_difference", [False, True])
def test_a_bank_convolves_the_mixed_channels_with_all_kernels(dilation, is_difference):
    values, there = torch.randn(3, 2, 40, generator=source()), torch.ones(3, 40)
    mix = torch.tensor([1.0, -1.0])
    found, _ = convolved(values, there, mix, dilation, is_difference)
    signal = values[:, 0] - values[:, 1]
    signal = signal.diff() if is_difference else signal
    kernels = fixed_kernels()[:, None]
    assert_close(found, conv1d(signal[:, None], kernels, dilation=dilation, padding=4 * dilation))


def test_pooling_is_the_share_above_each_threshold_the_mean_above_the_middle_one_and_the_maximum():
    values, there = torch.randn(4, 1, 30, generator=source()), torch.ones(4, 30)
    bank = KernelBank.learn(False, 1, torch.ones(1), values, there)
    found, _ = convolved(values, there, torch.ones(1), 1, False)
    pooled = bank(values, there).reshape(4, 5, 84)
    for k, level in enumerate(bank.thresholds.T):
        assert_close(pooled[:, k], (found > level[:, None]).float().mean(2))
    above = found[1, 7][found[1, 7] > bank.thresholds[7, 1]]
    assert_close(pooled[1, 3, 7], above.mean())
    assert_close(pooled[:, 4], found.amax(2))


def test_what_is_missing_at_the_end_changes_nothing():
    values = torch.randn(6, 1, 30, generator=source())
    x = torch.cat([values, torch.zeros_like(values)], 1)
    features = RocketFeatures.learn(x, 1, 3, source())
    longer = torch.zeros(6, 2, 50)
    longer[:, 0, :30], longer[:, 1, 30:] = values[:, 0], 1.0
    assert_close(features(longer), features(x), atol=1e-4, rtol=1e-4)


def test_features_do_not_depend_on_how_many_rows_are_seen_at_once(monkeypatch):
    x = torch.randn(9, 2, 40, generator=source())
    features = RocketFeatures.learn(x, 2, 3, source())
    whole = features(x)
    monkeypatch.setattr("advaug.domains.signals.rocket_ridge.CELLS", 1)
    assert_close(features(x), whole, atol=1e-4, rtol=1e-4)


def test_ridges_are_the_closed_form_of_each_penalty():
    rows = torch.randn(20, 50, generator=source()).double()
    target, weight = torch.randn(20, 2, generator=source(1)).double(), torch.rand(20).double() + 0.5
    weights, bias = ridges(rows, target, weight)
    wide = torch.cat([rows / 50**0.5, torch.ones(20, 1)], 1).double()
    for k in range(len(PENALTIES)):
        heavy = wide.T * weight
        exact = torch.linalg.solve(heavy @ wide + PENALTIES[k] * torch.eye(51), heavy @ target)
        assert_close(weights[k], exact[:-1] / 50**0.5)
        assert_close(bias[k, 0], exact[-1])
        assert_close(scores_of(rows, weights, bias)[k], wide @ exact)


def test_a_member_learns_the_rows_outside_its_fold():
    X, y = bursts()
    models, x, codes = fitted(X, y)
    rows, target = models.features(x), one_hot(codes, 2).double() - 0.5
    heavy = class_weights(codes, torch.ones(len(y)), 2)[codes]
    for fold, weights, bias in zip(models.fold_of_member, models.weights, models.bias, strict=True):
        known = models.fold_of_row != fold
        solved = ridges(rows[known], target[known], heavy[known])
        score = rows @ weights + bias
        off = (scores_of(rows, *solved) - score).abs().amax((1, 2))  # of each penalty
        assert off.min() < 1e-4 < off.max()


def test_of_many_rows_each_class_has_an_equal_part_or_all_of_its_rows():
    X, y = (each[::-1].copy() for each in bursts(count=120, rare=0.1))  # The rare rows come last.
    models, x, codes = fitted(X, y, max_rows=40)
    assert len(models.fold_of_row) == 120
    held_out = OutOfFoldModel.of(models)(x).argmax(1)
    assert (held_out[codes == 1] == 1).all()
    assert (held_out[codes == 0] == 0).float().mean() > 0.9


@pytest.mark.parametrize("time", [1, 2, 9, 10])
def test_short_signals_are_learnt(time):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 1, time)), np.arange(40) % 2
    X[y == 1] += 5
    models, x, codes = fitted(X, y)
    assert (models.logits(x).argmax(1) == codes).all()


def test_signals_without_two_values_side_by_side_are_learnt():
    X, y = bursts(count=40)
    X[:, :, ::2] = np.nan
    models, x, _ = fitted(X, y)
    assert not any(bank.is_difference for bank in models.features.banks)
    assert models.logits(x).isfinite().all()


def test_bursts_are_found_where_they_are_held_out():
    X, y = bursts(count=120)
    models, x, codes = fitted(X, y)
    held_out = OutOfFoldModel.of(models)(x).softmax(1)[:, 1].numpy()
    assert held_out[y == 1].mean() > 0.75 > 0.25 > held_out[y == 0].mean()
    assert_close(models.probability(x), models.logits(x).softmax(1))
    assert (models.probability(x).argmax(1) == codes).all()


def test_a_row_without_weight_is_not_learnt():
    X, y = bursts(120)
    wrong = np.concatenate([y, 1 - y])
    coding = SignalAdapter().fit(X)
    x = coding.encode(np.concatenate([X, X]))
    features, weight = coding.features(x, source()), torch.ones(2 * len(X))
    weight[len(X) :] = 0
    codes = torch.from_numpy(wrong)
    models = RocketRidge().fit(x, codes, 2, source(), features, weight)
    assert (models.probability(x[: len(X)]).argmax(1).numpy() == y).mean() > 0.95


def test_the_teacher_of_signals_weights_them_by_what_they_predict():
    X, y = bursts(count=90)
    model = CommitteeClassifier(voters=None, random_state=0).fit(X, y)
    assert "FittedRocketRidge" in model.weights_
    assert (model.weights_["FittedRocketRidge"] > model.weights_["nets"]).all()


def test_other_rows_than_signals_are_refused():
    with pytest.raises(TypeError, match="RocketRidge needs signals"):
        RocketRidge().fit(
            torch.zeros(8, 3, 9), torch.tensor([0, 1] * 4), 2, source(), FlatFeatures()
        )
