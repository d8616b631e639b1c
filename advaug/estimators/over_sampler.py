"""The over-sampler: an imbalanced-learn sampler whose new rows held-out models agree on.

It reads the user's container, lets `sampling` generate rows of each class that asks for some, and
hands the container back with its own rows first and untouched.
"""

import math
import warnings
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from numbers import Real
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
import torch
from imblearn.over_sampling.base import BaseOverSampler
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from tqdm.auto import tqdm

from advaug import containers
from advaug.core.deferred import Deferred
from advaug.core.devices import batch_rows, resolve
from advaug.core.objectives import Logits
from advaug.core.parameters import is_auto
from advaug.core.problem import Attack
from advaug.core.row_random import generator_at
from advaug.core.storage import NotStorable, dumps, loads
from advaug.estimators.agreement import warn_of_disagreement
from advaug.estimators.attacked_model import attacked_model, is_given
from advaug.estimators.choices import choose_judge, choose_voters, is_stacked
from advaug.estimators.committee_classifier import fit_teacher
from advaug.estimators.resampling import CheckedData, ResamplerMixin, Sample, fit_dataset
from advaug.estimators.row_warnings import warn_of_identifiers, warn_of_repeats
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
    Voters,
    check_parameters,
    choose_surrogate,
    findings_of,
    refuse_classes,
)
from advaug.models.committee import Ensemble
from advaug.models.out_of_fold import OutOfFoldModel
from advaug.models.protocol import AttackedModel, Surrogate
from advaug.models.queried_estimator import QueriedEstimator
from advaug.models.stacking import balanced
from advaug.registry import AdapterName, AttackName, JudgeName, RecipeName
from advaug.sampling.candidate_recipes import Distill
from advaug.sampling.class_generator import ClassGenerator, ClassRows, GenerationConfig
from advaug.sampling.constraints import RowConstraints
from advaug.sampling.distillation import LabelledPool, PoolRows, candidate_rows
from advaug.sampling.domain import Adapter, Coding
from advaug.sampling.encoded_dataset import EncodedDataset
from advaug.sampling.judges.descriptor_band import DescriptorBandJudge
from advaug.sampling.judges.protocol import Judge
from advaug.sampling.jury import EqualVotes, Jury, StackedVotes
from advaug.sampling.provenance import ClassRequest, RowWriter
from advaug.sampling.recipes import Interpolate, Recipe
from advaug.sampling.row_generator import ClassEntry, RowGenerator, with_changes
from advaug.sampling.voters import train_voters

