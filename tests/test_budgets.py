"""Budgets in the columns' own units: no cell moves farther, in whichever direction."""

import pickle
import re
import warnings
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import linprog
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from advaug import AdversarialTransformer, CommitteeClassifier
from advaug.adapters import Budget, TabularAdapter
from advaug.attacks import APGD, CAPGD, MOEVA, PGD, DeepFool, Square
from advaug.core.box import Box
from advaug.core.objectives import Margin
from advaug.models import Ensemble
from advaug.models.training import Training
from advaug.registry import ATTACKS
from advaug.robust import (
    AdversarialClassifier,
    AdversarialRegressor,
    RobustnessDisplay,
    robust_accuracy_scorer,
    robustness_table,
)
from tests.problems import problem_of

DAY = pd.Timedelta("1D")


def table(seed=0, n=60):
    """A column of each dtype, most of them far from 0."""
    generator = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "income": generator.lognormal(10, 0.5, n),
            "score": (generator.normal(size=n) * 1e4 + 3e5).astype(np.float32),
            "age": generator.integers(18, 80, n),
            "children": pd.array(generator.integers(0, 5, n), dtype="Int64"),
            "price": generator.integers(100, 9000, n) / 100,
            "owns": generator.random(n) < 0.5,
            "since": pd.Timestamp("2020-01-01") + generator.integers(0, 900, n) * DAY,
            "job": generator.choice(["clerk", "nurse", "smith"], n),
            "debt": np.where(generator.random(n) < 0.2, np.nan, generator.normal(size=n)),
        }
    )
    X.loc[3, "children"] = pd.NA
    score = X.income / 2e4 + 2 * (X.job == "nurse") - X.age / 40 + (X.score - 3e5) / 1e4
    return X, (score > score.median()).astype(int).to_numpy()


class Scores:
    """A model that is queried, and reads every column."""

    classes_ = np.array([0, 1])

    def decision_function(self, X):
        days = (X.since - pd.Timestamp("2020-01-01")) / DAY
        numbers = X[["income", "score", "age", "price"]].astype(float) @ [5e-5, 1e-4, -0.03, 0.01]
        rest = X.owns * 1.0 + days / 300 + X.debt.fillna(0) + X.children.astype(float).fillna(0)
        return (numbers - 31 + rest + (X.job == "nurse")).to_numpy()

    def predict(self, X):
        return (self.decision_function(X) > 0).astype(int)


def in_units(column):
    """Cells as the budgets measure them: moments in days."""
    if column.dtype.kind == "M":
        return ((column - pd.Timestamp("2020-01-01")) / DAY).to_numpy()
    return column.astype("float64").to_numpy(dtype=float, na_value=np.nan)


def assert_within(X, moved, budget, slack=1e-6):
    """Every cell lies within its budget, and columns without one are as they were."""
    pd.testing.assert_index_equal(X.columns, moved.columns)
    for name in X:
        if name == "job" or name not in budget:
            if name not in budget or not budget[name]:
                pd.testing.assert_series_equal(X[name], moved[name])
            continue
        low, high = budget[name] if np.ndim(budget[name]) else (-budget[name], budget[name])
        by = in_units(moved[name]) - in_units(X[name])
        by = by[~np.isnan(by)]
        assert (by <= high + slack).all(), (name, by.max(), high)
        assert (by >= low - slack).all(), (name, by.min(), low)
        assert moved[name].dtype == X[name].dtype


def random_budget(generator, columns):
    """Some of the columns, each with a number or a pair, many of them awkward."""
    sizes = {
        "income": 2e4,
        "score": 1e4,
        "age": 20,
        "children": 3,
        "price": 40,
        "owns": 1,
        "since": 200,
        "job": 1,
        "net": 2,
        "tax": 40,
        "total": 40,
    }
    budget = {}
    for name in columns:
        size, kind = sizes[name], generator.integers(5)
        high, low = size * 10.0 ** generator.uniform(-4, 0, size=2)
        if name in ("job", "owns"):
            budget[name] = int(generator.integers(2))
        elif kind:
            budget[name] = [high, (-low, high), (0, high), (-low, 0)][kind - 1]
    if not any(np.any(value) for value in budget.values()):
        budget[columns[0]] = 1
    return budget


