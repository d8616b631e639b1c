"""How to search: one loop, `climb`, and the attacks that are settings of it."""

from advaug.attacks.climb import Attack, climb
from advaug.attacks.crossover import Crossover
from advaug.attacks.estimated import NES, SPSA
from advaug.attacks.gradient import FGSM, MIFGSM, PGD
from advaug.attacks.hopskipjump import HopSkipJump
from advaug.attacks.leaves import LeafSearch
from advaug.attacks.noise import Noise
from advaug.attacks.square import Square

ATTACKS: dict[str, type[Attack]] = {
    "fgsm": FGSM,
    "pgd": PGD,
    "mifgsm": MIFGSM,
    "noise": Noise,
    "square": Square,
    "hopskipjump": HopSkipJump,
    "nes": NES,
    "spsa": SPSA,
    "crossover": Crossover,
    "leaves": LeafSearch,
}

__all__ = [
    "ATTACKS",
    "FGSM",
    "MIFGSM",
    "NES",
    "PGD",
    "SPSA",
    "Attack",
    "Crossover",
    "HopSkipJump",
    "LeafSearch",
    "Noise",
    "Square",
    "climb",
]
