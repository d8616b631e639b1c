"""Sequences: what is not edited comes back byte for byte, what is frozen stays, and every edit is
one that the corpus or the table allows."""

import math
import pickle
import re
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from imblearn.pipeline import make_pipeline
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from torch import nn

from advaug import AdversarialOverSampler, AdversarialTransformer
from advaug.adapters import SequenceAdapter, TabularAdapter
from advaug.attacks import Greedy, HotFlip, Noise
from advaug.domains.sequences.adapter import SequenceCoding
from advaug.domains.sequences.judge import resemblance
from advaug.domains.sequences.levenshtein import edit_distance
from advaug.domains.sequences.splicing import compact, lengths
from advaug.estimators.choices import choose_adapter
from advaug.judges import BigramJudge
from advaug.models import Ensemble
from advaug.recipes import Bag
from advaug.report import SequenceDiff
from advaug.sampling.encoded_dataset import EncodedDataset

THINGS = ["the printer", "my laptop", "the mail program", "our server", "the new phone"]
USUAL = ["is slow", "does not start", "shows an error", "asks to log in"]
RARE = ["lets strangers log in", "sends mail that I did not write", "shows a ransom note"]
EMOJI = "\U0001f469‍\U0001f52c ok\t\U0001f600"


def tickets(count=120, rare=0.2):
    rng = np.random.default_rng(0)
    texts, labels = [], []
    for k in range(count):
        is_rare = rng.random() < rare
        trouble = rng.choice(RARE if is_rare else USUAL)
        texts.append(f"#{k:03d} {rng.choice(THINGS)} {trouble} and {rng.choice(USUAL)}.")
        labels.append("rare" if is_rare else "usual")
    return texts, np.array(labels)


def loose(count=80):
    """Texts of words in any order, so that nearly all pairs are seen; some words tell the class."""
    rng = np.random.default_rng(1)
    words = ["red", "blue", "green", "good", "bad", "fine", "poor", "nice", "old", "new"]
    rows = [" ".join(rng.choice(words, rng.integers(5, 9))) for _ in range(count)]
    score = [sum(row.count(w) for w in ("good", "fine", "nice")) for row in rows]
    return rows, (np.array(score) > np.median(score)).astype(int)


def uniform(like, seed=0):
    return torch.rand(like.shape, generator=torch.Generator().manual_seed(seed))


def written(coding, x, rows):
    """Every row written anew from its tokens."""
    pairs = zip(x.long().tolist(), rows, strict=True)
    return [coding._written(numbers, row, True) for numbers, row in pairs]


def known_pairs(coding, x):
    """Whether each neighbourhood in the rows is one that the corpus holds."""
    tokens = coding.edits.plain(x.long())
    end = torch.full_like(tokens[:, :1], -1)
    before, after = torch.cat([end, tokens], 1), torch.cat([tokens, end], 1)
    there = (before >= 0) | (after >= 0)
    return coding.edits.bigrams.seen(before, after) | ~there


def levenshtein(a, b):
    """The edits from a to b, by the whole table."""
    row = list(range(len(b) + 1))
    for i, one in enumerate(a):
        last, row[0] = row[0], i + 1
        for j, other in enumerate(b):
            last, row[j + 1] = (
                row[j + 1],
                min(row[j + 1] + 1, row[j] + 1, last + (one != other)),
            )
    return row[-1]


# ---------------------------------------------------------------- containers


@pytest.mark.parametrize(
    "rows",
    [
        ["a b", "c"],
        ("a b", "c"),
        [None, "a"],
        np.array(["a b", "c"]),
        np.array(["a b", "c"], dtype=object),
        pd.Series(["a b", "c"]),
        pl.Series(["a b", "c"]),
        pl.Series([["a"], ["b", "c"]]),
        [["a"], ["b", "c"]],
        [["a", "b"], ["c", "d"]],
        [[1, 2], [3]],
        [np.array([1, 2]), np.array([3])],
        pd.Series([[1, 2], [3]]),
        ["", ""],
    ],
    ids=str,
)
def test_texts_and_token_lists_are_found_to_be_sequences(rows):
    assert isinstance(choose_adapter("auto", rows), SequenceAdapter)


