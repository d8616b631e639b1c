import pickle
from collections import Counter

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal, assert_series_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from torch import nn

from advaug import AdversarialOverSampler
from advaug.adapters import TabularAdapter
from advaug.attacks import FGSM, PGD
from advaug.judges import ConformalJudge
from advaug.models import Ensemble

QUICK = Ensemble(n_repeats=2, hidden_width=16, max_iter=30)
EVERY = ["explore", "match", "boundary", "harden", "translate", "interpolate"]
every_recipe = pytest.mark.parametrize("recipe", EVERY)


def sampler(**settings):
    return AdversarialOverSampler(**{"surrogate": QUICK, "random_state": 0} | settings)


def problem(n=120, minority=30, seed=0, width=4):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat([0, 1], [n - minority, minority]))
    return rng.normal(size=(n, width)) + 1.5 * y[:, None], y


def frame(**settings):
    X, y = problem(**settings)
    return pd.DataFrame(X, columns=list("abcd")[: X.shape[1]]), y


# ---------------------------------------------------------------- as part of scikit-learn


def test_a_grid_search_reaches_the_steps_of_the_attack():
    X, y = problem()
    model = Pipeline([("sampler", sampler(attack=PGD())), ("model", LogisticRegression())])
    search = GridSearchCV(model, {"sampler__attack__steps": [1, 7]}, cv=2, error_score="raise")
    search.fit(X, y)
    steps = [params["sampler__attack__steps"] for params in search.cv_results_["params"]]
    assert steps == [1, 7]
    best = search.best_params_["sampler__attack__steps"]
    assert search.best_estimator_["sampler"].attack.steps == best
    assert model["sampler"].attack.steps == PGD().steps, "the user's own attack was changed"


def test_the_pipeline_oversamples_in_fit_and_only_there():
    X, y = problem()
    seen = []

    class Spy(LogisticRegression):
        def fit(self, X, y):
            seen.append(np.bincount(y).tolist())
            return super().fit(X, y)

    model = Pipeline([("sampler", sampler()), ("model", Spy())]).fit(X, y)
    assert seen == [[90, 90]]
    assert model.predict(X).shape == y.shape


def test_a_clone_and_a_pickle_make_the_same_rows(tmp_path):
    X, y = problem()
    s = sampler(attack=PGD(steps=3), judge=ConformalJudge(min_probability=0.6))
    wanted, _ = s.fit_resample(X, y)
    joblib.dump(s, tmp_path / "sampler.joblib")
    for twin in (clone(s), pickle.loads(pickle.dumps(s)), joblib.load(tmp_path / "sampler.joblib")):
        assert twin.attack == s.attack
        assert twin.attack is not s.attack
        assert_array_equal(twin.fit_resample(X, y)[0], wanted)


def test_a_fitted_sampler_keeps_the_record_in_a_pickle_and_names_what_is_left_out():
    s = sampler()
    s.fit_resample(*problem())
    twin = pickle.loads(pickle.dumps(s))
    assert_frame_equal(twin.provenance_, s.provenance_)
    assert_frame_equal(twin.findings_, s.findings_)
    for name in ("generator_", "surrogate_", "adapter_"):
        assert hasattr(s, name)
        assert not hasattr(twin, name)
    with pytest.raises(AttributeError, match=r"store the generator by generator_.save\(path\)"):
        _ = twin.surrogate_
    with pytest.raises(AttributeError, match="this sampler is not fitted"):
        _ = sampler().adapter_


def test_parameters_are_set_by_name_down_to_the_attack():
    s = sampler(attack=PGD()).set_params(attack__steps=3, recipe="harden")
    assert (s.attack.steps, s.recipe) == (3, "harden")
    with pytest.raises(ValueError, match="PGD has no parameter 'stride'"):
        s.set_params(attack__stride=1)


# ---------------------------------------------------------------- the user's own net