QUICK = Ensemble(n_repeats=2, cv=2, hidden_width=8, max_iter=25)
FEW_STEPS = {
    "apgd": {"steps": 10},
    "autoattack": {"attacks": (APGD(steps=5), DeepFool(steps=5), Square(steps=5))},
    "caa": {"attacks": (CAPGD(steps=5), MOEVA(generations=5))},
    "capgd": {"steps": 10},
    "cw": {"steps": 10, "binary_search_steps": 2},
    "ead": {"steps": 10, "binary_search_steps": 2},
    "hopskipjump": {"steps": 1, "init_eval": 5, "max_eval": 10},
    "moeva": {"generations": 5},
    "nes": {"steps": 3, "pairs": 2},
    "patch": {"steps": 5},
    "spsa": {"steps": 3, "pairs": 2},
    "square": {"steps": 10},
    "uap": {"steps": 5},
}
# One that needs signals, texts or tokens is no attack of a table.
ATTACKS_OF_TABLES = [
    name for name in ATTACKS if ATTACKS[name]().requires <= {"cells", "gradient", "leaf_boxes"}
]


def rule_table(seed, n=24):
    """The table with a sum of two columns in whole cents; nearly all rows keep each rule."""
    X, y = table(seed, n)
    X["net"], X["tax"] = X.pop("debt").abs().round(2), X.price.round(2)
    X["total"] = (X.net + X.tax).round(2)
    return X, y


RULES = {
    "income >= 10 * age": lambda X: X.income >= 10 * X.age - SLACK,
    "price <= income": lambda X: X.price <= X.income + SLACK,
    "age >= children": lambda X: (X.age >= X.children).fillna(False).astype(bool),
    "total == net + tax": lambda X: (X.total - X.net - X.tax).abs() <= 0.005 + SLACK,
    "if owns then income >= 12000": lambda X: ~X.owns | (X.income >= 12000 - SLACK),
}
SLACK = 1e-6
NUMBERS = ["income", "score", "age", "price", "tax"]


@dataclass(frozen=True)
class Case:
    """A random table, budgets, rules, frozen columns and norm for an attack."""

    X: pd.DataFrame
    y: np.ndarray
    radius: dict
    rules: list
    frozen: list
    mover: AdversarialTransformer

    @classmethod
    def of(cls, attack, seed):
        generator = np.random.default_rng([seed, *attack.encode()])
        X, y = rule_table(seed)
        settings, surrogate = FEW_STEPS.get(attack, {}), QUICK
        if "leaf_boxes" in ATTACKS[attack]().requires:
            X = X[NUMBERS]
            surrogate = DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, y)
        rules = [rule for rule in RULES if set(re.findall(r"[a-z]+", rule)) - WORDS <= set(X)]
        rules = [rule for rule in rules if generator.random() < 0.5]
        frozen = [name for name in X if generator.random() < 0.15]
        movable = [name for name in X if name not in frozen]
        radius = random_budget(generator, movable or frozen[:1])
        if not movable:
            frozen = frozen[1:]
        mover = AdversarialTransformer(
            attack=ATTACKS[attack](**settings),
            radius=pd.Series(radius, dtype=object) if seed % 2 else radius,
            norm=[np.inf, 2, 1][generator.integers(3)],
            constraints=rules or None,
            adapter=TabularAdapter(frozen=frozen, max_flips=int(generator.integers(1, 3))),
            surrogate=surrogate,
            random_state=seed,
        )
        return cls(X, y, radius, rules, frozen, mover)

    def check(self):
        """No cell beyond its budget, no frozen cell moved, no rule broken that the row keeps."""
        X = self.X
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* rows were not moved by")
            warnings.filterwarnings("ignore", "surrogate agrees with y")
            moved = self.mover.fit(X, self.y).transform(X, self.y)
        assert_within(X, moved, self.radius, SLACK)
        pd.testing.assert_frame_equal(moved[self.frozen], X[self.frozen])
        for rule in self.rules:
            kept, keeps = RULES[rule](X), RULES[rule](moved)
            assert (keeps | ~kept).all(), (rule, X[kept & ~keeps], moved[kept & ~keeps])
        return moved


WORDS = {"if", "then"}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("attack", ATTACKS_OF_TABLES)
def test_no_cell_moves_beyond_its_budget_and_no_rule_is_broken(attack, seed):
    """`make fuzz` tries many more, see tests/test_fuzz.py."""
    Case.of(attack, seed).check()


def test_a_search_that_starts_from_no_row_asks_the_model_nothing():
    Case.of("leaves", 9).check()  # No other row lies within its budgets.


COSTS = {
    "income": 0.01,
    "score": 0.02,
    "age": 3,
    "children": 20,
    "price": 1,
    "owns": 60,
    "since": 0.5,
    "job": 70,
    "net": 30,
    "tax": 2,
    "total": 1,
}


