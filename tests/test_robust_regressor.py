"""The regressor on its own adversarial rows, and the two ways to make training cheap."""

import copy

import numpy as np
import pytest
import torch
from sklearn.datasets import make_regression
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error
from torch import nn
from torch.nn.functional import cross_entropy

from advaug.adapters import TabularAdapter
from advaug.attacks import BIM, PGD
from advaug.core.norms import steepest
from advaug.models.optimizer import gradients_of
from advaug.models.training import Training
from advaug.robust import AdversarialClassifier, AdversarialRegressor
from advaug.robust.losses import Classification, RobustLoss, trades_penalty, vat_penalty

QUICK = Training(epochs=15, learning_rate=0.01)


def problem(n=300):
    return make_regression(n, 5, n_informative=5, noise=5, random_state=0)


def regressor(**settings):
    return AdversarialRegressor(**{"training": QUICK, "random_state": 0} | settings)


def linear(training, **settings):
    """A linear net on plain numbers, and what it is attacked in."""
    X, y = problem()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Linear(5, 1)
    return X, y, regressor(module=module, training=training, **settings).fit(X, y)


# ---------------------------------------------------------------- regressor


def test_without_an_attack_a_linear_net_finds_least_squares():
    training = Training(epochs=400, batch_size=300, learning_rate=0.05, weight_decay=0)
    X, y, model = linear(training, clean_weight=1)
    np.testing.assert_allclose(model.predict(X), Ridge(1e-6).fit(X, y).predict(X), atol=0.5)


@pytest.mark.parametrize("attack", ["fgsm", BIM(steps=10)])
def test_the_attack_on_a_linear_net_is_the_closed_form(attack):
    X, y, model = linear(QUICK, radius=0.2)
    coding = TabularAdapter().fit(X)
    x, space = coding.encode(X), coding.space()
    weight = model.net_.module.weight.detach()
    side = torch.from_numpy(np.sign(model.predict(X) - y))[:, None]
    worst = (x + 0.2 * side * weight.sign()).clamp(space.lower, space.upper)
    moved = model.attack_rows(X, y, attack=attack)
    np.testing.assert_allclose(coding.encode(moved), worst, atol=1e-4)


def test_training_on_the_worst_rows_of_a_linear_net_is_its_dual_norm():
    """max (f(x + d) - y)^2 over |d| <= r is (|f(x) - y| + r |w|_1)^2 (Ribeiro et al. 2023)."""
    X, y, model = linear(QUICK, clean_weight=0, radius=0.1)
    x = model.adapter_.encode(X)
    target = torch.from_numpy((y - model.center_) / model.scale_).float()
    space = model.adapter_.space()
    endless = copy.copy(space)
    object.__setattr__(endless, "lower", space.lower - 9)
    object.__setattr__(endless, "upper", space.upper + 9)
    loss = model._loss(model.net_, x, target, model._chosen_attack(), torch.Generator())
    object.__setattr__(loss, "space", endless)
    weight = model.net_.module.weight.detach()
    native = model.net_.native
    slope = (native(torch.eye(5)) - native(torch.zeros(5, 5))) @ weight[0]
    wrong = (model.net_.module(native(x))[:, 0] - target).abs()
    expected = (wrong + 0.1 * slope.abs().sum()).square().mean()
    torch.testing.assert_close(loss(torch.arange(len(x))), expected, rtol=1e-3, atol=1e-4)


def test_a_robust_regressor_errs_less_under_attack_and_one_trained_on_noise_does_not():
    X, y = make_regression(600, 20, n_informative=2, noise=20, random_state=0)
    train, test = slice(0, 300), slice(300, None)
    ways = {"plain": {"clean_weight": 1}, "noise": {"attack": "noise"}, "robust": {}}
    errors = {}
    for way, settings in ways.items():
        model = AdversarialRegressor(radius=0.3, random_state=0, **settings).fit(X[train], y[train])
        moved = model.attack_rows(X[test], y[test], attack="pgd", radius=0.3)
        errors[way] = mean_squared_error(y[test], model.predict(moved))
    assert errors["robust"] < 0.85 * errors["plain"]
    assert errors["robust"] < 0.9 * errors["noise"]


def test_shift_and_scale_of_y_do_not_matter():
    X, y = problem()
    one, other = (regressor().fit(X, target).predict(X) for target in (y, 1000 + y / 50))
    np.testing.assert_allclose(other, 1000 + one / 50, rtol=1e-4)


def test_one_number_for_all_rows_is_learnt_too():
    X, _ = problem(60)
    np.testing.assert_allclose(regressor().fit(X, np.full(60, 7.0)).predict(X), 7, atol=0.1)


