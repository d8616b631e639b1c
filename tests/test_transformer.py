import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from torch import nn

from advaug import AdversarialTransformer
from advaug.adapters import TabularAdapter
from advaug.attacks import FGSM, PGD
from advaug.models import Ensemble

QUICK = Ensemble(n_repeats=2, hidden_width=16, max_iter=60)


def transformer(**settings):
    return AdversarialTransformer(**{"surrogate": QUICK, "random_state": 0} | settings)


def problem(n=300, seed=0, width=6):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    return rng.normal(size=(n, width)) + 0.8 * y[:, None], y


def in_robust_sd(move, X):
    """Moves of columns in units of their robust standard deviation."""
    low, high = np.percentile(X, [25, 75], axis=0)
    return move / ((high - low) / 1.349)


def mixed(n=120):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, n)
    X = pd.DataFrame(
        {
            "float": rng.normal(size=n) + y,
            "small": rng.normal(size=n).astype("f4"),
            "count": rng.poisson(9 + 3 * y, n),
            "hole": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n) + y),
            "flag": rng.random(n) < 0.5,
            "kind": pd.Categorical(rng.choice(list("uvw"), n)),
            "day": pd.Timestamp("2020") + pd.to_timedelta(rng.integers(0, 99, n), "D"),
        },
        index=rng.permutation(n),
    )
    return X, y


CONTAINERS = {
    "array": lambda X: X,
    "float32": lambda X: X.astype("f4"),
    "integers": lambda X: np.rint(4 * X).astype(int),
    "frame": lambda X: pd.DataFrame(X, columns=list("abcdef"), index=np.arange(len(X))[::-1]),
    "csr": sparse.csr_matrix,
    "polars": lambda X: pl.DataFrame(X),
}


# ---------------------------------------------------------------- what comes out


@pytest.mark.parametrize("attack", ["fgsm", "pgd", "mifgsm", "noise"])
@pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS)
def test_as_many_rows_come_out_in_the_same_container(make, attack):
    X, y = problem()
    X = make(X)
    out = transformer(attack=attack).fit(X, y).transform(X)
    assert type(out) is type(X)
    assert out.shape == X.shape
    assert getattr(out, "dtype", None) == getattr(X, "dtype", None)
    plain, before = (t.toarray() if sparse.issparse(t) else np.asarray(t) for t in (out, X))
    assert not np.array_equal(plain, before)
    if isinstance(X, pd.DataFrame):
        assert out.index.equals(X.index)
        assert out.columns.equals(X.columns)


def test_a_mixed_frame_keeps_dtypes_index_holes_levels_and_itself():
    X, y = mixed()
    before = X.copy(deep=True)
    out = transformer(attack=PGD(), radius=1.0).fit(X, y).transform(X)
    assert_frame_equal(X, before)
    assert (out.dtypes == X.dtypes).all()
    assert out.index.equals(X.index)
    assert out.isna().equals(X.isna())
    assert set(out["kind"]) <= set(X["kind"])
    for name in X:
        assert not out[name].equals(X[name]) or name == "flag", f"{name} never moved"


@pytest.mark.parametrize("norm", [math.inf, 2, 1])
@pytest.mark.parametrize("attack", ["fgsm", "pgd", "noise"])
@pytest.mark.parametrize("radius", [0.05, 0.5])
def test_no_row_moves_farther_than_the_radius_in_robust_standard_deviations(radius, attack, norm):
    X, y = problem()
    X *= [1, 10, 1e3, 1e-3, 7, 0.5]
    out = transformer(attack=attack, radius=radius, norm=norm).fit(X, y).transform(X)
    move = in_robust_sd(out - X, X)
    length = np.linalg.norm(move, ord=norm, axis=1)
    assert length.max() <= radius * (1 + 1e-4)
    assert np.median(length) > 0.9 * radius, "the radius is hardly used"
    if norm == math.inf:
        # Bounds stop single cells; in every column some cell goes all the way.
        assert_allclose(np.abs(move).max(0), radius, rtol=1e-3)


def test_rows_beyond_what_was_seen_in_fit_keep_to_the_radius_too():
    X, y = problem()
    t = transformer(radius=0.3).fit(X, y)
    far = X[:40] + 20
    assert np.abs(in_robust_sd(t.transform(far) - far, X)).max() <= 0.3 + 1e-4


@pytest.mark.parametrize("seed", range(3))
def test_fgsm_takes_more_accuracy_from_another_model_than_noise_of_equal_radius(seed):
    X, y = problem(800, seed)
    train, test = slice(400), slice(400, None)
    model = LogisticRegression().fit(X[train], y[train])
    accuracy = {
        name: model.score(
            transformer(attack=name, radius=0.4).fit(X[train], y[train]).transform(X[test]), y[test]
        )
        for name in ("fgsm", "noise")
    }
    clean = model.score(X[test], y[test])
    assert accuracy["fgsm"] < clean - 0.15
    assert abs(accuracy["noise"] - clean) < 0.05


