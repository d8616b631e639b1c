"""Sequences: their tokens, and over-samplers that rival the library's, each written from its paper.

A row is a text, taken apart into words or, where texts have no spaces, into characters; or it is a
tuple of tokens. SMOTE's rows are no texts: a `Blend` is mixed by whoever makes features of it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from benchmarks.oversampling.samplers import Fold, Sampler, by_rule

Row = str | tuple[str, ...]
Array, Generator = np.ndarray, np.random.Generator
ORDERS = {"words": 1, "characters": 4, "tokens": 2}  # of the Markov chain
GRAMS: dict[str, dict[str, Any]] = {
    "words": {"ngram_range": (1, 2), "token_pattern": r"\S+"},
    "characters": {"ngram_range": (1, 4), "analyzer": "char"},
    "tokens": {"ngram_range": (1, 3), "token_pattern": r"\S+", "lowercase": False},
}


class Blend(NamedTuple):
    """A point between two rows in whatever space they are seen."""

    first: Row
    second: Row
    step: float


def unit_of(rows: Iterable[Any]) -> str:
    """What the rows are taken apart into: 'words', 'characters' or 'tokens'."""
    rows = [row for row in rows if not isinstance(row, Blend)]
    if not isinstance(rows[0], str):
        return "tokens"
    return "words" if np.mean([" " in row for row in rows]) > 0.5 else "characters"


def tokens_of(row: Row, unit: str) -> list[str]:
    return row.split() if unit == "words" else [*row]


def row_of(tokens: Iterable[str], unit: str) -> Row:
    return tuple(tokens) if unit == "tokens" else (" " if unit == "words" else "").join(tokens)


def array_of(rows: Iterable[Any]) -> Array:
    """Rows as an array of objects, lists of tokens as tuples."""
    return np.fromiter((r if isinstance(r, str | Blend) else tuple(r) for r in rows), object)


def encoder_of(rows: Any) -> Callable[[Any], Array]:
    """Nothing is learned: the learners make their own features."""
    return array_of


def facts(X: Any) -> dict[str, Any]:
    """What the report tells of a set's rows."""
    unit = unit_of(X)
    return {"unit": unit, "median length": int(np.median([len(tokens_of(x, unit)) for x in X]))}


def tfidf(unit: str) -> TfidfVectorizer:
    """Term frequencies (logarithmic) of the unit's n-grams; tokens are joined by spaces."""
    return TfidfVectorizer(**GRAMS[unit], sublinear_tf=True, max_features=50_000, dtype=np.float32)


def texts_of(rows: Iterable[Row]) -> list[str]:
    return [row if isinstance(row, str) else " ".join(row) for row in rows]


def random(own: Array, others: Array, count: int, rng: Generator) -> Array:
    """Duplicates."""
    return own[rng.integers(len(own), size=count)]


def edits(own: Array, others: Array, count: int, rng: Generator, share: float = 0.1) -> Array:
    """Duplicates of which a tenth of the tokens is substituted, inserted, swapped or deleted, new
    tokens drawn from the class (after Wei, Zou. EDA. EMNLP 2019, without its synonyms)."""
    unit = unit_of([*own, *others])
    corpus = np.concatenate([tokens_of(row, unit) for row in own])
    made = []
    for row in random(own, others, count, rng):
        tokens = tokens_of(row, unit)
        kind = rng.integers(4)
        for new in rng.choice(corpus, max(1, round(share * len(tokens)))):
            at, other = rng.integers(max(len(tokens), 1), size=2)
            if kind == 0 and tokens:
                tokens[at] = str(new)
            elif kind == 1:
                tokens.insert(at, str(new))
            elif kind == 2 and tokens:
                tokens[at], tokens[other] = tokens[other], tokens[at]
            elif len(tokens) > 1:
                del tokens[at]
        made.append(row_of(tokens, unit))
    return array_of(made)


def followers(rows: Array, unit: str, order: int) -> dict[tuple[str, ...], list[str]]:
    """What comes after each run of `order` tokens, as often as it does."""
    known = defaultdict(list)
    for row in rows:
        tokens = [""] * order + tokens_of(row, unit)
        for at in range(order, len(tokens)):
            known[tuple(tokens[at - order : at])].append(tokens[at])
    return known


def markov(own: Array, others: Array, count: int, rng: Generator, foreign: float = 0.1) -> Array:
    """Walks of a Markov chain of the class that takes every tenth step, where it can, from the
    other classes, so that its vocabulary grows; as long as some row of the class (after Avela,
    Ilmonen. Extrapolated Markov chain oversampling method for imbalanced text classification.
    2026)."""
    unit = unit_of([*own, *others])
    order = ORDERS[unit]
    home, abroad = followers(own, unit, order), followers(others, unit, order)
    made = []
    for row in random(own, others, count, rng):
        walk = [""] * order
        for _ in range(max(1, len(tokens_of(row, unit)))):
            context = tuple(walk[-order:])
            is_foreign = context in abroad and any(context) and rng.random() < foreign
            steps = abroad[context] if is_foreign else home.get(context)
            steps = steps or home[("",) * order]  # no way on: the walk begins anew
            walk.append(steps[rng.integers(len(steps))])
        made.append(row_of(walk[order:], unit))
    return array_of(made)


def smote(fold: Fold) -> tuple:
    """SMOTE on TF-IDF: neighbors are found there, new rows are blends."""
    unit = unit_of(fold.matrix)
    space = tfidf(unit).fit(texts_of(fold.matrix))

    def rule(own: Array, others: Array, count: int, rng: Generator) -> Array:
        spread = space.transform(texts_of(own))
        neighbors = np.argsort(-(spread @ spread.T).toarray(), axis=1, kind="stable")[:, :6]
        at, step = rng.integers(len(own), size=count), rng.uniform(size=count)
        choice = rng.integers(min(1, neighbors.shape[1] - 1), neighbors.shape[1], size=count)
        return array_of(map(Blend, own[at], own[neighbors[at, choice]], step))

    return by_rule(rule, fold)


RULES = {"random": random, "edits": edits, "markov": markov}
RIVALS: dict[str, Sampler] = {
    **{name: partial(by_rule, rule) for name, rule in RULES.items()},
    "smote": smote,
}
