"""Curves under attack, classifiers augmented with their adversarial rows, students, detectors."""

import pickle
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits, make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from torch import nn
from torch.nn.functional import cross_entropy

from advaug import AdversarialOverSampler, AdversarialTransformer, grow
from advaug.adapters import FittedAdapter, TabularAdapter
from advaug.attacks import FGSM, PGD, Attack, Square
from advaug.attacks.ascent import ascend
from advaug.models import TorchModel
from advaug.models.training import Training
from advaug.robust import (
    AdversarialClassifier,
    AdversarialDetector,
    AugmentedClassifier,
    DistilledClassifier,
    RejectingClassifier,
    RobustnessDisplay,
    UnknownDetector,
    robust_accuracy_scorer,
    robustness_table,
)

mpl.use("Agg")
QUICK = Training(epochs=20, learning_rate=0.01)


def problem(n=300):
    return make_classification(n, 5, n_informative=4, n_redundant=0, flip_y=0, random_state=0)


def digits():
    X, y = load_digits(return_X_y=True)
    return (X[:1000], y[:1000]), (X[1000:], y[1000:])


def moved(model, X, y, radius, attack="fgsm"):
    mover = AdversarialTransformer(surrogate=model, radius=radius, attack=attack, random_state=0)
    return mover.fit(X, y).transform(X, y)


# ---------------------------------------------------------------- curves


def test_the_curve_of_a_linear_model_is_its_margins_distribution():
    X, y = problem()
    model = LogisticRegression().fit(X, y)
    radii = [0, 0.1, 0.3]
    curve = RobustnessDisplay.from_estimator(model, X, y, attack="fgsm", radii=radii)
    coding = TabularAdapter().fit(X)
    x, space = coding.encode(X), coding.space()
    weight = torch.tensor(model.coef_[0] * [number.scale for number in coding.layout.numbers])
    side = torch.from_numpy(np.where(y == 1, -1.0, 1.0))[:, None]
    for radius, score in zip(radii, curve.attacked["LogisticRegression"], strict=True):
        worst = (x + radius * side * weight.sign()).clamp(space.lower, space.upper)
        rows = np.asarray(coding.native(worst.double()))
        assert score == pytest.approx(model.score(rows, y), abs=0.01)
    assert (np.diff(curve.attacked["LogisticRegression"]) < 0).all()
    assert curve.noise["LogisticRegression"][-1] > curve.attacked["LogisticRegression"][-1]


def test_all_models_of_a_display_are_measured_in_the_same_units():
    X, y = problem()
    net = AdversarialClassifier(clean_weight=1, training=QUICK, random_state=0).fit(X * 2, y)
    linear = LogisticRegression().fit(X, y)
    own = TabularAdapter().fit(X * 2)
    for models in ([net, linear], [linear, net]):
        curve = RobustnessDisplay.from_estimators(models, X, y, attack="fgsm", radii=[0.1])
        alone = RobustnessDisplay.from_estimator(
            linear, X, y, attack="fgsm", radii=[0.1], adapter=FittedAdapter(own)
        )
        assert curve.attacked["LogisticRegression"] == alone.attacked["LogisticRegression"]


def test_nets_with_codings_of_their_own_are_attacked_in_them():
    X, y = problem()
    net = AdversarialClassifier(clean_weight=1, training=QUICK, random_state=0)
    nets = {scale: clone(net).fit(X * scale, y) for scale in (1, 2)}
    table = robustness_table(nets, X, y, attacks=["fgsm"], scoring="accuracy")
    expected = [one.score(moved(one, X, y, 0.3), y) for one in nets.values()]
    assert table["fgsm"].tolist() == expected


def test_the_table_takes_any_model_and_has_its_lowest_score():
    X, y = problem(120)
    models = {
        "tree": DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, y),
        "net": AdversarialClassifier(clean_weight=1, training=QUICK, random_state=0).fit(X, y),
    }
    queries = Square(steps=30)
    table = robustness_table(models, X, y, attacks=[queries, "noise"], radius=0.5)
    assert isinstance(table, pd.DataFrame)
    assert table["estimator"].tolist() == ["tree", "net"]
    assert (table["worst"] == table[[str(queries), "noise"]].min(axis=1)).all()
    assert (table[str(queries)] < table["clean"]).all()
    assert (table[str(queries)] < table["noise"]).all()


