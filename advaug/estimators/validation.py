"""What all estimators share: checked rows, chosen settings, a clone that shares models."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import assert_all_finite, check_random_state
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    StrOptions,
)
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    _check_sample_weight,
    column_or_1d,
)
from torch import nn

from advaug import containers
from advaug.core.known_names import nearest
from advaug.core.parameters import is_auto
from advaug.estimators.attacked_model import is_given, own_coding
from advaug.estimators.choices import choose, choose_adapter
from advaug.estimators.doc_link import DocLinkMixin
from advaug.models.committee import Committee, Ensemble
from advaug.models.protocol import ModelFamily, Surrogate
from advaug.registry import SURROGATES, VoterName
from advaug.sampling.constraints import Finding, RowConstraints
from advaug.sampling.domain import Adapter, Coding

MIN_AUC = 0.6  # Under it the committee has learnt nothing that could be used.

# What is fitted or drawn from the seed of a call, each with a path of its own.
SAMPLE, COMMITTEE, ROWS, VOTERS, JUDGE, SURROGATE, ORDER = range(7)

SHARED_CONSTRAINTS: dict[str, list[Any]] = {
    "adapter": [str, HasMethods(["accepts", "fit"])],
    "surrogate": [str, Ensemble, Committee, nn.Module, HasMethods("predict"), HasMethods("fit")],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "device": [str, torch.device],
    "random_state": ["random_state"],
}

Voters = VoterName | ModelFamily | Sequence[VoterName | ModelFamily]


class SharesModels(DocLinkMixin):
    """scikit-learn's `clone` forgets what was fitted; a user's own model is handed on instead."""

    def __sklearn_clone__(self) -> Self:
        params = self.get_params(deep=False)  # type: ignore[attr-defined]
        copies = {
            name: value if is_given(value) else clone(value, safe=False)
            for name, value in params.items()
        }
        twin = type(self)(**copies)
        for kept in ("_metadata_request", "_sklearn_output_config"):
            if hasattr(self, kept):
                setattr(twin, kept, clone(getattr(self, kept), safe=False))
        return twin


def check_parameters(estimator: Any) -> None:
    """scikit-learn's check; a misspelt word is answered with the nearest one that is known."""
    try:
        estimator._validate_params()
    except InvalidParameterError as error:
        raise InvalidParameterError(f"{error}{nearest_word(estimator, str(error))}") from None


def nearest_word(estimator: Any, error: str) -> str:
    """What to add to an error of scikit-learn about a parameter that takes one of some words."""
    for name, value in estimator.get_params(deep=False).items():
        allowed = estimator._parameter_constraints.get(name, ())
        words = [one.options for one in allowed if isinstance(one, StrOptions)]
        near = nearest(value, set().union(*words)) if isinstance(value, str) and words else None
        if near is not None and f"{name!r} parameter" in error:
            return f" Did you mean {near!r}?"
    return ""


def refuse_empty(x: torch.Tensor) -> None:
    """ValueError if encoded rows have no cell, so that no model can learn from them."""
    if not x[0].numel():
        raise ValueError(
            "X has no column that can be learnt from: give one that is neither an identifier nor "
            "frozen free text"
        )


def check_rows(estimator: Any, X: Any, *, reset: bool) -> Any:
    """X as the estimator's adapter takes it; features are counted where X has columns."""
    if isinstance(X, np.ma.MaskedArray):
        raise TypeError("X is a masked array: pass X.filled(np.nan), missing cells are understood")
    if isinstance(X, np.ndarray) and X.dtype.kind == "T":
        raise TypeError("X is an array of numpy's StringDType: pass X.astype(object)")
    if isinstance(X, list | tuple) and not len(X):
        raise ValueError("Found array with 0 sample(s) (shape=(0,)): at least 1 row is required")
    if reset:
        estimator._adapter = choose_adapter(getattr(estimator, "adapter", "auto"), X)
    adapter = estimator._adapter  # Rows that come later are read as those of fit were.
    X = adapter.check(X)
    if reset or "columns" in adapter.provides:
        _check_n_features(estimator, X, reset=reset)
    named = X.values if isinstance(X, containers.Panel) else X
    _check_feature_names(estimator, named, reset=reset)
    return X


