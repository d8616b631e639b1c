"""The over-sampler: an imbalanced-learn sampler whose new rows an attack has placed.

It reads the user's container, lets `generation` grow rows of each class that asks for some, and
hands the container back with its own rows first and untouched.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.utils import check_sampling_strategy, check_target_type
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor
from tqdm import tqdm

from advaug import constraints as rules
from advaug import containers
from advaug.adapters import Coding
from advaug.attacks import ATTACKS, Attack, Square
from advaug.devices import resolve
from advaug.estimators.base import (
    SHARED_CONSTRAINTS,
    SharesModels,
    check_rows,
    choose_adapter,
    choose_attack,
    choose_ensemble,
    new_generator,
    refuse_classes,
)
from advaug.estimators.models import (
    Model,
    classes_of,
    held,
    is_given,
    logits_at,
    model_of,
    with_references,
)
from advaug.generation import (
    RECIPES,
    RECORD,
    Grown,
    Interpolate,
    Match,
    Pool,
    Recipe,
    Terms,
    generate,
)
from advaug.generation.pool import sample_of_classes
from advaug.objectives import Logits
from advaug.surrogates import Asked, Queried
from advaug.validity import Judge

FEWEST = 6  # rows of a class that a committee can learn from
LEAST_AUC = 0.6  # under it the committee has learnt nothing that an attack could use


@dataclass(frozen=True)
class Order:
    """What is to be grown for one class."""

    label: int
    count: int
    name: str
    recipe: Recipe
    is_fallback: bool = False


class AdversarialOverSampler(SharesModels, BaseOverSampler):
    """Over-sample with rows that an adversarial attack has placed and a jury has accepted.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        As in imbalanced-learn; counts are exact.
    recipe : {"auto", "match", "boundary", "harden", "translate", "interpolate"} or a recipe
        Where new rows start and what the attack raises; "auto" is "match".
    attack : {"auto", "fgsm", "pgd", "mifgsm", "noise"} or an attack, default="auto"
        How they move; "auto" is the recipe's own. "noise" is the control.
    radius : "auto" or float > 0
        How far: in the adapter's units (robust standard deviations for tables), length by the
        recipe's norm. "auto" is chosen row by row.
    adapter : {"auto", "tabular", "image"} or an adapter
        Reads the container; "auto" looks at it.
    surrogate : "auto", `Ensemble`, torch module or fitted classifier
        What is attacked: a cross-fitted committee of small nets, or your own model (shared, never
        copied or fitted): a net from rows in your units (images: 0 is black, 1 is white) to
        logits, or any fitted estimator or pipeline. One without a gradient is asked (attack
        "auto": `Square`); fit it on other rows, or its mistakes are learnt by heart. The jury is
        always a committee, and so are the margins that "match" aims at: with a model of your own
        "translate" and "harden" ask nothing of its scale.
    judge : "auto", None or `Judge`
        Which rows are kept. A refused row is drawn back towards a real one of its class.
    constraints : callable or list of callables, optional
        Each from rows (your container) to one bool a row. A synthetic row that breaks a rule
        which its parent keeps becomes a copy of a real row of its class.
    batch_size : int, default=4096
        Rows at once on the device; no row depends on it.
    device : str or torch.device, default="auto"
        "auto" is cuda where there is one.
    random_state : int, RandomState or None
    verbose : int, default=0
        Above 0 shows a progress bar.

    Attributes
    ----------
    sampling_strategy_ : dict of class -> number of new rows
    parent_indices_ : ndarray (rows out,): arange(n), then each synthetic row's parent
    synthetic_mask_ : ndarray of bool (rows out,)
    sample_weight_ : ndarray (rows out,): 1, and the jury's probability for synthetic rows
    provenance_ : DataFrame, a line for each synthetic row: parent, mate (second parent, -1 where
        there is none), recipe, label, distance, margin_before, margin_after, p_value, probability,
        kept (share of the move that the jury left), retracted, breaks_rule
    surrogate_auc_ : dict of class -> held-out AUC of the committee. Under .6 no attack is made.
    surrogate_, adapter_ : what was attacked, and the learnt coding
    n_features_in_, feature_names_in_

    Notes
    -----
    A class of fewer than 6 rows is interpolated between its rows, a single row is repeated, with
    one warning. Of a class with more than 10 000 rows a random sample is used as parents.

    References
    ----------
    Kim, Jeong, Shin. M2m: imbalanced classification via major-to-minor translation. CVPR 2020.
    Goodfellow, Shlens, Szegedy. Explaining and harnessing adversarial examples. ICLR 2015.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from advaug import AdversarialOverSampler
    >>> X, y = make_classification(300, weights=[0.9], random_state=0)
    >>> X_new, y_new = AdversarialOverSampler(random_state=0).fit_resample(X, y)
    >>> int((y_new == 0).sum()) == int((y_new == 1).sum())
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "sampling_strategy": BaseOverSampler._parameter_constraints["sampling_strategy"],
        "recipe": [StrOptions({"auto", *RECIPES}), HasMethods(["plan", "objective"])],
        "attack": [StrOptions({"auto", *ATTACKS}), callable],
        "radius": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "judge": [StrOptions({"auto"}), HasMethods("fit"), None],
        "constraints": [callable, list, tuple, None],
        "verbose": ["verbose"],
        **SHARED_CONSTRAINTS,
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        recipe: Any = "auto",
        attack: Any = "auto",
        radius: Any = "auto",
        adapter: Any = "auto",
        surrogate: Any = "auto",
        judge: Any = "auto",
        constraints: Any = None,
        batch_size: int = 4096,
        device: Any = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.recipe = recipe
        self.attack = attack
        self.radius = radius
        self.adapter = adapter
        self.surrogate = surrogate
        self.judge = judge
        self.constraints = constraints
        self.batch_size = batch_size
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.input_tags.three_d_array = True
        return tags

    def _check_X_y(self, X: Any, y: Any, accept_sparse: Any = None) -> tuple[Any, Any, bool]:
        checked = check_rows(self, X, reset=True)
        X = X if isinstance(X, list | tuple) else checked
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None: pass the labels")
        target = containers.labels(y)
        check_classification_targets(target)
        target, binarize_y = check_target_type(target, indicate_one_vs_all=True)
        check_consistent_length(range(containers.count(X)), target)
        return X, target, binarize_y

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """X and y with new rows below their own.

        Parameters
        ----------
        X : ndarray (n, features), (n, h, w) or (n, channels, h, w), pandas or polars frame,
            scipy sparse matrix, or list of rows
        y : labels in any container, or one-vs-all columns

        Returns
        -------
        X, y : the same containers and dtypes, longer; the first n rows are the user's own.
        """
        refuse_classes(self)
        self._validate_params()
        return self._fit_resample(X, y)

    def _fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        X, y = containers.owned(X), containers.owned(y)
        rows, target, _ = self._check_X_y(X, y)
        self.sampling_strategy_ = check_sampling_strategy(
            self.sampling_strategy, target, self._sampling_type
        )
        classes, codes = np.unique(target, return_inverse=True)
        generator = new_generator(check_random_state(self.random_state))
        pool, coding = self._learn(rows, torch.from_numpy(codes), generator)
        model = self._given(rows, coding, classes)
        attacked = None if model is None else attacked_at(model, coding, rows, pool)
        orders = self._orders(pool, classes)

        total = sum(order.count for order in orders)
        growing = Growing(rows, coding, pool, self.constraints, orders)
        batches = (
            growing.finish(grown, order)
            for order in orders
            for grown in self._grow(order, pool, attacked, generator)
        )
        bar = tqdm(total=total, disable=not self.verbose, unit="rows", desc="advaug")
        with held(model), bar:
            X_out = containers.join(X, counted(batches, bar), growing.record["parent"])
        example = np.unique(codes, return_index=True)[1][growing.record["label"]]
        y_out = containers.join(y, [containers.take(y, example)], growing.record["parent"])
        self._remember(growing, pool, coding, classes, len(codes))
        self.surrogate_ = pool.committee if model is None else model
        return X_out, y_out

    def _learn(self, X: Any, codes: Tensor, generator: torch.Generator) -> tuple[Pool, Coding]:
        """Coding of all rows; committee on at most 10 000 of each class."""
        coding = choose_adapter(self.adapter, X).fit(X)
        kept = sample_of_classes(codes, generator)
        x = coding.encode(containers.take(X, kept.numpy()))
        y = codes[kept]
        if not x[0].numel():
            raise ValueError("X has no column that can be learnt from: all of them are frozen text")
        ensemble = choose_ensemble(self.surrogate)
        device = resolve(self.device)
        n_classes = int(codes.max()) + 1
        committee = ensemble.fit(x.flatten(1).to(device), y, n_classes, generator).to("cpu")
        norm = getattr(self._recipe(), "norm", 2.0)
        return Pool(x, y, kept, coding.space(norm), committee), coding

    def _recipe(self) -> Recipe:
        if not isinstance(self.recipe, str):
            return self.recipe
        return Match() if self.recipe == "auto" else RECIPES[self.recipe]()

    def _orders(self, pool: Pool, classes: Any) -> list[Order]:
        """How many rows of each class by which recipe: small and unlearnable classes fall back."""
        self.surrogate_auc_, orders, small = {}, [], []
        name = self.recipe if isinstance(self.recipe, str) else type(self.recipe).__name__.lower()
        name = "match" if name == "auto" else name
        for label, value in enumerate(classes.tolist()):
            count = int(self.sampling_strategy_.get(value, 0))
            if not count:
                continue
            own = len(pool.of(label))
            auc = pool.auc(label)
            self.surrogate_auc_[value] = auc
            if own < FEWEST:
                small.append(f"{value!r} ({own} rows)")
            if own < FEWEST or auc < LEAST_AUC:
                orders.append(Order(label, count, "interpolate", Interpolate(), True))
            else:
                orders.append(Order(label, count, name, self._recipe()))
        if small:
            warnings.warn(
                f"too few rows to learn from in class {', '.join(small)}: interpolated between "
                "them, or repeated; give the class more rows or leave it out of "
                "sampling_strategy",
                UserWarning,
                stacklevel=4,
            )
        return orders

    def _given(self, X: Any, coding: Coding, classes: Any) -> Model | None:
        """The user's own model, tried on X; None: half of the committee is attacked."""
        if not is_given(self.surrogate):
            return None
        model = model_of(self.surrogate, coding, X, len(classes))
        known = classes_of(model)
        if known is not None and not np.array_equal(known, classes):
            raise ValueError(
                f"surrogate knows the classes {list(known)}, but y has {list(classes)}: fit it on "
                "the same labels"
            )
        return model

    def _attack_of(self, recipe: Recipe, is_asked: bool) -> Attack | None:
        """The attack named, given, or the recipe's own; queries instead of its gradient."""
        if self.attack != "auto":
            return choose_attack(self.attack)
        if recipe.attack is None or not is_asked:
            return recipe.attack
        return Square(steps=100, stop_at=getattr(recipe.attack, "stop_at", None))

    def _grow(
        self, order: Order, pool: Pool, attacked: Logits | None, generator: torch.Generator
    ) -> Iterator[Grown]:
        attack = self._attack_of(order.recipe, isinstance(attacked, Asked))
        if attack is not None:
            attack = with_references(attack, pool.x[pool.of(order.label)])
        judge = Judge() if isinstance(self.judge, str) else self.judge
        bench = judge.fit(pool.flat[pool.of(order.label)], generator) if judge else None
        terms = Terms(
            attack=None if order.is_fallback else attack,
            attacked=attacked,
            bench=None if order.is_fallback else bench,
            radius=None if self.radius == "auto" else self.radius,
            batch_size=int(self.batch_size),
            device=resolve(self.device),
        )
        yield from generate(pool, order.recipe, order.label, order.count, terms, generator)

    def _remember(
        self, growing: "Growing", pool: Pool, coding: Coding, classes: Any, n: int
    ) -> None:
        record = growing.record
        self.parent_indices_ = np.concatenate([np.arange(n), record["parent"]])
        self.synthetic_mask_ = np.arange(len(self.parent_indices_)) >= n
        self.sample_weight_ = np.ones(len(self.parent_indices_))
        self.sample_weight_[n:] = record["probability"]
        self.provenance_ = containers.table(record, {"recipe": growing.recipes, "label": classes})
        self.adapter_ = coding


