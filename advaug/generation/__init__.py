"""Seeds in, accepted rows out: recipes, batches, retraction and provenance."""

from advaug.generation.engine import RECORD, Grown, Terms, generate
from advaug.generation.pool import Pool
from advaug.generation.recipes import (
    RECIPES,
    Boundary,
    Explore,
    Harden,
    Interpolate,
    Match,
    Plan,
    Recipe,
    Translate,
)

__all__ = [
    "RECIPES",
    "RECORD",
    "Boundary",
    "Explore",
    "Grown",
    "Harden",
    "Interpolate",
    "Match",
    "Plan",
    "Pool",
    "Recipe",
    "Terms",
    "Translate",
    "generate",
]
