"""How the tokens of texts are spelt: words and signs, marks, brackets, pronouns, linking words."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from advaug.core.tensor_fields import MovableFields
from advaug.domains.sequences.function_words import function_words

COMMON = 5  # A word that was seen so often may stand in a text about anything.
OFTEN = 20  # A language model knows a word by itself that was seen so often,
ENDING = 3  # and others by so many letters of their endings.

LETTERS = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
DIGIT = re.compile(r"\d")
APOSTROPHE = re.compile("['\u2019]")
ABBREVIATION = re.compile(
    r"[A-Za-z]|Mr|Mrs|Ms|Dr|St|Prof|Jr|Sr|vs|etc|No|Inc|Ltd|Co|Corp|Bros|Cos|Rep|Sen|Gov|Gen|Col|Sgt"
    r"|Capt|Lt|Maj|Rev|Hon|Sec|Assn|Dept|Univ|Mt|Ft|Ave|Blvd|Rd|approx|est|[Ss]tg|[Vv]ol|[Ff]ig"
    r"|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|Mon|Tues?|Wed|Thurs?|Fri|Sat|Sun|Calif|Mass|Conn"
)
SENTENCE_MARKS, CLAUSE_MARKS = frozenset(".!?\u2026\u3002"), frozenset(",;:\u2013\u2014")
CLOSERS = frozenset(")]}\"'\u201d\u2019\u00bb")
PAIRS = (
    ("(", ")"),
    ("[", "]"),
    ("{", "}"),
    ("\u201c", "\u201d"),
    ("\u00ab", "\u00bb"),
)  # Closed again;
QUOTE = '"'  # There is an even number of these where they are paired.
NO_BRACKETS = [0] * (len(PAIRS) + 1)
NO_MARK, CLAUSE, SENTENCE = range(3)
# Pronouns that stand for somebody who was named before, by whom they may stand for.
THIRD_PERSON = (
    frozenset({"he", "him", "his", "himself"}),
    frozenset({"she", "her", "hers", "herself"}),
    frozenset({"they", "them", "their", "theirs", "themselves"}),
)
# Words that tie a sentence to the one before it where they open it: they join it, or refer to it.
LINKING = frozenset(
    {
        *("also", "and", "anyway", "because", "besides", "but", "else", "finally", "hence"),
        *("however", "instead", "meanwhile", "moreover", "nor", "or", "otherwise", "plus", "so"),
        *("still", "then", "therefore", "though", "thus", "too", "yet", "again", "later", "next"),
        *("afterwards", "likewise", "similarly", "furthermore", "additionally", "secondly"),
        *("that", "this", "these", "those", "such", "same", "other", "others", "another", "both"),
        *("either", "neither", "he", "him", "his", "she", "her", "it", "its", "they", "them"),
        *("their", "which", "who", "whose"),
    }
)
# Words that open a clause, where one of the second kind follows: its subject.
CONJUNCTIONS = frozenset(
    {
        *("and", "but", "or", "so", "because", "since", "if", "unless", "until", "when"),
        *("whenever", "while", "although", "though", "as", "after", "before", "where"),
    }
)
SUBJECTS = frozenset({"i", "we", "you", "he", "she", "it", "they", "there", "this", "that"})


@dataclass(frozen=True)
class Spelling(MovableFields):
    """How each token is spelt.

    Parameters
    ----------
    space : int Tensor (tokens,)
        Number of the white space before the token; 0: none.
    breaks : bool Tensor (tokens,)
        Whether a line ends in this white space.
    case : int Tensor (tokens,)
        0 lower, 1 capital first, 2 capitals, 3 another pattern.
    is_word, is_content, is_lower, has_digit : bool Tensor (tokens,)
        Letters; letters that are no function word; letters in lower case; any digit.
    mark : int Tensor (tokens,)
        NO_MARK, CLAUSE or SENTENCE: what a token ends.
    is_closer, is_abbreviation : bool Tensor (tokens,)
    form : int Tensor (tokens,)
        Number of the token without case and white space.
    function : int Tensor (tokens,)
        The form of a function word, -1 for other tokens.
    kind : int Tensor (tokens,)
        Number of the form, but one number for rare words of one ending, and for tokens with digits.
    balance : int Tensor (tokens, kinds of brackets)
        1 for what opens, -1 for what closes; the last kind counts straight quotes.
    person : bool Tensor (tokens, kinds of pronouns)
        Whether a token is a pronoun of each kind of THIRD_PERSON.
    links, is_conjunction, is_subject : bool Tensor (tokens,)
        Words of LINKING, CONJUNCTIONS and SUBJECTS.
    is_common : bool Tensor (tokens,)
        Words that the corpus holds COMMON times, in whatever case.
    """

    space: Int[Tensor, " tokens"]
    breaks: Bool[Tensor, " tokens"]
    case: Int[Tensor, " tokens"]
    is_word: Bool[Tensor, " tokens"]
    is_content: Bool[Tensor, " tokens"]
    is_lower: Bool[Tensor, " tokens"]
    has_digit: Bool[Tensor, " tokens"]
    mark: Int[Tensor, " tokens"]
    is_closer: Bool[Tensor, " tokens"]
    is_abbreviation: Bool[Tensor, " tokens"]
    form: Int[Tensor, " tokens"]
    function: Int[Tensor, " tokens"]
    kind: Int[Tensor, " tokens"]
    balance: Int[Tensor, "tokens kinds"]
    person: Bool[Tensor, "tokens persons"]
    links: Bool[Tensor, " tokens"]
    is_conjunction: Bool[Tensor, " tokens"]
    is_subject: Bool[Tensor, " tokens"]
    is_common: Bool[Tensor, " tokens"]

    @classmethod
    def of(cls, words: Sequence[str], counts: Sequence[int]) -> Self:
        """Read the spelling of tokens that the corpus holds so often."""
        spaces = [word[: len(word) - len(word.lstrip())] for word in words]
        at = numbered([word.strip() for word in words])
        bare = [*dict.fromkeys(word.strip() for word in words)]
        forms = [text.lower() for text in bare]
        is_word = flags(LETTERS.fullmatch(text) for text in bare)
        count = torch.zeros(len(bare), dtype=torch.long).index_add_(0, at, whole(counts))
        often: Counter[str] = Counter()
        for text, number in zip(forms, (count * is_word).tolist(), strict=True):
            often[text] += number
        known = function_words(often)
        form, is_function = numbered(forms), flags(text in known for text in forms)
        first = [APOSTROPHE.split(text)[0] for text in forms]  # "it" of "it's".
        kinds = [
            kind_of(text, low in known, often[low]) for text, low in zip(bare, forms, strict=True)
        ]
        of_words = {
            "case": whole(case_of(text) for text in bare),
            "is_word": is_word,
            "is_content": is_word & ~is_function & flags(len(text) > 1 for text in bare),
            "is_lower": is_word & flags(text.islower() for text in bare),
            "has_digit": flags(DIGIT.search(text) for text in bare),
            "mark": whole(mark_of(text) for text in bare),
            "is_closer": flags(text in CLOSERS for text in bare),
            "is_abbreviation": flags(ABBREVIATION.fullmatch(text) for text in bare),
            "form": form,
            "function": torch.where(is_function, form, -1),
            "kind": numbered(kinds),
            "balance": torch.tensor([balance_of(text) for text in bare]),
            "person": torch.stack([flags(t in kind for t in first) for kind in THIRD_PERSON], 1),
            "links": flags(text in LINKING for text in first),
            "is_conjunction": flags(text in CONJUNCTIONS for text in forms),
            "is_subject": flags(text in SUBJECTS for text in first),
            "is_common": flags(often[text] >= COMMON for text in forms),
        }
        return cls(
            space=numbered(["", *spaces])[1:],
            breaks=flags("\n" in space for space in spaces),
            **{name: values[at] for name, values in of_words.items()},
        )


def whole(numbers: Iterable[int]) -> Int[Tensor, " numbers"]:
    return torch.from_numpy(np.fromiter(numbers, np.int64))


def flags(values: Iterable[Any]) -> Bool[Tensor, " values"]:
    return torch.from_numpy(np.fromiter((bool(value) for value in values), np.bool_))


def numbered(texts: Sequence[str]) -> Int[Tensor, " texts"]:
    """Texts as whole numbers from 0 on, by when they are first seen."""
    numbers: dict[str, int] = {}
    return whole(numbers.setdefault(text, len(numbers)) for text in texts)


def case_of(text: str) -> int:
    """Which capitals a word has: 0 none, 1 the first, 2 all, 3 others."""
    if text == text.lower():
        return 0
    if text[1:] == text[1:].lower():
        return 1
    return 2 if text == text.upper() else 3


def kind_of(text: str, is_function: bool, count: int) -> str:
    """What a token is to a model of language: itself, or how a rare word begins and ends."""
    if DIGIT.search(text):
        return f"#{LETTERS.search(text) is not None}"
    if is_function or count >= OFTEN or LETTERS.fullmatch(text) is None:
        return text.lower()
    return f"~{text[:1].isupper()}{text[-ENDING:].lower()}"


def mark_of(text: str) -> int:
    """Whether a sign ends a sentence or a clause."""
    return SENTENCE if text in SENTENCE_MARKS else CLAUSE if text in CLAUSE_MARKS else NO_MARK


def balance_of(text: str) -> list[int]:
    """For each kind of bracket how many are opened less those closed, then straight quotes."""
    if text.isalnum():
        return NO_BRACKETS
    return [*(text.count(a) - text.count(b) for a, b in PAIRS), text.count(QUOTE)]
