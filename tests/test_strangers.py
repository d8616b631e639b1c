"""What another package brings works without a line changed here: by object and by name.

The domain is point clouds: a list of (k_i, 3) arrays with unequal k_i.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from advaug import (
    AdversarialOverSampler,
    AdversarialTransformer,
    AdversarialUnderSampler,
    CommitteeClassifier,
    grow,
    validity_report,
)
from advaug.attacks import Attack
from advaug.core.box import Box
from advaug.core.parameters import Parameters
from advaug.models import Ensemble
from advaug.models.protocol import CrossFitted, Surrogate
from advaug.models.training import Training
from advaug.recipes import Explore
from advaug.registry import ADAPTERS, ATTACKS, JUDGES, RECIPES, SURROGATES, VOTERS, Registry
from advaug.robust import AdversarialClassifier, DistilledClassifier
from advaug.sampling.domain import Adapter, Coding
from advaug.sampling.judges.protocol import FittedJudge, Judge, Verdict
from advaug.sampling.recipes import Recipe, from_parents

QUICK = Ensemble(n_repeats=2, cv=2, hidden_width=8, max_iter=20)

# ---------------------------------------------------------------- a domain, in full


@dataclass(frozen=True)
class CloudCoding(Coding):
    """Rows are [coordinates of all points | 1 for each point that is absent]."""

    n_points: int
    scale: float

    def encode(self, X):
        x = np.zeros((len(X), self.n_points, 4), np.float32)
        x[:, :, 3] = 1
        for row, cloud in zip(x, X, strict=True):
            row[: len(cloud), :3] = cloud / self.scale
            row[: len(cloud), 3] = 0
        flat = x[:, :, :3].reshape(len(X), 3 * self.n_points)
        return torch.from_numpy(np.concatenate([flat, x[:, :, 3]], 1))

    def decode(self, moved, seed, rows):
        by = (moved - seed)[:, : 3 * self.n_points].view(len(moved), self.n_points, 3).numpy()
        return [
            cloud + self.scale * move[: len(cloud)] for cloud, move in zip(rows, by, strict=True)
        ]

    def space(self, norm=2.0):
        n = self.n_points
        point = torch.arange(n).repeat_interleave(3)
        free = torch.cat([torch.ones(3 * n), torch.zeros(n)]) > 0
        flag = torch.cat([3 * n + point, torch.full((n,), -1)])
        far = torch.full((4 * n,), 9.0)
        return Box(-far, far, norm, free=free, missing_flag=flag)


@dataclass
class CloudAdapter(Adapter):
    """One unit of radius is one standard deviation of a coordinate."""

    def accepts(self, X):
        return isinstance(X, list) and all(np.ndim(row) == 2 and row.shape[1] == 3 for row in X)

    def fit(self, X):
        return CloudCoding(max(map(len, X)), float(np.concatenate(X).std()))

    def get_params(self, deep=True):
        return {}


# ----------------------------------------------------------------


def clouds(n=70, rare=20, seed=0):
    rng = np.random.default_rng(seed)
    y = np.repeat(["round", "flat"], [n - rare, rare])
    sizes = rng.integers(4, 9, n)
    X = [
        rng.normal(size=(k, 3)) * (1, 1, 0.1 if c == "flat" else 1)
        for k, c in zip(sizes, y, strict=True)
    ]
    return X, y


@pytest.fixture(params=["object", "name"])
def adapter(request):
    if request.param == "object":
        yield CloudAdapter()
        return
    ADAPTERS.register("cloud", CloudAdapter)
    yield "cloud"
    ADAPTERS.remove("cloud")


def test_a_new_domain_is_taught_and_distilled(adapter):
    X, y = clouds()
    teacher = CommitteeClassifier(adapter=adapter, random_state=0).fit(X, y)
    assert teacher.held_out_auc_["flat"] > 0.7
    student = make_pipeline(FunctionTransformer(CloudCoding(8, 1.0).encode), GaussianNB())
    student = DistilledClassifier(student, adapter=adapter, n_new_rows=90, random_state=0)
    assert student.fit(X, y).predict_proba(X).shape == (70, 2)
    assert student.teacher_.predict_proba(X).shape == (70, 2)
    sampler = AdversarialOverSampler(
        adapter=adapter, recipe="distill", sampling_strategy=grow(2), random_state=0
    )
    assert len(sampler.fit_resample(X, y)[0]) == 200


def test_a_registered_domain_is_asked_before_those_of_the_library():
    ADAPTERS.register("cloud", CloudAdapter)
    try:
        sampler = AdversarialOverSampler(surrogate=QUICK, random_state=0)
        sampler.fit_resample(*clouds())
        assert isinstance(sampler.adapter_, CloudCoding)
    finally:
        ADAPTERS.remove("cloud")


def test_point_clouds_are_over_sampled_and_judged(adapter, tmp_path):
    X, y = clouds()
    sampler = AdversarialOverSampler(adapter=adapter, surrogate=QUICK, random_state=0)
    X_new, y_new = sampler.fit_resample(X, y)
    assert (y_new == "flat").sum() == (y_new == "round").sum() == 50
    assert all(new is old for new, old in zip(X_new, X, strict=False))
    parents = [X[at] for at in sampler.provenance_["parent"]]
    assert all(new.shape == old.shape for new, old in zip(X_new[70:], parents, strict=True))
    moved = [not np.array_equal(a, b) for a, b in zip(X_new[70:], parents, strict=True)]
    assert np.mean(moved) > 0.5
    report = validity_report(sampler, X_new, y_new)
    assert "flat" in str(report)
    assert len(report.to_frame()) == 30
    assert "<table" in report.to_html(tmp_path / "report.html")


@pytest.mark.filterwarnings("ignore:recipe Distill makes no row of class:UserWarning")
@pytest.mark.parametrize("recipe", ["match", "boundary", "harden", "translate", "interpolate"])
def test_every_recipe_works_on_point_clouds(recipe):
    X, y = clouds()
    sampler = AdversarialOverSampler(
        adapter=CloudAdapter(), recipe=recipe, surrogate=QUICK, random_state=0
    )
    assert len(sampler.fit_resample(X, y)[0]) == 100


def test_point_clouds_are_attacked(adapter):
    X, y = clouds()
    attack = AdversarialTransformer(
        attack="pgd", radius=0.5, norm=2, adapter=adapter, surrogate=QUICK, random_state=0
    ).fit(X, y)
    moved = attack.transform(X, y)
    away = [np.linalg.norm(a - b) / attack.adapter_.scale for a, b in zip(moved, X, strict=True)]
    assert max(away) <= 0.5 + 1e-4
    assert np.median(away) > 0.4


def test_point_clouds_are_under_sampled(adapter):
    X, y = clouds()
    sampler = AdversarialUnderSampler(adapter=adapter, surrogate=QUICK, random_state=0)
    X_new, y_new = sampler.fit_resample(X, y)
    assert (y_new == "round").sum() == (y_new == "flat").sum() == 20
    assert all(any(new is old for old in X) for new in X_new)


# ---------------------------------------------------------------- attack, recipe, judge, surrogate


def table(n=120, rare=30):
    y = np.repeat([0, 1], [n - rare, rare])
    return np.random.default_rng(0).normal(size=(n, 4)) + 1.5 * y[:, None], y


@dataclass
class Upwards(Attack, Parameters):
    """Every free cell up, by a share of the radius; all else is a default."""

    share: float = 0.5

    def __call__(self, problem):
        up = problem.space.mask_frozen(torch.ones_like(problem.seed), problem.seed)
        return problem.seed + self.share * problem.radius[:, None] * up


@dataclass
class Slopes(Attack, Parameters):
    """What needs a model that no model of the library is."""

    requires = frozenset({"second_order"})

    def __call__(self, problem):
        raise AssertionError("it must be refused before it is called")


@dataclass
class Halves(Recipe):
    """Half of the way from a row to another one of the class; all else is a default."""

    def plan(self, dataset, label, draws, random):
        own = dataset.of_class(label)
        plan = from_parents(own[random.integers(len(own))])
        half = torch.full((len(draws),), 0.5)
        return replace(plan, second_parent=own[random.at(1).integers(len(own))], mix=half)


@dataclass
class FittedUpper(FittedJudge):
    def verdict(self, x, probability):
        return Verdict(x[:, 0] > 0, torch.ones_like(probability))


@dataclass
class Upper(Judge):
    """Accepts rows whose first feature is positive."""

    def fit(self, x, y, label, generator):
        return FittedUpper()


@dataclass
class Nearest(Surrogate):
    """A surrogate: logits by the distance to the class means, one member a fold."""

    requires = frozenset({"cells"})
    provides = frozenset({"gradient"})

    def fit(self, x, y, n_classes, generator, features):
        fold = torch.arange(len(x)) % 2
        return FittedNearest(
            [[x[(y == c) & (fold != k)].mean(0) for c in range(n_classes)] for k in (0, 1)],
            torch.arange(2),
            fold,
        )


@dataclass
class FittedNearest(CrossFitted):
    means: list
    fold_of_member: torch.Tensor
    fold_of_row: torch.Tensor

    def member_logits(self, x):
        away = [[(x - mean).square().sum(1) for mean in member] for member in self.means]
        return -torch.stack([torch.stack(member, 1) for member in away])


def all_for_one(x, y, n_classes, generator):
    """A voter for class 1 where the first feature is above 1.5."""
    return lambda rows: torch.eye(2)[(rows[:, 0] > 1.5).long()]


def registered(registry, thing, by):
    """The thing, or a name under which the registry builds it."""
    if by == "object":
        return thing
    registry.register("strange", lambda: thing)
    return "strange"


@pytest.fixture(params=["object", "name"])
def by(request):
    yield request.param
    for registry in (ATTACKS, RECIPES, JUDGES, SURROGATES, VOTERS):
        if "strange" in registry:
            registry.remove("strange")


def test_an_attack_that_is_only_called_works(by):
    X, y = table()
    attack = registered(ATTACKS, Upwards(), by)
    settings = {"attack": attack, "surrogate": QUICK, "random_state": 0}
    transformer = AdversarialTransformer(radius=0.4, **settings).fit(X, y)
    x, coding = transformer.adapter_.encode(X), transformer.adapter_
    expected = np.minimum(coding.decode(x + 0.2, x, X), X.max(0))  # Columns end at their largest.
    np.testing.assert_allclose(transformer.transform(X), expected, atol=1e-5)
    sampler = AdversarialOverSampler(recipe="harden", radius=0.4, judge=None, **settings)
    new = sampler.fit_resample(X, y)[0][120:]
    np.testing.assert_allclose(new, expected[sampler.provenance_["parent"]], atol=1e-5)
    net = AdversarialClassifier(attack=attack, random_state=0, training=Training(epochs=2))
    assert net.fit(X, y).n_iter_ == 2


@pytest.mark.parametrize("of", [AdversarialOverSampler, AdversarialTransformer])
def test_an_attack_whose_requirement_nothing_provides_is_refused(by, of):
    attack = registered(ATTACKS, Slopes(), by)
    with pytest.raises(ValueError, match=r"attack Slopes requires second_order, .* take attack="):
        fit(of(attack=attack), *table())


def fit(estimator, X, y):
    return (estimator.fit_resample if hasattr(estimator, "fit_resample") else estimator.fit)(X, y)


def test_a_recipe_that_only_plans_works(by):
    X, y = table()
    recipe = registered(RECIPES, Halves(), by)
    sampler = AdversarialOverSampler(recipe=recipe, surrogate=QUICK, judge=None, random_state=0)
    new = sampler.fit_resample(X, y)[0][120:]
    made = sampler.provenance_
    assert set(made["recipe"]) == {"halves"}
    two = (made["second_parent"] >= 0).to_numpy()
    half = (X[made["parent"]] + X[made["second_parent"]]) / 2
    np.testing.assert_allclose(new[two], half[two], atol=1e-5)


def test_a_judge_works(by):
    X, y = table()
    judge = registered(JUDGES, Upper(), by)
    sampler = AdversarialOverSampler(judge=judge, surrogate=QUICK, random_state=0)
    new = sampler.fit_resample(X, y)[0][120:]
    assert (sampler.adapter_.encode(new)[:, 0] > 0).all()


def test_a_surrogate_works(by):
    X, y = table()
    surrogate = registered(SURROGATES, Nearest(), by)
    sampler = AdversarialOverSampler(surrogate=surrogate, recipe="harden", random_state=0)
    sampler.fit_resample(X, y)
    assert isinstance(sampler.surrogate_, FittedNearest)


def test_a_voter_works(by):
    X, y = table()
    voter = all_for_one
    if by == "name":
        VOTERS.register("strange", all_for_one)
        voter = "strange"
    recipe = Explore(acceptance_power=20.0)
    settings = {"recipe": recipe, "surrogate": QUICK, "random_state": 0}
    sampler = AdversarialOverSampler(voters=[voter] * 9, **settings)
    new = sampler.fit_resample(X, y)[0][120:]
    accepted = torch.tensor((sampler.provenance_["status"] == "accepted").tolist())
    x = sampler.adapter_.encode(new)
    assert (x[accepted, 0] > 1.5).float().mean() > 0.9


def test_a_recipe_that_lacks_members_is_refused_with_the_class_to_inherit_from():
    class Bare:
        def plan(self, dataset, label, draws, random): ...

    with pytest.raises(TypeError, match=r"recipe Bare has no .*norm.*: inherit from .*\.Recipe"):
        AdversarialOverSampler(recipe=Bare()).fit_resample(*table())


def test_an_entry_point_of_another_package_is_a_name(tmp_path, monkeypatch):
    (tmp_path / "strange_recipes.py").write_text(
        "from advaug.recipes import Interpolate\n\nclass Three(Interpolate):\n    n_neighbors = 3\n"
    )
    info = tmp_path / "strange-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strange\nVersion: 1.0\n")
    points = "[advaug.recipes]\nthree = strange_recipes:Three\nexplore = strange_recipes:Three\n"
    (info / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry("recipe", {"explore": "advaug.sampling.recipes:Explore"})
    assert registry["three"].__name__ == "Three"
    assert registry["explore"] is Explore, "a name of the library cannot be taken away"