def test_a_surrogate_is_attacked_in_the_models_place():
    X, y = problem(120)
    tree = DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, y)
    net = AdversarialClassifier(clean_weight=1, training=QUICK, random_state=0).fit(X, y)
    table = robustness_table({"tree": tree}, X, y, radius=0.5, surrogate=net)
    expected = balanced_accuracy_score(y, tree.predict(moved(net, X, y, 0.5, "pgd")))
    assert table["auto"][0] == pytest.approx(expected)


def test_the_picture_has_a_solid_and_a_dashed_line_for_each_model():
    X, y = problem(120)
    models = [LogisticRegression().fit(X, y), LogisticRegression(C=0.01).fit(X, y)]
    display = RobustnessDisplay.from_estimators(models, X, y, attack="fgsm", radii=[0, 0.2])
    assert list(display.attacked) == ["LogisticRegression", "LogisticRegression 2"]
    styles = [line.get_linestyle() for line in display.plot().ax_.lines]
    assert styles.count("-") == 2
    assert styles.count("--") == 3  # and the legend's


# ---------------------------------------------------------------- augmented


@pytest.mark.parametrize("when", ["always", "fit"])
def test_a_round_is_the_estimator_on_its_rows_and_their_moved_copies(when):
    X, y = problem()
    mover = AdversarialTransformer(attack="fgsm", radius=0.2, when=when)
    model = AugmentedClassifier(LogisticRegression(), mover, n_rounds=1, random_state=0).fit(X, y)
    first = LogisticRegression().fit(X, y)
    both = np.concatenate([X, moved(first, X, y, 0.2)])
    expected = LogisticRegression().fit(both, np.tile(y, 2))
    np.testing.assert_allclose(model.estimator_.coef_, expected.coef_, rtol=1e-6)
    assert model.n_rows_ == [300, 600]


def test_a_transformer_within_a_pipeline_moves_rows_too():
    X, y = problem()
    mover = make_pipeline(AdversarialTransformer(attack="noise", when="fit", random_state=0))
    model = AugmentedClassifier(LogisticRegression(), mover, n_rounds=1).fit(X, y)
    copies = LogisticRegression().fit(np.tile(X, (2, 1)), np.tile(y, 2))
    assert np.abs(model.estimator_.coef_ - copies.coef_).max() > 1e-3


def test_an_adversarial_row_has_the_weight_of_its_parent():
    X, y = problem()
    weight = np.random.default_rng(0).random(len(y))
    seen = []

    class Watching(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            seen.append(sample_weight)
            return super().fit(X, y, sample_weight)

    mover = AdversarialTransformer(attack="noise")
    AugmentedClassifier(Watching(), mover, n_rounds=1).fit(X, y, sample_weight=weight)
    assert_array_equal(seen[1], np.tile(weight, 2))
    with config_context(enable_metadata_routing=True):
        inner = Watching().set_fit_request(sample_weight=True)
        whole = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False),
            AugmentedClassifier(inner, mover, n_rounds=1),
        )
        whole.fit(X, y, sample_weight=weight)
    assert_array_equal(seen[-1], np.tile(weight, 2))


def test_a_sampler_attacks_the_estimator_of_each_round():
    X, y = problem()
    sampler = AdversarialOverSampler(sampling_strategy=grow(1.5), random_state=0)
    linear = LogisticRegression()
    model = AugmentedClassifier(linear, sampler, n_rounds=1, random_state=0).fit(X, y)
    grown = 2 * int(np.ceil(1.5 * np.bincount(y).max()))
    assert model.n_rows_ == [300, grown]
    assert sampler.surrogate == "auto"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_after_the_rounds_a_net_of_scikit_learn_resists_more_at_no_cost():
    X, y = problem(500)
    train, test = slice(0, 300), slice(300, None)
    plain = MLPClassifier((50,), max_iter=300, random_state=0).fit(X[train], y[train])
    rounds = AugmentedClassifier(clone(plain), random_state=0).fit(X[train], y[train])
    table = robustness_table([plain, rounds.estimator_], X[test], y[test], radius=0.3)
    assert table["auto"][1] > table["auto"][0] + 0.04
    assert table["clean"][1] > table["clean"][0] - 0.02


