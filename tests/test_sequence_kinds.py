"""Sequences that are not language: what rows of events, strands, addresses and statements keep."""

import math
import re
import sqlite3
from contextlib import closing
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from advaug import AdversarialOverSampler, AdversarialTransformer
from advaug.adapters import SequenceAdapter
from advaug.attacks import Greedy
from advaug.domains.sequences.biology import genetic_code, reverse_complement
from advaug.domains.sequences.order_rules import (
    KINDS,
    NOT_SUCCESSION,
    ONCE,
    PRECEDENCE,
    RESPONSE,
    Occurrences,
    OrderRule,
)
from advaug.domains.sequences.sequence_constraints import OrderRules, order_text
from advaug.domains.sequences.sequence_constraints import given as written_rules
from advaug.domains.sequences.strands import from_other_strand
from advaug.domains.sequences.tokenizer import sql_parts, url_parts
from advaug.recipes import Bag
from advaug.sampling.row_generator import RowGenerator

STEPS = (["search", "view"], ["view"], ["view", "add", "pay"], ["open", "edit", "close"])


def sessions(count=200, rare=40, seed=0):
    """Rows of events between a login and a logout; the rare ones export something at the end."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(count):
        inner = [event for _ in range(rng.integers(1, 4)) for event in STEPS[rng.integers(4)]]
        rows.append(["login", *inner, *["export"] * (rng.integers(1, 3) * (k < rare)), "logout"])
    return rows, ["rare"] * rare + ["usual"] * (count - rare)


def keeps(rule, row):
    """Whether a row keeps a rule, read from its text alone."""
    first, *second = re.findall(r"'(\w+)'", rule)
    places = {event: [k for k, one in enumerate(row) if one == event] for event in row}
    a, b = places.get(first, []), places.get(second[0], []) if second else []
    if rule.startswith("starts with"):
        return row[0] == first
    if rule.startswith("ends with"):
        return row[-1] == first
    if rule.endswith("at most once"):
        return len(a) < 2
    if " before each " in rule:
        return not b or (bool(a) and min(a) < min(b))
    if " after each " in rule:  # The first is what comes after.
        return not b or (bool(a) and max(a) > max(b))
    return all(i > j for i in a for j in b)


# ---------------------------------------------------------------- rows of events


def test_rules_of_order_are_found_and_kept_by_all_new_rows():
    rows, y = sessions()
    sampler = AdversarialOverSampler(recipe=Bag(noise_std=6.0), random_state=0)
    new = sampler.fit_resample(rows, y)[0][len(rows) :]
    found = sampler.findings_["rule"].tolist()
    assert {
        "starts with 'login'",
        "ends with 'logout'",
        "'login' at most once",
        "'open' before each 'edit'",
        "'close' after each 'edit'",
        "'view' before each 'add'",
        "no 'export' before any 'view'",
    } <= {*found}
    assert "'login' before each 'view'" not in found  # It follows from the first rule.
    assert "'open' before each 'close'" not in found  # It follows from the two with 'edit'.
    assert not any(rule.endswith("before any 'login'") for rule in found)  # It comes first, once.
    assert not any(rule.startswith("no 'logout'") for rule in found)  # It comes last, once.
    assert all(keeps(rule, row) for rule in found for row in [*rows, *new])
    assert (sampler.provenance_["status"] == "accepted").mean() > 0.9
    assert len({tuple(row) for row in new} - {tuple(row) for row in rows}) > 50
    assert set(sampler.constraints_report_["rules"].values()) == {1.0}


def test_without_rules_new_rows_break_them():
    rows, y = sessions()
    free = AdversarialOverSampler(recipe=Bag(noise_std=6.0), constraints=None, random_state=0)
    new = free.fit_resample(rows, y)[0][len(rows) :]
    assert len(free.findings_) == 0
    assert not all(keeps("'close' after each 'edit'", row) for row in new)


@given(st.integers(0, 2**31 - 1))
def test_nothing_is_found_in_rows_of_any_order(seed):
    rng = np.random.default_rng(seed)
    rows = [rng.choice([*"abcdefgh"], rng.integers(2, 9)).tolist() for _ in range(80)]
    coding = SequenceAdapter().fit(rows)
    assert coding.constraints("auto", rows).findings == []


def test_rows_that_repeat_others_say_nothing_of_order():
    rows = [["in", "see", "buy", "out"], ["in", "buy", "out"]] * 50
    assert SequenceAdapter().fit(rows).constraints("auto", rows).findings == []


@given(st.integers(0, 2**31 - 1))
def test_found_rules_hold_in_all_rows(seed):
    rng = np.random.default_rng(seed)
    steps = [rng.permutation([*"abcdef"])[: rng.integers(1, 5)].tolist() for _ in range(3)]
    rows = [sum((steps[k] for k in rng.integers(3, size=2)), ["s"]) for _ in range(60)]
    rows = [[*row, "t"] if rng.random() < 0.5 else row for row in rows]
    coding = SequenceAdapter().fit(rows)
    rules = coding.constraints("auto", rows)
    assert all(keeps(finding.rule, row) for finding in rules.findings for row in rows)


@pytest.mark.parametrize("kind", [0, 1, PRECEDENCE, RESPONSE, NOT_SUCCESSION])
@pytest.mark.parametrize("row", [[0, 1, 2], [0, 0, 1], [0, 1, 1, 2], [0, 0, 1, 1, 2]])
def test_the_chance_of_a_rule_is_that_of_all_orders(kind, row):
    a, b = torch.tensor([0]), torch.tensor([1])
    every = Occurrences.of(torch.tensor([*permutations(row)]), 3)
    broken = (~every.keep(kind, a, b)).double().mean()
    assert every.by_chance(kind, a, b)[0, 0].item() == pytest.approx(broken.item())


def test_events_that_come_once_by_chance_are_no_rule():
    rows = Occurrences.of(torch.tensor([[0, 1], [0, 2]]), 3)
    one = torch.tensor([0])
    assert rows.by_chance(ONCE, one, one)[:, 0].tolist() == pytest.approx(
        [1 - 1 / (math.e - 1)] * 2
    )


@pytest.mark.parametrize("event", ["it's", 'say "a"', "plain", 7, "a before each b"])
@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_rules_are_read_as_they_are_written(event, kind):
    rule = OrderRule(kind, event, None if kind <= ONCE else "other")
    assert written_rules([order_text(rule)], "") == [rule]


def test_rules_of_your_own_are_kept_beside_callables():
    rows, y = sessions()
    longest = len(max(rows, key=len))

    def is_short(some):
        return np.array([len(row) < longest for row in some])

    sampler = AdversarialOverSampler(
        constraints=[
            "'view' before each 'pay'",
            is_short,
        ],
        random_state=0,
    )
    new = sampler.fit_resample(rows, y)[0][len(rows) :]
    assert all(keeps("'view' before each 'pay'", row) for row in new)
    assert sampler.constraints_report_["rules"]["'view' before each 'pay'"] == 1.0
    assert len(sampler.findings_) == 0


def test_a_rule_that_a_parent_breaks_does_not_bind_its_rows():
    rows, rule = sessions(80, 20)[0], "'add' before each 'view'"
    rules = SequenceAdapter().fit(rows).constraints([rule], rows)
    assert rules.shares == {rule: np.mean([keeps(rule, row) for row in rows])}
    kept, lost = ["add", "view"], ["view", "add"]
    assert rules.broken([lost, lost], [kept, lost])[rule].tolist() == [True, False]


def test_unknown_rules_are_refused():
    rows, _ = sessions(30, 10)
    with pytest.raises(ValueError, match="write starts with 'a', ends with 'a'"):
        SequenceAdapter().fit(rows).constraints("login then view", rows)


def test_broken_rows_become_their_parents_before_they_are_judged():
    rows, _ = sessions(60, 20)
    coding = SequenceAdapter().fit(rows)
    rules = coding.constraints("auto", rows)
    seed = coding.encode(rows)
    x = seed.roll(1, 1)  # The login stands no longer first.
    repaired, status = rules.repair(x, seed, torch.arange(len(x)))
    assert (repaired == seed).all()
    assert (status == 2).all()
    assert (rules.repair(seed, seed, torch.arange(len(x)))[1] == 0).all()


def test_a_stored_generator_keeps_the_rules(tmp_path):
    rows, y = sessions(80, 20)
    generator = AdversarialOverSampler(random_state=0).fit(rows, y).generator_
    generator.save(tmp_path / "sessions")
    loaded = RowGenerator.load(tmp_path / "sessions")
    new = loaded.rows("rare", 0, 60)
    assert new == generator.rows("rare", 0, 60)
    assert all(keeps("starts with 'login'", row) for row in new)
    assert loaded.writer.constraints.findings == generator.writer.constraints.findings


def test_an_attack_keeps_the_rules_that_were_found():
    rows, y = sessions(120, 60)
    attack = AdversarialTransformer(attack=Greedy(), radius=4, constraints="auto", random_state=0)
    moved = attack.fit(rows, y).transform(rows)
    assert any(row != old for row, old in zip(moved, rows, strict=True))
    assert all(keeps(rule, row) for rule in attack.findings_["rule"] for row in moved)


# ---------------------------------------------------------------- brackets and quotes


def nested(rng, depth=0):
    parts = [str(rng.choice([*"xyz"])) for _ in range(rng.integers(1, 3))]
    if depth < 3 and rng.random() < 0.7:
        parts.insert(rng.integers(len(parts) + 1), f"({nested(rng, depth + 1)})")
    return "".join(parts)


def is_paired(text):
    depth = 0
    for sign in text:
        depth += (sign == "(") - (sign == ")")
        if depth < 0:
            return False
    return depth == 0


@pytest.mark.filterwarnings("ignore:few new rows differ")
@pytest.mark.parametrize("tokens", ["character", 2])
def test_brackets_stay_paired_in_all_new_rows(tokens):
    rng = np.random.default_rng(0)
    rows = [f"{nested(rng)}{'a' * (k < 40)}({nested(rng)})" for k in range(200)]
    y = ["rare"] * 40 + ["usual"] * 160
    sampler = AdversarialOverSampler(adapter=SequenceAdapter(tokens=tokens), random_state=0)
    new = sampler.fit_resample(rows, y)[0][200:]
    assert sampler.findings_["rule"].tolist() == ["( and ) are paired"]
    assert all(map(is_paired, new))
    assert {*new} - {*rows}
    free = AdversarialOverSampler(
        adapter=SequenceAdapter(tokens=tokens), constraints=None, random_state=0
    )
    assert not all(map(is_paired, free.fit_resample(rows, y)[0][200:]))


def test_quotes_stay_paired_and_smileys_are_no_brackets():
    rows = ["a :) b", 'she said "yes" then', "a b c"] * 30
    coding = SequenceAdapter().fit(rows)
    rules = coding.constraints("auto", rows)
    assert [finding.rule for finding in rules.findings] == ['" is paired']
    assert rules.broken(['she said "yes then'], ['she said "yes" then'])['" is paired'].all()


# ---------------------------------------------------------------- strands and proteins

BASES = "TCAG"
AMINO_ACIDS = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"


def translated(text):
    """By NCBI's table 1, in which codons follow the order of the bases."""
    place = [BASES.index(base) for base in text.upper().replace("U", "T")]
    codons = zip(place[::3], place[1::3], place[2::3], strict=True)
    return "".join(AMINO_ACIDS[16 * a + 4 * b + c] for a, b, c in codons)


