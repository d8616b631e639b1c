"""Words that make the grammar of a text: moves that keep grammar leave them alone.

They are English words of closed classes, and the words that are most frequent in the user's rows,
which are mostly of this kind in any language.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

FREQUENT = 0.3  # Share of all words that the most frequent ones make up.


@cache
def english() -> frozenset[str]:
    """The words that ship."""
    text = (files("advaug") / "data" / "english_function_words.txt").read_text(encoding="utf-8")
    return frozenset(text.split())


def function_words(counts: Mapping[str, int]) -> frozenset[str]:
    """The function words of a corpus that holds words, in lower case, so often.

    Examples
    --------
    >>> from advaug.domains.sequences.function_words import function_words
    >>> words = {"hund": 9, "katze": 9, "maus": 9, "haus": 9, "see": 9, "mond": 9, "tal": 9}
    >>> sorted(function_words({"der": 20, "und": 12, "the": 5, **words}))
    ['der', 'the']
    """
    room = FREQUENT * sum(counts.values())
    frequent = []
    for word, count in sorted(counts.items(), key=lambda pair: -pair[1]):
        room -= count
        if room < 0:
            break
        frequent.append(word)
    return frozenset(frequent) | (english() & counts.keys())