@pytest.mark.parametrize(
    "rows", [[[1, 2], [3, 4]], [["a", 1], ["b", 2]], [[1.5, 2.0]], np.eye(3), np.eye(3).tolist()]
)
def test_rows_of_one_length_that_hold_numbers_stay_tables(rows):
    assert isinstance(choose_adapter("auto", rows), TabularAdapter)


def test_a_missing_row_is_refused_by_its_number():
    with pytest.raises(ValueError, match=r"row 2 of X is None: .* Drop the row"):
        SequenceAdapter().fit(["a", "b", None])
    with pytest.raises(ValueError, match="row 1 of X is nan"):
        AdversarialOverSampler().fit_resample(pd.Series(["a", np.nan] * 9), [0, 1] * 9)


def test_texts_among_token_lists_are_refused():
    with pytest.raises(ValueError, match="row 1 of X is str, but row 0 is list"):
        SequenceAdapter().fit([["a"], "b"])


# ---------------------------------------------------------------- tokens


@pytest.mark.parametrize("tokens", ["auto", "word", "character", 1, 3, str.splitlines])
@given(texts=st.lists(st.text(max_size=40), min_size=1, max_size=6))
def test_texts_come_back_byte_for_byte(tokens, texts):
    if callable(tokens):
        tokens = lambda text: text.splitlines(keepends=True)  # noqa: E731
    coding = SequenceAdapter(tokens=tokens).fit(texts)
    x = coding.encode(texts)
    assert written(coding, x, texts) == texts
    assert coding.decode(x, x, texts) == texts


@given(
    rows=st.lists(st.text(max_size=30), min_size=1, max_size=4),
    other=st.lists(st.text(max_size=60), min_size=1, max_size=4),
)
def test_unseen_tokens_come_back_byte_for_byte(rows, other):
    coding = SequenceAdapter(tokens="word").fit(rows)
    x = coding.encode(other)
    assert written(coding, x, other) == other


@pytest.mark.parametrize("text", ["", "a", EMOJI, "Привет, мир! hello 世界", "  \n", "x" * 100_000])
def test_odd_rows_are_encoded_edited_and_written(text):
    rows = [text, "hello world is here", "hello is world here"]
    coding = SequenceAdapter().fit(rows)
    x = coding.encode(rows)
    moved = coding.edits.scatter(x, torch.full((3,), 2.0), x[0], uniform(x))
    assert len(coding.decode(moved, x, rows)) == 3
    assert coding.features(x, torch.Generator())(moved).isfinite().all()


@pytest.mark.parametrize(
    ("row", "count"),
    [("red shoes", 2), ("http://a.org/b", 9), ("ACGTACGT", 8), ("Stra\u00dfe", 6), ("it's", 4)],
)
def test_texts_are_read_by_the_word_where_they_have_some(row, count):
    assert (SequenceAdapter().fit([row]).encode([row]) >= 0).sum() == count


def test_what_lies_beyond_the_longest_row_looked_at_stays():
    rows = ["one two three four five", "two one three four six"]
    coding = SequenceAdapter(max_tokens=3, tokens="word").fit(rows)
    x = coding.encode(rows)
    moved = coding.edits.mix(x, x.flip(0), torch.ones(2))
    assert coding.decode(moved, x, rows) == ["two one three four five", "one two three four six"]


