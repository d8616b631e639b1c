"""Recipes: where new rows start and what an attack raises, for `recipe` of the over-sampler."""

from advaug.domains.sequences.recipes import Bag, Paraphrase, Recombine
from advaug.sampling.candidate_recipes import Distill, Swap
from advaug.sampling.recipes import Boundary, Explore, Harden, Interpolate, Match, Translate

__all__ = [
    "Bag",
    "Boundary",
    "Distill",
    "Explore",
    "Harden",
    "Interpolate",
    "Match",
    "Paraphrase",
    "Recombine",
    "Swap",
    "Translate",
]