def test_the_same_seed_gives_the_same_rows_in_any_batch_size():
    X, y = problem()
    for attack in ("pgd", "noise"):
        wanted = transformer(attack=attack).fit(X, y).transform(X)
        assert_array_equal(transformer(attack=attack).fit(X, y).transform(X), wanted)
        small = transformer(attack=attack, batch_size=7).fit(X, y).transform(X)
        assert_allclose(small, wanted, atol=1e-5)


@pytest.mark.parametrize("attack", ["pgd", "square", "uniform"])
def test_more_rows_change_none_of_those_before_them(attack):
    X, y = problem()
    fitted = transformer(attack=attack).fit(X, y)
    assert_allclose(fitted.transform(X[:61])[:60], fitted.transform(X[:60]), atol=1e-5)


def test_a_plain_function_is_no_attack():
    X, y = problem()
    with pytest.raises(TypeError, match=r"inherit from advaug\.core\.problem\.Attack"):
        transformer(attack=lambda problem: problem.seed).fit(X, y)


def test_labels_given_to_transform_are_what_the_moves_go_against():
    X, y = problem()
    # A net that reads column 0 only: against class 1 it goes down, against class 0 up.
    t = transformer(surrogate=first_column(), radius=0.2).fit(X, y)
    assert (t.transform(X, np.ones(300, int))[:, 0] <= X[:, 0]).all()
    assert (t.transform(X, np.zeros(300, int))[:, 0] >= X[:, 0]).all()


# ---------------------------------------------------------------- when


def test_when_fit_moves_the_rows_of_fit_and_leaves_transform_untouched():
    X, y = problem()
    t = transformer(when="fit")
    moved = t.fit_transform(X, y)
    assert np.isclose(moved, X).mean() < 0.05, "only cells at a bound may stay"
    assert_array_equal(t.transform(X), X)
    assert_array_equal(t.transform(X + 1), X + 1)


@pytest.mark.filterwarnings("ignore:surrogate agrees with y")  # Its labels are wrong.
def test_when_fit_goes_against_the_true_labels():
    X, _ = problem()
    wrong = np.arange(300) % 2  # the net's own predictions would say otherwise
    t = transformer(when="fit", surrogate=first_column(), radius=0.2)
    move = (t.fit_transform(X, wrong) - X)[:, 0]
    assert (move[wrong == 1] <= 0).all()
    assert (move[wrong == 0] >= 0).all()


def test_when_always_fit_transform_is_fit_then_transform():
    X, y = problem()
    assert_array_equal(
        transformer(attack="pgd").fit_transform(X, y),
        transformer(attack="pgd").fit(X, y).transform(X),
    )


def test_a_plain_pipeline_trains_on_moved_rows_and_is_scored_on_clean_ones():
    X, y = problem()
    seen = []

    class Spy(LogisticRegression):
        def fit(self, X, y):
            seen.append(X.copy())
            return super().fit(X, y)

        def predict(self, X):
            seen.append(X.copy())
            return super().predict(X)

    make_pipeline(transformer(when="fit"), Spy()).fit(X, y).predict(X)
    assert np.isclose(seen[0], X).mean() < 0.05, "only cells at a bound may stay"
    assert_array_equal(seen[1], X)


def test_cross_validation_sees_the_stress_test_and_the_augmentation():
    X, y = problem()
    plain = cross_val_score(LogisticRegression(), X, y, cv=3).mean()
    trained = make_pipeline(transformer(when="fit", radius=0.1), LogisticRegression())
    assert cross_val_score(trained, X, y, cv=3).mean() > plain - 0.05
    stressed = make_pipeline(transformer(radius=1.5, norm=2), LogisticRegression())
    model = stressed.fit(X, y)
    assert model.score(X, y) < plain


# ---------------------------------------------------------------- as part of scikit-learn


def test_set_output_gives_pandas_with_names_and_index():
    X, y = problem()
    frame = pd.DataFrame(X, columns=list("abcdef"), index=np.arange(300) + 7)
    out = transformer().set_output(transform="pandas").fit(frame, y).transform(frame)
    assert isinstance(out, pd.DataFrame)
    assert out.columns.tolist() == list("abcdef")
    assert out.index.equals(frame.index)
    from_array = transformer().set_output(transform="pandas").fit(X, y).transform(X)
    assert isinstance(from_array, pd.DataFrame)
    assert_allclose(from_array, out)