def reads_anything(tags: Any) -> Any:
    """The tags of a sampler that takes every container of ours."""
    tags.input_tags.allow_nan = True
    tags.input_tags.string = True
    tags.input_tags.categorical = True
    tags.input_tags.three_d_array = True
    return tags


def refuse_classes(estimator: Any) -> None:
    """TypeError for a parameter that is a class where an instance is asked for."""
    for name, value in estimator.get_params(deep=False).items():
        if isinstance(value, type):
            raise TypeError(f"{name} must be an instance: write {name}={value.__name__}()")


def refuse_no_labels(y: Any) -> None:
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None: pass the labels")


def refuse_one_class(classes: np.ndarray[Any, Any]) -> None:
    """ValueError if there is only one class."""
    if len(classes) < 2:
        raise ValueError(f"y must hold at least 2 classes, got 1 class ({classes.tolist()[0]!r})")


def refuse_unsortable(classes: np.ndarray[Any, Any], estimator: Any) -> None:
    """ValueError for labels, such as dates, that scikit-learn's classifiers do not take."""
    if not containers.is_sortable(classes):
        raise ValueError(
            f"y holds labels such as {classes[0]!r}, which {type(estimator).__name__} may not "
            "take: pass y=[str(label) for label in y]"
        )


def target_of(X: Any, y: Any) -> Any:
    """y as a vector of classes, one for each row."""
    refuse_no_labels(y)
    target = column_or_1d(containers.labels(containers.owned(y)), warn=True)
    if target.dtype.kind in "fc":
        assert_all_finite(target, input_name="y")
    if containers.is_sortable(target):
        check_classification_targets(target)
    containers.refuse_other_count(X, containers.count(X), len(target))
    return target


def checked_weights(
    sample_weight: Any, codes: np.ndarray[Any, Any], classes: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any] | None:
    """A weight of at least 0 for each row; ValueError if all rows of a class have 0."""
    if sample_weight is None:
        return None
    weight = np.asarray(_check_sample_weight(sample_weight, codes, ensure_non_negative=True))
    of_class = np.bincount(codes, weight)
    if not of_class.all():
        lost = classes.tolist()[of_class.argmin()]
        raise ValueError(
            f"no row of class {lost!r} has a sample_weight above 0: leave its rows out"
        )
    return weight.astype(np.float64)


def learnt_coding(adapter: str | Adapter, X: Any, surrogate: Any = "auto") -> Coding:
    """The coding of X, or that of a surrogate with a net inside, which reads no other."""
    own = own_coding(surrogate) if is_auto(adapter) else None
    return choose_adapter(adapter, X).fit(X) if own is None else own


def with_budgets(coding: Coding, radius: Any) -> tuple[Coding, float]:
    """The coding, and the radius in its units: 1 for budgets by column, by which it measures."""
    if isinstance(radius, Real):
        return coding, float(radius)
    return coding.budgeted(radius), 1.0


def choose_surrogate(surrogate: Any, coding: Coding) -> Surrogate:
    """The settings of what is attacked: the user's, or the default for such rows."""
    if is_auto(surrogate) or is_given(surrogate):
        return coding.defaults().ensemble
    settings: Surrogate = choose(SURROGATES, surrogate, Surrogate)
    return settings


def new_seed(random_state: Any) -> int:
    """The one number of a call from which all its random numbers are derived."""
    return int(check_random_state(random_state).randint(2**31 - 1))


def new_generator(random_state: np.random.RandomState) -> torch.Generator:
    """The one torch generator of a call; torch's own stays untouched."""
    return torch.Generator().manual_seed(int(random_state.randint(2**31 - 1)))


def findings_of(constraints: RowConstraints, coding: Coding) -> Any:
    """What was found in the real rows, of rules and of single columns, as a frame.

    The most surprising rule is the first.
    """
    every = [*constraints.findings, *coding.findings]
    found = sorted(every, key=lambda finding: -finding.by_chance)
    columns = {name: [getattr(one, name) for one in found] for name in Finding._fields}
    return containers.table(columns, {})
