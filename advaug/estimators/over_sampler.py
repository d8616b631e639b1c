"""The over-sampler: an imbalanced-learn sampler whose new rows held-out models agree on.

It reads the user's container, lets `sampling` generate rows of each class that asks for some, and
hands the container back with its own rows first and untouched.
"""

import math
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
from imblearn.over_sampling.base import BaseOverSampler
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from tqdm import tqdm

from advaug import containers
from advaug.core.devices import resolve
from advaug.core.objectives import Logits
from advaug.core.parameters import is_auto
from advaug.core.problem import Attack
from advaug.core.row_random import generator_at
from advaug.estimators.agreement import warn_of_disagreement
from advaug.estimators.attacked_model import attacked_model, is_given
from advaug.estimators.choices import choose_judge, choose_voters, is_stacked
from advaug.estimators.committee_classifier import CommitteeClassifier
from advaug.estimators.resampling import CheckedData, ResamplerMixin, fit_dataset
from advaug.estimators.sampler_parts import (
    Source,
    attack_of,
    has_domains_recipe,
    recipe_of,
    refuse_unfit_parts,
)
from advaug.estimators.validation import (
    JUDGE,
    MIN_AUC,
    SHARED_CONSTRAINTS,
    SURROGATE,
    VOTERS,
    choose_surrogate,
    findings_of,
    refuse_classes,
)
from advaug.models.committee import Ensemble
from advaug.models.out_of_fold import OutOfFoldModel
from advaug.models.protocol import AttackedModel, Surrogate
from advaug.models.queried_estimator import QueriedEstimator
from advaug.sampling.candidate_recipes import Distill
from advaug.sampling.class_generator import ClassGenerator, GenerationConfig
from advaug.sampling.constraints import RowConstraints
from advaug.sampling.distillation import LabelledPool, candidate_rows
from advaug.sampling.domain import Adapter
from advaug.sampling.encoded_dataset import EncodedDataset
from advaug.sampling.judges.descriptor_band import DescriptorBandJudge
from advaug.sampling.judges.protocol import FittedJudge, Judge
from advaug.sampling.jury import EqualVotes, Jury, StackedVotes
from advaug.sampling.provenance import STATUSES, ClassRequest, RowWriter, joined, synthetic_rows
from advaug.sampling.recipes import Interpolate, Recipe
from advaug.sampling.voters import train_voters

MIN_ROWS = 6  # Rows of a class that the committee can learn from.

RecipeName = Literal[
    "auto",
    "explore",
    "distill",
    "match",
    "boundary",
    "harden",
    "translate",
    "interpolate",
    "paraphrase",
    "recombine",
    "bag",
]


@dataclass(frozen=True)
class ClassPlan:
    """By which recipe the rows of a class are made; `is_fallback`: too little is known of it."""

    label: int
    count: int
    name: str
    recipe: Recipe
    is_fallback: bool