def attacked_at(model: Model, coding: Coding, X: Any, pool: Pool) -> Logits:
    """The user's model on the pool's encoded rows, asked in the user's own container."""
    rows = containers.take(X, pool.rows.numpy()) if isinstance(model, Queried) else None
    return logits_at(model, coding, rows, pool.x)


class Growing:
    """Accepted rows on their way into the user's container, and what is written down of them.

    The record's columns are laid out once and filled batch by batch.
    """

    def __init__(
        self, X: Any, coding: Coding, pool: Pool, constraints: Any, orders: list[Order]
    ) -> None:
        self.X, self.coding, self.pool, self.constraints = X, coding, pool, constraints
        self.recipes = sorted({order.name for order in orders})
        self.done, total = 0, sum(order.count for order in orders)
        self.record: dict[str, np.ndarray[Any, Any]] = {
            **{name: np.empty(total, dtype=int) for name in ("parent", "mate")},
            **{name: np.empty(total, dtype=np.int32) for name in ("recipe", "label")},
            **{name: np.empty(total, dtype=np.float32) for name in RECORD},
            **{name: np.empty(total, dtype=bool) for name in ("retracted", "breaks_rule")},
        }

    def finish(self, grown: Grown, order: Order) -> Any:
        """The batch decoded on copies of its parents; what breaks a rule becomes its home row."""
        parent = self.pool.rows[grown.parent].numpy()
        rows, seed, x = containers.take(self.X, parent), self.pool.x[grown.parent], grown.x
        new = self.coding.decode(x, seed, rows)
        bad = rules.broken(self.constraints, rows, new, len(parent))
        facts: dict[str, Any] = {name: grown.record[name].numpy() for name in RECORD}
        mate = np.where(grown.mate < 0, -1, self.pool.rows[grown.mate].numpy())
        if bad.any():
            home = grown.home[torch.from_numpy(bad)]
            grown.parent[torch.from_numpy(bad)] = home
            parent = self.pool.rows[grown.parent].numpy()
            rows, seed = containers.take(self.X, parent), self.pool.x[grown.parent]
            x[torch.from_numpy(bad)] = self.pool.x[home]
            new = self.coding.decode(x, seed, rows)
            margins = self.pool.margins(order.label)[home].numpy()
            facts["margin_before"][bad] = facts["margin_after"][bad] = margins
            facts["kept"][bad], facts["distance"][bad], mate[bad] = 0, 0, -1
            facts["p_value"][bad], facts["probability"][bad] = np.nan, 1
        facts |= {"parent": parent, "mate": mate, "retracted": facts["kept"] < 1}
        facts |= {"recipe": self.recipes.index(order.name), "label": order.label}
        for name, values in (facts | {"breaks_rule": bad}).items():
            self.record[name][self.done : self.done + len(parent)] = values
        self.done += len(parent)
        return new


def counted(batches: Iterator[Any], bar: Any) -> Iterator[Any]:
    """The batches, each told to the progress bar."""
    for batch in batches:
        bar.update(containers.count(batch))
        yield batch
