"""The judge: is a moved row still what its label says? Asked of what is shipped."""

from advaug.validity.band import Banded
from advaug.validity.batch import Coverage, coverage, energy_test
from advaug.validity.elastic import Elastic
from advaug.validity.fluency import Fluency, FluencyBench
from advaug.validity.judge import Bench, Judge
from advaug.validity.jury import FAMILIES, Family, Jury, sworn
from advaug.validity.panel import LABEL_LEVEL, Panel, PanelBench
from advaug.validity.protocol import AnyBench, AnyJudge, Verdict
from advaug.validity.signs import is_hidden

__all__ = [
    "FAMILIES",
    "LABEL_LEVEL",
    "AnyBench",
    "AnyJudge",
    "Banded",
    "Bench",
    "Coverage",
    "Elastic",
    "Family",
    "Fluency",
    "FluencyBench",
    "Judge",
    "Jury",
    "Panel",
    "PanelBench",
    "Verdict",
    "coverage",
    "energy_test",
    "is_hidden",
    "sworn",
]
