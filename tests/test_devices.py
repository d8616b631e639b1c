"""The meta device has no data: an operation that meets a tensor left on the CPU fails there."""

import math

import numpy as np
import pytest
import torch

from advaug import AdversarialOverSampler, AdversarialTransformer
from advaug.attacks import (
    APGD,
    BIM,
    EAD,
    FGSM,
    JSMA,
    MIFGSM,
    NIFGSM,
    PGD,
    RFGSM,
    VAT,
    CarliniWagner,
    Direction,
    Noise,
    Uniform,
)
from advaug.core.box import Box
from advaug.core.norms import NORMS
from advaug.core.objectives import Margin, Odds, TargetMargin
from advaug.core.product import Product
from advaug.core.simplex import Simplex
from advaug.core.tensor_fields import picked
from advaug.domains.signals.eigenbasis import Eigenbasis
from advaug.domains.signals.space import BandLimited
from advaug.models.committee import Committee
from advaug.models.torch_model import TorchModel
from tests.problems import problem_of

ATTACKS = [
    *(FGSM(), RFGSM(), BIM(), PGD(), PGD(random_start=False), MIFGSM(), NIFGSM(), APGD(steps=20)),
    *(
        VAT(),
        JSMA(),
        CarliniWagner(binary_search_steps=2, steps=3),
        EAD(binary_search_steps=2, steps=3),
    ),
    *(Noise(), Uniform(), Direction()),
]
OBJECTIVES = {
    "odds": Odds,
    "margin": Margin,
    "level": lambda logits, label: TargetMargin(logits, label, torch.ones_like(label) / 2),
}
POSITIONS, LEVELS = 2, 3
WIDTH = POSITIONS * LEVELS


def box(norm, **fields):
    return Box(torch.zeros(WIDTH), torch.ones(WIDTH), norm=norm, **fields)


def simplex():
    every = torch.ones(POSITIONS, LEVELS, dtype=torch.bool)
    return Simplex(every, ~every)


def band(norm, has_flags, basis=None):
    """Two channels, or one and its flags."""
    box = Box(
        torch.zeros(2, 1), torch.ones(2, 1), norm, free=torch.tensor([[True], [not has_flags]])
    )
    return BandLimited(
        box, torch.ones(2 - has_flags, LEVELS + 1), has_flags, least_snr=-40.0, basis=basis
    )


FULL = {
    "free": torch.tensor([True] * 5 + [False]),
    "grid": torch.full((WIDTH,), 0.1),
    "missing_flag": torch.tensor([5, -1, -1, -1, -1, -1]),
}
SPACES = {
    **{f"box {norm}": (box(norm), (WIDTH,)) for norm in NORMS},
    **{f"full box {norm}": (box(norm, **FULL), (WIDTH,)) for norm in NORMS},
    **{f"band {norm}": (band(norm, False), (POSITIONS, LEVELS)) for norm in NORMS},
    "band with flags": (band(2.0, True), (POSITIONS, LEVELS)),
    "eigenbasis": (
        band(2.0, False, Eigenbasis(torch.ones(1, 2, LEVELS), torch.ones(1))),
        (POSITIONS, LEVELS),
    ),
    "simplex": (simplex(), (POSITIONS, LEVELS)),
    "product": (
        Product((box(2.0, **FULL), simplex()), ((WIDTH,), (POSITIONS, LEVELS))),
        (2 * WIDTH,),
    ),
}
every_attack = pytest.mark.parametrize("attack", ATTACKS, ids=str)
every_space = pytest.mark.parametrize("name", SPACES)
every_objective = pytest.mark.parametrize("objective", OBJECTIVES)


def rows_of(space, shape):
    """Five valid rows."""
    generator = torch.Generator().manual_seed(3)
    numbers = torch.rand((5, WIDTH), generator=generator)
    levels = torch.nn.functional.one_hot(
        torch.randint(LEVELS, (5, POSITIONS), generator=generator), LEVELS
    ).float()
    if isinstance(space, Product):
        return torch.cat([numbers, levels.flatten(1)], 1)
    if isinstance(space, BandLimited):
        numbers = numbers.view(5, POSITIONS, LEVELS)
        numbers[:, 1:] = numbers[:, 1:].round() if space.has_flags else numbers[:, 1:]
        return numbers
    return levels if isinstance(space, Simplex) else numbers


