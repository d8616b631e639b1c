"""How to search: one loop, `ascend`, the attacks that are settings of it, and those that are not.

Attacks that only one domain has live in its wing and are found here as well.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from advaug.attacks.apgd import APGD
from advaug.attacks.ascent import ascend
from advaug.attacks.autoattack import AutoAttack
from advaug.attacks.caa import CAA, CAPGD
from advaug.attacks.carlini_wagner import EAD, CarliniWagner
from advaug.attacks.crossover import Crossover
from advaug.attacks.cuda_graph import Captured
from advaug.attacks.gradient import BIM, FGSM, MIFGSM, NIFGSM, PGD, RFGSM
from advaug.attacks.hopskipjump import HopSkipJump
from advaug.attacks.leaf_search import LeafSearch
from advaug.attacks.min_norm import JSMA, DeepFool
from advaug.attacks.moeva import MOEVA
from advaug.attacks.noise import Direction, Noise, Uniform
from advaug.attacks.score_based import NES, SPSA
from advaug.attacks.square import Square
from advaug.attacks.universal import UAP, Patch
from advaug.attacks.vat import VAT
from advaug.core.problem import Attack, AttackProblem

if TYPE_CHECKING:
    from advaug.domains.sequences.attacks.greedy import Greedy
    from advaug.domains.sequences.attacks.hotflip import HotFlip
    from advaug.domains.sequences.attacks.trigger import Trigger
    from advaug.domains.signals.instrument import Instrument
    from advaug.domains.signals.warp import Warp

__all__ = [
    "APGD",
    "BIM",
    "CAA",
    "CAPGD",
    "EAD",
    "FGSM",
    "JSMA",
    "MIFGSM",
    "MOEVA",
    "NES",
    "NIFGSM",
    "PGD",
    "RFGSM",
    "SPSA",
    "UAP",
    "VAT",
    "Attack",
    "AttackProblem",
    "AutoAttack",
    "Captured",
    "CarliniWagner",
    "Crossover",
    "DeepFool",
    "Direction",
    "Greedy",
    "HopSkipJump",
    "HotFlip",
    "Instrument",
    "LeafSearch",
    "Noise",
    "Patch",
    "Square",
    "Trigger",
    "Uniform",
    "Warp",
    "ascend",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in __all__:
            return import_module("advaug.registry").ATTACKS[name.lower()]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