# ---------------------------------------------------------------- distilled


class CrossEntropyStep(Attack):
    """The textbook FGSM: the sign of the cross-entropy's own gradient."""

    def __call__(self, problem):
        objective = problem.objective

        def loss(x):
            return cross_entropy(objective.logits(x), objective.label, reduction="none")

        return ascend(replace(problem, objective=loss), steps=1, step=1.0)


# Only the rows themselves, with the teacher's answers in place of the labels.
PAPERNOT = {"n_new_rows": 0, "softening": 1, "balance": 0, "training": QUICK}


@pytest.mark.filterwarnings("ignore:.* rows were not moved")
def test_distillation_resists_the_cross_entropys_gradient_and_falls_to_the_margins():
    (X, y), (X_test, y_test) = digits()
    X, X_test = (x.astype(np.uint8).reshape(-1, 1, 8, 8) for x in (X, X_test))
    X, X_test = 15 * X, 15 * X_test
    net = AdversarialClassifier(clean_weight=1, training=QUICK, random_state=0).fit(X, y)
    student = DistilledClassifier(
        "net", FrozenEstimator(net), temperature=100, **PAPERNOT, random_state=0
    ).fit(X, y)
    assert student.score(X_test, y_test) > net.score(X_test, y_test) - 0.03

    def left(model, attack):
        return model.score(moved(model, X_test, y_test, 0.15, attack), y_test)

    textbook = CrossEntropyStep()
    assert left(student, textbook) > left(net, textbook) + 0.15
    for attack in (FGSM(), PGD(stop_at=0.0)):
        assert left(student, attack) < left(student, textbook) - 0.2


def test_at_temperature_1_the_student_learns_the_teachers_probabilities():
    X, y = problem()
    teacher = LogisticRegression().fit(X, y)
    student = DistilledClassifier(
        "net",
        FrozenEstimator(teacher),
        n_new_rows=0,
        softening=1,
        balance=0,
        module=nn.Linear(5, 2),
        training=Training(epochs=400, learning_rate=0.05, batch_size=300, weight_decay=0),
        random_state=0,
    ).fit(X, y)
    np.testing.assert_allclose(student.predict_proba(X), teacher.predict_proba(X), atol=0.01)


def test_the_teacher_is_queried_between_the_rows_too_and_in_their_own_container():
    X, y = problem()
    frame = pd.DataFrame(X, columns=list("abcde")).assign(kind=np.where(X[:, 0] > 0, "u", "v"))
    queried = []

    class Teacher(LogisticRegression):
        def predict_proba(self, X):
            queried.append(X)
            return super().predict_proba(X[list("abcde")])

        def fit(self, X, y):
            return super().fit(X[list("abcde")], y)

    teacher = FrozenEstimator(Teacher().fit(frame, y))
    numbers = make_column_transformer(("passthrough", list("abcde")))
    student = make_pipeline(numbers, GaussianNB())
    DistilledClassifier(student, teacher, n_new_rows=600, random_state=0).fit(frame, y)
    assert all((rows.dtypes == frame.dtypes).all() for rows in queried)
    seen, new = pd.concat(queried[:4]), pd.concat(queried[4:])
    assert len(seen) == 300  # Held-out folds.
    assert len(new) == 600
    assert (new[list("abcde")].max() <= frame[list("abcde")].max()).all()
    assert len(pd.merge(new, frame)) < 120  # Most of them are no copies.


# ---------------------------------------------------------------- detector


@pytest.mark.parametrize("inputs", ["rows", "activations"])
def test_a_detector_sees_the_attack_it_was_shown_on_rows_it_was_not(inputs):
    (X, y), (X_test, y_test) = digits()
    net = AdversarialClassifier(clean_weight=1, random_state=0).fit(X, y)
    detector = AdversarialDetector(
        surrogate=net, attack="fgsm", radius=0.5, inputs=inputs, random_state=0
    ).fit(X, y)
    clean = detector.score_samples(X_test)
    attacked = detector.score_samples(moved(net, X_test, y_test, 0.5))
    truth = np.repeat([1, 0], len(X_test))
    assert roc_auc_score(truth, np.r_[clean, attacked]) > (0.95 if inputs == "rows" else 0.85)
    assert (detector.predict(X_test) == -1).mean() < 0.2


