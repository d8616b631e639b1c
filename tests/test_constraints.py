"""The language against numpy on random rows, refusals with their places, objects, and the miner."""

import time
from datetime import date, datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import sparse

from advaug import AdversarialOverSampler
from advaug.constraints import (
    Constraints,
    Equal,
    FrozenColumns,
    If,
    Integer,
    Linear,
    Monotone,
    OneHot,
    OneOf,
    Range,
)
from advaug.domains.tables.rules.parser import ConstraintSyntaxError, parse
from advaug.models import Ensemble

QUICK = Ensemble(n_repeats=2, hidden_width=8, max_iter=20)
rng = np.random.default_rng(0)
N = 60
X = pd.DataFrame(
    {
        "a": rng.integers(-3, 4, N).astype(float),
        "b": rng.integers(0, 5, N),
        "c": np.where(np.arange(N) % 3 == 0, np.arange(N) / 4, rng.normal(size=N)),
        "job": pd.Categorical(rng.choice(["x", "y", "o'k"], N)),
        "is open": rng.random(N) < 0.5,
        "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 90, N), "D"),
    }
)
A, B, C, JOB, OPEN = (X[name].to_numpy() for name in X.columns[:5])


def check(rule, rows=X):
    (answer,) = Constraints(rule).check(rows).values()
    return answer


with np.errstate(all="ignore"):
    TABLE = {
        "a <= b": A <= B,
        "a + b * 2 - 1 > c": A + B * 2 - 1 > C,
        "-a ** 2 == -(a * a)": np.ones(N, bool),
        "2 ** -1 * b >= .5e0": B / 2 >= 0.5,
        "0 <= a < b <= 4": (A >= 0) & (A < B) & (B <= 4),
        "a == 1 or b == 2 and c > 0": (A == 1) | ((B == 2) & (C > 0)),
        "not a == 1 and b != 2": (A != 1) & (B != 2),
        "if a > 0 then b > 1": ~(A > 0) | (B > 1),
        "if a > 0 then if b > 1 then c > 0": ~(A > 0) | ~(B > 1) | (C > 0),
        "(a > 0) == (b > 1)": (A > 0) == (B > 1),
        "abs(a) + max(a, b, 1) - min(a, b) <= 4": np.abs(A)
        + np.maximum(np.maximum(A, B), 1)
        - np.minimum(A, B)
        <= 4,
        "round(c, 1) <= floor(c) + .5": np.round(C, 1) <= np.floor(C) + 0.5,
        "sqrt(b) * exp(c) >= log(2) + ceil(c)": np.sqrt(B) * np.exp(C) >= np.log(2) + np.ceil(C),
        "a in {-1, 0, 2.0}": np.isin(A, [-1, 0, 2]),
        "b not in [1, 2]": ~np.isin(B, [1, 2]),
        "c in {.5, .25, 3.5}": np.isin(C, [0.5, 0.25, 3.5]),
        "c * 2 not in {1, .5}": ~np.isin(C, [0.5, 0.25]),
        "a / b in {0, 1}": (B != 0) & ((A == 0) | (A == B)),
        "round(c + b / 10, 1) == round(c, 1)": np.round(C + B / 10, 1) == np.round(C, 1),
        "job == 'x'": JOB == "x",
        "job in {'x', \"o'k\"}": JOB != "y",
        "`is open`": OPEN,
        "not `is open` or b > 2": ~OPEN | (B > 2),
        "`is open` == (b > 2)": (B > 2) == OPEN,
        "`is open` != (b > 2)": (B > 2) != OPEN,
        "(a > 0) != (b > 1)": (A > 0) != (B > 1),
        "not ((a > 0) != (b > 1))": (A > 0) == (B > 1),
        "`is open` + b <= 3": OPEN + B <= 3,
        "day < 18262 + 30": X["day"].to_numpy() < np.datetime64("2020-01-31"),
        "day < 2020-01-31": X["day"].to_numpy() < np.datetime64("2020-01-31"),
        "2020-01-05T12:00 < day": X["day"].to_numpy() > np.datetime64("2020-01-05T12:00"),
        "day in {2020-01-03, 2020-02-01}": X["day"].isin(
            pd.to_datetime(["2020-01-03", "2020-02-01"])
        ),
        "a / b <= 1": np.where(B == 0, False, A / B <= 1),
        "not a / b <= 1": np.where(B == 0, False, ~(A / B <= 1)),
        "if b > 0 then a / b <= 1": (B == 0) | (A / B <= 1),
        "a / b != 1": (B != 0) & (A != B),
        "sqrt(a) >= 0 or b >= 0": np.ones(N, bool),
        "log(a) >= 0": A >= 1,
    }


