"""The over-sampler: an imbalanced-learn sampler whose new rows an attack has placed.

It reads the user's container, lets `generation` grow rows of each class that asks for some, and
hands the container back with its own rows first and untouched.
"""

import warnings
import weakref
from collections.abc import Callable, Iterator
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.utils import check_sampling_strategy
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from tqdm import tqdm

from advaug import containers
from advaug.attacks.ascent import Attack
from advaug.core.devices import resolve
from advaug.core.domain import Coding, RowConstraints
from advaug.core.objectives import Logits
from advaug.domains.sequences.ngram_ridge import NGramRidge
from advaug.estimators import domain_defaults
from advaug.estimators.attacked_model import (
    Model,
    attacked_model,
    classes_of,
    frozen_during,
    is_given,
    logits_of_encoded,
    with_references,
)
from advaug.estimators.provenance import ClassRequest, ProvenanceRecorder, counted, report_of
from advaug.estimators.validation import (
    LEAST_AUC,
    SHARED_CONSTRAINTS,
    SharesModels,
    check_X_y,
    choose_attack,
    fit_committee,
    learnt_coding,
    new_generator,
    reads_anything,
    refuse_classes,
)
from advaug.models.out_of_fold import OutOfFoldModel
from advaug.models.queried_estimator import QueriedEstimator, QueriedLogits
from advaug.registry import ATTACKS
from advaug.sampling.encoded_dataset import EncodedDataset
from advaug.sampling.engine import GenerationConfig, SyntheticBatch, generate
from advaug.sampling.recipes import RECIPES, Explore, Interpolate, Match, Recipe

FEWEST = 6  # rows of a class that a committee can learn from


