"""Certificates against exhaustive search, formulas against a linear program."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from advaug.adapters import FittedAdapter, TabularAdapter
from advaug.models.fitted_trees import fitted_trees
from advaug.robust import certify, robustness_table

every_norm = pytest.mark.parametrize("norm", [math.inf, 2, 1])
MODELS = [
    lambda seed: DecisionTreeClassifier(max_depth=3, random_state=seed),
    lambda seed: RandomForestClassifier(4, max_depth=3, random_state=seed),
    lambda seed: ExtraTreesClassifier(3, max_depth=3, random_state=seed),
    lambda seed: GradientBoostingClassifier(n_estimators=3, max_depth=2, random_state=seed),
    lambda seed: HistGradientBoostingClassifier(max_iter=3, max_depth=2, min_samples_leaf=5),
    lambda seed: AdaBoostClassifier(n_estimators=4, random_state=seed),
    lambda seed: make_pipeline(
        StandardScaler(), RandomForestClassifier(4, max_depth=3, random_state=seed)
    ),
]


def rows(seed, n_classes=2, columns=3):
    X, y = make_classification(
        120,
        columns,
        n_informative=columns,
        n_redundant=0,
        n_classes=n_classes,
        n_clusters_per_class=1,
        random_state=seed,
    )
    return X.astype(np.float32).astype(np.float64), y


def shortest(model, x, free, levels, scale, norm):
    """The shortest change of prediction: every product of levels, one level from each cell."""
    grid = np.array(list(itertools.product(*levels)))
    is_other = model.predict(grid) != model.predict(x[None])
    move = np.abs(grid - x) / scale
    move = move[is_other & (move[:, ~free] == 0).all(1)]
    return np.linalg.norm(move, norm, axis=1).min(initial=np.inf)


def levels_of(model, X, x, is_whole):
    """Of each column the number of each cell that is nearest to x, within the range of X."""
    boxes = fitted_trees(model).leaf_boxes()
    found = []
    for column, value in enumerate(x):
        edges = np.unique([boxes.lower[:, column], boxes.upper[:, column]])
        edges = edges[np.isfinite(edges)]
        if is_whole:
            edges = np.concatenate([np.floor(edges), np.ceil(edges)])
        near = np.concatenate([edges, edges + 1e-9 * np.abs(edges), [value]])
        found.append(
            np.unique(near[(near >= np.nanmin(X[:, column])) & (near <= np.nanmax(X[:, column]))])
        )
    return found


def test_bounds_are_those_of_an_exhaustive_search_in_200_cases():
    checked = 0
    for seed in range(24):
        is_whole, n_classes = seed % 2 == 1, 2 + (seed % 3 == 2)
        X, y = rows(seed, n_classes)
        X = np.rint(3 * X) if is_whole else X
        model = MODELS[seed % len(MODELS)](seed).fit(X, y)
        frozen = [1] if seed % 5 == 4 else []
        adapter = TabularAdapter(frozen=frozen, value_sets=None)
        scale = np.array([number.scale for number in adapter.fit(X).layout.numbers])
        free = ~np.isin(np.arange(3), frozen)
        some = X[:3]
        for norm in (np.inf, 2, 1):
            bounds = certify(
                model, some, norm=norm, adapter=FittedAdapter(adapter.fit(X)), time_limit=60
            )
            for row, x in enumerate(some):
                levels = levels_of(model, X, x, is_whole)
                found = shortest(model, x, free, levels, scale, norm)
                assert bounds.lower[row] <= found * (1 + 1e-6)
                np.testing.assert_allclose(bounds.lower[row], found, rtol=2e-5, atol=2e-5)
                np.testing.assert_allclose(bounds.upper[row], found, rtol=2e-5, atol=2e-5)
                checked += 1
    assert checked >= 200


@every_norm
@pytest.mark.parametrize("make", MODELS[1:6:2])
def test_a_radius_is_decided_as_by_the_shortest_move(make, norm):
    X, y = rows(0)
    model = make(0).fit(X, y)
    full = certify(model, X[:30], norm=norm, time_limit=60)
    for radius in np.quantile(full.lower, (0.3, 0.7)):
        radius *= 1 - 1e-6
        bounds = certify(model, X[:30], norm=norm, radius=radius, time_limit=60)
        is_robust = bounds.lower > radius
        np.testing.assert_array_equal(is_robust, full.lower > radius)
        np.testing.assert_allclose(bounds.lower[is_robust], radius, rtol=1e-6)
        assert np.isinf(bounds.upper[is_robust]).all()
        np.testing.assert_allclose(bounds.lower[~is_robust], full.lower[~is_robust], rtol=1e-6)
    with pytest.raises(ValueError, match="radius must be above 0, got 0"):
        certify(model, X[:3], radius=0)


def test_what_no_valid_move_changes_has_infinite_bounds():
    X, y = rows(0)
    model = DecisionTreeClassifier(max_depth=1, random_state=0).fit(X, y)
    column = int(model.tree_.feature[0])
    bounds = certify(model, X[:5], adapter=FittedAdapter(TabularAdapter([column]).fit(X)))
    assert np.isinf(bounds.lower).all()
    assert np.isinf(bounds.upper).all()
    assert bounds.is_exact.all()
    assert bounds.robust_accuracy(1e9) == 1


def test_missing_numbers_stay_and_go_where_the_trees_send_them():
    X, y = rows(1)
    X[np.random.default_rng(0).random(X.shape) < 0.2] = np.nan
    model = HistGradientBoostingClassifier(max_iter=3, max_depth=2, min_samples_leaf=5).fit(X, y)
    some = X[np.isnan(X).any(1)][:12]
    adapter = TabularAdapter(value_sets=None).fit(X)
    scale = np.array([number.scale for number in adapter.layout.numbers])
    bounds = certify(model, some, adapter=FittedAdapter(adapter))
    for row, x in enumerate(some):
        levels = [
            [np.nan] if np.isnan(x[column]) else own
            for column, own in enumerate(levels_of(model, X, x, False))
        ]
        grid = np.array(list(itertools.product(*levels)))
        move = np.abs(grid - x) / scale
        move = move[model.predict(grid) != model.predict(x[None])]
        found = np.nan_to_num(move).max(1).min(initial=np.inf)
        np.testing.assert_allclose(bounds.upper[row], found, rtol=2e-5)


def test_levels_of_a_categorical_split_are_searched():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=300), rng.integers(0, 8, 300)])
    y = (np.isin(X[:, 1], [1, 4, 6]) ^ (X[:, 0] > 0.8)).astype(int)
    model = HistGradientBoostingClassifier(
        max_iter=5, max_depth=3, min_samples_leaf=5, categorical_features=[1]
    ).fit(X, y)
    assert fitted_trees(model).trees.level_sets.any()
    adapter = TabularAdapter(value_sets=None).fit(X)
    scale = np.array([number.scale for number in adapter.layout.numbers])
    bounds = certify(model, X[:20], norm=1, adapter=FittedAdapter(adapter))
    for row, x in enumerate(X[:20]):
        levels = [levels_of(model, X, x, False)[0], np.arange(8)]
        found = shortest(model, x, np.array([True, True]), levels, scale, 1)
        np.testing.assert_allclose(bounds.upper[row], found, rtol=2e-5)
        np.testing.assert_allclose(bounds.lower[row], found, rtol=2e-5)


def test_a_time_limit_leaves_bounds_on_both_sides_of_the_shortest_move():
    X, y = make_classification(400, 6, n_informative=5, n_redundant=0, random_state=0)
    model = RandomForestClassifier(12, max_depth=6, random_state=0).fit(X, y)
    brief = certify(model, X[:4], time_limit=1e-9)
    long = certify(model, X[:4], time_limit=60)
    assert long.is_exact.all()
    assert not brief.is_exact.any()
    assert (brief.lower <= long.lower).all()
    assert (brief.upper >= long.upper * (1 - 1e-6)).all()
    assert (brief.lower > 0).all()


def shortest_by_linear_program(weight, intercept, x, low, high, norm):
    """The shortest move to weight @ x + intercept <= 0, in norm 1 or inf, within bounds."""
    d = len(x)
    gap = weight @ x + intercept
    # Variables: up, down (d each), and the largest of them.
    cost = np.r_[np.ones(2 * d), 0] if norm == 1 else np.r_[np.zeros(2 * d), 1]
    over = np.c_[np.r_[weight, -weight][None], 0]
    rows, limit = [over[0]], [-gap]
    if norm != 1:
        rows += [*np.c_[np.eye(2 * d), -np.ones(2 * d)]]
        limit += [0.0] * (2 * d)
    ends = [(0, one) for one in np.r_[high - x, x - low]] + [(0, None)]
    found = linprog(cost, A_ub=np.array(rows), b_ub=limit, bounds=ends)
    return found.fun if found.status == 0 else np.inf


@pytest.mark.parametrize("norm", [math.inf, 1])
def test_bounds_of_a_linear_model_are_those_of_a_linear_program(norm):
    X, y = make_classification(
        200, 5, n_informative=4, n_redundant=0, class_sep=2.0, random_state=0
    )
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    adapter = TabularAdapter(value_sets=None).fit(X)
    scale = np.array([number.scale for number in adapter.layout.numbers])
    center = np.array([number.center for number in adapter.layout.numbers])
    bounds = certify(model, X[:40], norm=norm, adapter=FittedAdapter(adapter))
    weight = model[-1].coef_[0] / model[0].scale_
    intercept = model[-1].intercept_[0] - weight @ model[0].mean_
    low, high = (X.min(0) - center) / scale, (X.max(0) - center) / scale
    for row in range(40):
        sign = 1 if model.predict(X[row : row + 1])[0] == 1 else -1
        found = shortest_by_linear_program(
            sign * weight * scale,
            sign * (intercept + weight @ center),
            (X[row] - center) / scale,
            low,
            high,
            norm,
        )
        np.testing.assert_allclose(bounds.lower[row], found, rtol=1e-5)
        np.testing.assert_allclose(bounds.upper[row], found, rtol=1e-3)


def test_the_bound_of_a_linear_model_in_norm_2_is_its_distance_to_the_nearest_hyperplane():
    X, y = rows(2, n_classes=3)
    model = LogisticRegression().fit(X, y)
    adapter = TabularAdapter(value_sets=None).fit(np.vstack([X - 50, X, X + 50]))
    scale = np.array([number.scale for number in adapter.layout.numbers])
    bounds = certify(model, X[:30], norm=2, adapter=FittedAdapter(adapter))
    scores, codes = model.decision_function(X[:30]), model.predict(X[:30])
    for row in range(30):
        others = [k for k in range(3) if k != codes[row]]
        distances = [
            (scores[row, codes[row]] - scores[row, k])
            / np.linalg.norm((model.coef_[codes[row]] - model.coef_[k]) * scale)
            for k in others
        ]
        np.testing.assert_allclose(bounds.lower[row], min(distances), rtol=1e-6)
        np.testing.assert_allclose(bounds.upper[row], min(distances), rtol=1e-3)


@pytest.mark.parametrize("model", [DecisionTreeClassifier(max_depth=4), LogisticRegression()])
def test_budgets_are_the_units_and_freeze_all_other_columns(model):
    X, y = rows(3)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = model.fit(frame, y)
    half, whole = ({"a": 0.5, "b": (-0.5, 0)}, {"a": 1.0, "b": (-1.0, 0)})
    one, two = (certify(model, frame[:20], budget=budget) for budget in (half, whole))
    np.testing.assert_allclose(one.lower, 2 * two.lower, rtol=1e-4)
    free = certify(model, frame[:20], budget={"a": 1.0, "b": 1.0})
    assert (free.lower <= two.lower * (1 + 1e-6)).all()


def test_a_row_that_is_predicted_wrong_has_bounds_of_0_and_counts_as_an_error():
    X, y = rows(4)
    model = DecisionTreeClassifier(max_depth=2, random_state=0).fit(X, y)
    bounds, wrong = certify(model, X, y), model.predict(X) != y
    assert wrong.any()
    assert (bounds.upper[wrong] == 0).all()
    assert (bounds.lower[~wrong] > 0).all()
    assert bounds.robust_accuracy(0) == model.score(X, y)


def test_no_attack_beats_a_certificate_and_the_table_shows_them_side_by_side():
    X, y = rows(5)
    forest = RandomForestClassifier(8, max_depth=4, random_state=0).fit(X[:80], y[:80])
    models = {"forest": forest, "linear": LogisticRegression().fit(X[:80], y[:80])}
    models["neighbours"] = KNeighborsClassifier().fit(X[:80], y[:80])
    settings = {"radius": 0.2, "scoring": "accuracy", "random_state": 0}
    table = robustness_table(models, X[80:], y[80:], certify=True, **settings)
    assert [*table.columns] == ["estimator", "clean", "noise", "auto", "certified"]
    certified, attacked = table["certified"].to_numpy(), table["auto"].to_numpy()
    assert np.isnan(certified[2])
    assert (certified[:2] <= attacked[:2] + 1e-9).all()
    leaves = robustness_table(
        {"forest": forest}, X[80:], y[80:], attacks=["leaves"], certify=True, **settings
    )
    assert leaves["leaves"].item() == leaves["certified"].item()
    with pytest.raises(ValueError, match="certify=True scores predicted classes"):
        robustness_table(models, X, y, certify=True, scoring="roc_auc")
    with pytest.raises(ValueError, match="certify=True is for the estimators themselves"):
        robustness_table(models, X, y, certify=True, surrogate=forest)


def test_what_has_no_certificate_is_refused_in_one_line():
    X, y = rows(6)
    with pytest.raises(TypeError, match="KNeighborsClassifier has no certificates"):
        certify(KNeighborsClassifier().fit(X, y), X)
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(job=np.where(y, "x", "z"))
    model = DecisionTreeClassifier().fit(X, y)
    with pytest.raises(ValueError, match="category columns"):
        certify(model, frame)
    for setting, value in (("norm", 3), ("time_limit", 0)):
        with pytest.raises(ValueError, match=f"{setting} must be"):
            certify(model, X, **{setting: value})