def net(outputs, width=4, seed=0):
    """Dropout and batch norm, so that a net left in training mode would show."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(width, 8),
            nn.BatchNorm1d(8),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(8, outputs),
        )


def test_a_clone_shares_the_users_net():
    module = net(2)
    assert clone(sampler(surrogate=module)).surrogate is module
    assert clone(Pipeline([("s", sampler(surrogate=module))]))["s"].surrogate is module


@pytest.mark.filterwarnings("ignore:surrogate agrees with y")  # The net is not trained.
@pytest.mark.parametrize("outputs", [1, 2])
def test_the_users_net_comes_back_as_it_was(outputs):
    module = net(outputs)
    module[0].weight.requires_grad_(False)
    module[2].eval()
    module[4].bias.grad = torch.ones(outputs)
    state = {name: value.clone() for name, value in module.state_dict().items()}
    flags = [part.training for part in module.modules()]
    wants = [weight.requires_grad for weight in module.parameters()]
    X, y = problem()
    _, y_new = sampler(surrogate=module, recipe="boundary").fit_resample(X, y)
    assert np.bincount(y_new).tolist() == [90, 90]
    assert [part.training for part in module.modules()] == flags
    assert [weight.requires_grad for weight in module.parameters()] == wants
    for name, value in module.state_dict().items():
        assert torch.equal(value, state[name]), name
    grads = [weight.grad for weight in module.parameters()]
    assert torch.equal(grads[-1], torch.ones(outputs))
    assert all(grad is None for grad in grads[:-1])


def test_the_users_net_is_what_is_attacked():
    # A net that asks only for column 2: rows hardened against it move in column 2 alone.
    module = nn.Linear(4, 1)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[0.0, 0.0, 1.0, 0.0]]))
    X, y = problem()
    s = sampler(surrogate=module, recipe="harden", judge=None)
    X_new, _ = s.fit_resample(X, y)
    move = X_new[120:] - X[s.parent_indices_[120:]]
    assert (move[:, 2] <= 0).all()
    assert (move[:, 2] < 0).mean() > 0.9
    assert not move[:, [0, 1, 3]].any()


@pytest.mark.parametrize(("outputs", "hint"), [(3, r"2 outputs \(or one\)"), (5, "2 outputs")])
def test_a_net_of_other_classes_is_refused_by_name(outputs, hint):
    with pytest.raises(ValueError, match=f"surrogate gives logits of shape .*y has 2.*{hint}"):
        sampler(surrogate=net(outputs)).fit_resample(*problem())


# ---------------------------------------------------------------- what is written down


COLUMNS = [
    "parent",
    "second_parent",
    "recipe",
    "label",
    "status",
    "distance",
    "margin_before",
    "margin_after",
    "p_value",
    "probability",
    "move_share",
    "by_student",
]


@every_recipe
def test_provenance_says_of_each_new_row_what_the_data_say(recipe):
    X, y = problem()
    y = np.array(["no", "yes"])[y]
    s = sampler(recipe=recipe)
    X_new, y_new = s.fit_resample(X, y)
    new, facts = X_new[120:], s.provenance_
    assert facts.columns.tolist() == COLUMNS
    assert len(facts) == len(new) == 60
    assert facts["label"].tolist() == y_new[120:].tolist() == ["yes"] * 60
    assert set(facts["recipe"]) == {recipe}
    assert_array_equal(s.parent_indices_, [*range(120), *facts["parent"]])
    assert_array_equal(s.synthetic_mask_, [False] * 120 + [True] * 60)
    assert_allclose(s.sample_weight_, [*[1] * 120, *facts["probability"]])

    coding, norm = s.adapter_, {"harden": np.inf}.get(recipe, 2)
    x, seed = coding.encode(new), coding.encode(X[facts["parent"]])
    distance = torch.linalg.vector_norm(x - seed, ord=norm, dim=1)
    assert_allclose(facts["distance"], distance, atol=1e-4)
    home = (facts["status"] == "copied").to_numpy()
    assert_array_equal(home, facts["move_share"] == 0)
    assert_allclose(new[home], X[facts["parent"]][home])
    assert_array_equal(facts["status"] == "accepted", facts["move_share"] == 1)
    assert set(facts["status"]) <= {"accepted", "retracted", "copied"}
    assert set(facts["move_share"]) <= {0, 0.25, 0.5, 1}

    own = y[facts["parent"]] == "yes"
    assert own[home].all()
    assert own.all() if recipe != "translate" else not own[~home].any()
    mated = (facts["second_parent"] >= 0).to_numpy()
    assert mated.any() == (recipe in ("explore", "match", "boundary", "interpolate"))
    assert not (facts["second_parent"] == facts["parent"])[mated].any()
    assert facts["probability"].between(0, 1).all()
    if recipe == "interpolate":
        between(new, X, facts)


def between(new, X, facts):
    """A new row without an attack lies between its two parents."""
    parent, second = X[facts["parent"]], X[facts["second_parent"]]
    share = (new - parent) / (second - parent)
    assert_allclose(share, share[:, :1].repeat(4, 1), atol=1e-3)
    assert share[:, 0].min() >= 0
    assert share[:, 0].max() <= 1


def test_hardened_rows_have_a_smaller_margin_than_their_parents_in_the_jurys_eyes():
    # The jury is another half of the committee than the one attacked.
    s = sampler(recipe="harden", radius=0.5, judge=None)
    s.fit_resample(*problem())
    facts = s.provenance_
    assert (facts["margin_after"] < facts["margin_before"]).mean() > 0.9


def test_what_is_kept_is_plausible():
    s = sampler(recipe="boundary")
    s.fit_resample(*problem())
    kept = s.provenance_[s.provenance_["move_share"] > 0]
    assert len(kept) > 20
    assert (kept["p_value"] >= ConformalJudge().alpha).all()


@every_recipe
def test_the_jury_gives_every_row_that_is_not_home_its_label(recipe):
    X, y = problem(minority=40)
    s = sampler(recipe=recipe)
    s.fit_resample(X, y)
    facts = s.provenance_
    if recipe != "interpolate":
        assert ((facts["probability"] >= 0.5) | (facts["status"] == "copied")).all()
    without = sampler(recipe=recipe, judge=None)
    without.fit_resample(X, y)
    assert (without.provenance_["status"] == "accepted").all()
    assert without.provenance_["p_value"].isna().all()


@pytest.mark.parametrize("recipe", ["match", "boundary", "harden", "translate"])
def test_a_judge_that_no_row_can_please_sends_every_row_home(recipe):
    X, y = problem()
    s = sampler(recipe=recipe, judge=ConformalJudge(min_probability=1.0, alpha=1.0))
    X_new, _ = s.fit_resample(X, y)
    assert (s.provenance_["status"] == "copied").all()
    assert (s.provenance_["distance"] == 0).all()
    assert_array_equal(X_new[120:], X[s.parent_indices_[120:]])
    assert (y[s.parent_indices_[120:]] == 1).all()


# ---------------------------------------------------------------- what a row may not do


def ordered(rows):
    return (rows["a"] <= rows["b"]).to_numpy()


def ample(rows):
    return (rows["a"] + rows["b"] >= 2).to_numpy()


def scant(rows):
    return ~ample(rows)


# A sign step moves a and b alike: down where rows are hardened, up where they are translated.
RULES = dict.fromkeys(EVERY, ordered) | {"harden": ample, "translate": scant}


@pytest.mark.parametrize(("recipe", "rule"), RULES.items(), ids=RULES)
def test_a_rule_is_kept_by_every_row_whose_parent_keeps_it(recipe, rule):
    X, y = frame(n=200, minority=60)
    attack = "noise" if recipe == "explore" else "auto"
    radius = "auto" if recipe == "interpolate" else 2.0
    s = sampler(recipe=recipe, attack=attack, constraints=rule, judge=None, radius=radius)
    X_new, _ = s.fit_resample(X, y)
    new, parents = X_new.iloc[200:], X_new.iloc[s.parent_indices_[200:]]
    assert rule(new)[rule(parents)].all()
    broken = (s.provenance_["status"] == "replaced").to_numpy()
    assert broken.any(), "without the rule some rows would break it"
    assert_array_equal(new[broken], parents[broken])
    facts = s.provenance_[broken]
    assert not facts[["move_share", "distance"]].any(axis=None)
    assert (facts["second_parent"] == -1).all()
    assert (facts["probability"] == 1).all()
    assert facts["p_value"].isna().all()
    assert_array_equal(facts["margin_after"], facts["margin_before"])


def test_several_rules_are_kept_at_once():
    X, y = frame()
    rules = [ordered, lambda rows: (rows["c"] > 0).to_numpy()]
    s = sampler(attack="noise", constraints=rules, judge=None, radius=2.0)
    X_new, _ = s.fit_resample(X, y)
    parents = X_new.iloc[s.parent_indices_[120:]]
    for rule in rules:
        assert rule(X_new.iloc[120:])[rule(parents)].all()


@every_recipe
def test_frozen_columns_are_the_parents_own(recipe):
    X, y = frame()
    X["note"] = [f"free text of row {k}" for k in range(len(X))]
    s = sampler(recipe=recipe, adapter=TabularAdapter(frozen=["a", "note"]))
    X_new, _ = s.fit_resample(X, y)
    parents = X.iloc[s.parent_indices_[120:]].reset_index(drop=True)
    new = X_new.iloc[120:].reset_index(drop=True)
    assert_frame_equal(new[["a", "note"]], parents[["a", "note"]])
    assert not new["b"].equals(parents["b"])


def test_a_fixed_radius_is_respected():
    X, y = problem()
    s = sampler(recipe="harden", radius=0.2, judge=None)
    s.fit_resample(X, y)
    assert s.provenance_["distance"].max() <= 0.2 + 1e-5
    assert s.provenance_["distance"].max() > 0.15


# ---------------------------------------------------------------- small and hopeless classes


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5])
@every_recipe
def test_a_tiny_class_gets_one_warning_with_its_name_and_its_rows(rows, recipe):
    X, y = problem(n=60, minority=20)
    keep = np.sort(np.r_[np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:rows]])
    X, y = X[keep], np.array(["common", "rare"])[y[keep]]
    with pytest.warns(UserWarning, match="too few rows") as warned:
        X_new, y_new = sampler(recipe=recipe).fit_resample(X, y)
    assert [str(one.message) for one in warned if "'rare'" in str(one.message)]
    assert len(warned) == 1
    assert f"'rare' ({rows} rows)" in str(warned[0].message)
    assert (y_new == "rare").sum() == (y_new == "common").sum() == 40
    own, new = X[y == "rare"], X_new[len(X) :]
    assert (new >= own.min(0) - 1e-6).all()
    assert (new <= own.max(0) + 1e-6).all()


def test_six_rows_are_enough_for_no_warning():
    X, y = problem(n=60, minority=6)
    _, y_new = sampler().fit_resample(X, y)
    assert np.bincount(y_new).tolist() == [54, 54]


def test_two_tiny_classes_share_one_warning():
    X, y = problem(n=60, minority=20)
    y[np.flatnonzero(y == 1)[:3]] = 2
    y[np.flatnonzero(y == 1)[:2]] = 3
    with pytest.warns(UserWarning, match=r"2 \(3 rows\), .*3 \(2 rows\)") as warned:
        sampler().fit_resample(X, y)
    assert len(warned) == 1


@pytest.mark.parametrize("recipe", ["match", "boundary", "harden", "translate"])
def test_random_labels_are_only_interpolated(recipe):
    X, y = np.random.default_rng(0).normal(size=(300, 4)), np.repeat([0, 1], [220, 80])
    s = sampler(recipe=recipe)
    s.fit_resample(X, y)
    assert s.surrogate_auc_[1] < 0.6
    assert set(s.provenance_["recipe"]) == {"interpolate"}
    learnable = sampler(recipe=recipe)
    learnable.fit_resample(*problem())
    assert learnable.surrogate_auc_[1] > 0.9
    assert set(learnable.provenance_["recipe"]) == {recipe}


BALANCED = np.arange(40) % 2


@pytest.mark.parametrize(
    "X",
    [
        problem(n=40)[0],
        problem(n=40)[0].astype("f4"),
        sparse.csr_matrix(problem(n=40)[0]),
        problem(n=40)[0].tolist(),
        pd.DataFrame(problem(n=40)[0], index=range(5, 45)),
        pl.DataFrame(problem(n=40)[0]),
    ],
    ids=lambda X: type(X).__name__,
)
def test_where_nothing_is_to_do_equal_rows_come_back(X):
    s = sampler()
    X_new, y_new = s.fit_resample(X, BALANCED)
    assert type(X_new) is type(X)
    plain = [x.toarray() if sparse.issparse(x) else np.asarray(x) for x in (X, X_new)]
    assert_array_equal(*plain)
    assert_array_equal(y_new, BALANCED)
    assert len(s.provenance_) == 0
    assert s.provenance_.columns.tolist() == COLUMNS
    assert not s.synthetic_mask_.any()


# ---------------------------------------------------------------- targets


def named(y):
    return np.array(["no", "yes"])[y]


TARGETS = {
    "category": lambda y: pd.Series(named(y), dtype="category", name="y"),
    "str": lambda y: pd.Series(named(y), name="y"),
    "string": lambda y: pd.Series(named(y), dtype="string"),
    "bool": lambda y: pd.Series(y == 1),
    "boolean": lambda y: pd.Series(y == 1, dtype="boolean"),
    "Int64": lambda y: pd.Series(y, dtype="Int64"),
    "float": lambda y: pd.Series(y.astype(float)),
    "shuffled index": lambda y: pd.Series(y, index=np.arange(len(y))[::-1] * 2),
    "frame": lambda y: pd.DataFrame({"y": named(y)}),
    "array": lambda y: y,
    "int8": lambda y: y.astype("i1"),
    "object": lambda y: named(y).astype(object),
    "list": lambda y: named(y).tolist(),
    "polars": lambda y: pl.Series("y", named(y)),
    "polars category": lambda y: pl.Series("y", named(y), dtype=pl.Categorical),
    "one-vs-all": lambda y: np.eye(3, dtype=int)[y * (1 + np.arange(len(y)) % 2)],
}


@pytest.mark.parametrize("make", TARGETS.values(), ids=TARGETS)
def test_a_target_comes_back_in_its_own_container(make):
    X, codes = problem()
    y = make(codes)
    _, y_new = sampler().fit_resample(X, y)
    assert type(y_new) is type(y)
    if isinstance(y, pd.Series | pl.Series | np.ndarray):
        assert y_new.dtype == y.dtype
    if isinstance(y, pd.Series):
        assert_series_equal(y_new.iloc[:120], y)
    plain, before = np.asarray(y_new), np.asarray(y)
    assert plain.shape[1:] == before.shape[1:]
    assert_array_equal(plain[:120], before)
    counts = Counter(map(str, plain.tolist()))
    assert counts.keys() == Counter(map(str, before.tolist())).keys()
    assert len(set(counts.values())) == 1


# ---------------------------------------------------------------- errors


def with_infinity(container):
    X, y = problem()
    X[11, 2] = np.inf
    return container(X), y


def without_label():
    X, y = problem()
    return X, np.where(np.arange(len(y)) == 7, None, y)


def with_text():
    X, y = frame()
    return X.assign(note=[f"word {k}" for k in range(len(X))]), y


def twice():
    X, y = problem()
    return pd.DataFrame(X, columns=list("abca")), y


ERRORS = {
    "a missing label": ({}, without_label, "no label at row 7"),
    "infinity in an array": ({}, lambda: with_infinity(np.array), "infinity.*column 2, row 11"),
    "infinity in a frame": (
        {},
        lambda: with_infinity(lambda X: pd.DataFrame(X, columns=list("abcd"))),
        "infinity: column 'c', row 11",
    ),
    "free text": ({}, with_text, r"column 'note' looks like free text.*frozen=\['note'\]"),
    "a name that stands twice": ({}, twice, "column 'a' stands twice in X"),
    "an unknown frozen column": (
        {"adapter": TabularAdapter(frozen=["zip"])},
        frame,
        "frozen column 'zip' is not in X",
    ),
    "a 5-d array": (
        {},
        lambda: (np.random.default_rng(0).random((20, 3, 3, 2, 2)), np.arange(20) % 2),
        r"dim 5.*no adapter takes.*adapter='image'",
    ),
    "a device that is none": ({"device": "gpu"}, problem, "device='gpu' cannot be used here"),
    "a radius below 0": ({"radius": -1.0}, problem, "'radius' parameter"),
    "an unknown recipe": (
        {"recipe": "magic"},
        problem,
        "recipe='magic' is not known; did you mean 'match'",
    ),
    "an unknown attack": (
        {"attack": "PGD"},
        problem,
        "attack='PGD' is not known; did you mean 'pgd'",
    ),
    "a batch of nothing": ({"batch_size": 0}, problem, "'batch_size' parameter"),
    "no labels": ({}, lambda: (problem()[0], None), "y is None"),
    "one class": ({}, lambda: (problem()[0], np.zeros(120)), "needs to have more than 1 class"),
    "other lengths": ({}, lambda: (problem()[0], np.arange(9) % 2), "inconsistent numbers"),
    "a continuous target": ({}, lambda: (problem()[0], problem()[0][:, 0]), "continuous"),
    "a net and text columns": (
        {"surrogate": net(2)},
        lambda: (frame()[0].assign(kind=list("uv") * 60), frame()[1]),
        r"cannot read the category columns \['kind'\]",
    ),
    "a rule that gives no bool": (
        {"constraints": lambda rows: rows[:, 0]},
        problem,
        "must return one bool for each",
    ),
}


@pytest.mark.parametrize(("settings", "data", "message"), ERRORS.values(), ids=ERRORS)
def test_bad_input_is_named_and_changes_nothing(settings, data, message):
    X, y = data()
    before = X.copy()
    with pytest.raises(ValueError, match=message):
        sampler(**settings).fit_resample(X, y)
    assert_array_equal(np.asarray(X), np.asarray(before))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="device='cuda:0' cannot be used here"):
        sampler(device="cuda:0").fit_resample(*problem())


def test_an_attack_passed_as_a_class_is_told_to_be_called():
    with pytest.raises(TypeError, match=r"write attack=FGSM\(\)"):
        sampler(attack=FGSM).fit_resample(*problem())


# ---------------------------------------------------------------- whole numbers stay unbiased


def counts(seed, is_related, n=3000):
    """Poisson columns and a flag that y has nothing to do with; y in a float column or nowhere."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.1).astype(int)
    X = pd.DataFrame({f"count {k}": rng.poisson(3, n) for k in range(5)})
    X["flag"] = rng.random(n) < 0.3
    if is_related:
        X["signal"] = rng.normal(size=n) + 1.5 * y
        X["noise"] = rng.normal(size=n)
    return X, y


