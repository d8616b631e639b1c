"""Texts that keep their grammar: what edits leave alone, and where two texts cross."""

import ast
import re
import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from advaug import AdversarialOverSampler
from advaug.adapters import SequenceAdapter
from advaug.attacks import Greedy
from advaug.domains.sequences.function_words import function_words
from advaug.domains.sequences.grammar import telling_tokens
from advaug.domains.sequences.recipes import nearest_partners
from advaug.domains.sequences.sentences import borders
from advaug.estimators.strategies import grow
from advaug.recipes import Paraphrase, Recombine
from advaug.sampling.class_generator import ClassGenerator

THINGS = ["kettle", "toaster", "blender", "radio", "lamp"]
FLAWS = ["leaks", "rattles", "smells", "squeaks", "overheats"]
PLACES = ["kitchen", "garage", "office", "bedroom"]
FIXED = ["the", "my", "in", "and", "it", "but", "so", "from", "see", "at", "was", "i"]
SENTENCES = (
    "The {thing} in my {place} {flaw} badly.",
    "I paid £{number} for it, but it {flaw} again.",
    'They said "your {thing} {flaw} badly" and laughed!',
    "See http://shop.example/{number}?a=b or mail me@shop.example now.",
    "Mr. Smith (from the {place}) was very kind.",
    "I do not know why the {thing} {flaw} badly.",
    "I don't know who took the {thing} away.",
)


def reviews(count=150, seed=0):
    """Texts of two to four sentences; some words of them are interchangeable."""
    rng = np.random.default_rng(seed)
    return [
        " ".join(
            sentence.format(
                thing=rng.choice(THINGS),
                flaw=rng.choice(FLAWS),
                place=rng.choice(PLACES),
                number=rng.integers(10, 99),
            )
            for sentence in rng.choice(SENTENCES, rng.integers(2, 5), replace=False)
        )
        for _ in range(count)
    ]


def grammatical(rows, **settings):
    """A coding of texts, their codes, and their space of edits that keep the grammar."""
    coding = SequenceAdapter(tokens="word", **settings).fit(rows)
    return coding, coding.encode(rows), coding.space().keep_structure()


def uniform(like, seed=0):
    return torch.rand(like.shape, generator=torch.Generator().manual_seed(seed))


def edited(rows, edits=2.0, seed=0, **settings):
    coding, x, space = grammatical(rows, **settings)
    moved = space.scatter(x, torch.full((len(x),), edits), x[0], uniform(x, seed))
    return coding.decode(moved, x, rows)


def crossed(rows, seed=0, **settings):
    """Each text crossed with another one, and that other one."""
    coding, x, space = grammatical(rows, **settings)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    share = 0.01 + 0.98 * uniform(x[:, 0], seed)
    return coding.decode(space.mix(x, x[order], share), x, rows), [rows[k] for k in order]


def pieces(text):
    """Cut behind each mark that white space follows, but for that of "Mr."."""
    return re.split(r"(?<=[.!?,])(?<!Mr\.)\s+", text)


# ---------------------------------------------------------------- edits


def test_edits_leave_function_words_numbers_addresses_and_signs_alone():
    rows = reviews()
    made = edited(rows)
    assert np.mean([new != old for new, old in zip(made, rows, strict=True)]) > 0.8
    exchanged = "|".join([*THINGS, *FLAWS, *PLACES, "very ", "do not|don't"])
    for new, old in zip(made, rows, strict=True):
        assert re.sub(exchanged, "#", new).replace("#", "") == re.sub(exchanged, "", old)


def test_a_word_gives_way_to_words_of_its_own_class():
    rows = reviews()
    for new, old in zip(edited(rows), rows, strict=True):
        for group in (THINGS, FLAWS, PLACES):
            pattern = rf"\b({'|'.join(group)})\b"
            assert len(re.findall(pattern, new)) == len(re.findall(pattern, old))


def test_words_of_a_class_are_spelt_alike():
    coding, _, space = grammatical(reviews())
    similar, words = space.grammar.similar, coding.words
    pairs = 0
    for token, word in enumerate(words):
        first, last = int(similar.first[token]), int(similar.first[token + 1])
        for other in similar.values[first:last].tolist():
            pairs += 1
            assert words[other].startswith(" ") == word.startswith(" ")
            assert words[other].islower() == word.islower()
            assert not {word.strip(), words[other].strip()} & {*FIXED}
    assert pairs > 20