def genes(letters="ACGT", count=100, length=60, rare=0):
    """Letters by chance; the rare rows hold fewer of the last ones."""
    rng = np.random.default_rng(0)
    weight = np.linspace(2, 0, len(letters)) / len(letters)
    chances = [weight / weight.sum() if k < rare else None for k in range(count)]
    return ["".join(rng.choice([*letters], length, p=chance)) for chance in chances]


@pytest.mark.parametrize("letters", ["ACGT", "ACGU", "acgt"])
@pytest.mark.parametrize("recipe", ["bag", "paraphrase"])
def test_synonymous_codons_leave_the_translation_as_it_is(letters, recipe):
    rows = genes(letters, rare=20)
    adapter = SequenceAdapter(tokens=3, moves="synonymous_codons", only_listed_moves=True)
    sampler = AdversarialOverSampler(
        adapter=adapter, recipe=recipe, judge=None, constraints=None, random_state=0
    )
    new = sampler.fit_resample(rows, [1] * 20 + [0] * 80)[0][100:]
    parents = [rows[k] for k in sampler.provenance_["parent"]]
    pairs = list(zip(new, parents, strict=True))
    assert all(translated(text) == translated(parent) for text, parent in pairs)
    assert sum(text != parent for text, parent in pairs) > 40
    assert {*"".join(new)} <= {*letters}


