"""The values of a column: each is found, and no new row holds another one."""

import warnings

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.tree import DecisionTreeClassifier

from advaug import AdversarialOverSampler, AdversarialTransformer
from advaug.adapters import TabularAdapter
from advaug.constraints import Constraints
from advaug.domains.tables.calendars import CALENDARS, PATTERNS, find_calendar
from advaug.domains.tables.identifiers import Identifier
from advaug.domains.tables.value_sets import Step, ValueSet, learn_value_set
from advaug.estimators.strategies import grow
from advaug.models import Ensemble
from advaug.recipes import Explore
from advaug.report import validity_report
from advaug.robust import DistilledClassifier

pytestmark = pytest.mark.filterwarnings("ignore:column .* only tells rows apart")
N = 240
Y = (np.arange(N) % 4 == 0).astype(int)
FEW = np.array([0.137, 2.91, 7.77, 12.5])
QUICK = Ensemble(n_repeats=2, cv=2, hidden_width=8, max_iter=40)


def draw(seed=0):
    return np.random.default_rng(seed)


def dates(n, form="%Y%m%d", seed=0):
    days = pd.Timestamp("2023-01-01") + pd.to_timedelta(draw(seed).integers(0, 730, n), "D")
    return days.strftime(form).astype(int).to_numpy()


def table():
    r = draw()
    return pd.DataFrame(
        {
            "plain": r.normal(size=N) + 2 * Y,
            "stars": r.choice(np.arange(1, 11) / 2, N),
            "price": (r.random(N) * 100).round(2),
            "tens": r.integers(0, 30, N) * 5,
            "few": r.choice(FEW, N),
            "score": np.where(r.random(N) < 0.3, -999.0, r.normal(50, 9, N)),
            "claims": np.where(r.random(N) < 0.6, 0.0, 100 + r.exponential(300, N)),
            "capped": np.minimum(r.exponential(3000, N).round(), 8000.0),
            "day": dates(N),
            "at": r.integers(0, 24, N) * 100 + r.integers(0, 60, N),
            "fee": np.where(Y == 1, 0.0, r.normal(size=N)),
            "id": np.arange(N),
        }
    )


def multiples(new, real, step):
    return np.abs(new / step - np.rint(new / step)) < 1e-9


def outside(new, real, low, high):
    """No value between `low` and the next real one above it, up to `high`."""
    above = real[(real > low) & (real <= high)].min()
    return ~((new > low) & (new < above))


# Of each column: which of the new values are right, by the values of the real rows.
RIGHT = {
    "stars": lambda new, real: multiples(new, real, 0.5),
    "price": lambda new, real: multiples(new, real, 0.01),
    "tens": lambda new, real: multiples(new, real, 5),
    "few": lambda new, real: np.isin(new, FEW),
    "score": lambda new, real: outside(new, real, -999, 1e9),
    "claims": lambda new, real: outside(new, real, 0, 1e9),
    "capped": lambda new, real: ~((new > real[real < 8000].max()) & (new < 8000)),
    "day": lambda new, real: CALENDARS[0].spells(new),
    "at": lambda new, real: (new % 100 < 60) & (new < 2400) & (new >= 0),
}


def check(new, real):
    for name, is_right in RIGHT.items():
        values, of_real = (np.asarray(X[name], dtype=float) for X in (new, real))
        known = ~np.isnan(values)
        assert is_right(values[known], of_real[~np.isnan(of_real)]).all(), name
        assert (values[known] >= np.nanmin(of_real)).all(), name
        assert (values[known] <= np.nanmax(of_real)).all(), name


def grown(X, y=Y, **settings):
    s = AdversarialOverSampler(**{"surrogate": QUICK, "random_state": 0, **settings})
    out, labels = s.fit_resample(X, y)
    assert min(s.surrogate_auc_.values()) > 0.6  # Otherwise every recipe interpolates.
    return s, out, labels


# ---------------------------------------------------------------- by construction, everywhere


@pytest.mark.parametrize(
    "recipe", ["explore", "match", "boundary", "harden", "translate", "interpolate"]
)
def test_every_recipe_keeps_the_values_and_the_shares_of_special_ones(recipe):
    X = table()
    _, out, _ = grown(X, recipe=recipe)
    new, own = out.iloc[N:], X[Y == 1]
    check(new, X)
    assert (new["fee"] == 0).all()
    for name, atom in (("score", -999), ("claims", 0), ("capped", 8000)):
        assert abs((new[name] == atom).mean() - (own[name] == atom).mean()) < 0.08
    assert out.dtypes.equals(X.dtypes)
    assert not new["price"].isin(X["price"]).all()


def test_voters_that_like_a_special_value_do_not_make_it_more_frequent():
    r = draw()
    is_none, y = r.random(2 * N) < 0.5, np.repeat(Y, 2)
    X = pd.DataFrame({"claims": np.where(is_none, 0.0, 100 + r.exponential(300, 2 * N))})
    X["a"] = r.normal(size=2 * N) + y * np.where(is_none, 3.0, 0.5)
    _, out, _ = grown(X, y)
    shares = [(rows["claims"] == 0).mean() for rows in (X[y == 1], out.iloc[2 * N :])]
    assert abs(shares[0] - shares[1]) < 0.03


def test_rows_of_distillation_hold_values_of_real_rows_bit_by_bit():
    X = table()
    _, out, _ = grown(X, surrogate="auto", recipe="distill", sampling_strategy=grow(1.5))
    new = out.iloc[N:]
    check(new, X)
    for name in X.columns.drop("id"):
        assert new[name].isin(X[name]).all(), name


class Seen(ClassifierMixin, BaseEstimator):
    """A teacher that remembers the rows that it was asked about."""

    def __init__(self):
        self.rows = []

    def __sklearn_clone__(self):
        return self

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        self.rows.append(X)
        return np.full((len(X), 2), 0.5)

    def predict(self, X):
        return np.zeros(len(X), int)


