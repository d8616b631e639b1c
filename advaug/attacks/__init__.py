"""How to search: one loop, `climb`, and the attacks that are settings of it."""

from advaug.attacks.climb import Attack, climb
from advaug.attacks.gradient import FGSM, MIFGSM, PGD
from advaug.attacks.noise import Noise

ATTACKS: dict[str, type[Attack]] = {"fgsm": FGSM, "pgd": PGD, "mifgsm": MIFGSM, "noise": Noise}

__all__ = ["ATTACKS", "FGSM", "MIFGSM", "PGD", "Attack", "Noise", "climb"]