@pytest.mark.parametrize("rule", TABLE)
def test_a_rule_says_what_numpy_says(rule):
    assert_array_equal(check(rule), TABLE[rule])


@pytest.mark.parametrize("kind", ["array", "list", "sparse", "polars"])
def test_columns_of_any_container_can_be_asked(kind):
    values = np.stack([A, B, C], 1)
    make = {"array": np.asarray, "list": np.ndarray.tolist, "sparse": sparse.csr_array}
    rows = pl.DataFrame(values, list("abc")) if kind == "polars" else make[kind](values)
    rule = "a <= b" if kind == "polars" else "x0 <= x1"
    assert_array_equal(check(rule, rows), A <= B)


def test_floats_are_equal_up_to_the_rounding_of_their_sums():
    rows = pd.DataFrame({"a": [0.1, 0.1, 1e9], "b": [0.2, 0.2, 1e-2], "c": [0.3, 0.3000001, 1e9]})
    assert check("a + b == c", rows).tolist() == [True, False, False]
    assert check("a + b <= c", rows).tolist() == [True, True, False]
    assert check("a + b > c", rows).tolist() == [False, False, True]
    assert check("c - a - b == 0", rows).tolist() == [True, False, False]
    narrow = rows.astype(np.float32)
    assert check("a + b == c", narrow).tolist() == [True, True, True]


def test_a_row_with_a_missing_cell_is_not_judged_but_can_be_asked():
    rows = pd.DataFrame({"a": [1, None, 3], "b": [2.0, 1.0, None], "k": ["u", None, "v"]})
    assert check("a > b", rows).tolist() == [False, True, True]
    assert check("k == 'v'", rows).tolist() == [False, True, True]
    assert check("b is missing", rows).tolist() == [False, False, True]
    assert check("(k == 'u') == (b is not missing)", rows).tolist() == [True, True, True]
    nullable = rows.astype({"a": "Int64"})
    assert check("a > b", nullable).tolist() == [False, True, True]


REFUSED = {  # rule -> place and reason
    "__import__('os').system('x')": (16, "attributes"),
    "a.real <= 1": (1, "attributes"),
    "__import__('os') == a": (0, "no function"),
    "eval(a) < 1": (0, "no function"),
    "absolute(a) < 1": (0, "no function"),
    "a <= 9 ** 9 ** 9": (7, "power is larger"),
    "a ** 1000 <= 1": (2, "power is larger"),
    "(" * 1000 + "a" + ")" * 1000 + " < 1": (40, "nested deeper"),
    "-" * 1000 + "a < 1": (40, "nested deeper"),
    "not " * 1000 + "a < 1": (164, "nested deeper"),
    "a" + " * a" * 1000 + " < 1": (164, "factors in a row"),
    "a < " + "1 + " * 5000 + "1": (10_000, "characters"),
    "a <= 1 / 0": (7, "division by zero"),
    "a <= 1 / (2 - 2)": (7, "division by zero"),
    "a <= 0 ** -1": (7, "not a finite number"),
    "a <= 2024-13-41": (5, "there is no date 2024-13-41"),
    "a <= 2024-01-31 12:00": (18, "2024-01-31T12:00"),
    "a <= 1e999": (5, "too large"),
    "exp(1000) < a": (0, "not a finite number"),
    "a <= 'x'": (5, "number"),
    "'x' + 1 < a": (0, "must be a number"),
    "abs('x') < a": (4, "must be a number"),
    "a and b > 1 + (b > 1)": (17, "must be a number"),
    "a in {1, 'x'}": (9, "same braces"),
    "a in {b}": (6, "only numbers and texts"),
    "a = b": (2, "written =="),
    "a & b": (2, "write and"),
    "lambda: 1": (6, "not part"),
    "[i for i in a]": (0, "expected a column"),
    "a; b": (1, "not part"),
    "a < 'x": (4, "not closed"),
    "a + b": (0, "must be a condition"),
    "1 < 2": (0, "names no column"),
    "a <= 1 b": (7, "not expected"),
    "a <=": (4, "expected a column"),
    "if a > 1": (8, "expected 'then'"),
    "max(a) > 1": (0, "takes 2 or more"),
    "round(a, b) == 1": (9, "whole digits"),
    "a + b is missing": (0, "only a column"),
    "": (0, "expected a column"),
}


