"""What to answer to a name that is not known: the nearest known one, or a list."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

MOST_LISTED = 30  # An error does not list more names than this.


def nearest(name: Any, known: Iterable[str]) -> str | None:
    """The known name that is spelt most like another one, upper and lower case alike.

    Examples
    --------
    >>> nearest("Radios", ["radius", "ratio"])
    'radius'
    >>> nearest("radius", ["steps", "seed"]) is None
    True
    """
    by_spelling = {one.lower(): one for one in known}
    close = get_close_matches(str(name).lower(), by_spelling, n=1)
    return by_spelling[close[0]] if close else None


def did_you_mean(name: Any, known: Iterable[str], otherwise: str = "choose one of") -> str:
    """The end of an error about an unknown name.

    Parameters
    ----------
    name : object
        What was given.
    known : iterable of str
        What could have been meant.
    otherwise : str, default="choose one of"
        What stands before the list of known names if none of them is near.

    Examples
    --------
    >>> did_you_mean("pdg", ["pgd", "fgsm"])
    "did you mean 'pgd'?"
    >>> did_you_mean("zzz", ["pgd", "fgsm"], "there are")
    "there are 'pgd', 'fgsm'"
    """
    names = list(known)
    near = nearest(name, names)
    if near is not None:
        return f"did you mean {near!r}?"
    more = ", ..." if len(names) > MOST_LISTED else ""
    return f"{otherwise} {', '.join(map(repr, names[:MOST_LISTED]))}{more}"


def refuse_unknown(parameter: str, value: Any, known: Iterable[str]) -> None:
    """ValueError if a parameter that is one of some words is none of them."""
    words = list(known)
    if value not in words:
        raise ValueError(f"{parameter}={value!r} is not known; {did_you_mean(value, words)}")
