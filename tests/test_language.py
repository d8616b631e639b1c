"""The judge of language: its models against a plain implementation, and what it finds odd."""

import math
import re
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from advaug import AdversarialOverSampler
from advaug.adapters import SequenceAdapter
from advaug.domains.sequences.language_model import LanguageModel
from advaug.domains.sequences.oddities import ODDITIES, oddities
from advaug.judges import LanguageJudge, PanelJudge
from advaug.report import validity_report
from advaug.sampling.judges.families import FAMILIES
from tests.test_texts import reviews

END, SIZE = -1, 5
rows = st.lists(st.lists(st.integers(0, SIZE - 1), max_size=6), min_size=1, max_size=6)


def padded(lists):
    width = max(map(len, lists)) + 1
    return torch.tensor([[*row, *[END] * (width - len(row))] for row in lists])


def kneser_ney(corpus, order, size):
    """(context, token) -> probability, written from the formulas with dictionaries."""
    texts = [[*[END] * (order - 1), *row, END] for row in corpus]
    grams = [
        (n, tuple(text[k - n + 1 : k + 1]))
        for text in texts
        for n in range(1, order + 1)
        for k in range(order - 1, len(text))
    ]
    raw = {n: Counter(g for m, g in grams if m == n) for n in range(1, order + 1)}
    counts = {
        n: raw[n] if n == order else Counter(gram[1:] for gram in raw[n + 1])
        for n in range(1, order + 1)
    }
    discounts, follows = {}, {}
    for n, table in counts.items():
        once, twice = (sum(c == k for c in table.values()) for k in (1, 2))
        discounts[n] = (once + 1) / (once + 2 * twice + 2)
        follows[n] = defaultdict(list)
        for gram, count in table.items():
            follows[n][gram[:-1]].append(count)

    def probability(context, token):
        p = 1 / (size + 1)
        for n in range(1, order + 1):
            before = tuple(context[len(context) - n + 1 :])
            found = follows[n].get(before, [])
            if found:
                seen = max(counts[n][(*before, token)] - discounts[n], 0)
                p = (seen + discounts[n] * len(found) * p) / sum(found)
        return p

    return probability


@given(rows, rows, st.integers(1, 4))
def test_probabilities_are_those_of_interpolated_kneser_ney(corpus, other, order):
    model = LanguageModel.of(padded(corpus), order=order, size=SIZE)
    surprise, _, there = model.read(padded(other))
    oracle = kneser_ney(corpus, order, SIZE)
    for row, found, is_in in zip(other, surprise, there, strict=True):
        text = [*[END] * (order - 1), *row, END]
        wanted = [
            -math.log(oracle(text[k - order + 1 : k], text[k])) for k in range(order - 1, len(text))
        ]
        assert found[is_in].tolist() == pytest.approx(wanted, rel=1e-4, abs=1e-5)


@given(rows, st.lists(st.integers(0, SIZE - 1), max_size=3))
def test_probabilities_of_all_next_tokens_add_up_to_one(corpus, context):
    model = LanguageModel.of(padded(corpus), order=3, size=SIZE)
    nexts = [[*context, token] for token in range(SIZE)] + [context]
    surprise = model.read(padded(nexts))[0][:, len(context)]
    assert float((-surprise).exp().sum()) == pytest.approx(1, abs=1e-4)


def test_runs_of_three_that_were_never_seen_are_found():
    model = LanguageModel.of(padded([[0, 1, 2], [1, 2, 3]]), order=4, size=SIZE)
    _, is_new, there = model.read(padded([[0, 1, 2, 3]]))
    assert is_new[0][there[0]].tolist() == [False, False, False, False, False]
    _, is_new, there = model.read(padded([[1, 0, 2]]))
    assert is_new[0][there[0]].tolist() == [False, True, True, True]


@pytest.mark.parametrize(
    ("text", "kind", "tokens"),
    [
        ("All is well here.", None, []),
        ("It ended.Then it began", "glued word", ["Then"]),
        ("see shop.example or a.b", None, []),
        ("it is is well", "repeated word", [" is"]),
        ("It is Is well", "repeated word", [" Is"]),
        ("well , then", "space before a mark", [" ,"]),
        ('he said "no', "unpaired quote or bracket", [' "']),
        ('he said "no" to "it', "unpaired quote or bracket", [' "']),
        ("so (it (seems)", "unpaired quote or bracket", [" ("]),
        ("so) it is (fine)", "unpaired quote or bracket", [")"]),
        (") so", "unpaired quote or bracket", [")"]),
        ("one [two] three] four", "unpaired quote or bracket", ["]"]),
        ('he said "no" (twice) and [left]', None, []),
    ],
)
def test_what_is_odd_is_marked(text, kind, tokens):
    coding = SequenceAdapter(tokens="word").fit([text])
    x = coding.encode([text]).long()
    found = oddities(x, coding.edits.corpus.spelling)[0]
    marked = [(ODDITIES[k], coding.words[x[0, place]]) for place, k in found.nonzero().tolist()]
    assert marked == [(kind, token) for token in tokens]


def judged(judge, rows, others):
    coding = SequenceAdapter(tokens="word").fit(rows)
    x, y = coding.encode(rows), torch.zeros(len(rows), dtype=torch.long)
    fitted = judge.for_rows(coding).fit(x, y, 0, torch.Generator().manual_seed(0))
    return [fitted.verdict(coding.encode(texts), torch.ones(len(texts))) for texts in others]