def test_names_of_columns_pass_through():
    X, y = mixed()
    t = transformer().fit(X, y)
    assert t.get_feature_names_out().tolist() == X.columns.tolist()
    assert t.n_features_in_ == X.shape[1]


def test_other_columns_than_in_fit_are_refused():
    X, y = problem()
    t = transformer().fit(X, y)
    with pytest.raises(ValueError, match=r"X has 5 features, but .* is expecting 6"):
        t.transform(X[:, :5])


# ---------------------------------------------------------------- the user's own net


def first_column(outputs=1, width=6):
    """A linear net that asks only for column 0; the larger it is the more class 1."""
    module = nn.Linear(width, outputs)
    with torch.no_grad():
        module.weight.zero_()
        module.weight[-1, 0] = 1.0
        module.bias.zero_()
    return module


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_net_needs_no_labels_and_is_attacked_where_it_looks(outputs):
    X, _ = problem()
    module = first_column(outputs)
    t = transformer(surrogate=module, radius=0.2).fit(X)
    move = in_robust_sd(t.transform(X) - X, X)
    assert not move[:, 1:].any()
    says_one = X[:, 0] > 0
    assert (move[says_one, 0] <= 0).all()
    assert (move[~says_one, 0] >= 0).all()
    assert_allclose(np.abs(move[:, 0]).max(), 0.2, rtol=1e-4)
    assert clone(t).surrogate is module
    assert module.weight.grad is None
    assert module.weight.requires_grad
    assert module.training


def test_labels_are_needed_without_a_net():
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        transformer().fit(problem()[0])


def test_a_net_of_other_classes_is_refused_by_name():
    X, y = problem()
    with pytest.raises(
        ValueError, match=r"surrogate gives logits of shape \(64, 3\) for 64 rows.*y has 2"
    ):
        transformer(surrogate=nn.Linear(6, 3)).fit(X, y)


# ---------------------------------------------------------------- frozen columns, images, errors


def test_frozen_columns_stay():
    X, y = mixed()
    X["note"] = [f"free text of row {k}" for k in range(len(X))]
    frozen = ["float", "kind", "note"]
    t = transformer(adapter=TabularAdapter(frozen=frozen), radius=1.0)
    out = t.fit(X, y).transform(X)
    assert_frame_equal(out[frozen], X[frozen])
    assert not out["small"].equals(X["small"])


@pytest.mark.parametrize("shape", [(60, 5, 6), (60, 3, 5, 6)])
@pytest.mark.parametrize("attack", ["fgsm", "pgd", "noise"])
def test_uint8_images_stay_images_within_whole_steps_of_the_radius(shape, attack):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, shape).astype("u1")
    y = rng.integers(0, 2, 60)
    images[y == 1] //= 2
    out = transformer(attack=attack, radius=8 / 255).fit(images, y).transform(images)
    assert out.dtype == np.uint8
    assert out.shape == images.shape
    move = np.abs(out.astype(int) - images.astype(int))
    assert move.max() == 8
    assert np.mean(move == 8) > 0.3 or attack == "pgd"


ERRORS = {
    "a radius of nothing": ({"radius": 0}, "'radius' parameter"),
    "an unknown norm": ({"norm": 3}, "'norm' parameter"),
    "an unknown moment": ({"when": "never"}, "'when' parameter"),
    "an unknown attack": ({"attack": "magic"}, "attack='magic' is not known"),
    "a device that is none": ({"device": "gpu"}, "device='gpu' cannot be used here"),
    "an unknown frozen column": (
        {"adapter": TabularAdapter(frozen=["zip"])},
        "frozen column 'zip' is not in X",
    ),
}


@pytest.mark.parametrize(("settings", "message"), ERRORS.values(), ids=ERRORS)
def test_a_bad_parameter_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        transformer(**settings).fit(*problem())


def test_an_attack_passed_as_a_class_is_told_to_be_called():
    with pytest.raises(TypeError, match=r"write attack=FGSM\(\)"):
        transformer(attack=FGSM).fit(*problem())


def test_one_class_is_nothing_to_learn_from():
    with pytest.raises(ValueError, match=r"at least 2 classes, got 1 class"):
        transformer().fit(problem()[0], np.zeros(300))


def test_infinity_is_named_by_column_and_row_in_fit_and_in_transform():
    X, y = problem()
    bad = X.copy()
    bad[11, 2] = np.inf
    with pytest.raises(ValueError, match="infinity: column 2, row 11"):
        transformer().fit(bad, y)
    with pytest.raises(ValueError, match="infinity: column 2, row 11"):
        transformer().fit(X, y).transform(bad)


def test_labels_that_fit_has_not_seen_are_refused_by_name():
    X, y = np.random.default_rng(0).normal(size=(40, 3)), np.repeat([0, 2], 20)
    fitted = AdversarialTransformer(random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=r"y holds .*1.*, which fit has not seen"):
        fitted.transform(X, np.repeat([0, 1], 20))