@pytest.mark.parametrize("rule", REFUSED, ids=lambda rule: rule[:30])
def test_what_is_no_rule_is_refused_with_place_and_reason(rule):
    at, reason = REFUSED[rule]
    with pytest.raises(ConstraintSyntaxError, match=reason) as refused:
        Constraints(rule)
    assert refused.value.at == at
    line, caret = str(refused.value).splitlines()[1:]
    assert caret.index("^") <= len(line)


UNFIT = {
    "a + job <= 1": (4, "column 'job' is a text"),
    "job == 1": (4, "text is compared with a number"),
    "job < 'y'": (6, "each side of < must be a number"),
    "nme <= 1": (0, "there is no column 'nme'"),
    "a <= bb": (5, "did you mean 'b'"),
    "if c then a > 1": (3, "column 'c' is a number"),
    "a in {'x'}": (0, "must be a text"),
}


@pytest.mark.parametrize("rule", UNFIT)
def test_what_does_not_fit_the_columns_is_refused_with_place_and_reason(rule):
    at, reason = UNFIT[rule]
    with pytest.raises(ConstraintSyntaxError, match=reason) as refused:
        Constraints(rule).check(X)
    assert refused.value.at == at


WORDS = [*"ab+-*/()<>={},.'`^&|~!%", "**", "==", "<=", "if", "then", "and", "or", "not", "in", "is"]
WORDS += [
    "missing",
    "abs(",
    "max(",
    "round(",
    "1",
    "9",
    "1e9",
    "'x'",
    "`is open`",
    "__class__",
    "job",
]


@settings(max_examples=400)
@given(st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join) | st.text(max_size=40))
def test_any_text_is_a_rule_or_refused_and_never_an_error_of_another_kind(text):
    try:
        answers = list(Constraints(text).check(X).values())
    except ConstraintSyntaxError as error:
        answers, place = [], error.at
        assert 0 <= place <= len(text)
    assert all(answer.dtype == bool and answer.shape == (N,) for answer in answers)


def sums(depth=3):
    leaf = st.sampled_from(["a", "b", "c", "1", "2.5"])
    if not depth:
        return leaf
    inner = sums(depth - 1)
    pair = st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
    return leaf | pair | inner.map(lambda t: f"abs({t})") | inner.map(lambda t: f"-{t}")


@settings(max_examples=150)
@given(sums(), st.sampled_from(["<", "<=", ">", ">="]), sums())
def test_arithmetic_agrees_with_python(left, sign, right):
    text = f"{left} {sign} {right}"
    try:
        answer = check(text)
    except ConstraintSyntaxError:
        return
    names = {"a": A, "b": B.astype(float), "c": C, "abs": np.abs, "__builtins__": {}}
    with np.errstate(all="ignore"):
        l, r = (np.broadcast_to(eval(side, names), N) for side in (left, right))  # noqa: E741
    clear = np.isfinite(l) & np.isfinite(r) & (np.abs(l - r) > 1e-6)
    expected = {"<": l < r, "<=": l <= r, ">": l > r, ">=": l >= r}[sign]
    assert_array_equal(answer[clear], expected[clear])


OBJECTS = {
    Range("a", 0, 2): (A >= 0) & (A <= 2),
    Range("a", high=1): A <= 1,
    Integer("c"): np.rint(C) == C,
    Range("day", date(2020, 1, 5), datetime(2020, 2, 1, 12)): X["day"].between(
        "2020-01-05", "2020-02-01"
    ),
    Monotone(("c", "b")): C <= B,
    OneHot(("is open", "b")): np.isin(B, [0, 1]) & (B + OPEN == 1),
    Equal("b", "a"): A == B,
    Equal("b", "a", 1): np.abs(A - B) <= 1,
    OneOf("job", ("x", "o'k")): JOB != "y",
    If("job == 'x'", Range("b", high=2)): (JOB != "x") | (B <= 2),
}