def test_a_phrase_gives_way_to_one_that_means_the_same():
    rows = ["I do not know why.", "I don't know who.", "We don't sell.", "We do not buy."] * 3
    made = {text for seed in range(20) for text in edited(rows, 1.0, seed)}
    assert {"I don't know why.", "I do not know who."} <= made
    assert all(re.match(r"(I|We) (do not|don't) \w+( \w+)?\.$", text) for text in made)


def test_a_contraction_stays_before_a_pronoun_and_at_the_end():
    rows = ["Why don't you go?", "I do not you see.", "You don't.", "They do not."] * 3
    assert {*edited(rows, 1.0)} == {*rows}


def test_words_come_and_go_only_where_the_corpus_has_them():
    rows = ["It is really good here.", "It is good here.", "It is not good here."] * 5
    made = {text for seed in range(10) for text in edited(rows, 1.0, seed)}
    assert made == {*rows}, "denied words are not strengthened"


def test_frozen_words_and_tables_of_moves_are_heeded():
    rows = reviews()
    for new, old in zip(edited(rows, frozen=THINGS), rows, strict=True):
        assert re.findall("|".join(THINGS), new) == re.findall("|".join(THINGS), old)
    made = edited(rows, moves={"badly": ["loudly"]})
    assert sum("loudly" in text for text in made) > 20


def test_a_words_parts_and_words_in_addresses_stay():
    rows = ["go to www.red.com now", "go to www.blue.com now", "a red-hot pan", "a blue-hot pan"]
    assert edited(rows * 5) == rows * 5


def test_words_that_tell_the_class_are_held():
    own = [f"they {flaw} again and again" for flaw in ("leak", "leak", "smell", "leak")] * 5
    others = [f"they {verb} again and again" for verb in ("sing", "dance", "smell")] * 20
    coding, x, space = grammatical(own + others)
    own, others = x[:20], x[20:]
    held = telling_tokens(own.long(), others.long(), len(coding.words))
    assert [coding.words[k] for k in held.nonzero()[:, 0]] == [" leak"]
    space = space.hold_typical_values(own, others)
    moved = space.scatter(own, torch.ones(20), own[0], uniform(own))
    leaks = (own == coding.index[" leak"]).any(1)
    assert (moved[leaks] == own[leaks]).all()
    assert (moved[~leaks] != own[~leaks]).any()


@given(st.lists(st.text("ab .,!?\"'()\n", max_size=30), min_size=2, max_size=6))
def test_any_texts_are_edited_and_crossed(rows):
    coding, x, space = grammatical([*rows, "a b. a b"])
    x = x[:-1]
    moved = space.mix(x, x.flip(0), uniform(x[:, 0]))
    moved = space.scatter(moved, torch.full((len(x),), 2.0), x[0], uniform(x))
    for new in coding.decode(moved, x, rows):
        assert coding.cutter(new)[0] == coding.cutter(new)[0]
        assert {*new} <= {*"".join(rows)}


def test_attacks_keep_the_grammar_too():
    rows = reviews(60)
    y = ["Smith" in text for text in rows]
    _, x, space = grammatical(rows)
    new, valid = space.substitutes(x.long(), 16, keyed(x))
    words = space.grammar.spelling.is_content
    assert valid.any()
    assert words[new[valid]].all()
    sampler = AdversarialOverSampler(
        recipe=Paraphrase(max_edits=1), attack=Greedy(), judge=None, random_state=0
    )
    X_new, _ = sampler.fit_resample(rows, y)
    assert set(sampler.provenance_["recipe"]) == {"paraphrase"}
    assert (sampler.provenance_["distance"] > 0).mean() > 0.5
    exchanged = "|".join([*THINGS, *FLAWS, *PLACES, "very ", "do not|don't"])
    known = {re.sub(exchanged, "", text) for text in rows}
    assert {re.sub(exchanged, "", text) for text in X_new} <= known


def keyed(x):
    from advaug.core.row_random import RowRandom

    return RowRandom(torch.arange(len(x)))


# ---------------------------------------------------------------- crossings


def test_rows_cross_at_the_borders_of_sentences_and_clauses():
    rows = reviews()
    made, others = crossed(rows)
    moved = 0
    for new, old, other in zip(made, rows, others, strict=True):
        if new == old or old == other:
            continue
        moved += 1
        first, second = pieces(old), pieces(other)
        assert {*pieces(new)} <= {*first, *second}
        assert pieces(new)[0] in (first[0], second[0])
        for before, after in pairwise(["", *pieces(new), ""]):
            assert before.startswith("I paid") == after.startswith("but it")
        assert pieces(new)[-1] in (first[-1], second[-1])
    assert moved > 30


