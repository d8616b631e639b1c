"""Attacks on sequences: against brute force, within what the space allows, on any input at all."""

import math
import re
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch import nn

from advaug import AdversarialOverSampler, AdversarialTransformer
from advaug.adapters import SequenceAdapter
from advaug.attacks import Greedy, HotFlip, Trigger
from advaug.core.objectives import Margin
from advaug.core.row_random import RowRandom
from advaug.domains.sequences.splicing import lengths
from tests.problems import problem_of

WORDS = ["red", "blue", "green", "good", "bad", "fine", "poor", "nice", "old", "new"]
ATTACKS = [
    *(Greedy(), HotFlip(), HotFlip(beam_width=3)),
    *(Trigger(), Trigger(place="start", count=2)),
]
every_attack = pytest.mark.parametrize("attack", ATTACKS, ids=str)
pytestmark = pytest.mark.filterwarnings("ignore:.*were not moved")


def loose(count=80, most=9):
    """Texts of words in any order, so that nearly all pairs are seen; some words tell the class."""
    rng = np.random.default_rng(1)
    rows = [" ".join(rng.choice(WORDS, rng.integers(4, most))) for _ in range(count)]
    score = [sum(row.count(w) for w in ("good", "fine", "nice")) for row in rows]
    return rows, (np.array(score) > np.median(score)).astype(int)


class Net(nn.Module):
    """The sum of the tokens' vectors: to first order, a ranking of edits is exact."""

    def __init__(self, size, width=4):
        super().__init__()
        self.vectors = nn.Embedding(size + 1, width, padding_idx=0)
        self.out = nn.Linear(width, 2)

    def forward(self, x):
        return self.out(self.vectors(x.long()).sum(1))


def net_of(coding):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Net(len(coding.words)).requires_grad_(False)


def pipeline_of(texts, y):
    return make_pipeline(TfidfVectorizer(token_pattern=r"\S+"), LogisticRegression(C=100)).fit(
        texts, y
    )


def arena(net, coding, texts):
    x = coding.encode(texts)
    logits = lambda rows: net(coding.native(rows))  # noqa: E731
    return Margin(logits, logits(x).argmax(1)), x, coding.edits


# ---------------------------------------------------------------- the candidates


def test_all_substitutes_are_listed_where_there_is_room_for_them():
    texts, _ = loose()
    coding = SequenceAdapter(tokens="word", moves={"red": ["blue", "new"]}).fit(texts)
    x = coding.encode(texts).long()
    new, valid = coding.edits.substitutes(x, 600, RowRandom(torch.arange(len(x))))
    end = torch.full_like(x[:, :1], -1)
    before, after = torch.cat([end, x[:, :-1]], 1), torch.cat([x[:, 1:], end], 1)
    safe = {
        (coding.index[f"{lead}red"], coding.index[f"{lead}{word}"])
        for lead in ("", " ")
        for word in ("blue", "new")
        if f"{lead}red" in coding.index
    }
    for row, at in product(range(20), range(x.shape[1])):
        own = int(x[row, at])
        allowed = {
            token
            for token in range(len(coding.words))
            if own >= 0 and token != own
            and (
                (own, token) in safe
                or (
                    coding.edits.seen(before[row, at], torch.tensor(token))
                    and coding.edits.seen(torch.tensor(token), after[row, at])
                )
            )
        }  # fmt: skip
        assert set(new[row, at][valid[row, at]].tolist()) == allowed


def test_few_substitutes_are_of_both_the_table_and_the_corpus():
    texts, _ = loose()
    table = {word: [other for other in WORDS if other != word] for word in WORDS}
    coding = SequenceAdapter(tokens="word", moves=table, only_listed_moves=True).fit(texts)
    x = coding.encode(texts).long()
    new, valid = coding.edits.substitutes(x, len(WORDS) - 1, RowRandom(torch.arange(len(x))))
    there = x >= 0
    assert valid[there].all()
    assert not valid[~there].any()
    assert all(len(set(row.tolist())) == len(WORDS) - 1 for row in new[there])


