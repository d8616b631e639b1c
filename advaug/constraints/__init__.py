"""Rules that rows must keep: a small language, Python objects, callables, and a miner.

A synthetic row may not break a rule that its parent keeps.
"""

from advaug.constraints.objects import (
    Equal,
    Frozen,
    If,
    Integer,
    Linear,
    Monotone,
    OneHot,
    OneOf,
    Range,
)
from advaug.constraints.parser import Refused
from advaug.constraints.rules import Constraints, Rule, broken
from advaug.constraints.values import Cells

__all__ = [
    "Cells",
    "Constraints",
    "Equal",
    "Frozen",
    "If",
    "Integer",
    "Linear",
    "Monotone",
    "OneHot",
    "OneOf",
    "Range",
    "Refused",
    "Rule",
    "broken",
]
