"""Fitted scikit-learn classifiers as torch modules: the same decision, with exact gradients.

A table says which type has which formula. A type that is not in it is queried as a black box.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC
from torch import Tensor, nn
from torch.nn.utils import skip_init

from advaug.core.domain import AFFINE_COLUMNS, RowCoding
from advaug.models.torch_model import TorchModel, output_tensor


def constant(values: Any) -> nn.Parameter:
    """Numbers as a float64 parameter that asks for no gradient."""
    return nn.Parameter(torch.tensor(dense(values), dtype=torch.float64), requires_grad=False)


def dense(values: Any) -> Any:
    """An array of numbers that may be sparse."""
    return values.toarray() if hasattr(values, "toarray") else np.array(values)


class Affine(nn.Module):
    """x -> (x - shift) * factor, column by column, perhaps clipped."""

    def __init__(self, shift: Any, factor: Any, limits: tuple[float, float] | None = None) -> None:
        super().__init__()
        self.shift, self.factor, self.limits = constant(shift), constant(factor), limits

    def forward(self, x: Tensor) -> Tensor:
        x = (x - self.shift) * self.factor
        return x if self.limits is None else x.clamp(*self.limits)


class UnitLength(nn.Module):
    """Each row divided by its norm; a row of zeros stays."""

    def __init__(self, norm: str) -> None:
        super().__init__()
        self.order = {"l1": 1.0, "l2": 2.0, "max": torch.inf}[norm]

    def forward(self, x: Tensor) -> Tensor:
        size = torch.linalg.vector_norm(x, self.order, dim=1, keepdim=True)
        return x / torch.where(size == 0, 1.0, size)


class Kernel(nn.Module):
    """x -> k(x, support vectors) @ weight + intercept."""

    def __init__(self, svc: SVC, weight: Any) -> None:
        super().__init__()
        self.vectors, self.weight = constant(svc.support_vectors_), constant(weight)
        self.intercept = constant(svc.intercept_)
        self.kind, self.gamma = svc.kernel, float(svc._gamma)
        self.degree, self.coef0 = svc.degree, svc.coef0

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "rbf":
            gap = (x[:, None] - self.vectors).square().sum(-1)
            return torch.exp(-self.gamma * gap) @ self.weight + self.intercept
        product = x @ self.vectors.T
        if self.kind == "poly":
            product = (self.gamma * product + self.coef0) ** self.degree
        elif self.kind == "sigmoid":
            product = torch.tanh(self.gamma * product + self.coef0)
        return product @ self.weight + self.intercept


class Votes(nn.Module):
    """Decisions between pairs of classes -> votes of each class, ties by summed decisions."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.pairs, self.n_classes = list(combinations(range(n_classes), 2)), n_classes

    def forward(self, x: Tensor) -> Tensor:
        votes = [torch.zeros_like(x[:, 0]) for _ in range(self.n_classes)]
        sums = list(votes)
        for k, (one, other) in enumerate(self.pairs):
            votes[one] = votes[one] + (x[:, k] >= 0)
            votes[other] = votes[other] + (x[:, k] < 0)
            sums[one], sums[other] = sums[one] + x[:, k], sums[other] - x[:, k]
        total = torch.stack(sums, 1)
        return torch.stack(votes, 1) + total / (3 * (total.abs() + 1))


def linear_layer(weight: Any, intercept: Any) -> nn.Module:
    """x -> x @ weight + intercept."""
    weight = np.asarray(weight)
    # Drawing first weights would advance torch's own generator, which is the user's.
    linear: nn.Module = skip_init(nn.Linear, *weight.shape, dtype=torch.float64)
    bias = np.broadcast_to(np.asarray(intercept, float), weight.shape[1])
    linear.weight, linear.bias = constant(weight.T), constant(bias)
    return linear


def linear_model(model: Any) -> nn.Module:
    return linear_layer(np.atleast_2d(dense(model.coef_)).T, model.intercept_)


def kernel_svc(svc: SVC) -> nn.Module | None:
    """SVC with a named kernel; several classes by votes between pairs."""
    coef, n_classes = dense(svc.dual_coef_), len(svc.classes_)
    if callable(svc.kernel) or svc.kernel == "precomputed" or svc.decision_function_shape != "ovr":
        return None
    if n_classes == 2:
        return Kernel(svc, coef.T)
    owner = np.repeat(np.arange(n_classes), svc.n_support_)
    columns = []
    for one, other in combinations(range(n_classes), 2):
        own = np.where(owner == one, coef[other - 1], 0)
        columns.append(own + np.where(owner == other, coef[one], 0))
    return nn.Sequential(Kernel(svc, np.stack(columns, 1)), Votes(n_classes))


def perceptron(model: MLPClassifier) -> nn.Module | None:
    """The layers up to the logits; None for several labels at once."""
    if model.out_activation_ not in ("logistic", "softmax") or model._label_binarizer.y_type_ == (
        "multilabel-indicator"
    ):
        return None
    gates = {"relu": nn.ReLU, "tanh": nn.Tanh, "logistic": nn.Sigmoid, "identity": nn.Identity}
    layers: list[nn.Module] = []
    for weight, intercept in zip(model.coefs_, model.intercepts_, strict=True):
        layers += [linear_layer(weight, intercept), gates[model.activation]()]
    return nn.Sequential(*layers[:-1])


