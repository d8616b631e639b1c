"""What a parameter names or holds, as an object; and whether the objects fit each other.

All is checked before anything is trained.
"""

from collections.abc import Callable
from typing import Any, Generic, Protocol

import numpy as np

from advaug import containers
from advaug.core.domain import RowCoding
from advaug.core.problem import Attack
from advaug.registry import ADAPTERS, ATTACKS, JUDGES, RECIPES, VOTERS, Registry
from advaug.sampling.domain import Adapter
from advaug.sampling.judges.protocol import Judge
from advaug.sampling.recipes import Recipe


def choose(registry: Registry, value: Any, protocol: type | None = None) -> Any:
    """The object that a name stands for, or the object itself.

    Raises
    ------
    ValueError : no such name; the nearest one is given
    TypeError : the object lacks members of the protocol; the class to inherit from is named
    """
    if isinstance(value, str):
        if value not in registry:
            raise ValueError(registry.unknown(value))
        return registry[value]()
    if protocol is not None and not isinstance(value, protocol):
        lacks = [name for name in members(protocol) if not hasattr(value, name)]
        raise TypeError(
            f"{registry.parameter} {type(value).__name__} has no {', '.join(lacks)}: inherit from "
            f"{protocol.__module__}.{protocol.__name__}, which has defaults for most of them"
        )
    return value


def members(protocol: type) -> list[str]:
    """The public members of a protocol."""
    bases = [base for base in protocol.__mro__ if base not in (Protocol, Generic, object)]
    names = {
        name for base in bases for name in (*vars(base), *vars(base).get("__annotations__", ()))
    }
    return sorted(name for name in names if not name.startswith("_"))


def choose_adapter(adapter: str | Adapter, X: Any) -> Adapter:
    """The adapter named or given, or the first one that accepts X."""
    if adapter != "auto":
        return choose(ADAPTERS, adapter, Adapter)
    for name in ADAPTERS:
        one = ADAPTERS[name]()
        if one.accepts(X):
            return one
    containers.refuse_ragged(X)
    raise ValueError(
        f"Found array with dim {np.ndim(X)} and dtype {getattr(X, 'dtype', '?')} that no adapter "
        f"takes: {', '.join(ADAPTERS)} are known. Reshape your data to (rows, columns), (signals, "
        "channels, time) or (images, channels, height, width), or name one, e.g. adapter='image'"
    )


def choose_attack(attack: str | Attack) -> Attack:
    """The attack named or given."""
    return choose(ATTACKS, attack, Attack)


def choose_recipe(recipe: str | Recipe) -> Recipe:
    """The recipe named or given."""
    return choose(RECIPES, recipe, Recipe)


def choose_judge(judge: str | Judge) -> Judge:
    """The judge named or given."""
    return choose(JUDGES, judge, Judge)


def is_stacked(voters: Any) -> bool:
    """Whether all models of `CommitteeClassifier` vote, with its weights."""
    return isinstance(voters, str) and voters == "stacked"


def choose_voters(voters: Any) -> tuple[Any, ...]:
    """Functions (x, y, n_classes, generator) -> (rows -> probabilities), named or given."""
    named = [voters] if isinstance(voters, str) or callable(voters) else list(voters)
    for one in named:
        if isinstance(one, str) and one not in VOTERS:
            raise ValueError(VOTERS.unknown(one))
        if not isinstance(one, str) and not callable(one):
            raise TypeError(
                f"a voter is a name or a function (x, y, n_classes, generator) that returns a "
                f"function from rows to probabilities, got {one!r}"
            )
    return tuple(VOTERS[one] if isinstance(one, str) else one for one in named)


MEANINGS = {
    "cells": "rows of numbers",
    "columns": "a table",
    "descriptors": "signals",
    "edits": "sequences",
    "embedding": "a net that reads tokens through torch.nn.Embedding",
    "gradient": "a model with a gradient in such rows",
    "time_axis": "signals",
    "leaf_boxes": "a fitted tree or forest on plain numbers",
}


class Requires(Protocol):
    """An attack, a recipe, a judge or the settings of a surrogate."""

    @property
    def requires(self) -> frozenset[str]: ...


class Provides(Protocol):
    """A model, or the settings of one that is not trained yet."""

    @property
    def provides(self) -> frozenset[str]: ...


def provided(coding: RowCoding, model: Provides) -> frozenset[str]:
    """What rows and model provide together; a gradient only if both have one."""
    either, both = coding.provides | model.provides, coding.provides & model.provides
    return either if "gradient" in both else either - {"gradient"}


def meaning(word: str) -> str:
    """A required word, and what it means to a user."""
    return f"{word} ({MEANINGS[word]})" if word in MEANINGS else word


def anything(thing: Any) -> bool:
    return True


def refuse_unfit(
    parameter: str,
    thing: Requires,
    coding: RowCoding,
    model: Provides,
    registry: Registry,
    admits: Callable[[Any], bool] = anything,
) -> None:
    """ValueError if something requires what rows and model do not provide; it names what fits.

    `admits` is whether the estimator takes a thing that fits the rows and the model.
    """
    provides = provided(coding, model)
    lacks = sorted(thing.requires - provides)
    if lacks:
        raise ValueError(
            f"{parameter} {type(thing).__name__} requires {' and '.join(map(meaning, lacks))}, but "
            f"rows of {type(coding).__name__} and model {type(model).__name__} provide only "
            f"{', '.join(sorted(provides)) or 'nothing'}: "
            + take_one_that_fits(registry, provides, admits)
        )


def take_one_that_fits(
    registry: Registry, provides: frozenset[str], admits: Callable[[Any], bool]
) -> str:
    """The mend of an error: names that fit, those that fit anywhere (the controls) at the end."""
    things = {name: registry[name]() for name in registry}
    names = [name for name, thing in things.items() if thing.requires <= provides and admits(thing)]
    names.sort(key=lambda name: not things[name].requires)
    return f"take {registry.parameter}={' or '.join(map(repr, names[:4]))}"