def test_the_genetic_code_is_the_standard_one():
    assert len(genetic_code()) == 64
    assert all(translated(codon) == acid for codon, acid in genetic_code().items())


def test_amino_acids_give_way_to_similar_ones():
    rows = genes("IVLMKRDEFYWSTANQHGPC", 60, 30, rare=15)
    adapter = SequenceAdapter(moves="similar_amino_acids", only_listed_moves=True)
    sampler = AdversarialOverSampler(adapter=adapter, judge=None, random_state=0)
    new = sampler.fit_resample(rows, [1] * 15 + [0] * 45)[0][60:]
    moved = {
        frozenset((old, one))
        for text, k in zip(new, sampler.provenance_["parent"], strict=True)
        for old, one in zip(rows[k], text, strict=True)
        if old != one
    }
    assert frozenset("IV") in moved
    assert not moved & {frozenset(pair) for pair in ("WK", "GI", "CP", "DL")}


@given(st.text("ACGTNRY", max_size=20))
def test_the_reverse_complement_is_its_own_inverse(text):
    other = reverse_complement(text, "dna")
    assert reverse_complement(other, "dna") == text
    assert [base for base in other if base in "ACGT"] == [
        dict(zip("ACGT", "TGCA", strict=True))[base] for base in reversed(text) if base in "ACGT"
    ]


