"""The over-sampler: an imbalanced-learn sampler whose new rows held-out models agree on.

It reads the user's container, lets `sampling` generate rows of each class that asks for some, and
hands the container back with its own rows first and untouched.
"""

import warnings
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.utils import check_sampling_strategy
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from tqdm import tqdm

from advaug import containers
from advaug.core.devices import resolve
from advaug.core.objectives import Logits
from advaug.core.problem import Attack
from advaug.core.row_random import generator_at
from advaug.estimators.attacked_model import (
    Model,
    attacked_model,
    classes_of,
    frozen_during,
    is_given,
    logits_of_encoded,
)
from advaug.estimators.choices import (
    choose_attack,
    choose_judge,
    choose_recipe,
    choose_voters,
    provided,
    refuse_unfit,
    take_one_that_fits,
)
from advaug.estimators.validation import (
    JUDGE,
    MIN_AUC,
    SHARED_CONSTRAINTS,
    SURROGATE,
    VOTERS,
    SharesModels,
    check_X_y,
    choose_surrogate,
    fit_dataset,
    learnt_coding,
    new_seed,
    reads_anything,
    refuse_classes,
)
from advaug.models.committee import Ensemble
from advaug.models.out_of_fold import OutOfFoldModel
from advaug.models.protocol import Surrogate
from advaug.models.queried_estimator import QueriedEstimator
from advaug.registry import ATTACKS, JUDGES, RECIPES, SURROGATES
from advaug.sampling.class_generator import ClassGenerator, GenerationConfig
from advaug.sampling.constraints import RowConstraints
from advaug.sampling.domain import Adapter, Coding
from advaug.sampling.encoded_dataset import EncodedDataset
from advaug.sampling.judges.descriptor_band import DescriptorBandJudge
from advaug.sampling.judges.protocol import FittedJudge, Judge
from advaug.sampling.provenance import STATUSES, ClassRequest, RowWriter, joined, synthetic_rows
from advaug.sampling.recipes import Explore, Interpolate, Match, Recipe

MIN_ROWS = 6  # Rows of a class that the committee can learn from.

RecipeName = Literal["auto", "explore", "match", "boundary", "harden", "translate", "interpolate"]


@dataclass(frozen=True)
class ClassPlan:
    """By which recipe the rows of a class are made; `is_fallback`: too little is known of it."""

    label: int
    count: int
    name: str
    recipe: Recipe
    is_fallback: bool


