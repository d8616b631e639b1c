"""Tables of biology that ship: codons of one amino acid, amino acids alike, and paired bases."""

from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from itertools import permutations
from typing import Any

# Each base with the one it pairs with; R, Y and others stand for several bases (IUPAC).
PAIRED_BASES = {
    "dna": ("ACGTRYSWKMBDHVN", "TGCAYRSWMKVHDBN"),
    "rna": ("ACGURYSWKMBDHVN", "UGCAYRSWMKVHDBN"),
}
Moves = dict[str, list[str]]


def lines(name: str) -> list[str]:
    """The lines of a file that ships, without comments."""
    text = (files("advaug") / "data" / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if not line.startswith("#")]


@cache
def genetic_code() -> dict[str, str]:
    """Codon of DNA -> amino acid, "*" for a stop (NCBI's translation table 1).

    Examples
    --------
    >>> from advaug.domains.sequences.biology import genetic_code
    >>> genetic_code()["ATG"], genetic_code()["TAA"]
    ('M', '*')
    """
    rows = [line.split() for line in lines("genetic_code.txt")]
    return {codon: amino_acid for amino_acid, *codons in rows for codon in codons}


def synonymous_codons(tokens: Iterable[Any]) -> Moves:
    """Each codon with the others of its amino acid; in RNA where a token holds a U."""
    is_rna = any("u" in str(token).lower() for token in tokens)
    moves = defaultdict[str, list[str]](list)
    for old, new in permutations(genetic_code(), 2):
        if genetic_code()[old] == genetic_code()[new]:
            one, other = (codon.replace("T", "U" if is_rna else "T") for codon in (old, new))
            moves[one].append(other)
            moves[one.lower()].append(other.lower())
    return dict(moves)


def similar_amino_acids(tokens: Iterable[Any]) -> Moves:
    """Each amino acid with those that score above 0 in BLOSUM62."""
    moves = defaultdict[str, list[str]](list)
    for line in lines("similar_amino_acids.txt"):
        for old, new in permutations(line.split("-")):
            moves[old].append(new)
            moves[old.lower()].append(new.lower())
    return dict(moves)


# What `SequenceAdapter(moves=)` takes by name: functions of the tokens of the rows.
SHIPPED_MOVES = {
    "synonymous_codons": synonymous_codons,
    "similar_amino_acids": similar_amino_acids,
}


def reverse_complement(token: str, kind: str) -> str | None:
    """A piece of one strand as the other strand spells it; None where a letter is no base.

    Examples
    --------
    >>> from advaug.domains.sequences.biology import reverse_complement
    >>> reverse_complement("AACGt", "dna"), reverse_complement("hello", "dna")
    ('aCGTT', None)
    """
    one, other = PAIRED_BASES[kind]
    partner = dict(zip(one + one.lower(), other + other.lower(), strict=True))
    spelt = [partner.get(base) for base in reversed(token)]
    return None if None in spelt else "".join(map(str, spelt))
