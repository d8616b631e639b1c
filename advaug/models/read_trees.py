"""Fitted trees of scikit-learn, XGBoost, LightGBM and CatBoost as one `TreeEnsemble`.

The three libraries are never imported: their estimators write themselves down, and are read there.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from advaug.models.protocol import Array
from advaug.models.tree_ensemble import MAX_LEVELS, Link, Nodes, TreeEnsemble


class Unreadable(ValueError):
    """What a tree asks of a row stands in no array."""


# ---------------------------------------------------------------- scikit-learn


def nodes_of_tree(tree: Any, value: Array, columns: Array | None = None) -> Nodes:
    """The nodes of a tree of scikit-learn; `columns` are those of the table that it looks at."""
    is_leaf = tree.children_left < 0
    column = tree.feature if columns is None else np.asarray(columns)[tree.feature.clip(0)]
    return Nodes.of(
        column=np.where(is_leaf, -1, column),
        threshold=tree.threshold,
        left=tree.children_left,
        right=tree.children_right,
        missing_left=tree.missing_go_to_left,
        value=value,
    )


def mean_of_trees(
    trees: list[Any], n_columns: int, columns: list[Array] | None = None
) -> TreeEnsemble:
    """The mean of the probabilities of trees, which may look at some columns of a table each."""
    looked = [None] * len(trees) if columns is None else columns
    nodes = [
        nodes_of_tree(*each)
        for each in zip(trees, (tree.value[:, 0] for tree in trees), looked, strict=True)
    ]
    return TreeEnsemble.of(nodes, n_columns, "mean", divisor=len(trees), reads_float32=True)


def one_tree(model: Any) -> TreeEnsemble | None:
    tree = model.tree_
    return None if tree.n_outputs > 1 else mean_of_trees([tree], model.n_features_in_)


def forest(model: Any) -> TreeEnsemble | None:
    """The mean of the members' probabilities; members of a bagging may see some columns each."""
    members = model.estimators_
    if any(not hasattr(one, "tree_") or one.tree_.n_outputs > 1 for one in members):
        return None
    known = [getattr(one, "classes_", model.classes_) for one in members]
    if any(len(own) != len(model.classes_) for own in known):
        return None  # The sample of a member lacks a class.
    columns = getattr(model, "estimators_features_", None)
    return mean_of_trees([one.tree_ for one in members], model.n_features_in_, columns)


def ada_boost(model: AdaBoostClassifier) -> TreeEnsemble | None:
    """The weighted votes of the members."""
    members = model.estimators_
    if any(not hasattr(one, "tree_") for one in members):
        return None
    trees = []
    for one, weight in zip(members, model.estimator_weights_, strict=False):
        if not np.array_equal(one.classes_, model.classes_):
            return None
        vote = one.tree_.value[:, 0].argmax(1)[:, None] == np.arange(len(model.classes_))
        trees.append(nodes_of_tree(one.tree_, weight * vote))
    return TreeEnsemble.of(trees, model.n_features_in_, "mean", reads_float32=True)


def gradient_boosting(model: GradientBoostingClassifier) -> TreeEnsemble | None:
    if not (model.init_ == "zero" or isinstance(model.init_, DummyClassifier)):
        return None  # Its rows start from another model.
    start = model._raw_predict_init(np.zeros((1, model.n_features_in_)))[0]
    stages, n_outputs = model.estimators_.shape
    trees = [
        nodes_of_tree(one.tree_, model.learning_rate * one.tree_.value[:, 0])
        for one in model.estimators_.ravel()
    ]
    link: Link = "softmax" if n_outputs > 1 else "logistic"
    return TreeEnsemble.of(
        trees,
        model.n_features_in_,
        "exponential" if model.loss == "exponential" else link,
        output=np.tile(np.arange(n_outputs), stages),
        start=start,
        reads_float32=True,
    )


