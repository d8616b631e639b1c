"""New rows keep every rule that their parents keep, in the user's own dtypes."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from advaug import AdversarialOverSampler, AdversarialTransformer
from advaug.adapters import TabularAdapter
from advaug.constraints import Constraints, FrozenColumns, OneHot
from advaug.domains.tables.rules import constraints as rule_module
from advaug.domains.tables.table_constraints import TableConstraints
from advaug.models import Ensemble
from advaug.sampling.constraints import RepairStatus

RULES = [
    "total == a + b",
    "area == h * w",
    "abs(ratio - b / h) <= .0006",
    "a <= top",
    "if job == 'x' then pay == 0",
    "if job != 'x' then pay > 0",
    "if job == 'y' then side == 'l'",
    "term in {36, 60}",
    "2 * h + 3 * w <= bulk",
    "(TSH is missing) == (measured == 'n')",
    OneHot(["u", "v", "w_"]),
    FrozenColumns(["id"]),
]


def loans(n=260, seed=0):
    draw = np.random.default_rng(seed)
    a, h, w = draw.integers(0, 20, n), draw.integers(1, 9, n), draw.integers(1, 9, n)
    b, job = draw.normal(5, 2, n), draw.choice(["x", "y", "z"], n)
    group, measured = draw.integers(0, 3, n), draw.random(n) < 0.7
    X = pd.DataFrame(
        {
            "id": np.arange(n) + 2**60,
            "a": a,
            "b": b,
            "total": a + b,
            "h": h,
            "w": w,
            "area": (h * w).astype(np.int32),
            "ratio": np.round(b / h, 3),
            "top": a + draw.integers(0, 4, n),
            "job": pd.Categorical(job),
            "pay": np.where(job == "x", 0.0, draw.exponential(3, n)),
            "side": np.where(job == "y", "l", draw.choice(["l", "r"], n)),
            "term": draw.choice([36, 60], n),
            "bulk": 2 * h + 3 * w + draw.integers(0, 5, n),
            "TSH": np.where(measured, draw.normal(size=n), np.nan),
            "measured": np.where(measured, "y", "n"),
            **{name: group == k for k, name in enumerate(["u", "v", "w_"])},
        }
    )
    y = (b + h / 2 + draw.normal(0, 1, n) > 9).astype(int)
    return X, y


def sampler(**settings):
    few = Ensemble(n_repeats=2, max_iter=40)
    return AdversarialOverSampler(**{"random_state": 0, "surrogate": few, **settings})


def answers(rules, rows):
    return np.stack([*Constraints(rules).check(rows).values()])


@pytest.mark.parametrize("judge", ["auto", None])
@pytest.mark.parametrize("recipe", ["match", "harden", "translate", "interpolate"])
def test_no_new_row_breaks_a_rule(recipe, judge):
    X, y = loans()
    radius = {} if recipe == "interpolate" else {"radius": 1.0}
    s = sampler(recipe=recipe, judge=judge, constraints=RULES, **radius)
    new = s.fit_resample(X, y)[0].iloc[len(X) :]
    assert answers(RULES, new).all()
    assert (new["id"].to_numpy() == X["id"].to_numpy()[s.provenance_["parent"]]).all()
    assert (new.dtypes == X.dtypes).all()
    assert s.constraints_report_["replaced"] == 0
    if judge:  # It moves rows back to real ones, which breaks no rule.
        return
    free = sampler(recipe=recipe, judge=judge, constraints=None, **radius)
    free = free.fit_resample(X, y)[0].iloc[len(X) :]
    assert (~answers(RULES, free)).any(0).mean() > 0.5, "without rules most rows break one"
    report = s.constraints_report_
    assert report["reverted"] < 0.35 * report["rows"]
    assert report["repaired"] == (s.provenance_["status"] == "repaired").sum() > 0


def test_a_rule_binds_only_rows_whose_parent_keeps_it():
    X, y = loans()
    X.loc[::2, "total"] += 1
    s = sampler(constraints="total == a + b", judge=None)
    new = s.fit_resample(X, y)[0].iloc[len(X) :]
    parent = X.iloc[s.provenance_["parent"]]
    (own,), (kept,) = answers("total == a + b", parent), answers("total == a + b", new)
    assert kept[own].all()
    assert not kept[~own].all()
    assert s.constraints_report_["rules"] == {"total == a + b": 0.5}


@pytest.mark.parametrize("kind", ["float32", "nullable", "polars", "array"])
def test_rules_hold_in_the_users_own_dtypes(kind):
    X, y = loans()
    X = X[["a", "b", "total", "h", "top"]]
    rules = ["total == a + b", "a <= top", "h >= 2 * b - 99"]
    if kind == "float32":
        X = X.astype({"a": np.float32, "b": np.float32}).assign(total=lambda t: t["a"] + t["b"])
    if kind == "nullable":
        X = X.astype({"a": "Int64", "b": "Float64", "total": "Float64"})
        X.loc[::5, "b"] = pd.NA
    if kind == "polars":
        X = pl.from_pandas(X)
    if kind == "array":
        X, rules = X.to_numpy(), ["x2 == x0 + x1", "x0 <= x4", "x3 >= 2 * x1 - 99"]
    new, _ = sampler(constraints=rules, judge=None).fit_resample(X, y)
    assert type(new) is type(X)
    assert answers(rules, new).all()
    if kind == "float32":
        assert new["total"].dtype == np.float32


def test_dates_keep_their_order():
    X, y = loans()
    X = X[["a", "b"]].assign(start=pd.Timestamp("2020-01-01") + pd.to_timedelta(X["a"], "D"))
    X["end"] = X["start"] + pd.to_timedelta(X["h"] if "h" in X else X["a"] % 5, "D")
    new, _ = sampler(constraints="start <= end <= start + 4", judge=None).fit_resample(X, y)
    days = (new["end"] - new["start"]).dt.days
    assert days.between(0, 4).all()
    free, _ = sampler(judge=None, constraints=None).fit_resample(X, y)
    assert not (free["end"] - free["start"]).dt.days.between(0, 4).all()


def test_a_custom_rule_is_kept_by_reverting_its_columns():
    class Parity:
        names = ("a", "top")

        def holds(self, columns):
            return (columns["a"] + columns["top"]) % 2 == 0

    X, y = loans()
    X["top"] = X["a"] + 2
    s = sampler(constraints=[Parity()], judge=None)
    new = s.fit_resample(X, y)[0].iloc[len(X) :]
    assert ((new["a"] + new["top"]) % 2 == 0).all()
    assert s.constraints_report_["reverted"] > 0
    assert s.constraints_report_["replaced"] == 0


def test_the_judge_sees_the_rows_that_are_returned():
    X, y = loans()
    s = sampler(constraints=RULES)
    new = s.fit_resample(X, y)[0].iloc[len(X) :]
    made = s.provenance_
    moved = (made["move_share"] == 1).to_numpy()
    x = s.adapter_.encode(new[moved])
    with torch.no_grad():
        # Distance is measured on the repaired, encoded row: decoding and encoding give it back.
        seed = s.adapter_.encode(X.iloc[made["parent"]][moved])
        away = s.adapter_.space(2.0).distance(x, seed).numpy()
    np.testing.assert_allclose(away, made["distance"][moved], atol=1e-3)


def moved(X, coding, seed=0):
    x = coding.encode(X)
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed))
    radius = torch.full((len(x),), 1.0)
    return x, coding.space(2.0).snap(coding.space(2.0).sample(x, radius, noise), x, radius, noise)


def test_another_column_compensates_for_what_a_bound_cuts_off():
    draw = np.random.default_rng(0)
    h, w = draw.integers(1, 30, 200), draw.integers(1, 30, 200)
    black = draw.integers(1, h * w + 1)
    X = pd.DataFrame({"h": h, "w": w, "area": h * w, "black": black})
    X["share"] = (X["black"] / X["area"]).clip(lower=0.2).round(3)
    rules = ["area == h * w", "black <= area", "abs(share - black / area) <= .0006"]
    X = X[answers(rules, X).all(0)].reset_index(drop=True)  # no share is below 0.2
    coding = TabularAdapter().fit(X)
    constraints, (seed, x) = coding.constraints(rules, X), moved(X, coding)
    _, status = constraints.repair(x, seed, torch.arange(len(x)))
    for one in constraints.rounds.computed:
        one.others.clear()
    _, alone = constraints.repair(x, seed, torch.arange(len(x)))
    assert (status == RepairStatus.REVERTED).float().mean() < 0.02
    assert (alone == RepairStatus.REVERTED).float().mean() > 0.1


def test_a_row_repaired_within_a_tolerance_is_off_by_as_much_as_its_parent():
    draw = np.random.default_rng(0)
    X = pd.DataFrame({"months": draw.integers(2, 60, 300), "fee": draw.uniform(20, 90, 300)})
    off = draw.uniform(-2, 2, 300)
    X["total"] = X["fee"] * (X["months"] + off)
    coding = TabularAdapter().fit(X)
    rule = "abs(total - months * fee) <= 2 * fee"
    constraints, (seed, x) = coding.constraints([rule], X), moved(X, coding)
    x, status = constraints.repair(x, seed, torch.arange(len(x)))
    new = coding.decode(x, seed, X)[(status == RepairStatus.REPAIRED).numpy()]
    assert len(new) > 100
    still_off = (new["total"] / new["fee"] - new["months"]).to_numpy()
    assert np.corrcoef(still_off, off[new.index])[0, 1] > 0.9
    assert still_off.std() > 0.7 * off.std()


def test_a_repaired_row_is_the_same_in_any_batch():
    X, _ = loans()
    coding = TabularAdapter().fit(X)
    constraints, (seed, x) = coding.constraints(RULES, X), moved(X, coding)
    parents = torch.arange(len(x))
    whole, status = constraints.repair(x, seed, parents)
    cut = [constraints.repair(x[k], seed[k], k)[0] for k in parents.split(7)]
    assert status.bool().any()
    torch.testing.assert_close(torch.cat(cut), whole, atol=1e-5, rtol=0)


def test_a_row_that_keeps_the_rules_is_not_touched():
    X, _ = loans()
    coding = TabularAdapter().fit(X)
    constraints, x = coding.constraints(RULES, X), coding.encode(X)
    parents = torch.arange(len(X))
    same, status = constraints.repair(x, x, parents)
    assert torch.equal(same, x)
    assert (status == RepairStatus.UNTOUCHED).all()
    seed, x = moved(X, coding)
    once, _ = constraints.repair(x, seed, parents)
    twice, _ = constraints.repair(once, seed, parents)
    torch.testing.assert_close(twice, once, atol=1e-4, rtol=0)


class Parity:
    """A custom rule, which nothing repairs but the parent's cells."""

    names = ("u", "v")

    def holds(self, columns):
        return (columns["u"] + columns["v"]) % 2 == 0