def test_rows_for_a_student_hold_the_values_too():
    X, teacher = table(), Seen()
    DistilledClassifier(DecisionTreeClassifier(), teacher, n_new_rows=300, random_state=0).fit(X, Y)
    new = pd.concat(rows for rows in teacher.rows if not rows["id"].isin(X["id"]).any())
    assert len(new) == 300
    check(new, X)
    assert new["id"].is_unique


@pytest.mark.parametrize(
    ("attack", "radius"), [("fgsm", 0.7), ("pgd", 2.0), ("square", 2.0), ("noise", 3.0)]
)
def test_adversarial_copies_hold_the_values_and_keep_their_identifier(attack, radius):
    X = table()
    t = AdversarialTransformer(attack=attack, radius=radius, surrogate=QUICK, random_state=0)
    new = t.fit(X, Y).transform(X)
    check(new, X)
    assert new["id"].equals(X["id"])
    assert not new["price"].equals(X["price"])


CONTAINERS = {
    "numpy": lambda X: X.to_numpy(float),
    "nullable": lambda X: X.convert_dtypes(),
    "missing": lambda X: X.mask(draw(3).random(X.shape) < 0.1).assign(id=X["id"]),
    "nullable and missing": lambda X: (
        X.mask(draw(3).random(X.shape) < 0.1).assign(id=X["id"]).convert_dtypes()
    ),
    "polars": pl.from_pandas,
    "arrow": lambda X: X.convert_dtypes(dtype_backend="pyarrow"),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_keeps_the_values(container):
    X = table()
    given = CONTAINERS[container](X)
    _, out, _ = grown(given)
    names = X.columns
    new = out.to_pandas() if isinstance(out, pl.DataFrame) else out
    new = pd.DataFrame(new, columns=names) if isinstance(new, np.ndarray) else new
    check(new.iloc[N:], X)
    assert new["id"].is_unique


def test_decimals_come_back_as_they_are_written():
    r = draw()
    X = pd.DataFrame({"a": r.normal(size=N) + 2 * Y, "tenth": r.integers(0, 90, N) / 10})
    X["noisy"] = np.cumsum(np.full(N, 0.1))  # 0.30000000000000004, ...
    X["noisy"] = X["noisy"].to_numpy()[r.permutation(N)]
    for dtype in ("float64", "float32"):
        rows = X.astype(dtype)
        _, out, _ = grown(rows)
        tenth = out["tenth"].iloc[N:].to_numpy()
        assert (tenth == (np.rint(tenth.astype(float) * 10) / 10).astype(dtype)).all()
        assert out["noisy"].iloc[N:].isin(rows["noisy"]).all()


def test_a_plain_number_may_hold_any_value_between_its_bounds():
    X = table()
    s, out, _ = grown(X)
    new = out["plain"].iloc[N:]
    assert not new.isin(X["plain"]).any()
    assert not s.findings_["rule"].str.contains("plain").any()


@pytest.mark.parametrize("n", [N, 10_001])  # Of more than 10 000 values none is remembered.
def test_a_plain_float_moves_as_far_as_the_real_rows_go_and_no_farther(n):
    r = draw()
    v = r.normal(size=n)
    X = pd.DataFrame({"v": v, "w": r.normal(size=n)})
    coding = TabularAdapter().fit(X)
    x, number = coding.encode(X), coding.layout.numbers[0]
    by = torch.tensor([100.0, 0.0])
    for sign, end in ((1, v.max()), (-1, v.min())):
        assert (coding.decode(x + sign * by, x, X)["v"] == end).all()
        inside = coding.space().project(x + sign * by, x, torch.full((n,), 1000.0))
        expected = torch.full((n,), (end - number.center) / number.scale)
        assert torch.allclose(inside[:, 0], expected, atol=1e-6)
        assert torch.equal(inside[:, 1], x[:, 1])
    near = coding.decode(x + by / 1e5, x, X)["v"] - v
    inner = v < v.max() - 0.01
    np.testing.assert_allclose(near[inner], 1e-3 * number.scale, rtol=1e-2)
    outside = X.iloc[:2].assign(v=[v.max() + 5, v.min() - 5])
    far = coding.encode(outside)
    for sign, expected in ((1, [v.max() + 5, v.max()]), (-1, [v.min(), v.min() - 5])):
        assert coding.decode(far + sign * by, far, outside)["v"].tolist() == expected


def test_special_values_stand_far_from_the_dates_and_inner_ones_are_no_special_values():
    days = dates(N).astype(float)
    with_zero = find_calendar(np.r_[days, 0, 0])
    counts = with_zero.count(np.r_[days, 0])
    assert counts[-1] < counts[:-1].min() - 5 * np.ptp(counts[:-1])
    assert with_zero.spell(counts).tolist() == [*days, 0]
    inner = float(np.median(days)) // 100 * 100 + 77  # no day, between the others
    assert find_calendar(np.r_[days, inner, inner]) is None
    assert find_calendar(np.r_[days, 0]) is None  # It does not repeat.


def test_the_weekend_belongs_to_the_weekday_before():
    pattern = next(one for one in PATTERNS if one.name == "weekday")
    week = np.datetime64("2024-01-01").astype("M8[D]").astype(int) + np.arange(14.0)
    assert (np.diff(pattern.count(week)) == [1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 0, 0]).all()
    assert pattern.spells(week).tolist() == 2 * [*5 * [True], False, False]


def test_extremes_name_only_the_columns_that_are_needed():
    r = draw()
    X = pd.DataFrame({name: r.normal(size=N) for name in "uv"})
    X["top"] = X[["u", "v"]].max(axis=1)
    X["low"] = X["top"] - r.exponential(size=N) - 50  # always below
    rules = Constraints.infer(X, kinds=["extreme"])
    assert [finding.rule for finding in rules.findings] == ["top == max(u, v)"]
    negative = pd.DataFrame({"p": r.normal(size=N).round(3), "d": r.normal(size=N).round(3)})
    negative["f"] = negative["p"] * (1 - negative["d"])  # d is no rate
    assert not Constraints.infer(negative, kinds=["product"]).findings


# ---------------------------------------------------------------- what is found of a column


def shortest(values):
    """As a table holds them that was written from float32 and read as float64."""
    return np.array([float(str(one)) for one in values.astype(np.float32)])


ROUNDED = {
    "float32 in few digits": (shortest(np.arange(-300, 1200) / 9), "v is a multiple of 1/9"),
    "five significant digits": (
        np.array([float(f"{one:.5g}") for one in np.arange(1, 430) / 517]),
        "v is a multiple of 1/517",
    ),
    "six decimals": ((np.arange(-30, 60) / 26.09 + 0.3).round(6), "equal steps of 0.0383289"),
}


@pytest.mark.parametrize("case", ROUNDED)
def test_rounded_numbers_keep_the_step_that_they_had(case):
    values, words = ROUNDED[case]
    seen = draw().permutation(np.repeat(values, 2))[: len(values)]  # About six of ten values.
    X = pd.DataFrame({"v": seen, "w": draw().normal(size=len(seen))})
    coding = TabularAdapter().fit(X)
    assert any(words in finding.rule for finding in coding.findings)
    found = coding.layout.numbers[0].values
    inside = values[(values >= seen.min()) & (values <= seen.max())]
    assert found.holds(inside, 2e-7 * np.abs(inside).max()).all()
    few = found.nearest(draw().uniform(seen.min(), seen.max(), 200))
    assert max(len(str(abs(one))) for one in few) <= max(len(str(abs(one))) for one in values)


def test_rules_between_rounded_numbers_are_repaired_to_such_numbers():
    r = draw()
    light = r.integers(1, 600, N) + 200 * Y
    red, green, blue = (light + r.integers(0, 90, N) for _ in range(3))
    ninths = {"red": red, "green": green, "blue": blue, "more_red": 2 * red - green - blue}
    X = pd.DataFrame({name: shortest(whole / 9) for name, whole in ninths.items()})
    X["mean"] = shortest((red + green + blue) / 27)
    rules = [
        "abs(mean - (red + green + blue) / 3) <= 0.001",
        "abs(more_red - (2 * red - green - blue)) <= 0.002",
    ]
    s, out, _ = grown(X, constraints=rules)
    assert (s.provenance_["status"] == "repaired").mean() > 0.9
    assert s.constraints_report_["reverted"] == 0
    new = out.iloc[N:]
    for name, parts in {**dict.fromkeys(ninths, 9), "mean": 27}.items():
        np.testing.assert_allclose(new[name] * parts, np.rint(new[name] * parts), atol=2e-3)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (draw().choice(np.arange(1, 11) / 2, N), "v is a multiple of 0.5"),
        ((draw().random(N) * 100).round(2), "v is a multiple of 0.01"),
        (draw().integers(0, 30, N) * 5, "v is a multiple of 5"),
        (draw().integers(0, 30, N) * 0.05, "v is a multiple of 0.05"),
        (draw().integers(0, 30, N) * 4 + 3, "v is 3 above a multiple of 4"),
        (draw().integers(0, 50, N) / 7.3, "v is one of equal steps of 0.136986"),
        (draw().integers(0, 50, N) / 7, "v is a multiple of 1/7"),
        (draw().integers(0, 50, N) * 0.0621, "v is a multiple of 0.0621"),
        (draw().integers(1, 50, N) * 5 - draw(1).choice([0, 0.01], N), "v is a multiple of 0.01"),
        (draw().choice(FEW, N), "v is one of 4 values: 0.137, 2.91, 7.77, 12.5"),
        (draw().choice([0, 5, 20, 50], N), "v is one of 4 values: 0, 5, 20, 50"),
        (
            np.where(draw().random(N) < 0.1, 99, draw(1).integers(18, 80, N)),
            "v has the special value 99, with no value between 79 and 99",
        ),
        (dates(N), "v spells a date (yyyymmdd)"),
        (dates(N, "%d%m%Y"), "v spells a date (ddmmyyyy)"),
        (dates(N, "%Y%m"), "v spells a month (yyyymm)"),
    ],
)
def test_a_column_is_told_in_one_sentence(values, words):
    for cells in (values, values.astype(float)):
        coding = TabularAdapter().fit(pd.DataFrame({"v": cells, "w": draw().normal(size=N)}))
        assert words in [finding.rule for finding in coding.findings]
        off = TabularAdapter(value_sets=None).fit(pd.DataFrame({"v": cells, "w": cells}))
        assert off.findings == []