def test_a_cell_missing_only_in_new_rows_stays_missing():
    X = pd.DataFrame(
        {
            "when": pd.date_range("2020-01-01", periods=40),
            "count": pd.array(np.arange(40) // 2, dtype="Int64"),
            "level": pd.Categorical(["u", "v"] * 20),
        }
    )
    fitted = AdversarialTransformer(radius=1.0, random_state=0).fit(X, np.repeat([0, 1], 20))
    new = X.head(6).copy()
    new.loc[0, "when"], new.loc[1, "count"] = pd.NaT, pd.NA
    new["level"] = pd.Categorical(["u"] * 6)
    moved = fitted.transform(new)
    assert moved["when"].isna().tolist() == [True] + [False] * 5
    assert moved["count"].isna().tolist() == [False, True] + [False] * 4
    assert moved.dtypes.equals(new.dtypes)


# ---------------------------------------------------------------- minimal and shared attacks


def linear_net(width, seed=1):
    net = nn.Linear(width, 2)
    with torch.no_grad():
        net.weight.copy_(torch.randn((2, width), generator=torch.Generator().manual_seed(seed)))
        net.bias.zero_()
    return net


def answers(net, X):
    with torch.no_grad():
        return net(torch.as_tensor(np.asarray(X), dtype=torch.float32)).argmax(1).numpy()


@pytest.mark.parametrize("attack", ["deepfool", "cw", "ead", "jsma"])
@pytest.mark.parametrize("radius", [math.inf, 3.0])
def test_minimal_attacks_change_the_prediction_with_and_without_a_cap(attack, radius):
    X, _ = problem(200)
    net = linear_net(6)
    out = transformer(attack=attack, radius=radius, surrogate=net).fit(X).transform(X)
    flipped = answers(net, out) != answers(net, X)
    assert flipped.mean() > 0.95
    if attack == "jsma":
        assert (out != X).sum(1).max() <= 3


def test_deepfool_is_the_shortest_way_to_a_linear_nets_border_in_robust_standard_deviations():
    X, _ = problem(200)
    net = linear_net(6)
    settings = {"attack": "deepfool", "radius": np.inf, "norm": 2, "surrogate": net}
    move = in_robust_sd(transformer(**settings).fit(X).transform(X) - X, X)
    scale = 1 / in_robust_sd(np.ones(6), X)
    with torch.no_grad():
        direction = (net.weight[1] - net.weight[0]).numpy() * scale
        gap = np.abs(net(torch.as_tensor(X, dtype=torch.float32)).numpy() @ [-1, 1])
    inside = np.linalg.norm(move, axis=1) < 1  # no bound is met there
    expected = 1.02 * gap / np.linalg.norm(direction)
    assert inside.sum() > 50
    assert_allclose(np.linalg.norm(move, axis=1)[inside], expected[inside], rtol=0.02, atol=1e-3)


@pytest.mark.parametrize("attack", ["uap", "patch"])
def test_what_rows_share_is_learnt_in_fit_and_judged_on_rows_held_out(attack):
    X, _ = problem(400)
    X, fresh = X[:200], X[200:]
    net = linear_net(6)
    t = transformer(attack=attack, radius=1.0, surrogate=net).fit(X)
    assert 0.1 < t.fooling_rate_ < 0.9
    whole = t.transform(fresh)
    moved = (answers(net, whole) != answers(net, fresh)).mean()
    assert moved == pytest.approx(t.fooling_rate_, abs=0.15)
    t.set_params(batch_size=7)
    assert_allclose(t.transform(fresh), whole, atol=1e-5)
    if attack == "uap":
        assert_allclose(t.transform(fresh[3:4]), whole[3:4], atol=1e-5)


@pytest.mark.parametrize("attack", ["fgsm", "uap", "noise", PGD()])
def test_only_minimal_attacks_take_an_endless_radius(attack):
    X, y = problem(60)
    with pytest.raises(ValueError, match="radius must be finite"):
        transformer(attack=attack, radius=math.inf).fit(X, y)


def test_rows_that_the_model_has_no_gradient_for_are_counted_in_one_warning():
    X, _ = problem(50)

    class Flat(nn.Module):
        def forward(self, x):
            return torch.stack([x[:, 0].clamp_min(0.5), x.new_zeros(len(x))], 1)

    t = transformer(surrogate=Flat()).fit(X)
    with pytest.warns(UserWarning, match=f"{(X[:, 0] < 0.5).sum()} of 50 rows were not moved"):
        out = t.transform(X)
    assert_array_equal(out[X[:, 0] < 0.5], X[X[:, 0] < 0.5])