def scores(X, y, X_new):
    """How many standard errors each count's and the flag's new mean lies off its class's."""
    old, new = (rows.iloc[:, :6].astype(float) for rows in (X[y == 1], X_new.iloc[len(X) :]))
    return ((new.mean() - old.mean()) / (old.std() / len(old) ** 0.5)).to_numpy()


@every_recipe
@pytest.mark.parametrize("is_related", [False, True])
def test_counts_and_flags_that_y_does_not_know_keep_their_mean(is_related, recipe):
    every = []
    for seed in range(4):
        X, y = counts(seed, is_related)
        s = sampler(recipe=recipe, random_state=seed)
        every.append(scores(X, y, s.fit_resample(X, y)[0]))
        assert set(s.provenance_["recipe"]) == {recipe if is_related else "interpolate"}
    # The flag of rows of which the voters are sure is a little likelier: 1.6 on average.
    assert np.abs(np.mean(every, axis=0)).max() < 2.5


@pytest.mark.parametrize("recipe", ["match", "boundary"])
def test_rounding_leaves_the_mean_where_the_same_columns_as_floats_have_it(recipe):
    X, y = counts(0, is_related=True)
    floats = X.astype(float)
    floats.iloc[0, :6] += 1e-3  # off the whole numbers: nothing is rounded any more
    whole = scores(X, y, sampler(recipe=recipe).fit_resample(X, y)[0])
    free = scores(floats, y, sampler(recipe=recipe).fit_resample(floats, y)[0])
    assert np.abs(whole - free).max() < 1