FRAMES = ("provenance_", "findings_")
MIN_ROWS = 6  # Rows of a class that the committee can learn from.


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
        edits freely, so that its texts are to be counted and not to be read ("explore" does so,
        too, with fewer second rows of another class).
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
        keeps them in the new rows; `findings_` lists them. In lists of events it finds which event
        comes first, last, once, or before or after which, in texts brackets and quotes that are
        paired. Images and signals have no such rules.
        ``["auto", rule]`` keeps rules of your own beside them, and a list without "auto" keeps
        these alone: expressions such as ``"open <= total"`` (of events,
        ``"'open' before each 'edit'"``), rule objects, or callables from rows (your container) to
        one bool a row (see `advaug.constraints`). None keeps nothing. A synthetic row that violates
        a rule which its parent keeps is repaired; if it cannot be repaired, a real row is copied.
    batch_size : "auto" or int, default="auto"
        Rows at once on the device. No row depends on it. "auto" is 4096 where rows are long, and
        up to 8192 on a CPU and 65 536 elsewhere where they are short.
    device : str or torch.device, default="auto"
        "auto" is cuda where there is one.
    random_state : int, RandomState or None, default=None
        Seed of all random numbers. With an int a second run gives the same results.
    verbose : int, default=0
        Above 0 shows a progress bar.

    Attributes
    ----------
    generator_ : RowGenerator
        All that was fitted: ``generator_.rows(label, start, stop)`` makes any rows of any class,
        ``generator_.generate(500)`` so many more of the classes that get new rows.
    sampling_strategy_ : dict of class -> int
        How many new rows each class gets.
    parent_indices_ : ndarray (rows out,)
        Needs `fit_resample`. arange(n), then the parent of each synthetic row.
    synthetic_mask_ : ndarray of bool (rows out,)
        Needs `fit_resample`. Which rows are new.
    sample_weight_ : ndarray (rows out,)
        Needs `fit_resample`. 1, and for synthetic rows the probability of their label by the
        voters; with "distill" the weights with which the copies of a row stand exactly for their
        label's probability.
    provenance_ : DataFrame
        Needs `fit_resample`. A line for each synthetic row. parent, second_parent (-1 where there
        is none): row numbers of X. recipe, label. status: "accepted"; "retracted" (moved back
        towards its anchor, a real row); "copied" (no move was accepted, so the anchor was copied);
        "repaired" (brought back to the rules); "reverted" (with the parent's cells in the columns
        of a rule); "replaced" (a rule could not be kept, so the anchor was copied). distance: how
        far it moved. move_share: the share of the move that was accepted. margin_before,
        margin_after: held-out margins of the parent and of the row. probability: of its label, by
        the voters. p_value: how plausible the judge finds it. by_student: whether a small net that
        has learnt what the voters say judged it, as it does from row 16 384 of a class on. For
        sequences also changes: place of the token in the parent -> (tokens before, tokens after).
    findings_ : DataFrame
        A line for each relation that was found in X and is kept: rule, kind, support (how many rows
        show it), by_chance (how many rows would break it if columns were independent; the largest
        first). After them a line for what was found of a single column: its step, few values,
        special values, dates spelt as whole numbers, codes, identifiers
        (`TabularAdapter(value_sets=None)` looks for none).
    constraints_report_ : dict
        Needs `fit_resample`. "rules": rule -> share of the rows of X that keep it. "rows": how many
        synthetic rows there are. "repaired", "reverted", "replaced": how many of them have this
        status.
    surrogate_auc_ : dict of class -> float
        Held-out AUC of the committee. Below .6 rows of the class are interpolated.
    surrogate_ : `Committee`, torch module or estimator
        The attacked model.
    adapter_ : `Coding`
        The fitted adapter, which reads and writes the rows.
        A copy or a pickle of the sampler has no `generator_`, `surrogate_` and `adapter_`: save
        the generator by ``generator_.save(path)``.
    n_features_in_ : int
        Number of columns of X in `fit`.
    feature_names_in_ : ndarray of str
        Names of the columns of X in `fit`, where all of them are texts.

    See Also
    --------
    advaug.grow : Every class grows, and all end with `factor` times the rows of the largest.
    advaug.AdversarialUnderSampler :
        Under-sample by dropping rows that lie deep inside their class, or look mislabelled.
    advaug.robust.DistilledClassifier :
        A classifier that learns a teacher's probabilities, on the rows and on many new ones.
    advaug.validity_report : Judge synthetic rows of a sampler, or of any other tool.

    Notes
    -----
    A class of fewer than 6 rows is interpolated between its rows, a single row is repeated, with
    one warning. Of a class with more than 10 000 rows a random sample is used as parents.

    Row i of a class depends on X, y, the parameters, the seed, the class and i alone: a larger
    request begins with the rows of a smaller one. With "distill" they also depend on the counts.
    `fit_resample` is `fit` and then the first rows of `generator_`. `fit` alone makes no row, so it
    sets no attribute that describes one: `parent_indices_`, `synthetic_mask_`, `sample_weight_`,
    `provenance_` and `constraints_report_`. `new_rows` sets them as `fit_resample` does.

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
        "batch_size": [StrOptions({"auto"}), *SHARED_CONSTRAINTS["batch_size"]],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        recipe: RecipeName | Recipe = "auto",
        attack: AttackName | Attack = "auto",
        radius: Literal["auto"] | float = "auto",
        adapter: AdapterName | Adapter = "auto",
        surrogate: Any = "auto",
        voters: Literal["auto", "stacked"] | Voters | None = "auto",
        judge: JudgeName | Judge | None = "auto",
        constraints: Any = "auto",
        batch_size: Literal["auto"] | int = "auto",
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

    def fit(self, X: Any, y: Any) -> Self:
        """Learn all that new rows are made of, and make none: see `generator_`.

        X and y are those of `fit_resample`, which is `fit` and then the rows that
        `sampling_strategy` asks for.

        Parameters
        ----------
        X : container of rows
            Rows in any container that an adapter takes.
        y : array-like of shape (n_rows,)
            The label of each row.

        Returns
        -------
        object
            The fitted sampler itself.
        """
        refuse_classes(self)
        check_parameters(self)
        self._learn(self._checked_data(X, y), X, y)
        return self

    def fit_sample(self, X: Any, y: Any, counts: Mapping[Any, int], numbers: Any = None) -> Self:
        """The same from a sample of the rows: `fit` of data that are larger than memory.

        Parameters
        ----------
        X, y : as in `fit`
            A random sample of the rows of each class; 10 000 rows of each are enough.
        counts : dict of class -> int
            How many rows of it there are in all: `sampling_strategy` reads these.
        numbers : int array (rows of X,), optional
            The number of each row in all data, which the provenance names.

        Returns
        -------
        object
            The fitted sampler itself.
        """
        refuse_classes(self)
        check_parameters(self)
        self._learn(self._checked_data(X, y, Sample(counts, numbers)), X, y)
        return self

    def new_rows(self, X: Any, y: Any) -> tuple[Any, Any]:
        """The synthetic rows and their labels alone, as `fit_resample` puts them below X and y.

        It needs much less memory, since X is not copied. Parameters, errors and attributes are
        those of `fit_resample`; the attributes list the rows of X, too.

        Parameters
        ----------
        X : container of rows
            As in `fit_resample`.
        y : array-like of shape (n_rows,)
            As in `fit_resample`.

        Returns
        -------
        tuple of X and y
            The synthetic rows and their labels.
        """
        refuse_classes(self)
        check_parameters(self)
        data = self._checked_data(X, y)
        above = containers.none_of(data.X), containers.none_of(data.y)
        X_new, y_new = self._grown(data, X, y, *above)
        self._returned: tuple[Callable[[], Any], ...] = (nothing, nothing)
        parents = self.parent_indices_[self.synthetic_mask_]
        X_new = containers.indexed_below(data.X, X_new, parents)
        y_new = containers.indexed_below(data.y, y_new, parents)
        return containers.given_back(X_new, X), containers.given_back(y_new, y)

    def _fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        data = self._checked_data(X, y)
        X_out, y_out = self._grown(data, X, y, data.X, data.y)
        X_out, y_out = containers.given_back(X_out, X), containers.given_back(y_out, y)
        self._returned = tuple(weak(rows) for rows in (X_out, y_out))
        return X_out, y_out

    def _grown(
        self, data: CheckedData, X: Any, y: Any, X_above: Any, y_above: Any
    ) -> tuple[Any, Any]:
        """Rows and labels with new ones below them."""
        constraints = self._learn(data, X, y)
        generator = self.generator_
        requests = [generator.request(label, 0, count) for label, count in generator.counts.items()]
        X_out, records = self._written(X_above, generator, requests)
        made, changes = generator.table(records, requests)
        self.provenance_ = Deferred(partial(with_changes, made, changes))
        example = np.unique(data.codes, return_index=True)[1][made["label"].cat.codes]
        parent = made["parent"].to_numpy()
        y_out = containers.join(y_above, [(containers.take(data.y, example), parent)], len(example))
        self._remember(made, requests, len(data.codes))
        if len(made):
            warn_of_identifiers(data.coding.identifiers)
            if not recipe_of(self).relabels:
                warn_of_repeats(data, X_out, made)
        self.constraints_report_ = report_of(constraints, made)
        return X_out, y_out

    def _learn(self, data: CheckedData, X: Any, y: Any) -> RowConstraints:
        """Fit all that new rows need; returns the rules, over all rows."""
        model = self._given(data)
        source = choose_surrogate(self.surrogate, data.coding) if model is None else model
        refuse_unfit_parts(self, data.coding, source)
        constraints = data.coding.constraints(self.constraints, data.rows)
        _ = constraints.shares  # A rule that does not fit is refused before any work.
        dataset = fit_dataset(data, self.surrogate, self.device, recipe_of(self).norm)
        writer = RowWriter.of(data.rows, data.coding, dataset, constraints)
        numbers = torch.from_numpy(data.numbers)[dataset.rows]
        dataset = replace(dataset, rows=numbers).with_features(dataset.features)
        writer = replace(writer, dataset=dataset)
        model, attacked = self._attacked(source, data.coding, writer, data.seed)
        plans = self._plans(data, dataset)
        example = np.unique(data.codes, return_index=True)[1]
        self.generator_ = RowGenerator(
            writer=writer,
            entries=self._entries(plans, data, writer, source, attacked),
            classes=data.classes,
            examples=containers.take(data.y, example),
            counts={data.classes.tolist()[one.label]: one.count for one in plans if one.count},
            model=model,
            batch_size=self._batch_rows(dataset),
            tensors=(containers.empty_like(X), containers.empty_like(y)),
        )
        self.findings_ = findings_of(constraints, data.coding)
        return constraints

    def returned(self) -> tuple[Any, Any] | None:
        """X and y as `fit_resample` last returned them, for as long as you hold them; else None.

        They are not the sampler's: it neither keeps them alive nor takes them along when it is
        copied or stored.

        Returns
        -------
        tuple of X and y, or None
            The rows and labels, or None where you hold them no longer.
        """
        X, y = (hold() for hold in getattr(self, "_returned", (nothing, nothing)))
        return None if X is None or y is None else (X, y)

    @property
    def adapter_(self) -> Coding:
        """The learnt coding of the rows."""
        return self.generator_.writer.coding

    @property
    def surrogate_(self) -> AttackedModel:
        """The attacked model."""
        generator = self.generator_
        return generator.writer.dataset.committee if generator.model is None else generator.model

    def __getattr__(self, name: str) -> Any:
        """An error for what is not there; it says why a stored sampler cannot grow."""
        if name in ("generator_", "adapter_", "surrogate_"):
            raise AttributeError(
                "this sampler is not fitted; or it was copied or stored, which leaves out "
                "generator_, adapter_ and surrogate_: call fit(X, y), or store the generator by "
                "generator_.save(path)"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def provenance_(self) -> Any:
        """A line for each synthetic row; what moved in texts is listed when this is first read."""
        if "provenance_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no provenance_ before fit_resample")
        made = vars(self)["provenance_"]
        return made.value if isinstance(made, Deferred) else made

    @provenance_.setter
    def provenance_(self, made: Any) -> None:
        self.__dict__["provenance_"] = made

    def __getstate__(self) -> dict[str, Any]:
        """Without what only growing needs; frames as bytes without code, for skops."""
        state = super().__getstate__().items()
        kept = {name: value for name, value in state if name not in ("_returned", "generator_")}
        if "provenance_" in kept:
            kept["provenance_"] = self.provenance_
        return {name: as_bytes(kept[name]) if name in FRAMES else kept[name] for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(
            {name: from_bytes(value) if name in FRAMES else value for name, value in state.items()}
        )

    # ---------------------------------------------------------------- choices

    def _batch_rows(self, dataset: EncodedDataset) -> int:
        """How many rows are made at once."""
        if is_auto(self.batch_size):
            width = max(dataset.x[0].numel(), dataset.features.shape[1])
            return batch_rows(resolve(self.device), width)
        return int(self.batch_size)

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
        self, source: Source, coding: Coding, writer: RowWriter, seed: int
    ) -> tuple[AttackedModel | None, Logits | None]:
        """What is attacked instead of the committee, and its logits of the dataset's rows."""
        if isinstance(source, Ensemble):
            return None, None
        if not isinstance(source, Surrogate):
            rows = writer.parents if isinstance(source, QueriedEstimator) else None
            return source, source.encoded_logits(coding, rows, writer.dataset.x)
        fitted = writer.dataset.train(source, generator_at(seed, SURROGATE))
        return fitted, OutOfFoldModel.of(fitted)

    def _plans(self, data: CheckedData, dataset: EncodedDataset) -> list[ClassPlan]:
        """How many rows of each class by which recipe: small and unlearnable classes fall back."""
        self.surrogate_auc_, plans, small = {}, [], []
        for label, value in enumerate(data.classes.tolist()):
            count = int(self.sampling_strategy_.get(value, 0))
            own, auc = len(dataset.of_class(label)), dataset.auc(label)
            if count:
                self.surrogate_auc_[value] = auc
            if count and own < MIN_ROWS:
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

    def _entries(
        self,
        plans: list[ClassPlan],
        data: CheckedData,
        writer: RowWriter,
        source: Source,
        attacked: Logits | None,
    ) -> list[ClassEntry]:
        """How each class's rows are made; the judges and the jury are fitted when one is asked."""
        relabelled = [plan for plan in plans if plan.recipe.relabels and plan.count]
        pool = self._pool(relabelled, data, writer) if relabelled else None
        jury = self._jury(data, writer.dataset)
        return [
            ClassEntry(
                plan.name,
                Deferred(partial(rows_of_pool, pool, plan))
                if plan.recipe.relabels
                else self._maker(plan, data, writer, source, attacked, jury),
            )
            for plan in plans
        ]

    def _maker(
        self,
        plan: ClassPlan,
        data: CheckedData,
        writer: RowWriter,
        source: Source,
        attacked: Logits | None,
        jury: Deferred[Jury],
    ) -> Deferred[ClassRows]:
        attack = judge = None
        if not plan.is_fallback:
            attack = attack_of(self, plan.recipe, data.coding, source)
            judge = self._judge(plan, data.coding, writer.dataset)
        config = GenerationConfig(
            attack=attack,
            attacked=attacked,
            reads_rows=judge is not None and judge.reads_rows,
            radius=None if self.radius == "auto" else self.radius,
            repair=writer.repair if writer.constraints.repairs else None,
            device=resolve(self.device),
        )
        generator = ClassGenerator(writer.dataset, plan.recipe, plan.label, config)
        return Deferred(partial(with_judges, generator, judge, jury, data.seed))

    def _jury(self, data: CheckedData, dataset: EncodedDataset) -> Deferred[Jury]:
        """Who votes with the committee, where a recipe redraws."""
        voters, coding, seed = self.voters, data.coding, data.seed
        if voters is None:
            return Deferred(EqualVotes)
        if is_auto(voters):
            return Deferred(lambda: coding.defaults().jury(dataset, generator_at(seed, VOTERS)))
        if is_stacked(voters):
            return Deferred(lambda: stacked_votes(coding, seed, dataset))
        families = choose_voters(voters)
        return Deferred(
            lambda: EqualVotes(
                train_voters(
                    dataset.features,
                    dataset.y,
                    dataset.n_classes,
                    generator_at(seed, VOTERS),
                    families,
                )
            )
        )

    def _pool(
        self, plans: list[ClassPlan], data: CheckedData, writer: RowWriter
    ) -> Deferred[LabelledPool]:
        """The rows of all relabelled classes, with the teacher's probabilities."""
        recipe = cast(Distill, plans[0].recipe)
        grown = {value for value, count in self.sampling_strategy_.items() if count}
        if still := [value for value in data.classes.tolist() if value not in grown]:
            warnings.warn(
                f"recipe Distill makes no row of class {still[0]!r}, so that nothing stands "
                "against the labels of the other new rows: let all classes grow, "
                "sampling_strategy=grow(12)",
                UserWarning,
                stacklevel=7,
            )
        rows = recipe.rows or data.coding.defaults().candidates()
        config = GenerationConfig(
            attack=rows.attack,
            repair=writer.repair if writer.constraints.repairs else None,
            device=resolve(self.device),
        )
        count = math.ceil(sum(plan.count for plan in plans) / recipe.n_copies)
        voters = "auto" if is_stacked(self.voters) else cast(Voters | None, self.voters)
        coding, seed, counts = data.coding, data.seed, data.counts
        batch_size = self._batch_rows(writer.dataset)

        def pool() -> LabelledPool:
            candidates = candidate_rows(writer, rows, config, count, batch_size)
            teacher = fit_teacher(coding, seed, writer.dataset, voters)
            share = writer.dataset.class_counts / counts
            return LabelledPool.of(
                writer.dataset, candidates, lambda x: balanced(teacher.probability(x), share)
            )

        return Deferred(pool)

    def _judge(self, plan: ClassPlan, coding: Coding, dataset: EncodedDataset) -> Judge | None:
        """The judge of a class, before it is fitted."""
        if self.judge is None:
            return None
        if not is_auto(self.judge):
            return choose_judge(self.judge).for_rows(coding)
        judge = coding.defaults().judge(
            dataset.n_classes,
            redraws=plan.recipe.redraws,
            keeps_structure=plan.recipe.keeps_structure,
        )
        descriptors = dataset.committee.features.descriptors
        judge = judge if descriptors is None else DescriptorBandJudge(judge, descriptors)
        return judge.for_rows(coding)

    def _written(
        self, X: Any, generator: RowGenerator, requests: list[ClassRequest]
    ) -> tuple[Any, list[dict[str, Any]]]:
        """X with the new rows below it, and their records."""
        records: list[dict[str, Any]] = []
        total = sum(request.count for request in requests)
        with tqdm(total=total, disable=not self.verbose, unit="rows", desc="advaug") as bar:

            def tell(record: dict[str, Any]) -> None:
                records.append(record)
                bar.update(len(record["parent"]))

            X_out = containers.join(X, generator.batches(requests, tell), total)
        return X_out, records

    def _remember(self, made: Any, requests: list[ClassRequest], n: int) -> None:
        """What is said of each row, beside the provenance: there are `n` real rows."""
        self.parent_indices_ = np.concatenate([np.arange(n), made["parent"].to_numpy()])
        self.synthetic_mask_ = np.arange(len(self.parent_indices_)) >= n
        probability, first = made["probability"].to_numpy(), 0
        self.sample_weight_ = np.ones(len(self.parent_indices_))
        for request in requests:
            rows = slice(first, first + request.count)
            weight = request.generator.weights(torch.arange(request.count), probability[rows])
            self.sample_weight_[n + rows.start : n + rows.stop] = weight
            first = rows.stop