def spent(X, moved, cost):
    """What the moves of each row cost."""
    total = np.zeros(len(X))
    for name, price in cost.items():
        if name == "job":
            total += price * (X.job != moved.job).to_numpy()
        else:
            total += price * np.nan_to_num(np.abs(in_units(moved[name]) - in_units(X[name])))
    return total


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("attack", ATTACKS_OF_TABLES)
def test_no_row_spends_more_than_its_total(attack, seed):
    case = Case.of(attack, seed)
    generator = np.random.default_rng(seed)
    cost = {name: price for name, price in COSTS.items() if name in case.radius}
    limits = {name: case.radius[name] for name in cost if name not in ("job", "owns")}
    limits = {name: value for name, value in limits.items() if generator.random() < 0.4}
    budget = Budget(cost, 10.0 ** generator.uniform(0, 3), limits)
    case.mover.set_params(radius=budget, norm=[1, np.inf][seed])
    moved = replace(case, radius=dict(budget)).check()
    assert (spent(case.X, moved, cost) <= budget.total + SLACK).all()


def linear(slopes):
    """A net without an offset whose logit of class 1 has these slopes."""
    net = nn.Linear(len(slopes), 2, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[0.0] * len(slopes), slopes]))
    return net


@pytest.mark.parametrize("attack", ["fgsm", "pgd", "apgd"])
def test_a_linear_model_is_moved_where_a_unit_of_cost_gains_most(attack):
    generator = np.random.default_rng(0)
    X = pd.DataFrame(20 * generator.normal(size=(90, 3)), columns=["a", "b", "c"])
    inside = (X.abs() < 20).all(axis=1)
    budget = Budget({"a": 2, "b": 1, "c": 4}, total=12, limits={"b": (-5, 5)})
    mover = AdversarialTransformer(
        attack=attack, radius=budget, surrogate=linear([1.0, 1.5, 1.0]), random_state=0
    )
    by = (mover.fit(X).transform(X) - X).abs()[inside]
    gain = by.to_numpy() @ [1.0, 1.5, 1.0]
    best = 5 * 1.5 + (12 - 5) / 2  # b to its limit, the rest of 12 for a.
    least = best - 1e-3 if attack == "fgsm" else 0.9 * best
    assert (gain >= least).all()
    assert (gain <= best + 1e-3).all()
    if attack == "fgsm":
        np.testing.assert_allclose(by, np.tile([3.5, 5, 0], (len(by), 1)), atol=0.01)


@pytest.mark.parametrize(("price", "flips"), [(2, True), (9, False), (20, False)])
def test_a_flip_is_bought_where_it_gains_more_than_numbers_for_its_cost(price, flips):
    generator = np.random.default_rng(0)
    X = pd.DataFrame(
        {"a": generator.normal(size=200) * 9, "job": generator.choice(["x", "y"], 200)}
    )
    columns = make_column_transformer(("passthrough", ["a"]), (OneHotEncoder(), ["job"]))
    model = make_pipeline(columns, LogisticRegression()).fit(X, np.arange(200) % 2)
    model[-1].coef_, model[-1].intercept_ = np.array([[1.0, 0.0, 4.0]]), np.array([-2.0])
    budget = Budget({"a": 1, "job": price}, total=10)
    mover = AdversarialTransformer(attack="fgsm", radius=budget, surrogate=model, random_state=0)
    moved = mover.fit(X).transform(X)
    label = model.predict(X)
    is_gain = (X.job == "y") == (label == 1)  # Its flip takes 4 from the logit of its class.
    assert ((moved.job != X.job) == (is_gain & flips)).all()
    inside = X.a.abs() < 8
    left = 10 - price * ((moved.job != X.job) & inside)
    np.testing.assert_allclose((moved.a - X.a).abs()[inside], left[inside], atol=0.01)


def test_a_display_and_a_table_take_multiples_of_a_total():
    X, y = table()
    X = X[["income", "age", "score"]]
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    budget = Budget({"income": 0.1, "score": 0.2}, total=300, limits={"income": (0, 5000)})
    curve = RobustnessDisplay.from_estimator(model, X, y, radii=[0, 1, 3], budget=budget)
    scores = curve.attacked["Pipeline"]
    wide = Budget(budget.cost, 900, {"income": (0, 15_000)})
    rows = robustness_table([model], X, y, radius=wide, scoring="accuracy")
    assert scores[2] == rows["auto"][0]
    assert scores[0] > scores[1] > scores[2]
    score = robust_accuracy_scorer("pgd", radius=wide)(model, X, y)
    assert score == pytest.approx(scores[2], abs=0.05)


