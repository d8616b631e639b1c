"""The transformer: as many rows as it gets, each moved against a model.

`when="always"` is a stress test in a pipeline, `when="fit"` augmentation while training.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from advaug import containers
from advaug.core.devices import resolve
from advaug.core.norms import draw
from advaug.core.objectives import Logits, objective_of, of_rows
from advaug.core.parameters import is_auto
from advaug.core.problem import Attack, AttackProblem
from advaug.core.row_random import RowRandom
from advaug.estimators.agreement import warn_of_disagreement
from advaug.estimators.attacked_model import (
    attacked_model,
    is_given,
)
from advaug.estimators.choices import choose_attack, provided, refuse_unfit
from advaug.estimators.validation import (
    SHARED_CONSTRAINTS,
    SharesModels,
    check_parameters,
    check_rows,
    choose_surrogate,
    findings_of,
    learnt_coding,
    new_generator,
    new_seed,
    reads_anything,
    refuse_classes,
    refuse_one_class,
    target_of,
    with_budgets,
)
from advaug.models.committee import Committee
from advaug.models.protocol import AttackedModel, Surrogate
from advaug.registry import ATTACKS, SURROGATES, AdapterName, AttackName
from advaug.sampling.constraints import RowConstraints, RowRepair
from advaug.sampling.domain import Adapter, Coding

# What attack="auto" is: if the model has a gradient, if it has none, and for sequences.
GRADIENT_ATTACK, QUERY_ATTACK, EDIT_ATTACK = "pgd", "square", "greedy"
REFERENCES = 1000  # real rows kept for attacks that start from some
ATTACK, SNAP = range(2)  # streams of a row's random numbers


class AdversarialTransformer(SharesModels, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Adversarial copies of the rows.

    Parameters
    ----------
    attack : "auto", a name in `advaug.registry.ATTACKS` or an attack, default="fgsm"
        "auto" is "pgd" if the model has a gradient, "square" if it has none, and "greedy" for
        sequences.
        One that all rows share ("uap", "patch", "trigger") is learnt in `fit`, on four fifths of
        the rows.
    radius : float > 0, or dict or Series of column -> budget, default=0.3
        Largest move, in the adapter's units: robust standard deviations of a column for
        tables, standard deviations of a channel for signals, black to white for images, edits for
        sequences. `numpy.inf` for attacks that look for the shortest move ("deepfool", "cw",
        "ead", "jsma", "greedy", "hotflip", "trigger"). For tables also a budget for each column
        in its own units (days for dates, 1 for a flip): ``{"income": 500, "age": (0, 2)}`` moves
        an income by up to 500, an age up by up to 2, and no other column.
        `advaug.adapters.Budget` is what the moves of a row may cost in total.
    norm : {inf, 2, 1}, default=inf
        Norm of the radius.
    when : {"always", "fit"}, default="always"
        "always": `transform` returns adversarial copies. "fit": `fit_transform` does, against
        the true labels, and `transform` returns X as it is.
    surrogate : "auto", `Ensemble`, torch module or fitted classifier
        The attacked model: a committee of small nets trained on X and y; your own net from rows
        to logits; or any fitted estimator or pipeline, asked in your own container (shared, never
        copied or fitted). With a model of your own y is not needed. Estimators without a formula
        (`estimators.twins`) have no gradient: take "square", "hopskipjump", "crossover" ...
    adapter : {"auto", "tabular", "image", "signal", "sequence"} or an adapter, default="auto"
        Reads the container. "auto" is the first one that accepts it.
    constraints : `Constraints`, rule or list of rules, "auto" or None, default=None
        Kept by every copy whose own row keeps them (`advaug.constraints`); a copy that cannot be
        repaired is the row itself. "auto" keeps the relations that all rows of `fit` keep. A
        repaired cell may move farther than `radius`, so nothing is kept by default; with budgets
        by column such a copy is the row itself.
    batch_size : int, default=4096
        Rows at once on the device. No row depends on it.
    device : str or torch.device, default="auto"
        "auto" is cuda where there is one.
    random_state : int, RandomState or None
        Seed of all random numbers. With an int a second run gives the same results.

    Attributes
    ----------
    surrogate_ : `Committee`, torch module or estimator
        The attacked model.
    adapter_ : `Coding`
        The fitted adapter, which reads and writes the rows.
    classes_ : ndarray (classes,)
        The class labels, if `fit` was given any.
    findings_ : DataFrame
        A line for each relation that "auto" has found, and for each fact of a single column: see
        `AdversarialOverSampler`.
    attack_ : attack
        The attack, with what it has learnt.
    fooling_rate_ : float
        Of "uap", "patch" and "trigger": the share of held-out rows whose prediction changes.
    n_features_in_ : int
        Number of columns of X in `fit`.
    feature_names_in_ : ndarray of str
        Names of the columns of X in `fit`, where all of them are texts.

    See Also
    --------
    advaug.AdversarialOverSampler : Over-sample with synthetic rows that held-out models agree on.
    advaug.robust.robust_accuracy_scorer :
        A scorer for `GridSearchCV` and `cross_val_score`: the accuracy that an attack leaves.

    References
    ----------
    Goodfellow, Shlens, Szegedy. Explaining and harnessing adversarial examples. ICLR 2015.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from advaug import AdversarialTransformer
    >>> X, y = load_iris(return_X_y=True)
    >>> moved = AdversarialTransformer(radius=0.1, random_state=0).fit(X, y).transform(X)
    >>> moved.shape
    (150, 4)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "attack": [str, callable],
        "radius": [Interval(Real, 0, None, closed="right"), HasMethods("items")],
        "norm": [Options(Real, {np.inf, 2, 1})],
        "when": [StrOptions({"always", "fit"})],
        "constraints": [callable, str, list, tuple, HasMethods("check"), None],
        **SHARED_CONSTRAINTS,
    }

    def __init__(
        self,
        *,
        attack: AttackName | Attack = "fgsm",
        radius: float | Mapping[Any, Any] = 0.3,
        norm: float = np.inf,
        when: Literal["always", "fit"] = "always",
        surrogate: Any = "auto",
        adapter: AdapterName | Adapter = "auto",
        constraints: Any = None,
        batch_size: int = 4096,
        device: str | torch.device = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.attack = attack
        self.radius = radius
        self.norm = norm
        self.when = when
        self.surrogate = surrogate
        self.adapter = adapter
        self.constraints = constraints
        self.batch_size = batch_size
        self.device = device
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = reads_anything(super().__sklearn_tags__())
        tags.input_tags.sparse = True
        tags.target_tags.required = not is_given(self.surrogate)
        tags.non_deterministic = self.when == "fit"
        return tags

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the coding and, unless a net is given, the committee.

        Parameters
        ----------
        X : container of rows
            Rows in any container that the sampler takes too.
        y : array-like of shape (n_rows,)
            The label of each row, needed unless `surrogate` is a model of your own.

        Returns
        -------
        object
            The fitted estimator itself.
        """
        refuse_classes(self)
        check_parameters(self)
        self.__dict__.pop("classes_", None)  # of an earlier fit
        X = check_rows(self, containers.owned(X), reset=True)
        coding = learnt_coding(self.adapter, X, self.surrogate)
        coding, self._radius = with_budgets(coding, self.radius)
        constraints = coding.constraints(self.constraints, X)
        _ = constraints.shares  # A rule that does not fit is refused.
        self.findings_ = findings_of(constraints, coding)
        self._found_rules = [finding.rule for finding in constraints.findings]
        if is_given(self.surrogate):
            target = None if y is None else containers.classes_of(self._target(X, y))
            known = None if target is None else target[0]
            surrogate = attacked_model(
                self.surrogate, coding, X, None if known is None else len(known)
            )
            if target is not None:
                warn_of_disagreement(surrogate, coding, X, *target)
            if surrogate.classes is not None:
                known = surrogate.classes
            if known is not None:
                self.classes_ = known
            self.attack_ = self._fitting_attack(coding, surrogate)
        else:
            target = self._target(X, y)
            self.classes_, codes = containers.classes_of(target)
            refuse_one_class(self.classes_)
            settings = choose_surrogate(self.surrogate, coding)
            refuse_unfit("surrogate", settings, coding, settings, SURROGATES)
            self.attack_ = self._fitting_attack(coding, settings)
            device = resolve(self.device)
            generator = new_generator(check_random_state(self.random_state))
            x = coding.encode(X)
            features = coding.features(x, generator)
            labels = torch.from_numpy(codes)
            surrogate = settings.fit(x.to(device), labels, len(self.classes_), generator, features)
            surrogate = surrogate.to("cpu")
        self.surrogate_, self.adapter_ = surrogate, coding
        needs_rows = self.attack_.needs_reference_rows
        self._reference_rows = self._some_rows(X) if needs_rows else None
        if self.attack_.is_universal:
            self._fit_universal(X)
        return self

    def _some_rows(self, X: Any) -> Tensor:
        """Encoded rows for an attack that starts from real ones, or copies their cells."""
        rows = np.arange(containers.count(X))
        if len(rows) > REFERENCES:
            rows = check_random_state(self.random_state).permutation(rows)[:REFERENCES]
        return self.adapter_.encode(containers.take(X, rows))

    def _fitting_attack(self, coding: Coding, model: AttackedModel | Surrogate) -> Attack:
        """The attack named, given, or the one for such rows and such a model.

        ValueError if they do not fit it, or if a step would be a share of an infinite radius.
        """
        attack: str | Attack = self.attack
        if is_auto(attack):
            provides = provided(coding, model)
            without = QUERY_ATTACK if "cells" in provides else EDIT_ATTACK
            attack = GRADIENT_ATTACK if "gradient" in provides else without
        attack = choose_attack(attack)
        refuse_unfit("attack", attack, coding, model, ATTACKS)
        if self._radius == np.inf and not attack.is_min_norm:
            raise ValueError(
                f"radius must be finite for {attack}: only attacks that look for the shortest move "
                "take inf"
            )
        return attack

    def _fit_universal(self, X: Any) -> None:
        """What all rows share, learnt on four fifths of them and judged on the others."""
        generator = new_generator(check_random_state(self.random_state))
        order = torch.randperm(containers.count(X), generator=generator)
        held = max(len(order) // 5, 1)
        held_out, learnt = order[:held], order[held:] if len(order) > 1 else order
        x = self.adapter_.encode(X)
        with self._model(X, x) as every:
            problem = self._problem(x, learnt, every, new_seed(self.random_state))
            self.attack_ = self.attack_.fit(problem)
            seed, logits = x[held_out], of_rows(every, held_out)
            moved = self._attacked(seed, None, logits)
            device = resolve(self.device)
            with torch.no_grad():
                before, after = (logits(rows.to(device)).argmax(1) for rows in (seed, moved))
        self.fooling_rate_ = float((before != after).double().mean())

    def _target(self, X: Any, y: Any) -> Any:
        if y is None:
            raise ValueError(
                "AdversarialTransformer requires y to be passed, but the target y is None: pass "
                "labels, or a model of your own as surrogate"
            )
        return target_of(X, y)

    def _codes(self, target: Any) -> Any:
        """Labels as places among the classes of fit."""
        if not hasattr(self, "classes_"):
            raise ValueError("labels need classes: pass y to fit too, or transform X without y")
        place = {label: code for code, label in enumerate(self.classes_.tolist())}
        own, codes = containers.classes_of(target)
        if unknown := [label for label in own.tolist() if label not in place]:
            raise ValueError(
                f"y holds {unknown[0]!r}, which fit has not seen: it knows {self.classes_.tolist()}"
            )
        return np.array([place[label] for label in own.tolist()])[codes]

    def transform(self, X: Any, y: Any = None) -> Any:
        """Adversarial copies of X (`when="always"`), or X itself (`when="fit"`).

        Parameters
        ----------
        X : container of rows
            Rows as in fit.
        y : labels (n,), optional
            What the moves go against; by default the model's own predictions.

        Returns
        -------
        container of rows
            The moved rows: the same container, dtypes and index (tables in lists come back as
            arrays). A row that could not be moved equals its own.
        """
        check_is_fitted(self, "adapter_")
        rows = check_rows(self, containers.owned(X), reset=False)
        moved = self._moved(rows, y) if self.when == "always" else rows
        return containers.given_back(moved, X)

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit, then adversarial copies of X: against y's own labels with `when="fit"`.

        Parameters
        ----------
        X : container of rows
            As in `fit`.
        y : array-like of shape (n_rows,)
            As in `fit`.

        Returns
        -------
        container of rows
            The moved rows, as from `transform`.
        """
        self.fit(X, y)
        rows = check_rows(self, containers.owned(X), reset=False)
        moved = self._moved(rows, y if self.when == "fit" else None)
        return containers.given_back(moved, X)

    def _moved(self, X: Any, y: Any) -> Any:
        rules = self._found_rules if is_auto(self.constraints) else self.constraints
        seed, constraints = self.adapter_.encode(X), self.adapter_.constraints(rules, X)
        labels = None
        if y is not None:
            labels = torch.from_numpy(self._codes(self._target(X, y)))
        with self._model(X, seed) as logits:
            moved = self._attacked(seed, labels, logits, constraints)
        return self._decoded(moved, seed, X, constraints)

    def _decoded(self, moved: Tensor, seed: Tensor, X: Any, constraints: RowConstraints) -> Any:
        """The copies in X's container; a copy that breaks a rule there is the row itself."""
        new, is_broken = constraints.finish(self.adapter_.decode(moved, seed, X), X)
        is_broken |= self.adapter_.over_budget(new, X)
        if not is_broken.any():
            return new
        moved = moved.clone()
        moved[is_broken] = seed[is_broken]
        return constraints.finish(self.adapter_.decode(moved, seed, X), X)[0]

    @contextmanager
    def _model(self, X: Any, seed: Tensor) -> Iterator[Logits]:
        """The attacked model's logits of X encoded; a user's net is frozen meanwhile."""
        model = self.surrogate_
        model = model.to(resolve(self.device)) if isinstance(model, Committee) else model
        with model.frozen():
            yield model.encoded_logits(self.adapter_, X, seed)

    def _problem(
        self,
        x: Tensor,
        rows: Tensor,
        logits: Logits,
        seed: int,
        labels: Tensor | None = None,
        constraints: RowConstraints | None = None,
    ) -> AttackProblem:
        """The attack's problem of some of the encoded rows, on the device."""
        device, logits = resolve(self.device), of_rows(logits, rows)
        x = x[rows].to(device)
        with torch.no_grad():
            label = logits(x).argmax(1) if labels is None else labels[rows].to(device)
        return AttackProblem(
            objective=objective_of(self.attack_.loss, logits, x, label),
            seed=x,
            space=self.adapter_.space(float(self.norm)).to(device),
            radius=torch.full((len(x),), self._radius, device=device),
            random=RowRandom.of(seed, 0, rows).to(device),
            reference_rows=self._reference_rows,
            repair=RowRepair(constraints, rows) if constraints and constraints.shares else None,
        )

    def _attacked(
        self,
        seed: Tensor,
        labels: Tensor | None,
        logits: Logits,
        constraints: RowConstraints | None = None,
    ) -> Tensor:
        key, moved, stuck = new_seed(self.random_state), [], 0
        for rows in torch.arange(len(seed)).split(int(self.batch_size)):
            problem = self._problem(seed, rows, logits, key, labels, constraints)
            y = self.attack_(problem.at(ATTACK))
            stuck += count_stuck(problem, y)
            noise = draw(y, problem.random.at(SNAP))
            y = problem.space.snap(y, problem.seed, problem.radius, noise)
            y = constraints.repair(y, problem.seed, rows)[0] if constraints else y
            moved.append(y.cpu())
        if stuck:
            warnings.warn(
                f"{stuck} of {len(seed)} rows were not moved by {self.attack_}: "
                f"{self.adapter_.why_unmoved}",
                stacklevel=4,
            )
        return torch.cat(moved)


def count_stuck(problem: AttackProblem, moved: Tensor) -> int:
    """How many rows are where they were though their objective is below 0."""
    unmoved = (moved == problem.seed).flatten(1).all(1)
    if not bool(unmoved.any()):
        return 0
    some = problem.take(unmoved)
    return int((some.measure(some.seed)[0] < 0).sum())
