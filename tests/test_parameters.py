"""Every parameter of every public estimator has an effect, or an error says that it has none.

A changed value must change what the estimator returns or has learnt. An estimator or a parameter
that is not in the table fails.
"""

import copy
from dataclasses import dataclass, field
from inspect import isclass

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from torch import nn

import advaug
import advaug.models
import advaug.robust
from advaug import (
    AdversarialOverSampler,
    AdversarialTransformer,
    AdversarialUnderSampler,
    CommitteeClassifier,
    PriorCorrectedClassifier,
)
from advaug.adapters import SequenceAdapter, TabularAdapter
from advaug.attacks import Attack
from advaug.core.parameters import Parameters
from advaug.models import Ensemble, NGramRidge, Training
from advaug.recipes import Explore
from advaug.robust import (
    AdversarialClassifier,
    AdversarialDetector,
    AdversarialRegressor,
    AugmentedClassifier,
    DistilledClassifier,
    RejectingClassifier,
    UnknownDetector,
)
from advaug.sampling import thinning

Y = np.repeat([0, 1], [45, 15])
X = np.random.default_rng(0).normal(size=(60, 3)) + 1.2 * Y[:, None]
QUICK = Ensemble(n_repeats=2, cv=2, hidden_width=8, max_iter=25)
SHORT = Training(hidden_width=8, epochs=3)
FROZEN = TabularAdapter(frozen=[0])


@dataclass
class Counts(Attack, Parameters):
    """Moves all cells a little, and writes down how many rows it gets at once."""

    sizes: list = field(default_factory=list)

    def __call__(self, problem):
        self.sizes.append(len(problem.seed))
        return problem.seed + 0.01


def net(outputs):
    generator = torch.Generator().manual_seed(0)
    linear = nn.Linear(3, outputs)
    with torch.no_grad():
        linear.weight.copy_(torch.randn(outputs, 3, generator=generator))
        linear.bias.zero_()
    return linear


def first_at_most_one(rows):
    return np.asarray(rows)[:, 0] <= 1


def many_positives(classifier, rows, y):
    return np.mean(classifier.predict(rows))


# ---------------------------------------------------------------- what an estimator returns


def resampled(sampler):
    X_new, y_new = sampler.fit_resample(X, Y)
    facts = sampler.provenance_.drop(columns=["label", "recipe", "status"]).to_numpy(float)
    return [X_new, y_new, facts, counted(sampler)]


def thinned(sampler):
    return [*sampler.fit_resample(X, Y), sampler.distances_]


def transformed(transformer):
    moved = transformer.fit_transform(X, Y)
    return [moved, transformer.transform(X), counted(transformer)]


def counted(estimator):
    return estimator.attack.sizes if isinstance(estimator.attack, Counts) else []


def predicted(classifier):
    return [classifier.fit(X, Y).predict_proba(X), classifier.predict(X)]


def regressed(regressor):
    return [regressor.fit(X, X.sum(1)).predict(X)]


def scored(detector):
    return [detector.fit(X, Y).score_samples(X), detector.offset_]


def rejected(classifier):
    return [classifier.fit(X, Y).predict(X), classifier.rejects(X), classifier.predict_proba(X)]


def voted(settings):
    x, generator = torch.from_numpy(X).float(), torch.Generator().manual_seed(0)
    committee = settings.fit(x, torch.from_numpy(Y), 2, generator)
    return [committee.logits(x).numpy(), committee.fold_of_member.numpy()]


def trained(settings):
    return predicted(AdversarialClassifier(training=settings, random_state=0))


def read(settings):
    texts = ["win a prize now", "call me at noon", "a prize call", "noon now"] * 5
    coding, generator = SequenceAdapter().fit(texts), torch.Generator().manual_seed(0)
    x, y = coding.encode(texts), torch.arange(20) % 2
    models = settings.fit(x, y, 2, generator, coding.features(x, generator))
    return [models.logits(x).numpy(), models.fold_of_member.numpy()]


# ---------------------------------------------------------------- the table


class Refused(str):
    """What the error of a changed value says."""