@pytest.mark.parametrize("edits", [1, 2, 3])
def test_the_best_edits_of_a_linear_net_are_found(edits):
    texts, _ = loose(30)
    table = {word: [other for other in WORDS if other != word] for word in WORDS}
    coding = SequenceAdapter(
        tokens="word", moves=table, only_listed_moves=True, max_edit_share=1.0
    ).fit(texts)
    net = net_of(coding)
    objective, x, space = arena(net, coding, texts)
    attack = HotFlip(max_substitutes=9, stop_at=None)
    moved = attack(problem_of(objective, x, space, torch.full((30,), float(edits))))
    weight = net.vectors.weight[1:] @ (net.out.weight[1] - net.out.weight[0])
    label = objective.label
    worth = torch.where(label[:, None] == 0, weight, -weight)
    best = objective(x)
    for row, text in enumerate(texts):
        gains = []
        for at, word in enumerate(text.split()):
            lead = " " if at else ""
            own = worth[row, coding.index[f"{lead}{word}"]]
            others = [coding.index[f"{lead}{w}"] for w in WORDS if w != word]
            gains.append(float(worth[row, others].max() - own))
        gains = sorted(gains, reverse=True)[:edits]
        best[row] += sum(gain for gain in gains if gain > 0)
    reached = objective(moved)
    assert ((reached - best) > -1e-4).float().mean() >= 0.9
    assert (reached - best).max() < 1e-4


# ---------------------------------------------------------------- the universal trigger


def test_the_trigger_of_a_linear_net_is_the_best_of_all():
    texts, _ = loose(40)
    longest = " ".join(["red"] * 14)  # room for all others
    coding = SequenceAdapter(tokens="word", max_edit_share=1.0).fit([*texts, longest])
    net = net_of(coding)
    objective, x, space = arena(net, coding, texts)
    side = objective.label == 0
    objective, x = objective.take(side), x[side]
    radius = torch.full((len(x),), 3.0)
    attack = Trigger(length=2, beam_width=40, n_candidates=40, batch_size=99).fit(
        problem_of(objective, x, space, radius)
    )
    reached = over(objective, attack(problem_of(objective, x, space, radius)), x)
    words = range(len(coding.words))
    best = max(
        float(over(objective, put(x, pair), x))
        for pair in product(words, words)
        if coding.words[pair[0]].startswith(" ")
        and coding.edits.seen(torch.tensor(pair[0]), torch.tensor(pair[1]))
    )
    assert float(reached) == pytest.approx(best, abs=1e-5)


def over(objective, moved, x):
    before = objective(x)
    soft = float(before.abs().median()) / 8
    return (objective(moved).maximum(before) / soft).sigmoid().mean()


def put(x, tokens):
    longer = x.clone()
    for row, count in enumerate(lengths(x.long()).tolist()):
        longer[row, count : count + len(tokens)] = torch.tensor(tokens, dtype=x.dtype)
    return longer


@pytest.mark.parametrize("place", ["start", "end"])
def test_every_row_has_the_same_words_behind_or_before_it(place):
    texts, y = loose()
    attack = AdversarialTransformer(
        attack=Trigger(place=place), radius=np.inf, surrogate=pipeline_of(texts, y),
        adapter=SequenceAdapter(max_edit_share=1.0), random_state=0,
    ).fit([*texts, " ".join(["red"] * 20)])  # fmt: skip
    said = "".join(attack.adapter_.words[k] for k in attack.attack_.tokens[0])
    moved = attack.transform(texts)
    put = (lambda text: f"{said} {text}") if place == "start" else (lambda text: text + said)
    assert moved == [put(text) for text in texts]
    assert len(said.split()) == 3


def test_a_trigger_turns_more_rows_of_its_class_than_as_many_random_words():
    texts, y = loose(200)
    model = pipeline_of(texts, y)
    some = [text for text, label in zip(texts, model.predict(texts), strict=True) if label == 0]
    attack = AdversarialTransformer(
        attack=Trigger(), radius=3, surrogate=model, adapter=SequenceAdapter(max_edit_share=1.0),
        random_state=0,
    ).fit([*some, " ".join(["red"] * 20)])  # fmt: skip
    rng = np.random.default_rng(0)
    moved = attack.transform(some)
    control = [f"{text} {' '.join(rng.choice(WORDS, 3))}" for text in some]
    assert (model.predict(moved) == 1).mean() > (model.predict(control) == 1).mean() + 0.2
    assert attack.fooling_rate_ > 0.5


def test_a_second_trigger_turns_rows_that_the_first_leaves():
    texts, y = loose(200)
    fooled = [
        AdversarialTransformer(
            attack=Trigger(count=count), radius=3, surrogate=pipeline_of(texts, y),
            adapter=SequenceAdapter(max_edit_share=1.0), random_state=0,
        ).fit([*texts, " ".join(["red"] * 20)]).fooling_rate_
        for count in (1, 2)
    ]  # fmt: skip
    assert fooled[1] > fooled[0] + 0.1