def test_activations_are_what_the_last_linear_layer_reads():
    X, y = problem()
    body, head = nn.Sequential(nn.Linear(5, 7), nn.ReLU()), nn.Linear(7, 2)
    net = AdversarialClassifier(module=nn.Sequential(body, head), training=QUICK, random_state=0)
    net.fit(X, y)
    inner = net.net_.module[0]
    expected = inner(torch.from_numpy(X).float())
    torch.testing.assert_close(net.net_.activations(X), expected, atol=1e-4, rtol=1e-4)


def test_activations_of_what_has_no_net_are_refused():
    X, y = problem()
    forest = RandomForestClassifier(5).fit(X, y)
    detector = AdversarialDetector(surrogate=forest, attack="noise", inputs="activations")
    with pytest.raises(ValueError, match=r"RandomForestClassifier has none .* inputs='rows'"):
        detector.fit(X, y)


def test_a_rejecting_classifier_gives_its_label_where_the_detector_says_so():
    X, y = problem()
    names = np.array(["no", "yes"])[y]
    model = RejectingClassifier(
        LogisticRegression(), AdversarialDetector(training=QUICK, random_state=0), reject_label="?"
    ).fit(X, names)
    said, rejected = model.predict(X), model.rejects(X)
    assert (said[rejected] == "?").all()
    assert_array_equal(said[~rejected], model.estimator_.predict(X)[~rejected])
    assert model.detector_.surrogate is model.estimator_
    numbers = RejectingClassifier(LogisticRegression(), model.detector, reject_label="?")
    assert set(numbers.fit(X, y).predict(X)) <= {0, 1, "?"}


def test_a_detector_that_is_no_instance_is_refused():
    with pytest.raises(TypeError, match=r"write detector=AdversarialDetector\(\)"):
        RejectingClassifier(LogisticRegression(), AdversarialDetector).fit(*problem())


def test_a_reject_label_that_is_a_class_is_refused():
    X, y = problem()
    with pytest.raises(ValueError, match="reject_label=1 is a class of y"):
        RejectingClassifier(LogisticRegression(), reject_label=1).fit(X, y)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda model: (model,), "must be a list or dict"),
        (lambda model: ([model], "pgd"), "attacks must be a list"),
        (lambda model: ([clone(model)],), "not fitted"),
        (lambda model: ([clone(model)], ["pdg"]), "attack='pdg' is not known; did you mean 'pgd'"),
    ],
)
def test_what_cannot_be_measured_is_refused(given, message):
    X, y = make_classification(60, 6, random_state=0)
    models, *attacks = given(LogisticRegression().fit(X, y))
    with pytest.raises((TypeError, ValueError), match=message):
        robustness_table(models, X, y, **({"attacks": attacks[0]} if attacks else {}))


def test_the_estimator_that_cannot_read_the_rows_is_named():
    X, y = make_classification(60, 6, random_state=0)
    models = {"good": LogisticRegression().fit(X, y), "bad": LogisticRegression().fit(X[:, :2], y)}
    with pytest.raises(ValueError, match=r"estimator 'bad': X has 6 features"):
        robustness_table(models, X, y)


# ---------------------------------------------------------------- texts, and equal rows

TEXTS = ["a quick dog", "a slow cat", "the dog", "the cat"] * 10
IS_DOG = np.array(["dog" in text for text in TEXTS])


def test_texts_are_attacked_by_edits_where_no_attack_is_named():
    model = make_pipeline(CountVectorizer(), LogisticRegression()).fit(TEXTS, IS_DOG)
    table = robustness_table({"words": model}, TEXTS, IS_DOG, radius=1.0)
    assert table["clean"][0] == 1
    assert table["auto"][0] <= 0.5


def test_a_student_learns_texts_and_mixtures_of_them_from_a_pipeline():
    teacher = make_pipeline(CountVectorizer(), LogisticRegression())
    student = DistilledClassifier("net", teacher, n_new_rows=50, training=QUICK, random_state=0)
    assert student.fit(TEXTS, IS_DOG).score(TEXTS, IS_DOG) > 0.9