@pytest.mark.parametrize("rule", OBJECTS, ids=lambda rule: rule.text)
def test_an_object_is_a_short_way_to_write_a_rule(rule):
    assert_array_equal(check(rule), OBJECTS[rule])


def test_weights_of_a_linear_rule_are_written_out():
    assert Linear({"a": -1, "is open": 2.5}, "<=", -3).text == "-a + 2.5 * `is open` <= -3"
    assert_array_equal(check(Linear({"a": -1, "b": 2}, "<", 3)), -A + 2 * B < 3)


@pytest.mark.parametrize(
    "wrong",
    [
        *(Range("a"), Range("a", np.inf), Monotone("ab"), OneHot(["a"]), OneOf("a", [])),
        Linear({"a": 1}, "~"),
    ],
)
def test_an_object_that_says_nothing_is_refused(wrong):
    with pytest.raises(ValueError, match=r"needs|neither|finite|operator"):
        Constraints(wrong)


def test_rules_come_alone_in_lists_and_as_constraints():
    assert len(Constraints("a <= b")) == len(Constraints(["a <= b"])) == 1
    assert Constraints(Constraints(["a <= b", FrozenColumns("a")])).frozen == ["a"]
    assert Constraints(None).check(X) == {}
    with pytest.raises(TypeError, match="a constraint is a text"):
        Constraints([1])


def test_a_custom_rule_reads_columns_by_name():
    class Even:
        names = ("b",)

        def holds(self, columns):
            return columns["b"] % 2 == 0

    assert_array_equal(check(Even()), B % 2 == 0)


def test_a_tree_is_the_same_however_it_is_spaced():
    assert parse("a<=b+1 and not c>2") == parse(" a <= (b + 1)  and not (c > 2)")


# ---------------------------------------------------------------- the miner


def planted(n=400):
    draw = np.random.default_rng(1)
    a, b, c = draw.integers(1, 30, (3, n)).astype(float)
    kind = draw.choice(["u", "v", "w"], n)
    return pd.DataFrame(
        {
            "a": a,
            "b": b,
            "c": c,
            "total": a + b,
            "sum3": a + b + c,
            "area": a * b,
            "ratio": np.round(a / c, 3),
            "double": 2.5 * c,
            "later": a + draw.integers(0, 9, n),
            "kind": kind,
            "u": (kind == "u") * 1.0,
            "v": (kind == "v") * 1.0,
            "w": (kind == "w") * 1.0,
            "pay": np.where(kind == "v", 0.0, draw.exponential(size=n)),
            "noise": draw.normal(20, 9, n),
        }
    )


PLANTED = [
    "total == a + b",
    "sum3 == c + total",
    "area == a * b",
    "ratio == round(a / c, 3)",
    "double == 2.5 * c",
    "a <= later",
    "if kind == 'v' then pay == 0",
    "a == round(a)",
]


def test_planted_relations_are_found_with_their_support():
    rows = planted()
    found = Constraints.infer(rows)
    rules = {finding.rule: finding for finding in found.findings}
    for rule in PLANTED:
        assert rule in rules
    assert any("u + " in rule or "+ u" in rule for rule in rules if "{0, 1}" in rule)
    assert rules["if kind == 'v' then pay == 0"].support == (rows["kind"] == "v").sum()
    assert rules["total == a + b"].support == len(rows)
    assert all(answer.all() for answer in found.check(rows).values())


def test_shuffled_columns_hold_no_relation():
    rows = planted()
    draw = np.random.default_rng(2)
    shuffled = pd.DataFrame({name: draw.permutation(rows[name]) for name in rows})
    found = Constraints.infer(shuffled, kinds=["sum", "product", "share", "implication", "one_hot"])
    assert found.findings == []


def test_an_unknown_kind_of_relation_is_named():
    with pytest.raises(ValueError, match="'magic' is none of"):
        Constraints.infer(X, kinds=["magic"])


def found(rows):
    return {finding.rule for finding in Constraints.found(rows).findings}


