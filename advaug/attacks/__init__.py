"""How to search: one loop, `climb`, and the attacks that are settings of it."""

from advaug.attacks.auto import APGD
from advaug.attacks.climb import Attack, climb
from advaug.attacks.gradient import BIM, FGSM, MIFGSM, NIFGSM, PGD, RFGSM
from advaug.attacks.noise import Direction, Noise, Uniform

ATTACKS: dict[str, type[Attack]] = {
    "fgsm": FGSM,
    "rfgsm": RFGSM,
    "bim": BIM,
    "pgd": PGD,
    "mifgsm": MIFGSM,
    "nifgsm": NIFGSM,
    "apgd": APGD,
    "noise": Noise,
    "uniform": Uniform,
    "direction": Direction,
}

__all__ = [
    "APGD",
    "ATTACKS",
    "BIM",
    "FGSM",
    "MIFGSM",
    "NIFGSM",
    "PGD",
    "RFGSM",
    "Attack",
    "Direction",
    "Noise",
    "Uniform",
    "climb",
]
