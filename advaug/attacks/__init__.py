"""How to search: one loop, `climb`, and the attacks that are settings of it."""

from advaug.attacks.auto import APGD
from advaug.attacks.climb import Attack, climb
from advaug.attacks.gradient import BIM, FGSM, MIFGSM, NIFGSM, PGD, RFGSM
from advaug.attacks.minimal import JSMA, DeepFool
from advaug.attacks.noise import Direction, Noise, Uniform
from advaug.attacks.penalty import EAD, CarliniWagner
from advaug.attacks.shared import UAP, Patch
from advaug.attacks.virtual import VAT

ATTACKS: dict[str, type[Attack]] = {
    "fgsm": FGSM,
    "rfgsm": RFGSM,
    "bim": BIM,
    "pgd": PGD,
    "mifgsm": MIFGSM,
    "nifgsm": NIFGSM,
    "apgd": APGD,
    "deepfool": DeepFool,
    "cw": CarliniWagner,
    "ead": EAD,
    "jsma": JSMA,
    "uap": UAP,
    "patch": Patch,
    "vat": VAT,
    "noise": Noise,
    "uniform": Uniform,
    "direction": Direction,
}

__all__ = [
    "APGD",
    "ATTACKS",
    "BIM",
    "EAD",
    "FGSM",
    "JSMA",
    "MIFGSM",
    "NIFGSM",
    "PGD",
    "RFGSM",
    "UAP",
    "VAT",
    "Attack",
    "CarliniWagner",
    "DeepFool",
    "Direction",
    "Noise",
    "Patch",
    "Uniform",
    "climb",
]