def test_every_row_gets_the_status_of_what_was_done_to_it():
    u = np.arange(40)
    X = pd.DataFrame({"a": u % 9, "b": u % 7, "total": u % 9 + u % 7, "u": u, "v": u})
    coding = TabularAdapter(value_sets=None).fit(X)
    constraints = coding.constraints(["total == a + b", Parity()], X)
    changed = X.iloc[10:13].copy()
    changed.loc[11, "a"] += 2  # The total can be computed again.
    changed.loc[12, "u"] += 1  # Nothing but the parent's cells keeps the parity.
    seed, x = coding.encode(X.iloc[10:13]), coding.encode(changed)
    moved, status = constraints.repair(x, seed, torch.arange(10, 13))
    assert status.tolist() == [
        RepairStatus.UNTOUCHED,
        RepairStatus.REPAIRED,
        RepairStatus.REVERTED,
    ]
    new = coding.decode(moved, seed, X.iloc[10:13])
    assert new.loc[[10, 12]].equals(X.loc[[10, 12]])
    assert new.loc[11, "total"] == new.loc[11, "a"] + new.loc[11, "b"]
    assert not new.loc[11].equals(X.loc[11])


def test_a_row_whose_rule_cannot_be_kept_is_replaced():
    X, y = loans()
    seen = set(X["b"])
    s = sampler(
        recipe="match", judge=None, constraints=lambda rows: rows["b"].isin(seen).to_numpy()
    )
    new = s.fit_resample(X, y)[0].iloc[len(X) :].reset_index(drop=True)
    made = s.provenance_
    rows = np.flatnonzero(made["status"] == "replaced")
    assert 0 < len(rows) == s.constraints_report_["replaced"]
    assert not made["status"].isin(["repaired", "reverted"]).any()
    parents = X.iloc[made["parent"].to_numpy()[rows]].reset_index(drop=True)
    pd.testing.assert_frame_equal(new.iloc[rows].reset_index(drop=True), parents)