def test_without_a_name_rows_are_attacked_as_in_training():
    X, y = problem(60)
    model = regressor(loss="trades").fit(X, y)
    moved, again, once = (model.attack_rows(X, y, attack=a) for a in (None, PGD(steps=5), "fgsm"))
    assert np.array_equal(moved, again)
    assert not np.array_equal(moved, once)


def test_parts_one_after_the_other_are_learnt_too():
    X, y = problem()
    model = regressor(clean_weight=1, training="auto")
    for _ in range(40):
        for part in (slice(0, 150), slice(150, None)):
            model.partial_fit(X[part], y[part])
    assert model.score(X, y) > 0.95


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"attack": "deepfool"}, "looks for a boundary between classes"),
        ({"module": nn.Linear(5, 2)}, r"module returns numbers of shape \(64, 2\)"),
        ({"loss": "free", "attack": "pgd"}, "leave attack='auto'"),
    ],
)
def test_what_cannot_be_trained_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        regressor(**settings).fit(*problem())


def test_rows_keep_their_container_and_the_users_stay_as_they_were():
    import pandas as pd

    X, y = problem()
    frame = pd.DataFrame(X, columns=list("abcde")).assign(kind=np.where(X[:, 0] > 0, "u", "v"))
    before = frame.copy(deep=True)
    model = regressor().fit(frame, y)
    moved = model.attack_rows(frame, y)
    assert (moved.dtypes == frame.dtypes).all()
    pd.testing.assert_frame_equal(frame, before)
    assert model.score(moved, y) < model.score(frame, y)


# ---------------------------------------------------------------- two passes, and one


def loss_of(kind, clean_weight, radius=0.2):
    torch.manual_seed(0)
    x, y = torch.randn(40, 5), torch.randint(3, (40,))
    net = nn.Sequential(nn.Linear(5, 8), nn.SiLU(), nn.Linear(8, 3))
    coding = TabularAdapter().fit(x.numpy().astype(float) * 9)
    loss = RobustLoss(
        net=net,
        native=lambda rows: rows,
        x=x,
        y=y,
        weight=torch.rand(40) + 0.5,
        task=Classification(),
        name=kind,
        attack=AdversarialClassifier()._chosen_attack(),
        space=coding.space(),
        radius=radius,
        clean_weight=clean_weight,
        generator=torch.Generator(),
    )
    return loss, tuple(net.parameters())


@pytest.mark.filterwarnings("ignore")
def test_two_passes_give_the_gradient_of_three():
    with torch.random.fork_rng(devices=[]):
        loss, weights = loss_of("adversarial", 0.4)
    rows = torch.arange(40)
    for one, other in zip(
        loss.gradients(rows, weights), gradients_of(loss(rows), weights), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_only_trades_has_a_gradient_at_the_rows_themselves():
    before, after = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    before.requires_grad_(True)
    loss, y = Classification(), torch.zeros(4)
    assert trades_penalty(loss, before, after, y).requires_grad
    assert not vat_penalty(loss, before, after, y).requires_grad


@pytest.mark.parametrize("kind", ["adversarial", "trades", "vat"])
def test_moved_rows_lie_within_the_radius_of_their_own(kind):
    with torch.random.fork_rng(devices=[]):
        loss, _ = loss_of(kind, 0.5)
    size = (loss.attack_rows(loss.x, loss.y) - loss.x).abs().amax(1)
    assert size.max() < 0.2 + 1e-6
    assert size.min() > 0.1


def test_free_training_moves_on_by_a_whole_radius_at_each_replay():
    with torch.random.fork_rng(devices=[]):
        loss, weights = loss_of("free", 0.0)
    rows, x, y = torch.arange(40), loss.x, loss.y
    move = torch.zeros_like(x)
    for _ in range(3):
        at = (x + move).requires_grad_(True)
        value = (loss.weight * cross_entropy(loss.net(at), y, reduction="none")).mean()
        *expected, pull = torch.autograd.grad(value, (*weights, at))
        for one, other in zip(loss.gradients(rows, weights), expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
        step = move + 0.2 * steepest(pull, float("inf"))
        inside = step.clamp(-0.2, 0.2)
        move = loss.space.project(x + inside, x, torch.full((40,), 0.2)) - x


def test_replays_take_each_batch_again_at_the_same_cost():
    X, y = problem(60)
    seen = []

    class Watching(nn.Linear):
        def forward(self, x):
            if self.training:
                seen.append(x.detach())
            return super().forward(x)

    training = Training(epochs=8, batch_size=30, replays=4)
    model = regressor(module=Watching(5, 1), clean_weight=1, training=training).fit(X, y)
    assert model.n_iter_ == 2
    assert len(seen) == 16
    for k in range(0, 16, 4):
        assert all(torch.equal(seen[k], again) for again in seen[k : k + 4])