def histogram_boosting(model: HistGradientBoostingClassifier) -> TreeEnsemble | None:
    """Categories are levels of their column, which must be whole numbers below 256."""
    columns, values = np.arange(model.n_features_in_), {}
    if model._preprocessor is not None:  # It puts the categories first, and numbers their levels.
        is_category = model.is_categorical_
        columns = np.concatenate([np.flatnonzero(is_category), np.flatnonzero(~is_category)])
        encoder = model._preprocessor.named_transformers_["encoder"]
        for place, known in enumerate(encoder.categories_):
            if (levels := whole_levels(known)) is None:
                return None
            values[place] = levels
    trees: list[Nodes] = []
    level_sets: list[Array] = []
    for predictor in (one for stage in model._predictors for one in stage):
        nodes = predictor.nodes
        is_leaf, place = nodes["is_leaf"] == 1, nodes["feature_idx"].astype(int)
        level_set = np.full(len(nodes), -1)
        for at in np.flatnonzero((nodes["is_categorical"] == 1) & ~is_leaf):
            codes = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][at]].view(np.uint8)
            goes_left = np.unpackbits(codes, bitorder="little").astype(bool)
            levels = values[int(place[at])]
            # An unknown level goes where a missing one does.
            own = np.full(MAX_LEVELS, bool(nodes["missing_go_to_left"][at]))
            own[levels] = goes_left[: len(levels)]
            level_set[at] = len(level_sets)
            level_sets.append(own)
        trees.append(
            Nodes.of(
                column=np.where(is_leaf, -1, columns[place]),
                threshold=nodes["num_threshold"],
                left=nodes["left"],
                right=nodes["right"],
                missing_left=nodes["missing_go_to_left"],
                level_set=level_set,
                value=nodes["value"][:, None],
            )
        )
    start = np.atleast_2d(model._baseline_prediction)[0]
    return TreeEnsemble.of(
        trees,
        model.n_features_in_,
        "softmax" if len(start) > 1 else "logistic",
        output=np.tile(np.arange(len(start)), len(model._predictors)),
        level_sets=level_sets,
        start=start,
    )