@pytest.mark.parametrize(
    "values",
    [
        draw().normal(size=N),
        draw().lognormal(8, 2, N),
        draw().integers(18, 80, N),
        draw().poisson(3, N),
        draw().integers(1000, 2400, N),
        draw().choice([0, 1], N),
    ],
)
def test_of_plain_numbers_nothing_is_told(values):
    rows = pd.DataFrame({"v": values, "w": draw(1).normal(size=N)})
    assert TabularAdapter().fit(rows).findings == []


def test_special_values_beside_each_other_and_inside_of_the_others_are_found():
    r = draw()
    values = np.select([r.random(N) < 0.1, r.random(N) < 0.1], [-999, -998], r.normal(50, 9, N))
    learnt = learn_value_set(values)
    assert learnt.atoms.tolist() == [-999, -998]
    least = values[values > 0].min()
    assert learnt.nearest(np.array([-998.7, -500.0, 0.0, 50.5])).tolist() == [
        -999,
        -998,
        least,
        50.5,
    ]
    inside = learn_value_set(np.where(r.random(N) < 0.15, 0.0, r.normal(size=N)))
    assert inside.atoms.tolist() == [0]
    assert inside.gaps.shape == (2, 0)


@pytest.mark.parametrize(("unknown", "is_special"), [(-1.0, True), (1.0, False)])
def test_the_only_negative_value_is_special_though_others_are_as_frequent(unknown, is_special):
    r = draw()
    amounts = 5 * np.ceil(r.gamma(4, 2, N))
    values = np.where(r.random(N) < 0.05, unknown, amounts)
    learnt = learn_value_set(values)
    assert learnt.atoms.tolist() == ([unknown] if is_special else [])
    if is_special:
        near = learnt.nearest(np.array([0.0, 1.4, 4.0]))
        assert near.tolist() == [unknown, unknown, amounts.min()]