@pytest.mark.parametrize(("n", "is_kept"), [(150, False), (400, True)])
def test_a_rule_that_few_rows_show_is_not_kept_unasked(n, is_kept):
    draw = np.random.default_rng(0)
    kind = np.arange(n) % 4 == 0
    rows = pd.DataFrame({"kind": np.where(kind, "v", "u"), "pay": draw.exponential(size=n)})
    rows["pay"] = np.where(kind | (draw.random(n) < 0.1), 0.0, rows["pay"])
    assert found(rows) == ({"if kind == 'v' then pay == 0"} if is_kept else set())
    assert Constraints.infer(rows, kinds=["implication"]).findings, "for the user to judge"


ORDERS = {  # whether b - a was cut at 0 by a rule
    "exponential": (lambda draw, n: draw.exponential(2, n), True),
    "uniform": (lambda draw, n: draw.uniform(0, 4, n), True),
    "equal now and then": (lambda draw, n: draw.gamma(4, 1, n) * (draw.random(n) > 0.04), True),
    "far apart": (lambda draw, n: 40 + draw.normal(size=n), False),
    "by chance": (lambda draw, n: 4 + draw.normal(size=n), False),
}


@pytest.mark.parametrize("kind", ORDERS)
def test_an_order_is_kept_only_where_rows_crowd_at_its_edge(kind):
    gap, is_rule = ORDERS[kind]
    draw = np.random.default_rng(0)
    a = draw.normal(20, 6, 500)
    rows = pd.DataFrame({"a": a, "b": a + gap(draw, 500)})
    assert (rows["a"] <= rows["b"]).all()
    assert found(rows) == ({"a <= b"} if is_rule else set())


def codes(n=600):
    draw = np.random.default_rng(3)
    age, city = draw.integers(1, 90, n), draw.integers(0, 6, n)
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(7 * city, "D")
    return pd.DataFrame(
        {
            "age": age,
            "group": np.select([age < 18, age < 65], ["child", "adult"], "old"),
            "city": np.array([*"abcdef"])[city],
            "state": np.array([*"xxyyyz"])[city],
            "day": day,
        }
    )


def test_a_column_that_follows_from_a_code_or_a_range_is_found():
    rows = codes()
    rules = Constraints.infer(rows, kinds=["dependency"])
    assert [finding.rule for finding in rules.findings] == [
        "(if city == 'a' then day == 2024-01-01) and (if city == 'b' then day == 2024-01-08) and "
        "(if city == 'c' then day == 2024-01-15) and (if city == 'd' then day == 2024-01-22) and "
        "(if city == 'e' then day == 2024-01-29) and (if city == 'f' then day == 2024-02-05)",
        "(if city in {'a', 'b'} then state == 'x') and (if city in {'c', 'd', 'e'} then state == "
        "'y') and (if city == 'f' then state == 'z')",
        "(if age <= 17 then group == 'child') and (if 17 < age <= 64 then group == 'adult') and "
        "(if age > 64 then group == 'old')",
    ]
    wrong = rows.assign(group=rows["group"].where(rows.index != 7, "none"))
    assert not any("group" in finding.rule for finding in Constraints.found(wrong).findings)


def test_rounded_sums_products_and_shares_are_found_with_their_factor():
    draw = np.random.default_rng(4)
    a, b, c = draw.uniform(1, 99, (3, 300))
    kept, solved = draw.integers(0, 50, (2, 300)) * [[1], [3]]
    rows = pd.DataFrame(
        {
            **{"a": a, "b": b, "c": c, "solved": solved, "kept": kept},
            "tax": np.round(0.19 * a, 2),
            "percent": np.round(100 * a / b, 1),
            "pay": np.floor(b * c * 100 + 0.5) / 100,
            "sum": np.round(a + c),
            "half": np.floor(solved / 2 + 0.5),
        }
    )
    assert found(rows) == {
        "tax == round(0.19 * a, 2)",
        "percent == round(100 * a / b, 1)",
        "pay == round(b * c, 2)",
        "sum == round(a + c)",
        "abs(half - round(0.5 * solved)) <= 1",
    }