def test_a_net_is_trained_and_a_regressor_attacked_within_a_total():
    X, y = table(n=120)
    X = X[["income", "age"]]
    budget = Budget({"income": 0.1, "age": 40}, total=100)
    brief = Training(epochs=3)
    net = AdversarialClassifier(radius=budget, training=brief, random_state=0).fit(X, y)
    assert net.adapter_.base is net.adapter_
    target = X.income / 1e4 - X.age / 10
    model = AdversarialRegressor(radius=budget, training=brief, random_state=0).fit(X, target)
    moved = model.attack_rows(X, target, attack="pgd")
    cost = spent(X, moved, budget.cost)
    assert (cost <= 100 + SLACK).all()
    assert cost.mean() > 50


BAD_BUDGETS = {
    "no total": (lambda: Budget({"age": 1}, 0), "total must be a finite number above 0, got 0"),
    "free": (
        lambda: Budget({"age": 0}, 1),
        r"cost\['age'\] must be a finite number above 0, got 0",
    ),
    "a limit alone": (lambda: Budget({"age": 1}, 1, {"pay": 2}), "'pay', which has no cost"),
    "no limit": (lambda: Budget({"age": 1}, 1, {"age": -2})["age"], r"limits\['age'\] must be"),
}


@pytest.mark.parametrize("name", BAD_BUDGETS)
def test_a_budget_that_says_nothing_is_refused(name):
    make, message = BAD_BUDGETS[name]
    with pytest.raises(ValueError, match=message):
        make()


def test_a_norm_without_effect_is_refused():
    X, y = table()
    mover = AdversarialTransformer(
        attack="noise", radius=Budget({"age": 1}, 5), norm=2, surrogate=Scores()
    )
    with pytest.raises(ValueError, match="norm=2 has no effect with a Budget"):
        mover.fit(X, y).transform(X, y)


class Sum:
    """A model that is queried, of a total and its parts."""

    classes_ = np.array([0, 1])

    def decision_function(self, X):
        return (X.a - X.b + X.total).to_numpy() - 20

    def predict(self, X):
        return (self.decision_function(X) > 0).astype(int)


def test_a_copy_that_a_rule_carries_beyond_a_budget_is_the_row_itself():
    generator = np.random.default_rng(0)
    X = pd.DataFrame({"a": generator.uniform(0, 20, 60), "b": generator.uniform(0, 20, 60)})
    X["total"] = X.a + X.b
    for budget, fewest in (({"a": 5, "total": 5}, 15), ({"a": 5, "total": 1}, 0)):
        mover = AdversarialTransformer(
            attack="noise",
            radius=budget,
            constraints="total == a + b",
            surrogate=Sum(),
            random_state=0,
        )
        moved = mover.fit(X).transform(X)
        assert_within(X, moved, budget)
        np.testing.assert_allclose(moved.total, moved.a + moved.b, atol=1e-6)
        assert (moved.a != X.a).sum() >= fewest


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize("attack", ["fgsm", "pgd", "apgd", "mifgsm", "deepfool", "nes"])
@pytest.mark.filterwarnings("ignore:.* rows were not moved by", "ignore:surrogate agrees with y")
def test_attacks_by_gradient_keep_to_budgets_and_use_them(attack, norm):
    X, y = table()
    columns = make_column_transformer(
        (StandardScaler(), ["income", "score", "age"]), (OneHotEncoder(), ["job"])
    )
    model = make_pipeline(columns, LogisticRegression()).fit(X, y)
    budget = {"income": (0, 20_000), "score": 5000.0, "age": (-9, 3)}
    mover = AdversarialTransformer(
        attack=attack, radius=budget, norm=norm, surrogate=model, random_state=0
    )
    moved = mover.fit(X, y).transform(X, y)
    assert_within(X, moved, budget)
    assert model.score(moved, y) < model.score(X, y) - 0.1


