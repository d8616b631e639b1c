"""What a `surrogate=` is, decided in one place: a net, a committee, or any fitted estimator.

An estimator is shared: never copied, never fitted. Where its decision has a formula it becomes a
torch module with exact gradients; any other one is only asked.
"""

import warnings
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from advaug import containers
from advaug.core.domain import AFFINE_COLUMNS, RowCoding
from advaug.core.leaf_boxes import LeafBoxes
from advaug.estimators.agreement import evenly_spaced
from advaug.models.committee import Committee
from advaug.models.fitted_trees import FittedTrees, fitted_trees
from advaug.models.pipeline_to_torch import pipeline_to_torch
from advaug.models.protocol import Array, AttackedModel
from advaug.models.queried_estimator import QueriedEstimator
from advaug.models.sklearn_to_torch import fitted_module, sklearn_to_torch
from advaug.models.torch_model import TorchModel, reads_tokens, refuse_nan
from advaug.sampling.domain import Coding

PROBED = 64  # rows on which a model is looked at before it is attacked
OFF_STEP = 1e-6  # steps from a whole count of them, from which on a value is not on one
ALIKE = 0.98  # share of them on which a torch twin must predict as its estimator does


def is_given(surrogate: Any) -> bool:
    """Whether the surrogate is a model of the user's own, to be attacked as it is."""
    return isinstance(surrogate, nn.Module | Committee) or hasattr(surrogate, "predict")


def attacked_model(
    surrogate: Any, coding: RowCoding, X: Any, n_classes: int | None
) -> AttackedModel:
    """A user's own model as an attacked one, tried on rows of X.

    TypeError and ValueError say what cannot be attacked, and what mends it.
    """
    if isinstance(surrogate, Committee):
        return surrogate
    if own_coding(surrogate) is coding:
        own: AttackedModel = surrogate.model_
        return own
    if own_coding(surrogate) is coding.base and isinstance(surrogate.model_, TorchModel):
        return net_of_base(surrogate.model_, coding)
    if isinstance(surrogate, nn.Module):
        return attacked_net(surrogate, coding, X, n_classes)
    check_classifier(surrogate)
    rows = containers.take(X, evenly_spaced(containers.count(X), PROBED))
    try:
        predicted = np.asarray(surrogate.predict(containers.given_back(rows)))
        model = QueriedEstimator(surrogate, encoded_boxes(surrogate, coding, rows))
        model = model.choose_response(rows)
    except Exception as error:
        name = type(surrogate).__name__
        raise ValueError(
            f"surrogate {name} cannot predict rows like those of X ({error}): fit it on the "
            "columns and the container that are attacked"
        ) from error
    net = differentiable(surrogate, coding, X)
    return net if net is not None and agrees(net, coding, rows, predicted) else model


def net_of_base(net: TorchModel, coding: RowCoding) -> TorchModel:
    """A net that reads rows of the coding without budgets, as one of those of the coding."""
    if coding.base is coding or not net.reads_encoded:
        return net
    return TorchModel(net.module, net.classes, True, layout=coding.in_base)


def attacked_net(module: nn.Module, coding: RowCoding, X: Any, n_classes: int | None) -> TorchModel:
    """A user's net, tried on rows in each layout that the coding has; the first one that fits."""
    numbers = evenly_spaced(containers.count(X), PROBED)
    encoded, failure = coding.encode(containers.take(X, numbers)), None
    for layout in coding.layouts():
        net = TorchModel(module, layout=layout)
        native = layout(encoded)
        try:
            coding.check_net(net.logits, native)
            check_logits(net, native, numbers, n_classes, slopes="gradient" in coding.provides)
        except ValueError as error:
            failure = failure or error
            continue
        net.detect_probabilities(native)
        return net
    assert failure is not None  # Every coding has a layout.
    raise failure


def differentiable(estimator: Any, coding: RowCoding, X: Any) -> TorchModel | None:
    """A fitted estimator as a net of encoded rows with the same decision; None if it has none."""
    classes = np.asarray(estimator.classes_)
    if AFFINE_COLUMNS in coding.provides:
        twin = sklearn_to_torch(estimator)
        if twin is not None:
            return TorchModel(twin, classes=classes)
    elif (module := fitted_module(estimator)) is not None:
        return TorchModel(module, classes=classes)
    if "columns" not in coding.provides:
        return None
    twin = pipeline_to_torch(estimator, coding.base, X)
    return None if twin is None else net_of_base(TorchModel(twin, classes, True), coding)


def agrees(net: TorchModel, coding: RowCoding, rows: Any, predicted: Any) -> bool:
    """Whether a net predicts what its estimator does; it learns whether it gives probabilities.

    False for a net that cannot read such rows.
    """
    seed = coding.encode(rows)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # The estimator's net is as it is.
            net.detect_probabilities(net.rows_for(coding, seed))
        with torch.no_grad():
            said = net.encoded_logits(coding, rows, seed)(seed).argmax(1).numpy()
    except (RuntimeError, TypeError, AttributeError, ValueError, IndexError, KeyError):
        return False
    is_known = bool(said.max(initial=0) < len(net.classes))  # type: ignore[arg-type]
    return is_known and (net.classes[said] == predicted).mean() >= ALIKE  # type: ignore[index]