def test_flags_that_exclude_each_other_make_one_rule():
    kind = np.random.default_rng(5).integers(0, 4, 400)
    rows = pd.DataFrame({name: (kind == k) * 1 for k, name in enumerate("uvw")})
    rule, *more = found(rows)
    assert not more
    assert rule.endswith(" <= 1")
    assert_array_equal(check(rule, rows.assign(u=1)), np.isin(kind, (0, 3)))


def test_what_is_missing_together_with_a_level_is_found():
    draw = np.random.default_rng(6)
    measured = draw.random(300) < 0.6
    rows = pd.DataFrame({"T3": np.where(measured, draw.normal(size=300), np.nan)})
    rows["measured"] = np.where(measured, "y", "n")
    assert found(rows) == {
        "if measured == 'n' then T3 is missing",
        "if T3 is missing then measured == 'n'",
    }


def test_levels_that_follow_from_each_other_are_tied_to_the_first():
    draw = np.random.default_rng(7)
    internet = draw.random(500) < 0.7
    rows = pd.DataFrame({"internet": np.where(internet, draw.choice(["dsl", "fiber"], 500), "no")})
    for name in ("tv", "films", "backup"):
        rows[name] = np.where(internet, draw.choice(["y", "n"], 500), "none")
    pairs = [("internet == 'no'", f"{name} == 'none'") for name in ("tv", "films", "backup")]
    both = {f"if {a} then {b}" for one, other in pairs for a, b in ((one, other), (other, one))}
    assert found(rows) == both


def test_of_a_large_table_a_sample_guesses_and_all_rows_decide():
    draw = np.random.default_rng(8)
    rows = pd.DataFrame({name: draw.integers(1, 99, 20_000) for name in "abc"})
    rows["ab"], rows["bc"] = rows["a"] + rows["b"], rows["b"] + rows["c"]
    rows.loc[7, "bc"] += 1
    rows["kind"] = np.where(draw.random(20_000) < 0.01, "rare", "usual")
    rows["pay"] = np.where(rows["kind"] == "rare", 0.0, draw.exponential(size=20_000))
    assert [(f.rule, f.support) for f in Constraints.found(rows).findings] == [
        ("ab == a + b", 20_000),
        ("(if pay <= 0 then kind == 'rare') and (if pay > 0 then kind == 'usual')", 20_000),
    ]


def test_nothing_is_looked_for_in_very_wide_tables():
    a = np.arange(60.0)
    rows = pd.DataFrame({f"c{k}": a * k for k in range(101)})
    assert len(Constraints.found(rows.iloc[:, :5])) > 0
    assert len(Constraints.found(rows)) == 0


def test_two_numbers_of_which_one_is_always_zero_are_found():
    draw = np.random.default_rng(9)
    rows = pd.DataFrame({"gain": draw.exponential(size=600), "loss": draw.exponential(size=600)})
    which = draw.integers(0, 3, 600)
    rows["gain"], rows["loss"] = rows["gain"] * (which == 0), rows["loss"] * (which == 1)
    assert found(rows) == {"if gain != 0 then loss == 0"}


def test_weighted_sums_with_short_weights_are_found():
    draw = np.random.default_rng(10)
    rows = pd.DataFrame(draw.uniform(0, 99, (300, 4)), columns=list("abcd"))
    rows["mean"] = (rows["a"] + rows["b"] + rows["c"]) / 3
    rows["excess"] = 2 * rows["d"] - rows["a"] - rows["c"] + draw.uniform(-1, 1, 300) * 1e-5
    rows["score"] = np.round(0.25 * rows["a"] - 0.17 * rows["d"] + 40, 1)
    rows["all"] = rows[["a", "b", "c", "d", "score"]].sum(axis=1)
    rows["noisy"] = rows["a"] + rows["b"] + rows["c"] + rows["d"] + draw.normal(0, 0.01, 300)
    assert found(rows) == {
        "mean == a / 3 + b / 3 + c / 3",
        "abs(excess - round(-a - c + 2 * d, 5)) <= 0.0001",
        "score == round(a / 4 - 0.17 * d + 40, 1)",
        "all == a + b + c + d + score",
    }