def test_whole_numbers_that_floats_cannot_tell_apart_are_no_levels():
    codes = 2**60 + 17 + 3 * draw().integers(0, 300, N)
    assert len(np.unique(codes.astype(float))) < 10 < len(np.unique(codes))
    assert learn_value_set(codes.astype(float)).is_free
    X = pd.DataFrame({"huge": codes, "a": draw(1).normal(size=N)})
    y = (np.arange(N) % 4 == 0).astype(int)
    made = AdversarialOverSampler(random_state=0).fit_resample(X, y)[0]["huge"].iloc[N:]
    assert codes.min() <= made.min() <= made.max() <= codes.max()


def test_the_nearest_value_is_exact_and_stays_what_it_is():
    values = (draw().random(N) * 100).round(2)
    learnt = learn_value_set(values)
    assert learnt.step == Step(0.0, 1.0, 100.0)
    tried = draw(1).random(1000) * 100
    near = learnt.nearest(tried)
    assert near.tolist() == tried.round(2).tolist()
    np.testing.assert_array_equal(learnt.nearest(near), near)
    np.testing.assert_array_equal(learnt.nearest(values), values)


@pytest.mark.parametrize("calendar", CALENDARS, ids=lambda one: one.name)
def test_a_calendar_counts_and_spells_alike(calendar):
    counts = np.arange(900)
    if "year" not in calendar.name and "yy" not in calendar.name and calendar.tick == "day":
        counts = 10_957 + np.arange(366)  # the days of 2000
    spelt = calendar.spell(counts.astype(float))
    np.testing.assert_array_equal(calendar.count(spelt), counts)
    assert calendar.spells(spelt).all()


def test_a_day_that_does_not_exist_is_the_nearest_one():
    calendar = CALENDARS[0]
    wrong = np.array([20240230.0, 20230229, 20231301, 20230100])
    assert calendar.spell(calendar.count(wrong)).tolist() == [
        20240229,
        20230228,
        20231201,
        20230101,
    ]
    assert not calendar.spells(wrong).any()
    assert find_calendar(np.append(dates(N), 20240230.0)) is None


FORMS = {  # what is spelt: by strftime, the days that are drawn, and the words
    "yymmdd": ("%y%m%d", 1095, "date (yymmdd)"),
    "ddmmyy": ("%d%m%y", 9000, "date (ddmmyy)"),
    "mmddyyyy": ("%m%d%Y", 1095, "date (mmddyyyy)"),
    "mmdd": ("%m%d", 1095, "date (mmdd)"),
    "yyyyddd": ("%Y%j", 1095, "day of the year (yyyyddd)"),
    "yyyyww": ("%G%V", 3000, "week (yyyyww)"),
    "yyyymmddHH": ("%Y%m%d%H", 700, "moment (yyyymmddHH)"),
    "yyyymmddHHMM": ("%Y%m%d%H%M", 700, "moment (yyyymmddHHMM)"),
    "yyyymmddHHMMSS": ("%Y%m%d%H%M%S", 700, "moment (yyyymmddHHMMSS)"),
}


SPECIALS = (None, 0, -1, 99_999_999_999_999)


@pytest.mark.parametrize(("form", "special"), [*zip(FORMS, 3 * SPECIALS, strict=False)])
def test_moments_spelt_as_numbers_stay_moments(form, special):
    pattern, span, words = FORMS[form]
    r = draw(4)
    moments = pd.Timestamp("2020-02-01") + pd.to_timedelta(r.integers(0, span * 86_400, N), "s")
    spelt = moments.strftime(pattern).astype("int64").to_numpy()
    given = spelt if special is None else np.where(r.random(N) < 0.2, special, spelt)
    X = pd.DataFrame({"a": r.normal(size=N) + 2 * Y, "at": given})
    s, out, _ = grown(X)
    assert f"at spells a {words}" in s.findings_["rule"].tolist()
    new = out["at"].iloc[N:]
    new = new[new != special]
    calendar = next(one for one in CALENDARS if one.name == words)
    assert calendar.spells(new.to_numpy(float)).all()
    count = calendar.count(spelt.astype(float))
    assert calendar.count(new.to_numpy(float)).min() >= count.min()
    assert calendar.count(new.to_numpy(float)).max() <= count.max()
    assert not new.isin(given).all()
    if special is not None:
        share = (out["at"].iloc[N:] == special).mean()
        assert abs(share - (given[Y == 1] == special).mean()) < 0.1


def test_quarters_are_spelt_from_1_to_4():
    r = draw()
    spelt = r.integers(2005, 2024, N) * 10 + r.integers(1, 5, N)
    X = pd.DataFrame({"a": r.normal(size=N) + 2 * Y, "q": spelt})
    _, out, _ = grown(X)
    assert (out["q"] % 10).between(1, 4).all()
    assert not out["q"].iloc[N:].isin(spelt[Y == 1]).all()


def test_of_two_calendars_the_one_with_the_shorter_span_is_meant():
    days = pd.date_range("2001-01-01", "2003-12-31", periods=N)
    spelt = days.strftime("%y%m%d").astype(float).to_numpy()  # also days of 2001 to 2031
    assert find_calendar(spelt).name == "date (yymmdd)"
    spelt = days.strftime("%d%m%y").astype(float).to_numpy()
    assert find_calendar(spelt).name == "date (ddmmyy)"


def moments(form):
    r, day = draw(5), np.timedelta64(1, "D")
    start = np.datetime64("2020-01-01")
    return {
        "weekdays": lambda: np.busday_offset(start, r.integers(0, 600, N)),
        "first days": lambda: start.astype("M8[M]") + r.integers(0, 200, N),
        "last days": lambda: (start.astype("M8[M]") + r.integers(0, 200, N)).astype("M8[D]") - day,
        "quarter hours": lambda: start + 15 * r.integers(0, 60_000, N).astype("m8[m]"),
        "Mondays": lambda: np.datetime64("2020-01-06") + 7 * r.integers(0, 300, N).astype("m8[D]"),
        "few": lambda: start + r.choice([0, 31, 200, 711], N).astype("m8[D]"),
        "special": lambda: np.where(
            r.random(N) < 0.2, np.datetime64("1900-01-01"), start + r.integers(0, 700, N)
        ),
        "never": lambda: np.where(
            r.random(N) < 0.2, np.datetime64("9999-12-31"), start + r.integers(0, 700, N)
        ),
    }[form]().astype("M8[s]")


