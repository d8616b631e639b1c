"""Every pair of domain, attack, recipe, judge, surrogate and estimator works or is refused.

What is refused is refused before anything is trained, with a mend. The names are read from the
registries, so that a new one is tried without a line changed here.
"""

import re
import warnings
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from advaug import AdversarialOverSampler, AdversarialTransformer, AdversarialUnderSampler
from advaug.domains.sequences.ngram_ridge import NGramRidge
from advaug.models import Ensemble
from advaug.models.training import Training
from advaug.recipes import Explore
from advaug.registry import ADAPTERS, ATTACKS, JUDGES, RECIPES
from advaug.robust import AdversarialClassifier, AdversarialDetector, AdversarialRegressor

QUICK = Ensemble(n_repeats=2, cv=2, hidden_width=4, max_iter=3)
SHORT = Training(hidden_width=4, epochs=1)
MANY, FEW = 28, 12
WORDS = np.array(["free", "prize", "call", "now", "home", "later", "lunch", "work", "rain"])
LABELS = np.repeat([0, 1], [MANY, FEW])
ROWS = np.arange(MANY + FEW)

# Some models are not trained, so that they know nothing of the labels.
pytestmark = pytest.mark.filterwarnings("ignore:surrogate agrees with y")

# ---------------------------------------------------------------- rows and models of each domain


def table():
    return np.random.default_rng(0).normal(size=(len(ROWS), 3)) + LABELS[:, None]


def mixed():
    first, second, _ = table().T
    city = np.where(ROWS % 3, "Rome", "Oslo")
    return pd.DataFrame({"a": first, "b": np.where(ROWS % 7, second, np.nan), "city": city})


def images():
    draw = np.random.default_rng(0)
    return (draw.integers(0, 200, (len(ROWS), 1, 6, 6)) + 40 * LABELS[:, None, None, None]).astype(
        np.uint8
    )


def signals():
    draw, time = np.random.default_rng(0), np.arange(32)
    start = draw.uniform(0, 6, (len(ROWS), 2, 1))
    return np.sin(time / (2 + LABELS[:, None, None]) + start) + 0.1 * draw.normal(size=(40, 2, 32))


def texts():
    draw = np.random.default_rng(0)
    some = [WORDS[:6] if label else WORDS[3:] for label in LABELS]
    return [" ".join(draw.choice(words, draw.integers(3, 8))) for words in some]


DATA = {"tabular": table, "mixed": mixed, "image": images, "signal": signals, "sequence": texts}


class ReadsTokens(nn.Module):
    """A user's net on the numbers of tokens."""

    def __init__(self, outputs=2):
        super().__init__()
        self.embed, self.out = nn.Embedding(64, 3, padding_idx=0), nn.Linear(3, outputs)

    def forward(self, x):
        return self.out(self.embed(x.long().clamp(0, 63)).sum(1))


def net(domain, outputs=2):
    """A user's net in the user's units; mixed tables have none."""
    widths = {"tabular": 3, "image": 36, "signal": 64}
    if domain == "sequence":
        return ReadsTokens(outputs)
    return nn.Sequential(nn.Flatten(), nn.Linear(widths[domain], outputs))


class Queried:
    """A user's fitted classifier, of any rows."""

    classes_ = np.array([0, 1])

    def predict(self, X):
        return np.array([len(str(list(row) if len(np.shape(row)) else row)) % 2 for row in rows(X)])


def rows(X):
    return X.to_numpy() if isinstance(X, pd.DataFrame) else X


def test_every_domain_of_the_registry_is_tried():
    assert {"tabular", *ADAPTERS} == set(DATA) - {"mixed"}


# ---------------------------------------------------------------- refused before training


class Reached(Exception):
    """The training was reached."""


def reach(*args, **settings):
    raise Reached


@pytest.fixture
def untrained(monkeypatch):
    """Whatever trains, or attacks a model that is trained already, raises `Reached`."""
    for settings in (Ensemble, NGramRidge, Training):
        monkeypatch.setattr(settings, "fit", reach)
    for estimator in ("over_sampler", "under_sampler"):
        monkeypatch.setattr(f"advaug.estimators.{estimator}.fit_dataset", reach)
    for method in ("_fit_universal", "transform"):
        monkeypatch.setattr(AdversarialTransformer, method, reach)