def test_crossings_keep_brackets_and_quotes_paired():
    rows = (
        reviews() + ['He said "go. Now run" twice. I left.', "It (see above. Below) is. Fine."] * 9
    )
    for new in crossed(rows)[0]:
        assert new.count('"') % 2 == 0
        assert new.count("(") == new.count(")")


def test_frozen_blocks_stay_and_are_not_copied():
    rows = reviews()
    for new, old in zip(crossed(rows, frozen=["badly"])[0], rows, strict=True):
        assert new.count("badly") == old.count("badly")


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Hello, Mr. Smith. Go!", {2: 1, 6: 2}),
        ('He said "no!" I went', {6: 2}),
        ("a.b is 3.5 ... ok", {10: 2}),
        ("one\ntwo", {1: 2}),
        ("well , then", {2: 1}),
    ],
)
def test_borders_of_sentences_and_clauses(text, kinds):
    _, x, space = grammatical([text])
    length = (x >= 0).sum(1, keepdim=True)
    found = borders(x.long(), length, space.grammar.spelling)[0]
    inner = {k: int(kind) for k, kind in enumerate(found) if kind and 0 < k < length}
    assert inner == kinds
    assert found[0] == found[int(length)] == 2


def test_a_single_sentence_does_not_cross():
    rows = ["It is red.", "It is big.", "It is old."]
    assert crossed(rows)[0] == rows


SYLLABLES = ["ba", "do", "gi", "ku", "le", "mo", "na", "pe", "ri", "so", "tu", "vi"]
TOPICS = [first + then for first in SYLLABLES for then in SYLLABLES]
DEEDS = ["painted", "cleaned", "moved", "fixed", "sold", "bought", "opened", "closed"]


def stories(count=120, topics=tuple(TOPICS), seed=1):
    """Texts of two sentences about the same thing."""
    rng = np.random.default_rng(seed)
    told = [(rng.choice(topics), *rng.choice(DEEDS, 4, replace=False)) for _ in range(count)]
    return [
        f"We {a} and {b} the {one} today. Nobody {c} or {d} our {one}." for one, a, b, c, d in told
    ]


def crossings(first, second, shares=40, among=()):
    """All texts that the first makes with the second, of many shares; `among`: more of a corpus.

    Which blocks are tried depends on the numbers of the tokens, so some corpora are.
    """
    rows, made, long = [first] * shares, set(), " ".join(f"w{k}" for k in range(40))
    share = torch.linspace(0.02, 0.98, shares)
    for seed in range(8):
        coding, _, space = grammatical([*stories(seed=seed), first, second, long, *among])
        x, other = (coding.encode([text] * shares) for text in (first, second))
        made.update(coding.decode(space.mix(x, other, share), x, rows))
    return made - {first}


PLAIN = "We moved the boat. I liked the boat. We went."


@pytest.mark.parametrize(
    ("first", "second", "new", "is_made"),
    [
        ("It sank. A boat is old. We left.", PLAIN, "We moved the boat. A boat is old.", True),
        ("She sold the boat. I saw her boat. Go.", PLAIN, "We moved the boat. I saw her", False),
        (PLAIN, "A man left. I fixed the boat. We ate.", "the boat. I fixed the boat.", True),
        (PLAIN, "A man left. He fixed the boat. We ate.", "the boat. He fixed the boat.", False),
        (PLAIN, "I left. However, the boat sank. We ate.", "the boat. However, the boat", False),
        (PLAIN, "I left. That sank the boat. We ate.", "boat. That sank", False),
        (PLAIN, "I left. It's an old boat. We ate.", "boat. It's an old", False),
        (PLAIN, "I left. Other boats sank the boat. We ate.", "boat. Other boats", False),
        (PLAIN, "I left. so sank the boat. We ate.", "boat. so sank", False),
        (PLAIN, "I left. sank the old boat. We ate.", "boat. sank the old", False),
        ("The boat sank. It was red. But I sat.", PLAIN, "sank. I liked the boat. But", False),
        ("The boat sank. It was red. That hurt.", PLAIN, "sank. I liked the boat. That", False),
        ("The boat sank. It was red. I sat.", PLAIN, "sank. I liked the boat. I sat", True),
    ],
)
def test_no_pronoun_or_linking_word_loses_its_sentence(first, second, new, is_made):
    assert any(new in text for text in crossings(first, second)) == is_made


