"""Fitted scikit-learn trees, forests and boosted trees as the arrays that `Trees` walks through."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier
from torch.nn.utils.rnn import pad_sequence

from advaug.models.sklearn_to_torch import steps_of
from advaug.models.trees import Trees

# The arrays "column" (-1 at a leaf), "threshold", "left" and "right" of one tree.
Nodes = dict[str, Any]


def nodes_of_tree(tree: Any) -> Nodes:
    return {
        "column": np.where(tree.children_left < 0, -1, tree.feature),
        "threshold": tree.threshold,
        "left": tree.children_left.clip(0),
        "right": tree.children_right.clip(0),
    }


def nodes_of_histogram(predictor: Any) -> Nodes:
    nodes = predictor.nodes
    return {
        "column": np.where(nodes["is_leaf"] == 1, -1, nodes["feature_idx"].astype(int)),
        "threshold": nodes["num_threshold"],
        "left": nodes["left"].astype(int),
        "right": nodes["right"].astype(int),
    }


def nodes_of_histograms(model: HistGradientBoostingClassifier) -> Iterable[Nodes]:
    predictors = [one for stage in model._predictors for one in stage]
    if any(one.nodes["is_categorical"].any() for one in predictors):
        return []
    return map(nodes_of_histogram, predictors)


def nodes_of_members(model: Any) -> Iterable[Nodes]:
    members = np.ravel(model.estimators_)
    columns = getattr(model, "estimators_features_", None)
    whole = range(model.n_features_in_)
    if any(not hasattr(one, "tree_") for one in members):
        return []
    if columns is not None and any(list(one) != list(whole) for one in columns):
        return []
    return (nodes_of_tree(one.tree_) for one in members)


FORESTS: dict[type, Callable[[Any], Iterable[Nodes]]] = {
    **dict.fromkeys(
        (DecisionTreeClassifier, ExtraTreeClassifier), lambda model: [nodes_of_tree(model.tree_)]
    ),
    **dict.fromkeys(
        (
            *(RandomForestClassifier, ExtraTreesClassifier, GradientBoostingClassifier),
            *(BaggingClassifier, AdaBoostClassifier),
        ),
        nodes_of_members,
    ),
    HistGradientBoostingClassifier: nodes_of_histograms,
}


def trees_of(estimator: Any) -> Trees | None:
    """The trees of a fitted estimator, in its own columns and units; None if it is made of none."""
    scalers, last = steps_of(estimator)
    if scalers or type(last) not in FORESTS:
        return None
    nodes = list(FORESTS[type(last)](last))
    if not nodes:
        return None

    def padded(name: str, value: float, dtype: torch.dtype) -> torch.Tensor:
        rows = [torch.tensor(one[name], dtype=dtype) for one in nodes]
        return pad_sequence(rows, batch_first=True, padding_value=value)

    threshold = padded("threshold", 0, torch.float64)
    return Trees(
        column=padded("column", -1, torch.long),
        threshold=threshold,
        left=padded("left", 0, torch.long),
        right=padded("right", 0, torch.long),
        slack=4 * torch.finfo(torch.float32).eps * threshold.abs(),
        depth=max(tree_depth(one) for one in nodes),
    )


def tree_depth(nodes: Nodes) -> int:
    """The largest number of nodes above a leaf."""
    current, depth = np.array([0]), 0
    while len(current := current[nodes["column"][current] >= 0]):
        current = np.concatenate([nodes["left"][current], nodes["right"][current]])
        depth += 1
    return depth
