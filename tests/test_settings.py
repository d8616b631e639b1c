from dataclasses import asdict

import pytest
from sklearn.base import clone

from advaug.attacks import (
    APGD,
    ATTACKS,
    BIM,
    FGSM,
    MIFGSM,
    NIFGSM,
    PGD,
    RFGSM,
    Direction,
    Noise,
    Uniform,
)
from advaug.surrogates import Ensemble

CHANGED = [
    FGSM(),
    PGD(steps=3, step=0.5, random_start=False, stop_at=0.0),
    MIFGSM(steps=4, step=0.3, momentum=0.5),
    RFGSM(share=0.3),
    BIM(steps=4, step=0.3),
    NIFGSM(steps=4, step=0.3, momentum=0.5),
    APGD(steps=9, momentum=0.5, rising=0.5, random_start=False),
    Noise(),
    Uniform(),
    Direction(),
    Ensemble(repeats=1, folds=2, hidden=5, steps=7, batch=9, rate=0.1, decay=0.2),
]
every_one = pytest.mark.parametrize("thing", CHANGED, ids=lambda thing: type(thing).__name__)


def test_every_attack_has_a_row_in_this_table():
    assert {type(thing) for thing in CHANGED} == {*ATTACKS.values(), Ensemble}


@every_one
def test_parameters_are_the_fields_and_build_an_equal_object(thing):
    assert thing.get_params() == asdict(thing)
    assert type(thing)(**thing.get_params()) == thing
    assert thing.get_params(deep=False) == thing.get_params()


@every_one
def test_scikit_learns_clone_is_equal_and_another_object(thing):
    copy = clone(thing)
    assert copy == thing
    assert copy is not thing


@every_one
def test_set_params_turns_a_default_into_the_changed_object(thing):
    default = type(thing)()
    assert default.set_params(**thing.get_params()) is default
    assert default == thing


@every_one
def test_an_unknown_name_is_refused_by_name(thing):
    with pytest.raises(ValueError, match=f"{type(thing).__name__} has no parameter 'stepz'"):
        thing.set_params(stepz=1)
