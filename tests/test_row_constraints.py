"""Callables as rules: in every domain, over whole rows, checked and never repaired."""

import numpy as np
import pytest
import torch

from advaug.adapters import ImageAdapter, SequenceAdapter, SignalAdapter, TabularAdapter
from advaug.constraints import Constraints, FrozenColumns, Range
from advaug.sampling.constraints import CallableConstraints, RepairStatus

X = np.array([[1.0], [1.0], [9.0], [9.0]])


def test_a_rule_is_broken_only_by_rows_whose_parents_keep_it():
    new = np.array([[2.0], [8.0], [8.0], [2.0]])
    small = lambda rows: rows[:, 0] < 5  # noqa: E731
    for rules, expected in (
        (small, [False, True, False, False]),
        (None, [False] * 4),
        ([small, lambda rows: rows[:, 0] != 2], [True, True, False, True]),
    ):
        rows, is_broken = CallableConstraints(rules, X).finish(new, X)
        assert rows is new
        assert is_broken.tolist() == expected


def test_a_rule_says_which_share_of_the_real_rows_keeps_it():
    def in_order(rows):
        return rows[:, 0] < 5

    assert CallableConstraints(in_order, X).shares == {"in_order": 0.5}


def test_a_rule_that_writes_into_its_rows_changes_none():
    def clear(rows):
        rows[:] = 0
        return rows[:, 0] == 0

    own, new = X.copy(), X + 1
    rows, is_broken = CallableConstraints(clear, own).finish(new, own)
    assert not is_broken.any()
    assert (own == X).all()
    assert (rows == X + 1).all()


def test_callables_repair_nothing():
    x = torch.rand(3, 2)
    rules = CallableConstraints(lambda rows: rows[:, 0] < 0, X)
    same, status = rules.repair(x, x, torch.arange(3))
    assert same is x
    assert status.tolist() == [RepairStatus.UNTOUCHED] * 3


@pytest.mark.parametrize("answer", [True, np.ones(3, bool), np.ones(4), np.ones((4, 1), bool)])
def test_a_rule_that_gives_no_bool_a_row_is_named(answer):
    def in_order(rows):
        return answer

    with pytest.raises(ValueError, match="constraint in_order must return one bool for each of"):
        CallableConstraints(in_order, X).finish(X, X)


WAVES = np.random.default_rng(0).normal(size=(12, 2, 20))
ROWS = {
    "images": (ImageAdapter(), np.random.default_rng(0).random((12, 8, 8))),
    "signals": (SignalAdapter(), WAVES),
    "sequences": (SequenceAdapter(), ["one two three", "two three", "three four one"] * 4),
}


@pytest.mark.parametrize("rules", ["a <= b", [Range("a", 0)], Constraints([FrozenColumns("a")])])
@pytest.mark.parametrize("kind", ROWS)
def test_rules_over_columns_need_a_table(kind, rules):
    adapter, rows = ROWS[kind]
    with pytest.raises(ValueError, match=f"need a table: for {kind} pass callables from rows to"):
        adapter.fit(rows).constraints(rules, rows)


@pytest.mark.parametrize("kind", ROWS)
def test_every_coding_has_the_members_of_the_protocol(kind):
    adapter, rows = ROWS[kind]
    coding = adapter.fit(rows)
    keeps = lambda rows: np.arange(len(rows)) < 3  # noqa: E731
    assert list(coding.constraints(keeps, rows).shares.values()) == [0.25]
    assert coding.faults(rows, rows) is None, "such rows have no columns"
    assert coding.drifts(rows, rows) == []
    assert "affine_columns" not in coding.provides


def test_tables_of_plain_numbers_provide_affine_columns():
    draw = np.random.default_rng(0).normal(size=(20, 3))
    assert "affine_columns" in TabularAdapter().fit(draw).provides
    holes = np.where(draw > 1, np.nan, draw)
    assert "affine_columns" not in TabularAdapter().fit(holes).provides
    mixed = TabularAdapter().fit([["a", 1.0], ["b", 2.0]] * 4)
    assert "affine_columns" not in mixed.provides


def test_two_rules_of_one_name_are_both_listed():
    rules = [lambda rows: rows[:, 0] < 5, lambda rows: rows[:, 0] < 0]
    assert list(CallableConstraints(rules, X).shares) == ["<lambda>", "<lambda> (2)"]
    assert list(Constraints(rules).check(X)) == ["<lambda>", "<lambda> (2)"]
    table = TabularAdapter().fit(X).constraints(rules, X)
    assert table.shares == CallableConstraints(rules, X).shares
    new = np.full_like(X, 9.0)
    assert {name: one.tolist() for name, one in table.broken(new, X).items()} == {
        "<lambda>": (X[:, 0] < 5).tolist(),
        "<lambda> (2)": (X[:, 0] < 0).tolist(),
    }