def refusal(run):
    """What a ValueError says that comes before any training; None: the training is reached.

    An estimator that trains nothing reaches its end.
    """
    said = None
    try:
        run()
    except Reached:
        return None
    except ValueError as error:
        said = str(error)
    assert said is None or any(mend in said for mend in ("take ", "leave ", "turn ")), said
    return said


def check_refusal(said, attack, refused):
    """Whether an attack is refused as it must be, and the attacks named instead are not."""
    assert bool(said) == (attack in refused), (attack, said)
    named = said.partition("take attack=")[2] if said else ""
    assert not refused & set(re.findall(r"'(\w+)'", named)), said


TEXT, TIME = {"greedy", "hotflip", "trigger"}, {"instrument", "warp"}
# What moves rows of a domain against a committee or a plain net; all others are refused.
REFUSED = {
    "tabular": TEXT | TIME | {"leaves"},
    "mixed": TEXT | TIME | {"leaves"},
    "image": TEXT | TIME | {"leaves"},
    "signal": TEXT | {"leaves"},
    "sequence": {*ATTACKS} - {"noise", "uniform", "greedy", "trigger"},
}
SHARED = {"uap", "patch", "trigger"}  # One move of all rows.
NEEDS_ROWS = {"hopskipjump", "crossover", "leaves"}
NEEDS_GRADIENT = {"fgsm", "rfgsm", "bim", "pgd", "mifgsm", "nifgsm", "apgd", "deepfool", "cw"}
NEEDS_GRADIENT |= {"ead", "jsma", "uap", "patch", "vat", "instrument", "capgd"}
NEEDS_CLASSES = {"deepfool", "cw", "ead", "jsma", "square", "nes", "spsa", "autoattack"} | TEXT
NEEDS_CLASSES |= {"moeva", "caa"}
OF_SEQUENCES = {"paraphrase", "recombine", "bag"}
domains = pytest.mark.parametrize("domain", DATA)


def recipes_of(domain):
    """The names of recipes that rows of a domain take."""
    return [name for name in RECIPES if domain == "sequence" or name not in OF_SEQUENCES]


@domains
def test_over_samplers_refuse_what_does_not_fit_before_training(untrained, domain):
    X = DATA[domain]()
    judges = ("auto", None, *JUDGES)
    for attack, recipe, judge in product(("auto", *ATTACKS), ("auto", *RECIPES), judges):
        sampler = AdversarialOverSampler(attack=attack, recipe=recipe, judge=judge, random_state=0)
        said = refusal(lambda sampler=sampler: sampler.fit_resample(X, LABELS))
        is_unfit = attack in REFUSED[domain] | SHARED
        is_unfit |= attack != "auto" and recipe in ("interpolate", "distill")
        is_unfit |= judge not in ("auto", None) and recipe == "distill"
        is_unfit |= judge in ("bigram", "language") and domain != "sequence"
        is_unfit |= recipe in OF_SEQUENCES and domain != "sequence"
        assert bool(said) == is_unfit, (attack, recipe, judge, said)


@domains
def test_under_samplers_refuse_rows_without_a_gradient_before_training(untrained, domain):
    said = refusal(lambda: AdversarialUnderSampler().fit_resample(DATA[domain](), LABELS))
    assert bool(said) == (domain == "sequence"), said


def models(domain):
    """Surrogates, and which attacks each of them refuses."""
    refused = REFUSED[domain]
    yield "auto", refused
    yield "committee", refused
    yield "ngram_ridge", refused if domain == "sequence" else {"auto", *ATTACKS}
    yield Queried(), refused | NEEDS_GRADIENT
    if domain != "mixed":
        yield net(domain), refused - {"hotflip"} if domain == "sequence" else refused
    if domain == "tabular":
        forest = DecisionTreeClassifier(max_depth=2).fit(table(), LABELS)
        yield forest, (refused | NEEDS_GRADIENT) - {"leaves"}


@domains
def test_every_estimator_refuses_an_attack_that_its_model_does_not_fit(untrained, domain):
    X = DATA[domain]()
    for (surrogate, refused), attack in product(models(domain), ("auto", *ATTACKS)):
        settings = {"surrogate": surrogate, "attack": attack, "random_state": 0}
        said = refusal(lambda: AdversarialTransformer(**settings).fit(X, LABELS))  # noqa: B023
        check_refusal(said, attack, refused)
        sampler = AdversarialOverSampler(recipe="harden", **settings)
        said = refusal(lambda: sampler.fit_resample(X, LABELS))  # noqa: B023
        check_refusal(said, attack, refused | SHARED)
        if not isinstance(surrogate, str) or surrogate == "auto":
            said = refusal(lambda: AdversarialDetector(**settings).fit(X, LABELS))  # noqa: B023
            check_refusal(said, attack, refused)