@pytest.mark.parametrize("tokens", ["character", 3])
def test_rows_of_a_double_strand_are_read_from_the_other_strand(tokens):
    rows = genes(count=200, length=30)
    coding = SequenceAdapter(tokens=tokens, complement="dna").fit(rows)
    space, x = coding.space(), coding.encode(rows)
    share = torch.full((len(x),), 0.4)
    stays = torch.zeros_like(x, dtype=torch.bool)
    made = coding.decode(from_other_strand(x, x, share, space.complement, stays), x, rows)
    wholes, inverted = 0, 0
    for text, old in zip(made, rows, strict=True):
        if text == old:
            continue
        whole = reverse_complement(old, "dna")
        ends = [(i, j) for i in range(31) for j in range(i, 31)]
        blocks = {old[:i] + whole[30 - j : 30 - i] + old[j:] for i, j in ends}
        assert text in blocks
        wholes, inverted = wholes + (text == whole), inverted + (text != whole)
    assert wholes > 5
    assert inverted > 25
    assert (from_other_strand(x, x, share, space.complement, ~stays) == x).all()


def test_inversions_need_a_complement():
    with pytest.raises(ValueError, match="complement must be None, 'dna' or 'rna', got 'DNA'"):
        SequenceAdapter(complement="DNA").fit(genes())
    with pytest.raises(
        TypeError, match="one of 'synonymous_codons', 'similar_amino_acids'; got 'codons'"
    ):
        SequenceAdapter(moves="codons").fit(genes())


def test_a_motif_of_the_class_stays_in_its_place():
    rows = genes(count=240, length=20)
    rows = [row[:9] + "GT" + row[11:] if k < 40 else row for k, row in enumerate(rows)]
    y = ["donor"] * 40 + ["none"] * 200
    sampler = AdversarialOverSampler(recipe=Bag(noise_std=6.0), judge=None, random_state=0)
    new = sampler.fit_resample(rows, y)[0][240:]
    assert all(text[9:11] == "GT" for text in new)
    assert len({text[:9] for text in new}) > 60
    assert len({text[11:] for text in new}) > 60


# ---------------------------------------------------------------- addresses and statements