def test_equal_rows_cannot_be_split_into_clusters():
    with pytest.raises(ValueError, match=r"all rows of X are the same row.* pass y"):
        AdversarialDetector().fit(np.ones((40, 3)))


# ---------------------------------------------------------------- unknown classes


def test_crossed_rows_keep_each_cells_distribution_and_what_is_frozen():
    X, y = problem()
    frame = pd.DataFrame(X, columns=list("abcde")).assign(kind=np.where(X[:, 0] > 0, "u", "v"))
    adapter = TabularAdapter(frozen=["e"])
    detector = UnknownDetector(adapter=adapter, training=QUICK, random_state=0).fit(frame, y)
    x = detector.adapter_.encode(frame)
    generator = torch.Generator().manual_seed(0)
    pushed = detector._outliers(frame, x, generator)
    at = detector.adapter_.space().column_index(x)
    for column in at.unique():
        cells, made = x[:, at == column], pushed[:, at == column]
        distance = torch.cdist(made.double(), cells.double()).amin(1)
        assert distance.max() < 1e-5  # a value that the column has
    changed = (pushed - x).abs() > 1e-6
    numbers = [int((at == list(frame).index(name)).nonzero()[0]) for name in "abcde"]
    shares = changed[:, numbers].float().mean(0)
    assert ((shares[:4] - 0.5).abs() < 0.1).all()
    assert shares[4] == 0


def test_of_signals_an_outlier_is_a_mixture_with_another_one():
    X, y = np.random.default_rng(0).normal(size=(60, 1, 40)), np.arange(60) % 2
    detector = UnknownDetector(training=QUICK, random_state=0).fit(X, y)
    x = detector.adapter_.encode(X)
    way = x[torch.randperm(60, generator=torch.Generator().manual_seed(0))] - x
    move = detector._outliers(X, x, torch.Generator().manual_seed(0)) - x
    is_other = way.flatten(1).norm(dim=1) > 0
    share = ((move * way).flatten(1).sum(1) / way.square().flatten(1).sum(1))[is_other]
    assert 0.2 < share.min() < 0.4 < 0.6 < share.max() < 0.8


def test_the_score_is_the_log_odds_of_the_most_probable_known_class():
    X, y = problem(100)
    detector = UnknownDetector(training=QUICK, random_state=0).fit(X, y)
    p = detector.net_.logits(X).softmax(1)[:, :-1].amax(1)
    np.testing.assert_allclose(detector.score_samples(X), p.logit(), rtol=1e-6, atol=1e-6)


def test_a_hidden_class_is_seen_better_than_by_the_largest_probability():
    (X, y), (X_test, y_test) = digits()
    areas = {"unknown": [], "largest": []}
    for hidden in (0, 4, 6):
        own = y != hidden
        net = AdversarialClassifier(clean_weight=1, random_state=0).fit(X[own], y[own])
        detector = UnknownDetector(random_state=0).fit(X[own], y[own])
        is_new = y_test == hidden
        areas["largest"].append(roc_auc_score(is_new, -net.predict_proba(X_test).max(1)))
        areas["unknown"].append(roc_auc_score(is_new, -detector.score_samples(X_test)))
    assert np.mean(areas["unknown"]) > np.mean(areas["largest"])
    assert np.mean(areas["unknown"]) > 0.9


def test_its_threshold_lets_known_rows_pass_and_the_rejecting_classifier_says_so():
    (X, y), (X_test, y_test) = digits()
    own, new = y != 9, y_test == 9
    model = RejectingClassifier(
        LogisticRegression(max_iter=300), UnknownDetector(random_state=0), reject_label=-1
    ).fit(X[own], y[own])
    refused = model.predict(X_test) == -1
    assert refused[~new].mean() < 0.15
    assert refused[new].mean() > 3 * refused[~new].mean()


# ---------------------------------------------------------------- a score under attack


def test_the_robust_scorer_is_the_score_of_the_table():
    X, y = problem()
    model = LogisticRegression().fit(X, y)
    for scoring in ("accuracy", "balanced_accuracy"):
        scorer = robust_accuracy_scorer("pgd", 0.2, scoring=scoring)
        rows = robustness_table([model], X, y, attacks=["pgd"], radius=0.2, scoring=scoring)
        assert pickle.loads(pickle.dumps(scorer))(model, X, y) == rows["pgd"][0]
    assert robust_accuracy_scorer("pgd", 0)(model, X, y) == model.score(X, y)