def whole_levels(known: Array) -> Array | None:
    """Categories as whole numbers from 0 to 255; None if they are anything else."""
    try:
        numbers = np.asarray(known, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    numbers = numbers[~np.isnan(numbers)]
    whole = numbers.astype(int)
    is_whole = (whole == numbers).all() and ((whole >= 0) & (whole < MAX_LEVELS)).all()
    return whole if is_whole else None


# ---------------------------------------------------------------- XGBoost


def xgboost(model: Any) -> TreeEnsemble | None:
    """A row goes left where its value is below a node's; float32 throughout."""
    learner = json.loads(bytes(model.get_booster().save_raw("json")))["learner"]
    booster, objective = learner["gradient_booster"], learner["objective"]["name"]
    if objective not in ("binary:logistic", "multi:softprob", "multi:softmax"):
        return None
    drops = booster.get("weight_drop", 1.0)
    booster = booster.get("gbtree", booster)  # Older versions' "dart" holds one.
    boosted = booster.get("model", {})
    if "trees" not in boosted:
        return None
    drops = np.array(boosted.get("weight_drop", drops), dtype=np.float32)
    about, about_trees = learner["learner_model_param"], boosted["trees"]
    is_binary = objective == "binary:logistic"
    n_outputs = 1 if is_binary else int(about["num_class"])
    level_sets: list[Array] = []
    weights = np.broadcast_to(drops, len(about_trees))
    trees = [xgboost_tree(*each, level_sets) for each in zip(about_trees, weights, strict=True)]
    base = np.atleast_1d(np.array(json.loads(about["base_score"]), dtype=np.float32))
    if is_binary:
        base = -np.log(np.float32(1) / base - np.float32(1))
    return TreeEnsemble.of(
        trees,
        int(about["num_feature"]),
        "logistic" if is_binary else "softmax",
        output=boosted["tree_info"],
        level_sets=level_sets,
        start=np.broadcast_to(base, n_outputs),
        reads_float32=True,
    )


def xgboost_tree(tree: dict[str, Any], drop: Any, level_sets: list[Array]) -> Nodes:
    """The nodes of one tree; its sets are added to `level_sets`."""
    left, right = np.array(tree["left_children"]), np.array(tree["right_children"])
    edge = np.array(tree["split_conditions"], dtype=np.float32)
    level_set = np.full(len(left), -1)
    starts, sizes = tree["categories_segments"], tree["categories_sizes"]
    for node, start, size in zip(tree["categories_nodes"], starts, sizes, strict=True):
        goes_right = np.array(tree["categories"][start : start + size])
        if goes_right.max() >= MAX_LEVELS:
            raise Unreadable
        level_set[node] = len(level_sets)
        level_sets.append(~np.isin(np.arange(MAX_LEVELS), goes_right))
    return Nodes.of(
        column=np.where(left < 0, -1, tree["split_indices"]),
        threshold=np.nextafter(edge, np.float32(-np.inf)),
        left=left,
        right=right,
        missing_left=tree["default_left"],
        level_set=level_set,
        value=(edge * np.float32(drop))[:, None],
    )


# ---------------------------------------------------------------- LightGBM


def lightgbm(model: Any) -> TreeEnsemble | None:
    about = model.booster_.dump_model()
    name = str(about["objective"]).split(" ")[0]
    if name not in ("binary", "multiclass") or about.get("pandas_categorical"):
        return None
    if about["average_output"]:
        return None  # A random forest, whose raw scores are no mean.
    n_outputs = about["num_tree_per_iteration"]
    level_sets: list[Array] = []
    trees = [lightgbm_tree(one["tree_structure"], level_sets) for one in about["tree_info"]]
    return TreeEnsemble.of(
        trees,
        about["max_feature_idx"] + 1,
        "softmax" if n_outputs > 1 else "logistic",
        output=np.tile(np.arange(n_outputs), len(trees) // n_outputs),
        level_sets=level_sets,
    )


def lightgbm_tree(root: dict[str, Any], level_sets: list[Array]) -> Nodes:
    """The nodes of one tree; its sets are added to `level_sets`."""

    def row_of(node: dict[str, Any]) -> dict[str, Any]:
        if "leaf_value" in node:
            return node_row(value=node["leaf_value"])
        return lightgbm_split(node, level_sets)

    return nodes_of_nested(root, row_of, ("left_child", "right_child"))


def lightgbm_split(node: dict[str, Any], level_sets: list[Array]) -> dict[str, Any]:
    column, missing = node["split_feature"], node["missing_type"]
    if node["decision_type"] == "==":
        levels = np.array(str(node["threshold"]).split("||"), dtype=int)
        if levels.max() >= MAX_LEVELS:
            raise Unreadable
        level_sets.append(np.isin(np.arange(MAX_LEVELS), levels))
        return node_row(column, level_set=len(level_sets) - 1)
    if missing == "Zero":  # Zeros are missing numbers.
        raise Unreadable
    edge = float(node["threshold"])
    # Without missing numbers in training one is read as 0.
    missing_left = node["default_left"] if missing == "NaN" else edge >= 0
    return node_row(column, threshold=edge, missing_left=missing_left)


def node_row(column: int = -1, **parts: Any) -> dict[str, Any]:
    """A node, with defaults for what it lacks."""
    blank = {"threshold": 0.0, "left": 0, "right": 0, "missing_left": False, "level_set": -1}
    return {"column": column, **blank, "value": 0.0, **parts}


def nodes_of_nested(
    root: dict[str, Any],
    row_of: Callable[[dict[str, Any]], dict[str, Any]],
    children: tuple[str, str],
) -> Nodes:
    """The nodes of a tree whose nodes hold their children by these names; leaves have none."""
    rows: list[dict[str, Any]] = []
    waiting: list[tuple[dict[str, Any], int, str]] = [(root, -1, "left")]
    while waiting:
        node, parent, side = waiting.pop(0)
        place = len(rows)
        rows.append(row_of(node))
        if parent >= 0:
            rows[parent][side] = place
        for name, each in zip(children, ("left", "right"), strict=True):
            if name in node:
                waiting.append((node[name], place, each))
    return nodes_of_rows(rows)


def nodes_of_rows(rows: list[dict[str, Any]]) -> Nodes:
    parts = {name: [row[name] for row in rows] for name in rows[0]}
    value = np.array([np.atleast_1d(one) for one in parts.pop("value")], dtype=np.float64)
    return Nodes.of(**parts, value=value)


# ---------------------------------------------------------------- CatBoost


def catboost(model: Any) -> TreeEnsemble | None:
    """Trees on numbers alone: CatBoost turns categories into statistics of other rows."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json")
        about = json.loads(path.read_text())
    scale, shift = about["scale_and_bias"]
    columns = about["features_info"].get("float_features", [])
    if about["features_info"].get("categorical_features") or scale != 1:
        return None
    if "oblivious_trees" in about:
        trees = [oblivious_tree(one, columns, len(shift)) for one in about["oblivious_trees"]]
    else:
        trees = [catboost_tree(one, columns, len(shift)) for one in about["trees"]]
    return TreeEnsemble.of(
        trees,
        1 + max(one["flat_feature_index"] for one in columns),
        "softmax" if len(shift) > 1 else "logistic",
        shift=shift,
        reads_float32=True,
    )


def catboost_split(split: dict[str, Any], columns: list[Any]) -> dict[str, Any]:
    column = columns[split["float_feature_index"]]
    goes_left = column["nan_value_treatment"] != "AsTrue"
    edge = np.float32(split["border"])
    return {
        "column": column["flat_feature_index"],
        "threshold": float(edge),
        "missing_left": goes_left,
    }


def oblivious_tree(tree: dict[str, Any], columns: list[Any], n_outputs: int) -> Nodes:
    """A tree whose nodes of one depth all ask the same; the first split is the lowest bit."""
    splits = tree.get("splits") or []
    rows: list[dict[str, Any]] = []
    depth = len(splits)
    for level, split in enumerate(reversed(splits)):
        for _ in range(2**level):
            place = len(rows)
            rows.append(
                node_row(left=2 * place + 1, right=2 * place + 2, value=np.zeros(n_outputs))
                | catboost_split(split, columns)
            )
    values = np.reshape(tree["leaf_values"], (2**depth, n_outputs))
    rows += [node_row(value=value) for value in values]
    return nodes_of_rows(rows)


def catboost_tree(root: dict[str, Any], columns: list[Any], n_outputs: int) -> Nodes:
    def row_of(node: dict[str, Any]) -> dict[str, Any]:
        if "split" not in node:
            return node_row(value=np.atleast_1d(node["value"]))
        return node_row(value=np.zeros(n_outputs)) | catboost_split(node["split"], columns)

    return nodes_of_nested(root, row_of, ("left", "right"))


# ---------------------------------------------------------------- all of them

READERS: dict[type, Callable[[Any], TreeEnsemble | None]] = {
    **dict.fromkeys((DecisionTreeClassifier, ExtraTreeClassifier), one_tree),
    **dict.fromkeys((RandomForestClassifier, ExtraTreesClassifier, BaggingClassifier), forest),
    AdaBoostClassifier: ada_boost,
    GradientBoostingClassifier: gradient_boosting,
    HistGradientBoostingClassifier: histogram_boosting,
}
READERS_BY_NAME: dict[tuple[str, str], Callable[[Any], TreeEnsemble | None]] = {
    ("xgboost", "XGBClassifier"): xgboost,
    ("xgboost", "XGBRFClassifier"): xgboost,
    ("lightgbm", "LGBMClassifier"): lightgbm,
    ("catboost", "CatBoostClassifier"): catboost,
}


def read_trees(estimator: Any) -> TreeEnsemble | None:
    """The trees of a fitted classifier, in its own columns and units; None if it has none.

    None too for what no array holds: a target of several columns, categories that are texts, the
    statistics of CatBoost's categories, a start from another model.
    """
    for kind in type(estimator).__mro__:
        name = kind.__module__.split(".")[0], kind.__name__
        if (reader := READERS.get(kind) or READERS_BY_NAME.get(name)) is not None:
            with suppress(Unreadable):
                return reader(estimator)
            return None
    return None
