"""Words and pairs of words that mean the same, and words that may come and go: English, shipped.

A phrase stands for another one only if the corpus holds its tokens, so nothing happens in texts of
other languages.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import permutations
from typing import Self

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from advaug.core.tensor_fields import MovableFields
from advaug.domains.sequences.bigrams import RaggedIndex

NOTHING = -3  # Stands for the second token of a phrase of one.
DENY = frozenset({"not", "no", "never", "nothing", "without", "hardly", "so", "too", "how"})
PRONOUNS = frozenset({"i", "you", "he", "she", "it", "we", "they", "there", "u", "not"})
Forms = tuple[str, ...]


@cache
def shipped() -> tuple[tuple[tuple[Forms, ...], ...], frozenset[str]]:
    """The lines of phrases that mean the same, and the words that may come and go."""
    text = (files("advaug") / "data" / "english_paraphrases.txt").read_text(encoding="utf-8")
    groups, free = [], set()
    for line in text.splitlines():
        if line.startswith("+"):
            free.update(line[1:].split())
        elif not line.startswith("#"):
            groups.append(tuple(tuple(phrase.split("_")) for phrase in line.split()))
    return tuple(groups), frozenset(free)


@dataclass(frozen=True)
class Phrases(MovableFields):
    """Which phrase of one or two tokens may stand for which.

    Parameters
    ----------
    keys : int Tensor (phrases,)
        Numbers of the phrases that others may stand for, sorted.
    others : RaggedIndex
        For each of them the places in `first` and `second` of those others.
    first, second : int Tensor (others,)
        Tokens; -3 for the second token of a phrase of one.
    free : bool Tensor (tokens,)
        Words that may come and go.
    denies, pronoun : bool Tensor (tokens,)
        Words such as "not", whose meaning hangs on the next one; words such as "you".
    """

    keys: Int[Tensor, " phrases"]
    others: RaggedIndex
    first: Int[Tensor, " others"]
    second: Int[Tensor, " others"]
    free: Bool[Tensor, " tokens"]
    denies: Bool[Tensor, " tokens"]
    pronoun: Bool[Tensor, " tokens"]

    @classmethod
    def of(cls, words: Sequence[str]) -> Self:
        """The shipped phrases that tokens of a corpus can spell."""
        pairs = sorted(set(spelt(words)))
        old = torch.tensor([one for one, _ in pairs], dtype=torch.long).view(-1, 2)
        new = torch.tensor([other for _, other in pairs], dtype=torch.long).view(-1, 2)
        keys, owner = phrase_key(old[:, 0], old[:, 1]).unique(return_inverse=True)
        bare = [word.strip().lower() for word in words]
        free = shipped()[1]
        return cls(
            keys=keys,
            others=RaggedIndex.of(owner, torch.arange(len(new)), len(keys) + 1),
            first=new[:, 0],
            second=new[:, 1],
            free=torch.tensor([word.strip() in free for word in words], dtype=torch.bool),
            denies=torch.tensor(
                [word in DENY or word.endswith("n't") for word in bare], dtype=torch.bool
            ),
            pronoun=torch.tensor([word in PRONOUNS for word in bare], dtype=torch.bool),
        )

    def draw(
        self, first: Int[Tensor, "*shape"], second: Int[Tensor, "*shape"], lot: Tensor
    ) -> tuple[Tensor, Tensor]:
        """A phrase that may stand for a phrase, by a lot in [0, 1); -2 where there is none."""
        key = phrase_key(first, second)
        if not len(self.keys):
            return torch.full_like(key, -2), torch.full_like(key, NOTHING)
        place = torch.searchsorted(self.keys, key.contiguous()).clamp_max(len(self.keys) - 1)
        place = torch.where(self.keys[place] == key, place, len(self.keys))
        other = self.others.draw(place, lot, -1)
        new = self.first[other.clamp_min(0)].masked_fill(other < 0, -2)
        return new, self.second[other.clamp_min(0)].masked_fill(other < 0, NOTHING)


def phrase_key(first: Int[Tensor, "*shape"], second: Int[Tensor, "*shape"]) -> Tensor:
    return (first + 2) * 2**31 + second - NOTHING


def spelt(words: Sequence[str]) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Pairs of phrases, as tokens, that are spelt alike: the same white space and capitals."""
    tokens = defaultdict(list)
    for token, word in enumerate(words):
        tokens[word.strip().lower()].append(token)
    index = {word: token for token, word in enumerate(words)}
    for group in shipped()[0]:
        for old, new in permutations(group, 2):
            for token in tokens[old[0]]:
                is_upper = len(old[0]) > 1 and words[token].strip() == old[0].upper()
                if is_upper and len(old) + len(new) > 2:
                    continue
                to = index.get(respelt(words[token], old[0], new[0]), -1)
                ends = [
                    index.get(f" {one[1]}", -1) if len(one) > 1 else NOTHING for one in (old, new)
                ]
                if min(to, *(end if end != NOTHING else 0 for end in ends)) >= 0:
                    yield (token, ends[0]), (to, ends[1])


def respelt(word: str, old: str, new: str) -> str:
    """A new word with the white space and the capitals of a word."""
    bare = word.strip()
    space = word[: len(word) - len(word.lstrip())]
    if bare == old:
        return space + new
    is_upper = bare == bare.upper() and len(bare) > 1
    return space + (new.upper() if is_upper else new[:1].upper() + new[1:])