def test_a_block_says_little_or_shares_a_content_word():
    seed, among = "The boat sank. Nobody came. We left.", ["All was nice."] * 5
    assert not crossings(seed, "I sat. The garden blooms in spring. I ate.", among=among)
    assert crossings(seed, "I sat. The boat blooms in spring. I ate.", among=among)
    assert crossings(seed, "I sat. All was nice. I ate.", among=among)


def test_blocks_are_as_similar_as_one_of_a_hundred_sentences_of_other_texts():
    rows = stories(400, TOPICS[:20])
    often = {one: sum(f" {one}" in text for text in rows) for one in (*TOPICS[:20], *DEEDS)}
    weight = {one: np.log(400 / count) for one, count in often.items()}
    halves = {
        text: [{*re.findall(r"\w+", half)} & {*weight} for half in pieces(text)] for text in rows
    }

    def similarity(text, other):
        parts = halves[text][0], halves[other][1]
        size = [sum(weight[one] ** 2 for one in part) for part in parts]
        return sum(weight[one] ** 2 for one in parts[0] & parts[1]) / np.sqrt(size[0] * size[1])

    found = [
        similarity(text, rows[k - shift]) for shift in range(1, 5) for k, text in enumerate(rows)
    ]
    _, _, space = grammatical(rows)
    least = float(space.grammar.cohesion.least)
    assert least == pytest.approx(np.quantile(found, 0.99), rel=1e-3)
    assert 0 < least < 1
    moved = []
    for seed in range(5):
        made, others = crossed(rows, seed)
        moved += [
            similarity(old, other)
            for new, old, other in zip(made, rows, others, strict=True)
            if old not in (new, other) and new == f"{pieces(old)[0]} {pieces(other)[1]}"
        ]
    assert len(moved) > 5
    assert min(moved) > least - 1e-4


def test_no_block_brings_names_that_the_text_does_not_know():
    among = [f"I like what {name} did." for name in ("Anna", "Bruno")] * 3
    seed = "We moved a boat for Anna. It sank. We left."
    for name, is_made in (("Bruno", False), ("Anna", True)):
        made = crossings(seed, f"I sat. The boat of {name} is old. I ate.", among=among)
        assert any("is old" in text for text in made) == is_made


@pytest.mark.parametrize(
    ("seed", "other", "is_made"),
    [
        ("I fixed the boat, but it sank.", "We like the boat, but we sold the old boat.", True),
        ("I fixed the boat, but sank.", "We like the boat, but sold the old boat.", False),
        ("The boat sank, a man said.", "The old boat broke, the police said.", False),
        ("I fixed the boat, but it sank.", "We like the boat, and we sold the old boat.", False),
    ],
)
def test_clauses_cross_with_conjunction_and_subject(seed, other, is_made):
    assert bool(crossings(seed, other)) == is_made


def test_sentences_are_added_behind_an_ended_one():
    other = "We sat. The boat is quite old."
    assert "I fixed the boat. The boat is quite old." in crossings("I fixed the boat.", other)
    assert not crossings("I fixed the boat", other)
    assert not crossings("I fixed the boat.", "We sat. The boat is quite old and we")


def test_a_text_that_is_crossed_with_itself_loses_sentences():
    text = "The old boat sank today. We sold a car. But it was red. I like my house. We sat."
    made = crossings(text, text)
    first, *others = pieces(text)
    assert first in made
    assert all(new.startswith(first) for new in made)
    kept = {tuple(piece in new for piece in others) for new in made}
    assert (False, True, True, True) not in kept, "'But' needs the sentence before it"
    assert (True, False, True, True) in kept
    assert len(kept) > 3


@pytest.mark.parametrize(
    "text", ["He left the old Sprint Corp. today.", "We meet at 5 p.m. today.", "on Aug. 3 we sat"]
)
def test_abbreviations_end_no_sentence(text):
    _, x, space = grammatical([text])
    length = (x >= 0).sum(1, keepdim=True)
    assert (borders(x.long(), length, space.grammar.spelling) == 2).sum() == 2


