"""Where valid rows live: each space moves, projects, snaps and measures its own kind of row."""

from advaug.spaces.band import Band
from advaug.spaces.bigrams import Bigrams, Lists
from advaug.spaces.box import Box
from advaug.spaces.edits import Edits
from advaug.spaces.eigenbasis import Eigenbasis
from advaug.spaces.polytope import Polytope
from advaug.spaces.product import Product
from advaug.spaces.protocol import Space
from advaug.spaces.seams import Seams
from advaug.spaces.simplex import Simplex

__all__ = [
    "Band",
    "Bigrams",
    "Box",
    "Edits",
    "Eigenbasis",
    "Lists",
    "Polytope",
    "Product",
    "Seams",
    "Simplex",
    "Space",
]