@domains
def test_robust_nets_refuse_an_attack_that_cannot_train_them(untrained, domain):
    X = DATA[domain]()
    for attack, is_own in product(("auto", *ATTACKS), (False, True)):
        if is_own and domain == "mixed":
            continue
        refused = REFUSED[domain] | SHARED | NEEDS_ROWS
        refused -= {"hotflip"} if is_own and domain == "sequence" else set()
        module = net(domain) if is_own else "auto"
        model = AdversarialClassifier(attack=attack, module=module)
        said = refusal(lambda: model.fit(X, LABELS))  # noqa: B023
        check_refusal(said, attack, refused)
        module = net(domain, 1) if is_own else "auto"
        model = AdversarialRegressor(attack=attack, module=module)
        said = refusal(lambda: model.fit(X, LABELS))  # noqa: B023
        check_refusal(said, attack, refused | NEEDS_CLASSES)


@pytest.mark.parametrize("of", [AdversarialClassifier, AdversarialRegressor])
@domains
def test_free_training_needs_a_gradient_in_the_rows(untrained, domain, of):
    said = refusal(lambda: of(loss="free").fit(DATA[domain](), LABELS))
    assert bool(said) == (domain == "sequence"), said
    said = refusal(lambda: of(loss="free", attack="fgsm").fit(DATA[domain](), LABELS))
    assert "leave attack='auto'" in said


@pytest.mark.parametrize("parameter", ["attack", "recipe", "judge", "surrogate", "voters"])
def test_a_name_that_is_not_known_is_refused_before_training(untrained, parameter):
    sampler = AdversarialOverSampler(**{parameter: "hrden"})
    with pytest.raises(ValueError, match="'hrden' is not known"):
        sampler.fit_resample(table(), LABELS)


def test_a_single_member_a_fold_is_refused_where_a_recipe_needs_a_second(untrained):
    sampler = AdversarialOverSampler(recipe="match", surrogate=Ensemble(n_repeats=1))
    with pytest.raises(ValueError, match="set n_repeats to 2 or more"):
        sampler.fit_resample(table(), LABELS)


# ---------------------------------------------------------------- what is admitted works


def attacks_of(domain):
    return [name for name in ATTACKS if name not in REFUSED[domain]]


def check_like(new, X):
    """Rows are in the container and the dtypes of X, and finite where X is."""
    if isinstance(X, list):
        assert all(isinstance(text, str) and text for text in new)
        return
    if isinstance(X, pd.DataFrame):
        assert (new.dtypes == X.dtypes).all()
        assert set(new["city"]) <= {"Rome", "Oslo"}
        assert np.isfinite(new["a"]).all()
        return
    assert new.dtype == X.dtype
    assert new.shape[1:] == X.shape[1:]
    assert np.isfinite(new).all()


@pytest.mark.filterwarnings("ignore:few new rows differ")
@pytest.mark.filterwarnings("ignore:recipe Distill makes no row of class:UserWarning")
@domains
def test_every_attack_recipe_and_judge_makes_rows(monkeypatch, domain):
    monkeypatch.setattr("advaug.estimators.over_sampler.MIN_AUC", 0.0)  # No class falls back.
    X = DATA[domain]()
    attacks = [name for name in attacks_of(domain) if name not in SHARED]
    recipes = [name for name in recipes_of(domain) if name not in ("interpolate", "distill")]
    judges = (
        [None, "conformal", "bigram", "language"] if domain == "sequence" else [None, "conformal"]
    )
    trials = [
        (name, recipes[k % len(recipes)], judges[k % len(judges)])
        for k, name in enumerate([*attacks, *["auto"] * len(recipes)])
    ]
    others = [("auto", "auto", judge) for judge in {*JUDGES} - {*judges}]
    others += [("auto", "interpolate", "auto"), ("auto", "distill", "auto")]
    for attack, recipe, judge in [*trials, *others]:
        if judge in ("bigram", "language") and domain != "sequence":
            continue
        sampler = AdversarialOverSampler(
            attack=attack if attack == "auto" else short(ATTACKS[attack]()),
            recipe=recipe,
            judge=judge,
            surrogate=QUICK,
            voters=None,
            random_state=0,
        )
        X_new, y_new = sampler.fit_resample(X, LABELS)
        assert len(X_new) == len(y_new) == 2 * MANY, (attack, recipe, judge)
        assert (y_new[MANY + FEW :] == 1).all()
        assert y_new.dtype == LABELS.dtype
        check_like(X_new, X)
        assert len(sampler.provenance_) == MANY - FEW
        assert recipe == "auto" or set(sampler.provenance_["recipe"]) == {recipe}


