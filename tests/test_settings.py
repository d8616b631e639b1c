from dataclasses import fields

import pytest
from sklearn.base import clone

from advaug.attacks import (
    APGD,
    BIM,
    CAA,
    CAPGD,
    EAD,
    FGSM,
    JSMA,
    MIFGSM,
    MOEVA,
    NES,
    NIFGSM,
    PGD,
    RFGSM,
    SPSA,
    UAP,
    VAT,
    Attack,
    AutoAttack,
    Captured,
    CarliniWagner,
    Crossover,
    DeepFool,
    Direction,
    Greedy,
    HopSkipJump,
    HotFlip,
    Instrument,
    LeafSearch,
    Noise,
    Patch,
    Square,
    Trigger,
    Uniform,
    Warp,
)
from advaug.estimators.choices import choose_attack
from advaug.models import Ensemble
from advaug.registry import ATTACKS

CHANGED = [
    FGSM(),
    Instrument(
        gain=0.1, offset=0.1, drift=0.1, clock=0.01, noise=0.2, cutoff=0.2, steps=3, step=0.4
    ),
    PGD(steps=3, step=0.5, random_start=False, stop_at=0.0),
    MIFGSM(steps=4, step=0.3, momentum=0.5),
    RFGSM(noise_share=0.3),
    BIM(steps=4, step=0.3),
    NIFGSM(steps=4, step=0.3, momentum=0.5),
    APGD(steps=9, momentum=0.5, rho=0.5, random_start=False),
    DeepFool(steps=9, overshoot=0.1, candidates=3),
    CarliniWagner(
        binary_search_steps=2, steps=9, learning_rate=0.1, initial_const=2.0, confidence=0.5
    ),
    EAD(
        binary_search_steps=2,
        steps=9,
        learning_rate=0.1,
        beta=0.1,
        initial_const=2.0,
        confidence=0.5,
    ),
    JSMA(columns=7),
    UAP(steps=9, step=0.2, momentum=0.5, batch_size=9),
    Patch(steps=9, step=0.2, sizes=(0.1, 0.2), rotation_max=5.0, is_signal=True, batch_size=9),
    VAT(steps=3, xi=0.1),
    Square(steps=9, p_init=0.5, stop_at=None),
    HopSkipJump(steps=3, init_eval=9, max_eval=99, probe_size=0.2),
    NES(steps=3, step=0.3, momentum=0.5, pairs=5, delta=0.1, stop_at=None),
    SPSA(steps=3, step=0.3, pairs=5, delta=0.1, stop_at=None),
    Crossover(donors=2),
    LeafSearch(max_boxes=99),
    Greedy(n_candidates=3, places=9, patience=1, stop_at=None),
    HotFlip(n_candidates=3, beam_width=2, max_substitutes=5, stop_at=None),
    Trigger(
        length=2,
        count=2,
        place="start",
        n_sweeps=2,
        n_candidates=3,
        beam_width=2,
        batch_size=9,
        max_queried_tokens=99,
    ),
    AutoAttack(attacks=(FGSM(), Square(steps=3))),
    CAPGD(steps=9, momentum=0.5, rho=0.5),
    MOEVA(generations=3, population_size=4, mutated_columns=1.5),
    CAA(attacks=(CAPGD(steps=3), Square(steps=3))),
    Warp(spread=0.1, shift=0.2, waves=2, steps=3, step=0.4),
    Noise(),
    Uniform(),
    Direction(),
    Ensemble(
        n_repeats=1,
        cv=2,
        hidden_width=5,
        max_iter=7,
        batch_size=9,
        learning_rate=0.1,
        weight_decay=0.2,
    ),
]
every_one = pytest.mark.parametrize("thing", CHANGED, ids=lambda thing: type(thing).__name__)


def test_every_attack_has_a_row_in_this_table():
    assert {type(thing) for thing in CHANGED} == {*ATTACKS.values(), Ensemble}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_says_all_of_itself_that_anybody_reads(name):
    attack = ATTACKS[name]()
    assert isinstance(attack, Attack)
    assert attack.loss in ("odds", "margin", "divergence")
    assert attack.requires <= {
        *("gradient", "cells", "edits", "embedding", "time_axis", "leaf_boxes")
    }
    flags = attack.is_min_norm, attack.needs_reference_rows, attack.is_universal
    assert {type(flag) for flag in flags} == {bool}
    if not attack.is_universal:
        assert attack.fit(None) is attack


@pytest.mark.parametrize(
    ("attack", "required"),
    [
        (Captured(PGD()), {"gradient"}),
        (AutoAttack(), {"cells"}),
        (CAA(), {"cells"}),
        (CAPGD(), {"cells", "gradient"}),
        (AutoAttack(attacks=(FGSM(), APGD())), {"gradient"}),
        (Warp(), {"time_axis"}),
        (Warp(steps=3), {"time_axis", "gradient"}),
        (HotFlip(), {"edits", "embedding"}),
        (LeafSearch(), {"cells", "leaf_boxes"}),
    ],
    ids=lambda value: " ".join(sorted(value)) if isinstance(value, set) else str(value),
)
def test_what_an_attack_requires_follows_from_its_settings(attack, required):
    assert attack.requires == required


def test_an_ensemble_gets_reference_rows_if_a_member_needs_them():
    assert AutoAttack(attacks=(FGSM(), Crossover())).needs_reference_rows
    assert not AutoAttack().needs_reference_rows


def test_a_plain_function_is_no_attack_and_the_error_says_what_is():
    with pytest.raises(TypeError, match=r"inherit from advaug\.core\.problem\.Attack"):
        choose_attack(lambda problem: problem.seed)


@every_one
def test_parameters_are_the_fields_and_build_an_equal_object(thing):
    assert thing.get_params() == vars(thing)
    assert [*thing.get_params()] == [field.name for field in fields(thing)]
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
