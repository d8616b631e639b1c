"""FGSM, PGD and MI-FGSM beside the same attack of another library: bounds [0, 1], no random start.

foolbox: step relative to the radius, ball then bounds.  torchattacks: absolute step, ball then
bounds.  ART: absolute step, bounds then ball, which is the same only where no bound is met: the
rows of the L2 attacks lie in the middle.
"""

import math

import numpy as np
import pytest
import torch
from torch import nn

from advaug.attacks import FGSM, MIFGSM, PGD
from advaug.core.box import Box
from advaug.core.objectives import Odds
from advaug.models.torch_model import TorchModel
from benchmarks import parity
from tests.problems import problem_of

# Measured by `python -m benchmarks.parity` only: minutes of a peer's time, or more chance than 40
# rows can bear.
TOO_SLOW = {"UAP Linf", "Carlini-Wagner L2", "VAT L2", "JSMA", "EAD", "R+FGSM Linf"}

EVERY = set(parity.every())
STEPS, STEP = 10, 0.25
RADIUS = {math.inf: 0.1, 2.0: 0.4}
OURS = {
    "fgsm": FGSM(),
    "pgd": PGD(steps=STEPS, step=STEP, random_start=False),
    "mifgsm": MIFGSM(steps=STEPS, step=STEP),
}


def by_foolbox(net, seed, label, kind, norm):
    foolbox = pytest.importorskip("foolbox", exc_type=ImportError)
    attacks = {
        ("fgsm", math.inf): foolbox.attacks.LinfFastGradientAttack(),
        ("fgsm", 2.0): foolbox.attacks.L2FastGradientAttack(),
        ("pgd", math.inf): foolbox.attacks.LinfPGD(
            rel_stepsize=STEP, steps=STEPS, random_start=False
        ),
        ("pgd", 2.0): foolbox.attacks.L2PGD(rel_stepsize=STEP, steps=STEPS, random_start=False),
    }
    if (kind, norm) not in attacks:
        pytest.skip("compared with the other two")
    model = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
    return attacks[kind, norm].run(model, seed, label, epsilon=RADIUS[norm])


def by_torchattacks(net, seed, label, kind, norm):
    torchattacks = pytest.importorskip("torchattacks", exc_type=ImportError)
    radius = RADIUS[norm]
    loop = {"eps": radius, "alpha": STEP * radius, "steps": STEPS}
    attacks = {
        ("fgsm", math.inf): lambda: torchattacks.FGSM(net, eps=radius),
        ("pgd", math.inf): lambda: torchattacks.PGD(net, **loop, random_start=False),
        ("pgd", 2.0): lambda: torchattacks.PGDL2(net, **loop, random_start=False),
        ("mifgsm", math.inf): lambda: torchattacks.MIFGSM(net, **loop, decay=1.0),
    }
    if (kind, norm) not in attacks:
        pytest.skip("torchattacks has no such attack")
    return attacks[kind, norm]()(seed, label)


def by_art(net, seed, label, kind, norm):
    evasion = pytest.importorskip("art.attacks.evasion", exc_type=ImportError)
    classification = pytest.importorskip("art.estimators.classification", exc_type=ImportError)
    radius = RADIUS[norm]
    loop = {"eps": radius, "eps_step": STEP * radius, "max_iter": STEPS, "verbose": False}
    attacks = {
        "fgsm": lambda model: evasion.FastGradientMethod(model, norm, radius),
        "pgd": lambda model: evasion.ProjectedGradientDescentPyTorch(model, norm, **loop),
        "mifgsm": lambda model: evasion.MomentumIterativeMethod(model, norm, decay=1.0, **loop),
    }
    model = classification.PyTorchClassifier(
        net, nn.CrossEntropyLoss(), seed.shape[1:], 3, clip_values=(0, 1), device_type="cpu"
    )
    moved = attacks[kind](model).generate(seed.numpy(), label.numpy())
    return torch.from_numpy(np.asarray(moved))


PEERS = {"foolbox": by_foolbox, "torchattacks": by_torchattacks, "art": by_art}


@pytest.mark.filterwarnings("ignore")  # the peers' own
@pytest.mark.parametrize("norm", RADIUS)
@pytest.mark.parametrize("kind", OURS)
@pytest.mark.parametrize("peer", PEERS)
def test_an_attack_equals_its_peers(peer, kind, norm, mlp):
    net = mlp(3 * 4 * 4, 16, 3, gain=1.0).eval()
    seed = torch.rand((12, 3, 4, 4), generator=torch.Generator().manual_seed(0))
    seed = seed if norm == math.inf else 0.4 + 0.2 * seed
    label = net(seed).argmax(1)
    expected = PEERS[peer](net, seed.clone(), label, kind, norm)
    space = Box(torch.tensor(0.0), torch.tensor(1.0), norm=norm)
    radius = torch.full((12,), RADIUS[norm])
    objective = Odds(TorchModel(net).logits, label)
    x = OURS[kind](problem_of(objective, seed, space, radius))
    torch.testing.assert_close(x, expected, rtol=0, atol=1e-6)
    assert (x - seed).flatten(1).norm(dim=1).min() > 0.5 * RADIUS[norm]


@pytest.fixture(scope="module")
def cases():
    for peer in ("foolbox", "torchattacks", "art"):
        pytest.importorskip(peer, exc_type=ImportError)
    return parity.nets(480)  # 120 images: a row more or less is below 2 %


@pytest.mark.filterwarnings("ignore")  # the peers' own
@pytest.mark.parametrize("net", [0, 1], ids=["MLP", "CNN"])
@pytest.mark.parametrize("attack", sorted(EVERY - TOO_SLOW))
def test_no_peer_reaches_more_by_over_two_percent(attack, net, cases):
    measure, peers = parity.every()[attack]
    found = {peer: parity.result_of(run, cases[net], measure) for peer, run in peers.items()}
    assert parity.as_good(found), found
