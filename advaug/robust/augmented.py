"""Any classifier fitted on more rows: adversarial ones in rounds, or those a gate chooses."""

import warnings
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import clone
from sklearn.metrics import get_scorer_names
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.metaestimators import available_if

from advaug import containers
from advaug.core.parameters import is_auto
from advaug.estimators.committee_classifier import checked_data
from advaug.estimators.validation import (
    SHARED_CONSTRAINTS,
    check_parameters,
    refuse_classes,
    refuse_unsortable,
)
from advaug.models.protocol import Array
from advaug.robust.gate import Lesson, choose
from advaug.robust.nets import AdapterParameter, RandomState
from advaug.robust.robustness import adversarial_rows
from advaug.robust.soft_labels import refuse_no_probability
from advaug.robust.wrapped import WrappedClassifier, estimator_has

N_ROUNDS = 2


def has_decision(self: Any) -> bool:
    """Whether there is a decision function; the options of the gate have none in common."""
    return not is_auto(self.sampler) and bool(estimator_has("decision_function")(self))


def moves_in_fit(transformer: Any) -> bool:
    """Whether it, or one that it holds, moves rows in `fit_transform` alone: `when="fit"`."""
    settings = transformer.get_params().items()
    return any(name.split("__")[-1] == "when" and value == "fit" for name, value in settings)