def test_real_texts_pass_and_shuffled_ones_do_not():
    texts, chance = reviews(300), np.random.default_rng(0)
    coding = SequenceAdapter(tokens="word").fit(texts)
    broken = ["".join(chance.permutation(coding.cutter(text)[0])) for text in texts[:100]]
    left_out = [text for text in reviews(200, seed=1) if text not in texts]
    good, bad = judged(LanguageJudge(), texts, (left_out, broken))
    assert good.accepts.float().mean() > 0.7
    assert bad.accepts.float().mean() < 0.1
    real = judged(LanguageJudge(alpha=0.05, allow_copies=True), texts, (texts,))[0]
    assert 0.75 <= real.accepts.float().mean() <= 0.99  # Six p-values of .05 each.


def test_each_number_rejects_by_itself():
    texts = reviews(300)
    odd = [
        texts[0].replace(" ", "  ").replace(".", " .") + " (( ((",
        " ".join(texts[:9]),
        "The lamp",
    ]
    verdict = judged(LanguageJudge(), texts, (odd,))[0]
    assert not verdict.accepts.any()


def test_copies_and_doubtful_labels_are_rejected():
    texts = reviews(100)
    judge = LanguageJudge(alpha=0.0)
    assert not judged(judge, texts, (texts,))[0].accepts.any()
    assert judged(LanguageJudge(alpha=0.0, allow_copies=True), texts, (texts,))[0].accepts.all()
    coding = SequenceAdapter(tokens="word").fit(texts)
    x = coding.encode(texts)
    fitted = LanguageJudge(alpha=0.0, allow_copies=True).fit(
        x, torch.zeros(100, dtype=torch.long), 0, torch.Generator().manual_seed(0)
    )
    assert fitted.verdict(x, torch.linspace(0, 1, 100)).accepts.sum() == 50


def test_token_lists_are_judged_without_spelling():
    chance = np.random.default_rng(0)
    events = [[0, *np.sort(chance.integers(1, 9, 5)).tolist(), 9] for _ in range(200)]
    coding = SequenceAdapter().fit(events)
    judge = LanguageJudge(alpha=0.02)
    assert judge.for_rows(coding) is judge
    x, y = coding.encode(events), torch.zeros(200, dtype=torch.long)
    fitted = judge.fit(x, y, 0, torch.Generator().manual_seed(0)).to("cpu")
    backwards = coding.encode([row[::-1] for row in events])
    assert not fitted.verdict(backwards, torch.ones(200)).accepts.any()


@pytest.mark.parametrize("recipe", ["paraphrase", "recombine"])
def test_texts_that_keep_their_grammar_are_read_by_default(recipe):
    texts = reviews(120)
    y = ["late" if "squeaks" in text else "early" for text in texts]
    sampler = AdversarialOverSampler(recipe=recipe, random_state=0)
    sampler.fit_resample(texts, y)
    record = sampler.provenance_
    accepted = record[record["status"] == "accepted"]
    assert len(accepted) > 20
    assert (accepted["p_value"] >= 0.05).all()


# ---------------------------------------------------------------- the report


def lines_of(report):
    return {check.name: check for check in report.checks}


TRAITS = ["surprise", "worst words", "unseen runs", "odd tokens"]


def test_a_report_on_texts_says_how_they_read():
    texts, chance = reviews(200), np.random.default_rng(0)
    y = ["early"] * 150 + ["late"] * 50
    coding = SequenceAdapter(tokens="word").fit(texts)
    broken = ["".join(chance.permutation(coding.cutter(text)[0])) for text in texts[150:]]
    fine = [text for text in reviews(80, seed=1) if text not in texts][:50]
    panel = PanelJudge(families={"neighbors": FAMILIES["neighbors"]})
    good, bad = (
        validity_report(texts, y, rows, ["late"] * 50, panel=panel) for rows in (fine, broken)
    )
    assert [name for name in lines_of(good) if name in TRAITS] == TRAITS
    assert {lines_of(good)[name].status for name in TRAITS} <= {"good", "doubt"}
    assert lines_of(bad)["surprise"].status == lines_of(bad)["worst words"].status == "bad"
    frame = bad.to_frame()
    assert (frame["strange"] > 0).mean() > 0.9
    assert frame["reasons"].str.contains("reads oddly at '").mean() > 0.8
    assert "reads oddly at" in bad.to_html()
    for report in (good, bad):
        for shown in (str(report).splitlines()[0], report.to_html(), report._repr_html_()):
            assert "No check says that a text makes sense: read some of them." in shown


def test_what_is_odd_in_a_row_is_named():
    texts = reviews(100)
    odd = [f"{texts[0]} (So well , well well.Then go", *texts[1:20]]
    panel = PanelJudge(families={"neighbors": FAMILIES["neighbors"]})
    y = ["early"] * 50 + ["late"] * 50
    frame = validity_report(texts, y, odd, ["late"] * 20, panel=panel).to_frame()
    words = frame.set_index("row").loc[0, "reasons"]
    assert re.search(r"unpaired quote or bracket at '.* \('", words)


def test_a_report_on_other_sequences_has_no_such_lines():
    chance = np.random.default_rng(0)
    events = [chance.integers(1, 9, size).tolist() for size in chance.integers(4, 9, 80)]
    y = [0] * 40 + [1] * 40
    panel = PanelJudge(families={"neighbors": FAMILIES["neighbors"]})
    report = validity_report(events, y, events[40:60], [1] * 20, panel=panel)
    assert not {*lines_of(report)} & {*TRAITS}
    assert (report.to_frame()["strange"] == 0).all()