def addresses():
    return [
        f"http://{host}.com:80/{a}/{b}%20x.html?id={k}&{c}=(y)"
        for host in ("shop", "bank", "news")
        for a in ("login", "cart", "item")
        for b in ("index", "view", "edit")
        for k, c in enumerate(("q", "ref", "utm"))
    ] * 2


def test_addresses_keep_hosts_numbers_and_signs():
    rows = addresses()
    y = ["a" if "login" in row else "b" for row in rows]
    adapter = SequenceAdapter(tokens="url")
    sampler = AdversarialOverSampler(adapter=adapter, sampling_strategy={"a": 100}, random_state=0)
    new = sampler.fit_resample(rows, y)[0][len(rows) :]
    pattern = r"(?<=[/?&=(.])[a-z]+(?=[/%?=.)]|$)"
    for text, k in zip(new, sampler.provenance_["parent"], strict=True):
        host = re.match(r"http://[^/]*", text).group()
        assert host == re.match(r"http://[^/]*", rows[k]).group()
        path, old = text[len(host) :], rows[k][len(host) :]
        assert re.sub(pattern, "", path) == re.sub(pattern, "", old)
    assert {*new} - {*rows}


VALUES = ("Rome", "it''s", "New (York")


def statements():
    return [
        f"SELECT {a}, count(*) FROM {t} WHERE ({c} = '{v}') AND age > {k} LIMIT {k + 1}"
        for a in ("name", "age", "city")
        for t in ("users", "orders", "items")
        for c in ("city", "state")
        for k, v in enumerate(VALUES)
    ] * 2


def test_statements_stay_statements_of_their_database():
    rows = statements()
    y = ["a" if "users" in row else "b" for row in rows]
    adapter = SequenceAdapter(tokens="sql")
    sampler = AdversarialOverSampler(adapter=adapter, sampling_strategy={"a": 110}, random_state=0)
    new = sampler.fit_resample(rows, y)[0][len(rows) :]
    with closing(sqlite3.connect(":memory:")) as database:
        for table in ("users", "orders", "items"):
            database.execute(f"CREATE TABLE {table} (name, age, city, state)")
        for text, k in zip(new, sampler.provenance_["parent"], strict=True):
            database.execute(text)
            assert re.findall(r"\d+|[A-Z]{3,}", re.sub(r"'[^']*'", "", text)) == re.findall(
                r"\d+|[A-Z]{3,}", re.sub(r"'[^']*'", "", rows[k])
            )
    assert {*new} - {*rows}


@given(st.text(max_size=40))
def test_parts_of_addresses_and_statements_join_to_the_text(text):
    assert "".join(url_parts(text)) == text
    assert "".join(sql_parts(text)) == text


def test_rules_know_the_numbers_of_their_events():
    rules = OrderRules(tuple(written_rules(["'a' before each 'b'", "ends with 'b'"], "")))
    x = rules.read(["a", "b", "c"])[torch.tensor([[0, 1], [1, 0], [2, 1]])]
    kept = rules.keep(x, torch.tensor([2, 2, 2]))
    assert kept.tolist() == [[True, True], [False, False], [False, True]]


PAGE = Path(__file__).parents[1] / "docs" / "sequences.md"
OTHERS = "## Sequences that are not language"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* rows were not moved")
def test_the_code_of_the_page_about_texts_runs():
    names: dict[str, object] = {}
    part = PAGE.read_text().partition(OTHERS)[0]
    for code in re.findall(r"```python\n(.*?)```", part, re.DOTALL):
        exec(compile(code, "sequences.md", "exec"), names)
    assert len(set(names["new_texts"]) - set(names["texts"])) > len(names["new_texts"]) / 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:few new rows differ")
def test_the_page_prints_what_its_code_prints(capsys):
    part, names = PAGE.read_text().partition(OTHERS)[2], {}
    blocks = re.findall(r"```(python|text)\n(.*?)```", part, re.DOTALL)
    assert [kind for kind, _ in blocks] == ["python", "text"] * 4
    for (_, code), (_, printed) in zip(blocks[::2], blocks[1::2], strict=True):
        exec(compile(code, "sequences.md", "exec"), names)
        shown = capsys.readouterr().out.splitlines()
        assert [line.rstrip() for line in shown] == printed.splitlines()