# Without apostrophes: "it", "'" and "s", each pair seen, are read again as one word.
@given(
    texts=st.lists(st.text("ab .#\t", max_size=12).map(str.rstrip), min_size=4, max_size=8),
    place=st.sampled_from(["start", "end"]),
    tokens=st.sampled_from(["word", "character", 3]),
)
@settings(max_examples=40)
@example(texts=["a", "b -a", ". .", "ab"], place="start", tokens="word")
def test_a_trigger_never_runs_into_the_row(texts, place, tokens):
    rows = [*texts, "a b . ' # a b"]
    coding = SequenceAdapter(tokens=tokens, max_edit_share=1.0).fit(rows)
    if not len(coding.edits.bigrams.followers.values):
        return
    objective, x, space = arena(net_of(coding), coding, rows)
    attack = Trigger(place=place, length=2, n_candidates=4, beam_width=2, count=2)
    moved = attack(problem_of(objective, x, space, torch.full((len(x),), 4.0)))
    new = coding.decode(moved, x, rows)
    assert torch.equal(coding.edits.plain(coding.encode(new)), coding.edits.plain(moved))
    for text, longer in zip(rows, new, strict=True):
        kept = longer.endswith(text) if place == "start" else longer.startswith(text)
        assert kept


@pytest.mark.parametrize("place", ["start", "end"])
def test_rows_of_one_length_keep_it_under_a_trigger(place):
    rng = np.random.default_rng(0)
    rows = ["".join(rng.choice(list("ACGT"), 20)) for _ in range(30)]
    coding = SequenceAdapter(max_edit_share=1.0).fit(rows)
    objective, x, space = arena(net_of(coding), coding, rows)
    moved = Trigger(place=place)(problem_of(objective, x, space, torch.full((30,), 3.0)))
    assert (lengths(moved.long()) == 20).all()
    kept = slice(3, None) if place == "start" else slice(0, -3)
    assert torch.equal(moved[:, kept], x[:, kept])
    assert (moved != x).any()


def test_a_trigger_is_of_the_tables_words_alone_where_it_is_asked_for():
    texts, _ = loose(40)
    adapter = SequenceAdapter(moves={"": ["um", "er"]}, only_listed_moves=True, max_edit_share=1.0)
    coding = adapter.fit([*texts, " ".join(["red"] * 14)])
    objective, x, space = arena(net_of(coding), coding, texts)
    moved = Trigger()(problem_of(objective, x, space, torch.full((40,), 3.0)))
    new = coding.decode(moved, x, texts)
    assert {*" ".join(new).split()} - {*WORDS} <= {"um", "er"}
    assert all(
        {*longer[len(text) :].split()} <= {"um", "er"}
        for text, longer in zip(texts, new, strict=True)
    )
    none = SequenceAdapter(moves={"red": ["blue"]}, only_listed_moves=True).fit(texts)
    with pytest.raises(ValueError, match=r"tokens that may be put in: .*moves=.''"):
        Trigger()(problem_of(*arena(net_of(none), none, texts), torch.full((40,), 3.0)))


@pytest.mark.parametrize(
    ("attack", "told"),
    [
        (Trigger(place="middle"), "place='middle' is not known"),
        (Trigger(length=0), "length, count, n_candidates"),
    ],
)
def test_settings_that_cannot_be_are_refused(attack, told):
    texts, _ = loose(20)
    coding = SequenceAdapter().fit(texts)
    with pytest.raises(ValueError, match=told):
        attack(problem_of(*arena(net_of(coding), coding, texts), torch.full((20,), 3.0)))


# ---------------------------------------------------------------- what all of them keep


@every_attack
def test_budget_neighbours_seed_and_generator_are_kept(attack):
    texts, _ = loose(40)
    coding = SequenceAdapter(max_edit_share=0.3, tokens="word").fit(
        [*texts, " ".join(["red"] * 14)]
    )
    objective, x, space = arena(net_of(coding), coding, texts)
    before, radius = x.clone(), torch.full((40,), 3.0)
    moved, again = (attack(problem_of(objective, x, space, radius)) for _ in range(2))
    assert torch.equal(moved, again)
    assert torch.equal(x, before)
    assert (space.distance(moved, x) <= 2 * space.budget(x, radius)).all()  # a swap counts as two
    if not isinstance(attack, Greedy):
        assert (space.distance(moved, x) <= space.budget(x, radius)).all()
    assert (moved != x).any()
    if not isinstance(attack, Trigger):
        tokens = space.plain(moved.long())
        end = torch.full_like(tokens[:, :1], -1)
        pairs = torch.cat([end, tokens], 1), torch.cat([tokens, end], 1)
        assert (space.seen(*pairs) | ((pairs[0] < 0) & (pairs[1] < 0))).all()