def test_decoded_rows_are_repaired_and_broken_ones_are_named():
    X = loans()[0][["a", "b", "total", "h", "id"]]
    few = lambda rows: (rows["h"] < 30).to_numpy()  # noqa: E731
    rules = ["total == a + b", FrozenColumns(["id"]), few]
    constraints, own = TabularAdapter().fit(X).constraints(rules, X), X.iloc[:4]
    new = own.assign(id=own["id"] + 1, h=[1, 2, 99, 3])
    new.loc[1, "total"] += 1
    done, is_broken = constraints.finish(new, own)
    assert is_broken.tolist() == [False, False, True, False]
    assert answers("total == a + b", done).all()
    assert done["id"].equals(own["id"])
    assert constraints.finish(own, own)[0].equals(own)


def test_rules_are_parsed_once_and_cells_are_read_once_a_batch(monkeypatch):
    counts = {"parse": 0, "cells_of": 0, "finish": 0}

    def count(owner, name):
        real = getattr(owner, name)

        def counted(*args, **kwargs):
            counts[name] += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)

    count(rule_module, "parse")
    count(rule_module, "cells_of")
    count(TableConstraints, "finish")
    X, y = loans()
    s = sampler(recipe="match", constraints=RULES, batch_size=16)
    s.fit_resample(X, y)
    assert counts["finish"] >= 8
    assert counts["parse"] == len(RULES) - 1, "FrozenColumns has no text"
    assert counts["cells_of"] == 1 + 2 * counts["finish"], "the real rows, children and parents"


