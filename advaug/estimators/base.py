"""What both estimators share: checked rows, chosen settings, a clone that shares models."""

from numbers import Integral
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import check_array
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _check_feature_names, _check_n_features
from torch import nn

from advaug import containers
from advaug.adapters import ADAPTERS, Adapter, adapter_for
from advaug.attacks import ATTACKS, Attack
from advaug.estimators.models import is_given
from advaug.surrogates import Committee, Ensemble

SHARED_CONSTRAINTS: dict[str, list[Any]] = {
    "adapter": [StrOptions({"auto", *ADAPTERS}), HasMethods(["accepts", "fit"])],
    "surrogate": [StrOptions({"auto"}), Ensemble, Committee, nn.Module, HasMethods("predict")],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "device": [str, torch.device],
    "random_state": ["random_state"],
}


class SharesModels:
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


def check_rows(estimator: Any, X: Any, *, reset: bool) -> Any:
    """X as it came (lists as arrays), checked for shape, size and features."""
    if isinstance(X, np.ma.MaskedArray):
        raise TypeError("X is a masked array: pass X.filled(np.nan), missing cells are understood")
    kind = containers.kind_of_container(X)
    if kind == "frame":
        containers.refuse_twice(X)
        if not containers.count(X) or not X.shape[1]:
            raise ValueError(
                f"Found array with {X.shape[0]} sample(s) and {X.shape[1]} feature(s) "
                f"(shape={X.shape}) while a minimum of 1 is required."
            )
    else:
        X = check_array(X, accept_sparse=True, dtype=None, ensure_all_finite=False, allow_nd=True)
    if reset or np.ndim(X) <= 2:
        _check_n_features(estimator, X, reset=reset)
    _check_feature_names(estimator, X, reset=reset)
    return X


def refuse_classes(estimator: Any) -> None:
    """TypeError for a parameter that is a class where an instance is asked for."""
    for name, value in estimator.get_params(deep=False).items():
        if isinstance(value, type):
            raise TypeError(f"{name} must be an instance: write {name}={value.__name__}()")


def choose_adapter(adapter: str | Adapter, X: Any) -> Adapter:
    """The adapter named, given, or found by looking at X."""
    if not isinstance(adapter, str):
        return adapter
    return adapter_for(X) if adapter == "auto" else ADAPTERS[adapter]()


def choose_attack(attack: str | Attack) -> Attack:
    """The attack named or given."""
    return ATTACKS[attack]() if isinstance(attack, str) else attack


def choose_ensemble(surrogate: Any) -> Ensemble:
    """The settings of the committee: the user's, or the default where there is none."""
    return surrogate if isinstance(surrogate, Ensemble) else Ensemble()


def new_generator(random_state: np.random.RandomState) -> torch.Generator:
    """The one torch generator of a call; torch's own stays untouched."""
    return torch.Generator().manual_seed(int(random_state.randint(2**31 - 1)))