@pytest.mark.parametrize("is_related", [False, True])
def test_smote_on_the_same_counts_does_not_keep_their_mean(is_related):
    # The control: what the tests above ask can be failed.
    for seed in range(3):
        X, y = counts(seed, is_related)
        X_new, _ = SMOTE(random_state=0).fit_resample(X, y)
        assert np.abs(scores(X, y, X_new)).max() > 3
        assert np.mean(scores(X, y, X_new)[:5]) < -2, "it cuts off instead of rounding"


def test_a_row_that_breaks_a_rule_goes_home_to_its_own_class():
    X, y = problem()

    def never_new(rows):
        return np.isin(rows[:, 0], X[:, 0])

    s = sampler(recipe="translate", constraints=never_new)
    X_new, _ = s.fit_resample(X, y)
    made = s.provenance_
    replaced = (made["status"] == "replaced").to_numpy()
    assert replaced.any()
    assert (y[made["parent"][replaced]] == 1).all()
    np.testing.assert_array_equal(X_new[len(X) :][replaced], X[made["parent"][replaced]])


def test_the_default_voters_can_be_named():
    X, y = make_classification(300, weights=[0.8], random_state=0)
    settings = {"surrogate": Ensemble(n_repeats=2, max_iter=30), "random_state": 0}
    names = ["extra_trees", "boosting"]
    auto, named, alone = (
        AdversarialOverSampler(voters=voters, **settings).fit_resample(X, y)[0]
        for voters in ("auto", names, names[:1])
    )
    assert_array_equal(auto, named)
    assert (auto != alone).any()