def test_adversarial_copies_keep_the_rules_too():
    X, y = loans()
    t = AdversarialTransformer(
        radius=1.0, constraints=RULES, random_state=0, surrogate=Ensemble(n_repeats=2, max_iter=40)
    )
    new = t.fit(X, y).transform(X)
    assert answers(RULES, new).all()
    assert not new["b"].equals(X["b"])
    free = AdversarialTransformer(
        radius=1.0, random_state=0, surrogate=Ensemble(n_repeats=2, max_iter=40)
    )
    assert not answers(RULES, free.fit(X, y).transform(X)).all()


def test_a_copy_that_cannot_be_repaired_is_the_row_itself():
    X, y = loans()
    X = X[["a", "b", "h"]]
    rule = lambda rows: rows["b"].isin(X["b"]).to_numpy()  # noqa: E731
    t = AdversarialTransformer(constraints=[rule, "a >= 0"], random_state=0)
    pd.testing.assert_frame_equal(t.fit(X, y).transform(X), X)


def test_rules_over_columns_need_a_table():
    images = np.random.default_rng(0).random((40, 8, 8)).astype(np.float32)
    y = np.arange(40) % 2 * (np.arange(40) % 4 > 0)
    with pytest.raises(ValueError, match=r"Expected 2D|need a table"):
        sampler(constraints="x0 <= x1").fit_resample(images, y)


