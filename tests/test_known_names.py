"""An unknown name is answered with the nearest known one, wherever a parameter is a word."""

from typing import get_args

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from advaug import (
    AdversarialOverSampler,
    AdversarialTransformer,
    AdversarialUnderSampler,
    CommitteeClassifier,
    PriorCorrectedClassifier,
    registry,
)
from advaug.adapters import ImageAdapter
from advaug.attacks import PGD, Trigger
from advaug.cli import main
from advaug.constraints import Constraints
from advaug.core.known_names import MOST_LISTED, did_you_mean
from advaug.robust import (
    AdversarialClassifier,
    AdversarialDetector,
    AdversarialRegressor,
    AugmentedClassifier,
    DistilledClassifier,
)

X = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
y = np.repeat([0, 1], 15)

WORDS = {
    "recipe": (AdversarialOverSampler(recipe="explor"), "'explore'"),
    "attack": (AdversarialOverSampler(attack="Pdg"), "'pgd'"),
    "adapter": (AdversarialOverSampler(adapter="tabula"), "'tabular'"),
    "judge": (AdversarialOverSampler(judge="conform"), "'conformal'"),
    "voters": (AdversarialOverSampler(voters=["extra_tree"]), "'extra_trees'"),
    "surrogate": (AdversarialOverSampler(surrogate="committe_"), "'committee'"),
    "radius": (AdversarialOverSampler(radius="outo"), "'auto'"),
    "a committee's voters": (CommitteeClassifier(voters="bosting"), "'boosting'"),
    "drop": (AdversarialUnderSampler(drop="noise"), "'noisy'"),
    "when": (AdversarialTransformer(when="alwayz"), "'always'"),
    "method": (PriorCorrectedClassifier(LogisticRegression(), method="bata"), "'beta'"),
    "loss": (AdversarialClassifier(loss="trade"), "'trades'"),
    "a regressor's loss": (AdversarialRegressor(loss="fre"), "'free'"),
    "inputs": (AdversarialDetector(inputs="row"), "'rows'"),
    "a net's module": (AdversarialClassifier(module="atuo"), "'auto'"),
    "scoring": (
        AugmentedClassifier(LogisticRegression(), sampler="auto", scoring="accuracy_"),
        "'accuracy'",
    ),
    "a student": (DistilledClassifier("nett"), "'net'"),
    "channels": (
        AdversarialOverSampler(adapter=ImageAdapter(channels="lost")),
        "'last'",
    ),
}


@pytest.mark.parametrize(("estimator", "near"), WORDS.values(), ids=WORDS)
def test_a_misspelt_word_is_answered_with_the_nearest_one(estimator, near):
    rows = np.zeros((30, 4, 4, 1), np.float32) if near == "'last'" else X
    with pytest.raises(ValueError, match=f"[dD]id you mean {near}") as error:
        getattr(estimator, "fit_resample", estimator.fit)(rows, y)
    assert str(error.value).count("id you mean") == 1


def test_a_word_that_is_like_none_is_answered_with_all_of_them():
    with pytest.raises(ValueError, match=r"choose one of 'bag', 'boundary', .*'translate'$"):
        AdversarialOverSampler(recipe="zzz").fit_resample(X, y)
    with pytest.raises(ValueError, match=r"among .*'noisy'.*Got 'zzz' instead\.$"):
        AdversarialUnderSampler(drop="zzz").fit_resample(X, y)


def test_an_error_about_another_parameter_proposes_no_word():
    with pytest.raises(ValueError, match="'batch_size' parameter") as error:
        AdversarialOverSampler(batch_size=0, radius="auto").fit_resample(X, y)
    assert "id you mean" not in str(error.value)


def test_a_long_list_of_names_is_cut():
    names = [f"column_{place}" for place in range(MOST_LISTED + 1)]
    assert did_you_mean("zzz", names).endswith("'column_29', ...")
    assert did_you_mean("zzz", names[:-1]).endswith("'column_29'")


def test_case_does_not_matter_and_the_known_spelling_is_proposed():
    assert did_you_mean("age", ["Age", "Sex"]) == "did you mean 'Age'?"


def test_objects_know_their_parameters():
    with pytest.raises(
        ValueError, match="PGD has no parameter 'random_startt': did you mean 'random_start'"
    ):
        PGD().set_params(random_startt=True)
    with pytest.raises(ValueError, match="place='startt' is not known; did you mean 'start'"):
        AdversarialTransformer(attack=Trigger(place="startt")).fit(
            ["a b", "b c", "c a"] * 5, [0, 1, 1] * 5
        )


def test_rules_know_their_functions_and_columns():
    with pytest.raises(ValueError, match="no function 'lgo': did you mean 'log'"):
        Constraints("lgo(a) <= b")


COMMANDS = {
    "a command": (["oversampel"], "'oversampel' is not known: did you mean 'oversample'"),
    "a choice": (
        ["oversample", "a.csv", "--target", "y", "--out", "b.csv", "--decimal", ";"],
        "argument --decimal: ';' is not known: choose one of '.', ','",
    ),
    "an unknown option": (
        ["oversample", "a.csv", "--target", "y", "--out", "b.csv", "--quite"],
        "option --quite is not known: did you mean 'quiet'",
    ),
}


@pytest.mark.parametrize(("words", "told"), COMMANDS.values(), ids=COMMANDS)
def test_the_command_line_answers_likewise(words, told, capsys):
    assert main(words) == 2
    assert told in capsys.readouterr().err


NAMES = {
    "AttackName": (registry.ATTACKS, {"auto"}),
    "AdapterName": (registry.ADAPTERS, {"auto"}),
    "RecipeName": (registry.RECIPES, {"auto"}),
    "JudgeName": (registry.JUDGES, {"auto"}),
    "VoterName": (registry.VOTERS, set()),
}


@pytest.mark.parametrize(("name", "table"), NAMES.items(), ids=NAMES)
def test_type_checkers_know_the_names_of_the_registries(name, table):
    known, more = table
    assert set(get_args(getattr(registry, name))) == known.keys() | more