def test_no_text_repeats_itself():
    seed = "The boat sank. The boat was quite old then. We left the boat."
    other = "The boat sank. We sold it. The boat was quite old then. We left the boat."
    for text in crossings(seed, other):
        assert text.count("was quite old then") < 2


def test_partners_are_the_nearest_rows_of_the_class():
    rows = reviews(80)
    y = ["late"] * 40 + ["early"] * 40
    sampler = AdversarialOverSampler(recipe="recombine", random_state=0)
    sampler.fit_resample(rows + rows[40:60], y + ["early"] * 20)
    dataset = sampler.generator_.writer.dataset
    own = dataset.of_class(1)
    near = nearest_partners(dataset, 1, own)
    distance = torch.cdist(dataset.features[own], dataset.features[own]).fill_diagonal_(0.0)
    place = {int(one): k for k, one in enumerate(own)}
    for k, partners in enumerate(near.tolist()):
        found = distance[k, [place[one] for one in partners]]
        assert found.max() <= distance[k].sort().values[len(partners) - 1] + 1e-3
    made = sampler.provenance_[sampler.provenance_["second_parent"] >= 0]
    allowed = {int(dataset.rows[a]): dataset.rows[near[k, :8]].tolist() for k, a in enumerate(own)}
    pairs = zip(made["parent"], made["second_parent"], strict=True)
    assert len(made) > 5
    assert all(second in allowed[first] for first, second in pairs)


# ---------------------------------------------------------------- learning, recipes


def test_frequent_words_are_function_words_in_any_language():
    counts = {f"w{k}": 2 for k in range(300)} | {"la": 120, "di": 100}
    assert {"la", "di"} <= function_words(counts)
    assert len(function_words(counts)) < 20


def test_texts_without_words_and_token_lists_have_no_grammar():
    for rows in (["ACGT", "CCGT"], [["a", "b"], ["b"]]):
        space = SequenceAdapter().fit(rows).space()
        assert space.keep_structure() is space
    listed = SequenceAdapter(moves={"red": ["blue"]}, only_listed_moves=True)
    assert listed.fit(["a red car", "a blue car"]).space().keep_structure().grammar is None


def test_empty_texts_have_no_grammar():
    coding, x, space = grammatical(["", ""])
    assert space.grammar is None
    assert coding.decode(space.mix(x, x, torch.ones(2)), x, ["", ""]) == ["", ""]


@pytest.mark.parametrize("recipe", [Paraphrase(), Recombine(), Recombine(max_edits=1)])
def test_new_texts_of_a_recipe_are_new(recipe):
    rows = reviews(120)
    y = np.array(["late" if "squeaks" in text else "early" for text in rows])
    sampler = AdversarialOverSampler(recipe=recipe, random_state=0)
    X_new, _ = sampler.fit_resample(rows, y)
    made = sampler.provenance_
    assert (made["status"] == "accepted").mean() > 0.9
    new = [text for text, mask in zip(X_new, sampler.synthetic_mask_, strict=True) if mask]
    assert not {*new} & {*rows}
    if isinstance(recipe, Paraphrase):
        assert (made["distance"] <= 3).all()  # A contraction counts as two.


@pytest.mark.parametrize("recipe", ["paraphrase", "recombine", "bag"])
def test_recipes_for_sequences_are_refused_on_tables(recipe):
    with pytest.raises(ValueError, match="requires edits \\(sequences\\)"):
        AdversarialOverSampler(recipe=recipe).fit_resample(np.eye(9), [0, 1, 1] * 3)


@pytest.mark.filterwarnings("ignore:few new rows differ")
@pytest.mark.parametrize("recipe", ["paraphrase", "recombine"])
def test_rows_that_cannot_move_are_no_parents(recipe):
    rows = reviews(80)
    fixed = [f"No {k} w{k}x" for k in range(20)]
    y = ["late"] * 20 + ["early"] * 70
    late = rows[:10] + fixed[:10]
    sampler = AdversarialOverSampler(recipe=recipe, random_state=0)
    sampler.fit_resample(late + rows[10:], y)
    made = sampler.provenance_[sampler.provenance_["status"] == "accepted"]
    assert len(made) > 40
    assert (made["parent"] < 10).all()