def test_a_rule_that_does_not_fit_is_refused_before_any_work():
    X, y = loans()
    with pytest.raises(ValueError, match="did you mean 'total'"):
        sampler(constraints="totl == a + b").fit_resample(X, y)
    with pytest.raises(ValueError, match="did you mean 'total'"):
        AdversarialTransformer(constraints="totl == a + b").fit(X, y)


def test_two_truths_that_must_differ_are_made_to_differ():
    u = np.arange(40)
    X = pd.DataFrame({"n": u % 9, "is_small": u % 9 <= 4, "kind": np.where(u % 9 > 4, "s", "t")})
    rules = ["(n > 4) != is_small", "is_small != (kind == 's')"]
    coding = TabularAdapter().fit(X)
    changed = X.iloc[:9].assign(kind=["s", *X["kind"][1:9]], is_small=X["n"][:9] <= 3)
    seed, x = coding.encode(X.iloc[:9]), coding.encode(changed)
    moved, status = coding.constraints(rules, X).repair(x, seed, torch.arange(9))
    assert status.tolist() == [RepairStatus.REPAIRED if k in (0, 4) else 0 for k in range(9)]
    assert answers(rules, coding.decode(moved, seed, X.iloc[:9])).all()


def invoices(n=400, seed=0):
    draw = np.random.default_rng(seed)
    quantity, price = draw.integers(2, 40, n), draw.integers(199, 9900, n) / 100
    has_plan, minutes = draw.random(n) < 0.4, draw.normal(180, 50, n).clip(1).round(1)
    X = pd.DataFrame(
        {
            "quantity": quantity,
            "price": price,
            "total": np.round(quantity * price, 2),
            "minutes": minutes,
            "charge": np.round(0.17 * minutes, 2),
            "plan": np.where(has_plan, "yes", "no"),
            "messages": np.where(has_plan, draw.integers(1, 40, n), 0),
        }
    )
    return X, (minutes / 50 + quantity / 10 + draw.normal(0, 1, n) > 7).astype(int)


INVOICES = {
    "total == round(quantity * price, 2)",
    "charge == round(0.17 * minutes, 2)",
    "(if messages <= 0 then plan == 'no') and (if messages > 0 then plan == 'yes')",
}


def relations(fitted):
    """What was found, without the facts of single columns."""
    return fitted.findings_[fitted.findings_["by_chance"] > 0]


def test_relations_of_all_real_rows_are_found_and_kept_unasked():
    X, y = invoices()
    s = sampler(recipe="match", judge=None)
    new = s.fit_resample(X, y)[0].iloc[len(X) :]
    assert set(relations(s)["rule"]) == INVOICES
    assert list(relations(s).columns) == ["rule", "kind", "support", "by_chance"]
    assert relations(s)["by_chance"].is_monotonic_decreasing
    assert s.constraints_report_["rules"] == dict.fromkeys(relations(s)["rule"], 1.0)
    assert answers(list(INVOICES), new).all()
    assert s.constraints_report_["reverted"] < 0.05 * len(new)

    free = sampler(recipe="match", judge=None, constraints=None)
    made = free.fit_resample(X, y)[0].iloc[len(X) :]
    assert (~answers(list(INVOICES), made)).any(0).mean() > 0.9
    assert relations(free).empty
    assert free.constraints_report_["rules"] == {}