def own_coding(surrogate: Any) -> Coding | None:
    """The coding of a fitted estimator with a net inside (`model_`); None for all others."""
    return getattr(surrogate, "adapter_", None) if hasattr(surrogate, "model_") else None


def check_classifier(estimator: Any) -> None:
    """TypeError or ValueError for what is no fitted classifier of one target."""
    name = type(estimator).__name__
    if isinstance(estimator, type):
        raise TypeError(f"surrogate must be a fitted instance, got the class {estimator.__name__}")
    if hasattr(estimator, "get_params"):
        try:
            check_is_fitted(estimator)
        except (NotFittedError, TypeError) as error:
            raise ValueError(
                f"surrogate {name} is not fitted: pass surrogate={name}(...).fit(X, y); it is "
                "attacked as it is"
            ) from error
    classes = getattr(estimator, "classes_", None)
    if classes is None or isinstance(classes, list) or np.ndim(classes) != 1 or len(classes) < 2:
        raise TypeError(
            f"surrogate {name} is no classifier of one target: it needs classes_ with at least "
            f"two classes, got {classes!r}"
        )


def encoded_boxes(estimator: Any, coding: RowCoding, rows: Any) -> LeafBoxes | None:
    """The leaves of a tree ensemble, as boxes of encoded rows."""
    trees = fitted_trees(estimator) if AFFINE_COLUMNS in coding.provides else None
    if trees is None or not predicts_as(trees, estimator, rows):
        return None
    if (boxes := trees.leaf_boxes()) is None:
        return None
    seed, values = coding.encode(rows), containers.number_matrix(rows)
    place, center, scale = columns_of(coding, seed.shape[1])
    steps = native_steps(coding, seed, values, place, scale)
    count = (values - values[0]) / np.where(steps > 0, steps, 1.0)
    steps = np.where((np.abs(count - np.rint(count)) < OFF_STEP).all(0), steps, 0.0)
    return boxes.between_steps(values[0], steps, trees.read).scaled(place, center, scale)


def native_steps(
    coding: RowCoding, seed: Tensor, values: Array, place: Array, scale: Array
) -> Array:
    """The distance between neighbouring values of each column, in its units; 0 for any value.

    Encoded steps are float32: those of the values themselves, by least squares, are exact.
    """
    steps = coding.space().steps(seed).double().numpy()[place] * scale
    steps = np.array([float(f"{step:.6g}") for step in steps])
    move = np.nan_to_num(values - np.fmin.reduce(values, axis=0))
    count = np.rint(move / np.where(steps > 0, steps, 1.0))
    size = (count**2).sum(0)
    return np.where((steps > 0) & (size > 0), (count * move).sum(0) / size.clip(1), steps)


def predicts_as(trees: FittedTrees, estimator: Any, rows: Any) -> bool:
    """Whether trees that were read predict as their estimator, which may decide in its own way."""
    codes = trees.predict(containers.number_matrix(rows))
    return bool((np.asarray(estimator.classes_)[codes] == estimator.predict(rows)).all())


def columns_of(coding: RowCoding, width: int) -> tuple[Array, Array, Array]:
    """Of each column of numbers its place in encoded rows, and its numbers at 0 and from 0 to 1."""
    origin = coding.native(torch.zeros(1, width, dtype=torch.float64))
    along = coding.native(torch.eye(width, dtype=torch.float64)) - origin
    return along.abs().argmax(0).numpy(), origin[0].numpy(), along.sum(0).numpy()


def check_logits(
    net: TorchModel,
    rows: Tensor,
    numbers: Array,
    n_classes: int | None,
    name: str = "surrogate",
    *,
    slopes: bool = True,
) -> None:
    """ValueError, naming the parameter, if a net has no logits with a gradient for such rows.

    `numbers` are those that the rows have in X.
    """
    try:
        with torch.enable_grad():
            logits = net.logits(rows.detach().requires_grad_(slopes))
    except (RuntimeError, TypeError, AttributeError, ValueError, IndexError, KeyError) as error:
        first_line = str(error).strip().split("\n")[0]
        is_table = rows.is_floating_point() and reads_tokens(net.module)
        mend = (
            ". It embeds tokens, but these rows are numbers: pass lists of tokens and "
            "adapter='sequence'"
        )
        raise ValueError(
            f"{name} cannot take rows of shape {tuple(rows.shape)} to logits: {first_line}"
            + mend * is_table
        ) from error
    if slopes and not logits.requires_grad:
        raise ValueError(
            f"{name} has no gradient from its rows to its output: let it return logits, neither "
            "detached nor argmax"
        )
    wrong = n_classes is not None and logits.shape[1] != n_classes
    if logits.dim() != 2 or len(logits) != len(rows) or wrong:
        raise ValueError(
            f"{name} gives logits of shape {tuple(logits.shape)} for {len(rows)} rows, "
            f"but y has {n_classes} classes: its last layer must have {n_classes} outputs"
            + (" (or one)" if n_classes == 2 else "")
        )
    refuse_nan(logits, rows, name, numbers)