def test_a_callable_that_loses_characters_is_refused():
    with pytest.raises(ValueError, match="pieces of 'a b' do not join to it, they make 'ab'"):
        SequenceAdapter(tokens=str.split).fit(["a b"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tokens": "words"}, "tokens must be 'auto', 'word'"),
        ({"tokens": 0}, "a number of characters of 1 or more"),
        ({"max_edit_share": 0.0}, "max_edit_share in"),
        ({"max_edits": 0}, "max_tokens and max_edits must be 1 or more"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SequenceAdapter(**settings).fit(["a b c d"])


def test_one_frozen_token_must_come_in_a_list():
    with pytest.raises(TypeError, match=r"frozen must be a list: write frozen=\['now'\]"):
        SequenceAdapter(frozen="now").fit(["call now"])


# ---------------------------------------------------------------- the space


@pytest.mark.parametrize("tokens", ["word", "character"])
def test_every_random_edit_is_one_that_the_corpus_has_seen(tokens):
    texts, _ = tickets()
    coding = SequenceAdapter(tokens=tokens, max_edit_share=1.0).fit(texts)
    x = coding.encode(texts)
    moved = coding.edits.scatter(x, torch.full((len(x),), 4.0), x[0], uniform(x))
    assert known_pairs(coding, moved).all()
    assert (moved != x).any(1).float().mean() > 0.2
    assert (coding.edits.distance(moved, x) <= 2 * 4 + 2).all()  # a swap counts as two


def test_a_row_has_no_more_edits_than_its_share():
    texts = ["a b c d e f g h", "b a d c f e h g"] * 9
    coding = SequenceAdapter(tokens="word", max_edit_share=0.125).fit(texts)
    x = coding.encode(texts)
    moved = coding.edits.scatter(x, torch.full((18,), 9.0), x[0], uniform(x))
    assert (coding.edits.distance(moved, x) <= 2).all()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_frozen_tokens_and_protected_spans_stay_in_every_row(share):
    texts, _ = tickets()
    coding = SequenceAdapter(protected=r"#\d+", frozen=["and"], max_edit_share=1.0).fit(texts)
    x = coding.encode(texts)
    mate = x.flip(0)
    moved = coding.edits.mix(x, mate, torch.full((len(x),), share))
    moved = coding.edits.scatter(moved, torch.full((len(x),), 9.0), x[0], uniform(x))
    assert (moved != x).any()
    for text, new in zip(texts, coding.decode(moved, x, texts), strict=True):
        assert new.startswith(text[:4])
        assert new.count("#") == 1
        assert new.count(" and") == text.count(" and")


def test_tokens_at_frozen_positions_stay_where_they_are():
    rows = [list("abcdef"), list("bcadfe"), list("fbcad"), list("cbafedab")] * 5
    coding = SequenceAdapter(positions=[0, -1], max_edit_share=1.0).fit(rows)
    x = coding.encode(rows)
    moved = coding.edits.mix(x, x.roll(1, 0), torch.full((20,), 0.4))
    moved = coding.edits.scatter(moved, torch.full((20,), 5.0), x[0], uniform(x))
    new = coding.decode(moved, x, rows)
    assert any(a != b for a, b in zip(rows, new, strict=True))
    assert [(r[0], r[-1], len(r)) for r in new] == [(r[0], r[-1], len(r)) for r in rows]


def test_rows_of_one_length_keep_it():
    rows = ["ACGTTGCA", "TTGACCGA", "GGCATACC", "CATTAGCA"] * 5
    coding = SequenceAdapter().fit(rows)
    x = coding.encode(rows)
    moved = coding.edits.mix(x, x.roll(1, 0), torch.full((20,), 0.5))
    moved = coding.edits.scatter(moved, torch.full((20,), 3.0), x[0], uniform(x))
    assert (lengths(moved) == 8).all()
    assert (moved != x).any()


def test_only_the_tables_moves_are_made_where_it_is_asked_for():
    codons = {"GCA": ["GCC", "GCG"], "GCC": ["GCA", "GCG"], "AAA": ["AAG"], "AAG": ["AAA"]}
    protein = {"GCA": "A", "GCC": "A", "GCG": "A", "AAA": "K", "AAG": "K", "TGG": "W"}
    rows = ["GCAAAATGGGCC", "AAGTGGGCAAAA", "TGGTGGAAAGCC"]
    coding = SequenceAdapter(
        tokens=3, moves=codons, only_listed_moves=True, max_edit_share=1.0
    ).fit(rows)
    x = coding.encode(rows)
    moved = coding.edits.scatter(x, torch.full((3,), 4.0), x[0], uniform(x))
    moved = coding.edits.mix(moved, moved.flip(0), torch.full((3,), 0.5))
    new = coding.decode(moved, x, rows)
    assert new != rows

    def read(dna):
        return [protein[dna[k : k + 3]] for k in range(0, len(dna), 3)]

    assert [read(dna) for dna in new] == [read(dna) for dna in rows]


def test_the_table_inserts_no_ops_drops_what_may_go_and_keeps_white_space():
    rows = ["I am very glad today", "you are sad now and then, they say"]
    table = {"glad": ["happy"], "very": [""], "": [" um"]}
    coding = SequenceAdapter(moves=table, only_listed_moves=True, max_edit_share=1.0).fit(rows)
    x = coding.encode(rows * 40)
    moved = coding.edits.scatter(x, torch.full((80,), 1.0), x[0], uniform(x))
    new = set(coding.decode(moved, x, rows * 40))
    assert {"I am very happy today", "I am glad today"} <= new
    assert any(" um" in text for text in new)
    assert all(text.replace(" um", "").count("  ") == 0 for text in new)


@given(a=st.text("abc", max_size=12), b=st.text("abc", max_size=12))
def test_the_distance_is_levenshteins(a, b):
    rows = torch.full((2, 13), -1)
    for row, text in zip(rows, (a, b), strict=True):
        row[: len(text)] = torch.tensor([ord(c) for c in text], dtype=torch.long)
    found = edit_distance(rows[:1], rows[1:], lengths(rows[:1]), lengths(rows[1:]))
    assert int(found) == levenshtein(a, b)


def test_gaps_are_closed():
    x = torch.tensor([[3.0, -1, 4, -1], [1, 2, -1, -1]])
    assert compact(x).tolist() == [[3, 4, -1, -1], [1, 2, -1, -1]]


def test_a_row_does_not_depend_on_its_batch():
    texts, _ = tickets()
    coding = SequenceAdapter().fit(texts)
    x, share = coding.encode(texts), torch.linspace(0.1, 0.9, len(texts))
    noise, size = uniform(x), torch.full((len(x),), 3.0)

    def made(rows):
        mixed = coding.edits.mix(x[rows], x.flip(0)[rows], share[rows])
        return coding.edits.scatter(mixed, size[rows], x[0], noise[rows])

    every = torch.arange(len(x))
    assert torch.equal(made(every), torch.cat([made(rows) for rows in every.split(7)]))


def test_all_and_nothing_of_a_mate_are_the_rows_themselves():
    texts, _ = tickets(20)
    coding = SequenceAdapter().fit(texts)
    x = coding.encode(texts)
    assert torch.equal(coding.edits.mix(x, x.flip(0), torch.zeros(20)), x)
    assert torch.equal(coding.edits.mix(x, x.flip(0), torch.ones(20)), x.flip(0))


# ---------------------------------------------------------------- what a committee sees


def test_features_are_the_same_in_any_batch_and_tell_rows_apart():
    texts, _ = tickets()
    coding = SequenceAdapter().fit(texts)
    x = coding.encode(texts)
    features = coding.features(x, torch.Generator().manual_seed(0))
    whole = features(x)
    torch.testing.assert_close(whole, torch.cat([features(rows) for rows in x.split(7)]))
    assert len(whole.unique(dim=0)) == len(set(texts))
    assert whole.shape[1] <= 384


def test_features_do_not_see_the_mark_of_frozen_tokens():
    texts, _ = tickets(40)
    coding, free = (SequenceAdapter(frozen=held).fit(texts) for held in (["and"], []))
    a, b = (
        one.features(one.encode(texts), torch.Generator().manual_seed(0)) for one in (coding, free)
    )
    torch.testing.assert_close(a(coding.encode(texts)), b(free.encode(texts)))


def test_kin_are_near_by_their_n_grams_whatever_the_tokens_numbers_are():
    texts, y = tickets(60, rare=0.5)
    codes = torch.from_numpy((y == "rare").astype(int))
    coding = SequenceAdapter().fit(texts)
    x, chance = coding.encode(texts), torch.Generator().manual_seed(0)
    features = coding.features(x, chance)
    committee = Ensemble(n_repeats=1, max_iter=5).fit(x, codes, 2, chance, features)
    pool = EncodedDataset(x, codes, torch.arange(60), coding.space(), committee)
    own = (y == "rare").nonzero()[0]
    seen = features(x).numpy()[own]
    apart = np.linalg.norm(seen[:, None] - seen, axis=-1) + np.diag(np.full(len(own), np.inf))
    distance, place = pool.same_class_neighbors(1, 1)
    assert (place[:, 0].numpy() == own[apart.argmin(1)]).all()
    cut = [coding.cutter(text)[0] for text in texts]
    edits = [levenshtein(cut[a], cut[b]) for a, b in zip(own, place[:, 0], strict=True)]
    assert distance[:, 0].tolist() == edits  # in the space's unit: recipes make radii of it


# ---------------------------------------------------------------- the over-sampler


@pytest.mark.parametrize(
    "kind", ["list", "object", "text", "series", "polars", "lists", "tokens", "numbers"]
)
def test_the_sampler_gives_back_the_container_with_its_own_rows_first(kind):
    texts, y = tickets()
    X = {
        "list": lambda: texts,
        "object": lambda: np.array(texts, dtype=object),
        "text": lambda: np.array(texts),
        "series": lambda: pd.Series(texts, index=[*range(3, 363, 3)], name="ticket"),
        "polars": lambda: pl.Series("ticket", texts),
        "lists": lambda: pl.Series("ticket", [text.split() for text in texts]),
        "tokens": lambda: [text.split() for text in texts],
        "numbers": lambda: [[len(word) for word in text.split()] for text in texts],
    }[kind]()
    sampler = AdversarialOverSampler(random_state=0)
    X_new, y_new = sampler.fit_resample(X, y)
    assert type(X_new) is type(X)
    old, new = ([*(Z.to_list() if hasattr(Z, "to_list") else Z)] for Z in (X, X_new))
    assert new[: len(y)] == old
    assert (y_new == "rare").sum() == (y_new == "usual").sum()
    assert type(new[-1]) is type(old[0])
    if kind == "series":
        assert X_new.index[-1] == 360 + len(y_new) - len(y)
        assert X_new.name == "ticket"
    edits = sampler.provenance_["changes"]
    changed = [new[len(y) + k] != old[p] for k, p in enumerate(sampler.provenance_.parent)]
    assert [bool(edit) for edit in edits] == changed
    assert np.mean(changed) > 0.5


@pytest.mark.filterwarnings("ignore:few new rows differ")
@pytest.mark.parametrize(
    "recipe",
    ["auto", "match", "harden", "translate", "interpolate", "paraphrase", "recombine", "bag"],
)
def test_every_recipe_makes_rows_and_the_batch_size_changes_none(recipe):
    texts, y = tickets()
    made = [
        AdversarialOverSampler(recipe=recipe, random_state=0, batch_size=size).fit_resample(
            texts, y
        )[0]
        for size in (4096, 17)
    ]
    assert made[0] == made[1]


def test_the_noise_control_and_grown_classes_work():
    texts, y = tickets()
    sampler = AdversarialOverSampler(
        attack=Noise(), radius=2.0, random_state=0, sampling_strategy={"rare": 90, "usual": 120}
    )
    _, y_new = sampler.fit_resample(texts, y)
    assert (y_new == "rare").sum() == 90


def test_no_new_row_breaks_a_grammar_or_loses_a_protected_span():
    texts, y = tickets()

    def ends_well(rows):
        return np.array([row.endswith(".") and "log in" not in row[:12] for row in rows])

    sampler = AdversarialOverSampler(
        adapter=SequenceAdapter(protected=r"#\d+"), constraints=ends_well, random_state=0
    )
    X_new, _ = sampler.fit_resample(texts, y)
    assert ends_well(X_new).all()
    for k, parent in enumerate(sampler.provenance_.parent):
        assert X_new[len(texts) + k].startswith(texts[parent][:4])


@pytest.mark.filterwarnings("ignore:few new rows differ")
def test_every_address_still_matches_the_regular_expression_of_one():
    rng, pattern = np.random.default_rng(0), re.compile(r"https?://[a-z]+(\.[a-z]+)+(/[a-z0-9]*)*")
    hosts, ends = ["shop", "bank", "mail", "news"], ["com", "org", "net"]

    def address(is_rare):
        path = "/".join(rng.choice(["login", "verify"] if is_rare else ["a", "b1", "c2"], 3))
        return f"http://{rng.choice(hosts)}.{rng.choice(hosts)}.{rng.choice(ends)}/{path}"

    y = np.arange(120) % 6 == 0
    texts = [address(is_rare) for is_rare in y]
    sampler = AdversarialOverSampler(
        constraints=lambda rows: np.array([bool(pattern.fullmatch(row)) for row in rows]),
        adapter=SequenceAdapter(tokens="character"),
        random_state=0,
    )
    X_new, _ = sampler.fit_resample(texts, y)
    assert all(pattern.fullmatch(row) for row in X_new)
    assert len({*X_new[120:]} - {*texts}) > 10


def test_it_stands_in_front_of_a_text_pipeline():
    texts, y = tickets()
    model = make_pipeline(
        AdversarialOverSampler(random_state=0), TfidfVectorizer(), LogisticRegression()
    )
    assert cross_val_score(model, texts, y, cv=2).min() > 0.7
    grid = {"adversarialoversampler__recipe": ["auto", "interpolate"]}
    search = GridSearchCV(model, grid, cv=2).fit(pd.Series(texts), y)
    assert len(search.predict(texts)) == len(texts)


def test_what_moved_is_listed_when_it_is_first_read(monkeypatch):
    calls, listed = [], SequenceCoding.changes
    monkeypatch.setattr(SequenceCoding, "changes", lambda *own: calls.append(own) or listed(*own))
    texts, y = tickets()
    sampler = AdversarialOverSampler(random_state=0)
    assert not hasattr(sampler, "provenance_")
    X_new, _ = sampler.fit_resample(texts, y)
    assert not calls
    assert len(sampler.provenance_["changes"]) == len(X_new) - len(texts)
    assert calls


def test_a_fitted_sampler_can_be_stored():
    texts, y = tickets()
    sampler = AdversarialOverSampler(random_state=0)
    sampler.fit_resample(texts, y)
    again, coding = (pickle.loads(pickle.dumps(one)) for one in (sampler, sampler.adapter_))
    assert coding.encode(texts).equal(sampler.adapter_.encode(texts))
    assert again.provenance_["changes"].tolist() == sampler.provenance_["changes"].tolist()


@pytest.mark.filterwarnings("ignore:few new rows differ")
@pytest.mark.filterwarnings("ignore:too few rows")
@pytest.mark.parametrize("rows", [[""] * 9, ["a"] * 9, ["", EMOJI] * 9, [["a"], ["a", "b"]] * 9])
def test_corpora_that_hold_nearly_nothing_are_over_sampled(rows):
    rows = rows[:17]
    y = (np.arange(len(rows)) > len(rows) // 2).astype(int)
    X_new, _ = AdversarialOverSampler(random_state=0).fit_resample(rows, y)
    assert set(map(str, X_new)) == set(map(str, rows))


# ---------------------------------------------------------------- the judge


def test_fluency_keeps_rows_like_the_class_and_refuses_word_salad_and_copies():
    texts, y = tickets(300)
    coding = SequenceAdapter(protected=r"#\d+").fit(texts)
    x, rare = coding.encode(texts), torch.from_numpy(y == "rare").long()
    bench = BigramJudge().fit(x, rare, 1, torch.Generator())
    texts_of = {
        "good": "#000 my laptop shows a ransom note and is slow.",
        "salad": "#000 and laptop note the a is ransom slow my.",
        "long": "#000 my laptop " + "shows a ransom note and " * 6 + "is slow.",
        "copy": next(text for text, label in zip(texts, y, strict=True) if label == "rare"),
    }
    texts_of["good"] = next(
        f"{texts_of['copy'][:4]} {thing} {what} and {usual}."
        for thing in THINGS
        for what in RARE
        for usual in USUAL
        if not any(f"{thing} {what} and {usual}" in text for text in texts)
    )
    verdict = bench.verdict(coding.encode(list(texts_of.values())), torch.ones(4))
    assert dict(zip(texts_of, verdict.accepts.tolist(), strict=True)) == {
        "good": True,
        "salad": False,
        "long": False,
        "copy": False,
    }
    usual = BigramJudge(allow_copies=True).fit(x, rare, 1, torch.Generator())
    assert (
        usual.surprise(x[rare == 1].long(), own=1).mean()
        > usual.surprise(x[rare == 1].long()).mean()
    )


@given(st.lists(st.text("ab ", max_size=8), min_size=1, max_size=6), st.text("ab ", max_size=8))
def test_resemblance_is_the_share_of_pairs_in_common(rows, other):
    coding = SequenceAdapter(tokens="character").fit([*rows, other, "ab"])

    def pairs(text):
        return {*pairwise(["start", *text, "end"])}

    expected = max(len(pairs(r) & pairs(other)) / len(pairs(r) | pairs(other)) for r in rows)
    found = resemblance(coding.encode([other]).long(), coding.encode(rows).long())
    assert math.isclose(float(found), expected, rel_tol=1e-6)


def test_near_duplicates_are_refused_where_it_is_asked_for():
    texts, y = tickets(300)
    sampler = AdversarialOverSampler(judge=BigramJudge(alpha=0.0, max_overlap=0.6), random_state=0)
    X_new, _ = sampler.fit_resample(texts, y)
    coding = sampler.adapter_
    kept = sampler.provenance_.move_share.to_numpy() > 0
    made = [new for new, is_kept in zip(X_new[300:], kept, strict=True) if is_kept]
    real = [text for text, label in zip(texts, y, strict=True) if label == "rare"]
    assert len(made) > 20
    found = resemblance(coding.encode(made).long(), coding.encode(real).long())
    assert found.max() <= 0.6


def test_no_new_row_is_a_copy_where_fluency_judges():
    texts, y = tickets(300)
    sampler = AdversarialOverSampler(judge=BigramJudge(), random_state=0)
    X_new, _ = sampler.fit_resample(texts, y)
    assert set(sampler.provenance_.recipe) == {"bag"}
    kept = sampler.provenance_.move_share.to_numpy() > 0
    made = [new for new, is_kept in zip(X_new[300:], kept, strict=True) if is_kept]
    assert len(made) > 20
    assert not {*made} & {text for text, label in zip(texts, y, strict=True) if label == "rare"}


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_rows_or_none_cross_with_a_row_of_another_class(share):
    texts, y = tickets(300)
    sampler = AdversarialOverSampler(recipe=Bag(p_cross_class=share), random_state=0).fit(texts, y)
    made = sampler.generator_.provenance("rare", 0, 60)
    second = made.second_parent[made.second_parent >= 0].to_numpy()
    assert len(second) > 40
    assert {*(np.asarray(y)[second] != "rare")} == {share == 1.0}


# ---------------------------------------------------------------- attacks


def text_model(texts, y):
    from sklearn.pipeline import make_pipeline

    return make_pipeline(TfidfVectorizer(), LogisticRegression(C=100)).fit(texts, y)


@pytest.mark.filterwarnings("ignore:.*were not moved")
def test_greedy_turns_more_predictions_than_as_many_random_edits():
    texts, y = loose()
    model, turned = text_model(texts, y), []
    for attack in ("greedy", "noise"):
        adapter = SequenceAdapter(frozen=["red"], max_edit_share=1.0, tokens="word")
        transformer = AdversarialTransformer(
            attack=attack, radius=2, surrogate=model, adapter=adapter, random_state=0
        )
        moved = transformer.fit(texts).transform(texts)
        assert all(a.count("red") == b.count("red") for a, b in zip(moved, texts, strict=True))
        turned.append((model.predict(moved) != model.predict(texts)).mean())
    assert turned[0] > turned[1] + 0.3


@pytest.mark.filterwarnings("ignore:.*were not moved")
def test_greedy_makes_at_most_as_many_edits_as_the_radius():
    texts, y = loose()
    attack = AdversarialTransformer(
        attack=Greedy(stop_at=None), radius=2, surrogate=text_model(texts, y), random_state=0
    ).fit(texts)
    moved = attack.transform(texts)
    coding = attack.adapter_
    distance = coding.edits.distance(coding.encode(moved), coding.encode(texts))
    assert distance.max() <= 4  # a swap counts as two
    assert (distance > 0).float().mean() > 0.8


class Net(nn.Module):
    """The mean of the tokens' vectors: to first order, HotFlip's ranking is exact."""

    def __init__(self, size):
        super().__init__()
        self.vectors = nn.Embedding(size + 1, 4, padding_idx=0)
        self.out = nn.Linear(4, 2)

    def forward(self, x):
        return self.out(self.vectors(x.long()).sum(1))


@pytest.mark.filterwarnings("ignore:.*were not moved")
@pytest.mark.parametrize("beam_width", [1, 3])
def test_hotflip_finds_the_best_single_flip_of_a_linear_net(beam_width):
    texts, _ = loose(30)
    coding = SequenceAdapter(max_edit_share=1.0, tokens="word").fit(texts)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = Net(len(coding.words))
    attack = AdversarialTransformer(
        attack=HotFlip(max_substitutes=300, n_candidates=1, beam_width=beam_width, stop_at=None),
        radius=1,
        surrogate=net,
        adapter=SequenceAdapter(max_edit_share=1.0, tokens="word"),
        random_state=0,
    ).fit(texts)
    moved = attack.transform(texts)
    x = coding.encode(texts)
    label = net(coding.native(x)).argmax(1)

    def worth(rows):
        logits = net(coding.native(rows))
        return logits.gather(1, 1 - label[:, None])[:, 0] - logits.gather(1, label[:, None])[:, 0]

    best = worth(x)
    for place in range(x.shape[1]):
        for token in range(len(coding.words)):
            tried = x.clone()
            tried[:, place] = token
            allowed = (x[:, place] >= 0) & known_pairs(coding, tried).all(1)
            best = torch.where(allowed, best.maximum(worth(tried)), best)
    reached = worth(coding.encode(moved))
    assert ((best - reached).abs() < 1e-4).float().mean() > 0.9


def test_hotflip_asks_for_an_embedding_and_both_for_sequences():
    texts, _ = tickets(20)
    plain = nn.Sequential(nn.Linear(SequenceAdapter().fit(texts).width, 2))
    attack = AdversarialTransformer(attack="hotflip", radius=2, surrogate=plain)
    with pytest.raises(ValueError, match=r"reads tokens through torch\.nn\.Embedding.*'greedy'"):
        attack.fit(texts)
    X = np.random.default_rng(0).normal(size=(20, 3))
    attack = AdversarialTransformer(attack="greedy", radius=2)
    with pytest.raises(
        ValueError, match=r"Greedy requires edits \(sequences\).* take attack='fgsm'"
    ):
        attack.fit(X, np.arange(20) % 2)


def test_a_gradient_attack_on_texts_names_the_attacks_that_can_be_used():
    texts, y = tickets(30)
    with pytest.raises(ValueError, match="'greedy'"):
        AdversarialTransformer(attack="pgd", radius=2).fit(texts, y)


# ---------------------------------------------------------------- the diff


def test_a_diff_marks_what_is_gone_and_what_is_new():
    coding = SequenceAdapter().fit(["call me now please", "do not <b> call"])
    diff = SequenceDiff.of(coding, "call me now please", "call us now <b>")
    assert str(diff) == "call[- me-]{+ us+} now[- please-]{+ <b>+}"
    assert "&lt;b&gt;</ins>" in diff.to_html()
    assert "\033[9;31m me\033[0m" in diff.to_terminal()
    assert diff._repr_html_().startswith("<p")


def test_changes_tell_place_and_tokens():
    coding = SequenceAdapter().fit(["call me now please"])
    assert coding.changes(["call me now"], ["call us now"]) == [{"token 1": (" me", " us")}]
    assert coding.changes([["a", "b"]], [["a", "c", "b"]]) == [{"token 1": ([], ["c"])}]


def test_only_sequences_have_a_diff():
    with pytest.raises(TypeError, match="only sequences have a diff, got TabularCoding"):
        SequenceDiff.of(TabularAdapter().fit([[1, 2], [3, 4]]), 1, 2)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"moves": None}, "moves must be a dict"),
        ({"moves": {"quick": "fast"}}, "write 'quick': .'fast'."),
        ({"max_edits": math.nan}, "must be numbers"),
        ({"protected": "("}, "protected must be a regular expression"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(wrong, told):
    with pytest.raises((TypeError, ValueError), match=told):
        SequenceAdapter(**wrong).fit(["a quick dog", "a cat"])


def test_a_table_in_place_of_its_column_is_refused():
    frame = pd.DataFrame({"text": ["a b", "c d e"] * 15, "place": range(30)})
    with pytest.raises(TypeError, match="pass the column alone"):
        AdversarialOverSampler(adapter="sequence").fit_resample(frame, [0] * 20 + [1] * 10)


def test_a_number_among_texts_is_refused_by_its_row():
    texts = ["a b", "c d e"] * 15
    with pytest.raises(ValueError, match="row 3 of X is int"):
        AdversarialOverSampler().fit_resample([*texts[:3], 7, *texts[4:]], [0] * 20 + [1] * 10)


def test_words_that_may_go_anywhere_have_a_blank_before_them():
    coding = SequenceAdapter(moves={"": ["um"]}, tokens="word").fit(["a b", "c d e"])
    assert " um" in coding.words


def test_a_series_of_categories_is_refused_with_what_mends_it():
    texts, y = tickets(40)
    with pytest.raises(TypeError, match=r"pass X\.astype\(str\)"):
        AdversarialOverSampler().fit_resample(pd.Series(texts, dtype="category"), y)