@pytest.mark.parametrize("attack", [*ATTACKS[:4], Trigger(), Trigger(count=2)], ids=str)
def test_a_row_does_not_depend_on_its_batch(attack):
    texts, _ = loose(30)
    coding = SequenceAdapter(max_edit_share=0.5, tokens="word").fit(texts)
    objective, x, space = arena(net_of(coding), coding, texts)
    problem = problem_of(objective, x, space, torch.full((30,), 2.0))
    attack, whole = attack.fit(problem), attack.fit(problem)(problem)
    parts = [attack(problem.take(rows)) for rows in torch.arange(30).split(7)]
    assert torch.equal(torch.cat(parts), whole)


@every_attack
@pytest.mark.parametrize("factor", [2.0**-12, 2.0**12])
def test_a_factor_on_the_logits_changes_no_edit(attack, factor):
    texts, _ = loose(30)
    coding = SequenceAdapter(max_edit_share=0.5, tokens="word").fit(texts)
    net = net_of(coding)
    objective, x, space = arena(net, coding, texts)
    scaled = Margin(lambda rows: factor * net(coding.native(rows)), objective.label)
    moved, again = (
        attack(problem_of(goal, x, space, torch.full((30,), 2.0))) for goal in (objective, scaled)
    )
    assert (moved != x).any()
    assert torch.equal(again, moved)


ODD = {
    "empty": "",
    "blank": "  \n",
    "one token": "printer",
    "unseen": "qwertz zuiop",
    "emoji": "\U0001f469\u200d\U0001f52c ok\t\U0001f600",
    "mixed": "Привет, мир! hello 世界 \u202eabc",
    "control": "a\x00b\u2028c",
    "combining": "e\u0301" * 30,
    "100k letters": "x" * 100_000,
    "20k words": "red and " * 12_500,
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@every_attack
def test_no_row_breaks_a_frozen_span_or_a_grammar(attack, odd):
    texts, y = loose(24)
    plain = [f"#{k} {text} and so." for k, text in enumerate(texts)]
    rows = [*plain, odd, f"#7 {odd[:50]} and."]
    adapter = SequenceAdapter(protected=r"#\d+", frozen=["and"])

    def ends(texts):
        return np.array([text.endswith(".") for text in texts])

    is_white = isinstance(attack, HotFlip)
    model = net_of(adapter.fit(rows)) if is_white else pipeline_of(plain, y)
    transformer = AdversarialTransformer(
        attack=attack, radius=3, surrogate=model, adapter=adapter, constraints=ends, random_state=0
    ).fit(rows)
    new = transformer.transform(rows)
    assert len(new) == len(rows)
    for before, after in zip(rows, new, strict=True):
        assert re.findall(r"#\d+", after) == re.findall(r"#\d+", before)
        assert len(re.findall(r"\band\b", after)) == len(re.findall(r"\band\b", before))
        assert not before.endswith(".") or after.endswith(".")
        assert after[-50_000:] == before[-50_000:] or len(before.split()) < 2000


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_odd_rows_are_grown_and_kept_byte_for_byte(odd):
    texts, _ = loose(30)
    rows = [f"#{k} {text}" for k, text in enumerate(texts)] + [odd, odd]
    y = [0] * 24 + [1] * 8
    sampler = AdversarialOverSampler(adapter=SequenceAdapter(protected=r"#\d+"), random_state=0)
    X_new, y_new = sampler.fit_resample(rows, y)
    assert X_new[:32] == rows
    assert y_new.count(1) == 24
    for parent, row in zip(sampler.parent_indices_[32:], X_new[32:], strict=True):
        assert re.findall(r"#\d+", row) == re.findall(r"#\d+", rows[parent])


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (None, "row 5 of X is None"),
        (math.nan, "row 5 of X is nan"),
        (3, "row 5 of X is int"),
        (b"red", r"row 5 of X is bytes .*: write row.decode\(\)"),
        (["red"], "row 5 of X is list, but row 0 is str"),
    ],
)
def test_what_is_no_text_is_refused_by_its_row(row, told):
    texts, y = loose(40)
    bad = [*texts[:5], row, *texts[6:]]
    with pytest.raises(ValueError, match=told):
        AdversarialOverSampler(random_state=0).fit_resample(bad, y)
    attack = AdversarialTransformer(
        attack="greedy", radius=2, surrogate=pipeline_of(texts, y), random_state=0
    )
    with pytest.raises(ValueError, match=told):
        attack.fit(texts).transform(bad)


