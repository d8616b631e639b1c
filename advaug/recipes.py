"""Recipes: where new rows start and what an attack raises, for `recipe` of the over-sampler."""

from advaug.sampling.recipes import (
    Boundary,
    Distill,
    Explore,
    Harden,
    Interpolate,
    Match,
    Swap,
    Translate,
)

__all__ = ["Boundary", "Distill", "Explore", "Harden", "Interpolate", "Match", "Swap", "Translate"]