def test_a_column_in_another_scale_is_found_with_its_own_weight():
    draw = np.random.default_rng(13)
    x = draw.gamma(3, 20, 300).round(2)
    rows = pd.DataFrame({"x": x, "z": (x - x.mean()) / x.std()})
    rows["share"] = (x - x.min()) / np.ptp(x)
    assert {rule.split(" == ")[0] for rule in found(rows)} == {"z", "share"}
    rows = pd.DataFrame({"x": x, "z": ((x - x.mean()) / x.std()).round(3)})
    (rule,) = found(rows)
    assert rule.startswith("abs(z - round(0.0")
    assert rule.endswith(", 3)) <= 0.001")
    rows["z"] += draw.normal(0, 0.01, 300).round(3)
    assert found(rows) == set()


@pytest.mark.parametrize(("n_parts", "digits"), [(3, 1), (4, 0), (5, 0)])
def test_shares_that_sum_to_a_hundred_but_for_rounding_are_found_and_kept(n_parts, digits):
    draw = np.random.default_rng(14)
    names = list("abcde")[:n_parts]
    shares = (100 * draw.dirichlet(np.arange(n_parts) + 2, 300)).round(digits)
    rows = pd.DataFrame(shares, columns=names).assign(other=draw.uniform(0, 50, 300).round(digits))
    (rule,) = found(rows)
    rest = " - ".join(["100", *names[:-1]])
    assert rule.startswith(f"abs({names[-1]} - round({rest}" + (", 1" if digits else ""))
    shuffled = rows.apply(lambda column: draw.permutation(column))
    assert found(shuffled) == set()
    y = np.arange(300) % 5 == 0
    new, _ = AdversarialOverSampler(random_state=0, surrogate=QUICK).new_rows(rows, y)
    least, most = shares.sum(1).min(), shares.sum(1).max()
    off = max(most - 100, 100 - least) + 1e-6
    assert new[names].sum(axis=1).between(100 - off, 100 + off).all()


def test_a_level_that_follows_from_a_part_of_a_date_is_found_and_kept():
    draw = np.random.default_rng(15)
    day = pd.Timestamp("2020-01-01") + pd.to_timedelta(draw.integers(0, 2000, 300), unit="D")
    rows = pd.DataFrame({"day": day, "x": draw.normal(size=300), "name": day.day_name()})
    rows["weekend"] = np.where(day.day_of_week >= 5, "yes", "no")
    rules = {rule[:24] for rule in found(rows)}
    assert {"(if weekday_of(day) == 4", "(if weekday_of(day) in {"} <= rules
    y = np.arange(300) % 5 == 0
    new, _ = AdversarialOverSampler(random_state=0, surrogate=QUICK).new_rows(rows, y)
    assert (new["day"].dt.day_name() == new["name"]).all()
    assert ((new["day"].dt.day_of_week >= 5) == (new["weekend"] == "yes")).all()
    assert (new["day"].to_numpy() != rows["day"].to_numpy()[: len(new)]).any()


def test_an_equality_that_follows_from_others_is_left_out():
    draw = np.random.default_rng(11)
    quantity, price = draw.integers(1, 50, 400), draw.integers(99, 20_000, 400) / 100
    rows = pd.DataFrame({"quantity": quantity, "price": price})
    rows["net"] = np.round(quantity * price, 2)
    rows["tax"] = np.round(0.19 * rows["net"], 2)
    rows["gross"] = np.round(rows["net"] + rows["tax"], 2)
    assert found(rows) == {
        "net == round(quantity * price, 2)",
        "tax == round(0.19 * net, 2)",
        "gross == net + tax",
    }
    alone = Constraints.found(rows[["net", "gross"]]).findings
    assert [finding.kind for finding in alone] == ["share"], "1.19 times, if nothing else says so"


@pytest.mark.parametrize("kind", ["decimals", "whole numbers", "texts"])
def test_the_search_takes_at_most_half_a_second_on_a_thousand_rows(kind):
    draw = np.random.default_rng(12)
    size = (1000, 20)
    cells = {
        "decimals": lambda: draw.normal(size=size),
        "whole numbers": lambda: draw.integers(0, 9, size),
        "texts": lambda: draw.choice([*"abcdef"], size),
    }
    rows = pd.DataFrame(cells[kind]()).rename(columns="c{}".format)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        assert found(rows) == set()
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.5