def test_own_rules_replace_those_that_would_be_found():
    X, y = invoices()
    s = sampler(recipe="match", judge=None, constraints="quantity <= 99")
    new = s.fit_resample(X, y)[0].iloc[len(X) :]
    assert relations(s).empty
    assert list(s.constraints_report_["rules"]) == ["quantity <= 99"]
    assert not answers(list(INVOICES), new).all()
    given = sampler(recipe="match", judge=None, constraints=Constraints.infer(X, kinds=["product"]))
    given.fit_resample(X, y)
    assert list(relations(given)["rule"]) == ["total == round(quantity * price, 2)"]


def test_own_rules_are_kept_beside_those_that_are_found():
    X, y = invoices()
    s = sampler(recipe="match", judge=None, constraints=["auto", "quantity <= 99"])
    new = s.fit_resample(X, y)[0].iloc[len(X) :]
    assert set(relations(s)["rule"]) == INVOICES
    assert set(s.constraints_report_["rules"]) == INVOICES | {"quantity <= 99"}
    assert answers([*INVOICES, "quantity <= 99"], new).all()


def test_a_table_without_relations_gets_the_rows_that_it_gets_without_rules():
    draw = np.random.default_rng(0)
    X = pd.DataFrame(draw.normal(size=(300, 6)), columns=list("abcdef"))
    X["level"], X["count"] = draw.choice(["u", "v", "w"], 300), draw.poisson(3, 300)
    y = (X["a"] + draw.normal(0, 1, 300) > 1).astype(int)
    found, free = sampler(), sampler(constraints=None)
    pd.testing.assert_frame_equal(found.fit_resample(X, y)[0], free.fit_resample(X, y)[0])
    assert relations(found).empty


@pytest.mark.filterwarnings("ignore:few new rows differ")
def test_rows_without_columns_have_no_relations():
    texts = [f"a{k % 5} b{k % 3} c" for k in range(40)]
    s = sampler(surrogate="auto")
    s.fit_resample(texts, np.arange(40) % 4 > 2)
    assert relations(s).empty
    assert s.constraints_report_["rules"] == {}


def test_names_and_levels_that_no_rule_can_spell_are_left_alone():
    X, y = invoices()
    X = X.rename(columns={"price": "a`b"})
    X["plan"] = X["plan"].map({"yes": "y\"e's", "no": "no"})
    s = sampler(recipe="match", judge=None)
    s.fit_resample(X, y)
    assert set(relations(s)["rule"]) == {
        "charge == round(0.17 * minutes, 2)",
    }
    X[1] = X["1"] = X["quantity"]
    assert len(Constraints.found(X)) == 0


def test_copies_keep_what_the_rows_of_fit_keep_if_that_is_asked_for():
    X, y = invoices()
    few = Ensemble(n_repeats=2, max_iter=40)
    t = AdversarialTransformer(constraints="auto", random_state=0, surrogate=few).fit(X, y)
    assert set(relations(t)["rule"]) == INVOICES
    rows = X[:40]  # too few to find anything in them
    new = t.transform(rows)
    assert answers(list(INVOICES), new).all()
    assert not new["minutes"].equals(rows["minutes"])
    free = AdversarialTransformer(random_state=0, surrogate=few).fit(X, y)
    assert relations(free).empty
    assert not answers(list(INVOICES), free.transform(rows)).all()


def test_weighted_sums_and_products_are_repaired_without_undoing_the_move():
    draw = np.random.default_rng(1)
    X = pd.DataFrame(draw.uniform(1, 99, (300, 3)), columns=list("abc"))
    X["mean"] = X[["a", "b", "c"]].mean(axis=1)
    X["excess"] = 2 * X["a"] - X["c"] + draw.uniform(-1, 1, 300) * 1e-5
    X["area"] = np.round(X["a"] * X["b"], 1)
    coding = TabularAdapter().fit(X)
    constraints, (seed, x) = coding.constraints("auto", X), moved(X, coding)
    assert {finding.kind for finding in constraints.findings} == {"linear", "product"}
    _, status = constraints.repair(x, seed, torch.arange(len(x)))
    assert (status == RepairStatus.REPAIRED).float().mean() > 0.98