def test_torchs_default_dtype_does_not_matter():
    X, y = problem()
    expected, _ = sampler().fit_resample(X, y)
    torch.set_default_dtype(torch.float64)
    try:
        moved, _ = sampler().fit_resample(X, y)
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_allclose(moved, expected, rtol=1e-5)


def test_more_classes_than_a_batch_has_rows_are_all_learnt():
    y = np.repeat(np.arange(150), 8)
    X = np.column_stack([y, y % 7, y % 11]).astype(float)
    y_missing = y[:-1]  # one class has a row less
    s = sampler().fit_resample(X[:-1], y_missing)
    assert np.bincount(s[1]).tolist() == [8] * 150


def test_a_target_may_be_a_tensor_a_categorical_or_an_index():
    X, y = problem()
    _, expected = sampler().fit_resample(X, y)
    for own in (torch.from_numpy(y), pd.Categorical(y), pd.Index(y)):
        np.testing.assert_array_equal(sampler().fit_resample(X, own)[1], expected)


def test_a_rule_that_writes_into_its_rows_changes_nothing_that_is_shipped():
    X, y = problem()
    X = pd.DataFrame(X, columns=list("abcd"))

    def rule(rows):
        rows["a"] = 0.0
        return np.ones(len(rows), dtype=bool)

    expected, _ = sampler().fit_resample(X, y)
    assert_frame_equal(sampler(constraints=rule).fit_resample(X, y)[0], expected)