class AdversarialOverSampler(SharesModels, BaseOverSampler):
    """Over-sample with rows that an adversarial attack has placed and a jury has accepted.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        As in imbalanced-learn; counts are exact.
    recipe : {"auto", "explore", "match", "boundary", "harden", "translate", "interpolate"} or a \
recipe
        Where new rows start and what the attack raises; "auto" is "explore" (which warps
        the time of most signals), and "match" where the surrogate is a model of your own.
    attack : {"auto", "fgsm", "pgd", "mifgsm", "noise"} or an attack, default="auto"
        How they move; "auto" is the recipe's own. "noise" is the control.
    radius : "auto" or float > 0
        How far: in the adapter's units (robust standard deviations for tables, standard deviations
        of the channels for signals, edits for sequences), length by the recipe's norm. "auto" is
        chosen row by row.
    adapter : {"auto", "tabular", "image", "signal", "sequence"} or an adapter
        Reads the container; "auto" looks at it.
    surrogate : "auto", `Ensemble`, `NGramRidge`, torch module or fitted classifier
        What is attacked: a cross-fitted committee of small nets; of sequences also linear models
        on n-grams or nets on embedded tokens, cross-fitted too; or your own model (shared, never
        copied or fitted): a net from rows in your units (images: 0 is black, 1 is white) to
        logits, or any fitted estimator or pipeline. One without a gradient is asked (attack
        "auto": `Square`); fit it on other rows, or its mistakes are learnt by heart. The jury is
        always a committee, and so are the margins that "match" aims at: with a model of your own
        "translate" and "harden" ask nothing of its scale.
    judge : "auto", None, `ConformalJudge`, `PanelJudge` or whatever has their `fit`
        Which rows are kept; "auto" is `ConformalJudge`, for signals in a `DescriptorBandJudge`; of
        sequences it refuses copies of real ones too. `PanelJudge` asks other families of models as
        well and costs more, `BigramJudge` keeps sequences that read like their class. A refused
        row is drawn anew by "explore", by the others back towards a real one of its class.
    constraints : `Constraints`, rule or list of rules, optional
        Expressions such as ``"open <= total"``, rule objects, or callables from rows (your
        container) to one bool a row: see `advaug.constraints`. A synthetic row that breaks a rule
        which its parent keeps is repaired; what cannot be becomes a copy of a real row.
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
        kept (share of the move that the jury left), retracted, repaired (the row broke a rule and
        keeps it now), reverted (it has the parent's cells in the columns of a rule), replaced (it
        is a copy of a real row, since a rule could not be kept); of sequences also edits: place of
        the token in the parent -> (tokens before, tokens after)
    constraints_report_ : dict: "rules" (rule -> share of X's rows that keep it) and how many
        synthetic "rows" there are, and how many of them are "repaired", "reverted" and "replaced"
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
        "constraints": [callable, str, list, tuple, HasMethods("check"), None],
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
        return reads_anything(super().__sklearn_tags__())

    def _check_X_y(self, X: Any, y: Any, accept_sparse: Any = None) -> tuple[Any, Any, bool]:
        return check_X_y(self, X, y)

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """X and y with new rows below their own.

        Parameters
        ----------
        X : ndarray (n, features), (n, channels, time), (n, h, w) or (n, channels, h, w), pandas or
            polars frame, scipy sparse matrix, list of rows, list of (channels, time_i) arrays, or
            list or series of texts or lists of tokens
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
        coding = learnt_coding(self.adapter, rows, self.surrogate)
        constraints = coding.constraints(self.constraints, rows)
        shares = constraints.shares  # A rule that does not fit is refused before any work.
        norm = getattr(self._recipe(), "norm", 2.0)
        pool = fit_committee(self, rows, coding, torch.from_numpy(codes), norm, generator)
        model = self._given(rows, coding, classes)
        attacked = None if model is None else attacked_at(model, coding, rows, pool)
        if isinstance(self.surrogate, NGramRidge):
            seen = (pool.x, pool.y, len(classes), generator, pool.committee.features)
            model = self.surrogate.fit(*seen)
            attacked = OutOfFoldModel(model.member_logits, model.fold_of_member, model.fold_of_row)
        orders = self._orders(pool, coding, classes)
        is_sifted = any(order.recipe.chance is not None for order in orders)
        if is_sifted:
            pool = domain_defaults.with_voters(pool, coding, len(classes), generator)

        total = sum(order.count for order in orders)
        growing = ProvenanceRecorder(rows, coding, pool, constraints, orders)
        batches = (
            growing.finish(grown, order)
            for order in orders
            for grown in self._grow(order, pool, coding, attacked, constraints, generator)
        )
        bar = tqdm(total=total, disable=not self.verbose, unit="rows", desc="advaug")
        with frozen_during(model), bar:
            X_out = containers.join(X, counted(batches, bar), growing.record["parent"])
        example = np.unique(codes, return_index=True)[1][growing.record["label"]]
        y_out = containers.join(y, [containers.take(y, example)], growing.record["parent"])
        self._remember(growing, pool, coding, classes, len(codes))
        self.surrogate_ = pool.committee if model is None else model
        self.constraints_report_ = report_of(shares, growing.record)
        self._made = tuple(weak(rows) for rows in (X_out, y_out))
        return X_out, y_out

    def made(self) -> tuple[Any, Any] | None:
        """X and y as `fit_resample` last returned them, for as long as you hold them; else None.

        They are not the sampler's: it neither keeps them alive nor takes them along when it is
        copied or stored.
        """
        X, y = (hold() for hold in getattr(self, "_made", (nothing, nothing)))
        return None if X is None or y is None else (X, y)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_made"}

    def _recipe(self) -> Recipe:
        if not isinstance(self.recipe, str):
            return self.recipe
        if self.recipe != "auto":
            return RECIPES[self.recipe]()
        return Match() if is_given(self.surrogate) else Explore()

    def _orders(self, pool: EncodedDataset, coding: Coding, classes: Any) -> list[ClassRequest]:
        """How many rows of each class by which recipe: small and unlearnable classes fall back."""
        self.surrogate_auc_, orders, small = {}, [], []
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
                orders.append(ClassRequest(label, count, "interpolate", Interpolate(), True))
            else:
                recipe = self._recipe()
                if self.recipe == "auto" and isinstance(recipe, Explore):
                    recipe = domain_defaults.explored(coding, auc)
                orders.append(ClassRequest(label, count, type(recipe).__name__.lower(), recipe))
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
        model = attacked_model(self.surrogate, coding, X, len(classes))
        known = classes_of(model)
        if known is not None and not np.array_equal(known, classes):
            raise ValueError(
                f"surrogate knows the classes {list(known)}, but y has {list(classes)}: fit it on "
                "the same labels"
            )
        return model

    def _attack_of(self, recipe: Recipe, coding: Coding, is_asked: bool) -> Attack | None:
        """The attack named, given, or the recipe's own."""
        if self.attack != "auto":
            return choose_attack(self.attack)
        return recipe.attack and domain_defaults.followed(recipe.attack, coding, is_asked)

    def _grow(
        self,
        order: ClassRequest,
        pool: EncodedDataset,
        coding: Coding,
        attacked: Logits | None,
        constraints: RowConstraints,
        generator: torch.Generator,
    ) -> Iterator[SyntheticBatch]:
        attack = self._attack_of(order.recipe, coding, isinstance(attacked, QueriedLogits))
        if attack is not None:
            attack = with_references(attack, pool.x[pool.of(order.label)])
        judge = self.judge
        if isinstance(judge, str):
            is_sifted, signs = order.recipe.chance is not None, pool.committee.features.signs
            judge = domain_defaults.judge(coding, pool.logits.shape[1], signs, is_sifted=is_sifted)
        reads_rows = getattr(judge, "reads_rows", False)
        read = pool.x if reads_rows else pool.features
        bench = judge.fit(read, pool.y, order.label, generator) if judge else None
        terms = GenerationConfig(
            attack=None if order.is_fallback else attack,
            attacked=attacked,
            bench=None if order.is_fallback else bench,
            radius=None if self.radius == "auto" else self.radius,
            batch_size=int(self.batch_size),
            device=resolve(self.device),
            mend=lambda x, seed, place: constraints.repair(x, seed, pool.rows[place]),
            reads_rows=reads_rows,
        )
        yield from generate(pool, order.recipe, order.label, order.count, terms, generator)

    def _remember(
        self,
        growing: ProvenanceRecorder,
        pool: EncodedDataset,
        coding: Coding,
        classes: Any,
        n: int,
    ) -> None:
        record = growing.record
        self.parent_indices_ = np.concatenate([np.arange(n), record["parent"]])
        self.synthetic_mask_ = np.arange(len(self.parent_indices_)) >= n
        self.sample_weight_ = np.ones(len(self.parent_indices_))
        self.sample_weight_[n:] = record["probability"]
        self.provenance_ = containers.table(record, {"recipe": growing.recipes, "label": classes})
        if growing.changes is not None:
            self.provenance_["edits"] = growing.changes
        self.adapter_ = coding


def attacked_at(model: Model, coding: Coding, X: Any, pool: EncodedDataset) -> Logits:
    """The user's model on the pool's encoded rows, asked in the user's own container."""
    rows = containers.take(X, pool.rows.numpy()) if isinstance(model, QueriedEstimator) else None
    return logits_of_encoded(model, coding, rows, pool.x)


def weak(rows: Any) -> Callable[[], Any]:
    """A reference that does not keep rows alive; plain lists can have none."""
    try:
        return weakref.ref(rows)
    except TypeError:
        return nothing


def nothing() -> None:
    """What a reference without its object says."""
