"""Trees of four libraries in one form: equal to their own float on 10 000 rows."""

import json
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from advaug import AdversarialTransformer
from advaug.adapters import FittedAdapter, TabularAdapter
from advaug.attacks import LeafSearch
from advaug.core.leaf_boxes import LeafBoxes
from advaug.models.fitted_trees import fitted_trees
from advaug.models.read_trees import read_trees
from advaug.models.read_trees import xgboost as read_xgboost
from advaug.robust import certify

TYPES = ["q", "q", "q", "c", "c"]
UP = [1, 0, 0, 0, 0]  # Monotone in the first column.


def table(n, n_classes=2, seed=0, *, with_missing=True):
    """Three numbers and two columns of levels, some cells missing, and classes."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5))
    X[:, 3], X[:, 4] = rng.integers(0, 9, n), rng.integers(0, 30, n)
    score = X[:, 0] + X[:, 1] * X[:, 2] + X[:, 3] % 3 - X[:, 4] % 2 + 0.3 * rng.normal(size=n)
    y = np.digitize(score, np.quantile(score, np.arange(1, n_classes) / n_classes))
    if with_missing:
        X[rng.random(X.shape) < 0.05] = np.nan
    return X, y


def scikit_learn(kind, **settings):
    def fit(X, y):
        model = kind(**settings).fit(X, y)
        return model, model.predict_proba

    return fit


def boosted(kind, **settings):
    def fit(X, y):
        model = kind(**settings).fit(X, y)
        return model, model.decision_function

    return fit


def xgboost(**settings):
    def fit(X, y):
        library = pytest.importorskip("xgboost")
        model = library.XGBClassifier(
            n_estimators=20,
            feature_types=TYPES,
            enable_categorical=True,
            max_cat_to_onehot=4,
            monotone_constraints=tuple(UP),
            **settings,
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*booster=dart.* is deprecated")
            model.fit(X, y)
        return model, lambda X: model.predict(X, output_margin=True)

    return fit


def xgboost_forest(X, y):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*XGBRFClassifier.* is deprecated", FutureWarning)
        model = pytest.importorskip("xgboost").XGBRFClassifier(n_estimators=20).fit(X, y)
    return model, lambda X: model.predict(X, output_margin=True)


def lightgbm(**settings):
    def fit(X, y):
        library = pytest.importorskip("lightgbm")
        model = library.LGBMClassifier(
            n_estimators=20,
            min_child_samples=5,
            min_data_per_group=5,
            monotone_constraints=UP,
            verbose=-1,
            n_jobs=1,
            **settings,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, y, categorical_feature=[3, 4])

        def raw(X):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return model.predict(X, raw_score=True)

        return model, raw

    return fit


def catboost(**settings):
    def fit(X, y):
        library = pytest.importorskip("catboost")
        model = library.CatBoostClassifier(
            iterations=20, depth=4, verbose=0, allow_writing_files=False, thread_count=1, **settings
        ).fit(X, y)
        return model, lambda X: model.predict(X, prediction_type="RawFormulaVal")

    return fit


HISTOGRAM = {"max_iter": 20, "categorical_features": [3, 4]}
EVERY = {
    "tree": scikit_learn(DecisionTreeClassifier, random_state=0),
    "extra tree": scikit_learn(ExtraTreeClassifier, random_state=0),
    "forest": scikit_learn(RandomForestClassifier, n_estimators=15, random_state=0),
    "extra trees": scikit_learn(ExtraTreesClassifier, n_estimators=15, random_state=0),
    "bagging of columns": scikit_learn(
        BaggingClassifier, n_estimators=9, max_features=3, random_state=0
    ),
    "histogram boosting": boosted(HistGradientBoostingClassifier, **HISTOGRAM),
    "XGBoost": xgboost(),
    "XGBoost dart": xgboost(booster="dart", rate_drop=0.3),
    "XGBoost by leaves": xgboost(grow_policy="lossguide", max_leaves=20),
    "XGBoost with parallel trees": xgboost(num_parallel_tree=3, subsample=0.7),
    "XGBoost forest": xgboost_forest,
    "LightGBM": lightgbm(),
    "LightGBM dart": lightgbm(boosting_type="dart"),
    "CatBoost": catboost(),
    "CatBoost by leaves": catboost(grow_policy="Lossguide"),
    "CatBoost by depth": catboost(grow_policy="Depthwise", nan_mode="Max"),
}


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", EVERY)
def test_trees_predict_as_their_library_does_on_10000_rows(name, n_classes):
    model, raw = EVERY[name](*table(600, n_classes))
    trees, rows = read_trees(model), table(10_000, n_classes, seed=1)[0]
    expected = np.asarray(raw(rows))
    own = trees.decision_function(rows).reshape(expected.shape)
    assert own.dtype == expected.dtype
    np.testing.assert_array_equal(own, expected)
    predicted = np.asarray(model.predict(rows)).ravel()
    np.testing.assert_array_equal(np.asarray(model.classes_)[trees.predict(rows)], predicted)


def test_weights_of_dropped_trees_are_read_where_newer_versions_of_xgboost_keep_them():
    model, _ = EVERY["XGBoost dart"](*table(600, 2))
    about = json.loads(bytes(model.get_booster().save_raw("json")))
    booster = about["learner"]["gradient_booster"]
    if "gbtree" in booster:  # As XGBoost 3.2 writes it.
        moved = booster["gbtree"]
        moved["model"]["weight_drop"] = booster["weight_drop"]
        about["learner"]["gradient_booster"] = moved
    stored = SimpleNamespace(save_raw=lambda form: json.dumps(about).encode())
    trees = read_xgboost(SimpleNamespace(get_booster=lambda: stored))
    rows = table(200, 2, seed=1)[0]
    np.testing.assert_array_equal(
        trees.decision_function(rows), read_trees(model).decision_function(rows)
    )


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", EVERY)
def test_the_boxes_of_each_tree_part_all_rows_and_add_up_to_the_prediction(name, n_classes):
    model, _ = EVERY[name](*table(300, n_classes))
    trees, X = read_trees(model), table(200, n_classes, seed=1)[0]
    boxes = trees.leaf_boxes()
    X = X.astype(np.float32).astype(np.float64) if trees.reads_float32 else X
    with np.errstate(invalid="ignore"):
        holds = (boxes.lower <= X[:, None]) & (X[:, None] <= boxes.upper)
    inside = np.where(np.isnan(X)[:, None], boxes.takes_missing, holds).all(2)
    assert (inside @ np.eye(boxes.tree[-1] + 1)[boxes.tree] == 1).all()
    scores = inside @ boxes.value + boxes.offset
    top = np.sort(scores, axis=1)
    is_sure = top[:, -1] - top[:, -2] > 1e-5
    assert is_sure.mean() > 0.8
    np.testing.assert_array_equal(scores.argmax(1)[is_sure], trees.predict(X)[is_sure])


@pytest.mark.parametrize("loss", ["log_loss", "exponential"])
def test_gradient_boosting_and_votes_are_read_too(loss):
    X, y = table(400, with_missing=False)
    rows = table(10_000, seed=1, with_missing=False)[0]
    model = GradientBoostingClassifier(n_estimators=15, loss=loss, random_state=0).fit(X, y)
    trees = read_trees(model)
    np.testing.assert_array_equal(
        trees.decision_function(rows)[:, 0], model.decision_function(rows)
    )
    np.testing.assert_allclose(trees.predict_proba(rows), model.predict_proba(rows))
    votes = AdaBoostClassifier(n_estimators=10, random_state=0).fit(X, y)
    np.testing.assert_array_equal(read_trees(votes).predict(rows), votes.predict(rows))


def test_monotone_trees_are_read_as_they_are():
    X, y = table(400)
    for kind in (RandomForestClassifier, ExtraTreesClassifier):
        model = kind(15, monotonic_cst=UP, random_state=0).fit(X, y)
        rows = table(10_000, seed=1)[0]
        trees = read_trees(model)
        np.testing.assert_array_equal(trees.predict_proba(rows), model.predict_proba(rows))


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler(), RobustScaler()])
def test_trees_behind_scalers_have_boxes_in_front_of_them(scaler):
    X, y = table(300, with_missing=False)
    forest = RandomForestClassifier(5, max_depth=4, random_state=0)
    model = make_pipeline(scaler, StandardScaler(), forest).fit(100 + 3 * X, y)
    trees, rows = fitted_trees(model), 100 + 3 * table(500, seed=1, with_missing=False)[0]
    np.testing.assert_array_equal(trees.predict(rows), model.predict(rows))
    boxes = trees.leaf_boxes()
    inside = ((boxes.lower <= rows[:, None]) & (rows[:, None] <= boxes.upper)).all(2)
    scores = inside @ boxes.value
    # A number may be rounded over a threshold.
    assert (scores.argmax(1) == model.predict(rows)).mean() > 0.99


def test_what_is_not_made_of_trees_of_numbers_is_not_read():
    X, y = table(100, with_missing=False)
    linear = LogisticRegression(max_iter=500)
    assert read_trees(linear.fit(X, y)) is None
    assert read_trees(AdaBoostClassifier(linear, n_estimators=2).fit(X, y)) is None
    start = GradientBoostingClassifier(n_estimators=2, init=LogisticRegression(max_iter=500))
    assert read_trees(start.fit(X, y)) is None
    forest = RandomForestClassifier(3)
    assert read_trees(forest.fit(X, np.stack([y, y], 1))) is None
    assert fitted_trees(make_pipeline(FunctionTransformer(np.square), forest).fit(X, y)) is None
    assert fitted_trees(make_pipeline(MinMaxScaler(clip=True), forest).fit(X, y)) is None


@pytest.mark.parametrize(
    "name", ["XGBoost", "LightGBM", "CatBoost", "histogram boosting", "forest"]
)
def test_leaf_search_moves_rows_of_each_library_as_little_as_the_certificate_says(name):
    X, y = table(400, with_missing=False)
    model, _ = EVERY[name](X, y)
    adapter, some = TabularAdapter(value_sets=None), X[:12]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mover = AdversarialTransformer(
            attack=LeafSearch(max_boxes=10**7),
            radius=np.inf,
            norm=2,
            surrogate=model,
            adapter=adapter,
        ).fit(X, y)
        moved = mover.transform(some)
        bounds = certify(model, some, norm=2, adapter=FittedAdapter(mover.adapter_), time_limit=60)
        assert (np.ravel(model.predict(moved)) != np.ravel(model.predict(some))).all()
    scale = np.array([number.scale for number in mover.adapter_.layout.numbers])
    length = np.linalg.norm((moved - some) / scale, axis=1)
    assert (length >= bounds.lower * (1 - 1e-3) - 1e-4).all()
    np.testing.assert_allclose(length, bounds.upper, rtol=1e-3, atol=1e-3)


def test_between_steps_a_number_is_on_the_side_on_which_trees_read_it():
    edge = float(np.float32(0.7))  # below .7 as a float64, and equal to it as the trees read it
    blank = np.array([[True], [True]]), np.arange(2), np.eye(2), np.zeros(2), np.zeros(1)
    ends = np.array([[-np.inf], [np.nextafter(edge, 1)]]), np.array([[edge], [np.inf]])
    boxes = LeafBoxes(*ends, *blank).between_steps(
        np.zeros(1), np.full(1, 0.1), lambda x: x.astype(np.float32).astype(float)
    )
    np.testing.assert_allclose(boxes.upper[0], 0.725)
    np.testing.assert_allclose(boxes.lower[1], 0.775)