def short(attack):
    """The same attack with few steps."""
    known = vars(attack)
    counts = ("steps", "binary_search_steps", "generations")
    few = {name: min(known[name], 3) for name in counts if name in known}
    few |= {name: tuple(map(short, known[name])) for name in ("attacks",) if name in known}
    return replace(attack, **few)


@domains
def test_every_attack_moves_rows(domain):
    X = DATA[domain]()
    for name in attacks_of(domain):
        radius = 2.0 if domain == "sequence" else 0.3
        transformer = AdversarialTransformer(
            attack=short(ATTACKS[name]()), radius=radius, surrogate=QUICK, random_state=0
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".* rows were not moved by")
            moved = transformer.fit(X, LABELS).transform(X)
        check_like(moved, X)
        assert len(moved) == len(X)
        if domain in ("tabular", "image", "signal") and name not in TIME:
            coding = transformer.adapter_
            away = coding.space(np.inf).distance(coding.encode(moved), coding.encode(X))
            assert away.max() <= radius + 1e-4, name


@domains
def test_every_attack_trains_a_net(domain):
    X = DATA[domain]()
    for name in attacks_of(domain):
        if name in SHARED | NEEDS_ROWS:
            continue
        settings = {"attack": short(ATTACKS[name]()), "training": SHORT, "random_state": 0}
        settings["radius"] = 1.0 if domain == "sequence" else 0.3
        model = AdversarialClassifier(**settings).fit(X, LABELS)
        assert np.isfinite(model.predict_proba(X)).all()
        if name not in NEEDS_CLASSES:
            assert np.isfinite(AdversarialRegressor(**settings).fit(X, LABELS).predict(X)).all()


@pytest.mark.parametrize("domain", [name for name in DATA if name != "sequence"])
def test_every_domain_with_a_gradient_is_under_sampled(domain):
    X = DATA[domain]()
    sampler = AdversarialUnderSampler(surrogate=QUICK, random_state=0)
    X_new, y_new = sampler.fit_resample(X, LABELS)
    assert (y_new == 0).sum() == (y_new == 1).sum() == FEW
    check_like(X_new, X)


@pytest.mark.filterwarnings("ignore:few new rows differ")
@domains
def test_models_of_the_user_are_attacked_by_every_recipe(monkeypatch, domain):
    monkeypatch.setattr("advaug.estimators.over_sampler.MIN_AUC", 0.0)
    X = DATA[domain]()
    fit = Ensemble.fit
    monkeypatch.setattr(Ensemble, "fit", lambda _, *rows: fit(QUICK, *rows))
    trials = [(Queried(), "harden"), (Queried(), "explore")]
    recipes = [recipe for recipe in recipes_of(domain) if recipe != "distill"]
    trials += [] if domain == "mixed" else [(net(domain), recipe) for recipe in recipes]
    trials += [("ngram_ridge", recipe) for recipe in recipes] if domain == "sequence" else []
    for surrogate, recipe in trials:
        made = Explore(hardness=1.0) if recipe == "explore" else recipe
        settings = {"surrogate": surrogate, "random_state": 0}
        sampler = AdversarialOverSampler(recipe=made, voters=None, judge="conformal", **settings)
        X_new, y_new = sampler.fit_resample(X, LABELS)
        assert (y_new == 1).sum() == MANY
        check_like(X_new, X)
        assert set(sampler.provenance_["recipe"]) == {recipe}


@pytest.mark.parametrize("name", ["hotflip", "greedy", "auto"])
def test_a_users_net_of_tokens_is_attacked_and_trained(name):
    X, settings = texts(), {"attack": name, "random_state": 0}
    surrogate = net("sequence")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* rows were not moved by")
        fitted = AdversarialTransformer(radius=2.0, surrogate=surrogate, **settings).fit(X)
        moved = fitted.transform(X)
    check_like(moved, X)
    assert moved != X
    model = AdversarialClassifier(module=surrogate, radius=1.0, training=SHORT, **settings)
    assert np.isfinite(model.fit(X, LABELS).predict_proba(X)).all()