class AdversarialOverSampler(SharesModels, BaseOverSampler):
    """Over-sample with synthetic rows that held-out models agree on.

    By default rows are mixed and perturbed at random, and accepted by models that had no part in
    making them; other recipes move rows with an adversarial attack.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        As in imbalanced-learn; counts are exact.
    recipe : {"auto", "explore", "match", "boundary", "harden", "translate", "interpolate"} or a \
recipe, default="auto"
        Where new rows start and what the attack raises. "auto" is "explore", and "match" where the
        surrogate is a model of your own.
    attack : str or attack, default="auto"
        How rows move: a name of `advaug.attacks` such as "pgd" or "noise" (the control), or an
        attack. "auto" is the recipe's own.
    radius : "auto" or float > 0, default="auto"
        How far the attack may move a row, in the units of the adapter (robust standard deviations
        for tables, standard deviations of the channels for signals, edits for sequences), by the
        norm of the recipe. "auto" is chosen row by row.
    adapter : {"auto", "tabular", "image", "signal", "sequence"} or an adapter, default="auto"
        Reads the container. "auto" is the first one that accepts it.
    surrogate : "auto", `Ensemble`, `NGramRidge`, torch module or fitted classifier, default="auto"
        The attacked model. "auto" is a cross-fitted committee of small nets. Your own model is
        shared, never copied or fitted: a net from rows in your units (images: 0 is black, 1 is
        white) to logits, or any fitted estimator or pipeline. Models without a gradient are queried
        (the default attack is then `Square`). Train such a model on other rows than X, otherwise
        its overfitted predictions leak into the new rows. The voters are always held-out models.
    voters : "auto", name, callable, list of them or None, default="auto"
        The models that vote on new rows beside the committee where the recipe redraws rejected
        rows. "auto" is ["extra_trees", "boosting"], for sequences a linear model on n-grams. A
        callable takes (features, labels, n_classes, torch.Generator) and returns a function from
        features to probabilities. None leaves the committee alone.
    judge : "auto", {"conformal", "panel", "bigram"}, a judge or None, default="auto"
        Accepts or rejects rows. "auto" is `ConformalJudge`; signals are also checked by
        `DescriptorBandJudge`, and copies of real sequences are rejected. `PanelJudge` queries other
        families of models and costs more. A rejected row is drawn again by "explore"; the other
        recipes move it back towards a real row of its class.
    constraints : `Constraints`, rule or list of rules, optional
        Expressions such as ``"open <= total"``, rule objects, or callables from rows (your
        container) to one bool a row: see `advaug.constraints`. A synthetic row that violates a rule
        which its parent keeps is repaired; if it cannot be repaired, a real row is copied.
    batch_size : int, default=4096
        Rows at once on the device. No row depends on it.
    device : str or torch.device, default="auto"
        "auto" is cuda where there is one.
    random_state : int, RandomState or None, default=None
    verbose : int, default=0
        Above 0 shows a progress bar.

    Attributes
    ----------
    sampling_strategy_ : dict of class -> number of new rows
    parent_indices_ : ndarray (rows out,)
        arange(n), then the parent of each synthetic row.
    synthetic_mask_ : ndarray of bool (rows out,)
    sample_weight_ : ndarray (rows out,)
        1, and for synthetic rows the probability of their label by the voters.
    provenance_ : DataFrame
        A line for each synthetic row. parent, second_parent (-1 where there is none): row numbers
        of X. recipe, label. status: "accepted"; "retracted" (moved back towards its anchor, a real
        row); "copied" (no move was accepted, so the anchor was copied); "repaired" (brought back to
        the rules); "reverted" (with the parent's cells in the columns of a rule); "replaced" (a
        rule could not be kept, so the anchor was copied). distance: how far it moved. move_share:
        the share of the move that was accepted. margin_before, margin_after: held-out margins of
        the parent and of the row. probability: of its label, by the voters. p_value: how plausible
        the judge finds it. For sequences also changes: place of the token in the parent -> (tokens
        before, tokens after).
    constraints_report_ : dict
        "rules": rule -> share of the rows of X that keep it. "rows": how many synthetic rows there
        are. "repaired", "reverted", "replaced": how many of them have this status.
    surrogate_auc_ : dict of class -> float
        Held-out AUC of the committee. Below .6 rows of the class are interpolated.
    surrogate_ : the attacked model
    adapter_ : the learnt coding of the rows
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    Notes
    -----
    A class of fewer than 6 rows is interpolated between its rows, a single row is repeated, with
    one warning. Of a class with more than 10 000 rows a random sample is used as parents.

    Row i of a class depends on X, y, the parameters, the seed, the class and i alone: a larger
    request begins with the rows of a smaller one.

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
        "recipe": [str, HasMethods("plan")],
        "attack": [str, callable],
        "radius": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "voters": [str, callable, list, tuple, None],
        "judge": [str, HasMethods("fit"), None],
        "constraints": [callable, str, list, tuple, HasMethods("check"), None],
        "verbose": ["verbose"],
        **SHARED_CONSTRAINTS,
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        recipe: RecipeName | Recipe = "auto",
        attack: str | Attack = "auto",
        radius: Literal["auto"] | float = "auto",
        adapter: str | Adapter = "auto",
        surrogate: Any = "auto",
        voters: Any = "auto",
        judge: str | Judge | None = "auto",
        constraints: Any = None,
        batch_size: int = 4096,
        device: str | torch.device = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.recipe = recipe
        self.attack = attack
        self.radius = radius
        self.adapter = adapter
        self.surrogate = surrogate
        self.voters = voters
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

        Raises
        ------
        ValueError : rows or labels cannot be read, a name is not known, or things do not fit each
            other; the row, column or parameter and the mend are named
        TypeError : a parameter is of another type than it must be
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
        seed = new_seed(self.random_state)
        coding = learnt_coding(self.adapter, rows, self.surrogate)
        model = self._given(rows, coding, classes)
        source = choose_surrogate(self.surrogate, coding) if model is None else model
        self._refuse_what_does_not_fit(coding, source)
        constraints = coding.constraints(self.constraints, rows)
        _ = constraints.shares  # A rule that does not fit is refused before any work.
        norm = self._recipe().norm
        dataset = fit_dataset(self, rows, torch.from_numpy(codes), coding, norm, seed)
        model, attacked = self._attacked(model, rows, coding, dataset, seed)
        plans = self._plans(dataset, coding, classes)
        if any(plan.recipe.redraws for plan in plans):
            dataset = self._with_voters(dataset, coding, seed)
        is_queried = "gradient" not in provided(coding, source)
        requests = [
            ClassRequest(
                self._generator(
                    plan, dataset, coding, attacked, constraints, seed, is_queried=is_queried
                ),
                plan.count,
                plan.name,
            )
            for plan in plans
        ]
        writer = RowWriter(rows, coding, dataset, constraints)
        X_out, record = self._written(X, writer, requests, model)
        example = np.unique(codes, return_index=True)[1][record["label"]]
        y_new = (containers.take(y, example), record["parent"])
        y_out = containers.join(y, [y_new], len(example))
        self._remember(record, requests, coding, classes, len(codes))
        self.surrogate_ = dataset.committee if model is None else model
        self.constraints_report_ = report_of(constraints, self.provenance_)
        self._returned = tuple(weak(rows) for rows in (X_out, y_out))
        return X_out, y_out

    def returned(self) -> tuple[Any, Any] | None:
        """X and y as `fit_resample` last returned them, for as long as you hold them; else None.

        They are not the sampler's: it neither keeps them alive nor takes them along when it is
        copied or stored.
        """
        X, y = (hold() for hold in getattr(self, "_returned", (nothing, nothing)))
        return None if X is None or y is None else (X, y)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__().items()
        return {name: value for name, value in state if name != "_returned"}

    # ---------------------------------------------------------------- choices

    def _recipe(self) -> Recipe:
        if isinstance(self.recipe, str) and self.recipe == "auto":
            return Match() if is_given(self.surrogate) else Explore()
        return choose_recipe(self.recipe)

    def _given(self, X: Any, coding: Coding, classes: Any) -> Model | None:
        """The user's own model, tried on X; None: the committee or another surrogate is trained."""
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

    def _refuse_what_does_not_fit(self, coding: Coding, source: Model | Surrogate) -> None:
        """ValueError for a pair that cannot work or a parameter without effect: before training.

        `source` is the user's own model, or the settings of the one that is trained.
        """
        recipe, provides = self._recipe(), provided(coding, source)
        if self.voters is not None and not is_auto(self.voters):
            choose_voters(self.voters)  # An unknown name is refused.
            if not recipe.redraws:
                raise ValueError(
                    f"voters has no effect: recipe {type(recipe).__name__} leaves the label to the "
                    "judge. Take recipe='explore', or leave voters='auto'"
                )
        if isinstance(source, Surrogate):
            refuse_unfit("surrogate", source, coding, source, SURROGATES)
        refuse_unfit("recipe", recipe, coding, source, RECIPES)
        if self.judge not in ("auto", None):
            refuse_unfit("judge", choose_judge(self.judge), coding, source, JUDGES)
        attack = self._attack_of(recipe, coding, is_queried="gradient" not in provides)
        if attack is not None and self.attack != "auto" and isinstance(recipe, Interpolate):
            raise ValueError(
                "attack has no effect with recipe='interpolate', which makes no move: leave "
                "attack='auto', or take recipe='explore'"
            )
        if isinstance(source, Ensemble) and source.n_repeats < 2 and not recipe.redraws:
            raise ValueError(
                f"surrogate {source} leaves no model to judge what the others made, which recipe "
                f"{type(recipe).__name__} needs: set n_repeats to 2 or more"
            )
        if attack is not None:
            refuse_unfit_attack(attack, coding, source)
        default = self.recipe == "auto" and isinstance(recipe, Explore)
        makes_attack = attack is not None or (default and coding.defaults().recipe(0.0).attack)
        if self.radius != "auto" and not makes_attack:
            raise ValueError(
                f"radius={self.radius} has no effect: recipe {type(recipe).__name__!r} makes no "
                "attack. Name one, such as attack='noise', or leave radius='auto'"
            )

    def _attack_of(self, recipe: Recipe, coding: Coding, *, is_queried: bool) -> Attack | None:
        """The attack named, given, or the recipe's own."""
        if not (isinstance(self.attack, str) and self.attack == "auto"):
            return choose_attack(self.attack)
        own = recipe.attack
        return None if own is None else coding.defaults().attack(own, is_queried=is_queried)

    def _attacked(
        self, model: Model | None, X: Any, coding: Coding, dataset: EncodedDataset, seed: int
    ) -> tuple[Model | None, Logits | None]:
        """What is attacked instead of the committee, and its logits of the dataset's rows."""
        if model is not None:
            is_queried = isinstance(model, QueriedEstimator)
            rows = containers.take(X, dataset.rows.numpy()) if is_queried else None
            return model, logits_of_encoded(model, coding, rows, dataset.x)
        settings = choose_surrogate(self.surrogate, coding)
        if isinstance(settings, Ensemble):
            return None, None
        fitted = settings.fit(
            dataset.x,
            dataset.y,
            dataset.n_classes,
            generator_at(seed, SURROGATE),
            dataset.committee.features,
        )
        folds = (fitted.fold_of_member, fitted.fold_of_row)
        return fitted, OutOfFoldModel(fitted.member_logits, *folds)

    def _with_voters(self, dataset: EncodedDataset, coding: Coding, seed: int) -> EncodedDataset:
        if self.voters is None:
            return dataset
        generator = generator_at(seed, VOTERS)
        if is_auto(self.voters):
            return coding.defaults().with_voters(dataset, generator)
        voters = tuple(
            voter(dataset.features, dataset.y, dataset.n_classes, generator)
            for voter in choose_voters(self.voters)
        )
        return replace(dataset, voters=voters)

    def _plans(self, dataset: EncodedDataset, coding: Coding, classes: Any) -> list[ClassPlan]:
        """How many rows of each class by which recipe: small and unlearnable classes fall back."""
        self.surrogate_auc_, plans, small = {}, [], []
        for label, value in enumerate(classes.tolist()):
            count = int(self.sampling_strategy_.get(value, 0))
            if not count:
                continue
            own, auc = len(dataset.of_class(label)), dataset.auc(label)
            self.surrogate_auc_[value] = auc
            if own < MIN_ROWS:
                small.append(f"{value!r} ({own} rows)")
            if own < MIN_ROWS or auc < MIN_AUC:
                plans.append(ClassPlan(label, count, "interpolate", Interpolate(), True))
            else:
                recipe = self._recipe()
                if self.recipe == "auto" and isinstance(recipe, Explore):
                    recipe = coding.defaults().recipe(auc)
                plans.append(ClassPlan(label, count, type(recipe).__name__.lower(), recipe, False))
        if small:
            warnings.warn(
                f"too few rows to learn from in class {', '.join(small)}, at least {MIN_ROWS} are "
                "needed: new rows are interpolated or repeated. Provide more rows, or exclude the "
                "class in sampling_strategy",
                UserWarning,
                stacklevel=4,
            )
        return plans

    # ---------------------------------------------------------------- rows

    def _generator(
        self,
        plan: ClassPlan,
        dataset: EncodedDataset,
        coding: Coding,
        attacked: Logits | None,
        constraints: RowConstraints,
        seed: int,
        *,
        is_queried: bool,
    ) -> ClassGenerator:
        attack = judge = None
        reads_rows = False
        if not plan.is_fallback:
            attack = self._attack_of(plan.recipe, coding, is_queried=is_queried)
            judge, reads_rows = self._judge(plan, dataset, coding, seed)
        config = GenerationConfig(
            attack=attack,
            attacked=attacked,
            judge=judge,
            reads_rows=reads_rows,
            radius=None if self.radius == "auto" else self.radius,
            repair=lambda x, parent, at: constraints.repair(x, parent, dataset.rows[at]),
            device=resolve(self.device),
        )
        return ClassGenerator(dataset, plan.recipe, plan.label, config)

    def _judge(
        self, plan: ClassPlan, dataset: EncodedDataset, coding: Coding, seed: int
    ) -> tuple[FittedJudge | None, bool]:
        """The judge of a class, and whether it reads encoded rows."""
        if self.judge is None:
            return None, False
        if is_auto(self.judge):
            judge = coding.defaults().judge(dataset.n_classes, redraws=plan.recipe.redraws)
            descriptors = dataset.committee.features.descriptors
            judge = judge if descriptors is None else DescriptorBandJudge(judge, descriptors)
        else:
            judge = choose_judge(self.judge)
        read = dataset.x if judge.reads_rows else dataset.features
        generator = generator_at(seed, JUDGE, plan.label)
        return judge.fit(read, dataset.y, plan.label, generator), judge.reads_rows

    def _written(
        self, X: Any, writer: RowWriter, requests: list[ClassRequest], model: Model | None
    ) -> tuple[Any, dict[str, Any]]:
        """X with the new rows below it, and their record."""
        records: list[dict[str, Any]] = []
        total = sum(request.count for request in requests)
        bar = tqdm(total=total, disable=not self.verbose, unit="rows", desc="advaug")

        def batches() -> Iterator[tuple[Any, Any]]:
            for new, record in synthetic_rows(writer, requests, int(self.batch_size)):
                records.append(record)
                bar.update(len(record["parent"]))
                yield new, record["parent"]

        with frozen_during(model), bar:
            X_out = containers.join(X, batches(), total)
        return X_out, joined(records)

    def _remember(
        self,
        record: dict[str, Any],
        requests: list[ClassRequest],
        coding: Coding,
        classes: Any,
        n: int,
    ) -> None:
        changes = record.pop("changes", None)
        self.parent_indices_ = np.concatenate([np.arange(n), record["parent"]])
        self.synthetic_mask_ = np.arange(len(self.parent_indices_)) >= n
        self.sample_weight_ = np.ones(len(self.parent_indices_))
        self.sample_weight_[n:] = record["probability"]
        recipes = sorted({request.name for request in requests})
        named = {"recipe": recipes, "label": classes, "status": STATUSES}
        self.provenance_ = containers.table(record, named)
        if changes is not None:
            self.provenance_["changes"] = changes
        self.adapter_ = coding