def with_judges(
    generator: ClassGenerator, judge: Judge | None, jury: Deferred[Jury], seed: int
) -> ClassRows:
    """The generator of a class with its fitted judge and those who vote."""
    dataset, label, config = generator.dataset, generator.label, generator.config
    if judge is not None:
        read = dataset.x if judge.reads_rows else dataset.features
        fitted = judge.fit(read, dataset.y, label, generator_at(seed, JUDGE, label))
        config = replace(config, judge=fitted)
    if generator.recipe.redraws:
        config = replace(config, jury=jury.value)
    return replace(generator, config=config)


def rows_of_pool(pool: Deferred[LabelledPool] | None, plan: ClassPlan) -> ClassRows:
    """The rows of a class whose labels a teacher says: those that the strategy asks for."""
    if pool is None or not plan.count:
        return PoolRows(None, plan.label, torch.empty(0, dtype=torch.long), torch.empty(0))
    return pool.value.of_class(plan.label, plan.count)


def stacked_votes(coding: Coding, seed: int, dataset: EncodedDataset) -> Jury:
    """All models of `CommitteeClassifier`, with its weights."""
    count = dataset.class_counts
    return StackedVotes(fit_teacher(coding, seed, dataset, "auto"), count / count.sum())


def report_of(constraints: RowConstraints, provenance: Any) -> dict[str, Any]:
    """How many real rows keep each rule, and what the rules did to synthetic ones."""
    status = provenance["status"]
    counts = {name: int((status == name).sum()) for name in ("repaired", "reverted", "replaced")}
    return {"rules": constraints.shares, "rows": len(provenance), **counts}


def as_bytes(frame: Any) -> Any:
    """A frame as bytes without code; as it is where it holds objects, such as labels, of others."""
    try:
        return dumps({"frame": frame})
    except NotStorable:
        return frame


def from_bytes(stored: Any) -> Any:
    """What `as_bytes` was given."""
    if not isinstance(stored, bytes):
        return stored
    return loads(stored, dict, dict, "the record")["frame"]


def weak(rows: Any) -> Callable[[], Any]:
    """A reference that does not keep rows alive; plain lists can have none."""
    try:
        return weakref.ref(rows)
    except TypeError:
        return nothing


def nothing() -> None:
    """The answer of a reference without its object."""