def run(attack, name, objective, mlp, device):
    """An attack with everything on a device."""
    space, shape = SPACES[name]
    seed = rows_of(space, shape).to(device)
    label = torch.tensor([0, 1, 2, 0, 1], device=device)
    net = mlp(math.prod(shape), 8, 3).to(device)
    radius = torch.full((5,), 0.3, device=device)
    logits = TorchModel(net).logits
    goal = OBJECTIVES[objective](logits, label)
    return attack(problem_of(goal, seed, space.to(device), radius))


@every_attack
@every_space
def test_an_attack_runs_wholly_on_the_meta_device(attack, name, mlp):
    x = run(attack, name, "odds", mlp, "meta")
    assert x.device.type == "meta"
    assert x.shape == (5, *SPACES[name][1])


@every_objective
def test_an_objective_runs_wholly_on_the_meta_device(objective, mlp):
    assert run(FGSM(), "box inf", objective, mlp, "meta").device.type == "meta"


@every_attack
@every_space
def test_an_attack_gives_the_same_on_every_device(attack, name, mlp, device):
    x = run(attack, name, "margin", mlp, device)
    assert x.device.type == device
    # Twenty steps that choose their own length magnify the devices' last digits.
    near = 1e-3 if isinstance(attack, APGD) else 1e-5
    torch.testing.assert_close(x.cpu(), run(attack, name, "margin", mlp, "cpu"), rtol=0, atol=near)


@pytest.mark.parametrize("place", ["meta", None])
@every_space
def test_snap_mix_and_distance_run_wholly_on_a_device(place, name, device):
    space, shape = SPACES[name]
    place = place or device
    seed = rows_of(space, shape)
    other, noise = seed.flip(0), torch.rand(seed.shape, generator=torch.Generator().manual_seed(1))
    args = [tensor.to(place) for tensor in (seed, other, torch.full((5,), 0.5), noise)]

    def results(space, seed, other, share, noise):
        mixed = space.mix(seed, other, share)
        yield mixed
        yield space.snap(mixed, seed, share, noise)
        yield space.distance(mixed, seed)
        yield space.scatter(mixed, share, torch.ones_like(seed[0]), noise)
        yield space.sample(mixed, share, noise)

    for result in results(space.to(place), *args):
        assert result.device.type == place
    if place != "meta":
        expected = results(space, seed, other, torch.full((5,), 0.5), noise)
        for one, two in zip(results(space.to(place), *args), expected, strict=True):
            torch.testing.assert_close(one.cpu(), two)


def test_a_committee_is_attacked_wholly_on_the_meta_device():
    committee = Committee(
        weights=(torch.ones(2, WIDTH, 3), torch.zeros(2, 1, 3)),
        center=torch.zeros(WIDTH),
        scale=torch.ones(WIDTH),
        fold_of_member=torch.tensor([0, 1]),
        fold_of_row=torch.zeros(5, dtype=torch.long),
    ).to("meta")
    seed, radius = torch.zeros(5, WIDTH, device="meta"), torch.ones(5, device="meta")
    objective = Odds(committee.logits, torch.zeros(5, dtype=torch.long, device="meta"))
    x = PGD()(problem_of(objective, seed, box(2.0).to("meta"), radius))
    assert x.device.type == "meta"


def test_the_estimators_give_the_same_rows_on_every_device(device):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 4)), np.repeat([0, 1], [60, 20])
    X[:, 0] += 2 * y
    for estimator in (AdversarialOverSampler, AdversarialTransformer):
        here, there = (estimator(device=name, random_state=0) for name in ("cpu", device))
        work = "fit_resample" if estimator is AdversarialOverSampler else "fit_transform"
        expected, found = getattr(here, work)(X, y), getattr(there, work)(X, y)
        np.testing.assert_allclose(np.asarray(found[0]), np.asarray(expected[0]), atol=1e-3)


@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3)])
@pytest.mark.parametrize("form", [(7,), (7, 2), (7, 2, 3)])
def test_rows_are_picked_as_an_index_picks_them(shape, form):
    values, rows = torch.rand(form), torch.randint(7, shape)
    assert torch.equal(picked(values, rows), values[rows])