class AugmentedClassifier(WrappedClassifier):
    """A classifier that is fitted on more rows than it was given, where that helps.

    With `sampler="auto"` a gate scores four options for your classifier on held-out rows, and takes
    the best one, or none: it is fitted as it is ("nothing"), on softened labels ("softened"), on
    new rows with soft labels as well ("distilled", see `DistilledClassifier`), or on the rows of
    `AdversarialOverSampler` ("over-sampled").

    With another sampler, or None, it is fitted, attacked, and refitted with the adversarial rows,
    in rounds. The rows of all rounds are kept: otherwise a round could undo what the rounds before
    achieved.

    Parameters
    ----------
    estimator : classifier
        Clones of it are fitted. With `sampler="auto"` it needs `predict_proba`.
    sampler : "auto", sampler, transformer or None, default=None
        "auto" chooses by a held-out score whether rows are added. Otherwise it makes the rows. It
        has `fit_resample` (`AdversarialOverSampler`, with `sampling_strategy=grow(2)` for rows of
        every class), or `fit` and `transform` of X and y (`AdversarialTransformer`), whose rows
        keep their labels. Its `surrogate`, if it has one, is set to the fitted classifier. None
        moves every row against its label by .3 units of the adapter, by "pgd", or by "square" if
        the classifier has no gradient.
    n_rounds : int >= 1, default=2
        How many times the classifier is attacked and refitted. It has no effect with
        `sampler="auto"`.
    adapter : {"auto", "tabular", "image", "signal", "sequence"} or adapter, default="auto"
        Reads the rows. "auto" is the first one that accepts them.
    scoring : str, callable or None, default=None
        By what `sampler="auto"` chooses: the name of a scikit-learn scorer, or a callable
        (estimator, X, y) -> float, which may ask the estimator for `predict` and `predict_proba` of
        this X alone. None is average precision of the rarer of two classes, or "roc_auc_ovr" of
        more.
    random_state : int, RandomState or None, default=None
        Seeds the sampler, if it takes one, or the gate.
    n_jobs : int or None, default=None
        In how many processes `sampler="auto"` fits the classifier without each fold, as in joblib;
        None is 1, unless a `joblib.parallel_config` says more. The choice is the same for any
        number. It pays if one fit takes seconds, since each process first imports for some.

    Attributes
    ----------
    estimator_ : classifier
        The classifier of the last round; with `sampler="auto"` that of the chosen option. Unless
        this is "nothing", it is a `Student`, and `estimator_.estimator` is the fitted clone.
    classes_ : ndarray (classes,)
        The class labels.
    n_rows_ : list of int
        How many rows each round, or the chosen option, was fitted on.
    report_ : DataFrame
        With `sampler="auto"` a line for each option. option; score: of rows that no model had seen;
        gain: over nothing; standard_error: of the gain, by 50 bootstraps of the held-out
        predictions; chosen.
    teacher_score_ : float
        With `sampler="auto"`: see `DistilledClassifier`.
    n_features_in_ : int
        Number of columns of X in `fit`.
    feature_names_in_ : ndarray of str
        Names of the columns of X in `fit`, where all of them are texts.

    See Also
    --------
    advaug.robust.DistilledClassifier :
        A classifier that learns a teacher's probabilities, on the rows and on many new ones.
    advaug.robust.AdversarialClassifier :
        A net trained on w * L(x, y) + (1 - w) * R, where R comes from an attack on the net.

    Notes
    -----
    The gate takes the option of the highest gain among those whose gain is above one standard
    error, and nothing if there is none. It fits the classifier four times for each option, and one
    teacher for all of them (for sequences five). It chooses nothing without a trial if a class has
    fewer than 6 rows, of which it warns, or if the teacher has learnt nothing (`teacher_score_`
    below .6). Scores are then NaN.

    `predict_proba` returns probabilities for the class shares of y, whatever the gate chose. If it
    chose "nothing", `predict` is the classifier's own. If it chose "softened" or "distilled", it
    decides as `DistilledClassifier` does, and after over-sampling for the class that is most
    probable if all classes were equally frequent: it finds more rows of a rare class, and differs
    from the most probable class. If you need the latter, take the largest `predict_proba`; if
    errors have costs, take a threshold on it (`FixedThresholdClassifier`). A
    scorer of `predict`, such as "f1_macro", scores the options by these decisions.

    The options are scored on the same rows by which the best one is chosen, so that its score in
    `report_` is a little optimistic: measure the gain by an outer cross-validation.

    Measure the gain of rounds as well (`robustness_table`): it depends on the classifier, and may
    be a loss. `python -m benchmarks.defences --parts augmented` measures it for four of them on
    five tables.

    `sample_weight`, or anything else that `fit` is given with a value for each row, is passed to
    the estimator; an adversarial row has the value of its parent. With `sampler="auto"` the gate
    takes `sample_weight` alone: teacher, new rows and scores are weighted, too, and an estimator
    that takes no weights is fitted on rows drawn in proportion to them.

    References
    ----------
    Kantchelian, Tygar, Joseph. Evasion and hardening of tree ensemble classifiers. ICML 2016.
    Breiman, Friedman, Olshen, Stone. Classification and regression trees. 1984 (one standard
    error). arXiv 2605.18654 and 2605.10315 (soft labels and new rows hurt some classifiers, hence
    a gate on a held-out score).

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.svm import SVC
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from advaug.robust import AugmentedClassifier
    >>> X, y = make_classification(200, random_state=0)
    >>> model = make_pipeline(StandardScaler(), AugmentedClassifier(SVC(), random_state=0))
    >>> model.fit(X, y)[-1].n_rows_
    [200, 400, 600]

    >>> X, y = make_classification(400, n_informative=4, weights=[0.8], random_state=0)
    >>> tree = DecisionTreeClassifier(min_samples_leaf=2, random_state=0)
    >>> gate = AugmentedClassifier(tree, sampler="auto", random_state=0).fit(X, y)
    >>> gate.report_["option"][gate.report_["chosen"]].item()
    'distilled'
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "sampler": [
            StrOptions({"auto"}),
            HasMethods("fit_resample"),
            HasMethods(["fit", "transform"]),
            None,
        ],
        "n_rounds": [Interval(Integral, 1, None, closed="left")],
        "adapter": SHARED_CONSTRAINTS["adapter"],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        estimator: Any,
        sampler: Any = None,
        *,
        n_rounds: int = N_ROUNDS,
        adapter: AdapterParameter = "auto",
        scoring: Any = None,
        random_state: RandomState = None,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.sampler = sampler
        self.n_rounds = n_rounds
        self.adapter = adapter
        self.scoring = scoring
        self.random_state = random_state
        self.n_jobs = n_jobs

    def get_metadata_routing(self) -> MetadataRouter:
        """Metadata of `fit` is passed to the estimator's `fit`, if it requests it.

        Returns
        -------
        MetadataRouter
            Of scikit-learn.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=mapping)

    def fit(self, X: Any, y: Any, **params: Any) -> Self:
        """Fit, then in each round attack and fit again; or choose an option and fit by it.

        Parameters
        ----------
        X : container of rows
            Rows in any container that the estimator and an adapter take.
        y : array-like of shape (n_rows,)
            The label of each row.
        **params : dict
            `sample_weight` and others, with a value for each row.

        Returns
        -------
        object
            The fitted estimator itself.

        Raises
        ------
        ValueError
            If y has one class, or a parameter has no effect.
        """
        self._refuse_parameters_without_effect(params)
        if is_auto(self.sampler):
            return self._fit_gate(X, y, params.get("sample_weight"))
        X, y = self._check(X, y)
        if _routing_enabled():
            params = process_routing(self, "fit", **params).estimator.fit
        random_state = check_random_state(self.random_state)
        rows, labels, parents = X, y, np.arange(len(y))
        self.estimator_ = self._fit_clone(rows, labels, parents, params)
        self.n_rows_ = [len(labels)]
        for _ in range(self.n_rounds):
            new, new_labels, parent = self._new_rows(X, y, int(random_state.randint(2**31 - 1)))
            rows = containers.join(rows, [(new, parent)], len(parent))
            labels = np.concatenate([labels, new_labels])
            parents = np.concatenate([parents, parent])
            self.estimator_ = self._fit_clone(rows, labels, parents, params)
            self.n_rows_.append(len(labels))
        return self

    def _refuse_parameters_without_effect(self, params: dict[str, Any]) -> None:
        """ValueError for what the gate, or the rounds, cannot use."""
        if not is_auto(self.sampler):
            if self.scoring is not None:
                raise ValueError("scoring has no effect: only sampler='auto' chooses by a score")
            if self.n_jobs is not None:
                raise ValueError(
                    "n_jobs has no effect: only sampler='auto' fits folds side by side; leave "
                    "n_jobs=None"
                )
            return
        if self.n_rounds != N_ROUNDS:
            raise ValueError(
                f"n_rounds has no effect with sampler='auto', which has no rounds: leave "
                f"n_rounds={N_ROUNDS}"
            )
        refuse_no_probability("sampler='auto'", self.estimator)
        given = [name for name, value in params.items() if value is not None]
        if others := [name for name in given if name != "sample_weight"]:
            raise ValueError(
                f"sampler='auto' passes nothing but sample_weight on: fit takes no {others[0]}"
            )

    def _fit_gate(self, X: Any, y: Any, sample_weight: Any) -> Self:
        """Choose an option, and fit by it."""
        refuse_classes(self)
        check_parameters(self)
        data = checked_data(self, X, y, sample_weight)
        refuse_unsortable(data.classes, self.estimator)
        choice = choose(self.estimator, Lesson.of(data, self.adapter), self.scoring, self.n_jobs)
        self.classes_, self.report_ = data.classes, choice.report
        self.estimator_, self.n_rows_ = choice.estimator, [choice.n_rows]
        self.teacher_score_ = choice.teacher_score
        return self

    def _fit_clone(self, X: Any, y: Array, parents: Array, params: dict[str, Any]) -> Any:
        """A clone fitted on the rows; a parameter of one value a row is that of the parents."""
        n_rows = int(parents.max()) + 1
        of_rows = {
            name: value
            if value is None or np.ndim(value) == 0 or len(value) != n_rows
            else containers.take(value, parents)
            for name, value in params.items()
        }
        return clone(self.estimator).fit(containers.given_back(X), y, **of_rows)

    def _new_rows(self, X: Any, y: Array, seed: int) -> tuple[Any, Array, Array]:
        """Rows against the classifier of this round, their labels and their parents."""
        every = np.arange(len(y))
        if self.sampler is None:
            moved = adversarial_rows(self.estimator_, X, y, adapter=self.adapter, random_state=seed)
            return moved, y, every
        sampler = clone(self.sampler)
        settings = {"surrogate": self.estimator_, "random_state": seed}
        known = sampler.get_params(deep=False)
        sampler.set_params(**{name: value for name, value in settings.items() if name in known})
        if not hasattr(sampler, "fit_resample"):
            with warnings.catch_warnings():  # It was fitted on these rows: its units are right.
                warnings.filterwarnings("ignore", message="surrogate agrees with y in")
                if moves_in_fit(sampler):
                    return sampler.fit_transform(X, y), y, every
                return sampler.fit(X, y).transform(X, y), y, every
        X_new, y_new = sampler.fit_resample(X, y)
        new = np.arange(len(y), len(y_new))
        parents = getattr(sampler, "parent_indices_", None)
        if parents is None:
            raise TypeError(
                f"sampler {type(sampler).__name__} does not say which row each new one was made "
                "from (parent_indices_): take AdversarialOverSampler"
            )
        return containers.take(X_new, new), np.asarray(y_new)[new], parents[new]

    def predict(self, X: Any) -> Array:
        """The last round's classes; those of the chosen option with `sampler="auto"`.

        Parameters
        ----------
        X : container of rows
            Rows as in `fit`.

        Returns
        -------
        ndarray of shape (n_rows,)
            The predicted class of each row.
        """
        return self._query("predict", X)

    @available_if(has_decision)
    def decision_function(self, X: Any) -> Array:
        """The last round's decision, ndarray (rows,) or (rows, classes)."""
        return self._query("decision_function", X)