MOMENTS = {  # which of the new moments are right, and what is told
    "weekdays": (lambda d, real: d.day_of_week < 5, "d is always a weekday"),
    "first days": (lambda d, real: d.day == 1, "d is always a first day of a month"),
    "last days": (lambda d, real: d.is_month_end, "d is always a last day of a month"),
    "quarter hours": (
        lambda d, real: (d.minute % 15 == 0) & (d.second == 0),
        "d is a multiple of 15 minutes since 1970",
    ),
    "Mondays": (lambda d, real: d.day_of_week == 0, "d is 4 above a multiple of 7 days since 1970"),
    "few": (
        lambda d, real: d.isin(real),
        "d is one of 4 values: 2020-01-01T00:00:00, 2020-02-01T00:00:00, 2020-07-19T00:00:00, "
        "2021-12-12T00:00:00",
    ),
    "special": (
        lambda d, real: d.isin(real) | (d.year >= 2020),
        "d has the special value 1900-01-01T00:00:00, with no value between",
    ),
    "never": (
        lambda d, real: d.isin(real) | (d.year < 2022),
        "d has the special value 9999-12-31T00:00:00, with no value between",
    ),
}
HOLDERS = {
    "seconds": lambda d: pd.Series(d),
    "nanoseconds": lambda d: pd.Series(d).dt.as_unit("ns"),
    "missing": lambda d: pd.Series(d).mask(draw(6).random(N) < 0.1),
    "zone": lambda d: pd.Series(d).dt.tz_localize("UTC"),
}


@pytest.mark.parametrize(
    ("form", "held"),
    [*((form, "seconds") for form in MOMENTS), *zip(MOMENTS, [*HOLDERS] * 2, strict=True)][1:],
)
def test_a_column_of_moments_keeps_its_values(form, held):
    if form == "never" and held == "nanoseconds":
        return  # They end in 2262.
    is_right, words = MOMENTS[form]
    real = HOLDERS[held](moments(form))
    X = pd.DataFrame({"a": draw().normal(size=N) + 2 * Y, "d": real})
    s, out, labels = grown(X)
    new = out["d"].iloc[N:]
    assert new.dtype == real.dtype
    known = pd.DatetimeIndex(new.dropna())
    assert is_right(known, pd.DatetimeIndex(real.dropna())).all()
    if held == "seconds":
        assert any(rule.startswith(words) for rule in s.findings_["rule"])
        assert (form == "few") == new.isin(real).all()
    line = next(c for c in validity_report(s, out, labels).checks if c.name == "impossible values")
    assert line.found == "0 % of rows"


def test_plain_days_and_times_are_read_as_before():
    r = draw()
    days = np.datetime64("2020-01-01") + r.integers(0, 700, N)
    for held in (days, days + r.integers(0, 86_400, N).astype("m8[s]")):
        coding = TabularAdapter().fit(pd.DataFrame({"d": held, "a": r.normal(size=N)}))
        assert coding.findings == []
        assert coding.layout.numbers[0].calendar is None


def test_rules_over_weekdays_are_kept():
    r = draw()
    start = np.busday_offset(np.datetime64("2020-01-01"), r.integers(0, 600, N))
    X = pd.DataFrame({"a": r.normal(size=N) + 2 * Y, "start": start.astype("M8[s]")})
    X["end"] = np.busday_offset(start, r.integers(0, 3, N)).astype("M8[s]")
    s, out, _ = grown(X, constraints="start <= end")
    new = out.iloc[N:]
    assert (new["start"] <= new["end"]).all()
    assert (new[["start", "end"]].stack().dt.day_of_week < 5).all()
    assert s.constraints_report_["repaired"]


@pytest.mark.parametrize("huge", [-1e30, 3.4e38, 1e300])
def test_a_special_value_may_be_huge(huge):
    r = draw()
    v = np.where(r.random(N) < 0.2, huge, r.normal(50, 9, N).round(1))
    X = pd.DataFrame({"a": r.normal(size=N) + 2 * Y, "v": v})
    _, out, _ = grown(X)
    new, others = out["v"].iloc[N:], v[v != huge]
    rest = new[new != huge]
    assert rest.between(others.min(), others.max()).all()
    assert multiples(rest, None, 0.1).all()
    assert abs((new == huge).mean() - (v[Y == 1] == huge).mean()) < 0.1


# ---------------------------------------------------------------- identifiers and codes


IDENTIFIERS = {
    "a saved index": ("Unnamed: 0", np.arange(N)),
    "shuffled": ("v", draw().permutation(N) + 1),
    "a sample of an index": ("v", np.sort(draw().permutation(N + 80)[:N])),
    "with gaps": ("v", np.cumsum(draw().integers(1, 40, N))),
    "by its name": ("customer_id", draw().permutation(900_000)[:N] + 100_000),
    "text": ("v", np.array([f"C{k:05d}" for k in draw().permutation(N) + 7])),
}


@pytest.mark.parametrize("kind", IDENTIFIERS)
def test_an_identifier_is_not_learnt_from_and_new_rows_get_fresh_ones(kind):
    name, values = IDENTIFIERS[kind]
    X = pd.DataFrame(
        {"a": draw().normal(size=N) + 2 * Y, "b": draw(1).normal(size=N), name: values}
    )
    coding = TabularAdapter().fit(X)
    assert coding.encode(X).shape == (N, 2)
    s, out, _ = grown(X, batch_size=32)
    assert out[name].is_unique
    assert out[name].dtype == X[name].dtype
    assert (s.findings_["kind"] == "identifier").sum() == 1
    kept, same, _ = grown(X, adapter=TabularAdapter(frozen=[name]))
    if kind != "text":  # Frozen text is copied.
        assert same[name].iloc[N:].isin(X[name]).all()
    assert not (kept.findings_["kind"] == "identifier").any()