@pytest.mark.parametrize("token", [None, math.nan, 1.5, ["b"], b"b"])
def test_what_is_no_token_is_refused_by_its_row(token):
    rows = [text.split() for text in loose(40)[0]]
    rows[5] = ["red", token, "blue", "red", "red", "red", "red", "red", "red", "red"]
    with pytest.raises(
        ValueError, match=r"row 5 of X has .* as token 1: tokens are texts or whole"
    ):
        AdversarialOverSampler(random_state=0).fit_resample(rows, [0] * 30 + [1] * 10)


def test_a_rule_over_columns_is_refused_for_texts():
    texts, y = loose(40)
    with pytest.raises(ValueError, match=r"\('a <= b'\) need a table: for sequences"):
        AdversarialOverSampler(constraints="a <= b").fit_resample(texts, y)
    attack = AdversarialTransformer(
        attack="greedy", radius=2, surrogate=pipeline_of(texts, y), constraints="a <= b"
    )
    with pytest.raises(ValueError, match="pass callables from rows to one bool a row"):
        attack.fit(texts)


def test_no_rows_at_all_are_refused():
    texts, y = loose(40)
    attack = AdversarialTransformer(attack="greedy", radius=2, surrogate=pipeline_of(texts, y))
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        attack.fit(texts).transform([])


@pytest.mark.parametrize("attack", ["hotflip", "trigger", "greedy"])
def test_an_embedding_that_is_too_small_is_named(attack):
    texts, _ = loose(20)
    words = len(SequenceAdapter().fit(texts).words)
    with pytest.raises(ValueError, match=rf"too small.* to {words}: .*Embedding\({words + 1}"):
        AdversarialTransformer(attack=attack, radius=2, surrogate=Net(words - 1)).fit(texts)
    AdversarialTransformer(attack=attack, radius=2, surrogate=Net(words)).fit(texts)


def test_the_attack_itself_names_an_embedding_that_is_too_small():
    texts, _ = loose(20)
    coding = SequenceAdapter().fit(texts)
    net = Net(len(coding.words) - 1)
    x = coding.encode(texts)
    objective = Margin(lambda rows: net(coding.native(rows)), torch.zeros(20, dtype=torch.long))
    with pytest.raises(ValueError, match=r"Embedding has \d+ rows, but tokens are numbered 0"):
        HotFlip()(problem_of(objective, x, coding.edits, torch.ones(20)))


def test_a_pipeline_has_no_embedding_to_take_a_gradient_at():
    texts, y = loose(20)
    transformer = AdversarialTransformer(
        attack="hotflip", radius=2, surrogate=pipeline_of(texts, y), random_state=0
    )
    with pytest.raises(ValueError, match=r"torch\.nn\.Embedding.* take attack='greedy'"):
        transformer.fit(texts)


def test_no_op_tokens_of_the_table_get_no_blank_in_token_lists():
    rows = [["open", "read"], ["open", "read", "close"]]
    coding = SequenceAdapter(moves={"": ["nop"]}).fit(rows)
    assert "nop" in coding.words
    assert " nop" not in coding.words


@pytest.mark.filterwarnings("default:.*were not moved")
def test_a_warning_of_texts_that_stay_speaks_of_texts_and_its_advice_moves_them():
    rows = ["alpha is x", "beta was y", "gamma has z", "delta had q"] * 5
    y = [True, True, False, False] * 5
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(rows, y)
    stuck = AdversarialTransformer(
        adapter=SequenceAdapter(tokens="word"),
        attack="greedy",
        surrogate=model,
        radius=2,
        random_state=0,
    )
    with pytest.warns(UserWarning, match="20 of 20 rows were not moved") as told:
        assert stuck.fit(rows).transform(rows) == rows
    said = str(told[0].message)
    assert "cell" not in said
    assert "bound" not in said
    for advice, name in (
        ({"tokens": "word", "moves": {"alpha": ["gamma"]}}, "moves={"),
        ({"tokens": "character"}, "tokens='character'"),
    ):
        assert name in said
        free = clone(stuck).set_params(adapter=SequenceAdapter(**advice))
        with pytest.warns(UserWarning, match="rows were not moved") as fewer:
            assert free.fit(rows).transform(rows) != rows
        assert int(str(fewer[0].message).split()[0]) < 20