def test_texts_of_one_sentence_are_edited_where_they_cannot_cross():
    rng, whose = np.random.default_rng(0), ["mine", "yours"]
    told = [(one, deed, k) for one in TOPICS[:12] for deed in DEEDS for k in (0, 1)]
    told = [told[k] for k in rng.permutation(len(told))[:150]]
    rows = [f"{('Nobody', 'Somebody')[k]} {deed} our {one} today" for one, deed, k in told]
    y = [whose[k] for *_, k in told]
    sampler = AdversarialOverSampler(
        recipe="recombine", sampling_strategy={"mine": y.count("mine") + 15}, random_state=0
    )
    X_new, _ = sampler.fit_resample(rows, y)
    made = sampler.provenance_
    assert (made["status"] == "accepted").all()
    assert (made["second_parent"] == -1).all()
    assert made["distance"].between(1, 2).all()
    assert all(re.fullmatch(r"Nobody \w+ our \w+ today", text) for text in X_new[150:])


def few_ways(n=12):
    """Texts of one class that can be said in few other words, and of two that nobody repeats."""
    colours, things = ["red", "old", "big"], ["car", "boat", "coat"]
    pairs = zip(colours, things, strict=True)
    late = [f"My {colour} one and a {thing} came late." for colour, thing in pairs]
    rows = [late[k % 3] for k in range(n)] + [
        f"Call {k}: a {colours[k % 3]} one and a {things[k // 3 % 3]} will do." for k in range(60)
    ]
    rows += [f"{TOPICS[k % 12]} {DEEDS[k % 5]} {k}, I think." for k in range(40)]
    return rows, ["late"] * n + ["call"] * 60 + ["think"] * 40


def test_repeated_texts_are_counted_and_the_advice_mends_it():
    rows, y = few_ways()
    sampler = AdversarialOverSampler(
        recipe="paraphrase", sampling_strategy={"late": 60, "think": 45}, random_state=0
    )
    with pytest.warns(UserWarning, match="few new rows differ") as told:
        X_new, y_new = sampler.fit_resample(rows, y)
    said = str(told[0].message)
    new = [row for row, label in zip(X_new[112:], y_new[112:], strict=True) if label == "late"]
    assert {*new} - {*rows}
    assert f"{len({*new} - {*rows})} of 48 in class 'late'" in said
    with pytest.warns(UserWarning, match="few new rows differ") as again:
        assert sampler.new_rows(rows, y)[0] == X_new[112:]
    assert str(again[0].message) == said
    totals = ast.literal_eval(re.search(r"sampling_strategy=(\{.*?\})", said)[1])
    assert totals["late"] < 60
    assert set(totals) == {"late", "think"}, "other classes grow as before"
    bag = clone(sampler).set_params(recipe="bag")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*in class 'late'")
        warnings.filterwarnings("ignore", message="few new rows differ")
        clone(sampler).set_params(sampling_strategy=totals).fit_resample(rows, y)
        bag.fit_resample(rows, y)


def test_equal_rows_of_arrays_and_token_lists_are_counted_as_returned():
    rows, y = few_ways()
    for X in (pd.Series(rows), np.array(rows, dtype=object), [row.split() for row in rows]):
        sampler = AdversarialOverSampler(
            recipe="paraphrase", sampling_strategy={"late": 60}, random_state=0
        )
        with pytest.warns(UserWarning, match="few new rows differ") as told:
            X_new, _ = sampler.fit_resample(X, y)
        real, new = ({str(list(row)) for row in part} for part in (list(X), list(X_new)[112:]))
        assert new - real
        assert f"{len(new - real)} of 48" in str(told[0].message)


def test_copies_of_rows_with_soft_labels_are_no_repeats():
    rows, y = few_ways()
    strategy = grow(2)
    AdversarialOverSampler(
        recipe="distill", sampling_strategy=strategy, random_state=0
    ).fit_resample(rows, y)


@pytest.mark.filterwarnings("ignore:few new rows differ")
@pytest.mark.parametrize("recipe", ["paraphrase", "recombine"])
def test_a_class_in_which_nothing_can_move_is_copied_at_once(monkeypatch, recipe):
    rows = [f"No {k} w{k}x" for k in range(20)] + reviews(60)
    y = ["late"] * 20 + ["early"] * 60
    monkeypatch.setattr(ClassGenerator, "_drawn", None)  # No row is drawn.
    sampler = AdversarialOverSampler(recipe=recipe, random_state=0)
    X_new, _ = sampler.fit_resample(rows, y)
    assert {*X_new[80:]} <= {*rows[:20]}
    assert (sampler.provenance_["status"] == "copied").all()