def test_a_grid_search_for_the_robust_score_finds_another_model():
    X, y = problem(400)
    X = np.hstack([X, 3 * X[:, :1] + np.random.default_rng(0).normal(size=(400, 1))])
    scoring = {"clean": "accuracy", "robust": robust_accuracy_scorer("fgsm", 0.3)}
    search = GridSearchCV(
        make_pipeline(StandardScaler(), KNeighborsClassifier()),
        {"kneighborsclassifier__n_neighbors": [1, 25]},
        scoring={**scoring, "robust": robust_accuracy_scorer("noise", 0.3)},
        refit="robust",
        cv=2,
    ).fit(X, y)
    assert search.best_params_ == {"kneighborsclassifier__n_neighbors": 25}
    scores = cross_val_score(LogisticRegression(), X, y, scoring=scoring["robust"], cv=3)
    clean = cross_val_score(LogisticRegression(), X, y, cv=3)
    assert scores.shape == (3,)
    assert (scores < clean).all()


def test_the_robust_scorer_refuses_what_it_cannot_use_before_any_fit():
    with pytest.raises(ValueError, match="attack='pgdd' is not known; did you mean 'pgd'"):
        robust_accuracy_scorer("pgdd")
    with pytest.raises(ValueError, match="radius must be 0 or more, got -1"):
        robust_accuracy_scorer(radius=-1)


# ---------------------------------------------------------------- torch modules among the models


class Peak(nn.Module):
    """Class "b" where the largest value of the first channel is above 1.5."""

    def forward(self, x):
        peak = x[:, 0].amax(1)
        return torch.stack([1.5 - peak, peak - 1.5], dim=1)


def peaks(n=40, time=32):
    y = np.array(["a", "b"])[np.arange(n) % 2]
    height = np.where(y == "b", 1.9, 1.1) + np.random.default_rng(0).uniform(-0.3, 0.3, n)
    return height[:, None, None] * np.sin(np.linspace(0, 6, time))[None, None], y


def test_a_torch_module_is_measured_like_a_classifier():
    X, y = peaks()
    table = robustness_table({"net": Peak()}, X, list(y), attacks=["pgd"], radius=0.5)
    row = table.iloc[0]
    assert row["clean"] == 1
    assert row["noise"] > row["pgd"]
    moved = AdversarialTransformer(attack="pgd", radius=0.5, surrogate=Peak(), random_state=0)
    right = (moved.fit(X, y).transform(X, y)[:, 0].max(1) > 1.5) == (y == "b")
    assert row["pgd"] == pytest.approx(np.mean([right[y == "a"].mean(), right[y == "b"].mean()]))
    scorer = robust_accuracy_scorer("pgd", radius=0.5, scoring="balanced_accuracy")
    assert scorer(Peak(), X, y) == row["pgd"]
    curve = RobustnessDisplay.from_estimator(Peak(), X, y, radii=[0, 0.5])
    assert curve.attacked["Peak"][0] == 1 > curve.attacked["Peak"][1]


def test_scores_of_a_torch_module_may_ask_for_its_probabilities():
    X, y = peaks()
    table = robustness_table([Peak()], torch.from_numpy(X), y == "b", scoring="roc_auc", radius=0.5)
    assert table["clean"][0] == 1 > table["auto"][0]


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({"net": TorchModel(Peak())}, "'net': TorchModel has no predict: pass its module"),
        ([3], "'int': int has no predict: pass a classifier or torch module"),
        (Peak(), r"write \[net\]"),
        (nn.Sequential(Peak()), r"write \[net\]"),
    ],
)
def test_what_is_neither_classifier_nor_module_is_refused_in_one_line(models, message):
    X, y = peaks()
    with pytest.raises(TypeError, match=message) as told:
        robustness_table(models, X, y)
    assert "\n" not in str(told.value)


def test_a_torch_module_with_other_classes_is_refused_by_its_name():
    X, y = peaks()
    with pytest.raises(ValueError, match=r"estimator 'net': .* 3 classes"):
        robustness_table({"net": Peak()}, X, np.arange(len(y)) % 3)