NO_JOBS = (0, Refused("n_jobs == 0 in Parallel has no meaning"))
NOWHERE = ("nowhere", Refused("device='nowhere' cannot be used here"))
OF_NETS = {
    "training": Training(hidden_width=8, epochs=5),
    "adapter": FROZEN,
    "device": NOWHERE,
    "random_state": 1,
}
# Estimator -> (what it returns, its first parameters, parameter -> changed value). Where another
# parameter must be set too, or what is returned is an error, the value is (value, others).
TABLE = {
    AdversarialOverSampler: (
        resampled,
        {"surrogate": QUICK, "random_state": 0},
        {
            "sampling_strategy": {1: 35},
            "recipe": "harden",
            "attack": "noise",
            "radius": (2.0, {"attack": "noise"}),
            "adapter": FROZEN,
            "surrogate": Ensemble(n_repeats=2, cv=2, hidden_width=9, max_iter=25),
            "voters": None,
            "judge": None,
            "constraints": first_at_most_one,
            "batch_size": (7, {"attack": Counts(), "recipe": "harden"}),
            "device": NOWHERE,
            "random_state": 1,
            "verbose": 1,
        },
    ),
    AdversarialTransformer: (
        transformed,
        {"surrogate": QUICK, "random_state": 0},
        {
            "attack": "noise",
            "radius": 0.4,
            "norm": 2,
            "when": "fit",
            "surrogate": Ensemble(n_repeats=2, cv=2, hidden_width=9, max_iter=2),
            "adapter": FROZEN,
            "constraints": first_at_most_one,
            "batch_size": (7, {"attack": Counts()}),
            "device": NOWHERE,
            "random_state": (1, {"attack": "noise"}),
        },
    ),
    AdversarialUnderSampler: (
        thinned,
        {"surrogate": QUICK, "random_state": 0},
        {
            "sampling_strategy": {0: 20},
            "drop": "redundant",
            "sharpness": (9.0, {"drop": "redundant"}),
            "doubt": 0.9,
            "adapter": FROZEN,
            "surrogate": Ensemble(n_repeats=2, cv=2, hidden_width=9, max_iter=25),
            "batch_size": 7,
            "device": NOWHERE,
            "random_state": 1,
        },
    ),
    PriorCorrectedClassifier: (
        predicted,
        {"estimator": LogisticRegression()},
        {
            "estimator": GaussianNB(),
            "method": "prior",
            "cv": (2, {"method": "beta"}),
            "n_jobs": NO_JOBS,
        },
    ),
    AdversarialClassifier: (
        predicted,
        {"training": SHORT, "random_state": 0},
        {
            "loss": "trades",
            "attack": "noise",
            "radius": 0.5,
            "norm": 2,
            "clean_weight": 0.2,
            "class_weight": "balanced",
            "module": net(2),
            **OF_NETS,
        },
    ),
    AdversarialRegressor: (
        regressed,
        {"training": SHORT, "random_state": 0},
        {
            "loss": "trades",
            "attack": "noise",
            "radius": 0.5,
            "norm": 2,
            "clean_weight": 0.2,
            "module": net(1),
            **OF_NETS,
        },
    ),
    AdversarialDetector: (
        scored,
        {"training": SHORT, "random_state": 0},
        {
            "surrogate": LogisticRegression().fit(X, Y),
            "attack": "noise",
            "radius": 0.5,
            "norm": 2,
            "inputs": "activations",
            "false_alarm_rate": 0.3,
            **OF_NETS,
        },
    ),
    UnknownDetector: (
        scored,
        {"training": SHORT, "random_state": 0},
        {"n_outliers": 2, "false_alarm_rate": 0.3, **OF_NETS},
    ),
    AugmentedClassifier: (
        predicted,
        {"estimator": LogisticRegression(), "random_state": 0},
        {
            "estimator": GaussianNB(),
            "sampler": AdversarialTransformer(attack="fgsm", radius=0.9),
            "n_rounds": 1,
            "scoring": (many_positives, {"sampler": "auto"}),
            "adapter": FROZEN,
            "n_jobs": (2, Refused("n_jobs has no effect")),
            "random_state": (1, {"sampler": AdversarialTransformer(attack="noise")}),
        },
    ),
    CommitteeClassifier: (
        predicted,
        {"random_state": 0},
        {
            "voters": "boosting",
            "surrogate": QUICK,
            "adapter": ("image", Refused("images are")),
            "device": NOWHERE,
            "random_state": 1,
        },
    ),
    DistilledClassifier: (
        predicted,
        {"estimator": "net", "teacher": GaussianNB(), "training": SHORT, "random_state": 0},
        {
            "estimator": (GaussianNB(), {"training": "auto"}),
            "teacher": RandomForestClassifier(5, random_state=0),
            "n_new_rows": 0,
            "softening": 0.9,
            "labels": ("agreed", {"estimator": GaussianNB(), "training": "auto"}),
            "balance": 0.9,
            "temperature": 2.0,
            "module": net(2),
            "attack": "fgsm",
            "radius": (0.05, {"attack": "fgsm"}),
            "n_rounds": (1, {"attack": "fgsm"}),
            "constraints": ["x0 <= x1"],
            **OF_NETS,
            "adapter": FROZEN,  # A frozen column is not swapped.
        },
    ),
    RejectingClassifier: (
        rejected,
        {
            "estimator": LogisticRegression(),
            "detector": AdversarialDetector(training=SHORT, random_state=0),
        },
        {
            "estimator": GaussianNB(),
            "detector": AdversarialDetector(training=SHORT, false_alarm_rate=0.5, random_state=0),
            "reject_label": -1,
        },
    ),
    Ensemble: (
        voted,
        QUICK.get_params(),
        {
            "n_repeats": 3,
            "cv": 3,
            "hidden_width": 9,
            "max_iter": 9,
            "batch_size": 9,
            "learning_rate": 0.1,
            "weight_decay": 0.5,
            "label_smoothing": 0.3,
            "noise_std": 0.5,
            "n_components": 2,
        },
    ),
    Training: (
        trained,
        {"hidden_width": 8, "epochs": 4},
        {
            "hidden_width": 9,
            "epochs": 3,
            "batch_size": 9,
            "learning_rate": 0.1,
            "weight_decay": 0.9,
            "patience": 1,
            "validation_fraction": (0.5, {"patience": 1}),
            "replays": 2,
        },
    ),
    NGramRidge: (read, {}, {"n_repeats": 3, "cv": 2, "alpha": 1.0, "bootstrap": False}),
}
CASES = [(of, name) for of, (_, _, changes) in TABLE.items() for name in changes]