def standard_scaler(scaler: StandardScaler) -> nn.Module:
    mean = 0.0 if scaler.mean_ is None else scaler.mean_
    return Affine(mean, 1.0 if scaler.scale_ is None else 1 / scaler.scale_)


def min_max_scaler(scaler: MinMaxScaler) -> nn.Module:
    limits = scaler.feature_range if scaler.clip else None
    return Affine(-scaler.min_ / scaler.scale_, scaler.scale_, limits)


def robust_scaler(scaler: RobustScaler) -> nn.Module:
    center = scaler.center_ if scaler.with_centering else 0.0
    return Affine(center, 1 / scaler.scale_ if scaler.with_scaling else 1.0)


def pca_projection(pca: PCA) -> nn.Module:
    weight = pca.components_.T
    if pca.whiten:
        weight = weight / np.sqrt(np.maximum(pca.explained_variance_, np.finfo(float).eps))
    return linear_layer(weight, -pca.mean_ @ weight)


Builder = Callable[[Any], nn.Module | None]

CLASSIFIERS: dict[type, Builder] = {
    **dict.fromkeys(
        (LogisticRegression, LogisticRegressionCV, LinearSVC, Perceptron), linear_model
    ),
    **dict.fromkeys((SGDClassifier, RidgeClassifier, RidgeClassifierCV), linear_model),
    LinearDiscriminantAnalysis: linear_model,
    MLPClassifier: perceptron,
    SVC: kernel_svc,
}
SCALERS: dict[type, Builder] = {
    MaxAbsScaler: lambda scaler: Affine(0.0, 1 / scaler.scale_),
    MinMaxScaler: min_max_scaler,
    Normalizer: lambda scaler: UnitLength(scaler.norm),
    PCA: pca_projection,
    RobustScaler: robust_scaler,
    StandardScaler: standard_scaler,
}


def steps_of(estimator: Any) -> tuple[list[Any], Any]:
    """The transformers of the rows at prediction time, and the classifier at the end."""
    while isinstance(estimator, FrozenEstimator):
        estimator = estimator.estimator
    if not isinstance(estimator, Pipeline):
        return [], estimator
    # imbalanced-learn's pipelines skip their samplers when they predict.
    steps = [step for _, step in estimator.steps[:-1] if step not in (None, "passthrough")]
    before, last = steps_of(estimator.steps[-1][1])
    return [step for step in steps if not hasattr(step, "fit_resample")] + before, last


class InOwnDtype(nn.Module):
    """A user's fitted net behind scalers, whose numbers have another precision."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        weight = next(self.module.parameters(), x)
        return output_tensor(self.module(x.to(weight))).to(x)


class Encoded(nn.Module):
    """A table's columns of numbers, in its units, as a coding encodes them."""

    def __init__(self, coding: RowCoding, width: int) -> None:
        super().__init__()
        origin = coding.native(torch.zeros(1, width, dtype=torch.float64))
        along = coding.native(torch.eye(width, dtype=torch.float64)) - origin
        self.place = along.abs().argmax(0).argsort()
        self.column = Affine(origin.numpy(), (1 / along.sum(0)).numpy())

    def forward(self, x: Tensor) -> Tensor:
        columns: Tensor = self.column(x)
        return columns[:, self.place]


def fitted_module(estimator: Any) -> nn.Module | None:
    """The net in a fitted estimator that has one as `module_`, such as skorch's."""
    module = getattr(estimator, "module_", None)
    return module if isinstance(module, nn.Module) else None


def net_with_coding(estimator: Any) -> nn.Module | None:
    """The net in a fitted estimator of ours, from columns of numbers in the table's units."""
    model, coding = getattr(estimator, "model_", None), getattr(estimator, "adapter_", None)
    if not isinstance(model, TorchModel) or coding is None or AFFINE_COLUMNS not in coding.provides:
        return None
    own = InOwnDtype(model.module)
    return (
        nn.Sequential(Encoded(coding, estimator.n_features_in_), own)
        if model.reads_encoded
        else own
    )


def formula_of(estimator: Any) -> nn.Module | None:
    """A fitted classifier alone, as a module from numbers to its decision."""
    if type(estimator) in CLASSIFIERS:
        decision = CLASSIFIERS[type(estimator)](estimator)
        return None if decision is None else decision.eval()
    if (module := fitted_module(estimator)) is not None:
        return InOwnDtype(module)
    return net_with_coding(estimator)


def sklearn_to_torch(estimator: Any) -> nn.Module | None:
    """The fitted estimator as a module from rows, in its own columns and units, to its decision.

    For two classes the decision is one logit. None for a type that is not in the tables.
    """
    scalers, last = steps_of(estimator)
    if any(type(scaler) not in SCALERS for scaler in scalers):
        return None
    parts = [*(SCALERS[type(scaler)](scaler) for scaler in scalers), formula_of(last)]
    if any(part is None for part in parts):
        return None
    return nn.Sequential(*(part for part in parts if part is not None))