def refuse_unfit_attack(attack: Attack, coding: Coding, source: Model | Surrogate) -> None:
    """ValueError for an attack that such rows and such a model, or an over-sampler, cannot use."""
    refuse_unfit("attack", attack, coding, source, ATTACKS, moves_single_rows)
    if not moves_single_rows(attack):
        mend = take_one_that_fits(ATTACKS, provided(coding, source), moves_single_rows)
        raise ValueError(
            f"attack {type(attack).__name__} learns one move for all rows, which the over-sampler "
            f"does not: use AdversarialTransformer, or {mend}"
        )


def moves_single_rows(attack: Attack) -> bool:
    """Whether an attack needs nothing that is learnt from many rows first."""
    return not attack.is_universal


def is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == "auto"


def report_of(constraints: RowConstraints, provenance: Any) -> dict[str, Any]:
    """How many real rows keep each rule, and what the rules did to synthetic ones."""
    status = provenance["status"]
    counts = {name: int((status == name).sum()) for name in ("repaired", "reverted", "replaced")}
    return {"rules": constraints.shares, "rows": len(provenance), **counts}


def weak(rows: Any) -> Callable[[], Any]:
    """A reference that does not keep rows alive; plain lists can have none."""
    try:
        return weakref.ref(rows)
    except TypeError:
        return nothing


def nothing() -> None:
    """The answer of a reference without its object."""