def test_in_norm_inf_a_linear_model_is_moved_by_all_of_each_budget():
    X, _ = table()
    columns = ["income", "age"]
    net = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[0.0, 0.0], [1e-4, -0.05]]))
    budget = {"income": (-300, 700), "age": (-4, 2)}
    t = AdversarialTransformer(attack="fgsm", radius=budget, surrogate=net, random_state=0)
    rows, labels = X[columns], (net(torch.tensor(X[columns].to_numpy()).float()).argmax(1)).numpy()
    by = t.fit(rows).transform(rows) - rows
    inside = (rows.income - 300 > rows.income.min()) & (rows.income + 700 < rows.income.max())
    inside &= (rows.age - 4 >= rows.age.min()) & (rows.age + 2 <= rows.age.max())
    expected = np.where(labels[:, None] == 1, [-300, 2], [700, -4])
    np.testing.assert_allclose(by[inside], expected[inside], atol=0.01)


def test_a_net_with_a_coding_of_its_own_is_attacked_within_budgets():
    X, y = table(n=200)
    X = X[["income", "age", "score"]]
    plain = AdversarialClassifier(radius=0.0, training=Training(epochs=30), random_state=0).fit(
        X, y
    )
    budget = {"income": (0, 15_000), "score": 8000}
    rows = robustness_table([plain], X, y, radius=budget, attacks=["pgd"])
    assert rows["pgd"][0] < rows["noise"][0] - 0.1
    t = AdversarialTransformer(attack="pgd", radius=budget, surrogate=plain, random_state=0)
    t = pickle.loads(pickle.dumps(clone(t).fit(X, y)))
    assert_within(X, t.transform(X, y), budget)
    x = t.adapter_.encode(X)
    logits = t.surrogate_.encoded_logits(t.adapter_, X, x)(x).softmax(1)
    np.testing.assert_allclose(logits.numpy(), plain.predict_proba(X), atol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*rows were not moved")
def test_a_committee_is_queried_within_budgets():
    X, y = table(n=120)
    X = X[["income", "age", "job"]]
    model = CommitteeClassifier(voters=None, random_state=0).fit(X, y)
    budget = {"income": (0, 15_000), "job": 1}
    t = AdversarialTransformer(attack="auto", radius=budget, surrogate=model, random_state=0)
    moved = t.fit(X, y).transform(X, y)
    assert_within(X, moved, budget)
    assert model.score(moved, y) < model.score(X, y) - 0.1


@pytest.mark.slow
def test_training_within_budgets_resists_attacks_within_them():
    X, y = table(n=400)
    X = X[["income", "age", "score"]]
    budget = {"score": (-12_000, 12_000)}
    settings = {"training": Training(epochs=40), "random_state": 0, "attack": "pgd"}
    models = {
        "plain": AdversarialClassifier(clean_weight=1, **settings).fit(X, y),
        "robust": AdversarialClassifier(radius=budget, clean_weight=0.3, **settings).fit(X, y),
    }
    rows = robustness_table(models, X, y, radius=budget, attacks=["pgd"]).set_index("estimator")
    assert rows.pgd["robust"] > rows.pgd["plain"] + 0.1
    # The trained net reads rows as any other: its budget is no part of its coding.
    assert models["robust"].adapter_.base is models["robust"].adapter_


def test_a_regressor_moves_rows_within_budgets():
    X, _ = table(n=120)
    X = X[["income", "age"]]
    target = X.income / 1e4 - X.age / 10
    budget = {"income": (-500, 0)}
    model = AdversarialRegressor(radius=budget, training=Training(epochs=3), random_state=0).fit(
        X, target
    )
    for radius in (None, {"age": 3}):
        moved = model.attack_rows(X, target, attack="pgd", radius=radius)
        assert_within(X, moved, budget if radius is None else radius)
        assert not moved.equals(X)


def test_the_display_takes_multiples_of_a_budget():
    X, y = table()
    X = X[["income", "age", "score"]]
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    budget = {"income": (0, 4000), "score": 2000}
    curve = RobustnessDisplay.from_estimator(model, X, y, radii=[0, 1, 3], budget=budget)
    scores = curve.attacked["Pipeline"]
    for place, times in ((1, 1), (2, 3)):
        wide = {"income": (0, 4000 * times), "score": 2000 * times}
        rows = robustness_table([model], X, y, radius=wide, scoring="accuracy")
        assert scores[place] == rows["auto"][0]
    assert scores[0] > scores[1] > scores[2]


REFUSED = {
    "pay": ({"pay": 1}, "radius names column 'pay', which X does not have"),
    "below 0": ({"age": -1}, r"radius\['age'\] must be a finite number of 0 or more, or a pair"),
    "upside down": ({"age": (2, 5)}, r"radius\['age'\] must be .* low <= 0 <= high, got \(2, 5\)"),
    "infinite": ({"age": np.inf}, r"radius\['age'\] must be a finite number"),
    "a text": ({"age": "far"}, r"radius\['age'\] must be a finite number"),
    "nothing": ({"age": 0, "income": (0, 0)}, "radius lets no column move"),
    "empty": ({}, "radius lets no column move"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_budgets_that_say_nothing_are_refused(name):
    X, y = table()
    budget, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        AdversarialTransformer(attack="noise", radius=budget, surrogate=Scores()).fit(X, y)


def test_a_budget_of_a_column_that_no_attack_moves_is_refused():
    X, y = table()
    X["name"] = [f"somebody {k}" for k in range(len(X))]
    adapter = TabularAdapter(frozen=["name"])
    with pytest.raises(ValueError, match="radius names column 'name', which no attack moves"):
        AdversarialTransformer(radius={"name": 1}, adapter=adapter).fit(X, y)


def test_budgets_by_column_are_for_tables():
    X = np.random.default_rng(0).random((9, 1, 8, 8))
    with pytest.raises(TypeError, match="budgets by column are for tables"):
        AdversarialTransformer(radius={0: 1}).fit(X, np.arange(9) % 2)


# ---------------------------------------------------------------- the space


def test_a_box_moves_each_coordinate_by_its_shares_of_the_radius():
    box = Box(
        torch.full((3,), -9.0),
        torch.full((3,), 9.0),
        down=torch.tensor([0.0, 0.5, 1.0]),
        up=torch.tensor([1.0, 0.25, 0.0]),
    )
    seed, radius = torch.zeros(1, 3), torch.tensor([2.0])
    assert box.project(torch.full((1, 3), 5.0), seed, radius).tolist() == [[2.0, 0.5, 0.0]]
    assert box.project(torch.full((1, 3), -5.0), seed, radius).tolist() == [[0.0, -1.0, -2.0]]
    up, down = (box.steepest(torch.full((1, 3), sign), seed, radius) for sign in (1.0, -1.0))
    assert up.tolist() == [[2.0, 0.5, 0.0]]
    assert down.tolist() == [[0.0, -1.0, -2.0]]
    for norm in (2, 1):
        other = box.with_norm(norm)
        move = other.steepest(torch.tensor([[-9.0, 1.0, 9.0]]), seed, radius)
        assert move[0, 0] == move[0, 2] == 0
        assert other.project(torch.full((1, 3), -50.0), seed, radius)[0, 0] == 0
    assert box.project(torch.full((1, 3), 5.0), seed, torch.tensor([torch.inf]))[0, 2] == 0
    noise = torch.rand(200, 3, generator=torch.Generator().manual_seed(0))
    drawn = box.sample(torch.zeros(200, 3), torch.full((200,), 2.0), noise)
    assert (drawn[:, 0] >= 0).all()
    assert (drawn[:, 2] <= 0).all()
    assert (drawn[:, 1] <= 0.5).all()


def test_a_coordinate_that_may_only_rise_comes_back_as_far_as_it_rose():
    box = Box(torch.full((1,), -9.0), torch.full((1,), 9.0), down=torch.zeros(1), up=torch.ones(1))
    seed, radius = torch.zeros(1, 1), torch.tensor([2.0])
    move = box.steepest(-torch.ones(1, 1), torch.tensor([[1.5]]), radius, seed)
    assert move.tolist() == [[-1.5]]


@pytest.mark.parametrize("attack", [PGD(steps=20), APGD(steps=20)], ids=repr)
def test_in_norm_1_one_sided_shares_are_used_as_the_linear_program_says(attack):
    generator = torch.Generator().manual_seed(0)
    slope, share = torch.randn(12, generator=generator), torch.rand(12, generator=generator) + 0.2
    down, up = (share * (torch.arange(12) % k > 0) for k in (2, 3))
    box = Box(torch.full((12,), -99.0), torch.full((12,), 99.0), norm=1, down=down, up=up)
    net = nn.Linear(12, 2).requires_grad_(False)
    net.weight.data = torch.stack([-slope, slope])
    seed, radius = torch.randn(40, 12, generator=generator), torch.full((40,), 1.5)
    objective = Margin(net, torch.zeros(40, dtype=torch.long))
    moved = attack(problem_of(objective, seed, box, radius)) - seed
    room = [(0, most) for most in (torch.where(slope > 0, up, down) * 1.5).tolist()]
    best = linprog(-slope.abs().numpy(), A_ub=np.ones((1, 12)), b_ub=1.5, bounds=room)
    np.testing.assert_allclose(moved @ slope, -best.fun, rtol=1e-3)