class Detached(nn.Linear):
    def forward(self, x):
        return super().forward(x).detach()


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (nn.Linear(5, 2), "cannot take rows of shape"),
        (Detached(4, 2), "no gradient from its rows"),
        (nn.Sequential(nn.Linear(4, 2), nn.Flatten(0)), "logits of shape"),
    ],
)
def test_a_net_that_cannot_be_attacked_is_refused(net, message):
    with pytest.raises(ValueError, match=message):
        sampler(surrogate=net).fit_resample(*problem())


def test_new_rows_are_those_that_fit_resample_puts_below_its_own():
    X, y = frame()
    named = X.set_axis([f"row {k}" for k in range(len(X))], axis=0)
    containers = {
        "frame": (X, pd.Series(y, name="y")),
        "index of names": (named, y),
        "later index": (X.set_axis(np.arange(len(X)) + 50, axis=0), y),
        "array": (X.to_numpy(), y),
        "list": (X.to_numpy().tolist(), y.tolist()),
        "sparse": (sparse.csr_matrix(X.to_numpy()), y),
        "polars": (pl.from_pandas(X), pl.Series(y)),
        "tensor": (torch.tensor(X.to_numpy()), torch.tensor(y)),
    }
    for rows, labels in containers.values():
        whole, X_new = sampler(), sampler()
        joined, (new, new_labels) = whole.fit_resample(rows, labels), X_new.new_rows(rows, labels)
        for all_of, some, own in zip(joined, (new, new_labels), (rows, labels), strict=True):
            assert type(some) is type(own)
            below = all_of[len(y) :]
            if isinstance(own, pd.DataFrame | pd.Series):
                (assert_frame_equal if isinstance(own, pd.DataFrame) else assert_series_equal)(
                    some, below
                )
            elif isinstance(own, list):
                assert some == below
            else:
                dense = [one.toarray() if sparse.issparse(one) else one for one in (some, below)]
                assert_array_equal(*dense)
        assert_array_equal(X_new.parent_indices_, whole.parent_indices_)
        assert X_new.returned() is None