def test_an_identifier_that_gives_new_rows_away_is_told_once_with_the_mend():
    X = pd.DataFrame({"a": draw().normal(size=N) + 2 * Y, "id": np.arange(N)})
    with pytest.warns(UserWarning, match="column 'id' only tells rows apart") as told:
        _, out, _ = grown(X)
    assert len(told) == 1
    assert told[0].filename == __file__
    assert out["id"].iloc[N:].min() >= N
    drop = make_column_transformer(("drop", ["id"]), remainder="passthrough")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        few, _ = grown(drop.fit_transform(X))[1:]
        grown(X, adapter=TabularAdapter(frozen=["id"]))
    assert few.shape == (len(out), 1)


def test_no_relation_holds_a_fresh_identifier():
    X = pd.DataFrame({"a": draw().normal(size=N) + 2 * Y, "id": np.arange(N)})
    X["block"] = X["id"] // 60
    for given in (X, X.to_numpy(float)):
        s, _, _ = grown(given)
        relations = s.findings_["rule"][s.findings_["by_chance"] > 0]
        assert not relations.str.contains("id|x1").any()
    assert any("id" in rule for rule in Constraints.found(X).rules)


def test_a_saved_index_goes_on_counting():
    X = pd.DataFrame({"a": draw().normal(size=N) + 2 * Y, "i": np.arange(N)})
    _, out, _ = grown(X)
    fresh = out["i"].iloc[N:]
    # Classes take turns, and the other class does not grow.
    assert fresh.tolist() == list(range(N + 1, N + 1 + 2 * len(fresh), 2))
    assert out["i"].iloc[:N].tolist() == list(range(N))


def test_a_full_dtype_repeats_the_identifier_of_the_parent():
    y = np.arange(127) % 4 == 0
    X = pd.DataFrame({"a": draw().normal(size=127) + 2 * y, "i": np.arange(127, dtype=np.int8)})
    _, out, _ = grown(X, y)
    assert out["i"].dtype == np.int8
    assert out["i"].iloc[127:].isin(X["i"]).all()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("income", draw().permutation(90_000)[:N]),
        ("year", np.arange(1800, 1800 + N)),
        ("seconds", 1_700_000_000 + np.cumsum(draw().integers(1, 9000, N))),
        ("size", np.sort(draw().normal(size=N))),
    ],
)
def test_numbers_that_differ_in_all_rows_may_be_measurements(name, values):
    X = pd.DataFrame({"a": draw().normal(size=N), name: values})
    assert len(TabularAdapter().fit(X).layout.numbers) == 2


def test_a_single_column_is_never_an_identifier():
    assert len(TabularAdapter().fit(np.arange(N)[:, None]).layout.numbers) == 1


def test_codes_are_not_mixed():
    codes = draw().choice([10115, 20095, 80331, 50667, 1067, 4109], N)
    X = pd.DataFrame({"a": draw().normal(size=N) + 2 * Y, "zip_code": codes, "b": Y * 1.0})
    s, out, _ = grown(X)
    assert out["zip_code"].isin(codes).all()
    assert out["zip_code"].dtype == codes.dtype
    assert "code" in set(s.findings_["kind"])


@pytest.mark.parametrize("n_customers", [60, 200])
def test_the_number_of_a_customer_with_several_rows_is_a_code(n_customers):
    r = draw()
    numbers = r.integers(10**6, 10**7, n_customers)
    own = np.r_[numbers, r.choice(numbers, N - n_customers)]
    X = pd.DataFrame({"a": r.normal(size=N) + 2 * Y, "customer_id": own})
    s, out, _ = grown(X)
    assert out["customer_id"].isin(numbers).all()
    assert "code" in set(s.findings_["kind"])
    indices = X.rename(columns={"customer_id": "heat_index"})
    assert len(TabularAdapter().fit(indices).layout.numbers) == 2


@pytest.mark.filterwarnings("ignore:surrogate agrees with y")  # The net is not trained.
def test_a_net_of_the_users_is_told_how_to_read_dates_and_identifiers_as_numbers():
    from torch import nn

    X = pd.DataFrame({"a": draw().normal(size=N), "day": dates(N)})
    t = AdversarialTransformer(surrogate=nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"\['day'\].*TabularAdapter\(value_sets=None\)"):
        t.fit(X, Y)
    t.set_params(adapter=TabularAdapter(value_sets=None)).fit(X, Y)


# ---------------------------------------------------------------- the shape of a class


def test_what_nearly_all_rows_of_a_class_hold_is_kept():
    r = draw()
    X = pd.DataFrame({"a": r.normal(size=N) + 2 * Y})
    X["number"] = np.where(Y == 1, 7, r.integers(0, 30, N))
    X["flag"] = np.where(Y == 1, False, r.random(N) < 0.6)
    X["level"] = np.where(Y == 1, "none", r.choice(["none", "some", "many"], N))
    for recipe in (Explore(acceptance_power=0), "match", "translate"):
        _, out, _ = grown(X, recipe=recipe)
        new = out.iloc[N:]
        assert (new["number"] == 7).all()
        assert not new["flag"].any()
        assert (new["level"] == "none").all()
    off = TabularAdapter(value_sets=None)
    _, out, _ = grown(X, adapter=off, recipe=Explore(acceptance_power=0))
    assert not (out["number"].iloc[N:] == 7).all()


def test_random_moves_have_the_size_of_the_class():
    r = draw()
    X = pd.DataFrame(
        {"a": r.normal(size=N) + 3 * Y, "narrow": np.where(Y == 1, 0.02, 1) * r.normal(size=N)}
    )
    moves = Explore(max_mix=0, p_cross_class=0, acceptance_power=0)
    spread = {}
    for value_sets in ("auto", None):
        adapter = TabularAdapter(value_sets=value_sets)
        _, out, _ = grown(X, recipe=moves, adapter=adapter)
        spread[value_sets] = out["narrow"].iloc[N:].std()
    assert spread["auto"] < 0.5 * spread[None]