class AdversarialOverSampler(ResamplerMixin, BaseOverSampler):
    """Over-sample with synthetic rows that held-out models agree on.

    By default rows are mixed and perturbed at random, and accepted by models that had no part in
    making them; other recipes move rows with an adversarial attack.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        As in imbalanced-learn; counts are exact.
    recipe : {"auto", "explore", "distill", "match", "boundary", "harden", "translate", \
"interpolate", "paraphrase", "recombine", "bag"} or a recipe, default="auto"
        Where new rows start and what the attack raises. "auto" is "explore", for sequences "bag",
        and "match" where the surrogate is a model of your own. "distill" copies rows near the data
        with the labels that a `CommitteeClassifier` finds probable: let all classes grow,
        `grow(12)`. For sequences only: "paraphrase" makes one or two edits that keep a text's
        grammar, "recombine" exchanges whole sentences and clauses, "bag" exchanges any blocks and
        edits freely, so that its texts are to be counted and not to be read.
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
        shared, never copied or fitted: a net from rows in your units (see `ImageAdapter` for
        images) to logits, or any fitted estimator or pipeline. Models without a
        gradient are queried (the default attack is then `Square`). Train such a model on other rows
        than X, otherwise its overfitted predictions leak into the new rows. The voters are always
        held-out models.
    voters : "auto", "stacked", name, callable, list of them or None, default="auto"
        The models that vote on new rows beside the committee where the recipe redraws rejected
        rows; with "distill" those of the `CommitteeClassifier`. Otherwise "auto" is
        ["extra_trees", "boosting"], for sequences a linear model on n-grams. "stacked" is all
        models of the `CommitteeClassifier`, with its weights. A callable takes
        (features, labels, n_classes, torch.Generator) and returns a function from features to
        probabilities. None leaves the committee alone.
    judge : "auto", {"conformal", "panel", "bigram", "language"}, a judge or None, default="auto"
        Accepts or rejects rows. "auto" is `ConformalJudge`; signals are also checked by
        `DescriptorBandJudge`, and copies of real sequences are rejected. With "paraphrase" and
        "recombine" it is `LanguageJudge`, which reads sequences. `PanelJudge` queries other
        families of models and costs more. A rejected row is drawn again by "explore"; the other
        recipes move it back towards a real row of its class.
    constraints : "auto", `Constraints`, rule or list of rules, or None, default="auto"
        "auto" finds the relations that all rows of a table keep, such as a total and its parts, and
        keeps them in the new rows; `findings_` lists them. Other kinds of rows have no relations.
        Rules of your own replace them: expressions such as ``"open <= total"``, rule objects, or
        callables from rows (your container) to one bool a row (see `advaug.constraints`). None
        keeps nothing. A synthetic row that violates a rule which its parent keeps is repaired; if
        it cannot be repaired, a real row is copied.
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
        1, and for synthetic rows the probability of their label by the voters; with "distill" the
        weights with which the copies of a row stand exactly for their label's probability.
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
    findings_ : DataFrame
        A line for each relation that was found in X and is kept: rule, kind, support (how many rows
        show it), by_chance (how many rows would break it if columns were independent; the largest
        first). After them a line for what was found of a single column: its step, few values,
        special values, dates spelt as whole numbers, codes, identifiers
        (`TabularAdapter(value_sets=None)` looks for none).
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
    request begins with the rows of a smaller one. With "distill" they also depend on the counts.

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
        constraints: Any = "auto",
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

    def new_rows(self, X: Any, y: Any) -> tuple[Any, Any]:
        """The synthetic rows and their labels alone, as `fit_resample` puts them below X and y.

        It needs much less memory, since X is not copied. Parameters, errors and attributes are
        those of `fit_resample`; the attributes list the rows of X, too.
        """
        refuse_classes(self)
        self._validate_params()
        return self._new_rows(X, y)

    def _new_rows(self, X: Any, y: Any) -> tuple[Any, Any]:
        data = self._checked_data(X, y)
        above = containers.none_of(data.X), containers.none_of(data.y)
        X_new, y_new, parents = self._grown(data, *above)
        self._returned: tuple[Callable[[], Any], ...] = (nothing, nothing)
        X_new = containers.indexed_below(data.X, X_new, parents)
        y_new = containers.indexed_below(data.y, y_new, parents)
        return containers.given_back(X_new, X), containers.given_back(y_new, y)

    def _fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        data = self._checked_data(X, y)
        X_out, y_out, _ = self._grown(data, data.X, data.y)
        X_out, y_out = containers.given_back(X_out, X), containers.given_back(y_out, y)
        self._returned = tuple(weak(rows) for rows in (X_out, y_out))
        return X_out, y_out

    def _grown(self, data: CheckedData, X_above: Any, y_above: Any) -> tuple[Any, Any, Any]:
        """Rows and labels with new ones below them, and the parents of the new ones."""
        model = self._given(data)
        source = choose_surrogate(self.surrogate, data.coding) if model is None else model
        refuse_unfit_parts(self, data.coding, source)
        constraints = data.coding.constraints(self.constraints, data.rows)
        _ = constraints.shares  # A rule that does not fit is refused before any work.
        dataset = fit_dataset(data, self.surrogate, self.device, recipe_of(self).norm)
        model, attacked = self._attacked(source, data, dataset)
        plans = self._plans(data, dataset)
        jury = self._jury(data, dataset, plans)
        writer = RowWriter(data.rows, data.coding, dataset, constraints)
        relabelled = [plan for plan in plans if plan.recipe.relabels]
        pool = self._pool(relabelled, data, writer) if relabelled else None
        requests = [
            ClassRequest(
                pool.of_class(plan.label, plan.count)
                if pool is not None and plan.recipe.relabels
                else self._generator(plan, data, dataset, source, attacked, jury, writer),
                plan.count,
                plan.name,
            )
            for plan in plans
        ]
        X_out, record = self._written(X_above, writer, requests, model)
        example = np.unique(data.codes, return_index=True)[1][record["label"]]
        y_new = (containers.take(data.y, example), record["parent"])
        y_out = containers.join(y_above, [y_new], len(example))
        self._remember(record, requests, data)
        self.surrogate_ = dataset.committee if model is None else model
        self.findings_ = findings_of(constraints, data.coding)
        if len(self.provenance_):
            warn_of_identifiers(data.coding.identifiers)
        self.constraints_report_ = report_of(constraints, self.provenance_)
        return X_out, y_out, record["parent"]

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

    def _given(self, data: CheckedData) -> AttackedModel | None:
        """The user's own model, tried on X; None: the committee or another surrogate is trained."""
        if not is_given(self.surrogate):
            return None
        model = attacked_model(self.surrogate, data.coding, data.rows, len(data.classes))
        if model.classes is not None and not np.array_equal(model.classes, data.classes):
            raise ValueError(
                f"surrogate knows the classes {list(model.classes)}, but y has "
                f"{list(data.classes)}: fit it on the same labels"
            )
        warn_of_disagreement(model, data.coding, data.rows, data.classes, data.codes)
        return model

    def _attacked(
        self, source: Source, data: CheckedData, dataset: EncodedDataset
    ) -> tuple[AttackedModel | None, Logits | None]:
        """What is attacked instead of the committee, and its logits of the dataset's rows."""
        if isinstance(source, Ensemble):
            return None, None
        if not isinstance(source, Surrogate):
            is_queried = isinstance(source, QueriedEstimator)
            rows = containers.take(data.rows, dataset.rows.numpy()) if is_queried else None
            return source, source.encoded_logits(data.coding, rows, dataset.x)
        fitted = dataset.train(source, generator_at(data.seed, SURROGATE))
        return fitted, OutOfFoldModel.of(fitted)

    def _jury(self, data: CheckedData, dataset: EncodedDataset, plans: list[ClassPlan]) -> Jury:
        """Who votes with the committee, where a recipe asks."""
        if self.voters is None or not any(plan.recipe.redraws for plan in plans):
            return EqualVotes()
        generator = generator_at(data.seed, VOTERS)
        if is_auto(self.voters):
            return data.coding.defaults().jury(dataset, generator)
        if is_stacked(self.voters):
            teacher = CommitteeClassifier().fit_encoded(data, dataset)
            count = dataset.y.bincount(minlength=dataset.n_classes).numpy()
            return StackedVotes(teacher.stack_, count / count.sum())
        rows, families = (dataset.features, dataset.y), choose_voters(self.voters)
        return EqualVotes(train_voters(*rows, dataset.n_classes, generator, families))

    def _plans(self, data: CheckedData, dataset: EncodedDataset) -> list[ClassPlan]:
        """How many rows of each class by which recipe: small and unlearnable classes fall back."""
        self.surrogate_auc_, plans, small = {}, [], []
        for label, value in enumerate(data.classes.tolist()):
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
                recipe = recipe_of(self)
                if has_domains_recipe(self):
                    recipe = data.coding.defaults().recipe(auc)
                plans.append(ClassPlan(label, count, type(recipe).__name__.lower(), recipe, False))
        if small:
            warnings.warn(
                f"too few rows to learn from in class {', '.join(small)}, at least {MIN_ROWS} are "
                "needed: new rows are interpolated or repeated. Provide more rows, or exclude the "
                "class in sampling_strategy",
                UserWarning,
                stacklevel=5,
            )
        return plans

    # ---------------------------------------------------------------- rows

    def _generator(
        self,
        plan: ClassPlan,
        data: CheckedData,
        dataset: EncodedDataset,
        source: Source,
        attacked: Logits | None,
        jury: Jury,
        writer: RowWriter,
    ) -> ClassGenerator:
        attack = judge = None
        reads_rows = False
        if not plan.is_fallback:
            attack = attack_of(self, plan.recipe, data.coding, source)
            judge, reads_rows = self._judge(plan, data, dataset)
        config = GenerationConfig(
            attack=attack,
            attacked=attacked,
            jury=jury,
            judge=judge,
            reads_rows=reads_rows,
            radius=None if self.radius == "auto" else self.radius,
            repair=writer.repair,
            device=resolve(self.device),
        )
        return ClassGenerator(dataset, plan.recipe, plan.label, config)

    def _pool(self, plans: list[ClassPlan], data: CheckedData, writer: RowWriter) -> LabelledPool:
        """The rows of all relabelled classes, with the teacher's probabilities."""
        recipe = cast(Distill, plans[0].recipe)
        grown = {value for value, count in self.sampling_strategy_.items() if count}
        if still := [value for value in data.classes.tolist() if value not in grown]:
            warnings.warn(
                f"recipe Distill makes no row of class {still[0]!r}, so that nothing stands "
                "against the labels of the other new rows: let all classes grow, "
                "sampling_strategy=grow(12)",
                UserWarning,
                stacklevel=5,
            )
        rows = recipe.rows or data.coding.defaults().candidates()
        config = GenerationConfig(
            attack=rows.attack, repair=writer.repair, device=resolve(self.device)
        )
        count = math.ceil(sum(plan.count for plan in plans) / recipe.n_copies)
        candidates = candidate_rows(writer, rows, config, count, int(self.batch_size))
        voters = "auto" if is_stacked(self.voters) else self.voters
        teacher = CommitteeClassifier(voters=voters).fit_encoded(data, writer.dataset)
        return LabelledPool.of(writer.dataset, candidates, teacher.encoded_probability)

    def _judge(
        self, plan: ClassPlan, data: CheckedData, dataset: EncodedDataset
    ) -> tuple[FittedJudge | None, bool]:
        """The judge of a class, and whether it reads encoded rows."""
        if self.judge is None:
            return None, False
        if is_auto(self.judge):
            judge = data.coding.defaults().judge(
                dataset.n_classes,
                redraws=plan.recipe.redraws,
                keeps_structure=plan.recipe.keeps_structure,
            )
            descriptors = dataset.committee.features.descriptors
            judge = judge if descriptors is None else DescriptorBandJudge(judge, descriptors)
        else:
            judge = choose_judge(self.judge)
        judge = judge.for_rows(data.coding)
        read = dataset.x if judge.reads_rows else dataset.features
        generator = generator_at(data.seed, JUDGE, plan.label)
        return judge.fit(read, dataset.y, plan.label, generator), judge.reads_rows

    def _written(
        self, X: Any, writer: RowWriter, requests: list[ClassRequest], model: AttackedModel | None
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

        with nullcontext() if model is None else model.frozen(), bar:
            X_out = containers.join(X, batches(), total)
        return X_out, joined(records)

    def _remember(
        self,
        record: dict[str, Any],
        requests: list[ClassRequest],
        data: CheckedData,
    ) -> None:
        n, changes = len(data.codes), record.pop("changes", None)
        self.parent_indices_ = np.concatenate([np.arange(n), record["parent"]])
        self.synthetic_mask_ = np.arange(len(self.parent_indices_)) >= n
        self.sample_weight_ = np.ones(len(self.parent_indices_))
        first = n
        for request in requests:
            rows = slice(first, first + request.count)
            probability = record["probability"][rows.start - n : rows.stop - n]
            self.sample_weight_[rows] = request.generator.weights(probability)
            first = rows.stop
        recipes = sorted({request.name for request in requests})
        named = {"recipe": recipes, "label": data.classes, "status": STATUSES}
        self.provenance_ = containers.table(record, named)
        if changes is not None:
            self.provenance_["changes"] = changes
        self.adapter_ = data.coding


def warn_of_identifiers(names: list[Any]) -> None:
    """UserWarning where a column tells new rows from real ones."""
    if names:
        found = ", ".join(map(repr, names))
        warnings.warn(
            f"column {found} only tells rows apart: new rows get numbers above all real ones, so "
            "that a model could tell new rows by it. Drop the column before a model learns from "
            "the rows, or before fit_resample",
            UserWarning,
            stacklevel=5,
        )


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