def is_estimator(thing):
    return isclass(thing) and issubclass(thing, BaseEstimator | Parameters)


def test_every_parameter_of_every_public_estimator_is_in_the_table():
    packages = (advaug, advaug.robust, advaug.models)
    things = {getattr(package, name) for package in packages for name in package.__all__}
    assert {thing for thing in things if is_estimator(thing)} == set(TABLE)
    for of, (_, first, changes) in TABLE.items():
        assert set(of(**first).get_params(deep=False)) == set(changes), of


@pytest.fixture
def result(monkeypatch, capsys):
    """What an estimator returns, with whether it draws a bar and how many rows go at once."""

    def result(of, first, **settings):
        sizes = []

        def value_and_gradient(objective, x):
            sizes.append(len(x))
            return plain(objective, x)

        monkeypatch.setattr(thinning, "value_and_gradient", value_and_gradient)
        settings = copy.deepcopy(first | settings)
        returned = TABLE[of][0](of(**settings))
        return [*map(np.asarray, returned), np.array(sizes), bool(capsys.readouterr().err)]

    plain = thinning.value_and_gradient
    return result


def are_equal(some, others):
    return all(
        np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f")
        for a, b in zip(some, others, strict=True)
    )


@pytest.mark.parametrize(("of", "name"), CASES, ids=lambda case: getattr(case, "__name__", case))
def test_a_changed_parameter_changes_the_result(result, of, name):
    _, first, changes = TABLE[of]
    value, others = changes[name], {}
    if isinstance(value, tuple):
        value, others = value
    if isinstance(others, Refused):
        with pytest.raises(ValueError, match=others):
            result(of, first, **{name: value})
        return
    before = result(of, first, **others)
    assert not are_equal(before, result(of, first, **others | {name: value}))


@pytest.mark.parametrize("of", TABLE, ids=lambda of: of.__name__)
def test_the_same_parameters_give_the_same_result(result, of):
    """Otherwise a changed parameter would seem to have an effect."""
    first = TABLE[of][1]
    assert are_equal(result(of, first), result(of, first))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"radius": 1.0, "recipe": Explore(p_attack_only=0.5)}, "radius=1.0 has no effect"),
        ({"attack": "fgsm", "recipe": "interpolate"}, "attack has no effect"),
        ({"voters": "extra_trees", "recipe": "harden"}, "voters has no effect"),
        ({"voters": "stacked", "recipe": "harden"}, "voters has no effect"),
    ],
)
def test_a_parameter_without_effect_is_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        AdversarialOverSampler(**settings).fit_resample(X, Y)