def test_no_new_values_pile_up_at_the_bounds():
    r = draw()
    X = pd.DataFrame({"a": r.normal(size=N) + 2 * Y, "tail": r.lognormal(3, 1.5, N)})
    _, out, _ = grown(X)
    new = out["tail"].iloc[N:]
    assert (new == X["tail"].min()).mean() < 0.03
    assert (new == X["tail"].max()).mean() < 0.03


# ---------------------------------------------------------------- columns that belong together


def related():
    r = draw()
    km, degrees = r.exponential(100, N).round(1), r.normal(20, 8, N).round(1)
    pay = r.lognormal(8, 1, N).round(2)
    frame = {
        "a": r.normal(size=N) + 2 * Y,
        "km": km,
        "metres": km * 1000,
        "celsius": degrees,
        "fahrenheit": (degrees * 1.8 + 32).round(2),
        "pay": pay,
        "log_pay": np.log(pay),
        "side": r.uniform(1, 9, N),
    }
    frame["area"] = frame["side"] ** 2
    shares = r.dirichlet([2, 3, 4], N).round(3)
    frame |= {"p": shares[:, 0], "q": shares[:, 1], "s": (1 - shares[:, 0] - shares[:, 1]).round(3)}
    kind = r.integers(0, 3, N)
    return pd.DataFrame(frame | {f"kind_{k}": (kind == k).astype(int) for k in range(3)})


def test_columns_that_belong_together_still_do():
    X = related()
    s, out, _ = grown(X)
    new = out.iloc[N:]
    np.testing.assert_allclose(new["metres"], new["km"] * 1000)
    np.testing.assert_allclose(new["fahrenheit"], new["celsius"] * 1.8 + 32, atol=0.006)
    np.testing.assert_allclose(new["log_pay"], np.log(new["pay"]))
    np.testing.assert_allclose(new["area"], new["side"] ** 2)
    np.testing.assert_allclose(new[["p", "q", "s"]].sum(axis=1), 1)
    assert (new[["kind_0", "kind_1", "kind_2"]].sum(axis=1) == 1).all()
    assert s.constraints_report_["reverted"] < 0.05 * len(new)


def test_functions_and_units_are_spelt_as_rules():
    rules = Constraints.infer(related(), kinds=["function", "linear"])
    assert {finding.rule for finding in rules.findings} == {
        "log_pay == log(pay)",
        "area == side * side",
        "fahrenheit == 9 * celsius / 5 + 32",
        "s == -p - q + 1",
    }


def drawn(kind):
    r = draw(8)
    u = r.integers(0, 100, (N, 3))
    day = np.datetime64("2015-01-01") + r.integers(0, 3000, N)
    dates = pd.Series(day.astype("M8[s]"))
    price, rate = (r.random(N) * 100 + 10).round(2), r.choice([0, 0.05, 0.1, 0.2], N)
    height, weight = r.normal(1.7, 0.1, N).round(2), r.normal(75, 12, N).round(1)
    part, whole = r.integers(1, 100, N), r.integers(100, 1000, N)
    number, copy = r.integers(0, 1000, N), r.normal(size=N)
    return {
        "rate": lambda: {"p": price, "d": rate, "f": (price * (1 - rate)).round(2)},
        "per cent": lambda: {"p": price, "d": 100 * rate, "f": (price * (1 + rate)).round(2)},
        "square": lambda: {"h": height, "w": weight, "bmi": (weight / height**2).round(1)},
        "three factors": lambda: (
            {f"f{k}": 1 + u[:, k] for k in range(3)} | {"volume": (1 + u).prod(1)}
        ),
        "share": lambda: {"part": part, "whole": whole, "share": (part / whole).round(4)},
        "max": lambda: {"u": u[:, 0], "v": u[:, 1], "w": u[:, 2], "top": u.max(1)},
        "min": lambda: {"u": u[:, 0], "v": u[:, 1], "low": u[:, :2].min(1)},
        "gap": lambda: {"u": u[:, 0], "v": u[:, 1], "gap": np.abs(u[:, 0] - u[:, 1])},
        "year": lambda: {"day": dates, "year": dates.dt.year},
        "month": lambda: {"day": dates, "month": dates.dt.month},
        "weekday": lambda: {"day": dates, "dow": dates.dt.day_of_week + 1},
        "hundreds": lambda: {"cents": number, "euros": number // 100},
        "log10": lambda: {"n": 1 + number, "l": np.log10(1 + number)},
        "copy": lambda: {"u": copy, "v": copy},
    }[kind]()


TOLD = {  # kind -> rule, and how far a new row may be off
    "rate": ("f == round(p * (1 - d), 2)", lambda X: X["f"] - X["p"] * (1 - X["d"]), 0.0051),
    "per cent": (
        "f == round(p * (1 + d / 100), 2)",
        lambda X: X["f"] - X["p"] * (1 + X["d"] / 100),
        0.0051,
    ),
    "square": ("bmi == round(w / (h * h), 1)", lambda X: X["bmi"] - X["w"] / X["h"] ** 2, 0.051),
    "three factors": (
        "volume == f0 * f1 * f2",
        lambda X: X["volume"] - X["f0"] * X["f1"] * X["f2"],
        0,
    ),
    "share": (
        "share == round(part / whole, 4)",
        lambda X: X["share"] - X["part"] / X["whole"],
        5.01e-5,
    ),
    "max": ("top == max(u, v, w)", lambda X: X["top"] - X[["u", "v", "w"]].max(axis=1), 0),
    "min": ("low == min(u, v)", lambda X: X["low"] - X[["u", "v"]].min(axis=1), 0),
    "gap": ("gap == abs(u - v)", lambda X: X["gap"] - (X["u"] - X["v"]).abs(), 0),
    "year": ("year == year_of(`day`)", lambda X: X["year"] - X["day"].dt.year, 0),
    "month": ("month == month_of(`day`)", lambda X: X["month"] - X["day"].dt.month, 0),
    "weekday": (
        "dow == weekday_of(`day`) + 1",
        lambda X: X["dow"] - X["day"].dt.day_of_week - 1,
        0,
    ),
    "hundreds": ("euros == floor(cents / 100)", lambda X: X["euros"] - X["cents"] // 100, 0),
    "log10": ("l == log10(n)", lambda X: X["l"] - np.log10(X["n"]), 1e-9),
    "copy": ("v == u", lambda X: X["v"] - X["u"], 0),
}


@pytest.mark.parametrize("kind", TOLD)
def test_relations_between_columns_are_found_and_kept(kind):
    rule, off, slack = TOLD[kind]
    X = pd.DataFrame({"a": draw().normal(size=N) + 2 * Y, **drawn(kind)})
    s, out, _ = grown(X, voters=None)
    assert rule.replace("`", "") in [one.replace("`", "") for one in s.findings_["rule"]]
    assert (np.abs(off(out.iloc[N:])) <= slack).all()
    assert s.constraints_report_["reverted"] < 0.1 * (len(out) - N)


def test_a_part_is_asked_of_dates_only():
    X = pd.DataFrame({"n": np.arange(60.0), "month": np.arange(60) % 12 + 1})
    with pytest.raises(ValueError, match="month_of reads a column of dates, which n is not"):
        Constraints("month == month_of(n)").check(X)


def test_a_level_that_follows_from_a_range_leaves_no_row_between_two_ranges():
    r = draw()
    cents = r.integers(0, 20, N) * 50 + r.integers(0, 20, N)
    X = pd.DataFrame({"a": r.normal(size=N) + 2 * Y, "cents": cents})
    X["band"] = np.where(cents < 200, "low", np.where(cents < 600, "mid", "high"))
    _, out, _ = grown(X, voters=None)
    ends = X.groupby("band")["cents"].agg(["min", "max"])
    new = out.iloc[N:]
    own = ends.loc[new["band"]]
    assert (new["cents"].to_numpy() >= own["min"].to_numpy()).all()
    assert (new["cents"].to_numpy() <= own["max"].to_numpy()).all()


# ---------------------------------------------------------------- the report


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("stars", 2.7, "stars = 2.7 is off its grid of 0.5"),
        ("price", 12.345, "price = 12.345 is off its grid of 0.01"),
        ("tens", 12, "tens = 12 is off its grid of 5"),
        ("few", 3.3, "few = 3.3 is none of its values"),
        ("score", -400.0, "score = -400 lies where no real value does"),
        ("claims", 3.0, "claims = 3 lies where no real value does"),
        ("day", 20240230, "day = 20240230 is no date (yyyymmdd)"),
        ("at", 1270, "at = 1270 is no time (HHMM)"),
        ("id", 3, "id = 3 is the identifier of another row"),
        ("fee", -99.0, "fee = -99 is below"),
    ],
)
def test_values_that_no_real_row_could_hold_are_faults(name, value, words):
    X = table()
    coding, new = TabularAdapter().fit(X), X.iloc[:8].assign(id=np.arange(N, N + 8))
    assert not any(len(fault.rows) for fault in coding.faults(X, new))
    new.loc[new.index[5], name] = value
    [fault] = [fault for fault in coding.faults(X, new) if len(fault.rows)]
    assert fault.rows.tolist() == [5]
    assert fault.words(5).startswith(words)


