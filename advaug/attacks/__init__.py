"""How to search: one loop, `climb`, and the attacks that are settings of it."""

from advaug.attacks.auto import APGD
from advaug.attacks.captured import Captured
from advaug.attacks.climb import Attack, climb
from advaug.attacks.crossover import Crossover
from advaug.attacks.estimated import NES, SPSA
from advaug.attacks.gradient import BIM, FGSM, MIFGSM, NIFGSM, PGD, RFGSM
from advaug.attacks.greedy import Greedy
from advaug.attacks.gumbel import GBDA
from advaug.attacks.hopskipjump import HopSkipJump
from advaug.attacks.hotflip import HotFlip
from advaug.attacks.instrument import Instrument
from advaug.attacks.leaves import LeafSearch
from advaug.attacks.minimal import JSMA, DeepFool
from advaug.attacks.noise import Direction, Noise, Uniform
from advaug.attacks.penalty import EAD, CarliniWagner
from advaug.attacks.several import AutoAttack
from advaug.attacks.shared import UAP, Patch
from advaug.attacks.square import Square
from advaug.attacks.trigger import Trigger
from advaug.attacks.virtual import VAT
from advaug.attacks.warp import Warp

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
    "square": Square,
    "hopskipjump": HopSkipJump,
    "nes": NES,
    "spsa": SPSA,
    "crossover": Crossover,
    "instrument": Instrument,
    "leaves": LeafSearch,
    "greedy": Greedy,
    "hotflip": HotFlip,
    "gbda": GBDA,
    "trigger": Trigger,
    "autoattack": AutoAttack,
    "warp": Warp,
}

__all__ = [
    "APGD",
    "ATTACKS",
    "BIM",
    "EAD",
    "FGSM",
    "GBDA",
    "JSMA",
    "MIFGSM",
    "NES",
    "NIFGSM",
    "PGD",
    "RFGSM",
    "SPSA",
    "UAP",
    "VAT",
    "Attack",
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
    "climb",
]
