"""Recipes: where new rows start and what an attack raises, for `recipe` of the over-sampler."""

from advaug.sampling.recipes import Boundary, Explore, Harden, Interpolate, Match, Translate

__all__ = ["Boundary", "Explore", "Harden", "Interpolate", "Match", "Translate"]