def test_the_report_names_the_columns_that_give_new_rows_away():
    X = table().drop(columns=["id"])
    own = X[Y == 1]
    new = own.sample(120, replace=True, random_state=0)
    new["plain"] += 3.0
    report = validity_report(X, Y, new, np.ones(120, int))
    line = next(check for check in report.checks if check.name == "tell-tale")
    assert line.status == "doubt"
    assert "by column plain" in line.found
    alike = own.sample(60, random_state=1)
    report = validity_report(X, Y, alike, np.ones(len(alike), int))
    line = next(check for check in report.checks if check.name == "tell-tale")
    assert line.status == "note"
    assert float(line.found.split()[1]) < 0.65


def test_the_report_of_the_samplers_own_rows_finds_no_impossible_value():
    X = table()
    s, out, labels = grown(X)
    report = validity_report(s, out, labels)
    line = next(check for check in report.checks if check.name == "impossible values")
    assert line.status == "good"
    assert line.found == "0 % of rows"


def test_the_switch_takes_auto_or_none():
    with pytest.raises(ValueError, match="value_sets must be 'auto' or None, got 'off'"):
        TabularAdapter(value_sets="off").fit(table())


def test_a_number_in_a_gap_goes_to_the_nearer_end():
    values = ValueSet(gaps=np.array([[0.0], [10.0]]))
    assert values.nearest(np.array([-1.0, 3.0, 8.0, 12.0])).tolist() == [-1, 0, 10, 12]


def test_a_number_is_special_only_if_its_gap_is_wide_by_both_measures():
    amounts = np.repeat(np.arange(0.0, 100.0), 3)
    for least, is_special in ((-30.0, True), (-12.0, False)):  # of usual gaps both are many
        learnt = learn_value_set(np.append(amounts + 100, [least + 100] * 3))
        assert (least + 100 in learnt.atoms) == is_special


def test_a_step_that_is_no_decimal_holds_all_values_in_a_range_of_some_steps():
    width = np.pi / 10
    on = np.arange(40) * width
    np.testing.assert_allclose(learn_value_set(np.repeat(on, 2)).step.width, width)
    assert learn_value_set(np.append(on, 30.3 * width)).step is None
    assert learn_value_set(np.append(on, 2e5 * width)).step is None


def test_an_identifier_is_counted_on_as_far_as_its_dtype_holds_numbers():
    identifier = Identifier("id", last=120, n_rows=60, limit=127)
    column = nw.from_native(pd.Series([5] * 9, dtype=np.int8, name="id"), series_only=True)
    fresh = identifier.renumbered(column, np.arange(9))
    assert fresh.to_list() == [*range(121, 128), 5, 5]
    column = nw.from_native(pd.Series([5, 5], name="id"), series_only=True)
    assert identifier.renumbered(column, np.array([3, 5])).to_list() == [124, 126]
