"""Rules that rows of a table must keep: a small language, rule objects, callables, and a miner.

A synthetic row may not break a rule that its parent keeps.
"""

from advaug.domains.tables.rules.constraints import Constraints
from advaug.domains.tables.rules.objects import (
    Equal,
    FrozenColumns,
    If,
    Integer,
    Linear,
    Monotone,
    OneHot,
    OneOf,
    Range,
)

__all__ = [
    "Constraints",
    "Equal",
    "FrozenColumns",
    "If",
    "Integer",
    "Linear",
    "Monotone",
    "OneHot",
    "OneOf",
    "Range",
]
